"""ATST-Frame: a ViT without class token whose patches are whole columns of 40 ms.

Written from the paper and the names in the published files; none of the authors' code is part of this project.
Source: Li, Shao and Li, "Self-supervised Audio Teacher-Student Transformer for Both Clip-level and Frame-level Tasks"
(TASLP 2024), repository Audio-WestlakeU/audiossl, methods/atstframe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.encoders.mel import band_edges
from core.encoders.vit.blocks import block_shapes
from core.encoders.vit.encoder import RATE, Features, PatchEncoder, describe
from core.encoders.vit.network import Shapes, layer_norm, vit
from core.encoders.vit.state import Naming, WeightsFile, n_blocks, reading, size, taken, within

N_MELS, N_FFT, HOP = 64, 1024, 160
BAND = (60.0, 7800.0)
"""Hz between which the mel filters lie."""
PATCH = 4
"""Frames."""
RANGE = (-79.6482, 50.6842)
"""Decibels that become -1 and 1."""
TOP = 80.0
"""Decibels under a clip's loudest that are the least."""
FRAMES_AT_ONCE = 30_000
"""Of one spectrum (5 minutes), so that an hour of sound needs no more memory."""

PREFIXES = ("model.teacher.encoder.", "encoder.encoder.", "")
"""Of the encoder's tensors: as trained, of which the teacher counts; fine-tuned; saved alone."""
NAMING = Naming(
    "an ATST-Frame encoder",
    {"patch_embed": "patch_embed.patch_embed", "positions": "pos_embed", "norm": "norm_frame"},
    ("mask_embed", "head."),
    ("blocks.", "norm", "patch_embed.", "pos_embed", "prompt_embed"),
)


class DecibelFrontEnd:
    """Log mel in decibels, at most 80 under a clip's loudest, in chunks of as many frames as there are positions for.

    Windows of 64 ms every 10 ms, mirrored at the ends. As in the authors' code a chunk has one frame more than its
    patches take, and frames behind the last whole patch are left out. A clip too short to be mirrored is filled with
    zeros.
    """

    def __init__(self, columns: int) -> None:
        self.hop, self.chunk = HOP, columns * PATCH + 1
        self.mel = torchaudio.transforms.MelSpectrogram(
            RATE, N_FFT, hop_length=HOP, f_min=BAND[0], f_max=BAND[1], n_mels=N_MELS, center=False
        )

    def to(self, device: str) -> DecibelFrontEnd:
        self.mel.to(device)
        return self

    def features(self, waveforms: Sequence[NDArray[np.float32]]) -> Features:
        rows: list[Tensor] = []
        clip: list[int] = []
        for i, waveform in enumerate(waveforms):
            chunks = self._levels(waveform).split(self.chunk)
            whole = [chunk[: len(chunk) // PATCH * PATCH] for chunk in chunks if len(chunk) >= PATCH]
            rows += whole
            clip += [i] * len(whole)
        n_frames = torch.tensor([len(row) for row in rows])
        return Features(pad_sequence(rows, batch_first=True), n_frames, torch.tensor(clip))

    def _levels(self, waveform: NDArray[np.float32]) -> Tensor:
        """Of a clip, shape (1 + n_samples // 160, 64)."""
        half = N_FFT // 2
        mirrored = np.pad(np.pad(waveform, (0, max(0, half + 1 - len(waveform)))), half, mode="reflect")
        total = 1 + (len(mirrored) - N_FFT) // HOP
        samples = torch.from_numpy(mirrored).to(self.mel.spectrogram.window.device)
        with torch.autocast(samples.device.type, enabled=False):
            power = torch.cat(
                [
                    self.mel(samples[start * HOP : (min(start + FRAMES_AT_ONCE, total) - 1) * HOP + N_FFT])
                    for start in range(0, total, FRAMES_AT_ONCE)
                ],
                1,
            )
        decibels = 10 * power.clamp(min=1e-10).log10()
        decibels = decibels.maximum(decibels.max() - TOP)
        return (2 * (decibels - RANGE[0]) / (RANGE[1] - RANGE[0]) - 1).T

    def band_edges(self, starts: Sequence[int]) -> tuple[float, ...]:
        return band_edges(starts, N_MELS, *BAND, "htk")


class AtstEncoder(PatchEncoder):
    """ATST-Frame on chunks of 1001 frames (10 s), 250 tokens.

    Frames behind the last whole patch are left out, so that ``exclude`` and ``include`` count the same. The embedding
    is the mean over tokens behind the last norm; the authors put those of all twelve blocks side by side.
    """

    ends_with_mlp = True
    licence = "CC BY 4.0 (Audio-WestlakeU/audiossl)"


def load(weights: Path | None, device: str = "cpu") -> AtstEncoder:
    """Load ATST-Frame: a ``.ckpt`` file, of which the teacher is taken, or one fine-tuned.

    Raises
    ------
    InputError
        If there is no such file, or it holds no ATST-Frame encoder.
    """
    with reading(weights, "atst", "an ATST-Frame checkpoint") as file:
        state, notes = _read(file)
        name, sha256 = file.name, file.sha256
    front_end = DecibelFrontEnd(state["positions"].shape[1]).to(device)
    encoder = AtstEncoder(vit(state, (PATCH, N_MELS), 1).to(device), front_end, name, sha256)
    encoder.description = describe(encoder, "ATST-Frame", notes)
    return encoder


def _read(file: WeightsFile) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors by the names of `core.encoders.vit.network.VitNetwork`, and notes."""
    inside = within(file, next((p for p in PREFIXES if f"{p}patch_embed.patch_embed.weight" in file.tensors), ""))
    state, notes = taken(inside, _shapes(inside), NAMING, file.source.shown)
    state["positions"] = state["positions"][:, 1:].contiguous()  # the first is of no token
    kernel = state["patch_embed.weight"].unflatten(1, (N_MELS, PATCH))
    state["patch_embed.weight"] = kernel.transpose(1, 2).flatten(1)
    return state, notes


def _shapes(inside: Mapping[str, Tensor]) -> Shapes:
    """Name and shape of every tensor of an encoder of these sizes."""
    width, hidden = size(inside.get("pos_embed"), 3, 2), size(inside.get("blocks.0.mlp.fc1.weight"), 2, 0)
    return {
        "patch_embed.patch_embed.weight": (width, N_MELS * PATCH),
        "patch_embed.patch_embed.bias": (width,),
        "pos_embed": (1, max(2, size(inside.get("pos_embed"), 3, 1)), width),
        **layer_norm("norm_frame", width),
        **block_shapes(width, hidden, n_blocks(list(inside), width), qkv_bias=False),
    }
