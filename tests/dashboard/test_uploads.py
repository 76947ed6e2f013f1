"""Anyone's file into samples: what is read, what is refused in one sentence, and what the worker may not do."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]

from core.datasets import audio
from dashboard.views.listen import uploads

ROOT = Path(__file__).resolve().parents[2]


def tone(seconds: float = 0.5, rate: int = 16_000, n_channels: int = 1, level: float = 0.5) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return np.repeat(level * np.sin(2 * np.pi * 440 * time)[:, None], n_channels, axis=1).astype(np.float32)


def file(samples: np.ndarray, rate: int = 16_000, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(("rate", "n_channels"), [(8_000, 1), (44_100, 2), (96_000, 6)])
def test_any_rate_and_channels_are_read_as_mono(rate: int, n_channels: int) -> None:
    sound = uploads.decode(file(tone(0.5, rate, n_channels), rate))
    assert (sound.sample_rate, sound.n_channels, sound.shortened) == (rate, n_channels, False)
    assert sound.seconds == pytest.approx(0.5)
    assert np.abs(sound.samples - tone(0.5, rate)[:, 0]).max() < 1e-4


def test_channels_are_averaged() -> None:
    both = np.stack([np.full(8000, 0.5), np.full(8000, 0.1)], axis=1)
    assert uploads.decode(file(both, 8_000, subtype="FLOAT")).samples == pytest.approx(0.3)


@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("AIFF", "PCM_24")])
def test_other_formats_are_read(kind: str, subtype: str) -> None:
    sound = uploads.decode(file(tone(), kind=kind, subtype=subtype))
    assert sound.seconds == pytest.approx(0.5, abs=0.01)
    assert np.abs(sound.samples).max() == pytest.approx(0.5, abs=0.05)


def test_a_file_on_disk_is_the_same_sound(tmp_path: Path) -> None:
    content = file(tone(), kind="FLAC")
    (tmp_path / "a.flac").write_bytes(content)
    with (tmp_path / "a.flac").open("rb") as opened:
        sound = uploads.decode(opened, "a.flac")
    assert sound.key == uploads.decode(content).key
    assert sound.key != uploads.decode(file(tone(level=0.4))).key


ID3 = b"ID3\x03\x00\x00\x00\x00\x07\x76" + bytes(7 * 128 + 0x76)


@pytest.mark.parametrize(
    ("name", "before", "kind"),
    [("a.wav", ID3, "WAV"), ("a.mp3", bytes(3_000), "MP3"), ("a.MP3", ID3 + bytes(2_000), "MP3"), ("a.mp3", b"", "WAV"),
     ("no ending", b"", "WAV"), ("a.w/../v", b"", "FLAC")],
)  # fmt: skip
def test_what_the_page_decodes_is_what_a_run_decodes(name: str, before: bytes, kind: str, tmp_path: Path) -> None:
    content = before + file(
        tone(1.0, 16_000), 16_000, kind=kind, subtype="MPEG_LAYER_III" if kind == "MP3" else "PCM_16"
    )
    path = tmp_path / name.replace("/", "_")
    path.write_bytes(content)
    run = audio.load(path, 16_000)
    assert np.array_equal(uploads.decode(content, name).samples, run)
    with path.open("rb") as opened:
        assert np.array_equal(uploads.decode(opened, name).samples, run)


def test_the_first_half_minute_is_kept() -> None:
    limit = uploads.MAX_SECONDS
    whole, longer = (uploads.decode(file(tone(limit + extra, 4_000), 4_000)) for extra in (0, 1))
    assert (whole.seconds, whole.shortened) == (limit, False)
    assert (longer.seconds, longer.shortened) == (limit, True)
    assert longer.key == whole.key


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"not a sound at all " * 50, "cannot be read as sound"),
        (b"version https://git-lfs.github.com/spec/v1\n", "cannot be read as sound"),
        (file(tone())[:30], "cannot be read as sound"),
        (b"fLaC" + bytes(500), "cannot be read as sound"),
        (b"RIFF" + b"\xff" * 400, "cannot be read as sound"),
        (file(np.zeros((0, 1))), "holds no sound"),
        (file(np.zeros((8000, 2))), "is silent"),
        (file(tone(0.05)), "too short"),
        (file(np.full((8000, 1), np.nan), subtype="FLOAT"), "NaN or infinity"),
        (file(tone(0.5, 1_000), 1_000), "samples a second"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_sentence(content: bytes, told: str) -> None:
    with pytest.raises(uploads.BadSound) as error:
        uploads.decode(content)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert "Traceback" not in str(error.value)


def test_too_large_a_file_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 1_000)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(uploads.BadSound, match="more than 0 MB"):
        uploads.decode(file(tone()))


def test_damaged_files_are_sound_or_refused() -> None:
    rng = np.random.default_rng(0)
    whole = bytearray(file(tone(), kind="FLAC"))
    for _ in range(6):
        damaged = bytearray(whole)
        for place in rng.integers(0, 200, 8):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(uploads.BadSound):  # any other error is a fault
            assert np.isfinite(uploads.decode(bytes(damaged)).samples).all()


def test_a_worker_that_takes_too_long_is_ended() -> None:
    with pytest.raises(uploads.BadSound, match="not decoded within"):
        uploads.decode(file(tone()), seconds=0.001)


_BEGUN = b'{"problem": "", "rate": 8000, "channels": 1, "shortened": false}\n' + np.ones(8000, dtype="<f4").tobytes()


@pytest.mark.parametrize("said", [b"", b"\x00\xff", b"[1]\nxx", b'{"problem": ""}\n', _BEGUN, _BEGUN[:-1]])
def test_a_worker_that_died_is_told(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    died = subprocess.CompletedProcess([], -11, said)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: died)
    with pytest.raises(uploads.BadSound, match="decoder stopped"):
        uploads.decode(file(tone()))


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
@pytest.mark.parametrize(
    ("deed", "ends_as"),
    [("bytearray(2 << 30)", "MemoryError"), ("open('here', 'wb', buffering=0).write(b'x')", "OSError"), ("0", "")],
)
def test_the_worker_has_bounds(deed: str, ends_as: str, tmp_path: Path) -> None:
    module = "from dashboard.views.listen import uploads"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {module}; uploads._limit(); {deed}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) is bool(ends_as)
    assert ends_as in done.stderr


def test_wav_for_the_browser_is_the_same_sound() -> None:
    sound = uploads.decode(file(tone(0.5, 22_050), 22_050))
    samples, rate = soundfile.read(io.BytesIO(uploads.wav(sound)))
    assert rate == 22_050
    assert samples == pytest.approx(sound.samples, abs=1e-4)
