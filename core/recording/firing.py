"""In which tokens of a clip each unit fires, one bit a token and unit: what labels in time are counted on.

Taken in the pass that counts, of clips that have segments only, into files beside the matrices (``firing-*.part``),
which stay: other labels, nulls and curves need no further pass. A process appends a block a pass. As those of
`core.recording.patterns`, a block names its clips with the checksums of the rows that the same pass gave, so that it
counts only as long as those are the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.datasets.scan import Scan
from core.encoders.base import Batch
from core.encoders.hooks import Counts
from core.recording import block_files
from core.recording.activations import MATRICES, Activations
from core.recording.patterns import Index, Layout
from core.results import Mask

Bits = NDArray[np.uint8]

_MAGIC, _NUMBERS, _PREFIX = int.from_bytes(b"FIRING-1", "little"), 3, "firing"
_WEIGHTS = (128, 64, 32, 16, 8, 4, 2, 1)
"""Of the bits of a byte, as `numpy.packbits` has them."""


@dataclass(frozen=True)
class FiringPart:
    """What one pass took of one layer.

    Attributes
    ----------
    place : list of int
        Of each clip that was taken, in the batch.
    shape : ndarray of int32, shape (n_clips, 2)
        Bands and columns of each.
    counted : list of ndarray of uint8
        Which of a clip's tokens count, band after band, eight in a byte.
    fires : list of ndarray of uint8, shape (n_bands * n_columns, n_bytes)
        In which each unit fires, eight units in a byte; 0 where a token does not count.
    """

    place: list[int]
    shape: NDArray[np.int32]
    counted: list[Bits]
    fires: list[Bits]


class FiringTaker:
    """Takes the bits of some clips of one pass, layer by layer; called as `core.encoders.hooks.record` calls.

    Parameters
    ----------
    batch : Batch
    places : sequence of int
        Which of its clips.
    layout : Layout
    """

    def __init__(self, batch: Batch, places: Sequence[int], layout: Layout) -> None:
        self.parts: list[FiringPart] = []
        self._batch, self._places, self._layout = batch, list(places), layout
        self._cells: object = None
        self._of_clips: list[tuple[slice | Index, Mask]] = []
        self._counted: list[Bits] = []
        self._shape = np.zeros((0, 2), dtype=np.int32)

    def __call__(self, layer: int, activation: Tensor, counts: Counts) -> None:
        self._look(layer)
        packed = _packed(activation.flatten(0, -2))
        fires = []
        for token, is_none in self._of_clips:
            own = packed[token]
            if not isinstance(token, slice):
                own[is_none] = 0
            fires.append(own)
        self.parts.append(FiringPart(self._places, self._shape, self._counted, fires))

    def _look(self, layer: int) -> None:
        """Which tokens of the batch each clip's are, anew where they are others than in the layer before."""
        cells = self._layout.of(layer, self._batch)
        if cells is self._cells:
            return
        self._cells, token, is_none = cells, cells.token.cpu().numpy(), cells.is_none.cpu().numpy()
        self._of_clips = []
        for place in self._places:
            size, first = int(cells.size[place]), cells.first[place]
            at = slice(first, first + size) if first >= 0 else token[place, :size]
            self._of_clips.append((at, is_none[place, :size]))
        self._counted = [np.packbits(~none) for _, none in self._of_clips]
        columns = cells.columns[self._places]
        bands = cells.size[self._places] // np.maximum(columns, 1)
        self._shape = np.stack([bands, columns], axis=1).astype(np.int32)


def _packed(activation: Tensor) -> Bits:
    """Where values are positive, eight units in a byte, (n_tokens, n_bytes).

    On a GPU they are packed where they lie, so that an eighth is sent; on a CPU NumPy compares four times as fast.
    """
    if activation.device.type == "cpu":
        return np.packbits(activation.float().numpy() > 0, axis=1)
    above = activation > 0
    whole = torch.nn.functional.pad(above, (0, -above.shape[1] % 8)).unflatten(1, (-1, 8))
    weights = torch.tensor(_WEIGHTS, dtype=torch.uint8, device=above.device)
    packed: Bits = (whole * weights).sum(-1, dtype=torch.uint8).cpu().numpy()
    return packed


@contextmanager
def appending_firing(activations: Activations) -> Iterator[Callable[[Index, Sequence[FiringPart]], None]]:
    """A new file beside the matrices to which blocks are appended: clips of a pass, and what it took of each layer.

    The clips' rows and checksums are written before.
    """
    with block_files.appending(activations.folder, _PREFIX) as append:

        def append_parts(index: Index, parts: Sequence[FiringPart]) -> None:
            if parts and parts[0].place:
                clips = index[parts[0].place]
                append(lambda: _as_block(clips, activations.sums[clips, : len(MATRICES)], parts))

        yield append_parts


def _as_block(clips: Index, sums: NDArray[np.uint32], parts: Sequence[FiringPart]) -> block_files.Block:
    """What is written of one pass: facts, and clip after clip the bits of each layer."""
    shape = np.stack([part.shape for part in parts], axis=1)  # (n_clips, n_layers, 2)
    of_clips = zip(*(zip(part.counted, part.fires, strict=True) for part in parts), strict=True)
    bits = [each for of_clip in of_clips for layer in of_clip for each in layer]
    numbers = [len(clips), len(parts), sum(each.size for each in bits)]
    return block_files.block(
        _MAGIC, numbers, [clips.astype("<i8"), sums.astype("<u4"), shape.astype("<i4"), *bits]
    )  # fmt: skip


@dataclass(frozen=True)
class Firing:
    """Where the bits of clips lie.

    Attributes
    ----------
    widths : tuple of int
        Units of each layer.
    file_of : ndarray of int, shape (n_clips,)
        -1 where no pass of the clip is known.
    start : ndarray of int, shape (n_clips, n_layers)
        Byte of the file at which the bits of a layer begin.
    shape : ndarray of int32, shape (n_clips, n_layers, 2)
        Bands and columns.
    files : list of ndarray of uint8
        Mapped.
    """

    widths: tuple[int, ...]
    file_of: Index
    start: Index
    shape: NDArray[np.int32]
    files: list[Bits]

    @classmethod
    def look(cls, widths: Sequence[int], activations: Activations) -> Firing:
        """What the files beside the matrices have of each clip."""
        n_clips = len(activations.done)
        found = cls(
            tuple(widths), np.full(n_clips, -1), np.zeros((n_clips, len(widths)), dtype=np.int64),
            np.zeros((n_clips, len(widths), 2), dtype=np.int32), [],
        )  # fmt: skip
        for data in block_files.files(activations.folder, _PREFIX):
            found.files.append(data)
            found._take(data, activations.sums[:, : len(MATRICES)])
        return found

    def _take(self, data: Bits, sums: NDArray[np.uint32]) -> None:
        """Note where the clips of a file's blocks lie."""
        n_layers = len(self.widths)

        def sizes(n_clips: int) -> tuple[int, ...]:
            return 8 * n_clips, 4 * n_clips * len(MATRICES), 8 * n_clips * n_layers

        def size(n_clips: int, layers: int, n_bytes: int) -> int:
            return sum(sizes(n_clips)) + n_bytes if layers == n_layers else -1

        for (n_clips, *_), start in block_files.blocks(data, _MAGIC, _NUMBERS, size):
            starts = np.cumsum([start, *sizes(n_clips)])
            clips = np.frombuffer(data[starts[0] : starts[1]].tobytes(), "<i8")
            was = np.frombuffer(data[starts[1] : starts[2]].tobytes(), "<u4").reshape(n_clips, -1)
            shape = np.frombuffer(data[starts[2] : starts[3]].tobytes(), "<i4").reshape(n_clips, n_layers, 2)
            first = starts[3] + np.concatenate([[0], np.cumsum(self._sizes(shape))])[:-1].reshape(n_clips, n_layers)
            known = (clips >= 0) & (clips < len(sums))
            same = known & (sums[np.where(known, clips, 0)] == was).all(axis=1)
            self.file_of[clips[same]], self.start[clips[same]] = len(self.files) - 1, first[same]
            self.shape[clips[same]] = shape[same]

    def _sizes(self, shape: NDArray[np.int32]) -> Index:
        """Bytes of each clip and layer: what counts, and what fires."""
        tokens = shape.astype(np.int64).prod(axis=2)
        return -(-tokens // 8) + tokens * -(-np.array(self.widths) // 8)

    def missing(self, clips: Mask) -> Index:
        """Which of some clips no file has."""
        return np.flatnonzero(clips & (self.file_of < 0))

    def counted(self, clip: int, layer: int) -> Mask:
        """Which tokens of a clip count in a layer, (n_bands, n_columns)."""
        bands, columns = self.shape[clip, layer].tolist()
        start, n = int(self.start[clip, layer]), bands * columns
        bits = self.files[self.file_of[clip]][start : start + -(-n // 8)]
        return np.unpackbits(bits, count=n).reshape(bands, columns).astype(np.bool_)

    def columns(self, clip: int, layer: int, units: Index | None = None) -> NDArray[np.uint8]:
        """In how many bands each unit of a layer fires, or some, column by column of a clip: (n_columns, n_units)."""
        bands, columns = self.shape[clip, layer].tolist()
        width, n = self.widths[layer], bands * columns
        start, row = int(self.start[clip, layer]) + -(-n // 8), -(-width // 8)
        packed = self.files[self.file_of[clip]][start : start + n * row].reshape(bands, columns, row)
        if units is None:
            bits = np.unpackbits(packed, axis=2, count=width)
        else:
            bits = packed[:, :, units >> 3] >> (7 - (units & 7)).astype(np.uint8) & 1
        # A clip's column has no more than 255 bands.
        return bits[0] if bands == 1 else bits.sum(axis=0, dtype=np.uint8)


def with_segments(scan: Scan, attributes: Sequence[str]) -> Mask:
    """Clips that have a segment of any of the attributes, shape (n_clips,)."""
    wanted = set(attributes)
    clips = scan.dataset.clips
    return np.array([any(s.attribute in wanted for s in clip.segments) for clip in clips], dtype=np.bool_)
