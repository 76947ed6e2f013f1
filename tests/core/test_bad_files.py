"""Bad files beside good ones: the good ones' results are those without them, each bad one is named once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.small_study import RATE, query, read_manifest, results, run, sound, write_manifest

QUICK = ("--stages", "extract,score")
REASONS = {
    "empty.wav": "file is empty (0 bytes)",
    "text.wav": "cannot be read as audio",
    "nan.wav": "holds NaN or infinite samples",
    "no samples.wav": "holds no samples",
    "pointer.wav": "is a Git LFS pointer, not audio",
    "folder.wav": "is a folder, not a file",
    "loop.wav": "is a link that leads nowhere",
    "to nothing.wav": "is a link that leads nowhere",
    "outside.wav": "leads out of the dataset's folder through a link",
    "truncated.flac": "cannot be read as audio",
    "truncated.wav": "is cut off: 8,000 bytes of the sound",
    "locked.wav": "cannot be read",
}
ONLY_LISTED = {"missing.wav": "file not found", "../away.wav": "leaves the dataset's folder", "": "has no file name"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "outside.wav", sound("low", 0.5, 99), RATE)
    return tmp_path / "outside.wav"


def add_bad_files(folder: Path, outside: Path) -> dict[str, str]:
    """Every kind of bad file in a folder; name to reason."""
    reasons = dict(REASONS)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("a note on how this was recorded\n" * 9)
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan] * 400), RATE, subtype="FLOAT")
    soundfile.write(folder / "no samples.wav", np.zeros(0), RATE)
    (folder / "pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (folder / "folder.wav").mkdir()
    (folder / "folder.wav" / "inside.wav").touch()
    (folder / "loop.wav").symlink_to(folder / "loop 2.WAV")
    (folder / "to nothing.wav").symlink_to(folder / "nothing")
    (folder / "outside.wav").symlink_to(outside)
    soundfile.write(folder / "truncated.flac", sound("noise", 1.0, 1), RATE)
    whole = (folder / "truncated.flac").read_bytes()
    (folder / "truncated.flac").write_bytes(whole[: len(whole) // 2])
    soundfile.write(folder / "truncated.wav", sound("noise", 0.5, 1), RATE)
    (folder / "truncated.wav").write_bytes((folder / "truncated.wav").read_bytes()[:-8000])
    (folder / "locked.wav").write_bytes(outside.read_bytes())
    (folder / "locked.wav").chmod(0)
    if os.access(folder / "locked.wav", os.R_OK):  # as the administrator, who may read all
        (folder / "locked.wav").unlink()
        del reasons["locked.wav"]
    return reasons


def check_named_once(db: Path, printed: str, reasons: dict[str, str]) -> None:
    """In the store, in the report and, the first five, on the screen."""
    stored = query(db, "SELECT path, reason FROM problem ORDER BY id")
    assert sorted(path for path, _ in stored) == sorted(reasons)
    for path, reason in stored:
        assert reason.startswith(reasons[path]), path
    report = (db.parent / f"{db.stem}.files" / "reports" / "pets.csv").read_text()
    assert len(report.splitlines()) == 1 + len(reasons)
    lines = [line.strip() for line in printed.splitlines() if line.strip().startswith("left out: ")]
    assert lines == [f"left out: {path}: {reason}" for path, reason in stored[:5]]
    assert f"and {len(reasons) - 5:,} more, all in {db.parent}" in printed


@pytest.mark.parametrize("with_split", [True, False])
def test_manifest_with_bad_files(
    with_split: bool, outside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(_manifest_rows(tmp_path / "pets", with_split))
    write_manifest(tmp_path / "pets", rows)
    assert run("--data-dir", tmp_path / "pets", "--db", tmp_path / "good.db", *QUICK) == 0
    reasons = add_bad_files(tmp_path / "pets", outside) | ONLY_LISTED
    bad = [{**rows[i % 2], "file": name} for i, name in enumerate(reasons)]
    # Before, between and after the good ones.
    write_manifest(tmp_path / "pets", [*bad[:3], *rows[:10], *bad[3:6], *rows[10:], *bad[6:]])
    lines = [i for i, row in enumerate(read_manifest(tmp_path / "pets"), start=2) if not row["file"]]
    capsys.readouterr()
    assert run("--data-dir", tmp_path / "pets", "--db", tmp_path / "bad.db", "--no-follow-links", *QUICK) == 0
    reasons[f"manifest.csv line {lines[0]}"] = reasons.pop("")
    check_named_once(tmp_path / "bad.db", capsys.readouterr().out, reasons)
    assert results(tmp_path / "bad.db") == results(tmp_path / "good.db")
    assert query(tmp_path / "bad.db", "SELECT COUNT(*) FROM class_specific_neurons") > [(0,)]


def _manifest_rows(folder: Path, with_split: bool) -> Iterator[dict[str, str]]:
    folder.mkdir()
    for i in range(24):
        kind = ("low", "high")[i % 2]
        soundfile.write(folder / f"{i:02}.wav", sound(kind, 0.4, i), RATE)
        split = {"split": ("train", "train", "test", "valid")[i // 2 % 4]} if with_split else {}
        yield {"file": f"{i:02}.wav", **split, "kind": kind}


def test_folders_of_classes_with_bad_files(outside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(24):
        kind = ("low", "high")[i % 2]
        (tmp_path / "pets" / kind).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "pets" / kind / f"{i:02}.wav", sound(kind, 0.4, i), RATE)
    shutil.copytree(tmp_path / "pets", tmp_path / "clean" / "pets")
    assert run("--data-dir", tmp_path / "clean", "--db", tmp_path / "good.db", *QUICK) == 0
    reasons = {f"low/{name}": reason for name, reason in add_bad_files(tmp_path / "pets" / "low", outside).items()}
    (tmp_path / "pets" / "high" / "phone.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    (tmp_path / "pets" / "high" / "notes.txt").write_text("no sound, no word about it")
    reasons["high/phone.m4a"] = "is of a kind that is not read"
    capsys.readouterr()
    assert run("--data-dir", tmp_path / "pets", "--db", tmp_path / "bad.db", "--no-follow-links", *QUICK) == 0
    check_named_once(tmp_path / "bad.db", capsys.readouterr().out, reasons)
    assert results(tmp_path / "bad.db") == results(tmp_path / "good.db")
    assert query(tmp_path / "bad.db", "SELECT COUNT(*) FROM class_specific_neurons") > [(0,)]
