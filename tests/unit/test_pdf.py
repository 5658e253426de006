"""The certificate's PDF: what it says, in every script, whatever the texts hold; and its worker processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import unicodedata
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import pypdf
import pytest

from core.certificates import pdf
from core.certificates.pdf import CertificateDocument, FontsMissing, clean, find_fonts, fit, is_right_to_left, render_pdf, wrap
from core.certificates.render import PdfRenderer
from core.errors import DeadlineExceeded, Unavailable
from tests.support.pdf_text import text_of

ROOT = Path(__file__).resolve().parents[2]
NUMBER = "SF-7ZK3M9QW2X8VB4NT6YHRJC5PDEG"
VERIFY = f"https://learn.example.com/certificates/{NUMBER}/verify"
DOCUMENT = CertificateDocument(
    certificate_id=NUMBER,
    student_name="Åsa Ångström",
    course_title="Distributed Systems in Practice",
    instructor_name="Ольга Петрова",
    score_percent=97.5,
    completed_on=date(2026, 11, 20),
    issued_on=date(2026, 11, 22),
    verify_url=VERIFY,
)
HOSTILE = '</p><img src="file:///etc/passwd"><pdf:include src="http://127.0.0.1/x"/>&amp;${name}'
needs_pdftotext = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")


@needs_pdftotext
def test_says_everything() -> None:
    text = text_of(render_pdf(DOCUMENT))
    for said in (
        "Certificate of Completion",
        "Åsa Ångström",
        "Distributed Systems in Practice",
        "Ольга Петрова",
        "97.5%",
        "20 November 2026",
        "Issued 22 November 2026",
        NUMBER,
        VERIFY,
    ):
        assert said in text


@needs_pdftotext
@pytest.mark.parametrize(
    "name",
    [
        "Åsa Ångström",
        "A\u030angstro\u0308m",
        "Ольга",
        "Ελένη",
        "李小龍",
        "山田 太郎",
        "محمد",
        "محمد بن عبد الله",
        "الأستاذ سلام",
        "דוד לוי",
    ],
)
def test_scripts(name: str) -> None:
    data = render_pdf(replace(DOCUMENT, student_name=name, course_title=f"({name})", instructor_name=name))
    assert text_of(data).count(unicodedata.normalize("NFKC", name)) == 3


def test_one_a4_landscape_page_with_metadata() -> None:
    reader = pypdf.PdfReader(BytesIO(render_pdf(DOCUMENT)))
    assert len(reader.pages) == 1
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [842, 595]
    assert reader.metadata is not None
    assert reader.metadata.title == "Certificate of Completion: Distributed Systems in Practice"
    assert reader.metadata.author == "SkillForge"
    assert reader.metadata.subject == f"Certificate {NUMBER} of Åsa Ångström"
    assert NUMBER in (reader.metadata.keywords or "")
    assert reader.metadata.creation_date is not None
    assert reader.metadata.creation_date.date() == date(2026, 11, 22)


def test_same_document_same_bytes() -> None:
    assert render_pdf(DOCUMENT) == render_pdf(pickle.loads(pickle.dumps(DOCUMENT)))
    assert render_pdf(DOCUMENT) != render_pdf(replace(DOCUMENT, student_name="Somebody Else"))


@pytest.mark.parametrize(
    "text", ["W" * 1000, "wide words " * 100, "李" * 500, "محمد " * 100, "W" * 40, "", " ", "\x00", HOSTILE, "🎉" * 50]
)
def test_any_text_stays_on_one_page(text: str) -> None:
    document = replace(DOCUMENT, student_name=text, course_title=text, instructor_name=text)
    assert len(pypdf.PdfReader(BytesIO(render_pdf(document))).pages) == 1


def test_texts_reach_no_file_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pdf.load_typeface()
    render_pdf(DOCUMENT)
    opened: list[str] = []
    watching = True  # an audit hook cannot be taken away again

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a certificate used the network")

    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if watching and event == "open" else None)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    document = replace(DOCUMENT, student_name=HOSTILE, course_title=HOSTILE, instructor_name=HOSTILE, verify_url=HOSTILE)
    data = render_pdf(replace(document, certificate_id=HOSTILE))
    watching = False
    assert not [path for path in opened if "passwd" in path]
    images = [image for page in pypdf.PdfReader(BytesIO(data)).pages for image in page.images]
    assert not images
    if shutil.which("pdftotext"):
        assert 'file:///etc/passwd"' in text_of(data), "it is printed as the text it is"


@pytest.mark.skipif(not (shutil.which("zbarimg") and shutil.which("pdftoppm")), reason="zbar-tools is not installed")
def test_qr_code_opens_the_verify_page(tmp_path: Path) -> None:
    (tmp_path / "c.pdf").write_bytes(render_pdf(DOCUMENT))
    subprocess.run(["pdftoppm", "-png", "-r", "100", "c.pdf", "c"], cwd=tmp_path, timeout=30, check=True)
    (image,) = tmp_path.glob("*.png")
    read = subprocess.run(["zbarimg", "--quiet", "--raw", str(image)], capture_output=True, text=True, timeout=30, check=True)
    assert read.stdout.strip() == VERIFY


def test_missing_fonts_name_their_packages(tmp_path: Path) -> None:
    with pytest.raises(FontsMissing, match=r"DejaVuSerif\.ttf.*fonts-dejavu-core and fonts-droid-fallback"):
        find_fonts(tmp_path)


def test_font_folder_can_be_given(tmp_path: Path) -> None:
    for font, path in find_fonts().items():
        (tmp_path / font.file).symlink_to(path)
    assert {path.parent for path in find_fonts(tmp_path).values()} == {tmp_path}


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  Anna\t\n Lee ", "Anna Lee"),
        ("a\x00b\x1bc\u202ed\ufeff", "abcd"),
        ("A\u030a", "Å"),
        ("\ud800x", "x"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_direction_is_the_first_strong_letter_s() -> None:
    assert is_right_to_left("12 محمد Ali")
    assert not is_right_to_left("Ali محمد")
    assert not is_right_to_left("12")


@pytest.mark.parametrize(
    ("text", "limit", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("a abcdefgh", 3, ["a", "abc", "def", "gh"]),
        ("李小龍 x", 2, ["李小", "龍", "x"]),
        ("", 3, []),
    ],
)
def test_wrap(text: str, limit: float, lines: list[str]) -> None:
    assert wrap(text, limit, lambda char: 1.0) == lines


def test_fit_shrinks_then_breaks_evenly() -> None:
    ladder = ((10, 1), (8, 1), (8, 2))
    assert fit("abcd", 40, ladder, lambda char: 1.0) == (10, ["abcd"])
    assert fit("abcde", 40, ladder, lambda char: 1.0) == (8, ["abcde"])
    assert fit("aa bb cc dd", 80, ladder, lambda char: 1.0) == (8, ["aa bb", "cc dd"])


@pytest.mark.slow
async def test_workers_render_and_survive_a_killed_one() -> None:
    others = set(multiprocessing.active_children())  # of a core that other tests share
    renderer = PdfRenderer(workers=1)
    try:
        renderer.warm()
        assert await renderer.render(DOCUMENT) == render_pdf(DOCUMENT)
        (worker,) = set(multiprocessing.active_children()) - others
        assert worker.pid is not None
        waiting = asyncio.gather(*(renderer.render(DOCUMENT) for _ in range(3)), return_exceptions=True)
        await asyncio.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)
        assert {type(answer) for answer in await waiting} <= {Unavailable, bytes}
        assert await asyncio.wait_for(_until_rendered(renderer), 30) == render_pdf(DOCUMENT)
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
