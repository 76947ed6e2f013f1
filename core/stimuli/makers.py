"""How each set's sounds are made: functions of a stimulus' levels and its own random generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from core.stimuli.sound import (
    ACTIVE_SECONDS,
    N_SAMPLES,
    RATE,
    TOP_HZ,
    Amplitudes,
    Signal,
    detuned,
    framed,
    hertz,
    mixed,
    noise,
    pink,
    seconds,
    tone,
    unit,
)

Clip = NDArray[np.float32]
Make = Callable[[Sequence[float], np.random.Generator], Clip]

TIMBRES: dict[str, Amplitudes] = {
    "pure": lambda number, _: (number == 1) * 1.0,
    "dark": lambda number, _: number**-2,
    "sawtooth": lambda number, _: number**-1,
    "odd harmonics": lambda number, _: (number % 2) / number,
    "bright": lambda number, _: np.ones_like(number),
}
"""Amplitude of the n-th harmonic; dark falls by 12 dB an octave, sawtooth and odd by 6, bright not at all."""
WITH_PARTIALS = ("dark", "sawtooth", "bright")
"""Timbres that have every harmonic, so that any may be taken out or moved."""
COURSES = {"steady": 0, "rising": 1, "falling": -1}
RAMP_DB = 24.0
"""By which a ratio of signal to noise rises or falls while a sound lasts."""
FORMANTS = {
    "i": (270, 2290, 3010), "ɛ": (530, 1840, 2480), "ɑ": (730, 1090, 2440), "u": (300, 870, 2240),
}  # fmt: skip
"""First three formants of men in Hz (Peterson and Barney 1952, table II)."""
HIGHER_FORMANTS, BANDWIDTHS = (3500, 4500), (60, 90, 150, 200, 280)
TRACT_CM = 17.0
"""Length of the vocal tract that `FORMANTS` are of: about a man's mean (Fitch and Giedd 1999)."""
CARRIERS = ("noise", "500 Hz tone", "2 kHz tone")
MARKERS = ("white noise", "noise below 1 kHz", "noise above 2 kHz")
EVENTS = ("dog", "crickets", "rain", "coughing", "clock_tick", "siren")
SPEAKERS = ("f2", "f5", "m3", "m7")
WORDS = ("one", "five", "seven", "nine")
GAPS_A_CLIP = 6
GAP_RAMP_SECONDS = 0.001
_ONE_AT_A_TIME = Lock()


def tones(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Pitch (MIDI), level (dB of full scale), timbre."""
    midi, level, timbre = levels
    amplitudes = list(TIMBRES.values())[int(timbre)]
    return framed(tone(detuned(hertz(midi), rng), amplitudes, rng), rng, level)


def fundamental(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Pitch (MIDI), centre of the band (Hz): harmonics from the second on, a bell of 0.4 octaves around the centre."""
    midi, centre = levels

    def amplitudes(number: Signal, frequency: Signal) -> Signal:
        bell: Signal = np.exp(-0.5 * (np.log2(frequency / centre) / 0.4) ** 2)
        return bell * (number > 1)

    return framed(tone(detuned(hertz(midi), rng), amplitudes, rng), rng)


def partials(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Pitch (MIDI), level (dB of full scale), timbre, whether the fundamental is missing, inharmonicity (% of F0)."""
    midi, level, timbre, is_missing, percent = levels
    of_timbre = TIMBRES[WITH_PARTIALS[int(timbre)]]

    def amplitudes(number: Signal, frequency: Signal) -> Signal:
        return of_timbre(number, frequency) * (number > is_missing)

    return framed(tone(detuned(hertz(midi), rng), amplitudes, rng, percent / 100), rng, level)


def snr(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Pitch (MIDI), ratio of signal to noise (dB) in the middle, and its course; the level has none."""
    midi, ratio, course = levels
    sawtooth = tone(detuned(hertz(midi), rng), TIMBRES["sawtooth"], rng)
    ramp = RAMP_DB * list(COURSES.values())[int(course)] * (seconds() / ACTIVE_SECONDS - 0.5)
    return framed(mixed(sawtooth, pink(rng), ratio + ramp), rng)


def am(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Rate (Hz), carrier, depth (%)."""
    rate, carrier, depth = levels
    pitch = (0.0, 500.0, 2000.0)[int(carrier)]
    sound = tone(detuned(pitch, rng), TIMBRES["pure"], rng) if pitch else noise(rng)
    envelope = 1 + depth / 100 * np.sin(2 * np.pi * (rate * seconds() + rng.random()))
    return framed(sound * envelope, rng)


def fm(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Rate (Hz), depth (semitones up and down), centre (Hz)."""
    rate, depth, centre = levels
    swing = depth * np.sin(2 * np.pi * (rate * seconds() + rng.random()))
    phase = np.cumsum(detuned(centre, rng) * 2 ** (swing / 12)) / RATE
    return framed(np.sin(2 * np.pi * (phase + rng.random())), rng)


def noise_bands(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Centre (Hz), width (octaves)."""
    centre, width = levels
    return framed(noise(rng, centre * 2 ** (-width / 2), centre * 2 ** (width / 2)), rng)


def gaps(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Gap (ms), marker: six gaps a clip at drawn places."""
    length, marker = levels
    low, high = ((50.0, TOP_HZ), (50.0, 1000.0), (2000.0, TOP_HZ))[int(marker)]
    sound = noise(rng, low, high)
    n, n_ramp = round(length / 1000 * RATE), round(GAP_RAMP_SECONDS * RATE)
    if n:
        fall = 0.5 + 0.5 * np.cos(np.pi * (np.arange(n_ramp) + 0.5) / n_ramp)
        gain = np.concatenate([fall, np.zeros(n), fall[::-1]])
        between = N_SAMPLES // GAPS_A_CLIP
        for turn in range(GAPS_A_CLIP):
            start = turn * between + int(rng.integers(0, between - len(gain) + 1))
            sound[start : start + len(gain)] *= gain
    return framed(sound, rng)


def events(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Event, ratio of signal to noise (dB)."""
    from core.datasets.demo.synthesis.events import KINDS

    event, ratio = levels
    made = np.asarray(KINDS[EVENTS[int(event)]](rng), dtype=np.float64)[:N_SAMPLES]
    return framed(mixed(np.pad(made, (0, N_SAMPLES - len(made))), pink(rng), ratio), rng)


def vowels(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Pitch (Hz), length of the vocal tract (cm), vowel."""
    f0, length, vowel = levels
    formants = (*list(FORMANTS.values())[int(vowel)], *HIGHER_FORMANTS)

    def amplitudes(number: Signal, frequency: Signal) -> Signal:
        return through_tract(frequency, formants, length) / number

    return framed(tone(detuned(f0, rng), amplitudes, rng), rng)


def through_tract(frequency: Signal, formants: Sequence[float], length: float) -> Signal:
    """What a vocal tract of a length in cm makes of each frequency: resonances in a chain (Fant 1960).

    All formants and their bandwidths are in inverse proportion to the length. The source falls by 12 dB an octave and
    the lips lift by 6, which leaves the 1/n of `vowels`.
    """
    gain = np.ones_like(frequency)
    for formant, bandwidth in zip(formants, BANDWIDTHS, strict=True):
        at, width = formant * TRACT_CM / length, bandwidth * TRACT_CM / length
        gain *= at**2 / np.sqrt((at**2 - frequency**2) ** 2 + (frequency * width) ** 2)
    return gain


def voices(levels: Sequence[float], rng: np.random.Generator) -> Clip:
    """Voice, mean pitch (Hz), word, said again and again; needs the packages of the demo."""
    speaker, pitch, word = levels
    said = _said(int(speaker), float(pitch), int(word), int(rng.integers(150, 190)))
    parts: list[Signal] = []
    while sum(map(len, parts)) < N_SAMPLES:
        parts += [said, np.zeros(round(RATE * rng.uniform(0.04, 0.1)))]
    return framed(np.concatenate(parts)[:N_SAMPLES], rng)


@lru_cache(maxsize=256)
def _said(speaker: int, pitch: float, word: int, rate: int) -> Signal:
    """A word at 16 kHz."""
    from core.datasets.demo.synthesis.clip import trim
    from core.datasets.demo.synthesis.espeak import RATE as SPOKEN_RATE
    from core.datasets.demo.synthesis.espeak import speak
    from core.datasets.demo.synthesis.voices import Voice

    voice = Voice(SPEAKERS[speaker], 1.0, pitch)
    with _ONE_AT_A_TIME:
        spoken = speak(WORDS[word], f"gmw/en+{voice.variant}", rate, voice.pitch_setting())
    assert (RATE, SPOKEN_RATE) == (16_000, 22_050)
    sound: Signal = unit(resample_poly(trim(spoken), 320, 441))
    return sound
