"""What every reader of segments does alike: text in any usual coding, times as they are written, what is no segment."""

from __future__ import annotations

import codecs
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from core.datasets.base import Segment
from core.files import refuse_no_file
from core.untrusted_text import one_line

POINT_SECONDS = 0.05
"""How long a point in time counts: it has no end, and what follows it is what is asked about."""
MOST_BYTES = 1 << 24
"""Of a file of one clip's segments."""
LONGEST_LABEL = 200
_BYTE_ORDERS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NotRead(ValueError):
    """A file that cannot be read as what it should be; the message is the reason, without the path."""


@dataclass
class Gathered:
    """The segments of a file, and what of it is none.

    Attributes
    ----------
    segments : list of Segment
    empty : dict of str to None
        Attributes that the file has, without a label in them.
    points : dict of str to None
        Attributes whose labels are at points of time.
    notes : list of str
        What was read otherwise than written.
    """

    segments: list[Segment] = field(default_factory=list)
    empty: dict[str, None] = field(default_factory=dict)
    points: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _amiss: Counter[str] = field(default_factory=Counter)
    _first: dict[str, str] = field(default_factory=dict)

    def add(self, attribute: str, label: str, onset: str | float, offset: str | float) -> None:
        """Take a segment, times in seconds; one without a label is none, one whose times cannot be is counted."""
        label = as_label(label)
        if not label:
            return
        begin, end = seconds(onset), seconds(offset)
        if begin is None or end is None:
            self.drop("have no number for onset or offset", label)
        elif end <= begin:
            self.drop("end before they begin, or where they begin", f"{label} at {begin:g} s")
        elif end <= 0:
            self.drop("lie before their clip", f"{label} at {begin:g} s")
        else:
            self.segments.append(Segment(attribute, label, max(begin, 0.0), end))

    def add_point(self, attribute: str, label: str, at: str | float) -> None:
        """Take a label at a point of time; it counts for `POINT_SECONDS` from there."""
        self.points[attribute] = None
        begin = seconds(at)
        self.add(attribute, label, at, math.nan if begin is None else begin + POINT_SECONDS)

    def drop(self, reason: str, what: str) -> None:
        """Count something that is no segment."""
        self._amiss[reason] += 1
        self._first.setdefault(reason, as_label(what)[:60])

    def told(self) -> list[str]:
        """What was dropped, a reason each."""
        return [
            f"{n:,} {'segment' if n == 1 else 'segments'} left out that {reason} (first {self._first[reason]})"
            for reason, n in self._amiss.items()
        ]


def as_label(text: object) -> str:
    """A name or label as it is kept: in one line, and not without end."""
    return one_line(str(text)[: 4 * LONGEST_LABEL]).strip()[:LONGEST_LABEL]


def why(error: Exception) -> str:
    """What a library says of a file that it cannot read."""
    return as_label(error)[:100] or type(error).__name__


def seconds(written: str | float) -> float | None:
    """A time as it is written, with a decimal point or comma; None where it is no finite number.

    Examples
    --------
    >>> seconds("1,25"), seconds(" 3 "), seconds("nan"), seconds("1:02")
    (1.25, 3.0, None, None)
    """
    try:
        value = float(written.strip().replace(",", ".") if isinstance(written, str) else written)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def text_of(path: Path, gathered: Gathered, most: int = MOST_BYTES) -> str:
    """A file's text: UTF-8 or UTF-16 with or without its mark, else Windows-1252, which is told.

    Raises
    ------
    NotRead
        If it is larger than ``most`` bytes, or no text.
    OSError
    """
    refuse_no_file(path)
    if (size := path.stat().st_size) > most:
        raise NotRead(f"has {size:,} bytes; at most {most:,} are read")
    content = path.read_bytes()
    try:
        if content.startswith(_BYTE_ORDERS):
            return content.decode("utf-16")
        if b"\0" in content[:1000]:
            return content.decode(
                "utf-16-le" if content[1:1000:2].count(0) > content[0:1000:2].count(0) else "utf-16-be"
            )
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp1252") if b"\0" not in content else ""
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise NotRead("is neither UTF-8 nor UTF-16; save it as UTF-8")
    gathered.notes.append("read as Windows-1252: it is neither UTF-8 nor UTF-16")
    return text
