"""The stage that keeps what is known of units that were found: how well, and whether another seed finds them again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from core.arrays.neurons import layer_starts
from core.results import FoundUnits
from core.run.stages.base import Stage
from core.run.study import Study
from core.units import files as kept
from core.units.encoder import UnitEncoder
from core.units.kinds import KINDS

_OF_AUTOENCODER = {
    "origin": "", "architecture": "", "k": None, "n_steps": None, "seed": None, "explained_variance": np.nan,
    "n_active": np.nan, "dead_share": np.nan, "n_tokens": None,
}  # fmt: skip


@dataclass(frozen=True)
class Found(Stage):
    """Autoencoders of a model, and every unit's best partner among those of another seed."""

    part = "score"
    study: Study

    @property
    def wanted(self) -> bool:
        return self.part in self.study.config.stages and KINDS[self.study.encoder.unit_kind].is_found

    @cached_property
    def _told(self) -> dict[str, Any]:
        encoder = self.study.encoder
        assert isinstance(encoder, UnitEncoder)
        read = kept.read(
            kept.path_of(self.study.files, encoder.encoder, encoder.unit_kind), encoder.encoder, encoder.unit_kind
        )
        assert read is not None, "a family's units lie beside the store"
        return read[1]

    @property
    def key(self) -> str:
        facts = {name: value for name, value in self._told.items() if name != "twins"}
        return self.study.key("units found", hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest())

    def run(self) -> FoundUnits:
        widths, told = self.study.encoder.layer_widths, self._told
        starts, layers = layer_starts(widths), told.get("layers", {})
        autoencoders = pd.DataFrame(
            [{"layer": int(n), "n_features": widths[int(n)], **_OF_AUTOENCODER, **facts} for n, facts in layers.items()]
        )
        twins = [
            pd.DataFrame({
                "neuron_index": starts[layer] + np.arange(widths[layer]),
                "cosine": of_layer.cosine.numpy(),
                "is_mutual": of_layer.is_mutual.numpy().astype(np.int64),
                "null_cosine_high": of_layer.null_high,
            })
            for layer, of_layer in sorted(told["twins"].items())
        ]  # fmt: skip
        return FoundUnits(autoencoders, pd.concat(twins, ignore_index=True) if twins else pd.DataFrame())
