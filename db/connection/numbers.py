"""PostgreSQL's NUMERIC as a number of Python; the driver alone, for the process that needs no more of the store."""

from __future__ import annotations

from typing import Any

from psycopg.adapt import Loader

_LARGEST = 2**63


class Number(Loader):
    """NUMERIC as SQLite would give it: sums of whole numbers are whole, means are not, nor what 64 bits do not hold."""

    def load(self, data: Any) -> int | float:
        """Read the server's text."""
        digits = bytes(data)
        whole = len(digits) < 20 and digits.lstrip(b"-").isdigit()
        return number if whole and -_LARGEST <= (number := int(digits)) < _LARGEST else float(digits)
