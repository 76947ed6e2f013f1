"""Units found again with another seed: is a direction a fact of the network, or of how it was looked for?

Two sets of directions are matched by the cosine of what they write to the stream (as features of two autoencoders:
Paulo and Belrose 2025, arXiv 2501.16615). Beside it stands the best cosine with as many random directions. From which
cosine on a unit counts as found again, the view `unit_stability` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_AT_ONCE = 2**25
"""Cosines that are held at a time."""


@dataclass(frozen=True)
class Twins:
    """The best partners of a layer's units among those of another seed.

    Attributes
    ----------
    cosine : Tensor, shape (n_units,)
        With the best partner; NaN for a unit that writes nothing.
    is_mutual : Tensor of bool, shape (n_units,)
        Whether the unit is its partner's best, too.
    null_high : float
        95th percentile over units of the best cosine with as many random directions as there are partners.
    """

    cosine: Tensor
    is_mutual: Tensor
    null_high: float


def match(written: Tensor, again: Tensor, has_sign: bool, seed: int) -> Twins:
    """Match units with those that another seed gave.

    Parameters
    ----------
    written, again : Tensor, (width, n_units) and (width, n_others)
        What each unit writes to the stream.
    has_sign : bool
        Whether a direction and its opposite are different units; else the cosine's size counts.
    seed : int
        Of the random directions.
    """
    own, others = (_normalised(each.float()) for each in (written, again))
    if not own.shape[1] or not others.shape[1]:
        return Twins(torch.full(own.shape[1:], torch.nan), torch.zeros(own.shape[1], dtype=torch.bool), float("nan"))
    cosine, partner = _best(own, others, has_sign)
    _, back = _best(others, own, has_sign)
    is_mutual = back[partner] == torch.arange(len(partner), device=partner.device)
    cosine[own.isnan().any(0)] = torch.nan
    generator = torch.Generator().manual_seed(seed)
    random = _normalised(torch.randn(others.shape, generator=generator).to(own))
    by_chance = _best(own, random, has_sign)[0].nanquantile(0.95)
    return Twins(cosine.cpu(), is_mutual.cpu() & ~cosine.isnan().cpu(), float(by_chance))


def _normalised(directions: Tensor) -> Tensor:
    """Columns of length 1; NaN where there is none."""
    return directions / directions.norm(dim=0)


def _best(own: Tensor, others: Tensor, has_sign: bool) -> tuple[Tensor, Tensor]:
    """The largest cosine of each unit with any other, and with which."""
    found = []
    others = others.nan_to_num()
    for some in own.nan_to_num().T.split(max(1, _AT_ONCE // others.shape[1])):
        cosines = some @ others
        found.append((cosines if has_sign else cosines.abs()).max(dim=1))
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])
