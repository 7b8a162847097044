"""A small POP3 server (RFC 1939; CAPA 2449, STLS 2595, AUTH 5034, response codes 3206) over the INBOX."""

from __future__ import annotations

import asyncio
import binascii
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from base64 import b64decode, b64encode
from collections.abc import Callable

from sandbox import sasl
from sandbox.faults import Faults
from sandbox.folders import Folder, RawMessage
from sandbox.post_office import PostOffice
from sandbox.store import Grants

SCOPE = "mail.pop"
BEFORE_SIGN_IN = ("CAPA", "AUTH", "STLS", "QUIT")
LONGEST_LINE = 16384


class Cut(ConnectionError):
    """A fault asks for the connection's end."""


class Session:
    def __init__(self, server: Pop3Server, reader: StreamReader, writer: StreamWriter, *, tls: bool) -> None:
        self.server, self.reader, self.writer, self.tls = server, reader, writer, tls
        self.user = ""
        self.folder: Folder
        self.validity = 0
        self.messages: list[RawMessage] = []
        self.deleted: set[int] = set()

    async def run(self) -> None:
        self.send("+OK Mailhub sandbox ready")
        while line := await self.reader.readline():
            name, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
            name = name.upper()
            if delay := self.server.faults.take("pop3_delay", self.user):
                await asyncio.sleep(delay)
            await self.answer(name, argument.split())
            await self.writer.drain()
            if name == "QUIT":
                return

    async def answer(self, name: str, arguments: list[str]) -> None:
        method = getattr(self, f"do_{name.lower()}", None)
        allowed = name not in ("AUTH", "STLS") if self.user else name in BEFORE_SIGN_IN
        if method is None or not allowed:
            return self.send("-ERR not now")
        try:
            await method(*arguments)
        except (TypeError, ValueError, LookupError):
            self.send("-ERR bad argument")

    def send(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())

    def pick(self, argument: str) -> RawMessage:
        number = int(argument)
        if not 1 <= number <= len(self.messages) or number in self.deleted:
            raise LookupError
        return self.messages[number - 1]

    def rows(self) -> list[tuple[int, RawMessage]]:
        return [(n, message) for n, message in enumerate(self.messages, 1) if n not in self.deleted]

    def listing(self, argument: str | None, show: Callable[[RawMessage], object]) -> None:
        if argument is not None:
            return self.send(f"+OK {argument} {show(self.pick(argument))}")
        return self.send("+OK", *(f"{n} {show(message)}" for n, message in self.rows()), ".")

    async def do_capa(self) -> None:
        sign_in = ["SASL " + " ".join(sasl.PATTERNS)] if self.tls else ["STLS"]
        self.send("+OK", "UIDL", "TOP", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", *sign_in, ".")

    async def do_stls(self) -> None:
        if self.tls:
            return self.send("-ERR TLS is active already")
        self.send("+OK begin TLS")
        await self.writer.drain()
        await self.writer.start_tls(self.server.context)
        self.tls = True
        return None

    async def do_auth(self, mechanism: str = "", initial: str | None = None) -> None:
        mechanism = mechanism.upper()
        if not mechanism:
            return self.send("+OK", *(sasl.PATTERNS if self.tls else ()), ".")
        if not self.tls or mechanism not in sasl.PATTERNS:
            return self.send("-ERR [AUTH] no such mechanism, or no TLS yet")
        if initial is None:
            self.send("+ ")
            await self.writer.drain()
            initial = (await self.reader.readline()).decode("ascii", "replace").strip()
        if initial == "*":
            return self.send("-ERR cancelled")
        try:
            bearer = sasl.parse(mechanism, b64decode(initial, validate=True))
        except (binascii.Error, ValueError):
            bearer = None
        if bearer is None:
            return self.send("-ERR malformed")
        if reason := sasl.refusal(self.server.grants, mechanism, bearer, SCOPE):
            self.send("+ " + b64encode(reason).decode())
            await self.writer.drain()
            await self.reader.readline()
            return self.send("-ERR [AUTH] Authentication failed.")
        if text := self.server.faults.take("pop3_refuse", bearer.user):
            return self.send(f"-ERR {text}")
        self.user = bearer.user
        self.folder = await self.server.office.folder(bearer.user)
        self.validity, self.messages = self.folder.uid_validity, self.folder.listing()
        return self.send(f"+OK {len(self.messages)} messages")

    async def do_stat(self) -> None:
        rows = self.rows()
        self.send(f"+OK {len(rows)} {sum(len(message.raw) for _, message in rows)}")

    async def do_list(self, argument: str | None = None) -> None:
        self.listing(argument, lambda message: len(message.raw))

    async def do_uidl(self, argument: str | None = None) -> None:
        self.listing(argument, lambda message: f"{self.validity:x}-{message.uid}")

    async def do_noop(self) -> None:
        self.send("+OK")

    async def do_retr(self, argument: str) -> None:
        data = _lines(self.pick(argument).raw)
        self.send("+OK")
        if budget := self.server.faults.take("pop3_drop_after", self.user):
            self.writer.write(_stuffed(data)[:budget])
            await self.writer.drain()
            raise Cut
        self.writer.write(_stuffed(data))

    async def do_top(self, argument: str, count: str) -> None:
        head, blank, body = _lines(self.pick(argument).raw).partition(b"\r\n\r\n")
        self.send("+OK")
        self.writer.write(_stuffed(head + blank + b"".join(body.splitlines(keepends=True)[: int(count)])))

    async def do_dele(self, argument: str) -> None:
        self.pick(argument)
        self.deleted.add(int(argument))
        self.send("+OK")

    async def do_rset(self) -> None:
        self.deleted.clear()
        self.send("+OK")

    async def do_quit(self) -> None:
        if self.deleted:
            if self.folder.uid_validity != self.validity:
                return self.send("-ERR the mailbox was rebuilt meanwhile; nothing was deleted")
            await self.folder.delete([self.messages[number - 1].uid for number in self.deleted])
        return self.send("+OK bye")


def _lines(raw: bytes) -> bytes:
    """With CRLF everywhere: POP3 knows no other line end."""
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _stuffed(data: bytes) -> bytes:
    """Leading dots doubled, and the end (RFC 1939, section 3)."""
    data = (b"\r\n" + data).replace(b"\r\n.", b"\r\n..")[2:]
    return data + (b"" if data.endswith(b"\r\n") or not data else b"\r\n") + b".\r\n"


class Pop3Server:
    def __init__(self, office: PostOffice, grants: Grants, faults: Faults, context: ssl.SSLContext) -> None:
        self.office, self.grants, self.faults, self.context = office, grants, faults, context

    async def start(self, listener: socket.socket, *, implicit_tls: bool) -> None:
        async def serve(reader: StreamReader, writer: StreamWriter) -> None:
            try:
                await Session(self, reader, writer, tls=implicit_tls).run()
            except (ConnectionError, ssl.SSLError, ValueError):  # ValueError: a line over the limit
                pass
            finally:
                writer.close()

        context = self.context if implicit_tls else None
        await asyncio.start_server(serve, sock=listener, ssl=context, limit=LONGEST_LINE)
