"""Made sounds through a model by the command: each set once, on top of what is there, and what they say of classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.encoders.base import Encoder
from core.run.stages import stimuli as stage
from core.stimuli.design import Design
from core.stimuli.respond import Responses
from core.stimuli.sets import SETS, StimulusSet
from tests.support.small_study import NEURONS, make_dataset, query, run, tables

RECORD = ("--stages", "extract,score", "--match", "none", "--shuffles", "30")


@pytest.fixture
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of two repetitions a cell."""
    fewer = {name: replace(of, design=Design(of.design.factors, 2)) for name, of in SETS.items()}
    monkeypatch.setattr(stage, "SETS", fewer)


def test_sets_are_asked_once_on_top_of_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_sets: None
) -> None:
    db = tmp_path / "atlas.db"
    command = ("--db", db, *RECORD, "--data-dir", make_dataset(tmp_path / "pets"), "--tasks", "pets-kind")
    assert run(*command) == 0
    assert query(db, "SELECT * FROM stimulus_sets") == []
    before = tables(db)
    assert run(*command, "--stimuli", "fundamental,noise") == 0
    assert "made sounds noise · of" in " ".join(capsys.readouterr().out.split())
    after = tables(db)
    changed = {name for name in after if after[name] != before.get(name)}
    made = {
        name for name in after if name.startswith(("stimulus", "unit_factor", "unit_tuning", "unit_inv", "confound_an"))
    }
    assert changed - made <= {"run", "run_step", "stage", "sqlite_stat1"}, "what was there stays"
    assert query(db, "SELECT DISTINCT stimulus_set, n_stimuli, n_permutations FROM stimulus_sets ORDER BY 1") == [
        ("fundamental", 40, 30), ("noise", 36, 30),
    ]  # fmt: skip
    (n_varying,) = query(db, "SELECT DISTINCT n_varying FROM stimulus_sets WHERE stimulus_set = 'noise'")[0]
    assert 50 < n_varying <= NEURONS
    assert query(db, "SELECT COUNT(*) FROM unit_factors WHERE stimulus_set = 'noise'") == [(2 * n_varying,)]
    found = query(db, "SELECT factor, SUM(n_found) FROM stimulus_layers WHERE stimulus_set = 'noise' GROUP BY 1")
    assert dict(found)["centre"] > 20, "a network of drawn weights, too, tells one band from another"
    assert query(db, "SELECT COUNT(*) FROM stimulus_tuning")[0][0] > 100
    asked = query(db, "SELECT DISTINCT question FROM confound_answers")
    n_specific = query(db, "SELECT COUNT(*) FROM class_specific_neurons")[0][0]
    assert asked == ([("follows",)] if n_specific else [])
    assert run(*command, "--stimuli", "fundamental,noise") == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert run(*command, "--stimuli", "gaps") == 0
    again = tables(db)
    assert again["unit_factor"] != after["unit_factor"] and set(after["unit_factor"]) <= set(again["unit_factor"])


def test_a_set_that_fails_stops_no_other_and_is_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_sets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, respond = tmp_path / "atlas.db", stage.respond

    def broken(encoder: Encoder, stimuli: StimulusSet, *rest: Any) -> Responses:
        if stimuli.name == "noise":
            raise RuntimeError("no such luck")
        return respond(encoder, stimuli, *rest)

    pets = make_dataset(tmp_path / "pets", 12)
    command = ("--db", db, *RECORD, "--data-dir", pets, "--tasks", "pets-kind", "--units", "residual")
    command += ("--stimuli", "fundamental,noise,gaps")
    monkeypatch.setattr(stage, "respond", broken)
    assert run(*command) == 1
    assert "made sounds noise: RuntimeError: no such luck" in " ".join(capsys.readouterr().err.split())
    there = "SELECT DISTINCT unit_kind, stimulus_set FROM unit_factors ORDER BY 2"
    assert query(db, there) == [("residual", "fundamental"), ("residual", "gaps")]
    monkeypatch.setattr(stage, "respond", respond)
    assert run(*command) == 0
    assert "made sounds gaps" not in capsys.readouterr().out, "what is there is not asked again"
    assert [name for _, name in query(db, there)] == ["fundamental", "gaps", "noise"]


def test_the_same_command_gives_the_same_numbers_and_another_seed_others(tmp_path: Path, small_sets: None) -> None:
    pets = make_dataset(tmp_path / "pets", 12)
    found = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        db = tmp_path / f"{name}.db"
        asked = (
            "--db",
            db,
            *RECORD,
            "--data-dir",
            pets,
            "--tasks",
            "pets-kind",
            "--stimuli",
            "snr",
            "--seed",
            seed,
        )
        assert run(*asked) == 0
        found.append(query(db, "SELECT * FROM unit_factors ORDER BY layer, unit, factor"))
    assert found[0] == found[1] != found[2]


def test_a_set_whose_package_is_missing_is_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = replace(SETS["voices"], package="no-such-package", module="no_such_package")
    monkeypatch.setattr(stage, "SETS", {**SETS, "voices": missing})
    pets = make_dataset(tmp_path / "pets", 12)
    db = tmp_path / "atlas.db"
    assert run("--db", db, *RECORD, "--data-dir", pets, "--tasks", "pets-kind", "--stimuli", "voices") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "made sounds voices: left out" in told and "no-such-package" in told
    assert query(db, "SELECT * FROM stimulus_sets") == []


def test_an_unknown_set_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--stimuli", "bells") == 2
    assert "bells is no set of made sounds; expected all, or of tones," in " ".join(capsys.readouterr().err.split())
