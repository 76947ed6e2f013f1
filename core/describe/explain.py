"""A sparse, monotone model of each unit over time: up to three terms, by forward selection, all units together.

Everything is told from sums of products (of terms with each other, and with activations) fold by fold, so that the
cost is that of matrix products. Groups of clips are in one fold. The null shifts terms to other clips, groups as wholes
(`core.describe.deals`), and the whole search is done again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.describe.acoustics import Floats
from core.results import FloatArray, IntArray, Mask

MOST_TERMS = 3
N_FOLDS = 5
N_SHIFTS = 39
"""A search must do better than on each of these shifts: by chance 1 unit in 40 does."""
LEAST = 0.01
"""Share of the variance that a description explains at least, cross-validated."""
WORTH = 0.05
"""Share of what is explained that a further term adds at least."""
UNITS_AT_ONCE = 2048
_ONE, _NEW = 1e-6, 0.02
"""Share of a term's own variance that others must leave of it."""


@dataclass(frozen=True)
class Table:
    """Terms at drawn moments.

    Attributes
    ----------
    values : ndarray of float32, shape (n, n_terms)
    base : ndarray of int, shape (n_terms,)
        What each is about: a model has one term of each.
    is_class : ndarray of bool, shape (n_terms,)
    fold : ndarray of int, shape (n,)
        From 0.
    """

    values: Floats
    base: IntArray
    is_class: Mask
    fold: IntArray


@dataclass(frozen=True)
class Model:
    """Models of units; -1 and 0 where there is no further term.

    Attributes
    ----------
    terms : ndarray of int, shape (n_units, MOST_TERMS)
    weights : ndarray, shape (n_units, MOST_TERMS)
    explained : ndarray, shape (n_units,)
        Share of the variance on the folds left out.
    """

    terms: IntArray
    weights: FloatArray
    explained: FloatArray


@dataclass(frozen=True)
class _Sums:
    """Sums over moments: number, of terms, of activations, and of products."""

    n: float
    x: FloatArray
    y: FloatArray
    xx: FloatArray
    xy: FloatArray
    yy: FloatArray

    def minus(self, other: _Sums) -> _Sums:
        return _Sums(*(own - theirs for own, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    def at(self, terms: IntArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Products of differences from given means: of each unit's terms, with its activation, of its activation.

        Shapes (n_units, n, n), (n_units, n) and (n_units,).
        """
        own = np.maximum(terms, 0)
        total, mean, n = self.x[own], x[own], self.n
        xx = self.xx[own[:, :, None], own[:, None, :]] - total[:, :, None] * mean[:, None, :]
        xx += (n * mean - total)[:, None, :] * mean[:, :, None]
        xy = self.xy[own, np.arange(len(own))[:, None]] - total * y[:, None]
        xy += mean * (n * y - self.y)[:, None]
        return xx, xy, self.yy - 2 * y * self.y + n * y**2

    def centred(self) -> tuple[Floats, Floats]:
        """Products of differences from the means: terms, shape (n_terms, n_terms), and activations with terms."""
        x = self.x / self.n
        xx = self.xx - np.outer(self.x, x)
        xy = self.xy - np.outer(x, self.y)
        return xx.astype(np.float32), np.ascontiguousarray(xy.T, dtype=np.float32)


def _sums(x: Floats, y: Floats) -> _Sums:
    sums = x.sum(0, dtype=np.float64), y.sum(0, dtype=np.float64)
    return _Sums(len(x), *sums, (x.T @ x).astype(np.float64), (x.T @ y).astype(np.float64), _squares(y))


def _squares(y: Floats) -> FloatArray:
    total: FloatArray = np.einsum("ij,ij->j", y, y, dtype=np.float64)
    return total


def _by_fold(table: Table, y: Floats, taken: IntArray | None = None) -> list[_Sums]:
    x, fold = table.values if taken is None else table.values[taken], table.fold
    return [_sums(x[fold == f], y[fold == f]) for f in range(int(fold.max()) + 1)]


def _total(folds: list[_Sums]) -> _Sums:
    return _Sums(*(sum(of) for of in zip(*(vars(one).values() for one in folds), strict=True)))


def _search(sums: _Sums, base: IntArray, allowed: Mask) -> IntArray:
    """Terms that explain most, one after the other, shape (n_units, MOST_TERMS); each rises with the activation."""
    xx, rest = sums.centred()
    size = np.maximum(np.diag(xx), np.float32(_ONE))
    rows, n_units = np.arange(len(rest)), len(rest)
    free = np.tile((allowed & (size > _ONE * sums.n)).astype(np.float32), (n_units, 1))
    left = np.tile(size, (n_units, 1))
    found, parts = np.full((n_units, MOST_TERMS), -1), list[Floats]()
    for k in range(MOST_TERMS):
        gain = np.maximum(rest, 0)
        gain *= gain
        gain /= left
        gain *= free
        best = gain.argmax(axis=1)
        ok = gain[rows, best] > 0
        found[ok, k] = best[ok]
        if k == MOST_TERMS - 1:
            break
        part: Floats = xx[best]
        for earlier in parts:
            part -= earlier * earlier[rows, best][:, None]
        part *= np.where(ok, 1 / np.sqrt(left[rows, best]), 0)[:, None].astype(np.float32)
        parts.append(part)
        rest -= part * (rest[rows, best] / np.sqrt(left[rows, best]))[:, None]
        left = np.maximum(left - part**2, np.float32(_ONE))
        free *= (base[None] != base[best][:, None]) & ok[:, None] & (left > _NEW * size)
    return found


def _weights(sums: _Sums, terms: IntArray) -> FloatArray:
    """Least squares of some terms of each unit, shape as ``terms``; 0 where there is none."""
    gram, right, _ = sums.at(terms, sums.x / sums.n, sums.y / sums.n)
    there = terms >= 0
    gram *= there[:, :, None] & there[:, None, :]
    gram += np.eye(terms.shape[1]) * np.where(there, 1e-9 * sums.n, 1.0)[:, None, :]
    return np.asarray(np.linalg.solve(gram, (right * there)[..., None])[..., 0], dtype=np.float64)


def _left_over(
    trained: _Sums, asked: _Sums, terms: IntArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Squares that models leave on moments that were not fitted, and those around the mean of the fitted ones."""
    xx, xy, yy = asked.at(terms, trained.x / trained.n, trained.y / trained.n)
    return yy - 2 * (weights * xy).sum(1) + np.einsum("ui,uij,uj->u", weights, xx, weights), yy


def _validated(folds: list[_Sums], base: IntArray, allowed: Mask) -> FloatArray:
    """Share explained on the folds left out with 1 to MOST_TERMS terms, shape (MOST_TERMS, n_units)."""
    total = _total(folds)
    n_units = len(total.y)
    rest, whole = np.zeros((MOST_TERMS, n_units)), np.zeros(n_units)
    for asked in folds:
        trained = total.minus(asked)
        terms = _search(trained, base, allowed)
        for k in range(MOST_TERMS):
            first = terms[:, : k + 1]
            left, around = _left_over(trained, asked, first, _weights(trained, first))
            rest[k] += left
        whole += around
    return 1 - rest / np.where(whole > 0, whole, np.inf)


def _fit(folds: list[_Sums], base: IntArray, allowed: Mask, most: int = MOST_TERMS) -> Model:
    """Models of as many terms as are worth it; none of a weight below 0: it would say the opposite of its words."""
    explained = _validated(folds, base, allowed)[:most]
    total = _total(folds)
    terms = _search(total, base, allowed)
    ways = [np.where(np.arange(MOST_TERMS) <= k, terms, -1) for k in range(most)]
    weights = [_weights(total, way) for way in ways]
    honest = np.stack([((w > 0) | (t < 0)).all(axis=1) & (t[:, 0] >= 0) for w, t in zip(weights, ways, strict=True)])
    explained = np.where(honest, explained, -np.inf)
    best = explained.max(axis=0)
    enough = explained >= np.where(best > 0, (1 - WORTH) * best, best)
    k = enough.argmax(axis=0)
    units = np.arange(len(k))
    return Model(np.stack(ways)[k, units], np.stack(weights)[k, units], explained[k, units])


@dataclass(frozen=True)
class Explained:
    """What explains units of a block.

    Attributes
    ----------
    both, classes, descriptors, level : Model
        By all terms, by those of classes, by descriptors, and by level alone (one term).
    null_high : ndarray, shape (n_units,)
        The most that the search of ``both`` explained, cross-validated, on any shift.
    centre, size : ndarray, shape (n_units,)
        Mean and standard deviation of activations, which the models are fitted in.
    means : ndarray, shape (n_terms,)
        Of the terms.
    """

    both: Model
    classes: Model
    descriptors: Model
    level: Model
    null_high: FloatArray
    centre: FloatArray
    size: FloatArray
    means: FloatArray

    @property
    def named(self) -> Mask:
        """Units that have a description: more is explained than on any shift, and `LEAST`."""
        has: Mask = (self.both.explained > self.null_high) & (self.both.explained >= LEAST)
        return has

    def held_out(self, x: Floats, y: Floats) -> dict[str, FloatArray]:
        """Share of the squares around the fitted mean that each model explains at other moments: ``by_both`` and so on.

        Parameters
        ----------
        x : ndarray of float32, shape (n, n_terms)
        y : ndarray of float32, shape (n, n_units)
        """
        fitted = _Sums(1, self.means, np.zeros(y.shape[1]), *np.zeros((3, 1)))
        asked = _sums(x, _scaled(y, self.centre, self.size))
        found = {}
        for name in ("both", "classes", "descriptors", "level"):
            model = getattr(self, name)
            left, around = _left_over(fitted, asked, model.terms, model.weights)
            found[f"by_{name}"] = 1 - left / np.where(around > 0, around, np.inf)
        return found


def _scaled(y: Floats, centre: FloatArray, size: FloatArray) -> Floats:
    return np.asarray(np.where(size > 0, (y - centre) / np.where(size > 0, size, 1), 0), dtype=np.float32)


def explain(table: Table, y: Floats, is_level: Mask, shifts: IntArray, on_step: Callable[[], None]) -> Explained:
    """Explain some units.

    Parameters
    ----------
    table : Table
    y : ndarray of float32, shape (n, n_units)
        Activations at the same moments.
    is_level : ndarray of bool, shape (n_terms,)
    shifts : ndarray of int, shape (n_shifts, n)
        For the null: whose terms each moment takes.
    on_step : callable
        Called after the fit and after each shift.
    """
    centre, size = y.mean(axis=0, dtype=np.float64), y.std(axis=0, dtype=np.float64)
    y = _scaled(y, centre, size)
    folds = _by_fold(table, y)
    every = np.ones(len(table.base), dtype=bool)
    both, classes, descriptors = (_fit(folds, table.base, of) for of in (every, table.is_class, ~table.is_class))
    level = _fit(folds, table.base, is_level, most=1)
    on_step()
    null = np.full(y.shape[1], -np.inf)
    for taken in shifts:
        null = np.maximum(null, _validated(_by_fold(table, y, taken), table.base, every).max(axis=0))
        on_step()
    means = table.values.mean(axis=0, dtype=np.float64)
    return Explained(both, classes, descriptors, level, null, centre, size, means)
