"""What Praat tells of voices: formants, jitter and shimmer (Boersma and Weenink), through the library parselmouth.

For who asks for it (``--voice``): formants of sound that is no voice mean nothing, and the library is GPL-3, so that
users install it themselves (extra ``voice``).
"""

from __future__ import annotations

import numpy as np

from core.describe.acoustics import Floats
from core.describe.descriptors import PLACE, VOICE
from core.errors import InputError
from core.results import FloatArray

F0_MIN, F0_MAX = 75.0, 600.0
MOST_HZ = 5500.0
"""Below lie five formants, of voices of all sizes (Praat's default)."""
LEAST_SECONDS = 0.08
"""Stretches are widened to this length around their middle: some periods of the lowest voice."""
_PERIODS = 0.0001, 0.02, 1.3
"""Shortest and longest period that counts (s), and how much neighbours may differ (Praat's defaults)."""
_FORMANTS = [name for name in VOICE if name.startswith("formant")]


def check() -> None:
    """See that the library is there.

    Raises
    ------
    InputError
        If it is not.
    """
    try:
        import parselmouth  # noqa: F401
    except ImportError as error:
        raise InputError("--voice needs parselmouth: pip install 'audio-neuron-atlas[voice]'") from error


def add_voice(found: Floats, waveform: Floats, rate: int, spans: FloatArray) -> None:
    """Add what is told of voices to what `core.describe.acoustics.measure` gave of a clip, where there is a pitch."""
    import parselmouth
    from parselmouth.praat import call

    voiced = np.flatnonzero(np.isfinite(found[:, PLACE["f0"]]))
    if not len(voiced) or len(waveform) < LEAST_SECONDS * rate:
        return
    sound = parselmouth.Sound(waveform.astype(np.float64), rate)
    formants = sound.to_formant_burg(maximum_formant=min(MOST_HZ, rate / 2))
    pulses = call(sound, "To PointProcess (periodic, cc)", F0_MIN, F0_MAX)
    for row in voiced.tolist():
        middle, length = spans[row].mean(), max(float(np.diff(spans[row])[0]), LEAST_SECONDS)
        start, end = middle - length / 2, middle + length / 2
        for number, name in enumerate(_FORMANTS, 1):
            found[row, PLACE[name]] = formants.get_value_at_time(number, middle)
        found[row, PLACE["jitter"]] = call(pulses, "Get jitter (local)", start, end, *_PERIODS)
        found[row, PLACE["shimmer"]] = call([sound, pulses], "Get shimmer (local)", start, end, *_PERIODS, 1.6)
