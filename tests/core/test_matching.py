"""Units of two models that respond alike: found where planted, not where nothing is, beside what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from core.evidence.exchange import deal_groups
from core.matching.evidence import evidence
from core.matching.held_out import correlations
from core.matching.match import N_DEALS, Clips, match, n_steps
from core.matching.search import best_partners, dealt, standardised
from core.results import Partners

N_CLIPS, N_UNITS = 120, 40


def normal(seed: int, n_clips: int = N_CLIPS, n_units: int = N_UNITS) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n_clips, n_units)).astype(np.float32)


def clips(n: int = N_CLIPS, unit: np.ndarray | None = None, label: np.ndarray | None = None) -> Clips:
    labels = np.zeros((n, 0), dtype=bool) if label is None else label[:, None] == np.unique(label)
    return Clips(np.arange(n) if unit is None else unit, labels)


def matched(a: np.ndarray, b: np.ndarray, of: Clips, seed: int = 0) -> tuple[Partners, Partners]:
    """The first half of the clips chooses, the second is held out."""
    half = len(a) // 2
    first, second = (Clips(np.unique(of.unit[at], return_inverse=True)[1], of.labels[at]) for at in
                     (slice(half), slice(half, None)))  # fmt: skip
    return match((a[:half], b[:half], first), (a[half:], b[half:], second), seed, "cpu", lambda _: None)


def test_permuted_units_with_noise_all_find_each_other() -> None:
    order = np.random.default_rng(1).permutation(N_UNITS)
    a = normal(0, 2 * N_CLIPS)
    b = 3 * a[:, order] + normal(2, 2 * N_CLIPS) + 7
    for side, truth in zip(matched(a, b, clips(2 * N_CLIPS)), (np.argsort(order), order), strict=True):
        units = side.units
        assert units["partner_index"].tolist() == truth.tolist()
        assert units["is_partner"].all() and units["is_beyond"].all()
        assert units["held_out"].mean() == pytest.approx(3 / np.sqrt(10), abs=0.02)
        assert ((units["held_out_low"] < 3 / np.sqrt(10)) & (3 / np.sqrt(10) < units["held_out_high"])).mean() > 0.8
        assert (units["second"] < units["correlation"] - 0.2).all()
        assert side.null_share < 0.05


def test_independent_units_find_no_partner_in_more_than_a_few_runs() -> None:
    with_any = 0
    for seed in range(100):
        a, b = normal(2 * seed, 60, 15), np.exp(2 * normal(2 * seed + 1, 60, 15))  # of b a few clips have most
        with_any += bool(matched(a, b, clips(60), seed)[0].units["is_partner"].any())
    assert with_any <= 5


def test_what_a_class_alone_makes_alike_is_not_alike_beyond_it() -> None:
    label = np.random.default_rng(0).integers(4, size=4 * N_CLIPS)
    tuned = (label[:, None] == np.arange(N_UNITS) % 4) * 3.0
    a, b = tuned + normal(1, 4 * N_CLIPS), tuned + normal(2, 4 * N_CLIPS)
    units = matched(a, b, clips(4 * N_CLIPS, label=label))[0].units
    assert (units["q_value"] < 0.05).all() and units["is_partner"].any()
    assert (units["partner_index"] % 4 == units["neuron_index"] % 4).all()
    assert units["held_out"].min() > 0.4 and units["within"].abs().max() < 0.3
    assert units["is_beyond"].sum() == 0
    b = b + a  # now they have more in common than the classes
    assert matched(a, b, clips(4 * N_CLIPS, label=label))[0].units["is_beyond"].mean() > 0.9


def test_units_that_follow_the_same_few_voices_are_held_against_whole_voices() -> None:
    def n_found(grouped: bool) -> int:
        found = 0
        for seed in range(20):
            rng = np.random.default_rng(seed)
            voice = np.repeat(np.arange(20), rng.integers(1, 17, 20))[:160]
            a, b = (rng.standard_normal((20, 30))[voice] + 0.3 * rng.standard_normal((len(voice), 30)) for _ in "ab")
            of = clips(len(voice), voice if grouped else None)
            chosen = a.astype(np.float32), b.astype(np.float32), of
            sides = match(chosen, (a[:0], b[:0], clips(0)), seed, "cpu", lambda _: None)
            found += bool(sides[0].units["is_partner"].any())
        return found

    assert n_found(grouped=False) == 20
    assert n_found(grouped=True) <= 3


def test_each_group_gets_the_clips_of_one() -> None:
    order, rng = np.random.default_rng(3).permutation(30), np.random.default_rng(0)
    unit = np.repeat(np.arange(6), 5)[order]
    many = [deal_groups(unit, rng) for _ in range(50)]
    for one in many:
        assert sorted(one) == list(range(30)), "of equal size they change places"
        assert all(len(set(unit[one][unit == group])) == 1 for group in range(6))
    assert {unit[one][unit == 0][0] for one in many} == set(range(6))
    assert len({tuple(one) for one in many}) == 50
    unit = np.repeat([0, 1, 2], [6, 3, 2])
    for one in (deal_groups(unit, rng) for _ in range(50)):
        got = [one[unit == group] for group in range(3)]
        assert sorted(unit[clips[0]] for clips in got) == [0, 1, 2]
        for clips in got:
            source = np.flatnonzero(unit == unit[clips[0]])
            counts = np.bincount(clips - source[0], minlength=len(source))
            assert set(clips) <= set(source) and counts.max() - counts.min() <= 1


def test_dealt_responses_are_standardised_again() -> None:
    columns, _ = standardised(normal(0, 6, 3), "cpu")
    given = dealt(columns, np.array([0, 0, 0, 1, 1, 1]))
    assert given.mean(dim=0).abs().max() < 1e-6
    assert given.square().sum(dim=0).tolist() == pytest.approx([1, 1, 1])
    assert dealt(columns, np.zeros(6, dtype=np.int64)).abs().max() == 0


def test_blocks_find_what_the_whole_matrix_shows() -> None:
    a, b = normal(0, 50, 33), normal(1, 50, 21)
    a[:, 4] = 2.5  # does not vary
    (left, varies), (right, _) = standardised(a, "cpu"), standardised(b, "cpu")
    assert np.flatnonzero(~varies).tolist() == [4] and left[:, 4].abs().max() == 0
    r = np.corrcoef(np.delete(a, 4, 1), b, rowvar=False)[:32, 32:]
    left = left[:, varies]
    for numbers in (1, 64, 150, 10_000):
        there, back = best_partners(left, right, with_second=True, numbers=numbers)
        for found, matrix in ((there, r), (back, r.T)):
            ordered = np.sort(matrix, axis=1)
            assert found.partner.tolist() == matrix.argmax(axis=1).tolist()
            np.testing.assert_allclose(found.correlation, ordered[:, -1], atol=1e-6)
            np.testing.assert_allclose(found.second, ordered[:, -2], atol=1e-6)
    alone, _ = best_partners(left, right[:, :1], with_second=True)
    assert np.isnan(alone.second).all() and not np.isnan(alone.correlation).any()


def test_progress_ends_where_it_was_said_to() -> None:
    told: list[int] = []
    a, b = normal(0), normal(1)
    match((a, b, clips()), (a[:0], b[:0], clips(0)), 0, "cpu", told.append)
    assert told == list(range(1, n_steps(N_UNITS, N_UNITS, "cpu") + 1)) and len(told) == 1 + N_DEALS


def test_without_clips_held_out_nothing_is_told_of_them() -> None:
    a = normal(0)
    side, _ = match((a, a, clips()), (a[:0], a[:0], clips(0)), 0, "cpu", lambda _: None)
    assert side.units[["held_out", "held_out_low", "within", "within_q"]].isna().all(axis=None)
    assert side.units["is_partner"].all() and not side.units["is_beyond"].any()


def test_a_model_of_constants_is_refused() -> None:
    with pytest.raises(ValueError, match="varies"):
        match((np.ones((20, 3), np.float32), normal(0, 20), clips(20)), (normal(1)[:0],) * 2 + (clips(0),), 0, "cpu",
              lambda _: None)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_intervals_hold_the_true_correlation(rho: float, grouped: bool) -> None:
    rng = np.random.default_rng(0)
    n, m = 200, 400
    unit = np.repeat(np.arange(25), 8) if grouped else np.arange(n)
    x, noise = (
        rng.standard_normal((unit.max() + 1, m))[unit] + 0.5 * rng.standard_normal((n, m)) * grouped for _ in "xy"
    )
    y = rho * x + np.sqrt(1 - rho**2) * noise
    pairs = np.arange(m), np.arange(m)
    label = rng.integers(10, size=n)[:, None] == np.arange(10)
    for labels in (None, label):
        x_shown, y_shown = (of if labels is None else of + 5 * labels @ rng.standard_normal((10, m)) for of in (x, y))
        found = correlations(x_shown, y_shown, pairs, unit, labels)
        held = ((found.low < rho) & (rho < found.high)).mean()
        assert 0.9 < held < 0.99
        if rho == 0:
            assert (found.p < 0.05).mean() < 0.08
        else:
            assert (found.p < 0.05).mean() > 0.9


def test_the_jackknife_leaves_out_and_fits_anew() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 30, 1))
    labels = rng.integers(3, size=30)[:, None] == np.arange(3)
    unit = np.repeat(np.arange(10), 3)

    def r(kept: np.ndarray) -> float:
        rest = [of[kept] - labels[kept] @ np.linalg.lstsq(labels[kept].astype(float), of[kept])[0] for of in (x, y)]
        return float(np.corrcoef(rest[0][:, 0], rest[1][:, 0])[0, 1])

    away = np.arctanh([r(unit != left_out) for left_out in range(10)])
    error = np.sqrt(9 / 10 * ((away - away.mean()) ** 2).sum())
    found = correlations(x, y, (np.array([0]), np.array([0])), unit, labels)
    assert found.r[0] == pytest.approx(r(np.ones(30, bool)))
    assert np.arctanh(found.high[0]) - np.arctanh(found.r[0]) == pytest.approx(2.262157 * error, rel=1e-5)


def test_what_rests_on_one_clip_has_no_interval() -> None:
    x = np.zeros((20, 1), dtype=np.float32)
    x[3] = 1
    found = correlations(x, x, (np.array([0]), np.array([0])), np.arange(20))
    assert found.r[0] == pytest.approx(1) and np.isnan([found.low[0], found.high[0], found.p[0]]).all()


def test_p_counts_the_deals_of_all_units() -> None:
    dealt = np.random.default_rng(0).uniform(0.1, 0.3, (24, 50))
    best = np.full(50, 0.2)
    best[7] = 0.9
    found = evidence(best, dealt)
    assert found.p[7] == pytest.approx(1 / (1 + 24 * 50)) and found.q[7] == pytest.approx(50 / (1 + 24 * 50))
    assert (np.delete(found.q, 7) > 0.05).all()
    assert not found.chance.any()
    assert found.high[0] == pytest.approx(np.quantile(dealt[:, 0], 0.975))
