"""An effect in each of the ways it is measured: what it is called, in which unit it is shown, when it counts; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared.text import facts, kinds
from dashboard.shared.text.numbers import number
from dashboard.shared.text.words import plain
from dashboard.views.ablation.facts import ALL_CLIPS, is_own
from db.reads.ablation import CONTROLLED


@dataclass(frozen=True)
class Measure:
    """One way to measure an effect.

    Attributes
    ----------
    label : str
        On the control that chooses it.
    axis : str
        What a chart's axis says, with the unit.
    meaning : str
        The same in a sentence.
    factor : float
        From the stored number to the shown one.
    digits : int
        After the point.
    control : str
        Its column in the table of single random sets.
    """

    label: str
    axis: str
    meaning: str
    factor: float = 1.0
    digits: int = 2
    control: str = ""


MEASURES: Mapping[str, Measure] = {
    "selective": Measure(
        "Selective", "Own clips less the shift (logits)",
        "Change of the class's logit on its own clips, less that on all other clips, in logits.", control="selective",
    ),
    "total": Measure(
        "Total", "Log probability of the own class (nats)",
        "Change of the log probability of the class on its clips, by the frozen probe, in nats.", control="total",
    ),
    "shift": Measure(
        "Shift", "Logit on all other clips (logits)",
        "Change of the class's logit on all clips that are not of the class, in logits.", control="shift",
    ),
    "discrimination": Measure(
        "Discrimination", "AUROC (points)",
        "Change of the AUROC of the class's logit, class against rest, in hundredths.", 100.0, 2, "discrimination",
    ),
    "accuracy": Measure(
        "Accuracy", "Accuracy (points)",
        "Change of test accuracy by the frozen probe, in percentage points, with McNemar's test: the paper's measure.",
        100.0, 1, "delta",
    ),
}  # fmt: skip
assert all(one.control in CONTROLLED for one in MEASURES.values())
_OF_ACCURACY = {
    "delta": "value", "ci_low": "low", "ci_high": "high", "control_delta_mean": "control_mean",
    "control_delta_low": "control_low", "control_delta_high": "control_high", "beyond_control_low": "beyond_low",
    "beyond_control_high": "beyond_high", "delta_heads_low": "heads_low", "delta_heads_high": "heads_high",
}  # fmt: skip
_OF_OUTCOMES = {"change": "value", "change_low": "low", "change_high": "high"}
_SIZES = ("value", "low", "high", "control_mean", "control_low", "control_high", "beyond_control", "beyond_low",
          "beyond_high", "heads_low", "heads_high", "group_ci_low", "group_ci_high",
          "activity_control_delta_mean")  # fmt: skip
TABLE: Mapping[str, tuple[str, str]] = {
    "value": ("Change", "With the neurons changed less without."),
    "low": ("from", "Lower end of its 95 % interval over clips or groups."),
    "high": ("to", "Upper end of its 95 % interval."),
    "beyond_control": ("Beyond controls", "Change less the mean change by random sets."),
    "beyond_low": ("from ", "Lower end of its bootstrap interval."),
    "beyond_high": ("to ", "Upper end of its bootstrap interval."),
    "control_mean": ("Controls", "Mean change by random sets of the same size and layers."),
    "control_low": ("from  ", "2.5th percentile of the random sets."),
    "control_high": ("to  ", "97.5th percentile of the random sets."),
    "activity_control_delta_mean": ("Active controls", "Mean change by random sets that also fire as often."),
    "group_ci_low": ("Groups from", "Interval of the change when whole voices or sources are drawn, lower end."),
    "group_ci_high": ("Groups to", "The same, upper end."),
    "heads_low": ("Probes from", "Least change over probes fitted on other draws of the train clips."),
    "heads_high": ("Probes to", "Greatest change over those probes. Another sign: it depends on the probe."),
}
"""Columns of the table of effects, in the shown unit: heading and meaning."""


def shown(rows: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Effects in one measure, under the same names and in the unit that is shown.

    Parameters
    ----------
    rows : DataFrame
        Of `db.reads.ablation.effects` for ``accuracy``, else of `db.reads.ablation.outcomes`.
    outcome : str
        One of `MEASURES`.

    Returns
    -------
    DataFrame
        Columns of `TABLE` that are known, ``target``, ``affected`` (with a name for all clips), ``own`` (the target's
        class, or one of its two), ``stands``, and the rest as it was.
    """
    of_accuracy = outcome == "accuracy"
    named = rows.rename(columns=_OF_ACCURACY if of_accuracy else _OF_OUTCOMES)
    sizes = [name for name in _SIZES if name in named]
    return named.assign(
        **{name: named[name].astype("float64") * MEASURES[outcome].factor for name in sizes},
        affected=named["affected_class"].fillna(ALL_CLIPS).astype(object),
        own=[is_own(t, a) for t, a in zip(named["target"], named["affected_class"], strict=True)],
        stands=facts.believable(rows) if of_accuracy else kinds.holding(rows),
    )


def strongest_target(effects: pd.DataFrame) -> str:
    """The target whose effect on its own class is largest, those that stand first; else on whatever was asked.

    Parameters
    ----------
    effects : DataFrame
        Of `shown`.
    """
    rows = effects[effects["own"]] if effects["own"].any() else effects
    ranked = rows.assign(size=rows["value"].abs())
    return str(ranked.sort_values(["stands", "size"], ascending=False, kind="stable")["target"].iloc[0])


def in_strip(effects: pd.DataFrame, target: str | None) -> pd.DataFrame:
    """The rows beside their random sets, with ``label``: each target on its own class, or one target on all classes.

    Where no target is a class of the task (sets from a file), the first gives the effects on all test clips.
    """
    if target is not None:
        rows = effects[effects["target"] == target]
        return rows.assign(label=rows["affected"])
    rows = effects[effects["own"]] if effects["own"].any() else effects[effects["affected"] == ALL_CLIPS]
    twice = rows["target"].duplicated(keep=False)
    return rows.assign(label=rows["target"].where(~twice, rows["target"] + " → " + rows["affected"]))


def draws_beside(controls: pd.DataFrame, rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Random sets in the shown unit, with the ``label`` of the strip's row that they belong to."""
    named = controls.assign(
        value=controls["value"] * factor, affected=controls["affected_class"].fillna(ALL_CLIPS).astype(object)
    )
    return named.merge(rows[["target", "affected", "label"]], on=["target", "affected"])


def power_sentence(effects: pd.DataFrame) -> str:
    """Tell how many clips and tests there were, and what so few can show.

    Parameters
    ----------
    effects : DataFrame
        Of `shown`, of any outcome but accuracy.
    """
    rows = effects[effects["affected"] != ALL_CLIPS]
    if rows.empty:
        return ""
    low, high, n_tests = int(rows["n_clips"].min()), int(rows["n_clips"].max()), len(rows)
    n_units = int(rows["n_units"].max())
    spoken = f"Each class was tested on {low if low == high else f'{low} to {high}'} clips, in {n_tests:,} tests"
    least = kinds.least_p(n_units)
    written = f"the least p that {n_units:,} clips or groups of clips can give is {number(least, '.2g')}"
    if least >= facts.Q_LIMIT:
        return f"{spoken}; {written}: nothing could be significant."
    together = int(least * n_tests / facts.Q_LIMIT)
    if together:
        return f"{spoken}; {written}, so that an effect can be significant only together with {together} more as sure."
    return f"{spoken}; q is over all of them."


def counted(effects: pd.DataFrame) -> str:
    """Tell how many effects are significant: of targets on their own classes, and on the others."""
    asked = effects[effects["affected"] != ALL_CLIPS]
    parts = [
        f"{int(rows['stands'].sum()):,} of {len(rows):,} {what}"
        for what, rows in (("own classes (framed)", asked[asked["own"]]), ("others", asked[~asked["own"]]))
        if len(rows)
    ]
    return " and ".join(parts)


def with_doses(means: pd.DataFrame, n_neurons: int) -> pd.DataFrame:
    """Add to means over classes the ``rule`` of choosing and the ``share`` of all neurons."""
    rules = [kinds.Rule.of(str(name)).name for name in means["selection"]]
    return means.assign(rule=rules, share=means["n_neurons"] / n_neurons)


def domain(means: pd.DataFrame, draws: pd.DataFrame) -> list[float]:
    """Least and greatest of what charts of one unit show, 0 and all random sets among it."""
    parts = [means[["mean", "low", "high"]].to_numpy(dtype=float).ravel(), draws.to_numpy(dtype=float).ravel()]
    every = np.concatenate([*parts, [0.0]])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    return [low, high] if high > low else [-0.1, 0.1]


def doses_sentence(means: pd.DataFrame, selection: str) -> str:
    """Say how the charts over doses are read.

    Parameters
    ----------
    means : DataFrame
        Of `with_doses`.
    selection : str
        The one that is ringed, if it is among them.
    """
    n_classes, n_sets = int(means["n"].max()), int(means["n_controls"].max())
    of_random = (
        f" Grey: each of {n_sets} random sets of the same size and layers a dose, its mean over the same classes."
        if n_sets
        else " No random sets were run."
    )
    ringed = selection in set(means["selection"])
    ring = f" Ring: {plain(selection)}, told above and shown below." if ringed else f" {plain(selection)} is not drawn."
    return (
        f"Points: mean change of {n_classes} {'class' if n_classes == 1 else 'classes'}, each by its own neurons, with "
        f"its 95 % interval over classes.{of_random}{ring}"
    )


def readable(own: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """What is read of each class with nothing changed and without its neurons, by three heads, in per cent.

    Parameters
    ----------
    own : DataFrame
        Of `db.reads.ablation.own_outcomes`, of one selection.
    effects : DataFrame
        Of `db.reads.ablation.own_effects`, of the same selection and operation: the frozen head.

    Returns
    -------
    DataFrame
        ``label``, ``head``, ``untouched``, ``now``, ``low``, ``high``, ``random``, ``random_low``, ``random_high``,
        ``n_controls``; a row a class and head, the classes that lose most by the frozen probe first.
    """
    frozen = effects[effects["affected_class"].notna()].rename(
        columns={"accuracy_unablated": "unablated", "delta": "change", "ci_low": "change_low", "ci_high": "change_high",
                 "control_delta_mean": "control_mean", "control_delta_low": "control_low",
                 "control_delta_high": "control_high"}
    )  # fmt: skip
    parts = [frozen.assign(head=HEADS["frozen"])]
    parts += [
        own[own["outcome"] == f"readable_{name}"].assign(head=head) for name, head in HEADS.items() if name != "frozen"
    ]
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    label = rows["target"].where(
        rows["target"] == rows["affected_class"], rows["target"] + " → " + rows["affected_class"]
    )
    before = rows["unablated"]
    columns = {
        "now": "change", "low": "change_low", "high": "change_high", "random": "control_mean",
        "random_low": "control_low", "random_high": "control_high",
    }  # fmt: skip
    table = pd.DataFrame(
        {
            "label": label,
            "head": rows["head"],
            "untouched": 100 * before,
            **{name: 100 * (before + rows[column]).clip(0, 1) for name, column in columns.items()},
            "n_controls": rows["n_controls"],
            "n_clips": rows["n_clips"],
        }
    )
    lost = frozen.assign(label=label.iloc[: len(frozen)].to_numpy()).sort_values("change", kind="stable")["label"]
    rank = {name: i for i, name in enumerate(lost)}
    return table.assign(rank=table["label"].map(rank)).sort_values(["rank"], kind="stable", ignore_index=True)


HEADS = {"frozen": "frozen probe", "offsets": "offsets refitted", "refit": "whole probe refitted"}
"""Heads that were asked, and how they are called."""


def n_lost(own: pd.DataFrame) -> int:
    """Of how many classes even a whole new head loses log probability beyond random sets."""
    return int(kinds.losing(own[own["outcome"] == "readable_refit_log_prob"]).sum())


def mean_accuracy(effects: pd.DataFrame) -> dict[str, float]:
    """``unablated`` and ``ablated`` accuracy on a class by its own neurons, mean over classes."""
    own = effects[effects["affected_class"].notna()]
    return {name: float(own[f"accuracy_{name}"].mean()) for name in ("unablated", "ablated")}


def done_so(own: pd.DataFrame, operation: str, gain: float | None) -> pd.DataFrame:
    """The rows of one operation and gain."""
    return own[(own["operation"] == operation) & (own["gain"].isna() if gain is None else own["gain"] == gain)]


def clip_changes(clips: pd.DataFrame, target: str, by: str) -> pd.DataFrame:
    """Each clip's own change and that under random sets, own clips first, then by loss.

    Parameters
    ----------
    clips : DataFrame
        Of `db.reads.ablation.clips`; a clip of several labels has several rows, and is own if one of them is.
    target : str
    by : str
        ``logit`` or ``log_prob``: which change is ``value`` (``control`` under random sets, mean).
    """
    own = [is_own(target, name) for name in clips["true_class"]]
    marked = clips.assign(own=own, value=clips[f"delta_{by}"], control=clips[f"control_delta_{by}"])
    ordered = marked.sort_values(["own", "value"], ascending=[False, True], kind="stable")
    return ordered.drop_duplicates("clip_id").reset_index(drop=True)


def clip_title(row: Mapping[Any, Any]) -> str:
    """Name a clip by its class and file."""
    name = "no label" if pd.isna(row["true_class"]) else str(row["true_class"])
    return f"{name}: {str(row['path']).rsplit('/', 1)[-1]}"


def clip_caption(row: Mapping[Any, Any]) -> str:
    """Tell a clip's own changes, each beside the mean of random sets."""
    parts = [
        f"{what} {number(row[f'delta_{name}'], '+z.2f')} (random {number(row[f'control_delta_{name}'], '+z.2f')})"
        for name, what in (("log_prob", "log p of its class"), ("logit", "logit of the class"))
        if not pd.isna(row[f"delta_{name}"])
    ]
    return "; ".join(parts)


def clips_sentence(changes: pd.DataFrame, by: str) -> str:
    """Tell the mean change of own clips and of all others; of logits the difference is the selective part."""
    unit, what = ("logits", "logit of the class") if by == "logit" else ("nats", "log probability of its own class")
    means = changes.groupby("own")["value"].mean()
    told = [
        f"{number(means[own], '+z.2f')} on {words}"
        for own, words in ((True, "its own clips"), (False, "all others"))
        if own in means
    ]
    if by == "logit" and len(means) == 2:
        told[-1] += (
            f" (the shift); the difference, {number(means[True] - means[False], '+z.2f')}, is the selective part"
        )
    return f"Mean change of the {what}, in {unit}: {', '.join(told)}."


_DEFAULT = ("", "mad 0.2%", "mad 1%", "mad 5%", "aape")
"""What is ablated where ``--ablate`` is not given."""


def again(task: str, model: str, selection: str, operations: Sequence[str]) -> dict[str, str]:
    """The options that ablate a task again, so that its effects are taken apart; no selection: those of the default.

    Examples
    --------
    >>> again("cries-bird", "m2d", "top 1%", ["0", "keep"])
    {'--tasks': 'cries-bird', '--model': 'm2d', '--stages': 'ablate', '--ablate': 'top:0.01', '--gains': '0,keep'}
    """
    rule = kinds.Rule.of(selection)
    options = {"--tasks": task, "--model": model, "--stages": "ablate"}
    if selection not in _DEFAULT and not rule.name.startswith("file "):
        options["--ablate"] = rule.option
    if list(operations) != ["0"]:
        options["--gains"] = ",".join(operations)
    return options
