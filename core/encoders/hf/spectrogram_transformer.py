"""AST, the Audio Spectrogram Transformer: a ViT on overlapping 16x16 patches of a Kaldi filter bank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.frames import cut_frames, pad, sound_and_counted
from core.encoders.hf.base import HuggingFaceEncoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.kaldi import F_MIN, FilterBank
from core.encoders.mel import band_edges
from core.errors import InputError
from core.results import TokenGrid

SPECIAL = 2
"""Class and distillation token, before the patches."""


class SpectrogramTransformer(HuggingFaceEncoder):
    """AST on chunks of as many frames as it has positions (10.24 s in the published models).

    The patch in column ``t`` spans the frames ``[stride t, stride t + 16)``, 10 ms each; patches run
    frequency-major. As in the model every token is attended to, the fill behind the clip too.
    ``present`` are patches that hold any frame of the clip; the class and distillation tokens are in
    neither mask. The embedding is the model's own, the mean of those two after the last norm; chunks
    of a long clip weigh by their present patches.
    """

    ends_with_mlp = True

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        config = network.config
        super().__init__(checkpoint, network, list(network.layers), config.hidden_size, config.num_hidden_layers, "AST")
        self.network = network
        self.sample_rate = int(extractor.sampling_rate)
        self.n_features = int(config.hidden_size)
        self.extractor = extractor
        self.patch = int(config.patch_size)
        self.time_stride = int(config.time_stride)
        self.grid = tuple(network.embeddings.get_shape(config))  # patches along (frequency, time)
        self.bank = FilterBank(self.sample_rate, int(config.num_mel_bins), "hann", self.device)

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        pieces, frames, clip = cut_frames(waveforms, self.bank.frame, self.bank.hop, int(self.extractor.max_length))
        start = torch.arange(self.grid[1]) * self.time_stride
        clip_of_row, n_frames = torch.tensor(clip), torch.tensor(frames)
        masks = sound_and_counted(n_frames, start, start + self.patch, clip_of_row, len(waveforms), padding)
        present, counted = (F.pad(mask.repeat(1, self.grid[0]), (SPECIAL, 0)) for mask in masks)
        return self._batch(self.fbank(pieces, n_frames), clip_of_row, len(waveforms), present, counted)

    def fbank(self, pieces: Sequence[NDArray[np.float32]], n_frames: Tensor) -> Tensor:
        """Features as `transformers.ASTFeatureExtractor` gives, shape (n_rows, max_length, n_mels).

        Kaldi's log filter bank; rows behind a piece's frames are 0 before the normalisation.
        """
        longest = int(n_frames.max())
        waveform = pad(pieces, longest * self.bank.hop + self.bank.frame - self.bank.hop).to(self.device)
        level = self.bank(waveform)
        absent = torch.arange(longest) >= n_frames[:, None]
        level = level.masked_fill(absent.to(level.device)[:, :, None], 0.0)
        level = F.pad(level, (0, 0, 0, int(self.extractor.max_length) - longest))
        if self.extractor.do_normalize:
            level = (level - self.extractor.mean) / (2 * self.extractor.std)
        return level

    def token_grid(self, layer: int) -> TokenGrid:
        config, (n_freq, n_time) = self.network.config, self.grid
        # Patches overlap in frequency, too: a band ends halfway into what it shares with the next.
        shared = (self.patch - int(config.frequency_stride)) / 2
        inner = [band * int(config.frequency_stride) + shared for band in range(1, n_freq)]
        starts = [0.0, *inner, (n_freq - 1) * int(config.frequency_stride) + self.patch]
        frame, chunk = self.bank.hop / self.sample_rate, int(self.extractor.max_length)
        return TokenGrid(
            band_edges(starts, int(config.num_mel_bins), F_MIN, self.sample_rate / 2, "htk"),
            self.time_stride * frame, self.patch * frame, chunk * frame, n_time,
        )  # fmt: skip

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        return np.arange(SPECIAL, n_tokens).reshape(self.grid)

    def begin(self, batch: Batch) -> Tensor:
        return self.network.embeddings(batch.inputs)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.network.layers[layer](hidden, None)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        pooled = self.network.layernorm(hidden[:, :SPECIAL]).float().mean(1)
        weight = batch.present.sum(1)
        return mean_over_clips(pooled * weight[:, None], weight, batch)


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """AST without its classifier.

    Raises
    ------
    InputError
        If tensors are missing or the features do not fit the network.
    """
    config = network_config(checkpoint, ASTConfig)
    network = load_network(checkpoint, ASTModel, config)
    shape = {"max_length": config.max_length, "num_mel_bins": config.num_mel_bins}
    extractor = feature_settings(checkpoint, ASTFeatureExtractor, **shape)
    made = {key: getattr(extractor, key) for key in shape}
    if made != shape:
        raise InputError(
            f"{checkpoint.which}: preprocessor_config.json makes {made}, the network takes {shape}; "
            "take both files from the same model"
        )
    return SpectrogramTransformer(checkpoint, network.to(device), extractor)
