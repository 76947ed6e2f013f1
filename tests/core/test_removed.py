"""The norm that a change removes, worked by hand; and random sets that remove as much."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from core.ablation.controls import Cells, grow_controls
from core.ablation.removed import Removed
from core.ablation.targets import Target
from core.encoders.hooks import Change
from core.recording.passes import Passes
from tests.core.test_hooks import LONG, SHORT, hand_made
from tests.core.test_units import units_of

COORDINATES = units_of(hand_made(), np.eye(2), None)


@pytest.fixture(scope="module", params=[(1, True), (2, True), (2, False)], ids=str)
def removed(request: pytest.FixtureRequest) -> Removed:
    """Of two clips, each alone or in one batch; told from what units write, or by the blocks."""
    n, is_kept = request.param
    batches = [[LONG], [SHORT]] if n == 1 else [[LONG, SHORT]]
    with patch("core.ablation.removed.MOST_KEPT", 2**26 if is_kept else 0):
        found = Removed.of(COORDINATES, batches, Passes(n))
    assert all(bool(whole.activations) == is_kept for whole in found.whole)
    return found


def test_norm_is_what_the_blocks_outputs_lose_in_their_standard_deviations(removed: Removed) -> None:
    # Counted tokens after layer 0 are (6, 2), (5, 6), (8, -5): variance 200 / 9; after layer 1 (15, 2), (17, 6),
    # (12, -5): variance 224 / 9.
    np.testing.assert_allclose(removed.variance, [200 / 9, 224 / 9])
    told: list[int] = []
    first_out, last_to_mean = Change(np.array([0])), Change(np.array([3]), 0.0, np.array([1.0]))
    both = Change(np.array([0, 3]), 0.0, np.array([0.0, 1.0]))
    nothing = Change(np.array([0, 3]), 1.0)
    found = removed.norms([first_out, last_to_mean, both, nothing], told.append)
    # The first loses 36, 25 and 64, the second 1, 25 and 36; each as if the other were not.
    squares = [125 / 3 * 9 / 200, 62 / 3 * 9 / 224]
    np.testing.assert_allclose(found, np.sqrt([squares[0], squares[1], sum(squares), 0]), rtol=1e-6)
    assert told[-1] == 4 * len(removed.whole)


def test_a_layer_at_its_mean_is_one(removed: Removed) -> None:
    (norm,) = removed.norms([Change(np.array([2, 3]), 0.0, np.array([44 / 3, 1.0]))])
    assert norm == pytest.approx(1.0)


def test_grown_controls_remove_the_norm_in_the_targets_layers() -> None:
    widths, weight = (40, 40, 40), np.r_[np.full(40, 0.1), np.full(40, 0.2), np.full(40, 0.4)]
    cells = Cells.layers(widths)

    def size(sets: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        return np.array([weight[neurons].sum() for neurons in sets])

    targets = [Target("mad norm=2", "a", np.r_[0:10, 40:45], 2.0), Target("mad norm=2", "b", np.r_[10:20, 45:50], 2.0)]
    (family,), family_of = grow_controls(targets, cells, 40, size, seed=0)
    assert family_of == [0, 0]
    assert len({tuple(control) for control in family}) == 40
    sums = size(family)
    assert ((sums >= 2 - 1e-9) & (sums < 2.2 + 1e-9)).all()
    of_layer = np.stack([cells.profile(control) for control in family])
    assert (of_layer[:, 2] == 0).all(), "no target has a neuron there"
    assert of_layer[:, 0].sum() / of_layer[:, 1].sum() == pytest.approx(2, rel=0.25)
    every = np.concatenate(family)
    assert not np.isin(every, np.concatenate([target.neurons for target in targets])).any()


def test_grown_controls_take_the_targets_own_when_others_do_not_suffice() -> None:
    target = Target("mad norm=1", "a", np.arange(8), 1.0)
    (family,), _ = grow_controls(
        [target], Cells.layers((10,)), 5, lambda sets: np.array([0.2 * len(s) for s in sets]), 0
    )
    assert all(len(control) == 5 and {8, 9} <= set(control.tolist()) for control in family)
