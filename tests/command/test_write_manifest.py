"""A dataset as it is found, written as a manifest that reads the same."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.datasets import find
from core.datasets.base import Dataset
from tests.support.small_study import read_manifest, run

KINDS = ("rain", "wind")
ROOT = Path(__file__).resolve().parents[2]


def clips(dataset: Dataset) -> list[tuple[str, str, dict[str, str]]]:
    return sorted((clip.path, clip.split, dict(clip.labels)) for clip in dataset.clips)  # type: ignore[type-var]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in KINDS:
        (tmp_path / "weather" / kind).mkdir(parents=True)
        for i in range(6):
            (tmp_path / "weather" / kind / f"{i}.wav").touch()
    return tmp_path / "weather"


def test_what_is_written_reads_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (before,) = find([folder])
    path = folder / "manifest.csv"
    assert run("--data-dir", folder, "--write-manifest", path) == 0
    assert f"{path} written: 12 clips of weather" in capsys.readouterr().out
    (after,) = find([folder])
    assert clips(after) == clips(before) and after.attributes == before.attributes
    assert run("--data-dir", folder, "--write-manifest", path) == 2
    assert "there is such a file; give another path" in capsys.readouterr().err


def test_several_labels_stay_several(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "manifest.csv").write_text("file,kind\nrain/0.wav,wet|loud\nrain/1.wav,wet\nwind/0.wav,loud\n")
    out = tmp_path / "out.csv"
    assert run("--data-dir", folder, "--write-manifest", out) == 0
    assert f"it is read where it lies as {folder / 'manifest.csv'}" in capsys.readouterr().out
    shutil.copy(out, folder / "manifest.csv")
    assert [row["kind"] for row in read_manifest(folder)] == ["wet|loud", "wet", "loud"]
    assert find([folder])[0].multilabel == ("kind",)


def test_it_needs_one_dataset(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert run("--write-manifest", out) == 2
    assert "--write-manifest needs --data-dir" in capsys.readouterr().err
    shutil.copytree(folder, tmp_path / "other")
    assert run("--data-dir", folder, "--data-dir", tmp_path / "other", "--write-manifest", out) == 2
    assert "writes one dataset, 2 were found (weather, other)" in capsys.readouterr().err
    assert not out.exists()
    assert run("--data-dir", folder, "--write-manifest", tmp_path / "no" / "out.csv") == 2
    told = capsys.readouterr().err
    assert "out.csv: cannot be written (No such file or directory)" in told and told.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_full_disk_leaves_no_half_table(folder: Path) -> None:
    command = [sys.executable, "run_analysis.py", "--data-dir", str(folder), "--write-manifest"]
    command.append(str(folder / "manifest.csv"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=full_disk)
    assert done.returncode == 2 and "manifest.csv: cannot be written (File too large)" in done.stderr
    assert [path.name for path in folder.iterdir() if path.is_file()] == []


def full_disk() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_segments_are_written_beside_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rain" / "0.txt").write_text("0.25\t0.5\tdrop\n0.5\t0.75\tsplash, loud\n")
    (folder / "wind" / "1.PHN").write_text("")
    (before,) = find([folder])
    assert run("--data-dir", folder, "--write-manifest", folder / "manifest.csv") == 0
    assert "12 clips of weather, their segments in segments.tsv beside it" in capsys.readouterr().out
    (after,) = find([folder])
    assert after.segment_attributes == before.segment_attributes == ("label",)
    assert {clip.path: clip.segments for clip in after.clips} == {clip.path: clip.segments for clip in before.clips}
    assert clips(after) == clips(before)
    # Elsewhere none is written over; where they were read from, they stay as they are.
    (tmp_path / "segments.tsv").touch()
    assert run("--data-dir", folder, "--write-manifest", tmp_path / "other.csv") == 2
    assert "there is such a file (segments.tsv)" in capsys.readouterr().err
    (folder / "manifest.csv").unlink()
    assert run("--data-dir", folder, "--write-manifest", folder / "manifest.csv") == 0
    assert find([folder])[0].clips == after.clips
