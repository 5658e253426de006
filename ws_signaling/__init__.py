"""The WebSocket door: frames to contract messages and events to frames. It holds no rule of the domain."""

from ws_signaling.door import SignalingDoor
from ws_signaling.options import SignalingOptions

__all__ = ["SignalingDoor", "SignalingOptions"]
