"""The fake payment provider's webhooks: retries, their limits, their order, the log, and sending again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fakes import webhooks
from fakes.webhooks import QueueFull, WebhookSender
from tests.support.manual_clock import ManualClock
from tests.support.merchant import DECLINED, PAYS, SECRET, TWICE, Api, Merchant, open_api, open_merchant
from tests.support.polling import eventually

FIRST_DELAY, MAX_DELAY, ATTEMPTS = 1.0, 4.0, 5


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    async with open_merchant() as taker:
        yield taker


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def api(tmp_path: Path, merchant: Merchant, clock: ManualClock) -> AsyncIterator[Api]:
    options = {"first_delay": FIRST_DELAY, "max_delay": MAX_DELAY, "max_attempts": ATTEMPTS}
    async with open_api(tmp_path, merchant, clock, **options) as opened:
        yield opened


async def delivery(api: Api, done: Callable[[dict[str, Any]], bool], place: int = 0) -> dict[str, Any]:
    """The newest delivery of the log, or another by its place, once it is so."""

    async def read() -> dict[str, Any]:
        return (await api.deliveries())[place]

    return await eventually(read, done)


def tried(count: int) -> Callable[[dict[str, Any]], bool]:
    """Tried so often, and waiting for the next time or done with."""
    return lambda found: len(found["attempts"]) == count and (found["nextRetry"] is not None or found["state"] != "waiting")


async def test_webhooks_are_repeated_ever_more_slowly_until_taken(api: Api, merchant: Merchant, clock: ManualClock) -> None:
    merchant.answers = [500, 302, 429, 400, 204]
    await api.paid()
    for count, longest in enumerate((1.0, 2.0, 4.0, 4.0), 1):
        found = await delivery(api, tried(count))
        assert found["state"] == "waiting"
        due = api.world.payments.webhooks.log[0].next_time
        assert due is not None
        assert longest / 2 <= due - clock.now() <= longest
        assert found["nextRetry"] == int(due)
        clock.advance(due - clock.now())
        await merchant.wait(count + 1)
    found = await delivery(api, tried(5))
    assert (found["state"], found["nextRetry"]) == ("delivered", None)
    assert [attempt["answer"] for attempt in found["attempts"]] == ["500", "302", "429", "400", "204"]
    assert all(event == merchant.events[0] for event in merchant.events)
    assert (found["eventId"], found["type"]) == (merchant.events[0]["id"], "payment.succeeded")


async def test_webhooks_are_given_up_in_the_end_and_can_be_sent_again(api: Api, merchant: Merchant, clock: ManualClock) -> None:
    sender = api.world.payments.webhooks
    sender.url = "http://127.0.0.1:1/nobody"
    await api.paid()
    for count in range(1, ATTEMPTS):
        await delivery(api, tried(count))
        clock.advance(MAX_DELAY)
    lost = await delivery(api, lambda found: found["state"] == "given up")
    assert [attempt["answer"] for attempt in lost["attempts"]] == ["ClientConnectorError"] * ATTEMPTS
    sender.url = merchant.url
    again = await api.call("POST", f"{api.world.url}/fake-pay/deliveries/{lost['id']}/send", {})
    assert (again["httpStatus"], again["state"]) == (202, "waiting")
    assert (await delivery(api, tried(ATTEMPTS + 1)))["state"] == "delivered"
    assert len(merchant.events) == 1


async def test_a_retry_can_be_hurried(api: Api, merchant: Merchant) -> None:
    merchant.answers = [500, 200]
    await api.paid()
    waiting = await delivery(api, tried(1))
    assert waiting["attempts"][0]["detail"].startswith("<b>no: 500</b>")
    assert len(waiting["attempts"][0]["detail"]) <= webhooks.DETAIL_BYTES
    await api.call("POST", f"{api.world.url}/fake-pay/deliveries/{waiting['id']}/send", {})
    assert (await delivery(api, tried(2)))["state"] == "delivered"


async def test_what_is_delivered_can_be_sent_again(api: Api, merchant: Merchant) -> None:
    await api.paid()
    done = await delivery(api, tried(1))
    for count in (2, 3):
        await api.call("POST", f"{api.world.url}/fake-pay/deliveries/{done['id']}/send", {})
        await merchant.wait(count)
        await delivery(api, tried(count))
    assert merchant.events[0] == merchant.events[2]


async def test_order_is_kept_within_a_charge_alone(api: Api, merchant: Merchant, clock: ManualClock) -> None:
    """The second webhook waits for the first; those of another payment don't."""
    merchant.answers = [500, 200]
    await api.paid(TWICE)
    await delivery(api, tried(1), place=1)
    assert (await api.deliveries())[0]["attempts"] == []
    await api.paid(DECLINED, key="key-2", paymentId="another")
    await merchant.wait(2)
    assert merchant.events[1]["type"] == "payment.failed"
    clock.advance(FIRST_DELAY)
    assert [event["type"] for event in await merchant.wait(4)][2:] == ["payment.succeeded"] * 2


async def test_the_queue_is_bounded_and_a_charge_that_cannot_be_told_is_none(api: Api) -> None:
    sender = WebhookSender("http://127.0.0.1:1/", SECRET, ManualClock(), max_waiting=2)
    try:
        event = {"id": "evt_1", "type": "payment.failed", "data": {"paymentId": "p"}}
        for _ in range(2):
            sender.send([event], delay=60)
        with pytest.raises(QueueFull):
            sender.send([event])
        assert len(sender.log) == 2
    finally:
        await sender.close()
    api.world.payments.webhooks._max_waiting = 0
    session = await api.session()
    assert (await api.pay(session["url"], PAYS))["httpStatus"] == 503
    assert (await api.standing())["status"] == "open"


async def test_the_log_is_bounded_and_can_be_filtered(api: Api, merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        await api.paid(DECLINED, key=f"key-{number}", paymentId=f"payment-{number}")
    await merchant.wait(3)
    assert len(await api.deliveries()) == 3
    async with api.http.get(f"{api.world.url}/fake-pay/deliveries?paymentId=payment-1") as response:
        page = await response.text()
    assert "payment-1" in page
    assert "payment-2" not in page
    log = api.world.payments.webhooks.log
    assert log.maxlen == webhooks.LOG_LENGTH
    log.extendleft(list(log) * 200)
    assert len(await api.deliveries()) == webhooks.LOG_LENGTH
    unknown = await api.call("POST", f"{api.world.url}/fake-pay/deliveries/whd_unknown/send", {})
    assert unknown["httpStatus"] == 404


async def test_what_a_merchant_says_cannot_harm_the_page(api: Api, merchant: Merchant) -> None:
    merchant.answers = [500]
    await api.paid(paymentId="<script>alert(1)</script>")
    await delivery(api, tried(1))
    async with api.http.get(f"{api.world.url}/fake-pay/deliveries?paymentId=%3Cscript%3Ealert(1)%3C/script%3E") as response:
        page = await response.text()
    assert "&lt;b&gt;no: 500" in page
    assert "<b>" not in page
    assert "<script>" not in page
