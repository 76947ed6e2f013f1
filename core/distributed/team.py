"""The processes of one run, as torchrun starts them: rank 0 leads, the others do their share of its jobs.

Rank 0 alone reads the command line, opens the store, decides and prints. What several can do at once it hands out
as a `Job`; every rank runs it on its own share. Jobs and what they gave travel by torch.distributed: gloo, and
NCCL for what lies on CUDA devices. A rank that waits looks into the rendezvous' store again and again instead of
sitting in a collective: so it hears a signal at once, waits for hours where rank 0 scores for hours, and misses
a rank that gives no sign of life any more.
"""

from __future__ import annotations

import copy
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from core.distributed.ranks import Job, Ranks
from core.errors import InputError

if TYPE_CHECKING:
    from torch import device as Device
    from torch.distributed import Store

SILENCE = 300.0
"""Seconds without a sign of life after which a rank counts as lost."""
_BEATS, _LOOKS = 60, (0.005, 0.25)
"""Signs of life within `SILENCE`; seconds between looks, the first and the longest."""
_BYE = 3.0


class LostRank(ConnectionError):
    """Another rank, or the way to it, is gone."""


class _Abandoned(Exception):
    """Another rank failed: the rest of the job is in vain."""


@dataclass(frozen=True)
class _Failure:
    error: Exception


class Team(Ranks):
    """One of several processes.

    Parameters
    ----------
    store : torch.distributed.Store
        Where the ranks leave word for each other; the process group is up.
    silence : float
        Seconds without a sign of life after which a rank counts as lost.
    """

    def __init__(
        self, rank: int, world: int, local_rank: int, local_world: int, store: Store, silence: float = SILENCE
    ) -> None:
        super().__init__(rank, world, local_rank, local_world)
        self._store, self._silence = store, silence
        self._number = 0  # of the job
        self._next_look = self._next_check = time.monotonic()
        self._signs: dict[int, tuple[bytes, float]] = {}
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._live, daemon=True)
        self._heart.start()

    def do(self, job: Job, watch: Callable[[], None] | None = None) -> list[Any]:
        self._number += 1
        self._leave_word(f"job {self._number}")
        self._await_others(f"has come to {self._number}")
        self._all_get(job)
        results = [self._attempt(job, watch)]
        self._await_others(f"ended {self._number}", watch)
        if watch:
            watch()
        self._leave_word(f"collect {self._number}")
        results += self._collect(None)[1:]
        for each in results:
            if isinstance(each, _Failure):
                raise each.error
        return results

    def serve(self) -> int:
        """Do this rank's share of all jobs until rank 0 ends; returns the exit code that rank 0 gave."""
        warnings.simplefilter("ignore")  # rank 0 gives the same ones
        while self._await("over", f"job {self._number + 1}") != "over":
            self._number += 1
            self._leave_word(f"rank {self.rank} has come to {self._number}")
            result = self._attempt(self._all_get(None), None)
            self._leave_word(f"rank {self.rank} ended {self._number}")
            if self._await("over", f"collect {self._number}") == "over":
                break
            self._collect(result)
        code = int(self._store.get("over"))
        self._leave_word(f"rank {self.rank} left")
        return code

    def end(self, code: int) -> None:
        """Tell the others that it is over, and what to exit with."""
        with suppress(LostRank):
            self._leave_word("over", str(code))
            until = time.monotonic() + _BYE  # where rank 0 holds the store, it must not leave first
            while time.monotonic() < until and not self._there(*(f"rank {r} left" for r in range(1, self.world))):
                time.sleep(_LOOKS[0])

    def close(self) -> None:
        """Give no more signs of life and take the process group down: threads left would break off the exit."""
        import torch.distributed as dist

        self._ended.set()
        self._heart.join(_BYE)
        dist.destroy_process_group()

    def is_over(self) -> bool:
        """Whether rank 0 said so."""
        with suppress(LostRank):
            return self._there("over")
        return False

    def count(self, n: int = 0) -> int:
        with _reaching():
            return int(self._store.add(f"count {self._number}", n))

    def least(self, number: int, device: Device) -> int:
        import torch
        import torch.distributed as dist

        value = torch.tensor([number], device=device)
        with _reaching():
            dist.all_reduce(value, dist.ReduceOp.MIN)
        return int(value.item())

    def _attempt(self, job: Job, watch: Callable[[], None] | None) -> Any:
        """This rank's share of a job, or what went wrong."""
        stop = f"stop {self._number}"

        def on_step() -> None:
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + _LOOKS[1]
                if self._there(stop) or self._there("over"):
                    raise _Abandoned
                if watch:
                    watch()

        try:
            return job.run(self, on_step)
        except _Abandoned:
            return None
        except LostRank:
            raise
        except Exception as error:
            self._leave_word(stop)
            return _Failure(error if self.is_first else _that_pickles(error))

    def _await(self, *words: str, watch: Callable[[], None] | None = None) -> str:
        """The first of some words that is there, once one is."""
        pause, longest = _LOOKS
        while True:
            for word in words:
                if self._there(word):
                    return word
            self._miss_the_lost()
            if watch:
                watch()
            time.sleep(pause)
            pause = min(1.5 * pause, longest)

    def _await_others(self, did: str, watch: Callable[[], None] | None = None) -> None:
        for rank in range(1, self.world):
            self._await(f"rank {rank} {did}", watch=watch)

    def _miss_the_lost(self) -> None:
        """Look whether the ranks that are waited for still live."""
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + self._silence / _BEATS
        for rank in range(1, self.world) if self.is_first else [0]:
            with _reaching():
                sign = self._store.get(f"rank {rank} lives") if self._there(f"rank {rank} lives") else b""
            known, since = self._signs.get(rank, (None, now))
            self._signs[rank] = sign, since if sign == known else now
            if sign == known and now - since > self._silence:
                raise LostRank(
                    f"rank {rank} gave no sign of life for {self._silence:,.0f} s; "
                    "what is finished is kept, the same command goes on from here"
                )

    def _live(self) -> None:
        """Give signs of life."""
        number = 0
        with suppress(LostRank):
            while True:
                self._leave_word(f"rank {self.rank} lives", str(number := number + 1))
                if self._ended.wait(self._silence / _BEATS):
                    return

    def _there(self, *words: str) -> bool:
        with _reaching():
            return bool(self._store.check(list(words)))

    def _leave_word(self, word: str, text: str = "1") -> None:
        with _reaching():
            self._store.set(word, text)

    def _all_get(self, thing: Any) -> Any:
        """What rank 0 gives."""
        import torch.distributed as dist

        things = [thing]
        with _reaching():
            dist.broadcast_object_list(things, src=0)
        return things[0]

    def _collect(self, thing: Any) -> list[Any]:
        """What each rank gives, on rank 0."""
        import torch.distributed as dist

        things: list[Any] | None = [None] * self.world if self.is_first else None
        with _reaching():
            dist.gather_object(thing, things, dst=0)
        return things or []


def lead_or_follow(command: Callable[[Ranks], int]) -> int:
    """Run a command as the only process or as rank 0 of several, or do the share of another rank.

    Returns
    -------
    int
        The exit code, the same on all ranks.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) == 1:
        return command(Ranks())
    signal.signal(signal.SIGTERM, _stop)
    try:
        team = join()
        try:
            return _lead(team, command) if team.is_first else _follow(team)
        finally:
            team.close()
    except (InputError, LostRank) as error:
        return _report_error(error)
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's word to the last ones: they leave anyway


def join() -> Team:
    """Meet the other ranks, wherever torchrun says.

    Raises
    ------
    InputError
        If torchrun's environment is not whole.
    LostRank
        If the ranks do not find each other.
    """
    import torch
    import torch.distributed as dist

    try:
        local_rank, local_world = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    except (KeyError, ValueError):
        raise InputError(
            "WORLD_SIZE is set, LOCAL_RANK or LOCAL_WORLD_SIZE is not; expected all that torchrun sets: "
            "start several processes with torchrun run_analysis.py, a single one with WORLD_SIZE unset"
        ) from None
    limit = timedelta(seconds=SILENCE)
    with _reaching():
        store, rank, world = next(dist.rendezvous("env://", timeout=limit))
        # Words and results lie in main memory and go by gloo; NCCL meets at the first tensor on a device.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=limit)
    return Team(rank, world, local_rank, local_world, dist.PrefixStore("atlas", store))


def _lead(team: Team, command: Callable[[Ranks], int]) -> int:
    code = 1
    try:
        code = command(team)
    finally:
        team.end(code)
    return code


def _follow(team: Team) -> int:
    try:
        return team.serve()
    except LostRank:
        if team.is_over():
            return 1
        raise


def _stop(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt("by torchrun, whose report tells why")


def _report_error(error: Exception) -> int:
    """A line of a rank that rank 0 cannot speak for."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    return 2 if isinstance(error, InputError) else 1


@contextmanager
def _reaching() -> Iterator[None]:
    """Errors of torch.distributed, in words."""
    try:
        yield
    except RuntimeError as error:
        (text, *_) = [*str(error).splitlines(), ""]
        raise LostRank(
            f"the other ranks cannot be reached ({text[:200]}); "
            "what is finished is kept, the same command goes on from here"
        ) from error


def _that_pickles(error: Exception) -> Exception:
    """The error, or its text where it would not arrive whole."""
    try:
        pickle.dumps(error)
        return copy.copy(error)  # made again from its arguments, as by pickle
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
