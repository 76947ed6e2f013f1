"""Whole runs over a dataset in folds, and over one whose clips have several labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.datasets import Clip, Dataset
from core.run import inputs
from tests.support.small_study import RATE, query, run, sound

KINDS = ("low", "high", "noise")
Study = Callable[..., Path]


def folded(root: Path) -> Dataset:
    """Thirty clips in three folds; a clip of five per cent other length for each."""
    clips = []
    for i in range(30):
        kind, fold = KINDS[i % 3], f"fold {i // 3 % 3 + 1}"
        soundfile.write(root / f"{i}.wav", sound(kind, 0.5 + 0.05 * (i % 7), i), RATE)
        clips.append(Clip(f"{i}.wav", fold, {"kind": kind, "half": "ab"[i // 3 % 2]}))
    own = tuple("test" if i // 3 % 3 == 0 else "train" for i in range(30))
    return Dataset("made", root, ("kind", "half"), tuple(clips), split_of={"half": own}, entropy_rate=0.5)


def mixed(root: Path) -> Dataset:
    """Clips with one or two of three sounds; whatever sounds low is a ``tone`` too."""
    clips = []
    chosen = [("low",), ("high",), ("noise",), ("low", "high"), ("high", "noise"), ("low", "noise")]
    splits = ("train", "train", "valid", "test", "train", "test")
    for i in range(72):
        kinds = chosen[i % 6]
        wave = np.sum([sound(kind, 0.5, 100 * i + k) for k, kind in enumerate(kinds)], axis=0)
        soundfile.write(root / f"{i}.wav", 0.5 * wave, RATE)
        labels = ",".join([*kinds, *(["tone"] if "low" in kinds else [])])
        clips.append(Clip(f"{i}.wav", splits[i // 6 % 6], {"sound": labels}))
    return Dataset("made", root, ("sound",), tuple(clips), multilabel=("sound",))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Runs the command over a dataset that no file describes; returns the store."""

    def stored(dataset: Dataset, *arguments: object) -> Path:
        monkeypatch.setattr(inputs, "datasets", lambda *_: [dataset])
        assert run("--data-dir", dataset.root, "--db", tmp_path / "atlas.db", *arguments) == 0
        return tmp_path / "atlas.db"

    return stored


def test_dataset_in_folds(study: Study, tmp_path: Path) -> None:
    dataset = folded(tmp_path)
    db = study(dataset, "--ablate-clips", "all")
    whole = "SELECT split, n_clips, accuracy FROM probe_accuracy WHERE task = 'made-kind' AND class_name IS NULL"
    found = {split: (n, accuracy) for split, n, accuracy in query(db, whole)}
    assert set(found) == {"fold 1", "fold 2", "fold 3", "test"}
    assert found["test"][0] == sum(found[f"fold {k}"][0] for k in (1, 2, 3)) == 30
    # Neurons are chosen on folds 1 and 2, and lose what clips of every fold show.
    assert query(db, "SELECT DISTINCT n_clips FROM task_coverage WHERE task = 'made-kind'") == [(21,)]
    assert query(db, "SELECT DISTINCT n_clips FROM task_coverage WHERE task = 'made-half'") == [(18,)]
    effects = query(
        db, "SELECT DISTINCT n_clips, accuracy_unablated FROM ablation_effects"
        " WHERE task = 'made-kind' AND affected_class IS NULL",
    )  # fmt: skip
    assert effects == [found["test"]]
    of_attribute = "SELECT DISTINCT split FROM clip_labels WHERE attribute = '{}' ORDER BY split"
    assert query(db, of_attribute.format("kind")) == [("fold 1",), ("fold 2",), ("fold 3",)]
    assert query(db, of_attribute.format("half")) == [("test",), ("train",)]
    before = query(db, "SELECT key FROM stage")
    study(dataset, "--ablate-clips", "all")
    assert query(db, "SELECT key FROM stage") == before, "a second run finds all done"
    study(dataset, "--ablate-clips", "9")
    ((notes,),) = query(db, "SELECT notes_json FROM runs WHERE run_id = 2")
    assert any("ablated on 9 of 30 test clips" in note for note in json.loads(notes))


def test_clips_of_several_labels(study: Study, tmp_path: Path) -> None:
    db = study(mixed(tmp_path), "--ablate-clips", "all", "--ablate", "top:0.01,lape")
    assert query(db, "SELECT COUNT(*) FROM clip_labels WHERE attribute = 'sound'") == [(36 * 4,)]
    probe = query(
        db, "SELECT class_name, n_clips, accuracy, chance, metric FROM probe_accuracy WHERE split = 'test' ORDER BY 1"
    )
    assert [row[0] for row in probe] == [None, "high", "low", "noise", "tone"]
    assert {row[4] for row in probe} == {"average precision"}
    assert probe[0][1] == 24 and [row[1] for row in probe[1:]] == [12] * 4
    assert probe[0][2] == pytest.approx(np.mean([row[2] for row in probe[1:]]))
    assert probe[0][2] > 0.8 > probe[0][3]
    assert query(db, "SELECT DISTINCT n_clips, n_classes FROM task_coverage") == [(48, 4)]
    assert query(db, "SELECT DISTINCT token_count > 0 FROM activation_probabilities") == [(1,)]
    sizes = query(db, "SELECT DISTINCT affected_class, n_clips FROM ablation_effects ORDER BY 1")
    assert sizes == [(None, 24), ("high", 12), ("low", 12), ("noise", 12), ("tone", 12)]
    nested = query(db, "SELECT DISTINCT class_a, class_b FROM shared_neurons WHERE nested = 1")
    assert nested == [("low", "tone")]
    assert query(db, "SELECT COUNT(*) FROM shared_neurons WHERE nested = 0") == [(5 * 3,)]


@pytest.mark.parametrize(("given", "in_force"), [((), 0.5), (("--entropy-rate", "0.25"), 0.25)])
def test_entropy_rate_of_the_dataset_unless_the_user_gives_one(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], in_force: float
) -> None:
    quick = ("--model", "nano-ssl", "--shuffles", "0", "--stages", "extract,score", "--tasks", "made-half")
    monkeypatch.setattr("tests.support.small_study.QUICK", quick)
    dataset = folded(tmp_path)
    db = study(dataset, *given)
    ((settings,),) = query(db, "SELECT settings_json FROM task_coverage WHERE preset = 'aape'")
    assert json.loads(settings)["entropy_rate"] == in_force
    ((config,),) = query(db, "SELECT config_json FROM runs")
    assert json.loads(config)["entropy_rate"] == (in_force if given else "0.01, or the dataset's own")
    study(replace(dataset, entropy_rate=None), *given)
    ((settings,),) = query(db, "SELECT settings_json FROM task_coverage WHERE preset = 'aape'")
    assert json.loads(settings)["entropy_rate"] == (in_force if given else 0.01)
