"""What made sounds say of class-specific units, worked by hand on eight units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from core.results import SpecificSet, wilson
from core.stimuli.answers import answers, direction, in_class, units_of

N = 8


def rows(stimulus_set: str, factor: str, follows: list[int], **columns: object) -> pd.DataFrame:
    """Of eight units those that follow a factor."""
    strong = np.isin(np.arange(N), follows)
    usual = {"trend": np.nan, "best_value": 60.0, "kept": np.nan}
    return pd.DataFrame({
        "stimulus_set": stimulus_set, "factor": factor, "neuron_index": np.arange(N),
        "q_value": np.where(strong, 0.01, 0.5), "shapley": 0.5, **usual, **columns,
    })  # fmt: skip


def asked(sets: list[SpecificSet], attribute: str, *parts: pd.DataFrame) -> pd.DataFrame:
    return answers(sets, {"voices-of": attribute}, units_of(pd.concat(parts, ignore_index=True)))


def test_a_gender_is_taken_apart_into_pitch_and_vocal_tract() -> None:
    pitch = rows("vowels", "F0", [0, 1, 2, 3], trend=[0.9, 0.9, 0.9, -0.9, 0.9, 0, 0, 0])
    tract = rows("vowels", "vocal tract", [1, 4, 5], trend=[0, -0.9, 0, 0, -0.9, 0.9, 0, 0])
    of = SpecificSet("calibrated", "voices-of", ("female", "male"), ((0, 0), (0, 1), (0, 4), (0, 6), (1, 3)))
    table = asked([of], "gender", pitch, tract)
    told = table[table["question"] == "gender"].set_index(["class_name", "answer"])
    female = told.loc["female"]
    assert female["n_answer"].to_dict() == {"F0 alone": 1, "vocal tract alone": 1, "both": 1, "neither": 1}
    assert female["n_all_answer"].to_dict() == {"F0 alone": 2, "vocal tract alone": 1, "both": 1, "neither": 4}
    assert set(female["n_units"]) == {4} and set(female["n_all"]) == {N}
    row = female.loc["F0 alone"]
    assert row["share"] == 0.25 and (row["share_low"], row["share_high"]) == pytest.approx(wilson(0.25, 4))
    assert row["share_all"] == 0.25 and row["p_value"] == pytest.approx(hypergeom.sf(0, N, 2, 4))
    assert told.loc[("male", "F0 alone"), "n_answer"] == 1, "a man's unit follows low pitch"
    follows = table[(table["question"] == "follows") & (table["class_name"] == "female")].set_index("answer")
    assert follows["n_answer"].to_dict() == {"F0": 2, "vocal tract": 2} and set(follows["stimulus_set"]) == {"vowels"}


def test_a_note_is_kept_moved_or_none() -> None:
    kept = [1.0, 0.5, np.nan, 1, 1, 1, 1, 1]
    tones = rows("tones", "F0", [0, 1, 2], best_value=[60, 64, 72, 60, 60, 60, 60, 60], kept=kept)
    of = SpecificSet("aape", "voices-of", ("4", "9"), ((0, 0), (0, 1), (0, 2), (0, 3), (1, 4)))
    table = asked([of], "octave", tones)
    told = table[table["question"] == "note"]
    assert set(told["class_name"]) == {"4"}, "no tone of the set lies in octave 9"
    assert told.set_index("answer")["n_answer"].to_dict() == {
        "keeps its note": 1, "its note, not kept": 1, "another note": 1, "no note": 1,
    }  # fmt: skip


def test_classes_are_known_by_their_attribute() -> None:
    assert [direction("Gender", name) for name in ("Female", "male", "other")] == [1, -1, 0]
    assert direction("emotion", "female") == 0
    midi = np.array([48.0, 56, 60, 64])
    assert in_class("pitch_class", "C#", midi).tolist() == [True, False, True, False]  # type: ignore[union-attr]
    assert in_class("pitch", "58", midi).tolist() == [False, True, True, False]  # type: ignore[union-attr]
    assert in_class("pitch", "20", midi) is None and in_class("event", "4", midi) is None


def test_units_that_do_not_vary_and_classes_without_units_are_left_out() -> None:
    only = rows("vowels", "F0", [0]).iloc[:4]
    of = SpecificSet("lape", "voices-of", ("female", "male"), ((0, 6),))
    assert asked([of], "gender", only).empty
    assert answers([], {}, {}).empty
