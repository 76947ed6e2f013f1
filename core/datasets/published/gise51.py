"""GISE-51: isolated sound events of 51 classes, cut from FSD50K."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from core.datasets.base import Clip
from core.datasets.files import some_names, walk
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.results import Problem

CLASSES = (
    "Applause Boom_and_explosion Burping_and_eructation Bus Car Chirp_and_tweet Clapping Coin_(dropping) Cough "
    "Crash_cymbal Cricket Crumpling_and_crinkling_and_crushing Dishes_and_pots_and_pans_and_cutlery_and_silverware "
    "Dog Drill Drum Fart Fireworks Glass Gong Guitar Gunshot_and_gunfire Hammer Harmonica Harp Hi-hat Human_speech "
    "Keys_jangling Laughter Marimba_and_xylophone Organ Piano Rattle_(instrument) Screaming Shatter Slam Sliding_door "
    "Subway_and_metro_and_underground Tambourine Tap Tearing Thunder Toilet_flush Train Trumpet Walk_and_footsteps "
    "Waves_and_surf_and_splash_and_splatter_stream Whispering Wind Writing Zipper_(clothing)"
)
CLASS_OF = {folder: name for name in CLASSES.split() for folder in (name, name.partition("_(")[0])}
"""Folder name, with or without what stands in brackets, to class."""
SPLITS = {"train": "train", "val": "valid", "eval": "test"}
_ENOUGH = 20


class GISE51(Published):
    """GISE-51, its isolated events.

    The split is the publisher's, by folders; where the classes' folders lie in the root it is ours, by file name.

    Attributes of a clip
    --------------------
    event : str
        The folder, with or without the part in brackets.
    freesound_id : str
        The file's name, where that is a number.
    """

    name = "gise51"
    title = "GISE-51: isolated sound events cut from FSD50K, 51 classes"
    source = "https://zenodo.org/record/4593514 (isolated_events.tar.gz)"
    licence = "not known; see the source (its clips are of FSD50K)"
    size = "not known"
    place = "GISE-51/isolated_events/{train,val,eval}/{class}/*.wav"
    tasks = {"event": "gise51"}
    groups = ("freesound_id",)
    n_classes = {"event": 51}
    entropy_rate = 0.02

    def recognise(self, folder: Path) -> bool:
        n_known = max(len(CLASS_OF.keys() & some_names(folder / part)) for part in _parts(folder))
        return n_known >= (1 if folder.resolve().name == "isolated_events" else _ENOUGH)

    def listing(self, root: Path, options: Options) -> Listing:
        clips: list[Clip] = []
        unknown: Counter[str] = Counter()
        parts = _parts(root)
        official = parts != [""]
        for part in parts:
            paths = [f"{part}/{name}" if part else name for name in walk(root / part)]
            own = {} if official else own_splits((_stem(path) for path in paths), options.seed)
            for path in paths:
                folder = os.path.dirname(path)
                event = CLASS_OF.get(folder.rpartition("/")[2])
                if event is None or folder.count("/") != bool(part):
                    unknown[folder] += 1
                    continue
                number = _stem(path)
                labels = {"event": event} | ({"freesound_id": number} if number.isdecimal() else {})
                clips.append(Clip(path, SPLITS[part] if official else own[number], labels))
        problems = [
            Problem(folder or ".", f"is the folder of no class of GISE-51; files left out: {n:,}")
            for folder, n in unknown.items()
        ]
        notes = [
            "gise51: lengths differ much between clips, and the publisher repeated the shortest up to 1.25 s",
        ]
        if official:
            notes += [f"gise51: {part} is not there; its clips are left out" for part in SPLITS if part not in parts]
        together = [] if official else [_stem(clip.path) for clip in clips]
        return Listing(clips, problems, "official" if official else "ours", notes=notes, kept_together=together)


def _parts(folder: Path) -> list[str]:
    """The folders of the split that are there; one without a name where there are none."""
    return [part for part in SPLITS if (folder / part).is_dir()] or [""]


def _stem(path: str) -> str:
    return Path(path).stem
