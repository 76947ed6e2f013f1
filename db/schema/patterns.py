"""How a neuron's patterns over its clips are kept in one blob.

Byte 0 is the version, 1; zlib's stream follows. Unpacked, all little-endian: the number of clips (uint16); of
each clip ``clip_id`` (uint32), ``peak`` (float32), bands (uint16), columns (uint32); then, clip after clip,
bands x columns bytes, the lowest band first: activation in 255ths of the clip's peak.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

VERSION = 1
_CLIP = np.dtype([("clip_id", "<u4"), ("peak", "<f4"), ("n_bands", "<u2"), ("n_columns", "<u4")])
_LEVEL = 6

Pattern = tuple[int, float, NDArray[np.uint8]]
"""Clip id, peak, strength (n_bands, n_columns)."""


def encode(patterns: Sequence[Pattern]) -> bytes:
    """Patterns to a blob."""
    clips = np.array([(clip_id, peak, *strength.shape) for clip_id, peak, strength in patterns], dtype=_CLIP)
    parts = [np.array(len(clips), dtype="<u2").tobytes(), clips.tobytes()]
    parts += [np.ascontiguousarray(strength).tobytes() for _, _, strength in patterns]
    return bytes([VERSION]) + zlib.compress(b"".join(parts), _LEVEL)


def decode(blob: bytes) -> list[Pattern]:
    """The patterns of a blob.

    Raises
    ------
    ValueError
        If it is of another version.
    """
    if blob[:1] != bytes([VERSION]):
        raise ValueError(f"patterns of version {blob[:1].hex() or 'none'}; expected {VERSION}")
    data = zlib.decompress(blob[1:])
    clips = np.frombuffer(data, dtype=_CLIP, count=int(np.frombuffer(data, dtype="<u2", count=1)[0]), offset=2)
    patterns, start = [], 2 + clips.nbytes
    for clip in clips:
        shape = int(clip["n_bands"]), int(clip["n_columns"])
        cells = np.frombuffer(data, dtype=np.uint8, count=shape[0] * shape[1], offset=start)
        patterns.append((int(clip["clip_id"]), float(clip["peak"]), cells.reshape(shape)))
        start += cells.size
    return patterns
