"""Two datasets of the same sounds and labels in one store: each has all that is found over it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.small_study import make_dataset, query, run


def test_a_second_dataset_of_the_same_content_has_everything_the_first_has(tmp_path: Path) -> None:
    first, db = make_dataset(tmp_path / "pets", 60), tmp_path / "atlas.db"
    names = sorted(path.name for path in first.glob("0*"))
    rows = [f"{name}\t{at}\t{at + 0.2}\t{label}\n" for name in names for at, label in ((0.0, "x"), (0.25, "y"))]
    (first / "segments.tsv").write_text("file\tonset\toffset\tlabel\n" + "".join(rows))
    shutil.copytree(first, tmp_path / "twins")
    asked = ("--db", db, "--stages", "extract,score", "--describe")
    tasks = "{0}-kind,{0}-event"
    for name in ("pets", "twins"):
        assert run("--data-dir", tmp_path / name, "--tasks", tasks.format(name), *asked) == 0
    of_both = {
        "labels in time": "SELECT dataset, COUNT(*) FROM segment_labels GROUP BY dataset",
        "in time": "SELECT dataset, COUNT(*) FROM segment_tasks GROUP BY dataset",
        "descriptions": "SELECT dataset, COUNT(*) FROM unit_descriptions GROUP BY dataset",
        "top clips": "SELECT dataset.name, COUNT(*) FROM top_clip JOIN clip ON clip.id = clip_id "
        "JOIN dataset ON dataset.id = dataset_id GROUP BY dataset.name",
    }
    for what, sql in of_both.items():
        found = dict(query(db, f"{sql} ORDER BY 1"))
        assert set(found) == {"pets", "twins"} and found["pets"] == found["twins"] > 0, (what, found)
