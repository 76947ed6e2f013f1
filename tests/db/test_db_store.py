"""Writing: replacing, adding, marks of completion, and all or nothing."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from core.results import ClipRecord, ModelRecord, NeuronPattern, ProbeResult, Problem, Sharing, TaskScores
from db.connection.open import StoreError
from db.reads.pipeline import specific_sets
from db.schema.metadata import METADATA
from db.schema.views.study import VIEWS
from db.writes.store import Store
from tests.support.records import ablations_of
from tests.support.tiny_study import (
    ABLATION,
    CALIBRATED,
    DATASET,
    MODEL,
    MODEL_ID,
    PROBE,
    SCORES,
    SHARED,
    TOP_CLIPS,
    TRACES,
    rows,
    write_study,
)

STAGES = (
    "score",
    "top_clips",
    "traces",
    "probe",
    "layer_probes",
    "attribution",
    "ablate",
    "specificity",
    "share",
    "map",
    "confound answers",
)


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table: connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one() for table in METADATA.tables
        }


def run(store: Store) -> int:
    return store.start_run("tiny", {}, 0, "0.1.0", {}, "cpu")


def test_writing_everything_again_changes_no_row(tiny_engine: Engine) -> None:
    views = [view for view in VIEWS if view not in ("runs", "run_steps")]
    columns = {
        "ablation_effects": "ablation_id", "unit_ablation_effects": "ablation_id", "unit_descriptions": "created_at",
    }  # fmt: skip
    before = {view: rows(tiny_engine, f"SELECT * FROM {view}") for view in views}
    numbers = counts(tiny_engine)
    write_study(tiny_engine)
    assert counts(tiny_engine) == {**numbers, "run": 2, "run_step": 4}
    for view in views:
        after = rows(tiny_engine, f"SELECT * FROM {view}")
        if view in columns:  # an id or a time of its own, which one that is replaced may change
            assert len(after) == len(before[view])
        else:
            assert after == before[view]


def test_marks_come_with_their_stage(engine: Engine) -> None:
    store = Store(engine)
    assert not store.is_done("tiny/score")
    write_study(engine)
    assert all(store.is_done(f"tiny/{stage}") for stage in STAGES)
    assert not store.is_done("tiny/other")


def test_other_settings_take_the_former_mark_away(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    store.write_scores(1, "tiny/score, other settings", MODEL_ID, SCORES)
    assert store.is_done("tiny/score, other settings")
    assert not store.is_done("tiny/score")  # its rows are gone
    assert store.is_done("tiny/probe")


def test_ablations_replace_those_of_their_selection_and_gain_only(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    task = "pets-animal"
    store.write_ablations(1, "twice", MODEL_ID, ablations_of(task, [replace(ABLATION, gain=2.0)]))
    store.write_ablations(1, "dog", MODEL_ID, ablations_of(task, [replace(ABLATION, gain=2.0, target="dog")]))
    found = rows(tiny_engine, "SELECT DISTINCT gain, target FROM ablation_effects ORDER BY 1")
    assert found == [(0.0, "cat"), (2.0, "dog")]
    assert [store.is_done(key) for key in ("tiny/ablate", "twice", "dog")] == [True, False, True]
    store.write_ablations(1, "none", MODEL_ID, ablations_of(task, [], (ABLATION.selection, "scale", 2.0)))
    assert rows(tiny_engine, "SELECT DISTINCT gain, target FROM ablation_effects") == [(0.0, "cat")]
    assert [store.is_done(key) for key in ("tiny/ablate", "dog", "none")] == [True, False, True]


def test_traces_go_with_the_top_clips_they_belong_to(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    before = counts(tiny_engine)
    store.write_traces(1, "tiny/traces, other settings", MODEL_ID, TRACES)
    assert counts(tiny_engine) == before
    assert [store.is_done(key) for key in ("tiny/traces", "tiny/traces, other settings")] == [False, True]
    store.write_top_clips(1, "tiny/top_clips, again", MODEL_ID, TOP_CLIPS)
    assert not store.is_done("tiny/traces, other settings")
    for table in ("contrast_clip", "clip_pattern", "activation_quantile"):
        assert counts(tiny_engine)[table] == 0
    assert counts(tiny_engine)["top_clip"] == before["top_clip"]


def test_traces_are_whole_or_not_there(tiny_engine: Engine) -> None:
    before = counts(tiny_engine)

    def broken() -> Iterator[tuple[int, list[NeuronPattern]]]:
        yield 0, []
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        Store(tiny_engine).write_traces(1, "again", MODEL_ID, replace(TRACES, patterns=broken()))
    assert counts(tiny_engine) == before
    assert Store(tiny_engine).is_done("tiny/traces")


def test_grids_follow_the_model(engine: Engine) -> None:
    store = Store(engine)
    store.register_model(replace(MODEL, grids=()))
    assert counts(engine)["token_grid"] == 0
    store.register_model(MODEL)
    asked = "SELECT layer, n_bands, column_seconds, span_seconds, chunk_seconds, chunk_columns, band_edges_json"
    assert rows(engine, f"{asked} FROM token_grid") == [
        (0, 2, 0.25, 0.5, 1.25, 4, "[50.0, 1000.0, 8000.0]"), (1, 1, None, None, None, None, "[0.0, 8000.0]"),
    ]  # fmt: skip


def test_second_model_adds(tiny_engine: Engine) -> None:
    one = counts(tiny_engine)
    write_study(tiny_engine, "second")
    two = counts(tiny_engine)
    shared = {"store_stamp", "dataset", "attribute", "clip", "clip_label", "problem", "task", "task_class"}
    shared |= {"segment_attribute", "segment_class", "clip_segment"}
    written = {name for name, n in one.items() if n}
    assert set(one) - written == {"matching", "unit_partner"}, "these are of two models"
    assert {name: two[name] // one[name] for name in written} == {name: 1 if name in shared else 2 for name in written}
    assert all(Store(tiny_engine).is_done(f"{name}/score") for name in ("tiny", "second"))


def test_registering_again_updates_what_is_descriptive_only(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    before = counts(tiny_engine)
    moved = replace(DATASET, root="/elsewhere", problems=(Problem("x", "y"), Problem("z", "y")))
    assert store.register_dataset(moved) == ""
    assert store.register_model(replace(MODEL, description="other words")) == MODEL_ID
    assert counts(tiny_engine) == {**before, "problem": 2}
    assert rows(tiny_engine, "SELECT root FROM dataset") == [("/elsewhere",)]


def test_same_problems_again_keep_their_rows(engine: Engine) -> None:
    store = Store(engine)
    for name in ("pets", "birds"):
        store.register_dataset(replace(DATASET, name=name))
    before = rows(engine, "SELECT * FROM problem ORDER BY id")
    store.register_dataset(DATASET)
    assert rows(engine, "SELECT * FROM problem ORDER BY id") == before


@pytest.mark.parametrize("changed", [replace(MODEL, weights_key="weights-2"), replace(MODEL, layer_widths=(2, 2))])
def test_changed_model_of_the_same_name_is_refused_and_nothing_is_lost(
    tiny_engine: Engine, changed: ModelRecord
) -> None:
    before = counts(tiny_engine)
    store = Store(tiny_engine)
    with pytest.raises(StoreError, match=r"results of 'tiny' with other weights.*another --db"):
        store.register_model(changed)
    assert counts(tiny_engine) == before
    assert all(store.is_done(f"tiny/{stage}") for stage in STAGES)


def test_changed_dataset_loses_its_results_and_what_classes_share(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    other = replace(DATASET, name="others", content_key="content-9")
    store.register_dataset(other)
    scores = replace(SCORES, dataset="others", task="others-animal")
    store.write_scores(1, "others/score", MODEL_ID, scores)
    clips = (*DATASET.clips, ClipRecord("new.wav", "train", 1.0, {"animal": "dog"}))
    changed = replace(DATASET, content_key="content-2", clips=clips)
    before = counts(tiny_engine)
    told = (
        "other clips, labels or splits than the store's .3 clips with the results of 1 model and 1 task, now 4 clips."
    )
    with pytest.raises(StoreError, match=told + "; --replace deletes those results, another --db keeps them"):
        store.register_dataset(changed)
    with pytest.raises(StoreError, match=f"knows another dataset as {DATASET.name}: .*, now /bats; name this one"):
        store.register_dataset(replace(changed, root="/bats"))
    assert counts(tiny_engine) == before
    assert "3 clips with the results of 1 model" in store.register_dataset(changed, replace=True)
    assert not any(store.is_done(f"tiny/{stage}") for stage in STAGES)
    assert store.is_done("others/score")
    assert rows(tiny_engine, "SELECT DISTINCT task FROM activation_probabilities") == [("others-animal",)]
    left = counts(tiny_engine)
    assert left["clip"] == 3 + 4
    for table in (
        "model_dataset",
        "top_clip",
        "contrast_clip",
        "clip_pattern",
        "activation_quantile",
        "probe",
        "layer_probe",
        "layer_probe_score",
        "layer_weight",
        "layer_attribution_value",
        "ablation",
        "ablation_neuron",
        "sharing",
        "unit_map_facts",
        "unit_place",
        "confound_answers_of",
        "confound_answer",
        "segment_attribute",
        "segment_study",
        "segment_score",
        "clip_segment",
    ):
        assert left[table] == 0, table


@pytest.mark.parametrize("table", ["class_specific_neuron", "neuron_entropy", "class_total"])
def test_failure_in_the_middle_leaves_nothing(engine: Engine, table: str) -> None:
    store = Store(engine)
    store.register_dataset(DATASET)
    model_id = store.register_model(MODEL)
    run_id = run(store)
    power_cut = {
        "sqlite": [f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'power cut'); END"],
        "postgresql": [
            "CREATE FUNCTION cut() RETURNS trigger AS $$ BEGIN RAISE 'power cut'; END $$ LANGUAGE plpgsql",
            f"CREATE TRIGGER broken BEFORE INSERT ON {table} EXECUTE FUNCTION cut()",
        ],
    }
    with engine.begin() as connection:
        for statement in power_cut[engine.dialect.name]:
            connection.exec_driver_sql(statement)
    before = counts(engine)
    with pytest.raises(Exception, match="power cut"):
        store.write_scores(run_id, "score", model_id, SCORES)
    assert counts(engine) == before
    assert not store.is_done("score")


def test_failure_while_replacing_keeps_the_former(tiny_engine: Engine) -> None:
    before = counts(tiny_engine)
    broken = replace(SCORES, selections=(replace(SCORES.selections[0], pairs=pd.DataFrame()),))
    with pytest.raises(KeyError):
        Store(tiny_engine).write_scores(1, "tiny/score", MODEL_ID, broken)
    assert counts(tiny_engine) == before
    assert Store(tiny_engine).is_done("tiny/score")


def test_unknown_names_say_what_to_do(engine: Engine) -> None:
    store = Store(engine)
    run_id = run(store)
    with pytest.raises(StoreError, match="model 1 is not in the store; register it first"):
        store.write_scores(run_id, "s", 1, SCORES)
    model_id = store.register_model(MODEL)
    with pytest.raises(StoreError, match="dataset pets is not in the store; register it first"):
        store.write_top_clips(run_id, "t", model_id, TOP_CLIPS)
    store.register_dataset(DATASET)
    with pytest.raises(StoreError, match="dataset pets has no top clips of the model; write them first"):
        store.write_traces(run_id, "t", model_id, TRACES)
    with pytest.raises(StoreError, match="dataset pets has no attribute colour"):
        store.write_scores(run_id, "s", model_id, replace(SCORES, attribute="colour"))
    with pytest.raises(StoreError, match="task pets-animal is not in the store; write its scores"):
        store.write_probe(run_id, "p", model_id, PROBE)
    with pytest.raises(StoreError, match="class cat of task pets-animal is not in the store"):
        store.write_shared(run_id, "sh", model_id, Sharing([SHARED]))
    with pytest.raises(ValueError, match=r"have shape \(2, 2\), expected \(2, 3\)"):
        wrong = replace(SCORES, positive_counts=SCORES.positive_counts[:, :2])
        store.write_scores(run_id, "s", model_id, wrong)
    assert not any(store.is_done(key) for key in ("s", "t", "p", "sh"))


def test_one_task_name_for_two_attributes_is_refused(tiny_engine: Engine) -> None:
    with pytest.raises(StoreError, match="in the store for another dataset or attribute"):
        Store(tiny_engine).write_scores(1, "s", MODEL_ID, replace(SCORES, attribute="place"))


def test_skipped_probe_has_no_rows(tiny_engine: Engine) -> None:
    skipped = ProbeResult("pets-animal", PROBE.rows.iloc[:0], skipped="no valid clips")
    Store(tiny_engine).write_probe(1, "tiny/probe", MODEL_ID, skipped)
    assert rows(tiny_engine, "SELECT * FROM probe_accuracy") == []
    assert rows(tiny_engine, "SELECT skipped FROM probe") == [("no valid clips",)]
    assert Store(tiny_engine).is_done("tiny/probe")


def test_killed_run_is_told_from_a_running_one(engine: Engine) -> None:
    store = Store(engine)
    killed, other = run(store), store.start_run("other", {}, 0, "0.1.0", {}, "cpu")
    store.register_model(MODEL)
    again = run(store)
    store.finish_run(other, "failed", {"extract": 1.5})
    found = rows(engine, "SELECT run_id, status, seconds_extract FROM runs ORDER BY run_id")
    assert found == [(killed, "stopped", None), (other, "failed", 1.5), (again, "running", None)]


def test_class_that_lost_its_clips_stays_out_of_the_task(tiny_engine: Engine) -> None:
    one: TaskScores = replace(
        SCORES,
        class_names=("dog",),
        n_clips_per_class=SCORES.n_clips_per_class[1:],
        positive_counts=SCORES.positive_counts[1:],
        token_counts=SCORES.token_counts[1:],
        selections=SCORES.selections[2:],
        tables={},
    )
    Store(tiny_engine).write_scores(1, "tiny/score", MODEL_ID, one)
    assert rows(tiny_engine, "SELECT n_classes, n_clips, coverage FROM task_coverage") == [(1, 1, 0.0)]
    assert rows(tiny_engine, "SELECT DISTINCT class_name FROM activation_probabilities") == [("dog",)]


def test_many_rows_in_several_packs(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    widths, n_classes = (301, 200), 7
    store = Store(engine)
    store.register_dataset(DATASET)
    model_id = store.register_model(replace(MODEL, layer_widths=widths))
    counted = rng.integers(0, 100, (n_classes, sum(widths)))
    scores = TaskScores(
        dataset="pets",
        attribute="animal",
        task="pets-animal",
        class_names=tuple(f"class {index}" for index in range(n_classes)),
        n_clips_per_class=np.ones(n_classes, dtype=np.int64),
        positive_counts=counted,
        token_counts=np.full(n_classes, 100),
        entropy=rng.random(sum(widths)),
        selections=(),
    )
    store.write_scores(run(store), "s", model_id, scores)
    found = np.zeros_like(counted)
    for name, layer, neuron, count in rows(
        engine, "SELECT class_name, layer, neuron, positive_count FROM activation_probabilities"
    ):
        found[int(str(name).split()[1]), int(str(layer)) * widths[0] + int(str(neuron))] = int(str(count))
    assert (found == counted).all()
    ranks = [row[0] for row in rows(engine, "SELECT entropy_rank FROM neuron_entropy ORDER BY entropy")]
    assert ranks == list(range(1, sum(widths) + 1))


def test_clip_with_several_values_has_a_row_for_each(engine: Engine) -> None:
    clips = (
        ClipRecord("a.wav", "train", 1.0, {"sound": ("bark", "dog"), "place": "home"}),
        ClipRecord("b.wav", "train", 1.0, {"sound": ("dog",)}),
        ClipRecord("c.wav", "test", 1.0, {"sound": (), "place": "a, b"}),
    )
    dataset = replace(DATASET, name="yard", attributes=("sound", "place"), clips=clips)
    Store(engine).register_dataset(dataset)
    found = rows(engine, "SELECT path, attribute, value FROM clip_labels ORDER BY path, attribute, value")
    assert found == [
        ("a.wav", "place", "home"), ("a.wav", "sound", "bark"), ("a.wav", "sound", "dog"), ("b.wav", "sound", "dog"),
        ("c.wav", "place", "a, b"),
    ]  # fmt: skip


def test_attribute_with_a_split_of_its_own_is_told_with_it(engine: Engine) -> None:
    labels = {"sound": ("bark", "dog"), "place": "home"}
    clips = (
        ClipRecord("a.wav", "train", 1.0, labels, {"sound": "test"}),
        ClipRecord("b.wav", "test", 1.0, labels, {"sound": "train", "nothing": "test"}),
    )
    Store(engine).register_dataset(replace(DATASET, name="yard", attributes=("sound", "place"), clips=clips))
    found = rows(engine, "SELECT DISTINCT path, attribute, split FROM clip_labels ORDER BY path, attribute")
    assert found == [
        ("a.wav", "place", "train"), ("a.wav", "sound", "test"),
        ("b.wav", "place", "test"), ("b.wav", "sound", "train"),
    ]  # fmt: skip


def test_classes_within_others_are_found_from_the_clips(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    labels = [("bark", "dog"), ("dog",), ("cat", "dog"), ("cat",), ("bark", "dog")]
    clips = tuple(ClipRecord(f"{i}.wav", "train", 1.0, {"sound": v}) for i, v in enumerate(labels))
    store.register_dataset(replace(DATASET, name="yard", attributes=("sound",), clips=clips))
    scores = replace(
        SCORES, dataset="yard", attribute="sound", task="yard-sound", class_names=("cat", "dog", "bark"),
        n_clips_per_class=np.array([2, 4, 2]), positive_counts=np.zeros((3, 3), dtype=np.int64),
        token_counts=np.array([20, 40, 20]), n_clips=5,
        selections=(replace(CALIBRATED, pairs=CALIBRATED.pairs.iloc[:0]),),
    )  # fmt: skip
    store.write_scores(run(store), "yard", MODEL_ID, scores)
    assert rows(tiny_engine, "SELECT n_clips FROM task_coverage WHERE task = 'yard-sound'") == [(5,)]
    nested = {s.task: s.nested for s in specific_sets(tiny_engine, "tiny") if s.preset == "calibrated"}
    assert nested == {"pets-animal": (), "yard-sound": ((1, 2),)}
