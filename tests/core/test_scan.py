"""The one look at every file: what it measures, what it remembers, what it leaves out."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from core.datasets import Clip, Dataset, audio, folds
from core.datasets.levels import BAND_FEATURES, spectrum
from core.datasets.scan import Scan, scan
from core.datasets.task import Task
from tests.support.small_study import RATE, sound


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three good files and one that is broken."""
    root = tmp_path / "pets"
    root.mkdir()
    for i, kind in enumerate(("low", "high", "noise")):
        soundfile.write(root / f"{kind}.wav", sound(kind, 0.5, i), RATE)
    (root / 'broken, by a "mistake".wav').write_bytes(b"")
    names = ("low.wav", 'broken, by a "mistake".wav', "high.wav", "noise.wav")
    clips = tuple(Clip(n, "train" if i < 3 else "test", {"kind": n[0]}) for i, n in enumerate(names))
    return Dataset("pets", root.resolve(), ("kind",), clips)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    names: list[str] = []
    load = audio.load

    def counting(path: Path, rate: int) -> Any:
        names.append(path.name)
        return load(path, rate)

    monkeypatch.setattr(audio, "load", counting)
    return names


def test_second_scan_reads_nothing_and_finds_the_same(dataset: Dataset, tmp_path: Path, loads: list[str]) -> None:
    first = scan(dataset, tmp_path / "cache.csv")
    assert sorted(loads) == sorted(c.path for c in dataset.clips)
    loads.clear()
    second = scan(dataset, tmp_path / "cache.csv")
    assert loads == []
    assert second.problems == first.problems
    assert second.content_key == first.content_key
    assert second.files.to_dict() == first.files.to_dict()
    assert not list(tmp_path.glob("*.part"))


def test_unchanged_files_are_asked_for_once_and_not_opened(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan(dataset, tmp_path / "cache.csv")
    asked: list[str] = []
    stat = os.stat

    def counting(path: Any, *given: Any, **how: Any) -> os.stat_result:
        asked.append(os.fsdecode(path))
        return stat(path, *given, **how)

    monkeypatch.setattr(os, "stat", counting)
    done: list[int] = []
    assert scan(dataset, tmp_path / "cache.csv", progress=done.append).content_key == first.content_key
    of_clips = [path for path in asked if path.startswith(f"{dataset.root}{os.sep}")]
    assert sorted(of_clips) == sorted(str(dataset.root / clip.path) for clip in dataset.clips)
    assert done == [4]


def test_split_of_ours_does_not_depend_on_files_left_out(dataset: Dataset, tmp_path: Path) -> None:
    good = tuple(clip for clip in dataset.clips if "broken" not in clip.path)
    for seed in range(5):
        splits = [
            [c.split for c in scan(replace(dataset, clips=of, drawn=("kind", seed)), tmp_path / "c.csv").dataset.clips]
            for of in (dataset.clips, good)
        ]
        assert splits[0] == splits[1]
    assert [c.split for c in scan(dataset, tmp_path / "c.csv").dataset.clips] == ["train", "train", "test"]


def test_touched_file_is_read_again(dataset: Dataset, tmp_path: Path, loads: list[str]) -> None:
    before = scan(dataset, tmp_path / "cache.csv").content_key
    loads.clear()
    os.utime(dataset.root / "high.wav", ns=(1, 1))
    assert scan(dataset, tmp_path / "cache.csv").content_key == before
    assert loads == ["high.wav"]


def test_sample_of_the_dataset_does_not_forget_the_rest(dataset: Dataset, tmp_path: Path, loads: list[str]) -> None:
    scan(dataset, tmp_path / "cache.csv")
    loads.clear()
    scan(replace(dataset, clips=dataset.clips[:1]), tmp_path / "cache.csv")
    scan(dataset, tmp_path / "cache.csv")
    assert loads == []


@pytest.mark.parametrize("damage", [b"", b"path,size\n", b"\xff\x00nonsense", b"a,b\n1,2,3\n"])
def test_damaged_cache_is_made_anew(dataset: Dataset, tmp_path: Path, loads: list[str], damage: bytes) -> None:
    whole = scan(dataset, tmp_path / "cache.csv").content_key
    loads.clear()
    (tmp_path / "cache.csv").write_bytes(damage)
    assert scan(dataset, tmp_path / "cache.csv").content_key == whole
    assert len(loads) == 4


def test_bad_and_repeated_files_are_problems_not_clips(dataset: Dataset, tmp_path: Path) -> None:
    twice = replace(dataset, clips=(*dataset.clips, dataset.clips[0]))
    found = scan(twice, tmp_path / "cache.csv")
    assert [c.path for c in found.dataset.clips] == ["low.wav", "high.wav", "noise.wav"]
    assert list(found.files["path"]) == ["low.wav", "high.wav", "noise.wav"]
    assert [(p.path, p.reason) for p in found.problems] == [
        ('broken, by a "mistake".wav', "file is empty (0 bytes)"),
        ("low.wav", "is listed twice; only the first row counts"),
    ]


def test_file_that_comes_back_is_found(dataset: Dataset, tmp_path: Path) -> None:
    (dataset.root / "low.wav").rename(dataset.root / "away.wav")
    assert len(scan(dataset, tmp_path / "cache.csv").dataset.clips) == 2
    (dataset.root / "away.wav").rename(dataset.root / "low.wav")
    assert len(scan(dataset, tmp_path / "cache.csv").dataset.clips) == 3


def test_levels_by_hand(tmp_path: Path) -> None:
    # 1 s: half of it at 0.5, the rest silent; then 10 samples at -0.25 in a frame that is filled up.
    wave = np.concatenate([np.full(8000, 0.5), np.zeros(8000), np.full(10, -0.25)])
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    dataset = Dataset("one", tmp_path, ("kind",), (Clip("a.wav", "train", {"kind": "x"}),))
    row = scan(dataset, tmp_path / "cache.csv").files.iloc[0]
    assert row["seconds"] == 16_010 / 16_000
    assert row["level_db"] == pytest.approx(10 * np.log10((8000 * 0.25 + 10 * 0.0625) / 16_010), abs=1e-3)
    assert row["peak_db"] == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert row["active_share"] == pytest.approx(21 / 41, abs=1e-4)


def test_cache_without_the_spectrum_is_made_anew(dataset: Dataset, tmp_path: Path, loads: list[str]) -> None:
    first = scan(dataset, tmp_path / "cache.csv")
    old = pd.read_csv(tmp_path / "cache.csv").drop(columns=list(BAND_FEATURES))
    old.to_csv(tmp_path / "cache.csv", index=False)
    loads.clear()
    again = scan(dataset, tmp_path / "cache.csv")
    assert len(loads) == 4
    assert again.files.equals(first.files)


@pytest.mark.parametrize(("hertz", "band"), [(100, 0), (440, 2), (3000, 10), (7900, 15)])
def test_sine_is_in_the_band_of_its_frequency(hertz: int, band: int) -> None:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(32_000) / 16_000)
    found = np.array(list(spectrum(wave.astype(np.float32)).values()))
    assert found.argmax() == band
    assert found[band] == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.1)
    assert np.delete(found, band).max() < -40


def test_bands_add_up_to_the_level_and_silence_is_finite() -> None:
    rng = np.random.default_rng(0)
    for n_samples in (700, 16_000, 900_000):
        wave = rng.normal(0, 0.1, n_samples).astype(np.float32)
        together = 10 * np.log10(np.sum(10 ** (np.array(list(spectrum(wave).values())) / 10)))
        assert together == pytest.approx(10 * np.log10(np.mean(wave**2)), abs=0.6 if n_samples < 1000 else 0.1)
        # As much silence again takes 3 dB from every band.
        half = spectrum(np.concatenate([wave, np.zeros_like(wave)]))
        if n_samples > 1000:
            np.testing.assert_allclose(list(half.values()), np.array(list(spectrum(wave).values())) - 3.01, atol=0.1)
    assert set(spectrum(np.zeros(1, dtype=np.float32)).values()) == {-120.0}
    assert set(spectrum(np.zeros(5000, dtype=np.float32))) == set(BAND_FEATURES)


def test_keys_follow_what_they_stand_for(dataset: Dataset, tmp_path: Path) -> None:
    def keys(of: Dataset) -> tuple[str, str]:
        found = scan(of, tmp_path / "cache.csv")
        return found.audio_key, found.content_key

    audio_key, content_key = keys(dataset)
    relabelled = replace(dataset, clips=(replace(dataset.clips[0], labels={"kind": "new"}), *dataset.clips[1:]))
    assert keys(relabelled) == (audio_key, keys(relabelled)[1])
    assert keys(relabelled)[1] != content_key
    moved = replace(dataset, clips=(replace(dataset.clips[0], split="test"), *dataset.clips[1:]))
    assert keys(moved)[0] == audio_key
    assert keys(moved)[1] != content_key
    soundfile.write(dataset.root / "low.wav", sound("low", 0.5, 9), RATE)
    assert keys(dataset)[0] != audio_key


def test_labels_and_splits_in_order(dataset: Dataset, tmp_path: Path) -> None:
    unlabelled = replace(dataset, clips=(replace(dataset.clips[0], labels={}), *dataset.clips[1:]))
    found: Scan = scan(unlabelled, tmp_path / "cache.csv")
    task = Task(found, "kind")
    assert task.class_names == ["h", "n"]
    assert task.labels.tolist() == [-1, 0, 1]
    assert task.in_splits("test").tolist() == [False, False, True]
    assert found.record().clips[2].labels == {"kind": "n"}


def test_classes_of_each_clip(dataset: Dataset, tmp_path: Path) -> None:
    labels = ("dog,bark", "broken", "", " bark , dog,bark")
    clips = tuple(replace(c, labels={"kind": k} if k else {}) for c, k in zip(dataset.clips, labels, strict=True))
    found = scan(replace(dataset, clips=clips, multilabel=("kind",)), tmp_path / "cache.csv")
    task = Task(found, "kind")
    assert task.class_names == ["bark", "dog"]
    assert task.members.tolist() == [[True, True], [False, False], [True, True]]
    assert [c.labels for c in found.record().clips] == [{"kind": ("dog", "bark")}, {}, {"kind": ("bark", "dog")}]
    with pytest.raises(ValueError, match="several labels of kind"):
        _ = task.labels
    one = Task(scan(dataset, tmp_path / "cache.csv"), "kind")
    assert one.members.tolist() == (one.labels[:, None] == np.arange(len(one.class_names))).tolist()
    assert one.scan.content_key != scan(replace(dataset, multilabel=("kind",)), tmp_path / "cache.csv").content_key


def test_attribute_with_a_split_of_its_own(dataset: Dataset, tmp_path: Path) -> None:
    own = replace(dataset, split_of={"kind": ("test", "train", "valid", "")})
    found = scan(own, tmp_path / "cache.csv")
    kind = Task(found, "kind")
    assert kind.splits.tolist() == ["test", "valid", ""], "the broken file's went with it"
    assert [clip.splits for clip in found.record().clips] == [{"kind": "test"}, {"kind": "valid"}, {"kind": ""}]
    assert Task(found, "other").splits.tolist() == [c.split for c in found.dataset.clips] == ["train", "train", "test"]
    assert kind.in_splits("test").tolist() == [True, False, False]
    assert kind.in_splits("train", "valid", "test").tolist() == [True, True, False]
    assert kind.tested.tolist() == [True, False, False]
    assert found.content_key != scan(dataset, tmp_path / "cache.csv").content_key
    other = replace(dataset, split_of={"kind": ("test", "train", "test", "")})
    assert found.content_key != scan(other, tmp_path / "cache.csv").content_key


def test_folds_in_order_of_their_numbers_the_last_is_the_test_split(dataset: Dataset, tmp_path: Path) -> None:
    clips = tuple(replace(c, split=f"fold {k}") for c, k in zip(dataset.clips, (10, 1, 9, 2), strict=True))
    found = Task(scan(replace(dataset, clips=clips), tmp_path / "cache.csv"), "kind")
    assert folds.names(found.splits.tolist()) == ["fold 2", "fold 9", "fold 10"]
    assert found.in_splits("test").tolist() == [True, False, False]
    assert found.in_splits("train").tolist() == [False, True, True]
    assert found.tested.all()
    assert folds.names(["train", "fold x", "folder 1"]) == []


@pytest.mark.parametrize("multilabel", [(), ("kind",)])
def test_content_key_is_the_hash_of_all_as_one_text(
    dataset: Dataset, tmp_path: Path, multilabel: tuple[str, ...]
) -> None:
    found = scan(replace(dataset, multilabel=multilabel), tmp_path / "scan.csv")
    text = found.audio_key + json.dumps([[c.split, sorted(c.labels.items())] for c in found.dataset.clips])
    text += json.dumps([[], ["kind"]]) if multilabel else ""
    assert found.content_key == hashlib.sha256(text.encode()).hexdigest()
