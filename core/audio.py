"""Audio file -> mono float32 waveform at the model's rate. Every bad file is found here.

soundfile decodes; torchaudio resamples (windowed sinc, Hann). Channels are averaged, nothing else is
done to the samples: no level change, no trimming.
"""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from numpy.typing import NDArray

EXTENSIONS = frozenset({".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".au"})
_LFS_POINTER = b"version https://git-lfs"
_LARGEST_KERNEL = 50_000_000
"""Numbers in a resampling kernel; rates without a common factor (44,099 Hz) would take gigabytes."""

# Headers that promise too much end as MemoryError or ValueError, headerless files as TypeError.
_UNREADABLE = (soundfile.SoundFileError, OSError, MemoryError, ValueError, TypeError)


class BadAudio(ValueError):
    """A file that cannot be used; the message is the reason, without the path."""


def load(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """Read a file as mono at ``sample_rate``.

    Parameters
    ----------
    path : path
        Anything libsndfile reads, any rate, any number of channels.
    sample_rate : int
        Hz, of the result.

    Returns
    -------
    ndarray of float32, shape (n_samples,)

    Raises
    ------
    BadAudio
        If the file is missing, empty, unreadable, has no samples, or holds NaN or infinity.
    """
    if not path.is_file():
        raise BadAudio("file not found")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except _UNREADABLE as error:
        raise BadAudio(_reason(path, error)) from error
    if samples.shape[0] == 0:
        raise BadAudio("holds no samples")
    if not np.isfinite(samples).all():
        raise BadAudio("holds NaN or infinite samples")
    mono = samples.mean(axis=1, dtype=np.float32)
    if rate != sample_rate:
        if rate * sample_rate > _LARGEST_KERNEL * gcd(rate, sample_rate) ** 2:
            raise BadAudio(f"has {rate} Hz, which cannot be resampled to {sample_rate} Hz; convert it first")
        mono = torchaudio.functional.resample(torch.from_numpy(mono), rate, sample_rate).numpy()
        if mono.shape[0] == 0:
            raise BadAudio(f"holds no samples after resampling from {rate} Hz")
    return mono


def seconds(path: Path) -> float:
    """Duration from the header alone.

    Raises
    ------
    BadAudio
        As `load`, as far as the header tells.
    """
    if not path.is_file():
        raise BadAudio("file not found")
    try:
        info = soundfile.info(path)
    except _UNREADABLE as error:
        raise BadAudio(_reason(path, error)) from error
    if info.frames == 0:
        raise BadAudio("holds no samples")
    return info.frames / info.samplerate


def _reason(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "file is empty (0 bytes)"
    try:
        with path.open("rb") as file:
            start = file.read(len(_LFS_POINTER))
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"
    if start == _LFS_POINTER:
        return "is a Git LFS pointer, not audio; run 'git lfs pull' in its repository"
    text = str(error).split(": ")[-1].strip().rstrip(".")
    return f"cannot be read as audio ({text})"
