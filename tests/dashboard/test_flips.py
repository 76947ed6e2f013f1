"""Clips that an ablation makes the head call by another class: found, stored, seen through their view."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.ablation import ablate
from core.ablation.ablate import Setting
from core.ablation.effects import flips
from core.ablation.targets import Target
from core.datasets.task import Task
from core.probes.fit import LinearHead, Part
from core.results import Ablation
from db.connection.open import open_store
from db.reads import ablation as ablation_queries
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.planted import planted_encoder, planted_neurons, scan_tones
from tests.support.records import ablations_of

CHOSEN = ablation_queries.Chosen("nano-ssl", "rooms-event", "top 2%", "scale", 0.0)

NAMES = ("a", "b", "c")


def test_only_changed_predictions_are_told_with_their_places() -> None:
    before, after = np.array([[0], [1], [2], [2]]), np.array([[0], [2], [2], [0]])
    found = flips(before, after, np.array([10, 11, 15, 19]), np.eye(3, dtype=bool)[[0, 1, 2, 0]], NAMES)
    assert found.to_dict("list") == {
        "clip_index": [11, 19], "predicted_before": ["b", "c"], "predicted_after": ["c", "a"]
    }  # fmt: skip


def test_clips_with_several_labels_have_no_single_answer_to_flip() -> None:
    members = np.array([[True, True, False], [False, True, False]])
    found = flips(np.array([[0, 1], [1, -1]]), np.array([[2, 1], [0, -1]]), np.array([0, 1]), members, NAMES)
    assert found.empty


def test_without_a_tones_neurons_its_own_clips_flip_and_no_others(tmp_path: Path) -> None:
    tones = scan_tones(tmp_path)
    task = Task(tones, "tone")
    clips = np.flatnonzero(task.in_splits("test"))
    loudest = LinearHead(np.zeros(5), np.ones(5), np.diag([1.0, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
    parts = [Part(clips[::2], loudest), Part(clips[1::2], loudest)]
    target = Target("top 1%", "a", planted_neurons()["a"])
    (found,) = ablate.Sweep(planted_encoder(), task, parts, [target], Setting(n_controls=2)).run()
    assert sorted(found.flips["clip_index"]) == [
        i for i in clips.tolist() if task.members[i, task.class_names.index("a")]
    ]
    assert set(found.flips["predicted_before"]) == {"a"}
    assert "a" not in set(found.flips["predicted_after"])


def effects_of(names: tuple[str, ...]) -> pd.DataFrame:
    numbers = (
        "n_clips accuracy_unablated accuracy_ablated delta ci_low ci_high p_value q_value control_delta_mean "
        "control_delta_low control_delta_high n_controls control_p_value beyond_control beyond_control_low "
        "beyond_control_high activity_control_delta_mean activity_control_delta_low activity_control_delta_high "
        "n_activity_controls group_ci_low group_ci_high n_heads delta_heads_low delta_heads_high"
    )
    return pd.DataFrame({"class_name": names, **dict.fromkeys(numbers.split(), 0.0)})


@pytest.fixture
def path(one_model_store: Path, tmp_path: Path) -> Path:
    """The made-up study of one model, none of whose ablations flipped a clip."""
    path = Path(shutil.copy(one_model_store, tmp_path / "atlas.db"))
    engine = open_store(path)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM ablation_flip")
    engine.dispose()
    return path


def write(path: Path, told: pd.DataFrame, key: str) -> None:
    """Write one ablation of the made-up study with these flips."""
    engine = open_store(path)
    store = Store(engine)
    row = frame(engine, "SELECT id, model_name FROM run WHERE model_name = 'nano-ssl' ORDER BY id DESC LIMIT 1").iloc[0]
    model = int(frame(engine, "SELECT id FROM model WHERE name = 'nano-ssl'")["id"].iloc[0])
    ablation = Ablation(
        "rooms-event", "top 2%", "dog", 0.0, np.array([3, 5]), effects_of(("dog", "rain")), np.zeros((0, 2)), flips=told
    )
    store.write_ablations(int(row["id"]), key, model, ablations_of("rooms-event", [ablation]))
    engine.dispose()


def test_flips_are_stored_with_their_clips_and_replaced_with_their_ablation(path: Path) -> None:
    # Clip 2 of rooms is a dog, clip 12 a rain: its classes come in turn.
    told = pd.DataFrame(
        {"clip_index": [12, 2], "predicted_before": ["wind", "dog"], "predicted_after": ["rain", "cough"]}
    )
    write(path, told, "first")
    engine = open_store(path, read_only=True)
    seen = ablation_queries.flips(engine, CHOSEN, "dog")
    columns = ["path", "true_class", "predicted_before", "predicted_after"]
    assert seen[columns].to_numpy().tolist() == [
        ["train/rooms-002.flac", "dog", "dog", "cough"], ["train/rooms-012.flac", "rain", "wind", "rain"]
    ]  # fmt: skip
    assert Path(seen["root"].iloc[0]).name == "rooms"
    assert ablation_queries.any_flips(engine, "nano-ssl", "rooms-event")
    assert not ablation_queries.any_flips(engine, "nano-ssl", "notes-pitch")
    engine.dispose()

    write(path, told.iloc[:0], "second")
    engine = open_store(path, read_only=True)
    assert frame(engine, "SELECT * FROM ablation_flip").empty
    assert frame(engine, "SELECT * FROM ablation_flips").empty
    engine.dispose()


def test_a_flipped_clip_without_a_label_of_the_task_stays(path: Path) -> None:
    told = pd.DataFrame({"clip_index": [2], "predicted_before": ["dog"], "predicted_after": ["cough"]})
    write(path, told, "first")
    engine = open_store(path)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM clip_label")
    seen = ablation_queries.flips(engine, CHOSEN, "dog")
    assert seen["true_class"].isna().tolist() == [True]
    engine.dispose()
