"""The catalogue of diagnostic codes.

A code is a word, is stable, and has a section in docs/diagnostics.md and a bad spec in tests/bad_specs/.
"""

from __future__ import annotations

from teaspec.compiler.report.model_codes import MODEL_CODES

READ_CODES = {
    "alias-or-anchor": "The spec uses a YAML anchor or alias; a spec is written out in full.",
    "control-character": "The spec holds a character that is invisible or not text.",
    "duplicate-key": "A mapping holds the same key twice.",
    "empty-spec": "The text holds no YAML document.",
    "merge-key": "The spec uses the YAML 1.1 merge key `<<`.",
    "nested-too-deeply": "Collections are nested deeper than any spec needs.",
    "non-string-key": "A key of a mapping is not a string.",
    "not-a-mapping": "The top level of the spec is not a mapping.",
    "number-out-of-range": "A number does not fit into 64 bits.",
    "scalar-too-long": "A single value is longer than any spec needs.",
    "several-documents": "The text holds more than one YAML document.",
    "spec-too-large": "The text is larger than any spec needs.",
    "tab-character": "A tab stands where YAML takes only spaces.",
    "too-many-mistakes": "The spec has more mistakes than are worth listing.",
    "yaml-directive": "The text holds a YAML directive, a `%` line.",
    "yaml-syntax": "The text is not YAML.",
    "yaml-tag": "The spec uses a YAML tag, a `!` word.",
}
"""What can be wrong with the text."""

CHECK_CODES = {
    "ambiguous-match": "Two calibrations can be meant for one checkpoint, and none of them is the more specific.",
    "bad-bypass": "An entry of `bypass` is no argument, or asks for it in a way that is not understood.",
    "bad-dim": "A dim of the probe is not an integer or a pair of integers in order.",
    "bad-embed": "`embed` is not of the form `call -> name`.",
    "bad-import-path": "`model` does not name a module and a class in it.",
    "bad-norm-path": "`norm` does not lead from a block list through a block to a norm.",
    "bad-plan": "A plan's computed steps do not begin with the first, do not rise, or are not among its steps.",
    "bad-range": "A range is not a pair of numbers in order, or does not fit the dtype.",
    "bad-size": "A size in the probe is not an integer, a dim or an expression of them.",
    "duplicate-input": "An input of the probe is given twice, with and without `?`.",
    "empty-case": "A case of the probe changes nothing.",
    "empty-list": "A list is empty where at least one item is needed.",
    "empty-match": "A `match` asks for nothing.",
    "impossible-size": "A size is negative, or divides by zero, for dims that the probe allows.",
    "literal-names-a-dim": "A literal text in the probe is spelt like one of its dims.",
    "misplaced-absent": "`absent` stands where there is no input to leave out.",
    "missing-key": "A key that is needed is missing.",
    "missing-range": "The probe does not say which integers a tensor holds.",
    "missing-source": "Coefficients are given without the place where they were published.",
    "non-finite-number": "A number is infinite or not a number.",
    "not-a-name": "A text that should be a Python name, or a dotted path of them, is not.",
    "number-too-small": "A number is below the smallest that makes sense.",
    "probe-too-large": "The probe asks for more values, or larger tensors, than a tiny instance needs.",
    "repeated-name": "A name is given twice where each counts once.",
    "reserved-name": "A variant has the name that stands for the spec's own calibration.",
    "several-value-kinds": "A value of the probe has the keys of more than one kind of value.",
    "status-mismatch": "`status` does not agree with whether coefficients are given.",
    "tried-after-all": "An argument is listed as untried although the probe passes it.",
    "unknown-dim": "A size in the probe names a dim that the probe does not have.",
    "unknown-key": "A key is not part of the spec language.",
    "unknown-value-kind": "A mapping in the probe does not say which kind of value it is.",
    "unsupported-version": "The spec is written for another version of the spec language.",
    "wrong-length": "A list or mapping holds more or fewer items than are needed.",
    "wrong-type": "A value is of another type than is needed, a text in place of a list for example.",
    "wrong-value": "A value is not one of the few that are possible.",
}
"""What can be wrong with the spec alone, before any model is looked at."""

CODES: dict[str, str] = {**READ_CODES, **CHECK_CODES, **MODEL_CODES}
"""Code to a sentence that explains it."""
