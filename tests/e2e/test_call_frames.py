"""Calls over real WebSockets at two gateways, and media between two independent WebRTC peers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from skillforge.v1 import friends_pb2, identity_pb2
from tests.support.realtime_place import QUICK
from tests.support.second_gateway import SecondGateway, second_gateway
from tests.support.sockets import Refused, WsClient, socket_of, soon
from tests.support.world import Person, World


@pytest.fixture
async def second(world: World) -> AsyncIterator[SecondGateway]:
    async with second_gateway(world.settings, QUICK) as made:
        yield made


async def friends(world: World) -> tuple[Person, Person]:
    ann, bob = await world.person(), await world.person()
    await world.call("RequestFriend", friends_pb2.RequestFriendRequest(user_id=bob.id), ann)
    await world.call("RequestFriend", friends_pb2.RequestFriendRequest(user_id=ann.id), bob)
    return ann, bob


def invite(to: Person, **more: Any) -> dict[str, Any]:
    return {"to": to.id, "media": "CALL_MEDIA_VIDEO", **more}


async def heard(client: WsClient, topic: str) -> None:
    """Wait for a push, and leave it there."""
    await soon(lambda: any(push["t"] == topic for push in client.pushes))


async def refused(reason: str, client: WsClient, name: str, data: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        await client.call(name, data)
    assert caught.value.reason == reason


async def test_a_call_from_ringing_to_its_end(world: World, second: SecondGateway) -> None:
    ann, bob = await friends(world)
    async with (
        socket_of(world.session, world.url, ann.token, device="laptop") as caller,
        socket_of(world.session, second.url, bob.token, device="phone") as phone,
        socket_of(world.session, world.remote_url, bob.token, device="desk") as desk,
    ):
        call = await caller.call("call.invite", invite(bob, clientCallId="c1"))
        assert (call["state"], call["outgoing"], call["peer"]["id"]) == ("CALL_STATE_RINGING", True, bob.id)
        here = {"callId": call["callId"]}
        for device in (phone, desk):
            ringing = await device.push("call.ringing")
            assert (ringing["callId"], ringing["caller"]["id"]) == (call["callId"], ann.id)
        async with socket_of(world.session, second.url, bob.token, device="late") as late:
            assert (await late.push("call.ringing"))["callId"] == call["callId"]
        await refused("CALL_NOT_ANSWERED", caller, "call.signal", {**here, "endOfCandidates": True})
        assert (await phone.call("call.accept", here))["state"] == "CALL_STATE_CONNECTING"
        assert (await desk.push("call.elsewhere"))["callId"] == call["callId"]
        await refused("ALREADY_ANSWERED", desk, "call.accept", here)
        assert not (await caller.push("call.accepted"))["polite"]
        assert (await phone.push("call.accepted"))["polite"]
        await caller.call("call.signal", {**here, "description": {"type": "offer", "sdp": "v=0"}})
        candidate = {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "u"}
        await phone.call("call.signal", {**here, "candidates": [candidate]})
        assert (await phone.push("call.signal"))["description"] == {"type": "offer", "sdp": "v=0"}
        assert (await caller.push("call.signal"))["candidates"] == [candidate]
        await caller.call("call.connected", here)
        assert (await phone.call("call.connected", here))["state"] == "CALL_STATE_ACTIVE"
        await refused("NOT_IN_CALL", desk, "call.hangup", here)
        await phone.call("call.hangup", here)
        for device in (caller, phone, desk):
            assert (await device.push("call.ended"))["reason"] == "CALL_END_REASON_HANGUP"
        topics = {push["t"] for push in desk.pushes}
        assert topics.isdisjoint({"call.accepted", "call.signal"})
    status, _, answer = await world.request("GET", "/calls", person=bob)
    assert status == 200
    assert [(item["id"], item["outgoing"], item["missed"]) for item in answer["calls"]] == [(call["callId"], False, False)]


async def test_what_a_device_missed_of_a_call_is_replayed_to_it_alone(world: World, second: SecondGateway) -> None:
    ann, bob = await friends(world)
    async with (
        socket_of(world.session, world.url, ann.token, device="laptop") as caller,
        socket_of(world.session, second.url, bob.token, device="desk") as desk,
    ):
        async with socket_of(world.session, world.url, bob.token, device="phone") as phone:
            call = await caller.call("call.invite", invite(bob))
            here = {"callId": call["callId"]}
            await phone.call("call.accept", here)
            await heard(phone, "call.accepted")
            position = phone.position
        await heard(desk, "call.elsewhere")
        seen = desk.position
        await caller.call("call.signal", {**here, "description": {"type": "offer", "sdp": "missed"}})
        async with socket_of(world.session, second.url, bob.token, device="phone", resume=position) as phone:
            assert phone.connected["recovered"]
            assert (await phone.push("call.signal"))["description"]["sdp"] == "missed"
            await phone.call("call.signal", {**here, "endOfCandidates": True})
            assert (await caller.push("call.signal"))["endOfCandidates"]
        async with socket_of(world.session, world.url, bob.token, device="desk", tab="2", resume=seen) as again:
            assert (again.connected["recovered"], again.pushes) == (True, [])
        await caller.call("call.hangup", here)


async def test_suspension_ends_a_call_at_once_and_signing_out_closes_the_socket(world: World, second: SecondGateway) -> None:
    ann, bob = await friends(world)
    admin = await world.person("ADMIN")
    async with (
        socket_of(world.session, world.url, ann.token) as caller,
        socket_of(world.session, second.url, bob.token) as phone,
    ):
        call = await caller.call("call.invite", invite(bob))
        await phone.call("call.accept", {"callId": call["callId"]})
        suspension = identity_pb2.UpdateUserRequest(user_id=bob.id, status=identity_pb2.USER_STATUS_SUSPENDED)
        await world.call("UpdateUser", suspension, admin)
        assert (await caller.push("call.ended"))["reason"] == "CALL_END_REASON_FORBIDDEN"
        assert await phone.closed() == 4503


async def test_only_frames_call_and_the_limit_of_invites_holds(world: World) -> None:
    ann, bob = await friends(world)
    async with socket_of(world.session, world.url, ann.token) as caller:
        for wrong in ({"media": "CALL_MEDIA_UNSPECIFIED"}, {"to": "nobody"}, {"clientCallId": "a b"}):
            await refused("INVALID_ARGUMENT", caller, "call.invite", invite(bob) | wrong)
        stranger = await world.person()
        await refused("MAY_NOT_CALL", caller, "call.invite", invite(stranger))
        await refused("NOT_FOUND", caller, "call.accept", {"callId": bob.id})


async def test_without_servers_set_there_are_none(world: World) -> None:
    ann = await world.person()
    status, _, answer = await world.request("GET", "/calls/ice-servers", person=ann)
    assert (status, answer.get("iceServers", [])) == (200, [])


async def test_turn_credentials_are_for_the_caller_and_an_hour(world: World) -> None:
    ann = await world.person()
    calls = world.core.calls
    calls._ice_urls, calls._turn_secret = ("stun:stun.example.com", "turn:turn.example.com:3478?transport=udp"), "north"
    try:
        status, _, answer = await world.request("GET", "/calls/ice-servers", person=ann)
    finally:
        calls._ice_urls, calls._turn_secret = (), ""
    assert status == 200
    stun, turn = answer["iceServers"]
    assert stun["urls"] == ["stun:stun.example.com"]
    assert not stun.get("credential")
    assert turn["urls"] == ["turn:turn.example.com:3478?transport=udp"]
    assert turn["username"].partition(":")[2] == ann.id
    mac = hmac.new(b"north", turn["username"].encode(), hashlib.sha1).digest()
    assert turn["credential"] == base64.b64encode(mac).decode()


class Peer:
    """A WebRTC peer of another make, whose signaling goes over our socket."""

    def __init__(self, client: WsClient, call_id: str) -> None:
        self.client = client
        self.call_id = call_id
        self.connection = RTCPeerConnection()
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self.connection.on("datachannel", self.take)

    def take(self, channel: Any) -> None:
        channel.on("message", self.received.put_nowait)

    async def describe(self, description: RTCSessionDescription) -> None:
        """Set what this side offers or answers, and send it; aiortc gathers candidates before it returns."""
        await self.connection.setLocalDescription(description)
        made = self.connection.localDescription
        lines = made.sdp.splitlines(keepends=True)
        candidates = [line.strip() for line in lines if line.startswith("a=candidate")]
        # Trickled, as a browser does it.
        sdp = "".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))
        await self.send(description={"type": made.type, "sdp": sdp})
        found = [{"candidate": line.removeprefix("a="), "sdpMid": "0", "sdpMLineIndex": 0} for line in candidates]
        await self.send(candidates=found)
        await self.send(endOfCandidates=True)

    async def send(self, **signal: Any) -> None:
        await self.client.call("call.signal", {"callId": self.call_id, **signal})

    async def listen(self) -> None:
        """Follow the other side's signals until they end."""
        while True:
            signal = await self.client.push("call.signal")
            if described := signal.get("description"):
                await self.connection.setRemoteDescription(RTCSessionDescription(described["sdp"], described["type"]))
                if described["type"] == "offer":
                    await self.describe(await self.connection.createAnswer())
            for item in signal.get("candidates", []):
                await self.connection.addIceCandidate(candidate(item))
            if signal.get("endOfCandidates"):
                await self.connection.addIceCandidate(None)
                return


def candidate(item: dict[str, Any]) -> RTCIceCandidate:
    parsed = candidate_from_sdp(item["candidate"].removeprefix("candidate:"))
    assert candidate_to_sdp(parsed)
    parsed.sdpMid, parsed.sdpMLineIndex = item["sdpMid"], item["sdpMLineIndex"]
    return parsed


@pytest.mark.slow
async def test_data_flow_between_independent_peers(world: World, second: SecondGateway) -> None:
    ann, bob = await friends(world)
    async with (
        socket_of(world.session, world.url, ann.token) as caller,
        socket_of(world.session, second.url, bob.token) as callee,
    ):
        call_id = (await caller.call("call.invite", invite(bob)))["callId"]
        await callee.call("call.accept", {"callId": call_id})
        await caller.push("call.accepted")
        one, other = Peer(caller, call_id), Peer(callee, call_id)
        try:
            channel = one.connection.createDataChannel("chat")
            opened = asyncio.Event()
            channel.on("open", opened.set)
            async with asyncio.timeout(20):
                await one.describe(await one.connection.createOffer())
                await asyncio.gather(one.listen(), other.listen())
                await opened.wait()
                channel.send("hello over our own signaling")
                assert await other.received.get() == "hello over our own signaling"
            await caller.call("call.connected", {"callId": call_id})
            assert (await callee.call("call.connected", {"callId": call_id}))["state"] == "CALL_STATE_ACTIVE"
        finally:
            await asyncio.gather(one.connection.close(), other.connection.close())
        await caller.call("call.hangup", {"callId": call_id})
