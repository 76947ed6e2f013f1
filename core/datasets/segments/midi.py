"""MIDI beside the sound: notes, their pitch classes and instruments, drums, and chords.

By `pretty_midi <https://github.com/craffel/pretty-midi>`_, which turns ticks into seconds. A chord is a stretch in
which the same pitch classes sound, three at least.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from core.datasets.derive import PITCH_CLASSES, pitch_class
from core.datasets.segments.gathered import Gathered, NotRead, why
from core.files import refuse_no_file

MOST_BYTES = 1 << 20
"""Hours of music; its reader takes 1.6 s for them."""
CHORD_SIZE, CHORD_SECONDS = 3, 0.05
"""Pitch classes of a chord at least, and how long it lasts: less is where one note runs into the next."""
Note = tuple[float, float, int]
"""Onset, offset, MIDI number."""


def read(path: Path, attribute: str, sound: Path) -> Gathered:
    """Read the notes of a MIDI file.

    Raises
    ------
    NotRead
        If it is none.
    """
    import pretty_midi

    gathered = Gathered()
    refuse_no_file(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise NotRead(f"has {size:,} bytes; at most {MOST_BYTES:,} of MIDI are read")
    notes: list[Note] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            instruments = pretty_midi.PrettyMIDI(str(path)).instruments
        for instrument in instruments:
            name = "drums" if instrument.is_drum else pretty_midi.program_to_instrument_name(instrument.program)
            for note in instrument.notes:
                onset, offset, pitch = float(note.start), float(note.end), int(note.pitch)
                gathered.add("instrument", name, onset, offset)
                if instrument.is_drum:
                    gathered.add("drum", pretty_midi.note_number_to_drum_name(pitch) or str(pitch), onset, offset)
                else:
                    gathered.add("note", str(pitch), onset, offset)
                    gathered.add("pitch_class", pitch_class(str(pitch)), onset, offset)
                    notes.append((onset, offset, pitch))
    except Exception as error:  # its reader finds out by what fails, in any way
        raise NotRead(f"cannot be read as MIDI ({why(error)})") from error
    for onset, offset, label in chords(notes):
        gathered.add("chord", label, onset, offset)
    if not gathered.segments:
        gathered.empty["note"] = None
    return gathered


def chords(notes: Sequence[Note]) -> list[tuple[float, float, str]]:
    """Stretches in which the same three pitch classes or more sound.

    Parameters
    ----------
    notes : sequence of (onset, offset, pitch)
        Seconds and MIDI numbers.

    Returns
    -------
    list of (onset, offset, label)
        Labels such as ``C-E-G``, pitch classes in the order from C.

    Examples
    --------
    >>> chords([(0, 2, 60), (0, 1, 64), (0, 2, 67), (1, 2, 65), (1.5, 1.6, 72)])
    [(0, 1, 'C-E-G'), (1, 2, 'C-F-G')]
    """
    steps = sorted((at, step, pitch % 12) for on, off, pitch in notes for at, step in ((on, 1), (off, -1)))
    times = sorted({at for at, *_ in steps})
    sounding, place = [0] * 12, 0
    found: list[tuple[float, float, str]] = []
    for begin, end in pairwise(times):
        while place < len(steps) and steps[place][0] <= begin:
            sounding[steps[place][2]] += steps[place][1]
            place += 1
        present = [name for name, n in zip(PITCH_CLASSES, sounding, strict=True) if n > 0]
        label = "-".join(present) if len(present) >= CHORD_SIZE else ""
        if found and found[-1][2] == label:
            found[-1] = (found[-1][0], end, label)
        else:
            found.append((begin, end, label))
    return [(begin, end, label) for begin, end, label in found if label and end - begin >= CHORD_SECONDS]
