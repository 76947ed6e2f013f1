"""Hugging Face encoders from folders and the hub's cache: heads, old spellings, shards, mistakes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

hf = pytest.importorskip("transformers")

import huggingface_hub  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import modeling_utils  # noqa: E402
from transformers.integrations import hub_kernels  # noqa: E402

from core.datasets import InputError  # noqa: E402
from core.encoders import load_encoder  # noqa: E402
from core.encoders.hf.checkpoint import Checkpoint  # noqa: E402
from tests.support import tiny_hf  # noqa: E402
from tests.support.tiny_hf import folder, noise  # noqa: E402


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tiny_hf.build(tmp_path_factory.mktemp("models"))


load = cache(load_encoder)


def embedding(name: str) -> np.ndarray:
    encoder = load_encoder(name)
    return encoder.embed([noise(encoder.sample_rate // 2)])


HEADS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "whisper generation": lambda: tiny_hf.whisper(hf.WhisperForConditionalGeneration),
    "whisper classifier": lambda: tiny_hf.whisper(hf.WhisperForAudioClassification),
    "wav2vec2 ctc": lambda: tiny_hf.wav2vec2(hf.Wav2Vec2ForCTC, add_adapter=True),
    "wav2vec2 pretraining": lambda: tiny_hf.wav2vec2(hf.Wav2Vec2ForPreTraining),
    "hubert classifier": lambda: tiny_hf.wav2vec2(hf.HubertForSequenceClassification),
    "wavlm speaker": lambda: tiny_hf.wav2vec2(hf.WavLMForXVector),
    "data2vec ctc": lambda: tiny_hf.wav2vec2(hf.Data2VecAudioForCTC, num_conv_pos_embeddings=2),
    "ast classifier": lambda: tiny_hf.ast(hf.ASTForAudioClassification),
    "unispeech ctc": lambda: tiny_hf.wav2vec2(hf.UniSpeechForCTC),
    "unispeech-sat speaker": lambda: tiny_hf.wav2vec2(hf.UniSpeechSatForXVector),
    "sew ctc": lambda: tiny_hf.sew(hf.SEWForCTC),
    "sew-d classifier": lambda: tiny_hf.sew(hf.SEWDForSequenceClassification),
    "conformer ctc": lambda: tiny_hf.conformer("relative", hf.Wav2Vec2ConformerForCTC, add_adapter=True),
    "wav2vec2-bert ctc": lambda: tiny_hf.wav2vec2_bert(hf.Wav2Vec2BertForCTC, add_adapter=True),
    "moonshine generation": lambda: tiny_hf.moonshine(hf.MoonshineForConditionalGeneration),
    "speech2text generation": lambda: tiny_hf.speech_to_text(hf.Speech2TextForConditionalGeneration),
    "qwen2-audio whole": lambda: tiny_hf.qwen2_audio(whole=True),
    "voxtral whole": lambda: tiny_hf.voxtral(whole=True),
    "clap projection": lambda: (
        hf.ClapAudioModelWithProjection(tiny_hf.clap_audio_config()),
        tiny_hf.clap_extractor("rand_trunc"),
    ),
}


@pytest.mark.parametrize("head", HEADS)
def test_head_and_decoder_are_dropped_and_every_weight_arrives(head: str, tmp_path: Path) -> None:
    model, extractor = HEADS[head]()
    tiny_hf.spread(model)
    tiny_hf.quietly_save(model, extractor, tmp_path)
    held = dict(model.named_parameters())
    for name, parameter in load_encoder(f"hf:{tmp_path}").module.named_parameters():
        same = [p for key, p in held.items() if key == name or key.endswith(f".{name}")]
        assert "adapter" not in name
        if not name.endswith("masked_spec_embed"):
            assert any(p.shape == parameter.shape and torch.equal(p, parameter) for p in same), name


def rewrite(source: str, target: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> str:
    """A copy of a model with other tensors."""
    shutil.copytree(folder(source), target)
    path = target / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})
    return f"hf:{target}"


def test_old_spellings_of_keys_load_the_same(models: dict[str, str], tmp_path: Path) -> None:
    def weight_norm(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
            key = f"encoder.pos_conv_embed.conv.parametrizations.weight.{new}"
            state[f"encoder.pos_conv_embed.conv.{old}"] = state.pop(key)
        return state

    for label in ("wav2vec2", "hubert-large", "wavlm"):
        old = rewrite(models[label], tmp_path / label, weight_norm)
        np.testing.assert_array_equal(embedding(old), embedding(models[label]))


def test_half_precision_weights_run_in_float32(models: dict[str, str], tmp_path: Path) -> None:
    half = rewrite(models["whisper"], tmp_path / "half", lambda s: {k: v.half() for k, v in s.items()})
    assert {p.dtype for p in load_encoder(half).module.parameters()} == {torch.float32}
    np.testing.assert_allclose(embedding(half), embedding(models["whisper"]), atol=1e-2)


def test_shards_load_as_the_whole_and_key_is_the_sha256_in_order(models: dict[str, str], tmp_path: Path) -> None:
    whole = folder(models["ast"])
    assert load(models["ast"]).weights_key == hashlib.sha256((whole / "model.safetensors").read_bytes()).hexdigest()
    shutil.copytree(whole, tmp_path / "ast")
    state = load_file(tmp_path / "ast/model.safetensors")
    (tmp_path / "ast/model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    where = {key: names[i % 2] for i, key in enumerate(state)}
    for name in names:
        save_file({k: v for k, v in state.items() if where[k] == name}, tmp_path / "ast" / name)
    index = tmp_path / "ast/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    encoder = load_encoder(f"hf:{tmp_path / 'ast'}")
    np.testing.assert_array_equal(embedding(f"hf:{tmp_path / 'ast'}"), embedding(models["ast"]))
    both = b"".join((tmp_path / "ast" / name).read_bytes() for name in names)
    assert encoder.weights_key == hashlib.sha256(both).hexdigest()
    shutil.copy(whole / "model.safetensors", tmp_path / "outside.safetensors")
    index.write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
    with pytest.raises(InputError, match=r"outside\.safetensors"):
        load_encoder(f"hf:{tmp_path / 'ast'}")


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n# Model\n", "apache-2.0"),
        ("---\nlanguage: en\n---\nlicense: mit\n", "see the model's card"),
        (None, "see the model's card"),
    ],
)
def test_name_description_and_licence(models: dict[str, str], tmp_path: Path, card: str | None, licence: str) -> None:
    copy = shutil.copytree(folder(models["hubert"]), tmp_path / "my-hubert")
    if card:
        (copy / "README.md").write_text(card)
    encoder = load_encoder(f"hf:{copy}/")
    assert encoder.name == "hf:my-hubert"
    assert encoder.licence == licence
    assert encoder.description.startswith("HuBERT, 0.0248 M parameters, 2 layers")


def test_settings_from_processor_config_or_the_defaults(models: dict[str, str], tmp_path: Path) -> None:
    copy = shutil.copytree(folder(models["hubert"]), tmp_path / "copy")
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").unlink()
    without: Any = load_encoder(f"hf:{copy}")
    assert (without.do_normalize, without.sample_rate) == (True, 16_000)
    assert "default features" in without.description
    (copy / "processor_config.json").write_text(json.dumps({"feature_extractor": settings}))
    within: Any = load_encoder(f"hf:{copy}")
    assert (within.do_normalize, within.sample_rate) == (False, 4000)


# Mistakes are one line.


def broken(source: Path, kind: str) -> None:
    config = json.loads((source / "config.json").read_text())
    weights = source / "model.safetensors"
    if kind == "pickle":
        weights.rename(source / "pytorch_model.bin")
    elif kind == "no weights":
        weights.unlink()
    elif kind == "no config":
        (source / "config.json").unlink()
    elif kind == "no json":
        (source / "config.json").write_text("{")
    elif kind == "other type":
        (source / "config.json").write_text(json.dumps({"model_type": "bert"}))
    elif kind == "quantised":
        (source / "config.json").write_text(json.dumps({**config, "quantization_config": {}}))
    elif kind == "wrong width":
        (source / "config.json").write_text(json.dumps({**config, "d_model": 64}))
    elif kind == "wrong value":
        (source / "config.json").write_text(json.dumps({**config, "d_model": "wide"}))
    elif kind == "more layers":
        (source / "config.json").write_text(json.dumps({**config, "encoder_layers": 3}))
    elif kind == "torn":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif kind == "other bands":
        hf.WhisperFeatureExtractor(feature_size=80).save_pretrained(source)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("pickle", r"no model\.safetensors \(only pytorch_model\.bin, a pickle, which is not read\); save the model"),
        ("no weights", r"no model\.safetensors \(no weights\)"),
        ("no config", r"no config\.json"),
        ("no json", r"config\.json cannot be read as JSON"),
        ("other type", "type 'bert', which takes input_ids and no sound alone; read here are whisper, wav2vec2"),
        ("quantised", "quantised"),
        ("wrong width", "do(es)? not fit"),
        ("wrong value", r"config\.json does not fit"),
        ("more layers", r"lacks 15 of the encoder's tensors or they do not fit: layers\.2\.fc1\.bias, .*\.\.\."),
        ("torn", "not a readable safetensors file"),
        ("other bands", "makes 80 mel bands, the network takes 16"),
    ],
)
def test_folder_that_is_not_whole_is_an_input_error(
    models: dict[str, str], tmp_path: Path, kind: str, told: str
) -> None:
    copy = shutil.copytree(folder(models["whisper"]), tmp_path / "copy")
    broken(copy, kind)
    with pytest.raises(InputError, match=told) as caught:
        load_encoder(f"hf:{copy}")
    assert "\n" not in str(caught.value)
    assert "copy" in str(caught.value)


def test_remote_code_is_never_run(models: dict[str, str], tmp_path: Path) -> None:
    copy = shutil.copytree(folder(models["whisper"]), tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    assert load_encoder(f"hf:{copy}").n_layers == 2
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation", "_attn_implementation_internal"])
@pytest.mark.parametrize("kernel", ["kernels-community/flash-attn", "flash_attention_2"])
@pytest.mark.parametrize(
    "family",
    ["whisper", "wav2vec2", "hubert", "wavlm", "data2vec", "ast", "clap", "sew", "conformer", "moonshine", "voxtral"],
)
def test_attention_is_ours_whatever_code_on_the_hub_a_configuration_names(
    family: str, kernel: str, key: str, models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(folder(models[family]), tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    parts = [config, *(part for part in config.values() if isinstance(part, dict) and "hidden_size" in part)]
    for part in parts:
        part[key] = kernel
    (copy / "config.json").write_text(json.dumps(config))
    asked: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda *given: asked.append(given))
    monkeypatch.setattr("socket.getaddrinfo", lambda *given, **_: asked.append(given))
    monkeypatch.setattr(hub_kernels, "get_kernel", lambda *given, **_: asked.append(given))
    monkeypatch.setattr(hub_kernels, "is_kernels_available", lambda: True)  # as where that package is installed
    monkeypatch.setattr(modeling_utils, "is_kernels_available", lambda: True)
    encoder = load_encoder(f"hf:{copy}")
    assert asked == []
    assert encoder.module.config._attn_implementation in ("sdpa", "eager")
    np.testing.assert_array_equal(encoder.embed([noise(encoder.sample_rate // 2)]), embedding(models[family]))


def test_weights_option_missing_folder_and_missing_library(
    monkeypatch: pytest.MonkeyPatch, models: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="give the folder in the name"):
        load_encoder(models["ast"], tmp_path)
    with pytest.raises(InputError, match="no folder at /no/such/model"):
        load_encoder("hf:/no/such/model")
    for name in [m for m in sys.modules if m.startswith("core.encoders.hf.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("core.encoders.hf.checkpoint", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'audio-neuron-atlas\[hf\]'"):
        load_encoder(models["ast"])


def test_hub_id_offline_is_taken_from_the_cache_or_told_how_to_fetch(
    monkeypatch: pytest.MonkeyPatch, models: dict[str, str], tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"hf download someone/tiny, or give the folder") as caught:
        load_encoder("hf:someone/tiny")
    assert "\n" not in str(caught.value)
    cached = tmp_path / "models--someone--tiny"
    shutil.copytree(folder(models["ast"]), cached / "snapshots/0123456789012345678901234567890123456789")
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("0123456789012345678901234567890123456789")
    encoder = load_encoder("hf:someone/tiny")
    assert encoder.name == "hf:tiny"
    assert encoder.weights_key == load(models["ast"]).weights_key


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="There are no pipes here")
def test_nobody_waits_for_a_card_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "README.md")
    assert Checkpoint("hf:x", tmp_path, {}, None, ()).licence == "see the model's card"
