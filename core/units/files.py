"""Units as found once, kept beside the store: every later run sees the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from core.encoders.base import Encoder
from core.errors import InputError
from core.files import is_plain_file, write_whole
from core.units.encoder import Code, StreamPlace, UnitEncoder, head_places
from core.untrusted_text import as_file_name

FORMAT = 1


def path_of(files: Path, encoder: Encoder, kind: str) -> Path:
    """Where the units of a kind lie."""
    return files / "units" / as_file_name(encoder.name) / f"{kind}.safetensors"


def write(path: Path, units: UnitEncoder, facts: Mapping[str, object]) -> None:
    """Keep units, with what they were found on."""
    tensors = {
        f"directions.{layer}": place.code.directions.data
        for layer, place in enumerate(units.places)
        if isinstance(place, StreamPlace) and isinstance(place.code, Code)
    }
    tensors |= {f"thresholds.{layer}": one for layer, one in enumerate(units.thresholds or ())}
    told = {"format": FORMAT, "encoder": units.encoder.weights_key, "kind": units.unit_kind, **facts}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save({k: v.cpu().contiguous() for k, v in tensors.items()}, {"units": json.dumps(told)}))


def read(path: Path, encoder: Encoder, kind: str) -> tuple[UnitEncoder, dict[str, Any]] | None:
    """Units that were kept, and what they were found on; None where none are.

    Raises
    ------
    InputError
        If the file is of other weights, or not whole.
    """
    if not is_plain_file(path):
        return None
    anew = "move it away to find its units anew"
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})["units"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        belongs = (told["format"], told["encoder"], told["kind"]) == (FORMAT, encoder.weights_key, kind)
        units = _built(encoder, kind, tensors) if belongs else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} is not whole ({type(error).__name__}); {anew}") from error
    if units is None:
        raise InputError(f"{path} holds units of other weights or of an older version; {anew}")
    return units, told


def _built(encoder: Encoder, kind: str, tensors: Mapping[str, Tensor]) -> UnitEncoder:
    device, layers = encoder.device, range(encoder.n_layers)
    thresholds = [tensors[f"thresholds.{layer}"] for layer in layers] if "thresholds.0" in tensors else None
    if kind == "head":
        return UnitEncoder(encoder, kind, head_places(encoder), thresholds)
    codes = [Code(tensors[f"directions.{layer}"].to(device)) for layer in layers]
    return UnitEncoder(encoder, kind, [StreamPlace(code) for code in codes], thresholds)
