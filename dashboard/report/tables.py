"""What the report, the summary and the terminal tell alike of a store, a row a thing told; loads no charts."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from dashboard.shared.text import facts, kinds
from dashboard.shared.text.numbers import number
from db.reads import coverage as coverage_queries
from db.reads import report, study

SECONDS = {f"seconds_{stage}": f"{stage.capitalize()}, s" for stage in ("extract", "score", "ablate")}
"""Columns of a run's seconds, with their headings."""


def one_preset(coverage: pd.DataFrame) -> pd.DataFrame:
    """Of each task and model the rule of evidence, or what there is in its place."""
    ordered = coverage.assign(order=coverage["preset"].ne("calibrated")).sort_values(["task", "model", "order"])
    return ordered.drop_duplicates(["task", "model"])


def models(engine: Engine) -> pd.DataFrame:
    """The models, with the first characters of their weights' sha256 as ``weights``."""
    table = study.models(engine)
    return table.assign(weights=table["weights_key"].str[:12])


def datasets(engine: Engine) -> pd.DataFrame:
    """The datasets with their ``hours`` and ``splits``, as text."""
    table, parts = study.datasets(engine), report.splits(engine)
    order = {"train": 0, "valid": 1, "test": 2}
    parts = parts.sort_values("split", key=lambda names: names.map(order), kind="stable")
    parts["shown"] = [f"{split} {n:,}" for split, n in zip(parts["split"], parts["n_clips"], strict=True)]
    splits = parts.groupby("dataset")["shown"].agg(", ".join)
    hours = parts.groupby("dataset")["seconds"].sum() / 3600
    return table.assign(
        hours=[number(hours.get(name, 0.0)) for name in table["name"]],
        splits=[splits.get(name, "–") for name in table["name"]],
    )


def heads(engine: Engine) -> pd.DataFrame:
    """How linear heads did on all classes together, with intervals."""
    probes = study.probe(engine)
    return probes[probes["class_name"].isna()]


def mean_effects(own: pd.DataFrame) -> pd.DataFrame:
    """Mean effects over the classes, a row a task, model and way to choose and change neurons.

    ``ci_low`` and ``ci_high`` are of the mean; ``significant`` tells how many effects are, of how many.
    """
    own = own.assign(stands=facts.believable(own))
    keys = ["task", "model", "selection", "operation", "gain"]
    averaged = ["delta", "control_delta_mean", "control_delta_low", "control_delta_high", "n_neurons"]
    rows = []
    for key, of in own.groupby(keys, sort=False, dropna=False):
        low, high = kinds.interval_of_mean(of["delta"].to_numpy())
        significant = f"{of['stands'].sum()} of {len(of)}"
        beside = {"ci_low": low, "ci_high": high, "n_controls": of["n_controls"].min(), "significant": significant}
        rows.append({**dict(zip(keys, key, strict=True)), **of[averaged].mean(), **beside})
    return pd.DataFrame(rows, columns=[*keys, *averaged, "ci_low", "ci_high", "n_controls", "significant"])


def settings(given: object, without: Collection[str] = ()) -> dict[str, str]:
    """Settings or versions out of their JSON, values as text."""
    return {name: _setting(value) for name, value in json.loads(str(given)).items() if name not in without}


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_setting, value))
    return "auto" if value is None else " ".join(value.split()) if isinstance(value, str) else json.dumps(value)


def in_line(given: object, without: Collection[str] = ()) -> str:
    """The settings that are not empty, in a line."""
    return ", ".join(f"{name} {value}" for name, value in settings(given, without).items() if value)


def lacks(engine: Engine, coverage: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """What each model and task lacks, and what was cut short: ``model``, ``task``, ``missing``."""
    scored = set(coverage["model"])
    unscored = [(name, "", "no task is scored") for name in study.models(engine)["name"] if name not in scored]
    skipped = study.skipped_probes(engine)[["model", "task", "reason"]].rename(columns={"reason": "missing"})
    ablated = coverage_queries.ablated_tasks(engine)
    lacking = facts.not_measured(one_preset(coverage), study.probe(engine), ablated)
    none = pd.DataFrame(unscored, columns=["model", "task", "missing"])
    return pd.concat([none, lacking, skipped, facts.run_notes(runs)], ignore_index=True)
