"""Logistic regressions of many clips or classes: all outputs of a layer at once, in tiles of clips on the device.

A tile's logits, losses and slopes are made and added up before the next: memory does not grow with clips times classes,
and time grows in proportion to the clips. Features of an encoder go together, so that plain L-BFGS takes hundreds of
steps. In directions scaled by their curvature, which some of the clips tell well enough, it takes a dozen, however many
clips there are; and where each output is a function of its own, each has its own steps and leaves when it is done.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.results import FloatArray, IntArray, Mask

TILE = 2**22
"""Numbers of a tile: features and logits."""
_CLIPS_A_FEATURE = 4
"""Clips that tell the curvature, for each feature."""
_MEMORY, _MOST_STEPS, _MOST_HALVINGS = 10, 300, 10
_TOLERANCE = 1e-6
"""Length of a gradient over that of the solution, both in scaled directions, where the minimum is found."""
_ROUNDING = 1e-7
"""Of a mean loss, over the loss."""

Loss = Callable[[FloatArray, IntArray], tuple[FloatArray, FloatArray]]


class Regressions:
    """A linear layer fitted to the same clips, one regularisation after the other, each from where the last ended.

    Parameters
    ----------
    scaled : ndarray of float32, shape (n_clips, n_features)
        Centred.
    targets : ndarray of bool, shape (n_clips, n_outputs), or of int, shape (n_clips,)
        Whether each output's own class is there (a sigmoid each), or which output's class it is (softmax).
    device : str
        Where the clips lie and products are made; sums of tiles are in float64.
    """

    def __init__(self, scaled: NDArray[np.float32], targets: Mask | IntArray, device: str = "cpu") -> None:
        self._clips, self._targets = torch.from_numpy(scaled).to(device), torch.from_numpy(targets).to(device)
        self._sums = torch.float32 if self._clips.device.type == "mps" else torch.float64  # MPS has no float64
        self._several = targets.ndim == 2
        share = targets.mean(axis=0) if self._several else np.bincount(targets) / len(targets)
        some = scaled[:: max(1, len(scaled) // (_CLIPS_A_FEATURE * scaled.shape[1]))].astype(np.float64)
        spread, self._directions = np.linalg.eigh(some.T @ some / len(some))
        self._spread = np.maximum(spread, 0.0)
        self._tile = max(1, TILE // (scaled.shape[1] + len(share)))
        # Without a weight: how common each class is, and the second derivative of the loss there.
        odds = np.log(share / (1 - share)) if self._several else np.log(share) - np.log(share).mean()
        self._layer = np.column_stack([np.zeros((len(share), scaled.shape[1])), odds])
        self._curvature = share * (1 - share)

    def fit(self, strength: float) -> tuple[FloatArray, FloatArray]:
        """Weight (n_outputs, n_features) and bias (n_outputs,) of least mean log loss and penalty.

        The penalty is the sum of squared weights over 2 C n_clips, with C the ``strength``, as scikit-learn has it.
        """
        penalty, n_outputs = 1 / (strength * len(self._clips)), len(self._layer)
        scale = 1 / np.sqrt(self._curvature[:, None] * np.append(self._spread, 1.0) + penalty)
        n_functions = n_outputs if self._several else 1

        def layer(moved: FloatArray, outputs: IntArray) -> FloatArray:
            of_directions = moved * scale[outputs]
            return np.column_stack([of_directions[:, :-1] @ self._directions.T, of_directions[:, -1]])

        def loss(flat: FloatArray, functions: IntArray) -> tuple[FloatArray, FloatArray]:
            outputs = functions if self._several else np.arange(n_outputs)
            weights = layer(flat.reshape(len(outputs), -1), outputs)
            values, slopes = self._loss(weights, outputs)
            weights[:, -1] = 0.0  # the bias has no penalty
            slopes += penalty * weights
            squares = (weights**2).sum(axis=1).reshape(len(functions), -1).sum(axis=1)
            by_direction = np.column_stack([slopes[:, :-1] @ self._directions, slopes[:, -1]]) * scale[outputs]
            return values + 0.5 * penalty * squares, by_direction.reshape(flat.shape)

        start = np.column_stack([self._layer[:, :-1] @ self._directions, self._layer[:, -1]]) / scale
        found = minimise(loss, start.reshape(n_functions, -1)).reshape(start.shape)
        self._layer = layer(found, np.arange(n_outputs))
        self._curvature = self._curvature_at(self._layer)
        if not self._several:
            self._layer[:, -1] -= self._layer[:, -1].mean()  # a softmax is the same whatever is added to all
        return self._layer[:, :-1], self._layer[:, -1]

    @torch.no_grad()
    def _loss(self, layer: FloatArray, outputs: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean log loss over clips, of each output or of all, and its slopes, as ``layer``."""
        weight, bias = (torch.from_numpy(part).to(self._clips) for part in (layer[:, :-1], layer[:, -1]))
        n_values = len(layer) if self._several else 1
        values = torch.zeros(n_values, dtype=self._sums, device=weight.device)
        slopes = torch.zeros(layer.shape, dtype=self._sums, device=weight.device)
        which = None if len(outputs) == len(self._layer) else torch.from_numpy(outputs).to(weight.device)
        for clips, targets in zip(self._clips.split(self._tile), self._targets.split(self._tile), strict=True):
            logits = torch.addmm(bias, clips, weight.T)
            own = targets if which is None else targets[:, which]
            losses, slope = (_sigmoid if self._several else _softmax)(logits, own)
            values += losses.sum(0, dtype=self._sums)
            slopes[:, :-1] += slope.T @ clips
            slopes[:, -1] += slope.sum(0, dtype=self._sums)
        n_clips = len(self._clips)
        return values.cpu().double().numpy() / n_clips, slopes.cpu().double().numpy() / n_clips

    @torch.no_grad()
    def _curvature_at(self, layer: FloatArray) -> FloatArray:
        """Mean second derivative of the loss by each output's logit, (n_outputs,)."""
        weight, bias = (torch.from_numpy(part).to(self._clips) for part in (layer[:, :-1], layer[:, -1]))
        total = torch.zeros(len(layer), dtype=self._sums, device=weight.device)
        for clips in self._clips.split(self._tile):
            logits = torch.addmm(bias, clips, weight.T)
            p = logits.sigmoid_() if self._several else logits.softmax(1)
            total += (p * (1 - p)).sum(0, dtype=self._sums)
        return np.maximum(total.cpu().double().numpy(), 1e-3) / len(self._clips)


def _sigmoid(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each clip and output, and its slope by the logit.

    What is nearly 1 is never subtracted from 1: clips that are told surely would lose all their digits.
    """
    away = torch.where(targets, -1.0, 1.0).to(logits)  # from what is right
    logits = logits.mul_(away)
    return F.softplus(logits), logits.sigmoid_().mul_(away)


def _softmax(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each clip, and its slope by each logit; as `_sigmoid`."""
    own = targets[:, None]
    slopes = logits.log_softmax(1)
    losses = slopes.gather(1, own).neg_()
    slopes.exp_().scatter_(1, own, 0.0)
    wrong = slopes.sum(1, keepdim=True)
    losses = torch.where(wrong < 0.5, torch.log1p(-wrong.clamp(max=0.5)).neg_(), losses)
    return losses, slopes.scatter_(1, own, -wrong)


def minimise(loss: Loss, start: FloatArray) -> FloatArray:
    """L-BFGS (Nocedal 1980) of several convex functions at once, each with steps of its own.

    Parameters
    ----------
    loss : callable
        Values (n,) and gradients (n, n_numbers) of some of the functions, from where they are looked at (n, n_numbers)
        and which they are (n,). Scaled so that second derivatives are near 1.
    start : ndarray, shape (n_functions, n_numbers)

    Returns
    -------
    ndarray, shape (n_functions, n_numbers)
    """
    at, every = start.copy(), np.arange(len(start))
    values, gradients = loss(at, every)
    history: list[tuple[FloatArray, FloatArray]] = []
    for _ in range(_MOST_STEPS):
        lengths = np.linalg.norm(gradients[every], axis=1)
        every = every[lengths > _TOLERANCE * np.linalg.norm(at[every], axis=1)]
        if not len(every):
            break
        step = _direction(gradients[every], [(s[every], y[every]) for s, y in history])
        moved, changed = _line_search(loss, (at, values, gradients), every, step)
        every = every[moved[every].any(axis=1)]  # what no step brings down is down to rounding
        history = [*history[1 - _MEMORY :], (moved, changed)]
    return at


def _direction(gradients: FloatArray, history: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """Where to go: minus the gradient through the inverse second derivative that the last steps tell."""
    q, kept = -gradients, []
    for s, y in reversed(history):
        product = _dot(s, y)
        rho = np.divide(1.0, product, out=np.zeros_like(product), where=product > 1e-12 * _dot(y, y))
        alpha = rho * _dot(s, q)
        q -= alpha[:, None] * y
        kept.append((s, y, rho, alpha))
    if history:
        s, y = history[-1]
        product, squares = _dot(s, y), _dot(y, y)
        q *= np.divide(product, squares, out=np.ones_like(product), where=product > 1e-12 * squares)[:, None]
    for s, y, rho, alpha in reversed(kept):
        q += (alpha - rho * _dot(y, q))[:, None] * s
    return q


def _line_search(
    loss: Loss, state: tuple[FloatArray, FloatArray, FloatArray], left: IntArray, step: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Go so far that each function falls (Armijo), in place; what each has moved and its gradient changed."""
    at, values, gradients = state
    moved, changed = np.zeros_like(at), np.zeros_like(at)
    fall = _dot(step, gradients[left])
    for halvings in range(_MOST_HALVINGS):
        share = 0.5**halvings
        new_values, new_gradients = loss(at[left] + share * step, left)
        falls = new_values <= values[left] + 1e-4 * share * fall + _ROUNDING * np.abs(values[left])
        which = left[falls]
        moved[which], changed[which] = share * step[falls], new_gradients[falls] - gradients[which]
        at[which] += moved[which]
        values[which], gradients[which] = new_values[falls], new_gradients[falls]
        left, step, fall = left[~falls], step[~falls], fall[~falls]
        if not len(left):
            break
    return moved, changed


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", a, b))
