"""NSynth, Surge, VocalSound: labels, splits and quirks of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.published import cremad, nsynth, surge, vocalsound
from core.datasets.splits import own_splits
from core.errors import InputError
from tests.support.datasets_on_disk import LOADERS, copy, evar, parts_of, problems, read, splits, values
from tests.support.replicas_speech_music import REPLICAS


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A replica of each, to be read only."""
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in REPLICAS.items()}


# NSynth


def test_nsynth_labels_come_from_the_list(roots: dict[str, Path]) -> None:
    dataset = read("nsynth", roots["nsynth"])
    assert dataset.split_origin == "official"
    assert values(dataset, "family") == {"bass": 24, "guitar": 24, "synth_lead": 8}
    assert values(dataset, "octave") == {"3": 28, "4": 28}
    assert values(dataset, "pitch_class") == {"C": 28, "A": 28}
    assert dataset.classes("pitch") == ["48", "57", "60", "69"]
    assert dataset.classes("velocity") == ["50", "100"]
    assert values(dataset, "source") == {"acoustic": 24, "synthetic": 32}
    assert all(len(parts) == 1 for parts in parts_of(dataset, "instrument").values())
    assert problems(dataset) == {
        ("nsynth-train/audio/guitar_acoustic_001-061-127.wav", "is listed in examples.json, but not on disk"),
        ("nsynth-train/audio/guitar_acoustic_001-062-127.wav", "is not listed in examples.json"),
    }
    assert "nsynth: family synth_lead in train but not in test" in dataset.notes


def test_nsynth_without_the_list_reads_names(roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("nsynth", roots, tmp_path)
    for path in root.glob("*/examples.json"):
        path.unlink()
    (root / "nsynth-test" / "audio" / "kazoo_acoustic_000-060-050.wav").write_bytes(b"")
    dataset = read("nsynth", root)
    with_list = read("nsynth", roots["nsynth"])
    for split in ("valid", "test"):
        assert [c for c in dataset.clips if c.split == split] == [c for c in with_list.clips if c.split == split]
    assert problems(dataset) == {
        (
            "nsynth-test/audio/kazoo_acoustic_000-060-050.wav",
            "is not named as family_source_instrument-pitch-velocity.wav",
        )
    }
    assert sum("labels are from the names" in note for note in dataset.notes) == 3


def test_nsynth_of_one_part_is_listed(roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("nsynth", roots, tmp_path)
    for part in ("train", "valid"):
        shutil.rmtree(root / f"nsynth-{part}")
    assert LOADERS["nsynth"].recognise(root)
    dataset = read("nsynth", root)
    assert splits(dataset) == {"test": 16}
    assert dataset.problems == ()
    assert "nsynth: nsynth-train/audio is missing or empty" in dataset.notes


@pytest.mark.parametrize("text", ["{", "[]", '{"a": {"note": 1}}', '{"a": {"instrument_str": "x"}}', '{"a": 3}'])
def test_nsynth_broken_list_is_said(text: str, roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("nsynth", roots, tmp_path)
    (root / "nsynth-valid" / "examples.json").write_text(text)
    with pytest.raises(InputError, match="is not NSynth's list of notes"):
        read("nsynth", root)


@given(
    st.sampled_from(nsynth.FAMILIES.split("|")),
    st.sampled_from(("acoustic", "electronic", "synthetic")),
    st.integers(0, 999),
    st.integers(0, 127),
    st.integers(0, 127),
)
def test_nsynth_name_is_read_back(family: str, source: str, number: int, pitch: int, velocity: int) -> None:
    name = f"{family}_{source}_{number:03}-{pitch:03}-{velocity:03}"
    assert nsynth._from_names([name]) == {name: (f"{family}_{source}_{number:03}", family, source, pitch, velocity)}
    assert nsynth._from_names([f"{family}_{source}_{number:03}-{pitch + 128:03}-{velocity:03}"]) == {}


@given(st.text(max_size=40))
def test_junk_is_no_name_of_any(text: str) -> None:
    assert nsynth._from_names([text]) == {}
    assert cremad.NAME.fullmatch(text) is None
    assert vocalsound.NAME.fullmatch(text) is None
    assert surge.TONE.fullmatch(text) is None


# Surge


def test_surge_labels_come_from_folder_and_name(roots: dict[str, Path]) -> None:
    dataset = read("surge", roots["surge"])
    assert values(dataset, "pitch") == {"48": 15, "57": 16, "60": 16, "69": 16}
    assert values(dataset, "octave") == {"3": 31, "4": 32}
    assert values(dataset, "pitch_class") == {"C": 31, "A": 32}
    assert values(dataset, "source") == {"third party": 32, "factory": 31}
    assert len(dataset.classes("tone")) == 16
    reason = "is not named as tone/note.ogg with a MIDI note, 0 to 127"
    assert {(Path(path).name, told) for path, told in problems(dataset)} == {("loud.ogg", reason), ("128.ogg", reason)}
    assert "surge: 1 of 16 tones have fewer than 4 notes" in dataset.notes


def test_surge_evar_gives_each_tone_a_part(roots: dict[str, Path], tmp_path: Path) -> None:
    tones = read("surge", roots["surge"]).classes("tone")
    table = [f"{tone},{part}" for tone, part in zip(tones, ["valid", "test"] + ["train"] * 13, strict=False)]
    gone = "surge-patches-factory-Gone-velocity64"
    folder = evar(tmp_path, "predefined/dataset_surge_tone_splits.csv", "tone,split", *table, f"{gone},train")
    for given_folder in (folder, folder / "evar"):
        dataset = read("surge", roots["surge"], evar_dir=given_folder)
        assert dataset.split_origin == "EVAR"
        assert parts_of(dataset, "tone") == {line.split(",")[0]: {line.split(",")[1]} for line in table}
        assert (gone, "is listed in dataset_surge_tone_splits.csv, but not on disk") in problems(dataset)
        assert (tones[-1], "is not listed in dataset_surge_tone_splits.csv") in problems(dataset)


@given(st.integers(0, 400), st.integers(1, 4))
def test_surge_note_is_a_midi_number(number: int, digits: int) -> None:
    match = surge.NOTE.fullmatch(f"{number:0{digits}}")
    assert (match is not None) == (number < 128)
    assert match is None or int(match["pitch"]) == number


# VocalSound


def test_vocalsound_labels_come_from_name_and_speaker(roots: dict[str, Path]) -> None:
    dataset = read("vocalsound", roots["vocalsound"])
    assert dataset.split_origin == "official"
    assert values(dataset, "sound") == {
        "cough": 16, "laughter": 14, "sigh": 14, "sneeze": 14, "sniff": 14, "throatclearing": 14,
    }  # fmt: skip
    assert values(dataset, "gender") == {"female": 43, "male": 43}
    assert values(dataset, "age") == {"18-25": 31, "26-48": 30, "49-80": 24}
    assert values(dataset, "country") == {"USA": 43, "India, South": 42}
    assert values(dataset, "language") == {"English": 43, "Hindi": 42}
    assert values(dataset, "health") == {"no": 43, "yes": 42}
    assert all(len(parts) == 1 for parts in parts_of(dataset, "speaker").values())
    assert problems(dataset) == {
        ("data_44k/f0003_0_yawn.wav", "is not named as speaker_collection_sound.wav"),
        ("data_44k/f0003_2_cough.wav", "is listed in datafiles, but not on disk"),
        ("data_44k/f0003_3_cough.wav", "is not listed in datafiles"),
        ("data_44k/m0999_*", "has no row in meta/all_meta.csv: stays, without age, country, language and health"),
    }


def test_vocalsound_of_16k_with_plain_lists(roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("vocalsound", roots, tmp_path)
    (root / "data_44k").rename(root / "audio_16k")
    for part in ("tr", "val", "te"):
        (root / "datafiles" / f"{part}_rev.json").rename(root / "datafiles" / f"{part}.json")
    assert LOADERS["vocalsound"].recognise(root)
    dataset = read("vocalsound", root)
    assert splits(dataset) == {"train": 50, "valid": 18, "test": 18}
    assert dataset.clips[0].path.startswith("audio_16k/")


def test_vocalsound_without_lists_and_people(roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("vocalsound", roots, tmp_path)
    shutil.rmtree(root / "datafiles")
    shutil.rmtree(root / "meta")
    dataset = read("vocalsound", root)
    assert dataset.split_origin == "ours"
    assert len(dataset.clips) == 87
    assert {name for clip in dataset.clips for name in clip.labels} == {"sound", "gender", "speaker"}
    expected = own_splits(values(dataset, "speaker"), 0)
    assert all(clip.split == expected[clip.labels["speaker"]] for clip in dataset.clips)
    table = ("file_name,label,split", "audio_16k/f0003_0_cough.wav,Cough,test")
    with_evar = read("vocalsound", root, evar_dir=evar(tmp_path, "metadata/vocalsound.csv", *table))
    assert [(clip.path, clip.split) for clip in with_evar.clips] == [("data_44k/f0003_0_cough.wav", "test")]
    assert with_evar.split_origin == "EVAR"


@pytest.mark.parametrize("content", ["{", "[]", '{"data": [1]}', '{"data": [{"labels": "x"}]}'])
def test_vocalsound_broken_list_is_said(content: str, roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("vocalsound", roots, tmp_path)
    (root / "datafiles" / "val_rev.json").write_text(content)
    with pytest.raises(InputError, match=r"val_rev\.json is no list of VocalSound clips"):
        read("vocalsound", root)


@pytest.mark.parametrize(
    ("age", "group"),
    [("17", ""), ("18", "18-25"), ("25", "18-25"), ("26", "26-48"), ("48", "26-48"), ("49", "49-80"), ("80", "49-80"),
     ("81", ""), ("", ""), ("old", ""), ("-20", "")],
)  # fmt: skip
def test_vocalsound_age_groups(age: str, group: str) -> None:
    assert vocalsound.age_group(age) == group


@given(st.sampled_from("fm"), st.integers(0, 9999), st.integers(0, 12), st.sampled_from(["laughter", "sniff"]))
def test_vocalsound_name_is_read_back(sex: str, number: int, collection: int, sound: str) -> None:
    match = vocalsound.NAME.fullmatch(f"{sex}{number:04}_{collection}_{sound}.wav")
    assert match is not None
    assert match.groups() == (f"{sex}{number:04}", str(collection), sound)
