"""The page of units: kinds side by side, numbers worked by hand; other pages through other units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.views.units import facts
from db.connection.open import open_store
from db.reads import units
from tests.support import pages
from tests.support.pages import said
from tests.support.tiny_study import write_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One encoder by its neurons and by features."""
    path = tmp_path_factory.mktemp("units") / "atlas.db"
    engine = open_store(path)
    write_study(engine)
    write_study(engine, "tiny/sae", "sae")
    return path


def effects_of(kind: str, beyond: list[float], **others: object) -> pd.DataFrame:
    told = {"selection": "mad n=2", "operation": "scale", "gain": 0.0, "n_units": 2, "removed": 0.5,
            "control_removed": 0.25, "q_value": 0.01, "outside_controls": 1, **others}  # fmt: skip
    return pd.DataFrame(
        {"unit_kind": kind, "class_name": list("abcd")[: len(beyond)], "beyond_control": beyond, **told}
    )


def test_kinds_are_compared_class_by_class() -> None:
    effects = pd.concat([effects_of("mlp", [-1.0, -2.0, -3.0, -4.0]), effects_of("sae", [-2.0, -3.0, -4.0, -5.0])])
    neurons, features = facts.means_over_classes(effects).to_dict("records")
    assert (neurons["beyond"], features["beyond"]) == (-2.5, -3.5)
    assert neurons["low"] < -2.5 < neurons["high"]
    assert np.isnan(neurons["less_than_neurons"])
    # The same difference in every class: however classes are drawn, it is 1.
    assert (features["less_than_neurons"], features["less_low"], features["less_high"]) == (-1.0, -1.0, -1.0)
    assert (features["n_hold"], features["n_classes"], features["kind"]) == (4, 4, "autoencoder features")


def test_what_does_not_hold_is_not_counted_and_one_class_has_no_interval() -> None:
    (row,) = facts.means_over_classes(effects_of("pca", [-1.0], q_value=0.2, gain=None)).to_dict("records")
    assert (row["n_hold"], row["beyond"]) == (0, -1.0)
    assert np.isnan(row["low"])


def test_rates_are_of_a_thousand_units() -> None:
    evidence = pd.DataFrame(
        {"unit_kind": ["residual-low"], "n_units": [50], "n_class_specific": [5], "null_n_class_specific_mean": [1.0],
         "null_n_class_specific_high": [2.0], "n_selective": [10], "n_active": [40]}
    )  # fmt: skip
    (row,) = facts.with_rates(evidence).to_dict("records")
    assert (row["per_1000"], row["null_per_1000"], row["null_per_1000_high"]) == (100, 20, 40)
    assert (row["selective_share"], row["kind"]) == (0.25, "coordinates, low")


def test_choices_by_number_and_by_norm_come_first() -> None:
    assert facts.fairest_first(["aape", "mad 1%", "mad norm=0.2", "mad n=32"]) == [
        "mad n=32", "mad norm=0.2", "aape", "mad 1%",
    ]  # fmt: skip


def test_reads_give_every_kind(store: Path) -> None:
    engine = open_store(store, read_only=True)
    evidence = units.evidence(engine, "tiny", "calibrated")
    assert evidence[["unit_kind", "n_units", "n_class_specific", "n_active", "n_selective"]].values.tolist() == [
        ["mlp", 3, 2, 2, 1], ["sae", 3, 2, 2, 1],
    ]  # fmt: skip
    assert units.by_layer(engine, "tiny", "pets-animal", "calibrated")["n_units"].tolist() == [2, 1, 2, 1]
    effects = units.effects(engine, "tiny", "pets-animal")
    assert effects[["unit_kind", "class_name", "removed", "beyond_control"]].values.tolist() == [
        ["mlp", "cat", 0.5, -0.625], ["sae", "cat", 0.5, -0.625],
    ]  # fmt: skip
    codes = units.autoencoders(engine, "tiny", "pets-animal")
    assert set(codes["recovered"]) == {0.75}
    found = units.stability(engine, "tiny")
    assert found[found["unit_kind"] == "sae"][["layer", "n_units", "n_found"]].values.tolist() == [[0, 2, 1], [1, 1, 0]]


def test_the_page_answers_first_and_shows_every_part(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = pages.show("units", store, monkeypatch)
    text = said(page)
    assert "**Evidence.** Class-specific are 667 of 1,000 neurons" in text
    assert "667 of 1,000 autoencoder features" in text
    for heading in ("Evidence", "Layer by layer", "What taking them out costs", "Another seed", "Autoencoders"):
        assert heading in [one.value for one in page.subheader]
    assert "`--ablate mad:n=32,mad:norm=0.2` asks for both" in text
    assert "Another seed finds again 33% of the" in text


@pytest.mark.parametrize("name", ["heatmap", "gallery", "neuron", "classes", "pair", "ablation", "sharing"])
def test_pages_of_one_model_show_it_through_other_units(
    store: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = pages.show(name, store, monkeypatch, model="tiny/sae")
    assert page.sidebar.selectbox(key="select_model").value == "tiny/sae"
    assert "Of tiny" in " ".join(one.value for one in page.sidebar.caption)


def test_pages_of_all_models_keep_to_neurons(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = pages.show("coverage", store, monkeypatch)
    assert page.sidebar.selectbox(key="select_model").options == ["tiny"]
