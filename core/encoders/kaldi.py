"""Kaldi's log mel filter bank, of many pieces of sound at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio.compliance.kaldi as kaldi
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.frames import pad

F_MIN = 20.0
"""Hz at which the filters begin; they end at half the rate."""
PIECES_AT_ONCE = 32
"""Of 10 s each, some 200 MB, so that an hour of sound needs no more."""


class FilterBank(nn.Module):
    """Waveforms to log mel levels as ``torchaudio.compliance.kaldi.fbank`` gives them, without dither.

    Windows of 25 ms every 10 ms, none of which reaches over the end; each one's mean taken off, 0.97 pre-emphasis,
    natural log of power.

    Parameters
    ----------
    n_mels, sample_rate : int
    window : str
        ``povey`` is Kaldi's own, a Hann window to the power 0.85.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, n_mels: int, sample_rate: int, window: Literal["povey", "hanning"]) -> None:
        super().__init__()
        self.hop, self.window_length = int(sample_rate * 0.010), int(sample_rate * 0.025)
        self.n_fft = 1 << (self.window_length - 1).bit_length()
        # No vocal tract warping; the Nyquist frequency's bin has no weight.
        filters, _ = kaldi.get_mel_banks(n_mels, self.n_fft, float(sample_rate), F_MIN, 0.0, 100.0, -500.0, 1.0)
        shape = torch.hann_window(self.window_length, periodic=False)
        self.register_buffer("filters", F.pad(filters, (0, 1)).T.contiguous(), persistent=False)
        self.register_buffer("window", shape**0.85 if window == "povey" else shape, persistent=False)

    def forward(self, pieces: Sequence[NDArray[np.float32]], n_frames: Tensor) -> Tensor:
        """Levels, shape (n_pieces, most frames, n_mels); 0 behind a piece's frames.

        Parameters
        ----------
        pieces : sequence of ndarray of float32, each of shape (n_samples,)
        n_frames : Tensor of int64, shape (n_pieces,)
            How many frames each has; what a piece lacks to them is taken as silence.
        """
        longest = int(n_frames.max())
        with torch.autocast(self.window.device.type, enabled=False):
            level = torch.cat(
                [
                    self._levels(pieces[start : start + PIECES_AT_ONCE], longest)
                    for start in range(0, len(pieces), PIECES_AT_ONCE)
                ]
            )
        absent = torch.arange(longest) >= n_frames[:, None]
        return level.masked_fill(absent.to(level.device)[:, :, None], 0.0)

    def _levels(self, pieces: Sequence[NDArray[np.float32]], n_frames: int) -> Tensor:
        samples = pad(pieces, (n_frames - 1) * self.hop + self.window_length).to(self.window.device)
        frames = samples.unfold(1, self.window_length, self.hop)
        frames = frames - frames.mean(2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], 2)
        power = torch.fft.rfft((frames - 0.97 * before) * self.window, self.n_fft).abs().square()
        return (power @ self.filters).clamp(min=torch.finfo(torch.float32).eps).log()
