"""The WebSocket door, over two gateways with a core each and one with a remote core, on one Redis and MySQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import grpc
import jwt
import pytest

from core.db import Transaction
from core.ids import to_bytes
from core.realtime.service import _ticket_key
from core.redis import keys
from skillforge.v1 import enrollments_pb2, friends_pb2, identity_pb2, realtime_pb2
from tests.support.doors import METHODS
from tests.support.realtime_place import QUICK
from tests.support.second_gateway import SecondGateway, second_gateway
from tests.support.sockets import Refused, raw_socket, socket_of
from tests.support.world import Person, World


@pytest.fixture
async def second(world: World) -> AsyncIterator[SecondGateway]:
    async with second_gateway(world.settings, QUICK) as made:
        yield made


async def tell(world: World, person: Person, *course_ids: str) -> None:
    """Commit an event for somebody with a transaction, as a feature does."""
    outbox = world.core.resources.outbox

    async def work(tx: Transaction) -> None:
        for course_id in course_ids:
            await outbox.add(tx, to_bytes(person.id), "enrollment.unlocked", enrollments_pb2.Enrollment(course_id=course_id))

    await world.core.resources.db.transact(work)


def courses(pushes: list[dict[str, object]]) -> list[object]:
    return [push["d"]["courseId"] for push in pushes if push["t"] == "enrollment.unlocked"]  # type: ignore[index]


async def test_committed_events_reach_every_gateway(world: World, second: SecondGateway) -> None:
    ada, bob = await world.person(), await world.person()
    async with (
        socket_of(world.session, world.url, ada.token, device="a") as one,
        socket_of(world.session, second.url, ada.token, device="b") as two,
        socket_of(world.session, world.remote_url, ada.token, device="c") as three,
        socket_of(world.session, second.url, bob.token) as other,
    ):
        names = [str(number) for number in range(20)]
        await tell(world, ada, *names)
        for client in (one, two, three):
            await client.has(20)
            assert courses(client.pushes) == names
            assert [push["o"] for push in client.pushes] == list(range(1, 21))
        assert len({push["id"] for client in (one, two, three) for push in client.pushes}) == 20
        assert other.pushes == []


async def test_a_resume_at_another_gateway_has_neither_gaps_nor_repeats(world: World, second: SecondGateway) -> None:
    ada = await world.person()
    position, seen = None, list[object]()
    for number, url in enumerate([world.url, second.url, world.remote_url, second.url]):
        async with socket_of(world.session, url, ada.token, tab=str(number), resume=position) as client:
            assert client.connected["recovered"] is (number > 0)
            await tell(world, ada, f"{number} while connected")
            await client.has(1 if number == 0 else 2)
            seen += courses(client.pushes)
            position = client.position
        await tell(world, ada, f"{number} while away")
        await soon_logged(world, ada, 2 * number + 2)
    assert seen == [
        "0 while connected", "0 while away", "1 while connected", "1 while away", "2 while connected", "2 while away",
        "3 while connected",
    ]  # fmt: skip


async def soon_logged(world: World, person: Person, top: int) -> None:
    """Wait until so many events of somebody are published."""
    redis = world.core.resources.redis
    async with asyncio.timeout(10):
        while int(await redis.run("HGET", keys.events_head(to_bytes(person.id)), "top") or 0) < top:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_ticket_works_once_at_any_gateway(world: World, second: SecondGateway) -> None:
    ada = await world.person()
    status, _, answer = await world.request("POST", "/realtime/ticket", person=ada, json={})
    assert status == 200
    async with raw_socket(world.session, second.url) as client:
        await client.connect(ticket=answer["ticket"])
        assert client.connected["userId"] == ada.id
        assert (await client.call("pong"))["serverTime"]
    async with raw_socket(world.session, world.url) as client:
        with pytest.raises(Refused) as caught:
            await client.connect(ticket=answer["ticket"])
        assert caught.value.reason == "TICKET_INVALID"
        assert await client.closed() == 4500
    redis = world.core.resources.redis
    assert 0 < int(await redis.run("PTTL", await ticket_key(world, ada))) <= 30_000


async def ticket_key(world: World, person: Person) -> str:
    _, _, answer = await world.request("POST", "/realtime/ticket", person=person, json={})
    return _ticket_key(answer["ticket"])


@pytest.mark.parametrize(("token", "code"), [("nonsense", 4500), ("a.b.c", 4500)])
async def test_bad_tokens_are_refused(world: World, token: str, code: int) -> None:
    for url in (world.url, world.remote_url):
        async with raw_socket(world.session, url) as client:
            with pytest.raises(Refused):
                await client.connect(token)
            assert await client.closed() == code


async def test_pages_of_other_origins_are_kept_out(world: World) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with raw_socket(world.session, world.url, origin="https://evil.example.com"):
            pass
    assert caught.value.status == 403
    async with raw_socket(world.session, world.url, origin=world.url):  # our own pages
        pass


async def test_sign_out_closes_the_session_s_sockets_everywhere(world: World, second: SecondGateway) -> None:
    ada, bob = await world.person(), await world.person()
    async with (
        socket_of(world.session, world.url, ada.token, tab="1") as one,
        socket_of(world.session, second.url, ada.token, tab="2") as two,
        socket_of(world.session, world.remote_url, ada.token, tab="3") as three,
        socket_of(world.session, second.url, bob.token) as other,
    ):
        await world.call("SignOut", identity_pb2.SignOutRequest(), ada)
        async with asyncio.timeout(2):
            assert [await client.closed() for client in (one, two, three)] == [4503] * 3
        assert not other.ws.closed
        async with raw_socket(world.session, second.url) as again:
            with pytest.raises(Refused):
                await again.connect(ada.token)
            assert await again.closed() == 4503


@pytest.mark.parametrize(
    "change", [{"status": identity_pb2.USER_STATUS_SUSPENDED}, {"role": identity_pb2.ROLE_INSTRUCTOR}], ids=["status", "role"]
)
async def test_suspension_and_another_role_close_every_socket(
    world: World, second: SecondGateway, change: dict[str, int]
) -> None:
    ada, admin = await world.person(), await world.person("ADMIN")
    async with (
        socket_of(world.session, world.url, ada.token, tab="1") as one,
        socket_of(world.session, second.url, ada.token, tab="2") as two,
    ):
        await world.call("UpdateUser", identity_pb2.UpdateUserRequest(user_id=ada.id, **change), admin)  # type: ignore[arg-type]
        async with asyncio.timeout(2):
            assert [await client.closed() for client in (one, two)] == [4503] * 2


async def test_the_same_tab_again_takes_the_place_of_the_older_socket(world: World, second: SecondGateway) -> None:
    ada = await world.person()
    async with (
        socket_of(world.session, world.url, ada.token) as old,
        socket_of(world.session, second.url, ada.token, tab="2") as other,
        socket_of(world.session, second.url, ada.token) as new,
    ):
        assert await old.closed() == 4505
        await tell(world, ada, "c")
        for client in (other, new):
            await client.push("enrollment.unlocked")


async def test_ten_sockets_are_enough(world: World, second: SecondGateway) -> None:
    ada = await world.person()
    async with AsyncExitStack() as stack:
        for number in range(10):
            url = (world.url, second.url)[number % 2]
            await stack.enter_async_context(socket_of(world.session, url, ada.token, tab=str(number)))
        async with raw_socket(world.session, second.url) as client:
            with pytest.raises(Refused) as caught:
                await client.connect(ada.token, tab="11")
            assert caught.value.reason == "TOO_MANY_SOCKETS"
            assert await client.closed() == 4504


async def test_a_connection_goes_on_under_a_new_token(world: World, second: SecondGateway) -> None:
    ada, bob = await world.person(), await world.person()
    for url in (second.url, world.remote_url):
        async with socket_of(world.session, url, ada.token) as client:
            session = jwt.decode(ada.token, options={"verify_signature": False})["sid"]
            fresh = world.fakes.clerk.mint(ada.user.clerk_id, sid=session, seconds=7200)
            reply = await client.call("auth.refresh", {"token": fresh})
            assert set(reply) == {"expireTime"}
            assert reply["expireTime"] > client.connected["expireTime"]
            await client.call("pong")
            with pytest.raises(Refused) as caught:
                await client.call("auth.refresh", {"token": bob.token})
            assert caught.value.reason == "TOKEN_INVALID"
            assert not client.ws.closed


async def befriend(world: World, one: Person, two: Person) -> None:
    await world.call("RequestFriend", friends_pb2.RequestFriendRequest(user_id=two.id), one)
    await world.call("RequestFriend", friends_pb2.RequestFriendRequest(user_id=one.id), two)


async def test_friends_see_each_other_come_and_go(world: World, second: SecondGateway) -> None:
    ada, bob, eve = [await world.person() for _ in range(3)]
    await befriend(world, ada, bob)
    async with socket_of(world.session, world.url, ada.token) as watcher:
        reply = await watcher.call("presence.watch", {"userIds": [bob.id, eve.id]})
        assert reply["presences"] == [{"userId": bob.id, "online": False}]
        async with socket_of(world.session, second.url, bob.token, tab="1"):
            assert await watcher.push("presence.changed") == {"userId": bob.id, "online": True}
            async with socket_of(world.session, second.url, eve.token), socket_of(world.session, second.url, bob.token, tab="2"):
                pass  # a second tab comes and goes
            reply = await watcher.call("presence.watch", {"userIds": [bob.id]})
            assert reply["presences"][0]["online"] is True
        gone = await watcher.push("presence.changed")
        assert (gone["userId"], gone["online"]) == (bob.id, False)
        assert gone["lastSeenTime"]
        assert not [push for push in watcher.pushes if push["t"] == "presence.changed"]


async def test_who_is_no_friend_any_more_sees_nothing(world: World, second: SecondGateway) -> None:
    ada, bob = await world.person(), await world.person()
    await befriend(world, ada, bob)
    async with socket_of(world.session, world.url, ada.token) as watcher:
        await watcher.call("presence.watch", {"userIds": [bob.id]})
        await world.call("RemoveFriend", friends_pb2.RemoveFriendRequest(user_id=bob.id), ada)
        await watcher.call("pong")
        async with socket_of(world.session, second.url, bob.token):
            assert (await watcher.call("presence.watch", {"userIds": [bob.id]}))["presences"] == []
            await asyncio.sleep(0.1)
        assert not [push for push in watcher.pushes if push["t"] == "presence.changed"]


async def test_internal_services_get_the_same_events(world: World) -> None:
    ada = await world.person()
    method = METHODS["StreamEvents"]
    stub: Any = world.channel.unary_stream(
        method.path,
        request_serializer=realtime_pb2.StreamEventsRequest.SerializeToString,
        response_deserializer=realtime_pb2.Event.FromString,
    )
    stream = stub(realtime_pb2.StreamEventsRequest(), metadata=[("authorization", f"Bearer {ada.token}")])
    first = await stream.read()
    assert first.connected.user_id == ada.id
    assert not first.connected.credential
    await tell(world, ada, "one", "two")
    assert [(await stream.read()).enrollment_unlocked.course_id for _ in range(2)] == ["one", "two"]
    stream.cancel()
    position = realtime_pb2.EventPosition(epoch=first.connected.epoch, offset=1)
    again = stub(realtime_pb2.StreamEventsRequest(resume=position), metadata=[("authorization", f"Bearer {ada.token}")])
    replayed = await again.read()
    assert replayed.connected.recovered
    assert [event.enrollment_unlocked.course_id for event in replayed.connected.replay] == ["two"]
    await world.call("SignOut", identity_pb2.SignOutRequest(), ada)
    assert (await again.read()).closing.code == 4503
    assert await again.read() is grpc.aio.EOF


async def test_a_credential_of_our_own_making_is_needed(world: World) -> None:
    for header in ("Connection ", "Connection abc.def", "connection x"):
        status, _, answer = await world.request("GET", "/auth/me", headers={"Authorization": header})
        assert (status, answer["reason"]) == (401, "TOKEN_INVALID")


async def test_a_stopping_gateway_sends_its_sockets_elsewhere(world: World) -> None:
    ada = await world.person()
    async with second_gateway(world.settings) as stopping:
        client_context = socket_of(world.session, stopping.url, ada.token)
        client = await client_context.__aenter__()
    assert await client.closed() == 4000
    async with socket_of(world.session, world.url, ada.token, resume=client.position) as again:
        assert again.connected["recovered"]
    await client_context.__aexit__(None, None, None)
