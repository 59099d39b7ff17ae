"""IP adapters need modules that no constructor makes, so they are not in the probes but here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
from diffusers.models.embeddings import ImageProjection, IPAdapterTimeImageProjection, MultiIPAdapterImageProjection
from diffusers.models.transformers.transformer_flux import FluxIPAdapterAttnProcessor

from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.compare import require_equal, require_telling, same_value
from teaspec.proof.inputs import Arguments, Example
from teaspec.proof.run import surroundings
from teaspec.proof.subject import Subject

SPECS = Path(__file__).parents[2] / "specs"


def equip_flux(module):
    module.encoder_hid_proj = MultiIPAdapterImageProjection([ImageProjection(10, 32, num_image_text_embeds=2)])
    processors = {
        name: FluxIPAdapterAttnProcessor(32, 32, num_tokens=(2,)) if "single" not in name else processor
        for name, processor in module.attn_processors.items()
    }
    module.set_attn_processor(processors)
    return [torch.randn(2, 1, 10)]


def equip_sd3(module):
    module.image_proj = IPAdapterTimeImageProjection(
        embed_dim=10, output_dim=12, hidden_dim=8, depth=1, dim_head=4, heads=2, num_queries=3, timestep_in_dim=8
    )
    for block in module.transformer_blocks:
        block.attn.processor = SD3IPAdapterJointAttnProcessor2_0(16, 12, 8, timesteps_emb_dim=8)
    return torch.randn(2, 5, 10)


@pytest.mark.parametrize(("name", "equip"), [("flux", equip_flux), ("sd3", equip_sd3)])
def test_split_is_exact_with_an_ip_adapter(name, equip):
    spec = load_spec(SPECS / f"{name}.yaml")
    subject = Subject(spec, import_model(spec), compile_spec)
    dims = {dim: high for dim, (_, high) in spec.probe.dims.items()}
    example = Example(0, torch.float32, {**dims, "batch": 2}, frozenset(), False, 0, 0)
    torch.manual_seed(0)
    module = subject.module(example)
    plain = subject.call(example, subject.arguments(example))
    embeds = equip(module)

    def arguments():
        given = subject.arguments(example)
        return Arguments(given.args, {**given.kwargs, "joint_attention_kwargs": {"ip_adapter_image_embeds": embeds}})

    def run(context):
        return context.postprocess(*context.run_transformer_blocks())

    with surroundings(), torch.no_grad():
        left, right = arguments(), arguments()
        expected = subject.call(example, left)
        actual = subject.extractor(example).enter(module, right.args, right.kwargs, run)
    require_telling(expected)
    assert not torch.equal(plain[0], expected[0]), "the adapter must matter"
    require_equal(expected, actual, "with an adapter")
    assert same_value(left.kwargs, right.kwargs)
