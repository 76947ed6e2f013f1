"""Transformers over patches of log mel at 16 kHz: what BEATs, EAT, AudioMAE and ATST-Frame share.

Patches run in order of time, then of frequency, as their authors have it: a shorter clip is a shorter row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.frames import sound_and_counted
from core.encoders.structure import mlp_projections
from core.results import TokenGrid

RATE = 16_000


@dataclass(frozen=True)
class Features:
    """What the rows of a batch are made of.

    Attributes
    ----------
    values : Tensor, shape (n_rows, n_frames, n_mels)
        Normalised log mel, whole patches of frames, on the encoder's device.
    n_frames, clip : Tensor of int64, shape (n_rows,)
        Frames of sound in each row, and its clip, ascending; on the CPU.
    """

    values: Tensor
    n_frames: Tensor
    clip: Tensor


class FrontEnd(Protocol):
    """Waveforms to the features of chunks.

    Attributes
    ----------
    hop : int
        Samples from frame to frame.
    chunk : int
        Frames of a whole chunk.
    """

    hop: int
    chunk: int

    def features(self, waveforms: Sequence[NDArray[np.float32]]) -> Features: ...

    def band_edges(self, starts: Sequence[int]) -> tuple[float, ...]:
        """Hz where bands of mel filters meet, see `core.encoders.mel.band_edges`."""
        ...


class PatchNetwork(nn.Module):
    """A network in the parts that `PatchEncoder` runs; its ``blocks`` take ``(hidden, attended)``.

    Attributes
    ----------
    patch : tuple of int
        Frames and mel filters of a patch.
    n_bands : int
        Patches of a column.
    n_special : int
        Class tokens, before the patches.
    """

    blocks: nn.ModuleList
    patch: tuple[int, int]
    n_bands: int
    n_special: int = 0

    @abstractmethod
    def tokens(self, features: Tensor, present: Tensor) -> Tensor:
        """Features (rows, frames, mels) to hidden states (rows, tokens, width) before the first block.

        ``present`` is bool, (rows, tokens), False for what only fills a row.
        """

    def normed(self, hidden: Tensor) -> Tensor:
        """What follows the last block, token by token."""
        return hidden

    def pooled(self, mean: Tensor) -> Tensor:
        """What follows the mean over tokens."""
        return mean


def patches(features: Tensor, patch: tuple[int, int]) -> Tensor:
    """Features (rows, frames, mels) to their patches, (rows, columns * bands, frames * mels of one), time first."""
    frames, mels = patch
    split = features.unflatten(1, (-1, frames)).unflatten(3, (-1, mels))  # (rows, columns, frames, bands, mels)
    return split.transpose(2, 3).flatten(3).flatten(1, 2)


class PatchEncoder(Encoder):
    """A `PatchNetwork` with its front end, chunking and pooling.

    The last column of a clip is filled to a whole patch; it is attended to and pooled, as in M2D here, and counted
    under ``padding="include"`` alone. Columns behind it are not there. The embedding is the mean over the patches
    of all chunks.

    Attributes
    ----------
    checkpoint : str
        Name of the file, or of its folder.
    """

    sample_rate = RATE

    def __init__(self, network: PatchNetwork, front_end: FrontEnd, checkpoint: str, sha256: str) -> None:
        self.network = self.module = network.eval().requires_grad_(False)
        self.front_end, self.checkpoint, self.weights_key = front_end, checkpoint, sha256
        self.n_features = int(network.blocks[0].get_submodule("mlp.fc2").out_features)  # type: ignore[arg-type]
        self._projections = mlp_projections(list(network.blocks), self.n_features, len(network.blocks))
        self.layer_widths = tuple(projection.in_features for projection in self._projections)

    @property
    def projections(self) -> list[nn.Linear]:
        return self._projections

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        features = self.front_end.features(waveforms)
        wide = self.network.patch[0]
        starts = torch.arange(0, features.values.shape[1], wide)
        masks = sound_and_counted(features.n_frames, starts, starts + wide, features.clip, len(waveforms), padding)
        present, counted = (
            F.pad(mask.repeat_interleave(self.network.n_bands, 1), (self.network.n_special, 0), value=special)
            for mask, special in zip(masks, (True, False), strict=True)
        )
        clip, present, counted = (tensor.to(self.device) for tensor in (features.clip, present, counted))
        return PatchBatch(features.values, clip, len(waveforms), present, counted, bool(masks[0].all()))

    def token_grid(self, layer: int) -> TokenGrid:
        (wide, high), n_bands = self.network.patch, self.network.n_bands
        frame = self.front_end.hop / self.sample_rate
        edges = self.front_end.band_edges([band * high for band in range(n_bands + 1)])
        chunk = self.front_end.chunk
        return TokenGrid(edges, wide * frame, wide * frame, chunk * frame, chunk // wide)

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        return np.arange(self.network.n_special, n_tokens).reshape(-1, self.network.n_bands).T

    def begin(self, batch: Batch) -> Tensor:
        return self.network.tokens(batch.inputs, batch.present)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.network.blocks[layer](hidden, attended(batch))

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        special = self.network.n_special
        present = batch.present[:, special:]
        tokens = self.network.normed(hidden)[:, special:].float()
        return self.network.pooled(mean_over_clips((tokens * present[:, :, None]).sum(1), present.sum(1), batch))


@dataclass(frozen=True)
class PatchBatch(Batch):
    """A `Batch` that knows, without asking the device, whether all its tokens are present."""

    full: bool = False


def attended(batch: Batch) -> Tensor | None:
    """Keys to attend to, bool, shape (n_rows, 1, 1, n_tokens); None where all are."""
    full = isinstance(batch, PatchBatch) and batch.full
    return None if full else batch.present[:, None, None, :]


def describe(encoder: PatchEncoder, family: str, notes: Sequence[str]) -> str:
    """One line on an encoder."""
    (frames, bands), width = encoder.network.patch, encoder.n_features
    sizes = f"{family} of {encoder.n_layers} layers x {encoder.layer_widths[0]:,} neurons, width {width}"
    return "; ".join([f"{encoder.checkpoint}: {sizes}", f"patches of {bands} bands x {frames} frames", *notes])
