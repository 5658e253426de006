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


def user_id_of(email: str, deletions: int = 0) -> str:
    """The id of the user with an e-mail: always the same one, whatever the letters' case, but a new one after a deletion."""
    again = f"\0{deletions}" if deletions else ""
    return "user_" + hashlib.sha256(f"{email.strip().lower()}{again}".encode()).hexdigest()[:27]


class Users:
    """All users by id. The journal has one JSON line a change; the last line of a user counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._users: dict[str, FakeUser] = {}
        # How many users with an e-mail were deleted, by the id of the first.
        self._deletions: dict[str, int] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Reads the journal and writes it anew without what no longer counts."""
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            try:
                self._read(orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError, KeyError):
                continue  # the last line of a process that was killed while writing it
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        gone = [_deletion(first_id, "", count) for first_id, count in self._deletions.items()]
        new.write_bytes(b"".join([*gone, *map(_line, self._users.values())]))
        new.replace(self._path)

    def _read(self, entry: dict[str, Any]) -> None:
        if "deletions" in entry:
            self._deletions[entry["first_id"]] = entry["deletions"]
            self._users.pop(entry["deleted"], None)
        else:
            user = FakeUser(**entry)
            self._users[user.id] = user

    def get(self, user_id: str) -> FakeUser | None:
        return self._users.get(user_id)

    async def put(self, email: str, first_name: str, last_name: str, role: str) -> FakeUser:
        """Makes the e-mail's user, or changes what differs. Raises TooManyUsers."""
        now = int(time.time() * 1000)
        async with self._writing:
            user_id = user_id_of(email, self._deletions.get(user_id_of(email), 0))
            known = self._users.get(user_id)
            if known is None and len(self._users) >= MAX_USERS:
                raise TooManyUsers
            user = known or FakeUser(user_id, email, first_name, last_name, role, now, now)
            wanted = replace(user, email=email, first_name=first_name, last_name=last_name, role=role)
            if known is not None and wanted != known:
                user = replace(wanted, updated_at=max(now, known.updated_at + 1))
            if user is not known:
                await asyncio.to_thread(self._append, _line(user))
                self._users[user.id] = user
            return user

    async def delete(self, user: FakeUser) -> None:
        """Deletes a user; the next one with the e-mail has another id. A repeat changes nothing."""
        async with self._writing:
            if user.id not in self._users:
                return
            first_id = user_id_of(user.email)
            count = self._deletions.get(first_id, 0) + 1
            await asyncio.to_thread(self._append, _deletion(first_id, user.id, count))
            self._deletions[first_id] = count
            del self._users[user.id]

    def _append(self, line: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(line)


def _line(user: FakeUser) -> bytes:
    return orjson.dumps(asdict(user)) + b"\n"


def _deletion(first_id: str, deleted: str, count: int) -> bytes:
    return orjson.dumps({"first_id": first_id, "deleted": deleted, "deletions": count}) + b"\n"
