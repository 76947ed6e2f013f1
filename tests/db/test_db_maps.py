"""Maps of units, through the store into their views and back."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from core.results import TaskScores
from db.reads import maps
from db.writes.store import Store
from tests.support.tiny_study import DATASET, MODEL_ID, SCORES, UNIT_MAP, rows


def test_views_hold_what_was_written(tiny_reader: Engine) -> None:
    assert rows(tiny_reader, "SELECT * FROM unit_map ORDER BY layer, unit") == [
        ("tiny", "mlp", 0, 0, 0.25, 0.0), ("tiny", "mlp", 1, 0, 1.0, 0.5),
    ]  # fmt: skip
    assert rows(tiny_reader, "SELECT * FROM unit_maps") == [
        ("tiny", "mlp", "t-SNE", 1, 3, "pets", 3, 3, 2, 0.75, 0.5, 1, 2)
    ]


def test_a_further_map_takes_the_place_of_the_first(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    further = replace(UNIT_MAP, places=UNIT_MAP.places.iloc[:1], facts={**UNIT_MAP.facts, "seed": 4})
    store.write_map(1, "tiny/another map", MODEL_ID, further)
    assert rows(tiny_engine, "SELECT seed, n_placed FROM unit_maps") == [(4, 1)]
    assert not store.is_done("tiny/map") and store.is_done("tiny/another map")


def test_a_map_goes_with_a_dataset_and_its_mark_with_what_is_recorded_anew(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    store.forget_stages(MODEL_ID, "pets")
    assert not store.is_done("tiny/map")
    assert len(rows(tiny_engine, "SELECT * FROM unit_map")) == 2, "the map stays until there is another"
    store.register_dataset(replace(DATASET, content_key="other"), replace=True)
    assert rows(tiny_engine, "SELECT * FROM unit_maps") == rows(tiny_engine, "SELECT * FROM unit_map") == []


def test_reads_tell_every_unit_with_its_place_its_task_and_its_class(tiny_engine: Engine) -> None:
    places = maps.places(tiny_engine, "tiny")
    assert places[["layer", "neuron", "x", "y"]].to_numpy().tolist() == [[0, 0, 0.25, 0.0], [1, 0, 1.0, 0.5]]
    first, last = places["neuron_id"]
    assert maps.facts(tiny_engine, "tiny").loc[0, ["n_units", "n_placed"]].tolist() == [3, 2]
    assert len(maps.facts(tiny_engine, "another")) == len(maps.places(tiny_engine, "another")) == 0
    of_task = maps.of_task(tiny_engine, "tiny", "pets-animal", "calibrated").set_index("neuron_id")
    told = ["class_name", "lift", "q_value", "n_specific", "entropy", "entropy_q_value"]
    assert of_task.loc[first, told].tolist()[:4] == ["cat", 9.0, 0.01, 1]
    assert of_task.loc[last, told].tolist()[3:] == [1, SCORES.entropy[2], 0.5]
    effects = maps.effects(tiny_engine, "tiny", "pets-animal", "calibrated")
    assert effects.to_numpy().tolist() == [[last, "dog", 0.5, 0.25]]
    assert maps.effects(tiny_engine, "tiny", "pets-animal", "lape").empty, "most active for cat, of which there is none"
    nothing = maps.of_task(tiny_engine, "tiny", "pets-animal", "lape").set_index("neuron_id")
    assert nothing.loc[first, "n_specific"] == 0 and nothing["class_name"].isna().all()
    assert nothing.loc[first, "top_class"] == "cat"


def test_a_unit_is_of_the_task_of_its_strongest_evidence(tiny_engine: Engine) -> None:
    pairs = SCORES.selections[0].pairs
    stronger = replace(SCORES.selections[0], pairs=pairs.assign(p_value=[0.5, 1e-6]))
    place: TaskScores = replace(SCORES, attribute="place", task="pets-place", selections=(stronger,))
    Store(tiny_engine).write_scores(1, "tiny/place", MODEL_ID, place)
    found = maps.tasks(tiny_engine, "tiny", "calibrated")
    told = ["task", "class_name", "p_value", "n_tasks"]
    assert found[told].to_numpy().tolist() == [["pets-animal", "cat", 0.001, 2], ["pets-place", "dog", 1e-6, 2]]
    assert maps.tasks(tiny_engine, "tiny", "lape").empty
