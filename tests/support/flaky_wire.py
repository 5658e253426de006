"""A wire to MariaDB that breaks at the worst moments: the server has done what it was asked, and nobody hears of it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

# What a client sends: three bytes of length, a number, COM_QUERY, the statement.
_COMMIT = b"\x03COMMIT"
_HEAD = 4


class FlakyWire:
    """A proxy between two unix sockets. While `breaking`, it cuts the connection instead of passing an answer on: every
    other answer to a COMMIT, and one in fifty of the rest. `cuts` counts the former."""

    def __init__(self, path: Path, server: Path, seed: int = 1) -> None:
        self.path = path
        self._server_path = server
        self._random = random.Random(seed)
        self.breaking = False
        self.cuts = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._listener = await asyncio.start_unix_server(self._accept, self.path)

    async def close(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._server_path)
            await self._pass_on(reader, writer, server_reader, server_writer)
        except (OSError, asyncio.CancelledError):
            pass  # the connection ends either way; a cancelled task would make asyncio's streams complain
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass_on(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        """Statements one way, answers the other, until one side hangs up or this wire breaks."""
        committing = False

        async def ask() -> None:
            nonlocal committing
            while data := await client.read(1 << 18):
                committing = data[_HEAD:].startswith(_COMMIT)
                to_server.write(data)
                await to_server.drain()

        async def answer() -> None:
            while data := await server.read(1 << 18):
                if self.breaking and self._random.random() < (0.5 if committing else 0.02):
                    self.cuts += committing
                    return
                to_client.write(data)
                await to_client.drain()

        halves = [asyncio.create_task(ask()), asyncio.create_task(answer())]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
            to_server.close()
