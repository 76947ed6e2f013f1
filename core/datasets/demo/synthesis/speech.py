"""Synthetic speech: sentences in several languages, and English digits.

The voices are espeak-ng variants, each with its own pitch. The pitch ranges of the two genders
overlap, so that gender is a matter of the vocal tract and not of pitch alone. The splits share no
voice and, for sentences, the test split shares no word with the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample, resample_poly

from core.datasets.demo.synthesis.clip import SAMPLE_RATE, ClipSpec, Waveform, place, trim
from core.datasets.demo.synthesis.corpus import SPLITS
from core.datasets.demo.synthesis.espeak import RATE, speak
from core.datasets.demo.synthesis.room import even_out, reverberate
from core.datasets.demo.synthesis.words import DEMO_LANGUAGES, FAMILY_OF, words

VOICE_FILES: dict[str, str] = {
    "english": "gmw/en", "german": "gmw/de", "dutch": "gmw/nl", "swedish": "gmq/sv",
    "spanish": "roa/es", "french": "roa/fr", "italian": "roa/it", "portuguese": "roa/pt",
    "polish": "zlw/pl", "czech": "zlw/cs", "ukrainian": "zle/uk",
}  # fmt: skip

# Variant: its own mean pitch in Hz at espeak-ng's pitch setting 50.
FEMALE: dict[str, float] = {
    "f1": 179, "f2": 197, "f3": 214, "f4": 181, "f5": 206, "Andrea": 245, "Alicia": 253,
    "Annie": 245, "anika": 272, "aunty": 172, "belinda": 230, "linda": 230, "grandma": 204,
    "steph": 185, "steph2": 185, "steph3": 185,
}  # fmt: skip
MALE: dict[str, float] = {
    "m1": 95, "m2": 102, "m3": 106, "m4": 94, "m5": 104, "m6": 102, "m7": 107, "m8": 86,
    "Alex": 104, "Andy": 96, "Denis": 100, "Gene": 96, "Gene2": 115, "Henrique": 110,
    "Jacky": 117, "Lee": 96, "Marco": 135, "Mario": 108, "Mike": 92, "Nguyen": 151,
    "adam": 103, "antonio": 113, "boris": 104, "ed": 126, "grandpa": 105, "gustave": 108,
    "ian": 84, "iven3": 102, "miguel": 112, "michel": 106, "paul": 86, "quincy": 87,
    "rob": 108, "robert": 100, "sandro": 100, "travis": 105, "victor": 97,
    "klatt": 103, "klatt2": 103, "klatt4": 103,
}  # fmt: skip

SPEECH_VOICES: dict[str, tuple[str, ...]] = {
    "train": ("f1", "f3", "steph", "Andrea", "m1", "m3", "Alex", "ed"),
    "valid": ("aunty", "m5"),
    "test": ("f2", "linda", "anika", "m4", "antonio", "Jacky"),
}
DIGIT_VOICES: dict[str, tuple[str, ...]] = {
    "train": ("f4", "steph3", "Annie", "Alicia", "m2", "m6", "Denis", "Marco"),
    "valid": ("steph2", "m8"),
    "test": ("f5", "grandma", "belinda", "m7", "victor", "quincy"),
}

DIGITS_SPOKEN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip

_DIGIT_SECONDS = (0.47, 0.37, 0.32, 0.33, 0.4, 0.47, 0.43, 0.45, 0.32, 0.5)
"""About what each takes at 170 words a minute; a first guess."""

PITCH_HZ = {"female": (125.0, 205.0), "male": (95.0, 165.0)}
"""Mean pitches of the voices of a gender."""

TRAINING_PITCH_HZ = {"female": (110.0, 270.0), "male": (75.0, 180.0)}

_OWN_PITCH = {**FEMALE, **MALE}
_HELD_OUT = frozenset(SPEECH_VOICES["test"] + DIGIT_VOICES["test"])
_UP, _DOWN = 320, 441  # 22,050 Hz to 16 kHz
_FILTER = firwin(16 * _DOWN + 1, 0.97 / _DOWN, window=("kaiser", 6.0))
_JITTER = 0.07
_RATES = (140, 200)
_TRAINING_RATES = (120, 240)
_ACTIVE = (1.2, 1.9)
_GAP = (0.04, 0.08)
_ECHO_DB = (-6.0, 0.0)
_LETTERS = 45  # enough for 2 s at the fastest rate; slower speech is cut


class Speech:
    """The corpus ``demo-speech``."""

    name = "demo-speech"
    description = "Random sentences in six languages of three families, by 16 voices."
    source = "Generated here: espeak-ng (espeakng-loader)."
    licence = "espeak-ng GPL-3.0; the clips are made on your machine and not distributed"
    attributes = ("language", "language_family", "gender", "voice")

    def specs(self, seed: int) -> list[ClipSpec]:
        """All clips: every voice of a split says equally many sentences in every language.

        Parameters
        ----------
        seed : int

        Returns
        -------
        list of ClipSpec
        """
        rng = np.random.default_rng((seed, 0x5BEEC4))
        takes = {"train": 11, "valid": 11, "test": 6}
        out: list[ClipSpec] = []
        for split, voice, hertz in _cast(SPEECH_VOICES):
            for language in DEMO_LANGUAGES:
                for take in range(takes[split]):
                    name = f"{split}-{language}-{voice}-{take:02d}"
                    text = _sentence(language, split == "test", rng)
                    pitch = _pitch_setting(voice, hertz * (1 + rng.uniform(-_JITTER, _JITTER)))
                    rate = int(rng.integers(*_RATES))
                    entropy = (seed, 2, len(out))
                    out.append(_speech_spec(name, split, language, voice, text, rate, pitch, entropy))
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
        voice, pitch = _training_voice(rng)
        text = _sentence(language, False, rng)
        rate = int(rng.integers(*_TRAINING_RATES))
        entropy = int(rng.integers(2**63))
        name = f"speech-{entropy:016x}"
        return _speech_spec(name, "train", language, voice, text, rate, pitch, (entropy,))

    def render(self, spec: ClipSpec) -> Waveform:
        """The clip, shape (33280,), 16 kHz.

        Parameters
        ----------
        spec : ClipSpec

        Returns
        -------
        ndarray of float32, shape (33280,)
        """
        parameters = spec.parameters
        text, voice = str(parameters["text"]), str(parameters["voice_file"])
        rate, pitch = int(str(parameters["rate"])), int(str(parameters["pitch"]))
        # Only what place() can keep is worth making; a sentence starts with some silence.
        needed = round(_ACTIVE[1] * RATE) + RATE // 50
        spoken = trim(speak(text, voice, rate, pitch, needed + RATE // 5))
        if spoken.shape[0] < needed:
            spoken = trim(speak(f"{text} {text}", voice, rate, pitch, needed + RATE // 5))
        sound = resample_poly(spoken[:needed], _UP, _DOWN, window=_FILTER)
        return place(sound, spec.rng(), _ACTIVE)


class Digits:
    """The corpus ``demo-digits``."""

    name = "demo-digits"
    description = "English digits, each said three or four times, by 16 voices."
    source = Speech.source
    licence = Speech.licence
    attributes = ("digit", "gender", "voice")

    def specs(self, seed: int) -> list[ClipSpec]:
        """All clips: every voice of a split says every digit equally often.

        Parameters
        ----------
        seed : int

        Returns
        -------
        list of ClipSpec
        """
        rng = np.random.default_rng((seed, 0xD161))
        takes = {"train": 6, "valid": 6, "test": 4}
        out: list[ClipSpec] = []
        for split, voice, hertz in _cast(DIGIT_VOICES):
            for digit in range(10):
                for take in range(takes[split]):
                    name = f"{split}-{digit}-{voice}-{take:02d}"
                    pitch = _pitch_setting(voice, hertz * (1 + rng.uniform(-_JITTER, _JITTER)))
                    out.append(_digit_spec(name, split, digit, voice, pitch, (seed, 3, len(out))))
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
        voice, pitch = _training_voice(rng)
        digit = int(rng.integers(10))
        entropy = int(rng.integers(2**63))
        return _digit_spec(f"digit-{entropy:016x}", "train", digit, voice, pitch, (entropy,))

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
        rng = spec.rng()
        total = round(rng.uniform(*_ACTIVE) * SAMPLE_RATE)
        gap = round(rng.uniform(*_GAP) * SAMPLE_RATE)
        # So that a word takes 0.3 to 0.5 s, which every digit can at a natural rate.
        repeats = 3 if total < 1.55 * SAMPLE_RATE else 4
        n_word = (total - (repeats - 1) * gap) // repeats
        word = _word(spec, n_word)
        silence = np.zeros(gap)
        sound = np.concatenate([part for _ in range(repeats) for part in (word, silence)])
        seconds = (repeats * n_word + (repeats - 1) * gap) / SAMPLE_RATE
        return place(reverberate(sound, rng, _ECHO_DB), rng, (seconds, seconds))


SPEECH = Speech()
DIGITS = Digits()


def gender_of(voice: str) -> str:
    """``female`` or ``male``."""
    return "female" if voice in FEMALE else "male"


def _cast(voices: dict[str, tuple[str, ...]]) -> Iterable[tuple[str, str, float]]:
    """Split, voice and mean pitch in Hz; a split's voices spread evenly over the gender's range."""
    for split in SPLITS:
        for gender in ("female", "male"):
            cast = [voice for voice in voices[split] if gender_of(voice) == gender]
            low, high = PITCH_HZ[gender]
            for index, voice in enumerate(cast):
                yield split, voice, low * (high / low) ** ((index + 0.5) / len(cast))


def _pitch_setting(voice: str, hertz: float) -> int:
    """The synthesiser's pitch setting; 30 steps are about a factor of 1.36."""
    return round(min(99.0, max(0.0, 50 + 30 * log(hertz / _OWN_PITCH[voice]) / log(1.36))))


def _training_voice(rng: np.random.Generator) -> tuple[str, int]:
    gender = str(rng.choice(["female", "male"]))
    pool = FEMALE if gender == "female" else MALE
    voice = str(rng.choice([name for name in pool if name not in _HELD_OUT]))
    low, high = TRAINING_PITCH_HZ[gender]
    return voice, _pitch_setting(voice, low * (high / low) ** float(rng.random()))


def _sentence(language: str, held_out: bool, rng: np.random.Generator) -> str:
    pool = words(language, held_out)
    said: list[str] = []
    while sum(map(len, said)) < _LETTERS:
        said.append(str(rng.choice(pool)))
    return " ".join(said)


# More than six: what tells one utterance from another.
def _speech_spec(
    name: str,
    split: str,
    language: str,
    voice: str,
    text: str,
    rate: int,
    pitch: int,
    entropy: tuple[int, ...],
) -> ClipSpec:
    labels = {
        "language": language,
        "language_family": FAMILY_OF[language],
        "gender": gender_of(voice),
        "voice": voice,
    }
    parameters: dict[str, object] = {
        "text": text,
        "voice_file": f"{VOICE_FILES[language]}+{voice}",
        "rate": rate,
        "pitch": pitch,
    }
    return ClipSpec(name, split, labels, parameters, entropy)


def _digit_spec(name: str, split: str, digit: int, voice: str, pitch: int, entropy: tuple[int, ...]) -> ClipSpec:
    labels = {"digit": str(digit), "gender": gender_of(voice), "voice": voice}
    parameters: dict[str, object] = {
        "text": DIGITS_SPOKEN[digit],
        "voice_file": f"{VOICE_FILES['english']}+{voice}",
        "pitch": pitch,
    }
    return ClipSpec(name, split, labels, parameters, entropy)


def _word(spec: ClipSpec, n_samples: int) -> NDArray[np.float64]:
    """The digit at the rate that comes nearest to a length, then stretched to it exactly."""
    parameters = spec.parameters
    text, voice = str(parameters["text"]), str(parameters["voice_file"])
    pitch = int(str(parameters["pitch"]))
    wanted = n_samples * RATE / SAMPLE_RATE
    first = 170 * _DIGIT_SECONDS[int(spec.labels["digit"])] * RATE / wanted
    rate = float(np.clip(first, 80, 300))
    best = trim(speak(text, voice, round(rate), pitch))
    spoken = best
    for _ in range(3):
        if abs(best.shape[0] / wanted - 1) < 0.03:
            break
        rate = float(np.clip(rate * spoken.shape[0] / wanted, 80, 300))
        spoken = trim(speak(text, voice, round(rate), pitch))
        if abs(spoken.shape[0] - wanted) < abs(best.shape[0] - wanted):
            best = spoken
    ramp = np.minimum(1.0, np.arange(best.shape[0]) / (0.005 * RATE))
    fitted: NDArray[np.float64] = resample(best * ramp * ramp[::-1], n_samples)
    # Stressed vowels and stops differ between the words; their level must not tell them.
    return even_out(fitted, strength=0.5, max_gain_db=15.0, seconds=0.06)
