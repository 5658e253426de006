"""What stands on the certificate, piece by piece: each piece knows its height and draws itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import groupby
from math import pi
from typing import Any, NamedTuple

from core.certificates import art
from core.certificates.colours import GOLD, GREY, INK, PAPER, Colour, mixed, read_colour, readable
from core.certificates.embedding import draw_line
from core.certificates.fitting import Ladder, fit, printable
from core.certificates.fonts import Typeface
from core.certificates.shaping import Cluster, is_right_to_left, shape

COLUMN = 680.0  # width of the main column's texts, in points
COLUMN_HEIGHT = 342.0  # of the main column, as the page says too
BLOCK, WRITING = 186.0, 174.0  # widths of the lines signed on and dated, and of what stands on them
LOGO_WIDTH, LOGO_HEIGHT = 220.0, 44.0  # at most
SIGNATURE_HEIGHT = 46.0  # above the line that is signed on
MIN_GAP, MAX_GAP = 1.5, 17.0

NAME_LADDER: Ladder = (
    *((s, 1) for s in range(48, 27, -2)),
    *((s, 2) for s in range(28, 14, -1)),
    (14, 3),
    (12, 4),
    (9, 5),
    (7, 7),
)
TITLE_LADDER: Ladder = (*((s, 1) for s in range(26, 18, -1)), *((s, 2) for s in range(20, 12, -1)), (12, 3), (9, 4), (7, 6))
SUBTITLE_LADDER: Ladder = (*((s, 1) for s in (13, 12, 11, 10)), (10, 2), (8, 3), (5, 5))
DETAIL_LADDER: Ladder = (*((s, 1) for s in (12, 11, 10, 9)), (8, 2), (5, 4))
SIGNED_LADDER: Ladder = (*((s, 1) for s in range(22, 12, -1)), *((s, 2) for s in range(16, 9, -1)), (10, 3), (7, 5), (5, 7))
FOOT_LADDER: Ladder = (*((s, 1) for s in (10, 9, 8, 7, 6)), (6, 2), (4, 3))


class Drawing(NamedTuple):
    """A piece of the page. `draw` gets the canvas, its origin at the piece's lower left corner, and the piece's width."""

    height: float
    draw: Callable[[Any, float], None]


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is set. `tracking`: space added after each letter, `leading`: from line to line, both in ems."""

    family: str
    ladder: Ladder
    colour: Colour
    tracking: float = 0.0
    leading: float = 1.2


HEADING = Style("roman", ((41, 1),), INK, tracking=0.012)
BRAND = Style("bold", ((10.5, 1),), GOLD, tracking=0.38, leading=1.3)
PHRASE = Style("italic", ((14, 1),), GREY)
NAME = Style("roman", NAME_LADDER, INK)
SUBTITLE = Style("italic", SUBTITLE_LADDER, GREY)
DETAIL = Style("italic", DETAIL_LADDER, GREY)
DATE = Style("roman", ((15, 1),), INK)
SIGNED = Style("hand", SIGNED_LADDER, INK, leading=1.15)
CAPTION = Style("italic", DETAIL_LADDER[2:], GREY, leading=1.25)
NUMBER = Style("roman", FOOT_LADDER, INK, tracking=0.06, leading=1.4)
FOOT = Style("italic", FOOT_LADDER[1:], GREY, leading=1.4)
HINT = Style("italic", ((8.5, 1),), GREY, leading=1.4)
SPECIMEN = Style("bold", ((104, 1),), mixed(read_colour("#c0392b"), PAPER, 0.82), tracking=0.1)
SPACE = Drawing(0.0, lambda canvas, width: None)


def title_style(accent: Colour) -> Style:
    """The course's title, in the course's colour."""
    return Style("bold", TITLE_LADDER, readable(accent))


class Setter:
    """Sets texts in a typeface."""

    def __init__(self, typeface: Typeface) -> None:
        self._typeface = typeface

    def line(self, text: str, style: Style) -> list[Cluster]:
        """One line, shaped."""
        return shape(text, self._typeface, style.family, right_to_left=is_right_to_left(text))

    def width(self, text: str, style: Style) -> float:
        """How wide a line is at size 1."""
        clusters = self.line(text, style)
        return sum(cluster.width for cluster in clusters) + style.tracking * len(clusters)

    def text(self, text: str, style: Style, box: float = COLUMN) -> Drawing:
        """A text of any length and content in a box's width: shrunk, broken into lines, centred."""
        text = printable(text, lambda char: not self._typeface.draws(char))
        size, lines = fit(text, box, style.ladder, lambda part: self.width(part, style))
        rtl = is_right_to_left(text)
        shaped = [shape(line, self._typeface, style.family, right_to_left=rtl) for line in lines]
        widths = [sum(cluster.width for cluster in line) + style.tracking * (len(line) - 1) for line in shaped]
        size = min(size, box / max((*widths, 0.01)))  # words next to each other may be wider than each alone
        step = size * style.leading

        def draw(canvas: Any, width: float) -> None:
            for index, (line, wide) in enumerate(zip(shaped, widths, strict=True)):
                base = step * (len(shaped) - index) - step / 2 - size * 0.32
                draw_line(canvas, line, (width - wide * size) / 2, base, size, style.colour, style.tracking)

        return Drawing(step * len(shaped), draw)


def ruled(above: Drawing, below: Drawing) -> Drawing:
    """A text on a line, and what the line is for under it."""

    def draw(canvas: Any, width: float) -> None:
        canvas.saveState()
        canvas.translate(0, below.height + 4)
        art.draw(canvas, art.stroke(INK, 0.6, [f"0 0 m {width:.1f} 0 l"]))
        canvas.translate(0, 3)
        above.draw(canvas, width)
        canvas.restoreState()
        below.draw(canvas, width)

    return Drawing(SIGNATURE_HEIGHT + 7 + below.height, draw)


def paper(accent: Colour) -> Drawing:
    """The page's ground and frame."""

    return Drawing(art.HEIGHT, lambda canvas, width: art.draw(canvas, art.frame(accent)))


def specimen(ground: Drawing, setter: Setter) -> Drawing:
    """The ground with the word for what is not meant to be used."""
    word = setter.text("SPECIMEN", SPECIMEN, 900)

    def draw(canvas: Any, width: float) -> None:
        ground.draw(canvas, width)
        canvas.saveState()
        canvas.translate(width / 2, art.HEIGHT / 2)
        canvas.rotate(28)
        canvas.translate(-width / 2, -word.height / 2)
        word.draw(canvas, width)
        canvas.restoreState()

    return Drawing(ground.height, draw)


@cache
def _seal_letters(typeface: Typeface) -> str:
    setter = Setter(typeface)
    above = art.lettering(setter.line("CERTIFICATE OF COMPLETION", BRAND), 33.0, 6.2, 0.12, pi / 2, False)
    below = art.lettering(setter.line("SKILLFORGE", BRAND), 37.4, 6.2, 0.16, -pi / 2, True)
    return f"q {' '.join(f'{part:.3f}' for part in INK)} rg\n{above}\n{below}\nQ"


def seal(accent: Colour, typeface: Typeface) -> Drawing:
    """The seal with its ribbons."""

    def draw(canvas: Any, width: float) -> None:
        canvas.saveState()
        canvas.translate(width / 2, 76)
        art.draw(canvas, art.seal(accent))
        art.draw(canvas, _seal_letters(typeface))
        canvas.restoreState()

    return Drawing(123.0, draw)


def code(text: str, side: float) -> Drawing:
    """A QR code (ISO/IEC 18004) that still reads when up to 15 % of it are covered, and its quiet zone of 4 modules."""
    from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

    encoder = QRCode(None, QRErrorCorrectLevel.M)
    encoder.addData(text)
    encoder.make()
    rows = encoder.modules
    module = side / (len(rows) + 8)
    parts = []
    for number, row in enumerate(rows):
        start = 0
        for dark, group in groupby(row):
            length = len(list(group))
            if dark:
                x, y = (start + 4) * module, side - (number + 5) * module
                parts.append(f"{x:.3f} {y:.3f} {length * module:.3f} {module:.3f} re")
            start += length
    operators = f"q\n{art.fill(INK, chr(10).join(parts))}\nQ"
    return Drawing(side, lambda canvas, width: art.draw(canvas, operators))


def rule() -> Drawing:
    """The ornament under the name."""

    def draw(canvas: Any, width: float) -> None:
        canvas.saveState()
        canvas.translate((width - 300) / 2, 4)
        art.draw(canvas, art.rule(300))
        canvas.restoreState()

    return Drawing(9.0, draw)


def logo(data: bytes) -> Drawing:
    """The course's logo, as large as its place allows; nothing when there is none."""
    if not data:
        return SPACE
    from reportlab.lib.utils import ImageReader

    image = ImageReader(BytesIO(data))
    pixels_wide, pixels_high = image.getSize()
    scale = min(LOGO_WIDTH / pixels_wide, LOGO_HEIGHT / pixels_high)
    wide, high = pixels_wide * scale, pixels_high * scale

    def draw(canvas: Any, width: float) -> None:
        canvas.drawImage(image, (width - wide) / 2, 7, wide, high, mask="auto")

    return Drawing(high + 7, draw)


def spaced(pieces: dict[str, Drawing], gaps: int) -> dict[str, Drawing]:
    """The pieces of the main column, with the gap between them and the space before the first that fill the column."""
    left = COLUMN_HEIGHT - sum(piece.height for piece in pieces.values())
    gap = max(MIN_GAP, min(MAX_GAP, left / gaps))
    top = max(0.0, (left - gap * gaps) / 2)
    return {**pieces, "gap": SPACE._replace(height=gap), "top": SPACE._replace(height=top)}
