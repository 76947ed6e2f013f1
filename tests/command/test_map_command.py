"""A map of a model's units is made by the command where that is asked for: once, and anew with other data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_study import NEURONS, make_dataset, query, run

RECORD = ("--stages", "extract,score", "--match", "none")
FACTS = "SELECT datasets, n_clips, n_units, trustworthiness > trustworthiness_chance FROM unit_maps"


def test_a_map_is_of_all_datasets_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = tmp_path / "atlas.db"
    pets = ("--data-dir", make_dataset(tmp_path / "pets"))
    command = ("--db", db, *RECORD, *pets, "--tasks", "pets-kind")
    assert run(*command) == 0
    assert query(db, FACTS) == []
    assert run(*command, "--map") == 0
    assert "on a map over 24 clips; trustworthiness" in " ".join(capsys.readouterr().out.split())
    assert query(db, FACTS) == [("pets", 24, NEURONS, 1)]
    before = query(db, "SELECT * FROM unit_map")
    assert 10 < len(before) <= NEURONS
    assert run(*command, "--map") == 0
    assert "nothing was changed" in capsys.readouterr().out
    toys = ("--data-dir", make_dataset(tmp_path / "toys", 12))
    both = ("--db", db, *RECORD, *pets, *toys, "--tasks", "pets-kind,toys-kind", "--map")
    assert run(*both) == 0
    assert sorted(query(db, FACTS)[0][0].split(", ")) == ["pets", "toys"]
    assert query(db, FACTS)[0][1] == 36 and query(db, "SELECT * FROM unit_map") != before


def test_too_few_clips_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pets = make_dataset(tmp_path / "pets", 9)
    assert run("--db", tmp_path / "atlas.db", *RECORD, "--data-dir", pets, "--tasks", "pets-kind", "--map") == 0
    assert "no map, too few units that vary or too few clips" in " ".join(capsys.readouterr().out.split())
