"""Training sound: the demo's generators with wider settings, as log-mels, never the demo's clips.

Written in chunks of 2,000 clips, so that an interrupted run goes on where it stood. Each clip has
one *tag*, what a listener would call it: the kind of event, the instrument family, the synthesiser
timbre, the language of speech. Only ``nano-sl`` sees tags. Pitch, octave, gender and digit are in
no tag: they are unseen by both models.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from core.datasets.demo.synthesis.corpus import corpora
from core.encoders.nano import LogMel, NanoConfig

CHUNK = 2_000
SHARES = {
    "demo-notes": (0.25, "family"),
    "demo-synth": (0.20, "timbre"),
    "demo-speech": (0.25, "language"),
    "demo-digits": (0.10, None),
    "demo-events": (0.20, "event"),
}
"""Corpus -> (share of the training clips, attribute that gives the tag; None = the corpus itself)."""


def make_clip(rng: np.random.Generator) -> tuple[NDArray[np.float32], str]:
    """One random training clip and its tag, ``corpus/value``."""
    names = list(SHARES)
    name = names[rng.choice(len(names), p=[share for share, _ in SHARES.values()])]
    corpus = next(c for c in corpora() if c.name == name)
    spec = corpus.training_spec(rng)
    attribute = SHARES[name][1]
    return corpus.render(spec), f"{name}/{spec.labels[attribute] if attribute else 'any'}"


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
