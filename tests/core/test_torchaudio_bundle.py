"""The torchaudio bundles: small networks in their form against torchaudio's own forward, and one of real size."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio
from safetensors.torch import save_file
from torch import nn

from core.encoders import load_encoder
from core.encoders.hooks import Counts, record, scale
from core.encoders.torchaudio_bundle import BundleEncoder, _about, add_bundle, bundles
from core.errors import InputError
from tests.support import tiny_torchaudio as tiny

KINDS = tuple(tiny.KINDS)
every_kind = pytest.mark.parametrize("kind", KINDS)
WAVLM_BASE, WAVLM_LARGE = KINDS[2:]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@cache
def load(folder: Path, kind: str) -> BundleEncoder:
    return load_encoder(*tiny.build(folder, kind))  # type: ignore[return-value]


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples) + 0.02).astype(np.float32)


def as_torchaudio(kind: str, sound: np.ndarray) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Output and input of each MLP output projection, (n_frames, ...), by torchaudio's own forward."""
    made = tiny.network(kind)
    seen: list[torch.Tensor] = []
    for layer in made.encoder.transformer.layers:
        layer.feed_forward.output_dense.register_forward_pre_hook(lambda _, x: seen.append(x[0][0]))
    # What bundle.get_model wraps a network in.
    wrapped = torchaudio.pipelines._wav2vec2.utils._extend_model(made, normalize_waveform=tiny.KINDS[kind][1])
    with torch.inference_mode():
        return wrapped(torch.from_numpy(sound)[None])[0][0], seen


def counts_of(encoder: BundleEncoder, sounds: list[np.ndarray], padding: Any = "exclude") -> Counts:
    batch = encoder.prepare(sounds, padding)
    with torch.inference_mode(), record(encoder, batch) as counts:
        encoder.forward(batch)
    return counts


@every_kind
def test_embedding_and_counts_equal_torchaudios_forward(folder: Path, kind: str) -> None:
    encoder, sounds = load(folder, kind), [noise(n, n) for n in (16_000, 5_000, 16_000, 400)]
    together, counts = encoder.embed(sounds), counts_of(encoder, sounds)
    for i, sound in enumerate(sounds):
        output, neurons = as_torchaudio(kind, sound)
        np.testing.assert_allclose(together[i], output.mean(0), atol=1e-5)
        np.testing.assert_allclose(encoder.embed([sound])[0], output.mean(0), atol=1e-5)
        flat = torch.cat(neurons, 1)
        assert counts.tokens[i] == len(flat) == (len(sound) - 400) // 320 + 1
        torch.testing.assert_close(counts.total[i], flat.sum(0), atol=1e-4, rtol=1e-5)
        near_0 = (flat.abs() < 1e-6).sum(0)
        assert ((counts.positive[i] - (flat > 0).sum(0)).abs() <= near_0).all()


@every_kind
def test_hidden_state_after_each_block_equals_extract_features(folder: Path, kind: str) -> None:
    encoder, sound = load(folder, kind), torch.from_numpy(noise(8_000))
    batch = encoder.prepare([sound.numpy()])
    given = nn.functional.layer_norm(sound, sound.shape) if encoder.normalize else sound
    with torch.inference_mode():
        expected = tiny.network(kind).extract_features(given[None])[0]
        hidden = encoder.begin(batch)
        for layer in range(encoder.n_layers):
            hidden = encoder.block(layer, hidden, batch)
            torch.testing.assert_close(hidden, expected[layer], atol=1e-5, rtol=1e-5)


@every_kind
def test_a_later_block_runs_alone_on_copies_of_rows(folder: Path, kind: str) -> None:
    encoder = load(folder, kind)
    batch = encoder.prepare([noise(8_000), noise(3_000, 1)])
    with torch.inference_mode():
        hidden = encoder.begin(batch)
        after = encoder.finish(encoder.block(2, hidden, batch), batch)
        encoder.embed([noise(2_000)])  # another number of tokens in between
        copies = batch.repeat(3)
        again = encoder.finish(encoder.block(2, hidden.repeat(3, 1, 1), copies), copies)
    torch.testing.assert_close(again, after.repeat(3, 1), atol=1e-6, rtol=1e-6)


@every_kind
def test_what_fills_a_shorter_row_does_not_matter(folder: Path, kind: str) -> None:
    encoder = load(folder, kind)
    batch = encoder.prepare([noise(3_000), noise(16_000)])
    before = encoder.forward(batch)
    batch.inputs[0, 3_000:] = 7.0
    torch.testing.assert_close(encoder.forward(batch), before, atol=0, rtol=0)


@every_kind
def test_gain_0_equals_zeroed_columns_and_gain_1_changes_no_bit(folder: Path, kind: str) -> None:
    encoder = load(folder, kind)
    sounds = [noise(4_000), noise(900, 1)]
    before = encoder.embed(sounds)
    with scale(encoder, [(1, 5), (1, 6)], 1.0):
        np.testing.assert_array_equal(encoder.embed(sounds), before)
    with scale(encoder, [(1, 5), (1, 6)], 0.0):
        without = encoder.embed(sounds)
    changed = load_encoder(*tiny.build(folder, kind))
    changed.projections[1].weight[:, [5, 6]] = 0
    np.testing.assert_allclose(without, changed.embed(sounds), atol=1e-6)
    assert not np.allclose(without, before, atol=1e-4)
    assert not any(m._forward_pre_hooks for m in encoder.module.modules())


@pytest.mark.parametrize("kind", [KINDS[0], WAVLM_LARGE])
def test_long_clip_has_as_many_frames_as_in_one_piece(folder: Path, kind: str) -> None:
    encoder = load(folder, kind)
    chunk = 1500 * 320  # samples from one chunk to the next; its last window reaches 80 further
    for n_samples, lengths in (
        (chunk + 80, [chunk + 80]),
        (chunk + 399, [chunk + 80]),  # not a window left: as in one piece, not looked at
        (chunk + 400, [chunk + 80, 400]),
        (2 * chunk + 1000, [chunk + 80, chunk + 80, 1000]),
    ):
        batch = encoder.prepare([noise(n_samples)])
        rows = sorted((row, n) for found, n in batch.groups for row in found.tolist())
        assert [n for _, n in rows] == lengths
        assert batch.clip.tolist() == [0] * len(lengths)
        assert batch.counted.sum() == (n_samples - 400) // 320 + 1
    long = noise(chunk + 8_000)
    cut = encoder.prepare([long])
    whole = nn.functional.layer_norm(torch.from_numpy(long), long.shape) if encoder.normalize else long
    np.testing.assert_array_equal(cut.inputs[0], whole[: chunk + 80])
    np.testing.assert_array_equal(cut.inputs[1, :8_000], whole[chunk:])
    if not encoder.normalize:
        parts = [encoder.embed([long[: chunk + 80]]), encoder.embed([long[chunk:]])]
        mean = (1500 * parts[0] + 24 * parts[1]) / 1524
        np.testing.assert_allclose(encoder.embed([long]), mean, atol=1e-5)


def test_normalised_over_the_clip_before_it_is_filled_or_cut(folder: Path) -> None:
    encoder = load(folder, WAVLM_LARGE)
    sound = np.array([1, 3], np.float32)  # mean 2, variance 1
    batch = encoder.prepare([sound, noise(600)])
    np.testing.assert_allclose(batch.inputs[0, :3], [-1, 1, 0], atol=1e-4)
    assert batch.inputs[0].abs().sum() == pytest.approx(2, abs=1e-4)
    plain = load(folder, WAVLM_BASE).prepare([sound]).inputs
    assert plain.shape == (1, 400) and plain[0, :3].tolist() == [1, 3, 0]


@pytest.mark.parametrize("padding", ["exclude", "include"])
@pytest.mark.parametrize(("n_samples", "tokens"), [(1, 1), (399, 1), (400, 1), (719, 1), (720, 2), (16_000, 49)])
def test_tokens_of_a_clip(folder: Path, padding: Any, n_samples: int, tokens: int) -> None:
    sounds = [noise(n_samples), noise(1_000)]
    encoder = load(folder, KINDS[0])
    counts = counts_of(encoder, sounds, padding)
    assert counts.tokens.tolist() == [tokens, 2]
    assert np.isfinite(encoder.embed(sounds)).all()


def test_many_equal_rows_are_convolved_in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, sounds = load(folder, KINDS[0]), [noise(2_000, i) for i in range(5)]
    whole = encoder.embed(sounds)
    monkeypatch.setattr("core.encoders.torchaudio_bundle.SAMPLES_PER_CONVOLUTION", 4_500)
    assert [rows.tolist() for rows, _ in encoder.prepare(sounds).groups] == [[0, 1], [2, 3], [4]]
    np.testing.assert_allclose(encoder.embed(sounds), whole, atol=1e-6)


@every_kind
def test_bfloat16_autocast_stays_near(folder: Path, kind: str) -> None:
    encoder, sounds = load(folder, kind), [noise(4_000), noise(900, 1)]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = encoder.forward(encoder.prepare(sounds))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, encoder.embed(sounds), atol=0.15)


# Weights and names.


def test_real_base_bundle_from_a_file(tmp_path: Path) -> None:
    bundle = torchaudio.pipelines.WAV2VEC2_BASE
    with torch.device("meta"):
        own = torchaudio.models.wav2vec2_model(**bundle._params)
    random = torch.Generator().manual_seed(0)
    state = {
        name: torch.empty(value.shape, dtype=torch.float16).uniform_(-0.05, 0.05, generator=random)
        for name, value in own.state_dict().items()
    }
    path = tmp_path / "fetched.pth"
    torch.save(state, path)
    encoder = load_encoder("torchaudio:WAV2VEC2_BASE", path)
    path.unlink()  # 190 MB
    assert encoder.layer_widths == (3072,) * 12
    assert encoder.n_features == 768 and encoder.sample_rate == 16_000
    assert encoder.name == "torchaudio:WAV2VEC2_BASE"
    assert encoder.licence == "MIT" and "960 hours" in encoder.description
    own.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    sound = noise(2_000)
    with torch.inference_mode():
        expected = own.eval()(torch.from_numpy(sound)[None])[0].mean(1)
    np.testing.assert_allclose(encoder.embed([sound]), expected, atol=1e-5)


def test_every_bundle_has_a_licence_a_line_and_its_own_file() -> None:
    known = {name: bundle for name, bundle in bundles().items() if name not in tiny.KINDS}
    assert {"WAV2VEC2_BASE", "HUBERT_LARGE", "WAVLM_BASE_PLUS", "WAV2VEC2_XLSR_300M", "MMS_FA"} < set(known)
    for name, bundle in known.items():
        description, licence = _about(bundle)
        expected = "CC-BY-NC 4.0" if name == "MMS_FA" else "CC BY-NC 4.0" if "VOXPOPULI" in name else "MIT"
        assert licence == expected, name
        assert "\n" not in description and ":" not in description and len(description) > 40
    assert len({bundle._path for bundle in known.values()}) == len(known)


def test_weights_are_found_in_the_folder_in_torch_hubs_cache_and_by_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    served = tmp_path / "served" / "tiny.pth"
    served.parent.mkdir()
    torch.save(tiny.network(KINDS[0]).state_dict(), served)
    add_bundle("SERVED", tiny.bundle(KINDS[0], served.as_uri()))
    cached = tmp_path / "home" / "hub" / "checkpoints" / "tiny.pth"
    fetched = load_encoder("torchaudio:SERVED")
    assert cached.read_bytes() == served.read_bytes()
    assert fetched.weights_key == hashlib.sha256(served.read_bytes()).hexdigest()
    shutil.rmtree(served.parent)
    assert load_encoder("torchaudio:SERVED").weights_key == fetched.weights_key
    assert load_encoder("torchaudio:SERVED", cached.parent).weights_key == fetched.weights_key


def test_without_file_and_network_the_line_tells_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    add_bundle("AWAY", tiny.bundle(KINDS[0]))
    with pytest.raises(InputError, match=r"^https://localhost:9/tiny\.pth could not .*--weights FILE.*tiny\.pth$"):
        load_encoder("torchaudio:AWAY")


def test_old_names_of_the_positional_convolution_safetensors_and_recognisers(folder: Path) -> None:
    kind = KINDS[0]
    expected = load(folder, kind).embed([noise(1_000)])
    old = tiny.network(kind).state_dict()
    where = "encoder.transformer.pos_conv_embed.conv"
    for new, name in (("original0", "weight_g"), ("original1", "weight_v")):
        old[f"{where}.{name}"] = old.pop(f"{where}.parametrizations.weight.{new}")
    torch.save(old, folder / "old.pt")
    head = nn.Linear(32, 7)
    letters = {f"aux.{name}": value.detach() for name, value in head.named_parameters()}
    save_file(old | letters, folder / "head.safetensors")
    add_bundle("TINY_ASR", tiny.bundle(kind, aux_num_out=7))
    for name, file in ((kind, "old.pt"), ("TINY_ASR", "head.safetensors")):
        found = load_encoder(f"torchaudio:{name}", folder / file)
        np.testing.assert_array_equal(found.embed([noise(1_000)]), expected)
        assert found.weights_key == hashlib.sha256((folder / file).read_bytes()).hexdigest()


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_malicious_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.pth", tmp_path / "ran"
    torch.save({"encoder": Trap(mark)}, path)
    add_bundle(KINDS[0], tiny.bundle(KINDS[0]))
    with pytest.raises(InputError, match=r"^[^\n]*weights\.pth [^\n]*nothing in it was run[^\n]*$"):
        load_encoder(f"torchaudio:{KINDS[0]}", path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("none", "no weights at .*weights.pth; expected TINY_WAV2VEC2_BASE's file, https://localhost:9/tiny.pth"),
        ("text", "not a file of weights"),
        ("empty", "not a file of weights"),
        ("list", "does not hold tensors by name"),
        ("nested", "does not hold tensors by name"),
        ("fewer layers", r"does not fit TINY_WAV2VEC2_BASE \(16 tensors missing, for instance encoder"),
        ("more layers", r"does not fit TINY_WAV2VEC2_BASE \(16 tensors not known, for instance encoder"),
        ("wider", r"does not fit TINY_WAV2VEC2_BASE \(size mismatch for"),
    ],
)
def test_file_that_does_not_fit_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    path, kind = tmp_path / "weights.pth", KINDS[0]
    add_bundle(kind, tiny.bundle(kind))
    state = tiny.network(kind).state_dict()
    if content in ("text", "empty"):
        path.write_text("hello" if content == "text" else "")
    elif content != "none":
        made = {
            "list": [torch.zeros(2)],
            "nested": {"model": state},
            "fewer layers": tiny.network(kind, encoder_num_layers=2).state_dict(),
            "more layers": tiny.network(kind, encoder_num_layers=4).state_dict(),
            "wider": tiny.network(kind, encoder_ff_interm_features=50).state_dict(),
        }
        torch.save(made[content], path)
    with pytest.raises(InputError, match=message) as caught:
        load_encoder(f"torchaudio:{kind}", path)
    assert "\n" not in str(caught.value) and "weights.pth" in str(caught.value)


def test_file_of_another_bundle_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "hubert_fairseq_base_ls960.pth"
    path.touch()
    with pytest.raises(InputError, match="is the file of HUBERT_BASE, not of WAV2VEC2_BASE; use --model torchaudio:H"):
        load_encoder("torchaudio:WAV2VEC2_BASE", path)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("HUBERT_BAS", "did you mean torchaudio:HUBERT_BASE?"), ("wavlm_base_plus", "torchaudio:WAVLM_BASE_PLUS?"),
     ("TACOTRON2", "known are "), ("zzz", "known are .*WAV2VEC2_BASE")],
)  # fmt: skip
def test_unknown_bundle_names_the_nearest(typed: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"torchaudio has no bundle '{typed}'; .*{hint.replace('?', '.')}"):
        load_encoder(f"torchaudio:{typed}")
