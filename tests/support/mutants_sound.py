"""Sound files as soundfile writes them, then damaged: for fuzzing. Same seed and number, same bytes."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import soundfile

RATE = 16_000
FORMATS: Mapping[str, tuple[str, str, int]] = {
    "wav": ("WAV", "PCM_16", 1), "wav float": ("WAV", "FLOAT", 2), "wav adpcm": ("WAV", "IMA_ADPCM", 1),
    "wavex": ("WAVEX", "PCM_24", 6), "rf64": ("RF64", "PCM_16", 1), "flac": ("FLAC", "PCM_16", 1),
    "flac 24": ("FLAC", "PCM_24", 2), "ogg": ("OGG", "VORBIS", 1), "opus": ("OGG", "OPUS", 1),
    "mp3": ("MP3", "MPEG_LAYER_III", 1), "aiff": ("AIFF", "PCM_16", 2), "aiff float": ("AIFF", "FLOAT", 1),
    "au": ("AU", "PCM_16", 1), "au ulaw": ("AU", "ULAW", 1),
}  # fmt: skip
"""Kind -> soundfile's format and subtype, and channels."""
SUFFIXES = {"wav": ".wav", "wavex": ".wav", "rf64": ".wav", "flac": ".flac", "ogg": ".ogg", "opus": ".oga",
"mp3": ".mp3",
            "aiff": ".aif", "au": ".au"}  # fmt: skip
EXTREMES = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
RATES = (0, 1, 7, 99, 44_099, 44_064, 384_001, 9_999_904, 2**31 - 1, 2**32 - 1)
Rng = np.random.Generator


def suffix(kind: str) -> str:
    return SUFFIXES[kind.split()[0]]


@cache
def whole(kind: str, n_samples: int = 3_200) -> bytes:
    """An undamaged file of a kind: a tone in noise."""
    name, subtype, n_channels = FORMATS[kind]
    rng = np.random.default_rng(n_samples)
    times = np.arange(n_samples) / RATE
    wave = 0.4 * np.sin(2 * np.pi * 440 * times)[:, None] + 0.1 * rng.standard_normal((n_samples, n_channels))
    return written(wave.clip(-1, 1), name, subtype)


def written(samples: np.ndarray, name: str, subtype: str, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=name, subtype=subtype)
    content = bytearray(buffer.getvalue())
    # The time of writing, and the random number of a stream, are none that a number can make again.
    peak = content.find(b"PEAK")
    if peak > 0:
        content[peak + 12 : peak + 16] = bytes(4)
    if name != "OGG":
        return bytes(content)
    for place in _pages(content):
        content[place + 14 : place + 18] = (7).to_bytes(4, "little")
    return with_page_sums(bytes(content))


def _pages(content: bytes | bytearray) -> list[int]:
    """Where the pages of an Ogg file begin."""
    return [found.start() for found in re.finditer(b"OggS", content)]


def make(kind: str, seed: int, number: int) -> tuple[str, bytes]:
    """Damage a file of a kind.

    Returns
    -------
    str
        What was done to it, of `DAMAGES`.
    bytes
    """
    rng = np.random.default_rng([seed, number, *kind.encode()])
    damage = str(rng.choice(list(DAMAGES)))
    content = bytearray(whole(kind, int(rng.choice([1, 40, 800, 3_200]))))
    damaged = bytes(DAMAGES[damage](content, rng, kind))
    # Pages whose sum is wrong are thrown away unread: half of them get the right one.
    if kind in ("ogg", "opus") and rng.random() < 0.5:
        damaged = with_page_sums(damaged)
    return damage, damaged


def _bits(content: bytearray, rng: Rng, _: str) -> bytearray:
    return _flipped(content, rng, len(content))


def _header_bits(content: bytearray, rng: Rng, _: str) -> bytearray:
    return _flipped(content, rng, min(80, len(content)))


def _flipped(content: bytearray, rng: Rng, within: int) -> bytearray:
    for place in rng.integers(within, size=int(rng.integers(1, 24))):
        content[place] ^= 1 << int(rng.integers(8))
    return content


def _cut(content: bytearray, rng: Rng, _: str) -> bytearray:
    return content[: int(rng.integers(len(content)))]


def _fields(content: bytearray, rng: Rng, _: str) -> bytearray:
    """Extreme numbers, of 1 to 8 bytes, either way round, in the first bytes."""
    for _again in range(int(rng.integers(1, 4))):
        width = int(rng.choice([1, 2, 4, 8]))
        place = int(rng.integers(4, min(100, max(5, len(content) - 8))))
        number = int(rng.choice(EXTREMES)) << int(rng.choice([0, 32]) if width == 8 else 0)
        field = (number % (1 << 8 * width)).to_bytes(width, str(rng.choice(["little", "big"])))  # type: ignore[arg-type]
        content[place : place + width] = field
    return content


def _place(content: bytes, kind: str, what: str) -> tuple[int, int, str]:
    """Where a format has its rate, channels or length: place, bytes, which way round; -1 if it is not known."""
    family = kind.split()[0]
    if family in ("wav", "wavex", "rf64"):
        head = content.find(b"fmt ")
        data = content.find(b"data")
        return {"rate": (head + 12, 4, "little"), "channels": (head + 10, 2, "little"),
                "length": (data + 4, 4, "little")}[what]  # fmt: skip
    if family == "flac":  # rate 20 bits, channels 3, depth 5, samples 36
        return {"rate": (18, 3, "big"), "channels": (20, 1, "big"), "length": (21, 5, "big")}[what]
    if family == "au":
        return {"rate": (16, 4, "big"), "channels": (20, 4, "big"), "length": (8, 4, "big")}[what]
    if family == "aiff":
        head = content.find(b"COMM")
        return {"rate": (head + 16, 4, "big"), "channels": (head + 8, 2, "big"), "length": (head + 10, 4, "big")}[what]
    if family in ("ogg", "opus"):
        last = content.rfind(b"OggS")
        return {"rate": (40, 4, "little"), "channels": (39 if family == "ogg" else 37, 1, "little"),
                "length": (last + 6, 8, "little")}[what]  # fmt: skip
    xing = max(content.find(b"Xing"), content.find(b"Info"))
    return {"rate": (2, 1, "big"), "channels": (3, 1, "big"), "length": (xing + 8, 4, "big")}[what]


def _put(content: bytearray, kind: str, what: str, number: int) -> bytearray:
    place, width, order = _place(bytes(content), kind, what)
    if kind.startswith("flac"):  # fields of bits: what they share their bytes with stays
        kept = {"rate": content[20] & 0x0F, "channels": content[20] & 0xF1, "length": (content[21] & 0xF0) << 32}[what]
        number = kept | {"rate": number << 4, "channels": (number & 7) << 1, "length": number % (1 << 36)}[what]
    if 0 <= place <= len(content) - width:
        content[place : place + width] = (number % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]
    return content


def _rate(content: bytearray, rng: Rng, kind: str) -> bytearray:
    return _put(content, kind, "rate", int(rng.choice(RATES)))


def _channels(content: bytearray, rng: Rng, kind: str) -> bytearray:
    return _put(content, kind, "channels", int(rng.choice([0, 2, 3, 255, 256, 1024, 1025, 65_535])))


def _length(content: bytearray, rng: Rng, kind: str) -> bytearray:
    return _put(
        content, kind, "length", int(rng.choice([0, 1, 2**20, 2**29, 2**31, 2**32 - 1, 2**36 - 1, 2**40, 2**62]))
    )


def _samples(content: bytearray, rng: Rng, kind: str) -> bytes:
    """What no sound is, or hardly: NaN, infinity, beyond all measure, none, silence, of one value."""
    wild = float(rng.choice([np.nan, np.inf, -np.inf, 3e38, -1e30, 1e-45, 0.0, 1.0]))
    samples = np.full((int(rng.choice([0, 1, 500])), int(rng.integers(1, 4))), 0.1)
    samples[int(rng.integers(max(1, len(samples)))) :] = wild
    kinds = [("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("AIFF", "FLOAT"), ("AU", "DOUBLE")]
    name, subtype = kinds[int(rng.integers(len(kinds)))]
    return written(samples, name, subtype, int(rng.choice([1_000, 16_000, 44_100, 96_000])))


def _chunks(content: bytearray, rng: Rng, kind: str) -> bytearray:
    """Unknown, nested, empty, odd and lying chunks before the sound."""
    family = kind.split()[0]
    size = int(rng.choice([0, 1, 3, 40, 70_000]))
    told = int(rng.choice([size, size + 1, 0, 0x7FFF_FFFF, 0xFFFF_FFFF]))
    body = rng.bytes(size)
    if family in ("wav", "wavex", "rf64", "aiff"):
        order = ">" if family == "aiff" else "<"
        name = [b"LIST", b"JUNK", b"fmt ", b"data", b"COMM", b"SSND", b"RIFF", b"\0\0\0\0"][int(rng.integers(8))]
        chunk = name + struct.pack(f"{order}I", told) + body
        if rng.random() < 0.3:
            chunk = b"".join(b"LIST" + struct.pack(f"{order}I", 12 + 12 * n) + b"INFO" for n in range(300)) + chunk
        return content[:12] + chunk * int(rng.choice([1, 2, 2_000 if size < 50 else 1])) + content[12:]
    if family == "flac":
        header = bytes([int(rng.integers(128))]) + (told % (1 << 24)).to_bytes(3, "big")
        return content[:42] + header + body + content[42:]
    if family == "mp3":
        return b"ID3" + bytes(rng.integers(256, size=7, dtype=np.uint8)) + body + content  # type: ignore[return-value]
    place = int(rng.integers(len(content)))
    return content[:place] + body + content[place:]


def _splice(content: bytearray, rng: Rng, kind: str) -> bytes:
    other = whole(str(rng.choice(list(FORMATS))))
    return bytes(content[: int(rng.integers(len(content)))]) + other[int(rng.integers(len(other))) :]


def _again(content: bytearray, rng: Rng, _: str) -> bytes:
    """A piece left out or said twice."""
    low, high = sorted(int(i) for i in rng.integers(len(content), size=2))
    return bytes(content[:high]) + bytes(content[low:]) if rng.random() < 0.5 else bytes(content[:low] + content[high:])


def _noise(content: bytearray, rng: Rng, _: str) -> bytes:
    return bytes(content[: int(rng.choice([0, 4, 12, 44]))]) + rng.bytes(int(rng.integers(1, 4_000)))


def _bomb(content: bytearray, rng: Rng, kind: str) -> bytes:
    """Silence that is tiny on disk and large when decoded, and says that it is larger still."""
    silence = bytearray(_silence(str(rng.choice(["FLAC", "OGG"]))))
    if rng.random() < 0.7 and silence[:4] == b"fLaC":
        return bytes(_put(silence, "flac", "length", int(rng.choice([0, 2**24, 2**25, 2**28, 2**31, 2**35]))))
    return bytes(silence)


@cache
def _silence(name: str) -> bytes:
    subtype = {"FLAC": "PCM_16", "OGG": "VORBIS"}[name]
    return written(np.zeros((RATE * 120, 1), dtype=np.int16), name, subtype)


DAMAGES: Mapping[str, Callable[[bytearray, Rng, str], bytes | bytearray]] = {
    "bits": _bits, "header bits": _header_bits, "cut": _cut, "fields": _fields, "rate": _rate, "channels": _channels,
    "length": _length, "samples": _samples, "chunks": _chunks, "splice": _splice, "again": _again, "noise": _noise,
    "bomb": _bomb,
}  # fmt: skip


def with_page_sums(content: bytes) -> bytes:
    """An Ogg file whose pages have the sums that their content asks for."""
    pages = content.split(b"OggS")
    made = [pages[0]]
    for page in pages[1:]:
        body = bytearray(b"OggS" + page)
        if len(body) >= 27:
            body[22:26] = bytes(4)
            body[22:26] = _page_sum(bytes(body)).to_bytes(4, "little")
        made.append(bytes(body))
    return b"".join(made)


@cache
def _sum_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C1_1DB7 if value & 0x8000_0000 else 0)
        table.append(value & 0xFFFF_FFFF)
    return tuple(table)


def _page_sum(page: bytes) -> int:
    table, value = _sum_table(), 0
    for byte in page:
        value = ((value << 8) & 0xFFFF_FFFF) ^ table[(value >> 24) ^ byte]
    return value
