"""The page of made sounds, and what other pages tell of them."""

from __future__ import annotations

import io
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from core.stimuli import answers, study
from core.stimuli.names import NAMES
from core.stimuli.sets import SETS
from dashboard.shared.text import made as text
from dashboard.views.stimuli import facts, sounds
from db.connection.open import open_store
from db.reads import stimuli
from db.reads.frames import frame
from tests.support import pages
from tests.support.notes import make_notes
from tests.support.pages import asked, said, unfold
from tests.support.stimulus_records import write_stimuli

show = partial(pages.show, "stimuli")
SSL = {"model": "nano-ssl"}


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("stimuli") / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        make_notes(connection, "notes-pitch")
        connection.commit()
    return write_stimuli(path, "nano-ssl")


def test_the_page_says_what_explains_beside_permuted_labels(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **SSL)
    assert not app.warning and asked(app, "stimuli") == "tones" and asked(app, "factor") == "F0"
    assert "**F0** explains most in 6 (it has q < 0.05 in 6; permuted 0.6)" in said(app)
    assert "**level** explains most in 0" in said(app)
    assert "200 permutations" in said(app)
    listed = app.dataframe[0].value
    assert listed[["layer", "neuron"]].to_numpy().tolist()[:2] == [[5, 0], [4, 0]], "the most explained first"
    assert listed["kept"].round(2).tolist()[0] == 0.33
    assert len(app.get("audio")) == 9, "a sound a level"
    assert "**level** changes: at 33 % of its levels the best level of F0 is kept (permuted" in said(app)


def test_what_stays_is_the_mean_of_the_units_beside_permuted_labels(store: Path) -> None:
    engine = open_store(store, read_only=True)
    pairs = stimuli.kept(engine, "nano-ssl", "tones")
    by_hand = frame(engine, "SELECT * FROM unit_invariance WHERE model = 'nano-ssl' AND stimulus_set = 'tones'")
    engine.dispose()
    assert len(pairs)
    for row in pairs.to_dict("records"):
        of = by_hand[(by_hand["factor"] == row["factor"]) & (by_hand["other_factor"] == row["other_factor"])]
        assert row["n_units"] == len(of) and row["kept"] == pytest.approx(of["kept"].mean())
        assert row["null_kept"] == pytest.approx(of["null_kept"].mean())
        assert row["share_alike"] == pytest.approx((of["correlation"] > of["null_correlation_high"]).mean())


def test_levels_of_the_address_are_heard_and_wrong_ones_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **SSL, factor="timbre", at="8.0.1")
    assert not app.warning and asked(app, "at") == "8.0.1"
    boxes = {box.label: box.value for box in app.selectbox}
    assert boxes["F0"].startswith("G") and boxes["level"].replace("\\", "") == "-36 dB"
    wrong = show(store, monkeypatch, **SSL, at="99.0.1")
    assert "levels that these sounds do not have" in wrong.warning[0].value


def test_a_set_that_explains_nothing_says_so(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **SSL, factor="level")
    assert "level has q < 0.05 for no unit" in said(app)


def test_without_made_sounds_the_page_says_how_to_ask(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model="nano-sl")
    assert "were not asked with made sounds" in said(app)
    assert "--stimuli all" in app.code[0].value and "--model nano-sl" in app.code[0].value


def test_the_unit_page_has_the_sentence_and_the_curves(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = pages.show("neuron", store, monkeypatch, **SSL, layer="2", neuron="0")
    told = "Answers to F0 near G♯3, 208 Hz (tones: explains 61 % of its variance, permuted 3 %), moving with the level"
    assert told in said(app)
    assert (
        "whatever the timbre (0.8 of its levels keep it, permuted 0.3); not to level (2 %) nor timbre (2 %)."
        in said(app)
    )
    n_charts = len(app.get("vega_lite_chart"))
    opened = unfold(app, "made")
    assert any("F0" in str(part.value) and "tones" in str(part.value) for part in opened.markdown)
    assert len(opened.get("vega_lite_chart")) == n_charts + 1
    nothing = pages.show("neuron", store, monkeypatch, **SSL, layer="2", neuron="5")
    assert "Answers to no factor of made sounds" in said(nothing)
    assert "made sounds" not in said(pages.show("neuron", store, monkeypatch, model="nano-sl", layer="2", neuron="0"))


def test_notes_of_a_pitch_task_are_told_beside_all_units(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = pages.show("pitch", store, monkeypatch, **SSL, pitch_task="notes-pitch", preset="calibrated")
    opened = unfold(app, "made")
    told = "4 pairs of unit and class: keeps its note 75 % (by all units 10 %), no note 25 % (by all units 90 %)"
    assert told in said(opened)


def test_lines_tell_a_class_beside_all_units() -> None:
    rows = pd.DataFrame({
        "class_name": ["female", "female"], "answer": ["F0 alone", "neither"], "n_units": 8, "share": [0.75, 0.25],
        "share_low": [0.4, 0.05], "share_high": [0.9, 0.5], "share_all": [0.25, 0.75], "q_value": [0.01, 0.9],
        "p_value": [0.01, 0.9],
    })  # fmt: skip
    (line,) = text.answer_lines(rows)
    assert line.startswith("**female** (8 specific units that vary): F0 alone 75 % [40 %, 90 %], of all units 25 %")
    assert "(more than chance, q < 0.05); neither 25 %" in line
    assert text.most_telling(rows, 3)["answer"].tolist() == ["F0 alone"]


def test_sentences_of_a_unit_without_anything() -> None:
    empty = pd.DataFrame(columns=["stimulus_set", "factor", "q_value", "shapley", "is_leading"])
    assert (
        text.unit_sentences(empty, empty) == []
        and text.unit_summary(empty, empty) == "Answers to all made sounds alike."
    )


def test_a_unit_of_a_gender_or_note_is_told_what_its_class_is_made_of() -> None:
    factors = pd.DataFrame({
        "stimulus_set": ["vowels", "vowels", "vowels", "tones"], "factor": ["F0", "vocal tract", "vowel", "F0"],
        "shapley": [0.61, -0.01, 0.2, 0.9], "null_high": [0.03, 0.02, 0.02, 0.05],
        "best_level": ["285 Hz", "13 cm", "i", "C5, 523 Hz"],
    })  # fmt: skip
    pairs = pd.DataFrame({
        "task": ["demo-speech-gender", "demo-notes-octave", "rooms-event"], "class_name": ["female", "5", "dog"],
    })  # fmt: skip
    gender, octave = text.class_lines(factors, pairs)
    assert "female of demo" in gender.replace("\\", "") and "vowel explains" not in gender
    assert "F0 explains 61 % (permuted 3 %), most at 285 Hz; vocal tract explains 0 % (permuted 2 %)" in gender
    assert "by tones, F0 explains 90 % (permuted 5 %), most at C5, 523 Hz" in octave
    assert text.class_lines(factors.iloc[:0], pairs) == []


def test_words_and_bars_are_those_of_the_study() -> None:
    assert (text.FOLLOWS, text.KEPT) == (study.FOLLOWS, answers.KEPT)
    assert set(text.SETS) == set(NAMES)
    assert facts.places("1.2", [2]) is None and facts.places("x", [2]) is None and facts.places("", [2]) is None


def test_a_played_sound_is_what_the_model_heard() -> None:
    made = SETS["vowels"]
    levels = (1, 2, 3)
    labels = tuple(factor.levels[at] for factor, at in zip(made.design.factors, levels, strict=True))
    played, rate = soundfile.read(io.BytesIO(sounds.wav("vowels", levels, 1, 5, labels)), dtype="float32")
    index = int(np.ravel_multi_index((*levels, 1), made.design.shape))
    assert rate == 16_000 and played == pytest.approx(made.sound(index, 5), abs=1e-4)
    for name, at, told in (
        ("bells", levels, "does not know"), ("vowels", (9, 9, 9), "does not know"),
        ("vowels", (0, 0, 0), "was changed since"),
    ):  # fmt: skip
        with pytest.raises(sounds.NotMade, match=told):
            sounds.wav(name, at, 1, 5, labels)
