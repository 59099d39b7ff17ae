"""A folder of diffusers with a whole FLUX pipeline, tokenizers and encoders included, tiny and of random weights."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from diffusers import FluxPipeline
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from tests.pipelines.flux import flux


def save_flux(folder: Path) -> None:
    """Writes it where `FluxPipeline.from_pretrained` finds it under the name of the real one."""
    torch.manual_seed(0)
    letters = string.ascii_lowercase
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    clip = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((letter, -2.0) for letter in letters)]
    t5 = T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    parts = flux(FluxPipeline)
    FluxPipeline(
        scheduler=parts.scheduler,
        vae=parts.vae,
        transformer=parts.transformer,
        tokenizer=clip,
        text_encoder=CLIPTextModel(CLIPTextConfig(vocab_size=len(clip), projection_dim=8, **small)),
        tokenizer_2=t5,
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(t5), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
        ),
    ).save_pretrained(folder)
