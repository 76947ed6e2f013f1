"""Train a TopK autoencoder of a block's output (Gao et al. 2024, arXiv 2406.04093, sections 2.3 and A.2).

Squared error alone, as k of the features are kept of each token. Features that have not fired for a while are pulled
back by a second error: the best of them have to explain what the others left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.units.sae import Design, SparseCode, only_highest

BATCH = 1_024
"""Tokens of a step."""
DEAD_AFTER = 100
"""Steps in which a feature has not fired, before it is taken for dead."""
AUXILIARY = 1 / 32
"""Weight of the second error."""
_RATE_AT_16384 = 2e-4
"""Learning rate of 16,384 features; that of fewer is higher, by the root of their number."""
_DECAY = 0.2
"""Last share of the steps, over which the learning rate falls to 0."""


@dataclass(frozen=True)
class Recipe:
    """How an autoencoder is trained.

    Attributes
    ----------
    expansion : int
        Features a dimension of the stream.
    k : int
        Features of a token that are kept.
    n_steps : int
        Of `BATCH` tokens.
    seed : int
    """

    expansion: int = 8
    k: int = 32
    n_steps: int = 2_000
    seed: int = 0


@dataclass
class State:
    """What a training that was stopped goes on from: everything that the next step depends on."""

    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    unfired: Tensor
    step: int = 0
    errors: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Quality:
    """How well an autoencoder does on tokens that it was not trained on.

    Attributes
    ----------
    explained_variance : float
        1 - squared error / variance around the mean token, over all tokens.
    n_active : float
        Mean number of features of a token.
    dead_share : float
        Share of features that fire in none of the tokens.
    n_tokens : int
    """

    explained_variance: float
    n_active: float
    dead_share: float
    n_tokens: int


def begin(tokens: Tensor, recipe: Recipe) -> State:
    """Directions drawn at random, the decoder's bias at the mean token; ``tokens`` (n, width), scaled (`scale_of`)."""
    generator = torch.Generator().manual_seed(recipe.seed)
    width = tokens.shape[1]
    written = torch.randn(width * recipe.expansion, width, generator=generator)
    written /= written.norm(dim=1, keepdim=True)
    n_features = len(written)
    weights = {
        "W_enc": written.T.clone(), "b_enc": torch.zeros(n_features), "W_dec": written, "b_dec": tokens.mean(0),
    }  # fmt: skip
    moments = {f"{name}.{moment}": torch.zeros_like(value) for name, value in weights.items() for moment in "mv"}
    return State(weights, moments, torch.zeros(n_features, dtype=torch.int64))


def scale_of(tokens: Tensor) -> float:
    """By what tokens are divided, so that their mean square length is that of their width."""
    return float(tokens.square().mean().sqrt())


def train(
    tokens: Tensor, recipe: Recipe, state: State, progress: Callable[[int], None], device: torch.device
) -> Iterator[State]:
    """Train to the end; yields the state after each epoch, and at the end.

    Parameters
    ----------
    tokens : Tensor, shape (n_tokens, width)
        Scaled, on the CPU; those of a step are moved to the device.
    """
    held = {name: value.to(device).requires_grad_() for name, value in state.weights.items()}
    moments = {name: value.to(device) for name, value in state.moments.items()}
    unfired = state.unfired.to(device)
    n_batches = max(1, len(tokens) // BATCH)
    while state.step < recipe.n_steps:
        epoch, place = divmod(state.step, n_batches)
        order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch))
        for batch in range(place, min(n_batches, place + recipe.n_steps - state.step)):
            chosen = tokens[order[batch * BATCH : (batch + 1) * BATCH]].to(device)
            error, fired = _errors(chosen, held, recipe.k, unfired >= DEAD_AFTER)
            gradients = torch.autograd.grad(error, list(held.values()))
            state.step += 1
            _move(held, dict(zip(held, gradients, strict=True)), moments, _rate(recipe, held, state.step), state.step)
            unfired = torch.where(fired, 0, unfired + 1)
            progress(state.step)
        state.errors.append(float(error.detach()))
        state.weights = {name: value.detach().cpu().clone() for name, value in held.items()}
        state.moments = {name: value.cpu().clone() for name, value in moments.items()}
        state.unfired = unfired.cpu()
        yield state


def _errors(tokens: Tensor, weights: dict[str, Tensor], k: int, dead: Tensor) -> tuple[Tensor, Tensor]:
    """What is minimised, a number, and which features fired."""
    pushed = (tokens - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
    features = only_highest(pushed, k)
    left = tokens - (features @ weights["W_dec"] + weights["b_dec"])
    variance = (tokens - tokens.mean(0)).square().sum()
    error = left.square().sum() / variance
    n_dead = int(dead.sum())
    if n_dead:
        n_called = min(n_dead, max(1, tokens.shape[1] // 2))
        values, index = pushed.masked_fill(~dead, -torch.inf).topk(n_called, dim=-1)
        called = torch.zeros_like(pushed).scatter_(-1, index, values)  # below 0 too, or nothing would pull them up
        unexplained = (left.detach() - called @ weights["W_dec"]).square().sum()
        error = error + AUXILIARY * unexplained / left.detach().square().sum().clamp_min(1e-12)
    return error, (features.detach() > 0).any(0)


@torch.no_grad()
def _move(
    weights: dict[str, Tensor], gradients: dict[str, Tensor], moments: dict[str, Tensor], rate: float, step: int
) -> None:
    """One step of Adam (Kingma and Ba 2015) with directions kept at length 1."""
    slope, written = gradients["W_dec"], weights["W_dec"]
    gradients["W_dec"] = slope - (slope * written).sum(1, keepdim=True) * written
    for name, gradient in gradients.items():
        first, second = moments[f"{name}.m"], moments[f"{name}.v"]
        first.lerp_(gradient, 0.1)
        second.lerp_(gradient.square(), 0.001)
        corrected = (second / (1 - 0.999**step)).sqrt_().add_(1e-8)
        weights[name].sub_(rate / (1 - 0.9**step) * first / corrected)
    written.div_(written.norm(dim=1, keepdim=True).clamp_min(1e-12))


def _rate(recipe: Recipe, weights: dict[str, Tensor], step: int) -> float:
    usual = _RATE_AT_16384 * (16_384 / len(weights["W_dec"])) ** 0.5
    left = (recipe.n_steps - step + 1) / max(1.0, _DECAY * recipe.n_steps)
    return float(usual * min(1.0, left))


def finished(state: State, recipe: Recipe, scale: float) -> SparseCode:
    """The autoencoder of tokens that are not scaled: the scale goes into the biases, directions keep their length."""
    weights: dict[str, Any] = dict(state.weights)
    weights["b_enc"] = weights["b_enc"] * scale
    weights["b_dec"] = weights["b_dec"] * scale
    return SparseCode(weights, Design("topk", recipe.k))


@torch.inference_mode()
def quality(code: SparseCode, tokens: Tensor, device: torch.device) -> Quality:
    """On some tokens, (n, width), as the stream has them."""
    left = variance = n_active = 0.0
    fired = torch.zeros(code.written.shape[1], dtype=torch.bool, device=device)
    mean = tokens.mean(0).to(device)
    for part in tokens.split(BATCH):
        own = part.to(device)
        features = code(own)
        left += float((own - code.reconstructed(own)).square().sum())
        variance += float((own - mean).square().sum())
        n_active += float((features > 0).sum())
        fired |= (features > 0).any(0)
    dead = 1.0 - float(fired.float().mean())
    return Quality(1.0 - left / variance, n_active / len(tokens), dead, len(tokens))
