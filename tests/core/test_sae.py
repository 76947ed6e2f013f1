"""Sparse autoencoders: numbers worked by hand, files as people have them, a dictionary that is found again."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from core.encoders import Encoder, load_encoder
from core.encoders.hooks import Change, change_conditions, record
from core.errors import InputError
from core.units.files import sae_encoder
from core.units.sae import Design, SparseCode
from core.units.sae_files import read_sae
from core.units.sae_train import Recipe, State, begin, finished, quality, scale_of, train

WIDTH = 192  # of nano's stream
CPU = torch.device("cpu")

# Of the token (3, 1), less the bias (1, 0), three features are pushed by 2, 1 and 2 - 2 + 0.5 = 0.5, plus the biases.
HAND = {
    "W_enc": torch.tensor([[1.0, 0, 1], [0, 1, -2]]),
    "b_enc": torch.tensor([0.0, -0.5, 0.5]),
    "W_dec": torch.tensor([[1.0, 0], [0, 2], [1, 1]]),
    "b_dec": torch.tensor([1.0, 0]),
    "threshold": torch.tensor([1.0, 1, 0.1]),
    "b_gate": torch.tensor([-3.0, 1, 1]),
    "r_mag": torch.log(torch.tensor([1.0, 2, 1])),
    "b_mag": torch.tensor([0.0, 0, 1]),
}
TOKEN = torch.tensor([3.0, 1.0])


@pytest.mark.parametrize(
    ("design", "features"),
    [
        (Design("standard"), [2, 0.5, 0.5]),
        (Design("standard", subtracts_bias=False), [3, 0.5, 1.5]),
        (Design("topk", 1), [2, 0, 0]),
        (Design("jumprelu"), [2, 0, 0.5]),
        # Gates: 2 - 3, 1 + 1, 0 + 1; magnitudes 2, 2 * 1, 0 + 1.
        (Design("gated"), [0, 2, 1]),
    ],
)
def test_features_are_those_worked_by_hand(design: Design, features: list[float]) -> None:
    code = SparseCode(HAND, design)
    torch.testing.assert_close(code(TOKEN), torch.tensor(features, dtype=torch.float32))
    told = torch.tensor(features, dtype=torch.float32) @ HAND["W_dec"] + HAND["b_dec"]
    torch.testing.assert_close(code.reconstructed(TOKEN), told)


def test_values_are_in_the_streams_own_units() -> None:
    # Scaled to the length sqrt 2, (3, 4) is (3, 4) / 5 * sqrt 2, and what comes out is multiplied by 5 / sqrt 2.
    weights = {**HAND, "b_enc": torch.zeros(3), "b_dec": torch.zeros(2)}
    plain = SparseCode(weights, Design("standard"))
    scaled = SparseCode(weights, Design("standard", normalisation="constant_norm_rescale"))
    torch.testing.assert_close(scaled(torch.tensor([3.0, 4.0])), plain(torch.tensor([3.0, 4.0])))
    # Under layer_norm (3, 5) is (-1, 1) / sqrt 2 around the mean 4; the second feature fires by 1 times sqrt 2.
    centred = SparseCode(weights, Design("standard", normalisation="layer_norm"))
    torch.testing.assert_close(centred(torch.tensor([3.0, 5.0])), torch.tensor([0, 1.0, 0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        centred.reconstructed(torch.tensor([3.0, 5.0])), torch.tensor([4.0, 6.0]), atol=1e-4, rtol=0
    )


@pytest.fixture(scope="module")
def nano() -> Encoder:
    return load_encoder("nano-ssl")


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "W_enc": torch.randn(WIDTH, 8, generator=generator) / 10, "b_enc": torch.randn(8, generator=generator),
        "W_dec": torch.randn(8, WIDTH, generator=generator), "b_dec": torch.randn(WIDTH, generator=generator),
    }  # fmt: skip


def saved(folder: Path, weights: Mapping[str, Tensor], **config: Any) -> Path:
    """As SAELens saves it."""
    folder.mkdir()
    save_file({name: one.contiguous() for name, one in weights.items()}, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("config", "design"),
    [
        ({"architecture": "standard", "apply_b_dec_to_input": True}, Design("standard")),
        ({"architecture": "topk", "k": 3, "apply_b_dec_to_input": False}, Design("topk", 3, False)),
        (
            {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}},
            Design("topk", 2),
        ),
        ({"normalize_activations": "layer_norm"}, Design("standard", normalisation="layer_norm")),
    ],
)
def test_folders_of_saelens_are_read(
    config: dict[str, Any], design: Design, nano: Encoder, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    code = read_sae(saved(tmp_path / "sae", weights, d_in=WIDTH, d_sae=8, **config), nano, 2)
    assert code.design == design
    assert torch.equal(code.W_dec, weights["W_dec"])


def test_two_linear_layers_in_a_file_are_read(nano: Encoder, weights: dict[str, Tensor], tmp_path: Path) -> None:
    linear = {
        "encoder.weight": weights["W_enc"].T.contiguous(), "encoder.bias": weights["b_enc"],
        "decoder.weight": weights["W_dec"].T.contiguous(), "decoder.bias": weights["b_dec"],
    }  # fmt: skip
    save_file(linear, tmp_path / "sae.safetensors", {"k": "4", "apply_b_dec_to_input": ""})
    code = read_sae(tmp_path / "sae.safetensors", nano, 0)
    assert code.design == Design("topk", 4, False)
    assert all(torch.equal(getattr(code, name), weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("config", "changed", "said"),
    [
        (
            {"architecture": "crosscoder"},
            {},
            "its architecture is crosscoder; expected standard, topk, jumprelu, gated",
        ),
        ({"architecture": "jumprelu"}, {}, "is jumprelu without threshold"),
        ({"architecture": "topk"}, {}, "is topk without a k"),
        ({"normalize_activations": "expected_average_only_in"}, {}, "fold its factor into the weights"),
        ({"reshape_activations": "hook_z"}, {}, "is of attention heads"),
        ({}, {"W_enc": torch.zeros(64, 8)}, "W_enc is 64 x 8; expected 192 x 8, a stream of 192"),
        ({}, {"W_dec": None}, "expected W_enc and W_dec"),
    ],
)
def test_what_cannot_be_taken_is_told_in_one_line(
    config: dict[str, Any],
    changed: dict[str, Any],
    said: str,
    nano: Encoder,
    weights: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    held = {name: one for name, one in {**weights, **changed}.items() if one is not None}
    with pytest.raises(InputError, match="--sae 1=") as refused:
        read_sae(saved(tmp_path / "sae", held, **config), nano, 1)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_broken_files_are_told_in_one_line(nano: Encoder, weights: dict[str, Tensor], tmp_path: Path) -> None:
    folder = saved(tmp_path / "sae", weights)
    (folder / "cfg.json").write_text("[1, 2")
    with pytest.raises(InputError, match="--sae 1="):
        read_sae(folder, nano, 1)
    (folder / "sae_weights.safetensors").write_bytes(b"nothing")
    for path in (folder, tmp_path / "gone", tmp_path):
        with pytest.raises(InputError, match="--sae 1=") as refused:
            read_sae(path, nano, 1)
        assert "\n" not in str(refused.value)


def test_features_of_some_layers_are_counted_and_taken_out(nano: Encoder, weights: dict[str, Tensor]) -> None:
    code = SparseCode(weights, Design("standard"))
    units = sae_encoder(nano, {3: code})
    assert units.layer_widths == (0, 0, 0, 8, 0, 0)
    batch = nano.prepare([np.sin(np.arange(20_000) / 9).astype(np.float32)])
    with torch.inference_mode():
        stream = nano.begin(batch)
        for layer in range(4):
            stream = nano.block(layer, stream, batch)
        features = code(stream)
        with record(units, batch) as counts:
            units.forward(batch)
        by_hand = ((features > 0) & batch.counted[..., None]).sum((0, 1))
        assert counts.positive[0].tolist() == by_hand.tolist() and 0 < by_hand.max() < batch.counted.sum() + 1
        with change_conditions(units, [Change(np.array([2]))]):
            without = units.forward(batch)
        stream = stream - features[..., 2:3] * weights["W_dec"][2]
        for layer in (4, 5):
            stream = nano.block(layer, stream, batch)
        torch.testing.assert_close(without, nano.finish(stream, batch), rtol=1e-4, atol=1e-5)


def planted(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Tokens that are sums of few of 32 directions in 16 dimensions, off their origin; and the directions."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(32, 16, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    generator.manual_seed(seed)
    drawn = (torch.rand(n, 32, generator=generator) < 0.05) * (0.5 + torch.rand(n, 32, generator=generator))
    return drawn @ directions + 1.0, directions


RECIPE = Recipe(expansion=4, k=4, n_steps=1_500, seed=3)


@pytest.fixture(scope="module")
def trained() -> tuple[State, float]:
    tokens, _ = planted(20_000, 5)
    scale = scale_of(tokens)
    state = begin(tokens / scale, RECIPE)
    for _ in train(tokens / scale, RECIPE, state, lambda _: None, CPU):
        pass
    return state, scale


def test_a_planted_dictionary_is_found_again(trained: tuple[State, float]) -> None:
    tokens, directions = planted(4_000, 6)
    code = finished(trained[0], RECIPE, trained[1])
    nearest = (directions @ code.W_dec.T).max(1).values
    assert (nearest > 0.9).float().mean() > 0.9
    told = quality(code, tokens, CPU)
    assert told.explained_variance > 0.9
    assert told.n_active <= RECIPE.k and told.dead_share < 0.5 and told.n_tokens == 4_000
    shuffled = tokens[:, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    assert quality(code, shuffled, CPU).explained_variance < told.explained_variance - 0.2


def test_a_training_that_was_stopped_ends_where_one_that_was_not_does() -> None:
    tokens, _ = planted(3_000, 7)
    tokens = tokens / scale_of(tokens)
    recipe = Recipe(expansion=2, k=3, n_steps=11, seed=0)
    ends = []
    for stops in (False, True):
        state, steps = begin(tokens, recipe), list[int]()
        for reached in train(tokens, recipe, state, steps.append, CPU):
            if stops and reached.step > 3:
                break
        if stops:
            reached = list(train(tokens, recipe, copy.deepcopy(reached), steps.append, CPU))[-1]
        assert steps == list(range(1, 12))
        ends.append(reached)
    assert all(torch.equal(ends[0].weights[name], ends[1].weights[name]) for name in ends[0].weights)
    assert ends[0].errors == ends[1].errors


def test_features_that_never_fired_are_called_back() -> None:
    tokens, _ = planted(4_000, 8)
    tokens = tokens / scale_of(tokens)
    recipe = Recipe(expansion=4, k=4, n_steps=400, seed=0)
    state = begin(tokens, recipe)
    state.weights["b_enc"][:20] = -5.0
    for _ in train(tokens, recipe, state, lambda _: None, CPU):
        pass
    fired = (SparseCode(state.weights, Design("topk", 4))(tokens) > 0).any(0)[:20]
    assert fired.any()
