"""Taking neurons out: what is run equals scaling one set at a time, what is told is worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from core import ablation
from core.ablation import Setting, Target, draw_controls
from core.effects import compare, correct_for_many, mcnemar, paired_interval
from core.encoders import Encoder, load_encoder
from core.hooks import layer_starts, scale, to_neurons
from core.null import benjamini_hochberg
from core.probe import LinearHead, Probe
from core.results import Ablation, ProbeResult
from core.scan import Scan
from tests.planted import planted_encoder, scan_tones, scan_without_files

WIDTHS = (5, 7, 4)


def target(neurons: list[int], selection: str = "top 1%", name: str = "a") -> Target:
    return Target(selection, name, np.array(neurons))


def profile(neurons: NDArray, widths: tuple[int, ...] = WIDTHS) -> list[int]:
    return np.histogram(neurons, bins=layer_starts(widths))[0].tolist()


# The statistics of one pair of answers.


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [(0, 0, 1.0), (5, 0, 0.0625), (0, 5, 0.0625), (1, 1, 1.0), (8, 2, 0.109375), (1, 0, 1.0)],
)
def test_mcnemar_is_the_exact_sign_test_of_the_changed_clips(lost: int, gained: int, p: float) -> None:
    # 8 and 2: 2 (1 + 10 + 45) / 2 ** 10.
    assert mcnemar(lost, gained) == pytest.approx(p)


def test_interval_worked_by_hand() -> None:
    # 4/22 and 2/22: -1/11 -+ 1.959964 sqrt((6/22 - 1/121) / 22).
    half = 1.959964 * math.sqrt((6 / 22 - 1 / 121) / 22)
    assert paired_interval(3, 1, 20) == pytest.approx((-1 / 11 - half, -1 / 11 + half), abs=1e-6)
    assert paired_interval(3, 1, 20) == pytest.approx((-0.3058, 0.1240), abs=1e-4)
    low, high = paired_interval(1, 3, 20)
    assert (-high, -low) == pytest.approx(paired_interval(3, 1, 20))


def test_interval_of_no_changed_clip_is_not_empty_and_narrows_with_clips() -> None:
    widths = [high - low for low, high in (paired_interval(0, 0, n) for n in (5, 50, 500))]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.5
    assert widths[2] > 0


def test_interval_stays_within_possible_differences() -> None:
    low, high = paired_interval(10, 0, 10)
    assert low == -1
    assert -1 < high < 0


def test_comparison_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 2, 2])
    before = np.array([1, 1, 1, 0, 1, 0], dtype=bool)
    after = np.array([0, 0, 1, 1, 1, 0], dtype=bool)
    controls = np.array([[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1]], dtype=bool)
    effects, deltas = compare(before, after, controls, labels, ["a", "empty", "c"])
    assert [n if isinstance(n, str) else None for n in effects["class_name"]] == [None, "a", "c"]
    assert effects["n_clips"].tolist() == [6, 4, 2]
    np.testing.assert_allclose(effects["accuracy_unablated"], [4 / 6, 3 / 4, 1 / 2])
    np.testing.assert_allclose(effects["accuracy_ablated"], [3 / 6, 2 / 4, 1 / 2])
    np.testing.assert_allclose(effects["delta"], [-1 / 6, -1 / 4, 0])
    np.testing.assert_allclose(effects["p_value"], [mcnemar(2, 1), mcnemar(2, 1), 1])
    expected = [paired_interval(2, 1, 6), paired_interval(2, 1, 4), paired_interval(0, 0, 2)]
    np.testing.assert_allclose(effects[["ci_low", "ci_high"]], expected)
    # Controls: 3 and 4 of 6 right, 3 and 2 of 4, 0 and 2 of 2.
    np.testing.assert_allclose(deltas, [[-1 / 6, 0, -1 / 2], [0, -1 / 4, 1 / 2]], atol=1e-12)
    np.testing.assert_allclose(effects["control_delta_mean"], [-1 / 12, -1 / 8, 0], atol=1e-12)
    np.testing.assert_allclose(effects["control_delta_low"], np.quantile(deltas, 0.025, axis=0), atol=1e-12)
    np.testing.assert_allclose(effects["control_delta_high"], np.quantile(deltas, 0.975, axis=0), atol=1e-12)
    assert (effects["n_controls"] == 2).all()


def test_comparison_without_controls_leaves_them_unknown() -> None:
    answers = np.array([True, False])
    effects, deltas = compare(answers, answers, np.zeros((0, 2), dtype=bool), np.array([0, 1]), ["a", "b"])
    assert deltas.shape == (0, 3)
    assert effects["control_delta_mean"].isna().all()
    assert (effects["n_controls"] == 0).all()


def test_q_is_over_the_matrix_of_targets_and_classes_with_all_clips_apart() -> None:
    def made(name: str, gain: float, p: list[float]) -> Ablation:
        effects = pd.DataFrame({"class_name": [None, "a", "b"], "p_value": p, "q_value": np.nan})
        return Ablation("task", "lape", name, gain, np.array([0]), effects, np.zeros((0, 3)))

    found = correct_for_many(
        [made("a", 0.0, [0.5, 0.01, 0.04]), made("b", 0.0, [0.2, 0.03, 0.9]), made("a", 2.0, [0.1, 0.2, 0.3])]
    )
    matrix = benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.9]))
    np.testing.assert_allclose(found[0].effects["q_value"], [0.5, *matrix[:2]])
    np.testing.assert_allclose(found[1].effects["q_value"], [0.4, *matrix[2:]])
    np.testing.assert_allclose(found[2].effects["q_value"], [0.1, 0.3, 0.3])
    assert matrix[0] == pytest.approx(0.04)


# Which neurons.


def test_ladder_takes_the_strongest_evidence_by_p_then_z_then_index() -> None:
    p = np.array([[0.5, 0.0, 0.0, 0.1, 0.0, 1.0]])
    z = np.array([[1.0, 5.0, 9.0, 2.0, 5.0, -1.0]])
    taken = [ablation.top_by_evidence(z, p, k / 6)[0].tolist() for k in (1, 2, 3, 4)]
    assert taken == [[2], [1, 2], [1, 2, 4], [1, 2, 3, 4]]
    assert [len(s) for s in ablation.top_by_evidence(z, p, 0.001)] == [1]


def test_targets_of_a_preset_are_its_own_sets_and_empty_ones_are_left_out() -> None:
    mask = np.array([[True, False, True], [False] * 3, [False, True, False]])
    nothing = np.zeros((3, 3))
    found = ablation.choose_targets("lape", None, ["a", "b", "c"], nothing, nothing, mask)
    assert [(t.selection, t.name, t.neurons.tolist()) for t in found] == [("lape", "a", [0, 2]), ("lape", "c", [1])]
    ladder = ablation.choose_targets("top 34%", 0.34, ["a", "b", "c"], nothing, nothing, None)
    assert [t.name for t in ladder] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("shares", "rounded"),
    [([1.5, 2.5, 1.0], [2, 2, 1]), ([0.2, 0.3, 0.5], [0, 0, 1]), ([2.0, 0.0], [2, 0]), ([1 / 3] * 3, [1, 0, 0])],
)
def test_rounding_keeps_the_sum_and_favours_the_largest_remainder(shares: list[float], rounded: list[int]) -> None:
    assert ablation.round_to_sum(np.array(shares)).tolist() == rounded


def test_controls_of_a_task_have_the_size_and_the_mean_layer_profile() -> None:
    # Profiles (4, 0, 1), (0, 4, 1) and, of another size, (1, 0, 0).
    targets = [target([0, 1, 2, 3, 12]), target([5, 6, 7, 8, 13]), target([4])]
    families, family_of = draw_controls(targets, WIDTHS, Setting(n_controls=30))
    assert family_of == [0, 0, 1]
    assert [len(family) for family in families] == [30, 30]
    for control in families[0]:
        assert len(set(control.tolist())) == 5
        assert profile(control) == [2, 2, 1]
    assert {tuple(profile(control)) for control in families[1]} == {(1, 0, 0)}
    drawn = {int(i) for family in families for control in family for i in control}
    assert drawn == set(range(16)), "every neuron can be drawn"


def test_controls_of_a_target_lie_in_exactly_its_layers() -> None:
    targets = [target([0, 1, 12]), target([5, 6, 13]), target([2, 3, 15])]
    families, family_of = draw_controls(targets, WIDTHS, Setting(n_controls=8, control_layers="target"))
    for own, family in zip(targets, family_of, strict=True):
        assert len(families[family]) == 8
        assert all(profile(control) == profile(own.neurons) for control in families[family])
    assert family_of == [0, 1, 0], "equal profiles share their controls"


def test_selections_do_not_share_controls() -> None:
    _, family_of = draw_controls([target([0]), target([1], "lape")], WIDTHS, Setting())
    assert family_of == [0, 1]


@pytest.mark.parametrize("layers", ["task", "target"])
def test_controls_repeat_with_their_seed(layers: str) -> None:
    targets = [target([0, 1, 12, 14]), target([5, 6])]
    setting = Setting(n_controls=5, control_layers=layers, seed=4)

    def drawn(setting: Setting) -> list[list[int]]:
        return [c.tolist() for family in draw_controls(targets, WIDTHS, setting)[0] for c in family]

    assert drawn(setting) == drawn(setting)
    assert drawn(setting) != drawn(replace(setting, seed=5))
    assert ablation.n_conditions(targets, WIDTHS, setting) == 2 + 10


# Forward passes.


class Rounded:
    """In place of a head: answers with the embedding itself, projected on one direction, in steps of 1e-4."""

    def __init__(self, n_features: int) -> None:
        self.direction = np.random.default_rng(0).normal(size=n_features) / math.sqrt(n_features)

    def predict(self, embeddings: NDArray) -> NDArray[np.int64]:
        return np.rint(1e4 * embeddings @ self.direction).astype(np.int64)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("ablation"))


def naive(encoder: Encoder, scan: Scan, clips: NDArray, neurons: NDArray, gain: float, head: Rounded) -> NDArray:
    """One clip and one set at a time, the whole network."""
    answers = []
    for (waveform,) in ablation.read_ahead(scan, clips[:, None], encoder.sample_rate, 1):
        with torch.inference_mode(), scale(encoder, to_neurons(neurons, encoder.layer_widths), gain):
            answers.append(head.predict(encoder.embed([waveform]))[0])
    return np.array(answers)


@pytest.mark.parametrize("gain", [0.0, 2.0])
@pytest.mark.parametrize(("batch_size", "rows_per_pass"), [(4, 64), (3, 1), (32, 14)])
def test_predictions_equal_whole_passes_one_at_a_time(
    tones: Scan, gain: float, batch_size: int, rows_per_pass: int
) -> None:
    encoder = planted_encoder()
    last = encoder.n_neurons - 1
    conditions = [np.array(c) for c in ([45, 50], [0, 20, 40], [], [last], list(range(60)), [4], [25, 26])]
    clips, head = np.arange(0, 150, 11), Rounded(encoder.n_features)
    told: list[int] = []
    answers, unablated = ablation.predictions(
        encoder, tones, clips, conditions, head,  # type: ignore[arg-type]
        Setting(gain, batch_size=batch_size, rows_per_pass=rows_per_pass), told.append,
    )  # fmt: skip
    assert np.abs(unablated - naive(encoder, tones, clips, np.array([], dtype=int), 1.0, head)).max() <= 1
    for found, neurons in zip(answers, conditions, strict=True):
        assert np.abs(found - naive(encoder, tones, clips, neurons.astype(int), gain, head)).max() <= 1
    assert len({tuple(row) for row in answers}) > 4, "the conditions must differ for this to be a test"
    assert told[-1] == len(clips) * len(conditions)


def test_predictions_of_an_embedded_encoder_equal_whole_passes(tones: Scan) -> None:
    encoder = load_encoder("nano-untrained")
    rng = np.random.default_rng(1)
    conditions = [np.sort(rng.choice(encoder.n_neurons, n, replace=False)) for n in (50, 400)]
    conditions.append(np.arange(encoder.n_neurons - 700, encoder.n_neurons))
    clips, head = np.array([0, 7, 100]), Rounded(encoder.n_features)
    answers, _ = ablation.predictions(encoder, tones, clips, conditions, head, Setting(rows_per_pass=6))  # type: ignore[arg-type]
    for found, neurons in zip(answers, conditions, strict=True):
        assert np.abs(found - naive(encoder, tones, clips, neurons, 0.0, head)).max() <= 2
    assert np.abs(np.diff(answers, axis=0)).max(axis=1).min() > 2, "the conditions must differ for this to be a test"


def test_gain_1_is_no_ablation(tones: Scan) -> None:
    encoder = planted_encoder()
    clips = np.flatnonzero(tones.in_splits("test"))
    labels, names = tones.labels("tone")
    rng = np.random.default_rng(2)
    head = LinearHead(np.zeros(5), np.ones(5), rng.normal(size=(5, 5)), np.zeros(5), np.arange(5))
    found = ablation.ablate(
        encoder, tones, clips, labels[clips], names, head, "task", [target([0, 20]), target([41])],
        Setting(gain=1.0, n_controls=3),
    )  # fmt: skip
    for each in found:
        assert (each.effects["delta"] == 0).all()
        assert (each.effects["q_value"] == 1).all()
        assert not each.control_deltas.any()


def test_each_target_is_set_beside_its_own_controls(tones: Scan) -> None:
    # The only set of all neurons of a layer is that layer: control and target lose the same.
    encoder = planted_encoder()
    clips = np.flatnonzero(tones.in_splits("test"))
    labels, names = tones.labels("tone")
    # The class is the loudest tone; none where all are silent.
    head = LinearHead(np.zeros(5), np.ones(5), np.diag([1.0, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
    first, none, layers = np.arange(20), np.array([5]), np.arange(60)
    found = ablation.ablate(
        encoder, tones, clips, labels[clips], names, head, "task", [target(t.tolist()) for t in (none, first, layers)],
        Setting(n_controls=3, control_layers="target"),
    )  # fmt: skip
    deltas = [each.effects["delta"].to_numpy() for each in found]
    assert not deltas[0].any()
    np.testing.assert_array_equal(deltas[2], [-0.8, -1, -1, -1, -1, 0])
    for each, delta in zip(found[1:], deltas[1:], strict=True):
        np.testing.assert_allclose(each.control_deltas, np.tile(delta, (3, 1)), atol=1e-12)
        np.testing.assert_allclose(each.effects["control_delta_mean"], delta, atol=1e-12)


# What is left out, and why.


def test_classes_with_too_few_test_clips_are_named() -> None:
    clips = [("test", {"kind": "a"})] * 3 + [("test", {"kind": "b"})] + [("train", {"kind": "c"})] * 9
    scan = scan_without_files(clips, ("kind",))
    labels, names = scan.labels("kind")
    assert ablation.classes_with_clips(scan, labels, names, 2) == {"a"}
    assert ablation.classes_with_clips(scan, labels, names, 0) == {"a", "b"}
    assert "ablated: not b, c (fewer than 2 test clips)" in ablation.too_few_clips(scan, "kind", names, 2)
    assert "ablated: no class (fewer than 4 test clips)" in ablation.too_few_clips(scan, "kind", names, 4)
    assert ablation.too_few_clips(scan, "kind", ["a"], 2) == ""


def test_test_clips_are_drawn_evenly_over_classes_and_the_same_again() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 4])
    clips = 1000 + np.arange(84)
    assert ablation.draw_clips(clips, labels, 0, 10, seed=0).tolist() == clips.tolist()
    assert ablation.draw_clips(clips, labels, 84, 10, seed=0).tolist() == clips.tolist()
    drawn = ablation.draw_clips(clips, labels, 36, 10, seed=0)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert np.bincount(labels[drawn - 1000]).tolist() == [12, 12, 4]
    few = ablation.draw_clips(clips, labels, 6, 10, seed=0)
    assert np.bincount(labels[few - 1000]).tolist() == [10, 10, 4]
    assert ablation.draw_clips(clips, labels, 36, 10, seed=0).tolist() == drawn.tolist()
    assert ablation.draw_clips(clips, labels, 36, 10, seed=1).tolist() != drawn.tolist()


def test_head_at_chance_or_missing_and_targets_missing_are_reasons_not_to_ablate() -> None:
    def probe(accuracy: float) -> Probe:
        rows = pd.DataFrame(
            [("test", None, 100, accuracy, 0.5)], columns=["split", "class_name", "n_clips", "accuracy", "chance"]
        )
        head = LinearHead(np.zeros(1), np.ones(1), np.zeros((2, 1)), np.zeros(2), np.arange(2))
        return Probe(head, ProbeResult("task", rows))

    # Two standard deviations of 100 clips at 0.5 are 0.1.
    assert "at chance" in ablation.why_not(probe(0.59), [target([0])])
    assert ablation.why_not(probe(0.62), [target([0])]) == ""
    assert "no class has both" in ablation.why_not(probe(0.9), [])
    missing = Probe(None, ProbeResult("task", pd.DataFrame(), {}, "no train clip"))
    assert ablation.why_not(missing, [target([0])]) == "no linear head: no train clip"
