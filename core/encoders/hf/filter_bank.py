"""Encoders of the frames of Kaldi's filter bank."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoders.base import Batch, Padding
from core.encoders.frames import pad, sound_and_counted
from core.encoders.hf.own_length import CHUNK_SECONDS, OwnLengthEncoder
from core.encoders.kaldi import FilterBank
from core.results import TokenGrid

FRAMES_AT_ONCE = 30_000
"""Of one spectrum (5 minutes), so that an hour of sound needs no more memory."""


class FilterBankEncoder(OwnLengthEncoder):
    """An encoder of filter bank frames, normalised over the whole clip, on chunks of up to 30 s.

    Token ``t`` stands for the frames ``[n t, n (t + 1))``. Where a model makes a token of fewer frames, at a clip's
    end, ``exclude`` does not count it, save as a clip's only one.

    Attributes
    ----------
    frames_per_token : int
        The ``n`` above.
    whole_tokens : bool
        Whether fewer frames make no token.
    """

    whole_tokens = False

    def _set_filter_bank(self, extractor: Any, frames_per_token: int) -> None:
        self.sample_rate = int(extractor.sampling_rate)
        self.extractor = extractor
        self.filter_bank = FilterBank(self.sample_rate, int(extractor.num_mel_bins), "povey", self.device)
        self.frames_per_token = frames_per_token
        frames = CHUNK_SECONDS * self.sample_rate // self.filter_bank.hop
        self.frames_per_chunk = frames // frames_per_token * frames_per_token

    @abstractmethod
    def _normalise(self, level: Tensor) -> Tensor:
        """A clip's levels (n_frames, n_mels), normalised."""

    def features(self, waveform: NDArray[np.float32]) -> Tensor:
        """What the model's own feature extractor gives of a clip, shape (n_frames, n_mels)."""
        bank, fewest = self.filter_bank, self.frames_per_token if self.whole_tokens else 1
        n_frames = max(fewest, bank.n_frames(len(waveform)))
        samples = pad([waveform], (n_frames - 1) * bank.hop + bank.frame).to(self.device) * 2**15
        pieces = [
            bank(samples[:, first * bank.hop : (min(first + FRAMES_AT_ONCE, n_frames) - 1) * bank.hop + bank.frame])
            for first in range(0, n_frames, FRAMES_AT_ONCE)
        ]
        return self._normalise(torch.cat(pieces, 1)[0])

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        rows: list[Tensor] = []
        clip: list[int] = []
        per = self.frames_per_token
        for i, waveform in enumerate(waveforms):
            features = self.features(waveform)
            if self.whole_tokens:
                features = features[: len(features) // per * per]
            chunks = features.split(self.frames_per_chunk)
            rows += chunks
            clip += [i] * len(chunks)
        frames = [len(row) for row in rows]
        tokens = [-(-n // per) for n in frames]
        batch = self._rows(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), frames, tokens, clip)
        starts = torch.arange(max(tokens)) * per
        lengths, of_row = torch.tensor(frames), torch.tensor(clip)
        _, counted = sound_and_counted(lengths, starts, starts + per, of_row, len(waveforms), padding)
        return replace(batch, counted=counted.to(self.device))

    def token_grid(self, layer: int) -> TokenGrid:
        column = self.frames_per_token * self.filter_bank.hop / self.sample_rate
        chunk = self.frames_per_chunk // self.frames_per_token
        return TokenGrid((0.0, self.sample_rate / 2), column, column, chunk * column, chunk)
