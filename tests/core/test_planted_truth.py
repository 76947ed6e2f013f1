"""The whole pipeline on a network and a dataset whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.ablation import ablate
from core.ablation.targets import Choice, Material, choose
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.encoders import Encoder
from core.probes import fit
from core.recording import activations, extract
from core.recording.passes import Passes
from core.results import Ablation, NullSummary, Selection, TaskScores
from core.scoring.counts import TaskCounts, count
from core.scoring.scores import masks, score
from core.selectivity.presets import SelectionSettings
from tests.support.planted import CLASSES, CLIPS, TONES, planted_encoder, planted_neurons, scan_tones

# 60 neurons: the rates leave a quota of 12 neurons and 30 of 300 (class, neuron) pairs above the bar.
SETTINGS = [
    SelectionSettings("calibrated"),
    SelectionSettings("aape", entropy_rate=0.2, probability_bar=0.9),
    SelectionSettings("lape", entropy_rate=0.2, probability_bar=0.9),
]
SPLITS = ("train", "valid")
TRUTH = {(k, neuron) for k, name in enumerate(TONES) for neuron in planted_neurons()[name]}


@dataclass(frozen=True)
class Study:
    """What the stages of one study gave."""

    encoder: Encoder
    scan: Scan
    counts: TaskCounts
    scores: TaskScores
    head: fit.Probe

    def selection(self, preset: str) -> Selection:
        return next(s for s in self.scores.selections if s.preset == preset)

    def pairs(self, preset: str) -> set[tuple[int, int]]:
        pairs = self.selection(preset).pairs
        return set(zip(pairs["class_index"].tolist(), pairs["neuron_index"].tolist(), strict=True))

    def null(self, preset: str) -> NullSummary:
        null = self.selection(preset).null
        assert null is not None
        return null


def run(folder: Path, shuffle_labels: int | None = None) -> Study:
    encoder, scanned = planted_encoder(), scan_tones(folder, shuffle_labels)
    matrices = activations.open_activations(encoder, scanned, folder, "exclude", "float32")
    extract.extract([(encoder, matrices)], scanned, Passes(32))
    counts = count(Task(scanned, "tone"), matrices, "positive", SPLITS)
    scores = score(Task(scanned, "tone"), counts, SETTINGS, n_shuffles=100, seed=0)
    head = fit.fit_task(Task(scanned, "tone"), np.asarray(matrices.embeddings))
    return Study(encoder, scanned, counts, scores, head)


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return run(tmp_path_factory.mktemp("true"))


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return run(tmp_path_factory.mktemp("shuffled"), shuffle_labels=1)


@pytest.fixture(scope="module")
def ablated(true: Study) -> dict[tuple[str, str], Ablation]:
    """By selection and target: the neurons that ``calibrated`` chose, and a ladder step of as many."""
    mask = masks(true.counts, SETTINGS[:1])[0]
    names, z, p = true.counts.names, true.counts.z, true.counts.p
    material = Material(names, z, p, true.encoder.layer_widths, mask)
    targets = [t for text in ("calibrated", "top:0.05") for t in choose(Choice.of(text), material, names)[0]]
    task, setting = Task(true.scan, "tone"), ablate.Setting(n_controls=20, seed=3)
    found = ablate.Sweep(true.encoder, task, true.head.parts, targets, setting).run()
    return {(a.selection, a.target): a for a in found}


@pytest.mark.parametrize("preset", ["calibrated", "aape", "lape"])
def test_every_preset_finds_exactly_the_planted_neurons(true: Study, preset: str) -> None:
    assert true.scores.class_names == CLASSES
    assert true.pairs(preset) == TRUTH


def test_planted_pairs_are_certain_and_hold_on_test_clips(true: Study) -> None:
    pairs = true.selection("calibrated").pairs
    np.testing.assert_array_equal(pairs["activation_probability"], 1.0)
    np.testing.assert_array_equal(pairs["entropy"], 0.0)
    assert np.isinf(pairs["lift"]).all()
    assert (pairs["q_value"] < 1e-6).all()
    np.testing.assert_array_equal(pairs["replicated"], 1.0)
    # Of 60 neurons x 5 classes only the planted pairs hold: the other sounds are the same in all classes.
    assert true.selection("calibrated").replicated_share_all_pairs == pytest.approx(12 / 300)


def test_counts_are_those_of_the_clips(true: Study) -> None:
    np.testing.assert_array_equal(true.scores.n_clips_per_class, CLIPS["train"] + CLIPS["valid"])
    assert len(set(true.scores.token_counts.tolist())) == 1, "the classes' clips are equally long"
    always, never = [4, 24, 44], [5, 25, 45]
    np.testing.assert_array_equal(
        true.scores.positive_counts[:, always], np.repeat(true.scores.token_counts[:, None], 3, axis=1)
    )
    assert not true.scores.positive_counts[:, never].any()
    assert np.isnan(true.scores.entropy[never]).all()
    np.testing.assert_allclose(true.scores.entropy[always], np.log(len(CLASSES)))


def test_null_of_true_labels_lies_far_below_what_was_found(true: Study) -> None:
    null = true.null("calibrated")
    assert null.n_shuffles == 100
    assert null.n_pairs_mean < 0.5
    assert null.coverage_high < 4 / 5


def test_head_knows_every_class(true: Study) -> None:
    rows = true.head.result.rows
    assert (rows.loc[rows["split"] == "test", "accuracy"] == 1.0).all()


@pytest.mark.parametrize("selection", ["calibrated", "top 5%"])
@pytest.mark.parametrize("target", TONES)
def test_ablation_costs_the_class_of_the_neurons_and_no_other(
    ablated: dict[tuple[str, str], Ablation], selection: str, target: str
) -> None:
    found = ablated[selection, target]
    assert found.neuron_index.tolist() == planted_neurons()[target]
    effects = found.effects
    of_classes = effects[effects["class_name"].notna()].set_index("class_name")
    expected = {name: -1.0 if name == target else 0.0 for name in CLASSES}
    assert of_classes["delta"].to_dict() == expected
    assert of_classes["p_value"].to_dict() == {
        name: pytest.approx(2 * 0.5**10 if name == target else 1.0) for name in CLASSES
    }
    whole = effects[effects["class_name"].isna()].iloc[0]
    assert whole["delta"] == pytest.approx(-1 / len(CLASSES))
    assert (effects["control_delta_mean"].abs() < 0.05).all()
    assert effects.loc[effects["class_name"] == target, "control_delta_low"].item() > -1.0


def test_class_without_neurons_is_not_a_target_of_a_preset(
    ablated: dict[tuple[str, str], Ablation],
) -> None:
    assert {target for selection, target in ablated if selection == "calibrated"} == set(TONES)


def test_calibrated_finds_nothing_on_shuffled_labels(shuffled: Study) -> None:
    assert shuffled.pairs("calibrated") == set()
    assert shuffled.counts.p.min() > 0.05 / shuffled.counts.p.size


@pytest.mark.parametrize("preset", ["aape", "lape"])
def test_null_covers_what_percentiles_find_on_shuffled_labels(shuffled: Study, preset: str) -> None:
    covered = {class_index for class_index, _ in shuffled.pairs(preset)}
    null = shuffled.null(preset)
    assert null.coverage_low <= len(covered) / len(CLASSES) <= null.coverage_high


def test_quota_of_lape_is_filled_from_noise_and_the_null_says_so(shuffled: Study) -> None:
    found, null = shuffled.pairs("lape"), shuffled.null("lape")
    assert len(found) > 5
    assert null.n_pairs_mean == pytest.approx(len(found), rel=0.5)
    assert shuffled.null("calibrated").n_pairs_mean < 0.5
