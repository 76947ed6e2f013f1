"""What is told of datasets before anything is computed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from core.datasets import report
from core.datasets.base import Clip, Dataset
from core.datasets.scan import scan
from core.results import Problem


def dataset(root: Path = Path("x"), name: str = "pets", **changes: object) -> Dataset:
    clips = (
        Clip("a.wav", "fold 10", {"kind": "cat", "freesound_id": "1"}),
        Clip("b.wav", "fold 2", {"kind": "dog", "freesound_id": "2"}),
        Clip("c.wav", "fold 2", {"kind": "dog"}),
    )
    return replace(Dataset(name, root, ("kind",), clips, split_origin="official"), **changes)  # type: ignore[arg-type]


def test_summary_tells_clips_splits_and_classes() -> None:
    assert report.summary(dataset(), "3 hours") == [
        "pets: 3 clips, 3 hours; fold 2 2, fold 10 1, official",
        "  pets-kind: 2 classes, dog 2, cat 1",
    ]


def test_many_classes_are_told_by_the_smallest_and_the_largest() -> None:
    many = tuple(Clip(f"{i}.wav", "train", {"kind": f"k{min(i, 8)}"}) for i in range(20))
    assert report.summary(dataset(clips=many, split_origin="ours")) == [
        "pets: 20 clips; train 20",
        "  pets-kind: 9 classes, 1 (k7) to 12 (k8) clips",
    ]
    even = tuple(Clip(f"{i}.wav", "train", {"kind": f"k{i % 9}"}) for i in range(18))
    assert report.summary(dataset(clips=even))[1] == "  pets-kind: 9 classes, 2 clips each"


def test_hours_come_from_the_headers(tmp_path: Path) -> None:
    for name, seconds in (("a.wav", 90.0), ("b.wav", 180.0)):
        soundfile.write(tmp_path / name, np.zeros(round(seconds * 100)), 100)
    assert report.estimated_hours(dataset(tmp_path)) == "about 0.11 hours"  # c.wav is missing: 135 s for each of three
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    assert report.estimated_hours(dataset(tmp_path)) == "0.1 hours"
    assert report.estimated_hours(dataset(tmp_path / "nowhere")) == "no clip readable yet"


def test_first_problems_are_told_and_all_are_in_a_file(tmp_path: Path) -> None:
    found = [Problem(f"{i}.wav", "file not found, at all") for i in range(7)]
    path = tmp_path / "reports" / "pets.csv"
    assert report.problems(found, path) == [
        *(f"left out: {i}.wav: file not found, at all" for i in range(5)),
        f"and 2 more, all in {path}",
    ]
    assert report.problems(found[:5], path) == [f"left out: {i}.wav: file not found, at all" for i in range(5)]
    assert report.problems([Problem("a.wav", "stays, without a name", left_out=False)], path) == [
        "incomplete: a.wav: stays, without a name"
    ]
    report.write_problems(found, path)
    assert path.read_text().splitlines()[:2] == ["path,reason", '0.wav,"file not found, at all"']
    report.write_problems([], path)
    assert not path.exists()


def test_no_problem_is_a_formula(tmp_path: Path) -> None:
    link = '=HYPERLINK("http://evil.example")'
    report.write_problems([Problem(f"{link}.wav", f"@{link}")], tmp_path / "pets.csv")
    (row,) = pd.read_csv(tmp_path / "pets.csv").to_dict("records")
    assert row == {"path": f"'{link}.wav", "reason": f"'@{link}"}


def test_list_keeps_the_problems_it_does_not_show_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    found = tuple(Problem(f"{i}.wav", "file not found") for i in range(7))
    kept = tmp_path / "cache" / "reports" / "pets.csv"
    assert len(report.listed_problems(dataset(problems=found[:5]))) == 5
    assert not (tmp_path / "cache").exists(), "nothing is written where all is shown"
    assert report.listed_problems(dataset(problems=found))[-1] == f"and 2 more, all in {kept}"
    assert len(kept.read_text().splitlines()) == 8
    assert report.listed_problems(dataset()) == []
    assert not kept.exists()
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache" / "file" / "x"))
    (tmp_path / "cache" / "file").write_text("")
    assert report.listed_problems(dataset(problems=found))[-1] == "and 2 more, a run writes all to a file"


def test_same_sound_twice_is_told_also_across_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(4000), 16_000)
    shutil.copy(tmp_path / "b.wav", tmp_path / "c.wav")
    looked = scan(dataset(tmp_path.resolve()), tmp_path / "scan.csv")
    assert report.duplicates(looked) == ["pets: 1 sounds occur more than once (b.wav = c.wav)"]
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    looked = scan(dataset(tmp_path.resolve()), tmp_path / "scan2.csv")
    assert report.duplicates(looked) == ["pets: 1 sounds occur more than once, 1 of them across splits (a.wav = c.wav)"]


def test_recordings_in_two_datasets_are_told() -> None:
    other = dataset(name="birds", clips=(Clip("z.wav", "train", {"freesound_id": "2"}),))
    assert report.shared_recordings([dataset(), other]) == [
        "pets and birds share 1 Freesound recordings (2): neurons that both select may know the recording, "
        "not the class"
    ]
    third = dataset(name="fish", clips=(Clip("z.wav", "train", {"freesound_id": "9"}),))
    assert report.shared_recordings([dataset(), third]) == []


@pytest.mark.parametrize("origin", ["ours", "manifest", "official", "EVAR"])
def test_origin_of_the_split_is_told(origin: str) -> None:
    told = report.summary(dataset(split_origin=origin))[0].rpartition("fold 10 1")[2]
    assert told == {"ours": "", "manifest": "", "official": ", official", "EVAR": ", EVAR"}[origin]
