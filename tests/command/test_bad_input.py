"""What users get wrong: one clear line that names it, and exit code 2; bad files are left out by name."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from core.datasets import audio
from db.connection.open import exclusive_run, open_store
from tests.support.small_study import (
    RATE,
    make_dataset,
    query,
    read_manifest,
    run,
    sound,
    tables,
    write_manifest,
)

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture
def pets(clean: Path, tmp_path: Path) -> Path:
    """A dataset to spoil."""
    return Path(shutil.copytree(clean, tmp_path / "pets"))


@pytest.fixture
def refused(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run the command, expect code 2 and nothing in the store; returns the one line."""

    def check(*arguments: object, data: Path | None = None, db: object = None) -> str:
        store = tmp_path / "atlas.db"
        capsys.readouterr()
        assert run("--data-dir", data or clean, "--db", db or store, *arguments) == 2
        told = capsys.readouterr().err
        assert told.startswith("error: ")
        assert told.count("\n") == 1
        assert not store.exists() or query(store, "SELECT COUNT(*) FROM runs") == [(0,)]
        return told.removeprefix("error: ").rstrip("\n")

    return check


def went_on(data: Path, db: Path, *arguments: object, capsys: pytest.CaptureFixture[str]) -> str:
    """Run to the end of scoring; returns all that was told."""
    capsys.readouterr()
    assert run("--data-dir", data, "--db", db, "--stages", "extract,score", *arguments) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def problems(db: Path) -> dict[str, str]:
    return dict(query(db, "SELECT path, reason FROM problem"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tasks", "pets-knid"], "unknown task 'pets-knid'; did you mean pets-kind"),
        (["--tasks", ","], "--tasks is empty; expected 'all' or some of pets-kind, pets-hand"),
        (["--model", "nano-sls"], "unknown model 'nano-sls'; did you mean nano-sl?"),
        (["--model", "qqqq"], "unknown model 'qqqq'; known are nano-ssl"),
        (["--weights", "x.safetensors", "--model", "nano-sl"], "--weights needs exactly one --model"),
        (["--weights", "nowhere.safetensors"], "no weights at nowhere.safetensors"),
        (["--weights", __file__], "test_bad_input.py does not hold a nano model"),
        (["--data-dir", "/nowhere"], "--data-dir /nowhere: no such folder"),
        (["--stages", "extract,scroe"], "--stages 'scroe' is not known; expected extract, score, ablate"),
        (["--stages", ""], "--stages is empty"),
        (["--preset", "appe"], "--preset 'appe' is not known; expected aape, lape, calibrated"),
        (["--ablate", "nonsense"], "--ablate 'nonsense' is not known; expected top:SHARE"),
        (["--ablate", "top:2"], "--ablate 'top:2' is not known"),
        (["--ablate", "top:nan"], "--ablate 'top:nan' is not known"),
        (["--ablate", "lape", "--preset", "aape"], "--ablate lape needs that preset's neurons; add lape to --preset"),
        (["--ablate", ""], "--ablate is empty"),
        (["--gains", "0,half"], "argument --gains: 'half' is not a number, mean or keep; --help shows all options"),
        (["--gains", "nan"], "--gains is nan; expected numbers"),
        (["--gains", ""], "--gains is empty; expected numbers"),
        (["--shuffles", "-1"], "--shuffles is -1; expected 0 or more"),
        (["--shuffles", "many"], "argument --shuffles: 'many' is not a whole number"),
        (["--controls", "1.5"], "argument --controls: '1.5' is not a whole number"),
        (["--limit", "-3"], "--limit is -3; expected 0 or more"),
        (["--batch-size", "big"], "argument --batch-size: 'big' is not a whole number"),
        (["--ablate-clips", "some"], "argument --ablate-clips: 'some' is not a whole number"),
        (["--workers", "0"], "--workers is 0; expected 1 or more"),
        (["--seed", "99999999999999999999"], "--seed is 99999999999999999999; expected less than"),
        (["--entropy-rate", "0"], "--entropy-rate is 0.0; expected a share in (0, 1]"),
        (["--entropy-rate", "nan"], "--entropy-rate is nan; expected a share in (0, 1]"),
        (["--probability-bar", "x"], "argument --probability-bar: 'x' is not a number"),
        (["--activity", "quantile:2"], "--activity: activity is 'quantile:2'; expected quantile:R"),
        (["--bar-scope", "all"], "--bar-scope 'all' is not known; expected task, class"),
        (["--event", "loud"], "--event 'loud' is not known"),
        (["--select-on", "test"], "--select-on 'test' is not known; expected train, all"),
        (["--padding", "drop"], "--padding 'drop' is not known; expected exclude, include"),
        (["--precision", "half"], "--precision 'half' is not known; expected auto, float32, bfloat16"),
        (["--control-layers", "any"], "--control-layers 'any' is not known"),
        (["--device", "gpu"], "--device gpu is not known; expected auto, cpu, cuda, cuda:N or mps"),
        (["--device", "cuda:"], "--device cuda: is not known"),
        (["--device", "cpu:1"], "--device cpu:1 is not known"),
        (["--no-such-option"], "unrecognized arguments: --no-such-option; --help shows all options"),
        (["--db"], "argument --db: expected one argument; --help"),
        (["--db", "nonsense://atlas"], "nonsense://: not a database URL"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_argument_is_told_in_one_line(refused: Refused, arguments: Sequence[str], told: str) -> None:
    assert told in refused(*arguments)


def test_absent_cuda_is_told(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert refused("--device", "cuda") == (
        "--device cuda: PyTorch sees 0 CUDA device(s) here; use --device cpu or auto"
    )


def test_typo_is_told_before_the_demo_makes_any_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    assert run("--tasks", "demo-notes-ptich", "--db", tmp_path / "atlas.db") == 2
    assert "did you mean demo-notes-pitch" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_folder_without_dataset(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    told = refused(data=tmp_path / "empty")
    assert "empty: no dataset found (no sound file); expected a published dataset as unpacked, a manifest.csv" in told


def test_file_in_place_of_a_folder(refused: Refused) -> None:
    assert "no such folder" in refused(data=Path(__file__))


def test_two_datasets_of_one_name(refused: Refused, clean: Path, pets: Path) -> None:
    assert "two datasets are named mine" in refused("--data-dir", f"mine={pets}", "--data-dir", f"mine={clean}")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read as UTF-8 CSV"),
        (b"file,kind\n\xff\xfe.wav,low\n", "cannot be read as UTF-8 CSV"),
        (b"file,kind\na.wav,low,more\n", "cannot be read as UTF-8 CSV"),
        (b'file,kind\n"a.wav,low\n', "cannot be read as UTF-8 CSV"),
        (b"path,kind\na.wav,low\n", "has no column 'file' (found: path, kind)"),
        (b"file|kind\na.wav|low\n", "has no column 'file' (found: file|kind)"),
        (b"file,split\na.wav,train\n", "has no attribute column"),
        (b"file,kind,kind\na.wav,low,high\n", "has the column 'kind' twice"),
        (b"file,,kind\na.wav,x,low\n", "has a column without a name"),
        (b"file,kind\n", "lists no usable clip"),
        (b"file,split,kind\na.wav,held-out,low\n", "has the split 'held-out'; expected train"),
        (b"file,kind\nnone.wav,low\nno.wav,high\n", "no usable clip; first reason: file not found"),
    ],
    ids=["empty", "no UTF-8", "long row", "open quote", "no file column", "bars", "no attribute",
         "column twice", "nameless column", "no row", "wrong split", "no file"],
)  # fmt: skip
def test_bad_manifest_is_told_with_its_path(refused: Refused, tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.csv").write_bytes(content)
    line = refused("--tasks", "odd-kind", data=tmp_path / "odd")
    assert told in line
    assert str(tmp_path / "odd") in line


def test_bad_files_are_left_out_by_name_and_the_rest_goes_on(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside.wav"
    soundfile.write(outside, sound("low", 1, 1), RATE)
    soundfile.write(pets / "nan.wav", np.full(800, np.nan), RATE, subtype="FLOAT")
    soundfile.write(pets / "none.wav", np.zeros(0), RATE)
    soundfile.write(pets / "odd-rate.wav", sound("low", 1, 1), 9_999_991)
    (pets / "empty.wav").write_bytes(b"")
    (pets / "text.wav").write_text("this is no sound")
    (pets / "raw.raw").write_bytes(bytes(3200))
    (pets / "pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (pets / "cut.flac").write_bytes((pets / "000.flac").read_bytes()[:60])
    (pets / "folder.wav").mkdir()
    (pets / "link.wav").symlink_to(outside)
    (pets / "loop.wav").symlink_to(pets / "loop.wav")
    expected = {
        "nan.wav": "holds NaN or infinite samples",
        "none.wav": "holds no samples",
        "odd-rate.wav": "has 9999991 Hz, which cannot be resampled to 16000 Hz",
        "empty.wav": "file is empty (0 bytes)",
        "text.wav": "cannot be read as audio",
        "raw.raw": "cannot be read as audio",
        "pointer.wav": "is a Git LFS pointer, not audio; run 'git lfs pull'",
        "cut.flac": "cannot be read as audio",
        "folder.wav": "is a folder, not a file",
        "gone.wav": "file not found",
        "link.wav": "leads out of the dataset's folder through a link",
        "loop.wav": "is a link that leads nowhere",
        "../outside.wav": "leaves the dataset's folder",
        str(outside): "is an absolute path; give paths relative to the folder",
    }
    rows = read_manifest(pets)
    more = [{"file": file, "split": "train", "kind": "low", "hand": "left"} for file in expected]
    again = rows[0]
    nameless = {"file": "", "split": "train", "kind": "low", "hand": "left"}
    wrong_split = {"file": "001.wav", "split": "held-out", "kind": "low", "hand": "left"}
    write_manifest(pets, [*more[:-1], *rows, more[-1], again, nameless, wrong_split])
    told = went_on(pets, tmp_path / "atlas.db", "--no-follow-links", capsys=capsys)
    assert "and 11 more, all in " in told
    assert "1 rows say again what another says; they count once" in told
    found = problems(tmp_path / "atlas.db")
    for file, reason in expected.items():
        assert reason in found.pop(file), file
    assert found == {
        f"manifest.csv line {len(rows) + len(more) + 3}": "has no file name",
        "001.wav": "has the split 'held-out'; expected train, valid or test, or in all rows fold 1, fold 2 and so on",
    }
    assert query(tmp_path / "atlas.db", "SELECT COUNT(*) FROM clip") == [(24,)]
    before = tables(tmp_path / "atlas.db")
    assert "nothing was changed" in went_on(pets, tmp_path / "atlas.db", "--no-follow-links", capsys=capsys)
    assert tables(tmp_path / "atlas.db") == before


def test_unusual_sound_works(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    six = np.stack([sound("low", 0.7, i, 96_000) for i in range(6)], axis=1)
    soundfile.write(pets / "six.wav", six, 96_000, subtype="PCM_24")
    soundfile.write(pets / "old.ogg", sound("high", 0.7, 3, 22_050), 22_050)
    soundfile.write(pets / "short.wav", sound("high", 0.001, 3), RATE)
    more = [{"file": f, "split": "train", "kind": "low", "hand": "left"} for f in ("six.wav", "old.ogg", "short.wav")]
    write_manifest(pets, [*read_manifest(pets), *more])
    went_on(pets, tmp_path / "atlas.db", capsys=capsys)
    assert problems(tmp_path / "atlas.db") == {}
    seconds = dict(query(tmp_path / "atlas.db", "SELECT path, duration_seconds FROM clip"))
    assert seconds["six.wav"] == pytest.approx(0.7, abs=1e-3)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_left_out(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pets / "000.flac").chmod(0)
    went_on(pets, tmp_path / "atlas.db", capsys=capsys)
    assert "cannot be read (Permission denied)" in problems(tmp_path / "atlas.db")["000.flac"]


def test_class_of_one_clip_is_warned_of_and_goes_on(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_manifest(pets)
    rows[0]["kind"] = "rare"
    write_manifest(pets, rows)
    told = went_on(pets, tmp_path / "atlas.db", capsys=capsys)
    assert "rare (1)" in told
    classes = "SELECT DISTINCT class_name FROM activation_probabilities WHERE task = 'pets-kind' ORDER BY class_name"
    assert query(tmp_path / "atlas.db", classes) == [("high",), ("low",), ("noise",), ("rare",)]


def test_attribute_with_one_class_or_a_class_a_clip_is_left_out_and_said(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "place": "home", "name": row["file"]} for row in read_manifest(pets)]
    write_manifest(pets, rows)
    told = went_on(pets, tmp_path / "atlas.db", capsys=capsys)
    assert "left out: pets-place: 1 class, nothing to tell apart" in told
    assert "left out: pets-name: 24 values over 24 clips look like names of single clips" in told
    tasks = "SELECT DISTINCT task FROM task_coverage ORDER BY task"
    assert query(tmp_path / "atlas.db", tasks) == [("pets-hand",), ("pets-kind",)]


def test_nothing_left_to_run(refused: Refused, pets: Path) -> None:
    write_manifest(pets, [{"file": row["file"], "place": "home"} for row in read_manifest(pets)])
    assert refused(data=pets).startswith("no task to run; --list shows what was found")


def test_missing_test_split_skips_probe_and_ablation_with_the_reason(pets: Path, tmp_path: Path) -> None:
    write_manifest(pets, [{**row, "split": "train"} for row in read_manifest(pets)])
    db = tmp_path / "atlas.db"
    assert run("--data-dir", pets, "--db", db, "--tasks", "pets-kind") == 0
    assert query(db, "SELECT COUNT(*) FROM task_coverage") == [(3,)]
    assert query(db, "SELECT COUNT(*) FROM ablation_effects") == [(0,)]
    reason = "the test split has no clip of a class that is in train"
    assert reason in query(db, "SELECT skipped FROM probe")[0][0]
    (note,) = json.loads(query(db, "SELECT notes_json FROM runs")[0][0])
    assert note.startswith(f"pets-kind: not ablated (top 1%), no linear probe: {reason}")


def test_missing_split_column_is_drawn_by_the_seed_and_said(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(pets, [{"file": row["file"], "kind": row["kind"]} for row in read_manifest(pets)])
    db = tmp_path / "atlas.db"
    told = went_on(pets, db, "--seed", "3", capsys=capsys)
    assert "its split is ours, drawn with seed 3" in told
    assert query(db, "SELECT split_origin FROM dataset") == [("ours",)]
    splits = dict(query(db, "SELECT split, COUNT(*) FROM clip GROUP BY split"))
    assert splits == {"train": 15, "valid": 3, "test": 6}


def test_store_of_a_newer_version(refused: Refused, tmp_path: Path) -> None:
    db = tmp_path / "newer.db"
    open_store(db).dispose()
    connection = sqlite3.connect(db)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    assert "newer.db: written by a newer version of this program (schema 9999" in refused(db=db)


def test_store_that_is_no_database_is_left_alone(refused: Refused, tmp_path: Path) -> None:
    db = tmp_path / "letter.db"
    db.write_text("Dear reader, " * 100)
    assert "letter.db: not an SQLite database; give --db another path" in refused(db=db)
    assert db.read_text().startswith("Dear reader")


@pytest.mark.parametrize(
    ("db", "told"),
    [
        ("no/atlas.db", "its folder does not exist"),
        ("file/atlas.db", "its folder does not exist"),
        ("pets", "is a folder"),
    ],
)
def test_store_in_an_impossible_place(refused: Refused, pets: Path, tmp_path: Path, db: str, told: str) -> None:
    (tmp_path / "file").write_text("")
    line = refused(db=tmp_path / db)
    assert str(tmp_path / db) in line
    assert told in line


def test_store_where_not_even_root_may_write(refused: Refused) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here")
    assert "/proc/self/atlas.db" in refused(db="/proc/self/atlas.db")


def test_second_run_at_once_is_refused(refused: Refused, tmp_path: Path) -> None:
    db = tmp_path / "busy.db"
    with exclusive_run(db):
        told = refused(db=db)
    assert f"another run (pid {os.getpid()}, host " in told
    assert "is writing to busy.db; wait for it to end, or give this run another --db" in told


def test_password_of_a_url_is_neither_shown_nor_stored() -> None:
    from core.run.config import AnalysisConfig

    config = AnalysisConfig(db="postgresql+psycopg://me:secret@host:5432/atlas")
    assert config.shown_db == "postgresql+psycopg://me:***@host:5432/atlas"
    assert "secret" not in json.dumps(config.as_dict())
    assert AnalysisConfig(db="a:b@c.db").shown_db == "a:b@c.db"


@pytest.mark.parametrize("change", ["gone", "other sound", "broken"])
def test_file_that_changes_during_the_run_is_named(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    from core.run import inputs

    looked = inputs.scan

    def meddle(*arguments: Any) -> Any:
        scanned = looked(*arguments)
        file = pets / "013.wav"
        if change == "gone":
            file.unlink()
        elif change == "broken":
            file.write_bytes(b"")
        else:
            soundfile.write(file, sound("noise", 1, 5), RATE)
        return scanned

    monkeypatch.setattr(inputs, "scan", meddle)
    db = tmp_path / "atlas.db"
    assert run("--data-dir", pets, "--db", db, "--stages", "extract,score") == 1
    told = capsys.readouterr().err
    reason = {"gone": "file not found", "broken": "file is empty (0 bytes)", "other sound": "was changed while"}[change]
    assert told.count("\n") == 1
    assert f"{pets / '013.wav'} was " in told
    assert reason in told
    assert "run the same command again" in told
    monkeypatch.setattr(inputs, "scan", looked)
    assert run("--data-dir", pets, "--db", db, "--stages", "extract,score") == 0
    assert query(db, "SELECT COUNT(*) FROM clip") == [(24 if change == "other sound" else 23,)]


def test_bad_audio_is_a_value_error_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(audio.BadAudio, match="^file not found$"):
        audio.load(tmp_path / "gone.wav", RATE)
