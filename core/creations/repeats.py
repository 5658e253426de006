"""Creating once, whatever became of the acknowledgement.

The pipeline replays a first answer from Redis (`core.rpc.idempotency`). It knows none when the connection to the database
died during the commit, or Redis was away: then the row written with the creation itself tells the repeat. Features whose
rows have unique keys of their own, such as payments and enrollments, need none of this.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from google.protobuf.message import Message

from contract.metadata import IDEMPOTENCY_KEY
from core.call import Call
from core.creations import queries
from core.creations.queries import Creation
from core.db import Database, DuplicateKey, Transaction
from core.db.errors import RetryScope
from core.errors import AlreadyExists

KEPT: Final = timedelta(hours=24)


async def created_before(tx: Transaction, call: Call, request: Message, resource_id: bytes) -> bytes | None:
    """Note that this call creates the resource; but if an earlier one with the same key did, the id of what it created.

    Call it before any other statement of the transaction. Without an `Idempotency-Key` nothing is noted. Raises
    AlreadyExists (IDEMPOTENCY_KEY_REUSED) when the key was used for another request.
    """
    key = call.metadata.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    scope = f"{call.method.path}\0{call.user.user_id.hex()}\0{key}"
    request_digest = sha256(request.SerializeToString(deterministic=True)).digest()
    row = Creation(sha256(scope.encode()).digest(), request_digest, resource_id)
    try:
        await queries.insert(tx, row, call.now)
    except DuplicateKey as error:
        known = await queries.by_key(tx, row.key_digest)
        if known is None:
            raise RetryScope("the creation was dropped meanwhile") from error
        if known.request_digest != request_digest:
            raise AlreadyExists(
                "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request. Take a new key."
            ) from None
        call.audited = True  # by the call that created it
        return known.resource_id
    return None


async def forget(db: Database, now: datetime, limit: int) -> int:
    """Drop up to `limit` rows whose key may be used anew; how many there were."""
    return await queries.drop(db, now - KEPT, limit)
