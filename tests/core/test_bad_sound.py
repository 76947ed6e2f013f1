"""Headers that lie, samples that are no sound, files that are none: each fault that fuzzing found, by name."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.datasets import audio, scan
from dashboard.shared.player import clip
from tests.support.mutants_sound import whole, written

RATE = 16_000


def refusal(path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(audio.BadAudio) as caught:
        audio.load(path, RATE)
    assert "\n" not in str(caught.value)
    with pytest.raises(audio.BadAudio) as listed:
        audio.check(path, RATE)
    assert str(listed.value) == str(caught.value)
    return str(caught.value)


def with_length(content: bytes, n: int) -> bytes:
    """A FLAC file that says it holds so many samples."""
    return content[:21] + ((content[21] & 0xF0) << 32 | n % (1 << 36)).to_bytes(5, "big") + content[26:]


@pytest.mark.parametrize("n", [2**31, 2**35])
def test_a_header_of_billions_of_samples_takes_no_memory(n: int, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = refusal(tmp_path / "a.flac", with_length(whole("flac"), n))
    with pytest.raises(audio.BadAudio, match="cut it first"):
        audio.seconds(tmp_path / "a.flac")
    assert "samples in 1 channel; at most 67,108,864 values are read of such a file; cut it first" in told
    if sys.platform == "linux":
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 1 << 28


def test_a_stream_of_unknown_length_says_so(tmp_path: Path) -> None:
    told = refusal(tmp_path / "a.flac", with_length(whole("flac"), 0))
    assert told in ("does not tell how long it is (a stream written to a file); convert it first", "holds no samples")


def test_long_silence_is_not_taken_for_a_bomb(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(RATE * 600, dtype=np.int16), RATE)
    assert (tmp_path / "a.flac").stat().st_size < 100_000
    assert audio.load(tmp_path / "a.flac", RATE).shape == (RATE * 600,)


@pytest.mark.parametrize("rate", [1, 99, 10_000_001, 2**31 - 1])
def test_rates_that_no_sound_has(rate: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), rate)
    assert "from 100 to 10,000,000 are read" in refusal(tmp_path / "a.wav")


def test_a_rate_that_makes_a_short_file_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MOST_SAMPLES", 100_000)
    soundfile.write(tmp_path / "a.wav", np.zeros(1_000), 100)
    assert "would have more than 100,000 samples at 16000 Hz" in refusal(tmp_path / "a.wav")


def test_what_the_scan_takes_every_rate_of_a_model_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(500), 44_064)
    monkeypatch.setattr(audio, "_LARGEST_KERNEL", 44_064 * RATE // 32**2)
    for rate in (RATE, 32_000, 48_000):
        assert len(audio.load(tmp_path / "a.wav", rate))


@pytest.mark.parametrize("value", [3e38, -1e30])
@pytest.mark.filterwarnings("error")
def test_samples_beyond_all_measure(value: float, tmp_path: Path) -> None:
    content = written(np.full((400, 2), value), "WAV", "FLOAT")
    assert "beyond 2**31 times full scale" in refusal(tmp_path / "a.wav", content)
    with pytest.raises(soundfile.SoundFileError):
        clip._rendered(str(tmp_path / "a.wav"))


def test_samples_as_whole_numbers_in_floating_point_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(written(np.full((400, 1), 32_767.0), "WAV", "FLOAT"))
    assert audio.load(tmp_path / "a.wav", RATE).max() == 32_767


def test_a_flood_of_empty_chunks_is_not_followed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = whole("wav")
    (tmp_path / "a.wav").write_bytes(content[:12] + b"JUNK\0\0\0\0" * 300 + content[12:])
    monkeypatch.setattr(audio, "_MOST_CHUNKS", 100)
    assert audio._missing_bytes(tmp_path / "a.wav") == 0
    monkeypatch.setattr(audio, "_MOST_CHUNKS", 1_000)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-100])
    assert audio._missing_bytes(tmp_path / "a.wav") == 100


def test_names_too_long_pipes_and_devices_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert refusal(tmp_path / "pipe.wav") == "is no file (a pipe, socket or device)"
    assert "File name too long" in refusal(tmp_path / ("x" * 300 + ".wav"))
    with pytest.raises(audio.BadAudio, match="File name too long"):
        audio.seconds(tmp_path / ("x" * 300 + ".wav"))
    assert refusal(Path("a\0.wav")) == "file not found"


def test_what_lies_behind_the_sound_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").write_bytes(whole("wav") + bytes(10_000))
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read whole"))
    row = scan._look(tmp_path, "a.wav", 1, 1)
    assert row["reason"] == "" and len(str(row["sha256"])) == 64


@pytest.mark.parametrize("rate", [10, 2_000_000_000])
def test_the_page_draws_no_rate_whose_filters_would_fill_the_memory(rate: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(2_000), rate)
    with pytest.raises(soundfile.SoundFileError, match="a rate that no sound has"):
        clip._rendered(str(tmp_path / "a.wav"))


def test_the_page_decodes_no_more_than_it_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((2_000, 4)), RATE)
    monkeypatch.setattr(clip, "MOST_VALUES", 7_999)
    with pytest.raises(soundfile.SoundFileError, match="more samples than are kept"):
        clip._rendered(str(tmp_path / "a.wav"))


def test_a_header_that_tells_of_nothing_is_told_as_that(tmp_path: Path) -> None:
    """Who streamed the file did not go back to its header."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(1600, 0.1), 16_000)
    content = bytearray(path.read_bytes())
    content[40:44] = bytes(4)
    path.write_bytes(content)
    for of in (lambda path: audio.load(path, 16_000), audio.seconds):
        with pytest.raises(audio.BadAudio, match="says in its header that it holds nothing, but 3,200 bytes follow"):
            of(path)
