"""Networks whose neurons are known by construction, so that what a selector finds can be judged.

Two kinds: `planted_counts` makes what a network's neurons would have counted, clip by clip; `planted_sound` makes
clips of tones and passes them through a small encoder with set weights, by the same hooks as any study. Each holds

``specific``  neurons that answer to one class
``shared``    to two classes (both pairs are true)
``level``     to loudness only
``speaker``   to one speaker (in sound: a hum) only
``other``     to sounds that are spread alike over the classes
``always``, ``dead``  to everything, to nothing

Only ``specific`` and ``shared`` pairs are true. Loudness and speakers go a little with the classes (``weak``), too
little to make a neuron twice as active, or much (``strong``): then a neuron for the speaker passes for one for the
class, and counts as false. Without noise the other sounds are exactly alike in all classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from core.encoders import Encoder
from core.encoders.hooks import record
from core.evidence.exchange import Exchange
from core.evidence.permutation import ClipCounts, evidence
from core.results import FloatArray, IntArray
from tests.support.planted import FRAME, SAMPLE_RATE, ToyBlock, ToyEncoder

N_CLASSES = 6
CONFOUNDING = {"weak": (0.25, 0.1), "strong": (0.6, 2.0)}
"""Share of a class's clips that come from its own one of six speakers; how much louder the first class is."""

NEURONS = {"specific": 72, "shared": 30, "level": 30, "speaker": 36, "other": 322, "always": 30, "dead": 80}
OFF = -2.0
"""Drive of a neuron that is not spoken to: it fires in 2 % of tokens."""

SOUND_NEURONS = {"specific": 18, "shared": 6, "level": 6, "speaker": 6, "other": 16, "always": 2, "dead": 6}
"""Of each of the encoder's two layers."""
CLASS_TONES, HUMS, OTHER_TONES = (tuple(range(a, b, 400)) for a, b in ((400, 2601), (2920, 5121), (5400, 7401)))


@dataclass(frozen=True)
class Planted:
    """Counts of clips, and what is true of the neurons.

    Attributes
    ----------
    positive : ndarray of int, shape (n_clips, n_neurons)
    total : ndarray of float32, shape (n_clips, n_neurons)
    tokens : ndarray of int, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
    speakers : ndarray of int, shape (n_clips,)
    kinds : ndarray of str, shape (n_neurons,)
    truth : ndarray of bool, shape (n_classes, n_neurons)
        Which neuron was made for which class.
    """

    positive: IntArray
    total: NDArray[np.float32]
    tokens: IntArray
    members: NDArray[np.bool_]
    speakers: IntArray
    kinds: NDArray[np.str_]
    truth: NDArray[np.bool_]

    @property
    def rates(self) -> FloatArray:
        """Activation probabilities, (n_classes, n_neurons)."""
        return np.stack([self.positive[m].sum(axis=0) / self.tokens[m].sum() for m in self.members.T])

    def shuffled(self, rng: np.random.Generator) -> Planted:
        """With labels dealt anew over the clips: nothing is true."""
        return replace(self, members=rng.permutation(self.members), truth=np.zeros_like(self.truth))


def p_values(planted: Planted, within_speaker: bool = False) -> FloatArray:
    """Evidence of every pair, (n_classes, n_neurons), under labels dealt over all clips or within each speaker."""
    n_clips = len(planted.tokens)
    dealt = Exchange(np.arange(n_clips), planted.speakers, "within speaker") if within_speaker else None
    counts = ClipCounts.of(planted.positive, planted.tokens, dealt)
    return evidence(counts, counts.by_class(planted.members)[0], planted.members)[1]


def planted_counts(class_size: int, noise: float, seed: int = 0, confounding: str = "weak") -> Planted:
    """Counts of 600 neurons over ``class_size`` clips of each of 6 classes.

    A neuron's drive m in a clip is -2, or 0 to 1.5 (its own) where it is spoken to, plus ``noise`` times a normal
    number of its own for every clip. It fires in the share Phi(m) of the clip's tokens, as if its input were normal
    around m in every token.
    """
    rng = np.random.default_rng(seed)
    kinds, classes, truth = _neurons(NEURONS)
    label, number, speakers, loudness = _clips(class_size, confounding)
    on = rng.uniform(0.0, 1.5, len(kinds))
    spoken_to = truth[label]
    spoken_to |= (kinds == "speaker") & (speakers[:, None] == classes)
    # Which of a class's clips hold the sound, the same ones in every class.
    heard = rng.random((class_size, len(kinds))) < rng.uniform(0.05, 0.5, len(kinds))
    spoken_to |= (kinds == "other") & heard[number]
    spoken_to |= kinds == "always"
    drive = np.where(spoken_to, on, OFF)
    drive = np.where(kinds == "level", loudness[:, None] + rng.uniform(-1.5, 0.5, len(kinds)), drive)
    drive += noise * rng.standard_normal(drive.shape)
    drive[:, kinds == "dead"] = -np.inf
    tokens = rng.integers(40, 80, class_size)[number]
    rate = norm.cdf(drive)
    positive = np.rint(tokens[:, None] * rate).astype(np.int64)
    mean = np.where(rate > 0, drive, 0.0) * rate + norm.pdf(drive)  # of a normal number where it is over 0
    members = label[:, None] == np.arange(N_CLASSES)
    return Planted(positive, (tokens[:, None] * mean).astype(np.float32), tokens, members, speakers, kinds, truth)


def _neurons(numbers: dict[str, int]) -> tuple[NDArray[np.str_], IntArray, NDArray[np.bool_]]:
    """Kind of each neuron, the class or speaker that it turns to, and which pairs are true."""
    kinds = np.repeat(list(numbers), list(numbers.values()))
    classes = np.concatenate([np.arange(n) % N_CLASSES for n in numbers.values()])
    of_class = np.arange(N_CLASSES)[:, None]
    truth = (of_class == classes) & np.isin(kinds, ["specific", "shared"])
    truth |= (of_class == (classes + 1) % N_CLASSES) & (kinds == "shared")
    return kinds, classes, truth


def _clips(class_size: int, confounding: str) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Class of each clip, its number within the class, its speaker, and its loudness (-1 to 1, first class more)."""
    own_share, louder = CONFOUNDING[confounding]
    label, number = np.divmod(np.arange(N_CLASSES * class_size), class_size)
    others = (label + 1 + number % (N_CLASSES - 1)) % N_CLASSES
    speakers = np.where(number < round(own_share * class_size), label, others)
    loudness = np.linspace(-1, 1, class_size)[(number * 7) % class_size] + louder * (label == 0)
    return label, number, speakers, loudness


def planted_sound(class_size: int, noise: float, seed: int = 0, confounding: str = "weak") -> Planted:
    """Clips of a class's tone, a speaker's hum and other tones, as a small encoder's neurons count them.

    ``noise`` 1 is white noise of standard deviation 0.25, against tones of amplitude 0.15.
    """
    rng = np.random.default_rng(seed)
    label, number, speakers, loudness = _clips(class_size, confounding)
    lengths = rng.integers(5, 10, class_size) * FRAME
    heard = rng.random((class_size, len(OTHER_TONES))) < 0.4
    waveforms = []
    for k, i, speaker, loud in zip(label, number, speakers, loudness, strict=True):
        tones = [CLASS_TONES[k], HUMS[speaker], *np.array(OTHER_TONES)[heard[i]]]
        time = np.arange(lengths[i]) / SAMPLE_RATE
        clean = sum(np.sin(2 * np.pi * (f * time + rng.random())) for f in tones)
        sound = 0.15 * 1.3**loud * clean + 0.25 * noise * rng.standard_normal(len(time))
        waveforms.append(sound.astype(np.float32))
    encoder, kinds, truth = sounding_encoder(seed)
    positive, total, tokens = count(encoder, waveforms)
    return Planted(positive, total, tokens, label[:, None] == np.arange(N_CLASSES), speakers, kinds, truth)


def sounding_encoder(seed: int = 0) -> tuple[ToyEncoder, NDArray[np.str_], NDArray[np.bool_]]:
    """Two layers of 60 neurons over the amplitudes of the tones and the level; its neurons' kinds, and the truth."""
    rng = np.random.default_rng(seed)
    bands = (*CLASS_TONES, *HUMS, *OTHER_TONES)
    kinds, classes, truth = _neurons(SOUND_NEURONS)
    columns = np.arange(len(kinds))
    blocks = []
    for _ in range(2):
        fc = np.zeros((len(kinds), len(bands) + 2))
        fc[:, :N_CLASSES] = truth.T
        speaker, other = columns[kinds == "speaker"], columns[kinds == "other"]
        fc[speaker, N_CLASSES + classes[speaker]] = 1.0
        fc[other, 2 * N_CLASSES : -2] = rng.normal(size=(len(other), len(OTHER_TONES)))
        fc[kinds == "level", -2] = 1.0
        bias = -rng.uniform(0.04, 0.07, len(kinds))
        bias[kinds == "level"] = -np.linspace(0.18, 0.3, SOUND_NEURONS["level"])
        bias[kinds == "always"], bias[kinds == "dead"] = 1.0, -9.0
        proj = np.zeros((len(bands) + 2, len(kinds)))
        proj[-1] = 0.1
        blocks.append(ToyBlock(fc, bias, proj))
    angle = 2 * np.pi * np.outer(np.arange(FRAME), bands) / SAMPLE_RATE
    cosine, sine = (torch.from_numpy(2 / FRAME * f(angle)).float() for f in (np.cos, np.sin))

    def amplitudes_and_level(frames: torch.Tensor) -> torch.Tensor:
        level = frames.square().mean(-1, keepdim=True).sqrt()
        amplitudes = ((frames @ cosine) ** 2 + (frames @ sine) ** 2).sqrt()
        return torch.cat([amplitudes, level, torch.zeros_like(level)], dim=-1)

    encoder = ToyEncoder(blocks, amplitudes_and_level, FRAME, chunk=10, n_features=1, name="sounding")
    return encoder, np.tile(kinds, 2), np.tile(truth, 2)


def count(
    encoder: Encoder, waveforms: list[NDArray[np.float32]], at_once: int = 50
) -> tuple[IntArray, NDArray, IntArray]:
    """Positive tokens, sums of activations (n_clips, n_neurons) and tokens (n_clips,) of some clips."""
    found = []
    for start in range(0, len(waveforms), at_once):
        batch = encoder.prepare(waveforms[start : start + at_once])
        with torch.inference_mode(), record(encoder, batch) as counts:
            encoder.forward(batch)
        found.append([counts.positive.numpy(), counts.total.numpy(), counts.tokens.numpy()])
    positive, total, tokens = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return positive.astype(np.int64), total, tokens.astype(np.int64)
