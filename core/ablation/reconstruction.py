"""What a linear head loses when a block's output is replaced by what an autoencoder makes of it.

The usual floor beside it is the block's mean output in every token: *recovered* is the share of that floor's loss which
the reconstruction does not have (Gao et al. 2024, arXiv 2406.04093, section 4.1; Rajamanoharan et al. 2024,
arXiv 2404.16014). Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.ablation.conditions import whole_pass
from core.ablation.effects import Resamples, best_classes, hits
from core.ablation.outcomes import log_probabilities
from core.encoders.base import Batch, Encoder
from core.probes.linear import LinearHead
from core.recording.passes import Passes, autocast
from core.recording.waveforms import Waveforms
from core.results import FloatArray, IntArray, Mask
from core.units.sae import SparseCode

LEVEL = (2.5, 97.5)


@dataclass(frozen=True)
class Replaced:
    """What takes the place of some blocks' outputs.

    Attributes
    ----------
    codes : mapping of int to SparseCode
        By layer.
    means : mapping of int to Tensor, (width,)
        Mean output of the same layers.
    """

    codes: Mapping[int, SparseCode]
    means: Mapping[int, Tensor]

    @property
    def layers(self) -> list[int]:
        """In order."""
        return sorted(self.codes)

    def of(self, layer: int, hidden: Tensor) -> list[Tensor]:
        """A block's output as it is reconstructed, and as its mean."""
        return [
            self.codes[layer].reconstructed(hidden).to(hidden.dtype),
            self.means[layer].to(hidden).expand_as(hidden),
        ]


@torch.inference_mode()
def logits(
    encoder: Encoder,
    head: LinearHead,
    batches: Iterable[Waveforms],
    replaced: Replaced,
    passes: Passes,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """A head's logits with each layer replaced, and at the end with none.

    Parameters
    ----------
    encoder : Encoder
        Whose blocks' outputs are replaced.
    batches : iterable of sequences of ndarray
        Waveforms.
    progress : callable, optional
        Called with the number of clips done.

    Returns
    -------
    ndarray, shape (2 * n_layers + 1, n_clips, n_known)
        Reconstructed and mean of each layer in turn; of the classes that the head knows.
    """
    found = []
    done = 0
    for sounds in batches:
        batch = encoder.prepare(sounds, passes.padding)
        with autocast(encoder, passes.precision):
            hidden = whole_pass(encoder, batch, set()).hidden
            states = [
                _onward(encoder, layer + 1, state, batch)
                for layer in replaced.layers
                for state in replaced.of(layer, hidden[layer + 1])
            ]
            states.append(encoder.finish(hidden[-1], batch))
        found.append(np.stack([head.logits(state.float().cpu().numpy()) for state in states]))
        done += len(sounds)
        if progress:
            progress(done)
    return np.concatenate(found, axis=1)


def _onward(encoder: Encoder, layer: int, state: Tensor, batch: Batch) -> Tensor:
    for after in range(layer, encoder.n_layers):
        state = encoder.block(after, state, batch)
    return encoder.finish(state, batch)


def losses(
    answers: NDArray[np.float32], members: Mask, several: bool, units: IntArray, layers: Sequence[int], seed: int
) -> pd.DataFrame:
    """What each layer's replacement costs, over all clips.

    Parameters
    ----------
    answers : ndarray, shape (2 * n_layers + 1, n_clips, n_classes)
        From `logits`, over all classes; NaN for one that a head does not know.
    members : ndarray of bool, shape (n_clips, n_classes)
    several : bool
        Whether clips may have several labels.
    units : ndarray of int, shape (n_clips,)
        Sampling unit of each clip, over which intervals are bootstrapped.

    Returns
    -------
    DataFrame
        One row a layer: ``layer``, ``n_clips``; ``accuracy`` with nothing replaced, ``accuracy_reconstructed``,
        ``accuracy_mean`` (best class among the clip's); ``log_prob`` of the own class with nothing replaced (nats), and
        its change ``change_reconstructed`` and ``change_mean``, each with ``_low`` and ``_high`` (95 %); ``recovered``,
        1 - one change over the other, with its interval.
    """
    log_p = log_probabilities(answers, members, several)
    asked = ~np.isnan(log_p[-1])  # others' classes the head does not know
    answers, members, units, log_p = answers[:, asked], members[asked], units[asked], log_p[:, asked]
    right = hits(np.stack([best_classes(each, int(members.sum(axis=1).max())) for each in answers]), members)[..., -1]
    every = Resamples.of(members, units, seed).weights[0]
    of_clips = np.ones((1, len(members)))
    weights = of_clips if every is None else np.concatenate([of_clips, every])
    means: FloatArray = weights @ log_p.T / weights.sum(axis=1, keepdims=True)
    changes = means[:, :-1] - means[:, -1:]
    rows = []
    for i, layer in enumerate(layers):
        by_code, by_mean = changes[:, 2 * i], changes[:, 2 * i + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            recovered = 1 - by_code / by_mean
        row: dict[str, float] = {"layer": layer, "n_clips": len(members), "log_prob": means[0, -1]}
        named = {"change_reconstructed": by_code, "change_mean": by_mean, "recovered": recovered}
        for name, values in named.items():
            low, high = np.nanpercentile(values[1:], LEVEL) if every is not None else (np.nan, np.nan)
            row |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
        accuracies = zip(("accuracy_reconstructed", "accuracy_mean", "accuracy"), (2 * i, 2 * i + 1, -1), strict=True)
        rows.append(row | {name: right[condition].mean() for name, condition in accuracies})
    return pd.DataFrame(rows)
