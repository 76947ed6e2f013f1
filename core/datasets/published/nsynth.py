"""NSynth: single notes of about a thousand instruments."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from core.datasets.base import SPLITS, Clip
from core.datasets.files import EXTENSIONS, mismatches, not_the_list, published_name, read_json, some_names
from core.datasets.published.base import Listing, Options, Published
from core.results import Problem

FAMILIES = "bass|brass|flute|guitar|keyboard|mallet|organ|reed|string|synth_lead|vocal"
NAME = re.compile(
    rf"(?P<instrument>(?P<family>{FAMILIES})_(?P<source>acoustic|electronic|synthetic)_\d{{3}})"
    r"-(?P<pitch>0\d\d|1[01]\d|12[0-7])-(?P<velocity>0\d\d|1[01]\d|12[0-7])"
)
Note = tuple[str, str, str, int, int]
"""Instrument, family, source, pitch, velocity."""


class NSynth(Published):
    """NSynth, with its makers' split: no instrument of train is in valid or test.

    Attributes of a clip
    --------------------
    family, source, instrument, pitch, velocity : str
        From ``examples.json``, or from the file's name where that is missing; octave and pitch class follow
        from the pitch, a MIDI note.
    """

    name = "nsynth"
    title = "NSynth: single notes of eleven families of instruments"
    source = "https://magenta.tensorflow.org/datasets/nsynth (the json/wav files)"
    licence = "CC BY 4.0"
    size = "not known (three .jsonwav.tar.gz)"
    place = "nsynth/nsynth-{train,valid,test}/{examples.json, audio/*.wav}"
    tasks = {
        "family": "nsynth-family",
        "pitch": "nsynth-pitch",
        "octave": "nsynth-octave",
        "pitch_class": "nsynth-pitch_class",
        "source": "nsynth-source",
        "velocity": "nsynth-velocity",
    }
    groups = ("instrument",)
    derived = {"octave": ("pitch", "octave"), "pitch_class": ("pitch", "pitch_class")}
    n_clips = 305_979
    n_classes = {"family": 11, "source": 3, "velocity": 5}
    unit_seconds = 4.0

    def recognise(self, folder: Path) -> bool:
        return any(
            NAME.fullmatch(published_name(name).removesuffix(".wav"))
            for split in SPLITS
            for name in some_names(folder / f"nsynth-{split}" / "audio")
        )

    def listing(self, root: Path, options: Options) -> Listing:
        clips: list[Clip] = []
        problems: list[Problem] = []
        notes: list[str] = []
        for split in SPLITS:
            part = f"nsynth-{split}"
            names = _on_disk(root / part / "audio")
            if not names:
                notes.append(f"nsynth: {part}/audio is missing or empty")
                continue
            if (root / part / "examples.json").is_file():
                known = _examples(root / part / "examples.json")
                on_disk = (f"{part}/audio/{name}.wav" for name in names)
                problems += mismatches((f"{part}/audio/{name}.wav" for name in known), on_disk, "examples.json")
            else:
                notes.append(f"nsynth: {part}/examples.json is missing; labels are from the names")
                known = _from_names(names)
                reason = "is not named as family_source_instrument-pitch-velocity.wav"
                problems += [Problem(f"{part}/audio/{n}.wav", reason) for n in sorted(names.keys() - known.keys())]
            clips += [
                Clip(f"{part}/audio/{n}{names[n]}", split, _labels(known[n])) for n in sorted(names) if n in known
            ]
        return Listing(clips, problems, "official", notes=notes + _only_in_train(clips))


def _on_disk(folder: Path) -> dict[str, str]:
    """Notes to the endings of their files."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return {}
    parts = (os.path.splitext(name) for name in names if not name.startswith("."))
    return {note: suffix for note, suffix in parts if suffix.lower() in EXTENSIONS}


def _examples(path: Path) -> dict[str, Note]:
    what = "not NSynth's list of notes"

    # Each entry is cut down as soon as it is read: the whole would take a gigabyte.
    def cut(entry: dict[str, object]) -> object:
        if "instrument_str" not in entry:
            return entry
        names = [entry[f"instrument{part}_str"] for part in ("", "_family", "_source")]
        if not all(isinstance(name, str) for name in names):
            raise ValueError("a name that is no text")
        return (*names, int(str(entry["pitch"])), int(str(entry["velocity"])))

    notes = read_json(path, what, cut)
    if not isinstance(notes, dict) or not all(isinstance(note, tuple) for note in notes.values()):
        raise not_the_list(path, what)
    return notes


def _from_names(names: Iterable[str]) -> dict[str, Note]:
    matches = ((name, NAME.fullmatch(name)) for name in names)
    return {
        name: (m["instrument"], m["family"], m["source"], int(m["pitch"]), int(m["velocity"]))
        for name, m in matches
        if m is not None
    }


def _labels(note: Note) -> dict[str, str]:
    instrument, family, source, pitch, velocity = note
    return {
        "family": family,
        "pitch": str(pitch),
        "source": source,
        "velocity": str(velocity),
        "instrument": instrument,
    }


def _only_in_train(clips: list[Clip]) -> list[str]:
    notes = []
    for attribute in ("family", "source", "pitch", "velocity"):
        train = {clip.labels[attribute] for clip in clips if clip.split == "train"}
        test = {clip.labels[attribute] for clip in clips if clip.split == "test"}
        if test and train - test:
            only = ", ".join(sorted(train - test, key=lambda value: (len(value), value)))
            notes.append(f"nsynth: {attribute} {only} in train but not in test")
    return notes
