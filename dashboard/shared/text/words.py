"""Words as pages write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:@&])")


def plain(name: object) -> str:
    """Return a name from the store so that Markdown shows it as it is: class and file names may hold anything."""
    return _MARKS.sub(r"\\\1", " ".join(str(name).split()))


def listed(names: Sequence[object], most: int = 4) -> str:
    """Return names as an enumeration that ends in a number where they are many."""
    shown = ", ".join(plain(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
