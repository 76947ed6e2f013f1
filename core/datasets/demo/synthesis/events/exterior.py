"""Exterior sounds: siren, engine, helicopter, car horn."""

from __future__ import annotations

import numpy as np

from core.datasets.demo.synthesis.dsp import Signal, log_uniform, lowpass, resonate, upsample, wander
from core.datasets.demo.synthesis.events.tools import (
    N_CONTROL,
    Kind,
    arcs,
    bump,
    formants,
    noise,
    unit_power,
    voice,
)


def siren(rng: np.random.Generator) -> Signal:
    """Wail, yelp or two alternating tones, through a horn loudspeaker."""
    time = np.arange(N_CONTROL) / 500
    low = log_uniform(rng, 380, 750)
    span = np.log2(rng.uniform(1.3, 2.4))
    style = int(rng.integers(3))
    rate = (rng.uniform(0.35, 0.9), rng.uniform(2.0, 4.5), rng.uniform(0.7, 1.4))[style]
    phase = (time * rate + rng.random()) % 1.0
    if style == 2:
        sweep = 0.5 + 0.5 * np.tanh(40 * np.sin(2 * np.pi * phase))
    else:
        peak = rng.uniform(0.3, 0.8)
        sweep = np.where(phase < peak, phase / peak, (1 - phase) / (1 - peak))
    source = voice(low * 2 ** (span * sweep), rng.uniform(0.7, 1.6), low * 2**span)
    horn = log_uniform(rng, 900, 2200)
    wail = resonate(source, [horn], [horn]) + 0.25 * source
    wail += 0.01 * noise(rng)
    return wail


def engine(rng: np.random.Generator) -> Signal:
    """Uneven firing pulses through exhaust resonances, with revs that drift."""
    rate = log_uniform(rng, 22, 110)
    drift = wander(rng, N_CONTROL, rng.uniform(0.5, 2.5), 0.8, rng.uniform(0.9, 1.5))
    # A half-rate part makes every other stroke differ, as cylinders do.
    firing = voice(rate * drift, 0.4, 2 * rate) + 0.6 * voice(0.5 * rate * drift, 0.5, 2 * rate)
    strokes = np.maximum(unit_power(firing) - 0.3, 0)
    pipe = log_uniform(rng, 90, 260)
    low = formants(strokes, (pipe, pipe * rng.uniform(2.2, 3.5)), 0.5)
    clatter = resonate(strokes * noise(rng), [log_uniform(rng, 900, 2500)], [1500])
    return unit_power(low) + rng.uniform(0.1, 0.5) * unit_power(clatter)


def helicopter(rng: np.random.Generator) -> Signal:
    """Slaps of rotor blades: low noise cut by a sharp regular beat, and the turbine's whine."""
    time = np.arange(N_CONTROL) / 500
    rate = rng.uniform(8, 20)
    beat = (0.5 + 0.5 * np.sin(2 * np.pi * rate * time)) ** rng.uniform(2, 8)
    air = noise(rng)
    slap = lowpass(lowpass(air, log_uniform(rng, 250, 900)), log_uniform(rng, 250, 900))
    slap = slap * upsample(0.08 + beat)
    wash = (air - lowpass(air, 400)) * upsample(0.3 + 0.7 * beat)
    whine = log_uniform(rng, 500, 1800) * wander(rng, N_CONTROL, 1.0, 0.99, 1.01)
    turbine = voice(whine, 1.2, 2000)
    total = unit_power(slap)
    total += rng.uniform(0.05, 0.2) * unit_power(wash)
    total += rng.uniform(0.02, 0.15) * unit_power(turbine)
    return total


def car_horn(rng: np.random.Generator) -> Signal:
    """Honks: a buzzing chord of two horns, steady in pitch."""
    long = rng.uniform(0.2, 1.2)
    progress, _ = arcs(rng, (0.8 * long, 1.2 * long), (0.06, rng.uniform(0.1, 0.3)))
    pitch = log_uniform(rng, 290, 480)
    start = 1 - 0.03 * np.exp(-progress * 30)
    slope = rng.uniform(0.2, 0.6)
    chord = voice(pitch * start, slope, pitch)
    chord = chord + voice(pitch * rng.uniform(1.18, 1.35) * start, slope, 1.4 * pitch)
    centre = log_uniform(rng, 1200, 2800)
    honk = 0.4 * chord + resonate(chord, [centre], [0.5 * centre])
    return honk * upsample(bump(progress, 0.12, 0.12))


KINDS: dict[str, Kind] = {
    "siren": siren,
    "engine": engine,
    "helicopter": helicopter,
    "car_horn": car_horn,
}
