"""The speech page: what it counts, what it draws, what it bears."""

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
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import pdist, squareform
from sqlalchemy import Engine

from dashboard.views.speech import charts, facts
from db.connection.open import open_store
from db.reads import preferences
from tests.support import drawn_charts, pages
from tests.support.pages import said, unfold

MODEL, EMOTION, GENDER, PLACE = "nano-ssl", "voices-emotion", "voices-gender", "rooms-place"
show = partial(pages.show, "speech")


def _prefer(connection: sqlite3.Connection, task: str, n_neurons: int) -> None:
    """Store log odds of the first neurons of every model: neuron i leans to class i of K, surely where i is even."""
    found = connection.execute(
        """
        SELECT model_task.id, model.first_neuron_id, task_class.id, task_class.position, model_task.n_classes
        FROM model_task JOIN model ON model.id = model_id JOIN task ON task.id = model_task.task_id
        JOIN task_class ON task_class.task_id = task.id WHERE task.name = ?
        """,
        (task,),
    ).fetchall()
    for owner, first, class_id, position, n_classes in found:
        for i in range(n_neurons):
            odds = 1.0 + i / 100 if i % n_classes == position else -0.5 + 0.01 * ((i + position) % 7)
            reach = 0.2 if i % 2 == 0 else 3.0
            connection.execute(
                "INSERT INTO neuron_preference VALUES (?, ?, ?, ?, ?, ?)",
                (owner, first + i, class_id, odds, odds - reach, odds + reach),
            )


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("speech") / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        # The places of the rooms become genders: a second dataset that has them.
        for old, new in (("indoors", "female"), ("outdoors", "male")):
            connection.execute("UPDATE task_class SET name = ? WHERE name = ?", (new, old))
            connection.execute("UPDATE clip_label SET value = ? WHERE value = ?", (new, old))
        _prefer(connection, EMOTION, 30)
        _prefer(connection, GENDER, 20)
        _prefer(connection, PLACE, 10)
        owner = connection.execute(
            "SELECT model_task.id FROM model_task JOIN model ON model.id = model_id JOIN task ON task.id = task_id "
            "WHERE model.name = ? AND task.name = ?", (MODEL, GENDER),
        ).fetchone()[0]  # fmt: skip
        for feature, group, rate in (("model, groups apart", "voice", 0.6), ("model, groups mixed", "voice", 0.9)):
            connection.execute(
                "INSERT INTO confound_probe VALUES (?, ?, ?, 'accuracy', ?, ?, ?, 0.5, 40, '', '')",
                (owner, feature, group, rate, rate - 0.05, rate + 0.05),
            )
        connection.execute("UPDATE model_task SET shuffled = 'whole voices' WHERE id = ?", (owner,))
        connection.commit()
    return path


@pytest.fixture(scope="module")
def engine(store: Path) -> Engine:
    return open_store(store, read_only=True)


def test_gender_is_told_with_what_goes_with_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model=MODEL)
    # A task of speech comes first, and of these the one with the most neurons that replicate.
    assert app.selectbox(key="select_speech_task").value == EMOTION
    app = show(store, monkeypatch, model=MODEL, speech_task=GENDER)
    assert not app.exception
    assert not app.warning
    told = said(unfold(app, "same", "tree"))
    assert "60% [55%, 65%] of clips of a voice it never heard, on 90% [85%, 95%]" in told
    assert "owed to knowing the voice" in told
    assert "permuted by whole voices" in told
    assert "Two classes only" in told
    assert "lean the same way on female in both" in told
    assert len(app.get("vega_lite_chart")) == 1 + 2 + 1


def test_emotions_grow_a_tree_with_our_arousal(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model=MODEL, speech_task=EMOTION)
    assert not app.exception
    assert "Cophenetic correlation" not in said(app)
    unfold(app, "tree")
    assert "Cophenetic correlation" in said(app)
    assert "arousal (our grouping" in said(app)
    drawn_charts.check(app, 1 + 6 + 1)


def test_a_class_brings_its_sounds(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model=MODEL, speech_task=EMOTION)
    app.selectbox(key="select_speech_class").select("fear").run()
    assert not app.exception
    assert app.query_params["speech_class"] in ("fear", ["fear"])
    assert "What fear sounds like" in [heading.value for heading in app.subheader]
    app.selectbox(key="select_speech_task").select(GENDER).run()
    assert not app.exception
    assert not app.warning
    assert "speech_class" not in app.query_params


@pytest.mark.parametrize("preset", ["calibrated", "aape", "lape"])
def test_trees_of_neuron_sets_open(preset: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, preset=preset, speech_task=EMOTION, by="sets")
    assert not app.exception
    assert ("Cophenetic" in said(app)) != ("A tree needs three classes" in said(app))


@pytest.mark.parametrize(("name", "value"), [("speech_task", "x"), ("by", "y"), ("speech_class", "z")])
def test_what_the_address_cannot_mean_is_told(
    name: str, value: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(store, monkeypatch, **{name: value})
    assert not app.exception
    assert [value in warning.value for warning in app.warning] == [True]


def test_a_store_without_preferences_says_what_brings_them(
    one_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(one_model_store, monkeypatch)
    assert not app.exception
    assert "demo-speech" in app.info[0].value
    assert "--tasks" in app.code[0].value


def test_a_store_without_speech_says_so(one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(one_model_store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        _prefer(connection, "rooms-event", 20)
        connection.commit()
    app = show(path, monkeypatch)
    assert not app.exception
    assert "No task of this store tells something of speech" in said(app)


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(empty_store, monkeypatch)
    assert not app.exception
    assert app.code


def test_preferring_neurons_are_counted(engine: Engine) -> None:
    rows = preferences.preferring(engine, MODEL, GENDER).set_index("class_name")
    assert list(rows.index) == ["female", "male"]
    # Even neurons lean to the first of two classes, and theirs are the narrow intervals.
    assert list(rows["n_prefer"]) == [10, 0]
    assert list(rows["n_shun"]) == [0, 10]
    assert list(rows["n_known"]) == [20, 20]
    assert list(facts.with_chance(rows.reset_index())["by_chance"]) == [0.5, 0.5]


def test_the_strongest_come_first(engine: Engine) -> None:
    rows = preferences.strongest(engine, MODEL, GENDER, "calibrated", ("male", "female"), 3)
    assert list(rows["class_name"]) == ["male"] * 3 + ["female"] * 3
    assert list(rows["neuron"]) == [19, 17, 15, 18, 16, 14]
    verdicts = facts.settled(rows)["verdict"]
    assert list(verdicts) == ["includes 0"] * 3 + ["excludes 0"] * 3
    assert rows.attrs["sql"].count("SELECT task_class.name") == 2


def test_a_class_is_looked_up_in_another_dataset(engine: Engine) -> None:
    common = preferences.classes_in_common(engine, GENDER)
    assert list(common["task"].unique()) == [PLACE]
    rows = preferences.in_two_tasks(engine, MODEL, GENDER, PLACE, "female")
    assert len(rows) == 20
    assert rows["log_odds_b"].notna().sum() == 10
    counts = pd.read_sql("SELECT * FROM activation_probabilities", engine)
    mine = counts[(counts["model"] == MODEL) & (counts["task"] == PLACE)]
    row = rows[rows["log_odds_b"].isna()].iloc[0]
    of_neuron = mine[(mine["layer"] == row["layer"]) & (mine["neuron"] == row["neuron"])].set_index("class_name")
    assert row["fired"] == of_neuron.loc["female", "positive_count"]
    assert row["fired_all"] == of_neuron["positive_count"].sum()
    assert row["tokens_all"] == of_neuron["token_count"].sum()
    assert preferences.one_label(engine, MODEL, PLACE)


def test_profiles_are_thinned_evenly(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(preferences.profiles(engine, MODEL, EMOTION, 30 * 6)) == 30 * 6
    monkeypatch.setattr(preferences, "MOST_PROFILE_ROWS", 90)
    assert len(preferences.profiles(engine, MODEL, EMOTION, 30 * 6)) == 15 * 6


def test_families_are_what_every_clip_of_a_class_has(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    path.write_bytes(store.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        attribute = "(SELECT attribute_id FROM task WHERE name = 'voices-gender')"
        fear = "SELECT clip_id FROM clip_label WHERE value = 'fear'"
        connection.execute(
            f"UPDATE clip_label SET value = 'male' WHERE attribute_id = {attribute} AND clip_id IN ({fear})"
        )
        connection.commit()
    told = preferences.families(open_store(path, read_only=True), EMOTION)
    assert ("gender", "fear", "male") in set(told.itertuples(index=False, name=None))
    assert "anger" not in set(told["class_name"])


def test_counts_stand_in_for_a_missing_log_odds() -> None:
    rows = pd.DataFrame(
        {
            "layer": [0, 1], "neuron": [5, 6], "log_odds_a": [1.0, -1.0], "low_a": [0.5, -3], "high_a": [1.5, 1],
            "log_odds_b": [np.nan, -2.0], "low_b": [np.nan, -3], "high_b": [np.nan, -1], "fired": [9.0, 1],
            "tokens": [20.0, 20], "fired_all": [13.0, 3], "tokens_all": [50.0, 50],
        }
    )  # fmt: skip
    filled = facts.filled_from_counts(rows, one_label=True)
    assert filled["log_odds_b"].iloc[0] == pytest.approx(np.log(9.5 / 11.5) - np.log(4.5 / 26.5))
    assert list(filled["log_odds_b"].iloc[1:]) == [-2]
    assert list(filled["kind"]) == ["no interval", "one includes 0"]
    assert list(facts.filled_from_counts(rows, one_label=False)["neuron"]) == [6]


def test_signs_agree_beside_chance() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    same = facts.sign_agreement(a, a)
    assert same is not None
    assert same.n_agree == 200
    assert same.low == pytest.approx(200 / (200 + 1.96**2))  # Wilson's, all of n
    assert 0.4 < same.by_chance < 0.6
    assert facts.agreement_sentence(same, "a*b").endswith("Above the permutation null.")
    assert r"a\*b" in facts.agreement_sentence(same, "a*b")
    other = facts.sign_agreement(a, rng.normal(size=200))
    assert other is not None
    assert facts.agreement_sentence(other, "x").endswith("Not above the permutation null.")
    nothing = facts.agreement_sentence(same, "x", "calibrated")
    assert nothing.startswith("calibrated chose no neuron")
    assert "**" not in nothing and "More than chance" not in nothing
    assert facts.sign_agreement(a[:0], a[:0]) is None


def _square(values: list[list[float]], names: str) -> pd.DataFrame:
    return pd.DataFrame(values, index=list(names), columns=list(names))


TWO_PAIRS = _square([[0, 0.2, 1, 1], [0.2, 0, 1, 1], [1, 1, 0, 0.4], [1, 1, 0.4, 0]], "abcd")


def test_a_tree_joins_what_is_close() -> None:
    grown = facts.tree(TWO_PAIRS)
    assert grown is not None
    assert grown.cophenetic == pytest.approx(1)  # these distances are a tree's
    assert grown.by_chance < 0.95
    heights = grown.branches.groupby("branch")["height"].max()
    assert sorted(heights) == pytest.approx([0.2, 0.4, 1])
    order = "".join(grown.leaves["class_name"])
    assert {order[:2], order[2:]} in ({"ab", "cd"}, {"ba", "cd"}, {"ab", "dc"}, {"ba", "dc"})
    assert set(grown.branches.loc[grown.branches["height"] == 0, "place"]) == {0, 1, 2, 3}
    assert facts.tree(TWO_PAIRS.iloc[:2, :2]) is None


def test_the_heights_of_a_tree_tell_its_cophenetic_correlation() -> None:
    points = np.random.default_rng(3).normal(size=(9, 3))
    flat = pdist(points)
    grown = facts.tree(pd.DataFrame(squareform(flat), index=list("abcdefghi"), columns=list("abcdefghi")))
    assert grown is not None
    assert grown.cophenetic == pytest.approx(np.corrcoef(flat, cophenet(linkage(flat, "average")))[0, 1])


def test_families_that_lie_closer_are_told() -> None:
    of_class = dict(zip("abcd", "xxyy", strict=True))
    together = facts.compare_families(TWO_PAIRS, facts.Families("family", of_class, ours=False))
    assert together is not None
    assert together.within == pytest.approx(0.3)
    assert together.across == pytest.approx(1)
    assert together.p_value == pytest.approx(1 / 3, abs=0.05)  # one of three ways to pair four
    alone = dict(zip("abcd", "wxyz", strict=True))
    assert facts.compare_families(TWO_PAIRS, facts.Families("family", alone, ours=False)) is None


def test_distances() -> None:
    profiles = pd.DataFrame(
        {"class_name": list("aaabbbccc"), "neuron_id": [1, 2, 3] * 3, "log_odds": [1, 2, 3, 2, 4, 6, 3, 2, 1]}
    )
    square = facts.profile_distances(profiles)
    assert square.loc["a", "b"] == pytest.approx(0)
    assert square.loc["a", "c"] == pytest.approx(2)
    overlaps = pd.DataFrame(
        {
            "class_a": ["a", "a", "b", "a"], "class_b": ["b", "c", "c", "d"], "n_a": [10, 10, 20, 10],
            "n_b": [20, 10, 10, 0], "n_shared": [10, 2, 2, 0], "expected": [2.0, 2.0, 2.0, 0.0],
        }
    )  # fmt: skip
    square = facts.overlap_distances(overlaps)
    assert list(square.index) == ["a", "b", "c"]  # d has no neurons
    assert square.loc["a", "b"] == 0  # one contains the other
    assert square.loc["c", "a"] == 1  # as by chance
    assert facts.overlap_distances(overlaps[:0]).empty


def test_families_are_found() -> None:
    told = pd.DataFrame(
        {
            "attribute": ["family"] * 3 + ["room"] * 3 + ["session"] * 3,
            "class_name": ["x", "y", "z"] * 3,
            "family": ["p", "p", "q", "r", "r", "r", "1", "2", "3"],
        }
    )
    found = facts.find_families(told, "language", ["x", "y", "z"])
    assert [(family.name, family.ours) for family in found] == [("family", False)]
    (arousal,) = facts.find_families(told[:0], "emotion", ["Anger", "sadness", "disgust"])
    assert arousal.ours
    assert arousal.of_class == {"Anger": "high", "sadness": "low", "disgust": "not placed"}


def test_confounds_are_told_in_words() -> None:
    columns = ["feature", "group_name", "accuracy", "ci_low", "ci_high", "chance", "mark"]
    probes = pd.DataFrame(
        [("model", "", 0.4, 0.3, 0.5, 0.2, ""), ("spectrum", "", 0.39, 0.3, 0.5, 0.2, "as good as the model"),
         ("level", "", np.nan, np.nan, np.nan, np.nan, "")], columns=columns,
    )  # fmt: skip
    explained = pd.DataFrame({"explained_by": ["", "level"], "n_pairs": [7, 3]})
    lines = facts.confound_lines(probes, explained, "clips within voice", "calibrated")
    assert len(lines) == 3
    assert "spectrum alone (39% [30%, 50%])" in lines[0]
    assert "3 of 10 pairs" in lines[1]
    assert "(level 3)" in lines[1]
    assert "few of them" not in lines[2]


def test_charts_are_valid() -> None:
    rows = facts.settled(
        pd.DataFrame({"layer": [0], "neuron": [3], "log_odds": [1.0], "ci_low": [0.2], "ci_high": [2.0], "chosen": [1]})
    )
    counts = facts.with_chance(
        pd.DataFrame({"class_name": ["a"], "n_clips": 5, "n_neurons": 40, "n_known": 40, "n_prefer": 3, "n_shun": 2})
    )
    points = pd.DataFrame(
        {"label": ["x"], "log_odds_a": [1.0], "low_a": [0.5], "high_a": [2.0], "log_odds_b": [1.0], "low_b": [np.nan],
         "high_b": [np.nan], "kind": ["no interval"]}
    )  # fmt: skip
    grown = facts.tree(TWO_PAIRS)
    assert grown is not None
    leaves = grown.leaves.assign(family=["x", "x", "y", "not placed"])
    for chart in (
        charts.dots(rows), charts.preferring(counts), charts.two_tasks(points, "a", "b"),
        charts.tree(grown.leaves, grown.branches), charts.tree(leaves, grown.branches, "family", True),
    ):  # fmt: skip
        assert drawn_charts.rows_of(json.loads(chart.to_json()))
