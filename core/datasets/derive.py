"""Attributes that follow from others, each rule once; datasets name the rules they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

LANGUAGE_FAMILIES = {
    "de": "Germanic", "en": "Germanic", "nl": "Germanic", "sv": "Germanic", "da": "Germanic", "no": "Germanic",
    "es": "Romance", "fr": "Romance", "it": "Romance", "pt": "Romance", "ro": "Romance", "ca": "Romance",
    "ru": "Slavic", "pl": "Slavic", "cs": "Slavic", "uk": "Slavic", "bg": "Slavic", "hr": "Slavic",
}  # fmt: skip


def is_small_number(text: str) -> bool:
    """Whether a cell is a whole number of at most nine digits; Python refuses to read very long ones."""
    return text.isdecimal() and len(text) < 10


def octave(pitch: str) -> str:
    """Of a MIDI note number, C4 = 60: ``"69"`` is in octave ``"4"``."""
    return str(int(pitch) // 12 - 1)


def pitch_class(pitch: str) -> str:
    """Of a MIDI note number: ``"69"`` is an ``"A"``."""
    return PITCH_CLASSES[int(pitch) % 12]


def decade(age: str) -> str:
    """``"34"`` is ``"30s"``; empty where the age is no number."""
    return f"{int(age) // 10 * 10}s" if is_small_number(age) else ""


def gender(text: str) -> str:
    """``"f"``, ``"Female"`` and the like in one spelling; empty where it is neither."""
    return {"f": "female", "m": "male"}.get(text[:1].casefold(), "")


def language_family(language: str) -> str:
    """Of an ISO 639-1 code; empty where it is not known here."""
    return LANGUAGE_FAMILIES.get(language, "")


DERIVATIONS: Mapping[str, Callable[[str], str]] = {
    "octave": octave,
    "pitch_class": pitch_class,
    "decade": decade,
    "language_family": language_family,
}
