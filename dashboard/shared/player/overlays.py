"""When a neuron fires in its clips, as the store has it, made ready to be laid over their pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.shared.player.player import Overlay


def on_one_scale(patterns: pd.DataFrame) -> pd.DataFrame:
    """Scale all of a neuron's patterns to the highest of its peaks, so that a silent clip looks silent."""
    highest = float(patterns["peak"].max()) if len(patterns) else 0.0
    if not highest > 0:
        return patterns
    scaled = [
        np.round(strength * (max(peak, 0.0) / highest)).astype(np.uint8)
        for strength, peak in zip(patterns["strength"], patterns["peak"], strict=True)
    ]
    return patterns.assign(strength=scaled, peak=highest)


def of_patterns(patterns: pd.DataFrame, label: str) -> dict[int, Overlay]:
    """Overlays by clip, all on one scale.

    Parameters
    ----------
    patterns : DataFrame
        Of `db.reads.clips.neuron_patterns`.
    label : str
        Whose activation.
    """
    return {
        int(row["clip_id"]): Overlay(
            row["strength"], float(row["column_seconds"]), tuple(map(float, row["band_edges_hz"])), label,
            float(row["peak"]),
        )
        for row in on_one_scale(patterns).to_dict("records")
    }  # fmt: skip
