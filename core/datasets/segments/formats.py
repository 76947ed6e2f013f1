"""Formats of segments: how each is known by its ending, who reads it, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.datasets.segments import audacity, captions, midi, textgrid, timit
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
    ".txt": Format("Audacity label track", audacity.read, "label", is_one=audacity.recognise),
}
"""By ending, in lower case."""
ENDINGS = tuple(FORMATS)


def format_of(path: str) -> Format | None:
    """The format of a file by its ending alone."""
    return FORMATS.get(Path(path).suffix.lower())
