"""Every encoder is asked the same; then the front end of the embedded ones."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.arrays.neurons import to_neurons
from core.datasets import InputError
from core.encoders import Encoder, known_encoders, load_encoder
from core.encoders.hooks import Counts, keep, record, scale
from core.encoders.nano import NanoConfig, NanoViT, sincos_positions
from tests.support import official, tiny_m2d, tiny_own, tiny_torchaudio

try:
    from tests.support import tiny_hf

    HUGGING_FACE = tuple(tiny_hf.MODELS)
except ImportError:  # without the extra [hf]
    HUGGING_FACE = ()

WAVEFORM_FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec")
EMBEDDED = ("nano-ssl", "nano-sl", "nano-untrained")


@cache
def built() -> dict[str, tuple[str, Path | None]]:
    """Every encoder there is, small ones of the families: what it is -> name and weights for `load_encoder`."""
    folder = Path(tempfile.mkdtemp(prefix="encoders-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found: dict[str, tuple[str, Path | None]] = {name: (name, None) for name in EMBEDDED}
    found["m2d"] = tiny_m2d.build(folder)
    found |= {kind: tiny_torchaudio.build(folder, kind) for kind in tiny_torchaudio.KINDS}
    found |= {family: official.build(folder, family) for family in official.FAMILIES}
    found["own"] = tiny_own.build(folder)
    if HUGGING_FACE:
        found |= {label: (name, None) for label, name in tiny_hf.build(folder).items()}
    return found


NAMES = (*EMBEDDED, "m2d", *official.FAMILIES, *tiny_torchaudio.KINDS, "own", *HUGGING_FACE)
every_encoder = pytest.mark.parametrize("name", NAMES)


def load_again(name: str) -> Encoder:
    return load_encoder(*built()[name])


load = cache(load_again)


def noise(seconds: float, encoder: Encoder, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * encoder.sample_rate))).astype(np.float32)


def record_all(encoder: Encoder, waveforms: list[np.ndarray], padding: str = "exclude") -> Counts:
    batch = encoder.prepare(waveforms, padding)
    with torch.inference_mode(), record(encoder, batch) as counts:
        encoder.forward(batch)
    return counts


@every_encoder
def test_projections_are_as_wide_as_the_layers_and_run_in_order(name: str) -> None:
    encoder = load(name)
    assert tuple(p.in_features for p in encoder.projections) == encoder.layer_widths
    assert encoder.n_layers == len(encoder.layer_widths)
    assert encoder.n_neurons == sum(encoder.layer_widths)
    order: list[int] = []
    hooks = [
        projection.register_forward_pre_hook(lambda *_, layer=layer: order.append(layer))
        for layer, projection in enumerate(encoder.projections)
    ]
    encoder.embed([noise(0.3, encoder)])
    for hook in hooks:
        hook.remove()
    assert order == list(range(encoder.n_layers))


@every_encoder
def test_embeddings_have_their_shape_and_differ(name: str) -> None:
    encoder = load(name)
    found = encoder.embed([noise(0.3, encoder, 0), noise(0.3, encoder, 1)])
    assert found.shape == (2, encoder.n_features)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert not np.allclose(found[0], found[1], atol=1e-3)


@every_encoder
def test_same_sound_gives_the_same_bits_also_from_a_second_load(name: str) -> None:
    encoder, again = load(name), load_again(name)
    sound = [noise(0.3, encoder)]
    np.testing.assert_array_equal(encoder.embed(sound), encoder.embed(sound))
    np.testing.assert_array_equal(encoder.embed(sound), again.embed(sound))
    assert encoder.weights_key == again.weights_key


def test_encoders_of_different_weights_have_different_keys() -> None:
    assert len({load(name).weights_key for name in NAMES}) == len(NAMES)


@every_encoder
def test_batch_of_unequal_lengths_equals_one_by_one(name: str) -> None:
    encoder = load(name)
    sounds = [noise(s, encoder, i) for i, s in enumerate((0.1, 0.75, 0.3, 3.0))]
    together, counts = encoder.embed(sounds), record_all(encoder, sounds)
    for i, sound in enumerate(sounds):
        np.testing.assert_allclose(together[i], encoder.embed([sound])[0], atol=2e-4, rtol=1e-3)
        alone = record_all(encoder, [sound])
        assert counts.tokens[i] == alone.tokens[0]
        torch.testing.assert_close(counts.total[i], alone.total[0], atol=1e-2, rtol=1e-3)
        # An activation within rounding of 0 may fall to either side.
        assert (counts.positive[i] != alone.positive[0]).float().mean() < 0.01


@every_encoder
def test_counts_stay_within_the_tokens(name: str) -> None:
    encoder = load(name)
    counts = record_all(encoder, [noise(0.3, encoder), noise(0.7, encoder)])
    assert counts.positive.shape == (2, encoder.n_neurons)
    assert (counts.positive >= 0).all()
    assert (counts.positive <= counts.tokens[:, None]).all()
    assert 0 < counts.positive.float().mean() < counts.tokens.float().mean()


@every_encoder
def test_clip_longer_than_a_chunk_is_one_clip_whose_tokens_add_up(name: str) -> None:
    encoder = load(name)
    long = noise(31.0, encoder)
    batch = encoder.prepare([noise(0.3, encoder), long])
    assert batch.clip[0] == 0
    assert len(batch.clip) > 2, "no encoder reads 31 s at once"
    assert (batch.clip[1:] == 1).all()
    counts = record_all(encoder, [long])
    assert counts.tokens[0] == batch.counted[1:].sum()
    assert encoder.embed([long]).shape == (1, encoder.n_features)


@every_encoder
@pytest.mark.parametrize("n_samples", [1, 100])
@pytest.mark.parametrize("padding", ["exclude", "include"])
def test_very_short_clip_has_tokens_and_a_finite_embedding(name: str, n_samples: int, padding: str) -> None:
    encoder = load(name)
    sound = noise(0.1, encoder)[:n_samples]
    assert np.isfinite(encoder.embed([sound])).all()
    counts = record_all(encoder, [sound], padding)
    assert counts.tokens[0] > 0
    assert torch.isfinite(counts.total).all()


@every_encoder
def test_gain_1_changes_no_bit_gain_0_changes_the_embedding_and_hooks_go(name: str) -> None:
    encoder = load(name)
    sound = [noise(0.3, encoder)]
    before = encoder.embed(sound)
    for layer in range(encoder.n_layers):
        neurons = [(layer, i) for i in range(encoder.layer_widths[layer])]
        with scale(encoder, neurons, 1.0):
            np.testing.assert_array_equal(encoder.embed(sound), before)
        with scale(encoder, neurons, 0.0):
            assert not np.allclose(encoder.embed(sound), before, atol=1e-3)
    np.testing.assert_array_equal(encoder.embed(sound), before)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in encoder.module.modules())


@every_encoder
def test_without_any_neuron_every_block_adds_only_its_bias(name: str) -> None:
    encoder = load(name)
    neurons = to_neurons(np.arange(encoder.n_neurons), encoder.layer_widths)
    seen: list[torch.Tensor] = []
    hooks = [
        p.register_forward_hook(lambda p, _, out: seen.append(out - (0 if p.bias is None else p.bias)))
        for p in encoder.projections
    ]
    with scale(encoder, neurons, 0.0):
        encoder.embed([noise(0.3, encoder)])
    for hook in hooks:
        hook.remove()
    assert len(seen) == encoder.n_layers
    assert all(bool((added == 0).all()) for added in seen)


@every_encoder
def test_block_that_ends_with_its_mlp_changes_by_what_the_scaled_neurons_write(name: str) -> None:
    encoder = load(name)
    batch = encoder.prepare([noise(0.3, encoder)])
    neurons = [(0, i) for i in range(0, encoder.layer_widths[0], 3)]
    columns = torch.tensor([i for _, i in neurons])
    with torch.inference_mode():
        hidden = encoder.begin(batch)
        with keep(encoder, [0]) as activations:
            before = encoder.block(0, hidden, batch)
        with scale(encoder, neurons, 0.0):
            after = encoder.block(0, hidden, batch)
        written = activations[0][..., columns] @ encoder.projections[0].weight[:, columns].T
    if encoder.ends_with_mlp:
        torch.testing.assert_close(before - after, written, atol=1e-4, rtol=1e-3)
    elif not name.startswith("clap"):  # there only the last block of a stage does more
        assert not torch.allclose(before - after, written, atol=1e-3)


@every_encoder
def test_padding_excluded_never_counts_more_tokens_than_included(name: str) -> None:
    encoder = load(name)
    sounds = [noise(s, encoder) for s in (0.01, 0.33, 2.2)]
    excluded, included = (record_all(encoder, sounds, p) for p in ("exclude", "include"))
    assert (excluded.tokens <= included.tokens).all()
    # Convolutions that do not pad make no token that holds padding; BEATs and ATST leave out the tail.
    pads = not name.startswith(("TINY_", "beats", "atst", *WAVEFORM_FAMILIES))
    assert bool((excluded.tokens < included.tokens).any()) == pads
    assert (excluded.positive <= included.positive).all()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("nano-sssl", "nano-ssl"),
        ("nano", "nano-s"),
        ("untrained", "nano-untrained"),
        ("BEATs:x.pt", "beats:<checkpoint>"),
        ("EAT:x", "eat:<checkpoint or folder>"),
        ("audio-mae:x.pth", "audiomae:<checkpoint>"),
        ("atst-frame", "atst:<checkpoint>"),
        ("wavlm:base", "hf:<folder or id>"),
    ],
)
def test_unknown_name_names_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"unknown model '{typed}'; did you mean {meant}.*docs/encoders\.md"):
        load_encoder(typed)


def test_name_like_no_other_names_all() -> None:
    with pytest.raises(InputError, match=", ".join(map(re.escape, known_encoders()))):
        load_encoder("zzz")


@pytest.mark.parametrize("content", ["missing", "text", "other network", "other shape"])
def test_weights_that_do_not_fit_are_an_input_error_with_the_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "weights.safetensors"
    if content == "text":
        path.write_text("not weights")
    elif content == "other network":
        save_file({"a": torch.zeros(2)}, path)
    elif content == "other shape":
        save_file({"a": torch.zeros(2)}, path, {"config": '{"width": 48}'})
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        load_encoder("nano-ssl", path)


# The embedded models' front end.


def test_log_mel_has_one_frame_each_10_ms() -> None:
    log_mel = load("nano-ssl").log_mel
    for n_samples in (400, 1599, 1600, 16_000):
        assert log_mel(torch.zeros(n_samples)).shape == (80, n_samples // 160)
    silence = log_mel(torch.zeros(1600))
    torch.testing.assert_close(silence, torch.full_like(silence, np.log(np.finfo(np.float32).eps)))


def test_log_mel_rises_with_pitch_and_by_the_square_of_the_level() -> None:
    log_mel = load("nano-ssl").log_mel
    time = torch.arange(8000) / 16_000
    tones = [torch.sin(2 * torch.pi * f * time) for f in (200, 400, 1000, 3000, 7000)]
    peaks = [int(log_mel(tone)[:, 10].argmax()) for tone in tones]
    assert peaks == sorted(set(peaks))
    quiet, loud = (log_mel(level * tones[2])[peaks[2], 10] for level in (0.1, 1.0))
    assert float(loud - quiet) == pytest.approx(np.log(100), abs=1e-3)


def test_positions_hold_time_then_frequency() -> None:
    table = sincos_positions(5, 13, 32)
    assert table.shape == (5, 13, 32)
    assert torch.equal(table[0, :, :16], table[4, :, :16])
    assert torch.equal(table[:, 0, 16:], table[:, 12, 16:])
    # Each half is sine and cosine of position * 10000 ** (-i / 8); here i = 0.
    by_hand = torch.tensor([np.sin(7), np.cos(7), np.sin(3), np.cos(3)], dtype=torch.float32)
    torch.testing.assert_close(table[3, 7, [0, 8, 16, 24]], by_hand)
    assert len(torch.unique(table.flatten(0, 1), dim=0)) == 65


def test_shorter_chunk_takes_the_first_columns_of_the_position_table() -> None:
    network = NanoViT(NanoConfig(width=32, n_heads=2, n_layers=1, mlp_width=8))
    mel = torch.randn(1, 80, 208)
    whole = network.tokens(mel).unflatten(1, (2, 13))
    part = network.tokens(mel[:, :, :48]).unflatten(1, (2, 3))
    torch.testing.assert_close(part, whole[:, :, :3])


def test_token_is_its_patch_frequency_major() -> None:
    network = NanoViT(NanoConfig(width=32, n_heads=2, n_layers=1, mlp_width=8))
    mel = torch.randn(1, 80, 64)
    changed = mel.clone()
    changed[0, 1 * 40 + 5, 3 * 16 + 1] += 1  # frequency 1, time 3 of 4
    differs = (network.tokens(mel) != network.tokens(changed)).any(2)[0]
    assert differs.nonzero().flatten().tolist() == [1 * 4 + 3]


@pytest.mark.parametrize(
    ("n_samples", "rows", "present", "exclude"),
    [
        (100, 1, 1, 1),  # shorter than a window: one column, kept although not whole
        (16 * 160, 1, 1, 1),
        (17 * 160, 1, 2, 1),  # one frame in the second column
        (208 * 160, 1, 13, 13),
        (209 * 160, 2, 14, 13),  # a second chunk of one frame
        (416 * 160, 2, 26, 26),
    ],
)
def test_columns_of_sound_and_whole_columns(n_samples: int, rows: int, present: int, exclude: int) -> None:
    encoder = load("nano-ssl")
    sound = np.zeros(n_samples, dtype=np.float32)
    for padding, counted in (("exclude", exclude), ("include", present)):
        batch = encoder.prepare([sound], padding)
        assert batch.clip.tolist() == [0] * rows
        assert batch.present.sum() == 2 * present
        assert batch.counted.sum() == 2 * counted


def test_fill_of_the_last_chunk_is_not_attended_to() -> None:
    encoder = load("nano-ssl")
    batch = encoder.prepare([noise(0.3, encoder), noise(2.0, encoder)])
    before = encoder.forward(batch)
    absent = ~batch.present[0].unflatten(0, (2, -1))[0].repeat_interleave(16)
    batch.inputs[0][:, absent] = 7.0
    torch.testing.assert_close(encoder.forward(batch), before, atol=1e-5, rtol=1e-5)
