"""The benchmarks measure what they say: small runs of their parts. No test here looks at a time."""

from __future__ import annotations

import json
import math
import os
from time import sleep
from types import SimpleNamespace
from typing import NamedTuple

import compare as comparing
import gpu
import pytest
import tolerance as tolerances
import torch
from card.clock import share_between
from card.models import PUBLISHED, TINY, build
from comparison import methods as catalogue
from comparison.measure import Comparison, Outcome, Point, compare
from comparison.show import as_markdown, draw
from comparison.side_by_side import side_by_side
from comparison.subject import STEPS
from comparison.subject import Subject as Trained
from hooked.cost import measure
from hooked.models import MODELS, Size
from hooked.rules import Ruled, measure_rules
from hooked.spread import Spread
from hooked.subject import Subject
from torch.utils.flop_counter import FlopCounterMode
from tried.easycache import EasyCache
from tried.magcache import ratios_of, worked_example
from tried.projected import Projected
from tried.signals import OnHiddenStates

import teaspec
from teaspec.calibrate.choosing import FORECASTS, Added
from teaspec.runtime.rules.forecast import forecast_of
from teaspec.runtime.rules.rule import Start
from teaspec.runtime.rules.steps import Guards, Place

SMALL = Size(side=4, layers=3, batch=2)


@pytest.fixture(scope="module", autouse=True)
def no_grad():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("model", MODELS)
def test_parts_are_the_work_of_a_reused_step(model):
    subject = Subject(model, SMALL)
    for call in subject.calls[:3]:
        reused = subject.reusing(**call)
    assert torch.equal(subject.parts(**subject.calls[2])[0], reused[0])


@pytest.mark.parametrize(
    "model", ["flux", *(pytest.param(n, marks=pytest.mark.thorough) for n in MODELS if n != "flux")]
)
def test_hooked_copies_compute_and_reuse(model):
    subject = Subject(model, SMALL)
    cost = measure({model: subject}, rounds=2)[model]
    assert (cost.computed.count, cost.reused.count) == (2, 6)
    plain, computed = (run(**subject.calls[0])[0] for run in (subject.plain, subject.computing))
    assert torch.equal(plain, computed)
    with pytest.raises(AssertionError):
        subject.computing, subject.reusing = subject.reusing, subject.computing
        subject.check()


def test_reused_steps_keep_few_operations_and_order_1_holds_one_residual_more():
    subject = Subject("flux", SMALL)
    assert 0 < subject.share_of_operations() < 0.2
    residual = 4 * SMALL.batch * SMALL.side**2 * 6 * 64
    assert subject.bytes_held(1) - subject.bytes_held(0) == residual


def test_a_scheduled_step_costs_less_than_one_under_a_threshold():
    """Counts alone: neither the modulated input nor the distance. Mutation: `Budget.needs_signal = True`."""
    costs = measure_rules(Ruled("flux", SMALL), rounds=1)
    assert costs["budget"].operations == costs["mask"].operations < costs["threshold"].operations
    assert costs["budget"].operators == costs["mask"].operators < costs["threshold"].operators
    assert costs["tolerance"].operations == costs["mask"].operations


def test_the_interval_of_a_median():
    assert Spread.of(list(range(100))).surely == (40, 59)  # tables of binomial order statistics for n = 100
    assert Spread.of([3.0, 1.0]).surely == (1.0, 3.0)


@pytest.mark.thorough  # `python benchmarks/gpu.py --tiny` does the same
def test_the_benchmark_of_a_card_runs_at_tiny_sizes(tmp_path):
    """Mutations seen red: REUSING made with NEVER; FirstBlockCache that is not applied."""
    arguments = ["--tiny", "--minutes", "0", "--backend", "eager"]
    gpu.main([*arguments, "--json", str(tmp_path / "gpu.json"), "--markdown", str(tmp_path / "gpu.md")])
    tables = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["tables"]
    assert [(one["model"], one["mode"]) for one in tables] == [
        (model, mode) for model in PUBLISHED for mode in ("eager", "blocks compiled")
    ]
    for one in tables:
        assert one["failures"] == {}
        operations = {row["way"]: row["operations"] for row in one["rows"]}
        plain = operations.pop("no cache")
        assert len(operations) == 6
        for way, counted in operations.items():
            assert counted >= plain if way.endswith("computed") else counted < 0.6 * plain, (one["model"], way)
        assert min(operations, key=operations.__getitem__) == "teaspec, reused"  # it runs no block, the others run one
        held = {row["way"]: row["held"] for row in one["rows"]}
        assert held["teaspec, computed"] == held["teaspec, reused"] > 0
    assert "| teaspec, reused |" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


@pytest.mark.skipif(torch.accelerator.is_available(), reason="says that there is no accelerator where there is none")
def test_without_a_card_nothing_is_measured_in_its_name(capsys):
    with pytest.raises(SystemExit, match="2"):
        gpu.main([])
    assert "there is no accelerator here; --tiny runs on a CPU" in capsys.readouterr().err


def test_what_no_kernel_covers_is_idle():
    assert share_between([(0.0, 2.0), (1.0, 3.0), (6.0, 8.0), (7.0, 10.0)]) == 3 / 10
    assert share_between([(5.0, 6.0), (0.0, 9.0)]) == 0.0  # one within another
    assert share_between([]) is None


@pytest.mark.parametrize("model", TINY)
def test_as_many_layers_are_made_as_fit(model):
    """Mutation seen red: a unit's bytes counted once too little."""
    kind = TINY[model]
    weights = [
        sum(weight.numel() * weight.element_size() for weight in kind.make(units).parameters())
        for units in range(1, kind.units + 1)
    ]
    cpu = torch.device("cpu")
    for units, room in enumerate(weights, start=1):
        assert build(kind, cpu, torch.float32, room).blocks == units * kind.blocks
        assert build(kind, cpu, torch.float32, room - 1).blocks == max(1, units - 1) * kind.blocks
    assert build(kind, cpu, torch.float32, 10 * weights[-1]).blocks == kind.units * kind.blocks


def point(method: str, costs: tuple[float, ...], psnrs: tuple[float | None, ...]) -> Point:
    outcomes = [Outcome(cost, cost, psnr, 0.9, 0.1, 1.0) for cost, psnr in zip(costs, psnrs, strict=True)]
    return Point(method, "knob", 1.0, outcomes, [costs[0] / 2, costs[0] / 2])


def test_caches_are_compared_at_equal_cost_seed_by_seed():
    """Mutation seen red: the mean of the costs in place of each seed's own."""
    points = [
        point("one", (0.3, 0.4), (30.0, 31.0)),
        point("one", (0.5, 0.5), (40.0, 31.0)),
        point("one", (1.0, 1.0), (None, None)),
        point("other", (0.2, 0.2), (20.0, 20.0)),
    ]
    text = as_markdown(Comparison("digits", 1.0, 1, [0.9, 1.0], [1.0], points, []))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| o")]
    assert rows[0] == ["one", "", "35.5 (31.0 to 40.0)", "33.0 (31.0 to 35.0)", ""]
    assert rows[1] == ["other", "", "", "", ""]
    assert rows[2] == ["one", "", "", "", ""]  # 0.15 and 0.25 of the time
    assert "| 95.0 (90.0 to 100.0) |" in text


def test_how_far_ours_is_ahead_is_told_seed_by_seed():
    """Of the best other one with each seed, which may be another one. Mutations: the mean in place of the best; ours
    among the others."""
    points = [
        point("teaspec, one", (0.5, 0.5), (40.0, 41.0)),
        point("teaspec, two", (0.5, 0.5), (50.0, 50.0)),
        point("this", (0.5, 0.5), (39.0, 30.0)),
        point("that", (0.5, 0.5), (30.0, 44.0)),
    ]
    dearer = [point(one.method, (0.6, 0.6), tuple(outcome.psnr + 9 for outcome in one.outcomes)) for one in points]
    cheaper = point("that", (0.3, 0.3), (20.0, 20.0))  # ours have none at 0.4
    text = as_markdown(Comparison("digits", 1.0, 1, [0.9, 1.0], [1.0], [*points, *dearer, cheaper], []))
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| *")]
    assert [cell.strip() for cell in rows[0]] == [
        *("*teaspec, one: ahead of the best other cache*", "-1.0 (-3.0 to +1.0)", "-1.0 (-3.0 to +1.0)", "", "")
    ]
    assert rows[1][1].strip() == "+8.5 (+6.0 to +11.0)"


@pytest.mark.parametrize("name", ["digits", "videos"])
def test_operations_are_those_that_torch_counts(name):
    """The count of the benchmark is made of shapes; torch counts what runs."""
    subject = Trained.make(name, count=2, guidance=2.0)
    pipeline = subject.twin()
    with FlopCounterMode(display=False) as counter:
        made = subject.generate(pipeline, seed=0, steps=3)
    again, took = subject.counted(pipeline, seed=0, steps=3)
    assert torch.equal(again, made)
    assert took.operations == counter.get_total_flops() > 0


@pytest.mark.thorough  # `python benchmarks/compare.py --quick` runs them, too
@pytest.mark.parametrize("name", ["digits", "videos"])
def test_every_cache_runs_on_the_trained_models(name, monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "CALIBRATION_SEEDS", (1001, 1002))
    monkeypatch.setattr(catalogue, "PLANNED_BY", {name: 2})
    subject = Trained.make(name, count=2, guidance=1.0)
    fit = catalogue.calibrate(subject)
    tried = [one.only(one.values[-1]) for one in catalogue.methods(subject, fit.coefficients, FORECASTS[:2], moves=1)]
    found = compare(subject, tried, seeds=[0], repetitions=1, report=lambda _what: None)
    assert not found.failures
    assert [one.method for one in found.points] == [one.name for one in tried]
    for one in found.points:
        (outcome,) = one.outcomes
        assert outcome.operations < 0.95 and outcome.evaluations <= 1, one
        assert outcome.psnr is not None and 15 < outcome.psnr < math.inf, one
    draw([found], tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["digits", "videos"])
def test_what_a_generation_takes(name):
    """Mutation seen red: evaluations counted in the first block, which runs on all steps of FirstBlockCache."""
    subject = Trained.make(name, count=1, guidance=2.0)
    found = {one.name: one for one in catalogue.methods(subject, catalogue.IDENTITY, FORECASTS[:2], moves=1)}
    pipeline = subject.twin()
    made, whole = subject.counted(pipeline, seed=0)
    assert whole.evaluations == 2 * 28
    again, fewer = subject.counted(pipeline, seed=0, steps=14)
    assert fewer.evaluations == 2 * 14 and fewer.operations == whole.operations / 2
    assert not torch.equal(made, again)
    found["diffusers FirstBlockCache"].apply(pipeline, 1e9)
    _, cached = subject.counted(pipeline, seed=0)
    assert cached.evaluations == 2
    assert 2 / 56 < cached.operations / whole.operations < 0.4


@pytest.mark.thorough  # `python benchmarks/compare.py --quick` does the same
def test_the_comparison_writes_tables_and_a_picture_for_each_model(tmp_path, monkeypatch, capsys):
    """Plain generations alone, every other value. Mutation seen red: the pictures of both models under one name."""
    monkeypatch.setattr(catalogue, "CALIBRATION_SEEDS", (1001,))
    monkeypatch.setattr(catalogue, "FEWER_STEPS", (4, 3, 2))
    monkeypatch.setattr(comparing, "side_by_side", lambda job, asked: list(map(job, asked)))  # others are not patched
    monkeypatch.setattr(comparing, "QUICK_COUNTS", {"digits": 1, "videos": 1})
    comparing.main(["--quick", "--only", "fewer steps", "--output", str(tmp_path)])
    found = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    assert [(one["model"], one["guidance"]) for one in found["comparisons"]] == [("digits", 1.0), ("videos", 1.0)]
    for one in found["comparisons"]:
        assert [point["value"] for point in one["points"]] == [4, 2]
        assert [[outcome["evaluations"] for outcome in point["outcomes"]] for point in one["points"]] == [
            [4 / 28] * 2,
            [2 / 28] * 2,
        ]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("compare.json", "compare.md", "compare-digits.png", "compare-videos.png")
    }
    assert "### Videos, no guidance" in capsys.readouterr().out


def test_jobs_are_done_side_by_side_on_cores_of_their_own(monkeypatch, tmp_path):
    """Mutations seen red: all cores for each process, the threads as they were, one after the other."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # what the processes begin with
    cores = os.sched_getaffinity(0)
    (alone,) = side_by_side(Where.of, [tmp_path / "alone"])
    assert (alone.process, alone.cores) == (os.getpid(), cores)
    if len(cores) < 2:
        return
    found = side_by_side(Where.met, [tmp_path / name for name in "abc"])
    assert [one.name for one in found] == ["a", "b", "c"]
    assert os.sched_getaffinity(0) == cores
    cores_of = {one.process: one.cores for one in found}
    assert 1 < len(cores_of) <= len(cores)
    assert os.getpid() not in cores_of
    assert sum(map(len, cores_of.values())) == len(set[int]().union(*cores_of.values()))
    assert all(one.threads == len(one.cores) == len(cores) // min(3, len(cores)) for one in found)


class Where(NamedTuple):
    """Where a job is done."""

    name: str
    process: int
    cores: set[int]
    threads: int

    @classmethod
    def of(cls, path):
        return cls(path.name, os.getpid(), os.sched_getaffinity(0), torch.get_num_threads())

    @classmethod
    def met(cls, path):
        """Waits until another process is at work, too, or a minute."""
        path.write_text(str(os.getpid()), encoding="utf-8")
        for _ in range(600):
            if len({one.read_text(encoding="utf-8") for one in path.parent.iterdir()} - {""}) > 1:
                break
            sleep(0.1)
        return cls.of(path)


def test_a_cache_that_fails_is_reported_with_its_error():
    def fail(_pipeline: object, _value: float) -> None:
        raise RuntimeError("does not fit")

    subject = Trained.make("digits", count=1, guidance=1.0)
    found = compare(subject, [catalogue.Method("broken", "knob", (1.0, 2.0), fail)], [0], 1, lambda _what: None)
    assert [(one.method, one.error) for one in found.failures] == [("broken", "RuntimeError: does not fit")]
    assert "broken: `RuntimeError: does not fit`" in as_markdown(found)


@pytest.mark.parametrize("name", ["digits", "videos"])
def test_prompts_by_themselves_are_those_of_a_batch(name):
    """Goes red where `first` is left out, and where it is the number of the seed alone."""
    model = Trained.make(name, 1, 1.0).model
    asked = []
    pipeline = model.pipeline(model.transformer)
    pipeline.transformer.register_forward_pre_hook(
        lambda _module, _args, kwargs: asked.append(kwargs["encoder_hidden_states"].clone()), with_kwargs=True
    )
    for count, first in ((12, 0), (1, 11), (2, 4)):
        model.generate(pipeline, count, seed=0, steps=1, first=first)
    assert torch.equal(asked[1], asked[0][11:]) and torch.equal(asked[2], asked[0][4:6])
    assert not torch.equal(asked[0][4], asked[0][5])


def test_a_tolerance_is_measured_on_what_was_made():
    """Red where the error is not relative, and where the gain is not handed on."""
    uncached = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
    made = uncached + torch.tensor([[0.5, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert tolerances.errors_of(made, uncached) == pytest.approx([0.1, 0.5, 0.0])
    subject, added = Trained.make("digits", 1, 1.0), Added("line", 0.5)
    found = list(tolerances.measured(subject, 8, (0.5, 1.0), added, range(2)))
    rows, plain = found[: len(tolerances.TOLERANCES)], found[len(tolerances.TOLERANCES) :]
    assert [(row.tolerance, row.gain) for row in rows] == [(one, 0.5) for one in tolerances.TOLERANCES]
    assert [(row.tolerance, row.gain) for row in plain] == [(one, 1.0) for one in tolerances.TOLERANCES]
    assert all(2 <= row.computed <= 8 for row in found)
    assert (rows[0].computed, rows[0].error) == (plain[1].computed, plain[1].error)  # 0.005 is half of 0.01
    assert rows[0].error <= rows[-1].error > 0
    assert rows[0].text().startswith("| digits | 1 | 8 | 0.5 | 0.005 | ")


def followed(rule):
    """What entered the blocks at each step of a generation, and what left them at each that was computed."""
    subject = Trained.make("digits", count=1, guidance=1.0)
    pipeline = subject.twin()
    entered, left = [], {}
    transformer = pipeline.transformer
    transformer.x_embedder.register_forward_hook(lambda _m, _a, out: entered.append(out.clone()))
    transformer.single_transformer_blocks[-1].register_forward_hook(
        lambda _m, _a, out: left.update({len(entered) - 1: out[1].clone()})
    )
    with teaspec.enabled(pipeline, rule=rule):
        subject.generate(pipeline, seed=0)
    assert 2 < len(left) < STEPS == len(entered)
    return entered, left


def test_easycache_predicts_by_the_rate_at_which_the_output_followed():
    """By hand, from what enters and leaves the blocks. Mutations seen red: the rate of one step, a sum that is kept."""
    entered, left = followed(EasyCache(0.1))
    computed, total = [0], 0.0
    for step in range(1, STEPS - 1):
        if len(computed) > 1:
            last, before = computed[-1], computed[-2]
            rate = (left[last] - left[before]).abs().sum() / (entered[last] - entered[before]).abs().sum()
            total += float(rate * (entered[step] - entered[step - 1]).abs().sum() / left[last].abs().sum())
            if total < 0.1:
                continue
        computed.append(step)
        total = 0.0
    assert [*computed, STEPS - 1] == list(left)


def test_a_threshold_may_look_at_the_hidden_stream():
    """By hand, from what enters the blocks. Mutation seen red: the modulated input as it is."""
    entered, left = followed(OnHiddenStates(0.2))
    computed, total = [0], 0.0
    for step in range(1, STEPS - 1):
        total += float((entered[step] - entered[step - 1]).abs().sum() / entered[step - 1].abs().sum())
        if total >= 0.2:
            computed.append(step)
            total = 0.0
    assert [*computed, STEPS - 1] == list(left)


def test_a_forecast_may_follow_the_modulated_input():
    """At places that are no times. Mutation seen red: the projection over the length, and not over its square."""
    rule = Projected(3, forecast_of("blend", 1.0))
    along, across = torch.tensor([3.0, -4.0]), torch.tensor([4.0, 3.0])

    def call(at, aside=0.0):
        return SimpleNamespace(signal=at * along + aside * across, keep=lambda _, one: one, recall=lambda _, one: one)

    memory = rule.init(Start(Place(0, 0, 8, 0), Guards()))
    for index, at in enumerate((0.0, 1.0, 4.0)):
        memory = rule.follow(call(at), teaspec.Verdict("compute", ""), Place(index, index, 8, 0), memory)
    rule.decide([float(one) for one in rule.measure(call(5.5, 7.0), memory)], Place(3, 3, 8, 0), memory)
    found = rule.forecast(Place(3, 3, 8, 0)).weights([9.0, 9.0, 9.0], 9.0)
    assert found[-1] == pytest.approx(forecast_of("blend", 1.0).weights([4.0, 1.0, 0.0], 5.5)[-1])


def test_the_table_of_magcache():
    assert ratios_of([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]) == (1.0, 1.0, 1.0, 1.0)
    assert ratios_of([[2.0, 3.0]]) == (1.0, 1.0, 1.5)
    rule = worked_example()((1.0,) * 4, 0.5)
    assert isinstance(rule, teaspec.Rule)
    assert rule.error == 0.5
