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
async def people(db: Database) -> list[queries.UserRow]:
    """Some hundred accounts that no other test knows, newest first."""
    chance, now, made = random.Random(7), utc_now(), []
    for number in range(300):
        name, domain = chance.choice(NAMES), chance.choice(["ann", "ben", "x"])
        row = queries.UserRow(
            new_id(), f"search-{number}-{new_id().hex()}", f"{domain}.{number}@search.example", f"{name} {number}", "",
            chance.choice(ROLES), chance.choice(STATUSES), 0, now, now,
        )  # fmt: skip
        made.append(row)
    await db.transact(lambda tx: _insert(tx, made))
    return made[::-1]


async def _insert(tx: object, rows: list[queries.UserRow]) -> None:
    for row in rows:
        await queries.insert_user(tx, row)  # type: ignore[arg-type]


def begins(text: str, prefix: str) -> bool:
    return text.casefold().startswith(prefix.casefold())


@pytest.mark.parametrize(("few", "newest"), [(1000, 10_000), (1, 10_000), (1, 20), (1, 1)])
async def test_every_way_finds_the_same(
    db: Database, people: list[queries.UserRow], few: int, newest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_FEW", few)
    monkeypatch.setattr(queries, "_NEWEST", newest)
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
        while page := await queries.list_users(db, role, status, prefix, before, 7):
            found += [row.id for row in page]
            before = page[-1].id
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
