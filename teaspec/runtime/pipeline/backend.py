"""TeaCache for a whole pipeline."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from torch import nn

from teaspec.runtime.calibrations.registry import find_type
from teaspec.runtime.pipeline.apply import apply_teacache_hook, find_teacache_hook, remove_teacache_hook
from teaspec.runtime.pipeline.clock import PipelineClock
from teaspec.runtime.pipeline.pipelines import hooked_modules, hooks_of, modules_of
from teaspec.runtime.pipeline.refusals import refuse_obstacles, refuse_pipeline
from teaspec.runtime.settings.config import DiffusionCacheConfig

if TYPE_CHECKING:
    from typing_extensions import Self

    from teaspec.runtime.step.hook import TeaCacheHook

logger = logging.getLogger(__name__)


class CacheBackend(ABC):
    """Switches a kind of cache on and off for pipelines.

    Attributes:
        config: The settings.
    """

    def __init__(self, config: DiffusionCacheConfig | Mapping[str, Any] | None = None) -> None:
        if config is None:
            config = DiffusionCacheConfig()
        elif isinstance(config, Mapping):
            config = DiffusionCacheConfig.from_dict(config)
        elif not isinstance(config, DiffusionCacheConfig):
            raise TypeError(f"config must be a DiffusionCacheConfig or a dict, found a {type(config).__qualname__}")
        self.config = config

    @abstractmethod
    def enable(self, pipeline: Any) -> None:
        """Switches the cache on.

        Args:
            pipeline: What holds the transformers, or one of them.
        """

    @abstractmethod
    def refresh(self, pipeline: Any, num_inference_steps: int, verbose: bool = True) -> None:
        """Makes the cache ready for a new generation.

        Args:
            pipeline: What the cache was switched on for.
            num_inference_steps: How many steps that generation has.
            verbose: Whether that is logged.
        """

    @abstractmethod
    def disable(self, pipeline: Any) -> None:
        """Switches the cache off.

        Args:
            pipeline: What it was switched on for.
        """

    @abstractmethod
    def is_enabled(self) -> bool:
        """Returns whether the cache is on for any pipeline."""

    def disable_all(self) -> None:
        """Switches the cache off wherever this backend switched it on, and it still is; a `with` ends so.

        Raises:
            NotImplementedError: If this kind of backend does not know where that is.
        """
        raise NotImplementedError(f"{type(self).__name__} does not know where it is on; call disable(pipeline)")

    def __enter__(self) -> Self:
        """Leaving the block switches off what was switched on by then."""
        return self

    def __exit__(self, *_: object) -> None:
        self.disable_all()


class TeaCacheBackend(CacheBackend):
    """TeaCache on every transformer of a pipeline that has an extractor."""

    def __init__(self, config: DiffusionCacheConfig | Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._hooked: WeakSet[nn.Module] = WeakSet()
        self._hooks: WeakSet[TeaCacheHook] = WeakSet()

    def enable(self, pipeline: Any) -> None:
        """Applies TeaCache to the pipeline's transformers, all of them or none.

        Args:
            pipeline: A diffusers pipeline, any object that holds its transformers as attributes, or one transformer.

        Raises:
            TypeError: If it can hold no transformer: None, a text, a class.
            ValueError: If the pipeline has no transformer with an extractor (the message says what it has, and what to
                do next), or a transformer refuses the hook (see `apply_teacache_hook`).
        """
        modules = modules_of(pipeline)
        denoisers = [module for module in modules.values() if find_type(type(module)) is not None]
        refuse_obstacles(pipeline, modules)
        if not denoisers:
            raise refuse_pipeline(pipeline, modules)
        clock = None if isinstance(pipeline, nn.Module) else PipelineClock(pipeline)
        done: list[nn.Module] = []
        try:
            for denoiser in denoisers:
                apply_teacache_hook(denoiser, self.config.to_teacache_config())
                done.append(denoiser)
                hook = find_teacache_hook(denoiser)
                if clock is not None and hook is not None:
                    clock.join(hook)
        except Exception:
            for denoiser in done:
                remove_teacache_hook(denoiser)
            raise
        self._hooked.update(done)
        self._hooks.update(hook for hook in map(find_teacache_hook, done) if hook is not None)

    def refresh(self, pipeline: Any, num_inference_steps: int, verbose: bool = True) -> None:
        """Forgets what earlier generations left behind. A diffusers pipeline does so itself when a call ends.

        Args:
            pipeline: What TeaCache was enabled on.
            num_inference_steps: Steps of the generations to come, until the next refresh.
            verbose: Whether to log it.

        Raises:
            ValueError: If TeaCache is not on for the pipeline, or `num_inference_steps` is no number of steps.
        """
        for hook in hooks_of(pipeline).values():
            hook.expect(num_inference_steps)
            hook.state_manager.reset()
        if verbose:
            logger.info("TeaCache refreshed for %s (%d steps)", type(pipeline).__name__, num_inference_steps)

    def disable(self, pipeline: Any) -> None:
        """Takes TeaCache off the pipeline's transformers.

        Args:
            pipeline: What TeaCache was enabled on.

        Raises:
            ValueError: If TeaCache is not on for the pipeline.
        """
        for module in hooked_modules(pipeline).values():
            remove_teacache_hook(module)
            self._hooked.discard(module)

    def is_enabled(self) -> bool:
        """Returns whether a transformer that this backend hooked still is."""
        return any(find_teacache_hook(module) is not None for module in self._hooked)

    def disable_all(self) -> None:
        """Takes TeaCache off the transformers that this backend put it on; where somebody else did since, it stays."""
        for module in list(self._hooked):
            if find_teacache_hook(module) in self._hooks:
                remove_teacache_hook(module)
            self._hooked.discard(module)
