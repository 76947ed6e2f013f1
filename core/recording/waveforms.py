"""Waveforms of batches of clips, read ahead of the model."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.datasets import audio
from core.datasets.readers import Readers, seconds_for, too_long
from core.datasets.scan import Scan, is_unchanged

_READ_AHEAD = 2
"""Batches that are read while one is worked on."""
Waveforms = list[NDArray[np.float32]]


def read_ahead(scan: Scan, batches: Sequence[NDArray[np.int64]], sample_rate: int, workers: int) -> Iterator[Waveforms]:
    """Waveforms of each batch of clips; the next batches are read while one is worked on.

    Raises
    ------
    BadAudio
        If a file is no longer what the scan found, or takes too long to read; names it.
    """
    root = scan.dataset.root
    paths, sizes, times = (scan.files[column].to_numpy() for column in ("path", "size", "mtime_ns"))
    again = "run the same command again to go on with the files as they are now"

    def late(i: int) -> NDArray[np.float32]:
        scan.look_again(str(paths[i]))
        raise audio.BadAudio(f"{root / paths[i]} {too_long(sizes[i])}; {again}")

    def read(i: int) -> NDArray[np.float32]:
        path, size, mtime_ns = str(paths[i]), int(sizes[i]), int(times[i])
        try:
            waveform = audio.load(root / path, sample_rate)
        except audio.BadAudio as error:
            scan.look_again(path)
            raise audio.BadAudio(f"{root / path} was readable when the run began: {error}; {again}") from error
        if not is_unchanged(root, path, size, mtime_ns):
            raise audio.BadAudio(f"{root / path} was changed while the run read it; {again}")
        if scan.unit_seconds:
            return unit_length(waveform, round(scan.unit_seconds * sample_rate), path, scan.dataset.clips[i].split)
        return waveform

    with Readers(workers) as readers:

        def begin(batch: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
            return readers.map(read, batch, lambda i: seconds_for(sizes[i]), late)

        ahead = deque(begin(batch) for batch in batches[:_READ_AHEAD])
        for number in range(len(batches)):
            current = list(ahead.popleft())
            ahead.extend(begin(batch) for batch in batches[number + _READ_AHEAD :][:1])
            yield current


def unit_length(waveform: NDArray[np.float32], n_samples: int, path: str, split: str) -> NDArray[np.float32]:
    """Crop or fill with zeros as EVAR does: train and valid clips from a random start, others from theirs.

    The start depends on the path alone, so that every run hears the same.
    """
    spare = len(waveform) - n_samples
    if spare <= 0:
        return np.pad(waveform, (0, -spare))
    number = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big")
    start = number % (spare + 1) if split in ("train", "valid") else 0
    return waveform[start : start + n_samples]
