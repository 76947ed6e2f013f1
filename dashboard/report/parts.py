"""What a section of the report is made of, for any writer; and its values as text. Loads no charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.shared.text.numbers import between, number, share

NOTHING = "Nothing to list."
"""Of a table without rows."""


@dataclass(frozen=True)
class Table:
    """A table: ``columns`` of ``rows``, in order, with their headings; numbers are written by the writer.

    ``grey`` marks the rows that are not beyond chance, ``greyed`` tells what that means.
    """

    caption: str
    rows: pd.DataFrame
    columns: Mapping[str, str]
    grey: Sequence[bool] = ()
    greyed: str = ""

    def cut(self, most: int) -> str:
        """Say that only the first ``most`` rows are written, if there are more."""
        n = len(self.rows)
        return f"The first {most:,} of {n:,} rows; the store holds all." if n > most else ""


@dataclass(frozen=True)
class Figure:
    """A chart of `dashboard.report.charts.CHARTS` and what it is drawn from."""

    chart: str
    frames: tuple[pd.DataFrame, ...]
    caption: str


Part = str | Table | Figure
"""A text is Markdown, in which names from the store went through `plain`; titles, captions, cells are as they are."""


@dataclass(frozen=True)
class Section:
    """A title and what stands under it."""

    title: str
    parts: Sequence[Part]


def cell(value: Any) -> str:
    """Write one value of a table, unescaped."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(float(value)) if isinstance(value, (int, float)) or hasattr(value, "dtype") else str(value)


def bullets(lines: Iterable[str]) -> str:
    """Write a list, each line Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def intervals(frame: pd.DataFrame, name: str, write: Callable[[float], str]) -> list[str]:
    """The intervals from ``name``_low to ``name``_high of all rows, as text."""
    ends = zip(frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
    return [between(low, high, write) for low, high in ends]


def as_shares(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Shares as percentages, and the ``interval`` from ``ci_low`` to ``ci_high``, as text."""
    return rows.assign(**{name: rows[name].map(share) for name in names}, interval=intervals(rows, "ci", share))
