"""What a failed call teaches: the inputs with which each of the fussy forwards runs are found, and no others."""

import pytest

from teaspec.draft.probe import draft_probe
from tests.draft import fussy

INT8 = {"dtype": "int64", "range": [0, 8]}

LEARNED = {
    fussy.SharedChannels: {"x": ["batch", "image", 6], "cond": ["batch", "image", 6]},
    fussy.TwoWidths: {"x": ["batch", "image", 5], "cond": ["batch", "image", 4]},
    fussy.WideRotary: {"rotary_emb": {"tuple": [["image", 24], ["image", 24]]}},
    fussy.SixSizes: {"image_meta_size": {"tensor": ["batch", 6], "range": [1, 64]}},
    fussy.Windows: {"x": ["batch", 3, "8 * rows", "8 * columns"]},
    fussy.JoinedPositions: {"position_ids": {"tensor": ["text + image", 3], "range": [0, 8], "integer": True}},
    fussy.TextPerToken: {"encoder_hidden_states": ["batch", "image", 5]},
    fussy.LayersOfText: {"text": ["batch", "text", 5, 7]},
    fussy.DescribedText: {"text": ["batch", 4, "text", 7]},
    fussy.Tables: {
        "visual_rope_pos": {"tuple": [{"tensor": [dim], **INT8} for dim in ("frames", "rows", "columns")]},
        "text_rope_pos": {"tensor": ["text"], **INT8},
    },
    fussy.TwoLengths: {"audio_x": ["batch", "image", 5], "audio_num_frames": {"dim": "image"}},
    fussy.TextOfAnotherWidth: {"text": ["batch", "text", 8], "text_2": ["batch", "text", 5]},
    fussy.AxesOfAHead: {"x": ["batch", "image", 6]},
}


def drafted(model_class):
    draft = draft_probe(model_class, {}, "forward", lambda module: True)
    assert draft.error is None
    return draft


@pytest.mark.parametrize("model_class", LEARNED, ids=lambda model_class: model_class.__name__)
def test_the_inputs_are_learned(model_class):
    """Mutations, each a lesson that learns nothing: `_share`, `joined`, `part_width`, `seen_as`, `divisible`,
    `both_sequences`, `as_long_as_the_latents`, `rank`, `described_rank`; `_value` knows no `pos`; `nones` keeps what is
    bound; the reversed form of "Expected size" is gone; `_shrunk` adds up no axes.
    """
    inputs = drafted(model_class).inputs
    assert {name: inputs[name] for name in LEARNED[model_class]} == LEARNED[model_class]


def test_the_smallest_dims_are_those_that_run():
    """Mutation: `_try_smallest` gives up at the first error."""
    dims = drafted(fussy.LosesAnAxis).dims
    assert (dims["rows"], dims["columns"]) == ([1, 4], [2, 5])


def test_what_asks_for_something_absent_is_off_and_named():
    """Mutation: `option_of_what_is_absent` finds nothing."""
    draft = drafted(fussy.Resized)
    assert draft.config == {"pad": False}
    assert draft.remarks == (
        "`pad` is off, as it asks for what is not installed here: name 'not_installed' is not defined",
    )
