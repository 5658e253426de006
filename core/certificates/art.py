"""The certificate's drawings as PDF operators: frame, guilloche, seal, rule. Everything follows from formulas.

Guilloches are sheaves of the same wave at shifted phases, as engraving lathes draw them on banknotes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import cos, hypot, pi, sin
from typing import Any

from core.certificates.colours import GOLD, INK, PALE_GOLD, PAPER, Colour, mixed, readable
from core.certificates.shaping import Cluster

WIDTH, HEIGHT = 841.89, 595.28  # A4 landscape, in points
BAND, BAND_MIDDLE = 17.0, 37.5  # of the frame's guilloche: its width, and how far its middle is from the edge
CORNER = 17.5  # radius of the corners' rosettes
SEAL = 47.0  # radius of the seal
CIRCLE = 0.5523  # how far a quarter circle's Bézier handles reach, in radii

Point = tuple[float, float]
# A point of a curve at a parameter.
Curve = Callable[[float], Point]


def path(curve: Curve, start: float, end: float, pieces: int) -> str:
    """The curve as Bézier pieces, from points and slopes (Hermite form)."""
    step = (end - start) / pieces
    x, y = curve(start)
    parts = [f"{x:.2f} {y:.2f} m"]
    for index in range(pieces):
        a, b = start + index * step, start + (index + 1) * step
        (x0, y0), (x3, y3) = curve(a), curve(b)
        (dx0, dy0), (dx3, dy3) = _slope(curve, a, step), _slope(curve, b, step)
        parts.append(f"{x0 + dx0:.1f} {y0 + dy0:.1f} {x3 - dx3:.1f} {y3 - dy3:.1f} {x3:.1f} {y3:.1f} c")
    return "\n".join(parts)


def _slope(curve: Curve, at: float, step: float) -> Point:
    tiny = step * 1e-3
    (x0, y0), (x1, y1) = curve(at - tiny), curve(at + tiny)
    return (x1 - x0) / tiny / 6 * step, (y1 - y0) / tiny / 6 * step


def stroke(colour: Colour, width: float, paths: Iterable[str]) -> str:
    """Draws lines."""
    return f"{_rgb(colour)} RG {width:g} w\n" + "\n".join(f"{item} S" for item in paths)


def fill(colour: Colour, item: str) -> str:
    """Fills a closed path."""
    return f"{_rgb(colour)} rg\n{item} f"


def rectangle(inset: float) -> str:
    """The page's edge, moved inwards."""
    return f"{inset:g} {inset:g} {WIDTH - 2 * inset:.2f} {HEIGHT - 2 * inset:.2f} re"


def circle(x: float, y: float, radius: float) -> str:
    """A circle of four Bézier pieces."""
    k = radius * CIRCLE
    return (
        f"{x + radius:.2f} {y:.2f} m "
        f"{x + radius:.2f} {y + k:.2f} {x + k:.2f} {y + radius:.2f} {x:.2f} {y + radius:.2f} c "
        f"{x - k:.2f} {y + radius:.2f} {x - radius:.2f} {y + k:.2f} {x - radius:.2f} {y:.2f} c "
        f"{x - radius:.2f} {y - k:.2f} {x - k:.2f} {y - radius:.2f} {x:.2f} {y - radius:.2f} c "
        f"{x + k:.2f} {y - radius:.2f} {x + radius:.2f} {y - k:.2f} {x + radius:.2f} {y:.2f} c h"
    )


def polygon(points: Sequence[Point]) -> str:
    """A closed path of straight lines."""
    first, *rest = points
    return f"{first[0]:.2f} {first[1]:.2f} m " + " ".join(f"{x:.2f} {y:.2f} l" for x, y in rest) + " h"


def rosette(x: float, y: float, inner: float, outer: float, waves: int, strands: int) -> list[str]:
    """A ring of `strands` circles that wave `waves` times between two radii, evenly shifted."""
    middle, swing = (inner + outer) / 2, (outer - inner) / 2

    def strand(shift: float) -> Curve:
        def curve(angle: float) -> Point:
            radius = middle + swing * cos(waves * angle + shift)
            return x + radius * cos(angle), y + radius * sin(angle)

        return curve

    return [path(strand(2 * pi * index / strands), 0, 2 * pi, waves * 4) for index in range(strands)]


def _band(start: Point, end: Point, swing: float, waves: int, strands: int) -> list[str]:
    """A sheaf of waves along a line; every strand begins and ends on it."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)

    def strand(shift: float) -> Curve:
        def curve(at: float) -> Point:
            off = swing * sin(2 * pi * waves * at / length + shift)
            return start[0] + along[0] * at - along[1] * off, start[1] + along[1] * at + along[0] * off

        return curve

    return [path(strand(pi * index / strands * 2), 0, length, waves * 4) for index in range(strands)]


def _sides() -> list[tuple[Point, Point]]:
    low, right, top = BAND_MIDDLE, WIDTH - BAND_MIDDLE, HEIGHT - BAND_MIDDLE
    gap = low + CORNER
    return [
        ((gap, low), (WIDTH - gap, low)),
        ((gap, top), (WIDTH - gap, top)),
        ((low, gap), (low, HEIGHT - gap)),
        ((right, gap), (right, HEIGHT - gap)),
    ]


@cache
def frame(accent: Colour) -> str:
    """Paper, watermark, border and corners."""
    soft, fine = mixed(accent, PAPER, 0.93), mixed(accent, PAPER, 0.35)
    parts = [fill(PAPER, f"0 0 {WIDTH} {HEIGHT} re"), "1 j 1 J"]
    x, y = WIDTH / 2, HEIGHT / 2 + 6
    parts.append(stroke(soft, 0.5, rosette(x, y, 96, 196, 18, 8) + rosette(x, y, 40, 98, 12, 6) + rosette(x, y, 8, 42, 8, 4)))
    for start, end in _sides():
        waves = 22 if start[1] == end[1] else 15
        parts.append(stroke(PALE_GOLD, 0.45, _band(start, end, BAND / 2 - 1, waves, 6)))
        parts.append(stroke(fine, 0.4, _band(start, end, BAND / 2 - 1, waves * 2, 4)))
        parts.append(stroke(fine, 0.35, _band(start, end, BAND / 4 - 1, waves * 2, 2)))
    outer, inner = BAND_MIDDLE - BAND / 2, BAND_MIDDLE + BAND / 2
    parts.append(stroke(INK, 1.6, [rectangle(outer - 4)]))
    parts.append(stroke(GOLD, 0.6, [rectangle(outer), rectangle(inner)]))
    parts.append(stroke(GOLD, 1.1, [rectangle(inner + 3.5)]))
    for corner_x in (BAND_MIDDLE, WIDTH - BAND_MIDDLE):
        for corner_y in (BAND_MIDDLE, HEIGHT - BAND_MIDDLE):
            parts += _corner(corner_x, corner_y, accent)
    return "\n".join(("q", *parts, "Q"))


def _corner(x: float, y: float, accent: Colour) -> list[str]:
    return [
        fill(PAPER, circle(x, y, CORNER)),
        stroke(GOLD, 0.4, rosette(x, y, 8.5, CORNER - 2.6, 12, 4)),
        stroke(INK, 0.9, [circle(x, y, CORNER - 0.4)]),
        stroke(GOLD, 0.6, [circle(x, y, CORNER - 2.4)]),
        fill(accent, _star(x, y, 8.6, 2.3, 4)),
        fill(PALE_GOLD, circle(x, y, 1.5)),
    ]


def _star(x: float, y: float, outer: float, inner: float, points: int, turn: float = pi / 2) -> str:
    corners = [(outer if index % 2 == 0 else inner, turn + pi * index / points) for index in range(2 * points)]
    return polygon([(x + radius * cos(angle), y + radius * sin(angle)) for radius, angle in corners])


@cache
def seal(accent: Colour) -> str:
    """The seal around the origin, without its lettering."""
    dark = mixed(readable(accent), INK, 0.2)

    def scallop(angle: float) -> Point:
        radius = SEAL - 1.6 + 1.6 * cos(40 * angle)
        return radius * cos(angle), radius * sin(angle)

    parts = ["1 j 1 J"]
    for lean in (-1, 1):  # the ribbons behind
        tail = [(lean * 4, -30.0), (lean * 30, -30.0), (lean * 37, -70.0), (lean * 25, -63.0), (lean * 14, -72.0)]
        parts.append(fill(mixed(readable(accent), INK, 0.45), polygon(tail)))
    parts += [
        fill(GOLD, path(scallop, 0, 2 * pi, 240)),
        fill(PAPER, circle(0, 0, SEAL - 4.6)),
        stroke(GOLD, 0.7, [circle(0, 0, SEAL - 6.2)]),
        stroke(GOLD, 0.6, [circle(0, 0, SEAL - 17.6)]),
        fill(dark, circle(0, 0, SEAL - 19.0)),
        stroke(mixed(accent, PALE_GOLD, 0.55), 0.35, rosette(0, 0, 11, SEAL - 20.2, 16, 6)),
        fill(dark, circle(0, 0, 13.5)),
        stroke(PALE_GOLD, 0.5, [circle(0, 0, 13.5)]),
        fill(PALE_GOLD, _star(0, 0, 11.2, 4.3, 5)),
    ]
    return "\n".join(("q", *parts, "Q"))


def rule(width: float) -> str:
    """A line from the origin that thins out from a lozenge in its middle."""
    half = width / 2
    return "\n".join(
        (
            "q",
            fill(GOLD, polygon([(0, 0), (90, 0.45), (half - 9, 0.45), (half - 9, -0.45), (90, -0.45)])),
            fill(GOLD, polygon([(width, 0), (width - 90, 0.45), (half + 9, 0.45), (half + 9, -0.45), (width - 90, -0.45)])),
            fill(GOLD, polygon([(half - 5, 0), (half, 2.6), (half + 5, 0), (half, -2.6)])),
            "Q",
        )
    )


def lettering(clusters: Sequence[Cluster], radius: float, size: float, tracking: float, middle: float, inwards: bool) -> str:
    """Outlines of a line set on a circle around the origin, its middle at an angle; `inwards`: heads point to the centre.

    Outlines, because letters along a circle are no text that anybody would copy.
    """
    turn = 1 if inwards else -1
    widths = [(cluster.width + tracking) * size for cluster in clusters]
    angle = middle - turn * (sum(widths) - tracking * size) / 2 / radius
    parts = []
    for cluster, width in zip(clusters, widths, strict=True):
        at = angle + turn * (width - tracking * size) / 2 / radius
        tilt = at + (pi / 2 if inwards else -pi / 2)
        matrix = (cos(tilt), sin(tilt), -sin(tilt), cos(tilt), radius * cos(at), radius * sin(at))
        parts.append(f"q {' '.join(f'{number:.4f}' for number in matrix)} cm {_outline(cluster, size)} f Q")
        angle += turn * width / radius
    return "\n".join(parts)


def _outline(cluster: Cluster, size: float) -> str:
    """The cluster's outlines, its middle at the origin."""
    pen = _Pen(size / cluster.face.upem, -cluster.width * size / 2)
    for glyph in cluster.glyphs:
        cluster.face.font.draw_glyph_with_pen(glyph.number, pen)
        pen.x += glyph.advance * size
    return " ".join(pen.parts)


class _Pen:
    """Turns outlines into PDF operators (the methods' names are fontTools')."""

    def __init__(self, scale: float, x: float) -> None:
        self._scale, self.x = scale, x
        self._at: Point = (0.0, 0.0)
        self.parts: list[str] = []

    def _add(self, operator: str, *points: Point) -> None:
        shown = (f"{x * self._scale + self.x:.3f} {y * self._scale:.3f}" for x, y in points)
        self.parts.append(f"{' '.join(shown)} {operator}")
        self._at = points[-1]

    def moveTo(self, point: Point) -> None:
        self._add("m", point)

    def lineTo(self, point: Point) -> None:
        self._add("l", point)

    def curveTo(self, *points: Point) -> None:
        self._add("c", *points)

    def qCurveTo(self, control: Point, end: Point) -> None:
        (x0, y0), (x1, y1), (x2, y2) = self._at, control, end
        first = (x0 + 2 / 3 * (x1 - x0), y0 + 2 / 3 * (y1 - y0))
        self._add("c", first, (x2 + 2 / 3 * (x1 - x2), y2 + 2 / 3 * (y1 - y2)), end)

    def closePath(self) -> None:
        self.parts.append("h")


def _rgb(colour: Colour) -> str:
    return " ".join(f"{part:.3f}" for part in colour)


def draw(canvas: Any, operators: str) -> None:
    """Puts operators on a reportlab canvas."""
    canvas._code.append(operators)
