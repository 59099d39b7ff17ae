"""What each key of a spec means, for its reader: the descriptions of the JSON Schema and of docs/spec-reference.md."""

from __future__ import annotations

from collections.abc import Mapping

_CALIBRATION = {
    "status": "whether the coefficients were made for this model, for another one, or do not exist",
    "coefficients": "polynomial that rescales a distance, highest degree first",
    "source": "where they were published",
    "accumulate": "whether rescaled distances are summed as they are, or by their absolute values",
    "thresholds": "published settings",
    "plans": "which steps a budget computes, where it was found out",
    "tolerance": "what a tolerance comes to, where it was measured",
    "warmup_steps": "steps at the beginning of a generation that are always computed",
    "match": "what the model's config says where this calibration is the right one: a value, a pattern or a "
    "list of them for each key",
    "note": "anything else",
}
_CONFIG = "keyword arguments of the model's constructor"
_DIMS = "integers to draw, smallest and largest included, between 0 and 4096"
_INPUTS = "arguments of the forward; one whose name ends in `?` is sometimes not passed"
_PROBE_DTYPE = "the one dtype of the instance, where the model does not run in both on a CPU; both are tried else"
_DTYPE = "`float` is the dtype drawn for the whole probe"

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "Spec": {
        "teaspec": "version of the language",
        "model": "the model's class: `diffusers.Class`, `package.module.Class` or `package.module:Class`; the "
        "class name is the registry key",
        "embed": "landmark 1: the submodule or method that embeds the timestep, and what the forward binds its result "
        "to: `call -> name`, or `none`",
        "norm": "landmark 2: the norm of the first block; the index is a number, or a key of a `ModuleDict`",
        "blocks": "landmark 3: how the blocks are iterated",
        "head": "landmark 4: the first submodule (or method) of the output head",
        "streams": "names of the streams, where they are not `hidden` = `hidden_states` and `encoder` = "
        "`encoder_hidden_states`",
        "signal": "the value that decides: `norm`, the modulated input behind the norm; `attention`, what the "
        "submodule receives that `norm` leads to, where the norm before it is a function (`norm` then names the "
        "first attention); `temb`, the timestep embedding; or a name that is bound where the blocks begin",
        "timestep": "the argument of the forward that is the timestep, where the call that `embed` names does not show "
        "it",
        "varying": "the arguments that a caller makes anew at each step besides the timestep, the latents first; "
        "without it, the first argument of the forward alone",
        "bypass": "which calls run the uncached forward: `name`, that pass this argument and not as None; `name "
        "= value`, that pass this value; `name.attribute.0 = value`, that pass an argument in which this value "
        "lies there",
        "aliases": "further class names with the same landmarks",
        "forward": "the method that holds the loops, where `forward` only dispatches to it",
        "teacache": "published facts: coefficients, thresholds, and where they are from",
        "probe": "how to build a tiny instance and draw calls of it; `teaspec check` needs it",
    },
    "Blocks": {
        "style": "one stream, or a hidden and an encoder stream",
        "loops": "the lists of blocks, in the order in which the forward iterates them; at least one, each once",
        "until": "the first submodule or method behind the blocks that reused steps call; without it, the blocks end "
        "where the stream can be restored",
        "carried": "the arguments that enter the streams between blocks, such as the samples of a ControlNet: a reused "
        "step carries over what those of the last computed step made of the streams",
        "frozen": "why a reused step returns what the computed one did, whatever it is given",
    },
    "Streams": {
        "hidden": "the image or latent stream",
        "encoder": "the text stream",
    },
    "TeaCacheFacts": {
        **_CALIBRATION,
        "variants": "further calibrations by name: the same keys without `variants`, and `signal`, where "
        "another value decides. A variant inherits `accumulate`, nothing else",
    },
    "Variant": {
        **_CALIBRATION,
        "signal": "the value that decides, where it is another one than the spec's",
    },
    "Threshold": {
        "thresh": "the threshold of the accumulated distance, above 0",
        "speedup": "how many times faster a generation was, as its source says",
        "note": "what the source adds",
    },
    "Plan": {
        "steps": "steps of the generations that it was found on",
        "computed": "numbers of the computed steps, from 0 on, rising, the first among them",
        "forecast": "what the reused steps add, where the user does not say it; `last` if left out. Beside another "
        "setting of the user the plan is left alone",
        "limit": "the `residual_limit` of that; 1 if left out",
        "error": "relative error of the result on prompts that were held out",
        "even": "the same of as many steps evenly placed",
        "source": "what was run",
    },
    "Gain": {
        "gain": "the error of a result over what is expected behind the blocks",
        "forecast": "what the reused steps add, where the user does not say it; `last` if left out. Beside another "
        "setting of the user the gain is left alone",
        "limit": "the `residual_limit` of that; 1 if left out",
        "source": "what was run",
    },
    "Probe": {
        "config": _CONFIG,
        "dims": _DIMS,
        "inputs": _INPUTS,
        "cases": "alternatives: each has some of `config`, `dims`, `inputs`, `dtype`, merged over the base; at most 64",
        "dtype": _PROBE_DTYPE,
        "untried": "arguments of the forward that no input stands for, each with the reason",
    },
    "Case": {
        "config": _CONFIG,
        "dims": _DIMS,
        "inputs": _INPUTS,
        "dtype": _PROBE_DTYPE,
    },
    "Tensor": {
        "tensor": "a tensor of that shape; `[]` for a tensor of one number",
        "dtype": _DTYPE,
        "range": "`[lowest, highest]`, both included, uniform between them. Without it floats and complex numbers are "
        "standard normal, and bools are drawn evenly; integers need it. `[1, 1]` makes every number, or bool, the same",
        "integer": "`true` for a tensor of floats that are whole numbers; needs a range",
    },
    "Mask": {
        "mask": "a mask over the last dimension: at least one kept token, then masked ones",
        "dtype": _DTYPE,
    },
    "Indices": {
        "indices": "an int64 tensor of so many different whole numbers, in rising order",
        "below": "the first number that is too large",
        "from": "the smallest number",
    },
    "Concat": {"concat": "tensors, masks and indices joined along their last dimension"},
    "Dim": {"dim": "an integer"},
    "Choice": {"choice": "one of these plain values"},
    "Repeat": {
        "repeat": "a list with so many values, each drawn on its own",
        "of": "what each of them is",
    },
    "ListOf": {"list": "a list"},
    "TupleOf": {"tuple": "a tuple"},
    "DictOf": {
        "dict": "a dict",
        "integer": "`true` for keys that are whole numbers, which YAML has as texts",
    },
    "ObjectOf": {
        "object": "an object of a class that the model's own module defines",
        "with": "the keyword arguments that it is made with",
        "set": "the attributes that are set on it afterwards",
    },
    "Constant": {"literal": "the plain value as it stands"},
    "Absent": {"absent": "in a case only: the input of the base is not passed"},
}
"""Form to key to meaning, in Markdown."""
