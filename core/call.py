"""One call on its way through the pipeline, as the features see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from contract.metadata import HTTP_STATUS, IF_MATCH
from contract.methods import Method
from core.errors import Unauthenticated
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import Role, UserStatus


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: the subject at Clerk, the session, the expiry (unix seconds), and the role
    (a `Role` number, 0 for none) of its signed metadata."""

    subject: str
    session_id: str
    expires_at: float
    role: Role.ValueType


@dataclass(frozen=True, slots=True)
class Caller:
    """The signed-in account behind a call. `user_id` is the 16 bytes of its UUID, `role` a `Role` number."""

    user_id: bytes
    role: Role.ValueType
    status: UserStatus.ValueType
    display_name: str
    clerk_id: str
    session_id: str

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do all an instructor's or student's endpoint lets its owner do."""
        return self.role == identity_pb2.ROLE_ADMIN


@dataclass(frozen=True, slots=True)
class Connection:
    """The WebSocket connection a frame came over, and whose it is: the browser or app, and the tab in it."""

    connection_id: str
    device_id: str
    tab_id: str


@dataclass(slots=True)
class Call:
    """Who calls what, with which metadata, until when; and what the handler adds to the reply.

    `now` is the call's time in UTC (one clock reading a call); `deadline` is on `time.monotonic`.
    `shared_reply`: the reply is an immutable object that may be returned again (see `contract.client.Reply`).
    `connection` is set for frames of a WebSocket alone.
    `audited` is set by `core.audit.record`; a method that declares an audit action and succeeds without is a defect.
    """

    method: Method
    metadata: Mapping[str, str]
    request_id: str
    client_ip: str
    now: datetime
    deadline: float
    claims: Claims | None = None
    caller: Caller | None = None
    connection: Connection | None = None
    reply_metadata: dict[str, str] = field(default_factory=dict)
    shared_reply: bool = False
    audited: bool = False

    @property
    def user(self) -> Caller:
        """The signed-in caller; raises Unauthenticated when there is none."""
        if self.caller is None:
            raise Unauthenticated("TOKEN_MISSING", "Sign in: send `Authorization: Bearer <token>`.")
        return self.caller

    @property
    def if_match(self) -> str | None:
        """The resource's etag in the caller's `If-Match`; None when it sent none or `*`.

        A door may add a digest of what it shows behind a dot ("7.1f3a"); the part before it is the resource's own.
        """
        value = self.metadata.get(IF_MATCH)
        if value is None or value.strip() == "*":
            return None
        return value.strip().removeprefix("W/").strip('"').partition(".")[0]

    def answer_with(self, http_status: int) -> None:
        """Answer with this success status over HTTP instead of the method's own."""
        self.reply_metadata[HTTP_STATUS] = str(http_status)
