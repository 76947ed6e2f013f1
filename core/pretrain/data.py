"""Training sound: the demo's generators with wider settings, as log-mels, never the demo's clips.

Written in chunks of 2,000 clips, so that an interrupted run goes on where it stood. Each clip has
one *tag*, what a listener would call it, as general as AudioSet's: the kind of event, the instrument
family, "speech", "synthesiser". Only ``nano-sl`` sees tags. Language, voice, gender, digit, pitch,
octave, instrument and timbre are in no tag, nor can they be told from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from core.datasets.demo.synthesis.clip import ClipSpec
from core.datasets.demo.synthesis.corpus import Corpus, corpora
from core.encoders.nano import LogMel, NanoConfig

CHUNK = 2_000
SHARES = {
    "demo-notes": 0.25,
    "demo-synth": 0.15,
    "demo-speech": 0.25,
    "demo-digits": 0.15,
    "demo-events": 0.20,
}
"""Corpus -> share of the training clips."""


def tag_of(corpus: str, labels: Mapping[str, str]) -> str:
    """The only tag of a training clip, from the name of its corpus and its labels."""
    if corpus == "demo-notes":
        return labels["family"]
    if corpus == "demo-events":
        return labels["event"]
    return "synthesiser" if corpus == "demo-synth" else "speech"


def draw(rng: np.random.Generator) -> tuple[Corpus, ClipSpec]:
    """One random training clip, not made yet, and its corpus."""
    names = list(SHARES)
    name = names[rng.choice(len(names), p=list(SHARES.values()))]
    corpus = next(c for c in corpora() if c.name == name)
    return corpus, corpus.training_spec(rng)


def make_clip(rng: np.random.Generator) -> tuple[NDArray[np.float32], str]:
    """One random training clip and its tag."""
    corpus, spec = draw(rng)
    return corpus.render(spec), tag_of(corpus.name, spec.labels)


def make_chunk(index: int, folder: Path, seed: int) -> Path:
    """Write log-mels (n, 80, 208) float16 and tags (n,) of chunk ``index``; skip if it is there."""
    path = folder / f"chunk-{seed}-{index:04d}.npz"
    if path.exists():
        return path
    torch.set_num_threads(1)
    log_mel = LogMel()
    config = NanoConfig()
    mels = np.empty((CHUNK, config.n_mels, config.n_frames), dtype=np.float16)
    tags = []
    for i in range(CHUNK):
        waveform, tag = make_clip(np.random.default_rng([seed, index, i]))
        mels[i] = log_mel(torch.from_numpy(waveform)).numpy()
        tags.append(tag)
    partial_path = path.with_suffix(".partial.npz")
    np.savez(partial_path, mels=mels, tags=np.array(tags))
    partial_path.rename(path)
    return path


def training_set(
    folder: Path, n_clips: int, seed: int, workers: int = 2
) -> tuple[NDArray[np.float16], NDArray[np.int64], list[str]]:
    """Make (or find) the training clips.

    Returns
    -------
    mels : ndarray of float16, shape (n_clips, 80, 208)
        Natural-log mel power, not normalised.
    tags : ndarray of int, shape (n_clips,)
    tag_names : list of str
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_chunks = -(-n_clips // CHUNK)
    make = partial(make_chunk, folder=folder, seed=seed)
    with ProcessPoolExecutor(workers) as pool:
        paths = list(track(pool.map(make, range(n_chunks)), "sound", total=n_chunks))
    mels = np.empty((n_chunks * CHUNK, 80, 208), dtype=np.float16)
    names = []
    for i, path in enumerate(paths):
        with np.load(path) as chunk:
            mels[i * CHUNK : (i + 1) * CHUNK] = chunk["mels"]
            names.append(chunk["tags"])
    tag_names, tags = np.unique(np.concatenate(names), return_inverse=True)
    return mels[:n_clips], tags[:n_clips].astype(np.int64), tag_names.tolist()
