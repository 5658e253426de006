"""Checks a logo that somebody sent, and makes it fit for print. Runs in the workers that render: decoding takes CPU.

Only what is drawn is kept: the image is decoded and written anew, so nothing that hid in the file (metadata, profiles,
another format behind its end) reaches a certificate.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

MAX_BYTES = 512 * 1024
MAX_SIDE = 3000  # pixels
MAX_PIXELS = 4_000_000
KEPT_SIZE = (900, 240)  # pixels, at most: what 300 dots an inch of its place on the page need
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


class LogoRefused(ValueError):
    """The logo cannot be used; the text says why, for the one who sent it."""


def tidy_logo(data: bytes) -> bytes:
    """The logo as a small PNG or JPEG that holds nothing but its picture. Raises LogoRefused."""
    if len(data) > MAX_BYTES:
        raise LogoRefused(f"the logo must have at most {MAX_BYTES // 1024} KiB")
    if data.startswith(_PNG):
        _check_png(data)
        return _rewritten(data, "PNG")
    if data.startswith(_JPEG):
        if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
            raise LogoRefused("the logo is cut off, or something follows the end of the image")
        return _rewritten(data, "JPEG")
    if b"<svg" in data[:4096].lower():
        raise LogoRefused("the logo must be a PNG or JPEG image; an SVG cannot be used, save it as PNG")
    raise LogoRefused("the logo must be a PNG or JPEG image")


def _check_png(data: bytes) -> None:
    """Walks the chunks (PNG, third edition, 5.3): none may say it is animated, and nothing may follow the last."""
    offset = len(_PNG)
    while offset + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        offset += 12 + length
        if kind == b"acTL":
            raise LogoRefused("the logo must not be animated")
        if kind == b"IEND":
            break
    else:
        raise LogoRefused("the logo is cut off or damaged")
    if offset != len(data):
        raise LogoRefused("something follows the end of the logo's image")


def _rewritten(data: bytes, kind: str) -> bytes:
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(data), formats=[kind]) as image:  # reads the header alone
            _check_size(*image.size)
            if getattr(image, "n_frames", 1) != 1:
                raise LogoRefused("the logo must be one image, not several")
            upright = ImageOps.exif_transpose(image)
            return _small(upright, kind)
    except LogoRefused:
        raise
    except Image.DecompressionBombError as error:
        raise LogoRefused(f"the logo has far too many pixels; it may have {MAX_SIDE} a side") from error
    # Pillow raises all of these for files that are not what they say.
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, struct.error) as error:
        raise LogoRefused("the logo is damaged and cannot be read") from error


def _check_size(width: int, height: int) -> None:
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise LogoRefused(
            f"the logo has {width} x {height} pixels; it may have {MAX_SIDE} a side and {MAX_PIXELS // 1_000_000} million in all"
        )


def _small(image: Any, kind: str) -> bytes:
    """The picture alone, no larger than it is printed."""
    plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
    plain.thumbnail(KEPT_SIZE)
    plain.info.clear()
    out = BytesIO()
    if kind == "JPEG":
        plain.save(out, "JPEG", quality=90)
    else:
        plain.save(out, "PNG", optimize=True)
    if out.tell() > MAX_BYTES:  # a photograph as PNG
        out = BytesIO()
        plain.convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()
