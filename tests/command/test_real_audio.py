"""Real recordings, where they are at hand: the whole command over some of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_study import query, run

NOTES = Path(__file__).parents[3] / "shared" / "audio" / "notes"


@pytest.mark.skipif(not (NOTES / "manifest.csv").is_file(), reason="no recordings of notes beside this folder")
def test_notes_are_studied_from_files_to_views(tmp_path: Path) -> None:
    db = tmp_path / "atlas.db"
    tasks = ("--tasks", "notes-octave,notes-velocity", "--limit", 60, "--weights", "")
    assert run("--data-dir", NOTES, "--db", db, *tasks, "--min-test-clips", 2) == 0
    assert query(db, "SELECT COUNT(*) FROM problem") == [(0,)]
    clips = "SELECT COUNT(DISTINCT clip_id) FROM clip_labels"
    assert query(db, clips) == [(60,)]
    octaves = [n for (n,) in query(db, "SELECT COUNT(*) FROM clip_labels WHERE attribute = 'octave' GROUP BY value")]
    assert max(octaves) - min(octaves) <= 1
    tasks_found = "SELECT task, n_classes FROM task_coverage WHERE preset = 'aape' ORDER BY task"
    assert query(db, tasks_found) == [("notes-octave", 5), ("notes-velocity", 2)]
    assert query(db, "SELECT COUNT(*) FROM class_specific_neurons")[0][0] > 0
    assert query(db, "SELECT MIN(activation_probability) >= 0, MAX(activation_probability) <= 1 "
                     "FROM activation_probabilities") == [(1, 1)]  # fmt: skip
