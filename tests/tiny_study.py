"""One record of every kind, small enough to work the numbers by hand.

Three neurons in two layers (2 + 1), three clips, classes cat and dog. Of cat's 20 tokens neuron
(0, 0) fires at 10, of dog's 10 at none; neuron (0, 1) never fires; neuron (1, 0) fires at 0.2 of
both.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from sqlalchemy import Engine, text

from core.results import (
    Ablation,
    ClipRecord,
    DatasetRecord,
    ModelRecord,
    NullSummary,
    ProbeResult,
    Problem,
    Selection,
    SharedNeurons,
    TaskScores,
    TopClips,
)
from db.store import Store

NAN = float("nan")

MODEL = ModelRecord("tiny", "weights-1", (2, 1), 16000, 99, "A tiny encoder", "MIT")

DATASET = DatasetRecord(
    name="pets",
    root="/audio/pets",
    content_key="content-1",
    attributes=("animal", "place"),
    clips=(
        ClipRecord("train/a.wav", "train", 1.5, {"animal": "cat", "place": "home"}),
        ClipRecord("train/b.wav", "train", 2.0, {"animal": "dog"}),
        ClipRecord("test/c.wav", "test", 0.5, {"animal": "cat", "place": ""}),
    ),
    problems=(Problem("train/broken.wav", "cannot be decoded"),),
    split_origin="official",
)

_PAIR_COLUMNS = [
    "class_index",
    "neuron_index",
    "activation_probability",
    "entropy",
    "lift",
    "p_value",
    "q_value",
    "replicated",
]

CALIBRATED = Selection(
    "calibrated",
    {"lift": 2.0},
    pd.DataFrame(
        [(0, 0, 0.5, 0.0, 9.0, 0.001, 0.01, 1.0), (1, 2, 0.2, math.log(2), 1.0, 0.02, 0.04, 0.0)],
        columns=_PAIR_COLUMNS,
    ),
    NullSummary(200, 0.25, 0.0, 0.5, 0.75, 1.5),
    0.2,
)
AAPE = Selection(
    "aape",
    {"entropy_rate": np.float64(0.01)},
    pd.DataFrame([(0, 0, 0.5, 0.0, 9.0, NAN, NAN, NAN)], columns=_PAIR_COLUMNS),
    None,
    NAN,
)
LAPE = Selection("lape", {}, pd.DataFrame([], columns=_PAIR_COLUMNS), None, NAN)

SCORES = TaskScores(
    dataset="pets",
    attribute="animal",
    task="pets-animal",
    class_names=("cat", "dog"),
    n_clips_per_class=np.array([2, 1]),
    positive_counts=np.array([[10, 0, 4], [0, 0, 2]]),
    token_counts=np.array([20, 10]),
    entropy=np.array([0.0, NAN, math.log(2)]),
    selections=(CALIBRATED, AAPE, LAPE),
    warnings=("class dog has a single clip",),
)

TOP_CLIPS = TopClips(
    "pets",
    clip_index=np.array([[2, 0], [-1, -1], [1, -1]]),
    activation_rate=np.array([[0.75, 0.5], [NAN, NAN], [0.25, NAN]]),
    mean_activation=np.array([[1.5, 1.0], [NAN, NAN], [0.125, NAN]]),
)

PROBE = ProbeResult(
    "pets-animal",
    pd.DataFrame(
        [("test", None, 4, 0.75, 0.5), ("test", "cat", 2, 1.0, 0.5), ("valid", "dog", 2, 0.5, 0.5)],
        columns=["split", "class_name", "n_clips", "accuracy", "chance"],
    ).assign(metric="accuracy"),
    {"learning_rate": 0.01},
)

ABLATION = Ablation(
    task="pets-animal",
    selection="top 1%",
    target="cat",
    gain=0.0,
    neuron_index=np.array([2, 0]),
    effects=pd.DataFrame(
        {
            "class_name": [None, "cat"],
            "n_clips": [4, 2],
            "accuracy_unablated": [0.75, 1.0],
            "accuracy_ablated": [0.5, 0.5],
            "delta": [-0.25, -0.5],
            "ci_low": [-0.5, -1.0],
            "ci_high": [0.0, NAN],
            "p_value": [0.5, 0.25],
            "q_value": [0.5, 0.5],
            "control_delta_mean": [0.0, 0.125],
            "control_delta_low": [-0.25, 0.0],
            "control_delta_high": [0.25, 0.25],
            "n_controls": [2, 2],
        }
    ),
    control_deltas=np.array([[-0.25, 0.0], [0.25, 0.25]]),
)

SHARED = SharedNeurons(
    "calibrated",
    pd.DataFrame(
        {
            "task_a": ["pets-animal"],
            "class_a": ["cat"],
            "task_b": ["pets-animal"],
            "class_b": ["dog"],
            "n_a": [1],
            "n_b": [1],
            "n_shared": [0],
            "expected": [1 / 3],
            "p_value": [1.0],
            "q_value": [NAN],
            "nested": [1],
        }
    ),
)


def write_study(engine: Engine, model: str = "tiny") -> int:
    """Write every record once, under stage keys that begin with the model's name; return its id."""
    store = Store(engine)
    store.register_dataset(DATASET)
    model_id = store.register_model(replace(MODEL, name=model))
    run_id = store.start_run(model, {"seed": 3}, 3, "0.1.0", {"numpy": "2"}, "cpu")
    store.write_scores(run_id, f"{model}/score", model_id, SCORES)
    store.write_top_clips(run_id, f"{model}/top_clips", model_id, TOP_CLIPS)
    store.write_probe(run_id, f"{model}/probe", model_id, PROBE)
    store.write_ablations(run_id, f"{model}/ablate", model_id, "pets-animal", [ABLATION])
    store.write_shared(run_id, f"{model}/share", model_id, [SHARED])
    store.finish_run(run_id, "done", {"extract": 1.0, "score": 2.0, "ablate": 3.0, "other": 4.0})
    return model_id


def rows(engine: Engine, sql: str) -> list[tuple[object, ...]]:
    """Return what a query finds, as plain tuples."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]
