"""Phones and what they are made of: the table by hand, the notation recognised, attributes derived."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.datasets import report
from core.datasets.base import Clip, Dataset, Segment
from core.datasets.segments import phonology
from core.datasets.segments.phonology import PHONES, notation_of, phone

SAID = ("h#", "sh", "iy", "hv", "ae", "dcl", "d", "y", "er", "dx", "axr", "kcl", "k", "s", "ow", "q", "n", "VOCNOISE")


def with_phones(*labels: str, attribute: str = "phone") -> Dataset:
    segments = tuple(Segment(attribute, label, i / 10, (i + 1) / 10) for i, label in enumerate(labels))
    return Dataset("talk", Path("talk"), (), (Clip("a.wav", "train", {}, segments),), segment_attributes=(attribute,))


def sizes(labels: str, each: int) -> dict[str, int]:
    return dict.fromkeys(labels.split(), each)


@pytest.mark.parametrize(
    ("label", "voicing", "place", "manner"),
    [
        ("p", "voiceless", "bilabial", "plosive"),
        ("ʔ", "voiceless", "glottal", "plosive"),
        ("ŋ", "voiced", "velar", "nasal"),
        ("r", "voiced", "alveolar", "trill"),
        ("ɾ", "voiced", "alveolar", "tap"),
        ("ç", "voiceless", "palatal", "fricative"),
        ("ʁ", "voiced", "uvular", "fricative"),
        ("ɬ", "voiceless", "alveolar", "lateral fricative"),
        ("ʎ", "voiced", "palatal", "lateral"),
        ("w", "voiced", "labial-velar", "approximant"),
        ("g", "voiced", "velar", "plosive"),
        ("tʃ", "voiceless", "postalveolar", "affricate"),
        ("d͡ʒ", "voiced", "postalveolar", "affricate"),
        ("ʦ", "voiceless", "alveolar", "affricate"),
        ("tʰ", "voiceless", "alveolar", "plosive"),
        ("n̩", "voiced", "alveolar", "nasal"),
        ("z̥", "voiceless", "alveolar", "fricative"),
        ("t̪", "voiceless", "alveolar", "plosive"),
        ("əl", "voiced", "alveolar", "lateral"),
        ("ʲ", "voiced", "palatal", "approximant"),
        ("sː", "voiceless", "alveolar", "fricative"),
    ],
)
def test_consonants(label: str, voicing: str, place: str, manner: str) -> None:
    assert phone(label) == {"voicing": voicing, "place": place, "manner": manner}


@pytest.mark.parametrize(
    ("label", "height", "backness", "rounding"),
    [
        ("i", "close", "front", "unrounded"),
        ("ˈyː", "close", "front", "rounded"),
        ("ʊ", "near-close", "back", "rounded"),
        ("ə", "mid", "central", "unrounded"),
        ("ɔ", "open-mid", "back", "rounded"),
        ("ɛ̃", "open-mid", "front", "unrounded"),
        ("ã", "open", "front", "unrounded"),
        ("ɒ", "open", "back", "rounded"),
    ],
)
def test_vowels(label: str, height: str, backness: str, rounding: str) -> None:
    assert phone(label) == {
        "voicing": "voiced", "manner": "vowel", "height": height, "backness": backness, "rounding": rounding,
    }  # fmt: skip


@pytest.mark.parametrize("label", ["aɪ", "oʊ", "aj", "ɔːɹ", "eɪə"])
def test_vowels_that_change_have_no_place_of_their_own(label: str) -> None:
    assert phone(label) == {"voicing": "voiced", "manner": "vowel"}


@pytest.mark.parametrize("label", ["", "dog", "he", "st", "12", "ˈ", "?", "ja", "😀", "aɪɪɪɪ"])
def test_what_is_no_phone(label: str) -> None:
    assert phone(label) is None


def test_arpabet_stress_and_closures_are_folded() -> None:
    of = {label: phone(label, "ARPABET") for label in ("AH0", "ah1", "AY2", "bcl", "tcl", "r", "y", "q", "jh", "hv")}
    assert of["AH0"] == of["ah1"] == phone("ʌ") and of["AY2"] == {"voicing": "voiced", "manner": "vowel"}
    assert of["bcl"] == phone("b") and of["tcl"] == phone("t")
    # The same letters mean other phones in the IPA.
    assert (of["r"], of["y"], of["q"]) == (phone("ɹ"), phone("j"), phone("ʔ"))
    assert of["jh"] == phone("dʒ") and of["hv"] == phone("ɦ") and phone("h#", "ARPABET") is None


def test_every_phone_has_the_features_of_its_kind() -> None:
    for symbol, of in PHONES.items():
        assert len(symbol) == 1 and set(of) in (
            {"voicing", "place", "manner"}, {"voicing", "manner", "height", "backness", "rounding"},
        )  # fmt: skip
    assert len(PHONES) > 85 and all(phone(label, "ARPABET") for label in phonology._ARPABET)


def test_notation_is_told_from_the_labels() -> None:
    assert notation_of(dict.fromkeys(SAID, 3)) == "ARPABET"
    assert notation_of(sizes("ʃ iː h æ d j ɚ s uː t n", 1)) == "IPA"
    assert notation_of(sizes("p t k a e i o u s m n", 1)) == "IPA"
    assert notation_of(sizes("P T K AA IY UW S M N", 1)) == "ARPABET"
    # Words, notes, a few letters, and phones among many other things.
    assert notation_of(sizes("she had your dark suit in greasy wash water", 1)) == ""
    assert notation_of(sizes("A B C D E F G A# C#", 1)) == ""
    assert notation_of(sizes("p t a", 100)) == ""
    assert notation_of({**sizes("p t k a e i o u s", 1), "noise": 9}) == ""


def test_attributes_follow_from_phones_with_their_times_and_are_told() -> None:
    dataset = phonology.derived(with_phones(*SAID))
    assert dataset.segment_attributes == ("phone", *(f"phone-{feature}" for feature in phonology.FEATURES))
    own = [s for s in dataset.clips[0].segments if 0.1 <= s.onset < 0.25]
    assert own == [
        Segment("phone", "sh", 0.1, 0.2),
        Segment("phone-manner", "fricative", 0.1, 0.2),
        Segment("phone-place", "postalveolar", 0.1, 0.2),
        Segment("phone-voicing", "voiceless", 0.1, 0.2),
        Segment("phone", "iy", 0.2, 0.3),
        Segment("phone-backness", "front", 0.2, 0.3),
        Segment("phone-height", "close", 0.2, 0.3),
        Segment("phone-manner", "vowel", 0.2, 0.3),
        Segment("phone-rounding", "unrounded", 0.2, 0.3),
        Segment("phone-voicing", "voiced", 0.2, 0.3),
    ]
    assert dataset.segment_sizes("phone-manner")["plosive"] == 5  # dcl, d, kcl, k, q
    assert dataset.notes == (
        "segments: phone is read as phones in ARPABET; voicing, place, manner, height, backness, rounding follow from "
        "them (talk-phone-manner and so on); 1 segments have labels that are no phone of the table ('VOCNOISE')",
    )
    assert phonology.base_attributes(dataset) == ("phone",)
    lines = report.summary(dataset)
    assert "  talk-phone: 18 classes in time, 18 segments in 1 clips, 100 ms long (median), 1 segments each" in lines
    assert any(line.startswith("  talk-phone-manner: 6 classes in time, 16 segments") for line in lines)
    # Once more changes nothing: what was written is read again.
    again = phonology.derived(dataset)
    assert again.clips == dataset.clips and again.segment_attributes == dataset.segment_attributes


def test_what_is_no_phone_gives_nothing() -> None:
    dataset = with_phones("dog", "cat", "rain")
    assert phonology.derived(dataset) is dataset


def test_single_letters_are_phones_only_where_the_name_says_so() -> None:
    """Codes of birds or song types from a to j are no phones."""
    for attribute, is_read in (("call", False), ("phone", True), ("phonemes", True)):
        made = phonology.derived(with_phones(*"abcdefghij", attribute=attribute))
        assert (f"{attribute}-manner" in made.segment_attributes) is is_read
