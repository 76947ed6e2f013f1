"""Options that say which data and which weights: what they do, and what is refused."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.datasets import InputError
from core.datasets.manifest import read
from core.datasets.published.base import Options
from core.datasets.published.voxceleb1 import VoxCeleb1
from core.datasets.scan import scan
from core.progress import console
from core.progress.progress import Progress
from core.run import inputs
from core.run.config import AnalysisConfig
from tests.support import replicas_speech_music, small_study, tiny_m2d
from tests.support.small_study import make_dataset, query


def run(*arguments: object) -> int:
    return small_study.run(*arguments, quick=False)


SCORE = ("--stages", "extract,score", "--shuffles", "2", "--model", "nano-ssl", *small_study.small_network())


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert run(*arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    return told.removeprefix("error: ").rstrip()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--length", "long"], "--length 'long' is not known; expected native, unit"),
        (["--remap", "Norway"], "--remap Norway is not known; expected WRONG=RIGHT"),
        (["--remap", "=France"], "--remap =France is not known"),
        (["--evar-dir", "/nowhere"], "--evar-dir /nowhere: no such folder"),
        (["--weights-config", "80x608p16x16", "--model", "nano-ssl"], "--weights-config is for m2d checkpoints"),
        (["--model", "m2d"], "m2d needs --weights"),
        (["--model", "m2d:a.pth", "--weights", "b.pth"], "m2d:a.pth names its checkpoint already"),
        (["--model", "hf:/nowhere/model"], "/nowhere/model"),
        (["--model", "torchaudio:HUBERT"], "HUBERT_BASE"),
        (["--model", "python:no_such_module_here"], "no_such_module_here"),
    ],
)
def test_wrong_option_is_told_in_one_line(
    arguments: list[str], told: str, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in refused(capsys, "--data-dir", clean, "--db", tmp_path / "atlas.db", *arguments)


def test_strict_stops_before_computing_where_something_is_amiss(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pets = Path(shutil.copytree(clean, tmp_path / "pets"))
    db = tmp_path / "atlas.db"
    shutil.copy(pets / "000.flac", pets / "002.flac")
    told = refused(capsys, "--data-dir", pets, "--db", db, "--strict", *SCORE)
    assert told == "--strict: pets: 1 sounds occur more than once (000.flac = 002.flac)"
    assert query(db, "SELECT COUNT(*) FROM runs") == [(0,)]
    assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert run("--data-dir", clean, "--db", tmp_path / "clean.db", "--strict", *SCORE) == 0


def test_strict_takes_a_note_for_no_fault_and_another_number_of_clips_for_one(clean: Path, tmp_path: Path) -> None:
    looked = scan(read(clean), tmp_path / "scan.csv")
    config, progress = AnalysisConfig(strict=True), Progress(console.output())
    for told, faulty in (
        ({"notes": ("pets: purr",)}, False),
        ({"unexpected": ("pets: 24 clips found, 9 published",)}, True),
    ):
        changed = replace(looked, dataset=replace(looked.dataset, **told))  # type: ignore[arg-type]
        stopped = pytest.raises(InputError, match="--strict: pets: 24 clips") if faulty else nullcontext()
        with stopped:
            inputs.tell_of(changed, tmp_path / "report.csv", config, progress)


def test_unit_length_is_said_to_be_unknown_of_own_data(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data-dir", clean, "--db", tmp_path / "atlas.db", "--length", "unit", *SCORE) == 0
    assert "pets has no unit length; clips keep their own" in capsys.readouterr().out


def test_remap_corrects_a_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    root = replicas_speech_music.REPLICAS["vc1"](tmp_path)
    told = []
    for remap in ([], ["--remap", "Norway=Atlantis"]):
        assert run("--list", "--data-dir", root, *remap) == 0
        told.append(capsys.readouterr().out)
    assert "Norway" in told[0]
    assert "Atlantis" not in told[0]
    assert "Atlantis" in told[1]
    assert "values of nationality found, 36 published" in told[1]


@pytest.mark.parametrize(
    ("remap", "told"),
    [
        ({}, " published"),
        ({"Norway": "Atlantis"}, " published"),
        ({"Norway": "France"}, " published that --remap makes 35"),
        ({"Norway": "USA", "France": "USA"}, " published that --remap makes 34"),
    ],
)
def test_number_of_nationalities_is_that_after_the_remap(remap: dict[str, str], told: str, tmp_path: Path) -> None:
    root = replicas_speech_music.REPLICAS["vc1"](tmp_path)
    (line,) = [n for n in VoxCeleb1().read(root, Options(remap=remap)).unexpected if "of nationality found" in n]
    assert line.partition("36")[2] == told


def test_other_weights_under_a_known_name_are_refused_and_two_checkpoints_go_side_by_side(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for seed in (0, 1):
        folder = tmp_path / f"{tiny_m2d.NAME}{seed}"
        folder.mkdir()
        torch.save(tiny_m2d.random_state(seed=seed), folder / "checkpoint.pth")
        paths.append(folder)
    db = tmp_path / "atlas.db"
    of_data = ("--data-dir", clean, "--db", db, "--stages", "extract,score", "--shuffles", "2")
    assert run(*of_data, "--model", "m2d", "--weights", paths[0]) == 0
    before = query(db, "SELECT * FROM activation_probabilities")
    told = refused(capsys, *of_data, "--model", "m2d", "--weights", paths[1])
    assert "the store holds results of 'm2d' with other weights" in told
    assert query(db, "SELECT * FROM activation_probabilities") == before
    assert run(*of_data, "--model", f"m2d:{paths[0]}", "--model", f"m2d:{paths[1]}") == 0
    names = {name for (name,) in query(db, "SELECT DISTINCT model FROM activation_probabilities")}
    assert names == {"m2d", *(f"m2d:{path.name}" for path in paths)}
    licences = {licence for (licence,) in query(db, "SELECT licence FROM model")}
    assert all("NTT" in licence for licence in licences)
