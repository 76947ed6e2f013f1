"""Reads of units of two models that respond alike; models by the names that pages and ``--model`` know them by."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from core.results import wilson
from db.reads.frames import frame
from db.reads.keys import NEURON_ID
from db.schema.matching import UnitPartner
from db.schema.study import out_of_units

_OF_MATCHING = """
        FROM matching
        JOIN model ON model.id = matching.model_id
        JOIN model AS partner ON partner.id = matching.partner_model_id
        JOIN dataset ON dataset.id = matching.dataset_id"""
_NUMBERS = out_of_units(
    UnitPartner, "correlation second null_high held_out held_out_low held_out_high within within_low within_high"
)


def matchings(engine: Engine, model: str) -> pd.DataFrame:
    """Return with which models a model's units were matched, and how many have a partner there.

    Returns
    -------
    DataFrame
        ``partner_model``, ``dataset``, ``n_matched``, ``n_alike`` (more alike than on dealt clips, q < 0.05, mutual or
        not), ``n_partners``, ``n_beyond``, ``null_share``, ``null_share_high``, ``n_clips``, ``n_held_out``,
        ``n_sampling_units``, ``dealt``, ``n_deals``, ``taken_out``.
    """
    return frame(
        engine,
        f"""
        SELECT partner.name AS partner_model, dataset.name AS dataset, matching.n_matched,
               (SELECT COUNT(*) FROM unit_partner
                WHERE unit_partner.matching_id = matching.id AND unit_partner.q_value < 0.05) AS n_alike,
               matching.n_partners, matching.n_beyond, matching.null_share, matching.null_share_high,
               matching.n_clips, matching.n_held_out, matching.n_sampling_units, matching.dealt, matching.n_deals,
               matching.taken_out{_OF_MATCHING}
        WHERE model.name = :model
        ORDER BY partner.id, dataset.id
        """,
        model=model,
    )


def partners_by_layer(engine: Engine, model: str, dataset: str) -> pd.DataFrame:
    """Return how many units of each layer have a partner, in each model that they were matched with.

    Returns
    -------
    DataFrame
        ``partner_model``, ``layer``, ``n_matched``, ``n_partners``, ``n_beyond``; ``share``, ``low``, ``high`` (of
        partners; Wilson, 95 %, as if units were independent).
    """
    rows = frame(
        engine,
        f"""
        SELECT partner.name AS partner_model, neuron.layer, COUNT(*) AS n_matched,
               CAST(SUM(unit_partner.is_partner) AS INTEGER) AS n_partners,
               CAST(SUM(unit_partner.is_beyond) AS INTEGER) AS n_beyond{_OF_MATCHING}
        JOIN unit_partner ON unit_partner.matching_id = matching.id
        JOIN neuron ON neuron.id = unit_partner.neuron_id
        WHERE model.name = :model AND dataset.name = :dataset
        GROUP BY partner.id, partner.name, neuron.layer
        ORDER BY partner.id, neuron.layer
        """,
        model=model,
        dataset=dataset,
    )
    return _with_share(rows, "n_matched")


def partners(engine: Engine, model: str, partner: str, dataset: str) -> pd.DataFrame:
    """Return the units of two models that are each other's partner, those first that are most alike on held-out clips.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``partner_layer``, ``partner_neuron``, ``correlation``, ``second``, ``null_high``,
        ``held_out``, ``held_out_low``, ``held_out_high``, ``within``, ``within_low``, ``within_high``, ``is_beyond``.
    """
    return frame(
        engine,
        f"""
        SELECT neuron.layer, neuron.neuron, other.layer AS partner_layer, other.neuron AS partner_neuron,
               {_NUMBERS}, unit_partner.is_beyond{_OF_MATCHING}
        JOIN unit_partner ON unit_partner.matching_id = matching.id AND unit_partner.is_partner = 1
        JOIN neuron ON neuron.id = unit_partner.neuron_id
        JOIN neuron AS other ON other.id = unit_partner.partner_id
        WHERE model.name = :model AND partner.name = :partner AND dataset.name = :dataset
        ORDER BY unit_partner.held_out DESC NULLS LAST, unit_partner.correlation DESC, neuron.id
        """,
        model=model,
        partner=partner,
        dataset=dataset,
    )


def partner_shares(engine: Engine, model: str, partner: str, task: str, preset: str) -> pd.DataFrame:
    """Return how many of each class's units have a partner, beside all units of the model.

    Returns
    -------
    DataFrame
        ``class_name``, ``n_units``, ``n_partners``, ``n_beyond``, ``n_matched`` and ``n_all`` (units of the model,
        and those of them that have a partner), ``null_share``; ``share``, ``low``, ``high`` (of partners; Wilson,
        95 %, as if units were independent); in the order of the classes.
    """
    rows = frame(
        engine,
        f"""
        SELECT task_class.name AS class_name, COUNT(*) AS n_units,
               CAST(SUM(unit_partner.is_partner) AS INTEGER) AS n_partners,
               CAST(SUM(unit_partner.is_beyond) AS INTEGER) AS n_beyond, matching.n_matched,
               matching.n_partners AS n_all, matching.null_share{_OF_MATCHING}
        JOIN task ON task.dataset_id = dataset.id
        JOIN model_task ON model_task.model_id = model.id AND model_task.task_id = task.id
        JOIN selection ON selection.model_task_id = model_task.id
        JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
        JOIN unit_partner ON unit_partner.matching_id = matching.id
            AND unit_partner.neuron_id = class_specific_neuron.neuron_id
        JOIN task_class ON task_class.id = class_specific_neuron.class_id
        WHERE model.name = :model AND partner.name = :partner AND task.name = :task AND selection.preset = :preset
        GROUP BY task_class.name, task_class.position, matching.n_matched, matching.n_partners, matching.null_share
        ORDER BY task_class.position
        """,
        model=model,
        partner=partner,
        task=task,
        preset=preset,
    )
    return _with_share(rows, "n_units")


def _with_share(rows: pd.DataFrame, total: str) -> pd.DataFrame:
    n = rows[total].astype("float64")
    low, high = wilson(rows["n_partners"].astype("float64") / n, n)
    return rows.assign(share=rows["n_partners"] / n, low=low, high=high)


def neuron_partners(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return the most alike unit of each model that a neuron was matched with, over each dataset.

    Returns
    -------
    DataFrame
        ``partner_model``, ``dataset``, ``partner_layer``, ``partner_neuron``, ``is_partner``, ``is_beyond``,
        ``mutual``, ``q_value``, and the numbers of `partners`; ``n_deals``, ``taken_out``.
    """
    return frame(
        engine,
        f"""
        SELECT partner.name AS partner_model, dataset.name AS dataset, other.layer AS partner_layer,
               other.neuron AS partner_neuron, unit_partner.is_partner, unit_partner.is_beyond, unit_partner.mutual,
               unit_partner.q_value, {_NUMBERS}, matching.n_deals, matching.taken_out{_OF_MATCHING}
        JOIN unit_partner ON unit_partner.matching_id = matching.id
        JOIN neuron AS other ON other.id = unit_partner.partner_id
        WHERE model.name = :model AND unit_partner.neuron_id = {NEURON_ID}
        ORDER BY partner.id, dataset.id
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )
