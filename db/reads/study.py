"""Reads of models, tasks and classes: each function takes an engine and returns a DataFrame or small values.

Tasks come in order of name, layers and neurons in order of index, classes in the order of their task.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Engine, text

from db.connection.open import schema_version
from db.reads.frames import frame, only_if, with_intervals
from db.schema.views.study import of_any_units, of_clips


def is_empty(engine: Engine) -> bool:
    """Return whether the store holds no scores yet."""
    return frame(engine, "SELECT id FROM model_task LIMIT 1").empty


def store_facts(engine: Engine) -> dict[str, int | str]:
    """Return ``n_models``, ``n_tasks``, ``n_neurons``, ``n_clips`` and ``schema_version``."""
    counts = frame(
        engine,
        """
        SELECT (SELECT COUNT(*) FROM model WHERE unit_kind = 'mlp') AS n_models, (SELECT COUNT(*) FROM task) AS n_tasks,
               (SELECT COALESCE(SUM(n_neurons), 0) FROM model WHERE unit_kind = 'mlp') AS n_neurons,
               (SELECT COUNT(*) FROM clip) AS n_clips
        """,
    ).iloc[0]
    facts: dict[str, int | str] = {str(name): int(value) for name, value in counts.items()}
    return {**facts, "schema_version": schema_version(engine)}


@dataclass(frozen=True)
class Stamp:
    """The store's own stamp (`db.schema.stamp`).

    Attributes
    ----------
    store : str
        The same as long as it is the same store, wherever that is copied to.
    n_writes : int
    written : str
        Another after every write.
    """

    store: str
    n_writes: int
    written: str

    def is_followed_by(self, later: Stamp) -> bool:
        """Whether a store came from this one by writing to it, or is the same still."""
        return self.store == later.store and (self == later or self.n_writes < later.n_writes)


def change_stamp(engine: Engine) -> Stamp:
    """Return the store's stamp, which differs whenever something was written, or another store is in its place."""
    with engine.connect() as connection:
        row = connection.execute(text("SELECT store, n_writes, written FROM store_stamp")).first()
    return Stamp(str(row[0]), int(row[1]), str(row[2])) if row else Stamp("", 0, "")


def models(engine: Engine) -> pd.DataFrame:
    """Return name, n_layers, n_neurons, sample_rate, n_parameters, description, licence, key."""
    return frame(
        engine,
        """
        SELECT name, n_layers, n_neurons, sample_rate, n_parameters, description, licence,
               weights_key
        FROM model WHERE unit_kind = 'mlp' ORDER BY id
        """,
    )


def unit_models(engine: Engine) -> pd.DataFrame:
    """Return name, encoder, unit_kind, n_units and description of every model: those of neurons first."""
    return frame(
        engine,
        """
        SELECT name, encoder, unit_kind, n_neurons AS n_units, description FROM model
        ORDER BY CASE WHEN unit_kind = 'mlp' THEN 0 ELSE 1 END, id
        """,
    )


def layers(engine: Engine, model: str) -> pd.DataFrame:
    """Return layer and width (its number of neurons) of one model; layers without any are left out."""
    return frame(
        engine,
        """
        SELECT layer.layer, layer.width FROM layer JOIN model ON model.id = layer.model_id
        WHERE model.name = :model AND layer.width > 0 ORDER BY layer.layer
        """,
        model=model,
    )


def datasets(engine: Engine) -> pd.DataFrame:
    """Return name, root, split_origin, description, source, licence, n_clips, n_problems."""
    return frame(
        engine,
        """
        SELECT name, root, split_origin, description, source, licence,
               (SELECT COUNT(*) FROM clip WHERE clip.dataset_id = dataset.id) AS n_clips,
               (SELECT COUNT(*) FROM problem WHERE problem.dataset_id = dataset.id) AS n_problems
        FROM dataset ORDER BY name
        """,
    )


def tasks(engine: Engine, model: str | None = None) -> pd.DataFrame:
    """Return the tasks that have scores (of ``model``, if given).

    Returns
    -------
    DataFrame
        ``dataset``, ``task``, ``attribute``, ``n_classes``, ``n_clips`` (selection clips; the most
        over the models).
    """
    return frame(
        engine,
        f"""
        SELECT dataset.name AS dataset, task.name AS task, attribute.name AS attribute,
               MAX(model_task.n_classes) AS n_classes, MAX(model_task.n_clips) AS n_clips
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN attribute ON attribute.id = task.attribute_id
        WHERE 1 = 1{only_if(model, "model.name = :model")}
        GROUP BY dataset.name, task.name, attribute.name
        ORDER BY task.name
        """,
        model=model,
    )


def presets(engine: Engine) -> list[str]:
    """Return the presets that chose anything somewhere, by name."""
    rows = frame(engine, "SELECT DISTINCT preset FROM selection ORDER BY preset")
    return [str(preset) for preset in rows["preset"]]


def runs(engine: Engine) -> pd.DataFrame:
    """Return the view ``runs``, newest first."""
    return frame(engine, "SELECT * FROM runs ORDER BY run_id DESC")


def coverage(engine: Engine, preset: str) -> pd.DataFrame:
    """Return the view ``task_coverage`` for one preset, all models, of tasks of clips."""
    return frame(
        engine,
        f"SELECT * FROM {of_clips('task_coverage')} WHERE preset = :preset ORDER BY task, model",
        preset=preset,
    )


def coverage_of(engine: Engine, model: str, preset: str) -> pd.DataFrame:
    """Return the same of one model, through whatever units."""
    view = of_any_units("task_coverage")
    return frame(
        engine,
        f"SELECT * FROM {view} WHERE model = :model AND preset = :preset ORDER BY task",
        model=model,
        preset=preset,
    )


def selection_settings(engine: Engine, model: str, task: str, preset: str) -> dict[str, object] | None:
    """Return every threshold that was in force for a selection, None if there is none."""
    rows = frame(
        engine,
        f"""
        SELECT settings_json FROM {of_any_units("task_coverage")}
        WHERE model = :model AND task = :task AND preset = :preset
        """,
        model=model,
        task=task,
        preset=preset,
    )
    if rows.empty:
        return None
    settings: dict[str, object] = json.loads(str(rows["settings_json"].iloc[0]))
    return settings


def probe(engine: Engine, split: str = "test") -> pd.DataFrame:
    """Return model, dataset, task, class_name (NaN = all), n_clips, accuracy, chance, metric, ci_low, ci_high."""
    return with_intervals(
        frame(
            engine,
            """
        SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name,
               probe_score.n_clips, probe_score.accuracy, probe_score.chance, probe_score.metric
        FROM probe
        JOIN model ON model.id = probe.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = probe.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN probe_score ON probe_score.probe_id = probe.id
        LEFT JOIN task_class ON task_class.id = probe_score.class_id
        WHERE probe_score.split = :split
        ORDER BY model.name, task.name, probe_score.position
        """,
            split=split,
        )
    )


def skipped_probes(engine: Engine, model: str | None = None) -> pd.DataFrame:
    """Return model, dataset, task and the reason, where no probe could be trained."""
    return frame(
        engine,
        f"""
        SELECT model.name AS model, dataset.name AS dataset, task.name AS task,
               probe.skipped AS reason
        FROM probe
        JOIN model ON model.id = probe.model_id
        JOIN task ON task.id = probe.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        WHERE probe.skipped <> ''{only_if(model, "model.name = :model")}
        ORDER BY model.id, task.name
        """,
        model=model,
    )


def layer_class_counts(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return the class-specific neurons of each (layer, class), zeros included.

    Returns
    -------
    DataFrame
        ``layer``, ``class_name``, ``n_neurons``, ``expected_null``: the mean number of pairs on
        shuffled labels, spread evenly over classes and over neurons; NaN without shuffles.
    """
    return frame(
        engine,
        """
        SELECT layer.layer, task_class.name AS class_name, COALESCE(found.n, 0) AS n_neurons,
               selection.null_n_pairs_mean * layer.width / model.n_neurons / model_task.n_classes
                   AS expected_null
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN selection ON selection.model_task_id = model_task.id
        JOIN layer ON layer.model_id = model.id
        JOIN class_total ON class_total.model_task_id = model_task.id
        JOIN task_class ON task_class.id = class_total.class_id
        LEFT JOIN (
            SELECT class_specific_neuron.selection_id, class_specific_neuron.class_id,
                   neuron.layer, COUNT(*) AS n
            FROM class_specific_neuron
            JOIN neuron ON neuron.id = class_specific_neuron.neuron_id
            WHERE class_specific_neuron.selection_id IN (
                SELECT selection.id FROM selection
                JOIN model_task ON model_task.id = selection.model_task_id
                JOIN model ON model.id = model_task.model_id
                JOIN task ON task.id = model_task.task_id
                WHERE model.name = :model AND task.name = :task AND selection.preset = :preset
            )
            GROUP BY class_specific_neuron.selection_id, class_specific_neuron.class_id,
                     neuron.layer
        ) AS found ON found.selection_id = selection.id AND found.layer = layer.layer
            AND found.class_id = class_total.class_id
        WHERE model.name = :model AND task.name = :task AND selection.preset = :preset
        ORDER BY layer.layer, task_class.position
        """,
        model=model,
        task=task,
        preset=preset,
    )


def cell_neurons(
    engine: Engine, model: str, task: str, preset: str, layer: int, class_name: str | None = None
) -> pd.DataFrame:
    """Return the class-specific neurons of one layer (and class), most selective first.

    Returns
    -------
    DataFrame
        ``neuron``, ``class_name``, ``activation_probability``, ``entropy``, ``lift``, ``p_value``,
        ``q_value``, ``replicated``.
    """
    only = only_if(class_name, "class_name = :class_name")
    return frame(
        engine,
        f"""
        SELECT neuron, class_name, activation_probability, entropy, lift, p_value, q_value,
               replicated
        FROM {of_any_units("class_specific_neurons")}
        WHERE model = :model AND task = :task AND preset = :preset AND layer = :layer{only}
        ORDER BY entropy NULLS FIRST, neuron, class_name
        """,
        model=model,
        task=task,
        preset=preset,
        layer=layer,
        class_name=class_name,
    )


def ablation_effects(engine: Engine, model: str, task: str | None = None, selection: str | None = None) -> pd.DataFrame:
    """Return the view ``ablation_effects`` of one model, with ``affected_class`` NaN = all."""
    return frame(
        engine,
        f"""
        SELECT * FROM {of_any_units("ablation_effects")}
        WHERE model = :model{only_if(task, "task = :task")}
            {only_if(selection, "selection = :selection")}
        ORDER BY task, selection, gain NULLS FIRST, ablation_id, affected_class NULLS FIRST
        """,
        model=model,
        task=task,
        selection=selection,
    )


def shared(engine: Engine, model: str, preset: str, task_a: str, task_b: str) -> pd.DataFrame:
    """Return the view ``shared_neurons`` for two tasks, or for one task with itself.

    Each unordered pair of classes comes once, ``class_a`` of ``task_a`` whichever way the pair was
    stored.
    """
    return frame(
        engine,
        f"""
        SELECT * FROM {of_any_units("shared_neurons")}
        WHERE model = :model AND preset = :preset AND task_a = :task_a AND task_b = :task_b
        UNION ALL
        SELECT model, preset, task_b AS task_a, class_b AS class_a, task_a AS task_b,
               class_a AS class_b, n_b AS n_a, n_a AS n_b, n_shared, expected, p_value, q_value, nested,
               odds_ratio, odds_low, odds_high
        FROM {of_any_units("shared_neurons")}
        WHERE model = :model AND preset = :preset AND task_a = :task_b AND task_b = :task_a
          AND task_a <> task_b
        ORDER BY class_a, class_b
        """,
        model=model,
        preset=preset,
        task_a=task_a,
        task_b=task_b,
    )


def warnings(engine: Engine, model: str | None = None) -> pd.DataFrame:
    """Return model, dataset, task, warning: one row a warning."""
    rows = frame(
        engine,
        f"""
        SELECT model.name AS model, dataset.name AS dataset, task.name AS task,
               model_task.warnings_json AS warning
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        WHERE 1 = 1{only_if(model, "model.name = :model")}
        ORDER BY model.id, task.name
        """,
        model=model,
    )
    rows["warning"] = [json.loads(listed) for listed in rows["warning"]]
    return rows.explode("warning").dropna(subset="warning").reset_index(drop=True)


def problems(engine: Engine) -> pd.DataFrame:
    """Return dataset, path and reason of every file that was left out."""
    return frame(
        engine,
        """
        SELECT dataset.name AS dataset, problem.path, problem.reason
        FROM problem JOIN dataset ON dataset.id = problem.dataset_id
        ORDER BY dataset.name, problem.id
        """,
    )


def dataset_places(engine: Engine) -> pd.DataFrame:
    """Return ``root``, ``name`` and ``root_from_store`` of each dataset; the last is None where it lies elsewhere."""
    return frame(engine, "SELECT root, name, root_from_store FROM dataset ORDER BY id")
