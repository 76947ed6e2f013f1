"""Small datasets of made sound on disk, a run of the whole command over them, and what it stored."""

from __future__ import annotations

import csv
import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

import run_analysis
from core.encoders import nano
from core.encoders.nano import NanoEncoder, NanoViT
from db.schema.views.study import VIEWS

RATE = 16_000
SETTINGS = (
    *("--batch-size", "8", "--entropy-rate", "0.3", "--probability-bar", "0.5"),
    *("--shuffles", "3", "--controls", "2", "--min-test-clips", "2", "--ablate-clips", "6", "--ablate", "top:0.01"),
)
QUICK = ("--model", "nano-ssl", *SETTINGS)
NEURONS = 256
"""Of the small network."""

RESULT_VIEWS = sorted(set(VIEWS) - {"runs", "run_steps"})


def sound(kind: str, seconds: float, seed: int, rate: int = RATE) -> NDArray[np.float64]:
    """A tone (``low``, ``high``) or noise (``noise``), easy to tell apart; no two the same."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    noise = 0.05 * rng.standard_normal(len(time))
    if kind == "noise":
        return 4 * noise
    pitch = {"low": 200, "high": 1500}[kind] * rng.uniform(0.9, 1.1)
    return 0.3 * np.sin(2 * np.pi * pitch * time) + noise


def write_manifest(folder: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make_dataset(folder: Path, n_clips: int = 24, kinds: Sequence[str] = ("low", "high", "noise")) -> Path:
    """A dataset with the attributes ``kind`` and ``hand`` (left or right, which the sound does not tell)."""
    folder.mkdir(parents=True)
    rows = []
    splits = ("train", "test", "train", "valid", "test")
    for i in range(n_clips):
        kind, split = kinds[i % len(kinds)], splits[(i // len(kinds)) % 5]
        name = f"{i:03}.{'wav' if i % 2 else 'flac'}"
        soundfile.write(folder / name, sound(kind, 0.5 + 0.05 * (i % 11), i), RATE)
        rows.append({"file": name, "split": split, "kind": kind, "hand": "left" if (i // 4) % 2 else "right"})
    write_manifest(folder, rows)
    return folder


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Gone with this process."""
    return tempfile.TemporaryDirectory()


@cache
def small_network(seed: int = 0) -> tuple[str, str]:
    """Options that give a nano model 2 layers of 128 neurons, untrained: they tell the kinds of sound apart as well."""
    trained = nano.read_weights(nano.WEIGHTS / "nano-ssl.safetensors")[0].config
    config = replace(trained, width=48, n_layers=2, mlp_width=NEURONS // 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = NanoViT(config).state_dict()
    path = Path(_folder().name) / f"{seed}.safetensors"
    save_file(state, path, {"config": json.dumps(asdict(config))})
    return "--weights", str(path)


def run(*arguments: object, quick: bool = True) -> int:
    """The command in this process, quick unless told and of the small network unless given another; its exit code."""
    small = () if "--model" in arguments or "--weights" in arguments else small_network()
    return run_analysis.main([str(a) for a in ((*QUICK, *small, *arguments) if quick else arguments)])


def tables(db: Path) -> dict[str, list[Any]]:
    """Every row of every table of the store, but for the stamp, which every write renews, and where the store lies."""
    with closing(sqlite3.connect(db)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'store_stamp' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        found = {name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for (name,) in names}
    found["dataset"] = [row[:-1] for row in found["dataset"]]  # root_from_store
    return found


def query(db: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(sql).fetchall()


def results(db: Path) -> dict[str, list[Any]]:
    """Every row of every public view but ``runs``, without the store's own numbers of rows."""
    found = {}
    with closing(sqlite3.connect(db)) as connection:
        for view in RESULT_VIEWS:
            cursor = connection.execute(f"SELECT * FROM {view}")
            columns = [c[0] for c in cursor.description]
            kept = [i for i, c in enumerate(columns) if c not in ("clip_id", "ablation_id")]
            found[view] = sorted((tuple(row[i] for i in kept) for row in cursor), key=repr)
    return found


@contextmanager
def clips_passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many clips each batch held that the model was given inside the block."""
    sizes: list[int] = []
    prepare = NanoEncoder.prepare

    def counting(self: NanoEncoder, waveforms: Any, padding: Any = "exclude") -> Any:
        if np.any(waveforms[0]):  # not the silence that measures how many tokens the longest clip has
            sizes.append(len(waveforms))
        return prepare(self, waveforms, padding)

    with monkeypatch.context() as patch:
        patch.setattr(NanoEncoder, "prepare", counting)
        yield sizes
