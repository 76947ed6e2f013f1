"""One clip through an encoder: the same numbers as a study's, in their place, from the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import torch

from core.datasets import audio
from core.datasets.audio import BadAudio
from core.encoders import load_encoder, nano
from core.encoders.hooks import keep, record
from core.encoders.untrained import untrained
from core.errors import InputError
from core.recording import listen
from core.results import TokenGrid
from tests.support import official, tiny_own

RATE = nano.SAMPLE_RATE


@pytest.fixture(scope="module")
def encoder() -> nano.NanoEncoder:
    return nano.load("nano-ssl")


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32)


def test_a_clip_alone_gives_what_it_gives_in_a_study(encoder: nano.NanoEncoder) -> None:
    clips = [noise(1.3, 1), noise(2.9, 2)]
    batch = encoder.prepare(clips)
    with torch.inference_mode(), record(encoder, batch) as counts:
        encoder.forward(batch)
    heard = listen.hear(encoder, clips[1])
    assert heard.n_tokens == int(counts.tokens[1]) == 2 * 18
    assert heard.mean == pytest.approx((counts.total[1] / heard.n_tokens).numpy(), abs=1e-4)
    assert np.abs(heard.rate * heard.n_tokens - counts.positive[1].numpy()).max() <= 1


def test_padding_is_counted_only_where_the_run_counted_it(encoder: nano.NanoEncoder) -> None:
    clip = noise(0.5)  # 50 frames: 3 columns of 16 and a part of one
    assert [listen.hear(encoder, clip, how).n_tokens for how in ("exclude", "include")] == [6, 8]


def test_activations_that_are_no_numbers_are_told(encoder: nano.NanoEncoder) -> None:
    with pytest.raises(InputError, match="no finite activations"):
        listen.hear(encoder, np.full(RATE, np.nan, dtype=np.float32))


def test_a_trace_lies_where_the_tokens_lie(encoder: nano.NanoEncoder) -> None:
    clip = noise(3.0)  # a chunk of 13 columns and one of 5 whole ones
    batch = encoder.prepare([clip])
    with torch.inference_mode(), keep(encoder, [2]) as kept:
        encoder.forward(batch)
    (trace,) = listen.trace(encoder, clip, [(2, 17)])
    assert trace.activation.shape == (2, 18)
    assert trace.column_seconds == pytest.approx(0.16)
    assert len(trace.band_edges_hz) == 3
    expected = kept[2][0, 1 * 13 + 7, 17].clamp(min=0)  # band 1, column 7 of the first chunk
    assert trace.activation[1, 7] == pytest.approx(float(expected))
    expected = kept[2][1, 1 * 13 + 2, 17].clamp(min=0)  # band 1, column 2 of the second
    assert trace.activation[1, 15] == pytest.approx(float(expected))


def test_a_trace_holds_every_counted_token(encoder: nano.NanoEncoder) -> None:
    clip = noise(2.5, 3)
    heard = listen.hear(encoder, clip)
    neurons = [(0, 5), (5, 700), (0, 5)]
    for (layer, index), trace in zip(neurons, listen.trace(encoder, clip, neurons), strict=True):
        assert (trace.activation > 0).mean() == pytest.approx(float(heard.rate[768 * layer + index]))


def test_columns_of_chunks_with_gaps_become_even() -> None:
    grid = TokenGrid((0.0, 1.0), 0.5, 0.5, 2.0, 2)  # columns at 0, 0.5, 2, 2.5 seconds
    even, step = listen._even(np.array([[1, 2, 3, 4]], dtype=np.float32), grid, 3.0)
    assert step == 0.5
    assert even.tolist() == [[1, 2, 0, 0, 3, 4]]
    same, _ = listen._even(even, TokenGrid((0.0, 1.0), 0.5, 0.5, 1.0, 2), 3.0)
    assert same is even


def test_columns_of_unknown_length_share_the_clip() -> None:
    even, step = listen._even(np.ones((1, 4), dtype=np.float32), TokenGrid((0.0, 1.0)), 6.0)
    assert step == 1.5
    assert even.shape == (1, 4)


def test_resampling_is_the_studys_own(tmp_path: Path) -> None:
    samples = noise(0.5, rate=22_050)
    soundfile.write(tmp_path / "a.wav", samples, 22_050, subtype="FLOAT")
    assert np.array_equal(audio.resample(samples, 22_050, RATE), audio.load(tmp_path / "a.wav", RATE))
    assert audio.resample(samples, RATE, RATE) is samples
    with pytest.raises(BadAudio, match="9999991 Hz"):
        audio.resample(samples, 9_999_991, RATE)


def test_an_embedded_model_is_rebuilt(encoder: nano.NanoEncoder) -> None:
    rebuilt = listen.rebuild("nano-ssl", encoder.weights_key, [{"models": ["nano-ssl", "nano-sl"], "weights": ""}])
    assert rebuilt.weights_key == encoder.weights_key
    assert listen.rebuild("nano-ssl", encoder.weights_key, []).name == "nano-ssl"


def test_other_weights_are_refused(encoder: nano.NanoEncoder) -> None:
    with pytest.raises(InputError, match="other weights than those that were measured"):
        listen.rebuild("nano-sl", encoder.weights_key, [{"models": ["nano-sl"]}])


def test_weights_come_from_the_run_that_measured_them(encoder: nano.NanoEncoder, tmp_path: Path) -> None:
    there = tmp_path / "mine.safetensors"
    there.write_bytes((nano.WEIGHTS / "nano-ssl.safetensors").read_bytes())
    runs = [
        {"models": ["nano-sl"], "weights": str(tmp_path / "gone.safetensors")},
        {"models": ["nano-sl"], "weights": str(there)},
    ]
    assert listen.rebuild("nano-sl", encoder.weights_key, runs).weights_key == encoder.weights_key
    with pytest.raises(InputError, match=r"gone\.safetensors"):
        listen.rebuild("mine", encoder.weights_key, [{**runs[0], "models": ["mine"]}])


def test_a_twin_is_rebuilt_from_its_seed(encoder: nano.NanoEncoder) -> None:
    for name, seed in (("nano-untrained", 3), ("nano-untrained", 0)):
        twin = untrained(encoder, seed)
        runs = [{"models": ["nano-ssl"], "untrained": True, "seed": seed}]
        assert listen.rebuild(name, twin.weights_key, runs).weights_key == twin.weights_key
    with pytest.raises(InputError, match="other weights"):
        listen.rebuild("nano-untrained", untrained(encoder, 3).weights_key, [{"models": ["nano-ssl"], "seed": 4}])


def test_a_model_of_a_file_is_rebuilt_from_its_name_that_tells_no_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    official.write(tmp_path, "atst", "as trained")
    monkeypatch.setenv("HOME", str(tmp_path))
    measured = load_encoder("atst:~/atst-as-trained.ckpt")
    runs = [{"models": ["atst:~/atst-as-trained.ckpt"]}]
    rebuilt = listen.rebuild("atst:atst-as-trained", measured.weights_key, runs)
    assert (rebuilt.name, rebuilt.weights_key) == (measured.name, measured.weights_key)


@pytest.mark.parametrize(
    ("name", "run", "told"),
    [
        ("hf:tiny", {"models": ["hf:/nowhere/tiny"]}, "hf:/nowhere/tiny is not on this machine"),
        ("hf:tiny", {"models": ["hf:someone/tiny"]}, "hf:someone/tiny is not on this machine"),
        ("m2d", {"models": ["m2d"], "weights": "/nowhere/m2d.pth"}, "no weights at /nowhere/m2d.pth"),
        ("m2d:x", {"models": ["m2d:/nowhere/x.pth"]}, "no weights at /nowhere/x.pth"),
        ("beats:x", {"models": ["beats:/nowhere/x.pt"]}, "no weights at /nowhere/x.pt on this machine"),
        ("eat", {"models": ["eat"], "weights": ""}, "no weights at (none given) on this machine"),
        ("torchaudio:NONE", {"models": ["torchaudio:NONE"]}, "no bundle 'NONE'"),
        ("nothing", {"models": "not a list"}, "no run of this store tells"),
        ("nothing", {}, "no run of this store tells"),
    ],
)
def test_what_is_not_here_is_told_in_a_line_and_not_fetched(
    name: str, run: dict[str, object], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("asked the network"))
    with pytest.raises(InputError) as error:
        listen.rebuild(name, "key", [run])
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_torchaudio_bundle_is_looked_for_in_its_cache_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: pytest.fail("fetched"))
    with pytest.raises(InputError, match="on this machine"):
        listen.rebuild("torchaudio:HUBERT_BASE", "key", [{"models": ["torchaudio:HUBERT_BASE"]}])


def test_code_that_a_store_names_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, weights = tiny_own.build(tmp_path)
    code = tmp_path / "my_encoder.py"
    code.write_text(code.read_text() + "\nopen(__file__ + '.ran', 'w').close()\n")
    runs = [{"models": [name], "weights": str(weights)}]
    with pytest.raises(InputError, match=listen.OWN_MODEL):
        listen.rebuild("python:my_encoder", "key", runs)
    assert not (tmp_path / "my_encoder.py.ran").exists()
    monkeypatch.setenv(listen.OWN_MODEL, name)
    key = load_encoder(name, weights).weights_key
    assert listen.rebuild("python:my_encoder", key, runs).weights_key == key
