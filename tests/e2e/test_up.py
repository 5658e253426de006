"""`skillforge up` as a newcomer meets it: one command, ready in seconds, everything stopped again by Ctrl-C."""

from __future__ import annotations

import asyncio
import io
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from cli.tour import run_tour
from tests.support.polling import eventually
from tests.support.processes import Running, alive, fetch, free_port, is_ready, run

pytestmark = pytest.mark.slow

READY_SECONDS = 20.0


@dataclass
class Up:
    """A running `skillforge up`."""

    process: Running
    data_dir: Path
    url: str
    seconds: float

    @property
    def server_pids(self) -> list[int]:
        return [int((self.data_dir / f"{name}.pid").read_text()) for name in ("mariadb", "redis")]

    def sign_in(self, email: str, role: str) -> str:
        """The token of somebody who has an account now."""
        status, answer = fetch(f"{self.url}/dev/sign-in", body={"email": email, "displayName": "Somebody", "role": role})
        assert status == 200
        token = str(orjson.loads(answer)["token"])
        assert fetch(f"{self.url}/auth/sync-user", token, {})[0] in (200, 201)
        return token


def start(data_dir: Path, log: Path, *options: str) -> Iterator[Up]:
    port = free_port()
    with Running(log, "up", "--port", port, "--grpc-port", free_port(), "--data-dir", data_dir, *options) as process:
        url = f"http://127.0.0.1:{port}"
        seconds = process.wait_until(lambda: "SkillForge is ready" in process.said, READY_SECONDS)
        assert is_ready(url)
        yield Up(process, data_dir, url, seconds)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    yield from start(folder / "data", folder / "up.log")


def test_it_says_where_everything_is(up: Up) -> None:
    for said in (f"http://localhost:{up.url.rpartition(':')[2]}", "gRPC", "/dev/sign-in", str(up.data_dir), "skillforge tour"):
        assert said in up.process.said.replace("\n", "")


async def test_the_demo_school_fills(up: Up) -> None:
    async def languages() -> set[str]:
        _, answer = await asyncio.to_thread(fetch, f"{up.url}/courses?pageSize=50")
        return {course["language"] for course in orjson.loads(answer)["courses"]}

    await eventually(languages, lambda found: len(found) >= 5, seconds=50)


async def test_the_tour_succeeds(up: Up, tmp_path: Path) -> None:
    await run_tour(up.url, tmp_path / "certificate.pdf", Console(file=io.StringIO()))
    assert (tmp_path / "certificate.pdf").read_bytes().startswith(b"%PDF-")


def test_a_second_up_on_the_folder_names_the_first(up: Up) -> None:
    status, said = run("up", "--port", free_port(), "--grpc-port", free_port(), "--data-dir", up.data_dir)
    assert status == 1
    assert f"is in use by process {up.process.process.pid}: stop that one first" in said.replace("\n", " ")
    assert "Traceback" not in said
    assert is_ready(up.url)


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_a_taken_port_is_told(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": free_port(), "--grpc-port": free_port(), option: taken.getsockname()[1]}
        arguments = [item for pair in ports.items() for item in pair]
        status, said = run("up", *arguments, "--data-dir", tmp_path / "data")
    assert status == 1
    assert (
        f"cannot listen at 127.0.0.1:{ports[option]}: Address already in use. Stop what uses it, or choose another port." in said
    )
    assert "Traceback" not in said
    assert not (tmp_path / "data" / "mariadb").exists(), "nothing was started for nothing"


def test_a_role_is_granted_and_seen_at_once(up: Up) -> None:
    token = up.sign_in("grace@example.com", "STUDENT")
    assert fetch(f"{up.url}/users", token)[0] == 403
    status, said = run("grant-role", "grace@example.com", "admin", "--data-dir", up.data_dir)
    assert (status, said) == (0, "Somebody <grace@example.com> is now ROLE_ADMIN\n")
    up.process.wait_until(lambda: fetch(f"{up.url}/users", token)[0] == 200, 2)
    status, said = run("grant-role", "nobody@example.com", "ADMIN", "--data-dir", up.data_dir)
    assert (status, said) == (
        1, "Error: No account has the address nobody@example.com. Its owner must sign in once first.\n"
    )  # fmt: skip
    status, said = run("grant-role", "grace@example.com", "KING", "--data-dir", up.data_dir)
    assert status == 2
    assert "'KING' is not one of" in said


def test_data_survives_a_restart_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    [(first_id, first_titles)] = [keep(up) for up in start(data_dir, tmp_path / "first.log", "--no-demo")]
    [(second_id, second_titles)] = [keep(up) for up in start(data_dir, tmp_path / "second.log", "--no-demo")]
    assert (second_id, first_titles, second_titles) == (first_id, [], ["Kept"])


def keep(up: Up) -> tuple[str, list[str]]:
    """Say who one is and what one has written, write a course, and stop everything by Ctrl-C."""
    token = up.sign_in("ada.kept@example.com", "INSTRUCTOR")
    me = orjson.loads(fetch(f"{up.url}/auth/me", token)[1])
    listed = orjson.loads(fetch(f"{up.url}/courses?mine=true", token)[1])["courses"]
    assert orjson.loads(fetch(f"{up.url}/courses")[1])["courses"] == []
    assert fetch(f"{up.url}/courses", token, {"title": "Kept"})[0] == 201
    pids = up.server_pids
    assert all(alive(pid) for pid in pids)
    assert up.process.stop(signal.SIGINT) == 0
    assert not any(alive(pid) for pid in pids)
    assert fetch(f"{up.url}/healthz")[0] == 0
    return str(me["id"]), [course["title"] for course in listed]


def test_ctrl_c_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with Running(tmp_path / "up.log", "up", "--port", free_port(), "--grpc-port", free_port(), "--data-dir", data_dir) as up:
        pid_file = data_dir / "redis.pid"
        up.wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        pid = int(pid_file.read_text())
        assert up.stop(signal.SIGINT) != 0
        assert "Traceback" not in up.said
    assert not alive(pid)
    assert not [*data_dir.glob("*.pid")]
