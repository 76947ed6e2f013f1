"""M2D's network and front end beside `m2d_reference`, an independent and plain one in float64."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
import torchaudio

from core.encoders import load_encoder
from core.encoders.hooks import Counts, keep, record, scale, scale_conditions
from core.encoders.m2d import encoder as m2d
from core.encoders.m2d.checkpoint import Checkpoint, encoder_shapes, layout_of_name
from tests.support.m2d_reference import Reference, log_mel, reference
from tests.support.tiny_m2d import WRAPS, build, random_state, write

PAPERS = "m2d-80x608p16x16"
SECONDS = (3.0, 6.08, 11.0)
NAMES = (
    PAPERS,
    "m2d-80x608p16x16p32k",
    "m2d-80x208p16x16",
    "m2d-80x200p16x4",
    "m2d-80x608p80x2",
    "m2d-80x1001p16x16",
)


def sound(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """A gliding tone in noise, its level rising."""
    time = np.arange(round(seconds * rate)) / rate
    noise = 0.05 * np.random.default_rng(seed).standard_normal(len(time))
    return ((noise + 0.3 * np.sin(2 * np.pi * (300 + 40 * time) * time)) * (0.1 + time / 10)).astype(np.float32)


@cache
def encoder_of(name: str, wrap: str = "flat") -> m2d.M2DEncoder:
    with TemporaryDirectory() as folder:
        return m2d.load(write(Path(folder), name, wrap, state_of(name)))


@cache
def state_of(name: str) -> dict[str, torch.Tensor]:
    return random_state(name, width=128, mlp_width=192)


@cache
def reference_of(name: str, seconds: float, mistake: str = "") -> Reference:
    layout = layout_of_name(name)
    assert layout is not None
    state = {key: t.double().numpy() for key, t in state_of(name).items()}
    rate = layout.sample_rate
    return reference(state, sound(seconds, rate), rate, layout.n_frames, mistake=mistake)


def run(encoder: m2d.M2DEncoder, waveforms: list[np.ndarray], padding: str = "include") -> tuple[np.ndarray, Counts]:
    batch = encoder.prepare(waveforms, padding)
    with torch.inference_mode(), record(encoder, batch) as counts:
        return encoder.forward(batch).numpy(), counts


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", SECONDS)
def test_features_and_counts_are_the_references(name: str, seconds: float) -> None:
    encoder, expected = encoder_of(name), reference_of(name, seconds)
    found, counts = run(encoder, [sound(seconds, encoder.sample_rate)])
    np.testing.assert_allclose(found[0], expected.clip, atol=2e-5, rtol=0)
    assert counts.tokens[0] == expected.n_tokens
    assert np.abs(counts.positive[0].numpy() - expected.positive.reshape(-1)).max() <= 1


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("seconds", SECONDS)
def test_every_layout_of_file_gives_the_same_encoder(wrap: str, seconds: float) -> None:
    expected = reference_of(PAPERS, seconds)
    found, counts = run(encoder_of(PAPERS, wrap), [sound(seconds, 16_000)])
    np.testing.assert_allclose(found[0], expected.clip, atol=2e-5, rtol=0)
    assert np.abs(counts.positive[0].numpy() - expected.positive.reshape(-1)).max() <= 1


@pytest.mark.parametrize(
    "mistake",
    ["prefix-cut position table", "tanh GELU", "LayerNorm eps 1e-5", "HTK mel", "tail padded with log eps"],
)
def test_a_typical_mistake_would_show(mistake: str) -> None:
    found, _ = run(encoder_of(PAPERS), [sound(3.0, 16_000)])
    assert np.abs(found[0] - reference_of(PAPERS, 3.0).clip).max() < 2e-5
    assert np.abs(found[0] - reference_of(PAPERS, 3.0, mistake).clip).max() > 8e-5


def test_full_size_is_the_references() -> None:
    layout = layout_of_name(PAPERS)
    assert layout is not None
    generator = torch.Generator().manual_seed(1)
    shapes = encoder_shapes(768, 3072, 12, (16, 16), 1 + 5 * 38)
    first = {
        key: torch.randn(s, generator=generator).mul_(0.02)
        for key, s in shapes.items()
        if not re.match(r"blocks\.[1-9]", key)
    }
    # All blocks have the weights of the first: 86 million numbers would take seconds to draw.
    state = {key: first[re.sub(r"blocks\.\d+", "blocks.0", key)] for key in shapes}
    for key in first:
        if "norm" in key and key.endswith("weight"):
            first[key] += 1
    encoder = m2d.M2DEncoder(Checkpoint("random", "0" * 64, layout, layout, state))
    assert (encoder.n_features, encoder.n_neurons, encoder.n_layers) == (3840, 36_864, 12)
    waveform = sound(0.5, 16_000)
    found, counts = run(encoder, [waveform])
    double = {id(t): t.double().numpy() for t in first.values()}
    expected = reference({key: double[id(t)] for key, t in state.items()}, waveform, 16_000, 608)
    np.testing.assert_allclose(found[0], expected.clip, atol=2e-5, rtol=0)
    assert np.abs(counts.positive[0].numpy() - expected.positive.reshape(-1)).max() <= 1


# The front end.


@pytest.mark.parametrize("rate", [16_000, 32_000])
@pytest.mark.parametrize("seconds", [0.0126, 0.5, 3.0])
def test_log_mel_is_the_references_and_torchaudios(rate: int, seconds: float) -> None:
    front_end = m2d.FrontEnd(rate, 80, (0.0, 1.0))
    waveform = sound(seconds, rate)
    frames, first, n_frames = front_end([waveform])
    found = frames[first[0] : first[0] + n_frames[0]].T.numpy()
    assert found.shape == (80, 1 + len(waveform) // (rate // 100))
    np.testing.assert_allclose(found, log_mel(waveform, rate), atol=1e-3, rtol=0)
    theirs = torchaudio.transforms.MelSpectrogram(
        rate, n_fft=rate // 40, hop_length=rate // 100, f_min=50.0, f_max=rate / 2, n_mels=80, norm="slaney",
        mel_scale="slaney",
    )(torch.from_numpy(waveform))  # fmt: skip
    np.testing.assert_allclose(found, torch.log(theirs + 1.1920929e-07).numpy(), atol=1e-3, rtol=0)
    assert np.abs(found - log_mel(waveform, rate, "HTK mel")).max() > 0.1


def test_silence_is_log_of_machine_epsilon_and_norm_stats_are_used() -> None:
    for (mean, std), expected in (((0.0, 1.0), -15.942385), ((-7.1, 4.2), -2.105330), ((-6.0, 2.0), -4.971192)):
        frames, _, _ = m2d.FrontEnd(16_000, 80, (mean, std))([np.zeros(16_000, np.float32)])
        torch.testing.assert_close(frames, torch.full_like(frames, expected), atol=1e-5, rtol=0)


def test_clips_in_one_transform_do_not_touch_and_memory_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    front_end = m2d.FrontEnd(16_000, 80, (-7.1, 4.2))
    clips = [sound(s, 16_000, i) for i, s in enumerate((0.5, 0.0126, 1.003, 0.7))]
    for piece in (30_000, 7):
        monkeypatch.setattr(m2d, "FRAMES_AT_ONCE", piece)
        frames, first, n_frames = front_end(clips)
        for i, clip in enumerate(clips):
            alone, start, n = front_end([clip])
            assert n_frames[i] == n[0] == 1 + len(clip) // 160
            torch.testing.assert_close(
                frames[first[i] : first[i] + n[0]], alone[start[0] : start[0] + n[0]], atol=1e-5, rtol=1e-5
            )


def test_clip_too_short_to_be_mirrored_is_filled_with_silence() -> None:
    encoder = encoder_of(PAPERS)
    waveform = sound(1.0, 16_000)[-150:]
    filled = np.pad(waveform, (0, 51))
    np.testing.assert_array_equal(encoder.embed([waveform]), encoder.embed([filled]))
    assert encoder.prepare([waveform]).counted.sum() == 5


# Chunks, tokens and what is counted.


@pytest.mark.parametrize(
    ("name", "seconds", "chunks", "tokens"),
    [
        (PAPERS, 1.0, [7], 35),
        (PAPERS, 2.5, [16], 80),
        (PAPERS, 3.0, [19], 95),
        (PAPERS, 4.0, [26], 130),
        (PAPERS, 5.0, [32], 160),
        (PAPERS, 5.8, [37], 185),
        (PAPERS, 6.08, [38, 1], 195),
        (PAPERS, 8.2, [38, 14], 260),
        (PAPERS, 11.0, [38, 31], 345),
        (PAPERS, 30.0, [38, 38, 38, 38, 36], 940),
        ("m2d-80x1001p16x16", 10.0, [62], 310),
        ("m2d-80x1001p16x16", 9.95, [62], 310),  # 996 frames: no 63rd column, the position table has none
        ("m2d-80x1001p16x16", 12.0, [62, 13], 375),
        ("m2d-80x608p16x16p32k", 6.08, [38, 1], 195),
        ("m2d-80x200p16x4", 3.0, [50, 26], 380),
        ("m2d-80x608p80x2", 3.0, [151], 151),
    ],
)
def test_columns_and_tokens(name: str, seconds: float, chunks: list[int], tokens: int) -> None:
    encoder = encoder_of(name)
    n_freq = encoder.layout.grid[0]
    batch = encoder.prepare([np.zeros(round(seconds * encoder.sample_rate), np.float32)], "include")
    assert (batch.present[:, 1:].sum(1) / n_freq).tolist() == chunks
    assert batch.counted.sum() == tokens
    assert torch.equal(batch.counted[:, 1:], batch.present[:, 1:])
    assert batch.present[:, 0].all()
    assert not batch.counted[:, 0].any()


@pytest.mark.parametrize(
    ("n_frames", "columns"),
    [(3, 1), (15, 1), (16, 1), (17, 1), (31, 1), (32, 2), (608, 38), (609, 38), (623, 38), (624, 39)],
)
def test_exclude_counts_columns_whose_frames_are_all_sound(n_frames: int, columns: int) -> None:
    waveform = np.zeros((n_frames - 1) * 160, np.float32)
    assert encoder_of(PAPERS).prepare([waveform], "exclude").counted.sum() == 5 * columns


def test_short_and_long_rows_of_a_batch_are_counted_as_alone() -> None:
    encoder = encoder_of(PAPERS)
    seconds = (1.0, 6.08, 0.004, 11.0, 0.1)
    clips = [sound(s, 16_000, i) for i, s in enumerate(seconds)]
    for padding in ("exclude", "include"):
        together, counts = run(encoder, clips, padding)
        for i, clip in enumerate(clips):
            alone, own = run(encoder, [clip], padding)
            np.testing.assert_allclose(together[i], alone[0], atol=2e-5, rtol=0)
            assert counts.tokens[i] == own.tokens[0]
            assert (counts.positive[i] - own.positive[0]).abs().max() <= 1


def test_attention_mask_is_left_out_where_all_tokens_are_present() -> None:
    encoder = encoder_of(PAPERS)
    assert encoder.prepare([sound(1.0, 16_000)] * 2).full
    assert not encoder.prepare([sound(1.0, 16_000), sound(2.0, 16_000)]).full
    batch = encoder.prepare([sound(6.08, 16_000)])
    assert not batch.full
    assert not batch.repeat(3).full


def test_ablation_on_copies_of_rows_equals_ablation_alone() -> None:
    encoder = encoder_of(PAPERS)
    clips = [sound(6.08, 16_000), sound(1.0, 16_000)]
    conditions = [[(1, 3), (1, 4)], [], [(1, i) for i in range(100)]]
    with torch.inference_mode():
        batch = encoder.prepare(clips)
        hidden = encoder.block(0, encoder.begin(batch), batch)
        copies = batch.repeat(3)
        with scale_conditions(encoder, conditions, 0.0):
            together = encoder.finish(encoder.block(1, hidden.repeat(3, 1, 1), copies), copies).numpy()
    for i, neurons in enumerate(conditions):
        with scale(encoder, neurons, 0.0):
            np.testing.assert_allclose(together[2 * i : 2 * i + 2], encoder.embed(clips), atol=1e-5, rtol=0)
    assert np.abs(together[0] - together[2]).max() > 1e-3


def test_a_block_ends_by_adding_what_its_neurons_say() -> None:
    encoder = encoder_of(PAPERS)
    assert encoder.ends_with_mlp
    with torch.inference_mode():
        batch = encoder.prepare([sound(1.0, 16_000)])
        hidden = encoder.begin(batch)
        with keep(encoder, [0]) as kept:
            whole = encoder.block(0, hidden, batch)
        with scale(encoder, [(0, 3), (0, 7)], 0.0):
            without = encoder.block(0, hidden, batch)
    said = kept[0][..., [3, 7]] @ encoder.projections[0].weight[:, [3, 7]].T
    torch.testing.assert_close(whole - said, without, atol=1e-5, rtol=1e-5)


# Features.


@pytest.mark.parametrize("name", [PAPERS, "m2d-80x200p16x4", "m2d-80x608p80x2"])
def test_frame_features_are_the_references(name: str) -> None:
    encoder = encoder_of(name)
    short, long = encoder.frame_features([sound(1.0, 16_000), sound(6.08, 16_000)])
    expected = reference_of(name, 6.08).frames
    assert long.shape == expected.shape
    np.testing.assert_allclose(long, expected, atol=5e-5, rtol=0)
    np.testing.assert_allclose(short.mean(0), encoder.embed([sound(1.0, 16_000)])[0], atol=1e-5)


def test_flat_features_are_the_mean_of_all_patches(tmp_path: Path) -> None:
    path = write(tmp_path, PAPERS, state=state_of(PAPERS))
    encoder = m2d.load(path, flat_features=True)
    expected = reference_of(PAPERS, 6.08).frames.reshape(-1, 5, 128).mean((0, 1))
    assert encoder.n_features == 128
    np.testing.assert_allclose(encoder.embed([sound(6.08, 16_000)])[0], expected, atol=2e-5, rtol=0)
    assert encoder.weights_key != m2d.load(path).weights_key


def test_norm_stats_of_the_file_take_the_place_of_the_default(tmp_path: Path) -> None:
    state = {**state_of(PAPERS), "norm_stats": torch.tensor([-6.0, 2.0])}
    encoder = m2d.load(write(tmp_path, PAPERS, state=state))
    plain = {key: t.double().numpy() for key, t in state_of(PAPERS).items()}
    expected = reference(plain, sound(1.0, 16_000), 16_000, 608, norm=(-6.0, 2.0)).clip
    np.testing.assert_allclose(encoder.embed([sound(1.0, 16_000)])[0], expected, atol=2e-5, rtol=0)


def test_bfloat16_leaves_the_front_end_alone_and_features_near() -> None:
    encoder = encoder_of(PAPERS)
    clips = [sound(6.08, 16_000), sound(1.0, 16_000)]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        batch = encoder.prepare(clips)
        found = encoder.forward(batch)
    assert torch.equal(batch.inputs, encoder.prepare(clips).inputs)
    np.testing.assert_allclose(found.float().numpy(), encoder.embed(clips), atol=0.1)


def test_the_registry_loads_it_and_it_tells_what_it_is(tmp_path: Path) -> None:
    name, path = build(tmp_path)
    encoder = load_encoder(name, path)
    assert isinstance(encoder, m2d.M2DEncoder)
    assert (encoder.name, encoder.checkpoint) == ("m2d", "m2d_vit_base-80x208p16x16-tiny")
    assert encoder.layer_widths == (128, 128)
    assert "80x208 log-mel at 16 kHz; patches of 16x16" in encoder.description
    assert "evaluation" in encoder.licence
    assert "\n" not in encoder.description + encoder.licence
