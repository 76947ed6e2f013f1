"""Kaldi's filter bank as input of patches, as AST (2021) normalised it and those after it do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from core.encoders.frames import cut_frames, pad
from core.encoders.kaldi import F_MIN, FilterBank
from core.encoders.mel import band_edges
from core.encoders.vit.encoder import RATE, Features
from core.errors import InputError

N_MELS = 128
CHUNK_FRAMES = 1024
"""The 10.24 s to which the published models' clips were filled."""
ROWS_AT_ONCE = 32
"""Chunks through the filter bank together, some 300 MB, so that an hour of sound needs no more."""


def bands_of(patch: Sequence[int], n_positions: int, shown: str, network: str) -> int:
    """Patches of a column.

    Parameters
    ----------
    patch : sequence of int
        Frames and mel filters.
    n_positions : int
        That a checkpoint has, time first.
    shown, network : str
        The file, and what it should hold with its article.

    Raises
    ------
    InputError
        If these are no whole columns, as where patches overlap.
    """
    n_bands = N_MELS // patch[1]
    if N_MELS % patch[1] or n_positions < 1 or n_positions % n_bands:
        raise InputError(
            f"{shown}: {n_positions} positions are no whole columns of {N_MELS} bands in patches of {patch[1]}; "
            f"expected {network}, whose patches do not overlap"
        )
    return n_bands


class KaldiFrontEnd:
    """Levels of 128 bands less a mean, over *twice* a standard deviation; 0 before that behind a clip's frames.

    Parameters
    ----------
    window : str
        ``povey``, Kaldi's own, or ``hann``.
    norm : tuple of float
        Mean and standard deviation.
    patch, columns : int
        Frames of a patch, and patches of a chunk along time.
    device : str

    Attributes
    ----------
    gain : float
        By which waveforms are multiplied: Kaldi's samples are 16-bit integers.
    only_whole : bool
        Leave out frames behind the last whole patch; a clip shorter than one is filled with silence to it.
    """

    gain: float = 1.0
    only_whole: bool = False

    def __init__(
        self,
        window: Literal["povey", "hann"],
        norm: tuple[float, float],
        patch: int,
        columns: int,
        device: str,
    ) -> None:
        self.bank = FilterBank(RATE, N_MELS, window, torch.device(device))
        self.hop, self.chunk, self.device = self.bank.hop, columns * patch, device
        self.norm, self.patch = norm, patch

    def features(self, waveforms: Sequence[NDArray[np.float32]]) -> Features:
        if self.only_whole:
            waveforms = [self._whole(waveform) for waveform in waveforms]
        pieces, frames, clip = cut_frames(waveforms, self.bank.frame, self.hop, self.chunk)
        n_frames = torch.tensor(frames)
        longest = int(n_frames.max())
        samples = self.gain * pad(pieces, (longest - 1) * self.hop + self.bank.frame)
        levels = torch.cat([self.bank(some.to(self.device)) for some in samples.split(ROWS_AT_ONCE)])
        absent = torch.arange(longest) >= n_frames[:, None]
        levels = levels.masked_fill(absent.to(levels.device)[:, :, None], 0.0)
        levels = F.pad(levels, (0, 0, 0, -longest % self.patch))
        return Features((levels - self.norm[0]) / (2 * self.norm[1]), n_frames, torch.tensor(clip))

    def _whole(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """As many samples as whole patches of frames take."""
        longer = self.bank.frame - self.hop
        n_patches = max(1, (len(waveform) - longer) // self.hop // self.patch)
        n_samples = n_patches * self.patch * self.hop + longer
        return np.pad(waveform[:n_samples], (0, max(0, n_samples - len(waveform))))

    def band_edges(self, starts: Sequence[int]) -> tuple[float, ...]:
        return band_edges(starts, N_MELS, F_MIN, RATE / 2, "htk")
