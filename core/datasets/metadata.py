"""Hugging Face's ``audiofolder``: ``metadata.csv`` or ``metadata.jsonl`` with ``file_name``, beside or above the sound.

One table for the whole folder, or one in each folder that is named like a split. Other columns are attributes; what is
no text, number or list of such (pictures, boxes) is left out, and told. See `core.datasets.tables` for how they
are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.datasets import tables
from core.datasets.base import Dataset
from core.datasets.files import read_lines
from core.datasets.splits import SPLIT_WORDS
from core.errors import InputError
from core.files import refuse_no_file

FILES = ("metadata.csv", "metadata.jsonl")
COLUMN = "file_name"


def recognise(folder: Path) -> bool:
    """Whether the folder is such a dataset, by its tables' first lines."""
    return bool(_tables(folder))


def read(folder: Path, seed: int = 0, name: str = "") -> Dataset:
    """Read the tables; audio is not opened.

    Raises
    ------
    InputError
        If a table cannot be read, or no row can be used.
    """
    import pandas as pd

    parts, notes = [], list[str]()
    found = _tables(folder)
    for path in found:
        table = tables.read(path, COLUMN) if path.suffix == ".csv" else _read_json(path)
        below = path.parent.relative_to(folder)
        rows = table.rows.assign(
            file=[f"{below.as_posix()}/{f}" if below.parts and f else f for f in table.rows["file"]]
        )
        parts.append(rows.assign(split=below.name) if below.parts else rows)
        notes += [f"{below.as_posix()}/{note}" if below.parts else note for note in table.notes]
    every = pd.concat(parts, ignore_index=True).fillna("")
    table = tables.Table(found[0], every, tuple(notes))
    made = tables.dataset(folder, table, seed, name or folder.resolve().name)
    return replace(made, description="a Hugging Face audiofolder")


def _tables(folder: Path) -> list[Path]:
    """The folder's own table, else those of its folders that are named like splits."""
    try:
        splits = [f for f in sorted(folder.iterdir()) if f.name.lower() in SPLIT_WORDS and f.is_dir()]
    except OSError:
        return []
    for places in ([folder], splits):
        if found := [place / file for place in places for file in FILES if _names_files(place / file)]:
            return found
    return []


def _names_files(path: Path) -> bool:
    """Whether a table's first line has the column of files."""
    try:
        refuse_no_file(path)
        with path.open("rb") as file:
            start = file.read(65_536).split(b"\n")[0]
    except OSError:
        return False
    return COLUMN.encode() in start.replace(b"\0", b"").lower()


def _read_json(path: Path) -> tables.Table:
    """A line a clip, each a JSON object."""
    import pandas as pd

    rows, left_out = [], dict[str, None]()
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read as JSON lines (line {number}: {str(error).strip()})") from error
        if not isinstance(row, dict) or not isinstance(row.get(COLUMN), str):
            raise InputError(f"{path} line {number} is no JSON object with a '{COLUMN}'")
        rows.append({key: _as_label(value) for key, value in row.items() if _is_label(value)})
        left_out.update(dict.fromkeys(key for key, value in row.items() if not _is_label(value)))
    frame = pd.DataFrame(rows).fillna("").rename(columns={COLUMN: "file"})
    if set(frame.columns) <= {"file", "split"}:
        raise InputError(f"{path} has no attribute; add a key for each thing to ask about")
    notes = (f"{path.name}: {', '.join(left_out)} left out, neither text nor number",) if left_out else ()
    return tables.Table(path, frame, notes)


def _is_label(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str | int) for each in value)
    return value is None or not isinstance(value, Mapping)


def _as_label(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(map(str, value))
    return "" if value is None else str(value).strip()
