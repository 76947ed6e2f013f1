"""Reads of units in words, from the tiny study and from what a second source says of it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from sqlalchemy import Engine

from db.reads import descriptions
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.tiny_study import DESCRIPTIONS


def test_what_is_said_of_units_comes_with_its_scores(tiny_reader: Engine) -> None:
    (one,) = descriptions.best(tiny_reader, "tiny", "pets").to_dict("records")
    assert (one["description"], one["predicts"], one["author"]) == (
        "fires on noise (r = 0.50, shifted 0.12)", "descriptor:flatness high", "atlas",
    )  # fmt: skip
    assert (one["correlation"], one["null_correlation_high"], one["beats_null"]) == (0.5, 0.25, 1)
    unit = int(one["neuron_id"])
    for dataset, ids, n in (
        ("pets", (unit,), 1),
        (None, (unit, unit + 1), 1),
        ("pets", (unit + 1,), 0),
        ("x", (unit,), 0),
    ):
        assert len(descriptions.of_units(tiny_reader, "tiny", dataset, ids)) == n
    every = descriptions.explanations(tiny_reader, "tiny", "pets")
    assert every["neuron_id"].tolist() == [unit, unit + 2]
    assert every[["n_terms", "by_classes"]].to_numpy().tolist() == [[1, 0], [0, -0.25]]
    assert descriptions.explanations_of(tiny_reader, "tiny", "pets", (unit + 2,))["n_terms"].tolist() == [0]


def test_words_are_those_that_were_stored(tiny_reader: Engine) -> None:
    assert descriptions.words(tiny_reader, "tiny", "pets") == {
        "flatness high": ("noise", "hiss"), "f0 high": ("high pitch", "high-pitched"),
    }  # fmt: skip
    assert descriptions.words(tiny_reader, "tiny", "elsewhere") == {}


def test_of_two_sources_the_better_comes_first(tiny_engine: Engine) -> None:
    store = Store(tiny_engine)
    (found,) = frame(tiny_engine, "SELECT MAX(run.id) AS run, MAX(model.id) AS model FROM run, model").to_dict(
        "records"
    )
    better = DESCRIPTIONS.described.assign(author="ann", description="hiss", correlation=0.75)
    facts = {name: value for name, value in DESCRIPTIONS.facts.items() if name != "words_json"}
    theirs = replace(DESCRIPTIONS, source="ann.csv", described=better, explained=pd.DataFrame(), facts=facts)
    store.write_descriptions(int(found["run"]), "theirs", int(found["model"]), theirs)
    (best,) = descriptions.best(tiny_engine, "tiny", "pets").to_dict("records")
    assert (best["author"], best["correlation"]) == ("ann", 0.75)
    unit = int(best["neuron_id"])
    assert descriptions.of_units(tiny_engine, "tiny", "pets", (unit,))["author"].tolist() == ["ann", "atlas"]
    assert len(descriptions.searched(tiny_engine, "tiny", "pets")) == 2
    assert descriptions.described(tiny_engine, "tiny")["source"].tolist() == ["atlas", "ann.csv"]
    assert "flatness high" in descriptions.words(tiny_engine, "tiny", "pets"), "a source without words changes none"
