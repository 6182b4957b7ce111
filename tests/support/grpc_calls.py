"""Calls a gRPC method by hand, as somebody without Ray's own client would."""

from __future__ import annotations

import re
import socket
import struct

SETTINGS, HEADERS, DATA = 4, 1, 0
UNAUTHENTICATED, DONE = 16, 0


def status(
    port: int, method: str, token: str | None = None, body: bytes = b"", timeout: float = 10.0
) -> int | None:
    """The status of a call of one message to a server of this machine; ``None`` when it does not speak gRPC."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": f"127.0.0.1:{port}",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    lines = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
    message = b"\0" + struct.pack(">I", len(body)) + body
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(SETTINGS, 0, 0)
            + _frame(HEADERS, 4, 1, lines)
            + _frame(DATA, 1, 1, message)
        )
        found = re.search(rb"grpc-status.(\d+)", _answer(connection), re.DOTALL)
    return int(found[1]) if found else None


def _answer(connection: socket.socket) -> bytes:
    """All frames of the call's stream until it ends."""
    answer, waiting = b"", b""
    try:
        while more := connection.recv(65_536):
            waiting += more
            while len(waiting) >= 9 + (size := int.from_bytes(waiting[:3])):
                kind, flags, stream = waiting[3], waiting[4], int.from_bytes(waiting[5:9])
                if kind == SETTINGS and not flags & 1:
                    connection.sendall(_frame(SETTINGS, 1, 0))
                if stream == 1:
                    answer += waiting[9 : 9 + size]
                    if flags & 1:
                        return answer
                waiting = waiting[9 + size :]
    except ConnectionError:
        pass
    return answer


def _frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def _text(text: str) -> bytes:
    """A text of a header, uncompressed."""
    content = text.encode()
    assert len(content) < 127
    return bytes([len(content)]) + content
