"""Video calls of two people in two browsers at two gateway processes: bytes flow, a gateway is lost, the way through the network
is another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.sdp import candidate_from_sdp
from playwright.async_api import expect

from cli.servers import LocalServers
from tests.conftest import fresh_database, fresh_redis
from tests.support.browser import Visits
from tests.support.polling import eventually
from tests.support.realtime_lab import Desk, Lab, laboratory, sit_down
from tests.support.sockets import WsClient, raw_socket
from tests.support.turn_server import TurnServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TURN_SECRET = "a secret that coturn and the tests share"
RELAYED = {"configuration": {"iceTransportPolicy": "relay"}}


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    with TurnServer(tmp_path_factory.mktemp("turn"), TURN_SECRET) as running:
        yield running


@pytest.fixture(scope="module")
async def lab(
    servers: LocalServers, worker_number: int, tmp_path_factory: pytest.TempPathFactory, turn: TurnServer
) -> AsyncIterator[Lab]:
    url = fresh_database(servers, f"browser_calls_{worker_number}")
    settings = {"TURN_URLS": turn.url, "TURN_SECRET": TURN_SECRET}
    folder: Path = tmp_path_factory.mktemp("calls")
    async with laboratory(folder, url, fresh_redis(servers, 54 + worker_number), **settings) as made:
        yield made


async def sit_both(lab: Lab, visit: Visits, **options: object) -> tuple[Desk, Desk]:
    """Ada at the first gateway, Bob at the second."""
    return await sit_down(visit, lab.ada, lab.bob, options), await sit_down(visit, lab.bob, lab.ada, options)


async def call(caller: Desk, callee: Desk) -> None:
    """The one rings the other, who answers; both see the other's video when this returns."""
    await caller.page.get_by_role("button", name="Call", exact=True).click()
    await expect(callee.page.locator("#state")).to_have_text("ringing")
    await callee.page.get_by_role("button", name="Accept").click()
    for desk in (caller, callee):
        await expect(desk.page.locator("#state")).to_have_text("active", timeout=20_000)
    await asyncio.gather(caller.flow(), callee.flow())


async def hang_up(one: Desk, other: Desk) -> None:
    await one.page.get_by_role("button", name="Hang up").click()
    for desk in (one, other):
        await expect(desk.page.locator("#state")).to_have_text("ended HANGUP")
        assert (await desk.log())["faults"] == []


async def record(lab: Lab) -> dict[str, object]:
    """Ada's last call, as the history has it."""
    answer = await asyncio.to_thread(lab.installation.call, "GET", "/calls?pageSize=1", lab.ada.token)
    return answer["calls"][0]  # type: ignore[no-any-return]


async def test_a_video_call(lab: Lab, visit: Visits) -> None:
    ada, bob = await sit_both(lab, visit)
    await ada.page.get_by_role("button", name="Call", exact=True).click()
    await expect(bob.page.locator("#state")).to_have_text("ringing")
    await bob.run("lab.call.reject()")
    await expect(ada.page.locator("#state")).to_have_text("ended DECLINED")
    await call(ada, bob)
    assert (await ada.run("lab.traffic()"))["local"] == "host"

    # A new way is looked for while media flow on the old one; either side may ask for it.
    for desk in (ada, bob):
        before = (await desk.run("lab.traffic()"))["ufrag"]
        await desk.run("lab.call.link.restart()")
        await eventually(lambda desk=desk: desk.run("lab.traffic()"), lambda now, before=before: now["ufrag"] != before)  # type: ignore[misc]
        await asyncio.gather(ada.flow(), bob.flow())
    await hang_up(bob, ada)
    assert await ada.run("lab.call.localStream.getTracks().every((track) => track.readyState === 'ended')")
    found = await record(lab)
    assert (found["outgoing"], found["missed"], found["reason"]) == (True, False, "CALL_END_REASON_HANGUP")


async def test_two_who_call_each_other_at_once(lab: Lab, visit: Visits) -> None:
    ada, bob = await sit_both(lab, visit)
    await asyncio.gather(*(desk.page.get_by_role("button", name="Call", exact=True).click() for desk in (ada, bob)))
    for desk in (ada, bob):
        await expect(desk.page.locator("#state")).to_have_text("active", timeout=20_000)
    await asyncio.gather(ada.flow(), bob.flow())
    assert await ada.run("lab.call.id") == await bob.run("lab.call.id")
    assert {await desk.run("lab.call.outgoing") for desk in (ada, bob)} == {True, False}
    await hang_up(ada, bob)


async def test_a_relayed_call_and_a_relay_that_is_lost(lab: Lab, visit: Visits, turn: TurnServer) -> None:
    ada, bob = await sit_both(lab, visit, **RELAYED)
    await call(ada, bob)
    for desk in (ada, bob):
        traffic = await desk.run("lab.traffic()")
        assert (traffic["local"], traffic["remote"]) == ("relay", "relay")
        assert f":{desk.person.id}>" in turn.said
    before = (await ada.run("lab.traffic()"))["ufrag"]
    await asyncio.to_thread(turn.stop)
    await asyncio.to_thread(turn.start)
    await eventually(lambda: ada.run("lab.traffic()"), lambda now: now["ufrag"] != before, seconds=30)
    await asyncio.gather(ada.flow(40), bob.flow(40))
    await hang_up(ada, bob)


async def pick_up(client: WsClient, peer: RTCPeerConnection) -> str:
    """Answer the call that rings, with a peer of another make; the call's id when media flow."""
    call_id = str((await client.push("call.ringing"))["callId"])
    await client.call("call.accept", {"callId": call_id})
    assert (await client.push("call.accepted"))["polite"]
    while peer.connectionState != "connected":
        if any(push["t"] == "call.signal" for push in client.pushes):
            await take_signal(client, peer, await client.push("call.signal"))
        await asyncio.sleep(0.02)
    return call_id


async def take_signal(client: WsClient, peer: RTCPeerConnection, signal: dict[str, Any]) -> None:
    if offer := signal.get("description"):
        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
        await peer.setLocalDescription(await peer.createAnswer())
        answer = {"type": peer.localDescription.type, "sdp": peer.localDescription.sdp}
        await client.call("call.signal", {"callId": signal["callId"], "description": answer})
    for item in signal["candidates"]:
        candidate = candidate_from_sdp(item["candidate"].removeprefix("candidate:"))
        candidate.sdpMid, candidate.sdpMLineIndex = item["sdpMid"], item["sdpMLineIndex"]
        await peer.addIceCandidate(candidate)


async def test_a_call_with_a_peer_of_another_make(lab: Lab, visit: Visits) -> None:
    """aiortc at the other end: what the client says is WebRTC, not only Chromium."""
    ada = await sit_down(visit, lab.ada, lab.bob)
    peer = RTCPeerConnection()
    tracks: list[Any] = []
    peer.on("track", tracks.append)
    peer.addTrack(VideoStreamTrack())
    peer.addTrack(AudioStreamTrack())
    try:
        async with (
            aiohttp.ClientSession() as session,
            raw_socket(session, lab.gateways[1].url, origin=lab.bob.switch.url) as client,
        ):
            await client.connect(lab.bob.token, device="another", tab="1")
            await ada.page.get_by_role("button", name="Call", exact=True).click()
            call_id = await pick_up(client, peer)
            await client.call("call.connected", {"callId": call_id})
            assert sorted(track.kind for track in tracks) == ["audio", "video"]
            for track in tracks:
                for _ in range(3):
                    assert (await track.recv()).time_base is not None
            await ada.flow()
            await client.call("call.hangup", {"callId": call_id})
            await expect(ada.page.locator("#state")).to_have_text("ended HANGUP")
    finally:
        await peer.close()


async def test_a_gateway_lost_in_the_middle_of_a_call(lab: Lab, visit: Visits) -> None:
    """It is the last one here: the first gateway does not come back."""
    ada, bob = await sit_both(lab, visit)
    ada.visitor.forgive("WebSocket connection")
    ada.visitor.forgive("ERR_CONNECTION")
    ada.visitor.forgive("ERR_EMPTY_RESPONSE")
    await call(ada, bob)
    await asyncio.to_thread(lab.gateways[0].kill)
    lab.ada.switch.target = lab.gateways[1].port
    lab.ada.switch.cut()
    await ada.until("lab.connection.state !== 'open'")
    await asyncio.gather(ada.flow(), bob.flow())
    await ada.until("lab.connection.state === 'open'")
    states = [item["state"] for item in (await ada.log())["states"]]
    assert states[:3] == ["connecting", "open", "waiting"]
    # The call is the same, and can be negotiated anew.
    assert await ada.run("lab.call.state") == await bob.run("lab.call.state") == "active"
    before = (await bob.run("lab.traffic()"))["ufrag"]
    await ada.run("lab.call.link.restart()")
    await eventually(lambda: bob.run("lab.traffic()"), lambda now: now["ufrag"] != before)
    await asyncio.gather(ada.flow(), bob.flow())
    await hang_up(bob, ada)
