"""One clip's sound and log-mel picture, ready for the browser."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
import soundfile
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard.shared import command
from dashboard.shared.player import places

MAX_SECONDS = 60
N_MELS = 80
PICTURE_WIDTH, PICTURE_HEIGHT = 960, 160
RATES = (100, 1_000_000)
MOST_VALUES = 1 << 26
LOUDEST = 2.0**31
UNREADABLE = (soundfile.SoundFileError, OSError, ValueError)
"""What decoding raises where a file is not sound."""
# Dark to bright with even steps of lightness (after matplotlib's "magma"), also in greyscale.
_STOPS = np.array(
    [
        [0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122],
        [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191],
    ]
)  # fmt: skip
PALETTE = np.stack([np.interp(np.linspace(0, 8, 256), np.arange(9), _STOPS[:, c]) for c in range(3)], axis=1).astype(
    np.uint8
)


@dataclass(frozen=True)
class Rendered:
    """A clip ready for the browser: 16-bit WAV and PNG."""

    wav: bytes
    picture: bytes
    seconds: float
    top_hz: int
    shortened: bool

    @property
    def shown_seconds(self) -> float:
        """How much of the clip is heard and drawn."""
        return min(self.seconds, MAX_SECONDS)


class NotPlayed(ValueError):
    """Why a stored clip is not played; the message is a sentence of it, without its name."""


@dataclass(frozen=True)
class Stored:
    """A clip's file as a store tells of it: found by its path, known by its content.

    Attributes
    ----------
    root, path : str
        The dataset's folder, and the file's place in it.
    sha256 : str
        Of the file, in hexadecimal; empty in older stores, of which nothing is played that a link leads out of the
        folder to.
    """

    root: str
    path: str
    sha256: str = ""

    @classmethod
    def of(cls, row: Mapping[Hashable, Any]) -> Stored:
        """As a row of the store has it."""
        content = row["file_sha256"]
        return cls(str(row["root"]), str(row["path"]), content if isinstance(content, str) else "")

    def find(self) -> Path:
        """Its file, links not resolved: a decoder goes by the name that the clip has.

        Raises
        ------
        NotPlayed
            If there is none, or none that may be looked at.
        """
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or ".." in pure.parts:
            raise NotPlayed(_OUTSIDE)
        if "\0" in self.path:
            raise NotPlayed("cannot be read as sound")
        is_out = False
        for folder in places.folders(self.root):
            file = os.path.join(folder, self.path)
            if not os.path.isfile(file):
                continue
            if self.sha256 or Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
                return Path(file)
            is_out = True
        for path in places.called(pure.name) if self.sha256 else ():
            if _sha256(path) == self.sha256:
                return Path(path)
        raise NotPlayed(_OUTSIDE if is_out else _gone(self.root))

    def check(self, content: io.BufferedReader) -> None:
        """Compare what a file holds with what was studied; it is at its beginning before and after.

        Raises
        ------
        NotPlayed
            If it is something else.
        """
        if self.sha256 and hashlib.file_digest(content, "sha256").hexdigest() != self.sha256:
            raise NotPlayed("has changed since it was studied, so it is not played")
        content.seek(0)


_OUTSIDE = "lies outside its dataset's folder and is not played"


def _gone(root: str) -> str:
    """What is missing, and how to say where it went; the folder itself is the server's own."""
    option = command.audio_root(places.name_of(root))
    return f"is not where it was studied; start the page with {option} to say where its sound lies now"


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""


def mel(hertz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert frequencies to mel, 2595 log10(1 + f / 700)."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz, dtype=np.float64) / 700))


def heights(hertz: NDArray[np.float64], top_hz: float) -> NDArray[np.float64]:
    """Place frequencies on the picture.

    Parameters
    ----------
    hertz : ndarray
    top_hz : float
        Half the sample rate, the picture's top.

    Returns
    -------
    ndarray
        0 at the picture's lower edge, 1 at its upper: filter ``m``'s centre is the middle of row ``m``.
    """
    rows = mel(hertz) / mel(top_hz) * (N_MELS + 1) - 0.5
    placed: NDArray[np.float64] = np.clip(rows / N_MELS, 0, 1)
    return placed


def log_mel(waveform: NDArray[np.float32], sample_rate: int, most_frames: int = PICTURE_WIDTH) -> NDArray[np.float64]:
    """Compute log-mel power in decibels under the loudest cell, for looking at.

    Parameters
    ----------
    waveform : ndarray, shape (n_samples,)
    sample_rate : int
        Hz.
    most_frames : int
        No more than the picture can show, however long the clip.

    Returns
    -------
    ndarray, shape (N_MELS, n_frames)
        In [-80, 0], low frequencies first; windows of 32 ms. Frame ``k`` is centred at ``(k + 0.5) / n_frames``
        of the clip, so that the picture's edges are the clip's first and last moment.
    """
    size = max(64, int(0.032 * sample_rate))
    n_frames = int(np.clip(len(waveform) // (size // 8), 1, most_frames))
    # Mirrored at the ends: a sound cut off mid-way would otherwise draw a click there.
    padded = np.pad(np.asarray(waveform, dtype=np.float32), size // 2 + 1, mode="reflect", reflect_type="odd")
    centres = ((np.arange(n_frames) + 0.5) * len(waveform) / n_frames).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[centres]
    power = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)) ** 2
    levels = power @ _mel_filters(sample_rate, size).T
    decibels = 10 * np.log10(np.maximum(levels.T, 1e-12))
    relative: NDArray[np.float64] = np.clip(decibels - decibels.max(), -80, 0)
    return relative


@lru_cache(maxsize=8)
def _mel_filters(sample_rate: int, size: int) -> NDArray[np.float64]:
    """Make triangles evenly spaced in mel (2595 log10(1 + f / 700)) that reach a bin each."""
    edges = 700 * (10 ** (np.linspace(0, mel(sample_rate / 2), N_MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / sample_rate)
    step = bins[1]
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise = (bins - low) / np.maximum(centre - low, step)
    fall = (high - bins) / np.maximum(high - centre, step)
    filters: NDArray[np.float64] = np.clip(np.minimum(rise, fall), 0, None)
    nearest = np.round(edges[1:-1] / step).astype(int)
    silent = filters.sum(axis=1) == 0
    filters[np.flatnonzero(silent), nearest[silent]] = 1
    return filters


def render(stored: Stored) -> Rendered:
    """Decode a clip and draw it; kept while the file stays as it is.

    Raises
    ------
    NotPlayed
    """
    return _render(stored, os.stat(stored.find()).st_mtime_ns)


@st.cache_resource(max_entries=128, show_spinner=False)
def _render(stored: Stored, changed: int) -> Rendered:
    del changed
    return _drawn(decode_stored(stored))


@st.cache_data(max_entries=16, show_spinner=False)
def render_bytes(sound: bytes) -> Rendered:
    """Decode a sound that is no file of a dataset, but a visitor's, and draw it."""
    return _rendered(io.BytesIO(sound))


@contextmanager
def named(target: str | Path, name: str) -> Iterator[Path]:
    """A link of another name to a file, with the ending of ``name``.

    Decoders go by the ending where the first bytes tell nothing, and by a ``._name`` that macOS left beside a file.
    """
    with TemporaryDirectory() as folder:
        link = Path(folder, "sound" + re.sub(r"[^.a-z0-9]", "", PurePosixPath(name).suffix.lower()))
        link.symlink_to(target)
        yield link


@dataclass(frozen=True)
class Decoded:
    """A clip's samples, mixed down to one channel: of a long clip the first `MAX_SECONDS`."""

    waveform: NDArray[np.float32]
    sample_rate: int
    seconds: float

    def picture(self, width: int, height: int) -> Image.Image:
        """Draw the log-mel power, in the colours of `PALETTE`."""
        levels = ((log_mel(self.waveform, self.sample_rate, width)[::-1] + 80) / 80 * 255).astype(np.uint8)
        image = Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)
        image.putpalette(PALETTE.tobytes())
        return image


def decode_stored(stored: Stored) -> Decoded:
    """Decode a dataset's clip, if it is still what was studied.

    Raises
    ------
    NotPlayed
    """
    file = stored.find()
    with file.open("rb") as content:
        stored.check(content)
    with named(file, file.name) as link:
        return _decode(str(link))


def _decode(source: str | BinaryIO) -> Decoded:
    with soundfile.SoundFile(source) as sound:
        sample_rate = sound.samplerate
        if not RATES[0] <= sample_rate <= RATES[1]:  # windows and filters are as long as a second is
            raise soundfile.SoundFileError("a rate that no sound has")
        seconds = sound.frames / sample_rate
        if min(sound.frames, MAX_SECONDS * sample_rate) * sound.channels > MOST_VALUES:
            raise soundfile.SoundFileError("more samples than are kept in memory")
        samples = sound.read(MAX_SECONDS * sample_rate, dtype="float32", always_2d=True)
    with np.errstate(over="ignore", invalid="ignore"):
        waveform = samples.mean(axis=1)
    if not len(waveform) or not max(waveform.max(), -waveform.min()) <= LOUDEST:  # NaN is not
        raise soundfile.SoundFileError("no samples that are a sound")
    return Decoded(waveform, sample_rate, seconds)


def _rendered(source: str | BinaryIO) -> Rendered:
    return _drawn(_decode(source))


def _drawn(decoded: Decoded) -> Rendered:
    buffer = io.BytesIO()
    clipped = np.clip(decoded.waveform, -1, 1)
    soundfile.write(buffer, clipped, decoded.sample_rate, format="WAV", subtype="PCM_16")
    drawn = io.BytesIO()
    decoded.picture(PICTURE_WIDTH, PICTURE_HEIGHT).save(drawn, "PNG", compress_level=1)
    is_shortened = decoded.seconds > MAX_SECONDS
    return Rendered(buffer.getvalue(), drawn.getvalue(), decoded.seconds, decoded.sample_rate // 2, is_shortened)
