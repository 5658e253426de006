"""Exporting and erasing a person's data: the part of IdentityService that spans all features."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from google.api.httpbody_pb2 import HttpBody

from core.audit.record import record
from core.call import Call
from core.db import Database, Transaction
from core.db.errors import RetryScope
from core.errors import Conflict, NotAllowed, Unauthenticated, Unavailable, missing
from core.identity import accounts, queries
from core.identity.accounts import ACTIVE, DELETED
from core.identity.clerk import Clerk
from core.identity.personal import export
from core.identity.personal import queries as personal
from core.identity.personal.rules import SETTLE, nobody, pseudonym
from core.identity.queries import UserRow
from core.identity.sessions import Sessions
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import identity_pb2

# How long an erasure waits for Clerk. What did not work until then is tried again in the background.
CLERK_SECONDS = 2.0

# What a feature does in the transaction that closes an account. It may refuse (FailedPrecondition), and say what it
# changed, for the audit log.
Leaving = Callable[[Transaction, bytes], Awaitable[dict[str, object] | None]]


class LateNews(Exception):
    """What Clerk tells is about an account that was erased."""


class PersonalData:
    """Exports and erasures. `leaving` are the features that take part in the closing of an account."""

    _db: Database
    _sessions: Sessions
    _clerk: Clerk
    on_renamed: Callable[[Transaction, bytes, str], Awaitable[None]] | None
    leaving: tuple[Leaving, ...] = ()

    async def export_my_data(self, call: Call, request: identity_pb2.ExportMyDataRequest) -> AsyncIterator[HttpBody]:
        """All that is known of the caller, as JSON in pieces."""
        async for piece in export.write(self._db, call.user.user_id, call.now):
            yield HttpBody(content_type="application/json", data=piece)

    async def erase_me(self, call: Call, request: identity_pb2.EraseMeRequest) -> identity_pb2.EraseMeResponse:
        """Close the caller's account for good, erase its content, and delete the user at Clerk; if Clerk is away, later. A
        repeat goes on with what is left.

        Raises FailedPrecondition: LAST_ADMIN, COURSES_WITH_STUDENTS.
        """
        user_id = call.user.user_id
        erase_time = await self._db.transact(lambda tx: self._close_account(tx, call))
        await self._erase_content(user_id)
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(CLERK_SECONDS):
                await self._delete_at_clerk(user_id, call.now)
        return identity_pb2.EraseMeResponse(
            user_id=to_text(user_id), pseudonym=pseudonym(user_id), erase_time=to_timestamp(erase_time)
        )

    async def finish_erasures(self, now: datetime, limit: int) -> int:
        """Erase what calls in flight wrote, or a process that ended left; returns how many accounts were looked at."""
        user_ids = await personal.unfinished(self._db, now - SETTLE, limit)
        for user_id in user_ids:
            await self._erase_content(user_id)
            await personal.finish(self._db, user_id, now)
        return len(user_ids)

    async def delete_at_clerk(self, now: datetime, limit: int) -> int:
        """Delete the users of erased accounts at Clerk where that has not worked yet; how many that were. Ends with the first
        failure, as the next are likely to fail too, and begins with the others the next time. Raises Unavailable."""
        user_ids = await personal.still_at_clerk(self._db, limit)
        for user_id in user_ids:
            await self._delete_at_clerk(user_id, now)
        return len(user_ids)

    async def refuse_late_news(self, tx: Transaction, row: UserRow) -> None:
        """Call this behind what Clerk's webhooks do to an account. Raises LateNews when it was made by that, for a Clerk
        user whose account was erased: only a new sign-up opens another."""
        if row.role == accounts.NO_ROLE and await personal.was_erased(tx, row.clerk_id):
            raise LateNews

    async def refuse_erased(self, tx: Transaction, clerk_id: str) -> None:
        """Raise Unauthenticated (ACCOUNT_ERASED) for a Clerk user who is about to be deleted there: a new sign-up is another."""
        if await personal.is_going(tx, clerk_id):
            raise Unauthenticated("ACCOUNT_ERASED", "This account was erased. Sign up again for a new one.")

    async def _close_account(self, tx: Transaction, call: Call) -> datetime:
        """From here on nobody can act as this account; the time of that."""
        user = call.user
        done = await personal.erasure(tx, user.user_id)
        if done is not None:
            call.audited = True  # by the call that closed it
            return done.start_time
        row = await queries.user_by_id(tx, user.user_id)
        if row is None:
            raise missing("user")
        if row.status != ACTIVE:
            raise NotAllowed("ACCOUNT_SUSPENDED", "This account is suspended. Ask an administrator.")
        changes: dict[str, object] = {}
        for leave in self.leaving:
            changes |= await leave(tx, user.user_id) or {}
        await self._replace(tx, row, call.now)
        await queries.insert_revoked_session(tx, user.session_id, user.user_id, call.now)
        before = {"role": identity_pb2.Role.Name(row.role), "status": identity_pb2.UserStatus.Name(row.status)}
        after = {"status": identity_pb2.UserStatus.Name(DELETED), **changes}
        await record(tx, call, "user", to_text(row.id), before, after)
        tx.after_commit(lambda: self._sessions.revoked(user.session_id))
        return call.now

    async def _replace(self, tx: Transaction, row: UserRow, now: datetime) -> None:
        try:
            closed = await accounts.set_standing(tx, row, row.role, DELETED, now)
        except Conflict as error:
            raise RetryScope("another transaction changed the account meanwhile") from error
        name = pseudonym(row.id)
        await personal.replace_identity(tx, row.id, nobody(row.id), name)
        if self.on_renamed:
            await self.on_renamed(tx, row.id, name)
        await personal.insert_erasure(tx, row.id, row.clerk_id, now)
        # The processes know the account by its id at Clerk.
        tx.after_commit(lambda: self._sessions.changed(closed))

    async def _delete_at_clerk(self, user_id: bytes, now: datetime) -> None:
        clerk_id = await personal.clerk_id_of(self._db, user_id)
        if clerk_id is not None:
            await personal.note_clerk_try(self._db, user_id, now)
            await self._clerk.delete(clerk_id)
            await personal.note_gone_at_clerk(self._db, user_id)

    async def _erase_content(self, user_id: bytes) -> None:
        """Batch by batch, each in a transaction of its own, so that it may end anywhere and be repeated."""
        name = pseudonym(user_id)
        await self._db.transact(lambda tx: personal.erase_certificates(tx, user_id, name))
        for eraser in personal.ERASERS:
            while await self._db.transact(lambda tx, eraser=eraser: personal.erase_content(tx, eraser, user_id)):  # type: ignore[misc]
                pass
