"""What a run tells as JSON lines (``--log-json``): one event a line, for a program to read.

Each line is written whole and at once, so that a killed process loses none but the one it was writing.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO, Any

EVENTS = (
    "run_started",
    "stage_started",
    "progress",
    "stage_finished",
    "note",
    "warning",
    "bad_files",
    "failure",
    "run_finished",
)


class EventLog:
    """Appends events to a file, or to standard output.

    Parameters
    ----------
    path : str
        A file, made where there is none; ``-`` for standard output.
    now : callable
        The time of an event.

    Raises
    ------
    OSError
        If the file cannot be opened for writing.
    """

    def __init__(self, path: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.run, self._now, self._lock = uuid.uuid4().hex[:12], now, Lock()
        self._file = _standard_output() if path == "-" else _appended(Path(path).expanduser())

    def write(self, event: str, **fields: Any) -> None:
        """Append one event; what is no JSON value is written as text.

        Raises
        ------
        OSError
            If the line cannot be written.
        """
        when = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"event": event, "time": when, "run": self.run, **fields}, default=str)
        left = f"{line}\n".encode()
        with self._lock:
            while left:  # a signal may cut a write short
                left = left[self._file.write(left) :]

    def close(self) -> None:
        self._file.close()


def _appended(path: Path) -> IO[bytes]:
    """A file to append to, behind the end of its last line: a killed run may have left half of one."""
    file = path.open("ab", buffering=0)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as before:
            before.seek(-1, os.SEEK_END)
            if before.read(1) != b"\n":
                file.write(b"\n")
    return file


def _standard_output() -> IO[bytes]:
    """Standard output, unbuffered and apart from `sys.stdout`, which a live table takes over meanwhile."""
    sys.stdout.flush()
    return os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
