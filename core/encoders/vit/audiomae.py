"""AudioMAE: a plain ViT on patches of 128 bands and 10.24 s.

Written from the paper and the names in the published files; none of the authors' code is part of this project.
Source: Huang et al., "Masked Autoencoders that Listen" (NeurIPS 2022), repository facebookresearch/AudioMAE.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from core.encoders.vit.blocks import block_shapes
from core.encoders.vit.encoder import PatchEncoder, describe
from core.encoders.vit.filter_bank import KaldiFrontEnd, bands_of
from core.encoders.vit.network import Shapes, layer_norm, vit
from core.encoders.vit.state import WRAPPERS, Naming, WeightsFile, n_blocks, reading, size, taken, within

NORM = (-4.2677393, 4.5689974)
"""Mean and standard deviation of the levels, of AudioSet."""

NAMING = Naming(
    "an AudioMAE encoder",
    {"patch_embed": "patch_embed.proj", "class_token": "cls_token", "positions": "pos_embed", "pooled_norm": "fc_norm"},
    ("mask_token", "decoder_", "head."),
    ("blocks.", "norm.", "fc_norm.", "patch_embed.", "pos_embed", "cls_token"),
)


class AudioMaeEncoder(PatchEncoder):
    """AudioMAE on chunks of as many frames as it has positions (10.24 s).

    The embedding is the mean over patch tokens: behind the last norm where the file has one (self-supervised), itself
    normed where it has that (fine-tuned).
    """

    ends_with_mlp = True
    licence = "CC BY-NC 4.0 by LICENSE of facebookresearch/AudioMAE, CC BY 4.0 by its README"


def load(weights: Path | None, device: str = "cpu") -> AudioMaeEncoder:
    """Load AudioMAE: a ``.pth`` file, self-supervised or fine-tuned, or timm's port of one.

    Raises
    ------
    InputError
        If there is no such file, or it holds no AudioMAE encoder.
    """
    with reading(weights, "audiomae", "an AudioMAE checkpoint") as file:
        state, patch, notes = _read(file)
        n_bands = bands_of(patch, state["positions"].shape[1], file.source.shown, NAMING.network)
        name, sha256 = file.name, file.sha256
    front_end = KaldiFrontEnd("hann", NORM, patch[0], state["positions"].shape[1] // n_bands, device)
    encoder = AudioMaeEncoder(vit(state, patch, n_bands).to(device), front_end, name, sha256)
    encoder.description = describe(encoder, "AudioMAE", notes)
    return encoder


def _read(file: WeightsFile) -> tuple[dict[str, Tensor], tuple[int, int], list[str]]:
    """The tensors by the names of `core.encoders.vit.network.VitNetwork`, the patch, and notes."""
    inside = within(file, next((p for p in WRAPPERS if f"{p}patch_embed.proj.weight" in file.tensors), ""))
    state, notes = taken(inside, _shapes(inside), NAMING, file.source.shown)
    table, (frames, bands) = state["positions"], state["patch_embed.weight"].shape[2:]
    state["class_token"], state["positions"] = state["class_token"] + table[:, :1], table[:, 1:].contiguous()
    state["patch_embed.weight"] = state["patch_embed.weight"].flatten(1)
    return state, (frames, bands), notes


def _shapes(inside: Mapping[str, Tensor]) -> Shapes:
    """Name and shape of every tensor of an encoder of these sizes; of its norms those that are there."""
    kernel, width = inside.get("patch_embed.proj.weight"), size(inside.get("cls_token"), 3, 2)
    norms = [name for name in ("norm", "fc_norm") if f"{name}.weight" in inside] or ["norm"]
    return {
        "cls_token": (1, 1, width),
        "pos_embed": (1, size(inside.get("pos_embed"), 3, 1), width),
        "patch_embed.proj.weight": (width, 1, size(kernel, 4, 2), size(kernel, 4, 3)),
        "patch_embed.proj.bias": (width,),
        **{key: shape for name in norms for key, shape in layer_norm(name, width).items()},
        **block_shapes(width, size(inside.get("blocks.0.mlp.fc1.weight"), 2, 0), n_blocks(list(inside), width)),
    }
