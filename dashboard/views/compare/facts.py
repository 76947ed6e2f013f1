"""Two models or two runs set against each other; pure functions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations
from math import factorial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.text.facts import Q_LIMIT, action
from dashboard.shared.text.numbers import BRACKETS, between, counted, number, p_value
from dashboard.shared.text.words import plain

UNTRAINED = "-untrained"
MOST_PERMUTATIONS, MANY_PAIRS, PERMUTATIONS_OF_MANY = 999, 5_000, 199
CHANCE_OVER_ZERO = 0.025  # of 95 % intervals lie over 0 where nothing is there
FEWEST_CLASSES = 4  # of fewer, too few orders exist to tell anything


def natural_other(others: Sequence[str]) -> str:
    """Return which model to set beside another: a trained one where there is one, else the first."""
    return next((name for name in others if not name.endswith(UNTRAINED)), others[0])


def twin(model: str, others: Sequence[str]) -> str | None:
    """Return the untrained twin of a model, None where it was not measured."""
    names = (f"{model}{UNTRAINED}", f"{model.split('-')[0]}{UNTRAINED}")
    return next((name for name in names if name in others and name != model), None)


def paired(rows: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Keep the rows of two models on the tasks that both have."""
    both = set(rows.loc[rows["model"] == a, "task"]) & set(rows.loc[rows["model"] == b, "task"])
    return rows[rows["model"].isin([a, b]) & rows["task"].isin(both)].reset_index(drop=True)


def beyond_null(coverage: pd.DataFrame) -> pd.Series:
    """Mark rows whose count of neurons lies beyond that on shuffled labels; a row without a null does not."""
    high = coverage["null_n_class_specific_high"].fillna(coverage["null_n_class_specific_mean"])
    return coverage["n_class_specific"] > high


def coverage_sentences(coverage: pd.DataFrame, a: str, b: str) -> list[str]:
    """Tell in numbers alone which model covers more, and which has more neurons (Markdown).

    Parameters
    ----------
    coverage : DataFrame
        Rows of ``task_coverage`` of one preset, of `paired` models.
    """
    of = {name: coverage[coverage["model"] == name].set_index("task") for name in (a, b)}
    tasks = of[a].index
    lines = []
    means = [
        f"**{plain(name)}** {of[name]['coverage'].mean():.0%} "
        f"(shuffled labels {number(of[name]['null_coverage_mean'].mean(), '.0%')})"
        for name in (a, b)
    ]
    difference = of[b].loc[tasks, "coverage"] - of[a]["coverage"]
    n_more, n_less = int((difference > 0).sum()), int((difference < 0).sum())
    lines.append(
        f"Mean coverage over the {counted(len(tasks), 'task')} of both: {means[0]}, {means[1]}. {plain(b)} covers "
        f"more classes in {n_more}, fewer in {n_less}, as many in {len(tasks) - n_more - n_less}."
    )
    sure = beyond_null(coverage)
    stands = {task for task, flags in sure.groupby(coverage["task"]) if flags.any()}
    counts = pd.DataFrame({name: of[name]["n_class_specific"] for name in (a, b)}).loc[sorted(stands)]
    if counts.empty:
        lines.append(
            "In no task does either have more neurons than shuffled labels give, so there is nothing to compare."
        )
        return lines
    more, less = (b, a) if counts[b].sum() >= counts[a].sum() else (a, b)
    ratio = counts[more].sum() / counts[less].sum() if counts[less].sum() else np.inf
    times = f"{ratio:.1f} times as many" if np.isfinite(ratio) else "all"
    with_both = counts[(counts[a] > 0) & (counts[b] > 0)]
    spread = ""
    if len(with_both) > 1:
        of_task = with_both[more] / with_both[less]
        spread = f"; task by task {of_task.min():.2g} to {of_task.max():.2g} times"
    lines.append(
        f"Where at least one goes beyond shuffled labels ({counted(len(counts), 'task')}), {plain(more)} has {times} "
        f"class-specific neurons ({counts[more].sum():,} against {counts[less].sum():,}, summed over tasks{spread})."
    )
    return lines


def depth(by_layer: pd.DataFrame) -> pd.DataFrame:
    """Add ``depth``: a layer's place between the first (0) and the last (1); 0 where there is one only."""
    last = by_layer.groupby("model")["layer"].transform("max")
    return by_layer.assign(depth=(by_layer["layer"] / last.where(last > 0)).fillna(0.0))


def probe_differences(probe: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Set two models' heads side by side, with the interval of the difference.

    As if each model had heard other clips (Newcombe 1998): the store does not keep which clips each
    head got right. The clips are the same, so the interval is rather too wide.

    Parameters
    ----------
    probe : DataFrame
        ``model``, ``task``, ``accuracy``, ``ci_low``, ``ci_high``, ``chance``, ``metric`` of `paired` models.

    Returns
    -------
    DataFrame
        ``task``, ``metric``, ``chance``, ``accuracy_a``, ``accuracy_b``, ``difference`` (b - a), ``low``,
        ``high``; the interval is NaN for mean average precision.
    """
    left, right = (probe[probe["model"] == name].set_index("task") for name in (a, b))
    right = right.loc[left.index]
    p, q = left["accuracy"], right["accuracy"]
    difference = q - p
    low = difference - np.sqrt((q - right["ci_low"]) ** 2 + (left["ci_high"] - p) ** 2)
    high = difference + np.sqrt((right["ci_high"] - q) ** 2 + (p - left["ci_low"]) ** 2)
    return pd.DataFrame(
        {
            "metric": left["metric"],
            "chance": left["chance"],
            "accuracy_a": p,
            "accuracy_b": q,
            "difference": difference,
            "low": low,
            "high": high,
        }
    ).reset_index()


def probe_sentence(differences: pd.DataFrame, a: str, b: str) -> str:
    """Say in how many tasks one head is better for sure (Markdown)."""
    known = differences[differences["low"].notna()]
    better, worse = int((known["low"] > 0).sum()), int((known["high"] < 0).sum())
    text = (
        f"{plain(b)} is better in {better} and {plain(a)} in {worse} of {counted(len(known), 'task')} by more than "
        "the 95 % interval of the difference (as if they had heard different clips, so rather too wide)"
    )
    if len(known) and (better or worse):
        clear = known[(known["low"] > 0) | (known["high"] < 0)]
        row = clear.sort_values("difference", key=abs).iloc[-1]
        text += (
            f"; most in {plain(row['task'])}: {number(100 * row['difference'], '+.1f')} points "
            f"{between(100 * row['low'], 100 * row['high'], '+.1f', BRACKETS)}"
        )
    return f"{text}."


def log_ratio(shared: pd.DataFrame) -> pd.Series:
    """Log2 of shared neurons over those expected by chance, half a neuron added to both."""
    return pd.Series(np.log2((shared["n_shared"] + 0.5) / (shared["expected"] + 0.5)), index=shared.index)


def matrix(shared: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """Lay the pairs of a task's classes out as a symmetric matrix of `log_ratio`.

    NaN on the diagonal, where either class has no neurons, and where one class contains the other.
    """
    place = {name: i for i, name in enumerate(classes)}
    known = shared[(shared["n_a"] > 0) & (shared["n_b"] > 0) & (shared["nested"] == 0)]
    known = known[known["class_a"].isin(classes) & known["class_b"].isin(classes)]
    filled = np.full((len(classes), len(classes)), np.nan)
    rows, columns = known["class_a"].map(place).to_numpy(int), known["class_b"].map(place).to_numpy(int)
    filled[rows, columns] = filled[columns, rows] = log_ratio(known)
    return filled


def both_halves(shared: pd.DataFrame) -> pd.DataFrame:
    """Rows for a matrix: each pair both ways, ``ratio`` and ``significant`` added; without pairs that tell nothing."""
    known = shared[(shared["n_a"] > 0) & (shared["n_b"] > 0)]
    known = known.assign(ratio=log_ratio(known), significant=known["q_value"] < Q_LIMIT)
    turned = known.rename(columns={"class_a": "class_b", "class_b": "class_a"})
    both = pd.concat([known, turned], ignore_index=True)
    return both[["class_a", "class_b", "ratio", "n_shared", "expected", "q_value", "significant"]]


class Mantel(NamedTuple):
    """How alike two matrices are, beside the same with the classes of one permuted.

    ``low`` and ``high`` are the 2.5th and 97.5th percentile of the dealt ones; ``p`` the share of orders
    (the true one among them) that give as much.
    """

    r: float
    low: float
    high: float
    p: float
    n_classes: int
    n_permutations: int


def mantel(a: NDArray[np.float64], b: NDArray[np.float64], seed: int = 0) -> Mantel | None:
    """Correlate two symmetric matrices over the same classes, and permute the classes of one (Mantel 1967).

    Pearson's r over the pairs known in both. Classes without any such pair are left out. All orders are
    gone through where they are few, else `MOST_PERMUTATIONS` are drawn (fewer where there are many pairs).

    Returns
    -------
    Mantel or None
        None where fewer than `FEWEST_CLASSES` classes are left, or a matrix does not vary.
    """
    known = ~(np.isnan(a) | np.isnan(b))
    kept = np.flatnonzero(known.any(axis=0))
    if len(kept) < FEWEST_CLASSES:
        return None
    a, b = a[np.ix_(kept, kept)], b[np.ix_(kept, kept)]
    upper = np.triu_indices(len(kept), 1)
    true = float(_correlations(a[upper], b[upper][None])[0])
    if np.isnan(true):
        return None
    n = len(kept)
    most = MOST_PERMUTATIONS if len(upper[0]) <= MANY_PAIRS else PERMUTATIONS_OF_MANY
    if factorial(n) <= most + 1:
        orders = [np.array(order) for order in permutations(range(n))][1:]
    else:
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(n) for _ in range(most)]
    dealt = _correlations(a[upper], np.stack([b[order[upper[0]], order[upper[1]]] for order in orders]))
    dealt = dealt[~np.isnan(dealt)]
    low, high = np.quantile(dealt, [0.025, 0.975])
    p = (1 + np.sum(dealt >= true - 1e-12)) / (1 + len(dealt))
    return Mantel(true, float(low), float(high), float(p), n, len(dealt))


def sharing_sentence(a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
    """Say how alike two models share their neurons between classes, beside chance (Markdown)."""
    test = mantel(a, b)
    if test is None:
        return (
            f"How alike the two matrices are cannot be told: fewer than {FEWEST_CLASSES} classes have neurons in both, "
            "or all pairs are the same."
        )
    verdict = "more alike than the permutation null" if test.p < Q_LIMIT else "no more alike than the permutation null"
    return (
        f"Correlation of the two matrices: **r = {number(test.r, '.2f')}** over {test.n_classes} classes; with the "
        f"classes of one permuted {between(test.low, test.high, '.2f')} (95 %), p {p_value(test.p)} (Mantel, "
        f"{test.n_permutations:,} orders). They are {verdict}."
    )


def specificity_rows(effects: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Keep ablations done alike in both models, name each, and mark ``clear``: the interval leaves out 0."""
    named = effects.assign(
        label=[f"{row['task']} ({row['selection']}, {action(row)})" for row in effects.to_dict("records")],
        clear=(effects["ci_low"] > 0) | (effects["ci_high"] < 0),
    )
    both = set(named.loc[named["model"] == a, "label"]) & set(named.loc[named["model"] == b, "label"])
    return named[named["label"].isin(both)].reset_index(drop=True)


def pitch_sentences(counts: pd.DataFrame) -> list[str]:
    """Tell each model's pitch neurons in a task, and how many answer to octaves, beside chance (Markdown)."""
    lines = []
    for task, rows in counts.groupby("task", sort=False):
        of = [
            f"**{plain(row['model'])}** {counted(row['n_tuned'], 'pitch neuron')}, {row['n_octave']:,} of which "
            f"answer to octaves ({CHANCE_OVER_ZERO * row['n_with_index']:,.0f} by chance)"
            for row in rows.to_dict("records")
        ]
        lines.append(f"{plain(task)}: {'; '.join(of)}.")
    return lines


def _correlations(x: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of ``x`` with each row, over what is known in both; NaN where that is too little or all the same."""
    known = ~np.isnan(rows) & ~np.isnan(x)
    n = np.maximum(known.sum(axis=1, keepdims=True), 1)
    left = np.where(known, np.nan_to_num(x), 0.0)
    right = np.where(known, np.nan_to_num(rows), 0.0)
    left = np.where(known, left - left.sum(axis=1, keepdims=True) / n, 0.0)
    right = np.where(known, right - right.sum(axis=1, keepdims=True) / n, 0.0)
    spread = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    defined = (known.sum(axis=1) > 2) & (spread > 1e-12)
    r: NDArray[np.float64] = np.where(defined, (left * right).sum(axis=1) / np.where(defined, spread, 1.0), np.nan)
    return r


def settings_difference(a: object, b: object) -> pd.DataFrame:
    """List the settings in which two runs differ.

    Parameters
    ----------
    a, b : str
        ``config_json`` of two runs.

    Returns
    -------
    DataFrame
        ``setting``, ``first``, ``second``, as text; a setting that a run does not know is “not known”.
    """
    first, second = _settings(a), _settings(b)
    names = [*first, *(name for name in second if name not in first)]
    rows = [
        (name.replace("_", " "), _told(first, name), _told(second, name))
        for name in names
        if first.get(name, _told) != second.get(name, _told)
    ]
    return pd.DataFrame(rows, columns=["setting", "first", "second"])


def notes_difference(a: object, b: object) -> pd.DataFrame:
    """List what only one of two runs noted: ``said_by`` (first or second) and ``note``."""
    first, second = (json.loads(notes) if isinstance(notes, str) else [] for notes in (a, b))
    rows = [("first", note) for note in first if note not in second]
    rows += [("second", note) for note in second if note not in first]
    return pd.DataFrame(rows, columns=["said_by", "note"])


def _settings(text: object) -> dict[str, Any]:
    try:
        settings = json.loads(str(text))
    except json.JSONDecodeError:
        return {}
    return settings if isinstance(settings, dict) else {}


def _told(settings: dict[str, Any], name: str) -> str:
    return json.dumps(settings[name], ensure_ascii=False) if name in settings else "not known"
