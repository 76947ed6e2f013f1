"""A vision transformer on patches of sound, as EAT, AudioMAE and ATST-Frame have it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.encoders.vit.blocks import Block, PostNormBlock
from core.encoders.vit.encoder import PatchNetwork, patches

Shapes = dict[str, tuple[int, ...]]


class VitNetwork(PatchNetwork):
    """Patches, positions and a class token -> blocks.

    Made to hold the tensors that there are: without those of ``pre_norm`` (before the blocks), ``norm`` (behind them),
    ``pooled_norm`` (of the mean over patches) or ``class_token`` (which holds its position), it has none.

    Parameters
    ----------
    state : mapping of str to Tensor
        By the names of this class' own.
    patch : tuple of int
        Frames and mel filters.
    post_norm : bool
        Blocks with their norms behind their sums.
    """

    def __init__(
        self, state: Mapping[str, Tensor], patch: tuple[int, int], n_bands: int, post_norm: bool = False
    ) -> None:
        super().__init__()
        width, area = state["patch_embed.weight"].shape
        self.patch, self.n_bands, self.n_special = patch, n_bands, int("class_token" in state)
        # A convolution whose stride is its kernel; as a product it keeps float32 on GPUs, too.
        self.patch_embed = nn.Linear(area, width)
        self.positions = nn.Parameter(torch.empty(state["positions"].shape))
        self.class_token = nn.Parameter(torch.empty(1, 1, width)) if self.n_special else None

        def norm(name: str) -> nn.Module:
            return nn.LayerNorm(width, eps=1e-6) if f"{name}.weight" in state else nn.Identity()

        self.pre_norm, self.norm, self.pooled_norm = norm("pre_norm"), norm("norm"), norm("pooled_norm")
        kind = PostNormBlock if post_norm else Block
        mlp_width, qkv_bias = len(state["blocks.0.mlp.fc1.bias"]), "blocks.0.attn.qkv.bias" in state
        n_layers = sum(name.endswith(".norm1.weight") for name in state)
        self.blocks = nn.ModuleList(kind(width, mlp_width, qkv_bias) for _ in range(n_layers))

    def tokens(self, features: Tensor, present: Tensor) -> Tensor:
        x = self.patch_embed(patches(features, self.patch))
        x = x + self.positions[:, : x.shape[1]]
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(len(x), -1, -1).to(x.dtype), x], 1)
        return self.pre_norm(x)

    def normed(self, hidden: Tensor) -> Tensor:
        return self.norm(hidden)

    def pooled(self, mean: Tensor) -> Tensor:
        return self.pooled_norm(mean)


def vit(state: Mapping[str, Tensor], patch: tuple[int, int], n_bands: int, post_norm: bool = False) -> VitNetwork:
    """A `VitNetwork` that holds the tensors; nothing is allocated or drawn that they replace."""
    with torch.device("meta"):
        network = VitNetwork(state, patch, n_bands, post_norm)
    network.load_state_dict(dict(state), assign=True)
    return network


def layer_norm(name: str, width: int) -> Shapes:
    """Shapes of a norm's two tensors."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
