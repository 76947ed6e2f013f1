"""Human sounds other than speech: footsteps, clapping, coughing, breathing."""

from __future__ import annotations

import numpy as np

from core.datasets.demo.synthesis.dsp import Signal, log_uniform, lowpass, resonate, upsample
from core.datasets.demo.synthesis.events.tools import (
    N_SOUND,
    Kind,
    arcs,
    bump,
    decay,
    formants,
    impulses,
    noise,
    regular,
    ring,
    unit_peak,
    voice,
)


def footsteps(rng: np.random.Generator) -> Signal:
    """Heel and toe on a floor: a low thump, then the scrape of the sole."""
    heels = regular(rng, rng.uniform(0.35, 0.7), 0.08)
    toes = np.minimum(heels + int(rng.uniform(0.05, 0.13) * 16000), N_SOUND - 1)
    train = impulses(heels, rng.uniform(0.6, 1, heels.size))
    thump_mode = log_uniform(rng, 70, 180)
    thump = ring(train, (thump_mode, 2.3 * thump_mode), rng.uniform(0.06, 0.15))
    gravel = noise(rng)
    sole = decay(train, 0.05) + decay(impulses(toes, 0.7), rng.uniform(0.08, 0.25))
    centre = log_uniform(rng, 700, 3000)
    scrape = resonate(gravel, [centre], [0.9 * centre]) * sole
    return unit_peak(thump) + rng.uniform(0.3, 1.0) * unit_peak(scrape)


def clapping(rng: np.random.Generator) -> Signal:
    """Claps of one to four people, each with their own rate and hollow of the hands."""
    total = np.zeros(N_SOUND)
    source = noise(rng)
    for order in range(int(rng.integers(1, 5))):
        claps = regular(rng, rng.uniform(0.17, 0.36), 0.12)
        train = impulses(claps, rng.uniform(0.5, 1, claps.size))
        burst = source * decay(train, rng.uniform(0.02, 0.07))
        centre = log_uniform(rng, 800, 2400)
        total += (0.8**order) * resonate(np.roll(burst, 331 * order), [centre], [0.6 * centre])
    return total + rng.uniform(0.1, 0.3) * np.roll(total, int(rng.uniform(300, 900)))


def coughing(rng: np.random.Generator) -> Signal:
    """Coughs: a burst of air, then a voiced, falling tail."""
    length = rng.uniform(0.2, 0.4)
    progress, _ = arcs(rng, (0.8 * length, 1.2 * length), (0.03, rng.uniform(0.1, 0.4)))
    pitch = log_uniform(rng, 90, 260)
    hoarse = voice(pitch * (1.3 - 0.6 * progress), 0.7, 1.4 * pitch)
    burst = upsample(bump(progress, 0.15, 2.5))
    tail = upsample(bump(progress, 1.2, 1.5)) * rng.uniform(0.2, 0.7)
    air = noise(rng)
    size = log_uniform(rng, 0.85, 1.25)
    source = air * (burst + 0.3 * tail) + 0.7 * tail * hoarse
    return formants(source, (size * 600, size * 1250, size * 2600), 0.3) + 0.05 * air * burst


def breathing(rng: np.random.Generator) -> Signal:
    """Breath in, breath out: two colours of soft noise that take turns."""
    length = rng.uniform(0.35, 0.8)
    progress, number = arcs(rng, (0.9 * length, 1.1 * length), (0.03, 0.2))
    swell = bump(progress, rng.uniform(0.5, 1.2), rng.uniform(0.7, 1.6))
    air = noise(rng)
    air = air - lowpass(air, 250)
    size = log_uniform(rng, 0.8, 1.3)
    width = rng.uniform(0.25, 0.6)
    inward = formants(air, (size * 1700, size * 3400), width)
    outward = formants(air, (size * 550, size * 1500), width)
    taken = upsample(swell * (number % 2 == 1))
    given = upsample(swell * (number % 2 == 0))
    return taken * inward + 1.6 * given * outward


KINDS: dict[str, Kind] = {
    "footsteps": footsteps,
    "clapping": clapping,
    "coughing": coughing,
    "breathing": breathing,
}
