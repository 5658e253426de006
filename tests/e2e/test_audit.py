"""GET /admin/audit-events: every audited call leaves one event that says who did what to what, and none ever changes it."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from contract.methods import load_methods
from skillforge.v1 import audit_pb2, courses_pb2
from tests.support.audited_calls import STEPS, Stage
from tests.support.world import Person, World

AUDITED = {method.name: method.audit for method in load_methods() if method.audit}
ALL_EVENTS = "SELECT id, actor_id, action, target_type, target_id, before_state, after_state, request_id, create_time"


async def events(world: World, admin: Person, **wanted: Any) -> list[audit_pb2.AuditEvent]:
    found: list[audit_pb2.AuditEvent] = []
    request = audit_pb2.ListAuditEventsRequest(page_size=100, **wanted)
    while True:
        page = await world.call("ListAuditEvents", request, admin)
        found += page.events
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


@pytest.fixture(scope="module")
async def admin(world: World) -> Person:
    return await world.person("ADMIN")


def test_every_audited_method_is_tried() -> None:
    assert STEPS.keys() == AUDITED.keys(), "say above how to make the call"


@pytest.mark.parametrize("name", AUDITED)
async def test_an_audited_call_leaves_one_event(world: World, admin: Person, name: str) -> None:
    did = await STEPS[name](Stage(world))
    request_id = f"audit-{uuid.uuid4()}"
    started = datetime.now(UTC) - timedelta(seconds=1)
    outcome = await world.rest.call(name, did.request, did.who.token, x_request_id=request_id)
    assert outcome.ok, outcome
    actor_id = outcome.message.id if name == "SyncUser" else did.who.id
    found = await events(world, admin, actor_id=actor_id, start_time=started)
    [event] = [item for item in found if item.request_id == request_id]
    assert (event.actor.id, event.action, event.target_type) == (actor_id, AUDITED[name], did.target)
    assert event.target_id
    assert event.create_time.ToDatetime(UTC) > started
    before, after = MessageToDict(event.before), MessageToDict(event.after)
    assert set(before) == did.before
    assert set(after) == did.after
    assert before != after or not before
    assert len(str(before)) + len(str(after)) < 2000
    assert not [word for word in (did.who.user.email, did.who.user.display_name) if word in f"{before}{after}"]


async def test_a_call_that_fails_leaves_none(world: World, admin: Person) -> None:
    teacher = await world.person("INSTRUCTOR")
    empty = await world.course(teacher, lectures=0, exam=False, publish=False)
    request_id = f"audit-{uuid.uuid4()}"
    request = courses_pb2.PublishCourseRequest(course_id=empty.id)
    outcome = await world.rest.call("PublishCourse", request, teacher.token, x_request_id=request_id)
    assert outcome.reason == "COURSE_NOT_PUBLISHABLE"
    assert request_id not in {item.request_id for item in await events(world, admin, actor_id=teacher.id)}


def test_nothing_but_an_insert_writes_to_the_log() -> None:
    """No statement of the core changes or deletes an event."""
    root = Path(__file__).resolve().parents[2]
    writing = re.compile(r"(UPDATE|DELETE\s+FROM|REPLACE\s+INTO|TRUNCATE(\s+TABLE)?)\s+audit_events", re.IGNORECASE)
    assert [str(path) for path in (root / "core").rglob("*.py") if writing.search(path.read_text())] == []


async def test_no_call_changes_an_event(world: World) -> None:
    """Every event that is there stays as it is, byte for byte, whatever audited calls come after."""
    db = world.core.resources.db
    before = await db.fetch_all(f"{ALL_EVENTS} FROM audit_events ORDER BY id")
    for make in STEPS.values():
        did = await make(Stage(world))
        name = type(did.request).__name__.removesuffix("Request")
        await world.call(name, did.request, did.who)
    kept = await db.fetch_all(f"{ALL_EVENTS} FROM audit_events WHERE id IN %s ORDER BY id", ([row[0] for row in before],))
    assert kept == before


# The list


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_filters(world: World, admin: Person, door: str) -> None:
    teacher, other = await world.person("INSTRUCTOR"), await world.person("INSTRUCTOR")
    course = await world.course(teacher)
    await world.course(other)

    async def actions(**wanted: Any) -> list[str]:
        outcome = await world.doors[door].call("ListAuditEvents", audit_pb2.ListAuditEventsRequest(**wanted), admin.token)
        assert outcome.ok, outcome
        return [event.action for event in outcome.message.events]

    made = ["course.publish", "exam.put", "lecture.create", "lecture.create", "module.create", "course.create", "user.create"]
    assert await actions(actor_id=teacher.id) == made
    assert await actions(actor_id=teacher.id, action="lecture.create") == ["lecture.create"] * 2
    assert await actions(target_type="course", target_id=course.id) == ["course.publish", "course.create"]
    assert await actions(target_type="module", actor_id=teacher.id) == ["module.create"]
    [publish] = (await world.call("ListAuditEvents", audit_pb2.ListAuditEventsRequest(
        action="course.publish", target_type="course", target_id=course.id), admin)).events  # fmt: skip
    at = publish.create_time
    assert await actions(actor_id=teacher.id, start_time=at) == ["course.publish"]
    assert await actions(actor_id=teacher.id, end_time=at) == made[1:]
    assert await actions(actor_id=str(uuid.uuid4())) == []
    assert publish.actor.display_name == teacher.user.display_name
    assert dict(publish.before) == {"status": "COURSE_STATUS_DRAFT"}
    assert dict(publish.after) == {"status": "COURSE_STATUS_PUBLISHED"}


async def test_pages_hold_every_event_once_while_more_come(world: World, admin: Person) -> None:
    teacher = await world.person("INSTRUCTOR")
    await world.course(teacher, lectures=5)
    whole = [event.id for event in await events(world, admin, actor_id=teacher.id)]
    seen: list[str] = []
    request = audit_pb2.ListAuditEventsRequest(actor_id=teacher.id, page_size=3)
    while True:
        page = await world.call("ListAuditEvents", request, admin)
        seen += [event.id for event in page.events]
        await world.call("CreateCourse", courses_pb2.CreateCourseRequest(title="Meanwhile", description="More."), teacher)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert seen == whole
    outcome = await world.rest.call(
        "ListAuditEvents", audit_pb2.ListAuditEventsRequest(page_size=3, action="lecture.create"), admin.token
    )
    stolen = audit_pb2.ListAuditEventsRequest(page_size=3, action="user.update", page_token=outcome.message.next_page_token)
    assert (await world.rest.call("ListAuditEvents", stolen, admin.token)).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("actorId=nobody", "actorId"), ("action=a%20b", "action"), ("targetType=x'", "targetType"), ("targetId=7", "targetType"),
        ("targetType=course&targetId=%C3%A9", "targetId"), ("startTime=yesterday", "startTime"), ("pageSize=-1", "pageSize"),
    ],
)  # fmt: skip
async def test_bad_filters_are_refused(world: World, admin: Person, query: str, field: str) -> None:
    status, _, problem = await world.request("GET", f"/admin/audit-events?{query}", person=admin)
    assert (status, [item["field"] for item in problem["violations"]]) == (400, [field])


@pytest.mark.parametrize("role", ["INSTRUCTOR", "STUDENT", "PARENT"])
async def test_only_admins_read_it(world: World, role: str) -> None:
    status, _, problem = await world.request("GET", "/admin/audit-events", person=await world.person(role))
    assert (status, problem["reason"]) == (403, "ROLE_NOT_ALLOWED")
