"""The fakes over real HTTP: Clerk's wire as its clients see it, and what is common to all fakes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from fakes.clerk import Persona, svix_headers
from fakes.keys import SigningKey
from fakes.server import CLERK_SECRET_KEY, FakeWorld
from fakes.users import user_id_of
from fakes.videos import FILM, video_url
from fakes.web import Mode

BACKEND = {"Authorization": f"Bearer {CLERK_SECRET_KEY}"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[FakeWorld]:
    fakes = FakeWorld(tmp_path, clerk_authorized_party="http://localhost:3000")
    await fakes.listen()
    yield fakes
    await fakes.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def sign_in(http: aiohttp.ClientSession, world: FakeWorld, **body: Any) -> dict[str, Any]:
    async with http.post(f"{world.url}/dev/sign-in", json=body) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def published(http: aiohttp.ClientSession, world: FakeWorld) -> dict[str, Any]:
    """The keys of JWKS by their ids."""
    async with http.get(f"{world.url}/v1/jwks", headers=BACKEND) as response:
        assert response.status == 200
        return {key["kid"]: jwt.PyJWK(key).key for key in (await response.json())["keys"]}


def verify(token: str, keys: dict[str, Any], issuer: str) -> dict[str, Any]:
    required = ["iss", "sub", "sid", "iat", "nbf", "exp", "azp", "sts"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], issuer=issuer, options={"require": required})
    return claims


@pytest.mark.parametrize(
    ("given", "role"),
    [("STUDENT", "STUDENT"), ("ROLE_INSTRUCTOR", "INSTRUCTOR"), ("admin", "ADMIN"), ("role_parent", "PARENT"), (None, None)],
)
async def test_sign_in_gives_a_session_token(
    http: aiohttp.ClientSession, world: FakeWorld, given: str | None, role: str | None
) -> None:
    answer = await sign_in(http, world, email="Asa@Example.com", displayName="Åsa  Karin Ångström", role=given)
    claims = verify(answer["token"], await published(http, world), world.url)
    assert answer["expiresInSeconds"] == 3600
    assert claims["exp"] - claims["iat"] == pytest.approx(3600, abs=1)
    assert claims["sub"] == answer["userId"] == user_id_of("asa@example.com")
    assert claims["azp"] == "http://localhost:3000"
    assert (claims["sts"], claims["v"]) == ("active", 2)
    assert claims["metadata"] == ({"role": role} if role else {})
    async with http.get(f"{world.url}/v1/users/{answer['userId']}", headers=BACKEND) as response:
        user = await response.json()
    assert (user["id"], user["first_name"], user["last_name"]) == (answer["userId"], "Åsa", "Karin Ångström")
    (address,) = user["email_addresses"]
    assert user["primary_email_address_id"] == address["id"]
    assert address["email_address"] == "Asa@Example.com"
    assert user["public_metadata"] == ({"role": role} if role else {})
    assert user["created_at"] == user["updated_at"] == pytest.approx(time.time() * 1000, abs=10_000)


async def test_signing_in_again_updates_the_same_user(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    first = await sign_in(http, world, email="a@example.com", displayName="Anna", role="STUDENT")
    before = world.clerk.users.get(first["userId"])
    again = await sign_in(http, world, email="a@example.com", displayName="Anna", role="STUDENT")
    assert world.clerk.users.get(again["userId"]) is before
    assert again["token"] != first["token"]
    await sign_in(http, world, email="A@example.com", displayName="Anna Lee", role="ADMIN")
    after = world.clerk.users.get(first["userId"])
    assert before is not None
    assert after is not None
    assert after.created_at == before.created_at
    assert after.updated_at > before.updated_at
    assert (after.last_name, after.role) == ("Lee", "ADMIN")


async def test_a_deleted_user_s_next_account_is_another(http: aiohttp.ClientSession, world: FakeWorld, tmp_path: Path) -> None:
    ids = []
    for _ in range(3):
        ids.append((await sign_in(http, world, email="a@example.com"))["userId"])
        url = f"{world.url}/v1/users/{ids[-1]}"
        async with http.delete(url, headers=BACKEND) as response:
            assert (response.status, await response.json()) == (
                200, {"object": "user", "id": ids[-1], "slug": None, "deleted": True},
            )  # fmt: skip
        for ask in (http.get, http.delete):
            async with ask(url, headers=BACKEND) as response:
                assert response.status == 404
        async with http.delete(url) as response:
            assert response.status == 401
    assert len(set(ids)) == 3
    for _ in range(2):  # what the journal says, and what is left of it when it was written anew
        again = FakeWorld(tmp_path)
        await again.start()
        assert [again.clerk.users.get(item) for item in ids] == [None] * 3
        await again.close()
    user, _ = await again.clerk.sign_in("a@example.com", "A")
    assert user.id not in ids


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["email", "displayName"]),
        ({"email": "nobody", "displayName": "", "role": "KING"}, ["email", "displayName", "role"]),
        ({"email": "a@b", "displayName": "A\u0000", "role": 1}, ["displayName", "role"]),
        ({"email": "a@b", "name": "A"}, ["name"]),
        ({"email": ["a@b"], "displayName": {"a": 1}}, ["email", "displayName"]),
    ],
)
async def test_bad_sign_in(http: aiohttp.ClientSession, world: FakeWorld, body: dict[str, Any], fields: list[str]) -> None:
    async with http.post(f"{world.url}/dev/sign-in", json=body) as response:
        assert response.status == 400
        assert response.content_type == "application/problem+json"
        problem = await response.json(content_type=None)
    assert [violation["field"] for violation in problem["violations"]] == fields


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"x" * 70_000, "application/json", 413),
    ],
)
async def test_unreadable_bodies(
    http: aiohttp.ClientSession, world: FakeWorld, data: bytes, content_type: str, status: int
) -> None:
    async with http.post(f"{world.url}/dev/sign-in", data=data, headers={"Content-Type": content_type}) as response:
        assert response.status == status


@pytest.mark.parametrize("path", ["/v1/jwks", "/v1/users/user_x"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {CLERK_SECRET_KEY}", "Bearer é"])
async def test_backend_api_needs_the_secret_key(
    http: aiohttp.ClientSession, world: FakeWorld, path: str, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with http.get(world.url + path, headers=headers) as response:
        assert response.status == 401
        assert (await response.json())["errors"][0]["code"] == "clerk_key_invalid"


async def test_unknown_user(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    async with http.get(f"{world.url}/v1/users/user_unknown", headers=BACKEND) as response:
        assert response.status == 404
        assert (await response.json())["errors"][0]["code"] == "resource_not_found"


async def test_keys_rotate_and_retire(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    old = world.clerk.mint("user_x")
    await world.clerk.rotate()
    new = world.clerk.mint("user_x")
    keys = await published(http, world)
    assert len(keys) == 2
    assert verify(old, keys, world.url)["sub"] == verify(new, keys, world.url)["sub"] == "user_x"
    await world.clerk.retire()
    assert list(await published(http, world)) == [jwt.get_unverified_header(new)["kid"]]


async def test_minted_oddities(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    keys = await published(http, world)
    with pytest.raises(jwt.ExpiredSignatureError):
        verify(world.clerk.mint("user_x", seconds=-60), keys, world.url)
    odd = world.clerk.mint("user_x", sts="pending", azp="https://evil.example", sid="sess_1")
    claims = verify(odd, keys, world.url)
    assert (claims["sts"], claims["azp"], claims["sid"]) == ("pending", "https://evil.example", "sess_1")
    assert "sid" not in jwt.decode(world.clerk.mint("user_x", sid=None), options={"verify_signature": False})
    assert jwt.get_unverified_header(world.clerk.mint("user_x", kid="ins_other"))["kid"] == "ins_other"
    forged = world.clerk.mint("user_x", key=SigningKey.generate(), kid=next(iter(keys)))
    with pytest.raises(jwt.InvalidSignatureError):
        verify(forged, keys, world.url)


async def test_keys_and_users_survive_a_restart(http: aiohttp.ClientSession, world: FakeWorld, tmp_path: Path) -> None:
    answer = await sign_in(http, world, email="a@example.com", displayName="Anna Lee", role="STUDENT")
    await sign_in(http, world, email="a@example.com", displayName="Anna Li", role="STUDENT")
    with (tmp_path / "clerk-users.jsonl").open("ab") as journal:
        journal.write(b'{"id": "user_torn')
    again = FakeWorld(tmp_path)
    await again.start()
    try:
        keys = {key.kid: key.private.public_key() for key in again.clerk.keys.keys}
        assert verify(answer["token"], keys, world.url)
        user = again.clerk.users.get(answer["userId"])
        assert user is not None
        assert user.last_name == "Li"
        assert (tmp_path / "clerk-keys.pem").stat().st_mode & 0o077 == 0
    finally:
        await again.close()


async def test_outages(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    world.clerk.outage.mode = Mode.DOWN
    async with http.get(f"{world.url}/v1/jwks", headers=BACKEND) as response:
        assert response.status == 503
    world.clerk.outage.mode = Mode.SILENT
    with pytest.raises(TimeoutError):
        await http.get(f"{world.url}/v1/jwks", headers=BACKEND, timeout=aiohttp.ClientTimeout(total=0.1))
    waiting = asyncio.create_task(published(http, world))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    world.clerk.outage.mode = Mode.UP
    assert await waiting
    await sign_in(http, world, email="a@example.com")


def test_svix_headers_sign_the_svix_way() -> None:
    secret = "whsec_" + base64.b64encode(b"key").decode()
    headers = svix_headers(secret, "msg_1", 1_700_000_000, b"{}")
    expected = hmac.new(b"key", b"msg_1.1700000000.{}", hashlib.sha256).digest()
    assert headers["svix-signature"] == "v1," + base64.b64encode(expected).decode()
    assert (headers["svix-id"], headers["svix-timestamp"]) == ("msg_1", "1700000000")


async def test_suggested_people(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    fakes = FakeWorld(tmp_path, personas=[Persona("ann@example.com", "Ann", "STUDENT", "Learns.")])
    await fakes.listen()
    try:
        async with http.get(f"{fakes.url}/dev/personas") as response:
            (persona,) = (await response.json())["personas"]
        assert persona.pop("about") == "Learns."
        await sign_in(http, fakes, **persona)
    finally:
        await fakes.close()


async def test_videos(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    """Any name is the same film, whole and in ranges."""
    async with http.get(video_url(world.url, "anything"), headers={"Range": "bytes=0-3"}) as response:
        assert (response.status, response.content_type) == (206, "video/webm")
        assert await response.read() == FILM.read_bytes()[:4] == b"\x1aE\xdf\xa3"  # EBML
    async with http.get(video_url(world.url, "something")) as response:
        assert await response.read() == FILM.read_bytes()
    async with http.post(video_url(world.url, "anything")) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


async def test_unknown_paths(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    for path, status in (("/", 200), ("/nothing", 404), ("/dev/nothing", 404), ("/fake-pay/nothing", 404)):
        async with http.get(world.url + path) as response:
            assert response.status == status


async def test_wrong_methods(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    for path in ("/dev/sign-in", "/fake-pay/v1/checkout-sessions"):
        async with http.get(world.url + path) as response:
            assert (response.status, response.headers["Allow"]) == (405, "POST")
