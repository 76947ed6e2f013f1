"""One clip: its sound, its log-mel picture, its labels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

MAX_SECONDS = 60
N_MELS = 80
PICTURE_WIDTH, PICTURE_HEIGHT = 480, 160
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


def resolve(root: str, path: str) -> Path | None:
    """Find the clip's file below its dataset's root, links followed; None if outside."""
    folder = Path(root).resolve()
    file = (folder / path).resolve()
    return file if file.is_relative_to(folder) else None


def log_mel(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Compute log-mel power in decibels under the loudest cell, for looking at.

    Parameters
    ----------
    waveform : ndarray, shape (n_samples,)
    sample_rate : int
        Hz.

    Returns
    -------
    ndarray, shape (N_MELS, n_frames)
        In [-80, 0], low frequencies first; windows of 32 ms.
    """
    size = max(64, int(0.032 * sample_rate))
    padded = np.pad(np.asarray(waveform, dtype=np.float64), size // 2)
    if len(padded) < size:
        padded = np.pad(padded, (0, size - len(padded)))
    # No more frames than the picture can show, however long the clip.
    hop = max(size // 4, len(padded) // PICTURE_WIDTH + 1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    mel = power @ _mel_filters(sample_rate, size).T
    decibels = 10 * np.log10(np.maximum(mel.T, 1e-12))
    relative: NDArray[np.float64] = np.clip(decibels - decibels.max(), -80, 0)
    return relative


def _mel_filters(sample_rate: int, size: int) -> NDArray[np.float64]:
    """Make triangles evenly spaced in mel (2595 log10(1 + f / 700)) that reach a bin each."""
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, N_MELS + 2) / 2595) - 1)
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


@st.cache_data(max_entries=256, show_spinner=False)
def render(file: str, changed: int) -> Rendered:
    """Decode a clip and draw it; kept while the file stays as it is (``changed``: its mtime)."""
    del changed
    with soundfile.SoundFile(file) as sound:
        sample_rate = sound.samplerate
        limit = MAX_SECONDS * sample_rate
        seconds = sound.frames / sample_rate
        waveform = sound.read(limit, dtype="float32", always_2d=True).mean(axis=1)
    if not len(waveform):
        raise soundfile.SoundFileError("no samples")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    levels = ((log_mel(waveform, sample_rate)[::-1] + 80) / 80 * 255).astype(np.uint8)
    image = Image.fromarray(PALETTE[levels]).resize((PICTURE_WIDTH, PICTURE_HEIGHT))
    drawn = io.BytesIO()
    image.save(drawn, "PNG")
    return Rendered(buffer.getvalue(), drawn.getvalue(), seconds, sample_rate // 2, seconds > MAX_SECONDS)


def player(root: str, path: str, labels: str) -> None:
    """Show one clip: picture, sound and labels; a caption where its file cannot be had."""
    file = resolve(root, path)
    name = Path(path).name
    if file is None:
        st.caption(f"`{path}` lies outside its dataset's folder and is not played.")
    elif not file.is_file():
        st.caption(f"`{path}` is no longer in `{root}`.")
    else:
        try:
            clip = render(str(file), file.stat().st_mtime_ns)
        except (soundfile.SoundFileError, OSError, ValueError):
            st.caption(f"`{path}` cannot be read as sound.")
        else:
            spoken = labels or name
            st.image(clip.picture, width="stretch", alt=f"Log-mel spectrogram of {spoken}")
            st.audio(clip.wav, alt=f"Clip {spoken}")
            cut = f", first {MAX_SECONDS} s" if clip.shortened else ""
            st.caption(f"{name}, {clip.seconds:.1f} s{cut}; picture: 0 to {clip.top_hz / 1000:g} kHz (mel)")
