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


def compare(
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    controls: NDArray[np.bool_],
    labels: IntArray,
    class_names: Sequence[str],
) -> tuple[pd.DataFrame, FloatArray]:
    """Paired differences in accuracy, for all clips and for each class that has clips.

    Parameters
    ----------
    before, after : ndarray of bool, shape (n_clips,)
        Whether the head is right without and with the ablation.
    controls : ndarray of bool, shape (n_controls, n_clips)
    labels : ndarray of int, shape (n_clips,)

    Returns
    -------
    effects : DataFrame
        As in `core.results.Ablation`; ``q_value`` is still NaN.
    control_deltas : ndarray, shape (n_controls, n_rows)
    """
    groups: list[tuple[str | None, NDArray[np.bool_]]] = [(None, np.ones(len(labels), dtype=bool))]
    groups += [(name, labels == i) for i, name in enumerate(class_names) if (labels == i).any()]
    rows, deltas = [], []
    for name, members in groups:
        b, a = before[members], after[members]
        control = controls[:, members].mean(axis=1) - b.mean()
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
