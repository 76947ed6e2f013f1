"""Sparse autoencoders of a block's output: what each feature is of the stream, and what it writes to it.

A feature's value is told in the stream's own units: where an autoencoder sees each token scaled to a common size, the
value is scaled back, so that value times written direction is always what the feature adds to the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ARCHITECTURES = ("standard", "topk", "jumprelu", "gated")
NORMALISATIONS = ("none", "constant_norm_rescale", "layer_norm")
_LEAST_DEVIATION = 1e-5
"""Added to a token's standard deviation by `layer_norm`, as SAELens does."""


@dataclass(frozen=True)
class Design:
    """How features are made of a token.

    Attributes
    ----------
    architecture : str
        Of `ARCHITECTURES`.
    k : int
        Features of a token that are kept; of ``topk`` alone.
    subtracts_bias : bool
        Whether the decoder's bias is taken from a token first.
    normalisation : str
        Of `NORMALISATIONS`.
    """

    architecture: str = "standard"
    k: int = 0
    subtracts_bias: bool = True
    normalisation: str = "none"


SHAPES = {
    "standard": {"W_enc": "dn", "b_enc": "n", "W_dec": "nd", "b_dec": "d"},
    "topk": {"W_enc": "dn", "b_enc": "n", "W_dec": "nd", "b_dec": "d"},
    "jumprelu": {"W_enc": "dn", "b_enc": "n", "W_dec": "nd", "b_dec": "d", "threshold": "n"},
    "gated": {"W_enc": "dn", "b_gate": "n", "r_mag": "n", "b_mag": "n", "W_dec": "nd", "b_dec": "d"},
}
"""Weights of each architecture, d = width of the stream, n = features."""


class SparseCode(nn.Module):
    """Features of the stream.

    Parameters
    ----------
    weights : mapping of str to Tensor
        As in `SHAPES`.
    design : Design
    """

    W_enc: Tensor
    W_dec: Tensor
    b_enc: Tensor
    b_dec: Tensor
    b_gate: Tensor
    b_mag: Tensor
    r_mag: Tensor
    threshold: Tensor

    def __init__(self, weights: Mapping[str, Tensor], design: Design) -> None:
        super().__init__()
        self.design = design
        for name in SHAPES[design.architecture]:
            self.register_buffer(name, weights[name].float())

    @property
    def written(self) -> Tensor:
        """What each feature writes to the stream, (width, n_features)."""
        return self.W_dec.T.contiguous()

    def forward(self, stream: Tensor) -> Tensor:
        """(..., width) to (..., n_features), float32."""
        with torch.autocast(stream.device.type, enabled=False):
            token, scale = self._scaled(stream.float())
            if self.design.subtracts_bias:
                token = token - self.b_dec
            return self._features(token) * scale

    def reconstructed(self, stream: Tensor) -> Tensor:
        """The stream as the features tell it, (..., width)."""
        token, scale = self._scaled(stream.float())
        centre = stream.float() - token * scale
        return self(stream) @ self.W_dec + self.b_dec * scale + centre

    def _scaled(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens as the autoencoder sees them, and by what they were divided, (..., 1)."""
        if self.design.normalisation == "constant_norm_rescale":
            scale = stream.norm(dim=-1, keepdim=True) / stream.shape[-1] ** 0.5
            return stream / scale, scale
        if self.design.normalisation == "layer_norm":
            centred = stream - stream.mean(-1, keepdim=True)
            scale = centred.std(-1, keepdim=True)
            return centred / (scale + _LEAST_DEVIATION), scale
        return stream, torch.ones_like(stream[..., :1])

    def _features(self, token: Tensor) -> Tensor:
        if self.design.architecture == "gated":
            pushed = token @ self.W_enc
            is_open = pushed + self.b_gate > 0
            return torch.relu(pushed * self.r_mag.exp() + self.b_mag) * is_open
        pushed = token @ self.W_enc + self.b_enc
        if self.design.architecture == "topk":
            return only_highest(pushed, self.design.k)
        if self.design.architecture == "jumprelu":
            return torch.relu(pushed) * (pushed > self.threshold)
        return torch.relu(pushed)


def only_highest(pushed: Tensor, k: int) -> Tensor:
    """The k highest of the last dimension as far as they are positive, 0 elsewhere."""
    values, index = pushed.topk(min(k, pushed.shape[-1]), dim=-1)
    return torch.zeros_like(pushed).scatter_(-1, index, values.relu())
