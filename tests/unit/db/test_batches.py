"""Group commit."""

from __future__ import annotations

import asyncio

import pytest

from core.db import Batcher
from core.errors import Unavailable


class Runner:
    """Doubles each number; 13 is refused, and it waits at `gate`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: list[int]) -> list[int | Exception]:
        self.batches.append(items)
        await self.gate.wait()
        if 666 in items:
            raise RuntimeError("the batch fails")
        return [ValueError("13") if item == 13 else item * 2 for item in items]


async def test_nobody_waits_while_it_is_idle_and_the_rest_goes_together() -> None:
    runner = Runner()
    runner.gate.clear()
    batcher: Batcher[int, int] = Batcher(runner)
    tasks = [asyncio.create_task(batcher.submit(1))]
    await asyncio.sleep(0.001)
    tasks += [asyncio.create_task(batcher.submit(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0.001)
    runner.gate.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert runner.batches == [[1], [2, 3, 4]]


async def test_batches_are_no_larger_than_allowed() -> None:
    runner = Runner()
    batcher: Batcher[int, int] = Batcher(runner, max_size=3, in_flight=2)
    assert await asyncio.gather(*(batcher.submit(number) for number in range(10))) == [number * 2 for number in range(10)]
    assert max(map(len, runner.batches)) == 3


async def test_one_item_s_error_is_its_own() -> None:
    batcher: Batcher[int, int] = Batcher(Runner())
    results = await asyncio.gather(*(batcher.submit(number) for number in (1, 13, 2)), return_exceptions=True)
    assert results[0] == 2
    assert isinstance(results[1], ValueError)
    assert results[2] == 4


async def test_a_failed_batch_fails_each_item_and_the_next_goes_on() -> None:
    batcher: Batcher[int, int] = Batcher(Runner())
    results = await asyncio.gather(*(batcher.submit(number) for number in (666, 2)), return_exceptions=True)
    assert all(isinstance(result, RuntimeError) for result in results)
    assert await batcher.submit(3) == 6


async def test_too_many_waiting_are_refused() -> None:
    runner = Runner()
    runner.gate.clear()
    batcher: Batcher[int, int] = Batcher(runner, max_size=1, max_waiting=2)
    tasks = [asyncio.create_task(batcher.submit(1))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(batcher.submit(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await batcher.submit(4)
    assert caught.value.reason == "OVERLOADED"
    runner.gate.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6]


async def test_who_gives_up_waiting_does_not_stop_the_others() -> None:
    runner = Runner()
    runner.gate.clear()
    batcher: Batcher[int, int] = Batcher(runner)
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.001)
    gone, stays = asyncio.create_task(batcher.submit(2)), asyncio.create_task(batcher.submit(3))
    await asyncio.sleep(0.001)
    first.cancel()
    gone.cancel()
    await asyncio.sleep(0.001)
    runner.gate.set()
    assert await stays == 6
    assert runner.batches == [[1], [3]]


async def test_close_waits_for_all() -> None:
    batcher: Batcher[int, int] = Batcher(Runner())
    task = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0)
    await batcher.close()
    assert await task == 2


async def test_beside_another_a_batch_begins_only_for_a_crowd() -> None:
    runner = Runner()
    runner.gate.clear()
    batcher: Batcher[int, int] = Batcher(runner, max_size=3, in_flight=2, crowd=2)
    tasks = [asyncio.create_task(batcher.submit(number)) for number in (1, 2)]
    await asyncio.sleep(0.001)
    assert runner.batches == [[1, 2]], "few share the batch that begins"
    tasks.append(asyncio.create_task(batcher.submit(3)))
    await asyncio.sleep(0.001)
    assert runner.batches == [[1, 2]], "one alone waits for it"
    tasks.append(asyncio.create_task(batcher.submit(4)))
    await asyncio.sleep(0.001)
    assert runner.batches == [[1, 2], [3, 4]], "two go beside it"
    tasks.append(asyncio.create_task(batcher.submit(5)))
    runner.gate.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10], "and nobody is forgotten"


async def test_batches_that_are_not_full_begin_apart() -> None:
    runner = Runner()
    batcher: Batcher[int, int] = Batcher(runner, max_size=3, in_flight=2, spacing=0.05)
    clock = asyncio.get_running_loop().time
    began = clock()
    await batcher.submit(1)
    assert clock() - began < 0.04  # alone it waits for nobody
    assert [*await asyncio.gather(batcher.submit(2), batcher.submit(3))] == [4, 6]
    assert runner.batches == [[1], [2, 3]]
    began = clock()
    await asyncio.gather(*(batcher.submit(number) for number in range(9)))
    assert clock() - began < 0.1  # full ones don't wait
    await batcher.close()
