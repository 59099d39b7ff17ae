"""The states of all branches (CFG passes) of one transformer."""

from __future__ import annotations

from diffusers.hooks.hooks import StateManager

from teaspec.runtime.state import TeaCacheState


class BranchStates(StateManager):
    """diffusers' StateManager, which `cache_context(name)` reaches, with access to a state by branch name."""

    def __init__(self) -> None:
        # diffusers annotates the class that it takes as an instance of it.
        super().__init__(TeaCacheState)  # type: ignore[arg-type]

    def find_branch(self) -> str | None:
        """Returns the name given to `cache_context`, or None outside of one."""
        return None if self._context is None else str(self._context.name)

    def find_place(self) -> tuple[int | None, int | None]:
        """Returns the step and the number of steps that were given to `cache_context`, None where they were not."""
        return (None, None) if self._context is None else (self._context.step_index, self._context.num_inference_steps)

    def find_state(self, branch: str) -> TeaCacheState | None:
        """Returns the branch's state, or None before its first step."""
        state: TeaCacheState | None = self._state_cache.get(branch)
        return state

    def put_state(self, branch: str, state: TeaCacheState) -> None:
        """Replaces the branch's state."""
        self._state_cache[branch] = state

    def forget(self) -> None:
        """Drops all states; the context of a running call stays."""
        self._state_cache.clear()

    @property
    def states(self) -> dict[str, TeaCacheState]:
        """The states by branch name."""
        return dict(self._state_cache)
