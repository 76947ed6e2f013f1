"""Coverage and class-specific neurons over entropy rate and probability bar, not only at the run's own point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from core.results import FloatArray, IntArray, Mask
from core.selectivity.presets import SelectionSettings, kth_smallest, parse_activity

RATES = (0.0025, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of all neurons that the entropy keeps, along a curve."""
BARS = (0.8, 0.9, 0.95, 0.98, 0.99)
"""Quantiles of all probabilities to exceed, along a curve."""
COLUMNS = (
    "preset",
    "entropy_rate",
    "probability_bar",
    "n_classes_covered",
    "coverage",
    "n_class_specific",
    "null_coverage_mean",
    "null_coverage_low",
    "null_coverage_high",
    "null_n_class_specific_mean",
    "null_n_class_specific_low",
    "null_n_class_specific_high",
    "n_shuffles",
)


class Labels:
    """What one way of labelling the clips gives, and what the grids of several presets ask of it, found once.

    Parameters
    ----------
    probabilities : ndarray, shape (n_classes, n_neurons)
    entropies : ndarray, shape (n_neurons,)
    """

    def __init__(self, probabilities: FloatArray, entropies: FloatArray) -> None:
        self.probabilities, self.entropies = probabilities, entropies
        self._thresholds: dict[tuple[float | bool, ...], FloatArray] = {}

    @cached_property
    def largest(self) -> FloatArray:
        """Largest probability of each neuron."""
        largest: FloatArray = self.probabilities.max(axis=0)
        return largest

    @cached_property
    def order(self) -> IntArray:
        """Neurons that fire, from the lowest entropy on."""
        order = np.argsort(self.entropies, kind="stable")
        return order[~np.isnan(self.entropies[order])]

    def thresholds(self, bars: list[float], per_class: bool) -> FloatArray:
        """Each bar's probability, of all or of each class, (1 or n_classes, n_bars)."""
        key = (per_class, *bars)
        if key not in self._thresholds:
            rows = self.probabilities if per_class else self.probabilities.reshape(1, -1)
            self._thresholds[key] = quantiles(rows, bars)
        return self._thresholds[key]


@dataclass(frozen=True)
class Grid:
    """A percentile preset at every point of its curve.

    Attributes
    ----------
    setting : SelectionSettings
        ``aape`` or ``lape``.
    rates, bars : list of float
        In order; the setting's own among them.
    """

    setting: SelectionSettings
    rates: list[float]
    bars: list[float]

    @classmethod
    def of(cls, setting: SelectionSettings, whole: bool = True) -> Grid | None:
        """The whole grid, or its own point alone; None for ``calibrated``, which has neither rate nor bar."""
        if setting.preset == "calibrated":
            return None
        if not whole:
            return cls(setting, [setting.entropy_rate], [setting.probability_bar])
        return cls(setting, sorted({*RATES, setting.entropy_rate}), sorted({*BARS, setting.probability_bar}))

    @property
    def own(self) -> int:
        """Row of the setting's own point."""
        bar = self.bars.index(self.setting.probability_bar)
        return bar * len(self.rates) + self.rates.index(self.setting.entropy_rate)

    def points(self, at: Labels) -> FloatArray:
        """What `core.selectivity.presets.select` chooses at every point.

        Neurons are put in order of entropy once; a rate is a cut through that order.

        Parameters
        ----------
        at : Labels

        Returns
        -------
        ndarray of float, shape (n_bars * n_rates, 3)
            Share of classes covered, class-specific neurons, pairs; rates change fastest.
        """
        n_classes, n_neurons = at.probabilities.shape
        quotas = np.array([round(rate * n_neurons) for rate in self.rates])
        points = np.zeros((len(self.bars), len(self.rates), 3))
        for b, (_, above) in enumerate(self._above(at, int(quotas.max()))):
            if not above.any():
                continue
            n_of = above.sum(axis=0)
            first = np.where(above.any(axis=1), above.argmax(axis=1), n_neurons)
            upto = np.minimum(quotas, len(n_of))
            points[b, :, 0] = (first[:, None] < quotas).sum(axis=0) / n_classes
            points[b, :, 1] = np.append(0, np.cumsum(n_of > 0))[upto]
            points[b, :, 2] = np.append(0, np.cumsum(n_of))[upto]
        return points.reshape(-1, 3)

    def pairs(self, at: Labels) -> tuple[IntArray, IntArray]:
        """Class and neuron of the pairs that are chosen at the setting's own point."""
        bar, n_neurons = self.bars.index(self.setting.probability_bar), at.probabilities.shape[1]
        order, above = list(self._above(at, round(self.setting.entropy_rate * n_neurons)))[bar]
        class_index, place = np.nonzero(above)
        return class_index, order[place]

    def _above(self, at: Labels, most: int) -> Iterator[tuple[IntArray, Mask]]:
        """For each bar the neurons of lowest entropy, at most so many in order, and the classes above the bar."""
        probabilities, largest, order = at.probabilities, at.largest, at.order
        per_class = self.setting.preset == "aape" and self.setting.bar_scope == "class"
        if self.setting.preset == "aape":
            kind, value = parse_activity(self.setting.activity)
            least = kth_smallest(largest if kind == "quantile" else probabilities, value)
            order = order[largest[order] > least][:most]
            lowest = probabilities[:, order]
        for threshold in at.thresholds(self.bars, per_class).T:
            kept = order
            if self.setting.preset == "lape":
                kept = order[largest[order] > threshold][:most]
                lowest = probabilities[:, kept]
            yield kept, lowest > threshold[:, None]

    def curve(self, n_classes: int, observed: FloatArray, null: FloatArray) -> pd.DataFrame:
        """Observed `points` beside those of the shuffles, (n_shuffles, n_points, 3)."""
        bar, rate = (each.ravel() for each in np.meshgrid(self.bars, self.rates, indexing="ij"))
        columns: dict[str, object] = {
            "preset": self.setting.preset,
            "entropy_rate": rate,
            "probability_bar": bar,
            "n_classes_covered": np.rint(observed[:, 0] * n_classes).astype(np.int64),
            "coverage": observed[:, 0],
            "n_class_specific": observed[:, 1].astype(np.int64),
            "n_shuffles": len(null),
        }
        bands = band(null) if len(null) else np.full((3, *observed.shape), np.nan)
        for i, of in enumerate(("coverage", "n_class_specific")):
            for name, values in zip(("mean", "low", "high"), bands[:, :, i], strict=True):
                columns[f"null_{of}_{name}"] = values
        return pd.DataFrame(columns, columns=list(COLUMNS))


def quantiles(values: FloatArray, rates: list[float]) -> FloatArray:
    """`core.selectivity.presets.kth_smallest` of every row at several rates, (n_rows, n_rates)."""
    ranks = [round(values.shape[1] * rate) for rate in rates]
    parted = np.partition(values, [k - 1 for k in ranks if k], axis=1) if any(ranks) else values
    return np.stack([parted[:, k - 1] if k else np.full(len(values), -np.inf) for k in ranks], axis=1)


def band(null: FloatArray) -> FloatArray:
    """Mean, 2.5th and 97.5th percentile over shuffles, the first axis."""
    return np.stack([null.mean(axis=0), *np.quantile(null, [0.025, 0.975], axis=0)])
