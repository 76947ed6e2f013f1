"""Number columns that every table shows alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared.text.glossary import TERMS

COLUMNS: Mapping[str, Any] = {
    "class_name": st.column_config.TextColumn("Class"),
    "activation_probability": st.column_config.NumberColumn(
        "Probability", format="%.1f%%", help=TERMS["activation probability"]
    ),
    "max_probability": st.column_config.NumberColumn(
        "Highest probability", format="%.1f%%", help=TERMS["activation probability"]
    ),
    "entropy": st.column_config.NumberColumn("Entropy (nats)", format="%.3f", help=TERMS["entropy"]),
    "lift": st.column_config.NumberColumn("Lift", format="%.1f×", help=TERMS["lift"]),
    "p_value": st.column_config.NumberColumn("p", format="%.2g", help=TERMS["p"]),
    "q_value": st.column_config.NumberColumn("q", format="%.2g", help=TERMS["q"]),
    "replicated": st.column_config.TextColumn("Replicated", help=TERMS["replicated"]),
}


def percent(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Shares as percentages, for columns shown with ``%``."""
    return frame.assign(**{name: frame[name] * 100 for name in columns if name in frame})


def yes_no(value: object) -> str:
    """1, 0 or missing as a word."""
    if value is None or value != value:  # NaN is not itself
        return "not tested"
    return "yes" if value else "no"
