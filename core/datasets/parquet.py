"""A folder of Parquet files with a column of sound, as hubs write them: ``data/train-00000-of-00001.parquet``."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.datasets import packed
from core.datasets.base import Dataset
from core.datasets.splits import SPLIT_WORDS
from core.errors import InputError
from core.files import refuse_no_file

if TYPE_CHECKING:
    import pyarrow as pa

_PIECES, _PIECE = 4, 1 << 16
"""Of a table that are looked at to tell it from others, and bytes of each."""


def recognise(folder: Path) -> bool:
    """Whether the folder is such a dataset, by the end of its first table."""
    files = _files(folder)
    try:
        return bool(files) and bool(_File(files[0], folder).sound)
    except InputError:
        return files[0].parent == folder  # told when it is read


def read(folder: Path, seed: int = 0, name: str = "") -> Dataset:
    """List the clips; their sound is not looked at.

    Raises
    ------
    InputError
        If a file cannot be read, or as `core.datasets.packed.dataset`.
    """
    found = [_File(path, folder) for path in _files(folder)]
    shards = [shard for shard in found if shard.sound]
    digest = hashlib.sha256(b"".join(shard.key for shard in shards))
    return packed.dataset(shards, digest.hexdigest(), seed, name or folder.resolve().name)


def _files(folder: Path) -> list[Path]:
    """Tables in the folder, in its ``data``, and in those of their folders that are named like splits."""
    places = [folder, folder / "data"]
    try:
        below = [
            f for place in places if os.path.isdir(place) for f in place.iterdir() if f.name.lower() in SPLIT_WORDS
        ]
        tables = [f for place in (*places, *below) if os.path.isdir(place) for f in place.iterdir()]
    except OSError:
        return []
    return sorted(f for f in tables if f.suffix.lower() == ".parquet" and not f.name.startswith(".") and f.is_file())


class _File(packed.Shard):
    """One table on the disk."""

    def __init__(self, path: Path, folder: Path) -> None:
        import pyarrow.parquet as pq

        self.name, self._path = path.relative_to(folder).as_posix(), path
        is_in_part = path.parent.name.lower() in SPLIT_WORDS and path.parent != folder
        self.split = path.parent.name if is_in_part else path.name.partition("-")[0].removesuffix(path.suffix)
        with packed.reading(str(self._path)):
            refuse_no_file(path)
            about = pq.read_metadata(path)
            self.schema = about.schema.to_arrow_schema()
            self.features = _features(self.schema.metadata)
            self.key = _fingerprint(path)
            self.stamp = _stamp(path)
        self._rows = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        columns = packed.sound_columns(self.schema, self.features)
        self.sound = columns[0] if columns else ""
        if self.sound and sum(self._rows) > path.stat().st_size:  # sound has a byte at least
            raise InputError(f"{path} says that it holds {sum(self._rows):,} sounds, more than bytes; get it again")
        self.n_bytes = sum(
            chunk.total_uncompressed_size
            for group in map(about.row_group, range(about.num_row_groups))
            for chunk in map(group.column, range(group.num_columns))
            if chunk.path_in_schema == f"{self.sound}.bytes"
        )

    def read(self, columns: Sequence[str]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = [c.name for c in self.schema if pa.types.is_string(c.type) and c.name in columns]
        # A text that many rows repeat is stored once, and read once: millions of a long one take a few bytes here.
        with packed.reading(str(self._path)), pq.ParquetFile(self._path, read_dictionary=texts) as file:
            return file.read(list(columns))

    def groups(self) -> Sequence[int]:
        return self._rows

    def group(self, number: int, column: str) -> Iterator[list[Any]]:
        import pyarrow.parquet as pq

        with packed.reading(str(self._path)), pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(packed.AT_ONCE, row_groups=[number], columns=[column]):
                yield batch.column(0).to_pylist()


def _fingerprint(path: Path) -> bytes:
    """Of what a table says of itself at its end (sizes, places and bounds of all parts), and of some pieces of it."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, os.SEEK_END)
        digest = hashlib.sha256(file.read(length))
        digest.update(b"%d" % end)
        for piece in range(_PIECES):
            file.seek(end * piece // _PIECES)
            digest.update(file.read(_PIECE))
    return digest.digest()


def _stamp(path: Path) -> str:
    """What the system says of a file: whoever replaces it cannot bring the time of change along."""
    of_it = path.stat()
    return f"{of_it.st_dev} {of_it.st_ino} {of_it.st_size} {of_it.st_mtime_ns} {of_it.st_ctime_ns}"


def _features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """What the hub's library wrote of the columns; nothing where another wrote the table."""
    try:
        found = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}
