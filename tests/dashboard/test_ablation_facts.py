"""Words and charts of the Ablation page on hand-made rows."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
import pytest

from core.ablation.effects import mcnemar
from dashboard.views.ablation import charts, outcomes
from dashboard.views.ablation import facts as told

alt.utils.schemapi.enable_debug_mode()


def effect(target: str, affected: str | None, delta: float, q: float = 0.01, **more: object) -> dict[str, object]:
    row: dict[str, object] = {
        "task": "rooms-event", "selection": "top 1%", "target": target, "affected_class": affected,
        "operation": "scale", "gain": 0.0, "n_neurons": 4, "n_clips": 10, "accuracy_unablated": 0.8,
        "accuracy_ablated": 0.8 + delta, "delta": delta, "ci_low": delta - 0.1, "ci_high": delta + 0.1, "q_value": q,
        "control_delta_mean": 0.0, "control_delta_low": -0.05, "control_delta_high": 0.05, "n_controls": 20,
    }  # fmt: skip
    return {**row, **more}


def matrix_rows() -> pd.DataFrame:
    rows = [
        effect("a", "a", -0.5), effect("a", "b", -0.02), effect("a", None, -0.3),
        effect("b", "a", -0.7, q=0.2), effect("b", "b", 0.1, q=0.5), effect("b", None, 0.0),
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_smallest_effect_is_the_fewest_clips_that_mcnemar_can_call() -> None:
    for n, limit in ((10, 0.05), (30, 0.05), (30, 0.0001), (7, 0.02)):
        fewest = told.smallest_effect(n, limit)
        assert fewest is not None
        assert mcnemar(fewest, 0) < limit <= mcnemar(fewest - 1, 0)
    assert told.smallest_effect(5) is None
    assert told.smallest_effect(0) is None


def test_what_so_few_clips_can_show_is_told() -> None:
    ten = pd.DataFrame([effect("a", f"c{i}", 0.0) for i in range(100)])
    assert "at least 60 points" in told.power_sentence(ten)
    # p of 10 of 10 is 1/512: over 100 tests 4 such effects are the fewest with 0.05 * 4 / 100 > 1/512.
    assert "only together with 3 more" in told.power_sentence(ten)
    five = told.power_sentence(ten.assign(n_clips=5))
    assert "no effect can reach p < 0.05" in five
    hundred = told.power_sentence(ten.assign(n_clips=100))
    assert "6 points to reach" in hundred and "12 points to be significant alone" in hundred
    mixed = told.power_sentence(pd.DataFrame([effect("a", "a", 0.0), effect("a", "b", 0.0, n_clips=12)]))
    assert "10 to 12 clips" in mixed
    assert told.power_sentence(pd.DataFrame([effect("a", None, 0.0)])) == ""


def test_the_verdict_counts_what_stands_and_tells_the_largest() -> None:
    spoken = told.verdict(matrix_rows())
    assert spoken.startswith(
        "**1 of 4 effects is significant.** Over the test clips of all classes together 1 of 2 is."
    )
    assert "neurons of “a”" in spoken and "−50.0 points" in spoken
    none = told.verdict(matrix_rows().assign(q_value=0.5))
    assert none.startswith("**None of 4 effects is significant.** The largest that was measured:") and "−70.0" in none
    assert "Nothing changed" in told.verdict(matrix_rows().assign(delta=0.0))
    assert told.verdict(matrix_rows().assign(n_controls=0)).startswith("No random controls were run")
    odd = told.verdict(matrix_rows().assign(target="*<b>*"))
    assert "\\*\\<b\\>\\*" in odd


def test_an_effect_that_random_sets_have_too_does_not_stand() -> None:
    shown = told.in_points(matrix_rows().assign(control_delta_low=-0.6))
    assert not shown["stands"].any()
    shown = told.in_points(matrix_rows())
    assert shown.loc[shown["stands"], ["target", "affected"]].to_numpy().tolist() == [["a", "a"], ["a", "all"]]
    assert shown["delta"].tolist() == pytest.approx([-50, -2, -30, -70, 10, 0])


def test_own_classes_are_the_target_or_both_of_a_pair() -> None:
    assert told.is_own("a", "a") and told.is_own("a + b", "b") and told.is_own("c + d", "c + d")
    assert not told.is_own("a", "ab") and not told.is_own("a", None) and not told.is_own("a + b", np.nan)


def test_the_target_to_begin_with_is_the_strongest_that_stands() -> None:
    rows = matrix_rows()
    assert outcomes.strongest_target(outcomes.shown(rows, "accuracy")) == "a"
    whole = rows[rows["affected_class"].isna()].assign(q_value=1.0)
    assert outcomes.strongest_target(outcomes.shown(whole, "accuracy")) == "a"
    pairs = rows.replace({"target": {"a": "a + b", "b": "c + d"}})
    assert outcomes.strongest_target(outcomes.shown(pairs, "accuracy")) == "a + b"


def test_operations_have_names_and_an_order() -> None:
    assert told.operation_key("scale", 0.5) == "0.5" and told.operation_key("keep", float("nan")) == "keep"
    assert told.operation_order(["keep", "2", "mean", "0", "10"]) == ["0", "2", "10", "mean", "keep"]
    labels = [told.operation_label(key) for key in ("0", "0.5", "2", "-1", "mean")]
    assert labels == ["Silenced (× 0)", "Weakened (× 0.5)", "Strengthened (× 2)", "Strengthened (× -1)",
                      "Set to their mean"]  # fmt: skip


def test_rows_beside_controls_are_own_classes_or_one_targets() -> None:
    rows = outcomes.shown(matrix_rows(), "accuracy")
    own = outcomes.in_strip(rows, None)
    assert own[["label", "affected"]].to_numpy().tolist() == [["a", "a"], ["b", "b"]]
    assert outcomes.in_strip(rows, "b")["label"].tolist() == ["a", "b", "all"]
    lists = outcomes.shown(matrix_rows().replace({"target": {"a": "x", "b": "y"}}), "accuracy")
    assert outcomes.in_strip(lists, None)[["label", "affected"]].to_numpy().tolist() == [["x", "all"], ["y", "all"]]
    pair = outcomes.shown(matrix_rows().replace({"target": {"a": "a + b"}}), "accuracy")
    assert outcomes.in_strip(pair, None)["label"].tolist() == ["a + b → a", "a + b → b", "b"]
    draws = pd.DataFrame({"target": ["b", "b", "a"], "affected_class": ["a", None, "a"], "value": 0.1, "n_draws": 2})
    beside = outcomes.draws_beside(draws, outcomes.in_strip(rows, "b"), 100.0)
    assert beside[["label", "value"]].to_numpy().tolist() == [["a", 10.0], ["all", 10.0]]


def test_doses_go_through_unchanged() -> None:
    own = pd.DataFrame([effect("a", "a", -0.5), effect("a", "a", 0.2, gain=2.0), effect("a", None, 0.9),
                        effect("a", "a", -0.1, operation="mean", gain=np.nan)])  # fmt: skip
    doses = told.doses(own)
    assert doses[["dose", "delta", "ci_low"]].to_numpy().tolist() == [
        ["0", -50, pytest.approx(-60)], ["1", 0, 0], ["2", 20, pytest.approx(10)]
    ]  # fmt: skip
    whole = told.doses(own[own["affected_class"].isna()])
    assert whole["delta"].tolist() == [90, 0]


def test_needed_and_enough_are_told_as_accuracies_beside_random_sets() -> None:
    keep = effect("a", "a", -0.2, operation="keep", gain=np.nan, control_delta_mean=-0.6, control_delta_low=-0.7)
    own = pd.DataFrame([effect("a", "a", -0.5), effect("a", "a", 0.3, gain=2.0), keep])
    parts = told.needed_and_enough(own).set_index("part")
    assert parts["accuracy"].to_dict() == pytest.approx({"silenced": 30, "kept alone": 60, "untouched": 80})
    assert parts.loc["kept alone", ["random", "random_low"]].tolist() == pytest.approx([20, 10])
    assert parts.loc["silenced", ["low", "high"]].tolist() == pytest.approx([20, 40])
    assert told.needed_and_enough(own.iloc[:2]).empty
    many = pd.DataFrame({"target": list("abcde")})
    assert told.some_targets(many, "e", 3)["target"].tolist() == ["a", "b", "e"]
    assert told.some_targets(many, "b", 3)["target"].tolist() == ["a", "b", "c"]


def test_flips_are_counted_by_what_became_of_the_answer() -> None:
    flips = pd.DataFrame(
        [("x", "y", "z"), ("x", "z", "x"), ("y", "y", "z"), ("x", "x", "y"), (None, "x", "y")],
        columns=["true_class", "predicted_before", "predicted_after"],
    ).assign(target="x")
    kinds = told.flip_kinds(flips)
    assert kinds["kind"].tolist() == ["lost", "lost", "won", "other", "other"]
    assert kinds["true_class"].tolist()[:2] == ["x", "y"], "the target's own clips come first"
    assert told.flip_sentence(kinds) == (
        "**5 clips** are called by another class: 2 lost the right answer, 1 won it, "
        "2 went from one wrong class to another."
    )
    assert told.flip_sentence(kinds.iloc[:1]).startswith("**1 clip** is")
    assert told.flip_caption(kinds.iloc[-1].to_dict()).startswith("is no label")


def test_specificity_is_told_with_its_interval() -> None:
    rows = pd.DataFrame(
        {"selection": ["top 1%", "mad 1%"], "specificity": [0.01, 0.04], "ci_low": [-0.02, 0.01], "ci_high": 0.08}
    )
    assert told.specific_sentence(rows) == (
        "Highest is mad 1%: classes lose by their own neurons 4.0 points more than the others do "
        "(95 % interval 1.0 to 8.0)."
    )
    assert "may be nothing" in told.specific_sentence(rows.iloc[:1])
    assert "points less" in told.specific_sentence(rows.assign(specificity=-0.01, ci_low=-0.1))
    assert "too few classes" in told.specific_sentence(rows.assign(ci_low=np.nan))
    assert "cannot be told" in told.specific_sentence(rows.assign(specificity=np.nan))


def test_the_matrix_greys_what_does_not_stand_and_frames_own_classes() -> None:
    shown = outcomes.shown(matrix_rows(), "accuracy")
    spec = charts.matrix(shown, ["a", "b"], ["a", "b", "all"], 'a" || alert', dark=True).to_dict()
    grey, coloured, framed, _ = spec["layer"]
    assert {"filter": "!datum.stands"} in grey["transform"] and "color" not in grey["encoding"]
    assert {"filter": "datum.stands"} in coloured["transform"]
    assert coloured["encoding"]["color"]["scale"] == {
        "domain": [-70.0, 70.0], "domainMid": 0, "reverse": True, "interpolate": "rgb"
    }  # fmt: skip
    assert {"filter": "datum.own"} in framed["transform"]
    weight = grey["encoding"]["y"]["axis"]["labelFontWeight"]["condition"]["test"]
    assert weight == 'datum.value === "a\\" || alert"', "a name stays text"


@pytest.mark.parametrize(
    ("n_classes", "top", "digits", "written"),
    [(5, 40.0, 1, "format(datum.value, '+.1f')"), (20, 40.0, 1, "format(datum.value, '+.0f')"),
     (20, 2.0, 2, "format(datum.value, '+.1f')"), (20, 0.4, 2, "replace(format(datum.value, '+.2f'), '0.', '.')")],
)  # fmt: skip
def test_numbers_fit_their_cells(n_classes: int, top: float, digits: int, written: str) -> None:
    names = [f"c{i}" for i in range(n_classes)]
    rows = pd.DataFrame([effect("c0", name, top / 100) for name in names])
    spec = charts.matrix(outcomes.shown(rows, "accuracy"), ["c0"], names, digits=digits).to_dict()
    assert spec["layer"][3]["transform"][0]["calculate"].endswith(f"? '·' : {written}")


def test_every_chart_is_valid() -> None:
    rows = outcomes.in_strip(outcomes.shown(matrix_rows(), "accuracy"), None)
    draws = pd.DataFrame({"target": ["a"], "affected_class": ["a"], "value": [0.1], "n_draws": [4]})
    assert len(charts.strip(rows, outcomes.draws_beside(draws, rows, 100)).to_dict()["layer"]) == 5
    assert len(charts.strip(rows, outcomes.draws_beside(draws.iloc[:0], rows, 100)).to_dict()["layer"]) == 4
    own = pd.DataFrame([effect("a", "a", -0.5), effect("a", "a", -0.1, operation="keep", gain=np.nan)])
    charts.dose_curve(told.doses(own), "a").to_dict()
    charts.parts_chart(told.needed_and_enough(own)).to_dict()
    specific = pd.DataFrame({name: [0.1] for name in
                             ("self_effect", "cross_effect", "specificity", "ci_low", "ci_high", "n_classes",
                              "n_neurons")}).assign(selection="top 1%")  # fmt: skip
    charts.specificity_chart(specific).to_dict()
    checks = pd.DataFrame({"class_name": "a", "layer": 0, "neuron": [1, 2], "attribution": [0.1, -0.2],
                           "measured": [0.2, 0.0], "in_highest": [1, 0]})  # fmt: skip
    (_, points) = charts.check_chart(checks).to_dict()["layer"]
    assert points["encoding"]["x"]["scale"] == points["encoding"]["y"]["scale"]
