"""What kind of effect: worked by hand on a few clips, and on networks whose truth is planted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score

from benchmarks.planted_kinds import (
    N_CLASSES,
    PlantedKinds,
    at_random,
    planted_kinds,
    rows_of_targets,
    top_of_shuffled,
)
from core.ablation.outcomes import (
    FROZEN,
    OUTCOMES,
    Beside,
    Clips,
    Outcomes,
    log_probabilities,
    placements,
    sign_flip_p,
)
from core.ablation.refitted import with_new_offsets
from core.probes.linear import LinearHead
from core.results import FloatArray, IntArray

MEMBERS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], dtype=bool)
BEFORE = np.array([[2.0, 0], [1, 0], [0, 2], [0, 1], [0, 0.5]])


def told(
    conditions: list[NDArray], members: NDArray = MEMBERS, units: IntArray | None = None, n_targets: int = 1
) -> Outcomes:
    """First the targets, then their controls; the last condition is the network with nothing changed."""
    logits = np.stack(conditions).astype(np.float32)[None]
    clips = Clips(members, np.arange(len(members)) if units is None else units, False, 0)
    controls = np.arange(n_targets, len(conditions) - 1)
    return Outcomes.of(logits, 0, Beside(range(n_targets), [controls] * n_targets), clips)


def of_class(outcomes: Outcomes, position: int, target: int = 0) -> pd.DataFrame:
    rows = outcomes.rows(target)
    return rows[rows["position"] == position].set_index("outcome")


def test_every_outcome_worked_by_hand() -> None:
    # The logit of class 0 falls by 1 on its two clips, by 0.5, 0.5 and 0.2 on the others; a control raises all by 0.1.
    after, control = BEFORE.copy(), BEFORE.copy()
    after[:, 0] -= [1, 1, 0.5, 0.5, 0.2]
    control[:, 0] += 0.1
    first = of_class(told([after, control, BEFORE]), 1)
    shift = -1.2 / 3
    assert first.loc["shift", "change"] == pytest.approx(shift)
    assert first.loc["selective", "change"] == pytest.approx(-1 - shift)
    assert first.loc["shift", ["control_mean", "control_low", "control_high"]].tolist() == [pytest.approx(0.1)] * 3
    assert first.loc["shift", "beyond_control"] == pytest.approx(shift - 0.1)
    assert first.loc["selective", "control_mean"] == pytest.approx(0, abs=1e-6)
    assert first.loc["shift", "unablated"] == 0 and first.loc["selective", "unablated"] == 1.5
    own = log_softmax(after[:2], axis=1)[:, 0] - log_softmax(BEFORE[:2], axis=1)[:, 0]
    assert first.loc["total", "change"] == pytest.approx(own.mean(), abs=1e-6)
    # Own clips at 1 and 0, the others at -0.5, -0.5, -0.2: all six pairs in order, as before.
    assert first.loc["discrimination", ["unablated", "change"]].tolist() == [pytest.approx(1), 0]
    assert first.loc["total", "n_units"] == 2 and first.loc["shift", "n_units"] == 3
    assert first.loc["selective", "n_units"] == 5 and (first["n_controls"] == 1).all()
    assert first.loc["shift", "outside_controls"] == 1 and first.loc["discrimination", "outside_controls"] == 0
    # Class 1's own logit did not move.
    second = of_class(told([after, control, BEFORE]), 2)
    assert second.loc[["shift", "selective"], "change"].abs().max() == 0
    every = of_class(told([after, control, BEFORE]), 0)
    assert list(every.index) == ["total"] and every.loc["total", "n_units"] == 5


def test_p_of_selective_takes_all_signs_of_few_units() -> None:
    # Residuals from the mean change -0.64, weighted: own -0.36 / 2 each, others 0.14 / 3, 0.14 / 3, 0.44 / 3, negated.
    after = BEFORE.copy()
    after[:, 0] -= [1, 1, 0.5, 0.5, 0.2]
    contributions = np.array([-0.18, -0.18, -0.14 / 3, -0.14 / 3, -0.44 / 3])
    signs = 1 - 2 * (np.arange(32)[:, None] >> np.arange(5) & 1)
    expected = np.mean(np.abs(signs @ contributions) >= 0.6 - 1e-9)
    assert expected == 2 / 32
    selective = of_class(told([after, BEFORE, BEFORE]), 1).loc["selective"]
    assert selective["p_value"] == expected and selective["change"] == pytest.approx(-0.6)


def test_logits_that_a_head_does_not_know_are_left_out() -> None:
    before = np.column_stack([BEFORE, np.full(5, np.nan)])
    members = np.column_stack([MEMBERS, [False, False, False, False, False]])
    members[4] = [False, False, True]  # a clip of the class that the head does not know
    log_p = log_probabilities(before, members, several=False)
    np.testing.assert_allclose(log_p[:2], log_softmax(BEFORE[:2], axis=1)[:, 0])
    assert np.isnan(log_p[4])
    outcomes = told([before - 1, before, before], members)
    assert of_class(outcomes, 0).loc["total", "n_units"] == 4
    assert "selective" not in of_class(outcomes, 3).index


def test_log_probability_of_several_labels_is_the_mean_by_their_own_sigmoids() -> None:
    logits = np.array([[0.0, 3.0, -1.0]])
    expected = (-np.log(2) - np.log1p(np.exp(1.0))) / 2
    assert log_probabilities(logits, np.array([[True, False, True]]), several=True)[0] == pytest.approx(expected)


def test_placements_have_the_auroc_as_both_means() -> None:
    rng = np.random.default_rng(0)
    own = rng.random(40) < 0.3
    logit = np.round(rng.normal(size=(3, 40)) + own, 1)  # with ties
    placed = placements(logit, own)
    expected = [roc_auc_score(own, row) for row in logit]
    np.testing.assert_allclose(placed[:, own].mean(axis=1), expected)
    np.testing.assert_allclose(placed[:, ~own].mean(axis=1), expected)


def test_signs_are_flipped_exactly_up_to_twelve_units_and_drawn_beyond() -> None:
    assert sign_flip_p(np.ones((3, 1)), 0)[0] == 2 / 8
    assert sign_flip_p(np.array([[1.0], [-1], [0]]), 0)[0] == 1
    assert sign_flip_p(np.array([[3.0], [1], [1]]), 0)[0] == 2 / 8
    assert sign_flip_p(np.array([[3.0], [2], [-2]]), 0)[0] == 6 / 8, "|3| is reached by 3 and 7 in size"
    assert sign_flip_p(np.ones((30, 1)), 0)[0] == 1 / 10_000
    assert np.isnan(sign_flip_p(np.full((4, 1), np.nan), 0)[0])
    rng = np.random.default_rng(1)
    twelve = rng.normal(0.4, 1, size=(12, 50))
    thirteen = np.concatenate([twelve, np.zeros((1, 50))])  # changes no sum
    np.testing.assert_allclose(sign_flip_p(thirteen, 0), sign_flip_p(twelve, 0), atol=0.02)


@pytest.mark.parametrize(("n_own", "n_other", "a_unit"), [(10, 10, 1), (11, 200, 1), (24, 24, 4)])
def test_p_is_uniform_where_the_change_is_the_same_on_all_clips(n_own: int, n_other: int, a_unit: int) -> None:
    # Half of the variance is the units' own; counted as clips, every third test would call it an effect.
    rng = np.random.default_rng(2)
    members = np.repeat([[True, False], [False, True]], [n_own, n_other], axis=0)
    units = np.concatenate([np.arange(n_own) // a_unit, 1_000 + np.arange(n_other) // a_unit])
    before = rng.normal(size=(len(members), 2))
    of_unit = rng.normal(size=(300, 1_000 + n_other))[:, units] * (a_unit > 1)
    after = before - 0.5 + np.stack([rng.normal(size=of_unit.shape) + 2 * of_unit, 0 * of_unit], axis=2)
    outcomes = told([*after, before, before], members, units, n_targets=300)
    p = [of_class(outcomes, 1, i).loc["selective", "p_value"] for i in range(300)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1
    assert 0.4 <= np.mean(p) <= 0.6


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    members = np.repeat([[True, False], [False, True]], [20, 60], axis=0)
    before = rng.normal(size=(80, 2))
    after = before + rng.normal(-0.5, 1, size=(200, 80, 2))
    after[:, :20, 0] -= 0.7
    outcomes = told([*after, before, before], members, n_targets=200)
    rows = [of_class(outcomes, 1, i).loc["selective"] for i in range(200)]
    held = [row["beyond_low"] <= -0.7 <= row["beyond_high"] for row in rows]
    assert 0.88 <= np.mean(held) <= 0.99


def test_heads_of_other_draws_give_the_range() -> None:
    logits = np.stack([np.stack([BEFORE - [d, 0], BEFORE, BEFORE]) for d in (1.0, 0.5, 3.0)]).astype(np.float32)
    clips = Clips(MEMBERS, np.arange(5), False, 0)
    row = of_class(Outcomes.of(logits, 2, Beside([0], [np.array([1])]), clips), 1).loc["shift"]
    assert row[["change", "n_heads", "heads_low", "heads_high"]].tolist() == [-1, 3, -3, -0.5]
    logits[2, :, :, 0] = np.nan  # this one was fitted without a clip of the class
    row = of_class(Outcomes.of(logits, 2, Beside([0], [np.array([1])]), clips), 1).loc["shift"]
    assert row[["change", "n_heads", "heads_low", "heads_high"]].tolist() == [-1, 2, -1, -0.5]


def test_heads_of_other_draws_are_asked_what_the_frozen_one_is_alone() -> None:
    logits = np.stack([np.stack([BEFORE - [4, 0], BEFORE, BEFORE])] * 4).astype(np.float32)
    clips = Clips(MEMBERS, np.arange(5), False, 0)
    told = of_class(Outcomes.of(logits, 1, Beside([0], [np.array([1])]), clips), 1)
    assert set(told.index) == set(OUTCOMES)
    assert {name: told.loc[name, "n_heads"] for name in OUTCOMES} == {n: 1 + (n in FROZEN) for n in OUTCOMES}


def test_each_clips_own_change_is_kept() -> None:
    after, control = BEFORE.copy(), BEFORE.copy()
    after[1] -= [0.5, 0]
    control[1] += [0.25, 0]
    kept = told([after, control, control, BEFORE]).clips(0, np.array([7, 3, 5, 1, 2]), 0)
    assert kept["clip_index"].tolist() == [7, 3, 5, 1, 2]
    assert kept["delta_logit"].tolist() == [0, -0.5, 0, 0, 0]
    assert kept["control_delta_logit"].tolist() == [0, 0.25, 0, 0, 0]
    own = log_softmax(after, axis=1)[1, 0] - log_softmax(BEFORE, axis=1)[1, 0]
    assert kept["delta_log_prob"][1] == pytest.approx(own, abs=1e-6)
    assert told([after, control, BEFORE]).clips(0, np.arange(5), None)["delta_logit"].isna().all()


@pytest.mark.parametrize("several", [False, True])
def test_new_offsets_undo_a_shift_exactly(several: bool) -> None:
    rng = np.random.default_rng(4)
    members = np.eye(3, dtype=bool)[rng.integers(0, 3, 300)]
    members[:, 0] |= several & (rng.random(300) < 0.3)
    embeddings = (members + rng.normal(size=(300, 3))).astype(np.float32)
    head = LinearHead(np.zeros(3), np.ones(3), np.eye(3), np.zeros(3), np.arange(3))
    best = with_new_offsets(head, embeddings, members, several)
    moved = with_new_offsets(head, embeddings - [2, 0, 0.5], members, several)
    difference = moved.bias - best.bias - [2, 0, 0.5]
    np.testing.assert_allclose(difference - (0 if several else difference.mean()), 0, atol=1e-3)


# Planted kinds.


@pytest.fixture(scope="module")
def network() -> PlantedKinds:
    return planted_kinds(0)


def own_rows(network: PlantedKinds, kind: str, classes: range) -> pd.DataFrame:
    """Outcomes of each class's neurons of a kind on the class itself: outcome to a list over classes."""
    targets = [network.neurons[kind][c] for c in classes]
    outcomes = network.outcomes(network.head(), targets, at_random(network, 20, 1))
    rows = [outcomes.rows(i).query("position == @c + 1") for i, c in enumerate(classes)]
    return pd.concat(rows).groupby("outcome").agg(list)


def of(rows: pd.DataFrame, outcome: str, column: str = "beyond_control") -> FloatArray:
    return np.array(rows.loc[outcome, column], dtype=float)


def test_neurons_that_carry_a_class_take_what_can_be_read(network: PlantedKinds) -> None:
    rows = own_rows(network, "carry", range(N_CLASSES // 2))
    for outcome in ("total", "selective", "discrimination"):
        assert (of(rows, outcome, "beyond_high") < 0).all(), outcome
        assert (of(rows, outcome, "p_value") < 0.01).all() and (of(rows, outcome, "outside_controls") == 1).all()
    assert (of(rows, "discrimination") < -0.1).all()
    # Nor does a new head find it, but for what is left where nothing else fires.
    assert of(rows, "readable_refit").mean() < -0.1
    assert (of(rows, "readable_refit_log_prob", "beyond_high") < 0).all()


def test_neurons_that_shift_a_class_lose_nothing_that_new_offsets_do_not_undo(network: PlantedKinds) -> None:
    rows = own_rows(network, "shift", range(N_CLASSES))
    assert (of(rows, "total") < -0.2).all() and (of(rows, "total", "p_value") < 0.01).all()
    assert (of(rows, "shift") < -0.4).all() and (of(rows, "shift", "p_value") < 0.01).all()
    assert (np.abs(of(rows, "selective")) < 0.05).all(), "a twentieth of the shift is left, at most"
    assert (np.abs(of(rows, "discrimination")) < 0.01).all()
    for outcome in ("readable_offsets", "readable_refit"):
        assert (np.abs(of(rows, outcome)) < 0.06).all(), outcome


def test_a_frozen_head_misses_doubled_neurons_and_a_new_one_does_not(network: PlantedKinds) -> None:
    rows = own_rows(network, "doubled", range(N_CLASSES // 2, N_CLASSES))
    assert (of(rows, "selective", "beyond_high") < 0).all() and (of(rows, "selective", "p_value") < 0.01).all()
    assert (of(rows, "total") < -0.3).all()
    assert (np.abs(of(rows, "discrimination")) < 0.03).all(), "the others tell it"
    assert (of(rows, "readable_refit") > -0.1).all()
    assert (of(rows, "readable_refit_log_prob") > of(rows, "total") / 2).all()


@pytest.mark.parametrize("choose", [top_of_shuffled, lambda network, seed: at_random(network, N_CLASSES, seed)])
def test_what_nothing_was_planted_in_does_not_hold(
    network: PlantedKinds, choose: Callable[[PlantedKinds, int], list[IntArray]]
) -> None:
    held = []
    for seed in range(5):
        outcomes = network.outcomes(network.head(), choose(network, seed), at_random(network, 20, 9), refit=False)
        rows = rows_of_targets(outcomes, N_CLASSES)
        held += rows.loc[rows["outcome"] == "selective", "holds"].tolist()
    assert len(held) == 5 * N_CLASSES**2 and np.mean(held) <= 0.05
