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


def click_cell(tab: Page, chart: str, described: str) -> None:
    """Click the chart's cell whose spoken description holds ``described``."""
    cell = tab.locator(f".st-key-{chart} [aria-label*='{described}']").first
    cell.scroll_into_view_if_needed()
    cell.click(force=True)


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
    click_cell(tab, "counts_chart", "Class: C4; Layer: 4")
    expect(tab.get_by_role("heading", name="Neurons of layer 4, C4")).to_be_visible()
    settle(tab)
    assert "layer=4" in tab.url
    assert "class=C4" in tab.url
    expect(tab.get_by_test_id("stDataFrame")).to_be_visible()

    click_cell(tab, "neurons_chart", "Class: C4; Neuron")
    tab.wait_for_url("**/neuron?**")
    expect(tab.locator("h1")).to_contain_text("in layer 4 of nano-ssl")
    settle(tab)
    assert "neuron=" in tab.url
    audio = tab.locator("audio").first
    expect(audio).to_be_attached()
    tab.wait_for_function("document.querySelector('audio').duration > 0")
    # Asked again where it stands still: a page that is still being filled may put a new player in its place.
    tab.wait_for_function(
        """() => {
            const player = document.querySelector('audio');
            if (player.paused && !player.ended) { player.muted = true; player.play().catch(() => {}); }
            return player.currentTime > 0;
        }"""
    )
    expect(tab.get_by_role("img", name="Log-mel spectrogram").first).to_be_visible()

    title = tab.locator("h1").inner_text()
    tab.reload()
    settle(tab)
    expect(tab.locator("h1")).to_have_text(title)
    tab.close()


def test_the_link_reopens_the_same_page(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-sl&task=voices-emotion&layer=5&class=fear")
    heading = tab.get_by_role("heading", name="Neurons of layer 5, fear")
    expect(heading).to_be_visible()
    tab.get_by_role("button", name="Link").click()
    link = tab.get_by_test_id("stPopoverBody").locator("code").inner_text().strip()
    tab.close()
    assert link.startswith(f"{address}/heatmap?")
    again = visit(window, link)
    expect(again.get_by_role("heading", name="Neurons of layer 5, fear")).to_be_visible()
    again.close()


def test_pages_hand_the_choice_on(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-sl&task=voices-emotion")
    tab.get_by_test_id("stSidebarNavLink").filter(has_text="Neuron").click()
    tab.wait_for_url("**/neuron?model=nano-sl&task=voices-emotion**")
    expect(tab.locator("h1")).to_contain_text("of nano-sl")
    settle(tab)
    tab.close()
