"""A task of the HEAR benchmark as its kit writes it: ``task_metadata.json``, a list a part, sound at several rates.

Parts are train, valid and test, or folds. The sound of the highest rate is taken. Where labels have times (events), a
clip has those of all its events, and they are its segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

from core.datasets.base import Clip, Dataset, Segment
from core.datasets.files import read_json, walk
from core.datasets.segments.gathered import Gathered
from core.datasets.segments.table import EVENT
from core.datasets.splits import SPLIT_WORDS
from core.errors import InputError
from core.results import Problem
from core.untrusted_text import as_file_name

FILE = "task_metadata.json"
_TABLE = "no list of a HEAR task"


def recognise(folder: Path) -> bool:
    """Whether the folder is such a task."""
    return (folder / FILE).is_file()


def read(folder: Path, name: str = "") -> Dataset:
    """Read the lists; audio is not opened.

    Raises
    ------
    InputError
        If a list is missing or cannot be read, or there is no sound.
    """
    about = read_json(folder / FILE, "no description of a HEAR task")
    parts = about.get("splits") if isinstance(about, Mapping) else None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise InputError(f"{folder / FILE} names no splits; get the task again")
    for part in parts:
        if not part or as_file_name(part) != part or parts.count(part) > 1:
            raise InputError(
                f"{folder / FILE} names the split {part!r:.80}, which is no folder's name; get the task again"
            )
    rate = _highest_rate(folder)
    splits = _splits(parts)
    clips, problems, notes = [], list[Problem](), [f"of its sound the {rate} Hz are taken"]
    for part in parts:
        listed = read_json(folder / f"{part}.json", _TABLE)
        if not isinstance(listed, Mapping):
            raise InputError(f"{folder / part}.json is {_TABLE}; get the task again")
        here = set(walk(folder / rate / part)) if (folder / rate / part).is_dir() else set()
        for file, labels in listed.items():
            path, values = f"{rate}/{part}/{file}", _labels(labels)
            if file not in here:
                problems.append(Problem(path, f"is listed in {part}.json, but not on disk"))
            elif not values:
                problems.append(Problem(path, f"has no label in {part}.json"))
            else:
                clips.append(Clip(path, splits[part], {"label": ",".join(values)}, _events(labels)))
        problems += [Problem(f"{rate}/{part}/{f}", f"is not listed in {part}.json") for f in sorted(here - set(listed))]
    has_several = about.get("prediction_type") == "multilabel" or any("," in clip.labels["label"] for clip in clips)
    has_times = any(clip.segments for clip in clips)
    if has_times or about.get("embedding_type") == "event":
        notes.append("its labels have times: each clip has those of all its events")
    called = name or folder.resolve().name
    return Dataset(
        name=called,
        root=folder.resolve(),
        attributes=("label",),
        clips=tuple(clips),
        problems=tuple(problems),
        split_origin="official",
        task_names={"label": called},
        description=f"the HEAR task {about.get('task_name', '')}",
        multilabel=("label",) if has_several else (),
        segment_attributes=(EVENT,) if has_times else (),
        notes=tuple(f"{called}: {note}" for note in notes),
    )


def _highest_rate(folder: Path) -> str:
    rates = sorted((int(f.name), f.name) for f in folder.iterdir() if f.is_dir() and f.name.isdecimal())
    if not rates:
        raise InputError(f"{folder} has no folder of sound such as 48000 or 16000; get the task's sound, too")
    return rates[-1][1]


def _splits(parts: Sequence[str]) -> dict[str, str]:
    """Part to split: folds are counted from 1, as everywhere here."""
    known = {part: SPLIT_WORDS.get(part.lower(), "") for part in parts}
    return known if all(known.values()) else {part: f"fold {i}" for i, part in enumerate(sorted(parts), start=1)}


def _events(labels: Any) -> tuple[Segment, ...]:
    """A clip's events, whose times are told in milliseconds."""
    gathered = Gathered()
    for event in labels if isinstance(labels, list) else []:
        if isinstance(event, Mapping):
            times = (event.get(key) for key in ("start", "end"))
            onset, offset = (t / 1000 if isinstance(t, int | float) and abs(t) < 1e12 else nan for t in times)
            gathered.add(EVENT, str(event.get("label") or ""), onset, offset)
    return tuple(gathered.segments)


def _labels(labels: Any) -> list[str]:
    """A clip's labels, or those of its events, each once; commas stand between labels, so none may hold one."""
    every = labels if isinstance(labels, list) else [labels]
    values = (label.get("label") if isinstance(label, Mapping) else label for label in every)
    return list(dict.fromkeys(str(value).strip().replace(",", ";") for value in values if value not in (None, "")))
