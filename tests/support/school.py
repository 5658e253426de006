"""A classroom with enrollments, payments and certificates, and the worlds outside them under the test's control."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody

from core.analytics.service import AnalyticsService
from core.call import Call, Caller
from core.certificates.images import tidy_logo
from core.certificates.inspector import PdfInspector
from core.certificates.keys import SigningKeys
from core.certificates.pdf import CertificateDocument
from core.certificates.service import CertificatesService
from core.chat.service import ChatService
from core.db import Migrator
from core.enrollments.service import EnrollmentsService
from core.families.service import FamiliesService
from core.friends.service import FriendsService
from core.ids import to_bytes
from core.outbox import Outbox
from core.outbox.rows import NOBODY, SEVERAL, Row
from core.pages import Pages
from core.payments import events, signatures
from core.payments.coupons.service import CouponsService
from core.payments.events import PaymentEvent
from core.payments.providers import (
    Checkout,
    CheckoutSession,
    ProviderPayment,
    Providers,
    ProviderUnavailable,
    RefundOrder,
    RefundReceipt,
    RefundStatus,
)
from core.payments.service import PaymentsService
from core.realtime.publisher import Publisher
from core.redis import Invalidations, Redis
from core.times import to_unix
from skillforge.v1 import courses_pb2, payments_pb2, progress_pb2, quizzes_pb2
from skillforge.v1.courses_pb2 import Course
from skillforge.v1.payments_pb2 import CreatePaymentRequest, Payment
from tests.support.classroom import METHODS, Classroom, CountingDatabase, lecture_ids, questions, right_answers
from tests.support.signing import signing_key

SECRETS = ("whsec_new", "whsec_old")
PRICE = courses_pb2.Money(amount_minor=4900, currency="USD")
PUBLIC_URL = "https://school.example.com"
_event_numbers = itertools.count(1)


class ScriptedProvider:
    """A provider that answers at once, or is down."""

    name = "scripted"
    signature_header = signatures.HEADER

    def __init__(self) -> None:
        self.down = False
        self.asked: list[Checkout] = []
        self.refunds: dict[str, RefundOrder] = {}
        self.orders: list[RefundOrder] = []  # every request, repeats too
        self.refund_status = RefundStatus.SUCCEEDED
        self.refusal: Exception | None = None
        self.known: dict[str, ProviderPayment] = {}

    async def create_checkout(self, checkout: Checkout) -> CheckoutSession:
        self.asked.append(checkout)
        await asyncio.sleep(0)
        if self.down:
            raise ProviderUnavailable("down", retry_after=3.0)
        return CheckoutSession(f"cs_{checkout.payment_id}", f"https://pay.example.com/{checkout.payment_id}")

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        self.orders.append(order)
        await asyncio.sleep(0)
        if self.down:
            raise ProviderUnavailable("down", retry_after=3.0)
        if self.refusal is not None:
            raise self.refusal
        assert self.refunds.setdefault(order.refund_id, order) == order
        return RefundReceipt(f"re_{order.refund_id}", self.refund_status)

    async def find(self, payment_id: str, reference: str) -> ProviderPayment | None:
        await asyncio.sleep(0)
        if self.down:
            raise ProviderUnavailable("down")
        return self.known.get(payment_id)

    def read_event(self, body: bytes, signature: str, now: float) -> PaymentEvent | None:
        signatures.verify(signature, body, SECRETS, now)
        return events.read_event(body, self.name)

    async def close(self) -> None:
        """Nothing to close."""


class CountingRenderer:
    """A renderer whose every PDF is another one."""

    def __init__(self) -> None:
        self.documents: list[CertificateDocument] = []

    async def render(self, document: CertificateDocument) -> bytes:
        self.documents.append(document)
        number = len(self.documents)
        await asyncio.sleep(0)
        return b"%%PDF %d %s" % (number, document.certificate_id.encode())

    async def tidy_logo(self, data: bytes) -> bytes:
        return tidy_logo(data)


class School(Classroom):
    """Use `open_school`."""

    def __init__(self, db: CountingDatabase, redis: Redis, invalidations: Invalidations) -> None:
        super().__init__(db, redis, invalidations)
        self.provider = ScriptedProvider()
        self.renderer = CountingRenderer()
        outbox, pages = Outbox(db, redis), Pages(b"secret of the tests")
        self.outbox = outbox
        self.enrollments = EnrollmentsService(db, self.catalog, outbox, pages)
        self.payments = PaymentsService(
            db,
            self.catalog,
            self.enrollments,
            outbox,
            pages,
            Providers([self.provider], "scripted"),
            lambda: self.now,
            PUBLIC_URL,
        )
        self.inspector = PdfInspector([signing_key().kid])
        self.certificates = CertificatesService(
            db, self.catalog, self.progress, outbox, pages, self.renderer, self.inspector,
            SigningKeys(signing_key(), (signing_key().trusted,)), PUBLIC_URL,
        )  # fmt: skip
        self.progress.on_complete = self.certificates.issue
        self.families = FamiliesService(db, self.progress, self.certificates, self.quizzes, pages, b"secret of the tests")
        self.friends = FriendsService(db, outbox, pages)
        self.chat = ChatService(db, self.friends, outbox, Publisher(redis), pages)
        self._services |= {
            "FriendsService": self.friends,
            "ChatService": self.chat,
            "FamiliesService": self.families,
            "EnrollmentsService": self.enrollments,
            "PaymentsService": self.payments,
            "CouponsService": CouponsService(db, self.catalog, pages, lambda: self.now),
            "ProgressService": self.progress,
            "CertificatesService": self.certificates,
            "AnalyticsService": AnalyticsService(db, self.catalog),
        }

    async def paid_course(self, lectures: tuple[int, ...] = (2, 1)) -> Course:
        return await self.course(await self.person("INSTRUCTOR"), lectures, price=PRICE)

    async def course_with_exam(self, author: Caller, lectures: tuple[int, ...] = (2, 1)) -> Course:
        """A free, published course whose final exam `pass_exam` passes."""
        course = await self.course(author, lectures)
        exam = quizzes_pb2.PutExamRequest(course_id=course.id, title="Exam", pass_percent=80, questions=questions())
        await self.run(exam, author)
        return await self.read(course.id, author)

    async def open_payment(self, student: Caller, course: Course) -> Payment:
        return await self.run(CreatePaymentRequest(course_id=course.id), student)  # type: ignore[no-any-return]

    async def paid(self, student: Caller, course: Course, **fields: Any) -> Payment:
        """A payment that has succeeded."""
        payment = await self.run(CreatePaymentRequest(course_id=course.id, **fields), student)
        await self.settle(payment)
        return payment  # type: ignore[no-any-return]

    async def give_back(self, admin: Caller, payment: Payment, amount: int | None = None, key: str = "") -> payments_pb2.Refund:
        """Refund a payment, or an amount of it."""
        request = payments_pb2.RefundPaymentRequest(payment_id=payment.id, amount_minor=amount, reason="It was not for me.")
        return await self.run(request, admin, key=key)  # type: ignore[no-any-return]

    async def ledger(self, payment: Payment) -> list[tuple[int, int]]:
        """The kinds and amounts of a payment's entries, the earliest first."""
        sql = "SELECT kind, amount_minor FROM payment_ledger WHERE payment_id = %s ORDER BY entry_time, kind, refund_id"
        return [(row[0], row[1]) for row in await self.db.fetch_all(sql, (to_bytes(payment.id),))]

    def payment_of(self, payment_id: str, amount_minor: int, currency: str) -> Payment:
        """As much of a payment as events about it need."""
        return Payment(id=payment_id, amount=courses_pb2.Money(amount_minor=amount_minor, currency=currency))

    async def another_payment(self, payment: Payment) -> Payment:
        """A second payment for the same course, open no more: as if it had been left in another tab."""
        copy = Payment()
        copy.CopyFrom(payment)
        copy.id = f"{payment.id[:-12]}{next(_event_numbers):012x}"
        sql = """
            INSERT INTO payments (id, student_id, course_id, amount_minor, currency, refunded_minor, status, open_slot, provider,
              provider_reference, checkout_url, create_time, update_time, expire_time, list_price_minor)
            SELECT %s, student_id, course_id, amount_minor, currency, 0, 6, NULL, provider, '', '',
              create_time, update_time, expire_time, list_price_minor FROM payments WHERE id = %s
        """
        await self.db.execute(sql, (to_bytes(copy.id), to_bytes(payment.id)))
        return copy

    def event(self, payment: Payment, kind: str = "succeeded", **changes: Any) -> bytes:
        """An event about a payment, with an id of its own unless `id` is given."""
        data = {"paymentId": payment.id, "amountMinor": payment.amount.amount_minor, "currency": payment.amount.currency}
        data |= {key: changes.pop(key) for key in (*data, "refundId") if key in changes}
        event = {"id": f"evt_{payment.id}_{next(_event_numbers)}", "type": f"payment.{kind}", "data": data}
        return orjson.dumps({**event, "created": int(to_unix(self.now)), **changes})

    async def deliver(self, body: bytes, *, secret: str = SECRETS[0], age: int = 0, header: str | None = None) -> None:
        """Receive a webhook, signed `age` seconds ago unless a header is given."""
        time = int(to_unix(self.now)) - age
        mac = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
        method = METHODS["ReceivePaymentWebhook"]
        metadata = {"skillforge-signature": f"t={time},v1={mac}" if header is None else header}
        deadline = asyncio.get_running_loop().time() + 10
        call = Call(method, metadata, "test", "127.0.0.1", self.now, deadline)
        reply = await self.payments.receive_payment_webhook(call, HttpBody(content_type="application/json", data=body))
        assert reply == payments_pb2.ReceivePaymentWebhookResponse(received=True)

    async def settle(self, payment: Payment, kind: str = "succeeded", **changes: Any) -> None:
        await self.deliver(self.event(payment, kind, **changes))

    async def mark(self, student: Caller, lecture_id: str, **said: Any) -> progress_pb2.MarkLectureResponse:
        return await self.run(  # type: ignore[no-any-return]
            progress_pb2.MarkLectureRequest(lecture_id=lecture_id, **said), student
        )

    async def mark_all(self, student: Caller, course: Course) -> None:
        for lecture_id in lecture_ids(course):
            await self.mark(student, lecture_id)

    async def pass_exam(self, student: Caller, course: Course) -> None:
        attempt = await self.run(quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
        done = await self.run(quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student)
        assert done.passed

    async def payloads(self, who: Caller, topic: str) -> list[bytes]:
        """The events that were written to the outbox for somebody; nothing relays them in these tests."""
        sql = "SELECT id, user_id, topic, payload FROM outbox WHERE user_id IN %s ORDER BY id"
        rows = [Row.read(*row) for row in await self.db.fetch_all(sql, ((who.user_id, NOBODY, SEVERAL),))]
        return [event.payload for row in rows for event in row.by_user().get(who.user_id, ()) if event.topic == topic]

    async def events_of(self, who: Caller, topic: str) -> int:
        """How many `payloads` there are."""
        return len(await self.payloads(who, topic))


@asynccontextmanager
async def open_school(database_url: str, redis_url: str) -> AsyncIterator[School]:
    """Services on a migrated database."""
    db = CountingDatabase(database_url)
    await Migrator(db).apply()
    await db.start()
    redis = Redis(redis_url)
    invalidations = Invalidations(redis)
    await invalidations.start()
    try:
        yield School(db, redis, invalidations)
    finally:
        await invalidations.close()
        await redis.close()
        await db.close()
