"""Who is told of what a student achieves: the linked parents."""

from __future__ import annotations

from collections.abc import Sequence

from core.db import Transaction
from core.families import queries


async def parents_of(tx: Transaction, student_ids: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    """The active parents of each of these students who has any. Whoever ends such a link waits for the end of the
    transaction, so that no event of what begins behind it reaches the parent."""
    return await queries.parents_of(tx, student_ids)
