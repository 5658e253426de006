"""The statements of our progress calls on a bare aiohttp and aiomysql handler, which knows every caller beforehand:
`python -m benchmarks.bare_progress PORT SOCKET FOLDER`. The folder holds cases.json and the answers' bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import aiomysql
import orjson
import uvloop
from aiohttp import web

from benchmarks.bare import serve_runner
from benchmarks.cases import student_id
from core.progress import queries
from core.progress.rules import activity_due, to_microseconds
from core.times import utc_now

CONNECTIONS = 16  # as many as ours has


class Cursors:
    """Runs statements through the driver's own pool and cursors, as `core.db.Database` would."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql, params)
            rows: Sequence[tuple[Any, ...]] = await cursor.fetchall()
            return rows

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            return int(await cursor.execute(sql, params))


class Progress:
    """Both calls. Nothing of the request but who asks for what is looked at."""

    def __init__(self, db: Any, folder: Path) -> None:
        self._db = db
        self._marked, self._shown = (folder / "mark.json").read_bytes(), (folder / "progress.json").read_bytes()
        self._students: dict[str, bytes] = {}
        self._courses: dict[str, bytes] = {}
        for number, token, course, lecture in orjson.loads((folder / "cases.json").read_bytes()):
            self._students[f"Bearer {token}"] = student_id(number)
            self._courses[lecture] = UUID(course).bytes

    async def mark(self, request: web.Request) -> web.Response:
        lecture = orjson.loads(await request.read())["lectureId"]
        pair = (self._students[request.headers["Authorization"]], self._courses[lecture])
        standing = (await queries.standings(self._db, [pair]))[pair]
        if UUID(lecture).bytes not in standing.lectures:
            return web.Response(status=409)  # the first mark has been made through ours
        now = utc_now()
        if activity_due(standing, to_microseconds(now)):
            await queries.touch(self._db, [pair], now)
        return web.Response(body=self._marked, content_type="application/json")

    async def show(self, request: web.Request) -> web.Response:
        pair = (self._students[request.headers["Authorization"]], UUID(request.match_info["course_id"]).bytes)
        await queries.standings(self._db, [pair])
        return web.Response(body=self._shown, content_type="application/json")


async def main(port: int, socket: str, folder: Path) -> None:
    pool = await aiomysql.create_pool(
        minsize=CONNECTIONS, maxsize=CONNECTIONS, unix_socket=socket, user="root", db="skillforge", autocommit=True
    )
    progress = Progress(Cursors(pool), folder)
    app = web.Application()
    app.add_routes([web.post("/progress/lecture", progress.mark), web.get("/progress/course/{course_id}", progress.show)])
    await serve_runner(web.AppRunner(app, access_log=None, handler_cancellation=True, keepalive_timeout=75.0), port)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
