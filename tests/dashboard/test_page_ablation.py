"""The Ablation page and its queries on made-up stores."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.results import Ablation, Attributions, Specificity
from db.connection.open import open_store
from db.reads import ablation as queries
from db.reads.ablation import Chosen
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.pages import asked, open_page, said, unfold
from tests.support.pages import show as opened
from tests.support.records import ablations_of
from tests.support.synthetic_store import DATASETS
from tests.support.taken_apart import write_apart

EVENTS = DATASETS["rooms"]["event"]
N_NEURONS = 384
show = partial(open_page, "ablation")


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study of two models; of one task more operations, attributions and specificity too."""
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("ablation") / "atlas.db"))
    engine = open_store(path)
    writer = Store(engine)
    model = int(frame(engine, "SELECT id FROM model WHERE name = 'nano-ssl'")["id"].iloc[0])
    run = int(frame(engine, "SELECT MAX(id) AS id FROM run WHERE model_name = 'nano-ssl'")["id"].iloc[0])
    known = queries.effects(engine, Chosen("nano-ssl", "rooms-event", "top 1%", "scale", 0.0))
    more = []
    for operation, gain in (("keep", None), ("mean", None), ("scale", 0.5)):
        for target, rows in known.groupby("target"):
            effects = rows.rename(columns={"affected_class": "class_name"}).reset_index(drop=True)
            more.append(
                Ablation(
                    "rooms-event", "top 1%", str(target), gain, np.array([1, 2]), effects,
                    np.zeros((3, len(effects))), operation,
                )
            )  # fmt: skip
    writer.write_ablations(run, "more", model, ablations_of("rooms-event", more))
    neurons = pd.DataFrame(
        [(c, n, 0.001 * ((n * 7 + c) % N_NEURONS), 0.01, 3) for c in range(len(EVENTS)) for n in range(N_NEURONS)],
        columns=["class_index", "neuron_index", "attribution", "standard_error", "n_clips"],
    ).assign(selective=0.0)
    checks = pd.DataFrame(
        {"class_index": [0, 1, 2], "neuron_index": [3, 5, 9], "attribution": [0.1, 0.2, 0.0],
         "measured": [0.2, 0.3, 0.1], "in_highest": [1, 1, 0], "selective": [0.1, 0.0, 0.0],
         "measured_total": [0.1, 0.2, 0.0], "measured_selective": [0.0, 0.1, 0.2]}
    )  # fmt: skip
    summary = {"n_clips": 16, "n_checked": 3, "n_clips_checked": 8, "spearman_all": 0.9, "spearman_random": np.nan,
               "spearman_highest": 1.0, "margin_total": 0.75, "margin_selective": 0.25, "selective_total": 0.5,
               "selective_selective": np.nan}  # fmt: skip
    writer.write_attributions(run, "shares", model, Attributions("rooms-event", EVENTS, neurons, checks, summary))
    specific = pd.DataFrame(
        [("nano-ssl", "rooms", "rooms-event", "top 1%", "scale", 0.0, -0.1, -0.02, 0.08, 0.01, 0.2, 8, 4.0)],
        columns=["model", "dataset", "task", "selection", "operation", "gain", "self_effect", "cross_effect",
                 "specificity", "ci_low", "ci_high", "n_classes", "n_neurons"],
    )  # fmt: skip
    writer.write_specificity(run, "specific", model, Specificity(specific))
    engine.dispose()
    return path


@pytest.fixture
def engine(store: Path) -> Engine:
    return open_store(store, read_only=True)


def test_what_was_ablated_is_listed(engine: Engine) -> None:
    found = queries.ablated(engine, "nano-ssl", "rooms-event")
    settings = {(s, o, None if pd.isna(g) else g) for s, o, g in
                found[["selection", "operation", "gain"]].itertuples(index=False)}  # fmt: skip
    assert {
        ("top 1%", "scale", 0.0),
        ("top 1%", "scale", 0.5),
        ("top 1%", "keep", None),
        ("top 5%", "scale", 0.0),
    } <= settings
    row = found[(found["selection"] == "top 1%") & (found["gain"] == 0)].iloc[0]
    assert (row["n_targets"], row["n_neurons"]) == (8, 4)


def test_effects_are_of_one_way_to_choose_and_change(engine: Engine) -> None:
    for operation, gain in (("scale", 0.0), ("scale", 2.0), ("keep", None)):
        found = queries.effects(engine, Chosen("nano-ssl", "rooms-event", "top 1%", operation, gain))
        assert len(found) == 8 * 9
        assert set(found["operation"]) == {operation}
        assert found["gain"].isna().all() if gain is None else set(found["gain"]) == {gain}


def test_own_effects_are_of_the_targets_class_and_of_all_clips(engine: Engine) -> None:
    found = queries.own_effects(engine, "nano-ssl", "rooms-event", "top 1%")
    assert len(found) == 5 * 8 * 2
    assert (found["affected_class"].isna() | (found["affected_class"] == found["target"])).all()


def test_controls_are_counted_beside_their_effects(engine: Engine) -> None:
    place = ("nano-ssl", "rooms-event", "top 1%")
    kept = queries.controls(engine, Chosen(*place, "keep"))
    assert kept[["target", "affected_class", "value", "n_draws"]].to_numpy().tolist() == [
        [name, name, 0.0, 3] for name in sorted(EVENTS)
    ]
    silenced = queries.controls(engine, Chosen(*place, "scale", 0.0), target="dog")
    assert set(silenced["target"]) == {"dog"}
    assert set(silenced["affected_class"].dropna()) == set(EVENTS)
    assert silenced["n_draws"].sum() == 5 * 9
    rows = queries.effects(engine, Chosen(*place, "scale", 0.0))
    own = rows[(rows["target"] == "dog") & (rows["affected_class"] == "rain")]["control_delta_mean"].iloc[0]
    assert silenced[silenced["affected_class"] == "rain"]["value"].mean() == pytest.approx(own)
    whole = queries.controls(engine, Chosen(*place, "keep"), whole=True)
    assert whole["affected_class"].isna().all() and len(whole) == 8


def test_the_strongest_neurons_of_a_class_come_first(engine: Engine) -> None:
    assert queries.attributed_classes(engine, "nano-ssl", "rooms-event") == list(EVENTS)
    assert queries.attributed_classes(engine, "nano-sl", "rooms-event") == []
    top = queries.top_attributed(engine, "nano-ssl", "rooms-event", EVENTS[2], n=3)
    flat = sorted(range(N_NEURONS), key=lambda n: -((n * 7 + 2) % N_NEURONS))[:3]
    assert (top["layer"] * 64 + top["neuron"]).tolist() == flat
    assert top["attribution"].tolist() == pytest.approx([0.383, 0.382, 0.381])
    assert top["standard_error"].tolist() == pytest.approx([0.01] * 3)


def test_the_strongest_neurons_come_in_the_order_of_an_index(engine: Engine) -> None:
    sql = queries.top_attributed(engine, "nano-ssl", "rooms-event", "dog").attrs["sql"]
    plan = " ".join(frame(engine, "EXPLAIN QUERY PLAN " + sql)["detail"])
    assert (
        "neuron_attribution_value USING INDEX ix_neuron_attribution_value_class (attribution_id=? AND class_id=?"
        in plan
    )


def commands(app: AppTest) -> list[str]:
    return [code.value for code in app.code if code.value.startswith("python run_analysis.py")]


def test_the_page_shows_effects_flips_doses_and_shares(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = show(model="nano-ssl", task="rooms-event")
    assert not app.exception and not app.warning and not app.error
    assert {heading.value for heading in app.subheader} == {
        "Effect of silencing, class by class", "Beside random neurons", "Clip by clip",
        "Accuracy by dose and choice", "Every neuron's share",
    }  # fmt: skip
    assert len(app.get("vega_lite_chart")) == 1, "of a measure in which nothing holds the matrix is folded"
    assert "8.0 points more than the others do (95 % interval 1.0 to 20.0)" in said(app), "what is folded is told"
    unfold(app, "clips", "doses", "shares")
    for heading in ("Clips that flipped", "Dose", "Needed, and enough?", "Which choice is most specific?"):
        assert f"**{heading}**" in said(app)
    assert len(app.info) == 1
    assert "only accuracy is stored" in app.info[0].value
    assert "--tasks rooms-event --model nano-ssl --stages ablate --gains 0,0.5,2,mean,keep" in commands(app)[0]
    assert len(app.get("vega_lite_chart")) == 5
    assert any(one.label.startswith("Nothing is significant in this measure") for one in app.expander)
    assert "of 64 effects is significant" in said(app)
    assert "of 8 own classes (framed) and" in said(app)
    assert "**2 clips** are called by another class" in said(app)
    assert "8.0 points more than the others do (95 % interval 1.0 to 20.0)" in said(app)
    assert "3 neurons were really taken out" in said(app)
    assert (asked(app, "selection"), asked(app, "gain")) == ("top 1%", "0")


def test_the_address_restores_the_page(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    state = {"model": "nano-ssl", "task": "rooms-event", "selection": "top 1%", "gain": "keep", "target": "siren",
             "beside": "target", "clips": "flipped", "attributed": "rain"}  # fmt: skip
    app = show(**state)
    assert not app.exception and not app.warning
    assert {name: asked(app, name) for name in state} == state
    assert app.selectbox(key="select_target").value == "siren"
    assert app.selectbox(key="select_attributed").value == "rain", "what is asked for is open"
    assert "Which flips" not in said(app)
    assert "No test clip changed its class by the neurons of siren" in said(app)
    app.selectbox(key="select_gain").select("2").run()
    assert not app.exception
    assert (asked(app, "gain"), asked(app, "target")) == ("2", "siren")
    app.selectbox(key="select_selection").select("top 5%").run()
    assert not app.exception and not app.warning
    assert asked(app, "gain") == "0"


@pytest.mark.parametrize(("name", "value"), [("selection", "best"), ("gain", "7"), ("target", "nobody")])
def test_unknown_values_in_the_address_are_told(
    name: str, value: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = show(model="nano-ssl", task="rooms-event", **{name: value})
    assert not app.exception
    called = {"selection": "choice of neurons", "gain": "operation", "target": "target"}[name]
    assert len(app.warning) == 1 and f"the {called} “{value}”" in app.warning[0].value


def test_a_model_without_attributions_and_specificity_opens(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = show(model="nano-sl", task="voices-emotion")
    assert not app.exception and not app.error
    assert "No attribution was computed" in said(app)
    unfold(app, "doses")
    assert "Not computed: it needs" in said(app)
    assert "Needed, and enough?" not in said(app)


def partial_copy(whole: Path, path: Path, *statements: str) -> Path:
    engine = open_store(shutil.copy(whole, path))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return path


def test_a_store_without_ablations_says_how_to_make_them(
    one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = partial_copy(one_model_store, tmp_path / "atlas.db", "DELETE FROM ablation")
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = show(task="rooms-event")
    assert not app.exception and not app.error
    assert "Nothing was ablated for rooms\\-event" in app.info[0].value
    assert app.code[0].value.endswith("--tasks rooms-event --model nano-ssl --stages ablate")


def test_a_store_without_controls_flips_and_q_opens(
    one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = "control_delta_mean = NULL, control_delta_low = NULL, control_delta_high = NULL, n_controls = 0"
    path = partial_copy(
        one_model_store, tmp_path / "atlas.db", "DELETE FROM ablation_control", "DELETE FROM ablation_flip",
        f"UPDATE ablation_effect SET {nothing}, q_value = NULL",
    )  # fmt: skip
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = show(task="rooms-event")
    assert not app.exception and not app.error
    assert "No random controls were run" in said(app)
    unfold(app, "clips")
    assert "was not kept in this run" in said(app)


def test_targets_that_are_no_class_are_shown_over_all_clips(
    one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = partial_copy(one_model_store, tmp_path / "atlas.db", "UPDATE ablation SET target = 'set of ' || target")
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = show(task="rooms-event")
    assert not app.exception and not app.error
    assert "No target is a class of the task" in said(app)


@pytest.fixture(scope="module")
def apart(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study, and of one task two doses taken apart: 4 classes lose, 2 more only shift, 2 do neither."""
    return write_apart(Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("apart") / "atlas.db")))


def test_a_first_visit_tells_whether_how_and_how_much(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("ablation", apart, monkeypatch, model="nano-ssl", task="rooms-event")
    assert not app.warning and not app.error and not app.info
    assert (asked(app, "selection"), asked(app, "outcome")) == ("mad 1%", "selective")
    verdict = said(app)
    # -0.8 for 4 of 8 classes: a mean of -0.4; a shift of -1 for 6 of 8: a mean of -0.75.
    assert "a class loses 0.40 in logit on its own clips" in verdict
    assert "significant for 4 of 8 classes" in verdict
    assert "Most of the fall is a shift (−0.75 on all *other* clips)" in verdict
    headings = [heading.value for heading in app.subheader]
    assert headings[:5] == [
        "What kind of effect", "Effect of silencing, class by class", "Beside random neurons",
        "What can still be read", "Clip by clip",
    ]  # fmt: skip
    assert "4 of 8 own classes (framed) and 0 of 56 others" in said(app)
    assert "each of 20 random sets" in said(app)
    assert "what these neurons carried, others carry too" in said(app)
    assert len(app.get("vega_lite_chart")) == 3 + 1
    assert "4 of 8 effects of the classes’ own neurons are significant" in said(app)
    unfold(app, "strip", "readable", "clips")
    assert len(app.get("vega_lite_chart")) == 3 + 2 + 3 + 1
    assert asked(app, "clips") == "own"


def test_every_measure_has_its_matrix_and_its_random_sets(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("ablation", apart, monkeypatch, model="nano-ssl", task="rooms-event")
    for name, told in (
        ("total", "6 of 8 own classes"), ("shift", "6 of 8 own classes"), ("discrimination", "own classes"),
        ("accuracy", "0 of 8 own classes"),
    ):  # fmt: skip
        app.segmented_control(key="select_outcome").select(name).run()
        assert not app.exception and not app.warning
        assert asked(app, "outcome") == name
        assert told in said(app), name
    again = opened(
        "ablation", apart, monkeypatch, model="nano-ssl", task="rooms-event", outcome="shift", target="cough"
    )
    assert again.segmented_control(key="select_outcome").value == "shift"
    assert again.selectbox(key="select_target").value == "cough"
    assert again.button(key="fold_strip").label == "Fold", "what the address asks to be seen closer is open"


def test_clips_are_heard_own_or_others_or_flipped(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"model": "nano-ssl", "task": "rooms-event", "target": EVENTS[0]}
    app = opened("ablation", apart, monkeypatch, **state)
    unfold(app, "clips")
    assert "−1.80 on its own clips, −1.00 on all others (the shift); the difference, −0.80" in said(app)
    assert "The 12 of" not in said(app), "the class has 12"
    app.segmented_control(key="select_clips").select("other").run()
    assert asked(app, "clips") == "other" and "The 12 of 84 that lose most" in said(app)
    app.segmented_control(key="select_clips").select("flipped").run()
    assert asked(app, "clips") == "flipped" and "No test clip changed its class" in said(app)
    assert not app.exception and not app.warning


def test_what_was_not_taken_apart_is_told_once_beside_what_was(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("ablation", apart, monkeypatch, model="nano-ssl", task="rooms-event", selection="top 1%")
    assert len(app.info) == 1 and "top 1% only accuracy" in app.info[0].value.replace("\\", "")
    assert "--ablate top:0.01" in commands(app)[0] and len(commands(app)) == 1
    assert "outcome" not in app.query_params, "there is no choice, and none is carried to where there is one"
    assert "effects is significant" in said(app)
    assert "each of 20 random sets" in said(app), "the doses of the others are drawn"
    asked_for = opened(
        "ablation", apart, monkeypatch, model="nano-ssl", task="rooms-event", selection="top 1%", outcome="shift"
    )
    assert len(asked_for.warning) == 1 and "measure “shift”" in asked_for.warning[0].value


def test_a_task_without_outcomes_does_not_take_the_next_ones_from_view(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("ablation", apart, monkeypatch, model="nano-ssl", task="notes-pitch")
    assert asked(app, "selection") == "top 1%"
    app.selectbox(key="select_task").select("rooms-event").run()
    assert not app.exception
    assert (asked(app, "selection"), asked(app, "outcome")) == ("mad 1%", "selective")


def test_each_random_sets_mean_over_classes_is_read(apart: Path) -> None:
    engine = open_store(apart, read_only=True)
    place = ("nano-ssl", "rooms-event")
    draws = queries.mean_controls(engine, *place, "scale", 0.0)
    assert draws.groupby("selection").size().to_dict() == {"mad 1%": 20, "mad 5%": 20}
    single = queries.controls(engine, Chosen(*place, "mad 1%", "scale", 0.0), value="selective")
    mean = draws.loc[draws["selection"] == "mad 1%", "selective"].mean()
    assert single["value"].mean() == pytest.approx(mean) and single["n_draws"].sum() == 8 * 20
    cross = queries.cross_outcomes(engine, Chosen(*place, "mad 1%", "scale", 0.0)).set_index("outcome")["change"]
    assert cross["selective"] == pytest.approx(0, abs=1e-6)
    own = queries.own_outcomes(engine, *place, "scale", 0.0)
    assert (own["target"] == own["affected_class"]).all() and len(own) == 2 * 8 * 8
    assert set(queries.measured(engine, Chosen(*place, "mad 1%", "scale", 0.0))) > {"total", "shift", "selective"}
    assert queries.measured(engine, Chosen(*place, "top 1%", "scale", 0.0)) == []
    with pytest.raises(ValueError, match="'unknown' is not known of random sets"):
        queries.controls(engine, Chosen(*place, "mad 1%", "scale", 0.0), value="unknown")


def test_both_classes_of_a_pair_are_its_own(apart: Path, tmp_path: Path) -> None:
    path = partial_copy(
        apart, tmp_path / "atlas.db", "UPDATE ablation SET target = 'bell + cough' WHERE target = 'bell'"
    )
    own = queries.own_outcomes(open_store(path, read_only=True), "nano-ssl", "rooms-event", "scale", 0.0)
    assert set(own.loc[own["target"] == "bell + cough", "affected_class"]) == {"bell", "cough"}
    assert set(own.loc[own["target"] == "rain", "affected_class"]) == {"rain"}


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(empty_store))
    app = show()
    assert not app.exception
    assert app.code[0].value.startswith("python run_analysis.py")
