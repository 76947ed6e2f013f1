"""Segments through the whole command: recorded in the pass, stored once, counted anew when labels change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.datasets import manifest
from core.datasets.base import Dataset, Segment
from core.run import inputs
from tests.support.small_study import clips_passed, make_dataset, query, run

TASK = "pets-part"
SCORE = ("--stages", "extract,score")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clips with a first and a second half, as a reader would give them."""
    folder = make_dataset(tmp_path / "pets", 15)
    (folder / "half").write_text("0.25")

    def in_halves(config: Any, progress: Any, stored: Any) -> list[tuple[Dataset, tuple[str, ...]]]:
        dataset, half = manifest.read(folder), float((folder / "half").read_text())
        parts = Segment("part", "first", 0.0, half), Segment("part", "second", half, 0.5)
        clips = tuple(replace(clip, segments=parts) for clip in dataset.clips)
        return [(replace(dataset, clips=clips, segment_attributes=("part",)), ("kind",))]

    monkeypatch.setattr(inputs, "tasks", in_halves)
    return folder


def test_segments_are_counted_in_the_pass_and_again_only_where_labels_changed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "atlas.db"
    told = ("--data-dir", data, "--db", db, *SCORE)
    with clips_passed(monkeypatch) as sizes:
        assert run(*told) == 0
        assert sum(sizes) == 15, "one pass"
    first = query(db, "SELECT * FROM segment_scores ORDER BY class_name, layer, unit")
    assert len(first) == 2 * 256 and {row[3] for row in first} == {TASK}
    assert query(db, "SELECT COUNT(*) FROM segment_labels") == [(30,)]
    assert query(db, "SELECT is_coarse, n_shuffles FROM segment_tasks") == [(0, 40)]
    steps = query(db, f"SELECT part, status FROM run_steps WHERE task = '{TASK}'")
    assert steps == [("score", "done")]
    assert query(db, "SELECT DISTINCT task FROM task_coverage") == [("pets-kind",), (TASK,)]
    with clips_passed(monkeypatch) as sizes:
        assert run(*told) == 0 and not sizes, "nothing is left to do"
    (data / "half").write_text("0.15")
    with clips_passed(monkeypatch) as sizes:
        assert run(*told) == 0 and not sizes, "other labels need no pass"
    assert query(db, "SELECT * FROM segment_scores ORDER BY class_name, layer, unit") != first
    assert query(db, "SELECT COUNT(*) FROM segment_tasks") == [(1,)]


def test_without_bits_clips_are_passed_again_or_the_next_step_is_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "atlas.db"
    told = ("--data-dir", data, "--db", db)
    assert run(*told, "--stages", "extract") == 0
    for path in tmp_path.rglob("firing-*.part"):
        path.unlink()
    assert run(*told, "--stages", "score") == 2
    assert f"{TASK}: in which tokens units fire was not recorded of 15 clips; add extract to --stages" in " ".join(
        capsys.readouterr().err.split()
    )
    with clips_passed(monkeypatch) as sizes:
        assert run(*told, *SCORE) == 0
        assert sum(sizes) == 15
    assert query(db, "SELECT COUNT(*) FROM segment_tasks") == [(1,)]


def test_other_kinds_of_unit_are_counted_in_the_same_pass(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "atlas.db"
    with clips_passed(monkeypatch) as sizes:
        assert run("--data-dir", data, "--db", db, *SCORE, "--units", "mlp,residual", "--match", "none") == 0
        assert sum(sizes) == 9 + 15, "train and valid clips, of which coordinates have their scale, and the one pass"
    kinds = query(db, "SELECT unit_kind, COUNT(DISTINCT unit), COUNT(DISTINCT layer) FROM segment_scores GROUP BY 1")
    assert kinds == [("mlp", 128, 2), ("residual", 48, 2)]


def test_a_task_in_time_that_is_asked_for_and_cannot_be_counted_is_told_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("birds", "pets"):
        data = make_dataset(tmp_path / "sound" / name, 15)
        (data / "segments.tsv").write_text("file\tonset\toffset\tlabel\n000.flac\t0.1\t0.3\tx\n")
    told = ("--data-dir", tmp_path / "sound", "--db", tmp_path / "atlas.db", *SCORE)
    assert run(*told, "--tasks", "birds-kind,birds-event,pets-kind") == 1
    why = "1 failed: birds-event: 1 selection clips with segments; expected 2 or more"
    assert why in " ".join(capsys.readouterr().err.split())
    scored = query(tmp_path / "atlas.db", "SELECT DISTINCT task FROM task_coverage ORDER BY task")
    assert scored == [("birds-kind",), ("pets-kind",)]
