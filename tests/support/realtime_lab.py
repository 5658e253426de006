"""Two gateway processes, and people at browsers with a small page over the JavaScript client.

Each person reaches the service through a switch of their own, as through a load balancer: where it leads is the test's choice.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from playwright.async_api import BrowserContext, Page, Route

from tests.support.browser import Visitor, Visits
from tests.support.installation import Installation, installed
from tests.support.polling import eventually
from tests.support.processes import Running, children, free_port, is_ready

HOST = "127.0.0.1"
WORKER = "from multiprocessing.spawn"
PAGES = Path(__file__).parent / "lab"
# As strict as a page of ours could be: the client needs no more than its own origin.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


class Switch:
    """A TCP port that leads to another one."""

    def __init__(self, target: int = 0) -> None:
        self.target = target
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def cut(self) -> None:
        """Break every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            other_reader, other_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open.add(other_writer)
        try:
            await asyncio.gather(_pass(reader, other_writer), _pass(other_reader, writer))
        finally:
            for item in (writer, other_writer):
                self._open.discard(item)
                item.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Gateway:
    """`skillforge serve` with one worker."""

    def __init__(self, installation: Installation, name: str, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        ports = ("--port", self.port, "--grpc-port", free_port())
        log = installation.folder / f"{name}.log"
        self.running = Running(log, "serve", *ports, "--workers", 1, settings={**installation.settings, **settings})

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def wait_ready(self) -> None:
        self.running.wait_until(lambda: is_ready(self.url))

    def kill(self) -> None:
        """End it as a power cut would."""
        for worker in children(self.running.process.pid, WORKER):
            os.kill(worker, signal.SIGKILL)
        os.kill(self.running.process.pid, signal.SIGKILL)


@dataclass
class Person:
    """Somebody with an account and a switch."""

    name: str
    token: str
    id: str
    switch: Switch


@dataclass
class Lab:
    """Two gateways, and two friends, each at one of them."""

    installation: Installation
    gateways: list[Gateway]
    ada: Person
    bob: Person


@asynccontextmanager
async def laboratory(folder: Path, database_url: str, redis_url: str, **settings: str) -> AsyncIterator[Lab]:
    """A lab; `settings` are the gateways' by their environment names."""
    async with AsyncExitStack() as stack:
        switches = [await stack.enter_async_context(Switch()) for _ in range(2)]
        origins = ",".join(switch.url for switch in switches)
        processes = stack.enter_context(ExitStack())
        made = await asyncio.to_thread(processes.enter_context, installed(folder, database_url, redis_url))
        gateways = [Gateway(made, name, {"ALLOWED_ORIGINS": origins, **settings}) for name in ("one", "two")]
        for gateway in gateways:
            processes.enter_context(gateway.running)
        await asyncio.gather(*(asyncio.to_thread(gateway.wait_ready) for gateway in gateways))
        made.port = gateways[1].port
        people = [
            await asyncio.to_thread(_person, made, name, switch) for name, switch in zip(("Ada", "Bob"), switches, strict=True)
        ]
        for switch, gateway in zip(switches, gateways, strict=True):
            switch.target = gateway.port
        await asyncio.to_thread(_befriend, made, people[0], people[1])
        yield Lab(made, gateways, people[0], people[1])


def _person(installation: Installation, name: str, switch: Switch) -> Person:
    token = installation.sign_in(f"{name.lower()}@example.com", "STUDENT")
    return Person(name, token, installation.call("GET", "/auth/me", token)["id"], switch)


def _befriend(installation: Installation, one: Person, other: Person) -> None:
    installation.call("POST", "/friends/request", one.token, {"userId": other.id})
    installation.call("POST", f"/friends/{one.id}/accept", other.token, {})


class Desk:
    """A person at a browser."""

    def __init__(self, person: Person, visitor: Visitor) -> None:
        self.person = person
        self.visitor = visitor

    @property
    def page(self) -> Page:
        return self.visitor.page

    async def run(self, expression: str) -> Any:
        """The value of an expression in the page; `lab` holds its parts."""
        return await self.page.evaluate(expression)

    async def until(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until an expression in the page is true."""
        await eventually(lambda: self.run(expression), seconds=seconds)  # the page's policy forbids what Playwright would do

    async def log(self) -> Any:
        """What the page has seen: states of the connection and of calls, messages, faults."""
        return await self.run("lab.log")

    async def say(self, body: str) -> None:
        await self.page.get_by_label("Message", exact=True).fill(body)
        await self.page.get_by_role("button", name="Send").click()

    async def sees(self, *bodies: str) -> None:
        """Wait until the conversation shows these messages, and all of them written."""
        items = self.page.locator("#messages li")
        await eventually(items.all_inner_texts, lambda found: found == list(bodies))
        await eventually(self.page.locator("#messages li.pending").count, lambda number: number == 0)

    async def flow(self, seconds: float = 20.0) -> dict[str, Any]:
        """Wait until more video and sound has come in and frames were seen; the traffic then."""
        first = await self.run("lab.traffic()")
        return await eventually(lambda: self.run("lab.traffic()"), lambda now: _grew(first, now), seconds)


def _grew(first: dict[str, Any], now: dict[str, Any]) -> bool:
    return bool(
        now["videoIn"] > first["videoIn"] + 5000 and now["audioIn"] > first["audioIn"] and now["frames"] > first["frames"]
    )


# A clock of the page that `lab.clockAhead` (milliseconds) sets.
WRONG_CLOCK = """
    const Right = Date;
    globalThis.Date = class extends Right {
        constructor(...parts) { super(...(parts.length ? parts : [Right.now() + lab.clockAhead])); }
        static now() { return Right.now() + lab.clockAhead; }
    };
"""


async def sit_down(
    visit: Visits, person: Person, peer: Person, calls: Mapping[str, Any] | None = None, *, clock_ahead: float = 0.0
) -> Desk:
    """A person opens the page; connected, with all that is there to see, when this returns. `calls`: options of `Calls`;
    `clock_ahead`: how many seconds the clock is wrong."""
    visitor = await visit(media=True)
    await serve_pages(visitor.context, person.switch.url)
    # A page the test answers for counts as one of the Internet's.
    await visitor.context.grant_permissions(["camera", "microphone", "local-network-access"], origin=person.switch.url)
    about = {"token": person.token, "name": person.name, "peer": peer.id, "clockAhead": clock_ahead * 1000}
    settings = {**about, "calls": dict(calls or {})}
    await visitor.context.add_init_script(f"window.lab = {json.dumps(settings)};{WRONG_CLOCK}")
    await visitor.page.goto(f"{person.switch.url}/lab")
    desk = Desk(person, visitor)
    await desk.until("lab.ready")
    return desk


async def serve_pages(context: BrowserContext, origin: str) -> None:
    """The pages in tests/support/lab as if the service had them, at `/lab` and below."""

    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{origin}/lab").lstrip("/") or "index"
        script = name.endswith(".js")
        headers = {"Content-Security-Policy": POLICY, "Content-Type": "text/javascript" if script else "text/html; charset=utf-8"}
        await route.fulfill(body=(PAGES / (name if script else f"{name}.html")).read_text(), headers=headers)

    await context.route(f"{origin}/lab", answer)
    await context.route(f"{origin}/lab/*", answer)
    await context.route(f"{origin}/favicon.ico", lambda route: route.fulfill(status=204))
