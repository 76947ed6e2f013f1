"""Evidence under permutation against all permutations, and false discovery rates."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm, pearson3, skew

from core.evidence.exchange import Exchange
from core.evidence.fdr import benjamini_hochberg, significant
from core.evidence.permutation import ClipCounts, Moments, evidence, significant_pairs, standardised
from core.evidence.tails import MOST_UNITS, pearson3_upper_tail

quick = settings(max_examples=50, deadline=None, derandomize=True)
p_values = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)) | hnp.arrays(
    np.float64, (4, 6), elements=st.sampled_from([0.0, 0.001, 0.01, 0.04, 0.05, 0.2, 1.0])
)


def sparse_clips(n_clips: int, n_neurons: int, rate: float, seed: int) -> NDArray[np.int64]:
    """Of 65 tokens a clip: most clips none, some any number, as a burst gives."""
    rng = np.random.default_rng(seed)
    fires = rng.random((n_clips, n_neurons)) < rate * rng.uniform(0.3, 2, n_neurons)
    return np.where(fires, rng.integers(1, 66, (n_clips, n_neurons)), 0)


def one_hot(labels: NDArray, n_classes: int = 0) -> NDArray[np.bool_]:
    return labels[:, None] == np.arange(n_classes or labels.max() + 1)


def evidence_of(
    positive: NDArray, tokens: NDArray, labels: NDArray, exchange: Exchange | None = None
) -> tuple[NDArray, NDArray]:
    """``labels`` of the clips; those of a unit are alike."""
    counts = ClipCounts.of(positive, tokens, exchange)
    members = one_hot(labels)[counts.exchange.first]
    return evidence(counts, counts.by_class(members)[0], members)


def test_class_sums_are_those_of_the_clips() -> None:
    counts = ClipCounts.of(np.array([[1, 0], [2, 5], [4, 0]]), np.array([4, 5, 6]))
    positive, tokens = counts.by_class(one_hot(np.array([1, 0, 1]), 3))
    assert positive.tolist() == [[2, 5], [5, 0], [0, 0]]
    assert tokens.tolist() == [5, 10, 0]
    np.testing.assert_allclose(counts.rate, [[7 / 15, 5 / 15]])


def test_clip_counts_for_each_of_its_classes() -> None:
    counts = ClipCounts.of(np.array([[1, 0], [2, 5], [4, 0]]), np.array([4, 5, 6]))
    members = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0]], dtype=bool)
    positive, tokens = counts.by_class(members)
    assert positive.tolist() == [[5, 0], [7, 5], [0, 0]]
    assert tokens.tolist() == [10, 15, 0]


def test_moments_are_those_over_all_permutations() -> None:
    rng = np.random.default_rng(0)
    n_clips, n_neurons = 12, 40
    tokens = rng.integers(10, 30, n_clips)
    positive = rng.integers(1, tokens[:, None] // 2, (n_clips, n_neurons))
    contribution = positive - tokens[:, None] * (positive.sum(0) / tokens.sum())
    for n in (1, 2, 3, 5):
        sums = np.array([contribution[list(members)].sum(0) for members in combinations(range(n_clips), n)])
        np.testing.assert_allclose(sums.mean(0), 0, atol=1e-9)
        labels = (np.arange(n_clips) < n).astype(np.int64)  # class 1 holds the first n clips
        z, p = evidence_of(positive, tokens, labels)
        np.testing.assert_allclose(z[1], contribution[:n].sum(0) / sums.std(0), atol=1e-6)
        expected = [pearson3.sf(zj, sj) for zj, sj in zip(z[1], skew(sums), strict=True)]
        expected = np.maximum(expected, 1 / comb(n_clips, n))
        assert (p[1] >= expected * (1 - 1e-4)).all()  # tests/core/test_lumps.py tells where and why it is larger
        np.testing.assert_allclose(p[1][p[1] >= 0.2], expected[p[1] >= 0.2], rtol=1e-4)


STRATA = Exchange(np.arange(17), np.array([0] * 8 + [1] * 8 + [2]), "clips within group")
LABELS = np.array([1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1])


def every_deal(exchange: Exchange) -> NDArray[np.int64]:
    """`LABELS` after each way to deal them, (n_deals, 17)."""
    ways = []
    for stratum in range(len(exchange.sizes)):
        of = np.flatnonzero(exchange.stratum == stratum)
        ways.append([np.isin(np.arange(17), ones) for ones in combinations(of, LABELS[of].sum())])
    return np.array([np.sum(way, axis=0) for way in product(*ways)])


def test_moments_within_strata_are_those_over_all_deals() -> None:
    rng = np.random.default_rng(3)
    tokens = rng.integers(10, 30, 17)
    positive = rng.integers(1, tokens[:, None] // 2, (17, 30))
    rate = np.stack([positive[STRATA.stratum == s].sum(0) / tokens[STRATA.stratum == s].sum() for s in range(3)])
    contribution = positive - tokens[:, None] * rate[STRATA.stratum]
    deals = every_deal(STRATA)
    assert len(deals) == comb(8, 3) * comb(8, 2)
    sums = deals @ contribution
    z, p = evidence_of(positive, tokens, LABELS, STRATA)
    np.testing.assert_allclose(z[1], (LABELS @ contribution) / sums.std(0), atol=1e-6)
    expected = [pearson3.sf(zj, sj) for zj, sj in zip(z[1], skew(sums), strict=True)]
    assert (p[1] >= np.maximum(expected, 1 / len(deals)) * (1 - 1e-4)).all()
    np.testing.assert_allclose(p[1][p[1] >= 0.1], np.array(expected)[p[1] >= 0.1], rtol=1e-4)


@pytest.mark.parametrize("exchange", [Exchange.of_clips(17), STRATA], ids=["clips", "strata"])
def test_p_of_a_sparse_neuron_is_the_exact_share_of_deals(exchange: Exchange) -> None:
    rng = np.random.default_rng(4)
    n_firing = np.arange(80) % MOST_UNITS + 1
    fires = np.argsort(rng.random((17, 80)), axis=0) < n_firing
    positive = np.where(fires, rng.choice([1, 2, 2, 5, 40], (17, 80)), 0)
    _, p = evidence_of(positive, np.full(17, 65), LABELS, exchange)
    deals = every_deal(exchange)
    for k, of in ((0, 1 - deals), (1, deals)):
        exact = (of @ positive >= positive[k == LABELS].sum(0)).mean(0)
        np.testing.assert_allclose(p[k], exact, rtol=1e-9)


def test_bounds_of_sparse_neurons_lie_under_their_p() -> None:
    positive = sparse_clips(60, 400, rate=0.06, seed=1)
    exchange = Exchange(np.arange(60), np.arange(60) % 3, "clips within group")
    for counts in (ClipCounts.of(positive, np.full(60, 65)), ClipCounts.of(positive, np.full(60, 65), exchange)):
        members = one_hot(np.random.default_rng(2).integers(0, 4, 60))
        drawn = counts.exchange.drawn(members)
        *pairs, p = counts.sparse.p(members, drawn, counts.exchange)
        *same, bound = counts.sparse.bounds(members, drawn, counts.exchange)
        np.testing.assert_array_equal(pairs, same)
        assert len(p) > 500
        assert (bound <= p * (1 + 1e-9)).all()
        assert (bound < p).any()


def test_whole_groups_count_as_one_unit_each() -> None:
    # Ten groups of three clips; the same as one clip each that holds the sums.
    rng = np.random.default_rng(5)
    positive, tokens, group = rng.integers(1, 9, (30, 50)), rng.integers(10, 20, 30), np.arange(30) % 10
    labels = (group < 4).astype(np.int64)
    exchange = Exchange(group, np.zeros(10, dtype=np.int64), "whole groups")
    z, p = evidence_of(positive, tokens, labels, exchange)
    added = np.stack([positive[group == g].sum(0) for g in range(10)])
    z_added, p_added = evidence_of(added, np.bincount(group, tokens).astype(int), labels[:10])
    np.testing.assert_allclose(z, z_added)
    np.testing.assert_allclose(p, p_added)
    assert p.min() >= 1 / comb(10, 4)


def test_voice_passes_for_class_among_clips_but_not_among_voices() -> None:
    # Each of 12 voices has its own rate in 10 clips; voices have one class of two each.
    rng = np.random.default_rng(6)
    voice = np.repeat(np.arange(12), 10)
    positive = rng.binomial(65, rng.beta(2, 2, (12, 500))[voice])
    labels = voice % 2
    _, among_clips = evidence_of(positive, np.full(120, 65), labels)
    _, among_voices = evidence_of(positive, np.full(120, 65), labels, Exchange(voice, np.zeros(12, int), "whole"))
    assert (among_clips < 0.01).mean() > 0.2
    assert (among_voices < 0.01).mean() < 0.02
    assert (among_voices < 0.1).mean() == pytest.approx(0.1, abs=0.04)


def test_class_that_goes_with_the_voice_is_told_from_it_within_voices() -> None:
    # Voice 0 fires more and says class 1 more often; the class itself does nothing.
    rng = np.random.default_rng(7)
    voice = np.repeat([0, 1], 100)
    labels = (rng.random(200) < np.where(voice == 0, 0.8, 0.2)).astype(np.int64)
    positive = rng.binomial(65, np.where(voice == 0, 0.5, 0.2)[:, None], (200, 1000))
    _, among_clips = evidence_of(positive, np.full(200, 65), labels)
    _, within = evidence_of(positive, np.full(200, 65), labels, Exchange(np.arange(200), voice, "within"))
    assert (among_clips[1] < 0.01).all()
    for level in (0.01, 0.05, 0.5):
        assert (within < level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1000))


def test_p_of_a_single_burst_is_the_chance_to_draw_its_clip() -> None:
    positive = np.zeros((200, 1), dtype=np.int64)
    positive[3] = 40
    labels = np.zeros(200, dtype=np.int64)
    labels[:6] = 1
    _, p = evidence_of(positive, np.full(200, 65), labels)
    assert p[1, 0] == pytest.approx(6 / 200)


def test_p_is_near_the_exact_share_of_permutations() -> None:
    rng = np.random.default_rng(1)
    n_clips, n, n_neurons = 14, 6, 200
    tokens = rng.integers(20, 60, n_clips)
    positive = rng.binomial(tokens[:, None], rng.uniform(0.1, 0.8, n_neurons), (n_clips, n_neurons))
    _, p = evidence_of(positive, tokens, (np.arange(n_clips) < n).astype(np.int64))
    contribution = positive - tokens[:, None] * (positive.sum(0) / tokens.sum())
    members = np.array([np.isin(np.arange(n_clips), m) for m in combinations(range(n_clips), n)])
    exact = (members @ contribution >= contribution[:n].sum(0) - 1e-9).mean(0)
    np.testing.assert_allclose(p[1], exact, atol=0.05)
    small = exact < 0.1
    assert small.sum() > 10
    # Off on the careful side in the far tail.
    assert (p[1, small] > 0.7 * exact[small]).all()
    assert (p[1, small] < 3 * exact[small]).all()


@pytest.mark.parametrize("skewness", [-3.0, -0.5, -1e-3, 0.0, 1e-5, 1e-3, 0.1, 0.5, 2.0, 6.0])
def test_tail_is_that_of_a_pearson_iii_variable(skewness: float) -> None:
    z = np.linspace(-3, 8, 23)
    found = pearson3_upper_tail(z, np.full(z.shape, skewness))
    np.testing.assert_allclose(found, pearson3.sf(z, skewness), rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_p_is_uniform_when_labels_mean_nothing(n_classes: int) -> None:
    rng = np.random.default_rng(2)
    tokens = rng.integers(40, 70, 120)
    positive = rng.binomial(tokens[:, None], rng.beta(2, 5, (120, 1000)))
    _, p = evidence_of(positive, tokens, rng.permutation(np.arange(120) % n_classes))
    for level in (0.01, 0.05, 0.1, 0.5, 0.9):
        error = np.sqrt(level * (1 - level) / 1000)  # the classes are not independent
        assert (p < level).mean() == pytest.approx(level, abs=4 * error)


def test_small_classes_of_sparse_neurons_give_no_false_discoveries_where_a_normal_tail_gives_percents() -> None:
    for seed in range(3):
        positive = sparse_clips(120, 400, rate=0.03, seed=seed)
        z, p = evidence_of(positive, np.full(120, 65), np.arange(120) % 20)
        assert (benjamini_hochberg(p) < 0.05).mean() < 0.001
        assert (benjamini_hochberg(norm.sf(z)) < 0.05).mean() > 0.02


def test_neuron_of_a_small_class_is_found_all_the_same() -> None:
    positive = sparse_clips(120, 400, rate=0.03, seed=0)
    labels = np.arange(120) % 20
    positive[labels == 7, :5] = 60
    _, p = evidence_of(positive, np.full(120, 65), labels)
    found = np.argwhere(benjamini_hochberg(p) < 0.05)
    assert {(int(c), int(j)) for c, j in found} >= {(7, j) for j in range(5)}
    assert len(found) < 10


def test_neuron_that_is_the_same_in_every_clip_is_no_evidence() -> None:
    tokens = np.array([10, 20, 30, 40])
    positive = np.stack([np.zeros(4, dtype=np.int64), tokens, tokens // 10 * 3], axis=1)
    z, p = evidence_of(positive, tokens, np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(z, 0)
    np.testing.assert_array_equal(p, 1)


def test_normal_tail_bounds_a_right_skewed_one_from_below() -> None:
    z, skewness = np.meshgrid(np.linspace(2, 8, 121), np.linspace(0, 4, 401))
    tail = pearson3_upper_tail(z.ravel(), skewness.ravel())
    assert (tail >= norm.sf(z.ravel()) * (1 - 1e-9)).all()


@pytest.mark.parametrize("n_classes", [2, 3, 12])
@pytest.mark.parametrize("share_planted", [0.0, 0.02, 0.6])
@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_significant_pairs_are_those_of_all_p(n_classes: int, share_planted: float, rate: float) -> None:
    rng = np.random.default_rng(5)
    labels = np.minimum(rng.integers(0, n_classes + 3, 150), n_classes - 1)  # the last class is the largest
    positive = sparse_clips(150, 400, rate, seed=3)
    planted = rng.random(400) < share_planted
    # From weak to strong, so that some pairs pass only because many others do.
    boost = rng.integers(0, 30, (int((labels == 0).sum()), 400)) * np.linspace(0, 1, 400)
    positive[labels == 0] += np.where(planted, boost, 0).astype(np.int64)
    counts = ClipCounts.of(positive, np.full(150, 99))
    members = one_hot(labels, n_classes)
    moments, sums = Moments.of(counts, members), counts.by_class(members)[0]
    _, p = evidence(counts, sums, members)
    looked_at = standardised(counts, moments, sums, members) > 1
    looked_at[:, counts.sparse.neuron] = True
    expected = significant(np.where(looked_at, p, 1.0), 0.05)
    found = np.zeros_like(expected)
    found[significant_pairs(counts, moments, sums, members, 0.05)] = True
    np.testing.assert_array_equal(found, expected)
    if n_classes < 12:  # the small classes of twelve hold too few clips for what is planted
        assert expected.any() == (share_planted > 0)


# False discovery rate.


def test_benjamini_hochberg_worked_by_hand() -> None:
    # Sorted .005 .01 .03 .04, times 4 / rank: .02 .02 .04 .04.
    np.testing.assert_allclose(
        benjamini_hochberg(np.array([[0.01, 0.04], [0.03, 0.005]])), [[0.02, 0.04], [0.04, 0.02]]
    )
    # .04 is pulled down by the one above it: .04 * 3 / 2 = .06, .05 * 3 / 3 = .05.
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.04, 0.05, 0.001])), [0.05, 0.05, 0.003])


def test_unknown_p_stays_unknown_and_is_not_counted() -> None:
    found = benjamini_hochberg(np.array([0.02, np.nan, 0.5]))
    np.testing.assert_allclose(found, [0.04, np.nan, 0.5])
    assert benjamini_hochberg(np.array([])).shape == (0,)


@given(p_values)
@quick
def test_benjamini_hochberg_is_scipys(p: NDArray) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p).ravel(), false_discovery_control(p.ravel()), rtol=1e-12)


@given(p_values, st.sampled_from([0.001, 0.05, 0.2, 0.9]))
@quick
def test_significant_is_q_below_alpha(p: NDArray, alpha: float) -> None:
    np.testing.assert_array_equal(significant(p, alpha), benjamini_hochberg(p) < alpha)
