"""Real servers for the tests: one private MariaDB and Redis a run, and a database of its own for every pytest worker.

Run in parallel, the controlling process starts the servers and tells the workers the folder; run alone, the first
test that needs them starts them.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pymysql
import pytest
import redis
from hypothesis import settings
from playwright.async_api import Browser

from cli.servers import LocalServers, ServersError, private_folder
from core.redis import client
from tests.support.browser import Visits, running_browser
from tests.support.world import World, running_world

# How long an example takes says more about the machine's load than about the code.
settings.register_profile("loaded", deadline=None)
settings.load_profile("loaded")
# Nor is Redis away when two cores are busy with six of its servers, a browser and a dozen processes.
client.COMMAND_SECONDS = 2.0
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background of a script this process was told to ignore Ctrl-C, and so would be all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
SHARED = pytest.StashKey[LocalServers]()
FAILED = pytest.StashKey[bool]()


def new_servers() -> LocalServers:
    """Servers in a new folder; its path is short, so that the sockets are in it."""
    return LocalServers(tempfile.mkdtemp(prefix="sf-test-"), fast=True)


def throw_away(servers: LocalServers) -> None:
    servers.stop(kill=True)
    shutil.rmtree(servers.data_dir, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Start the workers' servers."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None) or config.option.collectonly:
        return
    servers = config.stash[SHARED] = new_servers()
    config.add_cleanup(lambda: throw_away(servers))
    try:
        servers.start()
    except ServersError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["servers"] = str(node.config.stash[SHARED].data_dir)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = report.failed or (call.when == "call" and item.stash[FAILED])
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Who failed may have left anything in what the module shares: its second try and the tests after it get it anew."""
    if item.stash[FAILED]:
        item.session._setupstate.teardown_exact(item.session)  # type: ignore[arg-type]  # all but what the session shares


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print why a test that was run once more failed the first time."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"first try of {report.nodeid}", yellow=True)
        report.toterminal(terminalreporter._tw)
        for name, text in report.sections:
            terminalreporter.write_sep("-", name)
            terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[LocalServers]:
    """MariaDB and Redis shared by all tests: don't stop them, use `own_servers` for that."""
    worker = getattr(request.config, "workerinput", None)
    if worker is not None:
        shared = LocalServers(worker["servers"], fast=True)
        shared.wait_ready()
        yield shared
        return
    own = new_servers()
    try:
        own.start()
        yield own
    finally:
        throw_away(own)


@pytest.fixture
def own_servers() -> Iterator[LocalServers]:
    """MariaDB and Redis for one test alone, which may stop, kill and restart them; about a second."""
    own = new_servers()
    try:
        own.start()
        yield own
    finally:
        throw_away(own)


@pytest.fixture
def own_redis() -> Iterator[LocalServers]:
    """A Redis for one test alone, without a MariaDB beside it."""
    own = new_servers()
    try:
        private_folder(own.sockets)
        own.start_redis()
        yield own
    finally:
        throw_away(own)


@pytest.fixture(scope="session")
def worker_number(request: pytest.FixtureRequest) -> int:
    """0 for the first pytest worker or a run alone, 1 for the second, ..."""
    worker = getattr(request.config, "workerinput", {"workerid": "gw0"})
    return int(worker["workerid"].removeprefix("gw"))


@pytest.fixture(scope="session")
def database_url(servers: LocalServers, worker_number: int) -> str:
    """The address of an empty database, this worker's alone."""
    return fresh_database(servers, f"test_{worker_number}")


def fresh_database(servers: LocalServers, name: str) -> str:
    """The address of the database `name`, empty now."""
    with pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root") as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
    return servers.create_database(name)


@pytest.fixture(scope="session")
def redis_url(servers: LocalServers, worker_number: int) -> str:
    """The address of an empty Redis database, this worker's alone."""
    return fresh_redis(servers, worker_number)


def fresh_redis(servers: LocalServers, number: int) -> str:
    """The address of the Redis database `number`, empty now."""
    url = servers.redis_url(number)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
async def world(database_url: str, redis_url: str) -> AsyncIterator[World]:
    """A whole SkillForge, shared by this worker's tests: make people and courses of your own in it."""
    async with running_world(database_url, redis_url) as running:
        yield running


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, shared by this worker's tests: take a profile of your own by `visit`."""
    async with running_browser() as running:
        yield running


@pytest.fixture
async def visit(browser: Browser) -> AsyncIterator[Visits]:
    """Makes visitors, each with a page; the test fails with what their browsers complain of."""
    visits = Visits(browser)
    yield visits
    await visits.close()
