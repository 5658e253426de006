"""Reading the signatures of files from outside: what is found, and that no file does harm."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.certificates import keeper
from core.certificates.inspection import DAMAGED, ENCRYPTED, TOO_COMPLEX, Findings, FoundSignature, inspect
from core.certificates.inspector import PdfInspector
from core.errors import Unavailable
from tests.support import pdfs
from tests.support.signing import signing_key

OURS, OTHER = signing_key(), signing_key(1)
TRUSTED = {OURS.kid}
NUMBER = "SF-" + "0" * 27
CHILD_LIMIT = keeper.WALL_SECONDS + 4


@pytest.fixture(scope="module")
def blank() -> bytes:
    return pdfs.blank_pdf(f"Certificate {NUMBER}")


@pytest.fixture(scope="module")
def issued(blank: bytes) -> bytes:
    return pdfs.signed(blank, OURS, "Certificate")


@pytest.fixture
async def inspector() -> AsyncIterator[PdfInspector]:
    made = PdfInspector(TRUSTED, deadline=30.0)
    yield made
    await made.close()


def whole(pdf: bytes) -> FoundSignature:
    return FoundSignature(OURS.kid, True, hashlib.sha256(pdf).hexdigest())


BROKEN = FoundSignature(OURS.kid, False, "")


def test_our_signature_is_found_with_what_it_covers(issued: bytes, blank: bytes) -> None:
    assert inspect(issued, TRUSTED) == Findings("", 1, (whole(issued),), (NUMBER,))
    assert inspect(issued, {OTHER.kid}) == Findings("", 1, (), (NUMBER,))
    assert inspect(blank, TRUSTED) == Findings("", 0, (), (NUMBER,))
    assert inspect(pdfs.signed(blank, OTHER), TRUSTED) == Findings("", 1, (), (NUMBER,))


def test_what_was_added_behind_our_signature_leaves_what_it_covers(issued: bytes) -> None:
    """Another's signature, or a page more: ours still covers the file that was issued, and tells which."""
    for changed, count in ((pdfs.signed(issued, OTHER), 2), (pdfs.appended(issued), 1)):
        found = inspect(changed, TRUSTED)
        assert (found.fault, found.signature_count, found.ours) == ("", count, (whole(issued),))


def test_a_changed_byte_breaks_it(issued: bytes) -> None:
    assert inspect(issued.replace(b"842", b"841", 1), TRUSTED).ours == (BROKEN,)


def test_our_certificate_beside_a_signature_of_another_key_proves_nothing(issued: bytes) -> None:
    """The signature's own bytes replaced: the certificate in it is still ours."""
    start = issued.index(b"/Contents <") + len(b"/Contents <")
    end = start + len(issued[start : issued.index(b">", start)].rstrip(b"0"))
    forged = issued[: end - 120] + b"0" * 100 + issued[end - 20 :]  # within the RSA signature, the last field of all
    assert len(forged) == len(issued)
    assert inspect(forged, TRUSTED).ours == ()


@pytest.mark.parametrize("end", [-1, -20, -200, 4000, 600, 20])
def test_a_file_that_was_cut_off(issued: bytes, end: int) -> None:
    found = inspect(issued[:end], TRUSTED)
    assert all(signature == BROKEN for signature in found.ours)
    assert found.fault in ("", DAMAGED)


def test_what_cannot_be_read(issued: bytes) -> None:
    assert inspect(pdfs.encrypted(issued), TRUSTED).fault == ENCRYPTED
    assert inspect(b"%PDF-1.7 and nothing else", TRUSTED).fault == DAMAGED
    assert inspect(b"", TRUSTED).fault == DAMAGED


async def test_the_keeper_says_what_the_function_says(inspector: PdfInspector, issued: bytes) -> None:
    files = [issued, pdfs.encrypted(issued), issued[:900], b"", issued]
    found = await asyncio.gather(*(inspector.inspect(pdf) for pdf in files))
    assert found == [inspect(pdf, TRUSTED) for pdf in files]


@pytest.mark.slow
async def test_no_file_does_harm(inspector: PdfInspector, issued: bytes) -> None:
    """Each is answered within the child's limits, and the next good file as if nothing had been."""
    loop = asyncio.get_running_loop()
    limited = set()
    for name, bomb in (await asyncio.to_thread(pdfs.bombs)).items():
        started = loop.time()
        found = await inspector.inspect(bomb)
        assert loop.time() - started < CHILD_LIMIT, name
        assert found.ours == (), name
        if found.fault == TOO_COMPLEX:
            limited.add(name)
        assert (await inspector.inspect(issued)).ours == (whole(issued),), name
    assert "2^56 fields" in limited


async def test_the_keeper_knows_nothing_of_ours(inspector: PdfInspector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLERK_SECRET_KEY", "not for everybody")
    await inspector.inspect(b"%PDF-")
    assert inspector._keeper is not None
    environment = await asyncio.to_thread(Path(f"/proc/{inspector._keeper.pid}/environ").read_bytes)
    assert b"not for everybody" not in environment
    assert environment.startswith(b"PYTHONPATH=")


async def test_a_keeper_that_is_killed_is_replaced(inspector: PdfInspector, issued: bytes) -> None:
    await inspector.inspect(issued)
    assert inspector._keeper is not None
    inspector._keeper.kill()
    await inspector._keeper.wait()
    with pytest.raises(Unavailable, match="could not be checked"):
        await inspector.inspect(issued)
    assert (await inspector.inspect(issued)).ours == (whole(issued),)


async def test_whoever_leaves_takes_nobody_s_answer(inspector: PdfInspector, issued: bytes, blank: bytes) -> None:
    await inspector.inspect(blank)
    leaving = asyncio.create_task(inspector.inspect(issued))
    await asyncio.sleep(0)
    staying = asyncio.create_task(inspector.inspect(blank))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).ours == ()
    assert (await inspector.inspect(issued)).ours == (whole(issued),)


async def test_only_so_many_wait(issued: bytes) -> None:
    inspector = PdfInspector(TRUSTED, max_waiting=2, deadline=30.0)
    answers = await asyncio.gather(*(inspector.inspect(issued) for _ in range(5)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert [error.reason for error in refused] == ["OVERLOADED"] * 3
    assert answers.count(inspect(issued, TRUSTED)) == 2
    await inspector.close()
    with pytest.raises(Unavailable):
        await inspector.inspect(issued)


async def test_the_keeper_ends_with_its_inspector_and_its_parent(issued: bytes) -> None:
    inspector = PdfInspector(TRUSTED)
    await inspector.inspect(issued)
    keeper_process = inspector._keeper
    assert keeper_process is not None
    await inspector.close()
    assert keeper_process.returncode is not None
    other = PdfInspector(TRUSTED)
    await other.inspect(issued)
    orphan = other._keeper
    assert orphan is not None
    assert orphan.stdin is not None
    orphan.stdin.close()  # what happens when the parent dies
    assert await asyncio.wait_for(orphan.wait(), 10) == 0
    await other.close()
