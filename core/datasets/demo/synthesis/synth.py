"""Corpus ``demo-synth``: eight timbres of additive, FM and subtractive synthesis on every pitch.

A clip is one held note. Its pitch and its timbre are crossed; a *patch* is one setting of a
timbre's knobs, and no patch is in two splits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from core.datasets.base import Segment
from core.datasets.demo.synthesis.clip import SAMPLE_RATE, ClipSpec, Waveform, placed
from core.datasets.demo.synthesis.dsp import (
    CONTROL,
    Signal,
    between,
    cycles,
    even_level,
    lowpass,
    upsample,
    wander,
    wavetable,
)

N_SOUND = 2 * SAMPLE_RATE
N_CONTROL = N_SOUND // CONTROL
ROWS = 12
"""Spectra a sound passes through: one every 0.17 s."""

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
PITCHES = range(48, 84)
TRAINING_PITCHES = range(36, 88)
N_KNOBS = 8

DESIGN = {"train": (12, 24), "valid": (6, 6), "test": (8, 9)}
"""Clips per pitch, spread over the eight timbres, and patches per timbre."""

Timbre = Callable[[float, Sequence[float], np.random.Generator], Signal]


def frequency_curve(frequency: float, knobs: Sequence[float], rng: np.random.Generator, depth: float = 1.0) -> Signal:
    """Frequency over time in Hz: a few cents off, vibrato and a slow drift of a few cents."""
    time = np.arange(N_CONTROL) * (CONTROL / SAMPLE_RATE)
    rate = between(3.5, 7.0, knobs[0])
    cents = depth * 12.0 * max(knobs[1], 0.0) * np.sin(2 * np.pi * (rate * time + rng.random()))
    cents += wander(rng, N_CONTROL, 2.0, -3, 3) + rng.uniform(-6, 6)
    return upsample(frequency * 2 ** (cents / 1200))


def harmonic_numbers(frequency: float, most: int = 64) -> Signal:
    """Numbers of the harmonics that stay under 7.2 kHz, at most ``most`` of them."""
    return np.arange(1, max(2, min(most, int(7200 / frequency)) + 1), dtype=np.float64)


def row_times() -> Signal:
    """Time of each row of spectra in seconds, as a column."""
    return np.linspace(0, N_SOUND / SAMPLE_RATE, ROWS)[:, None]


def resonant_lowpass(hertz: Signal, cutoff: Signal | float, quality: float) -> Signal:
    """Amplitude response of a two-pole low-pass."""
    ratio = (hertz / cutoff) ** 2
    return 1 / np.sqrt((1 - ratio) ** 2 + ratio / quality**2)


def additive_organ(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """Drawbars on harmonics 1, 2, 3, 4, 6 and 8 with a rotating-speaker tremolo."""
    bars = np.zeros(8)
    bars[[0, 1, 2, 3, 5, 7]] = [between(0.15, 1.0, min(k, 1.0)) for k in knobs[2:8]]
    bars[0] += 0.5
    bars = bars[: harmonic_numbers(frequency, 8).size]
    sound = wavetable(cycles(frequency_curve(frequency, knobs, rng, 0.5), N_SOUND), bars)
    rate = between(0.8, 6.5, knobs[0])
    tremolo = np.sin(2 * np.pi * (cycles(rate, N_SOUND) + rng.random()))
    sound *= 1 + 0.3 * knobs[1] * tremolo
    return sound


def additive_bright(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """All harmonics with a shallow slope, a high formant and weak even harmonics."""
    number = harmonic_numbers(frequency)
    slope = 0.35 + 0.5 * knobs[2]
    formant = between(1500, 4500, knobs[3])
    octaves = np.log2(number * frequency / formant)
    spectrum = number**-slope * (0.5 + 1.5 * np.exp(-0.5 * (octaves / 0.45) ** 2))
    spectrum[1::2] *= between(0.2, 0.9, knobs[4])
    fade = between(0.05, 1.2, knobs[5]) * row_times() * np.log2(number + 1) / 3
    curve = frequency_curve(frequency, knobs, rng)
    return wavetable(cycles(curve, N_SOUND), spectrum * np.exp(-fade))


def fm_bell(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """Inharmonic frequency modulation with an index that decays."""
    ratio = (1.41, 2.76, 3.53, 5.19)[min(3, int(4 * max(knobs[2], 0.0)))] + 0.06 * knobs[3]
    phase = 2 * np.pi * cycles(frequency_curve(frequency, knobs, rng, 0.2), N_SOUND)
    time = np.arange(N_SOUND) / SAMPLE_RATE
    # The index falls with pitch so that side bands stay under Nyquist.
    index = between(0.7, 2.2, knobs[4]) * min(1.0, 700 / frequency)
    decay = np.exp(-time / between(0.4, 1.6, knobs[5]))
    strike: Signal = np.sin(phase + index * decay * np.sin(ratio * phase + rng.uniform(0, 6)))
    strike *= 0.15 + 0.85 * np.exp(-time / between(0.5, 1.5, knobs[6]))
    return strike


def fm_brass(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """Harmonic frequency modulation (1:1) whose index follows the loudness."""
    phase = 2 * np.pi * cycles(frequency_curve(frequency, knobs, rng), N_SOUND)
    time = np.arange(N_SOUND) / SAMPLE_RATE
    loudness = 1 - np.exp(-time / between(0.03, 0.12, knobs[2]))
    loudness *= 0.75 + 0.25 * np.exp(-time / between(0.1, 0.6, knobs[3]))
    loudness *= upsample(wander(rng, N_CONTROL, 4.0, 0.85, 1.0))
    index = between(2.0, 5.0, knobs[4]) * min(1.0, 600 / frequency) * loudness
    sound: Signal = np.sin(phase + index * np.sin(phase + 2 * np.pi * knobs[5]))
    sound *= loudness
    # The lower side band falls on 0 Hz: inaudible, yet it would count in the level.
    sound -= lowpass(sound, 25)
    return sound


def saw_filtered(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """Sawtooth through a resonant low-pass whose cutoff falls."""
    number = harmonic_numbers(frequency)
    opening = between(1.5, 6.0, knobs[2]) * np.exp(-row_times() / between(0.1, 0.8, knobs[3]))
    cutoff = between(350, 1400, knobs[4]) * (1 + opening) + 0.8 * frequency
    response = resonant_lowpass(number * frequency, cutoff, between(1.2, 7.0, knobs[5]))
    curve = frequency_curve(frequency, knobs, rng, 0.7)
    return wavetable(cycles(curve, N_SOUND), response / number)


def square_pwm(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """Pulse wave, the difference of two sawtooths, whose width is modulated."""
    number = harmonic_numbers(frequency)
    phase = cycles(frequency_curve(frequency, knobs, rng, 0.7), N_SOUND)
    swing = np.sin(2 * np.pi * (cycles(between(0.5, 5.0, knobs[2]), N_SOUND) + rng.random()))
    width = 0.5 - 0.3 * abs(knobs[3]) + 0.18 * knobs[4] * swing
    cutoff = between(1500, 6000, knobs[5]) + frequency
    saw = resonant_lowpass(number * frequency, cutoff, 0.8) / number
    return wavetable(phase, saw) - wavetable(phase + width, saw)


def pluck(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """Plucked string: the pluck's place notches harmonics, and high ones die first."""
    number = harmonic_numbers(frequency)
    spot = 0.08 + 0.3 * max(knobs[2], 0.0)
    spectrum = (np.abs(np.sin(np.pi * number * spot)) + 0.05) * number ** -(0.5 + 0.7 * knobs[3])
    loss = between(0.6, 2.0, knobs[4]) + between(0.05, 0.5, knobs[5]) * (number - 1) ** 1.3
    spectra = spectrum * (0.03 * (number == 1) + np.exp(-loss * 2.0 * row_times()))
    curve = frequency_curve(frequency, knobs, rng, 0.15)
    return wavetable(cycles(curve, N_SOUND), spectra)


def pad_detuned(frequency: float, knobs: Sequence[float], rng: np.random.Generator) -> Signal:
    """Three soft sawtooths, detuned against each other so that they beat."""
    number = harmonic_numbers(frequency)
    cutoff = between(500, 1800, knobs[2]) + 0.5 * frequency
    saw = resonant_lowpass(number * frequency, cutoff, 0.7) / number
    curve = frequency_curve(frequency, knobs, rng, 0.4)
    spread = between(7, 18, knobs[3]) * np.array([-1.0, 0.0, 1.0]) + rng.uniform(-2, 2, 3)
    phase = cycles(curve, N_SOUND)
    voices = [wavetable(phase * 2 ** (c / 1200) + rng.random(), saw) for c in spread]
    return (voices[0] + voices[1] + voices[2]) * upsample(wander(rng, N_CONTROL, 3.0, 0.6, 1.0))


TIMBRES: dict[str, Timbre] = {
    "additive_organ": additive_organ,
    "additive_bright": additive_bright,
    "fm_bell": fm_bell,
    "fm_brass": fm_brass,
    "saw_filtered": saw_filtered,
    "square_pwm": square_pwm,
    "pluck": pluck,
    "pad_detuned": pad_detuned,
}


def labels_of(pitch: int, timbre: str) -> dict[str, str]:
    """Values of the corpus' attributes for a MIDI pitch and a timbre."""
    return {
        "pitch": str(pitch),
        "octave": str(pitch // 12 - 1),
        "pitch_class": PITCH_CLASSES[pitch % 12],
        "timbre": timbre,
    }


class SynthCorpus:
    """Held notes of eight synthetic timbres, three octaves, disjoint patches per split."""

    name = "demo-synth"
    description = "Additive, FM and subtractive synthesis: 8 timbres on 36 pitches (C3 to B5)"
    source = "made by this project's own code"
    licence = "Apache-2.0"
    attributes = ("pitch", "octave", "pitch_class", "timbre")
    segment_attributes = ("note_part",)

    def specs(self, seed: int) -> list[ClipSpec]:
        """All clips in order: 432 to train, 216 to validate, 288 to test.

        Parameters
        ----------
        seed : int
            Sets the patches and all that varies between clips.

        Returns
        -------
        list of ClipSpec
        """
        corpus = zlib.crc32(self.name.encode())
        rng = np.random.default_rng((seed, corpus))
        specs: list[ClipSpec] = []
        for split, (per_pitch, n_patches) in DESIGN.items():
            for index, timbre in enumerate(TIMBRES):
                patches = rng.random((n_patches, N_KNOBS))
                pitches = [
                    p
                    for done in range(0, per_pitch, len(TIMBRES))
                    for p in PITCHES
                    if (index + 2 * (p % 12 + p // 12)) % len(TIMBRES) < per_pitch - done
                ]
                turns = rng.permutation(len(pitches)) % n_patches
                for count, (pitch, turn) in enumerate(zip(pitches, turns, strict=True)):
                    specs.append(
                        ClipSpec(
                            name=f"{split}-{timbre}-{pitch}-{count:02d}",
                            split=split,
                            labels=labels_of(pitch, timbre),
                            parameters={
                                "patch": f"{split}-{timbre}-{turn:02d}",
                                "knobs": tuple(float(k) for k in patches[turn]),
                            },
                            seed=(seed, corpus, len(specs)),
                        )
                    )
        return specs

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        """One clip for pre-training: four octaves and a third, and knobs drawn past both ends of their range.

        Its patch is drawn afresh, so it is none of the corpus' own.
        """
        entropy = int(rng.integers(2**63))
        timbre = tuple(TIMBRES)[int(rng.integers(len(TIMBRES)))]
        pitch = int(rng.choice(TRAINING_PITCHES))
        return ClipSpec(
            name=f"training-{entropy:016x}",
            split="train",
            labels=labels_of(pitch, timbre),
            parameters={
                "patch": f"training-{entropy:016x}",
                "knobs": tuple(float(k) for k in rng.uniform(-0.2, 1.2, N_KNOBS)),
            },
            seed=(0x7EA1, entropy),
        )

    def render(self, spec: ClipSpec) -> Waveform:
        """Make a clip from its description alone.

        Returns
        -------
        ndarray of float32, shape (33280,)
        """
        return self.timed(spec)[0]

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        """The clip and the parts of its note."""
        rng = spec.rng()
        frequency = 440.0 * 2 ** ((int(spec.labels["pitch"]) - 69) / 12)
        knobs = cast("Sequence[float]", spec.parameters["knobs"])
        sound = TIMBRES[spec.labels["timbre"]](frequency, knobs, rng)
        note = placed(even_level(sound, rng), rng)
        return note.clip, note.note_parts()


SYNTH = SynthCorpus()
