"""The tables of the appendix: what a store says, as text; see `dashboard.report.appendix`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from dashboard.shared.text import facts
from dashboard.shared.text.numbers import between, number, share
from db.reads import coverage as coverage_queries
from db.reads import report, study

STAGES = ("extract", "score", "ablate")
_N_DRAWS, _LEAST_CLASSES = 2000, 5
_WHERE = ("db", "data_dirs", "evar_dir", "weights", "model", "models", "tasks")
"""Settings that say where things lie, or what the other tables list."""


def one_preset(coverage: pd.DataFrame) -> pd.DataFrame:
    """Of each task and model the rule of evidence, or what there is in its place."""
    ordered = coverage.assign(order=coverage["preset"].ne("calibrated")).sort_values(["task", "model", "order"])
    return ordered.drop_duplicates(["task", "model"])


def models(engine: Engine) -> pd.DataFrame:
    found = study.models(engine)
    return pd.DataFrame(
        {
            "Model": found["name"], "What it is": found["description"], "Layers": found["n_layers"].map(number),
            "Neurons": found["n_neurons"].map(number), "Parameters": found["n_parameters"].map(number),
            "Hz": found["sample_rate"].map(number), "Weights": found["weights_key"].str[:12],
            "Licence": found["licence"],
        }
    )  # fmt: skip


def datasets(engine: Engine) -> pd.DataFrame:
    found, parts = study.datasets(engine), report.splits(engine)
    order = {"train": 0, "valid": 1, "test": 2}
    parts = parts.sort_values("split", key=lambda names: names.map(order), kind="stable")
    parts["shown"] = [f"{split} {n:,}" for split, n in zip(parts["split"], parts["n_clips"], strict=True)]
    splits = parts.groupby("dataset")["shown"].agg(", ".join)
    hours = parts.groupby("dataset")["seconds"].sum() / 3600
    return pd.DataFrame(
        {
            "Dataset": found["name"], "Clips": found["n_clips"].map(number),
            "Hours": [number(hours.get(name, 0.0)) for name in found["name"]],
            "Splits": [splits.get(name, "–") for name in found["name"]], "What it is": found["description"],
            "Split is": found["split_origin"], "Files left out": found["n_problems"].map(number),
            "Licence": found["licence"], "Source": found["source"],
        }
    )  # fmt: skip


def tasks(engine: Engine) -> pd.DataFrame:
    found = study.tasks(engine).astype({"n_classes": object, "n_clips": object})
    found[["n_classes", "n_clips"]] = found[["n_classes", "n_clips"]].map(number)
    return named(found[["task", "dataset", "attribute", "n_classes", "n_clips"]], n_classes="Classes", n_clips="Clips")


def heads(engine: Engine) -> pd.DataFrame:
    found = whole_heads(engine)
    return pd.DataFrame(
        {
            "Task": found["task"], "Model": found["model"], "Measure": found["metric"],
            "Test clips": found["n_clips"].map(number), "Head": found["accuracy"].map(share),
            "95 % interval": _between(found, "ci_low", "ci_high", as_share=True), "Chance": found["chance"].map(share),
        }
    )  # fmt: skip


def whole_heads(engine: Engine) -> pd.DataFrame:
    """How heads did on all classes together, with intervals."""
    found = study.probe(engine)
    return facts.with_intervals(found[found["class_name"].isna()])


def coverage(engine: Engine) -> pd.DataFrame:
    found = report.all_coverage(engine)
    neurons = zip(found["null_n_class_specific_mean"], found["null_n_class_specific_high"], strict=True)
    return pd.DataFrame(
        {
            "Task": found["task"], "Model": found["model"], "Preset": found["preset"],
            "Classes": [f"{n} of {of}" for n, of in zip(found["n_classes_covered"], found["n_classes"], strict=True)],
            "Coverage": found["coverage"].map(share),
            "Null": _between(found, "null_coverage_low", "null_coverage_high", as_share=True),
            "Neurons": found["n_class_specific"].map(number),
            "Null neurons": [_with(number(mean), number(high)) for mean, high in neurons],
            "Shuffles": [f"{n:.0f} ({what})" if n else "none" for n, what in
                         zip(found["n_shuffles"].fillna(0), found["shuffled"], strict=True)],
            "Held": found["replicated_share"].map(share), "Held, all pairs":
            found["replicated_share_all_pairs"].map(share),
        }
    )  # fmt: skip


def mean_effects(own: pd.DataFrame) -> pd.DataFrame:
    """Means over the classes, a row a task, model and way to choose and change neurons; ``stand`` of how many."""
    own = own.assign(done=[facts.action(row) for row in own.to_dict("records")], stands=facts.believable(own))
    averaged = ["delta", "control_delta_mean", "control_delta_low", "control_delta_high", "n_neurons"]
    rows = []
    for (task, model, selection, done), of in own.groupby(["task", "model", "selection", "done"], sort=False):
        low, high = _interval(of["delta"].to_numpy())
        rows.append(
            {
                "task": task, "model": model, "done": f"{selection}, {done}", **of[averaged].mean(),
                "mean_low": low, "mean_high": high, "n_controls": of["n_controls"].min(),
                "stand": f"{of['stands'].sum()} of {len(of)}",
            }
        )  # fmt: skip
    columns = ["task", "model", "done", *averaged, "mean_low", "mean_high", "n_controls", "stand"]
    return pd.DataFrame(rows, columns=columns)


def ablation(own: pd.DataFrame) -> pd.DataFrame:
    found = mean_effects(own)
    percent = found.filter(regex="_(low|high)$") * 100
    return pd.DataFrame(
        {
            "Task": found["task"], "Model": found["model"], "Chosen, changed": found["done"],
            "Own class": found["delta"].map(_points), "95 % interval": _between(percent, "mean_low", "mean_high"),
            "Random sets": found["control_delta_mean"].map(_points),
            "Their range": _between(percent, "control_delta_low", "control_delta_high"),
            "Controls": found["n_controls"].map(number), "Stand": found["stand"],
            "Neurons": found["n_neurons"].map(number),
        }
    )  # fmt: skip


def specificities(engine: Engine) -> pd.DataFrame:
    found = report.specificities(engine)
    percent = found[["ci_low", "ci_high"]] * 100
    return pd.DataFrame(
        {
            "Task": found["task"], "Model": found["model"],
            "Chosen, changed": [f"{row['selection']}, {facts.action(row)}" for row in found.to_dict("records")],
            "Classes": found["n_classes"].map(number), "Own class": found["self_effect"].map(_points),
            "Others": found["cross_effect"].map(_points), "Difference": found["specificity"].map(_points),
            "95 % interval": _between(percent, "ci_low", "ci_high"),
        }
    )  # fmt: skip


def classes(own: pd.DataFrame) -> pd.DataFrame:
    percent = own[["ci_low", "ci_high", "control_delta_low", "control_delta_high"]] * 100
    return pd.DataFrame(
        {
            "Task": own["task"], "Model": own["model"], "Class": own["target"],
            "Chosen, changed": [f"{row['selection']}, {facts.action(row)}" for row in own.to_dict("records")],
            "Neurons": own["n_neurons"].map(number), "Clips": own["n_clips"].map(number),
            "Change": own["delta"].map(_points), "95 % interval": _between(percent, "ci_low", "ci_high"),
            "Random sets": own["control_delta_mean"].map(_points),
            "Their range": _between(percent, "control_delta_low", "control_delta_high"),
            "q": own["q_value"].map(number),
        }
    )  # fmt: skip


def selections(engine: Engine) -> pd.DataFrame:
    """Equal settings once."""
    found = report.all_coverage(engine)
    found["Values"] = [_listed(json.loads(text), without=("preset",)) for text in found["settings_json"]]
    rows = [
        (preset, values, ", ".join(dict.fromkeys(of["task"])))
        for (preset, values), of in found.groupby(["preset", "Values"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["Preset", "Values", "Tasks"])


def settings(runs: pd.DataFrame) -> pd.DataFrame:
    return _of_newest(runs, "config_json", _WHERE)


def versions(runs: pd.DataFrame) -> pd.DataFrame:
    return _of_newest(runs, "versions_json", ())


def _of_newest(runs: pd.DataFrame, column: str, without: Collection[str]) -> pd.DataFrame:
    newest = runs.drop_duplicates("model")
    values = [_listed(json.loads(str(text)), without) for text in newest[column]]
    return pd.DataFrame({"Model": newest["model"], "Values": values})


def runs(runs: pd.DataFrame) -> pd.DataFrame:
    seconds = {f"{stage.capitalize()}, s": runs[f"seconds_{stage}"].map(number) for stage in STAGES}
    return pd.DataFrame(
        {
            "Run": runs["run_id"].map(number), "Model": runs["model"], "Status": runs["status"],
            "Started (UTC)": runs["started_at"].astype(str).str[:16].str.replace("T", " "), "Device": runs["device"],
            "Seed": runs["seed"].astype(str), "Version": runs["code_version"], **seconds,
        }
    )  # fmt: skip


def lacks(engine: Engine) -> pd.DataFrame:
    coverage = one_preset(report.all_coverage(engine))
    skipped = study.skipped_probes(engine)[["model", "task", "reason"]].rename(columns={"reason": "missing"})
    lacking = facts.not_measured(coverage, study.probe(engine), coverage_queries.ablated_tasks(engine))
    notes = facts.run_notes(study.runs(engine))
    scored = set(coverage["model"])
    unscored = [(name, "", "no task is scored") for name in study.models(engine)["name"] if name not in scored]
    none = pd.DataFrame(unscored, columns=["model", "task", "missing"])
    rows = pd.concat([none, lacking, skipped, notes], ignore_index=True)
    return named(rows, missing="Missing, or note")


def named(frame: pd.DataFrame, **headings: str) -> pd.DataFrame:
    """Columns with a heading, values as text."""
    return frame.rename(columns=lambda name: headings.get(name, name.capitalize())).astype(str)


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap of a mean over classes, as `ablation_specificity` has it; NaN of fewer than 5."""
    if len(values) < _LEAST_CLASSES or np.isnan(values).any():
        return float("nan"), float("nan")
    draws = np.random.default_rng(0).integers(len(values), size=(_N_DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _between(frame: pd.DataFrame, low: str, high: str, as_share: bool = False) -> list[str]:
    return [between(*ends, as_share=as_share) for ends in zip(frame[low], frame[high], strict=True)]


def _with(value: str, interval: str) -> str:
    return value if interval == "–" else f"{value} ({interval})"


def _points(value: float) -> str:
    return number(100 * value)


def _listed(values: Mapping[str, Any], without: Collection[str] = ()) -> str:
    told = {name: value for name, value in values.items() if name not in without and value not in ("", [])}
    return ", ".join(f"{name} {_setting(value)}" for name, value in told.items())


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_setting, value))
    return "auto" if value is None else value if isinstance(value, str) else json.dumps(value)
