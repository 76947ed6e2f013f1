"""Which patch of time and frequency a token is: numbers by hand, and sounds that fall into one patch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.encoders import load_encoder
from core.encoders.base import Encoder
from core.encoders.hooks import keep
from core.encoders.mel import band_edges, to_hz, to_mel
from core.recording.patterns import clip_cells
from core.results import TokenGrid
from tests.support import tiny_hf, tiny_m2d, tiny_own, tiny_torchaudio


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tiny_hf.build(tmp_path_factory.mktemp("hf"))


@pytest.fixture(scope="module")
def m2d(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(*tiny_m2d.build(tmp_path_factory.mktemp("m2d")))


def cells(encoder: Encoder, seconds: list[float], layer: int = 0) -> list[NDArray[np.int64]]:
    """Where each clip's patches are in a batch of noises."""
    noises = [tiny_hf.noise(round(s * encoder.sample_rate), i) for i, s in enumerate(seconds)]
    batch = encoder.prepare(noises)
    counted = (encoder.counted(layer, batch) > 0).numpy()
    places = encoder.token_places(layer, counted.shape[1])
    clip = batch.clip.numpy()
    return [
        clip_cells(encoder.token_grid(layer), places, counted, np.flatnonzero(clip == i)) for i in range(len(seconds))
    ]


def test_mel_scales() -> None:
    assert to_mel(1000) == pytest.approx(15)
    assert to_mel(6400) == pytest.approx(42)
    assert to_mel(700, "htk") == pytest.approx(2595 * np.log10(2))
    for scale in ("slaney", "htk"):
        back = to_hz(np.array([to_mel(hertz, scale) for hertz in (50, 999, 4000)]), scale)
        np.testing.assert_allclose(back, [50, 999, 4000])


def test_bands_meet_halfway_between_the_centres_of_filters() -> None:
    # Four filters from 0 to 1000 Hz, where the scale is linear: centres at 200, 400, 600, 800.
    assert band_edges([0, 1, 2, 4], 4, 0, 1000) == (0.0, 300.0, 500.0, 1000.0)
    assert band_edges([0, 2, 3], 4, 0, 1000)[-1] == 700.0


def test_nano_has_two_bands_and_m2d_five_of_160_ms(m2d: Encoder) -> None:
    for encoder, n_bands in ((load_encoder("nano-ssl"), 2), (m2d, 5)):
        grid = encoder.token_grid(0)
        assert (grid.n_bands, grid.chunk_columns) == (n_bands, 13)
        assert grid.column_seconds == grid.span_seconds == pytest.approx(0.16)
        assert grid.chunk_seconds == pytest.approx(2.08)
        assert grid.band_edges_hz[0] == 50.0
        assert grid.band_edges_hz[-1] == 8000.0
        assert all(low < high for low, high in zip(grid.band_edges_hz[:-1], grid.band_edges_hz[1:], strict=True))


@pytest.mark.parametrize("name", ["nano", "m2d"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_click_in_a_tone_changes_its_column_and_band_most(name: str, layer: int, m2d: Encoder) -> None:
    encoder = load_encoder("nano-ssl") if name == "nano" else m2d
    grid = encoder.token_grid(layer)
    time = np.arange(3 * 16_000) / 16_000
    for second, hertz in ((0.55, 300.0), (1.0, 6000.0), (2.5, 1800.0)):
        quiet = tiny_hf.noise(len(time), 1) * 0.01
        burst = 0.5 * np.sin(2 * np.pi * hertz * time) * (np.abs(time - second) < 0.03)
        batch = encoder.prepare([quiet, (quiet + burst).astype(np.float32)])
        with torch.inference_mode(), keep(encoder, [layer]) as kept:
            encoder.forward(batch)
        places = encoder.token_places(layer, batch.counted.shape[1])
        clip = batch.clip.numpy()
        flat = kept[layer].flatten(0, 1).numpy()
        laid_out = [flat[clip_cells(grid, places, batch.counted.numpy(), np.flatnonzero(clip == i))] for i in range(2)]
        change = np.abs(laid_out[1] - laid_out[0]).sum(2)
        band, column = np.unravel_index(change.argmax(), change.shape)
        start = column // 13 * 2.08 + column % 13 * 0.16
        assert start - 0.02 <= second <= start + 0.18
        assert grid.band_edges_hz[band] <= hertz <= grid.band_edges_hz[band + 1]


def test_m2d_leaves_out_the_class_token(m2d: Encoder) -> None:
    (found,) = cells(m2d, [0.5])  # 51 frames: three whole patches
    assert found.tolist() == [[1 + 4 * band + column for column in range(3)] for band in range(5)]


def test_rows_of_a_long_clip_follow_each_other(m2d: Encoder) -> None:
    short, long = cells(m2d, [0.5, 2.6])  # 261 frames: 208 and 53, of which three patches are whole
    assert short.shape == (5, 3)
    assert long.shape == (5, 13 + 3)
    n_tokens = 1 + 5 * 13
    assert long[0].tolist() == [n_tokens + 1 + i for i in range(13)] + [2 * n_tokens + 1 + i for i in range(3)]


def test_frames_of_waveform_models_are_one_band_of_20_ms(hf: dict[str, str], tmp_path: Path) -> None:
    bundle = load_encoder(*tiny_torchaudio.build(tmp_path))
    grid = bundle.token_grid(1)
    assert grid.band_edges_hz == (0.0, 8000.0)
    assert (grid.column_seconds, grid.span_seconds, grid.chunk_seconds, grid.chunk_columns) == (0.02, 0.025, 30.0, 1500)
    assert [c.shape for c in cells(bundle, [1.0, 0.5])] == [(1, 49), (1, 24)]
    for name in ("wav2vec2", "hubert", "wavlm", "data2vec"):
        tiny = load_encoder(hf[name])  # at 4 kHz a frame of 320 samples is 80 ms
        grid = tiny.token_grid(0)
        assert (grid.n_bands, grid.column_seconds) == (1, 0.08)
        assert grid.chunk_columns is not None
        assert grid.chunk_seconds == pytest.approx(grid.chunk_columns * 0.08)
        one, long = cells(tiny, [0.5, 31.0])
        assert long.shape[1] == (31 * 4000 - tiny.window) // 320 + 1  # type: ignore[attr-defined]
        assert one.shape[1] == (2000 - tiny.window) // 320 + 1  # type: ignore[attr-defined]


def test_whisper_has_tokens_of_20_ms(hf: dict[str, str]) -> None:
    whisper = load_encoder(hf["whisper"])
    grid = whisper.token_grid(0)
    assert (grid.band_edges_hz, grid.column_seconds, grid.span_seconds) == ((0.0, 8000.0), 0.02, 0.02)
    assert (grid.chunk_seconds, grid.chunk_columns) == (2.0, 100)
    short, long = cells(whisper, [0.1, 2.5])
    assert short.tolist() == [[0, 1, 2, 3, 4]]
    assert long.shape == (1, 125)
    assert long[0, [99, 100]].tolist() == [199, 200]


def test_ast_has_overlapping_patches_after_two_special_tokens(hf: dict[str, str]) -> None:
    ast = load_encoder(hf["ast"])
    grid = ast.token_grid(0)
    # 32 mel bands and 100 frames, patches of 16 each 10: 2 x 9.
    assert (grid.n_bands, grid.chunk_columns) == (2, 9)
    assert (grid.column_seconds, grid.span_seconds, grid.chunk_seconds) == pytest.approx((0.1, 0.16, 1.0))
    assert grid.band_edges_hz[0] == 20.0
    # The bands share filters 10 to 15: they meet at filter 13, halfway from its neighbour's centre.
    assert grid.band_edges_hz[1:] == band_edges([13, 26], 32, 20.0, 8000.0, "htk")
    (found,) = cells(ast, [0.6])  # 58 frames: patches from 0, 10, 20, 30, 40 are whole
    assert found.tolist() == [[2 + i for i in range(5)], [2 + 9 + i for i in range(5)]]


def test_clap_unfolds_its_square_and_gets_coarser(hf: dict[str, str]) -> None:
    clap = load_encoder(hf["clap"])
    first, last = clap.token_grid(0), clap.token_grid(3)
    # A square of 64, folded in four segments of 16 mel bands; patches of 4: 4 bands x 64 columns a second.
    assert (first.n_bands, first.chunk_columns, first.column_seconds) == (4, 64, 1 / 64)
    assert (last.n_bands, last.chunk_columns, last.column_seconds) == (2, 32, 1 / 32)
    assert first.band_edges_hz[0] == 0.0
    assert first.band_edges_hz[-1] == 8000.0
    assert last.band_edges_hz == first.band_edges_hz[::2]
    places = clap.token_places(0, 256)
    assert places[0, :17].tolist() == [*range(16), 64]  # the lowest band: a row of each segment
    assert places[1, 0] == 16
    (fine,) = cells(clap, [0.5])
    (coarse,) = cells(clap, [0.5], layer=3)
    assert (fine.shape, coarse.shape) == ((4, 32), (2, 16))


def test_an_encoder_of_ones_own_has_one_band_of_its_counted_tokens(tmp_path: Path) -> None:
    own = load_encoder(*tiny_own.build(tmp_path))
    grid = own.token_grid(0)
    assert (grid.band_edges_hz, grid.column_seconds, grid.chunk_columns) == ((0.0, 8000.0), None, None)
    short, long = cells(own, [0.1, 12.0])
    assert short.shape == (1, 2)  # 1,600 samples: two whole tokens of 640
    assert long.shape == (1, 300)
    assert long[0, [249, 250]].tolist() == [250 + 249, 2 * 250]


def test_columns_before_the_last_counted_one_stay_in_place() -> None:
    counted = np.array([[False, True, False, False, True, False]])
    places = np.array([[1, 2, 3], [3, 4, 5]])
    rows = np.array([0])
    known = clip_cells(TokenGrid((0.0, 1.0, 2.0), 0.1, 0.1), places, counted, rows)
    assert known.tolist() == [[1, -1], [-1, 4]]
    nothing = clip_cells(TokenGrid((0.0, 1.0, 2.0), 0.1, 0.1), places, ~counted & False, rows)
    assert nothing.shape == (2, 0)
    unknown = clip_cells(TokenGrid((0.0, 1.0)), np.arange(6)[None], counted, rows)
    assert unknown.tolist() == [[1, 4]]
    two = np.array([[True, False, False], [True, True, False]])
    chunked = clip_cells(TokenGrid((0.0, 1.0), 0.1, 0.1, 0.3, 3), np.arange(3)[None], two, np.array([0, 1]))
    assert chunked.tolist() == [[0, -1, -1, 3, 4]]  # the second chunk begins where its time does
