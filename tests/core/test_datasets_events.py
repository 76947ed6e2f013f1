"""ESC-50, GISE-51, UrbanSound8K, GTZAN, Speech Commands, FSD50K, TAU: each recognised and listed as it is on disk."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from core.datasets import find
from core.datasets.base import Dataset
from core.datasets.published.base import Options, Published
from core.datasets.published.esc50 import ESC50
from core.datasets.published.fsd50k import FSD50K
from core.datasets.published.gise51 import CLASS_OF, CLASSES, GISE51
from core.datasets.published.gtzan import GTZAN
from core.datasets.published.speech_commands import WORDS, SpeechCommands
from core.datasets.published.tau import TAU
from core.datasets.published.urbansound8k import UrbanSound8K
from core.datasets.scan import scan
from core.errors import InputError
from tests.support.replicas_events import REPLICAS, sound, table

LOADERS: dict[str, Published] = {
    loader.name: loader for loader in (ESC50(), GISE51(), UrbanSound8K(), GTZAN(), SpeechCommands(), FSD50K(), TAU())
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A replica of each, to be read only."""
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in REPLICAS.items()}


def read(name: str, root: Path, **options: object) -> Dataset:
    return LOADERS[name].read(root, Options(**options))  # type: ignore[arg-type]


def splits(dataset: Dataset) -> Counter[str]:
    return Counter(clip.split for clip in dataset.clips)


def values(dataset: Dataset, attribute: str) -> Counter[str]:
    return Counter(clip.labels[attribute] for clip in dataset.clips if attribute in clip.labels)


def problems(dataset: Dataset) -> list[tuple[str, str]]:
    return [(problem.path, problem.reason) for problem in dataset.problems]


# All of them


UNREADABLE = {
    "esc50": "audio/1-9001-A-0.wav",
    "gise51": "train/Dog/90.wav",
    "us8k": "audio/fold1/99-3-0-0.wav",
    "gtzan": "genres/jazz/jazz.00054.wav",
    "spcv2": "yes/0000ffff_nohash_0.wav",
    "fsd50k": "FSD50K.dev_audio/90.wav",
    "tau": "audio/bus-lyon-91-0-a.wav",
}
GOOD = {"esc50": 60, "gise51": 40, "us8k": 80, "gtzan": 28, "spcv2": 48, "fsd50k": 48, "tau": 30}


@pytest.mark.parametrize("name", LOADERS)
def test_every_listed_clip_opens_but_the_broken_one_which_is_named_once(
    name: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    dataset = read(name, roots[name])
    looked = scan(dataset, tmp_path / "scan.csv")
    assert [p.path for p in looked.problems if p not in dataset.problems] == [UNREADABLE[name]]
    assert len(looked.dataset.clips) == GOOD[name]
    named = [problem.path for problem in looked.problems]
    assert len(named) == len(set(named))
    assert not any("._" in path or ".DS_Store" in path for path in named)


@pytest.mark.parametrize("name", LOADERS)
def test_all_labels_are_attributes_and_groups_are_no_tasks(name: str, roots: dict[str, Path]) -> None:
    dataset = read(name, roots[name])
    assert {attribute for clip in dataset.clips for attribute in clip.labels} == set(dataset.attributes)
    assert not set(dataset.groups) & set(LOADERS[name].tasks)
    assert all(value for clip in dataset.clips for value in clip.labels.values())


@pytest.mark.parametrize("name", ["esc50", "us8k", "spcv2"])
def test_a_recording_or_a_speaker_is_in_one_part(name: str, roots: dict[str, Path]) -> None:
    dataset = read(name, roots[name])
    pairs = {(clip.labels[dataset.groups[0]], clip.split) for clip in dataset.clips}
    assert len(pairs) == len({group for group, _ in pairs}) < len(dataset.clips)


# Each


def test_esc50(roots: dict[str, Path]) -> None:
    dataset = read("esc50", roots["esc50"])
    assert dataset.tasks() == {"esc50": "category", "esc50-group": "group", "esc50-freesound_id": "freesound_id"}
    assert dataset.split_origin == "official"
    assert splits(dataset) == {"fold 1": 13, "fold 2": 12, "fold 3": 12, "fold 4": 12, "fold 5": 12}
    assert values(dataset, "category") == {
        "dog": 11, "rooster": 10, "rain": 10, "crying_baby": 10, "clock_alarm": 10, "helicopter": 10
    }  # fmt: skip
    assert {(clip.labels["category"], clip.labels["group"]) for clip in dataset.clips} == {
        ("dog", "animals"),
        ("rooster", "animals"),
        ("rain", "nature and water"),
        ("crying_baby", "human, not speech"),
        ("clock_alarm", "indoors"),
        ("helicopter", "outdoors and urban"),
    }
    clip = next(clip for clip in dataset.clips if clip.path == "audio/2-1020-B-0.wav")
    assert clip.labels == {"category": "dog", "group": "animals", "freesound_id": "1020"}
    assert problems(dataset) == [
        ("audio/2-9002-A-0.wav", "is listed in meta/esc50.csv, but not on disk"),
        ("audio/5-9007-A-0.wav", "is not listed in meta/esc50.csv"),
        ("audio/3-9003-A-0.wav", "has no category in meta/esc50.csv"),
        ("audio/6-9004-A-0.wav", "has the fold '6' in meta/esc50.csv; expected 1 to 5"),
        ("audio/4-9005-A-50.wav", "has the target '50' in meta/esc50.csv; expected 0 to 49"),
        ("audio/5-9006-A-10.wav", "is a Git LFS pointer, not audio"),
    ]
    assert "esc50: 61 clips found, 2,000 published" in dataset.unexpected
    assert dataset.entropy_rate == 0.02


def test_esc50_of_other_columns_is_told(tmp_path: Path) -> None:
    table(tmp_path / "meta" / "esc50.csv", [("filename", "label"), ("a.wav", "dog")])
    with pytest.raises(InputError, match=r"esc50\.csv has no column 'fold'"):
        read("esc50", tmp_path)


def test_gise51(roots: dict[str, Path]) -> None:
    dataset = read("gise51", roots["gise51"])
    assert dataset.split_origin == "official"
    assert splits(dataset) == {"train": 21, "valid": 8, "test": 12}
    assert values(dataset, "event") == {"Coin_(dropping)": 10, "Dog": 11, "Hi-hat": 10, "Zipper_(clothing)": 10}
    of_path = {clip.path: clip.labels for clip in dataset.clips}
    assert of_path["train/Zipper/116.wav"] == {"event": "Zipper_(clothing)", "freesound_id": "116"}
    assert of_path["val/Dog/take_two.wav"] == {"event": "Dog"}
    assert problems(dataset) == [
        ("train/Kazoo", "is the folder of no class of GISE-51; files left out: 1"),
        ("eval", "is the folder of no class of GISE-51; files left out: 1"),
    ]
    assert dataset.entropy_rate == 0.02


def test_gise51_with_one_part_only(tmp_path: Path) -> None:
    root = REPLICAS["gise51"](tmp_path)
    for part in ("train", "eval"):
        shutil.rmtree(root / part)
    assert LOADERS["gise51"].recognise(root)
    dataset = read("gise51", root)
    assert splits(dataset) == {"valid": 8}
    for part in ("train", "eval"):
        assert f"gise51: {part} is not there; its clips are left out" in dataset.notes


def test_gise51_without_parts_gets_a_seeded_split_of_ours(tmp_path: Path) -> None:
    root = tmp_path / "isolated_events"
    for i in range(30):
        sound(root / "Dog" / f"{i}.wav", 0, i, seconds=0.01)
    sound(root / "old" / "Dog" / "99.wav", 0, 0, seconds=0.01)
    assert LOADERS["gise51"].recognise(root)
    first, second, other = (read("gise51", root, seed=seed) for seed in (0, 0, 1))
    assert first.split_origin == "ours"
    assert set(splits(first)) == {"train", "valid", "test"}
    assert first.clips == second.clips != other.clips
    assert first.clips[0].labels == {"event": "Dog", "freesound_id": "0"}
    assert problems(first) == [("old/Dog", "is the folder of no class of GISE-51; files left out: 1")]


def test_gise51_under_another_name_needs_many_of_its_classes(tmp_path: Path) -> None:
    for i, event in enumerate(CLASSES.split()[:20]):
        assert not LOADERS["gise51"].recognise(tmp_path)
        (tmp_path / "train" / event).mkdir(parents=True)
        assert LOADERS["gise51"].recognise(tmp_path) == (i == 19)


def test_gise51_has_51_classes_with_and_without_brackets() -> None:
    assert len(set(CLASSES.split())) == 51
    assert set(CLASS_OF.values()) == set(CLASSES.split())
    assert len(CLASS_OF) == 54
    assert {folder: CLASS_OF[folder] for folder in ("Coin", "Rattle", "Zipper", "Zipper_(clothing)")} == {
        "Coin": "Coin_(dropping)",
        "Rattle": "Rattle_(instrument)",
        "Zipper": "Zipper_(clothing)",
        "Zipper_(clothing)": "Zipper_(clothing)",
    }


def test_urbansound8k(roots: dict[str, Path]) -> None:
    dataset = read("us8k", roots["us8k"])
    assert dataset.split_origin == "official"
    assert splits(dataset) == {f"fold {k}": 9 if k == 1 else 8 for k in range(1, 11)}
    assert values(dataset, "class") == {"air_conditioner": 20, "car_horn": 20, "dog_bark": 21, "siren": 20}
    assert values(dataset, "salience") == {"foreground": 41, "background": 40}
    assert dataset.tasks() == {"us8k": "class", "us8k-salience": "salience", "us8k-freesound_id": "freesound_id"}
    clip = next(clip for clip in dataset.clips if clip.path == "audio/fold10/10003-8-0-1.wav")
    assert clip.labels == {"class": "siren", "salience": "background", "freesound_id": "10003"}
    assert problems(dataset) == [
        ("audio/fold2/98-3-0-0.wav", "is listed in metadata/UrbanSound8K.csv, but not on disk"),
        ("audio/fold4/96-3-0-0.wav", "is not listed in metadata/UrbanSound8K.csv"),
        ("audio/fold3/97-3-0-0.wav", "has no class in metadata/UrbanSound8K.csv"),
    ]


def test_urbansound8k_without_some_folds_and_laid_flat(tmp_path: Path) -> None:
    root = REPLICAS["us8k"](tmp_path)
    whole = read("us8k", root)
    for fold in root.glob("audio/fold*"):
        fold.rename(root / fold.name)
    (root / "metadata" / "UrbanSound8K.csv").rename(root / "UrbanSound8K.csv")
    (root / "audio").rmdir()
    assert LOADERS["us8k"].recognise(root)
    flat = read("us8k", root)
    assert [(f"audio/{clip.path}", clip.split, clip.labels) for clip in flat.clips] == [
        (clip.path, clip.split, clip.labels) for clip in whole.clips
    ]
    shutil.rmtree(root / "fold7")
    part = read("us8k", root)
    assert len(part.clips) == 73
    assert ("fold7", "holds none of the 8 files listed in UrbanSound8K.csv") in problems(part)


def test_urbansound8k_by_evars_table_where_its_own_is_not_there(tmp_path: Path) -> None:
    root = REPLICAS["us8k"](tmp_path)
    whole = read("us8k", root)
    rows = [(clip.path, clip.labels["class"], clip.split.removeprefix("fold ")) for clip in whole.clips]
    table(tmp_path / "EVAR" / "metadata" / "us8k.csv", [("file_name", "label", "fold"), *rows])
    shutil.rmtree(root / "metadata")
    with pytest.raises(InputError, match="this may be UrbanSound8K without metadata/UrbanSound8K.csv"):
        find([root])
    (dataset,) = find([root], Options(evar_dir=tmp_path / "EVAR"))
    assert [(c.path, c.split, c.labels["class"], c.labels["freesound_id"]) for c in dataset.clips] == [
        (c.path, c.split, c.labels["class"], c.labels["freesound_id"]) for c in whole.clips
    ]
    assert not values(dataset, "salience")
    assert "us8k: its own table is not there; classes are EVAR's, which knows no salience" in dataset.notes
    others = tmp_path / "others"
    sound(others / "fold1" / "a.wav", 0, 0)
    sound(others / "fold2" / "b.wav", 0, 0)
    with pytest.raises(InputError, match="look like folds"):
        find([others], Options(evar_dir=tmp_path / "EVAR"))


def test_fsd50k_by_evars_table_where_its_own_are_not_there(tmp_path: Path) -> None:
    root = REPLICAS["fsd50k"](tmp_path)
    whole = read("fsd50k", root)
    rows = [(clip.path, clip.labels["label"], clip.split) for clip in whole.clips]
    table(tmp_path / "EVAR" / "evar" / "metadata" / "fsd50k.csv", [("file_name", "label", "split"), *rows])
    shutil.rmtree(root / "FSD50K.ground_truth")
    with pytest.raises(InputError, match="this may be FSD50K without FSD50K.ground_truth/"):
        find([root])
    (dataset,) = find([root], Options(evar_dir=tmp_path / "EVAR"))
    assert dataset.clips == whole.clips
    assert "fsd50k: its own tables are not there; labels and split are EVAR's" in dataset.notes
    assert ("FSD50K.eval_audio/93.wav", "is not listed in EVAR's fsd50k.csv") in problems(dataset)


def test_sound_of_a_kind_that_is_not_read_is_told_as_that(tmp_path: Path) -> None:
    root = REPLICAS["esc50"](tmp_path)
    (root / "audio" / "2-1020-B-0.wav").rename(root / "audio" / "2-1020-B-0.m4a")
    dataset = read("esc50", root)
    assert len(dataset.clips) == 60
    assert ("audio/2-1020-B-0.m4a", "is of a kind that is not read; convert it to WAV or FLAC") in problems(dataset)
    for file in list((root / "audio").glob("*.wav")):
        file.rename(file.with_suffix(".M4A"))
    with pytest.raises(InputError, match=r"esc50 in .*: each of its \d\d files is of a kind that is not read"):
        read("esc50", root)


def test_tau(roots: dict[str, Path]) -> None:
    dataset = read("tau", roots["tau"])
    assert dataset.split_origin == "official"
    assert splits(dataset) == {"train": 19, "test": 12}
    assert values(dataset, "scene") == {"airport": 10, "bus": 11, "park": 10}
    assert values(dataset, "city") == {"lisbon": 15, "lyon": 16}
    assert dataset.tasks() == {"tau": "scene", "tau-city": "city", "tau-device": "device", "tau-recording": "recording"}
    clip = next(clip for clip in dataset.clips if clip.path == "audio/bus-lyon-11-7-b.wav")
    assert (clip.split, dict(clip.labels)) == (
        "test", {"scene": "bus", "city": "lyon", "device": "b", "recording": "lyon-11"}
    )  # fmt: skip
    assert ("audio/bus-lyon-90-0-a.wav", "is listed in meta.csv, but not on disk") in problems(dataset)
    assert ("audio/park-lyon-22-11-b.wav", "is in neither list of evaluation_setup") in problems(dataset)


def test_tau_without_its_fold_is_split_by_place(tmp_path: Path) -> None:
    root = REPLICAS["tau"](tmp_path)
    shutil.rmtree(root / "evaluation_setup")
    dataset = read("tau", root)
    assert (dataset.split_origin, len(dataset.clips)) == ("ours", 37)
    pairs = {(clip.labels["recording"], clip.split) for clip in dataset.clips}
    assert len(pairs) == len({place for place, _ in pairs})
    assert any("split by place" in note for note in dataset.notes)


def test_gtzan(roots: dict[str, Path]) -> None:
    dataset = read("gtzan", roots["gtzan"])
    assert dataset.split_origin == "official"
    assert splits(dataset) == {"train": 17, "valid": 4, "test": 8}
    assert values(dataset, "genre") == {"blues": 7, "classical": 7, "jazz": 8, "rock": 7}
    assert {Path(clip.path).suffix for clip in dataset.clips if clip.labels["genre"] == "rock"} == {".au"}
    assert problems(dataset) == [
        ("genres/blues/track one.wav", "is not named as blues.00000.wav"),
        ("genres/blues/blues.00000.au", "is the same track as genres/blues/blues.00000.wav"),
        ("classical.00099", "is listed in the fault-filtered lists, but not on disk"),
    ]
    assert (
        "gtzan: 4 tracks are in no part of the split and left out: blues 00007, classical 00007, jazz 00007, rock 00007"
    ) in dataset.notes
    assert "gtzan: split by the fault-filtered lists" in dataset.notes
    assert "gtzan: 33 tracks found, 1,000 published" in dataset.notes


@pytest.mark.parametrize("layout", ["", "genres_original"])
def test_gtzan_in_other_folders(layout: str, tmp_path: Path) -> None:
    root = REPLICAS["gtzan"](tmp_path)
    before = read("gtzan", root)
    if layout:
        (root / "genres").rename(root / layout)
    else:
        for genre in list((root / "genres").iterdir()):
            genre.rename(root / genre.name)
        (root / "genres").rmdir()
    assert LOADERS["gtzan"].recognise(root)
    after = read("gtzan", root)
    assert [clip.path for clip in after.clips] == [
        clip.path.replace("genres/", f"{layout}/" if layout else "") for clip in before.clips
    ]
    assert [clip.split for clip in after.clips] == [clip.split for clip in before.clips]


def without_lists(root: Path) -> dict[str, str]:
    """Take the lists away; what they said, by name."""
    lists = {path.name: path.read_text() for path in root.glob("*_filtered.txt")}
    for name in lists:
        (root / name).unlink()
    return lists


def test_gtzan_without_lists_is_split_by_track(tmp_path: Path) -> None:
    root = REPLICAS["gtzan"](tmp_path)
    without_lists(root)
    first, again, other = (read("gtzan", root, seed=seed) for seed in (0, 0, 1))
    assert first.split_origin == "ours"
    assert first.clips == again.clips != other.clips
    assert len(first.clips) == 33
    assert any(note.startswith("gtzan: split by a hash of the track") for note in first.notes)
    # A track's part does not depend on which other tracks are there.
    (root / "genres" / "blues" / "blues.00000.wav").unlink()
    rest = {clip.labels["track"]: clip.split for clip in read("gtzan", root).clips}
    assert rest == {clip.labels["track"]: clip.split for clip in first.clips}


def test_gtzan_with_lists_or_table_in_the_evar_folder(tmp_path: Path) -> None:
    root = REPLICAS["gtzan"](tmp_path)
    official = read("gtzan", root)
    lists = without_lists(root)
    evar = tmp_path / "evar-repo"
    rows = [("file_name", "label", "split"), ("blues/blues.00000.wav", "blues", "test")]
    rows += [("polka/polka.00000.wav", "polka", "train")]
    rows += [(f"rock/rock.0000{i}.wav", "rock", ("train", "valid", "")[i]) for i in range(3)]
    table(evar / "evar" / "metadata" / "gtzan.csv", rows)
    dataset = read("gtzan", root, evar_dir=evar)
    assert dataset.split_origin == "EVAR"
    assert [(clip.labels["track"], clip.split) for clip in dataset.clips] == [
        ("blues.00000", "test"),
        ("rock.00000", "train"),
        ("rock.00001", "valid"),
    ]
    assert "" not in {problem.path for problem in dataset.problems}
    for name, text in lists.items():
        (evar / name).write_text(text)
    assert read("gtzan", root, evar_dir=evar).clips == official.clips


def test_gtzan_with_some_of_the_lists_or_wrong_ones_is_told(tmp_path: Path) -> None:
    root = REPLICAS["gtzan"](tmp_path)
    (root / "train_filtered.txt").write_text("blues/one.wav\n")
    with pytest.raises(InputError, match="train_filtered.txt is no list of tracks; expected lines such as blues/"):
        read("gtzan", root)
    (root / "train_filtered.txt").unlink()
    with pytest.raises(InputError, match="valid_filtered.txt is there, but not all of train_filtered.txt"):
        read("gtzan", root)


def test_speech_commands(roots: dict[str, Path]) -> None:
    dataset = read("spcv2", roots["spcv2"])
    assert dataset.split_origin == "official"
    assert splits(dataset) == {"train": 31, "valid": 10, "test": 8}
    assert values(dataset, "word") == {"no": 10, "up": 10, "yes": 19, "zero": 10}
    assert len(values(dataset, "speaker")) == 11
    assert problems(dataset) == [
        ("yes/yes again.wav", "is not named as speaker_nohash_number.wav"),
        ("up/0000eeee_nohash_0.wav", "is listed in testing_list.txt, but not on disk"),
    ]
    assert "spcv2: 4 values of word found, 35 published" in dataset.unexpected
    assert len(WORDS.split()) == 35


def test_speech_commands_without_a_list_is_told(tmp_path: Path) -> None:
    root = REPLICAS["spcv2"](tmp_path)
    (root / "testing_list.txt").unlink()
    assert LOADERS["spcv2"].recognise(root)
    with pytest.raises(InputError, match=r"testing_list\.txt cannot be read as a list"):
        read("spcv2", root)


def test_fsd50k(roots: dict[str, Path]) -> None:
    dataset = read("fsd50k", roots["fsd50k"])
    assert dataset.split_origin == "official"
    assert dataset.multilabel == ("label",)
    assert splits(dataset) == {"train": 25, "valid": 8, "test": 16}
    clip = next(clip for clip in dataset.clips if clip.path == "FSD50K.dev_audio/101.wav")
    assert clip.labels == {"label": "Bark,Dog,Animal", "freesound_id": "101"}
    assert problems(dataset) == [
        ("FSD50K.dev_audio/91.wav", "is listed in FSD50K.ground_truth/dev.csv, but not on disk"),
        ("FSD50K.dev_audio/92.wav", "has no label in FSD50K.ground_truth/dev.csv"),
        ("FSD50K.dev_audio/94.wav", "has the split 'maybe' in FSD50K.ground_truth/dev.csv; expected train or val"),
        ("FSD50K.eval_audio/93.wav", "is not listed in FSD50K.ground_truth/eval.csv"),
    ]
    # Every clip of a class has the classes above it too, so that what nests is found among the clips.
    labels = [set(clip.labels["label"].split(",")) for clip in dataset.clips]
    for above, below in (("Music", ("Acoustic_guitar", "Guitar", "Piano")), ("Animal", ("Bark", "Cat", "Dog"))):
        assert all(above in of for of in labels if of & set(below))
        assert sum(above in of for of in labels) > max(sum(name in of for of in labels) for name in below)


@pytest.mark.parametrize(("there", "absent", "n"), [("dev", "eval", 33), ("eval", "dev", 16)])
def test_fsd50k_with_one_of_its_parts(there: str, absent: str, n: int, tmp_path: Path) -> None:
    root = REPLICAS["fsd50k"](tmp_path)
    shutil.rmtree(root / f"FSD50K.{absent}_audio")
    assert LOADERS["fsd50k"].recognise(root)
    dataset = read("fsd50k", root)
    assert len(dataset.clips) == n
    assert f"fsd50k: FSD50K.{absent}_audio is not there; its clips are left out" in dataset.notes
    assert not any(absent in problem.path for problem in dataset.problems)
    (root / "FSD50K.ground_truth" / f"{there}.csv").unlink()
    with pytest.raises(InputError, match=f"{there}.csv is not; unpack FSD50K.ground_truth beside it"):
        read("fsd50k", root)


@pytest.mark.parametrize("audio", ["audio/audio", "audio"])
def test_esc50_as_kaggle_unpacks_it(roots: dict[str, Path], tmp_path: Path, audio: str) -> None:
    original = ESC50().read(roots["esc50"], Options())
    shutil.copytree(roots["esc50"] / "audio", tmp_path / audio)
    shutil.copy(roots["esc50"] / "meta" / "esc50.csv", tmp_path / "esc50.csv")
    assert ESC50().recognise(tmp_path)
    found = ESC50().read(tmp_path, Options())
    assert [(clip.path.rpartition("/")[2], clip.split, dict(clip.labels)) for clip in found.clips] == [
        (clip.path.rpartition("/")[2], clip.split, dict(clip.labels)) for clip in original.clips
    ]
