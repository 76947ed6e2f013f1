"""The neuron's page: sounds, classes, worth, cause, neighbours."""

from __future__ import annotations

import math
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from dashboard.views.neuron import charts, facts, twin_facts
from db.connection.open import open_store
from db.reads import descriptions, neurons
from db.reads import neuron_evidence as evidence
from tests.support import pages
from tests.support.drawn_charts import rows_of
from tests.support.pages import asked, said, unfold

MODEL, TASK = "nano-ssl", "rooms-event"
LAYER, NEURON, FLAT = 2, 7, 135
show = partial(pages.show, "neuron")


@pytest.fixture(scope="module")
def store(one_model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up store in which one neuron has evidence of every kind."""
    path = Path(shutil.copy(one_model_store, tmp_path_factory.mktemp("neuron") / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        of_task = f"SELECT mt.id FROM model_task mt JOIN task ON task.id = mt.task_id WHERE task.name = '{TASK}'"
        (owner,) = connection.execute(of_task).fetchone()
        classes = [row[0] for row in connection.execute(
            f"SELECT tc.id FROM task_class tc JOIN task ON task.id = tc.task_id WHERE task.name = '{TASK}'"
        )]  # fmt: skip
        (own,) = connection.execute("SELECT id FROM neuron WHERE flat_index = ?", (FLAT,)).fetchone()
        connection.executemany(
            "INSERT INTO selector_score VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (owner, own + step, c, 1000 - step, 100 - step, 9000 - step, 50 - step, 40 - step)
                for c in classes
                for step in range(4)
            ],
        )
        connection.execute("INSERT INTO neuron_confound VALUES (?, ?, 6000, NULL, -100)", (owner, own))
        connection.execute(
            "INSERT INTO attribution VALUES (1, 1, (SELECT id FROM task WHERE name = ?), 1, NULL, 9, 30, 8, 0.9, 0.8,"
            " 0.7, 0.6, 0.5, 0.4, 0.3)",
            (TASK,),
        )
        connection.executemany(
            "INSERT INTO neuron_attribution_value VALUES (1, ?, ?, ?, 100000, 2, 0)",
            [(own, c, 500_000 - 200_000 * place) for place, c in enumerate(classes)],
        )
        connection.execute(
            "INSERT INTO attribution_check_value VALUES (1, ?, ?, 0.5, 0.625, 1, 0.25, 0.5, 0.125)", (own, classes[0])
        )
        connection.executemany(
            "INSERT INTO neuron_preference VALUES (?, ?, ?, ?, ?, ?)",
            [(owner, own, c, 1.0 - place, 0.5 - place, 1.5 - place) for place, c in enumerate(classes)],
        )
        connection.execute("UPDATE neuron_entropy SET p_value = 0.0001, q_value = 0.002 WHERE neuron_id = ?", (own,))
        selection = f"SELECT id FROM selection WHERE preset = 'calibrated' AND model_task_id = ({of_task})"
        connection.execute(
            f"DELETE FROM class_specific_neuron WHERE neuron_id = ? AND selection_id = ({selection})", (own,)
        )
        connection.execute(
            f"INSERT INTO class_specific_neuron (selection_id, neuron_id, class_id, lift, p_value, q_value, replicated,"
            f" lift_low, lift_high, explained_by) VALUES (({selection}), ?, ?, 4.25, 1e-7, 0.003, 1, 3.5, 5, 'level')",
            (own, classes[2]),
        )
        connection.commit()
    return path


HERE = {"model": MODEL, "task": TASK, "layer": str(LAYER), "neuron": str(NEURON), "preset": "calibrated"}


def test_a_neuron_is_told_with_lift_interval_q_and_entropy(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **HERE)
    assert not app.warning
    text_of_page = said(app)
    assert "class-specific for dog (4.2× [3.5, 5.0], q = 0.003)" in text_of_page
    assert "lower than shuffled labels give (q = 0.002)" in text_of_page
    assert "cannot be told from level" in text_of_page
    assert "**level +0.60**" in text_of_page  # beyond what 80 clips give by chance
    assert "among 3 others that fire" in text_of_page
    assert asked(app, "part") == "worth"
    assert asked(app, "clips") == "rooms"


def test_parts_that_nobody_opens_are_not_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> pd.DataFrame:
        raise AssertionError("read")

    for name in ("attribution", "attribution_check", "alike", "any_profiles", "tuning", "preferences"):
        monkeypatch.setattr(evidence, name, fail)
    show(store, monkeypatch, **HERE)


def test_other_tasks_are_folded_and_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **HERE)
    assert "Class-specific in" in said(app) and "**notes**" not in said(app)
    n_before = len(app.get("vega_lite_chart"))
    unfold(app, "tasks")
    assert "**rooms**" in said(app), "the dataset once"
    assert "place" in [caption.value for caption in app.caption], "and its tasks by what they add"
    assert len(app.get("vega_lite_chart")) > n_before


def test_classes_stand_by_name_or_by_value(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **HERE)
    assert "sort" not in app.query_params
    app.segmented_control(key="select_sort").select("value").run()
    assert asked(app, "sort") == "value"
    frame = pd.DataFrame(
        {"class_name": ["a", "b", "c"], "activation_probability": [0.1, 0.3, 0.2], "selected": False, "lift": 1.0}
    )
    for by_value, expected in ((False, ["a", "b", "c"]), (True, ["b", "c", "a"])):
        bars = charts.class_bars(frame, by_value)["datasets"]["bars"]
        assert bars["class_name"].tolist() == expected
        drawn = rows_of(charts.class_chart(frame, by_value).to_dict())[0]
        assert [row["class_name"] for row in drawn] == expected


def test_the_cause_tells_estimates_the_check_and_that_sets_are_sets(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = show(store, monkeypatch, **HERE, part="cause")
    told = said(app)
    assert "**0.80** over neurons drawn at random" in told
    assert "fell by **0.625** logits, the estimate was 0.500" in told
    other = said(show(store, monkeypatch, **{**HERE, "neuron": "8"}, part="cause"))
    assert "No attribution was computed" in other
    listed = neurons.neuron_ablations(open_store(store, read_only=True), MODEL, 5, 63)
    expected = "No ablated set contains this neuron" if listed.empty else "Sets of"
    assert expected in said(show(store, monkeypatch, **{**HERE, "layer": "5", "neuron": "63"}, part="cause"))


def test_neighbours_stand_beside_what_chance_gives(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **HERE, part="alike")
    shown = app.dataframe[0].value
    assert len(shown) == facts.MOST_ALIKE
    assert shown["correlation"].is_monotonic_decreasing
    assert (LAYER, NEURON) not in set(zip(shown["layer"], shown["neuron"], strict=True))
    assert "Of neurons drawn from the whole model one in 40 correlates with it above" in said(app)
    few = show(store, monkeypatch, **{**HERE, "task": "rooms-place"}, part="alike")
    assert "2 classes are too few" in said(few)


def test_the_clips_come_from_the_chosen_dataset(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **HERE)
    assert asked(app, "clips") == "rooms"
    chosen = show(store, monkeypatch, **HERE, clips="notes")
    assert asked(chosen, "clips") == "notes"
    of_sidebar = show(store, monkeypatch, **HERE, dataset="rooms")
    assert "clips" not in of_sidebar.query_params
    assert asked(of_sidebar, "dataset") == "rooms"
    wrong = show(store, monkeypatch, **HERE, clips="nowhere")
    assert "clips “nowhere”" in wrong.warning[0].value


def test_previous_next_and_any_stay_in_the_list(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_store(store, read_only=True)
    found = evidence.specific_neurons(engine, MODEL, TASK, "calibrated", "dog")
    app = show(store, monkeypatch, **HERE, class_="dog")
    buttons = {button.label: button for button in app.button}
    listed = sorted(found.loc[found["layer"] == LAYER, "neuron"])
    place = listed.index(NEURON)
    assert buttons["Next"].disabled == (place == len(listed) - 1)
    assert buttons["Previous"].disabled == (place == 0)
    buttons["Any"].click().run()
    assert not app.exception
    at = (int(asked(app, "layer")), int(asked(app, "neuron")))
    assert at in set(zip(found["layer"], found["neuron"], strict=True))
    assert asked(app, "class") == "dog"


def test_another_task_keeps_the_neuron(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **HERE, clips="rooms")
    app.selectbox(key="select_task").select("notes-family").run()
    assert not app.exception
    assert (asked(app, "layer"), asked(app, "neuron")) == (str(LAYER), str(NEURON))
    assert asked(app, "clips") == "notes"


@pytest.mark.parametrize("part", ["worth", "cause", "alike"])
def test_a_store_with_scores_only_says_what_it_lacks(
    part: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(store, tmp_path / "atlas.db")
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        for table in (
            "top_clip", "contrast_clip", "clip_pattern", "activation_quantile", "model_dataset", "ablation_control",
            "ablation_effect", "ablation_neuron", "ablation_flip", "ablation", "selector_score", "neuron_confound",
            "neuron_attribution_value", "attribution_check_value", "attribution", "neuron_preference", "pitch_tuning",
            "class_specific_neuron", "selection",
        ):  # fmt: skip
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
    app = show(tmp_path / "atlas.db", monkeypatch, **HERE, part=part)
    told = said(app)
    assert "No clips are stored for this neuron" in told
    assert f"python run_analysis.py --tasks all --model {MODEL}" in [code.value for code in app.code]
    lacks = {
        "worth": ("No other selectivity scores", "was not measured in this task"),
        "cause": ("No attribution was computed", "No ablated set contains"),
        "alike": ("stored for class-specific neurons only",),
    }
    assert all(words in told for words in lacks[part])


def test_clips_without_patterns_are_played_without_an_overlay(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(store, tmp_path / "atlas.db")
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        connection.execute("DELETE FROM clip_pattern")
        connection.commit()
    assert "is not stored for this neuron" in said(show(tmp_path / "atlas.db", monkeypatch, **HERE))
    assert "is not stored for this neuron" not in said(show(store, monkeypatch, **HERE))


@pytest.mark.parametrize("part", ["worth", "cause", "alike"])
def test_a_neuron_that_never_fires_has_a_page(
    part: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(store, tmp_path / "atlas.db")
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        dead = f"(SELECT id FROM neuron WHERE flat_index = {FLAT})"
        connection.execute(f"UPDATE activation_probability SET positive_count = 0 WHERE neuron_id = {dead}")
        connection.execute(
            "UPDATE neuron_entropy SET entropy = NULL, entropy_rank = NULL, top_class_id = NULL, p_value = NULL,"
            f" q_value = NULL, max_probability = 0 WHERE neuron_id = {dead}"
        )
        connection.execute(f"DELETE FROM class_specific_neuron WHERE neuron_id = {dead}")
        connection.commit()
    told = said(show(tmp_path / "atlas.db", monkeypatch, **HERE, part=part))
    assert "It never fires in rooms\\-event." in told


def test_names_from_the_store_stay_text(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(store, tmp_path / "atlas.db")
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        connection.execute("UPDATE task_class SET name = '<b>[x](http://a)</b>' WHERE name = 'dog'")
        connection.commit()
    told = said(show(tmp_path / "atlas.db", monkeypatch, **HERE))
    assert "`<b>[x](http://a)</b>`" in told and "<b>" not in told.replace("`<b>[x](http://a)</b>`", "")


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(empty_store, monkeypatch)
    assert app.code[0].value.startswith("python run_analysis.py")


def test_sets_that_were_taken_apart_are_told_by_what_holds() -> None:
    told = facts.held_sentence(pd.DataFrame({"holds": [1.0, 0.0, float("nan"), 1.0]}))
    assert told.startswith(" Of 3 that were taken apart") and told.endswith("is significant in 2.")
    assert facts.held_sentence(pd.DataFrame({"holds": [float("nan")]})) == ""


def test_what_sets_do_to_their_own_class_comes_first() -> None:
    rows = [
        ("here", "dog", "cat", -0.9, True), ("here", "dog", "dog", -0.1, False), ("there", "cat", "cat", -0.8, True),
        ("here", "cat", "cat", -0.3, False), ("here", "cat", None, -0.5, True), ("here", "dog", "dog", -0.1, False),
    ]  # fmt: skip
    effects = pd.DataFrame(rows, columns=["task", "target", "affected_class", "delta", "believable"])
    effects = effects.assign(selection="mad 1%", operation="scale", gain=0.0)
    ordered = facts.sets_in_order(effects, "here")
    assert list(zip(ordered["task"], ordered["target"], ordered["affected_class"].fillna("all"), strict=True)) == [
        ("here", "cat", "cat"), ("here", "dog", "dog"), ("there", "cat", "cat"), ("here", "dog", "cat"),
        ("here", "cat", "all"),
    ]  # fmt: skip
    assert set(ordered) == set(effects)


@pytest.mark.parametrize(
    ("explained_by", "told"),
    [
        ([""], ["For its class here, none of the three explains the evidence away."]),
        (["", "", "level"], ["Its evidence for c2 **cannot be told from level**.",
                             "For 2 of its 3 classes here, none of the three explains the evidence away."]),
        (["together"], ["Its evidence for c0 **cannot be told from level, duration and silence together**."]),
    ],
)  # fmt: skip
def test_what_explains_its_classes_is_told_in_words(explained_by: list[str], told: list[str]) -> None:
    names = [f"c{place}" for place in range(len(explained_by))]
    pairs = pd.DataFrame({"class_name": names, "explained_by": explained_by})
    known = {"n_clips": 50, "rho_level": 0.1, "rho_duration": 0.0, "rho_silence": 0.0}
    assert facts.confound_lines(known, pairs)[1:] == told


def test_its_twin_in_another_model_is_told_and_heard(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {**HERE, "neuron": "8", "part": "twins"}
    app = show(synthetic_store, monkeypatch, **here)
    assert not app.warning
    told = said(app)
    assert "Its twin in nano\\-sl is [L2·9](neuron?task=rooms-event&preset=calibrated&part=twins&model=nano-sl" in told
    assert "on held-out clips; on dealt clips the best of all there reaches +0.35" in told
    assert "Each is the other’s most alike" in told and "event, place taken out r = " in told
    assert "alike beyond them." in told and "kept of both neurons" in told
    assert asked(app, "other_model") == "nano-sl"
    other = said(show(synthetic_store, monkeypatch, **{**here, "neuron": "9"}))
    assert "No twin in nano\\-sl: most alike is [L2·10]" in other and "no more alike than dealt clips give" in other


def test_a_neuron_that_was_not_matched_names_the_command(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(store, monkeypatch, **HERE, part="twins")
    assert "matched with no other model" in said(app)
    assert app.code[-1].value.endswith("--model nano-ssl --untrained")


def test_sentences_of_twins() -> None:
    row = {"partner_model": "b", "partner_layer": 1, "partner_neuron": 2, "is_partner": 1, "is_beyond": 0, "mutual": 1,
           "q_value": 0.01, "correlation": 0.8, "second": 0.5, "null_high": 0.3, "held_out": 0.75, "held_out_low": 0.5,
           "held_out_high": 0.875, "within": 0.1, "within_low": -0.1, "within_high": 0.3,
           "taken_out": "event"}  # fmt: skip
    assert twin_facts.sentence(row, "x") == (
        "Its twin in b is [L1·2](x), **r = +0.75 [+0.50, +0.88]** on held-out clips; on dealt clips the best of all "
        "there reaches +0.30. Each is the other’s most alike; the next best has +0.50. With the means of event taken "
        "out r = +0.10 [−0.10, +0.30]: not surely alike beyond them."
    )
    nothing = {**row, "is_partner": 0, "q_value": 0.5, "held_out": math.nan, "within": math.nan}
    assert twin_facts.sentence(nothing, "x") == (
        "No twin in b: most alike is [L1·2](x), r = +0.80 on the clips that chose it (none is held out); on dealt "
        "clips the best of all there reaches +0.30. Each is the other’s most alike, yet no more than dealt clips give."
    )
    rows = pd.DataFrame(
        {"partner_model": ["a-untrained", "b", "c"], "is_partner": [1, 0, 1], "held_out": [0.9, 0.8, 0.5]}
    )
    assert twin_facts.usual(rows) == "c"


def test_of_several_descriptions_that_over_the_tasks_dataset_is_told(tiny_store: Path) -> None:
    rows = descriptions.unit_descriptions(open_store(tiny_store, read_only=True), "tiny", 0, 0)
    both = pd.concat([rows.assign(dataset="rooms", correlation=0.9), rows.head(1)], ignore_index=True)
    assert "clips of rooms" in facts.described(both) and "clips of pets" in facts.described(both, "pets")


def test_a_description_stands_with_its_scores_and_what_dealt_ones_reach(tiny_store: Path) -> None:
    found = facts.described(descriptions.unit_descriptions(open_store(tiny_store, read_only=True), "tiny", 0, 0))
    assert found == (
        r"**In words**, by atlas: *fires on noise \(r = 0\.50, shifted 0\.12\)*. On 20 held-out clips of pets it "
        "predicts the activation with r = 0.5, average precision 0.25, F1 0.375, IoU of top clips 0.125 (chance "
        "gives these three up to 0.1): better than other units’ descriptions (r up to 0.25)."
    )
