"""Neurons as cards and two side by side, from the tiny study, whose numbers are worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from db.reads import gallery, pair
from db.reads.gallery import Wanted

ALL = Wanted("tiny", "pets-animal", "calibrated", show="all")


def places(engine: Engine, wanted: Wanted) -> list[tuple[int, int, str]]:
    """Which neurons are found, as their cards say; they agree on the class."""
    found = gallery.found(engine, wanted)
    cards = gallery.cards(engine, wanted, tuple(int(one) for one in found["neuron_id"]))
    assert cards["class_id"].tolist() == found["class_id"].tolist()
    return list(cards[["layer", "neuron", "class_name"]].itertuples(index=False, name=None))


CAT, DOG = (0, 0, "cat"), (1, 0, "dog")  # neuron (0, 1) never fires


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [CAT, DOG]),
        ({"show": "specific"}, [CAT, DOG]),
        ({"show": "replicated"}, [CAT]),
        ({"class_name": "dog"}, [DOG]),
        ({"class_name": "nowhere"}, []),
        ({"layer": 0}, [CAT]),
        ({"entropy": (0.5, 1.0)}, [DOG]),
        ({"entropy": (0.0, 0.0)}, [CAT]),
        ({"order": "effect"}, [DOG, CAT]),  # 0.5 logits of dog; none is known of cat
        ({"has_effect": True}, [DOG]),  # 0.5 less 1.96 * 0.25 is above 0
        ({"order": "place"}, [CAT, DOG]),
        ({"preset": "lape"}, [CAT, (1, 0, "cat")]),  # it fires at 0.2 of both: the first is its highest
        ({"preset": "lape", "show": "specific"}, []),
    ],
)
def test_which_neurons_there_are_and_in_which_order(
    tiny_reader: Engine, changed: dict[str, object], expected: list[tuple[int, int, str]]
) -> None:
    assert places(tiny_reader, replace(ALL, **changed)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("order", gallery.ORDERS)
def test_cards_are_of_those_that_are_asked_for_in_their_order(tiny_reader: Engine, order: str) -> None:
    wanted = replace(ALL, order=order)
    first, second = (int(one) for one in gallery.found(tiny_reader, wanted)["neuron_id"])
    for ids in ((first, second), (second, first), (second,), ()):
        assert tuple(gallery.cards(tiny_reader, wanted, ids)["neuron_id"]) == ids
    assert gallery.cards(tiny_reader, replace(wanted, class_name="dog"), (first, second))["class_name"].tolist() == [
        "dog"
    ]


def test_places_of_neurons(tiny_reader: Engine) -> None:
    rows = gallery.places(tiny_reader, "tiny")
    assert rows[["flat_index", "layer", "neuron"]].to_numpy().tolist() == [[0, 0, 0], [1, 0, 1], [2, 1, 0]]


def test_neurons_that_are_specific_for_a_class(tiny_reader: Engine) -> None:
    ids = gallery.found(tiny_reader, replace(ALL, order="place"))["neuron_id"].tolist()
    for name, preset, expected in (("cat", "calibrated", ids[:1]), ("dog", "calibrated", ids[1:]), ("cat", "lape", [])):
        rows = gallery.specific_for(tiny_reader, "tiny", "pets-animal", preset, name)
        assert rows["neuron_id"].tolist() == expected


def test_a_card_has_what_holds_it_up(tiny_reader: Engine) -> None:
    ids = tuple(int(one) for one in gallery.found(tiny_reader, ALL)["neuron_id"])
    cat, dog = gallery.cards(tiny_reader, ALL, ids).to_dict("records")
    assert (cat["lift"], cat["q_value"], cat["replicated"], cat["is_specific"], cat["n_specific"]) == (9, 0.01, 1, 1, 1)
    assert (cat["entropy"], cat["entropy_q_value"]) == (0, 0.02)
    assert math.isnan(cat["attribution"])
    assert (dog["attribution"], dog["standard_error"], dog["entropy"]) == (0.5, 0.25, math.log(2))
    assert "ORDER BY number" in gallery.found(tiny_reader, ALL).attrs["sql"]


def test_clips_and_when_neurons_fire_in_them(tiny_reader: Engine) -> None:
    rows = gallery.found(tiny_reader, ALL)
    ids = tuple(int(one) for one in rows["neuron_id"])
    clips = gallery.card_clips(tiny_reader, "tiny", "pets-animal", ids)
    assert clips["classes"].tolist() == [("cat",), ("cat",), ("dog",)]
    assert clips["rank"].tolist() == [1, 2, 1]
    best = tuple(int(one) for one in clips.loc[clips["rank"] == 1, "clip_id"])
    patterns = gallery.card_patterns(tiny_reader, "tiny", "pets-animal", ids, best)
    of_cat = patterns[(patterns["neuron_id"] == ids[0]) & (patterns["clip_id"] == best[0])].iloc[0]
    assert (of_cat["peak"], of_cat["strength"].tolist()) == (4.0, [[0, 255], [128, 0]])
    assert (of_cat["column_seconds"], of_cat["band_edges_hz"]) == (0.25, (50.0, 1000.0, 8000.0))
    of_dog = patterns[(patterns["neuron_id"] == ids[1]) & (patterns["clip_id"] == best[1])].iloc[0]
    assert of_dog["column_seconds"] == 0.5  # nothing is known of its tokens: four share two seconds


def test_a_profile_has_the_interval_of_as_many_clips(tiny_reader: Engine) -> None:
    cat, dog = pair.profile(tiny_reader, "tiny", "pets-animal", 0, 0).to_dict("records")
    assert (cat["class_name"], cat["probability"], cat["n_clips"]) == ("cat", 0.5, 2)
    # Wilson of 0.5 in 2: 0.5 ± 1.96 / (1 + 1.9207) * sqrt(0.25 / 2 + 3.8415 / 16)
    assert (cat["probability_low"], cat["probability_high"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert (dog["probability"], dog["probability_low"]) == (0, 0)
    # of one clip that does not fire: z² / (1 + z²)
    assert dog["probability_high"] == pytest.approx(0.7935, abs=1e-4)


def test_profiles_are_sampled_among_those_that_fire(tiny_reader: Engine) -> None:
    every = pair.sampled_profiles(tiny_reader, "tiny", "pets-animal", 1)
    assert every.groupby("neuron_id")["activation_probability"].apply(list).tolist() == [[0.5, 0.0], [0.2, 0.2]]
    assert pair.sampled_profiles(tiny_reader, "tiny", "pets-animal", 3)["neuron_id"].nunique() == 1


def test_clips_in_common_are_counted(tiny_reader: Engine) -> None:
    own, other = ("tiny", 0, 0), ("tiny", 1, 0)
    (row,) = pair.top_clips_in_common(tiny_reader, own, own).to_dict("records")
    assert row == {"dataset": "pets", "n_clips": 3, "n_own": 2, "n_other": 2, "n_common": 2}
    (row,) = pair.top_clips_in_common(tiny_reader, own, other).to_dict("records")
    assert (row["n_own"], row["n_other"], row["n_common"]) == (2, 1, 0)
    assert pair.top_clips_in_common(tiny_reader, own, ("tiny", 0, 1)).empty
