"""Any folder with a ``manifest.csv``: columns ``file``, ``split`` (may be absent), attributes.

UTF-8, byte-order mark and CRLF tolerated. An empty cell means that the clip has no label for that
attribute. Paths are relative to the folder and may not leave it.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path, PurePosixPath

import pandas as pd

from core.datasets.base import SPLITS, Clip, Dataset
from core.datasets.files import refuse_nul
from core.errors import InputError
from core.results import Problem

FILE = "manifest.csv"
MOST_COLUMNS = 1_000
LONGEST_CELL = 10_000
_SPLIT = re.compile("fold [1-9][0-9]{0,3}")


def recognise(folder: Path) -> bool:
    """Whether the folder is such a dataset."""
    return (folder / FILE).is_file()


def read(
    folder: Path,
    seed: int = 0,
    name: str | None = None,
    description: str = "",
    source: str = "",
    licence: str = "",
) -> Dataset:
    """Read the manifest; audio is not opened.

    Parameters
    ----------
    folder : path
    seed : int
        Draws the split where the manifest has none.
    name : str, optional
        By default the folder's name.
    description, source, licence : str
        One line each.

    Raises
    ------
    InputError
        If the file cannot be read, lacks the column ``file``, has no attribute or no row.
    """
    path = folder / FILE
    table = _table(path)
    attributes = tuple(c for c in table.columns if c not in ("file", "split"))
    problems: list[Problem] = []
    keep = []
    splits = table["split"].tolist() if "split" in table.columns else ["train"] * len(table)
    for row, (file, split) in enumerate(zip(table["file"], splits, strict=True)):
        reason = _wrong(file, split)
        if reason:
            problems.append(Problem(file or f"{FILE} line {row + 2}", reason))
        else:
            keep.append((row, file.replace("\\", "/"), split))
    records = table[list(attributes)].to_dict("records")
    clips = tuple(Clip(file, split, {str(k): v for k, v in records[row].items() if v}) for row, file, split in keep)
    if not clips:
        raise InputError(f"{path} lists no usable clip; expected one row a clip with its file name")
    _check_not_mixed(path, {split for *_, split in keep})
    dataset = Dataset(
        name=name or folder.resolve().name,
        root=folder.resolve(),
        attributes=attributes,
        clips=clips,
        problems=tuple(problems),
        split_origin="manifest" if "split" in table.columns else "ours",
        description=description,
        source=source,
        licence=licence,
        drawn=None if "split" in table.columns else (attributes[0], seed),
    )
    return dataset.drawn_again()


def _check_not_mixed(path: Path, splits: set[str]) -> None:
    folds = sorted(splits - set(SPLITS))
    if folds and len(folds) < len(splits):
        raise InputError(
            f"{path} has both {folds[0]} and {min(splits & set(SPLITS))} in the column 'split'; give all rows train, "
            "valid or test, or all rows fold 1, fold 2 and so on"
        )


def _table(path: Path) -> pd.DataFrame:
    """The cells as stripped text, a column each; columns without a name or a cell are dropped."""
    try:
        refuse_nul(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            n_columns = len(next(csv.reader(file), []))
        if n_columns > MOST_COLUMNS:
            raise InputError(f"{path} has {n_columns:,} columns; at most {MOST_COLUMNS:,} are read")
        # The header is read as a row: pandas would give nameless and repeated columns names of its own.
        cells = pd.read_csv(path, dtype=str, header=None, keep_default_na=False, encoding="utf-8-sig")
    except InputError:
        raise
    except (OSError, ValueError, OverflowError, MemoryError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as UTF-8 CSV ({str(error).strip()})") from error
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    longest = max((len(cell) for name in cells for cell in cells[name]), default=0)
    if longest > LONGEST_CELL:
        raise InputError(
            f"{path} has a cell of {longest:,} characters; at most {LONGEST_CELL:,} are read. Is a quote not closed?"
        )
    cells = cells.loc[:, (cells != "").any()]
    table = cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis="columns")
    for name in table.columns[(table.columns == "") | table.columns.duplicated()]:
        wrong = f"the column '{name}' twice" if name else "a column without a name"
        raise InputError(f"{path} has {wrong}; give each column one name")
    if "file" not in table.columns:
        raise InputError(
            f"{path} has no column 'file' (found: {', '.join(table.columns)}); "
            "add one with each clip's path relative to the folder"
        )
    if set(table.columns) <= {"file", "split"}:
        raise InputError(f"{path} has no attribute column; add one column for each thing to ask about")
    return table


def _wrong(file: str, split: str) -> str:
    pure = PurePosixPath(file.replace("\\", "/"))
    if not file:
        return "has no file name"
    if pure.is_absolute() or ".." in pure.parts:
        return "leaves the dataset's folder"
    if split not in SPLITS and not _SPLIT.fullmatch(split):
        return f"has the split '{split}'; expected train, valid or test, or in all rows fold 1, fold 2 and so on"
    return ""
