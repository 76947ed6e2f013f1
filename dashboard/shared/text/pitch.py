"""Notes and tuned neurons in words; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboard.shared.text.numbers import with_interval

PITCH_CLASSES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


def note_name(midi: float) -> str:
    """Name a MIDI note.

    Examples
    --------
    >>> note_name(60), note_name(61)
    ('C4', 'C♯4')
    """
    note = round(midi)
    return f"{PITCH_CLASSES[note % 12]}{note // 12 - 1}"


def neuron_line(row: Mapping[Any, Any]) -> str:
    """Tell one neuron's tuning in a line, each number with its interval."""

    def within(name: str, low: str, high: str, unit: str = "") -> str:
        if pd.isna(row[name]):
            return "unknown"
        return with_interval(row[name], row[low], row[high], ".1f") + unit

    sure = ""
    if pd.notna(row["preferred_low"]):
        sure = f" [{note_name(row['preferred_low'])}, {note_name(row['preferred_high'])}]"
    return (
        f"Prefers **{note_name(row['preferred_pitch'])}**{sure}; bandwidth "
        f"{within('bandwidth_semitones', 'bandwidth_low', 'bandwidth_high', ' semitones')}; octave index "
        f"{within('octave_equivalence_index', 'oei_low', 'oei_high')}"
    )
