"""For each unit of one model the unit of another whose responses over the same clips are most alike.

Pearson's correlation of clip means (Li et al. 2015, *Convergent Learning*, arXiv 1511.07543, who match units of two
networks by it). The matrix of all pairs is never held: blocks of it are made, looked at and let go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.arrays.blocks import slices
from core.results import FloatArray, IntArray, Mask

Means = NDArray[np.float32]
NUMBERS = {"cpu": 2**22}
"""Correlations of a block: on a CPU what its cache holds, on other devices `MOST_NUMBERS`."""
MOST_NUMBERS = 2**27
_COLUMNS_AT_ONCE = 1024


@dataclass(frozen=True)
class Found:
    """The best of all partners of each unit of one model.

    Attributes
    ----------
    partner : ndarray of int, shape (n_units,)
        Of equal ones the first.
    correlation : ndarray of float, shape (n_units,)
        With the partner.
    second : ndarray of float, shape (n_units,)
        With the next best; NaN where there is none, and where it was not asked for.
    """

    partner: IntArray
    correlation: FloatArray
    second: FloatArray


def standardised(means: Means, device: str) -> tuple[Tensor, Mask]:
    """Columns of mean 0 and length 1, so that products are correlations.

    Parameters
    ----------
    means : ndarray of float32, shape (n_clips, n_units)
    device : str

    Returns
    -------
    tensor of float32, shape (n_clips, n_units)
        On the device; 0 where a unit does not vary.
    ndarray of bool, shape (n_units,)
        Which units vary.
    """
    columns = np.empty(means.shape, dtype=np.float32)
    varies = np.empty(means.shape[1], dtype=bool)
    for start in range(0, means.shape[1], _COLUMNS_AT_ONCE):
        at = slice(start, start + _COLUMNS_AT_ONCE)
        block = means[:, at].astype(np.float64)
        size = np.abs(block).max(axis=0, initial=0.0)
        block -= block.mean(axis=0)
        length = np.sqrt((block**2).sum(axis=0))
        varies[at] = length > 1e-6 * size * np.sqrt(len(block))  # what rounding to float32 leaves is no response
        columns[:, at] = np.where(varies[at], block / np.where(varies[at], length, 1.0), 0.0)
    return torch.from_numpy(columns).to(device), varies


def dealt(columns: Tensor, clips: IntArray) -> Tensor:
    """The responses of other clips in place of each clip's own, standardised again.

    Parameters
    ----------
    columns : tensor, shape (n_clips, n_units)
        As `standardised` gives it.
    clips : ndarray of int, shape (n_clips,)
        As `core.matching.evidence.deal` gives them.
    """
    given = columns[torch.from_numpy(clips).to(columns.device)]
    given -= given.mean(dim=0)
    length = torch.linalg.vector_norm(given, dim=0)
    return given / torch.where(length > 1e-6, length, torch.inf)


def best_partners(
    a: Tensor, b: Tensor, with_second: bool = False, numbers: int | None = None, on_block: Callable[[], object] = int
) -> tuple[Found, Found]:
    """The best partner in ``b`` of each unit of ``a``, and in ``a`` of each of ``b``.

    Parameters
    ----------
    a, b : tensor, shapes (n_clips, n_a) and (n_clips, n_b)
        As `standardised` gives them, on one device.
    with_second : bool
        Look for the next best, too.
    numbers : int, optional
        Correlations held at once; by device.
    on_block : callable
        Called after each of `n_blocks`.
    """
    n_a, n_b = a.shape[1], b.shape[1]
    best = [torch.full((n,), -torch.inf, device=a.device) for n in (n_a, n_b, n_a, n_b)]
    partner = [torch.zeros(n, dtype=torch.int64, device=a.device) for n in (n_a, n_b)]
    for at in slices(n_a, _width(n_b, a.device.type, numbers)):
        r = a[:, at].T @ b
        best[0][at], partner[0][at] = r.max(dim=1)
        of_b, place = r.max(dim=0)
        if with_second:
            best[2][at] = _without(r, partner[0][at], 1).max(dim=1)[0]
            rest = _without(r, place, 0).max(dim=0)[0]
            best[3] = torch.maximum(torch.minimum(best[1], of_b), torch.maximum(best[3], rest))
        better = of_b > best[1]
        best[1] = torch.where(better, of_b, best[1])
        partner[1] = torch.where(better, place + at.start, partner[1])
        on_block()
    second = [np.where(np.isfinite(one), one, np.nan) for one in (of.cpu().double().numpy() for of in best[2:])]
    return tuple(  # type: ignore[return-value]
        Found(partner[side].cpu().numpy(), best[side].cpu().double().numpy(), second[side]) for side in (0, 1)
    )


def n_blocks(n_a: int, n_b: int, device: str) -> int:
    """Blocks of `best_partners` of so many units on a device."""
    return len(list(slices(n_a, _width(n_b, device.partition(":")[0]))))


def _width(n_b: int, device_type: str, numbers: int | None = None) -> int:
    return max(1, (numbers or NUMBERS.get(device_type, MOST_NUMBERS)) // max(n_b, 1))


def _without(r: Tensor, place: Tensor, dim: int) -> Tensor:
    """The block without the one number of each row or column that lies at ``place``."""
    return r.scatter(dim, place.unsqueeze(dim), -torch.inf)
