"""A small study of the embedded model in a real browser: record and upload a sound, press keys of notes.

``pytest -m browser tests/browser``; skipped where Chromium is not installed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.browser.driver import (
    MARKS,
    BrowserContext,
    Page,
    click_in,
    expect,
    faults_of_access,
    own_link,
    settle,
    state,
    text,
    visit,
    wait_until,
)
from tests.support.description_records import write_descriptions
from tests.support.map_records import write_maps
from tests.support.small_study import RATE, run, write_manifest

pytestmark = MARKS

NOTES = (60, 63, 66, 69)
SPLITS = ("train", "train", "valid", "test")


def tone(note: int, seconds: float, seed: int = 0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) * np.exp(-3 * time)
    return wave + 0.01 * np.random.default_rng(seed).standard_normal(len(time))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of the embedded model over tones."""
    folder = tmp_path_factory.mktemp("data") / "tones"
    folder.mkdir()
    rows = []
    for i in range(32):
        note, split = NOTES[i % 4], SPLITS[i // 4 % 4]
        soundfile.write(folder / f"{i:03}.flac", tone(note, 0.5, i), RATE)
        rows.append({"file": f"{i:03}.flac", "split": split, "pitch": str(note)})
    write_manifest(folder, rows)
    path = tmp_path_factory.mktemp("store") / "atlas.db"
    assert run("--model", "nano-ssl", "--data-dir", folder, "--db", path, "--stages", "extract,score") == 0
    return write_descriptions(write_maps(path, "nano-ssl"), "nano-ssl", "tones")


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A microphone that hears a tone again and again."""
    heard = tmp_path_factory.mktemp("microphone") / "tone.wav"
    soundfile.write(heard, np.tile(tone(69, 0.5), 8), RATE, subtype="PCM_16")
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={heard}",
    )


def overlaid(tab: Page) -> str:
    """The neuron that lies over the picture."""
    return tab.locator(".st-key-listen_player .switch").inner_text()


def test_a_recording_is_heard(address: str, window: BrowserContext, tab: Page) -> None:
    window.grant_permissions(["microphone"], origin=address)
    visit(tab, f"{address}/listen?model=nano-ssl&source=record", alerts=1)
    recorder = tab.get_by_test_id("stAudioInput")
    recorder.get_by_role("button", name="Record").click()
    expect(recorder.get_by_test_id("stAudioInputWaveformTimeCode")).to_have_text("00:01")
    recorder.get_by_role("button", name="Stop recording").click()
    expect(tab.get_by_role("heading", name="The neurons that answer most")).to_be_visible()
    settle(tab)
    expect(tab.get_by_test_id("stDataFrame")).to_be_visible()
    expect(tab.get_by_test_id("stMain")).to_contain_text("of 4,608 neurons")
    expect(tab.locator(".st-key-listen_player")).to_contain_text("Your recording")

    before, first = state(tab), overlaid(tab)
    click_in(tab, "strip", 0.6, 0.6)
    settle(tab)
    after = state(tab)
    assert (after["layer"], after["neuron"]) != (before["layer"], before["neuron"])
    expect(tab.locator(".st-key-listen_player .switch")).to_have_text(
        f"layer {after['layer']}, neuron {after['neuron']}"
    )
    assert overlaid(tab) != first
    # Of a copy: the browser warns of a canvas that is read again and again.
    opacity = """canvas => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value, place) => place % 4 === 3 && value > 0);
    }"""
    canvas = tab.locator(".st-key-listen_player canvas").first
    wait_until(tab, lambda: canvas.evaluate(opacity), "nothing lies over the picture")


def test_a_bad_file_gets_one_line_and_the_next_is_heard(address: str, tab: Page, tmp_path: Path) -> None:
    bad, silent, good = (tmp_path / name for name in ("bad.wav", "silent.flac", "=good <b>.wav"))
    bad.write_bytes(b"RIFF" + b"\xff" * 5000)
    soundfile.write(silent, np.zeros(RATE), RATE)
    soundfile.write(good, tone(63, 1), RATE)
    visit(tab, f"{address}/listen?model=nano-ssl&source=upload", alerts=1)
    for file, said in ((bad, "cannot be read as sound"), (silent, "silent from beginning to end")):
        tab.locator("input[type=file]").set_input_files(file)
        note = tab.get_by_test_id("stAlert")
        expect(note).to_contain_text(said)
        settle(tab, alerts=1)
        assert "\n" not in note.inner_text().strip()
    tab.locator("input[type=file]").set_input_files(good)
    expect(tab.get_by_role("heading", name="The neurons that answer most")).to_be_visible()
    settle(tab)
    expect(tab.locator(".st-key-listen_player")).to_contain_text("=good <b>.wav")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("listen?model=nano-ssl&dataset=tones&source=store&clip=3&layer=2&neuron=5", "layer 2, neuron 5"),
        ("pitch?model=nano-ssl&preset=calibrated&pitch_task=tones-pitch&note=63&order=sharpest", "Neurons of D♯4"),
        (
            "speech?model=nano-ssl&preset=calibrated&speech_task=tones-pitch&speech_class=66&by=sets",
            "What 66 sounds",
        ),
    ],
)
def test_a_link_reopens_what_only_a_real_study_has(where: str, said: str, address: str, tab: Page) -> None:
    link, views = f"{address}/{where}", []
    for _ in range(2):
        tab.goto("about:blank")
        tab.goto(link)
        settle(tab, alerts=None)
        expect(tab.get_by_text(said).first).to_be_visible()
        settle(tab, alerts=None)
        expect(tab.get_by_test_id("stAlert").filter(has_text="The address asks")).to_have_count(0)
        views.append((text(tab), state(tab)))
        link = own_link(tab)
    assert views[0] == views[1]
    assert faults_of_access(tab) == []


def test_a_key_brings_its_neurons(address: str, tab: Page) -> None:
    visit(tab, f"{address}/pitch?model=nano-ssl&note=60")
    expect(tab.get_by_role("heading", name="Neurons of C4")).to_be_visible()
    click_in(tab, "keyboard_60", 0.81, 0.85)
    expect(tab.get_by_role("heading", name="Neurons of A4")).to_be_visible()
    assert state(tab)["note"] == "69"
    sound = tab.locator("[class*=st-key-note_] audio").last
    wait_until(tab, lambda: sound.evaluate("audio => audio.currentTime") > 0, "the key that was pressed is not heard")


def test_neurons_are_lit_while_a_ready_sound_plays(address: str, tab: Page) -> None:
    visit(tab, f"{address}/listen?model=nano-ssl&source=ready&sound=scale")
    lights = tab.locator(".lights button")
    expect(lights.first).to_be_visible()

    def lit() -> list[str]:
        shades: list[str] = lights.evaluate_all("all => all.map(one => one.style.getPropertyValue('--lit'))")
        return shades

    before = lit()
    tab.locator(".st-key-listen_player").get_by_role("button", name="Play").click()
    wait_until(tab, lambda: lit() != before, "no light follows the sound")
    chosen = lights.nth(1).inner_text()
    lights.nth(1).click()
    wait_until(
        tab, lambda: f"L{state(tab).get('layer')}·{state(tab).get('neuron')}" == chosen, "the light chooses nothing"
    )
    settle(tab)
    expect(lights.filter(has_text=chosen).first).to_have_attribute("aria-pressed", "true")
    assert faults_of_access(tab) == []
    tab.emulate_media(color_scheme="dark")
    settle(tab)
    assert faults_of_access(tab) == []


CHANGES = """async lights => {
    const seen = [];
    const watch = new MutationObserver(() => seen.push(performance.now()));
    watch.observe(lights, { subtree: true, attributes: true, attributeFilter: ["style"] });
    const begun = performance.now();
    for (let i = 0; performance.now() - begun < 2000; i += 1) {
        document.dispatchEvent(new CustomEvent("atlas-player-time", { detail: (i * 0.13) % 1.5 }));
        await new Promise(resolve => setTimeout(resolve, 15));
    }
    watch.disconnect();
    return new Set(seen.map(Math.round)).size;
}"""


def test_lights_on_the_map_and_in_words_never_flash(address: str, tab: Page) -> None:
    visit(tab, f"{address}/listen?model=nano-ssl&source=ready&sound=bursts&layer=0&neuron=0")
    settle(tab)
    chosen = tab.locator(".lights .list button[aria-pressed=true]")
    expect(chosen).to_contain_text("L0·0fires on high pitch and onsets; others’ r up to 0.25")
    spot = tab.locator(".lights .spot.chosen")
    expect(spot).to_have_attribute("title", "L0·0 fires on high pitch and onsets; others’ r up to 0.25")
    box, picture = spot.bounding_box(), tab.locator(".lights .picture").bounding_box()
    assert box and picture
    # At (0, 0) of the map: left, and below.
    assert box["x"] - picture["x"] < 20 and picture["y"] + picture["height"] - box["y"] - box["height"] < 20
    changes = tab.locator(".lights").evaluate(CHANGES)
    assert 2 <= changes <= 6, "2.5 changes a second, however often the player tells the time"
    lit = chosen.evaluate("one => one.style.getPropertyValue('--lit')")
    assert lit == spot.evaluate("one => one.style.getPropertyValue('--lit')"), "both by one clock"
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        settle(tab)
        assert faults_of_access(tab) == []
