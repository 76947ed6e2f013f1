"""What every neuron does over a dataset's clips: some to hear beside the top ones, and where in them it fires.

One more forward pass over the clips that some neuron wants. Of each layer only the wanted (clip, neuron)
columns leave the device, 8 bits a token, into a nameless file that goes when they are read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.arrays.neurons import layer_starts
from core.datasets.scan import Scan
from core.encoders.base import Batch, Encoder
from core.files import naming
from core.recording.activations import Activations
from core.recording.passes import Passes, autocast, in_halves
from core.recording.top_clips import LEVELS, Chosen, Index, choose
from core.recording.waveforms import Waveforms, read_ahead
from core.results import ClipTraces, NeuronPattern, TokenGrid

_CELLS_AT_ONCE = 2**22
"""Tokens of (clip, neuron) pairs that are gathered together, some 24 bytes each."""


def trace(
    encoder: Encoder,
    scan: Scan,
    activations: Activations,
    passes: Passes,
    progress: Callable[[int], None] | None = None,
) -> ClipTraces:
    """Choose the clips of every neuron and look where in them it fires.

    Parameters
    ----------
    activations : Activations
        Complete.
    passes : Passes
    progress : callable, optional
        Called with the number of clips done so far.
    """
    chosen = choose(scan.dataset.name, activations)
    patterns = Found.open(encoder, chosen.clips, len(scan.dataset.clips), activations.folder)
    find_patterns(encoder, scan, patterns, batches_of(chosen, passes.batch_size), passes, progress)
    return traces_of(scan.dataset.name, chosen, patterns)


def batches_of(chosen: Chosen, batch_size: int) -> list[Index]:
    """The clips that some neuron wants, in batches."""
    clips = np.unique(chosen.clips)
    return [clips[i : i + batch_size] for i in range(0, len(clips), batch_size)]


def traces_of(dataset: str, chosen: Chosen, patterns: Found) -> ClipTraces:
    """The record of what was chosen and found; read once, which closes the file."""
    return ClipTraces(dataset, chosen.contrast, patterns.read(), LEVELS, chosen.quantiles)


def find_patterns(
    encoder: Encoder,
    scan: Scan,
    patterns: Found,
    batches: Sequence[Index],
    passes: Passes,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Look where the neurons fire in some of their clips.

    Parameters
    ----------
    patterns : Found
        Open, to be filled.
    batches : sequence of ndarray of int
        Clips that are passed together.
    progress : callable, optional
        Called with the number of clips done so far.
    """

    def once(index: Index, waveforms: Waveforms) -> list[_LayerPart]:
        batch, wanted = encoder.prepare(waveforms, passes.padding), patterns.of(index)
        with torch.inference_mode(), autocast(encoder, passes.precision), _gather(encoder, batch, wanted) as parts:
            encoder.forward(batch)
        return parts

    n_done = 0
    waveforms_of = read_ahead(scan, batches, encoder.sample_rate, passes.workers)
    for index, waveforms in zip(batches, waveforms_of, strict=True):
        n_halves = 0
        for parts in in_halves(encoder, index, waveforms, once):
            for part in parts:
                with naming(patterns.folder):
                    patterns.add(index[n_halves:], part)
            n_halves += parts[0].n_clips
        n_done += len(index)
        if progress:
            progress(n_done)


@dataclass(frozen=True)
class _LayerPart:
    """What one pass told of a layer: of each pair its peak and, pair after pair, its cells."""

    layer: int
    n_clips: int
    columns: Index
    pairs: Index
    peak: NDArray[np.float32]
    strength: list[NDArray[np.uint8]]


@dataclass(frozen=True)
class FoundElsewhere:
    """What another process found: where in its file each pair's cells begin, -1 for those that it did not look at."""

    path: Path
    columns: NDArray[np.int32]
    offset: Index
    peak: NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """Cells of all pairs in a file, in the order in which they were passed, and where each pair's begin."""

    clips: Index
    pairs_by_clip: Index
    first_pair: Index
    layer_of: Index
    starts: Index
    n_bands: Sequence[int]
    columns: NDArray[np.int32]
    offset: Index
    peak: NDArray[np.float32]
    file: IO[bytes]
    folder: Path

    @classmethod
    def open(cls, encoder: Encoder, clips: Index, n_clips: int, folder: Path, name: str | None = None) -> Found:
        """Nothing found yet, for the clips of every neuron (n_neurons, n) in a dataset of so many.

        What will be found lies in ``folder``, in a file without a name unless ``name`` is given.
        """
        starts, flat = layer_starts(encoder.layer_widths), clips.ravel()
        layers = np.repeat(np.arange(encoder.n_layers), encoder.layer_widths)
        return cls(
            clips,
            np.argsort(flat, kind="stable"),
            np.searchsorted(np.sort(flat), np.arange(n_clips + 1)),
            layers,
            starts,
            [encoder.token_grid(layer).n_bands for layer in range(encoder.n_layers)],
            np.zeros((n_clips, encoder.n_layers), dtype=np.int32),
            np.full(flat.shape, -1, dtype=np.int64),
            np.zeros(flat.shape, dtype=np.float32),
            open(folder / name, "w+b") if name else tempfile.TemporaryFile(dir=folder),
            folder,
        )

    def of(self, index: Index) -> _Wanted:
        """The pairs of some clips, clip after clip."""
        pairs = [self.pairs_by_clip[self.first_pair[clip] : self.first_pair[clip + 1]] for clip in index]
        place = np.repeat(np.arange(len(index)), [len(of_clip) for of_clip in pairs])
        together = np.concatenate(pairs)
        neuron = together // self.clips.shape[1]
        layer = self.layer_of[neuron]
        return _Wanted(together, place, neuron - self.starts[layer], layer)

    def add(self, index: Index, part: _LayerPart) -> None:
        self.columns[index[: part.n_clips], part.layer] = part.columns
        clip = self.clips.ravel()[part.pairs]
        sizes = self.columns[clip, part.layer].astype(np.int64) * self.n_bands[part.layer]
        self.offset[part.pairs] = self.file.tell() + np.cumsum(sizes) - sizes
        self.peak[part.pairs] = part.peak
        for block in part.strength:
            self.file.write(block.tobytes())
        self.file.flush()

    def elsewhere(self) -> FoundElsewhere:
        """What was found, for another process; closes the file."""
        self.file.close()
        return FoundElsewhere(Path(self.file.name), self.columns, self.offset, self.peak)

    def take(self, other: FoundElsewhere) -> None:
        """Add what another process found in other clips, and remove its file."""
        pairs = np.flatnonzero(other.offset >= 0)
        self.offset[pairs] = other.offset[pairs] + self.file.tell()
        self.peak[pairs] = other.peak[pairs]
        self.columns[:] += other.columns
        with other.path.open("rb") as file:
            shutil.copyfileobj(file, self.file, 2**20)
        other.path.unlink()

    def read(self) -> Iterator[tuple[int, list[NeuronPattern]]]:
        """Every neuron's patterns; closes the file."""
        n_neurons, n = self.clips.shape
        with self.file:
            cells = np.memmap(self.file, dtype=np.uint8, mode="r") if self.file.tell() else np.zeros(0, np.uint8)
            for neuron in range(n_neurons):
                layer, patterns = self.layer_of[neuron], []
                for pair, clip in enumerate(self.clips[neuron].tolist(), start=neuron * n):
                    shape = self.n_bands[layer], int(self.columns[clip, layer])
                    start = self.offset[pair]
                    strength = np.array(cells[start : start + shape[0] * shape[1]]).reshape(shape)
                    patterns.append(NeuronPattern(clip, float(self.peak[pair]), strength))
                yield neuron, patterns


@dataclass(frozen=True)
class _Wanted:
    """Pairs of a batch: their number, the clip's place in the batch, the neuron within its layer, the layer."""

    pairs: Index
    place: Index
    neuron: Index
    layer: Index


@contextmanager
def _gather(encoder: Encoder, batch: Batch, wanted: _Wanted) -> Iterator[list[_LayerPart]]:
    """Take what is wanted of each layer while ``encoder`` runs forward on ``batch``."""
    parts: list[_LayerPart] = []
    clip_of_row = batch.clip.cpu().numpy()
    rows = [np.flatnonzero(clip_of_row == clip) for clip in range(batch.n_clips)]

    def observe(layer: int, activation: Tensor) -> None:
        counted = (encoder.counted(layer, batch) > 0).cpu().numpy()
        grid, places = encoder.token_grid(layer), encoder.token_places(layer, counted.shape[1])
        cells = [clip_cells(grid, places, counted, of_clip) for of_clip in rows]
        of_layer = wanted.layer == layer
        peak, strength = _strengths(activation, cells, wanted.place[of_layer], wanted.neuron[of_layer])
        columns = np.array([of_clip.shape[1] for of_clip in cells])
        parts.append(_LayerPart(layer, batch.n_clips, columns, wanted.pairs[of_layer], peak, strength))

    with ExitStack() as hooks:
        for layer, projection in enumerate(encoder.projections):

            def hook(module: nn.Module, inputs: tuple[Tensor, ...], layer: int = layer) -> None:
                with torch.autocast(inputs[0].device.type, enabled=False):
                    observe(layer, inputs[0])

            hooks.callback(projection.register_forward_pre_hook(hook).remove)
        yield parts


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
        The clip and neuron of each pair.
    """
    device, width = activation.device, activation.shape[2]
    flat = activation.reshape(-1)
    sizes = np.array([of_clip.size for of_clip in cells])
    first = np.cumsum(sizes) - sizes
    all_cells = torch.from_numpy(np.concatenate([of_clip.ravel() for of_clip in cells])).to(device)
    block_of_pair = np.cumsum(sizes[place]) // _CELLS_AT_ONCE
    peaks, strengths = [np.zeros(0, dtype=np.float32)], []
    for block in np.unique(block_of_pair):
        pairs = block_of_pair == block
        length = torch.from_numpy(sizes[place[pairs]]).to(device)
        pair = torch.repeat_interleave(length)
        shift = torch.from_numpy(first[place[pairs]]).to(device) - (length.cumsum(0) - length)
        cell = all_cells[torch.arange(len(pair), device=device) + shift[pair]]
        column = torch.from_numpy(neuron[pairs]).to(device)[pair]
        values = flat.take(cell.clamp(min=0) * width + column).float().clamp_(min=0).masked_fill_(cell < 0, 0.0)
        peak = values.new_zeros(len(length)).scatter_reduce_(0, pair, values, "amax")
        share = values / peak.clamp(min=torch.finfo(torch.float32).tiny)[pair]
        peaks.append(peak.cpu().numpy())
        strengths.append((share * 255).round_().to(torch.uint8).cpu().numpy())
    return np.concatenate(peaks), strengths
