"""Synthetic speech: sentences in several languages, and English digits.

Both corpora have the 48 voices of ``voices``. The splits share no voice and, for sentences, the
test split shares no word with the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample, resample_poly

from core.datasets.base import Segment
from core.datasets.demo.synthesis.clip import SAMPLE_RATE, ClipSpec, Placed, Waveform, audible, placed
from core.datasets.demo.synthesis.corpus import SPLITS
from core.datasets.demo.synthesis.espeak import RATE, Phones, said
from core.datasets.demo.synthesis.room import even_out, reverberate
from core.datasets.demo.synthesis.voices import VOICES, Voice, training_voice
from core.datasets.demo.synthesis.words import DEMO_LANGUAGES, FAMILY_OF, words

VOICE_FILES: dict[str, str] = {
    "english": "gmw/en", "german": "gmw/de", "dutch": "gmw/nl", "swedish": "gmq/sv",
    "spanish": "roa/es", "french": "roa/fr", "italian": "roa/it", "portuguese": "roa/pt",
    "polish": "zlw/pl", "czech": "zlw/cs", "ukrainian": "zle/uk",
}  # fmt: skip

DIGITS_SPOKEN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip

_DIGIT_SECONDS = (0.47, 0.37, 0.32, 0.33, 0.4, 0.47, 0.43, 0.45, 0.32, 0.5)
"""About what each takes at 170 words a minute; a first guess."""

_JITTER = 0.05
_RATES = (140, 200)
_TRAINING_RATES = (120, 240)
_ACTIVE = (1.2, 1.9)
_GAP = (0.04, 0.08)
_ECHO_DB = (-6.0, 0.0)
_SPEECH_ECHO_DB = (-9.0, -3.0)
_STRESS = "ˈˌ"
Said = tuple[dict[str, str], dict[str, object]]
"""Labels and parameters of a clip."""
_LETTERS = 45  # enough for 2 s at the fastest rate; slower speech is cut


class Speech:
    """The corpus ``demo-speech``."""

    name = "demo-speech"
    description = "Random sentences in six languages of three families, by 48 voices."
    source = "Generated here: espeak-ng (espeakng-loader)."
    licence = "espeak-ng GPL-3.0; the clips are made on your machine and not distributed"
    attributes = ("language", "language_family", "gender", "voice")
    segment_attributes = ("phone",)

    def specs(self, seed: int) -> list[ClipSpec]:
        """All 816 clips: every voice of a split says equally many sentences in every language.

        Parameters
        ----------
        seed : int

        Returns
        -------
        list of ClipSpec
        """
        rng = np.random.default_rng((seed, 0x5BEEC4))
        takes = {"train": 3, "valid": 2, "test": 3}
        out: list[ClipSpec] = []
        for split, voice in _cast():
            for language in DEMO_LANGUAGES:
                for take in range(takes[split]):
                    name = f"{split}-{language}-{voice.name}-{take:02d}"
                    text = _sentence(language, split == "test", rng)
                    pitch = voice.pitch_setting(1 + rng.uniform(-_JITTER, _JITTER))
                    rate = int(rng.integers(*_RATES))
                    entropy = (seed, 2, len(out))
                    out.append(ClipSpec(name, split, *_sentence_spec(language, voice, text, rate, pitch), entropy))
        return out

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        """A sentence in one of eleven languages by any voice but those of the test splits.

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        ClipSpec
        """
        language = str(rng.choice(list(FAMILY_OF)))
        voice = training_voice(rng)
        text = _sentence(language, False, rng)
        rate = int(rng.integers(*_TRAINING_RATES))
        entropy = int(rng.integers(2**63))
        name = f"speech-{entropy:016x}"
        spoken = _sentence_spec(language, voice, text, rate, voice.pitch_setting())
        return ClipSpec(name, "train", *spoken, (entropy,))

    def render(self, spec: ClipSpec) -> Waveform:
        """The clip, shape (33280,), 16 kHz.

        Parameters
        ----------
        spec : ClipSpec

        Returns
        -------
        ndarray of float32, shape (33280,)
        """
        return self.timed(spec)[0]

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        """The clip and its phones, each from where the synthesiser begins it; echoes of the room go on behind them."""
        parameters = spec.parameters
        text, voice = str(parameters["text"]), str(parameters["voice_file"])
        rate, pitch = int(str(parameters["rate"])), int(str(parameters["pitch"]))
        tract = float(str(parameters["tract"]))
        # Only what place() can keep is worth making; a sentence starts with some silence.
        needed = round(tract * _ACTIVE[1] * RATE) + RATE // 50
        spoken, phones = _trimmed(text, voice, rate, pitch, needed + RATE // 5)
        if spoken.shape[0] < needed:
            spoken, phones = _trimmed(f"{text} {text}", voice, rate, pitch, needed + RATE // 5)
        up, down, window = _resampling(tract)
        sound = resample_poly(spoken[:needed], up, down, window=window)
        rng = spec.rng()
        placed_speech = placed(reverberate(sound, rng, _SPEECH_ECHO_DB), rng, _ACTIVE)
        return placed_speech.clip, _segments(placed_speech, phones, up / down)


class Digits:
    """The corpus ``demo-digits``."""

    name = "demo-digits"
    description = "English digits, each said three or four times, by 48 voices."
    source = Speech.source
    licence = Speech.licence
    attributes = ("digit", "gender", "voice")
    segment_attributes = ("phone",)

    def specs(self, seed: int) -> list[ClipSpec]:
        """All 880 clips: every voice of a split says every digit equally often.

        Parameters
        ----------
        seed : int

        Returns
        -------
        list of ClipSpec
        """
        rng = np.random.default_rng((seed, 0xD161))
        takes = {"train": 2, "valid": 1, "test": 2}
        out: list[ClipSpec] = []
        for split, voice in _cast():
            for digit in range(10):
                for take in range(takes[split]):
                    name = f"{split}-{digit}-{voice.name}-{take:02d}"
                    pitch = voice.pitch_setting(1 + rng.uniform(-_JITTER, _JITTER))
                    out.append(ClipSpec(name, split, *_digit_spec(digit, voice, pitch), (seed, 3, len(out))))
        return out

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        """A digit by any voice but those of the test splits.

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        ClipSpec
        """
        voice = training_voice(rng)
        digit = int(rng.integers(10))
        entropy = int(rng.integers(2**63))
        spoken = _digit_spec(digit, voice, voice.pitch_setting())
        return ClipSpec(f"digit-{entropy:016x}", "train", *spoken, (entropy,))

    def render(self, spec: ClipSpec) -> Waveform:
        """The clip, shape (33280,), 16 kHz.

        The length of a word is drawn without looking at the digit.

        Parameters
        ----------
        spec : ClipSpec

        Returns
        -------
        ndarray of float32, shape (33280,)
        """
        return self.timed(spec)[0]

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        """The clip and its phones, as those of `Speech`."""
        rng = spec.rng()
        total = round(rng.uniform(*_ACTIVE) * SAMPLE_RATE)
        gap = round(rng.uniform(*_GAP) * SAMPLE_RATE)
        # So that a word takes 0.3 to 0.5 s, which every digit can at a natural rate.
        repeats = 3 if total < 1.55 * SAMPLE_RATE else 4
        n_word = (total - (repeats - 1) * gap) // repeats
        word, phones = _word(spec, n_word)
        silence = np.zeros(gap)
        sound = np.concatenate([part for _ in range(repeats) for part in (word, silence)])
        seconds = (repeats * n_word + (repeats - 1) * gap) / SAMPLE_RATE
        placed_words = placed(reverberate(sound, rng, _ECHO_DB), rng, (seconds, seconds))
        turns = (i * (n_word + gap) for i in range(repeats))
        return placed_words.clip, tuple(s for turn in turns for s in _segments(placed_words, phones, 1.0, turn))


SPEECH = Speech()
DIGITS = Digits()


def _cast() -> Iterator[tuple[str, Voice]]:
    """Each split's voices."""
    for split in SPLITS:
        for voice in VOICES[split]:
            yield split, voice


@lru_cache
def _resampling(tract: float) -> tuple[int, int, NDArray[np.float64]]:
    """Up, down and filter from espeak-ng's rate to 16 kHz, with all frequencies ``tract`` times as high."""
    ratio = Fraction(SAMPLE_RATE, RATE) / Fraction(round(20 * tract), 20)
    up, down = ratio.numerator, ratio.denominator
    return up, down, firwin(16 * down + 1, 0.97 / down, window=("kaiser", 6.0))


def _sentence(language: str, held_out: bool, rng: np.random.Generator) -> str:
    pool = words(language, held_out)
    said: list[str] = []
    while sum(map(len, said)) < _LETTERS:
        said.append(str(rng.choice(pool)))
    return " ".join(said)


def _sentence_spec(language: str, voice: Voice, text: str, rate: int, pitch: int) -> Said:
    labels = {"language": language, "language_family": FAMILY_OF[language], "gender": voice.gender, "voice": voice.name}
    return labels, {"text": text, **_by(voice, language), "rate": rate, "pitch": pitch}


def _digit_spec(digit: int, voice: Voice, pitch: int) -> Said:
    labels = {"digit": str(digit), "gender": voice.gender, "voice": voice.name}
    return labels, {"text": DIGITS_SPOKEN[digit], **_by(voice, "english"), "pitch": pitch}


def _by(voice: Voice, language: str) -> dict[str, object]:
    return {"voice_file": f"{VOICE_FILES[language]}+{voice.variant}", "tract": voice.tract}


def _trimmed(text: str, voice: str, rate: int, pitch: int, n_samples: int = 0) -> tuple[NDArray[np.float64], Phones]:
    """A text without the silence before and after it, and its phones in samples from there."""
    spoken, phones = said(text, voice, rate, pitch, n_samples)
    first, stop = audible(spoken)
    return spoken[first:stop], [*((min(at, stop) - first, name) for at, name in phones), (stop - first, "")]


def _segments(place: Placed, phones: Phones, scale: float, after: int = 0) -> tuple[Segment, ...]:
    """Phones as segments: each until the next begins; times ``scale`` times theirs, and ``after`` samples later."""
    ends = [at for at, _ in phones[1:]]
    made = (
        place.segment("phone", name.strip(_STRESS), after + scale * at, after + scale * end)
        for (at, name), end in zip(phones, ends, strict=False)
        if name.strip(_STRESS)
    )
    return tuple(segment for segment in made if segment is not None)


def _word(spec: ClipSpec, n_samples: int) -> tuple[NDArray[np.float64], Phones]:
    """The digit at the rate that comes nearest to a length before it is resampled to it exactly, and its phones."""
    parameters = spec.parameters
    text, voice = str(parameters["text"]), str(parameters["voice_file"])
    pitch = int(str(parameters["pitch"]))
    wanted = float(str(parameters["tract"])) * n_samples * RATE / SAMPLE_RATE
    first = 170 * _DIGIT_SECONDS[int(spec.labels["digit"])] * RATE / wanted
    rate = float(np.clip(first, 80, 300))
    best, phones = _trimmed(text, voice, round(rate), pitch)
    spoken = best
    for _ in range(3):
        if abs(best.shape[0] / wanted - 1) < 0.03:
            break
        rate = float(np.clip(rate * spoken.shape[0] / wanted, 80, 300))
        spoken, its_phones = _trimmed(text, voice, round(rate), pitch)
        if abs(spoken.shape[0] - wanted) < abs(best.shape[0] - wanted):
            best, phones = spoken, its_phones
    ramp = np.minimum(1.0, np.arange(best.shape[0]) / (0.005 * RATE))
    fitted: NDArray[np.float64] = resample(best * ramp * ramp[::-1], n_samples)
    # Stressed vowels and stops differ between the words; their level must not tell them.
    stretch = n_samples / best.shape[0]
    timed = [(round(at * stretch), name) for at, name in phones]
    return even_out(fitted, strength=0.5, max_gain_db=15.0, seconds=0.06), timed
