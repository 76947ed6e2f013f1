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
            nn.init.normal_(parameter, mean=float("norm" in name.lower() and name.endswith("weight")), std=0.1)
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


def sew(model_class: Any = hf.SEWModel, **changes: Any) -> tuple[Any, Any]:
    return wav2vec2(model_class, squeeze_factor=2, **changes)


def conformer(positions: str, model_class: Any = hf.Wav2Vec2ConformerModel, **more: Any) -> tuple[Any, Any]:
    changes = {
        "position_embeddings_type": positions,
        "conv_depthwise_kernel_size": 5,
        "max_source_positions": 50,
        "vocab_size": 16,
    }
    return wav2vec2(model_class, **changes, **more)


def wav2vec2_bert(model_class: Any = hf.Wav2Vec2BertModel, **changes: Any) -> tuple[Any, Any]:
    config = hf.Wav2Vec2BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, vocab_size=16,
        feature_projection_input_dim=32, conv_depthwise_kernel_size=5, output_hidden_size=32, **changes,
    )  # fmt: skip
    return model_class(config), hf.SeamlessM4TFeatureExtractor(feature_size=16, num_mel_bins=16)


def speech_to_text(model_class: Any = hf.Speech2TextModel) -> tuple[Any, Any]:
    config = hf.Speech2TextConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=48, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=48, vocab_size=16, input_feat_per_channel=16, conv_channels=24,
    )  # fmt: skip
    return model_class(config), hf.Speech2TextFeatureExtractor(feature_size=16, num_mel_bins=16)


def moonshine(model_class: Any = hf.MoonshineModel) -> tuple[Any, Any]:
    config = hf.MoonshineConfig(
        hidden_size=32, intermediate_size=48, encoder_num_hidden_layers=2, encoder_num_attention_heads=2,
        decoder_num_hidden_layers=1, decoder_num_attention_heads=2, vocab_size=16, pad_head_dim_to_multiple_of=8,
    )  # fmt: skip
    return model_class(config), hf.Wav2Vec2FeatureExtractor(do_normalize=False, sampling_rate=16_000)


TOWER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "num_mel_bins": 16,
    "max_source_positions": 100,
}
LANGUAGE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 16,
    "rope_theta": 1e8,
}


def qwen2_audio(whole: bool = False) -> tuple[Any, Any]:
    """Chunks of 2 s."""
    extractor = hf.WhisperFeatureExtractor(feature_size=16, chunk_length=2)
    audio = hf.Qwen2AudioEncoderConfig(**TOWER)
    if not whole:
        return hf.Qwen2AudioEncoder(audio), extractor
    config = hf.Qwen2AudioConfig(audio_config=audio, text_config=hf.Qwen2Config(**LANGUAGE), audio_token_index=15)
    return hf.Qwen2AudioForConditionalGeneration(config), extractor


def voxtral(whole: bool = False) -> tuple[Any, Any]:
    """Chunks of 2 s."""
    extractor = hf.WhisperFeatureExtractor(feature_size=16, chunk_length=2)
    audio = hf.VoxtralEncoderConfig(**TOWER)
    if not whole:
        return hf.VoxtralEncoder(audio), extractor
    config = hf.VoxtralConfig(audio_config=audio.to_dict(), text_config={"model_type": "llama", **LANGUAGE})
    return hf.VoxtralForConditionalGeneration(config), extractor


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
    "unispeech": lambda: wav2vec2(hf.UniSpeechModel),
    "unispeech-large": lambda: wav2vec2(hf.UniSpeechModel, **LARGE),
    "unispeechsat": lambda: wav2vec2(hf.UniSpeechSatModel),
    "sew": sew,
    "sewd": lambda: sew(hf.SEWDModel, feature_layer_norm_eps=1e-5, max_position_embeddings=64, position_buckets=32),
    "conformer": lambda: conformer("relative"),
    "conformer-rotary": lambda: conformer("rotary"),
    "w2vbert": wav2vec2_bert,
    "moonshine": moonshine,
    "s2t": speech_to_text,
    "qwen2audio": qwen2_audio,
    "voxtral": voxtral,
    "ast": ast,
    "clap": clap,
    "clap-fused": clap_fused,
}
