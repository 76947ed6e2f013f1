"""Clips cut into pieces of samples or frames, and which spans of time hold sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoders.base import Padding


def cut(waveforms: Sequence[NDArray[np.float32]], chunk: int) -> tuple[list[NDArray[np.float32]], list[int]]:
    """Pieces of at most ``chunk`` samples, and the clip each is of."""
    pieces: list[NDArray[np.float32]] = []
    clip: list[int] = []
    for i, waveform in enumerate(waveforms):
        for start in range(0, max(len(waveform), 1), chunk):
            pieces.append(waveform[start : start + chunk])
            clip.append(i)
    return pieces, clip


def cut_frames(
    waveforms: Sequence[NDArray[np.float32]], window: int, hop: int, most: int
) -> tuple[list[NDArray[np.float32]], list[int], list[int]]:
    """Pieces of at most ``most`` frames, the frames in each, and the clip each is of.

    Neighbouring pieces share the samples by which a frame is longer than the hop, so a clip has as
    many frames as in one piece. A clip shorter than a frame has one, to be filled up with zeros;
    samples behind the last whole frame stay in the last piece.
    """
    pieces: list[NDArray[np.float32]] = []
    frames: list[int] = []
    clip: list[int] = []
    for i, waveform in enumerate(waveforms):
        total = max(1, (len(waveform) - window) // hop + 1)
        for first in range(0, total, most):
            n = min(most, total - first)
            end = first * hop + (n - 1) * hop + window if first + n < total else len(waveform)
            pieces.append(waveform[first * hop : end])
            frames.append(n)
            clip.append(i)
    return pieces, frames, clip


def pad(pieces: Sequence[NDArray[np.float32]], n_samples: int) -> Tensor:
    """Pieces at one length, zeros behind shorter ones, shape (n_pieces, n_samples)."""
    padded = torch.zeros(len(pieces), n_samples)
    for row, piece in zip(padded, pieces, strict=True):
        taken = piece[:n_samples]
        row[: len(taken)] = torch.from_numpy(np.ascontiguousarray(taken))
    return padded


def sound_and_counted(
    lengths: Tensor, starts: Tensor, ends: Tensor, clip: Tensor, n_clips: int, padding: Padding
) -> tuple[Tensor, Tensor]:
    """Which spans of time hold any sound, and which are counted.

    Parameters
    ----------
    lengths : Tensor, shape (n_rows,)
        Samples (or frames) of sound in each row.
    starts, ends : Tensor, shape (n_spans,)
        In the same unit; a span is [start, end).
    clip : Tensor of int64, shape (n_rows,)
        Clip of each row, ascending.
    padding : str
        ``exclude`` counts spans wholly of sound; a clip that has none keeps its first.

    Returns
    -------
    present, counted : Tensor of bool, shape (n_rows, n_spans), on the CPU
    """
    present = starts < lengths[:, None]
    if padding == "include":
        return present, present
    counted = present & (ends <= lengths[:, None])
    has_some = torch.zeros(n_clips, dtype=torch.int64).index_add_(0, clip, counted.sum(1)) > 0
    first_row = torch.searchsorted(clip, torch.arange(n_clips))
    counted[first_row[~has_some], 0] = True
    return present, counted
