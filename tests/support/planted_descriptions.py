"""Units that are known functions of what is heard, and units of noise alone, at moments of made-up clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.datasets.base import Clip, Dataset
from core.datasets.scan import Scan
from core.describe.acoustics import measure
from core.describe.describe import Heard, draw
from core.describe.terms import Term
from core.describe.tokens import Tokens

RATE, N_MOMENTS, SPAN = 16_000, 12, 0.16
KINDS = ("bell", "hiss", "hum", "tick")
FAMILY = {"bell": "pitched", "hum": "pitched", "hiss": "noisy", "tick": "noisy"}
PLANTED = ("level", "onset", "flatness", "band 2", "band 7", "f0", "am rate", "tempo")
"""Descriptors of which units are made."""


def _clip(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Two seconds, whose loudness, colour, pitch and unrest are drawn."""
    time = np.arange(round(N_MOMENTS * SPAN * RATE)) / RATE
    noise = rng.standard_normal(len(time))
    spectrum = np.fft.rfft(noise) * (1 + np.fft.rfftfreq(len(time), 1 / RATE) / 500) ** rng.uniform(-1.5, 1.0)
    noise = np.fft.irfft(spectrum, len(time))
    pitch = rng.uniform(90, 700) * 2 ** np.cumsum(rng.standard_normal(len(time)) * rng.uniform(0, 4e-4))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(k * phase) / k ** rng.uniform(0.5, 2) for k in range(1, 6))
    mix = {"bell": 0.02, "hum": 0.2, "hiss": 1.0, "tick": 0.8}[kind] * rng.uniform(0.5, 1.2)
    sound = mix * noise / noise.std() + (1 - min(mix, 1)) * tone
    beat = rng.uniform(2, 20)
    unrest = 1 + rng.uniform(0, 1) * np.sin(2 * np.pi * beat * time)
    steps = np.repeat(10 ** rng.uniform(-1.5, 0, N_MOMENTS), round(SPAN * RATE))
    if kind == "tick":
        unrest = unrest * np.exp(-((time * rng.uniform(1.5, 5)) % 1) * 6)
    return (10 ** rng.uniform(-1.5, -0.5) * sound * unrest * steps).astype(np.float32)


def heard(n_clips: int, seed: int = 0) -> Heard:
    """Moments of clips of four kinds, half of them held out, and no units yet.

    Parameters
    ----------
    n_clips : int
    seed : int
        Of sounds.
    """
    rng = np.random.default_rng(seed)
    kinds = [KINDS[i % len(KINDS)] for i in range(n_clips)]
    clips = tuple(
        Clip(f"{i}.wav", "train" if (i // len(KINDS)) % 2 else "test", {"kind": kind, "family": FAMILY[kind]})
        for i, kind in enumerate(kinds)
    )
    scan = Scan(Dataset("made", Path(), ("kind", "family"), clips), pd.DataFrame(), ())
    drawn = draw(scan, np.ones(n_clips, dtype=bool), seed)
    starts = np.arange(N_MOMENTS) * SPAN
    spans = np.column_stack([starts, starts + SPAN])
    sound = np.concatenate(measure([_clip(kinds[i], rng) for i in drawn.clips], RATE, [spans] * len(drawn.clips)))
    tokens = Tokens(np.repeat(np.arange(len(drawn.clips)), N_MOMENTS), np.zeros((len(sound), 0), np.float32), sound)
    return Heard(scan, drawn, tokens, seed)


def with_units(of: Heard, n_planted: int, n_noise: int, seed: int = 0, noise: float = 0.7) -> tuple[Heard, list[Term]]:
    """The same moments with units: one term each of `PLANTED` and `KINDS` in turn plus noise, then noise alone.

    Noise has a part of the whole clip, too, as real units do.
    """
    rng = np.random.default_rng(seed)
    tokens, vocabulary = of.tokens, of.vocabulary
    every = [Term("descriptor", name, how) for name in PLANTED for how in ("high", "low")]
    every += [Term("class", name) for name in KINDS]
    truth = [every[int(i)] for i in rng.permutation(np.arange(n_planted) % len(every))]
    n_clips = len(of.drawn.clips)

    def drawn() -> NDArray[np.float64]:
        return 0.8 * rng.standard_normal(len(tokens.clip)) + 0.6 * rng.standard_normal(n_clips)[tokens.clip]

    columns = []
    for term in truth:
        value = vocabulary.value(term, tokens.clip, tokens.sound).astype(np.float64)
        columns.append((value - value.mean()) / value.std() + noise * drawn())
    columns += [drawn() for _ in range(n_noise)]
    values = np.column_stack(columns).astype(np.float32)
    return Heard(of.scan, of.drawn, Tokens(tokens.clip, values, tokens.sound), of.seed), truth
