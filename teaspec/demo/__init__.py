"""`teaspec demo`: a real diffusers pipeline, uncached and cached, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from teaspec.demo.settings import DemoSettings

if TYPE_CHECKING:
    from teaspec.demo.result import DemoResult

__all__ = ["DemoSettings", "run"]

FIGURE = "decisions.png"


def run(
    output: Path, settings: DemoSettings | None = None, report: Callable[[str], None] = lambda _stage: None
) -> DemoResult:
    """Generates with FLUX uncached and at several thresholds, and measures.

    Args:
        output: Folder for the picture; made if it does not exist.
        settings: Size and repetitions; the defaults take about a minute and a half on two cores.
        report: Told what is being done, one short phrase at a time.

    Returns:
        All figures, with the path of the picture.

    Raises:
        ModuleNotFoundError: If matplotlib or transformers is missing; `pip install teaspec[demo]` brings both.
    """
    # Both extras and diffusers are imported here, so that the command line can offer the demo without them.
    with _without_notices():
        from teaspec.demo.hook_cost import measure_hook_cost
        from teaspec.demo.measure import measure_runs
        from teaspec.demo.pipeline import build_pipeline
        from teaspec.demo.plot import draw
        from teaspec.demo.result import DemoResult
        from teaspec.demo.timing import quiet

    started = perf_counter()
    settings = settings or DemoSettings()
    output.mkdir(parents=True, exist_ok=True)
    figure = output / FIGURE
    report("building the pipeline")
    pipeline = build_pipeline(settings)
    with quiet() as threads:
        uncached, runs = measure_runs(pipeline, settings, report)
        report("the hook against no hook")
        cost = measure_hook_cost(pipeline, settings)
    draw(runs, figure)
    return DemoResult(
        settings=settings,
        parameters=sum(parameter.numel() for parameter in pipeline.transformer.parameters()),
        threads=threads,
        uncached=uncached,
        runs=runs,
        hook_cost=cost,
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
