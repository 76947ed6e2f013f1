"""M2D once more, as plainly as it can be said: NumPy in float64, one clip, one chunk, one head at a time.

``mistake`` names one of the errors that are easily made; with it the features differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Array = NDArray[np.float64]
EPS = 1.1920929e-07


@dataclass
class Reference:
    """Features of one clip: frames (T, F * width), their mean, and GELU outputs > 0 (layers, neurons) over patches."""

    frames: Array
    clip: Array
    positive: NDArray[np.int64]
    n_tokens: int


def mel_filter_bank(rate: int, n_fft: int, mistake: str = "") -> Array:
    """80 triangles from 50 Hz to half the rate, (80, n_fft // 2 + 1); Slaney's scale and area."""
    htk = mistake == "HTK mel"

    def mel(hz: float) -> float:
        if htk:
            return float(2595 * np.log10(1 + hz / 700))
        return 3 * hz / 200 if hz <= 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)

    def hz(m: float) -> float:
        if htk:
            return float(700 * (10 ** (m / 2595) - 1))
        return 200 * m / 3 if m <= 15 else float(1000 * 6.4 ** ((m - 15) / 27))

    low, high = mel(50), mel(rate / 2)
    corners = [hz(low + (high - low) * i / 81) for i in range(82)]
    bank = np.zeros((80, n_fft // 2 + 1))
    for band in range(80):
        a, b, c = corners[band : band + 3]
        for k in range(n_fft // 2 + 1):
            f = k * rate / n_fft
            height = (f - a) / (b - a) if f <= b else (c - f) / (c - b)
            bank[band, k] = max(0.0, height) * 2 / (c - a)
    return bank


def log_mel(waveform: NDArray[np.float32], rate: int, mistake: str = "") -> Array:
    """(80, 1 + n_samples // hop), not normalised."""
    n_fft, hop = rate * 25 // 1000, rate // 100
    x = np.pad(waveform.astype(np.float64), n_fft // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    starts = range(0, len(waveform) // hop * hop + 1, hop)
    power = np.array([np.abs(np.fft.rfft(window * x[s : s + n_fft])) ** 2 for s in starts])
    return np.log(mel_filter_bank(rate, n_fft, mistake) @ power.T + EPS)


def reference(
    state: Mapping[str, Array],
    waveform: NDArray[np.float32],
    rate: int,
    n_frames: int,
    norm: tuple[float, float] = (-7.1, 4.2),
    mistake: str = "",
) -> Reference:
    """All of it, from waveform to features; every patch token counts, the class token never."""
    wide = state["patch_embed.proj.weight"].shape[3]
    mel = (log_mel(waveform, rate, mistake) - norm[0]) / norm[1]
    n = mel.shape[1]
    fill = (np.log(EPS) - norm[0]) / norm[1] if mistake == "tail padded with log eps" else 0.0
    pad = (wide - (n % n_frames) % wide) % wide
    mel = np.concatenate([mel, np.full((80, pad), fill)], axis=1)
    outputs = [_chunk(state, mel[:, i * n_frames : (i + 1) * n_frames], mistake) for i in range(-(-n // n_frames))]
    frames = np.concatenate([frames for frames, _ in outputs])
    n_freq = 80 // state["patch_embed.proj.weight"].shape[2]
    return Reference(frames, frames.mean(0), sum(p for _, p in outputs), len(frames) * n_freq)


def _chunk(state: Mapping[str, Array], mel: Array, mistake: str) -> tuple[Array, NDArray[np.int64]]:
    kernel = state["patch_embed.proj.weight"]
    width, _, high, wide = kernel.shape
    n_freq, n_time = 80 // high, mel.shape[1] // wide
    tokens = [
        (kernel[:, 0] * mel[f * high : (f + 1) * high, t * wide : (t + 1) * wide]).sum((1, 2))
        for f in range(n_freq)
        for t in range(n_time)
    ]
    table = state["pos_embed"][0, 1:].reshape(n_freq, -1, width)
    positions = table[:, :n_time].reshape(-1, width)
    if mistake == "prefix-cut position table":
        positions = table.reshape(-1, width)[: n_freq * n_time]
    x = np.array(tokens) + state["patch_embed.proj.bias"] + positions
    x = np.concatenate([state["cls_token"][0] + state["pos_embed"][0, :1], x])
    positive = []
    eps = 1e-5 if mistake == "LayerNorm eps 1e-5" else 1e-6
    for i in range(sum(key.endswith("fc1.bias") for key in state)):
        own = {key.removeprefix(f"blocks.{i}."): v for key, v in state.items() if key.startswith(f"blocks.{i}.")}
        x = x + _attention(_norm(x, own, "norm1", eps), own)
        hidden = _norm(x, own, "norm2", eps) @ own["mlp.fc1.weight"].T + own["mlp.fc1.bias"]
        if mistake == "tanh GELU":
            hidden = hidden / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
        else:
            hidden = hidden / 2 * (1 + erf(hidden / np.sqrt(2)))
        positive.append((hidden[1:] > 0).sum(0))
        x = x + hidden @ own["mlp.fc2.weight"].T + own["mlp.fc2.bias"]
    out = _norm(x, state, "norm", eps)[1:].reshape(n_freq, n_time, width)
    return np.concatenate(list(out), axis=1), np.array(positive)


def _norm(x: Array, weights: Mapping[str, Array], name: str, eps: float) -> Array:
    centred = x - x.mean(1, keepdims=True)
    scale = np.sqrt((centred**2).mean(1, keepdims=True) + eps)
    return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _attention(x: Array, own: Mapping[str, Array]) -> Array:
    width = x.shape[1]
    q, k, v = np.split(x @ own["attn.qkv.weight"].T + own["attn.qkv.bias"], 3, axis=1)
    heads = []
    for start in range(0, width, 64):
        columns = slice(start, start + 64)
        logits = q[:, columns] @ k[:, columns].T / 8
        weights = np.exp(logits - logits.max(1, keepdims=True))
        heads.append(weights / weights.sum(1, keepdims=True) @ v[:, columns])
    return np.concatenate(heads, axis=1) @ own["attn.proj.weight"].T + own["attn.proj.bias"]
