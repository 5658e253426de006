"""The payment provider's webhooks, made and sent by a test."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from core.ids import to_bytes
from fakes.server import WEBHOOK_SECRET
from skillforge.v1 import courses_pb2, enrollments_pb2, payments_pb2
from tests.support.polling import eventually
from tests.support.world import Person, World

PATH = "/payments/webhook"
_numbers = itertools.count(1)

ACTIVE, ENDED = enrollments_pb2.ENROLLMENT_STATUS_ACTIVE, enrollments_pb2.ENROLLMENT_STATUS_ENDED


class Answer(NamedTuple):
    """The status, and the reason of a refusal."""

    status: int
    reason: str = ""


class Standing(NamedTuple):
    """What the database holds about a payment: its status and refunds, how many of its events are remembered, the
    enrollment's status (0: none), how many entitlements give access, and how many the course counts."""

    payment: str
    refunded: int
    events: int
    enrollment: int
    entitlements: int
    enrolled: int


def event(payment: payments_pb2.Payment, kind: str = "succeeded", **changes: Any) -> bytes:
    """An event about a payment, with an id of its own unless `id` is given; `changes` replace its fields, data's too."""
    data = {"paymentId": payment.id, "amountMinor": payment.amount.amount_minor, "currency": payment.amount.currency}
    data |= {key: changes.pop(key) for key in (*data, "refundId") if key in changes}
    body = {"id": f"evt_{payment.id}_{next(_numbers)}", "type": f"payment.{kind}", "created": int(time.time()), "data": data}
    return orjson.dumps({**body, **changes})


def digest(body: bytes, moment: int, secret: str = WEBHOOK_SECRET) -> str:
    """The hex HMAC-SHA256 over "<unix seconds>.<body>"."""
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def signature(body: bytes, *, age: int = 0, secrets: Sequence[str] = (WEBHOOK_SECRET,)) -> str:
    """A header as the provider sends it, made `age` seconds ago (negative: ahead)."""
    moment = int(time.time()) - age
    return ",".join([f"t={moment}", *(f"v1={digest(body, moment, secret)}" for secret in secrets)])


async def deliver(world: World, body: bytes, *, header: str | None = "", url: str = "") -> Answer:
    """Send a webhook over HTTP; rightly signed unless a header is given (None: without)."""
    headers = {"Content-Type": "application/json"}
    if header is not None:
        headers["SkillForge-Signature"] = header or signature(body)
    status, _, answer = await world.request("POST", PATH, data=body, headers=headers, url=url)
    assert status != 200 or answer == {"received": True}
    return Answer(status, answer.get("reason", ""))


async def open_payment(world: World, course: courses_pb2.Course, student: Person) -> payments_pb2.Payment:
    request = payments_pb2.CreatePaymentRequest(course_id=course.id)
    return await world.call("CreatePayment", request, student)  # type: ignore[no-any-return]


async def new_sale(world: World, price: int = 4900) -> payments_pb2.Payment:
    """An open payment of a new student for a new course."""
    course = await world.course(await world.person("INSTRUCTOR"), price=price, lectures=1, exam=False)
    return await open_payment(world, course, await world.person())


async def pay(world: World, payment: payments_pb2.Payment, card: str = "4242424242424242") -> None:
    """Pay at the provider's checkout, and wait until its webhook has come."""
    status, _, _ = await world.request("POST", "", url=payment.checkout_url, json={"card": card})
    assert status == 200

    async def paid() -> bool:
        return (await standing(world, payment)).payment == "SUCCEEDED"

    await eventually(paid, bool)


async def standing(world: World, payment: payments_pb2.Payment) -> Standing:
    sql = """
        SELECT p.status, p.refunded_minor,
          (SELECT COUNT(*) FROM payment_events e WHERE e.payment_id = p.id),
          COALESCE((SELECT n.status FROM enrollments n WHERE n.student_id = p.student_id AND n.course_id = p.course_id), 0),
          (SELECT COUNT(*) FROM entitlements t
             WHERE t.student_id = p.student_id AND t.course_id = p.course_id AND t.end_time IS NULL),
          (SELECT c.enrollment_count FROM courses c WHERE c.id = p.course_id)
        FROM payments p WHERE p.id = %s
    """
    row = await world.core.resources.db.fetch_one(sql, (to_bytes(payment.id),))
    assert row is not None
    name = payments_pb2.PaymentStatus.Name(row[0]).removeprefix("PAYMENT_STATUS_")
    return Standing(name, *map(int, row[1:]))
