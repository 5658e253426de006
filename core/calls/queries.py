"""All SQL of calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Database, Reader


class PersonRow(NamedTuple):
    """Somebody who calls or is called."""

    user_id: bytes
    display_name: str
    image_url: str


class CallRow(NamedTuple):
    """A call."""

    call_id: bytes
    caller_id: bytes
    callee_id: bytes
    media: int
    start_time: datetime
    answer_time: datetime | None
    end_time: datetime | None
    reason: int
    missed: bool


class HistoryRow(NamedTuple):
    """A call as one side sees it."""

    call: CallRow
    peer: PersonRow


class OpenRow(NamedTuple):
    """A call that goes on, as far as it is known here."""

    call_id: bytes
    answered: bool


_COLUMNS = "id, caller_id, callee_id, media, start_time, answer_time, end_time, reason, missed"


async def people(db: Reader, user_ids: Sequence[bytes]) -> dict[bytes, PersonRow]:
    """People by their ids."""
    rows = await db.fetch_all("SELECT id, display_name, image_url FROM users WHERE id IN %s", (tuple(user_ids),))
    return {row[0]: PersonRow(*row) for row in rows}


async def put(db: Database, row: CallRow) -> None:
    """Write a call as it is now. What is known of its answer and its end never changes."""
    sql = f"""
        INSERT INTO calls ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON DUPLICATE KEY UPDATE
          answer_time = COALESCE(answer_time, VALUES(answer_time)),
          missed = IF(end_time IS NULL, VALUES(missed), missed),
          reason = IF(end_time IS NULL, VALUES(reason), reason),
          end_time = COALESCE(end_time, VALUES(end_time))
    """
    await db.execute(sql, row)


async def history(db: Reader, me: bytes, before: bytes | None, limit: int) -> list[HistoryRow]:
    """My calls, the latest first: those I made and those I received by their own indexes, merged."""
    where, values = ("AND id < %s", [before]) if before is not None else ("", [])  # type: tuple[str, list[bytes]]
    halves, params = [], []  # type: tuple[list[str], list[object]]
    for own, other in (("caller", "callee"), ("callee", "caller")):
        halves.append(
            f"(SELECT {_COLUMNS}, {other}_id AS peer_id FROM calls WHERE {own}_id = %s {where} ORDER BY id DESC LIMIT %s)"
        )
        params += [me, *values, limit]
    sql = f"""
        SELECT {", ".join(f"c.{name}" for name in _COLUMNS.split(", "))}, u.id, u.display_name, u.image_url
        FROM ({" UNION ALL ".join(halves)}) c JOIN users u ON u.id = c.peer_id
        ORDER BY c.id DESC LIMIT %s
    """
    rows = await db.fetch_all(sql, (*params, limit))
    return [HistoryRow(CallRow(*row[:9]), PersonRow(*row[9:])) for row in rows]


async def left_open(db: Reader, started_before: datetime, after: bytes, limit: int) -> list[OpenRow]:
    """Calls of some age without an end, behind a call."""
    sql = """
        SELECT id, answer_time IS NOT NULL FROM calls WHERE end_time IS NULL AND start_time < %s AND id > %s
        ORDER BY id LIMIT %s
    """
    return [OpenRow(row[0], bool(row[1])) for row in await db.fetch_all(sql, (started_before, after, limit))]


async def close(db: Database, call_id: bytes, reason: int, missed: bool, now: datetime) -> None:
    """End a call, unless it has ended."""
    sql = "UPDATE calls SET end_time = %s, reason = %s, missed = %s WHERE id = %s AND end_time IS NULL"
    await db.execute(sql, (now, reason, missed, call_id))
