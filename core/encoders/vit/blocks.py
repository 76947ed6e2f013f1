"""Transformer blocks of the vision transformers whose weights are read from their authors' files."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from core.encoders.nano import Mlp

HEAD_WIDTH = 64
"""Of every ViT read here: files do not tell it."""


class Attention(nn.Module):
    """Multi-head self-attention, heads of width 64."""

    def __init__(self, width: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.n_heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        """``x`` (rows, tokens, width); ``attended`` bool, (rows, 1, 1, tokens), True for keys to attend to."""
        q, k, v = self.qkv(x).unflatten(2, (3, -1, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)  # (rows, heads, tokens, 64)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attended)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, mlp_width: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, mlp_width)  # exact GELU

    def forward(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), attended)
        return x + self.mlp(self.norm2(x))


class PostNormBlock(Block):
    """The same parts, each norm behind its residual sum (data2vec 2.0)."""

    def forward(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        x = self.norm1(x + self.attn(x, attended))
        return self.norm2(x + self.mlp(x))


def block_shapes(width: int, mlp_width: int, n_layers: int, qkv_bias: bool = True) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of ``n_layers`` blocks, ``blocks.0.`` and so on, as timm and others name them."""
    linears = {"attn.qkv": (3 * width, width), "attn.proj": (width, width),
               "mlp.fc1": (mlp_width, width), "mlp.fc2": (width, mlp_width)}  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(n_layers):
        for name in ("norm1", "norm2"):
            shapes |= {f"blocks.{i}.{name}.weight": (width,), f"blocks.{i}.{name}.bias": (width,)}
        for name, (n_out, n_in) in linears.items():
            shapes |= {f"blocks.{i}.{name}.weight": (n_out, n_in), f"blocks.{i}.{name}.bias": (n_out,)}
        if not qkv_bias:
            del shapes[f"blocks.{i}.attn.qkv.bias"]
    return shapes
