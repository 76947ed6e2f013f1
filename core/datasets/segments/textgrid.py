"""Praat's TextGrid, long and short: each tier is an attribute, and what stands in an interval or at a point a label.

By `praatio <https://github.com/timmahrt/praatIO>`_, which takes tiers as they are: intervals may overlap.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from core.datasets.segments.gathered import Gathered, NotRead, as_label, text_of, why

_SMALL = re.compile(r"(?<== )\d(?:\.\d+)?e-\d{1,3}(?=\s*$)", re.MULTILINE)
"""Times that Praat writes with an exponent, which praatio does not take."""
_NEGATIVE = re.compile(r"(?<== )-(\d+(?:\.\d+)?)(?=\s*$)", re.MULTILINE)
_BEFORE = 1e9
"""Added to times below 0, whose sign praatio does not take in the long form."""


def read(path: Path, attribute: str, sound: Path) -> Gathered:
    """Read a TextGrid; ``attribute`` is the name of a tier that has none.

    Raises
    ------
    NotRead
        If it is none.
    """
    from praatio.utilities.textgrid_io import parseTextgridStr

    gathered = Gathered()
    text = text_of(path, gathered).replace("\r\n", "\n").replace("\r", "\n")
    text = _SMALL.sub(lambda number: f"{float(number[0]):.12f}", text)
    text = _NEGATIVE.sub(lambda number: f"{_BEFORE - float(number[1]):.6f}", text)
    try:
        tiers = parseTextgridStr(text, includeEmptyIntervals=True)["tiers"]
        for tier in tiers:
            _take(tier, attribute, gathered)
    except Exception as error:  # its reader finds out by what fails, in any way
        raise NotRead(f"cannot be read as a TextGrid ({why(error)}); open it in Praat and save it again") from error
    return gathered


def _take(tier: dict[str, Any], attribute: str, gathered: Gathered) -> None:
    name = as_label(tier["name"]) or attribute
    entries = [entry for entry in tier["entries"] if str(entry[-1]).strip()]
    if not entries:
        gathered.empty[name] = None
    for entry in entries:
        if tier["class"] == "IntervalTier":
            onset, offset, label = entry
            gathered.add(name, label, _time(onset), _time(offset))
        else:
            at, label = entry
            gathered.add_point(name, label, _time(at))


def _time(told: str | float) -> float:
    return float(told) - _BEFORE if float(told) > _BEFORE / 2 else float(told)
