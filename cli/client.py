"""A small REST client, for the tour and the demo data."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

TIMEOUT = aiohttp.ClientTimeout(total=30.0)

# Told of every exchange: verb, path, status, the answer, milliseconds.
Observer = Callable[[str, str, int, Any, float], None]


class ApiError(Exception):
    """An answer that is not a success."""


class Api:
    """Calls one SkillForge server as one person. `token` "" calls as nobody."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str = "", observer: Observer | None = None) -> None:
        self._session = session
        self.url = url.rstrip("/")
        self._token = token
        self._observer = observer

    async def sign_in(self, email: str, display_name: str, role: str) -> Api:
        """A client of the person, signed in at the development issuer. Raises ApiError where there is none."""
        answer = await self.post("/dev/sign-in", {"email": email, "displayName": display_name, "role": role})
        return Api(self._session, self.url, answer["token"], self._observer)

    async def get(self, path: str) -> Any:
        """GET; the JSON answer, or the bytes of anything else."""
        return await self.call("GET", path)

    async def post(self, path: str, body: object = None) -> Any:
        """POST a JSON body."""
        return await self.call("POST", path, body if body is not None else {})

    async def put(self, path: str, body: object) -> Any:
        """PUT a JSON body."""
        return await self.call("PUT", path, body)

    async def call(self, verb: str, path: str, body: object = None) -> Any:
        """One exchange. `path` may be a whole URL. Raises ApiError with the problem's detail."""
        url = path if path.startswith("http") else self.url + path
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = orjson.dumps(body) if body is not None else None
        if data is not None:
            headers["Content-Type"] = "application/json"
        started = time.perf_counter()
        try:
            async with self._session.request(verb, url, data=data, headers=headers) as response:
                raw = await response.read()
                kind = response.content_type
        except aiohttp.ClientError as error:
            raise ApiError(f"{verb} {url}: {error}. Is `skillforge up` running there?") from error
        answer = orjson.loads(raw) if raw and kind.endswith("json") else raw
        if self._observer is not None:
            self._observer(verb, path, response.status, answer, (time.perf_counter() - started) * 1000)
        if response.status >= 400:
            raise ApiError(f"{verb} {path} answered {response.status}: {_problem(answer)}")
        return answer


def _problem(answer: object) -> str:
    if not isinstance(answer, dict):
        return "no explanation"
    violations = "; ".join(f"{item.get('field')}: {item.get('description')}" for item in answer.get("violations", []))
    return f"{answer.get('detail', '')} {violations}".strip()
