"""Planted truth through other units: a known dictionary is found, matched, ablated exactly; rotations find less."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from core.ablation import ablate
from core.ablation.operations import Operation, per_token
from core.ablation.removed import Removed
from core.ablation.targets import Choice, Material, choose
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.encoders import Encoder
from core.probes import fit
from core.recording import activations, extract
from core.recording.activations import Activations
from core.recording.passes import Passes
from core.recording.waveforms import read_ahead
from core.results import TaskScores
from core.scoring.counts import TaskCounts, count
from core.scoring.scores import masks, score
from core.selectivity.presets import SelectionSettings
from core.units.files import sae_encoder
from core.units.fit import fit as fit_units
from core.units.sae import Design, SparseCode
from core.units.sample import Draw, drawn_clips, sample
from core.units.twins import match
from tests.support.planted import CLASSES, OTHER_TONES, TONES, planted_encoder, scan_tones

CALIBRATED = SelectionSettings("calibrated")
SPLITS = ("train", "valid")
N_BANDS = len(TONES) + len(OTHER_TONES)
WIDTH = N_BANDS + len(TONES) + 1


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("tones"))


def dictionary() -> SparseCode:
    """Of the first block's output: a tone fills its band, and what the block told of it; other tones their bands.

    A tone's feature is what the block told, level - 0.05, so that without it nothing is left for the later blocks; two
    features never fire.
    """
    read, written = torch.zeros(WIDTH, N_BANDS + 2), torch.zeros(N_BANDS + 2, WIDTH)
    bias = torch.zeros(N_BANDS + 2)
    for k in range(N_BANDS):
        read[N_BANDS + k if k < len(TONES) else k, k] = 1.0
        written[k, k] = 1.0
        bias[k] = 0.0 if k < len(TONES) else -0.05
    for k in range(len(TONES)):
        written[k, N_BANDS + k] = 1.0
    bias[N_BANDS:] = -1.0
    weights = {"W_enc": read, "b_enc": bias, "W_dec": written, "b_dec": torch.zeros(WIDTH)}
    return SparseCode(weights, Design("standard", subtracts_bias=False))


Found = tuple[Activations, tuple[TaskCounts, TaskScores, fit.Probe]]


def study(encoder: Encoder, tones: Scan, folder: Path) -> Found:
    matrices = activations.open_activations(encoder, tones, folder, "exclude", "float32")
    extract.extract([(encoder, matrices)], tones, Passes(32))
    counts = count(Task(tones, "tone"), matrices, "positive", SPLITS)
    scores = score(Task(tones, "tone"), counts, [CALIBRATED], n_shuffles=20, seed=0)
    return matrices, (counts, scores, fit.fit_task(Task(tones, "tone"), np.asarray(matrices.embeddings)))


def test_a_planted_dictionary_is_found_and_ablated_exactly(tones: Scan, tmp_path: Path) -> None:
    encoder = sae_encoder(planted_encoder(), {0: dictionary()})
    assert encoder.layer_widths == (N_BANDS + 2, 0, 0)
    _, (counts, scores, head) = study(encoder, tones, tmp_path)
    pairs = scores.selections[0].pairs
    found = set(zip(pairs["class_index"].tolist(), pairs["neuron_index"].tolist(), strict=True))
    assert found == {(k, k) for k in range(len(TONES))}
    np.testing.assert_array_equal(pairs["replicated"], 1.0)
    assert np.isnan(scores.entropy[N_BANDS:]).all(), "dead features"
    material = Material(counts.names, counts.z, counts.p, encoder.layer_widths, masks(counts, [CALIBRATED])[0])
    targets, _ = choose(Choice.of("calibrated"), material, counts.names)
    setting = ablate.Setting(n_controls=5, seed=3)
    for one in ablate.Sweep(encoder, Task(tones, "tone"), head.parts, targets, setting).run():
        of_classes = one.effects[one.effects["class_name"].notna()].set_index("class_name")
        expected = {name: -1.0 if name == one.target else 0.0 for name in CLASSES}
        assert of_classes["delta"].to_dict() == expected
        assert one.effects.loc[one.effects["class_name"] == one.target, "control_delta_mean"].item() == 0.0


def test_a_planted_dictionary_is_matched_with_itself_in_another_order() -> None:
    written = dictionary().written[:, :N_BANDS]
    order = torch.randperm(N_BANDS, generator=torch.Generator().manual_seed(0))
    noise = 0.1 * torch.randn(WIDTH, N_BANDS, generator=torch.Generator().manual_seed(1))
    found = match(written, 2 * written[:, order] + noise, has_sign=True, seed=0)
    assert ((found.cosine > 0.9) & found.is_mutual).all()


def test_rotations_of_a_planted_basis_find_less_and_lose_less_at_the_same_norm(tones: Scan, tmp_path: Path) -> None:
    encoder, task = planted_encoder(), Task(tones, "tone")
    seen = sample(encoder, [(tones, drawn_clips(tones, SPLITS, 0))], Passes(32), Draw(0), lambda done: None)
    certain, lost, norms = {}, {}, {}
    for units, operation in (
        (encoder, Operation()),
        (fit_units(encoder, "random", seen, seed=0), Operation.of("mean")),
    ):
        matrices, (counts, scores, head) = study(units, tones, tmp_path / units.unit_kind)
        certain[units.unit_kind] = int((scores.selections[0].pairs["activation_probability"] > 0.9).sum())
        test = np.flatnonzero(task.in_splits("test"))
        removed = Removed.of(units, read_ahead(tones, [test], units.sample_rate, 1), Passes(len(test)))
        known = ablate.Known(means=per_token(matrices.total, matrices.tokens, counts.chosen), removed=removed.norms)
        size = partial(ablate.removed_by, operation, units.layer_widths, known)
        material = Material(counts.names, counts.z, counts.p, units.layer_widths, size=size)
        choice = "top:n=3" if units is encoder else f"top:norm={max(norms['mlp'])}"
        targets, _ = choose(Choice.of(choice), material, TONES)
        sweep = ablate.Sweep(units, task, head.parts, targets, ablate.Setting(operation, n_controls=5, seed=3), known)
        effects = sweep.run()
        norms[units.unit_kind] = [one.removed for one in effects]
        lost[units.unit_kind] = [one.effects.set_index("class_name").loc[one.target, "delta"] for one in effects]
    assert certain == {"mlp": 12, "random": 0}
    assert min(norms["random"]) >= max(norms["mlp"])
    assert lost["mlp"] == [-1.0] * len(TONES)
    assert min(lost["random"]) > -0.5
