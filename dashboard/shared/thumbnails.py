"""Small pictures of clips, of which a page shows many: drawn on first sight, then kept for all visitors."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass

import streamlit as st

from dashboard.shared.player import clip

WIDTH, HEIGHT = 240, 88  # pixels
_MOST = 4096
"""Pictures that are kept: some 3 kB each."""


@dataclass(frozen=True)
class Thumbnail:
    """A clip's log-mel picture.

    Attributes
    ----------
    picture : str
        A ``data:`` address: it needs no request of its own, and stays good however long a page is looked at.
    seconds : float
        How much of the clip is drawn.
    top_hz : int
        The picture's upper edge.
    """

    picture: str
    seconds: float
    top_hz: int


def of(stored: clip.Stored) -> Thumbnail:
    """Return the picture of a dataset's clip; kept while the file stays as it is.

    Raises
    ------
    NotPlayed
        With the reason, as a sentence of the clip.
    """
    try:
        return _draw(stored, os.stat(stored.find()).st_mtime_ns)
    except clip.NotPlayed:
        raise
    except clip.UNREADABLE as error:
        raise clip.NotPlayed("cannot be read as sound") from error


@st.cache_resource(max_entries=_MOST, show_spinner=False)
def _draw(stored: clip.Stored, changed: int) -> Thumbnail:
    del changed
    decoded = clip.decode_stored(stored)
    drawn = io.BytesIO()
    decoded.picture(WIDTH, HEIGHT).convert("RGB").save(drawn, "WEBP", quality=60)
    picture = f"data:image/webp;base64,{base64.b64encode(drawn.getvalue()).decode()}"
    return Thumbnail(picture, min(decoded.seconds, clip.MAX_SECONDS), decoded.sample_rate // 2)
