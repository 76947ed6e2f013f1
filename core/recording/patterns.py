"""Where in a clip a neuron fires, 8 bits a token: taken while a pass runs, kept in files beside the matrices.

Single (clip, neuron) pairs are gathered; a clip that many neurons want is taken as a whole, in the order of memory.
A pass appends what it took as one block to a file of its process. A block names its clips with the checksums of the
rows that the same pass gave, so that it counts only as long as those are the rows, and has a checksum itself. A pair
in which no token fires takes no room: the counts tell it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.arrays.neurons import layer_starts
from core.encoders.base import Batch, Encoder
from core.encoders.hooks import Counts
from core.recording import block_files
from core.recording.activations import MATRICES, Activations
from core.results import NeuronPattern, TokenGrid

Index = NDArray[np.int64]
Wanted = Callable[[int, Counts], Tensor]
"""Which pairs are taken, bool (n_clips in the batch, n_neurons of the layer); told the layer and what was counted."""

_CELLS_AT_ONCE = {True: 2**16, False: 2**22}
"""Tokens of (clip, neuron) pairs that are gathered together, some 24 bytes each; on a CPU (True), and elsewhere."""
_CELLS_OF_CLIPS = 2**18
"""Tokens and neurons of whole clips that are taken together, on a CPU: below it calls cost more than copies."""
WHOLE = 0.25
"""From this share of a layer's neurons on, a clip is taken as a whole: in the order of memory that costs less time."""
MOST_BYTES = 2**32
"""Of what one process takes while it counts; what would be more is left to another pass."""
_LEAST_PEAK = 1e-30
"""Below, strengths are told as 255ths of this: of smaller ones the steps would be no normal numbers."""
_MAGIC, _NUMBERS, _PREFIX = 0x31_4E_52_45_54_54_41_50, 6, "patterns"


@dataclass(frozen=True)
class LayerPart:
    """What one pass took of a layer: how many columns each clip has, single pairs, and clips as a whole.

    Attributes
    ----------
    columns : ndarray of int32, shape (n_clips,)
    place, neuron : ndarray of int32, shape (n_pairs,)
        The clip's place in the batch, the neuron's flat index.
    peak : ndarray of float32, shape (n_pairs,)
    cells : list of ndarray of uint8
        In 255ths of the peak, pair after pair.
    whole : ndarray of int32, shape (n_whole,)
        Places of clips whose every pair with the layer was taken.
    whole_peak : ndarray of float32, shape (n_whole, n_neurons of the layer)
    whole_cells : list of ndarray of uint8, shape (n_cells, n_neurons of the layer)
    """

    columns: NDArray[np.int32]
    place: NDArray[np.int32]
    neuron: NDArray[np.int32]
    peak: NDArray[np.float32]
    cells: list[NDArray[np.uint8]]
    whole: NDArray[np.int32]
    whole_peak: NDArray[np.float32]
    whole_cells: list[NDArray[np.uint8]]


@dataclass(frozen=True)
class _Cells:
    """Which tokens of a batch the patches of its clips are.

    Attributes
    ----------
    columns, size : ndarray of int, shape (n_clips,)
        Of each clip, and columns times bands.
    token : Tensor of int64, shape (n_clips, n_most)
        ``row * n_tokens + token``; 0 where there is none.
    is_none : Tensor of bool, shape (n_clips, n_most)
    is_full : bool
        Whether there is one everywhere.
    first : list of int
        Of each clip the first, where all follow each other; else -1.
    """

    columns: Index
    size: Index
    token: Tensor
    is_none: Tensor
    is_full: bool
    first: list[int]

    @classmethod
    def of(cls, cells: Sequence[Index], device: torch.device) -> _Cells:
        """From each clip's `clip_cells`."""
        size = np.array([of_clip.size for of_clip in cells])
        table = np.full((len(cells), max(1, size.max())), -1)
        for row, of_clip in zip(table, cells, strict=True):
            row[: of_clip.size] = of_clip.ravel()
        is_none = torch.from_numpy(table < 0).to(device)
        token = torch.from_numpy(np.maximum(table, 0)).to(device)
        first = np.where((np.diff(table) == 1).all(axis=1), table[:, 0], -1).tolist()
        columns = np.array([of_clip.shape[1] for of_clip in cells])
        return cls(columns, size, token, is_none, bool((table >= 0).all()), first)


class Layout:
    """Which tokens of a batch the patches of its clips are; worked out anew where it is unlike the one before."""

    def __init__(self, encoder: Encoder) -> None:
        self.starts = layer_starts(encoder.layer_widths).tolist()
        self._encoder = encoder
        self._grids = [encoder.token_grid(layer) for layer in range(encoder.n_layers)]
        self._counted: Tensor | None = None
        self._latest: tuple[TokenGrid, Index, NDArray[np.bool_], Index, _Cells] | None = None

    def of(self, layer: int, batch: Batch) -> _Cells:
        """From `clip_cells`."""
        before, self._counted = self._counted, self._encoder.counted(layer, batch)
        grid, places = self._grids[layer], self._encoder.token_places(layer, self._counted.shape[1])
        if self._latest and self._counted is before:  # another layer of the same batch
            old_grid, old_places, *_, latest = self._latest
            if grid == old_grid and np.array_equal(places, old_places):
                return latest
        counted = (self._counted > 0).cpu().numpy()
        clip_of_row = batch.clip.cpu().numpy()
        if self._latest:
            old_grid, *old, latest = self._latest
            if grid == old_grid and all(map(np.array_equal, (places, counted, clip_of_row), old)):
                return latest
        first: dict[bytes, tuple[int, Index]] = {}  # of clips of one row that have the same counted tokens
        cells = []
        for rows in (np.flatnonzero(clip_of_row == clip) for clip in range(batch.n_clips)):
            known = first.get(counted[rows].tobytes()) if len(rows) == 1 else None
            if known:
                cells.append(np.where(known[1] < 0, -1, known[1] + (rows[0] - known[0]) * counted.shape[1]))
                continue
            cells.append(clip_cells(grid, places, counted, rows))
            if len(rows) == 1:
                first[counted[rows].tobytes()] = int(rows[0]), cells[-1]
        of_batch = _Cells.of(cells, batch.clip.device)
        self._latest = grid, places, counted, clip_of_row, of_batch
        return of_batch


class Taker:
    """Takes the wanted pairs of each layer of one pass; called with layer, activations and counts, as in `record`."""

    def __init__(self, batch: Batch, wanted: Wanted, layout: Layout) -> None:
        self.parts: list[LayerPart] = []
        self._batch, self._wanted, self._layout = batch, wanted, layout

    def __call__(self, layer: int, activation: Tensor, counts: Counts) -> None:
        cells, columns = self._layout.of(layer, self._batch), slice(*self._layout.starts[layer : layer + 2])
        wanted = self._wanted(layer, counts).logical_and_(counts.positive[:, columns])
        whole = np.flatnonzero(wanted.sum(1).cpu().numpy() >= WHOLE * wanted.shape[1])
        whole_peak, whole_cells = _of_clips(activation, cells, whole)
        wanted[torch.from_numpy(whole).to(wanted.device)] = False
        place, neuron = (each.cpu().numpy() for each in torch.nonzero(wanted, as_tuple=True))
        if (cells.size != cells.size[0]).any():  # like beside like, so that little room is left empty
            order = np.argsort(cells.size[place], kind="stable")
            place, neuron = place[order], neuron[order]
        peak, strength = _of_pairs(activation, cells, place, neuron)
        singles = place.astype(np.int32), (columns.start + neuron).astype(np.int32), peak, strength
        of_whole = whole.astype(np.int32), whole_peak, whole_cells
        self.parts.append(LayerPart(cells.columns.astype(np.int32), *singles, *of_whole))


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


def _of_pairs(
    activation: Tensor, cells: _Cells, place: Index, neuron: Index
) -> tuple[NDArray[np.float32], list[NDArray[np.uint8]]]:
    """Peak of each pair, and what its cells are in 255ths of it, pair after pair.

    Parameters
    ----------
    activation : Tensor, shape (n_rows, n_tokens, n_neurons)
    cells : _Cells
    place, neuron : ndarray of int, shape (n_pairs,)
        The clip and neuron of each pair; clips of equal size beside each other.
    """
    device, width = activation.device, activation.shape[2]
    flat = activation.reshape(-1)
    size_of, clip_of, column = (torch.from_numpy(each).to(device) for each in (cells.size[place], place, neuron))
    at_once = max(1, _CELLS_AT_ONCE[device.type == "cpu"] // cells.token.shape[1])
    is_even = bool((cells.size == cells.size[0]).all())
    peaks, strengths = [np.zeros(0, dtype=np.float32)], []
    for start in range(0, len(place), at_once):
        pairs = slice(start, start + at_once)
        longest = max(1, int(cells.size[place[pairs]].max()))
        at = cells.token[:, :longest].index_select(0, clip_of[pairs]).mul_(width).add_(column[pairs, None])
        values = flat.index_select(0, at.flatten()).view(at.shape).float()
        if not cells.is_full:
            values.masked_fill_(cells.is_none[:, :longest].index_select(0, clip_of[pairs]), 0.0)
        peak, strength = _in_8_bits(values, 1)
        peaks.append(peak.cpu().numpy())
        if not is_even or not cells.size[0]:
            strength = strength[torch.arange(longest, device=device) < size_of[pairs, None]]
        strengths.append(strength.flatten().cpu().numpy())
    return np.concatenate(peaks), strengths


def _of_clips(activation: Tensor, cells: _Cells, places: Index) -> tuple[NDArray[np.float32], list[NDArray[np.uint8]]]:
    """The same of every neuron in some clips: peaks (n_clips, n_neurons), and of each clip cells x neurons."""
    by_token = activation.flatten(0, -2)
    peaks, strengths = [np.zeros((0, by_token.shape[1]), dtype=np.float32)], []
    at_once = _together(activation, cells, places)
    if at_once > 1:
        size = int(cells.size[0])
        for some in (places[i : i + at_once] for i in range(0, len(places), at_once)):
            first = torch.from_numpy(np.array(cells.first)[some]).to(activation.device)
            token = (first[:, None] + torch.arange(size, device=activation.device)).flatten()
            values = by_token.index_select(0, token).float().unflatten(0, (len(some), size))
            peak, strength = _in_8_bits(values, 1)
            peaks.append(peak.cpu().numpy())
            strengths += list(strength.cpu().numpy())
        return np.concatenate(peaks), strengths
    for place in places.tolist():
        size, first = max(1, int(cells.size[place])), cells.first[place]
        if first < 0:
            values = by_token.index_select(0, cells.token[place, :size]).float()
            values.masked_fill_(cells.is_none[place, :size, None], 0.0)
        else:  # as they lie there, without a copy
            values = by_token[first : first + size].float()
        peak, strength = _in_8_bits(values, 0)
        peaks.append(peak[None].cpu().numpy())
        strengths.append(strength[: cells.size[place]].cpu().numpy())
    return np.concatenate(peaks), strengths


def _together(activation: Tensor, cells: _Cells, places: Index) -> int:
    """Whole clips that are taken at a time: several where each is small, as large as the next and in one piece."""
    alike = len(places) > 1 and (cells.size == cells.size[0]).all() and min(cells.first) >= 0 and cells.size[0] > 0
    n_cells = max(1, int(cells.size[0]) * activation.shape[-1])
    return max(1, _CELLS_OF_CLIPS // n_cells) if alike and activation.device.type == "cpu" else 1


def _in_8_bits(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The highest values along a dimension, and all in 255ths of them."""
    peak = values.amax(dim).clamp_(min=0)
    step = peak.clamp(min=_LEAST_PEAK).div_(255).unsqueeze(dim)
    return peak, values.clamp(min=0).div_(step).round_().to(torch.uint8)


@contextmanager
def appending(activations: Activations, most: float = np.inf) -> Iterator[Callable[[Index, Sequence[LayerPart]], None]]:
    """A new file beside the matrices to which blocks are appended: clips, and what a pass over them took.

    The clips' rows and checksums are written before. What comes after ``most`` bytes is left out.
    """
    with block_files.appending(activations.folder, _PREFIX, most) as append:
        yield lambda index, parts: append(lambda: _as_block(index, activations.sums[index, : len(MATRICES)], parts))


def _as_block(index: Index, sums: NDArray[np.uint32], parts: Sequence[LayerPart]) -> block_files.Block:
    """What is written of one pass: facts as in `_facts`, cells of pairs and of whole clips."""
    singles = [np.concatenate([getattr(part, name) for part in parts]) for name in ("place", "neuron", "peak")]
    whole = np.concatenate([part.whole for part in parts])
    layer = np.repeat(np.arange(len(parts)), [len(part.whole) for part in parts])
    whole_peak = np.concatenate([part.whole_peak.ravel() for part in parts])
    of_pairs = [block for part in parts for block in part.cells]
    cells = [*of_pairs, *(block for part in parts for block in part.whole_cells)]
    facts = [
        index.astype("<i8"), sums.astype("<u4"), np.stack([part.columns for part in parts], axis=1).astype("<i4"),
        *singles, whole, layer.astype("<i4"), whole_peak,
    ]  # fmt: skip
    n_cells = sum(each.size for each in cells)
    numbers = [len(index), len(parts), len(singles[0]), len(whole), len(whole_peak), n_cells]
    return block_files.block(_MAGIC, numbers, [*facts, *cells])


def forget_patterns(folder: Path) -> None:
    """Remove what passes have taken, when it is stored or will not be asked for."""
    for path in folder.glob(f"{_PREFIX}-*.part"):
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Block:
    """One pass, as `_as_block` wrote it."""

    index: Index
    sums: NDArray[np.uint32]
    columns: NDArray[np.int32]
    place: NDArray[np.int32]
    neuron: NDArray[np.int32]
    peak: NDArray[np.float32]
    whole: NDArray[np.int32]
    whole_layer: NDArray[np.int32]
    whole_peak: NDArray[np.float32]
    cells: int
    """Where in the file they begin."""

    def pairs(self, n_bands: Index, starts: Index) -> tuple[Index, Index, NDArray[np.float32], Index, Index]:
        """Clip's place, neuron, peak, first cell in the file and from cell to cell, of every pair that it has.

        Parameters
        ----------
        n_bands : ndarray of int, shape (n_layers,)
        starts : ndarray of int, shape (n_layers + 1,)
            From `layer_starts`.
        """
        layer = np.searchsorted(starts, self.neuron, side="right") - 1
        sizes = self.columns[self.place, layer].astype(np.int64) * n_bands[layer]
        first = self.cells + np.cumsum(sizes) - sizes
        widths = np.diff(starts)[self.whole_layer]
        n_cells = self.columns[self.whole, self.whole_layer].astype(np.int64) * n_bands[self.whole_layer] * widths
        begin = self.cells + int(sizes.sum()) + np.cumsum(n_cells) - n_cells
        unit = np.arange(widths.sum()) - np.repeat(np.cumsum(widths) - widths, widths)  # in its layer
        of_whole = (
            np.repeat(self.whole, widths), np.repeat(starts[self.whole_layer], widths) + unit, self.whole_peak,
            np.repeat(begin, widths) + unit, np.repeat(widths, widths),
        )  # fmt: skip
        single = self.place, self.neuron, self.peak, first, np.ones(len(first), dtype=np.int64)
        place, neuron, peak, at, step = (np.concatenate(both) for both in zip(single, of_whole, strict=True))
        return place, neuron, peak, at, step


def _facts(n_clips: int, n_layers: int, n_pairs: int, n_whole: int, n_peaks: int) -> list[tuple[str, tuple[int, ...]]]:
    """Types and shapes of what a block tells before its cells."""
    return [
        ("<i8", (n_clips,)), ("<u4", (n_clips, len(MATRICES))), ("<i4", (n_clips, n_layers)),
        ("<i4", (n_pairs,)), ("<i4", (n_pairs,)), ("<f4", (n_pairs,)),
        ("<i4", (n_whole,)), ("<i4", (n_whole,)), ("<f4", (n_peaks,)),
    ]  # fmt: skip


def _sizes(*numbers: int) -> list[int]:
    """Their bytes."""
    return [np.dtype(kind).itemsize * math.prod(shape) for kind, shape in _facts(*numbers)]


def _blocks(data: NDArray[np.uint8]) -> Iterator[_Block]:
    """The blocks of a file."""

    def size(*numbers: int) -> int:
        return sum(_sizes(*numbers[:-1])) + numbers[-1]

    for (*numbers, _), start in block_files.blocks(data, _MAGIC, _NUMBERS, size):
        ends = np.cumsum([start, *_sizes(*numbers)]).tolist()
        facts = [data[first:stop].tobytes() for first, stop in pairwise(ends)]
        arrays = [
            np.frombuffer(f, kind).reshape(shape) for f, (kind, shape) in zip(facts, _facts(*numbers), strict=True)
        ]
        index, sums, columns, place, neuron, peak, whole, whole_layer, whole_peak = arrays
        yield _Block(index, sums, columns, place, neuron, peak, whole, whole_layer, whole_peak, ends[-1])


@dataclass(frozen=True)
class Found:
    """Where the patterns of chosen clips lie.

    Attributes
    ----------
    clips : ndarray of int, shape (n_neurons, n)
    starts : ndarray of int, shape (n_layers + 1,)
        From `layer_starts`.
    n_bands : ndarray of int, shape (n_layers,)
    columns : ndarray of int32, shape (n_clips, n_layers)
        -1 where no pass of the clip is known.
    file_of, offset, step, peak : ndarray, shape (n_neurons * n,)
        The file is -1 where there is none; cells begin at the offset, one every step.
    fires : ndarray of bool, shape (n_neurons * n,)
        False where no token of the pair does.
    files : list of ndarray of uint8
        Mapped.
    """

    clips: Index
    starts: Index
    n_bands: Index
    columns: NDArray[np.int32]
    file_of: NDArray[np.int32]
    offset: Index
    step: Index
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
            layer_starts(encoder.layer_widths),
            np.array([encoder.token_grid(layer).n_bands for layer in range(encoder.n_layers)]),
            np.full((len(activations.done), encoder.n_layers), -1, dtype=np.int32),
            np.full(clips.size, -1, dtype=np.int32),
            np.zeros(clips.size, dtype=np.int64),
            np.ones(clips.size, dtype=np.int64),
            np.zeros(clips.size, dtype=np.float32),
            np.asarray(activations.positive[clips.ravel(), neuron] > 0),
            [],
        )
        keys = clips.ravel() * n_neurons + neuron
        order = np.argsort(keys)
        for data in block_files.files(activations.folder, _PREFIX) if clips.size else ():
            found.files.append(data)
            for block in _blocks(data):
                found._take(block, activations.sums[:, : len(MATRICES)], keys, order)
        return found

    def _take(self, block: _Block, sums: NDArray[np.uint32], keys: Index, order: Index) -> None:
        """Note where the chosen pairs of a block lie, of clips whose rows are those of the block's pass."""
        same = (sums[block.index] == block.sums).all(axis=1)
        self.columns[block.index[same]] = block.columns[same]
        place, neuron, peak, first, step = block.pairs(self.n_bands, self.starts)
        wanted = block.index[place] * len(self.clips) + neuron
        at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(order) - 1)]
        hit = np.flatnonzero((keys[at] == wanted) & same[place])
        self.file_of[at[hit]], self.offset[at[hit]] = len(self.files) - 1, first[hit]
        self.peak[at[hit]], self.step[at[hit]] = peak[hit], step[hit]

    def missing(self) -> tuple[Index, Index]:
        """Clips and neurons of the pairs that no file has, clip after clip."""
        neuron = np.repeat(np.arange(len(self.clips)), self.clips.shape[1])
        layer, clip = np.searchsorted(self.starts, neuron, side="right") - 1, self.clips.ravel()
        is_missing = (self.columns[clip, layer] < 0) | (self.fires & (self.file_of < 0))
        order = np.argsort(clip[is_missing], kind="stable")
        return clip[is_missing][order], neuron[is_missing][order]

    def read(self) -> Iterator[tuple[int, list[NeuronPattern]]]:
        """Every neuron's patterns; none is missing."""
        n, layer_of = self.clips.shape[1], np.repeat(np.arange(len(self.n_bands)), np.diff(self.starts))
        for neuron, clips in enumerate(self.clips.tolist()):
            layer, patterns = layer_of[neuron], list[NeuronPattern]()
            for pair, clip in enumerate(clips, start=neuron * n):
                shape = self.n_bands[layer], int(self.columns[clip, layer])
                strength = np.zeros(shape, dtype=np.uint8)
                if self.file_of[pair] >= 0:
                    start, step = int(self.offset[pair]), int(self.step[pair])
                    stop = start + strength.size * step
                    strength[:] = self.files[self.file_of[pair]][start:stop:step].reshape(shape)
                patterns.append(NeuronPattern(clip, float(self.peak[pair]), strength))
            yield neuron, patterns
