"""Descriptors of sounds whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.describe.acoustics import measure
from core.describe.descriptors import BAND_EDGES_HZ, DESCRIPTORS, NAMES, PLACE

RATE, SECONDS = 16_000, 3.0
TIME = np.arange(round(RATE * SECONDS)) / RATE
SPANS = np.column_stack([np.arange(18) * 0.16, np.arange(18) * 0.16 + 0.16])


def middle(sound: NDArray[np.floating], rate: int = RATE) -> dict[str, float]:
    """The tenth of 18 stretches, by name."""
    (found,) = measure([sound.astype(np.float32)], rate, [SPANS])
    assert found.shape == (18, len(NAMES)) and found.dtype == np.float32
    return dict(zip(NAMES, found[9].tolist(), strict=True))


def harmonics(f0: float, n: int = 6) -> NDArray[np.float64]:
    return 0.1 * sum(np.sin(2 * np.pi * k * f0 * TIME) / k for k in range(1, n + 1))


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_sine_has_its_level_pitch_and_nothing_beside(rate: int) -> None:
    time = np.arange(round(rate * SECONDS)) / rate
    of = middle(0.5 * np.sin(2 * np.pi * 220 * time), rate)
    assert of["level"] == pytest.approx(10 * np.log10(0.125), abs=0.1)
    assert of["band 1"] == pytest.approx(of["level"], abs=0.1) and of["band 3"] < -90
    assert of["centroid"] == pytest.approx(220, abs=2) and of["bandwidth"] < 20
    assert of["f0"] == pytest.approx(220, rel=0.005) and of["fm"] == pytest.approx(0, abs=0.02)
    assert of["voicing"] > 0.95 and of["harmonicity"] > 15 and of["flatness"] < 1e-3
    assert of["chroma A"] == max(of[name] for name in NAMES if name.startswith("chroma"))


def test_white_noise_is_flat_wide_and_has_no_pitch() -> None:
    of = middle(0.1 * np.random.default_rng(0).standard_normal(len(TIME)))
    assert of["level"] == pytest.approx(-20, abs=0.5) and of["flatness"] > 0.6
    assert of["centroid"] == pytest.approx(4025, rel=0.1) and of["rolloff"] == pytest.approx(6800, rel=0.1)
    assert of["voicing"] < 0.3 and np.isnan(of["f0"]) and np.isnan(of["inharmonicity"])
    of_bands = [of[f"band {i}"] for i in range(1, 9)]
    wide = 10 * np.log10(np.diff(BAND_EDGES_HZ) / 8000) - 20
    assert of_bands == pytest.approx(wide.tolist(), abs=2.5)


@pytest.mark.parametrize("f0", [75.0, 150.0, 440.0, 900.0])
def test_pitch_is_that_of_the_series_not_of_an_octave(f0: float) -> None:
    of = middle(harmonics(f0))
    assert of["f0"] == pytest.approx(f0, rel=0.01) and of["inharmonicity"] < 0.1


def test_mistuned_partials_are_inharmonic() -> None:
    mistuned = 0.1 * sum(np.sin(2 * np.pi * f * TIME) for f in (300, 600, 900 * 1.13, 1200 * 1.13))
    assert middle(mistuned)["inharmonicity"] > middle(harmonics(300, 4))["inharmonicity"] + 0.1


def test_modulation_has_its_rate_and_depth() -> None:
    of = middle(harmonics(300) * (1 + 0.5 * np.sin(2 * np.pi * 6.25 * TIME)))
    assert of["am rate"] == pytest.approx(6.25, abs=0.8) and of["am depth"] == pytest.approx(0.5, abs=0.05)
    assert middle(harmonics(300))["am depth"] < 0.05


def test_a_gliding_pitch_is_told_by_its_spread() -> None:
    octave_a_second = 200 * 2**TIME
    sound = np.sin(2 * np.pi * np.cumsum(octave_a_second) / RATE)
    spread = np.std(12 * 0.16 * np.array([-1, 0, 1]) / 3)  # three frames of a span of 0.16 s
    assert middle(sound)["fm"] == pytest.approx(spread, rel=0.1)


def test_attack_and_tempo_of_ticks_and_of_swells() -> None:
    noise = np.random.default_rng(1).standard_normal(len(TIME))
    ticks = noise * np.exp(-((TIME % 0.5) * 20))
    swells = noise * np.minimum((TIME % 0.5) / 0.4, 1)
    (found,) = measure([ticks.astype(np.float32)], RATE, [np.array([[1.0, 1.16]])])
    assert found[0, PLACE["attack"]] <= 0.02 and found[0, PLACE["tempo"]] == pytest.approx(120, rel=0.03)
    assert found[0, PLACE["onset"]] > 6
    (slow,) = measure([swells.astype(np.float32)], RATE, [np.array([[1.3, 1.46]])])
    assert 0.2 < slow[0, PLACE["attack"]] <= 0.5


def test_silence_tells_no_more_than_that_it_is_silent() -> None:
    of = middle(np.zeros(len(TIME)))
    told = {name for name, value in of.items() if np.isfinite(value)}
    assert told == {"level", "onset", *(f"band {i}" for i in range(1, 9))} and of["level"] == pytest.approx(-100)


@pytest.mark.parametrize("n_samples", [1, 100, 1500])
def test_clips_shorter_than_a_frame_and_spans_past_the_end(n_samples: int) -> None:
    (found,) = measure([np.full(n_samples, 0.1, dtype=np.float32)], RATE, [SPANS])
    assert np.isfinite(found[:, PLACE["level"]]).all() and found[-1, PLACE["level"]] == pytest.approx(-100)


def test_a_stretch_has_the_same_numbers_whatever_is_measured_with_it() -> None:
    rng = np.random.default_rng(2)
    sounds = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (700, 48_000, 20_001, *[9_000] * 9)]
    sounds[1] += harmonics(300).astype(np.float32)
    spans = [SPANS[:2], SPANS, np.array([[0.0, 0.5], [0.75, 1.25]]), *[SPANS[:3]] * 9]
    together = measure(sounds, RATE, spans)
    for sound, of_clip, found in zip(sounds, spans, together, strict=True):
        assert np.array_equal(measure([sound], RATE, [of_clip])[0], found, equal_nan=True)


def test_bands_above_half_the_sampling_rate_hold_nothing() -> None:
    (found,) = measure([harmonics(300)[::2].astype(np.float32)], RATE // 2, [SPANS])
    assert found[5:12, PLACE["band 7"] : PLACE["band 8"] + 1] == pytest.approx(-100)
    assert found[9, PLACE["band 1"]] > -30


def test_names_are_one_each() -> None:
    assert len(set(NAMES)) == len(DESCRIPTORS) == 40
