"""The fake Clerk's users: in memory, and journalled to a file so that they survive a restart."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

MAX_USERS = 100_000


class TooManyUsers(Exception):
    """MAX_USERS exist already."""


@dataclass(frozen=True, slots=True)
class FakeUser:
    """A user as Clerk knows them. Times are Unix milliseconds; role "" is none."""

    id: str
    email: str
    first_name: str
    last_name: str
    role: str
    created_at: int
    updated_at: int

    def as_clerk_json(self) -> dict[str, Any]:
        """Clerk's User object, as its Backend API and webhooks write it."""
        address_id = "idn_" + self.id.removeprefix("user_")
        return {
            "id": self.id,
            "object": "user",
            "username": None,
            "first_name": self.first_name or None,
            "last_name": self.last_name or None,
            "image_url": "",
            "has_image": False,
            "primary_email_address_id": address_id,
            "primary_phone_number_id": None,
            "email_addresses": [
                {
                    "id": address_id,
                    "object": "email_address",
                    "email_address": self.email,
                    "verification": {"status": "verified", "strategy": "email_code"},
                    "linked_to": [],
                }
            ],
            "phone_numbers": [],
            "external_accounts": [],
            "external_id": None,
            "public_metadata": {"role": self.role} if self.role else {},
            "private_metadata": {},
            "unsafe_metadata": {},
            "banned": False,
            "locked": False,
            "last_sign_in_at": self.updated_at,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def user_id_of(email: str) -> str:
    """The id of the user with an e-mail: always the same one, whatever the letters' case."""
    return "user_" + hashlib.sha256(email.strip().lower().encode()).hexdigest()[:27]


class Users:
    """All users by id. The journal has one JSON line a change; the last line of a user counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._users: dict[str, FakeUser] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Reads the journal and writes it anew without what no longer counts."""
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            try:
                user = FakeUser(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError):
                continue  # the last line of a process that was killed while writing it
            self._users[user.id] = user
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_bytes(b"".join(map(_line, self._users.values())))
        new.replace(self._path)

    def get(self, user_id: str) -> FakeUser | None:
        return self._users.get(user_id)

    async def put(self, email: str, first_name: str, last_name: str, role: str) -> FakeUser:
        """Makes the e-mail's user, or changes what differs. Raises TooManyUsers."""
        now = int(time.time() * 1000)
        async with self._writing:
            known = self._users.get(user_id_of(email))
            if known is None and len(self._users) >= MAX_USERS:
                raise TooManyUsers
            user = known or FakeUser(user_id_of(email), email, first_name, last_name, role, now, now)
            wanted = replace(user, email=email, first_name=first_name, last_name=last_name, role=role)
            if known is not None and wanted != known:
                user = replace(wanted, updated_at=max(now, known.updated_at + 1))
            if user is not known:
                await asyncio.to_thread(self._append, user)
                self._users[user.id] = user
            return user

    def _append(self, user: FakeUser) -> None:
        with self._path.open("ab") as file:
            file.write(_line(user))


def _line(user: FakeUser) -> bytes:
    return orjson.dumps(asdict(user)) + b"\n"
