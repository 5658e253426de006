"""Payments when a provider answers badly, late or never, and when a process is killed between a commit and its news."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis

from cli.servers import LocalServers
from core.ids import to_bytes
from core.payments.providers import ProviderUnavailable, fake
from core.payments.providers.fake import FakeProvider
from core.redis import keys
from core.times import utc_now
from fakes.web import Mode
from skillforge.v1 import payments_pb2
from tests.conftest import fresh_database
from tests.support.installation import Installation, installed
from tests.support.processes import Running, children, is_ready
from tests.support.webhooks import event, new_sale, open_payment, pay, signature, standing
from tests.support.world import World

PATIENCE = 0.3  # seconds that the core waits for the provider here
MADE = payments_pb2.REFUND_STATUS_SUCCEEDED
OPEN = payments_pb2.REFUND_STATUS_PENDING
WORKER = "from multiprocessing.spawn"


@contextmanager
def provider_is(world: World, mode: Mode) -> Iterator[None]:
    """503 at once, or no answer for longer than anybody waits."""
    outage = world.fakes.payments.outage
    outage.mode = mode
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fake, "TIMEOUT_SECONDS", PATIENCE)
            yield
    finally:
        outage.mode = Mode.UP


@contextmanager
def answers_get_lost() -> Iterator[None]:
    """The provider does what it is asked for, and its answer comes too late."""
    whole = FakeProvider._ask

    async def ask(self: FakeProvider, *arguments: Any, **options: Any) -> Any:
        await whole(self, *arguments, **options)
        raise ProviderUnavailable("too late")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeProvider, "_ask", ask)
        yield


FAULTS = ["down", "silent", "too late"]


def fault(world: World, name: str) -> Any:
    return answers_get_lost() if name == "too late" else provider_is(world, Mode(name))


@pytest.mark.parametrize("name", FAULTS)
async def test_a_checkout_at_a_provider_that_fails(world: World, name: str) -> None:
    course = await world.course(await world.person("INSTRUCTOR"), price=4900, lectures=1, exam=False)
    student = await world.person()
    request = payments_pb2.CreatePaymentRequest(course_id=course.id)
    with fault(world, name):
        started = time.monotonic()
        outcome = await world.rest.call("CreatePayment", request, student.token)
        assert (outcome.code, outcome.reason) == ("UNAVAILABLE", "PAYMENT_PROVIDER_UNAVAILABLE")
        assert time.monotonic() - started < 3
    [kept] = (await world.call("ListPayments", payments_pb2.ListPaymentsRequest(), student)).payments
    payment = await open_payment(world, course, student)
    assert payment.id == kept.id
    await pay(world, payment)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_refund_at_a_provider_that_fails(world: World, name: str) -> None:
    payment, admin = await new_sale(world), await world.person("ADMIN")
    await pay(world, payment)
    request = payments_pb2.RefundPaymentRequest(payment_id=payment.id, amount_minor=900, reason="Half of it was missing")
    with fault(world, name):
        started = time.monotonic()
        refund = await world.call("RefundPayment", request, admin)
        assert time.monotonic() - started < 3
    assert name == "too late" or refund.status == OPEN
    assert (await standing(world, payment)).entitlements == 1
    await world.core._payments.complete_refunds(utc_now() + timedelta(minutes=2), 1000)
    after = await standing(world, payment)
    assert (after.payment, after.refunded, after.entitlements) == ("PARTIALLY_REFUNDED", 900, 1)
    shown = await world.call("GetPayment", payments_pb2.GetPaymentRequest(payment_id=payment.id), admin)
    assert [(item.id, item.status) for item in shown.refunds] == [(refund.id, MADE)]
    there = world.fakes.payments.ledger.find(payment.id)
    assert there is not None
    assert [item.order.amount_minor for item in there.refunds] == [900]


@pytest.fixture
def database(worker_number: int) -> str:
    return f"killed_{worker_number}"


@pytest.fixture
def installation(servers: LocalServers, own_redis: LocalServers, database: str, tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path, fresh_database(servers, database), own_redis.redis_url()) as made:
        yield made


@contextmanager
def serving(installation: Installation) -> Iterator[Running]:
    arguments = ("--port", installation.port, "--grpc-port", installation.grpc_port)
    log = installation.folder / f"serve-{time.monotonic_ns()}.log"
    with Running(log, "serve", *arguments, settings=installation.settings) as running:
        yield running


def post_webhook(url: str, body: bytes) -> int:
    headers = {"Content-Type": "application/json", "SkillForge-Signature": signature(body)}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/payments/webhook", body, headers), timeout=10) as answer:
        return int(answer.status)


@pytest.mark.slow
def test_killed_between_the_commit_of_a_payment_and_its_news(
    installation: Installation, servers: LocalServers, own_redis: LocalServers, database: str
) -> None:
    """Redis is away, so the news waits; then the only process that knows of it is gone, and the news comes all the same."""

    def rows(sql: str) -> int:
        with pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=database) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return int(cursor.fetchall()[0][0])

    def call(*arguments: Any) -> Any:
        return installation.call(*arguments)

    with serving(installation) as serve:
        serve.wait_until(lambda: is_ready(installation.url))
        teacher = installation.sign_in("teacher@example.com", "INSTRUCTOR")
        student = installation.sign_in("student@example.com", "STUDENT")
        course = installation.course(teacher, price=4900)
        payment = call("POST", "/payments/create", student, {"courseId": course["id"]})
        own_redis.stop_redis(kill=True)
        money = payment["amount"]
        told = payments_pb2.Payment(id=payment["id"], student_id=payment["studentId"])
        told.amount.amount_minor, told.amount.currency = int(money["amountMinor"]), money["currency"]
        assert post_webhook(installation.url, event(told)) == 200
        assert rows("SELECT COUNT(*) FROM outbox") == 1
        # The worker and, before it could start another, its supervisor.
        pids = [*children(serve.process.pid, ""), serve.process.pid]
        workers = [worker for pid in pids for worker in children(pid, WORKER)]
        for pid in [*workers, *pids]:
            os.kill(pid, signal.SIGKILL)
        serve.process.wait(10)
    own_redis.start_redis()
    with redis.Redis.from_url(own_redis.redis_url()) as client:
        stream = keys.events(to_bytes(payment["studentId"]))
        assert client.xlen(stream) == 0
        with serving(installation) as again:
            again.wait_until(lambda: rows("SELECT COUNT(*) FROM outbox") == 0)
            topics = [fields[b"topic"].decode() for _, fields in client.xrange(stream)]
            assert sorted(topics) == ["enrollment.unlocked", "payment.updated"]
            again.wait_until(lambda: is_ready(installation.url))
            [enrollment] = call("GET", "/enrollments", student)["enrollments"]
            assert (enrollment["courseId"], enrollment["status"]) == (course["id"], "ENROLLMENT_STATUS_ACTIVE")
            assert post_webhook(installation.url, event(told)) == 200
            assert rows("SELECT COUNT(*) FROM payment_ledger") == 1
