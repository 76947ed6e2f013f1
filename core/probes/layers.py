"""What linear heads read from each layer: accuracy layer by layer, the best layer, and the weighted sum of all.

The heads are those of `core.probes.fit`: same splits, folds, regularisations and measures; what a head reads is a
layer's output, averaged over the tokens of a clip. The best layer is chosen on valid clips (with folds, for each fold
on the next one) and told on test clips, so that it is not best by the luck of those it is told on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from core.datasets.task import Task
from core.evidence.exchange_of_task import exchange_of, group_of_clips
from core.evidence.intervals import sampling_units
from core.evidence.shares import resampled
from core.probes.fit import Probe, Told
from core.probes.measures import N_SHUFFLES, Measure
from core.probes.weighted import Summed
from core.results import IntArray, LayerProbes


def tell(task: Task, probes: Sequence[Probe], summed: Summed | None, seed: int) -> LayerProbes:
    """Heads on every layer in rows, with intervals over sampling units, chance and shuffled labels beside them.

    Parameters
    ----------
    task : Task
    probes : sequence of Probe
        Heads on what enters the first block, then on each block's output.
    summed : Summed or None
        Heads on the weighted sum; None where layers differ in width.
    seed : int
    """
    if probes[-1].result.skipped:
        return LayerProbes(task.name, skipped=probes[-1].result.skipped)
    units = sampling_units(group_of_clips(task), len(task.dataset.clips))
    tested = probes[-1].told[-1].clips
    orders, shuffled = _orders(task, tested, seed)
    every: list[tuple[float, Probe]] = [(layer - 1, probe) for layer, probe in enumerate(probes)]
    every += [(np.nan, summed.probe)] if summed else []
    rows = [row for layer, probe in every for row in _rows(layer, probe, units, orders, seed)]
    best_layer, best = _best(probes)
    summary = {
        "best_layer": best_layer,
        "chosen_on": probes[-1].result.settings["chosen_on"],
        "shuffled": shuffled,
        **_beside("best", best, probes[-1].told[-1].measure, units[tested], seed),
        **_beside("weighted", summed.probe.told[-1].measure if summed else None, best, units[tested], seed),
    }
    settings = {"C": {f"{layer:g}": probe.result.settings["C"] for layer, probe in every}}
    return LayerProbes(task.name, pd.DataFrame(rows), _weights(summed), summary, settings)


def _rows(
    layer: float, probe: Probe, units: IntArray, orders: Sequence[IntArray], seed: int
) -> list[dict[str, object]]:
    """A row a split and class; no interval on train clips, which the head has seen."""
    rows: list[dict[str, object]] = []
    for told in probe.told:
        nothing: dict[str | None, tuple[float, float]] = {}
        intervals = nothing if told.split == "train" else told.measure.intervals(units[told.clips], seed)
        highest = (
            max((told.measure.dealt(order) for order in orders), default=np.nan) if told.split == "test" else np.nan
        )
        for row in told.measure.rows(told.split):
            name = row["class_name"]
            assert name is None or isinstance(name, str)
            low, high = intervals.get(name, (np.nan, np.nan))
            shuffled = highest if name is None else np.nan
            rows.append({"layer": layer, **row, "ci_low": low, "ci_high": high, "shuffled_high": shuffled})
    return rows


def _orders(task: Task, clips: IntArray, seed: int) -> tuple[list[IntArray], str]:
    """Whose labels each of the test clips gets, time and again, and what is dealt (`core.evidence.exchange`)."""
    chosen = np.zeros(len(task.dataset.clips), dtype=bool)
    chosen[clips] = True
    exchange, rng = exchange_of(task, chosen), np.random.default_rng([seed, len(clips)])
    ascending = np.argsort(clips)  # where in ``clips`` each of the chosen ones stands
    place = np.argsort(ascending)
    dealt = [exchange.first[exchange.deal(rng)][exchange.unit] for _ in range(N_SHUFFLES)]
    return [ascending[order][place] for order in dealt], exchange.description


def _best(probes: Sequence[Probe]) -> tuple[int | None, Measure | None]:
    """The layer that is best on valid clips, of ties the first, and the measure on test clips.

    With folds each has its own; the layer that most of them have is told, and what all do with theirs.
    """
    on_valid = np.array([probe.on_valid for probe in probes])  # (n_layers, n_rounds)
    if np.isnan(on_valid).any():
        return None, None
    of_rounds = on_valid.argmax(axis=0)
    tests = [_tests(probes[number])[turn].measure for turn, number in enumerate(of_rounds.tolist())]
    return int(np.bincount(of_rounds).argmax()) - 1, tests[0].pooled(tests) if len(tests) > 1 else tests[0]


def _tests(probe: Probe) -> tuple[Told, ...]:
    """Of each round, its test clips."""
    return probe.told[:-1] if len(probe.parts) > 1 else probe.told[-1:]


def _beside(
    name: str, measure: Measure | None, other: Measure | None, units: IntArray, seed: int
) -> Mapping[str, float]:
    """A measure on test clips with interval, and how it differs from another on the same clips (paired bootstrap)."""
    names = [
        f"{name}{end}" for end in ("_accuracy", "_low", "_high", "_difference", "_difference_low", "_difference_high")
    ]
    found = [np.nan] * 6
    if measure is not None:
        found[0] = _of_all(measure)
        found[1:3] = measure.intervals(units, seed)[None]
    weights = resampled(units, seed, measure.n_draws) if measure is not None else None
    if measure is not None and other is not None:
        found[3] = _of_all(measure) - _of_all(other)
    if measure is not None and other is not None and weights is not None:
        low, high = np.nanquantile(measure.under(weights) - other.under(weights), [0.025, 0.975])
        found[4:] = float(low), float(high)
    return dict(zip(names, found, strict=True))


def _of_all(measure: Measure) -> float:
    value = measure.rows("test")[0]["accuracy"]
    assert isinstance(value, float)
    return value


def _weights(summed: Summed | None) -> pd.DataFrame:
    """A row a layer: its share, over folds the mean, and the least and greatest with those of resampled train clips."""
    if summed is None:
        return pd.DataFrame(columns=["layer", "weight", "weight_low", "weight_high"])
    every = np.concatenate([summed.weights, summed.refitted])
    return pd.DataFrame(
        {
            "layer": np.arange(every.shape[1]) - 1,
            "weight": summed.weights.mean(axis=0),
            "weight_low": every.min(axis=0),
            "weight_high": every.max(axis=0),
        }
    )
