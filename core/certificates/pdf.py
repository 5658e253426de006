"""The certificate as a PDF: a pure function from what it says to its bytes.

Rendering takes tens of milliseconds of CPU, so it runs in worker processes (see render.py). xhtml2pdf is imported inside
the functions: the process that only sends documents to the workers never pays for it.
"""

import base64
import html
import string
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("templates")
STANDARD_FONT_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local/share/fonts",
    Path.home() / "Library/Fonts",
    Path("/Library/Fonts"),
    Path("/opt/homebrew/share/fonts"),
)
MAX_TEXT = 300  # characters of one name or title; the rest is cut with an ellipsis
MAX_SECONDS = 20.0  # of one rendering, checked by xhtml2pdf between elements
DEFAULT_CSS = "html, body, div, p { display: block; } head, style { display: none; }"  # a full sheet costs 10 ms a page
LINE = 1.3  # line height in font sizes
SPARE_HEIGHT = 180.0  # points of the template's main frame left for the name, the title and the five gaps around them
REPORTLAB_DATE = b"(D:20000101000000+00'00')"  # what reportlab writes when told to be deterministic


@dataclass(frozen=True, slots=True)
class CertificateDocument:
    """Everything a certificate says. Texts may hold anything: they are cleaned and escaped here."""

    certificate_id: str
    student_name: str
    course_title: str
    instructor_name: str
    score_percent: float
    completed_on: date
    issued_on: date
    verify_url: str


class FontsMissing(RuntimeError):
    """Fonts the certificate needs are not on this machine; the text says how to get them."""


@dataclass(frozen=True, slots=True)
class Font:
    """One font file and the CSS family and weight it is embedded as."""

    family: str
    bold: bool
    file: str
    required: bool = True

    @property
    def name(self) -> str:
        """The name xhtml2pdf gives this face in reportlab's registry."""
        return f"{self.family}_{int(self.bold)}0"


FONTS = (
    Font("certserif", False, "DejaVuSerif.ttf"),
    Font("certserif", True, "DejaVuSerif-Bold.ttf"),
    Font("certsans", False, "DejaVuSans.ttf"),  # Arabic and Hebrew
    Font("certsans", True, "DejaVuSans-Bold.ttf"),
    Font("certcjk", False, "DroidSansFallbackFull.ttf"),  # Chinese and Japanese
    Font("certhangul", False, "NanumGothic.ttf", required=False),  # Korean, from fonts-nanum
)
SERIF = ("certserif", "certsans", "certcjk", "certhangul")
SANS = ("certsans", "certcjk", "certhangul")

# (font size in points, lines allowed), tried from the top: large on one line, then smaller, then more lines.
Ladder = tuple[tuple[float, int], ...]
NAME_LADDER: Ladder = (*((s, 1) for s in range(44, 25, -2)), *((s, 2) for s in range(26, 13, -1)), (11, 3), (8, 3), (5, 4))
TITLE_LADDER: Ladder = (*((s, 1) for s in range(26, 19, -1)), *((s, 2) for s in range(22, 12, -1)), (11, 3), (8, 3), (5, 4))
PERSON_LADDER: Ladder = (*((s, 1) for s in range(14, 9, -1)), (10, 2), (8, 3), (6, 3), (4, 4))


class Typeface:
    """The registered fonts: their CSS, the folders they may be read from, and how wide a text is."""

    def __init__(self, paths: dict[Font, Path]) -> None:
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont

        self.folders = tuple(sorted({path.parent.resolve() for path in paths.values()}))
        self.css = "\n".join(_font_face(font, path) for font, path in paths.items())
        self._faces: dict[str, Any] = {}
        for font, path in paths.items():
            pdfmetrics.registerFont(TTFont(font.name, str(path)))
            self._faces[font.name] = pdfmetrics.getFont(font.name).face

    def _face(self, char: str, families: Sequence[str], bold: bool) -> Any:
        for family in families:
            face = self._faces.get(f"{family}_{int(bold)}0") or self._faces.get(f"{family}_00")
            if face is not None and ord(char) in face.charToGlyph:
                return face
        return None

    def width(self, char: str, families: Sequence[str], bold: bool) -> float:
        """The advance of a character at size 1, in the first of the families that has it; 1 when none has."""
        face = self._face(char, families, bold)
        return 1.0 if face is None else float(face.charWidths.get(ord(char), face.defaultWidth)) / 1000

    def lacks(self, char: str) -> bool:
        """Whether no font has the character."""
        return self._face(char, SERIF, False) is None


def _font_face(font: Font, path: Path) -> str:
    weight = "bold" if font.bold else "normal"
    return f'@font-face {{ font-family: {font.family}; src: url("{path}"); font-weight: {weight}; }}'


def find_fonts(font_dir: Path | None = None) -> dict[Font, Path]:
    """Where the fonts are, in the given folder or the system's. Raises FontsMissing, naming files and packages."""
    folders = (font_dir,) if font_dir is not None else STANDARD_FONT_FOLDERS
    wanted = {font.file: font for font in FONTS}
    found: dict[Font, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.ttf")) if folder.is_dir() else ():
            if (font := wanted.get(path.name)) and font not in found:
                found[font] = path
    missing = [font.file for font in FONTS if font.required and font not in found]
    if missing:
        raise FontsMissing(
            f"certificates need the fonts {', '.join(missing)}, not found under {', '.join(map(str, folders))}: "
            "install the packages fonts-dejavu-core and fonts-droid-fallback, or name a folder that holds them"
        )
    return {font: found[font] for font in FONTS if font in found}


@cache
def load_typeface(font_dir: Path | None = None) -> Typeface:
    """Finds, reads and registers the fonts, once a process (about 0.1 s). Raises FontsMissing."""
    return Typeface(find_fonts(font_dir))


@cache
def _template() -> string.Template:
    return string.Template((TEMPLATES / "certificate.html").read_text("utf-8"))


@cache
def _join_arabic() -> Callable[[str], str]:
    """Writes Arabic letters in their joined forms, with lam-alef but without the Allah ligature, which DejaVu lacks.

    xhtml2pdf joins letters by itself, but gives a whole text up when the first font of the list lacks one of its ligatures.
    """
    from arabic_reshaper import ArabicReshaper  # type: ignore[import-untyped]

    reshape: Callable[[str], str] = ArabicReshaper(configuration={"ARABIC LIGATURE ALLAH": False}).reshape
    return reshape


@cache
def _art() -> str:
    return "data:image/svg+xml;base64," + base64.b64encode((TEMPLATES / "frame.svg").read_bytes()).decode("ascii")


def clean(text: str, lacks: Callable[[str], bool] = lambda char: False) -> str:
    """One line of printable text: composed, without control and direction characters or symbols that no font can draw.

    Letters no font can draw stay, as boxes: a box tells that a font is missing, a gap would hide part of a name.
    """
    kept: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if char.isspace():
            kept.append(" ")
        elif category in ("Cc", "Cs", "Co", "Cn") or (category == "Cf" and char not in "\u200c\u200d"):
            continue
        elif not (category in ("So", "Sk", "Mn", "Me") and lacks(char)):
            kept.append(char)
    line = " ".join("".join(kept).split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1].rstrip() + "…"


def is_right_to_left(text: str) -> bool:
    """The paragraph direction by its first strong character (UAX #9, rules P2 and P3)."""
    strong = (unicodedata.bidirectional(char) for char in text)
    return next((kind for kind in strong if kind in ("L", "R", "AL")), "L") != "L"


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The parts a line may be broken between, and whether a space stands before each: words, and CJK characters singly."""
    for word in text.split(" "):
        start, spaced = 0, True
        for index, char in enumerate(word):
            if unicodedata.east_asian_width(char) in ("W", "F") and not unicodedata.combining(char):
                if start < index:
                    yield word[start:index], spaced
                    spaced = False
                yield char, spaced
                start, spaced = index + 1, False
        if start < len(word):
            yield word[start:], spaced


def wrap(text: str, limit: float, width: Callable[[str], float]) -> list[str]:
    """Breaks a text into lines no wider than the limit; a word wider than a line is cut between characters."""
    lines: list[str] = []
    line, used = "", 0.0
    for piece, spaced in _pieces(text):
        size, gap = sum(map(width, piece)), width(" ") if spaced and line else 0.0
        if used + gap + size <= limit:
            line, used = line + (" " if gap else "") + piece, used + gap + size
            continue
        if line:
            lines.append(line)
        line, used = "", 0.0
        for char in piece:
            if used + width(char) > limit and line and not unicodedata.combining(char):
                lines.append(line)
                line, used = "", 0.0
            line, used = line + char, used + width(char)
    return [*lines, line] if line else lines


def fit(text: str, box: float, ladder: Ladder, width: Callable[[str], float]) -> tuple[float, list[str]]:
    """The largest size on the ladder at which the text fits the box's width (in points), and its lines, evened out."""
    size, lines = ladder[0][0], [text]
    for size, allowed in ladder:
        lines = wrap(text, box / size, width)
        if len(lines) <= allowed:
            break
    total = sum(map(width, text))
    for slack in (1.0, 1.1, 1.2, 1.35, 1.5):
        even = wrap(text, min(box / size, slack * total / max(1, len(lines))), width)
        if len(even) <= len(lines):
            return size, even
    return size, lines


def _paragraph(css: str, text: str, box: float, ladder: Ladder, face: Typeface, bold: bool = False) -> tuple[str, float]:
    """A text fitted to a width, as HTML, and its height in points."""
    text = _join_arabic()(text)
    size, lines = fit(text, box, ladder, cache(lambda char: face.width(char, SERIF, bold)))
    direction = "rtl" if is_right_to_left(text) else "ltr"
    style = f"font-size: {size:g}pt; line-height: {size * LINE:g}pt; text-align: center"  # rtl alone would align it right
    body = "<br/>".join(html.escape(line) for line in lines)
    return f'<p class="{css}" dir="{direction}" style="{style}">{body}</p>', len(lines) * size * LINE


def _day(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _page(document: CertificateDocument, face: Typeface) -> str:
    def text(value: str) -> str:
        return clean(value, face.lacks)

    name, name_height = _paragraph("name", text(document.student_name), 660, NAME_LADDER, face, bold=True)
    course, course_height = _paragraph("course", text(document.course_title), 640, TITLE_LADDER, face)
    return _template().substitute(
        font_faces=face.css,
        serif=", ".join(SERIF),
        sans=", ".join(SANS),
        art=_art(),
        gap=f"{max(2.0, min(12.0, (SPARE_HEIGHT - name_height - course_height) / 5)):.1f}pt",
        name=name,
        course=course,
        score=f"{document.score_percent:.1f}".removesuffix(".0") + "%",
        completed=_paragraph("person", _day(document.completed_on), 196, PERSON_LADDER, face)[0],
        instructor=_paragraph("person", text(document.instructor_name), 196, PERSON_LADDER, face)[0],
        certificate_id=html.escape(clean(document.certificate_id)),
        issued=_day(document.issued_on),
        verify_url=html.escape(clean(document.verify_url)),
        verify_text=html.escape(clean(document.verify_url)),
    )


@contextmanager
def _deterministic() -> Iterator[None]:
    """The same document gives the same bytes: no clock and no randomness in the file."""
    from reportlab import rl_config

    before, rl_config.invariant = rl_config.invariant, 1
    try:
        yield
    finally:
        rl_config.invariant = before


def render_pdf(document: CertificateDocument, font_dir: Path | None = None) -> bytes:
    """The certificate's PDF: one A4 landscape page; the same document always gives the same bytes.

    Nothing in the document's texts can make it read a file or a network address: they are escaped, and only the font
    folders are open. Raises FontsMissing; RuntimeError when it could not be drawn.
    """
    from xhtml2pdf.config.resources import ResourceAccessPolicy
    from xhtml2pdf.document import pisaDocument

    face = load_typeface(font_dir)
    policy = ResourceAccessPolicy.server(
        None, extra_roots=face.folders, allow_remote=False, allowed_hosts=frozenset(), max_render_seconds=MAX_SECONDS
    )
    meta = {
        "title": f"Certificate of Completion: {clean(document.course_title)}",
        "author": "SkillForge",
        "subject": f"Certificate {clean(document.certificate_id)} of {clean(document.student_name)}",
        "keywords": f"certificate,{clean(document.certificate_id)}",
    }
    out = BytesIO()
    with _deterministic():
        result = pisaDocument(
            _page(document, face), out, default_css=DEFAULT_CSS, encoding="utf-8", context_meta=meta, resource_policy=policy
        )
    if result.err:
        raise RuntimeError(f"the certificate could not be drawn: {result.err} errors")
    # The same length as what it replaces, so that the file's offsets stay true.
    return out.getvalue().replace(REPORTLAB_DATE, f"(D:{document.issued_on:%Y%m%d}000000+00'00')".encode("ascii"))
