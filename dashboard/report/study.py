"""The report's first half: what was studied, coverage, layers, linear heads; loads no charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
from sqlalchemy import Engine

from dashboard.report import tables
from dashboard.report.parts import Figure, Part, Table, as_shares, bullets, intervals
from dashboard.shared.presets import MEANING
from dashboard.shared.text import facts, kinds
from dashboard.shared.text.numbers import number, share
from dashboard.shared.text.words import plain
from db.reads import coverage as coverage_queries
from db.reads import report, study


def in_short(engine: Engine, coverage: pd.DataFrame, n_standing: int) -> Iterator[Part]:
    """What a reader should know who reads no further."""
    totals = study.store_facts(engine)
    counted = ", ".join(
        f"{int(totals[f'n_{name}s']):,} {name}{'' if totals[f'n_{name}s'] == 1 else 's'}"
        for name in ("model", "neuron", "task", "clip")
    )
    yield (
        f"{counted}. Each neuron's firing was counted on each class of each task. A neuron that fires clearly more for "
        "one class than for the others is called class-specific. Every count stands beside what the same search finds "
        "when the labels are shuffled; every ablation beside random neurons of the same layers."
    )
    lines = facts.beyond_chance(coverage[coverage["preset"] == "calibrated"])
    if lines:
        yield "By the rule of evidence (calibrated):"
        yield bullets(lines)
    lines = kinds.model_lines(report.own_outcomes(engine))
    if lines:
        yield "Ablations, beyond random sets and with q < 0.05:"
        yield bullets(lines)
    n_effects = report.n_effects(engine)
    if n_effects:
        yield (
            "Significant ablation effects on accuracy (q < 0.05, an interval that excludes 0, beyond every random "
            f"set): {n_standing:,} of {n_effects:,}."
        )


def studied(engine: Engine, coverage: pd.DataFrame, runs: pd.DataFrame) -> Iterator[Part]:
    """Models, datasets, runs, thresholds, settings and versions."""
    yield "### Models"
    yield Table(
        "Weights are the first characters of their sha256.", tables.models(engine),
        {"name": "Model", "description": "What it is", "n_layers": "Layers", "n_neurons": "Neurons",
         "n_parameters": "Parameters", "sample_rate": "Hz", "weights": "Weights", "licence": "Licence"},
    )  # fmt: skip
    yield "### Datasets"
    yield Table(
        "Hours and clips without the files left out; where the splits come from.", tables.datasets(engine),
        {"name": "Dataset", "description": "What it is", "n_clips": "Clips", "hours": "Hours", "splits": "Splits",
         "split_origin": "Split is", "n_problems": "Files left out", "licence": "Licence", "source": "Source"},
    )  # fmt: skip
    yield "### Tasks"
    yield Table(
        "The tasks that were scored, with the clips that choose neurons.", study.tasks(engine),
        {"task": "Task", "dataset": "Dataset", "attribute": "Attribute", "n_classes": "Classes", "n_clips": "Clips"},
    )  # fmt: skip
    yield "### Runs"
    started = runs["started_at"].astype(str).str[:16].str.replace("T", " ")
    yield Table(
        "Newest first, with seconds of computing in each stage; a run that was killed tells none.",
        runs.assign(started_at=started, seed=runs["seed"].astype(str)),
        {"run_id": "Run", "model": "Model", "status": "Status", "started_at": "Started (UTC)", "device": "Device",
         "seed": "Seed", "code_version": "Version", **tables.SECONDS},
    )  # fmt: skip
    yield "### Thresholds of the selections"
    values = coverage["settings_json"].map(lambda given: tables.in_line(given, without=("preset",)))
    kinds = coverage.assign(values=values).groupby(["preset", "values"], sort=False)["task"]
    yield Table(
        "Every threshold that was in force.", kinds.agg(lambda of: ", ".join(of.unique())).reset_index(),
        {"preset": "Preset", "values": "Values", "task": "Tasks"},
    )  # fmt: skip
    yield "### Settings and versions"
    newest = runs.drop_duplicates("model")
    for column, name in (("config_json", "Settings"), ("versions_json", "Versions")):
        lines = newest[column].map(lambda given: _code(tables.settings(given, without=("model",))))
        for laid_out, of in newest.groupby(lines, sort=False):
            yield f"{name} of the newest run of {', '.join(map(plain, of['model']))}:"
            yield str(laid_out)


def _code(values: Mapping[str, str]) -> str:
    """One a line, indented, which Markdown shows as it is."""
    return "\n".join(f"    {' '.join(name.split())}: {value}" for name, value in values.items())


def coverage(rows: pd.DataFrame) -> Iterator[Part]:
    """Coverage of each preset beside its null."""
    if rows.empty:
        yield "*No task was scored.*"
    for preset in [name for name in MEANING if name in set(rows["preset"])]:
        of = rows[rows["preset"] == preset].reset_index(drop=True)
        yield f"### {preset}"
        yield MEANING[preset]
        if preset != "lape" and of["null_coverage_mean"].notna().any():
            yield Figure(
                "coverage", (of,),
                f"Coverage by {preset}. Points: share of a task's classes that have at least one class-specific "
                "neuron. Grey: 2.5th to 97.5th percentile of the same selection on shuffled labels, with its mean.",
            )  # fmt: skip
            yield Figure(
                "counts", (of,), f"Class-specific neurons by {preset}; grey: their mean number on shuffled labels."
            )
        neurons = zip(of["null_n_class_specific_mean"], of["null_n_class_specific_high"], strict=True)
        written = of.assign(
            classes=[f"{c} of {n}" for c, n in zip(of["n_classes_covered"], of["n_classes"], strict=True)],
            null=intervals(of, "null_coverage", share),
            null_neurons=[number(mean) + ("" if pd.isna(high) else f" ({number(high)})") for mean, high in neurons],
            shuffles=[f"{n:,.0f} ({what})" if n else "none"
                      for n, what in zip(of["n_shuffles"].fillna(0), of["shuffled"], strict=True)],
            **{name: of[name].map(share) for name in ("coverage", "replicated_share", "replicated_share_all_pairs")},
        )  # fmt: skip
        yield Table(
            f"Coverage by {preset}. Null: 95 % of what shuffled labels give. Neurons on shuffled labels: mean (97.5th "
            "percentile). Held: share of the chosen pairs that hold on test clips, beside the share of all pairs.",
            written,
            {"task": "Task", "model": "Model", "classes": "Classes", "coverage": "Coverage", "null": "Null",
             "n_class_specific": "Neurons", "null_neurons": "On shuffled labels", "shuffles": "Shuffles",
             "replicated_share": "Held", "replicated_share_all_pairs": "Held, all pairs"},
            list(~(of["coverage"] > of["null_coverage_high"])), "not above the null",
        )  # fmt: skip


def by_layer(engine: Engine, coverage: pd.DataFrame) -> Iterator[Part]:
    """The share of each layer that is class-specific."""
    models = study.models(engine)
    widths = dict(zip(models["name"], models["n_neurons"], strict=True))
    by_preset = {preset: coverage_queries.specific_by_layer(engine, preset) for preset in ("calibrated", "aape")}
    if all(counts.empty for counts in by_preset.values()):
        yield "*No class-specific neurons are stored.*"
    for preset, counts in by_preset.items():
        if counts.empty:
            continue
        nulls = facts.null_shares(coverage[coverage["preset"] == preset], widths)
        shares = facts.shares_by_layer(counts)
        what = f"Share of each layer's neurons that are class-specific by {preset}, mean over the tasks."
        dashed = "Dashed: mean of the same on shuffled labels, known for the whole model only."
        yield Figure("layers", (shares, nulls), f"{what} {dashed}")
        wide = shares.pivot(index="layer", columns="model", values="share").map(lambda value: f"{value:.2%}")
        yield Table(what, wide.reset_index(), {"layer": "Layer", **{str(name): str(name) for name in wide}})


def heads(engine: Engine) -> Iterator[Part]:
    """How well a linear head tells the classes, with its interval."""
    rows = tables.heads(engine)
    if rows.empty:
        yield "*No linear probe was trained.*"
        return
    yield Figure(
        "heads", (rows,),
        "Linear heads on the model's frozen features, on test clips, with 95 % intervals; grey: chance. It tells "
        "whether a model knows the classes at all.",
    )  # fmt: skip
    probes = report.feature_probes(engine)
    spectrum = probes[probes["feature"] == "spectrum"][["model", "task", "accuracy"]]
    rows = rows.merge(spectrum.rename(columns={"accuracy": "spectrum"}), on=["model", "task"], how="left")
    yield Table(
        "Heads on test clips, with 95 % intervals (Wilson's; a mean average precision has none), beside chance and "
        "beside the same probe on the mean spectrum alone (16 bands).",
        as_shares(rows, "accuracy", "chance", "spectrum"),
        {"task": "Task", "model": "Model", "metric": "Measure", "n_clips": "Test clips", "accuracy": "Head",
         "interval": "95 % interval", "chance": "Chance", "spectrum": "Spectrum alone"},
    )  # fmt: skip
