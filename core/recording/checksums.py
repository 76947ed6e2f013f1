"""Checksums of what lies beside the store: what the disk gives back otherwise than it was written is made anew.

Each row of a matrix has its own (CRC-32, begun with the row's number, so that a row in another's place is found
too). It is written with the row, by whoever writes the row; the row's flag comes last. So a row whose flag reached
the disk and whose numbers did not, as after a power cut, is found like one that was damaged.

``sums.npy``    uint32, (n_clips, one for each of `MATRICES`)
``before.npy``  the same as it was when damage was found, until what followed from the rows is known to hold
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from core.recording.activations import Activations

MATRICES = ("positive", "total", "tokens", "embeddings")
_BYTES_AT_ONCE = 1 << 23

Sums = NDArray[np.uint32]


def of_rows(index: NDArray[np.int64], rows: NDArray[np.generic]) -> Sums:
    """CRC-32 of some rows of a matrix.

    Parameters
    ----------
    index : ndarray of int, shape (n_rows,)
        Where in the matrix they are.
    rows : ndarray, shape (n_rows, ...)
        As the matrix holds them: its type.

    Returns
    -------
    ndarray of uint32, shape (n_rows,)
    """
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return np.array([zlib.crc32(row.data, i) for i, row in zip(index.tolist(), flat, strict=True)], dtype=np.uint32)


def write_anew(path: Path, activations: Activations) -> None:
    """Checksums of the rows that are done, as they are: for matrices that have none yet."""
    sums = np.zeros((len(activations.done), len(MATRICES)), dtype=np.uint32)
    for column, name in enumerate(MATRICES):
        for index, rows in _done_rows(activations, name):
            sums[index, column] = of_rows(index, rows)
    _save(path, sums)


def check(activations: Activations, tell: Callable[[str], None]) -> None:
    """Compare all rows that are done with their checksums; those that differ are marked not done, and told of."""
    bad = np.zeros(len(activations.done), dtype=np.bool_)
    for column, name in enumerate(MATRICES):
        differ = [
            index[of_rows(index, rows) != activations.sums[index, column]]
            for index, rows in _done_rows(activations, name)
        ]
        found = np.concatenate([np.zeros(0, dtype=np.int64), *differ])
        if len(found):
            tell(f"  {_told(activations.folder / f'{name}.npy', found, len(bad))}")
        bad[found] = True
    if bad.any():
        if not _before(activations).exists():
            _save(_before(activations), activations.sums)
        activations.done[bad] = 0


def settle(activations: Activations, store_files: Path, forget: Callable[[], None]) -> None:
    """After damaged rows were made anew: what was worked out from others than these is forgotten.

    Parameters
    ----------
    activations : Activations
        Complete.
    store_files : Path
        Where ablations that were stopped keep their answers; they go too.
    forget : callable
        Takes the marks of what was worked out from the matrices from the store.
    """
    before = _before(activations)
    if not before.exists():
        return
    if not _as_before(before, activations.sums):
        forget()
        shutil.rmtree(store_files / "ablations", ignore_errors=True)
    before.unlink()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of a disk that is full name what was written: Python's own name no file once it is open."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def replace_file(part: Path, path: Path) -> None:
    """Put ``part`` in the place of ``path``, and its checksum beside it.

    The former checksum stays valid too: a stop between the two steps leaves the former file.
    """
    beside = _beside(path)
    former = beside.read_text().split()[-1:] if beside.exists() else []
    new = beside.with_suffix(".crc.part")
    new.write_text("\n".join([*former, _of_file(part)]))
    os.replace(new, beside)
    os.replace(part, path)


def is_file_as_written(path: Path) -> bool:
    """Whether a file has the checksum that `replace_file` gave it; one that has none passes.

    Raises
    ------
    OSError
        If it is not there or cannot be read.
    """
    found, beside = _of_file(path), _beside(path)
    return not beside.exists() or found in beside.read_text().split()


def _beside(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".crc")


def _of_file(path: Path) -> str:
    found = 0
    with path.open("rb") as file:
        while block := file.read(_BYTES_AT_ONCE):
            found = zlib.crc32(block, found)
    return f"{found:08x}"


def _told(path: Path, rows: NDArray[np.int64], n_rows: int) -> str:
    which = f"rows {rows[0]} to {rows[-1]}" if len(rows) > 1 else f"row {rows[0]}"
    return (
        f"{path}: {len(rows):,} of {n_rows:,} rows are not as they were written ({which}): "
        "the disk or another program changed them; they are computed again"
    )


def _done_rows(activations: Activations, name: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.generic]]]:
    """Rows that are done and where they are, some at a time; read, not mapped, so that memory stays small."""
    matrix = cast(np.memmap, getattr(activations, name))
    matrix.flush()
    row_bytes = max(1, matrix.nbytes // max(1, len(matrix)))
    at_once = max(1, _BYTES_AT_ONCE // row_bytes)
    with (activations.folder / f"{name}.npy").open("rb") as file:
        file.seek(matrix.offset)
        for start in range(0, len(matrix), at_once):
            n_rows = min(at_once, len(matrix) - start)
            rows = np.fromfile(file, matrix.dtype, n_rows * (row_bytes // matrix.itemsize)).reshape(n_rows, -1)
            done = np.flatnonzero(activations.done[start : start + n_rows])
            if len(done):
                yield start + done, rows[done] if len(done) < n_rows else rows


def _before(activations: Activations) -> Path:
    return activations.folder / "before.npy"


def _as_before(before: Path, sums: Sums) -> bool:
    """Whether all rows that had a checksum when damage was found have that again."""
    try:
        was = np.load(before)
    except (OSError, ValueError):
        return False
    had = was.any(axis=1) if was.shape == sums.shape else np.zeros(0)
    return was.shape == sums.shape and bool((was[had] == sums[had]).all())


def _save(path: Path, sums: Sums) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, sums)
    os.replace(part, path)
