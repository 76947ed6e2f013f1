"""A linear head on a weighted sum of layers, the weights learned with it (SUPERB: Yang et al. 2021, arXiv 2105.01051).

Each layer's pooled output is standardised on train clips, feature by feature, and counts by its share of a softmax: a
layer whose numbers are large does not count for more, and with all weight on one layer the head is that layer's own.
Weights and a head are learned together on train clips (L-BFGS, from equal weights), under one penalty on both: without
it all weight goes to the layer that fits those clips best, with a strong one layers count alike. Then the head is
fitted anew to the sum, as any other, and the regularisation is chosen on valid clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from core.datasets.task import Task
from core.evidence.exchange_of_task import group_of_clips
from core.probes.fit import Chosen, Probe, Round, Target, chosen_on, fit_task, rounds, target_of
from core.probes.linear import STRENGTHS, Learner, choose
from core.probes.refits import samples
from core.results import FloatArray, IntArray

MOST_BYTES = 2**30
"""Of the layers of train clips from which weights are learned; where there are more clips, of as many drawn ones."""
_MOST_STEPS, _FLAT, _STILL = 100, 1e-4, 1e-6
"""Of L-BFGS; what a gradient may have left, and what a step may move, at its end."""
_WORTH_THREADS = 2**24
"""Numbers of all layers of train clips from which threads gain more than they cost."""


@dataclass(frozen=True)
class Layers:
    """Pooled outputs of a dataset's clips.

    Attributes
    ----------
    pooled : ndarray of float32, shape (n_clips, sum of widths)
        Before the first block, then of each, one beside the other.
    widths : tuple of int
    """

    pooled: NDArray[np.float32]
    widths: tuple[int, ...]

    def of(self, number: int, clips: IntArray | slice = slice(None)) -> NDArray[np.float32]:
        """One of them, 0 = before the first block; shape (n_clips, width)."""
        end = sum(self.widths[: number + 1])
        return np.ascontiguousarray(self.pooled[clips, end - self.widths[number] : end])


@dataclass(frozen=True)
class Summed:
    """Heads on the weighted sum, and the weights: shape (n_rounds, n_layers), and of resampled train clips, too."""

    probe: Probe
    weights: FloatArray
    refitted: FloatArray


@dataclass
class _Scaled:
    """Layers, standardised by their means and deviations over some clips."""

    layers: Layers
    clips: IntArray
    means: list[FloatArray] = field(init=False)
    scales: list[FloatArray] = field(init=False)

    def __post_init__(self) -> None:
        every = [self.layers.of(number, self.clips) for number in range(len(self.layers.widths))]
        self.means = [one.mean(axis=0, dtype=np.float64) for one in every]
        deviations = [one.std(axis=0, dtype=np.float64) for one in every]
        self.scales = [np.where(one > 0, one, 1.0) for one in deviations]

    def of(self, number: int, clips: IntArray | slice = slice(None)) -> NDArray[np.float32]:
        """A layer's numbers."""
        centred = self.layers.of(number, clips) - self.means[number].astype(np.float32)
        return np.asarray(centred / self.scales[number].astype(np.float32))

    def summed(self, weights: FloatArray) -> NDArray[np.float32]:
        """The weighted sum of all clips, (n_clips, width)."""
        total = np.zeros((len(self.layers.pooled), self.layers.widths[0]), dtype=np.float32)
        for number, weight in enumerate(weights.tolist()):
            total += np.float32(weight) * self.of(number)
        return total


class _Joint:
    """Weights of layers and a head, learned from some clips, one regularisation after the other."""

    def __init__(self, scaled: _Scaled, clips: IntArray, learner: Learner, device: str) -> None:
        numbers = range(len(scaled.layers.widths))
        stacked = np.stack([scaled.of(number, clips) for number in numbers])  # (n_layers, n_clips, width)
        self._layers, self._targets = torch.from_numpy(stacked).to(device), torch.from_numpy(learner.targets).to(device)
        n_outputs = learner.targets.shape[1] if learner.targets.ndim == 2 else len(learner.known)
        sizes = (len(numbers),), (n_outputs, stacked.shape[2]), (n_outputs,)
        self._parameters = [torch.zeros(size, device=device, requires_grad=True) for size in sizes]

    def fit(self, strength: float) -> FloatArray:
        """Weights (n_layers,) of least mean log loss, with the penalty of `core.probes.linear` on their scores, too."""
        optimizer = torch.optim.LBFGS(
            self._parameters, max_iter=_MOST_STEPS, tolerance_grad=_FLAT, tolerance_change=_STILL,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = self._loss(strength)
            loss.backward()
            return loss

        with _threads(1 if self._layers.numel() < _WORTH_THREADS else torch.get_num_threads()):
            optimizer.step(closure)
        weights: FloatArray = self._parameters[0].detach().cpu().double().softmax(0).numpy()
        return weights

    def _loss(self, strength: float) -> torch.Tensor:
        scores, weight, bias = self._parameters
        shape = self._layers.shape[1:]
        summed = (scores.softmax(0) @ self._layers.flatten(1)).unflatten(0, shape)
        # To unit deviation, as the head's own scaler does: a mean of layers that differ varies less than each of them,
        # and the penalty on the head would drive all weight to one.
        deviation = summed.std(0, correction=0)
        logits = (summed / deviation.clamp_min(torch.finfo(summed.dtype).tiny)) @ weight.T + bias
        if self._targets.ndim == 2:
            loss = F.binary_cross_entropy_with_logits(logits, self._targets.float(), reduction="sum") / shape[0]
        else:
            loss = F.cross_entropy(logits, self._targets)
        return loss + (weight.square().sum() + scores.square().sum()) / (2 * strength * shape[0])


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """PyTorch with so many threads for each operation of this one."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit_sum(task: Task, layers: Layers, device: str, n_refits: int, seed: int) -> Summed:
    """Heads on the weighted sum of layers, in the rounds of `core.probes.fit.fit_task`.

    Parameters
    ----------
    layers : Layers
        All of one width.
    n_refits : int
        Bootstrap samples of each round's train clips, whole groups where they are known, on which weights are learned
        again.
    """
    target = target_of(task)
    found: list[tuple[Chosen, FloatArray]] = []

    def fitter(_: int) -> list[Chosen]:
        found.extend(_choose(layers, turn, target, device) for turn in rounds(task.splits, target.labelled))
        return [chosen for chosen, _ in found]

    probe = fit_task(task, layers.of(0), device, fitter)
    weights = np.array([of_round for _, of_round in found]).reshape(-1, len(layers.widths))
    if probe.result.skipped:
        return Summed(probe, weights, weights)
    drawn = samples(probe, task, n_refits, seed, group_of_clips(task))
    refitted = [_joint(layers, sample.clips, target, device).fit(sample.strength) for sample in drawn]
    return Summed(probe, weights, np.array(refitted).reshape(-1, len(layers.widths)))


def _choose(layers: Layers, turn: Round, target: Target, device: str) -> tuple[Chosen, FloatArray]:
    """The head and the weights of the regularisation that is best on valid clips; ties go to the stronger one."""
    train = np.flatnonzero(turn.train)
    has_valid = target.can_choose(turn.train, turn.valid)
    tried: Sequence[float] = STRENGTHS if has_valid else [STRENGTHS[len(STRENGTHS) // 2]]
    scaled, joint = _Scaled(layers, train), _joint(layers, train, target, device)
    best: tuple[Chosen, FloatArray] | None = None
    for strength in tried:
        weights = joint.fit(strength)
        summed = scaled.summed(weights)
        head, _ = choose(summed[train], target.learner(turn.train), None, [strength], device)
        quality = target.quality(head, summed, turn.valid) if has_valid else np.nan
        if best is None or quality > best[0].quality:
            best = Chosen(head, strength, chosen_on(turn, has_valid), quality, summed), weights
    assert best is not None
    return best


def _joint(layers: Layers, clips: IntArray, target: Target, device: str) -> _Joint:
    most = max(1, MOST_BYTES // (4 * sum(layers.widths)))
    some = clips if len(clips) <= most else np.sort(np.random.default_rng(most).permutation(clips)[:most])
    return _Joint(_Scaled(layers, clips), some, target.learner(some), device)
