"""Tails where a few units dominate: against every way to deal the labels."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from core.evidence import heavy_units
from core.evidence.exchange import Exchange
from core.evidence.fdr import benjamini_hochberg
from core.evidence.permutation import ClipCounts, evidence
from core.evidence.tails import pearson3_upper_tail


def counts_of(n_neurons: int, exchange: Exchange, seed: int = 0) -> tuple[ClipCounts, NDArray[np.int64]]:
    """Recordings of very unequal length, a few of which a neuron fires in far more than in the others."""
    rng = np.random.default_rng(seed)
    n_units = len(exchange.stratum)
    tokens = rng.choice([20, 40, 120], size=n_units)
    rate = rng.uniform(0.02, 0.1, (n_units, n_neurons))
    loud = rng.permuted(np.tile(np.arange(n_units), (n_neurons, 1)), axis=1)[:, :3]
    rate[loud.T, np.arange(n_neurons)] = [[0.9], [0.6], [0.4]]
    positive = np.maximum(rng.binomial(tokens[:, None], rate), 1)  # fires everywhere: none is sparse
    return ClipCounts.of(positive, tokens, exchange), positive


def true_p(counts: ClipCounts, labels: NDArray[np.bool_], deals: NDArray[np.bool_]) -> NDArray[np.float64]:
    d = counts.units.columns(slice(None)) - counts.tokens[:, None] * counts.rate[counts.exchange.stratum]
    return np.asarray((deals @ d >= labels @ d - 1e-6).mean(axis=0))


def every_deal(stratum: NDArray[np.int64], labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    ways = []
    for s in np.unique(stratum):
        of = np.flatnonzero(stratum == s)
        ways.append([np.isin(np.arange(len(stratum)), ones) for ones in combinations(of, labels[of].sum())])
    return np.array([np.any(way, axis=0) for way in product(*ways)])


EXCHANGES = {
    "clips": (Exchange.of_clips(24), np.arange(24) % 8 == 0),
    "within groups": (Exchange(np.arange(24), np.repeat([0, 1], 12), "clips within group"), np.arange(24) % 6 == 0),
    "one unit": (Exchange.of_clips(24), np.arange(24) == 0),
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_p_is_near_that_of_all_deals(name: str) -> None:
    exchange, labels = EXCHANGES[name]
    counts, _ = counts_of(600, exchange)
    deals = every_deal(exchange.stratum, labels)
    members = np.stack([~labels, labels], axis=1)
    z, p = evidence(counts, counts.by_class(members)[0], members)
    exact = true_p(counts, labels, deals)
    small = (exact < 0.2) & (p[1] < 0.1)
    assert small.sum() > 50
    assert np.median(p[1][small] / exact[small]) > 0.9
    assert np.quantile(p[1][small] / exact[small], 0.02) > 0.75
    # The three moments alone are far too light on the same pairs.
    d = counts.units.columns(slice(None)) - counts.tokens[:, None] * counts.rate[exchange.stratum]
    sums = deals @ d
    skewness = ((sums - sums.mean(0)) ** 3).mean(0) / sums.std(0) ** 3
    alone = np.maximum(pearson3_upper_tail(z[1].copy(), skewness), 1 / len(deals))
    assert np.quantile(alone[small] / exact[small], 0.02) < 0.6


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_the_pairs_that_pass_are_the_same_where_only_they_are_looked_at(alpha: float) -> None:
    made, positive = counts_of(300, Exchange.of_clips(60), seed=3)
    members = np.arange(60)[:, None] % 6 == np.arange(6)
    positive[:, :60] += members[:, np.arange(60) % 6] * np.arange(60)  # answers of every strength
    counts = ClipCounts.of(positive, made.tokens.astype(np.int64), made.exchange)
    by_class = counts.by_class(members)[0]
    every, few = (evidence(counts, by_class, members, of)[1] for of in (None, alpha))
    assert (few < every).any(), "some are spared the closer look"
    passing = benjamini_hochberg(every) < alpha
    assert passing.any()
    np.testing.assert_array_equal(benjamini_hochberg(few) < alpha, passing)


def test_a_neuron_without_lumps_keeps_its_p() -> None:
    rng = np.random.default_rng(1)
    tokens = np.full(400, 50)
    counts = ClipCounts.of(rng.binomial(50, 0.3, (400, 30)), tokens)
    assert (counts.lumps.place == -1).sum() >= 25
    smooth = np.flatnonzero(counts.lumps.place == -1)
    p = np.full(len(smooth), 0.01)
    drawn = np.array([[20]])
    same = heavy_units.raised(
        counts, drawn, np.zeros(len(smooth), dtype=np.int64), smooth, np.full(len(smooth), 3.0), p
    )
    np.testing.assert_array_equal(same, p)


def test_never_lowers_a_p() -> None:
    exchange = Exchange.of_clips(30)
    counts, _ = counts_of(50, exchange, seed=2)
    neuron = np.arange(50)
    for p in (1e-9, 0.5):
        given = np.full(50, p)
        raised = heavy_units.raised(
            counts, np.array([[4]]), np.zeros(50, dtype=np.int64), neuron, np.full(50, 40.0), given
        )
        assert (raised >= given).all()


def test_the_chances_of_the_cases_add_up_to_one() -> None:
    """A class sum reaches minus infinity for certain."""
    exchange = Exchange(np.arange(20), np.repeat([0, 1, 2], [12, 6, 2]), "clips within group")
    counts, _ = counts_of(40, exchange, seed=3)
    drawn = np.array([[3, 2, 1]])
    low = np.full(40, -1e6)
    whole = heavy_units.raised(counts, drawn, np.zeros(40, dtype=np.int64), np.arange(40), low, np.zeros(40))
    np.testing.assert_allclose(whole[counts.lumps.place >= 0], 1.0, atol=1e-9)


@pytest.mark.parametrize("as_it_is", [True, False])
def test_small_classes_of_unequal_recordings_pass_no_more_often_than_they_may(
    as_it_is: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As real recordings: a few long ones in which a neuron is silent lie far below all others."""
    if not as_it_is:  # so that this could fail
        monkeypatch.setattr("core.evidence.permutation.raised", lambda *arguments: arguments[-1])
    rng = np.random.default_rng(0)
    tokens = np.where(np.arange(440) < 12, 1200, rng.choice([20, 40, 80], size=440))
    rate = np.minimum(0.2 * np.exp(0.5 * rng.standard_normal((440, 400))), 0.9)
    rate[:12] *= 0.1
    counts = ClipCounts.of(rng.binomial(tokens[:, None], rate), tokens)
    label = np.repeat(np.arange(6), [3, 7, 12, 40, 150, 228])
    p = []
    for _ in range(40):
        members = rng.permutation(label)[:, None] == np.arange(6)
        p.append(evidence(counts, counts.by_class(members)[0], members)[1])
    over = [(np.array(p) <= level).mean() / level for level in (0.01, 0.001, 1e-4, 1e-5)]
    assert (max(over) <= 1.5) == as_it_is, over
