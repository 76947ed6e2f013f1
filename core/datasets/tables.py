"""A table of clips as people write it, and the dataset it makes.

Read are UTF-8 or UTF-16, a comma, a semicolon or a tab between cells, ``Split`` and ``Validation`` in any case, several
labels a clip as several rows or with ``|`` between them. What is read otherwise than it is written is told. An empty
cell means that the clip has no label for that attribute. Paths are relative to the folder and may not leave it.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from core.datasets.audiofolder import not_taken
from core.datasets.base import SPLITS, Clip, Dataset
from core.datasets.files import SOUND, refuse_nul, walk
from core.datasets.segments.attach import may_have_segments, named_columns
from core.datasets.splits import split_named
from core.errors import InputError
from core.files import refuse_no_file
from core.results import Problem

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 1_000
LONGEST_CELL = 10_000
_LOOKED_AT = 65_536
_RESERVED = ("file", "split")
_BETWEEN_CELLS = {",": "commas", ";": "semicolons", "\t": "tabs"}
BETWEEN_LABELS = "|"


@dataclass(frozen=True)
class Table:
    """Rows of clips: the columns ``file``, as written, ``split`` (may be absent) and attributes, as stripped text.

    Attributes
    ----------
    path : Path
        For messages.
    rows : DataFrame
    notes : tuple of str
        What was read otherwise than written.
    several : tuple of str or None
        Columns of which a clip may have several labels; None = any that has ``|`` in it.
    """

    path: Path
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()
    several: tuple[str, ...] | None = None

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(column for column in self.rows.columns if column not in _RESERVED)


def dataset(folder: Path, table: Table, seed: int, name: str, is_packed: bool = False) -> Dataset:
    """The clips of a table; audio is not opened.

    Parameters
    ----------
    folder : Path
        To which the table's paths are relative.
    table : Table
    seed : int
        Draws the split where the table has none.
    name : str
    is_packed : bool
        Whether the files are still to be made, under the names that the table has.

    Raises
    ------
    InputError
        If no row can be used, or splits are mixed.
    """
    has_split = "split" in table.rows.columns
    columns = {name: table.rows[name].tolist() for name in table.attributes}
    of_segments = () if is_packed else named_columns(columns, folder)
    attributes = tuple(name for name in table.attributes if name not in of_segments)
    rows = _Rows.of(table, None if is_packed else _Names(folder))
    if not rows.clips:
        raise InputError(
            f"{table.path} lists no usable clip{rows.first_reason}; expected one row a clip with its file name"
        )
    _check_not_mixed(table.path, {clip.split for clip in rows.clips})
    segment_files = {name: rows.taken_out(name) for name in of_segments}
    multilabel = rows.multilabel(table)
    found = Dataset(
        name=name,
        root=folder.resolve(),
        attributes=attributes,
        clips=tuple(rows.clips),
        problems=tuple(rows.problems),
        split_origin="manifest" if has_split else "ours",
        multilabel=multilabel,
        segment_files=segment_files,
        notes=(*table.notes, *rows.notes),
        unexpected=() if is_packed else _not_listed(folder, rows),
        drawn=None if has_split else (attributes[0] if attributes else "", seed),
    )
    return found.drawn_again()


def _not_listed(folder: Path, rows: _Rows) -> tuple[str, ...]:
    """Sound below the folder that no row names."""
    named = {clip.path for clip in rows.clips} | {problem.path for problem in rows.problems}
    return not_taken([path for path in walk(folder) if path not in named], f"in no row of {rows.table}")


@dataclass
class _Rows:
    """What the rows of a table come to."""

    table: str
    clips: list[Clip] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, table: Table, names: _Names | None) -> _Rows:
        rows, frame = cls(table.path.name), table.rows
        splits = frame["split"].tolist() if "split" in frame.columns else ["train"] * len(frame)
        labels = frame[list(table.attributes)].to_dict("records")
        kept: dict[str, int] = {}
        words: dict[str, str] = {}
        n_joined = n_again = 0
        for number, (written, word, of_row) in enumerate(zip(frame["file"], splits, labels, strict=True)):
            split = split_named(word)
            if reason := _wrong(written, word, split):
                rows.problems.append(Problem(written.strip() or f"{rows.table} line {number + 2}", reason))
                continue
            words.update({word: split} if word != split else {})
            file = names.on_disk(written) if names else written
            clip = Clip(file, split, {str(k): v for k, v in of_row.items() if v})
            if file not in kept:
                kept[file] = len(rows.clips)
                rows.clips.append(clip)
            elif rows.clips[kept[file]].split != split:
                rows.problems.append(Problem(file, f"is in {split}, too; its first row counts", left_out=False))
            else:
                is_again = clip.labels == rows.clips[kept[file]].labels
                n_again, n_joined = n_again + is_again, n_joined + (not is_again)
                rows.clips[kept[file]] = _joined(rows.clips[kept[file]], clip)
        if words:
            read_as = ", ".join(f"{word!r} as {split}" for word, split in words.items())
            rows.notes.append(f"{rows.table}: of its splits {read_as} are read")
        if n_joined:
            rows.notes.append(f"{rows.table}: {n_joined} rows give a file that has a row already further labels")
        if n_again:
            rows.notes.append(f"{rows.table}: {n_again} rows say again what another says; they count once")
        rows.notes += [f"{rows.table}: {note}" for note in (names.notes() if names else ())]
        return rows

    @property
    def first_reason(self) -> str:
        """Why nothing is left, by the first row."""
        first = self.problems[0] if self.problems else None
        return f": of {len(self.problems)} rows the first ({first.path}) {first.reason}" if first else ""

    def taken_out(self, column: str) -> dict[str, str]:
        """A column that names files and is no label: by clip; the clips are without it from here on."""
        files = {clip.path: clip.labels[column] for clip in self.clips if column in clip.labels}
        self.clips = [
            replace(clip, labels={k: v for k, v in clip.labels.items() if k != column}) if clip.path in files else clip
            for clip in self.clips
        ]
        return files

    def multilabel(self, table: Table) -> tuple[str, ...]:
        """Attributes of which clips have several labels, which are held with commas between them from here on."""
        asked = table.attributes if table.several is None else table.several
        several = tuple(a for a in asked if any(BETWEEN_LABELS in clip.labels.get(a, "") for clip in self.clips))
        for attribute in several:
            if any("," in clip.labels.get(attribute, "") for clip in self.clips):
                raise InputError(
                    f"{table.path}: labels of '{attribute}' hold commas, and some clips have several labels with "
                    f"{BETWEEN_LABELS} between them; write those labels without commas"
                )
            self.notes.append(f"{self.table}: clips may have several labels of {attribute}")
        self.clips = [_with_commas(clip, several) for clip in self.clips] if several else self.clips
        return several


def _joined(clip: Clip, other: Clip) -> Clip:
    """A clip with the labels of a second row of it."""
    labels = dict(clip.labels)
    for attribute, value in other.labels.items():
        if value not in labels.get(attribute, "").split(BETWEEN_LABELS):
            labels[attribute] = BETWEEN_LABELS.join(filter(None, [labels.get(attribute, ""), value]))
    return replace(clip, labels=labels)


def _with_commas(clip: Clip, several: Sequence[str]) -> Clip:
    labels = dict(clip.labels)
    for attribute in several:
        if attribute in labels:
            parts = (part.strip() for part in labels[attribute].split(BETWEEN_LABELS))
            labels[attribute] = ",".join(dict.fromkeys(part for part in parts if part))
    return replace(clip, labels=labels)


class _Names:
    """Files by their names in the table: as written where there is such a file, else as one that differs in form alone.

    Blanks at the ends, backslashes for slashes, and letters with accents as one character or two make no difference.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: list[tuple[str, str]] = []
        self._index: dict[str, str] | None = None

    def on_disk(self, written: str) -> str:
        """Path below the folder; one that is nowhere comes back with slashes, to be told as missing."""
        if os.path.isfile(self._folder / written):  # Path.is_file fails where a name is too long
            return written
        if self._index is None:
            self._index = {_plain(path): path for path in walk(self._folder)}
        found = self._index.get(_plain(written))
        if found is None:
            return written.strip().replace("\\", "/")
        self._found.append((written, found))
        return found

    def notes(self) -> list[str]:
        if not self._found:
            return []
        written, found = self._found[0]
        return [f"{len(self._found)} names are spelt otherwise on disk (first {written!r}, a file {found!r}): taken"]


def _plain(name: str) -> str:
    """A name without what makes no difference."""
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    return "/".join(part.strip() for part in parts)


def _check_not_mixed(path: Path, splits: set[str]) -> None:
    folds = sorted(splits - set(SPLITS))
    if folds and len(folds) < len(splits):
        raise InputError(
            f"{path} has both {folds[0]} and {min(splits & set(SPLITS))} in the column 'split'; give all rows train, "
            "valid or test, or all rows fold 1, fold 2 and so on"
        )


def read(path: Path, file: str = "file") -> Table:
    """A table as people write it; columns without a name or a cell are dropped.

    Parameters
    ----------
    path : Path
    file : str
        What the column of files is called, in lower case.

    Raises
    ------
    InputError
        If it cannot be read, or lacks that column or any attribute.
    """
    cells, notes = _cells(path, file)
    stripped = cells.apply(lambda column: column.str.strip())
    longest = max((len(cell) for name in stripped for cell in stripped[name]), default=0)
    if longest > LONGEST_CELL:
        raise InputError(
            f"{path} has a cell of {longest:,} characters; at most {LONGEST_CELL:,} are read. Is a quote not closed?"
        )
    used = (stripped != "").any()
    reserved = {file: "file", "split": "split"}
    header = stripped.loc[:, used].iloc[0].tolist()
    names = [reserved.get(name.lower(), name) for name in header]
    notes += [
        f"{path.name}: the column {written!r} is read as '{name}'"
        for written, name in zip(header, names, strict=True)
        if written.lower() in reserved and written != written.lower()
    ]
    table = stripped.loc[:, used].iloc[1:].set_axis(names, axis="columns")
    for name in table.columns[(table.columns == "") | table.columns.duplicated()]:
        wrong = f"the column '{name}' twice" if name else "a column without a name"
        raise InputError(f"{path} has {wrong}; give each column one name")
    if "file" not in table.columns:
        raise InputError(
            f"{path} has no column '{file}' (found: {', '.join(table.columns):.300}); "
            "add one with each clip's path relative to the folder"
        )
    if set(table.columns) <= set(_RESERVED) and not may_have_segments(path.parent):
        raise InputError(f"{path} has no attribute column; add one column for each thing to ask about")
    as_written = cells.loc[:, used].iloc[1:].set_axis(names, axis="columns")["file"]
    return Table(path, table.assign(file=as_written.where(table["file"] != "", "")), tuple(notes))


def _cells(path: Path, file: str) -> tuple[pd.DataFrame, list[str]]:
    """All cells as they are written, the header's too; and what was made out of the file's form."""
    import pandas as pd

    try:
        refuse_no_file(path)
        content = path.read_bytes()
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if not is_utf16:
            refuse_nul(path)
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
        header = next(csv.reader(io.StringIO(text, newline="")), [])
        first_line = text.splitlines()[0] if text else ""
        between = max(_BETWEEN_CELLS, key=lambda c: (_has_column(first_line, file, c), c == ","))
        n_columns = len(header if between == "," else first_line.split(between))
        if n_columns > MOST_COLUMNS:
            raise InputError(f"{path} has {n_columns:,} columns; at most {MOST_COLUMNS:,} are read")
        # The header is read as a row: pandas would give nameless and repeated columns names of its own.
        cells = pd.read_csv(io.StringIO(text, newline=""), dtype=str, header=None, keep_default_na=False, sep=between)
    except InputError:
        raise
    except (OSError, ValueError, OverflowError, MemoryError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as UTF-8 CSV ({str(error).strip()})") from error
    notes = [f"{path.name} is read as UTF-16"] if is_utf16 else []
    notes += [f"{path.name} is read with {_BETWEEN_CELLS[between]} between cells"] if between != "," else []
    return cells.fillna(""), notes


def _has_column(header: str, name: str, between: str) -> bool:
    return name in (cell.strip(' "').lower() for cell in header.split(between))


def _wrong(written: str, word: str, split: str) -> str:
    pure = PurePosixPath(written.strip().replace("\\", "/"))
    if not written.strip():
        return "has no file name"
    if "://" in written:
        return "is an address on the net; fetch the files, and give their paths relative to the folder"
    if pure.is_absolute():
        return "is an absolute path; give paths relative to the folder"
    if ".." in pure.parts:
        return "leaves the dataset's folder"
    if not split:
        return f"has the split '{word}'; expected train, valid or test, or in all rows fold 1, fold 2 and so on"
    return ""


def column_of_files(path: Path) -> str:
    """The column of a table of any form that names files of sound; empty where there is none."""
    try:
        refuse_no_file(path)
        with path.open("rb") as file:
            lines = file.read(_LOOKED_AT).replace(b"\0", b"").decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    if len(lines) < 2:
        return ""
    between = max(_BETWEEN_CELLS, key=lines[0].count)
    header, row = ([cell.strip(' "\ufeff') for cell in line.split(between)] for line in lines[:2])
    are_names = ((name, cell) for name, cell in zip(header, row, strict=False) if name and not _is_sound(name))
    return next((name for name, cell in are_names if _is_sound(cell)), "")


def _is_sound(name: str) -> bool:
    return name.lower().endswith(tuple(SOUND))
