"""Which (clip, neuron) pairs a pass over all clips keeps, while it does not know yet what will be chosen.

Top and silent clips: a pair that is among the best (or the lowest) of those that this process has passed so far. What
is chosen in the end was that when it was passed, whoever passed it and in whatever order. Middle clips: chosen among
`core.recording.top_clips.drawn`, which are known before.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from core.arrays.neurons import layer_starts
from core.encoders.base import Encoder
from core.encoders.hooks import Counts
from core.recording.patterns import WHOLE, Index, Layout, Wanted
from core.recording.top_clips import N_DRAWN, N_SILENT, N_TOP_CLIPS, drawn


def most_candidates(n_clips: int) -> int:
    """Clips of a neuron whose patterns one process keeps on the way, of a dataset in no order."""
    n = round((N_TOP_CLIPS + N_SILENT) / WHOLE)  # all of the first, which that share of the neurons wants
    return min(n_clips, N_DRAWN + round(n + WHOLE * n * math.log(max(n_clips, n) / n)))


class Candidates:
    """Running limits of every neuron's top and silent clips.

    Parameters
    ----------
    encoder : Encoder
    n_clips : int
        Of the dataset.
    """

    def __init__(self, encoder: Encoder, n_clips: int) -> None:
        shape, device = encoder.n_neurons, encoder.device
        self.layout = Layout(encoder)
        self._starts = layer_starts(encoder.layer_widths)
        self._drawn = torch.from_numpy(drawn(n_clips)).to(device)
        self._best = torch.full((N_TOP_CLIPS, shape), -torch.inf, device=device)
        self._lowest = torch.full((N_SILENT, shape), -torch.inf, device=device)  # of the means with their sign turned
        self._seen: list[tuple[slice, Tensor, Tensor]] = []

    def of(self, index: Index) -> Wanted:
        """What is wanted of a pass over these clips; limits move when it has ended (`passed`)."""
        self._seen = []
        is_drawn = self._drawn[torch.from_numpy(index).to(self._drawn.device), None]

        def wanted(layer: int, counts: Counts) -> Tensor:
            is_heard = counts.tokens > 0
            columns = slice(int(self._starts[layer]), int(self._starts[layer + 1]))
            means = counts.total[:, columns] / counts.tokens[:, None]
            counted = means if is_heard.all() else means[is_heard]
            best = _highest(self._best[:, columns], counted)
            lowest = _highest(self._lowest[:, columns], -counted)
            self._seen.append((columns, best, lowest))
            return (means >= best[-1]).logical_or_(means <= -lowest[-1]).logical_or_(is_drawn)

        return wanted

    def passed(self) -> None:
        """The pass has ended: its clips count."""
        for columns, best, lowest in self._seen:
            self._best[:, columns], self._lowest[:, columns] = best, lowest


def _highest(before: Tensor, values: Tensor) -> Tensor:
    """The highest of each column, in order, after some more rows."""
    every = torch.cat([before, values])
    if every.device.type == "cpu":  # where NumPy sorts faster
        return torch.from_numpy(np.sort(every.numpy(), axis=0)[: -len(before) - 1 : -1].copy())
    return every.topk(len(before), dim=0).values


class Asked:
    """Pairs that are known to be wanted."""

    def __init__(self, encoder: Encoder, clips: Index, neurons: Index) -> None:
        """Clips in order, with a neuron each."""
        self._starts, self._clips, self._neurons = layer_starts(encoder.layer_widths), clips, neurons
        self.layout, self._device = Layout(encoder), encoder.device

    def of(self, index: Index) -> Wanted:
        """What is wanted of a pass over these clips."""
        start, stop = np.searchsorted(self._clips, [index, index + 1])
        neuron = np.concatenate([self._neurons[of] for of in map(slice, start, stop)])
        place = np.repeat(np.arange(len(index)), stop - start)

        def wanted(layer: int, counts: Counts) -> Tensor:
            first, end = self._starts[layer : layer + 2]
            here = (neuron >= first) & (neuron < end)
            kept = np.zeros((len(index), end - first), dtype=np.bool_)
            kept[place[here], neuron[here] - first] = True
            return torch.from_numpy(kept).to(self._device)

        return wanted

    def passed(self) -> None:
        """Nothing follows from that."""
