"""An SMTP server that stops in the middle of a message until it is let go."""

from __future__ import annotations

import asyncio
import threading

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers.smtp_sink import SmtpSink


class SlowSink(SmtpSink):
    """`hold("rcpt")`: the next recipient is not answered; `hold("data")`: the next message is kept, but not answered for.

    `held` is set when it has come so far; `let_go()` ends it. Only one waits at a time, all others are served.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = threading.Event()
        self._stage = ""
        self._go: asyncio.Event | None = None

    def hold(self, stage: str) -> None:
        self.held.clear()
        self._stage, self._go = stage, asyncio.Event()

    def let_go(self) -> None:
        assert self._go is not None
        self._loop.call_soon_threadsafe(self._go.set)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = await super().handle_RCPT(server, session, envelope, address, options)
        await self._wait("rcpt")
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = await super().handle_DATA(server, session, envelope)
        await self._wait("data")
        return reply

    async def _wait(self, stage: str) -> None:
        if self._stage == stage and self._go is not None:
            self._stage, go = "", self._go
            self.held.set()
            await go.wait()
