"""FSD50K: sound events of 200 classes, several a clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from core.datasets.base import Clip
from core.datasets.files import Row, evar_file, match_rows, read_rows, walk
from core.datasets.published.base import Listing, Options, Published
from core.errors import InputError
from core.results import Problem

DEV, EVAL = "FSD50K.dev_audio", "FSD50K.eval_audio"
TABLES = {DEV: "FSD50K.ground_truth/dev.csv", EVAL: "FSD50K.ground_truth/eval.csv"}
EVAR = ("metadata", "fsd50k.csv")
SPLITS = {"train": "train", "val": "valid"}
"""What ``dev.csv`` calls them; ``eval.csv`` is the test part."""


class FSD50K(Published):
    """FSD50K.

    The split is the publisher's. One of the two audio folders is enough. Without tables labels and split are EVAR's
    (``evar/metadata/fsd50k.csv``).

    Attributes of a clip, from ``FSD50K.ground_truth/dev.csv`` and ``eval.csv``
    ---------------------------------------------------------------------------
    label : str
        Column ``labels``: classes with commas, the ones above each among them.
    freesound_id : str
        Column ``fname``.
    """

    name = "fsd50k"
    title = "FSD50K: 51,197 sound events of 0.3 to 30 s, 200 classes, several a clip"
    source = "https://zenodo.org/record/4060432"
    licence = "CC BY 4.0 as a whole; each clip its own (CC0, CC BY, CC BY-NC, Sampling+)"
    size = "about 34 GB of audio when unpacked"
    place = "FSD50K/{FSD50K.dev_audio, FSD50K.eval_audio}/*.wav and FSD50K/FSD50K.ground_truth/{dev,eval}.csv"
    folders = r"FSD50K\.(dev|eval)_audio"
    lacks = "FSD50K without FSD50K.ground_truth/, an archive of its own beside the sound's"
    tasks = {"label": "fsd50k"}
    groups = ("freesound_id",)
    multilabel = ("label",)
    n_clips = 51_197
    n_classes = {"label": 200}
    unit_seconds = 7.6358

    def recognise(self, folder: Path) -> bool:
        return any((folder / audio).is_dir() for audio in TABLES) and any(
            (folder / table).is_file() for table in TABLES.values()
        )

    def recognise_by_evar(self, folder: Path, options: Options) -> bool:
        return evar_file(options.evar_dir, *EVAR) is not None and any((folder / audio).is_dir() for audio in TABLES)

    def listing(self, root: Path, options: Options) -> Listing:
        clips: list[Clip] = []
        problems: list[Problem] = []
        notes = ["fsd50k: labels are carried up to the classes above them; neurons shared by both are no finding"]
        evar = evar_file(options.evar_dir, *EVAR)
        by_evar = None if self.recognise(root) or evar is None else _by_evar(evar)
        if by_evar is not None:
            notes.append("fsd50k: its own tables are not there; labels and split are EVAR's")
        for audio, table in TABLES.items():
            if not (root / audio).is_dir():
                notes.append(f"fsd50k: {audio} is not there; its clips are left out")
                continue
            if by_evar is not None:
                rows, table = by_evar[audio], f"EVAR's {EVAR[-1]}"
            elif (root / table).is_file():
                rows = read_rows(root / table, ("fname", "labels", "split") if audio == DEV else ("fname", "labels"))
            else:
                raise InputError(f"{root / audio} is there, but {table} is not; unpack FSD50K.ground_truth beside it")
            here, wrong = _part(root, audio, table, rows)
            clips += here
            problems += wrong
        return Listing(clips, problems, notes=notes)


def _by_evar(path: Path) -> dict[str, list[dict[str, str]]]:
    """EVAR's rows of each audio folder, under the names of the tables' columns."""
    rows: dict[str, list[dict[str, str]]] = {audio: [] for audio in TABLES}
    for row in read_rows(path, ("file_name", "label", "split")):
        split = {part: name for name, part in SPLITS.items()}.get(row["split"], row["split"])
        name = PurePosixPath(row["file_name"]).stem
        rows[EVAL if split == "test" else DEV].append({"fname": name, "labels": row["label"], "split": split})
    return rows


def _part(root: Path, audio: str, table: str, rows: Sequence[Row]) -> tuple[list[Clip], list[Problem]]:
    on_disk = (f"{audio}/{name}" for name in walk(root / audio))
    present, problems = match_rows(rows, lambda row: f"{audio}/{row['fname']}.wav", on_disk, table)
    clips = []
    for path, row in present:
        split = "test" if audio == EVAL else SPLITS.get(row["split"], "")
        classes = dict.fromkeys(name.strip() for name in row["labels"].split(",") if name.strip())
        if not classes:
            problems.append(Problem(path, f"has no label in {table}"))
        elif not split:
            problems.append(Problem(path, f"has the split '{row['split']}' in {table}; expected train or val"))
        else:
            clips.append(Clip(path, split, {"label": ",".join(classes), "freesound_id": row["fname"]}))
    return clips, problems
