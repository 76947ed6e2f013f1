"""Plain-language facts out of result tables; pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared.text.numbers import BRACKETS, between, counted, number, p_value
from dashboard.shared.text.words import listed, plain

Q_LIMIT = 0.05
OURS = "atlas"
"""Author of descriptions that a run finds."""


def believable(effects: pd.DataFrame) -> pd.Series:
    """Mark rows whose effect stands: q below 0.05, interval without 0, outside the controls' range.

    Where no controls or no q were measured, the row does not stand.
    """
    names = ["ci_low", "ci_high", "delta", "control_delta_low", "control_delta_high", "q_value"]
    low, high, delta, control_low, control_high, q = (effects[name].to_numpy(dtype=np.float64) for name in names)
    beyond = (delta < control_low) | (delta > control_high)
    return pd.Series((q < Q_LIMIT) & ((low > 0) | (high < 0)) & beyond, index=effects.index)


def beyond_chance(coverage: pd.DataFrame) -> list[str]:
    """Tell for each model in how many tasks a preset found more neurons than shuffled labels give.

    Parameters
    ----------
    coverage : DataFrame
        Rows of ``task_coverage`` of one preset.
    """
    known = coverage[coverage["null_n_class_specific_mean"].notna()]
    chance = known["null_n_class_specific_high"].fillna(known["null_n_class_specific_mean"])
    lines = []
    for model, rows in known.assign(beyond=known["n_class_specific"] > chance).groupby("model", sort=False):
        without = [str(task) for task in rows.loc[~rows["beyond"], "task"]]
        name = plain(model)
        only = "its one task" if len(rows) == 1 else ""
        if not without:
            lines.append(f"**{name}**: above the permutation null in {only or f'all {len(rows)} tasks'}.")
        elif len(without) == len(rows):
            lines.append(f"**{name}**: nothing beyond chance in {only or f'any of {len(rows)} tasks'}.")
        else:
            tasks_beyond = f"{len(rows) - len(without)} of {len(rows)} tasks"
            lines.append(f"**{name}**: above the permutation null in {tasks_beyond}; not in {listed(without)}.")
    return lines


def null_sentence(coverage: pd.DataFrame, model: str, task: str, preset: str) -> str:
    """Tell how many neurons the preset finds in the task, beside the same on shuffled labels; ends in a full stop."""
    rows = coverage[(coverage["model"] == model) & (coverage["task"] == task)]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    text = f"In this task {preset} finds {counted(int(row['n_class_specific']), 'class-specific neuron')}"
    if pd.isna(row["null_n_class_specific_mean"]):
        return f"{text}; how many shuffled labels give was not computed."
    ends = between(row["null_n_class_specific_low"], row["null_n_class_specific_high"], ",.0f", BRACKETS)
    interval = "" if ends == "–" else f" {ends}"
    return f"{text}; shuffled labels give {number(row['null_n_class_specific_mean'], ',.1f')}{interval}."


def action(row: Mapping[Any, Any]) -> str:
    """Say what an ablation does to the neurons, as a past participle."""
    if row["operation"] == "mean":
        return "set to their mean"
    if row["operation"] == "keep":
        return "kept alone in their layers"
    gain = float(row["gain"])
    return "silenced" if gain == 0 else f"scaled by {gain:g}"


def affected(name: Any) -> str:
    """Name an affected class; a missing one stands for all test clips."""
    return "all classes" if name is None or pd.isna(name) else str(name)


def ablation_label(row: Mapping[Any, Any]) -> str:
    """Name one ablation in few words: whose neurons, how chosen, and for which clips it is told."""
    done = action(row)
    chosen = f"{row['target']} ({row['selection']}{'' if done == 'silenced' else f', {done}'})"
    return f"{row['task']}: {chosen} → {affected(row['affected_class'])}"


def ablation_sentence(row: Mapping[Any, Any]) -> str:
    """Tell one ablation in a sentence, with interval and controls beside the effect; bold where the effect stands."""
    bold = "**" if believable(pd.DataFrame([row])).iloc[0] else ""

    def points(name: str) -> str:
        return number(100 * row[name], "+.1f")

    return (
        f"With {counted(int(row['n_neurons']), 'neuron')} of “{plain(row['target'])}” "
        f"({plain(row['selection'])}) {action(row)}, "
        f"{plain(row['task'])} accuracy on {plain(affected(row['affected_class']))} changes by "
        f"{bold}{points('delta')} points{bold} (95 % interval {points('ci_low')} to {points('ci_high')}, "
        f"q {p_value(row['q_value'])}); {int(row['n_controls'])} random sets of the same size: "
        f"{points('control_delta_mean')} ({points('control_delta_low')} to "
        f"{points('control_delta_high')})."
    )


def not_measured(coverage: pd.DataFrame, probe: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Tell what each (model, task) with scores lacks.

    Parameters
    ----------
    coverage, probe, effects : DataFrame
        Rows of ``task_coverage`` (one preset), of ``probe_accuracy``, and of what was ablated: of the
        last two only ``model`` and ``task`` count.

    Returns
    -------
    DataFrame
        ``model``, ``task``, ``missing``; one row a lack.
    """
    has_probe = set(zip(probe["model"], probe["task"], strict=True))
    has_ablation = set(zip(effects["model"], effects["task"], strict=True))
    rows = []
    for row in coverage.to_dict("records"):
        key = (row["model"], row["task"])
        lacks = {
            "shuffled-label null": not row["n_shuffles"] or pd.isna(row["n_shuffles"]),
            "replication on test clips": pd.isna(row["replicated_share"]) and row["n_pairs"] > 0,
            "probe": key not in has_probe,
            "ablation": key not in has_ablation,
        }
        rows += [(*key, name) for name, lacking in lacks.items() if lacking]
    return pd.DataFrame(rows, columns=["model", "task", "missing"])


def run_sentence(run: Mapping[str, Any]) -> str:
    """Tell one run in a line: what, when, where, how long, with what.

    Parameters
    ----------
    run : mapping
        A row of the view ``runs``, with ``seed``.
    """
    started = pd.to_datetime(str(run["started_at"]), errors="coerce")
    when = "" if pd.isna(started) else f" {started:%Y-%m-%d %H:%M}"
    stages = {"recording": "seconds_extract", "scoring": "seconds_score", "ablation": "seconds_ablate"}
    times = [f"{name} {_duration(run[key])}" for name, key in stages.items() if pd.notna(run[key])]
    spent = f"; {', '.join(times)}" if times else ""
    return (
        f"**{plain(run['model'])}**: {plain(run['status'])}{when} on {plain(run['device'])}{spent}; "
        f"run {run['run_id']}, seed {run['seed']}, version {plain(run['code_version'])}"
    )


def run_title(run: Mapping[Any, Any]) -> str:
    """Name a run in few words: number, model, when, how it ended."""
    started = pd.to_datetime(str(run["started_at"]), errors="coerce")
    when = "" if pd.isna(started) else f", {started:%Y-%m-%d %H:%M}"
    return f"Run {run['run_id']}: {run['model']}{when}, {run['status']}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def run_notes(runs: pd.DataFrame) -> pd.DataFrame:
    """List what the runs of each model said they left out.

    Parameters
    ----------
    runs : DataFrame
        ``run_id``, ``model``, ``notes_json``.

    Returns
    -------
    DataFrame
        ``model``, ``task``, ``missing``.
    """
    rows: list[tuple[str, str, str]] = []
    for model, notes in zip(runs["model"], runs["notes_json"], strict=True):
        for note in json.loads(notes) if isinstance(notes, str) else []:
            task, _, text = str(note).partition(": ")
            rows.append((str(model), task, text))
    return pd.DataFrame(rows, columns=["model", "task", "missing"]).drop_duplicates(ignore_index=True)


def quota_note(coverage: pd.DataFrame, preset: str) -> str:
    """Say where a preset's count is a quota, with the counts that shuffled labels give beside it.

    Parameters
    ----------
    coverage : DataFrame
        Rows of ``task_coverage`` of one preset.

    Returns
    -------
    str
        Markdown; empty where the preset has no quota.
    """
    rates = {setting(text, "entropy_rate") for text in coverage["settings_json"]}
    shares = sorted(rate for rate in rates if not math.isnan(rate))
    if not shares or preset == "calibrated":
        return ""
    share = f"{100 * shares[0]:g} %" if len(shares) == 1 else f"{100 * shares[0]:g} to {100 * shares[-1]:g} %"
    known = coverage[coverage["null_n_class_specific_mean"].notna()]
    chosen = f"{coverage['n_class_specific'].mean():,.0f} a task here"
    text = f"**{preset} is a quota.** It never takes more than {share} of the neurons, whatever they do: {chosen}"
    if known.empty:
        return f"{text}. Without shuffled labels beside it, such a count says nothing."
    null = known["null_n_class_specific_mean"]
    beyond = int((known["n_class_specific"] > known["null_n_class_specific_high"].fillna(null)).sum())
    return (
        f"{text}, and {null.mean():,.1f} with shuffled labels. It lies beyond the shuffled ones in {beyond} of "
        f"{len(known)} cases. Read a coverage only as far as it lies beyond the grey."
    )


def setting(settings_json: object, name: str) -> float:
    """Return a number out of a selection's settings, NaN where it has none of that name."""
    try:
        value = json.loads(str(settings_json)).get(name)
    except (json.JSONDecodeError, AttributeError):
        return math.nan
    return float(value) if isinstance(value, (int, float)) else math.nan


def shares_by_layer(by_layer: pd.DataFrame) -> pd.DataFrame:
    """Average over tasks the share of each layer's neurons that are class-specific.

    Parameters
    ----------
    by_layer : DataFrame
        ``model``, ``task``, ``layer``, ``width``, ``n_class_specific``.

    Returns
    -------
    DataFrame
        ``model``, ``layer``, ``share``.
    """
    shares = by_layer.assign(share=by_layer["n_class_specific"] / by_layer["width"])
    return shares.groupby(["model", "layer"], sort=False)[["share"]].mean().reset_index()


def null_shares(coverage: pd.DataFrame, n_neurons: Mapping[str, int]) -> pd.DataFrame:
    """Average over tasks the share of a model's neurons that shuffled labels make class-specific.

    Returns
    -------
    DataFrame
        ``model``, ``share``; without the models whose null was not computed.
    """
    known = coverage[coverage["null_n_class_specific_mean"].notna()]
    of_model = known["model"].map(dict(n_neurons)).astype("float64")
    shares = known.assign(share=known["null_n_class_specific_mean"] / of_model)
    return shares.groupby("model", sort=False)[["share"]].mean().reset_index()


def settings_text(config_json: object) -> str:
    """Lay out a run's settings one a line; the text itself where it is no JSON object."""
    try:
        settings = json.loads(str(config_json))
    except json.JSONDecodeError:
        return str(config_json)
    return json.dumps(settings, indent=1, ensure_ascii=False)


def trust_sentence(row: Mapping[Any, Any]) -> str:
    """Tell how far attributions can be trusted: rank correlation with what was measured."""
    random, highest = (row[f"spearman_{name}"] for name in ("random", "highest"))
    return (
        f"{int(row['n_checked']):,} neurons were really taken out, one at a time, on {int(row['n_clips_checked']):,} "
        f"clips. Rank correlation of estimate and measurement: **{number(random, '.2f')}** over neurons drawn at "
        f"random, **{number(highest, '.2f')}** over the strongest (1 = same order, 0 = no relation)."
    )


def predictor_sentence(row: Mapping[Any, Any]) -> str:
    """Tell which gradient predicts better what single neurons do, in total and of the selective part; else empty."""
    told = []
    for kind, what in (("total", "the log probability of the class"), ("selective", "the selective part")):
        margin, selective = row[f"margin_{kind}"], row[f"selective_{kind}"]
        if margin != margin or selective != selective:
            continue
        names = ("the margin's gradient", "that of the class's logit, own clips less others")
        (first, high), (second, low) = sorted(zip(names, (margin, selective), strict=True), key=lambda each: -each[1])
        told.append(f"{what}: {first} ({number(high, '.2f')} against {number(low, '.2f')} of {second})")
    return f"What predicts better what ablating one neuron does to {'; of '.join(told)}." if told else ""


def words_score(said: Mapping[Any, Any]) -> str:
    """Tell how well a description predicts a unit's activation, beside what it must beat, and whose it is.

    Parameters
    ----------
    said : mapping
        ``correlation``, ``null_correlation_high``, ``beats_null``, ``author``; of `db.reads.descriptions.of_units`.

    Examples
    --------
    >>> words_score({"correlation": 0.714, "null_correlation_high": 0.35, "beats_null": 1, "author": "atlas"})
    'r 0.71 on held-out clips, others’ up to 0.35'
    """
    high = said["null_correlation_high"]
    beside = "nothing to compare it with" if pd.isna(high) else f"others’ up to {number(high, '.2f')}"
    who = "" if said["author"] == OURS else f", by {said['author']}"
    return f"r {number(said['correlation'], '.2f')} on held-out clips, {beside}{_no_better(said)}{who}"


def in_words(said: Mapping[Any, Any]) -> str:
    """Tell a unit in one line: its description, how well that predicts, and what it must beat.

    Parameters
    ----------
    said : mapping
        As of `words_score`, and ``description``; that of a run has its r in it.

    Examples
    --------
    >>> in_words({"description": "fires on noise (r = 0.71, shifted 0.12)", "correlation": 0.714,
    ...           "null_correlation_high": 0.35, "beats_null": 1, "author": "atlas"})
    'fires on noise (r = 0.71, shifted 0.12); others’ r up to 0.35'
    """
    high = said["null_correlation_high"]
    if said["author"] != OURS or pd.isna(high):
        return f"{said['description']}: {words_score(said)}"
    return f"{said['description']}; others’ r up to {number(high, '.2f')}{_no_better(said)}"


def _no_better(said: Mapping[Any, Any]) -> str:
    is_better = said["beats_null"] or pd.isna(said["null_correlation_high"])
    return "" if is_better else ": no better than others’"
