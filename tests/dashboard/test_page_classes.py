"""The page of a class: its neurons in three orders, what silencing does in words, what it shares, what it reads."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard.views.classes import facts
from db.connection.open import open_store
from db.reads import classes
from db.reads.frames import frame
from tests.support import pages
from tests.support.pages import asked, said, unfold

MODEL, TASK, CLASS = "nano-ssl", "rooms-event", "dog"
OF = (MODEL, TASK, "calibrated", CLASS)
show = partial(pages.show, "classes")


@pytest.fixture(scope="module")
def engine(synthetic_store: Path) -> Engine:
    return open_store(synthetic_store, read_only=True)


def cards(app: AppTest) -> list[dict[str, Any]]:
    """What the browser is told of the cards."""
    (deck,) = [part for part in app.main if getattr(part.proto, "component_name", "") == "atlas_grid"]
    told: list[dict[str, Any]] = json.loads(deck.proto.json)["pages"]["0"]
    return told


def test_its_neurons_are_those_of_the_view(engine: Engine) -> None:
    rows = classes.neurons_of(engine, *OF)
    of_view = frame(
        engine,
        "SELECT layer, neuron, lift, lift_low, lift_high, p_value, q_value, replicated, entropy "
        "FROM class_specific_neurons WHERE model = :model AND task = :task AND preset = :preset "
        "AND class_name = :class_name ORDER BY layer, neuron",
        model=MODEL, task=TASK, preset="calibrated", class_name=CLASS,
    )  # fmt: skip
    assert len(rows) > 6
    pd.testing.assert_frame_equal(rows[list(of_view)], of_view, check_dtype=False)
    assert rows["attribution"].isna().all()


def test_what_else_they_answer_to_is_counted_from_the_same_rows(engine: Engine) -> None:
    rows = classes.also(engine, *OF)
    ids = set(classes.neurons_of(engine, *OF)["neuron_id"])
    for other in rows["class_name"].unique():
        theirs = set(classes.neurons_of(engine, *OF[:3], other)["neuron_id"])
        assert set(rows.loc[rows["class_name"] == other, "neuron_id"]) == ids & theirs
    assert CLASS not in set(rows["class_name"])


def test_shared_is_told_from_both_sides(engine: Engine) -> None:
    rows = classes.shared_with(engine, *OF)
    of_view = frame(
        engine,
        "SELECT task_a, class_a, task_b, class_b, n_shared FROM shared_neurons "
        "WHERE model = :model AND preset = :preset AND n_shared > 0",
        model=MODEL, preset="calibrated",
    )  # fmt: skip
    first = of_view[(of_view["task_a"] == TASK) & (of_view["class_a"] == CLASS)]
    second = of_view[(of_view["task_b"] == TASK) & (of_view["class_b"] == CLASS)]
    wanted = {*first[["task_b", "class_b", "n_shared"]].itertuples(index=False, name=None)}
    wanted |= {*second[["task_a", "class_a", "n_shared"]].itertuples(index=False, name=None)}
    assert {*rows[["task", "class_name", "n_shared"]].itertuples(index=False, name=None)} == wanted
    assert len(rows) == len(wanted) > 0


def test_the_same_class_is_found_on_both_models_whatever_its_capitals(engine: Engine) -> None:
    rows = classes.elsewhere(engine, "calibrated", "DOG")
    assert rows["model"].tolist() == ["nano-ssl", "nano-sl"]
    assert set(rows["class_name"]) == {CLASS}
    assert rows["n_neurons"].tolist() == [
        len(classes.neurons_of(engine, model, TASK, "calibrated", CLASS)) for model in rows["model"]
    ]


def neurons(**columns: list[float]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    names = ("lift", "lift_low", "lift_high", "p_value", "q_value", "replicated", "attribution", "standard_error")
    return pd.DataFrame({"neuron": range(n), **{name: [np.nan] * n for name in names}} | columns)


def test_few_clips_do_not_look_strong() -> None:
    rows = neurons(lift=[300.0, 9.0, 5.0], lift_low=[2.0, 8.0, np.nan], p_value=[0.01, 0.01, 1e-9])
    assert facts.ranked(rows, "effect")["neuron"].tolist() == [1, 0, 2]
    assert facts.ranked(rows, "evidence")["neuron"].tolist() == [2, 1, 0]


def test_causes_are_ranked_by_the_lower_end_of_what_is_lost() -> None:
    rows = neurons(attribution=[0.9, 0.5, np.nan, -0.1], standard_error=[0.4, 0.1, np.nan, 0.001])
    # 0.9 - 0.78 = 0.12; 0.5 - 0.20 = 0.30; -0.10
    assert facts.ranked(rows, "cause")["neuron"].tolist() == [1, 0, 3, 2]


def test_the_headline_stands_beside_chance() -> None:
    rows = neurons(replicated=[1.0, 0.0, np.nan])
    told = facts.headline(rows, 0.04, 4608, "calibrated", ("esc50", "rain"))
    assert "**3** of 4,608 neurons are class-specific for rain in esc50" in told
    assert "permuted labels give fewer than 0.1 on average" in told
    assert "1 of 2 tested are replicated" in told
    assert "12.5 on average" in facts.headline(rows, 12.5, 9, "aape", ("a", "b"))
    assert "was not computed" in facts.headline(rows.iloc[:0], np.nan, 9, "aape", ("a", "b"))


def effect(**changed: float) -> dict[str, Any]:
    return {
        "selection": "mad 1%", "n_neurons": 12, "n_clips": 40, "accuracy_unablated": 0.93, "accuracy_ablated": 0.71,
        "delta": -0.22, "ci_low": -0.31, "ci_high": -0.14, "q_value": 0.004, "control_delta_low": -0.03,
        "control_delta_high": -0.01, "n_controls": 20, "delta_log_prob": np.nan, "delta_log_prob_low": np.nan,
        "delta_log_prob_high": np.nan, "control_log_prob_low": np.nan, "control_log_prob_high": np.nan,
        "log_prob_q_value": np.nan,
    } | changed  # fmt: skip


def sentence(**changed: float) -> str:
    return facts.silenced_lines(pd.DataFrame([effect(**changed)]), "siren", "mad 1%")[0]


def test_silencing_is_told_in_a_sentence_with_interval_and_controls() -> None:
    assert sentence() == (
        "Silencing its 12 neurons (mad 1%) lowers the accuracy on siren from 0.93 to 0.71 (−0.22, 95 % −0.31 to −0.14, "
        "40 test clips); as many random neurons: −0.03 to −0.01 (20 sets). **That is significant** (q = 0.004) and "
        "beyond all of them."
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ci_high": 0.02}, "The interval includes 0: **no evidence of a change of accuracy**"),
        ({"q_value": 0.2}, "**Not significant** over all that was tested (q = 0.2)"),
        ({"q_value": np.nan}, "**Not significant** over all that was tested (q not computed)"),
        ({"control_delta_low": -0.4}, "**Random neurons do as much**"),
        ({"control_delta_low": np.nan, "control_delta_high": np.nan}, "random neurons: not measured"),
        (
            {"delta": 0.0, "accuracy_ablated": 0.93, "ci_low": -0.1, "ci_high": 0.1},
            "leaves the accuracy on siren at 0.93 (0.00, 95 % −0.10 to +0.10",
        ),
        ({"delta": 0.05, "accuracy_ablated": 0.98}, "raises the accuracy on siren from 0.93 to 0.98"),
        ({"delta": np.nan}, "the accuracy on siren was not measured"),
    ],
)  # fmt: skip
def test_what_was_not_shown_is_not_claimed(changed: dict[str, float], said: str) -> None:
    told = sentence(**changed)
    assert said in told
    assert "That is significant" not in told or "accuracy_ablated" in changed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "−0.72 nats (95 % −1.00 to −0.40; random: 0.00 to +0.01; **significant**, q = 0.005)."),
        ({"log_prob_q_value": 0.3}, "not significant, q = 0.3)."),
        ({"control_log_prob_low": -0.8}, "random neurons do as much)."),
    ],
)
def test_log_probability_tells_finer(changed: dict[str, float], said: str) -> None:
    known = {
        "delta_log_prob": -0.72, "delta_log_prob_low": -1.0, "delta_log_prob_high": -0.4, "log_prob_q_value": 0.005,
        "control_log_prob_low": -0.003, "control_log_prob_high": 0.011,
    }  # fmt: skip
    assert sentence(**known | changed).endswith(said)


def test_other_choices_of_neurons_are_told_in_a_line_each() -> None:
    rows = pd.DataFrame([effect(), effect(ci_high=0.1) | {"selection": "mad 5%", "n_neurons": 60}])
    lines = facts.silenced_lines(rows, "siren", "mad 1%")
    assert len(lines) == 2
    assert lines[1].startswith("- 60 neurons (mad 5%): accuracy from 0.93 to 0.71 (−0.22, 95 % −0.31 to +0.10;")
    assert lines[1].endswith("Includes 0.")


def test_a_card_has_no_number_without_what_it_is_read_against() -> None:
    row = {
        "lift": 8.21, "lift_low": 5.1, "lift_high": 12.04, "q_value": 1e-6, "replicated": 1.0, "entropy": 1.2,
        "entropy_q_value": 0.03, "attribution": 0.12, "standard_error": 0.01, "measured": 0.2, "explained_by": "level",
    }  # fmt: skip
    assert facts.card_lines(row, 20, ["cat", "hen", "cow", "pig"]) == (
        "lift 8.2× [5.1, 12.0] · q < 0.0001", "replicated", "entropy 1.20 of 3.00 nats · q = 0.03",
        "attribution +0.12 [+0.1, +0.14] logits; +0.2 when ablated alone", "cannot be told from level",
        "also cat, hen, cow and 1 more",
    )  # fmt: skip


def test_sharing_keeps_what_is_more_than_chance_on_other_clips() -> None:
    rows = pd.DataFrame({
        "task": ["t", "t", "same", "other", "other"], "class_name": list("abcde"), "n": 9, "n_shared": 5,
        "expected": 1.0,
        "odds_ratio": [9.0, 8.0, 7.0, 6.0, 5.0], "odds_low": [2.0, 0.9, 2.0, 2.0, 2.0], "odds_high": 20.0,
        "q_value": [0.01, 0.01, 0.01, 0.2, 0.01], "nested": [0, 0, 0, 0, 1],
    })  # fmt: skip
    kept = facts.sharing(rows, {"same"})
    assert kept["class_name"].tolist() == ["a"]
    assert kept["odds"].tolist() == ["9.0 [2.0, 20.0]"]


def test_the_page_plays_the_class_and_links_to_its_neurons(
    synthetic_store: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    app = show(synthetic_store, monkeypatch, model=MODEL, task=TASK, class_=CLASS)
    assert app.title[0].value == "Dog"
    best = facts.ranked(classes.neurons_of(engine, *OF), "effect").iloc[0]
    told = cards(app)
    assert len(told) == 6
    assert told[0]["name"] == f"L{best['layer']}·{best['neuron']}"
    assert told[0]["title"] == CLASS
    assert told[0]["href"].startswith("neuron?") and f"class={CLASS}" in told[0]["href"]
    assert told[0]["href"].endswith("hear=class")
    assert all(one["drawn"] and one["clip"].startswith(("top clip ", "of the class")) for one in told)
    assert "Silencing its" in said(app)
    assert not app.get("vega_lite_chart") and "answer to nothing else in the task" in said(app), "folded, and told"
    unfold(app, "place", "elsewhere")
    assert len(app.get("vega_lite_chart")) == 1
    assert "nano\\-sl" in " ".join(str(link.proto.label) for link in app.get("page_link"))


def test_three_orders_and_more_cards_on_request(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(synthetic_store, monkeypatch, model=MODEL, task=TASK, class_=CLASS)
    (more,) = [button for button in app.button if " more of " in button.label]
    more.click().run()
    assert asked(app, "cards") == "12"
    assert len(cards(app)) == 12
    app.segmented_control(key="select_by").set_value("evidence").run()
    assert asked(app, "by") == "evidence"
    assert "cause" not in app.segmented_control(key="select_by").options, "not estimated here"


def test_a_class_without_neurons_is_told_and_heard(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(synthetic_store, monkeypatch, model=MODEL, task=TASK, preset="aape", class_="wind")
    assert "**no** neuron is class-specific for wind" in said(app)
    assert [part for part in app.main if getattr(part.proto, "component_name", "") == "atlas_player"]


def test_the_neurons_page_plays_the_class_one_came_from(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"model": MODEL, "task": TASK, "layer": "3", "neuron": "5"}
    app = pages.show("neuron", synthetic_store, monkeypatch, **state, class_=CLASS, hear="class")
    (deck,) = [part for part in app.main if getattr(part.proto, "component_name", "") == "atlas_player"]
    tracks = json.loads(deck.proto.json)["tracks"]
    assert {track["title"] for track in tracks} == {CLASS}
    plain = pages.show("neuron", synthetic_store, monkeypatch, **state)
    assert "hear" not in plain.query_params
