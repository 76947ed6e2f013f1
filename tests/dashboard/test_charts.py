"""Charts, heatmaps and plain-language facts: pure functions of small hand-made frames."""

from __future__ import annotations

from itertools import pairwise

import altair as alt
import numpy as np
import pandas as pd
import pytest

from dashboard.shared import theme
from dashboard.shared.charts import ablation, by_task, common
from dashboard.shared.text import facts
from dashboard.views.compare import charts as compare_charts
from dashboard.views.compare import partner_charts
from dashboard.views.heatmap import charts as heatmaps
from dashboard.views.neuron import charts as neuron
from tests.support.drawn_charts import rows_of

alt.utils.schemapi.enable_debug_mode()


@pytest.fixture
def coverage() -> pd.DataFrame:
    rows = [
        ("large", "pitch", 4, 3, 0.75, 12, 0.1, 0.0, 0.25, 1.5, 200),
        ("large", "event", 2, 2, 1.0, 7, np.nan, np.nan, np.nan, np.nan, 0),
        ("base", "pitch", 4, 1, 0.25, 2, 0.1, 0.0, 0.25, 2.5, 200),
    ]
    columns = [
        "model", "task", "n_classes", "n_classes_covered", "coverage", "n_class_specific",
        "null_coverage_mean", "null_coverage_low", "null_coverage_high",
        "null_n_class_specific_mean", "n_shuffles",
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    mean = frame["null_n_class_specific_mean"]
    return frame.assign(
        replicated_share=0.5, n_pairs=9, null_n_class_specific_low=mean - 1, null_n_class_specific_high=mean + 1
    )


@pytest.fixture
def effects() -> pd.DataFrame:
    base = {
        "model": "base", "task": "pitch", "selection": "top 1%", "target": "60",
        "affected_class": "60", "operation": "scale", "gain": 0.0, "n_neurons": 40, "delta": -0.2, "ci_low": -0.3,
        "ci_high": -0.1, "q_value": 0.01, "control_delta_mean": 0.0, "control_delta_low": -0.02,
        "control_delta_high": 0.02, "n_controls": 20,
    }  # fmt: skip
    changes: list[dict[str, object]] = [
        {},
        {"delta": -0.5, "ci_low": -0.9, "ci_high": 0.1, "affected_class": None},
        {"delta": -0.6, "q_value": np.nan},
        {"delta": -0.7, "control_delta_low": -0.8},
        {"model": "large", "q_value": 0.5, "delta": -0.01},
    ]
    return pd.DataFrame([{**base, **change} for change in changes])


def test_classes_that_are_numbers_come_in_numeric_order() -> None:
    assert common.class_order(["100", "9", "60", "9"]) == ["9", "60", "100"]
    assert common.class_order(["wind", "10", "bell"]) == ["wind", "10", "bell"]


def test_cluster_order_puts_rows_of_one_shape_side_by_side() -> None:
    low, high = [1.0, 0.0, 0.0], [0.0, 0.0, 0.5]
    order = heatmaps.cluster_order(np.array([low, high, low, high, low]))
    kinds = [int(row) % 2 for row in order]
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert sum(a != b for a, b in pairwise(kinds)) == 1


def test_cluster_order_bears_silent_and_few_rows() -> None:
    assert sorted(heatmaps.cluster_order(np.zeros((4, 3)))) == [0, 1, 2, 3]
    assert list(heatmaps.cluster_order(np.ones((1, 3)))) == [0]
    assert list(heatmaps.cluster_order(np.empty((0, 3)))) == []


def test_coverage_is_never_drawn_without_its_null(coverage: pd.DataFrame) -> None:
    spec = by_task.coverage_chart(coverage).to_dict()
    (rows,) = rows_of(spec)
    assert {(row["model"], row["task"]) for row in rows} == {("large", "pitch"), ("base", "pitch")}


def test_what_no_row_has_is_not_drawn(coverage: pd.DataFrame) -> None:
    unknown = coverage.assign(**{f"null_n_class_specific_{of}": np.nan for of in ("mean", "low", "high")})
    assert len(by_task.count_chart(unknown).to_dict()["layer"]) == 1
    known = unknown.assign(null_n_class_specific_mean=1.0)
    assert len(by_task.count_chart(known).to_dict()["layer"]) == 2
    assert len(by_task.count_chart(known.assign(null_n_class_specific_low=0.0)).to_dict()["layer"]) == 3


def test_models_keep_their_colour_from_chart_to_chart(coverage: pd.DataFrame) -> None:
    by_layer = pd.DataFrame({"model": ["large", "base"], "layer": 0, "share": 0.5})
    nulls = pd.DataFrame({"model": ["base"], "share": [0.1]})
    probe = coverage.assign(accuracy=0.5, chance=0.1, n_clips=9, metric="accuracy")
    for chart in (
        by_task.coverage_chart(coverage),
        by_task.count_chart(coverage),
        by_task.probe_chart(probe),
        by_task.layer_chart(by_layer, nulls),
    ):
        scales = [
            layer["encoding"]["color"]["scale"]
            for layer in chart.to_dict()["layer"]
            if "scale" in layer["encoding"].get("color", {})
        ]
        assert scales
        assert all(scale["domain"][:2] == ["base", "large"] for scale in scales)


def test_a_models_colour_hangs_on_its_name_not_on_the_others() -> None:
    alone = {name: theme.model_colours([name])[name] for name in ("nano-ssl", "nano-sl", "m2d")}
    assert alone["nano-ssl"] != alone["nano-sl"]
    for others in (["a"], ["zz", "nano-sl-untrained"], ["whisper", "ast", "a"]):
        together = theme.model_colours(["nano-sl", *others, "nano-ssl"])
        assert {name: together[name] for name in ("nano-ssl", "nano-sl")} == {
            name: alone[name] for name in ("nano-ssl", "nano-sl")
        }
        assert len(set(together.values())) == len(together)
    assert len(theme.model_colours([f"model {i}" for i in range(30)])) == 30
    assert theme.model_colours(["half a \ud800 character"])


@pytest.mark.parametrize("n", [3, 40])
def test_names_of_classes_are_left_out_only_where_small_ones_have_no_room(n: int) -> None:
    axis = common.class_axis([f"class {i}" for i in range(n)]).to_dict()
    assert axis["labelOverlap"] == {"expr": f"(width / {n}) < 8 ? 'parity' : false"}
    assert axis["labelFontSize"]["expr"].startswith("max(8, min(12, ")


def test_no_diverging_scale_goes_through_pink() -> None:
    pairs = pd.DataFrame({"class_a": ["x"], "class_b": ["y"], "ratio": [1.0], "n_shared": [3], "expected": [1.0],
                          "q_value": [0.01], "significant": [True]})  # fmt: skip
    spec = compare_charts.sharing_matrix(pairs, ["x", "y"]).to_dict()
    # Between the blue and the orange of the theme Vega's own way, by hue, is pink.
    assert spec["layer"][0]["encoding"]["color"]["scale"]["interpolate"] == "rgb"


@pytest.mark.parametrize(
    ("metrics", "title"),
    [
        (["accuracy"] * 3, "Accuracy on test clips"),
        (["average precision"] * 3, "Mean average precision on test clips"),
        (
            ["accuracy", "average precision", "accuracy"],
            "Accuracy (circle) or Mean average precision (diamond) on test clips",
        ),
    ],
)
def test_probes_are_told_by_what_was_measured(coverage: pd.DataFrame, metrics: list[str], title: str) -> None:
    spec = by_task.probe_chart(coverage.assign(accuracy=0.5, chance=0.1, n_clips=9, metric=metrics)).to_dict()
    stem, _, found = spec["layer"]
    assert stem["encoding"]["x"]["title"] == found["encoding"]["x"]["title"] == title
    (rows,) = rows_of(spec)
    assert [row["measure"] for row in rows] == [by_task.MEASURES[metric] for metric in metrics]
    assert found["encoding"]["shape"]["scale"]["domain"] == list(dict.fromkeys(row["measure"] for row in rows))


def test_heatmaps_start_at_zero_and_keep_class_order() -> None:
    counts = pd.DataFrame({"layer": [0, 0, 1, 1], "class_name": ["10", "9"] * 2, "n_neurons": [3, 0, 1, 0]})
    rect = heatmaps.count_heatmap(counts, (1, "10")).to_dict()["layer"][0]
    assert rect["encoding"]["color"]["scale"]["domain"] == [0, 3]
    assert rect["encoding"]["x"]["sort"] == ["9", "10"]

    probabilities = pd.DataFrame(
        {"neuron": [7, 7, 5, 5], "class_name": ["10", "9"] * 2, "activation_probability": 0.25}
    )
    rect = heatmaps.probability_heatmap(probabilities, [7, 5], "9", dark=True).to_dict()["layer"][0]
    assert rect["encoding"]["color"]["scale"]["domain"] == [0, 0.25]
    assert rect["encoding"]["y"]["sort"] == [7, 5]


def test_an_empty_count_heatmap_still_has_a_scale() -> None:
    counts = pd.DataFrame({"layer": [0], "class_name": ["a"], "n_neurons": [0]})
    rect = heatmaps.count_heatmap(counts).to_dict()["layer"][0]
    assert rect["encoding"]["color"]["scale"]["domain"] == [0, 1]


def test_class_bars_draw_the_mean_of_the_classes() -> None:
    frame = pd.DataFrame(
        {
            "class_name": ["10", "9"], "activation_probability": [0.1, 0.3], "positive_count": 1,
            "token_count": 10, "n_clips": 2, "selected": [False, True], "lift": [0.3, 3.0],
            "q_value": [np.nan, 0.01], "replicated": ["not tested", "yes"],
        }
    )  # fmt: skip
    spec = neuron.class_bars(frame)
    rows = spec["datasets"]["bars"]
    assert rows["class_name"].tolist() == ["9", "10"]
    assert rows["status"].tolist() == ["class-specific", "other"]
    assert {layer["data"]["name"] for layer in spec["layer"]} == {"bars"}
    bars, _, rule = spec["layer"]
    assert bars["encoding"]["y"]["field"] == "activation_probability"
    assert rule["encoding"]["y"]["aggregate"] == "mean"


def test_believable_needs_q_interval_and_controls(effects: pd.DataFrame) -> None:
    assert list(facts.believable(effects)) == [True, False, False, False, False]


def test_an_ablation_is_told_with_interval_and_controls(effects: pd.DataFrame) -> None:
    sentence = facts.ablation_sentence(effects.iloc[0].to_dict())
    assert "−20.0 points" in sentence
    assert "−30.0 to −10.0" in sentence
    assert "20 random sets" in sentence
    assert "**−20.0 points**" in sentence
    assert "not computed" in facts.ablation_sentence(effects.iloc[2].to_dict())
    assert "**" not in facts.ablation_sentence(effects.iloc[2].to_dict()), "bold is what stands"
    assert "all classes" in facts.ablation_label(effects.iloc[1].to_dict())


def test_ablation_chart_draws_points_of_percent(effects: pd.DataFrame) -> None:
    rows = effects.iloc[[0, 2]].assign(label=["one", "two"])
    spec = ablation.ablation_chart(rows.assign(believable=facts.believable(rows))).to_dict()
    drawn = {row["kind"]: row["delta"] for rows in rows_of(spec) for row in rows if "delta" in row}
    assert drawn == {ablation.STANDS: pytest.approx(-20), ablation.STANDS_NOT: pytest.approx(-60)}


def test_what_was_not_measured_is_listed(coverage: pd.DataFrame, effects: pd.DataFrame) -> None:
    probe = pd.DataFrame({"model": ["base"], "task": ["pitch"]})
    missing = facts.not_measured(coverage, probe, effects)
    by_place = missing.groupby(["model", "task"])["missing"].apply(set).to_dict()
    assert by_place == {
        ("large", "pitch"): {"probe"},
        ("large", "event"): {"probe", "ablation", "shuffled-label null"},
    }


def test_shares_average_over_tasks(coverage: pd.DataFrame) -> None:
    by_layer = pd.DataFrame({"model": "base", "task": ["a", "b"], "layer": 0, "width": 10, "n_class_specific": [1, 3]})
    assert facts.shares_by_layer(by_layer)["share"].tolist() == pytest.approx([0.2])
    nulls = facts.null_shares(coverage, {"large": 100, "base": 100}).set_index("model")["share"]
    assert nulls.to_dict() == pytest.approx({"large": 0.015, "base": 0.025})


def test_a_run_in_a_line() -> None:
    run = {
        "run_id": 3, "model": "base", "status": "done", "started_at": "2026-01-02 03:04:05", "device": "cpu",
        "seconds_extract": 28.4, "seconds_score": 150.0, "seconds_ablate": None, "seed": 0, "code_version": "0.1.0",
    }  # fmt: skip
    assert facts.run_sentence(run) == (
        "**base**: done 2026-01-02 03:04 on cpu; recording 28 s, scoring 2 min; run 3, seed 0, version 0\\.1\\.0"
    )


def test_beyond_chance_names_the_tasks_where_nothing_was_found() -> None:
    rows = [("a", "t1", 5, 1.0, 4.0), ("a", "t2", 4, 1.0, 4.0), ("b", "t1", 0, 0.0, 0.0), ("b", "t2", 1, 2.0, None)]
    columns = ["model", "task", "n_class_specific", "null_n_class_specific_mean", "null_n_class_specific_high"]
    coverage = pd.DataFrame(rows, columns=columns)
    assert facts.beyond_chance(coverage) == [
        "**a**: above the permutation null in 1 of 2 tasks; not in t2.",
        "**b**: nothing beyond chance in any of 2 tasks.",
    ]
    assert facts.beyond_chance(coverage[:1]) == ["**a**: above the permutation null in its one task."]
    assert facts.beyond_chance(coverage.assign(null_n_class_specific_mean=None)) == []


@pytest.mark.parametrize(
    ("operation", "gain", "expected"),
    [
        ("scale", 0.0, "silenced"),
        ("scale", 2.0, "scaled by 2"),
        ("mean", None, "set to their mean"),
        ("keep", None, "kept alone in their layers"),
    ],
)
def test_what_is_done_to_neurons_in_words(operation: str, gain: float | None, expected: str) -> None:
    assert facts.action({"operation": operation, "gain": gain}) == expected


def test_shares_with_a_partner_are_drawn_with_their_interval_and_what_they_are_read_against() -> None:
    layers = pd.DataFrame(
        {"beside": ["b", "dealt clips"], "layer": [0, 0], "n_matched": [9, np.nan], "n_partners": [3, np.nan],
         "share": [1 / 3, 0.01], "low": [0.1, np.nan], "high": [0.6, np.nan]}
    )  # fmt: skip
    null, interval, points = partner_charts.layer_chart(layers, {"b": "#123456"}).to_dict()["layer"]
    assert null["transform"][0]["filter"] == "datum.beside == 'dealt clips'"
    assert {"y", "y2"} <= set(interval["encoding"]) and points["encoding"]["y"]["field"] == "share"
    classes = pd.DataFrame(
        {"class_name": ["a", "b"], "n_units": 9, "n_partners": 3, "n_beyond": 1, "share": 0.3, "low": 0.1, "high": 0.6,
         "base": 0.05, "clear": [True, False]}
    )  # fmt: skip
    of_all, *_ = partner_charts.class_shares(classes, ["a", "b"]).to_dict()["layer"]
    assert of_all["encoding"]["y"]["field"] == "base" and of_all["mark"]["strokeDash"] == [4, 4]
    cells = pd.DataFrame({"layer": [0, 1], "partner_layer": [0, 0], "n_partners": [3, 1], "expected": [2.0, 2.0]})
    (grid,) = partner_charts.layer_grid(cells, "a", "b").to_dict()["layer"]
    assert grid["encoding"]["y"]["sort"] == "descending"
    assert any(one["field"] == "expected" for one in grid["encoding"]["tooltip"])
