"""Numbers as reports write them: whole ones with separators, others with three digits, a true minus."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd


def number(value: float, digits: int = 3) -> str:
    """Write a number: whole ones with separators, others with so many digits; a true minus.

    Examples
    --------
    >>> number(12345.0), number(-0.01234), number(0.5)
    ('12,345', '−0.0123', '0.5')
    """
    if value != value:
        return "–"
    shown = f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.{digits}g}"
    return shown.replace("-", "−")


def share(value: float) -> str:
    """Write a share as a percentage."""
    return "–" if pd.isna(value) else f"{value * 100:.0f} %"


def between(low: float, high: float, write: Callable[[float], str] = number) -> str:
    """Write an interval."""
    return "–" if pd.isna(low) or pd.isna(high) else f"{write(low)} to {write(high)}"
