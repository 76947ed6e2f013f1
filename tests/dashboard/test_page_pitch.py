"""The pitch page: what it counts, what it draws, what it bears."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from dashboard.shared.search import index
from dashboard.shared.text.pitch import note_name
from dashboard.views.pitch import charts, facts
from db.connection.open import open_store
from db.reads import pitch
from tests.support import drawn_charts, pages
from tests.support.notes import make_notes
from tests.support.pages import said, unfold

MODEL, TASK, OTHER = "nano-ssl", "notes-pitch", "rooms-event"
show = partial(pages.show, "pitch")


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("pitch") / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        make_notes(connection, TASK)
        make_notes(connection, OTHER)
        connection.commit()
    return path


@pytest.fixture(scope="module")
def engine(store: Path) -> Engine:
    return open_store(store, read_only=True)


def test_the_page_opens_and_counts(store: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model=MODEL, pitch_task=TASK)
    assert not app.exception
    assert not app.warning
    counted = pitch.preferred(engine, MODEL, TASK, "calibrated")["n_neurons"].sum()
    assert f"**{counted:,}** neurons are class-specific for some note" in said(app)
    assert "tuned in both" in said(app)
    drawn_charts.check(app, 6 + 1)  # curves; keyboard
    unfold(app, "octaves", "bandwidth", "layers", "same")
    drawn_charts.check(app, 6 + 7)  # curves; keyboard, wheels, octaves, widths, layers, pairs


def test_a_note_brings_its_neurons_and_sounds(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model=MODEL, pitch_task=TASK, note="60")
    assert not app.exception
    headings = [heading.value for heading in app.subheader]
    assert "Neurons of C4" in headings
    assert [part.key for part in app.get("bidi_component")] == ["search", "copy_link", "note_notes-pitch_60"]
    app.selectbox(key="select_note").select("67").run()
    assert app.query_params["note"] in ("67", ["67"])
    assert "Neurons of G4" in [heading.value for heading in app.subheader]
    app.selectbox(key="select_note").select("all notes").run()
    assert "note" not in app.query_params


def test_later_goes_on_in_the_list(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, model=MODEL)
    before = [link.proto.label for link in app.get("page_link")]
    next(button for button in app.button if button.label == "Later").click().run()
    assert not app.exception
    assert app.query_params["first"] in ("7", ["7"])
    assert not set(before) & {link.proto.label for link in app.get("page_link")} - {""}


def test_a_note_is_found_by_its_number_and_by_its_name(engine: Engine) -> None:
    known = index.read(engine)
    for asked in ("60", "C4", "c4"):
        entry = index.find(known, asked)[0].entries[0]
        assert (entry.name, entry.state) == ("60 (C4)", {"task": TASK, "class": "60"})
    sharp = replace(known.entries[0], name="61 (C♯4)")
    assert index.find(index.Index((sharp,), {}), "c#4")[0].entries == (sharp,)


@pytest.mark.parametrize("preset", ["aape", "lape"])
def test_every_preset_opens(preset: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not show(store, monkeypatch, preset=preset, note="57", order="sharpest").exception


@pytest.mark.parametrize(("name", "value"), [("note", "61"), ("first", "9999"), ("pitch_task", "x"), ("order", "y")])
def test_what_the_address_cannot_mean_is_told(
    name: str, value: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(store, monkeypatch, **{name: value})
    assert not app.exception
    assert [value in warning.value for warning in app.warning] == [True]


def test_a_store_without_notes_says_what_brings_them(one_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(one_model_store, monkeypatch)
    assert not app.exception
    assert "demo-notes" in app.info[0].value
    assert "--tasks" in app.code[0].value


def test_a_tuned_task_whose_classes_are_no_notes_is_not_offered(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named.db").write_bytes(store.read_bytes())
    with closing(sqlite3.connect(tmp_path / "named.db")) as connection:
        connection.execute("UPDATE task_class SET name = 'note ' || name")
        connection.commit()
    app = show(tmp_path / "named.db", monkeypatch)
    assert "so there is no tuning to show" in app.info[0].value


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(empty_store, monkeypatch)
    assert not app.exception
    assert app.code


def test_a_store_without_chosen_neurons_opens(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "atlas.db"
    path.write_bytes(store.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM class_specific_neuron")
        connection.execute("UPDATE selection SET null_n_class_specific_mean = NULL")
        connection.commit()
    app = show(path, monkeypatch, model=MODEL)
    assert not app.exception
    assert "no null was computed" in said(app)
    assert "finds no neuron" in said(app)


def test_queries_agree_with_the_view(engine: Engine) -> None:
    view = pd.read_sql("SELECT * FROM neuron_tuning", engine)
    view = view[(view["model"] == MODEL) & (view["task"] == TASK)]
    chosen = pd.read_sql("SELECT * FROM class_specific_neurons WHERE preset = 'calibrated'", engine)
    chosen = chosen[(chosen["model"] == MODEL) & (chosen["task"] == TASK)][["layer", "neuron"]].drop_duplicates()
    mine = view.merge(chosen, on=["layer", "neuron"])
    assert pitch.preferred(engine, MODEL, TASK, "aape")["n_neurons"].sum() < len(mine)
    by_layer = pitch.preferred(engine, MODEL, TASK, "calibrated")
    expected = mine.groupby(["layer", "preferred_pitch"]).size()
    assert by_layer.set_index(["layer", "preferred_pitch"])["n_neurons"].equals(expected)
    widths = pitch.bandwidths(engine, MODEL, TASK, "calibrated")
    assert widths.loc[widths["bandwidth"].isna(), "n_neurons"].sum() == mine["bandwidth_semitones"].isna().sum() > 0
    indices = pitch.octave_indices(engine, MODEL, TASK, "calibrated").groupby("verdict")["n_neurons"].sum()
    assert indices["over 0"] == (mine["oei_low"] > 0).sum() and set(indices.index) <= set(charts.VERDICTS)
    narrow = pitch.tuned_neurons(engine, MODEL, TASK, "calibrated", "sharpest", limit=5)
    assert list(narrow["bandwidth_semitones"]) == sorted(mine["bandwidth_semitones"].dropna())[:5]
    of_note = pitch.tuned_neurons(engine, MODEL, TASK, "calibrated", "clearest", 60)
    assert len(of_note) == (mine["preferred_pitch"] == 60).sum()
    both = pitch.preferred_pairs(engine, MODEL, TASK, OTHER, "calibrated")
    assert 0 < both["n_neurons"].sum() <= len(mine)


def test_the_narrowest_has_no_second_peak(store: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copy(store, tmp_path / "atlas.db"))
    engine = open_store(copied, read_only=True, create=False)
    first = pitch.tuned_neurons(engine, MODEL, TASK, "calibrated", "sharpest", limit=2).iloc[0]
    with closing(sqlite3.connect(copied)) as connection:
        connection.execute(
            """UPDATE activation_probability SET positive_count = (
                   SELECT CAST(peak_rate * token_count AS INTEGER) FROM pitch_tuning, class_total
                   WHERE pitch_tuning.neuron_id = activation_probability.neuron_id
                     AND pitch_tuning.model_task_id = activation_probability.model_task_id
                     AND class_total.model_task_id = activation_probability.model_task_id
                     AND class_total.class_id = activation_probability.class_id)
               WHERE neuron_id = (SELECT neuron.id FROM neuron JOIN model ON model.id = model_id
                                  WHERE model.name = ? AND layer = ? AND neuron = ?)
                 AND model_task_id = (SELECT model_task.id FROM model_task JOIN task ON task.id = task_id
                                      JOIN model ON model.id = model_task.model_id
                                      WHERE model.name = ? AND task.name = ?)""",
            (MODEL, int(first["layer"]), int(first["neuron"]), MODEL, TASK),
        )
        connection.commit()
    found = pitch.tuned_neurons(engine, MODEL, TASK, "calibrated", "sharpest")
    places = list(zip(found["layer"], found["neuron"], strict=True))
    assert places.index((first["layer"], first["neuron"])) > 0, "as high at every note: its one peak is not narrow"


def test_every_statement_can_be_asked_again(engine: Engine) -> None:
    found = pitch.tuned_neurons(engine, MODEL, TASK, "calibrated", "octaves", 60)
    again = pd.read_sql(found.attrs["sql"], engine)
    assert list(again["neuron"]) == list(found["neuron"])


@pytest.mark.parametrize(("midi", "name"), [(60, "C4"), (69, "A4"), (61, "C♯4"), (21, "A0"), (108, "C8")])
def test_notes_have_their_names(midi: int, name: str) -> None:
    assert note_name(midi) == name


def _counts(counts: dict[tuple[int, int], int]) -> pd.DataFrame:
    return pd.DataFrame([(*key, n) for key, n in counts.items()], columns=["layer", "preferred_pitch", "n_neurons"])


def _played(*notes: int) -> pd.DataFrame:
    return facts.with_notes(pd.DataFrame({"class_name": [str(n) for n in notes], "n_clips": 10}))


def test_notes_are_counted_beside_their_share() -> None:
    rows = facts.by_note(_counts({(0, 60): 30, (1, 60): 10, (1, 72): 60}), _played(60, 64, 72, 76))
    assert list(rows["n_neurons"]) == [40, 0, 60, 0]
    assert list(rows["expected"]) == [25, 25, 25, 25]
    assert (rows["low"] < 25).all()
    assert rows["low"].iloc[0] == 17  # binomial(100, 1/4), 2.5th percentile
    folded = facts.by_pitch_class(rows)
    assert list(folded["name"].iloc[[0, 4]]) == ["C", "E"]
    assert list(folded["n_neurons"].iloc[[0, 4]]) == [100, 0]
    assert folded["times"].iloc[0] == 2
    assert folded["times"].isna().sum() == 10  # pitch classes that were never played


def test_layers_are_marked_where_they_exceed_chance() -> None:
    cells = facts.by_layer(_counts({(0, 60): 50, (0, 62): 1, (3, 60): 1}), _played(60, 62, 64))
    assert len(cells) == 6
    marked = cells[cells["beyond"]]
    assert list(zip(marked["layer"], marked["note"], strict=True)) == [(0, 60)]


def test_a_class_that_is_no_note_is_left_out() -> None:
    assert list(facts.with_notes(pd.DataFrame({"class_name": ["9", "C4", "10"], "n_clips": 1}))["note"]) == [
        9,
        10,
    ]


def test_the_same_preference_agrees_wholly() -> None:
    notes = np.arange(48, 84)
    same = facts.agreement(pd.DataFrame({"preferred_a": notes, "preferred_b": notes, "n_neurons": 5}))
    assert same is not None
    assert same.n_neurons == 180
    assert same.rank_correlation[0] == pytest.approx(1)
    assert same.same == (1, 1, 1)
    assert same.same_by_chance == pytest.approx((36 + 2 * 35) / 36**2)
    up = facts.agreement(pd.DataFrame({"preferred_a": notes, "preferred_b": notes + 12, "n_neurons": 5}))
    assert up is not None
    assert up.octave[0] == 1
    assert up.same[0] == 0
    assert "One or two octaves apart: **100%**" in facts.agreement_sentence(up)


def test_rank_correlation_is_spearmans() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(3)
    a = rng.integers(48, 60, 300)
    b = np.clip(a + rng.integers(-6, 7, 300), 48, 60)
    pairs = pd.DataFrame({"preferred_a": a, "preferred_b": b}).groupby(["preferred_a", "preferred_b"]).size()
    found = facts.agreement(pairs.rename("n_neurons").reset_index())
    assert found is not None
    value, low, high = found.rank_correlation
    assert value == pytest.approx(spearmanr(a, b).statistic)
    assert low < value < high


def test_too_few_neurons_are_not_compared() -> None:
    assert facts.agreement(pd.DataFrame({"preferred_a": [60], "preferred_b": [60], "n_neurons": [9]})) is None


def test_sentences_put_chance_beside_the_count() -> None:
    indices = pd.DataFrame({"octave_index": [0.1, 0.5, -0.2], "verdict": ["includes 0", "over 0", "under 0"],
                            "n_neurons": [50, 40, 10]})  # fmt: skip
    told = facts.octave_sentence(indices)
    assert "**40** of 100" in told
    assert "below 0 for 10" in told
    assert "about 2 each" in told
    widths = pd.DataFrame({"bandwidth": [2.0, 4.0, np.nan], "n_neurons": [3, 3, 7]})
    assert "Unknown for 7" in facts.bandwidth_sentence(widths)
    assert "No bandwidth is known" in facts.bandwidth_sentence(widths[2:])
    assert facts.span(pd.Series([0.25, 0.25])) == "25.0%"
    assert "Unknown" not in facts.bandwidth_sentence(widths[:2])
    one = pd.DataFrame({"bandwidth": [2.25], "n_neurons": [1]})
    assert facts.bandwidth_sentence(one) == "The one neuron of which it is known has **2.2** semitones."


def test_the_keyboard_has_its_black_keys_where_they_belong() -> None:
    played = pd.DataFrame({"note": [60, 64], "name": ["C4", "E4"]})
    laid = charts.keys(played, 60).set_index("note")
    assert len(laid) == 12
    assert list(laid.index[laid["black"]]) == [61, 63, 66, 68, 70]
    assert laid["black"].is_monotonic_increasing  # white ones are drawn first
    assert laid["fill"].nunique() == 3  # pressed, playable, not played
    white = laid[~laid["black"]].sort_index()
    assert list(white["right"][:-1]) == list(white["left"][1:])


def test_charts_are_valid() -> None:
    notes = _played(60, 64, 72, 76)
    counts = _counts({(0, 60): 30, (1, 72): 60})
    rows = facts.by_note(counts, notes)
    curve = facts.named_curve(
        pd.DataFrame({"task": ["a", "a"], "class_name": ["60", "64"], "activation_probability": [0.1, 0.4]})
    )
    pairs = facts.named_pairs(pd.DataFrame({"preferred_a": [60], "preferred_b": [72], "n_neurons": [2]}))
    octave = pd.DataFrame({"octave_index": [0.1], "verdict": ["over 0"], "n_neurons": [2]})
    width = pd.DataFrame({"bandwidth": [2.25], "n_neurons": [2]})
    for chart in (
        charts.keyboard(rows, 60), charts.tuning_curves(curve, ("a",), (64, np.nan, np.nan)),
        charts.layer_notes(facts.by_layer(counts, notes)),
        charts.wheel(facts.by_pitch_class(rows), 2.5, "#3A78B8"), charts.octave_chart(octave),
        charts.bandwidth_chart(width), charts.preferred_scatter(pairs, "a", "b"),
    ):  # fmt: skip
        assert drawn_charts.rows_of(json.loads(chart.to_json()))
