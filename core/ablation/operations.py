"""What an ablation does to the neurons of a set: scale them, set them to their mean, keep only them.

Scaling by 0 and setting to the mean ask whether a set is needed; a mean leaves the network nearer to
what it was trained on than a zero does. Keeping asks whether the set suffices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.arrays.neurons import layer_starts
from core.results import FloatArray, IntArray, Mask

if TYPE_CHECKING:
    from core.encoders.hooks import Change

WORDS = {"mean": "set to the mean", "keep": "alone in their layers"}


@dataclass(frozen=True)
class Operation:
    """What is done to a set of neurons.

    Attributes
    ----------
    name : str
        ``scale``: activation times ``gain``; ``mean``: activation set to the neuron's mean; ``keep``: all other
        neurons of the layers that the set touches set to their mean.
    gain : float or None
        None for ``mean`` and ``keep``.
    """

    name: str = "scale"
    gain: float | None = 0.0

    @classmethod
    def of(cls, text: str | float) -> Operation:
        """From a number, or ``mean`` or ``keep``.

        Raises
        ------
        ValueError
            If it is neither, or not finite.
        """
        if text in WORDS:
            return cls(str(text), None)
        gain = float(text)
        if not isfinite(gain):
            raise ValueError(f"a gain of {gain}")
        return cls("scale", gain)

    def __str__(self) -> str:
        return f"at gain {self.gain:g}" if self.gain is not None else WORDS[self.name]

    def change(self, neurons: IntArray, layer_widths: Sequence[int], means: FloatArray | None) -> Change:
        """What happens to the network's neurons.

        Parameters
        ----------
        neurons : ndarray of int
            Flat indices of the set.
        means : ndarray, shape (n_neurons,), or None
            Mean activations; not needed to scale.
        """
        from core.encoders.hooks import Change

        if self.gain is not None:
            return Change(neurons, self.gain)
        assert means is not None, "only scaling needs no means"
        if self.name == "keep":
            neurons = others_of_layers(neurons, layer_widths)
        return Change(neurons, 0.0, means[neurons])


def others_of_layers(neurons: IntArray, layer_widths: Sequence[int]) -> IntArray:
    """Flat indices of all other neurons of the layers that a set touches."""
    starts = layer_starts(layer_widths)
    touched = np.histogram(neurons, bins=starts)[0] > 0
    others = np.repeat(touched, layer_widths)
    others[neurons] = False
    return np.flatnonzero(others)


def per_token(values: NDArray[np.number], tokens: NDArray[np.integer], clips: Mask) -> FloatArray:
    """Mean over all tokens of some clips: of the sums of activations, or of the counts of positive tokens.

    Parameters
    ----------
    values : ndarray, shape (n_clips, n_neurons)
        Sum over each clip's tokens.
    tokens : ndarray of int, shape (n_clips,)
    clips : ndarray of bool, shape (n_clips,)
        At least one of them with tokens.

    Returns
    -------
    ndarray of float, shape (n_neurons,)
    """
    totals = np.zeros(values.shape[1])
    for rows in np.array_split(np.flatnonzero(clips), -(-int(clips.sum()) // 256)):  # no copy of everything
        totals += values[rows].sum(axis=0, dtype=np.float64)
    means: FloatArray = totals / int(tokens[clips].sum())
    return means
