"""Generated speech: balanced, disjoint voices and words, the same whatever came before."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from core.datasets.demo.synthesis import speech, voices
from core.datasets.demo.synthesis.clip import LEVEL_DBFS, N_SAMPLES, SAMPLE_RATE, trim
from core.datasets.demo.synthesis.corpus import SPLITS, Corpus
from core.datasets.demo.synthesis.espeak import speak
from core.datasets.demo.synthesis.voices import VOICES, Voice
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
    assert min(test.values()) >= 30


@BOTH
def test_splits_share_no_voice_and_training_none_of_any_test_split(corpus: Corpus) -> None:
    used = {split: {spec.labels["voice"] for spec in corpus.specs(SEED) if spec.split == split} for split in SPLITS}
    assert [len(used[split]) for split in SPLITS] == [24, 8, 16]
    assert len(set().union(*used.values())) == 48
    rng = np.random.default_rng(1)
    trained = {corpus.training_spec(rng).parameters["voice_file"] for _ in range(1500)}
    variants = {str(file).split("+")[1] for file in trained}
    assert not variants & {voice.variant for voice in VOICES["test"]}
    assert len(variants) > 40


def test_splits_share_no_variant_and_have_as_many_women_as_men() -> None:
    variants = {split: {voice.variant for voice in VOICES[split]} for split in SPLITS}
    assert sum(map(len, variants.values())) == len(set().union(*variants.values()))
    for split, each in (("train", 12), ("valid", 4), ("test", 8)):
        assert Counter(voice.gender for voice in VOICES[split]) == {"female": each, "male": each}


def said_by(voice: Voice, text: str) -> NDArray[np.float64]:
    """A text at 16 kHz."""
    spoken = trim(speak(text, f"gmw/en+{voice.variant}", 170, voice.pitch_setting()))
    up, down, window = speech._resampling(voice.tract)
    return resample_poly(spoken, up, down, window=window)


def median_pitch(sound: NDArray[np.float64]) -> float:
    """Median over voiced frames of 50 ms, in Hz, from the autocorrelation."""
    n = 800
    frames = np.lib.stride_tricks.sliding_window_view(sound, n)[::320] * np.hanning(n)
    frames = frames[np.abs(frames).max(axis=1) > 0.1 * np.abs(sound).max()]
    power = np.abs(np.fft.rfft(frames, 4 * n, axis=1)) ** 2
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(n), 4 * n)) ** 2)[:n]
    lags = np.fft.irfft(power, axis=1)[:, :n] / window
    lags /= lags[:, :1]
    low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 60
    best = lags[:, low:high].argmax(axis=1) + low
    voiced = lags[np.arange(len(lags)), best] > 0.6
    return float(np.median(SAMPLE_RATE / best[voiced]))


def envelope(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean spectrum of the sounding frames at 25 frequencies from 0.1 to 7.5 kHz, half an octave wide, in dB."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, 1024)[::256] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    total = power.sum(axis=1, keepdims=True)
    sounding = total[:, 0] > 1e-3 * total.max()
    mean = (power[sounding] / total[sounding]).mean(axis=0)
    octave = np.log2(np.maximum(np.fft.rfftfreq(1024, 1 / SAMPLE_RATE), 1))
    weight = np.exp(-0.5 * ((octave - np.log2(np.geomspace(100, 7500, 25))[:, None]) / 0.25) ** 2)
    decibels = 10 * np.log10(weight @ mean / weight.sum(axis=1) + 1e-9)
    return decibels - decibels.mean()


def test_no_two_voices_are_alike(synthesiser: None) -> None:
    """The same words, measured: a semitone of pitch counts as much as a decibel of the spectral envelope."""
    texts = ("the rainbow is a division of white light into many colours", "people look but no one ever finds it")
    everyone = [voice for split in SPLITS for voice in VOICES[split]]
    assert len({voice.name for voice in everyone}) == 48
    said = [[said_by(voice, text) for text in texts] for voice in everyone]
    pitch = np.array([median_pitch(np.concatenate(sounds)) for sounds in said])
    envelopes = np.array([np.mean([envelope(sound) for sound in sounds], axis=0) for sounds in said])
    semitones = 12 * np.log2(pitch)
    decibels = np.sqrt(np.mean((envelopes[:, None] - envelopes) ** 2, axis=2))
    apart = np.hypot(decibels, semitones[:, None] - semitones) + 99 * np.eye(48)
    closest = [(everyone[i].name, everyone[apart[i].argmin()].name, apart[i].min()) for i in np.argsort(apart.min(1))]
    assert closest[0][2] > 1.4, closest[:6]
    # The pitch heard is the one asked for, so that the genders' ranges overlap in the sound as well.
    wanted = np.array([voice.hertz for voice in everyone])
    assert np.abs(12 * np.log2(pitch / wanted)).max() < 2.5
    women = np.array([voice.gender == "female" for voice in everyone])
    assert pitch[women].min() < np.quantile(pitch[~women], 0.75)
    assert pitch[~women].max() > np.quantile(pitch[women], 0.25)


def test_words_of_the_test_split_are_its_own() -> None:
    assert set(DEMO_LANGUAGES) <= set(WORDS) == set(FAMILY_OF) == set(speech.VOICE_FILES)
    for language in WORDS:
        assert not set(words(language, True)) & set(words(language, False))
    for language in DEMO_LANGUAGES:
        assert len(WORDS[language]) >= 60


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
    for voice in (*voices.FEMALE, *voices.MALE):
        assert np.abs(speak("one", f"gmw/en+{voice}", 170, 50)).max() > 0.01, voice
    plain = speak("one", "gmw/en", 170, 50)
    for voice in ("f1", "anika", "m1", "quincy"):
        spoken = speak("one", f"gmw/en+{voice}", 170, 50)
        assert spoken.shape != plain.shape or not np.array_equal(spoken, plain)
    with pytest.raises(RuntimeError, match="no voice"):
        speak("one", "gmw/nowhere", 170, 50)
