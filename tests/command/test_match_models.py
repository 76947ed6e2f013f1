"""Units of two models are matched by the command: by default within a run, with those of the store, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InputError
from core.results import ModelRecord
from core.run.partners import pairs
from tests.support.small_study import SETTINGS, make_dataset, query, run, small_network

RECORD = ("--stages", "extract,score", "--tasks", "pets-kind")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets", 60)


def test_models_of_a_run_are_matched_once(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    command = ("--data-dir", pets, "--db", tmp_path / "atlas.db", *RECORD, "--untrained", *small_network())
    assert run(*command) == 0
    assert "each other's most alike; dealt clips" in capsys.readouterr().out.replace("\n", " ")
    found = query(
        tmp_path / "atlas.db", "SELECT model, partner_model, n_matched, n_clips, n_held_out FROM matched_models"
    )
    assert [row[:2] for row in found] == [("nano-ssl", "nano-untrained"), ("nano-untrained", "nano-ssl")]
    assert all(0 < n <= 256 and (clips, held) == (36, 24) for _, _, n, clips, held in found)
    assert run(*command) == 0
    assert "nothing was changed" in capsys.readouterr().out


def test_models_of_the_store_are_matched_where_that_is_asked_for(pets: Path, tmp_path: Path) -> None:
    command = ("--data-dir", pets, "--db", tmp_path / "atlas.db", *RECORD, *SETTINGS)
    named = ("--model", "other=nano-ssl", *small_network(1))
    assert run(*command, "--match", "none", "--model", "nano-ssl", *small_network(0), quick=False) == 0
    assert run(*command, *named, quick=False) == 0
    count = "SELECT COUNT(*) FROM matched_models"
    assert query(tmp_path / "atlas.db", count) == [(0,)]
    assert run(*command, *named, "--match", "store", quick=False) == 0
    assert query(tmp_path / "atlas.db", count) == [(2,)]


def model(name: str, kind: str = "mlp") -> ModelRecord:
    return ModelRecord(name, name, (2,), 16_000, unit_kind=kind)


def test_pairs_are_of_one_kind_unless_models_are_named() -> None:
    run_of, store = [model("b"), model("a"), model("b/pca", "pca")], [model("a"), model("c"), model("c/pca", "pca")]

    def named(*match: str) -> list[tuple[str, str]]:
        return [(a.name, b.name) for a, b in pairs(match, run_of, store, "cpu", pytest.fail)]

    assert named("run") == named("auto") == [("a", "b")]
    assert named("store") == [("a", "b"), ("a", "c"), ("b", "c"), ("b/pca", "c/pca")]
    assert named("none") == []
    assert named("b", "b/pca") == [("b", "b/pca")]
    assert named("c", "a") == [("a", "c")]
    with pytest.raises(InputError, match="--match d is no model"):
        named("a", "d")
    with pytest.raises(InputError, match="neither is a model of this run"):
        named("c", "c/pca")


def test_large_models_are_matched_on_a_cpu_only_if_asked_for() -> None:
    run_of = [ModelRecord(name, name, (36_864,), 16_000) for name in "ab"]
    told: list[str] = []
    assert pairs(("auto",), run_of, [], "cpu", told.append) == []
    assert told == ["a and b: on a CPU so many units are matched only if asked for: --match run"]
    for match, device in (("auto", "cuda"), ("run", "cpu")):
        assert pairs((match,), run_of, [], device, pytest.fail) == [tuple(run_of)]


def test_what_no_models_are_is_told_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert run("--db", tmp_path / "atlas.db", "--match", "some") == 2
    assert "--match is some; expected auto, run, store, none, or" in capsys.readouterr().err.replace("\n", " ")


def test_too_few_clips_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = make_dataset(tmp_path / "data" / "pets", 15)
    command = ("--data-dir", few, "--db", tmp_path / "atlas.db", *RECORD, "--untrained", *small_network())
    assert run(*command) == 0
    assert "9 train and valid clips; at least 10 are needed" in capsys.readouterr().out.replace("\n", " ")
