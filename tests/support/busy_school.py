"""A school in full swing, for tests that pull something out from under it; and the audit of what it was promised."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.ids import to_bytes
from skillforge.v1 import courses_pb2, enrollments_pb2, identity_pb2, payments_pb2
from tests.support.load import Client, Deed, Load
from tests.support.webhooks import ACTIVE, PATH, Standing, event, open_payment, signature, standing
from tests.support.world import Person, World

PUPILS, LECTURES = 4, 30
PAYERS, PAYMENTS = 3, 15
BUYERS = 15
NEWCOMERS = 20
# What a course holds at most, and less.
NEW_MODULES, NEW_LECTURES = 90, 400


@dataclass
class School:
    """Its courses and people. `payments` are open; the buyers have none yet; the newcomers no account. The author of the
    draft adds to it."""

    world: World
    free: courses_pb2.Course
    priced: courses_pb2.Course
    author: Person
    draft: courses_pb2.Course
    pupils: list[Person]
    payments: list[payments_pb2.Payment]
    buyers: list[Person]
    newcomers: list[tuple[str, Person]]

    def clients(self) -> list[Client]:
        """Readers, pupils who mark lectures, a payment provider's webhooks, buyers, and people who sign in for the first time."""
        size = len(self.payments) // PAYERS
        return [
            Client("visitor", self._visits()),
            Client("reader", self._reads(self.pupils[0])),
            *[Client(f"pupil {number}", self._marks(pupil)) for number, pupil in enumerate(self.pupils)],
            *[Client(f"webhooks {n}", self._webhooks(self.payments[n * size : (n + 1) * size])) for n in range(PAYERS)],
            Client("buyers", self._purchases()),
            Client("newcomers", self._logins()),
            Client("author", self._creations()),
        ]

    def _visits(self) -> Iterator[Deed]:
        course_id = self.free.id
        for _ in itertools.count():
            yield Deed("GET", f"/courses/{course_id}", right=partial(has, id=course_id, lectureCount=LECTURES))
            yield Deed("GET", "/courses?pageSize=2", right=lambda answer: len(answer["courses"]) == 2)
            yield Deed("GET", f"/courses?query={uuid.uuid4().hex}", right=partial(has, courses=[]))

    def _reads(self, pupil: Person) -> Iterator[Deed]:
        seen = 0

        def forward(answer: dict[str, int]) -> bool:
            nonlocal seen
            before, seen = seen, answer["lecturesCompleted"]
            return before <= seen and answer["lecturesTotal"] == LECTURES

        for lecture in itertools.cycle(self.free.modules[0].lectures):
            yield Deed("GET", f"/progress/course/{self.free.id}", pupil, right=forward)
            yield Deed("GET", f"/lectures/{lecture.id}", pupil, right=partial(has, id=lecture.id))

    def _marks(self, pupil: Person) -> Iterator[Deed]:
        for lecture in self.free.modules[0].lectures:
            body = {"lectureId": lecture.id, "completed": True}
            yield Deed("POST", "/progress/lecture", pupil, lecture.id, body, right=lambda said: "completeTime" in said["lecture"])
        for position in itertools.count():
            body = {"lectureId": lecture.id, "positionSeconds": position % 90}
            yield Deed("POST", "/progress/lecture", pupil, lecture.id, body, right=lambda said: said["course"]["certificateId"])

    def _webhooks(self, payments: list[payments_pb2.Payment]) -> Iterator[Deed]:
        """Each event twice, signed anew for every try."""

        def sign(deed: Deed) -> None:
            assert isinstance(deed.body, bytes)
            deed.headers = {"SkillForge-Signature": signature(deed.body), "Content-Type": "application/json"}

        bodies = [(payment.id, event(payment)) for payment in payments]
        for payment_id, body in itertools.cycle([item for item in bodies for _ in range(2)]):
            yield Deed("POST", PATH, None, payment_id, body, right=partial(has, received=True), remade=sign)

    def _purchases(self) -> Iterator[Deed]:
        for buyer in itertools.cycle(self.buyers):
            body, headers = {"courseId": self.priced.id}, {"Idempotency-Key": uuid.uuid4().hex}
            yield Deed("POST", "/payments/create", buyer, buyer.id, body, headers, lambda said: bool(said["checkoutUrl"]))

    def _logins(self) -> Iterator[Deed]:
        for clerk_id, person in itertools.cycle(self.newcomers):
            right = partial(has, clerkId=clerk_id, role="ROLE_STUDENT")
            yield Deed("POST", "/auth/sync-user", person, clerk_id, {}, right=right)

    def _creations(self) -> Iterator[Deed]:
        """Courses, modules and lectures, each with a title of its own."""
        for number in itertools.count():
            paths = ["/courses"]
            if number < NEW_MODULES:
                paths.append(f"/courses/{self.draft.id}/modules")
            if number < NEW_LECTURES:
                paths.append(f"/modules/{self.draft.modules[0].id}/lectures")
            for path in paths:
                title = uuid.uuid4().hex
                headers = {"Idempotency-Key": title}
                yield Deed("POST", path, self.author, title, {"title": title}, headers, partial(has, title=title))

    async def audit(self, load: Load) -> None:
        """What was acknowledged is there, and there once."""
        acknowledged = {client.name: set(client.acknowledged) for client in load.clients}
        await asyncio.gather(*(self._audit_pupil(n, acknowledged[f"pupil {n}"]) for n in range(PUPILS)))
        paid = set().union(*(acknowledged[f"webhooks {n}"] for n in range(PAYERS)))
        assert paid
        for payment in self.payments:
            if payment.id in paid:
                now = await standing(self.world, payment)
                assert now[:-1] == Standing("SUCCEEDED", 0, 1, ACTIVE, 1, 0)[:-1]
        await self._audit_counts(acknowledged)
        await self._audit_creations(acknowledged["author"])

    async def _audit_pupil(self, number: int, acknowledged: set[str]) -> None:
        pupil = self.pupils[number]
        shown = await self.world.request("GET", f"/progress/course/{self.free.id}", person=pupil)
        done = {item["lectureId"] for item in shown[2]["lectures"] if "completeTime" in item}
        assert acknowledged
        assert acknowledged <= done
        certificates = (await self.world.request("GET", "/certificates", person=pupil))[2]["certificates"]
        assert len(certificates) == (len(done) == LECTURES)

    async def _audit_creations(self, acknowledged: set[str]) -> None:
        found = """
            SELECT title FROM courses WHERE instructor_id = %s UNION ALL SELECT title FROM modules WHERE course_id = %s
            UNION ALL SELECT title FROM lectures WHERE course_id = %s
        """
        draft_id = to_bytes(self.draft.id)
        rows = await self.world.core.resources.db.fetch_all(found, (to_bytes(self.author.id), draft_id, draft_id))
        titles = Counter(title for (title,) in rows)
        assert acknowledged
        assert acknowledged <= titles.keys()
        assert [title for title, count in titles.items() if count > 1] == []

    async def _audit_counts(self, acknowledged: dict[str, set[str]]) -> None:
        db = self.world.core.resources.db
        priced = to_bytes(self.priced.id)
        buyers = tuple(to_bytes(item) for item in acknowledged["buyers"])
        opened = "SELECT COUNT(*), COUNT(DISTINCT student_id) FROM payments WHERE course_id = %s AND student_id IN %s"
        assert await db.fetch_one(opened, (priced, buyers)) == (len(buyers), len(buyers))
        newcomers = tuple(acknowledged["newcomers"])
        assert await db.fetch_one("SELECT COUNT(*) FROM users WHERE clerk_id IN %s", (newcomers,)) == (len(newcomers),)
        for course in (self.free, self.priced):
            counted = """
                SELECT enrollment_count, (SELECT COUNT(*) FROM enrollments WHERE course_id = id AND status = %s),
                  (SELECT COUNT(*) FROM entitlements WHERE course_id = id AND end_time IS NULL)
                FROM courses WHERE id = %s
            """
            row = await db.fetch_one(counted, (ACTIVE, to_bytes(course.id)))
            assert row is not None
            assert row[0] == row[1] == row[2]


def has(answer: dict[str, Any], **wanted: object) -> bool:
    """Whether the answer has these members."""
    return wanted.items() <= answer.items()


async def open_busy_school(world: World) -> School:
    """Courses, and people ready to act."""
    teacher, author = await world.person("INSTRUCTOR"), await world.person("INSTRUCTOR")
    free = await world.course(teacher, lectures=LECTURES, exam=False)
    priced = await world.course(teacher, price=4900, lectures=1, exam=False)
    pupils = [await world.person() for _ in range(PUPILS)]
    for pupil in pupils:
        await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=free.id), pupil)
    payers = await asyncio.gather(*(world.person() for _ in range(PAYERS * PAYMENTS)))
    payments = await asyncio.gather(*(open_payment(world, priced, payer) for payer in payers))
    buyers = await asyncio.gather(*(world.person() for _ in range(BUYERS)))
    draft = await world.course(author, lectures=1, publish=False)
    newcomers = [await newcomer(world) for _ in range(NEWCOMERS)]
    return School(world, free, priced, author, draft, pupils, list(payments), list(buyers), newcomers)


async def newcomer(world: World) -> tuple[str, Person]:
    """Somebody Clerk knows and we don't."""
    user, token = await world.fakes.clerk.sign_in(f"new.{uuid.uuid4().hex}@example.com", "New Comer", "STUDENT")
    return user.id, Person(token, identity_pb2.User())
