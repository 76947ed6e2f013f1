"""Partners of two models' units in the store: written both ways, counted by hand, gone with what they came from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from core.results import Matching, Partners
from db.connection.open import StoreError
from db.reads import matching
from db.reads.named import NAMED
from db.reads.pipeline import stored_models
from db.writes.store import Store
from tests.support.tiny_study import DATASET, MODEL, rows, write_study

FACTS = {"n_clips": 20, "n_held_out": 8, "n_sampling_units": 5, "n_deals": 24, "dealt": "whole groups of clips",
         "taken_out": "animal"}  # fmt: skip


def partners(index: list[int], partner: list[int], is_partner: list[bool], is_beyond: list[bool]) -> Partners:
    n = len(index)
    r = np.linspace(0.9, 0.5, n)
    units = pd.DataFrame(
        {
            "neuron_index": index, "partner_index": partner, "correlation": r, "second": np.nan,
            "mutual": is_partner, "is_partner": is_partner, "is_beyond": is_beyond, "p_value": 0.001,
            "q_value": [0.01 if one else 0.5 for one in is_partner], "null_high": 0.25, "held_out": r - 0.25,
            "held_out_low": 0.125, "held_out_high": np.nan, "within": 0.0625, "within_low": 0.0, "within_high": 0.5,
            "within_p": 0.03, "within_q": 0.04,
        }
    )  # fmt: skip
    return Partners(units, 0.125, 0.25)


def record(models: tuple[str, str] = ("tiny", "twin")) -> Matching:
    """Neuron (0, 0) and the twin's (1, 0) are each other's, beyond the classes; (0, 1) does not vary in tiny."""
    there = partners([0, 2], [2, 1], [True, False], [True, False])
    back = partners([0, 1, 2], [2, 2, 0], [False, False, True], [False, False, True])
    return Matching("pets", models, (there, back), FACTS)


@pytest.fixture
def store(tiny_engine: Engine) -> Store:
    twin = write_study(tiny_engine, "twin")
    store = Store(tiny_engine)
    store.write_matching(1, "match", twin, record())
    return store


def test_both_directions_are_told_by_every_view(store: Store) -> None:
    found = rows(
        store.engine,
        "SELECT model, unit_kind, partner_model, partner_kind, layer, unit, partner_layer, partner_unit, is_partner,"
        " is_beyond, correlation, second, held_out, held_out_high, within_q FROM unit_partners"
        " ORDER BY model, layer, unit",
    )
    of = ("mlp", "twin", "mlp"), ("mlp", "tiny", "mlp")
    assert found == [
        ("tiny", *of[0], 0, 0, 1, 0, 1, 1, 0.9, None, 0.65, None, 0.04),
        ("tiny", *of[0], 1, 0, 0, 1, 0, 0, 0.5, None, 0.25, None, 0.04),
        ("twin", *of[1], 0, 0, 1, 0, 0, 0, 0.9, None, 0.65, None, 0.04),
        ("twin", *of[1], 0, 1, 1, 0, 0, 0, 0.7, None, 0.45, None, 0.04),
        ("twin", *of[1], 1, 0, 0, 0, 1, 1, 0.5, None, 0.25, None, 0.04),
    ]
    columns = "n_matched, n_partners, share, null_share, null_share_high, n_beyond, share_beyond, n_clips, dealt"
    assert rows(store.engine, f"SELECT model, {columns} FROM matched_models ORDER BY model") == [
        ("tiny", 2, 1, 0.5, 0.125, 0.25, 1, 0.5, 20, "whole groups of clips"),
        ("twin", 3, 1, 1 / 3, 0.125, 0.25, 1, 1 / 3, 20, "whole groups of clips"),
    ]
    sql = "SELECT model, class_name, n_units, n_partners, share, share_of_all, n_beyond FROM partner_shares"
    assert rows(store.engine, f"{sql} WHERE preset = 'calibrated' ORDER BY model, class_name") == [
        ("tiny", "cat", 1, 1, 1.0, 0.5, 1),
        ("tiny", "dog", 1, 0, 0.0, 0.5, 0),
        ("twin", "cat", 1, 0, 0.0, 1 / 3, 0),
        ("twin", "dog", 1, 1, 1.0, 1 / 3, 1),
    ]


def test_reads_of_pages(store: Store) -> None:
    engine = store.engine
    (row,) = matching.matchings(engine, "tiny").to_dict("records")
    assert (row["partner_model"], row["n_alike"], row["n_partners"], row["taken_out"]) == ("twin", 1, 1, "animal")
    by_layer = matching.partners_by_layer(engine, "tiny", "pets")
    assert by_layer[["layer", "n_matched", "n_partners", "share"]].to_numpy().tolist() == [[0, 1, 1, 1], [1, 1, 0, 0]]
    assert (by_layer["low"] < by_layer["high"]).all()
    pairs = matching.partners(engine, "twin", "tiny", "pets")
    assert pairs[["layer", "neuron", "partner_layer", "partner_neuron"]].to_numpy().tolist() == [[1, 0, 0, 0]]
    shares = matching.partner_shares(engine, "tiny", "twin", "pets-animal", "calibrated")
    assert shares[["class_name", "n_units", "n_partners", "n_all", "n_matched"]].to_numpy().tolist() == [
        ["cat", 1, 1, 1, 2], ["dog", 1, 0, 1, 2]
    ]  # fmt: skip
    (row,) = matching.neuron_partners(engine, "tiny", 0, 0).to_dict("records")
    assert (row["partner_layer"], row["partner_neuron"], row["held_out"], row["n_deals"]) == (1, 0, 0.65, 24)
    assert matching.neuron_partners(engine, "tiny", 0, 1).empty, "it does not vary"


def test_the_named_query_finds_units_with_a_partner(store: Store) -> None:
    found = rows(store.engine, NAMED["units with a partner"][1])
    assert [row[:3] for row in found] == [("tiny", "mlp", "twin"), ("twin", "mlp", "tiny")]


def test_written_again_it_replaces_both(store: Store) -> None:
    store.write_matching(1, "match anew", 1, record(("twin", "tiny")))
    assert not store.is_done("match") and store.is_done("match anew")
    counted = "SELECT n_matched FROM matched_models ORDER BY model"
    assert rows(store.engine, counted) == [(3,), (2,)]


def test_marks_go_with_the_matrices_of_either_and_rows_with_the_dataset(store: Store) -> None:
    store.forget_stages(1, "pets")
    assert not store.is_done("match")
    assert len(rows(store.engine, "SELECT * FROM unit_partners")) == 5
    store.write_matching(1, "match", 1, record())
    store.register_dataset(replace(DATASET, content_key="other"), replace=True)
    assert not store.is_done("match")
    for table in ("matching", "unit_partner"):
        assert rows(store.engine, f"SELECT * FROM {table}") == []


def test_a_model_that_is_not_there_is_refused_and_nothing_stored(store: Store) -> None:
    with pytest.raises(StoreError, match="model gone is not in the store"):
        store.write_matching(1, "match of none", 1, record(("tiny", "gone")))
    assert not store.is_done("match of none")


def test_models_of_the_store_are_told_with_what_their_matrices_hang_on(store: Store) -> None:
    first, second = stored_models(store.engine)
    assert (first.name, second.name) == ("tiny", "twin")
    assert (first.weights_key, first.layer_widths, first.unit_kind) == (MODEL.weights_key, MODEL.layer_widths, "mlp")
