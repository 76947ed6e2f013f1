"""Checksums of what lies beside the store: what the disk gives back otherwise than it was written is made anew.

Each row of a matrix has its own (CRC-32, begun with the row's number, so that a row in another's place is found
too). It is written with the row, by whoever writes the row; the row's flag comes last. So a row whose flag reached
the disk and whose numbers did not, as after a power cut, is found like one that was damaged.

``sums.npy``    uint32, (n_clips, one for each of `Activations.matrices`)
``before.npy``  the same as it was when damage was found, until what followed from the rows is known to hold
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.recording.activations import Activations, done_rows, open_map

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


def with_sums(activations: Activations) -> Activations:
    """The same with checksums of the rows that are done, as they are, where matrices have none yet."""
    if len(activations.sums) == len(activations.done):
        return activations
    path = activations.folder / "sums.npy"
    checksums = np.zeros((len(activations.done), len(activations.matrices)), dtype=np.uint32)
    for column, name in enumerate(activations.matrices):
        for index, rows in done_rows(activations, name):
            checksums[index, column] = of_rows(index, rows)
    _save(path, checksums)
    return replace(activations, sums=open_map(path, checksums.shape, checksums.dtype))


def check(activations: Activations, warn: Callable[[str], None]) -> None:
    """Compare all rows that are done with their checksums; those that differ are marked not done, and told of."""
    bad = np.zeros(len(activations.done), dtype=np.bool_)
    for column, name in enumerate(activations.matrices):
        differ = [
            index[of_rows(index, rows) != activations.sums[index, column]]
            for index, rows in done_rows(activations, name)
        ]
        damaged = np.concatenate([np.zeros(0, dtype=np.int64), *differ])
        if len(damaged):
            warn(f"  {_damage(activations.folder / f'{name}.npy', damaged, len(bad))}")
        bad[damaged] = True
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


def _damage(path: Path, rows: NDArray[np.int64], n_rows: int) -> str:
    which = f"rows {rows[0]} to {rows[-1]}" if len(rows) > 1 else f"row {rows[0]}"
    return (
        f"{path}: {len(rows):,} of {n_rows:,} rows are not as they were written ({which}): "
        "the disk or another program changed them; they are computed again"
    )


def _before(activations: Activations) -> Path:
    return activations.folder / "before.npy"


def _as_before(before: Path, checksums: Sums) -> bool:
    """Whether all rows that had a checksum when damage was found have that again, in all matrices of then."""
    try:
        was = np.load(before)
    except (OSError, ValueError):
        return False
    if was.ndim != 2 or len(was) != len(checksums) or was.shape[1] > checksums.shape[1]:
        return False
    had = was.any(axis=1)
    return bool((was[had] == checksums[had, : was.shape[1]]).all())


def _save(path: Path, checksums: Sums) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, checksums)
    os.replace(part, path)
