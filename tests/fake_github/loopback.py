"""HTTP servers on loopback: the ground under the fake, and a stranger to be redirected to."""

from __future__ import annotations

import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class _Server(ThreadingHTTPServer):
    crashes: list[str]

    def handle_error(self, *_: object) -> None:
        # a client that hung up or was killed is no defect of the fake
        if not isinstance(sys.exception(), ConnectionError):
            self.crashes.append(traceback.format_exc())


class Loopback:
    """An HTTP server on a free port of 127.0.0.1, running from `with` to its end.

    `crashes` holds the tracebacks of requests that the server itself could not answer.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._http = _Server(("127.0.0.1", 0), handler)
        self.crashes = self._http.crashes = []
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class Stranger(Loopback):
    """Another host: answers 200 to everything and keeps the `Authorization` each request brought, or None."""

    def __init__(self) -> None:
        credentials: list[str | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                credentials.append(self.headers.get("Authorization"))
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_: object) -> None: ...

        super().__init__(Handler)
        self.credentials = credentials
        # a name apart from 127.0.0.1 makes it another host, not only another port
        self.url = f"http://localhost:{self.port}"
