"""Partners of two models' units: found on some clips, held against dealt clips, and told on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from core.evidence.exchange import deal_groups
from core.evidence.fdr import benjamini_hochberg
from core.matching.evidence import Q_LIMIT, Evidence, evidence
from core.matching.held_out import correlations
from core.matching.search import Found, Means, best_partners, dealt, n_blocks, standardised
from core.results import IntArray, Mask, Partners

N_DEALS = 24
"""Deals of the null; q of a single unit that stands alone reaches 1 / 24."""


@dataclass(frozen=True)
class Clips:
    """Clips over which units are compared.

    Attributes
    ----------
    unit : ndarray of int, shape (n_clips,)
        Sampling unit of each, from 0: itself, or a group of clips that are not independent.
    labels : ndarray of bool, shape (n_clips, n_labels)
        Every value of every attribute that tells classes.
    """

    unit: IntArray
    labels: Mask


def match(
    chosen: tuple[Means, Means, Clips], held_out: tuple[Means, Means, Clips], seed: int, device: str,
    update: Callable[[int], None],
) -> tuple[Partners, Partners]:  # fmt: skip
    """Find the partners of two models' units in each other.

    Parameters
    ----------
    chosen : (means of the first, of the second, clips)
        Each of shape (n_clips, n_units): mean activation of each clip. These choose the partners.
    held_out : the same over other clips
        These tell how alike partners are.
    seed : int
    device : str
    update : callable
        Told the blocks that are done, of `n_steps`.

    Returns
    -------
    Partners
        Of the first's units, and of the second's.

    Raises
    ------
    ValueError
        If a model has no unit that varies over the clips that choose.
    """
    kept, (found, *by_deal) = _search(chosen, seed, device, update)
    null = [evidence(found[side].correlation, np.stack([of[side].correlation for of in by_deal])) for side in (0, 1)]
    by_chance = np.array(
        [_partners(of, (null[0].chance[deal], null[1].chance[deal])).sum() for deal, of in enumerate(by_deal)]
    )
    pairs = (kept[0], kept[1][found[0].partner]), (kept[1], kept[0][found[1].partner])
    a, b, clips = held_out
    told = _told(a, b, clips, pairs[0]), _told(b, a, clips, pairs[1])
    beyond = [of["within_q"].to_numpy() < Q_LIMIT for of in told]
    sides = []
    for side in (0, 1):
        units = _units(found, null, side).assign(neuron_index=pairs[side][0], partner_index=pairs[side][1])
        units["is_beyond"] = units["is_partner"] & _partners(found, (beyond[0], beyond[1]), side)
        share = by_chance / len(units)
        sides.append(Partners(units.join(told[side]), float(share.mean()), float(np.quantile(share, 0.975))))
    return sides[0], sides[1]


def n_steps(n_a: int, n_b: int, device: str) -> int:
    """Blocks that `match` tells of, if all units vary."""
    return (1 + N_DEALS) * n_blocks(n_a, n_b, device)


def _search(
    chosen: tuple[Means, Means, Clips], seed: int, device: str, update: Callable[[int], None]
) -> tuple[tuple[IntArray, IntArray], list[tuple[Found, Found]]]:
    """Which units vary, and the best partners of these: on the clips as they are, then on each deal of them."""
    a, b, clips = chosen
    (first, varies_a), (second, varies_b) = standardised(a, device), standardised(b, device)
    kept = np.flatnonzero(varies_a), np.flatnonzero(varies_b)
    if not (len(kept[0]) and len(kept[1])):
        raise ValueError("no unit of one of the models varies over the clips")
    if len(kept[0]) < a.shape[1]:
        first = first[:, torch.from_numpy(kept[0]).to(device)]
    if len(kept[1]) < b.shape[1]:
        second = second[:, torch.from_numpy(kept[1]).to(device)]
    n_done = 0

    def on_block() -> None:
        nonlocal n_done
        n_done += 1
        update(n_done)

    rng = np.random.default_rng(seed)
    found = [best_partners(first, second, with_second=True, on_block=on_block)]
    for _ in range(N_DEALS):
        found.append(best_partners(first, dealt(second, deal_groups(clips.unit, rng)), on_block=on_block))
    return kept, found


def _partners(found: tuple[Found, Found], stands: tuple[Mask, Mask], side: int = 0) -> Mask:
    """Units of a side that are the best partner of their best partner, where both stand."""
    there = found[side].partner
    mutual: Mask = found[1 - side].partner[there] == np.arange(len(there))
    return mutual & stands[side] & stands[1 - side][there]


def _units(found: tuple[Found, Found], null: Sequence[Evidence], side: int) -> pd.DataFrame:
    stands = null[0].q < Q_LIMIT, null[1].q < Q_LIMIT
    every = np.ones(len(stands[0]), dtype=bool), np.ones(len(stands[1]), dtype=bool)
    own = null[side]
    return pd.DataFrame(
        {
            "correlation": found[side].correlation, "second": found[side].second,
            "mutual": _partners(found, every, side), "is_partner": _partners(found, stands, side),
            "p_value": own.p, "q_value": own.q, "null_high": own.high,
        }
    )  # fmt: skip


def _told(a: Means, b: Means, clips: Clips, pairs: tuple[IntArray, IntArray]) -> pd.DataFrame:
    """How alike pairs are on clips that did not choose them."""
    whole = correlations(a, b, pairs, clips.unit)
    within = correlations(a, b, pairs, clips.unit, clips.labels)
    return pd.DataFrame(
        {
            "held_out": whole.r, "held_out_low": whole.low, "held_out_high": whole.high, "within": within.r,
            "within_low": within.low, "within_high": within.high, "within_p": within.p,
            "within_q": benjamini_hochberg(within.p),
        }
    )  # fmt: skip
