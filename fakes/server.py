"""Both fakes on one port of their own, or to be mounted in another server by their path prefixes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from fakes.clerk import ClerkFake, Persona
from fakes.clock import Clock
from fakes.payments import PaymentsFake
from fakes.videos import PREFIX as VIDEOS
from fakes.videos import handle_videos
from fakes.web import Handler, Problem, json_response

CLERK_SECRET_KEY = "sk_test_fake_clerk_for_development_only"
PAYMENTS_API_KEY = "sk_fake_payments_for_development_only"
WEBHOOK_SECRET = "whsec_fake_payments_for_development_only"
SHUTDOWN_SECONDS = 2.0


class FakeWorld:
    """Clerk and the payment provider. `start()` to mount it by `prefixes` and `handle`; `listen()` for a port of its own."""

    def __init__(
        self,
        data_dir: Path,
        *,
        public_url: str = "",
        webhook_url: str = "",
        webhook_secrets: Sequence[str] = (WEBHOOK_SECRET,),
        clerk_secret_key: str = CLERK_SECRET_KEY,
        clerk_issuer: str = "",
        clerk_authorized_party: str = "",
        token_seconds: int = 3600,
        personas: Sequence[Persona] = (),
        payments_api_key: str = PAYMENTS_API_KEY,
        late_seconds: float = 5.0,
        max_attempts: int = 15,
        first_delay: float = 0.5,
        max_delay: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        """`public_url` and `clerk_issuer` default to the address listened on; `webhook_url` can be set later; `clock` is the
        payment provider's, the machine's unless given."""
        self.clerk = ClerkFake(
            data_dir,
            secret_key=clerk_secret_key,
            issuer=clerk_issuer or public_url,
            authorized_party=clerk_authorized_party,
            token_seconds=token_seconds,
            personas=personas,
        )
        self.payments = PaymentsFake(
            api_key=payments_api_key,
            public_url=public_url,
            webhook_url=webhook_url,
            webhook_secrets=webhook_secrets,
            late_seconds=late_seconds,
            max_attempts=max_attempts,
            first_delay=first_delay,
            max_delay=max_delay,
            clock=clock,
        )
        self.url = public_url
        self._runner: web.ServerRunner | None = None

    @property
    def prefixes(self) -> tuple[str, ...]:
        return (*self.clerk.prefixes, *self.payments.prefixes)

    async def start(self) -> None:
        await self.clerk.start()

    async def listen(self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None) -> None:
        """Starts, and serves on a TCP port (0: any free one) or on a given listening socket. Sets `url`."""
        await self.start()
        self._runner = web.ServerRunner(web.Server(self.handle, access_log=None), shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        site = web.SockSite(self._runner, sock) if sock is not None else web.TCPSite(self._runner, host, port)
        await site.start()
        address = self._runner.addresses[0]
        if not self.url and isinstance(address, tuple):
            shown = f"[{address[0]}]" if ":" in address[0] else address[0]
            self.url = f"http://{shown}:{address[1]}"
        self.payments.public_url = self.payments.public_url or self.url
        self.clerk.issuer = self.clerk.issuer or self.url

    async def close(self) -> None:
        await self.clerk.close()
        await self.payments.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers any request: a fake's own, a word on what this is at `/`, else 404."""
        handlers: tuple[tuple[tuple[str, ...], Handler], ...] = (
            ((VIDEOS,), handle_videos),
            (self.clerk.prefixes, self.clerk.handle),
            (self.payments.prefixes, self.payments.handle),
        )
        for prefixes, handler in handlers:
            if request.path.startswith(prefixes):
                return await handler(request)
        if request.path == "/":
            return json_response({"fake": True, "serves": ["Clerk", "payment provider"], "paths": self.prefixes})
        return Problem(404, f"This fake world answers below {', '.join(self.prefixes)}.").response()
