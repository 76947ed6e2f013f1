"""The coverage page: curves with their own point, classes without neurons, what holds."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.views.coverage import charts, facts
from db.connection.open import open_store
from db.reads import coverage
from tests.support import pages
from tests.support.pages import said, unfold

RATES = (0.005, 0.01, 0.02)
BARS = (0.9, 0.95)
show = partial(pages.show, "coverage")


@pytest.fixture(scope="module")
def bare(synthetic_store: Path) -> Path:
    """A store without curves and halves."""
    return synthetic_store


@pytest.fixture(scope="module")
def store(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with curves, halves and settings that lie on the curves."""
    path = tmp_path_factory.mktemp("coverage") / "atlas.db"
    path.write_bytes(bare.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        settings = json.dumps({"entropy_rate": 0.01, "probability_bar": 0.95})
        connection.execute("UPDATE selection SET settings_json = ? WHERE preset <> 'calibrated'", (settings,))
        for (model_task,) in connection.execute("SELECT id FROM model_task").fetchall():
            rows = [
                (model_task, preset, rate, bar, 1, 20 * rate, 5, 0.01, 0.0, 0.02, 1.0, 0.0, 2.0, 50)
                for preset in ("aape", "lape")
                for rate in RATES
                for bar in BARS
            ]
            connection.executemany(f"INSERT INTO selection_curve VALUES ({', '.join('?' * 14)})", rows)
            halves = [(model_task, preset, 5, 0, 40.0, 0.5, 0.4, 0.6, 0.01) for preset in ("aape", "calibrated")]
            connection.executemany(
                "INSERT INTO stability (model_task_id, preset, n_halves, whole_groups, n_pairs_mean, jaccard_mean, "
                f"jaccard_low, jaccard_high, jaccard_expected) VALUES ({', '.join('?' * 9)})", halves,
            )  # fmt: skip
        connection.commit()
    return path


def test_a_selection_of_none_is_explained_and_told_where_it_begins() -> None:
    settings = json.dumps({"entropy_rate": 0.01, "probability_bar": 0.95})
    here = pd.DataFrame({"model": ["none", "some"], "n_class_specific": [0, 4], "settings_json": settings})
    points = [
        ("none", 0.01, 0.95, 0), ("none", 0.02, 0.95, 0), ("none", 0.05, 0.95, 3), ("none", 0.01, 0.9, 2),
        ("none", 0.01, 0.5, 9), ("some", 0.01, 0.95, 4),
    ]  # fmt: skip
    curves = pd.DataFrame(points, columns=["model", "entropy_rate", "probability_bar", "n_class_specific"])
    (line,) = facts.begins(facts.mark_own(curves, here), here)
    assert "**none** has 0" in line
    assert "the 1 % of lowest entropy" in line and "95th percentile" in line
    assert "begins to select at 5 % of the neurons or at the 90th percentile" in line
    (line,) = facts.begins(facts.mark_own(curves[curves["n_class_specific"] == 0], here), here)
    assert "begins" not in line and line.endswith("at another setting of the curves.")
    assert "curves" not in facts.begins(facts.mark_own(curves.iloc[:0], here), here)[0]


def test_curves_are_drawn_for_a_quota_and_their_lack_explained_for_evidence(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(store, monkeypatch, preset="aape", task="rooms-event")
    assert not app.exception
    assert not app.warning
    assert len(app.get("vega_lite_chart")) == 4
    assert "of the selected pairs are replicated, of all pairs" in said(app), "what is folded is told"
    assert len(unfold(app, "replicated").get("vega_lite_chart")) == 6
    assert "aape is a quota" in said(app)
    app = show(store, monkeypatch, preset="calibrated", task="rooms-event")
    assert len(app.get("vega_lite_chart")) == 2
    assert "No curve for `calibrated`" in said(app)
    assert "is a quota" not in said(app)


def test_the_address_restores_the_measure(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, preset="aape", task="rooms-event", measure="n_class_specific")
    assert not app.exception
    assert not app.warning
    titles = [
        layer["encoding"].get("y", {}).get("title")
        for chart in app.get("vega_lite_chart")
        for layer in json.loads(chart.proto.spec)["layer"]
    ]
    assert titles.count("Class-specific neurons") == 2


def test_a_store_without_curves_or_halves_says_so(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(bare, monkeypatch, preset="lape", task="rooms-event")
    assert not app.exception
    assert "No curves were stored" in said(app)
    unfold(app, "replicated")
    assert "No halves were compared" in said(app)


def test_a_store_without_shuffles_says_so(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "atlas.db"
    path.write_bytes(bare.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE selection SET null_coverage_mean = NULL, null_coverage_low = NULL, n_shuffles = 0")
        connection.commit()
    app = show(path, monkeypatch, task="rooms-event")
    assert not app.exception
    assert "--shuffles 200" in said(app)
    assert "that says little" in said(app)


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(empty_store, monkeypatch)
    assert not app.exception
    assert app.code[0].value.startswith("python run_analysis.py")


def test_classes_without_neurons_are_those_no_pair_names(store: Path) -> None:
    engine = open_store(store, read_only=True)
    for preset in ("aape", "lape", "calibrated"):
        found = coverage.classes_without(engine, "nano-ssl", "rooms-event", preset)
        counts = coverage.class_counts(engine, ["nano-ssl"], "rooms-event", preset)
        assert set(found["class_name"]) == set(counts.loc[counts["n_neurons"] == 0, "class_name"])
        assert (found[f"n_{preset}"] == 0).all()
    assert len(counts) == 8


def test_what_came_closest_is_told_by_hand(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    path.write_bytes(store.read_bytes())
    of = "SELECT selection.id FROM selection JOIN model_task ON model_task.id = model_task_id WHERE model_task.id = 1"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DELETE FROM class_specific_neuron WHERE selection_id IN ({of})")
        selections = dict(connection.execute(f"SELECT preset, id FROM selection WHERE id IN ({of})").fetchall())
        first, second = (
            row[0] for row in connection.execute("SELECT class_id FROM class_total WHERE model_task_id = 1 LIMIT 2")
        )
        for preset, neuron, class_id, q in (
            ("aape", 3, first, 0.2),
            ("lape", 4, first, 0.07),
            ("lape", 5, second, 0.01),
        ):
            connection.execute(
                "INSERT INTO class_specific_neuron (selection_id, neuron_id, class_id, q_value) VALUES (?, ?, ?, ?)",
                (selections[preset], neuron, class_id, q),
            )
        connection.execute(
            "UPDATE neuron_entropy SET top_class_id = ?, q_value = 0.5 WHERE model_task_id = 1", (second,)
        )
        connection.execute(
            "UPDATE neuron_entropy SET top_class_id = ?, q_value = neuron_id * 0.01 "
            "WHERE model_task_id = 1 AND neuron_id IN (7, 9)", (first,),
        )  # fmt: skip
        connection.commit()
        model, task = connection.execute(
            "SELECT model.name, task.name FROM model_task JOIN model ON model.id = model_id "
            "JOIN task ON task.id = task_id WHERE model_task.id = 1"
        ).fetchone()
        names = dict(connection.execute("SELECT id, name FROM task_class").fetchall())
    found = coverage.classes_without(open_store(path, read_only=True), model, task, "calibrated")
    told = found.set_index("class_name")
    row = told.loc[names[first]]
    assert (row["n_aape"], row["n_lape"], row["n_calibrated"]) == (1, 1, 0)
    assert row["q_value"] == pytest.approx(0.07)
    assert row["n_top"] == 2
    assert row["entropy_q_value"] == pytest.approx(0.07)
    assert told.loc[names[second], "q_value"] == pytest.approx(0.01)
    third = told.drop([names[first], names[second]]).iloc[0]
    assert np.isnan(third["q_value"])
    assert third["n_top"] == 0
    of_lape = coverage.classes_without(open_store(path, read_only=True), model, task, "lape")
    assert not {names[first], names[second]} & set(of_lape["class_name"])


def test_class_counts_carry_what_chance_gives_a_class(store: Path) -> None:
    engine = open_store(store, read_only=True)
    counts = coverage.class_counts(engine, ["nano-ssl", "nano-sl"], "rooms-event", "calibrated")
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(
            "SELECT model, null_n_pairs_mean, n_pairs FROM task_coverage WHERE task = 'rooms-event' "
            "AND preset = 'calibrated'"
        ).fetchall()
    for model, null, n_pairs in rows:
        of = counts[counts["model"] == model]
        assert of["n_neurons"].sum() == n_pairs
        assert of["expected_null"].sum() == pytest.approx(null)


def test_curves_and_halves_are_those_of_the_task(store: Path) -> None:
    engine = open_store(store, read_only=True)
    curves = coverage.curves(engine, "rooms-event", "aape")
    assert len(curves) == 2 * len(RATES) * len(BARS)
    assert coverage.curves(engine, "rooms-event", "calibrated").empty
    assert coverage.stability(engine, "lape").empty
    assert coverage.stability(engine, "aape")["jaccard_mean"].dtype == float


@pytest.fixture
def marked() -> pd.DataFrame:
    curves = pd.DataFrame(
        [(model, rate, bar, rate, 0.0, 0.0, 0.1, 50) for model in "ab" for rate in RATES for bar in BARS],
        columns=["model", "entropy_rate", "probability_bar", "coverage", "null_coverage_mean", "null_coverage_low",
                 "null_coverage_high", "n_shuffles"],
    )  # fmt: skip
    settings = [json.dumps({"entropy_rate": rate, "probability_bar": 0.95}) for rate in (0.01, 0.02)]
    return facts.mark_own(curves, pd.DataFrame({"model": ["a", "b"], "settings_json": settings}))


def test_each_model_has_its_own_point(marked: pd.DataFrame) -> None:
    own = marked[marked["own"]]
    assert list(zip(own["model"], own["entropy_rate"], own["probability_bar"], strict=True)) == [
        ("a", 0.01, 0.95), ("b", 0.02, 0.95)
    ]  # fmt: skip


def test_a_curve_leaves_the_other_setting_at_its_own_point(marked: pd.DataFrame) -> None:
    over_bar = facts.along(marked, "probability_bar")
    assert over_bar.groupby("model")["entropy_rate"].unique().map(list).to_dict() == {"a": [0.01], "b": [0.02]}
    over_rate = facts.along(marked, "entropy_rate")
    assert set(over_rate["probability_bar"]) == {0.95}
    assert len(over_rate) == 2 * len(RATES)
    unknown = facts.along(marked.assign(own=False), "probability_bar")
    assert set(unknown["entropy_rate"]) == {0.01}


def test_a_curve_is_drawn_over_its_null_with_the_own_point_ringed(marked: pd.DataFrame) -> None:
    spec = charts.curve_chart(facts.along(marked, "entropy_rate"), "entropy_rate", "coverage").to_dict()
    band, mean, line, own = spec["layer"]
    assert band["encoding"]["y"]["field"] == "null_coverage_low"
    assert band["encoding"]["y2"]["field"] == "null_coverage_high"
    assert mean["encoding"]["y"]["field"] == "null_coverage_mean"
    assert line["encoding"]["y"]["scale"]["domain"] == [0, 1]
    assert own["transform"] == [{"filter": "datum.own"}]


def test_few_pairs_are_greyed() -> None:
    frame = pd.DataFrame({"model": ["a"], "task": ["t"], "jaccard_mean": 0.5, "jaccard_low": 0.4, "jaccard_high": 0.6,
                          "jaccard_expected": 0.01, "n_pairs_mean": 3.0, "n_halves": 5})  # fmt: skip
    found = charts.stability_chart(frame).to_dict()["layer"][2]
    assert found["encoding"]["color"]["condition"]["test"] == "datum['n_pairs_mean'] < 10"


def test_a_task_in_words_has_null_and_replication_beside_it() -> None:
    row = {
        "model": "a*b", "n_classes": 20, "n_classes_covered": 1, "n_class_specific": 1, "null_coverage_mean": 0.1,
        "null_coverage_low": 0.05, "null_coverage_high": 0.2, "null_n_class_specific_mean": 2.5, "n_shuffles": 200,
        "shuffled": "clips", "replicated_share": 1.0, "replicated_share_all_pairs": 0.12,
    }  # fmt: skip
    (told,) = facts.sentences(pd.DataFrame([row]))
    assert told == (
        "**a\\*b** covers **1 of 20** classes with 1 neuron; with shuffled labels 1 to 4 classes and 2.5 neurons (mean "
        "of 200 shuffles of clips). On test clips 100% of its pairs are replicated, of all pairs 12%."
    )
    (bare,) = facts.sentences(pd.DataFrame([{**row, "null_coverage_mean": np.nan, "replicated_share": np.nan}]))
    assert bare.endswith("that says little.")


def test_small_classes_and_other_selectors_are_named() -> None:
    classes = pd.DataFrame(
        {"class_name": ["bee", "dog"], "n_clips": [6, 40], "n_aape": [0, 0], "n_lape": [2, 0], "n_calibrated": [0, 0],
         "q_value": [0.1, np.nan], "n_top": [5, 0], "entropy_q_value": [0.01, np.nan]}
    )  # fmt: skip
    table = facts.class_table(classes, "calibrated")
    assert table["small"].tolist() == ["yes", "no"]
    assert table["others"].tolist() == ["lape 2", "none"]
