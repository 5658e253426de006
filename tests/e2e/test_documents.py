"""Every example in README.md and docs/ is run as it stands there, but for the addresses; new ones are found by themselves."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from skillforge.v1 import friends_pb2
from tests.support.browser import Visits
from tests.support.documents import DOCUMENTS, PYTHON, ROOT, RUN, SCRIPT, SHELL, Example, examples
from tests.support.world import World

ALL = [example for path in DOCUMENTS for example in examples(path)]
# What a reader has at hand: a failure of curl ends the example, and the certificate's number stands on the certificate.
PRELUDE = """
set -euo pipefail
curl() { command curl --fail-with-body "$@"; }
number() { [ ! -e certificate.pdf ] || pdftotext certificate.pdf - | grep --only-matching --max-count 1 'SF-[0-9A-Z]*'; }
"""
# What the script of the guide takes from the page around it.
PAGE = """
const said = [];
const clerk = { session: { getToken: async () => "TOKEN" } };
const friend = "FRIEND", video = {};
const show = (...args) => said.push(args), ring = show;
"""


def as_shell(example: Example) -> str:
    """An example as a part of a shell script that tells where it is."""
    text = example.text
    if example.language == PYTHON:
        text = f"PYTHONPATH=generated .venv/bin/python - <<'END'\n{text}END\n"
    return f'echo "--- {example.place}"; ID=$(number)\n{text}'


def addressed(script: str, world: World) -> str:
    """The script with a world's addresses."""
    script = script.replace("skillforge tour\n", f"skillforge tour --url {world.url}\n")
    return script.replace("localhost:8080", world.url.removeprefix("http://")).replace("localhost:50051", world.grpc_address)


def test_every_example_is_of_a_kind_that_is_run() -> None:
    assert [example.place for example in ALL if example.language not in RUN] == []
    assert {example.language for example in ALL} == set(RUN)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.name))
async def test_commands(world: World, tmp_path: Path, path: Path) -> None:
    parts = [as_shell(example) for example in examples(path) if example.language in (SHELL, PYTHON)]
    for name in (".venv", "generated"):
        (tmp_path / name).symlink_to(ROOT / name)
    process = await asyncio.create_subprocess_exec(
        str(shutil.which("bash")), "-c", addressed(PRELUDE + "".join(parts), world), cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    if path.name == "README.md":
        assert "FILE_RESULT_UNCHANGED" in said
        assert '"title"' in said


@pytest.mark.parametrize("example", [item for item in ALL if item.language == SCRIPT], ids=lambda item: str(item.place))
async def test_scripts(world: World, visit: Visits, example: Example) -> None:
    ada, bob = await world.person(name="Ada"), await world.person(name="Bob")
    for one, other in ((ada, bob), (bob, ada)):
        await world.call("RequestFriend", friends_pb2.RequestFriendRequest(user_id=other.id), one)
    imports, _, rest = example.text.partition("\n\n")
    surroundings = PAGE.replace("TOKEN", ada.token).replace("FRIEND", bob.id)
    script = f"{imports}\n{surroundings}\n{rest}\nwindow.over = connection.state;"
    visitor = await visit(media=True, bypass_csp=True)
    visitor.forgive("favicon.ico")
    page = visitor.page
    await page.goto(f"{world.url}/docs/realtime")
    await page.add_script_tag(content=script, type="module")
    await page.wait_for_function("window.over !== undefined")
    _, _, history = await world.request("GET", f"/chat/history/{ada.id}", person=bob)
    assert [message["body"] for message in history["messages"]] == ["Hello"]
