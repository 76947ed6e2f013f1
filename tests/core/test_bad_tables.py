"""Manifests, metadata, names and options that fuzzing found to end in a traceback, a hang or a full memory."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.datasets import InputError, Options, find, report
from core.datasets.derive import decade
from core.datasets.files import read_json, read_lines, read_rows, walk
from core.datasets.published.vocalsound import age_group
from core.datasets.published.voxforge import ADDRESSES
from core.encoders.device import choose_device
from core.progress.console import output
from core.progress.progress import Progress
from core.run.config import AnalysisConfig
from core.run.outcome import in_words
from core.untrusted_text import harmless, is_storable, one_line, user_path
from tests.support import replicas_events, replicas_speech_music
from tests.support.small_study import query, run

LONG = "9" * 5_000
"""Digits that Python refuses to make a number of."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))


def refusal(folder: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        find([folder], Options(**options))  # type: ignore[arg-type]
    return one_line(str(caught.value))


def manifest(folder: Path, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"file,kind\na.wav,lo\0w\n", "it holds NUL bytes; save it as UTF-8"),
        ("file,kind\na.wav,low\n".encode("utf-16-le"), "it holds NUL bytes; save it as UTF-8"),
        (
            b"file," + b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n",
            "1,000,001 columns; at most 1,000 are read",
        ),
        (
            b"file,kind\na.wav," + b"x" * 20_000 + b"\n",
            "cell of 20,000 characters; at most 10,000 are read. Is a quote",
        ),
        (b'file,"' + b"k" * 200_000 + b'"\n', "cannot be read as UTF-8 CSV (field larger than field limit"),
        (b"file,split,kind\na.wav,fold " + LONG.encode() + b",low\n", "lists no usable clip"),
    ],
    ids=["NUL", "UTF-16", "a million columns", "a huge cell", "a huge name", "a huge fold"],
)
def test_tables_that_are_none(content: bytes, told: str, tmp_path: Path) -> None:
    started = time.process_time()
    assert told in refusal(manifest(tmp_path / "pets", content))
    assert time.process_time() - started < 5


def test_names_that_are_no_utf8_are_left_out_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("low", "high"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(6):
            soundfile.write(
                tmp_path / "pets" / kind / f"{i}.wav", np.sin(np.arange(4_000) * (0.1 + 0.3 * (kind == "low"))), 16_000
            )
    os.rename(tmp_path / "pets/low/0.wav", os.fsencode(tmp_path / "pets/low") + b"/\xff.wav")
    db = tmp_path / "atlas.db"
    assert run("--data-dir", tmp_path / "pets", "--db", db, "--stages", "extract,score") == 0
    assert "left out: low/\\udcff.wav: has a name that is no UTF-8; rename it" in capsys.readouterr().out
    assert query(db, "SELECT path, reason FROM problem") == [
        ("low/\\udcff.wav", "has a name that is no UTF-8; rename it")
    ]
    assert query(db, "SELECT COUNT(*) FROM clip") == [(11,)]


def test_a_folder_whose_own_name_is_no_utf8_is_refused(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    assert "the folder's path is no UTF-8; rename it" in refusal(manifest(folder, b"file,kind\na.wav,low\n"))


def test_folders_deeper_than_functions_may_call_each_other(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(1_200):
        deep = deep / "d"
        deep.mkdir()
    (deep / "a.wav").touch()
    found = [path.count("/") for path in walk(tmp_path)]
    (deep / "a.wav").unlink()
    while deep != tmp_path:  # shutil.rmtree, which tidies up after the tests, calls itself too
        deep.rmdir()
        deep = deep.parent
    assert found == [1_200]


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": "\\ud800"}', '{"a": "\\u0000"}', LONG, "{", "\ufeff"])
def test_json_that_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"^[^\n]*a\.json is no list[^\n]*; unpack the archive again$"):
        read_json(tmp_path / "a.json", "no list")


@pytest.mark.parametrize(
    "key", ["instrument_str", "instrument_family_str", "instrument_source_str", "pitch", "velocity"]
)
@pytest.mark.parametrize("value", [[], {}, None, 1.5, LONG])
def test_nsynth_values_of_another_kind(key: str, value: object, tmp_path: Path) -> None:
    root = replicas_speech_music.nsynth(tmp_path)
    path = root / "nsynth-train" / "examples.json"
    notes = json.loads(path.read_text())
    notes[next(iter(notes))][key] = value
    path.write_text(json.dumps(notes))
    if isinstance(value, str) and key.endswith("_str"):
        assert find([root])
    else:
        assert "is not NSynth's list of notes" in refusal(root)


def test_numbers_too_long_for_numbers(tmp_path: Path) -> None:
    assert (decade(LONG), age_group(LONG)) == ("", "")
    root = replicas_events.esc50(tmp_path)
    table = root / "meta" / "esc50.csv"
    lines = table.read_text().splitlines()
    names = lines[0].split(",")
    cells = lines[1].split(",")
    cells[names.index("target")] = LONG
    table.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
    (dataset,) = find([root])
    assert any("has the target '9999" in problem.reason for problem in dataset.problems)


@pytest.mark.parametrize("reader", [read_rows, read_lines])
def test_nul_in_a_table_or_list_is_told(reader: object, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,\x00\n")
    with pytest.raises(InputError, match="it holds NUL bytes"):
        reader(tmp_path / "a.csv")  # type: ignore[operator]


@pytest.mark.parametrize("file", [f"evar/metadata/{name}.csv" for name in ("cremad", "voxforge")])
def test_parts_that_evar_does_not_have_are_refused(file: str, tmp_path: Path) -> None:
    name = Path(file).stem
    make = {**replicas_events.REPLICAS, **replicas_speech_music.REPLICAS}[name]
    path = tmp_path / "EVAR" / file
    path.parent.mkdir(parents=True)
    path.write_text("file_name,label,split\nx-20100101-a/b.wav,de,banana\n")
    told = refusal(make(tmp_path), evar_dir=tmp_path / "EVAR")
    assert f"{name}.csv has the split 'banana'; expected train, valid or test" in told


def test_texts_made_to_take_a_pattern_forever(tmp_path: Path) -> None:
    root = replicas_speech_music.voxforge(tmp_path)
    (root / ADDRESSES).write_text(f"/de/Trunk/{'a' * 300_000}\n" + (root / ADDRESSES).read_text())
    readme = next(root.glob("frspeaker*")) / "etc" / "README"
    readme.write_bytes(b"\n" * 300_000 + readme.read_bytes())
    started = time.process_time()
    assert find([root])
    assert time.process_time() - started < 5


# What is told


def test_a_terminal_obeys_no_name_and_knows_every_character(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        monkeypatch.setattr("sys.stdout", file)
        output().print("a\x1b[2Jb\udcff ü 音\u202e\n\tend")
    told = (tmp_path / "out").read_bytes()
    assert b"\x1b" not in told
    assert b"\\x1b[2Jb\\udcff \\xfc \\u97f3" in told


def test_an_error_is_one_line_whatever_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(output(), output(stderr=True)) as progress:
        progress.error(in_words(InputError("a\nb\r\x1b[31m\u2028c")))
    assert capsys.readouterr().err == "error: a b \\x1b[31m c\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("ü 音 🐕\u3000\xa0", "ü 音 🐕\u3000\xa0"), ("a\tb\n", "a\tb\n"), ("\x1b\x9b\x07\x7f",
    "\\x1b\\x9b\\x07\\x7f"),
     ("\udcff\u2066", "\\udcff\\u2066")],
)  # fmt: skip
def test_harmless_text(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_what_a_database_takes() -> None:
    assert all(map(is_storable, ("", "a", "ü\n🐕", "\x1b")))
    assert not any(map(is_storable, ("\0", "ü\0", "\udcff", "\ud800")))


# Options


@pytest.mark.parametrize(
    "option",
    [["--device", f"cuda:{LONG}"], ["--db", ""], ["--data-dir", " "], ["--workers", "1001"], ["--shuffles", "9" * 12],
     ["--ablate-clips", "-5"], ["--data-dir", "~nobody-here/x"], ["--data-dir", "x" * 5_000], ["--db", "x" * 5_000],
     ["--weights", "x" * 5_000, "--model", "nano-ssl"], ["--model", "hf:" + "x" * 5_000], ["--ablate",
     "file:" + "x" * 5_000],
     ["--evar-dir", "x" * 5_000], ["--model", "python:" + "x" * 5_000 + ".py"], ["--db", "mysql://u:secret@h/x"],
     ["--db", "postgresql://u:secret@h:port/x"], ["--db", "no://u:se/cret@h/x?password=secret"], ["--data-dir",
     "a\nb"]],
    ids=lambda option: " ".join(option)[:40],
)  # fmt: skip
def test_options_that_ended_in_a_traceback_or_in_two_lines(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest(tmp_path / "pets", b"file,kind\na.wav,low\nb.wav,high\n")
    given = [] if "--data-dir" in option else ["--data-dir", str(tmp_path / "pets")]
    db = [] if "--db" in option else ["--db", str(tmp_path / "atlas.db")]
    assert run(*given, *db, *option) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1
    assert "secret" not in told and "se/cret" not in told


def test_an_unknown_user_is_a_folder_that_is_not_there() -> None:
    assert user_path("~nobody-here/x") == Path("~nobody-here/x")
    assert user_path("~/x") == Path.home() / "x"
    with pytest.raises(InputError, match="is not known"):
        choose_device("cuda:٣")


@pytest.mark.parametrize(
    ("db", "shown"),
    [
        ("atlas.db", "atlas.db"),
        ("postgresql://ann@host/atlas", "postgresql://ann@host/atlas"),
        ("postgresql://ann:a/b@c@host/atlas", "postgresql://ann:***@host/atlas"),
        (
            "postgresql://host/atlas?user=ann&password=a&sslmode=require",
            "postgresql://host/atlas?user=ann&password=***&sslmode=require",
        ),
        ("postgresql://ann%40x:a%2Fb@host/atlas", "postgresql://ann%40x:***@host/atlas"),
        ("postgresql://ann@corp:hidden@host/atlas", "postgresql://ann@corp:***@host/atlas"),
        ("postgresql://:hidden@host/atlas", "postgresql://:***@host/atlas"),
        ("postgresql://ann:a\nb@host/atlas", "postgresql://ann:***@host/atlas"),
        ("postgresql://ann@[::1]:5432/atlas", "postgresql://ann@[::1]:5432/atlas"),
        ("postgresql://ann:a?b&c@host/atlas?SSLPassword=d", "postgresql://ann:***@host/atlas?SSLPassword=***"),
        ("postgresql://host:5432/atlas?sslpassword=a@b:c", "postgresql://host:5432/atlas?sslpassword=***"),
        ("postgresql://ann:hidden@host:port/atlas", "postgresql://ann:***@host:port/atlas"),
        ("://ann:hidden@", "://ann:***@"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
        ("postgresql:/ann:hidden@host/atlas", "postgresql:/ann:***@host/atlas"),
        ("postgresql:ann:hidden@host/atlas", "postgresql:ann:***@host/atlas"),
        ("postgresql//ann:hidden@host/atlas", "postgresql//ann:***@host/atlas"),
        ("postgresql:///ann:hidden@host/atlas", "postgresql:///ann:***@host/atlas"),
        ("Postgres+psycopg:/ann:a@b@host/atlas", "Postgres+psycopg:/ann:***@host/atlas"),
        ("postgresql:/host/atlas?password=hidden", "postgresql:/host/atlas?password=***"),
        ("host=h user=ann password=hidden dbname=atlas", "host=h user=ann password=*** dbname=atlas"),
        ("host=h password = 'a hidden one' dbname=atlas", "host=h password = *** dbname=atlas"),
        ("postgresql/a:b@c.db", "postgresql/a:b@c.db"),
        ("folder?token=1/a:b@c.db", "folder?token=1/a:b@c.db"),
    ],
)
def test_no_password_is_shown(db: str, shown: str) -> None:
    from dashboard.shared.data import Store
    from db.connection import open

    assert AnalysisConfig(db=db).shown_db == open.shown(db) == shown
    assert Store(db, None, ()).name in (shown, Path(db).name)
    assert AnalysisConfig(db=db).as_dict()["db"] == shown


def test_problems_of_a_listing_are_written_whatever_their_names(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    for kind in ("low", "high"):
        (tmp_path / "pets" / kind).mkdir()
        for i in range(8):
            Path(os.fsdecode(os.fsencode(tmp_path / "pets" / kind) + b"/\xff%d.wav" % i)).touch()
    (dataset,) = find([tmp_path / "pets"])
    assert len(report.listed_problems(dataset)) == report.SHOWN + 1


def test_columns_of_any_length_are_told_shortly(tmp_path: Path) -> None:
    from core.datasets.files import read_rows
    from core.datasets.tables import read

    path = tmp_path / "manifest.csv"
    path.write_text(",".join(f"{i}{'x' * 9_000}" for i in range(20)) + "\n" + ",".join("a" * 20) + "\n")
    for reading in (read, lambda table: read_rows(table, ("client_id",))):
        with pytest.raises(InputError, match="has no column .* \\(found: 0xxx") as refusal:
            reading(path)
        assert len(str(refusal.value)) < 600 + len(str(path))


def test_an_error_of_any_length_is_told_shortly() -> None:
    told = in_words(InputError(f"weights.pth lacks {'x' * 1_000_000}; fetch it again"))
    assert told.startswith("weights.pth lacks xxx") and told.endswith("xxx; fetch it again") and len(told) < 3_100
