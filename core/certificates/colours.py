"""Colours as three numbers from 0 to 1, and what may be made of the one an author chose. Pure functions."""

from __future__ import annotations

import re

Colour = tuple[float, float, float]

_HEX = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE | re.ASCII)
MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3


def read_colour(text: str) -> Colour:
    """The colour "#rrggbb". Raises ValueError."""
    if not _HEX.fullmatch(text):
        raise ValueError("a colour is written #rrggbb")
    red, green, blue = (int(text[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


PAPER = read_colour("#fffdf8")
INK = read_colour("#1c2536")
GREY = read_colour("#5b6272")
GOLD = read_colour("#b58e3b")
PALE_GOLD = read_colour("#e3cf9c")


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """The colour with a share (0 to 1) of the other."""
    red, green, blue = (part * (1 - share) + more * share for part, more in zip(colour, other, strict=True))
    return red, green, blue


def luminance(colour: Colour) -> float:
    """The relative luminance (WCAG 2.2)."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((luminance(colour), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: Colour) -> Colour:
    """The colour, darkened as far as text on the certificate's paper needs."""
    share = 0.0
    while contrast(mixed(colour, INK, share), PAPER) < MIN_CONTRAST:
        share += 0.05
    return mixed(colour, INK, min(1.0, share))
