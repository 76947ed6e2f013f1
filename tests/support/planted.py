"""Networks whose every weight is known, and a dataset whose classes one of them was made for.

`ToyEncoder` is the smallest network with everything that the study needs: tokens are frames of
samples, a long clip takes several rows, a block is ``x + proj(relu(fc(x)))``. `planted_encoder`
builds one of 3 layers x 20 neurons for the tones that `write_tones` writes:

- neurons 0 to 3 of each layer answer to one tone each, and are all that the embedding tells of it;
- neuron 4 of each layer always fires, neuron 5 never;
- the rest answer to other sounds, which are the same in every class.

The class ``none`` has no tone, so no neuron; a clip whose tone the network lost looks like it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.datasets import manifest
from core.datasets.base import Clip, Dataset
from core.datasets.levels import BAND_FEATURES, LEVEL_FEATURES
from core.datasets.scan import Scan, scan
from core.encoders.base import Batch, Encoder, Padding, mean_over_clips

SAMPLE_RATE = 16_000
FRAME = 400
TONES = {"a": 400, "b": 800, "c": 1200, "d": 1600}
OTHER_TONES = (2000, 2400, 2800, 3200, 3600)
CLASSES = (*TONES, "none")
N_LAYERS, WIDTH = 3, 20
CLIPS = {"train": 16, "valid": 4, "test": 10}
"""Clips of each class in each split."""


class ToyBlock(nn.Module):
    """``x + proj(relu(fc(x)))``; the neurons are what enters ``proj``."""

    def __init__(self, fc: NDArray, bias: NDArray, proj: NDArray) -> None:
        super().__init__()
        self.fc, self.proj = nn.Linear(*fc.shape[::-1]), nn.Linear(*proj.shape[::-1], bias=False)
        with torch.no_grad():
            self.fc.weight.copy_(torch.from_numpy(fc))
            self.fc.bias.copy_(torch.from_numpy(bias))
            self.proj.weight.copy_(torch.from_numpy(proj))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.proj(torch.relu(self.fc(x)))


class ToyEncoder(Encoder):
    """Frames of samples -> features -> blocks -> mean of the last ``n_features`` dimensions.

    Parameters
    ----------
    features : callable
        Frames (..., frame) -> hidden state (..., width).
    frame : int
        Samples of a token.
    chunk : int
        Most tokens of a row.
    """

    sample_rate = SAMPLE_RATE
    weights_key = "toy"

    def __init__(
        self,
        blocks: Sequence[ToyBlock],
        features: Callable[[Tensor], Tensor],
        frame: int,
        chunk: int,
        n_features: int,
        name: str = "toy",
    ) -> None:
        self.module = self.blocks = nn.ModuleList(blocks).eval()
        self.features, self.frame, self.chunk = features, frame, chunk
        self.n_features, self.name = n_features, name
        self.layer_widths = tuple(block.proj.in_features for block in blocks)

    @property
    def projections(self) -> list[nn.Linear]:
        return [block.proj for block in self.blocks]

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        rows, clip, n_samples = [], [], []
        span = self.frame * self.chunk
        for i, waveform in enumerate(waveforms):
            for start in range(0, len(waveform), span):
                piece = torch.from_numpy(waveform[start : start + span])
                rows.append(F.pad(piece, (0, span - len(piece))))
                clip.append(i)
                n_samples.append(len(piece))
        end = torch.arange(1, self.chunk + 1)[None] * self.frame
        length = torch.tensor(n_samples)[:, None]
        present = end - self.frame < length
        return Batch(
            inputs=torch.stack(rows).unflatten(1, (self.chunk, self.frame)),
            clip=torch.tensor(clip),
            n_clips=len(waveforms),
            present=present,
            counted=end <= length if padding == "exclude" else present,
        )

    def begin(self, batch: Batch) -> Tensor:
        return self.features(batch.inputs)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.blocks[layer](hidden)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        told = hidden[..., -self.n_features :] * batch.present[..., None]
        return mean_over_clips(told.sum(1), batch.present.sum(1), batch)


def random_encoder(seed: int = 0, widths: Sequence[int] = (5, 7, 4)) -> ToyEncoder:
    """Random weights; frames of 4 samples are the hidden state, up to 6 tokens a row."""
    rng = np.random.default_rng(seed)
    blocks = [ToyBlock(rng.normal(size=(n, 4)), rng.normal(size=n), rng.normal(size=(4, n))) for n in widths]
    return ToyEncoder(blocks, lambda frames: frames, frame=4, chunk=6, n_features=4, name="random")


def planted_neurons() -> dict[str, list[int]]:
    """Flat indices of the neurons that answer to each class."""
    return {name: [layer * WIDTH + k for layer in range(N_LAYERS)] for k, name in enumerate(TONES)}


def planted_encoder() -> ToyEncoder:
    """The network made for the tones; embedding = the four tones' dimensions and one of the rest."""
    bands = (*TONES.values(), *OTHER_TONES)
    n_tones, n_bands = len(TONES), len(bands)
    n_out = n_tones + 1
    rng = np.random.default_rng(5)
    blocks = []
    for _ in range(N_LAYERS):
        fc = np.zeros((WIDTH, n_bands + n_out))
        proj = np.zeros((n_bands + n_out, WIDTH))
        bias = np.full(WIDTH, -0.05)
        for k in range(n_tones):
            fc[k, k] = 1.0
            proj[n_bands + k, k] = 1.0
        bias[4], bias[5] = 1.0, -9.0
        fc[6:, n_tones:n_bands] = rng.normal(size=(WIDTH - 6, len(OTHER_TONES)))
        proj[-1, 4:] = 0.1
        blocks.append(ToyBlock(fc, bias, proj))
    angle = 2 * np.pi * np.outer(np.arange(FRAME), bands) / SAMPLE_RATE
    cosine, sine = (torch.from_numpy(2 / FRAME * f(angle)).float() for f in (np.cos, np.sin))

    def tone_levels(frames: Tensor) -> Tensor:
        levels = ((frames @ cosine) ** 2 + (frames @ sine) ** 2).sqrt()
        return F.pad(levels, (0, n_out))

    return ToyEncoder(blocks, tone_levels, FRAME, chunk=6, n_features=n_out, name="planted")


def write_tones(folder: Path, shuffle_labels: int | None = None) -> None:
    """Write the clips and their ``manifest.csv``, with one attribute, ``tone``.

    Clip ``i`` of each class is as long as clip ``i`` of every other, and holds the same other tones.

    Parameters
    ----------
    shuffle_labels : int, optional
        Seed; the labels are then dealt anew over the clips of each split.
    """
    folder.mkdir(parents=True)
    rows = []
    for split, n_clips in CLIPS.items():
        for i in range(n_clips):
            rng = np.random.default_rng([i, *split.encode()])
            n_samples = int(rng.integers(4 * FRAME, 9 * FRAME))
            others = [f for f in OTHER_TONES if rng.random() < 0.5]
            for name in CLASSES:
                phases = np.random.default_rng([i, *name.encode()]).uniform(0, 2 * np.pi, 9)
                tones = [*others, *([TONES[name]] if name in TONES else [])]
                file = f"{split}-{name}-{i}.wav"
                soundfile.write(folder / file, _sum_of_tones(tones, phases, n_samples), SAMPLE_RATE)
                rows.append({"file": file, "split": split, "tone": name})
    table = pd.DataFrame(rows)
    if shuffle_labels is not None:
        rng = np.random.default_rng(shuffle_labels)
        table["tone"] = table.groupby("split")["tone"].transform(lambda t: rng.permutation(t.to_numpy()))
    table.to_csv(folder / manifest.FILE, index=False)


def _sum_of_tones(frequencies: Sequence[int], phases: NDArray, n_samples: int) -> NDArray:
    time = np.arange(n_samples) / SAMPLE_RATE
    tones = (0.15 * np.sin(2 * np.pi * f * time + p) for f, p in zip(frequencies, phases, strict=False))
    return sum(tones, np.zeros(n_samples))


def scan_tones(folder: Path, shuffle_labels: int | None = None) -> Scan:
    """Write the clips to ``folder / "tones"`` and look at them once."""
    write_tones(folder / "tones", shuffle_labels)
    return scan(manifest.read(folder / "tones"), folder / "scans" / "tones.csv")


def scan_without_files(clips: Sequence[tuple[str, dict[str, str]]], attributes: tuple[str, ...]) -> Scan:
    """A scan of clips, each (split, labels), that lie nowhere; all are equally loud and long."""
    made = [Clip(f"{i}.wav", split, labels) for i, (split, labels) in enumerate(clips)]
    alike = dict.fromkeys((*LEVEL_FEATURES, *BAND_FEATURES), 1.0)
    files = pd.DataFrame({"path": [c.path for c in made], "sha256": "", **alike})
    return Scan(Dataset("made", Path("made"), attributes, tuple(made)), files, ())
