"""Clerk's webhooks over HTTP: in any order, any number of times, and only Clerk's."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import orjson
import pytest

from core.identity import queries
from core.identity.service import user_message
from fakes.clerk import svix_headers
from fakes.users import FakeUser, user_id_of
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import ROLE_INSTRUCTOR, ROLE_PARENT, ROLE_STUDENT, ROLE_UNSPECIFIED, SyncUserRequest, User
from tests.support.world import CLERK_WEBHOOK_SECRET, World

PATH = "/auth/webhooks/clerk"
_numbers = itertools.count(1)


def somebody(first_name: str = "Grace", updated_at: int = 1000, role: str = "") -> FakeUser:
    email = f"hook.{next(_numbers)}@example.com"
    return FakeUser(user_id_of(email), email, first_name, "Hopper", role, 1000, updated_at)


def event(kind: str, user: FakeUser, **changes: Any) -> bytes:
    data = {"id": user.id, "object": "user", "deleted": True} if kind == "deleted" else {**user.as_clerk_json(), **changes}
    return orjson.dumps({"object": "event", "type": f"user.{kind}", "data": data})


async def deliver(
    world: World, body: bytes, *, secret: str = CLERK_WEBHOOK_SECRET, age: int = 0, **changes: str
) -> tuple[int, Any]:
    """Status and answer; the headers are right but for the changes, and "" leaves one out."""
    headers = svix_headers(secret, f"msg_{next(_numbers)}", int(time.time()) - age, body) | {
        name.replace("_", "-"): value for name, value in changes.items()
    }
    headers = {name: value for name, value in headers.items() if value}
    status, _, answer = await world.request("POST", PATH, data=body, headers={"Content-Type": "application/json", **headers})
    return status, answer


async def accepted(world: World, *bodies: bytes) -> None:
    for body in bodies:
        assert await deliver(world, body) == (200, {"received": True})


async def stored(world: World, user: FakeUser) -> User | None:
    """The account as it is kept; None if there is none."""
    row = await queries.user_by_clerk_id(world.core.resources.db, user.id)
    return user_message(row) if row is not None else None


async def name_of(world: World, user: FakeUser) -> str:
    found = await stored(world, user)
    return found.display_name if found is not None else ""


async def test_events_in_any_order_leave_the_newest(world: World) -> None:
    user = somebody()
    newest, middle, oldest = (
        event("updated", user, first_name="Newest", updated_at=3000),
        event("updated", user, first_name="Middle", updated_at=2000),
        event("created", user, first_name="Oldest", updated_at=1000),
    )
    await accepted(world, middle)
    assert await name_of(world, user) == "Middle Hopper"
    await accepted(world, newest, middle, oldest, newest)
    assert await name_of(world, user) == "Newest Hopper"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_events_at_once_leave_the_newest(world: World, order: tuple[int, ...]) -> None:
    user = somebody()
    events = [
        event("updated" if number else "created", user, first_name=f"N{number}", updated_at=1000 + number) for number in range(3)
    ]
    answers = await asyncio.gather(*(deliver(world, events[number]) for number in order for _ in range(3)))
    assert {status for status, _ in answers} == {200}
    assert await name_of(world, user) == "N2 Hopper"


async def test_a_repeat_changes_nothing(world: World) -> None:
    user = somebody()
    body = event("created", user)
    await accepted(world, body)
    before = await stored(world, user)
    headers = {**svix_headers(CLERK_WEBHOOK_SECRET, "msg_again", int(time.time()), body), "Content-Type": "application/json"}
    for _ in range(5):
        status, _, _ = await world.request("POST", PATH, data=body, headers=headers)
        assert status == 200
    assert await stored(world, user) == before


@pytest.mark.parametrize(
    ("signed", "requested", "role"),
    [("", ROLE_PARENT, ROLE_PARENT), ("", ROLE_UNSPECIFIED, ROLE_STUDENT), ("INSTRUCTOR", ROLE_PARENT, ROLE_INSTRUCTOR)],
)
async def test_created_before_the_first_login_leaves_the_role_to_it(world: World, signed: str, requested: int, role: int) -> None:
    user, token = await world.fakes.clerk.sign_in(f"early.{next(_numbers)}@example.com", "Early Bird", signed)
    await accepted(world, event("created", user))
    waiting = await stored(world, user)
    assert waiting is not None
    assert waiting.role == ROLE_UNSPECIFIED
    outcome = await world.rest.call("GetMe", identity_pb2.GetMeRequest(), token)
    assert outcome.reason == "ACCOUNT_MISSING"
    syncs = await asyncio.gather(
        *(world.rest.call("SyncUser", SyncUserRequest(requested_role=requested), token) for _ in range(5))  # type: ignore[arg-type]
    )
    assert sorted(item.status for item in syncs) == [200, 200, 200, 200, 201]
    assert {(item.message.id, item.message.role) for item in syncs} == {(waiting.id, role)}


async def test_a_person_who_may_not_be_an_admin_may_not_be_one_later(world: World) -> None:
    user, token = await world.fakes.clerk.sign_in(f"early.{next(_numbers)}@example.com", "Early Bird", "")
    await accepted(world, event("created", user, public_metadata={"role": "PARENT"}))
    refused = await world.rest.call("SyncUser", SyncUserRequest(requested_role=identity_pb2.ROLE_ADMIN), token)
    assert (refused.status, refused.reason) == (403, "ROLE_NOT_SELF_ASSIGNABLE")


async def test_deleted_at_clerk_is_out_at_once(world: World) -> None:
    person = await world.person("STUDENT")
    user = world.fakes.clerk.users.get(person.user.clerk_id)
    assert user is not None
    await world.call("GetMe", identity_pb2.GetMeRequest(), person)
    await accepted(world, event("deleted", user))
    for name, request in (("GetMe", identity_pb2.GetMeRequest()), ("SyncUser", SyncUserRequest())):
        outcome = await world.rest.call(name, request, person.token)
        assert (outcome.status, outcome.reason) == (403, "ACCOUNT_SUSPENDED")
    later = event("updated", user, first_name="Ghost", updated_at=int(time.time() * 1000) + 10**6)
    await accepted(world, later, event("deleted", user))
    found = await stored(world, user)
    assert found is not None
    assert (found.status, found.display_name) == (identity_pb2.USER_STATUS_DELETED, person.user.display_name)


async def test_deleted_before_it_was_created_stays_deleted(world: World) -> None:
    user = somebody()
    await accepted(world, event("deleted", user), event("created", user), event("updated", user, updated_at=5000))
    found = await stored(world, user)
    assert found is not None
    assert (found.status, found.email, found.display_name) == (identity_pb2.USER_STATUS_DELETED, "", "Deleted user")


async def test_a_deleted_account_cannot_be_opened_again(world: World) -> None:
    user = somebody()
    await accepted(world, event("created", user), event("deleted", user))
    found = await stored(world, user)
    assert found is not None
    request = identity_pb2.UpdateUserRequest(user_id=found.id, status=identity_pb2.USER_STATUS_ACTIVE, role=ROLE_STUDENT)
    outcome = await world.rest.call("UpdateUser", request, (await world.person("ADMIN")).token)
    assert (outcome.status, outcome.reason) == (409, "CONFLICT")


@pytest.mark.parametrize("kind", ["session.created", "organization.created", "user.unheardOf", ""])
async def test_other_events_are_received_and_change_nothing(world: World, kind: str) -> None:
    user = somebody()
    await accepted(world, orjson.dumps({"type": kind, "data": user.as_clerk_json()}))
    assert await stored(world, user) is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"[]", b"7", b"null", b"{}", b'{"type":"user.created"}', b'{"data":{}}', b'{"type":7,"data":{}}',
        b'{"type":"user.created","data":[]}', b'{"type":"user.created","data":{}}', b'{"type":"user.updated","data":{"id":7}}',
        b'{"type":"user.created","data":{"id":"us\\u00e9r"}}', b'{"type":"user.created","data":{"id":"u","updated_at":1e300}}',
        b'{"type":"user.created","data":{"id":"u","updated_at":"1"}}', b'{"type":"user.created","data":{"id":"u","username":7}}',
        b'{"type":"user.deleted","data":{}}', b'{"type":"user.deleted","data":{"id":null}}', b"\xff" * 10, b"[" * 10_000,
    ],
)  # fmt: skip
async def test_signed_events_of_a_bad_shape(world: World, body: bytes) -> None:
    status, problem = await deliver(world, body)
    assert (status, problem["reason"]) == (400, "INVALID_ARGUMENT")


async def test_only_what_clerk_signed_a_moment_ago(world: World) -> None:
    user = somebody()
    body = event("created", user)
    refusals = [
        await deliver(world, body, secret="whsec_YW5vdGhlciBzZWNyZXQ="),
        await deliver(world, body, svix_signature=""),
        await deliver(world, body, svix_signature="v1,not base64"),
        await deliver(world, body, svix_id=""),
        await deliver(world, body, svix_id="msg_other"),
        await deliver(world, body, svix_timestamp=""),
        await deliver(world, body, svix_timestamp="soon"),
        await deliver(world, body + b" ", svix_signature=svix_headers(CLERK_WEBHOOK_SECRET, "m", 1, body)["svix-signature"]),
    ]
    assert {(status, problem["reason"]) for status, problem in refusals} == {(400, "SIGNATURE_INVALID")}
    for age in (310, -310):
        status, problem = await deliver(world, body, age=age)
        assert (status, problem["reason"]) == (400, "SIGNATURE_EXPIRED")
    assert await stored(world, user) is None


async def test_while_the_secret_rotates_either_signature_is_enough(world: World) -> None:
    body = event("created", somebody())
    now = int(time.time())
    new, old = (svix_headers(secret, "msg_rotating", now, body) for secret in (CLERK_WEBHOOK_SECRET, "whsec_b2xkIHNlY3JldA=="))
    both = f"{old['svix-signature']} {new['svix-signature']}"
    assert (await deliver(world, body, svix_id="msg_rotating", svix_timestamp=str(now), svix_signature=both))[0] == 200
