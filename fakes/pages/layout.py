"""What the pages share: the frame, its files, and the policy that allows those files and nothing else."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

ASSETS_PATH = "/fake-pay/assets/"
DELIVERIES_PATH = "/fake-pay/deliveries"

# Same-origin files alone: no inline script or style, nothing from another host, no frame around it.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ASSET_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class Asset(NamedTuple):
    """A file of the pages; its path changes with its content, so that it can be cached for ever."""

    path: str
    content_type: str
    content: bytes


def _load(name: str, content_type: str) -> Asset:
    content = (Path(__file__).parent / "assets" / name).read_bytes()
    stem, _, ending = name.rpartition(".")
    return Asset(f"{ASSETS_PATH}{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{ending}", content_type, content)


_STYLE = _load("fake-pay.css", "text/css")
_SCRIPT = _load("fake-pay.js", "text/javascript")
_ICON = _load("icon.svg", "image/svg+xml")
_ASSETS = {asset.path: asset for asset in (_STYLE, _SCRIPT, _ICON)}


def asset_response(path: str) -> web.Response | None:
    """The file at a path; None: there is none."""
    asset = _ASSETS.get(path)
    if asset is None:
        return None
    return web.Response(body=asset.content, content_type=asset.content_type, charset="utf-8", headers=_ASSET_HEADERS)


def page(title: str, content: str, status: int = 200, *, state: str = "", poll: bool = False, wide: bool = False) -> web.Response:
    """An HTML page. `title` is text, `content` HTML of escaped values.

    With `poll` the script asks again, and shows the page anew when `state` has changed; `title` is what it then says.
    """
    attributes = f' data-state="{escape(state)}"' + (" data-poll" if poll else "") + (' class="wide"' if wide else "")
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)} – Fake Pay</title>\n"
        f'<link rel="icon" href="{_ICON.path}" type="image/svg+xml">\n<link rel="stylesheet" href="{_STYLE.path}">\n'
        f'<script src="{_SCRIPT.path}" defer></script>\n</head>\n<body>\n'
        f'<header class="top"><div><p class="logo"><img src="{_ICON.path}" alt="" width="28" height="28">Fake Pay</p>'
        '<p class="test"><strong>Test mode.</strong> This is a fake payment provider: no money moves.</p></div></header>\n'
        f'<main id="main"{attributes}>\n{content}\n</main>\n'
        f"<footer><p>For development and tests. Never type the number of a real card here. "
        f'<a href="{DELIVERIES_PATH}">Webhook deliveries</a></p></footer>\n'
        '<p class="unseen" role="status" id="live"></p>\n</body>\n</html>\n'
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=PAGE_HEADERS)


def visible(text: str) -> str:
    """Text for HTML: escaped, without control and direction-changing characters, and in a direction of its own."""
    steering = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    shown = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cs") and char not in steering)
    return f'<bdi dir="auto">{escape(shown)}</bdi>'


def moment(seconds: float) -> str:
    """A time (Unix seconds) as HTML, in UTC; the script turns it into the reader's own."""
    then = datetime.fromtimestamp(int(seconds), UTC)
    return f'<time datetime="{then:%Y-%m-%dT%H:%M:%SZ}">{then.day} {then:%B} {then.year}, {then:%H:%M:%S} UTC</time>'


def alert(heading: str, text: str) -> str:
    """What went wrong. It gets the focus, so that a screen reader begins there."""
    return (
        f'<div class="alert" role="alert" tabindex="-1" autofocus><p><strong>{escape(heading)}</strong></p>'
        f"<p>{escape(text)}</p></div>"
    )
