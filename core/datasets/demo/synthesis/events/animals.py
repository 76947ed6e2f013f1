"""Animals: dog, cat, frog, crickets."""

from __future__ import annotations

import numpy as np

from core.datasets.demo.synthesis.dsp import Signal, cycles, log_uniform, upsample, wander
from core.datasets.demo.synthesis.events.tools import (
    N_CONTROL,
    N_SOUND,
    Kind,
    arcs,
    bump,
    formants,
    noise,
    unit_power,
    voice,
)


def dog(rng: np.random.Generator) -> Signal:
    """Barks: short, harsh, a pitch that jumps up and falls, mouth formants."""
    shortest = rng.uniform(0.09, 0.22)
    progress, _ = arcs(rng, (shortest, 1.4 * shortest), (0.08, rng.uniform(0.15, 0.6)))
    pitch = log_uniform(rng, 180, 750)
    frequency = pitch * (0.7 + rng.uniform(0.3, 0.8) * bump(progress, 0.6, 1.2))
    envelope = upsample(bump(progress, 0.4, 1.3))
    source = voice(frequency, rng.uniform(0.5, 1.0), 1.5 * pitch)
    source = source + rng.uniform(0.2, 0.9) * noise(rng)
    size = log_uniform(rng, 0.75, 1.4)
    return envelope * formants(source, (size * 750, size * 1500, size * 2700), 0.2)


def cat(rng: np.random.Generator) -> Signal:
    """Meows: a long arc of pitch while the mouth opens and closes."""
    progress, _ = arcs(rng, (0.5, rng.uniform(0.6, 1.2)), (0.05, 0.3))
    pitch = log_uniform(rng, 380, 850)
    rise = rng.uniform(0.4, 1.2)
    vibrato = 1 + 0.02 * np.sin(np.arange(N_CONTROL) * rng.uniform(0.05, 0.12))
    frequency = pitch * vibrato * (0.75 + 0.4 * bump(progress, rise, 0.8))
    source = voice(frequency, rng.uniform(0.6, 1.1), 1.2 * pitch) + 0.04 * noise(rng)
    size = log_uniform(rng, 0.85, 1.2)
    opening = upsample(bump(progress, 0.7, rng.uniform(0.7, 1.4)))
    closed = formants(source, (size * 650, size * 2600), 0.25)
    opened = formants(source, (size * 1250, size * 1900, size * 3300), 0.2)
    return upsample(bump(progress, 0.35, 0.5)) * ((1 - opening) * closed + 1.3 * opening * opened)


def frog(rng: np.random.Generator) -> Signal:
    """Croaks: trains of clicks at a rate that rises, through two vocal-sac resonances."""
    progress, _ = arcs(rng, (0.12, rng.uniform(0.2, 0.7)), (0.06, rng.uniform(0.1, 0.4)))
    rate = log_uniform(rng, 28, 110)
    clicks = voice(rate * (1 + rng.uniform(-0.2, 0.5) * progress), 0.15, 2 * rate)
    clicks = np.maximum(unit_power(clicks) - 0.8, 0)
    low = log_uniform(rng, 450, 1300)
    croak = formants(clicks, (low, low * rng.uniform(1.7, 2.6)), rng.uniform(0.08, 0.2))
    return croak * upsample(bump(progress, rng.uniform(0.3, 1.5), 0.6))


def crickets(rng: np.random.Generator) -> Signal:
    """Chirps of one to three crickets: a high tone in bursts of a few pulses."""
    total = np.zeros(N_SOUND)
    time = np.arange(N_CONTROL) / 500
    carrier = log_uniform(rng, 2800, 6200)
    pulse_rate = rng.uniform(18, 55)
    for order in range(int(rng.integers(1, 4))):
        chirp_rate = rng.uniform(1.2, 5.0)
        duty = rng.uniform(0.4, 0.9)
        chirping = ((time * chirp_rate + rng.random()) % 1.0) < duty
        pulses = np.sin(np.pi * time * pulse_rate * rng.uniform(0.9, 1.1)) ** 2
        frequency = carrier * rng.uniform(0.92, 1.08) * (1 + 0.02 * (pulses - 0.5))
        phase = cycles(upsample(frequency), N_SOUND)
        tone = np.sin((2 * np.pi * (phase - np.floor(phase))).astype(np.float32))
        total += 0.6**order * tone * upsample(chirping * pulses)
    return total * upsample(wander(rng, N_CONTROL, 2.0, 0.6, 1.0)) + 0.02 * noise(rng)


KINDS: dict[str, Kind] = {"dog": dog, "cat": cat, "frog": frog, "crickets": crickets}
