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
NOT_READ = frozenset({".m4a", ".mp4", ".aac", ".wma", ".opus", ".amr", ".webm", ".ape"})
"""Sound that is told of where it lies among files that are read."""
_LFS_POINTER = b"version https://git-lfs"
_LARGEST_KERNEL = 50_000_000
"""Numbers in a resampling kernel; rates without a common factor (44,099 Hz) would take gigabytes."""
_UNKNOWN_LENGTH = 0x7FFF_F000
_ENDS = 1 << 16
"""Bytes at either end of a file in which its header lies, and what tells its length."""

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
    _check_is_file(path)
    try:
        _wait_for(path)
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except _UNREADABLE as error:
        raise BadAudio(_reason(path, error)) from error
    if samples.shape[0] == 0:
        raise BadAudio("holds no samples")
    missing = _missing_bytes(path)
    if missing:
        raise BadAudio(f"is cut off: {missing:,} bytes of the sound its header tells of are missing")
    if not np.isfinite(samples).all():
        raise BadAudio("holds NaN or infinite samples")
    return resample(samples.mean(axis=1, dtype=np.float32), rate, sample_rate)


def resample(mono: NDArray[np.float32], rate: int, sample_rate: int) -> NDArray[np.float32]:
    """Bring samples, (n_samples,) at ``rate`` Hz, to ``sample_rate`` Hz.

    Raises
    ------
    BadAudio
        If the two rates have no common factor to speak of, or nothing is left.
    """
    if rate == sample_rate:
        return mono
    if rate * sample_rate > _LARGEST_KERNEL * gcd(rate, sample_rate) ** 2:
        raise BadAudio(f"has {rate} Hz, which cannot be resampled to {sample_rate} Hz; convert it first")
    resampled: NDArray[np.float32] = torchaudio.functional.resample(torch.from_numpy(mono), rate, sample_rate).numpy()
    if not len(resampled):
        raise BadAudio(f"holds no samples after resampling from {rate} Hz")
    return resampled


def seconds(path: Path) -> float:
    """Duration from the header alone.

    Raises
    ------
    BadAudio
        As `load`, as far as the header tells.
    """
    _check_is_file(path)
    try:
        _wait_for(path)
        info = soundfile.info(path)
    except _UNREADABLE as error:
        raise BadAudio(_reason(path, error)) from error
    if info.frames == 0:
        raise BadAudio("holds no samples")
    return info.frames / info.samplerate


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise BadAudio("is a folder, not a file")
    if not path.is_file():
        if path.exists():  # a pipe would be waited for, a device has no end
            raise BadAudio("is a pipe, device or socket, not a file")
        raise BadAudio("is a link that leads nowhere" if path.is_symlink() else "file not found")


def _wait_for(path: Path) -> None:
    """Read a file's ends: soundfile opens one at a time, and one that did not answer there would stop all threads."""
    with path.open("rb") as file:
        file.read(_ENDS)
        file.seek(max(0, path.stat().st_size - _ENDS))
        file.read(_ENDS)


def _missing_bytes(path: Path) -> int:
    """How much shorter a RIFF file is than the length of its sound in the header; libsndfile reads what is there.

    Sizes near 2 GiB and above stand for "not known": who streamed the file could not go back to its header.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return 0
        file.seek(12)
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                left = path.stat().st_size - file.tell()
                return max(0, size - left) if size < _UNKNOWN_LENGTH else 0
            file.seek(size + size % 2, 1)
    return 0


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
