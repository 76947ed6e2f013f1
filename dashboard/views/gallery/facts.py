"""What the gallery says of each neuron; pure functions over frames of `db.reads.gallery`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from dashboard.shared.text.facts import Q_LIMIT
from dashboard.shared.text.numbers import number, p_value, with_interval
from db.reads.gallery import Z

SHOWN = {
    "specific": "class-specific",
    "replicated": "replicated on test clips",
    "all": "all that fire",
}
ORDERS = {
    "evidence": "evidence",
    "lift": "lift",
    "entropy": "lowest entropy",
    "effect": "estimated effect",
    "place": "layer and number",
}
EFFECTS = {"any": "any", "loses": "its class loses margin without it"}


def title(row: Mapping[Hashable, Any]) -> str:
    """Name a neuron's class, and how many others it is specific for."""
    n_others = int(row["n_specific"]) - 1
    return str(row["class_name"]) + (f" and {n_others} more" if n_others > 0 else "")


def lines(row: Mapping[Hashable, Any], n_classes: int, preset: str) -> tuple[str, ...]:
    """Tell what holds a neuron's class up, its entropy and its estimated effect, each with what it is read against.

    Parameters
    ----------
    row : mapping
        Of `db.reads.gallery.cards`.
    n_classes : int
        Of the task: what entropy at most is ln of.
    preset : str
        By which it is class-specific.
    """
    return tuple(filter(None, (_evidence(row, preset), _replicated(row), _entropy(row, n_classes), _effect(row))))


def _evidence(row: Mapping[Hashable, Any], preset: str) -> str:
    if not row["is_specific"]:
        return f"highest class ({number(row['max_probability'], '.1%')} of tokens), not class-specific by {preset}"
    lift = with_interval(row["lift"], row["lift_low"], row["lift_high"], ".1f", "×")
    return f"lift {lift} · {_q(row['q_value'])}"


def _replicated(row: Mapping[Hashable, Any]) -> str:
    if not row["is_specific"] or pd.isna(row["replicated"]):
        return ""
    return "replicated on test clips" if row["replicated"] else "not replicated on test clips"


def _entropy(row: Mapping[Hashable, Any], n_classes: int) -> str:
    q = row["entropy_q_value"]
    text = f"entropy {row['entropy']:.2f} of {math.log(n_classes):.2f} nats · {_q(q)}"
    return text if pd.isna(q) or q < Q_LIMIT else f"{text}, as shuffled labels give"


def _q(value: float) -> str:
    return f"q {p_value(value)}".replace(" ", "\N{NO-BREAK SPACE}")


def _effect(row: Mapping[Hashable, Any]) -> str:
    if pd.isna(row["attribution"]):
        return ""
    value, half = row["attribution"], Z * row["standard_error"]
    return f"attribution {with_interval(value, value - half, value + half, '+.2g')} logits"


def clip_text(row: Mapping[Hashable, Any]) -> str:
    """Say what is heard: the clip's classes, its rank among the neuron's, and at how many tokens it fires."""
    what = ", ".join(row["classes"]) or str(row["path"]).rsplit("/", 1)[-1]
    return f"{what} · top clip {int(row['rank'])} · fires at {row['activation_rate']:.0%}"


def heard(clips: pd.DataFrame, class_name: str) -> Mapping[Hashable, Any] | None:
    """Choose the clip to hear a neuron in: the strongest that has its class, else the strongest.

    Parameters
    ----------
    clips : DataFrame
        Of `db.reads.gallery.card_clips`, of one neuron.
    class_name : str
    """
    rows = clips.to_dict("records")
    return next((row for row in rows if class_name in row["classes"]), rows[0] if rows else None)


def entropy_range(asked: str | None, most: float) -> tuple[float, float] | None:
    """Read a range of entropies from the address, "0.5-2"; None where it is none, or holds all there are."""
    low, dash, high = (asked or "").partition("-")
    try:
        ends = float(low), float(high)
    except ValueError:
        return None
    is_range = dash and 0 <= ends[0] <= ends[1] < math.inf
    return ends if is_range and (ends[0] > 0 or ends[1] < most) else None
