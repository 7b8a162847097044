"""An introspection endpoint (RFC 7662) over plain HTTP that knows the tokens it was given, for pure protocol tests."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Introspection:
    """`tokens` maps a token to its account; `down` answers 503 to everything; `asked` counts the questions."""

    tokens: dict[str, str] = field(default_factory=dict)
    scope: str = "mail"
    client_id: str = "dovecot"
    client_secret: str = "introspects"
    down: bool = False
    asked: int = 0

    def __enter__(self) -> Introspection:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stub.asked += 1
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = stub._answer(body.decode(), self.headers.get("Authorization", ""))
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/introspect"

    def _answer(self, body: str, authorization: str) -> tuple[int, dict[str, Any]]:
        if self.down:
            return 503, {}
        expected = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if authorization != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        token = parse_qs(body).get("token", [""])[0]
        if token not in self.tokens:
            return 200, {"active": False}
        return 200, {"active": True, "username": self.tokens[token], "scope": self.scope}
