"""Where in a clip a neuron fires, 8 bits a token: taken while a pass runs, kept in files beside the matrices.

A pass appends what it took as one block to a file of its process. A block names its clips with the checksums of the
rows that the same pass gave, so that it counts only as long as those are the rows, and has a checksum itself. A pair
in which no token fires takes no room: the counts tell it.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.arrays.neurons import layer_starts
from core.encoders.base import Batch, Encoder
from core.encoders.hooks import Counts
from core.files import naming
from core.recording.activations import MATRICES, Activations
from core.results import NeuronPattern, TokenGrid

Index = NDArray[np.int64]
Wanted = Callable[[int, Counts], tuple[Index, Index]]
"""Which (clip in the batch, neuron in the layer) pairs are taken, told of a layer and what was counted so far."""

_CELLS_AT_ONCE = {True: 2**16, False: 2**22}
"""Tokens of (clip, neuron) pairs that are gathered together, some 24 bytes each; on a CPU (True), and elsewhere."""
MOST_BYTES = 2**32
"""Of what one process takes while it counts; what would be more is left to another pass."""
_MAGIC = 0x31_4E_52_45_54_54_41_50
_HEAD = 6


@dataclass(frozen=True)
class LayerPart:
    """What one pass took of a layer: how many columns each clip has, and the pairs, cell after cell.

    Attributes
    ----------
    columns : ndarray of int32, shape (n_clips,)
    place, neuron : ndarray of int32, shape (n_pairs,)
        The clip's place in the batch, the neuron's flat index.
    peak : ndarray of float32, shape (n_pairs,)
    cells : list of ndarray of uint8
        In 255ths of the peak, pair after pair.
    """

    columns: NDArray[np.int32]
    place: NDArray[np.int32]
    neuron: NDArray[np.int32]
    peak: NDArray[np.float32]
    cells: list[NDArray[np.uint8]]


class Taker:
    """Takes the wanted pairs of each layer of one pass; called with layer, activations and counts, as in `record`."""

    def __init__(self, encoder: Encoder, batch: Batch, wanted: Wanted) -> None:
        self.parts: list[LayerPart] = []
        self._encoder, self._batch, self._wanted = encoder, batch, wanted
        self._starts = layer_starts(encoder.layer_widths)
        clip_of_row = batch.clip.cpu().numpy()
        self._rows = [np.flatnonzero(clip_of_row == clip) for clip in range(batch.n_clips)]
        self._latest: tuple[TokenGrid, Index, NDArray[np.bool_], list[Index]] | None = None

    def __call__(self, layer: int, activation: Tensor, counts: Counts) -> None:
        cells = self._cells(layer)
        place, neuron = self._wanted(layer, counts)
        sizes = np.array([of_clip.size for of_clip in cells])
        if (sizes != sizes[0]).any():  # like beside like, so that little room is left empty
            order = np.argsort(sizes[place], kind="stable")
            place, neuron = place[order], neuron[order]
        peak, strength = _strengths(activation, cells, place, neuron)
        columns = np.array([of_clip.shape[1] for of_clip in cells], dtype=np.int32)
        flat = (self._starts[layer] + neuron).astype(np.int32)
        self.parts.append(LayerPart(columns, place.astype(np.int32), flat, peak, strength))

    def _cells(self, layer: int) -> list[Index]:
        """Of each clip, from `clip_cells`; most layers have those of the one before."""
        counted = (self._encoder.counted(layer, self._batch) > 0).cpu().numpy()
        grid, places = self._encoder.token_grid(layer), self._encoder.token_places(layer, counted.shape[1])
        if self._latest:
            old_grid, old_places, old_counted, cells = self._latest
            if grid == old_grid and np.array_equal(places, old_places) and np.array_equal(counted, old_counted):
                return cells
        first: dict[bytes, tuple[int, Index]] = {}  # of clips of one row that have the same counted tokens
        cells = []
        for rows in self._rows:
            known = first.get(counted[rows].tobytes()) if len(rows) == 1 else None
            if known:
                cells.append(np.where(known[1] < 0, -1, known[1] + (rows[0] - known[0]) * counted.shape[1]))
                continue
            cells.append(clip_cells(grid, places, counted, rows))
            if len(rows) == 1:
                first[counted[rows].tobytes()] = int(rows[0]), cells[-1]
        self._latest = grid, places, counted, cells
        return cells


def clip_cells(grid: TokenGrid, places: Index, counted: NDArray[np.bool_], rows: Index) -> Index:
    """Which token of a batch each patch of a clip is.

    Parameters
    ----------
    grid : TokenGrid
    places : ndarray of int, shape (n_bands, n_columns of a row)
        From `Encoder.token_places`.
    counted : ndarray of bool, shape (n_rows, n_tokens)
        Tokens of the whole batch that count.
    rows : ndarray of int
        The clip's, in order.

    Returns
    -------
    ndarray of int, shape (n_bands, n_columns)
        ``row * n_tokens + token``, -1 where that is not counted; up to the last column that has a counted
        token. Where the grid does not tell times, the columns that have one.
    """
    parts = []
    for row in rows:
        seen = counted[row][places]
        kept = seen.any(0)
        if grid.column_seconds is not None:
            n_columns = int(np.flatnonzero(kept).max(initial=-1)) + 1
            if row != rows[-1] and grid.chunk_columns:
                n_columns = grid.chunk_columns
            kept = np.arange(len(kept)) < n_columns
        parts.append(np.where(seen, row * counted.shape[1] + places, -1)[:, kept])
    return np.concatenate(parts, axis=1)


def _strengths(
    activation: Tensor, cells: Sequence[Index], place: Index, neuron: Index
) -> tuple[NDArray[np.float32], list[NDArray[np.uint8]]]:
    """Peak of each pair, and what its cells are in 255ths of it, pair after pair.

    Parameters
    ----------
    activation : Tensor, shape (n_rows, n_tokens, n_neurons)
    cells : sequence of ndarray of int, shape (n_bands, n_columns)
        Of each clip, from `clip_cells`.
    place, neuron : ndarray of int, shape (n_pairs,)
        The clip and neuron of each pair; clips of equal size beside each other.
    """
    device, width = activation.device, activation.shape[2]
    flat = activation.reshape(-1)
    sizes = np.array([of_clip.size for of_clip in cells])
    table = np.full((len(cells), max(1, sizes.max())), -1)
    for row, of_clip in zip(table, cells, strict=True):
        row[: of_clip.size] = of_clip.ravel()
    tables = np.maximum(table, 0) * width, table < 0, sizes[place], place, neuron
    first_of, none_of, size_of, clip_of, column = (torch.from_numpy(each).to(device) for each in tables)
    at_once = max(1, _CELLS_AT_ONCE[device.type == "cpu"] // table.shape[1])
    is_even, is_full = bool((sizes == sizes[0]).all()), bool((table >= 0).all())
    peaks, strengths = [np.zeros(0, dtype=np.float32)], []
    for start in range(0, len(place), at_once):
        pairs = slice(start, start + at_once)
        longest = max(1, int(sizes[place[pairs]].max()))
        at = first_of[:, :longest].index_select(0, clip_of[pairs]).add_(column[pairs, None])
        values = flat.index_select(0, at.flatten()).view(at.shape).float().clamp_(min=0)
        if not is_full:
            values.masked_fill_(none_of[:, :longest].index_select(0, clip_of[pairs]), 0.0)
        peak = values.amax(1)
        share = values.div_(peak.clamp(min=torch.finfo(torch.float32).tiny)[:, None])
        strength = share.mul_(255).round_().to(torch.uint8)
        peaks.append(peak.cpu().numpy())
        if not is_even or not sizes[0]:
            strength = strength[torch.arange(longest, device=device) < size_of[pairs, None]]
        strengths.append(strength.flatten().cpu().numpy())
    return np.concatenate(peaks), strengths


@contextmanager
def appending(activations: Activations, most: float = np.inf) -> Iterator[Callable[[Index, Sequence[LayerPart]], None]]:
    """A new file beside the matrices to which blocks are appended: clips, and what a pass over them took.

    The clips' rows and checksums are written before. The file is there when the first block is; what comes after
    ``most`` bytes is left out.
    """
    file: IO[bytes] | None = None

    def append(index: Index, parts: Sequence[LayerPart]) -> None:
        nonlocal file
        if file is not None and file.tell() > most:
            return
        with naming(activations.folder):
            if file is None:
                file = tempfile.NamedTemporaryFile(  # noqa: SIM115
                    dir=activations.folder, prefix="patterns-", suffix=".part", delete=False
                )
            cells = [block for part in parts for block in part.cells]
            facts = [
                index.astype("<i8"), activations.sums[index].astype("<u4"),
                np.stack([part.columns for part in parts], axis=1).astype("<i4"),
                *(np.concatenate([getattr(part, name) for part in parts]) for name in ("place", "neuron", "peak")),
            ]  # fmt: skip
            crc = 0
            for each in (*facts, *cells):
                crc = zlib.crc32(np.ascontiguousarray(each).data.cast("B") if each.size else b"", crc)
            head = [_MAGIC, len(index), len(parts), len(facts[3]), sum(map(len, cells)), crc]
            for each in (np.array(head, dtype="<i8"), *facts, *cells):
                file.write(each.tobytes())
            file.flush()

    try:
        yield append
    finally:
        if file is not None:
            file.close()


def forget_patterns(folder: Path) -> None:
    """Remove what passes have taken, when it is stored or will not be asked for."""
    for path in folder.glob("patterns-*.part"):
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Block:
    index: Index
    sums: NDArray[np.uint32]
    columns: NDArray[np.int32]
    place: NDArray[np.int32]
    neuron: NDArray[np.int32]
    peak: NDArray[np.float32]
    cells: int
    """Where in the file they begin."""


def _blocks(data: NDArray[np.uint8]) -> Iterator[_Block]:
    """The blocks of a file, up to the first that is not whole or not as it was written."""
    at = 0
    while at + 8 * _HEAD <= len(data):
        magic, n_clips, n_layers, n_pairs, n_cells, crc = data[at : at + 8 * _HEAD].view("<i8").tolist()
        at += 8 * _HEAD
        shapes = (
            ("<i8", (n_clips,)), ("<u4", (n_clips, len(MATRICES))), ("<i4", (n_clips, n_layers)),
            ("<i4", (n_pairs,)), ("<i4", (n_pairs,)), ("<f4", (n_pairs,)),
        )  # fmt: skip
        ends = np.cumsum([at, *(np.dtype(kind).itemsize * int(np.prod(shape)) for kind, shape in shapes)])
        end = int(ends[-1]) + n_cells
        if magic != _MAGIC or end > len(data) or zlib.crc32(data[at:end].data) != crc:
            return
        facts = [data[start:stop].tobytes() for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
        arrays = [np.frombuffer(f, kind).reshape(shape) for f, (kind, shape) in zip(facts, shapes, strict=True)]
        index, sums, columns, place, neuron, peak = arrays
        yield _Block(index, sums, columns, place, neuron, peak, int(ends[-1]))
        at = end


@dataclass(frozen=True)
class Found:
    """Where the patterns of chosen clips lie.

    Attributes
    ----------
    clips : ndarray of int, shape (n_neurons, n)
    layer_of : ndarray of int, shape (n_neurons,)
    n_bands : list of int
        Of each layer.
    columns : ndarray of int32, shape (n_clips, n_layers)
        -1 where no pass of the clip is known.
    file_of, offset, peak : ndarray, shape (n_neurons * n,)
        The file is -1 where there is none.
    fires : ndarray of bool, shape (n_neurons * n,)
        False where no token of the pair does.
    files : list of ndarray of uint8
        Mapped.
    """

    clips: Index
    layer_of: Index
    n_bands: list[int]
    columns: NDArray[np.int32]
    file_of: NDArray[np.int32]
    offset: Index
    peak: NDArray[np.float32]
    fires: NDArray[np.bool_]
    files: list[NDArray[np.uint8]]

    @classmethod
    def look(cls, encoder: Encoder, clips: Index, activations: Activations) -> Found:
        """What the files beside the matrices have of the clips of every neuron."""
        n_neurons, n = clips.shape
        neuron = np.repeat(np.arange(n_neurons), n)
        found = cls(
            clips,
            np.repeat(np.arange(encoder.n_layers), encoder.layer_widths),
            [encoder.token_grid(layer).n_bands for layer in range(encoder.n_layers)],
            np.full((len(activations.done), encoder.n_layers), -1, dtype=np.int32),
            np.full(clips.size, -1, dtype=np.int32),
            np.zeros(clips.size, dtype=np.int64),
            np.zeros(clips.size, dtype=np.float32),
            np.asarray(activations.positive[clips.ravel(), neuron] > 0),
            [],
        )
        keys = clips.ravel() * n_neurons + neuron
        order = np.argsort(keys)
        for path in sorted(activations.folder.glob("patterns-*.part")):
            if path.stat().st_size and clips.size:
                found.files.append(np.asarray(np.memmap(path, dtype=np.uint8, mode="r")))
                for block in _blocks(found.files[-1]):
                    found._take(block, activations.sums, keys, order)
        return found

    def _take(self, block: _Block, sums: NDArray[np.uint32], keys: Index, order: Index) -> None:
        """Note where the chosen pairs of a block lie, of clips whose rows are those of the block's pass."""
        same = (sums[block.index] == block.sums).all(axis=1)
        self.columns[block.index[same]] = block.columns[same]
        layer = self.layer_of[block.neuron]
        sizes = block.columns[block.place, layer].astype(np.int64) * np.array(self.n_bands)[layer]
        offset = block.cells + np.cumsum(sizes) - sizes
        wanted = block.index[block.place] * len(self.clips) + block.neuron
        at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(order) - 1)]
        hit = np.flatnonzero((keys[at] == wanted) & same[block.place])
        self.file_of[at[hit]], self.offset[at[hit]] = len(self.files) - 1, offset[hit]
        self.peak[at[hit]] = block.peak[hit]

    def missing(self) -> tuple[Index, Index]:
        """Clips and neurons of the pairs that no file has, clip after clip."""
        neuron = np.repeat(np.arange(len(self.clips)), self.clips.shape[1])
        layer, clip = self.layer_of[neuron], self.clips.ravel()
        is_missing = (self.columns[clip, layer] < 0) | (self.fires & (self.file_of < 0))
        order = np.argsort(clip[is_missing], kind="stable")
        return clip[is_missing][order], neuron[is_missing][order]

    def read(self) -> Iterator[tuple[int, list[NeuronPattern]]]:
        """Every neuron's patterns; none is missing."""
        n = self.clips.shape[1]
        for neuron, clips in enumerate(self.clips.tolist()):
            layer, patterns = self.layer_of[neuron], []
            for pair, clip in enumerate(clips, start=neuron * n):
                shape = self.n_bands[layer], int(self.columns[clip, layer])
                strength = np.zeros(shape, dtype=np.uint8)
                if self.file_of[pair] >= 0:
                    start = self.offset[pair]
                    strength[:] = self.files[self.file_of[pair]][start : start + strength.size].reshape(shape)
                patterns.append(NeuronPattern(clip, float(self.peak[pair]), strength))
            yield neuron, patterns
