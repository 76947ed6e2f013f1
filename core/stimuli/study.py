"""All that is told of a model's units from one set of made sounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from core.evidence.pooled import Q_LIMIT
from core.results import IntArray, StimulusStudy
from core.stimuli.design import Design
from core.stimuli.respond import Responses
from core.stimuli.sets import StimulusSet
from core.stimuli.shares import Shares, explain, permutations
from core.stimuli.sound import SECONDS
from core.stimuli.tuning import N_PERMUTED, Curves, curves, invariance, level_means, trend

FOLLOWS = 0.1
"""Share of its variance (Shapley) from which on a unit is said to follow a factor, where q < 0.05 too."""
MOST_CURVES = 4_000
"""Units whose curves over a factor are kept: those that it explains most."""


def tell(
    stimuli: StimulusSet, responses: Responses, layers: IntArray, n_permutations: int, seed: int,
    progress: Callable[[], None] | None = None,
) -> StimulusStudy:  # fmt: skip
    """Shares, evidence, tuning and invariance of every unit that varies over a set.

    Parameters
    ----------
    stimuli : StimulusSet
    responses : Responses
    layers : ndarray of int, shape (n_units,)
        Layer of each unit.
    n_permutations : int
        Under 21: no null, and so nothing that would stand on it.
    seed : int
    progress : callable, optional
        Called `n_steps` times.
    """
    step, design = progress or (lambda: None), stimuli.design
    n_permutations = n_permutations if n_permutations > 20 else 0
    varying = responses.varying
    rate, mean = responses.rate[:, varying], responses.mean[:, varying]
    shares = explain(rate, design, n_permutations, seed, step) if len(varying) else []
    units, points, pairs = [], [], []
    leading = np.argmax([of.shapley for of in shares], axis=0) if shares else np.zeros(0, dtype=np.int64)
    for factor, of in enumerate(shares):
        table = _units(of, rate, design, factor)
        table["is_leading"] = ((leading == factor) & (table["q_value"] < Q_LIMIT)).astype(np.int64)
        shown, others = _found(table)
        at = varying[shown]
        of_factor = curves(rate[:, shown], mean[:, shown], design, factor, seed)
        points.append(_points(of_factor, factor).assign(neuron_index=np.tile(at, len(of_factor.rate))))
        dealt = permutations(design, factor, min(N_PERMUTED, n_permutations), seed)
        kept = np.full(len(varying), np.inf)
        for other in (place for place in range(len(design.factors)) if place != factor):
            for some, ways in ((shown, dealt), (others, dealt[:0])):
                of_pair = invariance(rate[:, some], design, factor, other, ways)
                kept[some] = np.minimum(kept[some], of_pair.kept)
                if some is shown and len(some):
                    pairs.append(pd.DataFrame({"neuron_index": at, "factor": factor, "other": other, **vars(of_pair)}))
        units.append(table.assign(neuron_index=varying, kept=np.where(np.isfinite(kept), kept, np.nan)))
        step()
    facts = {
        "n_stimuli": design.n_stimuli, "n_repetitions": design.repetitions, "n_varying": len(varying), "seed": seed,
        "n_permutations": n_permutations, "seconds_each": SECONDS,
    }  # fmt: skip
    factors, levels = of_design(design)
    return StimulusStudy(
        stimuli.name, facts, factors, levels, _joined(units), _joined(points), _joined(pairs),
        by_layer(shares, layers[varying]),
    )  # fmt: skip


def n_steps(design: Design) -> int:
    """How often `tell` tells of progress."""
    return 2 * len(design.factors)


def _units(of: Shares, rate: np.ndarray, design: Design, factor: int) -> pd.DataFrame:
    """What a factor is to each unit."""
    curve = level_means(rate, design, factor)
    nothing = np.full(len(of.alone), np.nan)
    return pd.DataFrame({
        "factor": factor, "alone": of.alone, "joint": of.joint, "shapley": of.shapley, "null_mean": of.null_mean,
        "null_high": of.null_high, "p_value": of.evidence.p if of.evidence else nothing,
        "q_value": of.evidence.q if of.evidence else nothing, "best_level": curve.argmax(axis=0),
        "trend": trend(curve, design.factors[factor]),
    })  # fmt: skip


def _found(table: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """Units with q < 0.05 in their order: those whose curves are kept, and the others."""
    found = np.flatnonzero(table["q_value"].to_numpy() < Q_LIMIT)
    most = np.argsort(-table["shapley"].to_numpy()[found], kind="stable")
    return np.sort(found[most[:MOST_CURVES]]), np.sort(found[most[MOST_CURVES:]])


def _points(of: Curves, factor: int) -> pd.DataFrame:
    """Curves as rows, level after level."""
    n_levels, n_units = of.rate.shape
    columns = {"rate": of.rate, "rate_low": of.low, "rate_high": of.high, "mean_activation": of.mean}
    return pd.DataFrame({
        "factor": factor, "level": np.repeat(np.arange(n_levels), n_units),
        **{name: values.ravel() for name, values in columns.items()},
    })  # fmt: skip


def by_layer(shares: Sequence[Shares], layers: IntArray) -> pd.DataFrame:
    """Units of each layer with a factor of q < 0.05, and how many a permutation gives as much.

    Returns
    -------
    DataFrame
        ``factor``, ``layer``, ``n_varying``, ``n_found``, ``n_leading`` (that it explains most), ``null_mean``,
        ``null_high`` (units that a permutation gives; NaN without).
    """
    rows = []
    leading = np.argmax([of.shapley for of in shares], axis=0) if shares else layers
    for factor, of in enumerate(shares):
        found = of.evidence.q < Q_LIMIT if of.evidence else np.zeros(len(layers), dtype=bool)
        for layer in np.unique(layers):
            here = layers == layer
            null = of.evidence.chance[:, here].sum(axis=1) if of.evidence else np.array([np.nan])
            rows.append({
                "factor": factor, "layer": int(layer), "n_varying": int(here.sum()), "n_found": int(found[here].sum()),
                "n_leading": int((found & (leading == factor))[here].sum()), "null_mean": float(np.mean(null)),
                "null_high": float(np.quantile(null, 0.975)),
            })  # fmt: skip
    return pd.DataFrame(rows)


def of_design(design: Design) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Factors and their levels as rows."""
    factors = pd.DataFrame([
        {"factor": f, "name": of.name, "unit_of_values": of.unit, "is_ordered": int(of.is_ordered),
         "n_levels": of.n_levels}
        for f, of in enumerate(design.factors)
    ])  # fmt: skip
    levels = pd.DataFrame([
        {"factor": f, "level": place, "label": label, "level_value": value}
        for f, of in enumerate(design.factors)
        for place, (label, value) in enumerate(zip(of.levels, of.values, strict=True))
    ])  # fmt: skip
    return factors, levels


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame()
