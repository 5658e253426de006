"""A fake of Clerk: an issuer of session tokens, and the part of its Backend API that the core calls.

Its wire is Clerk's: RS256 session tokens with version 2 claims, `GET /v1/jwks`, `GET` and `DELETE /v1/users/{id}` behind the
secret key, errors in Clerk's shape. `POST /dev/sign-in` stands for the sign-in page, which is Clerk's in production;
`GET /dev/personas` suggests people to sign in as.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from fakes.keys import KeyRing, SigningKey
from fakes.users import FakeUser, TooManyUsers, Users
from fakes.web import Mode, Outage, Problem, has_bearer, json_response, read_json, require_method

ROLES = ("ADMIN", "INSTRUCTOR", "STUDENT", "PARENT")
_EMAIL = re.compile(r"[^\s@<>\x00-\x1f]{1,64}@[^\s@<>\x00-\x1f]{1,189}")
_SIGN_IN_FIELDS = {"email", "displayName", "role"}
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody to sign in as: as `POST /dev/sign-in` takes them, and what they are good for, in a sentence."""

    email: str
    display_name: str
    role: str
    about: str

    def as_json(self) -> dict[str, str]:
        fields = asdict(self)
        return {"displayName": fields.pop("display_name"), **fields}


class ClerkFake:
    """The fake; `start()` it before use. Settings come by arguments alone."""

    prefixes = ("/dev/", "/v1/jwks", "/v1/users/")

    def __init__(
        self,
        data_dir: Path,
        *,
        secret_key: str,
        issuer: str,
        authorized_party: str = "",
        token_seconds: int = 3600,
        personas: Sequence[Persona] = (),
    ) -> None:
        """`data_dir` keeps keys and users; `authorized_party` is the tokens' azp; Clerk's own tokens live 60 seconds."""
        self.personas = tuple(personas)
        self.secret_key = secret_key
        self.issuer = issuer
        self.authorized_party = authorized_party
        self.token_seconds = token_seconds
        self.outage = Outage()  # of the Backend API; sign-in stays up
        self.keys = KeyRing(data_dir / "clerk-keys.pem")
        self.users = Users(data_dir / "clerk-users.jsonl")

    async def start(self) -> None:
        await asyncio.gather(asyncio.to_thread(self.keys.load), self.users.load())

    async def close(self) -> None:
        """Answers those who wait in a silent outage."""
        if self.outage.mode is Mode.SILENT:
            self.outage.mode = Mode.DOWN

    async def rotate(self) -> None:
        """Signs with a new key from now on; JWKS serves the older ones too until `retire()`."""
        await asyncio.to_thread(self.keys.rotate)

    async def retire(self) -> None:
        """Takes every key but the signing one out of JWKS."""
        await asyncio.to_thread(self.keys.retire)

    def mint(
        self,
        user_id: str,
        role: str = "",
        *,
        seconds: float | None = None,
        kid: str | None = None,
        key: SigningKey | None = None,
        **claims: Any,
    ) -> str:
        """A session token. `seconds` from now it expires (negative: it has); other claims replace the usual ones, and a
        claim given as None is left out; `kid` and `key` let a test forge."""
        now = int(time.time())
        lifetime = self.token_seconds if seconds is None else seconds
        issued = min(now, int(now + lifetime) - 1)
        usual: dict[str, Any] = {
            "v": 2,
            "iss": self.issuer,
            "sub": user_id,
            "sid": "sess_" + secrets.token_hex(14)[:27],
            "azp": self.authorized_party or None,
            "iat": issued,
            "nbf": issued - 10,
            "exp": int(now + lifetime),
            "jti": secrets.token_hex(10),
            "sts": "active",
            "fva": [0, -1],
            "metadata": {"role": role} if role else {},
        }
        chosen = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return (key or self.keys.current).sign(chosen, kid)

    async def sign_in(self, email: str, display_name: str, role: str = "") -> tuple[FakeUser, str]:
        """Makes or refreshes the user and returns them with a new session's token. Raises TooManyUsers."""
        first_name, _, last_name = " ".join(display_name.split()).partition(" ")
        user = await self.users.put(email, first_name, last_name, role)
        return user, self.mint(user.id, role)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if request.path.startswith("/dev/"):
                return await self._handle_dev(request)
            await self.outage.check()
            return await self._handle_backend(request)
        except Problem as problem:
            return problem.response()

    async def _handle_dev(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/dev/personas":
            require_method(request, "GET")
            return json_response({"personas": [persona.as_json() for persona in self.personas]})
        if request.path != "/dev/sign-in":
            raise Problem(404, "There are POST /dev/sign-in and GET /dev/personas here.")
        require_method(request, "POST")
        email, display_name, role = _sign_in_request(await read_json(request))
        try:
            user, token = await self.sign_in(email, display_name, role)
        except TooManyUsers:
            raise Problem(503, "This fake is full of users. Empty its data folder.") from None
        return json_response({"token": token, "expiresInSeconds": self.token_seconds, "userId": user.id})

    async def _handle_backend(self, request: web.BaseRequest) -> web.Response:
        if not has_bearer(request, self.secret_key):
            return _clerk_error(401, "clerk_key_invalid", "Invalid authentication", "The secret key is missing or wrong.")
        is_keys = request.path == "/v1/jwks"
        if request.method not in (("GET",) if is_keys else ("GET", "DELETE")):
            return _clerk_error(405, "method_not_allowed", "Method not allowed", "This fake answers no such method here.")
        if is_keys:
            return json_response({"keys": [key.jwk for key in self.keys.keys]})
        user_id = request.path.removeprefix("/v1/users/")
        if (user := self.users.get(user_id)) is None:
            return _clerk_error(404, "resource_not_found", "not found", f"No user was found with id {user_id[:60]}.")
        if request.method == "DELETE":
            await self.users.delete(user)
            return json_response({"object": "user", "id": user.id, "slug": None, "deleted": True})
        return json_response(user.as_clerk_json())


def _clerk_error(status: int, code: str, message: str, long_message: str) -> web.Response:
    error = {"message": message, "long_message": long_message, "code": code}
    return json_response({"errors": [error], "clerk_trace_id": secrets.token_hex(16)}, status)


def _sign_in_request(body: dict[str, Any]) -> tuple[str, str, str]:
    """E-mail, display name and role of a sign-in. Raises Problem with every fault."""
    faults = [(name, "There is no such field.") for name in sorted(body.keys() - _SIGN_IN_FIELDS)]
    email, name, role = body.get("email"), body.get("displayName"), body.get("role") or ""
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        faults.append(("email", "An e-mail address is needed."))
        email = ""
    if name is None:
        name = email.partition("@")[0]
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        faults.append(("displayName", f"A name of 1 to {MAX_NAME} printable characters is needed."))
    role = role.upper().removeprefix("ROLE_") if isinstance(role, str) else None
    if role is None or (role and role not in ROLES):
        faults.append(("role", f"One of {', '.join(ROLES)} is needed, or none."))
    if faults:
        violations = [{"field": field, "description": description} for field, description in faults]
        raise Problem(400, "The sign-in is not valid.", violations=violations)
    return email, str(name), str(role)


def svix_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers Clerk's webhooks carry: Svix's signature with the base64 key after `whsec_`, over id.timestamp.body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": message_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": "v1," + base64.b64encode(digest).decode(),
    }
