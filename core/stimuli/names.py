"""The sets of made sounds by name; light, as every command line reads it."""

from __future__ import annotations

from core.errors import InputError

NAMES = {
    "tones": "pure and complex tones: pitch, level, timbre",
    "fundamental": "tones whose fundamental is missing: pitch, spectral band",
    "partials": "complex tones: pitch, level, timbre, fundamental there or missing, inharmonicity",
    "snr": "tones in pink noise: pitch, signal-to-noise ratio, and whether it stays, rises or falls",
    "am": "amplitude modulation: rate, carrier, depth",
    "fm": "frequency modulation: rate, depth, centre",
    "noise": "bands of noise of equal level: centre, width",
    "gaps": "short gaps in steady sound: gap, marker",
    "events": "everyday sounds of the demo in pink noise: event, signal-to-noise ratio",
    "vowels": "vowels by formants: pitch, length of the vocal tract, vowel",
    "voices": "voices of espeak-ng that say each other's words at equal pitch: voice, pitch, word",
}
"""Name of each set, in the order they are told, and what it is."""


def parse_stimuli(text: str) -> tuple[str, ...]:
    """Names of sets from a list with commas, or ``all``; each once, in the order of `NAMES`.

    Raises
    ------
    InputError
        If one is unknown, or none is named.

    Examples
    --------
    >>> parse_stimuli("vowels, tones")
    ('tones', 'vowels')
    """
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in (*NAMES, "all")]
    if unknown or not asked:
        raise InputError(
            f"--stimuli {text}: {unknown[0] if unknown else 'nothing'} is no set of made sounds; "
            f"expected all, or of {','.join(NAMES)}"
        )
    return tuple(name for name in NAMES if name in asked or "all" in asked)
