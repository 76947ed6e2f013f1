"""Reads of two neurons side by side, of one model or of two that heard the same clips."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from core.results import wilson
from db.reads.frames import frame
from db.reads.keys import MODEL_TASK_ID, NEURON_ID


def profile(engine: Engine, model: str, task: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return a neuron's activation probability in each class of a task, and its log odds where they are stored.

    The interval of the probability takes each clip for one observation that fires or does not (Wilson 1927): the most
    that the mean of shares between 0 and 1 can vary over independent clips. Tokens of a clip are no independent trials.

    Returns
    -------
    DataFrame
        ``class_name``, ``n_clips``, ``probability``, ``probability_low``, ``probability_high``, ``log_odds``,
        ``log_odds_low``, ``log_odds_high`` (95 % each; NaN where nothing is known).
    """
    rows = frame(
        engine,
        f"""
        SELECT task_class.name AS class_name, class_total.n_clips,
               CAST(activation_probability.positive_count AS DOUBLE PRECISION)
                   / NULLIF(class_total.token_count, 0) AS activation_probability,
               neuron_preference.log_odds, neuron_preference.ci_low, neuron_preference.ci_high
        FROM activation_probability
        JOIN class_total ON class_total.model_task_id = activation_probability.model_task_id
            AND class_total.class_id = activation_probability.class_id
        JOIN task_class ON task_class.id = activation_probability.class_id
        LEFT JOIN neuron_preference ON neuron_preference.model_task_id = activation_probability.model_task_id
            AND neuron_preference.neuron_id = activation_probability.neuron_id
            AND neuron_preference.class_id = activation_probability.class_id
        WHERE activation_probability.model_task_id = {MODEL_TASK_ID} AND activation_probability.neuron_id = {NEURON_ID}
        ORDER BY task_class.position
        """,
        model=model,
        task=task,
        layer=layer,
        neuron=neuron,
    )
    low, high = wilson(rows["activation_probability"], rows["n_clips"].astype("float64"))
    rows.insert(3, "probability_low", low.clip(0, 1))
    rows.insert(4, "probability_high", high.clip(0, 1))
    return rows.rename(
        columns={
            "activation_probability": "probability", "ci_low": "log_odds_low", "ci_high": "log_odds_high",
        }
    )  # fmt: skip


def sampled_profiles(engine: Engine, model: str, task: str, step: int) -> pd.DataFrame:
    """Return ``neuron_id``, ``class_name``, ``activation_probability`` of every ``step``-th neuron that fires."""
    return frame(
        engine,
        f"""
        SELECT neuron.id AS neuron_id, task_class.name AS class_name,
               CAST(activation_probability.positive_count AS DOUBLE PRECISION)
                   / NULLIF(class_total.token_count, 0) AS activation_probability
        FROM model
        JOIN neuron ON neuron.model_id = model.id AND neuron.flat_index % :step = 0
        CROSS JOIN neuron_entropy
        CROSS JOIN activation_probability
        JOIN class_total ON class_total.model_task_id = activation_probability.model_task_id
            AND class_total.class_id = activation_probability.class_id
        JOIN task_class ON task_class.id = activation_probability.class_id
        WHERE model.name = :model AND neuron_entropy.model_task_id = {MODEL_TASK_ID}
          AND neuron_entropy.neuron_id = neuron.id AND neuron_entropy.entropy_rank IS NOT NULL
          AND activation_probability.model_task_id = {MODEL_TASK_ID}
          AND activation_probability.neuron_id = neuron.id
        ORDER BY neuron.id, task_class.position
        """,
        model=model,
        task=task,
        step=step,
    )


def top_clips_in_common(engine: Engine, own: tuple[str, int, int], other: tuple[str, int, int]) -> pd.DataFrame:
    """Count, in each dataset that both models ranked, the clips that are among the strongest of two neurons.

    Parameters
    ----------
    own, other : (model, layer, neuron)

    Returns
    -------
    DataFrame
        ``dataset``, ``n_clips`` (of the dataset), ``n_own``, ``n_other`` (strongest clips that are kept),
        ``n_common``.
    """
    ranked = """
            SELECT model_dataset.dataset_id, top_clip.clip_id
            FROM model
            JOIN neuron ON neuron.model_id = model.id AND neuron.layer = :{0}_layer AND neuron.neuron = :{0}_neuron
            JOIN model_dataset ON model_dataset.model_id = model.id
            JOIN top_clip ON top_clip.model_dataset_id = model_dataset.id AND top_clip.neuron_id = neuron.id
            WHERE model.name = :{0}_model"""
    return frame(
        engine,
        f"""
        WITH own AS MATERIALIZED ({ranked.format("own")}
        ), other AS MATERIALIZED ({ranked.format("other")}
        )
        SELECT * FROM (
            SELECT dataset.name AS dataset,
                   (SELECT COUNT(*) FROM clip WHERE clip.dataset_id = dataset.id) AS n_clips,
                   (SELECT COUNT(*) FROM own WHERE own.dataset_id = dataset.id) AS n_own,
                   (SELECT COUNT(*) FROM other WHERE other.dataset_id = dataset.id) AS n_other,
                   (SELECT COUNT(*) FROM own JOIN other ON other.clip_id = own.clip_id
                    WHERE own.dataset_id = dataset.id) AS n_common
            FROM dataset
        ) AS counted
        WHERE n_own > 0 AND n_other > 0
        ORDER BY dataset
        """,
        **{f"own_{name}": value for name, value in zip(("model", "layer", "neuron"), own, strict=True)},
        **{f"other_{name}": value for name, value in zip(("model", "layer", "neuron"), other, strict=True)},
    )
