"""`/metrics`: who may read it, and that it tells what went through the doors."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.ids import new_id
from core.times import utc_now
from skillforge.v1 import chat_pb2, courses_pb2, identity_pb2
from tests.support.scrapes import scrape
from tests.support.sockets import Refused, socket_of
from tests.support.world import METRICS_TOKEN, World

GET_COURSE = "skillforge.v1.CoursesService/GetCourse"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is not given twice."""
    monkeypatch.setattr("telemetry.metrics.KEPT_SECONDS", 0.0)


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer wrong", f"Basic {METRICS_TOKEN}", f"Bearer {METRICS_TOKEN} "])
async def test_only_the_token_opens_it(world: World, token: str) -> None:
    headers = {"Authorization": token} if token else {}
    for more in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"Host": "localhost"}):
        status, _, answer = await world.request("GET", "/metrics", headers={**headers, **more})
        if token.strip() == f"Bearer {METRICS_TOKEN}":
            assert status == 200  # a header's value has no spaces around it
        else:
            assert (status, answer["reason"]) == (401, "TOKEN_INVALID")


async def test_a_user_s_token_does_not_open_it(world: World) -> None:
    admin = await world.person("ADMIN")
    assert (await world.request("GET", "/metrics", person=admin))[0] == 401


async def test_calls_by_method_door_and_code(world: World) -> None:
    course = await world.course(await world.person("INSTRUCTOR"))
    before = await scrape(world)
    for door in ("grpc", "rest", "rest"):
        await world.doors[door].call("GetCourse", courses_pb2.GetCourseRequest(course_id=course.id))
    for door in ("grpc", "rest"):
        missing = courses_pb2.GetCourseRequest(course_id="01900000-0000-7000-8000-000000000000")
        assert (await world.doors[door].call("GetCourse", missing)).code == "NOT_FOUND"
    after = await scrape(world)

    def more(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert more("skillforge_calls_total", method=GET_COURSE, door="grpc", code="OK") == 1
    assert more("skillforge_calls_total", method=GET_COURSE, door="rest", code="OK") == 2
    assert [more("skillforge_calls_total", method=GET_COURSE, door=door, code="NOT_FOUND") for door in ("grpc", "rest")] == [1, 1]
    assert more("skillforge_call_seconds_count", method=GET_COURSE, door="rest") == 3
    assert more("skillforge_http_problems_total", status="404") == 1


async def test_frames_and_sockets(world: World) -> None:
    person, before = await world.person(), await scrape(world)
    async with socket_of(world.session, world.url, person.token) as socket:
        during = await scrape(world)
        assert during.value("skillforge_sockets") == before.value("skillforge_sockets") + 1
        assert during.value("skillforge_event_streams") == before.value("skillforge_event_streams") + 1
        with pytest.raises(Refused):
            await socket.call("chat.send", {"to": "nobody", "body": "x", "clientMessageId": "1"})
    after = await scrape(world)
    failed = {"method": "skillforge.v1.ChatService/SendMessage", "door": "ws", "code": "INVALID_ARGUMENT"}
    assert after.value("skillforge_calls_total", **failed) == before.value("skillforge_calls_total", **failed) + 1
    assert after.value("skillforge_sockets_closed_total") > before.value("skillforge_sockets_closed_total")
    begun = {"method": "skillforge.v1.RealtimeService/Connect", "door": "ws"}
    assert after.value("skillforge_streams_begun_total", **begun) == before.value("skillforge_streams_begun_total", **begun) + 1


async def test_what_the_process_stands_on(world: World) -> None:
    await world.person()
    found = await scrape(world)
    connections = "skillforge_database_connections"
    assert 0 < found.value(connections) <= found.value(f"{connections}_max") == world.settings.database_pool_size
    for name in ("skillforge_database_waiting", "skillforge_database_gave_up_total", "skillforge_outbox_oldest_seconds"):
        assert found.has(name)
    assert found.value("skillforge_redis_up") == 1
    assert {kind: found.value("skillforge_certificate_queue_max", kind=kind) for kind in ("render", "check")} == {
        "render": 32, "check": 8,
    }  # fmt: skip
    assert found.value("skillforge_outside_calls_total", service="clerk", outcome="200") > 0
    assert found.value("skillforge_outside_call_seconds_count", service="clerk") > 0
    assert found.value("process_open_fds") > 0


async def test_events_that_wait_are_told_with_their_age(world: World) -> None:
    """Claimed by a process that does not answer, as after a crash."""
    outbox, db = world.core.resources.outbox, world.core.resources.db
    rows, _ = await outbox.backlog()
    claimed = utc_now() + timedelta(hours=1)
    waiting = {bytes(6) + new_id()[6:]: 90, new_id(): 1}  # the first before any other
    sql = "INSERT INTO outbox (id, user_id, topic, payload, create_time, claim_time) VALUES (%s, %s, 'x', '', %s, %s)"
    for event_id, seconds in waiting.items():
        await db.execute(sql, (event_id, new_id(), utc_now() - timedelta(seconds=seconds), claimed))
    try:
        found = await scrape(world)
        assert found.value("skillforge_outbox_rows") >= rows + 2
        assert 90 <= found.value("skillforge_outbox_oldest_seconds") < 120
    finally:
        await db.execute("DELETE FROM outbox WHERE id IN %s", (tuple(waiting),))


async def test_what_clients_make_up_adds_no_series(world: World) -> None:
    before = await scrape(world)
    for number in range(20):
        await world.request("GET", f"/made-up/{number}")
        await world.doors["grpc"].call("GetMe", identity_pb2.GetMeRequest(), f"token-{number}")
        await world.request("POST", f"/courses?made-up={number}", headers={"X-Request-Id": f"made-up-{number}"})
    after = await scrape(world)
    new = {series for series in after.keys() - before.keys() if not series[0].startswith(("skillforge_call_seconds", "process_"))}
    assert len(new) <= 4, new
    assert "made-up" not in repr(after.keys())


async def test_a_gateway_apart_counts_its_own(world: World) -> None:
    await world.doors["remote"].call("ListConversations", chat_pb2.ListConversationsRequest())
    found = await scrape(world, world.remote_url)
    refused = {"method": "skillforge.v1.ChatService/ListConversations", "code": "UNAUTHENTICATED"}
    assert found.value("skillforge_calls_total", **refused, door="rest") >= 1
    assert not found.has("skillforge_database_connections")
