"""What pages say of made sounds; pure functions over frames of `db.reads.stimuli`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.shared.text import words
from dashboard.shared.text.numbers import BRACKETS, between, number, share

SETS: Mapping[str, str] = {
    "tones": "Tones: pitch, level, timbre", "fundamental": "Missing fundamental: pitch, spectral band",
    "partials": "Partials missing, moved: pitch, level, timbre", "snr": "Tones in noise: pitch, signal-to-noise ratio",
    "am": "Amplitude modulation", "fm": "Frequency modulation", "noise": "Bands of noise", "gaps": "Gaps",
    "events": "Events in noise", "vowels": "Vowels: pitch, vocal tract", "voices": "Voices at equal pitch",
}  # fmt: skip
"""Sets as pages call them."""
QUESTIONS: Mapping[str, str] = {
    "gender": "pitch or vocal tract?", "note": "is the note kept?", "follows": "which factors do they follow?",
}  # fmt: skip
FOLLOWS, KEPT, Q_LIMIT = 0.1, 0.6, 0.05
"""As `core.stimuli.study` and `core.stimuli.answers` have them; a test holds them equal."""
MOST_SENTENCES = 3
_ASKED: Mapping[tuple[str, ...], tuple[str, tuple[str, ...]]] = {
    ("gender", "sex"): ("vowels", ("F0", "vocal tract")), ("pitch", "octave", "pitch_class"): ("tones", ("F0",)),
}  # fmt: skip
"""Attributes, and the set and factors that ask what their classes are."""


def of_set(name: str) -> str:
    """A set as pages call it."""
    return SETS.get(name, name)


def follows(rows: pd.DataFrame) -> pd.Series:
    """Which factors a unit follows: q < 0.05, and a tenth of its variance or more."""
    return (rows["q_value"] < Q_LIMIT) & (rows["shapley"] >= FOLLOWS)


def unit_sentences(factors: pd.DataFrame, invariance: pd.DataFrame) -> list[str]:
    """What made sounds say of one unit, a sentence a set, those first of which a factor explains most.

    Parameters
    ----------
    factors : DataFrame
        Of `db.reads.stimuli.of_unit`.
    invariance : DataFrame
        Of `db.reads.stimuli.invariance`.
    """
    if factors.empty:
        return []
    leading = factors[(factors["is_leading"] == 1) & follows(factors)].sort_values(
        "shapley", ascending=False, kind="stable"
    )
    return [
        _sentence(row, factors[factors["stimulus_set"] == row["stimulus_set"]], invariance)
        for row in leading.head(MOST_SENTENCES).to_dict("records")
    ]


def unit_summary(factors: pd.DataFrame, invariance: pd.DataFrame) -> str:
    """The same in one line, or that nothing was found."""
    sentences = unit_sentences(factors, invariance)
    if sentences:
        return sentences[0]
    n = factors["stimulus_set"].nunique()
    return (
        f"Answers to no factor of made sounds: in {n} sets none has q < {Q_LIMIT:g} and a tenth of its variance."
        if n
        else "Answers to all made sounds alike."
    )


def _sentence(row: Mapping[Any, Any], of_set: pd.DataFrame, invariance: pd.DataFrame) -> str:
    factor = str(row["factor"])
    near = " near" if row["unit_of_values"] else ", most to"
    level, name = words.plain(row["best_level"]), words.plain(row["stimulus_set"])
    told = (
        f"Answers to {words.plain(factor)}{near} {level} ({name}: explains {share(row['shapley'])} of its variance, "
        f"permuted {share(max(row['null_high'], 0))})"
    )
    pairs = invariance[(invariance["stimulus_set"] == row["stimulus_set"]) & (invariance["factor"] == factor)]
    parts = [_kept(pair) for pair in pairs.to_dict("records")]
    told += f", {' and '.join(parts)}" if parts else ""
    others = of_set[(of_set["factor"] != factor) & ~follows(of_set)]
    nots = [
        f"{words.plain(other['factor'])} ({share(max(other['shapley'], 0))})" for other in others.to_dict("records")
    ]
    return f"{told}; not to {' nor '.join(nots)}." if nots else f"{told}."


def _kept(pair: Mapping[Any, Any]) -> str:
    by_chance = f"permuted {number(pair['null_kept'], '.1f')}"
    if pair["kept"] >= KEPT and pair["kept"] > pair["null_kept"]:
        return (
            f"whatever the {words.plain(pair['other_factor'])} ({pair['kept']:.1f} of its levels keep it, {by_chance})"
        )
    return (
        f"moving with the {words.plain(pair['other_factor'])} ({pair['kept']:.1f} of its levels keep it, {by_chance})"
    )


def kept_lines(pairs: pd.DataFrame) -> list[str]:
    """Whether units keep their tuning over a factor at each level of another, a line for each other factor.

    Parameters
    ----------
    pairs : DataFrame
        Of `db.reads.stimuli.kept`, of one factor.
    """
    return [
        f"**{words.plain(row['other_factor'])}** changes: at {share(row['kept'])} of its levels the best level of "
        f"{words.plain(row['factor'])} is kept (permuted {share(row['null_kept'])}); in {share(row['share_alike'])} of "
        f"{int(row['n_units']):,} units the tuning is more alike than 97.5 % of permuted labels give"
        for row in pairs.to_dict("records")
    ]


def class_lines(factors: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """What made sounds say of a unit's own classes of gender, pitch and octave, a line a task.

    Parameters
    ----------
    factors : DataFrame
        Of `db.reads.stimuli.of_unit`.
    pairs : DataFrame
        Classes that the unit is specific for: ``task``, ``class_name``.
    """
    lines = []
    for task, names in pairs.groupby("task", sort=False)["class_name"]:
        attribute = str(task).rpartition("-")[2].lower()
        name, asked = next((of for which, of in _ASKED.items() if attribute in which), ("", ()))
        of = factors[(factors["stimulus_set"] == name) & factors["factor"].isin(asked)]
        if len(of):
            told = [
                f"{words.plain(row['factor'])} explains {share(max(row['shapley'], 0))} (permuted "
                f"{share(max(row['null_high'], 0))}), most at {words.plain(row['best_level'])}"
                for row in of.to_dict("records")
            ]
            lines.append(
                f"Specific for {words.listed(list(names))} of {words.plain(task)}: by {name}, {'; '.join(told)}."
            )
    return lines


def set_sentence(layers: pd.DataFrame, facts: Mapping[Any, Any]) -> str:
    """How many units each factor of a set explains most, beside permuted labels.

    Parameters
    ----------
    layers : DataFrame
        Of `db.reads.stimuli.layers`.
    facts : mapping
        A row of `db.reads.stimuli.sets`.
    """
    n, n_sounds = int(facts["n_varying"]), int(facts["n_stimuli"])
    start = f"**{n:,} units** do not answer to all {n_sounds:,} sounds alike."
    if not facts["n_permutations"]:
        return f"{start} Labels were not permuted (`--shuffles` was under 21), so no factor can be said to matter."
    by_factor = layers.groupby("factor", sort=False)[["n_found", "n_leading", "null_mean"]].sum()
    told = [
        f"**{words.plain(name)}** explains most in {int(row['n_leading']):,} (it has q < {Q_LIMIT:g} in "
        f"{int(row['n_found']):,}; permuted {number(row['null_mean'])})"
        for name, row in by_factor.iterrows()
    ]
    rest = n - int(by_factor["n_leading"].sum())
    return f"{start} {'; '.join(told)}. No factor is found for {rest:,}."


def answer_lines(rows: pd.DataFrame) -> Iterator[str]:
    """A line a class: which answers hold of its units, beside all units."""
    for name, of in rows.groupby("class_name", sort=False):
        told = [
            f"{words.plain(row['answer'])} {share(row['share'])} "
            f"{between(row['share_low'], row['share_high'], share, BRACKETS)}, of all units "
            f"{share(row['share_all'])}{_marked(row['q_value'])}"
            for row in of.to_dict("records")
        ]
        n = int(of["n_units"].iloc[0])
        yield f"**{words.plain(name)}** ({n:,} specific units that vary): {'; '.join(told)}."


def note_lines(rows: pd.DataFrame) -> Iterator[str]:
    """A line a task: of all pairs of unit and class, how many keep their note, beside what all units give."""
    for task, of in rows.groupby("task", sort=False):
        n = int(of[of["answer"] == of["answer"].iloc[0]]["n_units"].sum())
        by_answer = of.assign(expected=of["n_units"] * of["share_all"]).groupby("answer", sort=False)
        told = [
            f"{words.plain(answer)} {share(row['n_answer'] / n)} (by all units {share(row['expected'] / n)})"
            for answer, row in by_answer[["n_answer", "expected"]].sum().iterrows()
        ]
        yield f"**{words.plain(task)}**, {n:,} pairs of unit and class: {', '.join(told)}."


def _marked(q_value: float) -> str:
    return " (more than chance, q < 0.05)" if q_value < Q_LIMIT else ""


def most_telling(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Of each class the factors that its units follow more often than others do, the surest first."""
    found = rows[rows["q_value"] < Q_LIMIT].sort_values(["p_value", "share"], ascending=[True, False], kind="stable")
    return found.groupby("class_name", sort=False).head(most)


def curve_order(tuning: pd.DataFrame, factors: pd.DataFrame) -> Sequence[tuple[str, str]]:
    """(Set, factor) of a unit's curves, the factor first that explains most."""
    known = set(zip(tuning["stimulus_set"], tuning["factor"], strict=True))
    ordered = factors.sort_values("shapley", ascending=False, kind="stable")
    return [pair for pair in zip(ordered["stimulus_set"], ordered["factor"], strict=True) if pair in known]
