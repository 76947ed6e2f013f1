"""Level, length and silence must not tell the class of a generated clip."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.datasets.demo.synthesis.clip import Waveform
from core.datasets.demo.synthesis.corpus import _INSTANCES, Corpus, MissingDemoPackage

SEED = 0
FRAME = 160
CLIPS = {"train": 480, "test": 240}


def level_features(clip: Waveform) -> NDArray[np.float64]:
    """RMS dB, peak dB, active seconds, share of silent frames inside, start in seconds."""
    wave = clip.astype(np.float64)
    rms = np.sqrt(np.mean(wave.reshape(-1, FRAME) ** 2, axis=1))
    active = np.flatnonzero(rms > rms.max() * 10 ** (-40 / 20))
    stretch = rms[active[0] : active[-1] + 1]
    return np.array(
        [
            20 * np.log10(np.sqrt(np.mean(wave**2))),
            20 * np.log10(np.abs(wave).max()),
            stretch.size / 100,
            1 - active.size / stretch.size,
            active[0] / 100,
        ]
    )


def _attributes() -> list[object]:
    return [
        pytest.param(module, name, attribute, id=f"{name.lower()}-{attribute}")
        for module, name in _INSTANCES
        for attribute in getattr(import_module(module), name).attributes
    ]


_features: dict[str, tuple[NDArray[np.float64], list[dict[str, str]], list[str]]] = {}


def _corpus_features(
    corpus: Corpus,
) -> tuple[NDArray[np.float64], list[dict[str, str]], list[str]]:
    if corpus.name not in _features:
        rng = np.random.default_rng(0)
        specs = corpus.specs(SEED)
        chosen = []
        for split, most in CLIPS.items():
            own = [spec for spec in specs if spec.split == split]
            chosen += [own[index] for index in sorted(rng.permutation(len(own))[:most])]
        try:
            found = np.stack([level_features(corpus.render(spec)) for spec in chosen])
        except MissingDemoPackage as error:
            pytest.skip(str(error))
        labels = [dict(spec.labels) for spec in chosen]
        _features[corpus.name] = found, labels, [spec.split for spec in chosen]
    return _features[corpus.name]


@pytest.mark.parametrize(("module", "name", "attribute"), _attributes())
def test_level_and_length_do_not_tell(module: str, name: str, attribute: str) -> None:
    corpus = getattr(import_module(module), name)
    found, labels, splits = _corpus_features(corpus)
    split = np.array(splits)
    values = np.array([label.get(attribute, "") for label in labels])
    train, test = split == "train", split == "test"
    if attribute in {
        "instrument",
        "voice",
    }:  # disjoint between the splits: half of the training clips tell of the others
        half = np.arange(len(split)) % 2 == 0
        train, test = train & half, train & ~half
    known = np.unique(values[train])
    assert known.size > 1
    test &= np.isin(values, known)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    probe.fit(found[train], values[train])
    accuracy = float(np.mean(probe.predict(found[test]) == values[test]))
    counts = np.array([np.sum(values[test] == value) for value in known])
    chance = float(counts.max() / counts.sum())
    error = float(np.sqrt(chance * (1 - chance) / test.sum()))
    print(f"{corpus.name} {attribute}: {accuracy:.3f}, chance {chance:.3f}")
    assert accuracy <= chance + max(0.10, 3 * error)
