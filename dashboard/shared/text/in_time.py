"""What a unit does in time, in words; pure functions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from dashboard.shared.text.numbers import BRACKETS, between, counted, number, share
from dashboard.shared.text.words import plain

PARTS = ("onset", "sustain", "offset")
Facts = Mapping[Hashable, Any]


def seconds(value: float) -> str:
    """Write a time.

    Examples
    --------
    >>> seconds(0.0816), seconds(1.25), seconds(-0.02), seconds(float("nan"))
    ('82 ms', '1.25 s', '−20 ms', '–')
    """
    if pd.isna(value):
        return "–"
    return f"{number(value * 1000, '.0f')} ms" if abs(value) < 1 else f"{number(value, '.3g')} s"


def latency(row: Facts) -> str:
    """Write a latency with its interval; what there is none of is said."""
    if pd.isna(row["is_beyond"]):
        return "no curve kept"
    if not row["is_beyond"]:
        return "within the band"
    if pd.isna(row["latency_seconds"]):
        return "before the curve begins"
    ends = between(row["latency_low"], row["latency_high"], seconds, BRACKETS)
    return f"{seconds(row['latency_seconds'])} {ends}"


def shape(row: Facts) -> str:
    """Write which part of a segment a unit answers to, as shares of what is over the rate outside.

    Examples
    --------
    >>> shape({"onset_index": 0.75, "sustain_index": 0.25, "offset_index": 0.0})
    'onset 75 %, sustain 25 %, offset 0 %'
    >>> shape({"onset_index": 1.0, "sustain_index": float("nan"), "offset_index": 0.0})
    'onset 100 %, no sustain, offset 0 %'
    """
    parts = {part: row[f"{part}_index"] for part in PARTS}
    if all(pd.isna(part) for part in parts.values()):
        return "–"
    return ", ".join(f"no {name}" if pd.isna(part) else f"{name} {share(part)}" for name, part in parts.items())


def short_shape(row: Facts) -> str:
    """Write the same for a narrow column that names the parts.

    Examples
    --------
    >>> short_shape({"onset_index": 0.75, "sustain_index": 0.25, "offset_index": 0.0})
    '75 / 25 / 0 %'
    """
    parts = [row[f"{part}_index"] for part in PARTS]
    if all(pd.isna(part) for part in parts):
        return "–"
    return " / ".join("–" if pd.isna(part) else f"{100 * part:.0f}" for part in parts) + " %"


def by_chance(facts: Facts) -> str:
    """Say how many units labels shifted in time give, over all classes and layers."""
    ends = between(facts["null_n_class_specific_low"], facts["null_n_class_specific_high"], ",.0f")
    return f"labels shifted in time give {number(facts['null_n_class_specific_mean'], ',.1f')} units in all ({ends})"


def unit_sentence(row: Facts, class_name: str, column_seconds: float) -> str:
    """Say what a unit does in the segments of a class: rate, lift, q, check, latency on columns of a length, shape."""
    lift = "only there" if row["lift"] == float("inf") else f"{number(row['lift'], '.1f')}× the others"
    if pd.isna(row["lift"]):
        lift = "in no class"
    held = {1: "holds on test clips", 0: "does not hold on test clips"}.get(
        int(row["replicated"]) if pd.notna(row["replicated"]) else -1, "not tested on test clips"
    )
    found = "" if row["is_class_specific"] else "**Not found specific**: "
    text = (
        f"{found}fires at {share(row['activation_probability'])} of the tokens in {plain(class_name)} ({lift}, "
        f"q {number(row['q_value'], '.2g')}, {held})."
    )
    if pd.isna(row["is_beyond"]):
        return text
    if row["is_beyond"]:
        text += (
            f" Latency {latency(row)}, on columns of {seconds(column_seconds)}: half of its peak after "
            f"{counted(int(row['n_onsets']), 'onset')}."
        )
    else:
        text += f" Around {counted(int(row['n_onsets']), 'onset')} its curve stays within the band of shifted activity."
    told = shape(row)
    return text if told == "–" else f"{text} Over its rate outside: {told}."
