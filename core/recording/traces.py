"""What every neuron does over a dataset's clips: some to hear beside the top ones, and where in them it fires.

The patterns were taken in the pass that counted (`core.recording.candidates`). Those that are not there, as the
matrices are of older code or a disk damaged a file, are taken in another pass over the batches of their clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.datasets.scan import Scan
from core.encoders.base import Encoder
from core.recording.activations import Activations
from core.recording.candidates import Asked
from core.recording.extract import all_batches, passes_over
from core.recording.firing import appending_firing
from core.recording.passes import Passes
from core.recording.patterns import Found, Index, appending
from core.recording.top_clips import LEVELS, Chosen, choose
from core.recording.waveforms import read_ahead
from core.results import ClipTraces


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
        Called with the number of clips passed again so far.
    """
    chosen = choose(scan.dataset.name, activations)
    missing = Found.look(encoder, chosen.clips, activations).missing()
    batches = batches_with(missing[0], len(activations.done), passes.batch_size)
    find_patterns(encoder, scan, activations, (Asked(encoder, *missing), batches), passes, progress)
    return traces_of(scan.dataset.name, chosen, Found.look(encoder, chosen.clips, activations))


def batches_with(clips: Index, n_clips: int, batch_size: int) -> list[Index]:
    """The batches of extraction that have some of the clips, each whole: so a clip always meets the same others."""
    is_asked = np.zeros(n_clips, dtype=np.bool_)
    is_asked[clips] = True
    return [batch for batch in all_batches(n_clips, batch_size) if is_asked[batch].any()]


def traces_of(dataset: str, chosen: Chosen, patterns: Found) -> ClipTraces:
    """The record of what was chosen and found."""
    return ClipTraces(dataset, chosen.contrast, patterns.read(), LEVELS, chosen.quantiles)


def find_patterns(
    encoder: Encoder,
    scan: Scan,
    activations: Activations,
    asked: tuple[Asked, Sequence[Index]],
    passes: Passes,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Take patterns of some pairs into a file beside the matrices.

    Parameters
    ----------
    asked : Asked, sequence of ndarray of int
        The pairs, and batches of clips that are passed for them.
    progress : callable, optional
        Called with the number of clips done so far.
    """
    pairs, batches = asked
    waveforms_of, n_done = read_ahead(scan, batches, encoder.sample_rate, passes.workers), 0
    with appending(activations) as append:
        for batch in zip(batches, waveforms_of, strict=True):
            for (result,) in passes_over([(encoder, pairs)], batch, passes.padding, passes.precision):
                append(result.index, result.parts)
            n_done += len(batch[0])
            if progress:
                progress(n_done)


def take_firing(
    encoder: Encoder,
    scan: Scan,
    activations: Activations,
    asked: tuple[Index, Sequence[Index]],
    passes: Passes,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Take in which tokens of some clips units fire into a file beside the matrices (`core.recording.firing`).

    Parameters
    ----------
    asked : ndarray of int, sequence of ndarray of int
        The clips, and batches that are passed for them.
    progress : callable, optional
        Called with the number of clips of each batch.
    """
    clips, batches = asked
    timed = np.zeros(len(activations.done), dtype=np.bool_)
    timed[clips] = True
    waveforms_of = read_ahead(scan, batches, encoder.sample_rate, passes.workers)
    with appending_firing(activations) as append:
        for batch in zip(batches, waveforms_of, strict=True):
            for (result,) in passes_over([(encoder, None)], batch, passes.padding, passes.precision, timed=timed):
                append(result.index, result.firing)
            if progress:
                progress(len(batch[0]))
