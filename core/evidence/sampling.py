"""Drawing without replacement: in how many ways, and what that makes of the moments of a sum."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from core.results import FloatArray


def log_ways(n: FloatArray, size: FloatArray) -> FloatArray:
    """Logarithm of the number of ways to draw ``n`` of ``size``; minus infinity where there is none."""
    possible = (n >= 0) & (n <= size)
    n = np.where(possible, n, 0.0)
    ways = gammaln(size + 1) - gammaln(n + 1) - gammaln(size - n + 1)
    return np.where(possible, ways, -np.inf)


def factors(n: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What a sum of ``n`` of ``size`` numbers has of their second and third central moments.

    The variance is the first factor times the second moment (Cochran 1977, *Sampling Techniques*, section 2), the third
    central moment the second factor times the third (Sukhatme 1944).

    Examples
    --------
    >>> [each.tolist() for each in factors(np.array([1.0, 2.0]), np.array([4.0, 4.0]))]
    [[1.0, 1.3333333333333333], [1.0, 0.0]]
    """
    spread = n * (size - n) / np.maximum(size - 1, 1)
    return spread, spread * (size - 2 * n) / np.maximum(size - 2, 1)
