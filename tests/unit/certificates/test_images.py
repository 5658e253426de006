"""Logos: what is taken, what is refused and how that is said, and that only the picture stays."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from core.certificates.images import KEPT_SIZE, LogoRefused, tidy_logo
from tests.support.certificates import image


def png_of(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG that says it is so large, with hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def animated() -> bytes:
    out = BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def gif() -> bytes:
    return image("GIF", mode="P")


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    exif[0x0112] = 6  # turned by a quarter
    return image("JPEG", (200, 100), exif=exif)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [*(("PNG", mode) for mode in ("RGB", "L", "RGBA", "LA", "P", "1")), *(("JPEG", mode) for mode in ("RGB", "L", "CMYK"))],
)
def test_pictures_are_taken(kind: str, mode: str) -> None:
    with Image.open(BytesIO(tidy_logo(image(kind, mode=mode)))) as kept:
        assert (kept.format, kept.size) == (kind, (300, 80))


def test_large_ones_are_made_smaller() -> None:
    with Image.open(BytesIO(tidy_logo(image(size=(2600, 1300))))) as kept:
        assert kept.size == (KEPT_SIZE[1] * 2, KEPT_SIZE[1])


def test_only_the_picture_stays() -> None:
    kept = tidy_logo(with_exif())
    assert b"taken at home" not in kept
    with Image.open(BytesIO(kept)) as turned:
        assert turned.size == (100, 200)
    text = png_of(50, 50, (b"tEXt", b"Comment\0<script>"))
    assert b"script" not in tidy_logo(text)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: b"", "must be a PNG or JPEG"),
        (gif, "must be a PNG or JPEG"),
        (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "SVG"),
        (lambda: b"%PDF-1.4", "must be a PNG or JPEG"),
        (lambda: image() + b"\0" * 600_000, "at most 512 KiB"),
        (lambda: image() + b"<script>", "follows the end"),
        (lambda: image() + image("JPEG"), "follows the end"),
        (lambda: image("JPEG") + b"PK\x03\x04", "follows the end"),
        (lambda: image()[:-20], "cut off"),
        (lambda: image("JPEG")[:-200], "cut off"),
        (lambda: b"\x89PNG\r\n\x1a\n<svg>", "damaged"),
        (lambda: b"\xff\xd8\xff nothing \xff\xd9", "damaged"),
        (animated, "animated"),
        (lambda: png_of(60_000, 60_000), "too many pixels"),
        (lambda: png_of(3001, 1), "pixels"),
        (lambda: png_of(2900, 2900), "pixels"),
        (lambda: png_of(0, 10), "damaged"),
        (lambda: png_of(50, 50, (b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000)))), "damaged"),
        (lambda: png_of(50, 50, (b"zTXt", b"x\0\0" + zlib.compress(bytes(50_000_000)))), "damaged"),
    ],
)
def test_what_is_refused(make: Callable[[], bytes], said: str) -> None:
    with pytest.raises(LogoRefused, match=said):
        tidy_logo(make())


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]), st.integers(0, 200))
@example(b"", b"\xff\xd8\xff", 0)
def test_nothing_else_comes_of_bytes(data: bytes, head: bytes, cut: int) -> None:
    for given_bytes in (head + data, image()[:cut] + data, head + data + b"\xff\xd9"):
        with suppress(LogoRefused):
            assert tidy_logo(given_bytes).startswith((b"\x89PNG", b"\xff\xd8\xff"))
