"""Neurons that follow level, length or silence, and pairs that this explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from core.confounds.neurons import explained_pairs, neuron_confounds
from core.datasets.scan import Scan
from tests.support.planted import scan_without_files


def scan_of(n_clips: int, **columns: np.ndarray) -> Scan:
    scan = scan_without_files([("train", {})] * n_clips, ())
    return replace(scan, files=scan.files.assign(**columns))


def test_rank_correlations_are_scipys_with_ties() -> None:
    rng = np.random.default_rng(0)
    n, n_neurons = 80, 700  # more than a block
    scan = scan_of(n, level_db=rng.normal(size=n), seconds=rng.integers(1, 4, n), active_share=rng.random(n).round(1))
    rates = rng.binomial(5, 0.3, (n, n_neurons)) / 5
    rates[:, 3] = 0.2
    chosen = rng.random(n) < 0.8
    found = neuron_confounds(scan, rates, chosen)
    assert found["neuron_index"].tolist() == list(range(n_neurons))
    for j in (0, 1, 511, 512, 699):
        for name, values in (("level", scan.files["level_db"]), ("duration", scan.files["seconds"])):
            expected = spearmanr(rates[chosen, j], values[chosen]).statistic
            assert found.loc[j, f"rho_{name}"] == pytest.approx(expected, abs=1e-12)
        silent = spearmanr(rates[chosen, j], 1 - scan.files["active_share"][chosen]).statistic
        assert found.loc[j, "rho_silence"] == pytest.approx(silent, abs=1e-12)
    assert found.loc[3].drop("neuron_index").isna().all()


def test_constant_covariate_has_no_correlation() -> None:
    scan = scan_of(20, level_db=np.arange(20.0))
    found = neuron_confounds(scan, np.arange(20.0)[:, None], np.ones(20, dtype=bool))
    assert found.loc[0, "rho_level"] == pytest.approx(1)
    assert np.isnan(found.loc[0, "rho_duration"]) and np.isnan(found.loc[0, "rho_silence"])


N, N_NEURONS = 600, 60


def planted(kind: str, seed: int = 0, **covariates: np.ndarray) -> tuple[Scan, np.ndarray, np.ndarray]:
    """Six classes, the first of them louder; neurons that follow the level, the class, both, or the length."""
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % 6
    columns = {"level_db": rng.normal(size=N) + 1.5 * (labels == 0), "seconds": rng.normal(size=N),
               "active_share": rng.random(N), **covariates}  # fmt: skip
    level, own = columns["level_db"][:, None], (labels == 0)[:, None]
    drive = {
        "level": 1.5 * level + 0 * own,
        "threshold": np.where(level > rng.normal(size=N_NEURONS), 2.0, -2.0),
        "class": 1.5 * own + 0 * level,
        "both": level + 1.5 * own,
        "length": 1.5 * columns["seconds"][:, None] + 0 * own,
    }[kind]
    rates = 1 / (1 + np.exp(-(drive - 2 + 0.7 * rng.normal(size=(N, N_NEURONS)))))
    return scan_of(N, **columns), rng.binomial(60, rates), labels[:, None] == np.arange(6)


def explain(scan: Scan, positive: np.ndarray, members: np.ndarray, q_value: float = 0.01) -> pd.DataFrame:
    pairs = pd.DataFrame({"class_index": 0, "neuron_index": np.arange(N_NEURONS), "q_value": q_value})
    chosen = np.ones(N, dtype=bool)
    return explained_pairs(scan, positive, np.full(N, 60), members, chosen, pairs)


@pytest.mark.parametrize("kind", ["level", "threshold"])
def test_neurons_that_only_follow_the_level_are_explained_by_it(kind: str) -> None:
    found = [explain(*planted(kind, seed)) for seed in range(5)]
    table = pd.concat(found)
    assert (table["p_value_cleaned"] < 0.05).mean() == pytest.approx(0.05, abs=0.05)
    assert (table["explained_by"] == "level").mean() > 0.85
    assert table["explained_by"].isin(["duration", "silence"]).mean() < 0.02


@pytest.mark.parametrize("kind", ["class", "both"])
def test_neurons_that_know_the_class_are_not(kind: str) -> None:
    found = explain(*planted(kind))
    assert (found["p_value_cleaned"] < 0.001).all()
    assert (found["explained_by"] == "").all()


def test_length_explains_what_length_makes() -> None:
    rng = np.random.default_rng(5)
    long = rng.normal(size=N) + 1.5 * (np.arange(N) % 6 == 0)
    found = explain(*planted("length", seconds=long, level_db=rng.normal(size=N)))
    assert (found["explained_by"] == "duration").mean() > 0.85


def test_only_pairs_with_evidence_can_be_explained() -> None:
    scan, positive, members = planted("level")
    assert (explain(scan, positive, members, q_value=0.2)["explained_by"] == "").all()
    assert (explain(scan, positive, members, q_value=np.nan)["explained_by"] == "").all()


def test_covariate_that_is_the_class_leaves_nothing_and_constant_ones_nothing_to_say() -> None:
    of_class: Mapping[str, np.ndarray] = {"level_db": (np.arange(N) % 6 == 0).astype(float)}
    scan, positive, members = planted("class", **of_class)
    found = explain(scan, positive, members)
    assert (found["p_value_cleaned"] > 0.999).all() and (found["explained_by"] == "level").all()
    same = replace(scan, files=scan.files.assign(level_db=1.0, seconds=1.0, active_share=1.0))
    found = explain(same, positive, members)
    assert found["p_value_cleaned"].isna().all() and (found["explained_by"] == "").all()


def test_shuffled_labels_give_uniform_p() -> None:
    scan, positive, members = planted("level")
    rng = np.random.default_rng(7)
    p = np.concatenate([explain(scan, positive, rng.permutation(members))["p_value_cleaned"] for _ in range(30)])
    for bar in (0.05, 0.25, 0.5):
        assert np.mean(p < bar) == pytest.approx(bar, abs=0.03)


def test_pairs_keep_their_order_and_other_clips_have_no_say() -> None:
    scan, positive, members = planted("both")
    pairs = pd.DataFrame({"class_index": [3, 0, 0, 5], "neuron_index": [7, 55, 2, 7], "q_value": 0.01})
    chosen = np.arange(N) < 400
    first = explained_pairs(scan, positive, np.full(N, 60), members, chosen, pairs)
    assert first[["class_index", "neuron_index"]].equals(pairs[["class_index", "neuron_index"]])
    positive[400:] = 0
    turned = explained_pairs(scan, positive, np.full(N, 60), members, chosen, pairs[::-1].reset_index(drop=True))
    np.testing.assert_allclose(turned["p_value_cleaned"][::-1], first["p_value_cleaned"])
    assert explained_pairs(scan, positive, np.full(N, 60), members, chosen, pairs[:0]).empty
