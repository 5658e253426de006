"""Administrators at work on accounts: lists, changes, their records, and the last one who may not go."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner

from cli.grants import grant_role
from cli.main import main
from cli.servers import LocalServers
from core.errors import Conflict, NotFound
from core.ids import to_bytes, to_text
from fakes.clerk import svix_headers
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import (
    ROLE_ADMIN,
    ROLE_INSTRUCTOR,
    ROLE_STUDENT,
    USER_STATUS_ACTIVE,
    USER_STATUS_SUSPENDED,
    GetUserRequest,
    ListUsersRequest,
    UpdateUserRequest,
    User,
)
from tests.conftest import fresh_database
from tests.support.cores import OtherCore
from tests.support.polling import eventually
from tests.support.signing import signing_pem
from tests.support.world import CLERK_WEBHOOK_SECRET, Person, World, running_world

NOWHERE = "01890a5d-ac96-774b-bcce-b302099a8057"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def school(servers: LocalServers, worker_number: int, redis_url: str) -> AsyncIterator[World]:
    """A world whose administrators are counted: nobody else makes any there."""
    async with running_world(fresh_database(servers, f"users_{worker_number}"), redis_url) as running:
        yield running


@pytest.fixture
async def admin(school: World) -> Person:
    """An administrator, of whom there are as many as tests before have left."""
    return await school.person("ADMIN")


async def call(world: World, person: Person, request: Any, **metadata: str) -> Any:
    name = type(request).__name__.removesuffix("Request")
    return await world.rest.call(name, request, person.token, **metadata)


async def person_named(world: World, first: str, last: str = "", email: str = "", role: str = "") -> Person:
    email = email or f"person.{next(_numbers)}@names.example.com"
    _, token = await world.fakes.clerk.sign_in(email, f"{first} {last}".strip(), role)
    outcome = await world.rest.call("SyncUser", identity_pb2.SyncUserRequest(), token)
    return Person(token, outcome.message)


async def found(world: World, admin: Person, **filters: Any) -> list[str]:
    """The ids on every page, and no page longer than asked for."""
    ids: list[str] = []
    token = ""
    while True:
        outcome = await call(world, admin, ListUsersRequest(**filters, page_token=token))
        assert outcome.ok, outcome
        assert len(outcome.message.users) <= filters.get("page_size", 20)
        ids += [user.id for user in outcome.message.users]
        token = outcome.message.next_page_token
        if not token:
            return ids


async def test_pages_newest_first(school: World, admin: Person) -> None:
    made = [(await person_named(school, f"Paging{number}")).id for number in range(7)]
    assert await found(school, admin, query="paging", page_size=3) == made[::-1]
    assert await found(school, admin, query="Paging", page_size=7) == made[::-1]
    everybody = await found(school, admin, page_size=2)
    assert everybody == await found(school, admin)
    assert len(everybody) == len(set(everybody)) >= 8


async def test_filters(school: World, admin: Person) -> None:
    teacher = await person_named(school, "Filter", "Teacher", role="INSTRUCTOR")
    student = await person_named(school, "Filter", "Student")
    await call(school, admin, UpdateUserRequest(user_id=student.id, status=USER_STATUS_SUSPENDED))
    assert await found(school, admin, query="filter") == [student.id, teacher.id]
    assert await found(school, admin, query="filter", role=ROLE_INSTRUCTOR) == [teacher.id]
    assert await found(school, admin, query="filter", status=USER_STATUS_SUSPENDED) == [student.id]
    assert await found(school, admin, query="filter", role=ROLE_INSTRUCTOR, status=USER_STATUS_SUSPENDED) == []
    assert await found(school, admin, query=teacher.user.email) == [teacher.id]
    assert await found(school, admin, query="Teacher") == []  # the beginning counts


async def test_what_means_something_to_like_means_itself(school: World, admin: Person) -> None:
    names = ["100%x", "100xx", "under_x", "underxx", "back\\x", "backx", "quo'te", 'dou"ble']
    people = {name: (await person_named(school, name)).id for name in names}
    matches = {
        "100%": ["100%x"],
        "100": ["100xx", "100%x"],
        "under_": ["under_x"],
        "back\\": ["back\\x"],
        "quo'": ["quo'te"],
        'dou"': ['dou"ble'],
    }
    for query, expected in {**matches, "%": [], "_": [], "\\": [], "' OR ''='": []}.items():
        assert await found(school, admin, query=query) == [people[name] for name in expected], query


async def test_page_tokens_belong_to_their_list(school: World, admin: Person) -> None:
    for _ in range(3):
        await person_named(school, "Token")
    first = await call(school, admin, ListUsersRequest(query="token", page_size=1))
    token = first.message.next_page_token
    other = await school.person("ADMIN")
    for person, request in (
        (admin, ListUsersRequest(query="tokem", page_token=token)),
        (admin, ListUsersRequest(query="token", role=ROLE_STUDENT, page_token=token)),
        (admin, ListUsersRequest(query="token", page_token=token[:-1] + ("A" if token[-1] != "A" else "B"))),
        (admin, ListUsersRequest(query="token", page_token="%00")),
        (other, ListUsersRequest(query="token", page_token=token)),
    ):
        outcome = await call(school, person, request)
        assert (outcome.status, outcome.reason, outcome.fields) == (400, "PAGE_TOKEN_INVALID", ["pageToken"])
    assert (await call(school, admin, ListUsersRequest(page_size=-1))).status == 400


async def test_one_account(school: World, admin: Person) -> None:
    person = await person_named(school, "One")
    assert (await call(school, admin, GetUserRequest(user_id=person.id))).message == person.user
    assert (await call(school, admin, GetUserRequest(user_id=person.id.upper()))).message == person.user
    assert (await call(school, admin, GetUserRequest(user_id=NOWHERE))).reason == "NOT_FOUND"
    assert (await call(school, admin, UpdateUserRequest(user_id=NOWHERE, role=ROLE_ADMIN))).reason == "NOT_FOUND"
    assert (await call(school, admin, GetUserRequest(user_id="me"))).status == 400


async def audit_of(world: World, target: str) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT actor_id, action, target_type, before_state, after_state, request_id FROM audit_events"
        " WHERE target_id = %s ORDER BY id"
    )
    return [
        (actor, action, kind, orjson.loads(before), orjson.loads(after), request_id)
        for actor, action, kind, before, after, request_id in await world.core.resources.db.fetch_all(sql, (target,))
    ]


async def test_a_change_is_made_and_recorded_together(school: World, admin: Person) -> None:
    person = await person_named(school, "Changed")
    request = UpdateUserRequest(user_id=person.id.upper(), role=ROLE_INSTRUCTOR)
    outcome = await call(school, admin, request, x_request_id="the-request-of-the-test")
    assert (outcome.message.role, outcome.message.status) == (ROLE_INSTRUCTOR, USER_STATUS_ACTIVE)
    await call(school, admin, UpdateUserRequest(user_id=person.id, status=USER_STATUS_SUSPENDED), x_request_id="the-second")
    actor = to_bytes(admin.id)
    student, teacher = ({"role": role, "status": "USER_STATUS_ACTIVE"} for role in ("ROLE_STUDENT", "ROLE_INSTRUCTOR"))
    assert await audit_of(school, person.id) == [
        (actor, "user.update", "user", student, teacher, "the-request-of-the-test"),
        (actor, "user.update", "user", teacher, {**teacher, "status": "USER_STATUS_SUSPENDED"}, "the-second"),
    ]


async def test_a_sign_out_is_recorded(school: World) -> None:
    person = await person_named(school, "Leaving")
    session_id = "sess_of_a_recorded_sign_out"
    token = school.fakes.clerk.mint(person.user.clerk_id, sid=session_id)
    await school.rest.call("SignOut", identity_pb2.SignOutRequest(), token, x_request_id="leaving")
    assert await audit_of(school, session_id) == [(to_bytes(person.id), "session.revoke", "session", {}, {}, "leaving")]


async def test_a_refused_change_leaves_no_trace(school: World, admin: Person) -> None:
    person = await person_named(school, "Unchanged")
    for status in (identity_pb2.USER_STATUS_DELETED, 9):
        outcome = await call(school, admin, UpdateUserRequest(user_id=person.id, status=status))  # type: ignore[arg-type]
        assert (outcome.status, outcome.fields) == (400, ["status"])
    assert (await call(school, person, UpdateUserRequest(user_id=person.id, role=ROLE_ADMIN))).reason == "ROLE_NOT_ALLOWED"
    assert await audit_of(school, person.id) == []


async def admins(world: World) -> list[Person]:
    """Every active administrator; the counter must agree."""
    db = world.core.resources.db
    rows = await db.fetch_all("SELECT id, clerk_id FROM users WHERE role = %s AND status = %s", (ROLE_ADMIN, USER_STATUS_ACTIVE))
    assert [(len(rows),)] == [*await db.fetch_all("SELECT value FROM counters WHERE name = 'active_admins'")]
    mint = world.fakes.clerk.mint
    return [Person(mint(clerk_id), User(id=to_text(row_id), clerk_id=clerk_id)) for row_id, clerk_id in rows]


async def only(world: World, count: int) -> list[Person]:
    """Leave so many administrators."""
    while len(left := await admins(world)) < count:
        await world.person("ADMIN")
    keeper = left[0]
    for person in left[count:]:
        request = UpdateUserRequest(user_id=person.id, role=ROLE_STUDENT)
        assert (await call(world, keeper, request)).ok
    return await admins(world)


@pytest.mark.parametrize("change", [{"role": ROLE_STUDENT}, {"status": USER_STATUS_SUSPENDED}], ids=["demoted", "suspended"])
async def test_the_last_administrator_stays_one(school: World, change: dict[str, int]) -> None:
    [last] = await only(school, 1)
    recorded = await audit_of(school, last.id)
    outcome = await call(school, last, UpdateUserRequest(user_id=last.id, **change))  # type: ignore[arg-type]
    assert (outcome.status, outcome.reason) == (400, "LAST_ADMIN")
    assert await audit_of(school, last.id) == recorded
    await only(school, 2)
    assert (await call(school, last, UpdateUserRequest(user_id=last.id, **change))).ok  # type: ignore[arg-type]
    assert len(await admins(school)) == 1


@pytest.mark.parametrize("attempt", range(4))
async def test_two_administrators_who_demote_each_other_at_once(school: World, attempt: int) -> None:
    one, other = await only(school, 2)
    outcomes = await asyncio.gather(
        *(
            call(school, actor, UpdateUserRequest(user_id=target.id, role=ROLE_STUDENT))
            for actor, target in ((one, other), (other, one), (one, one), (other, other))
        )
    )
    # A call that found its actor or its target demoted already is refused in its own way.
    assert Counter(outcome.ok for outcome in outcomes)[True] >= 1
    assert {outcome.reason for outcome in outcomes} <= {"", "LAST_ADMIN", "CONFLICT", "ROLE_NOT_ALLOWED"}
    assert len(await admins(school)) == 1


async def test_a_suspended_administrator_counts_again_when_active(school: World) -> None:
    keeper, other = await only(school, 2)
    for status, count in (
        (USER_STATUS_SUSPENDED, 1),
        (USER_STATUS_SUSPENDED, 1),
        (USER_STATUS_ACTIVE, 2),
        (USER_STATUS_ACTIVE, 2),
    ):
        assert (await call(school, keeper, UpdateUserRequest(user_id=other.id, status=status))).ok
        assert len(await admins(school)) == count


async def test_the_last_administrator_deleted_at_clerk_is_gone_and_the_command_makes_another(school: World) -> None:
    [last] = await only(school, 1)
    body = orjson.dumps({"type": "user.deleted", "data": {"id": last.user.clerk_id, "deleted": True}})
    for number in range(2):
        headers = svix_headers(CLERK_WEBHOOK_SECRET, f"msg_{number}", int(time.time()), body)
        status, _, _ = await school.request(
            "POST", "/auth/webhooks/clerk", data=body, headers={"Content-Type": "application/json", **headers}
        )
        assert status == 200
        assert await admins(school) == []
    heir = await person_named(school, "Heir")
    assert await grant_role(school.settings, heir.user.email.upper(), "ADMIN") == f"Heir <{heir.user.email}> is now ROLE_ADMIN"
    assert [person.id for person in await admins(school)] == [heir.id]


async def test_a_granted_role_is_recorded_and_seen_at_once(school: World) -> None:
    person = await person_named(school, "Granted")
    here = OtherCore(school.core)
    assert await here.standing(person.token) == "STUDENT"
    await grant_role(school.settings, person.user.email, "INSTRUCTOR")
    await eventually(lambda: here.standing(person.token), lambda seen: seen == "INSTRUCTOR", seconds=1.0)
    [(actor, action, _, before, after, request_id)] = await audit_of(school, person.id)
    assert (actor, action, before["role"], after["role"]) == (None, "user.update", "ROLE_STUDENT", "ROLE_INSTRUCTOR")
    assert request_id == "command line"


async def test_the_command_needs_one_account_with_the_address(school: World) -> None:
    with pytest.raises(NotFound, match=r"nobody@example\.com"):
        await grant_role(school.settings, "nobody@example.com", "ADMIN")
    person = await person_named(school, "José", email="jose.first@example.com")
    with pytest.raises(NotFound):
        await grant_role(school.settings, "josé.first@example.com", "ADMIN")
    db = school.core.resources.db
    twin = await person_named(school, "Twin")
    await db.execute("UPDATE users SET email = %s WHERE id = %s", (person.user.email, to_bytes(twin.id)))
    with pytest.raises(Conflict, match="2 accounts"):
        await grant_role(school.settings, person.user.email, "ADMIN")
    await db.execute("UPDATE users SET status = 3 WHERE id = %s", (to_bytes(twin.id),))
    assert "ROLE_PARENT" in await grant_role(school.settings, person.user.email, "PARENT")


async def test_the_command_needs_the_schema(servers: LocalServers, school: World, worker_number: int) -> None:
    empty = dataclasses.replace(school.settings, database_url=servers.create_database(f"no_schema_{worker_number}"))
    with pytest.raises(click.ClickException, match="skillforge migrate"):
        await grant_role(empty, "ada@example.com", "ADMIN")


async def test_the_command_line(school: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await person_named(school, "Liner")
    settings = school.settings
    values = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "CLERK_SECRET_KEY": settings.clerk_secret_key,
        "CERTIFICATE_SIGNING_KEY": signing_pem(),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    async def run(*arguments: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["grant-role", *arguments, "--data-dir", "/nowhere"])
        return result.exit_code, result.output

    assert await run(person.user.email, "instructor") == (0, f"Liner <{person.user.email}> is now ROLE_INSTRUCTOR\n")
    code, output = await run("nobody@example.com", "ADMIN")
    assert (code, output) == (1, "Error: No account has the address nobody@example.com. Its owner must sign in once first.\n")
    assert (await run(person.user.email, "POPE"))[0] == 2
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("DATABASE_URL", "postgres://x")
    code, output = await run(person.user.email, "ADMIN")
    assert code == 1
    assert [line.split(":")[0].split()[0] for line in output.splitlines()[1:]] == ["DATABASE_URL", "REDIS_URL"]
