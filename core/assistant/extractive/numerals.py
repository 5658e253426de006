"""Numbers as they stand in texts: where they are, what they are worth, and others that could stand there instead."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A number that stands for itself, and not in a formula, a fraction, a range or a name.
NUMBER = re.compile(
    r"(?<![\w.,/^·=+×÷−–-])(?<![=+×÷−·/^(] )(?<!\^)\d+(?:[.,٫٬]\d+)*(?![\w.,]*[\w/^²³])(?! ?[=+×÷−–·/^-])"
    # Chinese and Japanese numerals before a counter.
    r"|(?<![一二三四五六七八九十百千万第])(?!十分[^钟鐘])[二两三四五六七八九十百千]+(?=[天年月日度倍分秒岁歳次个個种種颗顆条座米人回割つ])"
)
_GROUPED = re.compile(r"\d{1,3}(?:[.,٬]\d{3})+")
_HAN = "一二三四五六七八九"
_MAX_DIGITS = 9


def unit(text: str, end: int) -> str:
    """What is counted: the word or sign behind a number that ends there."""
    found = re.match(r"\s?([^\s\d.,;:!?)]{1,12})", text[end:])
    return found[1][:1] if found and not text[end : end + 1].isspace() else found[1] if found else ""


def value(text: str) -> float | None:
    """What the number is worth; None for numerals, and where a mark may mean either thousands or decimals."""
    if not text[0].isdigit():
        return None
    if _GROUPED.fullmatch(text):
        groups = re.split(r"[.,٬]", text)
        return float("".join(groups)) if len(groups) > 2 or groups[1] == "000" else None
    plain = text.replace(",", ".").replace("٫", ".")
    return float(plain) if plain.count(".") <= 1 else None


def neighbours(text: str) -> Iterator[str]:
    """Other numbers of about this size, as round and written alike."""
    digits = re.sub(r"\D", "", text)
    if not digits:
        yield from _han_neighbours(text)
    elif digits.isascii() and len(digits) <= _MAX_DIGITS:
        yield from (_written_like(text, str(other)) for other in _near(int(digits)))


def _near(number: int) -> Iterator[int]:
    """Twice and half of it, and a step up and down that leaves as many zeros at its end."""
    zeros = len(str(number)) - len(str(number).rstrip("0")) if number else 0
    step = 10**zeros
    step = max(step, number // 5 // step * step)
    halves = [number // 2] if number > 1 and number % 2 == 0 else []
    yield from dict.fromkeys([number * 2 or 1, *halves, number + step, *([number - step] if number > step else [])])


def _written_like(text: str, digits: str) -> str:
    """The digits with the marks of `text`, counted from its end."""
    if text.startswith("0"):
        digits = digits.zfill(sum(map(str.isdigit, text)))
    written = list(digits)
    for place, char in enumerate(reversed(text)):
        if not char.isdigit() and place < len(written):
            written.insert(len(written) - place, char)
    return "".join(written)


def _han_neighbours(text: str) -> Iterator[str]:
    """The last digit a little more or less."""
    last = max((text.rfind(char) for char in _HAN), default=-1)
    if last < 0:
        return
    number = _HAN.index(text[last]) + 1
    for other in (number + 1, number - 1, number + 2, number - 2):
        if 1 < other <= len(_HAN):
            yield text[:last] + _HAN[other - 1] + text[last + 1 :]
