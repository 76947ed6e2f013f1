"""Dataset x encoder -> per clip and neuron counts of positive tokens, beside the store.

One forward pass a clip. What it gives lies memory-mapped in a folder of its own, keyed by the
weights, the audio and the settings:

``positive.npy``    smallest unsigned integer that holds a clip's tokens, (n_clips, n_neurons)
``total.npy``       float32, sum of activations over the counted tokens, (n_clips, n_neurons)
``tokens.npy``      int32, counted tokens, (n_clips,)
``embeddings.npy``  float32, (n_clips, n_features)
``sums.npy``        uint32, checksums of each clip's rows (`core.recording.checksums`), (n_clips, 4)
``done.npy``        uint8, 1 where the clip's rows are complete, (n_clips,)

A row is marked done only after it was written, so a run that was killed goes on where it stood.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray

from core.datasets import audio
from core.datasets import readers as reading
from core.datasets.base import InputError
from core.datasets.scan import Scan, is_unchanged
from core.encoders.base import Encoder, Padding
from core.encoders.device import no_memory, out_of_memory
from core.encoders.hooks import Counts, record
from core.recording import checksums

FORMAT = 1
"""Raised when what is written here changes meaning, so that old files are not taken for new."""

_READ_AHEAD = 2
"""Batches that are read while one is worked on."""

T = TypeVar("T")
Waveforms = list[NDArray[np.float32]]
Result = tuple[NDArray[np.int64], Counts, torch.Tensor]
"""Rows, what their pass counted, their embeddings."""


@dataclass(frozen=True)
class Activations:
    """The stored matrices of one encoder on one dataset; clips in the dataset's order."""

    folder: Path
    positive: NDArray[np.unsignedinteger]
    total: NDArray[np.float32]
    tokens: NDArray[np.int32]
    embeddings: NDArray[np.float32]
    done: NDArray[np.uint8]
    sums: NDArray[np.uint32] = field(default_factory=lambda: np.zeros((0, len(checksums.MATRICES)), dtype=np.uint32))

    @property
    def complete(self) -> bool:
        return bool(self.done.all())


def key(encoder: Encoder, scan: Scan, padding: Padding, precision: str) -> str:
    """What the matrices depend on, as a hash."""
    facts = [FORMAT, encoder.weights_key, encoder.layer_widths, scan.audio_key, padding, precision]
    if scan.unit_seconds:
        facts += [scan.unit_seconds, [clip.split for clip in scan.dataset.clips]]  # the split tells where a crop starts
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def open_activations(encoder: Encoder, scan: Scan, store_files: Path, padding: Padding, precision: str) -> Activations:
    """Open the matrices, making them where they are not there yet.

    Disk space is reserved at once: writing to a map whose disk is full would kill the process.
    If one of the files is gone or damaged, the rows count as not done.

    Raises
    ------
    OSError
        If there is no room or no permission.
    """
    folder = folder_of(encoder, scan, store_files, padding, precision)
    folder.mkdir(parents=True, exist_ok=True)
    shapes = shapes_of(encoder, scan, padding)
    if not all(is_whole(folder / f"{name}.npy", *shape) for name, shape in shapes.items()):
        (folder / "done.npy").unlink(missing_ok=True)
    maps = {name: open_map(folder / f"{name}.npy", *shape) for name, shape in shapes.items()}
    of_sums = folder / "sums.npy", (len(maps["done"]), len(checksums.MATRICES)), np.uint32
    if maps["done"].any() and not is_whole(*of_sums):
        checksums.write_anew(of_sums[0], Activations(folder, **maps))
    return Activations(folder, **maps, sums=open_map(*of_sums))


def folder_of(encoder: Encoder, scan: Scan, store_files: Path, padding: Padding, precision: str) -> Path:
    """Where the matrices lie."""
    name = f"{scan.dataset.name}-{key(encoder, scan, padding, precision)[:12]}"
    return store_files / "activations" / re.sub(r"[^\w.-]", "_", encoder.name) / name


def shapes_of(encoder: Encoder, scan: Scan, padding: Padding) -> dict[str, tuple[tuple[int, ...], DTypeLike]]:
    """Shape and type of each matrix, by its name; counts in the smallest type that holds the longest clip's."""
    n_clips = len(scan.dataset.clips)
    return {
        "positive": ((n_clips, encoder.n_neurons), np.min_scalar_type(most_tokens(encoder, scan, padding))),
        "total": ((n_clips, encoder.n_neurons), np.float32),
        "tokens": ((n_clips,), np.int32),
        "embeddings": ((n_clips, encoder.n_features), np.float32),
        "done": ((n_clips,), np.uint8),
    }


def reopen(folder: Path) -> Activations:
    """Matrices that another process made.

    Raises
    ------
    InputError
        If they are not there.
    """
    try:
        maps = {part.name: open_memmap(folder / f"{part.name}.npy", mode="r+") for part in fields(Activations)[1:]}
    except OSError as error:
        raise InputError(
            f"{platform.node()} does not see {error.filename}, which rank 0 has made; "
            "expected a folder that all machines share: give --db a path on such a file system"
        ) from error
    return Activations(folder, **maps)


def is_whole(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> bool:
    try:
        stored = open_memmap(path, mode="r")
    except (OSError, ValueError):
        return False
    return stored.shape == shape and stored.dtype == dtype


def open_map(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap:
    if not is_whole(path, shape, dtype):
        part = path.with_suffix(".part")
        try:
            open_memmap(part, mode="w+", dtype=dtype, shape=shape).flush()
            _reserve(part)
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            size = n_bytes(shape, dtype) / 1e6
            raise OSError(error.errno, f"{error.strerror}, {size:,.1f} MB needed in one file", str(path)) from error
    return open_memmap(path, mode="r+")


def _reserve(path: Path) -> None:
    """Give every byte of a file its place on the disk; what the file holds so far must be zeros at the end."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        file.seek(min(size, 4096))  # macOS: write the zeros that follow the header
        for start in range(file.tell(), size, 1 << 20):
            file.write(bytes(min(1 << 20, size - start)))


def n_bytes(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    """Size of an array."""
    return np.dtype(dtype).itemsize * math.prod(shape)


def most_tokens(encoder: Encoder, scan: Scan, padding: Padding) -> int:
    """Tokens of the longest clip."""
    n_samples = int(np.ceil(scan.longest * encoder.sample_rate)) + 1
    batch = encoder.prepare([np.zeros(n_samples, dtype=np.float32)], padding)
    return int(batch.counted.sum())


def extract(
    encoder: Encoder,
    scan: Scan,
    activations: Activations,
    batch_size: int,
    padding: Padding = "exclude",
    precision: str = "float32",
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
    batches: Sequence[NDArray[np.int64]] | None = None,
) -> None:
    """Fill the rows that are not done yet.

    Parameters
    ----------
    batch_size : int
        Clips in one forward pass.
    precision : str
        ``float32`` or ``bfloat16`` (autocast).
    progress : callable, optional
        Called with the number of clips done so far.
    batches : sequence of ndarray, optional
        Some of `missing_batches`, where other processes fill the others.
    """
    batches = missing_batches(activations, batch_size) if batches is None else batches
    n_done = len(activations.done) - sum(map(len, batches))
    if progress:
        progress(n_done)
    waveforms = read_ahead(scan, batches, encoder.sample_rate, workers)
    for n in fill(encoder, activations, zip(batches, waveforms, strict=True), padding, precision):
        n_done += n
        if progress:
            progress(n_done)


def missing_batches(activations: Activations, batch_size: int) -> list[NDArray[np.int64]]:
    """Batches with a row that is not done yet, each whole.

    So a clip always meets the same others: what they are can change the last bits of its results.
    """
    n_clips = len(activations.done)
    every = (np.arange(i, min(i + batch_size, n_clips)) for i in range(0, n_clips, batch_size))
    return [batch for batch in every if not activations.done[batch].all()]


def fill(
    encoder: Encoder,
    activations: Activations,
    batches: Iterable[tuple[NDArray[np.int64], Waveforms]],
    padding: Padding = "exclude",
    precision: str = "float32",
) -> Iterator[int]:
    """Pass batches (rows, waveforms) through the encoder into the matrices; tells of how many clips, as it goes."""
    waiting: list[Result] = []
    try:
        for index, waveforms in batches:
            ready, waiting = waiting, list(_passes(encoder, index, waveforms, padding, precision))
            # On a GPU the passes above still run while the results of the batch before them are written.
            if encoder.device.type == "cpu":
                ready, waiting = waiting, []
            if ready:
                yield _write(activations, ready)
    finally:  # an error in one batch loses no other
        n_last = _write(activations, waiting)
    if n_last:
        yield n_last
    for name in (*checksums.MATRICES, "sums", "done"):
        cast(np.memmap, getattr(activations, name)).flush()


def _passes(
    encoder: Encoder, index: NDArray[np.int64], waveforms: Waveforms, padding: Padding, precision: str
) -> Iterator[Result]:
    """Forward passes over a batch of clips, counted."""

    def once(index: NDArray[np.int64], waveforms: Waveforms) -> Result:
        batch = encoder.prepare(waveforms, padding)
        with torch.inference_mode(), autocast(encoder, precision), record(encoder, batch) as counts:
            return index, counts, encoder.forward(batch)

    return in_halves(encoder, index, waveforms, once)


def in_halves(
    encoder: Encoder,
    index: NDArray[np.int64],
    waveforms: Waveforms,
    once: Callable[[NDArray[np.int64], Waveforms], T],
) -> Iterator[T]:
    """What one pass over a batch gives if it fits into memory, else what passes over its halves give."""
    try:
        yield once(index, waveforms)
        return
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        if len(waveforms) == 1:
            raise no_memory(encoder, waveforms[0]) from error
    if encoder.device.type == "cuda":
        torch.cuda.empty_cache()
    half = len(waveforms) // 2
    yield from in_halves(encoder, index[:half], waveforms[:half], once)
    yield from in_halves(encoder, index[half:], waveforms[half:], once)


def _write(activations: Activations, results: Sequence[Result]) -> int:
    """Store what passes gave; returns of how many clips."""
    for index, counts, embeddings in results:
        activations.done[index] = 0  # a row that is written again is not done meanwhile
        for column, values in enumerate((counts.positive, counts.total, counts.tokens, embeddings.float())):
            matrix = getattr(activations, checksums.MATRICES[column])
            rows = values.cpu().numpy().astype(matrix.dtype, copy=False)
            matrix[index] = rows
            activations.sums[index, column] = checksums.of_rows(index, rows)
        activations.done[index] = 1
    return sum(len(index) for index, _, _ in results)


@torch.inference_mode()
def changed_by_precision(encoder: Encoder, scan: Scan, padding: Padding, precision: str, n_clips: int = 32) -> str:
    """How many counts of a few clips differ from those in float32, in words."""
    some = np.linspace(0, len(scan.dataset.clips) - 1, min(n_clips, len(scan.dataset.clips))).astype(np.int64)
    (waveforms,) = read_ahead(scan, [some], encoder.sample_rate, 2)
    positive = []
    for each in ("float32", precision):
        passes = _passes(encoder, some, waveforms, padding, each)
        positive.append(torch.cat([counts.positive for _, counts, _ in passes]))
    differ = (positive[0] != positive[1]).float().mean().item()
    moved = (positive[0] - positive[1]).abs().sum().item() / max(positive[0].sum().item(), 1)
    return (
        f"{scan.dataset.name}: in {precision} {differ:.1%} of the counts of {len(some)} clips differ from float32, "
        f"by {moved:.2%} of all positive tokens"
    )


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
        raise audio.BadAudio(f"{root / paths[i]} {reading.too_long(sizes[i])}; {again}")

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

    with reading.Readers(workers) as readers:

        def begin(batch: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
            return readers.map(read, batch, lambda i: reading.seconds_for(sizes[i]), late)

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


def autocast(encoder: Encoder, precision: str) -> torch.autocast:
    """Autocast to bfloat16 where asked for, else nothing."""
    return torch.autocast(encoder.device.type, torch.bfloat16, enabled=precision == "bfloat16")
