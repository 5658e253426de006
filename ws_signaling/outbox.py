"""What one socket has to send: written at once while the reader keeps up, bounded and written by one task while not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ws_signaling.options import SignalingOptions

# The transport's own buffer; what does not fit waits in the outbox.
BUFFER_BYTES = 32 * 1024


class Outbox:
    """Frames on their way out. `drain` waits until the transport takes more; `overflow` is called when too much waits.

    `writing` holds the outboxes of the process that have something waiting.
    """

    __slots__ = ("_bytes", "_drain", "_frames", "_options", "_overflow", "_task", "_transport", "_writing", "stuck_since")

    def __init__(
        self,
        transport: asyncio.Transport,
        drain: Callable[[], Awaitable[None]],
        options: SignalingOptions,
        writing: set[Outbox],
        overflow: Callable[[], None],
    ) -> None:
        transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._transport = transport
        self._drain = drain
        self._options = options
        self._writing = writing
        self._overflow = overflow
        self._frames: deque[bytes] | None = None
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        # Since when, by the clock, the first frame has been waiting.
        self.stuck_since = 0.0

    def put(self, frame: bytes, sheddable: bool = False) -> None:
        """Send a frame, after those that wait; a sheddable one only while less than half of the room is taken."""
        transport = self._transport
        if self._frames is None:
            if transport.is_closing():
                return
            if transport.get_write_buffer_size() <= BUFFER_BYTES:
                transport.write(frame)
                return
            self._begin()
        self._queue(frame, sheddable)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._frames is None

    async def flushed(self) -> None:
        """Return when nothing waits any more."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def discard(self) -> None:
        """Forget what waits."""
        if self._task is not None:
            self._task.cancel()
            self._finish()

    def abandon(self) -> None:
        """Cut the connection if the peer has not taken what was sent."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()

    def is_stuck(self, now: float) -> bool:
        """Whether a frame has waited for too long."""
        return self._frames is not None and now - self.stuck_since > self._options.slow_seconds

    def overflow(self) -> None:
        """Say that the reader is too slow."""
        self._overflow()

    def _begin(self) -> None:
        self._frames = deque()
        self._bytes = 0
        self.stuck_since = self._options.clock()
        self._writing.add(self)
        self._task = asyncio.create_task(self._write())

    def _queue(self, frame: bytes, sheddable: bool) -> None:
        assert self._frames is not None
        options = self._options
        frames, size = len(self._frames) + 1, self._bytes + len(frame)
        if sheddable and (frames > options.outbox_frames // 2 or size > options.outbox_bytes // 2):
            return
        if frames > options.outbox_frames or size > options.outbox_bytes:
            self._overflow()
            return
        self._frames.append(frame)
        self._bytes = size

    async def _write(self) -> None:
        frames = self._frames
        assert frames is not None
        try:
            while frames and not self._transport.is_closing():
                await self._drain()
                frame = frames.popleft()
                self._bytes -= len(frame)
                self._transport.write(frame)
                self.stuck_since = self._options.clock()
        except ConnectionError:
            pass  # whoever reads from the socket notices, too
        self._finish()

    def _finish(self) -> None:
        self._frames = None
        self._task = None
        self._writing.discard(self)
