"""Reads of clips: which a neuron fires in, where in them, and what is known of each.

Labels are ``attribute: value, ...`` in the order of the attributes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Engine, bindparam, text

from db.reads.frames import frame
from db.schema.patterns import decode
from db.schema.views.study import of_any_units

_CLIP = "clip.id AS clip_id, dataset.name AS dataset, dataset.root, clip.path, clip.file_sha256"
_PATTERN_COLUMNS = (
    *("kind", "rank", "clip_id", "peak", "strength", "column_seconds", "span_seconds", "column_starts"),
    "band_edges_hz",
)


def neuron_clips(engine: Engine, model: str, dataset: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return the clips that are kept of a neuron: top, middle, silent.

    Returns
    -------
    DataFrame
        ``kind``, ``rank``, ``clip_id``, ``root``, ``path``, ``file_sha256``, ``split``, ``duration_seconds``,
        ``activation_rate``, ``mean_activation``, ``labels``.
    """
    rows = frame(
        engine,
        f"""
        SELECT neuron_clips.kind, neuron_clips.rank, neuron_clips.clip_id, dataset.root, neuron_clips.path,
               clip.file_sha256, clip.split, clip.duration_seconds, neuron_clips.activation_rate,
               neuron_clips.mean_activation
        FROM {of_any_units("neuron_clips")}
        JOIN clip ON clip.id = neuron_clips.clip_id
        JOIN dataset ON dataset.id = clip.dataset_id
        WHERE neuron_clips.model = :model AND neuron_clips.dataset = :dataset
          AND neuron_clips.layer = :layer AND neuron_clips.neuron = :neuron
        ORDER BY CASE neuron_clips.kind WHEN 'top' THEN 0 WHEN 'middle' THEN 1 ELSE 2 END, neuron_clips.rank
        """,
        model=model,
        dataset=dataset,
        layer=layer,
        neuron=neuron,
    )
    return _with_labels(engine, rows)


def neuron_patterns(engine: Engine, model: str, dataset: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return when and where a neuron fires in the clips of `neuron_clips`.

    Returns
    -------
    DataFrame
        ``kind``, ``rank``, ``clip_id``; ``peak`` (highest activation), ``strength`` (uint8, (n_bands,
        n_columns), 255ths of the peak, lowest band first); ``column_seconds`` (from one column to the next),
        ``span_seconds`` (how much one column spans), ``column_starts`` (seconds at which each begins),
        ``band_edges_hz`` (n_bands + 1, ascending). No rows where patterns are not stored.
    """
    stored = frame(
        engine,
        """
        SELECT clip_pattern.patterns, token_grid.column_seconds, token_grid.span_seconds, token_grid.chunk_seconds,
               token_grid.chunk_columns, token_grid.band_edges_json
        FROM model
        JOIN dataset ON dataset.name = :dataset
        JOIN model_dataset ON model_dataset.model_id = model.id AND model_dataset.dataset_id = dataset.id
        JOIN neuron ON neuron.model_id = model.id AND neuron.layer = :layer AND neuron.neuron = :neuron
        JOIN token_grid ON token_grid.model_id = model.id AND token_grid.layer = neuron.layer
        JOIN clip_pattern ON clip_pattern.model_dataset_id = model_dataset.id AND clip_pattern.neuron_id = neuron.id
        WHERE model.name = :model
        """,
        model=model,
        dataset=dataset,
        layer=layer,
        neuron=neuron,
    )
    rows = []
    if not stored.empty:
        grid = stored.iloc[0]
        patterns = {clip_id: (peak, strength) for clip_id, peak, strength in decode(grid["patterns"])}
        edges = tuple(json.loads(grid["band_edges_json"]))
        for clip in neuron_clips(engine, model, dataset, layer, neuron).to_dict("records"):
            if clip["clip_id"] in patterns:
                peak, strength = patterns[clip["clip_id"]]
                placed = times(grid, strength.shape[1], float(clip["duration_seconds"]))
                rows.append((clip["kind"], clip["rank"], clip["clip_id"], peak, strength, *placed, edges))
    made = pd.DataFrame(rows, columns=list(_PATTERN_COLUMNS))
    made.attrs["sql"] = stored.attrs["sql"]
    return made


def times(grid: pd.Series, n_columns: int, duration: float) -> tuple[float, float, NDArray[np.floating]]:
    """Seconds from column to column, seconds of one, and where each begins; see `db.schema.sound.TokenGrid`."""
    column = np.arange(n_columns)
    if pd.isna(grid["column_seconds"]):
        equal = duration / max(n_columns, 1)
        return equal, equal, column * equal
    hop, span = float(grid["column_seconds"]), float(grid["span_seconds"])
    if pd.isna(grid["chunk_columns"]):
        return hop, span, column * hop
    chunk = int(grid["chunk_columns"])
    return hop, span, column // chunk * float(grid["chunk_seconds"]) + column % chunk * hop


def percentiles(engine: Engine, model: str, dataset: str) -> tuple[NDArray[np.float64], NDArray[np.float32]] | None:
    """Return, over a dataset's clips, quantiles of the mean activation of each of a model's neurons.

    Returns
    -------
    tuple or None
        Levels, shares in ascending order, shape (n_levels,); values, shape (n_neurons, n_levels), by flat
        index. None where they are not stored.
    """
    stored = frame(
        engine,
        """
        SELECT activation_quantile.levels_json, activation_quantile.quantiles
        FROM model
        JOIN dataset ON dataset.name = :dataset
        JOIN model_dataset ON model_dataset.model_id = model.id AND model_dataset.dataset_id = dataset.id
        JOIN activation_quantile ON activation_quantile.model_dataset_id = model_dataset.id
        WHERE model.name = :model
        """,
        model=model,
        dataset=dataset,
    )
    if stored.empty:
        return None
    levels = np.array(json.loads(stored["levels_json"].iloc[0]), dtype=np.float64)
    values = np.frombuffer(stored["quantiles"].iloc[0], dtype="<f4").reshape(-1, len(levels))
    return levels, values


def clips(engine: Engine, clip_ids: tuple[int, ...]) -> pd.DataFrame:
    """Return some clips, in the order asked for; those that are not in the store are left out.

    Returns
    -------
    DataFrame
        ``clip_id``, ``dataset``, ``root``, ``path``, ``file_sha256``, ``split``, ``duration_seconds``, ``labels``.
    """
    statement = text(
        f"""
        SELECT {_CLIP}, clip.split, clip.duration_seconds
        FROM clip JOIN dataset ON dataset.id = clip.dataset_id
        WHERE clip.id IN :clip_ids
        """
    ).bindparams(bindparam("clip_ids", expanding=True))
    rows = frame(engine, statement, clip_ids=[int(clip_id) for clip_id in clip_ids])
    order = {clip_id: place for place, clip_id in enumerate(clip_ids)}
    rows = rows.sort_values("clip_id", key=lambda ids: ids.map(order), ignore_index=True)
    return _with_labels(engine, rows)


def class_clips(engine: Engine, task: str, class_name: str, limit: int = 20) -> pd.DataFrame:
    """Return some clips of a class, test clips first, from all over the dataset; columns as of `clips`."""
    rows = frame(
        engine,
        # The product scatters neighbours, which often are of one recording: a golden section of 2**32.
        f"""
        SELECT {_CLIP}, COALESCE(clip_label.split, clip.split) AS split, clip.duration_seconds
        FROM task
        JOIN clip_label ON clip_label.attribute_id = task.attribute_id AND clip_label.value = :class_name
        JOIN clip ON clip.id = clip_label.clip_id
        JOIN dataset ON dataset.id = clip.dataset_id
        WHERE task.name = :task
        ORDER BY CASE COALESCE(clip_label.split, clip.split) WHEN 'test' THEN 0 WHEN 'valid' THEN 1 ELSE 2 END,
                 (clip.position * 2654435761) % 4294967296
        LIMIT :limit
        """,
        task=task,
        class_name=class_name,
        limit=limit,
    )
    return _with_labels(engine, rows)


def labels_of(engine: Engine, clip_ids: Sequence[int]) -> dict[int, str]:
    """Return each clip's labels in words; a clip without any is left out."""
    statement = text(
        """
        SELECT clip_label.clip_id, attribute.name, clip_label.value
        FROM clip_label JOIN attribute ON attribute.id = clip_label.attribute_id
        WHERE clip_label.clip_id IN :clip_ids
        ORDER BY clip_label.clip_id, attribute.position, clip_label.value
        """
    ).bindparams(bindparam("clip_ids", expanding=True))
    rows = frame(engine, statement, clip_ids=[int(clip_id) for clip_id in clip_ids])
    labels: dict[int, list[str]] = {}
    for clip_id, name, value in rows.itertuples(index=False):
        labels.setdefault(int(clip_id), []).append(f"{name}: {value}")
    return {clip_id: ", ".join(parts) for clip_id, parts in labels.items()}


def _with_labels(engine: Engine, rows: pd.DataFrame) -> pd.DataFrame:
    labels = labels_of(engine, rows["clip_id"].tolist())
    return rows.assign(labels=[labels.get(clip_id, "") for clip_id in rows["clip_id"]])
