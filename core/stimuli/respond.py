"""One pass over a set of made sounds: what every unit answers to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.datasets.audio import resample
from core.encoders.base import Encoder
from core.errors import InputError
from core.recording.extract import all_batches, passes_over
from core.recording.passes import Passes
from core.stimuli.sets import StimulusSet
from core.stimuli.sound import RATE


@dataclass(frozen=True)
class Responses:
    """Answers of a model's units to a set.

    Attributes
    ----------
    rate : ndarray of float32, shape (n_stimuli, n_units)
        Share of a stimulus' counted tokens at which the unit is active.
    mean : ndarray of float32, shape (n_stimuli, n_units)
        Mean activation over them.
    """

    rate: NDArray[np.float32]
    mean: NDArray[np.float32]

    @property
    def varying(self) -> NDArray[np.int64]:
        """Units that do not answer to all stimuli alike, by flat index."""
        return np.flatnonzero((self.rate != self.rate[0]).any(axis=0))


def respond(
    encoder: Encoder, stimuli: StimulusSet, seed: int, passes: Passes, progress: Callable[[int], None] | None = None
) -> Responses:
    """Pass a set's sounds through an encoder.

    Nothing is held but the answers themselves, 8 bytes a stimulus and unit.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of stimuli done so far.

    Raises
    ------
    InputError
        If activations are not finite.
    core.datasets.demo.synthesis.corpus.MissingDemoPackage
        If the set needs a package that is not installed.
    """
    n = stimuli.design.n_stimuli
    found = Responses(*(np.empty((n, encoder.n_neurons), dtype=np.float32) for _ in range(2)))
    n_done = 0
    for batch in all_batches(n, passes.batch_size):
        waveforms = [resample(stimuli.sound(int(i), seed), RATE, encoder.sample_rate) for i in batch]
        for (result,) in passes_over([(encoder, None)], (batch, waveforms), passes.padding, passes.precision):
            tokens = result.counts.tokens[:, None].clamp(min=1)
            found.rate[result.index] = (result.counts.positive / tokens).float().cpu().numpy()
            found.mean[result.index] = (result.counts.total / tokens).float().cpu().numpy()
        n_done += len(batch)
        if progress:
            progress(n_done)
    if not np.isfinite(found.mean).all():
        raise InputError(f"{encoder.name} gives activations that are not finite for the made sounds '{stimuli.name}'")
    return found
