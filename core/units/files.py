"""Units as found once, kept beside the store: every later run sees the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from core.encoders.base import Encoder
from core.errors import InputError
from core.files import is_plain_file, write_whole
from core.units.encoder import Code, StreamPlace, UnitEncoder, head_places, linear_code
from core.units.sae import Design, SparseCode
from core.units.twins import Twins
from core.untrusted_text import as_file_name

FORMAT = 2


def path_of(files: Path, encoder: Encoder, kind: str) -> Path:
    """Where the units of a kind lie."""
    return files / "units" / as_file_name(encoder.name) / f"{kind}.safetensors"


def write(path: Path, units: UnitEncoder, facts: Mapping[str, object], twins: Mapping[int, Twins]) -> None:
    """Keep units, with what they were found on, and how they match those of another seed, by layer."""
    tensors = {f"thresholds.{layer}": one for layer, one in enumerate(units.thresholds or ())}
    for layer, of_layer in twins.items():
        tensors |= {f"twin_cosine.{layer}": of_layer.cosine, f"twin_mutual.{layer}": of_layer.is_mutual}
    designs = {}
    for layer, place in enumerate(units.places):
        code = place.code if isinstance(place, StreamPlace) else None
        tensors |= {f"{name}.{layer}": one for name, one in code.state_dict().items()} if code else {}
        if isinstance(code, SparseCode):
            designs[layer] = asdict(code.design)
    told = {
        "format": FORMAT,
        "encoder": units.encoder.weights_key,
        "kind": units.unit_kind,
        "designs": designs,
        "twin_null": {layer: of_layer.null_high for layer, of_layer in twins.items()},
        **facts,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save({k: v.cpu().contiguous() for k, v in tensors.items()}, {"units": json.dumps(told)}))


def read(path: Path, encoder: Encoder, kind: str) -> tuple[UnitEncoder, dict[str, Any]] | None:
    """Units that were kept, and what they were found on, with ``twins`` by layer; None where none are.

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
        of_twins = {name: tensors.pop(name) for name in list(tensors) if name.startswith("twin_")}
        told["twins"] = {
            int(n): Twins(of_twins[f"twin_cosine.{n}"], of_twins[f"twin_mutual.{n}"], float(null))
            for n, null in told["twin_null"].items()
        }
        units = _built(encoder, kind, tensors, told["designs"]) if belongs else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} is not whole ({type(error).__name__}); {anew}") from error
    if units is None:
        raise InputError(f"{path} holds units of other weights or of an older version; {anew}")
    return units, told


def _built(encoder: Encoder, kind: str, tensors: Mapping[str, Tensor], designs: Mapping[str, Any]) -> UnitEncoder:
    device, layers = encoder.device, range(encoder.n_layers)
    if kind == "head":
        return UnitEncoder(encoder, kind, head_places(encoder), [tensors[f"thresholds.{layer}"] for layer in layers])
    of_layer: list[dict[str, Tensor]] = [{} for _ in layers]
    for name, tensor in tensors.items():
        weight, _, layer = name.rpartition(".")
        of_layer[int(layer)][weight] = tensor.to(device)
    if kind == "sae":
        return sae_encoder(encoder, {int(n): SparseCode(of_layer[int(n)], Design(**one)) for n, one in designs.items()})
    thresholds = [own.pop("thresholds") for own in of_layer]
    return UnitEncoder(
        encoder, kind, [StreamPlace(linear_code(kind, own["directions"])) for own in of_layer], thresholds
    )


def sae_encoder(encoder: Encoder, codes: Mapping[int, SparseCode]) -> UnitEncoder:
    """The features of some layers' autoencoders; the other layers have no units."""
    widths = [projection.out_features for projection in encoder.projections]
    none = [Code(torch.zeros(width, 0, device=encoder.device)) for width in widths]
    places = [StreamPlace(codes.get(layer, none[layer]).to(encoder.device)) for layer in range(encoder.n_layers)]
    return UnitEncoder(encoder, "sae", places, None)
