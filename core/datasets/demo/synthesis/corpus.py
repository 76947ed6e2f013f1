"""What a generated corpus is, how it is written to disk, and which ones there are."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from core.datasets.base import Clip, Segment
from core.datasets.demo.synthesis.clip import SAMPLE_RATE, ClipSpec, Waveform
from core.datasets.segments import table

SPLITS = ("train", "valid", "test")

_STAMP = "complete.json"
_INSTANCES = (
    ("core.datasets.demo.synthesis.synth", "SYNTH"),
    ("core.datasets.demo.synthesis.notes", "NOTES"),
    ("core.datasets.demo.synthesis.events", "EVENTS"),
    ("core.datasets.demo.synthesis.speech", "SPEECH"),
    ("core.datasets.demo.synthesis.speech", "DIGITS"),
)

INSTALL_DEMO = "pip install 'audio-neuron-atlas[demo]'"


class MissingDemoPackage(RuntimeError):
    """A package that only the demo generators need is not installed.

    Parameters
    ----------
    package : str
        Its name on the package index.
    install : str
        The command that installs it.
    """

    def __init__(self, package: str, install: str = INSTALL_DEMO) -> None:
        super().__init__(f"the demo sounds need the package {package}: run {install}")
        self.package = package


class Corpus(Protocol):
    """A labelled set of generated clips.

    Attributes
    ----------
    name, description, source, licence : str
        One line each, for the registry.
    attributes : tuple of str
        The label columns of the manifest.
    segment_attributes : tuple of str
        What the clips' segments are labelled with.
    """

    name: str
    description: str
    source: str
    licence: str
    attributes: tuple[str, ...]
    segment_attributes: tuple[str, ...]

    def specs(self, seed: int) -> list[ClipSpec]:
        """All clips of the corpus in order; the same for the same seed."""
        ...

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        """One random clip for pre-training, wider than the corpus, without its test sources."""
        ...

    def render(self, spec: ClipSpec) -> Waveform:
        """The clip, shape (33280,), 16 kHz; depends on ``spec`` only."""
        ...

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        """The same clip, and its segments."""
        ...


def corpora() -> tuple[Corpus, ...]:
    """All generated corpora, imported when asked for."""
    return tuple(getattr(import_module(module), name) for module, name in _INSTANCES)


def generator_version() -> str:
    """SHA-256 over the sources of the generators, in hex."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_written(corpus: Corpus, root: Path, seed: int) -> bool:
    """Whether `write` has nothing to do."""
    return (root / "manifest.csv").exists() and _read_stamp(root / _STAMP) == _stamp(corpus, seed)


def _stamp(corpus: Corpus, seed: int) -> dict[str, object]:
    return {"corpus": corpus.name, "generator": generator_version(), "seed": seed}


def write(
    corpus: Corpus,
    root: Path,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write a corpus as FLAC files, a manifest and a table of segments, unless it is already there.

    A folder that a broken-off call has left is written anew: the stamp comes last.

    Parameters
    ----------
    corpus : Corpus
    root : Path
        Folder of this corpus; gets ``audio/<name>.flac``, and ``manifest.csv`` and ``segments.tsv``, whose ``file``
        columns are relative to ``root``.
    seed : int
    progress : callable, optional
        Called with the number of clips done, after each clip.

    Returns
    -------
    Path
        The manifest.
    """
    manifest = root / "manifest.csv"
    stamp = root / _STAMP
    if is_written(corpus, root, seed):
        return manifest
    stamp.unlink(missing_ok=True)
    manifest.unlink(missing_ok=True)
    audio = root / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    specs = corpus.specs(seed)
    kept = {f"{spec.name}.flac" for spec in specs}
    for stale in audio.iterdir():
        if stale.is_file() and stale.name not in kept:
            stale.unlink()
    clips = []
    for done, spec in enumerate(specs, start=1):
        wave, segments = corpus.timed(spec)
        clips.append(Clip(f"audio/{spec.name}.flac", spec.split, spec.labels, segments))
        soundfile.write(audio / f"{spec.name}.flac", wave, SAMPLE_RATE, subtype="PCM_16")
        if progress is not None:
            progress(done)
    part = root / f"{table.NAMES[0]}.part"
    part.write_text(table.written(clips, corpus.segment_attributes), encoding="utf-8")
    os.replace(part, root / table.NAMES[0])
    part = manifest.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["file", "split", *corpus.attributes])
        for spec in specs:
            labels = [spec.labels[attribute] for attribute in corpus.attributes]
            rows.writerow([f"audio/{spec.name}.flac", spec.split, *labels])
    os.replace(part, manifest)
    part = stamp.with_suffix(".part")
    part.write_text(json.dumps(_stamp(corpus, seed)), encoding="utf-8")
    os.replace(part, stamp)
    return manifest


def _read_stamp(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
