"""A server of pages, a real Chromium, and what the tests in it have in common."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Request, Response, expect  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ATLAS = ROOT / "dashboard" / "app.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Without a sound card a player may wait for one for ever: the sound goes to a null sink, at its own pace.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-audio-output")
DESKTOP = {"width": 1280, "height": 900}
PATIENCE = 30_000  # milliseconds; a busy machine is not a failure
STILL = """const still = new CSSStyleSheet();
still.replaceSync("*, *::before, *::after { animation: none !important; transition: none !important }");
document.adoptedStyleSheets = [still];"""
"""Nothing moves of itself: drawn without a graphics card, the waiting page costs more than all else."""
PROBES = ("/_stcore/health", "/_stcore/host-config")
"""On a deep link Streamlit's page asks for these below the page's own name first, to find where it is served; the
404s are its way of learning that it is one folder up."""

STREAMLITS_FAULTS = {"list": "[data-testid=stSidebarNavItems]", "listitem": "[data-testid=stSidebarNavItems]"}
"""By axe's rule, where Streamlit alone could mend it: its list of pages holds sections, and the pages within these."""

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@contextmanager
def served(app: Path, folder: Path, *arguments: str, options: Sequence[str] = ()) -> Iterator[str]:
    """Serve a Streamlit app on a free port of this machine, with Streamlit's ``options``; ``folder`` holds its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", str(app), "--server.headless=true", "--server.address=127.0.0.1",
        f"--server.port={port}", "--server.fileWatcherType=none", "--browser.gatherUsageStats=false",
        *options, "--", *arguments,
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "ATLAS_DB"}
    url = f"http://127.0.0.1:{port}"
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            for _ in range(1500):
                try:
                    urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.02)
            else:
                pytest.fail(f"the server did not start: {(folder / 'log.txt').read_text()}")
            yield url
        finally:
            server.terminate()
            server.wait(10)


@contextmanager
def browser(profile: Path, *flags: str) -> Iterator[BrowserContext]:
    """Open a browser without a history."""
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, *flags],
            viewport=DESKTOP,
        )
        context.add_init_script(STILL)
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield context
        context.close()


@contextmanager
def sound(tab: Page) -> Iterator[None]:
    """Nothing may go wrong in the tab while the block runs: no error or warning, no failed request or one elsewhere."""
    wrong: list[str] = []
    here: list[str] = []

    def asked(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss"):
            here.append(parts.netloc)
            if parts.netloc != here[0]:
                wrong.append(f"asked elsewhere: {request.url}")

    def failed(request: Request) -> None:
        # Aborted are requests that the page itself no longer wants, as for the rest of a sound that was left.
        if request.failure != "net::ERR_ABORTED":
            wrong.append(f"{request.failure} {request.url}")

    def answered(got: Response) -> None:
        if got.status >= 400:
            wrong.append(f"{got.status} {got.url}")

    def wrote(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            wrong.append(f"{said.text} {said.location['url']}")

    def broke(error: Error) -> None:
        wrong.append(str(error))

    heard = {"request": asked, "requestfailed": failed, "response": answered, "console": wrote, "pageerror": broke}
    for event, listener in heard.items():
        tab.on(event, listener)  # type: ignore[call-overload]
    yield
    for event, listener in heard.items():
        tab.remove_listener(event, listener)
    assert [text for text in wrong if not probe(text.split()[-1])] == []


def probe(url: str) -> bool:
    """Whether it is one of Streamlit's own, for what is not there."""
    path = urlsplit(url).path
    return path.endswith(PROBES) and path not in PROBES


def visit(tab: Page, url: str, alerts: int | None = 0) -> None:
    """Open ``url`` and wait until the page stands."""
    tab.goto(url)
    settle(tab, alerts)


def settle(tab: Page, alerts: int | None = 0) -> None:
    """Wait until the script has run; no error shows, and so many notes (None: any)."""
    expect(tab.locator("h1").first).to_be_visible()
    expect(tab.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(tab.get_by_test_id("stSkeleton")).to_have_count(0)
    expect(tab.get_by_test_id("stException")).to_have_count(0)
    if alerts is not None:
        expect(tab.get_by_test_id("stAlert")).to_have_count(alerts)


def faults_of_access(tab: Page) -> list[str]:
    """What axe calls serious or critical by WCAG 2.1 AA, once nothing is faded that the page asks for anew."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    standard = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}

    def is_ours(rule: str, node: dict[str, Any]) -> bool:
        script = "([at, within]) => !document.querySelector(at).closest(within)"
        return rule not in STREAMLITS_FAULTS or tab.evaluate(script, [node["target"][0], STREAMLITS_FAULTS[rule]])

    end = time.monotonic() + 5
    while True:
        answer = axe.run(tab, options={"resultTypes": ["violations"], "runOnly": standard}).response
        found = [
            f"{urlsplit(tab.url).path} {rule['id']} at {node['html'][:200]}: {node['failureSummary']}"
            for rule in answer["violations"] if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"] if is_ours(rule["id"], node)
        ]  # fmt: skip
        if not found or time.monotonic() > end:
            return found
        tab.wait_for_timeout(500)


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


def wait_until(tab: Page, met: Callable[[], bool], otherwise: str) -> None:
    """Ask again and again until it is so."""
    end = time.monotonic() + PATIENCE / 1000
    while not met():
        assert time.monotonic() < end, otherwise
        tab.wait_for_timeout(50)


def state(tab: Page) -> dict[str, str]:
    """What the address says."""
    return dict(parse_qsl(urlsplit(tab.url).query))


def text(tab: Page) -> str:
    """All that is written on the page, but how long an answer took."""
    return re.sub(r"\bin [\d.,]+ m?s\b", "in … s", tab.get_by_test_id("stMain").inner_text())


def own_link(tab: Page) -> str:
    """The link that the page's button copies."""
    page = urlsplit(tab.url)
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=f"{page.scheme}://{page.netloc}")
    tab.get_by_role("button", name="Copy link").click()
    expect(tab.get_by_role("button", name="Copied")).to_be_visible()
    link: str = tab.evaluate("navigator.clipboard.readText()")
    return link
