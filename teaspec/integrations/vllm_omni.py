"""Compiled extractors for vLLM-Omni's own TeaCache.

vLLM-Omni's hook, its decision and its state stay as they are; what is put into its registry is how a
transformer is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from teaspec.runtime.calibrations.registry import Extractor, get_extractor, known_types
from teaspec.runtime.contract.arguments import ArgumentFinder
from teaspec.runtime.contract.bypass import Bypass
from teaspec.runtime.contract.context import CacheContext, Finished
from teaspec.runtime.contract.streams import ENCODER, find_live, streams_of
from teaspec.runtime.naming import did_you_mean, listed

TEACACHE = "vllm_omni.diffusion.cache.teacache"
"""The package with `register_extractor` and `CacheContext`."""


def register(*names: str) -> tuple[str, ...]:
    """Puts compiled extractors into vLLM-Omni's registry, in place of its own where it has some.

    Nothing is compiled yet: an extractor compiles at its first call, against the class of the module that it is given.
    vLLM-Omni runs transformers in processes of their own, and each has a registry of its own: call this in each of
    them, from a plugin of the group `vllm_omni.general_plugins`.

    Args:
        *names: Class names of transformers. Without any, all that have a spec.

    Returns:
        The names that were registered.

    Raises:
        ImportError: If vLLM-Omni is not installed, or cannot be imported.
        ValueError: If a name is unknown; the message has the nearest one.
    """
    extractors = extractors_for(names)
    teacache = _import_teacache()
    for name, extractor in extractors.items():
        teacache.register_extractor(name, OmniExtractor(name, extractor, teacache.CacheContext))
    return tuple(extractors)


def extractors_for(names: tuple[str, ...]) -> dict[str, Extractor]:
    """Returns the extractors of transformers by their class names; without any, those of all specs.

    Raises:
        ValueError: If a name is unknown; the message has the nearest one.
    """
    known = known_types()
    for name in names:
        if name not in known:
            raise ValueError(f"no extractor for {name!r}{did_you_mean(name, known)} Known: {listed(known)}")
    if names:
        return {name: get_extractor(name) for name in names}
    every = {name: get_extractor(name) for name in known}
    return {name: extractor for name, extractor in every.items() if hasattr(extractor, "compiled_for")}


class OmniExtractor:
    """An extractor as vLLM-Omni calls it: it returns a context of vLLM-Omni's, whose `postprocess` takes one stream.

    Attributes:
        name: The class name that it is registered under.
    """

    def __init__(self, name: str, extractor: Extractor, context: Callable[..., Any]) -> None:
        """Takes an extractor of teaspec's, not compiled yet, and the class of vLLM-Omni's contexts."""
        self.name = name
        self._extractor = extractor
        self._context = context
        self._compiled: WeakKeyDictionary[nn.Module, tuple[Extractor, ArgumentFinder]] = WeakKeyDictionary()

    def __call__(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Cuts one call of a transformer's forward.

        Args:
            module: The transformer, of the class that vLLM-Omni has for it.
            *args: Positional arguments of its forward.
            **kwargs: Keyword arguments of its forward.

        Returns:
            The context. A call that no cache may serve, by a rule of the spec or because it ends before its blocks, has
            one that vLLM-Omni reuses nothing for, and neither in the call after it.

        Raises:
            SpecError: If the spec does not fit the class.
            RuntimeError: If more is needed behind the blocks than vLLM-Omni keeps.
        """
        extractor, arguments = self._compiled_for(module)
        rules = map(Bypass.parse, getattr(self._extractor, "bypass", ()))
        if any(rule.holds_for(arguments.find(rule.argument, args, kwargs)) for rule in rules):
            return self._uncached(args, kwargs, lambda: type(module).forward(module, *args, **kwargs))
        cut = extractor(module, *args, **kwargs)
        if isinstance(cut, Finished):
            return self._uncached(args, kwargs, lambda: cut.value)
        return self._cached(cut)

    def _compiled_for(self, module: nn.Module) -> tuple[Extractor, ArgumentFinder]:
        if module not in self._compiled:
            compiled_for = getattr(self._extractor, "compiled_for", None)
            extractor = self._extractor if compiled_for is None else compiled_for(module)
            self._compiled[module] = extractor, ArgumentFinder.of(type(module).forward.__get__(module))
        return self._compiled[module]

    def _cached(self, cut: CacheContext) -> Any:
        live = find_live(cut)
        streams = zip(live or (), streams_of(cut)[1:], strict=False)
        beyond = [name for name, stream in streams if stream.key != ENCODER]
        if beyond:
            raise RuntimeError(
                f"vLLM-Omni's TeaCache keeps hidden_states and encoder_hidden_states; behind the blocks of {self.name} "
                f"also needed: {listed(beyond)}. Use teaspec's own hook for it"
            )

        def postprocess(hidden: torch.Tensor) -> Any:
            # Their hook leaves the encoder stream in the context and hands over the hidden one alone.
            return cut.postprocess(hidden, context.encoder_hidden_states) if live else cut.postprocess(hidden)

        context = self._context(
            modulated_input=cut.modulated_input,
            hidden_states=cut.hidden_states,
            encoder_hidden_states=cut.encoder_hidden_states,
            temb=cut.temb,
            run_transformer_blocks=cut.run_transformer_blocks,
            postprocess=postprocess,
        )
        return context

    def _uncached(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], run: Callable[[], Any]) -> Any:
        """Returns a context whose distance to any other is not a number, which is never below the threshold."""
        tensors = (leaf for leaf in tree_leaves((args, dict(kwargs))) if isinstance(leaf, torch.Tensor))
        device = next((tensor.device for tensor in tensors), torch.device("cpu"))
        nothing = torch.full((1,), float("nan"), device=device)
        return self._context(
            modulated_input=nothing,
            hidden_states=nothing,
            encoder_hidden_states=None,
            temb=nothing,
            run_transformer_blocks=lambda: (nothing,),
            postprocess=lambda hidden: run(),
        )


def _import_teacache() -> Any:
    if find_spec(TEACACHE.partition(".")[0]) is None:
        raise ImportError(
            "vLLM-Omni is not installed, so there is no registry to put extractors into: pip install vllm-omni"
        )
    try:
        return import_module(TEACACHE)
    except ImportError as error:
        raise ImportError(f"vLLM-Omni is installed, but {TEACACHE} cannot be imported: {error}") from error
