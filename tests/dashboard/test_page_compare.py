"""The compare page: two models side by side, the likeness of their sharing, two runs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.views.compare import charts, facts, partner_facts
from db.connection.open import open_store
from db.reads import coverage
from db.reads.frames import with_intervals
from tests.support import pages
from tests.support.drawn_charts import rows_of
from tests.support.pages import said, unfold

show = partial(pages.show, "compare")


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, with tuned neurons and specificity."""
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("compare") / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        tasks = dict(connection.execute("SELECT name, id FROM task").fetchall())
        connection.executemany(
            "INSERT INTO specificity (model_id, task_id, selection, operation, gain, n_classes, n_neurons, "
            "self_effect, cross_effect, specificity, ci_low, ci_high) "
            "VALUES (?, ?, 'top 1%', 'scale', ?, 8, 4, -0.1, 0, 0.1, ?, 0.2)",
            [(1, tasks["rooms-event"], 0.0, 0.05), (2, tasks["rooms-event"], 0.0, -0.05),
             (2, tasks["rooms-event"], 2.0, 0.05)],
        )  # fmt: skip
        of = "SELECT model_task.id FROM model_task WHERE model_id = ? AND task_id = ?"
        for model in (1, 2):
            (model_task,) = connection.execute(of, (model, tasks["notes-pitch"])).fetchone()
            connection.executemany(
                "INSERT INTO pitch_tuning (model_task_id, neuron_id, peak_rate, floor_rate, preferred_pitch, "
                "octave_equivalence_index, oei_low, oei_high) VALUES (?, ?, 0.5, 0.1, 60, 0.1, ?, 0.9)",
                [(model_task, 1, 0.01 * model), (model_task, 2, -0.2), (model_task, 3, None)],
            )
        connection.execute("UPDATE run SET config_json = ? WHERE id = 2", (json.dumps({"seed": 1, "shuffles": 200}),))
        connection.execute("UPDATE run SET notes_json = '[\"rooms-event: 5 controls\"]' WHERE id = 1")
        connection.commit()
    return path


def test_two_models_stand_side_by_side(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, task="rooms-event")
    assert not app.exception
    assert not app.warning
    chosen = {box.label: box.value for box in app.selectbox}
    assert (chosen["Model"], chosen["Second model"]) == ("nano-ssl", "nano-sl")
    assert len(app.get("vega_lite_chart")) == 3
    assert "In 1 of 2 ablations the interval excludes 0." in said(app), "what is folded is told"
    unfold(app, "shared", "depth", "probe", "ablation")
    assert len(app.get("vega_lite_chart")) == 8
    text = said(app)
    assert "Correlation of the two matrices" in text
    assert "1 of 2" in text  # of two ablations, one is clear
    assert "2 pitch neurons" not in text
    assert "3 pitch neurons, 1 of which answer" in text


def test_the_address_restores_the_page(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = "the task in the sidebar"
    app = show(store, monkeypatch, model="nano-sl", other="nano-ssl", preset="aape", task="notes-pitch", over=over)
    assert not app.exception
    assert not app.warning
    assert app.selectbox(key="select_other").value == "nano-ssl"
    assert app.selectbox(key="select_over").value == over
    assert app.button(key="fold_probe").label == "Show", "only what is asked for is open"
    depth = next(json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart") if '"depth"' in chart.proto.spec)
    assert depth["layer"][0]["encoding"]["x"]["field"] == "depth"


def test_the_untrained_twin_is_offered(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "atlas.db"
    path.write_bytes(store.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO model (name, weights_key, n_layers, n_neurons, first_neuron_id, sample_rate, n_parameters, "
            "description, licence) SELECT 'nano-ssl-untrained', 'none', n_layers, n_neurons, 900000, sample_rate, "
            "n_parameters, 'untrained', licence FROM model WHERE id = 1"
        )
        connection.commit()
    app = show(path, monkeypatch, model="nano-ssl", task="rooms-event")
    assert not app.exception
    assert app.selectbox(key="select_other").value == "nano-sl"
    links = [link.proto.label for link in app.get("page_link")]
    assert "Beside its untrained twin, nano\\-ssl\\-untrained" in links
    app = show(path, monkeypatch, model="nano-ssl", other="nano-ssl-untrained", task="rooms-event")
    assert "no task in common" in said(app)


def test_an_unknown_other_model_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, other="nano-ssl")
    assert not app.exception
    assert len(app.warning) == 1  # the model itself is no other


def test_runs_differ_in_settings_and_notes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, first_run="1", second_run="2")
    assert not app.exception
    tables = [frame.value for frame in app.dataframe]
    settings = next(table for table in tables if "setting" in table)
    assert dict(zip(settings["setting"], settings["second"], strict=True)) == {"preset": "not known", "seed": "1"}
    notes = next(table for table in tables if "note" in table)
    assert notes["said_by"].tolist() == ["run 1"]


def test_one_model_alone_is_told_what_to_do(one_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(one_model_store, monkeypatch)
    assert not app.exception
    assert "one model" in said(app)
    assert app.code[0].value.endswith("--model nano-ssl --untrained")


def test_a_task_that_the_other_lacks_is_told(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "atlas.db"
    path.write_bytes(store.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(
            "DELETE FROM model_task WHERE model_id = 2 AND task_id <> (SELECT MAX(task_id) FROM model_task)"
        )
        for table in ("ablation", "probe", "specificity", "pitch_tuning"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
    app = show(path, monkeypatch, task="notes-pitch", other="nano-sl")
    assert not app.exception
    assert "was not scored on this task" in said(app)
    assert "No task has a probe of both." in said(app)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM model_task WHERE model_id = 2")
        connection.commit()
    app = show(path, monkeypatch, task="notes-pitch", other="nano-sl")
    assert not app.exception
    assert "no task in common" in said(app)


def test_classes_stand_by_name_or_by_value(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    for order in ("name", "value"):
        app = show(store, monkeypatch, task="rooms-event", sort=order)
        spec = next(json.loads(c.proto.spec) for c in app.get("vega_lite_chart") if '"xOffset"' in c.proto.spec)
        drawn[order] = spec["layer"][0]["encoding"]["x"]["sort"]
    counts = coverage.class_counts(
        open_store(store, read_only=True), ("nano-ssl", "nano-sl"), "rooms-event", "calibrated"
    )
    of = counts.groupby("class_name")["n_neurons"].sum()
    assert drawn["name"] != drawn["value"] and set(drawn["name"]) == set(drawn["value"])
    assert of[drawn["value"]].is_monotonic_decreasing


def test_queries_keep_to_the_models_asked_for(store: Path) -> None:
    engine = open_store(store, read_only=True)
    assert set(coverage.specificity(engine, ["nano-sl"])["gain"]) == {0.0, 2.0}
    pitch = coverage.pitch_counts(engine, ["nano-ssl", "nano-sl"])
    assert pitch[["n_tuned", "n_with_index", "n_octave"]].to_numpy().tolist() == [[3, 2, 1], [3, 2, 1]]
    assert coverage.pitch_counts(engine, ["nano-sl-untrained"]).empty


def test_the_other_is_a_trained_model_where_there_is_one() -> None:
    assert facts.natural_other(["a-untrained", "b"]) == "b"
    assert facts.natural_other(["a-untrained"]) == "a-untrained"
    assert facts.twin("a", ["b", "a-untrained"]) == "a-untrained"
    assert facts.twin("nano-sl", ["nano-untrained", "nano-ssl"]) == "nano-untrained"
    assert facts.twin("a", ["b"]) is None
    assert facts.twin("a-untrained", ["a"]) is None


def coverage_rows(*rows: tuple[str, str, float, int, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["model", "task", "coverage", "n_class_specific", "null_n_class_specific_mean"])
    return frame.assign(null_coverage_mean=0.1, null_n_class_specific_high=frame["null_n_class_specific_mean"])


def test_numbers_make_the_sentence() -> None:
    rows = coverage_rows(
        ("a", "t", 0.5, 10, 1.0), ("b", "t", 1.0, 40, 1.0), ("a", "u", 0.5, 20, 1.0), ("b", "u", 0.25, 20, 1.0),
        ("a", "noise", 0.0, 1, 5.0), ("b", "noise", 0.0, 2, 5.0),
    )  # fmt: skip
    first, second = facts.coverage_sentences(rows, "a", "b")
    assert "**a** 33% (shuffled labels 10%), **b** 42%" in first
    assert "b covers more classes in 1, fewer in 1, as many in 1." in first
    assert "(2 tasks), b has 2.0 times as many class-specific neurons (60 against 30" in second
    assert "1 to 4 times" in second
    turned = facts.coverage_sentences(rows, "b", "a")[1]
    assert "b has 2.0 times" in turned
    nothing = facts.coverage_sentences(rows.assign(n_class_specific=0), "a", "b")
    assert "nothing to compare" in nothing[1]


def test_pairs_are_the_tasks_of_both() -> None:
    rows = coverage_rows(
        ("a", "t", 0.5, 1, 0.0), ("b", "t", 0.5, 1, 0.0), ("a", "u", 0.5, 1, 0.0), ("c", "u", 0, 1, 0.0)
    )
    assert facts.paired(rows, "a", "b")["task"].tolist() == ["t", "t"]


def test_depth_goes_from_0_to_1_whatever_the_layers() -> None:
    by_layer = pd.DataFrame({"model": ["a"] * 3 + ["b"] * 2 + ["c"], "layer": [0, 1, 2, 0, 1, 0]})
    assert facts.depth(by_layer)["depth"].tolist() == [0, 0.5, 1, 0, 1, 0]


def test_differences_of_heads_follow_newcombe() -> None:
    probe = pd.DataFrame(
        {"model": ["a", "b", "a", "b"], "task": ["t", "t", "u", "u"], "accuracy": [48 / 80, 56 / 70, 0.5, 0.6],
         "n_clips": [80, 70, 10, 10], "chance": 0.1, "metric": ["accuracy"] * 2 + ["average precision"] * 2}
    )  # fmt: skip
    found = facts.probe_differences(with_intervals(probe), "a", "b").set_index("task")
    # Newcombe (1998), method 10, example (a): 56/70 - 48/80 = 0.2 [0.0524, 0.3339]
    assert found.loc["t", ["difference", "low", "high"]].tolist() == pytest.approx([0.2, 0.0524, 0.3339], abs=1e-4)
    assert found.loc["u", ["low", "high"]].isna().all()
    sentence = facts.probe_sentence(found.reset_index(), "a", "b")
    assert "b is better in 1 and a in 0 of 1 task" in sentence
    assert "+20.0 points [+5.2, +33.4]" in sentence


def test_the_matrix_is_symmetric_and_leaves_out_what_tells_nothing() -> None:
    shared = pd.DataFrame(
        [("x", "y", 5, 5, 7, 1.375, 0), ("x", "z", 5, 0, 0, 0.0, 0), ("y", "w", 5, 5, 5, 1.0, 1)],
        columns=["class_a", "class_b", "n_a", "n_b", "n_shared", "expected", "nested"],
    )
    found = facts.matrix(shared, ["x", "y", "z", "w"])
    assert found[0, 1] == found[1, 0] == pytest.approx(2.0)
    assert np.isnan(found).sum() == 14
    both = facts.both_halves(shared.assign(q_value=[0.01, 1.0, 0.5]))
    assert len(both) == 4
    assert both["significant"].tolist() == [True, False, True, False]


def symmetric(n: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(n, n))
    values = values + values.T
    np.fill_diagonal(values, np.nan)
    return values


def test_mantel_finds_likeness_and_only_that() -> None:
    a = symmetric(10, 0)
    same = facts.mantel(a, a)
    assert same is not None
    assert same.r == pytest.approx(1)
    assert same.p == pytest.approx(1 / 1000)
    assert same.low < 0 < same.high < 1
    other = facts.mantel(a, symmetric(10, 1))
    assert other is not None
    assert other.p > 0.05
    assert other.low < other.r < other.high


def test_mantel_is_right_under_the_null() -> None:
    found = [facts.mantel(symmetric(7, 2 * i), symmetric(7, 2 * i + 1), seed=i) for i in range(60)]
    below = sum(result.p < 0.05 for result in found if result is not None)
    assert below <= 8  # 3 expected


def test_mantel_goes_through_all_orders_of_few_classes() -> None:
    a = symmetric(5, 0)
    found = facts.mantel(a, a)
    assert found is not None
    assert found.n_permutations == 119
    assert found.p == pytest.approx(1 / 120)


def test_mantel_says_nothing_where_nothing_can_be_told() -> None:
    assert facts.mantel(symmetric(3, 0), symmetric(3, 1)) is None
    assert facts.mantel(np.zeros((6, 6)), symmetric(6, 0)) is None
    missing = symmetric(6, 0)
    missing[3:] = missing[:, 3:] = np.nan
    assert facts.mantel(missing, symmetric(6, 1)) is None
    assert "cannot be told" in facts.sharing_sentence(missing, missing)


def test_ablations_done_alike_are_set_side_by_side() -> None:
    rows = pd.DataFrame(
        [
            ("a", "t", 0.0, 0.1, 0.2),
            ("b", "t", 0.0, -0.1, 0.2),
            ("b", "t", 2.0, 0.1, 0.2),
            ("b", "u", 0.0, np.nan, np.nan),
        ],
        columns=["model", "task", "gain", "ci_low", "ci_high"],
    ).assign(selection="top 1%", operation="scale")
    found = facts.specificity_rows(rows, "a", "b")
    assert found["label"].unique().tolist() == ["t (top 1%, silenced)"]
    assert found["clear"].tolist() == [True, False]


def test_settings_and_notes_that_differ() -> None:
    found = facts.settings_difference('{"seed": 0, "only_here": [1], "db": "x"}', '{"seed": 1, "db": "x"}')
    assert found.to_numpy().tolist() == [["seed", "0", "1"], ["only here", "[1]", "not known"]]
    assert facts.settings_difference("no json", "{}").empty
    notes = facts.notes_difference('["a", "b"]', '["b", "c"]')
    assert notes.to_numpy().tolist() == [["first", "a"], ["second", "c"]]
    assert facts.notes_difference(None, "[]").empty


def test_two_models_keep_the_colours_they_have_elsewhere() -> None:
    colours = charts.two_colours(["c", "a", "b"], "c", "a")
    assert list(colours) == ["c", "a"]
    assert charts.two_colours(["c", "a"], "c", "a")["a"] == colours["a"]
    rows = coverage_rows(("a", "t", 0.5, 1, 0.0), ("c", "t", 0.5, 1, 0.0))
    spec = charts.coverage_pairs(rows.assign(null_coverage_low=0.0, null_coverage_high=0.2), colours).to_dict()
    null, _, first, second = spec["layer"]
    assert null["encoding"]["x"]["field"] == "null_coverage_low"
    assert first["encoding"]["color"]["scale"]["domain"] == ["c", "a", "shuffled-label null"]
    assert first["mark"]["size"] > second["mark"]["size"]  # so that both show where they are the same


def test_ratios_have_one_middle_and_unclear_specificity_is_grey() -> None:
    cells = pd.DataFrame({"class_a": ["x"], "class_b": ["y"], "ratio": [1.0], "n_shared": 3, "expected": 1.0,
                          "q_value": 0.01, "significant": True})  # fmt: skip
    color = charts.sharing_matrix(cells, ["x", "y"]).to_dict()["layer"][0]["encoding"]["color"]
    assert color["scale"]["domainMid"] == 0
    rows = pd.DataFrame({"label": ["t (l)", "t (m)"], "task": "t", "model": "a", "specificity": 0.1, "ci_low": -0.1,
                         "ci_high": 0.2, "self_effect": -0.1, "cross_effect": 0.0, "n_classes": 3, "n_neurons": 4.0,
                         "clear": False})  # fmt: skip
    spec = charts.specificity_chart(rows, {"a": "#111111", "b": "#222222"}).to_dict()
    point = spec["layer"][2]["encoding"]["fill"]
    assert point["condition"]["test"] == "datum.clear"
    drawn = [row["specificity"] for part in rows_of(spec) for row in part if "specificity" in row]
    assert drawn == pytest.approx([10, 10])
    assert '"t (m)": "(m)"' in spec["layer"][1]["encoding"]["y"]["axis"]["labelExpr"], "the task is named once"


def test_neurons_with_a_partner_are_told_beside_dealt_clips(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, task="rooms-event", other="nano-sl")
    folded = said(app)
    assert (
        "**25.0%** of the 384 neurons of nano\\-ssl have a partner in nano\\-sl (dealt clips 1.0%, up to 2.0%)"
        in folded
    )
    assert "12.5% are alike beyond event, place" in folded
    n_charts = len(app.get("vega_lite_chart"))
    unfold(app, "partners")
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == n_charts + 3
    assert "On held-out clips partners correlate by 0.7" in said(app)
    table = next(frame.value for frame in app.dataframe if "held_out" in frame.value)
    assert len(table) == 96 and table["held_out"].is_monotonic_decreasing
    assert (
        table["link"].iloc[0].startswith("pair?model=nano-ssl&layer=")
        and "other_model=nano-sl" in table["link"].iloc[0]
    )


def test_models_that_were_not_matched_are_told(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM matching")
        connection.commit()
    app = show(path, monkeypatch, task="rooms-event", other="nano-sl")
    assert "were not matched over rooms; a run with both models does it" in said(app)


def test_partners_are_counted_by_layer_and_class() -> None:
    pairs = pd.DataFrame({"layer": [0, 0, 1, 1], "partner_layer": [0, 0, 1, 0], "held_out": 0.5, "within": 0.25})
    widths = pd.Series([10, 30], index=[0, 1])
    cells = partner_facts.grid(pairs, widths, widths).set_index(["layer", "partner_layer"])
    assert cells["n_partners"].to_dict() == {(0, 0): 2, (0, 1): 0, (1, 0): 1, (1, 1): 1}
    assert cells["expected"].tolist() == pytest.approx([0.25, 0.75, 0.75, 2.25])
    told = partner_facts.depth_sentence(cells.reset_index())
    assert told == "Of 4 pairs 75% lie in the same layer (expected 62%), 100% at most one layer apart (expected 100%)."
    assert partner_facts.depth_sentence(partner_facts.grid(pairs, widths, widths.iloc[:1])) == ""
    shares = pd.DataFrame(
        {"class_name": ["a", "b"], "n_units": [40, 10], "n_partners": [20, 0], "n_beyond": 0, "n_matched": 100,
         "n_all": 25, "null_share": 0.01, "share": [0.5, 0.0], "low": [0.35, 0.0], "high": [0.65, 0.28]}
    )  # fmt: skip
    rows = partner_facts.class_rows(shares)
    assert rows["clear"].tolist() == [True, False]
    assert "neurons 40.0% have a partner, of all 25.0%: more often in 1 and less often in 0 of 2" in (
        partner_facts.class_sentence(rows)
    )
    assert "No clips are held out" in partner_facts.how_alike(pairs.assign(held_out=np.nan))


def test_layers_stand_beside_the_untrained_twin_and_dealt_clips() -> None:
    by_layer = pd.DataFrame(
        {"partner_model": ["b", "b", "b-untrained", "c"], "layer": [0, 1, 0, 0], "n_matched": 10, "n_partners": 5,
         "n_beyond": 1, "share": 0.5, "low": 0.2, "high": 0.8}
    )  # fmt: skip
    rows = partner_facts.layer_shares(by_layer, ["b", "b-untrained"], 0.01)
    assert rows["beside"].tolist() == ["b", "b", "b-untrained", "dealt clips", "dealt clips"]
    assert rows["share"].tolist() == [0.5, 0.5, 0.5, 0.01, 0.01]
    row = {"n_matched": 10, "n_partners": 5, "null_share": 0.01, "null_share_high": 0.02, "n_beyond": 1, "n_alike": 9,
           "taken_out": "", "dataset": "d", "partner_model": "b-untrained"}  # fmt: skip
    told = partner_facts.answer(row, "a", "b", row)
    assert "in b\\-untrained **50.0%** have one" in told and "beyond" not in told
