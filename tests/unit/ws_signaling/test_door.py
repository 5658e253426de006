"""The WebSocket door over a scripted core: the protocol, its limits and its close codes. No test waits for a clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from google.rpc import code_pb2

from skillforge.v1 import chat_pb2
from skillforge.v1.realtime_pb2 import Event
from tests.support.sockets import Refused, soon
from tests.unit.ws_signaling.door_place import UNIX_MS, Place, door_place, refusal


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with door_place() as made:
        yield made


def message(number: int, body: str = "Hello") -> Event:
    data = chat_pb2.ChatMessage(id=f"m{number}", body=body, seq=number)
    return Event(id=f"e{number}", topic="chat.message", offset=number, chat_message=data)


async def test_a_page_of_another_origin_is_refused_before_the_upgrade(place: Place) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with place.socket(headers={"Origin": "https://evil.example.com"}):
            pass
    assert caught.value.status == 403
    async with place.socket(headers={}):  # no browser
        assert place.core.streams == 1


async def test_what_is_no_upgrade_is_refused(place: Place) -> None:
    async with place.session.get(f"{place.url}/ws") as answer:
        assert answer.status == 400
    async with place.session.post(f"{place.url}/ws") as answer:
        assert answer.status == 400


async def test_compression_is_never_agreed_on(place: Place) -> None:
    async with place.session.ws_connect(f"{place.url}/ws", compress=15) as ws:
        assert not ws.compress


async def test_the_credential_stays_in_the_door(place: Place) -> None:
    async with place.socket() as client:
        assert "credential" not in client.connected
        assert client.connected["offset"] == "7"
        await client.call("pong", {"offset": 7})
    name, _, metadata = place.core.calls[0]
    assert name == "pong"
    assert metadata["authorization"] == "Connection credential"
    assert metadata["x-client-ip"] == "127.0.0.1"


async def test_replay_stands_there_as_it_would_have_been_pushed(place: Place) -> None:
    place.core.replay = [message(6), message(7)]
    async with place.socket() as client:
        assert [(push["t"], push["o"], push["id"], push["d"]["body"]) for push in client.connected["replay"]] == [
            ("chat.message", 6, "e6", "Hello"),
            ("chat.message", 7, "e7", "Hello"),
        ]


async def test_events_are_pushed_in_order(place: Place) -> None:
    async with place.socket() as client:
        for number in range(8, 28):
            place.core.events.put_nowait(message(number))
        for number in range(8, 28):
            assert (await client.push("chat.message"))["seq"] == str(number)


async def test_who_does_not_connect_in_time_is_closed(place: Place) -> None:
    async with place.socket(connect=False) as client:
        await soon(lambda: place.door.sockets == 1)
        place.turn(4.9)
        assert not client.ws.closed
        place.turn(0.7)
        assert await client.closed() == 4007
    assert place.core.streams == 0


async def test_a_core_that_never_opens_the_connection_is_not_waited_for_for_ever(place: Place) -> None:
    async with place.socket(connect=False) as client:
        reply = client.start("connect", {"token": "never", "deviceId": "d", "tabId": "t"})
        await soon(lambda: place.core.streams == 1)
        place.turn(30)
        assert not client.ws.closed
        place.turn(11)
        assert await client.closed() == 4007
        with pytest.raises(ConnectionError):
            await reply
    await soon(lambda: place.core.ended == 1)


async def test_other_frames_do_not_count_as_connecting(place: Place) -> None:
    async with place.socket(connect=False) as client:
        with pytest.raises(Refused) as caught:
            await client.call("pong")
        assert caught.value.reason == "NOT_CONNECTED"
        place.turn(6)
        assert await client.closed() == 4007


async def test_a_silent_peer_is_asked_and_then_closed(place: Place) -> None:
    async with place.socket() as client:
        place.turn(26)
        await client.push("ping")
        place.turn(7.5)
        await asyncio.sleep(0.02)
        assert not client.ws.closed
        place.turn(1.1)
        assert await client.closed() == 4004
    await soon(lambda: place.core.ended == 1)


async def test_any_frame_is_a_sign_of_life(place: Place) -> None:
    async with place.socket() as client:
        for _ in range(5):
            place.turn(26)
            await client.push("ping")
            place.now += 1
            await client.call("presence.watch", {"userIds": []})
        place.turn(7)
        assert not client.ws.closed


async def test_a_token_s_end_is_told_and_kept(place: Place) -> None:
    place.core.expires_ms = UNIX_MS + 100_000
    async with place.socket(silent=False) as client:
        place.turn(39)
        place.turn(1.5)
        told = await client.push("auth.expiring")
        assert told["expireTime"] == "2027-01-15T08:01:40Z"
        await client.call("auth.refresh", {"token": "another"})  # 60 s more
        await client.call("pong")
        assert place.core.calls[-1][2]["authorization"] == "Connection credential of another"
        for _ in range(7):
            place.turn(20)
            await asyncio.sleep(0.01)
            await client.call("pong")
        assert not client.ws.closed
        place.turn(10)
        assert await client.closed() == 4006
    assert [push["t"] for push in client.pushes].count("auth.expiring") == 1


async def test_a_short_token_s_end_is_told_at_once_and_not_again_and_again(place: Place) -> None:
    place.core.expires_ms = UNIX_MS + 50_000
    async with place.socket(silent=False) as client:
        place.turn(0.5)
        await client.push("auth.expiring")
        place.core.expires_ms -= 10_000  # a refresh adds 60 s: 100 s from here
        await client.call("auth.refresh", {"token": "another"})
        place.turn(1)
        await client.call("pong")
        assert "auth.expiring" not in [push["t"] for push in client.pushes]


async def test_a_ticket_of_a_token_that_has_expired_gets_its_time(place: Place) -> None:
    place.core.expires_ms = UNIX_MS - 5_000
    async with place.socket(silent=False) as client:
        place.turn(0.5)
        await client.push("auth.expiring")
        place.turn(23)
        await client.call("pong")
        place.turn(3)
        assert await client.closed() == 4006


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 4501), ("[]", 4501), ('"x"', 4501), ("null", 4501), ('{"t":1}', 4501), ('{"id":1}', 4501),
        ('{"t":"pong","x":1}', 4501),
        ('{"t":"pong","id":-1}', 4501), ('{"t":"pong","id":1.5}', 4501), ('{"t":"pong","id":[1]}', 4501),
        (f'{{"t":"pong","id":"{"x" * 65}"}}', 4501), ("\ufeff{}", 4501), ("[" * 5000, 4501),
    ],
)  # fmt: skip
async def test_what_is_no_frame_is_closed(place: Place, text: str, code: int) -> None:
    async with place.socket() as client:
        await client.send(text)
        assert await client.closed() == code
    assert place.core.calls == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({"id": 9, "t": "no.such"}, "UNKNOWN_METHOD"),
        ({"id": 9, "t": "connect", "d": {"token": "t", "deviceId": "d", "tabId": "t"}}, "CONFLICT"),
        ({"id": 9, "t": "pong", "d": {"nothing": 1}}, "UNKNOWN_FIELD"),
        ({"id": 9, "t": "pong", "d": {"offset": "x"}}, "INVALID_ARGUMENT"),
        ({"id": 9, "t": "pong", "d": []}, "INVALID_ARGUMENT"),
        ('{"id":9,"t":"pong","d":{"offset":1,"offset":2}}', "MALFORMED_JSON"),
    ],
)
async def test_a_frame_that_cannot_be_done_is_answered(place: Place, frame: object, reason: str) -> None:
    async with place.socket() as client:
        reply = asyncio.get_running_loop().create_future()
        client._replies[9] = reply
        await client.send(frame)  # type: ignore[arg-type]
        answer = await asyncio.wait_for(reply, 5)
        assert answer["err"]["reason"] == reason
        assert not client.ws.closed


async def test_binary_frames_are_closed(place: Place) -> None:
    async with place.socket() as client:
        await client.ws.send_bytes(b'{"t":"pong"}')
        assert await client.closed() == 4501


async def test_a_frame_beyond_the_limit_is_closed_unread(place: Place) -> None:
    async with place.socket() as client:
        frame = '{"id":1,"t":"auth.refresh","d":{"token":"%s"}}'
        await client.send(frame % ("x" * (65_536 - len(frame) + 2)))  # exactly the limit
        await soon(lambda: len(place.core.calls) == 1)
        await client.send(frame % ("x" * (65_536 - len(frame) + 3)))
        assert await client.closed() == 1009
    assert len(place.core.calls) == 1


async def test_a_flood_is_closed(place: Place) -> None:
    async with place.socket() as client:
        for _ in range(59):  # connect was the first of 60
            await client.send({"t": "pong"})
        await soon(lambda: len(place.core.calls) == 59)
        place.now += 0.05
        await client.send({"t": "pong"})
        await soon(lambda: len(place.core.calls) == 60)
        await client.send({"t": "pong"})
        assert await client.closed() == 4005
    assert len(place.core.calls) == 60


@pytest.mark.parametrize(
    ("token", "code"), [("bad", 4500), ("TOO_MANY_SOCKETS", 4504), ("SESSION_REVOKED", 4503), ("UNAVAILABLE", 4001)]
)
async def test_a_connection_that_is_refused_is_told_why(place: Place, token: str, code: int) -> None:
    async with place.socket(connect=False) as client:
        with pytest.raises(Refused):
            await client.connect(token)
        assert await client.closed() == code


async def test_a_connect_that_is_wrong_is_told_why(place: Place) -> None:
    async with place.socket(connect=False) as client:
        with pytest.raises(Refused) as caught:
            await client.call("connect", {"token": 5})
        assert caught.value.reason == "INVALID_ARGUMENT"
        assert await client.closed() == 4501


async def test_the_core_ends_a_connection(place: Place) -> None:
    async with place.socket() as client:
        event = Event(topic="closing")
        event.closing.code, event.closing.reason = 4505, "superseded"
        place.core.events.put_nowait(message(8))
        place.core.events.put_nowait(event)
        assert await client.closed() == 4505
        assert len(client.pushes) == 1
    async with place.socket() as client:
        place.core.events.put_nowait(refusal(code_pb2.UNAVAILABLE, "UNAVAILABLE"))
        assert await client.closed() == 4001


async def test_a_frame_of_a_revoked_session_ends_the_connection(place: Place) -> None:
    async with place.socket() as client:
        place.core.refuse = refusal(code_pb2.UNAUTHENTICATED, "SESSION_REVOKED")
        with pytest.raises(Refused):
            await client.call("pong")
        assert await client.closed() == 4503


async def test_frames_of_one_feature_keep_their_order_and_others_pass(place: Place) -> None:
    gate = place.core.gates["presence.watch"] = asyncio.Event()
    async with place.socket() as client:
        first = client.start("presence.watch")
        await soon(lambda: place.core.running == 1)
        second = client.start("pong", {"offset": 1})  # of the same service
        third = client.start("chat.typing", {"to": "00000000-0000-0000-0000-000000000000", "typing": True})
        await third
        assert not second.done()
        gate.set()
        await asyncio.gather(first, second)
    assert [name for name, *_ in place.core.calls] == ["presence.watch", "chat.typing", "pong"]


async def test_frames_in_work_are_bounded(place: Place) -> None:
    gate = place.core.gates["pong"] = asyncio.Event()
    async with place.socket() as client:
        tasks = [client.start("pong") for _ in range(50)]
        await asyncio.sleep(0.1)
        (socket,) = place.door._sockets
        assert socket._lanes.in_work == place.options.in_flight
        gate.set()
        await asyncio.gather(*tasks)
    assert len(place.core.calls) == 50


async def test_a_reader_that_stops_is_closed_and_memory_stays_bounded(place: Place) -> None:
    async with place.socket() as client:
        client.stop_reading()
        (socket,) = place.door._sockets
        body = "x" * 8_000
        number = 8
        while socket.outbox.empty:  # the kernel's buffers fill first
            for _ in range(20):
                place.core.events.put_nowait(message(number, body))
                number += 1
            await asyncio.sleep(0.005)
        place.turn(9)
        assert not socket.ending
        place.turn(2)
        assert socket.ending
        await soon(lambda: place.door.sockets == 0)
    assert not place.door._writing


async def test_an_outbox_that_overflows_is_closed(place: Place) -> None:
    async with place.socket() as client:
        client.stop_reading()
        (socket,) = place.door._sockets
        number = 8
        while not socket.ending:
            place.core.events.put_nowait(message(number, "x" * 8_000))
            number += 1
            assert socket.outbox._bytes <= place.options.outbox_bytes
            await asyncio.sleep(0)
    assert number > 60


async def test_a_reader_in_time_loses_nothing(place: Place) -> None:
    async with place.socket() as client:
        client.stop_reading()
        (socket,) = place.door._sockets
        number = 8
        while socket.outbox.empty:
            for _ in range(10):
                place.core.events.put_nowait(message(number, "x" * 8_000))
                number += 1
            await asyncio.sleep(0.002)
        client.read_on()
        await soon(lambda: len(client.pushes) == number - 8)
        assert [push["o"] for push in client.pushes] == list(range(8, number))
        assert socket.outbox.empty


async def test_typing_and_presence_are_shed_first(place: Place) -> None:
    async with door_place(outbox_frames=10) as small, small.socket() as client:
        (socket,) = small.door._sockets
        outbox = socket.outbox
        outbox._begin()  # as if the transport were full
        typing = Event(topic="chat.typing", chat_typing=chat_pb2.ChatTyping(user_id="u", typing=True))
        for _ in range(8):
            socket._push(typing)
        for number in range(5):
            socket._push(message(number))
        await soon(lambda: len(client.pushes) == 10)
        assert [push["t"] for push in client.pushes].count("chat.typing") == 5


async def test_draining_closes_every_socket_and_takes_no_new_one(place: Place) -> None:
    async with place.socket() as first, place.socket() as second, place.socket(connect=False) as third:
        await soon(lambda: place.door.sockets == 3)
        await place.door.drain()
        assert [await client.closed() for client in (first, second, third)] == [4000] * 3
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with place.socket():
                pass
        assert caught.value.status == 503
    await soon(lambda: place.door.sockets == 0)
    assert place.core.ended == 2


async def test_a_drain_is_bounded_though_a_peer_never_answers() -> None:
    async with door_place(close_seconds=0.1) as place, place.socket() as client:
        client.stop_reading()
        async with asyncio.timeout(3):
            await place.door.drain()
        await soon(lambda: place.door.sockets == 0)


async def test_an_event_for_several_sockets_is_encoded_once(place: Place) -> None:
    event = message(8)
    assert place.door._frames.push(event) is place.door._frames.push(event)
