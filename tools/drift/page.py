"""The generated part of docs/drift.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.drift.outcomes import ABSENT, FAILS, PASSES, PROBE, REFUSED, Seen

BEGIN = "<!-- Written by `make drift` from here on. Do not edit. -->"
END = "<!-- To here. -->"


def with_table(page: str, seen: Sequence[Seen], when: str, command: str) -> str:
    """The page with its generated part made anew.

    Args:
        page: The page as it is.
        seen: What each environment says, in the order of the rows.
        when: The day, as it is shown.
        command: What was run.

    Raises:
        ValueError: The page has no such part.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no part between {BEGIN!r} and {END!r}")
    part = "\n".join(_part(seen, when, command))
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def _part(seen: Sequence[Seen], when: str, command: str) -> Iterator[str]:
    yield f"{when}, `{command}`:"
    yield ""
    yield "| diffusers | torch | Python | classes | pass | refused | fail | fault of the probe | FluxPipeline |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for one in seen:
        there = len(one.specs) - one.count(ABSENT)
        numbers = (there, *(one.count(kind) for kind in (PASSES, REFUSED, FAILS, PROBE)))
        failed = [claim for claim, held in one.claims.items() if not held]
        held = "all hold" if one.claims else "not run"
        pipeline = f"fails: {', '.join(failed)}" if failed else held
        yield f"| {one.diffusers} | {one.torch} | {one.python} | {' | '.join(map(str, numbers))} | {pipeline} |"
    yield ""
    yield "What does not pass:"
    yield ""
    reasons = [
        f"* diffusers {one.diffusers}, `{name}`: {outcome}"
        for one in seen
        for name, outcome in one.specs.items()
        if outcome.kind not in (PASSES, ABSENT)
    ]
    yield from reasons or ["Nothing: each class that a version has passes."]
    yield ""
    yield "Parts of probes that a version lacks, and that were therefore left out:"
    yield ""
    yield "| diffusers | probes | parts |"
    yield "| --- | ---: | ---: |"
    for one in seen:
        parts = [outcome.left_out for outcome in one.specs.values() if outcome.left_out]
        yield f"| {one.diffusers} | {len(parts)} | {sum(map(len, parts))} |"
