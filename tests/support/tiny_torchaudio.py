"""Small networks in the bundles' form: real `Wav2Vec2Bundle` objects, random weights in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchaudio
from torchaudio.pipelines import Wav2Vec2Bundle

from core.encoders.torchaudio_bundle import add_bundle

PARAMS: dict[str, Any] = {
    "extractor_mode": "group_norm",
    "extractor_conv_layer_config": [(16, 10, 5), *[(16, 3, 2)] * 4, *[(16, 2, 2)] * 2],  # as real ones, fewer channels
    "extractor_conv_bias": False,
    "encoder_embed_dim": 32,
    "encoder_projection_dropout": 0.1,
    "encoder_pos_conv_kernel": 16,
    "encoder_pos_conv_groups": 4,
    "encoder_num_layers": 3,
    "encoder_num_heads": 4,
    "encoder_attention_dropout": 0.1,
    "encoder_ff_interm_features": 48,
    "encoder_ff_interm_dropout": 0.1,
    "encoder_dropout": 0.1,
    "encoder_layer_norm_first": False,
    "encoder_layer_drop": 0.05,
    "aux_num_out": None,
}
LARGE = {"extractor_mode": "layer_norm", "extractor_conv_bias": True, "encoder_layer_norm_first": True}
RELATIVE = {"encoder_num_buckets": 16, "encoder_max_distance": 40}
KINDS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "TINY_WAV2VEC2_BASE": ("Wav2Vec2", False, {}),
    "TINY_WAV2VEC2_LARGE": ("Wav2Vec2", True, LARGE),
    "TINY_WAVLM_BASE": ("WavLM", False, RELATIVE),
    "TINY_WAVLM_LARGE": ("WavLM", True, LARGE | RELATIVE),
}
"""Bundle name -> model type, whether waveforms are normalised, what differs from `PARAMS`."""


def bundle(kind: str, address: str = "https://localhost:9/tiny.pth", **changes: Any) -> Wav2Vec2Bundle:
    """A small bundle whose file would lie where nothing answers."""
    model_type, normalize, differs = KINDS[kind]
    return Wav2Vec2Bundle(address, PARAMS | differs | changes, 16_000, normalize, model_type)


def network(kind: str, seed: int = 0, **changes: Any) -> Any:
    """torchaudio's own network of a small bundle, random weights, in eval mode."""
    factory = torchaudio.models.wavlm_model if "WAVLM" in kind else torchaudio.models.wav2vec2_model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = factory(**bundle(kind, **changes)._params)
        for name, parameter in made.named_parameters():
            if "norm" not in name:  # livelier than at the start of a training
                parameter.data.mul_(2)
    return made.eval()


def build(folder: Path, kind: str = "TINY_WAVLM_LARGE") -> tuple[str, Path]:
    """Write a small network's weights; returns what `load_encoder` takes, the name and the file."""
    add_bundle(kind, bundle(kind))
    path = folder / f"{kind.lower()}.pth"
    torch.save(network(kind).state_dict(), path)
    return f"torchaudio:{kind}", path
