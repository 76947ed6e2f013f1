"""What made sounds say of a task's class-specific units, and one unit's curves: parts that several pages show."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import data, draw, sections, share, tables
from dashboard.shared.charts import made as charts
from dashboard.shared.text import made, words
from db.reads import stimuli

MOST_CLASSES, MOST_FACTORS = 6, 3
CHART_WIDTH = 300  # pixels; narrower charts stand one below the other
HELP = (
    "Sounds in which one thing is changed and all else is held. Line: 95 % interval (Wilson) of the share of the "
    "class's units; grey tick: the same share among all units of the model that vary over the set."
)


def answers(store: data.Store, model: str, task: str, preset: str) -> pd.DataFrame:
    """What made sounds say of a task's class-specific units; no rows where they were not asked."""
    rows: pd.DataFrame = data.read(store, stimuli.answers, model, task, preset)
    return rows


def questions(rows: pd.DataFrame) -> list[str]:
    """Those that were answered, the one that is about this kind of task first."""
    return [question for question in made.QUESTIONS if question in set(rows["question"])]


def show_answers(rows: pd.DataFrame, question: str, classes: Sequence[str], head: DeltaGenerator) -> None:
    """A chart a class, and the same in a line."""
    of = rows[rows["question"] == question]
    if question == "follows":
        _follows(of, head)
        return
    shown = [name for name in classes if name in set(of["class_name"])]
    for line in made.answer_lines(of[of["class_name"].isin(shown[:MOST_CLASSES])]):
        st.markdown(f"- {line}")
    grid = st.grid(2 if len(shown) == 2 else 3, min_column_width=CHART_WIDTH, gap="medium")
    for name in shown[:MOST_CLASSES]:
        of_class = of[of["class_name"] == name]
        with grid.container(gap="xxsmall"):
            draw.chart(
                charts.answer_chart, of_class, name=f"made_{question}_{name}",
                head=sections.subheading(words.plain(name)),
                alt=f"Of the units specific for {name}, the share of whom each answer of made sounds holds",
            )  # fmt: skip
    share.take_away(f"made_{question}", of, head)


def show_notes(rows: pd.DataFrame, head: DeltaGenerator) -> None:
    """Whether units keep the note of their class over timbres and levels: all together, and class by class.

    Parameters
    ----------
    rows : DataFrame
        Of `answers`, of question ``note``, with ``task``.
    """
    for line in made.note_lines(rows):
        st.markdown(f"- {line}")
    shown = rows.assign(share=100 * rows["share"], share_all=100 * rows["share_all"])
    st.dataframe(
        shown, hide_index=True, height=min(38 + 35 * len(shown), 320), placeholder="–",
        column_order=["task", "class_name", "answer", "n_answer", "n_units", "share", "share_all", "q_value"],
        column_config={
            **tables.COLUMNS,
            "task": "Task",
            "answer": "Answer",
            "n_answer": "Units",
            "n_units": "of",
            "share": st.column_config.NumberColumn("Share", format="%.0f%%"),
            "share_all": st.column_config.NumberColumn("Of all units", format="%.0f%%"),
        },
        alt="What made tones say of the units of each note",
    )  # fmt: skip
    share.take_away("made_note", rows, head)


def _follows(of: pd.DataFrame, head: DeltaGenerator) -> None:
    """Factors that a class's units follow more often than others do."""
    told = made.most_telling(of, MOST_FACTORS)
    if told.empty:
        st.markdown("No class's units follow any factor more often than other units of the model do (q < 0.05).")
    for line in made.answer_lines(told.assign(answer=told["stimulus_set"] + ": " + told["answer"])):
        st.markdown(f"- {line}")
    share.take_away("made_follows", of, head)


def curves(store: data.Store, model: str, layer: int, neuron: int, factors: pd.DataFrame, most: int) -> None:
    """One unit's tuning over the factors that explain most."""
    tuning = data.read(store, stimuli.tuning, model, layer, neuron)
    order = made.curve_order(tuning, factors)
    if not order:
        st.caption("No curves are kept: no factor has q < 0.05 here, or each explains more in 4,000 other units.")
        return
    grid = st.grid(3, min_column_width=CHART_WIDTH, gap="medium")
    for name, factor in order[:most]:
        rows = tuning[(tuning["stimulus_set"] == name) & (tuning["factor"] == factor)]
        with grid.container(gap="xxsmall"):
            draw.chart(
                charts.tuning_chart, rows, name=f"tuning_{name}_{factor}_{model}_{layer}_{neuron}",
                head=sections.subheading(f"{words.plain(factor)} ({words.plain(name)})"),
                alt=f"Activation probability over the levels of {factor} of the made sounds {name}, with its band",
            )  # fmt: skip
