"""What the server does beyond Streamlit's own: it bounds what visitors upload and ask, tells browsers what to load, and
lets one click be one step of their Back.

Which names the server answers to, and from which pages, is in ``.streamlit/config.toml``.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import re
import socket
import sys
from base64 import b64encode
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import streamlit
from google.protobuf.message import DecodeError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, runtime
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest, BackMsg
from streamlit.proto.ForwardMsg_pb2 import BackendOperationResponse
from streamlit.runtime import app_session
from streamlit.runtime.backend_operation_handler import DeferredFileHandler
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from dashboard.shared.pictures import NotDrawn

_log = logging.getLogger(__name__)
MEGABYTE = 1_000_000
MOST_OF_SESSION = 80 * MEGABYTE
"""Bytes that one visitor's uploads hold: a sound, another that replaces it, and a recording."""
MOST_OF_ALL = 400 * MEGABYTE
BESIDE_A_FILE = 100_000
"""Bytes that even an empty file counts for, so that many are no way around."""
ASKED_BY_PAGES = frozenset(
    {"rerun_script", "stop_script", "app_heartbeat", "file_urls_request", "deferred_file", "dataframe_chunk"}
)
"""What pages ask over their WebSocket; Streamlit would also empty all visitors' caches, or name files of its folder."""
HEALTH = "/_stcore/health"
"""Asked by whoever watches the server, under any name; it tells nothing."""
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # glibc's malloc.h
_NOT_OF_PAGES = re.compile(r"/_stcore/(metrics|agent/|script-health-check)")
_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+$")


STEPS = (Path(__file__).parent / "steps.js").read_bytes()


def _policy() -> str:
    """What a page may load and run: what comes from here; of scripts that stand in it Streamlit's own and `STEPS`."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_bytes()
    inline = [STEPS, *re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)]
    own = "".join(f" 'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in inline)
    parts = [
        # Vega compiles its expressions; the player and downloads are blobs of the page's own making.
        "default-src 'self'", f"script-src 'self' 'unsafe-eval' blob:{own}", "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:", "media-src 'self' data: blob:", "font-src 'self' data:",
        "connect-src 'self' data: blob:", "worker-src 'self' blob:", "frame-src 'self' blob:", "object-src 'none'",
        "base-uri 'self'", "form-action 'self'", "frame-ancestors 'self'",
    ]  # fmt: skip
    return "; ".join(parts)


HEADERS = {"content-security-policy": _policy(), "x-content-type-options": "nosniff", "referrer-policy": "same-origin"}


with suppress(AttributeError, OSError, TypeError):  # glibc alone has heaps for each thread, which keep what is freed
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
    ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MEGABYTE)  # or it grows, and what is large is kept among what is small
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # before it is loaded: its own keeps what is freed
sys.setswitchinterval(0.001)  # who waits for a page waits for the thread that sends it, beside those that make others


def _send_at_once(protocol: type[asyncio.Protocol]) -> None:
    """Send an answer's body without waiting until the browser has confirmed its head: 0.04 s for each of 120 files.

    asyncio sees to that on sockets that were told their protocol; Streamlit's are not.
    """
    take = protocol.connection_made

    def connection_made(self: asyncio.BaseProtocol, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        take(self, transport)

    protocol.connection_made = connection_made  # type: ignore[method-assign]


_send_at_once(AutoHTTPProtocol)


class SafeHeaders:
    """Tells browsers to load nothing from elsewhere, and to show the page in no frame of another."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class OneStepBack:
    """Puts `STEPS` before all other scripts of a page: Streamlit has no way to change an address without a new step."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or b"text/html" not in _asked_for(scope):
            await self.app(scope, receive, send)
            return
        # As it is, whole and anew: a copy that the browser kept would be of another version.
        asked = {**scope, "headers": [one for one in scope["headers"] if one[0] not in _OF_COPIES], "extensions": {}}
        start: Message | None = None
        body = b""

        async def with_steps(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    whole = body.replace(b"<script", b"<script>" + STEPS + b"</script>\n    <script", 1)
                    headers = MutableHeaders(scope=start)
                    headers["content-length"] = str(len(whole))
                    del headers["etag"], headers["last-modified"]
                    await send(start)
                    await send({"type": "http.response.body", "body": whole})

        await self.app(asked, receive, with_steps)


_OF_COPIES = {b"accept-encoding", b"if-none-match", b"if-modified-since"}


def _is_page(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")


def _asked_for(scope: Scope) -> bytes:
    """What kinds of answer a browser wants."""
    return b",".join(value for name, value in scope["headers"] if name == b"accept")


class BoundedUploads:
    """Refuses an upload that would make a visitor's, or all visitors', hold more memory than they may.

    Streamlit bounds a single file, and takes as many as there are ids to think of.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._arriving: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = _UPLOAD.search(scope["path"]) if scope["type"] == "http" and scope["method"] == "PUT" else None
        if upload is None:
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 16):
            await PlainTextResponse("Content-Length is needed", 411)(scope, receive, send)
            return
        session, size = upload[1], int(length) + BESIDE_A_FILE
        of_session, of_all = self._held(session)
        if of_session + size > MOST_OF_SESSION or of_all + size > MOST_OF_ALL:
            await _without_body(receive)
            reason = "The uploads kept here are as many as may be; leave the page, or try again in some minutes"
            await PlainTextResponse(reason, 413)(scope, receive, send)
            return
        self._arriving[session] += size
        try:
            await self.app(scope, receive, send)
        finally:
            self._arriving[session] -= size
            if not self._arriving[session]:
                del self._arriving[session]

    def _held(self, session: str) -> tuple[int, int]:
        """Bytes of one visitor's and of all uploads, those on their way included."""
        held = Counter(self._arriving)
        kept = cast(MemoryUploadedFileManager, runtime.get_instance().uploaded_file_mgr).file_storage
        for owner, files in list(kept.items()):
            held[owner] += sum(len(file.data) + BESIDE_A_FILE for file in list(files.values()))
        return held[session], held.total()


class PagesAlone:
    """Answers under the names that the server was given, and what pages ask: the rest is for whoever writes pages.

    Streamlit looks at the name where a WebSocket is opened, and nowhere else; and takes a page of any port of this
    machine for its own, where other people's may be.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].endswith(HEALTH):
            if not is_host_allowed(Headers(scope=scope).get("host")):
                told = "This server does not go by that name; name it at its start, --server.allowedHosts=NAME"
                await PlainTextResponse(told, 403)(scope, receive, send)
                return
            if _NOT_OF_PAGES.search(scope["path"]):
                await PlainTextResponse("Not found", 404)(scope, receive, send)
                return

        async def asked_by_pages() -> Message:
            while not _is_asked(message := await receive()):
                pass
            return message

        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "origin" in headers and urlsplit(headers["origin"]).netloc != headers.get("host"):
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await self.app(scope, asked_by_pages, send)
        finally:
            asyncio.get_running_loop().call_later(config.get_option("server.disconnectedSessionTTL") + 1, _forget_gone)


def _forget_gone() -> None:
    """Let go of visitors who have left and may not come back: Streamlit does so when the next one leaves.

    What they asked in words of their own goes with them, unless several are still here, who would ask again.
    """
    visitors = runtime.get_instance()._session_mgr
    if not visitors._session_storage._cache.expire():  # type: ignore[attr-defined]
        return
    if visitors.num_active_sessions() <= 1:
        streamlit.cache_data.clear()
    gc.collect()  # a session is known to itself
    with suppress(AttributeError, OSError, TypeError):  # glibc alone keeps what is freed, and has this
        ctypes.CDLL(None).malloc_trim(0)


def _is_asked(message: Message) -> bool:
    """Whether a page could have sent this; what is no message at all is Streamlit's to refuse."""
    content = message.get("bytes")
    if message["type"] != "websocket.receive" or not content:
        return True
    asked = BackMsg()
    try:
        asked.ParseFromString(content)
    except DecodeError:
        return True
    kind: str | None = asked.WhichOneof("type")
    if kind == "backend_operation_request":
        kind = asked.backend_operation_request.WhichOneof("payload")
    return kind in ASKED_BY_PAGES


class TellsWhy(DeferredFileHandler):
    """Makes a file when it is asked for, and tells the visitor why there is none: Streamlit keeps that to its log."""

    async def handle(self, request: BackendOperationRequest, session_id: str) -> BackendOperationResponse:
        """Answer with the file's address, or one sentence that stands below the button."""
        del session_id
        answer = BackendOperationResponse(request_id=request.request_id)
        try:
            make = self._get_media_file_mgr().execute_deferred
            answer.deferred_file.url = await asyncio.to_thread(make, request.deferred_file.file_id)
        except Exception as error:
            is_told = isinstance(error.__cause__, NotDrawn)
            why = error.__cause__ if is_told else "The file could not be made; the server's log says why."
            answer.error_msg = str(why)
            if not is_told:
                _log.exception("a file that was asked for could not be made")
        return answer


app_session.DeferredFileHandler = TellsWhy  # type: ignore[misc]


async def _without_body(receive: Receive) -> None:
    """Let a request arrive and forget it: a browser that is cut off while it sends does not hear why."""
    message = await receive()
    while message["type"] == "http.request" and message.get("more_body"):
        message = await receive()
