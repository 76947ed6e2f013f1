"""What a store shows best, on rows changed by hand."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from db.connection.open import open_store
from db.reads import findings
from tests.support.tiny_study import write_study


@pytest.fixture
def engine() -> Engine:
    """The tiny study in memory: of cat neuron 0 is specific (lift 9, replicated), of dog neuron 2 (not replicated)."""
    engine = open_store("sqlite://")
    write_study(engine)
    return engine


def change(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_the_strongest_neuron_keeps_farthest_from_no_effect(engine: Engine) -> None:
    assert findings.strongest_neuron(engine, "calibrated").empty, "no lift has an interval"
    change(engine, "UPDATE class_specific_neuron SET lift_low = CASE WHEN lift = 9 THEN 3.5 ELSE 7 END")
    (row,) = findings.strongest_neuron(engine, "calibrated").to_dict("records")
    assert (row["class_name"], row["layer"], row["neuron"]) == ("cat", 0, 0), "dog's does not replicate"
    assert (row["activation_probability"], row["lift_low"]) == (10 / 20, 3.5)
    change(engine, "UPDATE class_specific_neuron SET replicated = 1")
    (row,) = findings.strongest_neuron(engine, "calibrated").to_dict("records")
    assert (row["class_name"], row["layer"], row["neuron"]) == ("dog", 1, 0), "7 is farther from 1 than 3.5"
    change(engine, "UPDATE class_specific_neuron SET explained_by = 'level' WHERE lift = 1")
    assert findings.strongest_neuron(engine, "calibrated")["class_name"].tolist() == ["cat"]
    change(engine, "UPDATE class_specific_neuron SET q_value = 0.05")
    assert findings.strongest_neuron(engine, "calibrated").empty


def test_how_many_pairs_replicate_and_which_task_tells_most(engine: Engine) -> None:
    change(engine, "UPDATE selection SET n_pairs = 40, replicated_share = 0.25 WHERE preset = 'calibrated'")
    assert findings.n_replicated(engine, "calibrated") == 10
    (row,) = findings.telling_tasks(engine, "tiny", "calibrated").to_dict("records")
    assert row == {"task": "pets-animal", "n_replicated": 10, "n_pairs": 40, "in_words": 1}
    assert findings.n_replicated(engine, "aape") == 0


def test_two_classes_of_the_same_clips_are_no_finding_and_octaves_come_first(engine: Engine) -> None:
    assert findings.shared_pair(engine, "calibrated").empty, "one contains the other"
    change(
        engine,
        "UPDATE shared_neuron SET nested = 0, q_value = 0.01, n_shared = 5, odds_ratio = 8, odds_low = 2, "
        "odds_high = 9",
    )
    (row,) = findings.shared_pair(engine, "calibrated").to_dict("records")
    assert (row["class_a"], row["class_b"], row["n_shared"], row["odds_low"]) == ("cat", "dog", 5, 2)
    change(
        engine,
        "INSERT INTO dataset (id, name, root, content_key, split_origin, description, source, licence) "
        "VALUES (2, 'birds', '/birds', 'content-2', '', '', '', '')",
        "INSERT INTO attribute (id, dataset_id, position, name) VALUES (12, 2, 0, 'octave')",
        "INSERT INTO task (id, dataset_id, attribute_id, name) VALUES (12, 2, 12, 'birds-octave')",
        "INSERT INTO task_class (id, task_id, position, name) VALUES (12, 12, 0, 'cat'), (13, 12, 1, 'bat')",
        *(
            "INSERT INTO shared_neuron (sharing_id, class_a_id, class_b_id, n_a, n_b, n_shared, expected, p_value, "
            f"q_value, nested, odds_ratio, odds_low, odds_high) SELECT sharing_id, class_a_id, {other}, n_a, n_b, {n}, "
            f"expected, p_value, q_value, 0, odds_ratio, {low}, odds_high FROM shared_neuron WHERE n_shared = 5"
            for other, n, low in ((12, 6, 1.5), (13, 7, 4))
        ),
    )
    assert findings.shared_pair(engine, "calibrated")["n_shared"].tolist() == [7], "the largest lower end, 4"
    change(engine, "UPDATE attribute SET name = 'octave' WHERE name = 'animal'")
    (row,) = findings.shared_pair(engine, "calibrated", "tiny").to_dict("records")
    assert (row["class_a"], row["class_b"], row["dataset_b"], row["n_shared"]) == ("cat", "cat", "birds", 6)
    assert findings.shared_pair(engine, "calibrated", "another").empty
    change(engine, "UPDATE shared_neuron SET odds_low = 1")
    assert findings.shared_pair(engine, "calibrated").empty, "the intervals include 1"


def test_an_effect_is_told_that_holds_and_spares_other_classes(engine: Engine) -> None:
    assert findings.selective_effect(engine).empty, "an effect without its interval is no finding"
    change(engine, "UPDATE ablation_outcome SET change_low = -0.75, change_high = -0.25, beyond_high = -0.5")
    (row,) = findings.selective_effect(engine).to_dict("records")
    told = ("target", "change", "control_mean", "q_value", "n_neurons", "n_others", "n_others_lowered")
    assert tuple(row[name] for name in told) == ("cat", -0.5, 0.125, 0.03125, 2, 1, 0)
    assert (row["accuracy_unablated"], row["accuracy_ablated"]) == (1.0, 0.5)
    assert findings.lowered_tasks(engine, "tiny").to_dict("list") == {"task": ["pets-animal"], "n_lowered": [1]}
    change(engine, "UPDATE ablation_outcome SET beyond_control = 0.1 WHERE outcome = 'selective'")
    assert findings.selective_effect(engine).empty, "what rises is not lowered"
    change(engine, "UPDATE ablation_outcome SET beyond_control = -1, outside_controls = 0 WHERE outcome = 'selective'")
    assert findings.selective_effect(engine).empty and findings.lowered_tasks(engine, "tiny").empty
    assert findings.ablated_tasks(engine, "tiny")["task"].tolist() == ["pets-animal"]
