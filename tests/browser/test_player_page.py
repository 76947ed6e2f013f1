"""The player in a real browser: sound, playhead, seeking, keys, overlay, one at a time, lazily made tracks.

``pytest -m browser tests/browser``; skipped where Chromium is not installed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Locator

from tests.browser.driver import MARKS, PATIENCE, ROOT, Page, expect, served

SAMPLE_RATE = 16000
SECONDS = 10
N_TRACKS = 5

pytestmark = MARKS

APP = """
import io, sys
import numpy as np
import streamlit as st
sys.path.insert(0, {root!r})
from dashboard.shared import player as module
from dashboard.shared.player.player import Label, Overlay, Track, player, stored_track

module.BUDGET_SECONDS = 0  # every track but the selected one is made when it is chosen
st.set_page_config(layout="wide")
st.title("Players")
strength = np.zeros((2, 8), dtype=np.uint8)
strength[1, 2] = 255
row = lambda path: {{"root": {folder!r}, "path": path, "file_sha256": None}}
overlay = Overlay(strength, 1.0, (0.0, 1000.0, 8000.0), "neuron 17, layer 3", 0.8)
first = st.number_input("First", 0, {n_tracks} - 1)
st.button("Again")
selected = st.number_input("Selected", 0, {n_tracks})
tracks = [
    stored_track(row(f"{{number}}.wav"), f"clip {{number}}", f"number {{number}}", overlay)
    for number in range(first, {n_tracks})
]
tracks.insert(2, stored_track(row("gone.wav"), "gone clip"))
player(tracks, key="many", selected=selected)
labels = (Label("a", 0.5, 1.0), Label("<i>s</i>", 0.75, 1.5, True), Label("behind", 3.0, 4.0))
player([Track("own <b>sound</b>", wav=open({folder!r} + "/own.wav", "rb").read(), labels=labels)], key="one")
player([stored_track(row("../secret.wav"), "secret")], key="none")
st.audio({folder!r} + "/own.wav")
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a page of three players on a free port of this machine."""
    folder = tmp_path_factory.mktemp("served")
    time_axis = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    for number in range(N_TRACKS):
        tone = 0.1 * np.sin(2 * np.pi * 300 * (number + 1) * time_axis)
        soundfile.write(folder / f"{number}.wav", tone, SAMPLE_RATE)
    soundfile.write(folder / "own.wav", 0.1 * np.sin(2 * np.pi * 50 * time_axis[: 2 * SAMPLE_RATE]), SAMPLE_RATE)
    app = folder / "app.py"
    app.write_text(APP.format(root=str(ROOT), folder=str(folder), n_tracks=N_TRACKS))
    with served(app, folder) as url:
        yield url


@pytest.fixture
def tab(tab: Page, address: str) -> Page:
    """Open the page."""
    tab.goto(address)
    expect(part(tab, "many", "img")).to_be_visible()
    expect(part(tab, "one", "img")).to_be_visible()
    return tab


def part(tab: Page, key: str, name: str) -> Locator:
    """Find one part of the player with this key."""
    return tab.locator(f".st-key-{key} {name}").first


def heard(tab: Page, key: str = "many") -> float:
    return float(part(tab, key, "audio").evaluate("audio => audio.currentTime"))


def playhead(tab: Page, key: str = "many") -> float:
    """Say where the playhead stands, as a part of the picture's width."""
    box, head = part(tab, key, ".picture").bounding_box(), part(tab, key, ".playhead").bounding_box()
    assert box and head
    return (head["x"] - box["x"]) / box["width"]


def plays(tab: Page, key: str = "many") -> bool:
    return not part(tab, key, "audio").evaluate("audio => audio.paused")


def wait_past(tab: Page, seconds: float, key: str = "many") -> None:
    end = time.monotonic() + PATIENCE / 1000
    while heard(tab, key) <= seconds:
        assert time.monotonic() < end, "the sound does not go on"
        tab.wait_for_timeout(50)


def test_labels_stand_below_the_picture_where_they_are_in_time(tab: Page) -> None:
    shown = tab.locator(".st-key-one .labels span")
    expect(shown).to_have_text(["a", "<i>s</i>"])  # text, and nothing behind the sound's end
    picture, first, own = (part(tab, "one", ".picture").bounding_box(), *(one.bounding_box() for one in shown.all()))
    assert picture and first and own
    assert (first["x"] - picture["x"]) / picture["width"] == pytest.approx(0.5 / 2, abs=0.01)
    assert own["width"] / picture["width"] == pytest.approx(0.75 / 2, abs=0.01)
    assert own["y"] > first["y"], "they overlap"
    expect(shown.nth(1)).to_have_class("own")
    told = "Labels: a at 0.50 s, <i>s</i> at 0.75 s"
    expect(part(tab, "one", ".labels")).to_have_attribute("aria-label", told)
    expect(part(tab, "many", ".labels")).to_be_hidden()


def test_the_playhead_goes_with_the_sound(tab: Page) -> None:
    assert heard(tab) == 0
    assert playhead(tab) == pytest.approx(0, abs=0.01)
    part(tab, "many", ".play").click()
    wait_past(tab, 0.5)
    expect(part(tab, "many", ".play")).to_have_attribute("aria-label", "Pause")
    part(tab, "many", ".play").click()
    expect(part(tab, "many", ".play")).to_have_attribute("aria-label", "Play")
    tab.wait_for_timeout(100)
    assert not plays(tab)
    assert playhead(tab) == pytest.approx(heard(tab) / SECONDS, abs=0.005)
    assert playhead(tab) > 0.04


def test_a_click_and_a_drag_seek(tab: Page) -> None:
    picture = part(tab, "many", ".picture")
    box = picture.bounding_box()
    assert box
    picture.click(position={"x": box["width"] * 0.25, "y": 40})
    assert heard(tab) == pytest.approx(SECONDS * 0.25, abs=0.05)
    tab.mouse.move(box["x"] + 10, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=4)
    tab.mouse.up()
    assert heard(tab) == pytest.approx(SECONDS * 0.75, abs=0.05)
    assert playhead(tab) == pytest.approx(0.75, abs=0.01)
    assert not plays(tab), "seeking alone starts nothing"
    expect(picture).to_have_attribute("aria-valuetext", "7.5 of 10.0 seconds")


def test_keys(tab: Page) -> None:
    picture = part(tab, "many", ".picture")
    picture.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert heard(tab) == pytest.approx(2, abs=0.01)
    tab.keyboard.press("ArrowLeft")
    assert heard(tab) == pytest.approx(1, abs=0.01)
    tab.keyboard.press("o")
    expect(part(tab, "many", ".switch")).to_have_attribute("aria-checked", "false")
    assert not painted(tab, 2.5, 0.1)
    tab.keyboard.press("o")
    tab.keyboard.press(" ")
    wait_past(tab, 1.1)
    tab.keyboard.press(" ")
    assert not plays(tab)
    title = part(tab, "many", ".heading .title")
    tab.keyboard.press("ArrowDown")
    expect(title).to_have_text("clip 1")
    tab.keyboard.press("n")
    expect(title).to_have_text("clip 2")  # the one that is gone is passed over
    tab.keyboard.press("p")
    tab.keyboard.press("ArrowUp")
    expect(title).to_have_text("clip 0")
    part(tab, "one", ".picture").focus()
    tab.keyboard.press("ArrowRight")
    assert heard(tab, "one") == pytest.approx(0.2, abs=0.01), "a tenth of two seconds"


def test_a_track_is_made_when_it_is_chosen(tab: Page) -> None:
    part(tab, "many", ".option >> nth=3").click()
    expect(part(tab, "many", ".heading .title")).to_have_text("clip 2")
    wait_past(tab, 0.2)
    expect(part(tab, "many", "img")).to_be_visible()
    expect(part(tab, "many", ".notice")).to_be_empty()
    expect(part(tab, "many", ".option >> nth=3")).to_have_attribute("aria-selected", "true")
    expect(part(tab, "many", ".option >> nth=0")).to_have_attribute("aria-selected", "false")


def test_one_player_at_a_time(tab: Page) -> None:
    part(tab, "many", ".play").click()
    wait_past(tab, 0.2)
    part(tab, "one", ".play").click()
    wait_past(tab, 0.2, "one")
    assert not plays(tab, "many")
    expect(part(tab, "many", ".play")).to_have_attribute("aria-label", "Play")
    streamlits = tab.get_by_test_id("stAudio")
    streamlits.evaluate("audio => audio.play()")
    tab.wait_for_timeout(300)
    assert not plays(tab, "one")
    part(tab, "one", ".play").click()
    tab.wait_for_timeout(300)
    assert streamlits.evaluate("audio => audio.paused")


def test_a_rerun_does_not_disturb_the_sound(tab: Page) -> None:
    part(tab, "many", ".option >> nth=4").click()
    title = part(tab, "many", ".heading .title")
    expect(title).to_have_text("clip 3")
    wait_past(tab, 0.3)
    before = heard(tab)
    tab.get_by_role("button", name="Again").click()
    tab.wait_for_timeout(500)
    assert plays(tab)
    assert heard(tab) > before
    first = tab.get_by_role("spinbutton", name="First")
    first.press("ArrowUp")
    expect(part(tab, "many", ".option >> nth=0")).to_contain_text("clip 1")
    expect(part(tab, "many", ".option >> nth=3")).to_have_attribute("aria-selected", "true")
    expect(title).to_have_text("clip 3")
    expect(part(tab, "many", ".play")).to_have_attribute("aria-label", "Pause")
    now = heard(tab)
    assert now > before
    wait_past(tab, now + 0.2)
    first.fill(str(N_TRACKS - 1))
    first.press("Enter")
    expect(title).to_have_text("clip 4")
    assert not plays(tab), "the track that played is no longer in the list"


def test_the_page_can_select_another_track(tab: Page) -> None:
    part(tab, "many", ".play").click()
    wait_past(tab, 0.1)
    tab.get_by_role("spinbutton", name="Selected").press("ArrowUp")
    expect(part(tab, "many", ".heading .title")).to_have_text("clip 1")
    expect(part(tab, "many", ".option >> nth=1")).to_have_attribute("aria-selected", "true")
    assert not plays(tab)
    part(tab, "many", ".option >> nth=3").click()
    expect(part(tab, "many", ".heading .title")).to_have_text("clip 2")
    tab.get_by_role("button", name="Again").click()
    wait_past(tab, 0.5)
    expect(part(tab, "many", ".heading .title")).to_have_text("clip 2")


def painted(tab: Page, seconds: float, down: float) -> int:
    """Say how opaque the overlay is at a time and a part of the picture's height."""
    # Of a copy: the browser warns of a canvas that is read again and again.
    script = """(canvas, [x, y]) => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        return copy.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data[3];
    }"""
    return int(part(tab, "many", "canvas").evaluate(script, [seconds / SECONDS, down]))


def test_the_overlay_lies_where_its_cell_is(tab: Page) -> None:
    border = 1 - (np.log10(1 + 1000 / 700) / np.log10(1 + 8000 / 700) * 81 - 0.5) / 80  # 1 kHz, in mel, from above
    expect(part(tab, "many", ".switch")).to_have_text("neuron 17, layer 3")
    expect(part(tab, "many", ".peak")).to_have_text("0.8")
    for seconds in (2.02, 2.98):
        assert painted(tab, seconds, 0.02) > 150
        assert painted(tab, seconds, border - 0.02) > 150
        assert not painted(tab, seconds, border + 0.02)
    assert not painted(tab, 1.98, 0.5 * border)
    assert not painted(tab, 3.02, 0.5 * border)
    box = part(tab, "many", ".picture").bounding_box()
    assert box
    part(tab, "many", ".picture").hover(position={"x": box["width"] * 2.5 / SECONDS, "y": box["height"] * border})
    expect(part(tab, "many", ".readout")).to_contain_text("2.50 s")
    said = part(tab, "many", ".readout").inner_text()
    assert float(said.split(" · ")[1].split()[0]) == pytest.approx(1, abs=0.05)
    part(tab, "many", ".switch").click()
    assert not painted(tab, 2.5, 0.1)


def test_what_cannot_be_played_says_why(tab: Page) -> None:
    gone = part(tab, "many", ".option >> nth=2")
    expect(gone).to_contain_text("gone.wav is not where it was studied")
    expect(gone).to_have_attribute("aria-disabled", "true")
    gone.click(force=True)
    expect(part(tab, "many", ".heading .title")).to_have_text("clip 0")
    expect(part(tab, "none", ".notice")).to_contain_text("lies outside its dataset's folder")
    expect(part(tab, "one", ".heading .title")).to_have_text("own <b>sound</b>")


def test_dark_and_narrow(tab: Page) -> None:
    ink = "node => getComputedStyle(node).color"
    light = part(tab, "many", ".heading .title").evaluate(ink)
    tab.emulate_media(color_scheme="dark")
    tab.set_viewport_size({"width": 390, "height": 900})
    tab.reload()
    expect(part(tab, "many", "img")).to_be_visible()
    dark = part(tab, "many", ".heading .title").evaluate(ink)
    assert brightness(dark) > 180 > 80 > brightness(light)
    player, side = part(tab, "many", ".main").bounding_box(), part(tab, "many", ".side").bounding_box()
    assert player and side
    assert side["y"] >= player["y"] + player["height"], "the list lies below"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert side["x"] + side["width"] <= 390


def brightness(colour: str) -> float:
    return sum(float(number) for number in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3
