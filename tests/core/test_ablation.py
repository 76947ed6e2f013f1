"""Taking neurons out: what is run equals scaling one set at a time, what is told is worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from core.ablation import ablate
from core.ablation.ablate import Known, Setting
from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Inquiry, ask
from core.ablation.operations import Operation
from core.ablation.targets import Target
from core.arrays.neurons import to_neurons
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.encoders import Encoder, load_encoder
from core.encoders.hooks import Change, scale
from core.probes.fit import LinearHead, Part, Probe
from core.recording.passes import Passes
from core.recording.waveforms import read_ahead
from core.results import Ablation, IntArray, ProbeResult
from tests.support.planted import planted_encoder, planted_neurons, scan_tones, scan_without_files


def target(neurons: list[int], selection: str = "top 1%", name: str = "a") -> Target:
    return Target(selection, name, np.array(neurons))


# Forward passes.


class Rounded:
    """In place of a head: answers with the embedding itself, projected on one direction, in steps of 1e-4."""

    def __init__(self, n_features: int) -> None:
        self.direction = np.random.default_rng(0).normal(size=n_features) / math.sqrt(n_features)

    def answers(self, embeddings: NDArray, n_classes: int) -> NDArray[np.float32]:
        return np.rint(1e4 * embeddings @ self.direction).astype(np.float32)[:, None]


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("ablation"))


def of_test_split(tones: Scan) -> IntArray:
    return np.flatnonzero(Task(tones, "tone").in_splits("test"))


def ablated(
    tones: Scan,
    parts: list[Part],
    targets: list[Target],
    setting: Setting,
    known: Known | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Ablation]:
    """Targets of the planted encoder."""
    return ablate.Sweep(planted_encoder(), Task(tones, "tone"), parts, targets, setting, known or Known()).run(progress)


def naive(encoder: Encoder, scan: Scan, clips: NDArray, neurons: NDArray, gain: float, head: Rounded) -> NDArray:
    """One clip and one set at a time, the whole network."""
    answers = []
    for (waveform,) in read_ahead(scan, clips[:, None], encoder.sample_rate, 1):
        with torch.inference_mode(), scale(encoder, to_neurons(neurons, encoder.layer_widths), gain):
            answers.append(head.answers(encoder.embed([waveform]), 1)[0])
    return np.array(answers)


def asked(encoder: Encoder, scan: Scan, clips: NDArray, changes: list[Change], head: object, passes: Passes) -> NDArray:
    """Answers (n_conditions + 1, n_clips)."""
    answers = Answers.open(None, 1, len(changes), len(clips), 1)
    inquiry = Inquiry(changes, range(len(changes)), answers, passes)
    ask(encoder, scan, Asked(clips, [head]), inquiry)  # type: ignore[list-item]
    assert answers.done.all()
    return answers.values[0, :, :, 0]


@pytest.mark.parametrize("gain", [0.0, 2.0])
@pytest.mark.parametrize(("batch_size", "rows_per_pass"), [(4, 64), (3, 1), (32, 14)])
def test_answers_equal_whole_passes_one_at_a_time(
    tones: Scan, gain: float, batch_size: int, rows_per_pass: int
) -> None:
    encoder = planted_encoder()
    last = encoder.n_neurons - 1
    conditions = [np.array(c, int) for c in ([45, 50], [0, 20, 40], [], [last], list(range(60)), [4], [25, 26])]
    clips, head = np.arange(0, 150, 11), Rounded(encoder.n_features)
    changes = [Change(neurons, gain) for neurons in conditions]
    answers = asked(encoder, tones, clips, changes, head, Passes(batch_size, rows_per_pass))
    for found, neurons in zip(answers, [*conditions, np.array([], int)], strict=True):
        assert np.abs(found - naive(encoder, tones, clips, neurons, gain, head)[:, 0]).max() <= 1
    assert len({tuple(row) for row in answers}) > 4, "the conditions must differ for this to be a test"


def test_answers_of_an_embedded_encoder_equal_whole_passes(tones: Scan) -> None:
    encoder = load_encoder("nano-untrained")
    rng = np.random.default_rng(1)
    conditions = [np.sort(rng.choice(encoder.n_neurons, n, replace=False)) for n in (50, 400)]
    conditions.append(np.arange(encoder.n_neurons - 700, encoder.n_neurons))
    clips, head = np.array([0, 7, 100]), Rounded(encoder.n_features)
    answers = asked(encoder, tones, clips, [Change(c) for c in conditions], head, Passes(rows_per_pass=6))
    for found, neurons in zip(answers, conditions, strict=False):
        assert np.abs(found - naive(encoder, tones, clips, neurons, 0.0, head)[:, 0]).max() <= 2
    assert np.abs(np.diff(answers, axis=0)).max(axis=1).min() > 2, "the conditions must differ for this to be a test"


def test_gain_1_is_no_ablation(tones: Scan) -> None:
    clips = of_test_split(tones)
    rng = np.random.default_rng(2)
    head = LinearHead(np.zeros(5), np.ones(5), rng.normal(size=(5, 5)), np.zeros(5), np.arange(5))
    targets, setting = [target([0, 20]), target([41])], Setting(Operation.of(1.0), n_controls=3)
    found = ablated(tones, [Part(clips, head)], targets, setting)
    for each in found:
        assert (each.effects["delta"] == 0).all()
        assert (each.effects["q_value"] == 1).all()
        assert not each.control_deltas.any()


def test_each_clip_is_asked_of_the_head_of_its_part(tones: Scan) -> None:
    # Two heads that disagree: the second one calls every class by the next one's name.
    clips = of_test_split(tones)
    one = LinearHead(np.zeros(5), np.ones(5), np.diag([1.0, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
    two = replace(one, class_index=np.roll(np.arange(5), -1))
    told: list[int] = []
    parts = [Part(clips[::2], one), Part(clips[1::2], two)]
    (found,) = ablated(tones, parts, [target([5])], Setting(n_controls=2), progress=told.append)
    assert found.effects["accuracy_unablated"].iloc[0] == 0.5
    assert found.effects["n_clips"].iloc[0] == len(clips)
    assert told == sorted(told) and told[-1] == 3 * len(clips)


def test_each_target_is_set_beside_its_own_controls(tones: Scan) -> None:
    # The only set of all neurons of a layer is that layer: control and target lose the same.
    clips = of_test_split(tones)
    # The class is the loudest tone; none where all are silent.
    head = LinearHead(np.zeros(5), np.ones(5), np.diag([1.0, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
    first, none, layers = np.arange(20), np.array([5]), np.arange(60)
    targets = [target(t.tolist()) for t in (none, first, layers)]
    found = ablated(tones, [Part(clips, head)], targets, Setting(n_controls=3, control_layers="target"))
    deltas = [each.effects["delta"].to_numpy() for each in found]
    assert not deltas[0].any()
    np.testing.assert_array_equal(deltas[2], [-0.8, -1, -1, -1, -1, 0])
    for each, delta in zip(found[1:], deltas[1:], strict=True):
        np.testing.assert_allclose(each.control_deltas, np.tile(delta, (3, 1)), atol=1e-12)
        np.testing.assert_allclose(each.effects["control_delta_mean"], delta, atol=1e-12)


LOUDEST = LinearHead(np.zeros(5), np.ones(5), np.diag([1.0, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
"""The class is the loudest tone; none where all are silent."""


def rates() -> NDArray[np.float64]:
    """Made up: the planted neurons fire as often as a few of the others."""
    return np.tile(np.concatenate([np.full(4, 0.2), [1.0, 0.0], np.linspace(0.05, 0.4, 14)]), 3)


def test_no_control_family_shows_an_effect_where_there_is_none(tones: Scan) -> None:
    # Only the planted neurons move what the head reads; controls hold none of them.
    clips = of_test_split(tones)
    targets = [target(neurons, name=name) for name, neurons in planted_neurons().items()]
    setting = Setting(n_controls=20, n_activity_controls=10)
    found = ablated(tones, [Part(clips, LOUDEST)], targets, setting, Known(rate=rates()))
    for each in found:
        own = (each.effects["class_name"] == each.target) | each.effects["class_name"].isna()
        for column in ("control_delta_mean", "control_delta_low", "control_delta_high", "activity_control_delta_mean",
                       "activity_control_delta_low", "activity_control_delta_high"):  # fmt: skip
            assert (each.effects[column] == 0).all(), column
        assert (each.effects["n_activity_controls"] == 10).all()
        assert (each.effects["beyond_control"] == each.effects["delta"]).all()
        assert (each.effects.loc[own, "beyond_control_high"] < 0).all()
        assert (each.effects.loc[~own, ["beyond_control_low", "beyond_control_high"]] == 0).all(axis=None)
        assert (each.effects["n_controls"] == 20 + 10).all(), "of both families"
        assert each.effects.loc[own, "control_p_value"].tolist() == [pytest.approx(1 / 31)] * 2
        assert (each.effects.loc[~own, "control_p_value"] == 1).all()


def test_neurons_that_do_nothing_are_no_different_from_their_controls(tones: Scan) -> None:
    clips = of_test_split(tones)
    (found,) = ablated(tones, [Part(clips, LOUDEST)], [target([8, 29])], Setting(n_controls=12))
    idle = found.effects["control_p_value"] >= 1 / 13
    assert idle.all()
    assert (found.effects["control_p_value"] > 0.05).all()


@dataclass(frozen=True)
class Permuted(Task):
    """With its classes in another order."""

    order: tuple[int, ...]

    @cached_property
    def class_names(self) -> list[str]:
        names = self.dataset.classes(self.attribute)
        return [names[i] for i in self.order]


def test_permuted_classes_have_the_same_effects(tones: Scan) -> None:
    clips = of_test_split(tones)
    setting = Setting(n_controls=6, n_activity_controls=3)
    targets = [target(neurons + [50 + i][: i % 2], name=n) for i, (n, neurons) in enumerate(planted_neurons().items())]
    known = Known(rate=rates(), groups=np.arange(len(tones.dataset.clips)) // 3)
    told = []
    for order in (np.arange(5), np.array([3, 0, 4, 2, 1])):
        head = replace(LOUDEST, class_index=np.argsort(order)[LOUDEST.class_index])
        task = Permuted(tones, "tone", tuple(order))
        chosen = [t for name in task.class_names for t in targets if t.name == name]
        found = ablate.Sweep(planted_encoder(), task, [Part(clips, head)], chosen, setting, known).run()
        rows = pd.concat([a.effects.assign(target=a.target) for a in found])
        told.append(rows.fillna({"class_name": "all"}).sort_values(["target", "class_name"], ignore_index=True))
    pd.testing.assert_frame_equal(*told)
    assert (told[0]["delta"] < 0).any()


def test_refitted_heads_are_asked_of_the_same_passes(tones: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    # One head is deaf to tone a, one to tone b; taking out a's neurons costs the first nothing.
    encoder = planted_encoder()
    clips = of_test_split(tones)
    deaf = [replace(LOUDEST, weight=LOUDEST.weight * (np.arange(5) != k)) for k in (0, 1)]
    parts = [Part(clips[::2], LOUDEST), Part(clips[1::2], LOUDEST)]
    rows = []
    finish = encoder.finish
    monkeypatch.setattr(encoder, "finish", lambda hidden, batch: rows.append(batch.n_clips) or finish(hidden, batch))
    targets, known = [target(planted_neurons()["a"])], Known(refits=[deaf, deaf])
    (found,) = ablate.Sweep(encoder, Task(tones, "tone"), parts, targets, Setting(n_controls=2), known).run()
    assert sum(rows) == len(clips) * (1 + 1 + 2), "the unchanged network, the target, two controls"
    effects = found.effects.set_index("class_name")
    assert (effects["n_heads"] == 3).all()
    assert effects.loc["a", ["delta", "delta_heads_low", "delta_heads_high"]].tolist() == [-1, -1, 0]
    assert effects.loc["c", ["delta_heads_low", "delta_heads_high"]].tolist() == [0, 0]


def test_keeping_only_the_tones_neurons_keeps_the_answers_and_setting_them_to_the_mean_does_not(tones: Scan) -> None:
    clips = of_test_split(tones)
    every = sorted(i for neurons in planted_neurons().values() for i in neurons)
    deltas = {}
    for word in ("keep", "mean"):
        setting, known = Setting(Operation.of(word), n_controls=3), Known(means=np.full(60, 0.05))
        (found,) = ablated(tones, [Part(clips, LOUDEST)], [target(every)], setting, known)
        assert (found.operation, found.gain) == (word, None)
        deltas[word] = found.effects["delta"].iloc[0], found.effects["control_delta_mean"].iloc[0]
    assert deltas["keep"] == (0, pytest.approx(-0.8))
    assert deltas["mean"] == (pytest.approx(-0.8), 0)


# What is left out, and why.


def test_classes_with_too_few_test_clips_are_named() -> None:
    clips = [("test", {"kind": "a"})] * 3 + [("test", {"kind": "b"})] + [("train", {"kind": "c"})] * 9
    scan = scan_without_files(clips, ("kind",))
    names = scan.dataset.classes("kind")
    assert ablate.classes_with_clips(Task(scan, "kind"), 2) == {"a"}
    assert ablate.classes_with_clips(Task(scan, "kind"), 0) == {"a", "b"}
    assert "ablated: not b, c (fewer than 2 test clips)" in ablate.too_few_clips(Task(scan, "kind"), names, 2)
    assert "ablated: no class (fewer than 4 test clips)" in ablate.too_few_clips(Task(scan, "kind"), names, 4)
    assert ablate.too_few_clips(Task(scan, "kind"), ["a"], 2) == ""


def test_test_clips_are_drawn_evenly_over_classes_and_the_same_again() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 4])
    members = labels[:, None] == np.arange(3)
    clips = 1000 + np.arange(84)
    assert ablate.draw_clips(clips, members, 0, 10, seed=0).tolist() == clips.tolist()
    assert ablate.draw_clips(clips, members, 84, 10, seed=0).tolist() == clips.tolist()
    drawn = ablate.draw_clips(clips, members, 36, 10, seed=0)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert np.bincount(labels[drawn - 1000]).tolist() == [12, 12, 4]
    few = ablate.draw_clips(clips, members, 6, 10, seed=0)
    assert np.bincount(labels[few - 1000]).tolist() == [10, 10, 4]
    assert ablate.draw_clips(clips, members, 36, 10, seed=0).tolist() == drawn.tolist()
    assert ablate.draw_clips(clips, members, 36, 10, seed=1).tolist() != drawn.tolist()


def test_clips_of_parts_and_of_several_classes_are_drawn_once_each() -> None:
    rng = np.random.default_rng(0)
    members = rng.random((90, 3)) < 0.5
    members[:, 0] |= ~members.any(axis=1)
    head = LinearHead(np.zeros(1), np.ones(1), np.zeros((2, 1)), np.zeros(2), np.arange(2))
    parts = [Part(np.arange(k, 90, 3), head) for k in range(3)]
    drawn = ablate.draw_parts(parts, members, 30, 12, seed=0)
    for part, few in zip(parts, drawn, strict=True):
        assert set(few.clips) <= set(part.clips)
        assert len(few.clips) == len(set(few.clips)) < 30
        assert (members[few.clips].sum(axis=0) >= 4).all()
    whole = ablate.draw_parts(parts, members, 0, 12, seed=0)
    assert [p.clips.tolist() for p in whole] == [p.clips.tolist() for p in parts]


def test_with_folds_all_clips_are_test_clips() -> None:
    clips = [(f"fold {i % 3 + 1}", {"kind": "ab"[i % 2]}) for i in range(12)]
    scan = scan_without_files(clips, ("kind",))
    assert ablate.classes_with_clips(Task(scan, "kind"), 6) == {"a", "b"}
    assert Task(scan, "kind").tested.all()


def test_head_at_chance_or_missing_and_targets_missing_are_reasons_not_to_ablate() -> None:
    def probe(accuracy: float, metric: str = "accuracy") -> Probe:
        rows = pd.DataFrame(
            [("test", None, 100, accuracy, 0.5, metric)],
            columns=["split", "class_name", "n_clips", "accuracy", "chance", "metric"],
        )
        head = LinearHead(np.zeros(1), np.ones(1), np.zeros((2, 1)), np.zeros(2), np.arange(2))
        return Probe((Part(np.arange(100), head),), ProbeResult("task", rows, {"highest_of_shuffled": 0.7}))

    # Two standard deviations of 100 clips at 0.5 are 0.1.
    assert "at chance" in ablate.why_not(probe(0.59), [target([0])])
    assert ablate.why_not(probe(0.62), [target([0])]) == ""
    assert "at chance (0.69 against 0.70)" in ablate.why_not(probe(0.69, "average precision"), [target([0])])
    assert ablate.why_not(probe(0.71, "average precision"), [target([0])]) == ""
    assert "no class has both" in ablate.why_not(probe(0.9), [])
    missing = Probe((), ProbeResult("task", pd.DataFrame(), {}, "no train clip"))
    assert ablate.why_not(missing, [target([0])]) == "no linear probe: no train clip"
