"""The certificate's PDF: what it says, in every script, whatever the texts hold."""

from __future__ import annotations

import pickle
import shutil
import socket
import sys
import unicodedata
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import pypdf
import pytest

from core.certificates.fonts import FontsMissing, find_fonts, load_typeface
from core.certificates.pdf import Look, render_pdf
from tests.support.certificates import (
    DOCUMENT,
    NUMBER,
    VERIFY,
    image,
    needs_pdftotext,
    needs_scanner,
    picture,
    scanned,
)
from tests.support.pdf_text import text_of

HOSTILE = '</p><img src="file:///etc/passwd"><pdf:include src="http://127.0.0.1/x"/><style>p{color:red}</style>&amp;${name}'
HAS_KOREAN = "NanumMyeongjo.ttf" in find_fonts()
HAS_DEVANAGARI = "Lohit-Devanagari.ttf" in find_fonts()


@needs_pdftotext
def test_says_everything() -> None:
    text = text_of(render_pdf(DOCUMENT))
    for said in (
        "SKILLFORGE",
        "Certificate of Completion",
        "Åsa Ångström",
        "Distributed Systems in Practice",
        "Ольга Петрова",
        "Instructor",
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
        pytest.param("Åsa Ångström", id="latin"),
        pytest.param("A\u030angstro\u0308m q\u0308", id="latin-combining"),
        pytest.param("Nguyễn Thị Hồng", id="vietnamese"),
        pytest.param("Ольга Їжакевич", id="cyrillic"),
        pytest.param("Ελένη Παπαδοπούλου", id="greek"),
        pytest.param("李小龍", id="chinese"),
        pytest.param("山田 太郎 やまだ タロウ", id="japanese"),
        pytest.param("김민준", id="korean", marks=pytest.mark.skipif(not HAS_KOREAN, reason="fonts-nanum is not installed")),
        pytest.param("محمد بن عبد الله", id="arabic"),
        pytest.param("الأستاذ سلام لؤي", id="arabic-ligatures"),
        pytest.param("مُحَمَّد", id="arabic-vowels"),
        pytest.param("علی\u200cرضا", id="persian-joiner"),
        pytest.param("דוד לוי", id="hebrew"),
        pytest.param("דָּוִד בֶּן־גּוּרִיּוֹן", id="hebrew-points"),
        *(
            pytest.param(
                name, id=f"devanagari-{name}", marks=pytest.mark.skipif(not HAS_DEVANAGARI, reason="no fonts-lohit-deva")
            )
            for name in ("क्षितिज श्रीवास्तव", "किरण बेदी", "ज्ञानेन्द्र कर्ण")
        ),
    ],
)
def test_what_is_copied_is_what_was_typed(name: str) -> None:
    data = render_pdf(replace(DOCUMENT, student_name=name, course_title=name, instructor_name=name))
    assert text_of(data).count(unicodedata.normalize("NFKC", name)) == 3


@needs_pdftotext
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Anna \U0001f389\U0001f469\u200d\U0001f4bb Lee\u2764\ufe0f", "Anna Lee"),
        ("\x00An\x1bna\u202e Lee\ufeff", "Anna Lee"),
        ("\U0001f389", "\u2014"),
        ("", "\u2014"),
        ("Zoe" + "\u0301" * 200, "Zo\u00e9"),
    ],
)
def test_nothing_is_a_box(name: str, shown: str) -> None:
    data = render_pdf(replace(DOCUMENT, student_name=name))
    assert f" {shown}" in text_of(data)
    assert not drawn_boxes(data)


def drawn_boxes(data: bytes) -> int:
    """How often the glyph is drawn that fonts have for what they lack."""
    return pypdf.PdfReader(BytesIO(data)).pages[0].get_contents().get_data().count(b"<0000>")  # type: ignore[union-attr]


def test_letters_without_a_font_are_marked() -> None:
    """Linear B: the printers' sign stands there, and what is copied is the letter."""
    data = render_pdf(replace(DOCUMENT, student_name="Anna \U00010080"))
    assert not drawn_boxes(data)
    if shutil.which("pdftotext"):
        assert "Anna \U00010080" in text_of(data)


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
    assert str(reader.root_object["/Lang"]) == "en"
    assert reader.root_object["/ViewerPreferences"]["/DisplayDocTitle"]  # type: ignore[index]


def test_every_font_used_is_embedded() -> None:
    page = pypdf.PdfReader(BytesIO(render_pdf(replace(DOCUMENT, student_name="李小龍 محمد")))).pages[0]
    fonts = [item.get_object() for item in page["/Resources"]["/Font"].values()]  # type: ignore[index]
    composite = [font for font in fonts if font["/Subtype"] == "/Type0"]
    assert len(composite) >= 5
    for font in composite:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert {"/FontFile2", "/FontFile3"} & set(descriptor)
        assert "/ToUnicode" in font


def test_same_document_same_bytes() -> None:
    assert render_pdf(DOCUMENT) == render_pdf(pickle.loads(pickle.dumps(DOCUMENT)))
    assert render_pdf(DOCUMENT) != render_pdf(replace(DOCUMENT, student_name="Somebody Else"))


@pytest.mark.parametrize(
    "text",
    [
        "W" * 1000, "wide words " * 100, "李" * 500, "محمد " * 100, "क्षि" * 125, "W" * 40, " ", "\x00", HOSTILE,
        "\U0001f389" * 50, "\u0301" * 50,
    ],
)  # fmt: skip
def test_any_text_stays_on_one_page(text: str) -> None:
    look = Look(signature_name=text, signature_title=text, subtitle=text, logo=image(size=(50, 400)))
    document = replace(DOCUMENT, student_name=text, course_title=text, instructor_name=text, look=look)
    assert len(pypdf.PdfReader(BytesIO(render_pdf(document))).pages) == 1


def test_texts_reach_no_file_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    load_typeface()
    render_pdf(DOCUMENT)
    opened: list[str] = []
    watching = True  # an audit hook cannot be taken away again

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a certificate used the network")

    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if watching and event == "open" else None)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    look = Look(signature_name=HOSTILE, signature_title=HOSTILE, subtitle=HOSTILE)
    document = replace(DOCUMENT, student_name=HOSTILE, course_title=HOSTILE, instructor_name=HOSTILE, look=look)
    data = render_pdf(replace(document, certificate_id=HOSTILE, verify_url=VERIFY + HOSTILE))
    watching = False
    assert not [path for path in opened if "passwd" in path]
    page = pypdf.PdfReader(BytesIO(data)).pages[0]
    assert not list(page.images)
    if shutil.which("pdftotext"):
        said = text_of(data)
        assert 'file:///etc/passwd"' in said, "it is printed as the text it is"
        assert "<style>p{color:red}</style>&amp;${name}" in said.replace("\n", "")


def test_the_page_itself_may_ask_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If markup came in after all, xhtml2pdf would refuse files and addresses."""
    secret, page = tmp_path / "secret.png", tmp_path / "page.html"
    secret.write_bytes(image(size=(7, 7)))
    html = (Path(__file__).parents[3] / "core/certificates/page/certificate.html").read_text()
    tags = f'<img src="file://{secret}"><img src="{secret}"><img src="http://127.0.0.1:9/x.png">'
    page.write_text(html.replace("</body>", f"{tags}</body>"))
    monkeypatch.setattr("core.certificates.pdf.PAGE", page)
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *args: asked.append(args))
    assert not list(pypdf.PdfReader(BytesIO(render_pdf(DOCUMENT))).pages[0].images)
    assert not asked


@needs_scanner
@pytest.mark.parametrize(
    "url", [VERIFY, "https://" + "a-rather-long-host-name." * 7 + f"example.com/certificates/{NUMBER}/verify"]
)
def test_qr_code_opens_the_verify_page(tmp_path: Path, url: str) -> None:
    assert scanned(picture(render_pdf(replace(DOCUMENT, verify_url=url)), tmp_path)) == url


@needs_pdftotext
def test_a_course_has_its_own_look() -> None:
    look = Look("#7a1f2b", image(mode="RGBA"), "Dr. Jane Doe", "Dean of Engineering", "Autumn term")
    data = render_pdf(replace(DOCUMENT, look=look))
    text = text_of(data)
    for said in ("Dr. Jane Doe", "Dean of Engineering", "Autumn term", "taught by Ольга Петрова, with a final score of 97.5%"):
        assert said in text
    page = pypdf.PdfReader(BytesIO(data)).pages[0]
    assert len(list(page.images)) == 1
    assert b"0.478 0.122 0.169 rg" in page.get_contents().get_data()  # type: ignore[union-attr]


@needs_pdftotext
def test_a_specimen_says_so() -> None:
    assert "SPECIMEN" not in text_of(render_pdf(DOCUMENT)).replace(" ", "")
    page = pypdf.PdfReader(BytesIO(render_pdf(replace(DOCUMENT, specimen=True)))).pages[0]
    assert "SPECIMEN" in page.extract_text().replace(" ", "")


def test_missing_fonts_name_their_packages(tmp_path: Path) -> None:
    with pytest.raises(FontsMissing, match=r"DejaVuSerif\.ttf.*fonts-dejavu-core and fonts-droid-fallback"):
        find_fonts(tmp_path)


def test_the_required_fonts_alone_do(tmp_path: Path) -> None:
    """In a folder of their own, as FONT_FOLDER names it: no fine fonts, and no Korean."""
    for file, path in find_fonts().items():
        if file.startswith(("DejaVu", "Droid")):
            (tmp_path / file).symlink_to(path)
    assert {path.parent for path in find_fonts(tmp_path).values()} == {tmp_path}
    data = render_pdf(replace(DOCUMENT, student_name="Åsa 李 김"), tmp_path)
    assert not drawn_boxes(data)
