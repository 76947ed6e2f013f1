"""Audacity's label tracks: onset, offset, label with tabs between; lines of frequencies (``\\``) tell nothing here.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from __future__ import annotations

from pathlib import Path

from core.datasets.segments.gathered import Gathered, NotRead, seconds, text_of
from core.files import is_plain_file

_LOOKED_AT = 5
"""Lines: the first may be a header, or one of frequencies."""


def recognise(path: Path) -> bool:
    """Whether one of the first lines is that of a label track: many files end in ``.txt``."""
    if not is_plain_file(path):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(1000).replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf").decode("latin-1")
    except OSError:
        return False
    return any(_is_row(line.split("\t")) for line in start.splitlines()[:_LOOKED_AT])


def read(path: Path, attribute: str, sound: Path) -> Gathered:
    """Read a label track; a label whose onset is its offset is one at a point.

    Raises
    ------
    NotRead
        If no line has the form.
    """
    gathered = Gathered()
    rows = [line.split("\t", 2) for line in text_of(path, gathered).splitlines() if line.strip()]
    rows = [row for row in rows if not row[0].lstrip().startswith("\\")]
    if rows and not any(map(_is_row, rows)):
        raise NotRead("has no line of the form 'onset, offset, label' with tabs between")
    for row in rows:
        if not _is_row(row):
            gathered.drop("are not 'onset, offset, label' with tabs between", "\t".join(row)[:40])
        elif not row[2].strip():
            gathered.drop("have no label", f"at {row[0]} s")
        elif seconds(row[0]) == seconds(row[1]):
            gathered.add_point(attribute, row[2], row[0])
        else:
            gathered.add(attribute, row[2], row[0], row[1])
    if not gathered.segments and not gathered.told():
        gathered.empty[attribute] = None
    return gathered


def _is_row(row: list[str]) -> bool:
    return len(row) == 3 and seconds(row[0]) is not None and seconds(row[1]) is not None
