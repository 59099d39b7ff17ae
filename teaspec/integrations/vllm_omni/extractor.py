"""A compiled extractor as vLLM-Omni's registry holds it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from teaspec.catalog.extractor import SpecExtractor
from teaspec.runtime.calibrations.registry import Extractor
from teaspec.runtime.contract.arguments import ArgumentFinder
from teaspec.runtime.contract.bypass import Bypass
from teaspec.runtime.contract.context import CacheContext, Finished
from teaspec.runtime.contract.streams import ENCODER, find_live, streams_of
from teaspec.runtime.naming import listed

logger = logging.getLogger(__name__)


def served_forward(module: nn.Module) -> Any:
    """Returns the forward that somebody set on a module in place of its class's, or None.

    vLLM-Omni's hooks set one, too, on transformers and on blocks; what they wrap is what counts.
    """
    forward = vars(module).get("_omni_original_forward", vars(module).get("forward"))
    method, owner = getattr(forward, "__func__", None), getattr(forward, "__self__", None)
    return None if method is type(module).forward and owner is module else forward


class UnfitError(RuntimeError):
    """vLLM-Omni's TeaCache cannot be served with a spec."""


class _Cut:
    """An extractor for one module, and what finds arguments in its calls."""

    def __init__(self, extractor: Any, module: nn.Module) -> None:
        self.rules = tuple(map(Bypass.parse, getattr(extractor, "bypass", ())))
        self.extract: Extractor = _compiled(extractor, module)
        self._arguments = ArgumentFinder.of(type(module).forward.__get__(module))

    def goes_past(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        return any(rule.holds_for(self._arguments.find(rule.argument, args, kwargs)) for rule in self.rules)


def _compiled(extractor: Any, module: nn.Module) -> Extractor:
    if isinstance(extractor, SpecExtractor):
        return extractor.compiled_for(module, replaced=served_forward)
    compiled_for = getattr(extractor, "compiled_for", None)
    compiled: Extractor = extractor if compiled_for is None else compiled_for(module)
    return compiled


class OmniExtractor:
    """An extractor as vLLM-Omni calls it: it returns a context of vLLM-Omni's, whose `postprocess` takes one stream.

    Attributes:
        name: The name that it is registered under.
        displaced: What stood in the registry before, None where nothing did.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[type], Extractor | None],
        context: Callable[..., Any],
        *,
        displaced: Callable[..., Any] | None = None,
        is_uncalibrated: bool = False,
    ) -> None:
        """Compiles nothing.

        Args:
            name: The name that it is registered under.
            find: Gives the extractor for a class, not compiled yet; None where there is none.
            context: The class of vLLM-Omni's contexts.
            displaced: What cuts the calls of a module that no spec fits.
            is_uncalibrated: Whether nothing but the identity stands in vLLM-Omni's table for it.
        """
        self.name = name
        self.displaced = displaced
        self._find = find
        self._context = context
        self._is_uncalibrated = is_uncalibrated
        self._cuts: WeakKeyDictionary[nn.Module, _Cut | None] = WeakKeyDictionary()

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
            SpecError: If the spec does not fit the class, and the registry had no extractor before.
            UnfitError: If there is no spec, or more is needed behind the blocks than vLLM-Omni keeps; and as above.
        """
        cut = self._cut_for(module)
        if cut is None:
            return self._displaced_context(module, args, kwargs)
        if cut.goes_past(args, kwargs):
            return self._uncached(args, kwargs, lambda: type(module).forward(module, *args, **kwargs))
        found = cut.extract(module, *args, **kwargs)
        if isinstance(found, Finished):
            return self._uncached(args, kwargs, lambda: found.value)
        beyond = _beyond(found)
        if beyond:
            self._give_up(
                module,
                UnfitError(
                    "vLLM-Omni's TeaCache keeps hidden_states and encoder_hidden_states; "
                    f"behind the blocks of {self.name} also needed: {listed(beyond)}. Use teaspec's own hook for it"
                ),
            )
            return self._displaced_context(module, args, kwargs)
        return self._cached(found)

    def serves(self, module: nn.Module) -> bool:
        """Whether the calls of a module were cut as a spec says; not so where the displaced extractor cuts them."""
        return self._cuts.get(module) is not None

    def _cut_for(self, module: nn.Module) -> _Cut | None:
        """What cuts the calls of a module; None where the displaced extractor does."""
        if module in self._cuts:
            return self._cuts[module]
        from teaspec.compiler import SpecError  # the compiler is slow to import

        extractor = self._find(type(module))
        if extractor is None:
            self._give_up(module, UnfitError(f"there is no spec for {type(module).__name__}"))
            return None
        try:
            cut = _Cut(extractor, module)
        except SpecError as error:
            self._give_up(module, error)
            return None
        self._cuts[module] = cut
        if self._is_uncalibrated:
            logger.warning(
                "no coefficients are published for %s: unless the cache_config has some, distances are taken as they "
                "are, and what a threshold is worth is unknown",
                type(module).__name__,
            )
        return cut

    def _give_up(self, module: nn.Module, reason: Exception) -> None:
        if self.displaced is None:
            raise reason
        logger.warning("%s goes on with vLLM-Omni's own extractor: %s", self.name, reason)
        self._cuts[module] = None

    def _displaced_context(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        assert self.displaced is not None
        return self.displaced(module, *args, **kwargs)

    def _cached(self, cut: CacheContext) -> Any:
        live = find_live(cut)

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


def _beyond(cut: CacheContext) -> list[str]:
    """What is needed behind the blocks and no stream that vLLM-Omni keeps."""
    streams = zip(find_live(cut) or (), streams_of(cut)[1:], strict=False)
    return [name for name, stream in streams if stream.key != ENCODER]
