"""Real processes that meet through torch.distributed: errors arrive, silence is missed, signals are heard."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.distributed import TCPStore

from core.datasets.audio import BadAudio
from core.distributed import team
from core.distributed.ranks import Ranks
from core.distributed.team import LostRank, lead_or_follow
from tests.support.warm import Started


class Awkward(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


@dataclass(frozen=True)
class Work:
    """Count to ``n``; a rank may fail on its way, others leave theirs."""

    n: int
    failing: int = -1
    error: Exception | None = None

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> Any:
        least = ranks.least(10 - ranks.rank, torch.device("cpu"))
        for i in ranks.mine(range(self.n)):
            if ranks.rank == self.failing and i > 3:
                raise self.error or Awkward("this", "that")
            ranks.count(1)
            on_step()
            time.sleep(0.01)
        return ranks.rank, least


def shares(ranks: Ranks) -> int:
    shown: list[int] = []
    assert ranks.do(Work(30), lambda: shown.append(ranks.count())) == [(0, 8), (1, 8), (2, 8)]
    assert shown[-1] == 30
    assert shown == sorted(shown)
    assert ranks.do(Work(3)) == [(0, 8), (1, 8), (2, 8)]
    assert ranks.count() == 3
    print("well")
    return 0


def errors(ranks: Ranks) -> int:
    for failing, error, kind in (
        (2, BadAudio("x.wav is broken"), BadAudio),
        (1, OSError(28, "No space left on device", "positive.npy"), OSError),
        (1, None, RuntimeError),
        (0, None, Awkward),
    ):
        started = time.monotonic()
        with pytest.raises(kind) as caught:
            ranks.do(Work(100_000, failing, error))
        print(type(caught.value).__name__, caught.value)
        assert time.monotonic() - started < 60, "the others leave the rest"
    return 1


def waits(ranks: Ranks) -> int:
    assert ranks.do(Work(3))
    print("waiting", flush=True)
    time.sleep(3)  # longer than a rank may be silent: it is not
    assert ranks.do(Work(3))
    print("stopping", flush=True)
    ranks.do(Work(800))
    return 0


def uncaught(ranks: Ranks) -> int:
    raise ZeroDivisionError


def rank_that(does: Callable[[Ranks], int], silence: float) -> int:
    team.Team.__init__.__defaults__ = (silence,)
    return lead_or_follow(does)


@contextmanager
def started(does: Callable[[Ranks], int], world: int, silence: float = 60.0) -> Iterator[list[Started]]:
    """Ranks that run one of the functions above; as torchrun does, this process holds the rendezvous' store."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    common = {
        "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port), "OMP_NUM_THREADS": "1",
        "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0",
    }  # fmt: skip
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Started(rank_that, does, silence, environment={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
            )
            for rank in range(world)
        ]


def ended(processes: list[Started]) -> list[tuple[int | None, str, str]]:
    told = [process.communicate() for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, told, strict=True)]


def test_shares_of_three() -> None:
    with started(shares, 3) as processes:
        assert ended(processes) == [(0, "well\n", ""), (0, "", ""), (0, "", "")]


def test_an_error_of_any_rank_is_rank_0s_and_the_others_leave_the_job() -> None:
    with started(errors, 3) as processes:
        (code, out, err), *others = ended(processes)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "BadAudio x.wav is broken",
        "OSError [Errno 28] No space left on device: 'positive.npy'",
        "RuntimeError Awkward: this and that",
        "Awkward this and that",
    ]
    assert others == [(1, "", ""), (1, "", "")]


def test_an_error_outside_jobs_ends_the_others_too() -> None:
    with started(uncaught, 2) as processes:
        (code, _, err), other = ended(processes)
    assert code == 1
    assert err.rstrip().endswith("ZeroDivisionError")
    assert other == (1, "", "")


@pytest.mark.parametrize("silent", [0, 1])
def test_a_rank_that_hangs_is_missed(silent: int) -> None:
    with started(waits, 2, silence=2.0) as processes:
        assert processes[0].lines(2) == ["waiting\n", "stopping\n"]
        time.sleep(1)  # the job has come to all: one that hangs in a collective is missed by its time limit only
        processes[silent].send_signal(signal.SIGSTOP)
        (code, _, err) = ended([processes[1 - silent]])[0]
    assert code == 1
    assert err == (
        f"error: rank {silent} gave no sign of life for 2 s; "
        "what is finished is kept, the same command goes on from here\n"
    )


@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_is_killed_is_missed_where_nobody_stops_the_others(killed: int) -> None:
    with started(waits, 2, silence=2.0) as processes:
        assert processes[0].lines(2) == ["waiting\n", "stopping\n"]
        processes[killed].send_signal(signal.SIGKILL)
        (code, _, err) = ended([processes[1 - killed]])[0]
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith("error: ")


def test_sigterm_is_heard_while_waiting() -> None:
    with started(waits, 2) as processes:
        assert processes[0].lines(1) == ["waiting\n"]
        processes[1].send_signal(signal.SIGTERM)
        assert ended(processes[1:]) == [(130, "", "")]


def test_one_process_needs_no_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setattr(team, "join", None)
    assert lead_or_follow(lambda ranks: 7 if ranks.world == 1 else 0) == 7


def test_half_an_environment_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert lead_or_follow(lambda ranks: 0) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == (
        "error: WORLD_SIZE is set, LOCAL_RANK or LOCAL_WORLD_SIZE is not; expected all that torchrun sets: "
        "start several processes with torchrun run_analysis.py, a single one with WORLD_SIZE unset\n"
    )


def test_lost_rank_counts_as_an_error_of_the_system_not_of_one_task() -> None:
    assert issubclass(LostRank, OSError)
