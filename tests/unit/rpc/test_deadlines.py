"""Deadlines: no timer without waiting, none missed with it, and a coroutine that never notices who runs it."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from core.rpc.deadlines import finish_by


class Work:
    """A coroutine that waits for what it is given, and what came of it."""

    def __init__(self, *waits: asyncio.Future[int] | None) -> None:
        self.waits = waits
        self.begun = False
        self.ended: BaseException | None = None

    async def __call__(self) -> list[int | None]:
        self.begun = True
        try:
            return [await (asyncio.sleep(0, None) if wait is None else wait) for wait in self.waits]
        except BaseException as error:
            self.ended = error
            raise


def soon(value: int | Exception) -> asyncio.Future[int]:
    future = asyncio.get_running_loop().create_future()
    if isinstance(value, Exception):
        asyncio.get_running_loop().call_soon(future.set_exception, value)
    else:
        asyncio.get_running_loop().call_soon(future.set_result, value)
    return future


async def test_work_that_does_not_wait_has_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", None)
    assert await finish_by(monotonic() + 1, Work()()) == []
    assert await finish_by(monotonic() - 1, Work()()) == [], "what is done is done"


async def test_every_wait_gives_its_value() -> None:
    assert await finish_by(monotonic() + 1, Work(None, soon(1), None, soon(2))()) == [None, 1, None, 2]


async def test_errors_go_in_and_come_out() -> None:
    work = Work(soon(1), soon(KeyError("x")))
    with pytest.raises(KeyError):
        await finish_by(monotonic() + 1, work())
    assert isinstance(work.ended, KeyError)

    async def at_once() -> None:
        raise KeyError("y")

    with pytest.raises(KeyError):
        await finish_by(monotonic() + 1, at_once())


@pytest.mark.parametrize("seconds", [-1.0, 0.02])
async def test_time_runs_out_in_the_first_wait_or_a_later_one(seconds: float) -> None:
    for waits in ((), (None,), (None, None)):
        work = Work(*waits, asyncio.get_running_loop().create_future())
        with pytest.raises(TimeoutError):
            await finish_by(monotonic() + seconds, work())
        assert isinstance(work.ended, asyncio.CancelledError)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_cancellation_stays_one() -> None:
    work = Work(None, asyncio.get_running_loop().create_future())
    task = asyncio.create_task(finish_by(monotonic() + 60, work()))
    while not work.begun:  # noqa: ASYNC110 (it takes a round of the loop)
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(work.ended, asyncio.CancelledError)


async def test_work_that_ends_itself_at_its_deadline_returns() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return await asyncio.sleep(0, "cleaned up")
        return ""

    assert await finish_by(monotonic() + 0.01, stubborn()) == "cleaned up"
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_timers_inside_keep_their_own_time() -> None:
    async def work() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        return "went on"

    assert await finish_by(monotonic() + 10, work()) == "went on"


def test_closing_it_closes_the_work() -> None:
    async def main() -> Work:
        work = Work(asyncio.get_running_loop().create_future())
        coroutine = finish_by(monotonic() + 60, work())
        coroutine.send(None)
        coroutine.close()
        return work

    assert isinstance(asyncio.run(main()).ended, GeneratorExit)
