"""The model itself, for the page that plays it a sound: the one file of the dashboard that may import ``core``.

torch takes seconds to load and hundreds of megabytes, so every import of it stands inside a function: who only
reads the store never waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.views.listen.uploads import Sound

if TYPE_CHECKING:
    from core.encoders.base import Encoder

Padding = Literal["exclude", "include"]
MOST_MODELS = 2
_PASSES = Lock()
"""Hooks lie on a model's modules, and it is one for all visitors: one clip at a time."""


def ready(name: str) -> tuple[NDArray[np.float32], int]:
    """A sound made by rule (`core.datasets.demo.ready`), and its rate in Hz."""
    from core.datasets.demo.ready import make
    from core.datasets.demo.synthesis.clip import SAMPLE_RATE

    return make(name), SAMPLE_RATE


class NoAnswer(Exception):
    """The model cannot be had, or cannot hear this; one line."""


@dataclass(frozen=True)
class Answer:
    """How a model's neurons answered to a sound, over its tokens.

    Attributes
    ----------
    mean, rate : ndarray of float32, shape (n_neurons,)
        Mean activation; share of tokens with activation > 0.
    n_tokens : int
    """

    mean: NDArray[np.float32]
    rate: NDArray[np.float32]
    n_tokens: int


@dataclass(frozen=True)
class Pattern:
    """A neuron's activation over time and frequency.

    Attributes
    ----------
    activation : ndarray of float32, shape (n_bands, n_columns)
        Low band first; a column is a step of ``column_seconds``.
    column_seconds : float
    band_edges_hz : tuple of float
    """

    activation: NDArray[np.float32]
    column_seconds: float
    band_edges_hz: tuple[float, ...]


@dataclass(frozen=True)
class Model:
    """A model as a store knows it; of `db.reads.listen.model_facts`."""

    name: str
    weights_key: str
    runs: Sequence[Mapping[str, Any]]

    @property
    def padding(self) -> Padding:
        """As in the latest run: what it counted is what a clip is compared with."""
        return "include" if self.runs and self.runs[0].get("padding") == "include" else "exclude"


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _encoder(name: str, weights_key: str, _runs: Sequence[Mapping[str, Any]]) -> Encoder:
    from core.encoders.device import choose_device
    from core.recording.listen import rebuild

    return rebuild(name, weights_key, _runs, choose_device("auto"))


def load(model: Model) -> Encoder:
    """Return the model's encoder; loaded once for all visitors.

    Raises
    ------
    NoAnswer
        If its weights are not on this machine, or are others than those that were measured.
    """
    try:
        return _encoder(model.name, model.weights_key, model.runs)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise NoAnswer(_one_line(error)) from error


def answer(model: Model, sound: Sound) -> Answer:
    """Play the model a sound.

    Raises
    ------
    NoAnswer
        As `load`, or if the model cannot take the sound.
    """
    return _answer(model.weights_key, model.padding, sound.key, load(model), sound)


def patterns(model: Model, sound: Sound, neurons: Sequence[tuple[int, int]]) -> list[Pattern]:
    """When and where in a sound neurons, as (layer, index), are active.

    Raises
    ------
    NoAnswer
        As `answer`.
    """
    return _patterns(model.weights_key, model.padding, sound.key, tuple(neurons), load(model), sound)


@st.cache_data(scope="session", max_entries=8, show_spinner=False)
def _answer(weights_key: str, padding: Padding, sound_key: str, _model: Encoder, _sound: Sound) -> Answer:
    from core.recording.listen import hear

    with _PASSES:
        try:
            heard = hear(_model, _at_rate(_model, _sound), padding)
        except (RuntimeError, ValueError) as error:  # out of memory among them
            raise NoAnswer(_one_line(error)) from error
    return Answer(heard.mean, heard.rate, heard.n_tokens)


@st.cache_data(scope="session", max_entries=8, show_spinner=False)
def _patterns(
    weights_key: str,
    padding: Padding,
    sound_key: str,
    neurons: tuple[tuple[int, int], ...],
    _model: Encoder,
    _sound: Sound,
) -> list[Pattern]:
    from core.recording.listen import trace

    with _PASSES:
        try:
            traces = trace(_model, _at_rate(_model, _sound), neurons, padding)
        except (RuntimeError, ValueError) as error:
            raise NoAnswer(_one_line(error)) from error
    return [Pattern(one.activation, one.column_seconds, one.band_edges_hz) for one in traces]


def _at_rate(model: Encoder, sound: Sound) -> NDArray[np.float32]:
    from core.datasets.audio import resample

    return resample(sound.samples, sound.sample_rate, model.sample_rate)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
