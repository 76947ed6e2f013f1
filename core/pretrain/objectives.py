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

FLOOR = (-16.0, -12.0)
"""Log power; the faintest frames of the sound lie at -15."""
TEMPERATURE = 0.2


class Objective(nn.Module):
    """Base: an encoder and a loss."""

    encoder: NanoViT

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        """Scalar loss of log-mels (batch, 80, 208), not normalised, with tags (batch,)."""
        raise NotImplementedError

    def tokens_of_view(self, mel: Tensor, encoder: NanoViT) -> Tensor:
        """Tokens of the log-mels as another microphone would have them, (batch, tokens, width)."""
        config = encoder.config
        return encoder.tokens((augment(mel) - config.mel_mean) / config.mel_std)

    def after_step(self, step: int) -> None:
        """Called after each optimiser step, with the number of steps done."""


def augment(mel: Tensor) -> Tensor:
    """Random level, spectral tilt and noise floor: what a microphone and a room change, in log power."""
    n, n_mels, _ = mel.shape
    level = torch.empty(n, 1, device=mel.device).uniform_(-2.0, 2.0)
    tilt = torch.empty(n, 1, device=mel.device).uniform_(-1.5, 1.5)
    floor = torch.empty(n, 1, 1, device=mel.device).uniform_(*FLOOR)
    colour = level + tilt * torch.linspace(-1, 1, n_mels, device=mel.device)
    return torch.maximum(mel + colour[:, :, None], floor)


def split_tokens(tokens: Tensor, n_visible: int) -> tuple[Tensor, Tensor]:
    """Random indices of visible and masked tokens, (batch, n_visible) and (batch, rest)."""
    order = torch.rand(tokens.shape[:2], device=tokens.device).argsort(1)
    return order[:, :n_visible], order[:, n_visible:]


def take(tokens: Tensor, index: Tensor) -> Tensor:
    """Tokens (batch, n, width) at index (batch, m) -> (batch, m, width)."""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def standardised(x: Tensor, over: tuple[int, ...]) -> Tensor:
    """Zero mean and unit deviation over some axes."""
    return (x - x.mean(over, keepdim=True)) / (x.std(over, keepdim=True) + 1e-3)


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

    With ``contrast`` there is a loss on whole clips beside it, as in EAT (Chen et al. 2024, arXiv
    2401.03497), here a contrastive one: the mean over the visible patches has to tell which clip of
    the batch the mean over the masked patches is of. The two encoders get different views of the
    clip, so that level and noise do not tell it.

    Kept, with and without, for the comparison in ``docs/pretraining.md``.
    """

    def __init__(self, config: NanoConfig, mask_ratio: float = 0.7, contrast: float = 0.0) -> None:
        super().__init__()
        self.encoder = NanoViT(config)
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)
        self.predictor = Filler(config, config.width)
        hidden = 2 * config.width
        self.projector = nn.Sequential(nn.Linear(config.width, hidden), nn.GELU(), nn.Linear(hidden, config.width))
        self.n_visible = round((1 - mask_ratio) * config.grid[0] * config.grid[1])
        self.contrast = contrast

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        tokens = self.tokens_of_view(mel, self.encoder)
        visible, masked = split_tokens(tokens, self.n_visible)
        encoded = self.encoder(take(tokens, visible))
        predicted = self.predictor(encoded, visible, masked)
        with torch.no_grad():
            target = self.target(take(self.tokens_of_view(mel, self.target), masked))
            # Standardised over clips and tokens, so that what all tokens share is nothing to predict:
            # without it the constant answer is already a good one, and the encoder may collapse to it.
            wanted = standardised(target, (0, 1))
        of_patches = 2 - 2 * F.cosine_similarity(predicted, wanted, dim=-1).mean()
        if not self.contrast:
            return of_patches
        guess = F.normalize(self.projector(encoded.mean(1)), dim=-1)
        likeness = guess @ F.normalize(standardised(target.mean(1), (0,)), dim=-1).T / TEMPERATURE
        return of_patches + self.contrast * F.cross_entropy(likeness, torch.arange(len(mel), device=mel.device))

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        # The average of about the last fifth of the steps, whatever number is still to come.
        for slow, fast in zip(self.target.parameters(), self.encoder.parameters(), strict=True):
            slow.lerp_(fast, 1 / (100 + step / 5))


class MaskedAutoencoder(Objective):
    """Masked autoencoder (He et al. 2022, arXiv 2111.06377): rebuild the masked patches themselves.

    With ``raw`` they are rebuilt as they are, without it each standardised by itself.
    """

    def __init__(self, config: NanoConfig, mask_ratio: float = 0.7, raw: bool = False) -> None:
        super().__init__()
        self.encoder = NanoViT(config)
        self.decoder = Filler(config, config.patch_bands * config.patch)
        self.raw = raw
        self.n_visible = round((1 - mask_ratio) * config.grid[0] * config.grid[1])

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        config = self.encoder.config
        view = (augment(mel) - config.mel_mean) / config.mel_std
        tokens = self.encoder.tokens(view)
        visible, masked = split_tokens(tokens, self.n_visible)
        encoded = self.encoder(take(tokens, visible))
        wanted = take(self.encoder.patches(view), masked)
        wanted = wanted if self.raw else F.layer_norm(wanted, wanted.shape[-1:])
        return F.mse_loss(self.decoder(encoded, visible, masked), wanted)


class Supervised(Objective):
    """Cross-entropy on the clip's tag, with half of the patches dropped in training (as PaSST)."""

    def __init__(self, config: NanoConfig, n_tags: int, keep_ratio: float = 0.5) -> None:
        super().__init__()
        self.encoder = NanoViT(config)
        self.head = nn.Linear(config.width, n_tags)
        self.n_visible = round(keep_ratio * config.grid[0] * config.grid[1])

    def loss(self, mel: Tensor, tags: Tensor) -> Tensor:
        tokens = self.tokens_of_view(mel, self.encoder)
        kept, _ = split_tokens(tokens, self.n_visible)
        pooled = self.encoder(take(tokens, kept)).mean(1)
        return F.cross_entropy(self.head(pooled), tags, label_smoothing=0.1)
