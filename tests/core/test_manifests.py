"""A ``manifest.csv`` as people write it: what is read, what is told, and why a row or a table is refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from core.datasets import find
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


def test_a_name_that_no_file_can_have_is_told_as_missing_later(tmp_path: Path) -> None:
    found = dataset(tmp_path / "pets", ["file,kind", f"{'a' * 5000}.wav,cat", "b.wav,dog"], "utf-16")
    assert [len(clip.path) for clip in found.clips] == [5004, 5]


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


def audiofolder(folder: Path, tables: dict[str, str]) -> Dataset:
    """A folder with these tables, read as what it is found to be."""
    for name, content in tables.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (found,) = find([folder])
    return found


def test_an_audiofolder_of_one_table(tmp_path: Path) -> None:
    lines = [
        '{"file_name": "data/a.wav", "label": "cat", "take": 1, "tags": ["x", "y"], "box": {"x": 1}}',
        '{"file_name": "data/b.wav", "label": "dog", "take": 2, "tags": ["y"], "note": null}',
    ]
    found = audiofolder(tmp_path / "pets", {"metadata.jsonl": "\n".join(lines) + "\n"})
    assert [clip.path for clip in found.clips] == ["data/a.wav", "data/b.wav"]
    assert [dict(clip.labels) for clip in found.clips] == [
        {"label": "cat", "take": "1", "tags": "x,y"}, {"label": "dog", "take": "2", "tags": "y"},
    ]  # fmt: skip
    assert found.multilabel == ("tags",) and found.split_origin == "ours"
    assert found.notes[0] == "metadata.jsonl: box left out, neither text nor number"
    assert found.description == "a Hugging Face audiofolder"


def test_an_audiofolder_with_a_table_a_split(tmp_path: Path) -> None:
    rows = "file_name,label\n0.wav,cat\n1.wav,dog\n"
    found = audiofolder(tmp_path / "pets", {f"{part}/metadata.csv": rows for part in ("train", "validation", "test")})
    assert {(clip.path, clip.split) for clip in found.clips} == {
        (f"{part}/{i}.wav", split)
        for part, split in (("train", "train"), ("validation", "valid"), ("test", "test"))
        for i in (0, 1)
    }
    assert found.attributes == ("label",) and found.split_origin == "manifest"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("metadata.csv", "file_name\na.wav\n", "has no attribute column"),
        ("metadata.jsonl", '{"file_name": "a.wav"}\n', "has no attribute; add a key for each thing to ask about"),
        ("metadata.jsonl", '{"file_name": "a.wav", "label": "x"}\n{"label": "x"}\n', "line 2 is no JSON object with a"),
        ("metadata.jsonl", '{"file_name": "a.wav", "label": "x"}\n{"file', r"cannot be read as JSON lines \(line 2"),
        ("metadata.jsonl", '{"file_name": "../a.wav", "label": "x"}\n', "the first .* leaves the dataset's folder"),
    ],
)
def test_a_bad_table_of_an_audiofolder_says_why(tmp_path: Path, name: str, content: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        audiofolder(tmp_path / "pets", {name: content})


def test_a_table_without_file_names_makes_no_audiofolder(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        (tmp_path / "pets" / kind / "a.wav").touch()
    found = audiofolder(tmp_path / "pets", {"metadata.csv": "id,age\n1,2\n"})
    assert found.description == "a folder for each class"
