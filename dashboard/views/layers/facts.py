"""Where in a network a class becomes readable, where its neurons lie, where taking them out hurts; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared.text.numbers import between, counted, number, with_interval
from dashboard.shared.text.words import plain

INPUT = "in"
"""What axes call that which enters the first block."""
MEASURES = {"accuracy": "Accuracy", "average precision": "Mean average precision"}
OF_CLASS = {"accuracy": "Recall", "average precision": "Average precision"}


def measure_of(rows: pd.DataFrame) -> str:
    """What is told of heads, in words; rows with a ``class_name`` are of classes."""
    return (OF_CLASS if "class_name" in rows else MEASURES)[str(rows["metric"].iloc[0])]


def layer_name(layer: float) -> str:
    """A layer, in a sentence.

    Examples
    --------
    >>> layer_name(3.0), layer_name(-1)
    ('layer 3', 'the input of the first block')
    """
    return "the input of the first block" if layer < 0 else f"layer {layer:.0f}"


def layer_names(layers: Sequence[int]) -> str:
    """Several layers, those that follow each other as a range.

    Examples
    --------
    >>> layer_names([3, 4, 5]), layer_names([0, 2, 3]), layer_names([1])
    ('layers 3–5', 'layers 0, 2 and 3', 'layer 1')
    """
    if len(layers) == 1:
        return f"layer {layers[0]}"
    if len(layers) > 2 and list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]}–{layers[-1]}"
    return f"layers {', '.join(map(str, layers[:-1]))} and {layers[-1]}"


def beyond(rows: pd.DataFrame) -> pd.Series:
    """Mark layers whose interval lies over chance, and over the highest of shuffled labels where that is known."""
    bar = rows["chance"]
    if "shuffled_high" in rows:
        bar = rows[["chance", "shuffled_high"]].max(axis=1)
    return pd.Series(rows["ci_low"] > bar, index=rows.index)


def readable_from(rows: pd.DataFrame) -> Mapping[Any, Any] | None:
    """The first layer from which on every layer is `beyond`; None where the last is not. Rows are in order."""
    flags = beyond(rows).to_numpy()
    after = np.logical_and.accumulate(flags[::-1])[::-1]
    return rows.iloc[int(np.argmax(after))].to_dict() if after.any() else None


def readable_sentence(name: str, rows: pd.DataFrame) -> str:
    """Say from which layer on a class, or a task's classes, can be read (Markdown).

    Parameters
    ----------
    name : str
    rows : DataFrame
        ``layer``, ``accuracy``, ``ci_low``, ``ci_high``, ``chance``, ``shuffled_high`` (of all classes), ``metric``.
    """
    first, flags = readable_from(rows), beyond(rows)
    highest = _highest(rows, "accuracy")
    against = "chance" if "shuffled_high" not in rows else "chance and shuffled labels"
    top = f"{_told(highest)} at {layer_name(highest['layer'])}"
    if first is not None:
        is_input = first["layer"] < 0
        begins = f"already at {layer_name(-1)}" if is_input else f"from {layer_name(first['layer'])} on"
        return f"**{plain(name)}** is readable {begins}: {_told(first)}; {against} {_bar(first)}. Highest: {top}."
    some = [layer_name(layer) for layer in rows.loc[flags, "layer"]]
    where = f"only at {', '.join(some)}" if some else f"at no layer beyond {against}"
    return f"**{plain(name)}** is readable {where}; highest {top} ({against} {_bar(highest)})."


def best_sentence(summary: Mapping[Any, Any], last: int) -> str:
    """Tell the best layer by valid clips, and what it gains over the last one on test clips (Markdown)."""
    if pd.isna(summary["best_layer"]):
        return f"No layer is called the best: regularisation was chosen on {plain(summary['chosen_on'])}."
    best = int(summary["best_layer"])
    told = with_interval(summary["best_accuracy"], summary["best_low"], summary["best_high"], ".2f")
    chosen = "valid clips" if summary["chosen_on"] == "valid" else f"{plain(summary['chosen_on'])}"
    text = f"Best by {chosen}: **{layer_name(best)}**, on test clips {told}"
    if best == last and summary["best_difference"] == 0:
        return f"{text}. It is the last one."
    if summary["best_difference_low"] == summary["best_difference_high"] == 0:
        return f"{text}; the last layer reads the same clips."
    return f"{text}; that is {_difference(summary, 'best')} over the last layer."


def weighted_sentence(summary: Mapping[Any, Any], weights: pd.DataFrame) -> str:
    """Tell how well a head on the weighted sum does, and which layer it takes most of (Markdown)."""
    told = with_interval(summary["weighted_accuracy"], summary["weighted_low"], summary["weighted_high"], ".2f")
    most, equal = _highest(weights, "weight"), 1 / len(weights)
    beside = f"; {_difference(summary, 'weighted')} over the best layer" if pd.notna(summary["best_layer"]) else ""
    resampled = between(most["weight_low"], most["weight_high"], ".0%")
    return (
        f"A head on the weighted sum of all layers reads **{told}**{beside}. Most counts {layer_name(most['layer'])}, "
        f"{number(most['weight'], '.0%')} (over resampled train clips {resampled}; all alike {number(equal, '.0%')})."
    )


def neurons_sentence(name: str, counts: pd.DataFrame, preset: str) -> str:
    """Say in which layers the neurons of a class lie, beside shuffled labels (Markdown).

    Parameters
    ----------
    counts : DataFrame
        ``layer``, ``n_neurons``, ``expected_null`` (NaN: not known) of the class.
    """
    total, null = int(counts["n_neurons"].sum()), counts["expected_null"].sum(min_count=1)
    if not total:
        return f"By {plain(preset)} no neuron is specific for {plain(name)} (shuffled labels {number(null, '.2g')})."
    own = f"{counted(total, 'neuron')} of its own by {plain(preset)} (shuffled labels {number(null, '.2g')})"
    return f"It has {own}, {_half(counts)}."


def task_sentence(counts: pd.DataFrame, attributed: pd.DataFrame, preset: str) -> str:
    """Say in which layers a task's neurons lie, and on which layer's the margin of most classes hangs (Markdown).

    Parameters
    ----------
    counts : DataFrame
        ``layer``, ``class_name``, ``n_neurons``, ``expected_null``.
    attributed : DataFrame
        Of `db.reads.layers.attribution`; may have no row.
    """
    by_layer = counts.groupby("layer", as_index=False)[["n_neurons", "expected_null"]].sum(min_count=1)
    total, null = int(by_layer["n_neurons"].sum()), by_layer["expected_null"].sum(min_count=1)
    pairs = f"{total:,} pairs of a class and its neuron by {plain(preset)} (shuffled labels {number(null, '.2g')})"
    told = [f"{pairs}, {_half(by_layer)}"] if total else [f"no neuron is class-specific by {plain(preset)}"]
    if len(attributed):
        tops = attributed.loc[attributed.groupby("class_name")["attribution"].idxmax()]
        sure = tops[tops["ci_low"] > 0]
        most = sure["layer"].mode()
        n = int((sure["layer"] == most.iloc[0]).sum()) if len(sure) else 0
        hangs = f"most on {layer_name(most.iloc[0])} (in {n} of {len(tops)} classes)" if n else "on no layer for sure"
        told.append(f"by attribution the margin hangs {hangs}")
    text = f"{'; '.join(told)}."
    return text[0].upper() + text[1:]


def _half(counts: pd.DataFrame) -> str:
    """The layers that hold half of what is counted at least, the fewest that do."""
    ranked = counts.sort_values("n_neurons", ascending=False, kind="stable")
    total = int(ranked["n_neurons"].sum())
    n_needed = int((ranked["n_neurons"].cumsum() < total / 2).sum()) + 1
    held = int(ranked["n_neurons"].head(n_needed).sum())
    where = layer_names(sorted(int(layer) for layer in ranked["layer"].head(n_needed)))
    return f"{'all' if held == total else f'{held:,} of them'} in {where}"


def attribution_sentence(rows: pd.DataFrame) -> str:
    """Say on which layer the margin of a class hangs most, by attribution (Markdown)."""
    top = _highest(rows, "attribution")
    told = with_interval(top["attribution"], top["ci_low"], top["ci_high"], "+.2f", " logits")
    most = layer_name(top["layer"])
    if not top["ci_low"] > 0:
        return f"By attribution its margin hangs on no layer's neurons for sure; most on those of {most}: {told}."
    return f"By attribution its margin hangs most on the neurons of **{most}**: {told}."


def effect_sentence(effects: pd.DataFrame, selection: str) -> str:
    """Tell what silencing a class's own neurons did to it, beside random sets (Markdown).

    Parameters
    ----------
    effects : DataFrame
        Of `db.reads.classes.silenced`.
    selection : str
        The one that is told.
    """
    row = effects[effects["selection"] == selection].iloc[0]
    told = with_interval(row["delta"], row["ci_low"], row["ci_high"], "+.2f")
    random = between(row["control_delta_low"], row["control_delta_high"], "+.2f")
    whose = f"{counted(int(row['n_neurons']), 'neuron')} ({plain(selection)})"
    return f"Without its {whose} its recall changes by {told}; random sets {random}."


def _highest(rows: pd.DataFrame, name: str) -> Mapping[Any, Any]:
    """The row of the highest value, of ties the first."""
    return rows.iloc[int(rows[name].to_numpy().argmax())].to_dict()


def _told(row: Mapping[Any, Any]) -> str:
    return with_interval(row["accuracy"], row["ci_low"], row["ci_high"], ".2f")


def _bar(row: Mapping[Any, Any]) -> str:
    highest = f" and at most {number(row['shuffled_high'], '.2f')}" if "shuffled_high" in row else ""
    return f"{number(row['chance'], '.2f')}{highest}"


def _difference(summary: Mapping[Any, Any], name: str) -> str:
    value, low, high = (summary[f"{name}_difference{end}"] for end in ("", "_low", "_high"))
    return with_interval(value, low, high, "+.2f")
