"""Sparse autoencoders from files: SAELens' folder, or one safetensors file of two linear layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.encoders.base import Encoder
from core.errors import InputError
from core.files import is_plain_file
from core.units.sae import ARCHITECTURES, NORMALISATIONS, SHAPES, Design, SparseCode
from core.untrusted_text import quoted

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
_MOST_CONFIG = 1 << 20  # bytes
_PLAIN = {
    "encoder.weight": ("W_enc", True), "encoder.bias": ("b_enc", False), "decoder.weight": ("W_dec", True),
    "decoder.bias": ("b_dec", False),
}  # fmt: skip
"""Names of two linear layers, what they are here, and whether they lie turned around (PyTorch's `Linear`)."""


def read_sae(path: Path, encoder: Encoder, layer: int) -> SparseCode:
    """An autoencoder of a layer's output, on the encoder's device; nothing in a file is run.

    Parameters
    ----------
    path : Path
        A folder of SAELens (``cfg.json`` and ``sae_weights.safetensors``), or a ``.safetensors`` file that holds
        ``encoder.weight``, ``encoder.bias``, ``decoder.weight`` and ``decoder.bias`` of two `torch.nn.Linear`, or
        SAELens' names; its metadata may say ``k``, then only the k highest features of a token are kept.
    layer : int
        From 0; told in errors.

    Raises
    ------
    InputError
        If files are missing, broken, of another design, or of another width than the stream.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not is_plain_file(file):
        raise InputError(f"--sae {layer}={quoted(str(path))}: no {WEIGHTS} beside a {CONFIG}, and no .safetensors file")
    try:
        with safe_open(file, framework="pt") as opened:
            said = {**(opened.metadata() or {}), **_config(path)}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
        weights = _named(tensors)
        design = _design(said, weights)
        _check(weights, design, encoder.projections[layer].out_features)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(
            f"--sae {layer}={quoted(str(path))}: {told or type(error).__name__}; expected "
            "SAELens' folder or a .safetensors file with encoder and decoder weights"
        ) from error
    return SparseCode(weights, design).to(encoder.device)


def _config(path: Path) -> dict[str, Any]:
    file = path / CONFIG
    if not (path.is_dir() and is_plain_file(file)):
        return {}
    if file.stat().st_size > _MOST_CONFIG:
        raise ValueError(f"{CONFIG} is too large to be one")
    said = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(said, dict):
        raise ValueError(f"{CONFIG} is no JSON object")
    return said


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under SAELens' names; a missing bias is 0."""
    weights = {
        _PLAIN[name][0] if name in _PLAIN else name: tensor.T if _PLAIN.get(name, ("", False))[1] else tensor
        for name, tensor in tensors.items()
    }
    if "W_enc" not in weights and "W_dec" in weights:
        raise ValueError("has a decoder, but no encoder")
    if "W_dec" not in weights:
        raise ValueError(f"holds {', '.join(sorted(tensors)[:6]) or 'nothing'}; expected W_enc and W_dec")
    weights.setdefault("b_dec", weights["W_dec"].new_zeros(weights["W_dec"].shape[-1]))
    if "b_gate" not in weights:
        weights.setdefault("b_enc", weights["W_dec"].new_zeros(len(weights["W_dec"])))
    return weights


def _design(said: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Design:
    """From what a configuration says, in SAELens' words of versions before 6 and since."""
    kwargs = said.get("activation_fn_kwargs")
    k = int(said.get("k") or (kwargs.get("k", 0) if isinstance(kwargs, dict) else 0))
    is_topk = k > 0 and said.get("activation_fn", said.get("activation_fn_str", "topk")) == "topk"
    architecture = str(said.get("architecture") or ("topk" if is_topk else "standard"))
    if architecture == "standard" and is_topk:
        architecture = "topk"
    if architecture not in ARCHITECTURES:
        raise ValueError(f"its architecture is {architecture}; expected {', '.join(ARCHITECTURES)}")
    if architecture == "topk" and k < 1:
        raise ValueError("is topk without a k")
    normalisation = str(said.get("normalize_activations") or "none")
    if normalisation not in NORMALISATIONS:
        raise ValueError(
            f"normalize_activations is {normalisation}; fold its factor into the weights "
            f"(fold_activation_norm_scaling_factor), or train with one of {', '.join(NORMALISATIONS)}"
        )
    if said.get("reshape_activations", "none") != "none":
        raise ValueError("is of attention heads; expected one of a block's output")
    missing = [name for name in SHAPES[architecture] if name not in weights]
    if missing:
        raise ValueError(f"is {architecture} without {', '.join(missing)}")
    return Design(architecture, k, bool(said.get("apply_b_dec_to_input", True)), normalisation)


def _check(weights: Mapping[str, Tensor], design: Design, width: int) -> None:
    n_features = len(weights["W_dec"])
    sizes = {"d": width, "n": n_features}
    for name, letters in SHAPES[design.architecture].items():
        expected = tuple(sizes[letter] for letter in letters)
        if tuple(weights[name].shape) != expected:
            raise ValueError(
                f"{name} is {' x '.join(map(str, weights[name].shape))}; expected {' x '.join(map(str, expected))}, "
                f"a stream of {width}"
            )
