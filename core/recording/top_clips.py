"""Which clips of each neuron are kept to look at and to hear: top, middle and silent ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays.blocks import NUMBERS, Rows, lowest, neurons_at_once, slices
from core.datasets.scan import Scan
from core.recording.activations import Activations
from core.results import FloatArray, IntArray, TopClips

N_TOP_CLIPS = 8
_FIRST_TILE = 64
"""Clips whose means are sorted; those that follow are only looked at where they are better."""

N_MIDDLE, N_SILENT = 3, 3
N_DRAWN = 64
"""Clips of a larger dataset among which middle ones are: their patterns are taken before the medians are known."""

LEVELS = (*(percent / 100 for percent in range(0, 100, 5)), 0.99, 1.0)
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """The clips of every neuron.

    Attributes
    ----------
    clips : ndarray of int, shape (n_neurons, n)
        Positions in the dataset: top, then middle, then silent; no clip twice.
    contrast : dict of str to TopClips
        ``middle`` and ``silent`` among them.
    quantiles : ndarray of float32, shape (n_neurons, n_levels)
    """

    clips: Index
    contrast: dict[str, TopClips]
    quantiles: NDArray[np.float32]


def choose(dataset: str, activations: Activations) -> Chosen:
    """Top, middle and silent clips by mean activation, over the clips that have counted tokens.

    Silent are the lowest of what the top leaves, middle those of the rest of `drawn` that are nearest to the
    median of all; a small dataset has fewer of them, or none.
    """
    heard = np.flatnonzero(activations.tokens > 0)
    n_neurons, n_clips = activations.positive.shape[1], len(heard)
    total = Rows(activations.total, heard)
    n_top = min(N_TOP_CLIPS, n_clips)
    n_silent = min(N_SILENT, n_clips - n_top)
    n_middle = min(N_MIDDLE, n_clips - n_top - n_silent)
    tokens = activations.tokens[heard]
    is_drawn = drawn(len(activations.tokens))[heard]
    if is_drawn.sum() < n_top + n_silent + n_middle:  # the others have no counted tokens
        is_drawn[:] = True
    clips = np.empty((n_neurons, n_top + n_middle + n_silent), dtype=np.int64)
    mean, rate = np.empty(clips.shape), np.empty(clips.shape)
    quantiles = np.empty((n_neurons, len(LEVELS)), dtype=np.float32)
    for block in slices(n_neurons, neurons_at_once(n_clips, 4)):
        means = np.ascontiguousarray((total[:, block] / tokens[:, None]).T)
        quantiles[block] = np.quantile(means, LEVELS, axis=1).T
        ranked = _contrasts(means, n_top, n_silent, n_middle, is_drawn)
        clips[block] = heard[ranked]
        mean[block] = np.take_along_axis(means, ranked, axis=1)
        fired = activations.positive[heard[ranked], np.arange(n_neurons)[block, None]]
        rate[block] = fired / tokens[ranked]
    parts = {"middle": slice(n_top, n_top + n_middle), "silent": slice(n_top + n_middle, None)}
    contrast = {kind: TopClips(dataset, clips[:, of], rate[:, of], mean[:, of]) for kind, of in parts.items()}
    return Chosen(clips, contrast, quantiles)


def drawn(n_clips: int) -> NDArray[np.bool_]:
    """The clips of a dataset that may be middle ones of neurons: all of a small one.

    Drawn with a seed of their own, so that every run and rank has the same.
    """
    is_drawn = np.zeros(n_clips, dtype=np.bool_)
    is_drawn[np.random.default_rng(0).permutation(n_clips)[:N_DRAWN]] = True
    return is_drawn


def _contrasts(
    means: NDArray[np.float64], n_top: int, n_silent: int, n_middle: int, is_drawn: NDArray[np.bool_]
) -> Index:
    """Top, middle and silent positions of each row of means (n_neurons, n_clips); of equal means the first are higher.

    The silent ones begin with the lowest; the middle ones, of those that are drawn, with the nearest to the median.
    """
    n = means.shape[1]
    ordered = np.sort(means, axis=1)
    top = lowest(-means, n_top, -ordered[:, n - n_top] if n_top else ordered[:, 0])
    last = lowest(means[:, ::-1], n_silent, ordered[:, n_silent - 1])  # of the lowest the last
    silent = n - 1 - last
    median = np.median(ordered, axis=1)
    middle = np.empty((len(means), n_middle), dtype=np.int64)
    for row in range(len(means) if n_middle else 0):
        distance = np.abs(means[row] - median[row])
        distance[top[row]] = distance[silent[row]] = distance[~is_drawn] = np.inf
        limit = np.partition(distance, n_middle - 1)[n_middle - 1]
        near = np.flatnonzero(distance <= limit)
        middle[row] = near[np.lexsort((near, -means[row, near], distance[near]))][:n_middle]
    return np.concatenate([top, middle, silent], axis=1)


def top_clips(scan: Scan, activations: Activations) -> TopClips:
    """The clips with the highest mean activation, for every neuron, over the whole dataset.

    One reading from the first clip to the last; of equal means the first clips count.
    """
    n_clips, n_neurons = activations.positive.shape
    n_ranks = min(N_TOP_CLIPS, n_clips)
    total, tokens = np.asarray(activations.total), np.maximum(activations.tokens, 1)
    index, mean = np.empty((0, n_neurons), dtype=np.int64), np.empty((0, n_neurons))
    start, size = 0, min(_FIRST_TILE, n_clips)
    while start < n_clips:  # the more clips are known, the fewer others are better
        means = total[start : start + size] / tokens[start : start + size, None]
        index, mean = _better(index, mean, start, means, n_ranks)
        start, size = start + size, min(2 * size, max(_FIRST_TILE, NUMBERS // n_neurons))
    rate = activations.positive[index, np.arange(n_neurons)] / tokens[index]
    return TopClips(scan.dataset.name, index.T, rate.T, mean.T)


def _better(
    index: IntArray, mean: FloatArray, start: int, means: FloatArray, n_ranks: int
) -> tuple[IntArray, FloatArray]:
    """The best clips so far and their means, (n_ranks, n_neurons), after those of one more tile of clips."""
    if not len(mean):
        best = np.argsort(-means, axis=0, kind="stable")[:n_ranks]
        return best, np.take_along_axis(means, best, axis=0)
    neuron, clip = np.nonzero((~(means <= mean[-1])).T)  # one as good as the last of the best stands behind it
    of, n_new = np.unique(neuron, return_counts=True)
    every = np.concatenate([np.repeat(of, n_ranks), neuron])
    values = np.concatenate([mean[:, of].T.ravel(), means[clip, neuron]])
    clips = np.concatenate([index[:, of].T.ravel(), start + clip])
    order = np.lexsort((clips, -values, every))
    ends = np.cumsum(n_ranks + n_new)
    kept = order[(ends - n_ranks - n_new)[:, None] + np.arange(n_ranks)]
    index[:, of], mean[:, of] = clips[kept].T, values[kept].T
    return index, mean
