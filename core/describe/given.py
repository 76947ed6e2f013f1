"""Descriptions that others gave, read from a table; nothing of it is trusted."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.untrusted_text import harmless, user_path

NEEDED = ("model", "layer", "unit", "description")
MOST_TEXT, MOST_ROWS = 1_000, 1_000_000
_MOST_TOLD = 3


@dataclass(frozen=True)
class Given:
    """One description; ``predicts`` is what it predicts by, the description itself where nothing else is said."""

    model: str
    unit_kind: str
    layer: int
    unit: int
    description: str
    author: str
    predicts: str


def read(path: str) -> list[Given]:
    """Read a CSV with the columns ``model``, ``layer``, ``unit``, ``description``; or more.

    ``unit_kind`` (mlp), ``author`` (the file's name) and ``predicts`` (the description) may be there. Of two rows on
    the same unit by the same author the last counts.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, has no row, or a row is not as expected.
    """
    file = Path(user_path(path))
    told = f"--import-descriptions {path}"
    found: dict[tuple[str, str, int, int, str], Given] = {}
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = csv.DictReader(text, strict=True)
            if lacks := [name for name in NEEDED if name not in (rows.fieldnames or ())]:
                raise InputError(f"{told}: no column {', '.join(lacks)}; expected {', '.join(NEEDED)}")
            for row in rows:
                one = _row(row, file.name, f"{told}, line {rows.line_num}")
                found[one.model, one.unit_kind, one.layer, one.unit, one.author] = one
                if len(found) > MOST_ROWS:
                    raise InputError(f"{told}: expected at most {MOST_ROWS:,} descriptions")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{told}: {reason}; expected a CSV file with the columns {', '.join(NEEDED)}") from error
    if not found:
        raise InputError(f"{told}: no row below its header; expected one for each description")
    return list(found.values())


def of_others(rows: Sequence[Given], known: Collection[tuple[str, str]]) -> str:
    """What is told of rows on models, or kinds of unit, that a run does not have; empty where there is none.

    Parameters
    ----------
    rows : sequence of Given
    known : collection of (model, unit_kind)
    """
    others = [one for one in rows if (one.model, one.unit_kind) not in known]
    if not others:
        return ""
    names = list(dict.fromkeys(f"{one.model} ({one.unit_kind})" for one in others))
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    here = ", ".join(f"{model} ({kind})" for model, kind in sorted(known))
    return (
        f"--import-descriptions: {len(others):,} of {len(rows):,} rows are on {', '.join(names[:_MOST_TOLD])}{more}, "
        f"which this run does not study; it studies {here}"
    )


def _row(row: dict[str, str], name: str, told: str) -> Given:
    text = {key: harmless((value or "").strip()) for key, value in row.items() if isinstance(value, str)}
    numbers = text.get("layer", ""), text.get("unit", "")
    if not all(number.isdecimal() and len(number) < 10 for number in numbers):
        raise InputError(f"{told}: layer and unit are {', '.join(map(repr, numbers))}; expected numbers from 0")
    if not text.get("model") or not text.get("description"):
        raise InputError(f"{told}: model or description is empty")
    if longest := max((value for value in text.values() if len(value) > MOST_TEXT), key=len, default=""):
        raise InputError(f"{told}: a text of {len(longest):,} characters; expected at most {MOST_TEXT:,}")
    layer, unit = map(int, numbers)
    return Given(
        text["model"], text.get("unit_kind") or "mlp", layer, unit, text["description"], text.get("author") or name,
        text.get("predicts") or text["description"],
    )  # fmt: skip
