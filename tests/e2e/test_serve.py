"""`skillforge serve`, `core` and `gateway` as processes: killed, drained, and refusing to start half set."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import aiohttp
import orjson
import pymysql
import pytest

from cli.servers import LocalServers
from tests.conftest import fresh_database, fresh_redis
from tests.support.installation import Installation, installed, self_signed
from tests.support.polling import eventually
from tests.support.processes import Running, alive, children, fetch, free_port, is_ready, run
from tests.support.scrapes import Scrape
from tests.support.signing import signing_pem

pytestmark = pytest.mark.slow

CLIENTS = 8
# "Within a second", and what a busy machine adds.
SOON_SECONDS = 2.0
# What multiprocessing starts a worker with, and what it does not start anything else with.
WORKER = "from multiprocessing.spawn"


@pytest.fixture(scope="module")
def database(worker_number: int) -> str:
    return f"serve_{worker_number}"


@pytest.fixture(scope="module")
def installation(
    servers: LocalServers, worker_number: int, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    url = fresh_database(servers, database)
    with installed(tmp_path_factory.mktemp("serve"), url, fresh_redis(servers, 24 + worker_number)) as made:
        yield made


@contextmanager
def serving(installation: Installation, workers: int = 2) -> Iterator[Running]:
    """`skillforge serve`, ready, with all its workers listening."""
    ports = ("--port", installation.port, "--grpc-port", installation.grpc_port)
    log = installation.folder / f"serve-{installation.port}.log"
    with Running(log, "serve", *ports, "--workers", workers, settings=installation.settings) as serve:
        serve.wait_until(lambda: listeners(installation.port) == workers and is_ready(installation.url))
        yield serve


def listeners(port: int) -> int:
    """How many sockets listen at a TCP port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port for row in rows)


@pytest.fixture(scope="module")
def serve(installation: Installation) -> Iterator[Running]:
    """Two workers, for tests that leave them running."""
    with serving(installation) as running:
        yield running


class Markers:
    """Students who mark lectures over and over, each on a connection of their own that is kept while it can be."""

    def __init__(self, installation: Installation, teacher: str) -> None:
        self.installation = installation
        self.lectures = [item["id"] for item in installation.course(teacher, 40)["modules"][0]["lectures"]]
        self.course_id = installation.call("GET", f"/lectures/{self.lectures[0]}", teacher)["courseId"]
        self.tokens = [installation.sign_in(f"marker.{number}@example.com", "STUDENT") for number in range(CLIENTS)]
        for token in self.tokens:
            installation.call("POST", f"/courses/{self.course_id}/enroll", token, {})
        self.statuses: Counter[int] = Counter()
        self.broken: list[str] = []
        self.refused = 0
        self.acknowledged: dict[str, list[str]] = {token: [] for token in self.tokens}
        self._stopping = False

    @asynccontextmanager
    async def working(self, *, until_closed: bool = False) -> AsyncIterator[None]:
        """They work inside of it; `until_closed`: until the server has said good-bye to all."""
        tasks = [asyncio.create_task(self._work(token, until_closed)) for token in self.tokens]
        try:
            yield
            self._stopping = not until_closed
            await asyncio.wait_for(asyncio.gather(*tasks), 20)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, token: str, until_closed: bool) -> None:
        """Mark lectures in their order, each until it is acknowledged."""
        url, headers = f"{self.installation.url}/progress/lecture", {"Authorization": f"Bearer {token}"}
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            while not self._stopping:
                lecture = self.lectures[len(self.acknowledged[token]) % len(self.lectures)]
                try:
                    async with session.post(url, json={"lectureId": lecture, "completed": True}) as response:
                        await response.read()
                except aiohttp.ClientConnectorError:
                    self.refused += 1
                    if until_closed:
                        return
                    await asyncio.sleep(0.02)
                except aiohttp.ClientError as error:
                    self.broken.append(type(error).__name__)
                else:
                    self.statuses[response.status] += 1
                    self.acknowledged[token].append(lecture)
                    if until_closed and response.headers.get("Connection") == "close":
                        return

    async def progress(self, times: int, seconds: float = 15.0) -> None:
        """Return when each has been acknowledged so many times more."""
        wanted = {token: len(done) + times for token, done in self.acknowledged.items()}

        async def lagging() -> bool:
            return any(len(self.acknowledged[token]) < count for token, count in wanted.items())

        await eventually(lagging, lambda some: not some, seconds)

    def check_nothing_lost(self) -> None:
        for token in self.tokens:
            shown = self.installation.call("GET", f"/progress/course/{self.course_id}", token)
            done = {item["lectureId"] for item in shown["lectures"] if "completeTime" in item}
            assert set(self.acknowledged[token]) <= done


def test_it_offers_no_sign_in_of_its_own(installation: Installation, serve: Running) -> None:
    status, answer = fetch(f"{installation.url}/dev/sign-in", body={"email": "x@example.com", "role": "ADMIN"})
    assert (status, orjson.loads(answer)["reason"]) == (404, "ROUTE_NOT_FOUND")


def test_a_payment_is_unlocked_by_the_fakes_process(installation: Installation, serve: Running) -> None:
    course = installation.course(installation.sign_in("cid@example.com", "INSTRUCTOR"), price=4900)
    student = installation.sign_in("dan@example.com", "STUDENT")
    payment = installation.call("POST", "/payments/create", student, {"courseId": course["id"]})
    assert payment["checkoutUrl"].startswith(installation.fakes_url)
    assert fetch(payment["checkoutUrl"], body={"card": "4242424242424242"})[0] == 200
    lecture = f"/lectures/{course['modules'][0]['lectures'][0]['id']}"
    serve.wait_until(lambda: fetch(installation.url + lecture, student)[0] == 200, 10)


def test_a_scrape_tells_of_every_worker(installation: Installation, serve: Running) -> None:
    """Whichever of them is asked."""
    for _ in range(4):
        status, text = fetch(f"{installation.url}/metrics", installation.settings["METRICS_TOKEN"])
        assert status == 200
        found = Scrape(text.decode())
        assert {dict(labels)["worker"] for name, labels in found if name == "skillforge_build_info"} == {"0", "1"}
        assert found.value("skillforge_database_connections_max") == 12
        assert found.value("skillforge_outbox_rows") >= 0


async def test_a_killed_worker_is_replaced_and_the_others_go_on(installation: Installation, serve: Running) -> None:
    markers = await asyncio.to_thread(Markers, installation, installation.sign_in("ada@example.com", "INSTRUCTOR"))
    workers = children(serve.process.pid, WORKER)
    assert len(workers) == 2
    async with markers.working():
        await markers.progress(3)
        os.kill(workers[0], signal.SIGKILL)
        await markers.progress(5)
        await asyncio.to_thread(serve.wait_until, lambda: len(children(serve.process.pid, WORKER)) == 2)
        assert workers[1] in children(serve.process.pid, WORKER)
        await asyncio.to_thread(serve.wait_until, lambda: listeners(installation.port) == 2)
        await markers.progress(3)
    assert set(markers.statuses) == {200}
    assert len(markers.broken) <= CLIENTS + 2, "only what the dead worker had in hand may break"
    markers.check_nothing_lost()
    assert f"worker {workers[0]} ended with status -9; another starts" in serve.said


def test_a_suspension_reaches_every_worker_within_a_second(installation: Installation, serve: Running) -> None:
    """Each question goes to whichever worker takes the connection; all have known the account before."""
    admin, student = installation.sign_in("root@example.com", "ADMIN"), installation.sign_in("eve@example.com", "STUDENT")
    me = installation.call("GET", "/auth/me", student)

    def answers() -> set[int]:
        return {fetch(f"{installation.url}/auth/me", student)[0] for _ in range(16)}

    for status, wanted in (("SUSPENDED", {403}), ("ACTIVE", {200})) * 2:
        assert answers() == ({200} if wanted == {403} else {403})
        changed = {"status": f"USER_STATUS_{status}"}
        assert installation.call("PATCH", f"/users/{me['id']}", admin, changed)["status"] == changed["status"]
        serve.wait_until(lambda wanted=wanted: answers() == wanted, SOON_SECONDS)  # type: ignore[misc]
    assert installation.call("POST", "/auth/sign-out", student, {}) is None
    serve.wait_until(lambda: answers() == {401}, SOON_SECONDS)


async def test_a_stop_drains_without_a_failed_request(installation: Installation, servers: LocalServers, database: str) -> None:
    own = elsewhere(installation)
    with serving(own) as serve:
        markers = await asyncio.to_thread(Markers, own, own.sign_in("bob@example.com", "INSTRUCTOR"))
        workers = children(serve.process.pid, WORKER)
        slow = await asyncio.to_thread(SlowCall, servers, database, own)
        async with markers.working(until_closed=True):
            await asyncio.to_thread(slow.begin)
            await markers.progress(3)
            serve.process.send_signal(signal.SIGTERM)
        assert serve.process.poll() is None, "it waits for the request in work"
        assert await asyncio.to_thread(slow.end) == 200
        assert await asyncio.to_thread(serve.process.wait, 20) == 0
    assert (set(markers.statuses), markers.broken) == ({200}, [])
    assert not any(alive(pid) for pid in workers)
    assert listeners(own.port) == listeners(own.grpc_port) == 0


def elsewhere(installation: Installation) -> Installation:
    """The same installation served at other ports."""
    return replace(installation, port=free_port(), grpc_port=free_port())


class SlowCall:
    """A change of a course that takes as long as we hold a lock on its row."""

    def __init__(self, servers: LocalServers, database: str, installation: Installation) -> None:
        self._connection = pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=database)
        self._installation = installation
        self._token = installation.sign_in("slow@example.com", "INSTRUCTOR")
        self._status = 0
        self._thread = threading.Thread(target=self._change)

    def begin(self) -> None:
        """Return when the call waits for the lock."""
        self._course_id = self._installation.course(self._token)["id"]
        cursor = self._connection.cursor()
        cursor.execute("SELECT * FROM courses WHERE id = %s FOR UPDATE", (UUID(self._course_id).bytes,))
        self._thread.start()
        waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE %s"
        deadline = time.monotonic() + 10
        while cursor.execute(waiting, ("%UPDATE courses%",)) and cursor.fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self) -> int:
        """Let it go on; the status of its answer."""
        self._connection.close()
        self._thread.join(20)
        return self._status

    def _change(self) -> None:
        path = f"{self._installation.url}/courses/{self._course_id}"
        self._status, _ = fetch(path, self._token, {"title": "Changed", "description": "D"}, "PUT")


def test_what_is_not_set_is_told_at_once() -> None:
    status, said = run("serve")
    assert status == 1
    lines = [line.split()[0] for line in said.splitlines()[1:]]
    assert sorted(lines) == ["CERTIFICATE_SIGNING_KEY", "CLERK_SECRET_KEY", "DATABASE_URL", "REDIS_URL"]
    wrong = {"LOG_FORMAT": "xml", "DATABASE_POOL_SIZE": "0", "RATE_LIMIT_IP": "many", "PAYMENT_PROVIDER": "fake"}
    status, said = run("core", settings=wrong)
    assert status == 1
    named = {line.split()[0] for line in said.splitlines()[1:]}
    needed = {"CERTIFICATE_SIGNING_KEY", "CLERK_SECRET_KEY", "DATABASE_URL", "REDIS_URL"}
    assert {*needed, "FAKE_PAYMENTS_URL", "PAYMENT_WEBHOOK_SECRETS", *wrong} - named == {"PAYMENT_PROVIDER"}
    assert "Traceback" not in said


def test_a_taken_port_and_a_refused_login_are_told(installation: Installation, servers: LocalServers) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = run("serve", "--port", port, "--grpc-port", free_port(), settings=installation.settings)
    assert (status, "cannot listen at 127.0.0.1" in said) == (1, True)
    stranger = f"mysql://stranger:secret-of-ours@localhost/x?unix_socket={servers.mariadb_socket}"
    settings = {**installation.settings, "DATABASE_URL": stranger}
    status, said = run("serve", "--port", free_port(), "--grpc-port", free_port(), settings=settings)
    assert (status, "cannot connect to the database: Access denied" in said) == (1, True), said
    assert "Traceback" not in said
    assert "secret-of-ours" not in said


def test_core_and_gateway_work_together_over_tls(installation: Installation) -> None:
    """And the gateway outlives the core."""
    installation = elsewhere(installation)
    certificate, key = self_signed(installation.folder)
    settings = {**installation.settings, "GRPC_TLS_CERT": str(certificate), "GRPC_TLS_KEY": str(key)}
    folder, target = installation.folder, f"127.0.0.1:{installation.grpc_port}"
    core = Running(folder / "core.log", "core", "--grpc-port", installation.grpc_port, settings=settings)
    arguments = ("gateway", "--port", installation.port, "--core", target, "--ca", certificate)
    door = {"GATEWAY_TOKEN": installation.settings["GATEWAY_TOKEN"]}
    with Running(folder / "gateway.log", *arguments, settings=door) as gateway:
        gateway.wait_until(lambda: fetch(f"{installation.url}/healthz")[0] == 200)
        assert fetch(f"{installation.url}/readyz")[0] == fetch(f"{installation.url}/courses")[0] == 503
        with core:
            gateway.wait_until(lambda: is_ready(installation.url))
            course = installation.course(installation.sign_in("eva@example.com", "INSTRUCTOR"))
            core.process.kill()
            core.process.wait()
        gateway.wait_until(lambda: fetch(f"{installation.url}/courses/{course['id']}")[0] == 503, 5)
        with core:
            gateway.wait_until(lambda: fetch(f"{installation.url}/courses/{course['id']}")[0] == 200)
            assert core.stop() == 0
        assert gateway.stop() == 0


def test_migrations_are_applied_once(servers: LocalServers, worker_number: int) -> None:
    settings = {
        "DATABASE_URL": fresh_database(servers, f"migrated_{worker_number}"),
        "REDIS_URL": servers.redis_url(),
        "CLERK_SECRET_KEY": "sk_test_x",
        "CERTIFICATE_SIGNING_KEY": signing_pem(),
    }
    status, said = run("migrate", settings=settings)
    assert (status, said.splitlines()[0]) == (0, "applied 0001_learning")
    assert run("migrate", settings=settings) == (0, "nothing to do\n")
