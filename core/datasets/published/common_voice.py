"""Common Voice: read sentences by volunteers, with what they say of themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.datasets.base import Clip
from core.datasets.files import by_published_name, mismatches, read_rows, some_names, walk
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.errors import InputError
from core.results import Problem

PARTS = {"train": "train", "dev": "valid", "test": "test"}
ALL = "validated"
GENDERS = {"male": "male", "male_masculine": "male", "female": "female", "female_feminine": "female", "other": "other"}


class CommonVoice(Published):
    """Common Voice, one language or several in their folders.

    The split is the publisher's (``train.tsv``, ``dev.tsv``, ``test.tsv``); where only ``validated.tsv`` is there,
    ours, by speaker. Clips of ``other.tsv`` and ``invalidated.tsv`` are none.

    Attributes of a clip
    --------------------
    language : str
        Column ``locale``, or the folder.
    gender, age, accent : str
        As the speaker says: columns ``gender``, ``age`` (decades), ``accents`` or ``accent``.
    speaker : str
        Column ``client_id``.
    """

    name = "commonvoice"
    title = "Common Voice: read sentences by volunteers, in one language or several"
    source = "https://commonvoice.mozilla.org/datasets"
    licence = "CC0"
    size = "from some MB to about 90 GB a language"
    place = "cv-corpus/{language}/{clips/*.mp3, train.tsv, dev.tsv, test.tsv}"
    tasks = {
        "language": "commonvoice",
        "gender": "commonvoice-gender",
        "age": "commonvoice-age",
        "accent": "commonvoice-accent",
    }
    groups = ("speaker",)

    def recognise(self, folder: Path) -> bool:
        return bool(_languages(folder))

    def listing(self, root: Path, options: Options) -> Listing:
        clips: list[Clip] = []
        problems: list[Problem] = []
        languages = _languages(root)
        have_parts = {any((root / f"{prefix}{part}.tsv").is_file() for part in PARTS) for prefix in languages}
        if len(have_parts) > 1:
            raise InputError(f"{root} has languages with train.tsv and without; give each a --data-dir of its own")
        n_others = 0
        for prefix in languages:
            here, wrong, n = _language(root, prefix)
            clips += here
            problems += wrong
            n_others += n
        notes = [f"commonvoice: {n_others:,} clips are in none of the tables read (other.tsv and the like): left out"]
        notes = notes if n_others else []
        if have_parts == {True}:
            return Listing(clips, problems, notes=notes)
        speakers = [clip.labels["speaker"] for clip in clips]
        parts = own_splits(speakers, options.seed)
        drawn = [replace(c, split=parts[s]) for c, s in zip(clips, speakers, strict=True)]
        notes.append(f"commonvoice: only {ALL}.tsv is there; split by speaker")
        return Listing(drawn, problems, "ours", notes=notes, kept_together=speakers)


def _languages(folder: Path) -> list[str]:
    """Where the languages lie, with a slash at the end; the folder itself is ``""``."""
    places = ["", *(f"{name}/" for name in sorted(some_names(folder, 1_000)))]
    return [place for place in places if _is_language(folder / place)][: None if not _is_language(folder) else 1]


def _is_language(folder: Path) -> bool:
    # Not Path.is_dir, which fails in a folder that may not be looked into.
    return os.path.isdir(folder / "clips") and any(os.path.isfile(folder / f"{part}.tsv") for part in (*PARTS, ALL))


def _language(root: Path, prefix: str) -> tuple[list[Clip], list[Problem], int]:
    """Clips and problems of one language, and how many files are in no table."""
    folder = root / prefix
    files = by_published_name(walk(folder / "clips"), ".mp3")
    tables = [part for part in PARTS if (folder / f"{part}.tsv").is_file()] or [ALL]
    clips, problems, listed = [], list[Problem](), dict[str, str]()
    for part in tables:
        for row in read_rows(folder / f"{part}.tsv", ("client_id", "path"), "\t", is_quoted=False):
            name = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"
            if name in listed:
                problems.append(Problem(f"{prefix}clips/{name}", f"is in {listed[name]}.tsv, too, which counts"))
                continue
            listed[name] = part
            if name in files:
                labels = _with_language(row, prefix.strip("/"))
                clips.append(Clip(f"{prefix}clips/{files[name]}", PARTS.get(part, ""), labels))
    missing = mismatches(listed, [name for name in files if name in listed], "its tables")
    problems += [Problem(f"{prefix}clips/{problem.path}", problem.reason) for problem in missing]
    return clips, problems, sum(name not in listed for name in files)


def _with_language(row: Mapping[str, str], folder: str) -> dict[str, str]:
    gender = row.get("gender", "")
    return {
        "language": row.get("locale", "") or folder,
        "gender": GENDERS.get(gender, gender),
        "age": row.get("age", ""),
        "accent": row.get("accents", "") or row.get("accent", ""),
        "speaker": row["client_id"],
    }
