"""What the speech page says and counts; pure functions over frames of `db.reads.preferences`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.text import words
from dashboard.shared.text.numbers import BRACKETS, between, number, with_interval

ATTRIBUTES = (
    "gender", "language", "language_family", "emotion", "arousal", "valence", "sentiment", "accent", "voice", "speaker",
    "nationality", "age", "native_language", "intensity", "sentence",
)  # fmt: skip
"""Names of attributes that tell something of speech, in the order they are offered."""

AROUSAL = {
    **dict.fromkeys(
        ("anger", "angry", "fear", "fearful", "happiness", "happy", "joy", "surprise", "surprised"), "high"
    ),
    **dict.fromkeys(("excitement", "excited", "panic", "elation"), "high"),
    **dict.fromkeys(("sadness", "sad", "neutral", "calm", "boredom", "bored", "tired", "relaxed"), "low"),
}
"""High or low arousal of the usual emotion names, after the circumplex (Russell 1980); disgust lies between. Ours: no
dataset says it."""

MOST_GROUP_MARKS = 6
N_SHUFFLES, N_TREES = 200, 100
_ONE_SIDE = 0.025


def speech_first(tasks: pd.DataFrame) -> list[str]:
    """Tasks in the order they are offered: those that tell something of speech, then all others, by name."""
    order = {name: place for place, name in enumerate(ATTRIBUTES)}
    place = tasks["attribute"].map(lambda name: order.get(str(name).lower(), len(order)))
    return [str(name) for name in tasks.assign(place=place).sort_values(["place", "task"])["task"]]


def is_speech(attribute: str) -> bool:
    """Whether an attribute tells something of speech, by its name."""
    return attribute.lower() in ATTRIBUTES


def with_chance(counts: pd.DataFrame) -> pd.DataFrame:
    """Add ``by_chance``: how many intervals would lie on one side of 0 if no neuron preferred anything."""
    return counts.assign(by_chance=_ONE_SIDE * counts["n_known"])


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """Add ``verdict`` (where the interval lies) and ``label`` (layer and neuron) to log odds; ``chosen`` in words."""
    beyond = (rows["ci_low"] > 0) | (rows["ci_high"] < 0)
    label = [f"layer {layer}, {neuron}" for layer, neuron in zip(rows["layer"], rows["neuron"], strict=True)]
    chosen = rows["chosen"].map({1: "yes", 0: "no"})
    return rows.assign(verdict=np.where(beyond, "excludes 0", "includes 0"), label=label, chosen=chosen)


def filled_from_counts(rows: pd.DataFrame, one_label: bool) -> pd.DataFrame:
    """Give neurons without a stored log odds in the second task the one that its counts make.

    Parameters
    ----------
    rows : DataFrame
        Of ``in_two_tasks``.
    one_label : bool
        Whether each clip of the second task has one class; else counts of all classes do not add up, and the neurons
        without a stored value are left out.

    Returns
    -------
    DataFrame
        With ``log_odds_b`` known, and ``kind``: ``both exclude 0``, ``one includes 0``, or ``no interval`` in the
        second.
    """
    half = 0.5  # Haldane, as in the stored ones
    fired, tokens = rows["fired"], rows["tokens"]
    rest, rest_tokens = rows["fired_all"] - fired, rows["tokens_all"] - tokens
    with np.errstate(invalid="ignore", divide="ignore"):
        made = np.log((fired + half) / (tokens - fired + half)) - np.log((rest + half) / (rest_tokens - rest + half))
    stored = rows["log_odds_b"]
    filled = rows.assign(log_odds_b=np.where(stored.isna(), made, stored) if one_label else stored)
    leave_a = (filled["low_a"] > 0) | (filled["high_a"] < 0)
    leave_b = (filled["low_b"] > 0) | (filled["high_b"] < 0)
    kind = np.select([filled["low_b"].isna(), leave_a & leave_b], ["no interval", "both exclude 0"], "one includes 0")
    label = [f"layer {layer}, {neuron}" for layer, neuron in zip(filled["layer"], filled["neuron"], strict=True)]
    return filled.assign(kind=kind, label=label).dropna(subset=["log_odds_a", "log_odds_b"]).reset_index(drop=True)


@dataclass(frozen=True)
class SignAgreement:
    """Neurons whose log odds have one sign in two tasks, with Wilson's interval and what pairing at random gives."""

    n_neurons: int
    n_agree: int
    share: float
    low: float
    high: float
    by_chance: float
    chance_low: float
    chance_high: float


def sign_agreement(a: NDArray[np.float64], b: NDArray[np.float64], seed: int = 0) -> SignAgreement | None:
    """Measure how often two series of log odds have the same sign; None without any."""
    from scipy.stats import binomtest  # here: its import takes longer than most pages

    first, second = np.sign(a), np.sign(b)
    total = len(first)
    if total == 0:
        return None
    agree = int(np.sum(first == second))
    interval = binomtest(agree, total).proportion_ci(method="wilson")
    rng = np.random.default_rng(seed)
    dealt = np.array([np.mean(first == rng.permutation(second)) for _ in range(N_SHUFFLES)])
    low, high = np.quantile(dealt, [0.025, 0.975])
    return SignAgreement(
        total,
        agree,
        agree / total,
        float(interval.low),
        float(interval.high),
        float(dealt.mean()),
        float(low),
        float(high),
    )


def agreement_sentence(agreement: SignAgreement, class_name: str, found_none: str = "") -> str:
    """Tell `SignAgreement` in words; ``found_none`` is the rule, where it selected none of these neurons."""
    if found_none:
        return (
            f"{found_none} chose no neuron in this task. The {agreement.n_neurons:,} below come from another selection "
            "rule, which takes its share of the neurons from noise too: that they lean the same way in both finds "
            "nothing."
        )
    beyond = agreement.low > agreement.chance_high
    verdict = "Above the permutation null." if beyond else "Not above the permutation null."
    return (
        f"**{agreement.n_agree:,} of {agreement.n_neurons:,}** neurons ({agreement.share:.0%} "
        f"{between(agreement.low, agreement.high, '.0%', BRACKETS)}) lean the same way on {words.plain(class_name)} in "
        f"both; paired at random {agreement.by_chance:.0%} "
        f"{between(agreement.chance_low, agreement.chance_high, '.0%', BRACKETS)}. {verdict}"
    )


def profile_distances(profiles: pd.DataFrame) -> pd.DataFrame:
    """Return 1 − correlation of classes' log odds over neurons, square; classes without spread are left out."""
    wide = profiles.pivot_table("log_odds", "neuron_id", "class_name", sort=False).dropna()
    wide = wide.loc[:, wide.std() > 0] if len(wide) > 2 else wide.iloc[:, :0]
    return 1 - wide.corr()


def overlap_distances(overlaps: pd.DataFrame) -> pd.DataFrame:
    """Return 1 − overlap beyond chance of classes' neuron sets, square; classes without neurons are left out.

    The overlap beyond chance is (shared − expected) / (smaller set − expected): 1 where one set contains the other,
    0 at chance.
    """
    known = overlaps[(overlaps["n_a"] > 0) & (overlaps["n_b"] > 0)]
    room = known[["n_a", "n_b"]].min(axis=1) - known["expected"]
    beyond = (known["n_shared"] - known["expected"]) / room.where(room > 0)
    names = list(dict.fromkeys([*known["class_a"], *known["class_b"]]))
    square = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(square, 0)
    place = {name: i for i, name in enumerate(names)}
    for a, b, value in zip(known["class_a"], known["class_b"], beyond, strict=True):
        square[place[a], place[b]] = square[place[b], place[a]] = 1 - value
    if np.isnan(square).any():
        names, square = [], square[:0, :0]
    return pd.DataFrame(square, index=names, columns=names)


@dataclass(frozen=True)
class Tree:
    """A tree of classes, ready to be drawn, and how far the distances are tree-like."""

    leaves: pd.DataFrame
    """``class_name``, ``place`` (from 0)."""
    branches: pd.DataFrame
    """``branch``, ``step``, ``place``, ``height``: four corners a joint, in order."""
    cophenetic: float
    by_chance: float
    chance_high: float


def tree(distances: pd.DataFrame, seed: int = 0) -> Tree | None:
    """Build a tree by average linkage; None for fewer than three classes.

    Notes
    -----
    Cophenetic correlation: of the distances with the heights at which classes join. It is high for any tree built from
    few classes, so the same distances are dealt anew to the pairs `N_TREES` times. Under average linkage two
    groups join at the mean of the distances between them, so that the correlation is the root of the share of the
    distances' sum of squares that lies between joints: the heights alone give it.
    """
    if len(distances) < 3:
        return None
    # Here, not above: a third of a second that a page without a tree need not wait for.
    from scipy.cluster.hierarchy import dendrogram, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    flat = squareform(distances.to_numpy(dtype=np.float64), checks=False).clip(min=0)

    def fit(values: NDArray[np.float64]) -> float:
        joints = linkage(values, "average")
        heights = joints[:, 2]
        sizes = np.concatenate([np.ones(len(distances)), joints[:, 3]])
        n_pairs = sizes[joints[:, 0].astype(int)] * sizes[joints[:, 1].astype(int)]
        if np.ptp(heights) <= 0 or np.ptp(values) <= 0:
            return np.nan
        between = (n_pairs * (heights - values.mean()) ** 2).sum()
        return float(np.sqrt(between / ((values - values.mean()) ** 2).sum()))

    rng = np.random.default_rng(seed)
    dealt = np.array([fit(rng.permutation(flat)) for _ in range(N_TREES)])
    drawn = dendrogram(optimal_leaf_ordering(linkage(flat, "average"), flat), no_plot=True)
    # scipy sets leaves at 5, 15, 25, ...
    leaves = pd.DataFrame({"class_name": [str(distances.index[i]) for i in drawn["leaves"]]})
    leaves["place"] = np.arange(len(leaves), dtype=np.float64)
    joints = zip(drawn["icoord"], drawn["dcoord"], strict=True)
    branches = [
        (branch, step, (place - 5) / 10, height)
        for branch, (places, heights) in enumerate(joints)
        for step, (place, height) in enumerate(zip(places, heights, strict=True))
    ]
    frame = pd.DataFrame(branches, columns=["branch", "step", "place", "height"])
    known = dealt[~np.isnan(dealt)]
    mean, high = (float(known.mean()), float(np.quantile(known, 0.975))) if len(known) else (np.nan, np.nan)
    return Tree(leaves, frame, fit(flat), mean, high)


@dataclass(frozen=True)
class Families:
    """Groups that a task's classes fall into."""

    name: str
    of_class: dict[str, str]
    ours: bool


def find_families(groups: pd.DataFrame, attribute: str, classes: Sequence[str]) -> list[Families]:
    """Find attributes that put every class of a task into one of fewer groups; arousal for emotions.

    Parameters
    ----------
    groups : DataFrame
        ``attribute``, ``class_name``, ``family``.
    attribute : str
        The task's own.
    classes : sequence of str
    """
    families = []
    for name, rows in groups.groupby("attribute", sort=False):
        of_class = dict(zip(rows["class_name"], rows["family"], strict=True))
        n_families = len({of_class.get(c) for c in classes})
        if all(c in of_class for c in classes) and 1 < n_families < len(classes) and n_families <= MOST_GROUP_MARKS:
            families.append(Families(str(name), {c: of_class[c] for c in classes}, ours=False))
    if attribute.lower() == "emotion":
        of_class = {c: AROUSAL.get(c.lower(), "not placed") for c in classes}
        if {"high", "low"} <= set(of_class.values()):
            families.append(Families("arousal", of_class, ours=True))
    return families


@dataclass(frozen=True)
class FamilyTest:
    """How much closer classes of one family are than classes of two, with the share of dealings at least as close."""

    within: float
    across: float
    p_value: float
    n_dealings: int


def compare_families(
    distances: pd.DataFrame, families: Families, n_dealings: int = 1_000, seed: int = 0
) -> FamilyTest | None:
    """Compare distances within and across families, dealt anew to the classes; None where no family has two."""
    placed = [c for c in distances.index if families.of_class.get(c, "not placed") != "not placed"]
    square = distances.loc[placed, placed].to_numpy(dtype=np.float64)
    family = np.unique([families.of_class[c] for c in placed], return_inverse=True)[1]
    upper = np.triu_indices(len(placed), 1)
    apart = square[upper]

    def gap(of: NDArray[np.int64]) -> tuple[float, float]:
        same = (of[:, None] == of)[upper]
        return (
            (float(apart[same].mean()), float(apart[~same].mean())) if 0 < same.sum() < len(same) else (np.nan, np.nan)
        )

    within, across = gap(family)
    if np.isnan(within):
        return None
    rng = np.random.default_rng(seed)
    dealt = np.array([np.subtract(*gap(rng.permutation(family))) for _ in range(n_dealings)])
    as_close = int(np.sum(dealt <= within - across + 1e-12))
    return FamilyTest(within, across, (1 + as_close) / (1 + n_dealings), n_dealings)


def confound_lines(probes: pd.DataFrame, explained: pd.DataFrame, shuffled: str, preset: str) -> list[str]:
    """Tell what a task's labels go together with, apart from what they name."""
    lines = []
    rows = {str(row["feature"]): row for row in probes.dropna(subset="accuracy").to_dict("records")}

    def rate(name: str) -> str:
        row = rows[name]
        return with_interval(row["accuracy"], row["ci_low"], row["ci_high"], ".0%")

    apart, mixed = rows.get("model, groups apart"), rows.get("model, groups mixed")
    if apart is not None and mixed is not None:
        group = words.plain(apart["group_name"])
        verdict = (
            f"What is lost was owed to knowing the {group}."
            if mixed["ci_low"] > apart["ci_high"]
            else "The intervals meet: little hangs on knowing it."
        )
        lines.append(
            f"**{group.capitalize()}**: the probe is right on {rate('model, groups apart')} of clips of a {group} it "
            f"never heard, on {rate('model, groups mixed')} where it did (chance {apart['chance']:.0%}). {verdict}"
        )
    marked = [name for name, row in rows.items() if row["mark"] == "as good as the model"]
    if marked and "model" in rows:
        names = " and ".join(f"{name} alone ({rate(name)})" for name in marked[:2])
        lines.append(f"**Without a model**: {names} tells these classes as well as the model does ({rate('model')}).")
    if len(explained):
        total = int(explained["n_pairs"].sum())
        away = explained[explained["explained_by"] != ""]
        by = ", ".join(f"{words.confound(name)} {n:,}" for name, n in away.itertuples(index=False))
        part = f"{int(away['n_pairs'].sum()):,} of {total:,}" if len(away) else f"none of {total:,}"
        lines.append(
            f"**Level, duration, silence**: they explain {part} pairs of neuron and class that {preset} chose"
            + (f" ({by})." if by else ".")
        )
    dealt = f"**Null**: labels were permuted by {words.plain(shuffled)}."
    if "whole" in shuffled:
        dealt += " With few of them little can be shown: no neuron is too little evidence, not evidence of nothing."
    return [*lines, dealt]


def tree_lines(grown: Tree, families: Families | None, distances: pd.DataFrame) -> list[str]:
    """Tell how far the distances are tree-like, and whether families keep together."""
    lines = [
        f"Cophenetic correlation **{number(grown.cophenetic, '.2f')}** (1 = the tree tells the distances fully); the "
        f"same distances permuted over pairs give {number(grown.by_chance, '.2f')}, at most "
        f"{number(grown.chance_high, '.2f')} in 97.5 % of dealings."
    ]
    if families is None:
        return lines
    comparison = compare_families(distances, families)
    if comparison is None:
        return lines
    name = words.plain(families.name.replace("_", " ")) + (
        " (our grouping of emotion names, not the dataset's)" if families.ours else ""
    )
    return [
        *lines,
        f"Colour: {name}. Classes of one group lie {number(comparison.within, '.2f')} apart on average, of two "
        f"{number(comparison.across, '.2f')}; permuted over the classes, the groups lie as close together in "
        f"{comparison.p_value:.1%} of dealings.",
    ]
