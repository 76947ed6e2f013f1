"""Two models at once in threads: the same rows as one after the other, stopped and failing together."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info

from core.arrays.threads import Shared, one_thread
from core.encoders.nano import NanoEncoder
from core.run import side_by_side
from db.writes.store import Store
from tests.support.small_study import make_dataset, query, results, run

BOTH = ("--untrained", "--tasks", "pets-kind")
MODELS = ["nano-ssl", "nano-untrained"]


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture(scope="module")
def in_order(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What one model after the other stores."""
    assert torch.get_num_threads() == 1, "the tests run with one thread a process"
    db = tmp_path_factory.mktemp("order") / "atlas.db"
    assert run("--data-dir", pets, "--db", db, *BOTH) == 0
    return results(db)


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_one_at_a_time_is_done_here_and_in_order() -> None:
    seen: list[tuple[int, int]] = []
    side_by_side.side_by_side(lambda i: seen.append((i, threading.get_ident())), [3, 1, 2], 1, pytest.fail)
    assert seen == [(i, threading.get_ident()) for i in (3, 1, 2)]


def test_several_at_a_time_share_the_threads(two_threads: None) -> None:
    together = threading.Barrier(2, timeout=60)

    def work(i: int) -> tuple[int, int]:
        together.wait()
        return i, torch.get_num_threads()

    assert side_by_side.side_by_side(work, [1, 2], 2, pytest.fail) == [(1, 1), (2, 1)]
    assert torch.get_num_threads() == 2


def test_what_fails_stops_the_others_and_is_told(two_threads: None) -> None:
    stopped, begun = threading.Event(), []

    def work(i: int) -> None:
        begun.append(i)
        if i == 1:
            raise ValueError("the second")
        assert stopped.wait(60)
        raise KeyboardInterrupt

    with pytest.raises(ValueError, match="the second"):
        side_by_side.side_by_side(work, [0, 1], 2, stopped.set)
    assert sorted(begun) == [0, 1]


def test_a_context_that_threads_share_is_left_by_the_last() -> None:
    def n_threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    log: list[str] = []

    class Logged:
        def __enter__(self) -> None:
            log.append("enter")

        def __exit__(self, *_: object) -> None:
            log.append("leave")

    shared = Shared(Logged)
    first, second = shared(), shared()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert log == ["enter"]
    second.__exit__(None, None, None)
    with pytest.raises(ZeroDivisionError), shared():
        _ = 1 / 0
    assert log == ["enter", "leave"] * 2
    with one_thread():
        assert n_threads() == {1}


def test_two_models_at_once_store_what_one_after_the_other_does(
    two_threads: None, pets: Path, in_order: dict[str, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "atlas.db"
    assert run("--data-dir", pets, "--db", db, *BOTH) == 0
    assert results(db) == in_order
    assert query(db, "SELECT model, status FROM runs ORDER BY model") == [(name, "done") for name in MODELS]
    told = capsys.readouterr().out
    for model in MODELS:
        assert f"{model:<14}  pets · extract: 24 clips in" in told
        assert f"{model:<14}  calibrated: " in told


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_stops_both_and_the_same_command_goes_on(
    two_threads: None,
    pets: Path,
    in_order: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    db, forward, both = tmp_path / "atlas.db", NanoEncoder.forward, threading.Barrier(2, timeout=60)
    left = dict.fromkeys(MODELS, 2)

    def interrupted(self: NanoEncoder, batch: Any) -> Any:
        left[self.name] -= 1
        if left[self.name] == 0 and both.wait() == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(self, batch)

    monkeypatch.setattr(NanoEncoder, "forward", interrupted)
    assert run("--data-dir", pets, "--db", db, *BOTH) == 130
    told = capsys.readouterr()
    assert "stopped; what is finished is kept, the same command goes on from here" in told.out
    assert told.err == ""
    assert query(db, "SELECT status FROM runs") == [("stopped",)] * 2
    assert threading.active_count() == 1 or not [t for t in threading.enumerate() if "ThreadPool" in t.name]
    monkeypatch.undo()
    assert run("--data-dir", pets, "--db", db, *BOTH) == 0
    assert results(db) == in_order


def test_a_full_disk_ends_both_with_one_line(
    two_threads: None,
    pets: Path,
    in_order: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    db, write = tmp_path / "atlas.db", Store.write

    def full(self: Store, *record: Any) -> None:
        if query(db, "SELECT COUNT(*) FROM stage") > [(2,)]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, *record)

    monkeypatch.setattr(Store, "write", full)
    assert run("--data-dir", pets, "--db", db, *BOTH) == 1
    told = capsys.readouterr().err
    assert told == "error: No space left on device; what is finished is kept, the same command goes on from here\n"
    assert sorted(query(db, "SELECT status FROM runs")) in ([("failed",), ("failed",)], [("failed",), ("stopped",)])
    monkeypatch.undo()
    assert run("--data-dir", pets, "--db", db, *BOTH) == 0
    assert results(db) == in_order
