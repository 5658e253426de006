"""People with devices that call each other: the services of two processes over real MariaDB and Redis, without doors."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message

from core.call import Call, Caller, Connection
from core.calls.service import CallsService
from core.ids import to_bytes, to_text
from core.pages import Pages
from core.realtime.presence import PresenceTimes
from core.redis import keys
from core.rpc.validate import check_rules
from skillforge.v1 import calls_pb2
from skillforge.v1.calls_pb2 import CallEndReason, CallMedia, CallState, CallStatus
from skillforge.v1.friends_pb2 import RequestFriendRequest
from skillforge.v1.realtime_pb2 import Event
from tests.support.classroom import METHODS
from tests.support.polling import eventually
from tests.support.realtime_place import Process, Tab, processes
from tests.support.school import School, open_school

_numbers = itertools.count(1)
# Nobody is seen as gone because the machine is busy: a process that cannot carry its lease on in time would be swept.
STEADY = PresenceTimes(lifetime=60.0, refresh=0.5, grace=0.1, lease=30.0, beat=0.5, watch_refresh=0.5)
VIDEO = calls_pb2.CALL_MEDIA_VIDEO


def state(status: Any) -> str:
    """A call's state, or why it ended: "RINGING", "BUSY"."""
    if status.state == calls_pb2.CALL_STATE_ENDED:
        return CallEndReason.Name(status.reason).removeprefix("CALL_END_REASON_")
    return CallState.Name(status.state).removeprefix("CALL_STATE_")


class Phone:
    """A device of somebody, connected to one of the processes."""

    def __init__(self, exchange: Exchange, who: Caller, device: str, number: int, tab: Tab) -> None:
        self.exchange = exchange
        self.who = who
        self.device = device
        self.number = number
        self.tab = tab

    @property
    def id(self) -> str:
        return to_text(self.who.user_id)

    async def run(self, request: Message, *, connected: bool = True) -> Any:
        connection = Connection("connection", self.device, "1") if connected else None
        return await self.exchange.run(request, self.who, connection, self.number)

    async def invite(self, other: Phone | Caller, name: str = "", media: CallMedia.ValueType = VIDEO) -> CallStatus:
        to = other.id if isinstance(other, Phone) else to_text(other.user_id)
        request = calls_pb2.InviteRequest(to=to, media=media, client_call_id=name)
        return await self.run(request)  # type: ignore[no-any-return]

    async def accept(self, call: CallStatus) -> CallStatus:
        return await self.run(calls_pb2.AcceptRequest(call_id=call.call_id))  # type: ignore[no-any-return]

    async def reject(self, call: CallStatus) -> CallStatus:
        return await self.run(calls_pb2.RejectRequest(call_id=call.call_id))  # type: ignore[no-any-return]

    async def hangup(self, call: CallStatus) -> CallStatus:
        return await self.run(calls_pb2.HangupRequest(call_id=call.call_id))  # type: ignore[no-any-return]

    async def report(self, call: CallStatus) -> CallStatus:
        return await self.run(calls_pb2.ReportConnectedRequest(call_id=call.call_id))  # type: ignore[no-any-return]

    async def signal(self, call: CallStatus, sdp: str = "v=0", **more: Any) -> None:
        description = calls_pb2.SessionDescription(type="offer", sdp=sdp)
        await self.run(calls_pb2.SignalRequest(call_id=call.call_id, description=description, **more))

    async def told(self, topic: str) -> Any:
        """The data of the next event of a topic."""
        event: Event = await self.tab.next(topic)
        return getattr(event, topic.replace(".", "_", 1))

    async def quiet(self, *topics: str) -> None:
        """Fails if the device was told of these; what was published before has arrived by then."""
        behind = f"behind {next(_numbers)}"
        await self.exchange.processes[self.number].say(self.who.user_id, behind)
        await eventually(lambda: asyncio.sleep(0, behind in self.tab.bodies))
        assert [event.topic for event in self.tab.events if event.topic in topics] == []

    async def leave(self) -> None:
        """Lose the connection; returns when nobody sees it any more."""
        await self.tab.leave()
        presence = self.exchange.processes[self.number].presence

        async def devices() -> set[str]:
            return {item.device_id for item in await presence.connections(self.who.user_id)}

        await eventually(devices, lambda found: self.device not in found)

    async def come_back(self, number: int | None = None) -> None:
        """Connect again, perhaps to another process."""
        self.number = self.number if number is None else number
        self.tab = await self.exchange.processes[self.number].open(self.who.user_id, self.device, resume=self.tab.position)


class Exchange:
    """Use `open_exchange`. It has one call service a process."""

    def __init__(self, school: School, places: list[Process]) -> None:
        self.school = school
        self.processes = places
        self.services = [
            CallsService(school.db, item.redis, school.friends, item.publisher, item.presence, Pages(b"secret of the tests"))
            for item in places
        ]
        school.friends.on_parted = (self.services[0].parted,)
        school.enrollments.on_ended = self.services[0].access_ended

    async def run(self, request: Message, who: Caller, connection: Connection | None = None, number: int = 0) -> Any:
        method = METHODS[type(request).__name__.removesuffix("Request")]
        deadline = asyncio.get_running_loop().time() + 10
        call = Call(method, {}, "test", "127.0.0.1", self.school.now, deadline, caller=who, connection=connection)
        check_rules(request)
        return await getattr(self.services[number], method.handler)(call, request)

    async def phone(self, who: Caller | None = None, device: str = "phone", number: int = 0) -> Phone:
        """A connected device, of a new person unless one is given."""
        who = who or await self.school.person()
        return Phone(self, who, device, number, await self.processes[number].open(who.user_id, device))

    async def friends(self, one: Caller, other: Caller) -> None:
        await self.school.run(RequestFriendRequest(user_id=to_text(other.user_id)), one)
        await self.school.run(RequestFriendRequest(user_id=to_text(one.user_id)), other)

    async def pair(self) -> tuple[Phone, Phone]:
        """Two friends' devices at two processes."""
        one, other = await self.phone(number=0), await self.phone(number=1)
        await self.friends(one.who, other.who)
        return one, other

    async def talk(self, one: Phone, other: Phone, *, active: bool = True) -> CallStatus:
        """A call that is answered, and active."""
        call = await one.invite(other)
        call = await other.accept(call)
        if active:
            await one.report(call)
            call = await other.report(call)
        return call

    def later(self, seconds: float) -> None:
        """Let time pass for calls."""
        for service in self.services:
            service.store.shift_ms += round(seconds * 1000)

    async def look(self, seconds: float = 0.0) -> None:
        """Let time pass and calls be looked at, by both processes at once."""
        self.later(seconds)
        await asyncio.gather(*(service.watch.round() for service in self.services))

    async def state(self, call: CallStatus) -> str:
        found = await self.services[0].store.get(to_bytes(call.call_id))
        return state(found) if found is not None else "GONE"

    async def row(self, call: CallStatus) -> tuple[str, bool, bool, bool]:
        """What is kept of a call: how it ended, and whether it was answered, has ended and was missed."""
        sql = "SELECT reason, answer_time IS NOT NULL, end_time IS NOT NULL, missed FROM calls WHERE id = %s"
        found = await self.school.db.fetch_one(sql, (to_bytes(call.call_id),))
        assert found is not None
        reason = CallEndReason.Name(found[0]).removeprefix("CALL_END_REASON_")
        return reason, bool(found[1]), bool(found[2]), bool(found[3])

    async def free(self, *phones: Phone) -> None:
        """Fails unless no lock is left on these people, one or two of whom are a pair, and no call is watched."""
        redis = self.processes[0].redis
        ids = sorted(phone.who.user_id for phone in phones)
        names = [keys.call_busy(user_id) for user_id in ids] + ([keys.call_pair(*ids)] if len(ids) == 2 else [])
        assert [name for name in names if await redis.get(name) is not None] == []


@asynccontextmanager
async def open_exchange(database_url: str, redis_url: str) -> AsyncIterator[Exchange]:
    async with open_school(database_url, redis_url) as school, processes(redis_url, times=STEADY) as places:
        yield Exchange(school, places)
