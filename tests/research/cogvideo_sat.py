"""As CogVideo on SwissArmyTransformer: the transformer is the base class, and the model hands all up in kwargs."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import Attention, Mlp, TimestepEmbedder, modulate


class BaseTransformerLayer(nn.Module):
    def __init__(self, hidden_size, num_attention_heads):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(hidden_size)
        self.attention = Attention(hidden_size, num_attention_heads)
        self.post_attention_layernorm = nn.LayerNorm(hidden_size)
        self.mlp = Mlp(hidden_size)
        self.adaln = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 12 * hidden_size))

    def forward(self, hidden_states, mask, *, emb, text_length, **kwargs):
        text_hidden_states = hidden_states[:, :text_length]
        img_hidden_states = hidden_states[:, text_length:]
        parts = self.adaln(emb).chunk(12, dim=1)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = parts[:6]
        text_shift_msa, text_scale_msa, text_gate_msa, text_shift_mlp, text_scale_mlp, text_gate_mlp = parts[6:]

        # self full attention (b,(t n),d)
        img_attention_input = modulate(self.input_layernorm(img_hidden_states), shift_msa, scale_msa)
        text_attention_input = modulate(self.input_layernorm(text_hidden_states), text_shift_msa, text_scale_msa)
        attention_input = torch.cat((text_attention_input, img_attention_input), dim=1)
        attention_output = self.attention(attention_input, mask)
        text_attention_output = attention_output[:, :text_length]
        img_attention_output = attention_output[:, text_length:]
        img_hidden_states = img_hidden_states + gate_msa.unsqueeze(1) * img_attention_output
        text_hidden_states = text_hidden_states + text_gate_msa.unsqueeze(1) * text_attention_output

        img_mlp_input = modulate(self.post_attention_layernorm(img_hidden_states), shift_mlp, scale_mlp)
        text_mlp_input = modulate(self.post_attention_layernorm(text_hidden_states), text_shift_mlp, text_scale_mlp)
        mlp_output = self.mlp(torch.cat((text_mlp_input, img_mlp_input), dim=1))
        img_hidden_states = img_hidden_states + gate_mlp.unsqueeze(1) * mlp_output[:, text_length:]
        text_hidden_states = text_hidden_states + text_gate_mlp.unsqueeze(1) * mlp_output[:, :text_length]
        return torch.cat((text_hidden_states, img_hidden_states), dim=1)


class BaseTransformer(nn.Module):
    def __init__(self, num_layers, hidden_size, num_attention_heads):
        super().__init__()
        self.layers = nn.ModuleList([BaseTransformerLayer(hidden_size, num_attention_heads) for _ in range(num_layers)])
        self.final_layernorm = nn.LayerNorm(hidden_size)

    def word_embedding_forward(self, images, encoder_outputs):
        raise NotImplementedError

    def final_forward(self, logits, **kwargs):
        return logits

    def forward(self, images, attention_mask, encoder_outputs, emb, text_length, **kwargs):
        hidden_states = self.word_embedding_forward(images, encoder_outputs)
        for i, layer in enumerate(self.layers):
            args = [hidden_states, attention_mask]
            hidden_states = layer(*args, emb=emb, text_length=text_length, layer_id=i)
        logits = self.final_layernorm(hidden_states)
        return self.final_forward(logits, emb=emb, text_length=text_length, **kwargs)


class DiffusionTransformer(BaseTransformer):
    def __init__(self, in_channels=4, hidden_size=32, num_layers=3, num_attention_heads=2, text_hidden_size=12):
        super().__init__(num_layers, hidden_size, num_attention_heads)
        self.in_channels = in_channels
        self.proj = nn.Conv2d(in_channels, hidden_size, 2, 2)
        self.text_proj = nn.Linear(text_hidden_size, hidden_size)
        self.time_embed = TimestepEmbedder(hidden_size)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 2 * hidden_size))
        self.linear = nn.Linear(hidden_size, 4 * in_channels)

    def word_embedding_forward(self, images, encoder_outputs):
        b, t = images.shape[:2]
        emb = self.proj(images.flatten(0, 1)).unflatten(0, (b, t)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        return torch.cat((self.text_proj(encoder_outputs), emb), dim=1)

    def final_forward(self, logits, *, emb, text_length, rows, columns, **kwargs):
        x = logits[:, text_length:]
        shift, scale = self.adaLN_modulation(emb).chunk(2, dim=1)
        x = self.linear(modulate(x, shift, scale))
        x = x.reshape(x.shape[0], -1, rows, columns, 2, 2, self.in_channels)
        return x.permute(0, 1, 6, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)

    def forward(self, x, timesteps, context, **kwargs):
        b, t, d, h, w = x.shape
        emb = self.time_embed(timesteps)
        kwargs["rows"], kwargs["columns"] = h // 2, w // 2
        kwargs["images"] = x
        kwargs["encoder_outputs"] = context
        kwargs["text_length"] = context.shape[1]
        kwargs["emb"] = emb
        kwargs["attention_mask"] = None
        return super().forward(**kwargs)
