"""The terminal that a run writes to."""

from __future__ import annotations

import io
import sys
from typing import Any

from rich.console import Console

from core.untrusted_text import one_line


class _Terminal(Console):
    """Names of files and classes hold any character: none is obeyed, none begins a line, none ends the program."""

    def print(self, *objects: Any, **how: Any) -> None:
        super().print(*(_line(part) if isinstance(part, str) else part for part in objects), **how)


def _line(text: str) -> str:
    """Text in one line; empty ones before it stay."""
    line = text.lstrip("\n")
    return "\n" * (len(text) - len(line)) + one_line(line)


def output(*, stderr: bool = False) -> Console:
    """A console that prints text as it is, but for what a terminal would obey."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a terminal may not know every character
    return _Terminal(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)
