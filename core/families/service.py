"""Linking parents to students, and what linked parents read."""

from __future__ import annotations

from typing import NoReturn

from google.protobuf.empty_pb2 import Empty

from contract.errors import Violation
from core.audit.record import record
from core.call import Call
from core.certificates.service import CertificatesService
from core.db import Database, DuplicateKey, Transaction
from core.db.errors import RetryScope
from core.errors import FailedPrecondition, InvalidArgument, missing
from core.families import messages, queries, rules
from core.families.queries import LinkRow
from core.ids import to_bytes, to_text
from core.pages import Pages, time_key
from core.progress.service import ProgressService
from core.quizzes.service import QuizzesService
from core.times import to_timestamp
from skillforge.v1 import families_pb2


class FamiliesService:
    """Implements skillforge.v1.FamiliesService. `secret` is the key of the codes' hashes, the same in every process."""

    def __init__(
        self,
        db: Database,
        progress: ProgressService,
        certificates: CertificatesService,
        quizzes: QuizzesService,
        pages: Pages,
        secret: bytes,
    ) -> None:
        self._db = db
        self._progress = progress
        self._certificates = certificates
        self._quizzes = quizzes
        self._pages = pages
        self._secret = secret

    # Linking and unlinking.

    async def create_link_code(self, call: Call, request: families_pb2.CreateLinkCodeRequest) -> families_pb2.LinkCode:
        """A code that links one parent to the caller; the one before is worth nothing any more."""
        child_id, expire_time = call.user.user_id, call.now + rules.CODE_LIFETIME

        async def work(tx: Transaction) -> str:
            code = rules.new_code()
            try:
                if not await queries.replace_code(tx, child_id, self._hash(code), expire_time):
                    await queries.insert_code(tx, child_id, self._hash(code), expire_time)
            except DuplicateKey as error:
                raise RetryScope("another call made the student's first code, or the same one for somebody else") from error
            await record(tx, call, "family", to_text(child_id), after={"expireTime": expire_time})
            return code

        return families_pb2.LinkCode(code=await self._db.transact(work), expire_time=to_timestamp(expire_time))

    async def link_child(self, call: Call, request: families_pb2.LinkChildRequest) -> families_pb2.FamilyLink:
        """Link the caller to the student whose code it is. Raises InvalidArgument (LINK_CODE_INVALID), FailedPrecondition
        (LIMIT_REACHED; the code stays valid)."""
        row, created = await self._db.transact(lambda tx: self._link(tx, call, self._hash(request.code)))
        if not created:
            call.answer_with(200)
        return messages.link(row)

    async def unlink_child(self, call: Call, request: families_pb2.UnlinkChildRequest) -> Empty:
        """End the caller's link to a child. Raises NotFound."""
        return await self._unlink(call, call.user.user_id, to_bytes(request.child_id), "child")

    async def unlink_parent(self, call: Call, request: families_pb2.UnlinkParentRequest) -> Empty:
        """End the caller's link to a parent. Raises NotFound."""
        return await self._unlink(call, to_bytes(request.parent_id), call.user.user_id, "parent")

    async def list_children(self, call: Call, request: families_pb2.ListChildrenRequest) -> families_pb2.ListChildrenResponse:
        """The caller's children, the latest linked first."""
        page = self._pages.open(call, request)
        rows = await queries.children(self._db, call.user.user_id, page.after_time, page.size + 1)
        kept, token = page.close(rows, lambda row: time_key(row.create_time, row.child_id))
        return families_pb2.ListChildrenResponse(children=[messages.link(row) for row in kept], next_page_token=token)

    async def list_parents(self, call: Call, request: families_pb2.ListParentsRequest) -> families_pb2.ListParentsResponse:
        """The caller's parents, the latest linked first."""
        page = self._pages.open(call, request)
        rows = await queries.parents(self._db, call.user.user_id, page.after_time, page.size + 1)
        kept, token = page.close(rows, lambda row: time_key(row.create_time, row.parent_id))
        return families_pb2.ListParentsResponse(parents=[messages.link(row) for row in kept], next_page_token=token)

    # What a parent reads. The features' statements look at the link; where they find nothing, it remains to tell
    # an empty list from a child that is not the caller's.

    async def list_child_progress(
        self, call: Call, request: families_pb2.ListChildProgressRequest
    ) -> families_pb2.ListChildProgressResponse:
        """A child's courses in short, the latest enrolled first. Raises NotFound."""
        child_id, page = to_bytes(request.child_id), self._pages.open(call, request, scope=(request.child_id.lower(),))
        courses, token = await self._progress.courses_of_child(call.user.user_id, child_id, page)
        if not courses:
            await self._require_link(call, child_id)
        return families_pb2.ListChildProgressResponse(courses=courses, next_page_token=token)

    async def list_child_certificates(
        self, call: Call, request: families_pb2.ListChildCertificatesRequest
    ) -> families_pb2.ListChildCertificatesResponse:
        """A child's certificates, newest first. Raises NotFound."""
        child_id, page = to_bytes(request.child_id), self._pages.open(call, request, scope=(request.child_id.lower(),))
        certificates, token = await self._certificates.of_child(call.user.user_id, child_id, page)
        if not certificates:
            await self._require_link(call, child_id)
        return families_pb2.ListChildCertificatesResponse(certificates=certificates, next_page_token=token)

    async def list_child_attempts(
        self, call: Call, request: families_pb2.ListChildAttemptsRequest
    ) -> families_pb2.ListChildAttemptsResponse:
        """A child's attempts, newest first; overdue ones are graded first. Raises NotFound."""
        child_id, page = to_bytes(request.child_id), self._pages.open(call, request, scope=(request.child_id.lower(),))
        attempts, token = await self._quizzes.attempts_of_child(call.user.user_id, child_id, page, call.now)
        if not attempts:
            await self._require_link(call, child_id)
        return families_pb2.ListChildAttemptsResponse(attempts=attempts, next_page_token=token)

    # What other features do with families.

    async def forget(self, tx: Transaction, user_id: bytes) -> None:
        """End every link of an account, and its code, as when it is erased."""
        await queries.forget(tx, user_id)

    def _hash(self, code: str) -> bytes:
        """The hash of a code somebody typed. What is no code at all gets one that no code has, to be refused alike."""
        return rules.code_hash(self._secret, rules.read_code(code) or "")

    async def _link(self, tx: Transaction, call: Call, code_hash: bytes) -> tuple[LinkRow, bool]:
        """The link, and whether it is new."""
        parent_id = call.user.user_id
        child_id = await queries.child_of_code(tx, code_hash, call.now)
        if child_id is None or not await queries.lock_accounts(tx, parent_id, child_id):
            _refuse_code()
        present = await queries.link(tx, parent_id, child_id)
        if present is not None:
            call.audited = True  # nothing changes, so there is nothing to record
            return present, False
        if not await queries.use_code(tx, code_hash, call.now):
            _refuse_code()
        child_slot = rules.free_slot(await queries.taken_child_slots(tx, parent_id), rules.MAX_CHILDREN)
        parent_slot = rules.free_slot(await queries.taken_parent_slots(tx, child_id), rules.MAX_PARENTS)
        if child_slot is None:
            raise FailedPrecondition("LIMIT_REACHED", f"A parent has at most {rules.MAX_CHILDREN} children.")
        if parent_slot is None:
            raise FailedPrecondition("LIMIT_REACHED", f"A student has at most {rules.MAX_PARENTS} parents.")
        try:
            await queries.insert_link(tx, parent_id, child_id, child_slot, parent_slot, call.now)
        except DuplicateKey as error:
            raise RetryScope("another call linked one of the two meanwhile") from error
        await record(tx, call, "family", to_text(child_id), after={"parentId": to_text(parent_id)})
        row = await queries.link(tx, parent_id, child_id)
        assert row is not None  # just inserted
        return row, True

    async def _unlink(self, call: Call, parent_id: bytes, child_id: bytes, other: str) -> Empty:
        async def work(tx: Transaction) -> Empty:
            if not await queries.delete_link(tx, parent_id, child_id):
                raise missing(other)
            await record(tx, call, "family", to_text(child_id), before={"parentId": to_text(parent_id)})
            return Empty()

        return await self._db.transact(work)

    async def _require_link(self, call: Call, child_id: bytes) -> None:
        if not await queries.is_linked(self._db, call.user.user_id, child_id):
            raise missing("child")


def _refuse_code() -> NoReturn:
    raise InvalidArgument(
        "LINK_CODE_INVALID",
        "The code is wrong, used, or older than 15 minutes. Ask your child for a new one.",
        violations=[Violation("code", "link_code", "must be a code that is valid now")],
    )
