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
from core.encoders import Encoder, load_encoder
from core.hooks import layer_starts, scale, to_neurons
from core.probe import LinearHead, Part, Probe
from core.results import ProbeResult
from core.scan import Scan
from tests.planted import planted_encoder, scan_tones, scan_without_files

WIDTHS = (5, 7, 4)


def target(neurons: list[int], selection: str = "top 1%", name: str = "a") -> Target:
    return Target(selection, name, np.array(neurons))


def profile(neurons: NDArray, widths: tuple[int, ...] = WIDTHS) -> list[int]:
    return np.histogram(neurons, bins=layer_starts(widths))[0].tolist()


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

    def top(self, embeddings: NDArray, k: int) -> NDArray[np.int64]:
        return np.rint(1e4 * embeddings @ self.direction).astype(np.int64)[:, None]


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("ablation"))


def naive(encoder: Encoder, scan: Scan, clips: NDArray, neurons: NDArray, gain: float, head: Rounded) -> NDArray:
    """One clip and one set at a time, the whole network."""
    answers = []
    for (waveform,) in ablation.read_ahead(scan, clips[:, None], encoder.sample_rate, 1):
        with torch.inference_mode(), scale(encoder, to_neurons(neurons, encoder.layer_widths), gain):
            answers.append(head.top(encoder.embed([waveform]), 1)[0])
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
    assert len({tuple(row.ravel()) for row in answers}) > 4, "the conditions must differ for this to be a test"
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
    assert np.abs(np.diff(answers[..., 0], axis=0)).max(axis=1).min() > 2, (
        "the conditions must differ for this to be a test"
    )


def test_gain_1_is_no_ablation(tones: Scan) -> None:
    encoder = planted_encoder()
    clips = np.flatnonzero(tones.in_splits("test"))
    members, names = tones.members("tone")
    rng = np.random.default_rng(2)
    head = LinearHead(np.zeros(5), np.ones(5), rng.normal(size=(5, 5)), np.zeros(5), np.arange(5))
    found = ablation.ablate(
        encoder, tones, [Part(clips, head)], members, names, "task", [target([0, 20]), target([41])],
        Setting(gain=1.0, n_controls=3),
    )  # fmt: skip
    for each in found:
        assert (each.effects["delta"] == 0).all()
        assert (each.effects["q_value"] == 1).all()
        assert not each.control_deltas.any()


def test_each_clip_is_asked_of_the_head_of_its_part(tones: Scan) -> None:
    # Two heads that disagree: the second one calls every class by the next one's name.
    encoder = planted_encoder()
    clips = np.flatnonzero(tones.in_splits("test"))
    members, names = tones.members("tone")
    one = LinearHead(np.zeros(5), np.ones(5), np.diag([1.0, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
    two = replace(one, class_index=np.roll(np.arange(5), -1))
    told: list[int] = []
    parts = [Part(clips[::2], one), Part(clips[1::2], two)]
    (found,) = ablation.ablate(
        encoder, tones, parts, members, names, "task", [target([5])], Setting(n_controls=2), told.append
    )
    assert found.effects["accuracy_unablated"].iloc[0] == 0.5
    assert found.effects["n_clips"].iloc[0] == len(clips)
    assert told == sorted(told) and told[-1] == 3 * len(clips)


def test_each_target_is_set_beside_its_own_controls(tones: Scan) -> None:
    # The only set of all neurons of a layer is that layer: control and target lose the same.
    encoder = planted_encoder()
    clips = np.flatnonzero(tones.in_splits("test"))
    members, names = tones.members("tone")
    # The class is the loudest tone; none where all are silent.
    head = LinearHead(np.zeros(5), np.ones(5), np.diag([1.0, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
    first, none, layers = np.arange(20), np.array([5]), np.arange(60)
    targets = [target(t.tolist()) for t in (none, first, layers)]
    found = ablation.ablate(
        encoder, tones, [Part(clips, head)], members, names, "task", targets,
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
    names = scan.dataset.classes("kind")
    assert ablation.classes_with_clips(scan, "kind", 2) == {"a"}
    assert ablation.classes_with_clips(scan, "kind", 0) == {"a", "b"}
    assert "ablated: not b, c (fewer than 2 test clips)" in ablation.too_few_clips(scan, "kind", names, 2)
    assert "ablated: no class (fewer than 4 test clips)" in ablation.too_few_clips(scan, "kind", names, 4)
    assert ablation.too_few_clips(scan, "kind", ["a"], 2) == ""


def test_test_clips_are_drawn_evenly_over_classes_and_the_same_again() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 4])
    members = labels[:, None] == np.arange(3)
    clips = 1000 + np.arange(84)
    assert ablation.draw_clips(clips, members, 0, 10, seed=0).tolist() == clips.tolist()
    assert ablation.draw_clips(clips, members, 84, 10, seed=0).tolist() == clips.tolist()
    drawn = ablation.draw_clips(clips, members, 36, 10, seed=0)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert np.bincount(labels[drawn - 1000]).tolist() == [12, 12, 4]
    few = ablation.draw_clips(clips, members, 6, 10, seed=0)
    assert np.bincount(labels[few - 1000]).tolist() == [10, 10, 4]
    assert ablation.draw_clips(clips, members, 36, 10, seed=0).tolist() == drawn.tolist()
    assert ablation.draw_clips(clips, members, 36, 10, seed=1).tolist() != drawn.tolist()


def test_clips_of_parts_and_of_several_classes_are_drawn_once_each() -> None:
    rng = np.random.default_rng(0)
    members = rng.random((90, 3)) < 0.5
    members[:, 0] |= ~members.any(axis=1)
    head = LinearHead(np.zeros(1), np.ones(1), np.zeros((2, 1)), np.zeros(2), np.arange(2))
    parts = [Part(np.arange(k, 90, 3), head) for k in range(3)]
    drawn = ablation.draw_parts(parts, members, 30, 12, seed=0)
    for part, few in zip(parts, drawn, strict=True):
        assert set(few.clips) <= set(part.clips)
        assert len(few.clips) == len(set(few.clips)) < 30
        assert (members[few.clips].sum(axis=0) >= 4).all()
    whole = ablation.draw_parts(parts, members, 0, 12, seed=0)
    assert [p.clips.tolist() for p in whole] == [p.clips.tolist() for p in parts]


def test_with_folds_all_clips_are_test_clips() -> None:
    clips = [(f"fold {i % 3 + 1}", {"kind": "ab"[i % 2]}) for i in range(12)]
    scan = scan_without_files(clips, ("kind",))
    assert ablation.classes_with_clips(scan, "kind", 6) == {"a", "b"}
    assert scan.tested("kind").all()


def test_head_at_chance_or_missing_and_targets_missing_are_reasons_not_to_ablate() -> None:
    def probe(accuracy: float, metric: str = "accuracy") -> Probe:
        rows = pd.DataFrame(
            [("test", None, 100, accuracy, 0.5, metric)],
            columns=["split", "class_name", "n_clips", "accuracy", "chance", "metric"],
        )
        head = LinearHead(np.zeros(1), np.ones(1), np.zeros((2, 1)), np.zeros(2), np.arange(2))
        return Probe((Part(np.arange(100), head),), ProbeResult("task", rows, {"highest_of_shuffled": 0.7}))

    # Two standard deviations of 100 clips at 0.5 are 0.1.
    assert "at chance" in ablation.why_not(probe(0.59), [target([0])])
    assert ablation.why_not(probe(0.62), [target([0])]) == ""
    assert "at chance (0.69 against 0.70)" in ablation.why_not(probe(0.69, "average precision"), [target([0])])
    assert ablation.why_not(probe(0.71, "average precision"), [target([0])]) == ""
    assert "no class has both" in ablation.why_not(probe(0.9), [])
    missing = Probe((), ProbeResult("task", pd.DataFrame(), {}, "no train clip"))
    assert ablation.why_not(missing, [target([0])]) == "no linear head: no train clip"
