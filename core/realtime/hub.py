"""The streams of this process: fed from the users' channels, and from their logs whenever something may be missing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from core.realtime import codes
from core.realtime.events import make_event
from core.realtime.streams import Channel, Stream, advance
from core.redis import Redis, RedisAway, keys
from core.redis.event_log import PASSING, parse, read_call
from core.redis.shard_channels import ShardChannels
from skillforge.v1.realtime_pb2 import Event, EventPosition

log = logging.getLogger("skillforge.realtime")

# A client that missed more gets no replay and reads over REST what it needs.
MAX_REPLAY_BYTES = 256 * 1024
# Topics that begin with this are for the processes that hold the streams, not for clients.
CONTROL = "!"
_AT_ONCE = 16
_RETRY_SECONDS = 0.2

# Called with the user, the topic and the payload of a control message.
Control = Callable[[bytes, str, bytes], None]


class Joined(NamedTuple):
    """Where a stream begins: the log's epoch and top, whether nothing is missing, and what was missed."""

    epoch: str
    offset: int
    recovered: bool
    replay: list[Event]


class Hub:
    """Joins streams to their users' events. `control` takes the control messages."""

    def __init__(self, redis: Redis, control: Control) -> None:
        self._read_events = redis.script("read_events")
        self._channels: dict[str, Channel] = {}
        self._subscriptions = ShardChannels(redis, self._heard, self._restored)
        self._control = control
        self._catching_up: set[asyncio.Task[None]] = set()
        self._behind: dict[str, Channel] = {}
        # How often channels were heard again after a break.
        self._breaks = 0
        # Called when channels are heard again after a break.
        self.on_restored: Callable[[], None] | None = None

    async def start(self) -> None:
        """Begin listening, in the background; Redis may come later."""
        await self._subscriptions.start()

    async def close(self) -> None:
        """Stop listening."""
        await self._subscriptions.close()
        for task in self._catching_up:
            task.cancel()
        await asyncio.gather(*self._catching_up, return_exceptions=True)

    async def join(self, stream: Stream, resume: EventPosition | None) -> Joined:
        """Begin a stream where `resume` says, or now. Raises RedisAway; then, as ever, `leave` ends it."""
        user_id = stream.caller.user_id
        name = keys.events_channel(user_id)
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(user_id)
        channel.streams.append(stream)
        await self._subscriptions.subscribe(name)
        breaks = self._breaks
        position = (resume.epoch, resume.offset) if resume is not None else ("", 0)
        epoch, top, missed = await self._read_events(*read_call(user_id, *position))
        stream.epoch, stream.last = epoch, top
        held, stream.held = stream.held or [], None
        complete = [advance(stream, of, event) for of, event in held]
        if not all(complete) or breaks != self._breaks:
            self._catch_up(channel)
        if missed is not None and sum(len(entry[3]) for entry in missed) > MAX_REPLAY_BYTES:
            missed = None
        return Joined(epoch.decode(), top, missed is not None, list(filter(stream.wants, _events(missed or ()))))

    def leave(self, stream: Stream) -> None:
        """End a stream: nothing more is given to it."""
        name = keys.events_channel(stream.caller.user_id)
        channel = self._channels.get(name)
        if channel is None or stream not in channel.streams:
            return
        channel.streams.remove(stream)
        if not channel.streams:
            del self._channels[name]
            self._subscriptions.unsubscribe(name)

    @property
    def count(self) -> int:
        """How many streams there are."""
        return sum(len(channel.streams) for channel in self._channels.values())

    @property
    def users(self) -> int:
        """How many users have one."""
        return len(self._channels)

    def streams(self) -> Iterable[Stream]:
        """Every stream."""
        return [stream for channel in self._channels.values() for stream in channel.streams]

    def streams_of(self, user_id: bytes) -> list[Stream]:
        """A user's streams in this process."""
        channel = self._channels.get(keys.events_channel(user_id))
        return list(channel.streams) if channel is not None else []

    def _heard(self, name: str, data: bytes) -> None:
        channel = self._channels.get(name)
        if channel is None:
            return
        try:
            epoch, offset, event_id, raw_topic, payload = parse(data)
            topic = raw_topic.decode()
        except ValueError:
            log.warning("a channel has a message that cannot be read")
            return
        if topic.startswith(CONTROL):
            self._control(channel.user_id, topic, payload)
            return
        if channel.behind and epoch != PASSING:
            return  # the log has it
        event = make_event(topic, payload, offset, event_id.decode()) if channel.wants(topic) else None
        if event is None:
            event = Event(offset=offset)  # its place is taken all the same
        if not channel.pass_on(epoch, event):
            self._catch_up(channel)

    def _restored(self, names: list[str]) -> None:
        self._breaks += 1
        for name in names:
            channel = self._channels.get(name)
            if channel is not None:
                self._catch_up(channel)
        if self.on_restored is not None:
            self.on_restored()

    def _catch_up(self, channel: Channel) -> None:
        """Read what may be missing, soon. Until then the channel's events are left to the log."""
        channel.behind = True
        self._behind[keys.events_channel(channel.user_id)] = channel
        if len(self._catching_up) < _AT_ONCE:
            task = asyncio.create_task(self._catch_up_all())
            self._catching_up.add(task)
            task.add_done_callback(self._catching_up.discard)

    async def _catch_up_all(self) -> None:
        while self._behind:
            name, channel = self._behind.popitem()
            channel.behind = False  # what comes from here on is in order, or shows another gap
            try:
                for stream in [item for item in channel.streams if item.held is None]:
                    await self._read_on(stream)
            except RedisAway:
                channel.behind = True
                self._behind[name] = channel
                await asyncio.sleep(_RETRY_SECONDS)

    async def _read_on(self, stream: Stream) -> None:
        """Give a stream what came after its last event."""
        epoch, _, missed = await self._read_events(*read_call(stream.caller.user_id, stream.epoch.decode(), stream.last))
        if missed is None:
            stream.close(codes.STATE_LOST, "the event log was lost")
            return
        for event in _events(missed):
            advance(stream, epoch, event)


def _events(entries: Iterable[tuple[int, bytes, bytes, bytes]]) -> Iterator[Event]:
    """The events of log entries (offset, id, topic, payload); one that cannot be read is left empty in its place."""
    for offset, event_id, topic, payload in entries:
        yield make_event(topic.decode(), payload, offset, event_id.decode()) or Event(offset=offset)
