"""Files of segments: every format, wherever it lies, and what is wrong with it in one line."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.datasets import InputError, NothingFound, choose_tasks, find, report
from core.datasets.base import Clip, Dataset, Segment, draw_evenly, shuffled_labels
from core.datasets.scan import Scan
from core.datasets.segments import formats, phonology
from core.datasets.segments.key import segments_key
from core.datasets.segments.midi import chords
from core.datasets.segments.turned import turned
from core.datasets.segments.within import cut_to, within
from core.progress import console
from core.progress.progress import Progress
from core.run import inputs
from core.run.config import AnalysisConfig
from tests.support import segment_files as made
from tests.support.segment_files import PHONES, WORDS, corpus, found, spans

TEXTGRIDS = pytest.mark.parametrize("is_long", [True, False], ids=["long", "short"])


def told(dataset: Dataset) -> list[str]:
    return [*(f"{p.path}: {p.reason}" for p in dataset.problems), *dataset.notes]


@TEXTGRIDS
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_each_tier_of_a_textgrid_is_an_attribute(tmp_path: Path, is_long: bool, encoding: str) -> None:
    text = made.textgrid({"words": WORDS, "phones": PHONES, "notes": ()}, is_long=is_long)
    (corpus(tmp_path / "x") / "a.TextGrid").write_bytes(text.encode(encoding))
    dataset = found(tmp_path / "x")
    assert dataset.segment_attributes == ("words", "phones")
    assert spans(dataset, "words") == list(WORDS) and spans(dataset, "phones") == list(PHONES)
    assert dataset.attributes == ("kind",) and not dataset.clips[1].segments and not dataset.problems
    assert told(dataset) == [
        "segments: notes is empty in one file (first a.TextGrid)",
        "segments: 1 of 2 clips have none (first b.wav)",
    ]


def test_points_of_a_textgrid_count_for_a_moment_and_overlaps_stay(tmp_path: Path) -> None:
    overlapping = ((0.1, 0.5, "one"), (0.3, 0.9, "two"))
    text = (
        made.textgrid({"speakers": ()})
        .replace("intervals: size = 1 ", "intervals: size = 2 ")
        .replace('text = "" ', 'text = "one"')
        + made.POINTS
    )
    (corpus(tmp_path / "x") / "a.TextGrid").write_text(text)
    (tmp_path / "x" / "b.TextGrid").write_text(made.textgrid({"speakers": overlapping}, is_long=False))
    dataset = found(tmp_path / "x")
    assert spans(dataset, "tones") == [(0.25, 0.3, "H*")]
    assert spans(dataset, "speakers", 1)[0] == (0.1, 0.5, "one") and (0.3, 0.9, "two") in spans(dataset, "speakers", 1)
    assert "segments: tones has points in time; each counts for 50 ms from there" in dataset.notes


def test_an_exponent_and_old_line_ends_are_read(tmp_path: Path) -> None:
    text = made.textgrid({"w": ((1e-05, 0.5, "x"),)}).replace("\n", "\r")
    assert "= 1e-05" in text
    (corpus(tmp_path / "x") / "a.TextGrid").write_text(text)
    assert spans(found(tmp_path / "x"), "w") == [(1e-05, 0.5, "x")]


def test_timit_counts_in_samples_of_the_sound(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x")
    (root / "a.wav").rename(root / "SA1.WAV.wav")
    (root / "manifest.csv").write_text("file,kind\nSA1.WAV.wav,cat\nb.wav,dog\n")
    (root / "SA1.PHN").write_text(made.timit(PHONES) + "12000 12000 q\nsome thing else\n")
    (root / "SA1.WRD").write_text(made.timit(WORDS))
    dataset = found(root)
    assert dataset.segment_attributes == ("phone", "word")
    assert spans(dataset, "phone") == list(PHONES) and spans(dataset, "word") == list(WORDS)
    assert [(p.path, p.reason, p.left_out) for p in dataset.problems] == [
        (
            "SA1.PHN",
            "1 segment left out that are not 'first sample, last sample, label' (first some thing else)",
            False,
        ),
        ("SA1.PHN", "1 segment left out that end before they begin, or where they begin (first q at 0.75 s)", False),
    ]


def test_audacity_labels_with_frequencies_points_and_commas(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x", ("a", "b", "c"))
    (root / "a.txt").write_text(made.audacity(WORDS) + "\\\t100.0\t8000.0\n0.9\t0.9\tclick\n")
    (root / "b.txt").write_text("0,25\t0,5\tbark\n")
    (root / "c.txt").write_text("what was said: nothing\n")
    dataset = found(root)
    assert spans(dataset, "label") == [*WORDS, (0.9, 0.95, "click")]
    assert spans(dataset, "label", 1) == [(0.25, 0.5, "bark")] and not dataset.clips[2].segments
    assert not dataset.problems


@pytest.mark.parametrize(("ending", "write"), [("vtt", made.vtt), ("srt", made.srt)])
def test_captions(tmp_path: Path, ending: str, write: type) -> None:
    (corpus(tmp_path / "x") / f"a.{ending}").write_text("\ufeff" + write(WORDS), encoding="utf-8")
    assert spans(found(tmp_path / "x"), "caption") == list(WORDS)


def test_midi_gives_notes_chords_and_instruments(tmp_path: Path) -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    song = pretty_midi.PrettyMIDI()
    piano, drums = pretty_midi.Instrument(0), pretty_midi.Instrument(0, is_drum=True)
    piano.notes = [pretty_midi.Note(90, pitch, 0.25, 0.75) for pitch in (60, 64, 67)]
    drums.notes = [pretty_midi.Note(90, 38, 0.5, 0.625)]
    song.instruments = [piano, drums]
    song.write(str(corpus(tmp_path / "x") / "a.mid"))
    dataset = found(tmp_path / "x")
    rounded = {
        a: [(round(on, 2), round(off, 2), label) for on, off, label in spans(dataset, a)]
        for a in dataset.segment_attributes
    }
    assert rounded["note"] == [(0.25, 0.75, "60"), (0.25, 0.75, "64"), (0.25, 0.75, "67")]
    assert rounded["pitch_class"] == [(0.25, 0.75, "C"), (0.25, 0.75, "E"), (0.25, 0.75, "G")]
    assert rounded["chord"] == [(0.25, 0.75, "C-E-G")]
    assert rounded["drum"] == [(0.5, 0.62, "Acoustic Snare")]
    assert set(rounded["instrument"]) == {(0.25, 0.75, "Acoustic Grand Piano"), (0.5, 0.62, "drums")}


def test_chords_are_where_three_pitch_classes_sound() -> None:
    assert chords([(0, 2, 60), (0, 1, 64), (0, 2, 67), (1, 2, 65), (1.5, 1.6, 72)]) == [
        (0, 1, "C-E-G"),
        (1, 2, "C-F-G"),
    ]
    # An octave is no further class; a moment in which notes run into one another is no chord.
    assert chords([(0, 1, 60), (0, 1, 72), (0, 1, 67), (0.98, 2, 64)]) == []
    assert chords([]) == []


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("segments.tsv", "file\tonset\toffset\tlabel"),
        ("strong.tsv", "filename\tonset\toffset\tevent_label"),
        ("audioset_train_strong.tsv", "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"),
        ("metadata/synthetic/soundscapes.tsv", "filename\tonset\toffset\tevent_label"),
    ],
)
def test_one_table_for_all_clips(tmp_path: Path, name: str, header: str) -> None:
    root = corpus(tmp_path / "x", ("audio/a", "audio/b"))
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    # By file name, by stem, by path; a row without an event, and one of another set.
    rows = made.strong(WORDS[:1], "a.wav") + made.strong(WORDS[1:], "a") + made.strong(PHONES, "audio/b.wav")
    (root / name).write_text(f"{header}\n{rows}a.wav\t\t\t\nz.wav\t0\t1\tdog\n")
    dataset = found(root)
    assert dataset.segment_attributes == ("event",)
    assert spans(dataset, "event") == list(WORDS) and spans(dataset, "event", 1) == list(PHONES)
    assert told(dataset) == [
        f"{name}: 1 rows are of 1 files that are no clip here, or may be several (first z.wav): left out"
    ]


def test_a_table_of_segments_is_all_there_is_and_tells_its_attributes(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x")
    (root / "a.vtt").write_text(made.vtt(WORDS))
    (root / "segments.csv").write_text("file;attribute;onset;offset;label\na.wav;kind;0,1;0,2;x\na.wav;;0.2;0.3;y\n")
    dataset = found(root)
    # What clips have an attribute of is called a span; captions beside the sound do not count.
    assert dataset.segment_attributes == ("kind_span", "event")
    assert spans(dataset, "kind_span") == [(0.1, 0.2, "x")] and spans(dataset, "event") == [(0.2, 0.3, "y")]
    (root / "segments.csv").write_text("file,from,to\n")
    assert found(root).problems[0].reason == "has no column 'onset' (found: file, from, to)"


RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tAnnotation\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.Table.1.selections.txt", RAVEN + "1\tWaveform 1\t1\t0.25\t0.5\t100\tbark\n"),
        ("a.csv", "Start,End,Class\n0.25,0.5,bark\n"),
        ("a.tsv", "onset\tduration\tlabel\n0.25\t0.25\tbark\n"),
        ("calls/a.csv", "start;end;label\n0,25;0,5;bark\n"),
        ("calls/a.txt", "\\\t100\t8000\n0.25\t0.5\tbark\n"),
        ("a.txt", "start\tend\tlabel\n0.25\t0.5\tbark\n"),
        (
            "all.selections.txt",
            "Selection\tBegin File\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\ta.wav\t0.25\t0.5\tbark\n",
        ),
        ("calls/all.csv", "Filename,Start,Duration (s),Label\na.wav,0.25,0.25,bark\n"),
    ],
)
def test_tables_of_one_clip_and_other_names_of_columns(tmp_path: Path, name: str, text: str) -> None:
    root = corpus(tmp_path / "x")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)
    dataset = found(root)
    assert spans(dataset, dataset.segment_attributes[0]) == [(0.25, 0.5, "bark")] and not dataset.problems


def test_files_of_another_folder_are_taken_by_name_where_that_is_one_clips(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x", ("wav/1/a", "wav/2/a", "wav/2/b"))
    for name, of in (("1/a", WORDS), ("2/a", WORDS[:1]), ("2/b", WORDS[1:])):
        (root / "aligned" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "aligned" / f"{name}.TextGrid").write_text(made.textgrid({"w": of}))
    dataset = found(root)
    assert [spans(dataset, "w", i) for i in range(3)] == [list(WORDS), list(WORDS[:1]), list(WORDS[1:])]
    (root / "wav" / "2" / "b.TextGrid").write_text(made.textgrid({"w": PHONES}))
    (root / "wav" / "2" / "b.eaf").write_text("<ANNOTATION_DOCUMENT/>")
    (root / "aligned" / "strange.TextGrid").write_text(made.textgrid({"w": WORDS}))
    (root / "aligned" / "strange.csv").write_text("start,end,label\n0.1,0.2,dog\n")
    (root / "aligned" / "prices.csv").write_text("what,price\ndog,1\n")
    dataset = found(root)
    assert spans(dataset, "w", 2) == list(PHONES), "one beside the clip counts"
    assert told(dataset) == [
        "segments: 3 files are of no clip by name, or of one that has others (first aligned/2/b.TextGrid): left out; a "
        "column of a manifest.csv can name them",
        "segments: 1 file is of a format that is not read (.eaf; first wav/2/b.eaf): left out if these are labels in "
        "time; a table segments.tsv of file, onset, offset, label is read",
    ]


def test_files_of_two_kinds_of_one_clip_are_taken_from_another_folder(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x", ("wav/a", "wav/b"))
    (root / "marks").mkdir()
    for ending, of in (("PHN", PHONES), ("WRD", WORDS)):
        (root / "marks" / f"a.{ending}").write_text(made.timit(of))
    dataset = found(root)
    assert spans(dataset, "phone") == list(PHONES) and spans(dataset, "word") == list(WORDS)


def test_what_has_no_label_or_lies_before_its_clip_is_told(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x", ("a", "b", "c", "d"))
    (root / "a.txt").write_text("0.1\t0.2\t\n0.3\t0.4\tbark\n")
    early = made.textgrid({"w": ((-0.5, -0.25, "gone"), (-0.25, 0.25, "cut"), (0.5, 0.75, "in"))})
    (root / "b.TextGrid").write_text(early)
    (root / "c.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\n{\\an8}Tom &amp; Ann\n\n")
    (root / "all.csv").write_text("file,onset,offset,label\nd.wav,0.1,0.2,\nd.wav,,,\n")
    dataset = found(root)
    assert spans(dataset, "label") == [(0.3, 0.4, "bark")]
    assert spans(dataset, "w", 1) == [(0.0, 0.25, "cut"), (0.5, 0.75, "in")]
    assert spans(dataset, "caption", 2) == [(0.1, 0.3, "Tom & Ann")]
    assert {(p.path, p.reason) for p in dataset.problems} == {
        ("a.txt", "1 segment left out that have no label (first at 0.1 s)"),
        ("b.TextGrid", "1 segment left out that lie before their clip (first gone at -0.5 s)"),
        ("all.csv, d.wav", "1 segment left out that have no label (first at 0.1 s)"),
    }


def test_a_manifests_column_names_files_where_some_are_missing(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x", ("a", "b", "c", "d"))
    (root / "marks").mkdir()
    (root / "marks" / "c.txt").write_text(made.audacity(WORDS))
    (root / "manifest.csv").write_text(
        "file,kind,calls\na.wav,cat,NA\nb.wav,dog,marks/b.txt\nc.wav,cat,marks\\c.txt\nd.wav,dog,somewhere\n"
    )
    dataset = found(root)
    assert dataset.attributes == ("kind",) and spans(dataset, "calls", 2) == list(WORDS)
    assert [p.path for p in dataset.problems] == ["marks/b.txt", "somewhere"], "what is not there, or no such file"


def test_a_manifests_column_names_files(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x")
    (root / "marks").mkdir()
    (root / "marks" / "one.txt").write_text(made.audacity(WORDS))
    (root / "marks" / "two.vtt").write_text(made.vtt(PHONES))
    (tmp_path / "out.txt").write_text(made.audacity(WORDS))
    (root / "manifest.csv").write_text("file,kind,calls\na.wav,cat,marks/one.txt|marks/two.vtt\nb.wav,dog,../out.txt\n")
    dataset = found(root)
    assert dataset.attributes == ("kind",) and [c.labels for c in dataset.clips] == [{"kind": "cat"}, {"kind": "dog"}]
    assert dataset.segment_attributes == ("calls",) and dataset.segment_files == {}
    assert set(spans(dataset, "calls")) == {*WORDS, *PHONES} and not dataset.multilabel
    assert ("../out.txt", "leaves the dataset's folder; segments are read inside it alone") in {
        (p.path, p.reason) for p in dataset.problems
    }
    # Names of files of text that are no label tracks stay labels.
    (root / "marks" / "one.txt").write_text("a transcript")
    (root / "manifest.csv").write_text("file,kind,said\na.wav,cat,marks/one.txt\nb.wav,dog,marks/one.txt\n")
    assert found(root).attributes == ("kind", "said")


def test_no_link_out_of_the_folder_is_followed_where_none_is_to_be(tmp_path: Path) -> None:
    from core.datasets import Options

    root = corpus(tmp_path / "x")
    (tmp_path / "out.vtt").write_text(made.vtt(WORDS))
    (root / "a.vtt").symlink_to(tmp_path / "out.vtt")
    assert spans(found(root), "caption") == list(WORDS)
    (dataset,) = find([root], Options(follow_links=False))
    assert not dataset.segment_attributes and "leads out of the dataset's folder" in dataset.problems[0].reason


def test_sound_with_segments_alone_is_a_dataset(tmp_path: Path) -> None:
    for name in "abcd":
        made.sound(tmp_path / "talks" / f"{name}.wav")
        (tmp_path / "talks" / f"{name}.vtt").write_text(made.vtt(WORDS))
    dataset = found(tmp_path / "talks")
    assert (dataset.name, dataset.attributes, dataset.segment_attributes) == ("talks", (), ("caption",))
    assert {clip.split for clip in dataset.clips} == {"train", "valid", "test"}
    assert len(draw_evenly(dataset, (), 2, 0)) == 2
    (tmp_path / "talks" / "manifest.csv").write_text("file,split\na.wav,train\nb.wav,test\n")
    listed = found(tmp_path / "talks")
    assert (listed.attributes, listed.segment_attributes, len(listed.clips)) == ((), ("caption",), 2)
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "a.vtt").write_text(made.vtt(WORDS))
    with pytest.raises(NothingFound, match="no dataset found .no sound file"):
        find([tmp_path / "silent"])
    for name in "abcd":
        (tmp_path / "talks" / f"{name}.vtt").write_text("no captions")
    with pytest.raises(InputError, match="no labels of clips, and no segments .a.vtt: cannot be read as VTT captions"):
        find([tmp_path / "talks"])


def test_what_is_wrong_is_one_line_and_the_clip_stays(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x", tuple("abcdefg"))
    (root / "a.TextGrid").write_text("no textgrid at all")
    (root / "b.TextGrid").write_bytes(made.textgrid({"w": ((0.1, 0.2, "Käfer"),)}).encode("cp1252"))
    (root / "c.PHN").write_text("a b c\n")
    (root / "d.txt").write_text("0.5\t0.25\tback\n0.1\t0.2\tgood\nnan\t1\tnot\n-1\t-0.5\tearly\n-0.5\t0.25\tcut\n")
    (root / "e.vtt").write_text("")
    (root / "f.TextGrid").write_bytes(b"\xff\xfe\x00")
    (root / "g.mid").write_bytes(b"MThd nothing")
    (root / "alone.vtt").write_text(made.vtt(WORDS))
    dataset = found(root)
    assert len(dataset.clips) == 7 and not any(problem.left_out for problem in dataset.problems)
    reasons = {problem.path: problem.reason for problem in reversed(dataset.problems)}
    assert reasons["a.TextGrid"].startswith("cannot be read as a TextGrid (")
    assert reasons["a.TextGrid"].endswith("; open it in Praat and save it again")
    assert reasons["b.TextGrid"] == "read as Windows-1252: it is neither UTF-8 nor UTF-16"
    assert spans(dataset, "w", 1) == [(0.1, 0.2, "Käfer")]
    assert reasons["c.PHN"] == "has no line of the form 'first sample, last sample, label'"
    assert [p.reason for p in dataset.problems if p.path == "d.txt"] == [
        "1 segment left out that end before they begin, or where they begin (first back at 0.5 s)",
        "1 segment left out that are not 'onset, offset, label' with tabs between (first nan\t1\tnot)",
        "1 segment left out that lie before their clip (first early at -1 s)",
    ]
    assert spans(dataset, "label", 3) == [(0.0, 0.25, "cut"), (0.1, 0.2, "good")]
    assert "segments: caption is empty in one file (first e.vtt)" in dataset.notes
    assert reasons["f.TextGrid"] == "is neither UTF-8 nor UTF-16; save it as UTF-8"
    assert reasons["g.mid"].startswith("cannot be read as MIDI (")
    assert (
        "segments: 1 file is of no clip by name, or of one that has others (first alone.vtt): left out; a column of a "
        "manifest.csv can name them"
    ) in dataset.notes
    assert all("\n" not in line for line in told(dataset))


def test_a_missing_library_is_told_once_with_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = corpus(tmp_path / "x")
    for name in "ab":
        (root / f"{name}.TextGrid").write_text(made.textgrid({"w": WORDS}))
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    assert told(found(root)) == [
        "segments: 2 files (Praat TextGrid) are not read: that needs praatio, "
        "pip install 'audio-neuron-atlas[segments]'"
    ]


def test_libraries_are_loaded_only_for_files_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("praatio", "praatio.utilities.textgrid_io", "webvtt", "pretty_midi"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    (corpus(tmp_path / "x") / "a.txt").write_text(made.audacity(WORDS))
    assert spans(found(tmp_path / "x"), "label") == list(WORDS)


def timed(*segments: tuple[float, float, str], attribute: str = "call") -> Dataset:
    own = tuple(Segment(attribute, label, on, off) for on, off, label in segments)
    clips = (Clip("a.wav", "train", {}, own), Clip("b.wav", "test", {}, own))
    return Dataset("birds", Path("birds"), (), clips, segment_attributes=(attribute,))


def test_what_goes_beyond_a_clip_is_cut_or_left_out_and_told() -> None:
    dataset = timed((0.1, 0.5, "x"), (0.5, 1.01, "y"), (0.9, 1.5, "z"), (1.0, 1.2, "gone"))
    checked, problems = within(dataset, [1.0, 2.0])
    assert checked.clips[1] is dataset.clips[1]
    assert spans(checked, "call") == [(0.1, 0.5, "x"), (0.5, 1.0, "y"), (0.9, 1.0, "z")]
    assert [(p.path, p.reason, p.left_out) for p in problems] == [
        (
            "a.wav",
            "lasts 1.00 s: 1 segment goes beyond it, cut there (first z at 0.9 s); "
            "1 segment goes from behind its end on, left out (first gone at 1 s)",
            False,
        )
    ]


@pytest.mark.parametrize(("factor", "unit"), [(1000, "milliseconds"), (16_000, "samples"), (44_100, "samples")])
def test_times_in_another_unit_are_told_and_left_out(factor: int, unit: str) -> None:
    dataset = timed(*((factor * on, factor * off, label) for on, off, label in WORDS))
    right = replace(dataset.clips[0].segments[0], attribute="word", onset=0.1, offset=0.3)
    clips = tuple(replace(clip, segments=(right, *clip.segments)) for clip in dataset.clips)
    checked, problems = within(replace(dataset, clips=clips, segment_attributes=("word", "call")), [1.0, 1.0])
    assert checked.segment_attributes == ("word",) and not problems
    assert [clip.segments for clip in checked.clips] == [(right,), (right,)]
    (line,) = checked.unexpected
    assert line.startswith("segments: birds-call is left out") and f"its times look like {unit}" in line


def test_what_follows_from_phones_goes_with_them() -> None:
    labels = (*"ptkaeiou", "ʃ", "m")
    wrong = phonology.derived(timed(*((1000.0 * i, 1000.0 * i + 900, label) for i, label in enumerate(labels))))
    assert wrong.segment_attributes[:2] == ("call", "call-voicing")
    checked, problems = within(wrong, [10.0, 10.0])
    assert checked.segment_attributes == () and not any(clip.segments for clip in checked.clips)
    assert len(checked.unexpected) == 1 and not problems
    late = phonology.derived(timed(*((i / 10, i / 10 + 0.1, label) for i, label in enumerate(labels))))
    _, (told, _) = within(late, [0.85, 0.85])
    assert told.reason == (
        "lasts 0.85 s: 1 segment goes beyond it, cut there (first ʃ at 0.8 s); "
        "1 segment goes from behind its end on, left out (first m at 0.9 s)"
    )


def test_a_list_tells_of_times_by_the_headers_of_some_clips(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x")
    (root / "a.txt").write_text(made.audacity((*WORDS, (0.8, 2.0, "long"))))
    assert report.judged(found(root)) == [
        "segments: of 2 clips looked at 1 have some that go beyond their end (a.wav lasts 1.00 s: 1 segment goes "
        "beyond it, cut there (first long at 0.8 s))"
    ]
    (root / "a.txt").write_text(made.audacity(tuple((1000 * on, 1000 * off, label) for on, off, label in WORDS)))
    (line,) = report.judged(found(root))
    assert "x-label is left out" in line and "milliseconds" in line


def test_times_in_seconds_are_not_taken_for_another_unit() -> None:
    checked, _ = within(timed((3.0, 15.0, "x"), (0.2, 0.3, "y")), [1.0, 1.0])
    assert checked.segment_attributes == ("call",) and spans(checked, "call") == [(0.2, 0.3, "y")]


def test_clips_cropped_from_anywhere_lose_their_segments() -> None:
    cropped = cut_to(timed((0.1, 0.5, "x"), (0.6, 1.5, "y")), [2.0, 2.0], 1.0)
    assert cropped.clips[0].segments == () and spans(cropped, "call", 1) == [(0.1, 0.5, "x"), (0.6, 1.0, "y")]
    assert "1 train and valid clips are cropped from anywhere" in cropped.notes[0]
    assert cut_to(timed((0.1, 0.5, "x")), [0.9, 1.0], 1.0) == timed((0.1, 0.5, "x"))


def test_turned_segments_keep_labels_lengths_and_order_round_the_clip() -> None:
    dataset = timed((0.1, 0.5, "x"), (0.6, 0.9, "y"))
    shuffled = turned(shuffled_labels(dataset, 1), [1.0, 1.0], 1)
    assert shuffled.task("call") == "shuffled-birds-call"
    again = turned(shuffled_labels(dataset, 1), [1.0, 1.0], 1)
    assert shuffled.clips == again.clips
    starts = []
    for clip in shuffled.clips:
        lasts = {label: sum(s.offset - s.onset for s in clip.segments if s.label == label) for label in "xy"}
        assert lasts == pytest.approx({"x": 0.4, "y": 0.3})
        assert all(0 <= s.onset < s.offset <= 1 for s in clip.segments)
        whole = {s.label: s.onset for s in clip.segments if s.onset > 0}
        assert (whole["y"] - whole["x"]) % 1 == pytest.approx(0.5)
        starts.append(whole["x"])
    assert starts[0] != starts[1] and 0.1 not in starts


def test_turned_onsets_are_spread_evenly() -> None:
    clips = tuple(Clip(f"{i}.wav", "train", {}, (Segment("a", "x", 0.0, 0.1),)) for i in range(2000))
    many = turned(Dataset("n", Path("n"), (), clips, segment_attributes=("a",)), [2.0] * 2000, 0)
    onsets = [clip.segments[-1].onset for clip in many.clips]
    counts, _ = np.histogram(onsets, bins=10, range=(0, 2))
    assert counts.min() > 150 and counts.max() < 250


def test_tasks_of_segments_are_chosen_as_any(tmp_path: Path) -> None:
    root = corpus(tmp_path / "x")
    (root / "a.TextGrid").write_text(made.textgrid({"words": WORDS, "side": ((0.1, 0.9, "left"),)}))
    (root / "segments.tsv").unlink(missing_ok=True)
    dataset = found(root)
    assert dataset.segment_tasks() == {"x-words": "words", "x-side": "side"}
    ((chosen, attributes),), _ = choose_tasks([dataset], "x-words")
    assert attributes == () and chosen.segment_attributes == ("words",) and spans(chosen, "words") == list(WORDS)
    assert {s.attribute for clip in chosen.clips for s in clip.segments} == {"words"}
    ((chosen, attributes),), _ = choose_tasks([dataset], "x-kind")
    assert attributes == ("kind",) and not chosen.segment_attributes and not any(c.segments for c in chosen.clips)
    ((chosen, _),), _ = choose_tasks([dataset], "x-side")
    assert chosen.segment_attributes == ("side",), "one class is told from what lies outside it"
    with pytest.raises(InputError, match="unknown task 'x-wods'; did you mean x-words"):
        choose_tasks([dataset], "x-wods")
    chosen_all, left_out = choose_tasks([dataset], "all")
    assert [line for line in left_out if line.startswith("x-words: 2 labels of 2 segments, fewer than 4 a label")]
    assert chosen_all == []  # two clips name nothing


def test_all_takes_classes_and_leaves_out_what_has_hundreds() -> None:
    few = timed(*((i / 10, i / 10 + 0.05, "ab"[i % 2]) for i in range(8)))
    assert choose_tasks([few], "all") == ([(few, ())], [])
    many = timed(*((i / 1000, i / 1000 + 0.01, f"l{i % 201}") for i in range(804)))
    chosen, left_out = choose_tasks([many], "all")
    assert chosen == [] and left_out == [
        "birds-call: 201 classes; 'all' takes up to 200 of segments; --tasks birds-call runs it all the same"
    ]


def scanned(root: Path, **settings: object) -> Scan:
    config = replace(AnalysisConfig(), data_dirs=(str(root),), **settings)  # type: ignore[arg-type]
    with Progress(console.output(), console.output(stderr=True)) as progress:
        ((dataset, attributes),) = inputs.tasks(config, progress, {})
        return inputs.scan_dataset(dataset, attributes, root.parent / "files", config, progress)


def test_a_run_looks_at_segments_beside_the_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = corpus(tmp_path / "x", tuple("abcdefghijklmnop"))
    without = scanned(root, tasks="x-kind")
    for name in "abcdefghijklmno":
        (root / f"{name}.vtt").write_text(made.vtt((*WORDS, (0.9, 1.5, "she"), (2.0, 3.0, "had"))))
    scan = scanned(root, tasks="all")
    assert scan.dataset.attributes == ("kind",) and scan.dataset.segment_attributes == ("caption",)
    assert spans(scan.dataset, "caption") == [*WORDS, (0.9, 1.0, "she")]
    assert [p.path for p in scan.problems] == [f"{name}.wav" for name in "abcdefghijklmno"]
    # The dataset is the one that it was; its segments have a key of their own.
    assert (scan.content_key, scan.audio_key) == (without.content_key, without.audio_key)
    key = segments_key(scan, "caption")
    (root / "a.vtt").write_text(made.vtt(((0.1, 0.3, "he"), *WORDS[1:])))
    again = scanned(root, tasks="all")
    assert again.content_key == scan.content_key and segments_key(again, "caption") != key
    assert segments_key(scanned(root, tasks="x-caption"), "caption") == segments_key(again, "caption")
    # Clips with segments come first; what chance makes of them is another dataset.
    few = scanned(root, tasks="x-caption", limit=4)
    assert len(few.dataset.clips) == 4 and all(clip.segments for clip in few.dataset.clips)
    shuffled = scanned(root, tasks="all", shuffle_labels=True)
    assert segments_key(shuffled, "caption") != segments_key(again, "caption")
    assert shuffled.dataset.segment_sizes("caption")["had"] >= 15
    assert "x-caption: 3 classes in time, 44 segments in 15 clips" in " ".join(capsys.readouterr().out.split())
