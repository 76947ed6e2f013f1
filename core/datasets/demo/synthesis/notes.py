"""Single notes of sampled instruments: pitch, octave, pitch class, instrument, family.

Every (pitch, family) pair occurs equally often in each split, so that no attribute predicts
another, and the splits share no instrument. Notes that die away are re-levelled slowly, because a
decay would tell plucked from blown instruments by level alone.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from core.datasets.base import Segment
from core.datasets.demo.synthesis.clip import SAMPLE_RATE, ClipSpec, Waveform, placed
from core.datasets.demo.synthesis.corpus import SPLITS, MissingDemoPackage
from core.datasets.demo.synthesis.room import even_out, reverberate

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
PITCHES = range(48, 84)
"""Three whole octaves (3, 4, 5) that every instrument below plays in tune."""

FAMILIES: dict[str, dict[str, tuple[int, ...]]] = {
    "keyboard": {"train": (0, 1, 3, 5, 6), "valid": (2,), "test": (4, 7)},
    "organ": {"train": (16, 19, 22, 82), "valid": (17,), "test": (18, 20)},
    "guitar": {"train": (24, 26, 27, 30, 106), "valid": (28, 107), "test": (25, 29, 105)},
    "string": {"train": (40, 42, 48, 50), "valid": (44,), "test": (41, 43, 51)},
    "mallet": {"train": (10, 12, 13, 14), "valid": (15,), "test": (11, 114)},
    "brass": {"train": (56, 57, 60, 62), "valid": (58,), "test": (59, 61, 63)},
    "reed": {"train": (64, 66, 71, 109), "valid": (111,), "test": (69, 70)},
    "pipe": {"train": (72, 73, 75, 76), "valid": (83,), "test": (74, 79)},
}
"""General MIDI programs of each family and split, none of them another's sound under a new name.

At least five a family to train and validate: whole instruments can then be dealt anew among the
families in so many ways that a class can stand out of them.
"""

EXTRA_FAMILIES: dict[str, tuple[int, ...]] = {
    "string": (49, 110),
    "mallet": (108,),
    "bass": (32, 33, 34, 35, 36, 39),
    "harp": (46,),
    "choir": (52, 53, 54, 85, 91),
    "synthesiser": (80, 81, 87, 88, 89, 90, 93, 94, 95, 99, 103),
}
"""More programs, for pre-training only."""

TRAINING_PITCHES = range(36, 88)

OCTAVE_LOW = frozenset({16, 17, 18, 19})
"""Organs whose lowest pipe sounds an octave under the key: played an octave higher."""

NAMES: dict[int, str] = {
    0: "grand piano", 1: "bright piano", 2: "electric grand", 3: "honky-tonk piano",
    4: "electric piano 1", 5: "electric piano 2", 6: "harpsichord", 7: "clavinet",
    10: "music box", 11: "vibraphone", 12: "marimba", 13: "xylophone", 14: "tubular bells",
    15: "dulcimer", 108: "kalimba", 114: "steel drums",
    16: "drawbar organ", 17: "percussive organ", 18: "rock organ", 19: "church organ",
    20: "reed organ", 22: "harmonica", 82: "calliope",
    24: "nylon guitar", 25: "steel guitar", 26: "jazz guitar", 27: "clean guitar",
    28: "muted guitar", 29: "overdriven guitar", 30: "distorted guitar", 105: "banjo",
    106: "shamisen", 107: "koto",
    32: "acoustic bass", 33: "fingered bass", 34: "picked bass", 35: "fretless bass",
    36: "slap bass", 39: "synth bass",
    40: "violin", 41: "viola", 42: "cello", 43: "contrabass", 44: "tremolo strings",
    46: "harp", 48: "string ensemble", 49: "slow strings", 50: "synth strings 1",
    51: "synth strings 2", 110: "fiddle",
    52: "choir aahs", 53: "voice oohs", 54: "synth voice", 85: "solo voice", 91: "space voice",
    56: "trumpet", 57: "trombone", 58: "tuba", 59: "muted trumpet", 60: "french horn",
    61: "brass section", 62: "synth brass 1", 63: "synth brass 2",
    64: "soprano sax", 66: "tenor sax", 69: "english horn", 70: "bassoon",
    71: "clarinet", 109: "bagpipe", 111: "shanai",
    72: "piccolo", 73: "flute", 74: "recorder", 75: "pan flute", 76: "blown bottle",
    79: "ocarina", 83: "chiff",
    80: "square lead", 81: "saw lead", 87: "bass and lead", 90: "polysynth",
    88: "fantasia pad", 89: "warm pad", 93: "metallic pad", 94: "halo pad", 95: "sweep pad",
    99: "atmosphere", 103: "star theme",
}  # fmt: skip

_RATE = 2 * SAMPLE_RATE  # the sampler interpolates linearly: twice the rate keeps aliases faint
_HALVE = firwin(33, 0.47, window=("kaiser", 6.0))
_SECONDS = 2.05
_SLOPE_DB = 10.0
# Echoes as loud as the note: its partials reach the ear with phases that no instrument has.
_ECHO_DB = (-2.0, 3.0)
_DECAY_SECONDS = (0.3, 0.5)
_FLUSH = 6_400  # samples after which a cut-off note has left no trace
_TRAINING_VELOCITIES = (50, 120)
_VELOCITIES = (64, 112)


class Notes:
    """The corpus ``demo-notes``."""

    name = "demo-notes"
    description = "Single notes of sampled instruments: three octaves, eight families."
    source = "Generated here: TimGM6mb SoundFont (pretty_midi) played by TinySoundFont."
    licence = "SoundFont GPL-2.0; the clips are made on your machine and not distributed"
    attributes = ("pitch", "octave", "pitch_class", "family", "instrument")
    segment_attributes = ("note_part",)

    def specs(self, seed: int) -> list[ClipSpec]:
        """All clips: per (pitch, family) two for training, one for test, one half for validation.

        Parameters
        ----------
        seed : int

        Returns
        -------
        list of ClipSpec
        """
        rng = np.random.default_rng((seed, 0x4E07E5))
        out: list[ClipSpec] = []
        for family, programs in FAMILIES.items():
            cells = [("train", pitch, "ab") for pitch in PITCHES]
            cells += [("test", pitch, "a") for pitch in PITCHES]
            for split, pitch, takes in cells:
                for take, program in zip(takes, rng.permutation(programs[split] * 2), strict=False):
                    out.append(_demo_spec(Cell(split, pitch, family, take), int(program), seed, rng))
        for pitch, family in _half_of_all_cells(rng):
            program = int(rng.choice(FAMILIES[family]["valid"]))
            out.append(_demo_spec(Cell("valid", pitch, family, "a"), program, seed, rng))
        return out

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        """A note of any in-tune instrument but those of the test split, over 4.5 octaves.

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        ClipSpec
        """
        pools = training_programs()
        family = str(rng.choice(list(pools)))
        program = int(rng.choice(pools[family]))
        pitch = int(rng.choice(TRAINING_PITCHES))
        entropy = int(rng.integers(2**63))
        parameters = _parameters(program, rng, _TRAINING_VELOCITIES)
        name = f"note-{entropy:016x}"
        return ClipSpec(name, "train", _labels(pitch, family, program), parameters, (entropy,))

    def render(self, spec: ClipSpec) -> Waveform:
        """The clip, shape (33280,), 16 kHz.

        Parameters
        ----------
        spec : ClipSpec

        Returns
        -------
        ndarray of float32, shape (33280,)

        Raises
        ------
        MissingDemoPackage
            If the sampler or the SoundFont is not installed.
        """
        return self.timed(spec)[0]

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        """The clip and the parts of its note."""
        parameters = spec.parameters
        sound = play(
            int(str(parameters["program"])),
            int(spec.labels["pitch"]),
            int(str(parameters["velocity"])),
            float(str(parameters["cents"])),
        )
        rng = spec.rng()
        evened = level(sound)
        # A slope drawn for all instruments alike, in place of the decay that would tell them.
        evened *= 10 ** (np.linspace(0, rng.uniform(-_SLOPE_DB, _SLOPE_DB), evened.size) / 20)
        note = placed(reverberate(evened, rng, _ECHO_DB, _DECAY_SECONDS), rng)
        return note.clip, note.note_parts()


NOTES = Notes()


def training_programs() -> dict[str, tuple[int, ...]]:
    """Programs per family that pre-training may use: all but those of the test split."""
    pools = {family: split["train"] + split["valid"] for family, split in FAMILIES.items()}
    for family, programs in EXTRA_FAMILIES.items():
        pools[family] = pools.get(family, ()) + programs
    return pools


def play(program: int, pitch: int, velocity: int, cents: float = 0.0) -> NDArray[np.float64]:
    """One held note from its onset, at 16 kHz.

    Parameters
    ----------
    program : int
        General MIDI program, from 0.
    pitch : int
        Sounding pitch, MIDI number.
    velocity : int
        1 to 127.
    cents : float
        Detuning.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    synth, font = _sampler()
    # What the last note left must not be heard in this one.
    synth.sounds_off()
    synth.generate(_FLUSH)
    synth.program_select(0, font, 0, program)
    synth.set_tuning(0, cents / 100)
    synth.noteon(0, pitch + 12 * (program in OCTAVE_LOW), velocity)
    stereo = np.frombuffer(synth.generate(round(_SECONDS * _RATE)), dtype=np.float32)
    mono = (stereo[0::2] + stereo[1::2]).astype(np.float64)
    halved: NDArray[np.float64] = resample_poly(mono, 1, 2, window=_HALVE)
    return halved


def level(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the slow course of the level out of a note, so that it fills a clip.

    Parameters
    ----------
    sound : ndarray, shape (n,)
        A note from its onset, 16 kHz.

    Returns
    -------
    ndarray, shape (m,)
        From the first clearly audible sample on; m >= 30400 (1.9 s).
    """
    audible = np.flatnonzero(np.abs(sound) > np.abs(sound).max() * 10 ** (-26 / 20))
    kept = sound[min(int(audible[0]), sound.size - round(1.9 * SAMPLE_RATE) - 1) :]
    return even_out(kept, strength=1.0, max_gain_db=40.0)


class Cell(NamedTuple):
    """What tells one note of the demo from another, whichever instrument of the family plays it."""

    split: str
    pitch: int
    family: str
    take: str


def _demo_spec(cell: Cell, program: int, seed: int, rng: np.random.Generator) -> ClipSpec:
    split, pitch, family, take = cell
    index = (list(FAMILIES).index(family), pitch, ord(take), SPLITS.index(split))
    return ClipSpec(
        f"{split}-{family}-{pitch}-{take}",
        split,
        _labels(pitch, family, program),
        _parameters(program, rng, _VELOCITIES),
        (seed, 1, *index),
    )


def _parameters(program: int, rng: np.random.Generator, velocities: tuple[int, int]) -> dict[str, object]:
    return {
        "program": program,
        "velocity": int(rng.integers(velocities[0], velocities[1] + 1)),
        "cents": round(float(rng.uniform(-12, 12)), 2),
    }


def _labels(pitch: int, family: str, program: int) -> dict[str, str]:
    return {
        "pitch": str(pitch),
        "octave": str(pitch // 12 - 1),
        "pitch_class": PITCH_CLASSES[pitch % 12],
        "family": family,
        "instrument": NAMES[program],
    }


def _half_of_all_cells(rng: np.random.Generator) -> list[tuple[int, str]]:
    """Half of all (pitch, family) pairs, each pitch and each family equally often."""
    pitches = rng.permutation(PITCHES)
    cells: list[tuple[int, str]] = []
    for first, second in zip(pitches[0::2], pitches[1::2], strict=True):
        families = [str(family) for family in rng.permutation(list(FAMILIES))]
        half = len(families) // 2
        cells += [(int(first), family) for family in families[:half]]
        cells += [(int(second), family) for family in families[half:]]
    return sorted(cells)


@lru_cache(maxsize=1)
def _sampler() -> tuple[Any, int]:
    """The sampler of this process with the SoundFont loaded."""
    try:
        import tinysoundfont
    except ImportError as error:
        raise MissingDemoPackage("tinysoundfont", "pip install --no-deps tinysoundfont") from error
    # Found without importing it: pretty_midi itself is not needed, and slow to import.
    package = find_spec("pretty_midi")
    if package is None or package.origin is None:
        raise MissingDemoPackage("pretty_midi")
    synth = tinysoundfont.Synth(samplerate=_RATE, gain=-6)
    return synth, synth.sfload(str(Path(package.origin).with_name("TimGM6mb.sf2")), max_voices=32)
