"""Two people in two browsers at two gateway processes: messages, typing, receipts, presence, and what breaks meanwhile."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from cli.servers import LocalServers
from tests.conftest import fresh_database, fresh_redis
from tests.support.browser import Visits
from tests.support.realtime_lab import Desk, Lab, laboratory, sit_down

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def lab(servers: LocalServers, worker_number: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    url = fresh_database(servers, f"browser_chat_{worker_number}")
    async with laboratory(tmp_path_factory.mktemp("chat"), url, fresh_redis(servers, 50 + worker_number)) as made:
        yield made


@pytest.fixture
async def desks(lab: Lab, visit: Visits) -> tuple[Desk, Desk]:
    """Ada at the first gateway, Bob at the second."""
    ada, bob = await sit_down(visit, lab.ada, lab.bob), await sit_down(visit, lab.bob, lab.ada)
    for desk in (ada, bob):
        desk.visitor.forgive("ERR_CONNECTION_RESET")  # what a cut line is called
        desk.visitor.forgive("WebSocket connection")
    return ada, bob


async def test_two_people_chat(lab: Lab, desks: tuple[Desk, Desk]) -> None:
    ada, bob = desks
    await expect(ada.page.locator("#presence")).to_have_text("online")
    await expect(bob.page.locator("#presence")).to_have_text("online")
    await ada.page.get_by_label("Message", exact=True).press_sequentially("Hel")
    await expect(bob.page.locator("#typing")).to_have_text("is typing…")
    await ada.say("Hello Bob, <b>नमस्ते</b> 👋")
    await bob.sees("Hello Bob, <b>नमस्ते</b> 👋")
    await expect(bob.page.locator("#typing")).to_have_text("")
    await expect(ada.page.locator("#receipt")).to_have_text("delivered 1, read 1")
    await bob.say("Hello Ada")
    await ada.sees("Hello Bob, <b>नमस्ते</b> 👋", "Hello Ada")

    # The lines break; both go on writing, and nothing is lost, doubled or out of order.
    lab.ada.switch.cut()
    await ada.run("for (const body of ['1', '2', '3']) lab.chat.send('%s', body)" % lab.bob.id)  # noqa: UP031
    await bob.run("lab.chat.send('%s', '4').then(() => {})" % lab.ada.id)  # noqa: UP031
    await ada.until("lab.log.arrived.length === 6")
    await bob.until("lab.log.arrived.length === 6")
    texts = await ada.page.locator("#messages li").all_inner_texts()
    assert sorted(texts[2:]) == ["1", "2", "3", "4"]
    assert [text for text in texts[2:] if text != "4"] == ["1", "2", "3"]
    await bob.sees(*texts)
    for desk in desks:
        log = await desk.log()
        assert log["arrived"] == [1, 2, 3, 4, 5, 6]
        assert log["faults"] == []
    assert [item["state"] for item in (await ada.log())["states"]] == ["connecting", "open", "waiting", "connecting", "open"]
    assert (await ada.log())["states"][-1]["recovered"] is True


async def test_clocks_that_are_wrong_by_five_minutes(lab: Lab, visit: Visits) -> None:
    """Tickets, heartbeats, typing and times go by the service's clock, or by one that only counts."""
    desks = [
        await sit_down(visit, *pair, clock_ahead=ahead) for pair, ahead in (((lab.ada, lab.bob), 300), ((lab.bob, lab.ada), -300))
    ]
    ada, bob = desks
    ahead = await ada.run("Date.now()") - await bob.run("Date.now()")
    assert abs(ahead - 600_000) < 10_000
    before = await bob.run("lab.log.arrived.length")
    await ada.page.get_by_label("Message", exact=True).press_sequentially("Hi")
    await expect(bob.page.locator("#typing")).to_have_text("is typing…")
    await ada.say("Right on time")
    await bob.until(f"lab.log.arrived.length === {before + 1}")
    # The clocks are set, and nothing falls silent or expires by it.
    for desk, to in ((ada, -300_000), (bob, 300_000)):
        await desk.run(f"lab.clockAhead = {to}")
    await bob.say("Just as you say")
    await ada.until(f"lab.log.arrived.length === {before + 2}")
    for desk in desks:
        sent = await desk.run(f"lab.chat.conversation('{(lab.bob if desk is ada else lab.ada).id}').messages.at(-1).sendTime")
        assert abs(datetime.fromisoformat(sent) - datetime.now(UTC)) < timedelta(seconds=30)
        assert abs(await desk.run("lab.connection.serverNow()") / 1000 - time.time()) < 5
        assert [item["state"] for item in (await desk.log())["states"]] == ["connecting", "open"]
        assert (await desk.log())["faults"] == []
