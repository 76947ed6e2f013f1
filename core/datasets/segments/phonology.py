"""What phones are made of: voicing, place, manner, height, backness, rounding; so that "fricative" is a class.

Symbols and features are those of the chart of the International Phonetic Association (Handbook of the IPA, Cambridge
1999; chart revised to 2020). ARPABET is that of the CMU Pronouncing Dictionary with TIMIT's additions (Garofolo et al.,
DARPA TIMIT, NISTIR 4930, 1993). What is folded, in this table and nowhere else:

- stress (``AH0``, ``ˈ``), length, tones, ties and secondary articulation make no difference; a ring below or above
  makes a phone voiceless;
- TIMIT's closures (``bcl``, ``dcl``, ...) count as their plosives, its silences as no phone;
- ``ə`` with a nasal or a lateral behind it is that consonant, syllabic;
- plosive and fricative in one label are an affricate, with the place of the fricative;
- vowels in one label, or a vowel with ``j``, ``w`` or an ``r`` behind it, are a vowel (manner, voicing) without height,
  backness and rounding, which change in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from core.datasets.base import Clip, Dataset, Segment

FEATURES = ("voicing", "place", "manner", "height", "backness", "rounding")
LEAST_SHARE, LEAST_PHONES = 0.8, 8
"""Of an attribute's labels that are in the table, and how many different ones, vowels and consonants among them."""
Phone = Mapping[str, str]

_CONSONANTS = {
    "plosive": {"bilabial": "p b", "alveolar": "t d", "retroflex": "ʈ ɖ", "palatal": "c ɟ", "velar": "k ɡ",
                "uvular": "q ɢ", "glottal": "ʔ -"},
    "nasal": {"bilabial": "- m", "labiodental": "- ɱ", "alveolar": "- n", "retroflex": "- ɳ", "palatal": "- ɲ",
              "velar": "- ŋ", "uvular": "- ɴ"},
    "trill": {"bilabial": "- ʙ", "alveolar": "- r", "uvular": "- ʀ"},
    "tap": {"labiodental": "- ⱱ", "alveolar": "- ɾ", "retroflex": "- ɽ"},
    "fricative": {"bilabial": "ɸ β", "labiodental": "f v", "dental": "θ ð", "alveolar": "s z", "postalveolar": "ʃ ʒ",
                  "retroflex": "ʂ ʐ", "alveolo-palatal": "ɕ ʑ", "palatal": "ç ʝ", "velar": "x ɣ", "uvular": "χ ʁ",
                  "pharyngeal": "ħ ʕ", "glottal": "h ɦ", "labial-velar": "ʍ -"},
    "lateral fricative": {"alveolar": "ɬ ɮ"},
    "approximant": {"labiodental": "- ʋ", "alveolar": "- ɹ", "retroflex": "- ɻ", "palatal": "- j", "velar": "- ɰ",
                    "labial-velar": "- w", "labial-palatal": "- ɥ"},
    "lateral": {"alveolar": "- l", "retroflex": "- ɭ", "palatal": "- ʎ", "velar": "- ʟ"},
}  # fmt: skip
"""Manner, then place: the voiceless phone and the voiced."""
_VOWELS = {
    "close": {"front": "i y", "central": "ɨ ʉ", "back": "ɯ u"},
    "near-close": {"front": "ɪ ʏ", "central": "ᵻ ᵿ", "back": "- ʊ"},
    "close-mid": {"front": "e ø", "central": "ɘ ɵ", "back": "ɤ o"},
    "mid": {"central": "əɚ -"},
    "open-mid": {"front": "ɛ œ", "central": "ɜɝ ɞ", "back": "ʌ ɔ"},
    "near-open": {"front": "æ -", "central": "ɐ -"},
    "open": {"front": "a ɶ", "back": "ɑ ɒ"},
}
"""Height, then backness: the unrounded vowel and the rounded."""
_SAME = {"g": "ɡ", "ɫ": "l", "ɧ": "ʃ", "ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "ts", "ʣ": "dz", "ʨ": "tɕ", "ʥ": "dʑ"}
"""Other ways to write a phone; Swedish ``ɧ`` by the nearest of its places."""
_ALONE = {"ʲ": "j", "ʷ": "w"}
"""Secondary articulation that stands for itself."""
_ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "ax-h": "ə", "axr": "ɚ", "ay": "aɪ", "eh": "ɛ",
    "er": "ɝ", "ey": "eɪ", "ih": "ɪ", "ix": "ɨ", "iy": "i", "ow": "oʊ", "oy": "ɔɪ", "uh": "ʊ", "uw": "u", "ux": "ʉ",
    "b": "b", "ch": "tʃ", "d": "d", "dh": "ð", "dx": "ɾ", "el": "l", "em": "m", "en": "n", "eng": "ŋ", "f": "f",
    "g": "ɡ", "hh": "h", "hv": "ɦ", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "nx": "ɾ", "p": "p",
    "q": "ʔ", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "v": "v", "w": "w", "wh": "ʍ", "y": "j", "z": "z",
    "zh": "ʒ", "bcl": "b", "dcl": "d", "gcl": "ɡ", "pcl": "p", "tcl": "t", "kcl": "k",
}  # fmt: skip
SILENCES = frozenset({"h#", "pau", "epi", "sil", "sp", "spn", "<sil>", "<p>", "<s>", "</s>", "_", "_:", "#", "-"})
"""Labels, in lower case, that stand among phones and are none."""
_STRESS = "012ˈˌ'"
_RINGS = "\u0325\u030a"
_OFFGLIDES = frozenset("jwɹɻrɾ")
NOTATIONS = ("IPA", "ARPABET")


def _table() -> dict[str, Phone]:
    phones: dict[str, Phone] = {}
    for manner, places in _CONSONANTS.items():
        for place, pair in places.items():
            for voicing, symbol in zip(("voiceless", "voiced"), pair.split(), strict=True):
                phones[symbol] = {"voicing": voicing, "place": place, "manner": manner}
    for height, places in _VOWELS.items():
        for backness, pair in places.items():
            for rounding, symbols in zip(("unrounded", "rounded"), pair.split(), strict=True):
                shape = {"height": height, "backness": backness, "rounding": rounding}
                phones |= {symbol: {"voicing": "voiced", "manner": "vowel", **shape} for symbol in symbols}
    del phones["-"]
    return phones


PHONES: Mapping[str, Phone] = _table()
"""IPA symbol to its features; a consonant has no height, a vowel no place."""

_OF_PHONES = re.compile(r"phon|phn|segment", re.IGNORECASE)


@lru_cache(maxsize=4096)
def phone(label: str, notation: str = "IPA") -> Phone | None:
    """A phone's features; None where the label is none that is known.

    Parameters
    ----------
    label : str
    notation : str
        Of `NOTATIONS`.

    Examples
    --------
    >>> phone("ˈt͡ʃ")
    {'voicing': 'voiceless', 'place': 'postalveolar', 'manner': 'affricate'}
    >>> phone("AY1", "ARPABET"), phone("dcl", "ARPABET")["manner"], phone("dog")
    ({'voicing': 'voiced', 'manner': 'vowel'}, 'plosive', None)
    """
    if notation == "ARPABET":
        symbol = _ARPABET.get(label.strip().lower().rstrip(_STRESS), "")
        return _of_symbols(symbol) if symbol else None
    plain = unicodedata.normalize("NFC", label.strip(" -"))
    apart = "".join(c if c in PHONES else unicodedata.normalize("NFD", c) for c in plain)  # ç is one, ã is two
    symbols = "".join(_SAME.get(c, c) for c in apart if not _makes_no_difference(c))
    found = _of_symbols(symbols or _ALONE.get(plain, ""))
    if found and any(ring in unicodedata.normalize("NFD", plain) for ring in _RINGS):
        return {**found, "voicing": "voiceless"}
    return found


def _makes_no_difference(character: str) -> bool:
    """Stress, length, tones, ties, what is written above, below or small beside."""
    return character in _STRESS or (
        character not in PHONES and unicodedata.category(character) in ("Mn", "Lm", "Sk", "Po")
    )


def _of_symbols(symbols: str) -> Phone | None:
    """What one label's symbols come to."""
    parts = [PHONES.get(symbol) for symbol in symbols]
    first, last = (parts[0], parts[-1]) if parts else (None, None)
    if first is None or last is None or None in parts:
        return None
    if len(set(symbols)) == 1:  # a long one may be written twice
        return first
    if symbols[0] == "ə" and len(parts) == 2 and last["manner"] in ("nasal", "lateral"):
        return last
    if first["manner"] == "vowel":
        is_vowel = all(p and (p["manner"] == "vowel" or s in _OFFGLIDES) for s, p in zip(symbols, parts, strict=True))
        return {"voicing": "voiced", "manner": "vowel"} if is_vowel and len(parts) <= 3 else None
    if len(parts) == 2 and first["manner"] == "plosive" and last["manner"] in ("fricative", "lateral fricative"):
        return {"voicing": first["voicing"], "place": last["place"], "manner": "affricate"}
    return None


def notation_of(sizes: Mapping[str, int]) -> str:
    """The notation in which an attribute's labels are phones; empty where they are none.

    Parameters
    ----------
    sizes : mapping of str to int
        Label to how many segments have it.
    """
    shares = {}
    labels = {label: n for label, n in sizes.items() if label.lower() not in SILENCES}
    for notation in NOTATIONS:
        known = {label: found for label in labels if (found := phone(label, notation))}
        share = sum(labels[label] for label in known) / max(1, sum(labels.values()))
        are_vowels = [found["manner"] == "vowel" for found in known.values()]
        if share >= LEAST_SHARE and len(known) >= LEAST_PHONES and any(are_vowels) and not all(are_vowels):
            shares[notation] = share
    # Where both read all (a few letters that both have), the alphabet that has capitals is ARPABET.
    is_upper = sum(label != label.lower() for label in labels) * 2 > len(labels)
    return max(shares, key=lambda notation: (shares[notation], (notation == "ARPABET") == is_upper), default="")


def names(attribute: str) -> tuple[str, ...]:
    """Attributes that are derived from one of phones."""
    return tuple(f"{attribute}-{feature}" for feature in FEATURES)


def base_attributes(dataset: Dataset) -> tuple[str, ...]:
    """Attributes of segments that are not derived from another."""
    every = dataset.segment_attributes
    made = {name for attribute in every for name in names(attribute)}
    return tuple(attribute for attribute in every if attribute not in made)


def derived(dataset: Dataset) -> Dataset:
    """The dataset with the features of its phones as further attributes, and a note that tells so."""
    read_as = {
        attribute: notation
        for attribute in dataset.segment_attributes
        if (notation := _notation(attribute, dataset.segment_sizes(attribute)))
    }
    if not read_as:
        return dataset
    clips = tuple(
        replace(clip, segments=_with_features(clip, read_as)) if clip.segments else clip for clip in dataset.clips
    )
    attributes: list[str] = []
    notes: list[str] = []
    for attribute in dataset.segment_attributes:
        attributes.append(attribute)
        if attribute in read_as:
            attributes += [name for name in names(attribute) if name not in dataset.segment_attributes]
            notes.append(_told(dataset, attribute, read_as[attribute]))
    return replace(dataset, clips=clips, segment_attributes=tuple(attributes), notes=(*dataset.notes, *notes))


def _notation(attribute: str, sizes: Mapping[str, int]) -> str:
    """As `notation_of`; labels that are all letters from a to z may be anything, unless the name speaks of phones."""
    is_anything = all(len(label) == 1 and label.isascii() for label in sizes) and not _OF_PHONES.search(attribute)
    return "" if is_anything else notation_of(sizes)


def _with_features(clip: Clip, read_as: Mapping[str, str]) -> tuple[Segment, ...]:
    segments = list(clip.segments)
    for segment in clip.segments:
        found = phone(segment.label, read_as[segment.attribute]) if segment.attribute in read_as else None
        for feature, value in (found or {}).items():
            segments.append(Segment(f"{segment.attribute}-{feature}", value, segment.onset, segment.offset))
    return tuple(sorted(dict.fromkeys(segments), key=lambda s: (s.onset, s.offset, s.attribute, s.label)))


def _told(dataset: Dataset, attribute: str, notation: str) -> str:
    sizes = dataset.segment_sizes(attribute)
    strange = Counter(
        {label: n for label, n in sizes.items() if not phone(label, notation) and label.lower() not in SILENCES}
    )
    told = (
        f"segments: {attribute} is read as phones in {notation}; {', '.join(FEATURES)} follow from them "
        f"({dataset.task(names(attribute)[2])} and so on)"
    )
    if not strange:
        return told
    some = ", ".join(repr(label)[:20] for label, _ in strange.most_common(3))
    return f"{told}; {sum(strange.values()):,} segments have labels that are no phone of the table ({some})"
