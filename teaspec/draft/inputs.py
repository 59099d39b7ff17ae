"""First guesses of the forward's arguments, by their names, annotations and descriptions."""

from __future__ import annotations

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

TAGS = (1009, 2003, 3001, 4001, 5003, 6007, 7001, 8009, 9001, 10007, 11003, 12007)
"""Widths that nobody asks for, one for each input: the error that a wrong one raises tells which one it was."""

_TEXT = re.compile(r"encoder|text|txt|prompt|context|caption|cap_|crossattn|llm|states_t5|lyric|embeds")
_POOLED = re.compile(r"pooled|global_")
_TIME = re.compile(r"(^|_)(t|time|timesteps?|sigma|r_timestep)(_|$)")
_SIZES = {"num_frames": "frames", "frames": "frames", "height": "rows", "width": "columns"}


@dataclass
class Inputs:
    """Inputs under trial, in the form of a probe.

    Attributes:
        values: Name to value; a shape holds tags for widths that are not known yet.
        dims: The dims that the values name.
        hidden: The argument that holds the latents.
        patch: The size of a patch in time, height and width.
        axes: How many coordinates a token has.
        layout: The layout of the latents: batch, n tokens, channels, frames, height, width.
        width: The channels of the latents, or a tag.
        tags: The widths that are not known yet, each with its input.
        square: Whether pictures are as high as they are wide.
        moved: The inputs that were found to be as long as the latents.
        given: The arguments of the last call.
    """

    values: dict[str, Any]
    dims: dict[str, list[int]]
    hidden: str
    patch: tuple[int, int, int]
    axes: int
    layout: str
    width: int
    tags: dict[int, str] = field(default_factory=dict)
    square: bool = False
    moved: set[str] = field(default_factory=set)
    given: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, name: str) -> list[Any] | None:
        """The shape of an input, where it is a tensor."""
        value = self.values.get(name)
        if isinstance(value, dict):
            value = value.get("tensor") or value.get("of")
        return value if isinstance(value, list) else None

    def settle(self, name: str, tag: int, width: int) -> bool:
        """Puts a width in the place of its tag, at whatever depth; False where the tag is gone."""
        places = [self.values[name]]
        while places:
            place = places.pop()
            if isinstance(place, list) and tag in place:
                for other in (place, *(p for p in places if isinstance(p, list) and tag in p)):
                    other[other.index(tag)] = width
                return True
            places += place.values() if isinstance(place, dict) else place if isinstance(place, list) else ()
        return False

    def new_tag(self, name: str) -> int:
        """A width that nobody asks for, for a dim of an input; an ordinary one where none is left."""
        left = [tag for tag in TAGS if tag not in self.tags]
        if not left:
            return 1
        self.tags[left[0]] = name
        return left[0]

    def arrange(self) -> None:
        """Gives the latents their layout, with the width that is known by now."""
        shape = self.shape(self.hidden) or []
        width = next((part for part in shape if isinstance(part, int)), self.width)
        frames, rows, columns = (f"{p} * {n}" if p > 1 else n for p, n in zip(self.patch, _GRID, strict=True))
        grid = [dim for name, dim in _SIZES.items() if name in self.values and isinstance(self.values[name], dict)]
        grid = ["rows", "columns"] if "img_shapes" in self.values else grid
        parts = {
            "b": "batch", "n": " * ".join(grid) or "image", "c": width, "f": frames, "h": rows, "w": columns
        }  # fmt: skip
        if self.square:
            parts["w"] = rows
        self.values[self.hidden] = [parts[letter] for letter in self.layout]


_GRID = ("frames", "rows", "columns")
# The largest are all different, so that a number in an error tells which one it is.
DIMS = {"batch": [1, 2], "frames": [1, 3], "rows": [1, 4], "columns": [1, 5], "text": [1, 7], "image": [2, 11]}

_LAYOUTS = ("bchw", "bnc", "bcfhw", "bfchw", "bcn", "bc", "bfhwc")


def likely_layouts(model_class: type[nn.Module], method: str) -> list[str]:
    """The layouts that the latents may have, the likeliest first."""
    first = latents_of(model_class)
    described = described_shape(model_class, first) or []
    hints = [_unpacked_rank(model_class, method, first), len(described)]
    letters = _letters(described)
    return sorted(
        _LAYOUTS,
        key=lambda layout: (layout != letters, hints.index(len(layout)) if len(layout) in hints else len(hints)),
    )


def _letters(described: list[str]) -> str:
    """The layout of a described shape: `(N, T, C, H, W)` and `(batch, frames, channels, height, width)` are "bfchw"."""
    letters = "".join(part[:1].lower() for part in described[1:]).translate(str.maketrans("tld", "fnc"))
    return f"b{letters}" if described else ""


def is_text(name: str) -> bool:
    """Whether an argument is the text, by its name."""
    return _TEXT.search(name) is not None


def first_inputs(model_class: type[nn.Module], module: nn.Module, layout: str) -> Inputs:
    """The arguments that have to be given, each with the likeliest value."""
    parameters = forward_parameters(model_class)
    needed = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty]
    first = latents_of(model_class)
    inputs = Inputs(
        {first: []}, copy.deepcopy(DIMS), first, _patch(module), _axes(module), layout, _in_channels(module)
    )
    inputs.tags[TAGS[0]] = first
    for name in needed:
        add_input(inputs, name, parameters[name])
    inputs.arrange()
    return inputs


def latents_of(model_class: type[nn.Module]) -> str:
    """The argument that holds the latents: the first that is no time; "" if there is none."""
    parameters = forward_parameters(model_class)
    return next((n for n in parameters if not _TIME.search(n)), "")


def _axes(module: nn.Module) -> int:
    """How many coordinates a token has: as many as there are rotary axes."""
    config = config_of(module)
    lists = [v for n, v in config.items() if re.search(r"ax[ei]s|rope", n) and isinstance(v, (list, tuple))]
    return len(lists[0]) if lists else 3


def forward_parameters(model_class: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """The parameters of the forward that a probe may have to give."""
    every = list(inspect.signature(model_class.forward).parameters.values())[1:]
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p for p in every if p.kind in plain and p.name != "return_dict"}


def add_input(inputs: Inputs, name: str, parameter: inspect.Parameter) -> None:
    """Adds an argument with the likeliest value."""
    if name not in inputs.values:
        inputs.values[name] = _value(inputs, name, str(parameter.annotation))
    inputs.arrange()


def _value(inputs: Inputs, name: str, annotation: str) -> Any:
    if name in _SIZES and "Tensor" not in annotation:
        return {"dim": _SIZES[name]}
    if (own := re.match(r"(\w+)_num_frames$", name)) and "image" in (inputs.shape(f"{own[1]}_{inputs.hidden}") or ()):
        return {"dim": "image"}
    if "bool" in annotation and "Tensor" not in annotation:
        return {"choice": [False, True]}
    if "kwargs" in name:
        return {"dict": {"scale": 0.5}}
    if "mask" in name:
        return {"mask": ["batch", "text" if _TEXT.search(name) or name == "attention_mask" else "image"]}
    if "guidance" in name or "fps" in name:
        return {"tensor": ["batch"], "range": [1, 10]}
    if _TIME.search(name):
        integer = "LongTensor" in annotation or "IntTensor" in annotation
        return {"tensor": ["batch"], **({"dtype": "int64"} if integer else {}), "range": [0, 1000]}
    if re.search(r"(^|_)sizes?$|crop", name):
        return {"tensor": ["batch", 2], "range": [1, 64]}
    if "lens" in name or "lengths" in name:
        return {"tensor": ["batch"], "dtype": "int64", "range": [1, 1]}
    if "shapes" in name and "list" in annotation.lower():
        grid = {"tuple": [1, {"dim": "rows"}, {"dim": "columns"}]}
        return {"repeat": "batch", "of": {"list": [grid]} if annotation.lower().count("list") > 1 else grid}
    if re.search(r"segment_ids|indicator|token_types?", name):
        return {"tensor": ["batch", "image"], "dtype": "int64", "range": [0, 3]}
    if re.search(r"(token|prior|input)_ids?$", name):
        return {"tensor": ["batch", "image"], "dtype": "int64", "range": [0, 8]}
    if re.search(r"(^|_)ids$|coords|positions?", name):
        rows = "text" if re.search(r"txt|text", name) else "image"
        return {"tensor": [rows, inputs.axes], "range": [0, 8], "integer": True}
    if re.search(r"(^|_)pos$", name):  # rows of tables: one for the text, one along each axis of the latents
        of = ("text",) if is_text(name) else _GRID
        tables = [{"tensor": [dim], "dtype": "int64", "range": [0, 8]} for dim in of]
        return {"tuple": tables} if len(tables) > 1 else tables[0]
    if "drop" in name:
        return {"tensor": ["batch", "image"], "dtype": "bool"}
    if "labels" in name:
        return {"tensor": ["batch"], "dtype": "int64", "range": [0, 9]}
    if "rotary" in name or "rope" in name:
        return {"tuple": [["image", 16], ["image", 16]]}
    if annotation == "<class 'int'>" or annotation.startswith("int"):
        return {"dim": "rows"}
    if len(inputs.tags) == len(TAGS):
        return None
    tag = TAGS[len(inputs.tags)]
    inputs.tags[tag] = name
    listed = re.match(r"(<class ')?(typing\.)?list", annotation.lower()) is not None
    if listed and "layers" in name:
        return {"list": [["batch", "text", tag], ["batch", "text", tag]]}
    if listed:
        return {"repeat": "batch", "of": ["text", tag]}
    if name.endswith("_" + inputs.hidden) and not _TEXT.search(name) and not _POOLED.search(name):
        return [tag if part == inputs.width else part for part in inputs.shape(inputs.hidden) or []]
    if _POOLED.search(name):
        return ["batch", tag]
    if _TEXT.search(name):
        return ["batch", "text", tag]
    return ["batch", tag] if inputs.layout == "bc" else ["batch", "image", tag]


def described_shape(model_class: type[nn.Module], name: str) -> list[str] | None:
    """The shape that a docstring gives an argument: "x (`torch.Tensor` of shape `(batch, length)`)" or "x: (N, T)"."""
    text = inspect.getdoc(model_class.forward) or ""
    parts = r"\(((?:[^()]|\([^()]*\))*)\)"
    forms = rf"^\s*`?{name}`? \(.*?(?:shape)?\s*`?{parts}", rf"(?:^|\W){name}`?: `?{parts}"
    found = next((one for form in forms if (one := re.search(form, text, re.MULTILINE))), None)
    return [part.strip() for part in found[1].split(",") if part.strip()] if found else None


def _unpacked_rank(model_class: type[nn.Module], method: str, name: str) -> int | None:
    """How many dimensions the forward unpacks from the shape of an argument."""
    function = inspect.unwrap(getattr(model_class, method))
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            text = ast.unparse(node.value)
            if text in {f"{name}.shape", f"{name}.size()"}:
                return len(node.targets[0].elts)
    return None


def config_of(module: nn.Module) -> Mapping[str, Any]:
    """The configuration that a module carries, as diffusers' do; empty for others."""
    config = getattr(module, "config", None)
    return config if isinstance(config, Mapping) else {}


def _patch(module: nn.Module) -> tuple[int, int, int]:
    config = config_of(module)
    patch = config.get("patch_size", 2)
    if isinstance(patch, (list, tuple)):
        sizes = [int(part) for part in patch]
        return (1, 1, 1, *sizes)[-3:] if len(sizes) < 3 else (sizes[0], sizes[1], sizes[2])  # type: ignore[return-value]
    patch = patch if isinstance(patch, int) else 1
    return (config.get("patch_size_t") or 1, max(patch, 2), max(patch, 2))


def _in_channels(module: nn.Module) -> int:
    config = config_of(module)
    names = ("in_channels", "in_dim", "latent_channels", "input_dim", "io_channels", "embedding_dim")
    return next((config[name] for name in names if isinstance(config.get(name), int)), TAGS[0])
