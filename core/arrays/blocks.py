"""Clips x neurons matrices that may be larger than memory: some clips without a copy, read in blocks of bounded size.

The stored matrices lie on the disk, clip after clip. What needs all clips of a neuron takes blocks of
neurons, what adds clips up takes tiles of clips. A block of few clips has `MOST_NEURONS`; the more clips,
the fewer. Numbers do not depend on how wide a block is: each neuron's are its own, and sums of counts are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.arrays.threads import one_thread
from core.results import FloatArray, IntArray

MOST_NEURONS = 512
"""Neurons that are worked on at once: what they need of a few thousand clips stays in the processor's cache."""
NUMBERS = 2**24
"""Numbers of a block (128 MB as float64)."""
PANEL_BYTES = 2**28
"""What is kept of a matrix while its blocks are read one after the other: a row of the disk holds many neurons."""
THREADS = 2
WORTH_THREADS = 16 * MOST_NEURONS
"""Neurons from which threads gain more than they cost."""

Index = slice | NDArray[np.integer]


class Matrix(Protocol):
    """What is asked of a matrix (n_clips, n_neurons): shape, type, and a block of it as an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...
    def __getitem__(self, at: tuple[Index, Index], /) -> NDArray: ...


def neurons_at_once(n_clips: int, per_number: int = 1) -> int:
    """Neurons in a block of so many clips, where each number is held ``per_number`` times."""
    return max(2, min(MOST_NEURONS, NUMBERS // max(n_clips * per_number, 1)))


def slices(n: int, at_once: int) -> Iterator[slice]:
    """0 to ``n`` in pieces; a single one at the end goes with those before it, as a lone column adds up otherwise."""
    start = 0
    while start < n:
        stop = n if at_once < MOST_NEURONS and n - start <= at_once + 1 else min(start + at_once, n)
        yield slice(start, stop)
        start = stop


class Rows:
    """Some clips of a matrix, in order; nothing is copied until a block of them is read.

    Parameters
    ----------
    matrix : Matrix, shape (n_clips, n_neurons)
    clips : ndarray of int or bool, optional
        Positions, or which; all by default.
    """

    def __init__(self, matrix: Matrix, clips: NDArray | None = None) -> None:
        # What lies in memory as a whole needs no copy.
        self._in_memory = clips is None and isinstance(matrix, np.ndarray) and not isinstance(matrix, np.memmap)
        chosen = np.arange(matrix.shape[0]) if clips is None else np.asarray(clips)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        if isinstance(matrix, Rows):
            self._in_memory = clips is None and matrix._in_memory
            chosen, matrix = matrix.clips[chosen], matrix.matrix
        # A map's own class costs more than its numbers where blocks are small.
        self.matrix: Matrix = np.asarray(matrix) if isinstance(matrix, np.ndarray) else matrix
        self.clips: IntArray = chosen
        self.shape, self.dtype = (len(chosen), matrix.shape[1]), matrix.dtype
        self._lock, self._first = Lock(), 0
        self.release()

    def __len__(self) -> int:
        return self.shape[0]

    def release(self) -> None:
        """Let go of the neurons that are kept while blocks are read one after the other."""
        self._panel: NDArray = np.empty((len(self.clips), 0), self.dtype)

    def __getitem__(self, at: tuple[Index, Index]) -> NDArray:
        clips, neurons = at
        if self._in_memory:
            return self.matrix[clips, neurons]
        if not isinstance(clips, slice) or clips != slice(None):
            return block(self.matrix, self.clips[clips], neurons)
        width = PANEL_BYTES // max(self.shape[0] * self.dtype.itemsize, 1)
        start, stop, _ = neurons.indices(self.shape[1]) if isinstance(neurons, slice) else (0, self.shape[1], 1)
        if stop - start > width:
            return block(self.matrix, self.clips, neurons)
        with self._lock:
            if not self._first <= start <= stop <= self._first + self._panel.shape[1]:
                self.release()  # the old one goes first
                self._panel = block(self.matrix, self.clips, slice(start, start + width))
                self._first = start
            panel, first = self._panel, self._first
        return panel[:, start - first : stop - first] if isinstance(neurons, slice) else panel[:, neurons]


class Shares:
    """Numbers of a matrix over each clip's tokens, divided as they are read."""

    def __init__(self, matrix: Matrix, tokens: NDArray) -> None:
        self.matrix, self.tokens, self.shape = matrix, tokens, matrix.shape
        self.dtype = np.result_type(matrix.dtype, tokens.dtype, np.float32)

    def __getitem__(self, at: tuple[Index, Index]) -> NDArray:
        return np.asarray(block(self.matrix, *at) / self.tokens[at[0], None])


class Above:
    """1 where a matrix exceeds each neuron's threshold, else 0, compared as they are read."""

    dtype = np.dtype(np.uint8)

    def __init__(self, matrix: Matrix, threshold: FloatArray) -> None:
        self.matrix, self.threshold, self.shape = matrix, threshold, matrix.shape

    def __getitem__(self, at: tuple[Index, Index]) -> NDArray[np.uint8]:
        return (self.matrix[at] > self.threshold[at[1]]).astype(np.uint8)


def block(matrix: Matrix, clips: Index, neurons: Index) -> NDArray:
    """Some neurons of some clips, row by row in memory; a view where the clips follow each other."""
    if not isinstance(matrix, np.ndarray):
        return matrix[clips, neurons]
    if isinstance(clips, slice):
        return matrix[clips, neurons]
    if len(clips) and clips[-1] - clips[0] == len(clips) - 1 and (np.diff(clips) == 1).all():
        return np.ascontiguousarray(matrix[clips[0] : clips[-1] + 1, neurons])
    return matrix[clips, neurons] if isinstance(neurons, slice) else matrix[clips[:, None], neurons]


def add_up(
    positive: Matrix, most: float, n_classes: int, indicator: Callable[[slice], NDArray[np.bool_]]
) -> FloatArray:
    """Sums of whole numbers over the clips of each class, exact, a tile of clips after the other.

    Parameters
    ----------
    positive : Matrix, shape (n_clips, n_neurons)
    most : float
        No number is larger (tokens of the longest clip).
    n_classes : int
    indicator : callable
        Which classes the clips of a tile have, (n_clips of the tile, n_classes).

    Returns
    -------
    ndarray of float, shape (n_classes, n_neurons)
    """
    n_clips, n_neurons = positive.shape
    totals, lock = np.zeros((n_classes, n_neurons)), Lock()
    # Whole numbers in float32 are exact up to 2**24, in float64 up to 2**53.
    dtype = np.float32 if most < 2**20 else np.float64
    exact = int(2**24 // max(most, 1)) if dtype == np.float32 else n_clips
    at_once = max(1, min(exact, NUMBERS // max(n_neurons, n_classes, 1)))

    def add(tile: slice) -> None:
        of = np.ascontiguousarray(indicator(tile).T, dtype=dtype)
        part = of @ positive[tile, :].astype(dtype)
        with lock:
            np.add(totals, part, out=totals)

    tiles = [slice(start, min(start + at_once, n_clips)) for start in range(0, n_clips, at_once)]
    if len(tiles) < 2:
        for tile in tiles:
            add(tile)
        return totals
    with one_thread(), ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(add, tiles):
            pass
    return totals


def lowest(values: FloatArray, k: int, kth: FloatArray) -> IntArray:
    """Positions of the ``k`` smallest of each row, in order, of equal ones the first; as a stable sort gives them.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n)
    k : int
    kth : ndarray, shape (n_rows,)
        The k-th smallest of each row.

    Returns
    -------
    ndarray of int, shape (n_rows, k)
    """
    positions = np.empty((len(values), k), dtype=np.int64)
    for row, (of_row, limit) in enumerate(zip(values, kth, strict=True) if k else ()):
        near = np.flatnonzero(of_row <= limit)
        if len(near) < k:  # not a number among them
            near = np.arange(len(of_row))
        positions[row] = near[np.argsort(of_row[near], kind="stable")[:k]]
    return positions


def in_blocks(n_neurons: int, work: Callable[[slice], object], n_units: int = 1) -> None:
    """Call ``work`` for blocks of neurons, two at a time where they are many; narrow ones where it takes all units."""
    at_once = neurons_at_once(n_units)
    with mapping(n_neurons if at_once == MOST_NEURONS else WORTH_THREADS) as map_over:
        for _ in map_over(work, slices(n_neurons, at_once)):
            pass


@contextmanager
def mapping(n_neurons: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map`, in threads where there are many neurons."""
    if n_neurons < WORTH_THREADS:
        yield map
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool.map
