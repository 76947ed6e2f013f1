"""The study as a paper's appendix would print it: what was studied, how, and what was found beside chance.

`sections` are tables of text, whole; `markdown` writes them; `in_short` is what a terminal shows. Every number is
the store's, or a sum or mean of the store's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from dashboard.report import appendix_tables as tables
from db.reads import report, study

MOST_ROWS = 1000
"""Of a table; how many more there are is told."""
_LACKS = 5
"""That a terminal shows."""
_MARKS = re.compile(r"([\\`*_<>|\[\]])")


@dataclass(frozen=True)
class Section:
    """A table of the appendix; ``table`` holds text, and is empty where nothing was measured."""

    title: str
    caption: str
    table: pd.DataFrame


def write_summary(engine: Engine, path: Path, name: str) -> None:
    """Write the appendix of a store as Markdown; an older file is replaced, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; names it.
    """
    told = markdown(sections(engine), f"Summary of {name}")
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(told, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:  # a full disk does not say which file it meant
        raise OSError(error.errno, error.strerror, str(path)) from error


def markdown(parts: Sequence[Section], title: str) -> str:
    """Write sections; names from the store show as they are."""
    lines = [f"# {_escaped(title)}"]
    for part in parts:
        lines += ["", f"## {part.title}", part.caption]
        rows = part.table.head(MOST_ROWS)
        if rows.empty:
            lines += ["", "None."]
            continue
        lines += ["", _row(rows.columns), "|" + " --- |" * len(rows.columns)]
        lines += [_row(row) for row in rows.itertuples(index=False)]
        if len(part.table) > len(rows):
            lines += ["", f"The first {len(rows):,} of {len(part.table):,} rows; the store holds all."]
    return "\n".join(lines) + "\n"


def sections(engine: Engine) -> list[Section]:
    """Everything that a store says of its study."""
    runs, own = study.runs(engine), report.own_effects(engine)
    return [
        Section("Models", "Weights are the first characters of their sha256.", tables.models(engine)),
        Section("Datasets", "Hours and clips without the files left out.", tables.datasets(engine)),
        Section("Tasks", "Clips are those that choose neurons.", tables.tasks(engine)),
        Section(
            "Linear heads",
            "On test clips; 95 % intervals are Wilson's, and a mean average precision has none.",
            tables.heads(engine),
        ),
        Section(
            "Coverage",
            "Classes with class-specific neurons. Null: 95 % of what the same selection gives on shuffled labels, of "
            "the neurons its mean and 97.5th percentile. Held: share of the chosen pairs that hold on test clips, "
            "beside the share of all pairs.",
            tables.coverage(engine),
        ),
        Section(
            "Ablation of a class's own neurons",
            "Change of the class's accuracy in points, mean over the classes with its 95 % bootstrap interval (of 5 "
            "classes and more); beside the mean of random sets and of their 95 % ranges. Stands: q < 0.05, an interval "
            "without 0, beyond the random sets' range.",
            tables.ablation(own),
        ),
        Section(
            "Own class against others",
            "Mean change of a class by its own neurons and of the other classes by them, each less what random sets "
            "cost; their difference with its 95 % bootstrap interval.",
            tables.specificities(engine),
        ),
        Section(
            "Ablation, class by class",
            "Of each class the change by its own neurons.",
            tables.classes(own),
        ),
        Section("Selections", "Every threshold that was in force.", tables.selections(engine)),
        Section("Settings", "Of the newest run of each model.", tables.settings(runs)),
        Section("Versions", "Of the newest run of each model.", tables.versions(runs)),
        Section("Runs", "Seconds of computing in each stage; a run that was killed tells none.", tables.runs(runs)),
        Section("Not measured, and notes", "What a model or task lacks, and what was cut short.", tables.lacks(engine)),
        Section("Warnings", "What may spoil a result.", tables.named(study.warnings(engine))),
        Section(
            "Files left out", "Files that cannot be used, or lack something.", tables.named(study.problems(engine))
        ),
    ]


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
    return _studied(engine, models, tasks), _results(engine, models, tasks)


def _studied(engine: Engine, models: Collection[str], tasks: Collection[str]) -> pd.DataFrame:
    """Models, datasets, settings, versions and time in a few lines."""
    of_models, of_tasks = tables.models(engine), study.tasks(engine)
    datasets = set(of_tasks[of_tasks["task"].isin(tasks)]["dataset"])
    rows = [
        ("model", f"{row['Model']}: {row['Neurons']} neurons in {row['Layers']} layers, weights {row['Weights']}")
        for row in of_models[of_models["Model"].isin(models)].to_dict("records")
    ]
    of_datasets = tables.datasets(engine)
    for row in of_datasets[of_datasets["Dataset"].isin(datasets)].to_dict("records"):
        size = f"{row['Clips']} clips, {row['Hours']} hours, {row['Splits']} ({row['Split is']})"
        rows.append(("dataset", f"{row['Dataset']}: {size}; {row['Files left out']} left out"))
    runs = study.runs(engine)
    runs = runs[runs["model"].isin(models)]
    for what, frame in (("settings", tables.settings(runs)), ("versions", tables.versions(runs))):
        for told, of in frame.groupby("Values", sort=False):
            which = "" if len(of) == len(frame) else f"{', '.join(of['Model'])}: "
            rows.append((what, f"{which}{told}"))
    for model, of in runs.groupby("model", sort=False):
        spent = ", ".join(f"{stage} {_seconds(of[f'seconds_{stage}'].sum())}" for stage in tables.STAGES)
        device = ", ".join(dict.fromkeys(of["device"].astype(str)))
        rows.append(("time", f"{model}: {spent} ({len(of)} {'run' if len(of) == 1 else 'runs'}, {device})"))
    lacks = tables.lacks(engine)
    lacks = lacks[lacks["Model"].isin(models) & lacks["Task"].isin([*tasks, ""])]
    lines = [f"{model}, {task}: {lack}" for model, task, lack in lacks.head(_LACKS).itertuples(index=False)]
    lines += [f"and {len(lacks) - _LACKS:,} more"] if len(lacks) > _LACKS else []
    rows += [("missing", line) for line in lines]
    return pd.DataFrame(rows, columns=["what", "told"])


def _results(engine: Engine, models: Collection[str], tasks: Collection[str]) -> pd.DataFrame:
    """Head, coverage and ablation of each task and model, each beside its chance."""
    found = tables.one_preset(report.all_coverage(engine))
    found = found[found["model"].isin(models) & found["task"].isin(tasks)]
    heads = tables.whole_heads(engine)[["task", "model", "accuracy", "chance", "ci_low", "ci_high"]]
    effects = tables.mean_effects(report.own_effects(engine)).drop_duplicates(["task", "model"])
    both = found.merge(heads, "left", ["task", "model"]).merge(effects, "left", ["task", "model"])
    return pd.DataFrame(
        {
            "Task": both["task"], "Model": both["model"],
            "Head": _around(both, "accuracy", "ci"), "Chance": _around(both, "chance"),
            "Covered": _around(both, "coverage"), "Null": _around(both, "null_coverage_mean", "null_coverage"),
            "Own class": _around(both, "delta", "mean"),
            "Random": _around(both, "control_delta_mean", "control_delta"), "Stand": both["stand"].fillna("–"),
        }
    )  # fmt: skip


def _around(frame: pd.DataFrame, value: str, ends: str = "") -> list[str]:
    """Percent, with the interval from ``ends``_low to ``ends``_high where it is known; short."""
    values = [_percent(one) for one in frame[value]]
    if not ends:
        return values
    low, high = ([_percent(one) for one in frame[f"{ends}_{end}"]] for end in ("low", "high"))
    return [v if a == "–" else f"{v} ({a}, {b})" for v, a, b in zip(values, low, high, strict=True)]


def _percent(value: float) -> str:
    return "–" if pd.isna(value) else f"{round(100 * value)}".replace("-", "−")


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 10 else f"{value:.1f} s"


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(value: object) -> str:
    printable = "".join(c if c.isprintable() else "�" for c in " ".join(str(value).split()))
    return _MARKS.sub(r"\\\1", printable)
