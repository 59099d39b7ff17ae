"""A report for people: as styled text, and in one line."""

from __future__ import annotations

from rich.text import Text

from teaspec.proof.result import CheckReport, PropertyResult

_INDENT = "  "


def render_report(report: CheckReport) -> Text:
    """The whole report; the last line says whether it passed."""
    lines = [
        Text.assemble((report.spec, "bold"), f"  {report.model}"),
        Text("landmarks", "bold"),
        *_columns([(mark.role, mark.label, f"{mark.file}:{mark.line}", mark.source_line) for mark in report.landmarks]),
        Text.assemble(("cached", "bold"), f"  {_cached(report)}"),
        Text("runs on computed steps only", "bold"),
        *_columns([(f"line {sunk.line}", _shortened(sunk.text)) for sunk in report.sunk] or [("nothing",)]),
    ]
    if report.flops is not None:
        flops = report.flops
        lines.append(
            Text.assemble(
                ("operations", "bold"),
                f"  a reused step takes {flops.reused:,} of {flops.full:,} ({flops.ratio:.1%})",
            )
        )
    lines += _movement(report)
    if report.untried:
        lines.append(Text("untried", "bold"))
        lines += _columns(list(report.untried.items()))
    if report.left_out:
        lines.append(Text.assemble(("left out", "bold"), "  what the installed version of the model does not have"))
        lines += _columns([(part,) for part in report.left_out])
    if report.not_exercised:
        lines.append(Text.assemble(("not exercised by the probe", "bold"), f"  {', '.join(report.not_exercised)}"))
    lines.append(Text("properties", "bold"))
    lines += [line for result in report.properties for line in _property(result)]
    lines.append(render_line(report))
    return Text("\n").join(lines)


def render_line(report: CheckReport) -> Text:
    """The report in one line."""
    failed = [result for result in report.properties if not result.passed]
    if not failed:
        less = f", {len(report.left_out)} parts of the probe left out" if report.left_out else ""
        return Text.assemble(("PASS", "bold green"), f" {report.spec}: {len(report.properties)} properties hold{less}")
    first = failed[0].message.partition("\n")[0]
    names = ", ".join(result.name for result in failed)
    return Text.assemble(("FAIL", "bold red"), f" {report.spec}: {names} ({first})")


def _property(result: PropertyResult) -> list[Text]:
    word, style = ("PASS", "green") if result.passed else ("FAIL", "bold red")
    head = Text.assemble(
        _INDENT, (word, style), f" {result.name:<13} {_examples(result.examples):>12}  ", (result.claim, "dim")
    )
    if result.passed:
        return [head]
    lines = [head, *(Text(_INDENT * 2 + line, "red") for line in result.message.splitlines())]
    if result.minimal_example is not None:
        lines.append(Text(_INDENT * 2 + "smallest failing example:"))
        lines += [Text(_INDENT * 3 + line) for line in result.minimal_example.splitlines()]
    return lines


def _columns(rows: list[tuple[str, ...]]) -> list[Text]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return [Text((_INDENT + _INDENT.join(cells)).rstrip()) for cells in padded]


def _cached(report: CheckReport) -> str:
    cached = report.cached
    parts = [f"the residual of {name}" for name in cached.residuals]
    parts += [f"{name} as it is" for name in cached.carried]
    parts += [f"what {name} made of the streams" for name in cached.arguments]
    return ", ".join(parts)


def _movement(report: CheckReport) -> list[Text]:
    movement = report.movement
    facts = []
    if movement.frozen is not None:
        facts.append(f"may return what the computed one did, whatever it is given: {movement.frozen}")
    elif movement.by_time is False:
        facts.append("is not moved by the timestep alone: the output head does not read it")
    facts += [f"cannot be judged in case {case or 'base'}: {why}" for case, why in movement.unjudged.items()]
    return [Text.assemble(("a reused step", "bold"), f"  {fact}") for fact in facts]


def _examples(count: int) -> str:
    return f"{count} example{'' if count == 1 else 's'}"


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
