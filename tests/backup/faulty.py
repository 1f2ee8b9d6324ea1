"""A way to an S3 server on which things go wrong, by a seed: what networks and servers do to requests.

    obstore --> Faulty (one fault, or none, a request) --> the server

Each request is read whole, then one of `Fault` happens to it. What is drawn depends on the seed and on how many
requests came before; which request that is, on the threads of who asks.
"""

from __future__ import annotations

import http.client
import random
import socketserver
import threading
from collections import Counter
from enum import Enum
from http.server import BaseHTTPRequestHandler
from typing import Self

SLOW = 0.02


class Fault(Enum):
    """What happens to a request. EFFECT: it is done, but nobody hears of that."""

    CUT = "the connection ends before the server has seen anything"
    CUT_IN_BODY = "the server gets half of the body"
    ERROR_500 = "500, not done"
    ERROR_503 = "503 SlowDown, not done"
    EFFECT_CUT = "done, the connection ends without an answer"
    EFFECT_500 = "done, answered 500"
    TRUNCATED = "the answer's body ends in the middle"
    DELAYED = "the answer comes late"
    CRAWLING = "the answer comes in two pieces, late"


class Faulty(socketserver.ThreadingTCPServer):
    """A proxy to 127.0.0.1:port. share: part of requests to which something happens; may be changed meanwhile."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, seed: int, share: float, faults: tuple[Fault, ...] = tuple(Fault)) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.share = share
        self.faults = faults
        self.happened: Counter[Fault] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *about: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news here."""

    def draw(self) -> Fault | None:
        with self._lock:
            if self._random.random() >= self.share:
                return None
            fault = self._random.choice(self.faults)
            self.happened[fault] += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Faulty

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        fault = self.server.draw()
        if fault in (Fault.ERROR_500, Fault.ERROR_503):
            self._refuse(fault is Fault.ERROR_503)
        elif fault is Fault.CUT:
            self._cut()
        elif fault is Fault.CUT_IN_BODY:
            self._half(body)
            self._cut()
        else:
            self._forward(body, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _do  # noqa: N815 - http.server's names

    def _cut(self) -> None:
        self.close_connection = True

    def _refuse(self, busy: bool) -> None:
        code = "SlowDown" if busy else "InternalError"
        self._answer(503 if busy else 500, [], f"<Error><Code>{code}</Code></Error>".encode())

    def _half(self, body: bytes) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=30)
        self._send(upstream, body[: len(body) // 2])
        upstream.close()

    def _send(self, upstream: http.client.HTTPConnection, body: bytes) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # as they are: they are signed
            upstream.putheader(name, value)
        upstream.endheaders(body or None)

    def _forward(self, body: bytes, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=30)
        try:
            self._send(upstream, body)
            got = upstream.getresponse()
            data, headers = got.read(), got.getheaders()
        finally:
            upstream.close()
        if fault is Fault.EFFECT_CUT:
            self._cut()
        elif fault is Fault.EFFECT_500:
            self._refuse(False)
        else:
            self._answer(got.status, headers, data, fault)

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, fault: Fault | None = None) -> None:
        if fault in (Fault.DELAYED, Fault.CRAWLING):
            threading.Event().wait(SLOW)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        told = {name.lower(): value for name, value in headers}.get("content-length")
        self.send_header("Content-Length", told if self.command == "HEAD" and told else str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(data) // 2
        if fault is Fault.TRUNCATED and data:
            self.wfile.write(data[:half])
            self._cut()
        elif fault is Fault.CRAWLING:
            self.wfile.write(data[:half])
            self.wfile.flush()
            threading.Event().wait(SLOW)
            self.wfile.write(data[half:])
        else:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Tests are silent."""
