"""An SMTP server that keeps the very bytes it was sent and answers as it is told, for sending and for relaying."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import threading
import warnings
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, Session

_BEARER = re.compile(rb"^(?:user=|n,a=)([^\x01,]*),?\x01(?:(?:host|port)=[^\x01]*\x01)*auth=Bearer ([^\x01]*)\x01\x01$")


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    """As sent, dots unstuffed, the final dot left out."""
    options: tuple[str, ...] = ()


class _Server(SMTP):
    line_length_limit = 16384  # also the reader's limit: the default breaks long tokens

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about AUTH on a port with implicit TLS
            super().__init__(*args, **kwargs)
        self.command_size_limits.update(dict.fromkeys(("AUTH", "MAIL", "RCPT"), 16384))


@dataclass
class SmtpSink:
    """`tokens`: account of each bearer token; None: no sign-in at all. `tls`: a server context, `implicit` from the
    first byte, else by STARTTLS.

    `replies`: answers to give once instead of the usual ones, by stage: mail, rcpt, data (after the dot);
    "drop" hangs up there, "keep-drop" takes the message first.
    """

    tokens: dict[str, str] | None = None
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    size: int = 10 * 1024 * 1024
    replies: dict[str, list[str]] = field(default_factory=dict)
    messages: list[Received] = field(default_factory=list)

    def __enter__(self) -> SmtpSink:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-sink", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _listen(self) -> asyncio.Server:
        options: dict[str, Any] = {
            "hostname": "localhost",
            "data_size_limit": self.size,
            "enable_SMTPUTF8": True,
            "auth_required": self.tokens is not None,
            "auth_exclude_mechanism": ("PLAIN", "LOGIN"),
            "loop": self._loop,
        }
        if self.tokens is not None and (self.implicit or self.tls is None):
            options["auth_require_tls"] = False
        if self.tls and not self.implicit:
            options |= {"tls_context": self.tls, "require_starttls": True}
        return await self._loop.create_server(
            lambda: _Server(self, **options), "127.0.0.1", 0, ssl=self.tls if self.implicit else None
        )

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _scripted(self, stage: str) -> str:
        waiting = self.replies.get(stage)
        return waiting.pop(0) if waiting else ""

    # -- called by aiosmtpd ------------------------------------------------------------------------------------------

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._bearer(server, args)

    async def auth_OAUTHBEARER(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._bearer(server, args)

    async def _bearer(self, server: SMTP, args: list[str]) -> AuthResult:
        if reply := self._scripted("auth"):
            return AuthResult(success=False, handled=False, message=reply)
        data = base64.b64decode(args[1]) if len(args) == 2 else await server.challenge_auth("")
        if data is MISSING:
            return AuthResult(success=False)
        found = _BEARER.match(bytes(data))
        if found and (self.tokens or {}).get(found[2].decode()) == found[1].decode():
            return AuthResult(success=True, auth_data=found[1].decode())
        await server.challenge_auth(json.dumps({"status": "401", "schemes": "bearer", "scope": "mail"}))
        return AuthResult(success=False, handled=False, message="535 5.7.8 Username and token not accepted.")

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self._scripted("mail"):
            return await self._say(server, reply)
        envelope.mail_from, envelope.mail_options = address, options
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self._scripted("rcpt"):
            return await self._say(server, reply)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = self._scripted("data")
        if not reply or reply == "keep-drop":
            raw = envelope.original_content or b""
            self.messages.append(
                Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), raw, tuple(envelope.mail_options))
            )
        return await self._say(server, reply or f"250 2.0.0 OK queued as {len(self.messages)}")

    async def _say(self, server: SMTP, reply: str) -> str:
        if reply.endswith("drop"):
            assert server.transport is not None
            server.transport.abort()
        return reply
