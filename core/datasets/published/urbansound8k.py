"""UrbanSound8K: urban sounds of ten classes in ten folds."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from core.datasets.base import Clip
from core.datasets.files import evar_file, match_rows, published_name, read_rows, some_names, walk
from core.datasets.published.base import Listing, Options, Published
from core.results import Problem

TABLES = ("metadata/UrbanSound8K.csv", "UrbanSound8K.csv")
FOLDS = tuple(str(fold) for fold in range(1, 11))
EVAR = ("metadata", "us8k.csv")
_NAME = re.compile(r"\d+-\d-\d+-\d+\.wav")
SALIENCE = {"1": "foreground", "2": "background"}


class UrbanSound8K(Published):
    """UrbanSound8K.

    The table may also lie beside the folds, and the folds in the root, as some copies have them. Without a table the
    classes are those of EVAR's (``evar/metadata/us8k.csv``), which knows no salience.

    Attributes of a clip, all from ``metadata/UrbanSound8K.csv``
    ------------------------------------------------------------
    class : str
        Column ``class``.
    salience : str
        "foreground" (1) or "background" (2).
    freesound_id : str
        Column ``fsID``: the recording. Its slices share a fold; the folds are the publisher's.
    """

    name = "us8k"
    title = "UrbanSound8K: 8,732 urban sounds of up to 4 s, 10 classes"
    source = "https://urbansounddataset.weebly.com (UrbanSound8K.tar.gz)"
    licence = "not known; see the source"
    size = "about 6 GB"
    place = "UrbanSound8K/{audio/fold1 to fold10/*.wav, metadata/UrbanSound8K.csv}"
    folders = "fold([1-9]|10)"
    lacks = "UrbanSound8K without metadata/UrbanSound8K.csv, which is in its archive"
    tasks = {"class": "us8k", "salience": "us8k-salience"}
    groups = ("freesound_id",)
    n_clips = 8732
    n_classes = {"class": 10}
    unit_seconds = 4.0

    def recognise(self, folder: Path) -> bool:
        return _table(folder) is not None and any((folder / f"{_prefix(folder)}fold{fold}").is_dir() for fold in FOLDS)

    def recognise_by_evar(self, folder: Path, options: Options) -> bool:
        folds = (folder / f"{_prefix(folder)}fold{fold}" for fold in FOLDS)
        return evar_file(options.evar_dir, *EVAR) is not None and any(
            _NAME.fullmatch(published_name(name)) for fold in folds for name in some_names(fold)
        )

    def listing(self, root: Path, options: Options) -> Listing:
        table, evar = _table(root), evar_file(options.evar_dir, *EVAR)
        notes = []
        if table is None and evar is not None:
            rows, table = _by_evar(evar), f"EVAR's {evar.name}"
            notes.append("us8k: its own table is not there; classes are EVAR's, which knows no salience")
        else:
            table = table or TABLES[0]
            rows = read_rows(root / table, ("slice_file_name", "fsID", "salience", "fold", "class"))
        prefix = _prefix(root)
        folds = [f"{prefix}fold{fold}" for fold in FOLDS if (root / f"{prefix}fold{fold}").is_dir()]
        on_disk = (f"{fold}/{name}" for fold in folds for name in walk(root / fold))
        present, problems = match_rows(
            rows, lambda row: f"{prefix}fold{row['fold']}/{row['slice_file_name']}", on_disk, table
        )
        clips = []
        for path, row in present:
            if not row["class"]:
                problems.append(Problem(path, f"has no class in {table}"))
                continue
            salience = SALIENCE.get(row["salience"], "")
            labels = {"class": row["class"], "salience": salience, "freesound_id": row["fsID"]}
            clips.append(Clip(path, f"fold {row['fold']}", labels))
        return Listing(clips, problems, notes=notes)


def _table(folder: Path) -> str | None:
    return next((table for table in TABLES if (folder / table).is_file()), None)


def _by_evar(path: Path) -> list[dict[str, str]]:
    """EVAR's rows under the names of the table's columns."""
    rows = [(PurePosixPath(row["file_name"]).name, row) for row in read_rows(path, ("file_name", "label", "fold"))]
    return [
        {
            "slice_file_name": name,
            "fsID": name.partition("-")[0],
            "salience": "",
            "fold": row["fold"],
            "class": row["label"],
        }
        for name, row in rows
    ]


def _prefix(folder: Path) -> str:
    return "audio/" if (folder / "audio").is_dir() else ""
