"""The commands that train the demo's models, with models of one block and a few steps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from teaspec.demo.digits.prompts import Prompts as DigitPrompts
from teaspec.demo.models import MODELS
from teaspec.demo.videos.prompts import Prompts as VideoPrompts
from tools.digits import __main__ as digits_command
from tools.digits import train as digits_training
from tools.digits.data import load
from tools.training import Schedule, arguments, train
from tools.videos import __main__ as videos_command
from tools.videos import train as videos_training
from tools.videos.data import Videos

FEW = Schedule(steps=4, batch=2, every=3)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(digits_training, "CONFIG", digits_training.CONFIG | {"num_layers": 1, "num_single_layers": 1})
    monkeypatch.setattr(videos_training, "CONFIG", videos_training.CONFIG | {"num_layers": 1})


def digits(schedule):
    return digits_training.train(load()[0], DigitPrompts.draw(torch.Generator().manual_seed(0)), schedule)


def videos(schedule):
    prompts = VideoPrompts.draw(torch.Generator().manual_seed(0))
    return videos_training.train(Videos.all_pairs(load()[0]), prompts, schedule)


def weights(progress):
    return torch.cat([weight.flatten() for weight in progress.model.state_dict().values()])


@pytest.mark.parametrize("run", [digits, videos])
def test_a_seed_gives_the_same_weights_again(run):
    """Mutation seen red: noise drawn without the generator, in `videos`."""
    first, last = run(FEW)
    assert (first.step, last.step) == (3, 4)
    assert not first.model.training
    *_, again = run(FEW)
    assert torch.equal(weights(again), weights(last))
    *_, other = run(replace(FEW, seed=1))
    assert not torch.equal(weights(other), weights(last))


@pytest.mark.parametrize("run", [digits, pytest.param(videos, marks=pytest.mark.thorough)])
def test_training_lowers_the_loss(run):
    """Mutation seen red: the optimizer takes no step."""
    losses = [one.loss for one in run(Schedule(steps=90, batch=16, every=30, warmup=10))]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.7 * losses[0]


def test_what_is_kept_is_the_moving_average():
    """After one step with a decay of 0 the average is the model, and the steps before are forgotten; with 1 it stays.

    Mutation seen red: the model itself yielded.
    """
    model = torch.nn.Linear(1, 1, bias=False)
    started = model.weight.detach().clone()
    kept = list(train(model, lambda: model.weight.sum(), Schedule(steps=3, batch=1, decay=0.0, rate=0.1)))
    assert torch.equal(kept[-1].model.weight, model.weight) and model.weight < started
    model = torch.nn.Linear(1, 1, bias=False)
    kept = list(train(model, lambda: model.weight.sum(), Schedule(steps=50, batch=1, rate=0.1, warmup=1)))
    assert kept[-1].model.weight > model.weight  # it lags behind


@pytest.mark.parametrize(("name", "command"), [("digits", digits_command), ("videos", videos_command)])
def test_the_command_writes_what_the_demo_loads(name, command, tmp_path, monkeypatch, capsys):
    """Mutation seen red: the classifier left out."""
    monkeypatch.setattr(command, "GENERATED", 2)
    monkeypatch.setattr(command, "CLASSIFIER_STEPS", 3)
    command.main(tmp_path, FEW)
    model = MODELS[name].load(tmp_path)
    made = model.generate(model.pipeline(model.transformer), 2, seed=0, steps=2)
    assert 0 <= model.recognised(made) <= 1
    assert "step 4 of 4: loss" in capsys.readouterr().out
    config = json.loads((tmp_path / "transformer" / "config.json").read_text(encoding="utf-8"))
    assert config["num_layers"] == 1


def test_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["videos", str(tmp_path), "--steps", "5", "--seed", "2"])
    assert arguments("videos", tmp_path / "default", FEW) == (tmp_path, replace(FEW, steps=5, seed=2))
    monkeypatch.setattr("sys.argv", ["videos"])
    assert arguments("videos", tmp_path / "default", FEW) == (tmp_path / "default", FEW)
