"""One connection's events on their way out, and the channel of a user that feeds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from core.call import Caller, Connection
from core.ids import to_bytes
from core.realtime import codes
from core.realtime.events import PRESENCE, closing
from skillforge.v1.realtime_pb2 import Event

# A reader that is further behind gets no more.
MAX_QUEUED = 1024


class Stream:
    """Events for one connection, or for one internal service (`connection` None). Read it with `async for`, once.

    `epoch` and `last` say up to where events were given to it. While it is joining, events are held back in `held`.
    """

    __slots__ = (
        "_over",
        "_queue",
        "_waiting",
        "caller",
        "connection",
        "epoch",
        "expires_at",
        "held",
        "last",
        "present",
        "watched",
    )

    def __init__(self, caller: Caller, connection: Connection | None, expires_at: float = 0.0) -> None:
        self.caller = caller
        self.connection = connection
        self.expires_at = expires_at
        self.epoch = b""
        self.last = 0
        self.held: list[tuple[bytes, Event]] | None = []
        # Whether it counts as a connection of its user, and whose presence it watches.
        self.present = False
        self.watched: tuple[bytes, ...] = ()
        self._queue: list[Event] = []
        self._waiting: asyncio.Future[None] | None = None
        self._over = False

    def wants(self, event: Event) -> bool:
        """Whether an event is for this connection: it has a topic, and is not for other devices alone."""
        return bool(event.topic) and self.is_meant(event.device_id)

    def watches(self, event: Event) -> bool:
        """Whether an event that is not kept is for this connection: of somebody's presence, if it still asks for it. Another
        process may carry a watch on that was just given up."""
        return event.topic != PRESENCE or to_bytes(event.presence_changed.user_id) in self.watched

    def is_meant(self, wanted: str) -> bool:
        """Whether what is for `wanted` (see `Event.device_id`) is for this connection."""
        if not wanted:
            return True
        if wanted[0] == "~":
            return self.connection is None or self.connection.connection_id != wanted[1:]
        mine = self.connection.device_id if self.connection is not None else ""
        return mine != wanted[1:] if wanted[0] == "!" else mine == wanted

    @property
    def over(self) -> bool:
        """Whether nothing more is taken."""
        return self._over

    def put(self, event: Event) -> None:
        """Give an event to the reader; one that is too far behind is closed instead."""
        if self._over:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._queue.clear()
            self.close(codes.TOO_SLOW, "the reader is too slow")
            return
        self._queue.append(event)
        self._wake()

    def close(self, code: int, reason: str) -> None:
        """End the stream, after what is queued, with a closing event."""
        if not self._over:
            self._over = True
            self._queue.append(closing(code, reason))
            self._wake()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._over:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._queue.pop(0)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Channel:
    """A user with streams in this process. `behind` while the log is read because something may have been missed."""

    __slots__ = ("behind", "streams", "user_id")

    def __init__(self, user_id: bytes) -> None:
        self.user_id = user_id
        self.streams: list[Stream] = []
        self.behind = False

    def wants(self, topic: str) -> bool:
        """Whether an event of a topic, as the log has it, is for any of the streams."""
        device_id = topic.partition("@")[2]
        return not device_id or any(stream.is_meant(device_id) for stream in self.streams)

    def pass_on(self, epoch: bytes, event: Event) -> bool:
        """Give an event to every stream in its place; False when one of them misses what came before."""
        complete = True
        for stream in self.streams:
            if stream.held is not None:
                stream.held.append((epoch, event))
            elif not advance(stream, epoch, event):
                complete = False
        return complete


def advance(stream: Stream, epoch: bytes, event: Event) -> bool:
    """Give a stream the event if it is the next one, and not if it had it; False when something before it is missing.

    An event of another epoch ends the stream: its place there is unknown. One that is not for it only takes its place.
    """
    offset = event.offset
    if offset == 0:
        if stream.watches(event):
            stream.put(event)
    elif epoch != stream.epoch:
        stream.close(codes.STATE_LOST, "the event log was lost")
    elif offset == stream.last + 1:
        stream.last = offset
        if stream.wants(event):
            stream.put(event)
    elif offset > stream.last:
        return False
    return True
