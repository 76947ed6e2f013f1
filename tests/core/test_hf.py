"""Hugging Face encoders against transformers' own forward pass and feature extractors."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

hf = pytest.importorskip("transformers")

from core.encoders import Encoder, load_encoder  # noqa: E402
from core.encoders.hf.wav2vec2 import WavLMEncoder  # noqa: E402
from core.encoders.hooks import record  # noqa: E402
from tests.support import tiny_hf  # noqa: E402
from tests.support.tiny_hf import folder, noise  # noqa: E402

every_model = pytest.mark.parametrize("label", tiny_hf.MODELS)
REAL = Path(__file__).resolve().parents[3] / "shared/models/whisper-tiny-encoder"

EXTRACTORS = {
    **dict.fromkeys(("whisper", "qwen2audio", "voxtral"), hf.WhisperFeatureExtractor),
    "ast": hf.ASTFeatureExtractor,
    "clap": hf.ClapFeatureExtractor,
    "s2t": hf.Speech2TextFeatureExtractor,
    "w2vbert": hf.SeamlessM4TFeatureExtractor,
}
CLASSES = {
    "wav2vec2": hf.Wav2Vec2Model,
    "hubert": hf.HubertModel,
    "wavlm": hf.WavLMModel,
    "data2vec": hf.Data2VecAudioModel,
    "unispeech": hf.UniSpeechModel,
    "unispeechsat": hf.UniSpeechSatModel,
    "sew": hf.SEWModel,
    "sewd": hf.SEWDModel,
    "conformer": hf.Wav2Vec2ConformerModel,
    "w2vbert": hf.Wav2Vec2BertModel,
    "qwen2audio": hf.Qwen2AudioEncoder,
    "voxtral": hf.VoxtralEncoder,
    "ast": hf.ASTModel,
    "clap": hf.ClapAudioModel,
}
"""The library's own class for the first part of a label."""
WITH_DECODER = {"whisper": hf.WhisperModel, "moonshine": hf.MoonshineModel, "s2t": hf.Speech2TextModel}
PER_TOKEN = {"whisper": 320, "voxtral": 320, "qwen2audio": 640}
"""Samples of a token of those that take 30 s whatever a clip's length."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tiny_hf.build(tmp_path_factory.mktemp("models"))


load = cache(load_encoder)


@cache
def reference(label: str, path: Path) -> tuple[Any, Any]:
    """The library's own model and feature extractor."""
    family = label.partition("-")[0]
    extractor = EXTRACTORS.get(family, hf.Wav2Vec2FeatureExtractor).from_pretrained(path)
    if family in WITH_DECODER:
        return WITH_DECODER[family].from_pretrained(path).eval().get_encoder(), extractor
    if label == "clap":
        return hf.ClapModel.from_pretrained(path).eval().audio_model, extractor
    return CLASSES[family].from_pretrained(path).eval(), extractor


def own_forward(label: str, path: Path, sound: np.ndarray) -> Any:
    """The library's forward pass on one clip of at most a chunk."""
    model, extractor = reference(label, path)
    inputs = extractor(sound, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    given = inputs.get("input_features", inputs.get("input_values")).float()
    # In fusion the extractor calls a clip "longer" at random; none here is.
    more = {"is_longer": torch.zeros(len(given), 1)} if label.startswith("clap") else {}
    if label == "qwen2audio":  # as the whole model asks its encoder: nothing attends to what is behind the clip
        n_tokens = given.shape[2] // 2
        behind = torch.arange(n_tokens) >= -(-len(sound) // 320)
        more["attention_mask"] = torch.zeros(1, 1, n_tokens, n_tokens).masked_fill(behind, -torch.inf)
    if label == "w2vbert":  # where a frame is left over, the extractor makes a token of it and masks that
        more["attention_mask"] = inputs["attention_mask"]
    with torch.inference_mode():
        return model(given, **more)


def own_embedding(label: str, path: Path, sound: np.ndarray) -> torch.Tensor:
    out = own_forward(label, path, sound)
    if label == "ast" or label.startswith("clap"):
        return out.pooler_output[0]
    tokens = out.last_hidden_state[0]
    if label in PER_TOKEN:
        half = PER_TOKEN[label] - 320  # of a pair the second token holds some of the clip
        return tokens[: max(1, -(-(len(sound) - half) // PER_TOKEN[label]))].mean(0)
    if label.startswith("sew"):  # zeros stand for frames that fill no token
        tokens = tokens[: len(tokens) // 2 * 2]
    if label == "w2vbert":
        tokens = tokens[: ((len(sound) - 400) // 160 + 1) // 2]
    return tokens.mean(0)


# The network is the library's, cut at the blocks.


@every_model
def test_begin_blocks_and_finish_equal_the_librarys_forward(label: str, models: dict[str, str]) -> None:
    encoder = load(models[label])
    seconds = (0.4, 0.9, 0.9, 0.21)
    sounds = [noise(round(s * encoder.sample_rate), i) for i, s in enumerate(seconds)]
    found = torch.from_numpy(encoder.embed(sounds))
    for i, sound in enumerate(sounds):
        expected = own_embedding(label, folder(models[label]), sound)
        torch.testing.assert_close(found[i], expected, atol=5e-5 if label in ("s2t", "w2vbert") else 1e-5, rtol=1e-5)


@every_model
def test_counts_are_those_of_the_librarys_forward(label: str, models: dict[str, str]) -> None:
    encoder = load(models[label])
    sound = noise(round(0.5 * encoder.sample_rate))
    with torch.inference_mode():
        batch = encoder.prepare([sound, noise(len(sound) // 2)])
        with record(encoder, batch) as counts:
            encoder.forward(batch)
    seen: list[torch.Tensor] = []
    names = {id(m): name for name, m in encoder.module.named_modules()}
    own = dict(reference(label, folder(models[label]))[0].named_modules())
    hooks = [
        own[names[id(p)]].register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
        for p in encoder.projections
    ]
    own_forward(label, folder(models[label]), sound)
    for hook in hooks:
        hook.remove()
    assert [s.shape[1] for s in seen] == list(encoder.layer_widths)
    often = [encoder.counted(layer, batch)[0] for layer in range(encoder.n_layers)]
    expected = torch.cat([((s > 0) * n[: len(s), None]).sum(0) for s, n in zip(seen, often, strict=True)])
    assert (counts.positive[0] - expected).abs().float().mean() < 0.01, "an activation within rounding of 0"
    assert {int(n.sum()) for n in often} == {int(counts.tokens[0])}


@pytest.mark.parametrize("label", ["wav2vec2-large", "hubert-large", "wavlm-large", "unispeech-large"])
def test_padded_batch_equals_the_librarys_padded_and_masked_batch(label: str, models: dict[str, str]) -> None:
    encoder, (model, extractor) = load(models[label]), reference(label, folder(models[label]))
    sounds = [noise(n, n) for n in (4000, 1777, 2500)]
    inputs = extractor(sounds, padding=True, return_attention_mask=True, sampling_rate=4000, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**inputs).last_hidden_state
    for row, sound, found in zip(hidden, sounds, torch.from_numpy(encoder.embed(sounds)), strict=True):
        n_tokens = int(model._get_feat_extract_output_lengths(len(sound)))
        torch.testing.assert_close(found, row[:n_tokens].mean(0), atol=1e-5, rtol=1e-5)


@every_model
def test_every_block_runs_alone(label: str, models: dict[str, str]) -> None:
    encoder, fresh = load(models[label]), load_encoder(models[label])
    with torch.inference_mode():
        batch = encoder.prepare([noise(1500), noise(900)])
        hidden = encoder.begin(batch)
        for layer in range(encoder.n_layers - 1):
            hidden = encoder.block(layer, hidden, batch)
        last = encoder.block(encoder.n_layers - 1, hidden, batch)
        twice = fresh.block(fresh.n_layers - 1, hidden.repeat(2, 1, 1), batch.repeat(2))
        torch.testing.assert_close(twice, last.repeat(2, 1, 1), atol=1e-5, rtol=1e-5)
        both = fresh.finish(twice, batch.repeat(2))
        torch.testing.assert_close(both, encoder.finish(last, batch).repeat(2, 1), atol=1e-5, rtol=1e-5)


def test_wavlm_keeps_the_bias_of_one_length_alone(models: dict[str, str]) -> None:
    encoder = load(models["wavlm"])
    assert isinstance(encoder, WavLMEncoder)
    for n_samples in (1000, 2000, 4000):
        encoder.embed([noise(n_samples)])
    assert list(encoder._biases) == [(4000 - 345) // 320 + 1]


@every_model
def test_bfloat16_autocast_runs_and_is_near(label: str, models: dict[str, str]) -> None:
    encoder = load(models[label])
    sounds = [noise(encoder.sample_rate // 2), noise(encoder.sample_rate // 3)]
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder.embed(sounds)
    np.testing.assert_allclose(found, encoder.embed(sounds), atol=0.15)
    assert not encoder.module.training
    assert not any(p.requires_grad for p in encoder.module.parameters())


# Features are the library's.


def test_whisper_log_mel_equals_the_extractors(models: dict[str, str]) -> None:
    encoder: Any = load(models["whisper"])
    extractor = reference("whisper", folder(models["whisper"]))[1]
    for n_samples in (1, 500, 16_000, 31_900, 32_000):
        sound = noise(n_samples)
        expected = extractor(sound, sampling_rate=16_000, return_tensors="pt").input_features
        torch.testing.assert_close(encoder.log_mel([sound]), expected, atol=1e-4, rtol=0)


def test_ast_filter_bank_equals_the_extractors(models: dict[str, str]) -> None:
    encoder: Any = load(models["ast"])
    extractor = reference("ast", folder(models["ast"]))[1]
    for n_samples in (400, 5_555, 16_240):
        sound = noise(n_samples)
        expected = extractor(sound, sampling_rate=16_000, return_tensors="pt").input_values
        found = encoder.prepare([sound, noise(16_000)]).inputs[:1]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("label", ["s2t", "w2vbert"])
def test_filter_bank_equals_the_extractors(label: str, models: dict[str, str]) -> None:
    encoder: Any = load(models[label])
    extractor = reference(label, folder(models[label]))[1]
    for n_samples in (720, 5_555, 16_240):
        sound = noise(n_samples)
        expected = extractor(sound, sampling_rate=16_000, return_tensors="pt").input_features[0].float()
        found = encoder.features(sound)
        if label == "w2vbert":  # two frames are stacked, one left over is filled up and masked
            found = found[: len(found) // 2 * 2].unflatten(0, (-1, 2)).flatten(1)
            expected = expected[: len(found)]
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
def test_clap_log_mel_equals_the_extractors(
    models: dict[str, str], tmp_path: Path, truncation: str, padding: str
) -> None:
    shutil.copytree(folder(models["clap-fused"]), tmp_path / "clap")
    extractor = tiny_hf.clap_extractor(truncation, padding=padding)
    extractor.save_pretrained(tmp_path / "clap")
    encoder: Any = load_encoder(f"hf:{tmp_path / 'clap'}")
    for n_samples in (1000, 7001, 16_000):
        sound = 1e-6 * noise(n_samples)
        sound[: n_samples // 2] = 0
        # Loud below, silent above: there single precision would be off by tenths of a dB.
        sound += 0.5 * np.hanning(n_samples).astype(np.float32) * np.sin(0.3 * np.arange(n_samples), dtype=np.float32)
        expected = extractor(sound, sampling_rate=16_000, return_tensors="pt").input_features[:, :1]
        torch.testing.assert_close(encoder.log_mel([sound]), expected.float(), atol=1e-4, rtol=0)


# Which token is of the clip.


@pytest.mark.parametrize(
    ("n_samples", "rows", "present", "exclude"),
    [(1, 1, 1, 1), (320, 1, 1, 1), (321, 1, 2, 1), (960, 1, 3, 3), (32_000, 1, 100, 100), (32_100, 2, 101, 100)],
)
def test_whisper_token_is_20_ms(models: dict[str, str], n_samples: int, rows: int, present: int, exclude: int) -> None:
    encoder = load(models["whisper"])
    for padding, counted in (("exclude", exclude), ("include", present)):
        batch = encoder.prepare([noise(n_samples)], padding)
        assert batch.clip.tolist() == [0] * rows
        assert (int(batch.present.sum()), int(batch.counted.sum())) == (present, counted)


@pytest.mark.parametrize(
    ("n_frames", "rows", "present", "exclude"),
    # Columns start each 10 frames and span 16; 100 frames a chunk give 9 columns, two bands of 32 mel bins.
    [(1, 1, 1, 1), (16, 1, 2, 1), (25, 1, 3, 1), (26, 1, 3, 2), (100, 1, 9, 9), (110, 2, 10, 9), (126, 2, 12, 11)],
)
def test_ast_column_spans_16_frames(
    models: dict[str, str], n_frames: int, rows: int, present: int, exclude: int
) -> None:
    encoder = load(models["ast"])
    for padding, counted in (("exclude", exclude), ("include", present)):
        batch = encoder.prepare([noise(400 + 160 * (n_frames - 1))], padding)
        assert batch.clip.tolist() == [0] * rows
        assert batch.present.shape[1] == 2 + 2 * 9
        assert (int(batch.present.sum()), int(batch.counted.sum())) == (2 * present, 2 * counted)
        assert not batch.present[:, :2].any()
        by_band = batch.present[0, 2:].unflatten(0, (2, 9))
        assert by_band.tolist() == [[t < present for t in range(9)]] * 2


@pytest.mark.parametrize("n_samples", [1, 399, 400, 719, 720, 120_080, 120_081, 250_000])
def test_waveform_tokens_are_those_of_one_piece(models: dict[str, str], n_samples: int) -> None:
    # Kernels 10, 8, 4, 4 and strides 5, 4, 4, 4 make a frame of 10 + 7*5 + 3*20 + 3*80 = 345 samples each 320.
    for padding in ("exclude", "include"):
        batch = load(models["wav2vec2"]).prepare([noise(n_samples)], padding)
        assert int(batch.counted.sum()) == max(1, (n_samples - 345) // 320 + 1)
        assert torch.equal(batch.present, batch.counted)


@pytest.mark.parametrize("n_samples", [1, 665, 984, 985, 1304, 1305, 130_000])
def test_sew_token_is_as_many_frames_as_it_squeezes(models: dict[str, str], n_samples: int) -> None:
    # A frame is 345 samples each 320, two are one token: 665 samples each 640.
    for label in ("sew", "sewd"):
        batch = load(models[label]).prepare([noise(n_samples)])
        n_frames = max(2, (n_samples - 345) // 320 + 1)
        assert int(batch.counted.sum()) == n_frames // 2


@pytest.mark.parametrize(
    ("label", "n_samples", "present", "exclude"),
    # Frames of 400 samples each 160: two are a token of Wav2Vec2-BERT, four one of Speech2Text.
    [("w2vbert", 1, 1, 1), ("w2vbert", 719, 1, 1), ("w2vbert", 720, 1, 1), ("w2vbert", 880, 2, 2),
     ("s2t", 1, 1, 1), ("s2t", 880, 1, 1), ("s2t", 1039, 1, 1), ("s2t", 1040, 2, 1), ("s2t", 1520, 2, 2)],
)  # fmt: skip
def test_frames_of_the_filter_bank_are_tokens_by_twos_and_fours(
    models: dict[str, str], label: str, n_samples: int, present: int, exclude: int
) -> None:
    for padding, counted in (("exclude", exclude), ("include", present)):
        batch = load(models[label]).prepare([noise(n_samples), noise(9_000)], padding)
        assert (int(batch.present[0].sum()), int(batch.counted[0].sum())) == (present, counted)


def test_conformer_records_both_mlps_of_a_block(models: dict[str, str]) -> None:
    for label in ("conformer", "w2vbert"):
        encoder = load(models[label])
        names = {id(m): name for name, m in encoder.module.named_modules()}
        expected = [f"encoder.layers.{i}.ffn{k}.output_dense" for i in (0, 1) for k in (1, 2)]
        assert [names[id(p)] for p in encoder.projections] == expected


def test_chunks_share_what_a_frame_is_longer_than_its_hop(models: dict[str, str]) -> None:
    # 30 s at 4 kHz give (120,000 - 345) // 320 + 1 = 374 tokens; the last piece keeps what fills none.
    waveforms: Any = load(models["wav2vec2"]).prepare([noise(250_000)])
    assert {n: rows.tolist() for n, rows in waveforms.groups} == {373 * 320 + 345: [0, 1], 250_000 - 2 * 374 * 320: [2]}
    sound = noise(30_000)
    ast: Any = load(models["ast"])
    second = ast.prepare([sound]).inputs[1:]
    torch.testing.assert_close(second, ast.prepare([sound[16_000:]]).inputs)


def test_clap_counts_later_tokens_as_often_as_they_stand_for_first_ones(models: dict[str, str]) -> None:
    # 16x16 patches: 4 segments of 4 bands, 16 columns each, so 64 times of 250 samples. Of 1,130
    # samples 4 times are whole, a fifth begins.
    encoder = load(models["clap"])
    batch = encoder.prepare([noise(1130)])
    by_time = batch.counted.unflatten(1, (4, 4, 16))[0]
    assert by_time[0, :, :4].all()
    assert int(by_time.sum()) == 4 * 4
    assert int(batch.present.sum()) == 5 * 4
    assert torch.equal(encoder.counted(1, batch), batch.counted)
    later = encoder.counted(2, batch).unflatten(1, (4, 2, 8))[0]
    assert later[0, :, :2].tolist() == [[4, 4], [4, 4]]
    assert int(later.sum()) == 4 * 4
    included = encoder.counted(3, encoder.prepare([noise(1130)], "include")).unflatten(1, (4, 2, 8))[0]
    assert included[0, :, :3].tolist() == [[4, 4, 2], [4, 4, 2]]
    assert int(encoder.counted(2, batch.repeat(3)).sum()) == 3 * 16


def test_long_clip_is_the_weighted_mean_of_its_chunks(models: dict[str, str]) -> None:
    for label, chunk, weights in (("whisper", 32_000, (100, 50)), ("clap", 16_000, (64, 32))):
        encoder = load(models[label])
        sound = noise(chunk + chunk // 2)
        parts = encoder.embed([sound[:chunk], sound[chunk:]])
        expected = np.average(parts, axis=0, weights=weights)
        np.testing.assert_allclose(encoder.embed([sound])[0], expected, atol=1e-5)


# A real model, where it lies beside the repository.


@pytest.mark.skipif(not REAL.is_dir(), reason="no real Whisper encoder beside the repository")
def test_real_whisper_encoder_without_its_decoder() -> None:
    encoder: Encoder = load_encoder(f"hf:{REAL}")
    assert encoder.layer_widths == (1536,) * 4
    extractor = hf.WhisperFeatureExtractor.from_pretrained(REAL)
    sounds = [noise(10_000), noise(23_456)]
    given = extractor(sounds, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        tokens = encoder.module(given).last_hidden_state
    expected = torch.stack([tokens[0, :32].mean(0), tokens[1, :74].mean(0)])
    torch.testing.assert_close(torch.from_numpy(encoder.embed(sounds)), expected, atol=1e-5, rtol=1e-5)
