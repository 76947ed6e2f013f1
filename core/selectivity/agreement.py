"""Do selectors agree, and whose neurons matter most to their own class?

Agreement is between scores, over the neurons of each class. Specificity is read from stored ablations: how much more
the class whose neurons were taken out loses than the other classes do, each beyond what random control sets cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from core.results import FloatArray, Mask


def agreement(scores: Mapping[str, FloatArray], share: float = 0.01) -> pd.DataFrame:
    """Rank correlation of selectors, and how many of their top neurons are the same.

    Parameters
    ----------
    scores : mapping of str to ndarray, shape (n_classes, n_neurons)
        As from `core.selectivity.selectors.selector_scores`; NaN = no score.
    share : float
        The top of a class are this share of the neurons that have any score, one at least, or as many as both
        selectors have scores for. Where several neurons tie at the edge, each counts with its chance to be in.

    Returns
    -------
    DataFrame
        A row for each unordered pair: ``selector_a``, ``selector_b``; ``spearman``, mean over classes of the rank
        correlation over the neurons that both score (NaN if it is not defined in any class); ``overlap``, mean over
        classes of the share of the top k that is the same; ``expected_overlap``, the mean of k / n, which two sets
        drawn by lot from the n live neurons share; ``n_classes`` that the overlap is over.
    """
    names = list(scores)
    known = {name: ~np.isnan(values) for name, values in scores.items()}
    n_live = int(np.any([mask.any(axis=0) for mask in known.values()], axis=0).sum())
    quota = max(1, round(share * n_live))
    pairs = list(combinations(names, 2))
    measures = np.full((len(pairs), len(scores[names[0]]), 3), np.nan)
    for class_index in range(measures.shape[1]):
        mask = {name: known[name][class_index] for name in names}
        n_known = {name: int(of.sum()) for name, of in mask.items()}
        of_class = _OfClass({name: scores[name][class_index] for name in names})
        for i, (a, b) in enumerate(pairs):
            both = mask[a] & mask[b]
            measures[i, class_index, 0] = of_class.ranks(a, both) @ of_class.ranks(b, both)
            k = min(quota, n_known[a], n_known[b])
            if k:
                same = (of_class.in_top(a, k) @ of_class.in_top(b, k)) / k
                measures[i, class_index, 1:] = same, k / n_live
    return pd.DataFrame(
        {
            "selector_a": [a for a, _ in pairs],
            "selector_b": [b for _, b in pairs],
            "spearman": _mean(measures[..., 0]),
            "overlap": _mean(measures[..., 1]),
            "expected_overlap": _mean(measures[..., 2]),
            "n_classes": (~np.isnan(measures[..., 1])).sum(axis=1),
        }
    )


class _OfClass:
    """Scores of one class, (n_neurons,) each; what several pairs of selectors ask of one is found once."""

    def __init__(self, scores: Mapping[str, FloatArray]) -> None:
        self._scores = scores
        self._ranks: dict[tuple[str, bytes], FloatArray] = {}
        self._tops: dict[tuple[str, int], FloatArray] = {}

    def ranks(self, name: str, chosen: Mask) -> FloatArray:
        """Ranks among some neurons, centred and of length 1; NaN of fewer than three, or where all are alike."""
        key = name, chosen.tobytes()
        if key not in self._ranks:
            ranks = rankdata(self._scores[name][chosen])
            varies = len(ranks) > 2 and np.ptp(ranks) > 0
            centred = ranks - ranks.mean() if varies else np.full(len(ranks) or 1, np.nan)
            self._ranks[key] = centred / np.linalg.norm(centred)
        return self._ranks[key]

    def in_top(self, name: str, k: int) -> FloatArray:
        """Each neuron's chance to be among the top ``k``."""
        if (name, k) not in self._tops:
            self._tops[name, k] = _in_top(self._scores[name], k)
        return self._tops[name, k]


def _in_top(values: FloatArray, k: int) -> FloatArray:
    """Each neuron's chance to be among the top k when ties are broken by lot."""
    values = np.where(np.isnan(values), -np.inf, values)
    edge = np.partition(values, -k)[-k]
    above, tied = values > edge, values == edge
    return above + tied * (k - above.sum()) / tied.sum()


def _mean(values: FloatArray) -> FloatArray:
    """Over the last axis without NaN; NaN where there is nothing else."""
    n = (~np.isnan(values)).sum(axis=-1)
    return np.nansum(values, axis=-1) / np.where(n > 0, n, np.nan)
