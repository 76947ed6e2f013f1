"""Dasheng against its authors' code, the mistakes that are easily made, and what its files may be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio
from torch import nn

from core.encoders import load_encoder
from core.errors import InputError
from core.recording.listen import rebuild
from tests.support import by_name, tiny_dasheng

OFFICIAL = {
    ("base", 9_999): [0.358949, 1.497213, -2.043253, -1.640694, 2.058454, 0.720153],
    ("base", 200_000): [0.338257, 1.496821, -1.908331, -1.531836, 2.033556, 0.740551],
    ("0.6B", 9_999): [-0.165217, -0.17269, -1.216558, 1.658414, 0.512687, -1.692659],
    ("0.6B", 200_000): [-0.142522, -0.298452, -1.091733, 1.385989, 0.574471, -1.564928],
    ("1.2B", 9_999): [1.144531, -0.880815, -0.094237, -1.675196, -0.451986, -1.35623],
    ("1.2B", 200_000): [1.016401, -1.002567, -0.051431, -1.485031, -0.387233, -1.068312],
}
"""Mean over the tokens of ``by_name.noise(n)``, its first six features, from class ``Dasheng`` of
github.com/RicherMans/Dasheng, commit db73093, torchaudio 2.11, with weights by ``by_name.filled``: the published
layouts (heads of 64, 80, 64) at the sizes of ``tiny_dasheng``, ``mlp_ratio=.5``. 200,000 samples are two chunks."""
TOLERANCE = 2e-5


def first_features(encoder: Any, n_samples: int) -> np.ndarray:
    return encoder.embed([by_name.noise(n_samples)])[0, :6]


@pytest.mark.parametrize("size", tiny_dasheng.SIZES)
def test_embedding_is_that_of_the_authors_code(size: str, tmp_path: Path) -> None:
    encoder = load_encoder(*tiny_dasheng.build(tmp_path, size))
    for (of, n_samples), expected in OFFICIAL.items():
        if of == size:
            np.testing.assert_allclose(first_features(encoder, n_samples), expected, atol=TOLERANCE)
    assert encoder.layer_widths == (tiny_dasheng.SIZES[size][0] // 2,) * 2


def slaney(encoder: Any) -> None:
    filters = torchaudio.functional.melscale_fbanks(257, 0.0, 8000.0, 64, 16_000, "slaney", "slaney")
    encoder.front_end.filters = filters


def coarser_eps(encoder: Any) -> None:
    for module in encoder.module.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5


MISTAKES: dict[str, Callable[[Any], object]] = {
    "no norm over bands": lambda e: setattr(e.network, "init_bn", nn.Identity()),
    "range not cut": lambda e: setattr(e.front_end, "top_db", math.inf),
    "range cut at 80 dB": lambda e: setattr(e.front_end, "top_db", 80.0),
    "Slaney's mel": slaney,
    "no position in frequency": lambda e: e.network.freq_pos_embed.zero_(),
    "chunks of 250 tokens": lambda e: setattr(e, "tokens_per_chunk", 250),
    "LayerNorm eps 1e-5": coarser_eps,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_shows_by_far(mistake: str, tmp_path: Path) -> None:
    encoder = load_encoder(*tiny_dasheng.build(tmp_path))
    MISTAKES[mistake](encoder)
    off = np.abs(first_features(encoder, 200_000) - OFFICIAL["base", 200_000]).max()
    assert off > 10 * TOLERANCE


def test_hubs_folder_gives_the_same_and_has_its_own_name(tmp_path: Path) -> None:
    of_authors = load_encoder(*tiny_dasheng.build(tmp_path))
    of_hub = load_encoder(tiny_dasheng.build_of_hub(tmp_path))
    np.testing.assert_array_equal(first_features(of_authors, 9_999), first_features(of_hub, 9_999))
    assert (of_authors.name, of_hub.name) == ("dasheng", "dasheng:dasheng-base")
    assert of_hub.licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("n_samples", "rows", "tokens"),
    # 1 + n // 160 frames, four to a token; 252 tokens to a chunk.
    [(1, 1, 1), (1119, 1, 1), (1120, 1, 2), (161_119, 1, 251), (161_759, 1, 252), (161_760, 2, 253)],
)
def test_token_is_four_frames(n_samples: int, rows: int, tokens: int, tmp_path: Path) -> None:
    batch = load_encoder(*tiny_dasheng.build(tmp_path)).prepare([by_name.noise(n_samples)])
    assert (len(batch.clip), int(batch.counted.sum())) == (rows, tokens)


# What its files may get wrong: one line.


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c["model"].pop("blocks.1.norm2.bias"), r"lacks blocks\.1\.norm2\.bias; expected a Dasheng"),
        (lambda c: c["model"].update({"cls_token": torch.zeros(1, 1, 128)}), "holds cls_token, which Dasheng does not"),
        (lambda c: c["model"].update({"norm.bias": torch.zeros(3)}), r"norm\.bias is \(3,\); the other"),
        (lambda c: c["model"].pop("time_pos_embed"), "is no Dasheng encoder"),
        (lambda c: c["config"].pop("num_heads"), "no number of heads and blocks is known for width 128"),
        (lambda c: c["config"].update(num_heads=3), "3 heads do not divide width 128"),
        (lambda c: c["config"].update(depth=10**9), "no number of heads and blocks"),
        (lambda c: c["config"].update(hop_size=320), "its hop_size is 320; expected 160"),
        (lambda c: c["model"].update({"norm.bias": torch.full((128,), torch.nan)}), "values that are not finite"),
    ],
)
def test_file_of_another_network_is_told(change: Callable[[dict[str, Any]], object], told: str, tmp_path: Path) -> None:
    name, path = tiny_dasheng.build(tmp_path)
    with pytest.raises(InputError, match=told) as caught:
        load_encoder(name, changed(path, change))
    assert "\n" not in str(caught.value)


def test_page_loads_it_again_and_tells_where_it_is_gone(tmp_path: Path) -> None:
    _, path = tiny_dasheng.build(tmp_path)
    encoder = load_encoder(f"dasheng:{path}")
    run = {"models": [f"dasheng:{path}"]}
    assert rebuild(encoder.name, encoder.weights_key, [run]).weights_key == encoder.weights_key
    path.unlink()
    with pytest.raises(InputError, match=r"no weights at .*dasheng_base\.pt on this machine"):
        rebuild(encoder.name, encoder.weights_key, [run])


def test_no_weights_and_settings_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dasheng needs its weights: .*zenodo\.org/records/11511780"):
        load_encoder("dasheng")
    with pytest.raises(InputError, match="names its checkpoint already"):
        load_encoder("dasheng:a.pt", tmp_path)
    name = tiny_dasheng.build_of_hub(tmp_path)
    for content in ("[" * 100_000, json.dumps({"model_type": "bert"}), "[]"):
        (tmp_path / "dasheng-base/config.json").write_text(content)
        with pytest.raises(InputError, match="no number of heads and blocks"):
            load_encoder(name)
