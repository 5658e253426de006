"""All SQL of personal data: reading the sections of an export, and erasing. It spans the features' tables on purpose."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from core.db import Database, Reader, Transaction
from core.identity.personal.sections import Section


async def section_rows(db: Reader, section: Section, user_id: bytes, after: Sequence[object] | None) -> Sequence[tuple[Any, ...]]:
    """The next rows of a section behind the keys `after`: the columns' values, then the keys'."""
    selected = ", ".join([*(column.source for column in section.columns), *section.keys])
    where, params = "", []  # type: tuple[str, list[object]]
    if after is not None:
        steps = []
        for index, key in enumerate(section.keys):
            steps.append(" AND ".join([*(f"{equal} = %s" for equal in section.keys[:index]), f"{key} > %s"]))
            params += after[: index + 1]
        where = f"AND {section.keys[0]} >= %s AND ({' OR '.join(steps)})"
        params.insert(0, after[0])
    order = ", ".join(section.keys)
    sql = f"SELECT {selected} FROM {section.source} {where} ORDER BY {order} LIMIT {section.batch}"
    return await db.fetch_all(sql, (user_id, *params))


# Erasing.


class Erasure(NamedTuple):
    """An account whose content is being erased."""

    user_id: bytes
    start_time: datetime
    finish_time: datetime | None


def clerk_digest(clerk_id: str) -> bytes:
    """What is kept of an erased account's id at Clerk: enough to know it again, and of a random id too little to guess it."""
    return hashlib.sha256(clerk_id.encode()).digest()


async def insert_erasure(tx: Transaction, user_id: bytes, clerk_id: str, now: datetime) -> None:
    """Note that an account is erased, and that its user at Clerk is to be deleted. Raises DuplicateKey when it is already."""
    sql = "INSERT INTO erasures (user_id, clerk_digest, start_time, clerk_id, clerk_try_time) VALUES (%s, %s, %s, %s, %s)"
    await tx.execute(sql, (user_id, clerk_digest(clerk_id), now, clerk_id, now))


async def erasure(db: Reader, user_id: bytes) -> Erasure | None:
    """The erasure of an account."""
    row = await db.fetch_one("SELECT user_id, start_time, finish_time FROM erasures WHERE user_id = %s", (user_id,))
    return Erasure(*row) if row else None


async def was_erased(db: Reader, clerk_id: str) -> bool:
    """Whether a Clerk user's account was erased."""
    sql = "SELECT 1 FROM erasures WHERE clerk_digest = %s LIMIT 1"
    return await db.fetch_one(sql, (clerk_digest(clerk_id),)) is not None


async def still_at_clerk(db: Reader, limit: int) -> list[bytes]:
    """Erased accounts that are yet to be deleted at Clerk, those whose last try is the longest ago first."""
    sql = "SELECT user_id FROM erasures WHERE clerk_try_time IS NOT NULL ORDER BY clerk_try_time LIMIT %s"
    return [row[0] for row in await db.fetch_all(sql, (limit,))]


async def is_going(db: Reader, clerk_id: str) -> bool:
    """Whether a Clerk user's account is being erased: the user is yet to be deleted there, or may have been read before."""
    sql = "SELECT 1 FROM erasures WHERE clerk_digest = %s AND (clerk_try_time IS NOT NULL OR finish_time IS NULL) LIMIT 1"
    return await db.fetch_one(sql, (clerk_digest(clerk_id),)) is not None


async def clerk_id_of(db: Reader, user_id: bytes) -> str | None:
    """The id at Clerk of an erased account that is yet to be deleted there."""
    row = await db.fetch_one("SELECT clerk_id FROM erasures WHERE user_id = %s", (user_id,))
    return row[0] if row else None


async def note_clerk_try(db: Database, user_id: bytes, now: datetime) -> None:
    """Note that an erased account is about to be deleted at Clerk: if that fails, all others come first."""
    sql = "UPDATE erasures SET clerk_try_time = %s WHERE user_id = %s AND clerk_try_time IS NOT NULL"
    await db.execute(sql, (now, user_id))


async def note_gone_at_clerk(db: Database, user_id: bytes) -> None:
    """Note that an erased account is deleted at Clerk, and forget its id there."""
    await db.execute("UPDATE erasures SET clerk_id = NULL, clerk_try_time = NULL WHERE user_id = %s", (user_id,))


async def unfinished(db: Reader, started_before: datetime, limit: int) -> list[bytes]:
    """Accounts whose erasure began before and is not finished, the oldest first."""
    sql = "SELECT user_id FROM erasures WHERE finish_time IS NULL AND start_time <= %s ORDER BY start_time LIMIT %s"
    return [row[0] for row in await db.fetch_all(sql, (started_before, limit))]


async def finish(db: Database, user_id: bytes, now: datetime) -> None:
    """Note that nothing is left to erase."""
    await db.execute("UPDATE erasures SET finish_time = %s WHERE user_id = %s AND finish_time IS NULL", (now, user_id))


async def replace_identity(tx: Transaction, user_id: bytes, clerk_id: str, name: str) -> None:
    """Put a name and an id that mean nobody in the place of all that says who somebody is."""
    sql = "UPDATE users SET clerk_id = %s, email = '', display_name = %s, image_url = '', profile_version = 0 WHERE id = %s"
    await tx.execute(sql, (clerk_id, name, user_id))


# Each erases up to so many rows of an account, and counts those it erased: none are left when that is 0.
_BATCH: Final = 500
_CONTENT: Final = (
    f"UPDATE attempts SET answers = '' WHERE student_id = %s AND answers <> '' LIMIT {_BATCH}",
    "UPDATE lecture_progress SET position_seconds = 0, watched = NULL"
    f" WHERE student_id = %s AND (position_seconds <> 0 OR watched IS NOT NULL) LIMIT {_BATCH}",
    f"UPDATE messages SET body = '' WHERE sender_id = %s AND body <> '' LIMIT {_BATCH}",
    f"DELETE FROM outbox WHERE user_id = %s LIMIT {_BATCH}",
    # The provider may still have to be asked about the others, in the same words.
    "UPDATE refund_orders SET reason = '', failure = '' WHERE payment_id IN (SELECT id FROM payments WHERE student_id = %s)"
    f" AND try_time IS NULL AND (reason <> '' OR failure <> '') LIMIT {_BATCH}",
)
# All of them, for a file says nothing of the name in it; what is asked for again is made again.
_FILES: Final = "DELETE FROM certificate_files WHERE certificate_id IN (SELECT id FROM certificates WHERE student_id = %s)"
_NAMES: Final = (
    "UPDATE certificates SET student_name = %s, revoke_note = ''"
    " WHERE student_id = %s AND (student_name <> %s OR revoke_note <> '')"
)
ERASERS: Final = range(len(_CONTENT))


async def erase_content(tx: Transaction, eraser: int, user_id: bytes) -> int:
    """Run one of the `ERASERS` once."""
    return await tx.execute(_CONTENT[eraser], (user_id,))


async def erase_certificates(tx: Transaction, user_id: bytes, name: str) -> None:
    """Put another name into an account's certificates, and delete the files that show the old one."""
    await tx.execute(_FILES, (user_id,))
    await tx.execute(_NAMES, (name, user_id, name))
