"""Shared neurons of two classes, judged; the paper's figures by name; a network of classes; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import erfc, sqrt
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.text.numbers import counted, p_value, with_interval
from dashboard.shared.text.words import plain

Q_LIMIT = 0.05
Z_95 = 1.959964
MORE, FEWER, AS_CHANCE, NO_NEURONS, ITSELF = (
    "more than chance", "fewer than chance", "cannot be told from chance", "a class has no neurons", "the class itself",
)  # fmt: skip
MOST_EDGES = 150

ACROSS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Octaves": (
        "sharing by octave", ("surge-octave", "nsynth-octave", "demo-synth-octave", "demo-notes-octave"),
    ),
    "Gender": (
        "sharing by gender",
        ("vc1-gender", "cremad-gender", "vocalsound-gender", "demo-speech-gender", "demo-digits-gender"),
    ),
    "Events": (
        "sharing by event", ("esc50", "gise51", "us8k", "fsd50k", "vocalsound", "demo-events-event"),
    ),
}  # fmt: skip
"""Figures between two datasets: the named query, and its tasks; the first two that a store has are shown."""
WITHIN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Genres": ("sharing of genres", ("gtzan",)),
    "Emotions": ("sharing of emotions", ("cremad",)),
    "Languages": ("sharing of languages", ("voxforge", "vocalsound-language", "demo-speech-language")),
}
"""Figures within one task: the named query, and the tasks of which the first that a store has is shown."""


def figures(tasks: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the paper's figures that a store can show: name to its two tasks, the same twice within one."""
    task_pairs = {}
    for name, (_, wanted) in ACROSS.items():
        here = [task for task in wanted if task in tasks]
        if len(here) > 1:
            task_pairs[name] = (here[0], here[1])
    for name, (_, wanted) in WITHIN.items():
        here = [task for task in wanted if task in tasks]
        if here:
            task_pairs[name] = (here[0], here[0])
    return task_pairs


def missing(tasks: Sequence[str]) -> str:
    """Say which of the paper's figures a store cannot show, and what tasks they take; empty if none."""
    here = figures(tasks)
    parts = [
        f"{name.lower()} (two of {', '.join(wanted)})" for name, (_, wanted) in ACROSS.items() if name not in here
    ] + [f"{name.lower()} ({' or '.join(wanted)})" for name, (_, wanted) in WITHIN.items() if name not in here]
    return plain(f"Not in this store: {'; '.join(parts)}.") if parts else ""


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Say of every pair of classes whether it shares more or fewer neurons than chance.

    More: the store's q is below 0.05. Fewer: the odds ratio lies below 1, with a q of its own (normal approximation
    on its logarithm, from the stored interval; Benjamini-Hochberg over the pairs given).

    Parameters
    ----------
    rows : DataFrame
        Of the view ``shared_neurons``.

    Returns
    -------
    DataFrame
        With ``q_fewer``, ``verdict``, ``stands`` and ``log2_ratio`` (observed over expected; -inf for none observed,
        NaN where nothing is expected).
    """
    width = np.log(rows["odds_high"]) - np.log(rows["odds_low"])
    z = np.log(rows["odds_ratio"]) / (width / (2 * Z_95))
    p_fewer = np.array([0.5 * erfc(-value / sqrt(2)) if np.isfinite(value) else np.nan for value in z])
    q_fewer = _benjamini_hochberg(p_fewer)
    some = rows[["n_a", "n_b"]].min(axis=1) > 0
    verdict = np.select(
        [~some, rows["q_value"] < Q_LIMIT, q_fewer < Q_LIMIT], [NO_NEURONS, MORE, FEWER], default=AS_CHANCE
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(rows["n_shared"].to_numpy(float) / rows["expected"].to_numpy(float))
    return rows.assign(
        q_fewer=q_fewer,
        verdict=verdict,
        stands=np.isin(verdict, [MORE, FEWER]),
        log2_ratio=np.where(some, ratio, np.nan),
    )


def _benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p; NaN stays NaN and does not count."""
    from scipy.stats import false_discovery_control  # here: pages without shared neurons need not wait for it

    q = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q


def matrix(pairs: pd.DataFrame, within: bool) -> pd.DataFrame:
    """Lay judged pairs out as cells: within a task both ways, and the classes themselves on the diagonal.

    Returns
    -------
    DataFrame
        The columns of ``pairs``; ``class_a`` is the row, ``class_b`` the column.
    """
    if not within or pairs.empty:
        return pairs
    other = {"class_a": "class_b", "class_b": "class_a", "n_a": "n_b", "n_b": "n_a"}
    sizes = class_sizes(pairs)
    own = pd.DataFrame(
        {
            "class_a": sizes.index, "class_b": sizes.index, "n_a": sizes.to_numpy(), "n_b": sizes.to_numpy(),
            "n_shared": sizes.to_numpy(), "nested": 0, "verdict": ITSELF, "stands": False,
        }
    )  # fmt: skip
    return pd.concat([pairs, pairs.rename(columns=other), own], ignore_index=True)


def class_sizes(pairs: pd.DataFrame) -> pd.Series:
    """Number of class-specific neurons of each class of one task, by class."""
    both = pd.concat(
        [
            pairs[["class_a", "n_a"]].set_axis(["name", "n"], axis=1),
            pairs[["class_b", "n_b"]].set_axis(["name", "n"], axis=1),
        ]
    )
    return both.drop_duplicates("name").set_index("name")["n"]


def most_telling(pairs: pd.DataFrame, side: str, most: int) -> list[str]:
    """Classes of one side, at most ``most``: those with the most pairs that stand, then the most neurons."""
    by_class = pairs.groupby(f"class_{side}", sort=False).agg(
        stands=("stands", "sum"), shared=("n_shared", "sum"), n=(f"n_{side}", "first")
    )
    return [str(name) for name in by_class.sort_values(["stands", "shared", "n"], ascending=False).index[:most]]


def clearest(pairs: pd.DataFrame) -> tuple[str | None, str | None]:
    """Return the two classes that share most clearly more than chance, none contained in the other."""
    free = pairs[(pairs["verdict"] == MORE) & (pairs["nested"] == 0)]
    if free.empty:
        return None, None
    top = free.sort_values(["odds_low", "n_shared"], ascending=False).iloc[0]
    return str(top["class_a"]), str(top["class_b"])


def sentences(pairs: pd.DataFrame, within: bool) -> list[str]:
    """Tell a table of judged pairs in a few sentences of Markdown."""
    judged = pairs[pairs["verdict"] != NO_NEURONS]
    if judged.empty:
        return ["No two classes have neurons to share."]
    more, fewer = judged["verdict"] == MORE, judged["verdict"] == FEWER
    lines = [
        f"Of {counted(len(judged), 'pair')} of classes that have neurons, "
        f"**{int(more.sum()):,}** share more than chance gives (q < {Q_LIMIT:g}) and **{int(fewer.sum()):,}** fewer."
    ]
    if not within:
        same = judged["class_a"] == judged["class_b"]
        if same.any() and not same.all():
            lines.append(
                f"Classes of the same name: **{int((more & same).sum())} of {int(same.sum())}** share more than "
                f"chance; of different names: **{int((more & ~same).sum()):,} of {int((~same).sum()):,}**."
            )
    first, second = clearest(judged)
    if first is not None:
        top = judged[(judged["class_a"] == first) & (judged["class_b"] == second)].iloc[0]
        lines.append(f"Clearest: {pair_sentence(top.to_dict())}")
    return lines


def names_of(row: Mapping[Any, Any]) -> str:
    """Name a pair of classes, with their tasks where these differ; Markdown."""
    a, b = plain(row["class_a"]), plain(row["class_b"])
    if row["task_a"] == row["task_b"]:
        return f"{a} and {b}"
    return f"{a} of {plain(row['task_a'])} and {b} of {plain(row['task_b'])}"


def pair_sentence(row: Mapping[Any, Any]) -> str:
    """Tell one pair: what it shares, beside chance, with odds ratio, interval and q."""
    names = names_of(row)
    if row["verdict"] == NO_NEURONS:
        return f"{names}: a class without neurons shares none."
    odds = ""
    if pd.notna(row["odds_ratio"]):
        odds = f", odds ratio {with_interval(row['odds_ratio'], row['odds_low'], row['odds_high'])}"
    return (
        f"{names} share **{int(row['n_shared']):,}** {'neuron' if row['n_shared'] == 1 else 'neurons'} where "
        f"{row['expected']:.1f} are expected by chance{odds}, q {p_value(row['q_value'])}."
    )


def network(pairs: pd.DataFrame, classes: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a network of the classes of one task that share more neurons than chance.

    Parameters
    ----------
    pairs : DataFrame
        Judged pairs of one task.
    classes : sequence of str
        In the order of the circle that the layout starts from.

    Returns
    -------
    nodes : DataFrame
        ``class_name``, ``n_neurons``, ``x``, ``y``; classes that are joined to none are left out.
    edges : DataFrame
        The pairs with ``x``, ``y``, ``x2``, ``y2`` and ``log_odds``; at most `MOST_EDGES`, the strongest.
    """
    sizes = class_sizes(pairs)
    edges = pairs[(pairs["verdict"] == MORE) & pairs["class_a"].isin(classes) & pairs["class_b"].isin(classes)]
    edges = edges.assign(log_odds=np.log(edges["odds_ratio"]))
    edges = edges.sort_values("log_odds", ascending=False).head(MOST_EDGES)
    names = [name for name in classes if name in {*edges["class_a"], *edges["class_b"]}]
    index = {name: place for place, name in enumerate(names)}
    ends = np.array([[index[a], index[b]] for a, b in zip(edges["class_a"], edges["class_b"], strict=True)], dtype=int)
    place = layout(len(names), ends.reshape(-1, 2), edges["log_odds"].to_numpy(float))
    nodes = pd.DataFrame(
        {"class_name": names, "n_neurons": [int(sizes[name]) for name in names], "x": place[:, 0], "y": place[:, 1]}
    )
    from_, to = ends.reshape(-1, 2).T
    return nodes, edges.assign(x=place[from_, 0], y=place[from_, 1], x2=place[to, 0], y2=place[to, 1])


def layout(n: int, edges: NDArray[np.int64], weights: NDArray[np.float64], steps: int = 150) -> NDArray[np.float64]:
    """Place nodes by spring forces, from a circle: linked ones near, all apart (Fruchterman and Reingold 1991).

    Returns
    -------
    ndarray, shape (n, 2)
        In [0, 1]; the same input gives the same places.
    """
    angle = 2 * np.pi * np.arange(n) / max(n, 1) + 0.1
    place = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if n < 3 or not len(edges):
        return 0.5 + 0.45 * place
    pull = np.zeros((n, n))
    strength = 0.4 + 0.6 * np.clip(weights, 0, None) / max(float(weights.max()), 1e-9)
    pull[edges[:, 0], edges[:, 1]] = pull[edges[:, 1], edges[:, 0]] = strength
    degree = np.maximum((pull > 0).sum(axis=1), 1)
    pull /= np.sqrt(np.outer(degree, degree))  # or else the many links of a cluster draw it into a point
    ideal = 2.2 / np.sqrt(n)
    for step in range(steps):
        apart = place[:, None] - place[None]
        distance = np.maximum(np.linalg.norm(apart, axis=2), 1e-3)
        force = ideal**2 / distance - pull * distance**2 / ideal
        np.fill_diagonal(force, 0)
        move = (apart / distance[..., None] * force[..., None]).sum(axis=1) - 0.2 * place  # and to the middle
        length = np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 1e-9)
        place = place + move / length * np.minimum(length, 0.12 * (1 - step / steps))
    low, high = place.min(axis=0), place.max(axis=0)
    scaled: NDArray[np.float64] = 0.05 + 0.9 * (place - low) / np.maximum(high - low, 1e-9)
    return scaled
