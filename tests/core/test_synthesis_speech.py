"""Generated speech: balanced, disjoint voices and words, the same whatever came before."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from core.datasets.demo.synthesis import speech
from core.datasets.demo.synthesis.clip import LEVEL_DBFS, N_SAMPLES
from core.datasets.demo.synthesis.corpus import SPLITS, Corpus
from core.datasets.demo.synthesis.words import DEMO_LANGUAGES, FAMILY_OF, WORDS, words

SEED = 0
BOTH = pytest.mark.parametrize("corpus", [speech.SPEECH, speech.DIGITS], ids=lambda c: c.name)


@pytest.fixture
def synthesiser() -> None:
    pytest.importorskip("espeakng_loader", reason="demo package espeakng-loader is not installed")


@BOTH
def test_every_voice_says_everything_equally_often(corpus: Corpus) -> None:
    specs = corpus.specs(SEED)
    assert len({spec.name for spec in specs}) == len(specs)
    main = corpus.attributes[0]
    for split in SPLITS:
        chosen = [spec for spec in specs if spec.split == split]
        cells = Counter((spec.labels[main], spec.labels["voice"]) for spec in chosen)
        assert len(set(cells.values())) == 1
        assert len(set(Counter(spec.labels["gender"] for spec in chosen).values())) == 1
    test = Counter(spec.labels[main] for spec in specs if spec.split == "test")
    assert min(test.values()) >= 15


@BOTH
def test_splits_share_no_voice_and_training_none_of_any_test_split(corpus: Corpus) -> None:
    used = {split: {spec.labels["voice"] for spec in corpus.specs(SEED) if spec.split == split} for split in SPLITS}
    assert sum(map(len, used.values())) == len(set().union(*used.values()))
    rng = np.random.default_rng(1)
    trained = {corpus.training_spec(rng).labels["voice"] for _ in range(1500)}
    held_out = set(speech.SPEECH_VOICES["test"]) | set(speech.DIGIT_VOICES["test"])
    assert not trained & held_out
    assert len(trained) > 30


def test_the_two_corpora_share_no_voice() -> None:
    said = {voice for voices in speech.SPEECH_VOICES.values() for voice in voices}
    counted = {voice for voices in speech.DIGIT_VOICES.values() for voice in voices}
    assert not said & counted


def test_words_of_the_test_split_are_its_own() -> None:
    assert set(DEMO_LANGUAGES) <= set(WORDS) == set(FAMILY_OF) == set(speech.VOICE_FILES)
    for language in WORDS:
        assert not set(words(language, True)) & set(words(language, False))
    for language in DEMO_LANGUAGES:
        assert len(WORDS[language]) >= 60


def test_pitch_ranges_of_the_genders_overlap() -> None:
    low_female, high_female = speech.PITCH_HZ["female"]
    low_male, high_male = speech.PITCH_HZ["male"]
    assert low_male < low_female < high_male < high_female


@BOTH
def test_clip_depends_on_its_spec_only(corpus: Corpus, synthesiser: None) -> None:
    rng = np.random.default_rng(2)
    specs = corpus.specs(SEED)[::60] + [corpus.training_spec(rng) for _ in range(15)]
    forward = [corpus.render(spec) for spec in specs]
    # A second later: a generator seeded with the time of day would show.
    time.sleep(1.1)
    backward = [corpus.render(spec) for spec in reversed(specs)][::-1]
    for first, second in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(first, second)


@BOTH
def test_same_seed_same_specs(corpus: Corpus) -> None:
    assert corpus.specs(3) == corpus.specs(3)


@BOTH
def test_sound_fills_its_stretch(corpus: Corpus, synthesiser: None) -> None:
    rng = np.random.default_rng(3)
    specs = corpus.specs(SEED)[::30] + [corpus.training_spec(rng) for _ in range(60)]
    for spec in specs:
        clip = corpus.render(spec)
        assert clip.shape == (N_SAMPLES,) and clip.dtype == np.float32
        assert np.isfinite(clip).all()
        frames = clip.reshape(-1, 320)
        decibels = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1))
        loud = np.flatnonzero(decibels > LEVEL_DBFS - 20)
        assert 1.0 < (loud[-1] - loud[0] + 1) * 0.02 < 1.95, spec.name
        assert loud.size > 0.5 * (loud[-1] - loud[0] + 1), spec.name


def test_every_voice_exists(synthesiser: None) -> None:
    from core.datasets.demo.synthesis.espeak import speak

    for voice in (*speech.FEMALE, *speech.MALE):
        assert np.abs(speak("one", f"gmw/en+{voice}", 170, 50)).max() > 0.01, voice
    plain = speak("one", "gmw/en", 170, 50)
    for voice in ("f1", "anika", "m1", "quincy"):
        spoken = speak("one", f"gmw/en+{voice}", 170, 50)
        assert spoken.shape != plain.shape or not np.array_equal(spoken, plain)
    with pytest.raises(RuntimeError, match="no voice"):
        speak("one", "gmw/nowhere", 170, 50)
