"""Linear heads on what a clip is besides its content: how loud, how long, how silent, its mean spectrum.

A head that tells the class from these as well as from the model says that the task can be solved
without what the task is about; and so can a neuron.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.datasets.groups import group_attributes
from core.datasets.levels import BAND_FEATURES
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.probes import fit
from core.results import Mask, ProbeResult, wilson

FEATURES = {
    "level": ("level_db", "peak_db"),
    "duration": ("seconds",),
    "silence": ("active_share",),
    "level+duration+silence": ("level_db", "peak_db", "seconds", "active_share"),
    "spectrum": BAND_FEATURES,
}
"""What each head sees of a clip: columns of `core.datasets.scan.Scan.files`."""
AS_GOOD, OVER_CHANCE = "as good as the model", "over chance"
_COLUMNS = ["feature", "group", "metric", "accuracy", "chance", "n_clips", "ci_low", "ci_high", "mark", "reason"]


def confound_probes(
    task: Task,
    embeddings: NDArray[np.float32] | None = None,
    own: ProbeResult | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """How well level, duration, silence and mean spectrum tell the classes of a task, beside the model.

    The heads are the model's own (`core.probes.fit`), with the same splits or folds; told on test clips. Each
    feature goes in with its square, so that a class in the middle can be told from both sides.

    Parameters
    ----------
    scan : Scan
    attribute : str
    embeddings : ndarray, shape (n_clips, n_features), optional
        Of the model; where given, its head is also fitted with groups kept apart and mixed (`apart_and_mixed`).
    own : ProbeResult, optional
        The model's own head, to be set beside.
    seed : int
        Of the draw of groups.

    Returns
    -------
    DataFrame
        One row a head. ``feature`` is a key of `FEATURES`, ``model``, ``model, groups apart`` or ``model, groups
        mixed``; ``group`` the attribute kept apart, else empty; ``metric``, ``accuracy`` and ``chance`` as in
        `core.results.ProbeResult`; ``n_clips`` the test clips; ``ci_low`` and ``ci_high`` the 95 % interval of
        Wilson (1927), NaN for an average precision; ``mark`` is ``as good as the model`` where the interval (or
        the value itself) reaches an ``own`` accuracy that is well over chance, else ``over chance`` where it is
        itself well over chance (by 0.1 and three standard deviations), else empty; ``reason`` says why a row
        has no accuracy.
    """
    rows = [feature_probe(task, feature) for feature in FEATURES]
    if own is not None:
        bar = _row("model", own)
        for row in rows:
            row["mark"] = _mark(row, bar)
        rows.append(bar)
    else:
        for row in rows:
            row["mark"] = OVER_CHANCE if well_over_chance(row) else ""
    if embeddings is not None:
        rows += apart_and_mixed(task, embeddings, seed)
    return pd.DataFrame(rows, columns=_COLUMNS)


def feature_probe(task: Task, feature: str) -> dict[str, object]:
    """The row of `confound_probes` for one key of `FEATURES`, without its ``mark``; fitted once, whatever the model."""
    key = ("feature probe", task.attribute, feature)
    if key not in task.scan.memo:
        task.scan.memo[key] = _row(feature, _fit(task, _with_squares(task.scan, FEATURES[feature])))
    return dict(task.scan.memo[key])


def _with_squares(scan: Scan, columns: tuple[str, ...]) -> NDArray[np.float32]:
    values = scan.files[list(columns)].to_numpy(dtype=np.float64)
    centred = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    squared: NDArray[np.float32] = np.concatenate([centred, centred**2], axis=1).astype(np.float32)
    return squared


def _fit(task: Task, features: NDArray[np.float32], splits: NDArray[np.str_] | None = None) -> ProbeResult:
    """The task's head on some features; in the splits given, or the attribute's own."""
    splits = task.splits if splits is None else splits
    if task.attribute in task.dataset.multilabel:
        return fit.fit_several(task.name, features, task.members, splits, task.class_names).result
    return fit.fit(task.name, features, task.labels, splits, task.class_names).result


def _row(feature: str, result: ProbeResult, group: str = "", reason: str = "") -> dict[str, object]:
    row: dict[str, object] = {"feature": feature, "group": group, "mark": "", "n_clips": 0}
    if result.skipped:
        return {**row, **dict.fromkeys(["accuracy", "chance", "ci_low", "ci_high"], np.nan), "reason": result.skipped}
    test_row = result.rows[(result.rows["split"] == "test") & result.rows["class_name"].isna()].iloc[0]
    accuracy, n_clips = float(test_row["accuracy"]), int(test_row["n_clips"])
    low, high = wilson(accuracy, n_clips) if test_row["metric"] == "accuracy" else (np.nan, np.nan)
    chance = float(test_row["chance"])
    return {**row, "metric": test_row["metric"], "accuracy": accuracy, "chance": chance, "n_clips": n_clips,
            "ci_low": low, "ci_high": high, "reason": reason}  # fmt: skip


def well_over_chance(row: dict[str, object] | pd.Series) -> bool:
    """Whether a row lies over chance by 0.1 and by three standard deviations of a guess; not on under 20 clips."""
    accuracy, chance, n_clips = (float(row[k]) for k in ("accuracy", "chance", "n_clips"))  # type: ignore[arg-type]
    if not n_clips >= 20:
        return False
    return accuracy >= chance + max(0.1, 3 * np.sqrt(chance * (1 - chance) / n_clips))


def _mark(row: dict[str, object], own: dict[str, object]) -> str:
    reached = np.fmax(row["accuracy"], row["ci_high"])  # type: ignore[call-overload]
    if well_over_chance(own) and reached >= own["accuracy"]:
        return AS_GOOD
    return OVER_CHANCE if well_over_chance(row) else ""


def apart_and_mixed(task: Task, embeddings: NDArray[np.float32], seed: int) -> list[dict[str, object]]:
    """How well the model's head does on groups it has not seen, and on groups it has; two rows a group attribute.

    Clips are dealt into two halves, each of which is tested by a head of the other: once with each group whole
    in one half, once with the same number of every class drawn over groups at random. The heads have the middle
    regularisation. Classes of a single group cannot be asked and are left out of both.
    """
    members = task.members
    rows = []
    for name, of_clip in group_attributes(task):
        apart, reason = _halves(members, name, of_clip, np.random.default_rng(seed))
        if apart is None:
            nothing = ProbeResult(task.name, pd.DataFrame(), skipped=reason)
            rows += [_row(f"model, groups {how}", nothing, name) for how in ("apart", "mixed")]
            continue
        mixed = _redealt(apart, members, np.random.default_rng([seed, 1]))
        rows += [
            _row(f"model, groups {how}", _fit(task, embeddings, halves), name, reason)
            for how, halves in (("apart", apart), ("mixed", mixed))
        ]
    return rows


def _halves(
    members: Mask, name: str, of_clip: NDArray[np.str_], rng: np.random.Generator
) -> tuple[NDArray[np.str_] | None, str]:
    """``fold 1`` or ``fold 2`` for each clip, no group in both and each class in both; or why not.

    From the largest on, each group goes where the half has less of its classes.
    """
    known = (of_clip != "") & members.any(axis=1)
    names, group = np.unique(of_clip[known], return_inverse=True)
    n_of = np.zeros((len(names), members.shape[1]))
    np.add.at(n_of, group, members[known])
    several = (n_of > 0).sum(axis=0) >= 2
    left_out = int((n_of.any(axis=0) & ~several).sum())
    if several.sum() < 2:
        return None, f"{several.sum()} class(es) with two {name}(s) or more"
    share = n_of[:, several] / n_of[:, several].sum(axis=0)
    order = rng.permutation(len(names))
    order = order[np.argsort(-share[order].max(axis=1), kind="stable")]
    balance, side = np.zeros(share.shape[1]), np.zeros(len(names), dtype=np.int64)
    for i in order:
        side[i] = 1 if balance @ share[i] > 0 else 0
        balance += share[i] * (1 - 2 * side[i])
    of_known = np.array(["fold 1", "fold 2"])[side[group]]
    halves = np.full(len(of_clip), "", dtype=of_known.dtype)
    halves[known] = of_known
    halves[~(members[:, several]).any(axis=1)] = ""
    return halves, f"{left_out} class(es) of one {name} left out" if left_out else ""


def _redealt(halves: NDArray[np.str_], members: Mask, rng: np.random.Generator) -> NDArray[np.str_]:
    """The same halves dealt anew over the clips of each class (of each set of classes)."""
    _, kind = np.unique(members, axis=0, return_inverse=True)
    dealt = halves.copy()
    for k in np.unique(kind):
        clips = np.flatnonzero((kind.ravel() == k) & (halves != ""))
        dealt[clips] = halves[rng.permutation(clips)]
    return dealt


def task_confounds(probes: pd.DataFrame) -> list[str]:
    """What marks a task, in words: at most one line for the features, and one for each group attribute.

    Level, duration and silence that are over chance and no more are told by `core.confounds.warnings.warnings`.

    Parameters
    ----------
    probes : DataFrame
        As `confound_probes` gives it with ``own``.
    """
    lines = []
    own = probes.loc[probes["feature"] == "model", "accuracy"].iloc[0]
    as_good = probes[probes["mark"] == AS_GOOD]
    spectrum = probes[(probes["feature"] == "spectrum") & (probes["mark"] == OVER_CHANCE)]
    if len(as_good):
        best = as_good.sort_values("accuracy").iloc[-1]
        lines.append(f"{_words(best)} as well as the model ({own:.2f}): what was found may be no more than that")
    elif len(spectrum):
        lines.append(f"{_words(spectrum.iloc[0])}; the model {own:.2f}")
    for group, rows in probes[probes["group"] != ""].groupby("group", sort=False):
        apart, mixed = (rows[rows["feature"] == f"model, groups {how}"].iloc[0] for how in ("apart", "mixed"))
        if apart["ci_high"] < mixed["ci_low"] or apart["accuracy"] < mixed["accuracy"] - 0.1:
            lines.append(
                f"the probe knows the {group}: accuracy {mixed['accuracy']:.2f} where train and test share each "
                f"{group}, {apart['accuracy']:.2f} where they do not (chance {apart['chance']:.2f})"
            )
    return lines


def _words(row: pd.Series) -> str:
    name = {"spectrum": "mean spectrum"}.get(row["feature"], row["feature"].replace("+", ", "))
    result = f"{row['metric']} {row['accuracy']:.2f} on test clips, chance {row['chance']:.2f}"
    return f"{name} alone tells the class ({result})"
