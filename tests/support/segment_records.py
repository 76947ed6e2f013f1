"""Segments added to a copy of the made-up study: three phones in every clip of ``voices``, units for two of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.results import SegmentLabels, SegmentScores
from db.connection.open import open_store
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.synthetic_store import CLIPS_PER_DATASET, LAYER_WIDTHS, N_NEURONS

TASK = "voices-phone"
PHONES = ("a", "e", "s")
ENDS = (0.1, 0.4, 0.7, 1.0)
"""Where phones begin and end, of each clip."""
OF_A, OF_E = (70, 200), (71,)
"""Flat indices of the units that are specific for a, and for e."""
LAGS = np.arange(-3, 4)
STEP = 0.16


def write_segments(path: Path, *models: str, dataset: str = "voices", phones: Sequence[str] = PHONES) -> Path:
    """Add the same segments and scores of each model, or of those named."""
    engine = open_store(path)
    store = Store(engine)
    runs = frame(engine, "SELECT MAX(run.id) AS run, model.id, model.name FROM run "
                         "JOIN model ON model.name = run.model_name GROUP BY model.id, model.name")  # fmt: skip
    for row in runs.to_dict("records"):
        if not models or row["name"] in models:
            store.write_segments(row["run"], f"segments of {row['name']}", row["id"], scores(labels(dataset, phones)))
    engine.dispose()
    return path


def labels(dataset: str, phones: Sequence[str]) -> SegmentLabels:
    """Each phone once in each clip, one after the other."""
    clip, phone = (part.ravel() for part in np.meshgrid(np.arange(CLIPS_PER_DATASET), np.arange(3), indexing="ij"))
    rows = pd.DataFrame({
        "clip_index": clip, "number": phone, "class_index": phone, "onset_seconds": np.array(ENDS)[phone],
        "offset_seconds": np.array(ENDS)[phone + 1],
    })  # fmt: skip
    return SegmentLabels(dataset, "phone", f"{dataset}-phone", "phones", tuple(phones), rows)


def scores(of: SegmentLabels) -> SegmentScores:
    """Units for a and e; for s none, so that its strongest are shown all the same."""
    neuron, phone = np.tile(np.arange(N_NEURONS), 3), np.repeat(np.arange(3), N_NEURONS)
    specific = np.isin(neuron, OF_A) & (phone == 0) | np.isin(neuron, OF_E) & (phone == 1)
    rows = pd.DataFrame({
        "class_index": phone, "neuron_index": neuron, "positive_count": np.where(specific, 300, 100),
        "token_count": 400, "lift": np.where(specific, 3.0, 1.0), "p_value": np.where(specific, 1e-9, 0.5),
        "q_value": np.where(specific, 1e-6, 0.9), "replicated": np.where(specific, 1.0, 0.0),
        "is_class_specific": specific.astype(int), "exchanged_p": np.where(specific, 0.001, np.nan),
    })  # fmt: skip
    classes = pd.DataFrame({
        "class_index": np.arange(3), "n_clips": 70, "n_test_clips": 20, "n_segments": 70, "n_too_short": [0, 0, 4],
        "seconds": 0.3, "token_count": 400, "n_class_specific": [len(OF_A), len(OF_E), 0],
    })  # fmt: skip
    kept = [(0, unit, True) for unit in OF_A] + [(1, unit, True) for unit in OF_E] + [(2, 3, False)]
    curves = pd.concat([_curve(*one) for one in kept], ignore_index=True)
    shapes = pd.DataFrame([
        (phone, unit, 70, 0.16, 0.7, beyond, 0.05 if beyond else np.nan, 0.02 if beyond else np.nan,
         0.08 if beyond else np.nan, 0.6, 0.3, 0.1)
        for phone, unit, beyond in kept
    ], columns=[
        "class_index", "neuron_index", "n_onsets", "peak_seconds", "peak_probability", "is_beyond", "latency_seconds",
        "latency_low", "latency_high", "onset_index", "sustain_index", "offset_index",
    ])  # fmt: skip
    units = pd.DataFrame({"neuron_index": np.arange(N_NEURONS), "entropy": 1.0, "top_class_index": 0.0})
    return SegmentScores(of, classes, rows, units, curves, shapes, FACTS, ("too coarse: for a test",))


def _curve(phone: int, unit: int, beyond: bool) -> pd.DataFrame:
    rate = np.where((LAGS >= 0) & beyond, 0.7, 0.2)
    return pd.DataFrame({
        "class_index": phone, "neuron_index": unit, "lag_columns": LAGS, "lag_seconds": LAGS * STEP,
        "activation_probability": rate, "null_mean": 0.25, "null_low": 0.1, "null_high": 0.4, "token_count": 70,
    })  # fmt: skip


FACTS = {
    "n_clips": 70, "n_test_clips": 20, "n_within": 70, "n_classes": 3, "n_classes_covered": 2, "n_class_specific": 3,
    "n_pairs": 3, "null_coverage_mean": 0.02, "null_coverage_low": 0.0, "null_coverage_high": 0.3,
    "null_n_class_specific_mean": 0.1, "null_n_class_specific_low": 0.0, "null_n_class_specific_high": 1.0,
    "n_shuffles": 40, "shuffled": "labels shifted in time within each clip", "replicated_share": 1.0,
    "replicated_share_all_pairs": 0.01, "exchanged_share": 1.0, "column_seconds": STEP,
    "median_seconds": 0.3, "is_coarse": 0,
}  # fmt: skip
LAYER = OF_A[0] // LAYER_WIDTHS[0], OF_A[0] % LAYER_WIDTHS[0]
"""Layer and neuron of the first unit of a."""
