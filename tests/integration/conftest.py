"""People and a school that most modules begin with; a module whose are others defines its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.call import Caller
from tests.support.school import School, open_school


@pytest.fixture
async def school(database_url: str, redis_url: str) -> AsyncIterator[School]:
    """A school of the test's own, in the database of all tests."""
    async with open_school(database_url, redis_url) as opened:
        yield opened


@pytest.fixture
async def author(school: School) -> Caller:
    """An instructor without courses."""
    return await school.person("INSTRUCTOR")


@pytest.fixture
async def student(school: School) -> Caller:
    """A student without courses."""
    return await school.person()
