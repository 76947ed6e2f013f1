"""Made sounds, added to a copy of the made-up study: answers to `tones`, and what they say of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.results import ConfoundAnswers, StimulusStudy
from core.stimuli.sets import SETS
from core.stimuli.study import of_design
from db.connection.open import open_store
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.synthetic_store import LAYER_WIDTHS

WIDTH, N_LAYERS = LAYER_WIDTHS[0], len(LAYER_WIDTHS)


def write_stimuli(path: Path, *models: str) -> Path:
    """Add the set and the answers for these models."""
    engine = open_store(path)
    store = Store(engine)
    runs = frame(engine, "SELECT MAX(run.id) AS run, model.id, model.name FROM run "
                         "JOIN model ON model.name = run.model_name GROUP BY model.id, model.name")  # fmt: skip
    for row in runs.to_dict("records"):
        if row["name"] in models:
            store.write_stimuli(row["run"], f"tones of {row['name']}", row["id"], study())
            store.write_confound_answers(row["run"], f"answers of {row['name']}", row["id"], answers())
    engine.dispose()
    return path


def study() -> StimulusStudy:
    """Unit 0 of each layer follows F0 whatever the timbre, unit 1 timbre; nobody follows level; the others nothing."""
    design = SETS["tones"].design
    units = np.arange(N_LAYERS * WIDTH)
    rows = []
    for factor in range(3):
        strong = units % WIDTH == (0, -1, 1)[factor]
        rows.append(pd.DataFrame({
            "neuron_index": units, "factor": factor, "alone": np.where(strong, 0.6, 0.0),
            "joint": np.where(strong, 0.02, 0.0), "shapley": np.where(strong, 0.61 + units / 1e5, 0.02),
                "null_mean": 0.0,
            "null_high": 0.03, "p_value": np.where(strong, 1e-5, 0.5), "q_value": np.where(strong, 1e-4, 0.9),
            "best_level": 2, "trend": [0.9, 0.1, np.nan][factor], "is_leading": strong.astype(int),
            "kept": np.where(strong, 1 / 3, np.nan),
        }))  # fmt: skip
    curve = np.linspace(0.1, 0.9, 9)
    points = pd.concat(
        [
            pd.DataFrame({
                "neuron_index": layer * WIDTH, "factor": 0, "level": np.arange(9), "rate": curve,
                "rate_low": curve - 0.1, "rate_high": curve + 0.1, "mean_activation": curve,
            })
            for layer in range(N_LAYERS)
        ],
        ignore_index=True,
    )  # fmt: skip
    firsts = np.arange(N_LAYERS) * WIDTH
    pairs = pd.concat(
        [
            pd.DataFrame({
                "neuron_index": firsts, "factor": 0, "other": other, "kept": kept, "correlation": 0.8,
                "null_kept": 0.35,
                "null_correlation_high": 0.4,
            })
            for other, kept in ((1, 1 / 3), (2, 0.8))
        ],
        ignore_index=True,
    )  # fmt: skip
    layers = pd.DataFrame([
        {"factor": factor, "layer": layer, "n_varying": WIDTH, "n_found": int(factor != 1),
         "n_leading": int(factor != 1), "null_mean": 0.1, "null_high": 1.0}
        for factor in range(3) for layer in range(N_LAYERS)
    ])  # fmt: skip
    facts = {
        "n_stimuli": design.n_stimuli, "n_repetitions": design.repetitions, "n_varying": len(units), "seed": 0,
        "n_permutations": 200, "seconds_each": 2.08,
    }  # fmt: skip
    factors, levels = of_design(design)
    return StimulusStudy("tones", facts, factors, levels, pd.concat(rows, ignore_index=True), points, pairs, layers)


def answers() -> ConfoundAnswers:
    """Of an emotion and of two notes."""
    rows = [
        ("follows", "voices-emotion", "fear", "vowels", "F0", 8, 6, 0.25, 0.01),
        ("follows", "voices-emotion", "fear", "vowels", "vowel", 8, 2, 0.25, 0.6),
        ("gender", "voices-emotion", "fear", "vowels", "F0 alone", 8, 6, 0.25, 0.01),
        ("gender", "voices-emotion", "fear", "vowels", "neither", 8, 2, 0.75, 0.99),
        ("note", "notes-pitch", "A3", "tones", "keeps its note", 4, 3, 0.1, 0.001),
        ("note", "notes-pitch", "A3", "tones", "no note", 4, 1, 0.9, 0.99),
    ]
    return ConfoundAnswers(pd.DataFrame([
        {
            "question": question, "task": task, "preset": "calibrated", "class_name": name, "stimulus_set": of,
            "answer": answer, "n_units": n, "n_answer": k, "share": k / n, "share_low": k / n / 2,
            "share_high": (1 + k / n) / 2, "n_all": 384, "n_all_answer": int(384 * every), "share_all": every,
            "p_value": p, "q_value": p,
        }
        for question, task, name, of, answer, n, k, every, p in rows
    ]))  # fmt: skip
