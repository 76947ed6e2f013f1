"""How much more a class loses by its own neurons than the other classes do, for every way to choose them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.results import FloatArray

_GROUP = ["model", "dataset", "task", "selection", "operation", "gain"]
_N_DRAWS = 2000
_LEAST_CLASSES = 5
"""From the least to the greatest of 4 classes lies the median in only 87 %: no interval at 95 % can come of them."""


def specificity(effects: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How much more the own class loses than the others, for each selection that was ablated.

    Parameters
    ----------
    effects : DataFrame
        The view ``ablation_effects``: ``model``, ``dataset``, ``task``, ``selection``, ``operation``, ``gain``,
        ``target``, ``affected_class``, ``delta``, ``control_delta_mean``, ``n_neurons``. Rows over all clips (no
        ``affected_class``) and targets that are not a class of the task are left out.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        By model, dataset, task, selection, operation, gain (None but for scalings): ``self_effect``, mean over classes
        A of the change of A's accuracy when A's neurons are changed, less what controls of the same size cost;
        ``cross_effect``, mean over A of the
        mean change of the other classes; ``specificity`` = cross - self, with ``ci_low`` and ``ci_high`` (95 %
        percentile bootstrap over the classes A; NaN with fewer than 5); ``n_classes``; ``n_neurons``, mean over
        targets. NaN without controls.
    """
    rows = []
    for group, classes in _by_class(effects):
        values = classes["specificity"].to_numpy()
        low, high = _bootstrap(values, seed)
        rows.append(
            {
                **group,
                "self_effect": classes["self_effect"].mean(skipna=False),
                "cross_effect": classes["cross_effect"].mean(skipna=False),
                "specificity": float(values.mean()),
                "ci_low": low,
                "ci_high": high,
                "n_classes": len(values),
                "n_neurons": classes["n_neurons"].mean(),
            }
        )
    columns = ["self_effect", "cross_effect", "specificity", "ci_low", "ci_high", "n_classes", "n_neurons"]
    return pd.DataFrame(rows, columns=[*_GROUP, *columns])


def most_specific(effects: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The selection with the highest specificity of each task and gain, and its lead over the next.

    Selections are compared over the classes that all of them have as targets. Larger sets cost more: compare ladders
    of one size, or read ``n_neurons`` of `specificity` beside.

    Parameters
    ----------
    effects, seed : as for `specificity`

    Returns
    -------
    DataFrame
        By model, dataset, task, operation, gain: ``selection``, ``specificity``, ``runner_up``, ``lead`` (mean over
        classes of the difference), ``ci_low``, ``ci_high`` (paired bootstrap over classes), ``n_classes``. No row where
        fewer than two selections share a class. An interval over 0 leaves open which of the two is more specific.
    """
    values: dict[tuple, dict[str, pd.Series]] = {}
    for group, classes in _by_class(effects):
        task = tuple(group[name] for name in _GROUP if name != "selection")
        values.setdefault(task, {})[str(group["selection"])] = classes["specificity"]
    rows = []
    for task, selections in values.items():
        table = pd.DataFrame(selections).dropna(axis=1, how="all").dropna()
        if table.shape[1] < 2 or table.empty:
            continue
        means = table.mean().sort_values(ascending=False, kind="stable")
        first, second = means.index[:2]
        lead = (table[first] - table[second]).to_numpy()
        low, high = _bootstrap(lead, seed)
        rows.append((*task, first, means.iloc[0], second, float(lead.mean()), low, high, len(lead)))
    columns = ["selection", "specificity", "runner_up", "lead", "ci_low", "ci_high", "n_classes"]
    return pd.DataFrame(rows, columns=[*(name for name in _GROUP if name != "selection"), *columns])


def _by_class(effects: pd.DataFrame) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """Of each selection: target class -> self and cross effect beyond control, their difference, size of the set."""
    class_effects = effects[effects["affected_class"].notna()]
    class_effects = class_effects.assign(beyond=class_effects["delta"] - class_effects["control_delta_mean"])
    for key, rows in class_effects.groupby(_GROUP, sort=False, dropna=False):
        matrix = rows.pivot(index="target", columns="affected_class", values="beyond")
        names = [name for name in matrix.index if name in matrix.columns]
        if not names or matrix.shape[1] < 2:
            continue
        own = np.array([matrix.at[name, name] for name in names])
        others = (matrix.loc[names].to_numpy().sum(axis=1) - own) / (matrix.shape[1] - 1)
        sizes = rows.groupby("target")["n_neurons"].first()[names]
        columns = {"self_effect": own, "cross_effect": others, "specificity": others - own, "n_neurons": sizes}
        group = {name: None if value != value else value for name, value in zip(_GROUP, key, strict=True)}
        yield group, pd.DataFrame(columns, index=names)


def _bootstrap(values: FloatArray, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean; NaN of fewer than 5 values or of unknown ones."""
    if len(values) < _LEAST_CLASSES or np.isnan(values).any():
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).integers(len(values), size=(_N_DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
