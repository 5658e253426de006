"""An erased account's user is deleted at Clerk, too: at once, or when Clerk is back; and nothing that follows undoes it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import orjson
import pytest
from google.api.httpbody_pb2 import HttpBody

from core.errors import Unavailable
from core.ids import to_bytes
from core.times import utc_now
from fakes.clerk import svix_headers
from fakes.web import Mode
from skillforge.v1 import identity_pb2
from tests.support.polling import eventually
from tests.support.world import CLERK_WEBHOOK_SECRET, Person, World

ERASE = identity_pb2.EraseMeRequest(confirm="ERASE")
SYNC = identity_pb2.SyncUserRequest()


async def erase(world: World, person: Person, door: str = "rest") -> None:
    outcome = await world.doors[door].call("EraseMe", ERASE, person.token)
    assert outcome.ok, outcome


def is_at_clerk(world: World, person: Person) -> bool:
    return world.fakes.clerk.users.get(person.user.clerk_id) is not None


async def waiting(world: World) -> int:
    [(count,)] = await world.core.resources.db.fetch_all("SELECT COUNT(*) FROM erasures WHERE clerk_id IS NOT NULL")
    return int(count)


async def told_of_deletion(world: World, clerk_id: str) -> None:
    """Clerk's own webhook of it."""
    body = orjson.dumps({"type": "user.deleted", "data": {"id": clerk_id, "object": "user", "deleted": True}})
    headers = svix_headers(CLERK_WEBHOOK_SECRET, f"msg_{clerk_id}", int(time.time()), body)
    outcome = await world.rest.call("ReceiveClerkWebhook", HttpBody(content_type="application/json", data=body), **headers)
    assert outcome.ok, outcome


async def accounts(world: World, *names: str) -> int:
    """How many accounts have one of these ids at Clerk or addresses."""
    sql = "SELECT COUNT(*) FROM users WHERE clerk_id IN %s OR email IN %s"
    [(count,)] = await world.core.resources.db.fetch_all(sql, (names, names))
    return int(count)


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_the_user_is_gone_at_clerk(world: World, door: str) -> None:
    student, bystander = await world.person(), await world.person()
    before = await waiting(world)
    await erase(world, student, door)
    assert not is_at_clerk(world, student)
    assert is_at_clerk(world, bystander)
    assert await waiting(world) == before, "nothing is kept of the id"
    await told_of_deletion(world, student.user.clerk_id)
    assert await accounts(world, student.user.clerk_id, student.user.email) == 0
    assert (await world.call("GetMe", identity_pb2.GetMeRequest(), bystander)).id == bystander.id


@pytest.mark.parametrize(
    # A silent one does what it was asked when it is back; only the answer is lost.
    ("mode", "meanwhile"), [(Mode.DOWN, "ACCOUNT_ERASED"), (Mode.SILENT, "TOKEN_INVALID")]
)  # fmt: skip
async def test_an_outage_of_clerk_fails_no_erasure(world: World, mode: Mode, meanwhile: str) -> None:
    student, other = await world.person(), await world.person()
    clerk, identity = world.fakes.clerk, world.core.identity
    clerk.outage.mode = mode
    try:
        started = time.monotonic()
        await erase(world, student)
        assert time.monotonic() - started < 4
        assert is_at_clerk(world, student)
        gone = await world.rest.call("GetMe", identity_pb2.GetMeRequest(), student.token)
        assert gone.reason in {"ACCOUNT_MISSING", "SESSION_REVOKED"}, "erased all the same"
        if mode is Mode.DOWN:
            with pytest.raises(Unavailable):
                await identity.delete_at_clerk(utc_now(), 100)
    finally:
        clerk.outage.mode = Mode.UP
    if mode is Mode.SILENT:
        await eventually(lambda: asyncio.sleep(0, is_at_clerk(world, student)), lambda there: not there)
    # Until it worked the user at Clerk opens no other account, in whichever session.
    again = clerk.mint(student.user.clerk_id)
    assert (await world.rest.call("SyncUser", SYNC, again)).reason == meanwhile
    if mode is Mode.DOWN:  # the silent one may have answered the world's own sweep by now
        assert await waiting(world) == 1
    await asyncio.gather(*(identity.delete_at_clerk(utc_now(), 100) for _ in range(3)))
    assert not is_at_clerk(world, student)
    assert is_at_clerk(world, other)
    assert await waiting(world) == 0
    assert (await world.rest.call("SyncUser", SYNC, again)).reason == "TOKEN_INVALID"
    await told_of_deletion(world, student.user.clerk_id)
    assert await accounts(world, student.user.clerk_id, student.user.email) == 0


async def test_one_that_clerk_refuses_keeps_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [await world.person() for _ in range(4)]
    refused, *others = people
    clerk, identity = world.core.resources.clerk, world.core.identity
    delete = clerk.delete

    async def picky(clerk_id: str) -> None:
        if clerk_id == refused.user.clerk_id or not ready:
            raise Unavailable("UNAVAILABLE", "no")
        await delete(clerk_id)

    monkeypatch.setattr(clerk, "delete", picky)
    ready = False
    for person in people:
        await erase(world, person)
    ready = True
    for minute in (1, 2):
        try:
            await identity.delete_at_clerk(utc_now() + timedelta(minutes=minute), 100)
        except Unavailable:
            assert is_at_clerk(world, refused)
    assert [is_at_clerk(world, person) for person in others] == [False] * 3
    monkeypatch.undo()
    assert await identity.delete_at_clerk(utc_now() + timedelta(minutes=3), 100) == 1
    assert await waiting(world) == 0


async def test_one_deleted_at_clerk_before_is_done(world: World) -> None:
    student = await world.person()
    user = world.fakes.clerk.users.get(student.user.clerk_id)
    assert user is not None
    await world.fakes.clerk.users.delete(user)
    await erase(world, student)
    assert await waiting(world) == 0


async def test_a_login_that_read_clerk_before_opens_nothing(world: World) -> None:
    """The profile was read, then the account erased and the user deleted: what was read is of nobody any more."""
    student = await world.person()
    other_session = world.fakes.clerk.mint(student.user.clerk_id)
    for _ in range(3):
        *logins, erased = await asyncio.gather(
            *(world.rest.call("SyncUser", SYNC, other_session) for _ in range(8)),
            world.rest.call("EraseMe", ERASE, student.token),
        )
        assert {outcome.reason for outcome in logins} <= {"", "CONFLICT", "ACCOUNT_ERASED", "TOKEN_INVALID"}
        assert erased.ok or erased.reason in {"ACCOUNT_MISSING", "SESSION_REVOKED"}
    assert await accounts(world, student.user.clerk_id, student.user.email) == 0


async def test_a_sweep_of_the_process_deletes_too(world: World) -> None:
    """As after one that ended between the commit and the call to Clerk."""
    student = await world.person()
    world.fakes.clerk.outage.mode = Mode.DOWN
    try:
        await erase(world, student)
    finally:
        world.fakes.clerk.outage.mode = Mode.UP
    sql = "SELECT clerk_id, clerk_try_time IS NOT NULL FROM erasures WHERE user_id = %s"
    db = world.core.resources.db
    assert await db.fetch_one(sql, (to_bytes(student.id),)) == (student.user.clerk_id, 1)
    await world.core._delete_at_clerk()
    assert await db.fetch_one(sql, (to_bytes(student.id),)) == (None, 0)
    assert not is_at_clerk(world, student)
