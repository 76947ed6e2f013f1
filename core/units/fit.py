"""Units of an encoder, found on drawn tokens: directions of its stream, and the values above which each is active."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.encoders.base import Encoder
from core.units.encoder import StreamPlace, UnitEncoder, head_places, linear_code
from core.units.kinds import LOW, PERCENT
from core.units.sample import Sample


def fit(encoder: Encoder, kind: str, sample: Sample, seed: int) -> UnitEncoder:
    """Units of a kind that needs no training: ``residual``, ``random``, ``pca``, each with its sign turned, ``head``.

    Parameters
    ----------
    sample : Sample
        Of the encoder; for ``head`` with heads.
    seed : int
        Of random rotations; layers have different ones.
    """
    if kind == "head":
        return UnitEncoder(encoder, kind, head_places(encoder), [_percentile(lengths) for lengths in sample.heads])
    directions = all_directions(kind, sample, seed)
    thresholds = [_percentile(stream @ each) for stream, each in zip(sample.stream, directions, strict=True)]
    places = [StreamPlace(linear_code(kind, each.to(encoder.device))) for each in directions]
    return UnitEncoder(encoder, kind, places, thresholds)


def all_directions(kind: str, sample: Sample, seed: int) -> list[Tensor]:
    """Directions of every layer, units as columns, each (width, width)."""
    name, low, _ = kind.partition(LOW)
    directions = [_directions(name, stream, layer, seed) for layer, stream in enumerate(sample.stream)]
    return [-each if low else each for each in directions]


def _percentile(values: Tensor) -> Tensor:
    """Of each unit's own values, (n_tokens, n_units) to (n_units,)."""
    return torch.from_numpy(np.percentile(values.numpy(), PERCENT, axis=0).astype(np.float32))


def _directions(name: str, stream: Tensor, layer: int, seed: int) -> Tensor:
    """An orthogonal matrix, a unit a column, (width, width)."""
    width = stream.shape[1]
    if name == "residual":
        return torch.eye(width)
    if name == "random":
        drawn = np.random.default_rng([seed, layer, width]).standard_normal((width, width))
        rotation, triangle = np.linalg.qr(drawn)
        return torch.from_numpy((rotation * np.sign(np.diag(triangle))).astype(np.float32))  # uniform (Mezzadri 2007)
    assert name == "pca", name
    _, vectors = np.linalg.eigh(np.cov(stream.numpy(), rowvar=False, dtype=np.float64))
    vectors = vectors[:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    return torch.from_numpy((vectors * np.sign(vectors[largest, np.arange(width)])).astype(np.float32))
