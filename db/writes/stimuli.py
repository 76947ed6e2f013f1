"""Rows of made sounds, and of what they say of classes."""

from __future__ import annotations

from sqlalchemy import Connection

from core.results import ConfoundAnswers, StimulusStudy
from db.schema import stimuli as schema
from db.writes.frames import insert_frame
from db.writes.rows import insert_row, task_id


def insert_study(connection: Connection, ids: dict[str, int], first_neuron: int, study: StimulusStudy) -> None:
    """Insert a set, its factors and levels, and what it is to units; ``ids`` of the model, the run and the stage."""
    owner = insert_row(connection, schema.StimulusSet, **ids, name=study.stimulus_set, **study.facts)
    tables = (
        (schema.StimulusFactor, study.factors), (schema.StimulusLevel, study.levels),
        (schema.StimulusLayer, study.layers), (schema.UnitFactor, study.units), (schema.UnitTuning, study.points),
        (schema.UnitInvariance, study.pairs),
    )  # fmt: skip
    for table, rows in tables:
        if len(rows):
            insert_frame(connection, table, rows, first_neuron, stimulus_set_id=owner)


def insert_answers(connection: Connection, ids: dict[str, int], answers: ConfoundAnswers) -> None:
    """Insert what made sounds say of a model's class-specific units; ``ids`` as for `insert_study`."""
    insert_row(connection, schema.ConfoundAnswers, **ids)
    tasks = {name: task_id(connection, name) for name in answers.rows["task"].unique()}
    if tasks:
        rows = answers.rows.assign(task_id=answers.rows["task"].map(tasks), place=range(len(answers.rows)))
        insert_frame(connection, schema.ConfoundAnswer, rows, model_id=ids["model_id"])
