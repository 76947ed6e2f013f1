"""Weights and configurations that fuzzing found to end in a traceback, in NaN or in a full memory."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.datasets import InputError
from core.encoders import load_encoder
from core.encoders.nano import WEIGHTS
from core.encoders.torchaudio_bundle import add_bundle
from tests.support import tiny_hf, tiny_m2d, tiny_torchaudio

NANO = WEIGHTS / "nano-ssl.safetensors"
KIND = next(iter(tiny_torchaudio.KINDS))


def refusal(name: str, path: Path | None = None) -> str:
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        load_encoder(name, path)
    assert time.process_time() - started < 5
    assert "\n" not in str(caught.value)
    return str(caught.value)


def nano(path: Path, **changes: Any) -> Path:
    """The embedded model with another configuration in its header."""
    content = NANO.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"]["config"] = json.dumps(json.loads(header["__metadata__"]["config"]) | changes)
    made = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(made)) + made + content[8 + size :])
    return path


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_layers": 10**9}, "its n_layers is 1000000000"),
        ({"n_layers": 5_000}, r"its tensors are of (6, 192, 640, 768, 192), its configuration tells (5000,"),
        ({"width": "wide"}, "its width is 'wide'"),
        ({"width": True}, "its width is True"),
        ({"patch": 0}, "its patch is 0"),
        ({"patch_bands": 0}, "its patch_bands is 0"),
        ({"patch_bands": 30}, "no multiples of its patches and heads"),
        ({"n_heads": 5}, "no multiples of its patches and heads"),
        ({"n_mels": 10_000, "n_frames": 10_000}, "its table of positions cannot be made"),
        ({"mel_std": 0.0}, "its mel_mean and mel_std are"),
        ({"mel_mean": float("nan")}, "its mel_mean and mel_std are nan"),
        ({"mel_mean": 10**400}, "its mel_mean and mel_std are 10000000"),
        ({"colour": "red"}, "does not hold a nano model"),
    ],
    ids=str,
)
def test_a_nano_configuration_that_its_tensors_do_not_bear_out(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    assert told in refusal("nano-ssl", nano(tmp_path / "a.safetensors", **changes))


def test_the_changed_header_is_read_at_all(tmp_path: Path) -> None:
    assert load_encoder("nano-ssl", nano(tmp_path / "a.safetensors")).n_layers == 6


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    state, path = tiny_torchaudio.network(KIND).state_dict(), tmp_path / "a.pth"
    add_bundle(KIND, tiny_torchaudio.bundle(KIND))
    key = next(key for key in state if key.endswith("fc.weight") or ("layers.0" in key and key.endswith("weight")))
    state[key] = torch.full_like(state[key], value)
    torch.save(state, path)
    told = refusal(f"torchaudio:{KIND}", path)
    assert "holds values that are not finite; fetch the weights again" in told and KIND in told


@pytest.mark.parametrize("name", ["m2d", f"torchaudio:{KIND}"])
def test_one_number_that_says_it_fills_gigabytes(name: str, tmp_path: Path) -> None:
    add_bundle(KIND, tiny_torchaudio.bundle(KIND))
    state: dict[str, Any] = tiny_m2d.random_state() if name == "m2d" else tiny_torchaudio.network(KIND).state_dict()
    state[next(iter(state))] = torch.zeros(1, dtype=torch.float16).expand(1 << 20, 1 << 12)
    path = tmp_path / f"{tiny_m2d.NAME}.pth"
    torch.save(state, path)
    assert "are too large for a file of" in refusal(name, path)


def test_complex_weights_are_none(tmp_path: Path) -> None:
    add_bundle(KIND, tiny_torchaudio.bundle(KIND))
    state = {key: value.to(torch.complex64) for key, value in tiny_torchaudio.network(KIND).state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    assert "does not hold tensors by name" in refusal(f"torchaudio:{KIND}", tmp_path / "a.pth")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", minversion="5")
    model, extractor = tiny_hf.MODELS["whisper"]()
    tiny_hf.spread(model)
    return tiny_hf.quietly_save(model, extractor, tmp_path_factory.mktemp("models") / "whisper")


@pytest.fixture
def copy(whisper: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whisper, tmp_path / "copy"))


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("file", "changes", "told"),
    [
        ("config.json", {"encoder_layers": 10**6}, "encoder_layers is larger than any network has it"),
        ("config.json", {"d_model": 10**9}, "d_model is larger than any network has it"),
        ("config.json", {"encoder_layers": 400, "d_model": 4_096, "encoder_ffn_dim": 65_536}, "a network of"),
        ("config.json", {"max_source_positions": [1] * 3_000}, "max_source_positions is larger"),
        ("config.json", {"encoder_layers": float("inf")}, "encoder_layers is larger than any network has it"),
        ("config.json", {"encoder_attention_heads": -1}, "its configuration does not fit"),
        ("config.json", {"dropout": 3}, "its configuration does not fit"),
        ("preprocessor_config.json", {"n_fft": 10**6}, "n_fft is larger than any network has it"),
        ("preprocessor_config.json", {"hop_length": 0}, "copy"),
        ("preprocessor_config.json", {"sampling_rate": "often"}, "copy"),
        ("preprocessor_config.json", {"sampling_rate": 1}, "copy"),
    ],
    ids=str,
)
def test_settings_beyond_any_network_are_refused_before_it_is_built(
    file: str, changes: dict[str, Any], told: str, copy: Path
) -> None:
    change(copy / file, **changes)
    assert told in refusal(f"hf:{copy}")


@pytest.mark.parametrize("content", ["[" * 100_000, '"a"', "[]", "x" * 30_000_000])
def test_settings_that_are_no_settings(content: str, copy: Path) -> None:
    (copy / "preprocessor_config.json").write_text(content)
    assert "preprocessor_config.json" in refusal(f"hf:{copy}")


@pytest.mark.parametrize("settings", ["abc", 7, [1, 2]])
def test_a_processors_settings_of_another_kind(settings: object, copy: Path) -> None:
    (copy / "preprocessor_config.json").unlink()
    (copy / "processor_config.json").write_text(json.dumps({"feature_extractor": settings}))
    assert "the feature settings are no JSON object" in refusal(f"hf:{copy}")


@pytest.mark.parametrize(
    "shards",
    [{"a": ["x"]}, {"a": None, "b": 1}, {"a": "../x.safetensors"}, {"a": "\0"}, {"a": "x" * 9_000}, {}, [], "x"],
)
def test_an_index_of_shards_that_is_none(shards: object, copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "model-1.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert "model.safetensors.index.json names" in refusal(f"hf:{copy}")


def test_a_card_made_to_take_a_pattern_forever(copy: Path) -> None:
    started = time.process_time()
    for card in (
        "---" + "\n" * 300_000,
        "---\nlicense: a" + " " * 300_000 + "\n---",
        "---\nlicense: mit\x1b[31m\n---\n",
    ):
        (copy / "README.md").write_text(card)
        licence = load_encoder(f"hf:{copy}").licence
        assert "\x1b" not in licence and "\n" not in licence
    assert licence.startswith("mit")
    assert time.process_time() - started < 10


def test_nan_in_a_model_folder_is_told(copy: Path) -> None:
    state = load_file(copy / "model.safetensors")
    key = next(key for key in state if "encoder" in key and key.endswith("fc1.weight"))
    save_file(state | {key: torch.full_like(state[key], torch.nan)}, copy / "model.safetensors", {"format": "pt"})
    assert "holds values that are not finite" in refusal(f"hf:{copy}")


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="There is no such file here")
@pytest.mark.parametrize(
    ("name", "ending"), [("nano-ssl", ".safetensors"), ("m2d", ".pth"), ("torchaudio:WAV2VEC2_BASE", ".pth")]
)
def test_weights_are_no_file_of_the_kernel(name: str, ending: str, tmp_path: Path) -> None:
    """Some of them are waited for without end."""
    link = tmp_path / f"weights{ending}"
    link.symlink_to("/proc/version")
    with pytest.raises(ValueError, match="no weights at"):
        load_encoder(name, link)
