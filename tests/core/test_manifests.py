"""A ``manifest.csv`` as people write it: what is read, what is told, and why a row or a table is refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from core.datasets.base import Dataset
from core.datasets.manifest import read
from core.datasets.splits import split_named
from core.errors import InputError

ROWS = ["file,split,kind", "a.wav,train,cat", "b.wav,train,dog", "c.wav,test,cat"]


def dataset(folder: Path, lines: list[str], encoding: str = "utf-8", files: tuple[str, ...] = ()) -> Dataset:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_bytes("\n".join(lines).encode(encoding))
    for file in files:
        (folder / file).touch()
    return read(folder)


def clips(found: Dataset) -> list[tuple[str, str, dict[str, str]]]:
    return [(clip.path, clip.split, dict(clip.labels)) for clip in found.clips]


PLAIN = [("a.wav", "train", {"kind": "cat"}), ("b.wav", "train", {"kind": "dog"}), ("c.wav", "test", {"kind": "cat"})]


@pytest.mark.parametrize(
    ("changed", "encoding", "told"),
    [
        (lambda line: line, "utf-8", ()),
        (lambda line: line, "utf-8-sig", ()),
        (lambda line: line, "utf-16", ("manifest.csv is read as UTF-16",)),
        (lambda line: line.replace(",", ";"), "utf-8", ("manifest.csv is read with semicolons between cells",)),
        (lambda line: line.replace(",", "\t"), "utf-8", ("manifest.csv is read with tabs between cells",)),
        (
            lambda line: line.replace("split", "Split"),
            "utf-8",
            ("manifest.csv: the column 'Split' is read as 'split'",),
        ),
        (
            lambda line: line.replace("train", "Training").replace("test", "EVAL"),
            "utf-8",
            ("manifest.csv: of its splits 'Training' as train, 'EVAL' as test are read",),
        ),
    ],
)
def test_one_table_in_many_forms(tmp_path: Path, changed: object, encoding: str, told: tuple[str, ...]) -> None:
    found = dataset(tmp_path / "pets", list(map(changed, ROWS)), encoding)  # type: ignore[arg-type]
    assert clips(found) == PLAIN
    assert found.notes == told
    assert found.attributes == ("kind",) and found.multilabel == ()


def test_a_semicolon_in_a_cell_is_no_separator(tmp_path: Path) -> None:
    found = dataset(tmp_path / "pets", ["file,kind", "a.wav,cat;dog", "b.wav,dog"])
    assert [dict(clip.labels) for clip in found.clips] == [{"kind": "cat;dog"}, {"kind": "dog"}]
    assert found.notes == ()


def test_parts_are_known_by_what_people_call_them() -> None:
    words = {"Train": "train", " VAL ": "valid", "dev": "valid", "validation": "valid", "Testing": "test",
             "fold_07": "fold 7", "Fold 10": "fold 10", "fold 0": "", "folds 1": "", "2": "", "": ""}  # fmt: skip
    assert {word: split_named(word) for word in words} == words


@pytest.mark.parametrize(
    "lines",
    [
        ["file,kind,room", "a.wav,cat|dog,attic", "b.wav,dog,"],
        ["file,kind,room", "a.wav,cat,attic", "b.wav,dog,", "a.wav,dog,attic"],
    ],
)
def test_several_labels_a_clip(tmp_path: Path, lines: list[str]) -> None:
    found = dataset(tmp_path / "pets", lines)
    assert found.multilabel == ("kind",)
    assert found.values(found.clips[0], "kind") == ("cat", "dog")
    assert [clip.path for clip in found.clips] == ["a.wav", "b.wav"]
    assert dict(found.sizes("kind")) == {"cat": 1, "dog": 2}
    assert "clips may have several labels of kind" in found.notes[-1]


def test_labels_with_commas_cannot_be_several(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels of 'kind' hold commas, and some clips have several"):
        dataset(tmp_path / "pets", ["file,kind", '"a.wav","cat, wild|dog"', "b.wav,dog"])


def test_rows_that_say_the_same_again_count_once_and_other_splits_are_told(tmp_path: Path) -> None:
    found = dataset(tmp_path / "pets", [*ROWS, ROWS[1], "b.wav,test,dog"])
    assert clips(found) == PLAIN
    assert found.notes == ("manifest.csv: 1 rows say again what another says; they count once",)
    assert [(p.path, p.reason, p.left_out) for p in found.problems] == [
        ("b.wav", "is in test, too; its first row counts", False)
    ]


def test_names_are_taken_as_written_and_else_as_they_are_on_disk(tmp_path: Path) -> None:
    accent, decomposed = "é.wav", unicodedata.normalize("NFD", "é.wav")
    on_disk = (" a.wav", "b\\c.wav", decomposed, "d.wav")
    found = dataset(
        tmp_path / "pets",
        ["file,kind", " a.wav,cat", "b\\c.wav,dog", f"{accent},cat", "d.wav ,dog", "gone.wav,cat"],
        files=on_disk,
    )
    assert [clip.path for clip in found.clips] == [*on_disk, "gone.wav"]
    assert found.notes == (
        f"manifest.csv: 2 names are spelt otherwise on disk (first {accent!r}, a file {decomposed!r}): taken",
    )


def test_a_backslash_is_a_slash_where_no_file_is_named_with_it(tmp_path: Path) -> None:
    (tmp_path / "pets" / "b").mkdir(parents=True)
    found = dataset(tmp_path / "pets", ["file,kind", "b\\c.wav,dog", "b\\gone.wav,cat"], files=("b/c.wav",))
    assert [clip.path for clip in found.clips] == ["b/c.wav", "b/gone.wav"]


@pytest.mark.parametrize(
    ("file", "split", "told"),
    [
        ("../pets/a.wav", "train", r"\(\.\./pets/a\.wav\) leaves the dataset's folder"),
        ("/data/a.wav", "train", "is an absolute path; give paths relative to the folder"),
        ("https://example.org/a.wav", "train", "is an address on the net; fetch the files"),
        ("a.wav", "holdout", "has the split 'holdout'; expected train, valid or test"),
    ],
)
def test_a_table_without_a_usable_row_says_why(tmp_path: Path, file: str, split: str, told: str) -> None:
    with pytest.raises(InputError, match=rf"lists no usable clip: of 2 rows the first .*{told}"):
        dataset(tmp_path / "pets", ["file,split,kind", f"{file},{split},cat", f"{file},{split},dog"])
