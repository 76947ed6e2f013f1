"""Sound inside Parquet, as hubs hand it out: a folder, or a dataset's id."""

from __future__ import annotations

import errno
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from rich.console import Console

from core.datasets import Dataset, find, parquet, report
from core.errors import InputError
from core.progress.progress import Progress
from core.run.config import AnalysisConfig
from core.run.inputs import scan_dataset
from tests.support.small_study import query, run

RATE = 16_000
AUDIO = {"sampling_rate": RATE, "_type": "Audio"}


def content(seed: int, kind: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, RATE // 4)
    soundfile.write(buffer, noise, RATE, format=kind)
    return buffer.getvalue()


def table(first: int, n: int, features: dict[str, Any] | None = None, **columns: list[Any]) -> pa.Table:
    sound = [{"bytes": content(i), "path": f"clips/{i}.wav"} for i in range(first, first + n)]
    made = pa.table({"audio": sound, **columns})
    named = {"audio": AUDIO, **(features or {})}
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": named}})})


def write(path: Path, made: pa.Table, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, **options)


def labels(dataset: Dataset) -> dict[str, dict[str, str]]:
    return {clip.path: dict(clip.labels) for clip in dataset.clips}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two parts of one split and one of another, classes as numbers with names."""
    folder = tmp_path / "pets"
    names = {"kind": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    write(folder / "data/train-00000-of-00002.parquet", table(0, 6, names, kind=[0, 1, 0, 1, 0, -1]), row_group_size=2)
    write(folder / "data/train-00001-of-00002.parquet", table(6, 4, names, kind=[1, 0, 1, None]))
    write(folder / "data/validation-00000-of-00001.parquet", table(10, 2, names, kind=[0, 1]))
    write(folder / "data/test-00000-of-00001.parquet", table(12, 4, names, kind=[0, 1, 0, 1]))
    return folder


def test_labels_are_read_and_sound_is_left_where_it_is(pets: Path, cache: Path) -> None:
    (dataset,) = find([pets])
    assert (dataset.name, dataset.attributes, len(dataset.clips)) == ("pets", ("kind",), 16)
    assert dataset.sizes("kind") == {"cat": 7, "dog": 7}, "names for numbers; -1 and nothing are none"
    assert [sum(clip.split == split for clip in dataset.clips) for split in ("train", "valid", "test")] == [10, 2, 4]
    assert labels(dataset)["train/0000007-7.wav"] == {"kind": "cat"}, "numbered over the parts of a split"
    assert not cache.exists()


def test_what_is_asked_for_is_unpacked_once(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dataset,) = find([pets])
    assert dataset.make is not None
    told: list[int] = []
    dataset.make(["train/0000003-3.wav", "test/0000000-12.wav"], told.append)
    assert {p.relative_to(dataset.root).as_posix() for p in dataset.root.rglob("*.*")} == {
        "train/0000003-3.wav", "test/0000000-12.wav"
    }  # fmt: skip
    assert (dataset.root / "train/0000003-3.wav").read_bytes() == content(3)
    assert told == [0, 1, 2]
    paths = [clip.path for clip in dataset.clips]
    dataset.make(paths, None)
    numbers = [int(path.rpartition("-")[2].removesuffix(".wav")) for path in paths]
    assert sorted(numbers) == list(range(16))
    assert all((dataset.root / path).read_bytes() == content(i) for i, path in zip(numbers, paths, strict=True))
    for file in pets.rglob("*.parquet"):
        file.unlink()  # not needed any more
    dataset.make(paths, told.append)
    assert told[-1] == 16


def test_a_run_studies_them_and_the_page_finds_them(pets: Path, tmp_path: Path, cache: Path) -> None:
    db = tmp_path / "atlas.db"
    assert (
        run("--data-dir", pets, "--db", db, "--stages", "extract,score", "--model", "nano-ssl", "--shuffles", 20) == 0
    )
    found = query(db, "SELECT root, path, file_sha256 FROM clip JOIN dataset ON dataset.id = dataset_id")
    assert len(found) == 16
    assert all((Path(root) / path).is_file() and len(sha256) == 64 for root, path, sha256 in found)


def test_a_list_looks_at_the_first_clips(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "JUDGED", 3)
    (dataset,) = find([pets])
    assert report.estimated_hours(dataset) == "about 0.0011 hours"
    assert report.judged(dataset) == []
    assert len(list(dataset.root.rglob("*.wav"))) == 3


def test_the_folder_to_unpack_to_follows_from_the_content(pets: Path, tmp_path: Path) -> None:
    (one,) = find([pets])
    (tmp_path / "elsewhere").mkdir()
    (same,) = find([pets.rename(tmp_path / "elsewhere" / "pets")])
    assert same.root == one.root
    file = tmp_path / "elsewhere/pets/data/test-00000-of-00001.parquet"
    write(file, pq.read_table(file).set_column(0, "audio", table(20, 4).column("audio")))
    assert find([tmp_path / "elsewhere/pets"])[0].root != one.root


def test_a_table_with_the_end_of_another_gives_its_own_sound(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made so that all that names the folder is the same."""
    monkeypatch.setattr(parquet, "_PIECE", 4)
    (own,) = find([pets])
    assert own.make is not None
    forged = tmp_path / "forged" / "pets"
    shutil.copytree(pets, forged)
    last = content(3)[-1_000:]
    for file in forged.rglob("*.parquet"):
        whole = file.read_bytes()
        file.write_bytes(whole.replace(last, last[::-1]))
    (other,) = find([forged])
    paths = [clip.path for clip in own.clips]
    assert other.root == own.root
    assert other.make is not None and other.make(paths, None) == []
    changed = own.root / "train/0000003-3.wav"
    assert changed.read_bytes() == content(3)[:-1_000] + last[::-1]
    for _ in range(2):
        assert own.make(paths[:1], None) == [] and changed.read_bytes() == content(3)
    assert other.make(paths[:1], None) == [] and changed.read_bytes() != content(3)


def test_tables_that_say_the_same_of_themselves_have_folders_of_their_own(tmp_path: Path) -> None:
    for name, first in (("one", 0), ("other", 4)):
        sound = [{"bytes": content(i), "path": f"{i - first}.wav"} for i in range(first, first + 4)]
        made = pa.table({"audio": sound, "kind": ["cat", "dog"] * 2})
        write(tmp_path / name / "pets/train.parquet", made, compression="none", write_statistics=False)
    one, other = (find([tmp_path / name / "pets"])[0] for name in ("one", "other"))
    assert one.root != other.root and [c.path for c in one.clips] == [c.path for c in other.clips]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("test/0.parquet", "train/0.parquet"), ["test", "train"]),
        (("data/test_other-0.parquet", "data/train.clean.100-00000-of-00001.parquet"), ["test", "train"]),
        (("default/dev/0000.parquet",), ["valid"]),
    ],
)
def test_splits_are_read_from_names(tmp_path: Path, files: tuple[str, ...], splits: list[str]) -> None:
    for i, file in enumerate(files):
        write(tmp_path / "pets" / file, table(2 * i, 2, kind=["cat", "dog"]))
    (dataset,) = find([tmp_path / "pets"])
    assert [clip.split for clip in dataset.clips][::2] == splits


def test_where_no_name_tells_a_split_one_is_drawn(tmp_path: Path) -> None:
    write(tmp_path / "pets" / "part-0.parquet", table(0, 20, kind=["cat", "dog"] * 10))
    (dataset,) = find([tmp_path / "pets"])
    assert dataset.split_origin == "ours"
    assert {clip.split for clip in dataset.clips} == {"train", "valid", "test"}


def test_a_part_of_an_unknown_name_is_told(pets: Path) -> None:
    write(pets / "data/unsupervised-00000-of-00001.parquet", table(30, 2, kind=[0, 1]))
    (dataset,) = find([pets])
    assert len(dataset.clips) == 16
    assert [(p.path, p.reason[:34]) for p in dataset.problems] == [
        (f"unsupervised/000000{i}-{30 + i}.wav", "has the split 'unsupervised'; expe") for i in range(2)
    ]


def test_columns_of_every_kind(tmp_path: Path) -> None:
    names = {"kind": {"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "List"}}
    write(
        tmp_path / "pets/train-0.parquet",
        table(
            0, 2, names, kind=[[0, 1], []], said=["one|two, three", None], age=[3, None], loud=[True, False],
            tags=[["male speech, man speaking", "a"], None], box=[{"x": 1}, {"x": 2}], Split=["val", "Test"],
            file=["a.wav", "b.wav"],
        ),
    )  # fmt: skip
    (dataset,) = find([tmp_path / "pets"])
    assert dataset.attributes == ("kind", "said", "age", "loud", "tags")
    one, two = dataset.clips
    assert (one.split, two.split) == ("valid", "test")
    assert one.labels == {
        "kind": "cat,dog", "said": "one|two, three", "age": "3", "loud": "True", "tags": "male speech; man speaking,a"
    }  # fmt: skip
    assert two.labels == {"loud": "False"}
    assert dataset.multilabel == ("kind", "tags")
    told = " ".join(dataset.notes)
    assert "the columns box are neither text nor numbers: left out" in told
    assert "labels of tags hold commas, which are written as semicolons" in told


def test_names_in_a_table_write_nowhere_else(tmp_path: Path) -> None:
    sound = [
        {"bytes": content(i), "path": name} for i, name in enumerate(("../../../x.wav", "/etc/y.wav", None, "a\\b.MP3"))
    ]
    write(tmp_path / "pets" / "train-0.parquet", pa.table({"audio": sound, "kind": ["cat", "dog"] * 2}))
    (dataset,) = find([tmp_path / "pets"])
    assert dataset.make is not None
    dataset.make([clip.path for clip in dataset.clips], None)
    written = sorted(p.relative_to(dataset.root).as_posix() for p in dataset.root.rglob("*") if p.is_file())
    assert written == ["train/0000000-x.wav", "train/0000001-y.wav", "train/0000002", "train/0000003-b.mp3"]


def test_names_of_sound_without_sound_are_told(tmp_path: Path) -> None:
    sound = [{"bytes": None if i else content(0), "path": f"{i}.wav"} for i in range(3)]
    write(tmp_path / "pets" / "train-0.parquet", pa.table({"audio": sound, "kind": ["cat", "dog", "cat"]}))
    (dataset,) = find([tmp_path / "pets"])
    scan = scan_dataset(
        dataset, ("kind",), tmp_path / "files", AnalysisConfig(data_dirs=("x",)), Progress(Console(quiet=True))
    )
    assert [clip.path for clip in scan.dataset.clips] == ["train/0000000-0.wav"]
    assert {p.reason for p in scan.problems} == {"is named in its table, which does not hold its sound"}


@pytest.mark.parametrize(
    ("columns", "told"),
    [({}, "has no column of labels beside its sound"), ({"kind": [{"a": 1}]}, "has no column of labels")],
)
def test_tables_that_tell_nothing_are_refused(tmp_path: Path, columns: dict[str, list[Any]], told: str) -> None:
    write(tmp_path / "pets" / "train-0.parquet", table(0, 1, **columns))
    with pytest.raises(InputError, match=told):
        find([tmp_path / "pets"])


def test_other_tables_are_none_and_broken_ones_are_named(tmp_path: Path) -> None:
    pictures = {"image": {"_type": "Image"}}
    made = pa.table({"image": [{"bytes": b"", "path": "a.png"}], "kind": ["cat"]})
    made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": pictures}})})
    write(tmp_path / "pets" / "train-0.parquet", made)
    with pytest.raises(InputError, match="no dataset found"):
        find([tmp_path / "pets"])
    whole = table(0, 2, kind=["cat", "dog"])
    write(tmp_path / "pets" / "train-0.parquet", whole)
    file = tmp_path / "pets" / "train-0.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"train-0.parquet cannot be read as a table of sound") as caught:
        find([tmp_path / "pets"])
    assert "\n" not in str(caught.value)


def test_a_disk_that_is_too_small_is_told_before(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dataset,) = find([pets])
    assert dataset.make is not None
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(InputError, match="set ATLAS_CACHE to a folder on a larger disk"):
        dataset.make([clip.path for clip in dataset.clips], None)
    assert not list(dataset.root.rglob("*.wav"))


COMMIT = "0123456789012345678901234567890123456789"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache without a network, holding ``me/weather`` with two folders."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "datasets--me--weather"
    for number, folder in enumerate(("en", "de")):
        blob = cached / "blobs" / f"{number}"
        write(blob, table(2 * number, 2, kind=["rain", "wind"]))
        link = cached / "snapshots" / COMMIT / folder / "train-00000-of-00001.parquet"
        link.parent.mkdir(parents=True)
        link.symlink_to(f"../../../blobs/{number}")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    return cached


@pytest.mark.usefixtures("hub")
def test_a_hubs_dataset_by_its_id() -> None:
    assert [len(dataset.clips) for dataset in find(["hf:me/weather"])] == [2, 2]
    (dataset,) = find(["hf:me/weather/de"])
    assert (dataset.name, len(dataset.clips)) == ("de", 2)
    assert find(["rain=hf:me/weather/de"])[0].name == "rain"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("hf:me/none", "hf download --repo-type dataset me/none, or give the folder of a copy"),
        ("hf:me/none@v2", "me/none --revision v2, or give"),
        ("hf:weather", "expected hf:OWNER/NAME"),
        ("hf:me/weather/../../x", "expected hf:OWNER/NAME"),
        ("hf:me/weather/fr", "no such folder"),
    ],
)
def test_ids_that_cannot_be_had_are_one_line(given: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        find([given])
    assert "\n" not in str(caught.value)


def test_what_the_hub_made_of_other_files_is_taken(hub: Path) -> None:
    """The files themselves are of a kind that is not read."""
    main = hub / "snapshots" / COMMIT
    converted = hub / "snapshots" / COMMIT[::-1]
    main.rename(converted)
    (main).mkdir()
    (main / "README.txt").write_text("in archives")
    (hub / "refs" / "refs" / "convert").mkdir(parents=True)
    (hub / "refs" / "refs" / "convert" / "parquet").write_text(COMMIT[::-1])
    assert [dataset.name for dataset in find(["hf:me/weather"])] == ["de", "en"]


@pytest.mark.parametrize(
    "name", ["a.\n", "a.\x1b[2J", "a.wav\\..\\b.w v", "a." + "x" * 300, "é" * 200 + ".flac", "a.\x00"]
)
def test_no_name_in_a_table_is_more_than_a_name(name: str, tmp_path: Path, cache: Path) -> None:
    made = table(0, 4, kind=["cat", "dog"] * 2)
    sound = [{**row, "path": name} for row in made.column("audio").to_pylist()]
    write(tmp_path / "pets/train.parquet", made.set_column(0, "audio", pa.array(sound)))
    (dataset,) = find([tmp_path / "pets"])
    assert dataset.make is not None and dataset.make([clip.path for clip in dataset.clips]) == []
    unpacked = [file for file in cache.rglob("*") if file.is_file() and file.suffix != ".tables"]
    assert len(unpacked) == 4 and all(file.name.isprintable() and " " not in file.suffix for file in unpacked)


def test_tables_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    sound = pa.array([None], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    many = pa.table({"audio": sound.take(pa.array([0] * 200_000)), "kind": pa.array(["cat"] * 200_000)})
    write(tmp_path / "many/train.parquet", many, compression="zstd")
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 500), ["x" * 1_000_000])
    first = table(0, 1).column("audio")[0].as_py()
    write(tmp_path / "long/train.parquet", pa.table({"audio": [first] * 500, "kind": long}))
    write(tmp_path / "wide/train.parquet", table(0, 2, **{f"label {i}": ["a", "b"] for i in range(1_001)}))
    for name, told in {
        "many": "says that it holds 200,000 sounds, more than bytes; get it again",
        "long": "train.parquet has a label of 1,000,000 characters in its column 'kind'; at most 10,000 are read",
        "wide": "train.parquet has 1,002 columns; at most 1,000 are read",
    }.items():
        with pytest.raises(InputError, match=told):
            find([tmp_path / name])


def test_a_label_that_many_rows_repeat_is_held_once(tmp_path: Path) -> None:
    first = table(0, 1).column("audio")[0].as_py()
    texts = ["cat" * 3_000, "dog"]
    write(tmp_path / "pets/train.parquet", pa.table({"audio": [first] * 400, "kind": texts * 199 + [None, "dog"]}))
    (dataset,) = find([tmp_path / "pets"])
    found = [clip.labels.get("kind", "") for clip in dataset.clips]
    assert sorted(set(found)) == ["", *sorted(texts)]


def test_a_disk_that_fills_while_it_is_unpacked_names_the_file(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dataset,) = find([pets])
    assert dataset.make is not None

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        dataset.make([dataset.clips[0].path], None)
    assert str(error.value.filename).endswith(dataset.clips[0].path)
