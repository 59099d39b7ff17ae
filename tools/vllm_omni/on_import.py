"""Sets the stand-ins up when `vllm_omni` is first imported; its own `__init__` patches all of vllm."""

from __future__ import annotations

from types import ModuleType

from tools.elsewhere.on_import import Watch


def watch() -> None:
    """Looks for imports of vLLM-Omni from now on."""
    Watch(
        package="vllm_omni",
        set_up=_set_up,
        before={"torchvision": _without_operators},
        models="vllm_omni.diffusion.models.",
        loaded=_give_configs,
    ).start()


def _set_up() -> None:
    from tools.vllm_omni.stand_ins import set_up

    set_up()


def _without_operators() -> None:
    from tools.vllm_omni.stand_ins import ignore_fakes_of

    ignore_fakes_of("torchvision::")


def _give_configs(module: ModuleType) -> None:
    from tools.vllm_omni.constructors import give_config

    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            give_config(value)
