"""Payments against a model: whatever happens at the provider, whatever gets lost, doubled or overtaken on the way here, and
wherever a process dies, the ledger adds up at every moment, and in the end says what happened.

The provider is honest, so its own books are the model: what is counted here may lag behind them and is never beyond.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.analytics.rebuild import Rebuild
from core.call import Caller
from core.db import Transaction
from core.enrollments.rules import GRANT
from core.errors import DomainError
from core.ids import to_bytes, to_text
from core.pages import Pages
from core.payments import refunds
from core.payments.providers import Providers
from core.payments.reconciliation.rules import Finding
from core.payments.reconciliation.service import Reconciliation
from core.payments.service import PaymentsService
from skillforge.v1 import payments_pb2
from skillforge.v1.courses_pb2 import Course
from tests.support.honest_provider import HonestProvider, Manner
from tests.support.school import PUBLIC_URL, SECRETS, School, open_school

PAID = {
    payments_pb2.PAYMENT_STATUS_SUCCEEDED,
    payments_pb2.PAYMENT_STATUS_PARTIALLY_REFUNDED,
    payments_pb2.PAYMENT_STATUS_REFUNDED,
}
REFUNDED = payments_pb2.PAYMENT_STATUS_REFUNDED
CHARGE, ORDER, BACK, RELEASE = 1, 2, 3, 4
Told = tuple[str, str, dict[str, Any]]


class Death(Exception):
    """The process is gone, and the server rolls back."""


class Row(NamedTuple):
    """A payment as it stands here."""

    payment_id: str
    status: int
    amount: int
    refunded: int
    reserved: int
    found: int


@contextmanager
def dying_after(statements: int | None) -> Iterator[None]:
    """Let the process die after so many statements of transactions, COMMIT among them."""
    whole, left = Transaction.run, statements

    async def run(self: Transaction, sql: str, params: Any) -> Any:
        nonlocal left
        if left is not None:
            left -= 1
            if left < 0:
                raise Death
        return await whole(self, sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "run", run)
        with suppress(Death):
            yield


@contextmanager
def nobody_asks() -> Iterator[None]:
    """Let the process die between the order of a refund and the provider's answer."""

    async def die(self: object, order: object) -> None:
        raise Death

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refunds.Refunds, "_ask", die)
        with suppress(Death):
            yield


class Story:
    """A student, a course and a provider, and what happens to them, step by step. Steps that make no sense do nothing."""

    numbers = itertools.count(1)

    def __init__(self, school: School, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self.school, self.run = school, run
        self.provider = HonestProvider(f"honest-{next(self.numbers)}", SECRETS)
        self.payments = PaymentsService(
            school.db, school.catalog, school.enrollments, school.outbox, Pages(b"secret of the tests"),
            Providers([self.provider], self.provider.name), lambda: school.now, PUBLIC_URL,
        )  # fmt: skip
        school.payments = self.payments
        school._services["PaymentsService"] = self.payments
        self.student: Caller = run(school.person())
        self.admin: Caller = run(school.person("ADMIN"))
        self.course: Course = run(school.paid_course((1,)))
        self.delivered: list[Told] = []
        self.granted = False
        self.open(None)

    @property
    def opened(self) -> list[str]:
        return list(self.provider.tills)

    def pick(self, place: int) -> str:
        return self.opened[place % len(self.opened)]

    def payment(self, payment_id: str) -> payments_pb2.Payment:
        till = self.provider.tills[payment_id]
        return self.school.payment_of(payment_id, till.amount, till.currency)

    async def deliver(self, told: Told) -> None:
        payment_id, kind, changes = told
        await self.school.deliver(self.school.event(self.payment(payment_id), kind, **changes))

    async def rows(self) -> list[Row]:
        sql = """
            SELECT id, status, amount_minor, refunded_minor, reserved_minor, found_minor FROM payments
            WHERE student_id = %s ORDER BY id
        """
        return [Row(to_text(row[0]), *row[1:]) for row in await self.school.db.fetch_all(sql, (self.student.user_id,))]

    # What may happen.

    def open(self, death: int | None) -> None:
        with dying_after(death), suppress(DomainError):
            self.run(self.school.open_payment(self.student, self.course))

    def pay_there(self, place: int) -> None:
        self.provider.pay(self.pick(place))

    def decline_there(self, place: int) -> None:
        self.provider.decline(self.pick(place))

    def refund_there(self, place: int, amount: int) -> None:
        self.provider.refund_there(self.pick(place), amount)

    def refund_here(self, place: int, amount: int | None, manner: Manner, key: str, death: int | None) -> None:
        self.provider.manner = manner
        with dying_after(death), suppress(DomainError):
            self.run(self.school.give_back(self.admin, self.payment(self.pick(place)), amount, key))
        self.provider.manner = Manner.PROMPT

    def order_and_die(self, place: int, amount: int) -> None:
        with nobody_asks(), suppress(DomainError):
            self.run(self.school.give_back(self.admin, self.payment(self.pick(place)), amount))

    def finish_there(self, made: bool) -> None:
        for payment_id, till in self.provider.tills.items():
            for refund_id in list(till.pending)[:1]:
                self.provider.finish(payment_id, refund_id, made=made)

    def receive(self, place: int, death: int | None) -> None:
        """Any of the events that wait; where the process dies it comes again."""
        if self.provider.told:
            told = self.provider.told[place % len(self.provider.told)]
            with dying_after(death):
                self.run(self.deliver(told))
                self.provider.told.remove(told)
                self.delivered.append(told)

    def receive_again(self, place: int) -> None:
        if self.delivered:
            self.run(self.deliver(self.delivered[place % len(self.delivered)]))

    def lose_an_event(self, place: int) -> None:
        if self.provider.told:
            self.provider.told.pop(place % len(self.provider.told))

    def sweep(self, death: int | None, minutes: int) -> None:
        self.school.later(minutes=minutes)
        with dying_after(death):
            self.run(self.payments.expire_overdue(self.school.now, 100))
        with dying_after(death):
            self.run(self.payments.complete_refunds(self.school.now, 100))

    def reconcile(self, place: int, death: int | None) -> None:
        with dying_after(death):
            self.run(self.reconciliation([]).payment(to_bytes(self.pick(place))))

    def grant(self) -> None:
        ids = (self.student.user_id, to_bytes(self.course.id))
        self.run(self.school.db.transact(lambda tx: self.school.enrollments.grant(tx, *ids, GRANT, ids[1], self.school.now)))
        self.granted = True

    def reconciliation(self, findings: list[Finding]) -> Reconciliation:
        school = self.school
        return Reconciliation(
            school.db, school.enrollments, self.payments, Providers([self.provider]), lambda: school.now,
            dry_run=False, found=findings.append,
        )  # fmt: skip

    # What holds.

    def check(self) -> None:
        """At every moment: the ledger adds up, nothing is counted twice or that did not happen, and access is what was
        paid for."""
        rows = self.run(self.rows())
        for row in rows:
            till, paid = self.provider.tills[row.payment_id], row.status in PAID
            entries = self.run(self.school.ledger(self.payment(row.payment_id)))
            sums = {kind: sum(amount for other, amount in entries if other == kind) for kind in (CHARGE, ORDER, BACK, RELEASE)}
            assert [amount for kind, amount in entries if kind == CHARGE] == ([row.amount] if paid else [])
            assert sums[BACK] == (row.refunded if paid else 0)
            assert 0 <= row.found <= row.refunded <= row.amount
            assert 0 <= row.reserved <= sums[ORDER] - sums[RELEASE]
            assert (row.status == REFUNDED) == (paid and row.refunded == row.amount)
            assert till.paid or not paid
            assert row.refunded <= till.returned
        entitled = any(row.status in PAID and row.status != REFUNDED for row in rows)
        sql = "SELECT 1 FROM enrollments WHERE student_id = %s AND course_id = %s AND status = 1"
        enrolled = self.run(self.school.value(sql, self.student.user_id, to_bytes(self.course.id)))
        assert bool(enrolled) == (entitled or self.granted)

    def end(self) -> None:
        """Once everything has come to its end, the books here say what those there say, and so do the numbers."""
        for told in self.provider.told:
            self.run(self.deliver(told))
        for _ in range(2):
            self.finish_there(made=True)
            self.sweep(None, minutes=120)
        findings: list[Finding] = []
        for again in (False, True):
            findings.clear()
            for payment_id in self.opened:
                self.run(self.reconciliation(findings).payment(to_bytes(payment_id)))
            assert not (again and findings)
        self.check()
        for row in self.run(self.rows()):
            till = self.provider.tills[row.payment_id]
            assert (row.status in PAID, row.refunded, row.reserved) == (till.paid, till.returned, 0)
        rebuilt = self.run(Rebuild(self.school.db, lambda: self.school.now).course(to_bytes(self.course.id)))
        assert (rebuilt.students, rebuilt.counts) == (0, {})


PLACES = st.integers(0, 20)
AMOUNTS = st.sampled_from([1, 20, 100, 300, 500, 1000, 2450, 4900])
# How many statements of a transaction run before the process dies; None: it lives.
DEATHS = st.none() | st.none() | st.integers(0, 25)


def step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


STEPS = st.one_of(
    step("open", DEATHS),
    step("pay_there", PLACES),
    step("decline_there", PLACES),
    step("refund_there", PLACES, AMOUNTS),
    step("refund_here", PLACES, st.none() | AMOUNTS, st.sampled_from(Manner), st.sampled_from(["", "a", "b"]), DEATHS),
    step("order_and_die", PLACES, AMOUNTS),
    step("finish_there", st.booleans()),
    step("receive", PLACES, DEATHS),
    *[step("receive", PLACES, st.none())] * 3,
    step("receive_again", PLACES),
    step("lose_an_event", PLACES),
    step("sweep", DEATHS, st.sampled_from([1, 31, 120])),
    step("reconcile", PLACES, DEATHS),
    step("grant"),
)
EXAMPLES = 40


@pytest.mark.slow
def test_whatever_happens_the_ledger_says_it(database_url: str, redis_url: str) -> None:
    with asyncio.Runner() as runner, ExitStack() as stack:
        opening = open_school(database_url, redis_url)
        school: School = runner.run(opening.__aenter__())
        stack.callback(lambda: runner.run(opening.__aexit__(None, None, None)))

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.booleans(), st.lists(STEPS, min_size=15, max_size=40))
        def tell(paid: bool, steps: list[tuple[Any, ...]]) -> None:
            story = Story(school, runner.run)
            for name, *arguments in [("pay_there", 0), ("receive", 0, None), *steps] if paid else steps:
                getattr(story, name)(*arguments)
                story.check()
            story.end()

        tell()
