"""The disk is asked for before anything is computed."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, event

import run_analysis
from core import files
from core.datasets import InputError
from core.datasets.manifest import read
from core.datasets.scan import Scan, scan
from core.encoders import load_encoder
from core.recording import activations
from core.recording.candidates import most_candidates
from core.run import disk_space
from core.run.config import AnalysisConfig
from tests.support.planted import scan_tones
from tests.support.small_study import make_dataset, run


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def free_of(n: int) -> Callable[[object], Usage]:
    return lambda place: Usage(10**12, 0, n)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("with_layers", [False, True])
def test_need_is_what_extraction_then_takes(tones: Scan, tmp_path: Path, with_layers: bool) -> None:
    encoder, config = load_encoder("nano-ssl"), AnalysisConfig(probe_layers=with_layers)
    need, in_words = (
        disk_space.needed(each, encoder, tones, tones.dataset.attributes, tmp_path)
        for each in (config, replace(config, describe=True))
    )
    made = activations.open_activations(encoder, tones, tmp_path, config.padding, "float32", with_layers)
    on_disk = sum(f.stat().st_size for f in made.folder.iterdir())
    assert need.matrices <= on_disk <= need.matrices + (6 + with_layers) * 128, "headers of six files, or of seven"
    kept = most_candidates(len(tones.files))
    assert 64 < kept < len(tones.files)
    seconds = sorted(tones.files["seconds"])[-kept:]
    most = activations.most_tokens(encoder, tones, config.padding)
    assert need.traces == encoder.n_neurons * sum(math.ceil(most * s / seconds[-1]) for s in seconds)
    assert need.answers > 0 and need.store > encoder.n_neurons * 14 * most
    assert need.total == need.matrices + need.store + need.other + max(need.traces, need.answers)
    assert need.moments == 0 and in_words.moments == 4 * encoder.n_neurons * len(tones.files) * min(32, most)
    assert in_words.store - need.store == disk_space.DESCRIPTION_BYTES * encoder.n_neurons


def test_nothing_is_needed_for_what_is_there(tones: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, config = load_encoder("nano-ssl"), AnalysisConfig()
    before = disk_space.needed(config, encoder, tones, ("tone",), tmp_path)
    activations.open_activations(encoder, tones, tmp_path, config.padding, "float32")
    again = disk_space.needed(config, encoder, tones, ("tone",), tmp_path)
    assert again.matrices == again.traces == 0 and 0 < again.store < before.store and again.answers == before.answers
    held = {("nano-ssl", tones.dataset.task("tone"))}
    assert disk_space.needed(config, encoder, tones, ("tone",), tmp_path, held) == disk_space.Need()
    data = [(tones, ("tone",))]
    assert disk_space.ask(config, [encoder], data, tmp_path, held) == ("", False)
    monkeypatch.setattr(shutil, "disk_usage", free_of(8_000_000))
    for of in (held, set()):
        with pytest.raises(InputError, match=r"disk: .* needed, 8.0 MB free"):
            disk_space.ask(config, [encoder], data, tmp_path, of)


def test_store_and_scans_are_about_as_large_as_told(tmp_path: Path) -> None:
    pets = make_dataset(tmp_path / "pets", 60)
    db, peak = tmp_path / "atlas.db", [0]

    def look(*_: object) -> None:
        peak[0] = max(peak[0], sum(f.stat().st_size for f in tmp_path.glob("atlas.db*")))

    event.listen(Engine, "commit", look)
    try:
        # Enough neurons that the store is more than its empty tables, and every stage.
        assert run("--data-dir", pets, "--db", db, "--model", "nano-ssl", "--ablate", "top:0.01,aape") == 0
    finally:
        event.remove(Engine, "commit", look)
    config = replace(AnalysisConfig(), ablate=("top:0.01", "aape"), controls=2, ablate_clips=6, min_test_clips=2)
    scanned, encoder = scan(read(pets), tmp_path / "s.csv"), load_encoder("nano-ssl")
    need = disk_space.needed(config, encoder, scanned, ("kind", "hand"), tmp_path / "none")
    told = need.store + disk_space.STORE_BYTES
    assert told / 2 < db.stat().st_size < told * 1.1
    assert db.stat().st_size < peak[0] < told + max(need.other, disk_space.LEAST)
    beside = sum(f.stat().st_size for f in (tmp_path / "atlas.files").rglob("*") if f.suffix in (".csv", ".md"))
    assert beside < disk_space.LEAST


def test_the_demos_sound_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "disk_usage", free_of(8_000_000))
    assert run("--db", tmp_path / "atlas.db", "--tasks", "demo-events-event") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("error: the sound of demo-events takes 47 MB, 8.0 MB are free in ")
    assert not (tmp_path / "cache").exists()


def test_one_long_clip_among_short_ones_is_asked_for_once(tones: Scan, tmp_path: Path) -> None:
    encoder, config = load_encoder("nano-ssl"), AnalysisConfig()
    seconds = tones.files["seconds"].where(tones.files.index != tones.files.index[0], 1800.0)
    long = replace(tones, files=tones.files.assign(seconds=seconds))
    whole, mixed = (
        disk_space.needed(config, encoder, scanned, ("tone",), tmp_path).traces
        for scanned in (replace(tones, files=tones.files.assign(seconds=1800.0)), long)
    )
    kept = most_candidates(len(tones.files))
    assert whole / kept < mixed < 1.4 * whole / kept


def test_too_little_is_told_with_numbers(tones: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, data = load_encoder("nano-ssl"), [(tones, tones.dataset.attributes)]
    need = disk_space.needed(AnalysisConfig(), encoder, *data[0], tmp_path)
    need = replace(need, store=need.store + disk_space.STORE_BYTES, other=max(need.other, disk_space.LEAST))
    monkeypatch.setattr(shutil, "disk_usage", free_of(need.total))
    told = disk_space.ask(AnalysisConfig(), [encoder], data, tmp_path / "not" / "there")
    assert told == (f"disk: {need} needed, {files.size(need.total)} free in {tmp_path}", False)
    monkeypatch.setattr(shutil, "disk_usage", free_of(need.total - 1))
    told, is_short = disk_space.ask(AnalysisConfig(), [encoder], data, tmp_path)
    assert is_short and told.endswith("the run goes on, and keeps what is finished if it fills up")
    monkeypatch.setattr(shutil, "disk_usage", free_of(need.matrices + disk_space.LEAST - 1))
    with pytest.raises(InputError, match=r"disk: .* \(matrices .*\) needed, .* free in .*; free some, give --db"):
        disk_space.ask(AnalysisConfig(), [encoder], data, tmp_path)
    on_server = disk_space.needed(AnalysisConfig(db="postgresql+psycopg://host/atlas"), encoder, *data[0], tmp_path)
    assert on_server.store == 0 and on_server.matrices == need.matrices and on_server.other < need.other


def test_run_stops_before_anything_is_computed(
    tones: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", free_of(1000))
    db = tmp_path / "a.db"
    options = ["--data-dir", str(tones.dataset.root), "--model", "nano-ssl", "--db", str(db)]
    assert run_analysis.main(options) == 2
    told = capfd.readouterr().err.split()
    assert " ".join(told).startswith("error: disk: ") and "1.0 kB free" in " ".join(told)
    assert not (tmp_path / "a.files" / "activations").exists()
    assert scan(read(tones.dataset.root), tmp_path / "s.csv").content_key == tones.content_key
