"""One look at every file of a dataset: what is broken, what it holds, how loud and long it is.

Bad files are found here, once, named and left out. The result is cached beside the store by path,
size and time of change, so that a second run reads only what is new.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import audio, folds
from core.datasets.base import Clip, Dataset
from core.results import ClipRecord, DatasetRecord, Problem

SILENCE_DBFS = -60.0
FRAME = 400
_SAVE_EVERY = 2000
_COLUMNS = ["path", "size", "mtime_ns", "sha256", "seconds", "level_db", "peak_db", "active_share", "reason"]
LEVEL_FEATURES = ("seconds", "level_db", "peak_db", "active_share")


@dataclass(frozen=True)
class Scan:
    """A dataset whose files were all read once.

    Attributes
    ----------
    dataset : Dataset
        Only the clips that can be used.
    files : DataFrame
        One row a usable clip, in order: ``path``, ``size``, ``mtime_ns``, ``sha256``, ``seconds``,
        ``level_db`` (RMS, dB re full scale), ``peak_db``, ``active_share`` (of 25 ms frames above -60 dBFS).
    problems : tuple of Problem
    unit_seconds : float or None
        Length to which every clip is cropped or filled when it is read; None = its own.
    """

    dataset: Dataset
    files: pd.DataFrame
    problems: tuple[Problem, ...]
    unit_seconds: float | None = None

    @property
    def longest(self) -> float:
        """Seconds of the longest clip as it is read."""
        return self.unit_seconds or float(self.files["seconds"].max())

    @cached_property
    def audio_key(self) -> str:
        """sha256 over the clips' paths and contents, in order: what activations depend on."""
        digest = hashlib.sha256()
        for path, content in zip((c.path for c in self.dataset.clips), self.files["sha256"], strict=True):
            digest.update(f"{path}\0{content}\n".encode())
        return digest.hexdigest()

    @cached_property
    def content_key(self) -> str:
        """sha256 over audio, splits and labels: what results depend on."""
        dataset = self.dataset
        labels = json.dumps([[c.split, sorted(c.labels.items())] for c in dataset.clips])
        if dataset.split_of or dataset.multilabel:
            labels += json.dumps([sorted(dataset.split_of.items()), sorted(dataset.multilabel)])
        return hashlib.sha256((self.audio_key + labels).encode()).hexdigest()

    def record(self) -> DatasetRecord:
        """The dataset as the store keeps it."""
        dataset = self.dataset
        return DatasetRecord(
            name=dataset.name,
            root=str(dataset.root),
            content_key=self.content_key,
            attributes=dataset.attributes,
            clips=tuple(
                ClipRecord(c.path, c.split, float(s), self._record_labels(c))
                for c, s in zip(dataset.clips, self.files["seconds"], strict=True)
            ),
            problems=self.problems,
            split_origin=dataset.split_origin,
            description=dataset.description,
            source=dataset.source,
            licence=dataset.licence,
        )

    def _record_labels(self, clip: Clip) -> dict[str, str | tuple[str, ...]]:
        several = {a: self.dataset.values(clip, a) for a in self.dataset.multilabel if a in clip.labels}
        return {**clip.labels, **several}

    def labels(self, attribute: str) -> tuple[NDArray[np.int64], list[str]]:
        """Class index of each clip (-1 without a label), and the class names in order.

        Raises
        ------
        ValueError
            Where a clip may have several labels: `members` tells them.
        """
        if attribute in self.dataset.multilabel:
            raise ValueError(f"clips of {self.dataset.name} may have several labels of {attribute}; ask members")
        names = self.dataset.classes(attribute)
        index = {name: i for i, name in enumerate(names)}
        return np.array([index.get(c.labels.get(attribute, ""), -1) for c in self.dataset.clips]), names

    def members(self, attribute: str) -> tuple[NDArray[np.bool_], list[str]]:
        """Which classes each clip has, shape (n_clips, n_classes), and the class names in order."""
        dataset = self.dataset
        names = dataset.classes(attribute)
        index = {name: i for i, name in enumerate(names)}
        members = np.zeros((len(dataset.clips), len(names)), dtype=bool)
        for i, clip in enumerate(dataset.clips):
            for value in dataset.values(clip, attribute):
                members[i, index[value]] = True
        return members, names

    def splits(self, attribute: str | None = None) -> NDArray[np.str_]:
        """Split of each clip: the attribute's own where it has one, else the clip's."""
        own = self.dataset.split_of.get(attribute) if attribute else None
        return np.array([c.split for c in self.dataset.clips] if own is None else own, dtype=np.str_)

    def in_splits(self, *splits: str, attribute: str | None = None) -> NDArray[np.bool_]:
        """Which clips are in one of train, valid and test; of folds the last is test, the others are train."""
        return np.isin(folds.roles(self.splits(attribute)), splits)

    def tested(self, attribute: str) -> NDArray[np.bool_]:
        """Which clips a linear head is told on that has not seen them: the test clips, with folds those of any."""
        splits = self.splits(attribute)
        return np.isin(splits, folds.names(splits.tolist()) or ["test"])


def scan(dataset: Dataset, cache: Path, workers: int = 2, progress: Callable[[int], None] | None = None) -> Scan:
    """Read every file of a dataset once, or take what is known of it.

    What was found is kept every few thousand files and when the scan is stopped.

    Parameters
    ----------
    dataset : Dataset
    cache : path
        CSV to keep what was found in.
    workers : int
        Threads that read.
    progress : callable, optional
        Called with the number of files done so far.

    Returns
    -------
    Scan
    """
    known = _read_cache(cache)
    paths = list(dict.fromkeys(clip.path for clip in dataset.clips))
    unsaved = 0
    try:
        with ThreadPoolExecutor(workers) as pool:
            looked = pool.map(lambda p: _look(dataset.root, p, known.get(p)), paths)
            for n_done, (path, (row, is_new)) in enumerate(zip(paths, looked, strict=True), start=1):
                known[path] = row
                unsaved += is_new
                if unsaved >= _SAVE_EVERY:
                    _write_cache(cache, known)
                    unsaved = 0
                if progress:
                    progress(n_done)
    finally:
        if unsaved:
            _write_cache(cache, known)
    return _split_good_and_bad(dataset, pd.DataFrame([known[p] for p in paths], columns=_COLUMNS))


def is_unchanged(root: Path, path: str, size: int, mtime_ns: int) -> bool:
    """Whether a file is still as a scan found it, by its size and time of change."""
    return _stamp(root / path) == {"size": size, "mtime_ns": mtime_ns}


def _stamp(file: Path) -> dict[str, int]:
    try:
        status = file.stat()
    except (OSError, ValueError):
        return {"size": -1, "mtime_ns": 0}
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _look(root: Path, path: str, known: dict[str, object] | None) -> tuple[dict[str, object], bool]:
    file = root / path
    stamp = _stamp(file)
    if known is not None and all(known[k] == v for k, v in stamp.items()):
        return known, False
    row = {"path": path, **stamp, "sha256": "", "reason": "", **dict.fromkeys(LEVEL_FEATURES, np.nan)}
    try:
        if stamp["size"] < 0:
            raise audio.BadAudio("file not found")
        if not file.resolve().is_relative_to(root):
            raise audio.BadAudio("leaves the dataset's folder through a link")
        waveform = audio.load(file, 16_000)
        row.update(_levels(waveform), sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    except audio.BadAudio as error:
        row["reason"] = str(error)
    except OSError as error:
        row["reason"] = f"cannot be read ({error.strerror})"
    return row, True


def _levels(waveform: NDArray[np.float32]) -> dict[str, float]:
    def db(value: float) -> float:
        return round(20 * np.log10(max(value, 1e-8)), 3)

    padded = np.pad(waveform, (0, -len(waveform) % FRAME))
    frames = np.sqrt(np.mean(padded.reshape(-1, FRAME) ** 2, axis=1))
    return {
        "seconds": len(waveform) / 16_000,
        "level_db": db(float(np.sqrt(np.mean(waveform**2)))),
        "peak_db": db(float(np.abs(waveform).max())),
        "active_share": round(float(np.mean(frames > 10 ** (SILENCE_DBFS / 20))), 4),
    }


def _split_good_and_bad(dataset: Dataset, table: pd.DataFrame) -> Scan:
    by_path = table.set_index("path")
    reason = by_path["reason"].to_dict()
    good: list[Clip] = []
    problems = list(dataset.problems)
    seen: set[str] = set()
    for clip in dataset.clips:
        if clip.path in seen:
            problems.append(Problem(clip.path, "is listed twice; only the first row counts"))
        elif reason[clip.path]:
            problems.append(Problem(clip.path, str(reason[clip.path])))
        else:
            good.append(clip)
        seen.add(clip.path)
    files = by_path.loc[[c.path for c in good]].reset_index()
    return Scan(dataset.only(good), files, tuple(problems))


def _read_cache(path: Path) -> dict[str, dict[str, object]]:
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype={"path": str, "sha256": str, "reason": str})
        table[list(LEVEL_FEATURES)] = table[list(LEVEL_FEATURES)].apply(pd.to_numeric)
        records = table[_COLUMNS].to_dict("records")
        return {str(row["path"]): {str(k): v for k, v in row.items()} for row in records}
    except (OSError, ValueError, KeyError):
        return {}


def _write_cache(path: Path, known: dict[str, dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    pd.DataFrame(list(known.values()), columns=_COLUMNS).to_csv(part, index=False)
    os.replace(part, path)
