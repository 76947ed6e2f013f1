"""What the Hugging Face encoders share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.base import Batch, Encoder, Padding
from core.encoders.hf.checkpoint import Checkpoint
from core.encoders.structure import mlp_projections


class HuggingFaceEncoder(Encoder):
    """A transformers network cut at its blocks.

    Parameters
    ----------
    checkpoint : Checkpoint
    network : nn.Module
    blocks : sequence of modules
        The transformer blocks, in order.
    widths : int or sequence of int
        Width of the residual stream.
    n_layers : int
        As the configuration tells.
    family : str
        For the description.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        network: nn.Module,
        blocks: Sequence[nn.Module],
        widths: int | Sequence[int],
        n_layers: int,
        family: str,
    ) -> None:
        self._projections = mlp_projections(blocks, widths, n_layers)
        self.blocks = list(blocks)
        self.module = network.eval().requires_grad_(False)
        self.layer_widths = tuple(projection.in_features for projection in self._projections)
        self.name = f"hf:{checkpoint.name}"
        self.weights_key = checkpoint.weights_key
        self.licence = checkpoint.licence
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        self.description = f"{family}, {millions:.3g} M parameters, {n_layers} layers"
        if checkpoint.settings is None:
            self.description += "; no preprocessor_config.json, so transformers' default features"

    @property
    def projections(self) -> list[nn.Linear]:
        return self._projections

    def _batch(self, inputs: Tensor, clip: Tensor, n_clips: int, present: Tensor, counted: Tensor) -> Batch:
        """A batch on the encoder's device; the masks are made on the CPU."""
        clip, present, counted = (tensor.to(self.device) for tensor in (clip, present, counted))
        return Batch(inputs, clip, n_clips, present, counted)


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
