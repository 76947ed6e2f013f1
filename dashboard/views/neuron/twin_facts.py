"""What is told of a neuron's most alike unit in another model, as `db.reads.matching.neuron_partners` gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboard.shared.text.facts import Q_LIMIT
from dashboard.shared.text.numbers import number, with_interval
from dashboard.shared.text.words import plain

FORM = "+.2f"


def sentence(row: Mapping[Any, Any], link: str) -> str:
    """Tell in Markdown which unit of another model is most alike, how alike on held-out clips, and what chance gives.

    Parameters
    ----------
    row : mapping
        One model and dataset.
    link : str
        To the other unit.
    """
    there = f"[L{int(row['partner_layer'])}·{int(row['partner_neuron'])}]({link})"
    other = plain(row["partner_model"])
    begin = f"Its twin in {other} is {there}" if row["is_partner"] else f"No twin in {other}: most alike is {there}"
    if pd.isna(row["held_out"]):
        how = f"r = {number(row['correlation'], FORM)} on the clips that chose it (none is held out)"
    else:
        alike = with_interval(row["held_out"], row["held_out_low"], row["held_out_high"], FORM)
        how = f"**r = {alike}** on held-out clips"
    best = number(row["null_high"], FORM)
    return f"{begin}, {how}; on dealt clips the best of all there reaches {best}. {_why(row)} {_within(row)}".strip()


def _why(row: Mapping[Any, Any]) -> str:
    if row["is_partner"]:
        return f"Each is the other’s most alike; the next best has {number(row['second'], FORM)}."
    if row["mutual"]:
        return "Each is the other’s most alike, yet no more than dealt clips give."
    closer = "That one has a closer one here"
    return f"{closer}." if row["q_value"] < Q_LIMIT else f"{closer}, and it is no more alike than dealt clips give."


def _within(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["within"]):
        return ""
    alike = with_interval(row["within"], row["within_low"], row["within_high"], FORM)
    text = f"With the means of {plain(row['taken_out'])} taken out r = {alike}"
    if not row["is_partner"]:
        return f"{text}."
    return f"{text}: alike beyond them." if row["is_beyond"] else f"{text}: not surely alike beyond them."


def usual(rows: pd.DataFrame, untrained: str = "-untrained") -> str:
    """The model to hear first: a trained one where there is one, with a twin where one has."""
    order = rows.assign(is_untrained=rows["partner_model"].str.endswith(untrained))
    order = order.sort_values(["is_untrained", "is_partner", "held_out"], ascending=[True, False, False], kind="stable")
    return str(order["partner_model"].iloc[0])
