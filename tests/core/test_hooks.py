"""Recording and scaling, on networks small enough to work the numbers by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from core.arrays.neurons import layer_starts, to_neurons
from core.encoders import Encoder
from core.encoders.base import Padding
from core.encoders.hooks import Counts, record, scale, scale_conditions
from tests.support.planted import ToyBlock, ToyEncoder, random_encoder

# Tokens of two samples. LONG: (1, 2), (-1, 3), (0.5, padding); SHORT: (4, -5).
LONG = np.array([1, 2, -1, 3, 0.5], dtype=np.float32)
SHORT = np.array([4, -5], dtype=np.float32)


def hand_made(chunk: int = 2) -> ToyEncoder:
    """Layer 0: x, y and -x, written as (x, y) += (n0 + 2 n1, 3 n2); layer 1: x + y + 1, written to x."""
    blocks = [
        ToyBlock(
            np.array([[1.0, 0], [0, 1], [-1, 0]]), np.zeros(3), np.array([[1.0, 2, 0], [0, 0, 3]])
        ),
        ToyBlock(np.array([[1.0, 1]]), np.array([1.0]), np.array([[1.0], [0]])),
    ]  # fmt: skip
    return ToyEncoder(blocks, lambda frames: frames, frame=2, chunk=chunk, n_features=2)


def counts_of(encoder: Encoder, waveforms: list[np.ndarray], padding: Padding = "exclude") -> Counts:
    batch = encoder.prepare(waveforms, padding)
    with torch.inference_mode(), record(encoder, batch) as counts:
        encoder.forward(batch)
    return counts


def hooks_left(encoder: Encoder) -> int:
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in encoder.module.modules())


def test_counts_are_those_worked_by_hand() -> None:
    # Layer 0 at LONG's whole tokens: (1, 2, 0), (0, 3, 1); layer 1: 6 + 2 + 1 = 9, 5 + 6 + 1 = 12.
    # At SHORT's: (4, 0, 0); 8 - 5 + 1 = 4.
    counts = counts_of(hand_made(), [LONG, SHORT])
    assert counts.tokens.tolist() == [2, 1]
    assert counts.positive.tolist() == [[1, 2, 1, 2], [1, 0, 0, 1]]
    assert counts.total.tolist() == [[1, 5, 1, 21], [4, 0, 0, 4]]


def test_token_with_padding_counts_only_when_included() -> None:
    # (0.5, 0): 0.5, 0, 0; then 1 + 0 + 1 = 2. The tokens of padding alone, whose last neuron fires at
    # 1, count in no case.
    counts = counts_of(hand_made(), [LONG, SHORT], "include")
    assert counts.tokens.tolist() == [3, 1]
    assert counts.positive.tolist() == [[2, 2, 1, 3], [1, 0, 0, 1]]
    assert counts.total.tolist() == [[1.5, 5, 1, 23], [4, 0, 0, 4]]


@pytest.mark.parametrize("padding", ["exclude", "include"])
def test_chunks_of_one_clip_add_up(padding: Padding) -> None:
    cut, whole = (counts_of(hand_made(chunk), [SHORT, LONG], padding) for chunk in (1, 3))
    for part in ("tokens", "positive", "total"):
        assert torch.equal(getattr(cut, part), getattr(whole, part))


def test_embedding_is_the_one_worked_by_hand() -> None:
    # LONG ends at (6 + 9, 2), (5 + 12, 6), (1 + 2, 0); SHORT at (8 + 4, -5).
    np.testing.assert_allclose(hand_made().embed([LONG, SHORT]), [[35 / 3, 8 / 3], [12, -5]], rtol=1e-6)


def test_recording_changes_no_embedding() -> None:
    encoder = random_encoder()
    batch = encoder.prepare([LONG, SHORT])
    with record(encoder, batch):
        watched = encoder.forward(batch)
    assert torch.equal(watched, encoder.forward(batch))


@pytest.mark.parametrize(("gain", "long"), [(0.0, [5, 8 / 3]), (1.0, [35 / 3, 8 / 3]), (2.0, [55 / 3, 8 / 3])])
def test_scaled_neuron_moves_what_follows_as_worked_by_hand(gain: float, long: list[float]) -> None:
    # Neuron (0, 1) adds 2 gain y to x. Gain 0: (2 + 5, 2), (-1 + 6, 6), (3, 0);
    # gain 2: (10 + 13, 2), (11 + 18, 6), (3, 0). SHORT's y is negative: nothing to scale.
    encoder = hand_made()
    with scale(encoder, [(0, 1)], gain):
        np.testing.assert_allclose(encoder.embed([LONG, SHORT]), [long, [12, -5]], rtol=1e-6)


def test_gain_1_changes_no_bit() -> None:
    encoder = random_encoder()
    neurons = to_neurons(np.arange(encoder.n_neurons), encoder.layer_widths)
    before = encoder.embed([LONG, SHORT])
    with scale(encoder, neurons, 1.0):
        np.testing.assert_array_equal(encoder.embed([LONG, SHORT]), before)


@pytest.mark.parametrize("gain", [0.0, 0.5, 3.0])
def test_gain_is_the_same_as_scaled_columns_of_the_output_projection(gain: float) -> None:
    encoder = random_encoder()
    neurons = [(0, 0), (0, 4), (1, 3), (2, 1)]
    changed = copy.deepcopy(encoder)
    with torch.no_grad():
        for layer, index in neurons:
            changed.projections[layer].weight[:, index] *= gain
    before = encoder.embed([LONG, SHORT])
    with scale(encoder, neurons, gain):
        after = encoder.embed([LONG, SHORT])
    np.testing.assert_allclose(after, changed.embed([LONG, SHORT]), rtol=1e-5)
    assert not np.allclose(after, before, rtol=1e-3)


def test_no_neurons_is_no_change() -> None:
    encoder = random_encoder()
    with scale(encoder, [], 0.0):
        assert hooks_left(encoder) == 0


def test_several_conditions_at_once_equal_one_by_one() -> None:
    encoder = random_encoder()
    conditions = [[(0, 0), (2, 3)], [], [(1, 6)], [(0, 1), (1, 1), (2, 1)]]
    batch = encoder.prepare([LONG, SHORT, np.tile(LONG, 8)])
    start = encoder.begin(batch)
    copies = batch.repeat(len(conditions))
    with torch.inference_mode(), scale_conditions(encoder, conditions, 0.25):
        hidden = start.repeat(len(conditions), 1, 1)
        for layer in range(encoder.n_layers):
            hidden = encoder.block(layer, hidden, copies)
        together = encoder.finish(hidden, copies).unflatten(0, (len(conditions), -1))
    for i, neurons in enumerate(conditions):
        with torch.inference_mode(), scale(encoder, neurons, 0.25):
            torch.testing.assert_close(together[i], encoder.forward(batch))


def test_recording_inside_scaling_sees_the_scaled_neuron() -> None:
    encoder = hand_made()
    with scale(encoder, [(0, 1)], 0.0):
        counts = counts_of(encoder, [LONG])
    assert counts.positive.tolist() == [[1, 0, 1, 2]]
    assert counts.total.tolist() == [[1, 0, 1, 5 + 6]]


def test_no_hook_is_left_behind() -> None:
    encoder = random_encoder()
    batch = encoder.prepare([LONG])
    with record(encoder, batch), scale(encoder, [(0, 0), (2, 0)], 0.0):
        assert hooks_left(encoder) == 3 + 2
    assert hooks_left(encoder) == 0


def test_no_hook_is_left_behind_after_an_error() -> None:
    encoder = random_encoder()
    batch = encoder.prepare([LONG])
    with pytest.raises(KeyError), record(encoder, batch), scale(encoder, [(0, 0)], 0.0):
        raise KeyError("inside the block")
    assert hooks_left(encoder) == 0


@pytest.mark.parametrize("neuron", [(3, 0), (0, 5), (-1, 0), (1, -1)])
def test_neuron_outside_the_model_is_refused_by_name(neuron: tuple[int, int]) -> None:
    encoder = random_encoder()
    message = rf"neuron \({neuron[0]}, {neuron[1]}\) is not in random.*\[5, 7, 4\] neurons"
    with pytest.raises(ValueError, match=message), scale(encoder, [(0, 0), neuron], 0.0):
        pass
    assert hooks_left(encoder) == 0


def test_flat_indices_run_layer_after_layer() -> None:
    assert layer_starts((5, 7, 4)).tolist() == [0, 5, 12, 16]
    flat = np.array([0, 4, 5, 11, 12, 15])
    assert to_neurons(flat, (5, 7, 4)) == [(0, 0), (0, 4), (1, 0), (1, 6), (2, 0), (2, 3)]
    assert to_neurons(np.array([], dtype=np.int64), (5, 7, 4)) == []
