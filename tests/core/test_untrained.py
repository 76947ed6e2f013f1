"""The untrained twin of every encoder: same shape, other weights, the same for the same seed."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from core.datasets import InputError
from core.encoders import Encoder, load_encoder
from core.encoders.hooks import record
from core.encoders.m2d.checkpoint import layout_of_name
from core.encoders.nano import sincos_positions
from core.encoders.untrained import STD, redraw, untrained
from tests.core.test_encoders import NAMES, load_again, noise
from tests.support import tiny_m2d

every_encoder = pytest.mark.parametrize("name", NAMES)
not_embedded = pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("nano")])


@cache
def source(name: str) -> Encoder:
    """Has embedded before its twin is made, so that it keeps what it keeps between batches."""
    encoder = load_again(name)
    encoder.embed([noise(0.3, encoder)])
    return encoder


@cache
def twin(name: str) -> Encoder:
    return untrained(source(name))


def state(encoder: Encoder) -> dict[str, torch.Tensor]:
    return dict(encoder.module.named_parameters()) | dict(encoder.module.named_buffers())


def assert_same_state(a: Encoder, b: Encoder) -> None:
    assert state(a).keys() == state(b).keys()
    assert [key for key, value in state(a).items() if not torch.equal(value, state(b)[key])] == []


@every_encoder
def test_twin_has_the_shape_of_its_encoder_and_a_name_of_its_own(name: str) -> None:
    a, b = source(name), twin(name)
    assert type(b) is type(a)
    assert (b.layer_widths, b.n_features, b.sample_rate) == (a.layer_widths, a.n_features, a.sample_rate)
    assert b.ends_with_mlp == a.ends_with_mlp
    assert {k: v.shape for k, v in state(a).items()} == {k: v.shape for k, v in state(b).items()}
    assert b.device == a.device
    assert not any(module.training for module in b.module.modules())
    assert "random weights" in b.description
    assert b.name == ("nano-untrained" if name.startswith("nano") else f"{a.name}-untrained")


@not_embedded
def test_twin_tells_its_seed_and_needs_no_licence(name: str) -> None:
    b = twin(name)
    assert b.description.startswith("untrained, random weights of seed 0")
    assert b.licence == ""
    assert b.weights_key not in (source(name).weights_key, untrained(source(name), 1).weights_key)


@not_embedded
def test_every_weight_matrix_is_drawn_anew_and_inputs_stay(name: str) -> None:
    a, b = source(name), twin(name)
    same = {n for n, p in a.module.named_parameters() if torch.equal(p, b.module.get_parameter(n))}
    assert {n for n in same if a.module.get_parameter(n).ndim > 1} == set()
    assert all(torch.equal(buffer, b.module.get_buffer(n)) for n, buffer in a.module.named_buffers())
    batches = [encoder.prepare([noise(0.3, encoder)]) for encoder in (a, b)]
    assert torch.equal(batches[0].inputs, batches[1].inputs)
    assert torch.equal(batches[0].counted, batches[1].counted)


@every_encoder
def test_twin_shares_no_memory_with_its_encoder(name: str) -> None:
    a = {p.data_ptr() for p in source(name).module.parameters()}
    assert a.isdisjoint(p.data_ptr() for p in twin(name).module.parameters())
    assert set(twin(name).projections) <= set(twin(name).module.modules())


@every_encoder
def test_twin_embeds_clips_apart_and_its_neurons_fire_in_part(name: str) -> None:
    b = twin(name)
    sounds = [noise(0.4, b, 0), 0.3 * np.sin(np.arange(round(0.4 * b.sample_rate)) / 5).astype(np.float32)]
    batch = b.prepare(sounds)
    with torch.inference_mode(), record(b, batch) as counts:
        found = b.forward(batch).numpy()
    assert found.shape == (2, b.n_features)
    assert np.isfinite(found).all()
    assert np.abs(found[0] - found[1]).max() > 1e-3 * np.abs(found).max()
    rate = float(torch.as_tensor(counts.positive).sum() / (torch.as_tensor(counts.tokens).sum() * b.n_neurons))
    assert 0.2 < rate < 0.8


@every_encoder
def test_same_seed_gives_the_same_twin_and_another_another(name: str) -> None:
    a, again, other = untrained(source(name)), untrained(load_again(name)), untrained(source(name), 1)
    assert_same_state(a, again)
    assert (a.weights_key, a.name) == (again.weights_key, again.name)
    sound = [noise(0.3, a)]
    np.testing.assert_array_equal(a.embed(sound), again.embed(sound))
    assert other.weights_key != a.weights_key
    assert not np.allclose(a.embed(sound), other.embed(sound))


@every_encoder
def test_encoder_and_global_generator_stay_as_they_are(name: str) -> None:
    encoder = source(name)
    before = encoder.embed([noise(0.3, encoder)])
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    untrained(encoder, 3)
    assert torch.equal(torch.rand(4), expected)
    np.testing.assert_array_equal(encoder.embed([noise(0.3, encoder)]), before)
    assert_same_state(encoder, load_again(name))


def test_of_the_embedded_models_it_is_the_one_that_is_shipped() -> None:
    assert_same_state(twin("nano-ssl"), load_encoder("nano-untrained"))
    assert twin("nano-ssl").weights_key == load_encoder("nano-untrained").weights_key


def test_fixed_positions_stay_and_learned_ones_go(tmp_path: Path) -> None:
    table = sincos_positions(5, 13, 64).flatten(0, 1)
    layout = layout_of_name(tiny_m2d.NAME)
    assert layout is not None and layout.grid == (5, 13)
    weights = tiny_m2d.random_state()
    weights["pos_embed"][0, 1:] = table
    for fixed in (True, False):
        if not fixed:
            weights["pos_embed"][0, 7] *= 0.9
        path = tiny_m2d.write(tmp_path / str(fixed), state=weights)
        found = untrained(load_encoder("m2d", path)).module.pos_embed
        assert torch.equal(found, weights["pos_embed"]) is fixed


def test_whispers_fixed_positions_stay(tmp_path: Path) -> None:
    tiny_hf = pytest.importorskip("tests.support.tiny_hf")
    model, extractor = tiny_hf.whisper()
    encoder = load_encoder(f"hf:{tiny_hf.quietly_save(model, extractor, tmp_path)}")
    found = untrained(encoder).module
    assert torch.equal(found.embed_positions.weight, encoder.module.embed_positions.weight)
    assert not torch.equal(found.conv1.weight, encoder.module.conv1.weight)


class Zoo(nn.Module):
    """A module of every kind that is told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.embedding = nn.Linear(300, 200), nn.Embedding(50, 40)
        self.conv = nn.Conv1d(32, 64, 5)
        self.normed = weight_norm(nn.Conv1d(32, 64, 5))
        self.norm, self.group = nn.LayerNorm(7), nn.GroupNorm(2, 8)
        self.batch = nn.BatchNorm1d(3)
        self.gru = nn.GRU(16, 16)
        self.attention = nn.MultiheadAttention(32, 4)
        self.token, self.gate_const = nn.Parameter(torch.zeros(1, 1, 400)), nn.Parameter(torch.zeros(4))
        self.register_buffer("mel", torch.ones(3, 3))
        self.batch.running_mean.fill_(-40.0)  # type: ignore[union-attr]
        for parameter in self.parameters():
            nn.init.constant_(parameter, 9.0)


def test_each_kind_of_module_is_drawn_as_it_usually_is() -> None:
    zoo = Zoo()
    redraw(zoo, 0)
    for parameter in (zoo.linear.weight, zoo.embedding.weight, zoo.attention.in_proj_weight, zoo.token):
        weight = parameter.detach()
        assert 0.8 * STD < float(weight.std()) < STD  # cut off at two standard deviations: 0.88
        assert float(weight.abs().max()) <= 2 * STD
    he = (2 / (32 * 5)) ** 0.5
    for weight in (zoo.conv.weight, zoo.normed.weight):
        assert float(weight.detach().std()) == pytest.approx(he, rel=0.05)
    for norm in (zoo.norm, zoo.group, zoo.batch):
        assert set(norm.weight.tolist()) == {1.0} and set(norm.bias.tolist()) == {0.0}
    for bias in (zoo.linear.bias, zoo.conv.bias, zoo.normed.bias, zoo.attention.in_proj_bias):
        assert bias is not None and not bias.any()
    assert zoo.batch.running_mean is not None and zoo.batch.running_mean.tolist() == [-40.0] * 3
    assert torch.equal(zoo.mel, torch.ones(3, 3))
    assert zoo.gate_const.tolist() == [1.0] * 4
    assert float(zoo.gru.weight_hh_l0.detach().abs().max()) <= 0.25  # 1 / sqrt(16), as PyTorch's GRU draws it
    assert all(not (p == 9.0).any() for p in zoo.parameters())


def test_encoder_that_cannot_be_copied_is_told_of() -> None:
    encoder = load_again("own")
    encoder.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"has no untrained twin: TypeError: cannot pickle"):
        untrained(encoder)
