"""What a pipeline is asked to do: generations with their passes, windows and stages, and how they end."""

from __future__ import annotations

from dataclasses import dataclass, fields

KEYS = (None, "a", "b")
"""The keys of the sessions."""

FRAMES = 3
"""Tokens of a window; the last one may have one less."""


@dataclass(frozen=True)
class Pass:
    """One call of a step.

    Attributes:
        name: What it is about: "cond", "uncond", "third".
        rows: The prompts of its rows.
        called: What `cache_context` or `teaspec.branch` calls it.
        skips: Whether it is called with `skip_layers`.
    """

    name: str
    rows: tuple[str, ...]
    called: str
    skips: bool = False


@dataclass(frozen=True, repr=False)
class Generation:
    """One call of a pipeline.

    Attributes:
        session: Number of its key.
        scheduler: Which one; without a scheduler that is followed, its timesteps are listed by `start` and `stride`.
        steps: Steps that are listed.
        start: The first that is run: strength, or a refinement.
        onward: So many timesteps behind the last one of its session it begins instead, where no scheduler is followed.
        stop: Steps that are left out at the end, for another generation to refine.
        begin_index: Whether the scheduler is told where it begins.
        exchanged: Whether the pipeline is given another scheduler object first.
        order: Other timesteps than those that the scheduler listed: places in its list, repeated or not monotone.
        rising: Whether timesteps rise, where no scheduler is followed.
        stride: Every so-manieth timestep, where no scheduler is followed.
        naming: "context", "index" (with the number of the step), "branch", "none" or "paired".
        passes: Names of the passes, in the order of their calls.
        batched: Whether they are the rows of one call.
        drop: The step from which the unconditional pass is left out; in a batch, the step from which it is halved.
        skip: Steps with a pass that skips layers.
        skip_named: Whether that one has a name of its own.
        windows: Calls of each pass about several windows.
        short: Whether the last window is shorter.
        stages: Calls of each window at several timesteps within a step.
        outer: What is outermost in a step: "stages" or "windows".
        prompt: "new", "cond" (that of the conditional pass is), "equal" (other objects), or "same" (objects).
        noise: Whether it is another one.
        keeping: "objects", "anew" (at each step) or "buffer" (overwritten in place).
        guidance: "none", "number", "tensor" or "anew".
        clock: How the timestep is passed: "tensor", "number" or "rows".
        cut: Calls after which it is cancelled.
        breaks: How: "stop" between two calls, or at the "prelude" or "postlude" of one.
        repeats: Whether the call that broke is repeated, and the generation goes on.
        resets: Whether the pipeline resets at its end.
        boundary: The step from which the second transformer is called, where there is one.
        samples: Steps of the scheduler for each step, one for each sample.
    """

    session: int = 0
    scheduler: str = "euler"
    steps: int = 3
    start: int = 0
    onward: int | None = None
    stop: int = 0
    begin_index: bool = False
    exchanged: bool = False
    order: tuple[int, ...] | None = None
    rising: bool = False
    stride: int = 1
    naming: str = "context"
    passes: tuple[str, ...] = ("cond",)
    batched: bool = False
    drop: int | None = None
    skip: tuple[int, int] | None = None
    skip_named: bool = False
    windows: int = 1
    short: bool = False
    stages: int = 1
    outer: str = "stages"
    prompt: str = "new"
    noise: bool = True
    keeping: str = "objects"
    guidance: str = "none"
    clock: str = "tensor"
    cut: int | None = None
    breaks: str = "stop"
    repeats: bool = False
    resets: bool = True
    boundary: int | None = None
    samples: int = 1

    def __repr__(self) -> str:
        shown = ((one.name, getattr(self, one.name)) for one in fields(self) if getattr(self, one.name) != one.default)
        return f"Generation({', '.join(f'{name}={value!r}' for name, value in shown)})"

    @property
    def is_plain(self) -> bool:
        """Whether all but each branch's first step may be reused."""
        simple = self.windows == self.stages == 1 and self.cut is None and self.skip is self.drop is self.order is None
        return simple and self.boundary is None and self.steps > 1

    def passes_of(self, step: int) -> tuple[Pass, ...]:
        """Returns the passes of a step."""
        dropped = self.drop is not None and step >= self.drop
        names = tuple(name for name in self.passes if not (dropped and name == "uncond"))
        found = [Pass("batch", names, "cond")] if self.batched else [Pass(name, (name,), name) for name in names]
        if self.skip is not None and self.skip[0] <= step < self.skip[1]:
            found.append(Pass("skip", ("cond",), "skip" if self.skip_named else "cond", skips=True))
        return tuple(found)

    def places(self) -> list[tuple[int, int]]:
        """Returns stage and window of the calls of each pass in a step, in their order."""
        stages, windows = range(self.stages), range(self.windows)
        if self.outer == "windows":
            return [(stage, window) for window in windows for stage in stages]
        return [(stage, window) for stage in stages for window in windows]

    def tokens(self, window: int) -> int:
        """Returns how long a window is."""
        return FRAMES - (self.short and self.windows > 1 and window == self.windows - 1)


@dataclass(frozen=True)
class Rows:
    """Calls whose rows are two requests, each at a timestep of its own, as a server makes them.

    Attributes:
        session: Number of the key.
        calls: How many there are.
        replaced: The call at which the second row becomes another request.
        start: Where the first row begins in the list of timesteps.
        apart: So many timesteps the second row is behind.
        jump: So many more the request that replaces it is behind.
    """

    session: int = 0
    calls: int = 3
    replaced: int = 1
    start: int = 0
    apart: int = 1
    jump: int = 1


@dataclass(frozen=True)
class Round:
    """Generations that take turns.

    Attributes:
        parts: One, or two of different sessions.
        turns: How often each may go on before it is the other's turn; repeated for ever.
        threads: Whether each session has a thread of its own.
    """

    parts: tuple[Generation | Rows, ...]
    turns: tuple[int, ...] = (1,)
    threads: bool = False


@dataclass(frozen=True)
class Story:
    """What happens to one pipeline, or to one transformer.

    Attributes:
        followed: Whether a pipeline is hooked, so that its scheduler tells; else a transformer alone is.
        mixed: Whether the transformer has diffusers' mixin.
        signal: What decides, see `Toy`.
        inference: Whether it runs in inference mode.
        rounds: What happens.
    """

    followed: bool
    mixed: bool
    signal: str
    inference: bool
    rounds: tuple[Round, ...]
