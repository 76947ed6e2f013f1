"""What the page of made sounds says and counts; pure functions over frames of `db.reads.stimuli`."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboard.shared import address


def shares_by_layer(layers: pd.DataFrame) -> pd.DataFrame:
    """Shares of a layer's units that vary: those that a factor explains most, and those that a permutation gives.

    Parameters
    ----------
    layers : DataFrame
        Of `db.reads.stimuli.layers`.

    Returns
    -------
    DataFrame
        With ``leading``, ``found``, ``permuted``, ``permuted_high``.
    """
    n = layers["n_varying"].clip(lower=1)
    return layers.assign(
        leading=layers["n_leading"] / n, found=layers["n_found"] / n, permuted=layers["null_mean"] / n,
        permuted_high=layers["null_high"] / n,
    )  # fmt: skip


def places(asked: str | None, n_levels: Sequence[int]) -> list[int] | None:
    """Places of levels, from an address such as ``0.2.1``; the middle ones of none, None of a wrong one.

    Examples
    --------
    >>> places("0.2", [3, 3]), places(None, [3, 4]), places("0.9", [3, 3])
    ([0, 2], [1, 2], None)
    """
    if asked is None:
        return [n // 2 for n in n_levels]
    parts = asked.split(".")
    if len(parts) != len(n_levels) or not all(part.isdecimal() and len(part) < 4 for part in parts):
        return None
    found = [int(part) for part in parts]
    return found if all(at < n for at, n in zip(found, n_levels, strict=True)) else None


def table(ranked: pd.DataFrame, model: str) -> pd.DataFrame:
    """Ranked units with links to their pages; shares in percent."""
    links = [
        address.relative("neuron", model=model, layer=layer, neuron=neuron)
        for layer, neuron in zip(ranked["layer"], ranked["neuron"], strict=True)
    ]
    percent = {name: 100 * ranked[name] for name in ("shapley", "alone", "null_high")}
    return ranked.assign(link=links, **percent)
