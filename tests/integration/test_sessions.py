"""Signing out, suspending and changing roles: seen by every process within a second, whatever Redis does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import jwt
import pytest
import redis

from cli.servers import LocalServers
from core.redis import keys
from core.redis.caches import DEAF_SECONDS
from core.times import utc_now
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import (
    ROLE_INSTRUCTOR,
    USER_STATUS_ACTIVE,
    USER_STATUS_SUSPENDED,
    SignOutRequest,
    UpdateUserRequest,
)
from tests.conftest import fresh_database
from tests.support.cores import OtherCore, another_core
from tests.support.polling import eventually
from tests.support.world import Person, World, running_world

NO_REDIS = "unix:///nowhere/redis.sock"


@pytest.fixture
async def here(world: World) -> OtherCore:
    """The core of the world itself."""
    return OtherCore(world.core)


@pytest.fixture
async def there(world: World) -> AsyncIterator[OtherCore]:
    """A second process."""
    async with another_core(world.settings) as core:
        yield core


async def become(core: OtherCore, token: str, standing: str) -> float:
    """After how many seconds the core sees this standing; one is the limit."""
    began = time.monotonic()
    await eventually(lambda: core.standing(token), lambda seen: seen == standing, seconds=1.0)
    return time.monotonic() - began


async def sign_out(world: World, token: str) -> None:
    outcome = await world.rest.call("SignOut", SignOutRequest(), token)
    assert outcome.status == 204, outcome


async def update(world: World, person: Person, **changes: int) -> None:
    admin = await world.person("ADMIN")
    await world.call("UpdateUser", UpdateUserRequest(user_id=person.id, **changes), admin)  # type: ignore[arg-type]


async def test_a_sign_out_ends_the_session_everywhere(world: World, here: OtherCore, there: OtherCore) -> None:
    person = await world.person()
    for core in (here, there):
        assert await core.standing(person.token) == "STUDENT"
    await sign_out(world, person.token)
    assert await here.standing(person.token) == "SESSION_REVOKED"
    await become(there, person.token, "SESSION_REVOKED")
    for name, request in (("SignOut", SignOutRequest()), ("SyncUser", identity_pb2.SyncUserRequest())):
        outcome = await world.rest.call(name, request, person.token)
        assert (outcome.status, outcome.reason) == (401, "SESSION_REVOKED")


async def test_a_sign_out_ends_one_session_alone(world: World, here: OtherCore) -> None:
    person = await world.person()
    other = f"sess_{person.id}"
    same = world.fakes.clerk.mint(person.user.clerk_id, sid=other)
    refreshed = world.fakes.clerk.mint(person.user.clerk_id, sid=other, jti="another")
    await sign_out(world, same)
    assert await here.standing(refreshed) == "SESSION_REVOKED"
    assert await here.standing(person.token) == "STUDENT"


async def test_a_sign_out_is_kept_as_long_as_a_session_may_live(world: World, here: OtherCore) -> None:
    db, identity = world.core.resources.db, world.core.identity
    old: list[str] = []
    young: list[str] = []
    for kept, days in ((old, 31), (young, 29)):
        for _ in range(3):
            person = await world.person()
            await sign_out(world, person.token)
            kept.append(jwt.decode(person.token, options={"verify_signature": False})["sid"])
        await db.execute(
            "UPDATE revoked_sessions SET revoke_time = %s WHERE session_id IN %s", (utc_now() - timedelta(days=days), kept)
        )
    assert await identity.drop_sign_outs(utc_now(), 2) == 2
    assert await identity.drop_sign_outs(utc_now(), 1000) == 1
    rows = await db.fetch_all("SELECT session_id FROM revoked_sessions WHERE session_id IN %s", (old + young,))
    assert {row[0] for row in rows} == set(young)
    assert await here.standing(person.token) == "SESSION_REVOKED"


async def test_a_suspension_is_seen_everywhere_and_its_end_too(world: World, here: OtherCore, there: OtherCore) -> None:
    person = await world.person()
    for status, standing in ((USER_STATUS_SUSPENDED, "ACCOUNT_SUSPENDED"), (USER_STATUS_ACTIVE, "STUDENT")) * 2:
        await update(world, person, status=status)
        assert await here.standing(person.token) == standing
        await become(there, person.token, standing)


async def test_a_role_is_seen_everywhere(world: World, here: OtherCore, there: OtherCore) -> None:
    person = await world.person()
    assert await there.standing(person.token) == "STUDENT"
    await update(world, person, role=ROLE_INSTRUCTOR)
    assert await here.standing(person.token) == "INSTRUCTOR"
    await become(there, person.token, "INSTRUCTOR")


async def test_many_changes_end_with_the_last(world: World, here: OtherCore, there: OtherCore) -> None:
    """Readers at work all the time put nothing old back."""
    person = await world.person()
    admin = await world.person("ADMIN")
    stop = asyncio.Event()

    async def read(core: OtherCore) -> None:
        while not stop.is_set():
            await core.standing(person.token)
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read(core)) for core in (here, there) for _ in range(3)]
    for number in range(20):
        status = USER_STATUS_ACTIVE if number % 2 else USER_STATUS_SUSPENDED
        await world.call("UpdateUser", UpdateUserRequest(user_id=person.id, status=status), admin)
    await world.call("UpdateUser", UpdateUserRequest(user_id=person.id, status=USER_STATUS_SUSPENDED), admin)
    await become(there, person.token, "ACCOUNT_SUSPENDED")
    stop.set()
    await asyncio.gather(*readers)
    for core in (here, there):
        assert await core.standing(person.token) == "ACCOUNT_SUSPENDED"
    async with another_core(world.settings) as fresh:
        assert await fresh.standing(person.token) == "ACCOUNT_SUSPENDED"


async def test_a_profile_refreshed_while_it_is_suspended_does_not_lift_that(world: World, there: OtherCore) -> None:
    """Two changes of one row at once: each announces the row as it then is."""
    person = await world.person()
    admin = await world.person("ADMIN")
    user = world.fakes.clerk.users.get(person.user.clerk_id)
    assert user is not None
    for number in range(10):
        await world.fakes.clerk.users.put(user.email, f"Name{number}", "X", user.role)
        suspend = UpdateUserRequest(user_id=person.id, status=USER_STATUS_SUSPENDED)
        await asyncio.gather(
            world.rest.call("SyncUser", identity_pb2.SyncUserRequest(), person.token), world.call("UpdateUser", suspend, admin)
        )
        await become(there, person.token, "ACCOUNT_SUSPENDED")
        suspend.status = USER_STATUS_ACTIVE
        await world.call("UpdateUser", suspend, admin)


async def test_a_revoked_session_stays_revoked_when_redis_forgets(world: World, here: OtherCore, there: OtherCore) -> None:
    person = await world.person()
    await sign_out(world, person.token)
    for _ in range(2):
        for key in (keys.session(session_of(person)), keys.account(person.user.clerk_id)):
            await world.core.resources.redis.delete(key)
        for core in (here, there):
            assert await core.standing(person.token) == "SESSION_REVOKED"


def session_of(person: Person) -> str:
    return str(jwt.decode(person.token, options={"verify_signature": False})["sid"])


async def test_processes_that_cannot_reach_redis_see_changes_within_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, other = await world.person(), await world.person()
    async with another_core(world.settings, redis_url=NO_REDIS) as deaf, another_core(world.settings, redis_url=NO_REDIS) as doer:
        for token in (person.token, other.token):
            assert await deaf.standing(token) == "STUDENT"
        await doer.call("SignOut", SignOutRequest(), person.token)
        admin = await world.person("ADMIN")
        await doer.call("UpdateUser", UpdateUserRequest(user_id=other.id, role=ROLE_INSTRUCTOR), admin.token)
        assert await doer.standing(person.token) == "SESSION_REVOKED"
        assert await doer.standing(other.token) == "INSTRUCTOR"
        monkeypatch.setattr("core.redis.caches.monotonic", lambda: time.monotonic() + DEAF_SECONDS)
        assert await deaf.standing(person.token) == "SESSION_REVOKED"
        assert await deaf.standing(other.token) == "INSTRUCTOR"


@pytest.mark.slow
async def test_redis_dies_and_comes_back_with_what_it_knew(
    servers: LocalServers, worker_number: int, own_redis: LocalServers
) -> None:
    url = fresh_database(servers, f"sessions_{worker_number}")
    async with running_world(url, own_redis.redis_url()) as world:
        here = OtherCore(world.core)

        async def told() -> bool:
            return not world.core.resources.sessions._late

        async with another_core(world.settings) as there:
            person, suspended = await world.person(), await world.person()
            for token in (person.token, suspended.token):
                for core in (here, there):
                    assert await core.standing(token) == "STUDENT"
            with redis.Redis.from_url(own_redis.redis_url()) as client:
                client.set("marker", "x")
                client.save()
            await asyncio.to_thread(own_redis.stop_redis, kill=True)
            await sign_out(world, person.token)
            await update(world, suspended, status=USER_STATUS_SUSPENDED)
            assert await here.standing(person.token) == "SESSION_REVOKED"
            await become(there, person.token, "SESSION_REVOKED")
            await become(there, suspended.token, "ACCOUNT_SUSPENDED")
            await asyncio.to_thread(own_redis.start_redis)
            await there.core.resources.invalidations.wait_hearing()
            with redis.Redis.from_url(own_redis.redis_url()) as client:
                assert client.get("marker") == b"x"
            await eventually(told, seconds=2.0)
            for core in (here, there):
                await become(core, person.token, "SESSION_REVOKED")
                await become(core, suspended.token, "ACCOUNT_SUSPENDED")
