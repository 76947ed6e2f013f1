"""Selectors worked by hand and against brute force; LAPE's preset against its published rules."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, rankdata

from core.selectivity.presets import SelectionSettings, entropy, select
from core.selectivity.selectors import SELECTORS, _ranks, mean_ranks, score_table, selector_scores

# Clips 0 and 1 are of class A, 2 and 3 of B, 4 of C; 10 tokens each, but clip 1 has 30.
# Neuron 0 answers to A, neuron 1 to all alike, neuron 2 never, neuron 3 to A and B.
TOKENS = np.array([10, 30, 10, 10, 10])
POSITIVE = np.array([[8, 5, 0, 5], [16, 15, 0, 15], [1, 5, 0, 4], [1, 5, 0, 4], [0, 5, 0, 1]])
TOTAL = np.array([[20, 10, 0, 5], [30, 30, 0, 15], [5, 10, 0, 8], [-5, 10, 0, 2], [0, 10, 0, 0]], dtype=np.float32)
MEMBERS = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=bool)

quick = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**31)


@pytest.fixture(scope="module")
def toy() -> dict[str, NDArray]:
    return selector_scores(POSITIVE, TOTAL, TOKENS, MEMBERS)


@pytest.mark.parametrize(
    "names", [["mad"], ["lape", "cas"], ["auroc", "d_prime"], ["lap"], ["selectivity_index", "aape"]]
)
def test_what_is_asked_for_alone_is_the_same(toy: dict[str, NDArray], names: list[str]) -> None:
    alone = selector_scores(POSITIVE, TOTAL, TOKENS, MEMBERS, names=names)
    assert list(alone) == [name for name in SELECTORS if name in names]
    for name, values in alone.items():
        np.testing.assert_array_equal(values, toy[name])


def made(seed: int, n_clips: int = 30, n_neurons: int = 20, several: bool = False) -> tuple[NDArray, ...]:
    """Counts with ties, a dead neuron and classes of different size; with ``several``, clips have several classes."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, 9, n_clips)
    positive = rng.binomial(tokens[:, None], rng.beta(0.4, 1, (n_clips, n_neurons)))
    total = np.round(positive * rng.exponential(1, positive.shape) - rng.random(positive.shape), 1).astype(np.float32)
    positive[:, 3], total[:, 3] = 0, -0.5
    label = np.concatenate([np.repeat(np.arange(4), 2), rng.integers(0, 4, n_clips - 8)])
    members = label[:, None] == np.arange(4)
    if several:
        members |= rng.random(members.shape) < 0.2
        members[:, 0] &= label != 3  # every class has a rest
    return positive, total, tokens, members


def pairs(members: NDArray, n_neurons: int) -> Iterator[tuple[int, int]]:
    return ((k, j) for k in range(members.shape[1]) for j in range(n_neurons))


# Worked by hand.


def test_probability_and_margin(toy: dict[str, NDArray]) -> None:
    np.testing.assert_allclose(toy["lap"][:, 0], [24 / 40, 2 / 20, 0])
    np.testing.assert_allclose(toy["lap"][:, 3], [0.5, 0.4, 0.1])
    np.testing.assert_allclose(toy["cas"][:, 0], [0.5, -0.5, -0.6])
    np.testing.assert_allclose(toy["cas"][:, 3], [0.1, -0.1, -0.4])
    np.testing.assert_allclose(toy["cas"][:, 1], 0.0, atol=1e-15)


def test_index_is_the_contrast_to_the_mean_of_the_others(toy: dict[str, NDArray]) -> None:
    np.testing.assert_allclose(toy["selectivity_index"][:, 0], [(0.6 - 0.05) / 0.65, (0.1 - 0.3) / 0.4, -1])
    np.testing.assert_allclose(toy["selectivity_index"][:, 1], 0.0, atol=1e-15)


def test_mean_activation_is_over_tokens(toy: dict[str, NDArray]) -> None:
    np.testing.assert_allclose(toy["mad"][:, 0], [50 / 40 - 0 / 30, 0 / 20 - 50 / 50, 0 - 50 / 60])


def test_auroc_counts_pairs_of_clips_and_half_of_ties(toy: dict[str, NDArray]) -> None:
    # Means of the clips' activations: 2, 1 | 0.5, -0.5 | 0.
    np.testing.assert_allclose(toy["auroc"][:, 0], [1, 1 / 6, 1 / 4])
    np.testing.assert_allclose(toy["auroc"][:, 1], 0.5)


def test_d_prime_is_the_difference_over_the_mean_spread(toy: dict[str, NDArray]) -> None:
    # A: 2 and 1 (variance 0.5); the rest 0.5, -0.5, 0 (variance 0.25). C is one clip: no variance.
    assert toy["d_prime"][0, 0] == pytest.approx(1.5 / math.sqrt(0.375))
    assert toy["d_prime"][2, 0] != toy["d_prime"][2, 0]
    np.testing.assert_array_equal(toy["d_prime"][:2, 1], 0.0)


def test_d_prime_without_spread_is_infinite() -> None:
    total = np.array([[0.7], [0.7], [0.1], [0.1], [0.1]], dtype=np.float32) * TOKENS[:, None]
    members = np.stack([np.arange(5) < 2, np.arange(5) >= 2], axis=1)
    found = selector_scores(POSITIVE[:, :1], total.astype(np.float32), TOKENS, members)["d_prime"]
    np.testing.assert_array_equal(found[:, 0], [np.inf, -np.inf])


def test_entropy_stands_at_the_top_class_alone(toy: dict[str, NDArray]) -> None:
    share = np.array([0.5, 0.4, 0.1])
    expected = math.log(3) + (share * np.log(share)).sum()
    assert toy["aape"][0, 3] == pytest.approx(expected)
    assert np.isnan(toy["aape"][1:, 3]).all()
    assert toy["aape"][0, 1] == pytest.approx(0.0, abs=1e-12)  # all alike: the first class
    # 12 probabilities: the 11th smallest is 0.5, so only neuron 0 passes the filter.
    np.testing.assert_array_equal(np.isfinite(toy["lape"]).any(axis=0), [True, False, False, False])
    assert toy["lape"][0, 0] == toy["aape"][0, 0]


def test_neuron_that_never_fires_has_no_score(toy: dict[str, NDArray]) -> None:
    assert tuple(toy) == SELECTORS
    for values in toy.values():
        assert np.isnan(values[:, 2]).all()


def test_table_has_a_row_for_each_pair_of_a_live_neuron(toy: dict[str, NDArray]) -> None:
    table = score_table(toy)
    assert list(table) == ["class_index", "neuron_index", *SELECTORS]
    assert table["neuron_index"].tolist() == [0, 1, 3] * 3
    row = table[(table["class_index"] == 1) & (table["neuron_index"] == 3)].iloc[0]
    assert row["lap"] == pytest.approx(0.4)
    assert np.isnan(row["aape"])


def test_ranks_known_already_change_no_score() -> None:
    ranks = mean_ranks(TOTAL, TOKENS)
    expected = [rankdata(of_neuron) for of_neuron in (np.asarray(TOTAL, dtype=np.float64) / TOKENS[:, None]).T]
    np.testing.assert_array_equal(ranks, expected)
    given_ranks = selector_scores(POSITIVE, TOTAL, TOKENS, MEMBERS, ranks=ranks)
    for name, scores in selector_scores(POSITIVE, TOTAL, TOKENS, MEMBERS).items():
        np.testing.assert_array_equal(given_ranks[name], scores)


# Against brute force.


@quick
@given(seed=seeds, several=st.booleans())
def test_scores_over_clips_are_those_of_plain_code(seed: int, several: bool) -> None:
    positive, total, tokens, members = made(seed, several=several)
    found = selector_scores(positive, total, tokens, members)
    means = total.astype(np.float64) / tokens[:, None]
    for k, j in pairs(members, positive.shape[1]):
        if j == 3 or members[:, k].all():
            continue
        inside, outside = members[:, k], ~members[:, k]
        a, b = means[inside, j], means[outside, j]
        u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
        assert found["auroc"][k, j] == pytest.approx(u / (len(a) * len(b)), abs=1e-12)
        assert found["auroc"][k, j] * len(a) * len(b) == pytest.approx(mannwhitneyu(a, b).statistic)
        if min(len(a), len(b)) > 1 and np.ptp(a) + np.ptp(b) > 0:
            expected = (a.mean() - b.mean()) / math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
            assert found["d_prime"][k, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        mad = total[inside, j].astype(float).sum() / tokens[inside].sum()
        mad -= total[outside, j].astype(float).sum() / tokens[outside].sum()
        assert found["mad"][k, j] == pytest.approx(mad, abs=1e-12)


@quick
@given(seed=seeds, several=st.booleans())
def test_scores_of_rates_are_those_of_plain_code(seed: int, several: bool) -> None:
    positive, total, tokens, members = made(seed, several=several)
    found = selector_scores(positive, total, tokens, members)
    rate = [[positive[m, j].sum() / tokens[m].sum() for j in range(positive.shape[1])] for m in members.T]
    for k, j in pairs(members, positive.shape[1]):
        if j == 3:
            continue
        r, others = rate[k][j], [rate[other][j] for other in range(4) if other != k]
        assert found["lap"][k, j] == pytest.approx(r)
        assert found["cas"][k, j] == pytest.approx(r - max(others))
        if r + sum(others) > 0:
            mean = sum(others) / 3
            assert found["selectivity_index"][k, j] == pytest.approx((r - mean) / (r + mean), abs=1e-9)


@quick
@given(seed=seeds)
def test_order_of_classes_clips_and_neurons_does_not_matter(seed: int) -> None:
    positive, total, tokens, members = made(seed)
    rng = np.random.default_rng(seed)
    clips, classes, neurons = rng.permutation(30), rng.permutation(4), rng.permutation(20)
    before = selector_scores(positive, total, tokens, members)
    after = selector_scores(
        positive[np.ix_(clips, neurons)], total[np.ix_(clips, neurons)], tokens[clips], members[np.ix_(clips, classes)]
    )
    for name in set(SELECTORS) - {"aape", "lape"}:  # these break ties of the top class by its place
        np.testing.assert_allclose(after[name], before[name][np.ix_(classes, neurons)], rtol=1e-9, atol=1e-12)
    for name in ("aape", "lape"):
        np.testing.assert_allclose(
            np.nanmax(after[name], axis=0, initial=-1), np.nanmax(before[name], axis=0, initial=-1)[neurons], atol=1e-12
        )


@quick
@given(seed=seeds, n_values=st.integers(1, 12))
def test_ranks_are_scipys(seed: int, n_values: int) -> None:
    values = np.random.default_rng(seed).integers(0, n_values, size=(6, 9)).astype(float)
    values[0] = np.arange(9)[::-1]
    np.testing.assert_array_equal(_ranks(values), rankdata(values, axis=1))


def test_neurons_beyond_one_block_are_scored_alike() -> None:
    positive, total, tokens, members = made(0, n_neurons=20)
    many = selector_scores(np.tile(positive, 60), np.tile(total, 60), tokens, members)
    one = selector_scores(positive, total, tokens, members)
    for name in set(SELECTORS) - {"lape"}:
        np.testing.assert_allclose(many[name], np.tile(one[name], 60), rtol=1e-12)


def test_auroc_of_shuffled_labels_is_even_on_average() -> None:
    positive, total, tokens, members = made(1)
    rng = np.random.default_rng(0)
    found = [selector_scores(positive, total, tokens, rng.permutation(members))["auroc"] for _ in range(60)]
    assert np.nanmean(found) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total": TOTAL[:, :2]}, "expected"),
        ({"members": MEMBERS[:4]}, "expected"),
        ({"members": MEMBERS[:, :1]}, "at least 2"),
        ({"tokens": np.array([1, 0, 1, 1, 1])}, "clip 1 has no token"),
        ({"members": MEMBERS & [True, True, False]}, "class 2 has no clip"),
    ],
)
def test_wrong_input_is_named(change: dict, message: str) -> None:
    given_ = {"positive": POSITIVE, "total": TOTAL, "tokens": TOKENS, "members": MEMBERS, **change}
    with pytest.raises(ValueError, match=message):
        selector_scores(**given_)


# LAPE's preset, as its published rules say, in plain code.


def published_lape(p: NDArray, top_rate: float, quantile: float) -> set[tuple[int, int]]:
    """A neuron needs a class over the k-th smallest of all probabilities; the lowest entropies of those are kept."""
    flat = sorted(p.ravel().tolist())
    bar = flat[round(len(flat) * quantile) - 1]
    entropies = []
    for j in range(p.shape[1]):
        total = sum(p[:, j])
        shares = [x / total for x in p[:, j]] if total else []
        value = -sum(x * math.log(x) for x in shares if x > 0)
        entropies.append(value if any(x > bar for x in p[:, j]) else math.inf)
    kept = sorted(range(p.shape[1]), key=lambda j: (entropies[j], j))[: round(p.shape[1] * top_rate)]
    return {(k, j) for j in kept for k in range(len(p)) if p[k, j] > bar}


@quick
@given(seed=seeds, n_classes=st.integers(2, 6), top_rate=st.sampled_from([0.01, 0.05, 0.2]))
def test_lape_preset_follows_the_published_rules(seed: int, n_classes: int, top_rate: float) -> None:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.3, 3, size=(n_classes, 120))
    p[:, rng.random(120) < 0.2] = 0.0
    p[rng.random(p.shape) < 0.1] = 0.4  # ties, also at the bar
    mask = select(p, SelectionSettings("lape", entropy_rate=top_rate))
    assert set(zip(*(index.tolist() for index in np.nonzero(mask)), strict=True)) == published_lape(p, top_rate, 0.95)


@quick
@given(seed=seeds)
def test_highest_lape_scores_are_the_neurons_of_the_preset(seed: int) -> None:
    positive, total, tokens, members = made(seed, n_neurons=100)
    scores = selector_scores(positive, total, tokens, members)["lape"]
    best = np.nanmax(scores, axis=0, initial=-1)
    rates = np.stack([positive[m].sum(axis=0) / tokens[m].sum() for m in members.T])
    chosen = select(rates, SelectionSettings("lape", entropy_rate=0.05), entropy(rates)).any(axis=0)
    assert chosen.sum() == min(5, int((best >= 0).sum()))
    assert best[chosen].min() >= best[~chosen].max() - 1e-12
