"""The workers of one `skillforge serve` ask each other for their figures, over unix sockets in a folder of their own.

They share the port that is scraped, so whichever worker gets the question answers for all. One that does not answer in
time is left out: Prometheus takes its series as stale, and goes on with them at the next scrape.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import orjson

from telemetry.exposition import Family

log = logging.getLogger("skillforge.metrics")

ANSWER_SECONDS = 2.0
_MAX_ANSWER_BYTES = 16 * 1024 * 1024


class Place(NamedTuple):
    """A worker's place: its number, and the folder it shares with the others (None: it is alone)."""

    number: str = "0"
    folder: Path | None = None


@asynccontextmanager
async def answering(place: Place, collect: Callable[[], Awaitable[list[Family]]]) -> AsyncIterator[None]:
    """Answers the other workers while the inside runs."""
    if place.folder is None:
        yield
        return
    path = place.folder / f"{place.number}.sock"
    path.unlink(missing_ok=True)  # a killed predecessor's

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(orjson.dumps(await collect()))
                await writer.drain()
        except (TimeoutError, OSError) as error:
            log.debug("another worker did not get the figures: %s", type(error).__name__)
        finally:
            writer.close()

    try:
        server = await asyncio.start_unix_server(answer, path)
    except OSError as error:  # the system's temporary folder has too long a name, or is full
        log.warning("this worker's figures are told only by itself: %s", error)
        yield
        return
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def ask_others(place: Place) -> dict[str, list[Family]]:
    """The families of every other worker that answers, by its number."""
    if place.folder is None:
        return {}
    found = await asyncio.to_thread(sorted, place.folder.glob("*.sock"))
    paths = [path for path in found if path.stem != place.number]
    answers = await asyncio.gather(*map(_ask, paths))
    return {path.stem: families for path, families in zip(paths, answers, strict=True) if families is not None}


async def _ask(path: Path) -> list[Family] | None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path, limit=_MAX_ANSWER_BYTES)
            try:
                text = await reader.read(-1)
            finally:
                writer.close()
        families: list[Family] = orjson.loads(text)
    except (OSError, TimeoutError, orjson.JSONDecodeError) as error:
        # It is being started again, most of the time.
        log.debug("worker %s did not tell its figures: %s", path.stem, type(error).__name__)
        return None
    return families
