"""Neurons that follow how loud, how long or how silent a clip is, and pairs that this explains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from core.arrays.blocks import Matrix, Rows, neurons_at_once, slices
from core.datasets.scan import Scan
from core.results import FloatArray, IntArray, Mask

_ALPHA = 0.05
_KNOTS = np.linspace(-0.8, 0.8, 8)
"""Of a curve over a covariate's ranks, which lie in -1 to 1."""


def covariates(scan: Scan) -> dict[str, FloatArray]:
    """``level`` (dB), ``duration`` (s) and ``silence`` (share of 25 ms frames below -60 dBFS) of each clip."""
    files = scan.files
    return {
        "level": files["level_db"].to_numpy(dtype=np.float64),
        "duration": files["seconds"].to_numpy(dtype=np.float64),
        "silence": 1 - files["active_share"].to_numpy(dtype=np.float64),
    }


def neuron_confounds(scan: Scan, rates: Matrix, chosen: Mask) -> pd.DataFrame:
    """Each neuron's rank correlation with level, duration and silence over the selection clips.

    Parameters
    ----------
    scan : Scan
    rates : ndarray, shape (n_clips, n_neurons)
        Share of a clip's tokens with the event.
    chosen : ndarray of bool, shape (n_clips,)

    Returns
    -------
    DataFrame
        One row a neuron: ``neuron_index``, ``rho_level``, ``rho_duration``, ``rho_silence`` (Spearman, ties at
        their mean rank), NaN where one of the two is the same in every clip.
    """
    given = np.stack([_unit(rankdata(values[chosen])) for values in covariates(scan).values()])
    of_chosen = Rows(rates, chosen)
    rho = np.empty((len(given), rates.shape[1]))
    for block in slices(rates.shape[1], neurons_at_once(len(of_chosen), 4)):
        ranks = _ranks(np.ascontiguousarray(of_chosen[:, block].T))
        rho[:, block] = given @ _unit(ranks).T
    columns = {f"rho_{name}": values for name, values in zip(covariates(scan), rho, strict=True)}
    return pd.DataFrame({"neuron_index": np.arange(rates.shape[1]), **columns})


def _ranks(values: NDArray[np.floating]) -> FloatArray:
    """Ranks within each row from 0 on, ties at their mean."""
    n_rows, n = values.shape
    order = np.argsort(values, axis=1)
    in_order = np.take_along_axis(values, order, axis=1)
    begins = np.ones((n_rows, n), dtype=bool)
    np.not_equal(in_order[:, 1:], in_order[:, :-1], out=begins[:, 1:])
    first = np.flatnonzero(begins)
    length = np.diff(first, append=n_rows * n)
    ranks = np.empty((n_rows, n))
    np.put_along_axis(ranks, order, np.repeat(first % n + (length - 1) / 2, length).reshape(n_rows, n), axis=1)
    return ranks


def _unit(values: FloatArray) -> FloatArray:
    """Rows centred and of length 1; NaN where they are constant."""
    centred = values - values.mean(axis=-1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    unit: FloatArray = np.divide(centred, length, out=np.full_like(centred, np.nan), where=length > 1e-9)
    return unit


def explained_pairs(
    scan: Scan,
    positive: Matrix,
    tokens: IntArray,
    members: Mask,
    chosen: Mask,
    pairs: pd.DataFrame,
) -> pd.DataFrame:
    """Evidence of chosen (class, neuron) pairs that is left beside level, duration and silence.

    Excess counts (positive - pooled rate * tokens) and class membership are both cleaned, by least squares over
    the selection clips, of a curve over each covariate's ranks (straight pieces, eight knots). What is left of
    the two is multiplied, summed and divided by its standard deviation, clip by clip (White 1980), since louder
    clips also vary more: the studentised statistic that DiCiccio and Romano (2017) permute, here with its
    normal tail.

    Parameters
    ----------
    scan : Scan
    positive : ndarray of int, shape (n_clips, n_neurons)
    tokens : ndarray of int, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.
    chosen : ndarray of bool, shape (n_clips,)
        Selection clips.
    pairs : DataFrame
        With ``class_index``, ``neuron_index`` and ``q_value``.

    Returns
    -------
    DataFrame
        One row a pair, in order: ``class_index``, ``neuron_index``, ``p_value_cleaned`` (one-sided; NaN where
        all covariates are constant), ``explained_by``: empty unless q_value < 0.05, and p_value_cleaned > 0.05
        where the same p without cleaning is not; then the covariate that leaves least when it is taken out
        alone, or ``together`` where none alone brings the pair over 0.05. A covariate that tells the class
        completely leaves nothing to decide by: p is 1.
    """
    clips = np.flatnonzero(chosen)
    given = {name: values[clips] for name, values in covariates(scan).items() if np.ptp(values[clips]) > 0}
    of_class, of_neuron = (pairs[c].to_numpy(dtype=np.int64) for c in ("class_index", "neuron_index"))
    cleaned, explained = np.full(len(pairs), np.nan), np.full(len(pairs), "", dtype=object)
    if given:
        taken = [(), tuple(given.values()), *((values,) for values in given.values())]
        designs = [_design(of, len(clips)) for of in taken]
        raw, cleaned, *each = _cleaned_p(positive, tokens, members[clips], clips, of_class, of_neuron, designs)
        alone = np.stack(each)
        strongest = np.array(list(given), dtype=object)[alone.argmax(axis=0)]
        gone = (pairs["q_value"].to_numpy(dtype=np.float64) < _ALPHA) & (raw <= _ALPHA) & (cleaned > _ALPHA)
        explained[gone] = np.where(alone.max(axis=0) > _ALPHA, strongest, "together")[gone]
    return pd.DataFrame(
        {
            "class_index": of_class,
            "neuron_index": of_neuron,
            "p_value_cleaned": cleaned,
            "explained_by": explained,
        }
    )


def _design(covariates_of_clips: Sequence[FloatArray], n_clips: int) -> FloatArray:
    """Orthonormal columns (n_clips, n_columns) that span 1 and a curve over each covariate's ranks."""
    columns = [np.ones(n_clips)]
    for values in covariates_of_clips:
        ranks = (2 * rankdata(values) - 1) / n_clips - 1
        columns += [ranks, *(np.maximum(ranks - knot, 0) for knot in _KNOTS)]
    u, s, _ = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    basis: FloatArray = u[:, s > 1e-6 * s[0]]
    return basis


# More than six: the inner loop of `explained_pairs`, apart so that it can be read.
def _cleaned_p(
    positive: Matrix,
    tokens: IntArray,
    members: Mask,
    clips: IntArray,
    of_class: IntArray,
    of_neuron: IntArray,
    designs: Sequence[FloatArray],
) -> FloatArray:
    """p of each pair after both sides are cleaned of a design, (n_designs, n_pairs)."""
    count = tokens[clips].astype(np.float64)
    classes = [members - design @ (design.T @ members) for design in designs]
    p = np.empty((len(designs), len(of_class)))
    neurons = np.unique(of_neuron)
    of_clips = Rows(positive, clips)
    for at in slices(len(neurons), neurons_at_once(len(clips), 4)):
        block = neurons[at]
        excess = of_clips[:, block].astype(np.float64)
        excess -= count[:, None] * (excess.sum(axis=0) / count.sum())
        here = np.flatnonzero((of_neuron >= block[0]) & (of_neuron <= block[-1]))
        column = np.searchsorted(block, of_neuron[here])
        for i, design in enumerate(designs):
            left = excess - design @ (design.T @ excess)
            p[i, here] = evidence_left(classes[i], left, of_class[here], column, design.shape[1])
    return p


def evidence_left(classes: FloatArray, excess: FloatArray, row: IntArray, column: IntArray, n_taken: int) -> FloatArray:
    """One-sided p that what is left of a class and of a neuron go together.

    Parameters
    ----------
    classes : ndarray, shape (n_clips, n_classes)
    excess : ndarray, shape (n_clips, n_neurons)
        Both cleaned.
    row, column : ndarray of int, shape (n_pairs,)
        Which class, which neuron.
    n_taken : int
        Dimensions of which both were cleaned, the mean included.
    """
    n = len(classes)
    squared_classes, squared_excess = classes**2, excess**2
    variance = (squared_classes.T @ squared_excess)[row, column] * n / max(n - n_taken, 1)
    # What is left of a class or neuron that the design tells completely is rounding.
    varies = (squared_classes.sum(axis=0)[row] > 1e-9 * n) & (squared_excess.sum(axis=0)[column] > 1e-9 * n)
    z = np.where(varies, (classes.T @ excess)[row, column] / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    p: FloatArray = np.where(varies, ndtr(-z), 1.0)
    return p
