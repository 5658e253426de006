"""First logins and later ones: who becomes what, whatever Clerk does meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from fakes.users import FakeUser
from fakes.web import Mode
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import (
    ROLE_ADMIN,
    ROLE_INSTRUCTOR,
    ROLE_PARENT,
    ROLE_STUDENT,
    ROLE_UNSPECIFIED,
    Role,
    SyncUserRequest,
    UpdateUserRequest,
)
from tests.support.doors import Outcome
from tests.support.world import World

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
async def clerk_is_up(world: World) -> AsyncIterator[None]:
    yield
    world.fakes.clerk.outage.mode = Mode.UP


async def newcomer(world: World, role: str = "") -> tuple[FakeUser, str]:
    """Somebody Clerk knows and nobody here does, with a token whose metadata sign the role."""
    return await world.fakes.clerk.sign_in(f"newcomer.{next(_numbers)}@example.com", "New Comer", role)


async def sync(world: World, token: str, requested: Role.ValueType = ROLE_UNSPECIFIED) -> Outcome:
    return await world.rest.call("SyncUser", SyncUserRequest(requested_role=requested), token)


async def rows_of(world: World, user: FakeUser) -> int:
    row = await world.core.resources.db.fetch_one("SELECT COUNT(*) FROM users WHERE clerk_id = %s", (user.id,))
    assert row is not None
    return int(row[0])


async def test_the_first_login_creates_and_later_ones_refresh(world: World) -> None:
    user, token = await newcomer(world)
    first = await sync(world, token)
    assert (first.status, first.message.role, first.message.status) == (201, ROLE_STUDENT, identity_pb2.USER_STATUS_ACTIVE)
    assert (first.message.clerk_id, first.message.email, first.message.display_name) == (user.id, user.email, "New Comer")
    again = await sync(world, token)
    assert (again.status, again.message) == (200, first.message)
    await world.fakes.clerk.users.put(user.email, "Neu", "Komm", "")
    renamed = await sync(world, token)
    assert (renamed.status, renamed.message.display_name, renamed.message.id) == (200, "Neu Komm", first.message.id)
    assert renamed.message.update_time.ToNanoseconds() > first.message.update_time.ToNanoseconds()
    me = await world.rest.call("GetMe", identity_pb2.GetMeRequest(), token)
    assert me.message == renamed.message


ROLES = [
    # signed in the token, requested → the first role
    ("", ROLE_UNSPECIFIED, ROLE_STUDENT),
    ("", ROLE_STUDENT, ROLE_STUDENT),
    ("", ROLE_PARENT, ROLE_PARENT),
    ("INSTRUCTOR", ROLE_UNSPECIFIED, ROLE_INSTRUCTOR),
    ("INSTRUCTOR", ROLE_PARENT, ROLE_INSTRUCTOR),
    ("ADMIN", ROLE_STUDENT, ROLE_ADMIN),
    ("PARENT", ROLE_ADMIN, ROLE_PARENT),
]


@pytest.mark.parametrize(("signed", "requested", "role"), ROLES)
async def test_the_first_role(world: World, signed: str, requested: Role.ValueType, role: Role.ValueType) -> None:
    _, token = await newcomer(world, signed)
    outcome = await sync(world, token, requested)
    assert (outcome.status, outcome.message.role) == (201, role)


@pytest.mark.parametrize("requested", [ROLE_INSTRUCTOR, ROLE_ADMIN])
async def test_nobody_makes_themselves_instructor_or_admin(world: World, requested: Role.ValueType) -> None:
    user, token = await newcomer(world)
    outcome = await sync(world, token, requested)
    assert (outcome.status, outcome.reason) == (403, "ROLE_NOT_SELF_ASSIGNABLE")
    assert await rows_of(world, user) == 0


@pytest.mark.parametrize("requested", [ROLE_PARENT, ROLE_ADMIN])
async def test_later_logins_change_no_role(world: World, requested: Role.ValueType) -> None:
    user, token = await newcomer(world)
    await sync(world, token)
    outcome = await sync(world, world.fakes.clerk.mint(user.id, "INSTRUCTOR"), requested)
    assert (outcome.status, outcome.message.role) == (200, ROLE_STUDENT)


async def test_an_unknown_role_is_not_valid(world: World) -> None:
    _, token = await newcomer(world)
    status, _, problem = await world.request(
        "POST", "/auth/sync-user", headers={"Authorization": f"Bearer {token}"}, json={"requestedRole": 9}
    )
    assert (status, problem["violations"][0]["field"]) == (400, "requestedRole")


async def test_twenty_first_logins_at_once_make_one_account(world: World) -> None:
    user, token = await newcomer(world, "ADMIN")
    before = await admins(world)
    outcomes = await asyncio.gather(*(sync(world, token) for _ in range(20)))
    assert Counter(outcome.status for outcome in outcomes) == {201: 1, 200: 19}
    assert len({outcome.message.id for outcome in outcomes}) == 1
    assert {outcome.message.role for outcome in outcomes} == {ROLE_ADMIN}
    assert await rows_of(world, user) == 1
    assert await admins(world) == before + 1


async def admins(world: World) -> int:
    row = await world.core.resources.db.fetch_one("SELECT value FROM counters WHERE name = 'active_admins'")
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.SILENT])
async def test_while_clerk_is_away_only_newcomers_wait(world: World, mode: Mode) -> None:
    user, known = await newcomer(world)
    await sync(world, known)
    other, token = await newcomer(world)
    world.fakes.clerk.outage.mode = mode
    refused = await world.rest.call("SyncUser", SyncUserRequest(), token, x_request_timeout="0.3")
    assert refused.status in (503, 504)
    assert mode is Mode.SILENT or (refused.code, refused.metadata["retry-after"]) == ("UNAVAILABLE", "1")
    if mode is Mode.DOWN:
        again = await sync(world, known)
        assert (again.status, again.message.clerk_id) == (200, user.id)
    world.fakes.clerk.outage.mode = Mode.UP
    assert (await sync(world, token)).status == 201
    assert await rows_of(world, other) == 1


async def test_somebody_clerk_does_not_know_gets_no_account(world: World) -> None:
    outcome = await sync(world, world.fakes.clerk.mint("user_of_nobody"))
    assert (outcome.status, outcome.reason) == (401, "TOKEN_INVALID")
    assert outcome.metadata["www-authenticate"].startswith("Bearer")


async def test_a_suspended_account_is_not_refreshed(world: World) -> None:
    user, token = await newcomer(world)
    person = (await sync(world, token)).message
    admin = await world.person("ADMIN")
    suspend = UpdateUserRequest(user_id=person.id, status=identity_pb2.USER_STATUS_SUSPENDED)
    await world.call("UpdateUser", suspend, admin)
    await world.fakes.clerk.users.put(user.email, "Other", "Name", "")
    outcome = await sync(world, token)
    assert (outcome.status, outcome.reason) == (403, "ACCOUNT_SUSPENDED")
    seen = await world.call("GetUser", identity_pb2.GetUserRequest(user_id=person.id), admin)
    assert seen.display_name == "New Comer"
    suspend.status = identity_pb2.USER_STATUS_ACTIVE
    await world.call("UpdateUser", suspend, admin)
    assert (await sync(world, token)).message.display_name == "Other Name"


async def test_no_account_no_other_call(world: World) -> None:
    _, token = await newcomer(world)
    outcome = await world.rest.call("GetMe", identity_pb2.GetMeRequest(), token)
    assert (outcome.status, outcome.reason) == (403, "ACCOUNT_MISSING")


async def test_a_new_signing_key_is_found_when_it_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.identity.keys.COOLDOWN_SECONDS", 0.0)
    user, token = await newcomer(world)
    await sync(world, token)
    await world.fakes.clerk.rotate()
    outcomes = await asyncio.gather(*(sync(world, world.fakes.clerk.mint(user.id)) for _ in range(20)))
    assert {outcome.status for outcome in outcomes} == {200}
    assert (await sync(world, token)).status == 200
