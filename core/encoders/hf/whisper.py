"""Encoders of Whisper, Qwen2-Audio, Voxtral: log-mel of 30 s -> convolutions -> 1,500 tokens -> pre-norm blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    Qwen2AudioEncoder,
    Qwen2AudioEncoderConfig,
    VoxtralEncoder,
    VoxtralEncoderConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder as WhisperNetwork

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.frames import cut, pad, sound_and_counted
from core.encoders.hf.base import HuggingFaceEncoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.errors import InputError
from core.results import TokenGrid

STRIDE = 2
"""Mel frames a token: the second convolution's stride."""
F_MAX = 8000.0
"""Hz at which the extractor's mel filters end, whatever its rate."""


class WhisperEncoder(HuggingFaceEncoder):
    """Whisper's encoder on chunks of as many frames as it has positions (30 s in the published models).

    Token ``t`` stands for the samples ``[320 t, 320 (t + 1))``: by the strides alone, not by what the
    convolutions and the spectrogram's window see around them. As in the model every token is attended
    to, silence behind the clip too; ``present`` (and so pooled) are those that hold any of the clip,
    counted with ``exclude`` those wholly in it. The embedding is their mean after the last norm.
    """

    ends_with_mlp = True
    family = "Whisper encoder"

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        config = network.config
        super().__init__(checkpoint, network, list(network.layers), config.d_model, config.encoder_layers, self.family)
        self.network = network
        self.sample_rate = int(extractor.sampling_rate)
        self.n_features = int(config.d_model)
        self.hop = int(extractor.hop_length)
        self.n_fft = int(extractor.n_fft)
        self.n_tokens = int(config.max_source_positions)
        device = self.device
        self.mel_filters = torch.from_numpy(extractor.mel_filters).float().T.contiguous().to(device)
        self.window = torch.hann_window(self.n_fft, device=device)

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        token = STRIDE * self.hop
        pieces, clip = cut(waveforms, self.n_tokens * token)
        start = torch.arange(self.n_tokens) * token
        clip_of_row = torch.tensor(clip)
        lengths = torch.tensor([len(piece) for piece in pieces])
        present, counted = sound_and_counted(lengths, start, start + token, clip_of_row, len(waveforms), padding)
        return self._batch(self.log_mel(pieces), clip_of_row, len(waveforms), present, counted)

    def log_mel(self, pieces: Sequence[NDArray[np.float32]]) -> Tensor:
        """Features as `transformers.WhisperFeatureExtractor` gives, shape (n_rows, n_mels, n_frames).

        Frames behind the longest clip hold silence alone, known without a transform.
        """
        n_frames = STRIDE * self.n_tokens
        longest = max(len(piece) for piece in pieces)
        n_sound = min(n_frames, -(-longest // self.hop) + -(-self.n_fft // self.hop))
        waveform = pad(pieces, n_sound * self.hop).to(self.device)
        stft = torch.stft(waveform, self.n_fft, self.hop, window=self.window, return_complex=True)
        power = stft[..., :-1].abs().square()  # (rows, bins, n_sound)
        level = (self.mel_filters @ power).clamp(min=1e-10).log10()
        level = F.pad(level, (0, n_frames - n_sound), value=-10.0)
        level = torch.maximum(level, level.amax((1, 2), keepdim=True) - 8.0)
        return (level + 4.0) / 4.0

    def token_grid(self, layer: int) -> TokenGrid:
        column = STRIDE * self.hop / self.sample_rate
        return TokenGrid((0.0, F_MAX), column, column, self.n_tokens * column, self.n_tokens)

    def begin(self, batch: Batch) -> Tensor:
        hidden = F.gelu(self.network.conv1(batch.inputs))
        hidden = F.gelu(self.network.conv2(hidden)).transpose(1, 2)
        return hidden + self.network.embed_positions.weight

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.network.layers[layer](hidden, None)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        hidden = self.network.layer_norm(hidden).float()
        return mean_over_clips((hidden * batch.present[:, :, None]).sum(1), batch.present.sum(1), batch)


class VoxtralTower(WhisperEncoder):
    """Voxtral's encoder: Whisper's, trained further."""

    family = "Voxtral encoder"


class Qwen2AudioTower(WhisperEncoder):
    """Qwen2-Audio's encoder: tokens behind the clip are not attended to, and two tokens become one behind the blocks.

    The embedding is the mean over those pairs whose second token holds any of the clip, and a chunk's first.
    """

    family = "Qwen2-Audio encoder"

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.network.layers[layer](hidden, batch.present[:, None, None, :])

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        pairs = self.network.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2)
        present = batch.present[:, 1::2].clone()
        present[:, 0] = True
        pairs = self.network.layer_norm(pairs).float()
        return mean_over_clips((pairs * present[:, : pairs.shape[1], None]).sum(1), present.sum(1), batch)


TOWERS: dict[str, tuple[type[WhisperEncoder], type, type]] = {
    "qwen2_audio": (Qwen2AudioTower, Qwen2AudioEncoderConfig, Qwen2AudioEncoder),
    "voxtral": (VoxtralTower, VoxtralEncoderConfig, VoxtralEncoder),
}
"""Encoders that are part of a language model, or saved alone (then ``_encoder`` is appended to the type)."""


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """The encoder of one of these models; a decoder, a language model or a head is dropped.

    Raises
    ------
    InputError
        If tensors of the encoder are missing or the features do not fit it.
    """
    kind = checkpoint.model_type.removesuffix("_encoder")
    if kind in TOWERS:
        encoder_class, config_class, network_class = TOWERS[kind]
        config = network_config(_of_audio(checkpoint), config_class)
        network = load_network(checkpoint, network_class, config, _tower_key)
    else:
        encoder_class = WhisperEncoder
        config = network_config(checkpoint, WhisperConfig)
        network = load_network(checkpoint, WhisperNetwork, config, encoder_key)
    extractor = feature_settings(checkpoint, WhisperFeatureExtractor, feature_size=config.num_mel_bins)
    if extractor.feature_size != config.num_mel_bins:
        raise InputError(
            f"{checkpoint.which}: preprocessor_config.json makes {extractor.feature_size} mel bands, "
            f"the network takes {config.num_mel_bins}; take both files from the same model"
        )
    return encoder_class(checkpoint, network.to(device), extractor)


def _of_audio(checkpoint: Checkpoint) -> Checkpoint:
    """With the settings of the audio encoder alone, where those of a language model lie around them."""
    if checkpoint.model_type.endswith("_encoder"):
        return checkpoint
    audio = checkpoint.config.get("audio_config", {})
    if not isinstance(audio, dict):
        raise InputError(f"{checkpoint.folder / 'config.json'}: audio_config is no JSON object; take the own file")
    return replace(checkpoint, config=audio)


def encoder_key(key: str) -> str | None:
    """Key of an encoder's tensor without what is before it; None of others."""
    match = re.match(r"(?:model\.)?encoder\.(.+)", key)
    return match[1] if match else None


def _tower_key(key: str) -> str | None:
    match = re.match(r"(?:model\.)?audio_tower\.(.+)", key)
    if match:
        return match[1]
    return key if key.startswith(("conv", "embed_positions.", "layers.", "layer_norm.")) else None
