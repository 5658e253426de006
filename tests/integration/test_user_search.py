"""Finding accounts: whichever way a statement goes, the same are found as by looking at every one."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator

import pytest

from core.db import Database, Migrator
from core.identity import queries
from core.ids import new_id
from core.times import utc_now
from skillforge.v1 import identity_pb2
from tests.support.world import World

NAMES = ["Ana", "Anna", "Annabel", "Ben", "Bea", "100%", "under_score", "back\\slash", "李雷", "Émile", "anna"]
ROLES = [identity_pb2.ROLE_ADMIN, identity_pb2.ROLE_STUDENT, identity_pb2.ROLE_PARENT]
STATUSES = [identity_pb2.USER_STATUS_ACTIVE, identity_pb2.USER_STATUS_SUSPENDED]


@pytest.fixture(scope="module")
async def db(database_url: str) -> AsyncIterator[Database]:
    db = Database(database_url, size=2)
    await Migrator(db).apply()
    await db.start()
    yield db
    await db.close()


@pytest.fixture(scope="module")
async def people(db: Database) -> AsyncIterator[list[queries.UserRow]]:
    """Some hundred accounts that no other test knows, newest first. They go again: no counter knows of the admins among
    them."""
    chance, now, made = random.Random(7), utc_now(), []
    for number in range(300):
        name, domain = chance.choice(NAMES), chance.choice(["ann", "ben", "x"])
        row = queries.UserRow(
            new_id(), f"search-{number}-{new_id().hex()}", f"{domain}.{number}@search.example", f"{name} {number}", "",
            chance.choice(ROLES), chance.choice(STATUSES), 0, now, now,
        )  # fmt: skip
        made.append(row)
    await db.transact(lambda tx: _insert(tx, made))
    yield made[::-1]
    await db.execute("DELETE FROM users WHERE id IN %s", ([row.id for row in made],))


async def _insert(tx: object, rows: list[queries.UserRow]) -> None:
    for row in rows:
        await queries.insert_user(tx, row)  # type: ignore[arg-type]


def begins(text: str, prefix: str) -> bool:
    return text.casefold().startswith(prefix.casefold())


def look_at(monkeypatch: pytest.MonkeyPatch, few: int, some: int, many: int, newest: int) -> None:
    for name, count in {"_FEW": few, "_SOME_NEWEST": some, "_MANY": many, "_MANY_NEWEST": newest}.items():
        monkeypatch.setattr(queries, name, count)


@pytest.mark.parametrize(
    "bounds", [(1000, 2000, 20_000, 20_000), (1, 10_000, 1, 1), (1, 20, 20_000, 1), (1, 5, 1, 40), (1, 1, 1, 60)]
)
async def test_every_way_finds_the_same(
    db: Database, people: list[queries.UserRow], bounds: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at(monkeypatch, *bounds)
    prefixes = ["", "a", "an", "ann", "anna", "annab", "ben", "100%", "under_", "back\\", "李", "x.1", "zzz"]
    for prefix, role, status in itertools.product(prefixes, [0, ROLES[0]], [0, STATUSES[1]]):
        expected = [
            row.id
            for row in people
            if (begins(row.email, prefix) or begins(row.display_name, prefix))
            and (not role or row.role == role)
            and (not status or row.status == status)
        ]
        found: list[bytes] = []
        before = None
        while True:
            rows, reached = await queries.list_users(db, role, status, prefix, before, 7)
            found += [row.id for row in rows]
            before = rows[-1].id if len(rows) == 7 else reached
            if before is None:
                break
        mine = {row.id for row in people}
        assert [item for item in found if item in mine] == expected, (prefix, role, status)


async def test_the_way_through_the_indexes_is_taken(db: Database, people: list[queries.UserRow]) -> None:
    """No statement of the list sorts or reads a whole table."""
    plans: list[str] = []

    class Explaining:
        async def fetch_one(self, sql: str, params: object = ()) -> object:
            return await db.fetch_one(sql, params)  # type: ignore[arg-type]

        async def fetch_all(self, sql: str, params: object = ()) -> list[object]:
            rows = await db.fetch_all(f"EXPLAIN {sql}", params)  # type: ignore[arg-type]
            plans.extend(f"{row[3]} {row[5]} {row[9]}" for row in rows)
            return []

    for role, status in itertools.product([0, ROLES[0]], [0, STATUSES[1]]):
        await queries.list_users(Explaining(), role, status, "", people[0].id, 20)  # type: ignore[arg-type]
    assert [plan.split()[1] for plan in plans] == ["PRIMARY", "users_status", "users_by_role", "users_role"]
    assert not [plan for plan in plans if plan.startswith("ALL") or "filesort" in plan]
    plans.clear()
    for role, status in itertools.product([0, ROLES[0]], [0, STATUSES[1]]):
        await queries.list_users(Explaining(), role, status, "ann", people[0].id, 20)  # type: ignore[arg-type]
    looked = [plan for plan in plans if "users_email_standing" in plan or "users_name_standing" in plan]
    assert len(looked) == 8
    assert all("Using index" in plan for plan in looked), "nobody is read who is not found"


async def test_pages_that_are_not_full_lead_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Very many match, and none of the newest: each page looks at no more than so many, and the last ones hold them."""
    look_at(monkeypatch, 1, 1, 1, 3)
    admin = await world.person("ADMIN")
    wanted = [await world.person(name=f"Aardvark {number}") for number in range(3)]
    for _ in range(8):
        await world.person(name="Zebra")
    found, sizes, token = [], [], ""
    while True:
        request = identity_pb2.ListUsersRequest(query="Aardvark", page_token=token, page_size=2)
        page = await world.call("ListUsers", request, admin)
        found += [user.id for user in page.users]
        sizes.append(len(page.users))
        token = page.next_page_token
        if not token or len(found) == len(wanted):
            break
    assert found == [person.id for person in reversed(wanted)]
    assert sizes[:2] == [0, 0]
