"""The report's second half: sharing, tuning, ablation, confounds, what is missing, how to cite."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from dashboard.report.charts import pitch_chart, self_chart, shared_chart
from dashboard.report.html import Figures, bullets, paragraph, table, text
from dashboard.shared.text import facts
from dashboard.shared.text.numbers import between, number, share
from db.reads import report, study
from db.reads.named import NAMED

_BETWEEN = ("sharing by octave", "sharing by gender", "sharing by event")
_WITHIN = ("sharing of genres", "sharing of emotions", "sharing of languages")
MOST_PICTURES = 6  # of one comparison
MOST_CLASSES = 60  # of a picture's side
MOST_EFFECTS = 30
PAPER = (
    "T. Kawamura, D. Niizumi, N. Ono: What Do Neurons Listen To? A Neuron-level Dissection of a General-purpose Audio "
    "Model. arXiv 2602.15307 (2026)."
)


def sharing(engine: Engine, figures: Figures) -> str:
    """Write the paper's comparisons: same classes across datasets, classes within one."""
    html = paragraph(
        "Shared neurons of two classes, beside what sets of these sizes share by chance (hypergeometric). "
        "Rule: calibrated. Dots: q < 0.05."
    )
    empty = []
    for name in (*_BETWEEN, *_WITHIN):
        rows = report.named(engine, name)
        rows = rows[rows["preset"] == "calibrated"]
        if rows.empty:
            empty.append(NAMED[name][0])
            continue
        html += f"<h3>{text(NAMED[name][0])}</h3>"
        if name in _WITHIN:
            rows = _both_ways(rows)
        html += _summary(rows) if name in _BETWEEN else _largest(rows)
        pictures = 0
        for (model, task_a, task_b), of in rows.groupby(["model", "task_a", "task_b"], sort=True):
            if not of["n_shared"].any():
                where = task_a if task_a == task_b else f"{task_a} and {task_b}"
                html += paragraph(f"{model}: no two classes of {where} share a neuron.", style="none")
                continue
            if pictures == MOST_PICTURES or max(of["class_a"].nunique(), of["class_b"].nunique()) > MOST_CLASSES:
                continue
            pictures += 1
            what = f"{task_a} (rows) and {task_b} (columns)" if task_a != task_b else str(task_a)
            html += figures(shared_chart(of), f"Neurons of {model} that classes share: {what}.")
    if empty:
        html += paragraph(f"Not in this store: {'; '.join(empty)}.", style="none")
    return html


def _both_ways(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of one task, each both ways round, as between two tasks."""
    rows = rows.assign(task_a=rows["task"], task_b=rows["task"])
    turned = rows.rename(columns={"class_a": "class_b", "class_b": "class_a", "n_a": "n_b", "n_b": "n_a"})
    return pd.concat([rows, turned], ignore_index=True)


def _summary(rows: pd.DataFrame) -> str:
    """Same classes against other classes."""
    told = rows.assign(sure=rows["q_value"] < 0.05).groupby(["model", "task_a", "task_b", "same_class"], sort=True)
    sums = told.agg(
        n_pairs=("n_shared", "size"), n_shared=("n_shared", "sum"), expected=("expected", "sum"), n_sure=("sure", "sum")
    ).reset_index()
    sums["which"] = sums["same_class"].map({1: "the same class", 0: "other classes"})
    return table(
        sums, "Shared neurons of the same class in both tasks, and of other classes; expected by chance.",
        {"model": "Model", "task_a": "Task", "task_b": "and task", "which": "Pairs of", "n_pairs": "Pairs",
         "n_shared": "Shared", "expected": "Expected", "n_sure": "Pairs with q < 0.05"},
    )  # fmt: skip


def _largest(rows: pd.DataFrame) -> str:
    """The pairs that share most over chance."""
    once = rows[(rows["class_a"] < rows["class_b"]) & (rows["n_shared"] > 0)]
    if once.empty:
        return paragraph("No two classes share a neuron.", style="none")
    once = once.assign(
        odds=[f"{number(o)} ({between(low, high)})" if pd.notna(o) else "–"
              for o, low, high in zip(once["odds_ratio"], once["odds_low"], once["odds_high"], strict=True)]
    )  # fmt: skip
    once = once.sort_values(["model", "n_shared"], ascending=[True, False]).groupby("model").head(15)
    return table(
        once.reset_index(drop=True), "Pairs that share most. Grey: not beyond chance (q of 0.05 or more).",
        {"model": "Model", "class_a": "Class", "class_b": "and class", "n_a": "Neurons", "n_b": "and", "n_shared":
         "Shared", "expected": "Expected", "odds": "Odds ratio (95 %)", "q_value": "q"},
        grey=once["q_value"].reset_index(drop=True) >= 0.05,
    )  # fmt: skip


def tuning(engine: Engine, figures: Figures) -> str:
    """Write pitch tuning and the preferences of class-specific neurons."""
    rows = report.tuning(engine)
    html = ""
    if rows.empty:
        html += paragraph("No pitch task was scored.", style="none")
    else:
        html += figures(
            pitch_chart(rows),
            "Pitch neurons by the note at which they fire most. Class-specific neurons only (calibrated).",
        )
        known = rows.assign(octave=rows["oei_low"] > 0, told=rows["octave_equivalence_index"].notna())
        sums = known.groupby(["model", "task"]).agg(
            n=("octave", "size"),
            bandwidth=("bandwidth_semitones", "median"),
            n_octave=("octave", "sum"),
            told=("told", "sum"),
        )
        sums["chance"] = 0.025 * sums["told"]
        html += table(
            sums.reset_index(),
            "Octave equivalence: neurons whose index lies over 0 with its 95 % interval, beside the 2.5 % that "
            "would by chance. Harmonics an octave apart raise it too.",
            {"model": "Model", "task": "Task", "n": "Pitch neurons", "bandwidth": "Bandwidth, median (semitones)",
             "n_octave": "Octave-equivalent", "chance": "By chance"},
        )  # fmt: skip
    rows = report.preferences(engine)
    if rows.empty:
        return html
    return html + "<h3>Preferences</h3>" + table(
        _preferred(rows),
        "The classes in which most class-specific neurons of a task surely fire more than in the others (95 % interval "
        "of the log odds over 0; 2.5 % of the neurons would by chance). Tasks of up to 20 classes.",
        {"task": "Task", "model": "Model", "n_neurons": "Neurons", "most": "Most, with the share of neurons",
         "least": "Least"},
    )  # fmt: skip


def _preferred(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each task and model: the classes that most neurons prefer, and the one that fewest do."""
    told = []
    for (task, model), of in rows.groupby(["task", "model"], sort=False):
        ordered = of.assign(share=of["n_more"] / of["n_neurons"]).sort_values("share", ascending=False, kind="stable")
        names = [f"{name} {share(part)}" for name, part in zip(ordered["class_name"], ordered["share"], strict=True)]
        told.append((task, model, of["n_neurons"].iloc[0], ", ".join(names[:4]), names[-1]))
    return pd.DataFrame(told, columns=["task", "model", "n_neurons", "most", "least"])


def ablation(engine: Engine, figures: Figures) -> str:
    """Write what classes lose by their own neurons, beside others and random sets."""
    effects = report.named(engine, "largest effects")
    if effects.empty:
        return paragraph("No neurons were ablated in the runs of this store.", style="none")
    html = paragraph(
        "The class-specific neurons of one class are changed and the same linear head is asked again. An effect stands "
        "where q < 0.05, its interval leaves out 0, and it lies outside the range of equally large random sets."
    )
    standing = report.named(engine, "effects that stand")
    n_stand = f"{len(standing):,} effects stand." if len(standing) else "No effect of this store stands."
    html += f"<h3>{n_stand}</h3>"
    shown = standing if len(standing) else effects.head(MOST_EFFECTS)
    html += table(
        _effects(shown),
        "The effects that stand." if len(standing) else f"The {len(shown)} largest losses; none of them stands.",
        {"model": "Model", "task": "Task", "target": "Neurons of", "done": "Chosen, changed", "affected": "Asked on",
         "n_clips": "Clips", "change": "Change", "interval": "95 % interval", "controls": "Random sets",
         "q_value": "q"},
        grey=~facts.believable(shown).reset_index(drop=True),
    )  # fmt: skip
    own = report.named(engine, "self and cross").dropna(subset="self_delta")
    own = own.sort_values("self_delta", kind="stable").head(MOST_EFFECTS).reset_index(drop=True)
    own["label"] = [
        f"{n}. {row['model']}, {row['task']}: {row['target']}{'' if row['gain'] == 0 else ', ' + facts.action(row)}"
        for n, row in enumerate(own.to_dict("records"), 1)
    ]
    if len(own):
        html += figures(
            self_chart(own),
            f"The {len(own)} classes that lose most by their own neurons, with 95 % intervals; grey: q of 0.05 or "
            "more; ticks: mean of the random sets.",
        )
    rows = report.specificities(engine).round(9)  # differences of means: noise of the last digits goes
    if len(rows):
        written = rows.assign(
            done=[
                f"{s}, {facts.action(row)}" for s, row in zip(rows["selection"], rows.to_dict("records"), strict=True)
            ],
            interval=[between(low, high) for low, high in zip(rows["ci_low"], rows["ci_high"], strict=True)],
        )
        html += "<h3>Own class against other classes</h3>" + table(
            written,
            "Mean change of accuracy of a class by its own neurons, and of the other classes by them; the difference "
            "with its bootstrap interval over classes. Grey: the interval holds 0, or is not known.",
            {"model": "Model", "task": "Task", "done": "Chosen, changed", "n_classes": "Classes", "self_effect": "Own",
             "cross_effect": "Others", "specificity": "Difference", "interval": "95 % interval"},
            grey=~((rows["ci_low"] > 0) | (rows["ci_high"] < 0)),
        )  # fmt: skip
    return html


def _effects(rows: pd.DataFrame) -> pd.DataFrame:
    points = [f"{number(100 * value)} points" for value in rows["delta"]]
    return rows.assign(
        done=[f"{s}, {facts.action(row)}" for s, row in zip(rows["selection"], rows.to_dict("records"), strict=True)],
        affected=[facts.affected(name) for name in rows["affected_class"]],
        change=points,
        interval=[between(100 * a, 100 * b) for a, b in zip(rows["ci_low"], rows["ci_high"], strict=True)],
        controls=[
            f"{between(100 * low, 100 * high)} ({n:.0f} sets)" if pd.notna(low) else "none"
            for low, high, n in zip(
                rows["control_delta_low"], rows["control_delta_high"], rows["n_controls"], strict=True
            )
        ],
    ).reset_index(drop=True)


def confounds(engine: Engine) -> str:
    """Write what else tells the classes, the runs' warnings, and files that were left out."""
    html = ""
    rows = report.feature_probes(engine)
    marked = rows[rows["mark"].fillna("") != ""].reset_index(drop=True)
    if len(rows):
        html += table(
            marked.assign(
                shown=marked["accuracy"].map(share),
                interval=[between(*p, as_share=True) for p in zip(marked["ci_low"], marked["ci_high"], strict=True)],
                chance=marked["chance"].map(share),
            ),
            "What tells the classes without any network: level, duration, silence or the mean spectrum alone. As good "
            "as the model: the interval reaches the model's accuracy. Only what is over chance is listed.",
            {"task": "Task", "model": "Model", "feature": "Told by", "shown": "Head", "interval": "95 % interval",
             "chance": "Chance", "mark": "Is"},
        )  # fmt: skip
    else:
        html += paragraph("No confound probes were trained.", style="none")
    explained = report.named(engine, "explained pairs")
    explained = explained[explained["explained_by"] != "nothing"]
    if len(explained):
        html += table(
            explained, "Pairs of class and neuron whose evidence level, duration or silence takes away (calibrated).",
            {"task": "Task", "model": "Model", "explained_by": "Explained by", "n_pairs": "Pairs"},
        )  # fmt: skip
    warnings = study.warnings(engine)
    html += "<h3>Warnings</h3>" + (
        table(warnings, "What the runs warned of.", {"model": "Model", "task": "Task", "warning": "Warning"})
        if len(warnings)
        else paragraph("None.", style="none")
    )
    problems = study.problems(engine)
    if len(problems):
        html += "<h3>Files left out</h3>" + table(
            problems, "Files that were left out, or lack something.",
            {"dataset": "Dataset", "path": "File", "reason": "Why"}, most=50,
        )  # fmt: skip
    return html


def missing(engine: Engine) -> str:
    """Write what each model and task lacks, and what the runs said they left out."""
    coverage = study.coverage(engine, "calibrated")
    effects = pd.concat([study.ablation_effects(engine, name) for name in study.models(engine)["name"]])
    lacking = facts.not_measured(coverage, study.probe(engine), effects)
    notes = facts.run_notes(study.runs(engine))
    rows = pd.concat([lacking, notes], ignore_index=True)
    if rows.empty:
        return paragraph("Everything that a run measures was measured.", style="none")
    return table(
        rows,
        "What is missing, and what was cut short.",
        {"model": "Model", "task": "Task", "missing": "Missing, or note"},
    )


def citing(engine: Engine, version: str) -> str:
    """Write how to cite the study and what it rests on."""
    datasets = study.datasets(engine)
    models = study.models(engine)
    lines = [
        f"This program: Audio Neuron Atlas, version {version}. Name the models, the datasets, the settings and the "
        "seed of section 2 with it.",
        f"The study it starts from: {PAPER}",
        *(f"Model {name}: {about or 'no description'}; licence: {licence or 'not known'}."
          for name, about, licence in zip(models["name"], models["description"], models["licence"], strict=True)),
        *(f"Dataset {name}: {source or 'source not stated'}; licence: {licence or 'not stated'}."
          for name, source, licence in zip(datasets["name"], datasets["source"], datasets["licence"], strict=True)),
    ]  # fmt: skip
    return bullets(lines)
