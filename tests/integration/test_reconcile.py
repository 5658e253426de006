"""`skillforge reconcile` in a world whose webhooks never arrive, and in which somebody has damaged the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner

from cli.main import main
from cli.servers import LocalServers
from core.analytics.rebuild import Rebuild
from core.ids import new_id, to_bytes, to_text
from core.payments.providers import ProviderPayment
from core.payments.providers.fake import FakeProvider
from core.payments.reconciliation.rules import Finding, Problem, compare, ledger_fault
from core.payments.rules import EXPIRED, PARTIALLY_REFUNDED, PENDING, SUCCEEDED, Due, State
from core.times import utc_now
from fakes.web import Mode
from skillforge.v1 import enrollments_pb2, payments_pb2
from tests.conftest import fresh_database
from tests.support.webhooks import ACTIVE, ENDED, deliver, event, new_sale, standing
from tests.support.world import World, running_world

CARD = "4242424242424242"
Sale = payments_pb2.Payment


@pytest.fixture(scope="module")
async def deaf(servers: LocalServers, worker_number: int, redis_url: str) -> AsyncIterator[World]:
    async with running_world(fresh_database(servers, f"reconcile_{worker_number}"), redis_url) as running:
        running.fakes.payments.webhooks.url = "http://127.0.0.1:9/nobody"
        yield running


async def run(world: World, *, dry_run: bool = False) -> list[Finding]:
    found: list[Finding] = []
    run = world.core.reconciliation(dry_run=dry_run, found=found.append, progress=lambda count: None)
    await run.run(utc_now() - timedelta(days=1))
    return found


async def paid_there(world: World) -> Sale:
    """Paid at the provider, unheard of here."""
    payment = await new_sale(world)
    status, _, _ = await world.request("POST", "", url=payment.checkout_url, json={"card": CARD})
    assert status == 200
    return payment


async def paid_here(world: World) -> Sale:
    payment = await paid_there(world)
    assert (await deliver(world, event(payment))).status == 200
    return payment


async def execute(world: World, sql: str, *params: object) -> None:
    await world.core.resources.db.execute(sql, params)


async def lose_entitlement(world: World) -> Sale:
    payment = await paid_here(world)
    ids = (to_bytes(payment.student_id), to_bytes(payment.course_id), "payment", to_bytes(payment.id))
    enrollments = world.core._enrollments
    await world.core.resources.db.transact(lambda tx: enrollments.revoke(tx, *ids, utc_now()))
    return payment


async def end_enrollment(world: World) -> Sale:
    payment = await paid_here(world)
    await execute(world, "UPDATE enrollments SET status = 2 WHERE student_id = %s", to_bytes(payment.student_id))
    await execute(world, "UPDATE courses SET enrollment_count = 0 WHERE id = %s", to_bytes(payment.course_id))
    return payment


async def entitle_unpaid(world: World) -> Sale:
    payment = await new_sale(world)
    ids = (to_bytes(payment.student_id), to_bytes(payment.course_id), "payment", to_bytes(payment.id))
    enrollments = world.core._enrollments
    await world.core.resources.db.transact(lambda tx: enrollments.grant(tx, *ids, utc_now()))
    return payment


async def enroll_for_nothing(world: World) -> Sale:
    payment = await entitle_unpaid(world)
    await execute(world, "UPDATE entitlements SET end_time = %s WHERE source_id = %s", utc_now(), to_bytes(payment.id))
    return payment


Damage = Callable[[World], Awaitable[Sale]]
DAMAGES: list[tuple[Damage, Problem, str, int]] = [
    (lose_entitlement, Problem.PAID_NOT_ENTITLED, "SUCCEEDED", ACTIVE),
    (end_enrollment, Problem.ENTITLED_NOT_ENROLLED, "SUCCEEDED", ACTIVE),
    (entitle_unpaid, Problem.ENTITLED_NOT_PAID, "PENDING", ENDED),
    (enroll_for_nothing, Problem.ENROLLED_NOT_ENTITLED, "PENDING", ENDED),
    (paid_there, Problem.MISSED_SUCCESS, "SUCCEEDED", ACTIVE),
]


@pytest.mark.parametrize(("damage", "problem", "status", "enrollment"), DAMAGES, ids=[item[1].name for item in DAMAGES])
async def test_what_differs_is_listed_and_mended(
    deaf: World, damage: Damage, problem: Problem, status: str, enrollment: int
) -> None:
    payment = await damage(deaf)
    before = await standing(deaf, payment)
    listed = await run(deaf, dry_run=True)
    mine = [item for item in listed if item.student_id == to_bytes(payment.student_id)]
    assert {(item.problem, item.mended) for item in mine} == {(problem, False)}
    assert await standing(deaf, payment) == before
    mended = await run(deaf)
    assert [(item.problem, item.mended) for item in mended] == [(problem, True)]
    after = await standing(deaf, payment)
    assert (after.payment, after.enrollment) == (status, enrollment)
    assert after.entitlements == after.enrolled == (enrollment == ACTIVE)
    assert await run(deaf) == []
    if problem is not Problem.ENTITLED_NOT_ENROLLED:  # that damage was done behind the counts' back
        rebuild = Rebuild(deaf.core.resources.db, utc_now)
        assert (await rebuild.course(to_bytes(payment.course_id))).counts == {}


async def test_refunds_that_were_missed_count_once(deaf: World) -> None:
    payment = await paid_here(deaf)
    admin = await deaf.person("ADMIN")
    refund = payments_pb2.RefundPaymentRequest(payment_id=payment.id, amount_minor=900, reason="Half a day late")
    await deaf.call("RefundPayment", refund, admin)
    ledger = deaf.fakes.payments.ledger
    there = ledger.find(payment.id)
    assert there is not None
    own = {"refundId": to_text(new_id()), "paymentId": payment.id, "amountMinor": 1000, "currency": "USD", "reason": "there"}
    headers = {"Authorization": f"Bearer {deaf.settings.fake_payments_key}", "Idempotency-Key": "there"}
    status, _, _ = await deaf.request("POST", "/fake-pay/v1/refunds", url=deaf.fakes.url, json=own, headers=headers)
    assert status == 201
    found = await run(deaf)
    assert [(item.problem, item.mended) for item in found] == [(Problem.MISSED_REFUND, True)]
    assert "19.00 USD there, 9.00 USD here" in found[0].detail
    assert (await standing(deaf, payment)).refunded == 1900
    # The event that was missed comes after all, and is about the same money.
    assert (await deliver(deaf, event(payment, "refunded", amountMinor=1000))).status == 200
    assert (await standing(deaf, payment)).refunded == 1900
    assert await run(deaf) == []


async def test_what_a_person_must_look_at_is_left(deaf: World) -> None:
    unpaid = await new_sale(deaf)
    assert (await deliver(deaf, event(unpaid))).status == 200  # signed, and not true
    found = await run(deaf)
    assert [(item.problem, item.mended) for item in found] == [(Problem.NOT_PAID_THERE, False)]
    await execute(deaf, "UPDATE payments SET provider = 'gone' WHERE id = %s", to_bytes(unpaid.id))
    await execute(deaf, "UPDATE payments SET refunded_minor = 100 WHERE id = %s", to_bytes(unpaid.id))
    assert [item.problem for item in await run(deaf)] == [Problem.LEDGER_DIFFERS]
    await execute(deaf, "UPDATE payments SET refunded_minor = 0 WHERE id = %s", to_bytes(unpaid.id))
    assert await run(deaf) == []


async def test_what_is_settled_while_the_provider_is_asked_was_not_missed(deaf: World, monkeypatch: pytest.MonkeyPatch) -> None:
    payment = await paid_there(deaf)
    whole = FakeProvider.find

    async def find(self: FakeProvider, payment_id: str, reference: str) -> ProviderPayment | None:
        if payment_id == payment.id:
            assert (await deliver(deaf, event(payment))).status == 200
        return await whole(self, payment_id, reference)

    monkeypatch.setattr(FakeProvider, "find", find)
    assert await run(deaf) == []
    assert (await standing(deaf, payment)).payment == "SUCCEEDED"


async def test_access_by_a_grant_is_nothing_to_mend(deaf: World) -> None:
    payment = await new_sale(deaf)
    request = enrollments_pb2.EnrollInCourseRequest(course_id=payment.course_id, student_id=payment.student_id)
    await deaf.call("EnrollInCourse", request, await deaf.person("ADMIN"))
    assert await run(deaf) == []


async def test_two_who_mend_at_once_mend_once(deaf: World) -> None:
    payments = [await damage(deaf) for damage, *_ in DAMAGES[:4]]
    found = await asyncio.gather(run(deaf), run(deaf))
    assert {item.problem for items in found for item in items if item.mended} == {problem for _, problem, *_ in DAMAGES[:4]}
    for payment, (_, _, status, enrollment) in zip(payments, DAMAGES, strict=False):
        after = await standing(deaf, payment)
        assert (after.payment, after.enrollment, after.enrolled) == (status, enrollment, int(enrollment == ACTIVE))
    assert await run(deaf) == []


async def test_the_command(deaf: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = deaf.settings
    values = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "CLERK_SECRET_KEY": settings.clerk_secret_key,
        "CERTIFICATE_SIGNING_KEY": settings.certificate_signing_key.decode(),
        "PAYMENT_PROVIDER": "fake",
        "PAYMENT_WEBHOOK_SECRETS": ",".join(settings.payment_webhook_secrets),
        "FAKE_PAYMENTS_URL": settings.fake_payments_url,
        "FAKE_PAYMENTS_KEY": settings.fake_payments_key,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    async def command(*arguments: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["reconcile", *arguments, "--data-dir", "/nowhere"])
        return result.exit_code, result.output

    assert (await command())[0] == 0
    payment = await paid_there(deaf)
    code, said = await command("--dry-run")
    assert (code, "paid at the provider, not here" in said, "would be mended" in said) == (3, True, True)
    assert payment.id in said
    assert (await standing(deaf, payment)).payment == "PENDING"
    assert (await command("--since", f"{utc_now() + timedelta(days=1):%Y-%m-%d}"))[0] == 0
    assert (await standing(deaf, payment)).payment == "PENDING"
    deaf.fakes.payments.outage.mode = Mode.DOWN
    code, said = await command()
    deaf.fakes.payments.outage.mode = Mode.UP
    assert (code, "could not be asked" in said) == (3, True)
    code, said = await command("--payment", payment.id)
    assert (code, "everything is mended" in said) == (0, True)
    assert (await standing(deaf, payment)).payment == "SUCCEEDED"
    assert (await command("--payment", to_text(new_id())))[0] == 1
    assert (await command("--since", "yesterday"))[0] == 2
    code, said = await command()
    assert (code, "everything fits together" in said) == (0, True)


DUE = Due(4900, "USD")


@pytest.mark.parametrize(
    ("state", "said", "problems"),
    [
        (State(PENDING, 0), ProviderPayment("open", 4900, "USD", 0), []),
        (State(PENDING, 0), ProviderPayment("paid", 4900, "USD", 0), [Problem.MISSED_SUCCESS]),
        (State(EXPIRED, 0), ProviderPayment("paid", 4900, "USD", 9), [Problem.MISSED_SUCCESS, Problem.MISSED_REFUND]),
        (State(PENDING, 0), ProviderPayment("failed", 4900, "USD", 0), [Problem.MISSED_FAILURE]),
        (State(PENDING, 0), ProviderPayment("expired", 4900, "USD", 0), [Problem.MISSED_EXPIRY]),
        (State(EXPIRED, 0), ProviderPayment("failed", 4900, "USD", 0), []),
        (State(SUCCEEDED, 0), ProviderPayment("paid", 4900, "EUR", 0), [Problem.OTHER_AMOUNT]),
        (State(SUCCEEDED, 0), ProviderPayment("expired", 4900, "USD", 0), [Problem.NOT_PAID_THERE]),
        (State(SUCCEEDED, 0, 900), ProviderPayment("paid", 4900, "USD", 900), []),
        (State(PARTIALLY_REFUNDED, 900), ProviderPayment("paid", 4900, "USD", 0), [Problem.REFUND_MISSING]),
        (State(PENDING, 0), None, []),
        (State(SUCCEEDED, 0), None, [Problem.NOT_PAID_THERE]),
    ],
)
def test_what_the_provider_s_word_means(state: State, said: ProviderPayment | None, problems: list[Problem]) -> None:
    assert [problem for problem, _ in compare(DUE, state, said)] == problems


def test_what_a_ledger_must_say() -> None:
    assert ledger_fault(DUE, State(PENDING, 0), None, 0) == ""
    assert ledger_fault(DUE, State(SUCCEEDED, 0), 4900, 0) == ""
    assert ledger_fault(DUE, State(SUCCEEDED, 0), None, 0)
    assert ledger_fault(DUE, State(PENDING, 0), 4900, 0)
    assert ledger_fault(DUE, State(PARTIALLY_REFUNDED, 900), 4900, 800)
