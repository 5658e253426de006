"""The cache in the process: bounds, ages, and values read before a drop."""

from __future__ import annotations

import pytest

from core.redis import caches
from core.redis.caches import Key, LocalCache
from core.redis.invalidation import decode, encode


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(caches, "monotonic", made)
    return made


@pytest.fixture
def told() -> list[tuple[str, Key]]:
    return []


@pytest.fixture
def cache(told: list[tuple[str, Key]]) -> LocalCache[str, int]:
    async def tell(name: str, key: Key) -> None:
        told.append((name, key))

    made: LocalCache[str, int] = LocalCache("numbers", 3, 30.0, tell)
    made.set_deaf(False)
    return made


def test_a_value_lives_as_long_as_it_may(time: Time, cache: LocalCache[str, int]) -> None:
    cache.put("a", 1)
    time.now += 29.9
    assert cache.get("a") == 1
    time.now += 0.1
    assert cache.get("a") is None
    assert cache.get("b") is None


def test_a_value_read_counts_from_before_it_was_read(time: Time, cache: LocalCache[str, int]) -> None:
    fill = cache.begin("a")
    time.now += 20
    assert cache.put_if(fill, 1)
    time.now += 11
    assert cache.get("a") is None


async def test_a_drop_is_here_at_once_and_told(cache: LocalCache[str, int], told: list[tuple[str, Key]]) -> None:
    cache.put("a", 1)
    await cache.drop("a")
    assert cache.get("a") is None
    assert told == [("numbers", "a")]


def test_a_value_read_before_a_drop_is_not_stored(cache: LocalCache[str, int]) -> None:
    fill, other = cache.begin("a"), cache.begin("b")
    cache.forget("a")
    assert not cache.put_if(fill, 1)
    assert cache.put_if(other, 2)
    assert cache.put_if(cache.begin("a"), 3)
    assert cache.get("a") == 3


def test_a_value_read_before_all_was_dropped_is_not_stored(cache: LocalCache[str, int]) -> None:
    fill = cache.begin("a")
    cache.clear()
    assert not cache.put_if(fill, 1)
    fill = cache.begin("a")
    cache.set_deaf(True)
    assert not cache.put_if(fill, 1)


def test_drops_long_ago_are_forgotten_safely(cache: LocalCache[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_MAX_DROPS", 4)
    fill, other = cache.begin("a"), cache.begin("z")
    cache.forget("a")
    for number in range(10):
        cache.forget(str(number))
    assert not cache.put_if(fill, 1)
    # Nobody knows any more whether this one was dropped.
    assert not cache.put_if(other, 1)
    assert cache.put_if(cache.begin("a"), 1)


def test_while_deaf_nothing_is_believed_for_longer_than_a_second(time: Time, cache: LocalCache[str, int]) -> None:
    cache.put("a", 1)
    cache.set_deaf(True)
    assert cache.get("a") is None
    cache.put("a", 1)
    time.now += 0.9
    assert cache.get("a") == 1
    time.now += 0.1
    assert cache.get("a") is None
    cache.put("a", 1)
    cache.set_deaf(False)
    assert cache.get("a") is None


def test_the_number_of_values_is_bounded_and_the_used_stay(cache: LocalCache[str, int]) -> None:
    for number, key in enumerate("abc"):
        cache.put(key, number)
    assert cache.get("a") == 0
    cache.put("d", 3)
    assert [cache.get(key) for key in "abcd"] == [0, None, 2, 3]
    for number in range(100):
        cache.put(str(number), number)
    assert sum(cache.get(str(number)) is not None for number in range(100)) == 3


@pytest.mark.parametrize("key", ["", "plain", "with space ☃", b"", b"\x00 \xff"])
def test_drops_on_the_wire(key: Key) -> None:
    assert decode(encode("me", "numbers", key)) == ("me", "numbers", key)
