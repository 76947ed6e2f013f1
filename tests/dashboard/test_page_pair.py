"""Two neurons side by side: differences and overlaps by hand, and the page."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.shared.player import beside
from dashboard.views.pair import charts, facts, joint
from tests.support import pages
from tests.support.pages import asked, said

show = partial(pages.show, "pair")
HERE = {
    "model": "nano-ssl", "task": "rooms-event", "preset": "calibrated", "layer": "2", "neuron": "7",
    "other_model": "nano-sl", "other_layer": "3", "other_neuron": "9",
}  # fmt: skip


def profile(rates: list[float], half: float = 0.1) -> pd.DataFrame:
    rows = pd.DataFrame({"class_name": list("abcdefgh"[: len(rates)]), "probability": rates})
    rows = rows.assign(probability_low=rows["probability"] - half, probability_high=rows["probability"] + half)
    return rows.assign(log_odds=math.nan, log_odds_low=math.nan, log_odds_high=math.nan)


def test_differences_join_both_intervals_by_their_squares() -> None:
    rows = facts.differences(profile([0.5, 0.9, 0.2], 0.3), profile([0.5, 0.2, 0.9], 0.4), "probability")
    assert rows["class_name"].tolist() == ["b", "a", "c"]
    assert rows["difference"].tolist() == pytest.approx([0.7, 0, -0.7])
    # 3, 4, 5
    assert rows["low"].tolist() == pytest.approx([0.2, -0.5, -1.2])
    assert rows["high"].tolist() == pytest.approx([1.2, 0.5, -0.2])
    assert rows["excludes_0"].tolist() == [True, False, True]
    assert facts.most_different(rows, 2)["class_name"].tolist() == ["b", "c"]
    assert facts.measured(profile([1]), profile([1])) == ["probability"]


def test_profiles_are_correlated_beside_chance() -> None:
    own = profile([0.1, 0.2, 0.3, 0.4])
    assert facts.correlation(own, profile([0.2, 0.4, 0.6, 0.8])) == pytest.approx(1)
    assert facts.correlation(own, profile([0.4, 0.3, 0.2, 0.1])) == pytest.approx(-1)
    assert math.isnan(facts.correlation(own, profile([0.1] * 4)))
    rates = {1: [0.1, 0.2, 0.3, 0.4], 2: [0.4, 0.3, 0.2, 0.1], 3: [0.5] * 4}  # 1, -1 and flat
    sampled = pd.DataFrame(
        [
            {"neuron_id": neuron, "class_name": name, "activation_probability": rate}
            for neuron, of in rates.items()
            for name, rate in zip("abcd", of, strict=True)
        ]
    )
    assert facts.by_chance(own, sampled) == pytest.approx(-1 + 2 * 0.975)
    assert math.isnan(facts.by_chance(own, sampled.iloc[:0]))
    assert "that is more" in facts.correlation_sentence(0.9, 0.5, 20)
    assert "that is no more" in facts.correlation_sentence(0.4, 0.5, 20)
    assert "too few" in facts.correlation_sentence(0.4, 0.5, 3)


def test_clips_in_common_stand_beside_what_chance_gives() -> None:
    counts = pd.DataFrame({"dataset": ["a", "b"], "n_clips": [4, 4], "n_own": [2, 2], "n_other": [2, 2]})
    rows = facts.in_common(counts.assign(n_common=[2, 0]), "n_clips")
    assert rows["expected"].tolist() == [1, 1]
    assert rows["p_value"].tolist() == pytest.approx([1 / 6, 1])  # both of two, of six ways to draw two of four


def test_clips_kept_of_both_come_first() -> None:
    kinds = ["top", "top", "silent"]
    own = pd.DataFrame({"clip_id": [1, 2, 3], "kind": kinds, "rank": [1, 2, 1], "activation_rate": [0.9, 0.8, 0.0]})
    other = pd.DataFrame({"clip_id": [3, 4, 5], "kind": kinds, "rank": [1, 2, 1], "activation_rate": [0.7, 0.6, 0.0]})
    assert beside.clip_order(own, other) == [3, 1, 2, 4]
    told = beside.clip_caption(3, {"A": own, "B": other})
    assert told == "A: silent 1, active at 0%; B: top 1, active at 70%"
    assert beside.clip_caption(1, {"A": own, "B": other}).endswith("B: not kept")


def test_charts_draw_every_class() -> None:
    rows = facts.differences(profile([0.5, 0.9]), profile([0.5, 0.2]), "probability")
    for chart in (
        charts.profile_chart(rows, ("A", "B"), "Probability", ".1%"), charts.difference_chart(rows, ("A", "B"), ".1%")
    ):  # fmt: skip
        assert chart.to_dict()["layer"]


def test_two_models_are_put_side_by_side(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(synthetic_store, monkeypatch, **HERE)
    assert not app.warning
    assert app.title[0].value == "L2·7 nano\\-ssl beside L3·9 nano\\-sl"
    told = said(app)
    assert "Their profiles over 8 classes correlate by" in told and "Of neurons drawn at random one in 40" in told
    assert "Log odds are stored for class-specific neurons only." in told
    assert "Not measured: how they correlate over all clips" in told
    (clips,) = [table.value for table in app.dataframe if "dataset" in table.value]
    assert set(clips["dataset"]) == {"notes", "rooms", "voices"}
    assert "kept of both their activations over time correlate by" in told or "Too few clips long enough" in told
    swapped = next(button for button in app.button if button.label == "Swap").click().run()
    assert not swapped.exception
    assert (asked(app, "model"), asked(app, "layer"), asked(app, "other_neuron")) == ("nano-sl", "3", "7")


def test_without_an_address_two_that_share_a_class_are_shown(
    one_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(one_model_store, monkeypatch, task="rooms-event")
    assert not app.warning
    own, other = (tuple(asked(app, f"{of}{name}") for name in ("layer", "neuron")) for of in ("", "other_"))
    assert own != other
    same = show(
        one_model_store, monkeypatch, task="rooms-event", layer=own[0], neuron=own[1], other_layer=own[0],
        other_neuron=own[1],
    )  # fmt: skip
    assert "Both are the same neuron" in said(same)


def test_what_the_address_asks_in_vain_is_told(one_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(one_model_store, monkeypatch, **{**HERE, "other_model": "gone", "other_layer": "99"})
    assert len(app.warning) == 2


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(empty_store, monkeypatch).code[0].value.startswith("python run_analysis.py")


def test_classes_in_common_stand_beside_what_chance_gives() -> None:
    def side(*rows: tuple[str, str, str]) -> pd.DataFrame:
        return pd.DataFrame(rows, columns=["task", "preset", "class_name"])

    scored = pd.DataFrame({"task": ["t", "u", "v"], "n_classes": [4, 9, 9]})
    own = side(("t", "aape", "a"), ("t", "aape", "b"), ("t", "lape", "c"), ("u", "aape", "a"))
    rows = facts.classes_in_common((own, side(("t", "aape", "b"), ("t", "aape", "a"))), (scored, scored), "aape")
    (row,) = rows.to_dict("records")
    assert (row["task"], row["n_own"], row["n_other"], row["n_common"], row["classes"]) == ("t", 2, 2, 2, ["a", "b"])
    assert (row["expected"], row["p_value"]) == (1, pytest.approx(1 / 6))
    assert facts.classes_in_common((own, own.iloc[:0]), (scored, scored), "aape").empty


def course(*strengths: list[list[int]]) -> pd.DataFrame:
    return pd.DataFrame({"clip_id": range(len(strengths)), "strength": [np.array(one) for one in strengths]})


def test_joint_firing_by_hand() -> None:
    """Of the second neuron's other clips the four that vary give chance."""
    up, down, early = [0, 0, 0, 0, 9, 9, 9, 9], [9, 9, 9, 9, 0, 0, 0, 0], [9, 9, 0, 0, 9, 9, 0, 0]
    found = joint.joint(course([up]), course([up, [0] * 8], [down], [early], [down], [early], [[5] * 8]))
    assert found.clips.to_dict("records") == [{"clip_id": 0, "r": pytest.approx(1), "null_mean": -0.5, "n_columns": 8}]
    assert found.p_value == pytest.approx(1 / 5, abs=0.03) and found.null_high == pytest.approx(1)
    assert joint.joint(course([up]), course([up], [down], [early], [down])).clips.empty, "too few others"


def test_joint_firing_is_told_beside_other_clips() -> None:
    rng = np.random.default_rng(0)
    own, other = ([rng.integers(0, 255, (2, 40)).tolist() for _ in range(8)] for _ in range(2))
    same = joint.joint(course(*own), course(*own))
    assert (same.r, same.low, same.high) == pytest.approx((1, 1, 1)) and same.p_value == 1 / 2000
    assert same.null_high < 0.5 and "that is more (p" in joint.sentence(same)
    apart = joint.joint(course(*own), course(*other))
    assert apart.low < 0 < apart.high and apart.p_value > 0.025 and "that is no more" in joint.sentence(apart)
    opposite = joint.joint(course(*own), course(*((255 - np.array(one).max(axis=0, keepdims=True)) for one in own)))
    assert opposite.r == pytest.approx(-1) and opposite.p_value == 1


def test_joint_firing_across_grids_and_of_what_cannot_be_told() -> None:
    rng = np.random.default_rng(2)
    coarse = [rng.integers(0, 255, (1, 10)) for _ in range(5)]
    at = (np.arange(10) + 0.5) / 10
    fine = [np.interp((np.arange(20) + 0.5) / 20, at, one[0])[None] for one in coarse]
    both = joint.joint(course(*coarse), course(*fine))
    assert both.clips["n_columns"].tolist() == [10] * 5 and both.r > 0.98
    two = joint.joint(course(*coarse[:2]), course(*fine))
    assert len(two.clips) == 2 and math.isnan(two.low) and "Too few clips for an interval" in joint.sentence(two)
    for none in (course(*[[[1, 2, 3]]] * 6), course(*[[[7] * 20]] * 6), course()):
        assert "Too few clips long enough" in joint.sentence(joint.joint(none, none))


def test_what_all_clips_have_alike_is_no_joint_firing() -> None:
    """Smooth courses that fade at both ends: of 60 pairs three fall below 0.05 by chance, more than 8 once in 130."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(60):
        sides = [course(*(np.convolve(rng.random(60), np.ones(6), "same")[None] for _ in range(8))) for _ in range(2)]
        found.append(joint.joint(*sides).p_value <= 0.05)
    assert sum(found) <= 8
