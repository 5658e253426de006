"""The certificate as a PDF: a pure function from what it says to its bytes.

xhtml2pdf lays out the page (`page/certificate.html`), which is always the same and only names its pieces; the pieces draw
themselves, and texts are shaped by HarfBuzz. This takes tens of milliseconds of CPU, so it runs in worker processes (see
render.py). The libraries are imported inside the functions: the process that only sends documents to the workers never
pays for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from core.certificates import drawings
from core.certificates.colours import read_colour
from core.certificates.drawings import Drawing, Setter
from core.certificates.fitting import printable
from core.certificates.fonts import load_typeface

PAGE = Path(__file__).with_name("page") / "certificate.html"
PLATFORM = "SkillForge"
DEFAULT_ACCENT = "#1f3b6e"
MAX_SECONDS = 20.0  # of one rendering, checked by xhtml2pdf between elements
GAPS = 7  # that the page has
CODE = 96.0  # side of the QR code with its quiet zone, in points
# A full style sheet costs 10 ms a page.
DEFAULT_CSS = "html, body, div, p { display: block; } head, style { display: none; }"
REPORTLAB_DATE = b"(D:20000101000000+00'00')"  # what reportlab writes when told to be deterministic


@dataclass(frozen=True, slots=True)
class Look:
    """What a course's certificates look like. `logo`: a PNG or JPEG, or nothing."""

    accent_color: str = DEFAULT_ACCENT
    logo: bytes = b""
    signature_name: str = ""
    signature_title: str = ""
    subtitle: str = ""


@dataclass(frozen=True, slots=True)
class CertificateDocument:
    """Everything a certificate says, and what it looks like. Texts may hold anything: they are tidied here."""

    certificate_id: str
    student_name: str
    course_title: str
    instructor_name: str
    score_percent: float
    completed_on: date
    issued_on: date
    verify_url: str
    look: Look = Look()
    specimen: bool = False


_pieces: ContextVar[dict[str, Drawing]] = ContextVar("pieces of the page being drawn")


def render_pdf(document: CertificateDocument, font_dir: Path | None = None) -> bytes:
    """The certificate's PDF: one A4 landscape page, not signed; the same document always gives the same bytes.

    Nothing in the document's texts can make it read a file or a network address: none of them becomes markup, and no
    folder and no host is open to xhtml2pdf. Raises FontsMissing; RuntimeError when it could not be drawn.
    """
    from xhtml2pdf.config.resources import ResourceAccessPolicy
    from xhtml2pdf.document import pisaDocument

    _add_tag()
    _pieces.set(_drawn(document, font_dir))
    policy = ResourceAccessPolicy.server(None, allow_remote=False, allowed_hosts=frozenset(), max_render_seconds=MAX_SECONDS)
    out = BytesIO()
    with _deterministic():
        result = pisaDocument(
            PAGE.read_text("utf-8"),
            out,
            default_css=DEFAULT_CSS,
            encoding="utf-8",
            context_meta=_meta(document),
            resource_policy=policy,
        )
    if result.err:
        raise RuntimeError(f"the certificate could not be drawn: {result.err} errors")
    # The same length as what it replaces, so that the file's offsets stay true.
    return out.getvalue().replace(REPORTLAB_DATE, f"(D:{document.issued_on:%Y%m%d}000000+00'00')".encode("ascii"))


def _meta(document: CertificateDocument) -> dict[str, str]:
    number = printable(document.certificate_id)
    return {
        "title": f"Certificate of Completion: {printable(document.course_title)}",
        "author": PLATFORM,
        "subject": f"Certificate {number} of {printable(document.student_name)}",
        "keywords": f"certificate, {number}",
    }


def _drawn(document: CertificateDocument, font_dir: Path | None) -> dict[str, Drawing]:
    """Every piece of the page by its name there."""
    typeface = load_typeface(font_dir)
    setter = Setter(typeface)
    accent = read_colour(document.look.accent_color)
    signer, duty = document.look.signature_name or document.instructor_name, document.look.signature_title or "Instructor"
    issued = f"Issued {_day(document.issued_on)}  \u00b7  verify at {document.verify_url}"
    paper = drawings.specimen(drawings.paper(accent), setter) if document.specimen else drawings.paper(accent)
    return {
        **_column(document, setter),
        "paper": _described(paper),
        "seal": drawings.seal(accent, typeface),
        "date": _signed_off(setter, _day(document.completed_on), drawings.DATE, "Date of completion"),
        "signature": _signed_off(setter, signer, drawings.SIGNED, duty),
        "number": setter.text(document.certificate_id, drawings.NUMBER, 420),
        "verify": setter.text(issued, drawings.FOOT, 424),
        "code": drawings.code(document.verify_url, CODE),
        "hint": setter.text("Scan to verify", drawings.HINT, 110),
    }


def _column(document: CertificateDocument, setter: Setter) -> dict[str, Drawing]:
    look = document.look
    score = f"{document.score_percent:.1f}".removesuffix(".0") + "%"
    details = f"with a final score of {score}"
    if look.signature_name and look.signature_name != document.instructor_name:
        details = f"taught by {printable(document.instructor_name)}, {details}"
    pieces = {
        "logo": drawings.logo(look.logo),
        "brand": setter.text(PLATFORM.upper(), drawings.BRAND),
        "heading": setter.text("Certificate of Completion", drawings.HEADING),
        "certifies": setter.text("This is to certify that", drawings.PHRASE),
        "name": setter.text(document.student_name, drawings.NAME),
        "rule": drawings.rule(),
        "completed": setter.text("has successfully completed the course", drawings.PHRASE),
        "course": setter.text(document.course_title, drawings.title_style(read_colour(look.accent_color))),
        "subtitle": setter.text(look.subtitle, drawings.SUBTITLE) if look.subtitle else drawings.SPACE,
        "details": setter.text(details, drawings.DETAIL),
    }
    return drawings.spaced(pieces, GAPS)


def _signed_off(setter: Setter, text: str, style: drawings.Style, caption: str) -> Drawing:
    return drawings.ruled(setter.text(text, style, drawings.WRITING), setter.text(caption, drawings.CAPTION, drawings.BLOCK))


def _described(piece: Drawing) -> Drawing:
    """The piece, which also tells the document its language and that its title is to be shown."""

    def draw(canvas: Any, width: float) -> None:
        from reportlab.pdfbase.pdfdoc import PDFString

        canvas._doc.Catalog.Lang = PDFString("en")
        canvas.setViewerPreference("DisplayDocTitle", "true")
        piece.draw(canvas, width)

    return Drawing(piece.height, draw)


def _day(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


@cache
def _add_tag() -> None:
    """Teaches xhtml2pdf the element <pdf:drawing name="...">: it finds an element's class by its name in its parser."""
    from reportlab.platypus.flowables import Flowable
    from xhtml2pdf import parser
    from xhtml2pdf.tags import pisaTag

    class Piece(Flowable):  # type: ignore[misc]  # reportlab has no types
        def __init__(self, drawing: Drawing) -> None:
            super().__init__()
            self._drawing = drawing

        def wrap(self, width: float, height: float) -> tuple[float, float]:
            self.width, self.height = width, self._drawing.height
            return self.width, self.height

        def draw(self) -> None:
            self._drawing.draw(self.canv, self.width)

    class DrawingTag(pisaTag):  # type: ignore[misc]  # nor has xhtml2pdf
        def start(self, c: Any) -> None:
            piece = _pieces.get()[self.node.getAttribute("name")]
            if piece.height > 0:
                c.addPara()
                c.addStory(Piece(piece))

    parser.pisaTagPDFDRAWING = DrawingTag


@contextmanager
def _deterministic() -> Iterator[None]:
    """The same document gives the same bytes: no clock and no randomness in the file, and no more of it than needed."""
    from reportlab import rl_config

    before = rl_config.invariant, rl_config.useA85
    rl_config.invariant, rl_config.useA85 = 1, 0
    try:
        yield
    finally:
        rl_config.invariant, rl_config.useA85 = before
