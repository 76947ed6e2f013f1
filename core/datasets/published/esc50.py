"""ESC-50: environmental sounds of 50 categories in five folds."""

from __future__ import annotations

from pathlib import Path

from core.datasets.base import Clip
from core.datasets.derive import is_small_number
from core.datasets.files import Row, is_lfs_pointer, match_rows, read_rows, walk
from core.datasets.published.base import Listing, Options, Published
from core.results import Problem

PLACES = (("meta/esc50.csv", "audio"), ("esc50.csv", "audio/audio"), ("esc50.csv", "audio"))
"""Table and sound, of the repository, and as Kaggle unpacks it."""
FOLDS = ("1", "2", "3", "4", "5")
GROUPS = ("animals", "nature and water", "human, not speech", "indoors", "outdoors and urban")
"""Ten targets each, in order: 0-9 are animals."""


class ESC50(Published):
    """ESC-50.

    Attributes of a clip, all from ``meta/esc50.csv``
    -------------------------------------------------
    category : str
        Column ``category``.
    group : str
        One of five, from column ``target``.
    freesound_id : str
        Column ``src_file``: the recording. Its clips share a fold; the folds are the publisher's.
    """

    name = "esc50"
    title = "ESC-50: 2,000 environmental sounds of 5 s, 50 categories"
    source = "https://github.com/karolpiczak/ESC-50"
    licence = "CC BY-NC; its ESC-10 part CC BY"
    size = "about 600 MB"
    place = "ESC-50-master/{audio/*.wav, meta/esc50.csv}"
    tasks = {"category": "esc50", "group": "esc50-group"}
    groups = ("freesound_id",)
    n_clips = 2000
    n_classes = {"category": 50, "group": 5}
    unit_seconds = 5.0
    entropy_rate = 0.02

    def recognise(self, folder: Path) -> bool:
        return _place(folder) is not None

    def listing(self, root: Path, options: Options) -> Listing:
        table, audio = _place(root) or PLACES[0]
        rows = read_rows(root / table, ("filename", "fold", "target", "category", "src_file"))
        on_disk = (f"{audio}/{name}" for name in walk(root / audio))
        present, problems = match_rows(rows, lambda row: f"{audio}/{row['filename']}", on_disk, table)
        clips = []
        for path, row in present:
            reason = "is a Git LFS pointer, not audio" if is_lfs_pointer(root / path) else _wrong(row, table)
            if reason:
                problems.append(Problem(path, reason))
                continue
            group = GROUPS[int(row["target"]) // 10]
            labels = {"category": row["category"], "group": group, "freesound_id": row["src_file"]}
            clips.append(Clip(path, f"fold {row['fold']}", labels))
        band = "esc50: some categories come from band-limited recordings (its README): a neuron may tell the band"
        return Listing(clips, problems, notes=[band])


def _place(folder: Path) -> tuple[str, str] | None:
    return next((p for p in PLACES if (folder / p[0]).is_file() and (folder / p[1]).is_dir()), None)


def _wrong(row: Row, table: str) -> str:
    if not row["category"]:
        return f"has no category in {table}"
    if row["fold"] not in FOLDS:
        return f"has the fold '{row['fold']}' in {table}; expected 1 to 5"
    if not (is_small_number(row["target"]) and int(row["target"]) < 10 * len(GROUPS)):
        return f"has the target '{row['target']}' in {table}; expected 0 to 49"
    return ""
