"""Settling the provider's events, many at a time: those that arrive while others are settled share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.analytics import rollups
from core.analytics.rules import Entry, Tally
from core.db import Database, DuplicateKey, Transaction
from core.db.errors import RetryScope
from core.enrollments.rules import PAYMENT, Grant
from core.enrollments.service import EnrollmentsService
from core.errors import InvalidArgument
from core.ids import to_text
from core.outbox import Outbox
from core.payments import messages, queries
from core.payments.events import PaymentEvent
from core.payments.queries import EventRow, PaymentRow
from core.payments.rules import Outcome, State, apply_event, entitles, money
from core.times import Clock

BATCH_SECONDS = 8.0
UPDATED = "payment.updated"

# A refused event, or None for one that is settled, was before, or changes nothing.
Result = InvalidArgument | None


@dataclass(slots=True)
class Plan:
    """What a batch of events comes to: what each is answered, what to remember, and the states payments end in."""

    results: list[Result] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    states: dict[bytes, State] = field(default_factory=dict)


class Settlement:
    """Applies events to payments, together with the access they give or take."""

    def __init__(self, db: Database, enrollments: EnrollmentsService, outbox: Outbox, clock: Clock) -> None:
        self._db = db
        self._enrollments = enrollments
        self._outbox = outbox
        self._clock = clock

    async def run(self, events: list[PaymentEvent]) -> list[Result]:
        """Settle a batch in one transaction; each event has its own result."""
        async with asyncio.timeout(BATCH_SECONDS):
            return await self._db.transact(lambda tx: self._settle(tx, events))

    async def _settle(self, tx: Transaction, events: Sequence[PaymentEvent]) -> list[Result]:
        now = self._clock()
        payments = await queries.lock_payments(tx, sorted({event.payment_id for event in events}))
        plan = make_plan(events, payments, frozenset())
        if plan.events:
            try:
                await queries.insert_events(tx, plan.events, now)
            except DuplicateKey:
                plan = await self._insert_unknown(tx, events, payments, now)
        await self._move(tx, payments, plan.states, now)
        return plan.results

    async def _insert_unknown(
        self, tx: Transaction, events: Sequence[PaymentEvent], payments: dict[bytes, PaymentRow], now: datetime
    ) -> Plan:
        """Some of the events were settled before: leave them out."""
        keys = [(row.provider, event.event_id) for event in events if (row := payments.get(event.payment_id))]
        plan = make_plan(events, payments, await queries.known_events(tx, keys))
        if plan.events:
            try:
                await queries.insert_events(tx, plan.events, now)
            except DuplicateKey as error:
                raise RetryScope("another transaction settled the event meanwhile") from error
        return plan

    async def _move(self, tx: Transaction, payments: dict[bytes, PaymentRow], states: dict[bytes, State], now: datetime) -> None:
        moves: dict[tuple[State, State], list[bytes]] = {}
        for payment_id, state in sorted(states.items()):
            if payments[payment_id].state != state:
                moves.setdefault((payments[payment_id].state, state), []).append(payment_id)
        for (before, after), payment_ids in moves.items():
            if await queries.move(tx, payment_ids, before, after, now) != len(payment_ids):
                raise RetryScope("another transaction moved the payment meanwhile")
        changed = [(payments[payment_id], after) for (_, after), ids in moves.items() for payment_id in ids]
        if not changed:
            return
        tally = Tally()
        for row, after in changed:
            note_money(tally, row, after, now)
        await self._change_access(tx, changed, now, tally)
        await self._announce(tx, changed, now)
        await rollups.write(tx, tally, now)

    async def _announce(self, tx: Transaction, changed: Iterable[tuple[PaymentRow, State]], now: datetime) -> None:
        news = []
        for row, after in changed:
            moved = row._replace(status=after.status, refunded_minor=after.refunded_minor, update_time=now)
            news.append((row.student_id, UPDATED, messages.payment(moved, now)))
        await self._outbox.add_many(tx, news)

    async def _change_access(
        self, tx: Transaction, changed: Iterable[tuple[PaymentRow, State]], now: datetime, tally: Tally
    ) -> None:
        """Give the access that was paid for, take the access that was refunded."""
        grants = []
        for row, after in changed:
            grant = Grant(row.student_id, row.course_id, PAYMENT, row.payment_id)
            if entitles(after.status) and not entitles(row.status):
                grants.append(grant)
            elif entitles(row.status) and not entitles(after.status):
                await self._enrollments.revoke_one(tx, grant, now, tally)
        await self._enrollments.grant_many(tx, grants, now, tally)


def note_money(tally: Tally, row: PaymentRow, after: State, now: datetime) -> None:
    """Count the money that came in and went back when a payment changed; what was refunded before it came in, too."""
    paid_before, refunded_before = money(row.amount_minor, row.state)
    paid, refunded = money(row.amount_minor, after)
    if (paid, refunded) != (paid_before, refunded_before):
        change = (paid - paid_before, refunded - refunded_before)
        tally.earned(Entry(row.payment_id, after.refunded_minor, row.course_id, row.currency, *change), now)


def make_plan(
    events: Iterable[PaymentEvent], payments: dict[bytes, PaymentRow], known: frozenset[tuple[str, str]] | set[tuple[str, str]]
) -> Plan:
    """Decide a batch in its order; `known` are the events (provider, id) settled before. Refused events are not
    remembered, so that a corrected one with the same id can come."""
    plan = Plan()
    seen = set(known)
    for event in events:
        row = payments.get(event.payment_id)
        if row is None:
            plan.results.append(_unknown(event))
            continue
        key = (row.provider, event.event_id)
        if key in seen:
            plan.results.append(None)
            continue
        state = plan.states.get(row.payment_id, row.state)
        step = apply_event(row.due, state, event.kind, event.amount_minor, event.currency)
        if step.outcome is Outcome.MISMATCH:
            plan.results.append(_mismatch(event))
            continue
        seen.add(key)
        plan.states[row.payment_id] = step.state
        plan.events.append(EventRow(row.provider, event, step.outcome))
        plan.results.append(None)
    return plan


def _unknown(event: PaymentEvent) -> InvalidArgument:
    return InvalidArgument("PAYMENT_UNKNOWN", f"There is no payment {to_text(event.payment_id)} here.")


def _mismatch(event: PaymentEvent) -> InvalidArgument:
    return InvalidArgument(
        "PAYMENT_MISMATCH", f"Amount or currency are not those of the payment {to_text(event.payment_id)}; nothing was changed."
    )
