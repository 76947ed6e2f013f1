"""Halves, draws of the split and folds: who is found again, beside what chance finds again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.splits import draw_splits
from core.evidence.exchange import Exchange
from core.evidence.stability import _agreement, across_folds, choose, draw_half, over_split_seeds, split_half
from core.selectivity.presets import PRESETS, SelectionSettings

TOKENS = 65
CALIBRATED = [SelectionSettings("calibrated")]
EVERY = [SelectionSettings(preset, entropy_rate=0.1) for preset in PRESETS]


def one_hot(labels: NDArray) -> NDArray[np.bool_]:
    return labels[:, None] == np.arange(labels.max() + 1)


def planted(size: int = 24, seed: int = 0) -> tuple[NDArray, NDArray, NDArray]:
    """Four classes, 100 neurons: 0 to 19 answer to class ``neuron % 4``, the rest to nothing."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), size)
    rate = np.full((len(labels), 100), 0.1)
    rate[:, :20] = np.where(labels[:, None] == np.arange(20) % 4, 0.6, 0.05)
    return rng.binomial(TOKENS, rate), np.full(len(labels), TOKENS), one_hot(labels)


def drawn_within(strata: Sequence[str]) -> Callable[[int], list[str]]:
    return lambda seed: draw_splits(len(strata), strata, seed)


def test_agreement_by_hand() -> None:
    a = np.zeros((2, 10), dtype=bool)
    b = a.copy()
    a[0, :4] = a[1, :2] = True
    b[0, 2:7] = b[1, :2] = True
    # Shared 2 + 2 of 6 + 7 in all; by chance 4 x 5 / 10 + 2 x 2 / 10.
    assert _agreement(a, b) == pytest.approx((4 / 9, 2.4 / 10.6, 6.5))
    assert _agreement(a, ~a)[0] == 0
    assert np.isnan(_agreement(a & ~a, a & ~a)[:2]).all()


@pytest.mark.parametrize("sizes", [(6, 6, 6), (7, 3, 20), (2, 2, 9)])
def test_halves_have_half_of_every_class(sizes: tuple[int, ...]) -> None:
    members = one_hot(np.repeat(np.arange(3), sizes))
    halves = {tuple(draw_half(members, np.arange(sum(sizes)), np.random.default_rng(seed))) for seed in range(8)}
    assert len(halves) > 1
    for half in halves:
        in_first = members[np.array(half)].sum(axis=0)
        assert (np.abs(2 * in_first - sizes) <= 1).all()
        assert abs(2 * sum(half) - sum(sizes)) <= 1


def test_halves_of_clips_with_several_labels_have_some_of_every_class() -> None:
    rng = np.random.default_rng(0)
    members = rng.random((200, 12)) < np.array([0.5] * 4 + [0.1] * 4 + [0.02] * 4)
    members[:2, 11] = True
    for seed in range(5):
        half = draw_half(members, np.arange(200), np.random.default_rng(seed))
        first, sizes = members[half].sum(axis=0), members.sum(axis=0)
        assert ((first > 0) & (first < sizes)).all()
        assert (np.abs(2 * first - sizes) <= 0.2 * sizes + 3).all()


def test_halves_are_drawn_again_until_every_class_is_in_both() -> None:
    # Clips 0 and 2, the only ones of class 1, may be dealt as two of class 0, without a look at class 1.
    members = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0]], dtype=bool)
    for seed in range(30):
        half = draw_half(members, np.arange(3), np.random.default_rng(seed))
        assert members[half, 1].sum() == 1


def test_every_clip_is_as_often_in_either_half_and_with_any_other() -> None:
    members = one_hot(np.repeat(np.arange(3), (5, 8, 3)))
    rng = np.random.default_rng(1)
    halves = np.array([draw_half(members, np.arange(16), rng) for _ in range(500)])
    np.testing.assert_allclose(halves.mean(axis=0), 0.5, atol=0.1)
    together = np.mean(halves[:, 5:12] == halves[:, 6:13], axis=0)
    np.testing.assert_allclose(together, 3 / 7, atol=0.1)  # of the other seven clips three are in the same half


def test_halves_keep_groups_whole() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(3), 20)
    units = 4 * labels + rng.integers(0, 4, 60)
    half = draw_half(one_hot(labels), np.unique(units, return_inverse=True)[1], rng)
    assert all(len(set(half[units == unit].tolist())) == 1 for unit in set(units.tolist()))
    assert all(0 < half[labels == k].sum() < 20 for k in range(3))


def test_planted_neurons_are_found_in_both_halves_by_every_preset() -> None:
    found = split_half(*planted(), EVERY, n_halves=4).set_index("preset")
    assert found.index.tolist() == list(PRESETS)
    assert (found.n_halves == 4).all() and (found.whole_groups == 0).all()
    assert found.loc["calibrated", ["jaccard_mean", "jaccard_low", "jaccard_high"]].tolist() == [1, 1, 1]
    assert found.loc["calibrated", "n_pairs_mean"] == 20  # 5 neurons each for 4 classes
    assert found.loc["calibrated", "jaccard_expected"] == pytest.approx(4 * 0.25 / (40 - 4 * 0.25))
    # Ten of the twenty, whose entropies are all alike: half of them would be found again by chance among these.
    assert (found.loc[["aape", "lape"], "jaccard_mean"] < 0.8).all()
    assert (found.loc[["aape", "lape"], "jaccard_mean"] > 4 * found.loc[["aape", "lape"], "jaccard_expected"]).all()
    assert found.entropy_spearman.nunique() == 1 and 0.3 < found.entropy_spearman.iloc[0] < 0.99


def test_noise_agrees_as_chance_does() -> None:
    rng = np.random.default_rng(3)
    positive = rng.binomial(TOKENS, 0.2, (240, 2000))
    settings = [SelectionSettings("lape", entropy_rate=0.3, probability_bar=0.5)]
    found = split_half(positive, np.full(240, TOKENS), one_hot(np.arange(240) % 6), settings, n_halves=6).iloc[0]
    assert found.n_pairs_mean > 500
    assert found.jaccard_mean == pytest.approx(found.jaccard_expected, rel=0.1)
    assert abs(found.entropy_spearman) < 0.1


def test_halves_that_are_the_same_agree_wholly() -> None:
    rng = np.random.default_rng(4)
    labels = np.tile(np.arange(3), 20)
    positive = rng.integers(0, 40, (3, 50))[labels]  # all clips of a class are one clip
    settings = [SelectionSettings(preset, entropy_rate=0.5, probability_bar=0.5) for preset in PRESETS]
    found = split_half(positive, np.full(60, TOKENS), one_hot(labels), settings, n_halves=3)
    assert (found.jaccard_mean == 1).all() and (found.n_pairs_mean > 5).all()
    assert found.entropy_spearman.tolist() == pytest.approx([1, 1, 1])


def voices() -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Two voices a class; neuron 0 answers to class 0, neuron 1 to its first voice, neuron 2 to its second."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(8), 20)
    rate = np.full((160, 12), 0.1)
    rate[groups < 2, 0], rate[groups == 0, 1], rate[groups == 1, 2] = 0.8, 0.8, 0.8
    return rng.binomial(TOKENS, rate), np.full(160, TOKENS), one_hot(groups // 2), groups


def test_halves_by_voice_tell_a_voice_from_a_class() -> None:
    *data, groups = voices()
    by_clip, by_voice = (split_half(*data, CALIBRATED, groups=g, n_halves=5).iloc[0] for g in (None, groups))
    assert (by_clip.whole_groups, by_voice.whole_groups) == (0, 1)
    assert by_clip.jaccard_mean == 1 and by_clip.n_pairs_mean == 3
    assert by_voice.jaccard_mean == pytest.approx(1 / 3) and by_voice.n_pairs_mean == 2


def test_clips_are_split_where_a_class_is_one_group() -> None:
    *data, groups = voices()
    assert split_half(*data, CALIBRATED, groups=np.where(groups < 2, 0, groups), n_halves=1).whole_groups.tolist() == [
        0
    ]


def test_evidence_follows_the_exchange_within_each_half() -> None:
    # Whole voices dealt: 2 of 8 can be drawn in 28 ways, so that no p is under 0.036 and no q under 0.05.
    *data, groups = voices()
    exchange = Exchange(groups, np.zeros(8, dtype=np.int64), "whole voices")
    assert choose(*data, CALIBRATED)[0][0].sum() == 3
    assert choose(*data, CALIBRATED, exchange)[0][0].sum() == 0
    found = split_half(*data, CALIBRATED, groups, exchange, n_halves=2).iloc[0]
    assert found.n_pairs_mean == 0
    assert np.isnan([found.jaccard_mean, found.jaccard_low, found.jaccard_expected]).all()
    strata = Exchange(np.arange(160), np.repeat(np.arange(2), 80), "clips within half of the classes")
    assert choose(*data, CALIBRATED, strata)[0][0].sum() == 3
    assert 2 <= split_half(*data, CALIBRATED, None, strata, n_halves=2).loc[0, "n_pairs_mean"] <= 3


def test_class_of_one_clip_is_left_out() -> None:
    positive, tokens, members = planted()
    alone = np.vstack([positive, np.full((1, 100), 60)]), np.append(tokens, TOKENS)
    members = np.pad(members, ((0, 1), (0, 1)))
    members[-1, -1] = True
    found = split_half(*alone, members, CALIBRATED, n_halves=3).iloc[0]
    assert (found.jaccard_mean, found.n_pairs_mean) == (1, 20)
    two = np.array([True, True])
    nothing = split_half(positive[:2], tokens[:2], np.eye(2, dtype=bool)[two.cumsum() - 1], CALIBRATED, n_halves=1)
    assert np.isnan(nothing.loc[0, "entropy_spearman"]) and np.isnan(nothing.loc[0, "jaccard_mean"])


def test_halves_follow_from_the_seed_and_progress_is_told() -> None:
    rng = np.random.default_rng(6)
    data = rng.binomial(TOKENS, 0.2, (60, 100)), np.full(60, TOKENS), one_hot(np.arange(60) % 3)
    told: list[int] = []
    a, b, c = (split_half(*data, EVERY, n_halves=2, seed=s, progress=told.append) for s in (1, 1, 2))
    assert a.equals(b) and not a.equals(c)
    assert told == [1, 2] * 3


def test_planted_pairs_are_chosen_in_every_draw_of_the_split_and_others_in_none() -> None:
    positive, tokens, members = planted()
    selected = np.zeros((4, 100), dtype=bool)
    selected[0, [0, 4, 99]] = selected[2, 99] = True  # two of class 0's five, and two pairs that are none
    classes = [str(k) for k in members.argmax(axis=1)]
    nothing = np.zeros_like(selected)
    settings = [*CALIBRATED, SelectionSettings("aape")]
    told: list[int] = []
    pairs, tasks = over_split_seeds(
        positive, tokens, members, drawn_within(classes), [selected, nothing], settings, n_draws=3, progress=told.append
    )
    assert pairs.to_numpy().tolist() == [
        ["calibrated", 0, 0, 1.0],
        ["calibrated", 0, 4, 1.0],
        ["calibrated", 0, 99, 0.0],
        ["calibrated", 2, 99, 0.0],
    ]
    assert tasks.loc[0].tolist() == ["calibrated", 3, 4, 0.5, pytest.approx(5 / 100)]
    assert tasks.loc[1, ["preset", "n_draws", "n_pairs"]].tolist() == ["aape", 3, 0]
    assert tasks.loc[1, ["share_of_draws", "share_expected"]].isna().all()
    assert told == [1, 2, 3]


def test_draws_of_the_split_differ() -> None:
    rng = np.random.default_rng(7)
    data = rng.binomial(TOKENS, 0.2, (90, 300)), np.full(90, TOKENS), one_hot(np.arange(90) % 3)
    settings = [SelectionSettings("lape", entropy_rate=0.1)]
    selected, _ = choose(*data, settings)
    pairs, tasks = over_split_seeds(*data, drawn_within(["x"] * 90), selected, settings, n_draws=6)
    assert len(pairs) == selected[0].sum()
    assert pairs.share_of_draws.nunique() > 2
    assert 0.3 < tasks.loc[0, "share_of_draws"] < 0.95
    assert pairs.share_of_draws.mean() == pytest.approx(tasks.loc[0, "share_of_draws"])


def test_clips_without_a_class_are_not_looked_at() -> None:
    positive, tokens, members = planted(size=8)
    selected, _ = choose(positive, tokens, members, CALIBRATED)
    assert selected[0].sum() == 20
    # With these among the clips that are dealt nothing would be out of the common.
    unlabelled = np.random.default_rng(8).choice([0, TOKENS], (300, 100))
    data = np.vstack([unlabelled, positive]), np.full(332, TOKENS), np.pad(members, ((300, 0), (0, 0)))
    assert choose(*data, CALIBRATED)[0][0].sum() < 10
    pairs, _ = over_split_seeds(*data, drawn_within(["x"] * 332), selected, CALIBRATED, n_draws=4)
    assert (pairs.share_of_draws == 1).all()


def test_evidence_in_every_draw_is_from_what_may_change_places_among_its_clips() -> None:
    # Classes are whole voices: over clips every one passes, dealt as wholes none can.
    voice = np.arange(96) % 6
    positive = np.random.default_rng(9).binomial(TOKENS, np.where(voice[:, None] < 3, 0.6, 0.1), (96, 20))
    members = one_hot((voice >= 3).astype(np.int64))
    selected = [np.ones((2, 20), dtype=bool)]
    asked: list[NDArray[np.bool_]] = []

    def whole_voices(chosen: NDArray[np.bool_]) -> Exchange:
        asked.append(chosen)
        unit = np.unique(voice[chosen], return_inverse=True)[1]
        return Exchange(unit, np.zeros(unit.max() + 1, dtype=np.int64), "whole voices")

    shares = []
    for exchange in (None, whole_voices):
        pairs, _ = over_split_seeds(
            positive, np.full(96, TOKENS), members, drawn_within(["x"] * 96), selected, CALIBRATED, exchange, n_draws=2
        )
        shares.append(pairs.groupby("class_index").share_of_draws.mean().tolist())
    assert shares == [[1.0, 0.0], [0.0, 0.0]]
    assert [chosen.sum() for chosen in asked] == [72, 72] and (asked[0] != asked[1]).any()


def test_folds_by_hand() -> None:
    # Two clips a fold, one of each class; in fold 3 class 1 is missing, in fold 4 class 2 comes instead of it.
    splits = np.array(["fold 1", "fold 1", "fold 2", "fold 2", "fold 3", "fold 4", "fold 4", "train"])
    members = one_hot(np.array([0, 1, 0, 1, 0, 0, 2, 1]))
    positive = np.array([[5, 1], [2, 1], [3, 1], [2, 3], [9, 9], [4, 0], [1, 0], [9, 9]])
    pairs = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0])
    found = across_folds(positive, np.full(8, 10), members, splits, pairs)
    # Class 0: neuron 0 twice as often in folds 1 and 4, not in 2; class 1: neuron 1 twice as often in fold 2.
    assert found.n_folds_held.tolist() == [2, 0, 0, 1, 0]
    assert found.n_folds.tolist() == [3, 3, 2, 2, 1]
    assert found.n_folds_expected.tolist() == [1, 1, 0.5, 0.5, 0]
    assert found[["class_index", "neuron_index"]].to_numpy().tolist() == np.transpose(pairs).tolist()
    assert across_folds(positive, np.full(8, 10), members, splits, pairs, lift_min=1.4).n_folds_held.tolist()[0] == 3


def test_planted_pairs_hold_in_every_fold() -> None:
    positive, tokens, members = planted()
    splits = np.array([f"fold {i % 4 + 1}" for i in range(len(tokens))])
    class_index, neuron = np.nonzero(choose(positive, tokens, members, CALIBRATED)[0][0])
    found = across_folds(positive, tokens, members, splits, (class_index, neuron))
    assert len(found) == 20 and (found.n_folds_held == 4).all() and (found.n_folds == 4).all()
    np.testing.assert_allclose(found.n_folds_expected, 4 * 5 / 100)
