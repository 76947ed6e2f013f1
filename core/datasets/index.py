"""What a large dataset's folder holds, kept in the user's cache so that the next listing need not look again.

An index is taken for good while everything that the listing looked at (folders, tables and lists, files whose
first bytes were read) has the times of change and sizes that it had. Else, or where the index cannot be read,
the folder is listed anew.
"""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.datasets import audio
from core.datasets.base import Clip, Dataset, InputError
from core.datasets.files import Stamp, look_at, noting, stamp
from core.datasets.published.base import Options
from core.results import Problem
from core.untrusted_text import harmless, is_storable

FEWEST = 20_000
"""Datasets of fewer clips are listed each time."""
SETTLED = 2.0
"""Seconds since the last change, below which a folder may change again without another time of change."""
_BY_COLUMN = {"root", "clips", "problems", "split_of", "kept_together"}
_BROKEN = (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


def cache_folder() -> Path:
    """The user's cache of this project: ``ATLAS_CACHE``, or in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if "ATLAS_CACHE" in os.environ:
        return Path(os.environ["ATLAS_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "audio-neuron-atlas"


def listed(loader: str, root: Path, options: Options, read: Callable[[Path, Options], Dataset]) -> Dataset:
    """List a dataset, or take what is known of it.

    Parameters
    ----------
    loader : str
        Who lists it; with the root, the index's name.
    root : Path
    options : Options
    read : callable
        Lists the dataset.

    Raises
    ------
    InputError
        If it cannot be listed, or its folder's name is no UTF-8.
    """
    root = root.resolve()
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    path = cache_folder() / "listings" / f"{loader}-{digest}.npz"
    key = json.dumps([_code(), str(root), options.seed, str(options.evar_dir or ""), sorted(options.remap.items())])
    with _unhindered():
        known = _load(path, key, root)
        if known is not None:
            return known
        started = time.time_ns()
        with noting() as looked_at:
            _look_at_tables(root, options)
            dataset = _storable(read(root, options))
        newest = max((max(s[:2]) for s in looked_at.values()), default=0)
        if len(dataset.clips) >= FEWEST and newest < started - SETTLED * 1e9:
            with suppress(OSError):
                _save(path, key, dataset, looked_at)
        return dataset


def _storable(dataset: Dataset) -> Dataset:
    """Without files whose names are no UTF-8: neither a database nor a terminal takes such names.

    Raises
    ------
    InputError
        If the folder itself has such a name.
    """
    if not is_storable(str(dataset.root)):
        raise InputError(f"{dataset.root}: the folder's path is no UTF-8; rename it")
    odd = [clip.path for clip in dataset.clips if not is_storable(clip.path)]
    problems = tuple(
        p if is_storable(p.path + p.reason) else replace(p, path=harmless(p.path), reason=harmless(p.reason))
        for p in (*dataset.problems, *(Problem(path, "has a name that is no UTF-8; rename it") for path in odd))
    )
    if odd:
        dataset = dataset.only([clip for clip in dataset.clips if is_storable(clip.path)]).drawn_again()
    return replace(dataset, problems=problems)


@contextmanager
def _unhindered() -> Iterator[None]:
    """No search for garbage: a million new objects would be gone through again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@cache
def _code() -> str:
    """Of the loaders: what another version lists may differ."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _look_at_tables(root: Path, options: Options) -> None:
    """The folder, its sub-folders, and what is no sound in them: loaders ask whether such files are there."""
    if options.evar_dir:
        look_at(options.evar_dir)
    inside = [root]
    for folder in inside:
        look_at(folder)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if folder == root:
                            inside.append(root / entry.name)
                    elif os.path.splitext(entry.name)[1].lower() not in audio.EXTENSIONS:
                        look_at(entry.path)
        except OSError:
            continue


def _save(path: Path, key: str, dataset: Dataset, looked_at: Mapping[str, Stamp]) -> None:
    facts = {f.name: getattr(dataset, f.name) for f in fields(Dataset) if f.name not in _BY_COLUMN}
    attributes = list(dict.fromkeys(name for clip in dataset.clips for name in clip.labels))
    columns: dict[str, Any] = {
        "key": _packed([key]),
        "facts": _packed([json.dumps(facts)]),
        "looked at": _packed(looked_at),
        "stamps": np.array(list(looked_at.values()), dtype=np.int64),
        "path": _packed(clip.path for clip in dataset.clips),
        "attributes": _packed(attributes),
        "problem": _packed(problem.path for problem in dataset.problems),
        "left out": np.array([problem.left_out for problem in dataset.problems], dtype=np.bool_),
        **_coded("reason", [problem.reason for problem in dataset.problems]),
        **_coded("split", [clip.split for clip in dataset.clips]),
        "split of": _packed(dataset.split_of),
        **_coded("kept together", dataset.kept_together),
    }
    for i, attribute in enumerate(attributes):
        columns |= _coded(f"label {i}", [clip.labels.get(attribute) for clip in dataset.clips])
    for i, splits in enumerate(dataset.split_of.values()):
        columns |= _coded(f"split of {i}", splits)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **columns)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _load(path: Path, key: str, root: Path) -> Dataset | None:
    """The dataset, if the index is whole and nothing has changed."""
    try:
        # At once: an archive read in pieces would be open while it is replaced.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as columns:
            if _unpacked(columns["key"]) != [key]:
                return None
            paths, stamps = _unpacked(columns["looked at"]), columns["stamps"].tolist()
            if any(stamp(name) != tuple(was) for name, was in zip(paths, stamps, strict=True)):
                return None
            return _dataset(root, columns)
    except _BROKEN:
        return None


def _dataset(root: Path, columns: Mapping[str, NDArray[Any]]) -> Dataset:
    kept = json.loads(_unpacked(columns["facts"])[0])
    facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    paths, splits = _unpacked(columns["path"]), _decoded(columns, "split")
    attributes = _unpacked(columns["attributes"])
    values = [_decoded(columns, f"label {i}") for i in range(len(attributes))]
    rows = zip(*values, strict=True) if values else ((),) * len(paths)
    labels = [dict(zip(attributes, row, strict=True)) for row in rows]
    for i in np.flatnonzero(_some_missing(columns, len(attributes), len(paths))):
        labels[i] = {name: value for name, value in labels[i].items() if value is not None}
    problems = zip(
        _unpacked(columns["problem"]), _decoded(columns, "reason"), columns["left out"].tolist(), strict=True
    )
    return Dataset(
        root=root,
        clips=tuple(Clip(*clip) for clip in zip(paths, splits, labels, strict=True)),
        problems=tuple(Problem(path, reason, left_out) for path, reason, left_out in problems),
        split_of={
            name: tuple(_decoded(columns, f"split of {i}")) for i, name in enumerate(_unpacked(columns["split of"]))
        },
        kept_together=tuple(_decoded(columns, "kept together")),
        **facts,
    )


def _some_missing(columns: Mapping[str, NDArray[Any]], n_attributes: int, n_clips: int) -> NDArray[np.bool_]:
    missing = np.zeros(n_clips, dtype=bool)
    for i in range(n_attributes):
        missing |= columns[f"label {i} codes"] < 0
    return missing


def _packed(texts: Iterable[str]) -> NDArray[np.uint8]:
    """Texts as bytes, each ended by a zero; names on disk may be no UTF-8."""
    return np.frombuffer("\0".join([*texts, ""]).encode(errors="surrogateescape"), dtype=np.uint8)


def _unpacked(packed: NDArray[Any]) -> list[str]:
    return packed.tobytes().decode(errors="surrogateescape").split("\0")[:-1]


def _coded(name: str, values: Sequence[str | None]) -> dict[str, NDArray[Any]]:
    """Each distinct value once, and its number for each clip (-1: none)."""
    codes, distinct = pd.factorize(np.array(values, dtype=object))
    return {f"{name} codes": codes.astype(np.int32), f"{name} values": _packed(distinct)}


def _decoded(columns: Mapping[str, NDArray[Any]], name: str) -> list[Any]:
    distinct = np.array([*_unpacked(columns[f"{name} values"]), None], dtype=object)
    decoded: list[Any] = distinct[columns[f"{name} codes"]].tolist()
    return decoded
