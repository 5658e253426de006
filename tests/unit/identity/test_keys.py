"""The JWKS: fetched once for all, kept fresh, rotated, and used on while Clerk is away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from core.errors import Unavailable
from core.identity.clerk import Clerk
from core.identity.keys import COOLDOWN_SECONDS, FIRST_COOLDOWN_SECONDS, FRESH_SECONDS, JwksKeys
from fakes.keys import SigningKey

OLD, NEW = SigningKey.generate(), SigningKey.generate()


class ScriptedClerk(Clerk):
    """Answers with `served` once `open`, or is away."""

    def __init__(self, *served: SigningKey) -> None:
        super().__init__("http://clerk.invalid", "sk_test")
        self.served: list[Any] = [key.jwk for key in served]
        self.away = False
        self.fetches = 0
        self.open = asyncio.Event()
        self.open.set()

    async def keys(self) -> list[dict[str, Any]]:
        self.fetches += 1
        await self.open.wait()
        if self.away:
            raise Unavailable("UNAVAILABLE", "away")
        return self.served


class Steady:
    """A steady clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clerk() -> ScriptedClerk:
    return ScriptedClerk(OLD)


@pytest.fixture
def clock() -> Steady:
    return Steady()


@pytest.fixture
def keys(clerk: ScriptedClerk, clock: Steady) -> JwksKeys:
    return JwksKeys(clerk, clock)


def number(key: RSAPublicKey | None) -> int:
    assert key is not None
    return key.public_numbers().n


def number_of(key: SigningKey) -> int:
    return key.private.public_key().public_numbers().n


async def test_twenty_at_once_fetch_once(keys: JwksKeys, clerk: ScriptedClerk) -> None:
    clerk.open.clear()
    finds = [asyncio.create_task(keys.find(OLD.kid)) for _ in range(20)]
    await asyncio.sleep(0)
    late = asyncio.create_task(keys.find(OLD.kid))
    await asyncio.sleep(0)
    clerk.open.set()
    found = await asyncio.gather(*finds, late)
    assert {number(key) for key in found} == {number_of(OLD)}
    assert clerk.fetches == 1


async def test_a_caller_who_gives_up_ends_nobody_else_s_fetch(keys: JwksKeys, clerk: ScriptedClerk) -> None:
    clerk.open.clear()
    first, second = (asyncio.create_task(keys.find(OLD.kid)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    clerk.open.set()
    assert number(await second) == number_of(OLD)
    assert clerk.fetches == 1


async def test_the_set_is_kept_for_five_minutes(keys: JwksKeys, clerk: ScriptedClerk, clock: Steady) -> None:
    await keys.find(OLD.kid)
    clerk.served = [NEW.jwk]
    clock.now += FRESH_SECONDS
    assert await keys.find(OLD.kid) is not None
    assert clerk.fetches == 1
    clock.now += 1
    assert await keys.find(OLD.kid) is None  # taken back at Clerk
    assert clerk.fetches == 2


async def test_an_unknown_id_fetches_anew_behind_the_cooldown(keys: JwksKeys, clerk: ScriptedClerk, clock: Steady) -> None:
    await keys.find(OLD.kid)
    clerk.served.append(NEW.jwk)
    clock.now += COOLDOWN_SECONDS
    assert await keys.find(NEW.kid) is None
    assert clerk.fetches == 1
    clock.now += 0.1
    assert number(await keys.find(NEW.kid)) == number_of(NEW)
    assert number(await keys.find(OLD.kid)) == number_of(OLD)
    assert clerk.fetches == 2
    for _ in range(50):
        assert await keys.find("ins_made_up") is None
    assert clerk.fetches == 2


async def test_all_who_bring_a_new_key_at_once_wait_for_it(keys: JwksKeys, clerk: ScriptedClerk, clock: Steady) -> None:
    await keys.find(OLD.kid)
    clerk.served.append(NEW.jwk)
    clock.now += COOLDOWN_SECONDS + 1
    clerk.open.clear()
    first = asyncio.create_task(keys.find(NEW.kid))
    await asyncio.sleep(0)  # the fetch is under way now
    rest = [asyncio.create_task(keys.find(NEW.kid)) for _ in range(19)]
    await asyncio.sleep(0)
    clerk.open.set()
    assert {number(key) for key in await asyncio.gather(first, *rest)} == {number_of(NEW)}
    assert clerk.fetches == 2


async def test_a_stale_key_is_used_on_while_clerk_is_away(keys: JwksKeys, clerk: ScriptedClerk, clock: Steady) -> None:
    await keys.find(OLD.kid)
    clerk.away = True
    for _ in range(5):
        clock.now += FRESH_SECONDS + 1
        assert number(await keys.find(OLD.kid)) == number_of(OLD)
    assert clerk.fetches == 6
    clerk.away = False
    clerk.served = [NEW.jwk]
    clock.now += COOLDOWN_SECONDS + 1
    assert await keys.find(OLD.kid) is None


async def test_nobody_waits_long_for_a_silent_clerk_while_a_key_is_known(
    keys: JwksKeys, clerk: ScriptedClerk, clock: Steady, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.identity.keys.PATIENCE_SECONDS", 0.0)
    await keys.find(OLD.kid)
    clerk.open.clear()
    clock.now += FRESH_SECONDS + 1
    found = await asyncio.wait_for(asyncio.gather(*(keys.find(OLD.kid) for _ in range(20))), 1.0)
    assert {number(key) for key in found} == {number_of(OLD)}
    assert clerk.fetches == 2
    clerk.open.set()


async def test_what_cannot_be_known_is_unavailable_and_not_refused(keys: JwksKeys, clerk: ScriptedClerk, clock: Steady) -> None:
    clerk.away = True
    for _ in range(20):
        with pytest.raises(Unavailable) as caught:
            await keys.find(OLD.kid)
    assert clerk.fetches == 1
    assert caught.value.retry_after == FIRST_COOLDOWN_SECONDS
    clock.now += FIRST_COOLDOWN_SECONDS + 0.1
    clerk.away = False
    assert number(await keys.find(OLD.kid)) == number_of(OLD)


async def test_a_new_key_during_an_outage_is_unavailable(keys: JwksKeys, clerk: ScriptedClerk, clock: Steady) -> None:
    await keys.find(OLD.kid)
    clerk.away = True
    clock.now += COOLDOWN_SECONDS + 1
    for _ in range(3):
        with pytest.raises(Unavailable):
            await keys.find(NEW.kid)
    assert clerk.fetches == 2
    assert number(await keys.find(OLD.kid)) == number_of(OLD)


async def test_a_token_without_a_key_id_asks_nobody(keys: JwksKeys, clerk: ScriptedClerk) -> None:
    assert await keys.find("") is None
    assert clerk.fetches == 0


async def test_what_is_no_rsa_key_with_an_id_is_passed_over(keys: JwksKeys, clerk: ScriptedClerk) -> None:
    nameless = {name: value for name, value in NEW.jwk.items() if name != "kid"}
    elliptic = {"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA"}
    broken = [{}, {"kty": "RSA", "kid": "a", "n": "!", "e": "AQAB"}, {"kty": "RSA", "kid": "b"}, {"kty": 7, "kid": "c"}, elliptic]
    clerk.served = [*broken, nameless, OLD.jwk]
    assert number(await keys.find(OLD.kid)) == number_of(OLD)
    for key_id in ("a", "b", "c", "ec"):
        assert await keys.find(key_id) is None


async def test_an_empty_set_takes_no_key_away(keys: JwksKeys, clerk: ScriptedClerk, clock: Steady) -> None:
    await keys.find(OLD.kid)
    clerk.served = []
    clock.now += FRESH_SECONDS + 1
    assert number(await keys.find(OLD.kid)) == number_of(OLD)
