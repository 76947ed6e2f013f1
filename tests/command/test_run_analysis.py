"""The whole command, from files on disk to rows in the store."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import soundfile

from core.datasets.task import Task
from core.run import outcome
from db.schema.views.study import VIEWS
from tests.support.small_study import (
    NEURONS,
    RATE,
    RESULT_VIEWS,
    SETTINGS,
    clips_passed,
    make_dataset,
    query,
    read_manifest,
    results,
    run,
    small_network,
    sound,
    tables,
    write_manifest,
)


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture(scope="module")
def studied(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of one run over ``pets``; not to be changed."""
    folder = tmp_path_factory.mktemp("store")
    assert run("--data-dir", pets, "--db", folder / "atlas.db") == 0
    return folder


@pytest.fixture
def store(studied: Path, tmp_path: Path) -> Path:
    """A store of one's own to change."""
    shutil.copytree(studied, tmp_path / "store")
    return tmp_path / "store" / "atlas.db"


@pytest.fixture
def own(pets: Path, tmp_path: Path) -> Path:
    """A copy of ``pets``, with the same times of change, to change."""
    return Path(shutil.copytree(pets, tmp_path / "pets"))


def test_every_view_answers(studied: Path) -> None:
    db = studied / "atlas.db"
    n = {view: query(db, f"SELECT COUNT(*) FROM {view}")[0][0] for view in VIEWS}
    empty = {view for view in n if n[view] == 0}
    # None of the tasks is of pitches; six clips need not flip; curves are made where they are asked for.
    of_two_models = {"unit_partners", "matched_models", "partner_shares"}
    asked_for = {name for name in VIEWS if name.startswith(("layer_probe", "layer_weights", "layer_summaries"))}
    asked_for |= {"unit_descriptions", "unit_explanations", "unit_map", "unit_maps"}
    asked_for |= {"stimulus_sets", "stimulus_levels", "stimulus_layers", "stimulus_tuning"}
    asked_for |= {"unit_factors", "unit_invariance", "confound_answers"}
    asked_for |= {name for name in VIEWS if name.startswith("segment_")}  # no clip has any
    of_other_units = {"autoencoders", "reconstructions", "unit_stability"}
    missing = {"neuron_tuning", "erasure_curves", "erasure_areas"} | of_two_models | asked_for | of_other_units
    assert empty - {"ablation_flips"} == missing
    assert n["runs"] == 1
    assert n["clip_labels"] == 24 * 2
    assert n["activation_probabilities"] == NEURONS * (3 + 2)
    assert n["neuron_selectivity"] == NEURONS * 2 * 3
    assert n["task_coverage"] == 2 * 3
    assert n["top_clips"] == NEURONS * 8
    assert n["neuron_clips"] == NEURONS * (8 + 3 + 3)
    assert query(db, "SELECT COUNT(*) FROM clip_pattern") == [(NEURONS,)]
    assert query(db, "SELECT model, status FROM runs") == [("nano-ssl", "done")]
    assert query(db, "SELECT DISTINCT task FROM task_coverage ORDER BY task") == [("pets-hand",), ("pets-kind",)]


def test_numbers_are_possible_ones(studied: Path) -> None:
    db = studied / "atlas.db"
    bad = "SELECT COUNT(*) FROM {} WHERE NOT {}"
    for view, rule in {
        "activation_probabilities": "positive_count BETWEEN 0 AND token_count AND activation_probability <= 1",
        "neuron_selectivity": "(entropy IS NULL OR entropy BETWEEN 0 AND 1.1) AND max_probability BETWEEN 0 AND 1",
        "task_coverage": "coverage BETWEEN 0 AND 1 AND n_shuffles = 3 AND n_classes_covered <= n_classes",
        "ablation_effects": "delta BETWEEN -1 AND 1 AND ci_low <= delta AND delta <= ci_high AND n_controls = 2",
        "shared_neurons": "n_shared <= n_a AND n_shared <= n_b AND p_value BETWEEN 0 AND 1",
        "top_clips": "activation_rate BETWEEN 0 AND 1 AND rank BETWEEN 1 AND 8",
    }.items():
        assert query(db, bad.format(view, f"({rule})")) == [(0,)], view


def test_what_differs_in_sound_is_told_and_what_does_not_is_not(studied: Path) -> None:
    db = studied / "atlas.db"
    accuracy = dict(query(db, "SELECT task, accuracy FROM probe_accuracy WHERE split = 'test' AND class_name IS NULL"))
    assert accuracy["pets-kind"] >= 8 / 9, "of nine clips; chance is a third"
    assert accuracy["pets-hand"] < 8 / 9
    assert query(db, "SELECT DISTINCT task FROM ablation_effects") == [("pets-kind",)]
    notes = json.loads(query(db, "SELECT notes_json FROM runs")[0][0])
    assert [n for n in notes if n.startswith("pets-hand: not ablated (top 1%), the linear probe is at chance")]


def test_same_run_again_changes_nothing_and_says_so(
    pets: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tables(store)
    capsys.readouterr()
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", store) == 0
    assert passes == []
    assert tables(store) == before
    told = capsys.readouterr()
    assert f"everything asked for is already in {store}; nothing was changed" in told.out
    assert told.err == ""


def test_store_without_traces_gains_them_and_nothing_else(
    pets: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(store)
    with closing(sqlite3.connect(store)) as connection, connection:
        for table in ("contrast_clip", "clip_pattern", "activation_quantile", "stage WHERE name = 'traces'"):
            connection.execute(f"DELETE FROM {table}")
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", store, "--stages", "score") == 0
        assert passes == []
        assert run("--data-dir", pets, "--db", store) == 0
    assert sum(passes) == 24  # once
    after = tables(store)
    marks = {"run", "run_step", "stage", "activation_quantile"}  # the last names its stage
    assert {name: after[name] for name in after.keys() - marks} == {name: before[name] for name in after.keys() - marks}
    assert [row[2:] for row in after["activation_quantile"]] == [row[2:] for row in before["activation_quantile"]]
    assert len(after["stage"]) == len(before["stage"])


def test_two_fresh_stores_of_one_command_are_the_same(pets: Path, studied: Path, tmp_path: Path) -> None:
    assert run("--data-dir", pets, "--db", tmp_path / "b.db", "--workers", "1") == 0
    kept = set(tables(tmp_path / "b.db")) - {"run", "run_step", "stage"}
    first, second = tables(studied / "atlas.db"), tables(tmp_path / "b.db")
    for name in kept:
        assert first[name] == second[name], name


def test_second_model_adds(pets: Path, store: Path) -> None:
    before = results(store)
    second = ("--model", "nano-sl", *small_network(seed=1), *SETTINGS)
    assert run("--data-dir", pets, "--db", store, *second, quick=False) == 0
    after = results(store)
    for view in RESULT_VIEWS:
        assert set(before[view]) <= set(after[view]), view
    models = [("nano-sl",), ("nano-ssl",)]
    assert query(store, "SELECT DISTINCT model FROM task_coverage ORDER BY model") == models
    assert query(store, "SELECT DISTINCT model FROM ablation_effects ORDER BY model") == models


def test_stages_one_by_one_give_the_same_store(
    pets: Path, studied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "steps.db"
    assert run("--data-dir", pets, "--db", db, "--stages", "extract") == 0
    assert query(db, "SELECT COUNT(*) FROM task_coverage") == [(0,)]
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, "--stages", "score") == 0
    assert passes == []
    assert query(db, "SELECT COUNT(*) FROM ablation_effects") == [(0,)]
    assert run("--data-dir", pets, "--db", db, "--stages", "ablate") == 0
    assert results(db) == results(studied / "atlas.db")


@pytest.mark.parametrize(
    ("stage", "told"),
    [("score", "pets has no activations of nano-ssl yet; add extract to --stages"),
     ("ablate", "pets has no activations of nano-ssl yet; add extract to --stages")],
)  # fmt: skip
def test_stage_without_what_it_needs_says_which(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str, told: str
) -> None:
    assert run("--data-dir", pets, "--db", tmp_path / "a.db", "--stages", stage) == 2
    assert capsys.readouterr().err == f"error: {told}\n"


def test_ablation_of_a_task_that_is_not_scored_says_so(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("--data-dir", pets, "--db", tmp_path / "a.db", "--tasks", "pets-kind")
    assert run(*chosen, "--stages", "extract") == 0
    assert run(*chosen, "--stages", "ablate") == 2
    assert "pets-kind is not scored with these settings yet; add score to --stages" in capsys.readouterr().err


def test_some_tasks_and_then_all_give_what_all_at_once_give(
    pets: Path, studied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "some.db"
    assert run("--data-dir", pets, "--db", db, "--tasks", "pets-hand") == 0
    assert query(db, "SELECT DISTINCT task FROM task_coverage") == [("pets-hand",)]
    assert run("--data-dir", pets, "--db", db, "--tasks", "all") == 0
    assert results(db) == results(studied / "atlas.db")


def test_limit_draws_evenly_over_classes(pets: Path, tmp_path: Path) -> None:
    db = tmp_path / "few.db"
    assert run("--data-dir", pets, "--db", db, "--limit", 12, "--tasks", "pets-kind", "--stages", "extract") == 0
    counts = "SELECT value, COUNT(*) FROM clip_labels WHERE attribute = 'kind' GROUP BY value ORDER BY value"
    assert query(db, counts) == [("high", 4), ("low", 4), ("noise", 4)]


def test_quick_look_does_not_replace_results_of_all_clips(
    pets: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tables(store)
    assert run("--data-dir", pets, "--db", store, "--limit", 12) == 2
    told = capsys.readouterr().err
    assert (
        "other clips, labels or splits than the store's (24 clips with the results of 1 model and 2 tasks, now" in told
    )
    assert tables(store) == before
    assert run("--data-dir", pets, "--db", store, "--limit", 24) == 0
    assert tables(store) == before


def test_list_shows_and_makes_nothing(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    assert run("--list", "--data-dir", pets.parent, quick=False) == 0
    told = capsys.readouterr().out
    for line in (
        r"nano-ssl ",
        "pets: 24 clips",
        "train 12, valid 3, test 9",
        "pets-kind: 3 classes, low 8, high 8, noise 8",
        "esc50",
        str(pets),
    ):
        assert line in told
    assert run("--list", quick=False) == 0
    assert "demo-notes-pitch" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_changed_label_is_scored_again_without_a_new_pass(
    own: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(store)
    rows = read_manifest(own)
    rows[0]["kind"] = "noise"
    write_manifest(own, rows)
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", own, "--db", store, "--stages", "score") == 2
        assert "the store knows another dataset as pets: " in capsys.readouterr().err
        assert results(store) == before
        assert run("--data-dir", own, "--db", store, "--stages", "score", "--replace") == 0
    assert passes == []
    told = capsys.readouterr().out
    assert "--replace: pets of " in told and "is deleted, 24 clips with the results of 1 model and 2 tasks" in told
    after = results(store)
    assert after["activation_probabilities"] != before["activation_probabilities"]
    assert after["top_clips"] == before["top_clips"]
    kinds = "SELECT value, COUNT(*) FROM clip_labels WHERE attribute = 'kind' GROUP BY value ORDER BY value"
    assert query(store, kinds) == [("high", 8), ("low", 7), ("noise", 9)]


def test_changed_audio_is_recorded_again(own: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results(store)
    soundfile.write(own / "000.flac", sound("noise", 0.5, 99), RATE)
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", own, "--db", store, "--stages", "extract,score", "--replace") == 0
    assert sum(passes) == 24
    assert results(store)["activation_probabilities"] != before["activation_probabilities"]


def test_erasure_curves_are_added_to_what_is_there(pets: Path, store: Path) -> None:
    before, asked = results(store), ("--data-dir", pets, "--db", store, "--erasure-curves", "on")
    assert run(*asked) == 0
    after = results(store)
    added = {view for view in after if after[view] != before[view]}
    assert added == {"erasure_curves", "erasure_areas"}
    assert query(store, 'SELECT DISTINCT "order" FROM erasure_curves ORDER BY 1') == [
        ("attribution",), ("evidence",), ("mad",),
    ]  # fmt: skip
    assert query(store, "SELECT MAX(n_neurons) FROM erasure_curves") == [(NEURONS // 4,)]
    assert run(*asked) == 0
    assert results(store) == after


def test_other_preset_settings_are_scored_without_a_new_pass(
    pets: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = results(store)
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", store, "--entropy-rate", "0.05") == 0
    assert passes == []
    after = results(store)
    assert after["task_coverage"] != before["task_coverage"]
    for view in ("activation_probabilities", "ablation_effects", "top_clips", "probe_accuracy"):
        assert after[view] == before[view], view
    settings: dict[str, Any] = json.loads(
        query(store, "SELECT settings_json FROM task_coverage WHERE preset = 'aape'")[0][0]
    )
    assert settings["entropy_rate"] == 0.05


def test_second_dataset_is_added_and_shares_neurons_with_the_first(store: Path, pets: Path, tmp_path: Path) -> None:
    before = results(store)
    birds = make_dataset(tmp_path / "birds", n_clips=12, kinds=("low", "noise"))
    assert run("--data-dir", birds, "--db", store, "--tasks", "birds-kind", "--preset", "aape,lape,calibrated") == 0
    after = results(store)
    for view in set(RESULT_VIEWS) - {"shared_neurons"}:
        assert set(before[view]) <= set(after[view]), view
    pairs = "SELECT DISTINCT task_a, task_b FROM shared_neurons"
    assert ("birds-kind", "pets-kind") in query(store, pairs)
    assert ("pets-hand", "pets-kind") in query(store, pairs)


def test_datasets_may_lie_side_by_side_in_one_folder(pets: Path, tmp_path: Path) -> None:
    make_dataset(tmp_path / "data" / "birds", n_clips=12)
    make_dataset(tmp_path / "data" / "cats", n_clips=12)
    (tmp_path / "data" / "no-dataset").mkdir()
    assert run("--data-dir", tmp_path / "data", "--db", tmp_path / "a.db", "--stages", "extract") == 0
    found = query(tmp_path / "a.db", "SELECT DISTINCT dataset FROM clip_labels ORDER BY dataset")
    assert found == [("birds",), ("cats",)]


def test_a_task_that_fails_does_not_stop_the_others(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.scoring import scores

    score = scores.score

    def failing(task: Task, *rest: Any) -> Any:
        if task.attribute == "kind":
            raise ArithmeticError("made to fail\nin two lines")
        return score(task, *rest)

    monkeypatch.setattr(scores, "score", failing)
    db = tmp_path / "a.db"
    assert run("--data-dir", pets, "--db", db) == 1
    told = capsys.readouterr()
    assert told.err == "1 failed: pets-kind: ArithmeticError: made to fail\n"
    assert "Traceback" not in told.out
    assert query(db, "SELECT DISTINCT task FROM task_coverage") == [("pets-hand",)]
    assert query(db, "SELECT status FROM runs") == [("failed",)]
    monkeypatch.undo()
    assert run("--data-dir", pets, "--db", db) == 0
    assert query(db, "SELECT COUNT(*) FROM task_coverage") == [(6,)]
    assert query(db, "SELECT status FROM runs ORDER BY run_id") == [("failed",), ("done",)]


def test_a_task_whose_training_clips_are_of_one_class_is_left_out_and_told(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_manifest(own)
    write_manifest(own, [row if row["split"] == "test" else {**row, "hand": "left"} for row in rows])
    db = tmp_path / "a.db"
    assert run("--data-dir", own, "--db", db) == 0
    line = "pets-hand: not scored, clips of train and valid are of class left only; at least 2 classes are needed"
    told = capsys.readouterr()
    assert (told.out.count(f"\n{line}\n"), told.err) == (1, "")
    assert query(db, "SELECT DISTINCT task FROM task_coverage") == [("pets-kind",)]
    assert query(db, "SELECT status FROM runs") == [("done",)]


def test_names_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_dataset(tmp_path / "a [red]b :cat:", n_clips=12)
    rows = read_manifest(folder)
    write_manifest(folder, [{**row, "[/x]": "one"} for row in rows])
    db = tmp_path / "[bold].db"
    assert run("--data-dir", folder, "--db", db, "--stages", "extract") == 0
    told = capsys.readouterr().out
    assert "left out: a [red]b :cat:-[/x]: 1 class, nothing to tell apart" in told
    assert "a [red]b :cat: · extract: 12 clips" in told
    assert str(db) in told


def test_what_holds_for_several_is_said_once() -> None:
    notes = ["pets: no head", "the disk is slow", "birds: 3 files: left out", "cats: no head", "pets: no head"]
    assert outcome.together(notes) == ["pets, cats: no head", "the disk is slow", "birds: 3 files: left out"]
