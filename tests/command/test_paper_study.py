"""The paper's eight datasets, as they are unpacked, through the whole command at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import replicas_events, replicas_speech_music
from tests.support.small_study import query, run

REPLICAS = {**replicas_events.REPLICAS, **replicas_speech_music.REPLICAS}
EIGHT = ("esc50", "gise51", "voxforge", "vc1", "cremad", "gtzan", "nsynth", "surge")
TASKS = {
    "esc50", "gise51", "voxforge", "vc1-gender", "vc1-nationality", "cremad", "cremad-gender", "gtzan",
    "nsynth-family", "nsynth-pitch", "nsynth-octave", "surge-pitch", "surge-octave",
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a study of the tasks on all eight, under one folder."""
    folder = tmp_path_factory.mktemp("paper")
    for name in EIGHT:
        REPLICAS[name](folder / "data")
    db = folder / "atlas.db"
    quick = ("--shuffles", "2", "--controls", "1", "--ablate-clips", "2", "--min-test-clips", "1")
    assert run("--tasks", ",".join(sorted(TASKS)), "--data-dir", folder / "data", "--db", db, *quick) == 0
    return db


def test_every_task_of_the_paper_is_scored_and_has_its_linear_head(study: Path) -> None:
    for view in ("task_coverage", "probe_accuracy"):
        assert {task for (task,) in query(study, f"SELECT DISTINCT task FROM {view}")} >= TASKS
    ablated = {task for (task,) in query(study, "SELECT DISTINCT task FROM ablation_effects")}
    assert len(ablated & TASKS) >= 10  # a head at chance has nothing to lose


@pytest.mark.parametrize(
    ("task_a", "task_b", "same"),
    [
        ("nsynth-octave", "surge-octave", ["3", "4"]),
        ("cremad-gender", "vc1-gender", []),  # each speaker has one gender, and there are too few speakers
        ("esc50", "gise51", []),
    ],
)
def test_classes_of_two_datasets_are_compared(study: Path, task_a: str, task_b: str, same: list[str]) -> None:
    pairs = query(
        study,
        "SELECT class_a, class_b, n_shared, expected FROM shared_neurons"
        f" WHERE preset = 'calibrated' AND (task_a, task_b) IN (('{task_a}', '{task_b}'), ('{task_b}', '{task_a}'))",
    )
    sizes = dict(query(study, "SELECT task, n_classes FROM task_coverage WHERE preset = 'calibrated'"))
    assert len(pairs) == sizes[task_a] * sizes[task_b]
    assert sorted(a for a, b, n_shared, expected in pairs if a == b and n_shared > expected) == same
