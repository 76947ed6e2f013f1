"""VoxForge, VoxCeleb1, CREMA-D, NSynth, Surge, VocalSound: each recognised and listed as it is on disk."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.datasets.files import mismatches
from core.datasets.published import cremad, nsynth, voxceleb1, voxforge
from core.datasets.scan import scan
from core.errors import InputError
from core.results import Problem
from tests.support.datasets_on_disk import LOADERS, copy, evar, parts_of, problems, read, splits, values
from tests.support.replicas_speech_music import REPLICAS, tone


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A replica of each, to be read only."""
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in REPLICAS.items()}


# All of them


SIZES = {
    "voxforge": (42, 12, 25),
    "vc1": (53, 13, 26),
    "cremad": (58, 29, 56),
    "nsynth": (24, 16, 16),
    "surge": (32, 16, 15),
    "vocalsound": (50, 18, 18),
    "commonvoice": (17, 8, 8),
}
UNREADABLE = {
    "voxforge": r"de/despeaker\d+-20100\d01-abc/wav/de-99\.wav",
    "vc1": r"wav/id10001/video0_0/00099\.wav",
    "cremad": r"AudioWAV/1001_IOM_SAD_XX\.wav",
    "nsynth": r"nsynth-train/audio/guitar_acoustic_001-060-100\.wav",
    "surge": r"surge-patches-factory-.*/69\.ogg",
    "vocalsound": r"data_44k/f0003_1_cough\.wav",
    "commonvoice": r"de/clips/common_voice_de_92\.mp3",
}


@pytest.mark.parametrize("name", LOADERS)
def test_every_clip_can_be_read_but_the_broken_one(name: str, roots: dict[str, Path], tmp_path: Path) -> None:
    dataset = read(name, roots[name])
    assert tuple(splits(dataset)[part] for part in ("train", "valid", "test")) == SIZES[name]
    scanned = scan(dataset, tmp_path / "cache.csv")
    found_later = scanned.problems[len(dataset.problems) :]
    assert len(found_later) == 1
    assert re.fullmatch(UNREADABLE[name], found_later[0].path)
    assert len({problem.path for problem in scanned.problems}) == len(scanned.problems)
    assert not any("._" in clip.path for clip in dataset.clips)


@pytest.mark.parametrize("name", LOADERS)
def test_every_class_can_be_probed(name: str, roots: dict[str, Path]) -> None:
    dataset = read(name, roots[name])
    for attribute in LOADERS[name].tasks:
        own = dataset.split_of.get(attribute, tuple(clip.split for clip in dataset.clips))
        counts = Counter((clip.labels.get(attribute), split) for clip, split in zip(dataset.clips, own, strict=True))
        for value in dataset.classes(attribute):
            in_parts = [counts[value, part] for part in ("train", "valid", "test")]
            assert all(n >= least for n, least in zip(in_parts, (4, 1, 2), strict=True)) or value == "synth_lead"


@pytest.mark.parametrize(("name", "group"), [("voxforge", "speaker"), ("cremad", "actor"), ("surge", "tone")])
def test_our_split_is_by_group_and_follows_the_seed(name: str, group: str, roots: dict[str, Path]) -> None:
    first, again, other = (read(name, roots[name], seed=seed) for seed in (0, 0, 1))
    assert first.split_origin == "ours"
    assert first.clips == again.clips
    assert first.clips != other.clips
    assert all(len(parts) == 1 for parts in parts_of(other, group).values())


# VoxForge


def test_voxforge_language_comes_from_folder_tree_list_or_readme(roots: dict[str, Path]) -> None:
    dataset = read("voxforge", roots["voxforge"])
    assert values(dataset, "language") == {"de": 23, "en": 14, "ru": 14, "fr": 14, "it": 14}
    assert values(dataset, "language_family") == {"Germanic": 37, "Romance": 28, "Slavic": 14}
    # The README of the Russian ones says English: the list of addresses comes first.
    told = {(clip.labels["archive"][:2], clip.labels["language"]) for clip in dataset.clips}
    assert told == {("an", "de"), ("de", "de"), ("en", "en"), ("ru", "ru"), ("fr", "fr"), ("it", "it")}
    assert sum(clip.path.endswith(".flac") for clip in dataset.clips) == 2
    assert problems(dataset) == {
        ("stray/a.wav", "lies in no folder named speaker-date-code"),
        ("lost-20100101-abc", "is of no known language"),
    }
    assert "voxforge: 79 clips found, 176,428 published" in dataset.unexpected


def test_voxforge_anonymous_is_not_one_speaker(roots: dict[str, Path]) -> None:
    dataset = read("voxforge", roots["voxforge"])
    speakers = {clip.labels["speaker"] for clip in dataset.clips if "anonymous" in clip.path}
    assert speakers == {f"anonymous-2011010{i}-x{i}" for i in range(4)}
    assert all(re.fullmatch(r"(anonymous-.*|[a-z]{2}speaker\d+)", name) for name in values(dataset, "speaker"))


def test_voxforge_evar_tells_language_and_part_of_an_archive(roots: dict[str, Path], tmp_path: Path) -> None:
    folder = evar(
        tmp_path, "metadata/voxforge.csv",
        "file_name,label,split",
        "lost-20100101-abc/wav/a.wav,es,valid",
        "anonymous-20110100-x0/wav/de-00.wav,de,test",
        "gone-20100101-abc/wav/a.wav,en,train",
    )  # fmt: skip
    dataset = read("voxforge", roots["voxforge"], evar_dir=folder)
    assert dataset.split_origin == "EVAR"
    assert {(clip.labels["archive"], clip.labels["language"], clip.split) for clip in dataset.clips} == {
        ("lost-20100101-abc", "es", "valid"),
        ("anonymous-20110100-x0", "de", "test"),
    }
    table = "EVAR's voxforge.csv"
    assert ("gone-20100101-abc", f"is listed in {table}, but not on disk") in problems(dataset)
    assert ("anonymous-20110101-x1", f"is not listed in {table}") in problems(dataset)


def test_voxforge_without_any_language_says_what_to_do(tmp_path: Path) -> None:
    tone(tmp_path / "me-20100101-abc" / "wav" / "a.wav", 200, 0)
    assert LOADERS["voxforge"].recognise(tmp_path)
    with pytest.raises(InputError, match="no language known for any of 1 archives; unpack each language into a folder"):
        read("voxforge", tmp_path)


def test_voxforge_as_wget_leaves_it_is_recognised(tmp_path: Path) -> None:
    tone(tmp_path / "it" / "Trunk" / "Audio" / "Main" / "me-20100101-abc" / "wav" / "a.wav", 200, 0)
    assert LOADERS["voxforge"].recognise(tmp_path)
    assert values(read("voxforge", tmp_path), "language") == {"it": 1}


@given(st.text("ab-_1é", min_size=1, max_size=12), st.dates(), st.text("abc", min_size=1, max_size=3))
def test_voxforge_archive_gives_the_speaker(speaker: str, day: object, code: str) -> None:
    name = f"{speaker}-{str(day).replace('-', '')}-{code}"
    assert voxforge._speaker(f"de/{name}") == speaker
    assert voxforge._speaker(f"anonymous-20100101-{code}") == f"anonymous-20100101-{code}"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Language: EN", "EN"),
        (" language:\tru\r\n", "ru"),
        ("Language: PT_BR", "PT"),
        ("Language: English", ""),
        ("", ""),
    ],
)
def test_voxforge_readme(text: str, language: str, tmp_path: Path) -> None:
    (tmp_path / "README").write_text(f"User Name:x\n{text}\nGender: Male\n", encoding="utf-8-sig")
    assert voxforge._readme_language(tmp_path / "README") == language
    assert voxforge._readme_language(tmp_path / "none") == ""


# VoxCeleb1


def test_voxceleb1_labels_are_those_of_the_speaker(roots: dict[str, Path]) -> None:
    dataset = read("vc1", roots["vc1"])
    assert dataset.split_origin == "official"
    assert values(dataset, "nationality") == {"USA": 43, "Norway": 35, "France": 7}
    assert values(dataset, "gender") == {"male": 43, "female": 42}
    assert values(dataset, "nationality_by_speaker") == {"USA": 43, "Norway": 35}
    assert len(dataset.classes("speaker")) == 13
    assert dataset.task("gender_by_speaker") == "vc1-gender-speakers"
    assert problems(dataset) == {
        ("wav/id10001/00001.wav", "is not named as speaker/video/clip.wav"),
        ("iden_split.txt", "the line '4 id10001/video0_0/00000.wav' is not 1, 2 or 3 and speaker/video/clip.wav"),
        ("wav/id10001/video0_0/00077.wav", "is listed in iden_split.txt, but not on disk"),
        ("wav/id10001/video0_0/00088.wav", "is not listed in iden_split.txt"),
        ("id10013", "has no row in vox1_meta.csv: stays, without gender and nationality"),
    }
    assert "vc1: 1 speakers in iden_split.txt have nothing on disk" in dataset.notes
    assert "Name" not in repr(dataset)


def test_voxceleb1_speakers_are_shared_by_the_official_split_only(roots: dict[str, Path]) -> None:
    dataset = read("vc1", roots["vc1"])
    everywhere = {"train", "valid", "test"}
    assert all(parts == everywhere for parts in parts_of(dataset, "speaker").values())
    for attribute in ("gender_by_speaker", "nationality_by_speaker"):
        own = dataset.split_of[attribute]
        assert all(len(parts) == 1 for parts in parts_of(dataset, "speaker", own).values())
        of_classes = parts_of(dataset, attribute, own)
        assert all(of_classes[value] == everywhere for value in dataset.classes(attribute))
    assert read("vc1", roots["vc1"], seed=1).split_of != dataset.split_of


def test_voxceleb1_norway_is_france_when_asked_only(roots: dict[str, Path]) -> None:
    dataset = read("vc1", roots["vc1"], remap={"Norway": "France"})
    assert values(dataset, "nationality") == {"USA": 43, "France": 42}
    assert values(dataset, "nationality_by_speaker") == {"USA": 43, "France": 42}
    for told in (dataset, read("vc1", roots["vc1"])):
        assert sum("Norway in vox1_meta.csv stands mostly for people from France" in note for note in told.notes) == 1


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_voxceleb1_metadata_may_lie_beside_wav_and_in_two_archives(delimiter: str, tmp_path: Path) -> None:
    for part, speaker in (("dev", "id10001"), ("test", "id10270")):
        tone(tmp_path / part / "wav" / speaker / "v" / "00001.wav", 200, 0)
    rows = ["VoxCeleb1 ID,VGGFace1 ID,Gender,Nationality,Set", '"id10001", A, m, "UK" ,dev', "id10270,B,f,USA,test"]
    (tmp_path / "test" / "vox1_meta.csv").write_text("\n".join(rows).replace(",", delimiter))
    (tmp_path / "dev" / "iden_split.txt").write_text("1 id10001/v/00001.wav\n3 id10270/v/00001.wav\n")
    assert LOADERS["vc1"].recognise(tmp_path)
    found = {(c.path, c.split, c.labels["gender"], c.labels["nationality"]) for c in read("vc1", tmp_path).clips}
    assert found == {
        ("dev/wav/id10001/v/00001.wav", "train", "male", "UK"),
        ("test/wav/id10270/v/00001.wav", "test", "female", "USA"),
    }


def test_voxceleb1_without_metadata_lists_speakers(roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("vc1", roots, tmp_path)
    (root / "vox1_meta.csv").unlink()
    (root / "iden_split.txt").unlink()
    dataset = read("vc1", root)
    assert dataset.split_origin == "ours"
    assert all(len(parts) == 1 for parts in parts_of(dataset, "video").values())
    assert set(dataset.clips[0].labels) == {"speaker", "video"}
    assert any("no vox1_meta.csv" in note for note in dataset.notes)
    table = ("file_name,label,split", "wav/id10001/video0_0/00000.wav,id10001,test")
    with_evar = read("vc1", root, evar_dir=evar(tmp_path, "metadata/vc1.csv", *table))
    assert with_evar.split_origin == "EVAR"
    assert [(clip.path, clip.split) for clip in with_evar.clips] == [("wav/id10001/video0_0/00000.wav", "test")]


def test_voxceleb1_table_without_nationality_is_said(roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("vc1", roots, tmp_path)
    (root / "vox1_meta.csv").write_text("VoxCeleb1 ID\tGender\nid10001\tm\n")
    with pytest.raises(InputError, match=r"vox1_meta\.csv has no column 'Nationality'"):
        read("vc1", root)


def test_voxceleb2_is_not_voxceleb1(tmp_path: Path) -> None:
    tone(tmp_path / "wav" / "id00012" / "v" / "00001.wav", 200, 0)
    assert not LOADERS["vc1"].recognise(tmp_path)


@given(st.dictionaries(st.integers(10_001, 11_251).map("id{}".format), st.sampled_from("abc")), st.integers(0, 3))
def test_split_within_gives_each_class_its_share(classes: dict[str, str], seed: int) -> None:
    parts = voxceleb1.split_within(classes, seed)
    assert parts.keys() == classes.keys()
    for value, n in Counter(classes.values()).items():
        sizes = Counter(part for speaker, part in parts.items() if classes[speaker] == value)
        if n < 3:
            assert sizes == {"train": n}
        else:
            assert sizes["valid"] >= 1 and sizes["test"] >= 1 and sizes["train"] >= 0.5 * n - 1
            assert abs(sizes["test"] - 0.2 * n) < 1
    assert voxceleb1.split_within(dict(reversed(classes.items())), seed) == parts


# CREMA-D


def test_cremad_labels_come_from_name_and_actor(roots: dict[str, Path]) -> None:
    dataset = read("cremad", roots["cremad"])
    assert values(dataset, "gender") == {"female": 71, "male": 71}
    assert values(dataset, "age") == {"20s": 71, "40s": 71}
    assert values(dataset, "race") == {"Caucasian": 71, "African American": 70}  # and one "Unknown"
    assert values(dataset, "ethnicity") == {"Not Hispanic": 71, "Hispanic": 71}
    assert values(dataset, "level") == {"LO": 10, "MD": 10, "HI": 10}
    assert values(dataset, "sentence")["IEO"] == 30
    assert set(values(dataset, "emotion")) == {"ANG", "DIS", "FEA", "HAP", "NEU", "SAD"}
    short = next(clip for clip in dataset.clips if clip.path.endswith("_TSI_SAD_X.wav"))
    assert "level" not in short.labels
    assert problems(dataset) == {
        ("AudioWAV/1001_XYZ_ANG_XX.wav", "is not named as actor_sentence_emotion_level"),
        ("AudioWAV/1001_WSI_HAP_XX.wav", "is a Git LFS pointer, not audio; run 'git lfs pull' in its repository"),
        ("AudioWAV/1091_*", "has no row in VideoDemographics.csv: stays, without gender, age, race and ethnicity"),
    }
    assert any(note.startswith("cremad: 1 files are Git LFS pointers") for note in dataset.notes)


def test_cremad_evar_gives_each_actor_a_part(roots: dict[str, Path], tmp_path: Path) -> None:
    actors = sorted(values(read("cremad", roots["cremad"]), "actor"))
    parts = dict(zip(actors, ["test", "valid"] + ["train"] * (len(actors) - 3), strict=False))
    table = [f"{actor}_DFA_ANG_XX.wav,ANG,{actor},{part}" for actor, part in parts.items()]
    folder = evar(tmp_path, "metadata/cremad.csv", "file_name,label,speaker_id,split", *table)
    dataset = read("cremad", roots["cremad"], evar_dir=folder)
    assert dataset.split_origin == "EVAR"
    assert parts_of(dataset, "actor") == {actor: {part} for actor, part in parts.items()}
    left_out = {
        path for path, reason in problems(dataset) if reason == "is by an actor who is not in EVAR's cremad.csv"
    }
    assert left_out == {f"AudioWAV/{actors[-1]}_DFA_ANG_XX.wav"}


def test_cremad_flat_and_without_actors(roots: dict[str, Path], tmp_path: Path) -> None:
    flat = Path(shutil.copytree(roots["cremad"] / "AudioWAV", tmp_path / "cremad"))
    assert LOADERS["cremad"].recognise(flat)
    dataset = read("cremad", flat)
    assert len(dataset.clips) == 143
    assert values(dataset, "emotion") == values(read("cremad", roots["cremad"]), "emotion")
    assert not values(dataset, "gender")
    assert any("no VideoDemographics.csv beside the sound" in note for note in dataset.notes)


@given(
    st.integers(1001, 1091),
    st.sampled_from(["IEO", "DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"]),
    st.sampled_from(["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]),
    st.sampled_from(["LO", "MD", "HI", "XX", "X"]),
)
def test_cremad_name_is_read_back(actor: int, sentence: str, emotion: str, level: str) -> None:
    match = cremad.NAME.fullmatch(f"{actor}_{sentence}_{emotion}_{level}")
    assert match is not None
    assert match.groups() == (str(actor), sentence, emotion, level)
    labels = cremad._labels(match, {})
    assert labels["level"] == ("" if "X" in level else level)


# What they share


NAMES = st.sets(st.sampled_from([f"{folder}/{i}" for folder in "ab" for i in range(3)]))


@given(NAMES, NAMES)
def test_mismatches_name_each_file_once_or_its_folder(listed: set[str], on_disk: set[str]) -> None:
    found = mismatches(sorted(listed), sorted(on_disk), "the table")
    folders = {path[0] for path in on_disk}
    assert sorted(p.path for p in found if p.reason == "is not listed in the table") == sorted(on_disk - listed)
    missing = [p.path for p in found if p.reason == "is listed in the table, but not on disk"]
    assert sorted(missing) == sorted(path for path in listed - on_disk if path[0] in folders)
    assert {p for p in found if p.reason.startswith("holds none")} == {
        Problem(folder, f"holds none of the {sum(path[0] == folder for path in listed)} files listed in the table")
        for folder in {path[0] for path in listed} - folders
    }


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.text("ab-_ .1é%", min_size=1, max_size=9), st.sampled_from([".wav", ".ogg", ""])), max_size=4)
)
def test_any_names_give_clips_or_problems(names: list[tuple[str, str]]) -> None:
    """Junk beside one good clip of each: never an exception, and nothing with a sound's ending is passed over."""
    places = {
        "vc1": ("wav/id10001/v/00001.wav", "wav"),
        "cremad": ("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV"),
        "nsynth": ("nsynth-test/audio/bass_synthetic_034-085-025.wav", "nsynth-test/audio"),
        "surge": ("surge-patches-factory-A-velocity64/60.ogg", "."),
        "vocalsound": ("audio_16k/f0003_0_cough.wav", "audio_16k"),
        "voxforge": ("de/a-20100101-x/wav/1.wav", "de"),
    }
    for name, (good, place) in places.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path in [good, *(f"{place}/{stem}{suffix}" for stem, suffix in names)]:
                if path.rpartition("/")[2] not in (".", "..") and len(path) < 200:
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(b"RIFF")
            dataset = read(name, root)
            assert [clip.path for clip in dataset.clips] == [good]
            ending = ".ogg" if name == "surge" else ".wav"
            told = {Path(problem.path).name for problem in dataset.problems}
            for stem, suffix in names:
                if suffix == ending and not stem.startswith("."):
                    assert f"{stem}{suffix}" in told


def test_a_list_of_all_of_nsynth_is_cut_down_while_read(tmp_path: Path) -> None:
    entry = {"instrument_str": "bass_synthetic_034", "instrument_family_str": "bass", "qualities": [0] * 10,
             "instrument_source_str": "synthetic", "pitch": 60, "velocity": 25}  # fmt: skip
    (tmp_path / "examples.json").write_text(json.dumps({"bass_synthetic_034-060-025": entry}))
    assert nsynth._examples(tmp_path / "examples.json") == {
        "bass_synthetic_034-060-025": ("bass_synthetic_034", "bass", "synthetic", 60, 25)
    }


def test_common_voice(roots: dict[str, Path]) -> None:
    dataset = read("commonvoice", roots["commonvoice"])
    assert dataset.split_origin == "official"
    assert values(dataset, "language") == {"de": 17, "en": 16}
    assert values(dataset, "gender") == {"male": 16, "female": 16}, "in one spelling; nothing said is none"
    assert values(dataset, "accent") == {"de 0": 8, "de 1": 8, "en 0": 8, "en 1": 8}
    clip = next(clip for clip in dataset.clips if clip.path == "en/clips/common_voice_en_3.mp3")
    assert (clip.split, dict(clip.labels)) == (
        "train",
        {"language": "en", "gender": "female", "age": "sixties", "accent": "en 1", "speaker": "en-train-1"},
    )
    assert problems(dataset) == {("de/clips/common_voice_de_91.mp3", "is listed in its tables, but not on disk")}
    assert dataset.notes == ("commonvoice: 2 clips are in none of the tables read (other.tsv and the like): left out",)


def test_common_voice_of_one_language_and_without_parts(roots: dict[str, Path], tmp_path: Path) -> None:
    root = copy("commonvoice", roots, tmp_path) / "en"
    official = read("commonvoice", root)
    assert {clip.path.partition("/")[0] for clip in official.clips} == {"clips"}
    assert values(official, "language") == {"en": 16}
    (root / "train.tsv").rename(root / "validated.tsv")
    for part in ("dev", "test"):
        (root / f"{part}.tsv").unlink()
    dataset = read("commonvoice", root)
    assert (dataset.split_origin, len(dataset.clips)) == ("ours", 8)
    assert all(len(parts) == 1 for parts in parts_of(dataset, "speaker").values())
    with pytest.raises(InputError, match="has languages with train.tsv and without"):
        read("commonvoice", root.parent)
