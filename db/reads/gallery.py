"""Reads of many neurons at once: which are wanted, what each is selective for, and the clip to hear it in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Engine, bindparam, text

from db.reads.clips import times
from db.reads.frames import frame, only_if
from db.reads.keys import ATTRIBUTION_ID, CLASS_ID, MODEL_TASK_ID, SELECTION_ID
from db.schema.evidence import NeuronAttribution
from db.schema.patterns import decode
from db.schema.study import out_of_units

SHOWN = ("specific", "replicated", "all")
"""Which neurons: those that the preset finds class-specific, those of them replicated on test clips, all that fire."""
ORDERS = {
    "evidence": "shown.p_value NULLS LAST, shown.lift DESC NULLS LAST, neuron_entropy.entropy_rank",
    "lift": "shown.lift DESC NULLS LAST, neuron_entropy.entropy_rank",
    "entropy": "neuron_entropy.entropy_rank",
    "effect": "neuron_attribution_value.attribution DESC NULLS LAST, neuron_entropy.entropy_rank",
    "place": "neuron.flat_index",
}
Z = 1.959963984540054
"""Standard errors to the end of a 95 % interval."""
_ATTRIBUTION, _ERROR = (out_of_units(NeuronAttribution, name) for name in ("attribution", "standard_error"))
_EFFECT = f"""neuron_attribution_value.attribution_id = {ATTRIBUTION_ID}
                AND neuron_attribution_value.neuron_id = {{neuron}}
                AND neuron_attribution_value.class_id = {{of_class}}"""
_CLASS = "COALESCE(shown.class_id, neuron_entropy.top_class_id)"
_EFFECT_OF_SHOWN = _EFFECT.format(neuron="neuron_entropy.neuron_id", of_class=_CLASS)
_PATTERN = ("neuron_id", "clip_id", "peak", "strength", "column_seconds", "band_edges_hz")


@dataclass(frozen=True)
class Wanted:
    """Which neurons cards are of, and in which order.

    Attributes
    ----------
    model, task, preset : str
    class_name : str or None
        Neurons whose class is another are left out.
    show : str
        One of `SHOWN`.
    layer : int or None
    entropy : (float, float) or None
        In nats, ends included.
    has_effect : bool
        Only those without which the class is estimated to lose margin, with a 95 % interval above 0.
    order : str
        One of `ORDERS`.
    """

    model: str
    task: str
    preset: str
    class_name: str | None = None
    show: str = "specific"
    layer: int | None = None
    entropy: tuple[float, float] | None = None
    has_effect: bool = False
    order: str = "evidence"


def found(engine: Engine, wanted: Wanted) -> pd.DataFrame:
    """Return the neurons of a task that are wanted, in the order that is wanted.

    Returns
    -------
    DataFrame
        ``neuron_id`` and ``class_id``: a neuron's class is the one of the strongest evidence among those that the
        preset finds it specific for, or, where it is specific for none, the one of its highest activation probability.
    """
    # Two numbers each: what else is known of a neuron would take half as long again, for tens of thousands.
    statement = f"{_found(wanted, '')}\n        SELECT neuron_id, class_id FROM found ORDER BY number"
    return frame(engine, statement, **_parameters(wanted)).astype("int32")


def places(engine: Engine, model: str) -> pd.DataFrame:
    """Return where the neurons of a model sit, in order: ``neuron_id``, ``flat_index``, ``layer``, ``neuron``."""
    rows = frame(
        engine,
        """
        SELECT neuron.id AS neuron_id, neuron.flat_index, neuron.layer, neuron.neuron
        FROM neuron JOIN model ON model.id = neuron.model_id
        WHERE model.name = :model
        ORDER BY neuron.id
        """,
        model=model,
    )
    return rows.astype("int32")


def cards(engine: Engine, wanted: Wanted, neuron_ids: tuple[int, ...]) -> pd.DataFrame:
    """Return what cards tell of some of the neurons that `found` finds.

    Parameters
    ----------
    wanted : Wanted
    neuron_ids : tuple of int
        In the order that cards are to have.

    Returns
    -------
    DataFrame
        ``neuron_id``, ``layer``, ``neuron``, ``class_id``, ``class_name``, ``is_specific`` (1, or 0), ``n_specific``
        (classes that it is specific for), ``lift``, ``lift_low``, ``lift_high``, ``q_value``, ``replicated``,
        ``entropy``, ``entropy_q_value``, ``max_probability``, ``top_class``, ``attribution``,
        ``standard_error`` (in logits; NaN where none was computed).
    """
    statement = f"""{_found(wanted, " AND {table}.neuron_id IN :neuron_ids")}
        SELECT neuron.id AS neuron_id, neuron.layer, neuron.neuron, found.class_id, task_class.name AS class_name,
               CASE WHEN chosen.neuron_id IS NULL THEN 0 ELSE 1 END AS is_specific,
               (SELECT COUNT(*) FROM class_specific_neuron AS every
                WHERE every.selection_id = {SELECTION_ID} AND every.neuron_id = found.neuron_id) AS n_specific,
               chosen.lift, chosen.lift_low, chosen.lift_high, chosen.q_value, chosen.replicated,
               neuron_entropy.entropy, neuron_entropy.q_value AS entropy_q_value, neuron_entropy.max_probability,
               top.name AS top_class, {_ATTRIBUTION}, {_ERROR}
        FROM found
        JOIN neuron ON neuron.id = found.neuron_id
        JOIN neuron_entropy ON neuron_entropy.model_task_id = {MODEL_TASK_ID}
            AND neuron_entropy.neuron_id = found.neuron_id
        JOIN task_class ON task_class.id = found.class_id
        JOIN task_class AS top ON top.id = neuron_entropy.top_class_id
        LEFT JOIN class_specific_neuron AS chosen ON chosen.selection_id = {SELECTION_ID}
            AND chosen.neuron_id = found.neuron_id AND chosen.class_id = found.class_id
        LEFT JOIN neuron_attribution_value
            ON {_EFFECT.format(neuron="found.neuron_id", of_class="found.class_id")}
        ORDER BY found.number
        """
    among = text(statement).bindparams(bindparam("neuron_ids", expanding=True))
    rows = frame(engine, among, **_parameters(wanted), neuron_ids=list(neuron_ids))
    place = {neuron_id: i for i, neuron_id in enumerate(neuron_ids)}
    return rows.sort_values("neuron_id", key=lambda ids: ids.map(place), ignore_index=True)


def specific_for(engine: Engine, model: str, task: str, preset: str, class_name: str) -> pd.DataFrame:
    """Return ``neuron_id`` of every neuron that a preset finds specific for a class, in their order."""
    return frame(
        engine,
        f"""
        SELECT neuron_id FROM class_specific_neuron
        WHERE selection_id = {SELECTION_ID} AND class_id = {CLASS_ID}
        ORDER BY neuron_id
        """,
        model=model,
        task=task,
        preset=preset,
        class_name=class_name,
    )


def _found(wanted: Wanted, among: str) -> str:
    """The beginning of a statement: which neurons, each with its class and its place in the order.

    ``among`` is a further condition on a ``{table}``.
    """
    return f"""
        WITH {_pairs(wanted, among.format(table="class_specific_neuron"))}found AS MATERIALIZED (
            SELECT neuron_entropy.neuron_id, {_CLASS} AS class_id,
                   ROW_NUMBER() OVER (ORDER BY {ORDERS[wanted.order]}, neuron.flat_index) AS number
            FROM neuron_entropy
            JOIN neuron ON neuron.id = neuron_entropy.neuron_id
            {"LEFT JOIN" if wanted.show == "all" else "JOIN"} {_shown(wanted)}
            {_effect_join(wanted)}
            WHERE neuron_entropy.model_task_id = {MODEL_TASK_ID} AND neuron_entropy.top_class_id IS NOT NULL
                {_of_neurons(wanted)}{among.format(table="neuron_entropy")}
        )"""


def _parameters(wanted: Wanted) -> dict[str, Any]:
    low, high = wanted.entropy or (None, None)
    return {
        "model": wanted.model, "task": wanted.task, "preset": wanted.preset, "class_name": wanted.class_name,
        "layer": wanted.layer, "low": low, "high": high,
    }  # fmt: skip


def _pairs(wanted: Wanted, among: str) -> str:
    """The class of each neuron, where none is asked for."""
    if wanted.class_name is not None:
        return ""
    return f"""pair AS MATERIALIZED (
            SELECT neuron_id, class_id, p_value, lift,
                   ROW_NUMBER() OVER (
                       PARTITION BY neuron_id ORDER BY p_value NULLS LAST, lift DESC NULLS LAST, class_id
                   ) AS place
            FROM class_specific_neuron
            WHERE selection_id = {SELECTION_ID}{" AND replicated = 1" if wanted.show == "replicated" else ""}{among}
        ), """


def _shown(wanted: Wanted) -> str:
    """What `_pairs` found; of a class that is asked for its pairs by key: SQLite would look through all of them."""
    if wanted.class_name is None:
        return "pair AS shown ON shown.neuron_id = neuron_entropy.neuron_id AND shown.place = 1"
    return f"""class_specific_neuron AS shown ON shown.selection_id = {SELECTION_ID}
                AND shown.neuron_id = neuron_entropy.neuron_id AND shown.class_id = {CLASS_ID}
                {"AND shown.replicated = 1" if wanted.show == "replicated" else ""}"""


def _effect_join(wanted: Wanted) -> str:
    if wanted.has_effect:  # CROSS JOIN keeps the order of the joins: SQLite would read the effects of all classes
        return "CROSS JOIN neuron_attribution_value"
    if wanted.order != "effect":
        return ""
    return f"LEFT JOIN neuron_attribution_value ON {_EFFECT_OF_SHOWN}"


def _of_neurons(wanted: Wanted) -> str:
    parts = [
        only_if(wanted.class_name, f"{_CLASS} = {CLASS_ID}"),
        only_if(wanted.layer, "neuron.layer = :layer"),
        only_if(wanted.entropy, "neuron_entropy.entropy BETWEEN :low AND :high"),
        only_if(
            wanted.has_effect or None,
            f"{_EFFECT_OF_SHOWN}\n"
            f"                AND neuron_attribution_value.attribution > {Z} * neuron_attribution_value.standard_error",
        ),
    ]
    return "".join(parts)


def card_clips(engine: Engine, model: str, task: str, neuron_ids: tuple[int, ...]) -> pd.DataFrame:
    """Return the clips of a task's dataset that some neurons answer to most, strongest first.

    Returns
    -------
    DataFrame
        ``neuron_id``, ``rank``, ``clip_id``, ``activation_rate``, ``root``, ``path``, ``file_sha256``,
        ``duration_seconds``, ``classes`` (tuple of the clip's classes in the task).
    """
    statement = text(
        """
        SELECT top_clip.neuron_id, top_clip.rank, top_clip.clip_id, top_clip.activation_rate, dataset.root, clip.path,
               clip.file_sha256, clip.duration_seconds
        FROM model
        JOIN task ON task.name = :task
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN model_dataset ON model_dataset.model_id = model.id AND model_dataset.dataset_id = dataset.id
        JOIN top_clip ON top_clip.model_dataset_id = model_dataset.id AND top_clip.neuron_id IN :neuron_ids
        JOIN clip ON clip.id = top_clip.clip_id
        WHERE model.name = :model
        ORDER BY top_clip.neuron_id, top_clip.rank
        """
    ).bindparams(bindparam("neuron_ids", expanding=True))
    rows = frame(engine, statement, model=model, task=task, neuron_ids=list(neuron_ids))
    classes = _classes_of(engine, task, tuple(int(one) for one in rows["clip_id"].unique()))
    of_rows = pd.Series([classes.get(int(clip_id), ()) for clip_id in rows["clip_id"]], index=rows.index, dtype=object)
    return rows.assign(classes=of_rows)


def _classes_of(engine: Engine, task: str, clip_ids: tuple[int, ...]) -> dict[int, tuple[str, ...]]:
    statement = text(
        """
        SELECT clip_label.clip_id, clip_label.value
        FROM task JOIN clip_label ON clip_label.attribute_id = task.attribute_id AND clip_label.clip_id IN :clip_ids
        WHERE task.name = :task
        ORDER BY clip_label.clip_id, clip_label.value
        """
    ).bindparams(bindparam("clip_ids", expanding=True))
    found: dict[int, tuple[str, ...]] = {}
    for clip_id, value in frame(engine, statement, task=task, clip_ids=list(clip_ids)).itertuples(index=False):
        found[int(clip_id)] = (*found.get(int(clip_id), ()), str(value))
    return found


def card_patterns(
    engine: Engine, model: str, task: str, neuron_ids: tuple[int, ...], clip_ids: tuple[int, ...]
) -> pd.DataFrame:
    """Return when and where some neurons fire in some clips, as `db.reads.clips.neuron_patterns` does for one.

    Returns
    -------
    DataFrame
        ``neuron_id``, ``clip_id``, ``peak``, ``strength``, ``column_seconds``, ``band_edges_hz``.
    """
    statement = text(
        """
        SELECT neuron.id AS neuron_id, clip_pattern.patterns, token_grid.column_seconds, token_grid.span_seconds,
               token_grid.chunk_seconds, token_grid.chunk_columns, token_grid.band_edges_json, clip.id AS clip_id,
               clip.duration_seconds
        FROM model
        JOIN task ON task.name = :task
        JOIN model_dataset ON model_dataset.model_id = model.id AND model_dataset.dataset_id = task.dataset_id
        JOIN clip_pattern ON clip_pattern.model_dataset_id = model_dataset.id
            AND clip_pattern.neuron_id IN :neuron_ids
        JOIN neuron ON neuron.id = clip_pattern.neuron_id
        JOIN token_grid ON token_grid.model_id = model.id AND token_grid.layer = neuron.layer
        JOIN clip ON clip.dataset_id = task.dataset_id AND clip.id IN :clip_ids
        WHERE model.name = :model
        ORDER BY neuron.id
        """
    ).bindparams(bindparam("neuron_ids", expanding=True), bindparam("clip_ids", expanding=True))
    stored = frame(engine, statement, model=model, task=task, neuron_ids=list(neuron_ids), clip_ids=list(clip_ids))
    durations = dict(zip(stored["clip_id"], stored["duration_seconds"], strict=True))
    rows: list[tuple[Any, ...]] = []
    for _, grid in stored.drop_duplicates("neuron_id").iterrows():
        edges = tuple(json.loads(grid["band_edges_json"]))
        for clip_id, peak, strength in decode(grid["patterns"]):
            if clip_id in durations:
                step, _, _ = times(grid, strength.shape[1], float(durations[clip_id]))
                rows.append((grid["neuron_id"], clip_id, peak, strength, step, edges))
    return pd.DataFrame(rows, columns=list(_PATTERN))
