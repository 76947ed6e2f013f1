"""What the page of a class says of its rows; pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.shared.text.facts import Q_LIMIT, believable
from dashboard.shared.text.numbers import between, counted, number, p_value, spread, with_interval
from dashboard.shared.text.words import confound, plain

_Z = 1.959963984540054  # of a 95 % interval
ORDERS = {"effect": "Effect size", "evidence": "Evidence", "cause": "Causal effect"}
"""What neurons are ranked by."""
MEANINGS = {
    "effect": "Ranked by the lower end of the lift’s 95 % interval, so that few clips do not look strong.",
    "evidence": "Ranked by p, the lowest first, then by the lower end of the lift’s 95 % interval.",
    "cause": "Ranked by the lower end of the 95 % interval of what the class’s margin is estimated to lose without the "
    "neuron (gradient times activation).",
}  # fmt: skip
MOST_SHARING = 12


def ranked(neurons: pd.DataFrame, by: str) -> pd.DataFrame:
    """Neurons of `db.reads.classes.neurons_of`, the best first; those of which the measure is not known last."""
    rows = neurons.assign(least=neurons["attribution"] - _Z * neurons["standard_error"])
    order = {
        "effect": (["lift_low", "lift"], [False, False]),
        "evidence": (["p_value", "lift_low", "lift"], [True, False, False]),
        "cause": (["least"], [False]),
    }
    names, ascending = order[by]
    return rows.sort_values(names, ascending=ascending, kind="stable", ignore_index=True)


def headline(neurons: pd.DataFrame, expected: float, n_neurons: int, preset: str, names: tuple[str, str]) -> str:
    """Say how many neurons a class has, beside permuted labels, and how many are replicated.

    Parameters
    ----------
    neurons : DataFrame
        ``replicated``.
    expected : float
        Mean number on permuted labels; NaN where it was not computed.
    n_neurons : int
        Of the model.
    preset : str
    names : (task, class)
    """
    task, class_name = (plain(name) for name in names)
    chance = "what permuted labels give was not computed"
    if not math.isnan(expected):
        chance = f"permuted labels give {'fewer than 0.1' if expected < 0.1 else number(expected, ',.1f')} on average"
    found = f"**{len(neurons):,}** of {n_neurons:,} neurons are" if len(neurons) else "**no** neuron is"
    tested = neurons["replicated"].dropna()
    held = f" {int(tested.sum()):,} of {len(tested):,} tested are replicated on test clips." if len(tested) else ""
    return f"By {preset}, {found} class-specific for {class_name} in {task}; {chance}.{held}"


def also_sentence(also: pd.DataFrame, n: int) -> str:
    """Say how many of ``n`` neurons answer to nothing else in the task, and to what the others do; empty of none."""
    if not n:
        return ""
    alone = n - also["neuron_id"].nunique()
    counts = also["class_name"].value_counts()
    others = ", ".join(f"{plain(name)} ({count:,})" for name, count in counts.head(5).items())
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    rest = f"; the others also to {others}{more}" if others else ""
    return f"{alone:,} of the {n:,} answer to nothing else in the task{rest}."


def silenced_lines(effects: pd.DataFrame, class_name: str, told: str) -> list[str]:
    """Tell what silencing a class's neurons does to it: in accuracy first, then in log probability.

    Parameters
    ----------
    effects : DataFrame
        Of `db.reads.classes.silenced`.
    class_name : str
    told : str
        The selection that is told in full; of the others a line each.
    """
    first = effects[effects["selection"] == told].iloc[0].to_dict()
    lines = [f"{_accuracy_sentence(first, class_name)} {_finer_sentence(first)}".strip()]
    for row in effects[effects["selection"] != told].to_dict("records"):
        lines.append(f"- {_accuracy_sentence(row, class_name, brief=True)} {_finer_sentence(row, brief=True)}".strip())
    return lines


def _accuracy_sentence(row: Mapping[Any, Any], class_name: str, brief: bool = False) -> str:
    name, delta = plain(class_name), row["delta"]
    who = f"{counted(int(row['n_neurons']), 'neuron')} ({plain(row['selection'])})"
    if pd.isna(delta):
        return f"Silencing its {who}: the accuracy on {name} was not measured."
    before, after = (number(row[f"accuracy_{when}"], ".2f") for when in ("unablated", "ablated"))
    change = f"{signed(delta)}, 95 % {between(row['ci_low'], row['ci_high'], signed)}"
    controls = _controls(row["control_delta_low"], row["control_delta_high"])
    verb = "leaves" if abs(delta) < 0.005 else "lowers" if delta < 0 else "raises"
    what = f"at {before}" if verb == "leaves" else f"from {before} to {after}"
    if brief:
        return f"{who}: accuracy {what} ({change}; random: {controls}). {_accuracy_verdict(row, brief=True)}"
    return (
        f"Silencing its {who} {verb} the accuracy on {name} {what} ({change}, "
        f"{counted(int(row['n_clips']), 'test clip')}); as many random neurons: {controls} "
        f"({int(row['n_controls'])} sets). {_accuracy_verdict(row)}"
    )


def signed(value: float) -> str:
    """Write a change with two digits and its sign; what rounds to 0 has none.

    Examples
    --------
    >>> signed(-0.123), signed(0.2), signed(-0.001)
    ('−0.12', '+0.20', '0.00')
    """
    return number(0.0 if abs(value) < 0.005 else value, "+.2f").replace("+0.00", "0.00")


def _controls(low: float, high: float) -> str:
    if pd.isna(low) or pd.isna(high):
        return "not measured"
    return spread(low, high, signed)


def _accuracy_verdict(row: Mapping[Any, Any], brief: bool = False) -> str:
    """Whether a change of accuracy is significant, and if not, why not."""
    q = f"q {p_value(row['q_value'])}"
    if believable(pd.DataFrame([dict(row)])).iloc[0]:
        return "**Significant.**" if brief else f"**That is significant** ({q}) and beyond all of them."
    if pd.isna(row["ci_low"]) or row["ci_low"] <= 0 <= row["ci_high"]:
        why = "The interval includes 0: **no evidence of a change of accuracy**."
        return "Includes 0." if brief else why
    if not row["q_value"] < Q_LIMIT:
        return f"Not significant ({q})." if brief else f"**Not significant** over all that was tested ({q})."
    return "Random neurons do as much." if brief else "**Random neurons do as much**: it is not owed to this choice."


def _finer_sentence(row: Mapping[Any, Any], brief: bool = False) -> str:
    """The change of the log probability, which moves before an answer changes; empty where it was not stored."""
    change = row["delta_log_prob"]
    if pd.isna(change):
        return ""
    low, high = row["control_log_prob_low"], row["control_log_prob_high"]
    q = f"q {p_value(row['log_prob_q_value'])}"
    if not row["log_prob_q_value"] < Q_LIMIT:
        verdict = f"not significant, {q}"
    elif pd.isna(low) or low <= change <= high:
        verdict = "random neurons do as much"
    else:
        verdict = f"**significant**, {q}"
    what = "Log probability" if brief else "The log probability of its clips, which moves before answers change:"
    return (
        f"{what} {signed(change)} nats (95 % {between(row['delta_log_prob_low'], row['delta_log_prob_high'], signed)}; "
        f"random: {_controls(low, high)}; {verdict})."
    )


def card_lines(row: Mapping[Any, Any], n_classes: int, others: Sequence[str]) -> tuple[str, ...]:
    """What a card tells of a neuron, a line each; plain text, not Markdown.

    Parameters
    ----------
    row : mapping
        Of `ranked`.
    n_classes : int
        Of the task.
    others : sequence of str
        Further classes that the neuron is specific for in the task.
    """
    told = {1: "replicated", 0: "not replicated"}.get(row["replicated"], "replication not tested")
    lift = with_interval(row["lift"], row["lift_low"], row["lift_high"], ".1f", "×")
    entropy = f"{number(row['entropy'], '.2f')} of {math.log(n_classes):.2f} nats · q {p_value(row['entropy_q_value'])}"
    lines = [f"lift {lift} · q {p_value(row['q_value'])}", told, f"entropy {entropy}"]
    if pd.notna(row["attribution"]):
        loss, half = row["attribution"], _Z * row["standard_error"]
        known = f"; {number(row['measured'], '+.2g')} when ablated alone" if pd.notna(row["measured"]) else ""
        lines.append(f"attribution {with_interval(loss, loss - half, loss + half, '+.2g')} logits{known}")
    if isinstance(row["explained_by"], str) and row["explained_by"]:
        lines.append(f"cannot be told from {confound(row['explained_by'])}")
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        lines.append(f"also {', '.join(others[:3])}{more}")
    return tuple(lines)


def clip_caption(rank: float, rate: float) -> str:
    """Where a clip of the class stands among those that a neuron answers to most."""
    if pd.isna(rank):
        return "of the class, but none of its top clips"
    return f"top clip {int(rank)} · fires at {rate:.0%}"


def sharing(shared: pd.DataFrame, same_clips: set[str]) -> pd.DataFrame:
    """The classes that share more neurons than chance, on other clips or in the same task; the strongest first.

    Parameters
    ----------
    shared : DataFrame
        Of `db.reads.classes.shared_with`.
    same_clips : set of str
        Tasks that read the clips of this one by another attribute: their classes share neurons because they share
        clips.

    Returns
    -------
    DataFrame
        With ``odds`` (ratio and interval in words); at most `MOST_SHARING` rows. ``attrs["n"]`` is how many there are.
    """
    beyond = shared["odds_low"] > 1
    kept = shared[(shared["q_value"] < Q_LIMIT) & beyond & (shared["nested"] == 0) & ~shared["task"].isin(same_clips)]
    rows = kept.head(MOST_SHARING).reset_index(drop=True)
    rows = rows.assign(
        odds=[
            with_interval(ratio, low, high, ".1f")
            for ratio, low, high in zip(rows["odds_ratio"], rows["odds_low"], rows["odds_high"], strict=True)
        ]
    )
    rows.attrs = {"n": len(kept)}
    return rows


def elsewhere_sentence(rows: pd.DataFrame) -> str:
    """Say in how many other tasks and models there is a class of the same name."""
    if rows.empty:
        return "No other task or model of this store has a class of this name."
    tasks, models = (counted(rows[name].nunique(), name) for name in ("task", "model"))
    return f"Found in {tasks} and {models}."


def elsewhere_counts(row: Mapping[Any, Any]) -> str:
    """The neurons of the same class in another task or model, beside what permuted labels give."""
    expected = row["expected_null"]
    beside = "not computed" if pd.isna(expected) else "< 0.1" if expected < 0.1 else number(expected, ",.1f")
    return f"{counted(int(row['n_neurons']), 'neuron')}; permuted labels: {beside}"


def capital(name: str) -> str:
    """A class's name as a title."""
    return plain(name[:1].upper() + name[1:])
