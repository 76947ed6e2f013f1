"""Processes that begin with every library loaded.

A Python that imports the study costs seconds of processor time. Here one does, and waits; a process that a test starts
is forked from it (multiprocessing's forkserver, where there is one) and costs a few hundredths of a second.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest  # noqa: F401
import torch
import torch.distributed.run
import torch.fx.experimental.symbolic_shapes  # which the first gradient would load in every process
import torchaudio  # noqa: F401
from threadpoolctl import threadpool_limits

import run_analysis  # noqa: F401
from core.encoders import nano  # noqa: F401
from core.run import disk_space, inputs, listing, load, side_by_side, stages  # noqa: F401
from db.reads import pipeline, study  # noqa: F401
from db.writes import store  # noqa: F401
from tests.support import small_study  # noqa: F401

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_PROCESSES = multiprocessing.get_context(_METHOD)
_PROCESSES.set_forkserver_preload([__name__])


class Started:
    """A function in a process of its own, with what it writes to standard output and error.

    Parameters
    ----------
    function : callable
        Of a module's top level; what it returns is the exit code.
    arguments : objects that pickle
    environment : mapping of str to str or None, optional
        Variables beside those of this process; None takes one away.
    terminal : str, optional
        Where standard output and error go to then.
    """

    def __init__(
        self, function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str | None] | None = None,
        terminal: str = "",
    ) -> None:  # fmt: skip
        self._folder = tempfile.TemporaryDirectory()
        self._out, self._err = (Path(terminal or f"{self._folder.name}/{name}") for name in ("out", "err"))
        variables = {name: text for name, text in {**os.environ, **(environment or {})}.items() if text is not None}
        self._process: BaseProcess = _PROCESSES.Process(
            target=_begin, args=(function, arguments, variables, os.getcwd(), self._out, self._err)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, minus the signal that ended it, None while it runs."""
        return self._process.exitcode

    def lines(self, n: int, seconds: float = 120.0) -> list[str]:
        """The first lines of standard output, once they are there."""
        until = time.monotonic() + seconds
        while len(lines := self._out.read_text().splitlines(keepends=True) if self._out.exists() else []) < n:
            assert self.returncode is None and time.monotonic() < until, self._err.read_text()
            time.sleep(0.02)
        return lines[:n]

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 120.0) -> None:
        """Until the end."""
        self._process.join(timeout)
        assert self.returncode is not None, "still runs"

    def communicate(self, timeout: float = 120.0) -> tuple[str, str]:
        """What it wrote, once it has ended."""
        self.wait(timeout)
        return self._out.read_text(), self._err.read_text()

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._folder.cleanup()


def _begin(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    variables: dict[str, str],
    folder: str,
    out: Path,
    err: Path,
) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY)
        os.dup2(file, number)
        os.close(file)
    # Made for what they were before: a terminal, maybe.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # heard, also in the background of a shell
    torch.set_num_threads(1)
    with threadpool_limits(1):
        sys.exit(function(*arguments))
