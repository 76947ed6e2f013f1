"""Surge: 2,084 tones of the Surge synthesizer, each played on the 88 keys of a piano."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath

from core.datasets.base import Clip
from core.datasets.files import check_splits, evar_file, mismatches, read_rows, some_names, walk
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.results import Problem

TONE = re.compile(r"surge-patches-(?P<source>3rdparty|factory)-[^/]+")
NOTE = re.compile(r"0*(?P<pitch>\d{1,2}|1[01]\d|12[0-7])")
SOURCES = {"3rdparty": "third party", "factory": "factory"}
TONES = "dataset_surge_tone_splits.csv"


class Surge(Published):
    """Pitch Audio Dataset (Surge synthesizer).

    Attributes of a clip
    --------------------
    pitch : str
        MIDI note, from the file's name; octave and pitch class follow.
    source : str
        "factory" or "third party", from the tone's name.
    tone : str
        The folder; splits are by tone.
    """

    name = "surge"
    title = "Pitch Audio Dataset: notes of 2,084 tones of the Surge synthesizer"
    source = "https://zenodo.org/record/4677097"
    licence = "not known; see the source"
    size = "not known (surge-velocity64-2K.tar)"
    place = "surge/{tone}/{note}.ogg"
    tasks = {
        "pitch": "surge-pitch",
        "octave": "surge-octave",
        "pitch_class": "surge-pitch_class",
        "source": "surge-source",
    }
    groups = ("tone",)
    derived = {"octave": ("pitch", "octave"), "pitch_class": ("pitch", "pitch_class")}
    n_classes = {"pitch": 88, "source": 2}
    unit_seconds = 4.0

    def recognise(self, folder: Path) -> bool:
        return any(TONE.fullmatch(name) for name in some_names(folder))

    def listing(self, root: Path, options: Options) -> Listing:
        problems: list[Problem] = []
        recordings: list[tuple[str, str, str]] = []
        for path in walk(root):
            tone, _, file = path.rpartition("/")
            note = NOTE.fullmatch(PurePosixPath(file).stem)
            if TONE.fullmatch(tone) and note:
                recordings.append((path, tone, str(int(note["pitch"]))))
            else:
                problems.append(Problem(path, "is not named as tone/note.ogg with a MIDI note, 0 to 127"))
        n_notes = Counter(tone for _, tone, _ in recordings)
        splits, origin = own_splits(n_notes, options.seed), "ours"
        table = evar_file(options.evar_dir, "predefined", TONES)
        if table is not None:
            splits, origin = {row["tone"]: row["split"] for row in read_rows(table, ("tone", "split"))}, "EVAR"
            check_splits(table, splits.values())
            problems += mismatches(splits, n_notes, TONES)
        clips = [
            Clip(path, splits[tone], {"pitch": pitch, "source": _source(tone), "tone": tone})
            for path, tone, pitch in recordings
            if tone in splits
        ]
        most = max(n_notes.values(), default=0)
        n_short = sum(n < most for n in n_notes.values())
        notes = ["surge: many tones are drums or effects, where the note is not heard as a pitch"]
        if n_short:
            notes.append(f"surge: {n_short:,} of {len(n_notes):,} tones have fewer than {most} notes")
        together = [clip.labels["tone"] for clip in clips] if origin == "ours" else []
        return Listing(clips, problems, origin, notes=notes, kept_together=together)


def _source(tone: str) -> str:
    match = TONE.fullmatch(tone)
    return SOURCES[match["source"]] if match else ""
