"""What the neuron's page reads, says and draws: by hand, and against numpy."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from dashboard.shared.player import overlays
from dashboard.views.neuron import charts, facts
from db.connection.open import open_store
from db.reads import neuron_evidence as evidence
from db.reads import neurons
from tests.support import drawn_charts

MODEL, TASK, LAYER, NEURON = "nano-ssl", "rooms-event", 2, 7


@pytest.fixture(scope="module")
def tiny(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The study of `tests.support.tiny_study`, in which two more neurons have scores for dog."""
    engine = open_store(shutil.copy(tiny_store, tmp_path_factory.mktemp("tiny") / "atlas.db"))
    with engine.begin() as connection:
        dog = connection.execute(text("SELECT id FROM task_class WHERE name = 'dog'")).scalar()
        ids = connection.execute(text("SELECT id FROM neuron ORDER BY flat_index")).scalars().all()
        for neuron_id, mad, auroc in ((ids[0], 500_000, 5000), (ids[1], -10, 8000)):
            connection.execute(
                text(
                    "INSERT INTO selector_score (model_task_id, neuron_id, class_id, mad, cas, auroc, d_prime,"
                    " selectivity_index) VALUES (1, :neuron_id, :dog, :mad, -6000, :auroc, NULL, 0)"
                ),
                {"neuron_id": neuron_id, "dog": dog, "mad": mad, "auroc": auroc},
            )
    return engine


@pytest.fixture(scope="module")
def store(one_model_store: Path) -> Path:
    return one_model_store


def rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [
        tuple(None if isinstance(value, float) and math.isnan(value) else value for value in row)
        for row in frame.itertuples(index=False)
    ]


def test_what_a_list_and_a_page_begin_with(tiny: Engine) -> None:
    assert evidence.clip_datasets(tiny, "tiny") == ["pets"]
    assert evidence.clip_datasets(tiny, "unknown") == []
    assert evidence.task_classes(tiny, "tiny", "pets-animal") == ["cat", "dog"]
    found = evidence.specific_neurons(tiny, "tiny", "pets-animal", "calibrated")
    assert rows(found) == [(0, 0, 0.001, 9.0), (1, 0, 0.02, 1.0)]
    assert rows(evidence.specific_neurons(tiny, "tiny", "pets-animal", "calibrated", "dog")) == [(1, 0, 0.02, 1.0)]
    assert evidence.specific_neurons(tiny, "tiny", "pets-animal", "lape").empty


def test_scores_are_placed_among_the_other_neurons(tiny: Engine) -> None:
    (row,) = evidence.selector_scores(tiny, "tiny", "pets-animal", 1, 0, ("cat", "dog")).to_dict("records")
    assert row["class_name"] == "dog"
    assert (row["mad"], row["auroc"], row["d_prime"]) == (0.125, 0.75, 1.5)
    assert (row["mad_below"], row["cas_below"], row["auroc_below"], row["selectivity_index_below"]) == (1, 2, 1, 2)
    assert row["n_compared"] == 2
    (every_third,) = evidence.selector_scores(tiny, "tiny", "pets-animal", 1, 0, ("dog",), 3).to_dict("records")
    assert every_third["n_compared"] == 1  # neuron 0 of layer 0
    assert evidence.selector_scores(tiny, "tiny", "pets-animal", 1, 0, ()).empty


def test_what_is_kept_of_one_neuron(tiny: Engine) -> None:
    assert rows(evidence.confounds(tiny, "tiny", 0, 1)) == [("pets-animal", 3, -0.5, None, 0.0)]
    assert evidence.confounds(tiny, "tiny", 0, 0).empty
    assert rows(evidence.attribution(tiny, "tiny", "pets-animal", 1, 0)) == [("dog", 0.5, 0.25, 3)]
    assert rows(evidence.attribution_check(tiny, "tiny", "pets-animal", 1, 0)) == [("dog", 0.5, 0.75, 2)]
    assert evidence.attribution_check(tiny, "tiny", "pets-animal", 0, 0).empty
    assert rows(evidence.tuning(tiny, "tiny", 0, 0))[0][:4] == ("pets-animal", 60, 58.0, 62.5)
    assert rows(evidence.preferences(tiny, "tiny", "pets-animal", 1, 0)) == [("cat", -0.5, -1.0, 0.0)]


def test_sums_over_classes(tiny: Engine) -> None:
    given = (tiny, "tiny", "pets-animal")
    found = evidence.alike(*given, "calibrated", 0, 0, 10)  # profile 0.5, 0 beside 0.2, 0.2
    (row,) = found.to_dict("records")
    assert (row["layer"], row["neuron"], row["n"]) == (1, 0, 2)
    assert [row[name] for name in ("sum_x", "sum_xx", "sum_xy", "sum_y", "sum_yy")] == pytest.approx(
        [0.4, 0.08, 0.1, 0.5, 0.25]
    )
    assert evidence.alike(*given, "calibrated", 0, 0, 0).empty
    drawn = evidence.any_profiles(*given, 0, 0, 1)  # not itself, and not the one that never fires
    assert rows(drawn[["layer", "neuron"]]) == [(1, 0)]
    profiles = evidence.profiles(*given, (int(row["neuron_id"]),))
    assert rows(profiles) == [(1, 0, "cat", 0.2), (1, 0, "dog", 0.2)]


@pytest.mark.parametrize("preset", ["calibrated", "lape"])
def test_neighbours_are_those_that_numpy_finds(store: Path, preset: str) -> None:
    engine = open_store(store, read_only=True)
    sums = evidence.alike(engine, MODEL, TASK, preset, LAYER, NEURON, 10_000)
    every = pd.concat(
        neurons.probabilities(engine, MODEL, TASK, layer, list(range(64))).assign(layer=layer) for layer in range(6)
    ).pivot(index=["layer", "neuron"], columns="class_name", values="activation_probability")
    own = every.loc[(LAYER, NEURON)].to_numpy()
    known = dict(zip(zip(sums["layer"], sums["neuron"], strict=True), facts.correlations(sums), strict=True))
    assert len(known) > 30
    for place, value in known.items():
        assert value == pytest.approx(np.corrcoef(every.loc[place].to_numpy(), own)[0, 1])
    top = every.columns[own.argmax()]
    same_top = {place for place in every.index if every.loc[place].idxmax() == top and every.loc[place].sum() > 0}
    specific = evidence.specific_neurons(engine, MODEL, TASK, preset)
    listed = set(zip(specific["layer"], specific["neuron"], strict=True))
    assert set(known) == (same_top | listed) - {(LAYER, NEURON)}
    first = evidence.alike(engine, MODEL, TASK, preset, LAYER, NEURON, 5)
    assert set(first["top_class"]) == {top}


def test_standing_in_every_task_has_p_and_q(tiny: Engine) -> None:
    found = neurons.neuron_selectivity(tiny, "tiny", 0, 0)
    assert found["entropy_p_value"].tolist() == [0.01] * 3
    assert found["entropy_q_value"].tolist() == [0.02] * 3
    assert found["classes"].tolist() == ["cat", "cat", ""]
    assert "FROM model" in found.attrs["sql"]


def test_a_headline_for_every_case() -> None:
    pairs = pd.DataFrame(
        {
            "task": ["a", "a", "a", "a", "b"], "class_name": ["u", "v", "w", "x", "y"], "lift": 2.5,
            "lift_low": [2.0, np.nan, 2.0, 2.0, 2.0], "lift_high": 3.0, "q_value": [1e-9, 0.04, 0.01, 0.01, np.nan],
        }
    )  # fmt: skip
    standing = {
        "entropy": 1.0, "n_classes": 8, "entropy_rank": 12.0, "n_neurons": 3000, "entropy_q_value": 0.2,
    }  # fmt: skip
    told = facts.headline(pairs, standing, "a", "aape")
    assert "**class-specific for u (2.5× [2.0, 3.0], q < 0.0001), v (2.5×, q = 0.04), w" in told
    assert "and 1 more** in a, and for some class of 1 other task." in told
    assert "Entropy 1.00 of at most 2.08 nats, rank 12 of 3,000: no lower than shuffled labels give (q = 0.2)." in told
    other = facts.headline(pairs, {**standing, "entropy_q_value": np.nan}, "c", "aape")
    assert "class-specific for nothing in c, but for some class of 2 other tasks." in other
    assert "whether that is lower than chance was not computed" in other
    assert "never fires" in facts.headline(pairs, {**standing, "entropy": np.nan}, "a", "aape")
    assert "Nothing was scored" in facts.headline(pairs, None, "a", "aape")


def test_tasks_with_pairs_come_right_after_the_chosen_one() -> None:
    answers = pd.DataFrame({"task": ["a", "b", "b", "c", "d"]})
    pairs = pd.DataFrame({"task": ["b", "d"]})
    assert facts.task_order(answers, pairs, "c") == (["c", "b", "d"], ["a"])
    assert facts.task_order(answers, pairs.iloc[:0], "elsewhere") == ([], ["a", "b", "c", "d"])


def test_marked_bars_have_lift_interval_and_q() -> None:
    answers = pd.DataFrame({"class_name": ["x", "y", "z"], "activation_probability": [0.1, 0.3, 0.5]})
    pairs = pd.DataFrame(
        {"class_name": ["z"], "lift_low": [2.0], "lift_high": [3.0], "q_value": [0.01], "replicated": [0.0]}
    )
    shown = facts.bars(answers, pairs)
    assert shown["lift"].tolist() == pytest.approx([0.25, 1.0, 2.5])
    assert shown["selected"].tolist() == [False, False, True]
    assert shown["interval"].tolist() == ["–", "–", "2.0 to 3.0"]
    assert shown["replicated"].tolist() == ["not tested", "not tested", "no"]
    assert shown["q_value"].isna().tolist() == [True, True, False]


def _texts(part: Any) -> list[str]:
    """All texts in a specification."""
    if isinstance(part, dict):
        return [text for value in part.values() for text in _texts(value)]
    if isinstance(part, list):
        return [text for value in part for text in _texts(value)]
    return [part] if isinstance(part, str) else []


def test_entropies_are_one_row_a_task() -> None:
    rows_of = [
        ("rooms", task, preset, entropy, 4, rank, 100, 0.01, q, found, "x", 0.5)
        for task, entropy, rank, q in (("a", 1.0, 3.0, 0.04), ("b", np.nan, np.nan, np.nan))
        for preset, found in (("calibrated", "x, y"), ("aape", ""))
    ]
    names = (
        "dataset task preset entropy n_classes entropy_rank n_neurons entropy_p_value entropy_q_value classes top_class"
        " max_probability"
    )
    table = facts.entropies(pd.DataFrame(rows_of, columns=names.split()))
    assert table["task"].tolist() == ["a", "b"]
    assert table["below"].iloc[0] == pytest.approx(math.log(4) - 1)
    assert table["rank"].tolist() == ["3 of 100", "never fires"]
    assert table["low"].tolist() == [True, False]
    assert table["calibrated"].tolist() == ["x, y", "x, y"]
    spec = charts.entropy_chart(table, 'a"b').to_dict()
    drawn = drawn_charts.rows_of(spec)[0]
    assert [row["task"] for row in drawn] == ["a"]
    bold = [part for part in _texts(spec) if "datum.value ===" in part]
    assert bold == ['datum.value === "a\\"b"']


def test_confounds_are_told_beside_what_chance_gives() -> None:
    pairs = pd.DataFrame({"class_name": ["x", "y", "z"], "explained_by": ["together", "", None]})
    rho = {"n_clips": 101, "rho_level": 0.2, "rho_duration": -0.19, "rho_silence": np.nan}
    first, second, third = facts.confound_lines(rho, pairs)
    assert "level +0.20**" in first
    assert "duration −0.19;" in first  # 1.96 / 10 is more
    assert "±0.20" in first
    assert "x **cannot be told from level, duration and silence together**" in second
    assert third.startswith("For 2 of its 3 classes")
    assert len(facts.confound_lines(rho, pairs.iloc[:0])) == 1
    assert "was not measured" in facts.confound_lines(None, pairs)[0]
    flat = {**rho, "rho_level": np.nan, "rho_duration": np.nan}
    assert "do not vary" in facts.confound_lines(flat, pairs)[0]


def test_intervals_decide_what_is_grey() -> None:
    attribution = pd.DataFrame({"class_name": ["x", "y"], "attribution": [0.5, 0.5], "standard_error": [0.25, 0.26]})
    shown = facts.attributed(attribution)
    assert shown["low"].tolist() == pytest.approx([0.01, -0.0096], abs=1e-4)
    assert shown["stands"].tolist() == [True, False]
    odds = pd.DataFrame(
        {"class_name": list("abc"), "log_odds": [1.0, np.nan, -2.0], "ci_low": np.nan, "ci_high": [2.0, 2.0, -1.0]}
    )
    assert facts.preferred(odds)["label"].tolist() == ["a", "c"]
    assert facts.preferred(odds)["stands"].tolist() == [False, True]
    spec = charts.interval_chart(shown, "Loss").to_dict()
    status = [row["status"] for rows in drawn_charts.rows_of(spec) for row in rows if "status" in row]
    assert status == ["interval excludes 0", "interval includes 0, or unknown"]


def test_scores_become_percentiles() -> None:
    found = pd.DataFrame({"class_name": ["x"], "n_compared": [200]})
    for name in facts.SELECTORS:
        found[name], found[f"{name}_below"] = 0.5, 150
    found["d_prime"] = np.nan
    shown = facts.scores_by_selector(found)
    assert len(shown) == 4
    assert set(shown["percentile"]) == {75.0}
    assert facts.scores_by_selector(found.iloc[:0]).empty


def test_flat_profiles_have_no_correlation() -> None:
    sums = pd.DataFrame({
        "neuron_id": [1, 2], "layer": 0, "neuron": [4, 5], "top_class": "x", "n": 4, "sum_x": [0.4, 0.8],
        "sum_xx": [0.04, 0.2], "sum_xy": [0.1, 0.22], "sum_y": 1.0, "sum_yy": 0.3,
    })  # fmt: skip
    found = facts.correlations(sums)
    assert math.isnan(found[0])
    assert found[1] == pytest.approx((4 * 0.22 - 0.8) / math.sqrt((0.8 - 0.64) * (1.2 - 1)))
    assert facts.neighbours(sums)["neuron"].tolist() == [5]
    assert math.isnan(facts.by_chance(sums.iloc[:1]))


def test_profiles_are_scaled_to_their_own_highest_class_and_keep_their_order() -> None:
    found = pd.DataFrame(
        {"layer": [0, 0, 1, 1], "neuron": 3, "class_name": list("xyxy"), "activation_probability": [0.1, 0.2, 0.9, 0.0]}
    )
    shown = facts.profile_rows(found, [(1, 3), (0, 3)])
    assert shown["label"].tolist() == ["1 · 3", "1 · 3", "0 · 3", "0 · 3"]
    assert shown["relative"].tolist() == [1.0, 0.0, 0.5, 1.0]
    rect = charts.profile_chart(shown).to_dict()["layer"][0]
    assert rect["encoding"]["y"]["sort"] == ["1 · 3", "0 · 3"]


def test_all_clips_of_a_neuron_are_on_one_scale() -> None:
    patterns = pd.DataFrame({"peak": [4.0, 1.0, -0.5], "strength": [np.array([[255]], np.uint8)] * 3})
    scaled = overlays.on_one_scale(patterns)
    assert [int(one[0, 0]) for one in scaled["strength"]] == [255, 64, 0]
    assert set(scaled["peak"]) == {4.0}
    assert overlays.on_one_scale(patterns.iloc[:0]).empty


def test_a_clip_is_named_by_its_class_or_else_its_file() -> None:
    clip = {
        "kind": "middle", "rank": 2, "labels": "pitch: 60, family: brass, warm", "path": "test/a.wav",
        "activation_rate": 0.25, "mean_activation": 0.5,
    }  # fmt: skip
    assert facts.clip_title(clip, "pitch") == "Middle 2: 60"
    assert facts.clip_title(clip, "family") == "Middle 2: brass, warm"
    assert facts.clip_title(clip, "itch") == "Middle 2: a.wav"
    assert facts.clip_title({**clip, "labels": ""}) == "Middle 2: a.wav"
    assert facts.clip_caption(clip).startswith("active at 25% of tokens, mean 0.5; pitch: 60")


def test_lifts_stand_above_bars_only_where_there_is_room() -> None:
    def frame(n: int) -> pd.DataFrame:
        return pd.DataFrame({
            "class_name": [f"c{i}" for i in range(n)], "activation_probability": np.linspace(0.1, 0.5, n),
            "selected": [i == 1 for i in range(n)], "lift": 2.0, "interval": "–", "q_value": 0.01, "replicated": "no",
        })  # fmt: skip

    few = charts.class_bars(frame(4))["datasets"]["bars"]
    assert few["mark"].tolist() == ["", "2.0×", "", ""]
    many = charts.class_bars(frame(charts.MOST_NUMBERED + 1))["datasets"]["bars"]
    assert set(many["mark"]) == {""}
    spec = charts.class_chart(frame(4)).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["bar", "text", "rule"]
