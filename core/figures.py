"""What a core's process can be asked about itself: connections, queues, streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from telemetry.figures import Figure

if TYPE_CHECKING:
    from core.app import Resources

_CONNECTIONS = "Connections to the database, by what they do."
_WAITING = "Calls that wait for a connection to the database."
_GAVE_UP = "Calls that were refused after waiting for a connection for too long."
_QUEUE = "Work for processes of its own that waits or runs, by kind."
_QUEUE_ROOM = "How much of it there may be before more is refused."


def figures(resources: Resources) -> Iterator[Figure]:
    """Of this process alone, without asking anybody."""
    pool = resources.db.pool
    for state, count in (("in_use", pool.in_use), ("idle", pool.idle)):
        yield Figure("skillforge_database_connections", _CONNECTIONS, count, (("state", state),))
    yield Figure("skillforge_database_connections_max", "How many connections there may be.", pool.size)
    yield Figure("skillforge_database_waiting", _WAITING, pool.waiting)
    yield Figure("skillforge_database_gave_up_total", _GAVE_UP, pool.gave_up)
    yield Figure("skillforge_redis_up", "1 while Redis answers.", int(not resources.redis.is_away))
    yield Figure("skillforge_redis_failures_total", "Commands that Redis did not answer.", resources.redis.failures)
    hub = resources.connections.hub
    yield Figure("skillforge_event_streams", "Streams of users' events, one a WebSocket or internal reader.", hub.count)
    yield Figure("skillforge_event_users", "Users with such a stream.", hub.users)
    renderer, inspector = resources.renderer, resources.inspector
    for kind, waiting, room in (
        ("render", renderer.waiting, renderer.room),
        ("check", inspector.waiting, inspector.room),
    ):
        yield Figure("skillforge_certificate_queue", _QUEUE, waiting, (("kind", kind),))
        yield Figure("skillforge_certificate_queue_max", _QUEUE_ROOM, room, (("kind", kind),))


async def shared_figures(resources: Resources) -> Iterable[Figure]:
    """Of the database, the same for every process that asks. Raises Unavailable."""
    rows, seconds = await resources.outbox.backlog()
    return (
        Figure("skillforge_outbox_rows", "Events that wait to be published, of all processes.", rows),
        Figure("skillforge_outbox_oldest_seconds", "For how long the first of them has waited.", seconds),
    )
