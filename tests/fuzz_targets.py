"""What strangers hand to the project, a kind a target: each makes damaged input by number and says what became of it.

A target is prepared once in an empty folder and then given numbers; it returns whether the input was taken, or why it
was refused. Anything that is raised is a fault.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests import mutants_sound
from tests.mutants_text import CELLS, damaged_json, damaged_table

Try = Callable[[int], str]
TAKEN = "taken"
RATE = 16_000


class NotOneLine(AssertionError):
    """A refusal that is none, or more than a line."""


def refused(error: object) -> str:
    text = str(error)
    if not text.strip() or "\n" in text or "Traceback" in text:
        raise NotOneLine(repr(text[:200]))
    return text


def sound(kind: str) -> Callable[[Path, int], Try]:
    """A file as the pipeline reads it, in its scan, and its header alone."""

    def prepare(folder: Path, seed: int) -> Try:
        from core import audio, scan

        path = folder / f"x{mutants_sound.suffix(kind)}"

        def once(number: int) -> str:
            path.write_bytes(mutants_sound.make(kind, seed, number)[1])
            with contextlib.suppress(audio.BadAudio):
                assert audio.seconds(path) >= 0
            status = path.stat()
            row = scan._look(folder, path.name, status.st_size, status.st_mtime_ns)
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
    import soundfile

    from dashboard.components import clip

    kinds = list(mutants_sound.FORMATS)

    def once(number: int) -> str:
        content = mutants_sound.make(kinds[number % len(kinds)], seed + 1, number)[1]
        try:
            made = clip._rendered(io.BytesIO(content))
        except clip.UNREADABLE as error:
            assert isinstance(error, soundfile.SoundFileError | OSError | ValueError)
            return refused("It cannot be read as sound.")
        assert made.picture.startswith(b"\x89PNG") and made.seconds > 0
        return TAKEN

    return once


def upload(folder: Path, seed: int) -> Try:
    """A visitor's file, decoded in a worker process."""
    from dashboard import uploads

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
    b"%03d.wav,%s,%s,%s\n" % (i, (b"train", b"valid", b"test")[i % 3], (b"low", b"high")[i % 2], (b"left", b"")[i % 5 // 3])
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


def _listed(root: Path, evar: Path | None = None) -> str:
    """Find, list and describe what lies in a folder, as ``--list`` and the beginning of a run do."""
    from core.cli import output
    from core.datasets import InputError, Options, choose_tasks, find, report
    from core.datasets.base import draw_evenly
    from core.text import one_line

    try:
        datasets = find([root], Options(evar_dir=evar))
        choose_tasks(datasets, "all")
    except InputError as error:
        return refused(one_line(str(error)))
    # Written through a terminal that knows few characters, as UTF-8 and SQLite would take it.
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "ascii", "strict")):
        console = output()
        for dataset in datasets:
            for line in [*report.summary(dataset), *report.listed_problems(dataset), *dataset.notes, *dataset.unexpected]:
                console.print(line)
            for clip in dataset.clips:
                "".join([clip.path, clip.split, *clip.labels, *clip.labels.values()]).encode()
            for problem in dataset.problems:
                f"{problem.path}{problem.reason}".encode()
            for attribute in dataset.attributes:
                dataset.classes(attribute)
                draw_evenly(dataset, [attribute], 3, 0)
    return TAKEN


def tables(folder: Path, seed: int) -> Try:
    """The metadata of every dataset loader, and EVAR's, in a small replica of the dataset."""
    from tests import replicas_events, replicas_speech_music

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


class Trap:
    """Leaves a mark if anyone unpickles it."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def checkpoint(folder: Path, seed: int) -> Try:
    """Weights of every family that a file gives: torn, mistyped, absurd, and with code in them."""
    import torch
    from safetensors.torch import load, save

    from core.datasets import InputError
    from core.encoders import load_encoder
    from core.encoders.nano import WEIGHTS
    from core.encoders.torchaudio_bundle import add_bundle
    from core.text import one_line
    from tests import tiny_m2d, tiny_torchaudio

    kind = next(iter(tiny_torchaudio.KINDS))
    add_bundle(kind, tiny_torchaudio.bundle(kind))
    states = {"m2d": tiny_m2d.random_state(), f"torchaudio:{kind}": tiny_torchaudio.network(kind).state_dict()}
    nano = (WEIGHTS / "nano-ssl.safetensors").read_bytes()
    mark = folder / "ran"
    traps = [Trap(os.mkdir, str(mark)), Trap(os.system, f"mkdir {mark}"), Trap(eval, f"__import__('os').mkdir({str(mark)!r})"),
             Trap(exec, f"open({str(mark)!r}, 'w')")]  # fmt: skip

    def torch_file(state: Any, rng: np.random.Generator) -> bytes:
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=bool(rng.random() < 0.7))
        return buffer.getvalue()

    def changed(state: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        found: dict[str, Any] = dict(state)
        for key in rng.choice(list(found), size=int(rng.integers(1, 4)), replace=False):
            tensor = torch.as_tensor(found[key])
            how = int(rng.integers(12))
            made = [torch.full_like(tensor, torch.nan), torch.full_like(tensor, torch.inf), tensor[:-1], tensor.flatten(),
                    tensor.int(), tensor.to(torch.complex64), torch.zeros(1).expand(*tensor.shape, 50_000),
                    torch.zeros(0), [1, 2], None, traps[int(rng.integers(len(traps)))], None][how]  # fmt: skip
            if how == 11:
                found[f"more.{key}"] = found.pop(key)
            else:
                found[key] = made
        return found

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        name = str(rng.choice(["nano-ssl", *states]))
        path = folder / "m2d_vit_base-80x208p16x16-tiny.pth"
        if name == "nano-ssl":
            path = folder / "x.safetensors"
            content = _damaged_safetensors(nano, rng)
        else:
            state = changed(states[name], rng) if rng.random() < 0.6 else states[name]
            try:
                content = torch_file(state, rng)
            except Exception:  # what cannot be written is another's fault
                content = pickle.dumps({"model": traps[0]})
            how = rng.random()
            tensors = [t for t in state.values() if isinstance(t, torch.Tensor)]
            if how < 0.2 and len(tensors) == len(state) and sum(t.numel() for t in tensors) < 1e7:
                path = path.with_suffix(".safetensors")
                content = _damaged_safetensors(save({k: t.contiguous() for k, t in state.items()}), rng)
            elif how < 0.3 and name == "m2d":
                path = path.with_suffix(".zip")
                content = _zipped(content, rng)
            elif how < 0.4:
                content = pickle.dumps(traps[int(rng.integers(len(traps)))], protocol=int(rng.integers(6)))
            elif how < 0.8:
                content = _torn(content, rng)
        path.write_bytes(content)
        try:
            encoder = load_encoder(name, path)
        except InputError as error:
            return refused(one_line(str(error)))
        finally:
            path.unlink()
            assert not mark.exists(), "code of a checkpoint was run"
        assert encoder.embed([np.zeros(RATE // 4, np.float32)]).shape == (1, encoder.n_features)
        return TAKEN

    assert load(nano)
    return once


def _torn(content: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(content)
    if rng.random() < 0.4:
        return bytes(damaged[: int(rng.integers(len(damaged)))])
    within = len(damaged) if rng.random() < 0.5 else min(3_000, len(damaged))
    for place in rng.integers(within, size=int(rng.integers(1, 40))):
        damaged[-place if rng.random() < 0.3 else place] = int(rng.integers(256))
    return bytes(damaged)


def _damaged_safetensors(content: bytes, rng: np.random.Generator) -> bytes:
    """Torn, or with another header: shapes, types, places and the model's own configuration."""
    if rng.random() < 0.3:
        return _torn(content, rng)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if rng.random() < 0.5 and "config" in header.get("__metadata__", {}):
        header["__metadata__"]["config"] = damaged_json(header["__metadata__"]["config"].encode(), rng).decode("utf-8", "replace")
        changed = json.dumps(header).encode()
    else:
        changed = damaged_json(json.dumps(header).encode(), rng)
    told = len(changed) if rng.random() < 0.9 else int(rng.choice([0, 1, 2**31, 2**40, 2**63]))
    return told.to_bytes(8, "little") + changed + content[8 + size :]


def _zipped(content: bytes, rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    name = str(rng.choice(["x/a.pth", "../a.pth", "/a.pth", "a.safetensors", "a.txt", "\x1b[31m.pth", "a" * 300 + ".pth"]))
    bomb = rng.random() < 0.3
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if bomb else zipfile.ZIP_STORED) as archive:
        archive.writestr(name, bytes(60_000_000) if bomb else content)
    return buffer.getvalue() if rng.random() < 0.5 else _torn(buffer.getvalue(), rng)


def model_folder(folder: Path, seed: int) -> Try:
    """A Hugging Face folder: configuration, feature settings, index and weights."""
    from core.datasets import InputError
    from core.encoders import load_encoder
    from core.text import one_line
    from tests import tiny_hf

    names = ("whisper", "wav2vec2", "wavlm", "data2vec", "ast", "clap")
    made = {label: tiny_hf.folder(name) for label, name in tiny_hf.build(folder / "whole").items() if label in names}

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        copy = folder / "model"
        shutil.copytree(made[names[number % len(names)]], copy)
        try:
            file = copy / str(rng.choice(["config.json", "config.json", "preprocessor_config.json", "model.safetensors"]))
            damage = _damaged_safetensors if file.suffix == ".safetensors" else damaged_json
            file.write_bytes(damage(file.read_bytes(), rng))
            if rng.random() < 0.1:
                (copy / "README.md").write_bytes(CELLS[int(rng.integers(len(CELLS)))] * 50)
            if rng.random() < 0.1:
                (copy / "model.safetensors").rename(copy / "model-1.safetensors")
                index = json.dumps({"weight_map": {"a": "model-1.safetensors"}}).encode()
                (copy / "model.safetensors.index.json").write_bytes(damaged_json(index, rng))
            load_encoder(f"hf:{copy}")
        except InputError as error:
            return refused(one_line(str(error)))
        finally:
            shutil.rmtree(copy)
        return TAKEN

    return once


WORDS = (
    "", " ", ",", "all", "auto", "0", "1", "-1", "1.5", "nan", "inf", "-inf", "1e999", "9" * 400, "9" * 5_000, "٣", "²", "0x1",
    "aape", "lape,aape", "top:0.01", "top:9", "pairs:", "file:", "file:/nowhere", "file:/", "mean,keep", "0,", "quantile:x",
    "any-above:2", "cuda:0", "cuda:-1", "cuda:" + "9" * 5_000, "cpu:", "mps", "bfloat16", "task", "unit", "extract,score",
    "score,scroe", "nano-ssl", "nano", "m2d", "m2d:", "m2d:/nowhere", "hf:", "hf:/nowhere", "hf:no/such/thing/at/all", "hf:~x",
    "torchaudio:", "torchaudio:NONE", "python:", "python:os", "python:/nowhere.py", "python:..", "~nobody/x", "/", "..", ".",
    "/dev/null", "x" * 5_000, "a/" * 2_000, "a\nb", "\x1b[31m", "\udcff", "🐕", "ü=ö", "=", "A=B,C", "-", "--", "%s", "*", "$HOME",
    "sqlite://", "sqlite:///", "postgresql://u:secret@h:port/x", "mysql://u:p@h/x", "://", "no://x", "16x16", "80x608p16x16p16k",
    ":memory:", "train",
)  # fmt: skip
"""Values that options are given, rightly and wrongly."""


def arguments(folder: Path, seed: int) -> Try:
    """A command line."""
    from core import options
    from run_analysis import main

    (folder / "empty").mkdir()
    manifest(folder, seed)
    (folder / "pets" / "manifest.csv").write_text("file,kind\nnone.wav,low\nnone2.wav,high\n")
    takes = [(a.option_strings[0], a.nargs != 0) for a in options._parser()._actions if a.option_strings]
    takes = [(name, value) for name, value in takes if name not in ("-h", "--report")]
    os.chdir(folder)

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        argv = ["--db", str(folder / "x.db"), "--data-dir", str(folder / str(rng.choice(["empty", "pets", "pets", "none"])))]
        if rng.random() < 0.3:
            argv.append("--list")
        for _ in range(int(rng.integers(1, 5))):
            name, value = takes[int(rng.integers(len(takes)))]
            argv += [name, str(rng.choice(WORDS))] if value and rng.random() < 0.97 else [name]
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "strict") for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(argv)
        told = [stream.buffer.getvalue().decode() for stream in (out, err) if stream.flush() is None]  # type: ignore[attr-defined]
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


def statement(folder: Path, seed: int) -> Try:
    """SQL of a visitor on the SQL page."""
    import hashlib

    from db.sandbox import RefusedSQL, run_sql
    from db.session import open_store
    from tests.tiny_study import write_study

    store = folder / "atlas.db"
    engine = open_store(store)
    write_study(engine)
    engine.dispose()
    before = hashlib.sha256(store.read_bytes()).hexdigest()
    files = {path.name.split("-")[0] for path in folder.iterdir()}

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        words = [str(word) for word in rng.choice(SQL_WORDS, size=int(rng.integers(1, 14)))]
        start = str(rng.choice(["SELECT", "SELECT *", "WITH a AS (SELECT 1) SELECT", "PRAGMA", "EXPLAIN", "VALUES", ""]))
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


SQL_WORDS = [
    "*", "1", "'a'", "NULL", "-1", "9223372036854775808", "x'00'", "FROM", "runs", "run", "neuron", "clip_labels", "sqlite_master",
    "class_specific_neurons", "WHERE", "1 = 1", "ORDER BY", "GROUP BY", "1", "LIMIT", "0", ",", "(", ")", "((", "JOIN", "UNION ALL",
    "SELECT", ";", "--", "/*", "*/", "'", '"', "`", "[", "DELETE FROM run", "; DROP TABLE run", "ATTACH 'x.db' AS y", "VACUUM INTO 'y.db'",
    "load_extension('x')", "readfile('/etc/passwd')", "writefile('x','y')", "randomblob(999999999)", "zeroblob(2000000000)",
    "printf('%.*c', 1000000000, 'x')", "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM t) SELECT x FROM t",
    "table_info(run)", "journal_mode=DELETE", "writable_schema=1", "\\", "\t", "\n", "é", "🐕", "\ud800", "\0", "a" * 3_000, "(" * 300,
    "CAST(x'ff' AS TEXT)", "json_each('[1]')", "json('{')", "LIKE '%a%'", "GLOB '*'", "AS", "CASE", "END", "0x7fffffffffffffff",
]  # fmt: skip

TARGETS: dict[str, Callable[[Path, int], Try]] = {
    **{kind: sound(kind) for kind in mutants_sound.FORMATS},
    "clips on the page": player,
    "uploads": upload,
    "manifests": manifest,
    "metadata of datasets": tables,
    "checkpoints": checkpoint,
    "Hugging Face folders": model_folder,
    "command lines": arguments,
    "SQL statements": statement,
}
SOUNDS = tuple(mutants_sound.FORMATS)
