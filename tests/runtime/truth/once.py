"""Stories that were wrong once: the shortest that showed each fault, and what the fault was."""

from __future__ import annotations

from tests.runtime.truth.plans import Generation, Round, Story


def told(*parts: Generation | Round, followed: bool = False, inference: bool = False) -> Story:
    """Returns a story."""
    rounds = tuple(part if isinstance(part, Round) else Round((part,)) for part in parts)
    return Story(followed, True, "constant", inference, rounds)


STORIES: dict[str, Story] = {
    # The k-th call of a name was taken for the k-th of the step before, which had another number of calls.
    "passes come or go among calls that are counted": told(
        Generation(naming="none", windows=3, skip=(1, 5)), followed=True
    ),
    # After so many moves within a step the run was not trusted, and the rest of the step was guessed.
    "windows that are solved one after the other, by three stages": told(
        Generation(steps=1, windows=3, stages=3, outer="windows"), followed=True
    ),
    # What was overwritten, and not copied, counted as other conditioning: the second window began a generation.
    "windows whose prompt is overwritten, where prompts were left alone": told(
        Generation(steps=2), Generation(steps=2, windows=2, keeping="buffer")
    ),
    # Only the session that called first learnt of the other scheduler.
    "another scheduler for two sessions that take turns": told(
        Generation(session=1, scheduler="ddim", cut=2),
        Round(
            (
                Generation(steps=1, scheduler="ddim", exchanged=True),
                Generation(session=1, steps=2, scheduler="ddim", prompt="same"),
            )
        ),
        followed=True,
    ),
    # Whether somebody told that the generation goes on went by the number of this call alone.
    "a pipeline that gives the number of the step, behind one that does not": told(
        Generation(steps=1, passes=("cond", "uncond"), resets=False),
        Generation(steps=1, onward=1, naming="index", passes=("cond", "uncond"), prompt="cond"),
    ),
    # Steps were counted of which nothing was renewed; prompts alone were the same objects.
    "guidance that is made anew, and another generation with the same": told(
        Generation(guidance="anew", cut=2), Generation(start=3, guidance="anew", prompt="equal")
    ),
    # Tensors of inference mode have no version, so none of them was ever known to be the same.
    "another generation with the same, in inference mode": told(
        Generation(cut=2), Generation(start=3, prompt="equal"), inference=True
    ),
    # Its first call was of another layout, so that nothing was compared; its second was not.
    "another generation that begins with a batch of another size": told(
        Generation(steps=1, skip=(0, 1), stages=2, resets=False),
        Generation(steps=1, skip=(0, 1), stages=2, prompt="same", resets=False),
        Generation(
            steps=1, start=1, passes=("cond", "uncond", "third"), batched=True, skip=(0, 1), prompt="same", resets=False
        ),
    ),
    # Two single steps of other guidance made up the number of calls that the step before them had, and were trusted.
    "as many calls as the windows of another generation": told(
        Generation(steps=1, naming="none", windows=2, prompt="same", resets=False),
        Generation(steps=1, start=1, naming="none", prompt="same", guidance="number", resets=False),
        Generation(steps=2, onward=0, naming="none", prompt="same", guidance="number", resets=False),
    ),
    # Behind a step that nobody was sure of, objects that had been the same at all steps counted as never seen.
    "the same with other objects, behind a step with a call more": told(
        Generation(steps=1, prompt="same", resets=False),
        Generation(steps=4, passes=("cond", "uncond"), skip=(2, 3), prompt="same", resets=False),
        Generation(steps=1, onward=1, passes=("cond", "uncond"), prompt="equal", resets=False),
    ),
    # How timesteps move from one generation to the next was taken for the direction of the next.
    "a generation further back behind one of a single step, and the same again": Story(
        False,
        False,
        "constant",
        False,
        tuple(
            Round((one,))
            for one in (
                Generation(steps=1, start=1, stages=2, prompt="same", resets=False),
                Generation(steps=1, onward=0, prompt="same", resets=False),
                Generation(steps=1, stages=2, prompt="cond", resets=False),
                Generation(steps=1, stages=2, prompt="same", resets=False),
            )
        ),
    ),
    "a generation further back with another prompt, and that one's prompt again": told(
        Generation(steps=1, onward=1, prompt="same", resets=False),
        Generation(steps=2, prompt="cond", resets=False),
        Generation(steps=1, prompt="same", resets=False),
    ),
    # A number was another timestep than a tensor of the same value, and so a later step.
    "the same once more, whose timestep is a number": told(
        Generation(steps=1, naming="none", prompt="same", resets=False),
        Generation(steps=1, naming="none", prompt="same", resets=False),
        Generation(steps=1, naming="none", prompt="same", resets=False),
        Generation(steps=1, naming="none", prompt="same", clock="number", resets=False),
    ),
    # The second window, whose prompt was overwritten, began a generation that knew nothing of the first.
    "windows of another batch size, further along": told(
        Generation(steps=2, prompt="same", resets=False),
        Generation(
            steps=2,
            onward=1,
            passes=("cond", "uncond", "third"),
            batched=True,
            windows=2,
            prompt="same",
            keeping="buffer",
            resets=False,
        ),
    ),
    # Images were compared in a generation's first step alone, and this one began as if it were a later step.
    "of another batch size further along, given up, and again at the same timestep": told(
        Generation(steps=1, prompt="same", resets=False),
        Generation(steps=1, onward=1, passes=("cond", "uncond", "third"), batched=True, prompt="same", resets=False),
        Generation(steps=2, onward=0, passes=("cond", "uncond", "third"), batched=True, prompt="same", resets=False),
    ),
    "of another name further along, given up, and again at the same timestep": told(
        Generation(steps=1, naming="none", prompt="same", resets=False),
        Generation(steps=1, onward=1, prompt="same", resets=False),
        Generation(steps=2, onward=0, prompt="same", resets=False),
    ),
    # Within a later step, a call of a name that had been called in it was taken for one of that step.
    "again at the timestep at which the one before ended, in a later step": Story(
        False,
        False,
        "constant",
        False,
        tuple(
            Round((one,))
            for one in (
                Generation(steps=1, prompt="same", resets=False),
                Generation(order=(1, 0, 1), naming="index", prompt="same", guidance="number", resets=False),
                Generation(steps=2, onward=0, naming="index", prompt="same", guidance="number", resets=False),
            )
        ),
    ),
    # What began a generation by its conditioning forgot the direction.
    "two passes of one name, and a timestep that turns back": told(
        Generation(skip=(0, 5), cut=3), Generation(prompt="same")
    ),
}
