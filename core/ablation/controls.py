"""Random sets to hold an ablated set against: as many neurons of the same layers, or of the same activity too.

A damaged network is a worse network; only what a set costs beyond random sets of its kind is its own.
Sets matched in layer alone may hold neurons that hardly fire; the second family is matched in rate of
activation as well, by deciles within the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from core.ablation.targets import Size, Target, shortest
from core.arrays.neurons import layer_starts
from core.results import FloatArray, IntArray, Mask

FAMILIES = ("layer", "activity")
N_BINS = 10
"""Bins of activity within a layer: deciles."""


@dataclass(frozen=True)
class Cells:
    """Groups of neurons within which a control is drawn: layers, or bins of activity within layers.

    Attributes
    ----------
    of : ndarray of int, shape (n_neurons,)
        Cell of each neuron: layer times ``n_bins`` plus bin.
    n_bins : int
        Cells of a layer.
    n_layers : int
    """

    of: IntArray
    n_bins: int
    n_layers: int

    @classmethod
    def layers(cls, layer_widths: Sequence[int]) -> Cells:
        """A cell a layer."""
        return cls(np.repeat(np.arange(len(layer_widths)), layer_widths), 1, len(layer_widths))

    @classmethod
    def activity(cls, layer_widths: Sequence[int], rate: FloatArray) -> Cells:
        """Deciles of each layer by rate of activation, (n_neurons,); ties by index."""
        bins = []
        for own in np.split(rate, layer_starts(layer_widths)[1:-1]):
            rank = np.empty(len(own), dtype=np.int64)
            rank[np.argsort(own, kind="stable")] = np.arange(len(own))
            bins.append(rank * N_BINS // max(len(own), 1))
        layer = cls.layers(layer_widths).of
        return cls(layer * N_BINS + np.concatenate(bins), N_BINS, len(layer_widths))

    def profile(self, neurons: IntArray) -> IntArray:
        """Neurons of a set in each cell, (n_cells,)."""
        return np.bincount(self.of[neurons], minlength=self.n_layers * self.n_bins)


def draw_controls(
    targets: Sequence[Target], cells: Cells, n_draws: int, by_target: bool, seed: int
) -> tuple[list[list[IntArray]], list[int]]:
    """Random sets of the same size and in the same cells.

    Targets of one selection and size share their controls, which have the mean of the targets' cells; with
    ``by_target`` each has its own, in exactly its cells. A control holds none of its targets' neurons, as long
    as the layer has others: a cell that is too small is filled from the nearest bins of its layer, and only
    then from the targets' own neurons.

    Returns
    -------
    families : list of lists of flat indices
        ``n_draws`` sets a family.
    family_of : list of int
        For each target, its family.
    """
    shared: dict[tuple[object, ...], list[int]] = {}
    for i, target in enumerate(targets):
        key = (i,) if by_target else (target.selection, len(target.neurons))
        shared.setdefault(key, []).append(i)
    families: list[list[IntArray]] = []
    family_of = [0] * len(targets)
    for number, members in enumerate(shared.values()):
        need = round_to_sum(np.mean([cells.profile(targets[i].neurons) for i in members], axis=0))
        avoid = np.zeros(len(cells.of), dtype=bool)
        avoid[np.concatenate([targets[i].neurons for i in members])] = True
        # Not by the place in the list: the order of the targets changes no control.
        rng = np.random.default_rng([seed, cells.n_bins, crc32(avoid.tobytes()), *need.tolist()])
        free = {int(cell): np.flatnonzero((cells.of == cell) & ~avoid) for cell in np.flatnonzero(need)}
        families.append([_draw(rng, need, free, cells, avoid) for _ in range(n_draws)])
        for i in members:
            family_of[i] = number
    return families, family_of


def grow_controls(
    targets: Sequence[Target], cells: Cells, n_draws: int, size: Size, seed: int
) -> tuple[list[list[IntArray]], list[int]]:
    """Random sets that remove as much as the targets do, for targets that were chosen by one norm.

    A control is a random order of the neurons of the targets' cells, cut where the norm is reached. Cells come in as
    often as on average over the targets (order by Exp(1) / weight: Efraimidis and Spirakis 2006), until one is used
    up; the targets' own neurons come last. All targets share one family, as `draw_controls` returns them.
    """
    need = np.mean([cells.profile(target.neurons) / len(target.neurons) for target in targets], axis=0)
    avoid = np.zeros(len(cells.of), dtype=bool)
    avoid[np.concatenate([target.neurons for target in targets])] = True
    drawn_from = np.flatnonzero(need[cells.of])
    of_cell = np.bincount(cells.of * 2 + avoid, minlength=2 * len(need)).reshape(-1, 2)
    weight = need[cells.of] / of_cell[cells.of, avoid.astype(np.int64)]
    rng = np.random.default_rng([seed, cells.n_bins, crc32(avoid.tobytes())])
    orders = []
    for _ in range(n_draws):
        place = rng.exponential(size=len(drawn_from)) / weight[drawn_from]
        orders.append(drawn_from[np.lexsort((place, avoid[drawn_from]))])
    found = shortest(orders, targets[0].norm, size)
    family = [grown if len(grown) else np.sort(order) for order, grown in zip(orders, found, strict=True)]
    return [family], [0] * len(targets)


def _draw(rng: np.random.Generator, need: IntArray, free: dict[int, IntArray], cells: Cells, avoid: Mask) -> IntArray:
    """One control; ``free`` are the neurons of each needed cell that are not to be avoided."""
    taken = np.zeros(len(avoid), dtype=bool)
    missing = {}
    for cell, neurons in free.items():
        n = min(int(need[cell]), len(neurons))
        taken[rng.choice(neurons, size=n, replace=False)] = True
        missing[cell] = int(need[cell]) - n
    for cell, n in missing.items():
        if n:
            taken[_nearest(rng, cell, n, cells, avoid, taken)] = True
    return np.flatnonzero(taken)


def _nearest(rng: np.random.Generator, cell: int, n: int, cells: Cells, avoid: Mask, taken: Mask) -> IntArray:
    """Free neurons of a cell's layer: first those not to be avoided, of the nearest bins, drawn among equals."""
    free = np.flatnonzero((cells.of // cells.n_bins == cell // cells.n_bins) & ~taken)
    order = np.lexsort((rng.random(len(free)), np.abs(cells.of[free] - cell), avoid[free]))
    return free[order[:n]]


def round_to_sum(shares: FloatArray) -> IntArray:
    """Largest-remainder rounding that keeps the (whole) sum."""
    floor = np.floor(shares).astype(np.int64)
    short = round(float(shares.sum())) - int(floor.sum())
    floor[np.argsort(floor - shares, kind="stable")[:short]] += 1
    return floor
