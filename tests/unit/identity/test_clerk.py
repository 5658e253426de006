"""Clerk's Backend API: what its answers say, and what becomes of bad ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unavailable
from core.identity.clerk import Clerk, Profile, read_profile, read_user_id

USER: dict[str, Any] = {
    "id": "user_1",
    "first_name": " Ada ",
    "last_name": "King\n Lovelace",
    "username": "ada",
    "image_url": "https://img.clerk.com/1",
    "primary_email_address_id": "idn_2",
    "email_addresses": [
        {"id": "idn_1", "email_address": "old@example.com"},
        {"id": "idn_2", "email_address": "ada@example.com"},
    ],
    "public_metadata": {"role": "ADMIN"},
    "updated_at": 1_700_000_000_123,
}
ADA = Profile("user_1", "ada@example.com", "Ada King Lovelace", "https://img.clerk.com/1", 1_700_000_000_123)


def test_a_user() -> None:
    assert read_profile(USER) == ADA


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"first_name": None}, "display_name", "King Lovelace"),
        ({"first_name": None, "last_name": ""}, "display_name", "ada"),
        ({"first_name": None, "last_name": " ", "username": None}, "display_name", "ada"),
        ({"first_name": "x" * 300}, "display_name", "x" * 200),
        ({"primary_email_address_id": None}, "email", ""),
        ({"primary_email_address_id": "idn_9"}, "email", ""),
        ({"email_addresses": None}, "email", ""),
        ({"email_addresses": [{"id": "idn_2", "email_address": "x" * 321}]}, "email", ""),
        ({"image_url": None}, "image_url", ""),
        ({"image_url": "https://x/" + "x" * 2000}, "image_url", ""),
        ({"updated_at": None}, "version", 0),
    ],
)
def test_what_is_missing_or_too_long(changes: dict[str, Any], field: str, value: object) -> None:
    assert getattr(read_profile({**USER, **changes}), field) == value


def test_nobody_s_name() -> None:
    assert read_profile({"id": "user_2"}) == Profile("user_2", "", "Unnamed", "", 0)


NO_USERS: list[dict[str, Any]] = [
    {"id": None},
    {"id": ""},
    {"id": "u" * 65},
    {"id": "usér"},
    {"id": "user\n1"},
    {"first_name": 7},
    {"last_name": ["x"]},
    {"email_addresses": ["ada@example.com"]},
    {"email_addresses": 7},
    {"email_addresses": [{}]},
    {"email_addresses": [{"id": "idn_2", "email_address": 7}]},
    {"email_addresses": [{"id": [], "email_address": "x"}]},
    {"primary_email_address_id": {}},
    {"updated_at": "now"},
    {"updated_at": -1},
    {"updated_at": 1.5},
    {"updated_at": 2**63},
]


@pytest.mark.parametrize("user", [None, [], "user_1", 7, {}, *({**USER, **changes} for changes in NO_USERS)], ids=str)
def test_what_is_no_user(user: object) -> None:
    with pytest.raises(ValueError, match=r"user|address|updated_at"):
        read_profile(user)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(USER)), JSON, max_size=5))
def test_any_user_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        profile = read_profile({**USER, **changes})
    except ValueError:
        return
    assert 0 < len(profile.clerk_id) <= 64
    assert 0 < len(profile.display_name) <= 200
    assert max(len(profile.email) - 320, len(profile.image_url) - 2000) <= 0


def test_user_ids() -> None:
    assert read_user_id("user_2abcDEF") == "user_2abcDEF"


class Server:
    """Answers every request with `reply`, and keeps what was asked."""

    def __init__(self) -> None:
        self.reply: Any = (200, b"{}")
        self.asked: list[tuple[str, str]] = []
        self.verbs: list[str] = []
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.path_qs, request.headers.get("Authorization", "")))
        self.verbs.append(request.method)
        if callable(self.reply):
            answer: web.StreamResponse = await self.reply(request)
            return answer
        status, body = self.reply
        return web.Response(status=status, body=body, headers={"Location": "/elsewhere"})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def clerk(server: Server) -> AsyncIterator[Clerk]:
    clerk = Clerk(server.url + "/", "sk_test_1")
    yield clerk
    await clerk.close()


async def test_it_asks_with_the_secret_key(server: Server, clerk: Clerk) -> None:
    server.reply = (200, orjson.dumps(USER))
    assert await clerk.profile("user_1") == ADA
    assert server.asked == [("/v1/users/user_1", "Bearer sk_test_1")]


async def test_an_id_stays_one_segment_of_the_path(server: Server, clerk: Clerk) -> None:
    server.reply = (404, b"{}")
    assert await clerk.profile("../jwks?x=1") is None
    assert server.asked[0][0] == "/v1/users/..%2Fjwks%3Fx=1"


async def test_an_answer_in_pieces_is_read_to_its_end(server: Server, clerk: Clerk) -> None:
    async def in_pieces(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in orjson.dumps({"keys": [{"kid": "a"}, "none", {"kid": "b"}]}):
            await response.write(bytes([byte]))
            await asyncio.sleep(0)
        return response

    server.reply = in_pieces
    assert await clerk.keys() == [{"kid": "a"}, {"kid": "b"}]


@pytest.mark.parametrize("status", [204, 302, 401, 429, 500, 503])
async def test_any_other_status_is_an_outage(server: Server, clerk: Clerk, status: int) -> None:
    server.reply = (status, b"{}" if status != 204 else b"")
    with pytest.raises(Unavailable, match="Clerk cannot be reached"):
        await clerk.keys()
    with pytest.raises(Unavailable):
        await clerk.profile("user_1")
    assert len(server.asked) == 2


TOO_LONG = b'{"keys": "' + b"x" * 1024 * 1024 + b'"}'


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'"x"', b"null", b'{"keys": {}}', b"\xff", TOO_LONG], ids=len)
async def test_an_answer_that_cannot_be_read_is_an_outage(server: Server, clerk: Clerk, body: bytes) -> None:
    server.reply = (200, body)
    with pytest.raises(Unavailable):
        await clerk.keys()
    with pytest.raises(Unavailable):
        await clerk.profile("user_1")


async def test_a_user_is_deleted_once(server: Server, clerk: Clerk) -> None:
    """However often: one that is not there is deleted already."""
    for reply in ((200, b'{"id": "user/1", "object": "user", "deleted": true}'), (404, b'{"errors": []}')):
        server.reply = reply
        await clerk.delete("user/1")
    assert server.verbs == ["DELETE"] * 2
    assert server.asked == [("/v1/users/user%2F1", "Bearer sk_test_1")] * 2
    for status in (401, 403, 429, 500):
        server.reply = (status, b"{}")
        with pytest.raises(Unavailable):
            await clerk.delete("user_1")


async def test_nobody_there() -> None:
    clerk = Clerk("http://127.0.0.1:1", "sk_test_1")
    with pytest.raises(Unavailable):
        await clerk.profile("user_1")
    await clerk.close()
