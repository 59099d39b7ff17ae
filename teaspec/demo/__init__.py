"""`teaspec demo`: diffusers' own pipelines around small trained models, uncached and cached, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from teaspec.demo.settings import DIGITS, VIDEOS, DemoSettings, Setting

if TYPE_CHECKING:
    from teaspec.demo.result import DemoResult

__all__ = ["DIGITS", "VIDEOS", "DemoSettings", "Setting", "run"]


def run(
    output: Path, settings: DemoSettings = DIGITS, report: Callable[[str], None] = lambda _stage: None
) -> DemoResult:
    """Generates with a trained model uncached and cached, with and without guidance, and measures.

    Args:
        output: Folder for the pictures; made if it does not exist.
        settings: What is generated and how often; `DIGITS` and `VIDEOS` take less than a minute each on two cores.
        report: Told what is being done, one short phrase at a time.

    Returns:
        All figures, with the paths of the pictures.

    Raises:
        ModuleNotFoundError: If matplotlib or transformers is missing; `pip install teaspec[demo]` brings both.
    """
    # Both extras and diffusers are imported here, so that the command line can offer the demo without them.
    with _without_notices():
        from teaspec.demo.hook_cost import count_flops, measure_hook_cost, record
        from teaspec.demo.measure import compare
        from teaspec.demo.plot import draw
        from teaspec.demo.result import DemoResult
        from teaspec.demo.sheet import draw_sheet
        from teaspec.demo.subject import Subject, quiet

    started = perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    report(f"loading the model of {settings.model}")
    subject = Subject.make(settings)
    with quiet() as threads:
        calls = record(subject)
        flops = count_flops(subject, calls)
        comparisons = tuple(compare(subject, guidance, flops, report) for guidance in settings.guidances)
        report("the hook against no hook")
        cost = measure_hook_cost(subject, calls)
    sheet, figure = output / f"{settings.model}.png", output / f"{settings.model}-decisions.png"
    draw_sheet(comparisons, settings.model, sheet)
    draw(comparisons, figure)
    return DemoResult(
        settings=settings,
        pipeline=type(subject.pipeline).__name__,
        reading=subject.model.reading,
        parameters=sum(parameter.numel() for parameter in subject.model.transformer.parameters()),
        threads=threads,
        comparisons=comparisons,
        hook_cost=cost,
        flops=flops,
        sheet=sheet,
        figure=figure,
        elapsed=perf_counter() - started,
    )


@contextmanager
def _without_notices() -> Iterator[None]:
    """Keeps transformers from remarking on packages that the demo has no use for."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
