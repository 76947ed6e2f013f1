"""What the page says of each neuron; pure functions over frames of `db.reads.gallery` and `db.reads.descriptions`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.shared.text.facts import Q_LIMIT, words_score
from dashboard.shared.text.numbers import number, p_value, share, with_interval
from dashboard.shared.text.words import listed, plain
from dashboard.views.gallery.search import EXPLAINS, Part, Reading
from db.reads.gallery import Z

SHOWN = {
    "specific": "class-specific",
    "replicated": "replicated on test clips",
    "all": "all that fire",
}
ORDERS = {
    "evidence": "evidence",
    "lift": "lift",
    "entropy": "selectivity",
    "effect": "estimated effect",
    "surprise": "surprise",
    "disagreement": "disagreement",
    "place": "layer and number",
}
OF_DESCRIPTIONS = ("surprise", "disagreement")
"""Orders that need descriptions."""
MEANS = {
    "evidence": "lowest p of the class first, then highest lift.",
    "lift": "highest lift of the class first.",
    "entropy": "lowest entropy over the task’s classes first.",
    "effect": "what the class is estimated to lose without the neuron, in logits, most first.",
    "surprise": "r of the description on held-out clips less what it must beat (the 97.5th percentile of other units’ "
    "descriptions dealt to this one, or the majority class), largest first.",
    "disagreement": "distance between the shares of the variance on held-out clips that classes alone and descriptors "
    "alone explain (below 0 counts as 0), largest first; of units of which more is explained than on shifted "
    "activations.",
    "place": "as in the model.",
}
"""What each order goes by, told on the page and in its help."""
EXPLAINED = {"any": "any", "descriptors": "descriptors only", "classes": "classes only"}
EXPLAINED_MEANS = (
    f"**Explains**: {EXPLAINS:.0%} of the variance on held-out clips and more, where more is explained than on "
    "shifted activations (by chance 1 unit in 40)."
)
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


@dataclass(frozen=True)
class InWords:
    """What a card says of a unit: its best description, or nothing, and how well that predicts."""

    said: str = ""
    lines: tuple[str, ...] = ()


def first_of_each(rows: pd.DataFrame) -> dict[int, Mapping[Hashable, Any]]:
    """The first row of each ``neuron_id``."""
    return {int(row["neuron_id"]): row for row in rows.drop_duplicates("neuron_id").to_dict("records")}


def in_words(
    neuron_id: int, best: Mapping[int, Mapping[Hashable, Any]], explained: Mapping[int, Mapping[Hashable, Any]]
) -> InWords:
    """Tell a unit in words, with the score of these beside what they must beat, and what explains the unit.

    Parameters
    ----------
    neuron_id : int
    best : mapping
        By neuron its row of `db.reads.descriptions.of_units`.
    explained : mapping
        By neuron its row of `db.reads.descriptions.explanations_of`.
    """
    if neuron_id not in best:
        return InWords()
    said, shares = best[neuron_id], explained.get(neuron_id)
    lines = [words_score(said)]
    if shares is not None and shares["n_terms"] > 0:
        of_both = (share(max(shares[name], 0)) for name in ("by_classes", "by_descriptors"))
        lines.append("classes explain {}, descriptors {}".format(*of_both))
    return InWords(str(said["description"]), tuple(lines))


def understood(asked: Sequence[Part], means: Sequence[Sequence[Reading]], counts: Sequence[int]) -> str:
    """Say in Markdown how each part of what was typed is understood, and how many units it finds by itself."""
    told = []
    for part, readings, n in zip(asked, means, counts, strict=True):
        name = f"{'not ' * part.excluded}“{plain(part.text)}”"
        as_word = f" ({listed([str(one) for one in readings])})" if readings else ""
        told.append(f"{name}{as_word} {n:,}" if n else f"{name}{as_word} finds nothing")
    return "By itself: " + ", ".join(told) + "."


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
