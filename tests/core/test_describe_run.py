"""Moments are what the hooks see; the command describes units, referees a table, and does neither twice."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch

from core.datasets import audio
from core.datasets.base import Clip, Dataset
from core.datasets.scan import Scan, scan
from core.describe.describe import draw
from core.describe.kept import Kept
from core.describe.tokens import MOST_TOKENS, taken
from core.encoders import load_encoder
from core.encoders.hooks import keep
from core.recording.passes import Passes
from db.reads.named import NAMED
from tests.support.small_study import clips_passed, make_dataset, query, run, small_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("study") / "pets", 60)


def test_moments_are_means_over_the_bands_of_columns(folder: Path, tmp_path: Path) -> None:
    clips = tuple(Clip(path.name, "train", {"kind": "a"}) for path in sorted(folder.glob("*.wav"))[:3])
    found = scan(Dataset("pets", folder, ("kind",), clips), tmp_path / "scan.csv")
    encoder = load_encoder("nano-ssl", small_network()[1], "cpu")
    done: list[int] = []
    asked = encoder, found, np.array([2, 0]), Passes(batch_size=8)
    with taken(*asked, Kept(tmp_path / "heard.npz"), done.append) as tokens:
        values, clip, sound = np.array(tokens.values), tokens.clip, tokens.sound
    assert done == [2] and not list(tmp_path.glob("tmp*")), "the file is gone"
    kept = Kept(tmp_path / "heard.npz")
    with (
        patch("core.describe.tokens.measure", side_effect=AssertionError("measured again")),
        taken(*asked, kept, done.append) as again,
    ):
        assert np.array_equal(again.sound, sound, equal_nan=True) and np.array_equal(again.values, values)
    for place, position in enumerate((2, 0)):
        sound = audio.load(folder / clips[position].path, encoder.sample_rate)
        batch = encoder.prepare([sound])
        with torch.inference_mode(), keep(encoder, [0, 1]) as kept:
            encoder.forward(batch)
        n_columns = int(batch.counted[0].reshape(2, -1).any(0).sum())
        assert (clip == place).sum() == n_columns <= MOST_TOKENS
        columns = torch.cat([kept[layer][0].unflatten(0, (2, -1)).mean(0) for layer in (0, 1)], dim=1)[:n_columns]
        assert values[clip == place] == pytest.approx(columns.numpy(), abs=1e-5)


def test_groups_stay_together_and_no_clip_that_explains_is_held_out(folder: Path) -> None:
    clips = tuple(
        Clip(f"{i}.wav", "test" if i >= 30 else "train", {"kind": "ab"[i % 2], "speaker": f"s{i % 7}"})
        for i in range(40)
    )
    drawn = draw(Scan(Dataset("talk", folder, ("kind", "speaker"), clips), pd.DataFrame(), ()), np.arange(40) != 3, 0)
    assert sorted(drawn.clips[: drawn.n_chosen]) == [i for i in range(30) if i != 3] and drawn.n_chosen == 29
    assert sorted(drawn.clips[drawn.n_chosen :]) == list(range(30, 40))
    for part in (slice(0, 29), slice(29, None)):
        assert (np.diff(drawn.group[part]) >= 0).all() and drawn.group[part].max() == 6
    assert drawn.n_groups == 7
    assert len({(int(g), int(i) % 7) for g, i in zip(drawn.group, drawn.clips, strict=False)}) == 7


def test_the_command_describes_and_referees(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db, table = tmp_path / "atlas.db", tmp_path / "lm.csv"
    asked = ("--data-dir", folder, "--db", db, "--tasks", "pets-kind", "--stages", "extract,score", "--describe")
    assert run(*asked) == 0
    told = capsys.readouterr().out
    n_described, n_beat = query(db, "SELECT COUNT(*), SUM(beats_null) FROM unit_descriptions WHERE author = 'atlas'")[0]
    assert n_described > 50 and f"{n_described:,} of 256 units described by atlas, {n_beat:,} of them better" in told
    assert query(db, "SELECT COUNT(*), MAX(n_terms) <= 3 FROM unit_explanations") == [(256, 1)]
    ((words,),) = query(db, "SELECT words_json FROM describing")
    assert json.loads(words)["f0 high"] == ["high pitch", "high-pitched"]
    (unit, layer, kind, predicts) = query(
        db, "SELECT unit, layer, unit_kind, description FROM unit_descriptions ORDER BY correlation DESC LIMIT 1"
    )[0]
    assert kind == "mlp" and predicts.startswith("fires on ")
    table.write_text(
        "model,layer,unit,description,author,predicts\n"
        f"nano-ssl,{layer},{unit},noise and low tones,ann,class:noise; class:low\n"
        f"nano-ssl,{layer},{unit},whale song,lm,\nother,0,0,noise,lm,\n"
    )
    with clips_passed(monkeypatch) as passes:
        assert run(*asked[:-1], "--import-descriptions", table) == 0
    assert sum(passes) == 60, "heard once more, for the table alone"
    out = capsys.readouterr()
    lost = "no class or descriptor of that name: “whale song”; 1 of 2 descriptions say nothing that can be scored"
    assert lost in out.err + out.out
    assert "1 of 3 rows are on other (mlp), which this run does not study" in out.err + out.out
    columns = "author, description, correlation IS NOT NULL, null_correlation_high IS NOT NULL"
    assert query(db, f"SELECT {columns} FROM unit_descriptions WHERE author <> 'atlas'") == [
        ("ann", "noise and low tones", 1, 1)
    ]
    with closing(sqlite3.connect(db)) as connection:
        names = [column[0] for column in connection.execute("SELECT * FROM unit_descriptions").description]
    assert names == [
        "model", "unit_kind", "layer", "unit", "description", "author", "correlation", "average_precision", "f1", "iou",
        "null_correlation_high", "beats_null", "created_at", "dataset",
    ]  # fmt: skip
    assert sum(row[4] for row in query(db, NAMED["units described"][1])) == n_described + 1
    with clips_passed(monkeypatch) as passes:
        assert run(*asked[:-1], "--import-descriptions", table) == 0
    assert passes == [], "what is there is not done again"
    table.write_text("model,layer,unit,description\nnano-ssl,2,0,noise\n")
    assert run(*asked[:-1], "--import-descriptions", table) != 0
    assert "unit 0 of layer 2 is not in nano-ssl, whose layers have 128, 128 units" in "".join(capsys.readouterr())


def test_too_few_clips_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, db = make_dataset(tmp_path / "pets", 24), tmp_path / "atlas.db"
    assert run("--data-dir", small, "--db", db, "--tasks", "pets-kind", "--stages", "extract,score", "--describe") == 0
    assert (
        "pets: units not described, 15 train and valid clips and 9 test clips; expected 20" in capsys.readouterr().out
    )
    assert query(db, "SELECT * FROM unit_descriptions") == []
