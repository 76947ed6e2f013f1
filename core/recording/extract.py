"""One forward pass a clip: counts of positive tokens, sums and embeddings into the matrices beside the store.

With them, patterns of the clips that neurons may keep to look at and to hear (`core.recording.candidates`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from core.datasets.scan import Scan
from core.encoders.base import Encoder, Padding
from core.encoders.hooks import Counts, record
from core.recording import checksums
from core.recording.activations import MATRICES, Activations
from core.recording.candidates import Asked, Candidates
from core.recording.passes import Passes, autocast, in_halves
from core.recording.patterns import MOST_BYTES, LayerPart, Taker, appending
from core.recording.waveforms import Waveforms, read_ahead


@dataclass(frozen=True)
class Result:
    """What a pass over some clips gave."""

    index: NDArray[np.int64]
    counts: Counts
    embeddings: torch.Tensor
    parts: list[LayerPart]


def extract(
    encoder: Encoder,
    scan: Scan,
    activations: Activations,
    passes: Passes,
    progress: Callable[[int], None] | None = None,
    batches: Sequence[NDArray[np.int64]] | None = None,
) -> None:
    """Fill the rows that are not done yet.

    Parameters
    ----------
    passes : Passes
    progress : callable, optional
        Called with the number of clips done so far.
    batches : sequence of ndarray, optional
        Some of `missing_batches`, where other processes fill the others.
    """
    batches = missing_batches(activations, passes.batch_size) if batches is None else batches
    n_done = len(activations.done) - sum(map(len, batches))
    if progress:
        progress(n_done)
    waveforms = read_ahead(scan, batches, encoder.sample_rate, passes.workers)
    for n in fill(encoder, activations, zip(batches, waveforms, strict=True), passes.padding, passes.precision):
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
    encoder: Encoder,
    activations: Activations,
    batches: Iterable[tuple[NDArray[np.int64], Waveforms]],
    padding: Padding = "exclude",
    precision: str = "float32",
) -> Iterator[int]:
    """Pass batches (rows, waveforms) through the encoder into the matrices; tells of how many clips, as it goes."""
    candidates = Candidates(encoder, len(activations.done))
    waiting: list[Result] = []
    with appending(activations, MOST_BYTES) as append:
        try:
            for index, waveforms in batches:
                ready, waiting = waiting, list(passes_over(encoder, (index, waveforms), padding, precision, candidates))
                # On a GPU the passes above still run while the results of the batch before them are written.
                if encoder.device.type == "cpu":
                    ready, waiting = waiting, []
                if ready:
                    yield _write(activations, ready, append)
        finally:  # an error in one batch loses no other
            n_last = _write(activations, waiting, append)
    if n_last:
        yield n_last
    for name in (*MATRICES, "sums", "done"):
        cast(np.memmap, getattr(activations, name)).flush()


def passes_over(
    encoder: Encoder,
    clips: tuple[NDArray[np.int64], Waveforms],
    padding: Padding,
    precision: str,
    kept: Candidates | Asked | None = None,
) -> Iterator[Result]:
    """Forward passes over a batch of clips, counted, with patterns of what is to be ``kept``."""

    def once(index: NDArray[np.int64], waveforms: Waveforms) -> Result:
        batch = encoder.prepare(waveforms, padding)
        taker = Taker(batch, kept.of(index), kept.layout) if kept else None
        with torch.inference_mode(), autocast(encoder, precision), record(encoder, batch, taker) as counts:
            embeddings = encoder.forward(batch)
        if kept:
            kept.passed()
        return Result(index, counts, embeddings, taker.parts if taker else [])

    return in_halves(encoder, *clips, once)


def _write(
    activations: Activations,
    results: Sequence[Result],
    append: Callable[[NDArray[np.int64], Sequence[LayerPart]], None],
) -> int:
    """Store what passes gave; returns of how many clips."""
    for result in results:
        index, counts = result.index, result.counts
        at = _as_slice(index)
        activations.done[at] = 0  # a row that is written again is not done meanwhile
        for column, values in enumerate((counts.positive, counts.total, counts.tokens, result.embeddings.float())):
            matrix = getattr(activations, MATRICES[column])
            rows = values.cpu().numpy().astype(matrix.dtype, copy=False)
            matrix[at] = rows
            activations.sums[at, column] = checksums.of_rows(index, rows)
        append(index, result.parts)
        activations.done[at] = 1
    return sum(len(result.index) for result in results)


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
        passes = passes_over(encoder, (some, waveforms), padding, each)
        positive.append(torch.cat([result.counts.positive for result in passes]))
    differ = (positive[0] != positive[1]).float().mean().item()
    moved = (positive[0] - positive[1]).abs().sum().item() / max(positive[0].sum().item(), 1)
    return (
        f"{scan.dataset.name}: in {precision} {differ:.1%} of the counts of {len(some)} clips differ from float32, "
        f"by {moved:.2%} of all positive tokens"
    )
