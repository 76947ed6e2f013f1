"""VoxCeleb1: interviews of 1,251 people; who they are is known by number only here."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.datasets.base import SPLITS, Clip
from core.datasets.derive import gender
from core.datasets.files import (
    evar_file,
    evar_splits,
    mismatches,
    published_name,
    read_lines,
    read_rows,
    some_names,
    walk,
)
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.results import Problem

SPEAKER = re.compile(r"id1\d{4}")
"""VoxCeleb2's start with id0."""
CLIP = re.compile(r"id1\d{4}/[^/]+/[^/]+\.wav")
IDEN_LINE = re.compile(r"([123])\s+(?:wav/)?(\S+)")
PARTS = (".", "dev", "test", "vox1_dev_wav", "vox1_test_wav")
"""Folders that hold ``wav``: the archives are unpacked into one, or each into its own."""
META, IDEN = "vox1_meta.csv", "iden_split.txt"
FEWEST_SPEAKERS = 5
"""A nationality needs so many for a split by speakers."""
NORWAY = (
    "vc1: Norway in vox1_meta.csv stands mostly for people from France, and is kept as published "
    "unless corrected by --remap Norway=France"
)
OWN_SPLIT = (
    "vc1: the split by speakers of gender and nationality is ours; without it, train and test share all speakers"
)


class VoxCeleb1(Published):
    """VoxCeleb1.

    Attributes of a clip
    --------------------
    speaker, video : str
        From the path.
    gender, nationality : str
        Of the speaker, from ``vox1_meta.csv``. Split as in ``iden_split.txt``, where every speaker is in all parts.
    gender_by_speaker, nationality_by_speaker : str
        The same, split by speakers (ours): no speaker is in two parts, and each class has some in every part.
        Nationalities of fewer than five speakers have no label.
    """

    name = "vc1"
    title = "VoxCeleb1: interviews of 1,251 people"
    source = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/ (form and password)"
    licence = "not known for sure (metadata said to be CC BY 4.0; the sound belongs to the videos' owners)"
    size = "tens of GB"
    place = "voxceleb1/{wav/id*/*/*.wav, vox1_meta.csv, iden_split.txt}"
    tasks = {
        "speaker": "vc1",
        "gender": "vc1-gender",
        "nationality": "vc1-nationality",
        "gender_by_speaker": "vc1-gender-speakers",
        "nationality_by_speaker": "vc1-nationality-speakers",
    }
    groups = ("speaker", "video")
    n_clips = 153_516
    n_classes = {"speaker": 1_251, "gender": 2, "nationality": 36}
    unit_seconds = 8.2

    def recognise(self, folder: Path) -> bool:
        return bool(_audio_folders(folder))

    def listing(self, root: Path, options: Options) -> Listing:
        folders = _audio_folders(root)
        problems: list[Problem] = []
        paths: dict[str, str] = {}
        for prefix in (f"{(folder / 'wav').as_posix()}/" for folder in folders):
            for name in walk(root / prefix):
                if CLIP.fullmatch(published_name(name)):
                    paths.setdefault(published_name(name), prefix + name)
                else:
                    problems.append(Problem(prefix + name, "is not named as speaker/video/clip.wav"))
        splits, origin, notes = _splits(_beside(root, folders, IDEN), options, paths, problems)
        meta = _beside(root, folders, META)
        people, n_fewer = _people(meta, options.remap) if meta else ({}, 0)
        labels = _labels({_speaker(name) for name in paths if name in splits}, people)
        if meta:
            notes += [NORWAY, OWN_SPLIT]
            reason = f"has no row in {META}: stays, without gender and nationality"
            problems += [Problem(speaker, reason, left_out=False) for speaker in labels if speaker not in people]
        else:
            notes.append(f"vc1: no {META}, so no gender and no nationality; get it from the source")

        listed = [name for name in paths if name in splits]
        clips = [Clip(paths[n], splits[n], labels[_speaker(n)] | {"video": n.split("/")[1]}) for n in listed]
        split_of = {}
        for attribute in ("gender_by_speaker", "nationality_by_speaker"):
            parts = split_within({speaker: own[attribute] for speaker, own in labels.items()}, options.seed)
            split_of[attribute] = [parts[_speaker(name)] for name in listed]
        remapped = {"nationality": self.n_classes["nationality"] - n_fewer}
        together = [_video(name) for name in listed] if origin == "ours" else []
        return Listing(clips, problems, origin, split_of, notes, together, remapped)


def _audio_folders(root: Path) -> list[Path]:
    """Folders relative to the root that hold ``wav`` with speakers."""
    return [Path(p) for p in PARTS if any(SPEAKER.fullmatch(name) for name in some_names(root / p / "wav"))]


def _beside(root: Path, folders: Iterable[Path], name: str) -> Path | None:
    places = (root, *(root / folder for folder in folders), *(root / folder / "wav" for folder in folders))
    return next((place / name for place in places if (place / name).is_file()), None)


def _speaker(name: str) -> str:
    return name.split("/")[0]


def _video(name: str) -> str:
    return name.rpartition("/")[0]


def _splits(
    iden: Path | None, options: Options, paths: Mapping[str, str], problems: list[Problem]
) -> tuple[dict[str, str], str, list[str]]:
    """Clip (``speaker/video/clip.wav``) to part, where that is from, and notes."""
    table = evar_file(options.evar_dir, "metadata", "vc1.csv")
    if iden is None and table is None:
        # By video: a speaker has to be in all parts to be told from the others.
        parts = own_splits(map(_video, paths), options.seed)
        notes = [f"vc1: no {IDEN}, so our own split, by video; get it from the source"]
        return {name: parts[_video(name)] for name in paths}, "ours", notes
    splits = {}
    if iden is not None:
        told_by, origin = IDEN, "official"
        for line in read_lines(iden):
            match = IDEN_LINE.fullmatch(line)
            if match and CLIP.fullmatch(match[2]):
                splits[match[2]] = SPLITS[int(match[1]) - 1]
            else:
                problems.append(Problem(IDEN, f"the line '{line:.100}' is not 1, 2 or 3 and speaker/video/clip.wav"))
    else:
        assert table is not None
        told_by, origin = "EVAR's vc1.csv", "EVAR"
        splits = {file.removeprefix("wav/"): split for file, split in evar_splits(table).items() if split}
    speakers = {_speaker(name) for name in paths}
    listed = (paths.get(name, f"wav/{name}") for name in splits if _speaker(name) in speakers)
    problems += mismatches(listed, paths.values(), told_by)
    absent = {_speaker(name) for name in splits} - speakers
    notes = [f"vc1: {len(absent):,} speakers in {told_by} have nothing on disk"] if absent else []
    return splits, origin, notes


def _people(path: Path, remap: Mapping[str, str]) -> tuple[dict[str, tuple[str, str]], int]:
    """Speaker to gender and nationality, and how many nationalities ``remap`` took away; names are not read."""
    delimiter = "\t" if any("\t" in line for line in read_lines(path)[:1]) else ","
    rows = read_rows(path, ("VoxCeleb1 ID", "Gender", "Nationality"), delimiter)
    published = {row["Nationality"] for row in rows if row["Nationality"]}
    n_fewer = len(published) - len({remap.get(name, name) for name in published})
    return {
        row["VoxCeleb1 ID"]: (gender(row["Gender"]), remap.get(row["Nationality"], row["Nationality"])) for row in rows
    }, n_fewer


def _labels(speakers: Iterable[str], people: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    known = {speaker: people.get(speaker, ("", "")) for speaker in sorted(speakers)}
    n_speakers = Counter(nationality for _, nationality in known.values())
    return {
        speaker: {
            "speaker": speaker,
            "gender": sex,
            "nationality": nationality,
            "gender_by_speaker": sex,
            "nationality_by_speaker": nationality if n_speakers[nationality] >= FEWEST_SPEAKERS else "",
        }
        for speaker, (sex, nationality) in known.items()
    }


def split_within(classes: Mapping[str, str], seed: int) -> dict[str, str]:
    """A split of our own within each class, 70/10/20: one of valid and one of test where a class has three.

    Parameters
    ----------
    classes : mapping of str to str
        Speaker to class.
    seed : int
        With the speaker's name, decides the order.

    Returns
    -------
    dict
        Speaker to train, valid or test.
    """
    members: dict[str, list[str]] = {}
    for speaker in sorted(classes, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest()):
        members.setdefault(classes[speaker], []).append(speaker)
    splits = {}
    for of_class in members.values():
        n = len(of_class)
        n_test, n_valid = (max(1, round(0.2 * n)), max(1, round(0.1 * n))) if n > 2 else (0, 0)
        for rank, speaker in enumerate(of_class):
            splits[speaker] = "test" if rank < n_test else "valid" if rank < n_test + n_valid else "train"
    return splits
