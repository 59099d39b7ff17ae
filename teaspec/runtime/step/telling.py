"""What the hook says of its own accord: each decision to who asked, and once what a user should know."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from teaspec.runtime.rules.record import Decision
from teaspec.runtime.rules.verdict import NOT_FINITE

if TYPE_CHECKING:
    from torch import nn

    from teaspec.runtime.generation.sessions import Session
    from teaspec.runtime.step.stepping import Step

logger = logging.getLogger("teaspec.runtime.hook")

BARREN = 4
"""After so many steps in a row of which nothing was known to be theirs, somebody should know."""


class Teller:
    """Says things, most of them once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def once(self, about: str, message: str, *args: Any) -> None:
        """Logs a warning, the first time that it is about this."""
        if about not in self._said:
            self._said.add(about)
            logger.warning(message + ". Said once", *args)

    def training(self, name: str) -> None:
        """Says that a transformer that is trained is not cached."""
        self.once(
            "training",
            "This %s is being trained: its calls are computed, without TeaCache. Call eval(), or run it under "
            "torch.no_grad(), to have them cached",
            name,
        )

    def gradients(self, name: str) -> None:
        """Says that a call whose inputs want gradients is not cached."""
        self.once(
            "gradients",
            "Inputs of this %s require gradients: such calls are computed, without TeaCache, for what is reused has no "
            "gradient. Run it under torch.no_grad() to have them cached",
            name,
        )

    def decision(self, module: nn.Module, decision: Decision, callback: Callable[[Any, Decision], None] | None) -> None:
        """Tells a decision."""
        logger.debug("TeaCache %s", decision)
        if decision.reason == NOT_FINITE:
            numbers = ", ".join(f"{name} {value}" for name, value in decision.numbers.items())
            self.once(
                decision.reason,
                "TeaCache measured what is not finite (branch %s, step %d: %s); such steps are computed",
                *(decision.branch, decision.step, numbers),
            )
        if callback is None:
            return
        try:
            callback(module, decision)
        except Exception:  # who looks on must not break the image
            logger.exception("TeaCache's on_decision failed")

    def step(self, session: Session, step: Step) -> None:
        """Says what a step shows that its user should know."""
        if step.forgets:
            self.once(
                "rows",
                "The rows of one call are at different timesteps; TeaCache decides about a call as a whole, so such "
                "calls are computed and nothing of them is kept. Give each request calls and a session of its own to "
                "have them cached",
            )
        elif session.barren == BARREN:
            where = f" ({', '.join(step.where)} changed)" if step.where else ""
            self.once(
                "barren",
                "TeaCache has reused nothing for %d steps: nothing shows that the calls go on with those of the step "
                "before (%s%s). Name the calls of a step with teaspec.branch(name), or use teaspec.enable(pipeline), "
                "which follows its scheduler. An argument that is made anew at each step belongs under `varying` in "
                "the model's spec, or in the `varying` of a hand-written extractor",
                *(BARREN, step.verdict.reason, where),
            )
        if step.total is not None and step.index >= step.total and step.position.run is None:
            self.once(
                "overrun",
                "More steps run than were told: step %d of %d. Settings for the end of a generation cannot be met. "
                "teaspec.enable(pipeline) knows the number from the scheduler",
                *(step.index + 1, step.total),
            )

    def end(self, session: Session, guards_the_end: bool) -> None:
        """Says at the end of a generation that it ended too early for a setting.

        Args:
            session: Of the generation.
            guards_the_end: Whether there is such a setting.
        """
        if (
            guards_the_end
            and session.position is not None
            and session.total is not None
            and session.last + 1 < session.total
        ):
            self.once(
                "underrun",
                "The generation ended at step %d of the %d that were told, so settings for its end were not met. "
                "teaspec.enable(pipeline) knows the number from the scheduler",
                *(session.last + 1, session.total),
            )
