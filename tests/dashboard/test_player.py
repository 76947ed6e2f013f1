"""The player: which files it takes, where overlays lie, what the browser is told."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from dashboard.shared.player import clip, player
from dashboard.shared.player.player import Overlay, Track, stored_track

SAMPLE_RATE = 16000


def tone(hertz: float = 440, seconds: float = 1.0, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def encoded(kind: str, hertz: float = 440, seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(hertz, seconds), SAMPLE_RATE, format=kind)
    return buffer.getvalue()


def wav(hertz: float = 440, seconds: float = 1.0) -> bytes:
    return encoded("WAV", hertz, seconds)


def row(root: Path, path: str, sha256: str | None = None) -> dict[Hashable, Any]:
    """A clip as the store has it."""
    return {"root": str(root), "path": path, "file_sha256": sha256}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset's folder with three sounds, beside a file that is nobody's business."""
    folder = tmp_path / "root"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", tone(200 * (number + 1)), SAMPLE_RATE)
    soundfile.write(tmp_path / "secret.wav", tone(), SAMPLE_RATE)
    return folder


def test_a_track_is_a_file_below_the_root(root: Path) -> None:
    track = stored_track(row(root, "0.wav"), "zero", "first")
    stored = clip.Stored(str(root), "0.wav")
    assert (track.stored, track.title, track.caption, track.problem) == (stored, "zero", "first", "")
    assert stored.find() == root / "0.wav"
    (root / "inside.wav").symlink_to(root / "1.wav")
    assert not stored_track(row(root, "inside.wav"), "link").problem


def test_nothing_outside_the_root_is_a_track(root: Path) -> None:
    (root / "link.wav").symlink_to(root.parent / "secret.wav")
    (root / "folder").symlink_to(root.parent)
    for path in ("../secret.wav", str(root.parent / "secret.wav"), "link.wav", "folder/secret.wav"):
        track = stored_track(row(root, path), "secret")
        assert track.stored is None
        assert "outside" in track.problem


def test_what_a_store_registered_is_played_wherever_a_link_leads(root: Path) -> None:
    """A hub's cache: links to blobs without an ending. What has another content is not played, nor any other path."""
    blob = root.parent / "blobs" / "0a1b"
    blob.parent.mkdir()
    blob.write_bytes(bytes(3000) + encoded("MP3"))  # known as MP3 by the name alone
    (root / "link.mp3").symlink_to(blob)
    known = hashlib.sha256(blob.read_bytes()).hexdigest()
    track = stored_track(row(root, "link.mp3", known), "blob")
    assert not track.problem and isinstance(player.render_some([track], (0, 0))[0], clip.Rendered)
    blob.write_bytes(wav())
    assert player.render_some([track], (0, 0))[0] == "It has changed since it was studied, so it is not played."
    for path in (str(blob), "../blobs/0a1b", "../secret.wav"):
        assert "outside" in stored_track(row(root, path, known), "by its path").problem


def test_what_macos_leaves_beside_a_file_changes_nothing(root: Path) -> None:
    """libsndfile takes ``._name`` for the format of an MP3 of that name."""
    (root / "a.mp3").write_bytes(encoded("MP3"))
    (root / "._a.mp3").write_bytes(bytes(200))
    track = stored_track(row(root, "a.mp3"), "")
    assert not track.problem and isinstance(player.render_some([track], (0, 0))[0], clip.Rendered)


def test_what_cannot_be_had_says_so(root: Path) -> None:
    (root / "text.wav").write_text("not sound")
    (root / "folder").mkdir()
    for path, reason in [
        ("gone.wav", "not where it was"),
        ("folder", "not where it was"),
        ("text.wav", "cannot be read"),
    ]:
        track = stored_track(row(root, path), "broken")
        assert track.stored is None
        assert reason in track.problem
    (root / "loop.wav").symlink_to(root / "loop.wav")
    assert stored_track(row(root, "loop.wav"), "loop").problem
    assert "cannot be read" in stored_track(row(root, "nul\0.wav"), "nul").problem


def test_heights_are_where_the_picture_has_its_tones() -> None:
    for hertz in (250, 1000, 3000, 6000):
        picture = clip.log_mel(tone(hertz), SAMPLE_RATE)
        row = int(picture.mean(axis=1).argmax())
        place = float(clip.heights(np.array([hertz]), SAMPLE_RATE / 2)[0]) * clip.N_MELS
        assert abs(place - (row + 0.5)) <= 1
    assert clip.heights(np.array([0.0, 8000.0, 20000.0]), 8000).tolist() == [0, 1, 1]


@pytest.mark.parametrize("seconds", [0.4, 2.0, 20.0])
def test_the_picture_spans_the_clip_exactly(seconds: float) -> None:
    waveform = np.zeros(int(seconds * SAMPLE_RATE), dtype=np.float32)
    for part in (0.25, 0.75):
        waveform[int(part * len(waveform))] = 1
        loudness = clip.log_mel(waveform, SAMPLE_RATE).sum(axis=0)
        frame = np.flatnonzero(loudness == loudness.max()).mean() + 0.5
        assert frame / len(loudness) * seconds == pytest.approx(
            part * seconds, abs=0.5 * seconds / len(loudness) + 0.002
        )
        waveform[:] = 0


def test_an_overlay_lies_on_the_mel_axis() -> None:
    strength = np.arange(6, dtype=np.uint8).reshape(2, 3)
    told = player.laid(Overlay(strength, 0.02, (0.0, 1000.0, 8000.0), "neuron 1, layer 2", 0.5, 0.01), 8000)
    border = (np.log10(1 + 1000 / 700) / np.log10(1 + 8000 / 700) * 81 - 0.5) / 80
    assert told["edges"] == pytest.approx([0, border, 1])
    assert (told["start"], told["step"], told["columns"]) == (0.01, 0.02, 3)
    assert (told["label"], told["peak"]) == ("neuron 1, layer 2", 0.5)
    assert list(base64.b64decode(told["strength"])) == [0, 1, 2, 3, 4, 5], "low band first, in order of time"


def test_a_single_band_covers_the_height() -> None:
    told = player.laid(Overlay(np.zeros((1, 3), dtype=np.uint8), 0.02, (50.0, 4000.0), "", 1.0), 8000)
    assert told["edges"] == [0, 1]


def test_an_overlay_has_one_edge_more_than_bands() -> None:
    with pytest.raises(ValueError, match="edge"):
        Overlay(np.zeros((2, 3), dtype=np.uint8), 0.02, (0.0, 8000.0), "", 1.0)


def test_marks_stay_below_half_the_sample_rate() -> None:
    assert [mark["text"] for mark in player.marks(8000)] == ["0", "0.5", "1", "2", "4", "8 kHz"]
    assert [mark["text"] for mark in player.marks(11025)][-1] == "8 kHz"
    places = [mark["at"] for mark in player.marks(22050)]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] < 1


def test_every_track_has_its_own_name(root: Path) -> None:
    zero, one = (stored_track(row(root, f"{number}.wav"), "same title") for number in (0, 1))
    own = Track("same title", wav=wav())
    names = player.identify([zero, one, own, zero])
    assert len(set(names)) == 4
    assert player.identify([one, zero])[1] == names[0], "by the sound, not by the place"
    assert str(root) not in str(names)


def test_tracks_are_made_until_the_time_is_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = [stored_track(row(root, f"{number}.wav"), "") for number in range(3)]
    tracks.append(stored_track(row(root, "gone.wav"), ""))
    monkeypatch.setattr(player, "BUDGET_SECONDS", 60)  # a busy machine is not a failure
    assert sorted(player.render_some(tracks, (0, 0, 1, 2, 3))) == [0, 1, 2]
    monkeypatch.setattr(player, "BUDGET_SECONDS", -1)
    assert sorted(player.render_some(tracks, (0, 2, 1, 3))) == [0, 2], "what is shown and what was asked for, always"


def test_a_sound_that_fails_later_is_a_reason(root: Path) -> None:
    track = stored_track(row(root, "0.wav"), "")
    (root / "0.wav").unlink()
    made = player.render_some([track, Track("", wav=b"no sound"), Track("")], (0, 1, 2))
    gone = (
        "It is not where it was studied; start the page with --audio-root root=FOLDER to say where its sound lies now."
    )
    assert [made[place] for place in range(3)] == [gone, "It cannot be read as sound.", "There is no sound."]
    assert player.describe(track, "a", made[0], "b")["problem"] == gone


APP = """
import streamlit as st
from dashboard.shared.player.player import Track, player, stored_track
folder = {root!r}
row = lambda root, path: {{"root": root, "path": path, "file_sha256": None}}
tracks = [stored_track(row(folder, f"{{number}}.wav"), f"clip {{number}}") for number in range(3)]
tracks.append(stored_track(row(folder, "gone.wav"), "gone"))
player(tracks, key="clips", selected=st.number_input("Selected", 0, 9, 1))
player([], key="none")
"""


def mounted(app: AppTest) -> list[dict[str, Any]]:
    protos = [element.proto for element in app.get("bidi_component")]
    return [json.loads(proto.json or proto.mixed.json) for proto in protos]


def test_the_page_tells_the_browser_addresses_and_no_paths(root: Path) -> None:
    app = AppTest.from_string(APP.format(root=str(root)), default_timeout=30).run()
    assert not app.exception
    (told,) = mounted(app)
    assert told["selected"] == 1
    assert [track["title"] for track in told["tracks"]] == ["clip 0", "clip 1", "clip 2", "gone"]
    shown = told["tracks"][1]
    assert "/media/" in shown["sound"] and shown["sound"].endswith(".wav")
    assert "/media/" in shown["picture"] and shown["picture"].endswith(".png")
    assert shown["seconds"] == 1
    assert "sound" not in told["tracks"][3]
    for track in told["tracks"][:3]:
        assert str(root) not in json.dumps(track)
    app.number_input[0].set_value(9).run()
    assert mounted(app)[0]["selected"] == 3, "clamped"


def test_tracks_over_the_budget_are_left_for_later(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "BUDGET_SECONDS", -1)
    (told,) = mounted(AppTest.from_string(APP.format(root=str(root)), default_timeout=30).run())
    assert ["sound" in track for track in told["tracks"]] == [False, True, False, False]


def test_streamlit_still_lends_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """`serve` uses what Streamlit keeps to itself: this fails where a new version moves it."""

    class Runtime:
        media_file_mgr = MediaFileManager(MemoryMediaFileStorage("/media"))

    monkeypatch.setattr("streamlit.runtime.get_instance", lambda: Runtime)
    address = player.serve(b"sound", "audio/wav", "here")
    assert address.startswith("/media/") and address.endswith(".wav")
    stored = Runtime.media_file_mgr.read_file(Path(address).stem)
    assert stored is not None and stored.content == b"sound"
    monkeypatch.setattr("streamlit.get_option", lambda name: {"server.baseUrlPath": "atlas/"}[name])
    assert player.serve(b"sound", "audio/wav", "here") == f"/atlas{address}"
