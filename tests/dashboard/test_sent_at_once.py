"""Answers of the server that do not wait until the browser has confirmed their head."""

from __future__ import annotations

import asyncio
import socket

from dashboard.server import _send_at_once


def test_a_connection_of_a_socket_without_a_protocol_sends_at_once() -> None:
    taken = asyncio.run(_a_connection())
    assert taken == [True]


async def _a_connection() -> list[bool]:
    taken: list[bool] = []

    class Answers(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            one: socket.socket = transport.get_extra_info("socket")
            taken.append(bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            transport.close()

    _send_at_once(Answers)
    listening = socket.create_server(("127.0.0.1", 0))  # as Streamlit's, it was not told its protocol
    server = await asyncio.get_running_loop().create_server(Answers, sock=listening)
    async with server:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        await reader.read()
        writer.close()
    return taken
