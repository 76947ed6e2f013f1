"""Every view and every query gives the same rows in the same order on SQLite and on PostgreSQL."""

from __future__ import annotations

import importlib
import inspect
import shutil
from collections.abc import Callable, Iterator
from itertools import filterfalse, islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import URL, Engine
from sqlalchemy import inspect as look_into

from db.connection.open import open_store
from db.copy import copy_store
from db.reads.ablation import Chosen
from db.reads.frames import frame
from db.reads.gallery import ORDERS as CARD_ORDERS
from db.reads.gallery import SHOWN, Wanted
from db.reads.named import NAMED
from db.reads.pitch import ORDERS
from db.reads.view_meanings import columns
from db.schema.evidence import NeuronConfound, NeuronPreference, PitchTuning, SelectorScore
from db.schema.study import Base
from db.schema.views.study import VIEWS
from db.writes.frames import insert_frame
from tests.support.postgres_server import database
from tests.support.synthetic_store import N_NEURONS
from tests.support.taken_apart import write_apart
from tests.support.tiny_study import write_study

READS = Path(__file__).resolve().parents[2] / "db" / "reads"
MODULES = sorted({path.stem for path in READS.glob("[a-z]*.py")} - {"frames", "named", "view_meanings"})
QUERIES = {
    f"{module}.{name}": function
    for module in MODULES
    for name, function in vars(importlib.import_module(f"db.reads.{module}")).items()
    if inspect.isfunction(function) and function.__module__ == f"db.reads.{module}" and not name.startswith("_")
    and next(iter(inspect.signature(function).parameters), "") == "engine"
}  # fmt: skip

# What a page would ask, by the names of the functions' parameters; several askings of each function.
ASKED: dict[str, tuple[Any, ...]] = {
    "model": ("nano-ssl", "tiny"),
    "models": (("nano-sl", "nano-ssl", "tiny"),),
    "task": ("notes-pitch", "rooms-event", "pets-animal"),
    "tasks": (("notes-pitch", "pets-animal"),),
    "task_a": ("rooms-event", "pets-animal"),
    "task_b": ("rooms-event", "notes-pitch", "pets-animal"),
    "class_name": ("dog", "A3"),
    "class_names": (("A3", "dog", "C4"),),
    "classes": (("A4", "dog", "A3"),),
    "class_a": ("dog", "cat"),
    "class_b": ("bell", "A3", "dog"),
    "preset": ("calibrated", "lape", "aape"),
    "selection": ("top 1%", "mad 1%"),
    "operation": ("scale",),
    "gain": (0.0, None),
    "target": ("dog", "cat"),
    "chosen": (
        *(Chosen("nano-ssl", "rooms-event", selection, "scale", 0.0) for selection in ("top 1%", "mad 1%")),
        *(Chosen("tiny", "pets-animal", "top 1%", "scale", gain) for gain in (0.0, None)),
        Chosen("tiny", "rooms-event", "top 1%", "mean"),
    ),
    "whole": (False, True),
    "outcome": ("selective",),
    "value": ("delta", "total"),
    "segment_task": ("pets-call",),
    "segment_class": ("bark", "meow"),
    "dataset": ("rooms", "pets"),
    "layer": (0, 1),
    "neuron": (0, 6),
    "neurons": ((6, 2, 0),),
    "neuron_ids": ((2, 7, 400), (769, 771)),  # of the made-up models, and of the tiny one
    "own": (("nano-ssl", 0, 6), ("nano-sl", 1, 2)),
    "partner": ("nano-sl", "nano-ssl"),
    "other": (("nano-sl", 0, 6), ("nano-ssl", 1, 0)),
    "wanted": (
        *(
            Wanted("nano-ssl", "rooms-event", "calibrated", show=show, order=order)
            for show in SHOWN
            for order in CARD_ORDERS
        ),
        Wanted("nano-ssl", "rooms-event", "aape", "dog", layer=1, entropy=(0.5, 2.0)),
        Wanted("tiny", "pets-animal", "calibrated", has_effect=True),
    ),
    "offset": (0, 2),
    "clip_ids": ((30, 3, 200), (289, 290)),
    "words": ("", "RAIN", "é%_"),
    "order": tuple(ORDERS),
    "note": (None, 61),
    "limit": (7,),
    "step": (3,),
    "split": ("test", "valid"),
    "name": tuple(NAMED),
    "n": (5,),
    "most": (9,),
    "q_limit": (0.05,),
    "n_rows": (100, 20_000),
    "stimulus_set": ("tones",),
    "factor": ("F0",),
}
CLASSES = {"notes-pitch": {"A3"}, "rooms-event": {"dog", "bell"}, "pets-animal": {"dog", "cat"}}
IN_NO_ORDER = {"listen.class_specific_pairs": ["flat_index", "class_id"]}
NOTHING_THERE = {
    "heatmap.class_groups": "no attribute of the made-up datasets puts classes together",
    "ablation.attributed_classes": "the model's first neuron has no attribution",
    "preferences.voices_in_common": "no dataset has voices",
    "classes.also": "no neuron is specific for two classes of a task",
    "misfits.refuse_misfits": "it answers by refusing, or not at all",
}


@pytest.fixture(scope="module")
def sqlite(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("same") / "atlas.db"))
    engine = open_store(write_apart(path))
    write_study(engine)
    write_evidence(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql(sqlite: Engine, postgres: URL) -> Iterator[Engine]:
    with database(postgres) as url:
        location = url.render_as_string(hide_password=False)
        copied = dict(copy_store(str(sqlite.url.database), location))
        assert copied["activation_probability"] > 10_000
        engine = open_store(location, read_only=True)
        yield engine
        engine.dispose()


def write_evidence(engine: Engine) -> None:
    """Draw, for two tasks, what the made-up study lacks: with ties, and with numbers that are not known."""
    rng = np.random.default_rng(1)

    def drawn(n: int, high: float = 1.0) -> np.ndarray:
        return np.where(rng.random(n) < 0.2, np.nan, rng.integers(-8, 8, n) / 8 * high)

    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE class_specific_neuron SET replicated = 1, q_value = 0.01, lift_low = neuron_id % 7"
        )
        connection.exec_driver_sql("UPDATE shared_neuron SET q_value = 0.01, odds_low = 1 + n_shared % 3, nested = 0")
        for model_task, task in connection.exec_driver_sql(
            "SELECT model_task.id, task_id FROM model_task JOIN task ON task.id = task_id WHERE model_id = 1"
            " AND task.name IN ('notes-pitch', 'rooms-event')"
        ).all():
            classes = np.array(
                connection.exec_driver_sql(f"SELECT id FROM task_class WHERE task_id = {task} ORDER BY id")
                .scalars()
                .all()
            )
            grid = pd.MultiIndex.from_product(
                [range(N_NEURONS), range(len(classes))], names=["neuron_index", "class_index"]
            ).to_frame(index=False)
            n = len(grid)
            some = np.arange(0, N_NEURONS, 2)
            pitch = [c.name for c in PitchTuning.__table__.columns][2:]
            tuned = pd.DataFrame({name: drawn(len(some), 40) for name in pitch}).assign(
                neuron_index=some, peak_rate=0.5, floor_rate=rng.integers(0, 3, len(some)) / 8,
                preferred_pitch=rng.integers(58, 63, len(some)),
            )  # fmt: skip
            tables = {
                SelectorScore: grid.assign(
                    **{name: drawn(n) for name in ("mad", "cas", "auroc", "d_prime", "selectivity_index")}
                ),
                NeuronPreference: grid.assign(log_odds=drawn(n, 4), ci_low=drawn(n), ci_high=drawn(n)),
                PitchTuning: tuned,
                NeuronConfound: pd.DataFrame({"neuron_index": range(N_NEURONS)}).assign(
                    **{name: drawn(N_NEURONS) for name in ("rho_level", "rho_duration", "rho_silence")}
                ),
            }
            for table, rows in tables.items():
                insert_frame(connection, table, rows, 1, classes, model_task_id=model_task)


def askings(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """All combinations in which models have the tasks and tasks the classes, and for each function one other."""
    names = list(inspect.signature(function).parameters)[1:]
    assert set(names) <= set(ASKED), f"say what to ask {function.__name__} for"
    every = [dict(zip(names, values, strict=True)) for values in product(*(ASKED[name] for name in names))]
    yield from filter(belongs_together, every)
    yield from islice(filterfalse(belongs_together, every), 1)


def belongs_together(asked: dict[str, Any]) -> bool:
    """Whether the model has the tasks, and each task its class."""
    tasks = {end: asked[f"task{end}"] for end in ("", "_a", "_b") if f"task{end}" in asked}
    classes = {"": asked.get("class_name"), "_a": asked.get("class_a"), "_b": asked.get("class_b")}
    of_model = asked.get("model")
    return all(
        (of_model is None or (of_model == "tiny") == (task == "pets-animal"))
        and (classes[end] is None or classes[end] in CLASSES[task])
        for end, task in tasks.items()
    )


def same(left: Any, right: Any, sorted_by: list[str] | None = None) -> None:
    """Both are equal, numbers to 12 digits; of frames the column types too."""
    if isinstance(left, pd.DataFrame):
        if sorted_by:
            left, right = (found.sort_values(sorted_by, ignore_index=True) for found in (left, right))
        for name in left.columns:
            if any(isinstance(cell, np.ndarray) for cell in left[name]):
                assert [*map(np.ndarray.tolist, left[name])] == [*map(np.ndarray.tolist, right[name])]
                left, right = left.drop(columns=name), right.drop(columns=name)
        assert_frame_equal(left, right, rtol=1e-12, atol=1e-15)
    elif isinstance(left, tuple) and left and isinstance(left[0], np.ndarray):
        assert [part.tolist() for part in left] == [part.tolist() for part in right]
    else:
        assert left == right


@pytest.mark.parametrize("name", QUERIES)
def test_query(name: str, sqlite: Engine, postgresql: Engine) -> None:
    function, found = QUERIES[name], 0
    for asked in askings(function):
        left = right = None
        try:
            left = function(sqlite, **asked)
        except (ValueError, IndexError) as error:  # a model of another task
            with pytest.raises(type(error)):
                function(postgresql, **asked)
            continue
        right = function(postgresql, **asked)
        same(left, right, IN_NO_ORDER.get(name))
        found += 1 if isinstance(left, bool) else len(left) if hasattr(left, "__len__") else left is not None
    assert bool(found) != (name in NOTHING_THERE)


@pytest.mark.parametrize("name", NAMED)
def test_named_query(name: str, sqlite: Engine, postgresql: Engine) -> None:
    sql = NAMED[name][1]
    same(frame(sqlite, sql), frame(postgresql, sql))


@pytest.mark.parametrize("view", VIEWS)
def test_view(view: str, sqlite: Engine, postgresql: Engine) -> None:
    same(columns(sqlite, view), columns(postgresql, view))
    left, right = (frame(engine, f"SELECT * FROM {view}") for engine in (sqlite, postgresql))
    keys = [name for name in left.columns if left[name].notna().any()]
    assert len(left)
    same(*(found.sort_values(keys, ignore_index=True) for found in (left, right)))


def test_shown_statement_can_be_asked_again(sqlite: Engine, postgresql: Engine) -> None:
    function = QUERIES["neuron_evidence.any_profiles"]
    for engine in (sqlite, postgresql):
        asked = function(engine, model="nano-ssl", task="rooms-event", layer=0, neuron=0, step=3)
        assert "%%" not in asked.attrs["sql"] and "% 3" in asked.attrs["sql"]
        with engine.connect() as connection:
            again = connection.execution_options(no_parameters=True).exec_driver_sql(asked.attrs["sql"])
            assert len(again.all()) == len(asked) > 0


def test_tables_are_alike(sqlite: Engine, postgresql: Engine) -> None:
    def kind(of: Any) -> str:
        return "whole" if "INT" in str(of) else "text" if "CHAR" in str(of) else "other"

    for table in Base.metadata.tables:
        told = [
            {c["name"]: (c["nullable"], kind(c["type"])) for c in look_into(engine).get_columns(table)}
            for engine in (sqlite, postgresql)
        ]
        assert told[0] == told[1], table


def test_numbers_of_every_view_are_numbers_without_rows(empty_database: str) -> None:
    engine = open_store(empty_database)
    for view in VIEWS:
        declared = {column["name"]: str(column["type"]) for column in look_into(engine).get_columns(view)}
        empty = frame(engine, f"SELECT * FROM {view}")
        # A mean where sets differ in size; whole elsewhere.
        fractions = {name for name, kind in declared.items() if "DOUBLE" in kind} - {"n_neurons"}
        texts = {name for name, kind in declared.items() if "CHAR" in kind}
        floats = set(empty.columns[empty.dtypes == "float64"])
        assert fractions <= floats and not floats & texts, view
    engine.dispose()
