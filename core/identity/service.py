"""The use cases of `skillforge.v1.IdentityService`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import orjson
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from core.audit.record import Change, record, record_change
from core.call import Call, Claims
from core.db import Database, Transaction
from core.errors import Conflict, FailedPrecondition, InvalidArgument, NotAllowed, NotFound, Unauthenticated, Unavailable, missing
from core.identity import accounts, queries
from core.identity.accounts import ACTIVE, DELETED, NO_ROLE
from core.identity.clerk import Clerk, Profile, read_profile, read_user_id
from core.identity.personal.service import LateNews, PersonalData
from core.identity.queries import UserRow
from core.identity.rules import SELF_ASSIGNABLE, first_role
from core.identity.sessions import Sessions
from core.identity.svix import check_signature
from core.ids import to_bytes, to_text
from core.pages import Pages
from core.times import to_timestamp, to_unix
from skillforge.v1 import identity_pb2

_Read = TypeVar("_Read")

# No session lives longer, and so no token of it: Clerk ends them after 7 days unless it is told otherwise.
SESSION_LIFETIME = timedelta(days=30)


class IdentityService(PersonalData):
    """Accounts and sessions. `webhook_key` is the Svix key of Clerk's webhooks, None when they are not configured."""

    def __init__(self, db: Database, sessions: Sessions, clerk: Clerk, pages: Pages, *, webhook_key: bytes | None) -> None:
        self._db = db
        self._sessions = sessions
        self._clerk = clerk
        self._pages = pages
        self._webhook_key = webhook_key
        # Told of the name of every account whose profile changed, in the transaction that changes it.
        self.on_renamed: Callable[[Transaction, bytes, str], Awaitable[None]] | None = None
        # Told of every account that is not active any more.
        self.on_barred: Callable[[bytes], Awaitable[None]] | None = None

    async def sync_user(self, call: Call, request: identity_pb2.SyncUserRequest) -> identity_pb2.User:
        """Create the caller's account (201) or refresh it from Clerk (200)."""
        claims = call.claims
        if claims is None:
            raise Unauthenticated("TOKEN_MISSING", "Sign in: send `Authorization: Bearer <token>`.")
        known = await queries.user_by_clerk_id(self._db, claims.subject)
        first = known is None or known.role == NO_ROLE
        role = first_role(claims.role, request.requested_role) if first else NO_ROLE
        profile = await self._profile(claims.subject, known)

        async def work(tx: Transaction) -> tuple[UserRow, bool]:
            row, changed = await accounts.store_profile(tx, profile, call.now)
            await _refuse_ended(tx, claims, known, row)
            if known is None:
                await self.refuse_erased(tx, claims.subject)
            if changed and self.on_renamed:
                await self.on_renamed(tx, row.id, row.display_name)
            if row.status != ACTIVE:
                raise NotAllowed("ACCOUNT_SUSPENDED", "This account is suspended. Ask an administrator.")
            created = False
            if first:
                row, created = await accounts.choose_first_role(tx, row, role, call.now)
                if created and role not in SELF_ASSIGNABLE:
                    # Nobody was signed in when the call began: the new account itself is the actor.
                    change = Change(call.method.audit, "user", to_text(row.id), {}, _standing(row))
                    await record_change(tx, change, row.id, call.request_id, call.now)
            call.audited = True  # what else there is to a login changes nothing that anybody decides
            if changed or created:
                self._announce(tx, row)
            return row, created

        row, created = await self._db.transact(work)
        if not created:
            call.answer_with(200)
        return user_message(row)

    async def get_me(self, call: Call, request: identity_pb2.GetMeRequest) -> identity_pb2.User:
        """The caller's account."""
        return user_message(await self._require(call.user.user_id))

    async def sign_out(self, call: Call, request: identity_pb2.SignOutRequest) -> Empty:
        """Revoke the token's session."""
        user = call.user

        async def work(tx: Transaction) -> None:
            await queries.insert_revoked_session(tx, user.session_id, user.user_id, call.now)
            await record(tx, call, "session", user.session_id[:64])
            tx.after_commit(lambda: self._sessions.revoked(user.session_id))

        await self._db.transact(work)
        return Empty()

    async def receive_clerk_webhook(self, call: Call, request: HttpBody) -> identity_pb2.ReceiveClerkWebhookResponse:
        """Apply one of Clerk's user events; anything else, a repeat and an older one change nothing."""
        if self._webhook_key is None:
            raise FailedPrecondition("SIGNATURE_INVALID", "Webhooks are not configured: set CLERK_WEBHOOK_SIGNING_SECRET.")
        headers = call.metadata
        check_signature(
            self._webhook_key, headers.get("svix-id", ""), headers.get("svix-timestamp", ""),
            headers.get("svix-signature", ""), request.data, to_unix(call.now),
        )  # fmt: skip
        kind, data = _event(request.data)
        if kind in ("user.created", "user.updated"):
            await self._apply_profile(call, _read(read_profile, data))
        elif kind == "user.deleted":
            await self._apply_deletion(call, _read(read_user_id, data.get("id")))
        return identity_pb2.ReceiveClerkWebhookResponse(received=True)

    async def list_users(self, call: Call, request: identity_pb2.ListUsersRequest) -> identity_pb2.ListUsersResponse:
        """Accounts, newest first."""
        page = self._pages.open(call, request, (request.role, request.status, request.query))
        before = bytes.fromhex(str(page.after[0])) if page.after else None
        found = await queries.list_users(self._db, request.role, request.status, request.query, before, page.size + 1)
        kept, token = page.close(found.rows, lambda row: (row.id.hex(),))
        if found.reached and not token:
            token = page.token((found.reached.hex(),))
        return identity_pb2.ListUsersResponse(users=[user_message(row) for row in kept], next_page_token=token)

    async def get_user(self, call: Call, request: identity_pb2.GetUserRequest) -> identity_pb2.User:
        """One account."""
        return user_message(await self._require(to_bytes(request.user_id)))

    async def update_user(self, call: Call, request: identity_pb2.UpdateUserRequest) -> identity_pb2.User:
        """Change an account's role or status."""

        async def work(tx: Transaction) -> UserRow:
            before = await queries.user_by_id(tx, to_bytes(request.user_id))
            if before is None:
                raise missing("user")
            if before.status == DELETED:
                raise Conflict("CONFLICT", "The account is deleted. It stays as it is.")
            after = await accounts.set_standing(
                tx, before, request.role or before.role, request.status or before.status, call.now
            )
            await record(tx, call, "user", to_text(before.id), _standing(before), _standing(after))
            self._announce(tx, after)
            return after

        return user_message(await self._db.transact(work))

    async def grant_role(self, email: str, role: identity_pb2.Role.ValueType, now: datetime) -> identity_pb2.User:
        """Give the one account with this address a role, as the command line does. Raises NotFound and Conflict."""

        async def work(tx: Transaction) -> UserRow:
            rows = await queries.users_by_email(tx, email)
            if not rows:
                raise NotFound("NOT_FOUND", f"No account has the address {email}. Its owner must sign in once first.")
            if len(rows) > 1:
                raise Conflict(
                    "CONFLICT", f"{len(rows)} accounts have the address {email}; change the role with PATCH /users/<id>."
                )
            after = await accounts.set_standing(tx, rows[0], role, rows[0].status, now)
            change = Change("user.update", "user", to_text(after.id), _standing(rows[0]), _standing(after))
            await record_change(tx, change, None, "command line", now)
            self._announce(tx, after)
            return after

        return user_message(await self._db.transact(work))

    async def drop_sign_outs(self, now: datetime, limit: int) -> int:
        """Forget up to `limit` sign-outs of sessions that nobody can have a token of any more; how many there were."""
        return await queries.drop_revoked_sessions(self._db, now - SESSION_LIFETIME, limit)

    async def _require(self, user_id: bytes) -> UserRow:
        row = await queries.user_by_id(self._db, user_id)
        if row is None:
            raise missing("user")
        return row

    async def _profile(self, clerk_id: str, known: UserRow | None) -> Profile:
        """The profile at Clerk, or, while Clerk is away, the one of the account that exists already."""
        try:
            profile = await self._clerk.profile(clerk_id)
        except Unavailable:
            if known is None:
                raise
            return Profile(known.clerk_id, known.email, known.display_name, known.image_url, known.profile_version)
        if profile is None:
            raise Unauthenticated("TOKEN_INVALID", "Clerk knows no such user.")
        return profile

    async def _apply_profile(self, call: Call, profile: Profile) -> None:
        async def work(tx: Transaction) -> None:
            row, changed = await accounts.store_profile(tx, profile, call.now)
            await self.refuse_late_news(tx, row)
            if changed:
                self._announce(tx, row)
                if self.on_renamed:
                    await self.on_renamed(tx, row.id, row.display_name)

        with suppress(LateNews):
            await self._db.transact(work)

    async def _apply_deletion(self, call: Call, clerk_id: str) -> None:
        async def work(tx: Transaction) -> None:
            row = await accounts.delete(tx, clerk_id, call.now)
            if row is not None:
                await self.refuse_late_news(tx, row)
                change = Change("user.delete", "user", to_text(row.id), {}, {"status": _standing(row)["status"]})
                await record_change(tx, change, None, call.request_id, call.now)
                self._announce(tx, row)

        with suppress(LateNews):
            await self._db.transact(work)

    def _announce(self, tx: Transaction, row: UserRow) -> None:
        tx.after_commit(lambda: self._sessions.changed(row))
        if row.status != identity_pb2.USER_STATUS_ACTIVE and self.on_barred is not None:
            tx.after_commit(partial(self.on_barred, row.id))


def user_message(row: UserRow) -> identity_pb2.User:
    """An account as the contract shows it."""
    return identity_pb2.User(
        id=to_text(row.id), clerk_id=row.clerk_id, email=row.email, display_name=row.display_name, image_url=row.image_url,
        role=row.role, status=row.status, create_time=to_timestamp(row.create_time), update_time=to_timestamp(row.update_time),
    )  # fmt: skip


async def _refuse_ended(tx: Transaction, claims: Claims, known: UserRow | None, row: UserRow) -> None:
    """Refuse a login that an erasure or a sign-out overtook, so that what was erased is not made anew."""
    if known is not None and known.id != row.id:
        raise Conflict("CONFLICT", "The account was erased meanwhile. Sign in again for a new one.")
    if known is None and await queries.session_revoked(tx, claims.session_id):
        raise Unauthenticated("SESSION_REVOKED", "This session was signed out. Sign in again.")


def _standing(row: UserRow) -> dict[str, str]:
    return {"role": identity_pb2.Role.Name(row.role), "status": identity_pb2.UserStatus.Name(row.status)}


def _event(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        event = orjson.loads(body)
        kind, data = event["type"], event["data"]
    except (ValueError, KeyError, TypeError):
        kind = data = None
    if not (isinstance(kind, str) and isinstance(data, dict)):
        raise InvalidArgument("INVALID_ARGUMENT", "The event must be a JSON object with `type` and `data`.")
    return kind, data


def _read(read: Callable[[Any], _Read], data: object) -> _Read:
    """What `read` makes of an event's data."""
    try:
        return read(data)
    except ValueError as error:
        raise InvalidArgument("INVALID_ARGUMENT", "The event's `data` is not a Clerk user.") from error
