"""The session in docs/realtime.md, played as it stands there, at two gateways; its close codes, which are the client's, too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp

from contract.methods import load_methods
from core.ids import to_bytes
from core.realtime import codes as core_codes
from skillforge.v1 import friends_pb2
from skillforge.v1.realtime_pb2 import Event
from tests.support.polling import eventually
from tests.support.second_gateway import second_gateway
from tests.support.sockets import ORIGIN
from tests.support.world import Person, World
from ws_signaling import codes as door_codes

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "realtime.md").read_text()
PLACE = re.compile(r"‹([^›+]+)(?:\+(\d+))?›")
LINE = re.compile(r"([AB])(>|<| closes) ?(.*)")


class Actor:
    """One of the two, with a socket at a gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url
        self.frames: list[Any] = []
        self.ws: aiohttp.ClientWebSocketResponse | None = None

    async def send(self, frame: Any) -> None:
        if self.ws is None:
            self.ws = await self.session.ws_connect(f"{self.url}/ws", headers={"Origin": ORIGIN})
        await self.ws.send_str(json.dumps(frame))

    async def receive(self, frame: Any, values: dict[str, Any]) -> None:
        """Take the frame that is expected; replies and pushes may pass each other."""
        assert self.ws is not None
        while True:
            for known in self.frames:
                found = dict(values)
                if matches(frame, known, found):
                    values.update(found)
                    self.frames.remove(known)
                    return
            try:
                self.frames.append(await self.ws.receive_json(timeout=10))
            except (TimeoutError, TypeError):
                raise AssertionError(f"expected {json.dumps(frame)}, got {json.dumps(self.frames)}") from None

    async def close(self) -> None:
        assert self.ws is not None
        # Who connected just before a watch may be told of again.
        assert [frame for frame in self.frames if frame.get("t") != "presence.changed"] == []
        await self.ws.close()
        self.ws = None


def matches(expected: Any, actual: Any, values: dict[str, Any]) -> bool:
    """Whether a value is as expected; a place in ‹ › takes a value at its first time and stands for it later."""
    if isinstance(expected, str) and (place := PLACE.fullmatch(expected)):
        name, more = place.groups()
        if more is not None:
            return int(actual) == int(values[name]) + int(more)
        return bool(values.setdefault(name, actual) == actual)
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(matches(expected[key], actual[key], values) for key in expected)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(
            matches(one, other, values) for one, other in zip(expected, actual, strict=True)
        )
    return type(expected) is type(actual) and bool(expected == actual)


def filled(frame: Any, values: dict[str, Any]) -> Any:
    """A frame to send, with the values for its places."""
    if isinstance(frame, dict):
        return {key: filled(item, values) for key, item in frame.items()}
    if isinstance(frame, list):
        return [filled(item, values) for item in frame]
    if isinstance(frame, str) and (place := PLACE.fullmatch(frame)):
        name, more = place.groups()
        return str(int(values[name]) + int(more)) if more is not None else values[name]
    return frame


async def befriended(world: World) -> tuple[Person, Person]:
    ada, bob = await world.person(name="Ada"), await world.person(name="Bob")
    await world.call("RequestFriend", friends_pb2.RequestFriendRequest(user_id=bob.id), ada)
    await world.call("RequestFriend", friends_pb2.RequestFriendRequest(user_id=ada.id), bob)
    # What that publishes is to be over before the session begins.
    waiting = "SELECT COUNT(*) FROM outbox WHERE user_id IN %s"
    ids = (to_bytes(ada.id), to_bytes(bob.id))
    await eventually(lambda: world.core.resources.db.fetch_all(waiting, (ids,)), lambda rows: rows[0][0] == 0)
    return ada, bob


async def test_the_session_goes_as_it_is_written(world: World) -> None:
    [session] = re.findall(r"```frames\n(.*?)```", GUIDE, re.DOTALL)
    ada, bob = await befriended(world)
    _, _, answer = await world.request("POST", "/realtime/ticket", person=ada, json={})
    values: dict[str, Any] = {"ticket": answer["ticket"], "token": bob.token, "ada": ada.id, "bob": bob.id}
    async with second_gateway(world.settings) as second:
        actors = {"A": Actor(world.session, world.url), "B": Actor(world.session, second.url)}
        for line in filter(None, session.splitlines()):
            if line.startswith("#"):
                continue
            parts = LINE.fullmatch(line)
            assert parts is not None, line
            actor, way, text = actors[parts[1]], parts[2], parts[3]
            if way == ">":
                await actor.send(filled(json.loads(text), values))
            elif way == "<":
                await actor.receive(json.loads(text), values)
            else:
                await actor.close()
        for actor in actors.values():
            await actor.close()


def test_close_codes_are_the_same_here_there_and_in_the_client() -> None:
    ours = {value for module in (core_codes, door_codes) for value in vars(module).values() if isinstance(value, int)}
    script = (ROOT / "http_gateway" / "static" / "realtime-protocol.js").read_text()
    assert {int(code) for code in re.findall(r"^  (\d{4}): ", script, re.MULTILINE)} == ours
    rows = re.findall(r"^\| (\d{4}) \|.*\| (yes|no)", GUIDE, re.MULTILINE)
    assert {int(code) for code, _ in rows} == ours
    assert {int(code) for code, again in rows if again == "no"} == {code for code in ours if code >= 4500}


def test_every_frame_is_described() -> None:
    frames = {method.frame for method in load_methods() if method.frame}
    fields = {field.name for field in Event.DESCRIPTOR.oneofs_by_name["data"].fields}
    topics = {name.replace("_", ".", 1) for name in fields - {"connected", "closing"}}
    assert {name for name in frames | topics if f"`{name}`" not in GUIDE} == set()
