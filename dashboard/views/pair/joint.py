"""Whether two neurons fire at the same moments of a clip; pure functions over frames of `db.reads.clips`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.text.numbers import counted, number, p_value, with_interval

N_DRAWS = 1999
FEWEST_COLUMNS = 8
"""Courses of fewer are alike or opposite whatever the neurons do."""
FEWEST_CLIPS = 3
FEWEST_OTHERS = 4
"""Other clips from which chance is drawn."""
_LEVEL = 0.975


@dataclass(frozen=True)
class Joint:
    """How two neurons fire together within clips.

    Attributes
    ----------
    clips : DataFrame
        ``clip_id``, ``r`` (Pearson's, over time), ``null_mean`` (mean with the second neuron's other clips),
        ``n_columns``.
    r, low, high : float
        Mean over clips; its 95 % interval takes clips for independent (Student's t), NaN for fewer than `FEWEST_CLIPS`.
    null_high, p_value : float
        97.5th percentile of that mean where beside each clip the second neuron's course in any of its clips is taken,
        this one among them; share of such means that are as high.
    """

    clips: pd.DataFrame
    r: float = math.nan
    low: float = math.nan
    high: float = math.nan
    null_high: float = math.nan
    p_value: float = math.nan


def joint(own: pd.DataFrame, other: pd.DataFrame, seed: int = 0) -> Joint:
    """Correlate two neurons' activations over time, clip by clip, beside courses of different clips.

    What chance gives is drawn from the second neuron's other clips: what either does at every clip's beginning and end
    stays, and what both do at a moment of this very sound goes (the shuffle predictor of spike trains, Perkel,
    Gerstein & Moore 1967). Turning one course in time would not do: clips begin and end alike.

    Parameters
    ----------
    own, other : DataFrame
        Of `db.reads.clips.neuron_patterns`; the highest band of each column is taken. Where two courses have different
        numbers of columns the finer is read at the centres of the coarser.
    seed : int
        Of the draws.
    """
    first, second = _courses(own), _courses(other)
    rows, null = [], []
    for clip in sorted(first.keys() & second.keys()):
        others = [_correlation(first[clip], course) for name, course in second.items() if name != clip]
        known = np.array([one for one in others if not math.isnan(one)])
        r = _correlation(first[clip], second[clip])
        if len(known) >= FEWEST_OTHERS and not math.isnan(r):
            rows.append((clip, r, float(known.mean()), min(len(first[clip]), len(second[clip]))))
            null.append(np.append(known, r))  # as in a permutation test: one clip alone is no less likely than 1 in n
    clips = pd.DataFrame(rows, columns=["clip_id", "r", "null_mean", "n_columns"])
    if clips.empty:
        return Joint(clips)
    rng = np.random.default_rng(seed)
    means = np.mean([rng.choice(of_clip, N_DRAWS) for of_clip in null], axis=0)
    r = float(clips["r"].mean())
    half = _half(clips["r"].to_numpy())
    exceeded = float((1 + np.count_nonzero(means >= r - 1e-12)) / (N_DRAWS + 1))
    return Joint(clips, r, r - half, r + half, float(np.quantile(means, _LEVEL)), exceeded)


def _courses(patterns: pd.DataFrame) -> dict[int, NDArray[np.float64]]:
    """Of each clip the highest band over time."""
    pairs = zip(patterns["clip_id"], patterns["strength"], strict=True)
    return {int(clip): np.max(strength, axis=0).astype(np.float64) for clip, strength in pairs}


def _correlation(own: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Pearson's correlation of two courses; NaN where they are too short, or one is flat."""
    one, two = _aligned(own, other)
    one, two = one - one.mean(), two - two.mean()
    scale = np.linalg.norm(one) * np.linalg.norm(two)
    return float(one @ two / scale) if len(one) >= FEWEST_COLUMNS and scale > 1e-9 else math.nan


def _aligned(own: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(own) == len(other):
        return own, other
    n = min(len(own), len(other))
    at = (np.arange(n) + 0.5) / n
    first, second = (np.interp(at, (np.arange(len(side)) + 0.5) / len(side), side) for side in (own, other))
    return first, second


def _half(values: NDArray[np.float64]) -> float:
    if len(values) < FEWEST_CLIPS:
        return math.nan
    from scipy.stats import t

    return float(t.ppf(_LEVEL, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def sentence(found: Joint) -> str:
    """Tell in Markdown how much two neurons fire together, beside the same shifted in time."""
    if found.clips.empty:
        return "Too few clips long enough to tell are kept of both, or one of them does not vary within them."
    interval = with_interval(found.r, found.low, found.high, "+.2f")
    verdict = "that is more" if found.r > found.null_high else "that is no more"
    few = "" if len(found.clips) >= FEWEST_CLIPS else " Too few clips for an interval."
    return (
        f"Within the {counted(len(found.clips), 'clip')} kept of both their activations over time correlate by "
        f"**{interval}** on average. Between moments of different clips one mean in 40 exceeds "
        f"{number(found.null_high, '+.2f')}: {verdict} (p {p_value(found.p_value)}).{few}"
    )
