"""Random sets: size, layers and activity as they should be, nothing of the target, the same again."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.ablation.controls import Cells, draw_controls, round_to_sum
from core.ablation.targets import Target
from core.arrays.neurons import layer_starts

WIDTHS = (5, 7, 4)
LAYERS = Cells.layers(WIDTHS)


def target(neurons: list[int] | NDArray, selection: str = "top 1%") -> Target:
    return Target(selection, "a", np.array(neurons))


def profile(neurons: NDArray, widths: tuple[int, ...] = WIDTHS) -> list[int]:
    return np.histogram(neurons, bins=layer_starts(widths))[0].tolist()


@pytest.mark.parametrize(
    ("shares", "rounded"),
    [([1.5, 2.5, 1.0], [2, 2, 1]), ([0.2, 0.3, 0.5], [0, 0, 1]), ([2.0, 0.0], [2, 0]), ([1 / 3] * 3, [1, 0, 0])],
)
def test_rounding_keeps_the_sum_and_favours_the_largest_remainder(shares: list[float], rounded: list[int]) -> None:
    assert round_to_sum(np.array(shares)).tolist() == rounded


def test_controls_of_a_task_have_the_size_and_the_mean_layer_profile() -> None:
    # Profiles (2, 0, 1), (0, 2, 1) and, of another size, (1, 0, 0).
    targets = [target([0, 1, 12]), target([5, 6, 13]), target([4])]
    families, family_of = draw_controls(targets, LAYERS, 30, False, 0)
    assert family_of == [0, 0, 1]
    assert [len(family) for family in families] == [30, 30]
    for control in families[0]:
        assert len(set(control.tolist())) == 3
        assert profile(control) == [1, 1, 1]
    assert {tuple(profile(control)) for control in families[1]} == {(1, 0, 0)}
    drawn = [{int(i) for control in family for i in control} for family in families]
    assert drawn[0] == set(range(16)) - {0, 1, 12, 5, 6, 13}, "none of its targets' neurons, and any other"
    assert drawn[1] == {0, 1, 2, 3}


def test_controls_of_a_target_lie_in_exactly_its_layers_and_hold_none_of_it() -> None:
    targets = [target([0, 1, 12]), target([5, 6, 13]), target([2, 3, 15])]
    families, family_of = draw_controls(targets, LAYERS, 8, True, 0)
    assert family_of == [0, 1, 2]
    for own, family in zip(targets, family_of, strict=True):
        assert len(families[family]) == 8
        assert all(profile(control) == profile(own.neurons) for control in families[family])
        assert not any(np.isin(control, own.neurons).any() for control in families[family])


def test_layer_without_enough_others_gives_all_of_them_and_some_of_the_targets() -> None:
    (family,), _ = draw_controls([target([0, 1, 2, 3])], LAYERS, 20, True, 0)
    assert all(profile(control) == [4, 0, 0] and 4 in control for control in family)
    assert len({tuple(control) for control in family}) > 1
    (whole,), _ = draw_controls([target(range(12, 16))], LAYERS, 2, True, 0)  # type: ignore[arg-type]
    assert [control.tolist() for control in whole] == [[12, 13, 14, 15]] * 2


def test_selections_do_not_share_controls() -> None:
    assert draw_controls([target([0]), target([1], "lape")], LAYERS, 2, False, 0)[1] == [0, 1]


@pytest.mark.parametrize("by_target", [True, False])
def test_controls_repeat_with_their_seed_and_do_not_hang_on_the_order(by_target: bool) -> None:
    targets = [target([0, 1, 12, 14]), target([5, 6]), target([7, 8])]

    def drawn(targets: list[Target], seed: int) -> list[list[list[int]]]:
        families, family_of = draw_controls(targets, LAYERS, 5, by_target, seed)
        return [[c.tolist() for c in families[i]] for i in family_of]

    assert drawn(targets, 4) == drawn(targets, 4)
    assert drawn(targets, 4) != drawn(targets, 5)
    assert drawn(targets[::-1], 4) == drawn(targets, 4)[::-1]


def test_deciles_are_of_each_layer_by_rank() -> None:
    rate = np.concatenate([np.linspace(1, 0, 20), np.linspace(0, 0.1, 10)])
    cells = Cells.activity((20, 10), rate)
    assert cells.of.tolist() == [9 - i // 2 for i in range(20)] + [10 + i for i in range(10)]
    assert cells.profile(np.array([0, 1, 29])).tolist() == [0] * 9 + [2] + [0] * 9 + [1]


def test_controls_of_the_second_family_fire_as_often_as_the_target_and_those_of_the_first_do_not() -> None:
    rng = np.random.default_rng(0)
    widths = (400, 400)
    rate = rng.random(800) ** 3
    busy = np.concatenate([np.argsort(-rate[:400])[:10], 400 + np.argsort(-rate[400:])[:10]])
    one = target(np.sort(busy))
    (matched,), _ = draw_controls([one], Cells.activity(widths, rate), 20, True, 0)
    (plain,), _ = draw_controls([one], Cells.layers(widths), 20, True, 0)
    for control in matched:
        assert profile(control, widths) == [10, 10]
        assert not np.isin(control, busy).any()
        assert rate[control].mean() > rate[busy].mean() - 0.2
    assert np.mean([rate[control].mean() for control in plain]) < rate[busy].mean() - 0.5


def test_too_small_a_decile_is_filled_from_the_nearest_ones() -> None:
    # 20 neurons, two a decile; both of the highest are the target's, so the next decile gives its two.
    rate = np.arange(20.0)
    cells = Cells.activity((20,), rate)
    (family,), _ = draw_controls([target([18, 19])], cells, 10, True, 0)
    assert [control.tolist() for control in family] == [[16, 17]] * 10
    (wide,), _ = draw_controls([target([8, 9, 10, 11])], cells, 10, True, 0)
    assert all(set(control) <= {6, 7, 12, 13} for control in wide[:1])
    assert all(abs(rate[control].mean() - 9.5) < 3 for control in wide)
