"""Reads PDFs that anybody may send, away from everything that matters.

A keeper process (see keeper.py) forks a child for each, under hard limits. It has none of our settings in its environment
and never sees the signing key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterable
from typing import Protocol

from core.certificates.inspection import Findings, FoundSignature
from core.certificates.keeper import LENGTH
from core.errors import Unavailable

log = logging.getLogger("skillforge.certificates")


class Inspector(Protocol):
    """Reads the signatures of PDFs, away from the event loop."""

    async def inspect(self, pdf: bytes) -> Findings:
        """What signatures the PDF bears. Raises Unavailable when it cannot be read now."""


class PdfInspector:
    """Reads one file at a time. The keeper starts with the first; one instance an event loop."""

    def __init__(self, trusted: Iterable[str], *, max_waiting: int = 8, deadline: float = 12.0) -> None:
        """`trusted`: the thumbprints of the keys whose signatures are ours; `max_waiting`: files that wait or are read at
        once; `deadline`: seconds for one, its waiting and the keeper's start included."""
        self._trusted = json.dumps(sorted(trusted)).encode()
        self._max_waiting = max_waiting
        self._deadline = deadline
        self._turn = asyncio.Lock()
        self._keeper: asyncio.subprocess.Process | None = None
        self._running: set[asyncio.Task[Findings]] = set()
        self._closed = False

    @property
    def waiting(self) -> int:
        """Files that wait or are read."""
        return len(self._running)

    @property
    def room(self) -> int:
        """How many may at once."""
        return self._max_waiting

    async def inspect(self, pdf: bytes) -> Findings:
        """What signatures the PDF bears. Raises Unavailable when too many wait already, or the keeper died."""
        if self._closed or len(self._running) >= self._max_waiting:
            raise Unavailable("OVERLOADED", "Too many files are being checked. Try again soon.", retry_after=2.0)
        # A caller who leaves must not take the answer out of step: the exchange goes on without it.
        task = asyncio.create_task(self._inspect(pdf))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _inspect(self, pdf: bytes) -> Findings:
        try:
            async with asyncio.timeout(self._deadline), self._turn:
                return await self._exchange(pdf)
        except TimeoutError:
            raise Unavailable("OVERLOADED", "Checking the file took too long. Try again soon.", retry_after=2.0) from None

    async def _exchange(self, pdf: bytes) -> Findings:
        done = False
        try:
            keeper = self._keeper or await self._start()
            assert keeper.stdin is not None
            assert keeper.stdout is not None
            keeper.stdin.write(LENGTH.pack(len(pdf)) + pdf)
            await keeper.stdin.drain()
            (length,) = LENGTH.unpack(await keeper.stdout.readexactly(LENGTH.size))
            answer = await keeper.stdout.readexactly(length)
            done = True
        except (OSError, asyncio.IncompleteReadError) as error:
            log.error("the process that reads PDFs ended: %s", type(error).__name__)
            raise Unavailable("UNAVAILABLE", "The file could not be checked. Try again.") from None
        finally:
            if not done:
                await self._discard()
        return _findings(answer)

    async def _start(self) -> asyncio.subprocess.Process:
        self._keeper = keeper = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "core.certificates.keeper",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, start_new_session=True,
        )  # fmt: skip
        assert keeper.stdin is not None
        keeper.stdin.write(LENGTH.pack(len(self._trusted)) + self._trusted)
        return keeper

    async def _discard(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(keeper.pid, signal.SIGKILL)  # the child as well
            await asyncio.shield(keeper.wait())

    async def close(self) -> None:
        """Drop what waits and end the keeper."""
        self._closed = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._discard()


def _findings(answer: bytes) -> Findings:
    fault, count, ours, named = json.loads(answer)
    return Findings(fault, count, tuple(FoundSignature(*item) for item in ours), tuple(named))
