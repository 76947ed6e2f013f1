"""A chart as SVG or PNG, drawn in a process that may die.

What draws is native code and a JavaScript engine: names that others wrote may stop it, and while it works no other
visitor would be answered. The parent hands over Vega-Lite whose texts are short and hold nothing but characters; the
child, started from this very file, has a few seconds and a bounded memory, writes nothing, and knows nothing of the
page.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

SECONDS = 20
MEMORY = 1 << 30
MOST_BYTES = 50_000_000
"""Of a picture."""
LONGEST_TEXT = 1_000
"""Characters of a text within a picture; a longer one ends in dots."""
_AT_ONCE = 2
_turns = BoundedSemaphore(_AT_ONCE)
_LAST_OF_PLANES = "".join(chr(plane << 16 | last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
_NO_CHARACTER = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff{_LAST_OF_PLANES}]")


class NotDrawn(ValueError):
    """Why there is no picture; the message is one sentence for the user."""


def draw(chart: dict[str, Any], kind: str, version: str, seconds: float = SECONDS) -> bytes:
    """Draw a chart.

    Parameters
    ----------
    chart : dict
        Vega-Lite with its rows.
    kind : {"svg", "png"}
    version : str
        Of Vega-Lite, such as ``6.1``.
    seconds : float
        The worker is ended after so long.

    Raises
    ------
    NotDrawn
        If there is no picture.
    """
    asked = f"{kind} {version}\n{json.dumps(characters(chart), default=str)}".encode()
    if not _turns.acquire(timeout=seconds):
        raise NotDrawn("Other pictures are being drawn; try again in a moment.")
    try:
        # Isolated (-I): neither the folder nor the environment of the page decides what is imported.
        done = subprocess.run(
            [sys.executable, "-I", __file__], input=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotDrawn(f"The chart was not drawn within {seconds:g} s: it shows too much.") from None
    except OSError as error:
        raise NotDrawn(f"The chart could not be drawn here ({error.strerror}).") from error
    finally:
        _turns.release()
    if done.returncode or not done.stdout:
        raise NotDrawn("The chart could not be drawn: the program that draws it stopped.")
    return done.stdout


def characters(value: Any) -> Any:
    """The same with every text short, and nothing in it that is no character (controls, halves of characters)."""
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT and not value.startswith("data:image/"):
            value = f"{value[: LONGEST_TEXT - 1]}…"
        return value if value.isprintable() else only_characters(value)
    if isinstance(value, dict):
        return {characters(name): characters(part) for name, part in value.items()}
    return [characters(part) for part in value] if isinstance(value, list | tuple) else value


def only_characters(text: str) -> str:
    """A text in which a replacement character stands for each thing that is none."""
    return _NO_CHARACTER.sub("\ufffd", text)


def _limit() -> None:
    """Bound this process; where the system has no such limits, time is bounded by the parent alone."""
    from db.sandbox.worker import bound_process

    # Not RLIMIT_AS: a JavaScript engine reserves far more addresses than it uses.
    bound_process({"RLIMIT_DATA": MEMORY, "RLIMIT_CPU": 2 * SECONDS, "RLIMIT_FSIZE": 0}, niceness=15)


def _work() -> None:
    """The worker: a kind, a version and a chart on standard input, a picture on standard output."""
    _limit()
    import vl_convert

    asked, _, chart = sys.stdin.buffer.read().decode().partition("\n")
    kind, version = asked.split()
    if kind == "svg":
        made = str(vl_convert.vegalite_to_svg(chart, vl_version=version)).encode()
    else:
        made = bytes(vl_convert.vegalite_to_png(chart, vl_version=version, scale=2))
    if len(made) <= MOST_BYTES:
        sys.stdout.buffer.write(made)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    _work()
