"""Nature: rain, wind, sea waves, crackling fire."""

from __future__ import annotations

import numpy as np

from core.datasets.demo.synthesis.dsp import Signal, log_uniform, lowpass, resonate, upsample, wander
from core.datasets.demo.synthesis.events.tools import (
    N_CONTROL,
    Kind,
    arcs,
    bump,
    decay,
    impulses,
    noise,
    scattered,
    unit_power,
)


def rain(rng: np.random.Generator) -> Signal:
    """Dense drops on a surface, over a hiss."""
    onsets = scattered(rng, log_uniform(rng, 150, 1500))
    drops = impulses(onsets, rng.standard_normal(onsets.size) * rng.random(onsets.size) ** 2)
    surface = log_uniform(rng, 1200, 4500)
    patter = resonate(drops, [surface, 2 * surface], [0.5 * surface, surface], [1.0, 0.6])
    hiss = noise(rng)
    hiss = hiss - lowpass(hiss, log_uniform(rng, 800, 3000))
    share = rng.uniform(0.15, 0.6)
    return (1 - share) * unit_power(patter) + share * unit_power(hiss)


def wind(rng: np.random.Generator) -> Signal:
    """Low noise in gusts; a whistle wanders between three resonances."""
    air = lowpass(noise(rng), log_uniform(rng, 150, 500))
    total = 0.5 * lowpass(air, 300)
    base = log_uniform(rng, 180, 450)
    width = rng.uniform(0.08, 0.4)
    for order in range(3):
        centre = base * rng.uniform(1.35, 1.8) ** order
        gust = wander(rng, N_CONTROL, rng.uniform(1.0, 3.0), 0, 1) ** 2
        total += resonate(air, [centre], [width * centre]) * upsample(gust)
    return total


def sea_waves(rng: np.random.Generator) -> Signal:
    """Breakers: broad noise that swells, bright as it breaks, over a low roar."""
    length = rng.uniform(0.9, 2.2)
    progress, _ = arcs(rng, (length, 1.2 * length), (0.0, 0.2))
    swell = bump(progress, rng.uniform(0.8, 2.0), rng.uniform(0.7, 1.5))
    foam = noise(rng)
    dull = lowpass(foam, log_uniform(rng, 500, 1100))
    roar = lowpass(dull, 250)
    breaking = upsample(swell**2) * rng.uniform(0.15, 0.45)
    return breaking * (foam - dull) + upsample(0.25 + swell) * (dull + roar)


def crackling_fire(rng: np.random.Generator) -> Signal:
    """Sparse crackles of very uneven strength over a flutter of low noise."""
    onsets = scattered(rng, log_uniform(rng, 12, 70))
    strength = np.exp(rng.normal(0, 1.0, onsets.size))
    snap = impulses(onsets, strength)
    grain = noise(rng) * decay(snap, rng.uniform(0.004, 0.02))
    centre = log_uniform(rng, 1300, 4500)
    crackle = resonate(grain, [centre], [centre]) + 0.3 * grain
    flame = lowpass(lowpass(noise(rng), log_uniform(rng, 120, 450)), 600)
    flame *= upsample(wander(rng, N_CONTROL, rng.uniform(6, 14), 0.3, 1))
    return unit_power(crackle) + rng.uniform(0.2, 0.6) * unit_power(flame)


KINDS: dict[str, Kind] = {
    "rain": rain,
    "wind": wind,
    "sea_waves": sea_waves,
    "crackling_fire": crackling_fire,
}
