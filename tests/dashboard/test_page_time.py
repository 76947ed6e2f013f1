"""The page of time: what it says beside shifted labels, classes, units, curves and clips; and the part of *Neuron*."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard.shared.player.player import Label, placed
from dashboard.shared.text import in_time
from dashboard.views.time import facts
from tests.support import pages
from tests.support.pages import asked, said
from tests.support.segment_records import FACTS, LAYER, TASK, write_segments

show = partial(pages.show, "time")
NAN = float("nan")


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("time") / "atlas.db"))
    return write_segments(path, "nano-ssl")


def test_a_store_without_segments_says_which_command_counts_them(
    synthetic_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(synthetic_store, monkeypatch)
    assert "No segments were counted in this store" in said(app)
    assert [code.value for code in app.code] == ["python run_analysis.py --tasks all"]


def test_the_answer_stands_beside_shifted_labels_and_test_clips(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch)
    told = said(app)
    assert "**3 units** fire in the segments of one class" in told and "for **2 of 3** classes" in told
    assert "with labels shifted in time 0.1 units (0 to 1) and 0.1 classes" in told
    assert "On test clips 100 % of the pairs hold, of all pairs 1 %" in told
    assert "Null: labels shifted in time within each clip, between the first and the last label" in told
    assert "too coarse: for a test" in told.replace("\\", "") and "nothing is ablated for segments" in told
    assert asked(app, "model") == "nano-ssl" and asked(app, "time_task") == TASK
    assert not app.warning


def test_a_class_of_the_address_shows_its_units_and_their_latency(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, time_class="e")
    assert "Units of e" in [heading.value for heading in app.subheader]
    table = app.dataframe[0].value
    assert table[["layer", "found", "latency"]].iloc[0].tolist() == [1, "yes", "50 ms [20 ms, 80 ms]"]
    assert table["latency"].iloc[1] == "no curve kept" and "fires at 75 % of the tokens in e (3.0× the others" in said(
        app
    )


def test_where_nothing_was_found_the_strongest_say_so(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, time_class="s", layer="0", neuron="3")
    assert "**Not found specific**" in said(app) and "its curve stays within the band of shifted activity" in said(app)
    assert asked(app, "neuron") == "3"


def test_what_is_not_there_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, time_task="voices-emotion", time_class="z", layer="0", neuron="999")
    told = [warning.value for warning in app.warning]
    assert len(told) == 3 and "task “voices-emotion”, which is not here" in told[0].replace("\\", "")


def test_the_part_of_neuron_tells_its_best_class(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, neuron = map(str, LAYER)
    app = pages.show("neuron", store, monkeypatch, model="nano-ssl", layer=layer, neuron=neuron, part="time")
    assert f"[{TASK}]" in said(app).replace("\\", "") and "Latency 50 ms [20 ms, 80 ms], on columns of 160 ms" in said(
        app
    )
    nothing = pages.show("neuron", store, monkeypatch, model="nano-ssl", layer="5", neuron="0", part="time")
    assert "Specific for no class of 1 task in time: [" in said(nothing) and "fires at" not in said(nothing)
    other = pages.show("neuron", store, monkeypatch, model="nano-sl", layer="0", neuron="0", part="time")
    assert "No segments were counted for this model" in said(other)


def test_words_of_what_is_not_known() -> None:
    row: dict[Any, Any] = {"is_beyond": NAN, "latency_seconds": NAN, "latency_low": NAN, "latency_high": NAN}
    assert in_time.latency(row) == "no curve kept"
    assert in_time.latency({**row, "is_beyond": 0}) == "within the band"
    assert in_time.latency({**row, "is_beyond": 1}) == "before the curve begins"
    assert in_time.shape({f"{part}_index": NAN for part in in_time.PARTS}) == "–"
    whole: dict[Any, Any] = {**FACTS, "task": TASK, "n_within": 0, "replicated_share": NAN}
    assert "over the whole clip" in facts.how(whole) and "test clips" not in facts.answer(whole)
    assert "in 3 of 70 clips between" in facts.how({**whole, "n_within": 3})


def test_labels_that_overlap_lie_below_each_other() -> None:
    rows = pd.DataFrame({
        "clip_id": [4, 4], "onset_seconds": [0.0, 0.5], "offset_seconds": [1.0, 0.75], "class_name": ["dog", "<b>"],
    })  # fmt: skip
    labels = facts.labels_of(rows, "dog")[4]
    assert labels == (Label("dog", 0.0, 1.0, True), Label("<b>", 0.5, 0.75, False))
    assert [one["row"] for one in placed(labels)] == [0, 1]
