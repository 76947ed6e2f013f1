"""GTZAN: music of ten genres."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.datasets.base import Clip
from core.datasets.files import evar_file, evar_splits, published_name, read_lines, some_names, walk
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.errors import InputError
from core.results import Problem

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
FOLDERS = ("", "genres", "genres_original")
LISTS = {"train": "train_filtered.txt", "valid": "valid_filtered.txt", "test": "test_filtered.txt"}
N_TRACKS = 1000
_TRACK = re.compile(rf"({'|'.join(GENRES)})\.([0-9]{{5}})\.(?:wav|au)", re.IGNORECASE)


class GTZAN(Published):
    """GTZAN.

    The split is the first that is there: the published fault-filtered lists ``train_filtered.txt``,
    ``valid_filtered.txt`` and ``test_filtered.txt`` in the dataset's folder or the EVAR folder, else EVAR's table, else
    ours by track.

    Attributes of a clip
    --------------------
    genre : str
        From the file's name; it must be in that genre's folder.
    track : str
        The file's name without its ending: ``blues.00029``.
    """

    name = "gtzan"
    title = "GTZAN: 1,000 excerpts of music of 30 s, 10 genres"
    source = "marsyas.info: genres.tar.gz, or a copy of it; split: github.com/jongpillee/music_dataset_split"
    licence = "none stated"
    size = "about 1.2 GB"
    place = "GTZAN/{genres/{genre}/*.wav, train_filtered.txt, valid_filtered.txt, test_filtered.txt}"
    tasks = {"genre": "gtzan"}
    groups = ("track",)
    n_classes = {"genre": 10}
    unit_seconds = 30.0

    def recognise(self, folder: Path) -> bool:
        return _audio(folder) is not None

    def listing(self, root: Path, options: Options) -> Listing:
        tracks, problems = self._tracks(root)
        notes = ["gtzan: repeated tracks, wrong genres and artists in several parts are known of it"]
        if len(tracks) != N_TRACKS:
            notes.append(f"gtzan: {len(tracks):,} tracks found, {N_TRACKS:,} published")
        split_of, origin, told_by = _splits(root, options, tracks)
        notes.append(f"gtzan: split by {told_by}")
        problems += [
            Problem(track, f"is listed in {told_by}, but not on disk") for track in split_of if track not in tracks
        ]
        left_out = [track for track in tracks if not split_of.get(track)]
        if left_out:
            notes.append(f"gtzan: {len(left_out)} tracks are in no part of the split and left out: {_short(left_out)}")
        clips = [
            Clip(path, split_of[track], {"genre": track.partition(".")[0], "track": track})
            for track, path in tracks.items()
            if split_of.get(track)
        ]
        together = [clip.labels["track"] for clip in clips] if origin == "ours" else []
        return Listing(clips, problems, origin, notes=notes, kept_together=together)

    @staticmethod
    def _tracks(root: Path) -> tuple[dict[str, str], list[Problem]]:
        """Track to path, and files that are no track or a second copy of one."""
        audio = _audio(root)
        prefix = f"{audio}/" if audio else ""
        tracks: dict[str, str] = {}
        problems = []
        for genre in GENRES:
            if not (root / prefix / genre).is_dir():
                continue
            # .wav before .au, where a track is there as both.
            for name in sorted(walk(root / prefix / genre), key=lambda n: (not n.lower().endswith("v"), n)):
                path = f"{prefix}{genre}/{name}"
                track = track_of(published_name(name))
                if not track.startswith(f"{genre}."):
                    problems.append(Problem(path, f"is not named as {genre}.00000.wav"))
                elif track in tracks:
                    problems.append(Problem(path, f"is the same track as {tracks[track]}"))
                else:
                    tracks[track] = path
        return tracks, problems


def track_of(path: str) -> str:
    """``blues.00029`` of ``blues/blues.00029.wav``; empty where the file name is another."""
    parts = _TRACK.fullmatch(path.rpartition("/")[2])
    return f"{parts[1].lower()}.{parts[2]}" if parts else ""


def _audio(folder: Path) -> str | None:
    """Which of `FOLDERS` holds a genre's folder with a track in it; a look at a few names."""
    for name in FOLDERS:
        for genre in GENRES:
            if any(track_of(published_name(file)) for file in some_names(folder / name / genre)):
                return name
    return None


def _splits(root: Path, options: Options, tracks: Iterable[str]) -> tuple[Mapping[str, str], str, str]:
    """Track to split, its origin, and what told it."""
    for folder in filter(None, (root, options.evar_dir)):
        here = [folder / name for name in LISTS.values() if (folder / name).is_file()]
        if here and len(here) < len(LISTS):
            raise InputError(f"{here[0]} is there, but not all of {', '.join(LISTS.values())}; lay them beside it")
        if here:
            return _read_lists(folder), "official", "the fault-filtered lists"
    table = evar_file(options.evar_dir, "metadata", "gtzan.csv")
    if table:
        by_file = evar_splits(table)
        return {track_of(file): split for file, split in by_file.items() if track_of(file)}, "EVAR", "EVAR's table"
    return own_splits(tracks, options.seed), "ours", "a hash of the track; source tells where the usual lists are"


def _read_lists(folder: Path) -> dict[str, str]:
    splits = {}
    for split, name in LISTS.items():
        tracks = [track_of(line) for line in read_lines(folder / name)]
        if "" in tracks or not tracks:
            raise InputError(f"{folder / name} is no list of tracks; expected lines such as blues/blues.00029.wav")
        splits.update(dict.fromkeys(tracks, split))
    return splits


def _short(tracks: Iterable[str]) -> str:
    """``blues 00001 00007, jazz 00054``."""
    of_genre: dict[str, list[str]] = {}
    for track in tracks:
        genre, _, number = track.partition(".")
        of_genre.setdefault(genre, []).append(number)
    return ", ".join(" ".join([genre, *numbers]) for genre, numbers in of_genre.items())
