"""Heads of many clips or classes: the optimum that scikit-learn finds, and when they are fitted so."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from core.encoders import load_encoder
from core.probes import fit, large, linear
from core.probes.large import Regressions
from core.probes.linear import STRENGTHS, OneVsRest, Softmax, is_large


def features(n_clips: int, n_features: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Scaled features of unequal spread that go together, and logits (n_clips, 5) of which half is noise."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features)) * np.arange(1, n_features + 1)[:, None] ** -0.7
    x = rng.normal(size=(n_clips, n_features)) @ mixing
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    logits = 2 * x @ rng.normal(size=(n_features, 5)) / np.sqrt(n_features) + 2 * rng.normal(size=(n_clips, 5))
    return x.astype(np.float32), logits


def optimum(x: NDArray[np.float32], y: NDArray, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, tol=1e-10, max_iter=20_000).fit(x.astype(np.float64), y)


def assert_same(found: NDArray, expected: NDArray, share: float = 1e-4) -> None:
    assert np.linalg.norm(found - expected) < share * np.linalg.norm(expected)


@pytest.mark.parametrize("tile", [large.TILE, 3_000])
@pytest.mark.parametrize("n_classes", [3, 5])
def test_softmax_has_scikit_learns_optimum(n_classes: int, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "TILE", tile)
    x, logits = features(600, 40)
    labels = logits[:, :n_classes].argmax(axis=1)
    regressions = Regressions(x, labels)
    for strength in STRENGTHS:
        weight, bias = regressions.fit(strength)
        expected = optimum(x, labels, strength)
        assert_same(weight, expected.coef_)
        assert_same(softmax(x @ weight.T + bias, axis=1), expected.predict_proba(x))
        np.testing.assert_allclose(bias.sum(), 0, atol=1e-9)


@pytest.mark.parametrize("tile", [large.TILE, 3_000])
def test_each_sigmoid_has_scikit_learns_optimum(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "TILE", tile)
    x, logits = features(600, 40)
    members = logits > [0, 1, 2, 3, 4]  # from common to rare
    regressions = Regressions(x, members)
    for strength in STRENGTHS:
        weight, bias = regressions.fit(strength)
        for k, own in enumerate(members.T):
            expected = optimum(x, own, strength)
            assert_same(weight[k], expected.coef_[0])
            assert_same(expit(x @ weight[k] + bias[k]), expected.predict_proba(x)[:, 1])


def test_an_output_is_fitted_as_if_alone() -> None:
    x, logits = features(400, 20)
    members = logits > 1
    weight, bias = Regressions(x, members).fit(0.1)
    alone, its_bias = Regressions(x, members[:, [2]]).fit(0.1)
    assert_same(weight[[2]], alone)
    assert_same(bias[[2]], its_bias, 1e-3)


def test_feature_that_never_changes_gets_no_weight() -> None:
    x, logits = features(300, 10)
    x[:, 4] = 0
    weight, _ = Regressions(x, logits.argmax(axis=1)).fit(1.0)
    assert np.abs(weight[:, 4]).max() < 1e-9


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("n_clips", [60, 900])  # fewer and more than features
def test_a_head_is_the_same_however_it_is_fitted(n_classes: int, n_clips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, logits = features(n_clips, 70)
    labels, splits = logits[:, :n_classes].argmax(axis=1), np.array(["train", "valid", "test"])[np.arange(n_clips) % 3]
    probes = []
    for largest in (linear._LARGE, 0):
        monkeypatch.setattr(linear, "_LARGE", largest)
        monkeypatch.setattr(Softmax, "fit", tight if largest else Softmax.fit)
        probes.append(fit.fit("task", 5 + 3 * x, labels, splits, [f"class {i}" for i in range(n_classes)]))
    one, other = (probe.head for probe in probes)
    assert one is not None and other is not None
    assert_same(other.logits(5 + 3 * x), one.logits(5 + 3 * x), 1e-3)
    np.testing.assert_array_equal(other.class_index, one.class_index)
    assert probes[0].result.settings == probes[1].result.settings


def tight(learner: Softmax, scaled: NDArray, strength: float) -> tuple[NDArray, NDArray, NDArray]:
    """scikit-learn's, at the optimum."""
    model = optimum(scaled, learner._labels, strength)
    return model.coef_, model.intercept_, model.classes_


def test_real_embeddings_have_the_same_optimum() -> None:
    rng, seconds = np.random.default_rng(0), np.arange(16_000) / 16_000
    pitch = np.repeat([220.0, 330.0, 440.0], 20)
    sounds = np.sin(2 * np.pi * pitch[:, None] * seconds) + 0.3 * rng.normal(size=(60, 16_000))
    embeddings = load_encoder("nano-ssl").embed(list(sounds.astype(np.float32)))
    x = ((embeddings - embeddings.mean(axis=0)) / embeddings.std(axis=0)).astype(np.float32)
    labels = np.repeat(np.arange(3), 20)
    for strength in STRENGTHS:
        weight, bias = Regressions(x, labels).fit(strength)
        expected = optimum(x, labels, strength)
        assert_same(weight, expected.coef_, 5e-4)  # many directions hardly matter
        assert_same(softmax(x @ weight.T + bias, axis=1), expected.predict_proba(x))


def test_clips_features_and_classes_together_decide() -> None:
    assert not is_large((576, 384), 62), "the demo's largest"
    assert is_large((40_000, 768), 200)
    assert is_large((40_000, 768), 3)
    assert not is_large((100, 10**6), 50), "few clips span few directions"


def test_learners_name_what_they_learn() -> None:
    assert Softmax(np.array([4, 2, 4])).targets.tolist() == [[True], [False], [True]]
    assert Softmax(np.array([4, 2, 9])).targets.tolist() == [1, 0, 2]
    members = np.array([[1, 0, 1], [1, 0, 0]], dtype=bool)
    assert OneVsRest(members).targets.tolist() == [[True], [False]]
