"""The report's first half: what was studied, coverage, layers, linear heads."""

from __future__ import annotations

import json

import pandas as pd
from sqlalchemy import Engine

from dashboard.report.html import Figures, bullets, paragraph, table, text
from dashboard.shared.charts import by_task as charts
from dashboard.shared.presets import MEANING, TERMS
from dashboard.shared.text import facts
from dashboard.shared.text.numbers import between, number, share
from db.reads import coverage as coverage_queries
from db.reads import report, study

_STAGES = ("seconds_extract", "seconds_score", "seconds_ablate")


def in_short(engine: Engine) -> str:
    """Write what a reader should know who reads no further."""
    totals = study.store_facts(engine)
    counted = ", ".join(
        f"{int(totals[f'n_{name}s']):,} {name}{'' if totals[f'n_{name}s'] == 1 else 's'}"
        for name in ("model", "neuron", "task", "clip")
    )
    html = paragraph(
        f"{counted}. Each neuron's firing was counted on each class of each task. A neuron that fires clearly more for "
        "one class than for the others is called class-specific. Every count stands beside what the same search finds "
        "when the labels are shuffled; every ablation beside random neurons of the same layers."
    )
    lines = facts.beyond_chance(study.coverage(engine, "calibrated"))
    if lines:
        html += paragraph("By the rule of evidence (calibrated):") + bullets(lines)
    standing = report.named(engine, "effects that stand")
    tried = study.models(engine)["name"]
    n_effects = sum(len(study.ablation_effects(engine, model)) for model in tried)
    if n_effects:
        html += paragraph(
            f"Ablation effects that stand (q < 0.05, an interval without 0, beyond every random set): "
            f"{len(standing):,} of {n_effects:,}."
        )
    return html


def studied(engine: Engine) -> str:
    """Write models, datasets, runs, settings and versions."""
    models, runs = study.models(engine), study.runs(engine)
    html = "<h3>Models</h3>" + table(
        models, "The models.",
        {"name": "Model", "description": "What it is", "n_layers": "Layers", "n_neurons": "Neurons",
         "n_parameters": "Parameters", "sample_rate": "Hz", "licence": "Licence"},
    )  # fmt: skip
    html += "<h3>Datasets</h3>" + table(
        study.datasets(engine), "The datasets, and where their splits come from.",
        {"name": "Dataset", "description": "What it is", "n_clips": "Clips", "n_problems": "Files left out",
         "split_origin": "Split", "licence": "Licence", "source": "Source"},
    )  # fmt: skip
    html += "<h3>Tasks</h3>" + table(
        study.tasks(engine), "The tasks that were scored, with the clips that choose neurons.",
        {"task": "Task", "dataset": "Dataset", "attribute": "Attribute", "n_classes": "Classes", "n_clips": "Clips"},
    )  # fmt: skip
    told = runs.assign(started_at=runs["started_at"].astype(str).str[:16].str.replace("T", " "))
    told["minutes"] = runs[list(_STAGES)].sum(axis=1, min_count=1) / 60
    html += "<h3>Runs</h3>" + table(
        told, "The runs, newest first; minutes of computing.",
        {"run_id": "Run", "model": "Model", "status": "Status", "started_at": "Started (UTC)", "minutes": "Minutes",
         "device": "Device", "seed": "Seed", "code_version": "Version"},
    )  # fmt: skip
    return html + "<h3>Settings and versions</h3>" + _settings(runs)


def _settings(runs: pd.DataFrame) -> str:
    """Write the settings of the newest run of each model; equal ones once."""
    newest = runs.drop_duplicates("model")
    html = ""
    for column, name in (("config_json", "Settings"), ("versions_json", "Versions")):
        kinds: dict[str, list[str]] = {}
        for model, given in zip(newest["model"], newest[column], strict=True):
            kinds.setdefault(_one_line_each(given), []).append(str(model))
        for laid_out, of in kinds.items():
            html += paragraph(f"{name} of the newest run of {', '.join(of)}:") + f"<pre>{text(laid_out)}</pre>\n"
    return html


def _one_line_each(given: object) -> str:
    try:
        values = json.loads(str(given))
    except json.JSONDecodeError:
        return str(given)
    if not isinstance(values, dict):
        return str(given)
    written = (f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items())
    return "\n".join(line for line in written if not line.startswith("model: "))


def coverage(engine: Engine, figures: Figures) -> str:
    """Write coverage of each preset beside its null."""
    rows = report.all_coverage(engine)
    html = ""
    for preset in [name for name in MEANING if name in set(rows["preset"])]:
        of = rows[rows["preset"] == preset].reset_index(drop=True)
        html += f"<h3>{text(preset)}</h3>" + paragraph(MEANING[preset])
        if preset != "lape" and of["null_coverage_mean"].notna().any():
            html += figures(
                charts.coverage_chart(of),
                f"Coverage by {preset}. Points: share of a task's classes that have at least one class-specific "
                "neuron. Grey: 2.5th to 97.5th percentile of the same selection on shuffled labels, with its mean.",
            )
            html += figures(
                charts.count_chart(of),
                f"Class-specific neurons by {preset}; grey: their mean number on shuffled labels.",
            )
        written = of.assign(
            classes=[f"{c} of {n}" for c, n in zip(of["n_classes_covered"], of["n_classes"], strict=True)],
            coverage=of["coverage"].map(share),
            null=[between(*ends, as_share=True) for ends in _pairs(of, "null_coverage_low", "null_coverage_high")],
            null_neurons=[
                f"{number(mean)} ({number(high)})"
                for mean, high in _pairs(of, "null_n_class_specific_mean", "null_n_class_specific_high")
            ],
            held=of["replicated_share"].map(share),
            held_all=of["replicated_share_all_pairs"].map(share),
        )
        beyond = of["coverage"] > of["null_coverage_high"]
        html += table(
            written,
            f"Coverage by {preset}. Null: 95 % of what shuffled labels give. Neurons on shuffled labels: mean (97.5th "
            "percentile). Held: share of the chosen pairs that hold on test clips, beside the share of all pairs that "
            "do. Grey rows: not above the null.",
            {"task": "Task", "model": "Model", "classes": "Classes", "coverage": "Coverage", "null": "Null",
             "n_class_specific": "Neurons", "null_neurons": "On shuffled labels", "held": "Held",
             "held_all": "Held, all pairs"},
            grey=~beyond,
        )  # fmt: skip
    return html


def _pairs(frame: pd.DataFrame, low: str, high: str) -> list[tuple[float, float]]:
    return list(zip(frame[low], frame[high], strict=True))


def by_layer(engine: Engine, figures: Figures) -> str:
    """Write the share of each layer that is class-specific."""
    models = study.models(engine)
    widths = dict(zip(models["name"], models["n_neurons"], strict=True))
    html = ""
    for preset in ("calibrated", "aape"):
        found = coverage_queries.specific_by_layer(engine, preset)
        if found.empty:
            continue
        nulls = facts.null_shares(study.coverage(engine, preset), widths)
        shares = facts.shares_by_layer(found)
        html += figures(
            charts.layer_chart(shares, nulls),
            f"Share of each layer's neurons that are class-specific by {preset}, mean over the tasks. Dashed: mean of "
            "the same on shuffled labels, known for the whole model only.",
        )
        wide = shares.pivot(index="layer", columns="model", values="share").reset_index()
        names = {str(name): str(name) for name in wide.columns if name != "layer"}
        written = wide.assign(**{name: wide[name].map(lambda v: f"{v:.2%}") for name in names})
        html += table(written, f"The same by {preset} in numbers.", {"layer": "Layer", **names})
    return html or paragraph("No class-specific neurons are stored.", style="none")


def heads(engine: Engine, figures: Figures) -> str:
    """Write how well a linear head tells the classes, with its interval."""
    probe = study.probe(engine)
    whole = probe[probe["class_name"].isna()] if len(probe) else probe
    if whole.empty:
        return paragraph("No linear head was trained.", style="none")
    rows = facts.with_intervals(whole)
    html = figures(
        charts.probe_chart(rows),
        "Linear heads on the model's frozen features, on test clips, with 95 % intervals; grey: chance. It tells "
        "whether a model knows the classes at all.",
    )
    spectrum = report.feature_probes(engine).query("feature == 'spectrum'")
    rows = rows.merge(
        spectrum[["model", "task", "accuracy"]].rename(columns={"accuracy": "spectrum"}),
        on=["model", "task"],
        how="left",
    )
    written = rows.assign(
        shown=rows["accuracy"].map(share),
        interval=[between(*ends, as_share=True) for ends in _pairs(rows, "ci_low", "ci_high")],
        chance=rows["chance"].map(share),
        spectrum=rows["spectrum"].map(share),
    )
    return html + table(
        written,
        "The same with 95 % intervals, beside chance and beside the same head on the mean spectrum alone (16 bands).",
        {"task": "Task", "model": "Model", "metric": "Measure", "n_clips": "Test clips", "shown": "Head",
         "interval": "95 % interval", "chance": "Chance", "spectrum": "Spectrum alone"},
    )  # fmt: skip


def terms() -> str:
    """Write what the words mean."""
    return bullets([f"**{word}**: {told}" for word, told in {**MEANING, **TERMS}.items()])
