"""Hugging Face models of a type that is not known: what is found, what is asked, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

hf = pytest.importorskip("transformers")

from core.encoders import load_encoder  # noqa: E402
from core.encoders.hooks import record  # noqa: E402
from core.errors import InputError  # noqa: E402
from core.recording.listen import rebuild  # noqa: E402
from tests.support import tiny_hf, tiny_sound  # noqa: E402
from tests.support.tiny_hf import noise  # noqa: E402


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tiny_hf.build(tmp_path_factory.mktemp("models"))


def refusal(*given: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_encoder(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_found_is_told_and_asked_before_it_is_used(tmp_path: Path) -> None:
    name, *_ = tiny_sound.build(tmp_path)
    told = refusal(name)
    for fact in (
        "is of a type that is not known here", "3 blocks (layers) of 48 neurons", "50 tokens a second",
        "inputs (input_values) by Wav2Vec2FeatureExtractor at 16,000 Hz", "embeddings of 32", "--confirm-structure",
    ):  # fmt: skip
        assert fact in told


def test_confirmed_it_is_the_networks_own_pass(tmp_path: Path) -> None:
    given = tiny_sound.build(tmp_path)
    encoder = load_encoder(*given)
    model = tiny_sound.TinySound.from_pretrained(tmp_path / "tiny-sound").eval()
    sounds = [noise(n, n) for n in (4_000, 16_000, 400, 9_999)]
    seen: list[torch.Tensor] = []
    for found, sound in zip(encoder.embed(sounds), sounds, strict=True):
        with torch.inference_mode():
            own = model(torch.from_numpy(sound)[None]).last_hidden_state[0]
        np.testing.assert_allclose(found, own.mean(0), atol=1e-5)
    hook = model.layers[1].out_of.register_forward_pre_hook(lambda _, x: seen.append(x[0][0]))
    with torch.inference_mode():
        model(torch.from_numpy(sounds[3])[None])
        batch = encoder.prepare([sounds[3], sounds[1]])
        with record(encoder, batch) as counts:
            encoder.forward(batch)
    hook.remove()
    assert (counts.positive[0, 48:96] - (seen[0] > 0).sum(0)).abs().max() <= 1  # within rounding of 0
    assert int(counts.tokens[0]) == len(seen[0]) == (9_999 - 400) // 320 + 1


@pytest.mark.parametrize("label", ["wav2vec2", "hubert-large", "unispeech", "s2t"])
def test_a_known_family_read_by_structure_gives_what_its_own_reader_gives(
    label: str, models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Any = load_encoder(models[label])
    monkeypatch.setattr("core.encoders.hf.FAMILIES", {})
    found: Any = load_encoder(models[label], None, "cpu", None, True)
    assert (found.hop, found.layer_widths) == (own.hop if label != "s2t" else 640, own.layer_widths)
    assert found.weights_key == own.weights_key
    sounds = [noise(n, n) for n in (8_000, 3_000, 3_000, 16_001)]
    np.testing.assert_allclose(found.embed(sounds), own.embed(sounds), atol=2e-4)


def test_copies_and_some_clips_of_a_ragged_batch_run_from_any_block(tmp_path: Path) -> None:
    encoder = load_encoder(*tiny_sound.build(tmp_path))
    with torch.inference_mode():
        batch = encoder.prepare([noise(9_000), noise(4_000, 1), noise(500_000, 2)])
        hidden = encoder.block(0, encoder.begin(batch), batch)
        after = encoder.block(1, hidden, batch)
        twice = batch.repeat(2)
        torch.testing.assert_close(encoder.block(1, hidden.repeat(2, 1, 1), twice), after.repeat(2, 1, 1))
        some, rows = twice.take(torch.tensor([2, 1, 5, 2]))
        torch.testing.assert_close(encoder.block(1, hidden.repeat(2, 1, 1)[rows], some), after.repeat(2, 1, 1)[rows])


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ("unlike blocks", r"its blocks (layers) are called with different things, so none runs alone"),
        ("more behind", r"more than a norm follows its last block (layers), which cannot be cut off"),
        ("no mask", r"two clips of unequal lengths in a batch give another result than one by one (layers)"),
        ("two MLPs", r"no blocks with one MLP each were found; layers: block 0 holds 2 MLP output projections"),
    ],
)
def test_what_cannot_be_cut_at_its_blocks_is_refused_even_confirmed(odd: str, told: str, tmp_path: Path) -> None:
    message = refusal(*tiny_sound.build(tmp_path, odd))
    assert told in message and "tiny-sound" in message and "see docs/encoders.md" in message


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"model_type": "encodec"},
            "of type 'encodec': it has an LSTM between its convolutions: no MLP, so no neurons",
        ),
        ({"model_type": "dac"}, "no MLP, so no neurons"),
        ({"model_type": "dasheng"}, "--model dasheng:<folder>"),
        ({"model_type": "bert"}, "of type 'bert', which takes input_ids and no sound alone; read here are whisper"),
        (
            {"model_type": "wav2vec3"},
            "transformers has no network of its own for; the nearest that is read here is wav2vec2",
        ),
        ({}, "of type 'None', which transformers has no network"),
    ],
)
def test_other_types_are_answered_with_the_nearest(config: dict[str, str], told: str, tmp_path: Path) -> None:
    tiny_sound.build(tmp_path)
    (tmp_path / "tiny-sound/config.json").write_text(json.dumps(config))
    message = refusal(f"hf:{tmp_path / 'tiny-sound'}", None, "cpu", None, True)
    assert told in message and "docs/encoders.md" in message


@pytest.mark.parametrize("extractor", [None, "BertTokenizer", "../evil", 7])
def test_inputs_of_unknown_making_are_refused(extractor: object, tmp_path: Path) -> None:
    given = tiny_sound.build(tmp_path)
    settings = tmp_path / "tiny-sound/preprocessor_config.json"
    settings.write_text(json.dumps({"feature_extractor_type": extractor, "sampling_rate": 16_000}))
    assert "names no feature extractor of transformers" in refusal(*given)


@pytest.mark.parametrize(
    ("of", "told"),
    [
        ("whisper", "makes input_features, the network takes input_values"),
        ("ast", "makes (100, 32) of any clip, so which of its tokens are the clip's is not known"),
    ],
)
def test_inputs_of_another_model_or_of_one_length_are_refused(
    of: str, told: str, models: dict[str, str], tmp_path: Path
) -> None:
    given = tiny_sound.build(tmp_path)
    shutil.copy(tiny_hf.folder(models[of]) / "preprocessor_config.json", tmp_path / "tiny-sound")
    assert told in refusal(*given)


def test_code_beside_the_weights_is_never_run(tmp_path: Path) -> None:
    given = tiny_sound.build(tmp_path)
    folder = tmp_path / "tiny-sound"
    for name in ("config.json", "preprocessor_config.json"):
        content = json.loads((folder / name).read_text())
        content["auto_map"] = dict.fromkeys(("AutoConfig", "AutoModel", "AutoFeatureExtractor"), "evil.Evil")
        (folder / name).write_text(json.dumps(content))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    assert load_encoder(*given).n_layers == 3
    assert not (tmp_path / "ran").exists()


def test_page_takes_it_as_confirmed_where_the_run_was(tmp_path: Path) -> None:
    name, *given = tiny_sound.build(tmp_path)
    key = load_encoder(name, *given).weights_key
    run = {"models": [name], "confirm_structure": True}
    assert rebuild("hf:tiny-sound", key, [run]).n_layers == 3
    with pytest.raises(InputError, match="--confirm-structure"):
        rebuild("hf:tiny-sound", key, [{"models": [name]}])
