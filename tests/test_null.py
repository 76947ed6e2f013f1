"""Evidence under permutation against all permutations, false discovery rates, shuffled labels."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm, pearson3, skew

from core.null import (
    ClipCounts,
    _significant_pairs,
    benjamini_hochberg,
    evidence,
    pearson3_upper_tail,
    shuffled_null,
    significant,
    standardised,
)
from core.selectivity import SelectionSettings, activation_probabilities, select

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


def evidence_of(positive: NDArray, tokens: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    counts = ClipCounts.of(positive, tokens)
    sizes = np.bincount(labels)
    return evidence(counts, *counts.by_class(one_hot(labels)), sizes)


def test_class_sums_are_those_of_the_clips() -> None:
    counts = ClipCounts.of(np.array([[1, 0], [2, 5], [4, 0]]), np.array([4, 5, 6]))
    positive, tokens = counts.by_class(one_hot(np.array([1, 0, 1]), 3))
    assert positive.tolist() == [[2, 5], [5, 0], [0, 0]]
    assert tokens.tolist() == [5, 10, 0]
    np.testing.assert_allclose(counts.rate, [7 / 15, 5 / 15])


def test_clip_counts_for_each_of_its_classes() -> None:
    counts = ClipCounts.of(np.array([[1, 0], [2, 5], [4, 0]]), np.array([4, 5, 6]))
    members = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0]], dtype=bool)
    positive, tokens = counts.by_class(members)
    assert positive.tolist() == [[5, 0], [7, 5], [0, 0]]
    assert tokens.tolist() == [10, 15, 0]


def test_moments_are_those_over_all_permutations() -> None:
    rng = np.random.default_rng(0)
    n_clips, n_neurons = 8, 40
    tokens = rng.integers(5, 30, n_clips)
    positive = rng.integers(0, tokens[:, None] // 2, (n_clips, n_neurons))
    contribution = positive - tokens[:, None] * (positive.sum(0) / tokens.sum())
    for n in (1, 2, 3, 5):
        sums = np.array([contribution[list(members)].sum(0) for members in combinations(range(n_clips), n)])
        np.testing.assert_allclose(sums.mean(0), 0, atol=1e-9)
        labels = (np.arange(n_clips) < n).astype(np.int64)  # class 1 holds the first n clips
        z, p = evidence_of(positive, tokens, labels)
        np.testing.assert_allclose(z[1], contribution[:n].sum(0) / sums.std(0), atol=1e-6)
        expected = [pearson3.sf(zj, sj) for zj, sj in zip(z[1], skew(sums), strict=True)]
        floor = [
            1 / comb(n_clips, n) if m >= n else comb(n_clips - m, n - m) / comb(n_clips, n)
            for m in (positive > 0).sum(0)
        ]
        np.testing.assert_allclose(p[1], np.maximum(expected, floor), rtol=1e-4, atol=1e-12)


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
    z, skewness = np.meshgrid(np.linspace(2, 3, 101), np.linspace(0, 4, 401))
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
    arguments = (counts, *counts.by_class(one_hot(labels, n_classes)), np.bincount(labels, minlength=n_classes))
    _, p = evidence(*arguments)
    expected = significant(np.where(standardised(*arguments)[0] > 1, p, 1.0), 0.05)
    np.testing.assert_array_equal(_significant_pairs(*arguments, 0.05), expected)
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


# The same selection on shuffled labels.

TASK = (ClipCounts.of(sparse_clips(90, 100, rate=0.3, seed=4), np.full(90, 65)), one_hot(np.arange(90) % 6))
LAPE = SelectionSettings("lape", entropy_rate=0.05)


def test_null_repeats_with_its_seed_and_differs_with_another() -> None:
    first, again, other = (shuffled_null(*TASK, [LAPE], 20, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_without_shuffles_there_is_no_null() -> None:
    assert shuffled_null(*TASK, [LAPE, LAPE], 0, seed=0) == [None, None]


def test_every_shuffle_is_told() -> None:
    told: list[int] = []
    shuffled_null(*TASK, [LAPE], 5, 0, told.append)
    assert told == [1, 2, 3, 4, 5]


def test_null_covers_what_is_found_on_shuffled_labels() -> None:
    counts, members = TASK
    null = shuffled_null(*TASK, [LAPE], 100, seed=0)[0]
    assert null is not None
    assert null.n_shuffles == 100
    inside = []
    for seed in range(20):
        by_class = counts.by_class(np.random.default_rng(100 + seed).permutation(members))
        mask = select(by_class[0] / by_class[1][:, None], LAPE)
        inside.append(null.coverage_low <= mask.any(axis=1).mean() <= null.coverage_high)
        assert mask.sum() > 0
    assert np.mean(inside) >= 0.85
    assert 0 < null.n_class_specific_mean <= 5 < null.n_pairs_mean


def test_every_shuffle_selects_as_the_real_labels_would_be_selected() -> None:
    # Forty alike neurons: chance takes all or none of them, so that `calibrated` too finds some.
    rng = np.random.default_rng(6)
    positive = np.repeat(rng.integers(0, 60, (40, 3)), 40, axis=1)
    tokens, labels = np.full(40, 60), np.arange(40) % 2
    chosen = [
        SelectionSettings("calibrated", q_max=0.3, lift_min=1.0),
        SelectionSettings("aape", entropy_rate=0.2, probability_bar=0.8),
    ]
    counts = ClipCounts.of(positive, tokens)
    nulls = shuffled_null(counts, one_hot(labels), chosen, 30, seed=7)
    shuffles = np.random.default_rng(7)
    found = np.zeros((2, 30, 3))
    for shuffle in range(30):
        dealt = shuffles.permutation(labels)
        q = benjamini_hochberg(evidence_of(positive, tokens, dealt)[1])
        sums = np.stack([positive[dealt == k].sum(0) for k in (0, 1)])
        p = activation_probabilities(sums, np.array([1200, 1200]))
        for i, setting in enumerate(chosen):
            mask = select(p, setting, q_values=q)
            found[i, shuffle] = mask.any(1).mean(), mask.any(0).sum(), mask.sum()
    assert (found.sum(axis=(1, 2)) > 0).all()
    for null, rows in zip(nulls, found, strict=True):
        assert null is not None
        means = [null.coverage_mean, null.n_class_specific_mean, null.n_pairs_mean]
        np.testing.assert_allclose(means, rows.mean(0))
        np.testing.assert_allclose([null.coverage_low, null.coverage_high], np.quantile(rows[:, 0], [0.025, 0.975]))


def test_shuffling_keeps_classes_that_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # Class 1 holds every clip of class 0, class 2 none of them.
    dealt: list[NDArray[np.bool_]] = []
    by_class = ClipCounts.by_class

    def noting(self: ClipCounts, members: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
        dealt.append(members)
        return by_class(self, members)

    monkeypatch.setattr(ClipCounts, "by_class", noting)
    kinds = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=bool)
    members = kinds[np.arange(90) % 3]
    shuffled_null(TASK[0], members, [LAPE], 20, seed=0)
    assert len(dealt) == 20
    for each in dealt:
        assert (each.T.astype(int) @ each == members.T.astype(int) @ members).all()
    assert len({each.tobytes() for each in dealt}) == 20


def test_one_label_a_clip_is_shuffled_as_the_labels_themselves() -> None:
    labels = np.arange(90) % 6
    one, two = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(5):
        np.testing.assert_array_equal(one_hot(labels)[one.permutation(90)], one_hot(two.permutation(labels)))
