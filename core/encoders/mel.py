"""Mel scales: where the bands of a patch lie in Hz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["slaney", "htk"]
_SLOPE, _LOG_STEP = 200 / 3, np.log(6.4) / 27
"""Slaney's scale: linear below 1 kHz (15 mel), above it 27 mel to a factor of 6.4 (Auditory Toolbox, 1998)."""


def to_mel(hz: float, scale: Scale = "slaney") -> float:
    """Hz to mel; ``htk`` is O'Shaughnessy's formula, which HTK and Kaldi take."""
    if scale == "htk":
        return float(2595 * np.log10(1 + hz / 700))
    return hz / _SLOPE if hz < 1000 else float(15 + np.log(hz / 1000) / _LOG_STEP)


def to_hz(mel: NDArray[np.float64], scale: Scale = "slaney") -> NDArray[np.float64]:
    """Mel to Hz."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * _SLOPE, 1000 * np.exp((mel - 15) * _LOG_STEP))


def band_edges(
    starts: Sequence[float], n_mels: int, f_min: float, f_max: float, scale: Scale = "slaney"
) -> tuple[float, ...]:
    """Hz at which bands of mel filters meet.

    Parameters
    ----------
    starts : sequence of float
        The first mel filter of each band, and one past the last filter of the last band.
    n_mels : int
        Triangular filters, in equal steps of mel from ``f_min`` to ``f_max``.

    Returns
    -------
    tuple of float
        Halfway (in mel) between the centres of neighbouring filters; ``f_min`` and ``f_max`` at the ends.
    """
    low, high = to_mel(f_min, scale), to_mel(f_max, scale)
    # Filter i has its centre at point i + 1 of n_mels + 2; between i - 1 and i lies point i + 1/2.
    points = [0.0 if s <= 0 else n_mels + 1.0 if s >= n_mels else s + 0.5 for s in starts]
    hertz = to_hz(low + (high - low) * np.array(points) / (n_mels + 1), scale)
    return tuple(float(edge) for edge in np.round(hertz, 2))
