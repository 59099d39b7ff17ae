"""emit: the text of the extractors, for real classes and for clashing names. Statements are tested with the toys."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
import torch

from teaspec.compiler.forms.program import GeneratedNames
from teaspec.compiler.passes.emit import emit
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.passes.locate import locate
from teaspec.compiler.passes.resolve import resolve
from teaspec.compiler.passes.slice import slice_forward
from teaspec.compiler.pipeline import compile_anew
from teaspec.proof.inputs import Example
from teaspec.proof.subject import Subject
from tests.compiler.models import SPECS, build, program_of, source_of, spec_of, toy_spec
from tests.compiler.split import called, entered, forward, observe
from tests.toys.parts import SingleModel
from tests.toys.toy import Call, draws


def text_of(name: str) -> str:
    return emit(program_of(name), SPECS[name].name).text


def imported(text: str, folder: Path):
    """The text, imported from a file as any module is."""
    file = folder / "generated_extractor.py"
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.extractor


@pytest.mark.parametrize("name", SPECS)
def test_the_text_stands_alone(name, tmp_path):
    subject = Subject(spec_of(name), import_model(spec_of(name)), None)
    probe = subject.alternatives[0]
    dims = {dim: high for dim, (_, high) in probe.dims.items()}
    example = Example(0, torch.float32, dims, frozenset(), False, 0, 0)
    call = Call(subject.arguments(example).kwargs)
    model = build(name)
    with torch.no_grad():
        expected = observe(model, call, forward)
        assert expected.error is None
        for run in (entered, called):
            assert not observe(model, call, run(imported(text_of(name), tmp_path))).differences(expected)


@pytest.mark.parametrize("name", SPECS)
def test_the_same_program_gives_the_same_text(name):
    again = slice_forward(spec_of(name), source_of(name), locate(spec_of(name), source_of(name)))
    assert emit(again, SPECS[name].name) == emit(program_of(name), SPECS[name].name)


@pytest.mark.parametrize("name", SPECS)
def test_every_line_behind_a_statement_is_that_of_the_statement_in_the_model(name):
    program, text = program_of(name), text_of(name)
    origins = {f.source.file.path for f in (program.extract, *program.norm_functions)}
    statements = {
        (Path(path).name, node.lineno): ast.unparse(node).splitlines()[0]
        for path in origins
        for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8")))
        if isinstance(node, ast.stmt)
    }
    kept = 0
    for line in text.splitlines():
        code, _, comment = line.partition("  # ")
        named = re.fullmatch(r"([\w.]+\.py):(\d+)", comment)
        if named is None:
            continue
        original = statements[named[1], int(named[2])]
        kept += original.strip() == code.strip()
        if re.match(r"\s*(if|for|with|raise|del) ", code) and not code.rstrip().endswith("is UNBOUND:"):
            assert original.split()[0] in {code.split()[0], "elif", "for"}
    sunk_or_kept = {s.line for s in (*program.prelude, *program.postlude)}
    assert kept >= len(sunk_or_kept) / 2  # the others differ in how they spell globals, or are `return`


@pytest.mark.parametrize("name", SPECS)
def test_the_header_names_the_spec_and_the_models_file(name):
    docstring = ast.get_docstring(ast.parse(text_of(name)))
    assert f"from {SPECS[name].name} and {source_of(name).model.forward.file.shown}." in docstring
    assert max(len(line) for line in docstring.splitlines()) < 200


@pytest.mark.parametrize("name", SPECS)
def test_imports_are_used_and_unique(name):
    tree = ast.parse(text_of(name))
    imports = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))][1:]  # behind `annotations`
    given = [alias.asname or alias.name for node in imports for alias in node.names]
    assert len(set(given)) == len(given)
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)
    }
    assert [name for name in given if name not in used] == []


# Names that clash


class Clashing(SingleModel):
    """Its parameters and locals have the names of everything that generated code adds."""

    def forward(self, hidden_states, timestep, partial=1.0, extract=None, dispatch=None, run_blocks=2.0):
        temb = self.time_embed(timestep)
        CacheContext = self.x_embedder(hidden_states)  # noqa: N806
        Finished = CacheContext * partial  # noqa: N806
        if extract is not None:
            return Finished
        if dispatch is not None:
            UNBOUND = dispatch  # noqa: N806
        modulated_input = run_postlude = 2.0
        hidden_states = Finished * modulated_input * run_blocks
        Extractor = Part = current_phase = default_of = decorated = extractor = HandedOn = entry_of = 1.5  # noqa: N806
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * Extractor * extractor * HandedOn
            if dispatch is not None:
                hidden_states = hidden_states + UNBOUND
        hidden_states = self.norm_out(hidden_states, temb)
        result = self.proj_out(hidden_states) * run_postlude * Part * decorated * default_of * current_phase * entry_of
        return result if dispatch is None else result + UNBOUND


class ClashingNorm(SingleModel):
    """Its locals have the names of the functions of the modulated input, and of the modules it needs."""

    def forward(self, hidden_states, timestep):
        torch_ = split = parts = 1.0
        temb = self.time_embed(timestep) * torch.ones(())
        hidden_states = self.x_embedder(hidden_states) * torch_ * split * parts
        modulated_input_of_SingleBlock = modulated_input = 2.0  # noqa: N806
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states * modulated_input_of_SingleBlock * modulated_input, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return torch.relu(self.proj_out(hidden_states)) * WIDTHS[0]


WIDTHS = [3.0]
test_emit = 7.0


class ClashingModule(SingleModel):
    """A local has the name under which the model's own module is imported, next to globals of it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        test_emit = 0.5
        hidden_states = self.x_embedder(hidden_states) * test_emit
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * WIDTHS[0] * test_emit
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * test_emit * WIDTHS[0]


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        (Clashing, {}),
        (Clashing, {"partial": 0.5, "run_blocks": 3.0}),
        (Clashing, {"extract": True}),
        (Clashing, {"dispatch": 0.25}),
        (ClashingNorm, {}),
        (ClashingModule, {}),
    ],
)
def test_names_of_the_model_and_generated_ones_do_not_clash(model, extra, tmp_path):
    torch.manual_seed(0)
    call = next(draws()).single(**extra)
    module = model()
    spec = toy_spec(model)
    source = resolve(spec, module)
    generated = emit(slice_forward(spec, source, locate(spec, source)), "spec.yaml")
    expected = observe(module, call, forward)
    assert expected.error is None
    for extractor in (imported(generated.text, tmp_path), compile_anew(spec, module)):
        for run in (entered, called):
            assert not observe(module, call, run(extractor)).differences(expected)


def test_a_generated_name_avoids_names_and_what_is_made_of_it():
    names = GeneratedNames.avoiding({"extract", "extract_", "modulated_input_of_Block", "Part"})
    assert (names.extract, names.modulated_input, names.part, names.partial) == (
        "extract__", "modulated_input_", "Part_", "partial",
    )  # fmt: skip
