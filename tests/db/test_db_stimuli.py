"""Made sounds, through the store into their views and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from core.results import ConfoundAnswers
from db.connection.open import StoreError
from db.reads import pipeline, stimuli
from db.writes.store import Store
from tests.support.tiny_study import CONFOUND_ANSWERS, DATASET, MODEL_ID, STIMULI, rows

OF = ("tiny", "mlp")


def test_views_hold_what_was_written(tiny_reader: Engine) -> None:
    assert rows(tiny_reader, "SELECT * FROM stimulus_sets ORDER BY factor") == [
        (*OF, "tones", "F0", "MIDI note", 1, 2, 8, 2, 2, 200, 3, 2.08),
        (*OF, "tones", "timbre", "", 0, 2, 8, 2, 2, 200, 3, 2.08),
    ]
    told = "factor, level, label, level_value"
    assert rows(tiny_reader, f"SELECT {told} FROM stimulus_levels ORDER BY factor, level") == [
        ("F0", 0, "C3, 131 Hz", 48.0), ("F0", 1, "E3, 165 Hz", 52.0), ("timbre", 0, "pure", 0.0),
        ("timbre", 1, "dark", 1.0),
    ]  # fmt: skip
    assert rows(tiny_reader, "SELECT * FROM stimulus_layers WHERE factor = 'F0' ORDER BY layer") == [
        (*OF, "tones", "F0", 0, 1, 1, 1, 0.25, 1.0), (*OF, "tones", "F0", 1, 1, 0, 0, 0.0, 0.0),
    ]  # fmt: skip
    assert rows(tiny_reader, "SELECT * FROM unit_factors ORDER BY layer, unit, factor") == [
        (*OF, 0, 0, "tones", "F0", 0.75, 0.25, 0.875, 0.0, 0.0625, 0.0001, 0.0002, "E3, 165 Hz", 52.0, 1.0, 1, 1.0),
        (*OF, 0, 0, "tones", "timbre", -0.0625, 0.0, 0.0625, 0.0, 0.125, 0.5, 0.5, "pure", 0.0, None, 0, None),
        (*OF, 1, 0, "tones", "F0", 0.125, 0.0, 0.125, 0.0, 0.25, 0.25, 0.5, "C3, 131 Hz", 48.0, -1.0, 0, None),
        (*OF, 1, 0, "tones", "timbre", None, 0.0, 0.0, None, None, None, None, "dark", 1.0, None, 0, None),
    ]
    assert rows(tiny_reader, "SELECT * FROM stimulus_tuning ORDER BY level") == [
        (*OF, 0, 0, "tones", "F0", 0, "C3, 131 Hz", 48.0, 0.25, 0.125, 0.375, -0.5),
        (*OF, 0, 0, "tones", "F0", 1, "E3, 165 Hz", 52.0, 0.75, 0.5, 1.0, 1.5),
    ]
    assert rows(tiny_reader, "SELECT * FROM unit_invariance") == [
        (*OF, 0, 0, "tones", "F0", "timbre", 1.0, 0.5, 0.5, 0.875)
    ]
    assert rows(tiny_reader, "SELECT * FROM confound_answers") == [
        (*OF, "pets", "pets-animal", "calibrated", "cat", "note", "tones", "keeps its note", 1, 1, 1.0, 0.25, 1.0, 2, 1,
         0.5, 0.5, 0.5)
    ]  # fmt: skip


def test_reads_tell_sets_units_and_answers(tiny_engine: Engine) -> None:
    sets = stimuli.sets(tiny_engine, "tiny")
    assert sets[["factor", "place", "n_levels"]].to_numpy().tolist() == [["F0", 0, 2], ["timbre", 1, 2]]
    assert stimuli.sets(tiny_engine, "another").empty
    assert stimuli.levels(tiny_engine, "tiny", "tones")["label"].tolist() == [
        "C3, 131 Hz",
        "E3, 165 Hz",
        "pure",
        "dark",
    ]
    layers = stimuli.layers(tiny_engine, "tiny", "tones")
    assert layers[["factor", "layer", "n_units", "n_found"]].to_numpy().tolist() == [
        ["F0", 0, 2, 1], ["F0", 1, 1, 0], ["timbre", 0, 2, 0],
    ]  # fmt: skip
    ranked = stimuli.ranked(tiny_engine, "tiny", "tones", "F0", 10)
    assert ranked[["layer", "neuron", "shapley", "best_level", "kept"]].to_numpy().tolist() == [
        [0, 0, 0.875, "E3, 165 Hz", 1.0]
    ]
    assert stimuli.ranked(tiny_engine, "tiny", "tones", "timbre", 10).empty
    assert stimuli.of_unit(tiny_engine, "tiny", 0, 0)["factor"].tolist() == ["F0", "timbre"]
    assert stimuli.of_unit(tiny_engine, "tiny", 0, 1).empty, "it does not vary"
    assert stimuli.invariance(tiny_engine, "tiny", 0, 0)[["kept", "null_kept"]].to_numpy().tolist() == [[1.0, 0.5]]
    assert stimuli.tuning(tiny_engine, "tiny", 0, 0)["rate"].tolist() == [0.25, 0.75]
    assert stimuli.answers(tiny_engine, "tiny", "pets-animal", "calibrated")["answer"].tolist() == ["keeps its note"]
    assert stimuli.answers(tiny_engine, "tiny", "pets-animal", "aape").empty


def test_the_pipeline_reads_back_what_answers_need(tiny_engine: Engine) -> None:
    assert pipeline.task_attributes(tiny_engine) == {"pets-animal": "animal"}
    assert pipeline.stimulus_stamps(tiny_engine, "tiny") == ["tones tiny/stimuli"]
    units = stimuli.of_all_units(tiny_engine, "tiny")
    assert units[["factor", "neuron_index", "best_value"]].to_numpy().tolist() == [
        ["F0", 0, 52.0], ["F0", 2, 48.0], ["timbre", 0, 0.0], ["timbre", 2, 1.0],
    ]  # fmt: skip
    assert units["kept"].tolist()[:1] == [1.0] and units["kept"].isna().sum() == 3
    assert stimuli.of_all_units(tiny_engine, "another").empty


def test_a_set_that_is_asked_again_takes_the_place_of_the_first(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    again = replace(
        STIMULI, facts={**STIMULI.facts, "seed": 4}, units=STIMULI.units.iloc[:2], points=STIMULI.points[:0]
    )
    store.write_stimuli(1, "tiny/stimuli again", MODEL_ID, again)
    assert rows(tiny_engine, "SELECT DISTINCT seed FROM stimulus_sets") == [(4,)]
    assert len(rows(tiny_engine, "SELECT * FROM unit_factors")) == 2
    assert rows(tiny_engine, "SELECT * FROM stimulus_tuning") == []
    assert not store.is_done("tiny/stimuli") and store.is_done("tiny/stimuli again")
    store.write_stimuli(1, "tiny/vowels", MODEL_ID, replace(STIMULI, stimulus_set="vowels"))
    assert len(rows(tiny_engine, "SELECT DISTINCT stimulus_set FROM stimulus_sets")) == 2


def test_answers_go_with_a_dataset_and_stay_with_its_other_settings(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    store.register_dataset(replace(DATASET, content_key="other"), replace=True)
    assert rows(tiny_engine, "SELECT * FROM confound_answers") == []
    assert not store.is_done("tiny/confound answers") and store.is_done("tiny/stimuli")
    assert len(rows(tiny_engine, "SELECT * FROM unit_factors")) == 4, "made sounds know no dataset"
    store.write_confound_answers(1, "tiny/none", MODEL_ID, ConfoundAnswers(CONFOUND_ANSWERS.rows.iloc[:0]))
    assert store.is_done("tiny/none")
    with pytest.raises(StoreError, match="pets-animal is not in the store"):
        store.write_confound_answers(1, "tiny/lost", MODEL_ID, CONFOUND_ANSWERS)
    assert not store.is_done("tiny/lost")
