"""What the notebook's page tells; pure functions over its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dashboard.shared import address
from dashboard.shared.text.numbers import counted
from dashboard.shared.text.words import plain
from db.notebook.records import Entry

MOST_TOLD = 20


def rows(entries: Sequence[Entry], known: Mapping[str, Mapping[int, int]]) -> pd.DataFrame:
    """Entries as the table shows them: ``neuron`` is a link, None for a unit that the store has not (any more)."""
    return pd.DataFrame(
        {
            "neuron": [_link(entry, known) for entry in entries],
            "place": [entry.unit.name for entry in entries],
            "model": [entry.unit.model for entry in entries],
            "name": [entry.name for entry in entries],
            "note": [entry.note for entry in entries],
            "lists": [list(entry.lists) for entry in entries],
            "starred_at": pd.to_datetime([entry.starred_at for entry in entries], utc=True, errors="coerce"),
        }
    )


def _link(entry: Entry, known: Mapping[str, Mapping[int, int]]) -> str | None:
    unit = entry.unit
    if not 0 <= unit.unit < known.get(unit.model, {}).get(unit.layer, 0):
        return None
    return address.relative("neuron", model=unit.model, layer=unit.layer, neuron=unit.unit)


def models(entries: Sequence[Entry]) -> list[str]:
    """Models of entries, sorted."""
    return sorted({entry.unit.model for entry in entries})


def gone_sentence(table: pd.DataFrame) -> str:
    """Tell of units that the store has not; empty where it has all."""
    n_gone = int(table["neuron"].isna().sum())
    if not n_gone:
        return ""
    return f"{counted(n_gone, 'unit')} without a link: this store has no such unit (any more). The notebook keeps it."


def imported(n_taken: int, faults: Mapping[int, str]) -> list[str]:
    """Tell what a file brought, one line of it a fault."""
    told = [f"{counted(n_taken, 'unit')} read from the file."]
    told += [f"Line {line}: {plain(why)}." for line, why in sorted(faults.items())[:MOST_TOLD]]
    if len(faults) > MOST_TOLD:
        told.append(f"And {len(faults) - MOST_TOLD:,} more lines with a fault.")
    return told
