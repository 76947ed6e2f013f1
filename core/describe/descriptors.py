"""What a stretch of sound sounds like, in numbers: names, units, and the words that people say for them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

N_BANDS = 8
BAND_EDGES_HZ = (50, 310, 680, 1210, 1960, 3020, 4510, 6640, 8000)
"""Nearly equal steps in mel; bands that end above half the sampling rate hold less or nothing."""
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class Descriptor:
    """One number of a stretch of sound.

    Attributes
    ----------
    name : str
        As descriptions write it, ``descriptor:flatness``.
    unit : str
    high, low : str
        What people say of a sound that has much or little of it.
    words_high, words_low : str
        Further words of the same meaning, by which plain text is understood.
    """

    name: str
    unit: str
    high: str
    low: str
    words_high: str = ""
    words_low: str = ""


def _bands() -> tuple[Descriptor, ...]:
    names = [f"{low}-{high} Hz" for low, high in pairwise(BAND_EDGES_HZ)]
    return tuple(
        Descriptor(f"band {i}", "dB re full scale", f"loud at {at}", f"quiet at {at}") for i, at in enumerate(names, 1)
    )


DESCRIPTORS = (
    Descriptor("level", "dB re full scale", "loud sound", "quiet sound", "loud", "quiet silence silent soft"),
    Descriptor(
        "onset", "dB in 20 ms", "onsets", "sound without onsets",
        "onset attacks bursts clicks impulses", "steady sustained",
    ),
    Descriptor("centroid", "Hz", "bright sound", "dark sound", "bright brightness treble", "dark dull bass"),
    Descriptor("bandwidth", "Hz", "wide spectra", "narrow spectra", "wideband broadband", "narrowband"),
    Descriptor("flatness", "1 = white noise", "noise", "tones", "noisy hiss hissing", "tone tonal"),
    Descriptor("rolloff", "Hz", "high spectral roll-off", "low spectral roll-off"),
    *_bands(),
    Descriptor("f0", "Hz", "high pitch", "low pitch", "high-pitched", "low-pitched"),
    Descriptor("voicing", "0 to 1", "periodic sound", "aperiodic sound", "voiced pitched", "unvoiced unpitched"),
    Descriptor("harmonicity", "dB", "harmonic sound", "sound with few harmonics", "harmonic harmonics"),
    Descriptor("inharmonicity", "0 to 1", "inharmonic sound", "sound with partials in tune", "inharmonic bell-like"),
    Descriptor("am rate", "Hz", "fast modulation of level", "slow modulation of level"),
    Descriptor(
        "am depth", "share of the mean", "deep modulation of level", "even level",
        "tremolo modulated fluttering", "unmodulated",
    ),
    Descriptor("fm", "semitones", "gliding pitch", "steady pitch", "glide gliding vibrato chirp chirps"),
    Descriptor("attack", "s", "slow attacks", "sharp attacks", "swelling", "percussive sharp"),
    Descriptor("tempo", "beats a minute", "fast tempo", "slow tempo", "fast", "slow"),
    *(
        Descriptor(f"chroma {name}", "share of the power", f"pitch class {name}", f"sound without {name}")
        for name in PITCH_CLASSES
    ),
    Descriptor("formant 1", "Hz", "open vowels", "close vowels"),
    Descriptor("formant 2", "Hz", "front vowels", "back vowels"),
    Descriptor("formant 3", "Hz", "high third formants", "low third formants"),
    Descriptor("jitter", "share of the period", "irregular periods", "regular periods", "hoarse creaky"),
    Descriptor("shimmer", "share of the amplitude", "periods of uneven height", "periods of even height"),
)  # fmt: skip
VOICE = ("formant 1", "formant 2", "formant 3", "jitter", "shimmer")
"""Told only where it was asked for (`core.describe.voice`), else of no moment."""
NAMES = tuple(d.name for d in DESCRIPTORS)
PLACE = {name: i for i, name in enumerate(NAMES)}


def words() -> dict[str, list[str]]:
    """What people say of each descriptor, by ``NAME high`` and ``NAME low``; the phrase of sentences comes first.

    Examples
    --------
    >>> words()["flatness high"], words()["rolloff low"]
    (['noise', 'noisy', 'hiss', 'hissing'], ['low spectral roll-off'])
    """
    return {
        f"{d.name} {how}": [phrase, *more.split()]
        for d in DESCRIPTORS
        for how, phrase, more in (("high", d.high, d.words_high), ("low", d.low, d.words_low))
    }
