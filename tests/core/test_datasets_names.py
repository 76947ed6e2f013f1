"""Names and tables of the sets of events: what is written is read, junk is a problem and no exception."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.datasets.files import match_rows, read_lines
from core.datasets.published.gtzan import GENRES, track_of
from core.datasets.published.speech_commands import speaker_of
from core.errors import InputError
from core.results import Problem
from tests.core.test_datasets_events import read
from tests.support.replicas_events import table

# Names and tables


@given(st.sampled_from(GENRES), st.integers(0, 99_999), st.sampled_from(["wav", "au", "WAV"]))
def test_track_names_are_read(genre: str, number: int, suffix: str) -> None:
    assert track_of(f"{genre}/{genre}.{number:05d}.{suffix}") == f"{genre}.{number:05d}"


PIECES = st.sampled_from(["blues", "polka", ".", "/", "00029", "0029", "٠٠٠٢٩", ".wav", ".mp3", ".au", "\n"])


@example("blues.٠٠٠٢٩.wav")
@given(st.text(max_size=30) | st.lists(PIECES, max_size=6).map("".join))
def test_other_names_are_no_tracks(name: str) -> None:
    genre, _, number = track_of(name).partition(".")
    if number:
        assert genre in GENRES and f"{genre}.{number}." in name.lower()
        assert len(number) == 5 and number.isascii()
    else:
        assert genre == ""


@given(st.integers(0, 16**8 - 1), st.integers(0, 99))
def test_speakers_are_read(speaker: int, take: int) -> None:
    assert speaker_of(f"{speaker:08x}_nohash_{take}.wav") == f"{speaker:08x}"
    assert speaker_of(f"{speaker:08x}_hash_{take}.wav") == ""
    assert speaker_of(f"{speaker:08x}_nohash_.wav") == ""


@given(st.text(max_size=30))
def test_other_names_have_no_speaker(name: str) -> None:
    assert speaker_of(name) == "" or name.startswith(speaker_of(name) + "_nohash_")


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["a.wav", "1", "٣", "-1", "1e9", "../a.wav", "dog", ""]
)
TABLES = {
    "esc50": ("meta/esc50.csv", "audio/a.wav", "filename,fold,target,category,src_file"),
    "us8k": ("metadata/UrbanSound8K.csv", "audio/fold1/a.wav", "slice_file_name,fsID,salience,fold,class"),
    "fsd50k": ("FSD50K.ground_truth/dev.csv", "FSD50K.dev_audio/a.wav", "fname,labels,split"),
}


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_junk_in_a_table_is_a_problem_not_an_exception(name: str, data: st.DataObject) -> None:
    file, audio, header = TABLES[name]
    columns = header.split(",")
    row = data.draw(st.lists(CELLS, max_size=len(columns) + 1), label="row")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / audio).parent.mkdir(parents=True)
        (root / audio).touch()
        table(root / file, [columns, row])
        dataset = read(name, root)
    assert all(clip.path == audio for clip in dataset.clips)
    assert len(dataset.clips) + len(dataset.problems) >= 1
    assert (audio in {problem.path for problem in dataset.problems}) == (not dataset.clips)


@given(
    st.lists(st.sampled_from(["a/1", "a/2", "b/1", "b/2", "c"]), max_size=6),
    st.sets(st.sampled_from(["a/1", "a/2", "b/1", "b/2", "c"])),
)
def test_rows_and_files_are_matched_and_the_rest_is_named(listed: list[str], here: set[str]) -> None:
    present, found = match_rows([{"file": path} for path in listed], lambda row: row["file"], sorted(here), "t.csv")
    assert [path for path, _ in present] == [path for path in listed if path in here]
    missing = set(listed) - here
    empty = {path.rpartition("/")[0] for path in missing} - {path.rpartition("/")[0] for path in here}
    expected = [(path, "is not listed in t.csv") for path in here - set(listed)]
    expected += [
        (path, "is listed in t.csv, but not on disk") for path in missing if path.rpartition("/")[0] not in empty
    ]
    for folder in empty:
        n = sum(path.rpartition("/")[0] == folder for path in missing)
        expected.append((folder, f"holds none of the {n} files listed in t.csv"))
    assert sorted(found, key=lambda p: p.path) == [Problem(*pair) for pair in sorted(expected)]


def test_lists_are_read_whatever_their_line_ends(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffa/1.wav\r\n b/2.wav \r\n\r\n".encode())
    assert read_lines(tmp_path / "list.txt") == ["a/1.wav", "b/2.wav"]
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="list.txt cannot be read as a list"):
        read_lines(tmp_path / "list.txt")
