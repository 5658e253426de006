"""Limits as a client meets them: who is counted, what the answers say, and that no other process adds to them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from cli.servers import LocalServers
from skillforge.v1 import identity_pb2
from tests.conftest import fresh_redis
from tests.support.world import Person, World, running_world

STATE = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


@pytest.fixture(scope="module")
async def narrow(database_url: str, servers: LocalServers, worker_number: int) -> AsyncIterator[World]:
    """A world where everybody may call five times in ten minutes, and less for some methods. Its limits are its own."""
    own_redis_url = fresh_redis(servers, 32 + worker_number)
    narrow_ones = {"USER": "5/600", "PAYMENTS": "2/600", "VERIFICATIONS": "3/600", "FILE_CHECKS": "2/600"}
    limits = {f"RATE_LIMIT_{name}": value for name, value in narrow_ones.items()}
    async with running_world(database_url, own_redis_url, **limits) as world:
        yield world


async def me(world: World, person: Person, url: str = "") -> tuple[int, dict[str, str]]:
    status, headers, _ = await world.request("GET", "/auth/me", person=person, url=url)
    return status, headers


async def test_a_user_s_calls_are_counted_and_told(narrow: World) -> None:
    person = await narrow.person()
    for remaining in (3, 2, 1, 0):  # the first of the five was the sign-in
        status, headers = await me(narrow, person)
        assert (status, headers["ratelimit-policy"]) == (200, '"user";q=5;w=600')
        state = STATE.fullmatch(headers["ratelimit"])
        assert state is not None
        assert (state[1], int(state[2])) == ("user", remaining)
        assert 0 < int(state[3]) <= 600
    status, headers, problem = await narrow.request("GET", "/auth/me", person=person)
    assert (status, problem["code"], problem["reason"]) == (429, "RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert 100 <= int(headers["retry-after"]) <= 120
    assert headers["ratelimit-policy"] == '"user";q=5;w=600'
    assert headers["ratelimit"].startswith('"user";r=0;t=')


async def test_users_are_counted_apart_and_all_doors_together(narrow: World) -> None:
    first, second = await narrow.person(), await narrow.person()
    statuses = [
        *[(await me(narrow, first, url))[0] for url in (narrow.url, narrow.remote_url, narrow.url)],
        (await narrow.doors["grpc"].call("GetMe", identity_pb2.GetMeRequest(), first.token)).code,
        (await me(narrow, first))[0],
        (await me(narrow, first, narrow.remote_url))[0],
        (await narrow.doors["grpc"].call("GetMe", identity_pb2.GetMeRequest(), first.token)).code,
    ]
    assert statuses == [200, 200, 200, "OK", 429, 429, "RESOURCE_EXHAUSTED"]
    assert (await me(narrow, second))[0] == 200


async def test_many_at_once_are_not_more(narrow: World) -> None:
    person = await narrow.person()
    answers = await asyncio.gather(*(me(narrow, person, url) for url in (narrow.url, narrow.remote_url) for _ in range(15)))
    assert Counter(status for status, _ in answers) == {200: 4, 429: 26}


async def test_payments_have_a_limit_of_their_own(narrow: World) -> None:
    """A refused payment counts, too: trying is what the limit is about."""
    person = await narrow.person()
    body = {"courseId": "00000000-0000-0000-0000-000000000007"}
    answers = [await narrow.request("POST", "/payments/create", person=person, json=body) for _ in range(3)]
    assert [status for status, _, _ in answers] == [404, 404, 429]
    assert answers[2][1]["ratelimit-policy"] == '"payments";q=2;w=600'
    assert (await me(narrow, person))[0] == 200


async def test_checks_are_counted_by_address_for_visitors_and_accounts_alike(narrow: World) -> None:
    person = await narrow.person()
    path = "/certificates/SF-00000000000000000000000000/verify"
    badge = "/certificates/SF-00000000000000000000000000/badge"
    answers = [
        await narrow.request("GET", path),
        await narrow.request("GET", badge, url=narrow.remote_url),
        await narrow.request("GET", path, person=person),
        await narrow.request("GET", path, person=person),
    ]
    assert [status for status, _, _ in answers] == [400, 400, 400, 429]
    assert answers[3][1]["ratelimit-policy"] == '"verifications";q=3;w=600'
    status, headers, page = await narrow.request("GET", path, headers={"Accept": "text/html"})
    assert (status, headers["content-type"]) == (429, "text/html; charset=utf-8")
    assert b"Too many checks" in page
    assert int(headers["retry-after"]) > 0
    assert (await narrow.request("GET", "/courses"))[0] == 200


async def test_files_have_a_limit_of_their_own(narrow: World) -> None:
    people, headers = (None, await narrow.person(), await narrow.person()), {"Content-Type": "application/pdf"}
    path, body = "/certificates/verify", b"no PDF"
    answers = [await narrow.request("POST", path, person=person, data=body, headers=headers) for person in people]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert answers[2][1]["ratelimit-policy"] == '"file-checks";q=2;w=600'


async def test_an_address_is_counted_before_anybody_is_asked_who_they_are(
    database_url: str, servers: LocalServers, worker_number: int
) -> None:
    own_redis_url = fresh_redis(servers, 48 + worker_number)
    async with running_world(database_url, own_redis_url, RATE_LIMIT_IP="3/600") as world:
        bad = {"Authorization": "Bearer x"}
        answers = [await world.request("GET", "/auth/me", headers=bad) for _ in range(3)]
        assert [status for status, _, _ in answers] == [401, 401, 401]
        for url in (world.url, world.remote_url):
            for headers in (bad, {}, {"X-Client-Ip": "10.1.2.3", "X-Forwarded-For": "10.1.2.3"}):
                status, told, problem = await world.request("GET", "/courses", url=url, headers=headers)
                assert (status, problem["reason"]) == (429, "RATE_LIMITED")
                assert told["ratelimit-policy"] == '"ip";q=3;w=600'
        assert (await world.request("GET", "/healthz"))[0] == 200
