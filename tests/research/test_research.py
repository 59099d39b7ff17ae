"""Transformers as research repositories write them: each is cut and proven, or refused with the reason.

A model lies in a file of its own, its spec in `specs/` under the same name; behind `--` stands what another spec of the
same file is about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from teaspec.compiler import SpecError, compile_spec, load_spec
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.determinism import FreshInterpreter, sources
from teaspec.proof.result import CheckReport
from teaspec.proof.run import check_spec
from teaspec.proof.subject import Subject

FOLDER = Path(__file__).parent
SPECS = {path.stem: path for path in sorted((FOLDER / "specs").glob("*.yaml"))}
ALLOW = ("tests",)


@dataclass(frozen=True)
class Refused:
    """What the compiler says.

    Attributes:
        code: The code of the diagnostic, which comes once.
        names: What its message names.
        lines: Lines of the model that it points at.
    """

    code: str
    names: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Fails:
    """What the check says of a model that compiles.

    Attributes:
        name: The property that does not hold.
        says: A part of its message.
    """

    name: str
    says: str


PASSES = (
    "autocast_loop",
    "causvid",
    "cogvideo_sat",
    "cond_between",
    "cond_updates",
    "dit",
    "dit_moe",
    "edm",
    "edm_wrapper--inner",
    "flux_bfl",
    "hunyuan_dit",
    "hunyuan_video",
    "latte",
    "lumina_next",
    "maskgit",
    "mdt",
    "min_rf",
    "mochi",
    "opensora_plan",
    "pixart",
    "reversed_blocks",
    "self_forcing",
    "sit_repa",
    "stable_audio",
    "stdit",
    "timm_style",
    "tread",
    "uvit",
    "uvit_between",
    "vchitect",
    "xdit_wrapper",
)

REFUSED = {
    # The head would be modulated by what another branch's blocks left: no residual can mend that. The model has to
    # return the summaries from its blocks.
    "attention_maps": Refused(
        "state-of-blocks",
        "`block.pooled`",
        (
            "self.pooled = x.mean(dim=1)",
            "c = c + torch.stack([block.pooled for block in self.blocks]).mean(dim=0)",
        ),
    ),
    # A residual is a difference of tensors, and a dict has none. Streams of their own names can be cut.
    "dict_state": Refused(
        "stream-not-a-tensor",
        "`state`",
        ('state = {"video": self.video_in(batch["video"]), "audio": self.audio_in(batch["audio"]), "vec": vec}',),
    ),
    # The forward of the inner network iterates the blocks, and that is the one to write a spec for.
    "edm_wrapper": Refused(
        "unknown-block-loop",
        "`self.model.blocks`",
        ("F_x = self.model((c_in * x).to(dtype), c_noise.flatten(), class_labels)",),
    ),
    # No list holds these blocks, so nothing can be said about all of them; a ModuleList takes one line.
    "getattr_blocks": Refused("unknown-block-loop", "`self.blocks`", ('x = getattr(self, f"block_{i}")(x, c)',)),
    # The norm is reached through a function that takes the block's halves apart, and calls no forward of theirs.
    "mmdit": Refused(
        "unknown-norm-path",
        "`self.x_block.norm1`",
        ("return block_mixing(*args, context_block=self.context_block, x_block=self.x_block, **kwargs)",),
    ),
    # What the trainer reads would be that of another step; on the model it belongs to nobody's branch.
    "moe_attribute": Refused("state-of-blocks", "aux_loss", ("self.aux_loss = self.aux_loss + block.aux_loss",)),
    # A last step that is reused would commit the keys and values that another call left on the blocks.
    "self_forcing--no_bypass": Refused(
        "state-of-blocks",
        "`block.last_k`",
        ("block.attn.k_cache, block.attn.v_cache = block.last_k, block.last_v",),
    ),
}

FAILS = {
    # Keys and values of these frames have to be in the caller's cache behind the call, and a reused step has none.
    "causvid--no_bypass": Fails("reuse", "blocks write into the argument `kv_cache`"),
}


class SameInterpreter(FreshInterpreter):
    """Answers with what this process has compiled. The thorough run has another one do it again, which takes longer."""

    def request(self, spec: Spec, allow: Collection[str] = ()) -> Path:
        """Takes what is known."""
        self.found = sources(Subject(spec, import_model(spec, allow), compile_spec))
        return FOLDER

    def wait(self, answer: Path) -> list[str]:
        """Returns it."""
        return self.found


def check(name: str, examples: int, interpreter: FreshInterpreter) -> CheckReport:
    return check_spec(load_spec(SPECS[name]), examples=examples, interpreter=interpreter, allow=ALLOW)


def failures(report: CheckReport) -> dict[str, str]:
    return {item.name: f"{item.message}\n{item.minimal_example}" for item in report.properties if not item.passed}


@pytest.fixture(scope="module")
def here() -> Iterator[FreshInterpreter]:
    with SameInterpreter() as one:
        yield one


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[FreshInterpreter]:
    with FreshInterpreter() as one:
        yield one


@pytest.mark.parametrize("name", PASSES)
def test_it_is_cut_and_proven(name: str, here: FreshInterpreter) -> None:
    report = check(name, 2, here)
    assert failures(report) == {}
    assert report.movement.unjudged == {}
    assert report.not_exercised in {(), ("kwargs",)}


@pytest.mark.thorough
@pytest.mark.parametrize("name", PASSES)
def test_it_is_proven_on_many_examples(name: str, elsewhere: FreshInterpreter) -> None:
    report = check(name, 50, elsewhere)
    assert failures(report) == {}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_reason(name: str) -> None:
    spec, expected = load_spec(SPECS[name]), REFUSED[name]
    module = import_model(spec, ALLOW)(**spec.probe.config).eval()
    with pytest.raises(SpecError) as caught:
        compile_spec(spec, module)
    [found] = [one for one in caught.value.diagnostics if one.code == expected.code] or [None]
    assert found is not None, str(caught.value)
    assert expected.names in found.message, str(caught.value)
    assert set(expected.lines) <= {label.line_text.strip() for label in found.labels}, str(caught.value)


@pytest.mark.parametrize("name", FAILS)
def test_the_check_tells_what_the_compiler_cannot_see(name: str, here: FreshInterpreter) -> None:
    found = failures(check(name, 4, here))
    assert list(found) == [FAILS[name].name]
    assert FAILS[name].says in found[FAILS[name].name]


def test_every_spec_is_tried() -> None:
    assert sorted([*PASSES, *REFUSED, *FAILS]) == sorted(SPECS)


def test_every_model_has_a_spec_and_is_short() -> None:
    others = {"__init__", "layers"}
    models = {
        path.stem: path for path in FOLDER.glob("*.py") if path.stem not in others and not path.stem.startswith("test_")
    }
    assert {name.partition("--")[0] for name in SPECS} == set(models)
    assert len(models) >= 24
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in models.values()) <= 160
