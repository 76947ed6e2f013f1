"""The same selections and entropies on labels that are dealt anew."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.evidence.exchange import Exchange
from core.evidence.fdr import benjamini_hochberg
from core.evidence.permutation import ClipCounts, Moments, evidence, significant_pairs
from core.evidence.shuffles import shuffled_null
from core.selectivity.presets import SelectionSettings, activation_probabilities, entropy, select
from tests.core.test_null import evidence_of, one_hot, sparse_clips

TASK = (ClipCounts.of(sparse_clips(90, 100, rate=0.3, seed=4), np.full(90, 65)), one_hot(np.arange(90) % 6))
LAPE = SelectionSettings("lape", entropy_rate=0.05)


def test_null_repeats_with_its_seed_and_differs_with_another() -> None:
    first, again, other = (shuffled_null(*TASK, [LAPE], 20, seed).summaries for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_without_shuffles_there_is_no_null() -> None:
    null = shuffled_null(*TASK, [LAPE, LAPE], 0, seed=0)
    assert null.summaries == [None, None]
    assert np.isnan(null.entropy_p).all()
    assert np.isnan(null.entropy_q).all()
    assert null.curve["null_coverage_mean"].isna().all()
    assert (null.curve["n_shuffles"] == 0).all()


def test_every_shuffle_is_told() -> None:
    told: list[int] = []
    shuffled_null(*TASK, [LAPE], 5, 0, told.append)
    assert told == [1, 2, 3, 4, 5]


def test_null_covers_what_is_found_on_shuffled_labels() -> None:
    counts, members = TASK
    null = shuffled_null(*TASK, [LAPE], 100, seed=0).summaries[0]
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
    widths = (16, 20, 84)
    counts = ClipCounts.of(positive, tokens, layer_widths=widths)
    null = shuffled_null(counts, one_hot(labels), chosen, 30, seed=7)
    nulls, shuffles = null.summaries, np.random.default_rng(7)
    found = np.zeros((2, 30, 3))
    for shuffle in range(30):
        dealt = shuffles.permutation(labels)
        q = benjamini_hochberg(evidence_of(positive, tokens, dealt)[1])
        sums = np.stack([positive[dealt == k].sum(0) for k in (0, 1)])
        p = activation_probabilities(sums, np.array([1200, 1200]))
        for i, setting in enumerate(chosen):
            mask = select(p, setting, q_values=q)
            found[i, shuffle] = mask.any(1).mean(), mask.any(0).sum(), mask.sum()
            of_layers = [(part.any(0).sum(), part.any(1).sum()) for part in np.split(mask, [16, 36], axis=1)]
            assert null.layers[i][shuffle].tolist() == [list(map(int, of_layer)) for of_layer in of_layers]
    assert (found.sum(axis=(1, 2)) > 0).all()
    for null, rows in zip(nulls, found, strict=True):
        assert null is not None
        means = [null.coverage_mean, null.n_class_specific_mean, null.n_pairs_mean]
        np.testing.assert_allclose(means, rows.mean(0))
        low_high = [
            [null.coverage_low, null.coverage_high],
            [null.n_class_specific_low, null.n_class_specific_high],
            [null.n_pairs_low, null.n_pairs_high],
        ]
        np.testing.assert_allclose(low_high, np.quantile(rows, [0.025, 0.975], axis=0).T)


@pytest.fixture
def dealt(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.bool_]]:
    """The members of every shuffle that runs in a test."""
    found: list[NDArray[np.bool_]] = []
    deal = Exchange.deal

    def noting(self: Exchange, rng: np.random.Generator) -> NDArray[np.int64]:
        order = deal(self, rng)
        found.append(order)
        return order

    monkeypatch.setattr(Exchange, "deal", noting)
    return found


def test_shuffling_keeps_classes_that_go_together(dealt: list[NDArray]) -> None:
    # Class 1 holds every clip of class 0, class 2 none of them.
    kinds = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=bool)
    members = kinds[np.arange(90) % 3]
    shuffled_null(TASK[0], members, [LAPE], 20, seed=0)
    assert len(dealt) == 20
    for order in dealt:
        each = members[order]
        assert (each.T.astype(int) @ each == members.T.astype(int) @ members).all()
    assert len({order.tobytes() for order in dealt}) == 20


def test_labels_are_dealt_within_strata_and_the_summary_says_so(dealt: list[NDArray]) -> None:
    stratum = np.arange(90) // 9
    exchange = Exchange(np.arange(90), stratum, "clips within voice")
    counts = ClipCounts.of(sparse_clips(90, 100, rate=0.3, seed=4), np.full(90, 65), exchange)
    (summary,) = shuffled_null(counts, TASK[1], [LAPE], 20, seed=0).summaries
    assert summary is not None
    assert summary.shuffled == "clips within voice"
    assert len(dealt) == 20
    for order in dealt:
        np.testing.assert_array_equal(stratum[order], stratum)
    assert len({order.tobytes() for order in dealt}) == 20


def test_null_holds_the_voice_where_voices_are_kept_together() -> None:
    # Classes are voices' own, and neurons follow voices: over clips every shuffle looks poor beside it.
    rng = np.random.default_rng(8)
    voice = np.arange(120) % 12
    members = one_hot(voice % 3)
    positive = rng.binomial(65, rng.beta(1, 3, (12, 300))[voice])
    calibrated = SelectionSettings("calibrated", lift_min=1.2)
    whole = Exchange(voice, np.zeros(12, dtype=np.int64), "whole voices")
    nulls = []
    for exchange in (None, whole):
        counts = ClipCounts.of(positive, np.full(120, 65), exchange)
        of_units = members[counts.exchange.first]
        null = shuffled_null(counts, of_units, [LAPE, calibrated], 60, seed=0)
        nulls.append((null, benjamini_hochberg(evidence(counts, counts.by_class(of_units)[0], of_units)[1])))
    (clips, q_clips), (voices, q_voices) = nulls
    assert (q_clips < 0.05).mean() > 0.2
    assert (q_voices < 0.05).mean() < 0.01
    assert (clips.entropy_q < 0.05).mean() > 0.5
    assert (voices.entropy_q < 0.05).mean() < 0.01


@pytest.mark.parametrize(("n_clips", "n_classes", "rate"), [(120, 20, 0.04), (120, 20, 0.3), (240, 3, 0.1)])
def test_false_discoveries_over_shuffled_runs_are_within_their_rate(n_clips: int, n_classes: int, rate: float) -> None:
    # Each shuffle is a run on labels that mean nothing: any pair it chooses is false.
    counts = ClipCounts.of(sparse_clips(n_clips, 200, rate, seed=9), np.full(n_clips, 65))
    loose = SelectionSettings("calibrated", rate_min=0.0, lift_min=0.0)
    members = one_hot(np.arange(n_clips) % n_classes)
    moments, rng = Moments.of(counts, members), np.random.default_rng(0)
    runs = []
    for _ in range(200):
        dealt = rng.permutation(members)
        runs.append(len(significant_pairs(counts, moments, counts.by_class(dealt)[0], dealt, 0.05)[0]) > 0)
    # Where nothing is true, q < 0.05 is to hold in at most 5 of 100 runs.
    assert np.mean(runs) <= 0.05
    (null,) = shuffled_null(counts, members, [loose], 20, 0).summaries
    assert null is not None
    assert null.n_pairs_mean < 0.5


# Entropies.


@pytest.mark.parametrize(("rate", "n_classes"), [(0.9, 3), (0.1, 3), (0.08, 20)])
def test_p_of_entropies_is_the_share_of_many_shuffles(rate: float, n_classes: int) -> None:
    rng = np.random.default_rng(5)
    members = one_hot(np.arange(120) % n_classes)
    # Neurons lose clips of other classes than their own, the later the more: entropies from usual to rare.
    foreign = ~members[:, rng.integers(0, n_classes, 300)]
    lost = foreign & (rng.random((120, 300)) < np.linspace(0, 0.5, 300))
    counts = ClipCounts.of(np.where(lost, 0, sparse_clips(120, 300, rate, seed=2)), np.full(120, 65))
    observed, *many = (
        entropy(sums / tokens[:, None])
        for sums, tokens in map(counts.by_class, [members, *(rng.permutation(members) for _ in range(1500))])
    )
    brute = (np.array(many) <= observed + 1e-12).mean(0)
    assert (brute < 0.02).sum() > 5
    null = shuffled_null(counts, members, [], 200, seed=1)
    known = ~np.isnan(observed)
    assert np.isnan(null.entropy_p[~known]).all()
    error = 4 * np.sqrt(brute * (1 - brute) * (1 / 200 + 1 / 1500)) + 0.02
    assert (np.abs(null.entropy_p - brute) < error)[known].all()
    np.testing.assert_allclose(null.entropy_q, benjamini_hochberg(null.entropy_p))


@pytest.mark.parametrize(("rate", "n_clips", "n_classes"), [(0.9, 120, 6), (0.06, 120, 20), (0.1, 240, 3)])
def test_fitted_p_of_entropies_is_uniform_or_careful_in_the_tail(rate: float, n_clips: int, n_classes: int) -> None:
    p = []
    for seed in range(4):
        counts = ClipCounts.of(sparse_clips(n_clips, 1500, rate, seed), np.full(n_clips, 65))
        members = one_hot(np.random.default_rng(seed).permutation(n_clips) % n_classes)
        p.append(shuffled_null(counts, members, [], 200, seed=seed + 50).entropy_p)
    found = np.concatenate(p)
    found = found[~np.isnan(found)]
    for level in (0.1, 0.05, 0.01, 0.001):
        assert (found <= level).mean() < 1.5 * level + 3 * np.sqrt(level / len(found))


def test_neuron_of_one_class_has_a_small_p_and_one_that_fires_once_none() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(120) % 4
    positive = rng.binomial(65, 0.2, (120, 4))
    positive[labels != 2, 0] = 0  # fires in one class only
    positive[:, 1] = 0
    positive[5, 1] = 60  # fires once: as low an entropy every time
    positive[:, 2] = 0
    counts = ClipCounts.of(positive, np.full(120, 65))
    p = shuffled_null(counts, one_hot(labels), [], 100, seed=0).entropy_p
    assert p[0] < 1e-6
    assert p[1] == 1
    assert np.isnan(p[2])
    assert p[3] > 0.001


def test_two_clips_of_one_class_are_no_rarer_than_they_are() -> None:
    # Both clips fall to one class of 2 in 1 of 119 deals, though no shuffle of ninety may show it.
    positive = np.zeros((120, 1), dtype=np.int64)
    positive[[0, 60], 0] = 30
    counts = ClipCounts.of(positive, np.full(120, 65))
    p = shuffled_null(counts, one_hot(np.arange(120) % 60), [], 90, seed=0).entropy_p
    assert p[0] >= 1 / 119 - 1e-9


def test_one_label_a_clip_is_shuffled_as_the_labels_themselves() -> None:
    labels = np.arange(90) % 6
    one, two = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(5):
        np.testing.assert_array_equal(one_hot(labels)[one.permutation(90)], one_hot(two.permutation(labels)))
