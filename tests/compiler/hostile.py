"""Texts that may be specs: random ones, random structures in the words of the language, and real specs gone wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

FOLDER = Path(__file__).parents[2] / "specs"
SPECS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))}
WORDS = sorted({word for text in SPECS.values() for word in re.findall(r"[A-Za-z_]\w+\??", text)})
KEYS = """
    teaspec model embed norm blocks style loops head streams hidden encoder signal bypass aliases forward teacache
    status coefficients accumulate source thresholds thresh speedup warmup_steps match note variants probe config dims
    inputs cases untried tensor dtype range integer mask indices below from concat dim choice repeat of list tuple dict
    object with set literal absent
""".split()
TOKENS = r"""
    .nan -.inf 1e999 -1 0 99999999999999999999 123456789012 0x10 0o7 1_000 ~ null true no [] {} [[]] [{}] '' ""
    "\u0000" '\' & * ! !!int @ ` % | > ? - : , # --- ... << *a &a é 世 🙂 norm.0.x a.b.0.c self.x __class__ lambda [1,2]
    {tensor:[a]} {mask:[]} {repeat:9,of:1} {absent:true} a->b none (a) a*b a//0 a-9 9*9*9*9*9*9*9*9
""".split()
WRITTEN = """
    [1, 2, 3, 4, 5]; {tensor: [a], range: [0, 1]}; {mask: [a]}; {indices: 1, below: a}; {repeat: a, of: 1}; {dim: a};
    {choice: [1, x]}; [{thresh: 0.1}]; {v: {note: x}}; [{dtype: float32}]; {concat: [[a], [a]]}; {a: {object: B}};
    [a, 2]; [a * 2]; {thresh: 0.1}; {a: [1, 3]}; {a: 4}; {style: single, loops: [blocks]}; {literal: a}; {x: [a]}
""".replace("\n", " ").split(";")
HIDDEN = ["\t", "\x00", "\x7f", "\u2028", "\u202e", "\ufeff", "\udc80"]
ALPHABET = "".join([*TOKENS, *HIDDEN]) + "abc012 \n\n:-[]{},'\"#&*!|>%@`?~.\\/"

plain = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(KEYS),
    st.sampled_from(TOKENS),
    st.integers().map(str),
    st.floats().map(str),
    st.text("".join(TOKENS), max_size=12),
)
rare = st.integers(0, 40).flatmap(lambda number: plain if number else st.sampled_from(HIDDEN))
texts = st.one_of(st.text(max_size=300), st.text(ALPHABET, max_size=600), st.lists(rare, max_size=60).map(" ".join))


def _flow(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), st.sampled_from(WORDS))
    return st.one_of(
        st.lists(items, max_size=5).map(lambda parts: f"[{', '.join(parts)}]"),
        st.dictionaries(keys, items, max_size=5).map(
            lambda pairs: f"{{{', '.join(f'{key}: {value}' for key, value in pairs.items())}}}"
        ),
    )


mild = st.one_of(st.sampled_from(WORDS), st.integers(-9, 4100).map(str), st.sampled_from(WRITTEN))
values = st.recursive(st.one_of(mild, mild, mild, mild, mild, mild, plain), _flow, max_leaves=20)
SMALLEST = {
    "teaspec": "1",
    "model": "diffusers.A",
    "embed": "a -> b",
    "norm": "blocks.0.norm",
    "blocks": "{style: single, loops: [blocks]}",
    "head": "proj_out",
}
PROBE = ("config", "dims", "inputs", "cases", "untried", "dtype")
FACTS = ("status", "coefficients", "accumulate", "source", "thresholds", "warmup_steps", "match", "note", "variants")


@st.composite
def structures(draw: st.DrawFn) -> str:
    """The smallest spec, with a few random values in the words of the language."""
    spec = dict(SMALLEST)
    for section, keys in (("probe", PROBE), ("teacache", FACTS)):
        inner = draw(st.dictionaries(st.sampled_from(keys), values, max_size=3))
        if section == "probe":
            inner.setdefault("dims", "{a: [1, 3]}")
        spec[section] = f"{{{', '.join(f'{key}: {value}' for key, value in inner.items())}}}"
    spec |= draw(st.dictionaries(st.sampled_from(KEYS[:15]), values, max_size=2))
    return "".join(f"{key}: {value}\n" for key, value in spec.items())


@st.composite
def broken(draw: st.DrawFn, names: tuple[str, ...] = tuple(SPECS)) -> str:
    """A real spec with one to four changes."""
    text = SPECS[draw(st.sampled_from(names))]
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.sampled_from(CHANGES))(draw, text)
    return text


@st.composite
def misled(draw: st.DrawFn, name: str, words: tuple[str, ...]) -> str:
    """A real spec with other landmarks: still well-formed most of the time, and seldom right.

    Args:
        draw: Given by hypothesis.
        name: The spec to begin with.
        words: Names of the model, of its submodules and of what its forward binds.
    """
    landmarks, marker, rest = SPECS[name].partition("\nteacache:" if "\nteacache:" in SPECS[name] else "\nprobe:")
    further = ["signal: {}", "forward: {}", "streams: {{hidden: {}}}", "streams: {{encoder: {}}}", "bypass: [{}]"]
    for line in draw(st.lists(st.sampled_from(further), max_size=2, unique=True)):
        if f"\n{line.partition(':')[0]}:" not in landmarks:
            landmarks += "\n" + line.format(draw(st.sampled_from(words)))
    landmarks = draw(
        st.sampled_from(
            [
                landmarks,
                landmarks.replace("style: dual", "style: single"),
                landmarks.replace("style: single", "style: dual"),
            ]
        )
    )
    for _ in range(draw(st.integers(0, 2))):
        names = list(re.finditer(r"(?<=[ .\[])\w+(?=[\n.,\] ])", landmarks.partition("embed:")[2]))
        one, before = draw(st.sampled_from(names)), len(landmarks.partition("embed:")[0]) + len("embed:")
        new = draw(
            st.one_of(st.sampled_from(words), st.sampled_from(words), st.sampled_from(["0", "1", "none", "a.b"]))
        )
        landmarks = landmarks[: before + one.start()] + new + landmarks[before + one.end() :]
    return landmarks + marker + rest


def _bytes(draw: st.DrawFn, text: str) -> str:
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(st.text(ALPHABET, max_size=3)) + text[start + draw(st.integers(0, 4)) :]


def _span(draw: st.DrawFn, text: str) -> str:
    start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    again = draw(st.sampled_from(["", text[start:end] * 2, text[start : start + 40] * 3]))
    return text[:start] + again + text[end:]


def _line(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    one, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    kind = draw(st.sampled_from(["drop", "repeat", "swap", "indent", "outdent"]))
    if kind == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        new = {"drop": [], "repeat": [lines[one]] * 2, "indent": [f"  {lines[one]}"], "outdent": [lines[one].lstrip()]}
        lines[one : one + 1] = new[kind]
    return "\n".join(lines)


def _token(draw: st.DrawFn, text: str) -> str:
    found = list(re.finditer(r"[\w.*]+\??|\[[^\[\]]*\]|\{[^{}]*\}", text))
    if not found:
        return text
    one = draw(st.sampled_from(found))
    return text[: one.start()] + draw(st.one_of(plain, values)) + text[one.end() :]


def _other(draw: st.DrawFn, text: str) -> str:
    """Puts lines of another spec in."""
    others = SPECS[draw(st.sampled_from(list(SPECS)))].split("\n")
    lines = text.split("\n")
    at, start = draw(st.integers(0, len(lines))), draw(st.integers(0, len(others) - 1))
    lines[at : at + draw(st.integers(0, 2))] = others[start : start + draw(st.integers(1, 4))]
    return "\n".join(lines)


Change = Callable[[st.DrawFn, str], str]
CHANGES: list[Change] = [_bytes, _span, _line, _token, _token, _token, _other]
