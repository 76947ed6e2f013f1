"""What may become of damaged input: it is taken, or refused in one line; all else is a fault."""

from __future__ import annotations

from collections.abc import Callable

Try = Callable[[int], str]
TAKEN = "taken"
RATE = 16_000


class NotOneLine(AssertionError):
    """A refusal that is none, or more than a line."""


def refused(error: object) -> str:
    text = str(error)
    if not text.strip() or "\n" in text or "Traceback" in text:
        raise NotOneLine(repr(text[:200]))
    return text
