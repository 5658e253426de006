"""Clerk's Backend API: the signing keys, users' profiles, and the deletion of users.

Source: https://clerk.com/docs/reference/backend-api (GET /v1/jwks, GET and DELETE /v1/users/{user_id}).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from core.bounded_answers import read_answer
from core.errors import Unavailable
from telemetry.outside import watched

log = logging.getLogger("skillforge.identity")

_TIMEOUT = aiohttp.ClientTimeout(total=4.0, connect=2.0)
_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Profile:
    """A user as Clerk knows them. `version` is Clerk's `updated_at` in milliseconds."""

    clerk_id: str
    email: str
    display_name: str
    image_url: str
    version: int


class Clerk:
    """A client of Clerk's Backend API. `api_url` is its base ("https://api.clerk.com")."""

    def __init__(self, api_url: str, secret_key: str) -> None:
        self._api_url = api_url.rstrip("/")
        self._secret_key = secret_key
        self._session: aiohttp.ClientSession | None = None

    async def keys(self) -> list[dict[str, Any]]:
        """The JSON Web Keys in force. Raises Unavailable."""
        answer = await self._ask("GET", "/v1/jwks")
        keys = answer.get("keys") if isinstance(answer, dict) else None
        if not isinstance(keys, list):
            raise _unavailable("its key set cannot be read")
        return [key for key in keys if isinstance(key, dict)]

    async def profile(self, clerk_id: str) -> Profile | None:
        """A user's profile; None when Clerk knows no such user. Raises Unavailable."""
        answer = await self._ask("GET", _user_path(clerk_id))
        if answer is None:
            return None
        try:
            return read_profile(answer)
        except ValueError as error:
            raise _unavailable("a user's profile cannot be read") from error

    async def delete(self, clerk_id: str) -> None:
        """Delete a user; one that is not there is deleted already. Raises Unavailable."""
        await self._ask("DELETE", _user_path(clerk_id))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, verb: str, path: str) -> Any:
        """The JSON that is answered; None for 404."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=watched("clerk"),
                headers={"Authorization": f"Bearer {self._secret_key}"},
            )
        try:
            async with self._session.request(verb, self._api_url + path, allow_redirects=False) as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise _unavailable(f"it answered {response.status}")
                return orjson.loads(await read_answer(response, _MAX_ANSWER_BYTES)) or {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _unavailable(str(error) or type(error).__name__) from error


def _user_path(clerk_id: str) -> str:
    return f"/v1/users/{quote(clerk_id, safe='')}"


def _unavailable(why: str) -> Unavailable:
    """Why goes to the log: callers can do nothing about it."""
    log.warning("Clerk's Backend API failed: %s", why)
    return Unavailable("UNAVAILABLE", "Clerk cannot be reached. Try again in a moment.")


def read_profile(user: object) -> Profile:
    """The profile in a Clerk `User` object, as the Backend API and the webhooks give it. Raises ValueError for anything else."""
    try:
        return _profile(user)  # type: ignore[arg-type]  # whatever it is
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a Clerk user") from error


def read_user_id(value: object) -> str:
    """A user's id at Clerk. Raises ValueError for anything that cannot be one."""
    if not (isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isprintable()):
        raise ValueError("not a Clerk user id")
    return value


def _profile(user: Mapping[str, Any]) -> Profile:
    version = user.get("updated_at") or 0
    if not (isinstance(version, int) and 0 <= version <= _MAX_VERSION):
        raise ValueError("updated_at is no time")
    email = _email(user)
    names = (_words(user.get("first_name")), _words(user.get("last_name")))
    name = " ".join(filter(None, names)) or _words(user.get("username")) or email.partition("@")[0] or "Unnamed"
    image_url = user.get("image_url") or ""
    return Profile(
        clerk_id=read_user_id(user["id"]),
        email=email,
        display_name=name[:200],
        image_url=image_url if isinstance(image_url, str) and len(image_url) <= 2000 else "",
        version=version,
    )


def _email(user: Mapping[str, Any]) -> str:
    """The primary address, which Clerk has verified; one that was merely added is nobody's yet."""
    addresses = {item["id"]: item["email_address"] for item in user.get("email_addresses") or []}
    email = addresses.get(user.get("primary_email_address_id"), "")
    if not isinstance(email, str):
        raise ValueError("the address is no text")
    # A shortened address would be somebody else's.
    return email if len(email) <= 320 else ""


def _words(text: str | None) -> str:
    """A name on one line."""
    return " ".join((text or "").split())
