"""Files to mono waveforms: channels averaged, rates converted, nothing else changed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.datasets import audio, readers
from core.datasets.audio import BadAudio, check, load, seconds
from core.datasets.files import EXTENSIONS


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right, third = np.array([0.5, -0.25, 0.0]), np.array([0.25, 0.25, 0.5]), np.zeros(3)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right, third], axis=1), 16_000, subtype="FLOAT")
    found = load(tmp_path / "a.wav", 16_000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.25, 0.0, 0.5 / 3], atol=1e-7)


def test_samples_at_the_models_rate_are_untouched(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).integers(-(2**15), 2**15, 1000).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", wave, 16_000)
    np.testing.assert_array_equal(load(tmp_path / "a.flac", 16_000), wave / np.float32(2**15))


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_tone_is_the_same_tone_at_another_rate(tmp_path: Path, rate: int) -> None:
    def tone(at: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(at // 2) / at)

    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype="FLOAT")
    found, expected = load(tmp_path / "a.wav", 16_000), tone(16_000)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=0.005)


def test_what_the_lower_rate_cannot_hold_is_filtered_out(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000)
    soundfile.write(tmp_path / "a.wav", tone, 48_000, subtype="FLOAT")
    assert np.abs(load(tmp_path / "a.wav", 16_000)[200:-200]).max() < 0.005


def test_duration_from_the_header(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(12_000), 8_000)
    assert seconds(tmp_path / "a.flac") == 1.5


@pytest.mark.parametrize(
    "read", [lambda p: load(p, 16_000), lambda p: check(p, 16_000), seconds], ids=["load", "check", "seconds"]
)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "^file not found$"),
        (b"", r"^file is empty \(0 bytes\)$"),
        (b"version https://git-lfs.github.com/spec/v1\n", "^is a Git LFS pointer, not audio; run 'git lfs pull'"),
        (b"RIFF....WAVE", r"^cannot be read as audio \("),
    ],
)
def test_bad_file_has_its_reason(tmp_path: Path, read: object, content: bytes | None, reason: str) -> None:
    assert callable(read)
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(BadAudio, match=reason):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (np.zeros(0), 16_000, "^holds no samples$"),
        (np.array([0.0, np.nan]), 16_000, "^holds NaN or infinite samples$"),
        (np.array([0.0, np.inf]), 16_000, "^holds NaN or infinite samples$"),
        (np.zeros(100), 9_999_991, "^has 9999991 Hz, which cannot be resampled to 16000 Hz; convert it first$"),
    ],
)
def test_bad_samples_have_their_reason(tmp_path: Path, samples: np.ndarray, rate: int, reason: str) -> None:
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    for read in (load, check):
        with pytest.raises(BadAudio, match=reason):
            read(tmp_path / "a.wav", 16_000)


@pytest.mark.parametrize(("size", "read"), [(None, True), (0xFFFFFFFF, True), (0x7FFFF000, True), (0x10000000, False)])
def test_wave_file_that_is_cut_off_is_told_and_one_of_unknown_length_is_read(
    tmp_path: Path, size: int | None, read: bool
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(999), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    if size:
        content[40:44] = size.to_bytes(4, "little")
        (tmp_path / "a.wav").write_bytes(content)
    if read:
        assert len(load(tmp_path / "a.wav", 16_000)) == 999
    else:
        with pytest.raises(BadAudio, match="is cut off: 268,433,458 bytes"):
            load(tmp_path / "a.wav", 16_000)


@pytest.mark.parametrize("rate", [11_025, 22_254, 44_056, 44_099, 47_999, 191_999])
def test_a_tone_of_any_rate_is_the_same_tone(tmp_path: Path, rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", tone, rate, subtype="FLOAT")
    read = load(tmp_path / "a.wav", 16_000)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    assert len(read) == 16_000
    np.testing.assert_allclose(read[500:-500], expected[500:-500], atol=2e-3)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.wav", {"subtype": "GSM610"}), ("a.au", {"subtype": "G721_32"}), ("a.wav", {"subtype": "IMA_ADPCM"}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}), ("a.caf", {}), ("a.w64", {}),
        ("a.voc", {"subtype": "PCM_16"}), ("a.sph", {"format": "NIST"}), ("a.aifc", {"format": "AIFF"}),
    ],
)  # fmt: skip
def test_what_libsndfile_reads_is_read(tmp_path: Path, name: str, how: dict[str, str]) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000)
    soundfile.write(tmp_path / name, tone, 8_000, **how)
    read = load(tmp_path / name, 8_000)
    assert 8_000 <= len(read) <= 8_600
    assert np.corrcoef(read[:8_000], tone)[0, 1] > 0.9 or how.get("subtype") == "OPUS"
    assert Path(name).suffix in EXTENSIONS


def test_channels_that_cancel_each_other_are_told(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(np.arange(800) / 5)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, -tone], axis=1), 16_000)
    with pytest.raises(
        BadAudio, match="^holds channels that cancel each other when they are averaged; keep one of them$"
    ):
        load(tmp_path / "a.wav", 16_000)
    for kept in (np.stack([tone, -0.9 * tone], axis=1), np.zeros((800, 2))):
        soundfile.write(tmp_path / "b.wav", kept, 16_000)
        assert len(load(tmp_path / "b.wav", 16_000)) == 800


def test_a_single_sample_is_no_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), 16_000)
    with pytest.raises(BadAudio, match="^holds a single sample$"):
        load(tmp_path / "a.wav", 16_000)


def test_what_macos_leaves_beside_a_file_changes_nothing(tmp_path: Path) -> None:
    """libsndfile takes ``._name`` for the format of an MP3 of that name."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "a.mp3", noise, 16_000)
    alone, length = load(tmp_path / "a.mp3", 16_000), seconds(tmp_path / "a.mp3")
    (tmp_path / "._a.mp3").write_bytes(bytes(200))
    assert np.array_equal(load(tmp_path / "a.mp3", 16_000), alone)
    assert seconds(tmp_path / "a.mp3") == length


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_254, 44_099, 44_100, 48_000])
def test_blocks_make_what_one_piece_makes(rate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (rate * 2 + 13, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    whole = load(tmp_path / "a.wav", 16_000)
    assert np.array_equal(whole, audio.resample(noise.mean(axis=1, dtype=np.float32), rate, 16_000))
    monkeypatch.setattr(audio, "_AT_ONCE", 5_001)
    np.testing.assert_allclose(load(tmp_path / "a.wav", 16_000), whole, atol=2e-7)


def test_memory_is_that_of_the_result_whatever_the_length(tmp_path: Path) -> None:
    """Twenty minutes at 48 kHz took 2.5 GB in one piece; at 16 kHz they are 77 MB."""
    soundfile.write(tmp_path / "a.flac", np.zeros((48_000 * 1_200, 1), dtype=np.int16), 48_000)
    code = """
import resource, sys
from pathlib import Path
from core.datasets import audio, levels
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
audio.resample(audio.np.zeros(48_000, dtype="float32"), 48_000, 16_000)
before = used()
waveform = audio.load(Path(sys.argv[1]), 16_000)
levels._levels(waveform), levels.spectrum(waveform)
print(len(waveform), (used() - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.flac")], capture_output=True, text=True, check=True
    )
    n_samples, megabytes = map(int, done.stdout.split())
    assert n_samples == 16_000 * 1_200
    assert megabytes < 77 + 120


def test_a_thread_that_was_given_up_stops_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    monkeypatch.setattr(audio, "_AT_ONCE", 1_000)
    read: list[int] = []

    def slow(*_: object) -> bool:
        read.append(1)
        time.sleep(0.1)
        return readers.given_up()

    monkeypatch.setattr(audio, "given_up", slow)
    with readers.Readers(1) as threads:
        answers = threads.map(lambda path: load(path, 16_000), [tmp_path / "a.wav"], lambda _: 0.25, lambda _: None)
        assert list(answers) == [None]
        time.sleep(0.5)
    assert len(read) < 8, "of 16 blocks"
