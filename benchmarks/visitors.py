"""Twenty visitors who do the worst they may, and one bystander: what he waits for pages, and what the server holds.

    python -m benchmarks.visitors [--minutes 10] [--visitors 20]

Makes a store (the tests' synthetic study with sound, and a real run of the embedded model over tones), serves it with
``streamlit run dashboard/app.py``, and lets visitors in: they speak the page's own protocol over WebSockets, from a
process of their own, and send endless and huge SQL, charts of hostile text as pictures, 24 MB of sound, sounds for the
model, pages in quick succession, and messages that no page sends. The bystander clicks through the pages in a real
Chromium; for how long each is awaited is measured from the click until the page stands.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode, urlsplit

import numpy as np
import psutil
import soundfile
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dashboard.shared.address import OF_PAGES  # noqa: E402
from tests.browser.driver import ATLAS, Page, browser, served  # noqa: E402
from tests.support.synthetic_store import build_store  # noqa: E402

MEGABYTE = 1_000_000
FORGOTTEN = 70
"""Seconds after which a visitor who left is forgotten (`disconnectedSessionTTL`)."""
RATE = 16_000
PAGES = tuple(OF_PAGES)
ENDLESS = (
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n",
    "SELECT COUNT(*) FROM neuron AS a, neuron AS b, neuron AS c, neuron AS d",
    "SELECT a.id FROM neuron AS a, neuron AS b, neuron AS c ORDER BY a.id * b.id % 97, c.id",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 1000000)"
    " SELECT SUM(INSTR(PRINTF('%.*c', 900000, 'a'), 'b')) FROM n",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 1000000)"
    " SELECT JSON_GROUP_ARRAY(HEX(RANDOMBLOB(400000))) FROM n",
)
HOSTILE = "char(27, 7, 8238, 8203, 65535) || '<script>=1+1[x](javascript:y)' || char(55357)"
STILL = "[data-testid=stApp][data-test-script-state=notRunning]"


class Client:
    """A visitor's connection: speaks the protocol of the page, and takes what comes."""

    def __init__(self, address: str) -> None:
        at = urlsplit(address)
        self.address = address
        self.session = ""
        self.seen: list[ForwardMsg] = []
        self._stream = connect(
            f"ws://{at.netloc}/_stcore/stream", origin=address, subprotocols=["streamlit"],  # type: ignore[arg-type,list-item]
            max_size=None, open_timeout=60, close_timeout=1,
        )  # fmt: skip

    def close(self) -> None:
        with suppress(WebSocketException):
            self._stream.close()

    def send(self, message: BackMsg) -> None:
        self._stream.send(message.SerializeToString())

    def open(self, page: str, *states: WidgetState, wait: bool = True, **query: object) -> None:
        """Run a page; its messages are kept in ``seen``."""
        asked = BackMsg()
        asked.rerun_script.page_name = page
        asked.rerun_script.query_string = urlencode(query)
        asked.rerun_script.widget_states.widgets.extend(states)
        self.send(asked)
        if wait:
            self.seen = list(self._until("script_finished"))

    def _until(self, kind: str, seconds: float = 90) -> Iterator[ForwardMsg]:
        end, found = time.monotonic() + seconds, ""
        while found != kind:
            message = ForwardMsg()
            message.ParseFromString(self._stream.recv(timeout=max(end - time.monotonic(), 0)))  # type: ignore[arg-type]
            found = str(message.WhichOneof("type"))
            if found == "new_session":
                self.session = message.new_session.initialize.session_id or self.session
            yield message

    def answer(self, message: BackMsg, kind: str) -> ForwardMsg:
        """Send a message and return the answer of a kind."""
        self.send(message)
        return list(self._until(kind))[-1]

    def widget(self, key: str) -> str:
        """Name of the widget with a key."""
        ending = f"-{key}".encode()
        for message in self.seen:
            for found in re.finditer(rb"([\x00-\x7f])(\$\$ID-[\x20-\x7e]+)", message.SerializeToString()):
                name = found[2][: found[1][0]]  # its length stands before it
                if name.endswith(ending):
                    return name.decode()
        return ""

    def deferred(self) -> list[str]:
        """Names of the files that are made when they are asked for."""
        buttons = [
            message.delta.new_element.download_button for message in self.seen
            if message.delta.new_element.HasField("download_button")
        ]  # fmt: skip
        return [button.deferred_file_id for button in buttons if button.deferred_file_id]

    def file(self, name: str) -> str:
        """Ask for such a file; returns the error."""
        asked = BackMsg()
        asked.backend_operation_request.request_id = name
        asked.backend_operation_request.session_id = self.session
        asked.backend_operation_request.deferred_file.file_id = name
        return self.answer(asked, "backend_operation_response").backend_operation_response.error_msg

    def upload(self, content: bytes, name: str = "sound.wav") -> WidgetState:
        """Upload a file for the page *Listen*, which has been opened; returns the uploader's state."""
        asked = BackMsg()
        asked.file_urls_request.request_id = "1"
        asked.file_urls_request.session_id = self.session
        asked.file_urls_request.file_names.append(name)
        urls = self.answer(asked, "file_urls_response").file_urls_response.file_urls[0]
        head = f'--x\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'.encode()
        request = urllib.request.Request(
            self.address + urls.upload_url, head + content + b"\r\n--x--\r\n", method="PUT"
        )
        token = urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=60).headers["Set-Cookie"]
        cookie = token.split(";")[0]
        kind = "multipart/form-data; boundary=x"
        for header, value in {"Content-Type": kind, "Cookie": cookie, "X-Xsrftoken": cookie.split("=", 1)[1]}.items():
            request.add_header(header, value)
        urllib.request.urlopen(request, timeout=90).close()
        state = WidgetState(id=self.widget("uploaded"))
        state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(content), file_id=urls.file_id, file_urls=urls
        )
        return state


class Visitor:
    """Does one bad thing after the other, each as a page or a patient attacker could."""

    def __init__(self, address: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.client = Client(address)
        self.misdeeds: tuple[Callable[[], None], ...] = (
            self.asks_endless, self.asks_for_much, self.takes_pictures, self.uploads, self.listens,
            self.hurries, self.sends_what_no_page_sends, self.comes_and_goes,
        )  # fmt: skip

    def unique(self) -> str:
        return f" /* {self.rng.getrandbits(60)} */"

    def asks_endless(self) -> None:
        self.client.open("sql", sql=self.rng.choice(ENDLESS) + self.unique())

    def asks_for_much(self) -> None:
        rows = f"WITH RECURSIVE n(i) AS (VALUES ({self.rng.getrandbits(40)}) UNION ALL SELECT i + 1 FROM n LIMIT 10000)"
        self.client.open("sql", sql=f"{rows} SELECT i, PRINTF('%.*c', 1500, 'é') || i AS x FROM n")

    def takes_pictures(self) -> None:
        rows = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 5000)"
        sql = f"{rows} SELECT {HOSTILE} || i AS x, {HOSTILE} || i % 50 AS c, i AS y FROM n" + self.unique()
        self.client.open("sql", sql=sql)
        if menu := self.client.widget("take_answer_chart"):
            self.client.open("sql", WidgetState(id=menu, bool_value=True), sql=sql, kind="point")
            for name in self.client.deferred():
                self.client.file(name)

    def uploads(self) -> None:
        content = io.BytesIO()
        noise = np.random.default_rng(self.rng.getrandbits(30)).integers(-9000, 9000, 12 * MEGABYTE - 50, dtype="int16")
        soundfile.write(content, noise, 48_000, format="WAV")
        self._hear(content.getvalue(), "sound.wav")

    def listens(self) -> None:
        if self.rng.random() < 0.5:
            return self.client.open("listen", model="nano-ssl", source="store", clip=self.rng.randrange(1, 300))
        content = io.BytesIO()
        noise = np.random.default_rng(self.rng.getrandbits(30)).normal(0, 0.1, 30 * RATE)
        soundfile.write(content, noise, RATE, format="FLAC")
        return self._hear(content.getvalue(), "sound.flac")

    def _hear(self, content: bytes, name: str) -> None:
        place = {"model": "nano-ssl", "source": "upload"}
        self.client.open("listen", **place)
        with suppress(urllib.error.HTTPError):  # as many as may be
            self.client.open("listen", self.client.upload(content, name), **place)

    def hurries(self) -> None:
        for _ in range(20):
            place = {"layer": self.rng.randrange(6), "neuron": self.rng.randrange(64)}
            self.client.open(self.rng.choice(PAGES), wait=False, **place)
        self.client.open("neuron")

    def sends_what_no_page_sends(self) -> None:
        for _ in range(20):
            self.client.send(BackMsg(clear_cache=True))
            self.client.send(BackMsg(load_git_info=True))
        self.client.open("overview", WidgetState(id="x", string_value="x" * 20 * MEGABYTE))

    def comes_and_goes(self) -> None:
        for _ in range(5):
            self.client.open("heatmap", wait=False)
            self.client.close()
            self.client = Client(self.client.address)


def visit(address: str, seed: int, over: Event, done: Counter[str]) -> None:
    """Let a visitor do what he may until it is over; who is thrown out comes again."""
    visitor: Visitor | None = None
    while not over.is_set():
        try:
            visitor = visitor or Visitor(address, seed)
            misdeed = visitor.rng.choice(visitor.misdeeds)
            misdeed()
            done[misdeed.__name__] += 1
        except (OSError, WebSocketException, TimeoutError) as error:
            done[f"ended by {type(error).__name__}"] += 1
            visitor, seed = None, seed + 1000
            over.wait(1)
    if visitor is not None:
        visitor.client.close()


def crowd(address: str, visitors: int, over: Event) -> None:
    """All visitors, in this process of their own; tells at the end what they did."""
    os.nice(19)  # their machines are others: what they take of this one is not to be measured
    done: Counter[str] = Counter()
    threads = [threading.Thread(target=visit, args=(address, seed, over, done)) for seed in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("visitors:", ", ".join(f"{name} {number}" for name, number in sorted(done.items())), flush=True)


class Watch:
    """Memory of a server and its workers, looked at four times a second."""

    def __init__(self, address: str) -> None:
        port = f"--server.port={urlsplit(address).port}"
        (self.server,) = [child for child in psutil.Process().children() if port in child.cmdline()]
        self.peak = self.peak_of_server = 0
        threading.Thread(target=self._look, daemon=True).start()

    def now(self) -> tuple[int, int]:
        """Bytes of the server, and of the server with its workers."""
        held = []
        for process in (self.server, *self.server.children(recursive=True)):
            with suppress(psutil.Error):
                held.append(process.memory_info().rss)
        return (held[0] if held else 0), sum(held)

    def _look(self) -> None:
        while self.server.is_running():
            with suppress(psutil.Error):
                server, every = self.now()
                self.peak, self.peak_of_server = max(self.peak, every), max(self.peak_of_server, server)
            time.sleep(0.25)


def bystander(tab: Page, seconds: float) -> dict[str, list[float]]:
    """Click through the pages, and measure how long each is awaited."""
    waited: dict[str, list[float]] = {page: [] for page in PAGES}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for page in (*PAGES[1:], PAGES[0]):
            link = tab.locator(f"[data-testid=stSidebarNavLink][href$='/{'' if page == PAGES[0] else page}']")
            former = tab.locator("h1").inner_text()
            started = time.monotonic()
            link.click()
            tab.wait_for_function(
                "([former, still]) => document.querySelector(still)"
                " && ![undefined, former].includes(document.querySelector('h1')?.innerText)",
                arg=[former, STILL], polling="raf", timeout=120_000,
            )  # fmt: skip
            waited[page].append(time.monotonic() - started)
            tab.wait_for_timeout(300)
    return waited


def study(folder: Path) -> Path:
    """A store with made-up models, and with the embedded one, run over tones."""
    build_store(folder / "atlas.db", models=("made-up", "made-up-2"), audio_root=folder / "sound")
    tones = folder / "tones"
    for number in range(32):
        wave = 0.3 * np.sin(2 * np.pi * (220 + 110 * (number % 4)) * np.arange(RATE // 2) / RATE)
        noise = 0.01 * np.random.default_rng(number).standard_normal(len(wave))
        place = tones / f"tone-{number % 4}"
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / f"{number}.flac", wave + noise, RATE)
    subprocess.run(
        [sys.executable, "run_analysis.py", "--model", "nano-ssl", "--data-dir", tones, "--db", folder / "atlas.db",
         "--stages", "extract,score", "--shuffles", "3"],
        check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return folder / "atlas.db"


def told(waited: dict[str, list[float]]) -> str:
    """Times of pages in one line."""
    every = [one for page in waited.values() for one in page]
    if len(every) < 2:
        return "no pages"
    under = sum(one < 1 for one in every) / len(every)
    slowest = max(waited, key=lambda page: max(waited[page], default=0))
    return (
        f"{len(every)} pages: median {statistics.median(every):.2f} s, 95 % {np.quantile(every, 0.95):.2f} s, slowest "
        f"{max(every):.2f} s ({slowest}); {under:.0%} under 1 s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--quiet", type=float, default=3, help="minutes after which the memory is looked at again (3)")
    parser.add_argument("--db", type=Path, help="a store that such a run left (default: makes one)")
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store = arguments.db or study(folder)
        with served(ATLAS, folder, "--db", str(store)) as address, browser(folder / "profile") as window:
            watch, tab = Watch(address), window.pages[0]
            tab.goto(address)
            first = Visitor(address, 0)
            first.uploads()  # the model is loaded once
            first.client.close()
            bystander(tab, 1)
            alone = bystander(tab, 20)
            time.sleep(FORGOTTEN)
            at_start = watch.now()
            over = multiprocessing.get_context("spawn").Event()
            visitors = multiprocessing.get_context("spawn").Process(
                target=crowd, args=(address, arguments.visitors, over)
            )
            visitors.start()
            waited = bystander(tab, arguments.minutes * 60)
            load = os.getloadavg()[0]
            over.set()
            visitors.join()
            time.sleep(arguments.quiet * 60)
            at_end = watch.now()
            restarted = "none" if watch.server.is_running() else "the server ended"
        log = (folder / "log.txt").read_text()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {load:.1f}; {arguments.visitors} visitors")
    print(f"bystander alone: {told(alone)}\nbeside visitors: {told(waited)}")
    for page, times in waited.items():
        print(f"  {page}: median {statistics.median(times):.2f} s, slowest {max(times):.2f} s")
    errors = Counter(re.findall(r"^[\w.]+(?:Error|Exception)\b.*", log, re.MULTILINE))
    print(f"restarts: {restarted}; errors in the server's log: {dict(errors.most_common(5)) or 'none'}")
    for name, (server, every) in {"start": at_start, "end": at_end}.items():
        print(f"memory at the {name}: server {server / MEGABYTE:,.0f} MB, with its workers {every / MEGABYTE:,.0f} MB")
    print(f"peak: server {watch.peak_of_server / MEGABYTE:,.0f} MB, with its workers {watch.peak / MEGABYTE:,.0f} MB")


if __name__ == "__main__":
    main()
