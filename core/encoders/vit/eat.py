"""EAT: data2vec 2.0 on patches of sound, a ViT with its norms behind the sums.

Written from the papers and the names in the published files; none of the authors' code is part of this project.
Source: Chen et al., "EAT: Self-Supervised Pre-Training with Efficient Audio Transformer" (IJCAI 2024), repository
cwx-worst-one/EAT; Baevski et al., "Efficient Self-supervised Learning with Contextualized Target Representations for
Vision, Speech and Language" (ICML 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from core.encoders.vit.blocks import block_shapes
from core.encoders.vit.encoder import PatchEncoder, describe
from core.encoders.vit.filter_bank import CHUNK_FRAMES, KaldiFrontEnd, bands_of
from core.encoders.vit.network import Shapes, layer_norm, vit
from core.encoders.vit.state import Naming, WeightsFile, head_note, n_blocks, reading, size, taken, within

NORM = (-4.268, 4.569)
"""Mean and standard deviation of the levels, of AudioSet."""

_BESIDE = ("shared_decoder.", "recon_proj.", "cls_proj.", "center", "head.", "fc_norm.")
FAIRSEQ = Naming(
    "an EAT encoder",
    {
        "patch_embed": "modality_encoders.IMAGE.local_encoder.proj",
        "positions": "modality_encoders.IMAGE.fixed_positional_encoder.positions",
        "class_token": "modality_encoders.IMAGE.extra_tokens",
        "pre_norm": "modality_encoders.IMAGE.context_encoder.norm",
    },
    ("modality_encoders.IMAGE.decoder.", "modality_encoders.IMAGE.encoder_mask", *_BESIDE),
    ("blocks.", "norm.", "modality_encoders."),
)
HUGGING_FACE = Naming(
    "an EAT encoder",
    {
        "patch_embed": "local_encoder.proj",
        "positions": "fixed_positional_encoder.positions",
        "class_token": "extra_tokens",
        "pre_norm": "pre_norm",
    },
    _BESIDE,
    ("blocks.", "norm.", "local_encoder.", "extra_tokens", "pre_norm."),
)


class EatEncoder(PatchEncoder):
    """EAT on chunks of up to 10.24 s.

    The embedding is the mean over patch tokens; a fine-tuned network's own head reads the class token instead.
    """

    licence = "MIT (cwx-worst-one/EAT)"


def load(weights: Path | None, device: str = "cpu") -> EatEncoder:
    """Load EAT: a fairseq ``.pt`` file, self-supervised or fine-tuned, or a Hugging Face folder's safetensors.

    Raises
    ------
    InputError
        If there is no such file, or it holds no EAT encoder.
    """
    with reading(weights, "eat", "an EAT checkpoint") as file:
        state, patch, notes = _read(file)
        n_bands = bands_of(patch, state["positions"].shape[1], file.source.shown, "an EAT encoder")
        name, sha256 = file.name, file.sha256
    columns = min(CHUNK_FRAMES // patch[0], state["positions"].shape[1] // n_bands)
    front_end = KaldiFrontEnd("hann", NORM, patch[0], columns, device)
    encoder = EatEncoder(vit(state, patch, n_bands, post_norm=True).to(device), front_end, name, sha256)
    encoder.description = describe(encoder, "EAT", notes)
    return encoder


def _read(file: WeightsFile) -> tuple[dict[str, Tensor], tuple[int, int], list[str]]:
    """The tensors by the names of `core.encoders.vit.network.VitNetwork`, the patch, and notes."""
    prefix, naming = next(
        (
            (prefix, naming)
            for prefix in ("", "model.", "model.model.")
            for naming in (FAIRSEQ, HUGGING_FACE)
            if f"{prefix}{naming.own['patch_embed']}.weight" in file.tensors
        ),
        ("", FAIRSEQ),
    )
    inside = within(file, prefix)
    state, notes = taken(inside, _shapes(inside, naming.own), naming, file.source.shown)
    if prefix:  # fairseq's head is outside
        notes = head_note(file.tensors, "head.weight") + notes
    frames, bands = state["patch_embed.weight"].shape[2:]
    state["patch_embed.weight"] = state["patch_embed.weight"].flatten(1)
    return state, (frames, bands), notes


def _shapes(inside: Mapping[str, Tensor], names: Mapping[str, str]) -> Shapes:
    """Name and shape of every tensor of an encoder of these sizes."""
    kernel = inside.get(f"{names['patch_embed']}.weight")
    width = size(kernel, 4, 0)
    return {
        f"{names['patch_embed']}.weight": (width, 1, size(kernel, 4, 2), size(kernel, 4, 3)),
        f"{names['patch_embed']}.bias": (width,),
        names["positions"]: (1, size(inside.get(names["positions"]), 3, 1), width),
        names["class_token"]: (1, 1, width),
        **layer_norm(names["pre_norm"], width),
        **block_shapes(width, size(inside.get("blocks.0.mlp.fc1.weight"), 2, 0), n_blocks(list(inside), width)),
    }
