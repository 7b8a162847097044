"""HTTP for the provider: requests and responses as plain values, routes as a dict, a thread a connection."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LARGEST_BODY = 64 * 1024 * 1024  # bytes; only the control interface takes much
log = logging.getLogger("sandbox.web")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Message  # names without regard to case
    body: bytes = b""

    @property
    def args(self) -> dict[str, str]:
        return dict(self.query)

    @property
    def form_pairs(self) -> list[tuple[str, str]]:
        if "x-www-form-urlencoded" not in (self.headers.get("Content-Type") or ""):
            return []
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.form_pairs)

    def json(self) -> dict[str, Any]:
        """The body, a JSON object. Raises ValueError."""
        found = json.loads(self.body or b"{}")
        if not isinstance(found, dict):
            raise ValueError("the body must be a JSON object")  # noqa: TRY004 - for callers all the same
        return found

    def cookie(self, name: str) -> str:
        try:
            jar = SimpleCookie(self.headers.get("Cookie") or "")
        except CookieError:
            return ""
        return jar[name].value if name in jar else ""


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    silent: bool = False  # close the connection without an answer

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


Routes = dict[tuple[str, str], Callable[[Request], Response]]


def as_json(data: object, status: int = 200) -> Response:
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    return Response(status, json.dumps(data).encode(), headers)


def serve(listener: socket.socket, routes: Routes, *, context: ssl.SSLContext | None = None) -> None:
    """Answer on `listener` from daemon threads until the process ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        wbufsize = -1  # head and body leave in one packet; two would wait for each other (Nagle, delayed ACK)
        server_version, sys_version = "MailhubSandbox", ""

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ssl.SSLError):  # the client went away, or doesn't trust our CA
                self.close_connection = True

        def answer(self) -> None:
            if (response := self.respond()).silent:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(response.status)
            for name, value in [*response.headers, ("Content-Length", str(len(response.body)))]:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)

        def respond(self) -> Response:
            size = self.headers.get("Content-Length") or "0"
            if not size.isdecimal() or int(size) > LARGEST_BODY:
                self.close_connection = True
                return as_json({"error": "the body is too long, or says no length"}, 413)
            url = urlsplit(self.path)
            query = parse_qsl(url.query, keep_blank_values=True)
            request = Request(self.command, url.path, query, self.headers, self.rfile.read(int(size)))
            method = "GET" if self.command == "HEAD" else self.command
            if view := routes.get((method, url.path)):
                try:
                    return view(request)
                except Exception:
                    log.exception("%s %s failed", self.command, url.path)
                    return as_json({"error": "server_error"}, 500)
            known = any(path == url.path for _, path in routes)
            return as_json({"error": "method not allowed" if known else "not found"}, 405 if known else 404)

        do_GET = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: paths hold codes."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    # The handshake is left to the connection's own thread: a client that never begins it must not stop the others.
    server.socket = (
        context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False) if context else listener
    )
    threading.Thread(target=server.serve_forever, name="web", daemon=True).start()
