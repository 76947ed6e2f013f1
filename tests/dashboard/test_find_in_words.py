"""Units found by what is said of them: how text is read, what it finds, in which order; worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.describe.descriptors import words
from dashboard.shared.text.facts import in_words
from dashboard.views.gallery import facts, search
from dashboard.views.gallery.search import Part, parts, readings
from tests.support.description_records import SAID, made_up

WORDS = words()
MADE = made_up("rooms")
UNITS = pd.DataFrame({"neuron_id": [10, 11, 12, 13, 14, 15], "layer": [0, 0, 1, 1, 2, 2]})
INDEX = search.index_of(MADE.described.assign(neuron_id=MADE.described["neuron_index"] + 10))
EXPLAINED = MADE.explained.assign(neuron_id=MADE.explained["neuron_index"] + 10)
SPECIFIC = {"siren": np.array([15]), "wind_chime": np.array([11, 99])}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", []),
        (" , ;not , -", []),
        ("Cat", [Part("cat")]),
        ("high-pitched,  not   Speech", [Part("high pitched"), Part("speech", True)]),
        ("layer 4; layers 2-3", [Part("layer 4", False, (4, 4)), Part("layers 2 3", False, (2, 3))]),
        ("not layers 2 to 3", [Part("layers 2 to 3", True, (2, 3))]),
        ("layer x, cat, cat", [Part("layer x"), Part("cat")]),
        ("nothing", [Part("nothing")]),
    ],
)
def test_what_is_typed_is_read(typed: str, expected: list[Part]) -> None:
    assert list(parts(typed)) == expected


def test_what_is_typed_is_bounded() -> None:
    assert len(parts(",".join(map(str, range(99))))) == search.MOST_PARTS
    assert len(parts("x" * 999)[0].text) == search.MOST_TEXT


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("high-pitched", ["f0 high"]), ("Onset", ["onset high"]), ("onsets", ["onset high"]), ("f0", ["f0"]),
        ("low level", ["level low"]), ("very high level", ["level high"]), ("band 3", ["band 3"]),
        ("slow attack", ["attack high"]), ("slow", ["tempo low"]),
        ("chroma c#", ["chroma C#"]), ("dull", ["centroid low"]), ("speech", []), ("hiss", ["flatness high"]),
    ],
)  # fmt: skip
def test_words_of_descriptors_are_known(typed: str, expected: list[str]) -> None:
    assert [str(one) for one in readings(search.normal(typed), WORDS)] == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("high-pitched", [10, 11]),  # high and very high
        ("onset", [10]),
        ("level", [13]),  # either way
        ("high level", []),  # it is low
        ("siren", [12, 15]),  # by its description, and by being specific for it
        ("dog", [13]),  # in terms
        ("do", [13]),  # a beginning
        ("og", []),
        ("wind chime", [11]),  # one of those that are shown
        ("fifth of", [11]),  # any other words of the sentence
        ("layers 1-2", [12, 13, 14, 15]),
        ("layer 9", []),
        ("quiet", [13]),
        ("noise", []),
    ],
)
def test_what_a_part_finds(typed: str, expected: list[int]) -> None:
    (part,) = parts(typed)
    found = search.found_by(part, UNITS, INDEX, WORDS, SPECIFIC)
    assert UNITS["neuron_id"][found].tolist() == expected


@pytest.mark.parametrize("odd", ["", "A-b_c  d", "two\nlines", "a\ttab", " ends "])
def test_many_texts_are_written_as_one_is(odd: str) -> None:
    said = MADE.described.iloc[:2].assign(neuron_id=[1, 2], description=[odd, "Fires on_noise"])
    index = search.index_of(said)
    assert [text.strip() for text in index.texts] == [search.normal(odd), "fires on noise"]


def test_classes_and_layers_are_found_without_descriptions() -> None:
    for typed, expected in (("siren", [15]), ("layer 0", [10, 11]), ("onset", [])):
        found = search.found_by(parts(typed)[0], UNITS, None, {}, SPECIFIC)
        assert UNITS["neuron_id"][found].tolist() == expected
    assert search.classes_called(parts("wind, layer 1, b"), ("wind_chime", "siren", "b_flat")) == (
        "wind_chime",
        "b_flat",
    )


def test_terms_with_numbers_are_of_their_descriptor() -> None:
    said = pd.DataFrame(
        {"neuron_id": [1, 2, 3], "description": ["a", "b", "c"], "correlation": 0.5, "null_correlation_high": 0.25,
         "predicts": ["descriptor:f0>300", "descriptor:level<-40", "descriptor:band 1 low; descriptor:level high"]}
    )  # fmt: skip
    index = search.index_of(said)
    units = said[["neuron_id"]].assign(layer=0)
    for typed, expected in (
        ("high-pitched", [True, False, False]), ("quiet", [False, True, False]), ("loud", [False, False, True]),
        ("high band 1", [False] * 3), ("band 1", [False, False, True]),
    ):  # fmt: skip
        assert search.found_by(parts(typed)[0], units, index, WORDS, {}).tolist() == expected, typed


def test_what_only_descriptors_or_only_classes_explain() -> None:
    kinds = ("descriptors", "classes")
    only = {kind: UNITS["neuron_id"][search.explained_by(kind, UNITS, EXPLAINED)].tolist() for kind in kinds}
    assert only == {"descriptors": [10], "classes": [12]}, "14 is explained no better than shifted, 15 is not known"


def test_orders_by_descriptions() -> None:
    surprise, shares = search.best_of(UNITS, INDEX), search.shares(UNITS, EXPLAINED)
    assert surprise.tolist()[:4] == [0.5, 0.25, 0.125, -0.25] and np.isnan(surprise[4:]).all()
    assert shares[0].tolist()[:4] == [0, 0.25, 0.5, 0.125] and np.isnan(shares[0][4:]).all()
    ids = UNITS["neuron_id"]
    assert ids.iloc[search.by_surprise(UNITS, INDEX)].tolist() == [10, 11, 12, 13, 14, 15]
    # |0 - 0.5|, |0.25 - 0.25|, |0.5 - 0|, |0.125 - 0.0625|: equal ones as they stand
    assert ids.iloc[search.by_disagreement(UNITS, EXPLAINED)].tolist() == [10, 12, 13, 11, 14, 15]
    turned = UNITS.iloc[::-1]
    assert turned["neuron_id"].iloc[search.by_disagreement(turned, EXPLAINED)].tolist() == [12, 10, 13, 11, 15, 14]
    assert set(facts.MEANS) == set(facts.ORDERS)


def test_nothing_described_finds_and_orders_nothing() -> None:
    empty = search.index_of(MADE.described.iloc[:0].assign(neuron_id=[]))
    for typed in ("onset", "fires", "siren"):
        assert not search.found_by(parts(typed)[0], UNITS, empty, WORDS, {}).any()
    assert search.by_surprise(UNITS, empty).tolist() == list(range(6))
    assert search.by_disagreement(UNITS, EXPLAINED.iloc[:0]).tolist() == list(range(6))
    assert not search.explained_by("classes", UNITS, EXPLAINED.iloc[:0]).any()


def test_a_card_in_words_stands_beside_what_it_must_beat() -> None:
    row: dict[Any, Any] = {
        "description": SAID[0][1], "author": "atlas", "correlation": 0.71, "null_correlation_high": 0.354,
        "beats_null": 1,
    }  # fmt: skip
    shares: dict[Any, Any] = {"n_terms": 2, "by_classes": -0.1, "by_descriptors": 0.236}
    told = facts.in_words(5, {5: row}, {5: shares})
    assert told.said == "fires on high pitch and onsets"
    assert told.lines == ("r 0.71 on held-out clips, others’ up to 0.35", "classes explain 0 %, descriptors 24 %")
    worse = facts.in_words(5, {5: {**row, "beats_null": 0, "author": "ann"}}, {5: {**shares, "n_terms": 0}})
    assert worse.lines == ("r 0.71 on held-out clips, others’ up to 0.35: no better than others’, by ann",)
    alone = facts.in_words(5, {5: {**row, "null_correlation_high": float("nan")}}, {})
    assert alone.lines == ("r 0.71 on held-out clips, nothing to compare it with",)
    assert facts.in_words(6, {5: row}, {}) == facts.InWords()
    assert in_words(row) == "fires on high pitch and onsets; others’ r up to 0.35"
    assert in_words({**row, "beats_null": 0}).endswith("; others’ r up to 0.35: no better than others’")
    theirs = in_words({**row, "author": "ann"})
    assert theirs == "fires on high pitch and onsets: r 0.71 on held-out clips, others’ up to 0.35, by ann"


def test_how_words_are_understood_is_told() -> None:
    asked = parts("onset, not <b>, layer 3")
    means = [readings(part.text, WORDS) for part in asked]
    told = facts.understood(asked, means, [1200, 0, 7])
    assert told == "By itself: “onset” (onset high) 1,200, not “\\<b\\>” finds nothing, “layer 3” 7."
