"""Log odds of firing: by hand, against brute force, and intervals that hold what is true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from core.selectivity.preferences import preferences


def two(labels: np.ndarray) -> np.ndarray:
    return labels[:, None] == np.arange(labels.max() + 1)


def test_by_hand() -> None:
    # Class 0: 6 of 20 tokens in two clips; class 1: 2 of 20.
    positive = np.array([[4], [2], [1], [1]])
    found = preferences(positive, np.full(4, 10), two(np.array([0, 0, 1, 1])))
    expected = np.log(6.5 / 14.5) - np.log(2.5 / 18.5)
    assert found["log_odds"].tolist() == pytest.approx([expected, -expected])
    assert found["class_index"].tolist() == [0, 1]
    # Class 0: clips 3 and 1 off rate * tokens; class 1: 1 - 25 / 21 each; n / (n - 1) = 2.
    p, r = 6.5 / 21, 2.5 / 21
    of_0 = 2 * ((4 - 10 * p) ** 2 + (2 - 10 * p) ** 2) / (21 * p * (1 - p)) ** 2
    of_1 = 2 * 2 * (1 - 10 * r) ** 2 / (21 * r * (1 - r)) ** 2
    least = 1 / 6.5 + 1 / 14.5 + 1 / 2.5 + 1 / 18.5
    assert of_0 + of_1 < least  # so few tokens are no surer than independent ones
    half = found["high"] - found["log_odds"]
    freedom = (of_0 + of_1) ** 2 / (of_0**2 + of_1**2)
    assert half.to_numpy() == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(least))
    assert (found["log_odds"] - found["low"]).to_numpy() == pytest.approx(half.to_numpy())


def brute(positive: np.ndarray, tokens: np.ndarray, inside: np.ndarray, unit: np.ndarray) -> tuple[float, float]:
    """Log odds and variance of one neuron, unit by unit."""
    odds, parts, n_units = 0.0, np.zeros((2, unit.max() + 1)), []
    least = 0.0
    for side, (where, sign) in enumerate(((inside, 1), (~inside, -1))):
        yes, no = positive[where].sum() + 0.5, (tokens - positive)[where].sum() + 0.5
        p = yes / (yes + no)
        odds += sign * np.log(yes / no)
        least += 1 / yes + 1 / no
        for i in np.flatnonzero(where):
            parts[side, unit[i]] += sign * (positive[i] - p * tokens[i]) / ((yes + no) * p * (1 - p))
        n = len(np.unique(unit[where]))
        parts[side] *= np.sqrt(n / (n - 1))
        n_units.append(n)
    return odds, max(float((parts.sum(axis=0) ** 2).sum()), least)


@pytest.mark.parametrize("grouped", ["clips", "nested", "crossing"])
def test_as_brute_force(grouped: str) -> None:
    rng = np.random.default_rng(3)
    n = 60
    labels = rng.permutation(np.arange(n) % 3)
    unit = {"clips": np.arange(n), "nested": labels * 4 + rng.integers(0, 4, n), "crossing": np.arange(n) % 7}[grouped]
    tokens = rng.integers(20, 60, n)
    positive = rng.binomial(tokens[:, None], rng.beta(1, 2, (n, 5)))
    found = preferences(positive, tokens, two(labels), None if grouped == "clips" else unit)
    by_pair = found.set_index(["class_index", "neuron_index"])
    unit = np.unique(unit, return_inverse=True)[1]
    for k in range(3):
        for j in range(5):
            odds, variance = brute(positive[:, j], tokens, labels == k, unit)
            row = by_pair.loc[(k, j)]
            assert row["log_odds"] == pytest.approx(odds)
            factor = (row["high"] - row["log_odds"]) / np.sqrt(variance)
            assert 1.96 <= factor <= t.ppf(0.975, 2)  # a t quantile, of at least the smaller side's freedom


@pytest.mark.parametrize(("n_groups", "crossing", "base"), [(20, False, -1.0), (12, True, -1.0), (60, False, -4.0)])
def test_interval_holds_the_truth_where_speakers_differ(n_groups: int, crossing: bool, base: float) -> None:
    rng = np.random.default_rng(0)
    per, n_neurons, effect = 10, 400, 0.7
    group = np.repeat(np.arange(n_groups), per)
    labels = np.tile(np.arange(per) % 2, n_groups) if crossing else group % 2
    of_group = rng.normal(0, 0.6, (n_groups, n_neurons))[group]
    rate = 1 / (1 + np.exp(-(base + effect * (labels == 0)[:, None] + of_group)))
    positive = rng.binomial(40, rate)
    spread = rng.normal(0, 0.6, 400_000)
    mean = [np.mean(1 / (1 + np.exp(-(base + of + spread)))) for of in (effect, 0.0)]
    truth = np.log(mean[0] / (1 - mean[0])) - np.log(mean[1] / (1 - mean[1]))

    def held(groups: np.ndarray | None) -> float:
        found = preferences(positive, np.full(len(group), 40), two(labels), groups).query("class_index == 0")
        return float(((found["low"] <= truth) & (truth <= found["high"])).mean())

    assert held(group) == pytest.approx(0.95, abs=0.035)
    if not crossing:
        assert held(None) < 0.8  # clips of a speaker are not independent


def test_permuting_classes_permutes_rows_and_neurons_can_be_chosen() -> None:
    rng = np.random.default_rng(4)
    labels, tokens = np.arange(30) % 3, rng.integers(5, 20, 30)
    positive = rng.binomial(tokens[:, None], 0.3, (30, 6))
    found = preferences(positive, tokens, two(labels)).set_index(["class_index", "neuron_index"])
    turned = preferences(positive, tokens, two(labels)[:, [2, 0, 1]]).set_index(["class_index", "neuron_index"])
    for new, old in enumerate((2, 0, 1)):
        np.testing.assert_allclose(turned.loc[new], found.loc[old])
    some = preferences(positive, tokens, two(labels), neurons=np.array([4, 2]))
    assert some["neuron_index"].tolist() == [2, 4] * 3
    np.testing.assert_allclose(some.set_index(["class_index", "neuron_index"]), found.loc[(slice(None), [2, 4]), :])


def test_neuron_that_never_fires_in_a_class_has_a_wide_finite_interval() -> None:
    positive = np.array([[0], [0], [0], [3], [4], [3]])
    found = preferences(positive, np.full(6, 10), two(np.array([0, 0, 0, 1, 1, 1])))
    row = found.iloc[0]
    assert np.isfinite(row["low"]) and row["low"] < row["log_odds"] < row["high"] and row["log_odds"] < -2
    assert row["high"] - row["low"] > 2 * 1.96 * np.sqrt(1 / 0.5)


def test_one_unit_tells_no_interval_and_clips_without_label_are_left_out() -> None:
    members = two(np.array([0, 0, 1, 1]))
    groups = np.array([0, 0, 1, 2])
    positive = np.array([[4], [2], [1], [1]])
    found = preferences(positive, np.full(4, 10), members, groups)
    assert found[["low", "high"]].isna().all(axis=None) and found["log_odds"].notna().all()
    more = np.concatenate([members, [[False, False]]])
    again = preferences(np.append(positive, [[9]], axis=0), np.full(5, 10), more, np.append(groups, 3))
    assert again["log_odds"].tolist() == found["log_odds"].tolist()
    nothing = preferences(positive, np.full(4, 10), np.ones((4, 1), dtype=bool))
    assert nothing[["log_odds", "low", "high"]].isna().all(axis=None)
