"""Dataset x encoder -> per clip and neuron counts of positive tokens, beside the store.

One forward pass a clip. What it gives lies memory-mapped in a folder of its own, keyed by the
weights, the audio and the settings:

``positive.npy``    smallest unsigned integer that holds a clip's tokens, (n_clips, n_neurons)
``total.npy``       float32, sum of activations over the counted tokens, (n_clips, n_neurons)
``tokens.npy``      int32, counted tokens, (n_clips,)
``embeddings.npy``  float32, (n_clips, n_features)
``layers.npy``      float32, with ``--probe-layers``: the pooled hidden state before the first block and after each, one
                    beside the other, (n_clips, sum of `core.encoders.base.Encoder.stream_widths`)
``sums.npy``        uint32, checksums of each clip's rows (`core.recording.checksums`), (n_clips, n_matrices)
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
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray

from core.datasets.scan import Scan
from core.encoders.base import Encoder, Padding
from core.errors import InputError
from core.files import BYTES_AT_ONCE
from core.untrusted_text import as_file_name

MATRICES = ("positive", "total", "tokens", "embeddings")
LAYERS = "layers"

FORMAT = 1
"""Raised when what is written here changes meaning, so that old files are not taken for new."""


@dataclass(frozen=True)
class Activations:
    """The stored matrices of one encoder on one dataset; clips in the dataset's order.

    ``of_clips`` is what was found of some clips without their labels, for the next task that chooses the same
    (`core.scoring.counts.found_of`).
    """

    folder: Path
    positive: NDArray[np.unsignedinteger]
    total: NDArray[np.float32]
    tokens: NDArray[np.int32]
    embeddings: NDArray[np.float32]
    done: NDArray[np.uint8]
    sums: NDArray[np.uint32] = field(default_factory=lambda: np.zeros((0, len(MATRICES)), dtype=np.uint32))
    layers: NDArray[np.float32] | None = None
    of_clips: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of those that have a row a clip and a checksum a row."""
        return MATRICES if self.layers is None else (*MATRICES, LAYERS)

    @property
    def complete(self) -> bool:
        return bool(self.done.all())


class Recorded(Protocol):
    """What tells whose matrices they are: an `Encoder`, or what the store keeps of one (`core.results.ModelRecord`)."""

    @property
    def name(self) -> str: ...
    @property
    def weights_key(self) -> str: ...
    @property
    def layer_widths(self) -> tuple[int, ...]: ...


def key(encoder: Recorded, scan: Scan, padding: Padding, precision: str) -> str:
    """What the matrices depend on, as a hash."""
    facts = [FORMAT, encoder.weights_key, encoder.layer_widths, scan.audio_key, padding, precision]
    if scan.unit_seconds:
        facts += [scan.unit_seconds, [clip.split for clip in scan.dataset.clips]]  # the split tells where a crop starts
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def open_activations(
    encoder: Encoder, scan: Scan, store_files: Path, padding: Padding, precision: str, with_layers: bool = False
) -> Activations:
    """Open the matrices, making them where they are not there yet.

    With ``with_layers`` the pooled output of every layer is among them; where it was not so far, no row is done. Once
    there, it stays among them.

    Disk space is reserved at once: writing to a map whose disk is full would kill the process.
    If one of the files is gone or damaged, the rows count as not done. Matrices of older code come without
    checksums: `core.recording.checksums.with_sums` adds them.

    Raises
    ------
    OSError
        If there is no room or no permission.
    """
    folder = folder_of(encoder, scan, store_files, padding, precision)
    folder.mkdir(parents=True, exist_ok=True)
    has_layers = (folder / f"{LAYERS}.npy").exists()
    shapes = shapes_of(encoder, scan, padding, with_layers or has_layers)
    of_sums = folder / "sums.npy", (shapes["done"][0][0], len(shapes) - 1), np.uint32
    if with_layers and not has_layers and (folder / "sums.npy").exists():
        os.replace(folder / "sums.npy", folder / "before.npy")  # what comes out otherwise now is told apart by them
    if not all(is_whole(folder / f"{name}.npy", *shape) for name, shape in shapes.items()):
        (folder / "done.npy").unlink(missing_ok=True)
    maps = {name: open_map(folder / f"{name}.npy", *shape) for name, shape in shapes.items()}
    if maps["done"].any() and not is_whole(*of_sums):
        return Activations(folder, **maps)
    return Activations(folder, **maps, sums=open_map(*of_sums))


def folder_of(encoder: Recorded, scan: Scan, store_files: Path, padding: Padding, precision: str) -> Path:
    """Where the matrices lie."""
    name = f"{as_file_name(scan.dataset.name)}-{key(encoder, scan, padding, precision)[:12]}"
    return store_files / "activations" / re.sub(r"[^\w.-]", "_", encoder.name) / name


def lacks_layers(folder: Path) -> bool:
    """Whether clips were recorded there without the pooled output of every layer."""
    return (folder / "done.npy").exists() and not (folder / f"{LAYERS}.npy").exists()


def shapes_of(
    encoder: Encoder, scan: Scan, padding: Padding, with_layers: bool = False
) -> dict[str, tuple[tuple[int, ...], DTypeLike]]:
    """Shape and type of each matrix, by its name; counts in the smallest type that holds the longest clip's."""
    n_clips = len(scan.dataset.clips)
    layers = {LAYERS: ((n_clips, sum(encoder.stream_widths)), np.float32)} if with_layers else {}
    return {
        "positive": ((n_clips, encoder.n_neurons), np.min_scalar_type(most_tokens(encoder, scan, padding))),
        "total": ((n_clips, encoder.n_neurons), np.float32),
        "tokens": ((n_clips,), np.int32),
        "embeddings": ((n_clips, encoder.n_features), np.float32),
        **layers,
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
        names = [part.name for part in fields(Activations)[1:] if part.init]
        names = [name for name in names if name != LAYERS or (folder / f"{LAYERS}.npy").exists()]
        maps = {name: open_memmap(folder / f"{name}.npy", mode="r+") for name in names}
    except OSError as error:
        raise InputError(
            f"{platform.node()} does not see {error.filename}, which rank 0 has made; "
            "expected a folder that all machines share: give --db a path on such a file system"
        ) from error
    return Activations(folder, **maps)


def recorded(model: Recorded, scan: Scan, store_files: Path, padding: Padding, precision: str) -> Activations | None:
    """Matrices that lie beside the store; None where they are not there, or not of all clips."""
    try:
        found = reopen(folder_of(model, scan, store_files, padding, precision))
    except (InputError, ValueError):
        return None
    return found if found.complete else None


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


def done_rows(activations: Activations, name: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.generic]]]:
    """Rows that are done and where they are, some at a time; read, not mapped, so that memory stays small."""
    matrix = cast(np.memmap, getattr(activations, name))
    matrix.flush()
    row_bytes = max(1, matrix.nbytes // max(1, len(matrix)))
    at_once = max(1, BYTES_AT_ONCE // row_bytes)
    with (activations.folder / f"{name}.npy").open("rb") as file:
        file.seek(matrix.offset)
        for start in range(0, len(matrix), at_once):
            n_rows = min(at_once, len(matrix) - start)
            rows = np.fromfile(file, matrix.dtype, n_rows * (row_bytes // matrix.itemsize)).reshape(n_rows, -1)
            done = np.flatnonzero(activations.done[start : start + n_rows])
            if len(done):
                yield start + done, rows[done] if len(done) < n_rows else rows
