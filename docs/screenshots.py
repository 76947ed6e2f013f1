"""Take the pictures of the pages from a store: ``python docs/screenshots.py atlas.db [PAGE[?NAME=VALUE&...] ...]``.

Needs the extra ``[test]`` and a Chromium on the path (or its place in ``CHROMIUM``). The store is the one that
``python run_analysis.py --tasks all --probe-layers --describe --map --stimuli all`` writes for both embedded models;
*Units* needs one with ``--units mlp,residual,random,pca,sae``.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
WIDTH = 1280
VISITED = ("overview", "classes", "gallery", "neuron", "ablation")
"""What somebody sees who comes for the first time, one after the other."""
OTHER_SCREENS = {"-390": (390, 844), "-1920": (1920, 1080)}
"""Of those also taken, in the dark: end of the file's name to width and height."""
MOST_BYTES = 200_000
PATIENCE = 60_000  # milliseconds
HEARD = {"listen": 0.7}
"""Seconds into the sound at which a page is photographed."""

COVERAGE_OF_SPEECH = """SELECT model, task, coverage, null_coverage_high, n_class_specific,
  null_n_class_specific_high
FROM task_coverage
WHERE preset = 'calibrated' AND dataset = 'demo-speech'
ORDER BY task, model"""

# A page, what its address says, and how high the picture is.
PAGES: dict[str, tuple[str, dict[str, str], int]] = {
    "overview": ("", {}, 1500),
    "listen": ("listen", {"model": "nano-sl", "dataset": "demo-events", "source": "store", "clip": "4161"}, 1500),
    "heatmap": ("heatmap", {"model": "nano-sl", "task": "demo-events-event", "layer": "5", "class": "siren"}, 1300),
    "map": ("map", {"model": "nano-ssl", "task": "demo-events-event", "colour": "class"}, 1250),
    "layers": ("layers", {"model": "nano-ssl", "task": "demo-events-event"}, 1500),
    "units": ("units", {"model": "nano-ssl", "task": "demo-events-event"}, 1500),
    "coverage": ("coverage", {"model": "nano-sl", "task": "demo-notes-pitch", "preset": "aape"}, 1300),
    "sharing": ("sharing", {"model": "nano-sl", "task": "demo-events-event"}, 1400),
    "compare": ("compare", {"model": "nano-sl", "task": "demo-events-event"}, 1300),
    "gallery": (
        "gallery",
        {"model": "nano-ssl", "task": "demo-events-event", "find": "high-pitched, not siren", "order": "surprise"},
        1300,
    ),
    "neuron": ("neuron", {"model": "nano-sl", "task": "demo-events-event", "layer": "3", "neuron": "754"}, 1500),
    "classes": ("classes", {"model": "nano-ssl", "task": "demo-events-event", "class": "rain"}, 1400),
    "pair": (
        "pair",
        {"model": "nano-sl", "task": "demo-events-event", "layer": "4", "neuron": "390", "other_model": "nano-ssl"},
        1500,
    ),
    "pitch": ("pitch", {"model": "nano-sl", "pitch_task": "demo-notes-pitch", "note": "76"}, 1500),
    "time": ("time", {"model": "nano-ssl", "time_task": "demo-events-event_span", "time_class": "siren"}, 1500),
    "stimuli": ("stimuli", {"model": "nano-ssl", "stimuli": "vowels", "factor": "F0"}, 1300),
    "speech": ("speech", {"model": "nano-sl", "speech_task": "demo-speech-language"}, 1400),
    "ablation": ("ablation", {"model": "nano-ssl", "task": "demo-events-event"}, 1400),
    "sql": ("sql", {"sql": COVERAGE_OF_SPEECH}, 1600),
}


@contextmanager
def served(store: Path) -> Iterator[str]:
    """Serve the pages on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py"), "--server.headless=true",
        "--server.address=127.0.0.1", f"--server.port={port}", "--server.fileWatcherType=none",
        "--", "--db", str(store),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def shoot(page: Page, address: str, width: int, height: int, at: float | None = None) -> bytes:
    """Open a page and photograph it once it stands still, its sound at ``at`` seconds."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(address)
    expect(page.locator("h1").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PATIENCE)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=PATIENCE)
    page.wait_for_load_state("networkidle")
    if at is not None:
        page.evaluate("at => document.dispatchEvent(new CustomEvent('atlas-player-time', { detail: at }))", at)
    picture, before = page.screenshot(), b""
    while picture != before:  # charts draw after their data arrives
        page.wait_for_timeout(1_000)
        picture, before = page.screenshot(), picture
    return picture


def smaller(picture: bytes) -> bytes:
    """The picture with as many colours as the limit allows."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for n_colours in (None, 256, 128, 64):
        # Maximum coverage keeps the few pixels of a rare colour, as of a legend's dot, near that colour.
        reduced = (
            image
            if n_colours is None
            else image.quantize(n_colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        )
        buffer = io.BytesIO()
        reduced.save(buffer, "PNG", optimize=True)
        if len(buffer.getvalue()) < MOST_BYTES:
            break
    return buffer.getvalue()


def main() -> None:
    """Take all pictures, or those of the pages named."""
    parser = argparse.ArgumentParser(description="Take the pictures of the pages.")
    parser.add_argument("store", type=Path)
    parser.add_argument("pages", nargs="*", metavar="PAGE[?NAME=VALUE&...]", default=list(PAGES))
    given = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with served(given.store.resolve()) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        for asked in given.pages:
            name, _, query = asked.partition("?")
            path, state, height = PAGES[name]
            state = state | dict(parse_qsl(query))
            screens = {"": (WIDTH, height), **(OTHER_SCREENS if name in VISITED else {})}
            for end, size in screens.items():
                page.emulate_media(color_scheme="dark" if end else "light")
                picture = smaller(shoot(page, f"{address}/{path}?{urlencode(state)}", *size, HEARD.get(name)))
                (IMAGES / f"{name}{end}.png").write_bytes(picture)
                print(f"{name}{end}.png: {len(picture) / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
