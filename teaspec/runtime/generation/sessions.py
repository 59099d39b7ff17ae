"""Generations that are kept apart on one transformer, however their calls interleave."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from teaspec.runtime.contract.arguments import tensors_in
from teaspec.runtime.generation.calls import Position
from teaspec.runtime.generation.conditioning import Conditioning
from teaspec.runtime.generation.state import TeaCacheState
from teaspec.runtime.generation.sums import Sums
from teaspec.runtime.generation.together import Together
from teaspec.runtime.keep.memory import bytes_held
from teaspec.runtime.rules.record import DecisionLog
from teaspec.runtime.rules.rule import Rule
from teaspec.runtime.settings.asked import Wish

logger = logging.getLogger(__name__)

_current: ContextVar[Hashable] = ContextVar("teaspec_session", default=None)
_wish: ContextVar[Wish | None] = ContextVar("teaspec_wish", default=None)

# One for all transformers, held for a few dictionary operations: a lock of its own would keep a hook from being copied.
_lock = threading.Lock()


@contextmanager
def session(
    key: Hashable,
    *,
    budget: int | float | None = None,
    tolerance: float | None = None,
    rel_l1_thresh: float | None = None,
    rule: Rule | None = None,
) -> Iterator[None]:
    """Keeps the calls inside apart from those of other sessions, in this thread or asyncio task.

    Leaving the block does not end the session: the next block with the same key goes on where this one left off, so
    that the steps of several generations may take turns. `end_session` ends it; a pipeline's own reset at the end of a
    call frees what it cached.

    Args:
        key: Whatever tells this generation from the others: a request's id, say. None is the session of calls outside
            of any `session`.
        budget: What decides about its calls, in place of the transformer's settings. It holds until the session ends,
            or another one is given; that of None holds inside of the block alone.
        tolerance: Likewise.
        rel_l1_thresh: Likewise.
        rule: Likewise.

    Yields:
        Nothing.

    Raises:
        TypeError: If the key cannot be hashed.
        ValueError: If a value is of no use, or several are given.
    """
    hash(key)
    asked = (rule, budget, tolerance, rel_l1_thresh)
    wish = None if all(one is None for one in asked) else Wish(*asked)
    token, wished = _current.set(key), _wish.set(wish)
    try:
        yield
    finally:
        _wish.reset(wished)
        _current.reset(token)


Owner = tuple[int, int | None]
"""Thread, and asyncio task in it."""


def owner() -> Owner:
    """Returns where the present call comes from."""
    running = asyncio._get_running_loop() is not None
    return threading.get_ident(), id(asyncio.current_task()) if running else None


def current_key() -> Hashable:
    """Returns the key of the present session, None outside of any."""
    return _current.get()


class Attempt:
    """A call that failed, known by its tensors, to tell its repetition from a generation that begins once more."""

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._tensors = tuple(weakref.ref(tensor) for tensor in tensors_in(args, kwargs))

    def is_repeated_by(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Returns whether a call passes the very same tensors."""
        tensors = tensors_in(args, kwargs)
        return len(tensors) == len(self._tensors) and all(
            ref() is tensor for ref, tensor in zip(self._tensors, tensors, strict=True)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Attempt:
        return self  # weak references have no copies, and the copy of a transformer is called with other tensors


@dataclass(eq=False)
class Session:
    """All that the hook remembers about one generation.

    Attributes:
        key: The key given to `session`.
        states: By branch.
        doubted: What branches were given at the last step, where nobody could tell whose its calls were.
        left: Which objects branches were given whose states are gone. A generation that seems to begin may be the same
            that goes on, so it outlives generations.
        seen: Steps of each branch so far, whatever its layout.
        latest: The branch of the last of these steps, with its layout.
        computed: How many of these steps were computed.
        position: The place of the last call.
        owner: The thread, and the asyncio task in it, that the generation's calls come from.
        together: What the calls of the running step do, where branches decide together.
        attempt: The last call, if it failed.
        num_inference_steps: What `refresh` said.
        barren: Steps in a row of which nothing was known to be theirs.
        last: The number of the last step.
        total: Steps of the generation, None where nobody knows.
        log: What was decided.
        ended: What the generations that have ended came to.
        busy: Whether a call is running.
        weight: Bytes of memory that were kept behind the last computed step.
        wish: What it asks for in place of the transformer's settings.
    """

    key: Hashable = None
    states: dict[str, TeaCacheState] = field(default_factory=dict)
    doubted: dict[str, Conditioning] = field(default_factory=dict)
    left: dict[str, Conditioning] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    computed: dict[str, int] = field(default_factory=dict)
    position: Position | None = None
    owner: Owner | None = None
    together: Together | None = None
    attempt: Attempt | None = None
    num_inference_steps: int | None = None
    barren: int = 0
    last: int = 0
    total: int | None = None
    log: DecisionLog = field(default_factory=DecisionLog)
    ended: Sums = field(default_factory=Sums)
    busy: bool = False
    weight: int = 0
    wish: Wish | None = None

    def begin_generation(self) -> None:
        """Forgets the generation so far, but not the record of it."""
        self.forget()
        self.barren = 0
        self.ended = self.sums
        self.log.close()

    def doubt(self) -> None:
        """Forgets residuals of which nobody can tell whose they are, but not what their branches were given."""
        self.doubted = self._conditionings
        self.drop()

    def drop(self) -> None:
        """Forgets residuals, but not which objects their branches were given: other objects are doubted as before."""
        self.left |= {branch: given.bare for branch, given in self._conditionings.items()}
        self.states.clear()

    def forget(self, *, doubting: bool = False) -> None:
        """Forgets what the generation has cached, and how far it is.

        Args:
            doubting: Whether it may be the same that goes on, so that what its branches were given is kept.
        """
        self.doubted = self._conditionings if doubting else {}
        self.drop()
        self.weight = 0
        self.seen.clear()
        self.latest.clear()
        self.computed.clear()
        self.position = None
        self.owner = None
        self.together = None
        self.attempt = None

    def refuse_others(self, caller: Owner) -> None:
        """Refuses a call that goes on with the generation of another thread or task.

        Calls in a `session` of their own may come from any: whose they are is said.

        Args:
            caller: Where the call comes from.

        Raises:
            RuntimeError: If it is refused.
        """
        if self.key is None and self.owner is not None and self.owner != caller:
            raise RuntimeError(
                "this call goes on with a generation that another thread or asyncio task has begun on this "
                "transformer, and would take its residuals. Give each generation a session of its own: "
                "`with teaspec.session(key):` around its calls"
            )

    def given_to(self, branch: str | None) -> Conditioning | None:
        """Returns what a branch was given at its last step, also where nobody could tell whose that was."""
        state = None if branch is None else self.states.get(branch)
        return self.doubted.get(branch or "") if state is None else state.conditioning

    @property
    def sums(self) -> Sums:
        """What all generations came to, the running one included."""
        return self.ended.plus(self.log.current)

    @property
    def bytes_held(self) -> int:
        """Bytes of memory that the cached tensors keep."""
        given = (tensor for conditioning in tuple(self.doubted.values()) for tensor in conditioning.tensors)
        cached = (tensor for state in tuple(self.states.values()) for tensor in state.tensors())
        return bytes_held(chain(cached, given))

    @property
    def _conditionings(self) -> dict[str, Conditioning]:
        return {**self.doubted, **{branch: state.conditioning for branch, state in self.states.items()}}


class Sessions:
    """The sessions of one transformer; the least recently used are dropped.

    Attributes:
        most_bytes: The most memory that all of them have kept at once.
    """

    def __init__(self) -> None:
        self.most_bytes = 0
        self._gone = Sums()
        self._sessions: OrderedDict[Hashable, Session] = OrderedDict()
        self._warned = False

    def current(self) -> Session:
        """Returns the session of this thread or task; one that is new is not kept yet."""
        key = _current.get()
        return self._sessions.get(key) or Session(key)

    def current_wish(self) -> Wish | None:
        """Returns what the session of this thread or task asks for in place of the transformer's settings."""
        wish = _wish.get()
        if wish is not None:
            return wish
        known = self._sessions.get(_current.get())
        return None if known is None else known.wish

    @contextmanager
    def entered(self, limit: int) -> Iterator[Session]:
        """The current session, for one call.

        Args:
            limit: So many sessions are kept; one more drops the least recently used.

        Yields:
            The session. It is kept from its first successful call on.

        Raises:
            RuntimeError: If another call of the session is running.
        """
        with _lock:
            running = self.current()
            if running.busy:
                raise RuntimeError(
                    f"two calls at once in TeaCache's session {running.key!r}; give each generation a session of its "
                    f"own: `with teaspec.session(key):`"
                )
            running.busy = True
            if running.key is not None:
                running.wish = self.current_wish()
            is_new, weight = running.key not in self._sessions, running.weight
            self._sessions[running.key] = running
        try:
            yield running
        except BaseException:
            with _lock:
                running.busy = False
                if is_new:
                    self._sessions.pop(running.key, None)
            raise
        with _lock:
            running.busy = False
            self._use(running, limit)
        if running.weight > weight:
            self.most_bytes = max(self.most_bytes, sum(one.weight for one in self.all))

    @property
    def sums(self) -> Sums:
        """What all generations came to, those of sessions that are gone included."""
        return sum((one.sums for one in self.all), self._gone)

    def expect(self, num_inference_steps: int | None, limit: int) -> None:
        """Notes the number of steps of the current session's generations."""
        with _lock:
            noted = self.current()
            noted.num_inference_steps = num_inference_steps
            self._use(noted, limit)

    def end(self, key: Hashable) -> bool:
        """Forgets a session; returns whether there was one."""
        with _lock:
            ended = self._sessions.pop(key, None)
            if ended is not None:
                self._gone += ended.sums
            return ended is not None

    def clear(self) -> None:
        """Forgets all sessions."""
        with _lock:
            self._sessions.clear()

    @property
    def all(self) -> tuple[Session, ...]:
        """The sessions, the least recently used first."""
        with _lock:
            return tuple(self._sessions.values())

    def _use(self, used: Session, limit: int) -> None:
        self._sessions[used.key] = used
        self._sessions.move_to_end(used.key)
        while len(self._sessions) > limit:
            # Those that hold nothing go first; a call that is running is never cut off.
            idle = [one for one in self._sessions.values() if one is not used and not one.busy]
            if not idle:
                return
            dropped = next((one for one in idle if not one.states), idle[0])
            del self._sessions[dropped.key]
            self._gone += dropped.sums
            if dropped.states and not self._warned:
                self._warned = True
                logger.warning(
                    "TeaCache dropped the session %r in the middle of its generation: more than %d are running "
                    "(max_sessions). Its next step is computed like the first of a new one. Said once",
                    *(dropped.key, limit),
                )
