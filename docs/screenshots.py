"""Take the README's pictures from a store: ``python docs/screenshots.py [atlas.db]``.

Needs the extra ``[test]`` and a Chromium at /usr/bin/chromium (or ``CHROMIUM``).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PAGES = {
    "overview": ("", 1180),
    "heatmap": ("heatmap?model=nano-ssl&task=demo-events-event&layer=5&class=siren", 1180),
    "neuron": ("neuron?model=nano-ssl&task=demo-events-event&layer=5&class=siren", 1400),
}


def shoot(page: Page, address: str, height: int, path: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": height})
    page.goto(address, wait_until="networkidle")
    page.wait_for_selector("canvas, svg.marks", timeout=60_000)
    page.wait_for_timeout(4_000)  # charts draw after their data arrives
    page.screenshot(path=path)


def main() -> None:
    store = Path(sys.argv[1] if len(sys.argv) > 1 else "atlas.db").resolve()
    only = sys.argv[2:]
    IMAGES.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "dashboard" / "app.py"),
        "--server.headless",
        "true",
    ]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port), "--", "--db", str(store)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(4)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = browser.new_page()
            for name, (address, height) in PAGES.items():
                if not only or name in only:
                    shoot(page, f"http://127.0.0.1:{port}/{address}", height, IMAGES / f"{name}.png")
            browser.close()
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
