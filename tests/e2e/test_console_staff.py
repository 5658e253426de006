"""Those who teach, bring up and run the school, at the console: what each comes for, from the first click to the last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import Locator, expect

import tests.support
from skillforge.v1 import certificates_pb2, enrollments_pb2, families_pb2, payments_pb2, progress_pb2, quizzes_pb2
from tests.support.browser import DESKTOP, PHONE, Visits
from tests.support.console_seats import Seat, seat
from tests.support.polling import eventually
from tests.support.world import Person, World, right_answers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Sit(Protocol):
    """Sits somebody down at the console."""

    async def __call__(self, person: Person, size: tuple[int, int] = DESKTOP) -> Seat: ...


RULES = Path(tests.support.__file__).parent / "lab" / "console_rules.js"
NOTES = """# Tides

The moon pulls the water of the sea towards itself, which makes the tide. High water comes about twelve hours after the last.
Spring tides are the highest because the sun and the moon pull in one line. A neap tide is low because they pull apart.
"""


@pytest.fixture
def sit(world: World, visit: Visits) -> Sit:
    """Sits somebody of the world down at the console, at a desk or with a phone."""

    async def made(person: Person, size: tuple[int, int] = DESKTOP) -> Seat:
        return await seat(await visit(size=size), world.url, person.token)

    return made


async def write_outline(desk: Seat) -> None:
    """A new course, refused at first, gets a module with two lectures, the second of which goes up by the keyboard."""
    page = desk.page
    await desk.open("/teach", "My courses")
    await page.get_by_role("link", name="New course").first.click()
    await page.get_by_label("Title").fill("The sea")
    await desk.press("Create the draft")
    await desk.press("Publish")
    await expect(desk.dialog.get_by_role("link")).to_have_text(["Write a description.", "Add a module with a lecture."])
    await desk.dialog.get_by_role("link", name="Write a description.").click()
    await page.get_by_label("Description").fill("Why it *moves*.")
    await page.reload()
    await desk.sees("These are changes of yours that are not saved yet.")
    await desk.press("Save")
    await desk.sees("Saved.")
    await page.get_by_role("link", name="Outline").click()
    await page.get_by_label("First module").fill("Water")
    await desk.press("Add module")
    for title in ("Waves", "Tides"):
        await page.get_by_label("New lecture in Water").fill(title)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name=title, exact=True)).to_be_visible()
    await page.get_by_role("button", name="Move “Tides” up").focus()
    async with page.expect_response("**/outline"):  # the page does not wait for it
        await page.keyboard.press("Alt+ArrowUp")
        await expect(page.locator(".draft-title")).to_have_text(["Tides", "Waves"])
    await expect(page.get_by_role("button", name="Move “Tides” up")).to_be_focused()
    await page.reload()
    await expect(page.locator(".draft-title")).to_have_text(["Tides", "Waves"])
    await desk.check()


async def write_lecture(desk: Seat) -> None:
    """Notes beside what they look like, and a summary of them."""
    page = desk.page
    await page.get_by_role("link", name="Waves", exact=True).click()
    await page.get_by_role("textbox", name="Notes").fill("Wind makes waves.")
    await desk.press("Save")
    await desk.sees("The lecture is saved.")
    await page.get_by_role("link", name="Before: Tides").click()
    await expect(page.get_by_role("heading", level=2, name="Tides")).to_be_visible()
    await page.get_by_role("textbox", name="Notes").fill(NOTES)
    await expect(page.get_by_role("region", name="How the notes look").get_by_role("heading", name="Tides")).to_be_visible()
    await desk.press("Save")
    await expect(page.get_by_role("button", name="Draft a summary")).to_be_visible()
    await desk.press("Draft a summary")
    await desk.sees("Check it before you use it.")


async def write_quiz(desk: Seat) -> None:
    """A question by hand, refused beside it while it has no right answer; others drafted from the notes, with their sentence."""
    page = desk.page
    await page.get_by_role("link", name="Write a quiz").click()
    await desk.press("Add a question")
    question = page.get_by_role("region", name="Question 1")
    await question.get_by_label("Question", exact=True).fill("What pulls at the sea?")
    await question.get_by_label("Choice 1", exact=True).fill("The moon")
    await question.get_by_label("Choice 2", exact=True).fill("The fish")
    await desk.press("Save")
    await expect(question.get_by_role("alert")).to_contain_text("The right answer is missing")
    await question.get_by_label("Choice 1 is right").check()
    await desk.press("Draft questions")
    await desk.press("Draft", desk.dialog)
    sentence = desk.dialog.locator(".draft-evidence").first
    await expect(sentence).to_be_visible()
    assert await sentence.inner_text() in NOTES.replace("\n", " ")
    await desk.press("Add to the quiz", desk.dialog)
    await expect(page.get_by_role("region", name="Question 2")).to_contain_text("the sentence that supports the right answer")
    await desk.press("Save")
    await desk.sees("The questions are saved.")
    await desk.check()


async def test_an_instructor_writes_a_course_and_follows_it(world: World, sit: Sit) -> None:
    teacher = await world.person("INSTRUCTOR", "Marie Tharp")
    desk = await sit(teacher)
    desk.visitor.forgive("status of 400")  # what is refused on the way
    await write_outline(desk)
    await write_lecture(desk)
    await write_quiz(desk)
    await desk.press("Publish")
    await desk.sees("Published")

    # Somebody enrols and begins: the gradebook, their page, the figures.
    page = desk.page
    course_id = page.url.split("/teach/")[1].split("/")[0]
    student = await world.person("STUDENT", "Sam Field")
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course_id), student)
    await page.get_by_role("link", name="Students").click()
    await page.get_by_role("link", name="Sam Field").click()
    await expect(page.get_by_role("heading", name="Sam Field")).to_be_visible()
    await desk.press("Draft feedback")
    await desk.sees("Picked from the record itself")
    await page.get_by_role("link", name="Students").click()
    await page.get_by_role("button", name="Progress").click()
    await expect(page.get_by_role("columnheader", name="Progress")).to_have_attribute("aria-sort", "descending")
    async with page.expect_download() as download:
        await desk.press("Download CSV")
    saved = await download.value
    assert saved.suggested_filename == "the-sea-grades.csv"
    assert "Sam Field" in (await saved.path()).read_text("utf-8")
    await page.get_by_role("link", name="Insights").click()
    await expect(page.get_by_role("img", name=re.compile("New students"))).to_be_visible()
    await desk.check()


async def learned(world: World) -> tuple[Person, Person, Any]:
    """A student with a certificate of a course, and its teacher."""
    teacher, student = await world.person("INSTRUCTOR", "Tim Teacher"), await world.person("STUDENT", "Mina Kind")
    course = await world.course(teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    return teacher, student, course


async def complete(world: World, student: Person, course: Any) -> None:
    for module in course.modules:
        for lecture in module.lectures:
            await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id), student)
    started = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    answers = quizzes_pb2.SubmitAttemptRequest(attempt_id=started.id, answers=right_answers())
    await world.call("SubmitAttempt", answers, student)


async def test_a_parent_follows_a_child(world: World, sit: Sit) -> None:
    _, child, course = await learned(world)
    parent = await world.person("PARENT", "Mother Kind")
    phone = await sit(parent, PHONE)
    phone.visitor.forgive("status of 400")
    page = phone.page
    await phone.open("/family", "My children")
    await page.get_by_role("button", name="Add a child").first.click()
    await page.get_by_label("Link code").fill("0000-0000")
    await phone.press("Link")
    await expect(phone.dialog.get_by_role("alert")).to_be_visible()
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), child)
    await page.get_by_label("Link code").fill(code.code.lower())
    await phone.press("Link")
    await expect(page.get_by_role("link", name="Mina Kind")).to_be_visible()
    await phone.check()

    # The child gets on while the page is open, and it follows by itself.
    await complete(world, child, course)
    await phone.sees("Mina Kind got further in")
    await expect(page.get_by_text("1 course, 1 completed")).to_be_visible()
    await page.get_by_role("link", name="Mina Kind").click()
    await page.get_by_role("tab", name="Certificates").click()
    async with page.expect_download() as download:
        await phone.press("Download")
    assert (await (await download.value).path()).read_bytes().startswith(b"%PDF")
    await page.get_by_role("tab", name="Quizzes and exams").click()
    await page.get_by_role("link", name="Attempt 1").click()
    await phone.sees("Passed")
    await page.go_back()
    await page.get_by_role("tab", name="Courses").click()
    await phone.press("Unlink")
    await phone.press("Unlink", page.get_by_role("dialog", name="Unlink Mina Kind?"))
    await phone.sees("No child is linked yet")


async def test_an_administrator_runs_the_school(world: World, sit: Sit) -> None:
    admin = await world.person("ADMIN", "Grace Admin")
    _, student, course = await learned(world)
    await complete(world, student, course)
    found = await world.call("ListCertificates", certificates_pb2.ListCertificatesRequest(), student)
    payment = await paid(world, student)
    desk = await sit(admin)
    page = desk.page
    await desk.open("/admin/overview", "Platform")
    await desk.check()
    await person_is_suspended(desk, student)
    await desk.open(f"/admin/people/{student.id}", "Mina Kind")
    await page.get_by_role("tab", name="Payments").click()
    await desk.press("Refund")
    await page.get_by_label("Reason").fill("Asked for it")
    await desk.press("Give it back")
    await desk.sees("were given back")
    assert (await world.call("GetPayment", payments_pb2.GetPaymentRequest(payment_id=payment), admin)).refunded_minor == 4900

    await desk.open("/admin/certificates", "Certificates")
    await page.get_by_label("Number of the certificate").fill(found.certificates[0].id)
    await desk.press("Find")
    await desk.press("Revoke")
    await page.get_by_label("Reason").select_option("Misconduct")
    await desk.press("Revoke the certificate")
    await desk.sees("Revoked")
    await page.get_by_role("link", name="Audit log").click()
    line: Locator = page.get_by_role("listitem").filter(has_text="certificate.revoke").first
    await expect(line).to_contain_text("Grace Admin")
    await line.locator("summary").click()
    await expect(line.get_by_role("row").filter(has_text="status")).to_be_visible()
    await desk.check()


async def person_is_suspended(desk: Seat, student: Person) -> None:
    """Found by the beginning of the name, suspended, and let in again."""
    page = desk.page
    await page.get_by_role("link", name="People", exact=True).click()
    await page.get_by_label("Name or e-mail").fill(student.user.email)
    await expect(page.get_by_role("row")).to_have_count(2)
    await page.get_by_role("link", name="Mina Kind").click()
    await desk.press("Suspend the account")
    await desk.press("Suspend", desk.dialog)
    await desk.sees("Suspended")
    await desk.press("Let them in again")
    await desk.sees("The account is active again.")


async def paid(world: World, student: Person) -> str:
    """A payment that succeeded; its id."""
    course = await world.course(await world.person("INSTRUCTOR"), price=4900)
    payment = await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=course.id), student)
    async with world.session.post(payment.checkout_url, json={"card": "4242424242424242"}) as answer:
        assert answer.status == 200

    async def state() -> int:
        found = await world.call("GetPayment", payments_pb2.GetPaymentRequest(payment_id=payment.id), student)
        return int(found.status)

    await eventually(state, lambda status: status == payments_pb2.PAYMENT_STATUS_SUCCEEDED)
    return str(payment.id)


async def test_the_rules_of_the_pages(world: World, visit: Visits) -> None:
    """What the pages decide by themselves: moving in an outline, scales of charts, addresses in texts, a question's kinds."""
    page = (await visit()).page
    await page.goto(world.url)
    assert await page.evaluate(RULES.read_text()) == []
