"""TIMIT's ``.PHN`` and ``.WRD``: first sample, last sample, label, with blanks between; at the sound's own rate."""

from __future__ import annotations

from pathlib import Path

from core.datasets import audio
from core.datasets.derive import is_small_number
from core.datasets.segments.gathered import Gathered, NotRead, text_of


def read(path: Path, attribute: str, sound: Path) -> Gathered:
    """Read a list of phones or words.

    Raises
    ------
    NotRead
        If no line has the form, or the sound does not tell its rate.
    """
    gathered = Gathered()
    lines = [line.split(maxsplit=2) for line in text_of(path, gathered).splitlines() if line.strip()]
    good = [line for line in lines if len(line) == 3 and all(map(is_small_number, line[:2]))]
    if lines and not good:
        raise NotRead("has no line of the form 'first sample, last sample, label'")
    for line in (line for line in lines if len(good) < len(lines) and line not in good):
        gathered.drop("are not 'first sample, last sample, label'", " ".join(line)[:40])
    if not good:
        gathered.empty[attribute] = None
        return gathered
    try:
        rate = audio.rate_of(sound)
    except audio.BadAudio as error:
        raise NotRead(f"has times in samples, and its sound does not tell its rate: {error}") from error
    for onset, offset, label in good:
        gathered.add(attribute, label, int(onset) / rate, int(offset) / rate)
    return gathered
