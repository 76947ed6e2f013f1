"""What the Hugging Face encoders share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from core.encoders.base import Batch, Encoder
from core.encoders.hf.checkpoint import Checkpoint
from core.encoders.structure import mlp_projections


class HuggingFaceEncoder(Encoder):
    """A transformers network cut at its blocks.

    Parameters
    ----------
    checkpoint : Checkpoint
    network : nn.Module
    blocks : sequence of modules
        The transformer blocks, in order.
    widths : int or sequence of int
        Width of the residual stream.
    n_layers : int
        As the configuration tells.
    family : str
        For the description.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        network: nn.Module,
        blocks: Sequence[nn.Module],
        widths: int | Sequence[int],
        n_layers: int,
        family: str,
    ) -> None:
        self._projections = mlp_projections(blocks, widths, n_layers)
        self.blocks = list(blocks)
        self.module = network.eval().requires_grad_(False)
        self.layer_widths = tuple(projection.in_features for projection in self._projections)
        self.name = f"hf:{checkpoint.name}"
        self.weights_key = checkpoint.weights_key
        self.licence = checkpoint.licence
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        self.description = f"{family}, {millions:.3g} M parameters, {n_layers} layers"
        if checkpoint.settings is None:
            self.description += "; no preprocessor_config.json, so transformers' default features"

    @property
    def projections(self) -> list[nn.Linear]:
        return self._projections

    def _batch(self, inputs: Tensor, clip: Tensor, n_clips: int, present: Tensor, counted: Tensor) -> Batch:
        """A batch on the encoder's device; the masks are made on the CPU."""
        clip, present, counted = (tensor.to(self.device) for tensor in (clip, present, counted))
        return Batch(inputs, clip, n_clips, present, counted)
