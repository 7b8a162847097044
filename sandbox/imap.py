"""The IMAP server: pymap's connection, with SASL-IR and the faults."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, closing
from typing import Any

from proxyprotocol.reader import ProxyProtocolReader
from proxyprotocol.sock import SocketInfo
from pymap.context import connection_exit
from pymap.imap import IMAPConnection
from pymap.imap.state import ConnectionState
from pymap.parsing.command import Command
from pymap.parsing.command.nonauth import AuthenticateCommand, LoginCommand
from pymap.parsing.response import CommandResponse, Response, ResponseBye, ResponseNo, ResponseOk
from pysasl.creds.server import ServerCredentials
from pysasl.mechanism import ChallengeResponse, ServerMechanism

from sandbox.faults import Faults
from sandbox.imap_session import Authenticate, Config, Login
from sandbox.post_office import PostOffice
from sandbox.store import Grants


class CutWriter:
    """Passes bytes on until the budget is used up, then closes the connection: the client gets just those bytes."""

    def __init__(self, writer: StreamWriter, budget: int) -> None:
        self._writer, self._budget = writer, budget

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def write(self, data: bytes) -> None:
        self._writer.write(bytes(data)[: max(self._budget, 0)])
        self._budget -= len(data)
        if self._budget < 0:
            self._writer.transport.close()

    def writelines(self, lines: Iterable[bytes]) -> None:
        self.write(b"".join(lines))


class AfterInitial(ServerMechanism):
    """A mechanism that has its first response already."""

    def __init__(self, mechanism: ServerMechanism, initial: bytes) -> None:
        super().__init__(mechanism.name)
        self._mechanism, self._first = mechanism, ChallengeResponse(b"", initial)

    def server_attempt(self, responses: Sequence[ChallengeResponse]) -> tuple[ServerCredentials, bytes | None]:
        return self._mechanism.server_attempt([self._first, *responses])


class State(ConnectionState):
    faults: Faults
    user = ""

    async def do_greeting(self) -> CommandResponse:  # pymap offers AUTH in the clear to clients on this machine
        return ResponseOk(b"*", self.config.greeting, self.capability)

    async def do_authenticate(
        self, cmd: AuthenticateCommand | LoginCommand, creds: ServerCredentials | None
    ) -> CommandResponse:
        user = creds.authzid if creds else ""
        if text := self.faults.take("imap_refuse", user):
            return ResponseNo(cmd.tag, text.encode())
        response = await super().do_authenticate(cmd, creds)
        self.user = user
        return response


class Connection(IMAPConnection):
    _initial: bytes | None = None

    def __init__(
        self, config: Config, reader: StreamReader, writer: StreamWriter, info: SocketInfo, state: State
    ) -> None:
        super().__init__(config.commands, config, reader, writer, info)
        self.state = state

    async def authenticate(self, state: ConnectionState, mech_name: bytes) -> ServerCredentials | None:
        mechanism = state.auth.get_server(mech_name)
        if mechanism is None or self._initial is None:
            return await super().authenticate(state, mech_name)
        stock = state.auth
        state.auth = type(stock)([AfterInitial(mechanism, self._initial)])
        try:
            return await super().authenticate(state, mech_name)
        finally:
            state.auth = stock

    async def read_command(self, state: ConnectionState) -> Command:
        command = await super().read_command(state)
        self._initial = command.initial if isinstance(command, Authenticate) else None
        faults, user = self.state.faults, self.state.user
        if user and (text := faults.take("imap_bye", user)):
            await self.bye(text)
            raise EOFError
        if command.command in (b"FETCH", b"UID FETCH") and (budget := faults.take("imap_drop_after", user)):
            self.writer = CutWriter(self.writer, budget)  # type: ignore[assignment]
        return command

    async def write_response(self, resp: Response) -> None:
        if delay := self.state.faults.take("imap_delay", self.state.user):
            await asyncio.sleep(delay)
        await super().write_response(resp)

    async def bye(self, text: str) -> None:
        await super().write_response(ResponseBye(text.encode()))
        self.close()


class ImapServer:
    def __init__(self, office: PostOffice, grants: Grants, faults: Faults, context: ssl.SSLContext) -> None:
        self._office, self._grants, self._faults, self._context = office, grants, faults, context
        self._open: set[Connection] = set()

    async def start(self, listener: socket.socket, *, implicit_tls: bool) -> None:
        config = Config(self._grants, self._context, implicit_tls=implicit_tls)
        config.apply_context()
        login = Login(config, self._office)

        async def serve(reader: StreamReader, writer: StreamWriter, info: SocketInfo) -> None:
            state = State(login, config)
            state.faults = self._faults
            connection = Connection(config, reader, writer, info, state)
            self._open.add(connection)
            try:
                async with AsyncExitStack() as stack:
                    connection_exit.set(stack)
                    stack.enter_context(closing(connection))
                    await connection.run(state)
            except ConnectionError:  # the client went away: no news
                pass
            finally:
                self._open.discard(connection)

        callback = ProxyProtocolReader(config.proxy_protocol).get_callback(serve)
        await asyncio.start_server(callback, sock=listener, ssl=self._context if implicit_tls else None)

    async def end_sessions(self, user: str = "") -> int:
        """Say BYE to the open sessions of `user`, or of everybody; answers how many there were."""
        found = [c for c in self._open if c.state.user and user in ("", c.state.user)]
        for connection in found:
            await connection.bye("The sandbox ends this session.")
        return len(found)
