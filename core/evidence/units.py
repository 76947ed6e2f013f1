"""Counts of the units that are dealt under the null: held as floats where they are few, else read block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays.blocks import Index, Matrix, Rows, add_up
from core.evidence.exchange import Exchange
from core.results import FloatArray, IntArray, Mask

HELD_BYTES = 2**30
"""Counts up to this size are held as floats: a class's sums over all units are then one matrix product."""


@dataclass(frozen=True)
class Units:
    """Positive counts by unit of exchange (n_units, n_neurons), whole numbers as floats.

    Attributes
    ----------
    positive : Rows, shape (n_clips, n_neurons)
        Integer counts.
    tokens : ndarray of float, shape (n_clips,)
    exchange : Exchange
    held : ndarray of float, shape (n_units, n_neurons), or None
        float32 where it is exact (below 2**24 tokens in all). None where it would be too large.
    """

    positive: Rows
    tokens: FloatArray
    exchange: Exchange
    held: NDArray[np.floating] | None

    @classmethod
    def of(cls, positive: Matrix, tokens: NDArray[np.integer], exchange: Exchange) -> Units:
        """From integer counts (n_clips, n_neurons) and tokens (n_clips,); `fill` is still to be called."""
        shape = len(exchange.stratum), positive.shape[1]
        dtype = np.dtype(np.float32 if np.sum(tokens) < 2**24 else np.float64)
        few = shape[0] * shape[1] * dtype.itemsize <= HELD_BYTES
        of_clips = np.asarray(tokens, dtype=np.float64)
        return cls(Rows(positive), of_clips, exchange, np.empty(shape, dtype) if few else None)

    def fill(self, block: slice) -> NDArray[np.floating]:
        """Counts of some neurons read for the first time, (n_units, n_neurons of the block)."""
        counts = self._read(block)
        if self.held is None:
            return counts
        self.held[:, block] = counts
        return self.held[:, block]

    def columns(self, block: Index) -> NDArray[np.floating]:
        """Counts of some neurons, (n_units, n_neurons of the block)."""
        return self._read(block) if self.held is None else self.held[:, block]

    def release(self) -> None:
        """Let go of what was kept while blocks were read."""
        self.positive.release()

    def by_class(self, members: Mask, deals: Sequence[IntArray] = ()) -> tuple[FloatArray, FloatArray]:
        """Positive counts (n_classes, n_neurons) and tokens (n_classes,) of each class's units; see `ClipCounts`."""
        unit = self.exchange.unit
        dealt = deals or [np.arange(len(members))]
        n_classes = members.shape[1] * len(dealt)

        def indicator(of: NDArray[np.integer]) -> Mask:
            return np.concatenate([members[deal[of]] for deal in dealt], axis=1)

        def of_tile(clips: slice) -> Mask:
            return indicator(unit[clips])

        if self.held is not None:
            every = np.ascontiguousarray(indicator(np.arange(len(members))).T, dtype=self.held.dtype)
            token_counts = np.asarray(self.exchange.sums(self.tokens))
            return (every @ self.held).astype(np.float64), every @ token_counts
        most = float(self.tokens.max(initial=0))
        tokens = add_up(self.tokens[:, None], most, n_classes, of_tile)[:, 0]
        return add_up(self.positive, most, n_classes, of_tile), tokens

    def _read(self, block: Index) -> NDArray[np.floating]:
        dtype = np.float64 if self.held is None else self.held.dtype
        return np.asarray(self.exchange.sums(self.positive[:, block].astype(dtype)))
