"""Planted networks whose clips come from recordings of one to six clips, a few of which dominate many neurons.

What a permutation test finds hardest: units of unequal size, classes of few units, and counts that hang on two or
three of them. Labels are dealt anew over the clips, within each recording, or as whole recordings (`DEALT`); in the
last case a recording's clips have one class, else each clip has its own. A neuron is

``specific``  four times as active in clips of one class; the only true pairs
``smooth``    a little more active in some recordings
``heavy``     in some recordings many times as active (log-normal)
``loud``      12, 8 and 5 times as active in three recordings, and so in three clips of others
``common``    as active as the recording is loud, the same for all of them
``sparse``    active in a few recordings only

Which recordings these are has nothing to do with the classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.evidence.exchange import Exchange
from core.evidence.permutation import ClipCounts, evidence
from core.results import FloatArray, IntArray

DEALT = ("clips", "within recordings", "whole recordings")
NEURONS = {"specific": 60, "smooth": 120, "heavy": 120, "loud": 120, "common": 60, "sparse": 120}
CLASS_SHARES = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.25])
LOUD = np.array([12.0, 8.0, 5.0])


@dataclass(frozen=True)
class Recorded:
    """Counts of clips of recordings, and what is true of the neurons.

    Attributes
    ----------
    positive : ndarray of int, shape (n_clips, n_neurons)
    tokens : ndarray of int, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
    exchange : Exchange
        What is dealt anew.
    kinds : ndarray of str, shape (n_neurons,)
    truth : ndarray of bool, shape (n_classes, n_neurons)
    """

    positive: IntArray
    tokens: IntArray
    members: NDArray[np.bool_]
    exchange: Exchange
    kinds: NDArray[np.str_]
    truth: NDArray[np.bool_]

    @property
    def rates(self) -> FloatArray:
        """Activation probabilities, (n_classes, n_neurons)."""
        return np.stack([self.positive[m].sum(axis=0) / self.tokens[m].sum() for m in self.members.T])

    def p_values(self) -> FloatArray:
        """Evidence of every pair, (n_classes, n_neurons)."""
        counts = ClipCounts.of(self.positive, self.tokens, self.exchange)
        members = self.members[self.exchange.first]
        return evidence(counts, counts.by_class(members)[0], members)[1]

    def shuffled(self, rng: np.random.Generator) -> Recorded:
        """With labels dealt anew as the null has it: nothing is true."""
        dealt = self.members[self.exchange.first][self.exchange.deal(rng)]
        return replace(self, members=dealt[self.exchange.unit], truth=np.zeros_like(self.truth))


def recorded_counts(dealt: str, n_recordings: int, seed: int = 0, n_neurons: int = 600) -> Recorded:
    """Counts of ``n_neurons`` neurons over recordings of 1 to 6 clips; see the module."""
    rng = np.random.default_rng(seed)
    recording = np.repeat(np.arange(n_recordings), rng.integers(1, 7, n_recordings))
    n_clips = len(recording)
    tokens = rng.integers(40, 81, n_clips)
    exchange = {
        "clips": Exchange.of_clips(n_clips),
        "within recordings": Exchange(np.arange(n_clips), recording, "clips within recording"),
        "whole recordings": Exchange(recording, np.zeros(n_recordings, dtype=np.int64), "whole recordings"),
    }[dealt]
    label = _classes(len(exchange.stratum), rng)[exchange.unit]
    kinds = np.repeat(list(NEURONS), np.array(list(NEURONS.values())) * n_neurons // 600)
    n_classes = len(CLASS_SHARES)
    truth = (np.arange(n_classes)[:, None] == np.arange(len(kinds)) % n_classes) & (kinds == "specific")
    rate = rng.uniform(0.02, 0.1, len(kinds)) * _activity(kinds, recording, rng)
    rate *= np.where(truth[label], 4.0, 1.0) * np.exp(0.3 * rng.standard_normal((n_clips, len(kinds))))
    positive = rng.binomial(tokens[:, None], np.minimum(rate, 0.95))
    return Recorded(positive, tokens, label[:, None] == np.arange(n_classes), exchange, kinds, truth)


def _classes(n_units: int, rng: np.random.Generator) -> IntArray:
    """Class of each unit, in unequal shares, at least two of each."""
    n_of = np.maximum(2, np.floor(CLASS_SHARES * n_units).astype(np.int64))
    n_of[-1] += n_units - n_of.sum()
    return rng.permutation(np.repeat(np.arange(len(n_of)), n_of))


def _activity(kinds: NDArray[np.str_], recording: IntArray, rng: np.random.Generator) -> FloatArray:
    """How many times as active as usual each neuron is in each clip."""
    n_recordings, n_clips = recording[-1] + 1, len(recording)
    of_recording = np.exp(0.3 * rng.standard_normal((n_recordings, len(kinds))))
    heavy, loud, sparse = (kinds == kind for kind in ("heavy", "loud", "sparse"))
    of_recording[:, heavy] = np.exp(1.2 * rng.standard_normal((n_recordings, heavy.sum())))
    of_recording[:, kinds == "common"] *= np.exp(rng.standard_normal((n_recordings, 1)))
    active = rng.random((n_recordings, sparse.sum())) < rng.uniform(2, 12, sparse.sum()) / n_recordings
    of_recording[:, sparse] = 8.0 * active
    _raise(of_recording, loud, rng)
    of_clip = np.ones((n_clips, len(kinds)))
    _raise(of_clip, loud, rng)
    return of_recording[recording] * of_clip


def _raise(activity: FloatArray, neurons: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Three rows of each of the neurons, other ones for each, as many times as `LOUD` says."""
    n = int(neurons.sum())
    rows = rng.permuted(np.tile(np.arange(len(activity)), (n, 1)), axis=1)[:, : len(LOUD)]
    activity[rows.T, np.flatnonzero(neurons)] *= LOUD[:, None]
