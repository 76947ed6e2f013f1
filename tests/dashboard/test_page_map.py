"""The page of the map: what it says of nearness, what units are coloured by, which are listed."""

from __future__ import annotations

import gzip
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.shared.charts import groups as class_groups
from dashboard.shared.theme import NULL_COLOUR
from dashboard.views.map import canvas, facts, shades
from tests.support import pages
from tests.support.description_records import SAID, write_descriptions
from tests.support.map_records import WIDTH, write_maps
from tests.support.pages import asked, said

show = partial(pages.show, "map")
ROOMS = {"model": "nano-ssl", "task": "rooms-event"}
NAN = float("nan")


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("map") / "atlas.db"))
    return write_descriptions(write_maps(path, "nano-ssl"), "nano-ssl", "rooms")


@pytest.mark.parametrize(
    ("colour", "told"),
    [
        ("task", "shuffled labels give"),
        ("class", "shuffled labels give"),
        ("selectivity", "Whether shuffled labels give such entropies was not computed"),
        ("effect", "No effect was estimated"),
        ("layer", "Near means **alike responses**"),
        ("words", "Of 383 units 4 have a description over rooms, and 3 of these predict better than other units’"),
    ],
)
def test_every_colour_is_told_beside_chance(
    store: Path, monkeypatch: pytest.MonkeyPatch, colour: str, told: str
) -> None:
    app = show(store, monkeypatch, **ROOMS, colour=colour)
    assert not app.warning and asked(app, "colour") == colour
    assert "Trustworthiness **0.94** of 1 (places dealt anew 0.50): t-SNE over 288 clips" in said(app)
    assert "1 unit never varied and has no place" in said(app)
    assert told in said(app)
    assert len(app.dataframe[0].value) == 383


def test_a_unit_of_the_address_is_heard_and_its_neighbours_are_listed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(store, monkeypatch, **ROOMS, layer="2", neuron="5")
    assert not app.warning
    assert "Layer 2, neuron 5" in [heading.value for heading in app.subheader]
    listed = app.dataframe[0].value
    assert listed[["layer", "neuron"]].to_numpy()[:3].tolist() == [[2, 5], [2, 4], [2, 6]]
    assert len(listed) == facts.NEAREST + 1


def test_an_area_of_the_address_lists_what_lies_in_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **ROOMS, area="0.150-100.150-100.450-0.450")
    listed = app.dataframe[0].value
    assert set(zip(listed["layer"], listed["neuron"], strict=True)) == {(at, n) for at in (1, 2) for n in range(7)}
    assert asked(app, "area") == "0.150-100.150-100.450-0.450"


def test_what_is_not_there_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **ROOMS, layer="5", neuron=str(WIDTH - 1), area="1.1")
    assert ["no place on this map" in warning.value for warning in app.warning] == [True, False]
    assert "cannot be read" in app.warning[1].value


def test_without_a_map_the_page_says_how_to_get_one(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model="nano-sl")
    assert "has no map in this store" in said(app)
    assert "--map" in app.code[0].value and "--model nano-sl" in app.code[0].value


# Colours, worked by hand.

UNITS = pd.DataFrame(
    {
        "layer": [0, 0, 2, 2], "neuron": [0, 1, 0, 1], "x": [0.0, 1.0, 0.0, 1.0], "y": [0.0, 0.0, 1.0, 1.0],
        "task": ["b", None, "a", None], "n_tasks": [1, NAN, 3, NAN],
        "effect_class": ["dog", "cat", "cat", None],
        "n_specific": [2, 0, 1, 0], "class_name": ["dog", None, "cat", None], "top_class": ["dog", "cat", "cat", None],
        "lift": [3.0, NAN, 2.5, NAN], "q_value": [0.01, NAN, 1e-9, NAN],
        "entropy": [0.0, np.log(2), 0.5 * np.log(2), NAN], "entropy_q_value": [0.001, 0.5, 0.01, NAN],
        "attribution": [0.5, -0.25, 0.01, NAN], "standard_error": [0.1, 0.05, 0.1, NAN],
        "predicts": ["descriptor:f0 high; class:dog", None, "class:cat", "descriptor:level low"],
        "beats_null": [1, NAN, 1, 0], "correlation": [0.5, NAN, 0.75, 0.25],
        "null_correlation_high": [0.25, NAN, 0.25, 0.5],
    }
)  # fmt: skip
ORDER = class_groups.in_groups(["cat", "dog"], pd.DataFrame(columns=["attribute", "class_name", "group_name"]), None)


def told(by: str) -> tuple[list[str], tuple[str, ...]]:
    """Name of each unit's colour, and its label."""
    found = shades.shaded(by, UNITS, 2, ORDER)
    if by != "layer":
        assert found.entries[0][1] == NULL_COLOUR
    assert len({colour for _, colour in found.entries}) == len(found.entries)
    return [found.entries[shade][0] for shade in found.shade], found.labels


def test_colours_and_labels_say_what_they_are_of() -> None:
    assert told("layer") == (["layer 0", "layer 0", "layer 2", "layer 2"], ("L0·0", "L0·1", "L2·0", "L2·1"))
    names, labels = told("task")
    assert names == ["b", "specific for none", "a", "specific for none"]
    assert labels[0] == "L0·0 b: dog, q = 0.01" and labels[2] == "L2·0 a: cat, q < 0.0001 (in 3 tasks)"
    names, labels = told("class")
    assert names == ["dog", "specific for none", "cat", "specific for none"]
    assert labels[0] == "L0·0 dog and 1 more, lift 3.0×, q = 0.01"
    assert labels[1] == "L0·1 specific for none, most active for cat" and labels[3] == "L2·1 never fires"
    names, labels = told("selectivity")
    assert names == ["75% to 100%", "as shuffled labels give", "50% to 75%", "as shuffled labels give"]
    assert labels[2] == "L2·0 cat: entropy 0.35 of 0.69 nats, q = 0.01"


def test_descriptions_are_coloured_by_their_first_term_where_they_are_worth_something() -> None:
    names, labels = told("words")
    assert names == ["f0 high", "no better than others’", "cat", "no better than others’"]
    assert labels == ("L0·0 f0 high, dog", "L0·1 not described", "L2·0 cat", "L2·1 level low")
    assert "Of 4 units 3 have a description over pets, and 2 of these" in facts.words_sentence(UNITS, "pets")
    assert facts.words_sentence(UNITS.assign(predicts=None), "pets") == "No unit is described over pets."


def test_the_largest_groups_have_colours_of_their_own_and_the_rest_one() -> None:
    tasks = [f"task {i:02}" for i in range(18) for _ in range(1 + i)]  # the later the larger
    units = pd.DataFrame(
        {"layer": 0, "neuron": range(len(tasks) + 1), "task": [*tasks, None], "class_name": "dog", "q_value": 0.01,
         "n_tasks": 1}
    )  # fmt: skip
    found = shades.shaded("task", units, 2, ORDER)
    names = [name for name, _ in found.entries]
    assert names == ["specific for none", *(f"task {i:02}" for i in range(17, 7, -1)), "8 other tasks"]
    assert len({colour for _, colour in found.entries}) == len(names)
    sizes = np.bincount(found.shade)
    assert sizes.tolist() == [1, *range(18, 8, -1), sum(range(1, 9))]


def test_kinds_of_classes_stand_for_them_where_there_are_such() -> None:
    groups = pd.DataFrame({"attribute": "kind", "class_name": ["cat", "dog"], "group_name": ["beast", "beast"]})
    order = class_groups.in_groups(["cat", "dog"], groups, "kind")
    found = shades.shaded("class", UNITS, 2, order)
    assert [name for name, _ in found.entries] == ["specific for none", "beast"]
    assert found.shade.tolist() == [1, 0, 1, 0] and found.labels[2].startswith("L2·0 cat")


def test_texts_are_packed_and_the_same_each_time() -> None:
    lines = ["L0·0 a", "L0·1 b\nc", ""]
    assert gzip.decompress(canvas.packed(lines)).decode().split("\n") == ["L0·0 a", "L0·1 b c", ""]
    assert canvas.packed(lines) == canvas.packed(tuple(lines)) and canvas.packed(["", ""]) == b""


def test_a_chosen_unit_is_told_in_words(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **ROOMS, layer="0", neuron="0")
    assert f"*{SAID[0][1]}; others’ r up to 0\\.25*" in said(app)
    assert not app.code
    elsewhere = show(store, monkeypatch, model="nano-ssl", task="notes-pitch")
    assert "over notes, but over rooms" in said(elsewhere) and "--describe" in elsewhere.code[0].value


def test_an_effect_counts_where_its_interval_leaves_0_out() -> None:
    names, labels = told("effect")
    assert names[0].startswith("loses over") and names[1].startswith("gains up to")
    assert names[2:] == ["interval holds 0", "interval holds 0"]
    assert labels[1] == "L0·1 cat: −0.25 logits [−0.35, −0.15]" and labels[3] == "L2·1 no estimated effect"
    assert "Of 3 units 2 have a 95 % interval without 0; some 0 would" in facts.effect_sentence(UNITS, "t")


def test_units_are_listed_by_what_they_are_coloured_by() -> None:
    orders = {by: facts.strongest(UNITS, by).index.tolist() for by in ("class", "selectivity", "effect", "words")}
    assert orders == {
        "class": [2, 0, 1, 3], "selectivity": [0, 2, 1, 3], "effect": [0, 1, 2, 3], "words": [2, 0, 3, 1],
    }  # fmt: skip


def test_entropies_without_shuffled_labels_have_their_colour_and_are_told() -> None:
    without = UNITS.assign(entropy_q_value=NAN)
    found = shades.shaded("selectivity", without, 2, ORDER)
    assert [found.entries[shade][0] for shade in found.shade[:2]] == ["75% to 100%", "0% to 25%"]
    assert "was not computed" in facts.selectivity_sentence(without, "t")


def test_units_in_an_area_are_by_the_even_odd_rule() -> None:
    square = facts.corners("0.0-600.0-600.1000-0.1000")
    assert square is not None
    inner = UNITS.assign(x=[0.5, 0.7, 0.3, 0.9], y=[0.5, 0.5, 0.2, 0.9])
    assert facts.inside(inner, square).tolist() == [True, False, True, False]
    bow = facts.corners("0.0-1000.1000-1000.0-0.1000")  # crosses itself: left and right of the middle
    assert bow is not None
    places = UNITS.assign(x=[0.1, 0.9, 0.5, 0.5], y=[0.5, 0.5, 0.9, 0.1])
    assert facts.inside(places, bow).tolist() == [True, True, False, False]


@pytest.mark.parametrize("area", ["", "1.1-2.2", "a.b-c.d-e.f", "0.0-1001.0-1.1", "0.0-1.0-1.1.1", "²8.0-1.0-1.1"])
def test_what_is_no_area_is_none(area: str) -> None:
    assert facts.corners(area) is None


def test_how_many_are_specific_stands_beside_the_sum_over_tasks() -> None:
    coverage = pd.DataFrame({"null_n_class_specific_mean": [1.25, 2.5]})
    assert "3 units are specific for a class of some task; shuffled labels give at most 3.8, summed over 2 tasks" in (
        facts.task_sentence(3, coverage, "aape")
    )
    unknown = facts.task_sentence(1, coverage.assign(null_n_class_specific_mean=[1.0, NAN]), "aape")
    assert unknown.startswith("By aape, 1 unit is specific") and "was not computed" in unknown
