"""TAU (and TUT) Urban Acoustic Scenes: where a recording was made, in cities of Europe."""

from __future__ import annotations

from pathlib import Path

from core.datasets.base import Clip
from core.datasets.files import Row, match_rows, read_rows, walk
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.files import refuse_no_file
from core.results import Problem

TABLE, SOUND = "meta.csv", "audio"
SETUP = {"train": "evaluation_setup/fold1_train.csv", "test": "evaluation_setup/fold1_evaluate.csv"}
COLUMNS = ("filename", "scene_label", "identifier")


class TAU(Published):
    """Urban Acoustic Scenes of 2018 to 2022, development sets, mobile or not.

    The split is the publisher's one fold (``evaluation_setup/``), where it is there: clips in neither list are left out
    and told. Else ours, by place.

    Attributes of a clip, from ``meta.csv``
    ---------------------------------------
    scene : str
        Column ``scene_label``.
    city : str
        First part of ``identifier``.
    device : str
        Column ``source_label``.
    recording : str
        Column ``identifier``: the place, of which there are many clips.
    """

    name = "tau"
    title = "TAU Urban Acoustic Scenes: ten kinds of place in up to twelve cities, 10 s (1 s in 2022)"
    source = "Zenodo: TAU Urban Acoustic Scenes, development dataset"
    licence = "for research only, see its LICENSE"
    size = "about 30 GB"
    place = "TAU-urban-acoustic-scenes-*-development/{audio/*.wav, meta.csv, evaluation_setup/}"
    tasks = {"scene": "tau", "city": "tau-city", "device": "tau-device"}
    groups = ("recording",)

    def recognise(self, folder: Path) -> bool:
        try:
            refuse_no_file(folder / TABLE)
            with (folder / TABLE).open(encoding="utf-8-sig", errors="replace") as file:
                header = file.readline(1_000).strip().split("\t")
        except OSError:
            return False
        return set(COLUMNS) <= set(header) and (folder / SOUND).is_dir()

    def listing(self, root: Path, options: Options) -> Listing:
        rows = read_rows(root / TABLE, COLUMNS, "\t")
        on_disk = (f"{SOUND}/{name}" for name in walk(root / SOUND))
        present, problems = match_rows(rows, lambda row: f"{SOUND}/{Path(row['filename']).name}", on_disk, TABLE)
        listed = {
            Path(row["filename"]).name: part
            for part, table in SETUP.items()
            if (root / table).is_file()
            for row in read_rows(root / table, ("filename",), "\t")
        }
        parts = {} if listed else own_splits((row["identifier"] for _, row in present), options.seed)
        clips = []
        for path, row in present:
            split = listed.get(Path(row["filename"]).name, "") if listed else parts[row["identifier"]]
            if split:
                clips.append(Clip(path, split, _labels(row)))
            else:
                problems.append(Problem(path, "is in neither list of evaluation_setup"))
        if listed:
            return Listing(clips, problems)
        note = "tau: no evaluation_setup/fold1_train.csv, fold1_evaluate.csv; split by place instead"
        together = [clip.labels["recording"] for clip in clips]
        return Listing(clips, problems, "ours", notes=[note], kept_together=together)


def _labels(row: Row) -> dict[str, str]:
    return {
        "scene": row["scene_label"],
        "city": row["identifier"].partition("-")[0],
        "device": row.get("source_label", ""),
        "recording": row["identifier"],
    }
