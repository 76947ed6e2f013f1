"""What the network is trained to do: two ways without labels, one with.

Each objective is a module that holds the encoder to be kept in ``encoder`` and gives the loss of a
batch; what else it holds (predictor, decoder, target, head) is thrown away after training.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.encoders.nano import Block, NanoConfig, NanoViT


class Objective(nn.Module):
    """Base: an encoder and a loss."""

    encoder: NanoViT

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        """Scalar loss of normalised log-mels (batch, 80, 208) with tags (batch,)."""
        raise NotImplementedError

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step; ``progress`` goes from 0 to 1."""


def split_tokens(tokens: Tensor, n_visible: int) -> tuple[Tensor, Tensor]:
    """Random indices of visible and masked tokens, (batch, n_visible) and (batch, rest)."""
    order = torch.rand(tokens.shape[:2], device=tokens.device).argsort(1)
    return order[:, :n_visible], order[:, n_visible:]


def take(tokens: Tensor, index: Tensor) -> Tensor:
    """Tokens (batch, n, width) at index (batch, m) -> (batch, m, width)."""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


class Filler(nn.Module):
    """From encoded visible tokens, something about every masked one: a small transformer."""

    def __init__(self, config: NanoConfig, n_out: int, width: int = 128, n_layers: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(config.width, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.position = nn.Parameter(torch.randn(config.grid[0] * config.grid[1], width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, 4, 4 * width) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_out)

    def forward(self, encoded: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Encoded visible tokens (batch, v, width) -> outputs at masked places (batch, m, n_out)."""
        known = self.embed(encoded) + self.position[visible]
        asked = self.mask_token + self.position[masked]
        x = torch.cat([known, asked], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, known.shape[1] :]))


class Duo(Objective):
    """Masked Modeling Duo (Niizumi et al. 2023, arXiv 2210.14648), the paper's objective, in small.

    The online encoder sees the visible patches only, and a predictor guesses what the target
    encoder, a slow average of the online one, makes of the masked patches, which it sees alone.
    """

    def __init__(self, config: NanoConfig, mask_ratio: float = 0.7) -> None:
        super().__init__()
        self.encoder = NanoViT(config)
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)
        self.predictor = Filler(config, config.width)
        self.n_visible = round((1 - mask_ratio) * config.grid[0] * config.grid[1])

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        tokens = self.encoder.tokens(mel)
        visible, masked = split_tokens(tokens, self.n_visible)
        encoded = self.encoder(take(tokens, visible))
        predicted = self.predictor(encoded, visible, masked)
        with torch.no_grad():
            target = self.target(take(self.target.tokens(mel), masked))
            # Standardised over clips and tokens, so that what all tokens share is nothing to predict:
            # without it the constant answer is already a good one, and the encoder may collapse to it.
            target = (target - target.mean((0, 1))) / (target.std((0, 1)) + 1e-3)
        return 2 - 2 * F.cosine_similarity(predicted, target, dim=-1).mean()

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        keep = 0.99 + (0.999 - 0.99) * progress
        for slow, fast in zip(self.target.parameters(), self.encoder.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)


class MaskedAutoencoder(Objective):
    """Masked autoencoder (He et al. 2022, arXiv 2111.06377): rebuild the masked patches themselves.

    Kept for the comparison in the model card.
    """

    def __init__(self, config: NanoConfig, mask_ratio: float = 0.7) -> None:
        super().__init__()
        self.encoder = NanoViT(config)
        self.decoder = Filler(config, config.patch**2)
        self.n_visible = round((1 - mask_ratio) * config.grid[0] * config.grid[1])

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        p = self.encoder.config.patch
        patches = mel.unflatten(1, (-1, p)).unflatten(3, (-1, p)).permute(0, 1, 3, 2, 4)
        patches = patches.flatten(3).flatten(1, 2)
        tokens = self.encoder.tokens(mel)
        visible, masked = split_tokens(tokens, self.n_visible)
        encoded = self.encoder(take(tokens, visible))
        wanted = take(patches, masked)
        wanted = F.layer_norm(wanted, wanted.shape[-1:])
        return F.mse_loss(self.decoder(encoded, visible, masked), wanted)


class Supervised(Objective):
    """Cross-entropy on the clip's tag, with half of the patches dropped in training (as PaSST)."""

    def __init__(self, config: NanoConfig, n_tags: int, keep_ratio: float = 0.5) -> None:
        super().__init__()
        self.encoder = NanoViT(config)
        self.head = nn.Linear(config.width, n_tags)
        self.n_visible = round(keep_ratio * config.grid[0] * config.grid[1])

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        tokens = self.encoder.tokens(mel)
        kept, _ = split_tokens(tokens, self.n_visible)
        pooled = self.encoder(take(tokens, kept)).mean(1)
        return F.cross_entropy(self.head(pooled), tags, label_smoothing=0.1)
