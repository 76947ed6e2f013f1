"""The server as visitors meet it: who may connect, how much may be uploaded, and what a hostile answer does to it."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil
import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dashboard import server
from tests.browser.driver import ATLAS, MARKS, served, settle, visit

pytestmark = MARKS

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def named(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server whose user named two hosts."""
    hosts = ("--server.allowedHosts=atlas.example.org", "--server.allowedHosts=localhost")
    with served(ATLAS, tmp_path_factory.mktemp("named"), "--db", str(store), options=hosts) as url:
        yield url


def joined(address: str, host: str, origin: str = "") -> ClientConnection:
    """A WebSocket as a browser at ``host`` would open it for a page of ``origin``."""
    at = urlsplit(address)
    return connect(
        f"ws://{host}:{at.port}/_stcore/stream", sock=socket.create_connection((str(at.hostname), int(at.port or 0))),
        origin=origin or f"http://{host}:{at.port}", subprotocols=["streamlit"], max_size=None, open_timeout=30,  # type: ignore[arg-type,list-item]
    )  # fmt: skip


def session_of(connection: ClientConnection, page: str = "", **query: str) -> str:
    """The name that the server gives a visitor; the page has then run."""
    asked, message, name = BackMsg(), ForwardMsg(), ""
    asked.rerun_script.page_name = page
    asked.rerun_script.query_string = urlencode(query)
    connection.send(asked.SerializeToString())
    while message.WhichOneof("type") != "script_finished":
        message.ParseFromString(connection.recv(timeout=60))  # type: ignore[arg-type]
        if message.WhichOneof("type") == "new_session":
            name = message.new_session.initialize.session_id
    return name


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_is_answered(host: str, address: str) -> None:
    with joined(address, host) as connection:
        assert session_of(connection)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("rebound.example", ""),  # a name of theirs that leads here: Host and Origin are the same
        ("localhost.rebound.example", ""),
        ("127.0.0.1.rebound.example", ""),
        ("rebound.example", "http://localhost:8501"),
        ("localhost", "http://rebound.example"),
        ("0.0.0.0", ""),
        ("localhost", "http://localhost:1"),  # another server's page on this machine
        ("127.0.0.1", "https://localhost"),
        ("localhost", "null"),
    ],
)
def test_a_page_elsewhere_is_refused_whatever_name_it_uses(host: str, origin: str, address: str) -> None:
    with pytest.raises(InvalidStatus) as refusal, joined(address, host, origin):
        pass
    assert refusal.value.response.status_code == 403


def test_hosts_that_the_user_names_are_answered_and_no_others(named: str) -> None:
    for host in ("atlas.example.org", "localhost"):
        with joined(named, host) as connection:
            assert session_of(connection)
    for host in ("other.example.org", "127.0.0.1"):
        with pytest.raises(InvalidStatus), joined(named, host):
            pass


def test_nothing_but_health_is_told_under_another_name(address: str) -> None:
    def status(path: str, host: str) -> int:
        request = urllib.request.Request(address + path, headers={"Host": host})
        try:
            return int(urllib.request.urlopen(request, timeout=30).status)
        except urllib.error.HTTPError as refused:
            return refused.code

    for path in ("/", "/sql", "/media/x", "/_stcore/metrics", "/_stcore/host-config"):
        assert status(path, "rebound.example") == 403
    assert status("/_stcore/health", "rebound.example") == status("/", "localhost") == 200
    for path in (
        "/_stcore/metrics",
        "/_stcore/agent/openapi.json",
        "/_stcore/agent/mcp",
        "/_stcore/script-health-check",
    ):
        assert status(path, "localhost") == 404


def test_what_no_page_asks_is_dropped(address: str) -> None:
    with joined(address, "localhost") as connection:
        session_of(connection)
        not_of_pages = [
            BackMsg(set_run_on_save=True),
            BackMsg(clear_cache=True),
            BackMsg(load_git_info=True),
            BackMsg(),
        ]
        not_of_pages[-1].backend_operation_request.install_skills.SetInParent()
        for message in not_of_pages:
            assert not server._is_asked({"type": "websocket.receive", "bytes": message.SerializeToString()})
            connection.send(message.SerializeToString())
        connection.send(BackMsg(app_heartbeat=True).SerializeToString())
        answer, git_info, runs_on_save = ForwardMsg(), False, False
        while answer.WhichOneof("type") != "heartbeat_ack":
            answer.ParseFromString(connection.recv(timeout=30))  # type: ignore[arg-type]
            git_info |= answer.HasField("git_info_changed")
            runs_on_save |= answer.session_status_changed.run_on_save
        assert not git_info and not runs_on_save


def test_a_message_larger_than_a_page_sends_ends_the_connection(address: str) -> None:
    asked = BackMsg()
    asked.rerun_script.query_string = "x" * 2 * MEGABYTE
    with joined(address, "localhost") as connection:
        session_of(connection)
        connection.send(asked.SerializeToString())
        with pytest.raises(ConnectionClosedError) as end:
            while True:
                connection.recv(timeout=30)
    assert end.value.rcvd is not None and end.value.rcvd.code == 1009


def put(address: str, session: str, name: str, content: bytes) -> int:
    """Upload a file as the page does; returns the status."""
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.wav"\r\n\r\n' + content + b"\r\n--x--\r\n"
    request = urllib.request.Request(f"{address}/_stcore/upload_file/{session}/{name}", body, method="PUT")
    token = urllib.request.urlopen(f"{address}/_stcore/health", timeout=30).headers["Set-Cookie"]
    cookie = token.split(";")[0]
    kind = "multipart/form-data; boundary=x"
    for header, value in {"Content-Type": kind, "Cookie": cookie, "X-Xsrftoken": cookie.split("=", 1)[1]}.items():
        request.add_header(header, value)
    try:
        return int(urllib.request.urlopen(request, timeout=60).status)
    except urllib.error.HTTPError as refused:
        return refused.code


def memory(address: str) -> int:
    """Bytes that the server of an address holds."""
    port = f"--server.port={urlsplit(address).port}"
    (found,) = [child for child in psutil.Process().children() if port in child.cmdline()]
    return int(found.memory_info().rss)


def test_uploads_to_ids_that_nobody_asked_for_are_bounded(address: str) -> None:
    sound = bytes(24 * MEGABYTE)
    with joined(address, "localhost") as first:
        session = session_of(first)
        before = memory(address)
        answers = [put(address, session, f"id-{number}", sound) for number in range(40)]
        fitting = server.MOST_OF_SESSION // len(sound)
        assert answers == [204] * fitting + [413] * (40 - fitting)
        assert memory(address) - before < 2 * server.MOST_OF_SESSION
        small = [put(address, session, f"small-{number}", b"x") for number in range(100)]
        assert small[0] == 204 and small[-1] == 413
        with joined(address, "localhost") as second:
            assert put(address, session_of(second), "id", sound) == 204, "another visitor may still upload"


def test_all_visitors_together_hold_no_more_than_they_may(address: str) -> None:
    sound = bytes(24 * MEGABYTE)
    answers: list[int] = []
    with ExitStack() as visitors:
        while 413 not in answers and len(answers) * len(sound) < 2 * server.MOST_OF_ALL:
            session = session_of(visitors.enter_context(joined(address, "localhost")))
            answers += [put(address, session, f"{number}", sound) for number in range(3)]
    assert set(answers) == {204, 413} and answers.count(204) * len(sound) <= server.MOST_OF_ALL


def asks_for_much(address: str, number: int) -> None:
    """Come, ask *SQL* for an answer of 15 MB that is drawn too, and leave."""
    rows = f"WITH RECURSIVE n(i) AS (VALUES ({number}) UNION ALL SELECT i + 1 FROM n LIMIT 10000)"
    with joined(address, "localhost") as visitor:
        session_of(visitor, "sql", sql=f"{rows} SELECT i, PRINTF('%.*c', 1500, 'a') || i AS x FROM n")


def settled_memory(address: str) -> int:
    """Bytes of the server once it has forgotten who left, and loaded what later pages need: the same for 4 s."""
    held = [memory(address)]
    while len(held) < 5 or max(held[-5:]) - min(held[-5:]) > MEGABYTE:
        assert len(held) < 60, "it does not settle"
        time.sleep(1)
        held.append(memory(address))
    return held[-1]


def test_what_visitors_asked_goes_with_them(store: Path, tmp_path: Path) -> None:
    with served(ATLAS, tmp_path, "--db", str(store), options=["--server.disconnectedSessionTTL=1"]) as address:
        asks_for_much(address, 0)
        before = settled_memory(address)
        for number in range(1, 5):
            asks_for_much(address, number)
        assert settled_memory(address) - before < 30 * MEGABYTE, "of 60 MB of answers and as much of charts"


def test_an_upload_that_hides_its_size_is_refused(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.putrequest("PUT", "/_stcore/upload_file/a/b")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_every_answer_tells_the_browser_what_the_page_may_load(address: str) -> None:
    for path in ("/", "/sql", "/_stcore/health", "/static/nothing"):
        try:
            headers = urllib.request.urlopen(address + path, timeout=30).headers
        except urllib.error.HTTPError as missing:
            headers = missing.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_browser_runs_no_script_that_stands_in_the_page(address: str, kept_tab: Page) -> None:
    visit(kept_tab, address)
    for markup in (
        "<img src=x onerror=window.hacked=1>",
        "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    ):
        kept_tab.evaluate("markup => document.body.insertAdjacentHTML('beforeend', markup)", markup)
    kept_tab.wait_for_timeout(1000)
    assert kept_tab.evaluate("window.hacked") is None


def test_a_picture_of_control_characters_ends_nothing(address: str, tab: Page) -> None:
    statement = "SELECT 'a' || char(27, 1, 8, 65535) AS x, 1 AS n UNION ALL SELECT 'b', 2"
    visit(tab, f"{address}/sql?{urlencode({'sql': statement})}")
    tab.locator(".st-key-take_answer_chart button").first.click()
    for kind in ("SVG", "PNG"):
        with tab.expect_download(timeout=60_000) as taken:
            tab.get_by_role("button", name=kind, exact=True).click()
        content = taken.value.path().read_bytes()
        assert content.startswith(b"<svg" if kind == "SVG" else b"\x89PNG")
    settle(tab)
    expect(tab.get_by_test_id("stDownloadButtonError")).to_have_count(0)
    assert urllib.request.urlopen(f"{address}/_stcore/health", timeout=10).status == 200
