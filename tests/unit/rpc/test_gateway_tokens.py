"""Which gateways are believed about their clients' addresses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from contract.metadata import CLIENT_IP, GATEWAY_TOKEN
from core.rpc.server import GrpcServer


@pytest.mark.parametrize(
    ("taken", "sent", "believed"),
    [
        ("new, old", "new", True), ("new, old", "old", True), ("one", "one", True),
        ("new, old", "new, old", False), ("new, old", "", False), ("one", "on", False), ("", "", False), (",", "", False),
    ],
)  # fmt: skip
async def test_any_of_the_tokens(taken: str, sent: str, believed: bool) -> None:
    server = GrpcServer(None, (), gateway_token=taken)  # type: ignore[arg-type]
    metadata = ((CLIENT_IP, "192.0.2.7"), (GATEWAY_TOKEN, sent))
    context: Any = SimpleNamespace(invocation_metadata=lambda: metadata, peer=lambda: "ipv4:10.0.0.1:5000")
    assert server._metadata(context) == {CLIENT_IP: "192.0.2.7" if believed else "10.0.0.1"}
