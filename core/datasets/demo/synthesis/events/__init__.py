"""Corpus ``demo-events``: twenty kinds of everyday sounds, made by rule.

Four kinds in each of five groups. A kind is one function that draws its parameters wide; what
they have in common (colour of the recording, level, background, place in the clip) is here.
"""

from __future__ import annotations

import zlib
from typing import cast

import numpy as np

from core.datasets.base import Segment
from core.datasets.demo.synthesis.clip import ClipSpec, Waveform, placed
from core.datasets.demo.synthesis.dsp import Signal, even_level, log_uniform, lowpass
from core.datasets.demo.synthesis.events import animals, exterior, human, interior, nature
from core.datasets.demo.synthesis.events.tools import Kind, noise, unit_power

GROUPS: dict[str, dict[str, Kind]] = {
    "animals": animals.KINDS,
    "nature": nature.KINDS,
    "human": human.KINDS,
    "interior": interior.KINDS,
    "exterior": exterior.KINDS,
}
KINDS: dict[str, Kind] = {k: make for kinds in GROUPS.values() for k, make in kinds.items()}
GROUP_OF = {event: group for group, kinds in GROUPS.items() for event in kinds}

PER_KIND = {"train": 20, "valid": 6, "test": 21}
TRAINING_SPEED = (0.75, 1.18)
BACKGROUND_DB = (-30.0, -22.0)


def at_speed(sound: Signal, speed: float) -> Signal:
    """Play a sound faster or slower, pitch and all."""
    if speed == 1.0:
        return sound
    return np.interp(np.arange(sound.size / max(speed, 1)) * speed, np.arange(sound.size), sound)


def recorded(sound: Signal, rng: np.random.Generator) -> Signal:
    """Colour a sound as a microphone would, and lay a faint background of noise under it."""
    edge = rng.uniform(-0.45, 0.45)
    sound = sound[1:] + edge * sound[:-1]
    background = lowpass(noise(rng), log_uniform(rng, 300, 6000))[: sound.size]
    depth = 10 ** (rng.uniform(*BACKGROUND_DB) / 20)
    return unit_power(sound) + depth * unit_power(background)


class EventsCorpus:
    """Procedural sounds of animals, nature, humans, the interior and the exterior."""

    name = "demo-events"
    description = "Procedural everyday sounds: 20 kinds in 5 groups"
    source = "made by this project's own code"
    licence = "Apache-2.0"
    attributes = ("event", "group")
    segment_attributes = ("event_span",)

    def specs(self, seed: int) -> list[ClipSpec]:
        """All clips in order: 400 to train, 120 to validate, 420 to test.

        Parameters
        ----------
        seed : int
            Sets all that varies between clips.

        Returns
        -------
        list of ClipSpec
        """
        corpus = zlib.crc32(self.name.encode())
        clips = [
            (split, event, number) for split, count in PER_KIND.items() for event in KINDS for number in range(count)
        ]
        return [
            ClipSpec(
                name=f"{split}-{event}-{number:02d}",
                split=split,
                labels={"event": event, "group": GROUP_OF[event]},
                seed=(seed, corpus, index),
            )
            for index, (split, event, number) in enumerate(clips)
        ]

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        """One clip for pre-training, widened by a change of speed."""
        entropy = int(rng.integers(2**63))
        event = tuple(KINDS)[int(rng.integers(len(KINDS)))]
        low, high = TRAINING_SPEED
        return ClipSpec(
            name=f"training-{entropy:016x}",
            split="train",
            labels={"event": event, "group": GROUP_OF[event]},
            parameters={"speed": log_uniform(rng, low, high)},
            seed=(0x7EA1, entropy),
        )

    def render(self, spec: ClipSpec) -> Waveform:
        """Make a clip from its description alone.

        Returns
        -------
        ndarray of float32, shape (33280,)
        """
        return self.timed(spec)[0]

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        """The clip and where in it its event lies."""
        rng = spec.rng()
        sound = KINDS[spec.labels["event"]](rng)
        sound = at_speed(sound, cast("float", spec.parameters.get("speed", 1.0)))
        event = placed(even_level(recorded(sound, rng), rng), rng)
        span = event.segment("event_span", spec.labels["event"], 0, event.n_active)
        return event.clip, (span,) if span else ()


EVENTS = EventsCorpus()
