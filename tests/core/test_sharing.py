"""Neurons that two classes share, counted by hand and set beside chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from core.evidence.fdr import benjamini_hochberg
from core.results import SpecificSet
from core.scoring.sharing import odds_ratio, share_all, shared_neurons

N_NEURONS = 12
SETS = {
    ("tones", "low"): {0, 1, 2, 3},
    ("tones", "high"): {3, 4},
    ("notes", "low"): {0, 1, 2, 11},
    ("notes", "none"): set(),
}


def mask(*sets: set[int]) -> np.ndarray:
    found = np.zeros((len(sets), N_NEURONS), dtype=bool)
    for row, neurons in zip(found, sets, strict=True):
        row[list(neurons)] = True
    return found


TABLE = shared_neurons(
    "lape",
    [
        ("tones", ("low", "high"), mask(SETS["tones", "low"], SETS["tones", "high"])),
        ("notes", ("low", "none"), mask(SETS["notes", "low"], SETS["notes", "none"])),
    ],
)
BY_PAIR = TABLE.pairs.set_index(["task_a", "class_a", "task_b", "class_b"])


def test_every_unordered_pair_of_classes_is_there_once() -> None:
    assert TABLE.preset == "lape"
    found = {frozenset({(a, b), (c, d)}) for a, b, c, d in BY_PAIR.index}
    assert len(found) == len(BY_PAIR) == 6
    assert all(len(pair) == 2 for pair in found)


@pytest.mark.parametrize(
    ("pair", "n_a", "n_b", "n_shared", "expected"),
    [
        (("tones", "low", "tones", "high"), 4, 2, 1, 8 / 12),
        (("tones", "low", "notes", "low"), 4, 4, 3, 16 / 12),
        (("tones", "high", "notes", "low"), 2, 4, 0, 8 / 12),
        (("tones", "low", "notes", "none"), 4, 0, 0, 0),
    ],
)
def test_counts_worked_by_hand(pair: tuple[str, ...], n_a: int, n_b: int, n_shared: int, expected: float) -> None:
    row = BY_PAIR.loc[pair]
    assert [row["n_a"], row["n_b"], row["n_shared"]] == [n_a, n_b, n_shared]
    assert row["expected"] == pytest.approx(expected)


def test_p_is_the_chance_of_at_least_so_many() -> None:
    # Of C(12, 4) = 495 draws of 4 neurons, 4 x 8 share exactly 3 with a given four and 1 shares 4.
    assert BY_PAIR.loc[("tones", "low", "notes", "low"), "p_value"] == pytest.approx(33 / 495)
    for _, row in BY_PAIR.iterrows():
        k, a, b = (int(row[c]) for c in ("n_shared", "n_a", "n_b"))
        expected = hypergeom.pmf(np.arange(k, 13), N_NEURONS, a, b).sum()
        assert row["p_value"] == pytest.approx(expected)
    np.testing.assert_allclose(TABLE.pairs["q_value"], benjamini_hochberg(TABLE.pairs["p_value"].to_numpy()))


def test_odds_worked_by_hand() -> None:
    # 3 shared, 1 and 1 of one class alone, 7 of neither; half a neuron added to each.
    row = BY_PAIR.loc[("tones", "low", "notes", "low")]
    half = 1.959964 * np.sqrt(1 / 3.5 + 1 / 1.5 + 1 / 1.5 + 1 / 7.5)
    expected = 3.5 * 7.5 / (1.5 * 1.5)
    found = row[["odds_ratio", "odds_low", "odds_high"]].to_numpy(dtype=float)
    assert found == pytest.approx([expected, expected * np.exp(-half), expected * np.exp(half)])
    assert BY_PAIR.loc[("tones", "low", "notes", "none"), ["odds_ratio", "odds_low", "odds_high"]].isna().all()


def test_odds_interval_holds_one_where_sharing_is_chance() -> None:
    rng = np.random.default_rng(0)
    n = np.full(2000, 60)
    ratio, low, high = odds_ratio(rng.hypergeometric(60, 340, 60, 2000), n, n, 400)
    assert np.mean((low <= 1) & (high >= 1)) == pytest.approx(0.95, abs=0.02)
    assert np.median(ratio) == pytest.approx(1, abs=0.1)
    every = np.array([400])
    assert np.isnan(odds_ratio(np.array([60]), n[:1], every, 400)).all()


def test_one_class_shares_with_none() -> None:
    assert shared_neurons("lape", [("tones", ("low",), mask({1}))]).pairs.empty


def test_stored_sets_give_the_same_table_preset_by_preset() -> None:
    def stored(preset: str, task: str, names: tuple[str, ...]) -> SpecificSet:
        pairs = [(i, j) for i, name in enumerate(names) for j in sorted(SETS[task, name])]
        return SpecificSet(preset, task, names, tuple(pairs))

    found = share_all(
        [
            stored("lape", "tones", ("low", "high")),
            stored("calibrated", "tones", ("low", "high")),
            stored("lape", "notes", ("low", "none")),
        ],
        N_NEURONS,
    )
    assert [(s.preset, len(s.pairs)) for s in found] == [("lape", 6), ("calibrated", 1)]
    assert found[0].pairs.equals(TABLE.pairs)


def test_class_within_another_of_its_task_is_marked() -> None:
    sets = [
        SpecificSet("lape", "sounds", ("bark", "cat", "dog"), ((0, 1), (2, 1)), nested=((0, 2),)),
        SpecificSet("lape", "other", ("bark", "dog"), ((0, 1), (1, 1))),
    ]
    (found,) = share_all(sets, N_NEURONS)
    marked = found.pairs[found.pairs["nested"] == 1]
    assert marked[["task_a", "class_a", "task_b", "class_b"]].to_numpy().tolist() == [
        ["sounds", "bark", "sounds", "dog"]
    ]
    assert set(found.pairs["nested"]) == {0, 1}
    assert set(TABLE.pairs["nested"]) == {0}
