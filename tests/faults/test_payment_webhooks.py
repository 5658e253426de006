"""Webhooks of the payment provider over HTTP: forged, late, doubled, out of order; what is paid unlocks once, and stays right."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cli.servers import LocalServers
from core.ids import to_bytes
from core.redis import keys
from fakes.server import WEBHOOK_SECRET
from skillforge.v1 import courses_pb2, payments_pb2
from tests.support.polling import eventually
from tests.support.webhooks import (
    ACTIVE,
    ENDED,
    PATH,
    Answer,
    Standing,
    deliver,
    digest,
    event,
    new_sale,
    open_payment,
    signature,
    standing,
)
from tests.support.world import World, running_world

OK = Answer(200)
INVALID, EXPIRED = Answer(400, "SIGNATURE_INVALID"), Answer(400, "SIGNATURE_EXPIRED")
UNTOUCHED = Standing("PENDING", 0, 0, 0, 0, 0)
PAID = Standing("SUCCEEDED", 0, 1, ACTIVE, 1, 1)


@pytest.fixture
async def payment(world: World) -> payments_pb2.Payment:
    return await new_sale(world)


def signed_now(body: bytes, pattern: str) -> str:
    """A header in which TIME and HEX stand for those of the right signature."""
    moment = int(time.time())
    return pattern.replace("TIME", str(moment)).replace("HEX", digest(body, moment))


ZEROS = "0" * 64
HEADERS: dict[str, tuple[Callable[[bytes], str | None], Answer]] = {
    "missing": (lambda body: None, INVALID),
    "blank": (lambda body: " ", INVALID),
    "no signature at all": (lambda body: "hello", INVALID),
    "no time": (lambda body: signed_now(body, "v1=HEX"), INVALID),
    "no digest": (lambda body: signed_now(body, "t=TIME"), INVALID),
    "an empty digest": (lambda body: signed_now(body, "t=TIME,v1="), INVALID),
    "a digest cut short": (lambda body: signed_now(body, "t=TIME,v1=HEX")[:-1], INVALID),
    "another scheme": (lambda body: signed_now(body, "t=TIME,v0=HEX"), INVALID),
    "a time that is none": (lambda body: signed_now(body, "t=now,v1=HEX"), INVALID),
    "a negative time": (lambda body: signed_now(body, "t=-TIME,v1=HEX"), INVALID),
    "two times": (lambda body: signed_now(body, "t=TIME,t=TIME,v1=HEX"), INVALID),
    "another time than signed": (lambda body: signed_now(body, f"t={int(time.time()) - 1},v1=HEX"), INVALID),
    "of another body": (lambda body: signature(body + b" "), INVALID),
    "with another secret": (lambda body: signature(body, secrets=["whsec_guessed"]), INVALID),
    "with no secret": (lambda body: signature(body, secrets=[""]), INVALID),
    "beyond the tenth": (lambda body: signed_now(body, f"t=TIME{f',v1={ZEROS}' * 10},v1=HEX"), INVALID),
    "too old": (lambda body: signature(body, age=310), EXPIRED),
    "too far ahead": (lambda body: signature(body, age=-310), EXPIRED),
    "rather old": (lambda body: signature(body, age=290), OK),
    "a little ahead": (lambda body: signature(body, age=-290), OK),
    "among others": (lambda body: signature(body, secrets=["old", WEBHOOK_SECRET, "new"]), OK),
    "in capitals, with spaces and more": (lambda body: signature(body).replace(",v1=", " , v2=x, V1=x, v1="), OK),
}


@pytest.mark.parametrize("gateway", ["rest", "remote"])
@pytest.mark.parametrize("name", HEADERS)
async def test_only_a_good_signature_is_believed(world: World, payment: payments_pb2.Payment, name: str, gateway: str) -> None:
    make, expected = HEADERS[name]
    body = event(payment)
    url = world.url if gateway == "rest" else world.remote_url
    assert await deliver(world, body, header=make(body), url=url) == expected
    assert await standing(world, payment) == (PAID if expected is OK else UNTOUCHED)


async def test_secrets_rotate_without_a_gap(database_url: str, servers: LocalServers, worker_number: int) -> None:
    secrets = {"PAYMENT_WEBHOOK_SECRETS": f"whsec_next, {WEBHOOK_SECRET}"}
    async with running_world(database_url, servers.redis_url(worker_number), **secrets) as world:
        for used, expected in ((WEBHOOK_SECRET, OK), ("whsec_next", OK), ("whsec_before", INVALID)):
            payment = await new_sale(world)
            body = event(payment)
            assert await deliver(world, body, header=signature(body, secrets=[used])) == expected
            assert await standing(world, payment) == (PAID if expected is OK else UNTOUCHED)


async def test_a_forger_learns_nothing_about_payments(world: World, payment: payments_pb2.Payment) -> None:
    """Whether the payment exists, and whether the body can be read, is told only to who signs."""
    for body in (event(payment), event(payment, paymentId="00000000-0000-0000-0000-000000000007"), b"{", b""):
        assert await deliver(world, body, header=signature(body, secrets=["x"])) == INVALID


@pytest.mark.parametrize("kind", ["succeeded", "failed", "refunded"])
async def test_an_unknown_payment_is_refused(world: World, payment: payments_pb2.Payment, kind: str) -> None:
    body = event(payment, kind, paymentId="00000000-0000-0000-0000-000000000007")
    assert await deliver(world, body) == Answer(400, "PAYMENT_UNKNOWN")
    assert await standing(world, payment) == UNTOUCHED


async def test_another_amount_or_currency_is_refused(world: World, payment: payments_pb2.Payment) -> None:
    wrong: list[dict[str, Any]] = [
        {"amountMinor": 4899},
        {"amountMinor": 4901},
        {"amountMinor": 0},
        {"currency": "EUR"},
        {"amountMinor": 49},
    ]
    for kind, changes in itertools.product(("succeeded", "failed"), wrong):
        assert await deliver(world, event(payment, kind, id="evt_same", **changes)) == Answer(400, "PAYMENT_MISMATCH")
    assert await standing(world, payment) == UNTOUCHED
    assert await deliver(world, event(payment, id=f"evt_same_{payment.id}")) == OK
    assert await standing(world, payment) == PAID


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"type": None}, "type"),
        ({"created": "now"}, "created"),
        ({"created": True}, "created"),
        ({"data": []}, "data"),
        ({"paymentId": "x"}, "data.paymentId"),
        ({"amountMinor": "4900"}, "data.amountMinor"),
        ({"amountMinor": 4900.0}, "data.amountMinor"),
        ({"amountMinor": -1}, "data.amountMinor"),
        ({"currency": "usd"}, "data.currency"),
    ],
)
async def test_a_malformed_event_is_told_what_is_wrong(
    world: World, payment: payments_pb2.Payment, changes: dict[str, Any], field: str
) -> None:
    body = event(payment, **changes)
    headers = {"Content-Type": "application/json", "SkillForge-Signature": signature(body)}
    status, _, problem = await world.request("POST", PATH, data=body, headers=headers)
    assert (status, problem["reason"]) == (400, "INVALID_ARGUMENT")
    assert field in [item["field"] for item in problem["violations"]]
    assert await standing(world, payment) == UNTOUCHED


async def test_bodies_that_are_no_event(world: World, payment: payments_pb2.Payment) -> None:
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        assert await deliver(world, body) == Answer(400, "MALFORMED_JSON")
    for body in (b"null", b"[]", b'"x"', b"{}"):
        assert await deliver(world, body) == Answer(400, "INVALID_ARGUMENT")
    assert await deliver(world, event(payment, type="customer.created")) == OK
    assert await deliver(world, event(payment) + b" " * (1 << 20)) == Answer(413, "BODY_TOO_LARGE")
    assert await standing(world, payment) == UNTOUCHED
    assert await deliver(world, event(payment) + b" " * 900_000) == OK
    assert await standing(world, payment) == PAID


async def test_the_same_event_fifty_times_at_once(world: World, payment: payments_pb2.Payment) -> None:
    body = event(payment)
    urls = itertools.cycle([world.url, world.remote_url])
    answers = await asyncio.gather(*(deliver(world, body, url=next(urls)) for _ in range(50)))
    assert Counter(answers) == {OK: 50}
    assert await standing(world, payment) == PAID
    assert await deliver(world, body) == OK
    assert await standing(world, payment) == PAID
    assert await told(world, payment) == ["enrollment.unlocked", "payment.updated"]


async def test_fifty_events_say_the_same(world: World, payment: payments_pb2.Payment) -> None:
    answers = await asyncio.gather(*(deliver(world, event(payment)) for _ in range(50)))
    assert Counter(answers) == {OK: 50}
    assert await standing(world, payment) == PAID._replace(events=50)
    assert await told(world, payment) == ["enrollment.unlocked", "payment.updated"]


async def told(world: World, payment: payments_pb2.Payment) -> list[str]:
    """The topics of the events published to the student, once all are."""
    student, resources = to_bytes(payment.student_id), world.core.resources

    async def waiting() -> int:
        row = await resources.db.fetch_one("SELECT COUNT(*) FROM outbox WHERE user_id = %s", (student,))
        return int(row[0]) if row else 0

    await eventually(waiting, lambda count: count == 0)
    entries = await resources.redis.run("XRANGE", keys.events(student), "-", "+")
    return sorted(fields[fields.index(b"topic") + 1].decode() for _, fields in entries)


async def test_success_after_failure(world: World, payment: payments_pb2.Payment) -> None:
    assert await deliver(world, event(payment, "failed")) == OK
    assert await standing(world, payment) == Standing("FAILED", 0, 1, 0, 0, 0)
    assert await deliver(world, event(payment)) == OK
    assert await standing(world, payment) == PAID._replace(events=2)


async def test_failure_after_success(world: World, payment: payments_pb2.Payment) -> None:
    for kind in ("succeeded", "failed", "failed"):
        assert await deliver(world, event(payment, kind)) == OK
    assert await standing(world, payment) == PAID._replace(events=3)


async def test_success_after_the_payment_expired(world: World, payment: payments_pb2.Payment) -> None:
    db = world.core.resources.db
    await db.execute("UPDATE payments SET expire_time = create_time WHERE id = %s", (to_bytes(payment.id),))
    student = await db.fetch_one("SELECT clerk_id FROM users WHERE id = %s", (to_bytes(payment.student_id),))
    assert student is not None
    headers = {"Authorization": f"Bearer {world.fakes.clerk.mint(student[0])}"}
    body = {"courseId": payment.course_id}
    status, _, second = await world.request("POST", "/payments/create", json=body, headers=headers)
    assert (status, second["id"] != payment.id) == (201, True)
    assert (await standing(world, payment)).payment == "EXPIRED"
    assert await deliver(world, event(payment)) == OK
    assert await standing(world, payment) == PAID


async def test_replays_after_a_refund_give_nothing_back(world: World, payment: payments_pb2.Payment) -> None:
    paid, refund = event(payment), event(payment, "refunded")
    assert await deliver(world, paid) == OK
    assert await deliver(world, refund) == OK
    refunded = Standing("REFUNDED", 4900, 2, ENDED, 0, 0)
    assert await standing(world, payment) == refunded
    answers = await asyncio.gather(*(deliver(world, body) for body in [paid, refund] * 10))
    assert Counter(answers) == {OK: 20}
    assert await standing(world, payment) == refunded
    assert await deliver(world, event(payment)) == OK
    assert (await standing(world, payment))[:2] == ("REFUNDED", 4900)
    assert (await standing(world, payment)).entitlements == 0


async def test_partial_refunds_add_up_and_never_exceed_what_was_paid(world: World, payment: payments_pb2.Payment) -> None:
    assert await deliver(world, event(payment)) == OK
    assert await deliver(world, event(payment, "refunded", amountMinor=4000)) == OK
    assert await standing(world, payment) == Standing("PARTIALLY_REFUNDED", 4000, 2, ACTIVE, 1, 1)
    assert await deliver(world, event(payment, "refunded", amountMinor=901)) == Answer(400, "PAYMENT_MISMATCH")
    assert await deliver(world, event(payment, "refunded", amountMinor=900)) == OK
    assert await standing(world, payment) == Standing("REFUNDED", 4900, 3, ENDED, 0, 0)


async def test_every_order_comes_to_the_same_end(world: World) -> None:
    """Success, an older failure and a refund in two parts, in each order; the refund of what is not yet paid waits."""
    orders = list(itertools.permutations(range(4)))

    async def play(order: tuple[int, ...]) -> Standing:
        payment = await new_sale(world)
        bodies = [
            event(payment),
            event(payment, "failed"),
            event(payment, "refunded", amountMinor=900),
            event(payment, "refunded", amountMinor=4000),
        ]
        for number in order:
            assert await deliver(world, bodies[number]) == OK
        return await standing(world, payment)

    ends = await asyncio.gather(*map(play, orders))
    for order, end in zip(orders, ends, strict=True):
        assert end[:3] == ("REFUNDED", 4900, 4), order
        assert (end.entitlements, end.enrolled) == (0, 0), order
        assert end.enrollment in (0, ENDED), order


async def test_a_flood_of_everything_at_once(world: World) -> None:
    payments = [await new_sale(world) for _ in range(4)]
    bodies = []
    for payment in payments:
        parts = [event(payment, "refunded", amountMinor=900), event(payment, "refunded", amountMinor=4000)]
        bodies += [event(payment), event(payment, "failed"), *parts] * 6
    random.Random(7).shuffle(bodies)
    answers = await asyncio.gather(*(deliver(world, body) for body in bodies))
    assert Counter(answers) == {OK: len(bodies)}
    for payment in payments:
        end = await standing(world, payment)
        assert (*end[:3], *end[4:]) == ("REFUNDED", 4900, 4, 0, 0)


async def test_two_payments_for_one_course_are_both_paid(world: World) -> None:
    """The first seemed to fail, so the student paid again; access ends only with the last payment that is not refunded."""
    course: courses_pb2.Course = await world.course(await world.person("INSTRUCTOR"), price=4900, exam=False)
    student = await world.person()
    first = await open_payment(world, course, student)
    assert await deliver(world, event(first, "failed")) == OK
    second = await open_payment(world, course, student)
    assert second.id != first.id
    assert await asyncio.gather(*(deliver(world, event(item)) for item in (first, second))) == [OK, OK]
    assert await standing(world, first) == Standing("SUCCEEDED", 0, 2, ACTIVE, 2, 1)
    assert await standing(world, second) == Standing("SUCCEEDED", 0, 1, ACTIVE, 2, 1)
    assert await deliver(world, event(first, "refunded")) == OK
    assert await standing(world, second) == Standing("SUCCEEDED", 0, 1, ACTIVE, 1, 1)
    assert await deliver(world, event(second, "refunded")) == OK
    assert await standing(world, second) == Standing("REFUNDED", 4900, 2, ENDED, 0, 0)
    third = await open_payment(world, course, student)
    assert await deliver(world, event(third)) == OK
    assert (await standing(world, third))[3:] == (ACTIVE, 1, 1)


CARDS = {
    "4242424242424242": ("SUCCEEDED", 1, 1),
    "4000000000000002": ("FAILED", 1, 0),
    "4000000000000341": ("SUCCEEDED", 1, 1),
    "4000000000000259": ("SUCCEEDED", 1, 1),
    "4000000000000077": ("SUCCEEDED", 2, 1),
}


@pytest.mark.parametrize("card", CARDS)
async def test_whatever_the_provider_s_cards_do(world: World, payment: payments_pb2.Payment, card: str) -> None:
    status, _, _ = await world.request("POST", "", url=payment.checkout_url, json={"card": card})
    assert status == 200

    async def states() -> list[str]:
        log = world.fakes.payments.webhooks.log
        return [item.state for item in log if item.event["data"]["paymentId"] == payment.id]

    await eventually(states, lambda found: bool(found) and set(found) == {"delivered"})
    end = await standing(world, payment)
    assert (end.payment, end.events, end.entitlements) == CARDS[card]
