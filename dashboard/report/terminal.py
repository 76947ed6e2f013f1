"""The study in short, as a terminal shows it at the end of a run; loads no charts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from dashboard.report import tables
from dashboard.shared.text import kinds
from dashboard.shared.text.numbers import between, number
from db.reads import report, segments, study

_LACKS = 5
_WHERE = ("db", "data_dirs", "evar_dir", "weights", "model", "models", "tasks")
"""Settings that say where things lie, or what the other lines tell."""


def in_short(engine: Engine, models: Collection[str], tasks: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a terminal has room for.

    Parameters
    ----------
    models, tasks : collection of str
        Those that are shown.

    Returns
    -------
    DataFrame, DataFrame
        What was studied (``what``, ``told``), and a row a task and model.
    """
    coverage, runs = report.all_coverage(engine), study.runs(engine)
    lacks = tables.lacks(engine, coverage, runs)
    in_time = segments.tasks(engine)
    in_time = in_time[in_time["model"].isin(models)]
    lacks = lacks[lacks["model"].isin(models) & lacks["task"].isin([*tasks, ""])]
    lines = [
        *_of_models_and_datasets(engine, models, tasks),
        *_of_runs(runs[runs["model"].isin(models)]),
        *_of_segments(in_time),
        *_of_lacks(lacks[(lacks["task"] != "") | ~lacks["model"].isin(in_time["model"])]),
    ]
    selected = coverage[coverage["model"].isin(models) & coverage["task"].isin(tasks)]
    return pd.DataFrame(lines, columns=["what", "told"]), _results(engine, tables.one_preset(selected))


def _of_models_and_datasets(
    engine: Engine, models: Collection[str], tasks: Collection[str]
) -> Iterator[tuple[str, str]]:
    all_models = tables.models(engine)
    for row in all_models[all_models["name"].isin(models)].to_dict("records"):
        size = f"{row['n_neurons']:,} neurons in {row['n_layers']:,} layers"
        yield "model", f"{row['name']}: {size}, weights {row['weights']}"
    datasets, of_tasks = tables.datasets(engine), study.tasks(engine)
    for row in datasets[datasets["name"].isin(of_tasks[of_tasks["task"].isin(tasks)]["dataset"])].to_dict("records"):
        size = f"{row['n_clips']:,} clips, {row['hours']} hours, {row['splits']} ({row['split_origin']})"
        yield "dataset", f"{row['name']}: {size}; {row['n_problems']:,} left out"


def _of_runs(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Settings and versions of the newest run of each model, equal ones once; time of all."""
    newest = runs.drop_duplicates("model")
    for what, column in (("settings", "config_json"), ("versions", "versions_json")):
        lines = newest[column].map(lambda given: tables.in_line(given, without=_WHERE))
        for line, of in newest.groupby(lines, sort=False):
            yield what, str(line) if len(of) == len(newest) else f"{', '.join(of['model'])}: {line}"
    for model, of in runs.groupby("model", sort=False):
        spent = ", ".join(f"{name.removeprefix('seconds_')} {_seconds(of[name].sum())}" for name in tables.SECONDS)
        device = ", ".join(dict.fromkeys(of["device"].astype(str)))
        yield "time", f"{model}: {spent} ({len(of)} {'run' if len(of) == 1 else 'runs'}, {device})"


def _of_segments(in_time: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Units and classes found in time, beside labels shifted in time."""
    for row in in_time.to_dict("records"):
        null = row["null_coverage_mean"] * row["n_classes"]
        yield (
            "in time",
            (
                f"{row['task']}, {row['model']}: {row['n_class_specific']:,} units for {row['n_classes_covered']:,} of "
                f"{row['n_classes']:,} classes; shifted labels {number(row['null_n_class_specific_mean'], ',.1f')} and "
                f"{number(null, '.1f')}{'; too coarse' if row['is_coarse'] else ''}"
            ),
        )


def _of_lacks(lacks: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for model, task, lack in lacks.head(_LACKS).itertuples(index=False):
        yield "missing", f"{model}, {task}: {lack}"
    if len(lacks) > _LACKS:
        yield "missing", f"and {len(lacks) - _LACKS:,} more"


def _results(engine: Engine, coverage: pd.DataFrame) -> pd.DataFrame:
    """Head, coverage and ablation of each task and model, each beside its chance."""
    heads = tables.heads(engine)[["task", "model", "accuracy", "chance", "ci_low", "ci_high"]]
    both = coverage.merge(heads, "left", ["task", "model"]).merge(_ablated(engine), "left", ["task", "model"])
    return pd.DataFrame(
        {
            "Task": both["task"], "Model": both["model"],
            "Head": _around(both, "accuracy", "ci"), "Chance": _around(both, "chance"),
            "Covered": _around(both, "coverage"), "Null": _around(both, "null_coverage_mean", "null_coverage"),
            **{name: both[name].fillna("–") for name in ("Own class", "Random", "Significant")},
        }
    )  # fmt: skip


def _ablated(engine: Engine) -> pd.DataFrame:
    """What classes lose by their own neurons, what by random sets, and for how many of them it holds, as text.

    The selective part in logits, with its interval over classes, where effects were taken apart, and the classes for
    which it holds; else accuracy in per cent.
    """
    keys = ["task", "model"]
    means = tables.mean_effects(kinds.told(report.own_effects(engine)))
    means = means.rename(columns={"ci_low": "delta_low", "ci_high": "delta_high"})
    accuracy = pd.DataFrame(
        {
            "task": means["task"], "model": means["model"], "Own class": _around(means, "delta", "delta"),
            "Random": _around(means, "control_delta_mean", "control_delta"), "Significant": means["significant"],
        }
    )  # fmt: skip
    apart = kinds.over_classes(kinds.told(report.own_outcomes(engine)), keys)
    rows = [_taken_apart(row) for row in apart[apart["outcome"] == "selective"].to_dict("records")]
    return pd.concat([pd.DataFrame(rows, columns=accuracy.columns), accuracy]).drop_duplicates(keys)


def _taken_apart(row: Mapping[Any, Any]) -> dict[str, str]:
    around = between(row["low"], row["high"], "+z.2f", " ({}, {})").replace("–", "")
    return {
        "task": row["task"],
        "model": row["model"],
        "Own class": f"{_signed(row['mean'])}{around}",
        "Random": _signed(row["control"]),
        "Significant": f"{row['n_hold']} of {row['n']}",
    }


def _signed(value: float) -> str:
    return number(value, "+z.2f")


def _around(frame: pd.DataFrame, value: str, ends: str = "") -> list[str]:
    """Percent, with the interval from ``ends``_low to ``ends``_high where it is known; short."""
    values = [_percent(one) for one in frame[value]]
    if not ends:
        return values
    spans = zip(frame[f"{ends}_low"], frame[f"{ends}_high"], strict=True)
    written = [between(low, high, _percent, "({}, {})") for low, high in spans]
    return [one if span == "–" else f"{one} {span}" for one, span in zip(values, written, strict=True)]


def _percent(value: float) -> str:
    return number(100 * value, "z.0f")


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 10 else f"{value:.1f} s"
