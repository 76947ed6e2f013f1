"""The overview: what it tells of warnings, gaps and the strongest effect, and where it leads."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from dashboard.shared.charts import by_task as charts
from dashboard.shared.text import facts
from dashboard.views.overview import facts as overview_facts
from dashboard.views.overview import findings
from db.connection.open import open_store
from db.reads import coverage, report, study
from db.reads.frames import with_intervals
from tests.support import pages
from tests.support.pages import said
from tests.support.taken_apart import write_apart

show = partial(pages.show, "overview")


@pytest.fixture(scope="module")
def store(synthetic_store: Path) -> Path:
    return synthetic_store


@pytest.fixture(scope="module")
def partial(one_model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without ablations, probes and shuffles, and with hostile names."""
    path = Path(shutil.copy(one_model_store, tmp_path_factory.mktemp("partial") / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        for table in ("ablation", "ablation_effect", "ablation_neuron", "ablation_control", "probe", "probe_score"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute(
            "UPDATE selection SET n_shuffles = 0, null_coverage_mean = NULL, null_coverage_low = NULL, "
            "null_coverage_high = NULL, null_n_class_specific_mean = NULL, null_n_class_specific_low = NULL, "
            "null_n_class_specific_high = NULL, null_n_pairs_mean = NULL"
        )
        connection.execute("UPDATE task SET name = '**[x](y)** <b>' WHERE name = 'rooms-event'")
        connection.execute("UPDATE model_task SET warnings_json = '[\"fewer than 10 selection clips: a (3)\"]'")
        connection.commit()
    return path


def test_it_shows_five_charts_and_says_what_stands(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch)
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 3
    app.session_state["more_kinds"] = True
    app.button(key="fold_layers").click().run()
    assert len(app.get("vega_lite_chart")) == 5
    text = said(app)
    assert "above the permutation null" in text
    assert "**Other** (1 task: rooms\\-place)" in text
    assert "No probe** for 1 task of 2 models: rooms\\-place" in text


def test_a_partial_store_is_explained_and_its_names_stay_text(partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(partial, monkeypatch)
    assert not app.exception
    assert not app.error
    app.session_state["more_kinds"] = True
    app.button(key="fold_layers").click().run()
    text = said(app)
    assert "No probe was trained." in text
    assert "No neurons were ablated" in text
    assert "No shuffled-label null" in text
    assert "Small classes" in text
    assert "**[x](y)**" not in text


def test_layers_can_be_counted_over_one_task(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, layer_task="rooms-event", preset="aape")
    assert not app.exception
    assert not app.warning
    assert {box.label: box.value for box in app.selectbox} == {"Counted over": "rooms-event"}


def test_the_strongest_effect_is_the_largest_that_stands(store: Path) -> None:
    engine = open_store(store, read_only=True)
    found = coverage.strongest_effects(engine).set_index("model")
    assert sorted(found.index) == sorted(study.models(engine)["name"])
    for model in found.index:
        every = study.ablation_effects(engine, model)
        every = every.assign(size=every["delta"].abs(), stands=facts.believable(every))
        pool = every[every["stands"]] if every["stands"].any() else every
        assert bool(found.loc[model, "believable"]) == every["stands"].any()
        assert abs(found.loc[model, "delta"]) == pytest.approx(pool["size"].max())


def test_models_whose_effects_were_taken_apart_are_told_by_them(
    synthetic_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_apart(Path(shutil.copy(synthetic_store, tmp_path / "atlas.db")))
    app = show(path, monkeypatch)
    text = said(app)
    assert "**nano\\-ssl**: 4 of 8 classes in 1 task lose on their own clips" in text
    assert text.index("**Selective effect of silencing**") < text.index("**Strongest effect on accuracy**")
    assert "**nano\\-sl**. With" in text and "**nano\\-ssl**. With" not in text, "the other by its accuracy"
    own = report.own_outcomes(open_store(path, read_only=True))
    tasks = study.tasks(open_store(path, read_only=True))
    assert overview_facts.selective(own, tasks)[["model", "task", "n_hold", "n"]].to_numpy().tolist() == [
        ["nano-ssl", "rooms-event", 4, 8]
    ]


def test_an_effect_that_stands_goes_before_a_larger_one(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    path.write_bytes(store.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE ablation_effect SET q_value = 0.5")
        connection.execute(
            "UPDATE ablation_effect SET q_value = 0.01, delta = -0.001, ci_low = -0.002, ci_high = -0.0005, "
            "control_delta_low = 0, control_delta_high = 0.1 WHERE ablation_id = 1 AND position = 0"
        )
        connection.commit()
    found = coverage.strongest_effects(open_store(path, read_only=True))
    assert found["believable"].tolist().count(1) == 1
    assert found.loc[found["believable"] == 1, "delta"].tolist() == [-0.001]


def test_layers_agree_with_the_view(store: Path) -> None:
    engine = open_store(store, read_only=True)
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(
            "SELECT model, task, layer, SUM(is_class_specific), COUNT(*) FROM neuron_selectivity "
            "WHERE preset = 'calibrated' GROUP BY model, task, layer"
        ).fetchall()
    found = coverage.specific_by_layer(engine, "calibrated")
    assert sorted(
        found[["model", "task", "layer", "n_class_specific", "width"]].itertuples(index=False, name=None)
    ) == (sorted(rows))
    assert found["n_class_specific"].sum() > 0
    of_task = coverage.specific_by_layer(engine, "calibrated", "rooms-event")
    assert set(of_task["task"]) == {"rooms-event"}
    assert len(of_task) == 12


def test_only_heads_over_all_classes_on_test_clips_are_read(store: Path) -> None:
    found = coverage.probes(open_store(store, read_only=True))
    assert len(found) == 10
    assert not found.duplicated(["model", "task"]).any()
    assert set(coverage.ablated_tasks(open_store(store, read_only=True))["task"]) == set(found["task"])


def test_a_mean_average_precision_has_no_interval() -> None:
    probe = pd.DataFrame(
        {"accuracy": [0.5, 0.5], "n_clips": [10, 10], "metric": ["accuracy", "average precision"], "chance": 0.1,
         "model": "a", "task": ["x", "y"]}
    )  # fmt: skip
    found = with_intervals(probe)
    assert found["ci_low"].notna().tolist() == [True, False]
    interval, _, _ = charts.probe_chart(found).to_dict()["layer"]
    assert interval["encoding"]["x"]["field"] == "ci_low"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("each speaker has one accent, and 3 of 6 occur in both selection and test clips: a neuron for the speaker "
         "passes for one for the accent", "The class and its source cannot be told apart"),
        ("each family is one instrument: a neuron for the instrument and one for the family cannot be told apart",
         "The class and its source cannot be told apart"),
        ("level alone tells the class (accuracy 0.4 on test clips, chance 0.3) as well as the model (0.4): what was "
         "found may be no more than that", "Something simpler tells the class as well as the model"),
        ("duration, level and silence alone tell the class: accuracy 0.44", "Loudness and length alone tell the class"),
        ("the head knows the voice: accuracy 0.9 where", "The probe leans on knowing the voice, instrument or source"),
        ("what is shuffled is whole voices: 2 of 2 classes have too few",
         "Too few voices, instruments or sources for small p"),
        ("pairs chosen by 'calibrated' hold on test clips no more often (0.12) than all pairs (0.08): what was found "
         "may be the speaker or source, not the class", "The chosen pairs are replicated no more often than all pairs"),
        ("fewer than 10 selection clips: bee (6)", "Small classes"),
        ("1 of 54 calibrated pairs has no evidence left beside level, duration and silence (most by silence)",
         "Pairs that level, duration or silence explain"),
        ("mean spectrum alone tells the class (accuracy 0.5 on test clips, chance 0.1); the model 0.9",
         "The mean spectrum tells part of it"),
        ("no selection clip, left out: cello", "Classes left out"),
        ("ablated: no class (fewer than 10 test clips)", "Not all classes were ablated"),
        ("something never heard of", "Other"),
    ],
)  # fmt: skip
def test_warnings_are_known_by_their_words(text: str, title: str) -> None:
    found = overview_facts.warning_kinds(pd.DataFrame({"model": ["a"], "task": ["t"], "warning": [text]}))
    assert found["title"].tolist() == [title]


def test_warnings_come_grave_first_and_name_each_task_once() -> None:
    rows = [("a", "t", "no selection clip, left out: x"), ("b", "u", "the head knows the voice: 1"),
            ("a", "u", "the head knows the voice: 2")]  # fmt: skip
    found = overview_facts.warning_kinds(pd.DataFrame(rows, columns=["model", "task", "warning"]))
    assert found["grave"].tolist() == [True, False]
    assert found["tasks"].tolist() == [["u"], ["t"]]
    assert found["n_warnings"].tolist() == [2, 1]
    assert overview_facts.warning_kinds(pd.DataFrame({"model": [], "task": [], "warning": []})).empty


def test_figures_open_pages_in_the_right_state_or_say_what_they_lack() -> None:
    tasks = pd.DataFrame(
        [("surge-octave", "surge", "octave"), ("nsynth-octave", "nsynth", "octave"), ("gtzan", "gtzan", "genre"),
         ("cremad-gender", "cremad", "gender")],
        columns=["task", "dataset", "attribute"],
    )  # fmt: skip
    none = pd.DataFrame({"model": [], "task": []})
    found = {figure.title: figure for figure in overview_facts.figures(["a", "b"], tasks, "aape", none)}
    octave = found["Neurons shared between datasets by octave"]
    assert octave.state == {"model": "a", "preset": "aape", "task": "surge-octave", "with": "nsynth-octave"}
    assert found["Neurons shared between genres of music"].state["task"] == "gtzan"
    assert "two datasets" in found["Neurons shared between datasets by gender"].missing
    assert "ablated" in found["Accuracy without a class's neurons"].missing
    compare = found["Coverage by task, self-supervised against supervised"]
    assert (compare.state["other"], compare.missing) == ("b", "")
    alone = overview_facts.figures(["a"], tasks, "aape", none)
    assert alone[0].missing


def test_a_quota_is_named_with_its_null() -> None:
    rows = pd.DataFrame(
        {"n_class_specific": [46, 46], "null_n_class_specific_mean": [46.0, 10.0],
         "null_n_class_specific_high": [46.0, 20.0], "settings_json": ['{"entropy_rate": 0.01}'] * 2}
    )  # fmt: skip
    note = facts.quota_note(rows, "lape")
    assert "more than 1 %" in note
    assert "46 a task" in note
    assert "28.0 with shuffled labels" in note
    assert "1 of 2 cases" in note
    assert facts.quota_note(rows.assign(settings_json='{"q_max": 0.05}'), "calibrated") == ""
    assert "says nothing" in facts.quota_note(rows.assign(null_n_class_specific_mean=float("nan")), "aape")


@pytest.mark.parametrize(
    ("n_stand", "n_models", "begins"),
    [(0, 1, "The model has no significant"), (0, 2, "No model has a sig"), (1, 3, "1 of 3 models has a sig")],
)
def test_others_are_spoken_of_where_there_are_any(n_stand: int, n_models: int, begins: str) -> None:
    caption = overview_facts.effects_caption(n_stand, n_models)
    assert caption.startswith(begins)
    assert ("others" in caption) == bool(n_stand)


NEURON = {
    "model": "m", "dataset": "toys", "task": "toys-octave", "attribute": "octave", "class_name": "4", "layer": 3,
    "neuron": 699, "activation_probability": 0.185, "lift": 12.0, "lift_low": 7.5, "lift_high": 20.0,
    "q_value": 0.01, "explained_by": "", "shuffled": "clips",
}  # fmt: skip


def test_findings_stand_beside_their_intervals_and_what_may_explain_them() -> None:
    card = findings.neuron_card(
        NEURON, 1200, ["mean spectrum alone tells the class (0.9); the model 0.95"], "calibrated"
    )
    assert r"**L3·699** fires at 18.5 % of the tokens of **octave 4**, **12× as often**" in card.sentence
    assert (card.value, card.beside) == ("12×", "95 % interval 7.5× to 20×; q = 0.01")
    assert "The run warns: mean spectrum" in card.caution and not card.is_confounded
    grave = findings.neuron_card(NEURON, 1, ["level tells the class as well as the model"], "calibrated")
    assert grave.is_confounded
    assert "No neuron that aape chose" in findings.neuron_card(None, 0, [], "aape").sentence
    assert "∞" in findings.neuron_card({**NEURON, "lift": float("inf"), "lift_high": float("inf")}, 1, [], "aape").value


def test_a_store_without_findings_says_so(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE class_specific_neuron SET replicated = 0")
        connection.execute("UPDATE shared_neuron SET q_value = 0.5")
        connection.execute("UPDATE ablation_effect SET q_value = 0.5")
        connection.commit()
    text = said(show(path, monkeypatch))
    assert "No neuron that calibrated chose has q < 0.05 and replicates" in text
    assert "No two classes share more" in text
    assert "No ablation's effect is beyond its random controls in this store." in text
