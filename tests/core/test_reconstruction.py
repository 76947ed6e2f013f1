"""What a head loses where a block's output is replaced, on a network whose every number is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.ablation.reconstruction import Replaced, logits, losses
from core.probes.linear import LinearHead
from core.recording.passes import Passes
from core.units.sae import Design, SparseCode
from tests.core.test_hooks import LONG, SHORT, hand_made

NAN = np.nan


def signs(kept: float) -> SparseCode:
    """Two features a coordinate, one for each sign; the first coordinate is told as so much of itself."""
    directions = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    written = directions * torch.tensor([kept, 1.0])
    weights = {"W_enc": directions.T, "b_enc": torch.zeros(4), "W_dec": written, "b_dec": torch.zeros(2)}
    return SparseCode(weights, Design("standard"))


def head() -> LinearHead:
    """The embedding as it is."""
    return LinearHead(np.zeros(2), np.ones(2), np.eye(2), np.zeros(2), np.arange(2))


def test_replaced_outputs_go_on_through_the_blocks_that_follow() -> None:
    # The last block's output is pooled as it is; of layer 0 the first coordinate at half goes through layer 1, too.
    encoder, told = hand_made(), list[int]()
    replaced = Replaced({0: signs(1), 1: signs(0.5)}, {0: torch.zeros(2), 1: torch.tensor([1.0, 2.0])})
    found = logits(encoder, head(), [[LONG], [SHORT]], replaced, Passes(1), told.append)
    plain = np.stack([encoder.embed([each])[0] for each in (LONG, SHORT)])
    assert told == [1, 2]
    assert found.shape == (5, 2, 2)
    np.testing.assert_allclose(found[4], plain)
    np.testing.assert_allclose(found[0], plain, rtol=1e-6)
    np.testing.assert_allclose(found[2], plain * [0.5, 1], rtol=1e-6)
    np.testing.assert_allclose(found[3], [[1, 2], [1, 2]], rtol=1e-6)
    assert not np.allclose(found[1], plain)


def test_losses_are_changes_of_the_own_classs_log_probability() -> None:
    members = np.array([[True, False], [False, True], [True, False], [False, True]])
    own = np.log(np.array([[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [0.2, 0.8]]))
    half = np.log(np.full((4, 2), 0.5))
    wrong = own[:, ::-1]
    rows = losses(np.stack([half, wrong, own]).astype(np.float32), members, False, np.arange(4), [3], seed=0)
    (row,) = rows.to_dict("records")
    assert (row["layer"], row["n_clips"], row["accuracy"], row["accuracy_mean"]) == (3, 4, 1.0, 0.0)
    assert row["log_prob"] == pytest.approx(np.log(0.8))
    assert row["change_reconstructed"] == pytest.approx(np.log(0.5 / 0.8), rel=1e-5)
    assert row["change_mean"] == pytest.approx(np.log(0.2 / 0.8), rel=1e-5)
    assert row["recovered"] == pytest.approx(1 - np.log(0.5 / 0.8) / np.log(0.2 / 0.8), rel=1e-5)
    for name in ("change_reconstructed", "change_mean", "recovered"):
        assert row[f"{name}_low"] <= row[name] + 1e-6 and row[f"{name}_high"] >= row[name] - 1e-6


def test_one_unit_has_no_interval_and_a_class_the_head_does_not_know_counts_for_nothing() -> None:
    members = np.array([[True, False], [False, True]])
    answers = np.zeros((3, 2, 2), dtype=np.float32)
    answers[:, :, 1] = NAN
    (row,) = losses(answers, members, False, np.array([0, 0]), [0], seed=0).to_dict("records")
    assert np.isnan(row["change_mean_low"])
    assert (row["n_clips"], row["change_mean"]) == (1, 0.0)
