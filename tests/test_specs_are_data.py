"""A spec is data: nothing that a stranger writes into one runs code or reads a file. (Time and memory: test_bombs.py.)

Each attack is followed as far as it gets: read, checked, its model imported and built, compiled, called. On the way an
audit hook sees what Python opens, imports and starts, whoever asks for it.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from teaspec.compiler import SpecError, compile_spec, load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.build import ProbeError
from teaspec.proof.inputs import Example
from teaspec.proof.subject import Subject
from teaspec.runtime.contract.bypass import Bypass

FLUX = """\
teaspec: 1
model: diffusers.FluxTransformer2DModel
embed: time_text_embed -> temb
norm: transformer_blocks.0.norm1
blocks: {style: dual, loops: [transformer_blocks, single_transformer_blocks]}
head: norm_out
streams: {hidden: hidden_states}
signal: norm
forward: forward
bypass: [controlnet_blocks_repeat]
aliases: [Another]
teacache:
  coefficients: [1, 2, 3, 4, 5]
  source: somewhere
  note: a note
  match: {in_channels: 64, _name_or_path: "*dev*"}
  variants: {fast: {note: another}}
probe:
  config: {in_channels: 4, num_layers: 1, num_single_layers: 1, attention_head_dim: 16,
    num_attention_heads: 2, joint_attention_dim: 12, pooled_projection_dim: 8, axes_dims_rope: [4, 4, 8]}
  dims: {batch: [1, 1], image: [2, 2], text: [1, 1]}
  inputs:
    hidden_states: [batch, image, 4]
    encoder_hidden_states: [batch, text, 12]
    pooled_projections: [batch, 8]
    timestep: {tensor: [batch], range: [0, 1]}
    img_ids: {tensor: [image, 3], range: [0, 8], integer: true}
    txt_ids: {tensor: [text, 3], range: [0, 8], integer: true}
    joint_attention_kwargs?: {dict: {scale: 0.5}}
"""

# What to write in place of what. CANARY is a file that would be made, SECRET one that would be read.
CODE = "__import__('pathlib').Path('CANARY').touch()"
ATTACKS = {
    "a tag that calls": ("note: a note", "note: !!python/object/apply:os.system ['touch CANARY']"),
    "a tag that names": ("note: a note", "note: !!python/name:os.system"),
    "a tag that includes": ("note: a note", "note: !include SECRET"),
    "a directive": ("teaspec: 1\n", "%TAG ! tag:yaml.org,2002:python/\n---\nteaspec: 1\n"),
    "a package with code": ("diffusers.FluxTransformer2DModel", "evil_package:Model"),
    "a package whose name begins alike": ("diffusers.FluxTransformer2DModel", "diffusers_evil.Model"),
    "a script": ("diffusers.FluxTransformer2DModel", "evil_package.__main__:Model"),
    "a relative path": ("diffusers.FluxTransformer2DModel", "..evil_package.Model"),
    "a function of Python": ("diffusers.FluxTransformer2DModel", "os.system"),
    "a function through a module": ("diffusers.FluxTransformer2DModel", "diffusers.utils.import_utils:os.system"),
    "a class that was imported there": ("diffusers.FluxTransformer2DModel", "diffusers.utils.hub_utils.Path"),
    "a module of torch": ("diffusers.FluxTransformer2DModel", "torch.nn.Transformer"),
    "a call in embed": ("time_text_embed ->", f"{CODE} ->"),
    "a statement in embed": ("-> temb", f"-> temb; {CODE}"),
    "a dunder in norm": ("transformer_blocks.0.norm1", "transformer_blocks.0.__class__.__init__.__globals__"),
    "a subscript in norm": ("transformer_blocks.0.norm1", f"transformer_blocks.0[{CODE}].norm1"),
    "a statement in head": ("head: norm_out", f'head: "norm_out()\\n{CODE}"'),
    "a call in loops": ("[transformer_blocks,", f'["{CODE}",'),
    "a default in streams": ("hidden: hidden_states", f'hidden: "hidden_states={CODE}"'),
    "a walrus in signal": ("signal: norm", f'signal: "(x := {CODE})"'),
    "a method that writes files": ("forward: forward", "forward: save_pretrained"),
    "a method that reads files": ("forward: forward", "forward: from_pretrained"),
    "a dunder method": ("forward: forward", "forward: __reduce__"),
    "a call in bypass": ("[controlnet_blocks_repeat]", f'["{CODE}"]'),
    "a dunder in bypass": ("[controlnet_blocks_repeat]", "[hidden_states.__class__.__init__]"),
    "a private name in bypass": ("[controlnet_blocks_repeat]", "[hidden_states._backward_hooks]"),
    "code in aliases": ("aliases: [Another]", f'aliases: ["Another\', {CODE})"]'),
    "a template in a note": ("note: a note", "note: \"{{ cycler.__init__.__globals__.os.system('touch CANARY') }}\""),
    "a template in a name": ("-> temb", "-> \"{{ ''.__class__.__mro__ }}\""),
    "code in a coefficient": ("[1, 2, 3, 4, 5]", f'[1, 2, 3, 4, "{CODE}"]'),
    "code in a variant's name": ("{fast:", f'{{"fast\']; {CODE}":'),
    "code in a pattern": ('"*dev*"', f'"{{{CODE}}}"'),
    "a call in a size": ("[batch, image, 4]", f'["{CODE}", image, 4]'),
    "an attribute in a size": ("[batch, image, 4]", "[batch.__class__, image, 4]"),
    "a power in a size": ("[batch, image, 4]", "[batch, image, 9 ** 9 ** 9]"),
    "a dtype that is none": ("range: [0, 1]}", "dtype: load, range: [0, 1]}"),
    "an object of another module": ("{dict: {scale: 0.5}}", "{object: Popen, with: {args: 'touch CANARY'}}"),
    "an object by its path": ("{dict: {scale: 0.5}}", "{object: subprocess.Popen, with: {args: 'touch CANARY'}}"),
    "an object that was imported there": ("{dict: {scale: 0.5}}", "{object: FeedForward, with: {dim: 3}}"),
    "a class set on an object": ("{dict: {scale: 0.5}}", "{object: FluxPosEmbed, set: {__class__: 1}}"),
    "code as a key": ("{dict: {scale: 0.5}}", f'{{dict: {{"{CODE}": 1}}, integer: true}}'),
    "a checkpoint to load": ("config: {", "config: {pretrained_model_name_or_path: SECRET, "),
    "code in the config": ("in_channels: 4,", f'in_channels: "{CODE}",'),
    "a file for an input": ("pooled_projections: [batch, 8]", "pooled_projections: SECRET"),
}  # fmt: skip

SUSPICIOUS = ("os.system", "os.exec", "os.spawn", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find")

_seen: list[tuple[str, str]] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _seen is not None and (event in ("open", "import") or event.startswith(SUSPICIOUS)):
        _seen.append((event, str(arguments[0])))


sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    """What is opened, imported and started within."""
    global _seen
    _seen = found = []
    try:
        yield found
    finally:
        _seen = None


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for modules, with packages that leave a trace when they are imported, and a secret."""
    for name in ("evil_package", "diffusers_evil"):
        (tmp_path / name).mkdir()
        for file in ("__init__.py", "__main__.py"):
            trace = f"import pathlib, torch\npathlib.Path({str(tmp_path / 'canary')!r}).touch()\n"
            (tmp_path / name / file).write_text(f"{trace}class Model(torch.nn.Module): ...\n")
    (tmp_path / "secret").write_text("a secret")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def follow(text: str | Path) -> None:
    """Takes a spec as far as it goes: to a call of the extractor that was compiled for its probe."""
    with suppress(SpecError, ProbeError):
        spec = load_spec(text)
        subject = Subject(spec, import_model(spec), compile_spec)
        for case, probe in enumerate(subject.alternatives):
            smallest = {name: low for name, (low, _) in probe.dims.items()}
            example = Example(case, torch.float32, smallest, frozenset(probe.inputs), None, 0, 0)
            given = subject.arguments(example)
            with torch.no_grad(), suppress(AttributeError, TypeError):  # what the model has against its inputs
                subject.extractor(example)(subject.module(example), *given.args, **given.kwargs)


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """The first spec imports torch's and diffusers' parts, which is no concern of these tests."""
    follow(FLUX)


def assert_harmless(trap: Path, seen: list[tuple[str, str]]) -> None:
    assert not (trap / "canary").exists()
    assert [one for one in seen if one[0] not in ("open", "import")] == []
    assert [one for one in seen if "secret" in one[1] or "evil" in one[1]] == []
    assert not {"evil_package", "diffusers_evil"} & sys.modules.keys()


@pytest.mark.parametrize("name", ATTACKS)
def test_no_value_runs_code_or_reads_files(name: str, trap: Path) -> None:
    old, new = (part.replace("CANARY", str(trap / "canary")) for part in ATTACKS[name])
    assert FLUX.count(old) >= 1
    with watched() as seen:
        follow(FLUX.replace(old, new.replace("SECRET", str(trap / "secret"))))
    assert_harmless(trap, seen)


def test_the_watch_would_see_it(trap: Path) -> None:
    with watched() as seen:
        (trap / "secret").read_text()
        from evil_package import Model  # type: ignore[import-not-found]
    assert (trap / "canary").exists() and Model
    del sys.modules["evil_package"]
    assert {"open", "import"} <= {event for event, _ in seen}
    with pytest.raises(AssertionError):
        assert_harmless(trap, [])


def test_an_allowed_package_is_imported(trap: Path) -> None:
    spec = load_spec(FLUX.replace("diffusers.FluxTransformer2DModel", "evil_package:Model"))
    with pytest.raises(SpecError, match="package-not-allowed"):
        import_model(spec, allow=["evil", "evil_package.models", "evil_package_"])
    assert import_model(spec, allow=["evil_package"]).__name__ == "Model"
    del sys.modules["evil_package"]


@pytest.mark.parametrize(
    "name",
    [
        'a"""; import evil_package; """',
        "a\\",
        '"""',
        'a\n"""\nimport evil_package\n"""',
        "a\u2028b",
        "{{ 1 }}",
        "\udcff",
    ],
)
def test_the_name_of_the_file_stays_a_name(name: str, trap: Path) -> None:
    path = trap / f"{name}.yaml"
    try:
        path.write_text(FLUX, encoding="utf-8")
    except OSError:
        pytest.skip("no such name can be given here")
    with watched() as seen:
        spec = load_spec(path)
        extractor = compile_spec(spec, import_model(spec)(**spec.probe.config))
    assert_harmless(trap, [one for one in seen if one != ("open", str(path))])
    assert compile(extractor.source, "generated", "exec").co_consts[0].startswith("The extractor of Flux")


def test_loading_imports_nothing_and_opens_only_the_spec(trap: Path) -> None:
    path = trap / "flux.yaml"
    path.write_text(FLUX)
    with watched() as seen:
        load_spec(path)
    assert [one for one in seen if one[0] == "open"] == [("open", str(path))]
    assert [one for one in seen if one[0] == "import"] == []


class Treacherous:
    """Whose properties, methods and missing attributes do something."""

    plain = "kept"

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.mode = Mode.WRITE
        self.tensor = torch.ones(2)
        self.callback = self.ran.append

    @property
    def prop(self) -> str:
        self.ran.append("prop")
        return "write"

    def method(self) -> str:
        self.ran.append("method")
        return "write"

    def __getattr__(self, name: str) -> str:
        self.ran.append(name)
        return "write"

    def __str__(self) -> str:
        self.ran.append("str")
        return "write"


class Mode(str, enum.Enum):
    WRITE = "write"

    def __str__(self) -> str:
        raise AssertionError("code of the caller's own")


class Slotted:
    __slots__ = ("mode",)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("a.prop = write", True),
        ("a.method = write", True),
        ("a.missing = write", True),
        ("a.callback = write", True),
        ("a._private = write", True),
        ("a.tensor = write", True),
        ("a = write", True),
        ("a.mode = write", True),
        ("a.mode = read", False),
        ("a.plain = kept", True),
        ("a.plain = write", False),
    ],
)
def test_a_bypass_rule_reads_and_runs_nothing(rule: str, expected: bool) -> None:
    argument = Treacherous()
    assert Bypass.parse(rule).holds_for(argument) is expected
    assert argument.ran == []


def test_a_bypass_rule_reads_slots() -> None:
    slotted = Slotted()
    assert Bypass.parse("a.mode = write").holds_for(slotted)  # not set: nothing is known
    slotted.mode = "read"
    assert not Bypass.parse("a.mode = write").holds_for(slotted)
    assert not Bypass.parse("a.mode = write").holds_for(SimpleNamespace(mode="read"))
