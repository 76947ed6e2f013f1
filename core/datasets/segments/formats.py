"""Formats of segments: how each is known by its ending, who reads it, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.datasets.segments import audacity, captions, midi, table, textgrid, timit
from core.datasets.segments.gathered import Gathered

INSTALL = "pip install 'audio-neuron-atlas[segments]'"


def _any(path: Path) -> bool:
    return True


@dataclass(frozen=True)
class Format:
    """How the segments of one clip are written in a file of its own.

    Attributes
    ----------
    name : str
    read : callable
        Takes the file, the attribute of labels that have none of their own, and the sound.
    attribute : str
        That attribute; a manifest's column gives another.
    package : str
        Module that the reader needs, with ``package_name`` to install; loaded when there is a file.
    is_one : callable
        Whether a file with the ending is of the format; by default it is.
    """

    name: str
    read: Callable[[Path, str, Path], Gathered]
    attribute: str
    package: str = ""
    package_name: str = ""
    is_one: Callable[[Path], bool] = _any

    @property
    def is_missing(self) -> bool:
        """Whether what reads it is not installed."""
        return bool(self.package) and find_spec(self.package) is None


def _is_text(path: Path) -> bool:
    return audacity.recognise(path) or table.is_of_one_clip(path)


def _read_text(path: Path, attribute: str, sound: Path) -> Gathered:
    return (table.read_one if table.is_of_one_clip(path) else audacity.read)(path, attribute, sound)


_TABLE = Format("table of segments", table.read_one, table.EVENT, is_one=table.is_of_one_clip)
_CAPTIONS = Format("captions", captions.read, "caption", "webvtt", "webvtt-py")
_MIDI = Format("MIDI", midi.read, "note", "pretty_midi", "pretty_midi")
FORMATS: dict[str, Format] = {
    ".textgrid": Format("Praat TextGrid", textgrid.read, "label", "praatio", "praatio"),
    ".phn": Format("TIMIT", timit.read, "phone"),
    ".wrd": Format("TIMIT", timit.read, "word"),
    ".vtt": _CAPTIONS,
    ".srt": _CAPTIONS,
    ".mid": _MIDI,
    ".midi": _MIDI,
    ".txt": Format("Audacity label track or Raven selections", _read_text, "label", is_one=_is_text),
    ".tsv": _TABLE,
    ".csv": _TABLE,
}
"""By ending, in lower case."""
ENDINGS = tuple(FORMATS)
OF_ANYTHING = (".txt", ".tsv", ".csv")
"""Endings that tell nothing by themselves."""
NOT_READ = (".eaf", ".lab", ".rttm", ".ctm", ".jams", ".ann", ".sub", ".ass", ".xlabel")
"""Endings of labels in time that are not read."""


def format_of(path: str) -> Format | None:
    """The format of a file by its ending alone."""
    return FORMATS.get(Path(path).suffix.lower())
