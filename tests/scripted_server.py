"""An HTTP server on the loopback that streams what a test says: for what real ones rarely do."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Lines = list[str]


@dataclass
class Scripted:
    """`bodies` are what came in; `answer` gives a status and the stream's lines for each."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def chunk(text: str = "", **more: Any) -> str:
    """An event of the completions interface."""
    return "data: " + json.dumps({"choices": [{"text": text}], **more})


def words(count: int, **usage: int) -> Lines:
    """A whole answer of `count` pieces; `usage` is the server's own count at the end."""
    last = [chunk("", usage=usage)] if usage else []
    return [*(chunk(f" {number}") for number in range(count)), *last, "data: [DONE]"]


@contextlib.contextmanager
def scripted_server(
    answer: Callable[[dict[str, Any]], tuple[int, Lines]],
    models: str = '{"data": [{"id": "tiny"}]}',
) -> Iterator[Scripted]:
    """Serves until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, models.encode(), "application/json")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.bodies.append({"path": self.path, **body})
            found.headers.append(dict(self.headers))
            status, lines = answer(body)
            kind = "text/event-stream" if status == 200 else "application/json"
            end = "\n\n" if status == 200 else ""
            self._send(status, "".join(line + end for line in lines).encode(), kind)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the test's output."""

        def _send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Scripted(url=f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
