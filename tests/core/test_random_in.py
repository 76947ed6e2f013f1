"""An untrained network on shuffled labels: nothing is found, and the run says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.datasets import manifest
from core.datasets.base import shuffled_labels
from tests.support.small_study import make_dataset, query, run

QUICK = (
    *("--shuffles", "20", "--preset", "aape,lape,calibrated", "--entropy-rate", "0.01", "--probability-bar", "0.95"),
    *("--weights", ""),  # those of the trained network
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("random") / "pets", n_clips=90)


def test_untrained_network_on_shuffled_labels_finds_nothing(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "atlas.db"
    stages = ("--stages", "extract,score")
    assert run("--data-dir", sounds, "--db", db, *QUICK, *stages, "--untrained", "--shuffle-labels") == 0
    told = capsys.readouterr().out
    assert "labels are shuffled (seed 0); whatever is found is chance" in told
    assert told.count("0 neurons, 0 of 3 classes") == 2 and told.count("nothing beyond chance") == 4
    found = query(db, "SELECT model, task, n_pairs FROM task_coverage WHERE preset = 'calibrated' ORDER BY model, task")
    tasks = ("shuffled-pets-hand", "shuffled-pets-kind")
    assert found == [(model, task, 0) for model in ("nano-ssl", "nano-untrained") for task in tasks]


def test_true_labels_are_found_by_both(sounds: Path, tmp_path: Path) -> None:
    db = tmp_path / "atlas.db"
    run("--data-dir", sounds, "--db", db, *QUICK, "--stages", "extract,score", "--untrained", "--tasks", "pets-kind")
    found = query(db, "SELECT model, n_classes_covered FROM task_coverage WHERE preset = 'calibrated' ORDER BY model")
    assert found == [("nano-ssl", 3), ("nano-untrained", 3)]


def test_labels_are_dealt_within_splits_and_keep_together(sounds: Path) -> None:
    dataset = manifest.read(sounds)
    shuffled = shuffled_labels(dataset, seed=1)
    assert [clip.path for clip in shuffled.clips] == [clip.path for clip in dataset.clips]
    assert shuffled == shuffled_labels(dataset, seed=1) != shuffled_labels(dataset, seed=2)
    for split in ("train", "valid", "test"):
        before, after = (
            [tuple(clip.labels.items()) for clip in of.clips if clip.split == split] for of in (dataset, shuffled)
        )
        assert sorted(before) == sorted(after)
        assert before != after
    assert shuffled.task("kind") == "shuffled-pets-kind"
