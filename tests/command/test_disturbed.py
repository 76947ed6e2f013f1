"""A store that others lock, a clock that is set back, sound that changes between two runs."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from db.connection import open
from db.connection.open import StoreError, open_store
from db.writes import rows as db_rows
from db.writes.store import Store
from tests.support.small_study import (
    RATE,
    clips_passed,
    make_dataset,
    query,
    read_manifest,
    results,
    run,
    sound,
    write_manifest,
)
from tests.support.tiny_study import DATASET, MODEL

SCORE = ("--stages", "extract,score", "--tasks", "pets-kind")


def hold(db: Path, seconds: float) -> threading.Thread:
    """Lock a store for writing, change something, and let go after a while."""
    held = threading.Event()

    def work() -> None:
        connection = sqlite3.connect(db, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS of_another (x)")
        held.set()
        time.sleep(seconds)
        connection.execute("COMMIT")
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    held.wait()
    return thread


def test_store_that_is_locked_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """Also by what reads before it writes, though the other changed the store meanwhile."""
    store = Store(open_store(tmp_path / "atlas.db"))
    store.register_dataset(DATASET)
    holder = hold(tmp_path / "atlas.db", 1.0)
    started = time.monotonic()
    store.register_dataset(DATASET)
    store.register_model(MODEL)
    assert time.monotonic() - started > 0.5
    holder.join()
    store.engine.dispose()


def test_store_that_stays_locked_is_told_of_in_words_and_nothing_of_it_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open, "_BUSY_TIMEOUT_MS", {"reader": 100, "writer": 100})
    store = Store(open_store(tmp_path / "atlas.db"))
    store.register_dataset(DATASET)
    before = query(tmp_path / "atlas.db", "SELECT * FROM clip")
    holder = hold(tmp_path / "atlas.db", 1.5)
    expected = "atlas.db: locked by another run or program; wait for it to end and try again"
    with pytest.raises(StoreError, match=expected):
        store.register_model(MODEL)
    holder.join()
    assert query(tmp_path / "atlas.db", "SELECT * FROM clip") == before
    store.register_model(MODEL)
    store.engine.dispose()


def test_run_at_a_locked_store_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.run.stages import extract

    pets, db = make_dataset(tmp_path / "pets", 12), tmp_path / "atlas.db"
    monkeypatch.setattr(open, "_BUSY_TIMEOUT_MS", {"reader": 100, "writer": 100})
    top_clips, holders = extract.top_clips, []

    def locked(*given: Any) -> Any:
        holders.append(hold(db, 3.0))
        return top_clips(*given)

    monkeypatch.setattr(extract, "top_clips", locked)
    assert run("--data-dir", pets, "--db", db, "--stages", "extract") == 2
    told = capsys.readouterr().err
    assert told == "error: atlas.db: locked by another run or program; wait for it to end and try again\n"
    holders[0].join()
    monkeypatch.setattr(extract, "top_clips", top_clips)
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, "--stages", "extract") == 0
    assert passes == []  # what the traces need was taken, too


class SetBack(datetime):
    """A clock that says 1990."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(1990, 1, 1, tzinfo=UTC)


def test_clock_that_is_set_back_makes_nothing_be_skipped_or_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    pets, db = make_dataset(tmp_path / "pets", 12), tmp_path / "atlas.db"
    os.utime(pets / "003.wav", (4e9, 4e9))  # sound from the future
    assert run("--data-dir", pets, "--db", db, "--stages", "extract") == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(db_rows, "datetime", SetBack)
        patch.setattr(open, "datetime", SetBack)
        patch.setattr(time, "time", lambda: 631152000.0)
        patch.setattr(time, "time_ns", lambda: 631152000_000_000_000)
        with clips_passed(monkeypatch) as passes:
            assert run("--data-dir", pets, "--db", db, *SCORE) == 0
        assert passes == []
        scored = results(db)
        assert run("--data-dir", pets, "--db", db, *SCORE) == 0
        assert "nothing was changed" in capsys.readouterr().out
    assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert results(db) == scored
    assert query(db, "SELECT status, substr(started_at, 1, 4) FROM run ORDER BY id")[1] == ("done", "1990")


def change(pets: Path, how: str) -> None:
    """Remove, change or add sound."""
    listed = read_manifest(pets)
    if how == "removed":
        (pets / "005.wav").unlink()
    elif how == "changed":
        soundfile.write(pets / "005.wav", sound("high", 0.75, 77), RATE)
    else:
        soundfile.write(pets / "new.wav", sound("high", 0.75, 77), RATE)
        write_manifest(pets, [*listed, {"file": "new.wav", "split": "train", "kind": "high", "hand": "left"}])


@pytest.mark.parametrize(("how", "n_clips", "n_looked_at"), [("removed", 11, 0), ("changed", 12, 1), ("added", 13, 1)])
def test_sound_that_changes_between_the_stages_is_found_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, n_clips: int, n_looked_at: int
) -> None:
    from core.datasets import scan

    pets, db = make_dataset(tmp_path / "pets", 12), tmp_path / "atlas.db"
    assert run("--data-dir", pets, "--db", db, "--stages", "extract") == 0
    change(pets, how)
    look, looked_at = scan._look, []
    monkeypatch.setattr(scan, "_look", lambda root, path, *rest: looked_at.append(path) or look(root, path, *rest))
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, "--stages", "extract", "--replace") == 0
    # The file that is gone is asked for, too. Every clip is passed again.
    assert len(looked_at) == n_looked_at + (how == "removed")
    assert sum(passes) == n_clips
    monkeypatch.undo()
    assert run("--data-dir", pets, "--db", tmp_path / "fresh.db", "--stages", "extract") == 0
    assert results(db) == results(tmp_path / "fresh.db")
    old, new = tmp_path / "atlas.files" / "activations", tmp_path / "fresh.files" / "activations"
    (fresh,) = new.rglob("sums.npy")
    (mine,) = (path for path in old.rglob("sums.npy") if path.parent.name == fresh.parent.name)
    np.testing.assert_array_equal(np.load(mine), np.load(fresh))


def test_sound_that_is_touched_but_the_same_costs_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pets, db = make_dataset(tmp_path / "pets", 12), tmp_path / "atlas.db"
    assert run("--data-dir", pets, "--db", db, "--stages", "extract") == 0
    (pets / "005.wav").touch()
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, "--stages", "extract") == 0
    assert passes == []
