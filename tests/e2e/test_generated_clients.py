"""Clients that two independent generators make of `/openapi.json` walk the journey, each in a process of its own."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
GENERATOR = Path(sys.executable).with_name("openapi-python-client")


async def run(*command: object, cwd: Path, **environment: str) -> str:
    """What a command says; fails the test with it when the command fails."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, env={"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


@pytest.fixture
async def document(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    async with world.session.get(f"{world.url}/openapi.json") as response:
        path.write_bytes(await response.read())
    return path


async def tokens(world: World) -> list[str]:
    """An instructor's and a student's, who have no accounts yet."""
    return [
        (await world.fakes.clerk.sign_in(f"{role}.{id(world)}@example.com", role, role))[1] for role in ("INSTRUCTOR", "STUDENT")
    ]


async def test_a_python_client(world: World, document: Path, tmp_path: Path) -> None:
    target = tmp_path / "skillforge_client"
    said = await run(
        GENERATOR, "generate", "--path", document, "--config", CLIENTS / "python.yaml", "--meta", "none", "--output-path", target,
        cwd=tmp_path,
    )  # fmt: skip
    assert "WARNING" not in said
    journey = await run(
        sys.executable, CLIENTS / "journey.py", world.url, *await tokens(world), cwd=tmp_path, PYTHONPATH=str(tmp_path)
    )
    assert re.fullmatch(r"SF-\w{27}\n", journey)


async def test_a_typescript_client(world: World, document: Path, tmp_path: Path) -> None:
    folder = tmp_path / "typescript"
    shutil.copytree(CLIENTS / "typescript", folder)
    npm = shutil.which("npm")
    assert npm is not None, "There is no npm: `make test` installs it."
    await run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder, HOME=str(Path.home()))
    await run("node", "node_modules/openapi-typescript/bin/cli.js", document, "-o", "schema.d.ts", cwd=folder)
    await run("node", "node_modules/typescript/bin/tsc", cwd=folder)
    journey = await run("node", "out/journey.js", world.url, *await tokens(world), cwd=folder)
    assert re.fullmatch(r"SF-\w{27}\n", journey)
