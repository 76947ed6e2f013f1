"""M2D checkpoints: every layout is read, and what does not fit is said in one line."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.encoders.m2d import download
from core.encoders.m2d import encoder as m2d
from core.encoders.m2d.checkpoint import DEFAULT_NORM, encoder_shapes, layout_of_name, parse_layout, read
from tests.support.tiny_m2d import EVAR, NAME, WRAPS, random_state, refusal, saved, wrapped, write, zipped

TENSORS = random_state()


# Names.


@pytest.mark.parametrize(
    ("name", "n_frames", "patch", "rate", "grid"),
    [
        ("m2d_vit_base-80x608p16x16-221006-mr7", 608, (16, 16), 16_000, (5, 38)),
        ("m2d_as_vit_base-80x608p16x16p32k-240413_enconly", 608, (16, 16), 32_000, (5, 38)),
        ("m2d_as_vit_base-80x1001p16x16-240213_AS-FT_enconly", 1001, (16, 16), 16_000, (5, 62)),
        ("m2d_vit_base-80x200p16x4-230529", 200, (16, 4), 16_000, (5, 50)),
        ("m2d_s_vit_base-80x608p80x2-230220", 608, (80, 2), 16_000, (1, 304)),
        ("m2d_clap_vit_base-80x1001p16x16p16kpBpTI-2025", 1001, (16, 16), 16_000, (5, 62)),
    ],
)
def test_layout_of_name(name: str, n_frames: int, patch: tuple[int, int], rate: int, grid: tuple[int, int]) -> None:
    layout = layout_of_name(name)
    assert layout is not None
    assert (layout.n_mels, layout.n_frames, layout.patch, layout.sample_rate) == (80, n_frames, patch, rate)
    assert layout.grid == grid
    assert parse_layout(str(layout)) == layout


@pytest.mark.parametrize(
    "name", ["checkpoint-300", "weights_ep69it3124-0.47929", "m2d", "a-80x608", "a-80x608p0x16", "a-80x8p16x16",
             "a-80x608p16x16p44k", "a-80x608p16x16p16kp32k", ""]
)  # fmt: skip
def test_names_that_tell_no_layout(name: str) -> None:
    assert layout_of_name(name) is None


def test_every_published_name_tells_its_layout() -> None:
    assert len(download.PUBLISHED) == 16
    assert all(layout_of_name(name) for name in download.PUBLISHED)


def test_names_count_in_their_order_folder_file_archive(tmp_path: Path) -> None:
    content = io.BytesIO()
    torch.save(TENSORS, content)
    by_folder = write(tmp_path / "1", NAME)
    by_file = saved(tmp_path / "2" / f"{NAME}.pth", TENSORS)
    in_archive = zipped(
        tmp_path / "any.zip",
        (f"__MACOSX/{NAME}/._checkpoint-30.pth", b"a Mac's note"),
        (f"{NAME}/checkpoint-30.pth", content.getvalue()),
    )
    by_archive = zipped(tmp_path / f"{NAME}.zip", ("checkpoint-30.pth", content.getvalue()))
    for path in (by_folder, by_folder.parent, by_folder.parent.parent, by_file, in_archive, by_archive):
        assert read(path).name == NAME


# Layouts of files.


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("form", ["pth", "legacy", "safetensors", "folder", "zip"])
def test_every_layout_and_form_of_file_gives_the_same_tensors(tmp_path: Path, wrap: str, form: str) -> None:
    path = write(tmp_path, NAME, wrap)
    own_hash = sha256(path.read_bytes()).hexdigest()
    if form == "legacy":
        saved(path, wrapped(TENSORS, wrap), _use_new_zipfile_serialization=False)
    elif form == "safetensors":
        content = wrapped(TENSORS, wrap)
        path.unlink()
        path = path.with_suffix(".safetensors")
        save_file(content.get("model", content), path)
    elif form == "folder":
        path = path.parent
    elif form == "zip":
        path = zipped(tmp_path / "release.zip", (f"{NAME}/checkpoint-300.pth", path.read_bytes()))
    found = read(path)
    assert found.state.keys() == TENSORS.keys()
    assert all(torch.equal(found.state[key], tensor) for key, tensor in TENSORS.items())
    assert found.norm == DEFAULT_NORM
    if form in ("pth", "folder", "zip"):
        assert found.sha256 == own_hash
    assert found.notes == (("its head of 7 classes left out",) if wrap == "evar" else ())


def test_half_precision_becomes_float32_and_norm_stats_are_read_under_each_prefix(tmp_path: Path) -> None:
    for number, prefix in enumerate(("", "backbone.", EVAR)):
        content = {f"{prefix}{key}": tensor.half() for key, tensor in TENSORS.items()}
        content[f"{prefix}norm_stats"] = torch.tensor([-6.5, 3.5])
        found = read(saved(tmp_path / str(number) / NAME / "a.pth", content))
        assert {t.dtype for t in found.state.values()} == {torch.float32}
        assert found.norm == (-6.5, 3.5)


def test_depth_width_and_mlp_are_the_tensors_own(tmp_path: Path) -> None:
    state = random_state(NAME, width=192, n_layers=3, mlp_width=80)
    encoder = m2d.load(write(tmp_path, NAME, state=state))
    assert encoder.layer_widths == (80, 80, 80)
    assert encoder.n_features == 5 * 192


def test_the_large_network_has_the_tensors_of_a_large_file() -> None:
    layout = layout_of_name("m2d-80x608p16x16")
    assert layout is not None
    with torch.device("meta"):
        shapes = {k: tuple(t.shape) for k, t in m2d.M2DNetwork(layout, 1024, 4096, 24).state_dict().items()}
    expected = encoder_shapes(1024, 4096, 24, (16, 16), 191)
    assert len(expected) == 294
    assert {k: v for k, v in shapes.items() if "patch" not in k} == {
        k: v for k, v in expected.items() if "patch" not in k
    }


def test_what_was_read_stays_when_the_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = read(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert all(torch.equal(found.state[key], tensor) for key, tensor in TENSORS.items())


def test_unknown_tensors_are_left_out_and_named(tmp_path: Path) -> None:
    found = read(write(tmp_path, NAME, state={**TENSORS, "new_thing.weight": torch.zeros(2)}))
    assert found.notes == ("1 unknown tensors left out (new_thing.weight)",)


# Configuration against tensors.


def test_without_a_name_the_tensors_tell(tmp_path: Path) -> None:
    found = read(saved(tmp_path / "some" / "a.pth", TENSORS))
    assert str(found.layout) == "80x208p16x16p16k"
    assert found.name == "a"
    assert "read from the tensors" in found.notes[0]
    named = "m2d-80x1001p16x16p32k"
    content = {"backbone." + key: t for key, t in random_state(named).items()}
    found = read(saved(tmp_path / "some" / "b.pth", {**content, "to_spec.mel_basis": torch.zeros(80, 401)}))
    assert str(found.layout) == "80x1001p16x16p32k"  # 62 columns are 1001 frames in all that is published


def test_option_takes_the_place_of_the_name_and_changes_the_key(tmp_path: Path) -> None:
    path = write(tmp_path)
    plain, other = m2d.load(path), m2d.load(path, config="80x208p16x16p32k")
    assert plain.weights_key == plain.sha256 == other.sha256 == sha256(path.read_bytes()).hexdigest()
    assert other.weights_key != plain.weights_key
    assert (plain.sample_rate, other.sample_rate) == (16_000, 32_000)
    assert "80x208p16x16p32k by --weights-config" in other.description
    assert read(path, "m2d_vit_base-80x208p16x16p32k-any").layout.sample_rate == 32_000


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("80x208p16x4", "means patches of 16x4; the tensors have 16x16"),
        ("80x608p16x16", "means 190 patches; the tensors have positions for 65"),
        ("large", "is not a layout; expected for instance 80x608p16x16p16k"),
    ],
)
def test_layout_that_does_not_fit_is_refused(tmp_path: Path, config: str, said: str) -> None:
    assert said in refusal(write(tmp_path), config)
    if config != "large":
        assert said in refusal(saved(tmp_path / f"m2d-{config}" / "a.pth", TENSORS))


def test_rate_is_checked_where_the_file_holds_mel_filters(tmp_path: Path) -> None:
    assert "means 32000 Hz" in refusal(write(tmp_path, f"{NAME.removesuffix('-tiny')}p32k", "backbone", TENSORS))


def test_odd_patches_without_a_name_ask_for_the_option(tmp_path: Path) -> None:
    path = saved(tmp_path / "some" / "a.pth", random_state("m2d-80x208p24x16"))
    assert "--weights-config" in refusal(path)
    assert read(path, "80x208p24x16").layout.grid == (3, 13)


# What is no whole M2D encoder.


@pytest.mark.parametrize(
    "key", ["cls_token", "pos_embed", "norm.bias", "blocks.0.attn.qkv.bias", "blocks.1.mlp.fc2.weight"]
)
def test_missing_tensor_is_named_also_where_others_end_like_it(tmp_path: Path, key: str) -> None:
    content = wrapped(TENSORS, "model")
    del content["model"][key]
    assert f"target_{key}" in content["model"] or not key.startswith("blocks")
    assert f"lacks 1 of the 30 tensors of an M2D encoder: {key};" in refusal(saved(tmp_path / NAME / "a.pth", content))


def test_base_network_without_its_last_block_is_not_taken_for_a_smaller_one(tmp_path: Path) -> None:
    shapes = encoder_shapes(768, 3072, 11, (16, 16), 66)
    content = {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}
    said = refusal(saved(tmp_path / NAME / "a.pth", content))
    assert "lacks 12 of the 150 tensors of an M2D encoder: blocks.11.norm1.weight, blocks.11.norm1.bias" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"blocks.1.mlp.fc1.weight": torch.zeros(100, 64)}, "blocks.1.mlp.fc1.weight is float32 (100, 64)"),
        ({"norm.bias": torch.zeros(64, dtype=torch.int64)}, "norm.bias is int64 (64,)"),
        ({"norm.bias": torch.full((64,), torch.nan)}, "norm.bias holds values that are not finite"),
        ({"blocks.0.ls1.gamma": torch.zeros(64)}, "holds blocks.0.ls1.gamma, which M2D's encoder does not have"),
        ({"norm_stats": torch.tensor([1.0, 0.0])}, "norm_stats is not a mean and a standard deviation"),
        ({"norm_stats": torch.zeros(3)}, "norm_stats is not a mean and a standard deviation"),
        ({"cls_token": torch.tensor(0.0)}, "cls_token is float32 ()"),
        ({"pos_embed": torch.zeros(66, 64)}, "pos_embed is float32 (66, 64)"),
        ({"patch_embed.proj.weight": torch.zeros(64, 256)}, "patch_embed.proj.weight is float32 (64, 256)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, changed: dict[str, torch.Tensor], said: str) -> None:
    assert said in refusal(write(tmp_path, state={**TENSORS, **changed}))


def test_few_bytes_that_claim_to_be_many_weights_are_refused(tmp_path: Path) -> None:
    shapes = encoder_shapes(64_000, 64_000, 2, (16, 16), 66)
    content = {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}
    assert "too large" in refusal(saved(tmp_path / NAME / "a.pth", content))


# Other vision transformers of its shape.


@pytest.mark.parametrize("wrapper", ["state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "encoder."])
def test_a_vit_by_the_names_of_timm_loads_and_its_classifier_is_left_out(
    tmp_path: Path, wrapper: str | None, prefix: str
) -> None:
    tensors = {prefix + key: t for key, t in TENSORS.items()}
    tensors |= {f"{prefix}head.weight": torch.zeros(527, 64), f"{prefix}head.bias": torch.zeros(527)}
    found = read(saved(tmp_path / NAME / "supervised.pth", {wrapper: tensors, "epoch": 3} if wrapper else tensors))
    assert all(torch.equal(found.state[key], tensor) for key, tensor in TENSORS.items())
    assert found.notes == ("its head of 527 classes left out",)


def test_a_supervised_vit_is_a_model_like_another(tmp_path: Path) -> None:
    path = saved(tmp_path / NAME / "a.pth", {**TENSORS, "head.weight": torch.zeros(7, 64), "head.bias": torch.zeros(7)})
    with_head, without = m2d.load(path), m2d.load(write(tmp_path / "plain"))
    sound = [np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)]
    np.testing.assert_array_equal(with_head.embed(sound), without.embed(sound))
    assert "its head of 7 classes left out" in with_head.description


def test_pictures_of_three_colours_are_not_sound(tmp_path: Path) -> None:
    state = {**TENSORS, "patch_embed.proj.weight": torch.zeros(64, 3, 16, 16)}
    assert "is float32 (64, 3, 16, 16); the other tensors ask for float (64, 1, 16, 16)" in refusal(
        write(tmp_path, state=state)
    )
