"""Two neurons side by side: differences and overlaps by hand, and the page."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from dashboard.shared.player import beside
from dashboard.views.pair import charts, facts
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
    rows = facts.in_common(counts.assign(n_common=[2, 0]))
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
    assert "Not measured: how their activations correlate over all clips" in told
    assert set(app.dataframe[0].value["dataset"]) == {"notes", "rooms", "voices"}
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
