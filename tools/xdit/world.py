"""One process: a world, groups and a runtime state in which every wrapper splits its tensors into one part."""

from __future__ import annotations

import socket
from importlib import import_module


def start() -> None:
    """Starts it, for the rest of the process."""
    from xfuser import envs

    envs.get_device_version = lambda: None
    envs.get_torch_distributed_backend = lambda: "gloo"

    # Its modules import each other; this is where its own `__init__` begins.
    import_module("xfuser.model_executor.pipelines.base_pipeline")
    from xfuser.core.distributed import parallel_state, runtime_state

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    parallel_state.init_distributed_environment(1, 0, address, 0, "gloo")
    parallel_state.initialize_model_parallel(backend="gloo")
    runtime_state.initialize_runtime_state()
    # Counts steps for its own schedules; the state that comes without a pipeline has no such counter.
    runtime_state.ExternalRuntimeState.increment_step_counter = lambda self: None
    # FLUX's attention asks for it, and uses it where the image is split into patches for several processes.
    runtime_state.ExternalRuntimeState.max_condition_sequence_length = 0
