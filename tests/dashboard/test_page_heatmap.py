"""The heatmap's page: counts beside their null, groups of classes, all neurons; and its reads."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard.shared.charts.groups import colours, groupings, in_groups
from dashboard.shared.theme import NULL_COLOUR
from dashboard.views.heatmap import charts, facts
from dashboard.views.heatmap import picture as neuron_picture
from db.connection.open import open_store
from db.reads import heatmap, study
from tests.support import pages
from tests.support.pages import asked, said, unfold

GROUP = {"bell": "inside", "door": "inside", "cough": "alive", "dog": "alive"}  # the rest: outside
show = partial(pages.show, "heatmap")


@pytest.fixture(scope="module")
def store(one_model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with shuffles; events have a group, and places that no group of them shares."""
    path = Path(shutil.copy(one_model_store, tmp_path_factory.mktemp("heatmap") / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        dataset = connection.execute("SELECT id FROM dataset WHERE name = 'rooms'").fetchone()[0]
        event = connection.execute(
            "SELECT id FROM attribute WHERE dataset_id = ? AND name = 'event'", (dataset,)
        ).fetchone()[0]  # fmt: skip
        connection.execute(
            "INSERT INTO attribute (id, dataset_id, position, name) VALUES (900, ?, 9, 'group')", (dataset,)
        )
        labels = connection.execute("SELECT clip_id, value FROM clip_label WHERE attribute_id = ?", (event,)).fetchall()
        connection.executemany(
            "INSERT INTO clip_label (clip_id, attribute_id, value) VALUES (?, 900, ?)",
            [(clip, GROUP.get(value, "outside")) for clip, value in labels],
        )
        connection.execute("UPDATE selection SET null_n_pairs_mean = 9.6, null_n_pairs_high = 48 WHERE preset = 'lape'")
        connection.execute("UPDATE neuron_entropy SET q_value = CASE WHEN neuron_id % 2 = 0 THEN 0.001 ELSE 0.5 END")
        connection.commit()
    return path


@pytest.fixture(scope="module")
def engine(store: Path) -> Engine:
    return open_store(store, read_only=True)


def charts_of(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


def test_an_attribute_in_which_every_class_has_one_value_is_a_grouping(engine: Engine) -> None:
    groups = heatmap.class_groups(engine, "rooms-event")
    assert set(groups["attribute"]) == {"group"}
    assert dict(zip(groups["class_name"], groups["group_name"], strict=True)) == {
        name: GROUP.get(name, "outside") for name in ("bell", "cough", "dog", "door", "rain", "siren", "train", "wind")
    }
    assert heatmap.class_groups(engine, "notes-pitch").empty
    assert heatmap.class_groups(engine, "no such task").empty


@pytest.mark.parametrize("damage", ["other value", "no value", "two values"])
def test_one_clip_is_enough_to_spoil_a_grouping(damage: str, store: Path, tmp_path: Path) -> None:
    shutil.copy(store, tmp_path / "atlas.db")
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        clip = "SELECT MAX(clip_id) FROM clip_label WHERE attribute_id = 900 AND value = 'alive'"
        done = {
            "other value": f"UPDATE clip_label SET value = 'inside' WHERE attribute_id = 900 AND clip_id = ({clip})",
            "no value": f"DELETE FROM clip_label WHERE attribute_id = 900 AND clip_id = ({clip})",
            "two values": f"INSERT INTO clip_label (clip_id, attribute_id, value) VALUES (({clip}), 900, 'inside')",
        }
        connection.execute(done[damage])
        connection.commit()
    spoilt = open_store(tmp_path / "atlas.db", read_only=True)
    assert heatmap.class_groups(spoilt, "rooms-event").empty


def test_classes_are_ordered_by_group_and_else_as_they_come() -> None:
    groups = pd.DataFrame(
        {
            "attribute": ["octave"] * 3 + ["letter"] * 3, "class_name": ["60", "61", "72"] * 2,
            "group_name": ["4", "4", "5", "C", "D", "C"],
        }
    )  # fmt: skip
    classes = ["60", "61", "72"]
    assert groupings(groups, classes) == ["octave", "letter"]
    order = in_groups(classes, groups, "letter")
    assert order.classes == ("60", "72", "61")
    assert order.groups == ("C", "D")
    assert colours(order)[0] == colours(order)[1] != colours(order)[2]
    assert in_groups([*classes, "new"], groups, "octave").group_of is None
    assert in_groups(classes, groups, None).classes == tuple(classes)


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.02, 0.03, 0.7, 2.5, 30.0, 650.0])
def test_the_limit_of_a_cell_is_that_of_a_poisson_count(mean: float) -> None:
    counts = pd.DataFrame({"n_neurons": [0], "expected_null": [mean / 2]})
    limit = facts.beside_null(counts, 10.0, 20.0)["limit"].iloc[0]
    assert limit == poisson.ppf(0.975, mean)


def test_a_cell_stands_only_beyond_its_limit_and_never_without_a_null() -> None:
    counts = pd.DataFrame({"n_neurons": [3, 4], "expected_null": [0.5, 0.5]})
    judged = facts.beside_null(counts, 1.0, 2.0)  # its part of the high: 1; Poisson's 97.5 %: 3
    assert judged["limit"].tolist() == [3, 3]
    assert judged["stands"].tolist() == [False, True]
    assert judged["above"].tolist() == [2.5, 3.5]
    unknown = facts.beside_null(counts.assign(expected_null=np.nan), np.nan, np.nan)
    assert not unknown["stands"].any()
    assert unknown["limit"].isna().all()
    assert facts.beside_null(counts.assign(expected_null=0.0), 0.0, 0.0)["stands"].all()


def test_what_the_null_gives_is_drawn_grey_and_zero_too(engine: Engine) -> None:
    counts = study.layer_class_counts(engine, "nano-ssl", "rooms-event", "lape")
    cells = facts.beside_null(counts, 9.6, 48.0)
    assert cells["limit"].unique().tolist() == [3]  # 48 / 6 layers / 8 classes = 1
    groups = heatmap.class_groups(engine, "rooms-event")
    order = in_groups(list(dict.fromkeys(counts["class_name"])), groups, "group")
    spec = charts.count_heatmap(cells, (1, "dog"), False, order, "above").to_dict()
    encoding = spec["layer"][0]["encoding"]
    assert encoding["color"] == {"value": NULL_COLOUR, "condition": encoding["color"]["condition"]}
    assert (encoding["color"]["condition"]["test"], encoding["color"]["condition"]["field"]) == (
        "datum.stands",
        "above",
    )
    assert encoding["fillOpacity"]["value"] < 0.2, "nothing at all is the palest grey, not a pale blue"
    assert [one["test"] for one in encoding["fillOpacity"]["condition"]] == ["datum.stands", "datum.n_neurons > 0"]
    assert spec["layer"][0]["encoding"]["x"]["sort"] == list(order.classes)
    titles = {tip["title"] for tip in spec["layer"][0]["encoding"]["tooltip"]}
    assert {"Observed minus expected", "Most that chance gives (97.5 %)"} <= titles


def test_every_neuron_is_read_with_its_class_and_q(engine: Engine) -> None:
    neurons = heatmap.neuron_entropies(engine, "nano-ssl", "rooms-event")
    assert len(neurons) == 384
    assert neurons["top_class"].isna().sum() >= 5  # those that never fire
    assert (neurons["top_class"].isna() == neurons["entropy"].isna()).all()
    assert set(neurons["entropy_q_value"]) == {0.001, 0.5}
    assert heatmap.has_entropy_q(engine, "nano-ssl", "rooms-event")
    assert not heatmap.has_entropy_q(engine, "nano-ssl", "no such task")
    picture = neuron_picture.picture(neurons, ("bell", "dog"), None)
    assert len(picture.drawn) == 384
    assert picture.layers == (0, 1, 2, 3, 4, 5)


def test_the_page_tells_counts_beside_their_null(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, task="rooms-event", preset="calibrated")
    assert not app.warning
    assert "cells are above the permutation null" in said(app)
    assert len(charts_of(app)) == 2
    unfold(app, "all")
    counts, _, everything = charts_of(app)
    bands = [layer for layer in counts["layer"] if layer["encoding"].get("color", {}).get("field") == "group"]
    assert len(bands) == 1
    assert everything["layer"][0]["mark"]["type"] == "image"
    assert any("grey ones have not" in caption.value for caption in app.caption)


def test_what_is_folded_is_not_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> pd.DataFrame:
        raise AssertionError("read")

    monkeypatch.setattr(heatmap, "neuron_entropies", fail)
    app = show(store, monkeypatch, task="rooms-event", preset="calibrated")
    assert "every neuron of nano\\-ssl as a pixel" in said(app)


def test_the_address_restores_switch_groups_colour_and_block(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"task": "rooms-event", "show": "above null", "groups": "none", "colour": "entropy q", "block": "2-0"}
    app = show(store, monkeypatch, layer="3", class_="dog", **state)
    assert not app.warning
    for name, value in state.items():
        assert asked(app, name) == value
    counts = charts_of(app)[0]
    assert counts["layer"][0]["encoding"]["color"]["condition"]["field"] == "above"
    assert all(layer["encoding"].get("color", {}).get("field") != "group" for layer in counts["layer"])
    inside = app.dataframe[-1].value
    assert set(inside["layer"]) == {2}
    assert all(link.startswith("neuron?") and "layer=2" in link for link in inside["link"])


def test_without_shuffles_nothing_is_grey_and_the_page_says_so(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "atlas.db"
    shutil.copy(store, bare)
    with closing(sqlite3.connect(bare)) as connection:
        connection.execute(
            "UPDATE selection SET n_shuffles = 0, null_n_pairs_mean = NULL, null_n_pairs_high = NULL,"
            " null_n_class_specific_mean = NULL, null_coverage_low = NULL, null_coverage_high = NULL"
        )
        connection.execute("UPDATE neuron_entropy SET q_value = NULL")
        connection.commit()
    app = show(bare, monkeypatch, task="rooms-event")
    assert "no shuffled-label null was computed" in said(app)
    assert all("stands" not in str(layer.get("transform")) for layer in charts_of(app)[0]["layer"])
    assert "show" not in app.query_params
    unfold(app, "all")
    assert any("was not computed" in caption.value for caption in app.caption)


def test_a_selector_that_was_not_run_is_told(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "atlas.db"
    shutil.copy(store, bare)
    with closing(sqlite3.connect(bare)) as connection:
        connection.execute("DELETE FROM selection WHERE preset = 'aape'")
        connection.commit()
    app = show(bare, monkeypatch, task="rooms-event", preset="aape")
    assert "was not run" in app.info[0].value


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(empty_store, monkeypatch)
    assert app.code[0].value.startswith("python run_analysis.py")
