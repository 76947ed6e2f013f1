"""Units in words, added to a copy of the made-up study: worked by hand, of the first units of a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from core.describe.descriptors import words
from core.results import Descriptions
from db.connection.open import open_store
from db.reads.frames import frame
from db.writes.store import Store

SAID = (
    # terms, sentence, r, what it must beat, share by classes, by descriptors
    ("descriptor:f0 high; descriptor:onset high", "fires on high pitch and onsets", 0.75, 0.25, 0.0, 0.5),
    ("descriptor:f0 very high", "fires on high pitch (highest fifth of f0)", 0.5, 0.25, 0.25, 0.25),
    ("class:siren", "fires on clips of siren", 0.5, 0.375, 0.5, 0.0),
    ("descriptor:level low; class:dog", "fires on quiet sound and clips of dog", 0.25, 0.5, 0.125, 0.0625),
)  # fmt: skip
"""Of unit 0 and on; the unit after them varies, and nothing explains it."""


def write_descriptions(path: Path, model: str, dataset: str) -> Path:
    """Describe the first units of a model over a dataset."""
    engine = open_store(path)
    of_model = "SELECT MAX(run.id) AS run, model.id FROM run JOIN model ON model.name = run.model_name"
    (row,) = frame(engine, f"{of_model} WHERE model.name = :name GROUP BY model.id", name=model).to_dict("records")
    Store(engine).write_descriptions(int(row["run"]), f"words of {model}", int(row["id"]), made_up(dataset))
    engine.dispose()
    return path


def made_up(dataset: str) -> Descriptions:
    """Descriptions of units, and one that has none."""
    predicts, said = ([row[i] for row in SAID] for i in (0, 1))
    r, high, by_classes, by_descriptors = np.array([row[2:] for row in SAID]).T
    described = pd.DataFrame(
        {
            "neuron_index": range(len(SAID)), "description": said, "author": "atlas", "predicts": predicts,
            "correlation": r, "average_precision": 0.5, "f1": 0.5, "iou": 0.25, "shifted_high": 0.125,
            "null_correlation_high": high, "beats_null": (r > high).astype(int),
        }
    )  # fmt: skip
    explained = pd.DataFrame(
        {
            "neuron_index": range(len(SAID) + 1), "n_terms": [2, 1, 1, 2, 0], "by_classes": [*by_classes, 0.5],
            "by_descriptors": [*by_descriptors, 0.0], "by_both": 0.5, "by_level": 0.0, "validated": 0.5,
            "validated_high": 0.125,
        }
    )  # fmt: skip
    facts = {"n_clips": 40, "n_held_out": 20, "n_dealt": 4, "n_shifts": 39, "words_json": json.dumps(words())}
    return Descriptions(dataset, "atlas", described, explained, facts)
