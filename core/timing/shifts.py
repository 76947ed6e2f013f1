"""What a class's count is when a clip's labels are shifted circularly, by every number of columns alike.

Labels keep their lengths, order and distances, and activations keep their autocorrelation: only where one lies in the
other is left to chance. For one clip the count inside a class is the circular cross-correlation of the class's columns
with the unit's, one value a shift, each as likely as the next; so its mean, variance and third moment are exact. Clips
are shifted independently, so moments about the mean add up over clips (those of the second and third order do). Their
tail is a Pearson type III (`core.evidence.tails`), as for clips that are dealt; where a class has few clips, and close
to where the false discovery rate draws its line, the distributions of the clips are convolved instead: that is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from core.evidence.tails import pearson3_upper_tail
from core.results import FloatArray, Mask

Columns = NDArray[np.float32]
_NUMBERS = 2**18
"""Counts of shifts that are held at once: few, so that they stay near the processor."""
_FEW_COLUMNS = 300
"""Up to so many, a product with every shift of a mask is quicker than a Fourier transform."""
_ROUNDING = 1e-9
_LEAST_P = 1e-12
"""Below, a convolution by Fourier transforms tells nothing."""


@dataclass(frozen=True)
class Moments:
    """Sums over clips, (n_classes, n_units) each: what was counted, and what shifts give."""

    positive: FloatArray
    mean: FloatArray
    variance: FloatArray
    third: FloatArray

    @classmethod
    def none(cls, n_classes: int, n_units: int) -> Moments:
        """Of no clip."""
        return cls(*(np.zeros((n_classes, n_units)) for _ in range(4)))

    def of(self, classes: NDArray[np.int64]) -> Moments:
        """Those of some classes."""
        return Moments(*(each[classes] for each in (self.positive, self.mean, self.variance, self.third)))

    @property
    def varies(self) -> Mask:
        """Where chance changes anything, beyond rounding."""
        return np.asarray(self.variance > _ROUNDING)

    def upper_tail(self, positive: NDArray[np.floating], least_z: float = -np.inf) -> FloatArray:
        """P(count >= ``positive``) by the three moments; 1 where shifts change nothing.

        With ``least_z``, 1 also for counts that are not so many standard deviations above their mean.
        """
        varies = self.varies
        per_sd = np.where(varies, 1 / np.sqrt(np.where(varies, self.variance, 1)), 0)
        z = (positive - self.mean) * per_sd
        asked = varies & (z > least_z)
        p = np.ones(z.shape)
        p[asked] = pearson3_upper_tail(z[asked], self.third[asked] * per_sd[asked] ** 3)
        return p


def product(masks: NDArray[np.floating], fires: NDArray[np.floating]) -> NDArray[np.floating]:
    """Counts inside masks, whole numbers: ``masks @ fires``.

    BLAS computes with whatever lies behind small matrices in memory and leaves it out; what it meets there is no
    reason to warn.
    """
    with np.errstate(all="ignore"):
        return np.asarray(masks @ fires)


def counts_by_shift(fires: Columns, masks: Mask | NDArray[np.floating]) -> NDArray[np.float32]:
    """Count inside each mask for every shift of it, (n_masks, n_shifts, n_units), whole numbers.

    Parameters
    ----------
    fires : ndarray of float32, shape (n_columns, n_units)
        In how many tokens of a column a unit fires.
    masks : ndarray, shape (n_masks, n_columns)
        Shifted by s, its column t lies on column t + s.
    """
    return np.rint(_sums_by_shift(fires, np.asarray(masks, dtype=np.float32)))


def _sums_by_shift(values: Columns, masks: Columns) -> NDArray[np.float32]:
    """Sum of values inside each mask for every shift of it, (n_masks, n_shifts, n_units)."""
    n = len(values)
    if n <= _FEW_COLUMNS:
        every = np.moveaxis(shifted(masks, np.arange(n)), 0, 1)
        return product(every.reshape(-1, n), values).reshape(len(masks), n, -1)
    of_masks = fft.rfft(masks, axis=1).conj()
    return np.asarray(fft.irfft(of_masks[:, :, None] * fft.rfft(values, axis=0), n=n, axis=1))


def add_clip(sums: Moments, fires: Columns, classes: NDArray[np.int64], masks: Mask) -> None:
    """Add what one clip counts and what its shifts give."""
    n, inside = max(len(fires), 1), masks.astype(np.float32)
    mean = fires.sum(axis=0, dtype=np.float64) / n
    centred = (fires - mean).astype(np.float32)
    sums.positive[classes] += product(inside, fires)
    sums.mean[classes] += inside.sum(axis=1)[:, None] * mean
    at_once = max(1, _NUMBERS // max(fires.size, 1))
    for start in range(0, len(masks), at_once):
        of = classes[start : start + at_once]
        away = _sums_by_shift(centred, inside[start : start + at_once])
        sums.variance[of] += np.einsum("msu,msu->mu", away, away) / n
        sums.third[of] += np.einsum("msu,msu,msu->mu", away, away, away) / n


def shifted(masks: NDArray, by: NDArray[np.int64]) -> NDArray:
    """Masks shifted by each of some numbers of columns, (n_shifts, n_masks, n_columns)."""
    n = masks.shape[1]
    return np.moveaxis(masks[:, (np.arange(n) - by[:, None]) % max(n, 1)], 0, 1)


class Convolution:
    """The distribution of a sum of clips' counts, unit by unit, each clip shifted on its own.

    Parameters
    ----------
    n_units : int
    most : int
        The sum is never larger.
    """

    def __init__(self, n_units: int, most: int) -> None:
        self._size = fft.next_fast_len(most + 1, real=True)
        self._spectrum = np.ones((n_units, self._size // 2 + 1), dtype=np.complex128)

    def add(self, by_shift: NDArray[np.floating]) -> None:
        """One clip more: its count at every shift, (n_shifts, n_units), whole numbers."""
        n, n_units = by_shift.shape
        values = by_shift.astype(np.int64)
        height = int(values.max(initial=0)) + 1
        flat = (values + np.arange(n_units) * height).ravel()
        chances = np.bincount(flat, minlength=n_units * height).reshape(n_units, height) / n
        self._spectrum *= fft.rfft(chances, n=self._size, axis=1)

    def upper_tail(self, positive: NDArray[np.floating]) -> FloatArray:
        """P(sum >= ``positive``) of each unit, at least 1e-12."""
        chances = fft.irfft(self._spectrum, n=self._size, axis=1)
        reached = np.arange(self._size) >= np.asarray(positive)[:, None]
        return np.clip((chances * reached).sum(axis=1), _LEAST_P, 1.0)
