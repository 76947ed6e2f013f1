"""What the pages ask of clips, against the tiny study's numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, text

from db.connection.open import open_store
from db.reads import clips as clip_queries
from db.schema.patterns import VERSION, decode, encode


@pytest.fixture
def tiny(tiny_store: Path, tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(shutil.copy(tiny_store, tmp_path / "tiny.db"))
    yield engine
    engine.dispose()


def test_clips_of_a_neuron_by_kind_and_rank(tiny: Engine) -> None:
    found = clip_queries.neuron_clips(tiny, "tiny", "pets", 0, 0)
    assert found[["kind", "rank", "path", "split", "mean_activation"]].values.tolist() == [
        ["top", 1, "test/c.wav", "test", 1.5],
        ["top", 2, "train/a.wav", "train", 1.0],
        ["silent", 1, "train/b.wav", "train", -0.125],
    ]
    assert found["labels"].tolist() == ["animal: cat", "animal: cat, place: home", "animal: dog"]
    assert set(found["root"]) == {"/audio/pets"}
    assert found["activation_rate"].tolist() == [0.75, 0.5, 0.0]
    assert clip_queries.neuron_clips(tiny, "tiny", "pets", 0, 1)["kind"].tolist() == ["middle", "silent"]
    assert clip_queries.neuron_clips(tiny, "tiny", "pets", 7, 0).empty


def test_patterns_of_a_neuron_with_their_times(tiny: Engine) -> None:
    found = clip_queries.neuron_patterns(tiny, "tiny", "pets", 0, 0)
    assert found[["kind", "rank", "clip_id", "peak"]].values.tolist() == [
        ["top", 1, 3, 4.0], ["top", 2, 1, 2.0], ["silent", 1, 2, 0.0],
    ]  # fmt: skip
    assert found["strength"].iloc[0].tolist() == [[0, 255], [128, 0]]
    assert found["strength"].iloc[1].shape == (2, 6)
    assert found["strength"].iloc[0].dtype == np.uint8
    # Four columns of 0.25 s a chunk, which is 1.25 s long.
    assert found["column_starts"].iloc[1].tolist() == [0.0, 0.25, 0.5, 0.75, 1.25, 1.5]
    assert set(found["column_seconds"]) == {0.25}
    assert set(found["span_seconds"]) == {0.5}
    assert set(found["band_edges_hz"]) == {(50.0, 1000.0, 8000.0)}
    assert "clip_pattern" in found.attrs["sql"]


def test_columns_are_equal_parts_of_a_clip_where_no_times_are_known(tiny: Engine) -> None:
    found = clip_queries.neuron_patterns(tiny, "tiny", "pets", 1, 0)
    assert found["clip_id"].tolist() == [2, 1]
    assert found["column_seconds"].tolist() == [0.5, 0.5]  # 2 s in four, 1.5 s in three
    assert found["column_starts"].iloc[0].tolist() == [0.0, 0.5, 1.0, 1.5]


def test_patterns_that_are_not_stored(tiny: Engine) -> None:
    with tiny.begin() as connection:
        connection.execute(text("DELETE FROM clip_pattern WHERE neuron_id = 1"))
    found = clip_queries.neuron_patterns(tiny, "tiny", "pets", 0, 0)
    assert found.empty
    assert {"kind", "strength", "column_starts", "band_edges_hz"} <= set(found.columns)
    assert clip_queries.neuron_patterns(tiny, "unknown", "pets", 0, 0).empty


def test_percentiles_of_every_neuron(tiny: Engine) -> None:
    found = clip_queries.percentiles(tiny, "tiny", "pets")
    assert found is not None
    levels, values = found
    assert levels.tolist() == [0.0, 0.5, 1.0]
    assert values.tolist() == [[0, 1, 2], [0, 0, 0], [-1, 0.5, 8]]
    assert values.dtype == np.float32
    assert clip_queries.percentiles(tiny, "tiny", "birds") is None


def test_some_clips_in_the_order_asked_for(tiny: Engine) -> None:
    found = clip_queries.clips(tiny, (3, 1, 99))
    assert found[["clip_id", "dataset", "path", "split", "duration_seconds"]].values.tolist() == [
        [3, "pets", "test/c.wav", "test", 0.5], [1, "pets", "train/a.wav", "train", 1.5],
    ]  # fmt: skip
    assert found["labels"].tolist() == ["animal: cat", "animal: cat, place: home"]
    assert list(clip_queries.clips(tiny, ()).columns) == list(found.columns)


def test_clips_of_a_class_test_clips_first(tiny: Engine) -> None:
    found = clip_queries.class_clips(tiny, "pets-animal", "cat", 5)
    assert found["path"].tolist() == ["test/c.wav", "train/a.wav"]
    assert len(clip_queries.class_clips(tiny, "pets-animal", "cat", 1)) == 1
    assert clip_queries.class_clips(tiny, "pets-animal", "fish").empty
    with tiny.begin() as connection:  # a split of the attribute's own counts
        connection.execute(text("UPDATE clip_label SET split = 'train' WHERE clip_id = 3"))
        connection.execute(text("UPDATE clip_label SET split = 'test' WHERE clip_id = 1"))
    found = clip_queries.class_clips(tiny, "pets-animal", "cat", 5)
    assert found[["path", "split"]].values.tolist() == [["train/a.wav", "test"], ["test/c.wav", "train"]]


def test_patterns_survive_the_blob() -> None:
    rng = np.random.default_rng(0)
    shapes = [(5, 13), (1, 1500), (5, 0)]
    patterns = [(2**31 + i, 1.5 * i, rng.integers(0, 256, s, dtype=np.uint8)) for i, s in enumerate(shapes)]
    blob = encode(patterns)
    assert blob[0] == VERSION
    for (clip_id, peak, strength), again in zip(patterns, decode(blob), strict=True):
        assert again[:2] == (clip_id, peak)
        assert again[2].shape == strength.shape
        assert (again[2] == strength).all()
    assert decode(encode([])) == []
    with pytest.raises(ValueError, match="version 02; expected 1"):
        decode(b"\x02" + blob[1:])


ASKED: dict[Callable[..., object], tuple[Any, ...]] = {
    clip_queries.neuron_clips: ("nano-ssl", "rooms", 3, 6),
    clip_queries.neuron_patterns: ("nano-ssl", "rooms", 3, 6),
    clip_queries.percentiles: ("nano-ssl", "rooms"),
    clip_queries.clips: ((3, 4),),
    clip_queries.class_clips: ("rooms-event", "dog"),
}


@pytest.fixture(scope="module")
def synthetic(one_model_store: Path) -> Engine:
    return open_store(one_model_store, read_only=True)


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.__name__)
def test_large_tables_are_reached_by_an_index(synthetic: Engine, question: Callable[..., object]) -> None:
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        raw = connection.connection.dbapi_connection
        plans.extend(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(synthetic, "before_cursor_execute", explain)
    question(synthetic, *ASKED[question])
    event.remove(synthetic, "before_cursor_execute", explain)
    assert any("USING" in step for step in plans)
    large = {"neuron", "top_clip", "contrast_clip", "clip_pattern", "clip", "clip_label", "activation_quantile"}
    assert [step for step in plans if step.startswith("SCAN") and step.split()[1] in large] == []


def test_the_made_up_study_has_patterns_for_every_stored_clip(synthetic: Engine) -> None:
    clips = clip_queries.neuron_clips(synthetic, "nano-ssl", "rooms", 3, 6)
    patterns = clip_queries.neuron_patterns(synthetic, "nano-ssl", "rooms", 3, 6)
    assert patterns["clip_id"].tolist() == clips["clip_id"].tolist()
    assert clips["kind"].tolist() == ["top"] * 6 + ["middle"] * 3 + ["silent"] * 3
    ends = patterns["column_starts"].map(lambda starts: starts[-1]) + 0.16
    assert (ends >= clips["duration_seconds"] - 1e-9).all()
