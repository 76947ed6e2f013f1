"""Units on a map: those that respond alike lie together, whatever their scale; how far to trust that is told."""

from __future__ import annotations

import numpy as np
import pytest

from core.mapping import place as mapping
from core.mapping.place import Means, alike, place

N_CLIPS, N_KINDS, EACH = 60, 5, 24


def kinds(seed: int = 0) -> tuple[Means, np.ndarray]:
    """Units of some kinds in turn, those of one with one response, each on its own scale and with its own noise."""
    rng = np.random.default_rng(seed)
    of_kind = rng.standard_normal((N_CLIPS, N_KINDS))
    kind = np.arange(N_KINDS * EACH) % N_KINDS
    scale = rng.uniform(0.01, 100, len(kind))
    means = scale * (of_kind[:, kind] + 0.3 * rng.standard_normal((N_CLIPS, len(kind))) + 5)
    return means.astype(np.float32), kind


def test_products_are_correlations_and_what_does_not_vary_is_left_out() -> None:
    means = np.array([[1, 7, 0, 3], [2, 7, 0, 2], [6, 7, 0, 1]], dtype=np.float32)
    responses, units = alike(means)
    assert units.tolist() == [0, 3]
    expected = np.corrcoef(means[:, 0], means[:, 3])[0, 1]
    np.testing.assert_allclose(responses @ responses.T, [[1, expected], [expected, 1]], atol=1e-6)
    assert alike(np.full((9, 2), 1e8, dtype=np.float32) + np.float32(0))[1].tolist() == []
    assert alike(np.array([[np.nan, 1], [0, 2]], dtype=np.float32))[1].tolist() == [1]


def test_units_of_one_kind_lie_together() -> None:
    means, kind = kinds()
    found = place(means, ("rooms", "notes"), 0)
    assert found is not None
    at = found.places[["x", "y"]].to_numpy()
    assert at.min() == 0 and at.max() == 1
    distance = np.linalg.norm(at[:, None] - at[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (kind[distance.argmin(axis=1)] == kind).all()
    assert found.facts["trustworthiness"] > 0.9 > 0.6 > found.facts["trustworthiness_chance"] > 0.4  # type: ignore[operator]
    told = {name: found.facts[name] for name in ("datasets", "n_clips", "n_checked", "n_neighbours", "seed")}
    assert told == {"datasets": "rooms, notes", "n_clips": N_CLIPS, "n_checked": 120, "n_neighbours": 10, "seed": 0}


def test_the_same_seed_gives_the_same_map_and_numbers_are_the_units_own() -> None:
    means, _ = kinds()
    means[:, 7] = 3.0
    first, again = place(means, ("rooms",), 1), place(means, ("rooms",), 1)
    assert first is not None and again is not None
    assert 7 not in set(first.places["neuron_index"]) and len(first.places) == means.shape[1] - 1
    assert first.places.equals(again.places) and first.facts == again.facts


@pytest.mark.parametrize(("n_clips", "n_units"), [(N_CLIPS, mapping.FEWEST_UNITS - 1), (mapping.FEWEST_CLIPS - 1, 50)])
def test_too_few_give_no_map(n_clips: int, n_units: int) -> None:
    assert place(kinds()[0][:n_clips, :n_units], ("rooms",), 0) is None


def test_as_few_as_may_be_have_one() -> None:
    few = kinds()[0][: mapping.FEWEST_CLIPS, : mapping.FEWEST_UNITS]
    found = place(few, ("rooms",), 0)
    assert found is not None and len(found.places) == mapping.FEWEST_UNITS
