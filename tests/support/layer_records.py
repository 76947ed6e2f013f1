"""Heads on layers and attributions of layers, added to a copy of the made-up study: a class is read from a layer on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.results import Attributions, LayerProbes, wilson
from db.connection.open import open_store
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.synthetic_store import DATASETS, LAYER_WIDTHS

N_LAYERS = len(LAYER_WIDTHS)
EVENTS = DATASETS["rooms"]["event"]
READABLE_FROM = 2
"""Before that layer heads are at chance."""
N_CLIPS = 40
"""Of a class on test."""


def write_layers(path: Path) -> Path:
    """Add the heads and attributions of one model and task."""
    engine = open_store(path)
    run = int(frame(engine, "SELECT MAX(id) AS id FROM run WHERE model_name = 'nano-ssl'")["id"].iloc[0])
    model = int(frame(engine, "SELECT id FROM model WHERE name = 'nano-ssl'")["id"].iloc[0])
    store = Store(engine)
    store.write_layer_probes(run, "layers of rooms", model, layer_probes("rooms-event", EVENTS))
    store.write_attributions(run, "layers' attributions", model, attributions("rooms-event", EVENTS))
    engine.dispose()
    return path


def write_all_layers(path: Path) -> Path:
    """Add heads on layers for every model and task that has scores."""
    engine = open_store(path)
    store = Store(engine)
    scored = frame(engine, "SELECT model_task.model_id, model_task.run_id, task.name AS task FROM model_task "
                           "JOIN task ON task.id = model_task.task_id")  # fmt: skip
    for row in scored.to_dict("records"):
        dataset, _, attribute = row["task"].partition("-")
        record = layer_probes(row["task"], DATASETS[dataset][attribute])
        store.write_layer_probes(row["run_id"], f"layers {row['model_id']} {row['task']}", row["model_id"], record)
    engine.dispose()
    return path


def layer_probes(task: str, names: Sequence[str]) -> LayerProbes:
    """Chance before `READABLE_FROM`, nine in ten from there on; the last class is read from the layer after it."""
    chance, rows = 1 / len(names), []
    for layer in range(-1, N_LAYERS):
        shares = [0.9 if layer >= READABLE_FROM + (name == names[-1]) else chance for name in names]
        told = [(None, N_CLIPS * len(names), float(np.mean(shares)), 1.6 * chance)]
        told += [(name, N_CLIPS, share, np.nan) for name, share in zip(names, shares, strict=True)]
        rows += [
            (layer, "test", name, n, share, *wilson(share, n), chance, "accuracy", high)
            for name, n, share, high in told
        ]
    weights = np.arange(1, N_LAYERS + 2) / np.arange(1, N_LAYERS + 2).sum()
    summary = {
        "best_layer": 4, "chosen_on": "valid", "shuffled": "clips", "best_accuracy": 0.9, "best_low": 0.85,
        "best_high": 0.94, "best_difference": 0.02, "best_difference_low": -0.01, "best_difference_high": 0.05,
        "weighted_accuracy": 0.92, "weighted_low": 0.87, "weighted_high": 0.95, "weighted_difference": 0.02,
        "weighted_difference_low": -0.02, "weighted_difference_high": 0.06,
    }  # fmt: skip
    columns = ["layer", "split", "class_name", "n_clips", "accuracy", "ci_low", "ci_high", "chance", "metric",
               "shuffled_high"]  # fmt: skip
    of_layers = pd.DataFrame(
        {"layer": range(-1, N_LAYERS), "weight": weights, "weight_low": 0.8 * weights, "weight_high": 1.2 * weights}
    )
    return LayerProbes(task, pd.DataFrame(rows, columns=columns), of_layers, summary)


def attributions(task: str, names: Sequence[str]) -> Attributions:
    """Of layers alone: the fourth carries each class."""
    rows = [
        (c, layer, 1.5 if layer == 3 else 0.1, 0.2, N_CLIPS) for c in range(len(names)) for layer in range(N_LAYERS)
    ]
    layers = pd.DataFrame(rows, columns=["class_index", "layer", "attribution", "standard_error", "n_clips"])
    agreement = ("spearman_all", "spearman_random", "spearman_highest", "margin_total", "margin_selective",
                 "selective_total", "selective_selective")  # fmt: skip
    summary = {"n_clips": N_CLIPS, "n_checked": 0, "n_clips_checked": 0, **dict.fromkeys(agreement, np.nan)}
    nothing = pd.DataFrame()
    return Attributions(task, tuple(names), nothing, nothing, summary, layers)
