"""A neuron as one flat index, layer after layer, and as (layer, index in the layer)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Neuron = tuple[int, int]
"""(layer, index), both from 0."""


def layer_starts(layer_widths: Sequence[int]) -> NDArray[np.int64]:
    """Flat index of each layer's first neuron, and one past the last; shape (n_layers + 1,)."""
    return np.concatenate([[0], np.cumsum(layer_widths)]).astype(np.int64)


def to_neurons(flat: NDArray[np.integer], layer_widths: Sequence[int]) -> list[Neuron]:
    """Flat indices to (layer, index) pairs."""
    starts = layer_starts(layer_widths)
    layers = np.searchsorted(starts, flat, side="right") - 1
    return [(int(layer), int(i - starts[layer])) for layer, i in zip(layers, flat, strict=True)]
