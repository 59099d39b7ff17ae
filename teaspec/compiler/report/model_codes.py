"""Codes of what can be wrong between a spec and the model that it names."""

from __future__ import annotations

MODEL_CODES = {
    "async-forward": "The model's forward is a coroutine or a generator.",
    "carried-value-changed": "The postlude changes a value in place that reused steps take over from an earlier step.",
    "dynamic-scope": (
        "The forward looks at its own names at run time (`locals()`, `eval`, `exec`), so no analysis can follow it."
    ),
    "embed-binds-other-name": "The embedding call does not bind the name that the spec gives.",
    "foreign-object": "An object of the probe is a model, or of a class that the model's own module does not define.",
    "forward-not-dispatched": "The forward does not hand the call on to the method that the spec names.",
    "global-statement": "The forward binds names of an outer scope (`global`, `nonlocal`).",
    "head-before-blocks": "The output head is called before the block loops have ended.",
    "loop-in-unknown-place": "The block loop stands where the forward cannot be cut.",
    "model-mismatch": "The module is not an instance of the class that the spec is for.",
    "no-source": "The source of the model's forward cannot be read.",
    "norm-not-always-reached": "The forward can reach the blocks without passing the norm.",
    "norm-outside-first-loop": (
        "The norm path does not begin with one of the spec's block loops and the index of its first block."
    ),
    "norm-reaches-no-attention": (
        "What the norm returns does not reach a submodule with weights in the block's forward."
    ),
    "norm-slice-has-effects": "Computing the modulated input would change values or draw random numbers.",
    "opaque-decorator": "The forward is wrapped in a way that its source does not show.",
    "package-not-allowed": "The model comes from a package that nobody allowed to be imported.",
    "rebound-closure": "A nested function reads a name that is bound again on the other side of a cut.",
    "replaced-forward": "A method was replaced on the instance by something that cannot be cut.",
    "return-in-blocks": "The forward can return from the midst of the blocks.",
    "stale-value": "The postlude reads a value of this call that could only be taken over from an earlier one.",
    "state-of-blocks": "The blocks leave an attribute on the model, or one on themselves that the postlude reads.",
    "stream-not-a-tensor": "A stream of the spec is a dict, a list or a tuple when the blocks begin.",
    "stream-not-live": "The output head does not depend on the hidden stream.",
    "style-mismatch": "The block loops do not thread the streams that the spec's style says.",
    "unknown-argument": "The spec names an argument that the model's forward does not take.",
    "unknown-block-loop": "The forward has no loop over a list that the spec names.",
    "unknown-config-key": "A `match` asks for a key that the model's config does not have.",
    "unknown-embed-call": "The forward does not call the embedding that the spec names before its blocks.",
    "unknown-forward-method": "The model has no method of the name that the spec gives as `forward`.",
    "unknown-head": "The forward does not call the output head that the spec names after its blocks.",
    "unknown-model": "The class that the spec is for cannot be imported.",
    "unknown-norm-path": "The norm path does not lead to a submodule that the block calls.",
    "unknown-signal": "The name that the spec gives as `signal` is not bound when the blocks begin.",
    "unknown-stream": "The forward does not bind the name that the spec gives to a stream.",
    "unknown-syntax": "The forward is written in a syntax that this version of teaspec does not know.",
    "unknown-until": "The forward does not call between its blocks and its head what the spec says they end before.",
    "unmappable-argument": "An argument that the norm needs is passed in a way that cannot be followed.",
    "yield-in-forward": "The forward yields or awaits.",
}
