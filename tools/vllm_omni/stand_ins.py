"""What vLLM-Omni's model files need of a GPU and of vllm's compiled parts, as little of it as a CPU can do.

Everything here is set up once in a process, before a model file is imported. Nothing of a model is replaced: the
classes that are proven are those of the wheel, line by line. Only what they call underneath is: attention is torch's
`scaled_dot_product_attention`, a linear layer is `F.linear`, and all process groups have one member.
"""

from __future__ import annotations

import importlib.machinery
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import ModuleType
from typing import Any

import torch
from torch.nn import functional


def set_up() -> None:
    """Makes vLLM-Omni's model files importable, and its models callable for the rest of the process."""
    _put_torchaudio()
    _choose_the_cpu()
    _define_missing_operators()
    _let_parameters_be_copied()
    _enter(_served())


@contextmanager
def _served() -> Iterator[None]:
    """What a model finds around it when it is served: vllm's configuration, process groups, a forward context."""
    from vllm.config import DeviceConfig, VllmConfig, set_current_vllm_config
    from vllm_omni.diffusion.data import OmniDiffusionConfig
    from vllm_omni.diffusion.forward_context import set_forward_context

    vllm_config = VllmConfig(device_config=DeviceConfig(device="cpu"))
    omni = OmniDiffusionConfig(model="", dtype=torch.float32)
    with set_current_vllm_config(vllm_config):
        _start_world()
        with set_forward_context(vllm_config=vllm_config, omni_diffusion_config=omni):
            yield


def _enter(context: AbstractContextManager[None]) -> None:
    stack = ExitStack()
    stack.enter_context(context)
    _kept.append(stack)


_kept: list[object] = []
"""What must not be collected before the process ends."""


def ignore_fakes_of(prefix: str) -> None:
    """Lets nobody describe operators of a library whose compiled part does not load without CUDA.

    Args:
        prefix: What the names of these operators begin with.
    """
    register = torch.library.register_fake

    def register_fake(op: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(op, str) and op.startswith(prefix):
            return lambda function: function
        return register(op, *args, **kwargs)

    torch.library.register_fake = register_fake


def _put_torchaudio() -> None:
    """Its wheels need CUDA; what is imported of it belongs to the audio of pipelines."""
    for name in ("torchaudio", "torchaudio.functional"):
        module = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        sys.modules[name] = module


def _choose_the_cpu() -> None:
    import vllm.platforms
    from vllm.platforms.cpu import CpuPlatform

    vllm.platforms._current_platform = CpuPlatform()

    import vllm_omni.platforms
    from vllm_omni.diffusion.attention.backends.abstract import AttentionImpl
    from vllm_omni.platforms.interface import UnspecifiedOmniPlatform

    class CpuOmniPlatform(UnspecifiedOmniPlatform):
        """Torch's attention, and the answers of a machine with one device."""

        dist_backend = "gloo"

        @classmethod
        def get_diffusion_attn_backend_cls(cls, selected_backend: str | None, head_size: int, **kwargs: Any) -> str:
            return "vllm_omni.diffusion.attention.backends.sdpa.SDPABackend"

        @classmethod
        def get_device_count(cls) -> int:
            return 1

        @classmethod
        def set_device(cls, device: torch.device) -> None:
            return None

    vllm_omni.platforms._current_omni_platform = CpuOmniPlatform()
    AttentionImpl.forward = lambda self, *args, **kwargs: self.forward_cuda(*args, **kwargs)


def _define_missing_operators() -> None:
    """Operators of vllm's compiled extension, and the linear layer that it chooses when weights are loaded."""
    from vllm.model_executor.layers import utils

    def cpu_linear(layer: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        return functional.linear(x, weight, bias)

    utils.cpu_unquantized_gemm = cpu_linear
    _define("silu_and_mul(Tensor! out, Tensor input) -> ()", _silu_and_mul)


def _define(schema: str, function: Callable[..., None]) -> None:
    library = torch.library.Library("_C", "FRAGMENT")
    library.define(schema)
    library.impl(schema.partition("(")[0], function, "CPU")
    _kept.append(library)


def _silu_and_mul(out: torch.Tensor, given: torch.Tensor) -> None:
    gate, value = given.chunk(2, dim=-1)
    out.copy_(functional.silu(gate) * value)


def _let_parameters_be_copied() -> None:
    """The parameters of vllm have a constructor of their own, which `copy.deepcopy` of torch's does not know."""
    from vllm.model_executor.parameter import BasevLLMParameter

    def copied(self: torch.nn.Parameter, memo: dict[int, Any]) -> torch.Tensor:
        copy = torch.Tensor._make_subclass(type(self), self.data.clone(), self.requires_grad)
        copy.__dict__.update(self.__dict__)
        memo[id(self)] = copy
        return copy

    BasevLLMParameter.__deepcopy__ = copied


def _start_world() -> None:
    from vllm_omni.diffusion.distributed.parallel_state import init_distributed_environment, initialize_model_parallel

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    init_distributed_environment(1, 0, address, 0, "gloo")
    initialize_model_parallel(backend="gloo")
