"""Whisper's encoder: log-mel of 30 s -> two convolutions -> 1,500 tokens of 20 ms -> pre-norm blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import WhisperConfig, WhisperFeatureExtractor
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

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        config = network.config
        layers = list(network.layers)
        super().__init__(checkpoint, network, layers, config.d_model, config.encoder_layers, "Whisper encoder")
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


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """The encoder of a Whisper model; a decoder or head is dropped.

    Raises
    ------
    InputError
        If tensors of the encoder are missing or the features do not fit it.
    """
    config = network_config(checkpoint, WhisperConfig)
    network = load_network(checkpoint, WhisperNetwork, config, _encoder_key)
    extractor = feature_settings(checkpoint, WhisperFeatureExtractor, feature_size=config.num_mel_bins)
    if extractor.feature_size != config.num_mel_bins:
        raise InputError(
            f"{checkpoint.which}: preprocessor_config.json makes {extractor.feature_size} mel bands, "
            f"the network takes {config.num_mel_bins}; take both files from the same model"
        )
    return WhisperEncoder(checkpoint, network.to(device), extractor)


def _encoder_key(key: str) -> str | None:
    match = re.match(r"(?:model\.)?encoder\.(.+)", key)
    return match[1] if match else None
