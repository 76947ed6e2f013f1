"""What a number is worth, through the store into its public views."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from sqlalchemy import Engine

from db.schema.views.evidence import EVIDENCE_VIEWS
from db.writes.store import Store
from tests.support.tiny_study import MODEL_ID, SCORES, rows

OF_TASK = ("tiny", "pets", "pets-animal")
EXPECTED: dict[str, list[tuple[object, ...]]] = {
    "coverage_curves": [(*OF_TASK, "aape", 0.01, 0.95, 1, 0.5, 1, 0.25, 0.0, 0.5, 0.5, 0.0, 1.0, 200)],
    "selector_scores": [
        (*OF_TASK, "cat", 0, 0, -2.5, 0.25, None, None, -1.0),
        (*OF_TASK, "dog", 1, 0, 0.125, -0.5, 0.75, 1.5, 1.0),
    ],
    "selector_agreement": [(*OF_TASK, "auroc", "mad", 0.5, 1.0, 0.25, 2)],
    "selection_stability": [(*OF_TASK, "lape", 10, 1, 7.5, 0.5, 0.25, 0.75, 0.125, None, 5, 0.5, 0.0)],
    "confound_probes": [
        (*OF_TASK, "level", "", "accuracy", 0.75, 0.5, 1.0, 0.5, 4, "over chance", ""),
        (*OF_TASK, "model, groups mixed", "place", None, None, None, None, None, 0, "", "one group"),
    ],
    "neuron_confounds": [(*OF_TASK, 0, 1, -0.5, None, 0.0)],
    "neuron_tuning": [(*OF_TASK, 0, 0, 0.5, 0.125, 60, 58.0, 62.5, 61.0, 60.0, 62.0, 3.5, None, None, 0.25, 0.0, 0.5)],
    "neuron_preferences": [(*OF_TASK, "cat", 1, 0, -0.5, -1.0, 0.0)],
    "ablation_specificity": [(*OF_TASK, "top 1%", "mean", None, 2.0, 2, -0.5, 0.0, 0.5, None, None)],
    "neuron_attribution": [(*OF_TASK, "dog", 1, 0, 0.5, 0.25, 3, 1.0, None, 0.5, 1, 0.125, 0.5, 0.25, None, 0.75)],
    "layer_attribution": [
        (*OF_TASK, "dog", 0, 0.25, None, 3),
        (*OF_TASK, "dog", 1, 0.5, 0.25, 3),
    ],
    "attribution_checks": [(*OF_TASK, "dog", 1, 0, 0.5, 0.75, 1, 2, 0.125, 0.625, 0.25)],
}


@pytest.mark.parametrize("view", EVIDENCE_VIEWS)
def test_view_holds_what_was_written(tiny_reader: Engine, view: str) -> None:
    assert sorted(rows(tiny_reader, f"SELECT * FROM {view}"), key=repr) == EXPECTED[view]


def test_scores_written_again_replace_their_tables(tiny_engine: Engine) -> None:
    none = pd.DataFrame(columns=SCORES.tables["neuron_preference"].columns)
    fewer = replace(SCORES, tables={**SCORES.tables, "neuron_preference": none}, curve=pd.DataFrame())
    Store(tiny_engine).write_scores(1, "tiny/score again", MODEL_ID, fewer)
    assert rows(tiny_engine, "SELECT COUNT(*) FROM neuron_preferences") == [(0,)]
    assert rows(tiny_engine, "SELECT COUNT(*) FROM coverage_curves") == [(0,)]
    assert len(rows(tiny_engine, "SELECT * FROM selector_scores")) == 2


def test_nulls_and_intervals_stand_beside_their_numbers(tiny_reader: Engine) -> None:
    assert rows(
        tiny_reader,
        "SELECT layer, neuron, entropy_p_value, entropy_q_value FROM neuron_selectivity WHERE preset = 'aape'"
        " ORDER BY layer, neuron",
    ) == [(0, 0, 0.01, 0.02), (0, 1, None, None), (1, 0, 0.5, 0.5)]
    assert rows(tiny_reader, "SELECT DISTINCT shuffled FROM task_coverage WHERE task = 'pets-animal'") == [
        ("clips within place",)
    ]
    assert rows(tiny_reader, "SELECT odds_ratio, odds_low, odds_high FROM shared_neurons") == [(0.5, 0.25, None)]
    assert rows(
        tiny_reader,
        "SELECT operation, gain, beyond_control, beyond_control_low, n_activity_controls, group_ci_low, n_heads"
        " FROM ablation_effects WHERE affected_class = 'cat'",
    ) == [("scale", 0.0, -0.625, -1.0, 0, -0.75, 6)]
