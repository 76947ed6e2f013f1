"""Speech Commands V2: single words by many speakers."""

from __future__ import annotations

import re
from pathlib import Path

from core.datasets.base import Clip
from core.datasets.files import published_name, read_lines, walk
from core.datasets.published.base import Listing, Options, Published
from core.results import Problem

WORDS = (
    "backward bed bird cat dog down eight five follow forward four go happy house learn left marvin nine no off on "
    "one right seven sheila six stop three tree two up visual wow yes zero"
)
LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
_NAME = re.compile(r"([0-9a-f]+)_nohash_[0-9]+\.wav")


class SpeechCommands(Published):
    """Speech Commands V2.

    The split is the publisher's, by two lists; no speaker is in two parts.

    Attributes of a clip
    --------------------
    word : str
        The folder; background noise is none.
    speaker : str
        The file's name up to ``_nohash_``.
    """

    name = "spcv2"
    title = "Speech Commands V2: 105,829 clips of up to 1 s, 35 words"
    source = "TensorFlow: speech_commands_v0.02.tar.gz"
    licence = "CC BY 4.0"
    size = "up to 3.4 GB when unpacked"
    place = "speech_commands_v0.02/{word}/*.wav, validation_list.txt, testing_list.txt"
    tasks = {"word": "spcv2"}
    groups = ("speaker",)
    n_clips = 105_829
    n_classes = {"word": 35}
    unit_seconds = 1.0

    def recognise(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in LISTS.values()) and any(
            (folder / word).is_dir() for word in WORDS.split()
        )

    def listing(self, root: Path, options: Options) -> Listing:
        listed = {path.removeprefix("./"): s for s, name in LISTS.items() for path in read_lines(root / name)}
        clips, problems = [], []
        for folder in sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name[0].islower()):
            for name in walk(root / folder):
                path = f"{folder}/{name}"
                speaker = speaker_of(published_name(name))
                if speaker:
                    split = listed.get(published_name(path), "train")
                    clips.append(Clip(path, split, {"word": folder, "speaker": speaker}))
                else:
                    problems.append(Problem(path, "is not named as speaker_nohash_number.wav"))
        here = {published_name(clip.path) for clip in clips}
        problems += [
            Problem(path, f"is listed in {LISTS[split]}, but not on disk")
            for path, split in listed.items()
            if path not in here
        ]
        return Listing(clips, problems)


def speaker_of(file: str) -> str:
    """``0a7c2a8d`` of ``0a7c2a8d_nohash_0.wav``; empty where the name is another."""
    parts = _NAME.fullmatch(file)
    return parts[1] if parts else ""
