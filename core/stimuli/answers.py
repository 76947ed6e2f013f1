"""What made sounds say of class-specific units: whether a class is borne out, or something that goes with it.

A "female" unit may answer to high voices, to short vocal tracts, or to neither; made vowels hold one while the other
changes. Beside every share stands the same share among all units of the model that vary over the set: what answers to
pitch in most units is no news of a few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from core.evidence.fdr import benjamini_hochberg
from core.evidence.pooled import Q_LIMIT
from core.results import IntArray, Mask, SpecificSet, wilson
from core.stimuli.sets import NOTES
from core.stimuli.study import FOLLOWS

KEPT = 0.6
"""Share of the levels of timbre, and of level, at which a unit's best note must stay for it to keep its note."""
HIGHER_VOICES, LOWER_VOICES = ("female", "woman", "women", "f"), ("male", "man", "men", "m")
NOTE_ATTRIBUTES = ("pitch", "octave", "pitch_class")
_SEMITONES, _OF_CLASS = 4, 2
"""From a pitch, and from a pitch class, that a best note may lie: a step of the set's F0, and half of one."""
_NAMES = {name.replace("♯", "#"): place for place, name in enumerate(NOTES)}
_COLUMNS = (
    "question", "task", "preset", "class_name", "stimulus_set", "answer", "n_units", "n_answer", "share", "share_low",
    "share_high", "n_all", "n_all_answer", "share_all", "p_value", "q_value",
)  # fmt: skip


@dataclass(frozen=True)
class Units:
    """What is known of all units that vary over one set, for one factor of it.

    Attributes
    ----------
    neuron : ndarray of int, shape (n,)
        Flat indices, ascending; the same for all factors of a set.
    follows : ndarray of bool, shape (n,)
        q < 0.05 and a Shapley value of `FOLLOWS` or more.
    trend, best, kept : ndarray of float, shape (n,)
        Trend over the levels, value of the best level, and the least share of another factor's levels that keep it
        (NaN where q is not < 0.05).
    """

    neuron: IntArray
    follows: Mask
    trend: np.ndarray
    best: np.ndarray
    kept: np.ndarray


def units_of(rows: pd.DataFrame) -> dict[tuple[str, str], Units]:
    """Take rows of `db.reads.stimuli.of_all_units` apart by (set, factor)."""
    found = {}
    for (name, factor), of in rows.groupby(["stimulus_set", "factor"], sort=False):
        of = of.sort_values("neuron_index")
        follows = (of["q_value"] < Q_LIMIT) & (of["shapley"] >= FOLLOWS)
        values = (of[column].to_numpy(dtype=np.float64) for column in ("trend", "best_value", "kept"))
        found[str(name), str(factor)] = Units(of["neuron_index"].to_numpy(), follows.to_numpy(), *values)
    return found


def answers(
    sets: Sequence[SpecificSet], attributes: Mapping[str, str], units: Mapping[tuple[str, str], Units]
) -> pd.DataFrame:
    """What made sounds say of every class that has specific units.

    Parameters
    ----------
    sets : sequence of SpecificSet
    attributes : mapping
        Task to the attribute it reads.
    units : mapping
        As `units_of` gives them.

    Returns
    -------
    DataFrame
        ``question`` (``follows``, ``gender`` or ``note``), ``task``, ``preset``, ``class_name``, ``stimulus_set``,
        ``answer``; of the class's units that vary over the set (``n_units``) those of whom it holds (``n_answer``),
        their ``share`` with Wilson's interval; the same of all units that vary; ``p_value``, the hypergeometric chance
        of as many or more; ``q_value`` over all rows of a preset and question.
    """
    rows = []
    for of in sets:
        members: dict[int, list[int]] = {}
        for place, neuron in of.pairs:
            members.setdefault(place, []).append(neuron)
        for place, own in members.items():
            class_name = of.class_names[place]
            for question, name, neurons, holds in _asked(attributes.get(of.task, ""), class_name, units):
                is_own = np.isin(neurons, own)
                if is_own.any():
                    known = (question, of.task, of.preset, class_name, name)
                    rows += [(*known, answer, *_counted(mask, is_own)) for answer, mask in holds.items()]
    table = pd.DataFrame(rows, columns=list(_COLUMNS[:-1]))
    table["q_value"] = np.nan
    for _, at in table.groupby(["preset", "question"]).groups.items():
        table.loc[at, "q_value"] = benjamini_hochberg(table.loc[at, "p_value"].to_numpy())
    return table


def _counted(holds: Mask, is_own: Mask) -> tuple[float, ...]:
    n, n_all, k, k_all = int(is_own.sum()), len(holds), int((holds & is_own).sum()), int(holds.sum())
    low, high = wilson(k / n, n)
    p = float(np.clip(hypergeom.sf(k - 1, n_all, k_all, n), 0, 1))
    return n, k, k / n, max(low, 0.0), min(high, 1.0), n_all, k_all, k_all / n_all, p


def _asked(
    attribute: str, class_name: str, units: Mapping[tuple[str, str], Units]
) -> Iterator[tuple[str, str, IntArray, dict[str, Mask]]]:
    """Question, set, its units, and of which each answer holds."""
    for (name, factor), of in units.items():
        yield "follows", name, of.neuron, {factor: of.follows}
    pitch, tract, note = (units.get(of) for of in (("vowels", "F0"), ("vowels", "vocal tract"), ("tones", "F0")))
    sign = direction(attribute, class_name)
    if sign and pitch is not None and tract is not None:
        yield "gender", "vowels", pitch.neuron, by_source_and_filter(pitch, tract, sign)
    if note is not None:
        is_its = in_class(attribute, class_name, note.best)
        if is_its is not None:
            yield "note", "tones", note.neuron, by_note(note, is_its)


def direction(attribute: str, class_name: str) -> int:
    """1 where a class of voices is the higher one with the shorter vocal tract, -1 the lower, 0 none of both."""
    if attribute.lower() not in ("gender", "sex"):
        return 0
    name = class_name.lower()
    return (name in HIGHER_VOICES) - (name in LOWER_VOICES)


def by_source_and_filter(pitch: Units, tract: Units, sign: int) -> dict[str, Mask]:
    """Which units follow the pitch, the length of the vocal tract, both or neither, the way a gender goes."""
    by_pitch = pitch.follows & (sign * pitch.trend > 0)
    by_tract = tract.follows & (sign * tract.trend < 0)
    return {
        "F0 alone": by_pitch & ~by_tract, "vocal tract alone": by_tract & ~by_pitch, "both": by_pitch & by_tract,
        "neither": ~(by_pitch | by_tract),
    }  # fmt: skip


def in_class(attribute: str, class_name: str, midi: np.ndarray) -> Mask | None:
    """Whether notes are of a class of pitch, octave or pitch class; None where the class is none, or of no note.

    Examples
    --------
    >>> in_class("octave", "4", np.array([48.0, 60.0])).tolist()
    [False, True]
    """
    name = class_name.replace("♯", "#")
    if attribute == "pitch_class" and name in _NAMES:
        away = np.abs((midi - _NAMES[name] + 6) % 12 - 6)
        return away <= _OF_CLASS
    if attribute not in NOTE_ATTRIBUTES or not name.lstrip("-").isdigit():
        return None
    played = np.arange(48, 81, 4)
    if attribute == "octave":
        return midi // 12 - 1 == int(name) if (played // 12 - 1 == int(name)).any() else None
    return np.abs(midi - int(name)) <= _SEMITONES if np.abs(played - int(name)).min() <= _SEMITONES else None


def by_note(note: Units, is_its: Mask) -> dict[str, Mask]:
    """Which units keep their class's note over timbres and levels, have it but move, have another, or none."""
    has, keeps = note.follows & is_its, note.kept >= KEPT
    return {
        "keeps its note": has & keeps, "its note, not kept": has & ~keeps, "another note": note.follows & ~is_its,
        "no note": ~note.follows,
    }  # fmt: skip
