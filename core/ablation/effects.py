"""What an ablation cost: paired differences in accuracy, with an interval and a test.

Differences are over the same clips: exact McNemar test, and the Bonett-Price interval (2012,
*Statist. Med.* 31), which stays honest for few clips and no changed clip, where Wald and bootstrap
intervals shrink to nothing. What goes beyond the mean control, and differences where clips come in
groups, have percentile bootstrap intervals (Efron and Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from core.evidence.fdr import benjamini_hochberg
from core.evidence.shares import resampled
from core.results import Ablation, FloatArray, IntArray, Mask

N_RESAMPLES = 1000
"""Of the bootstrap."""


def best_classes(logits: NDArray[np.floating], k: int) -> IntArray:
    """The ``k`` best classes, best first, (..., k); -1 where the head knows fewer. ``logits`` (..., n_classes)."""
    known = ~np.isnan(logits)
    best = np.argsort(np.where(known, -logits, np.inf), axis=-1, kind="stable")[..., :k]
    return np.where(np.take_along_axis(known, best, axis=-1), best, -1)


def hits(answers: NDArray[np.integer], members: Mask) -> NDArray[np.bool_]:
    """Where a head is right: for each clip and class, and for the clip as a whole.

    Parameters
    ----------
    answers : ndarray of int, shape (..., n_clips, k)
        Best classes of each clip, best first; -1 for none. k is at least the most labels of a clip.
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.

    Returns
    -------
    ndarray of bool, shape (..., n_clips, n_classes + 1)
        A class that the clip has is hit when it is among as many best classes as the clip has labels;
        last column: the best class is one of the clip's.
    """
    n_clips, n_classes = members.shape
    hit = np.zeros((*answers.shape[:-1], n_classes + 1), dtype=bool)
    n_labels = members.sum(axis=1)
    for rank in range(answers.shape[-1]):
        # What counts no more goes to the last column, -1, which is filled anew below.
        predicted = np.where(rank < n_labels, answers[..., rank], -1)
        np.put_along_axis(hit, predicted[..., None], True, axis=-1)
    hit[..., :-1] &= members
    best = answers[..., 0]
    hit[..., -1] = (best >= 0) & members[np.arange(n_clips), best]
    return hit


def flips(
    before: NDArray[np.integer], after: NDArray[np.integer], clips: IntArray, members: Mask, class_names: Sequence[str]
) -> pd.DataFrame:
    """Clips that a head calls by another class with the network changed than without.

    Parameters
    ----------
    before, after : ndarray of int, shape (n_clips, k)
        One head's best classes of each clip, best first.
    clips : ndarray of int, shape (n_clips,)
        Positions in the dataset.
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has; where one has several, no single class is predicted and nothing is told.
    class_names : sequence of str

    Returns
    -------
    DataFrame
        As in `core.results.Ablation`.
    """
    alone = members.sum(axis=1).max(initial=0) <= 1
    changed = np.flatnonzero((before[:, 0] != after[:, 0]) & alone)
    names = np.array(class_names, dtype=object)
    return pd.DataFrame(
        {
            "clip_index": clips[changed],
            "predicted_before": names[before[changed, 0]],
            "predicted_after": names[after[changed, 0]],
        }
    )


@dataclass(frozen=True)
class Resamples:
    """Bootstrap samples of the clips of each row of `compare`.

    Attributes
    ----------
    weights : list of ndarray or None, each of shape (n_resamples, n_clips of the row)
        How often each clip is in each sample; None for a row of fewer than two units.
    grouped : bool
        Whether whole groups of clips were drawn.
    """

    weights: list[FloatArray | None]
    grouped: bool

    @classmethod
    def of(cls, members: Mask, groups: IntArray | None, seed: int, n: int = N_RESAMPLES) -> Resamples:
        """Draw as many units as there are, with replacement, row by row.

        Parameters
        ----------
        members : ndarray of bool, shape (n_clips, n_classes)
        groups : ndarray of int, shape (n_clips,), or None
            A clip without a group, -1, is a unit of its own, as all are where no groups are known.
        """
        units = np.full(len(members), -1) if groups is None else groups
        units = np.where(units < 0, units.max(initial=0) + 1 + np.arange(len(units)), units)
        weights = [resampled(units[clips], seed, n) for _, clips in rows_of(members)]
        return cls(weights, groups is not None)


def rows_of(members: Mask) -> list[tuple[int, IntArray]]:
    """The number of classes and all clips, then each class that has clips, and those."""
    n_classes = members.shape[1]
    rows = [(n_classes, np.arange(len(members)))]
    return rows + [(i, np.flatnonzero(members[:, i])) for i in range(n_classes) if members[:, i].any()]


@dataclass(frozen=True)
class Controls:
    """From `hits`, the first head's, with each control changed in place of the target.

    Attributes
    ----------
    of_layer : ndarray of bool, shape (n_controls, n_clips, n_classes + 1)
        Matched in layer alone.
    of_activity : ndarray of bool, the same shape
        Matched in layer and activity.
    """

    of_layer: NDArray[np.bool_]
    of_activity: NDArray[np.bool_]

    @property
    def every(self) -> NDArray[np.bool_]:
        """Both families, (n_controls, n_clips, n_classes + 1)."""
        return np.concatenate([self.of_layer, self.of_activity])


def compare(
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    controls: Controls,
    members: Mask,
    class_names: Sequence[str],
    resamples: Resamples | None = None,
) -> tuple[pd.DataFrame, FloatArray]:
    """Paired differences in accuracy, for all clips and for each class that has clips.

    Parameters
    ----------
    before, after : ndarray of bool, shape (n_heads, n_clips, n_classes + 1)
        From `hits`, without and with the ablation; the first head is the one that counts.
    controls : Controls
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.
    resamples : Resamples, optional
        For the bootstrap intervals; NaN without.

    Returns
    -------
    effects : DataFrame
        As in `core.results.Ablation`; ``q_value`` is still NaN.
    control_deltas : ndarray, shape (n_controls, n_rows)
    """
    rows, deltas, every = [], [], controls.every
    for number, (column, clips) in enumerate(rows_of(members)):
        b, a = before[:, clips, column], after[:, clips, column]
        beside = every[:, clips, column]
        paired = _paired(b[0], a[0])
        control = beside.mean(axis=1) - b[0].mean()
        active = controls.of_activity[:, clips, column].mean(axis=1) - b[0].mean()
        change = a[0].astype(np.float64) - b[0]
        beyond = a[0] - beside.mean(axis=0) if len(beside) else np.full(len(clips), np.nan)
        weights = resamples.weights[number] if resamples else None
        ci = _percentiles(weights, np.column_stack([change, beyond]))
        if not (resamples and resamples.grouped):
            ci[:, 0] = np.nan
        rows.append(
            {
                "class_name": None if column == len(class_names) else class_names[column],
                **paired,
                "q_value": np.nan,
                "group_ci_low": ci[0, 0],
                "group_ci_high": ci[1, 0],
                **_spread("control_delta", control),
                "n_controls": len(control),
                "beyond_control": beyond.mean(),
                "beyond_control_low": ci[0, 1],
                "beyond_control_high": ci[1, 1],
                "control_p_value": control_p(paired["delta"], control),
                **_spread("activity_control_delta", active),
                "n_activity_controls": len(active),
                **_over_heads(a.mean(axis=1) - b.mean(axis=1)),
            }
        )
        deltas.append(control)
    return pd.DataFrame(rows), np.stack(deltas, axis=1)


def _over_heads(deltas: FloatArray) -> dict[str, float]:
    """How the effect ranges over the heads that were fitted again."""
    return {"n_heads": len(deltas), "delta_heads_low": deltas.min(), "delta_heads_high": deltas.max()}


def _paired(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> dict[str, float]:
    n, lost, gained = len(before), int((before & ~after).sum()), int((~before & after).sum())
    ci_low, ci_high = paired_interval(lost, gained, n)
    return {
        "n_clips": n,
        "accuracy_unablated": float(before.mean()),
        "accuracy_ablated": float(after.mean()),
        "delta": (gained - lost) / n,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "p_value": mcnemar(lost, gained),
    }


def _spread(name: str, deltas: FloatArray) -> dict[str, float]:
    """Mean, and the 2.5th and 97.5th percentile; NaN of none."""
    low, high = np.quantile(deltas, [0.025, 0.975]) if len(deltas) else (np.nan, np.nan)
    mean = deltas.mean() if len(deltas) else np.nan
    return {f"{name}_mean": float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}


def _percentiles(weights: FloatArray | None, values: FloatArray) -> FloatArray:
    """Percentile bootstrap of the mean of each column of ``values``, (n_clips, n): low and high, (2, n)."""
    if weights is None:
        return np.full((2, values.shape[1]), np.nan)
    means = weights @ values / weights.sum(axis=1, keepdims=True)
    return np.quantile(means, [0.025, 0.975], axis=0)


def control_p(delta: float, controls: FloatArray) -> float:
    """How often a random set is as far out as the target: two-sided Monte-Carlo p; NaN without controls.

    Distances are from the mean of target and controls together, so that the target counts as one more
    draw (Phipson and Smyth 2010, *Stat. Appl. Genet. Mol. Biol.* 9); the least is 1 / (n + 1).
    """
    if not len(controls):
        return float("nan")
    every = np.append(controls, delta)
    far = np.abs(every - every.mean())
    return float((1 + np.sum(far[:-1] >= far[-1] - 1e-12)) / len(every))


def paired_interval(lost: int, gained: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Bonett-Price interval of (gained - lost) / n, two paired proportions."""
    p_lost, p_gained = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    delta = p_gained - p_lost
    half = norm.ppf(0.5 + level / 2) * np.sqrt((p_lost + p_gained - delta**2) / (n + 2))
    return float(max(-1.0, delta - half)), float(min(1.0, delta + half))


def mcnemar(lost: int, gained: int) -> float:
    """Exact two-sided McNemar test; 1 where no clip changed."""
    changed = lost + gained
    return float(binomtest(lost, changed).pvalue) if changed else 1.0


def correct_for_many(ablations: Sequence[Ablation]) -> list[Ablation]:
    """Fill ``q_value``: Benjamini-Hochberg over the matrix target x class of a selection and operation.

    Each outcome is a family of its own, and so are the rows over all clips.
    """
    families: dict[tuple[object, ...], list[Ablation]] = {}
    for ablation in ablations:
        families.setdefault((ablation.selection, ablation.operation, ablation.gain), []).append(ablation)
    for family in families.values():
        effects = [ablation.effects for ablation in family]
        _correct(effects, [frame["class_name"].isna().to_numpy() for frame in effects])
        outcomes = [ablation.outcomes for ablation in family if len(ablation.outcomes)]
        _correct(outcomes, [frame["outcome"] + np.where(frame["position"] == 0, " of all", "") for frame in outcomes])
    return list(ablations)


def _correct(frames: Sequence[pd.DataFrame], families: Sequence[NDArray | pd.Series]) -> None:
    """Set ``q_value`` of each frame's rows, corrected over all rows of a family, from whichever frame."""
    if not frames:
        return
    p, family = np.concatenate([frame["p_value"] for frame in frames]), np.concatenate(families)
    q = np.full(len(p), np.nan)
    for each in np.unique(family):
        q[family == each] = benjamini_hochberg(p[family == each])
    ends = np.cumsum([len(frame) for frame in frames])
    for frame, values in zip(frames, np.split(q, ends[:-1]), strict=True):
        frame["q_value"] = values
