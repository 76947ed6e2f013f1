"""An encoder whose units are others than its neurons: the same passes, recorded and changed at other places.

Units of a block's output are read from it, and what a change makes of them is written back as the difference, so that a
pass in which nothing is changed keeps every bit. Those of an attention head scale what the head gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.base import Batch, Encoder, Padding
from core.results import TokenGrid
from core.units.kinds import KINDS, LOW, unit_model


class Values(nn.Linear):
    """Hands on what enters it, where hooks read and change it; the weight is what each unit writes to the stream."""

    def __init__(self, written: Tensor) -> None:
        """``written`` (width of the stream, n_units)."""
        super().__init__(1, 1, bias=False, device="meta")  # nothing is drawn
        self.out_features, self.in_features = written.shape
        self.weight = nn.Parameter(written, requires_grad=False)

    def forward(self, units: Tensor) -> Tensor:
        """As they are."""
        return units


class Code(nn.Module):
    """Units as linear functions of the stream: the columns of an orthogonal matrix, (width, n_units)."""

    def __init__(self, directions: Tensor) -> None:
        super().__init__()
        self.directions = nn.Parameter(directions, requires_grad=False)

    @property
    def written(self) -> Tensor:
        """What each unit writes to the stream, (width, n_units)."""
        return self.directions

    def forward(self, stream: Tensor) -> Tensor:
        """(..., width) to (..., n_units)."""
        return stream @ self.directions.to(stream.dtype)


class Coordinates(Code):
    """The stream's own coordinates, all with one sign: what the product with that matrix gives, without it."""

    def forward(self, stream: Tensor) -> Tensor:
        return stream if self.directions[0, 0] > 0 else -stream


def linear_code(kind: str, directions: Tensor) -> Code:
    """Units of a kind along directions, (width, n_units)."""
    return (Coordinates if kind.partition(LOW)[0] == "residual" else Code)(directions)


class StreamPlace(nn.Module):
    """Units of a block's output."""

    def __init__(self, code: nn.Module) -> None:
        super().__init__()
        self.code = code
        written = code.written
        assert isinstance(written, Tensor)
        self.values = Values(written)

    def forward(self, stream: Tensor) -> Tensor:
        """The stream, changed by what hooks on ``values`` change."""
        units = self.code(stream.detach())  # no gradient goes through the units: they are places to look at
        if torch.is_grad_enabled():
            units.requires_grad_()
        seen = self.values(units)
        if seen is units and not units.requires_grad:
            return stream
        written = (seen - units.detach()) @ self.values.weight.T.to(stream.dtype)
        return stream + written


class HeadPlace(nn.Module):
    """Attention heads, by the length of what each gives; a change makes that longer or shorter."""

    def __init__(self, n_heads: int, width: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.values = Values(torch.zeros(width, n_heads))

    def forward(self, given: Tensor) -> Tensor:
        """What heads give, one beside the other, (..., n_heads * n), changed by what hooks on ``values`` change."""
        heads = given.unflatten(-1, (self.n_heads, -1))
        length = torch.linalg.vector_norm(heads.detach(), dim=-1)
        if torch.is_grad_enabled():
            length.requires_grad_()
        seen = self.values(length)
        if seen is length and not length.requires_grad:
            return given
        times = seen / length.detach().clamp_min(torch.finfo(length.dtype).tiny)
        return (heads * times[..., None]).flatten(-2)


def head_places(encoder: Encoder) -> list[HeadPlace]:
    """A place for the heads of each block.

    Raises
    ------
    InputError
        If the encoder's attention is not found by its structure.
    """
    n_heads = encoder.n_heads
    widths = [projection.in_features for projection in encoder.attention_outputs]
    return [HeadPlace(n_heads, width).to(encoder.device) for width in widths]


class UnitEncoder(Encoder):
    """An encoder seen through other units.

    Parameters
    ----------
    encoder : Encoder
        Or another `UnitEncoder` of it: a pass then shows the units of both.
    kind : str
        Of `core.units.kinds.KINDS`.
    places : sequence of StreamPlace or HeadPlace
        One a layer, on the encoder's device.
    thresholds : sequence of Tensor, each (n_units,), or None
        Above which a unit of each layer is active; None = 0.
    """

    def __init__(
        self, encoder: Encoder, kind: str, places: Sequence[nn.Module], thresholds: Sequence[Tensor] | None
    ) -> None:
        self.encoder, self.unit_kind = encoder, kind
        self.places = nn.ModuleList(places)
        self.thresholds = None if thresholds is None else [one.to(encoder.device) for one in thresholds]
        self.encoder_name = encoder.encoder_name or encoder.name
        self.name = unit_model(self.encoder_name, kind)
        self.sample_rate, self.n_features = encoder.sample_rate, encoder.n_features
        self.module = encoder.module
        self.layer_widths = tuple(projection.in_features for projection in self.projections)
        self.weights_key = _key(self)
        self.description = f"{KINDS[kind].meaning}; active {KINDS[kind].rule}"
        self.licence = encoder.licence
        self.ends_with_mlp = isinstance(places[0], StreamPlace)
        self._outputs = [] if self.ends_with_mlp else encoder.attention_outputs

    def through(self, inner: Encoder) -> Encoder:
        outer = copy(self)
        outer.encoder = inner
        return outer

    @property
    def projections(self) -> list[nn.Linear]:
        return [place.values for place in self.places]  # type: ignore[misc]

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        return self.encoder.prepare(waveforms, padding)

    def begin(self, batch: Batch) -> Tensor:
        return self.encoder.begin(batch)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        place = self.places[layer]
        if isinstance(place, StreamPlace):
            return place(self.encoder.block(layer, hidden, batch))
        handle = self._outputs[layer].register_forward_pre_hook(lambda _, inputs: (place(inputs[0]), *inputs[1:]))
        try:
            return self.encoder.block(layer, hidden, batch)
        finally:
            handle.remove()

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        return self.encoder.finish(hidden, batch)

    def counted(self, layer: int, batch: Batch) -> Tensor:
        return self.encoder.counted(layer, batch)

    def token_grid(self, layer: int) -> TokenGrid:
        return self.encoder.token_grid(layer)

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        return self.encoder.token_places(layer, n_tokens)

    @property
    def attention_outputs(self) -> list[nn.Linear]:
        return self.encoder.attention_outputs

    @property
    def n_heads(self) -> int:
        return self.encoder.n_heads


def _key(encoder: UnitEncoder) -> str:
    """sha256 of the encoder's own key and all that makes its units."""
    base = encoder.encoder
    while isinstance(base, UnitEncoder):
        base = base.encoder
    digest = hashlib.sha256(f"{base.weights_key} {encoder.unit_kind}".encode())
    for tensor in [*encoder.places.state_dict().values(), *(encoder.thresholds or ())]:
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()
