"""The page of layers: where a class becomes readable, where its neurons are, what is attributed to each layer."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest

from core.results import LayerProbes
from dashboard.shared.charts import common
from dashboard.views.layers import charts, facts
from db.connection.open import open_store
from db.writes.store import Store
from tests.support import pages
from tests.support.layer_records import EVENTS, N_LAYERS, layer_probes, write_layers
from tests.support.pages import asked, said, unfold

alt.utils.schemapi.enable_debug_mode()
show = partial(pages.show, "layers")
ROOMS = {"model": "nano-ssl", "task": "rooms-event"}


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layers(Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("layers") / "atlas.db")))


def test_the_answer_comes_first_and_every_chart_has_its_reference(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **ROOMS)
    assert not app.warning
    text = said(app)
    assert "is readable from layer 2 on: 0.80 [0.76, 0.84]" in text
    assert "chance and shuffled labels 0.12 and at most 0.20. Highest: 0.90" in text
    assert "Best by valid clips: **layer 4**, on test clips 0.90 [0.85, 0.94]; that is +0.02 [−0.01, +0.05]" in text
    assert "weighted sum of all layers reads **0.92 [0.87, 0.95]**; +0.02 [−0.02, +0.06] over the best layer" in text
    assert "Most counts layer 5, 25% (over resampled train clips 20% to 30%; all alike 14%)" in text
    assert len(app.get("vega_lite_chart")) == 6
    unfold(app, "table")
    assert len(app.dataframe) == 1 and len(app.dataframe[0].value) == N_LAYERS + 1


def test_a_class_has_its_own_layers_neurons_and_attributions(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = EVENTS[-1]
    app = show(store, monkeypatch, **ROOMS, class_=last)
    assert not app.warning and asked(app, "class") == last
    text = said(app)
    assert f"**{last}** is readable from layer 3 on: 0.90 [0.77, 0.96]; chance 0.12." in text
    assert "By attribution its margin hangs most on the neurons of **layer 3**: +1.50 logits [+1.11, +1.89]." in text
    assert "recall changes by" in text and "random sets" in text
    assert "of its own by calibrated (shuffled labels" in text or f"no neuron is specific for {last}" in text


def test_without_heads_the_page_says_how_to_get_them_and_shows_what_is_there(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(store, monkeypatch, model="nano-sl", task="rooms-event")
    assert "was not measured here" in said(app)
    assert "--probe-layers" in app.code[0].value and "--model nano-sl" in app.code[0].value
    assert len(app.get("vega_lite_chart")) == 1, "where the neurons of a class are"
    assert "Attributions by layer were not stored" in said(app)


def test_a_task_without_heads_says_why(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(store, tmp_path / "atlas.db"))
    engine = open_store(path)
    Store(engine).write_layer_probes(1, "layers of rooms", 1, LayerProbes("rooms-event", skipped="no train clips"))
    engine.dispose()
    app = show(path, monkeypatch, **ROOMS)
    assert "No head could be fitted to the layers for" in said(app) and "no train clips" in said(app)
    assert not app.code


def test_unknown_class_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **ROOMS, class_="no such")
    assert "no such" in app.warning[0].value


# Sentences, worked by hand.


def rows(*told: tuple[int, float, float], shuffled: float | None = 0.5) -> pd.DataFrame:
    """Layers with accuracy and the lower end of its interval; chance 0.4."""
    frame = pd.DataFrame(told, columns=["layer", "accuracy", "ci_low"])
    frame = frame.assign(ci_high=frame["accuracy"] + 0.05, chance=0.4, metric="accuracy", n_clips=9)
    return frame if shuffled is None else frame.assign(shuffled_high=shuffled)


def test_readable_is_what_stays_over_chance_and_shuffled_labels_to_the_last_layer() -> None:
    up = rows((-1, 0.45, 0.41), (0, 0.7, 0.6), (1, 0.5, 0.45), (2, 0.8, 0.7), (3, 0.9, 0.8))
    first = facts.readable_from(up)
    assert first is not None and first["layer"] == 2, "layer 0 is over it, the next is not"
    first = facts.readable_from(rows((-1, 0.45, 0.41), (0, 0.7, 0.6), shuffled=None))
    assert first is not None and first["layer"] == -1, "without shuffled labels chance alone counts"
    assert "readable only at layer 0; highest 0.70 [0.60, 0.75]" in facts.readable_sentence(
        "x", rows((0, 0.7, 0.6), (1, 0.5, 0.3))
    )
    assert "at no layer beyond chance and shuffled labels" in facts.readable_sentence("x", rows((0, 0.5, 0.3)))
    assert "already at the input of the first block" in facts.readable_sentence("x", rows((-1, 0.9, 0.8), (0, 1, 0.9)))


def test_the_best_layer_is_set_beside_the_last_one() -> None:
    summary = {"best_layer": 2.0, "chosen_on": "valid", "best_accuracy": 0.9, "best_low": 0.8, "best_high": 0.95,
               "best_difference": 0.0, "best_difference_low": 0.0, "best_difference_high": 0.0}  # fmt: skip
    assert facts.best_sentence(summary, 2).endswith("0.90 [0.80, 0.95]. It is the last one.")
    assert "+0.00" not in facts.best_sentence(summary, 2)
    assert facts.best_sentence(summary, 3).endswith("; the last layer reads the same clips.")
    nothing = {**summary, "best_layer": np.nan, "chosen_on": "nothing (no valid clip)"}
    assert facts.best_sentence(nothing, 2).startswith(
        "No layer is called the best: regularisation was chosen on nothing"
    )


def test_where_neurons_are_is_told_by_the_layers_that_hold_half_of_them() -> None:
    counts = pd.DataFrame({"layer": [0, 1, 2, 3], "n_neurons": [1, 4, 5, 0], "expected_null": [0.5] * 4})
    assert facts.neurons_sentence("rain", counts, "calibrated") == (
        "It has 10 neurons of its own by calibrated (shuffled labels 2), 5 of them in layer 2."
    )
    none = counts.assign(n_neurons=0, expected_null=np.nan)
    assert facts.neurons_sentence("rain", none, "aape") == "By aape no neuron is specific for rain (shuffled labels –)."
    unsure = pd.DataFrame({"layer": [0, 1], "attribution": [0.1, 0.3], "ci_low": [0.0, -0.1], "ci_high": [0.2, 0.7]})
    assert "hangs on no layer's neurons for sure; most on those of layer 1" in facts.attribution_sentence(unsure)


def test_where_a_tasks_neurons_lie_and_margins_hang() -> None:
    counts = pd.DataFrame(
        {"layer": [0, 1, 2] * 2, "class_name": ["a"] * 3 + ["b"] * 3, "n_neurons": [0, 2, 1, 0, 3, 0],
         "expected_null": 0.5}
    )  # fmt: skip
    margin = pd.DataFrame(
        {"class_name": ["a", "a", "b", "b"], "layer": [0, 1, 0, 1], "attribution": [0.1, 0.5, 0.3, 0.2]}
    ).assign(ci_low=[0.0, 0.4, -0.1, -0.1])
    assert facts.task_sentence(counts, margin, "calibrated") == (
        "6 pairs of a class and its neuron by calibrated (shuffled labels 3), 5 of them in layer 1; by attribution the "
        "margin hangs most on layer 1 (in 1 of 2 classes)."
    )
    none = facts.task_sentence(counts.assign(n_neurons=0), margin.assign(ci_low=-1.0), "aape")
    assert none == "No neuron is class-specific by aape; by attribution the margin hangs on no layer for sure."


# Charts.


def test_charts_are_valid_and_draw_what_numbers_are_to_be_read_against() -> None:
    scores = layer_probes("t", EVENTS).scores
    whole, of_class = scores[scores["class_name"].isna()], scores[scores["class_name"] == EVENTS[0]]
    weighted = pd.DataFrame({"weighted_accuracy": [0.9], "weighted_low": [0.8], "weighted_high": [0.95]})
    for rows, sums, expected in (
        (whole.drop(columns="class_name"), weighted, [common.CHANCE_NAME, charts.SHUFFLED_NAME, charts.SUM_NAME]),
        (of_class, weighted.iloc[:0], [common.CHANCE_NAME]),
    ):
        drawn = charts.accuracy_chart(rows, "#123456", sums).to_dict()["layer"][1]
        title = charts.accuracy_chart(rows, "#123456", sums).to_dict()["layer"][2]["encoding"]["y"]["title"]
        assert title == ("Recall" if "class_name" in rows else "Accuracy") + " on test clips"
        assert drawn["encoding"]["color"]["scale"]["domain"] == expected
    heat = charts.class_heatmap(scores[scores["class_name"].notna()].assign(beyond=True), EVENTS).to_dict()
    assert json.dumps(heat).count("datum.beyond") == 2, "dark on light cells, light on dark ones"
    counts = pd.DataFrame({"layer": [0, 1], "n_neurons": [1, 2], "expected_null": [0.5, 0.5]})
    assert len(charts.neuron_chart(counts).to_dict()["layer"]) == 2
    margin = pd.DataFrame({"layer": [0], "attribution": [0.1], "ci_low": [0.0], "ci_high": [0.2], "n_clips": [3]})
    assert len(charts.attribution_chart(margin).to_dict()["layer"]) == 3
    shares = layer_probes("t", EVENTS).weights
    assert len(charts.weight_chart(shares.assign(equal=0.1), "#123456").to_dict()["layer"]) == 3
