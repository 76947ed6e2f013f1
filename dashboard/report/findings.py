"""The report's second half: sharing, tuning, ablation, confounds, what is missing, how to cite; loads no charts."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from sqlalchemy import Engine

from dashboard.report import tables
from dashboard.report.parts import Figure, Part, Table, as_shares, bullets, intervals
from dashboard.shared.text import facts, kinds
from dashboard.shared.text.numbers import between, counted, number, share
from dashboard.shared.text.words import plain
from db.reads import report, study
from db.reads.named import NAMED

_BETWEEN = ("sharing by octave", "sharing by gender", "sharing by event")
_WITHIN = ("sharing of genres", "sharing of emotions", "sharing of languages")
_MOST_PICTURES = 6  # of one comparison
_MOST_CLASSES = 60  # of a picture's side
_MOST_EFFECTS = 30
_EFFECT = {
    "delta": "Change", "ci": "95 % interval", "control_delta_mean": "Random sets", "control_delta": "Their range",
    "n_controls": "Sets",
}  # fmt: skip
"""Columns of a change of accuracy and of what stands beside it."""
_PAPER = (
    "T. Kawamura, D. Niizumi, N. Ono: What Do Neurons Listen To? A Neuron-level Dissection of a General-purpose Audio "
    "Model. arXiv 2602.15307 (2026)."
)


def sharing(engine: Engine) -> Iterator[Part]:
    """The paper's comparisons: same classes across datasets, classes within one."""
    yield (
        "Shared neurons of two classes, beside what sets of these sizes share by chance (hypergeometric). "
        "Rule: calibrated."
    )
    empty = []
    for name in (*_BETWEEN, *_WITHIN):
        rows = report.named(engine, name)
        rows = rows[rows["preset"] == "calibrated"]
        if rows.empty:
            empty.append(NAMED[name][0])
            continue
        yield f"### {NAMED[name][0]}"
        if name in _BETWEEN:
            yield _same_and_other(rows)
        elif rows["n_shared"].any():
            yield _most_shared(rows)
        yield from _shared_figures(rows if name in _BETWEEN else _both_ways(rows))
    if empty:
        yield f"*Not in this store: {'; '.join(empty)}.*"


def _shared_figures(rows: pd.DataFrame) -> Iterator[Part]:
    n_pictures = 0
    for (model, task_a, task_b), of in rows.groupby(["model", "task_a", "task_b"], sort=True):
        if not of["n_shared"].any():
            where = " and ".join(map(plain, dict.fromkeys((task_a, task_b))))
            yield f"*{plain(model)}: no two classes of {where} share a neuron.*"
        elif n_pictures < _MOST_PICTURES and max(of["class_a"].nunique(), of["class_b"].nunique()) <= _MOST_CLASSES:
            n_pictures += 1
            what = f"{task_a} (rows) and {task_b} (columns)" if task_a != task_b else str(task_a)
            yield Figure("shared", (of,), f"Neurons of {model} that classes share: {what}. Dots: q < 0.05.")


def _both_ways(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of one task, each both ways round, as between two tasks."""
    rows = rows.assign(task_a=rows["task"], task_b=rows["task"])
    turned = rows.rename(columns={"class_a": "class_b", "class_b": "class_a", "n_a": "n_b", "n_b": "n_a"})
    return pd.concat([rows, turned], ignore_index=True)


def _same_and_other(rows: pd.DataFrame) -> Table:
    """Same classes against other classes."""
    which = rows["same_class"].map({1: "the same class", 0: "other classes"})
    counts = rows.assign(n_pairs=1, n_sure=rows["q_value"] < 0.05, which=which)
    sums = counts.groupby(["model", "task_a", "task_b", "which"])[["n_pairs", "n_shared", "expected", "n_sure"]].sum()
    return Table(
        "Shared neurons of the same class in both tasks, and of other classes; expected by chance.",
        sums.reset_index(),
        {"model": "Model", "task_a": "Task", "task_b": "and task", "which": "Pairs of", "n_pairs": "Pairs",
         "n_shared": "Shared", "expected": "Expected", "n_sure": "Pairs with q < 0.05"},
    )  # fmt: skip


def _most_shared(rows: pd.DataFrame) -> Table:
    """The pairs of one task's classes that share most over chance."""
    some = rows[rows["n_shared"] > 0].sort_values(["model", "n_shared"], ascending=[True, False])
    some = some.groupby("model").head(15)
    ends = zip(some["odds_ratio"], some["odds_low"], some["odds_high"], strict=True)
    odds = [f"{number(odds)} ({between(low, high)})" if pd.notna(odds) else "–" for odds, low, high in ends]
    return Table(
        "Pairs that share most.", some.assign(odds=odds),
        {"model": "Model", "class_a": "Class", "class_b": "and class", "n_a": "Neurons", "n_b": "and", "n_shared":
         "Shared", "expected": "Expected", "odds": "Odds ratio (95 %)", "q_value": "q"},
        list(~(some["q_value"] < 0.05)), "not beyond chance (q of 0.05 or more)",
    )  # fmt: skip


def tuning(engine: Engine) -> Iterator[Part]:
    """Pitch tuning, and the preferences of class-specific neurons."""
    rows = report.tuning(engine)
    if rows.empty:
        yield "*No pitch task was scored.*"
    else:
        yield Figure(
            "pitch", (rows,),
            "Pitch neurons by the note at which they fire most. Class-specific neurons only (calibrated).",
        )  # fmt: skip
        known = rows.assign(n=1, octave=rows["oei_low"] > 0, chance=0.025 * rows["octave_equivalence_index"].notna())
        of_task = known.groupby(["model", "task"])
        sums = of_task[["n", "octave", "chance"]].sum().assign(bandwidth=of_task["bandwidth_semitones"].median())
        yield Table(
            "Octave equivalence: neurons whose index lies over 0 with its 95 % interval, beside the 2.5 % that would "
            "by chance. Harmonics an octave apart raise it too.", sums.reset_index(),
            {"model": "Model", "task": "Task", "n": "Pitch neurons", "bandwidth": "Bandwidth, median (semitones)",
             "octave": "Octave-equivalent", "chance": "By chance"},
        )  # fmt: skip
    rows = report.preferences(engine)
    if len(rows):
        yield "### Preferences"
        yield Table(
            "The classes in which most class-specific neurons of a task surely fire more than in the others (95 % "
            "interval of the log odds over 0; 2.5 % of the neurons would by chance). Tasks of up to 20 classes.",
            _preferred(rows),
            {"task": "Task", "model": "Model", "n_neurons": "Neurons", "most": "Most, with the share of neurons",
             "least": "Least"},
        )  # fmt: skip


def _preferred(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each task and model: the classes that most neurons prefer, and the one that fewest do."""
    records = []
    for (task, model), of in rows.groupby(["task", "model"], sort=False):
        ordered = of.assign(share=of["n_more"] / of["n_neurons"]).sort_values("share", ascending=False, kind="stable")
        names = [f"{name} {share(part)}" for name, part in zip(ordered["class_name"], ordered["share"], strict=True)]
        records.append((task, model, of["n_neurons"].iloc[0], ", ".join(names[:4]), names[-1]))
    return pd.DataFrame(records, columns=["task", "model", "n_neurons", "most", "least"])


def ablation(engine: Engine, standing: pd.DataFrame) -> Iterator[Part]:
    """What classes lose by their own neurons, beside others and random sets."""
    largest = report.named(engine, "largest effects").head(_MOST_EFFECTS)
    if largest.empty:
        yield "*No neurons were ablated in the runs of this store.*"
        return
    own = report.own_effects(engine)
    yield (
        "The neurons of one class are changed and the same linear probe is asked again, beside equally large random "
        "sets of the same layers."
    )
    yield from _kinds(report.own_outcomes(engine), own)
    yield (
        "Changes of accuracy are in points. An effect is significant where q < 0.05, its interval excludes 0, and it "
        "lies outside the range of the random sets."
    )
    shown = standing if len(standing) else largest
    n_found = counted(len(standing), "significant effect") if len(standing) else "No significant effect"
    yield f"### {n_found} on accuracy"
    yield Table(
        "The significant effects." if len(standing) else f"The {len(shown)} largest losses; none is significant.",
        _in_points(shown).assign(affected=[facts.affected(name) for name in shown["affected_class"]]),
        {"model": "Model", "task": "Task", "target": "Neurons of", "done": "Chosen, changed", "affected": "Asked on",
         "n_clips": "Clips", **_EFFECT, "q_value": "q"},
        list(~facts.believable(shown)), "not significant",
    )  # fmt: skip
    yield from _own_classes(own)
    yield "### Own class against other classes"
    rows = report.specificities(engine)
    yield Table(
        "Mean change of a class by its own neurons, and of the other classes by them, each less what random sets lose; "
        "their difference with its 95 % bootstrap interval over classes.", _in_points(rows),
        {"model": "Model", "task": "Task", "done": "Chosen, changed", "n_classes": "Classes", "self_effect":
         "Own class", "cross_effect": "Others", "specificity": "Difference", "ci": "95 % interval"},
        list(~((rows["ci_low"] > 0) | (rows["ci_high"] < 0))), "the interval includes 0, or is not known",
    )  # fmt: skip
    yield "### Class by class"
    yield Table(
        "Of each class the change by its own neurons.", _in_points(own),
        {"task": "Task", "model": "Model", "target": "Class", "done": "Chosen, changed", "n_neurons": "Neurons",
         "n_clips": "Clips", **_EFFECT, "q_value": "q"},
        list(~facts.believable(own)), "not significant",
    )  # fmt: skip


def _kinds(outcomes: pd.DataFrame, effects: pd.DataFrame) -> Iterator[Part]:
    """What kind of effect classes' own neurons have: a sentence for what is told first, and all means."""
    if outcomes.empty:
        return
    yield "### What kind of effect"
    first, frozen = kinds.told(outcomes), kinds.told(effects)
    lines = []
    for (task, model), of in first.groupby(["task", "model"], sort=False):
        heard = frozen[(frozen["task"] == task) & (frozen["model"] == model)]
        accuracy = {"unablated": heard["accuracy_unablated"].mean(), "ablated": heard["accuracy_ablated"].mean()}
        said = kinds.verdict(kinds.over_classes(of), of.iloc[0].to_dict(), accuracy)
        lines += [f"{plain(model)}, {plain(task)}: {said}"] if said else []
    if lines:
        yield bullets(lines)
    means = kinds.over_classes(outcomes, ["task", "model", "selection", "operation", "gain"])
    means = means[means["outcome"].isin(["total", "shift", "selective"])]
    done = [f"{row['selection']}, {facts.action(row)}" for row in means.to_dict("records")]
    hold = [f"{n} of {of}" for n, of in zip(means["n_hold"], means["n"], strict=True)]
    interval = [between(low, high, "+z.2f") for low, high in zip(means["low"], means["high"], strict=True)]
    sizes = {name: [number(value, "+z.2f") for value in means[name]] for name in ("mean", "control")}
    yield Table(
        "Mean over the classes of what each changes by its own neurons: total in nats (log probability of its own "
        "clips), shift (all other clips) and selective (own clips less the shift) in logits; beside the mean of random "
        "sets. It holds where q < 0.05 and outside all of them.",
        means.assign(done=done, hold=hold, interval=interval, **sizes),
        {"task": "Task", "model": "Model", "done": "Chosen, changed", "n_neurons": "Neurons", "outcome": "Outcome",
         "mean": "Change", "interval": "95 % interval", "control": "Random sets", "n_controls": "Sets",
         "hold": "Hold"},
        list(means["n_hold"] == 0), "holds for no class",
    )  # fmt: skip


def _own_classes(own: pd.DataFrame) -> Iterator[Part]:
    """What classes lose by their own neurons: those that lose most, and the mean over the classes."""
    yield "### A class's own neurons"
    most = own.dropna(subset="delta").sort_values("delta", kind="stable").head(_MOST_EFFECTS).reset_index(drop=True)
    most["label"] = [
        f"{n}. {row['model']}, {row['task']}: {row['target']}{'' if row['gain'] == 0 else ', ' + facts.action(row)}"
        for n, row in enumerate(most.to_dict("records"), 1)
    ]
    if len(most):
        yield Figure(
            "own classes", (most,),
            f"The {len(most)} classes that lose most by their own neurons, with 95 % intervals; grey: q of 0.05 or "
            "more; ticks: mean of the random sets.",
        )  # fmt: skip
    yield Table(
        "Mean over the classes with its 95 % bootstrap interval (of 5 classes and more); beside the mean of the random "
        "sets and of their 95 % ranges.", _in_points(tables.mean_effects(own)),
        {"task": "Task", "model": "Model", "done": "Chosen, changed", **_EFFECT, "significant": "Significant",
         "n_neurons": "Neurons"},
    )  # fmt: skip


def _in_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Changes in points, with their interval and the range of random sets, as text; and what was ``done``."""
    names = {"delta", "control_delta_mean", "self_effect", "cross_effect", "specificity"} & set(rows)
    points = {name: [number(round(100 * value, 7)) for value in rows[name]] for name in names}  # without noise
    spans = {name: intervals(rows, name, lambda end: number(100 * end))
             for name in ("ci", "control_delta") if f"{name}_low" in rows}  # fmt: skip
    done = [f"{row['selection']}, {facts.action(row)}" for row in rows.to_dict("records")]
    return rows.assign(done=done, **points, **spans)


def confounds(engine: Engine) -> Iterator[Part]:
    """What else tells the classes, the runs' warnings, and files that were left out."""
    rows = report.feature_probes(engine)
    if rows.empty:
        yield "*No confound probes were trained.*"
    else:
        yield Table(
            "What tells the classes without any network: level, duration, silence or the mean spectrum alone. As good "
            "as the model: the interval reaches the model's accuracy. Only what is over chance is listed.",
            as_shares(rows[rows["mark"].fillna("") != ""], "accuracy", "chance"),
            {"task": "Task", "model": "Model", "feature": "Told by", "accuracy": "Head", "interval": "95 % interval",
             "chance": "Chance", "mark": "Is"},
        )  # fmt: skip
    explained = report.named(engine, "explained pairs")
    explained = explained[explained["explained_by"] != "nothing"]
    if len(explained):
        yield Table(
            "Pairs of class and neuron whose evidence level, duration or silence takes away (calibrated).", explained,
            {"task": "Task", "model": "Model", "explained_by": "Explained by", "n_pairs": "Pairs"},
        )  # fmt: skip
    yield "### Warnings"
    yield Table(
        "What may spoil a result.", study.warnings(engine),
        {"model": "Model", "dataset": "Dataset", "task": "Task", "warning": "Warning"},
    )  # fmt: skip
    yield "### Files left out"
    yield Table(
        "Files that cannot be used, or lack something.", study.problems(engine),
        {"dataset": "Dataset", "path": "File", "reason": "Why"},
    )  # fmt: skip


def missing(lacks: pd.DataFrame) -> Iterator[Part]:
    if lacks.empty:
        yield "*Everything that a run measures was measured.*"
        return
    columns = {"model": "Model", "task": "Task", "missing": "Missing, or note"}
    yield Table("What a model or task lacks, and what was cut short.", lacks, columns)


def sources(engine: Engine, version: str) -> Iterator[str]:
    """How to cite the study and what it rests on."""
    yield (
        f"This program: Audio Neuron Atlas, version {version}. Name the models, the datasets, the settings "
        "and the seed of section 2 with it."
    )
    yield f"The study it starts from: {_PAPER}"
    for row in study.models(engine).to_dict("records"):
        about, licence = plain(row["description"] or "no description"), plain(row["licence"] or "not known")
        yield f"Model {plain(row['name'])}: {about}; licence: {licence}."
    for row in study.datasets(engine).to_dict("records"):
        source, licence = plain(row["source"] or "source not stated"), plain(row["licence"] or "not stated")
        yield f"Dataset {plain(row['name'])}: {source}; licence: {licence}."
