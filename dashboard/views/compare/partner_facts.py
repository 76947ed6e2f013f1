"""What is told of units that have a partner in another model; pure functions of frames of `db.reads.matching`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared.text.numbers import number
from dashboard.shared.text.words import plain

DEALT = "dealt clips"


def answer(row: Mapping[Any, Any], model: str, other: str, beside: Mapping[Any, Any] | None) -> str:
    """Tell in Markdown how many units have a partner, beside dealt clips and the untrained twin.

    Parameters
    ----------
    row : mapping
        Of `db.reads.matching.matchings`: ``model`` with ``other`` over one dataset.
    model, other : str
    beside : mapping or None
        The same with an untrained model.
    """
    n = row["n_matched"]
    text = (
        f"**{row['n_partners'] / n:.1%}** of the {n:,} neurons of {plain(model)} have a partner in {plain(other)} "
        f"(dealt clips {number(row['null_share'], '.1%')}, up to {number(row['null_share_high'], '.1%')}): each "
        f"is the other’s most alike over the clips of {plain(row['dataset'])}"
    )
    if beside is not None:
        text += f"; in {plain(beside['partner_model'])} **{beside['n_partners'] / beside['n_matched']:.1%}** have one"
    beyond = f" {row['n_beyond'] / n:.1%} are alike beyond {plain(row['taken_out'])}." if row["taken_out"] else ""
    return (
        f"{text}.{beyond} Without asking that it be mutual, {row['n_alike'] / n:.0%} find one more alike than chance."
    )


def how_alike(pairs: pd.DataFrame) -> str:
    """Tell how alike partners are on clips that did not choose them."""
    held, within = pairs["held_out"].dropna(), pairs["within"].dropna()
    if held.empty:
        return "No clips are held out, so how alike partners are is told by those that chose them alone."
    ends = [number(float(held.quantile(q)), ".2f") for q in (0.5, 0.1, 0.9)]
    text = f"On held-out clips partners correlate by {ends[0]} in the median (the middle 80 %: {ends[1]} to {ends[2]})"
    return (
        f"{text}, with the classes’ means taken out by {number(within.median(), '.2f')}." if len(within) else f"{text}."
    )


def layer_shares(by_layer: pd.DataFrame, models: list[str], null_share: float) -> pd.DataFrame:
    """Share of each layer's units that have a partner in each of some models, and on dealt clips.

    Returns
    -------
    DataFrame
        ``beside`` (a model, or dealt clips), ``layer``, ``n_matched``, ``n_partners``, ``share``, ``low``, ``high``
        (95 %; NaN for dealt clips).
    """
    rows = by_layer[by_layer["partner_model"].isin(models)]
    rows = rows.assign(beside=rows["partner_model"])
    layers = sorted(set(rows["layer"]))
    null = pd.DataFrame({"beside": DEALT, "layer": layers, "share": null_share})
    columns = ["beside", "layer", "n_matched", "n_partners", "share", "low", "high"]
    return pd.concat([rows, null], ignore_index=True)[columns]


def grid(pairs: pd.DataFrame, widths: pd.Series, other_widths: pd.Series) -> pd.DataFrame:
    """Count partners by the layers of both: ``layer``, ``partner_layer``, ``n_partners``, ``expected`` by chance."""
    counts = pairs.groupby(["layer", "partner_layer"]).size()
    every = pd.MultiIndex.from_product([widths.index, other_widths.index], names=["layer", "partner_layer"])
    cells = counts.reindex(every, fill_value=0).rename("n_partners").reset_index()
    share = widths.reindex(cells["layer"]).to_numpy() * other_widths.reindex(cells["partner_layer"]).to_numpy()
    return cells.assign(expected=len(pairs) * share / (widths.sum() * other_widths.sum()))


def depth_sentence(cells: pd.DataFrame) -> str:
    """Tell how far from the diagonal partners lie, where both models have as many layers."""
    total = int(cells["n_partners"].sum())
    if not total or set(cells["layer"]) != set(cells["partner_layer"]) or cells["layer"].nunique() < 2:
        return ""
    same = cells["layer"] == cells["partner_layer"]
    near = (cells["layer"] - cells["partner_layer"]).abs() <= 1
    told = [
        f"{of['n_partners'].sum() / total:.0%} {what} (expected {of['expected'].sum() / total:.0%})"
        for of, what in ((cells[same], "lie in the same layer"), (cells[near], "at most one layer apart"))
    ]
    return f"Of {total:,} pairs {', '.join(told)}."


def class_rows(shares: pd.DataFrame) -> pd.DataFrame:
    """Add ``base`` (share of all units that have a partner) and ``clear`` (it lies outside the class's interval)."""
    base = shares["n_all"] / shares["n_matched"]
    return shares.assign(base=base, clear=(base < shares["low"]) | (base > shares["high"]))


def class_sentence(rows: pd.DataFrame) -> str:
    """Tell how many classes' units have a partner more often, and less often, than all units."""
    more, less = int((rows["low"] > rows["base"]).sum()), int((rows["high"] < rows["base"]).sum())
    n, units = len(rows), int(rows["n_units"].sum())
    pooled = rows["n_partners"].sum() / units if units else np.nan
    base = number(rows["base"].iloc[0], ".1%")
    return (
        f"Of class-specific neurons {number(pooled, '.1%')} have a partner, of all {base}: more often in {more} and "
        f"less often in {less} of {n} classes by more than the 95 % interval (one of 20 would by chance)."
    )
