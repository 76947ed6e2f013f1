"""Made sounds: what they hold, how answers to them are taken apart, and what planted units are named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from core.encoders import load_encoder
from core.errors import InputError
from core.recording.listen import hear
from core.recording.passes import Passes
from core.stimuli import makers, shares, tuning
from core.stimuli.design import Design, Factor
from core.stimuli.names import NAMES, parse_stimuli
from core.stimuli.respond import Responses, respond
from core.stimuli.sets import SETS, StimulusSet
from core.stimuli.sound import ACTIVE_SECONDS, FLOOR_DB, LEVEL_DB, N_SAMPLES, RATE, TOP_HZ, framed, noise, tone
from core.stimuli.study import by_layer, tell

MADE = [name for name in NAMES if name != "voices"]
"""Sets that need no further package."""
A = Factor.ordered("a", (1, 2), "Hz")
B = Factor.of_kinds("b", ("x", "y"))
TWO = Design((A, B), 2)
PITCH = Factor.ordered("F0", (48, 52, 56, 60, 64), "MIDI note")
TRIO = Design((PITCH, Factor.ordered("level", (-30, -20), "dB"), Factor.of_kinds("timbre", ("x", "y", "z"))), 4)


def level_db(clip: NDArray[np.float32]) -> float:
    """Of what lasts, without the floor."""
    power = float(np.sum(clip.astype(np.float64) ** 2)) / (ACTIVE_SECONDS * RATE)
    return 10 * math.log10(power)


def tonal(clip: NDArray[np.float32]) -> float:
    """Share of the power that lies in the strongest bins."""
    power = np.sort(np.abs(rfft(clip.astype(np.float64))) ** 2)
    return float(power[-40:].sum() / power.sum())


def column(design: Design, factor: int) -> NDArray[np.int64]:
    return design.table[:, factor]


def test_names_are_read_in_order_and_unknown_ones_are_told() -> None:
    assert parse_stimuli("vowels,tones,vowels") == ("tones", "vowels")
    assert parse_stimuli("all") == tuple(NAMES)
    for wrong, told in (("tones,bells", "bells is no set of made sounds"), (" ,", "nothing is no set")):
        with pytest.raises(InputError, match=told):
            parse_stimuli(wrong)


def test_a_design_has_every_combination_equally_often() -> None:
    table = TRIO.table
    assert table.shape == (TRIO.n_stimuli, 3) == (5 * 2 * 3 * 4, 3)
    cells, counts = np.unique(table, axis=0, return_counts=True)
    assert len(cells) == 30 and set(counts) == {4}
    for stratum in TRIO.strata(0):
        assert len(np.unique(table[stratum][:, 1:], axis=0)) == 1, "nothing but pitch and repetition differs"
        assert np.bincount(table[stratum, 0]).tolist() == [4] * 5
    assert TRIO.residual_degrees == 120 - 1 - (4 + 1 + 2 + 4 + 8 + 2)


@pytest.mark.parametrize("name", MADE)
def test_sounds_are_the_same_again_whole_and_at_their_level(name: str) -> None:
    stimuli = SETS[name]
    rng = np.random.default_rng(1)
    for index in rng.choice(stimuli.design.n_stimuli, 6, replace=False):
        clip = stimuli.sound(int(index), seed=3)
        assert clip.shape == (N_SAMPLES,) and clip.dtype == np.float32 and np.isfinite(clip).all()
        assert np.abs(clip).max() < 1
        assert np.array_equal(clip, stimuli.sound(int(index), seed=3))
        assert not np.array_equal(clip, stimuli.sound(int(index), seed=4))
        wanted = stimuli.values(int(index))[1] if name in ("tones", "partials") else LEVEL_DB
        assert level_db(clip) == pytest.approx(wanted, abs=0.05)


def test_repetitions_differ_and_nothing_lies_above_the_top() -> None:
    stimuli = SETS["tones"]
    one, other = (stimuli.sound(index, seed=0) for index in (0, 1))
    assert stimuli.values(0) == stimuli.values(1) and not np.array_equal(one, other)
    bright = next(i for i in range(stimuli.design.n_stimuli) if stimuli.values(i) == (48.0, -16.0, 4.0))
    power = np.abs(rfft(stimuli.sound(bright, seed=0).astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(N_SAMPLES, 1 / RATE)
    assert power[hertz > TOP_HZ + 100].sum() < 1e-4 * power.sum()


def test_a_tone_has_its_partials_and_the_floor_lies_under_it() -> None:
    rng = np.random.default_rng(0)
    sound = tone(200.0, lambda number, _: (number <= 3) / number, rng)
    amplitude = 2 * np.abs(rfft(sound))
    strongest = np.sort(np.argsort(amplitude)[-3:]) * RATE / N_SAMPLES
    assert strongest == pytest.approx([200, 400, 600], abs=1)
    clip = framed(noise(rng, 500, 1000), rng)
    power = np.abs(rfft(clip.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(N_SAMPLES, 1 / RATE)
    floor = power[hertz > 4000].sum() / power.sum() * 2
    assert 10 * math.log10(floor) == pytest.approx(FLOOR_DB - LEVEL_DB, abs=1.5)


def test_a_missing_fundamental_is_missing_and_partials_can_be_moved() -> None:
    rng = np.random.default_rng(0)
    power = np.abs(rfft(makers.fundamental((60.0, 1700.0), rng).astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(N_SAMPLES, 1 / RATE)
    assert power[hertz < 400].sum() < 1e-3 * power.sum(), "261 Hz and all below the second harmonic"
    centre = (power * hertz).sum() / power.sum()
    assert 1500 < centre < 2000
    exact, moved = (np.flatnonzero(np.abs(rfft(tone(200.0, lambda n, _: n**0, rng, j))) > 1e-6) for j in (0.0, 0.3))
    assert set(exact % exact[0]) == {0} and len(set(moved % moved[0])) > 5 and moved[0] == exact[0]


def test_a_longer_vocal_tract_lowers_all_formants_alike() -> None:
    hertz = np.linspace(100, 6000, 2951)
    long, short = (makers.through_tract(hertz, (500, 1500, 2500, 3500, 4500), cm) for cm in (17.0, 8.5))
    peaks = [hertz[1:-1][(gain[1:-1] > gain[:-2]) & (gain[1:-1] > gain[2:])] for gain in (long, short)]
    assert peaks[0] == pytest.approx([500, 1500, 2500, 3500, 4500], rel=0.02)
    assert peaks[1] == pytest.approx(2 * peaks[0][: len(peaks[1])], rel=0.02) and len(peaks[1]) >= 2


def test_modulation_gaps_and_ratio_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    clip = makers.am((8.0, 0.0, 100.0), rng).astype(np.float64)
    envelope = np.abs(rfft(np.convolve(clip**2, np.ones(160) / 160, "same")[:32000]))
    assert np.argmax(envelope[2:200]) + 2 == 16, "8 Hz over two seconds"
    silent = [
        int((np.convolve(makers.gaps((float(ms), 0.0), rng) ** 2, np.ones(32) / 32, "same") < 1e-6).sum())
        for ms in (0, 32)
    ]
    per_gap = RATE * 32 // 1000
    assert silent[1] - silent[0] == pytest.approx(makers.GAPS_A_CLIP * per_gap, rel=0.25)
    quiet, loud = (makers.snr((60.0, ratio, 0.0), np.random.default_rng(1)) for ratio in (-12.0, 12.0))
    assert tonal(quiet) < 0.2 and tonal(loud) > 0.8


@pytest.mark.parametrize(("course", "turn"), [(0.0, 0), (1.0, 1), (2.0, -1)])
def test_a_ratio_rises_or_falls_and_the_level_does_not(course: float, turn: int) -> None:
    clip = makers.snr((60.0, 0.0, course), np.random.default_rng(1))
    first, last = clip[4_000:12_000], clip[-12_000:-4_000]
    assert tonal(last) - tonal(first) == pytest.approx(0.5 * turn, abs=0.2)
    assert 10 * np.log10(np.mean(first**2) / np.mean(last**2)) == pytest.approx(0, abs=0.8)


def test_partials_are_crossed_with_a_missing_fundamental() -> None:
    hertz = np.fft.rfftfreq(N_SAMPLES, 1 / RATE)
    stimuli = SETS["partials"]
    assert len(np.unique(stimuli.design.table, axis=0)) == 4 * 2 * 3 * 2 * 3
    low = []
    for is_missing in (0.0, 1.0):
        clip = makers.partials((60.0, -20.0, 1.0, is_missing, 8.0), np.random.default_rng(0)).astype(np.float64)
        power = np.abs(rfft(clip)) ** 2
        low.append(power[(hertz > 240) & (hertz < 280)].sum() / power.sum())
    assert low[0] > 0.4 and low[1] < 1e-3


def test_sums_of_squares_are_those_worked_by_hand() -> None:
    a, b = column(TWO, 0), column(TWO, 1)
    answers = np.stack([a, b, a ^ b, 2 * a + b, np.arange(8) % 2], axis=1).astype(np.float32)
    sums, total = shares.sums_of_squares(answers, TWO)
    assert sums[(0,)] == pytest.approx([2, 0, 0, 8, 0])
    assert sums[(1,)] == pytest.approx([0, 2, 0, 2, 0])
    assert sums[(0, 1)] == pytest.approx([0, 0, 2, 0, 0])
    assert total == pytest.approx([2, 2, 2, 10, 2]), "the last differs between repetitions alone"
    found = shares.explain(answers, TWO, 0, 0)
    assert found[0].alone == pytest.approx([1, 0, 0, 0.8, -0.25]), "epsilon squared: (0 - 2 / 4) / 2 for the last"
    assert found[0].shapley == pytest.approx([1, 0, 0.5, 0.8, -0.375])
    assert found[0].evidence is None and np.isnan(found[0].null_high).all()


def test_contrasts_give_the_same_sums_and_shapley_is_the_mean_over_orders() -> None:
    rng = np.random.default_rng(2)
    answers = rng.random((TRIO.n_stimuli, 7)).astype(np.float32)
    sums, _ = shares.sums_of_squares(answers, TRIO)
    for term in TRIO.terms:
        rows = shares.contrasts(TRIO, term)
        assert rows.shape == (TRIO.degrees(term), TRIO.n_stimuli)
        assert rows @ rows.T == pytest.approx(np.eye(len(rows)), abs=1e-12)
        assert ((rows @ answers) ** 2).sum(axis=0) == pytest.approx(sums[term], rel=1e-4)
    value = {s: sum(sums[t] for t in TRIO.terms if set(t) <= s) for s in map(frozenset, _subsets(3))}
    by_order = np.mean(
        [
            value[frozenset(order[: order.index(0) + 1])] - value[frozenset(order[: order.index(0)])]
            for order in _orders(3)
        ],
        axis=0,
    )
    assert by_order == pytest.approx(sums[(0,)] + (sums[(0, 1)] + sums[(0, 2)]) / 2)


def _subsets(n: int) -> list[tuple[int, ...]]:
    from itertools import combinations

    return [c for k in range(n + 1) for c in combinations(range(n), k)]


def _orders(n: int) -> list[tuple[int, ...]]:
    from itertools import permutations

    return list(permutations(range(n)))


def test_permuted_sums_are_those_of_the_permuted_answers_and_leave_the_rest_alone() -> None:
    rng = np.random.default_rng(0)
    answers = rng.random((TRIO.n_stimuli, 3)).astype(np.float32)
    dealt = shares.permutations(TRIO, 0, 25, seed=1)
    own = [term for term in TRIO.terms if 0 in term]
    quick = shares._permuted(answers, [shares.contrasts(TRIO, term) for term in own], dealt)
    before, _ = shares.sums_of_squares(answers, TRIO)
    for place in (0, 24):
        sums, _ = shares.sums_of_squares(answers[dealt[place]], TRIO)
        assert quick[:, place] == pytest.approx(np.stack([sums[term] for term in own]), rel=1e-3)
        for term in TRIO.terms:
            if 0 not in term:
                assert sums[term] == pytest.approx(before[term], rel=1e-5)
        assert (TRIO.table[dealt[place]][:, 1:] == TRIO.table[:, 1:]).all()


def planted(rng: np.random.Generator) -> tuple[NDArray[np.float32], dict[str, slice]]:
    """Answers of units that are functions of pitch, of level, of both pitch and timbre, and of nothing."""
    pitch, loud, timbre = (column(TRIO, factor) for factor in range(3))
    kinds = {
        "F0": np.exp(-0.5 * (pitch - 2.0) ** 2),
        "level": 0.8 * loud,
        "F0 x timbre": ((pitch + timbre) % 3 == 0) * 1.0,
        "nothing": np.zeros(TRIO.n_stimuli),
    }
    columns, places = [], {}
    for name, curve in kinds.items():
        n = 200 if name == "nothing" else 10
        noisy = curve[:, None] + 0.25 * rng.standard_normal((TRIO.n_stimuli, n))
        places[name] = slice(sum(c.shape[1] for c in columns), sum(c.shape[1] for c in columns) + n)
        columns.append(noisy)
    return np.clip(np.concatenate(columns, axis=1), 0, 1).astype(np.float32), places


def test_planted_units_are_named_by_their_factors() -> None:
    answers, places = planted(np.random.default_rng(0))
    found = dict(zip((factor.name for factor in TRIO.factors), shares.explain(answers, TRIO, 99, 0), strict=True))
    q = {name: of.evidence.q for name, of in found.items() if of.evidence}
    of = {name: {factor: (q[factor][at] < 0.05).mean() for factor in found} for name, at in places.items()}
    assert of["F0"]["F0"] == 1 and max(of["F0"]["level"], of["F0"]["timbre"]) <= 0.1
    assert of["level"]["level"] == 1 and max(of["level"]["F0"], of["level"]["timbre"]) <= 0.1
    assert of["F0 x timbre"]["F0"] == of["F0 x timbre"]["timbre"] == 1 and of["F0 x timbre"]["level"] <= 0.1
    assert max(of["nothing"].values()) <= 0.05
    alone, together = found["F0"].alone[places["F0"]], found["F0"].joint[places["F0 x timbre"]]
    assert alone.min() > 0.5 and together.min() > 0.5
    assert found["F0"].alone[places["F0 x timbre"]].max() < 0.2
    noise_units = places["nothing"]
    assert np.abs(found["F0"].shapley[noise_units].mean()) < 0.01, "nothing explains nothing in the mean"
    above = found["F0"].shapley[noise_units] > found["F0"].null_high[noise_units]
    assert above.mean() < 0.07, "a share of 0.025 by chance"


@pytest.mark.parametrize("kind", ["steady", "rare"])
def test_of_noise_at_most_one_study_in_twenty_finds_anything(kind: str) -> None:
    design = Design((PITCH, B), 3)
    n_found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        answers = rng.random((design.n_stimuli, 40))
        if kind == "rare":
            answers *= rng.random(answers.shape) < 0.1
        answers = answers[:, answers.any(axis=0)].astype(np.float32)
        (of, _) = shares.explain(answers, design, 39, seed)
        n_found += bool(of.evidence is not None and (of.evidence.q < 0.05).any())
    assert n_found <= 4


def test_invariance_is_told_where_pitch_stays_and_where_it_moves() -> None:
    pitch, _, timbre = (column(TRIO, factor) for factor in range(3))
    stays, moves, steps = pitch == 3, pitch == 2 * timbre, pitch == 1 + timbre % 2
    answers = np.stack([stays, moves, steps, np.zeros_like(pitch)], axis=1).astype(np.float32)
    dealt = shares.permutations(TRIO, 0, 40, seed=0)
    found = tuning.invariance(answers, TRIO, 0, 2, dealt)
    assert found.kept.tolist() == [1, 0, 1, 0], "a neighbouring level counts as the same; a flat curve keeps nothing"
    assert found.correlation[0] == pytest.approx(1) and found.correlation[1] < 0 and np.isnan(found.correlation[3])
    assert 0.3 < found.null_kept[0] < 0.8, "of five levels 13 in 25 pairs are neighbours or the same"
    assert found.null_correlation_high[0] < 0.9
    other_way = tuning.invariance(answers, TRIO, 2, 0, dealt[:0])
    assert other_way.kept.shape == (4,) and np.isnan(other_way.null_kept).all()


def test_rounding_does_not_say_where_a_flat_curve_is_highest() -> None:
    """Answers that are the same at every pitch, but for how their sums are rounded."""
    timbre = column(TRIO, 2)
    rng = np.random.default_rng(0)
    same = (np.array([0.1, 0.7, 1 / 3])[timbre % 3][:, None] + rng.uniform(-3e-8, 3e-8, (len(timbre), 20))).astype(
        np.float32
    )
    found = tuning.invariance(same, TRIO, 0, 2, shares.permutations(TRIO, 0, 5, seed=0))
    assert not found.kept.any() and np.isnan(found.correlation).all()


def test_bands_hold_the_truth_as_often_as_they_say() -> None:
    design, rng = Design((PITCH, B), 4), np.random.default_rng(0)
    truth = 0.2 + 0.1 * column(design, 0)
    rate = (truth[:, None] + rng.normal(0, 0.05, (design.n_stimuli, 400))).astype(np.float32)
    of = tuning.curves(rate, rate, design, 0, seed=0)
    wanted = 0.2 + 0.1 * np.arange(5)
    assert of.rate.mean(axis=1) == pytest.approx(wanted, abs=0.01) and np.array_equal(of.rate, of.mean)
    inside = ((of.low <= wanted[:, None]) & (of.high >= wanted[:, None])).mean()
    assert 0.88 < inside < 0.98
    assert tuning.trend(of.rate, PITCH).min() > 0.9 and np.isnan(tuning.trend(of.rate[:2], B)).all()


def f0_of(clip: NDArray[np.float32]) -> float:
    """Pitch by the shortest period at which the autocorrelation is near its highest."""
    finer = 4  # lags between samples
    own = irfft(np.abs(rfft(clip[4000:20384].astype(np.float64), 32768)) ** 2, finer * 32768)
    lags = np.arange(finer * RATE // 500, finer * RATE // 90)
    inner = own[lags[1:-1]]
    is_peak = (inner > own[lags[:-2]]) & (inner >= own[lags[2:]]) & (inner > 0.9 * inner.max())
    return finer * RATE / float(lags[1:-1][is_peak.argmax()])


def test_the_missing_fundamental_tells_a_unit_of_pitch_from_one_of_a_band() -> None:
    stimuli = SETS["fundamental"]
    clips = list(stimuli.sounds(seed=0))
    hertz = np.fft.rfftfreq(N_SAMPLES, 1 / RATE)
    band = (hertz > 1550) & (hertz < 1850)
    pitch = np.array([math.exp(-0.5 * (12 * math.log2(f0_of(clip) / 207.7) / 2) ** 2) for clip in clips])
    power = [np.abs(rfft(clip.astype(np.float64))) ** 2 for clip in clips]
    in_band = np.array([of[band].sum() / of.sum() for of in power])
    rng = np.random.default_rng(0)
    others = rng.random((len(clips), 60))
    answers = np.concatenate([np.stack([pitch, in_band], axis=1), others], axis=1).astype(np.float32)
    study = tell(stimuli, Responses(answers, answers), np.zeros(62, dtype=np.int64), 99, 0)
    units = study.units.set_index(["neuron_index", "factor"])
    assert units.loc[(0, 0), "is_leading"] == 1 and units.loc[(0, 0), "shapley"] > 0.8
    assert units.loc[(0, 0), "best_level"] == 2, "G sharp 3, 208 Hz"
    assert units.loc[(0, 1), "shapley"] < 0.05
    assert units.loc[(1, 1), "is_leading"] == 1 and units.loc[(1, 1), "alone"] > 0.5
    assert units.loc[(1, 0), "alone"] < 0.1
    pairs = study.pairs.set_index(["neuron_index", "factor", "other"])
    assert pairs.loc[(0, 0, 1), "kept"] == 1
    found = study.units[(study.units["neuron_index"] >= 2) & (study.units["q_value"] < 0.05)]
    assert len(found) <= 0.05 * 120


def test_a_study_tells_layers_and_keeps_curves_of_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, _ = planted(np.random.default_rng(1))
    stimuli = StimulusSet("toy", TRIO, lambda values, rng: framed(noise(rng), rng))
    steps: list[int] = []
    silent = np.zeros((TRIO.n_stimuli, 1), dtype=np.float32)
    rate = np.concatenate([silent, answers], axis=1)
    layers = np.arange(rate.shape[1]) // 120
    study = tell(stimuli, Responses(rate, rate), layers, 60, 0, lambda: steps.append(1))
    assert study.facts["n_varying"] == 230 and len(steps) == 6
    assert 0 not in set(study.units["neuron_index"]), "a unit that is silent throughout is not told of"
    of = study.layers.set_index(["factor", "layer"])
    assert of.loc[(0, 0), "n_found"] >= 20 and of.loc[(0, 1), "n_found"] <= 5 and of.loc[(0, 0), "null_mean"] < 3
    kept = study.points[study.points["factor"] == 1]
    assert set(kept["neuron_index"]) >= set(range(11, 21)) and set(kept["level"]) == {0, 1}
    assert (kept["rate_low"] <= kept["rate"]).all() and (kept["rate"] <= kept["rate_high"]).all()
    of_units = study.units.set_index(["factor", "neuron_index"])["kept"]
    assert of_units[0][1:11].min() >= 0.5 and of_units[0].isna().any(), "of units that follow pitch alone"
    monkeypatch.setattr("core.stimuli.study.MOST_CURVES", 3)
    fewer = tell(stimuli, Responses(rate, rate), layers, 60, 0)
    assert fewer.points.groupby("factor")["neuron_index"].nunique().max() == 3
    assert fewer.units.equals(study.units), "whose curves are kept changes nothing of what is told of all"
    without = tell(stimuli, Responses(rate, rate), layers, 20, 0)
    assert without.facts["n_permutations"] == 0 and without.units["q_value"].isna().all() and without.points.empty
    assert by_layer([], np.zeros(0, dtype=np.int64)).empty
    nothing = tell(stimuli, Responses(silent, silent), layers[:1], 60, 0)
    assert nothing.facts["n_varying"] == 0 and nothing.units.empty and len(nothing.factors) == 3


def test_answers_are_the_counts_of_the_pass() -> None:
    encoder = load_encoder("nano-ssl")
    stimuli = StimulusSet(
        "few", Design((A, B), 1), lambda values, rng: framed(tone(300 * values[0], lambda n, _: 1 / n, rng), rng)
    )
    seen: list[int] = []
    responses = respond(encoder, stimuli, 0, Passes(batch_size=3), seen.append)
    assert seen == [3, 4] and responses.rate.shape == (4, encoder.n_neurons)
    heard = hear(encoder, stimuli.sound(2, 0))
    assert responses.rate[2] == pytest.approx(heard.rate, abs=1e-6)
    assert responses.mean[2] == pytest.approx(heard.mean, abs=1e-4)
    assert len(responses.varying) > 1000
