"""A notebook as CSV: a line for each unit and list, and lists as the targets of ``--ablate file:``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from core.untrusted_text import from_csv_cell
from db.notebook.records import Entry, NotebookError, Unit, checked_lists, checked_name, checked_note

COLUMNS = ("list", "model", "layer", "neuron", "name", "note", "starred_at")
NEEDED = ("model", "layer", "neuron")
MOST_LINES, MOST_BYTES = 20_000, 5_000_000


@dataclass(frozen=True)
class Read:
    """What a file holds: good entries by their line, and what is wrong with the others, by theirs."""

    entries: Mapping[int, Entry]
    faults: Mapping[int, str]


def table(entries: Sequence[Entry], only: str | None = None) -> pd.DataFrame:
    """Return entries as rows of `COLUMNS`: one for each list, one with an empty list for a unit in none.

    Parameters
    ----------
    entries : sequence of Entry
    only : str, optional
        The one list that is told.
    """
    return pd.DataFrame(
        [
            (name, entry.unit.model, entry.unit.layer, entry.unit.unit, entry.name, entry.note, entry.starred_at)
            for entry in entries
            for name in ((only,) if only is not None else entry.lists or ("",))
        ],
        columns=list(COLUMNS),
    )


def targets(lists: Mapping[str, Sequence[Entry]], model: str) -> pd.DataFrame:
    """Return the units of a model as ``--ablate file:`` takes them: ``name`` (of the list), ``layer``, ``neuron``."""
    rows = [
        (name, entry.unit.layer, entry.unit.unit)
        for name, entries in lists.items() for entry in entries if entry.unit.model == model
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "layer", "neuron"])


def read(content: bytes, widths: Mapping[str, Mapping[int, int]]) -> Read:
    """Read a CSV with `COLUMNS`, of which `NEEDED` must be there.

    Parameters
    ----------
    content : bytes
        UTF-8, at most `MOST_BYTES`.
    widths : mapping
        Of each model of the store, the number of units of each layer.

    Raises
    ------
    NotebookError
        Where nothing can be read at all.
    """
    if len(content) > MOST_BYTES:
        raise NotebookError(f"the file has more than {MOST_BYTES // 1_000_000} MB; import it in parts")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotebookError("the file is not UTF-8 text; save it as CSV UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    entries: dict[int, Entry] = {}
    faults: dict[int, str] = {}
    try:
        missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise NotebookError(f"the file has no column {missing[0]}; expected {','.join(COLUMNS)}")
        for number, row in enumerate(reader):
            line = reader.line_num
            if number >= MOST_LINES:
                faults[line] = f"this and what follows is left out: {MOST_LINES:,} lines are read at most"
                break
            try:
                entries[line] = _entry(row, widths)
            except NotebookError as error:
                faults[line] = str(error)
    except csv.Error as error:
        faults[reader.reader.line_num] = f"cannot be read, nor what follows: {error}"
    return Read(joined(entries), faults)


def joined(entries: Mapping[int, Entry]) -> dict[int, Entry]:
    """Join lines that tell of the same unit the same name and note: they differ by their list."""
    first: dict[tuple[Unit, str, str], int] = {}
    made: dict[int, Entry] = {}
    for line, entry in entries.items():
        known = first.setdefault((entry.unit, entry.name, entry.note), line)
        made[known] = replace(made[known], lists=made[known].lists + entry.lists) if known in made else entry
    return made


def _entry(row: Mapping[str | None, str | list[str] | None], widths: Mapping[str, Mapping[int, int]]) -> Entry:
    if None in row:
        raise NotebookError(f"has more cells than the first line, which has {len(row) - 1}")
    cells = {name: from_csv_cell(str(row.get(name) or "")) for name in COLUMNS}
    of_model = widths.get(cells["model"].strip())
    if of_model is None:
        raise NotebookError(f"“{cells['model'][:60]}” is no model of this store; it has {', '.join(sorted(widths))}")
    layer, neuron = (_whole(cells[name]) for name in ("layer", "neuron"))
    if not 0 <= neuron < of_model.get(layer, 0):
        raise NotebookError(
            f"layer “{cells['layer'][:20]}”, neuron “{cells['neuron'][:20]}” is no unit of {cells['model'].strip()}; "
            f"layers go from {min(of_model)} to {max(of_model)}, both numbers count from 0"
        )
    return Entry(
        Unit(cells["model"].strip(), layer, neuron), checked_name(cells["name"]), checked_note(cells["note"]),
        _time(cells["starred_at"].strip()), checked_lists((cells["list"],) if cells["list"].strip() else ()),
    )  # fmt: skip


def _whole(cell: str) -> int:
    cell = cell.strip()
    return int(cell) if cell.isascii() and cell.isdecimal() and len(cell) < 10 else -1


def _time(cell: str) -> str:
    if not cell:
        return ""
    try:
        return datetime.fromisoformat(cell).isoformat(timespec="seconds")
    except ValueError:
        raise NotebookError(f"starred_at “{cell[:40]}” is no time; expected 2026-01-31T12:00:00+00:00") from None
