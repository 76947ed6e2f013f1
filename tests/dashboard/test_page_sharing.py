"""The sharing page: what stands beside a shared neuron, the network, the list; and its reads."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sqlalchemy import Engine

from core.scoring.sharing import shared_neurons
from dashboard.views.sharing import charts, facts
from db.connection.open import open_store
from db.reads import clips, neurons, sharing, study
from db.reads.named import NAMED
from tests.support import pages
from tests.support.drawn_charts import rows_of
from tests.support.pages import asked, said, unfold

show = partial(pages.show, "sharing")


@pytest.fixture(scope="module")
def store(one_model_store: Path) -> Path:
    return one_model_store


@pytest.fixture(scope="module")
def engine(store: Path) -> Engine:
    return open_store(store, read_only=True)


@pytest.fixture
def pairs() -> pd.DataFrame:
    """Four classes of one task among 1,000 neurons: a and b alike, c apart from both, d without neurons."""
    mask = np.zeros((4, 1000), dtype=bool)
    mask[0, :300] = True
    mask[1, 20:320] = True
    mask[2, 320:620] = True
    return facts.judged(shared_neurons("aape", [("t", ["a", "b", "c", "d"], mask)], {("t", "a", "b")}).pairs)


def test_the_figures_are_those_of_the_named_queries() -> None:
    for query, tasks in [*facts.ACROSS.values(), *facts.WITHIN.values()]:
        sql = NAMED[query][1]
        named = sql.split("task_a IN (")[1].split(")")[0]
        assert named == ", ".join(f"'{task}'" for task in tasks)


def test_figures_are_resolved_against_the_store() -> None:
    tasks = ["demo-notes-octave", "demo-synth-octave", "esc50", "gtzan"]
    assert facts.figures(tasks) == {
        "Octaves": ("demo-synth-octave", "demo-notes-octave"), "Genres": ("gtzan", "gtzan")
    }  # fmt: skip
    assert "events (two of esc50" in facts.missing(tasks).replace("\\", "")
    assert "genres" not in facts.missing(tasks)
    assert facts.figures([]) == {}


def test_pairs_are_judged_on_both_sides(pairs: pd.DataFrame) -> None:
    verdict = {(row.class_a, row.class_b): row.verdict for row in pairs.itertuples()}
    assert verdict == {
        ("a", "b"): facts.MORE, ("a", "c"): facts.FEWER, ("b", "c"): facts.FEWER,
        **{(name, "d"): facts.NO_NEURONS for name in "abc"},
    }  # fmt: skip
    ratios = pairs.set_index(["class_a", "class_b"])["log2_ratio"]
    assert ratios["a", "b"] == pytest.approx(np.log2(280 / 90))
    assert ratios["a", "c"] == -np.inf
    assert np.isnan(ratios["a", "d"])


def test_q_of_fewer_is_the_normal_tail_of_the_log_odds_corrected() -> None:
    rows = pd.DataFrame({
        "n_a": 9, "n_b": 9, "n_shared": 1, "expected": 4.0, "q_value": 1.0, "odds_ratio": [0.6, 0.1, 2.0],
        "odds_low": [0.3, 0.05, 1.0], "odds_high": [1.2, 0.2, 4.0],
    })  # fmt: skip
    judged = facts.judged(rows)
    error = np.log(4) / (2 * facts.Z_95)
    p = norm.cdf(np.log([0.6, 0.1, 2.0]) / error)
    assert judged["q_fewer"].tolist() == pytest.approx([p[0] * 3 / 2, p[1] * 3, p[2]])
    assert judged["verdict"].tolist() == [facts.AS_CHANCE, facts.FEWER, facts.AS_CHANCE]


def test_within_a_task_the_matrix_is_whole(pairs: pd.DataFrame) -> None:
    cells = facts.matrix(pairs, within=True)
    counts = cells.pivot(index="class_a", columns="class_b", values="n_shared")
    assert (counts.to_numpy() == counts.to_numpy().T).all()
    assert counts.to_numpy()[0, 1] == 280
    assert np.diag(counts).tolist() == [300, 300, 300, 0]
    swapped = cells[(cells["class_a"] == "d") & (cells["class_b"] == "a")].iloc[0]
    assert (swapped["n_a"], swapped["n_b"]) == (0, 300)
    assert facts.matrix(pairs, within=False) is pairs
    assert facts.most_telling(cells, "a", 2) == ["a", "b"]


def test_what_is_contained_by_definition_is_never_the_clearest(pairs: pd.DataFrame) -> None:
    assert pairs.loc[0, "nested"] == 1
    assert facts.clearest(pairs) == (None, None)
    assert facts.clearest(pairs.assign(nested=0)) == ("a", "b")
    told = facts.sentences(pairs, within=True)
    assert told == [
        "Of 3 pairs of classes that have neurons, **1** share more than chance gives (q < 0.05) and **2** fewer."
    ]
    assert facts.sentences(pairs.head(1), within=True)[0].startswith("Of 1 pair of classes")


def test_same_names_in_two_tasks_are_told_apart_from_different_ones() -> None:
    mask = np.zeros((2, 500), dtype=bool)
    mask[0, :40] = mask[1, 40:80] = True
    names = ["<b>low</b>", "high"]
    both = shared_neurons("aape", [("s", names, mask), ("n", names, mask)]).pairs
    across = facts.judged(both[both["task_a"] != both["task_b"]])
    told = facts.sentences(across, within=False)
    assert "**2 of 2** share more than chance; of different names: **0 of 2**" in told[1]
    assert "\\<b\\>low" in told[2] or "high of s" in told[2]
    assert "share **40** neurons where 3.2 are expected by chance" in told[2]


def test_the_network_joins_what_shares_more(pairs: pd.DataFrame) -> None:
    nodes, edges = facts.network(pairs, ["a", "b", "c", "d"])
    assert nodes["class_name"].tolist() == ["a", "b"]
    (edge,) = edges.to_dict("records")
    assert (edge["x"], edge["y"]) == tuple(nodes.loc[0, ["x", "y"]])
    assert edge["log_odds"] == pytest.approx(np.log(edge["odds_ratio"]))
    nodes, edges = facts.network(pairs.assign(verdict=facts.AS_CHANCE), ["a", "b"])
    assert nodes.empty
    assert edges.empty


def test_linked_nodes_lie_nearer_than_others_and_none_on_another() -> None:
    edges = np.array([[0, 1], [1, 2], [0, 2], [3, 4], [4, 5], [3, 5]])
    place = facts.layout(6, edges, np.ones(6))
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    linked = [distance[a, b] for a, b in edges]
    assert max(linked) < distance[:3, 3:].min()
    assert min(linked) > 0.02
    assert place.min() >= 0
    assert place.max() <= 1
    assert np.array_equal(place, facts.layout(6, edges, np.ones(6)))
    assert facts.layout(0, np.empty((0, 2), dtype=int), np.empty(0)).shape == (0, 2)


def test_the_matrix_colours_only_what_stands_and_marks_what_is_contained(pairs: pd.DataFrame) -> None:
    cells = facts.matrix(pairs, within=True)
    names = ("a", "b", "c", "d")
    spec = charts.sharing_matrix(cells, names, names, ("t", "t"), ("a", "b")).to_dict()
    coloured, grey, _, contained = spec["layer"]
    assert coloured["transform"][0]["filter"] == "datum.stands"
    low, high = coloured["encoding"]["color"]["scale"]["domain"]
    assert high == -low == pytest.approx(np.log2(280 / 90))
    assert grey["transform"][0]["filter"] == "!datum.stands"
    assert "color" not in grey["encoding"]
    assert contained["transform"][0]["filter"] == "datum.nested == 1"
    part = charts.sharing_matrix(cells, ("a",), ("b",), ("t", "t")).to_dict()
    (rows,) = rows_of(part)
    assert [(row["class_a"], row["class_b"]) for row in rows] == [("a", "b")]


def test_the_network_is_drawn_with_groups_or_without(pairs: pd.DataFrame) -> None:
    nodes, edges = facts.network(pairs, ["a", "b", "c"])
    lines, points, _ = charts.class_network(nodes, edges, {"a": "x", "b": "y"}, ("b", "a")).to_dict()["layer"]
    assert points["encoding"]["color"]["scale"]["domain"] == ["x", "y"]
    assert lines["encoding"]["strokeDash"]["condition"]["test"] == "datum.nested == 1"
    assert "scale" not in charts.class_network(nodes, edges).to_dict()["layer"][1]["encoding"]["color"]


def test_the_list_holds_the_neurons_of_both_classes(engine: Engine) -> None:
    counted = study.shared(engine, "nano-ssl", "calibrated", "notes-pitch", "rooms-event")
    row = counted.sort_values("n_shared").iloc[-1]
    place = ("nano-ssl", "calibrated", "notes-pitch", row["class_a"], "rooms-event", row["class_b"])
    listed = sharing.shared_list(engine, *place)
    assert len(listed) == row["n_shared"] > 0
    assert listed[["lift_a", "lift_b"]].min(axis=1).is_monotonic_decreasing
    first = listed.iloc[0]
    of_neuron = neurons.neuron(engine, "nano-ssl", int(first["layer"]), int(first["neuron"])).set_index(
        ["task", "class_name"]
    )["activation_probability"]
    assert first["probability_a"] == of_neuron["notes-pitch", row["class_a"]]
    assert first["probability_b"] == of_neuron["rooms-event", row["class_b"]]


def test_the_clips_of_a_class_begin_with_those_the_neuron_fires_in_most(engine: Engine) -> None:
    top = clips.neuron_clips(engine, "nano-ssl", "rooms", 2, 7)
    label = str(top["labels"].iloc[0]).split(", ")[0].removeprefix("event: ")
    found = sharing.clips_of_class(engine, "nano-ssl", 2, 7, "rooms-event", label, 4)
    assert len(found) == 4
    assert found["clip_id"].iloc[0] == top["clip_id"].iloc[0]
    assert found["rank"].iloc[0] == 1
    assert set(found["class_name"]) == {label}
    ranks = found["rank"].fillna(np.inf)
    assert ranks.is_monotonic_increasing
    assert found["clip_id"].is_unique


def test_within_a_task_the_page_has_matrix_network_list_and_player(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(store, monkeypatch, task="notes-pitch", preset="calibrated", row="A3", column="C4")
    assert not app.warning
    assert "pairs of classes that have neurons" in said(app)
    assert (asked(app, "row"), asked(app, "column")) == ("A3", "C4")
    assert len(app.get("vega_lite_chart")) == 1
    assert "there is nothing to join" in said(unfold(app, "network"))
    app.button(key="fold_pair").click().run()
    assert not app.dataframe and asked(app, "row") == "A3", "what is folded is not made"
    app.query_params["column"] = "D4"
    app.run()
    assert app.button(key="fold_pair").label == "Fold", "what is asked for anew is open"


def test_across_tasks_the_list_links_to_the_neurons(
    store: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = study.shared(engine, "nano-ssl", "calibrated", "notes-pitch", "rooms-event")
    row = counted.sort_values("n_shared").iloc[-1]
    state = {"task": "notes-pitch", "with": "rooms-event", "row": row["class_a"], "column": row["class_b"]}
    app = show(store, monkeypatch, preset="calibrated", **state)
    assert {name: asked(app, name) for name in state} == state
    listed = app.dataframe[0].value
    assert len(listed) == row["n_shared"]
    assert all(link.startswith("neuron?") for link in listed["link"])
    picked = app.selectbox(key="select_neuron")
    assert picked.value == f"{listed['layer'].iloc[0]}.{listed['neuron'].iloc[0]}"
    assert any("3 clips of each class" in caption.value for caption in app.caption)


def test_two_tasks_of_the_same_clips_are_said_to_share_them(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, task="notes-pitch", **{"with": "notes-family"})
    assert "share clips" in app.warning[0].value


def test_a_figure_leads_to_its_tasks(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tmp_path / "atlas.db"
    shutil.copy(store, known)
    with closing(sqlite3.connect(known)) as connection:
        for old, new in (("rooms-event", "esc50"), ("notes-family", "gise51")):
            connection.execute("UPDATE task SET name = ? WHERE name = ?", (new, old))
        connection.commit()
    app = show(known, monkeypatch, task="notes-pitch")
    figure = next(group for group in app.button_group if "Figures" in group.label)
    assert figure.options == ["Events"]
    figure.select("Events").run()
    assert not app.exception
    assert (asked(app, "task"), asked(app, "with")) == ("esc50", "gise51")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM shared_neuron", "No shared neurons are stored"),
        ("UPDATE shared_neuron SET n_a = 0, n_b = 0, n_shared = 0, odds_ratio = NULL", "none can be shared"),
    ],
)
def test_a_store_without_sharing_says_so(
    damage: str, told: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "atlas.db"
    shutil.copy(store, bare)
    with closing(sqlite3.connect(bare)) as connection:
        connection.execute(damage)
        connection.commit()
    app = show(bare, monkeypatch, task="notes-pitch")
    assert told in app.info[0].value


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(empty_store, monkeypatch)
    assert app.code[0].value.startswith("python run_analysis.py")
