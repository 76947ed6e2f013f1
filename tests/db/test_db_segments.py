"""What units do in time, through the store into its views and back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from core.results import ModelRecord
from db.connection.open import StoreError
from db.reads import report, segments, study
from db.writes.store import Store
from tests.support.tiny_study import DATASET, MODEL, MODEL_ID, SEGMENTS, rows

SHIFTED = "labels shifted in time within each clip"


def test_views_hold_what_was_written(tiny_reader: Engine) -> None:
    assert rows(tiny_reader, "SELECT * FROM segment_labels ORDER BY clip_id, onset_seconds") == [
        ("pets", 1, "call", "pets-call", 0.25, 0.5, "meow"), ("pets", 1, "call", "pets-call", 0.5, 1.25, "bark"),
        ("pets", 2, "call", "pets-call", 0.0, 0.5, "bark"),
    ]  # fmt: skip
    told = ("tiny", "mlp", "pets", "pets-call")
    assert rows(tiny_reader, "SELECT * FROM segment_tasks") == [
        (*told, 2, 0, 2, 1, 0.5, 1, 1, 0.25, 0.0, 0.5, 0.5, 0.0, 1.0, 40, SHIFTED, 1, None, 0.5, 0.0, 0.25, 0.5, 0,
         json.dumps(list(SEGMENTS.warnings)))
    ]  # fmt: skip
    assert rows(tiny_reader, "SELECT * FROM segment_classes WHERE class_name = 'bark'") == [
        (*told, "bark", 2, 0, 2, 0, 0.625, 20, 0)
    ]
    assert rows(tiny_reader, "SELECT * FROM segment_scores WHERE class_name = 'meow' ORDER BY layer, unit") == [
        (*told, "meow", 0, 0, 4, 4, 1.0, math.inf, 0.001, 0.006, None, 1, 0.0, 0.25),
        (*told, "meow", 0, 1, 0, 4, 0.0, None, 1.0, 1.0, None, 0, None, None),
        (*told, "meow", 1, 0, 1, 4, 0.25, 1.25, 0.5, 1.0, 0, 0, 0.5, None),
    ]
    assert rows(tiny_reader, "SELECT * FROM segment_curves ORDER BY lag_seconds") == [
        (*told, "meow", 0, 0, -0.25, 0.0, 0.25, 0.0, 0.5, 4), (*told, "meow", 0, 0, 0.0, 1.0, 0.25, 0.0, 0.5, 4),
    ]  # fmt: skip
    assert rows(tiny_reader, "SELECT * FROM segment_shapes") == [
        (*told, "meow", 0, 0, 1, 0.0, 1.0, 1, -0.125, -0.25, 0.0, 0.75, 0.25, 0.0)
    ]


def test_a_task_in_time_is_a_task_in_the_views_of_all(tiny_reader: Engine) -> None:
    def told(what: str, view: str) -> list[tuple[object, ...]]:
        return rows(tiny_reader, f"SELECT {what} FROM {view} WHERE task = 'pets-call'")

    coverage = "dataset, preset, n_clips, n_classes, coverage, n_class_specific, null_coverage_high, n_pairs, shuffled"
    assert told(f"model, {coverage}", "task_coverage") == [
        ("tiny", "pets", "calibrated", 2, 2, 0.5, 1, 0.5, 1, SHIFTED)
    ]
    assert told(f"model, unit_kind, {coverage}", "unit_coverage") == [
        ("tiny", "mlp", "pets", "calibrated", 2, 2, 0.5, 1, 0.5, 1, SHIFTED)
    ]
    probabilities = told("class_name, layer, neuron, positive_count, token_count, activation_probability",
                         "activation_probabilities")  # fmt: skip
    assert sorted(probabilities)[3:] == [
        ("meow", 0, 0, 4, 4, 1.0), ("meow", 0, 1, 0, 4, 0.0), ("meow", 1, 0, 1, 4, 0.25)
    ]  # fmt: skip
    selectivity = told("preset, layer, neuron, entropy, max_probability, top_class, is_class_specific, n_classes",
                       "neuron_selectivity ")  # fmt: skip
    assert sorted(selectivity, key=lambda row: row[1:3]) == [
        ("calibrated", 0, 0, 0.0, 1.0, "meow", 1, 2), ("calibrated", 0, 1, None, None, None, 0, 2),
        ("calibrated", 1, 0, 0.5, 0.25, "meow", 0, 2),
    ]  # fmt: skip
    assert told("class_name, layer, unit, activation_probability, entropy, lift, p_value, q_value, replicated",
                "class_specific_units") == [("meow", 0, 0, 1.0, 0.0, math.inf, 0.001, 0.006, None)]  # fmt: skip


def test_pages_of_clips_show_no_task_in_time(tiny_reader: Engine) -> None:
    shown = [study.coverage(tiny_reader, "calibrated"), study.coverage_of(tiny_reader, "tiny", "calibrated"),
             report.all_coverage(tiny_reader)]  # fmt: skip
    assert [set(frame["task"]) for frame in shown] == [{"pets-animal"}] * 3


def test_tasks_in_time_are_none_of_the_clips(tiny_reader: Engine) -> None:
    assert rows(tiny_reader, "SELECT name FROM task") == [("pets-animal",)]


def test_reads_tell_the_strongest_first(tiny_reader: Engine) -> None:
    assert segments.tasks(tiny_reader)[["model", "task", "coverage"]].to_numpy().tolist() == [
        ["tiny", "pets-call", 0.5]
    ]
    assert segments.classes(tiny_reader, "tiny", "pets-call")["class_name"].tolist() == ["meow", "bark"]
    by_layer = segments.by_layer(tiny_reader, "tiny", "pets-call")
    assert by_layer.to_numpy().tolist() == [["meow", 0, 1]]
    units = segments.units(tiny_reader, "tiny", "pets-call", "meow", 2)
    assert units[["layer", "neuron"]].to_numpy().tolist() == [[0, 0], [1, 0]]
    assert units["latency_seconds"].tolist()[0] == -0.125 and units["latency_seconds"].isna()[1]
    assert segments.curves(tiny_reader, "tiny", "pets-call", "meow")["lag_seconds"].tolist() == [-0.25, 0.0]
    of_unit = segments.of_unit(tiny_reader, "tiny", 1, 0)
    assert of_unit["class_name"].tolist() == ["meow", "bark"]
    assert segments.unit_curves(tiny_reader, "tiny", 0, 0)["class_name"].tolist() == ["meow"] * 2
    clips = segments.clips(tiny_reader, "pets-call", "bark", 8)
    assert clips[["clip_id", "n_segments"]].to_numpy().tolist() == [[1, 1], [2, 1]]
    labels = segments.labels(tiny_reader, "pets-call", [1])
    assert labels["class_name"].tolist() == ["meow", "bark"]


def test_other_segments_take_with_them_what_was_found_of_the_former(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    other = replace(SEGMENTS, labels=replace(SEGMENTS.labels, key="segments-2", class_names=("hiss", "bark")))
    store.write_segments(1, "another/segments", store.register_model(_model("another")), other)
    assert not store.is_done("tiny/segments") and store.is_done("another/segments")
    assert rows(tiny_engine, "SELECT DISTINCT model FROM segment_scores") == [("another",)]
    assert rows(tiny_engine, "SELECT name FROM segment_class ORDER BY position") == [("hiss",), ("bark",)]


def test_the_same_segments_of_another_model_are_written_once(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    store.write_segments(1, "another/segments", store.register_model(_model("another")), SEGMENTS)
    assert store.is_done("tiny/segments")
    assert rows(tiny_engine, "SELECT COUNT(*) FROM clip_segment") == [(3,)]
    assert rows(tiny_engine, "SELECT COUNT(*) FROM segment_tasks") == [(2,)]


def test_marks_go_with_what_is_recorded_anew_and_rows_with_the_dataset(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    store.forget_stages(MODEL_ID, "pets")
    assert not store.is_done("tiny/segments") and rows(tiny_engine, "SELECT COUNT(*) FROM segment_tasks") == [(1,)]
    store.register_dataset(replace(DATASET, content_key="other"), replace=True)
    assert rows(tiny_engine, "SELECT COUNT(*) FROM segment_labels") == [(0,)]


def test_a_name_that_clips_have_already_is_refused(tiny_engine: Engine) -> None:
    taken = replace(SEGMENTS, labels=replace(SEGMENTS.labels, attribute="animal", task="pets-animal-2"))
    with pytest.raises(StoreError, match="pets has an attribute animal of clips already; rename that of segments"):
        Store(tiny_engine).write_segments(1, "tiny/more", MODEL_ID, taken)


def _model(name: str) -> ModelRecord:
    return replace(MODEL, name=name, encoder=name, weights_key=name)
