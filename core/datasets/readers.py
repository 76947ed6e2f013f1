"""Threads that read files, which a file that never answers cannot hold up.

A thread that waits for a stuck disk or network share cannot be ended. It is left behind, another takes its place,
and the program does not wait for it at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Generic, TypeVar

SECONDS = 60.0
"""That reading a file may take, however small it is."""
_BYTES_A_SECOND = 1e6
_PARTING = 2.0
"""Seconds that threads are given at the end for the files they are at."""

T = TypeVar("T")
R = TypeVar("R")


def seconds_for(size: int) -> float:
    """How long reading a file of so many bytes may take, resampling and all: a minute, and a second a megabyte."""
    return SECONDS + max(size, 0) / _BYTES_A_SECOND


def too_long(size: int) -> str:
    """What is told of a file that took longer."""
    return f"took longer than {seconds_for(size):,.0f} s to read"


_here = threading.local()


def given_up() -> bool:
    """Whether nobody waits any more for what this thread reads: then it is to stop."""
    task: _Task[Any, Any] | None = getattr(_here, "task", None)
    return task is not None and task.given_up


class Readers:
    """A few threads, for a ``with`` block.

    Parameters
    ----------
    workers : int
        Threads that read at the same time.
    """

    def __init__(self, workers: int) -> None:
        self._tasks: SimpleQueue[_Task[Any, Any] | None] = SimpleQueue()
        self._threads = [self._thread() for _ in range(workers)]

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Empty):  # what nobody will ask for is not read
            while True:
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)
        until = time.monotonic() + _PARTING
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def map(
        self, read: Callable[[T], R], items: Iterable[T], seconds: Callable[[T], float], late: Callable[[T], R]
    ) -> Iterator[R]:
        """What ``read`` makes of each item, in order; all are handed to the threads at once.

        Parameters
        ----------
        read : callable
        items : iterable
        seconds : callable
            How long an item may take from when a thread begins with it.
        late : callable
            What stands for an item that took longer; or raises.
        """
        tasks = [_Task(read, item) for item in items]
        for task in tasks:
            self._tasks.put(task)
        return self._results(tasks, seconds, late)

    def _results(self, tasks: list[_Task[T, R]], seconds: Callable[[T], float], late: Callable[[T], R]) -> Iterator[R]:
        tasks.reverse()
        while tasks:
            task = tasks.pop()
            if task.wait(seconds(task.item)):
                yield task.answer.result()
                continue
            self._threads = [thread for thread in self._threads if thread is not task.thread]
            self._threads.append(self._thread())
            yield late(task.item)

    def _thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            if task.given_up:
                return
            del task  # and with it what was read, while the next is waited for


class _Task(Generic[T, R]):
    """One item."""

    def __init__(self, read: Callable[[T], R], item: T) -> None:
        self.read, self.item = read, item
        self.answer: Future[R] = Future()
        self.thread: threading.Thread | None = None
        self.began = 0.0
        self.given_up = False

    def run(self) -> None:
        self.began, self.thread, _here.task = time.monotonic(), threading.current_thread(), self
        try:
            self.answer.set_result(self.read(self.item))
        except BaseException as error:
            self.answer.set_exception(error)

    def wait(self, seconds: float) -> bool:
        """Whether it is done within so many seconds from when it began."""
        while not self.answer.done():
            left = self.began + seconds - time.monotonic() if self.thread else seconds
            if left <= 0:
                self.given_up = True
                return self.answer.done()
            with suppress(TimeoutError):
                self.answer.exception(left)
        return True
