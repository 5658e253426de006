"""Two people at the console, each in a browser of their own and at another gateway process: friends, chat, a video call, and a
gateway that is lost in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, Page, expect

from cli.servers import LocalServers
from tests.conftest import fresh_database, fresh_redis
from tests.support.browser import PHONE, Visits
from tests.support.console_seats import Seat, seat
from tests.support.realtime_lab import Lab, laboratory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
async def lab(servers: LocalServers, worker_number: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    url = fresh_database(servers, f"console_people_{worker_number}")
    async with laboratory(tmp_path_factory.mktemp("people"), url, fresh_redis(servers, 58 + worker_number)) as made:
        yield made


async def both(lab: Lab, visit: Visits) -> tuple[Seat, Seat]:
    """Ada at a desk, Bob with a phone."""
    ada = await seat(await visit(media=True), lab.ada.switch.url, lab.ada.token)
    bob = await seat(await visit(media=True, size=PHONE), lab.bob.switch.url, lab.bob.token)
    for one in (ada, bob):
        for text in ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "WebSocket connection"):  # what a lost line is called
            one.visitor.forgive(text)
    return ada, bob


def writing(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message")


async def end_and_ask_again(ada: Seat, bob: Seat) -> None:
    """Ada ends the friendship and asks anew, by e-mail; Bob is told wherever he is, and accepts."""
    await ada.open("/friends")
    await bob.open("/calls", "Calls")
    await ada.press("More about bob")
    await ada.press("End friendship", ada.page.get_by_role("dialog"))
    await ada.press("End friendship", ada.page.get_by_role("dialog", name="End the friendship?"))
    await expect(ada.page.get_by_text("Nobody here yet")).to_be_visible()
    await ada.page.get_by_role("button", name="Add a friend").first.click()
    await ada.page.get_by_label("E-mail address").fill("nobody at all")
    await ada.press("Send request")
    await expect(ada.page.get_by_label("E-mail address")).to_have_attribute("aria-invalid", "true")
    await ada.page.get_by_label("E-mail address").fill("bob@example.com")
    await ada.press("Send request")
    await bob.press("Answer", bob.page.get_by_text("ada would like to be friends.").locator(".."))
    await bob.press("Accept")
    await expect(ada.page.get_by_text("You and bob are friends now.")).to_be_visible()
    await expect(ada.page.get_by_text("Online", exact=True)).to_be_visible()
    await bob.check()


async def test_two_people_meet_chat_and_call(lab: Lab, visit: Visits) -> None:
    ada, bob = await both(lab, visit)
    await end_and_ask_again(ada, bob)

    # They chat: presence, typing, receipts; a draft outlives a reload.
    await ada.page.get_by_role("link", name="Message bob").click()
    await bob.open(f"/chat/{lab.ada.id}")
    await writing(ada.page).press_sequentially("Hel")
    await expect(bob.page.get_by_text("ada is typing…")).to_be_visible()
    await ada.page.reload()
    await expect(writing(ada.page)).to_have_value("Hel")
    await writing(ada.page).fill("Hello Bob, <b>नमस्ते</b>")
    await writing(ada.page).press("Enter")
    await expect(bob.page.get_by_role("log").get_by_text("Hello Bob, <b>नमस्ते</b>")).to_be_visible()
    await expect(ada.page.get_by_text("Read", exact=True)).to_be_visible()
    await ada.check()

    # The line breaks: what is written meanwhile arrives behind it, and Bob hears of it on another page.
    await bob.open("/friends")
    lab.ada.switch.target, right = 1, lab.ada.switch.target
    lab.ada.switch.cut()
    await expect(ada.page.get_by_text("Connection lost")).to_be_visible()
    await writing(ada.page).fill("Are you there?")
    await writing(ada.page).press("Enter")
    await expect(ada.page.get_by_text("Sending…")).to_be_visible()
    lab.ada.switch.target = right
    await expect(bob.page.get_by_text("ada: Are you there?")).to_be_visible(timeout=20_000)
    await expect(ada.page.get_by_text("Sending…")).to_have_count(0)
    await bob.press("Reply")
    await expect(bob.page.get_by_role("log").get_by_text("Are you there?")).to_be_visible()
    await video_call(lab, ada, bob)


async def video_call(lab: Lab, ada: Seat, bob: Seat) -> None:
    """Ada calls; Bob declines, then answers; her gateway is killed, and the call goes on; he hangs up."""
    await ada.press("Video call with bob")
    await bob.press("Decline", bob.page.get_by_role("dialog", name="ada is calling"))
    await expect(ada.page.get_by_text("bob declined the call.")).to_be_visible()
    await ada.press("Video call")
    await expect(bob.page.get_by_role("dialog", name="ada is calling")).to_be_visible()
    await bob.check()
    await bob.press("Answer")
    for one in (ada, bob):
        await expect(one.page.get_by_text("In call")).to_be_attached(timeout=20_000)
    await asyncio.gather(ada.flow(), bob.flow())
    await ada.press("Mute microphone")
    await ada.press("Unmute microphone")
    await bob.check()

    # Another page: the call goes on beside it. Then the gateway dies; media do not.
    await ada.page.get_by_role("link", name="Friends").click()
    await expect(ada.page.get_by_role("region", name="Call")).to_be_visible()
    await asyncio.to_thread(lab.gateways[0].kill)
    lab.ada.switch.target = lab.gateways[1].port
    lab.ada.switch.cut()
    await asyncio.gather(ada.flow(), bob.flow())
    await ada.page.get_by_role("link", name="Return").click()
    await expect(ada.page.get_by_role("button", name="Hang up")).to_be_visible()
    await expect(ada.page.locator(".connection")).to_be_empty()  # she is connected again, at the other gateway
    await bob.press("Hang up")
    for one in (ada, bob):
        await expect(one.page.get_by_text("The call has ended.")).to_be_visible()
    await ada.open("/calls")
    await expect(ada.page.get_by_text("Outgoing").first).to_be_visible()
