"""Encoders by name. ``load_encoder`` is the one door."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from core.datasets.base import InputError
from core.encoders import nano
from core.encoders.base import Batch, Encoder

__all__ = ["Batch", "Encoder", "known_encoders", "load_encoder"]


def known_encoders() -> dict[str, str]:
    """Encoder names and a line on each."""
    return {
        "nano-ssl": "embedded: small ViT, self-supervised on generated sound",
        "nano-sl": "embedded: the same architecture, supervised on the same sound",
        "nano-untrained": "embedded: the same architecture with random weights, to compare with",
    }


def load_encoder(name: str, weights: str | Path | None = None, device: str = "cpu") -> Encoder:
    """Load an encoder by name.

    Parameters
    ----------
    name : str
        One of `known_encoders`.
    weights : path, optional
        A checkpoint, for encoders that need one, or in place of the embedded weights.
    device : str
        A torch device.

    Raises
    ------
    InputError
        If the name is unknown (names the nearest) or the weights do not fit.
    """
    if name == "nano-untrained":
        return nano.untrained(device=device)
    if name in nano.NAMES:
        try:
            return nano.load(name, Path(weights) if weights else None, device)
        except ValueError as error:
            raise InputError(str(error)) from error
    near = get_close_matches(name, known_encoders(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known_encoders())}"
    raise InputError(f"unknown model '{name}'; {hint} (--list shows all)")
