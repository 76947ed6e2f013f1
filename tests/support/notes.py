"""Notes for the made-up study: a task of eight classes becomes one of MIDI notes, with tuned neurons."""

from __future__ import annotations

import sqlite3

NOTES = (57, 59, 60, 62, 64, 65, 67, 69)  # of the classes A3, B3, C4, ...


def make_notes(connection: sqlite3.Connection, task: str) -> None:
    """Give a task of eight classes the names of notes, and each class's neurons a tuning."""
    names = [row[0] for row in connection.execute(
        "SELECT task_class.name FROM task_class JOIN task ON task.id = task_id WHERE task.name = ? ORDER BY position",
        (task,),
    )]  # fmt: skip
    for name, note in zip(names, NOTES, strict=True):
        of_task = "(SELECT id FROM task WHERE name = ?)"
        connection.execute(f"UPDATE task_class SET name = ? WHERE name = ? AND task_id = {of_task}", (note, name, task))
        attribute = "(SELECT attribute_id FROM task WHERE name = ?)"
        connection.execute(
            f"UPDATE clip_label SET value = ? WHERE value = ? AND attribute_id = {attribute}", (note, name, task)
        )
    rows = connection.execute(
        """
        SELECT selection.model_task_id, neuron_id, MIN(CAST(task_class.name AS INTEGER))
        FROM class_specific_neuron
        JOIN selection ON selection.id = selection_id
        JOIN task_class ON task_class.id = class_id
        JOIN task ON task.id = task_class.task_id
        WHERE task.name = ? GROUP BY selection.model_task_id, neuron_id ORDER BY neuron_id
        """,
        (task,),
    ).fetchall()
    for place, (owner, neuron, note) in enumerate(rows):
        width = None if place % 5 == 0 else 1.0 + place % 7
        low = -0.2 + 0.1 * (place % 4)
        connection.execute(
            "INSERT INTO pitch_tuning VALUES (?, ?, ?, 0.1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (owner, neuron, 0.5 + place % 3 / 10, note, note - 1, note + 1, note, note, note, width,
             width, width, low + 0.15, low, low + 0.3),
        )  # fmt: skip
