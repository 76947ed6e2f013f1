"""Tables of segments: one for a whole dataset, as DCASE, DESED and AudioSet write them, ``file, onset, offset, label``;
or one for each clip, without ``file``, as Raven's selections are.

Tabs, commas or semicolons between cells, a header, times in seconds; ``duration`` may stand for the offset. Without a
column ``attribute`` all rows are of the attribute ``event``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.datasets.base import Clip
from core.datasets.segments.gathered import Gathered, NotRead, as_label, seconds, text_of, why
from core.files import is_plain_file

NAMES = ("segments.tsv", "segments.csv")
"""A table of this name in the dataset's folder is all that counts there."""
EVENT = "event"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file", "filename", "file_name", "path", "segment_id", "begin file"),
    "onset": (
        "onset",
        "start",
        "begin",
        "start_time",
        "begin_time",
        "start_time_seconds",
        "begin time (s)",
        "start (s)",
    ),
    "offset": (
        "offset",
        "end",
        "stop",
        "end_time",
        "end_time_seconds",
        "end time (s)",
        "end (s)",
        "duration",
        "duration (s)",
    ),
    "label": ("label", "event_label", "class", "event", "annotation", "species"),
}
"""What each column is called, in any case."""
_DURATION = ("duration", "duration (s)")
"""What stands for an offset, from the onset on."""
HEADER = ("file", "attribute", "onset", "offset", "label")
_ENDINGS = (".tsv", ".csv", ".txt")
_MOST_BYTES = 1 << 29
_LOOKED_AT = 4_096


@dataclass
class Rows:
    """What a table's rows come to.

    Attributes
    ----------
    of_clip : dict of str to Gathered
        By the clip's path.
    unknown : dict of str to int
        Files that are no clip of the dataset, and their rows.
    notes : list of str
    """

    of_clip: dict[str, Gathered] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def own(folder: Path) -> str:
    """The table of segments that a dataset's folder has for all of it; empty where there is none."""
    return next((name for name in NAMES if is_plain_file(folder / name)), "")


def others(folder: Path, files: Iterable[str]) -> list[str]:
    """Of files in a dataset's folder or below it those that are further tables of segments, by their header."""
    tables = (file for file in files if file.lower().endswith(_ENDINGS) and file not in NAMES)
    return [file for file in tables if not lacking(_header(folder / file))]


def is_of_one_clip(path: Path) -> bool:
    """Whether a table is one of segments, and does not say of which clip."""
    return lacking(_header(path)) == ["file"]


def _header(path: Path) -> list[str]:
    if not is_plain_file(path):
        return []
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError:
        return []
    text = start.replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf").decode("latin-1")
    return _cells(text.splitlines()[0]) if text.strip() else []


def _cells(line: str) -> list[str]:
    return [cell.strip(' "').lower() for cell in line.split(_between(line))]


def _between(header: str) -> str:
    return max("\t;,", key=header.count)


def lacking(header: Sequence[str]) -> list[str]:
    """Columns that a table of segments has and this one lacks."""
    return [column for column, names in COLUMNS.items() if not set(names) & set(header)]


def read(path: Path, clips: Iterable[Clip], folder: str = "") -> Rows:
    """Read a table.

    Parameters
    ----------
    path : Path
    clips : iterable of Clip
        Rows name them by their path, by their path below the table's folder, or by a file name that one clip alone has,
        with or without its ending.
    folder : str
        The table's, below the dataset's root.

    Raises
    ------
    NotRead
        If it lacks a column, or is no table.
    OSError
    """
    about = Gathered()
    text = text_of(path, about, _MOST_BYTES)
    names, rows = _Names(clips, folder), Rows(notes=about.notes)
    for row in _rows(text, ()):
        if not (file := row["file"]):
            continue
        clip = names.clip(file)
        if not clip:
            rows.unknown[file] = rows.unknown.get(file, 0) + 1
            continue
        _add(rows.of_clip.setdefault(clip, Gathered()), row, EVENT)
    return rows


def read_one(path: Path, attribute: str, sound: Path) -> Gathered:
    """Read a table of one clip's segments.

    Raises
    ------
    NotRead
        If it lacks a column, or is no table.
    """
    gathered = Gathered()
    for row in _rows(text_of(path, gathered), ("file",)):
        _add(gathered, row, attribute)
    if not gathered.segments and not gathered.told():
        gathered.empty[attribute] = None
    return gathered


def _rows(text: str, without: Collection[str]) -> Iterator[dict[str, str]]:
    """Cells of `COLUMNS`, and ``attribute``, of each row; empty where there is none."""
    first, _, _ = text.partition("\n")
    header = _cells(first.strip("\r"))
    if lacks := [column for column in lacking(header) if column not in without]:
        raise NotRead(f"has no column '{lacks[0]}' (found: {as_label(', '.join(header))})")
    place = {column: header.index(name) for column, names in {**COLUMNS, "attribute": ("attribute",)}.items()
             for name in names[::-1] if name in header}  # fmt: skip
    lasts = header[place["offset"]] in _DURATION
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_between(first))
    try:
        next(lines)
        for cells in lines:
            row = {column: cells[at].strip() if at < len(cells) else "" for column, at in place.items()}
            onset, duration = seconds(row["onset"]), seconds(row["offset"])
            if lasts and onset is not None and duration is not None:
                row["offset"] = repr(onset + duration)
            yield row
    except csv.Error as error:
        raise NotRead(f"cannot be read as a table ({why(error)})") from error


def _add(gathered: Gathered, row: Mapping[str, str], attribute: str) -> None:
    """Take a row; one of a clip in which nothing is has no times either."""
    if row["label"] or not row["onset"]:
        gathered.add(as_label(row.get("attribute", "")) or attribute, row["label"], row["onset"], row["offset"])
    else:
        gathered.drop("have no label", f"at {row['onset']} s")


class _Names:
    """Clips by what a table may call them."""

    def __init__(self, clips: Iterable[Clip], folder: str) -> None:
        self._paths = {clip.path: clip.path for clip in clips}
        self._folder = folder
        self._short: dict[str, set[str]] = {}
        for path in self._paths:
            pure = PurePosixPath(path)
            for name in {pure.name, pure.stem}:
                self._short.setdefault(name, set()).add(path)

    def clip(self, written: str) -> str:
        """A clip's path; empty where it is none, or may be several."""
        name = written.replace("\\", "/")
        here = f"{self._folder}/{name}" if self._folder else name
        found = self._paths.get(name) or self._paths.get(here)
        if found:
            return found
        same = self._short.get(name.rpartition("/")[2], set())
        return next(iter(same)) if len(same) == 1 else ""


def written(clips: Iterable[Clip], attributes: Sequence[str]) -> str:
    """The table of some attributes' segments, as `read` takes it."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    rows.writerow(HEADER)
    for clip in clips:
        for s in clip.segments:
            if s.attribute in attributes:
                rows.writerow([clip.path, s.attribute, repr(s.onset), repr(s.offset), s.label])
    return text.getvalue()
