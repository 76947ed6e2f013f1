"""Datasets on disk: manifests read, tasks chosen, splits and small samples drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.datasets import Clip, Dataset, InputError, choose_tasks, find
from core.datasets.base import draw_evenly, natural_order
from core.datasets.manifest import read, recognise
from core.datasets.splits import draw_splits
from core.untrusted_text import as_file_name


def folder_with(tmp_path: Path, manifest: str, encoding: str = "utf-8") -> Path:
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "manifest.csv").write_bytes(manifest.encode(encoding))
    return tmp_path / "pets"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_are_tolerated(tmp_path: Path, encoding: str, end: str) -> None:
    lines = ["file, split ,art", "a.wav,train,Katze", " sub/b.wav ,test, Käfer ", ""]
    dataset = read(folder_with(tmp_path, end.join(lines), encoding))
    assert dataset.name == "pets"
    assert dataset.attributes == ("art",)
    assert dataset.split_origin == "manifest"
    assert dataset.clips == (
        Clip("a.wav", "train", {"art": "Katze"}),
        Clip("sub/b.wav", "test", {"art": "Käfer"}),
    )


def test_empty_cell_is_no_label_and_text_like_na_is_one(tmp_path: Path) -> None:
    dataset = read(folder_with(tmp_path, "file,split,a,b\n1.wav,train,,NA\n2.wav,test,x\n"))
    assert [c.labels for c in dataset.clips] == [{"b": "NA"}, {"a": "x"}]
    assert dataset.classes("a") == ["x"]


def test_columns_and_rows_a_spreadsheet_leaves_empty_are_dropped(tmp_path: Path) -> None:
    dataset = read(folder_with(tmp_path, "file,split,a,,\n1.wav,train,x,,\n\n2.wav,test,y,,\n"))
    assert dataset.attributes == ("a",)
    assert len(dataset.clips) == 2


def test_backslashes_are_folders(tmp_path: Path) -> None:
    dataset = read(folder_with(tmp_path, "file,split,a\nsub\\1.wav,train,x\n..\\2.wav,train,y\n"))
    assert [c.path for c in dataset.clips] == ["sub/1.wav"]
    assert [(p.path, p.reason) for p in dataset.problems] == [("..\\2.wav", "leaves the dataset's folder")]


def test_missing_split_is_drawn_the_same_for_the_same_seed(tmp_path: Path) -> None:
    rows = "".join(f"{i}.wav,{'ab'[i % 2]}\n" for i in range(40))
    folder = folder_with(tmp_path, "file,kind\n" + rows)
    splits = [[c.split for c in read(folder, seed).clips] for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    assert read(folder).split_origin == "ours"


@pytest.mark.parametrize("splits", ["fold 1,train", "test,fold 2", "fold 1,fold 2,valid"])
def test_folds_beside_other_splits_are_refused(tmp_path: Path, splits: str) -> None:
    rows = "".join(f"{i}.wav,{split},x\n" for i, split in enumerate(splits.split(",")))
    with pytest.raises(InputError, match=r"manifest\.csv has both fold \d and (train|valid|test) in the column"):
        read(folder_with(tmp_path, f"file,split,a\n{rows}"))


def test_folder_is_a_dataset_or_holds_some(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "file,split,a\n1.wav,train,x\n")
    (tmp_path / "notes.txt").write_text("")
    assert recognise(folder)
    assert not recognise(tmp_path)
    assert [d.root for d in find([folder])] == [d.root for d in find([tmp_path])] == [folder.resolve()]


def test_natural_order_compares_numbers_as_numbers() -> None:
    assert natural_order({"10", "9", "-1", "2.5"}) == ["-1", "2.5", "9", "10"]
    assert natural_order({"a10", "a2", "b1", "A", "3"}) == ["3", "A", "a2", "a10", "b1"]


def test_splits_are_60_15_25_within_each_class() -> None:
    groups = ["a"] * 100 + ["b"] * 20 + ["lone"]
    splits = draw_splits(121, groups, seed=0)
    assert Counter(splits[:100]) == {"train": 60, "valid": 15, "test": 25}
    assert Counter(splits[100:120]) == {"train": 12, "valid": 3, "test": 5}
    assert splits[120] == "train"


def clips(sizes: dict[tuple[str, str], int]) -> list[Clip]:
    """So many clips of each (class, split)."""
    return [Clip(f"{k}-{s}-{i}", s, {"kind": k}) for (k, s), n in sizes.items() for i in range(n)]


def draw(of: list[Clip], limit: int, seed: int = 0, attribute: str = "kind", **facts: Any) -> list[Clip]:
    attributes = tuple(dict.fromkeys(name for clip in of for name in clip.labels))
    return draw_evenly(Dataset("pets", Path("pets"), attributes, tuple(of), **facts), [attribute], limit, seed)


def test_small_sample_takes_classes_evenly_and_splits_in_proportion() -> None:
    many = clips({("a", "train"): 60, ("a", "test"): 30, ("b", "train"): 600, ("b", "test"): 300, ("c", "test"): 2})
    drawn = draw(many, 26)
    assert Counter(c.labels["kind"] for c in drawn) == {"a": 12, "b": 12, "c": 2}
    for kind in "ab":
        assert Counter(c.split for c in drawn if c.labels["kind"] == kind)["train"] in (7, 8, 9)
    assert [many.index(c) for c in drawn] == sorted(many.index(c) for c in drawn)
    assert drawn == draw(many, 26)
    assert drawn != draw(many, 26, seed=1)


def test_one_clip_of_each_class_is_not_all_from_the_largest_split() -> None:
    many = clips({(f"k{i}", split): n for i in range(40) for split, n in (("train", 8), ("test", 10))})
    splits = Counter(c.split for c in draw(many, 40))
    assert splits["train"] >= 8
    assert splits["test"] >= 8


def test_small_sample_of_clips_with_several_labels_is_even_over_the_classes() -> None:
    # Every clip is of the class above; "a" is ten times as frequent as "b" and "c".
    kinds = ["a"] * 200 + ["b"] * 20 + ["c"] * 20
    many = [Clip(f"{i}", "train" if i % 3 else "test", {"kind": f"{k}, all"}) for i, k in enumerate(kinds)]
    many.append(Clip("lone", "test", {"kind": "all"}))
    drawn = draw(many, 30, multilabel=("kind",))
    found = Counter(value for clip in drawn for value in clip.labels["kind"].split(", "))
    assert found["all"] == len(drawn) == len(set(drawn_paths(drawn))) == 30
    assert all(found[kind] in (9, 10, 11) for kind in "abc")
    assert 7 <= sum(clip.split == "test" for clip in drawn) <= 13
    two = [Clip(f"{i}", "train", {"kind": "a,b" if i < 5 else "b"}) for i in range(40)]
    assert sum("a" in clip.labels["kind"] for clip in draw(two, 5, multilabel=("kind",))) == 5, (
        "a clip of b is one of a"
    )


def drawn_paths(drawn: list[Clip]) -> list[str]:
    return [clip.path for clip in drawn]


def test_small_sample_goes_over_the_splits_of_the_attribute() -> None:
    many = clips({("a", "train"): 100, ("b", "train"): 100})
    own = tuple("test" if i % 100 < 20 else "train" for i in range(200))
    drawn = {clip.path for clip in draw(many, 20, split_of={"kind": own})}
    for kind in "ab":
        tested = sum(split == "test" for clip, split in zip(many, own, strict=True) if clip.path in drawn
                     and clip.labels["kind"] == kind)  # fmt: skip
        assert tested in (1, 2, 3)


def test_small_sample_leaves_out_clips_without_a_label_first() -> None:
    many = [*clips({("a", "train"): 4}), *(Clip(f"bare {i}", "train", {}) for i in range(50))]
    assert [clip.labels for clip in draw(many, 4)] == [{"kind": "a"}] * 4
    assert sum(not clip.labels for clip in draw(many, 6)) == 2


def test_sample_larger_than_the_dataset_is_the_dataset() -> None:
    many = clips({("a", "train"): 3})
    assert draw(many, 3) == many


PETS = Dataset(
    "pets",
    Path("pets"),
    ("kind", "name", "place"),
    tuple(Clip(str(i), "train", {"kind": "ab"[i % 2], "name": str(i), "place": "home"}) for i in range(8)),
)
BIRDS = Dataset("birds", Path("birds"), ("kind",), PETS.clips[:7], task_names={"kind": "birds"})


def test_all_takes_attributes_that_are_classes_and_tells_of_the_others() -> None:
    chosen, left_out = choose_tasks([PETS, BIRDS], "all")
    assert chosen == [(PETS, ("kind",))]
    assert left_out == [
        "pets-name: 8 values over 8 clips look like names of single clips; --tasks pets-name runs it all the same",
        "pets-place: 1 class, nothing to tell apart",
        "birds: 2 values over 7 clips look like names of single clips; --tasks birds runs it all the same",
    ]


def test_tasks_by_name_run_whatever_they_are() -> None:
    assert choose_tasks([PETS, BIRDS], " birds, pets-name ") == ([(PETS, ("name",)), (BIRDS, ("kind",))], [])


def test_a_task_of_one_class_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^pets-place: 1 class, nothing to tell apart; leave it out of --tasks$"):
        choose_tasks([PETS, BIRDS], "pets-kind,pets-place")


def test_unknown_task_names_the_nearest_or_all() -> None:
    with pytest.raises(InputError, match=r"unknown task 'pets-knd'; did you mean pets-kind"):
        choose_tasks([PETS, BIRDS], "birds,pets-knd")
    with pytest.raises(InputError, match=r"unknown task 'qqq'; known are pets-kind, pets-name, pets-place, birds"):
        choose_tasks([PETS, BIRDS], "qqq")


def test_tasks_whose_names_hold_commas_can_be_asked_for(tmp_path: Path) -> None:
    rows = "".join(f"{i}.wav,{'ab'[i % 2]},{'cd'[i % 2]},{'ef'[i % 2]}\n" for i in range(12))
    folder = folder_with(tmp_path, f'file,"emotion, intensity",emotion,intensity\n{rows}')
    datasets = [read(folder)]

    def chosen(wanted: str) -> tuple[str, ...]:
        return choose_tasks(datasets, wanted)[0][0][1]

    assert chosen("pets-emotion, intensity") == ("emotion, intensity",)
    assert chosen("pets-emotion,intensity") == ("emotion, intensity",)
    assert chosen("pets-intensity, pets-emotion") == ("emotion", "intensity")
    assert chosen("pets-emotion,pets-emotion, intensity") == ("emotion, intensity", "emotion")
    with pytest.raises(InputError, match="unknown task 'intensity'"):
        chosen("pets-intensity,intensity")


@pytest.mark.parametrize("name", ["pets", "my pets", "Vögel (2)", "a.b-c_d"])
def test_a_plain_name_is_a_file_name(name: str) -> None:
    assert as_file_name(name) == name


@pytest.mark.parametrize("name", ["L" + "o" * 248, "ö" * 60, "a/b", "a:b", "..", "", "a\nb", "pets.", " x"])
def test_other_names_are_shortened_and_kept_apart(name: str) -> None:
    short = as_file_name(name)
    assert len(short.encode()) < 120 and "/" not in short and "\n" not in short and short.strip(". ") == short
    assert short != as_file_name(name + "x")
