"""The speakers of the generated speech: 24 women and 24 men, no two alike and none in two splits.

A voice is an espeak-ng variant, a factor on its formants (a longer or shorter vocal tract) and a
mean pitch. Variants alone are too few: many of them are the same voice under another name. The
tables are ordered by pitch and dealt to the splits in turn, so that each split spans the range of
each gender; a variant is in one split only. Which variant has which factor and pitch was searched
for the largest least distance between two voices; a test measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

# Variant: its own mean pitch in Hz at espeak-ng's pitch setting 50.
FEMALE: dict[str, float] = {
    "f1": 184, "f2": 202, "f3": 217, "f4": 184, "f5": 210, "Alicia": 256, "Andrea": 248,
    "Annie": 248, "anika": 272, "aunty": 171, "belinda": 232, "grandma": 209, "linda": 232,
    "shelby": 190, "steph": 185, "steph2": 185, "steph3": 185,
}  # fmt: skip
MALE: dict[str, float] = {
    "m1": 97, "m2": 103, "m3": 107, "m4": 97, "m5": 105, "m6": 104, "m7": 110, "m8": 89,
    "Alex": 105, "Andy": 98, "Denis": 102, "Diogo": 107, "Gene": 98, "Gene2": 117,
    "Henrique": 112, "Hugo": 112, "Jacky": 115, "Lee": 98, "Marco": 134, "Mario": 111,
    "Michael": 110, "Mike": 94, "Nguyen": 156, "Storm": 88, "adam": 105, "antonio": 114,
    "boris": 105, "ed": 130, "edward": 103, "gustave": 109, "ian": 84, "iven": 103,
    "iven2": 103, "iven3": 103, "iven4": 103, "john": 104, "kaukovalta": 105, "klatt3": 104,
    "klatt4": 104, "marcelo": 102, "max": 105, "michel": 106, "miguel": 113, "mike2": 94,
    "norbert": 104, "pablo": 116, "paul": 88, "pedro": 106, "quincy": 89, "rob": 114,
    "robert": 104, "sandro": 102, "travis": 106, "victor": 98,
}  # fmt: skip
_OWN_PITCH = {**FEMALE, **MALE}

PITCH_HZ = {"female": (135.0, 225.0), "male": (95.0, 165.0)}
"""Mean pitches of a gender's voices. They overlap: gender is the vocal tract's, not the pitch's alone."""

# Variant and factor on the formants, from the lowest voice to the highest.
_WOMEN = (
    ("f1", 1.10), ("steph", 1.10), ("shelby", 0.90), ("f2", 0.95), ("belinda", 0.95), ("grandma", 1.00),
    ("f1", 1.10), ("steph", 1.10), ("shelby", 1.00), ("linda", 1.00), ("Andrea", 0.95), ("f3", 0.95),
    ("belinda", 0.95), ("anika", 0.95), ("Alicia", 0.95), ("f2", 1.10), ("Annie", 1.00), ("grandma", 1.05),
    ("Alicia", 1.10), ("f3", 1.10), ("Andrea", 0.95), ("linda", 1.10), ("Annie", 1.10), ("anika", 0.95),
)  # fmt: skip
_MEN = (
    ("kaukovalta", 1.05), ("ian", 0.95), ("iven", 0.95), ("norbert", 1.05), ("m8", 0.90), ("gustave", 1.00),
    ("sandro", 1.00), ("Marco", 1.05), ("m1", 1.05), ("boris", 1.05), ("Andy", 0.95), ("mike2", 0.95),
    ("Storm", 0.95), ("Lee", 0.90), ("travis", 1.00), ("Gene2", 1.05), ("iven4", 1.05), ("quincy", 1.05),
    ("Hugo", 1.00), ("antonio", 0.95), ("Jacky", 1.00), ("ed", 1.00), ("klatt3", 1.00), ("iven2", 1.05),
)  # fmt: skip
_DEALT = ("train", "test", "train", "valid", "train", "test")

TRAINING_PITCH_HZ = {"female": (110.0, 270.0), "male": (75.0, 180.0)}
TRACTS = (0.90, 0.95, 1.00, 1.05, 1.10)


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Attributes
    ----------
    variant : str
        espeak-ng's.
    tract : float
        Factor on the formants, a multiple of 0.05; under 1 is a longer vocal tract.
    hertz : float
        Mean pitch.
    """

    variant: str
    tract: float
    hertz: float

    @property
    def name(self) -> str:
        """Unique among the corpora's voices, such as ``Annie-129``."""
        return f"{self.variant}-{self.hertz:.0f}"

    @property
    def gender(self) -> str:
        """``female`` or ``male``."""
        return "female" if self.variant in FEMALE else "male"

    def pitch_setting(self, factor: float = 1.0) -> int:
        """espeak-ng's setting for ``factor`` times the mean pitch, before all is scaled by ``tract``."""
        hertz = factor * self.hertz / self.tract
        # 30 steps are about a factor of 1.36.
        return round(min(99.0, max(0.0, 50 + 30 * log(hertz / _OWN_PITCH[self.variant]) / log(1.36))))


def _dealt(gender: str, table: tuple[tuple[str, float], ...]) -> list[tuple[str, Voice]]:
    low, high = PITCH_HZ[gender]
    return [
        (_DEALT[index % len(_DEALT)], Voice(variant, tract, low * (high / low) ** ((index + 0.5) / len(table))))
        for index, (variant, tract) in enumerate(table)
    ]


_ALL = _dealt("female", _WOMEN) + _dealt("male", _MEN)
VOICES: dict[str, tuple[Voice, ...]] = {
    split: tuple(voice for own, voice in _ALL if own == split) for split in ("train", "valid", "test")
}
"""Split to its voices: 12 women and 12 men, 4 and 4, 8 and 8."""

_HELD_OUT = frozenset(voice.variant for voice in VOICES["test"])


def training_voice(rng: np.random.Generator) -> Voice:
    """A voice for pre-training: any variant but those of the test split, any vocal tract, a wider pitch."""
    gender = str(rng.choice(["female", "male"]))
    pool = FEMALE if gender == "female" else MALE
    variant = str(rng.choice([name for name in pool if name not in _HELD_OUT]))
    low, high = TRAINING_PITCH_HZ[gender]
    return Voice(variant, float(rng.choice(TRACTS)), low * (high / low) ** float(rng.random()))
