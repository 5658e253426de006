"""Renders and signs certificates in worker processes, so that the event loop never waits for it.

The workers get the signing key when they start, through the pipe they are spawned with.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from core.certificates.fonts import FontsMissing, load_typeface
from core.certificates.images import tidy_logo
from core.certificates.pdf import CertificateDocument, render_pdf
from core.certificates.signing import load_signer, sign_pdf
from core.errors import DeadlineExceeded, Unavailable

NICENESS = 10  # a certificate yields to requests

A = TypeVar("A")
R = TypeVar("R")


class _Worker:
    """What a worker process was told at its start."""

    font_dir: Path | None = None
    signing_pem: bytes = b""


def _prepare(font_dir: Path | None, signing_pem: bytes) -> None:
    """A worker's start: slow imports, fonts and the key, so that the first certificate is quick."""
    _Worker.font_dir, _Worker.signing_pem = font_dir, signing_pem
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import pyhanko.sign.signers  # noqa: F401
    import xhtml2pdf.document  # noqa: F401

    if signing_pem:
        load_signer(signing_pem)
    with contextlib.suppress(FontsMissing):  # each rendering says so itself; an initializer's error would not be heard
        load_typeface(font_dir)
    # Only now: on a busy machine a start that yields takes longer than anybody waits for a certificate.
    with contextlib.suppress(OSError):
        os.nice(NICENESS)


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, even by SIGKILL: a pool's queue alone would keep it waiting for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _ready() -> int:
    return os.getpid()


def _within(seconds: int, work: Callable[..., R], *arguments: object) -> R:
    signal.alarm(seconds)  # a worker that hangs dies of it, and the pool is remade
    try:
        return work(*arguments)
    finally:
        signal.alarm(0)


def _render(document: CertificateDocument) -> bytes:
    pdf = render_pdf(document, _Worker.font_dir)
    return pdf if document.specimen or not _Worker.signing_pem else sign_pdf(pdf, _Worker.signing_pem)


def _terminate(pool: ProcessPoolExecutor) -> None:
    """Ends the workers at once: what `ProcessPoolExecutor.terminate_workers` does from Python 3.14 on."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


class PdfRenderer:
    """A small pool of processes that render certificates. One instance an event loop."""

    def __init__(
        self,
        *,
        workers: int = 1,
        max_waiting: int = 32,
        deadline: float = 15.0,
        font_dir: Path | None = None,
        signing_pem: bytes = b"",
    ) -> None:
        """`max_waiting`: renderings waiting or running at once; `deadline`: seconds for one, its waiting included;
        `signing_pem`: the key that signs them, with its certificate (none: they are not signed)."""
        self._workers = workers
        self._max_waiting = max_waiting
        self._deadline = deadline
        self._font_dir = font_dir
        self._signing_pem = signing_pem
        self._waiting = 0
        self._closed = False
        self._pool: ProcessPoolExecutor | None = None
        self._making = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Renderings that wait or run."""
        return self._waiting

    @property
    def room(self) -> int:
        """How many may at once."""
        return self._max_waiting

    def warm(self) -> None:
        """Starts the workers in the background, so that nobody waits for them, neither the start nor the first request."""
        if self._warming is None and not self._closed:
            self._warming = asyncio.create_task(self._warm())

    async def _warm(self) -> None:
        with contextlib.suppress(BrokenExecutor, Unavailable):  # the next rendering makes the pool anew
            await asyncio.gather(*(asyncio.wrap_future(future) for future in await self._submit_ready()))

    async def _submit_ready(self) -> list[Future[int]]:
        pool = await self._current()
        return await asyncio.to_thread(lambda: [pool.submit(_ready) for _ in range(self._workers)])

    async def _current(self) -> ProcessPoolExecutor:
        """The pool, made when there is none. Starting processes takes milliseconds of blocking, hence the thread."""
        async with self._making:
            if self._closed:
                raise Unavailable("UNAVAILABLE", "The server is shutting down.")
            if self._pool is None:
                self._pool = await asyncio.to_thread(self._make)
            return self._pool

    def _make(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, context, initializer=_prepare, initargs=(self._font_dir, self._signing_pem))

    async def render(self, document: CertificateDocument) -> bytes:
        """The document's PDF, signed unless it is a specimen.

        Raises Unavailable when too many wait already or the worker died, DeadlineExceeded when it took too long, and
        FontsMissing when the machine lacks the fonts.
        """
        return await self._run(_render, document)

    async def tidy_logo(self, data: bytes) -> bytes:
        """The logo, made fit for print. Raises LogoRefused, and what `render` raises."""
        return await self._run(tidy_logo, data)

    async def _run(self, work: Callable[[A], R], argument: A) -> R:
        if self._waiting >= self._max_waiting:
            raise Unavailable("OVERLOADED", "Too many certificates are being made. Try again soon.", retry_after=2.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._deadline):
                return await self._run_apart(work, argument)
        except TimeoutError:
            raise DeadlineExceeded("DEADLINE_EXCEEDED", "Making the certificate took too long. Try again.") from None
        finally:
            self._waiting -= 1

    async def _run_apart(self, work: Callable[[A], R], argument: A) -> R:
        pool = await self._current()
        try:
            future = await asyncio.to_thread(self._submit, pool, work, argument)
            return await asyncio.wrap_future(future)
        except BrokenExecutor:
            self._discard(pool)
            raise Unavailable("UNAVAILABLE", "The certificate's maker stopped. Try again.") from None
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            # close() dropped the rendering; nobody cancelled its caller.
            raise Unavailable("UNAVAILABLE", "The server is shutting down.") from None

    def _submit(self, pool: ProcessPoolExecutor, work: Callable[[A], R], argument: A) -> Future[R]:
        try:
            return pool.submit(_within, math.ceil(self._deadline) + 1, work, argument)
        except RuntimeError as error:  # what a pool says that was shut down since it was looked up
            raise BrokenExecutor(str(error)) from None

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
            pool.shutdown(wait=False)

    async def close(self) -> None:
        """Drops what waits, lets running renderings finish (each has its deadline), and ends the workers."""
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        async with self._making:
            pool, self._pool = self._pool, None
        if pool is not None:
            if not self._waiting:
                _terminate(pool)  # workers that still start are not waited for
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
