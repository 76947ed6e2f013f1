"""Captions, WebVTT and SubRip (SRT): each caption is a segment, its text without marks the label.

By `webvtt-py <https://github.com/glut23/webvtt-py>`_.
"""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

from core.datasets.segments.gathered import Gathered, NotRead, text_of, why

_PLACED = re.compile(r"\{\\[^}]*\}")
"""Where on a screen a caption stands (``{\\an8}``)."""


def read(path: Path, attribute: str, sound: Path) -> Gathered:
    """Read captions.

    Raises
    ------
    NotRead
        If there are none.
    """
    import webvtt

    gathered, kind = Gathered(), path.suffix.lower().lstrip(".")
    text = text_of(path, gathered).lstrip()
    try:
        captions = webvtt.from_buffer(io.StringIO(text), format=kind).captions if text else []
        for caption in captions:
            begin, end = (t.in_seconds() + t.milliseconds / 1000 for t in (caption.start_time, caption.end_time))
            gathered.add(attribute, html.unescape(_PLACED.sub("", caption.text)), begin, end)
    except Exception as error:  # what a text may hold fails in more ways than it names
        raise NotRead(f"cannot be read as {kind.upper()} captions ({why(error)})") from error
    if not captions:
        gathered.empty[attribute] = None
    return gathered
