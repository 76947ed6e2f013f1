"""Files to which passes append what they took, block after block, each with a checksum; for `patterns` and `firing`.

A block is a head of 64-bit integers (a magic number, numbers that tell how large it is, a checksum of what follows),
then arrays one after the other. What is cut off, or not as it was written, ends what a file tells.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from core.files import naming

Bytes = NDArray[np.uint8]
Block = list[NDArray[np.generic]]


def block(magic: int, numbers: Sequence[int], arrays: Sequence[NDArray[np.generic]]) -> Block:
    """What is written: the head, and the arrays."""
    written: Block = [np.ascontiguousarray(each) for each in arrays]
    crc = 0
    for each in written:
        crc = zlib.crc32(each.data.cast("B") if each.size else b"", crc)
    return [np.array([magic, *numbers, crc], dtype="<i8"), *written]


def blocks(data: Bytes, magic: int, n_numbers: int, size: Callable[..., int]) -> Iterator[tuple[list[int], int]]:
    """Numbers of each block of a file and where its arrays begin, up to the first that is not whole or as written.

    Parameters
    ----------
    data : ndarray of uint8
    magic, n_numbers : int
        Of the head.
    size : callable
        From its numbers to the bytes that follow; below 0 where they cannot be.
    """
    at, n_head = 0, 8 * (n_numbers + 2)
    while at + n_head <= len(data):
        found, *numbers, crc = data[at : at + n_head].view("<i8").tolist()
        at += n_head
        if found != magic or min(numbers) < 0:
            return
        n_bytes = size(*numbers)
        if n_bytes < 0 or at + n_bytes > len(data) or zlib.crc32(data[at : at + n_bytes].data) != crc:
            return
        yield numbers, at
        at += n_bytes


@contextmanager
def appending(folder: Path, prefix: str, most: float = np.inf) -> Iterator[Callable[[Callable[[], Block]], None]]:
    """A new file in a folder to which blocks are appended; given is what makes one.

    The file is there when the first block is; what comes after ``most`` bytes is left out, and not made.
    """
    file: IO[bytes] | None = None

    def append(make: Callable[[], Block]) -> None:
        nonlocal file
        if file is not None and file.tell() > most:
            return
        with naming(folder):
            if file is None:
                file = tempfile.NamedTemporaryFile(  # noqa: SIM115
                    dir=folder, prefix=f"{prefix}-", suffix=".part", delete=False
                )
            file.writelines(each.data.cast("B") for each in make() if each.size)
            file.flush()

    try:
        yield append
    finally:
        if file is not None:
            file.close()


def files(folder: Path, prefix: str) -> Iterator[Bytes]:
    """Those that passes have appended to, mapped; empty ones hold nothing."""
    for path in sorted(folder.glob(f"{prefix}-*.part")):
        if path.stat().st_size:
            yield np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
