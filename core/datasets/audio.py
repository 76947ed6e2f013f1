"""Audio file -> mono float32 waveform at the model's rate. Every bad file is found here.

soundfile decodes; torchaudio resamples (windowed sinc, Hann), or where the rates have hardly a common factor SciPy
(polyphase, Kaiser). Both are loaded with the first file that needs them. Channels are averaged, nothing else is done to
the samples: no level change, no trimming. A file is read, mixed and resampled a block at a time: beside the result,
whose length is bounded, some megabytes are held.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import gcd
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from core.datasets.files import LFS_POINTER
from core.datasets.readers import given_up
from core.files import OF_THE_KERNEL, is_of_the_kernel

MOST_SAMPLES = 1 << 28
"""Of the mono sound at the rate asked for: 4.6 hours at 16 kHz, 1 GiB."""
MOST_VALUES = 1 << 32
"""Samples of all channels of a file: 12 hours of stereo at 48 kHz."""
_AT_ONCE = 1 << 21
"""Values of all channels that are read at once, and samples that are resampled at once."""
RATES = (100, 10_000_000)
"""Hz that a file may have."""
LOUDEST = 2.0**31
"""Beyond full scale of any whole number; larger ones (floating point files hold any) have no finite power."""
_LARGEST_KERNEL = 12_000_000
"""Numbers in torchaudio's kernel; of rates with hardly a common factor (44,099 Hz) it would take gigabytes."""
_LARGEST_FACTOR = 200_000
"""Of SciPy's, whose filter has 20 numbers for each."""
_HALF_LENGTH = 10
"""Of SciPy's filter, in samples of the lower rate; torchaudio's has 6 and the roll-off."""
_CANCELLED = 1e-4
"""Of the loudest channel, -80 dB: what is left where one channel is the other upside down."""
_UNKNOWN_LENGTH = 0x7FFF_F000
_ENDS = 1 << 16
"""Bytes at either end of a file in which its header lies, and what tells its length."""
_NO_LENGTH = 1 << 62
_MOST_CHUNKS = 10_000
_FREE_VALUES, _VALUES_A_BYTE = 1 << 26, 512

# Headers that promise too much end as MemoryError or ValueError, headerless files as TypeError.
_UNREADABLE = (soundfile.SoundFileError, OSError, MemoryError, ValueError, TypeError, OverflowError)


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
        If the file is missing, empty, unreadable, has no samples, tells of too many, or holds NaN or infinity.
    """
    with _mixed(path) as sound:
        most = length_at(sound.n_frames, sound.rate, sample_rate)
        made = _joined(resampled(sound.blocks(), sound.rate, sample_rate), most)
    if not len(made):
        raise BadAudio(f"holds no samples after resampling from {sound.rate} Hz")
    return made


def check(path: Path, sample_rate: int) -> None:
    """Refuse what `load` would refuse; every sample is read, none resampled: the rates tell whether they can be.

    Raises
    ------
    BadAudio
        As `load`.
    """
    with _mixed(path) as sound:
        length_at(sound.n_frames, sound.rate, sample_rate)
        for _ in sound.blocks():
            pass
        if sound.n_samples:
            check_rates(sound.rate, sample_rate)


@contextmanager
def _mixed(path: Path) -> Iterator[_Mixed]:
    """A file's sound, to be read inside; what is wrong with it is told then."""
    _check_is_file(path)
    with _reasons(path), _without_fork(path) as name, soundfile.SoundFile(name) as file:
        sound = _Mixed(file)
        _check_header(path, sound.n_frames, sound.n_channels, sound.rate)
        yield sound
    if sound.n_samples == 0:
        raise BadAudio(_no_samples(path))
    missing = _missing_bytes(path)
    if missing > 0:
        raise BadAudio(f"is cut off: {missing:,} bytes of the sound its header tells of are missing")
    sound.check()


class _Mixed:
    """The mean of a file's channels, block by block, and what is told of it when all are read."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self.n_frames, self.n_channels, self.rate = file.frames, file.channels, file.samplerate
        self.n_samples = 0
        self._file, self._loudest, self._loudest_channel, self._is_finite = file, 0.0, 0.0, True

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        at_once, left = max(1, _AT_ONCE // self.n_channels), self._file.frames
        while left > 0 and not given_up():  # some codecs cannot tell where they end
            samples = self._file.read(min(at_once, left), dtype="float32", always_2d=True)
            if not len(samples):
                return
            left -= len(samples)
            yield self._mean(samples)

    def _mean(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._is_finite = self._is_finite and bool(np.isfinite(samples).all())
        with np.errstate(over="ignore", invalid="ignore"):  # told by `check`
            mono: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
        self.n_samples += len(mono)
        self._loudest = max(self._loudest, float(mono.max()), -float(mono.min()))
        self._loudest_channel = max(self._loudest_channel, float(samples.max()), -float(samples.min()))
        return mono

    def check(self) -> None:
        """Refuse what is no sound."""
        if not self._is_finite:
            raise BadAudio("holds NaN or infinite samples")
        if self.n_channels > 1 and self._loudest < _CANCELLED * self._loudest_channel:
            raise BadAudio("holds channels that cancel each other when they are averaged; keep one of them")
        if self.n_samples == 1:
            raise BadAudio("holds a single sample")
        if not self._loudest <= LOUDEST:
            raise BadAudio(
                "holds samples beyond 2**31 times full scale; write it anew as whole numbers or from -1 to 1"
            )


def _joined(blocks: Iterable[NDArray[np.float32]], most: int) -> NDArray[np.float32]:
    """Blocks one behind the other, at most so many samples; memory is taken as it is filled."""
    made, n = np.empty(most, dtype=np.float32), 0
    for block in blocks:
        made[n : n + len(block)] = block
        n += len(block)
    return made if n == most else made[:n].copy()


def length_at(n_samples: int, rate: int, sample_rate: int) -> int:
    """Samples that so many at ``rate`` become at ``sample_rate``.

    Raises
    ------
    BadAudio
        If they are too many.
    """
    factor = gcd(rate, sample_rate)
    n = -(-n_samples * (sample_rate // factor) // (rate // factor))
    if n > MOST_SAMPLES:
        raise BadAudio(f"would have more than {MOST_SAMPLES:,} samples at {sample_rate} Hz; cut it, or check its rate")
    return n


def resampled(blocks: Iterable[NDArray[np.float32]], rate: int, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Blocks of samples at ``rate`` Hz as blocks at ``sample_rate`` Hz, as if they were resampled in one piece.

    A sample that is made depends on those around it alone: with as much of them before and behind as the filter
    reaches, what is made of a part is what would be made of the whole there.

    Raises
    ------
    BadAudio
        If the file's rate is odd and beyond 200 kHz.
    """
    factor = gcd(rate, sample_rate)
    old, new = rate // factor, sample_rate // factor
    # In steps of `old` samples, of which `new` are made: the filters' half lengths, and one step to spare.
    context = math.ceil(_HALF_LENGTH * max(1.0, rate / sample_rate) / old) + 1
    held, before = np.zeros(0, dtype=np.float32), 0
    for block in blocks:
        n_steps = len(held) // old - before - context
        if n_steps > 0 and len(held) >= _AT_ONCE:
            made = resample(held[: (before + n_steps + context) * old], rate, sample_rate)
            yield made[before * new : (before + n_steps) * new]
            dropped = before + n_steps - min(context, before + n_steps)
            held, before = held[dropped * old :], before + n_steps - dropped
        held = np.concatenate([held, block]) if len(held) else block
    if len(held):
        yield resample(held, rate, sample_rate)[before * new :]


def resample(mono: NDArray[np.float32], rate: int, sample_rate: int) -> NDArray[np.float32]:
    """Bring samples, (n_samples,) at ``rate`` Hz, to ``sample_rate`` Hz in one piece.

    Raises
    ------
    BadAudio
        If the file's rate is odd and beyond 200 kHz.
    """
    if rate == sample_rate:
        return mono
    made: NDArray[np.float32]
    if check_rates(rate, sample_rate) == "sinc":
        import torch
        import torchaudio

        made = torchaudio.functional.resample(torch.from_numpy(mono), rate, sample_rate).numpy()
    else:
        from scipy.signal import resample_poly

        factor = gcd(rate, sample_rate)
        made = resample_poly(mono, sample_rate // factor, rate // factor).astype(np.float32)
    return made


def check_rates(rate: int, sample_rate: int) -> Literal["sinc", "polyphase"]:
    """How samples at ``rate`` are brought to ``sample_rate``.

    Raises
    ------
    BadAudio
        If they cannot be: the rate is odd and beyond 200 kHz.
    """
    factor = gcd(rate, sample_rate)
    # What can be brought to the 16 kHz of the scan can be brought to any multiple of them.
    if rate * min(sample_rate, 16_000) <= _LARGEST_KERNEL * factor**2:
        return "sinc"
    if rate <= _LARGEST_FACTOR * factor:
        return "polyphase"
    raise BadAudio(f"has {rate} Hz, which cannot be resampled to {sample_rate} Hz; convert it first")


def seconds(path: Path) -> float:
    """Duration from the header alone.

    Raises
    ------
    BadAudio
        As `load`, as far as the header tells.
    """
    frames, rate = _header(path)
    if frames == 0:
        raise BadAudio(_no_samples(path))
    return frames / rate


def rate_of(path: Path) -> int:
    """Hz, from the header alone.

    Raises
    ------
    BadAudio
        As `load`, as far as the header tells.
    """
    return _header(path)[1]


def _header(path: Path) -> tuple[int, int]:
    """Samples of a channel, and Hz."""
    _check_is_file(path)
    with _reasons(path), _without_fork(path) as name:
        info = soundfile.info(name)
        _check_header(path, info.frames, info.channels, info.samplerate)
    return int(info.frames), int(info.samplerate)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Wait for a file; what keeps it from being read is told as `BadAudio`."""
    try:
        _wait_for(path)
        yield
    except BadAudio:
        raise
    except _UNREADABLE as error:
        raise BadAudio(_reason(path, error)) from error


@contextmanager
def _without_fork(path: Path) -> Iterator[Path]:
    """The file under a name beside which macOS left no ``._name``: libsndfile takes that for the format of an MP3."""
    if not os.path.lexists(path.with_name(f"._{path.name}")):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder, f"sound{path.suffix}")
        link.symlink_to(path.absolute())
        yield link


def _check_is_file(path: Path) -> None:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        if os.path.islink(path):
            raise BadAudio("is a link that leads nowhere") from error
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise BadAudio(f"cannot be read ({error.strerror})") from error
        raise BadAudio("file not found") from error
    if stat.S_ISDIR(status.st_mode):
        raise BadAudio("is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise BadAudio("is no file (a pipe, socket or device)")
    if is_of_the_kernel(status):
        raise BadAudio(f"is no file ({OF_THE_KERNEL})")


def _check_header(path: Path, n_frames: int, n_channels: int, rate: int) -> None:
    """Refuse what would fill the memory before any is taken for it.

    A minute of silence is a few bytes of FLAC; a file that says it is hours of it is made to harm.
    """
    if not RATES[0] <= rate <= RATES[1]:
        raise BadAudio(f"has {rate:,} Hz; from {RATES[0]:,} to {RATES[1]:,} are read")
    if n_frames >= _NO_LENGTH:
        raise BadAudio("does not tell how long it is (a stream written to a file); convert it first")
    most = min(MOST_VALUES, max(_FREE_VALUES, _VALUES_A_BYTE * path.stat().st_size))
    if n_frames * n_channels > most:
        raise BadAudio(
            f"tells of {n_frames:,} samples in {n_channels:,} channel{'s' * (n_channels > 1)}; at most {most:,} values "
            "are read of such a file; cut it first"
        )


def _wait_for(path: Path) -> None:
    """Read a file's ends: soundfile opens one at a time, and one that did not answer there would stop all threads."""
    with path.open("rb") as file:
        file.read(_ENDS)
        file.seek(max(0, path.stat().st_size - _ENDS))
        file.read(_ENDS)


def _no_samples(path: Path) -> str:
    """Why a file gives no sample."""
    missing = _missing_bytes(path)
    if missing < 0:
        return f"says in its header that it holds nothing, but {-missing:,} bytes follow; convert it first"
    return "holds no samples"


def _missing_bytes(path: Path) -> int:
    """How much shorter a RIFF file is than the length of its sound in the header; libsndfile reads what is there.

    Sizes near 2 GiB and above stand for "not known": who streamed the file could not go back to its header. Where the
    header tells of no sound, less than nothing is missing: what follows.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return 0
        file.seek(12)
        for _ in range(_MOST_CHUNKS):
            head = file.read(8)
            if len(head) < 8:
                break
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                left = path.stat().st_size - file.tell()
                if size == 0:
                    return -left
                return max(0, size - left) if size < _UNKNOWN_LENGTH else 0
            file.seek(size + size % 2, 1)
    return 0


def _reason(path: Path, error: Exception) -> str:
    try:
        if path.stat().st_size == 0:
            return "file is empty (0 bytes)"
        with path.open("rb") as file:
            start = file.read(len(LFS_POINTER))
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"
    if start == LFS_POINTER:
        return "is a Git LFS pointer, not audio; run 'git lfs pull' in its repository"
    text = str(error).split(": ")[-1].strip().rstrip(".")
    return f"cannot be read as audio ({text})"
