"""What an ablation cost: paired differences in accuracy, with an interval and a test.

Differences are over the same clips: exact McNemar test, and the Bonett-Price interval (2012,
*Statist. Med.* 31), which stays honest for few clips and no changed clip, where Wald and bootstrap
intervals shrink to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from core.null import benjamini_hochberg
from core.results import Ablation, FloatArray, IntArray
from core.selectivity import Mask


def hits(answers: IntArray, members: Mask) -> NDArray[np.bool_]:
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
    found = np.zeros((*answers.shape[:-1], n_classes + 1), dtype=bool)
    n_labels = members.sum(axis=1)
    for rank in range(answers.shape[-1]):
        # What counts no more goes to the last column, -1, which is filled anew below.
        told = np.where(rank < n_labels, answers[..., rank], -1)
        np.put_along_axis(found, told[..., None], True, axis=-1)
    found[..., :-1] &= members
    best = answers[..., 0]
    found[..., -1] = (best >= 0) & members[np.arange(n_clips), best]
    return found


def compare(
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    controls: NDArray[np.bool_],
    members: Mask,
    class_names: Sequence[str],
) -> tuple[pd.DataFrame, FloatArray]:
    """Paired differences in accuracy, for all clips and for each class that has clips.

    Parameters
    ----------
    before, after : ndarray of bool, shape (n_clips, n_classes + 1)
        From `hits`, without and with the ablation.
    controls : ndarray of bool, shape (n_controls, n_clips, n_classes + 1)
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.

    Returns
    -------
    effects : DataFrame
        As in `core.results.Ablation`; ``q_value`` is still NaN.
    control_deltas : ndarray, shape (n_controls, n_rows)
    """
    groups: list[tuple[str | None, Mask, int]] = [(None, np.ones(len(members), dtype=bool), len(class_names))]
    groups += [(name, members[:, i], i) for i, name in enumerate(class_names) if members[:, i].any()]
    rows, deltas = [], []
    for name, clips, column in groups:
        b, a = before[clips, column], after[clips, column]
        control = controls[:, clips, column].mean(axis=1) - b.mean()
        low, high = np.quantile(control, [0.025, 0.975]) if len(control) else (np.nan, np.nan)
        lost, gained = int((b & ~a).sum()), int((~b & a).sum())
        ci_low, ci_high = paired_interval(lost, gained, len(b))
        rows.append(
            {
                "class_name": name,
                "n_clips": len(b),
                "accuracy_unablated": float(b.mean()),
                "accuracy_ablated": float(a.mean()),
                "delta": (gained - lost) / len(b),
                "ci_low": ci_low,
                "ci_high": ci_high,
                "p_value": mcnemar(lost, gained),
                "q_value": np.nan,
                "control_delta_mean": float(control.mean()) if len(control) else np.nan,
                "control_delta_low": float(low),
                "control_delta_high": float(high),
                "n_controls": len(control),
            }
        )
        deltas.append(control)
    return pd.DataFrame(rows), np.stack(deltas, axis=1)


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
    """Fill ``q_value``: Benjamini-Hochberg over the matrix target x class of a selection and gain.

    The rows over all clips are a family of their own.
    """
    families: dict[tuple[str, float], list[Ablation]] = {}
    for ablation in ablations:
        families.setdefault((ablation.selection, ablation.gain), []).append(ablation)
    for family in families.values():
        p = np.concatenate([a.effects["p_value"].to_numpy() for a in family])
        whole = np.concatenate([a.effects["class_name"].isna().to_numpy() for a in family])
        q = np.where(
            whole,
            benjamini_hochberg(np.where(whole, p, np.nan)),
            benjamini_hochberg(np.where(whole, np.nan, p)),
        )
        ends = np.cumsum([len(a.effects) for a in family])
        for ablation, values in zip(family, np.split(q, ends[:-1]), strict=True):
            ablation.effects["q_value"] = values
    return list(ablations)
