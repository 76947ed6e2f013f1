"""What heads read from each layer, through the store into its views and back."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from core.results import LayerProbes
from db.reads import layers
from db.reads.frames import frame
from db.reads.named import NAMED
from db.writes.store import Store
from tests.support.tiny_study import MODEL_ID, rows

OF_TASK = ("tiny", "pets", "pets-animal", "mlp")


def test_views_hold_what_was_written_and_the_weighted_sum_is_no_layer(tiny_reader: Engine) -> None:
    found = rows(tiny_reader, "SELECT * FROM layer_probes WHERE split = 'test' ORDER BY layer")
    assert found == [
        (*OF_TASK, -1, "test", 4, 0.5, 0.125, 0.875, 0.5, "accuracy", 0.75),
        (*OF_TASK, 0, "test", 4, 1.0, 0.5, 1.0, 0.5, "accuracy", 0.625),
        (*OF_TASK, 1, "test", 4, 0.75, 0.25, 1.0, 0.5, "accuracy", 0.75),
    ]
    assert rows(tiny_reader, "SELECT layer, ci_low FROM layer_probes WHERE split = 'train'") == [(-1, None)]
    of_class = (*OF_TASK, "cat", -1, "test", 2, 0.5, 0.0625, 0.9375, 0.5, "accuracy")
    assert rows(tiny_reader, "SELECT * FROM layer_probe_classes") == [of_class]
    shares = rows(tiny_reader, "SELECT layer, weight, weight_low, weight_high FROM layer_weights ORDER BY layer")
    assert shares == [(-1, 0.25, 0.125, 0.5), (0, 0.5, 0.125, 0.5), (1, 0.25, 0.125, 0.5)]
    assert rows(tiny_reader, "SELECT * FROM layer_summaries") == [
        (*OF_TASK, 4, "accuracy", 0.5, "valid", 0, 1.0, 0.5, 1.0, 0.25, 0.0, 0.5, 0.875, 0.375, 1.0, -0.125, None, None,
         "clips")
    ]  # fmt: skip


def test_reads_are_of_test_clips_in_the_order_of_layers(tiny_reader: Engine) -> None:
    of = "tiny", "pets-animal"
    assert layers.probes(tiny_reader, *of)["layer"].tolist() == [-1, 0, 1]
    assert layers.classes(tiny_reader, *of)["class_name"].tolist() == ["cat"]
    assert layers.weights(tiny_reader, *of)["weight"].sum() == 1.0
    assert layers.summary(tiny_reader, *of)["best_layer"].tolist() == [0]
    assert layers.skipped(tiny_reader, *of) == [""] and layers.skipped(tiny_reader, "tiny", "other") == []
    margin = layers.attribution(tiny_reader, *of)
    assert margin["attribution"].tolist() == [0.25, 0.5]
    assert margin["ci_low"].tolist()[1] == pytest.approx(0.5 - 0.25 * 1.959964)
    named = frame(tiny_reader, NAMED["accuracy by layer"][1])
    assert named[["layer", "accuracy", "weight", "best_layer"]].to_numpy().tolist() == [
        [-1, 0.5, 0.25, 0], [0, 1.0, 0.5, 0], [1, 0.75, 0.25, 0]
    ]  # fmt: skip


def test_where_no_head_could_be_fitted_the_reason_takes_the_place_of_the_former_rows(tiny_engine: Engine) -> None:
    skipped = LayerProbes("pets-animal", skipped="the train split has clips of 1 class(es)")
    Store(tiny_engine).write_layer_probes(1, "tiny/layer_probes", MODEL_ID, skipped)
    for view in ("layer_probes", "layer_probe_classes", "layer_weights", "layer_summaries"):
        assert rows(tiny_engine, f"SELECT * FROM {view}") == []
    assert layers.skipped(tiny_engine, "tiny", "pets-animal") == [skipped.skipped]
