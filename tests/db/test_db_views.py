"""Every kind of record through the store into every public view, on numbers worked by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from db.writes.store import Store
from tests.support.tiny_study import MODEL_ID, SCORES, rows

LN2 = math.log(2)


def test_runs(tiny_reader: Engine) -> None:
    ((started, finished, *others),) = rows(
        tiny_reader,
        "SELECT started_at, finished_at, status, model, config_json, code_version, device,"
        " seconds_extract, seconds_score, seconds_ablate FROM runs",
    )
    assert str(started).endswith("+00:00") and str(finished) >= str(started)
    assert others == ["done", "tiny", '{"seed": 3}', "0.1.0", "cpu", 1.0, 2.0, 3.0]


def test_clip_labels_leave_out_empty_values(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT dataset, path, split, duration_seconds, attribute, value FROM clip_labels ORDER BY clip_id, attribute",
    )
    assert found == [
        ("pets", "train/a.wav", "train", 1.5, "animal", "cat"),
        ("pets", "train/a.wav", "train", 1.5, "place", "home"),
        ("pets", "train/b.wav", "train", 2.0, "animal", "dog"),
        ("pets", "test/c.wav", "test", 0.5, "animal", "cat"),
    ]


def test_activation_probabilities(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT dataset, task, class_name, layer, neuron, positive_count, token_count,"
        " activation_probability FROM activation_probabilities WHERE task = 'pets-animal'"
        " ORDER BY layer, neuron, class_name",
    )
    assert found == [
        ("pets", "pets-animal", "cat", 0, 0, 10, 20, 0.5),
        ("pets", "pets-animal", "dog", 0, 0, 0, 10, 0.0),
        ("pets", "pets-animal", "cat", 0, 1, 0, 20, 0.0),
        ("pets", "pets-animal", "dog", 0, 1, 0, 10, 0.0),
        ("pets", "pets-animal", "cat", 1, 0, 4, 20, 0.2),
        ("pets", "pets-animal", "dog", 1, 0, 2, 10, 0.2),
    ]


def test_neuron_selectivity(tiny_reader: Engine) -> None:
    sql = (
        "SELECT layer, neuron, entropy, max_probability, top_class, is_class_specific, n_classes,"
        " entropy_rank FROM neuron_selectivity WHERE preset = '{}' AND task = 'pets-animal' ORDER BY layer, neuron"
    )
    assert rows(tiny_reader, sql.format("calibrated")) == [
        (0, 0, 0.0, 0.5, "cat", 1, 2, 1),
        (0, 1, None, 0.0, None, 0, 2, None),
        (1, 0, LN2, 0.2, "cat", 1, 2, 2),
    ]
    assert [row[5] for row in rows(tiny_reader, sql.format("aape"))] == [1, 0, 0]
    assert [row[5] for row in rows(tiny_reader, sql.format("lape"))] == [0, 0, 0]


def test_class_specific_neurons(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT preset, class_name, layer, neuron, activation_probability, entropy, lift, p_value,"
        " q_value, replicated FROM class_specific_neurons WHERE task = 'pets-animal' ORDER BY preset, class_name",
    )
    assert found == [
        ("aape", "cat", 0, 0, 0.5, 0.0, 9.0, None, None, None),
        ("calibrated", "cat", 0, 0, 0.5, 0.0, 9.0, 0.001, 0.01, 1),
        ("calibrated", "dog", 1, 0, 0.2, LN2, 1.0, 0.02, 0.04, 0),
    ]


def test_task_coverage(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT preset, n_clips, n_classes, n_classes_covered, coverage, n_class_specific, n_pairs,"
        " null_coverage_mean, null_coverage_low, null_coverage_high, null_n_class_specific_mean,"
        " n_shuffles, replicated_share, replicated_share_all_pairs FROM task_coverage"
        " WHERE task = 'pets-animal' ORDER BY preset",
    )
    assert found == [
        ("aape", 3, 2, 1, 0.5, 1, 1, None, None, None, None, 0, None, None),
        ("calibrated", 3, 2, 2, 1.0, 2, 2, 0.25, 0.0, 0.5, 0.75, 200, 0.5, 0.2),
        ("lape", 3, 2, 0, 0.0, 0, 0, None, None, None, None, 0, None, None),
    ]


def test_replicated_share_is_of_the_pairs_that_were_checked(tiny_engine: Engine) -> None:
    selection = SCORES.selections[0]
    pairs = pd.concat([selection.pairs, selection.pairs.assign(neuron_index=1, replicated=np.nan)])
    changed = replace(SCORES, selections=(replace(selection, pairs=pairs),))
    Store(tiny_engine).write_scores(1, "again", MODEL_ID, changed)
    assert rows(tiny_engine, "SELECT n_pairs, n_class_specific, replicated_share FROM task_coverage "
                "WHERE task = 'pets-animal'") == [(4, 3, 0.5)]  # fmt: skip


def test_probe_accuracy(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT dataset, task, split, class_name, n_clips, accuracy, chance, metric FROM probe_accuracy",
    )
    assert found == [
        ("pets", "pets-animal", "test", None, 4, 0.75, 0.5, "accuracy"),
        ("pets", "pets-animal", "test", "cat", 2, 1.0, 0.5, "accuracy"),
        ("pets", "pets-animal", "valid", "dog", 2, 0.5, 0.5, "accuracy"),
    ]


def test_ablation_effects(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT selection, target, affected_class, gain, n_neurons, n_clips, accuracy_unablated,"
        " accuracy_ablated, delta, ci_low, ci_high, p_value, q_value, control_delta_mean,"
        " control_delta_low, control_delta_high, n_controls FROM ablation_effects",
    )
    all_clips = (0.0, 2, 4, 0.75, 0.5, -0.25, -0.5, 0.0, 0.5, 0.5, 0.0, -0.25, 0.25, 2)
    cat = (0.0, 2, 2, 1.0, 0.5, -0.5, -1.0, None, 0.25, 0.5, 0.125, 0.0, 0.25, 2)
    assert found == [("top 1%", "cat", None, *all_clips), ("top 1%", "cat", "cat", *cat)]
    controls = rows(tiny_reader, "SELECT position, draw, delta FROM ablation_control ORDER BY 1, 2")
    assert controls == [(0, 0, -0.25), (0, 1, 0.25), (1, 0, 0.0), (1, 1, 0.25)]


def test_shared_neurons(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT model, task_a, class_a, task_b, class_b, n_a, n_b, n_shared, expected, p_value,"
        " q_value, preset, nested FROM shared_neurons",
    )
    names = ("tiny", "pets-animal", "cat", "pets-animal", "dog")
    assert found == [(*names, 1, 1, 0, 1 / 3, 1.0, None, "calibrated", 1)]


def test_top_clips(tiny_reader: Engine) -> None:
    found = rows(
        tiny_reader,
        "SELECT model, dataset, layer, neuron, rank, path, activation_rate, mean_activation"
        " FROM top_clips ORDER BY layer, neuron, rank",
    )
    assert found == [
        ("tiny", "pets", 0, 0, 1, "test/c.wav", 0.75, 1.5),
        ("tiny", "pets", 0, 0, 2, "train/a.wav", 0.5, 1.0),
        ("tiny", "pets", 1, 0, 1, "train/b.wav", 0.25, 0.125),
    ]
