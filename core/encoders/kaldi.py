"""Kaldi's log mel filter bank."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
import torchaudio.compliance.kaldi as kaldi
from torch import Tensor

F_MIN = 20.0
"""Hz at which the filters begin; they end at half the rate."""


class FilterBank:
    """Kaldi's features: windows of 25 ms each 10 ms, without their mean, pre-emphasised; log of mel power.

    No dither, no vocal tract warping; the Nyquist frequency's bin has no weight.
    """

    def __init__(self, sample_rate: int, n_mels: int, window: Literal["hann", "povey"], device: torch.device) -> None:
        self.hop, self.frame = int(sample_rate * 0.010), int(sample_rate * 0.025)
        self.n_fft = 1 << (self.frame - 1).bit_length()
        filters, _ = kaldi.get_mel_banks(n_mels, self.n_fft, float(sample_rate), F_MIN, 0.0, 100.0, -500.0, 1.0)
        self.filters = F.pad(filters, (0, 1)).T.contiguous().to(device)
        hann = torch.hann_window(self.frame, periodic=False, device=device)
        self.window = hann if window == "hann" else hann.pow(0.85)

    def n_frames(self, n_samples: int) -> int:
        """Whole frames; 1 of a clip that is shorter."""
        return max(1, (n_samples - self.frame) // self.hop + 1)

    def __call__(self, waveform: Tensor) -> Tensor:
        """Waveforms (n_rows, n_samples) -> log mel levels (n_rows, n_frames, n_mels)."""
        frames = waveform.unfold(1, self.frame, self.hop)  # (rows, frames, frame)
        frames = frames - frames.mean(2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], 2)
        frames = (frames - 0.97 * before) * self.window
        power = torch.fft.rfft(frames, self.n_fft).abs().square()
        with torch.autocast(waveform.device.type, enabled=False):
            return (power @ self.filters).clamp(min=torch.finfo(torch.float32).eps).log()
