"""Numbers as pages and reports write them: a true minus, a dash where nothing was measured."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

BRACKETS = "[{}, {}]"


def number(value: float | None, form: str = "") -> str:
    """Write a number.

    Parameters
    ----------
    value : float, optional
    form : str
        As ``format`` takes it; without one, whole and large numbers have separators, others three digits.

    Examples
    --------
    >>> number(12345.0), number(-0.01234), number(0.5), number(-0.25, "+.0%"), number(-0.01, ".1f"), number(None)
    ('12,345', '−0.0123', '0.5', '−25%', '0.0', '–')
    """
    if value is None or pd.isna(value):
        return "–"
    if not form:
        whole = float(value).is_integer() or abs(value) >= 999.5
        form = ",.0f" if whole and abs(value) < 1e15 else ".3g"
    written = format(value, form)
    is_nothing = not any(digit in written for digit in "123456789")
    return (written.lstrip("-") if is_nothing and written[1:2].isdigit() else written).replace("-", "−")


def share(value: float) -> str:
    """Write a share as a percentage."""
    return number(value, ".0%").replace("%", " %")


def between(low: float, high: float, write: str | Callable[[float], str] = number, like: str = "{} to {}") -> str:
    """Write an interval: its ends as `number` writes them in the form ``write``, or as the function ``write`` does.

    Examples
    --------
    >>> between(0.1, 2), between(-0.1, 0.2, "+.1f", BRACKETS), between(0.1, float("nan"))
    ('0.1 to 2', '[−0.1, +0.2]', '–')
    """
    if pd.isna(low) or pd.isna(high):
        return "–"
    return like.format(*(number(end, write) if isinstance(write, str) else write(end) for end in (low, high)))


def spread(low: float, high: float, write: str | Callable[[float], str] = number) -> str:
    """Write a range as `between` does; one number where both ends are written alike.

    Examples
    --------
    >>> spread(0, 0.2, ".0%"), spread(0, 0.001, ".0%")
    ('0% to 20%', '0%')
    """
    one, both = between(low, low, write, "{}"), between(low, high, write)
    return one if both == f"{one} to {one}" else both


def with_interval(value: float, low: float, high: float, form: str = "", unit: str = "") -> str:
    """Write a number with its unit, and its interval in brackets where that is known.

    Examples
    --------
    >>> with_interval(2.31, 1.9, 2.8, ".1f", "×"), with_interval(2.31, float("nan"), float("nan"), ".1f", "×")
    ('2.3× [1.9, 2.8]', '2.3×')
    >>> with_interval(float("inf"), 0.6, float("inf"), ".1f", "×")
    'only there [at least 0.6×]'
    """
    if value == float("inf"):
        return "only there" if pd.isna(low) else f"only there [at least {number(low, form)}{unit}]"
    ends = "" if pd.isna(low) or pd.isna(high) else f" {between(low, high, form or number, BRACKETS)}"
    return f"{number(value, form)}{unit}{ends}"


def p_value(value: float, equals: str = "= ") -> str:
    """Write a p or q, after its letter.

    Examples
    --------
    >>> f"q {p_value(0.0312)}, p {p_value(1e-9)}, q {p_value(float('nan'))}, q {p_value(0.0496)}"
    'q = 0.031, p < 0.0001, q not computed, q = 0.0496'
    """
    if pd.isna(value):
        return "not computed"
    digits = 3 if 0.045 < value < 0.055 else 2  # on which side of 0.05 is what is asked
    return "< 0.0001" if value < 1e-4 else f"{equals}{value:.{digits}g}"


def counted(n: int, what: str) -> str:
    """Write how many there are of something.

    Examples
    --------
    >>> counted(1, "neuron"), counted(1234, "neuron")
    ('1 neuron', '1,234 neurons')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"
