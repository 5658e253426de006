"""The fake checkout as people meet it: a real browser, from `POST /payments/create` to the unlocked course."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from skillforge.v1 import enrollments_pb2, payments_pb2
from tests.support.browser import DESKTOP, PHONE, Visitor, Visits, inaccessible, overflows
from tests.support.manual_clock import ManualClock
from tests.support.merchant import CONFIRM, DECLINED, FAILING_REFUNDS, LATE, NO_FUNDS, PAYS, SLOW_REFUNDS, TWICE, UNORDERED
from tests.support.polling import eventually
from tests.support.webhooks import new_sale
from tests.support.world import Person, World

pytestmark = pytest.mark.slow
PAY = "Pay 49.00 USD"


class Sale:
    """A student who is about to pay for a course."""

    def __init__(self, world: World, student: Person, payment: payments_pb2.Payment) -> None:
        self.world = world
        self.student = student
        self.payment = payment

    @property
    def url(self) -> str:
        return self.payment.checkout_url

    async def status(self) -> str:
        request = payments_pb2.GetPaymentRequest(payment_id=self.payment.id)
        found = await self.world.call("GetPayment", request, self.student)
        return payments_pb2.PaymentStatus.Name(found.status).removeprefix("PAYMENT_STATUS_")

    async def becomes(self, status: str) -> None:
        await eventually(self.status, lambda found: found == status)

    async def enrolled(self) -> bool:
        listed = await self.world.call("ListEnrollments", enrollments_pb2.ListEnrollmentsRequest(), self.student)
        active = enrollments_pb2.ENROLLMENT_STATUS_ACTIVE
        return [(item.course_id, item.status) for item in listed.enrollments] == [(self.payment.course_id, active)]


@pytest.fixture
async def sale(world: World) -> Sale:
    student = await world.person()
    course = await world.course(await world.person("INSTRUCTOR"), price=4900, lectures=1, exam=False)
    payment = await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=course.id), student)
    return Sale(world, student, payment)


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The provider's clock, in the test's hand."""
    moved = ManualClock()
    monkeypatch.setattr(world.fakes.payments.webhooks, "clock", moved)
    return moved


def heading(page: Page, text: str) -> Any:
    return expect(page.get_by_role("heading", level=1)).to_have_text(text)


async def choose(page: Page, card: str) -> None:
    """Click the card and pay."""
    await page.locator(f"label:has(input[value='{card}'])").click()
    await page.get_by_role("button", name=PAY).click()


@pytest.mark.parametrize("card", [PAYS, TWICE, UNORDERED, SLOW_REFUNDS, FAILING_REFUNDS])
async def test_cards_that_pay(visit: Visits, sale: Sale, card: str) -> None:
    page = (await visit()).page
    await page.goto(sale.url)
    await heading(page, "Answers")
    await choose(page, card)
    await heading(page, "Paid")
    await expect(page.get_by_text("School told (by a webhook): done")).to_be_visible()
    assert await sale.enrolled()
    assert await sale.status() == "SUCCEEDED"
    back = await page.get_by_role("link", name="Back to the course").get_attribute("href")
    assert back is not None
    assert sale.payment.id in back
    await page.goto(sale.url)
    await heading(page, "This is paid already")


@pytest.mark.parametrize(
    ("card", "message"), [(DECLINED, "The card was declined."), (NO_FUNDS, "The card has insufficient funds.")]
)
async def test_a_refused_card_and_another_try(visit: Visits, sale: Sale, card: str, message: str) -> None:
    page = (await visit()).page
    await page.goto(sale.url)
    await choose(page, card)
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text(message)
    await expect(alert).to_be_focused()
    await sale.becomes("FAILED")
    assert not await sale.enrolled()
    await choose(page, PAYS)
    await heading(page, "Paid")
    await sale.becomes("SUCCEEDED")
    assert await sale.enrolled()


async def test_confirmation_denied_and_given(visit: Visits, sale: Sale) -> None:
    page = (await visit(size=PHONE)).page
    await page.goto(sale.url)
    await choose(page, CONFIRM)
    await heading(page, "Do you want to pay this?")
    assert not await overflows(page)
    await page.get_by_role("button", name="Deny it").click()
    await expect(page.get_by_role("alert")).to_contain_text("You denied the payment.")
    await sale.becomes("FAILED")
    await choose(page, CONFIRM)
    await page.get_by_role("button", name="Confirm the payment").click()
    await heading(page, "Paid")
    await sale.becomes("SUCCEEDED")
    assert await sale.enrolled()


async def test_a_late_payment_arrives_before_one_s_eyes(visit: Visits, sale: Sale, clock: ManualClock) -> None:
    page = (await visit()).page
    await page.clock.install()
    await page.goto(sale.url)
    await choose(page, LATE)
    await heading(page, "Your payment is being processed")
    live = page.locator("[role=status]")
    await expect(live).to_be_empty()
    assert await sale.status() == "PENDING"
    clock.advance(5)
    await sale.becomes("SUCCEEDED")
    await page.clock.fast_forward(2000)
    await heading(page, "Paid")
    await expect(live).to_have_text("Paid")
    await expect(page).to_have_title("Paid – Fake Pay")
    assert await sale.enrolled()


async def test_by_keyboard_alone(visit: Visits, sale: Sale) -> None:
    page = (await visit()).page
    await page.goto(sale.url)
    keys = page.keyboard
    number = page.get_by_label("Card number")
    await number.focus()
    await keys.press("Control+A")
    await keys.type(DECLINED)
    await expect(number).to_have_value("4000 0000 0000 0002")
    await expect(page.get_by_label("Is declined")).to_be_checked()
    await keys.press("Tab")
    await expect(page.get_by_label("Is declined")).to_be_focused()
    await keys.press("ArrowUp")
    await expect(number).to_have_value("4242 4242 4242 4242")
    await keys.press("Tab")
    await expect(page.get_by_role("button", name=PAY)).to_be_focused()
    await keys.press("Enter")
    await heading(page, "Paid")
    assert await eventually(sale.enrolled)


async def test_the_tab_key_visits_everything_in_order(visit: Visits, sale: Sale) -> None:
    page = (await visit()).page
    await page.goto(sale.url)
    visited = []
    for _ in range(5):
        await page.keyboard.press("Tab")
        visited.append(await page.evaluate("document.activeElement.name || document.activeElement.textContent"))
    assert visited == ["number", "card", PAY, "Cancel and go back", "Webhook deliveries"]


async def test_without_script(visit: Visits, sale: Sale, clock: ManualClock) -> None:
    page = (await visit(script=False, size=PHONE)).page
    await page.goto(sale.url)
    await page.get_by_label("Card number").fill(LATE)
    await page.get_by_role("button", name=PAY).click()
    await heading(page, "Your payment is being processed")
    clock.advance(5)
    await sale.becomes("SUCCEEDED")
    await page.get_by_role("link", name="Check again").click()
    await heading(page, "Paid")
    assert await sale.enrolled()


async def test_a_double_click_pays_once(visit: Visits, sale: Sale) -> None:
    page = (await visit()).page
    await page.goto(sale.url)
    await page.get_by_role("button", name=PAY).dblclick()
    await heading(page, "Paid")
    await sale.becomes("SUCCEEDED")
    log = [item for item in sale.world.fakes.payments.webhooks.log if item.payment_id == sale.payment.id]
    assert len(log) == 1


async def test_two_windows_of_one_checkout(visit: Visits, sale: Sale) -> None:
    first = await visit()
    second = await visit(dark=True)
    for visitor in (first, second):
        await visitor.page.goto(sale.url)
    await choose(first.page, PAYS)
    await heading(first.page, "Paid")
    await choose(second.page, DECLINED)
    await heading(second.page, "Paid")
    await sale.becomes("SUCCEEDED")


async def test_a_checkout_that_has_expired_meanwhile(visit: Visits, sale: Sale, clock: ManualClock) -> None:
    visitor = await visit()
    visitor.forgive("status of 410")
    await visitor.page.goto(sale.url)
    clock.advance(31 * 60)
    await choose(visitor.page, PAYS)
    await heading(visitor.page, "This checkout has expired")
    assert not await sale.enrolled()


async def test_the_log_of_webhooks(visit: Visits, sale: Sale) -> None:
    page = (await visit()).page
    await page.goto(sale.url)
    await choose(page, PAYS)
    await page.get_by_role("link", name="Webhooks of this payment").click()
    await heading(page, "Webhook deliveries")
    item = page.get_by_role("listitem").filter(has_text="payment.succeeded").first
    await expect(item).to_contain_text("delivered")
    await item.get_by_text("What is sent").click()
    await expect(item).to_contain_text(f'"paymentId": "{sale.payment.id}"')
    await item.get_by_role("button", name="Send again").click()
    await expect(item).to_contain_text("Tried 2 times.")
    assert await sale.status() == "SUCCEEDED"


async def states(visitor: Visitor, sale: Sale, clock: ManualClock) -> Any:
    """The pages one may meet, one after the other, by name."""
    page = visitor.page
    await page.goto(sale.url)
    yield "checkout"
    await page.get_by_label("Card number").fill("1234")
    await page.get_by_role("button", name=PAY).click()
    await expect(page.get_by_text("This is not a test card.")).to_be_visible()
    yield "wrong number"
    await choose(page, DECLINED)
    await expect(page.get_by_role("alert")).to_be_visible()
    yield "declined"
    await choose(page, CONFIRM)
    await heading(page, "Do you want to pay this?")
    yield "confirmation"
    await page.goto(sale.url)
    await choose(page, LATE)
    await heading(page, "Your payment is being processed")
    yield "processing"
    clock.advance(5)
    await heading(page, "Paid")
    yield "paid"
    await page.goto(sale.world.fakes.url + "/fake-pay/deliveries")
    yield "deliveries"
    expired = await new_sale(sale.world)
    clock.advance(31 * 60)
    await page.goto(expired.checkout_url)
    yield "expired"
    await page.goto(sale.world.fakes.url + "/fake-pay/nothing")
    yield "no such page"


@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)], ids=["dark phone", "light desktop"])
async def test_every_page_is_accessible_and_fits(
    visit: Visits, sale: Sale, clock: ManualClock, size: tuple[int, int], dark: bool
) -> None:
    visitor = await visit(size=size, dark=dark)
    visitor.forgive("status of 4")
    seen = []
    async for name in states(visitor, sale, clock):
        assert await inaccessible(visitor.page) == [], name
        assert not await overflows(visitor.page), name
        seen.append(name)
    assert len(seen) == 9
