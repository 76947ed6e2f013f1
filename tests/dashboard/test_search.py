"""The search: what is found of a question, in which order, and what the browser is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.shared.search import index
from dashboard.shared.search.index import Entry, Index, find
from db.connection.open import open_store
from tests.support.pages import open_page

HOSTILE = "<img src=x onerror=alert(1)>"
MODELS = ("m2d", "nano-sl")


def of_class(name: str, task: str, models: tuple[str, ...] = MODELS) -> Entry:
    return Entry("Classes", name, task, "classes", {"task": task, "class": name}, models)


@pytest.fixture(scope="module")
def known() -> Index:
    names = [
        ("rain", "events"), ("train", "events"), ("siren", "events"), ("dog", "events"), ("C", "notes"),
        ("C#", "notes"), ("electric guitar", "notes"),
        ("guitar", "notes"), ("4", "digits"), ("48", "notes"), ("café", "events"),
        (HOSTILE, "events"), ("日本", "events"), ("=1+1", "events"),
    ]  # fmt: skip
    entries = [of_class(*one) for one in names]
    entries += [Entry("Tasks", "events", "8 classes", "heatmap", {"task": "events"}, MODELS)]
    entries += [Entry("Models", name, "", "heatmap", {"model": name}) for name in MODELS]
    return Index(tuple(entries), {"m2d": (3072, 3072), "nano-sl": (768, 768, 700)})


def names(known: Index, asked: str) -> list[str]:
    return [entry.name for group in find(known, asked) for entry in group.entries]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("rain", "rain"), ("  RAIN ", "rain"), ("sirne", "siren"), ("rian", "rain"), ("dgo", "dog"),
        ("gutiar", "guitar"), ("elec gui", "electric guitar"),
        ("C#", "C#"), ("c", "C"), ("4", "4"), ("cafe", "café"), ("日", "日本"),
        ("events", "events"), ("nano", "nano-sl"), (HOSTILE, HOSTILE), ("=1+1", "=1+1"),
        ("siren events", "siren"), ("siren m2d", "siren"),
    ],
)  # fmt: skip
def test_the_first_found_is_what_was_meant(known: Index, asked: str, first: str) -> None:
    assert names(known, asked)[0] == first


def test_a_name_comes_before_names_that_begin_so_and_those_before_names_that_hold_it(known: Index) -> None:
    assert names(known, "guitar") == ["guitar", "electric guitar"]
    assert names(known, "rain") == ["rain", "train"]
    assert names(known, "4") == ["4", "48"]


def test_what_is_written_right_is_not_taken_for_misspelt(known: Index) -> None:
    assert names(known, "dog") == ["dog"]
    assert names(known, "4") == ["4", "48"], "numbers are never misspelt"


@pytest.mark.parametrize("asked", ["", "   ", "xyzzy", "()", "siren xyzzy", "%", "9" * 500, "*" * 500])
def test_nothing_is_found_of_what_is_not_there(known: Index, asked: str) -> None:
    assert find(known, asked) == []


def test_words_of_what_a_name_lies_in_only_narrow(known: Index) -> None:
    assert find(known, "notes") == [], "else a task's name would list all its classes"
    assert names(known, "guitar notes") == ["guitar", "electric guitar"]


@pytest.mark.parametrize(
    "asked", ["L1·699", "l1·699", "1/699", "L1 699", "1 699", "layer 1 neuron 699", "L1N699", "1.699", "1:699", "1,699"]
)
def test_a_neuron_is_found_by_its_address(known: Index, asked: str) -> None:
    (group,) = find(known, asked, "nano-sl")
    assert group.kind == "Neurons"
    assert [entry.name for entry in group.entries] == ["L1·699", "L1·699"]
    assert [entry.state["model"] for entry in group.entries] == ["nano-sl", "m2d"], "the model at hand first"
    assert group.entries[0].address(None) == {"model": "nano-sl", "layer": "1", "neuron": "699"}


@pytest.mark.parametrize(
    ("asked", "models"),
    [("L0·3071", ["m2d"]), ("L2·699", ["nano-sl"]), ("L2·700", []), ("L3·0", []), ("1/5 m2d", ["m2d"]), ("1/5 x", [])],
)
def test_neurons_that_no_model_has_are_not_found(known: Index, asked: str, models: list[str]) -> None:
    groups = [group for group in find(known, asked) if group.kind == "Neurons"]
    assert [entry.where for group in groups for entry in group.entries] == models


def test_a_link_names_the_model_at_hand_where_it_knows_the_class(known: Index) -> None:
    rain = known.entries[0]
    assert rain.address("nano-sl") == {"model": "nano-sl", "task": "events", "class": "rain"}
    assert rain.address("other")["model"] == rain.address(None)["model"] == "m2d"


def test_many_are_cut_and_counted() -> None:
    many = Index(tuple(of_class(f"voice {number}", "voices") for number in range(20)), {})
    (group,) = find(many, "voice")
    assert len(group.entries) == index.MOST["Classes"]
    assert group.n_more == 20 - index.MOST["Classes"]


def test_the_index_of_a_store_holds_its_names_once(one_model_store: Path) -> None:
    engine = open_store(one_model_store, read_only=True)
    made = index.read(engine)
    engine.dispose()
    kinds = [entry.kind for entry in made.entries]
    assert {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} == {
        "Classes": 8 + 5 + 8 + 2 + 6 + 2, "Tasks": 6, "Datasets": 3, "Models": 1
    }  # fmt: skip
    assert made.widths == {"nano-ssl": (64,) * 6}
    (dog,) = [entry for entry in made.entries if entry.name == "dog"]
    assert (dog.where, dog.models) == ("rooms-event", ("nano-ssl",))


@pytest.mark.parametrize("view", ["overview", "sql"])
def test_every_page_has_the_search_and_asks_the_store_nothing_for_it(
    view: str, one_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_DB", str(one_model_store))
    monkeypatch.setattr(index, "read", lambda _: pytest.fail("read before anything was asked"))
    app = open_page(view)
    assert not app.exception
    boxes = [part for part in app.main if getattr(part.proto, "component_name", "") == "atlas_search"]
    assert len(boxes) == 1
