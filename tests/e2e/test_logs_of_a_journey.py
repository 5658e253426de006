"""Logs of a whole journey at their most talkative: every line of a call has its id, and none tells of a person."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.logs import JsonFormatter
from cli.tour import run_tour
from core.errors import Unavailable
from skillforge.v1 import courses_pb2, identity_pb2
from tests.support.sockets import Refused, socket_of
from tests.support.world import CLERK_WEBHOOK_SECRET, GATEWAY_TOKEN, METRICS_TOKEN, Person, World

NOBODY = "01900000-0000-7000-8000-000000000000"
# What the tour's people are called, and what they and those of the tests write.
PRIVATE = ("Mina", "Ångström", "李小龍", "Lovelace", "@example.com", "secret words", "4242424242", "Write down what you expect")


class Lines(logging.Handler):
    """Every line as it would be written, read again."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def of(self, request_id: str) -> list[dict[str, Any]]:
        """The lines of a call, and of those whose ids begin with its."""
        return [line for line in map(json.loads, self.texts) if line.get("request_id", "").startswith(request_id)]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
async def person(world: World) -> Person:
    return await world.person(name="Mina Ångström")


async def test_a_journey_leaves_no_word_about_people(world: World, person: Person, lines: Lines, tmp_path: Path) -> None:
    await run_tour(world.url, tmp_path / "certificate.pdf", Console(file=io.StringIO()))
    await world.request("GET", "/users?query=mina@example.com", person=person)
    await world.request("POST", "/payments/webhook", headers={"Stripe-Signature": "t=1,v1=aa"}, data=b"{}")
    await world.request(
        "POST", "/chat/messages", person=person, json={"to": NOBODY, "clientMessageId": "0", "body": "secret words"}
    )
    async with socket_of(world.session, world.url, person.token) as socket:
        with pytest.raises(Refused):
            await socket.call("chat.send", {"to": NOBODY, "body": "secret words", "clientMessageId": "1"})
    assert len(lines.texts) > 30
    secrets = (
        person.token, person.token.rpartition(".")[2], GATEWAY_TOKEN, METRICS_TOKEN, CLERK_WEBHOOK_SECRET,
        world.settings.clerk_secret_key, world.settings.fake_payments_key, *world.settings.payment_webhook_secrets,
    )  # fmt: skip
    for text in lines.texts:
        shown = text.encode().decode("unicode_escape", "replace") + text
        assert "eyJ" not in shown, text
        for private in (*PRIVATE, *filter(None, secrets)):
            assert private not in shown, f"{private!r} in {text}"


@pytest.mark.parametrize("door", ["rest", "grpc", "remote"])
async def test_every_line_of_a_call_has_its_id(world: World, lines: Lines, door: str) -> None:
    request_id, missing = f"log-{door}", courses_pb2.GetCourseRequest(course_id=NOBODY)
    outcome = await world.doors[door].call("GetCourse", missing, x_request_id=request_id)
    assert outcome.code == "NOT_FOUND"
    found = lines.of(request_id)
    assert [(line["message"], line["code"]) for line in found] == [("GetCourse NOT_FOUND", "NOT_FOUND")]
    assert found[0]["milliseconds"] >= 0
    assert (await world.doors[door].call("ListCourses", courses_pb2.ListCoursesRequest(), x_request_id=f"{request_id}-2")).ok
    assert [line["message"] for line in lines.of(f"{request_id}-2")] == ["ListCourses OK"]


async def test_frames_have_ids_that_begin_with_their_socket_s(world: World, person: Person, lines: Lines) -> None:
    headers = {"X-Request-Id": "log-ws", "Origin": "https://app.example.com"}
    async with world.session.ws_connect(f"{world.url}/ws", headers=headers) as ws:
        await ws.send_json({"id": 1, "t": "connect", "d": {"token": person.token, "deviceId": "d", "tabId": "t"}})
        await ws.receive_json()
        await ws.send_json({"id": 2, "t": "chat.send", "d": {"to": NOBODY, "body": "x", "clientMessageId": "1"}})
        assert "err" in await ws.receive_json()
    assert [line["request_id"] for line in lines.of("log-ws") if "SendMessage" in line["message"]] == ["log-ws-2"]


async def test_what_others_log_during_a_call_has_its_id(world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning from deep inside, the failure, and that it was slow."""
    monkeypatch.setattr("telemetry.calls.SLOW_SECONDS", 0.0)
    _, token = await world.fakes.clerk.sign_in("log.clerk@example.com", "Mina", "STUDENT")

    async def away(*arguments: object) -> None:
        logging.getLogger("skillforge.identity").warning("Clerk's Backend API failed: %s", "log.clerk@example.com")
        raise Unavailable("UNAVAILABLE", "Clerk cannot be reached.")

    monkeypatch.setattr(world.core.resources.clerk, "profile", away)
    outcome = await world.doors["rest"].call("SyncUser", identity_pb2.SyncUserRequest(), token, x_request_id="log-clerk")
    assert outcome.code == "UNAVAILABLE"
    found = lines.of("log-clerk")
    assert [(line["level"], line["message"]) for line in found] == [
        ("WARNING", "Clerk's Backend API failed: [address]"), ("ERROR", "SyncUser UNAVAILABLE"), ("WARNING", "SyncUser was slow"),
    ]  # fmt: skip


async def test_a_defect_leaves_its_traceback_under_the_id(world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: object) -> None:
        raise RuntimeError("no course of ada@example.com")

    monkeypatch.setattr(world.core.dispatcher, "_admit", broken)
    outcome = await world.doors["rest"].call("ListCourses", courses_pb2.ListCoursesRequest(), x_request_id="log-broken")
    assert outcome.reason == "INTERNAL"
    [line] = lines.of("log-broken")
    assert "RuntimeError: no course of [address]" in line["traceback"]
