"""One look at every file of a dataset: what is broken, what it holds, how loud and long it is.

Bad files are found here, once, named and left out. The result is cached beside the store by path,
size and time of change, so that a second run reads only what is new.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.datasets import audio
from core.datasets.base import Clip, Dataset
from core.datasets.levels import BAND_FEATURES, LEVEL_FEATURES, SAMPLE_RATE, _levels, spectrum
from core.datasets.readers import SECONDS, Readers, seconds_for, too_long
from core.datasets.segments.within import within
from core.errors import InputError
from core.files import is_file_as_written, naming, replace_file
from core.results import ClipRecord, DatasetRecord, Problem

if TYPE_CHECKING:
    import pandas as pd

_FEATURES = [*LEVEL_FEATURES, *BAND_FEATURES]
_COLUMNS = ["path", "size", "mtime_ns", "sha256", *_FEATURES, "reason"]
Row = dict[str, object]
"""One file, by `_COLUMNS`."""
_SAVE_EVERY, _STAMPS_AT_ONCE = 2000, 1000
_NO_STAMPS = np.zeros((0, 2), dtype=np.int64)
_PASSING = ("took longer than ", "cannot be read (")
"""How reasons begin that may be gone the next time; such files are looked at again."""
_CACHE_LOCK, _log = threading.Lock(), logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """A dataset whose files were all read once.

    Attributes
    ----------
    dataset : Dataset
        Only the clips that can be used.
    files : DataFrame
        One row a usable clip, in order: ``path``, ``size``, ``mtime_ns``, ``sha256``, ``seconds``,
        ``level_db`` (RMS, dB re full scale), ``peak_db``, ``active_share`` (of 25 ms frames above -60 dBFS),
        ``band_00`` to ``band_15`` (`spectrum`).
    problems : tuple of Problem
    unit_seconds : float or None
        Length to which every clip is cropped or filled when it is read; None = its own.
    cache : Path or None
        Where what was found is kept.
    """

    dataset: Dataset
    files: pd.DataFrame
    problems: tuple[Problem, ...]
    unit_seconds: float | None = None
    cache: Path | None = None

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
        """sha256 over audio, splits and labels: what results depend on; segments have a key of their own."""
        dataset, digest = self.dataset, hashlib.sha256(self.audio_key.encode())
        for i, clip in enumerate(dataset.clips):  # as one list in JSON, clip by clip
            before = ", " if i else "["
            digest.update((before + json.dumps([clip.split, sorted(clip.labels.items())])).encode())
        digest.update(b"]" if dataset.clips else b"[]")
        if dataset.split_of or dataset.multilabel:
            digest.update(json.dumps([sorted(dataset.split_of.items()), sorted(dataset.multilabel)]).encode())
        return digest.hexdigest()

    def look_again(self, path: str) -> None:
        """Let the next scan look at a file that could not be read, however unchanged it seems."""
        with _CACHE_LOCK, suppress(OSError):
            if self.cache is not None:
                _write_cache(self.cache, _read_cache(self.cache).drop(index=path, errors="ignore"))

    def record(self) -> DatasetRecord:
        """The dataset as the store keeps it."""
        dataset = self.dataset
        own = tuple(dataset.split_of)
        splits = zip(*dataset.split_of.values(), strict=True) if own else repeat((), len(dataset.clips))
        return DatasetRecord(
            name=dataset.name,
            root=str(dataset.root),
            content_key=self.content_key,
            attributes=dataset.attributes,
            clips=tuple(
                ClipRecord(c.path, c.split, float(s), self._record_labels(c), _named(own, of_clip), content)
                for c, s, content, of_clip in zip(
                    dataset.clips, self.files["seconds"], self.files["sha256"], splits, strict=True
                )
            ),
            problems=self.problems,
            split_origin=dataset.split_origin,
            description=dataset.description,
            source=dataset.source,
            licence=dataset.licence,
        )

    def _record_labels(self, clip: Clip) -> Mapping[str, str | tuple[str, ...]]:
        if not self.dataset.multilabel:
            return clip.labels  # no copy for each of many clips
        several = {a: self.dataset.values(clip, a) for a in self.dataset.multilabel if a in clip.labels}
        return {**clip.labels, **several}

    @cached_property
    def memo(self) -> dict[object, dict[str, object]]:
        """What was worked out from the clips and labels alone, for the models to come."""
        return {}


_NO_SPLITS: dict[str, str] = {}


def _named(attributes: Sequence[str], splits: Sequence[str]) -> Mapping[str, str]:
    return dict(zip(attributes, splits, strict=True)) if attributes else _NO_SPLITS  # one for all of many clips


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
    rows: dict[str, Row] = {}
    try:
        with Readers(workers) as readers:
            parts = [paths[start : start + _STAMPS_AT_ONCE] for start in range(0, len(paths), _STAMPS_AT_ONCE)]
            asked = readers.map(
                lambda part: _stamps(dataset.root, part), parts, lambda _: SECONDS,
                lambda part: _no_answer(dataset.root, part),
            )  # fmt: skip
            stamps = np.concatenate([*asked] or [_NO_STAMPS])
            changed = np.flatnonzero(~_are_known(known, paths, stamps))
            n_known = n_done = len(paths) - len(changed)
            # A few at a time: what waits to be looked at is held too.
            ahead = (changed[start : start + _SAVE_EVERY] for start in range(0, len(changed), _SAVE_EVERY))
            looked = chain.from_iterable(
                readers.map(
                    lambda i: _look(dataset.root, paths[i], *stamps[i].tolist()),
                    some,
                    lambda i: seconds_for(stamps[i, 0]),
                    lambda i: _row(paths[i], int(stamps[i, 0]), int(stamps[i, 1]), too_long(stamps[i, 0])),
                )
                for some in ahead
            )
            if progress and n_known:
                progress(n_known)
            for n_done, row in enumerate(looked, start=n_known + 1):
                rows[str(row["path"])] = row
                # More seldom the larger the table: each time the whole is written.
                if len(rows) >= max(_SAVE_EVERY, len(known) // 8):
                    known, rows = _with_rows(known, rows), {}
                    _write_cache(cache, known)
                if progress:
                    progress(n_done)
    finally:
        if rows:
            known = _with_rows(known, rows)
            _write_cache(cache, known)
    return replace(_split_good_and_bad(dataset, known.loc[paths]), cache=cache)


def is_unchanged(root: Path, path: str, size: int, mtime_ns: int) -> bool:
    """Whether a file is still as a scan found it, by its size and time of change."""
    return _stamps(root, [path]).tolist() == [[size, mtime_ns]]


def _stamps(root: Path, paths: Sequence[str]) -> NDArray[np.int64]:
    """Size and time of change of some files, a row each; -1 and 0 where there is none."""
    stamps = np.full((len(paths), 2), (-1, 0), dtype=np.int64)
    for i, path in enumerate(paths):
        try:
            status = os.stat(f"{root}/{path}")
        except (OSError, ValueError):
            continue
        stamps[i] = status.st_size, status.st_mtime_ns
    return stamps


def _are_known(known: pd.DataFrame, paths: Sequence[str], stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which files are as they were when they were looked at."""
    import pandas as pd

    place = known.index.get_indexer(pd.Index(paths, dtype=object))
    was = known[["size", "mtime_ns"]].to_numpy()[place] if len(known) else np.zeros_like(stamps)
    unchanged: NDArray[np.bool_] = (place >= 0) & (was == stamps).all(axis=1)
    return unchanged


def _no_answer(root: Path, paths: Sequence[str]) -> NDArray[np.int64]:
    raise InputError(
        f"{root}: sizes of files ({paths[0]} and after) took longer than {SECONDS:,.0f} s to ask for; "
        "see whether its disk or network share answers, and run again"
    )


def _row(path: str, size: int, mtime_ns: int, reason: str = "") -> Row:
    """A file of which nothing but a reason is known."""
    row: Row = {"path": path, "size": size, "mtime_ns": mtime_ns, "sha256": "", "reason": reason}
    return row | dict.fromkeys(_FEATURES, np.nan)


def _look(root: Path, path: str, size: int, mtime_ns: int) -> Row:
    file, row = root / path, _row(path, size, mtime_ns)
    try:
        waveform = audio.load(file, SAMPLE_RATE)
        with file.open("rb") as content:  # never the whole at once: more may lie behind the sound
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        row.update(_levels(waveform), **spectrum(waveform), sha256=sha256)
    except audio.BadAudio as error:
        row["reason"] = str(error)
    except OSError as error:
        row["reason"] = f"cannot be read ({error.strerror})"
    return row


def _split_good_and_bad(dataset: Dataset, by_path: pd.DataFrame) -> Scan:
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
    kept, beyond = within(dataset.only(good).drawn_again(), files["seconds"].tolist())
    return Scan(kept, files, (*problems, *beyond))


def _with_rows(known: pd.DataFrame, rows: Mapping[str, Row]) -> pd.DataFrame:
    """What is known, with files that were looked at now."""
    import pandas as pd

    new = pd.DataFrame(list(rows.values()), columns=_COLUMNS).set_index("path")
    kept = known.drop(index=known.index.intersection(new.index))
    return pd.concat([kept, new]) if len(kept) else new


def _read_cache(path: Path) -> pd.DataFrame:
    """A row for each file by its path; none where the file is missing or damaged."""
    import pandas as pd

    try:
        if not is_file_as_written(path):
            _log.warning("%s is not as it was written; all files are looked at again", path)
            raise ValueError
        text = dict.fromkeys(("path", "sha256", "reason"), str)
        table = pd.read_csv(
            path,
            keep_default_na=False,
            na_values=dict.fromkeys(_FEATURES, ""),
            dtype=text,
            encoding_errors="surrogateescape",
        )
        numbers = {"size": np.int64, "mtime_ns": np.int64, **dict.fromkeys(_FEATURES, np.float64)}
        table = table[_COLUMNS].astype(numbers).drop_duplicates("path", keep="last")
    except (OSError, ValueError, KeyError):
        table = pd.DataFrame(columns=_COLUMNS).astype({"size": np.int64, "mtime_ns": np.int64})
    return table.set_index("path")


def _write_cache(path: Path, known: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with naming(path):
        known[~known["reason"].str.startswith(_PASSING)].to_csv(part, errors="surrogateescape")
        replace_file(part, path)
