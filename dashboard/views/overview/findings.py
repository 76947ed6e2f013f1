"""Three findings of a store in words: a neuron, a pair of classes, an effect; pure functions of `db.reads.findings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from dashboard.shared.text.facts import ablation_sentence
from dashboard.shared.text.numbers import between, counted, number, p_value, share, with_interval
from dashboard.shared.text.words import class_in_words, confound, plain
from dashboard.views.overview.facts import gravest

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Card:
    """One finding.

    Attributes
    ----------
    title : str
    sentence : str
        Markdown.
    name, value, beside : str
        Its number: what it is, how much, and the null or interval to read it against.
    caution : str
        Markdown: what it is not, or may be instead; empty where there is no finding.
    is_confounded : bool
        Whether the caution names something else that may explain it.
    page : str
        Where it is shown in full; empty: nowhere.
    label : str
        Of the link.
    state : dict
        Of the page's address.
    """

    title: str
    sentence: str
    name: str = ""
    value: str = ""
    beside: str = ""
    caution: str = ""
    is_confounded: bool = False
    page: str = ""
    label: str = ""
    state: dict[str, str] = field(default_factory=dict)


NEURON, PAIR, EFFECT = (
    "A neuron that answers to one class",
    "Two classes that share neurons",
    "An effect that is significant",
)


def neuron_card(row: Row | None, n_replicated: int, warnings: Sequence[str], preset: str) -> Card:
    """Tell the strongest replicated neuron.

    Parameters
    ----------
    row : mapping or None
        Of `db.reads.findings.strongest_neuron`.
    n_replicated : int
        Pairs of a neuron and a class that replicate, of which it is the strongest.
    warnings : sequence of str
        What the run warned of for its task.
    preset : str
    """
    if row is None:
        return Card(NEURON, f"No neuron that {preset} chose has q < 0.05 and replicates on test clips in this store.")
    name = f"L{row['layer']}·{row['neuron']}"
    times = "at no token of the other classes" if row["lift"] == float("inf") else (
        f"**{_times(row['lift'])} as often** as in the mean of the other classes"
    )  # fmt: skip
    where = f"{plain(row['model'])}, {plain(row['task'])}"
    known = {"": "Level, duration and silence do not explain it."}.get(
        row["explained_by"], "Not tested against level, duration and silence."
    )
    if isinstance(row["explained_by"], str) and row["explained_by"]:
        known = f"Without {confound(row['explained_by'])} no evidence is left for it."
    caution, is_grave = _caution(warnings)
    return Card(
        NEURON,
        f"**{name}** fires at {number(100 * row['activation_probability'], '.3g')} % of the tokens of "
        f"**{_class(row, 'attribute', 'class_name')}**, {times} ({where}).",
        "Lift",
        "∞" if row["lift"] == float("inf") else _times(row["lift"]),
        f"95 % interval {between(row['lift_low'], row['lift_high'], _times)}; q {p_value(row['q_value'])}",
        f"{known} {caution} It is the strongest of {counted(n_replicated, 'pair')} that replicate on test clips, and "
        "the strongest of many is in part so by chance.",
        is_grave or bool(isinstance(row["explained_by"], str) and row["explained_by"]),
        "neuron",
        f"Neuron {name}",
        {"model": row["model"], "task": row["task"], "preset": preset, "class": row["class_name"],
         "layer": str(row["layer"]), "neuron": str(row["neuron"])},
    )  # fmt: skip


def pair_card(row: Row | None, warnings: Sequence[str], preset: str) -> Card:
    """Tell two classes that share more neurons than chance; `db.reads.findings.shared_pair`."""
    if row is None:
        return Card(
            PAIR,
            f"No two classes share more of the neurons that {preset} chose than two random sets of their sizes would "
            "(q < 0.05) in this store.",
        )
    a, b = (_class(row, f"attribute_{side}", f"class_{side}") for side in "ab")
    datasets = tuple(plain(row[f"dataset_{side}"]) for side in "ab")
    if row["dataset_a"] == row["dataset_b"]:
        classes = f"**{a}** and **{b}** of {datasets[0]}"
    elif a == b:
        classes = f"**{a}** in {datasets[0]} and in {datasets[1]}"
    else:
        classes = f"**{a}** in {datasets[0]} and **{b}** in {datasets[1]}"
    caution, is_grave = _caution(warnings)
    return Card(
        PAIR,
        f"**{counted(int(row['n_shared']), 'neuron')}** of {plain(row['model'])} "
        f"{'answers' if row['n_shared'] == 1 else 'answer'} to {classes}. Of {row['n_a']:,} and {row['n_b']:,} "
        f"neurons, drawn at random, {number(row['expected'], '.1f')} would be in both.",
        "Shared neurons",
        f"{int(row['n_shared']):,}",
        f"by chance {number(row['expected'], '.1f')}; odds ratio "
        f"{with_interval(row['odds_ratio'], row['odds_low'], row['odds_high'], '.3g')}, "
        f"q {p_value(row['q_value'])}",
        f"That the classes share a sound is enough for it: it need not be an abstract category. {caution}".strip(),
        is_grave,
        "sharing",
        "All their classes",
        {"model": row["model"], "preset": preset, "task": row["task_a"], "with": row["task_b"],
         "row": row["class_a"], "column": row["class_b"]},
    )  # fmt: skip


def effect_card(row: Row | None, accuracy: pd.DataFrame | None, is_ablated: bool) -> Card:
    """Tell one effect of silencing that holds.

    Parameters
    ----------
    row : mapping or None
        Of `db.reads.findings.selective_effect`.
    accuracy : DataFrame or None
        Of `db.reads.coverage.strongest_effects`: told where only accuracy is known.
    is_ablated : bool
        Whether anything was.
    """
    if row is not None:
        return _selective_card(row)
    believed = None if accuracy is None else accuracy[accuracy["believable"] == 1]
    if believed is None or believed.empty:
        told = "No ablation's effect is beyond its random controls in this store."
        return Card(EFFECT, told if is_ablated else "Nothing was ablated in this store.")
    strongest = believed.sort_values("delta", key=abs).iloc[-1].to_dict()
    return Card(
        EFFECT,
        ablation_sentence(strongest),
        "Change of accuracy",
        f"{number(100 * strongest['delta'], '+.1f')} points",
        f"random sets {number(100 * strongest['control_delta_mean'], '+.1f')}",
        "Only accuracy is known of it: whether the class alone lost, or all logits shifted, is not.",
        False,
        "ablation",
        "All classes beside it",
        {"model": strongest["model"], "task": strongest["task"], "selection": strongest["selection"]},
    )


def _selective_card(row: Row) -> Card:
    target = _class(row, "attribute", "target")
    others, lowered = int(row["n_others"]), int(row["n_others_lowered"])
    if others == 1:
        beside = "The other class does" if lowered else "The other class does not"
    else:
        beside = f"{lowered or 'None'} of the {others} other classes {'does' if lowered < 2 else 'do'}"
    points = ""
    if pd.notna(row["accuracy_unablated"]) and pd.notna(row["accuracy_ablated"]):
        points = (
            f" The linear probe's accuracy on its {counted(int(row['n_clips']), 'test clip')}: "
            f"{share(row['accuracy_unablated'])}, then {share(row['accuracy_ablated'])}."
        )
    interval = between(row["change_low"], row["change_high"], "+.2f")
    controls = between(row["control_low"], row["control_high"], "+.2f")
    return Card(
        EFFECT,
        f"Silencing the {counted(int(row['n_neurons']), 'neuron')} of **{target}** ({plain(row['selection'])}; "
        f"{plain(row['model'])}, {plain(row['task'])}) lowers that class's logit by "
        f"**{number(-row['change'], '.2f')}** beyond what all other clips lose. {beside}.",
        "Selective change of the logit",
        number(row["change"], "+.2f"),
        f"95 % interval {interval}; {int(row['n_controls'])} random sets {number(row['control_mean'], '+.2f')} "
        f"({controls}); q {p_value(row['q_value'])}",
        f"A loss for the frozen linear probe: one that is fitted again may read the class from other neurons.{points}",
        False,
        "ablation",
        "All classes beside it",
        {"model": row["model"], "task": row["task"], "selection": row["selection"], "gain": "0",
         "target": row["target"]},
    )  # fmt: skip


def _class(row: Row, attribute: str, name: str) -> str:
    return plain(class_in_words(str(row[attribute]), str(row[name])))


def _times(lift: float) -> str:
    return "∞" if lift == float("inf") else f"{number(lift, ',.0f' if lift >= 10 else '.1f')}×"


def _caution(warnings: Sequence[str]) -> tuple[str, bool]:
    """The gravest warning of a task in the run's words, and whether it is grave."""
    found = gravest(warnings)
    return ("", False) if found is None else (f"The run warns: {plain(found[0])}.", found[1])
