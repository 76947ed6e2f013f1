"""BEATs and others beside what their authors' own code gave for the same weights and sound (`support.official`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.encoders import load_encoder
from core.encoders.hooks import record
from core.encoders.kaldi import FilterBank
from core.encoders.vit import audiomae, beats, eat
from core.encoders.vit.blocks import Block
from core.encoders.vit.encoder import RATE, PatchEncoder
from core.encoders.vit.filter_bank import KaldiFrontEnd
from core.errors import InputError
from tests.support.official import FAMILIES, layouts, sound, write

LAYOUTS = [(family, name) for family in FAMILIES for name in layouts(family)]
CLOSE = 2e-5
"""Of features that reach 2; both sides compute in float32."""


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def loaded(folder: Path, family: str, name: str) -> PatchEncoder:
    encoder = load_encoder(family, write(folder, family, name))
    assert isinstance(encoder, PatchEncoder)
    return encoder


def distance(encoder: PatchEncoder, family: str, name: str, seconds: float) -> float:
    return float(np.abs(encoder.embed([sound(seconds)])[0] - layouts(family)[name].mean[seconds]).max())


@pytest.mark.parametrize(("family", "name"), LAYOUTS)
def test_features_and_counts_are_the_authors(tmp_path: Path, family: str, name: str) -> None:
    encoder, layout = loaded(tmp_path, family, name), layouts(family)[name]
    for seconds in layout.mean:
        assert distance(encoder, family, name, seconds) < CLOSE
        batch = encoder.prepare([sound(seconds)], "include")
        with torch.inference_mode(), record(encoder, batch) as counts:
            encoder.forward(batch)
        found = counts.positive[0, -encoder.layer_widths[-1] :].numpy()
        assert np.abs(found - layout.positive[seconds]).max() <= 1


def each_block(change: Callable[[Any], None]) -> Callable[[PatchEncoder], None]:
    def apply(encoder: PatchEncoder) -> None:
        for block in encoder.network.blocks:
            change(block)

    return apply


def front_end(**changes: Any) -> Callable[[PatchEncoder], None]:
    return lambda encoder: vars(encoder.front_end).update(changes)


def network(part: str, change: Callable[[PatchEncoder], Any]) -> Callable[[PatchEncoder], None]:
    return lambda encoder: setattr(encoder.network, part, change(encoder))


def frequency_major(encoder: PatchEncoder) -> nn.Parameter:
    table = encoder.network.get_parameter("positions").unflatten(1, (-1, encoder.network.n_bands))
    return nn.Parameter(table.transpose(1, 2).flatten(1, 2))


def povey(encoder: PatchEncoder) -> None:
    assert isinstance(encoder.front_end, KaldiFrontEnd)
    encoder.front_end.bank = FilterBank(RATE, 128, "povey", torch.device("cpu"))


def half(norm: tuple[float, float]) -> Callable[[PatchEncoder], None]:
    return front_end(norm=(norm[0], norm[1] / 2))


def mel_major(encoder: PatchEncoder) -> nn.Module:
    layer = encoder.network.get_submodule("patch_embed")
    weight = layer.get_parameter("weight")
    layer.weight = nn.Parameter(weight.unflatten(1, (4, 64)).transpose(1, 2).flatten(1))
    return layer


def from_the_first(encoder: PatchEncoder) -> nn.Parameter:
    return nn.Parameter(layouts("atst")["as trained"].state["model.teacher.encoder.pos_embed"][:, :-1])


def halved_levels(encoder: PatchEncoder) -> None:
    right = encoder.front_end.features

    def features(waveforms: Any) -> Any:
        found = right(waveforms)
        return replace(found, values=(found.values + 1) / 2)

    front_end(features=features)(encoder)


tanh_gelu = each_block(lambda block: setattr(block.mlp, "act", nn.GELU("tanh")))
VIT: dict[str, Callable[[PatchEncoder], None]] = {
    "positions frequency-major": network("positions", frequency_major),
    "Kaldi's own window": povey,
    "tanh GELU": tanh_gelu,
    "LayerNorm eps 1e-3": each_block(lambda block: setattr(block.norm2, "eps", 1e-3)),
}
MISTAKES: dict[str, dict[str, Callable[[PatchEncoder], None]]] = {
    "beats": {
        "position bias without its gate": each_block(lambda block: setattr(block.attn, "gate", None)),
        "residual stream not scaled": each_block(lambda block: setattr(block, "alpha", 1.0)),
        "norms before instead of behind": each_block(lambda block: setattr(block, "norm_first", True)),
        "deviation without its factor 2": half(beats.NORM),
        "waveform not as 16-bit integers": front_end(gain=1.0),
        "tanh GELU": tanh_gelu,
    },
    "eat": VIT | {
        "norms before instead of behind": each_block(lambda block: setattr(block, "__class__", Block)),
        "no norm before the blocks": network("pre_norm", lambda _: nn.Identity()),
        "deviation without its factor 2": half(eat.NORM),
        "class token forgotten": network("class_token", lambda _: nn.Parameter(torch.zeros(1, 1, 128))),
    },
    "audiomae": VIT | {
        "norm left out": network("norm", lambda _: nn.Identity()),
        "deviation without its factor 2": half(audiomae.NORM),
        "class token without its position": network(
            "class_token", lambda _: nn.Parameter(layouts("audiomae")["self-supervised"].state["cls_token"])
        ),
    },
    "atst": {
        "patches mel by mel": network("patch_embed", mel_major),
        "positions from the first, which is of no token": network("positions", from_the_first),
        "levels in [0, 1]": halved_levels,
        "norm left out": network("norm", lambda _: nn.Identity()),
        "tanh GELU": tanh_gelu,
    },
}  # fmt: skip


@pytest.mark.parametrize(("family", "mistake"), [(f, m) for f, mistakes in MISTAKES.items() for m in mistakes])
def test_a_typical_mistake_would_show(tmp_path: Path, family: str, mistake: str) -> None:
    name, layout = next(iter(layouts(family).items()))
    encoder = loaded(tmp_path, family, name)
    MISTAKES[family][mistake](encoder)
    assert distance(encoder, family, name, next(iter(layout.mean))) > 4 * CLOSE


def test_position_buckets_off_by_one_would_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, right = loaded(tmp_path, "beats", "published"), beats.buckets
    monkeypatch.setattr(beats, "buckets", lambda distance, config: right(distance + 1, config))
    assert distance(encoder, "beats", "published", 3.0) > 4 * CLOSE


# Chunks, tokens and what is counted.


@pytest.mark.parametrize(
    ("family", "n_frames", "chunks", "exclude", "include"),
    [
        ("beats", 1, [1], 1, 1),  # shorter than a patch: filled with silence
        ("beats", 31, [1], 1, 1),  # as the authors: no patch of what is behind the last whole one
        ("beats", 998, [62], 62, 62),
        ("beats", 1040, [64, 1], 65, 65),
        ("eat", 1, [1], 1, 1),  # its only column is kept
        ("eat", 31, [2], 1, 2),
        ("eat", 1024, [64], 64, 64),
        ("eat", 1040, [64, 1], 65, 65),
        ("atst", 1001, [250], 250, 250),
        ("atst", 1003, [250], 250, 250),  # a chunk of two frames
        ("atst", 1006, [250, 1], 251, 251),
        ("audiomae", 998, [63], 62, 63),
        ("audiomae", 1025, [64, 1], 64, 65),
    ],
)
def test_columns_of_chunks(
    tmp_path: Path, family: str, n_frames: int, chunks: list[int], exclude: int, include: int
) -> None:
    encoder = loaded(tmp_path, family, next(iter(layouts(family))))
    window = 0 if family == "atst" else 400  # there they are mirrored at the ends
    wave, bands = np.zeros(window + 160 * (n_frames - 1), np.float32), encoder.network.n_bands
    for padding, columns in (("exclude", exclude), ("include", include)):
        batch = encoder.prepare([wave], padding)  # type: ignore[arg-type]
        assert (batch.present[:, encoder.network.n_special :].sum(1) / bands).tolist() == chunks
        assert batch.counted.sum() == columns * bands
        assert not batch.counted[:, : encoder.network.n_special].any()


def test_tokens_are_columns_of_bands(tmp_path: Path) -> None:
    encoder = loaded(tmp_path, "beats", "published")
    places, grid = encoder.token_places(0, 24), encoder.token_grid(0)
    assert places.tolist() == [[band, band + 8, band + 16] for band in range(8)]
    assert (grid.n_bands, grid.column_seconds, grid.chunk_columns) == (8, 0.16, 64)
    assert grid.band_edges_hz[0] == 20 and grid.band_edges_hz[-1] == 8000


# Files.


def changed(folder: Path, family: str, **settings: Any) -> Path:
    layout = layouts(family)[next(iter(layouts(family)))]
    path = folder / f"{family}.pt"
    torch.save({"cfg": layout.settings | settings, "model": layout.state}, path)
    return path


def refusal(family: str, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_encoder(family, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"activation_fn": "glu"}, "its activation_fn is 'glu'"),
        ({"encoder_layers": 10**9}, "its encoder_layers is '1000000000'"),
        ({"encoder_layers": 2}, "holds encoder.layers.2"),
        ({"encoder_layers": 4}, "lacks 19 of the"),
        ({"input_patch_size": 7}, "its input_patch_size is 7"),
        ({"encoder_attention_heads": 5}, "its encoder_attention_heads is 5"),
        ({"num_buckets": "many"}, "its num_buckets is 'many'; expected int"),
        ({"max_distance": 3}, "its num_buckets is 40"),
        ({"layer_norm_first": True}, "its deep_norm is True"),
        ({"encoder_ffn_embed_dim": 97}, "fc1.weight is float32 (96, 64); the other tensors ask for float (97, 64)"),
        ({"gru_rel_pos": False}, "holds encoder.layers.0.self_attn.grep"),
    ],
    ids=str,
)
def test_settings_of_beats_that_its_tensors_do_not_bear_out(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    assert told in refusal("beats", changed(tmp_path, "beats", **settings))


@pytest.mark.parametrize(
    ("family", "changes", "told"),
    [
        ("eat", {"blocks.1.ls1.gamma": torch.zeros(128)}, "holds blocks.1.ls1.gamma, which an EAT encoder does not"),
        ("eat", {"modality_encoders.IMAGE.alibi_scale": torch.ones(1)}, "holds modality_encoders.IMAGE.alibi_scale"),
        (
            "eat",
            {eat.FAIRSEQ.own["positions"]: torch.zeros(1, 509, 128)},
            "509 positions are no whole columns of 128 bands",
        ),
        ("eat", {eat.FAIRSEQ.own["class_token"]: torch.zeros(1, 128)}, "extra_tokens is float32 (1, 128)"),
        ("eat", {"new.weight": torch.zeros(2)}, ""),
        ("audiomae", {"pos_embed": torch.zeros(1, 1213, 128)}, "1212 positions are no whole columns of 128 bands"),
        ("audiomae", {"patch_embed.proj.weight": torch.zeros(128, 3, 16, 16)}, "float (128, 1, 16, 16)"),
        ("audiomae", {"blocks.0.norm1.bias": torch.full((128,), torch.nan)}, "values that are not finite"),
        ("atst", {"model.teacher.encoder.prompt_embed": torch.zeros(1, 1, 128)}, "holds prompt_embed"),
        ("atst", {"model.teacher.encoder.pos_embed": torch.zeros(1, 251, 127)}, "the other tensors ask for"),
        ("audiomae", {"fc_norm.weight": torch.ones(128)}, "lacks 1 of the 44 tensors of an AudioMAE encoder: fc_norm"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, family: str, changes: dict[str, torch.Tensor], told: str
) -> None:
    path = tmp_path / "a.pt"
    torch.save(next(iter(layouts(family).values())).state | changes, path)
    if told:
        assert told in refusal(family, path)
    else:
        assert "1 unknown tensors left out (new.weight)" in load_encoder(family, path).description


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("other", FAMILIES)
def test_a_checkpoint_of_another_kind_is_told_in_one_line(tmp_path: Path, family: str, other: str) -> None:
    if family != other:
        told = refusal(family, write(tmp_path, other, next(iter(layouts(other)))))
        assert "lacks" in told or "holds no settings of a BEATs encoder ('cfg')" in told
        assert len(told) < 500


def test_beats_without_settings_is_told(tmp_path: Path) -> None:
    torch.save(layouts("beats")["published"].state, tmp_path / "a.pt")
    assert "holds no settings of a BEATs encoder ('cfg')" in refusal("beats", tmp_path / "a.pt")


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_by_name_and_by_option_are_one_model_and_none_or_both_are_told(tmp_path: Path, family: str) -> None:
    path = write(tmp_path, family, next(iter(layouts(family))))
    by_option, by_name = load_encoder(family, path), load_encoder(f"{family}:{path}")
    assert by_option.weights_key == by_name.weights_key
    assert (by_option.name, by_name.name) == (family, f"{family}:{path.stem}")
    with pytest.raises(InputError, match=f"{family} needs its weights: --model {family}:FILE"):
        load_encoder(family)
    with pytest.raises(InputError, match="leave out --weights"):
        load_encoder(f"{family}:{path}", path)
