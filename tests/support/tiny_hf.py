"""Tiny random models of every Hugging Face family, saved as the library saves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from torch import nn

WAVEFORM: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [8] * 4,
    "conv_kernel": [10, 8, 4, 4],
    "conv_stride": [5, 4, 4, 4],
    "num_feat_extract_layers": 4,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.5,
}
"""One token each 320 samples; at 4 kHz, so that chunks of 30 s stay small."""

LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}


def build(folder: Path, labels: Iterable[str] = ()) -> dict[str, str]:
    """Write a tiny model of each family, or of those named, into a folder of its own.

    Returns
    -------
    dict
        What it is -> its name for `load_encoder`.
    """
    made = {}
    for label in labels or MODELS:
        make = MODELS[label]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sum(label.encode()))
            model, extractor = make()
            spread(model)
        quietly_save(model, extractor, folder / label)
        made[label] = f"hf:{folder / label}"
    return made


def folder(name: str) -> Path:
    """Where the model of a name lies."""
    return Path(name.removeprefix("hf:"))


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def quietly_save(model: Any, extractor: Any, folder: Path) -> Path:
    """Save without a progress bar; ``extractor`` may be None."""
    hf.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    if extractor is not None:
        extractor.save_pretrained(folder)
    return folder


def spread(model: nn.Module) -> None:
    """Weights large enough for outputs to differ well; norms off 1, biases off 0."""
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            nn.init.normal_(parameter, mean=float("norm" in name and name.endswith("weight")), std=0.1)
        elif "weight.original" not in name:
            nn.init.normal_(parameter, std=1.0 / max(parameter[0].numel(), 1) ** 0.5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # As of a trained model: a mean of -40 dB, a spread of 20 dB.
            nn.init.constant_(module.running_mean, -40.0)  # type: ignore[arg-type]
            nn.init.constant_(module.running_var, 400.0)  # type: ignore[arg-type]


def whisper(model_class: Any = hf.WhisperModel) -> tuple[Any, Any]:
    """Chunks of 2 s."""
    config = hf.WhisperConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=48, num_mel_bins=16,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=48, max_source_positions=100,
        vocab_size=16, pad_token_id=1, bos_token_id=2, eos_token_id=3, decoder_start_token_id=4,
        encoder_layerdrop=0.5, classifier_proj_size=8,
    )  # fmt: skip
    return model_class(config), hf.WhisperFeatureExtractor(feature_size=16, chunk_length=2)


def wav2vec2(model_class: Any = hf.Wav2Vec2Model, do_normalize: bool = True, **changes: Any) -> tuple[Any, Any]:
    config_class = model_class.config_class
    extractor = hf.Wav2Vec2FeatureExtractor(do_normalize=do_normalize, sampling_rate=4000)
    return model_class(config_class(**{**WAVEFORM, **changes})), extractor


def data2vec() -> tuple[Any, Any]:
    return wav2vec2(hf.Data2VecAudioModel, num_conv_pos_embeddings=3, conv_pos_kernel_size=5)


def ast(model_class: Any = hf.ASTModel) -> tuple[Any, Any]:
    """Chunks of 1 s."""
    config = hf.ASTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, max_length=100,
        num_mel_bins=32, num_labels=3,
    )  # fmt: skip
    return model_class(config), hf.ASTFeatureExtractor(max_length=100, num_mel_bins=32)


def clap_audio_config(**changes: Any) -> hf.ClapAudioConfig:
    return hf.ClapAudioConfig(
        window_size=4, num_mel_bins=16, spec_size=64, hidden_size=32, projection_dim=8, depths=[2, 2],
        num_attention_heads=[2, 4], patch_embeds_hidden_size=16, num_hidden_layers=2, **changes,
    )  # fmt: skip


def clap_extractor(truncation: str, **changes: Any) -> hf.ClapFeatureExtractor:
    """Chunks of 1 s at 16 kHz."""
    return hf.ClapFeatureExtractor(
        feature_size=16, sampling_rate=16_000, hop_length=160, max_length_s=1, fft_window_size=512,
        frequency_max=8000, truncation=truncation, **changes,
    )  # fmt: skip


def clap() -> tuple[Any, Any]:
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = hf.ClapConfig(
        text_config={**text, "vocab_size": 16, "max_position_embeddings": 8},
        audio_config=clap_audio_config().to_dict(),
        projection_dim=8,
    )
    return hf.ClapModel(config), clap_extractor("rand_trunc")


def clap_fused() -> tuple[Any, Any]:
    return hf.ClapAudioModel(clap_audio_config(enable_fusion=True)), clap_extractor("fusion")


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "whisper": whisper,
    "wav2vec2": wav2vec2,
    "wav2vec2-large": lambda: wav2vec2(**LARGE),
    "wav2vec2-adapters": lambda: wav2vec2(adapter_attn_dim=16, **LARGE),
    "hubert": lambda: wav2vec2(hf.HubertModel, do_normalize=False),
    "hubert-large": lambda: wav2vec2(hf.HubertModel, **LARGE),
    "wavlm": lambda: wav2vec2(hf.WavLMModel, num_buckets=32, max_bucket_distance=50),
    "wavlm-large": lambda: wav2vec2(hf.WavLMModel, num_buckets=32, max_bucket_distance=50, **LARGE),
    "data2vec": data2vec,
    "ast": ast,
    "clap": clap,
    "clap-fused": clap_fused,
}
