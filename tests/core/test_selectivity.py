"""Entropy and the three presets, worked by hand on small matrices, and what must hold for any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.selectivity.presets import (
    PRESETS,
    SelectionSettings,
    activation_probabilities,
    class_specific_neurons,
    entropy,
    kth_smallest,
    lift,
    parse_activity,
    select,
)

# Neurons 0 to 5, classes A, B, C. Sorted: 0 (5 times), .02, .05, .1 (5), .3, .5 (3), .6, .9.
# Entropies: 3 is 0, then 0 (0.600), 2 (0.809), 1 and 5 (ln 3); 4 never fires.
P = np.array(
    [
        [0.90, 0.50, 0.30, 0.02, 0.00, 0.10],
        [0.10, 0.50, 0.05, 0.00, 0.00, 0.10],
        [0.10, 0.50, 0.60, 0.00, 0.00, 0.10],
    ]
)
BAR = 0.8
"""round(18 x 0.8) = 14; the 14th smallest is 0.5."""


def chosen(preset: str, n_by_entropy: int = 6, q: NDArray | None = None, **rules: object) -> set[tuple[int, int]]:
    setting = SelectionSettings(preset, entropy_rate=n_by_entropy / 6, probability_bar=BAR, **rules)  # type: ignore[arg-type]
    return pairs(select(P, setting, q_values=q))


def pairs(mask: NDArray) -> set[tuple[int, int]]:
    return {(int(c), int(j)) for c, j in np.argwhere(mask)}


def random_probabilities(n_classes: int, n_neurons: int, seed: int) -> NDArray:
    """No two alike."""
    return np.random.default_rng(seed).beta(0.3, 3, size=(n_classes, n_neurons))


shapes = {"n_classes": st.integers(2, 6), "n_neurons": st.integers(1, 40), "seed": st.integers(0, 2**31)}
quick = settings(max_examples=40, deadline=None, derandomize=True)


# Probabilities, entropy, lift.


def test_probability_is_the_ratio_of_the_counts() -> None:
    found = activation_probabilities(np.array([[3, 0], [1, 7]]), np.array([4, 7]))
    np.testing.assert_array_equal(found, [[0.75, 0], [1 / 7, 1]])


@pytest.mark.parametrize(
    ("positive", "tokens", "message"),
    [
        ([[1, 2]], [1, 2], "expected"),
        ([1, 2], [3, 3], "expected"),
        ([[1], [0]], [2, 0], "class 1 has no token"),
        ([[3], [0]], [2, 1], "exceeds"),
        ([[-1], [0]], [2, 1], "negative"),
    ],
)
def test_counts_that_cannot_be_are_refused(positive: list, tokens: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        activation_probabilities(np.array(positive), np.array(tokens))


def test_entropy_worked_by_hand() -> None:
    found = entropy(P)
    np.testing.assert_allclose(found[3], 0.0, atol=0)
    np.testing.assert_allclose(found[[1, 5]], math.log(3), rtol=1e-15)
    # p = 9/11, 1/11, 1/11.
    assert found[0] == pytest.approx(9 / 11 * math.log(11 / 9) + 2 / 11 * math.log(11))
    assert found[2] == pytest.approx(0.809, abs=5e-4)
    assert np.isnan(found[4])


def test_entropy_of_two_classes_in_one_to_three() -> None:
    found = entropy(np.array([[0.01], [0.03]]))
    assert found[0] == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))


@given(**shapes)
@quick
def test_entropy_lies_between_0_and_ln_of_classes(n_classes: int, n_neurons: int, seed: int) -> None:
    p = random_probabilities(n_classes, n_neurons, seed)
    found = entropy(p)
    assert (found >= 0).all()
    assert (found <= math.log(n_classes)).all()
    np.testing.assert_allclose(entropy(p / 7), found, rtol=1e-9)


def test_lift_is_the_ratio_to_the_mean_of_the_others() -> None:
    found = lift(np.array([[0.6, 0.2, 0.0], [0.1, 0.0, 0.0], [0.3, 0.0, 0.0]]))
    np.testing.assert_allclose(found[:, 0], [3.0, 0.1 / 0.45, 0.3 / 0.35])
    assert found[0, 1] == np.inf
    assert found[1, 1] == 0
    assert np.isnan(found[:, 2]).all()


# Quantiles.


@pytest.mark.parametrize(
    ("n", "rate", "k"),
    [(5, 0.5, 2), (7, 0.5, 4), (10, 0.95, 10), (20, 0.95, 19), (30, 0.05, 2), (10, 0.04, 0), (8, 1.0, 8)],
)
def test_kth_smallest_rounds_halves_to_even_and_counts_from_1(n: int, rate: float, k: int) -> None:
    values = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert kth_smallest(values, rate) == (k if k else -np.inf)


# LAPE.


def test_lape_keeps_by_entropy_only_among_neurons_over_the_bar() -> None:
    # Over 0.5: neurons 0 (A) and 2 (C); 1 equals it. Neuron 3 has the lowest entropy and is not among them.
    assert chosen("lape", 1) == {(0, 0)}
    assert chosen("lape", 2) == {(0, 0), (2, 2)}


def test_lape_fills_no_quota_with_silent_neurons() -> None:
    assert chosen("lape", 6) == {(0, 0), (2, 2)}


def test_probability_equal_to_the_bar_is_not_over_it() -> None:
    bar = kth_smallest(P, BAR)
    assert bar == 0.5
    assert not any(j == 1 for _, j in chosen("lape", 6))


def test_neuron_that_equals_the_bar_takes_no_place_in_the_quota() -> None:
    # round(6 x 0.83) = 5, the fifth smallest is 0.5; neuron 0 has the lower entropy.
    p = np.array([[0.5, 0.9, 0.1], [0.0, 0.3, 0.1]])
    setting = SelectionSettings("lape", entropy_rate=1 / 3, probability_bar=0.83)
    assert pairs(select(p, setting)) == {(0, 1)}


def test_neuron_over_the_bar_in_two_classes_is_specific_for_both() -> None:
    p = np.array([[0.8, 0.1, 0.1], [0.7, 0.1, 0.1], [0.0, 0.1, 0.1]])
    setting = SelectionSettings("lape", entropy_rate=1 / 3, probability_bar=0.5)
    assert pairs(select(p, setting)) == {(0, 0), (1, 0)}


# AAPE.


def test_aape_spends_its_quota_on_the_lowest_entropy_although_the_bar_is_out_of_reach() -> None:
    # round(6 x 0.05) = 0: nothing is dropped. Neuron 3 comes first and exceeds no bar.
    assert chosen("aape", 1) == set()
    assert chosen("aape", 2) == {(0, 0)}
    assert chosen("aape", 3) == {(0, 0), (2, 2)}


def test_activity_by_quantile_drops_the_neurons_with_the_lowest_largest_probability() -> None:
    # Largest: .9 .5 .6 .02 0 .1; the third smallest, 0.1, is dropped with those below.
    assert chosen("aape", 1, activity="quantile:0.5") == {(0, 0)}
    # Two dropped (4 and 3).
    assert chosen("aape", 1, activity="quantile:0.33") == {(0, 0)}
    # One dropped (4), 3 stays and takes the quota.
    assert chosen("aape", 1, activity="quantile:0.17") == set()


def test_activity_any_above_keeps_what_lape_keeps() -> None:
    assert chosen("aape", 1, activity="any-above:0.8") == chosen("lape", 1)
    # round(18 x 0.25) = 4: over 0 is enough, and neuron 3 takes the quota.
    assert chosen("aape", 1, activity="any-above:0.25") == set()


def test_bar_for_each_class_is_over_its_own_neurons() -> None:
    # round(6 x 0.8) = 5, fifth smallest: A 0.5, B 0.1, C 0.5.
    assert chosen("aape", 6, bar_scope="task") == {(0, 0), (2, 2)}
    assert chosen("aape", 6, bar_scope="class") == {(0, 0), (1, 1), (2, 2)}


@pytest.mark.parametrize("preset", ["aape", "lape"])
def test_ties_go_to_the_lower_index(preset: str) -> None:
    p = np.array([[0.1, 0.4, 0.4, 0.4, 0.1, 0.4], [0.1, 0.0, 0.0, 0.0, 0.1, 0.0]])
    setting = SelectionSettings(preset, entropy_rate=2 / 6, probability_bar=0.5)  # type: ignore[arg-type]
    assert pairs(select(p, setting)) == {(0, 1), (0, 2)}


# Calibrated.


def test_calibrated_asks_for_all_three_conditions() -> None:
    p = np.array(
        # meets all; q at the limit; rate under 0.02; lift under 2; all at their limits; never fires
        [[0.50, 0.50, 0.019, 0.49, 0.50, 0.0], [0.10, 0.10, 0.001, 0.25, 0.25, 0.0]]
    )
    q = np.array([[0.049, 0.05, 0.001, 0.001, 0.001, 0.0], np.ones(6)])
    assert pairs(select(p, SelectionSettings("calibrated"), q_values=q)) == {(0, 0), (0, 4)}
    loose = SelectionSettings("calibrated", q_max=0.06, rate_min=0.01, lift_min=1.9)
    assert pairs(select(p, loose, q_values=q)) == {(0, j) for j in range(5)}


def test_calibrated_takes_a_rate_of_exactly_2_percent() -> None:
    p = np.array([[0.02, 0.3], [0.0, 0.3]])
    assert pairs(select(p, SelectionSettings("calibrated"), q_values=np.zeros((2, 2)))) == {(0, 0)}


def test_calibrated_needs_q_values() -> None:
    with pytest.raises(ValueError, match="q_values"):
        select(P, SelectionSettings("calibrated"))


# What must hold for any matrix.


@pytest.mark.parametrize("preset", PRESETS)
@given(**shapes)
@quick
def test_neuron_that_never_fires_is_never_chosen(preset: str, n_classes: int, n_neurons: int, seed: int) -> None:
    p = random_probabilities(n_classes, n_neurons, seed)
    dead = np.random.default_rng(seed).random(n_neurons) < 0.5
    p[:, dead] = 0
    setting = SelectionSettings(preset, entropy_rate=1.0, probability_bar=0.01, activity="quantile:0")  # type: ignore[arg-type]
    assert not select(p, setting, q_values=np.zeros(p.shape))[:, dead].any()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("bar_scope", ["task", "class"])
@given(**shapes)
@quick
def test_order_of_classes_and_neurons_does_not_matter(
    preset: str, bar_scope: str, n_classes: int, n_neurons: int, seed: int
) -> None:
    p = random_probabilities(n_classes, n_neurons, seed)
    rng = np.random.default_rng(seed + 1)
    q = rng.random(p.shape) ** 3
    classes, neurons = rng.permutation(n_classes), rng.permutation(n_neurons)
    setting = SelectionSettings(preset, entropy_rate=0.4, probability_bar=0.7, bar_scope=bar_scope)  # type: ignore[arg-type]
    mask = select(p, setting, q_values=q)
    again = select(p[classes][:, neurons], setting, q_values=q[classes][:, neurons])
    np.testing.assert_array_equal(again, mask[classes][:, neurons])


@given(factor=st.integers(2, 1000), **shapes)
@quick
def test_more_tokens_at_the_same_rates_change_nothing(factor: int, n_classes: int, n_neurons: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 500, n_classes)
    positive = rng.integers(0, tokens[:, None] + 1, (n_classes, n_neurons))
    settings = {"entropy_rate": 0.5, "probability_bar": 0.5}
    few = class_specific_neurons(positive, tokens, (n_neurons,), **settings)
    many = class_specific_neurons(positive * factor, tokens * factor, (n_neurons,), **settings)
    assert few.equals(many)


# The public function.

TOKENS = np.array([100, 100, 100])
COUNTS = np.rint(P * 100).astype(np.int64)


def test_table_names_layer_and_neuron_and_is_sorted() -> None:
    table = class_specific_neurons(
        COUNTS, TOKENS, (2, 3, 1), "lape", entropy_rate=1.0, probability_bar=0.3
    )  # fmt: skip
    assert list(table.columns) == ["class_index", "layer", "neuron", "activation_probability", "entropy"]
    # round(18 x 0.3) = 5, the fifth smallest is 0: every pair that fires at all.
    found = list(zip(table["class_index"], table["layer"], table["neuron"], strict=True))
    assert found == [
        (0, 1, 1), (0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 2, 0),
        (1, 0, 0), (1, 1, 0), (1, 0, 1), (1, 2, 0),
        (2, 0, 0), (2, 1, 0), (2, 0, 1), (2, 2, 0),
    ]  # fmt: skip
    assert table["activation_probability"].tolist()[:5] == [0.02, 0.9, 0.3, 0.5, 0.1]
    np.testing.assert_allclose(table["entropy"][:5], [0, 0.600, 0.809, math.log(3), math.log(3)], atol=1e-3)


def test_default_preset_is_the_paper_and_settings_reach_it() -> None:
    given_by_name = class_specific_neurons(COUNTS, TOKENS, (6,), "aape", entropy_rate=0.5, probability_bar=BAR)
    assert class_specific_neurons(COUNTS, TOKENS, (6,), entropy_rate=0.5, probability_bar=BAR).equals(given_by_name)
    assert set(zip(given_by_name["class_index"], given_by_name["neuron"], strict=True)) == {(0, 0), (2, 2)}


def test_class_without_neurons_has_no_row() -> None:
    table = class_specific_neurons(COUNTS, TOKENS, (6,), "lape", entropy_rate=1.0, probability_bar=BAR)
    assert set(table["class_index"]) == {0, 2}


def test_nothing_found_is_an_empty_table_with_its_columns() -> None:
    table = class_specific_neurons(np.zeros_like(COUNTS), TOKENS, (2, 4))
    assert table.empty
    assert list(table.columns) == ["class_index", "layer", "neuron", "activation_probability", "entropy"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"layer_widths": (2, 3)}, "add up to 5, counts hold 6"),
        ({"preset": "best"}, "unknown preset 'best'; expected one of aape, lape, calibrated"),
        ({"preset": "calibrated"}, "q_values"),
        ({"entropy_rate": 0.0}, "entropy_rate is 0.0"),
        ({"probability_bar": 1.5}, "probability_bar is 1.5"),
        ({"q_max": -0.1}, "q_max is -0.1"),
        ({"bar_scope": "clip"}, "bar_scope is 'clip'"),
        ({"activity": "quantile"}, "activity is 'quantile'"),
    ],
)
def test_wrong_input_is_named(call: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"layer_widths": (6,), **call}
    with pytest.raises(ValueError, match=message):
        class_specific_neurons(COUNTS, TOKENS, **arguments)  # type: ignore[arg-type]


def test_activity_rules_are_read() -> None:
    assert parse_activity("quantile:0.05") == ("quantile", 0.05)
    assert parse_activity("any-above:0.95") == ("any-above", 0.95)


@pytest.mark.parametrize("rule", ["", "quantile:", "quantile:2", "any-above:-0.1", "above:0.5", "quantile:nan"])
def test_unknown_activity_rules_are_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="expected quantile:R or any-above:Q"):
        parse_activity(rule)


def test_settings_in_force_are_those_the_preset_reads() -> None:
    assert set(SelectionSettings("aape").in_force()) == {"entropy_rate", "probability_bar", "bar_scope", "activity"}
    assert set(SelectionSettings("lape").in_force()) == {"entropy_rate", "probability_bar"}
    assert SelectionSettings("calibrated").in_force() == {"q_max": 0.05, "lift_min": 2.0, "rate_min": 0.02}
