"""Kaldi's filter bank as input of patches, as AST (2021) normalised it and those after it do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from core.encoders.frames import cut_frames
from core.encoders.kaldi import F_MIN, FilterBank
from core.encoders.mel import band_edges
from core.encoders.vit.encoder import RATE, Features

N_MELS = 128
CHUNK_FRAMES = 1024
"""The 10.24 s to which the published models' clips were filled."""


class KaldiFrontEnd:
    """Levels of 128 bands less a mean, over *twice* a standard deviation; 0 before that behind a clip's frames.

    Parameters
    ----------
    window : str
        ``povey`` or ``hanning``.
    norm : tuple of float
        Mean and standard deviation.
    patch, columns : int
        Frames of a patch, and patches of a chunk along time.
    gain : float
        By which waveforms are multiplied: Kaldi's samples are 16-bit integers.
    only_whole : bool
        Leave out frames behind the last whole patch; a clip shorter than one is filled with silence to it.
    """

    def __init__(
        self,
        window: Literal["povey", "hanning"],
        norm: tuple[float, float],
        patch: int,
        columns: int,
        gain: float = 1.0,
        only_whole: bool = False,
    ) -> None:
        self.filter_bank = FilterBank(N_MELS, RATE, window)
        self.hop, self.chunk = self.filter_bank.hop, columns * patch
        self.norm, self.patch, self.gain, self.only_whole = norm, patch, gain, only_whole

    def to(self, device: str) -> KaldiFrontEnd:
        self.filter_bank.to(device)
        return self

    def features(self, waveforms: Sequence[NDArray[np.float32]]) -> Features:
        if self.only_whole:
            waveforms = [self._whole(waveform) for waveform in waveforms]
        pieces, frames, clip = cut_frames(waveforms, self.filter_bank.window_length, self.hop, self.chunk)
        n_frames = torch.tensor(frames)
        levels = self.filter_bank([self.gain * piece for piece in pieces], n_frames)
        levels = F.pad(levels, (0, 0, 0, -levels.shape[1] % self.patch))
        return Features((levels - self.norm[0]) / (2 * self.norm[1]), n_frames, torch.tensor(clip))

    def _whole(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """As many samples as whole patches of frames take."""
        longer = self.filter_bank.window_length - self.hop
        n_patches = max(1, (len(waveform) - longer) // self.hop // self.patch)
        n_samples = n_patches * self.patch * self.hop + longer
        return np.pad(waveform[:n_samples], (0, max(0, n_samples - len(waveform))))

    def band_edges(self, starts: Sequence[int]) -> tuple[float, ...]:
        return band_edges(starts, N_MELS, F_MIN, RATE / 2, "htk")
