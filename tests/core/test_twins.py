"""Directions found again with another seed, and those that are not."""

from __future__ import annotations

import pytest
import torch

from core.units.twins import match
from db.schema.views.units import BAR


def test_partners_and_cosines_are_those_worked_by_hand() -> None:
    own = torch.tensor([[2.0, 0, 1], [0, 3, 1]])  # x, y, and between them
    again = torch.tensor([[0.0, -5, 0.8], [1, 0, 0.6]])  # y, -x, near to between
    signed = match(own, again, has_sign=True, seed=0)
    torch.testing.assert_close(signed.cosine, torch.tensor([0.8, 1.0, 1.4 / 2**0.5]))
    assert signed.is_mutual.tolist() == [False, True, True]
    unsigned = match(own, again, has_sign=False, seed=0)
    torch.testing.assert_close(unsigned.cosine, torch.tensor([1.0, 1.0, 1.4 / 2**0.5]))
    assert unsigned.is_mutual.tolist() == [True, True, True]


@pytest.mark.parametrize("at_once", [2**25, 70])
def test_a_shuffled_dictionary_is_found_again_and_another_is_not(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.units.twins._AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    own, noise, other = (torch.randn(48, 60, generator=generator) for _ in range(3))
    shuffled = 3 * (own + 0.3 * noise)[:, torch.randperm(60, generator=generator)]
    found = match(own, shuffled, has_sign=True, seed=1)
    assert ((found.cosine >= BAR) & found.is_mutual).all()
    assert 0.3 < found.null_high < 0.6
    by_chance = match(own, other, has_sign=True, seed=1)
    assert not (by_chance.cosine >= BAR).any()
    assert (by_chance.cosine > by_chance.null_high).float().mean() == pytest.approx(0.05, abs=0.08)


def test_units_that_write_nothing_have_no_partner() -> None:
    own, again = torch.eye(3), torch.eye(3)[:, [1, 0, 2]].clone()
    own[:, 2] = 0
    found = match(own, again, has_sign=True, seed=0)
    assert found.cosine.isnan().tolist() == [False, False, True]
    assert found.is_mutual.tolist() == [True, True, False]
    assert match(torch.zeros(3, 0), again, has_sign=True, seed=0).cosine.shape == (0,)
