"""The segments of a dataset's clips, wherever in its folder they are written.

In this order: ``segments.tsv`` (or ``.csv``) in the folder is all there is, where it is there. Else files beside the
clips that have their name, files that a manifest's column names, and other tables with the columns of one. None is read
outside the folder. What cannot be read is told in a line; its clips stay.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from core.datasets import links
from core.datasets.base import Clip, Dataset, Segment
from core.datasets.files import SOUND, walk
from core.datasets.segments import phonology, table
from core.datasets.segments.formats import ENDINGS, INSTALL, NOT_READ, OF_ANYTHING, Format, format_of
from core.datasets.segments.gathered import POINT_SECONDS, Gathered, NotRead, as_label
from core.results import Problem

_NONE = frozenset(("", "na", "n/a", "nan", "none", "null", "-"))
_LOOKED_AT = 20
_RAVEN = re.compile(r"\.Table\.\d+\.selections$", re.IGNORECASE)
_SPAN = "_span"
"""Behind the name of a segment attribute that the clips have one of, too."""


def attach(dataset: Dataset) -> Dataset:
    """The dataset with its clips' segments; as it is where it has none.

    Audio is not opened but for TIMIT's lists, which count in samples. What lies beyond a clip's end is seen when the
    sound is read (`core.datasets.segments.within`).
    """
    if dataset.make is not None or not dataset.clips:  # packed: there are no files yet
        return dataset
    found = _Found(dataset, {clip.path: list(clip.segments) for clip in dataset.clips if clip.segments})
    own = table.own(dataset.root)
    if own:
        found.take_table(own)
    else:
        there = list(walk(dataset.root, (*ENDINGS, *NOT_READ)))
        for path, file in _beside(dataset, there, found):
            found.take_file(path, file, "")
        for column, files in dataset.segment_files.items():
            for path, several in files.items():
                for file in filter(None, map(str.strip, _path(several).split("|"))):
                    found.take_file(path, file, column)
        for name in table.others(dataset.root, there):
            found.take_table(name)
    return found.dataset()


def may_have_segments(folder: Path) -> bool:
    """Whether there is any file or table of segments in a folder or below it."""
    files = list(walk(folder, ENDINGS))
    some = (file for file in files if (kind := format_of(file)) and kind.is_one(folder / file))
    return bool(table.own(folder) or next(some, "") or table.others(folder, files))


def named_columns(columns: Mapping[str, Sequence[str]], root: Path) -> tuple[str, ...]:
    """Columns of a table of which most cells name files of segments.

    Parameters
    ----------
    columns : mapping of str to sequence of str
        Their cells; empty ones do not count.
    root : Path
        The dataset's folder: a column of ``.txt`` or tables is one of segments only where one of the first is.
    """
    return tuple(name for name, cells in columns.items() if _names_files([c for c in map(_path, cells) if c], root))


def _path(cell: str) -> str:
    """A cell as a path; empty where it says that there is none."""
    cell = cell.strip().replace("\\", "/")
    return "" if cell.lower() in _NONE else cell


def _names_files(cells: Sequence[str], root: Path) -> bool:
    firsts = [first for cell in cells if (first := cell.partition("|")[0].strip()).lower().endswith(ENDINGS)]
    if 2 * len(firsts) <= len(cells):
        return False
    if not all(first.lower().endswith(OF_ANYTHING) for first in firsts):
        return True
    there = [first for first in firsts if not _leads_out(first) and (root / first).is_file()][:_LOOKED_AT]
    return not there or any((kind := format_of(first)) and kind.is_one(root / first) for first in there)


def _leads_out(name: str) -> bool:
    pure = PurePosixPath(name.replace("\\", "/"))
    return pure.is_absolute() or ".." in pure.parts or "://" in name


@dataclass
class _Found:
    """What is found for a dataset's clips."""

    source: Dataset
    of_clip: dict[str, list[Segment]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    empty: dict[str, list[str]] = field(default_factory=dict)
    points: dict[str, None] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)

    def take_file(self, path: str, file: str, column: str) -> None:
        """Read the file of a clip."""
        kind = format_of(file)
        if kind is None:
            self._tell(file, f"is of no format of segments that is read ({', '.join(ENDINGS)})")
        elif kind.is_missing:
            self.missing[f"{kind.name}\t{kind.package_name}"] += 1
        elif reason := self._refused(file):
            self._tell(file, reason)
        else:
            self._read(kind, path, file, column)

    def _read(self, kind: Format, path: str, file: str, column: str) -> None:
        root = self.source.root
        try:
            gathered = kind.read(root / file, column or kind.attribute, root / path)
        except NotRead as error:
            self._tell(file, str(error))
        except (OSError, ValueError) as error:
            self._tell(file, f"cannot be read ({getattr(error, 'strerror', '') or error})")
        else:
            self._take(path, file, gathered)

    def take_table(self, name: str) -> None:
        """Read a table of all clips."""
        try:
            rows = table.read(self.source.root / name, self.source.clips, name.rpartition("/")[0])
        except NotRead as error:
            self._tell(name, str(error))
            return
        except (OSError, ValueError) as error:
            self._tell(name, f"cannot be read ({getattr(error, 'strerror', '') or error})")
            return
        self.notes += [f"{name}: {note}" for note in rows.notes]
        for path, gathered in rows.of_clip.items():
            self._take(path, f"{name}, {path}", gathered)
        if rows.unknown:
            n, first = sum(rows.unknown.values()), as_label(next(iter(rows.unknown)))[:100]
            self.notes.append(
                f"{name}: {n:,} rows are of {len(rows.unknown):,} files that are no clip here, or may be several "
                f"(first {first}): left out"
            )

    def _take(self, path: str, name: str, gathered: Gathered) -> None:
        if gathered.segments:
            self.of_clip.setdefault(path, []).extend(gathered.segments)
        for attribute in gathered.empty:
            self.empty.setdefault(attribute, []).append(name)
        self.points.update(gathered.points)
        for told in (*gathered.notes, *gathered.told()):
            self._tell(name, told)

    def _refused(self, file: str) -> str:
        """Why a file is not to be opened; empty where it may be."""
        if _leads_out(file):
            return "leaves the dataset's folder; segments are read inside it alone"
        if not links.current().are_followed:
            root = os.path.realpath(self.source.root)
            if not os.path.realpath(os.path.join(root, file)).startswith(root.rstrip("/") + "/"):
                return links.OUT
        return ""

    def _tell(self, name: str, reason: str) -> None:
        self.problems.append(Problem(name, reason, left_out=False))

    def dataset(self) -> Dataset:
        """The dataset with all that was found."""
        source, names = self.source, self._names()
        if not (self.of_clip or self.problems or self.notes or self.missing or self.empty):
            return source
        clips = tuple(
            replace(clip, segments=_in_order(self.of_clip[clip.path], names)) if clip.path in self.of_clip else clip
            for clip in source.clips
        )
        found = replace(
            source,
            clips=clips,
            problems=(*source.problems, *self.problems),
            segment_attributes=tuple(dict.fromkeys(names.values())),
            segment_files={},
            notes=(*source.notes, *self.notes, *self._told(clips)),
        )
        return phonology.derived(found)

    def _names(self) -> dict[str, str]:
        """Attributes in order, and what they are called where clips have one of that name."""
        every = dict.fromkeys(segment.attribute for segments in self.of_clip.values() for segment in segments)
        return {name: name + _SPAN if name in self.source.attributes else name for name in every}

    def _told(self, clips: Sequence[Clip]) -> Iterator[str]:
        """What is told of the whole, a line each."""
        for kind, n in self.missing.items():
            name, package = kind.split("\t")
            yield f"segments: {n:,} files ({name}) are not read: that needs {package}, {INSTALL}"
        for attribute, files in self.empty.items():
            where = f"{len(files):,} files" if len(files) > 1 else "one file"
            yield f"segments: {attribute} is empty in {where} (first {files[0]})"
        for attribute in self.points:
            yield f"segments: {attribute} has points in time; each counts for {POINT_SECONDS * 1000:.0f} ms from there"
        without = [clip.path for clip in clips if not clip.segments]
        if self.of_clip and without:
            yield f"segments: {len(without):,} of {len(clips):,} clips have none (first {without[0]})"


def _in_order(segments: Sequence[Segment], names: Mapping[str, str]) -> tuple[Segment, ...]:
    """By onset; what is written twice counts once."""
    called = (s if names[s.attribute] == s.attribute else replace(s, attribute=names[s.attribute]) for s in segments)
    return tuple(sorted(dict.fromkeys(called), key=lambda s: (s.onset, s.offset, s.attribute, s.label)))


def _beside(dataset: Dataset, files: Sequence[str], found: _Found) -> Iterator[tuple[str, str]]:
    """Clips and the files of segments that have their name: those beside them, or else in another folder."""
    cells = (_path(cell) for of_column in dataset.segment_files.values() for cell in of_column.values())
    named = {file.strip() for cell in cells for file in cell.split("|")}
    clips, far, strange = _Clips(dataset.clips), dict[tuple[str, str], list[str]](), []
    has = set()
    for file in files:
        kind, path, ending = format_of(file), clips.beside(file), os.path.splitext(file)[1].lower()
        if file in named or (kind and not kind.is_one(dataset.root / file)):
            continue
        if kind is None:
            if path or clips.far(file):
                strange.append(file)
        elif path:
            has.add((path, ending))
            yield path, file
        else:
            far.setdefault((clips.far(file), ending), []).append(file)
    alone = []
    for (path, ending), of_clip in far.items():
        if path and len(of_clip) == 1 and (path, ending) not in has:
            yield path, of_clip[0]
        else:
            alone += of_clip
    found.notes += _left_out(sorted(alone), strange)


def _left_out(alone: Sequence[str], strange: Sequence[str]) -> Iterator[str]:
    if alone:
        yield (
            f"segments: {_files(alone)} of no clip by name, or of one that has others (first {alone[0]}): left out; a "
            "column of a manifest.csv can name them"
        )
    if strange:
        endings = ", ".join(dict.fromkeys(os.path.splitext(file)[1] for file in strange))
        yield (
            f"segments: {_files(strange)} of a format that is not read ({endings}; first {strange[0]}): left out if "
            "these are labels in time; a table segments.tsv of file, onset, offset, label is read"
        )


def _files(some: Sequence[str]) -> str:
    return "1 file is" if len(some) == 1 else f"{len(some):,} files are"


class _Clips:
    """Clips by the names of files that speak of them."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._beside = {_stem(clip.path): clip.path for clip in clips}
        self._far: dict[str, str] = {}
        for stem, path in self._beside.items():
            name = stem.rpartition("/")[2]
            self._far[name] = "" if name in self._far else path

    def beside(self, file: str) -> str:
        """The clip in the file's folder that has its name; empty where there is none."""
        return self._beside.get(_RAVEN.sub("", _stem(file)), "")

    def far(self, file: str) -> str:
        """The only clip of the file's name, wherever it lies, or that whose folders differ by the first alone."""
        stem = _RAVEN.sub("", _stem(file))
        return self._far.get(stem.rpartition("/")[2], "") or self._parallel.get(stem.partition("/")[2], "")

    @cached_property
    def _parallel(self) -> dict[str, str]:
        """Clips by their path below the first folder, where that tells them apart."""
        found: dict[str, str] = {}
        for stem, path in self._beside.items():
            below = stem.partition("/")[2]
            found[below] = "" if not below or below in found else path
        return found


def _stem(path: str) -> str:
    """A path without its ending, or the two of a sound that was converted (``SA1.WAV.wav``)."""
    stem, ending = os.path.splitext(path)
    return _stem(stem) if ending.lower() in SOUND and os.path.splitext(stem)[1].lower() in SOUND else stem
