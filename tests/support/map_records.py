"""Maps of units, added to a copy of the made-up study: a row a layer, but its last unit, which has no place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.results import UnitMap
from db.connection.open import open_store
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.synthetic_store import LAYER_WIDTHS

WIDTH = LAYER_WIDTHS[0]
TRUST = {"trustworthiness": 0.94, "trustworthiness_chance": 0.5, "n_neighbours": 10, "n_checked": 380}


def write_maps(path: Path, *models: str) -> Path:
    """Add a map of each model, or of those named."""
    engine = open_store(path)
    store = Store(engine)
    runs = frame(engine, "SELECT MAX(run.id) AS run, model.id, model.name FROM run "
                         "JOIN model ON model.name = run.model_name GROUP BY model.id, model.name")  # fmt: skip
    for row in runs.to_dict("records"):
        if not models or row["name"] in models:
            store.write_map(row["run"], f"map of {row['name']}", row["id"], unit_map())
    engine.dispose()
    return path


def unit_map() -> UnitMap:
    """Unit ``n`` of layer ``l`` lies at n / 63 across and l / 5 up."""
    neuron = np.arange(sum(LAYER_WIDTHS) - 1)
    places = pd.DataFrame({
        "neuron_index": neuron, "x": neuron % WIDTH / (WIDTH - 1), "y": neuron // WIDTH / (len(LAYER_WIDTHS) - 1),
    })  # fmt: skip
    facts = {
        "method": "t-SNE",
        "method_version": 1,
        "seed": 0,
        "datasets": "notes, rooms, voices",
        "n_clips": 288,
        **TRUST,
    }
    return UnitMap(places, facts)
