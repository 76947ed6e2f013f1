"""What a unit does in segments of clips: for each task in time its best class, with evidence and curve."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import address, command, data, draw, sections, share
from dashboard.shared.charts.in_time import curve_chart
from dashboard.shared.text import in_time as told
from dashboard.shared.text import words
from dashboard.shared.text.numbers import counted
from dashboard.views.neuron.parts import One
from db.reads import segments

CURVE_WIDTH = 330  # pixels


def in_time(one: One, answers: pd.DataFrame, selectivity: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """The best class of each task in time; arguments as of `dashboard.views.neuron.parts`."""
    head = sections.heading(
        "In time",
        help="Rate in a class’s segments over the mean rate in other classes’ (lift), with q beside labels shifted in "
        "time, and the rate around onsets over the band of shifted activity. *Time* has all classes and units.",
    )
    rows = data.read(one.store, segments.of_unit, one.model, *one.place)
    if rows.empty:
        st.caption("No segments were counted for this model. Where clips have segments, this command counts them:")
        command.show({**command.ALL, "--model": one.model})
        return
    curves = data.read(one.store, segments.unit_curves, one.model, *one.place)
    top = float(curves[["activation_probability", "null_high"]].max().max()) if len(curves) else 1.0
    has_curve = set(zip(curves["task"], curves["class_name"], strict=True))
    best_of_tasks = rows.drop_duplicates("task").sort_values(["is_class_specific", "q_value"], ascending=[False, True])
    every = best_of_tasks.to_dict("records")
    shown = [best for best in every if best["is_class_specific"] or (best["task"], best["class_name"]) in has_curve]
    grid = st.grid(2, min_column_width=CURVE_WIDTH, gap="large")
    for best in shown:
        with grid.container(gap="xxsmall"):
            sentence = told.unit_sentence(best, str(best["class_name"]), best["column_seconds"])
            st.markdown(f"**{_link(one, best)}**: {sentence}")
            own = curves[(curves["task"] == best["task"]) & (curves["class_name"] == best["class_name"])]
            if own.empty:
                st.caption("Its curve is not kept: it is not among the strongest of the class.")
                continue
            around = f"Around onsets of {words.plain(best['class_name'])}"
            draw.chart(
                curve_chart, own.drop(columns=["task", "class_name"]), bool(best["is_class_specific"]), top,
                name=f"in_time_{best['task']}_{one.name}", head=sections.subheading(around),
                alt=f"Rate around onsets of {best['class_name']} of {best['task']}, over the band of shifted activity",
            )  # fmt: skip
    if others := [best for best in every if best not in shown]:
        links = ", ".join(_link(one, best) for best in sorted(others, key=lambda best: str(best["task"])))
        st.caption(f"Specific for no class of {counted(len(others), 'task')} in time: {links}.")
    share.take_away(f"in_time_{one.name}", rows, head)


def _link(one: One, best: Mapping[Hashable, Any]) -> str:
    """A task's name that leads to its best class on *Time*."""
    place = address.relative(
        "time", model=one.model, time_task=best["task"], time_class=best["class_name"], layer=one.layer,
        neuron=one.neuron,
    )  # fmt: skip
    return f"[{words.plain(best['task'])}]({place})"
