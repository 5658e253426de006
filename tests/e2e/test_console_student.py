"""The console as students meet it, in a real browser: from the catalogue to the certificate, and when things go wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from skillforge.v1 import courses_pb2, enrollments_pb2, progress_pb2
from tests.support.browser import PHONE, Visits
from tests.support.console import Console, suggest, write_course
from tests.support.merchant import DECLINED, PAYS
from tests.support.world import Person, World

pytestmark = pytest.mark.slow
NAME = "Mira Holm"
PAY = "Pay 19.00 USD"


@pytest.fixture
async def mira(world: World, monkeypatch: pytest.MonkeyPatch) -> Person:
    """A student whom the welcome page suggests."""
    person = await world.person(name=NAME)
    suggest(world, monkeypatch, person)
    return person


async def come_in(world: World, visit: Visits, person: Person, **look: object) -> Console:
    console = Console(world, await visit(**look))  # type: ignore[arg-type]
    await console.sign_in(person.user.display_name)
    return console


async def pay(page: Page, card: str) -> None:
    """At the provider's checkout, and back."""
    await page.get_by_label("Card number").fill(card)
    await page.get_by_role("button", name=PAY).click()


async def answer_exam(page: Page) -> None:
    """All right."""
    await page.get_by_label("A cork").check()
    await page.get_by_role("textbox", name="Kilograms of a litre?").fill("1")
    await page.get_by_role("textbox", name="Who ran naked?").fill("archimedes")


async def learned(world: World, student: Person, course: courses_pb2.Course) -> None:
    """The student is in a free course and has completed its lectures."""
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    for module in course.modules:
        for lecture in module.lectures:
            await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id), student)


async def test_from_the_catalogue_to_the_certificate(world: World, visit: Visits, mira: Person, tmp_path: Path) -> None:
    course = await write_course(world, await world.person("INSTRUCTOR", "Ida Berg"))
    console = await come_in(world, visit, mira)
    page = console.page
    await expect(page.get_by_role("heading", name="Nothing to learn?")).to_be_visible()
    await console.open("/courses", heading="Courses")
    await page.get_by_role("searchbox").fill("things float")
    await page.get_by_role("link", name=course.title).first.click()
    await console.settled(course.title)

    await console.press("Buy this course")
    await pay(page, PAYS)
    await console.press("Back to the course", "link")
    await expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    await console.press("To the course", "link")
    await console.settled(course.title)

    await console.press("Start learning", "link")
    await console.settled("Pushing back")
    await expect(page.get_by_role("link", name="a good one")).to_have_attribute("rel", re.compile("noopener"))
    assert await page.get_by_role("link", name="a link").count() == 0
    # The end of the video completes the lecture by itself.
    await page.evaluate("document.querySelector('video').currentTime = 23")
    await page.evaluate("document.querySelector('video').play()")
    await expect(page.locator(".done-mark")).to_be_visible()
    await console.press("Take the quiz", "link")
    await console.press("Start")
    await page.get_by_label("A stone").check()
    await console.press("Hand in")
    await expect(page.get_by_role("heading", name="Not passed")).to_be_visible()
    await expect(page.get_by_text("A cork is lighter than the water in its place.")).to_be_visible()
    await console.press("Back to the lecture", "link")
    await console.press("Next", "link")
    await console.settled("Heavy and light")
    await console.press("Mark as complete")

    await page.locator(".lesson-nav").get_by_role("link", name="Final exam").click()
    await console.press("Start the exam")
    await expect(page.get_by_role("timer")).to_contain_text(re.compile(r"9:\d\d|10:00"))
    await answer_exam(page)
    await expect(page.get_by_text("Saved at")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("textbox", name="Who ran naked?")).to_have_value("archimedes")
    await console.press("Hand in")
    await expect(page.get_by_role("heading", name="Passed")).to_be_visible()
    await page.get_by_role("main").get_by_role("link", name="Your certificate").click()

    async with page.expect_download() as waiting:
        await console.press("Download PDF")
    file = tmp_path / "certificate.pdf"
    await (await waiting.value).save_as(file)
    await console.open("/verify", heading="Verify a certificate")
    await page.get_by_label("The certificate's PDF").set_input_files(file)
    await console.press("Check the file")
    await expect(page.get_by_role("heading", name="This file is genuine and unchanged")).to_be_visible()


async def test_a_refused_card_and_another_one(world: World, visit: Visits, mira: Person) -> None:
    course = await write_course(world, await world.person("INSTRUCTOR"))
    console = await come_in(world, visit, mira)
    page = console.page
    page.context.set_default_timeout(15_000)
    await console.open(f"/courses/{course.id}", heading=course.title)
    await page.get_by_text("I have a coupon").click()
    await page.get_by_label("Coupon code").fill("NO-SUCH-COUPON")
    await console.press("Buy this course")
    await expect(page.get_by_role("alert")).to_be_visible()
    console.visitor.forgive("status of 4")  # the coupon, and the checkout's word on the card
    await page.get_by_label("Coupon code").fill("")
    await console.press("Buy this course")
    await pay(page, DECLINED)
    await expect(page.get_by_role("alert")).to_contain_text("declined")
    payments = await world.request("GET", "/payments", person=mira)
    await console.open(f"/payments/{payments[2]['payments'][0]['id']}")
    await expect(page.get_by_role("heading", name="The payment failed")).to_be_visible()
    await console.press("Try again")
    await pay(page, PAYS)
    await console.press("Back to the course", "link")
    await expect(page.get_by_role("heading", name="Paid")).to_be_visible()


async def test_an_exam_survives_a_lost_connection_and_ends_by_the_clock(world: World, visit: Visits, mira: Person) -> None:
    course = await write_course(world, await world.person("INSTRUCTOR"), price=0)
    await learned(world, mira, course)
    console = await come_in(world, visit, mira)
    page = console.page
    await page.clock.install()
    await console.open(f"/quizzes/{course.exam_id}", heading="Final exam")
    await console.press("Start the exam")
    await expect(page.get_by_role("timer")).to_be_visible()
    console.visitor.forgive("ERR_INTERNET_DISCONNECTED")
    await page.context.set_offline(True)
    await page.get_by_label("A cork").check()
    await page.get_by_role("textbox", name="Kilograms of a litre?").fill("1")
    await page.clock.run_for(3000)
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await page.context.set_offline(False)
    await page.clock.run_for(6000)
    await expect(page.get_by_text("Saved at")).to_be_visible()
    await page.clock.fast_forward(610_000)  # the seconds skipped before are not of the server
    await expect(page.get_by_role("heading", name="Passed")).to_be_visible()
    await expect(page.get_by_text("2 of 3 points")).to_be_visible()


async def test_what_is_shown_when_it_does_not_work(world: World, visit: Visits, mira: Person) -> None:
    console = await come_in(world, visit, mira)
    page, visitor = console.page, console.visitor
    visitor.forgive("status of ")
    await console.open("/courses/01a205bc-0000-7000-8000-000000000000", heading="This is not here for you")
    await console.open("/nowhere", heading="Page not found")
    await console.open("/teach", heading="Page not found")

    async def fail(route: Route) -> None:
        await route.fulfill(status=500, json={"detail": "", "instance": "request-1"})

    await page.route("**/enrollments*", fail)
    await console.open("/learning", heading="This did not work")
    await expect(page.get_by_text("Request request-1")).to_be_visible()
    await console.is_sound()
    await page.unroute("**/enrollments*")
    await console.press("Try again")
    await console.settled(f"Hello, {NAME.split()[0]}")

    # A session that ended elsewhere, and an issuer that gives no other: back to the welcome page, and on from there.
    await page.route("**/dev/sign-in", fail)
    await world.request("POST", "/auth/sign-out", person=Person(await kept_token(page), mira.user), json={})
    await console.open("/payments", heading=re.compile("Learn it"))
    await page.unroute("**/dev/sign-in")
    await page.get_by_role("button", name=NAME).click()
    await console.settled("Payments")


async def kept_token(page: Page) -> str:
    return str(await page.evaluate("JSON.parse(sessionStorage['skillforge.session']).token"))


@pytest.mark.parametrize("look", [{}, {"dark": True, "size": PHONE}], ids=["light desktop", "dark phone"])
async def test_every_page_is_accessible(world: World, visit: Visits, mira: Person, look: dict[str, object]) -> None:
    course = await write_course(world, await world.person("INSTRUCTOR"), price=0)
    console = Console(world, await visit(**look))  # type: ignore[arg-type]
    page = console.page
    for path in ("/welcome", "/courses", f"/courses/{course.id}", "/verify"):
        await console.open(path, heading=re.compile("."))
        await console.is_sound()
    await learned(world, mira, course)
    await console.sign_in(NAME)
    lecture = course.modules[0].lectures[0]
    for path in ("/learning", f"/courses/{course.id}", f"/learn/{course.id}/{lecture.id}", f"/quizzes/{course.exam_id}"):
        await console.open(path, heading=re.compile("."))
        await console.is_sound()
    await console.press("Start the exam")
    await answer_exam(page)
    await console.is_sound()
    await console.press("Hand in")
    await expect(page.get_by_role("heading", name="Passed")).to_be_visible()
    for path in ("", "/certificates", "/payments", "/account"):
        await console.open(path, heading=re.compile(".")) if path else None
        await console.is_sound()


async def test_keyboard_alone(world: World, visit: Visits, mira: Person) -> None:
    """The skip link, the person's menu, a dialog that gives the focus back."""
    console = await come_in(world, visit, mira)
    page = console.page
    await console.open("/account", heading="My account")
    await page.reload()
    await console.settled("My account")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    invite = page.get_by_role("button", name="Invite a parent")
    await invite.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}"))
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    menu = page.get_by_role("button", name=f"{NAME},")
    await menu.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="My account")).to_be_focused()
