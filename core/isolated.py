"""One bad item of a batch must not fail the others."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from core.errors import DeadlineExceeded, Unavailable

log = logging.getLogger("skillforge.batches")

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
Run = Callable[[list[I]], Awaitable[Sequence[O | Exception]]]


def isolated(run: Run[I, O]) -> Run[I, O]:
    """`run`, but when it fails on a batch every item is run by itself, and only the bad ones fail.

    Errors of an outage and of time are everybody's: repeating the work would only add to them.
    """

    async def run_isolated(items: list[I]) -> Sequence[O | Exception]:
        try:
            return await run(items)
        except (Unavailable, DeadlineExceeded, TimeoutError):
            raise
        except Exception:
            if len(items) == 1:
                raise
            log.warning("a batch of %d failed; its items are run one by one", len(items), exc_info=True)
        return [result for item in items for result in await _alone(run, item)]

    return run_isolated


async def _alone(run: Run[I, O], item: I) -> Sequence[O | Exception]:
    try:
        return await run([item])
    except Exception as error:
        return [error]
