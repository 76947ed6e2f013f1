"""Intervals of lift and odds ratio: by hand, against the jackknife, and how often they hold the truth."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student_t

from core.evidence.intervals import lift_intervals, sampling_units
from core.selectivity.presets import lift

TOKENS = 65


def one_hot(labels: NDArray) -> NDArray[np.bool_]:
    return labels[:, None] == np.arange(labels.max() + 1)


def every_pair(n_classes: int, n_neurons: int) -> tuple[NDArray, NDArray]:
    k, j = np.divmod(np.arange(n_classes * n_neurons), n_neurons)
    return k, j


def first_class(positive: NDArray, tokens: NDArray, members: NDArray, groups: NDArray | None = None) -> pd.DataFrame:
    n = positive.shape[1]
    return lift_intervals(positive, tokens, members, (np.zeros(n, dtype=int), np.arange(n)), groups)


def coverage(found: pd.DataFrame, truth: float) -> float:
    known = found.dropna(subset=["lift_low", "lift_high"])
    assert len(known) > 0.7 * len(found)
    return float(((known.lift_low <= truth) & (known.lift_high >= truth)).mean())


def test_numbers_by_hand() -> None:
    # Rates 0.5 and 0.2, each with a variance of 0.01; over both, variance is 0.07 times the mean, which makes
    # 0.0175 of the first class's: with a weight of 4 beside 1 it counts for 0.016.
    positive, tokens = np.array([[4], [6], [1], [3]]), np.full(4, 10)
    found = lift_intervals(positive, tokens, one_hot(np.array([0, 0, 1, 1])), (np.array([0, 1]), np.array([0, 0])))
    own, others = 0.016 / 0.25, 0.01 / 0.04
    df = (own + others) ** 2 / (own**2 + others**2)
    width = student_t.ppf(0.975, df) * np.sqrt(own + others)
    first, second = found.iloc[0], found.iloc[1]
    assert (first.rate, first.lift, second.rate, second.lift) == pytest.approx((0.5, 2.5, 0.2, 0.4))
    assert first.lift_low == pytest.approx(2.5 * np.exp(-width))
    assert first.lift_high == pytest.approx(2.5 * np.exp(width))
    assert (second.lift_low, second.lift_high) == pytest.approx((1 / first.lift_high, 1 / first.lift_low))
    own, others = 0.016 / 0.25**2, 0.01 / 0.16**2
    df = (own + others) ** 2 / (own**2 + others**2)
    width = student_t.ppf(0.975, df) * np.sqrt(own + others)
    assert first.odds_ratio == pytest.approx(4.0)
    assert (first.odds_low, first.odds_high) == pytest.approx((4 * np.exp(-width), 4 * np.exp(width)))


def crossed(n_classes: int, n_groups: int, seed: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Clips of unequal length, in groups that have clips of every class; some clips have two classes."""
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, n_classes, 900), rng.integers(0, n_groups, 900)
    members = one_hot(labels) | (rng.random((900, n_classes)) < 0.1)
    tokens = rng.integers(20, 80, 900)
    rate = 0.3 * rng.uniform(0.5, 1.5, (n_groups, n_classes, 12))[groups, labels] * (1 + 0.8 * (labels == 0))[:, None]
    return rng.binomial(tokens[:, None], np.minimum(rate, 1.0)), tokens, members, groups


@pytest.mark.parametrize("in_groups", [True, False])
def test_standard_error_is_the_jackknifes(in_groups: bool) -> None:
    positive, tokens, members, groups = crossed(4, 60, seed=0)
    units = groups if in_groups else np.arange(len(tokens))
    found = lift_intervals(positive, tokens, members, every_pair(4, 12), groups if in_groups else None)
    logs = []
    for unit in range(units.max() + 1):
        kept = units != unit
        rates = (members[kept].T.astype(float) @ positive[kept]) / (members[kept].T @ tokens[kept])[:, None]
        logs.append(np.log(lift(rates)).ravel())
    n = len(logs)
    jackknife = np.sqrt((n - 1) / n * ((logs - np.mean(logs, axis=0)) ** 2).sum(axis=0))
    error = np.log(found.lift_high / found.lift_low) / 2 / student_t.ppf(0.975, n)
    np.testing.assert_allclose(error, jackknife, rtol=0.08)
    if in_groups:
        by_clip = lift_intervals(positive, tokens, members, every_pair(4, 12))
        assert (np.log(by_clip.lift_high / by_clip.lift_low) < 0.9 * 2 * 1.96 * jackknife).mean() > 0.9


def bursts(n: NDArray, rate: NDArray, rng: np.random.Generator, n_repeats: int) -> NDArray:
    """Most clips none, some any number of tokens."""
    fires = rng.random((len(n), n_repeats)) < rate[:, None]
    return np.where(fires, rng.integers(1, TOKENS + 1, fires.shape), 0)


def steady(n: NDArray, rate: NDArray, rng: np.random.Generator, n_repeats: int) -> NDArray:
    """Every clip near its class's rate."""
    return rng.binomial(TOKENS, rng.beta(20 * rate[:, None], 20 * (1 - rate[:, None]), (len(n), n_repeats)))


@pytest.mark.parametrize("size", [6, 20, 100])
@pytest.mark.parametrize(
    ("draw", "base", "truth"),
    [(bursts, 0.05, 1), (bursts, 0.05, 4), (bursts, 0.2, 4), (steady, 0.3, 1), (steady, 0.3, 2)],
)
def test_interval_holds_the_truth_as_often_as_it_says(draw: object, base: float, truth: float, size: int) -> None:
    labels = np.repeat(np.arange(5), size)
    rate = base * np.where(labels == 0, truth, 1.0)
    positive = draw(labels, rate, np.random.default_rng(size), 700)  # type: ignore[operator]
    found = first_class(positive, np.full(len(labels), TOKENS), one_hot(labels))
    assert coverage(found, truth) >= 0.93


@pytest.mark.parametrize("n_groups", [6, 20])
@pytest.mark.parametrize("nested", [True, False])
def test_interval_over_groups_holds_the_truth_where_that_over_clips_does_not(n_groups: int, nested: bool) -> None:
    rng = np.random.default_rng(n_groups)
    labels, place = np.repeat(np.arange(3), 8 * n_groups), np.tile(np.repeat(np.arange(n_groups), 8), 3)
    groups = place + n_groups * labels if nested else place
    # What a group adds: to all its clips, and where it has several classes to each by itself.
    effect = np.exp(rng.normal(0, 0.4, (700, 3 * n_groups)) - 0.08)[:, place + n_groups * labels]
    rate = np.minimum(0.1 * np.where(labels == 0, 3.0, 1.0) * effect, 1.0)
    positive, tokens = rng.binomial(TOKENS, rate).T, np.full(len(labels), TOKENS)
    assert coverage(first_class(positive, tokens, one_hot(labels), groups), 3) >= 0.92
    assert coverage(first_class(positive, tokens, one_hot(labels)), 3) < 0.7


def test_what_a_group_does_to_all_its_classes_widens_nothing() -> None:
    rng = np.random.default_rng(0)
    labels, groups = np.repeat(np.arange(2), 200), np.tile(np.repeat(np.arange(20), 10), 2)
    rate = (0.2 * np.exp(rng.normal(0, 0.6, (20, 50))))[groups]
    positive, tokens = rng.binomial(TOKENS, np.minimum(rate, 0.9)), np.full(400, TOKENS)
    over_groups, over_clips = (first_class(positive, tokens, one_hot(labels), g) for g in (groups, None))
    assert (over_groups.lift_high / over_groups.lift_low < over_clips.lift_high / over_clips.lift_low).all()


def test_rates_of_zero() -> None:
    labels = np.repeat(np.arange(3), 6)
    positive = np.zeros((18, 3), dtype=np.int64)
    positive[6:, 0] = 13  # neuron 0: not in class 0
    positive[:6, 1] = 13  # neuron 1: in class 0 alone; neuron 2 never fires
    found = first_class(positive, np.full(18, TOKENS), one_hot(labels))
    silent, alone, never = (found.iloc[i] for i in range(3))
    most = student_t.ppf(0.975, 15) ** 2 * 0.2 / 6  # of six clips without an event, where events come 13 of 65 at once
    assert (silent.lift, silent.lift_low) == (0, 0)
    assert silent.lift_high == pytest.approx(most / 0.2)
    assert (alone.lift, alone.lift_high) == (np.inf, np.inf)
    assert alone.lift_low == pytest.approx(0.2 / (most / 2))
    assert never.rate == 0
    assert np.isnan([never.lift, never.lift_low, never.lift_high]).all()
    assert found[["odds_low", "odds_high"]].isna().all(axis=None)


def test_uncertainty_of_the_other_rate_widens_what_a_rate_of_zero_allows() -> None:
    fires = np.array([2, 9, 13, 4, 20, 30])
    positive = np.concatenate([np.zeros(6, dtype=int), fires])[:, None]
    pairs = np.array([0, 1]), np.array([0, 0])
    silent, alone = lift_intervals(positive, np.full(12, TOKENS), one_hot(np.repeat([0, 1], 6)), pairs).itertuples()
    rates = fires / TOKENS
    most = student_t.ppf(0.975, 10) ** 2 * (rates**2).sum() / rates.sum() / 6
    factor = np.exp(student_t.ppf(0.975, 5) * rates.std(ddof=1) / np.sqrt(6) / rates.mean())
    assert silent.lift_high == pytest.approx(most / rates.mean() * factor)
    assert alone.lift_low == pytest.approx(rates.mean() / factor / most)


def test_interval_of_a_class_of_one_unit_is_not_known() -> None:
    labels, groups = np.repeat(np.arange(3), 6), np.array([0] * 6 + [1, 1, 2, 2, 3, 3] + [4, 5] * 3)
    positive = np.random.default_rng(0).integers(1, 30, (18, 4))
    found = lift_intervals(positive, np.full(18, TOKENS), one_hot(labels), every_pair(3, 4), groups)
    bounds = ["lift_low", "lift_high", "odds_low", "odds_high"]
    assert found.loc[found.class_index == 0, bounds].isna().all(axis=None)
    assert found.loc[found.class_index > 0, bounds].notna().all(axis=None)
    assert found[["rate", "lift", "odds_ratio"]].notna().all(axis=None)


def test_rate_and_lift_are_those_of_the_selection() -> None:
    positive, tokens, members, _ = crossed(4, 10, seed=2)
    found = lift_intervals(positive, tokens, members, every_pair(4, 12))
    rates = (members.T.astype(float) @ positive) / (members.T @ tokens)[:, None]
    np.testing.assert_allclose(found.rate, rates.ravel())
    np.testing.assert_allclose(found.lift, lift(rates).ravel())
    assert (found.lift_low < found.lift).all() and (found.lift < found.lift_high).all()


def test_order_of_classes_clips_neurons_and_pairs_does_not_matter() -> None:
    positive, tokens, members, groups = crossed(4, 10, seed=3)
    rng = np.random.default_rng(0)
    classes, clips, neurons = rng.permutation(4), rng.permutation(900), rng.permutation(12)
    k, j = np.array([2, 0, 2, 3, 2]), np.array([11, 4, 11, 0, 1])
    found = lift_intervals(positive, tokens, members, (k, j), groups)
    again = lift_intervals(
        positive[clips][:, neurons],
        tokens[clips],
        members[clips][:, classes],
        (np.argsort(classes)[k], np.argsort(neurons)[j]),
        7 * groups[clips],
    )
    assert found.class_index.tolist() == k.tolist() and found.neuron_index.tolist() == j.tolist()
    np.testing.assert_allclose(found.iloc[:, 2:], again.iloc[:, 2:])
    assert found.iloc[0, 2:].tolist() == found.iloc[2, 2:].tolist()


def test_more_neurons_than_are_looked_at_at_once() -> None:
    rng = np.random.default_rng(1)
    positive, labels = rng.integers(0, 20, (30, 1300)), np.repeat(np.arange(3), 10)
    j = rng.permutation(1300)
    whole = lift_intervals(positive, np.full(30, TOKENS), one_hot(labels), (np.ones(1300, dtype=int), j))
    for row in (0, 600, 1299):
        alone = lift_intervals(positive, np.full(30, TOKENS), one_hot(labels), (np.array([1]), j[row : row + 1]))
        np.testing.assert_allclose(whole.iloc[row], alone.iloc[0])


def test_four_times_the_clips_halve_the_width_and_a_higher_level_widens() -> None:
    rng = np.random.default_rng(4)
    positive, labels = rng.binomial(TOKENS, 0.3, (200, 6)), np.repeat(np.arange(2), 100)

    def width(times: int, level: float) -> NDArray:
        data = np.tile(positive, (times, 1)), np.full(200 * times, TOKENS), one_hot(np.tile(labels, times))
        found = lift_intervals(*data, every_pair(2, 6), level=level)
        return np.log(found.lift_high / found.lift_low).to_numpy()

    np.testing.assert_allclose(width(4, 0.95), width(1, 0.95) / 2, rtol=0.02)
    np.testing.assert_allclose(width(1, 0.99), width(1, 0.95) * 2.576 / 1.96, rtol=0.03)


def test_neuron_that_is_the_same_in_every_clip_has_a_point_for_an_interval() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = first_class(np.full((12, 1), 13), np.full(12, TOKENS), one_hot(np.repeat(np.arange(2), 6)))
    assert found[["lift", "lift_low", "lift_high", "odds_low", "odds_high"]].iloc[0].tolist() == pytest.approx([1] * 5)


def test_units_are_groups_and_clips_without_one() -> None:
    assert sampling_units(None, 3).tolist() == [0, 1, 2]
    units = sampling_units(np.array([5, -1, 5, 2, -1]), 5)
    assert units[0] == units[2] and len(set(units.tolist())) == 4 == units.max() + 1
    positive, tokens, members, _ = crossed(3, 5, seed=5)
    alone, unknown = (first_class(positive, tokens, members, g) for g in (None, np.full(900, -1)))
    pd.testing.assert_frame_equal(alone, unknown)


@pytest.mark.parametrize(("n_classes", "message"), [(1, "at least 2"), (3, "class 2 has no token")])
def test_wrong_input_is_told(n_classes: int, message: str) -> None:
    members = one_hot(np.array([0, 1, 0, 1]))[:, :1] if n_classes == 1 else np.eye(3, dtype=bool)[[0, 1, 0, 1]]
    with pytest.raises(ValueError, match=message):
        first_class(np.ones((4, 1), dtype=int), np.full(4, TOKENS), members)
