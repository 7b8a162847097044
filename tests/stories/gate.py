"""A door in front of a mail server that stays shut in the middle of an answer until it is opened."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Gate:
    """Hands everything on between its `port` and 127.0.0.1:`target`; TLS passes through. A context manager.

    After `shut_after(n)` the first connection on which the server says more than n bytes is held there: `shut` is set,
    and nothing moves on it until `open()`. All other connections pass.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.shut = threading.Event()
        self._limit: int | None = None
        self._loop = asyncio.new_event_loop()
        self._opened = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate", daemon=True)

    def __enter__(self) -> Gate:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
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

    def shut_after(self, count: int) -> None:
        self.shut.clear()
        self._opened.clear()
        self._limit = count

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._opened.set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        with contextlib.suppress(asyncio.CancelledError):  # asyncio would complain of a connection that is cancelled
            await asyncio.gather(
                self._hand_on(reader, there_writer, held=False), self._hand_on(there_reader, writer, held=True)
            )
        writer.close()
        there_writer.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool) -> None:
        said = 0
        with contextlib.suppress(OSError):
            while piece := await reader.read(4096):
                said += len(piece)
                if held and self._limit is not None and said > self._limit:
                    self._limit = None
                    self.shut.set()
                    await self._opened.wait()
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
