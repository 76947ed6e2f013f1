"""A network of a type that the project does not know, made known to transformers as a package of someone's would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers as hf
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from tests.support import tiny_hf


class TinySoundConfig(hf.PreTrainedConfig):
    """``odd`` names what does not go with reading it by structure."""

    model_type = "tiny_sound"
    width: int = 32
    odd: str = ""


class Layer(nn.Module):
    """Pre-norm, with a gated MLP; positions are added in each."""

    def __init__(self, width: int, number: int, odd: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.ModuleDict({name: nn.Linear(width, width) for name in ("q", "k", "v", "out")})
        self.num_heads = 2
        self.into, self.gate, self.out_of = nn.Linear(width, 48), nn.Linear(width, 48), nn.Linear(48, width)
        if odd == "two MLPs":
            self.second = nn.ModuleList([nn.Linear(width, 40), nn.Linear(40, width)])

    def forward(self, hidden_states: Tensor, positions: Tensor, mask: Tensor | None = None, turn: int = 0) -> Any:
        x = self.norm1(hidden_states + positions)
        q, k, v = (self.attention[name](x).unflatten(2, (2, -1)).transpose(1, 2) for name in ("q", "k", "v"))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        hidden_states = hidden_states + self.attention["out"](mixed)
        x = self.norm2(hidden_states)
        return (hidden_states + self.out_of(F.gelu(self.gate(x)) * self.into(x)),)


class TinySound(hf.PreTrainedModel):
    """Frames of 400 samples each 320 are tokens."""

    config_class = TinySoundConfig
    base_model_prefix = "sound"
    main_input_name = "input_values"
    _supports_sdpa = True

    def __init__(self, config: TinySoundConfig) -> None:
        super().__init__(config)
        width = config.width
        self.frames = nn.Conv1d(1, width, 400, 320)
        self.layers = nn.ModuleList(Layer(width, i, config.odd) for i in range(3))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, width) if config.odd == "more behind" else nn.Identity()
        self.post_init()

    def forward(self, input_values: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        hidden = F.gelu(self.frames(input_values[:, None])).transpose(1, 2)
        time = torch.arange(hidden.shape[1], device=hidden.device)[:, None]
        positions = torch.sin(time * torch.logspace(0, -2, hidden.shape[2], device=hidden.device))
        keys = None
        if attention_mask is not None and self.config.odd != "no mask":
            n_tokens = (attention_mask.sum(1) - 400) // 320 + 1
            keys = (time[:, 0] < n_tokens[:, None])[:, None, None, :]
        for number, layer in enumerate(self.layers):
            turn = number if self.config.odd == "unlike blocks" else 0
            hidden = layer(hidden, positions, mask=keys, turn=turn)[0]
        return BaseModelOutput(last_hidden_state=self.last(self.norm(hidden)))


hf.AutoConfig.register("tiny_sound", TinySoundConfig)
hf.AutoModel.register(TinySoundConfig, TinySound)


def build(folder: Path, odd: str = "") -> tuple[Any, ...]:
    """Write a model; what `load_encoder` takes, structure confirmed."""
    folder = folder / "tiny-sound"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TinySound(TinySoundConfig(odd=odd))
        tiny_hf.spread(model)
    extractor = hf.Wav2Vec2FeatureExtractor(do_normalize=False, sampling_rate=16_000)
    tiny_hf.quietly_save(model, extractor, folder)
    return f"hf:{folder}", None, "cpu", None, True
