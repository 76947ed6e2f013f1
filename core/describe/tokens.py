"""What every unit does, and what is heard, at drawn moments of drawn clips: one pass over them, nothing else in memory.

A moment is a column of the encoder's tokens; where tokens are patches of time and frequency, the mean over its bands.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.arrays.neurons import layer_starts
from core.datasets.scan import Scan
from core.describe.acoustics import CLIPS_AT_ONCE, Floats, measure
from core.describe.descriptors import NAMES
from core.describe.kept import Kept
from core.describe.voice import add_voice
from core.encoders.base import Batch, Encoder
from core.encoders.hooks import Counts, record
from core.files import naming
from core.recording.passes import Passes, autocast, in_halves
from core.recording.patterns import Index, clip_cells
from core.recording.waveforms import Waveforms, read_ahead
from core.results import FloatArray, IntArray, TokenGrid

MOST_TOKENS = 32
"""Of a clip, evenly over its columns."""


@dataclass
class Tokens:
    """Drawn moments, clip after clip.

    Attributes
    ----------
    clip : ndarray of int, shape (n,)
        Each one's clip: its position in the list that was given.
    values : ndarray of float32, shape (n, n_units)
        A map of a file, as large as it needs to be.
    sound : ndarray of float32, shape (n, n_descriptors)
    """

    clip: IntArray
    values: Floats
    sound: Floats


def column_spans(grid: TokenGrid, n_columns: int, seconds: float) -> FloatArray:
    """Where columns of a clip begin and end, shape (n_columns, 2), in seconds."""
    column = np.arange(n_columns, dtype=np.float64)
    if grid.column_seconds is None:
        starts = column * seconds / max(n_columns, 1)
        return np.column_stack([starts, starts + seconds / max(n_columns, 1)])
    starts = grid.column_seconds * column
    if grid.chunk_columns and grid.chunk_seconds is not None:
        chunk, within = np.divmod(column, grid.chunk_columns)
        starts = grid.chunk_seconds * chunk + grid.column_seconds * within
    return np.column_stack([starts, starts + (grid.span_seconds or grid.column_seconds)])


@dataclass
class _Drawn:
    """What a batch's clips are asked for: rows of the table, and of each layer the tokens that these are."""

    batch: Batch
    spans: list[FloatArray]
    cells: dict[int, list[Index]] = field(default_factory=dict)
    taken: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, encoder: Encoder, batch: Batch, seconds: Sequence[float]) -> _Drawn:
        drawn = cls(batch, [])
        rows = [np.flatnonzero(batch.clip.cpu().numpy() == i) for i in range(batch.n_clips)]
        seen: dict[int, tuple[TokenGrid, Tensor]] = {}
        for layer in range(encoder.n_layers):
            grid, counted = encoder.token_grid(layer), encoder.counted(layer, batch)
            before = next((at for at, known in seen.items() if known[0] == grid and known[1] is counted), None)
            if before is not None:
                drawn.cells[layer] = drawn.cells[before]
                continue
            seen[layer] = grid, counted
            is_counted = (counted > 0).cpu().numpy()
            places = encoder.token_places(layer, is_counted.shape[1])
            every = [clip_cells(grid, places, is_counted, of_clip) for of_clip in rows]
            spans = [column_spans(grid, of.shape[1], long) for of, long in zip(every, seconds, strict=True)]
            if layer == 0:
                chosen = [_evenly(np.flatnonzero((of >= 0).any(axis=0))) for of in every]
                drawn.spans = [at[columns] for at, columns in zip(spans, chosen, strict=True)]
            else:
                chosen = [_nearest(at, asked) for at, asked in zip(spans, drawn.spans, strict=True)]
            drawn.cells[layer] = [of[:, columns] for of, columns in zip(every, chosen, strict=True)]
        return drawn

    def take(self, layer: int, activation: Tensor, counts: Counts) -> None:
        """Mean over the bands of each moment, shape (n_moments, n_units of the layer)."""
        flat = activation.flatten(0, -2)
        cells = torch.from_numpy(np.concatenate(self.cells[layer], axis=1)).to(flat.device)
        there = (cells >= 0)[..., None]
        total = (flat[cells.clamp(min=0)].float() * there).sum(0)
        self.taken[layer] = (total / there.sum(0).clamp(min=1)).cpu().numpy()


def _evenly(columns: IntArray) -> IntArray:
    if len(columns) <= MOST_TOKENS:
        return columns
    return columns[np.linspace(0, len(columns) - 1, MOST_TOKENS).astype(np.int64)]


def _nearest(spans: FloatArray, asked: FloatArray) -> IntArray:
    """The column that each asked span's middle lies in."""
    found = np.searchsorted(spans[:, 0], asked.mean(axis=1), side="right") - 1
    return np.clip(found, 0, max(len(spans) - 1, 0))


@dataclass(frozen=True)
class _Listener:
    """Measures what is not known yet, some clips a worker: beside the passes of another device, after those of the CPU.

    There the two wait for each other: twice the processor time.
    """

    kept: Kept
    rate: int
    pool: ThreadPoolExecutor
    is_beside: bool

    def hear(self, clips: IntArray, sounds: Waveforms, spans: Sequence[FloatArray]) -> Callable[[], list[Floats]]:
        """What gives the descriptors of stretches of some clips, clip by clip: measured then, or being measured."""
        known = [self.kept.get(clip, of) for clip, of in zip(clips.tolist(), spans, strict=True)]
        new = [i for i, told in enumerate(known) if told is None]

        def begin() -> list[Future[list[Floats]]]:
            groups = [new[i : i + CLIPS_AT_ONCE] for i in range(0, len(new), CLIPS_AT_ONCE)]
            of_groups = [([sounds[i] for i in group], [spans[i] for i in group]) for group in groups]
            return [self.pool.submit(self._measure, *of_group) for of_group in of_groups]

        begun = begin() if self.is_beside else None

        def heard() -> list[Floats]:
            found = (told for group in begun or begin() for told in group.result())
            every = [next(found) if told is None else told for told in known]
            for i in new:
                self.kept.put(int(clips[i]), spans[i], every[i])
            return every

        return heard

    def _measure(self, sounds: Waveforms, spans: Sequence[FloatArray]) -> list[Floats]:
        found = measure(sounds, self.rate, spans)
        if self.kept.voice:
            for told, sound, of_clip in zip(found, sounds, spans, strict=True):
                add_voice(told, sound, self.rate, of_clip)
        return found


@contextmanager
def taken(
    encoder: Encoder, scan: Scan, clips: IntArray, passes: Passes, kept: Kept, progress: Callable[[int], None]
) -> Iterator[Tokens]:
    """Pass clips, and keep drawn moments as long as the block lasts.

    Parameters
    ----------
    clips : ndarray of int
        Positions in the dataset, in the order in which they are to lie.
    kept : Kept
        Descriptors that are known, which grow; beside its file another holds the activations meanwhile.
    progress : callable
        Told the clips that are done.
    """
    batches = [clips[i : i + passes.batch_size] for i in range(0, len(clips), passes.batch_size)]
    sounds: list[Floats] = []
    sizes: list[int] = []
    folder = kept.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with naming(folder), tempfile.TemporaryFile(dir=folder) as file, ThreadPoolExecutor(passes.workers) as pool:
        listener = _Listener(kept, encoder.sample_rate, pool, encoder.device.type != "cpu")
        for waveforms in read_ahead(scan, batches, encoder.sample_rate, passes.workers):
            batch = clips[len(sizes) : len(sizes) + len(waveforms)]
            for values, sound in _passed(encoder, batch, waveforms, passes, listener):
                file.write(values.tobytes())  # `tofile` does not say that a disk is full
                sounds += sound
                sizes += map(len, sound)
            progress(len(sizes))
        kept.save()
        file.flush()
        shape = sum(sizes), encoder.n_neurons
        every = np.memmap(file, np.float32, "r", shape=shape) if shape[0] else np.zeros(shape, np.float32)
        heard = np.concatenate([np.zeros((0, len(NAMES)), np.float32), *sounds])
        yield Tokens(np.repeat(np.arange(len(clips)), sizes), every, heard)


def _passed(
    encoder: Encoder, clips: NDArray[np.int64], waveforms: Waveforms, passes: Passes, listener: _Listener
) -> Iterator[tuple[Floats, list[Floats]]]:
    """Activations (n_moments, n_units) and descriptors clip by clip, of a batch or its halves."""

    def once(index: NDArray[np.int64], sounds: Waveforms) -> tuple[Floats, list[Floats]]:
        batch = encoder.prepare(sounds, passes.padding)
        drawn = _Drawn.of(encoder, batch, [len(sound) / encoder.sample_rate for sound in sounds])
        heard = listener.hear(index, sounds, drawn.spans)
        with torch.inference_mode(), autocast(encoder, passes.precision), record(encoder, batch, drawn.take):
            encoder.forward(batch)
        values = np.zeros((sum(map(len, drawn.spans)), encoder.n_neurons), dtype=np.float32)
        starts = layer_starts(encoder.layer_widths)
        for layer, of_layer in drawn.taken.items():
            values[:, starts[layer] : starts[layer + 1]] = of_layer
        return values, heard()

    yield from in_halves(encoder, clips, waveforms, once)
