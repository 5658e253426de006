"""The worker processes that render and sign: bounded, mortal, and no more than one request's trouble."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.certificates.images import LogoRefused
from core.certificates.pdf import Look, render_pdf
from core.certificates.render import PdfRenderer
from core.errors import DeadlineExceeded, Unavailable
from tests.support.certificates import DOCUMENT, image
from tests.support.signing import signing_pem

ROOT = Path(__file__).resolve().parents[3]
PEM = signing_pem().replace("\\n", "\n").encode()
pytestmark = pytest.mark.slow


async def test_workers_sign_and_survive_a_killed_one() -> None:
    others = set(multiprocessing.active_children())  # of a core that other tests share
    renderer, plain = PdfRenderer(workers=1, signing_pem=PEM), render_pdf(DOCUMENT)
    try:
        renderer.warm()
        pdf = await renderer.render(DOCUMENT)
        assert pdf.startswith(plain)
        assert b"/ByteRange" in pdf[len(plain) :]
        assert b"/ByteRange" not in await renderer.render(replace(DOCUMENT, specimen=True))
        assert (await renderer.tidy_logo(image())).startswith(b"\x89PNG")
        with pytest.raises(LogoRefused, match="must be a PNG or JPEG"):
            await renderer.tidy_logo(b"GIF89a")
        (worker,) = set(multiprocessing.active_children()) - others
        assert worker.pid is not None
        waiting = asyncio.gather(*(renderer.render(DOCUMENT) for _ in range(3)), return_exceptions=True)
        await asyncio.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)
        assert {type(answer) for answer in await waiting} <= {Unavailable, bytes}
        assert (await asyncio.wait_for(_until_rendered(renderer), 30)).startswith(plain)
    finally:
        await renderer.close()
    with pytest.raises(Unavailable):
        await renderer.render(DOCUMENT)
    assert set(multiprocessing.active_children()) <= others


async def _until_rendered(renderer: PdfRenderer) -> bytes:
    while True:
        try:
            return await renderer.render(DOCUMENT)
        except Unavailable as error:
            await asyncio.sleep(error.retry_after or 0.1)


async def test_what_cannot_be_drawn_is_one_call_s_error() -> None:
    renderer = PdfRenderer(workers=1)
    try:
        with pytest.raises(ValueError, match="#rrggbb"):
            await renderer.render(replace(DOCUMENT, look=Look(accent_color="red")))
        assert await renderer.render(DOCUMENT) == render_pdf(DOCUMENT)
    finally:
        await renderer.close()


async def test_workers_have_a_bounded_queue_and_a_deadline() -> None:
    renderer = PdfRenderer(workers=1, max_waiting=2, deadline=0.05)
    try:
        answers = await asyncio.gather(*(renderer.render(DOCUMENT) for _ in range(4)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [DeadlineExceeded, DeadlineExceeded, Unavailable, Unavailable]
        refused = answers[2]
        assert isinstance(refused, Unavailable)
        assert refused.reason == "OVERLOADED"
        assert refused.retry_after == 2.0
    finally:
        await renderer.close()


async def test_close_refuses_what_waits() -> None:
    renderer = PdfRenderer(workers=1)
    waiting = [asyncio.create_task(renderer.render(DOCUMENT)) for _ in range(8)]
    await asyncio.sleep(0.2)
    await renderer.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} <= {bytes, Unavailable}
    assert Unavailable in {type(answer) for answer in answers}


ORPHAN_MAKER = """
import asyncio, multiprocessing
from core.certificates.render import PdfRenderer
async def main():
    renderer = PdfRenderer()
    renderer.warm()
    await renderer._warming
    print(multiprocessing.active_children()[0].pid, flush=True)
    await asyncio.sleep(60)
if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHAN_MAKER)
    path = os.pathsep.join([str(ROOT), str(ROOT / "generated")])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not _runs(worker):
            return
        signal.sigtimedwait([], 0.05)
    raise AssertionError("the worker outlived its parent")


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
