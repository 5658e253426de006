"""The files for browsers: what they are, how long they are kept, and that nothing else comes out."""

from __future__ import annotations

import gzip
import posixpath
import re
from pathlib import Path

import pytest

import http_gateway
from http_gateway.options import GatewayOptions
from http_gateway.pages.console import CONSOLE_POLICY
from http_gateway.static_files import FOREVER, StaticFiles, accepts_gzip
from tests.unit.http_gateway.gateways import gateway
from tests.unit.http_gateway.stub_core import StubCore

ENTRY = "skillforge-realtime.js"
ORIGIN = "https://app.example.com"
PLAIN = {"Accept-Encoding": "identity"}
STATIC = Path(http_gateway.__file__).parent / "static"


async def test_a_module_and_what_it_imports() -> None:
    async with gateway(StubCore({}), GatewayOptions(allowed_origins=frozenset({ORIGIN}))) as http:
        names, wanted = set[str](), [ENTRY]
        while wanted:
            name = wanted.pop()
            got = await http("GET", f"/static/{name}", headers={"Origin": ORIGIN, **PLAIN})
            assert (got.status, got.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
            assert got.headers["X-Content-Type-Options"] == "nosniff"
            assert got.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert got.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
            assert got.headers["Cache-Control"] == "no-cache"
            names.add(name)
            wanted += set(re.findall(r'from "\./([\w-]+\.js)"', got.body.decode())) - names
    assert len(names) == 6


async def test_the_console_and_all_it_loads() -> None:
    """Its page names what it needs at once, under the version; what is imported later is there too, and nothing is idle."""
    async with gateway(StubCore({})) as http:
        page = await http("GET", "/", headers={"Accept": "text/html"})
        named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.body.decode()))
        found, wanted = set(named), [*named]
        while wanted:
            path = wanted.pop()
            got = await http("GET", path, headers=PLAIN)
            assert (got.status, got.headers["Cache-Control"]) == (200, FOREVER), path
            for how, name in re.findall(r'(from |import\()"(\.[^"]+\.js)"', got.body.decode()):
                imported = posixpath.normpath(f"{posixpath.dirname(path)}/{name}")
                assert how == "import(" or path not in named or imported in named, (path, name)
                wanted += {imported} - found
                found.add(imported)
    assert page.headers["Content-Security-Policy"] == CONSOLE_POLICY
    assert "development-issuer" not in page.body.decode()
    assert {posixpath.basename(path) for path in found} >= {path.name for path in (STATIC / "console").iterdir()}
    assert sum(len(gzip.compress((STATIC / path.split("/", 3)[3]).read_bytes())) for path in named) < 100_000


@pytest.mark.parametrize("path", [f"/static/{ENTRY}", "/static/console/app.js", "/static/console/console.css"])
async def test_zipped_for_those_who_can_unzip(path: str) -> None:
    async with gateway(StubCore({})) as http:
        plain = await http("GET", path, headers=PLAIN)
        zipped = await http("GET", path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        again = await http("GET", path, headers={"Accept-Encoding": "gzip", "If-None-Match": zipped.headers["ETag"]})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Vary"] == zipped.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != zipped.headers["ETag"]
    assert int(zipped.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert (again.status, again.headers["ETag"]) == (304, zipped.headers["ETag"])


@pytest.mark.parametrize(
    ("header", "allowed"),
    [("gzip", True), ("br, gzip", True), ("x-gzip", True), ("GZIP;q=0.1", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
def test_who_can_unzip(header: str, allowed: bool) -> None:
    assert accepts_gzip(header) is allowed


async def test_a_version_is_kept_for_good_and_only_if_it_is_this_one() -> None:
    version = StaticFiles().version
    async with gateway(StubCore({})) as http:
        kept = await http("GET", f"/static/{version}/{ENTRY}")
        other = await http("GET", f"/static/0123456789abcdef/{ENTRY}")
    assert (kept.status, kept.headers["Cache-Control"]) == (200, FOREVER)
    assert (other.status, other.headers["Cache-Control"], other.body) == (200, "no-cache", kept.body)


async def test_what_a_browser_has_is_not_sent_again() -> None:
    async with gateway(StubCore({})) as http:
        first = await http("GET", f"/static/{ENTRY}")
        again = await http("GET", f"/static/{ENTRY}", headers={"If-None-Match": first.headers["ETag"]})
        other = await http("GET", f"/static/{ENTRY}", headers={"If-None-Match": '"another"'})
        head = await http("HEAD", f"/static/{ENTRY}")
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (other.status, other.body) == (200, first.body)
    assert (head.status, head.body, int(head.headers["Content-Length"])) == (200, b"", len(first.body))


def test_they_can_be_read() -> None:
    """Also without a build step."""
    for path in STATIC.rglob("*.*"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 400, path.name
        assert max(map(len, lines)) <= 130, path.name


@pytest.mark.parametrize(
    "path", ["nothing.js", "..%2fdoor.py", "../door.py", "__init__.py", "1/2/skillforge-realtime.js", "console", "app.js", ""]
)
async def test_nothing_else_comes_out(path: str) -> None:
    async with gateway(StubCore({})) as http:
        got = await http("GET", f"/static/{path}")
        posted = await http("POST", f"/static/{ENTRY}", data="{}")
    assert (got.status, got.json["reason"]) == (404, "ROUTE_NOT_FOUND")
    assert (posted.status, posted.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
