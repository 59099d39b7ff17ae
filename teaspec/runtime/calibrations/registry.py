"""Which extractor serves which transformer class, and the published defaults that go with it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from teaspec.runtime.calibrations.calibration import Defaults
from teaspec.runtime.naming import did_you_mean, nearest

if TYPE_CHECKING:
    from teaspec.runtime.contract.context import CacheContext, Finished

Extractor = Callable[..., "CacheContext | Finished"]


@dataclass(frozen=True)
class _Entry:
    extractor: Extractor
    defaults: Defaults | None
    replaced: tuple[_Entry, ...] = ()
    """Those before it that may have defaults, the last one first."""

    @property
    def may_have_defaults(self) -> bool:
        # An extractor may read its spec to know its defaults, so whether it has any is not asked.
        return self.defaults is not None or inspect.getattr_static(self.extractor, "defaults", None) is not None

    def find_defaults(self) -> Defaults | None:
        found = (one.defaults or getattr(one.extractor, "defaults", None) for one in (self, *self.replaced))
        return next((defaults for defaults in found if defaults is not None), None)

    def replacing(self, other: _Entry | None) -> _Entry:
        if other is None or self.defaults is not None:
            return self
        before = (replace(other, replaced=()), *other.replaced)
        others = (one for one in before if one.defaults is not None or one.extractor is not self.extractor)
        return replace(self, replaced=tuple(one for one in others if one.may_have_defaults))


_entries: dict[str, _Entry] = {}
_sources: list[Callable[[], None]] = []
_lock = threading.RLock()
_is_asking = False


def add_source(add_all: Callable[[], None]) -> None:
    """Has more types added as soon as somebody asks the registry, or adds to it: where looking for them takes time.

    Args:
        add_all: Calls `add_extractor` for each; called once.
    """
    _sources.append(add_all)


def _ask_sources() -> None:
    global _is_asking
    if not _sources:
        return
    with _lock:  # another thread waits until all are there; a source that comes back here itself does not
        if _is_asking:
            return
        _is_asking = True
        try:
            for add_all in _sources:
                add_all()
        finally:
            _sources.clear()
            _is_asking = False


def register_extractor(
    transformer_cls_name: str, extractor_fn: Callable[..., Any], defaults: Defaults | None = None
) -> None:
    """Registers an extractor for a transformer type; a second registration replaces the first.

    Args:
        transformer_cls_name: The class name of the transformer, or a type string of your own.
        extractor_fn: Called as `extractor_fn(module, *args, **kwargs)` with the arguments of the transformer's forward;
            returns a `CacheContext`, or `Finished(value)` where the forward ends before it reaches the blocks.
        defaults: Coefficients, accumulation and variants of this type. Without it the extractor's own `defaults`
            attribute counts, then what the type had before: replacing how a model is read does not discard its
            calibration.

    Raises:
        TypeError: If the name is no string or the extractor is not callable.
    """
    if not isinstance(transformer_cls_name, str):
        raise TypeError(f"transformer_cls_name must be a str, found {type(transformer_cls_name).__name__}")
    if not callable(extractor_fn):
        raise TypeError(f"extractor_fn for {transformer_cls_name!r} must be callable, found {extractor_fn!r}")
    _ask_sources()
    add_extractor(transformer_cls_name, extractor_fn, defaults)


def add_extractor(name: str, extractor: Extractor, defaults: Defaults | None = None) -> Extractor | None:
    """Registers an extractor without asking the sources before.

    Args:
        name: The type.
        extractor: What cuts its forward.
        defaults: As in `register_extractor`.

    Returns:
        What it replaces, or None.
    """
    replaced = _entries.get(name)
    _entries[name] = _Entry(extractor, defaults).replacing(replaced)
    return None if replaced is None else replaced.extractor


def known_types() -> tuple[str, ...]:
    """Returns the registered transformer types, sorted."""
    _ask_sources()
    return tuple(sorted(_entries))


def find_type(cls: type) -> str | None:
    """Returns the first name along the class's MRO that has an extractor, or None."""
    _ask_sources()
    return next((base.__name__ for base in cls.__mro__ if base.__name__ in _entries), None)


def get_extractor(transformer_type: str | type) -> Extractor:
    """Returns the extractor of a transformer type.

    Args:
        transformer_type: A registered name, matched exactly; or a class, whose MRO is walked by name, so that
            subclasses and wrappers made by subclassing are served too.

    Raises:
        ValueError: If there is none; the message has the nearest names.
    """
    _ask_sources()
    name = transformer_type if isinstance(transformer_type, str) else find_type(transformer_type)
    if name is not None and name in _entries:
        return _entries[name].extractor
    asked = transformer_type if isinstance(transformer_type, str) else transformer_type.__name__
    raise ValueError(
        f"no extractor for transformer type {asked!r}{did_you_mean(asked, _entries)} {nearest(asked, _entries)} "
        f"Add one with register_extractor({asked!r}, extractor_fn), or with a spec: `teaspec init` drafts it"
    )


def find_defaults(transformer_type: str) -> Defaults | None:
    """Returns the defaults that go with a registered type, or None where it has none."""
    _ask_sources()
    entry = _entries.get(transformer_type)
    return None if entry is None else entry.find_defaults()
