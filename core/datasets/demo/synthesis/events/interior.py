"""Interior sounds: door knock, clock tick, keyboard typing, telephone ring."""

from __future__ import annotations

import numpy as np

from core.datasets.demo.synthesis.clip import SAMPLE_RATE
from core.datasets.demo.synthesis.dsp import Signal, log_uniform, resonate, upsample
from core.datasets.demo.synthesis.events.tools import (
    N_CONTROL,
    N_SOUND,
    Kind,
    decay,
    impulses,
    noise,
    regular,
    ring,
    unit_peak,
)


def door_knock(rng: np.random.Generator) -> Signal:
    """Groups of quick knocks on wood: low damped modes and a dull click."""
    knocks = regular(rng, rng.uniform(0.11, 0.26), 0.06)
    group = int(rng.integers(3, 7))
    knocks = knocks[np.arange(knocks.size) % (group + 1) != group]
    train = impulses(knocks, rng.uniform(0.7, 1, knocks.size))
    mode = log_uniform(rng, 180, 480)
    modes = (mode, mode * rng.uniform(1.5, 1.9), mode * rng.uniform(2.3, 3.2))
    wood = ring(train, modes, rng.uniform(0.05, 0.13))
    click = noise(rng) * decay(train, 0.006)
    return unit_peak(wood) + rng.uniform(0.05, 0.25) * click


def clock_tick(rng: np.random.Generator) -> Signal:
    """Tick and tock in turn: very short, high, metallic, strictly regular."""
    ticks = regular(rng, rng.uniform(0.17, 0.5), 0.0)
    escape = np.minimum(ticks + int(rng.uniform(0.008, 0.03) * SAMPLE_RATE), N_SOUND - 1)
    mode = log_uniform(rng, 1800, 4200)
    seconds = rng.uniform(0.015, 0.06)
    sound = np.zeros(N_SOUND)
    for turn, pitch in ((0, 1.0), (1, rng.uniform(0.75, 0.95))):
        train = impulses(ticks[turn::2]) + impulses(escape[turn::2], rng.uniform(0.2, 0.7))
        sound += ring(train, (mode * pitch, 1.47 * mode * pitch), seconds)
    return unit_peak(sound) + 0.006 * noise(rng)


def keyboard_typing(rng: np.random.Generator) -> Signal:
    """Keys struck in uneven haste: click of the press, thud of the stop, click of the release."""
    presses = regular(rng, rng.uniform(0.09, 0.2), 0.6)
    releases = np.minimum(presses + rng.integers(900, 1800, presses.size), N_SOUND - 1)
    source = noise(rng)
    down = impulses(presses, rng.uniform(0.4, 1, presses.size))
    clicks = decay(down, 0.012) + decay(impulses(releases, 0.45), 0.008)
    centre = log_uniform(rng, 1800, 4500)
    snap = resonate(source * clicks, [centre], [0.8 * centre]) + 0.2 * source * clicks
    thud = ring(down, (log_uniform(rng, 250, 600), log_uniform(rng, 800, 1300)), 0.03)
    return unit_peak(snap) + rng.uniform(0.1, 0.5) * unit_peak(thud)


def telephone(rng: np.random.Generator) -> Signal:
    """Ring: two small bells struck in turn by a hammer, or two tones that take turns."""
    low = log_uniform(rng, 650, 1700)
    high = low * rng.uniform(1.15, 1.4)
    rate = rng.uniform(14, 26)
    time = np.arange(N_CONTROL) / 500
    pause = ((time / rng.uniform(0.7, 1.6) + rng.random()) % 1.0) < rng.uniform(0.8, 0.92)
    if rng.random() < 0.5:
        hits = regular(rng, 1 / rate, 0.0)
        hits = hits[pause[np.minimum(hits // 32, N_CONTROL - 1)]]
        ears = [
            ring(impulses(hits[turn::2]), (pitch, 2.71 * pitch), rng.uniform(0.2, 0.6))
            for turn, pitch in ((0, low), (1, high))
        ]
        return unit_peak(ears[0]) + unit_peak(ears[1])
    turns = upsample(((time * rate) % 1.0 < 0.5).astype(float))
    angle = 2 * np.pi / SAMPLE_RATE * np.arange(N_SOUND, dtype=np.float32)
    warble = np.where(turns > 0.5, np.sin(low * angle), np.sin(high * angle))
    beeps: Signal = np.tanh(rng.uniform(1, 3) * warble)
    return beeps * upsample(pause.astype(float))


KINDS: dict[str, Kind] = {
    "door_knock": door_knock,
    "clock_tick": clock_tick,
    "keyboard_typing": keyboard_typing,
    "telephone": telephone,
}
