"""The spec: what a person knows about a model, checked as far as that is possible without the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, WithJsonSchema, model_validator

from teaspec.compiler.forms.document import Document, Path
from teaspec.compiler.forms.frozen import Form, Sequence, Text, at_most, describe
from teaspec.compiler.forms.gain import Gain
from teaspec.compiler.forms.match import Match
from teaspec.compiler.forms.mistake import mistake
from teaspec.compiler.forms.names import DOTTED, NAME, BypassRule, DottedName, Identifier, ImportPath, NormPath
from teaspec.compiler.forms.paths import last_of
from teaspec.compiler.forms.plan import Plan
from teaspec.compiler.forms.probe import Probe

Status = Literal["published", "borrowed", "none"]
Accumulate = Literal["signed", "absolute"]

IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0)
"""The polynomial, highest degree first, that leaves a distance as it is."""

MAX_VARIANTS = 32
MAX_PLANS = 64

BASE = "base"
"""What the spec's own calibration is called, beside its variants."""


def _coefficients(raw: object) -> object:
    if isinstance(raw, list | tuple) and len(raw) != len(IDENTITY):
        raise mistake(
            "wrong-length",
            f"expected {len(IDENTITY)} coefficients, highest degree first, found {len(raw)}",
        )
    return raw


_FIVE_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": len(IDENTITY), "maxItems": len(IDENTITY)}

Coefficients = Annotated[Sequence[float], BeforeValidator(_coefficients), WithJsonSchema(_FIVE_NUMBERS)]


class Embed(Form):
    """The first landmark, written `call -> name`, or `call -> name or name`.

    Attributes:
        call: The submodule or method that is called.
        names: What the forward binds its result to. Several where its modes bind different names; in one call the first
            that is not None is the embedding.
    """

    call: DottedName
    names: Sequence[Identifier]

    def __str__(self) -> str:
        """As the spec writes it."""
        return f"{self.call} -> {' or '.join(self.names)}"


def _embed(raw: object) -> object:
    if isinstance(raw, Embed) or raw == "none":
        return None if raw == "none" else raw
    if not isinstance(raw, str):
        raise mistake("wrong-type", f"expected a text, found {describe(raw)}", _EMBED_HELP)
    call, arrow, bound = (part.strip() for part in raw.partition("->"))
    names = [name.strip() for name in re.split(r"\bor\b", bound)]
    if not arrow or not call or not all(names):
        raise mistake("bad-embed", f"`{raw}` does not say what is called and what its result is bound to", _EMBED_HELP)
    return {"call": call, "names": names}


_EMBED_HELP = "write `call -> name`, for example `time_text_embed -> temb`"
_EMBED = {"type": "string", "pattern": f"^ *({DOTTED} *-> *{NAME}( +or +{NAME})*|none) *$"}


def _version(raw: object) -> object:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise mistake("wrong-type", f"expected the version of the spec language, found {describe(raw)}", _VERSION_HELP)
    if raw != 1:
        raise mistake("unsupported-version", f"version {raw} of the spec language is not known", _VERSION_HELP)
    return raw


_VERSION_HELP = "write `teaspec: 1`"


def _varying(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise mistake("empty-list", "expected at least one argument, found an empty list", _VARYING_HELP)
    return names


_VARYING_HELP = "without the key it is the first argument of the forward"


def _carried(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise mistake("empty-list", "expected at least one argument, found an empty list", _CARRIED_HELP)
    return names


_CARRIED_HELP = "without the key no argument enters the streams between blocks"


class Blocks(Form):
    """The third landmark: how the blocks are iterated.

    Attributes:
        style: `dual` for a hidden and an encoder stream, `single` for one stream.
        loops: The lists of blocks, in the order in which the forward iterates them.
        until: The first submodule or method behind the blocks that reused steps call; None where the compiler finds
            out where the blocks end.
        carried: The arguments that enter the streams between blocks: a reused step carries over what those of the last
            computed step made of the streams.
        frozen: Why a reused step returns what the computed one did, whatever it is given; None where it does not.
    """

    style: Literal["single", "dual"]
    loops: Sequence[DottedName]
    until: DottedName | None = None
    carried: Annotated[Sequence[Identifier], AfterValidator(_carried)] = ()
    frozen: Text | None = None


class Streams(Form):
    """What the forward calls its streams.

    Attributes:
        hidden: The image or latent stream.
        encoder: The text stream.
    """

    hidden: Identifier = "hidden_states"
    encoder: Identifier = "encoder_hidden_states"


class Threshold(Form):
    """One published setting.

    Attributes:
        thresh: The threshold of the accumulated distance.
        speedup: How many times faster a generation was, as its source says.
        note: What the source adds.
    """

    thresh: float = Field(gt=0)
    speedup: float | None = Field(default=None, gt=0)
    note: Text | None = None


class CheckpointFacts(Form):
    """What is known about one calibration.

    Attributes:
        status: Whether the coefficients were published for this model, borrowed from another, or do not exist. A spec
            that gives coefficients and no status means `published`.
        coefficients: Polynomial that rescales a distance, highest degree first.
        accumulate: Whether rescaled distances are summed as they are or by their absolute value.
        source: Where the coefficients were published.
        thresholds: Published settings.
        plans: Which steps a budget computes.
        tolerance: What a tolerance comes to.
        warmup_steps: Steps at the beginning of a generation that are always computed.
        match: What the model's config says where this calibration is the right one; empty where it does not tell.
        note: Anything else.
    """

    status: Status = "none"
    coefficients: Coefficients = IDENTITY
    accumulate: Accumulate = "signed"
    source: Text | None = None
    thresholds: Sequence[Threshold] = ()
    plans: Annotated[Sequence[Plan], at_most(MAX_PLANS, "plans")] = ()
    tolerance: Gain | None = None
    warmup_steps: int = Field(default=0, ge=0)
    match: Match = Field(default_factory=dict)
    note: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _status_follows_coefficients(cls, raw: object) -> object:
        if isinstance(raw, dict) and "coefficients" in raw and "status" not in raw:
            return {**raw, "status": "published"}
        return raw


class Variant(CheckpointFacts):
    """What is known about one checkpoint of the model.

    Attributes:
        signal: The value that decides, where it differs from the spec's.
    """

    signal: Identifier | None = None


class TeaCacheFacts(CheckpointFacts):
    """What is known about the model.

    Attributes:
        variants: Name of a checkpoint to what is known about it. A variant inherits nothing but `accumulate`.
    """

    variants: Annotated[Mapping[Text, Variant], at_most(MAX_VARIANTS, "variants")] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _variants_accumulate_alike(cls, raw: object) -> object:
        if not isinstance(raw, dict) or not isinstance(raw.get("variants"), dict):
            return raw
        accumulate = raw.get("accumulate", "signed")
        if accumulate not in get_args(Accumulate):
            return raw  # a mistake of the spec, not of each of its variants
        inherited = {"accumulate": accumulate}
        variants = {
            name: {**inherited, **variant} if isinstance(variant, dict) else variant
            for name, variant in raw["variants"].items()
        }
        return {**raw, "variants": variants}


class Spec(Form):
    """Four landmarks and what else is known about a model.

    Attributes:
        teaspec: Version of the spec language.
        model: Import path of the model's class; the class name is the registry key.
        embed: First landmark, the embedding call; None where the forward has none before its blocks.
        norm: Second landmark, the path of the first block's norm.
        blocks: Third landmark, how the blocks are iterated.
        head: Fourth landmark, the first submodule of the output head.
        streams: Names of the streams.
        signal: The value that decides: `norm`, `attention`, `temb`, or a name that is bound where the blocks begin.
        timestep: The argument of the forward that is the timestep; None where the embedding call shows it.
        varying: The arguments that a caller makes anew at each step besides the timestep, the latents first; empty for
            the first argument of the forward.
        bypass: Which arguments send a call past the cache: `name`, `name = value` or `name.attribute.0 = value`.
        aliases: Further registry keys with the same landmarks.
        forward: The method that holds the loops.
        teacache: Coefficients and thresholds.
        probe: How to build a tiny instance; empty where the spec gives none.
    """

    teaspec: Annotated[Literal[1], BeforeValidator(_version)]
    model: ImportPath
    embed: Annotated[Embed | None, BeforeValidator(_embed), WithJsonSchema(_EMBED)]
    norm: NormPath
    blocks: Blocks
    head: DottedName
    streams: Streams = Streams()
    signal: Identifier = "norm"
    timestep: Identifier | None = None
    varying: Annotated[Sequence[Identifier], AfterValidator(_varying)] = ()
    bypass: Sequence[BypassRule] = ()
    aliases: Sequence[Identifier] = ()
    forward: Identifier = "forward"
    teacache: TeaCacheFacts = TeaCacheFacts()
    probe: Probe = Probe()

    _document: Document | None = PrivateAttr(default=None)
    _signal_path: Path = PrivateAttr(default=("signal",))

    def model_post_init(self, context: Any) -> None:
        """Keeps the document that the pass gave as validation context."""
        if isinstance(context, dict):
            self._document = context.get("document")

    @property
    def document(self) -> Document:
        """The text that the spec was read from.

        Raises:
            ValueError: The spec was not read from a text.
        """
        if self._document is None:
            raise ValueError("this spec was not read from a document")
        return self._document

    @property
    def signal_path(self) -> Path:
        """Where in the document the signal stands."""
        return self._signal_path

    def for_variant(self, name: str) -> Spec:
        """Returns the spec with the signal of a variant: itself, where the variant has the same.

        Args:
            name: A key of `teacache.variants`.

        Raises:
            KeyError: There is no such variant.
        """
        signal = self.teacache.variants[name].signal
        if signal is None or signal == self.signal:
            return self
        other = self.model_copy(update={"signal": signal})
        other._signal_path = ("teacache", "variants", name, "signal")
        return other

    @property
    def class_name(self) -> str:
        """The name of the model's class, without its module."""
        return last_of(self.import_path)

    @property
    def import_path(self) -> str:
        """Where the model's class is imported from, with dots alone."""
        return self.model.replace(":", ".")
