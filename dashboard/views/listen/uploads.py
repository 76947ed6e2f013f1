"""Anyone's audio file -> samples, decoded in a process that may die.

The parent hands over bytes and gets back plain samples; the child, started from this very file, has a few
seconds and a bounded memory, writes nothing, and knows nothing of the page. Nothing is kept on disk. The decoder opens
the file by a name with its own ending, as a run does: it goes by that where the first bytes tell nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 25_000_000
MAX_SECONDS = 30
MIN_SECONDS = 0.1
SILENCE = 1e-5
"""Below a third of the smallest step of 16 bits."""
DECODE_SECONDS = 10
DECODE_MEMORY = 1 << 30
RATES = (2_000, 384_000)
_VALUES_AT_ONCE = 1 << 20


class BadSound(ValueError):
    """A sound that cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Sound:
    """Mono samples at the file's own rate.

    Attributes
    ----------
    samples : ndarray of float32, shape (n_samples,)
    sample_rate : int
        Hz.
    n_channels : int
        Before they were averaged.
    shortened : bool
        Whether the file goes on after what was kept.
    key : str
        sha256 of rate and samples.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    n_channels: int
    shortened: bool
    key: str

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def decode(source: bytes | BinaryIO, name: str = "", seconds: float = DECODE_SECONDS) -> Sound:
    """Decode the first `MAX_SECONDS` of an audio file in a worker process.

    Parameters
    ----------
    source : bytes or open file
        A file is read by the worker alone, as far as it needs.
    name : str
        The file's, of which the ending counts.
    seconds : float
        The worker is ended after so long.

    Raises
    ------
    BadSound
        If it holds no sound that can be used.
    """
    if isinstance(source, bytes):
        if not source:
            raise BadSound("The file is empty.")
        if len(source) > MAX_BYTES:
            raise BadSound(f"The file has more than {MAX_BYTES / 1e6:.0f} MB; cut it first.")
    from dashboard.shared.player import clip  # not by the worker, which knows no such package

    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        with _as_file(source) as file, clip.named("/dev/fd/0", name) as link:  # the worker's standard input
            # Isolated (-I): neither the folder nor the environment of the page decides what is imported.
            done = subprocess.run(
                [sys.executable, "-I", __file__, str(link)], stdin=file, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, timeout=seconds, env=environment, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BadSound(f"The file was not decoded within {seconds:g} s; convert it to WAV first.") from error
    except OSError as error:
        raise BadSound(f"The file could not be decoded here ({error.strerror}).") from error
    header, _, data = done.stdout.partition(b"\n")
    try:
        if done.returncode:  # it died, perhaps half way through the samples
            raise EOFError
        fields = json.loads(header)
        if fields["problem"]:
            raise BadSound(str(fields["problem"]))
        rate, n_channels, shortened = int(fields["rate"]), int(fields["channels"]), bool(fields["shortened"])
        samples = np.frombuffer(data, dtype="<f4").astype(np.float32)
    except (EOFError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise BadSound("The file cannot be decoded: its decoder stopped. Convert it to WAV first.") from error
    _check(samples, rate)
    return Sound(samples, rate, n_channels, shortened, hashlib.sha256(f"{rate} ".encode() + data).hexdigest())


def made(samples: NDArray[np.float32], rate: int) -> Sound:
    """A sound that was made here: mono, at ``rate`` Hz."""
    key = hashlib.sha256(f"{rate} ".encode() + samples.astype("<f4").tobytes()).hexdigest()
    return Sound(samples, rate, 1, False, key)


@contextmanager
def _as_file(source: bytes | BinaryIO) -> Iterator[IO[bytes]]:
    """A file that has no name and goes with its last reader; in memory where the system has such."""
    if not isinstance(source, bytes):
        yield source
        return
    is_in_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("sound"), "w+b") if is_in_memory else tempfile.TemporaryFile() as file:
        file.write(source)
        file.seek(0)
        yield file


def wav(sound: Sound) -> bytes:
    """The sound as 16-bit WAV, for a browser."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(sound.samples, -1, 1), sound.sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _check(samples: NDArray[np.float32], rate: int) -> None:
    if not len(samples):
        raise BadSound("The file holds no sound.")
    if len(samples) < MIN_SECONDS * rate:
        raise BadSound(f"The sound is too short: {len(samples) / rate:.2f} s; at least {MIN_SECONDS} s are needed.")
    if not np.isfinite(samples).all():
        raise BadSound("The file holds numbers that are no sound (NaN or infinity).")
    if np.abs(samples).max() < SILENCE:
        raise BadSound("The file is silent from beginning to end. If you recorded it, check the microphone.")


def _limit() -> None:
    """Bound this process; where the system has no such limits, time is bounded by the parent alone."""
    from db.sandbox.worker import bound_process

    bound_process({"RLIMIT_AS": DECODE_MEMORY, "RLIMIT_CPU": DECODE_SECONDS, "RLIMIT_FSIZE": 0})


def _read(source: str) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The beginning of a file as mono, read in pieces so that a header's promises cost nothing."""
    import soundfile

    with soundfile.SoundFile(source) as file:
        rate, n_channels = file.samplerate, file.channels
        if not RATES[0] <= rate <= RATES[1]:
            raise BadSound(f"The file has {rate:,} samples a second; from {RATES[0]:,} to {RATES[1]:,} are read.")
        wanted = MAX_SECONDS * rate
        piece = max(1, _VALUES_AT_ONCE // n_channels)
        parts: list[NDArray[np.float32]] = []
        while wanted > 0 and len(part := file.read(min(piece, wanted), dtype="float32", always_2d=True)):
            parts.append(part.mean(axis=1, dtype=np.float32))
            wanted -= len(part)
        shortened = wanted == 0 and len(file.read(1)) > 0
    samples = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
    return samples, {"rate": rate, "channels": n_channels, "shortened": shortened}


def _work() -> None:
    """The worker: a file by its name, one line of JSON and samples on standard output."""
    _limit()
    header: dict[str, Any] = {"problem": ""}
    samples = np.zeros(0, dtype=np.float32)
    try:
        samples, properties = _read(sys.argv[1])
        header |= properties
    except BadSound as error:
        header["problem"] = str(error)
    except Exception as error:  # whatever a decoder makes of a bad file
        reason = " ".join(str(error).split()).split(": ")[-1].rstrip(".") or type(error).__name__
        header["problem"] = f"The file cannot be read as sound ({reason}). WAV, FLAC, OGG, MP3, AIFF and AU are read."
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + samples.astype("<f4").tobytes())


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    _work()
