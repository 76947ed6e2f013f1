"""Every point of a curve is what `select` chooses with that point's settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from core.evidence.curves import BARS, COLUMNS, RATES, Grid, Labels, quantiles
from core.evidence.permutation import ClipCounts
from core.evidence.shuffles import shuffled_null
from core.selectivity.presets import SelectionSettings, entropy, kth_smallest, select
from tests.core.test_null import one_hot, sparse_clips

SETTINGS = [
    SelectionSettings("aape"),
    SelectionSettings("aape", 0.03, 0.85, activity="any-above:0.7"),
    SelectionSettings("aape", 0.05, 0.97, bar_scope="class"),
    SelectionSettings("aape", 1.0, 0.5, activity="quantile:0"),
    SelectionSettings("lape", 0.3, 0.99),
    SelectionSettings("lape"),
]


def some_rates(seed: int, n_neurons: int = 800, n_classes: int = 7) -> NDArray[np.float64]:
    """Some neurons never fire, some in one class only, some alike."""
    rng = np.random.default_rng(seed)
    rates = rng.random((n_classes, n_neurons)) ** rng.uniform(0.5, 8, n_neurons)
    rates[:, :20] = 0
    rates[1:, 20:60] = 0
    rates[:, 60:80] = rates[:, [60]]
    return rates


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.preset}-{s.bar_scope}-{s.activity}-{s.entropy_rate}")
def test_points_are_those_of_the_selection_itself(setting: SelectionSettings) -> None:
    grid = Grid.of(setting)
    assert grid is not None
    assert set(grid.rates) == {*RATES, setting.entropy_rate}
    assert set(grid.bars) == {*BARS, setting.probability_bar}
    rates = some_rates(0)
    found = grid.points(Labels(rates, entropy(rates)))
    expected = []
    for bar in grid.bars:
        for rate in grid.rates:
            mask = select(rates, replace(setting, entropy_rate=rate, probability_bar=bar))
            expected.append((mask.any(1).mean(), mask.any(0).sum(), mask.sum()))
    np.testing.assert_allclose(found, expected)
    assert found[:, 2].max() > 0
    own = select(rates, setting)
    np.testing.assert_allclose(found[grid.own], (own.any(1).mean(), own.any(0).sum(), own.sum()))


def test_rule_of_evidence_has_no_curve() -> None:
    assert Grid.of(SelectionSettings("calibrated")) is None


def test_quota_of_nobody_and_bar_over_all_choose_nothing() -> None:
    rates = some_rates(1, n_neurons=100)
    grid = Grid(SelectionSettings("aape"), [0.001, 0.01], [0.95, 1.0])
    found = grid.points(Labels(rates, entropy(rates))).reshape(2, 2, 3)
    assert not found[:, 0].any(), "0.1 % of 100 neurons is none"
    assert not found[1].any(), "nothing exceeds the largest"


@pytest.mark.parametrize("shape", [(1, 97), (5, 40)])
def test_quantiles_are_kth_smallest(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(shape)
    rates = [0.001, 0.3, 0.95, 1.0]
    expected = [[kth_smallest(row, rate) for rate in rates] for row in values]
    np.testing.assert_array_equal(quantiles(values, rates), expected)


def test_curve_stands_beside_the_same_points_of_every_shuffle() -> None:
    counts = ClipCounts.of(sparse_clips(90, 400, rate=0.3, seed=4), np.full(90, 65))
    members = one_hot(np.arange(90) % 6)
    settings = [SelectionSettings("aape", 0.04), SelectionSettings("calibrated"), SelectionSettings("lape")]
    null = shuffled_null(counts, members, settings, 25, seed=3)
    assert null.curve.columns.tolist() == list(COLUMNS)
    assert null.curve.groupby("preset").size().to_dict() == {"aape": 7 * 5, "lape": 6 * 5}
    assert (null.curve["n_shuffles"] == 25).all()
    rng = np.random.default_rng(3)
    dealt = [members[rng.permutation(90)] for _ in range(25)]
    point = replace(settings[0], entropy_rate=0.05, probability_bar=0.8)
    masks = [select(sums / tokens[:, None], point) for sums, tokens in map(counts.by_class, [members, *dealt])]
    covered, chosen = [mask.any(1).sum() for mask in masks], [mask.any(0).sum() for mask in masks]
    row = null.curve.query("preset == 'aape' and entropy_rate == 0.05 and probability_bar == 0.8").iloc[0]
    assert (row["n_classes_covered"], row["n_class_specific"]) == (covered[0], chosen[0])
    assert row["coverage"] == pytest.approx(covered[0] / 6)
    assert row["null_coverage_mean"] == pytest.approx(np.mean(covered[1:]) / 6)
    assert row["null_n_class_specific_mean"] == pytest.approx(np.mean(chosen[1:]))
    band = [row["null_n_class_specific_low"], row["null_n_class_specific_high"]]
    np.testing.assert_allclose(band, np.quantile(chosen[1:], [0.025, 0.975]))
    band = [row["null_coverage_low"], row["null_coverage_high"]]
    np.testing.assert_allclose(band, np.quantile(covered[1:], [0.025, 0.975]) / 6)
    assert chosen[0] > 0


def test_summary_is_the_curves_own_point() -> None:
    counts = ClipCounts.of(sparse_clips(90, 400, rate=0.3, seed=4), np.full(90, 65))
    null = shuffled_null(counts, one_hot(np.arange(90) % 6), [SelectionSettings("lape", 0.07, 0.93)], 20, seed=3)
    (summary,) = null.summaries
    assert summary is not None
    row = null.curve.query("entropy_rate == 0.07 and probability_bar == 0.93").iloc[0]
    assert summary.coverage_mean == row["null_coverage_mean"] > 0
    assert summary.n_class_specific_high == row["null_n_class_specific_high"]
