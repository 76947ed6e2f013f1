"""Reading: every query on numbers worked by hand, on a made-up study, and on an empty store."""

import inspect
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, event, text

from core.results import ProbeResult
from db.connection.open import open_store
from db.reads import coverage, neurons, study
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.records import ablations_of
from tests.support.synthetic_store import N_NEURONS
from tests.support.tiny_study import ABLATION, MODEL_ID, PROBE

# The public views and columns as promised to those who script against them.
PUBLIC = {
    "runs": "run_id started_at finished_at status model config_json code_version device"
    " seconds_extract seconds_score seconds_ablate",
    "clip_labels": "dataset clip_id path split duration_seconds attribute value",
    "activation_probabilities": "model dataset task class_name layer neuron positive_count"
    " token_count activation_probability",
    "neuron_selectivity": "model dataset task preset layer neuron entropy max_probability"
    " top_class is_class_specific n_classes",
    "class_specific_neurons": "model dataset task preset class_name layer neuron"
    " activation_probability entropy lift p_value q_value replicated",
    "task_coverage": "model dataset task preset n_clips n_classes n_classes_covered coverage"
    " n_class_specific null_coverage_mean null_coverage_low null_coverage_high"
    " null_n_class_specific_mean n_shuffles n_pairs replicated_share replicated_share_all_pairs",
    "probe_accuracy": "model dataset task split class_name n_clips accuracy chance metric",
    "layer_probes": "model dataset task unit_kind layer split n_clips accuracy ci_low ci_high chance metric",
    "ablation_effects": "model dataset task selection target affected_class gain n_neurons n_clips"
    " accuracy_unablated accuracy_ablated delta ci_low ci_high p_value q_value"
    " control_delta_mean control_delta_low control_delta_high n_controls",
    "shared_neurons": "model task_a class_a task_b class_b n_a n_b n_shared expected p_value q_value nested",
    "top_clips": "model dataset layer neuron rank clip_id path activation_rate mean_activation",
    "neuron_clips": "model dataset layer neuron kind rank clip_id path activation_rate mean_activation",
}

# What a page would ask, by the names of the functions' parameters.
ASKED: dict[str, Any] = {
    "preset": "calibrated",
    "model": "nano-ssl",
    "task": "rooms-event",
    "layer": 3,
    "neuron": 6,
    "neurons": [6, 2],
    "task_a": "rooms-event",
    "task_b": "notes-pitch",
    "clip_id": 1,
}


QUERIES: list[Callable[..., Any]] = [
    function
    for module in (study, neurons)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and not name.startswith("_")
]


@pytest.fixture(scope="module")
def tiny(tiny_store: Path) -> Iterator[Engine]:
    engine = open_store(tiny_store, read_only=True)
    yield engine
    engine.dispose()


@pytest.fixture
def own_tiny(tiny_store: Path, tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(shutil.copy(tiny_store, tmp_path / "tiny.db"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def empty(empty_store: Path) -> Iterator[Engine]:
    engine = open_store(empty_store, read_only=True)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def synthetic(synthetic_store: Path) -> Iterator[Engine]:
    engine = open_store(synthetic_store, read_only=True)
    yield engine
    engine.dispose()


def ask(function: Callable[..., Any], engine: Engine, **also: Any) -> Any:
    """Call a query with those of ``ASKED`` that it requires."""
    required = [
        parameter.name
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.default is inspect.Parameter.empty
    ]
    return function(engine, **{key: ASKED[key] for key in required}, **also)


def listed(found: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Return rows as tuples with None for NaN."""
    chosen = found[list(columns)] if columns else found
    return [tuple(None if pd.isna(value) else value for value in row) for row in chosen.itertuples(index=False)]


@pytest.mark.parametrize("view", PUBLIC)
def test_view_begins_with_the_promised_columns(tiny: Engine, view: str) -> None:
    with tiny.connect() as connection:
        columns = list(connection.execute(text(f"SELECT * FROM {view}")).keys())
    promised = PUBLIC[view].split()
    assert [column for column in columns if column in promised] == promised


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.__name__)
def test_query_has_the_same_columns_on_an_empty_store(
    synthetic: Engine, empty: Engine, query: Callable[..., Any]
) -> None:
    full, none = ask(query, synthetic), ask(query, empty)
    if not isinstance(full, pd.DataFrame):
        return
    assert len(full) > 0
    assert len(none) == 0
    assert list(full.columns) == list(none.columns)
    numeric = [column for column in full if pd.api.types.is_float_dtype(full[column])]
    assert [column for column in numeric if not pd.api.types.is_float_dtype(none[column])] == []


def test_empty_store_says_so(tiny: Engine, empty: Engine) -> None:
    assert study.is_empty(empty) and not study.is_empty(tiny)
    assert study.selection_settings(empty, "m", "t", "aape") is None
    assert study.presets(empty) == []


def test_store_facts(tiny: Engine) -> None:
    facts = study.store_facts(tiny)
    assert facts.pop("schema_version") != ""
    assert facts == {"n_models": 1, "n_tasks": 1, "n_neurons": 3, "n_clips": 3}


def test_models_layers_datasets_tasks(tiny: Engine) -> None:
    (model,) = listed(study.models(tiny))
    assert model == ("tiny", 2, 3, 16000, 99, "A tiny encoder", "MIT", "weights-1")
    assert listed(study.layers(tiny, "tiny")) == [(0, 2), (1, 1)]
    (dataset,) = listed(study.datasets(tiny), "name", "root", "n_clips", "n_problems")
    assert dataset == ("pets", "/audio/pets", 3, 1)
    assert listed(study.tasks(tiny)) == [("pets", "pets-animal", "animal", 2, 3)]
    assert study.tasks(tiny, "tiny").equals(study.tasks(tiny))
    assert study.tasks(tiny, "unknown").empty


def test_coverage_and_its_settings(tiny: Engine) -> None:
    assert listed(study.coverage(tiny, "calibrated"), "n_pairs", "coverage") == [(2, 1.0)]
    assert study.selection_settings(tiny, "tiny", "pets-animal", "aape") == {"entropy_rate": 0.01}
    assert study.presets(tiny) == ["aape", "calibrated", "lape"]


def test_specific_by_layer_counts_neurons_and_keeps_zeros(tiny: Engine) -> None:
    assert listed(coverage.specific_by_layer(tiny, "calibrated")) == [
        ("tiny", "pets-animal", 0, 2, 1),
        ("tiny", "pets-animal", 1, 1, 1),
    ]
    assert listed(coverage.specific_by_layer(tiny, "aape"), "n_class_specific") == [(1,), (0,)]
    assert listed(coverage.specific_by_layer(tiny, "lape"), "n_class_specific") == [(0,), (0,)]
    assert coverage.specific_by_layer(tiny, "aape", "unknown").empty


def test_layer_class_counts(tiny: Engine) -> None:
    # 1.5 pairs on shuffled labels over 2 classes x 3 neurons: 0.25 a class and neuron.
    assert listed(study.layer_class_counts(tiny, "tiny", "pets-animal", "calibrated")) == [
        (0, "cat", 1, 0.5),
        (0, "dog", 0, 0.5),
        (1, "cat", 0, 0.25),
        (1, "dog", 1, 0.25),
    ]
    without_null = study.layer_class_counts(tiny, "tiny", "pets-animal", "aape")
    assert without_null["n_neurons"].tolist() == [1, 0, 0, 0]
    assert without_null["expected_null"].isna().all()


def test_cell_neurons(tiny: Engine) -> None:
    found = listed(study.cell_neurons(tiny, "tiny", "pets-animal", "calibrated", 1))
    assert found == [(0, "dog", 0.2, math.log(2), 1.0, 0.02, 0.04, 0.0)]
    assert study.cell_neurons(tiny, "tiny", "pets-animal", "calibrated", 1, "cat").empty


def test_probabilities_of_chosen_neurons(tiny: Engine) -> None:
    found = listed(neurons.probabilities(tiny, "tiny", "pets-animal", 0, [1, 0]))
    assert found == [(0, "cat", 0.5), (0, "dog", 0.0), (1, "cat", 0.0), (1, "dog", 0.0)]
    assert neurons.probabilities(tiny, "tiny", "pets-animal", 0, []).empty


def test_neuron(tiny: Engine) -> None:
    assert listed(neurons.neuron(tiny, "tiny", 1, 0)) == [
        ("pets", "pets-animal", "cat", 0.2, 4, 20, 2),
        ("pets", "pets-animal", "dog", 0.2, 2, 10, 1),
    ]


def test_neuron_selectivity(tiny: Engine) -> None:
    columns = ("preset", "is_class_specific", "classes", "q_value", "entropy_rank", "n_neurons")
    assert listed(neurons.neuron_selectivity(tiny, "tiny", 1, 0), *columns) == [
        ("aape", 0, "", None, 2.0, 3),
        ("calibrated", 1, "dog", 0.04, 2.0, 3),
        ("lape", 0, "", None, 2.0, 3),
    ]
    silent = neurons.neuron_selectivity(tiny, "tiny", 0, 1)
    assert silent[["entropy", "entropy_rank", "top_class"]].isna().all(axis=None)
    found = listed(neurons.neuron_classes(tiny, "tiny", 0, 0), "preset", "class_name", "q_value")
    assert found == [("aape", "cat", None), ("calibrated", "cat", 0.01)]


def test_ablations_of_a_study_and_of_a_neuron(own_tiny: Engine) -> None:
    other = replace(ABLATION, selection="aape", neuron_index=ABLATION.neuron_index[:1])
    Store(own_tiny).write_ablations(1, "more", MODEL_ID, ablations_of("pets-animal", [other]))
    assert len(study.ablation_effects(own_tiny, "tiny")) == 4
    assert len(study.ablation_effects(own_tiny, "tiny", "pets-animal", "aape")) == 2
    assert study.ablation_effects(own_tiny, "tiny", task="unknown").empty
    columns = ("selection", "affected_class", "delta", "control_delta_high")
    of_first = listed(neurons.neuron_ablations(own_tiny, "tiny", 0, 0), *columns)
    assert of_first == [("top 1%", None, -0.25, 0.25), ("top 1%", "cat", -0.5, 0.25)]
    assert set(neurons.neuron_ablations(own_tiny, "tiny", 1, 0)["selection"]) == {"aape", "top 1%"}
    assert neurons.neuron_ablations(own_tiny, "tiny", 0, 1).empty


def test_shared_either_way_round(synthetic: Engine) -> None:
    one = study.shared(synthetic, "nano-ssl", "calibrated", "rooms-event", "notes-pitch")
    two = study.shared(synthetic, "nano-ssl", "calibrated", "notes-pitch", "rooms-event")
    assert len(one) == len(two) == 8 * 8
    names = ("task", "class", "n")
    swap = {f"{name}_{x}": f"{name}_{y}" for name in names for x, y in ("ab", "ba")}
    turned = two.rename(columns=swap)[one.columns.tolist()]
    key = ["class_a", "class_b"]
    pd.testing.assert_frame_equal(one.sort_values(key, ignore_index=True), turned.sort_values(key, ignore_index=True))
    itself = study.shared(synthetic, "nano-ssl", "calibrated", "rooms-event", "rooms-event")
    assert len(itself) == 8 * 7 / 2


def test_probe_by_split_and_skipped(own_tiny: Engine) -> None:
    assert listed(study.probe(own_tiny), "class_name", "accuracy") == [(None, 0.75), ("cat", 1.0)]
    assert listed(study.probe(own_tiny, "valid"), "class_name", "accuracy") == [("dog", 0.5)]
    assert study.skipped_probes(own_tiny).empty
    skipped = ProbeResult("pets-animal", PROBE.rows.iloc[:0], skipped="no valid clips")
    Store(own_tiny).write_probe(1, "tiny/probe", MODEL_ID, skipped)
    expected = [("tiny", "pets", "pets-animal", "no valid clips")]
    assert listed(study.skipped_probes(own_tiny, "tiny")) == expected


def test_warnings_problems_runs(tiny: Engine) -> None:
    expected = [("tiny", "pets", "pets-animal", "class dog has a single clip")]
    assert listed(study.warnings(tiny, "tiny")) == expected
    assert study.warnings(tiny, "unknown").empty
    assert listed(study.problems(tiny)) == [("pets", "train/broken.wav", "cannot be decoded")]
    assert study.runs(tiny)["status"].tolist() == ["done"]


def test_made_up_study_is_whole(synthetic: Engine) -> None:
    assert study.store_facts(synthetic)["n_neurons"] == 2 * N_NEURONS
    counts = study.layer_class_counts(synthetic, "nano-ssl", "rooms-event", "calibrated")
    assert len(counts) == 6 * 8
    covered = study.coverage(synthetic, "calibrated")
    row = covered[(covered["model"] == "nano-ssl") & (covered["task"] == "rooms-event")].iloc[0]
    assert counts["n_neurons"].sum() == row["n_pairs"]
    has_neurons = counts.groupby("class_name")["n_neurons"].sum() > 0
    assert has_neurons.sum() == row["n_classes_covered"]
    by_layer = coverage.specific_by_layer(synthetic, "calibrated", "rooms-event")
    of_model = by_layer[by_layer["model"] == "nano-ssl"]
    assert of_model["n_class_specific"].sum() == row["n_class_specific"]


PAGE_QUERIES = [
    study.cell_neurons,
    neurons.neuron,
    neurons.neuron_ablations,
    neurons.neuron_classes,
    neurons.neuron_selectivity,
    neurons.probabilities,
]
LARGE = ("activation_probability", "neuron_entropy", "top_clip", "contrast_clip", "class_specific_neuron", "neuron")


@pytest.mark.parametrize("analysed", [True, False])
@pytest.mark.parametrize("query", PAGE_QUERIES, ids=lambda query: query.__name__)
def test_pages_reach_large_tables_by_an_index(
    tiny_store: Path, tmp_path: Path, query: Callable[..., Any], analysed: bool
) -> None:
    engine = open_store(shutil.copy(tiny_store, tmp_path / "atlas.db"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE model SET name = 'nano-ssl'")
        # As large as a store gets, as far as the planner knows; or knowing nothing.
        connection.exec_driver_sql("DELETE FROM sqlite_stat1")
        if analysed:
            sizes = {"activation_probability": "13000000 900000 350 1"}
            sizes |= {"neuron_entropy": "540000 36000 1", "top_clip": "4000000 360000 10 1"}
            for table, sizes_text in sizes.items():
                connection.execute(
                    text("INSERT INTO sqlite_stat1 VALUES (:t, :t, :s)"),
                    {"t": table, "s": sizes_text},
                )
    engine.dispose()

    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        raw = connection.connection.dbapi_connection
        plans.extend(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    reader = open_store(tmp_path / "atlas.db", read_only=True)
    event.listen(reader, "before_cursor_execute", explain)
    ask(query, reader)
    assert any("USING" in step for step in plans)
    scanned = [step for step in plans if step.startswith("SCAN") and step.split()[1] in LARGE]
    assert scanned == []


def test_views_filtered_by_a_neuron_use_indexes(synthetic: Engine) -> None:
    filters = "model = 'nano-ssl' AND task = 'rooms-event' AND layer = 3 AND neuron = 6"
    extra = dict.fromkeys(("top_clips", "neuron_clips"), "model = 'nano-ssl' AND layer = 3 AND neuron = 6")
    for view in ("activation_probabilities", "neuron_selectivity", *extra):
        with synthetic.connect() as connection:
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {extra.get(view, filters)}"
            )
            steps = [str(row[3]) for row in plan]
        assert [s for s in steps if s.startswith("SCAN") and s.split()[1] in LARGE] == [], view


def test_columns_keep_their_kind_without_rows(tiny: Engine) -> None:
    asked = "SELECT name, 0.5 AS delta, id FROM model WHERE name = :name"
    some, none = frame(tiny, asked, name=study.models(tiny)["name"].iloc[0]), frame(tiny, asked, name="nobody")
    assert [len(some), len(none)] == [1, 0]
    assert list(some.dtypes) == ["str", "float64", "int64"]
    assert list(none.dtypes) == ["object", "float64", "object"]


def test_numbers_and_names_take_the_type_of_all_rows(tiny: Engine) -> None:
    asked = "SELECT {} AS x UNION ALL SELECT {} UNION ALL SELECT {}"
    kinds = {"1, 2, 3": "int64", "1, NULL, 3": "float64", "1, 2.5, 3": "float64", "1, 'a', 3": "object"}
    for values, kind in kinds.items():
        assert frame(tiny, asked.format(*values.split(", ")))["x"].dtype == kind, values
