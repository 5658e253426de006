"""The JavaScript client's own rules, in Chromium, with the server and the clock in the test's hand."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.browser import Visits
from tests.support.polling import eventually
from tests.support.realtime_lab import serve_pages
from tests.support.world import World


@pytest.fixture
async def page(world: World, visit: Visits) -> Page:
    """A page with tests/support/lab/fakes.js."""
    visitor = await visit()
    await serve_pages(visitor.context, world.url)
    await visitor.page.goto(f"{world.url}/lab/fakes")
    await eventually(lambda: visitor.page.evaluate("window.ready"))
    return visitor.page


async def run(page: Page, body: str) -> Any:
    """What the body of an async function returns."""
    return await page.evaluate(f"async () => {{ {body} }}")


async def test_close_codes_decide_about_coming_back(page: Page) -> None:
    found = await run(page, """
        const found = {};
        for (const code of [...Object.keys(CLOSE_CODES).map(Number), 1000, 1001, 1006, 1009]) {
          const { connection, sockets, states } = await connected();
          sockets[0].end(code);
          found[code] = connection.state;
        }
        return found;
    """)  # fmt: skip
    assert {int(code) for code, state in found.items() if state == "closed"} == {4500, 4501, 4503, 4504, 4505}
    assert {state for code, state in found.items() if int(code) < 4500} == {"waiting"}


async def test_waits_double_with_jitter_until_a_connection_was_good(page: Page) -> None:
    assert await run(page, "return [0, 1, 2, 5, 6, 50].map((n) => backoffMs(n, 1))") == [500, 1000, 2000, 16_000, 30_000, 30_000]
    assert await run(page, "return backoffMs(3, 0)") == 2000
    found = await run(page, """
        const { clock, sockets, states } = await connected();
        sockets[0].end(1006);
        for (const number of [1, 2]) {
          await clock.pass(clock.due);
          sockets[number].end(1006);
        }
        await clock.pass(clock.due);
        sockets[3].accept();
        await clock.pass(10_001);
        sockets[3].end(4000);
        return states.filter(({ state }) => state === "waiting").map(({ retryInMs }) => retryInMs);
    """)  # fmt: skip
    assert found == [250, 500, 1000, 250]


async def test_a_service_that_is_slow_to_open_is_waited_for_and_then_for_ever_longer(page: Page) -> None:
    """It opens a connection within forty seconds; whoever gives up before and comes back only adds to the crowd."""
    found = await run(page, """
        const { connection, clock, sockets, states } = setUp();
        connection.connect();
        await settled();
        await clock.pass(14_999);
        sockets[0].onopen();
        await clock.pass(44_999);
        const patient = connection.state;
        await clock.pass(1);
        await clock.pass(250);
        await clock.pass(15_000);
        for (const waited of [500, 1000]) {
          await clock.pass(waited);
          sockets.at(-1).onopen();
          await clock.pass(45_000);
        }
        const waits = states.filter(({ state }) => state === "waiting").map(({ retryInMs }) => retryInMs);
        return [patient, waits, sockets.length, sockets.filter(({ readyState }) => readyState === 1).length];
    """)  # fmt: skip
    assert found == ["connecting", [250, 500, 1000, 2000], 4, 0]


async def test_relay_credentials_expire_by_the_service_s_clock(page: Page) -> None:
    found = await run(page, """
        const { PeerLink } = await import("/static/realtime-peer.js");
        const { connection, clock } = await connected({}, { serverTime: "2030-01-01T00:00:00Z" });
        Date.now = () => 0;
        let served = 0;
        const configured = [];
        const pc = { signalingState: "stable", restartIce: () => {}, setConfiguration: (next) => configured.push(next) };
        const link = new PeerLink({
          polite: true, configuration: {}, clock, serverNow: () => connection.serverNow(), onFault: (error) => { throw error; },
          RTCPeerConnection: function () { return pc; },
          iceServers: async () => ({ iceServers: [{ urls: [`turn:${++served}`] }], expireTime: "2030-01-01T00:05:00Z" }),
        });
        await settled();
        const times = [];
        for (const ms of [0, 239_000, 2_000]) {
          clock.time += ms;
          await link.restart();
          times.push(served);
        }
        return [times, configured.length];
    """)  # fmt: skip
    assert found == [[1, 1, 2], 1]


async def test_it_resumes_and_shows_nothing_twice(page: Page) -> None:
    found = await run(page, """
        const { clock, sockets, pushes } = await connected({}, { offset: "5" });
        const [one] = sockets;
        const push = (o, id, n) => ({ t: "a.b", o, id, d: { n } });
        one.get(push(6, "six", 6));
        one.get(push(6, "six", 6));
        one.get(push(8, "eight", 8));
        one.get(push(9, "six", 6));
        one.get({ t: "a.b", d: { n: "passing" } });
        one.end(1006);
        one.get = null;
        await clock.pass(250);
        const replay = [push(8, "eight", 8), push(10, "ten", 10), push(11, "eleven", 11)];
        sockets[1].accept({ recovered: true, offset: "11", replay });
        sockets[1].get(push(11, "eleven", 11));
        sockets[1].end(4003);
        await clock.pass(10_000);
        sockets[2].accept({ epoch: "other", offset: "0" });
        sockets[2].get(push(1, "first", 1));
        sockets[2].get(push(2, "eleven", 11));
        return [pushes, ...sockets.map(({ sent }) => sent[0].d.resume ?? null)];
    """)  # fmt: skip
    assert found == [
        [6, 8, "passing", 10, 11, 1], None, {"epoch": "e", "offset": 9}, {"epoch": "e", "offset": 11},
    ]  # fmt: skip


async def test_requests_are_tried_again_only_if_they_may_be(page: Page) -> None:
    found = await run(page, """
        const { connection, clock, sockets } = await connected();
        const once = connection.request("x.once").catch(({ reason }) => reason);
        const again = connection.request("x.again", { n: 1 }, { retry: true });
        const wrong = connection.request("x.wrong", {}, { retry: true }).catch(({ reason }) => reason);
        const [, , { id: wrongId }] = sockets[0].sent.slice(1);
        sockets[0].get({ id: wrongId, err: { code: "INVALID_ARGUMENT", reason: "BAD", detail: "" } });
        sockets[0].end(1006);
        const refused = await connection.request("x.offline").catch(({ reason }) => reason);
        await clock.pass(250);
        sockets[1].accept();
        const [{ id }] = sockets[1].named("x.again");
        sockets[1].get({ id, err: { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED", detail: "", retryAfterMs: 700 } });
        await clock.pass(699);
        const early = sockets[1].named("x.again").length;
        await clock.pass(1);
        sockets[1].get({ id: sockets[1].named("x.again")[1].id, d: { done: true } });
        const never = connection.request("x.never", {}, { timeoutMs: 500 }).catch(({ reason }) => reason);
        await clock.pass(500);
        connection.close();
        const closed = await connection.request("x.closed", {}, { retry: true }).catch(({ reason }) => reason);
        return [await once, await again, await wrong, refused, early, await never, closed, sockets[1].named("x.once").length];
    """)  # fmt: skip
    assert found == ["NOT_CONNECTED", {"done": True}, "BAD", "NOT_CONNECTED", 1, "NO_REPLY", "CLOSED", 0]


async def test_what_waits_is_bounded_and_goes_out_no_faster_than_allowed(page: Page) -> None:
    found = await run(page, """
        const { connection, clock, sockets } = setUp();
        const failed = [];
        const ask = (n) => connection.request("x.y", { n }, { retry: true }).catch(({ reason }) => failed.push(reason));
        for (let n = 0; n < 203; n++) ask(n);
        connection.connect();
        await settled();
        sockets[0].accept();
        const counts = [sockets[0].named("x.y").length];
        for (let second = 0; second < 2; second++) {
          await clock.pass(1000);
          counts.push(sockets[0].named("x.y").length);
        }
        await clock.pass(6000);
        const order = sockets[0].named("x.y").map(({ d }) => d.n);
        return [failed, counts, order.length, order.every((n, place) => n === place)];
    """)  # fmt: skip
    assert found == [["QUEUE_FULL"] * 3, [50, 70, 90], 200, True]


async def test_signs_of_life(page: Page) -> None:
    found = await run(page, """
        const { clock, sockets, states } = await connected({}, { offset: "7" });
        sockets[0].get({ t: "ping", d: {} });
        await clock.pass(34_000);
        sockets[0].get({ t: "ping", d: {} });
        await clock.pass(34_999);
        const standing = states.at(-1).state;
        await clock.pass(1);
        return [sockets[0].named("pong"), standing, states.at(-1).reason, sockets[0].readyState];
    """)  # fmt: skip
    assert found == [[{"t": "pong", "d": {"offset": 7}}] * 2, "open", "the server is silent", 3]


async def test_tokens_and_tickets(page: Page) -> None:
    found = await run(page, """
        const { connection, clock, sockets, wishes } = await connected();
        sockets[0].get({ t: "auth.expiring", d: {} });
        await settled();
        const [{ id }] = sockets[0].named("auth.refresh");
        sockets[0].get({ id, err: { code: "UNAVAILABLE", reason: "UNAVAILABLE", detail: "" } });
        await settled();
        await clock.pass(1000);
        const tokens = sockets[0].named("auth.refresh").map(({ d }) => d.token);
        sockets[0].end(4006);
        await clock.pass(250);
        sockets[1].accept();
        return [tokens, sockets[1].sent[0].d.token, wishes.map(({ fresh }) => fresh)];
    """)  # fmt: skip
    assert found == [["token 2", "token 3"], "token 4", [False, True, True, True]]
    found = await run(page, """
        const asked = [];
        const fetch = async (url, { method, headers }) => {
          asked.push([method, url, headers.Authorization]);
          return Response.json({ ticket: `ticket ${asked.length}` });
        };
        const { connection, clock, sockets } = setUp({ useTicket: true, fetch });
        connection.connect();
        await until(() => sockets.length === 1);
        sockets[0].onopen();
        sockets[0].get({ id: sockets[0].sent[0].id, err: { code: "UNAUTHENTICATED", reason: "TICKET_INVALID", detail: "" } });
        sockets[0].end(4500);
        await clock.pass(250);
        await until(() => sockets.length === 2);
        sockets[1].onopen();
        sockets[1].get({ id: sockets[1].sent[0].id, err: { code: "UNAUTHENTICATED", reason: "TICKET_INVALID", detail: "" } });
        sockets[1].end(4500);
        return [asked[0], sockets.map(({ sent }) => sent[0].d.ticket), connection.state];
    """)  # fmt: skip
    assert found == [["POST", "http://x/realtime/ticket", "Bearer token 1"], ["ticket 1", "ticket 2"], "closed"]


CHAT = """
    const talk = (seq, senderId = "bob") => {
      const recipientId = senderId === "me" ? "bob" : "me";
      return { id: `m${seq}`, senderId, recipientId, seq: String(seq), body: `${seq}` };
    };
    const asked = [];
    const fetch = async (url) => {
      asked.push(url.replace("http://x", ""));
      if (url.includes("/chat/conversations")) return Response.json({ conversations: [] });
      return Response.json({ messages: [3, 2].map((seq) => talk(seq)), nextPageToken: "" });
    };
    const { connection, clock, sockets } = await connected({ fetch });
    const [socket] = sockets;
    const chat = new Chat(connection);
    const shown = [];
    chat.addEventListener("message", ({ detail }) => shown.push(detail.message.seq));
    const arrive = (seq, o, sender) => socket.get({ t: "chat.message", o, id: `e${o}`, d: talk(seq, sender) });
    await until(() => asked.length === 1);
"""


async def test_messages_come_in_order_and_gaps_are_filled(page: Page) -> None:
    found = await run(page, CHAT + """
        arrive(1, 1);
        arrive(4, 2);
        arrive(2, 3);
        await until(() => shown.length === 4);
        arrive(4, 4);
        await clock.pass(1000);
        chat.markRead("bob", 3);
        chat.markRead("bob");
        await clock.pass(1000);
        const receipts = socket.sent.filter(({ t }) => t === "chat.delivered" || t === "chat.read").map(({ t, d }) => [t, d.seq]);
        return [shown, asked.at(-1), receipts];
    """)  # fmt: skip
    assert found == [[1, 2, 3, 4], "/chat/history/bob?pageSize=100&afterSeq=1", [["chat.delivered", 4], ["chat.read", 4]]]


async def test_sends_keep_their_order_and_typing_ends(page: Page) -> None:
    found = await run(page, CHAT + """
        const typing = [];
        chat.addEventListener("typing", ({ detail }) => typing.push(detail.typing));
        socket.get({ t: "chat.typing", d: { userId: "bob", typing: true } });
        await clock.pass(9999);
        const still = [...typing];
        await clock.pass(1);
        for (let key = 0; key < 11; key++) {
          chat.typing("bob");
          await clock.pass(1000);
        }
        await clock.pass(6000);
        const said = socket.named("chat.typing").map(({ d }) => d.typing);
        const [one, two] = [chat.send("bob", "one"), chat.send("bob", "two")];
        await settled();
        const first = socket.named("chat.send").map(({ d }) => d.body);
        socket.get({ id: socket.named("chat.send")[0].id, d: { message: talk(1, "me") } });
        await settled();
        socket.get({ id: socket.named("chat.send")[1].id, d: { message: talk(2, "me") } });
        await Promise.all([one, two]);
        return [still, typing, said, first, shown, chat.conversation("bob").pending];
    """)  # fmt: skip
    assert found == [[True], [True, False], [True, True, True, False], ["one"], [1, 2], []]


async def test_the_watch_is_set_again_after_a_break(page: Page) -> None:
    found = await run(page, CHAT + """
        const seen = [];
        chat.addEventListener("presence", ({ detail }) => seen.push([detail.userId, detail.online]));
        const answer = (place, online) => {
          const [{ id, d }] = sockets[place].named("presence.watch");
          sockets[place].get({ id, d: { presences: d.userIds.map((userId) => ({ userId, online })) } });
        };
        const watching = chat.watch(["bob", "bob", "cleo"]);
        answer(0, true);
        await watching;
        socket.get({ t: "presence.changed", d: { userId: "cleo", online: false } });
        socket.get({ t: "presence.changed", d: { userId: "eve", online: true } });
        socket.end(4000);
        await clock.pass(250);
        sockets[1].accept({ recovered: true });
        answer(1, false);
        await settled();
        return [seen, [...chat.presence.values()].map(({ online }) => online)];
    """)  # fmt: skip
    assert found == [
        [["bob", True], ["cleo", True], ["cleo", False], ["bob", False], ["cleo", False]], [False, False],
    ]  # fmt: skip
