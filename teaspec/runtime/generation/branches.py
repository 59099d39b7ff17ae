"""How the CFG passes of a step are told apart: by a name, by the rank, or else by counting them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from teaspec.runtime.generation.sessions import Sessions
from teaspec.runtime.generation.state import TeaCacheState
from teaspec.runtime.generation.timeline import PAIR
from teaspec.runtime.host.groups import cfg_rank
from teaspec.runtime.host.library import ENDS_CONTEXTS, CacheContext, StateManager, as_context
from teaspec.runtime.settings.config import DiffusionCacheConfig

_named: ContextVar[str | None] = ContextVar("teaspec_branch", default=None)
_contexts: ContextVar[Mapping[Any, CacheContext]] = ContextVar("teaspec_contexts", default=MappingProxyType({}))


@contextmanager
def branch(name: str) -> Iterator[None]:
    """Names the branch that the calls inside belong to, in this thread or asyncio task.

    Args:
        name: Any name; each has a state of its own. It comes before every other way of telling branches apart.

    Yields:
        Nothing.

    Raises:
        TypeError: If the name is no string.
        ValueError: If it is empty.
    """
    if not isinstance(name, str):
        raise TypeError(f"a branch is named by a str, found a {type(name).__qualname__}")
    if not name:
        raise ValueError("a branch needs a name that is not empty")
    token = _named.set(name)
    try:
        yield
    finally:
        _named.reset(token)


class BranchStates(StateManager):
    """What diffusers' `cache_context(name)` reaches: the states of the current session's branches, by name.

    diffusers keeps the name on the manager, where two threads would take it from each other; here each thread and each
    asyncio task has its own.
    """

    def __init__(self, sessions: Sessions) -> None:
        # Nothing of the base class is used: all that it would store is in the session or in the context.
        self._sessions = sessions

    @property
    def context(self) -> CacheContext:
        """The running `cache_context`.

        Raises:
            ValueError: Outside of one.
        """
        context = self.find_context()
        if context is None:
            raise ValueError("no cache context is set; wrap the call in `transformer.cache_context(name)`")
        return context

    def find_context(self) -> CacheContext | None:
        """Returns the running `cache_context`, or None outside of one."""
        return _contexts.get().get(self)

    def set_context(self, given: CacheContext | str | None) -> None:
        """Enters a `cache_context`, or leaves it; older versions of diffusers give its name alone."""
        context = as_context(given)
        others = {manager: other for manager, other in _contexts.get().items() if manager is not self}
        _contexts.set(MappingProxyType(others if context is None else {**others, self: context}))

    def leave_failed(self) -> None:
        """Leaves the running `cache_context` after a call that failed, where diffusers does not do so itself."""
        if not ENDS_CONTEXTS:
            self.set_context(None)

    def get_state(self) -> TeaCacheState:
        """Returns the state of the branch that the running `cache_context` names."""
        return self.states.get(str(self.context.name)) or TeaCacheState()

    def reset(self, *args: Any, **kwargs: Any) -> None:
        """Begins a new generation in the current session."""
        self._sessions.current().begin_generation()
        self.set_context(None)

    @property
    def states(self) -> dict[str, TeaCacheState]:
        """The states of the current session, by branch name."""
        return dict(self._sessions.current().states)


def find_branch(context: CacheContext | None, config: DiffusionCacheConfig, *, paired: bool) -> str | None:
    """Returns the name of the branch that a call belongs to, or None where calls have to be counted.

    Args:
        context: The running `cache_context`, or None.
        config: It may tell this process's rank in the CFG group.
        paired: Whether the transformer is called for two branches.
    """
    name = _named.get()
    if name is not None:
        return name
    if context is not None:
        return str(context.name)
    if paired:
        rank = cfg_rank(config.cfg_rank, config.cfg_group)
        return None if rank is None else PAIR[min(rank, 1)]
    return None
