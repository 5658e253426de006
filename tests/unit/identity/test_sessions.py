"""Sessions and accounts over a Redis and a database of the test: what is asked, kept and told, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from core.call import Claims
from core.db import Database
from core.errors import Unauthenticated
from core.identity import sessions as module
from core.identity.connections import Credentials
from core.identity.queries import UserRow
from core.identity.sessions import Sessions
from core.identity.tokens import TokenVerifier
from core.redis import Invalidations, Redis, RedisAway, keys
from skillforge.v1.identity_pb2 import (
    ROLE_ADMIN,
    ROLE_STUDENT,
    ROLE_UNSPECIFIED,
    USER_STATUS_ACTIVE,
    USER_STATUS_SUSPENDED,
    Role,
    UserStatus,
)

CREATED = datetime(2026, 1, 1)
ROW = UserRow(b"u" * 16, "user_1", "ada@example.com", "Ada", "", ROLE_STUDENT, USER_STATUS_ACTIVE, 1, CREATED, CREATED)
ACCOUNT_KEY, SESSION_KEY = keys.account("user_1"), keys.session("sess_1")


class FakeRedis:
    """Holds `version|value` by key as the script does, writes down what happens, and may be away."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[int, bytes]] = {}
        self.log: list[str] = []
        self.away = False

    def _check(self) -> None:
        if self.away:
            raise RedisAway("away")

    async def get(self, key: str) -> bytes | None:
        self._check()
        version, value = self.values.get(key, (0, b""))
        return b"%d|%s" % (version, value) if key in self.values else None

    async def publish(self, channel: str, message: bytes) -> None:
        self._check()
        self.log.append("drop " + message.split(b" ", 3)[3].decode())

    def script(self, name: str) -> Any:
        async def set_if_newer(names: Sequence[str], arguments: Sequence[Any]) -> int:
            self._check()
            await asyncio.sleep(0)
            if names[0] in self.values and self.values[names[0]][0] > arguments[0]:
                return 0
            self.values[names[0]] = (arguments[0], arguments[1])
            self.log.append(f"set {names[0]}")
            return 1

        assert name == "set_if_newer"
        return set_if_newer


class FakeDatabase:
    """One account and the revoked sessions; counts how often it is asked."""

    def __init__(self) -> None:
        self.row: UserRow | None = ROW
        self.revoked: set[str] = set()
        self.asked = 0
        self.slow: asyncio.Event | None = None

    async def fetch_one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        self.asked += 1
        found: tuple[Any, ...] | None = self.row if "FROM users" in sql else ((1,) if params[0] in self.revoked else None)
        if self.slow is not None:
            await self.slow.wait()
        return found


class Tokens:
    """Every token is the same person's."""

    claims = Claims("user_1", "sess_1", 2e9, ROLE_UNSPECIFIED)

    def recall(self, token: str) -> Claims | None:
        return self.claims

    async def verify(self, token: str) -> Claims:
        return self.claims


class Place:
    """One process: its sessions over a Redis and a database that others may share."""

    def __init__(self, redis: FakeRedis | None = None, db: FakeDatabase | None = None) -> None:
        self.redis, self.db = redis or FakeRedis(), db or FakeDatabase()
        self.invalidations = Invalidations(cast(Redis, self.redis))
        self.sessions = Sessions(
            cast(Database, self.db), cast(Redis, self.redis), self.invalidations, cast(TokenVerifier, Tokens()),
            Credentials(b"secret of the tests"),
        )  # fmt: skip

    async def who(self) -> str:
        """The caller's role and status, "nobody" without an account."""
        _, caller = await self.sessions.identify("token")
        return f"{caller.role} {caller.status}" if caller else "nobody"

    async def change(
        self, role: Role.ValueType = ROLE_STUDENT, status: UserStatus.ValueType = USER_STATUS_ACTIVE, seconds: float = 1
    ) -> None:
        """Commit a change and announce it."""
        assert self.db.row is not None
        self.db.row = self.db.row._replace(
            role=role, status=status, update_time=self.db.row.update_time + timedelta(seconds=seconds)
        )
        await self.sessions.changed(self.db.row)

    async def sign_out(self) -> None:
        self.db.revoked.add("sess_1")
        await self.sessions.revoked("sess_1")


STUDENT, ADMIN, SUSPENDED = f"{ROLE_STUDENT} 1", f"{ROLE_ADMIN} 1", f"{ROLE_STUDENT} {USER_STATUS_SUSPENDED}"


@pytest.fixture
def place() -> Place:
    return Place()


async def test_an_account_is_looked_up_once_and_then_known_here(place: Place) -> None:
    assert place.sessions.recall("token") is None
    assert await place.who() == STUDENT
    assert place.db.asked == 2
    assert await place.who() == STUDENT
    known = place.sessions.recall("token")
    assert known is not None
    assert known[1].display_name == "Ada"
    assert place.db.asked == 2


async def test_another_process_finds_it_in_redis(place: Place) -> None:
    await place.who()
    other = Place(place.redis)
    assert await other.who() == STUDENT
    assert other.db.asked == 0


async def test_redis_is_told_before_anybody_drops_a_copy(place: Place) -> None:
    await place.who()
    place.redis.log.clear()
    await place.change(ROLE_ADMIN)
    assert place.redis.log == [f"set {ACCOUNT_KEY}", "drop user_1"]
    assert place.sessions.recall("token") is None
    assert await place.who() == ADMIN
    place.redis.log.clear()
    await place.sign_out()
    assert place.redis.log == [f"set {SESSION_KEY}", "drop sess_1"]


async def test_a_slow_reader_puts_nothing_old_back(place: Place) -> None:
    reader = Place(place.redis, place.db)
    place.db.slow = asyncio.Event()
    reading = asyncio.create_task(reader.who())
    while place.db.asked < 1:  # noqa: ASYNC110 (it takes a few rounds of the loop)
        await asyncio.sleep(0)
    place.db.slow.set()
    place.db.slow = slow = asyncio.Event()
    while place.db.asked < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await place.change(status=USER_STATUS_SUSPENDED)  # after the reader has read, before it could tell
    slow.set()
    assert await reading == STUDENT
    assert await Place(place.redis, place.db).who() == SUSPENDED


async def test_a_slow_reader_brings_no_session_back(place: Place) -> None:
    reader = Place(place.redis, place.db)
    place.db.slow = slow = asyncio.Event()
    reading = asyncio.create_task(reader.who())
    while place.db.asked < 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await place.sign_out()
    slow.set()
    await reading
    with pytest.raises(Unauthenticated) as caught:
        await Place(place.redis, place.db).who()
    assert caught.value.reason == "SESSION_REVOKED"


async def test_an_announcement_without_a_change_does_no_harm(place: Place) -> None:
    """A commit that was lost announces too."""
    await place.who()
    assert place.db.row is not None
    await place.sessions.changed(place.db.row._replace(role=ROLE_ADMIN, update_time=CREATED + timedelta(seconds=9)))
    await place.sessions.revoked("sess_1")
    for _ in range(2):
        assert await place.who() == STUDENT
        assert await Place(place.redis, place.db).who() == STUDENT


async def test_without_redis_the_database_answers(place: Place) -> None:
    place.redis.away = True
    assert await place.who() == STUDENT
    await place.change(status=USER_STATUS_SUSPENDED)
    assert await place.who() == SUSPENDED
    await place.sign_out()
    with pytest.raises(Unauthenticated):
        await place.who()
    await place.sessions.close()


async def test_what_redis_missed_it_is_told_when_it_is_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_PAUSE_SECONDS", 0.0)
    other = Place(place.redis, place.db)
    await other.who()
    place.redis.away = True
    await place.change(status=USER_STATUS_SUSPENDED)
    await place.change(ROLE_ADMIN, USER_STATUS_SUSPENDED)
    await place.sign_out()
    place.redis.away = False
    place.redis.log.clear()
    assert await Place(place.redis, place.db).who() == STUDENT  # an old copy is still there
    async with asyncio.timeout(5):
        while len(place.redis.log) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert place.redis.log == [f"set {ACCOUNT_KEY}", "drop user_1", f"set {SESSION_KEY}", "drop sess_1"]
    place.db.revoked.clear()
    assert await Place(place.redis, place.db).who() == f"{ROLE_ADMIN} {USER_STATUS_SUSPENDED}"


async def test_only_so_many_changes_wait_for_redis(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_MAX_LATE", 2)
    place.redis.away = True
    for number in range(3):
        await place.sessions.revoked(f"sess_{number}")
    assert "too many changes wait for Redis" in caplog.text
    assert "sess_" not in caplog.text
    await place.sessions.close()


async def test_after_a_minute_redis_need_not_be_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_PAUSE_SECONDS", 0.0)
    now = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    place.redis.away = True
    await place.change(ROLE_ADMIN)
    for _ in range(5):
        await asyncio.sleep(0)
    now += keys.SESSION_TTL_MS / 1000
    task = place.sessions._telling
    assert task is not None
    await asyncio.wait_for(task, 5)
    assert place.redis.log == []


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"null", b"\xff", b'["zz", 1, 1, "x"]', b"[1, 2, 3, 4]"])
async def test_a_copy_that_cannot_be_read_is_none(place: Place, raw: bytes) -> None:
    place.redis.values[ACCOUNT_KEY] = (0, raw)
    place.redis.values[SESSION_KEY] = (0, raw)
    assert await place.who() == STUDENT


async def test_an_account_without_a_role_is_nobody_s_yet(place: Place) -> None:
    place.db.row = ROW._replace(role=ROLE_UNSPECIFIED)
    assert await place.who() == "nobody"
    assert place.sessions.recall("token") is None
    await place.change(ROLE_UNSPECIFIED, USER_STATUS_SUSPENDED)
    assert await place.who() == f"{ROLE_UNSPECIFIED} {USER_STATUS_SUSPENDED}"
    await place.change(ROLE_STUDENT)
    assert await place.who() == STUDENT


async def test_an_account_that_is_missing_is_asked_for_again(place: Place) -> None:
    place.db.row = None
    assert await place.who() == "nobody"
    place.db.row = ROW
    assert await place.who() == STUDENT
