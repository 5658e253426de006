"""Requests made of the document find no error of ours and no answer that the document does not know. `make fuzz` sends more."""

from __future__ import annotations

import pytest

from tests.support.fuzzing import new_fuzzer, run_apart
from tests.support.world import World

EXAMPLES = 1
SEED = 20261122


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_no_answer_is_a_surprise(world: World) -> None:
    fuzzer = await new_fuzzer(world)
    fuzzer = await run_apart(fuzzer, EXAMPLES, SEED)
    assert fuzzer.failures == []
    assert {200, 400, 401, 403, 404} <= fuzzer.statuses.keys()
