"""The demo school's people as callers of the dispatcher in this process: the same pipeline as through any door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.demo.people import Person
from contract.client import CoreClient
from contract.metadata import AUTHORIZATION, CLIENT_IP
from contract.methods import load_methods

CALL_SECONDS = 20.0
_METHODS = {method.name: method for method in load_methods()}


class Caller:
    """Somebody signed in. Each has an address of their own (RFC 5737's for documentation), as in life, so that a school
    that fills itself in seconds stays within the limits of one."""

    def __init__(self, client: CoreClient, token: str, person: Person) -> None:
        self.person = person
        self._client = client
        self._metadata: Mapping[str, str] = {AUTHORIZATION: f"Bearer {token}", CLIENT_IP: f"192.0.2.{person.number}"}

    async def call(self, name: str, **fields: Any) -> Any:
        """Call an RPC by its name; the reply's message. Raises CallError."""
        method = _METHODS[name]
        reply = await self._client.call(method, method.request_type(**fields), self._metadata, CALL_SECONDS)
        return reply.message
