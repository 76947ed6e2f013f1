"""The real pages in a real browser: click from the overview's heatmap to a clip that plays.

``pytest -m browser tests/browser``; skipped where Chromium is not installed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from playwright.sync_api import BrowserContext, Page, expect  # noqa: E402

from tests.synthetic_store import build_store  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Without a sound card a player may wait for one for ever: the sound goes to a null sink, at its own pace.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-audio-output"]
PATIENCE = 30_000  # milliseconds; a busy machine is not a failure

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a made-up store on a free port of this machine."""
    folder = tmp_path_factory.mktemp("served")
    store = build_store(folder / "atlas.db", audio_root=folder / "audio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py"),
        "--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}",
        "--server.fileWatcherType=none", "--", "--db", str(store),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "ATLAS_DB"}
    log = (folder / "log.txt").open("w")
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail(f"the server did not start: {(folder / 'log.txt').read_text()}")
        yield url
    finally:
        server.terminate()
        server.wait(10)
        log.close()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Open a browser without a history."""
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            viewport={"width": 1280, "height": 900},
        )
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield context
        context.close()


def visit(window: BrowserContext, url: str) -> Page:
    """Open ``url`` and wait until the page stands."""
    tab = window.new_page()
    tab.goto(url)
    settle(tab)
    return tab


def settle(tab: Page) -> None:
    """Wait until the script has run and no error shows."""
    expect(tab.locator("h1").first).to_be_visible()
    expect(tab.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(tab.get_by_test_id("stException")).to_have_count(0)
    expect(tab.get_by_test_id("stAlert")).to_have_count(0)


def click_in(tab: Page, chart: str, right: float, down: float) -> None:
    """Click a place in a chart (shares of its width and height), until the address tells of it.

    Charts are one picture, without parts to be named; one that is still being drawn does not hear a click.
    """
    before = tab.url
    patience = time.monotonic() + PATIENCE / 1000
    while tab.url == before:
        assert time.monotonic() < patience, f"no answer to a click on {chart}"
        canvas = tab.locator(f".st-key-{chart} canvas").first
        box = canvas.bounding_box()
        if box is not None:
            canvas.click(position={"x": right * box["width"], "y": down * box["height"]})
        tab.wait_for_timeout(1000)


def state(tab: Page) -> dict[str, str]:
    """What the address says."""
    return dict(parse_qsl(urlsplit(tab.url).query))


def test_the_overview_is_there_soon(address: str, window: BrowserContext) -> None:
    visit(window, address).close()  # the first visit pays for the imports
    began = time.monotonic()
    tab = visit(window, address)
    expect(tab.get_by_test_id("stVegaLiteChart")).to_have_count(5)
    assert time.monotonic() - began < 30
    expect(tab.locator("h1")).to_have_text("Audio neuron atlas")
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(0)
    for folded in ("The numbers", "Problems", "Runs as a table", "Models"):
        tab.get_by_test_id("stExpander").filter(has_text=folded).locator("summary").click()
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(4)
    tab.close()


def test_from_a_cell_to_a_clip_that_plays(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-ssl&task=notes-pitch")
    click_in(tab, "counts_chart", 0.82, 0.66)  # the second but last class in the last layer
    settle(tab)
    cell = state(tab)
    assert (cell["layer"], cell["class"]) == ("5", "G4")
    expect(tab.get_by_role("heading", name="Neurons of layer 5 for class G4")).to_be_visible()
    click_in(tab, "neurons_chart", 0.5, 0.42)
    tab.wait_for_url("**/neuron?**")
    expect(tab.locator("h1")).to_contain_text("in layer 5 of nano-ssl")
    settle(tab)
    assert "neuron" in state(tab)
    audio = tab.locator("audio").first
    expect(audio).to_be_attached()
    slider = tab.get_by_role("slider", name="Position in Top 1: ")
    expect(slider).to_be_visible()
    tab.get_by_role("button", name="Play").click()
    moved = time.monotonic() + PATIENCE / 1000
    while audio.evaluate("player => player.currentTime") <= 0:
        assert time.monotonic() < moved, "the clip does not play"
        tab.wait_for_timeout(100)
    expect(tab.get_by_role("option", name="Silent 1")).to_be_attached()

    title = tab.locator("h1").inner_text()
    tab.reload()
    settle(tab)
    expect(tab.locator("h1")).to_have_text(title)
    tab.close()


def test_the_link_reopens_the_same_page(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-sl&task=voices-emotion&layer=5&class=fear")
    heading = tab.get_by_role("heading", name="Neurons of layer 5 for class fear")
    expect(heading).to_be_visible()
    tab.get_by_role("button", name="Link").click()
    link = tab.get_by_test_id("stPopoverBody").locator("code").inner_text().strip()
    tab.close()
    assert link.startswith(f"{address}/heatmap?")
    again = visit(window, link)
    expect(again.get_by_role("heading", name="Neurons of layer 5 for class fear")).to_be_visible()
    again.close()


def test_pages_hand_the_choice_on(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-sl&task=voices-emotion")
    tab.get_by_test_id("stSidebarNavLink").filter(has_text="Neuron").click()
    tab.wait_for_url("**/neuron?model=nano-sl&task=voices-emotion**")
    expect(tab.locator("h1")).to_contain_text("of nano-sl")
    settle(tab)
    tab.close()
