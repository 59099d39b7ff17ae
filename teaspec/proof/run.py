"""Checking a spec: the order in which everything is proven, and the report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from teaspec.compiler import SpecError, compile_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.report import did_you_mean
from teaspec.compiler.rules.config import check_config_keys
from teaspec.proof.build import ProbeError
from teaspec.proof.determinism import FreshInterpreter, prove_deterministic, sources
from teaspec.proof.falsify import falsify
from teaspec.proof.flops import count_flops
from teaspec.proof.hooked import ALWAYS_REUSE, call, hooked
from teaspec.proof.inputs import Example
from teaspec.proof.limits import little_memory
from teaspec.proof.properties import PROPERTIES, Property
from teaspec.proof.result import CachedState, CheckReport, Flops, LandmarkLine, Movement, PropertyResult, SunkLine
from teaspec.proof.reuse import moves_with_time
from teaspec.proof.subject import Subject
from teaspec.versions.history import history_of

if TYPE_CHECKING:
    from teaspec.compiler.forms.spec import Spec

Progress = Callable[[str], None]


def check_spec(
    spec: Spec,
    *,
    examples: int = 50,
    seed: int = 0,
    progress: Progress = lambda _name: None,
    interpreter: FreshInterpreter | None = None,
    allow: Collection[str] = (),
) -> CheckReport:
    """Builds the probe, compiles the spec for it, and proves the extractor.

    Args:
        spec: A checked spec with a probe.
        examples: How many calls are drawn for each property.
        seed: Seed of weights and draws. The same seed gives the same report.
        progress: Told the name of each property before it is tried.
        interpreter: Where the second compilation runs; for several specs one saves the time to start it.
        allow: Packages that the model may come from besides diffusers. Importing a package runs its code.

    Returns:
        The report; a property that fails is a result, no exception.

    Raises:
        SpecError: The model cannot or may not be imported, or the spec cannot be compiled for it.
        ProbeError: The spec has no probe, or the probe's model cannot be built.
    """
    if not spec.probe.inputs:
        raise ProbeError("the spec has no `probe` with inputs, so there is nothing to run")
    if interpreter is None:
        with FreshInterpreter(seed) as own:
            return check_spec(spec, examples=examples, seed=seed, progress=progress, interpreter=own, allow=allow)
    subject = Subject(spec, import_model(spec, allow), compile_spec, seed)
    _require_parameters(subject)
    with surroundings(), little_memory():
        # compiled first of all: what the compiler has to say comes before any proof
        generated = sources(subject)
        _require_variants(subject)
        answer = interpreter.request(spec, allow)
        results: list[PropertyResult] = []
        for item in PROPERTIES:
            results.append(prove(subject, item, examples=examples, seed=seed, progress=progress))
            if item.name == "forward" and not results[-1].passed:
                break  # what a model does that fails, or repeats nothing, says nothing about an extractor
        progress("deterministic")
        results.append(prove_deterministic(generated, interpreter, answer))
        return _report(subject, tuple(results))


def _require_variants(subject: Subject) -> None:
    """Refuses variants whose signal is nowhere, and a `match` that could never fit."""
    spec, module = subject.spec, subject.module(subject.largest)
    config = getattr(module, "config", None)  # outside diffusers anything may be called so
    findings = check_config_keys(spec, dict(config) if isinstance(config, Mapping) else {})
    if mistakes := [finding.diagnose(spec.document) for finding in findings]:
        raise SpecError(mistakes)
    for variant in spec.teacache.variants:
        compile_spec(spec.for_variant(variant), module)


def prove(
    subject: Subject, item: Property, *, examples: int, seed: int, progress: Progress = lambda _name: None
) -> PropertyResult:
    """Tries one property on drawn examples.

    Args:
        subject: What is proven.
        item: The property.
        examples: How many calls are drawn.
        seed: Seed of the draws.
        progress: Told the name of the property.

    Returns:
        The result, with the smallest failing example where there is one.
    """
    progress(item.name)
    outcome = falsify(subject.strategy(), lambda example: item.holds(subject, example), examples=examples, seed=seed)
    if outcome.failing is None:
        return PropertyResult(item.name, item.claim, True, outcome.examples)
    error = outcome.error
    message = str(error) if isinstance(error, (AssertionError, ProbeError)) else f"{type(error).__name__}: {error}"
    difference = getattr(error, "max_abs_difference", None)
    text = subject.describe(outcome.failing)
    return PropertyResult(item.name, item.claim, False, outcome.examples, message, text, difference)


def _require_parameters(subject: Subject) -> None:
    """Refuses arguments that the forward does not take: the spec is about another version of the model."""
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in subject.parameters.values()):
        return
    history = history_of(subject.spec.model)
    inputs = dict.fromkeys(name for alternative in subject.alternatives for name in alternative.inputs)
    said = {
        **dict.fromkeys(inputs, "the probe passes"),
        **dict.fromkeys(subject.spec.probe.untried, "`untried` explains"),
    }
    for name, does in said.items():
        if name not in subject.parameters and history.find("inputs", name) is None:
            near = "; ".join(did_you_mean(name, subject.parameters))
            raise ProbeError(f"{does} `{name}`, which the forward does not take" + (near and f"; {near}"))


def _report(subject: Subject, results: tuple[PropertyResult, ...]) -> CheckReport:
    spec = subject.spec
    largest = subject.largest
    extractor: Any = subject.extractor(largest)
    program = extractor.program
    inputs = {name for alternative in subject.alternatives for name in alternative.inputs}
    passed = all(result.passed for result in results)  # a step of an extractor that failed may not even run
    return CheckReport(
        spec=spec.document.name,
        model=spec.model,
        landmarks=tuple(
            LandmarkLine(mark.role, mark.label, mark.span.file, mark.span.line, mark.source_line.strip())
            for mark in program.landmarks
        ),
        cached=CachedState(
            residuals=tuple(value.name for value in program.live if value.kind == "stream"),
            carried=tuple(value.name for value in program.live if value.kind == "carried"),
            arguments=tuple(name for name in spec.blocks.carried if name in inputs),
        ),
        sunk=tuple(SunkLine(statement.line, statement.text) for statement in program.sunk),
        flops=_flops(subject, largest) if passed else None,
        movement=Movement(moves_with_time(subject, largest) if passed else None, spec.blocks.frozen, subject.unjudged),
        untried=dict(spec.probe.untried),
        left_out=subject.left_out,
        not_exercised=tuple(
            name for name in subject.parameters if name not in {*inputs, *spec.probe.untried, "return_dict"}
        ),
        properties=results,
        source=extractor.source,
    )


def _flops(subject: Subject, example: Example) -> Flops | None:
    full = count_flops(lambda: call(subject.module(example), subject.arguments(example)))
    with hooked(subject, example, ALWAYS_REUSE) as module:
        call(module, subject.arguments(example))
        reused = count_flops(lambda: call(module, subject.arguments(example)))
    return None if full is None or reused is None else Flops(full, reused)


@contextmanager
def surroundings() -> Iterator[None]:
    """What a proof runs in: one thread, nothing compiled, and without diffusers' warnings.

    The tensors of a probe are far too small to share among threads, which would mostly wait for each other, and its
    calls too many to compile: flex attention compiles itself wherever it is called. The warnings are about deprecated
    and ineffective arguments, which a probe passes on purpose.
    """
    logger = logging.getLogger("diffusers")
    level, threads = logger.level, torch.get_num_threads()
    logger.setLevel(logging.ERROR)
    torch.set_num_threads(1)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.set_num_threads(threads)
        logger.setLevel(level)
