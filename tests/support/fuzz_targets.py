"""What strangers hand to the project, a kind a target: each makes damaged input by number and says what became of it.

A target is prepared once in an empty folder and then given numbers; it returns whether the input was taken, or why it
was refused. Anything that is raised is a fault.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support import mutants_sound, segment_files
from tests.support.fuzz_outcome import TAKEN, NotOneLine, Try, refused
from tests.support.fuzz_weights import checkpoint, model_folder
from tests.support.mutants_text import SQL_WORDS, WORDS, damaged_json, damaged_table


def _why_unusable(path: Path) -> str:
    """Why a list takes a file for unusable."""
    from core.datasets import audio, levels

    try:
        audio.check(path, levels.SAMPLE_RATE)
    except audio.BadAudio as error:
        return str(error)
    return ""


def sound(kind: str) -> Callable[[Path, int], Try]:
    """A file as the pipeline reads it, in its scan, and its header alone."""

    def prepare(folder: Path, seed: int) -> Try:
        from core.datasets import audio, scan

        path = folder / f"x{mutants_sound.suffix(kind)}"

        def once(number: int) -> str:
            path.write_bytes(mutants_sound.make(kind, seed, number)[1])
            with contextlib.suppress(audio.BadAudio):
                assert audio.seconds(path) >= 0
            status = path.stat()
            row = scan._look(folder, path.name, status.st_size, status.st_mtime_ns)
            assert _why_unusable(path) == row["reason"], "a list says otherwise than a run"
            if row["reason"]:
                return refused(row["reason"])
            features = np.array([row[name] for name in scan._FEATURES], dtype=float)
            assert np.isfinite(features).all(), "a feature that is no number"
            try:
                waveform = audio.load(path, 32_000)
            except audio.BadAudio as error:  # a length or rate that only the larger number of samples is too much for
                return refused(error)
            assert waveform.dtype == np.float32 and waveform.ndim == 1 and len(waveform)
            assert np.isfinite(waveform).all()
            return TAKEN

        return once

    return prepare


def player(folder: Path, seed: int) -> Try:
    """A clip's file as the page plays and draws it."""
    from dashboard.shared.player import clip

    kinds = list(mutants_sound.FORMATS)

    def once(number: int) -> str:
        content = mutants_sound.make(kinds[number % len(kinds)], seed + 1, number)[1]
        try:
            made = clip._rendered(io.BytesIO(content))
        except clip.UNREADABLE:
            return refused("It cannot be read as sound.")
        assert made.picture.startswith(b"\x89PNG") and made.seconds > 0
        return TAKEN

    return once


def upload(folder: Path, seed: int) -> Try:
    """A visitor's file, decoded in a worker process."""
    from dashboard.views.listen import uploads

    kinds = list(mutants_sound.FORMATS)

    def once(number: int) -> str:
        try:
            heard = uploads.decode(mutants_sound.make(kinds[number % len(kinds)], seed + 2, number)[1])
        except uploads.BadSound as error:
            return refused(error)
        assert np.isfinite(heard.samples).all() and heard.seconds <= uploads.MAX_SECONDS
        return TAKEN

    return once


MANIFEST = b"file,split,kind,hand\n" + b"".join(
    b"%03d.wav,%s,%s,%s\n"
    % (i, (b"train", b"valid", b"test")[i % 3], (b"low", b"high")[i % 2], (b"left", b"")[i % 5 // 3])
    for i in range(30)
)


def manifest(folder: Path, seed: int) -> Try:
    """A folder with a manifest.csv."""
    _listed(folder)  # all is imported now
    root = folder / "pets"
    root.mkdir()
    for i in range(30):
        (root / f"{i:03}.wav").write_bytes(mutants_sound.whole("wav", 800))

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        (root / "manifest.csv").write_bytes(damaged_table(MANIFEST, rng))
        return _listed(root)

    return once


def segments(folder: Path, seed: int) -> Try:
    """A file of segments beside its sound, and a table of them."""
    _listed(folder)  # all is imported now
    root = folder / "x"
    files = segment_files.every_format(root)
    unchanged = len(segment_files.found(root).clips)

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        path, before = files[int(rng.integers(len(files)))]
        damaged = damaged_table(before, rng) if rng.random() < 0.8 else rng.bytes(int(rng.integers(300)))
        path.write_bytes(damaged[: int(rng.integers(len(damaged) + 1))] if rng.random() < 0.2 else damaged)
        try:
            dataset = segment_files.found(root)
            assert len(dataset.clips) == unchanged, "a clip was lost"
            assert all(s.onset < s.offset < np.inf and s.label for clip in dataset.clips for s in clip.segments)
            for line in (*(f"{p.path}: {p.reason}" for p in dataset.problems), *dataset.notes):
                refused(line)
            return _listed(root)
        finally:
            path.write_bytes(before)

    return once


def _listed(root: Path, evar: Path | None = None) -> str:
    """Find, list and describe what lies in a folder, as ``--list`` and the beginning of a run do."""
    from core.datasets import InputError, Options, choose_tasks, find, report
    from core.datasets.base import draw_evenly
    from core.progress.console import output
    from core.untrusted_text import one_line

    try:
        datasets = find([root], Options(evar_dir=evar))
        choose_tasks(datasets, "all")
    except InputError as error:
        return refused(one_line(str(error)))
    # Written through a terminal that knows few characters, as UTF-8 and SQLite would take it.
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "ascii", "strict")):
        console = output()
        for dataset in datasets:
            for line in [
                *report.summary(dataset),
                *report.listed_problems(dataset),
                *dataset.notes,
                *dataset.unexpected,
            ]:
                console.print(line)
            for clip in dataset.clips:
                "".join([clip.path, clip.split, *clip.labels, *clip.labels.values()]).encode()
                "".join(text for s in clip.segments for text in (s.attribute, s.label)).encode()
            for problem in dataset.problems:
                f"{problem.path}{problem.reason}".encode()
            for attribute in dataset.attributes:
                dataset.classes(attribute)
                draw_evenly(dataset, [attribute], 3, 0)
    return TAKEN


def tables(folder: Path, seed: int) -> Try:
    """The metadata of every dataset loader, and EVAR's, in a small replica of the dataset."""
    from tests.support import replicas_events, replicas_speech_music

    for replicas in (replicas_events, replicas_speech_music):
        for name, make in replicas.REPLICAS.items():
            make(folder / name)
    sounds = {".wav", ".flac", ".ogg", ".mp3", ".au"}
    places = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix.lower() not in sounds]
    of_evar = _evar_tables(folder / "EVAR")

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        files = places if rng.random() < 0.8 else of_evar
        path = files[int(rng.integers(len(files)))]
        before = path.read_bytes()
        root = folder / (path.relative_to(folder).parts[0] if files is places else path.stem.split("_")[-1])
        try:
            path.write_bytes((damaged_json if path.suffix == ".json" else damaged_table)(before, rng))
            return _listed(root, folder / "EVAR" if files is of_evar else None)
        finally:
            path.write_bytes(before)

    return once


def _evar_tables(folder: Path) -> list[Path]:
    """EVAR's tables, one a dataset, named so that the replica's folder is known from it."""
    lines = {
        "cremad": [f"{actor}_DFA_ANG_XX.wav,ANG,{part}" for actor, part in ((1001, "train"), (1002, "test"))],
        "gtzan": ["blues/blues.00000.wav,blues,train", "jazz/jazz.00001.wav,jazz,test"],
        "vocalsound": ["f0003_0_cough.wav,cough,train", "m0004_0_sigh.wav,sigh,test"],
        "vc1": ["id10001/video0_0/00000.wav,id10001,train", "wav/id10002/video1_0/00001.wav,id10002,test"],
        "voxforge": ["de/despeaker0-20100101-abc/wav/de-00.wav,de,train"],
    }
    made = []
    for name, rows in lines.items():
        path = folder / "evar" / "metadata" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["file_name,label,split", *rows, ""]))
        made.append(path)
    return made


def arguments(folder: Path, seed: int) -> Try:
    """A command line."""
    from core.run import options
    from run_analysis import main

    (folder / "empty").mkdir()
    manifest(folder, seed)
    (folder / "pets" / "manifest.csv").write_text("file,kind\nnone.wav,low\nnone2.wav,high\n")
    takes = [(a.option_strings[0], a.nargs != 0) for a in options._parser()._actions if a.option_strings]
    takes = [(name, value) for name, value in takes if name not in ("-h", "--report")]
    os.chdir(folder)

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        argv = [
            "--db",
            str(folder / "x.db"),
            "--data-dir",
            str(folder / str(rng.choice(["empty", "pets", "pets", "none"]))),
        ]
        if rng.random() < 0.3:
            argv.append("--list")
        for _ in range(int(rng.integers(1, 5))):
            name, value = takes[int(rng.integers(len(takes)))]
            argv += [name, str(rng.choice(WORDS))] if value and rng.random() < 0.97 else [name]
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "strict") for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(argv)
        told = [_content(stream) for stream in (out, err)]
        of_store = any("secret" in value for name, value in itertools.pairwise(argv) if name == "--db")
        for part in ("Traceback", "\x1b[31m", *(["secret"] if of_store else [])):
            assert part not in "".join(told), f"{part!r} is told of {argv}"
        if code == 0:
            return TAKEN
        assert code in (1, 2), f"exit code {code} of {argv}"
        errors = [line for line in told[1].splitlines() if line.startswith("error: ")]
        if len(errors) != 1 or told[1].count("\n") != 1:
            raise NotOneLine(f"{argv}: {told[1][:300]!r}")
        return refused(errors[0])

    return once


def _content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def statement(folder: Path, seed: int) -> Try:
    """SQL of a visitor on the SQL page."""
    import hashlib

    from db.connection.open import open_store
    from db.sandbox.ask import RefusedSQL, run_sql
    from tests.support.tiny_study import write_study

    store = folder / "atlas.db"
    engine = open_store(store)
    write_study(engine)
    engine.dispose()
    before = hashlib.sha256(store.read_bytes()).hexdigest()
    files = {path.name.split("-")[0] for path in folder.iterdir()}

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        words = [str(word) for word in rng.choice(SQL_WORDS, size=int(rng.integers(1, 14)))]
        start = str(
            rng.choice(["SELECT", "SELECT *", "WITH a AS (SELECT 1) SELECT", "PRAGMA", "EXPLAIN", "VALUES", ""])
        )
        try:
            run_sql(store, " ".join([start, *words]), seconds=1.0)
        except RefusedSQL as error:
            told = refused(error)
        else:
            told = TAKEN
        assert hashlib.sha256(store.read_bytes()).hexdigest() == before, "the store was changed"
        assert {path.name.split("-")[0] for path in folder.iterdir()} == files, "a file was made"
        return told

    return once


TARGETS: dict[str, Callable[[Path, int], Try]] = {
    **{kind: sound(kind) for kind in mutants_sound.FORMATS},
    "clips on the page": player,
    "uploads": upload,
    "manifests": manifest,
    "metadata of datasets": tables,
    "labels in time": segments,
    "checkpoints": checkpoint,
    "Hugging Face folders": model_folder,
    "command lines": arguments,
    "SQL statements": statement,
}
SOUNDS = tuple(mutants_sound.FORMATS)
