"""One clip that no dataset holds, through an encoder as a run had it.

What a store tells of a run (names, paths, settings) is only ever read as such: nothing is fetched from a
network, and a module of the user's own is run only where the user names it in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoders import BY_CHECKPOINT, load_encoder, named, nano
from core.encoders.base import Encoder, Padding
from core.encoders.hooks import keep, record
from core.encoders.untrained import untrained
from core.errors import InputError
from core.recording.patterns import clip_cells
from core.results import TokenGrid

OWN_MODEL = "ATLAS_OWN_MODEL"
"""Environment variable: the one ``python:`` model that may be loaded, as it was given to ``--model``."""
TWIN = "-untrained"


@dataclass(frozen=True)
class Heard:
    """How a model's neurons answered to one clip, over its counted tokens.

    Attributes
    ----------
    mean : ndarray of float32, shape (n_neurons,)
        Mean activation.
    rate : ndarray of float32, shape (n_neurons,)
        Share of tokens with activation > 0.
    n_tokens : int
    """

    mean: NDArray[np.float32]
    rate: NDArray[np.float32]
    n_tokens: int


@dataclass(frozen=True)
class Trace:
    """A neuron's activation over one clip's time and frequency.

    Attributes
    ----------
    activation : ndarray of float32, shape (n_bands, n_columns)
        The lowest band first; below 0, or not counted, is 0.
    column_seconds : float
        All columns are as long, the first begins with the clip.
    band_edges_hz : tuple of float
        One more than there are bands.
    """

    activation: NDArray[np.float32]
    column_seconds: float
    band_edges_hz: tuple[float, ...]


def hear(encoder: Encoder, waveform: NDArray[np.float32], padding: Padding = "exclude") -> Heard:
    """Run one clip through an encoder.

    Parameters
    ----------
    encoder : Encoder
    waveform : ndarray of float32, shape (n_samples,)
        At the encoder's rate.
    padding : str
        As the run's ``--padding``.

    Raises
    ------
    InputError
        If the activations are not finite.
    """
    batch = encoder.prepare([waveform], padding)
    with torch.inference_mode(), record(encoder, batch) as counts:
        encoder.forward(batch)
    n_tokens = int(counts.tokens[0])
    mean = (counts.total[0] / max(n_tokens, 1)).cpu().numpy()
    if not np.isfinite(mean).all():
        raise InputError(f"{encoder.name} gives no finite activations for this sound")
    rate = (counts.positive[0] / max(n_tokens, 1)).float().cpu().numpy()
    return Heard(mean, rate, n_tokens)


def trace(
    encoder: Encoder, waveform: NDArray[np.float32], neurons: Sequence[tuple[int, int]], padding: Padding = "exclude"
) -> list[Trace]:
    """Tell when, and at which frequencies, neurons are active in a clip.

    Parameters
    ----------
    encoder : Encoder
    waveform : ndarray of float32, shape (n_samples,)
        At the encoder's rate.
    neurons : sequence of (layer, index)
    padding : str
        As the run's ``--padding``.
    """
    batch = encoder.prepare([waveform], padding)
    wanted = sorted({layer for layer, _ in neurons})
    with torch.inference_mode(), keep(encoder, wanted) as kept:
        encoder.forward(batch)
    rows = np.arange(batch.clip.shape[0])
    seconds = len(waveform) / encoder.sample_rate
    cells = {}
    for layer in wanted:
        counted = (encoder.counted(layer, batch) > 0).cpu().numpy()
        places = encoder.token_places(layer, counted.shape[1])
        cells[layer] = clip_cells(encoder.token_grid(layer), places, counted, rows)
    traces = []
    for layer, index in neurons:
        grid = encoder.token_grid(layer)
        of_token = kept[layer].flatten(0, -2)[:, index].float().clamp(min=0).cpu().numpy()
        activation = np.where(cells[layer] >= 0, of_token[np.maximum(cells[layer], 0)], np.float32(0))
        traces.append(Trace(*_even(activation, grid, seconds), grid.band_edges_hz))
    return traces


def _even(activation: NDArray[np.float32], grid: TokenGrid, seconds: float) -> tuple[NDArray[np.float32], float]:
    """Columns in even steps of time, and the step; where chunks leave gaps, nothing is active in them."""
    n_columns = activation.shape[1]
    if grid.column_seconds is None:
        return activation, seconds / max(n_columns, 1)
    step, chunk = grid.column_seconds, grid.chunk_columns
    if not chunk or grid.chunk_seconds is None or np.isclose(grid.chunk_seconds, chunk * step):
        return activation, step
    column = np.arange(n_columns)
    starts = grid.chunk_seconds * (column // chunk) + step * (column % chunk)
    middles = np.arange(0, starts[-1] + step / 2, step) + step / 2
    nearest = np.searchsorted(starts, middles, side="right") - 1
    inside = middles < starts[nearest] + max(step, grid.span_seconds or 0)
    return np.where(inside, activation[:, nearest], np.float32(0)), step


@dataclass(frozen=True)
class _Source:
    """One way to come by an encoder; ``twin_seed`` None = itself, not its untrained twin."""

    name: str
    weights: str = ""
    layout: str = ""
    twin_seed: int | None = None


def rebuild(name: str, weights_key: str, runs: Sequence[Mapping[str, Any]], device: str = "cpu") -> Encoder:
    """Load the encoder that a store's numbers come from.

    Parameters
    ----------
    name : str
        As the store has it.
    weights_key : str
        sha256 of the weights that were measured.
    runs : sequence of mapping
        Settings of the runs that measured it, newest first: ``models``, ``weights``, ``weights_config``,
        ``untrained``, ``seed``.
    device : str

    Raises
    ------
    InputError
        If its weights are not on this machine, or others are in their place; one line.
    """
    problem = f"no run of this store tells where {name} came from"
    for source in dict.fromkeys(_sources(name, runs)):
        try:
            encoder = _load(source, device)
        except InputError as error:
            problem = str(error)
            continue
        if encoder.weights_key == weights_key:
            return encoder
        problem = (
            f"{source.weights or source.name} holds other weights than those that were measured "
            f"({encoder.weights_key[:12]} in place of {weights_key[:12]})"
        )
    raise InputError(problem)


def _sources(name: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[_Source]:
    trained = name.removesuffix(TWIN)
    for run in runs:
        models = run.get("models")
        weights, layout = str(run.get("weights") or ""), str(run.get("weights_config") or "")
        for given in map(str, models if isinstance(models, list) else []):
            own_name, asked = named(given)
            if (own_name or asked) == name or (not own_name and not name.endswith(TWIN) and _may_be(asked, name)):
                yield _Source(asked, weights, layout)
            elif name.endswith(TWIN) and (own_name == trained if own_name else _may_be(asked, trained)):
                yield _Source(asked, weights, layout, int(run.get("seed") or 0))
    if name in (*nano.NAMES, "nano-untrained"):
        yield _Source(name)


def _may_be(asked: str, name: str) -> bool:
    """Whether what was asked for could be a model of that name: a name tells no path."""
    family, _, which = asked.partition(":")
    if family == "hf":
        return name.startswith("hf:") and name.endswith(Path(which).name)  # or with the folders above before it
    if family in BY_CHECKPOINT:
        return name.partition(":")[0] == family
    if name == "nano":
        return asked in nano.NAMES
    return asked == name or family == "python"


def _load(source: _Source, device: str) -> Encoder:
    family, _, which = source.name.partition(":")
    name, weights = source.name, source.weights
    if family == "python" and os.environ.get(OWN_MODEL) != name:
        raise InputError(
            f"{name} is code of the user's own, which is not run because a store names it; "
            f"to allow it, start the page with {OWN_MODEL}={name}"
        )
    if family == "hf":
        name = f"hf:{_local_folder(which)}"
    elif family == "m2d":
        _check_is_here(which or weights)
    elif family in BY_CHECKPOINT and not os.path.exists(os.path.expanduser(which or weights)):
        raise InputError(f"no weights at {which or weights or '(none given)'} on this machine")
    elif family == "torchaudio" and not weights:
        weights = _cached_bundle(which)
    elif weights and not os.path.exists(weights):
        raise InputError(f"no weights at {weights} on this machine")
    encoder = load_encoder(name, weights or None, device, source.layout if family == "m2d" and source.layout else None)
    return encoder if source.twin_seed is None else untrained(encoder, source.twin_seed)


def _local_folder(which: str) -> str:
    """A Hugging Face model's folder, given or in the local cache."""
    if os.path.isdir(os.path.expanduser(which)):
        return which
    try:
        from huggingface_hub import snapshot_download

        return str(snapshot_download(which, local_files_only=True))
    except (ImportError, OSError, ValueError) as error:
        raise InputError(f"hf:{which} is not on this machine") from error


def _check_is_here(weights: str) -> None:
    """An M2D checkpoint: a path, or a published name that was fetched before."""
    from core.encoders.m2d.download import cache_folder

    name = weights.removesuffix(".zip")
    places = (Path(os.path.expanduser(weights)), cache_folder() / name, cache_folder() / f"{name}.zip")
    if not weights or not any(place.exists() for place in places):
        raise InputError(f"no weights at {weights or '(none given)'} on this machine")


def _cached_bundle(which: str) -> str:
    """A torchaudio bundle's file in torch hub's cache."""
    from core.encoders import torchaudio_bundle

    known = torchaudio_bundle.bundles()
    if which not in known:
        raise InputError(f"torchaudio has no bundle '{which}' here")
    file = Path(torch.hub.get_dir()) / "checkpoints" / known[which]._path.rpartition("/")[2]
    if not file.is_file():
        raise InputError(f"no weights at {file} on this machine")
    return str(file)
