"""What is told of two neurons side by side; pure functions over frames of `db.reads.pair`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared.text.numbers import number, p_value, with_interval
from dashboard.shared.text.words import plain

MOST_CLASSES = 30
FEWEST_CLASSES = 4
"""Profiles over fewer classes are alike or opposite whatever the neurons do."""
MEASURES = {"log_odds": "log odds", "probability": "activation probability"}


def measured(own: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Which of `MEASURES` both neurons have."""
    return [kind for kind in MEASURES if own[kind].notna().any() and other[kind].notna().any()]


def differences(own: pd.DataFrame, other: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Lay two neurons' numbers out class by class, the largest difference in favour of ``own`` first.

    Parameters
    ----------
    own, other : DataFrame
        Of `db.reads.pair.profile`.
    measure : str
        One of `MEASURES`.

    Returns
    -------
    DataFrame
        ``class_name``, ``own``, ``own_low``, ``own_high``, ``other``, ``other_low``, ``other_high``, ``difference``,
        ``low``, ``high`` (95 %), ``excludes_0``.

    Notes
    -----
    The interval of the difference joins those of the two by the squares of their distances (Newcombe 1998, method 10,
    for independent samples). Both neurons hear the same clips: where they go up and down together it is too wide,
    where one falls when the other rises too narrow.
    """
    ends = ["", "_low", "_high"]
    sides = [
        side.set_index("class_name")[[f"{measure}{end}" for end in ends]].set_axis([of + end for end in ends], axis=1)
        for side, of in ((own, "own"), (other, "other"))
    ]  # fmt: skip
    rows = sides[0].join(sides[1], how="inner").dropna(subset=["own", "other"])
    difference = rows["own"] - rows["other"]
    down = np.hypot(rows["own"] - rows["own_low"], rows["other_high"] - rows["other"])
    up = np.hypot(rows["own_high"] - rows["own"], rows["other"] - rows["other_low"])
    rows = rows.assign(difference=difference, low=difference - down, high=difference + up)
    rows["excludes_0"] = (rows["low"] > 0) | (rows["high"] < 0)
    return rows.sort_values("difference", ascending=False, kind="stable").reset_index()


def most_different(rows: pd.DataFrame, most: int = MOST_CLASSES) -> pd.DataFrame:
    """The classes of the largest differences, in the order that they have."""
    kept = rows["difference"].abs().sort_values(ascending=False, kind="stable").index[:most]
    return rows.loc[sorted(kept)].reset_index(drop=True)


def correlation(own: pd.DataFrame, other: pd.DataFrame) -> float:
    """Pearson's correlation of two profiles over the classes that both have; NaN where one is flat."""
    both = own.set_index("class_name")["probability"].to_frame("own")
    both = both.join(other.set_index("class_name")["probability"].rename("other"), how="inner").dropna()
    if len(both) < 2 or not (both.std(ddof=0) > 1e-12).all():
        return math.nan
    return float(np.corrcoef(both["own"], both["other"])[0, 1])


def by_chance(own: pd.DataFrame, sampled: pd.DataFrame) -> float:
    """Correlation with ``own`` that one in forty of the sampled neurons exceeds; NaN where none is known."""
    table = sampled.pivot(index="class_name", columns="neuron_id", values="activation_probability").dropna(axis=1)
    profile = own.set_index("class_name")["probability"].reindex(table.index).to_numpy(dtype=np.float64)
    if table.empty or np.isnan(profile).any():
        return math.nan
    one, many = profile - profile.mean(), table.to_numpy() - table.to_numpy().mean(axis=0)
    spread = np.linalg.norm(one) * np.linalg.norm(many, axis=0)
    varies = spread > 1e-12
    return float(np.quantile(one @ many[:, varies] / spread[varies], 0.975)) if varies.any() else math.nan


def correlation_sentence(r: float, chance: float, n_classes: int) -> str:
    """Tell in Markdown how alike two profiles are, beside what neurons drawn at random reach."""
    if n_classes < FEWEST_CLASSES:
        return f"{n_classes} classes are too few to correlate profiles: any two are alike or opposite."
    if math.isnan(r):
        return "Their profiles cannot be correlated: one of them answers to all classes alike, or never fires."
    text = f"Their profiles over {n_classes} classes correlate by **{number(r, '+.2f')}**"
    if math.isnan(chance):
        return f"{text}; what neurons drawn at random reach is not known."
    verdict = "that is more" if r > chance else "that is no more"
    return f"{text}. Of neurons drawn at random one in 40 exceeds {number(chance, '+.2f')}: {verdict}."


def headline(pairs: pd.DataFrame, standing: Mapping[Hashable, Any] | None, task: str, preset: str) -> str:
    """Say in Markdown what a neuron is class-specific for in a task, and its entropy, each with what holds it up.

    Parameters
    ----------
    pairs : DataFrame
        Of `db.reads.neurons.neuron_classes`, of the task and preset.
    standing : mapping or None
        Its row of `db.reads.neurons.neuron_selectivity`.
    """
    if standing is None or pd.isna(standing["entropy"]):
        return f"It never fires in {plain(task)}."
    most = math.log(standing["n_classes"])
    entropy = (
        f"Entropy {standing['entropy']:.2f} of at most {most:.2f} nats (q {p_value(standing['entropy_q_value'])})."
    )
    if pairs.empty:
        return f"Class-specific for nothing by {preset}. {entropy}"
    told = [
        f"**{plain(row['class_name'])}** (lift "
        f"{with_interval(row['lift'], row['lift_low'], row['lift_high'], '.1f', '×')}, q {p_value(row['q_value'])})"
        for row in pairs.head(3).to_dict("records")
    ]
    more = f" and {len(pairs) - len(told)} more" if len(pairs) > len(told) else ""
    return f"Class-specific by {preset} for {', '.join(told)}{more}. {entropy}"


def in_common(counts: pd.DataFrame, of: str) -> pd.DataFrame:
    """Add to what two neurons have in common what as many drawn at random have.

    Parameters
    ----------
    counts : DataFrame
        ``n_own``, ``n_other``, ``n_common``.
    of : str
        The column that counts all that there are.

    Returns
    -------
    DataFrame
        The same rows, ``expected`` and ``p_value`` (so many or more, hypergeometric).
    """
    from scipy.stats import hypergeom

    n = counts[of].astype("float64")
    p = hypergeom.sf(counts["n_common"] - 1, counts[of], counts["n_own"], counts["n_other"])
    return counts.assign(expected=counts["n_own"] * counts["n_other"] / n, p_value=np.asarray(p, dtype=np.float64))


def classes_in_common(
    specific: tuple[pd.DataFrame, pd.DataFrame], scored: tuple[pd.DataFrame, pd.DataFrame], preset: str
) -> pd.DataFrame:
    """Count, task by task, the classes that two neurons are specific for.

    Parameters
    ----------
    specific : (DataFrame, DataFrame)
        Of `db.reads.neurons.neuron_classes`.
    scored : (DataFrame, DataFrame)
        Of `db.reads.neurons.neuron_selectivity`: tasks of both are looked at.
    preset : str

    Returns
    -------
    DataFrame
        ``task``, ``n_classes``, ``n_own``, ``n_other``, ``n_common``, ``classes`` (those in common) and what
        `in_common` adds; tasks in which one of them is specific for nothing are left out.
    """
    sets = [
        {str(task): set(rows["class_name"]) for task, rows in side[side["preset"] == preset].groupby("task")}
        for side in specific
    ]
    n_classes = scored[0].set_index("task")["n_classes"].to_dict()
    rows = [
        (task, int(n_classes[task]), len(sets[0][task]), len(sets[1][task]), len(both), sorted(both))
        for task in sorted(sets[0].keys() & sets[1].keys() & set(scored[1]["task"]) & n_classes.keys())
        for both in [sets[0][task] & sets[1][task]]
    ]
    table = pd.DataFrame(rows, columns=["task", "n_classes", "n_own", "n_other", "n_common", "classes"])
    return in_common(table.astype(dict.fromkeys(table.columns[1:5], "int64")), "n_classes")
