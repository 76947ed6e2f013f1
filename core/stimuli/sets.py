"""The sets of made sounds: what each varies, how often, and the sound of any stimulus, the same for the same seed.

Nothing here needs PyTorch: a page makes a sound anew where it plays it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from core.stimuli import makers
from core.stimuli.design import Design, Factor
from core.stimuli.makers import Clip, Make
from core.stimuli.names import NAMES
from core.stimuli.sound import RATE

VERSION = 2
"""Raised when a set's sounds change: what was recorded of it is then recorded anew."""
NOTES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@dataclass(frozen=True)
class StimulusSet:
    """One set of made sounds.

    Attributes
    ----------
    name : str
    design : Design
    make : callable
    package, module : str
        What must be installed to make it, and what it is imported as; empty = nothing more.
    """

    name: str
    design: Design
    make: Make
    package: str = ""
    module: str = ""

    @property
    def lacks(self) -> str:
        """What is missing to make it, in words; empty where nothing is."""
        from core.datasets.demo.synthesis.corpus import MissingDemoPackage

        return str(MissingDemoPackage(self.package)) if self.package and find_spec(self.module) is None else ""

    def values(self, index: int) -> tuple[float, ...]:
        """Each factor's value at a stimulus."""
        factors = self.design.factors
        return tuple(f.values[level] for f, level in zip(factors, self.design.table[index], strict=True))

    def sound(self, index: int, seed: int) -> Clip:
        """A stimulus, (33280,) float32 at 16 kHz.

        Raises
        ------
        core.datasets.demo.synthesis.corpus.MissingDemoPackage
            If the set needs a package that is not installed.
        """
        rng = np.random.default_rng((seed, zlib.crc32(self.name.encode()), index))
        return self.make(self.values(index), rng)

    def sounds(self, seed: int) -> Iterator[Clip]:
        """All stimuli, in order."""
        return (self.sound(index, seed) for index in range(self.design.n_stimuli))

    @property
    def content_key(self) -> str:
        """sha256 of what the set is: its name, its table and the version of the sounds."""
        table = [(f.name, f.levels, f.values) for f in self.design.factors]
        return hashlib.sha256(
            json.dumps([VERSION, RATE, self.name, self.design.repetitions, table]).encode()
        ).hexdigest()


def _notes(name: str, midi: range) -> Factor:
    levels = [f"{NOTES[n % 12]}{n // 12 - 1}, {440 * 2 ** ((n - 69) / 12):.0f} Hz" for n in midi]
    return Factor.ordered(name, midi, "MIDI note", levels)


def _ratios(*ratios: int) -> Factor:
    return Factor.ordered("SNR", ratios, "dB")


def _sets() -> Iterator[StimulusSet]:
    ordered, kinds = Factor.ordered, Factor.of_kinds
    events = [event.replace("_", " ") for event in makers.EVENTS]
    speakers = [f"{name} ({'female' if name.startswith('f') else 'male'})" for name in makers.SPEAKERS]
    yield StimulusSet(
        "tones",
        Design((_notes("F0", range(48, 81, 4)), ordered("level", (-36, -26, -16), "dB"),
                kinds("timbre", tuple(makers.TIMBRES))), 2),
        makers.tones,
    )  # fmt: skip
    yield StimulusSet(
        "fundamental",
        Design((_notes("F0", range(48, 65, 4)), ordered("band", (1200, 1700, 2400, 3400), "Hz")), 5),
        makers.fundamental,
    )
    yield StimulusSet(
        "partials",
        Design((_notes("F0", range(48, 73, 8)), ordered("level", (-32, -20), "dB"),
                kinds("timbre", makers.WITH_PARTIALS), kinds("fundamental", ("there", "missing")),
                ordered("inharmonicity", (0, 8, 32), "%")), 2),
        makers.partials,
    )  # fmt: skip
    yield StimulusSet(
        "snr",
        Design((_notes("F0", range(48, 81, 8)), _ratios(-12, -6, 0, 6, 12), kinds("course", tuple(makers.COURSES))), 2),
        makers.snr,
    )
    yield StimulusSet(
        "am",
        Design((ordered("AM rate", (2, 4, 8, 16, 32), "Hz"), kinds("carrier", makers.CARRIERS),
                ordered("AM depth", (50, 100), "%")), 3),
        makers.am,
    )  # fmt: skip
    yield StimulusSet(
        "fm",
        Design((ordered("FM rate", (2, 4, 8, 16), "Hz"), ordered("FM depth", (0.5, 2, 6), "semitones"),
                ordered("centre", (400, 1600), "Hz")), 3),
        makers.fm,
    )  # fmt: skip
    yield StimulusSet(
        "noise",
        Design((ordered("centre", (150, 300, 600, 1200, 2400, 4800), "Hz"),
                ordered("width", (1 / 3, 2 / 3, 4 / 3), "octaves", ("⅓ octave", "⅔ octave", "1⅓ octaves"))), 5),
        makers.noise_bands,
    )  # fmt: skip
    yield StimulusSet(
        "gaps",
        Design((ordered("gap", (0, 4, 8, 16, 32, 64), "ms"), kinds("marker", makers.MARKERS)), 5),
        makers.gaps,
    )
    yield StimulusSet("events", Design((kinds("event", events), _ratios(-6, 0, 6, 12)), 4), makers.events)
    yield StimulusSet(
        "vowels",
        Design((ordered("F0", (100, 130, 170, 220, 285), "Hz"), ordered("vocal tract", (13, 14.5, 16, 17.5), "cm"),
                kinds("vowel", tuple(makers.FORMANTS))), 3),
        makers.vowels,
    )  # fmt: skip
    yield StimulusSet(
        "voices",
        Design((kinds("voice", speakers), ordered("F0", (120, 155, 200), "Hz"), kinds("word", makers.WORDS)), 3),
        makers.voices, "espeakng-loader", "espeakng_loader",
    )  # fmt: skip


SETS: Mapping[str, StimulusSet] = {each.name: each for each in _sets()}
"""By name, in the order of `core.stimuli.names.NAMES`."""
assert tuple(SETS) == tuple(NAMES)
