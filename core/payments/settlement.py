"""Settling the provider's events, many at a time: those that arrive while others are settled share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as Known
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import NamedTuple

from core.analytics import rollups
from core.analytics.rules import Money, Tally
from core.db import Database, Transaction
from core.enrollments.rules import PAYMENT, Grant, Pair, Sight
from core.enrollments.service import EnrollmentsService
from core.errors import InvalidArgument
from core.ids import new_id, to_text
from core.outbox import News, Outbox
from core.payments import messages, queries
from core.payments.coupons import uses
from core.payments.coupons.uses import Use
from core.payments.events import PaymentEvent
from core.payments.queries import Entry, EventRow, PaymentRow
from core.payments.rules import (
    NO_REFUND,
    EntryKind,
    EventType,
    Happening,
    Outcome,
    RefundState,
    State,
    Step,
    apply_event,
    entitles,
    holds_coupon,
    is_paid,
)
from core.times import Clock

BATCH_SECONDS = 8.0
UPDATED = "payment.updated"

# A refused event, or None for one that is settled, was before, or changes nothing.
Result = InvalidArgument | None
# Refunds by payment and their id.
Refunds = Mapping[tuple[bytes, bytes], RefundState]


class Change(NamedTuple):
    """A payment as it was, and the state it is in now."""

    row: PaymentRow
    after: State

    @property
    def pays(self) -> bool:
        return is_paid(self.after.status) and not is_paid(self.row.status)


@dataclass(slots=True)
class Plan:
    """What a batch of events comes to: what each is answered, what to remember, the states payments end in, and what is
    added to the ledger (payment, refund, kind, amount)."""

    results: list[Result] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    states: dict[bytes, State] = field(default_factory=dict)
    entries: list[tuple[bytes, bytes, EntryKind, int]] = field(default_factory=list)


class Settlement:
    """Applies events to payments, together with the access they give or take."""

    def __init__(self, db: Database, enrollments: EnrollmentsService, outbox: Outbox, clock: Clock) -> None:
        self._db = db
        self._enrollments = enrollments
        self._outbox = outbox
        self._clock = clock

    async def run(self, events: list[PaymentEvent]) -> list[Result]:
        """Settle a batch in one transaction; each event has its own result."""
        tries = count()
        async with asyncio.timeout(BATCH_SECONDS):
            # Events are taken for new at first: whether they are, their key says.
            return await self._db.transact(lambda tx: self._settle(tx, events, look=next(tries) > 0))

    async def write(
        self,
        tx: Transaction,
        changes: Sequence[Change],
        entries: Sequence[Entry],
        now: datetime,
        *,
        silent: bool = False,
        sights: Mapping[Pair, Sight] | None = None,
    ) -> None:
        """Bring payments, which the transaction has locked, into their new states, with all that belongs to that: ledger,
        coupons, access, numbers, and the news of it unless `silent`."""
        moves: dict[tuple[State, State], list[Change]] = {}
        for change in changes:
            moves.setdefault((change.row.state, change.after), []).append(change)
        for (before, after), group in moves.items():
            queries.move(tx, [change.row.payment_id for change in group], before, after, now, pays=group[0].pays)
        _write_entries(tx, entries)
        await _change_uses(tx, changes)
        tally = Tally()
        for entry in entries:
            note_money(tally, entry)
        news: list[News] = []
        await self._change_access(tx, changes, now, tally, news, sights)
        if not silent:
            news += await _news(tx, changes, now)
        await self._outbox.add_many(tx, news)
        await rollups.write(tx, tally, now)

    async def _settle(self, tx: Transaction, events: Sequence[PaymentEvent], *, look: bool) -> list[Result]:
        """Settle events; `look`: find out first which were settled before."""
        now = self._clock()
        payments, sights = await queries.lock_payments(tx, sorted({event.payment_id for event in events}))
        refunds = await _named_refunds(tx, events)
        plan = make_plan(events, payments, refunds, frozenset())
        # What was settled before may look as if it did not fit, and mostly changes nothing.
        if look or any(plan.results) or any(row.outcome is Outcome.IGNORED for row in plan.events):
            plan = make_plan(events, payments, refunds, await queries.known_events(tx, _keys(events)))
        if plan.events:
            queries.insert_events(tx, plan.events, now)
        changed = [
            Change(payments[payment_id], state)
            for payment_id, state in sorted(plan.states.items())
            if payments[payment_id].state != state
        ]
        entries = [
            Entry(payment_id, refund_id, kind, payments[payment_id].course_id, amount, payments[payment_id].currency, now)
            for payment_id, refund_id, kind, amount in plan.entries
        ]
        if changed or entries:
            await self.write(tx, changed, entries, now, sights=sights)
        return plan.results

    async def _change_access(
        self,
        tx: Transaction,
        changes: Iterable[Change],
        now: datetime,
        tally: Tally,
        news: list[News],
        sights: Mapping[Pair, Sight] | None,
    ) -> None:
        """Give the access that was paid for, take the access that was refunded."""
        grants = []
        for row, after in changes:
            grant = Grant(row.student_id, row.course_id, PAYMENT, row.payment_id)
            if entitles(after.status) and not entitles(row.status):
                grants.append(grant)
            elif entitles(row.status) and not entitles(after.status):
                await self._enrollments.revoke_one(tx, grant, now, tally)
        await self._enrollments.grant_all(tx, grants, now, tally, news, sights)


def _write_entries(tx: Transaction, entries: Sequence[Entry]) -> None:
    """Add to the ledger; orders of refunds that are made or not with that are asked about no more."""
    queries.add_entries(tx, entries)
    done = [entry.refund_id for entry in entries if entry.kind in (EntryKind.REFUNDED, EntryKind.RELEASED)]
    if done:
        queries.close_orders(tx, done)


async def _news(tx: Transaction, changes: Sequence[Change], now: datetime) -> list[News]:
    """What the students are told of their payments."""
    # A payment that was not paid before has no refunds of its own yet, but for those noted before.
    with_refunds = [change.row.payment_id for change in changes if is_paid(change.row.status) or change.after.refunded_minor]
    refunds = await queries.refunds(tx, with_refunds) if with_refunds else {}
    found: list[News] = []
    for change in changes:
        row = moved(change, now)
        found.append((row.student_id, UPDATED, messages.payment(row, refunds.get(row.payment_id, ()), now)))
    return found


def moved(change: Change, now: datetime) -> PaymentRow:
    """The payment's row after a change."""
    row, after = change
    return row._replace(
        status=after.status, refunded_minor=after.refunded_minor, reserved_minor=after.reserved_minor,
        found_minor=after.found_minor, update_time=now, pay_time=now if change.pays else row.pay_time,
    )  # fmt: skip


def note_money(tally: Tally, entry: Entry) -> None:
    """Count the money that an entry of the ledger says came in or went back."""
    if entry.kind is EntryKind.CHARGE:
        tally.earned(Money(entry.course_id, entry.currency, entry.amount_minor, 0), entry.entry_time)
    elif entry.kind is EntryKind.REFUNDED:
        tally.earned(Money(entry.course_id, entry.currency, 0, entry.amount_minor), entry.entry_time)


def make_plan(
    events: Iterable[PaymentEvent], payments: Mapping[bytes, PaymentRow], refunds: Refunds, known: Known[tuple[str, str]]
) -> Plan:
    """Decide a batch in its order; `known` are the events (provider, id) settled before. Refused events are not
    remembered, so that a corrected one with the same id can come."""
    plan = Plan()
    seen, refunds = set(known), dict(refunds)
    for event in events:
        row = payments.get(event.payment_id)
        if row is None or row.provider != event.provider:
            plan.results.append(_unknown(event))
            continue
        key = (event.provider, event.event_id)
        if key in seen:
            plan.results.append(None)
            continue
        refund = refunds.get((event.payment_id, event.refund_id)) if event.refund_id else None
        state = plan.states.get(row.payment_id, row.state)
        step = apply_event(row.due, state, Happening(event.kind, event.amount_minor, event.currency, refund))
        if step.outcome is Outcome.MISMATCH:
            plan.results.append(_mismatch(event))
            continue
        seen.add(key)
        plan.states[row.payment_id] = step.state
        plan.events.append(EventRow(event, step.outcome))
        plan.results.append(None)
        _enter(plan, refunds, event, refund, step)
    return plan


def _enter(
    plan: Plan, refunds: dict[tuple[bytes, bytes], RefundState], event: PaymentEvent, refund: RefundState | None, step: Step
) -> None:
    """Add a step's entries to the plan; the events behind it see what became of the refund."""
    for kind, amount in step.entries:
        if kind is EntryKind.CHARGE:
            plan.entries.append((event.payment_id, NO_REFUND, kind, amount))
            continue
        # What comes with a charge was noted before, and belongs to no one refund.
        refund_id = (event.refund_id if event.kind is not EventType.SUCCEEDED else None) or new_id()
        known = refund or RefundState(amount)
        released = kind is EntryKind.RELEASED
        refunds[event.payment_id, refund_id] = known._replace(made=not released, released=known.released or released)
        plan.entries.append((event.payment_id, refund_id, kind, amount))


async def _named_refunds(tx: Transaction, events: Iterable[PaymentEvent]) -> Refunds:
    """What the ledger says of the refunds that events name."""
    payment_ids = {event.payment_id for event in events if event.refund_id}
    if not payment_ids:
        return {}
    found = await queries.refunds(tx, payment_ids)
    return {(payment_id, row.refund_id): row.state for payment_id, rows in found.items() for row in rows}


async def _change_uses(tx: Transaction, changes: Iterable[Change]) -> None:
    """Coupons count the payments that are open or were paid."""
    given_back: list[Use] = []
    taken: list[Use] = []
    for row, after in changes:
        if row.coupon_id is None or holds_coupon(row.status) == holds_coupon(after.status):
            continue
        (taken if holds_coupon(after.status) else given_back).append(Use(row.coupon_id, row.student_id))
    await uses.change(tx, given_back, taken)


def _keys(events: Iterable[PaymentEvent]) -> list[tuple[str, str]]:
    return [(event.provider, event.event_id) for event in events]


def _unknown(event: PaymentEvent) -> InvalidArgument:
    return InvalidArgument("PAYMENT_UNKNOWN", f"There is no payment {to_text(event.payment_id)} here.")


def _mismatch(event: PaymentEvent) -> InvalidArgument:
    return InvalidArgument(
        "PAYMENT_MISMATCH", f"Amount or currency are not those of the payment {to_text(event.payment_id)}; nothing was changed."
    )
