"""Read and change neurons: context managers on the input of each block's MLP output projection.

What enters that projection is what left the activation function (gate included), so positive means
"fires". Hooks are put on the modules an encoder names in ``projections`` and are removed on exit,
also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.arrays.neurons import Neuron, layer_starts
from core.encoders.base import Batch, Encoder

_VALUES_AT_ONCE = {True: 2**17, False: 2**27}
"""Activations summed together on a CPU (True), where they should stay in the cache, and elsewhere."""


@dataclass
class Counts:
    """What one forward pass told about the neurons, clip by clip.

    Attributes
    ----------
    positive : Tensor of int32, shape (n_clips, n_neurons)
        Counted tokens with activation > 0, or above the unit's own threshold.
    total : Tensor of float32, shape (n_clips, n_neurons)
        Sum of activations over the counted tokens.
    tokens : Tensor of int32, shape (n_clips,)
        Counted tokens.
    """

    positive: Tensor
    total: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class Change:
    """What is done to some neurons in every token: activation times ``factor`` plus ``shift``.

    Attributes
    ----------
    neurons : ndarray of int, shape (n,)
        Flat indices.
    factor : float
    shift : ndarray of float, shape (n,), or None
        None = 0; a factor of 1 then changes no bit.
    """

    neurons: NDArray[np.int64]
    factor: float = 0.0
    shift: NDArray[np.floating] | None = None


@contextmanager
def record(
    encoder: Encoder, batch: Batch, then: Callable[[int, Tensor, Counts], None] | None = None
) -> Iterator[Counts]:
    """Count tokens in which each neuron fires while ``encoder`` runs forward on ``batch``.

    Reduction happens inside the hooks, on the device, layer by layer: nothing of the size
    (tokens, neurons) outlives its layer.

    Parameters
    ----------
    then : callable, optional
        Called with each layer's number, its activations above the threshold at which neurons fire (0, unless the
        encoder has others) and the counts, once those have that layer.

    Yields
    ------
    Counts
        Filled by the forward pass inside the ``with`` block.
    """
    device = batch.counted.device
    shape = (batch.n_clips, encoder.n_neurons)
    tokens = torch.zeros(batch.n_clips, dtype=torch.int32, device=device)
    tokens.index_add_(0, batch.clip, batch.counted.sum(1, dtype=torch.int32))
    counts = Counts(
        positive=torch.zeros(shape, dtype=torch.int32, device=device),
        total=torch.zeros(shape, dtype=torch.float32, device=device),
        tokens=tokens,
    )
    starts = layer_starts(encoder.layer_widths)
    at_once = _VALUES_AT_ONCE[device.type == "cpu"]
    kept: dict[torch.Size, Tensor] = {}  # room for one comparison, used again and again
    is_a_row_each = len(batch.clip) == batch.n_clips and bool((batch.clip.diff() == 1).all())

    def observe(layer: int, activation: Tensor) -> None:
        columns = slice(starts[layer], starts[layer + 1])
        threshold = 0 if encoder.thresholds is None else encoder.thresholds[layer]
        weights = encoder.counted(layer, batch).float()[:, None]  # (rows, 1, tokens)
        n_rows = max(1, at_once // max(1, activation[0].numel()))
        for start in range(0, len(activation), n_rows):
            rows = slice(start, start + n_rows)
            part = activation[rows].float()
            fires = kept[part.shape] if part.shape in kept else kept.setdefault(part.shape, torch.empty_like(part))
            torch.gt(part, threshold, out=fires)
            # As products with the weights, which read the activations once; exact, the counts lie far below 2**24.
            positive, total = torch.bmm(weights[rows], fires)[:, 0], torch.bmm(weights[rows], part)[:, 0]
            if is_a_row_each:
                counts.positive[rows, columns].copy_(positive)
                counts.total[rows, columns].add_(total)
            else:
                counts.positive[:, columns].index_add_(0, batch.clip[rows], positive.to(torch.int32))
                counts.total[:, columns].index_add_(0, batch.clip[rows], total)

    with ExitStack() as hooks:
        for layer, projection in enumerate(encoder.projections):

            def hook(module: nn.Module, inputs: tuple[Tensor, ...], layer: int = layer) -> None:
                with torch.autocast(device.type, enabled=False):
                    observe(layer, inputs[0])
                    if then:
                        above = inputs[0] if encoder.thresholds is None else inputs[0] - encoder.thresholds[layer]
                        then(layer, above, counts)

            hooks.callback(projection.register_forward_pre_hook(hook).remove)
        yield counts


@contextmanager
def scale(encoder: Encoder, neurons: Sequence[Neuron], gain: float) -> Iterator[None]:
    """Multiply the output of some neurons by a gain in every forward pass inside the block.

    Parameters
    ----------
    encoder : Encoder
    neurons : sequence of (layer, index)
    gain : float
        0 deactivates, between 0 and 1 weakens, over 1 strengthens, 1 changes nothing.

    Raises
    ------
    ValueError
        If a neuron lies outside the model.
    """
    with scale_conditions(encoder, [neurons], gain):
        yield


@contextmanager
def scale_conditions(encoder: Encoder, conditions: Sequence[Sequence[Neuron]], gain: float) -> Iterator[None]:
    """As `scale`, for several sets of neurons in one forward pass.

    The rows of the batch must be ``len(conditions)`` equal copies, copy after copy (see
    ``Batch.repeat``); copy ``i`` has the neurons of ``conditions[i]`` scaled.
    """
    starts = layer_starts(encoder.layer_widths)
    for layer, index in (neuron for neurons in conditions for neuron in neurons):
        if not (0 <= layer < encoder.n_layers and 0 <= index < encoder.layer_widths[layer]):
            raise ValueError(
                f"neuron ({layer}, {index}) is not in {encoder.name}, whose layers have "
                f"{list(encoder.layer_widths)} neurons; both numbers count from 0"
            )
    flat = [np.array([starts[layer] + index for layer, index in neurons], dtype=np.int64) for neurons in conditions]
    with change_conditions(encoder, [Change(neurons, gain) for neurons in flat]):
        yield


@contextmanager
def change_conditions(encoder: Encoder, changes: Sequence[Change]) -> Iterator[None]:
    """One change a copy in every forward pass inside the block, copies as for `scale_conditions`."""
    starts = layer_starts(encoder.layer_widths)
    factors = np.ones((len(changes), encoder.n_neurons), dtype=np.float32)
    shifts = np.zeros_like(factors) if any(change.shift is not None for change in changes) else None
    for i, change in enumerate(changes):
        factors[i, change.neurons] = change.factor
        if shifts is not None and change.shift is not None:
            shifts[i, change.neurons] = change.shift
    touched = np.histogram(np.concatenate([change.neurons for change in changes]), bins=starts)[0]

    def on_device(values: NDArray[np.float32], layer: int) -> Tensor:
        return torch.from_numpy(values[:, starts[layer] : starts[layer + 1]]).to(encoder.device)

    with ExitStack() as hooks:
        for layer in np.flatnonzero(touched).tolist():
            factor = on_device(factors, layer)
            shift = None if shifts is None else on_device(shifts, layer)

            def hook(
                module: nn.Module, inputs: tuple[Tensor, ...], factor: Tensor = factor, shift: Tensor | None = shift
            ) -> tuple[Tensor, ...]:
                copies = inputs[0].unflatten(0, (len(changes), -1))
                by_copy = (slice(None),) + (None,) * (copies.ndim - 2)
                changed = copies * factor.to(copies.dtype)[by_copy]
                if shift is not None:
                    changed += shift.to(copies.dtype)[by_copy]
                return (changed.flatten(0, 1), *inputs[1:])

            hooks.callback(encoder.projections[layer].register_forward_pre_hook(hook).remove)
        yield


@contextmanager
def keep(encoder: Encoder, layers: Collection[int]) -> Iterator[dict[int, Tensor]]:
    """Keep the activations of some layers of the latest forward pass, as they enter the projection."""
    kept: dict[int, Tensor] = {}
    with ExitStack() as hooks:
        for layer in layers:

            def hook(module: nn.Module, inputs: tuple[Tensor, ...], layer: int = layer) -> None:
                kept[layer] = inputs[0]

            hooks.callback(encoder.projections[layer].register_forward_pre_hook(hook).remove)
        yield kept
