"""Sound that is packed into tables, as hubs hand it out: a column of files' contents, others of labels.

Labels are read when the dataset is listed; the sound is unpacked once, below a folder of the user's cache that is named
after the content, when a run asks for it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from core.datasets import tables
from core.datasets.base import Dataset
from core.datasets.files import cache_folder
from core.datasets.splits import SPLIT_WORDS
from core.errors import InputError
from core.files import free_space, naming, size
from core.results import Problem
from core.untrusted_text import as_file_name

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NAMES_FILES = ("file", "path", "file_name", "filename")
"""Columns that say again what the file is called."""
_ENDING = re.compile(r"\.[a-z0-9]{1,8}")
AT_ONCE = 16
"""Files whose contents are held while they are written."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What keeps a table from being read becomes an `InputError` that names it."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{name} cannot be read as a table of sound ({reason:.200}); get it again") from error


class Shard(ABC):
    """A part of a dataset: one file, or one split of a hub's.

    Attributes
    ----------
    name : str
        For messages.
    split : str
        As its maker calls it; empty where nothing tells.
    schema : pyarrow.Schema
    features : mapping
        What the hub says of columns, by name (names of classes, which column is sound).
    n_bytes : int
        Of its sound, about.
    stamp : str
        What changes when another file lies in its place, whatever that holds.
    """

    name: str
    split: str
    schema: pa.Schema
    features: Mapping[str, Any]
    n_bytes: int
    stamp: str

    @abstractmethod
    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns, all rows; ``sound.path`` is a part of one."""

    @abstractmethod
    def groups(self) -> Sequence[int]:
        """Rows of each group that can be read by itself, in order."""

    @abstractmethod
    def group(self, number: int, column: str) -> Iterator[list[Any]]:
        """One column of a group, a few rows at a time."""


def sound_columns(schema: pa.Schema, features: Mapping[str, Any]) -> list[str]:
    """Columns that hold files: structures of ``bytes`` and ``path`` that are not said to be pictures or video."""
    import pyarrow as pa

    return [
        column.name
        for column in schema
        if pa.types.is_struct(column.type)
        and {part.name for part in column.type} == {"bytes", "path"}
        and _kind(features.get(column.name)) in ("", "Audio")
    ]


def _kind(feature: Any) -> str:
    return str(feature.get("_type", "")) if isinstance(feature, Mapping) else ""


@dataclass(frozen=True)
class Packed:
    """Where the clips of a dataset are packed.

    Attributes
    ----------
    root : Path
        Folder to unpack to.
    column : str
        Of the sound.
    shards : tuple of Shard
    paths : tuple of list of str
        What the rows of each shard are called below the root.
    """

    root: Path
    column: str
    shards: tuple[Shard, ...]
    paths: tuple[list[str], ...]

    def unpack(self, wanted: Collection[str], progress: Callable[[int], None] | None = None) -> list[Problem]:
        """Write files that are not there yet.

        Parameters
        ----------
        wanted : collection of str
            Paths of clips.
        progress : callable, optional
            Called with the number of clips that are there.

        Returns
        -------
        list of Problem
            Clips whose sound is not inside.

        Raises
        ------
        InputError
            If the disk is too small, or a table cannot be read.
        """
        missing = {path for path in wanted if not (self.root / path).is_file()}
        n_there, lacking = len(wanted) - len(missing), []
        if progress:
            progress(n_there)
        if missing:
            self._check_disk(len(missing))
        seen = _Seen(self.root)
        for number, (shard, paths) in enumerate(zip(self.shards, self.paths, strict=True)):
            doubtful = set() if seen.knows(number, shard) else {path for path in paths if (self.root / path).is_file()}
            asked = missing.intersection(paths)
            if not asked and not doubtful:
                continue
            seen.forget(number)
            for path, content in _contents(shard, paths, self.column, asked | doubtful):
                if content is None:
                    (self.root / path).unlink(missing_ok=True)
                    lacking.append(Problem(path, "is named in its table, which does not hold its sound"))
                elif path in asked or (self.root / path).read_bytes() != content:
                    _write(self.root / path, content)
                if path in asked:
                    n_there += 1
                    if progress:
                        progress(n_there)
            seen.keep(number, shard)
        return lacking

    def _check_disk(self, n_files: int) -> None:
        needed = int(self.n_bytes * n_files / max(1, sum(map(len, self.paths))))
        free, place = free_space(self.root)
        if needed > free:
            raise InputError(
                f"{size(needed)} of sound are to be unpacked to {self.root}, {size(free)} are free in {place}; "
                "free some, set ATLAS_CACHE to a folder on a larger disk, or take fewer clips with --limit"
            )

    @property
    def n_bytes(self) -> int:
        return sum(shard.n_bytes for shard in self.shards)


class _Seen:
    """Of which tables the files of a folder are, part by part.

    The folder's name says what a table tells of itself, and a little of what it holds: another may be made to look the
    same. So what an unknown one finds there is compared with what it holds, once.
    """

    def __init__(self, root: Path) -> None:
        self._file = root.with_name(f"{root.name}.tables")
        try:
            found = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        self._stamps: dict[str, Any] = found if isinstance(found, dict) else {}

    def knows(self, number: int, shard: Shard) -> bool:
        return self._stamps.get(str(number)) == shard.stamp

    def forget(self, number: int) -> None:
        """Until all is compared and written: it may end half way."""
        if self._stamps.pop(str(number), None) is not None:
            self._write()

    def keep(self, number: int, shard: Shard) -> None:
        self._stamps[str(number)] = shard.stamp
        with suppress(OSError):  # a cache that is only read: compared each time
            self._write()

    def _write(self) -> None:
        _write(self._file, json.dumps(self._stamps).encode())


def _contents(
    shard: Shard, paths: Sequence[str], column: str, wanted: Collection[str]
) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of those rows of a shard that are wanted; groups without any are not read."""
    first = 0
    for number, n_rows in enumerate(shard.groups()):
        named = paths[first : first + n_rows]
        first += n_rows
        if not any(path in wanted for path in named):
            continue
        rows = (row for some in shard.group(number, column) for row in some)
        for path, row in zip(named, rows, strict=True):
            if path in wanted:
                yield path, row["bytes"] if row else None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with naming(path):
        part.write_bytes(content)
        part.replace(path)


def dataset(shards: Sequence[Shard], key: str, seed: int, name: str) -> Dataset:
    """The clips of some shards; their sound is not looked at.

    Parameters
    ----------
    shards : sequence of Shard
        At least one.
    key : str
        Of their content.
    seed : int
        Draws the split where no shard tells one.
    name : str

    Raises
    ------
    InputError
        If there is no attribute, no sound inside, or no row that can be used.
    """
    import pandas as pd

    columns = sound_columns(shards[0].schema, shards[0].features)
    column, root = columns[0], cache_folder() / "unpacked" / f"{as_file_name(name)}-{key[:16]}"
    labels = _Labels.of(shards[0], column)
    parts, paths, counts = [], [], dict[str, int]()
    knows_splits = any(_split(shard) for shard in shards)
    for shard in shards:
        rows = labels.read(shard)
        own = _paths(shard, column, counts)
        paths.append(own)
        rows.insert(0, "file", own)
        if knows_splits and "split" not in rows:
            rows["split"] = _split(shard) or shard.split
        parts.append(rows)
    if len(parts[0].columns) <= 1 + ("split" in parts[0]):
        raise InputError(f"{shards[0].name} has no column of labels beside its sound")
    packed = Packed(root, column, tuple(shards), tuple(paths))
    notes = [f"{name}: its sound is packed in tables ({size(packed.n_bytes)}); a run unpacks what it needs to {root}"]
    if len(columns) > 1:
        notes.append(f"{name}: of its columns of sound ({', '.join(columns)}) the first is taken")
    notes += [f"{name}: {note}" for note in labels.notes]
    table = tables.Table(Path(name), pd.concat(parts, ignore_index=True), tuple(notes), tuple(labels.several))
    made = tables.dataset(root, table, seed, name, is_packed=True)
    return replace(made, description="packed in tables", make=packed.unpack)


def _split(shard: Shard) -> str:
    """What a shard's part is called here; empty where its name is none of the known words."""
    return SPLIT_WORDS.get(re.split(r"[^a-z]", shard.split.lower())[0], "")


def _paths(shard: Shard, column: str, counts: dict[str, int]) -> list[str]:
    """Names for the rows of a shard: their number in the split, and what its maker called them."""
    folder = as_file_name(shard.split or "all")
    first = counts.get(folder, 0)
    given = shard.read([f"{column}.path"]).column(column).to_pylist()
    counts[folder] = first + len(given)
    return [f"{folder}/{i:07d}{_called(row)}" for i, row in enumerate(given, start=first)]


def _called(row: Mapping[str, Any] | None) -> str:
    path = PurePosixPath(str((row or {}).get("path") or "").replace("\\", "/"))
    ending = path.suffix.lower()
    return f"-{as_file_name(path.stem)}{ending if _ENDING.fullmatch(ending) else ''}" if path.name else ""


@dataclass
class _Labels:
    """Columns of labels, and how each is read.

    Attributes
    ----------
    columns : dict of str to list of str or None
        Names of classes where the hub tells them.
    several : list of str
        Columns that hold lists.
    notes : list of str
    """

    columns: dict[str, list[str] | None] = field(default_factory=dict)
    several: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, shard: Shard, sound: str) -> _Labels:
        import pyarrow as pa

        if len(shard.schema) > tables.MOST_COLUMNS:
            raise InputError(
                f"{shard.name} has {len(shard.schema):,} columns; at most {tables.MOST_COLUMNS:,} are read"
            )
        labels, left_out = cls(), []
        for column in shard.schema:
            kind, name = column.type, column.name
            is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
            if name.lower() in _NAMES_FILES or name == sound:
                continue
            if not name.strip() or not _is_label(kind.value_type if is_list else kind):
                left_out.append(name)
                continue
            feature = shard.features.get(name)
            labels.columns[name] = _class_names(feature)
            labels.several += [name] if is_list else []
        if left_out:
            labels.notes.append(f"the columns {', '.join(left_out)} are neither text nor numbers: left out")
        return labels

    def read(self, shard: Shard) -> pd.DataFrame:
        """A shard's labels as text."""
        import pandas as pd

        missing = [name for name in self.columns if name not in shard.schema.names]
        if missing:
            raise InputError(f"{shard.name} has no column '{missing[0]}', which others of its dataset have")
        table = shard.read(list(self.columns))
        return pd.DataFrame(
            {
                "split" if name.lower() == "split" else name: self._texts(values, name, shard.name)
                for name, values in zip(self.columns, table.select(list(self.columns)).columns, strict=True)
            }
        )

    def _texts(self, values: pa.ChunkedArray, name: str, table: str) -> list[str]:
        """A column as text; what a part holds several times is kept once."""
        import pyarrow as pa

        texts: list[str] = []
        for part in values.chunks:
            is_coded = pa.types.is_dictionary(part.type)
            own = [self._text(value, name) for value in (part.dictionary if is_coded else part).to_pylist()]
            if max(map(len, own), default=0) > tables.LONGEST_CELL:
                raise InputError(
                    f"{table} has a label of {max(map(len, own)):,} characters in its column '{name}'; at most "
                    f"{tables.LONGEST_CELL:,} are read"
                )
            texts += ["" if i is None else own[i] for i in part.indices.to_pylist()] if is_coded else own
        return texts

    def _text(self, value: Any, name: str) -> str:
        names = self.columns[name]
        if isinstance(value, list):
            return tables.BETWEEN_LABELS.join(
                filter(None, (self._without_comma(_label(v, names), name) for v in value))
            )
        return _label(value, names)

    def _without_comma(self, label: str, name: str) -> str:
        """Of several labels none may hold a comma."""
        note = f"labels of {name} hold commas, which are written as semicolons"
        if "," in label and note not in self.notes:
            self.notes.append(note)
        return label.replace(",", ";").replace(tables.BETWEEN_LABELS, "/")


def _is_label(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    return bool(is_text or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind))


def _class_names(feature: Any) -> list[str] | None:
    """Names that a feature, or that of a list's items, has for its numbers."""
    while isinstance(feature, list) or (isinstance(feature, Mapping) and "feature" in feature):
        feature = (feature[0] if feature else None) if isinstance(feature, list) else feature["feature"]
    names = feature.get("names") if isinstance(feature, Mapping) else None
    if isinstance(names, Mapping):  # as the hub's cards write them
        names = list(names.values())
    return [str(name) for name in names] if isinstance(names, list) else None


def _label(value: Any, names: list[str] | None) -> str:
    if value is None or value != value:  # NaN
        return ""
    if names is not None and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ""
    return str(value).strip()
