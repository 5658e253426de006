"""Comparing all payments with the access they give and with their providers, page by page, while everything runs.

Every page is read in one snapshot, and what is mended is looked at again under its lock: what others change meanwhile is
never taken for wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from core.analytics import rollups
from core.analytics.rules import Tally
from core.db import Database, Transaction
from core.enrollments.rules import PAYMENT, Grant, Pair
from core.enrollments.service import EnrollmentsService
from core.errors import missing
from core.ids import new_id, to_text
from core.payments.events import PaymentEvent
from core.payments.opening import PROVIDER_SECONDS
from core.payments.providers import ProviderPayment, Providers, ProviderUnavailable
from core.payments.reconciliation import queries
from core.payments.reconciliation.queries import Audited, Held
from core.payments.reconciliation.rules import OPEN, Finding, Problem, compare, ledger_fault
from core.payments.rules import EventType, entitles
from core.payments.service import PaymentsService
from core.times import Clock

_PAGE = 500
# Lookups at once, and how many may fail before the providers are asked no more.
_AT_ONCE = 8
_MAX_FAILURES = 10
_REFUNDS_A_ROUND = 200
_EVENTS = {Problem.MISSED_SUCCESS: EventType.SUCCEEDED, Problem.MISSED_FAILURE: EventType.FAILED}


class Reconciliation:
    """Finds what is wrong, and mends it unless `dry_run`. `progress` is told of the rows done, `found` of each finding."""

    def __init__(
        self,
        db: Database,
        enrollments: EnrollmentsService,
        payments: PaymentsService,
        providers: Providers,
        clock: Clock,
        *,
        dry_run: bool,
        found: Callable[[Finding], None],
        progress: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._db = db
        self._enrollments = enrollments
        self._payments = payments
        self._providers = providers
        self._clock = clock
        self._dry_run = dry_run
        self._found = found
        self._progress = progress
        self._failures = 0

    async def total(self) -> int:
        """How much `progress` will be told of in all, about."""
        return await queries.totals(self._db)

    async def run(self, since: datetime) -> None:
        """Compare everything; payments opened `since` with their providers too. Raises Unavailable."""
        if not self._dry_run:
            await self._payments.complete_refunds(self._clock(), _REFUNDS_A_ROUND)
        await self._open_refunds()
        await self._all_payments(since)
        await self._all_entitlements()
        await self._all_enrollments()

    async def payment(self, payment_id: bytes) -> None:
        """Compare one payment with its access and its provider. Raises NotFound, Unavailable."""
        row = await self._db.transact(lambda tx: queries.payment(tx, payment_id))
        if row is None:
            raise missing("payment")
        await self._check_access(row)
        await self._ask_about([row])

    async def _open_refunds(self) -> None:
        after = b""
        while rows := await queries.open_refunds(self._db, after, _PAGE):
            for refund_id, payment_id, student_id, course_id in rows:
                self._found(Finding(Problem.REFUND_OPEN, payment_id, student_id, course_id, f"refund {to_text(refund_id)}"))
            after = rows[-1][0]

    async def _all_payments(self, since: datetime) -> None:
        after = b""
        while rows := await self._db.transact(lambda tx, after=after: queries.payments(tx, after, _PAGE)):  # type: ignore[misc]
            for row in rows:
                await self._check_access(row)
            await self._ask_about([row for row in rows if row.create_time >= since])
            after = rows[-1].payment_id
            self._progress(len(rows))

    async def _check_access(self, row: Audited) -> None:
        fault = ledger_fault(row.due, row.state, row.charged_minor, row.returned_minor)
        if fault:
            self._found(_about(row, Problem.LEDGER_DIFFERS, fault))
        if entitles(row.state.status) and not row.entitled:
            grant = Grant(row.student_id, row.course_id, PAYMENT, row.payment_id)
            await self._mend(_about(row, Problem.PAID_NOT_ENTITLED), lambda tx: self._entitle(tx, grant))

    async def _ask_about(self, rows: Sequence[Audited]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(row: Audited) -> None:
            async with gate:
                if self._failures < _MAX_FAILURES:
                    await self._compare(row)

        await asyncio.gather(*(ask(row) for row in rows))

    async def _compare(self, row: Audited) -> None:
        provider = self._providers.named(row.provider)
        if provider is None:
            return  # nobody to ask, or nothing was to be paid
        try:
            async with asyncio.timeout(PROVIDER_SECONDS):
                said = await provider.find(to_text(row.payment_id), row.reference)
        except (ProviderUnavailable, TimeoutError) as error:
            self._failures += 1
            self._found(_about(row, Problem.NO_ANSWER, str(error) or type(error).__name__))
            return
        fresh = await queries.payment(self._db, row.payment_id)
        if fresh is None or fresh.state != row.state:
            return  # it is being settled right now
        for problem, detail in compare(row.due, row.state, said):
            await self._settle(_about(row, problem, detail), row, said)

    async def _settle(self, finding: Finding, row: Audited, said: ProviderPayment | None) -> None:
        """Do what the event that was missed would have done."""
        if self._dry_run or finding.problem in OPEN:
            self._found(finding)
            return
        if finding.problem is Problem.MISSED_EXPIRY:
            done = await self._payments.expire(row.payment_id)
        else:
            amount, kind = row.due.amount_minor, _EVENTS.get(finding.problem, EventType.REFUNDS_FOUND)
            if kind is EventType.REFUNDS_FOUND and said is not None:
                amount = said.refunded_minor
            event = PaymentEvent(
                row.provider, f"found.{to_text(new_id())}", kind, self._clock(), row.payment_id, amount, row.due.currency
            )
            done = await self._payments.settle(event) is None
        self._found(finding._replace(mended=done))

    async def _all_entitlements(self) -> None:
        after: Grant | None = Grant(b"", b"", "", b"")
        while after is not None:
            held, after = await queries.entitlements(self._db, after, _PAGE)
            for item in held:
                await self._check_entitlement(item)
            self._progress(_PAGE if after else 0)

    async def _check_entitlement(self, item: Held) -> None:
        grant = item.grant
        payment_id = grant.source_id if grant.source_kind == PAYMENT else b""
        if not item.paid:
            finding = Finding(Problem.ENTITLED_NOT_PAID, payment_id, *grant.pair)
            await self._mend(finding, lambda tx: self._disentitle(tx, grant))
        else:
            finding = Finding(Problem.ENTITLED_NOT_ENROLLED, payment_id, *grant.pair, f"by a {grant.source_kind}")
            await self._mend(finding, lambda tx: self._entitle(tx, grant))

    async def _all_enrollments(self) -> None:
        after: Pair | None = (b"", b"")
        while after is not None:
            pairs, after = await queries.enrollments(self._db, after, _PAGE)
            for pair in pairs:
                finding = Finding(Problem.ENROLLED_NOT_ENTITLED, b"", *pair)
                await self._mend(finding, lambda tx, pair=pair: self._close(tx, pair))  # type: ignore[misc]
            self._progress(_PAGE if after else 0)

    async def _mend(self, finding: Finding, work: Callable[[Transaction], Awaitable[bool]]) -> None:
        """Mend in a transaction that looks again; what is right by now was never wrong."""
        if self._dry_run:
            self._found(finding)
        elif await self._db.transact(work):
            self._found(finding._replace(mended=True))

    async def _entitle(self, tx: Transaction, grant: Grant) -> bool:
        """Whether the grant still gives access, which it has again now."""
        if grant.source_kind == PAYMENT:
            status = await queries.status_held(tx, grant.source_id)
            if status is None or not entitles(status):
                return False
        await self._enrollments.grant_many(tx, [grant], self._clock())
        return True

    async def _disentitle(self, tx: Transaction, grant: Grant) -> bool:
        """Whether the payment still gives no access, which it has ended now."""
        status = await queries.status_held(tx, grant.source_id)
        if status is not None and entitles(status):
            return False
        now, tally = self._clock(), Tally()
        await self._enrollments.revoke_one(tx, grant, now, tally)
        await rollups.write(tx, tally, now)
        return True

    async def _close(self, tx: Transaction, pair: Pair) -> bool:
        now, tally = self._clock(), Tally()
        closed = await self._enrollments.close_unentitled(tx, pair, tally)
        await rollups.write(tx, tally, now)
        return closed


def _about(row: Audited, problem: Problem, detail: str = "") -> Finding:
    return Finding(problem, row.payment_id, row.student_id, row.course_id, detail)
