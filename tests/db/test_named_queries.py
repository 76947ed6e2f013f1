"""The named queries run on every store, and find what they say."""

from __future__ import annotations

import csv
import io
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from db.connection.open import open_store
from db.reads.named import NAMED, main
from tests.support.taken_apart import write_apart


@pytest.mark.parametrize("name", NAMED)
def test_every_query_has_a_title_and_runs_on_an_empty_store(name: str, empty_reader: Engine) -> None:
    title, sql = NAMED[name]
    assert title and not title.endswith(".")
    with empty_reader.connect() as connection:
        assert connection.execute(text(sql)).all() == []


def test_queries_on_a_small_study(tiny_reader: Engine) -> None:
    with tiny_reader.connect() as connection:
        found = {name: connection.execute(text(sql)).mappings().all() for name, (_, sql) in NAMED.items()}
    assert {(r["preset"], r["coverage"]) for r in found["coverage"] if r["task"] == "pets-animal"} == {
        ("aape", 0.5), ("calibrated", 1.0), ("lape", 0.0)
    }  # fmt: skip
    layers = {(r["preset"], r["layer"]): (r["n_class_specific"], r["n_neurons"], r["share"]) for r in
              found["neurons by layer"]}  # fmt: skip
    assert layers["calibrated", 0] == (1, 2, 0.5)
    assert layers["calibrated", 1] == (1, 1, 1.0)
    assert layers["lape", 0] == (0, 2, 0.0)
    (row,) = found["self and cross"]
    assert (row["target"], row["self_delta"], row["self_q_value"], row["cross_delta"]) == ("cat", -0.5, 0.5, None)
    (row,) = found["linear heads"]
    assert (row["task"], row["accuracy"], row["chance"]) == ("pets-animal", 0.75, 0.5)
    (compared,) = [r for r in found["models compared"] if r["preset"] == "calibrated"]
    assert (compared["n_tasks"], compared["coverage"], compared["null_coverage"]) == (1, 1.0, 0.25)
    lowest = [(row["layer"], row["neuron"], row["top_class"], row["entropy"]) for row in found["lowest entropies"]
              if row["task"] == "pets-animal"]  # fmt: skip
    assert lowest == [(0, 0, "cat", 0.0), (1, 0, "cat", pytest.approx(math.log(2)))], "who never fires has none"


def test_the_kind_of_effect_is_told_by_rule_and_outcome(synthetic_store: Path, tmp_path: Path) -> None:
    engine = open_store(write_apart(Path(shutil.copy(synthetic_store, tmp_path / "atlas.db"))), read_only=True)
    with engine.connect() as connection:
        found, read = (
            connection.execute(text(NAMED[name][1])).mappings().all()
            for name in ("what kind of effect", "what can still be read")
        )
    of = {(row["selection"], row["outcome"]): row for row in found}
    assert {name for name, _ in of} == {"mad 1%", "mad 5%"}
    one = of["mad 1%", "selective"]
    assert (one["n_neurons"], one["n_classes"], one["n_hold"]) == (4, 8, 4)
    assert one["change"] == pytest.approx(-0.4, abs=1e-5)
    assert of["mad 5%", "shift"]["change"] == pytest.approx(-1.5, abs=1e-5)
    assert len(read) == 16 and all(row["readable_refit"] >= row["accuracy_ablated"] for row in read)
    engine.dispose()


def test_dead_neurons_are_those_of_no_task_in_models_that_were_scored(tiny_engine: Engine) -> None:
    in_layer = "neuron_id IN (SELECT id FROM neuron WHERE layer = 1)"
    with tiny_engine.begin() as connection:
        connection.execute(text(f"UPDATE neuron_entropy SET max_probability = 0 WHERE {in_layer}"))
        connection.execute(
            text(
                "INSERT INTO model (id, name, weights_key, n_layers, n_neurons, first_neuron_id, sample_rate,"
                " n_parameters, description, licence) VALUES (99, 'not scored', '', 1, 1, 900, 16000, 1, '', '')"
            )
        )
        connection.execute(
            text("INSERT INTO neuron (id, model_id, layer, neuron, flat_index) VALUES (900, 99, 0, 0, 0)")
        )
        found = connection.execute(text(NAMED["dead neurons"][1])).mappings().all()
    assert [(r["layer"], r["n_dead"], r["n_neurons"]) for r in found] == [(0, 1, 2), (1, 1, 1)]


SHARED = [
    ("demo-notes-octave", "4", "demo-synth-octave", "4", 3, 5, 2),
    ("surge-octave", "5", "nsynth-octave", "4", 7, 2, 1),
    ("surge-octave", "5", "surge-octave", "6", 7, 2, 1),
    ("demo-digits-gender", "male", "demo-speech-gender", "female", 1, 2, 0),
    ("esc50", "dog", "gise51", "cough", 4, 5, 3),
    ("esc50", "dog", "gise51", "bell", 4, 0, 0),  # a class without neurons shares none
    ("gtzan", "jazz", "gtzan", "classical", 26, 30, 13),
    ("cremad", "anger", "cremad", "happiness", 22, 30, 11),
    ("demo-speech-language", "czech", "demo-speech-language", "polish", 3, 3, 1),
    ("esc50", "dog", "surge-octave", "4", 4, 5, 0),
]


@pytest.fixture
def shared() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute(
        "CREATE TABLE shared_neurons (model, preset, task_a, class_a, task_b, class_b, n_a, n_b, n_shared,"
        " expected, p_value, q_value, nested, odds_ratio, odds_low, odds_high)"
    )
    for *names, n_a, n_b, n_shared in SHARED:
        values = ("m", "lape", *names, n_a, n_b, n_shared, 0.5, 0.01, 0.04 if n_shared > 1 else 0.2, 0, 2.0, 1.5, 3.0)
        connection.execute(f"INSERT INTO shared_neurons VALUES ({', '.join('?' * 16)})", values)
    return connection


def test_pairs_across_tasks_come_once_whichever_way_round_they_are_stored(shared: sqlite3.Connection) -> None:
    columns = ("task_a", "class_a", "task_b", "class_b", "n_a", "n_b", "n_shared", "same_class")
    found = [tuple(row[c] for c in columns) for row in shared.execute(NAMED["sharing by octave"][1])]
    assert found == [
        ("demo-notes-octave", "4", "demo-synth-octave", "4", 3, 5, 2, 1),
        ("nsynth-octave", "4", "surge-octave", "5", 2, 7, 1, 0),
    ]
    (gender,) = shared.execute(NAMED["sharing by gender"][1]).fetchall()
    assert (gender["class_a"], gender["class_b"], gender["same_class"]) == ("male", "female", 0)
    (event,) = shared.execute(NAMED["sharing by event"][1]).fetchall()
    assert (event["class_a"], event["class_b"], event["n_shared"]) == ("dog", "cough", 3)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("sharing of genres", ("jazz", "classical")),
        ("sharing of emotions", ("anger", "happiness")),
        ("sharing of languages", ("czech", "polish")),
    ],
)
def test_pairs_within_a_task(shared: sqlite3.Connection, name: str, classes: tuple[str, str]) -> None:
    (row,) = shared.execute(NAMED[name][1]).fetchall()
    assert (row["class_a"], row["class_b"]) == classes


def test_beyond_chance_leaves_out_pairs_of_one_task_and_what_chance_gives(shared: sqlite3.Connection) -> None:
    found = [(row["class_a"], row["class_b"]) for row in shared.execute(NAMED["sharing beyond chance"][1])]
    assert found == [("dog", "cough"), ("4", "4")]


def test_no_query_can_be_taken_for_one_with_parameters() -> None:
    assert not [name for name, (_, sql) in NAMED.items() if ":" in sql or "%" in sql]


def test_one_is_printed_as_csv(tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tiny_store), "coverage"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("model,") and len(rows) == 4, "and a task in time"
    assert main([]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(NAMED)
    for wrong in ([str(tiny_store)], [str(tiny_store), "no such"], [str(tmp_path / "none.db"), "coverage"]):
        assert main(wrong) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_no_name_is_a_formula(tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Path(shutil.copy(tiny_store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE model SET name = '=HYPERLINK(\"http://evil.example\")'")
        connection.commit()
    assert main([str(store), "coverage"]) == 0
    assert {row["model"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))} == {
        '\'=HYPERLINK("http://evil.example")'
    }
