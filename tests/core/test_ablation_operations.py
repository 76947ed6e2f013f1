"""What is done to neurons equals a forward pass by hand; what cannot be done at once is done in parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Inquiry, ask, first_layers, whole_pass, without_each
from core.ablation.operations import Operation, others_of_layers, per_token
from core.datasets.scan import Scan
from core.encoders.base import Encoder
from core.encoders.hooks import Change, change_conditions
from core.errors import InputError
from core.recording.passes import Passes
from core.recording.waveforms import read_ahead
from core.run.config import AnalysisConfig
from tests.support.planted import ToyEncoder, planted_encoder, random_encoder, scan_tones

WIDTHS = (5, 7, 4)
MEANS = np.random.default_rng(7).normal(size=16)
NEURONS = np.array([1, 3, 6, 11])
"""Of layers 0 and 1."""


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("operations"))


class Kept:
    """In place of a head: keeps the embeddings it is asked about, every bit of them."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def answers(self, embeddings: NDArray[np.float32], n_classes: int) -> NDArray[np.float32]:
        self.seen.append(embeddings)
        return np.zeros((len(embeddings), n_classes), dtype=np.float32)


def by_hand(encoder: ToyEncoder, waveform: NDArray, change: Callable[[NDArray], NDArray]) -> NDArray:
    """One clip through the blocks in NumPy; ``change`` sees all neurons' activations at once, flat, layer by layer."""
    batch = encoder.prepare([waveform])
    x = encoder.begin(batch).double().numpy()
    start = 0
    for block in encoder.blocks:
        fc, bias, proj = (p.detach().double().numpy() for p in (block.fc.weight, block.fc.bias, block.proj.weight))
        flat = np.zeros((*x.shape[:-1], encoder.n_neurons))
        flat[..., start : start + len(fc)] = np.maximum(x @ fc.T + bias, 0)
        x = x + change(flat)[..., start : start + len(fc)] @ proj.T
        start += len(fc)
    present = batch.present.numpy()
    return x[present][:, -encoder.n_features :].mean(axis=0)


def scaled(gain: float) -> Callable[[NDArray], NDArray]:
    def change(flat: NDArray) -> NDArray:
        flat[..., NEURONS] *= gain
        return flat

    return change


def to_mean(flat: NDArray) -> NDArray:
    flat[..., NEURONS] = MEANS[NEURONS]
    return flat


def kept_alone(flat: NDArray) -> NDArray:
    others = [i for i in range(12) if i not in NEURONS]  # of layers 0 and 1
    flat[..., others] = MEANS[others]
    return flat


OPERATIONS = [(0.0, scaled(0.0)), (0.5, scaled(0.5)), (5, scaled(5)), ("mean", to_mean), ("keep", kept_alone)]


@pytest.mark.parametrize("ends_with_mlp", [True, False])
@pytest.mark.parametrize(("text", "change"), OPERATIONS, ids=[str(o) for o, _ in OPERATIONS])
def test_operation_equals_a_forward_pass_by_hand(
    tones: Scan, text: str | float, change: Callable[[NDArray], NDArray], ends_with_mlp: bool
) -> None:
    encoder = random_encoder()
    encoder.ends_with_mlp = ends_with_mlp
    clips = np.array([0, 40, 99])
    made = Operation.of(text).change(NEURONS, WIDTHS, MEANS)
    elsewhere = Change(np.array([13]), 3.0)  # another condition in the same pass
    head = Kept()
    inquiry = Inquiry([made, elsewhere], [0, 1], Answers.open(None, 1, 2, 3, 1), Passes(batch_size=3))
    ask(encoder, tones, Asked(clips, [head]), inquiry)  # type: ignore[list-item]
    (waveforms,) = read_ahead(tones, [clips], encoder.sample_rate, 1)
    expected = np.stack([by_hand(encoder, w, change) for w in waveforms])
    unchanged = np.stack([by_hand(encoder, w, lambda flat: flat) for w in waveforms])
    together = np.concatenate(head.seen)
    np.testing.assert_allclose(together[:3], unchanged, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together[3:6], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - unchanged).max() > 1e-3


@pytest.mark.parametrize("ends_with_mlp", [True, False])
@pytest.mark.parametrize("neurons", [[0, 4, 2], [5, 11, 5], [12, 15, 15]])
def test_clips_each_without_another_neuron_equal_forward_passes_by_hand(
    neurons: list[int], ends_with_mlp: bool
) -> None:
    encoder, rng = random_encoder(), np.random.default_rng(3)
    encoder.ends_with_mlp = ends_with_mlp
    waveforms = [rng.normal(size=n).astype(np.float32) for n in (60, 20, 30)]  # a row has 24 samples
    clips, layer = np.array([2, 0, 2]), int(np.searchsorted(np.cumsum(WIDTHS), neurons[0], side="right"))
    batch = encoder.prepare(waveforms)
    assert np.bincount(batch.clip).tolist() == [3, 1, 2], "clips of several rows"
    with torch.no_grad():
        found = without_each(encoder, whole_pass(encoder, batch, {layer}), clips, np.array(neurons), layer)

    def at_zero(neuron: int) -> Callable[[NDArray], NDArray]:
        return lambda flat: flat * (np.arange(flat.shape[-1]) != neuron)

    expected = [by_hand(encoder, waveforms[i], at_zero(j)) for i, j in zip(clips, neurons, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found[0] - by_hand(encoder, waveforms[2], lambda flat: flat)).max() > 1e-4


def seen_bits(encoder: Encoder, scan: Scan, change: Change) -> tuple[NDArray, NDArray]:
    """Embeddings without and with a change, in passes of equal size."""
    head = Kept()
    inquiry = Inquiry([change], [0], Answers.open(None, 1, 1, 2, 1), Passes(batch_size=2, rows_per_pass=1))
    ask(encoder, scan, Asked(np.array([0, 40]), [head]), inquiry)  # type: ignore[list-item]
    return head.seen[0], head.seen[1]


@pytest.mark.parametrize("ends_with_mlp", [True, False])
@pytest.mark.parametrize("neurons", [NEURONS, np.arange(16), np.array([14]), np.array([], dtype=np.int64)])
def test_gain_1_changes_no_bit(tones: Scan, neurons: NDArray, ends_with_mlp: bool) -> None:
    encoder = random_encoder()
    encoder.ends_with_mlp = ends_with_mlp
    before, after = seen_bits(encoder, tones, Operation.of(1).change(neurons, WIDTHS, None))
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("neurons", [np.arange(16), np.arange(5), np.arange(5, 16)])
def test_keeping_all_neurons_of_the_layers_changes_no_bit(tones: Scan, neurons: NDArray) -> None:
    encoder = random_encoder()
    encoder.ends_with_mlp = True
    made = Operation.of("keep").change(neurons, WIDTHS, MEANS)
    assert len(made.neurons) == 0
    before, after = seen_bits(encoder, tones, made)
    assert before.tobytes() == after.tobytes()


def test_means_of_neurons_that_are_constant_change_nothing(tones: Scan) -> None:
    encoder = planted_encoder()
    means = np.zeros(60)
    always, never = [4, 24, 44], [5, 25, 45]
    means[always] = encoder.blocks[0].fc.bias[4].item()
    for word in ("mean", "keep"):
        neurons = np.array(sorted(always + never))
        if word == "keep":
            neurons = np.setdiff1d(np.arange(60), neurons)
        before, after = seen_bits(encoder, tones, Operation.of(word).change(neurons, (20,) * 3, means))
        np.testing.assert_allclose(after, before, rtol=1e-5)


def test_copies_of_one_pass_have_changes_of_their_own() -> None:
    encoder = random_encoder()
    batch = encoder.prepare([np.linspace(-1, 1, 20, dtype=np.float32)])
    changes = [Change(np.array([0]), 0.0, np.array([2.0])), Change(np.array([0, 5]), 2.0), Change(np.array([], int))]
    with torch.inference_mode(), change_conditions(encoder, changes):
        together = encoder.projections[0](torch.ones(3, 6, 5))
    weight = encoder.projections[0].weight.detach()
    for i, first in enumerate([2.0, 2.0, 1.0]):
        x = torch.ones(5)
        x[0] = first
        torch.testing.assert_close(together[i, 0], weight @ x)
    assert batch.n_clips == 1


def test_first_layer_of_a_change() -> None:
    changes = [Change(np.array(c, dtype=np.int64)) for c in ([0], [4], [5], [13, 11], [15], [])]
    assert first_layers(changes, WIDTHS) == [0, 0, 1, 1, 2, 3]


def test_others_of_touched_layers() -> None:
    assert others_of_layers(np.array([12, 0]), WIDTHS).tolist() == [1, 2, 3, 4, 13, 14, 15]
    assert others_of_layers(np.array([], dtype=np.int64), WIDTHS).tolist() == []


def test_mean_is_over_all_tokens_of_the_clips() -> None:
    total = np.array([[2.0, 0], [4, 8], [9, 9]], dtype=np.float32)
    tokens = np.array([1, 3, 5], dtype=np.int32)
    assert per_token(total, tokens, np.array([True, True, False])).tolist() == [1.5, 2.0]
    rng = np.random.default_rng(0)
    many, n = rng.random((700, 3)), rng.integers(1, 9, 700)
    np.testing.assert_allclose(per_token(many, n, np.ones(700, dtype=bool)), many.sum(axis=0) / n.sum())


def test_gains_are_numbers_or_words() -> None:
    config = AnalysisConfig(gains=(0.0, "0.5", "mean", "keep"))
    assert config.operations() == [
        Operation("scale", 0.0), Operation("scale", 0.5), Operation("mean", None), Operation("keep", None),
    ]  # fmt: skip
    for wrong in ("half", "inf", ""):
        with pytest.raises(InputError, match=r"--gains is .*; expected numbers such as 0,0.5, or mean or keep"):
            AnalysisConfig(gains=(wrong,))
    assert [str(Operation.of(g)) for g in (2.0, "mean", "keep")] == [
        "at gain 2", "set to the mean", "alone in their layers",
    ]  # fmt: skip


class Small(ToyEncoder):
    """Has no memory for more than some rows in a block, and keeps how many each pass of the first and last had."""

    most_rows = 4

    def block(self, layer: int, hidden: torch.Tensor, batch: object) -> torch.Tensor:
        if len(hidden) > self.most_rows:
            raise torch.OutOfMemoryError("no memory")
        return super().block(layer, hidden, batch)  # type: ignore[arg-type]


def small_encoder(most_rows: int) -> Small:
    like = random_encoder()
    small = Small(list(like.blocks), like.features, like.frame, 2000, like.n_features)  # type: ignore[arg-type]
    small.most_rows = most_rows
    return small


@pytest.mark.parametrize("most_rows", [1, 2, 3, 7])
def test_without_memory_passes_get_smaller_and_the_answers_stay(tones: Scan, most_rows: int) -> None:
    # With 2,000 tokens a row every clip is one row.
    clips = np.arange(0, 150, 21)
    changes = [Change(np.array([i])) for i in range(5)]
    found = []
    for most in (most_rows, 10_000):
        encoder, answers = small_encoder(most), Answers.open(None, 1, 5, len(clips), 1)
        direction = np.random.default_rng(0).normal(size=4)

        class Rounded:
            def answers(self, embeddings: NDArray, n_classes: int, direction: NDArray = direction) -> NDArray:
                return np.rint(1e3 * embeddings @ direction).astype(np.float32)[:, None]

        inquiry = Inquiry(changes, range(len(changes)), answers, Passes(4, 8))
        ask(encoder, tones, Asked(clips, [Rounded()]), inquiry)  # type: ignore[list-item]
        assert answers.done.all()
        found.append(answers.values.copy())
    assert np.abs(found[0] - found[1]).max() <= 1
    assert len(np.unique(found[0])) > 5


def test_one_clip_without_memory_is_told(tones: Scan) -> None:
    inquiry = Inquiry([Change(np.array([0]))], [0], Answers.open(None, 1, 1, 2, 1), Passes())
    with pytest.raises(InputError, match="has no memory to ablate one clip of 0 s; cut long files"):
        ask(small_encoder(0), tones, Asked(np.array([0, 1]), [Kept()]), inquiry)  # type: ignore[list-item]
