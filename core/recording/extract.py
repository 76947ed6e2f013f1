"""One forward pass a clip: counts of positive tokens, sums and embeddings into the matrices beside the store.

With them, patterns of the clips that neurons may keep to look at and to hear (`core.recording.candidates`), and of
clips that have segments in which tokens each unit fires (`core.recording.firing`). Other units of the same network
(`core.units`) are recorded in the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import reduce
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from core.datasets.scan import Scan
from core.encoders.base import Encoder, Padding
from core.encoders.hooks import Counts, record
from core.recording import checksums
from core.recording.activations import Activations
from core.recording.candidates import Asked, Candidates
from core.recording.firing import FiringPart, FiringTaker, appending_firing
from core.recording.passes import Passes, autocast, in_halves
from core.recording.patterns import MOST_BYTES, LayerPart, Layout, Taker, appending
from core.recording.waveforms import Waveforms, read_ahead
from core.results import Mask


@dataclass(frozen=True)
class Recorded:
    """An encoder and where its rows go; ``kept`` are the patterns that are taken, ``timed`` the clips with segments."""

    encoder: Encoder
    activations: Activations
    kept: Candidates
    timed: Mask | None = None

    @classmethod
    def of(cls, encoder: Encoder, activations: Activations, timed: Mask | None = None) -> Recorded:
        return cls(encoder, activations, Candidates(encoder, len(activations.done)), timed)


@dataclass(frozen=True)
class Result:
    """What a pass over some clips gave of one encoder; ``layers`` are the pooled outputs, one beside the other."""

    index: NDArray[np.int64]
    counts: Counts
    embeddings: torch.Tensor
    parts: list[LayerPart]
    layers: torch.Tensor | None = None
    firing: list[FiringPart] = field(default_factory=list)

    def of(self, name: str) -> torch.Tensor:
        """The rows of a matrix."""
        found = getattr(self if name in ("embeddings", "layers") else self.counts, name)
        assert isinstance(found, torch.Tensor)
        return found


def extract(
    recorded: Sequence[tuple[Encoder, Activations]],
    scan: Scan,
    passes: Passes,
    progress: Callable[[int], None] | None = None,
    batches: Sequence[NDArray[np.int64]] | None = None,
    timed: Mask | None = None,
) -> None:
    """Fill the rows that are not done yet.

    Parameters
    ----------
    recorded : sequence of (Encoder, Activations)
        An encoder and its matrices; then the same network seen through other units, which the same passes show, as far
        as these lack the rows.
    passes : Passes
    progress : callable, optional
        Called with the number of clips done so far.
    batches : sequence of ndarray, optional
        Some of `missing_batches` of the first, where other processes fill the others.
    timed : ndarray of bool, shape (n_clips,), optional
        Clips of which is kept in which tokens each unit fires; by default none.
    """
    encoder, activations = recorded[0]
    batches = missing_batches(activations, passes.batch_size) if batches is None else batches
    n_done = len(activations.done) - sum(map(len, batches))
    if progress:
        progress(n_done)
    clips = zip(batches, read_ahead(scan, batches, encoder.sample_rate, passes.workers), strict=True)
    for n in fill([Recorded.of(*each, timed) for each in recorded], clips, passes.padding, passes.precision):
        n_done += n
        if progress:
            progress(n_done)


def missing_batches(activations: Activations, batch_size: int) -> list[NDArray[np.int64]]:
    """Batches with a row that is not done yet, each whole.

    So a clip always meets the same others: what they are can change the last bits of its results.
    """
    return [batch for batch in all_batches(len(activations.done), batch_size) if not activations.done[batch].all()]


def all_batches(n_clips: int, batch_size: int) -> list[NDArray[np.int64]]:
    """The clips of a dataset, in batches."""
    return [np.arange(i, min(i + batch_size, n_clips)) for i in range(0, n_clips, batch_size)]


def fill(
    recorded: Sequence[Recorded],
    batches: Iterable[tuple[NDArray[np.int64], Waveforms]],
    padding: Padding = "exclude",
    precision: str = "float32",
) -> Iterator[int]:
    """Pass batches (rows, waveforms) through an encoder into the matrices; tells of how many clips, as it goes.

    ``recorded`` are views of one network, which every pass shows.
    """
    waiting: list[list[Result]] = []
    with ExitStack() as files:
        appends = [
            (
                files.enter_context(appending(each.activations, MOST_BYTES)),
                files.enter_context(appending_firing(each.activations)),
            )
            for each in recorded
        ]

        def write(results: Sequence[Sequence[Result]]) -> int:
            """Of each encoder, as far as it lacks them; returns of how many clips."""
            for each, append, of_encoder in zip(recorded, appends, zip(*results, strict=True), strict=False):
                _write(each.activations, of_encoder, *append)
            return sum(len(result.index) for result, *_ in results)

        seen = [(each.encoder, each.kept) for each in recorded]
        timed = recorded[0].timed
        with_layers = any(each.activations.layers is not None for each in recorded)
        try:
            for clips in batches:
                ready, waiting = waiting, list(passes_over(seen, clips, padding, precision, with_layers, timed))
                # On a GPU the passes above still run while the results of the batch before them are written.
                if recorded[0].encoder.device.type == "cpu":
                    ready, waiting = waiting, []
                if ready:
                    yield write(ready)
        finally:  # an error in one batch loses no other
            n_last = write(waiting)
    if n_last:
        yield n_last
    for each in recorded:
        for name in (*each.activations.matrices, "sums", "done"):
            cast(np.memmap, getattr(each.activations, name)).flush()


def passes_over(
    seen: Sequence[tuple[Encoder, Candidates | Asked | None]],
    clips: tuple[NDArray[np.int64], Waveforms],
    padding: Padding,
    precision: str,
    with_layers: bool = False,
    timed: Mask | None = None,
) -> Iterator[list[Result]]:
    """Forward passes over a batch of clips, counted, a result for each encoder.

    Parameters
    ----------
    seen : sequence of (Encoder, Candidates or Asked or None)
        Views of one network, all shown by the same passes, and of which patterns each keeps.
    with_layers : bool
        Whether every layer's output is pooled (`core.encoders.base.Encoder.pooled`).
    timed : ndarray of bool, shape (n_clips of the dataset,), optional
        Clips of which is taken in which tokens each unit fires.
    """
    outer = reduce(lambda inner, encoder: encoder.through(inner), (encoder for encoder, _ in seen))
    layouts = [kept.layout if kept else Layout(encoder) for encoder, kept in seen]

    def once(index: NDArray[np.int64], waveforms: Waveforms) -> list[Result]:
        batch = outer.prepare(waveforms, padding)
        takers = [Taker(batch, kept.of(index), kept.layout) if kept else None for _, kept in seen]
        places = [] if timed is None else np.flatnonzero(timed[index]).tolist()
        timers = [FiringTaker(batch, places, layout) if places else None for layout in layouts]
        pooled: list[torch.Tensor] = []

        def pool(layer: int, hidden: torch.Tensor) -> None:
            pooled.append(outer.pooled(layer, hidden, batch))

        with torch.inference_mode(), autocast(outer, precision), ExitStack() as hooks:
            counts = [
                hooks.enter_context(record(encoder, batch, _one_after_other(*both)))
                for (encoder, _), *both in zip(seen, takers, timers, strict=True)
            ]
            embeddings = outer.forward(batch, pool) if with_layers else outer.forward(batch)
        for _, kept in seen:
            if kept:
                kept.passed()
        parts = [taker.parts if taker else [] for taker in takers]
        firing = [timer.parts if timer else [] for timer in timers]
        layers = torch.cat(pooled, dim=1) if with_layers else None
        of_each = zip(counts, parts, firing, strict=True)
        return [Result(index, own, embeddings, part, layers, bits) for own, part, bits in of_each]

    return in_halves(outer, *clips, once)


def _one_after_other(*takers: Taker | FiringTaker | None) -> Callable[[int, torch.Tensor, Counts], None] | None:
    """What tells each taker of a layer; None where there is none."""
    there = [taker for taker in takers if taker]

    def tell(layer: int, activation: torch.Tensor, counts: Counts) -> None:
        for taker in there:
            taker(layer, activation, counts)

    return tell if there else None


def _write(
    activations: Activations,
    results: Sequence[Result],
    append: Callable[[NDArray[np.int64], Sequence[LayerPart]], None],
    append_firing: Callable[[NDArray[np.int64], Sequence[FiringPart]], None],
) -> int:
    """Store what passes gave, unless it is there; returns of how many clips."""
    n_stored = 0
    for result in results:
        index = result.index
        at = _as_slice(index)
        if activations.done[at].all():  # of a pass that other units were in want of
            continue
        activations.done[at] = 0  # a row that is written again is not done meanwhile
        for column, name in enumerate(activations.matrices):
            matrix = getattr(activations, name)
            values = result.of(name)
            rows = (values.float() if values.is_floating_point() else values).cpu().numpy()
            rows = rows.astype(matrix.dtype, copy=False)
            matrix[at] = rows
            activations.sums[at, column] = checksums.of_rows(index, rows)
        append(index, result.parts)
        append_firing(index, result.firing)
        activations.done[at] = 1
        n_stored += len(index)
    return n_stored


def _as_slice(index: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """The same rows, as a slice where they follow each other: NumPy copies those faster."""
    return slice(int(index[0]), int(index[-1]) + 1) if (np.diff(index) == 1).all() else index


@torch.inference_mode()
def changed_by_precision(encoder: Encoder, scan: Scan, padding: Padding, precision: str, n_clips: int = 32) -> str:
    """How many counts of a few clips differ from those in float32, in words."""
    some = np.linspace(0, len(scan.dataset.clips) - 1, min(n_clips, len(scan.dataset.clips))).astype(np.int64)
    (waveforms,) = read_ahead(scan, [some], encoder.sample_rate, 2)
    positive = []
    for each in ("float32", precision):
        passes = passes_over([(encoder, None)], (some, waveforms), padding, each)
        positive.append(torch.cat([result.counts.positive for (result,) in passes]))
    differ = (positive[0] != positive[1]).float().mean().item()
    moved = (positive[0] - positive[1]).abs().sum().item() / max(positive[0].sum().item(), 1)
    return (
        f"{scan.dataset.name}: in {precision} {differ:.1%} of the counts of {len(some)} clips differ from float32, "
        f"by {moved:.2%} of all positive tokens"
    )
