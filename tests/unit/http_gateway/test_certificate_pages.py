"""The pages of verification: forms without a script, files by multipart or raw, every value escaped."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from contract.client import Reply
from contract.errors import CallError
from http_gateway.forms import first_file
from http_gateway.options import GatewayOptions
from http_gateway.pages.certificate_views import certificate_page, file_page, refusal_page, start_page
from skillforge.v1 import certificates_pb2 as pb
from tests.unit.http_gateway.gateways import gateway
from tests.unit.http_gateway.stub_core import StubCore

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CHECK = "/certificates/verify"
PDF = {"Content-Type": "application/pdf"}
UNCHANGED = pb.CheckCertificateFileResponse(result=pb.FILE_RESULT_UNCHANGED, detail="As it was.", certificate_id="SF-1")
EVIL = "</p><script>alert(1)</script>\"'&\u202e"
CHANGED = pb.FILE_RESULT_CHANGED


class Tags(HTMLParser):
    """The tags of a page, which must close each other in order."""

    VOID = ("meta", "input", "hr", "circle", "path", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_form_s_file_is_found_whatever_stands_around_it() -> None:
    body = (
        b'preamble\r\n--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nno file\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
        b"%PDF\r\n--\r\n--c\r\n--b--\r\n"
    )
    assert first_file("multipart/form-data; boundary=b", body) == b"%PDF\r\n--\r\n--c"
    assert first_file('Multipart/Form-Data; charset=utf-8; boundary="b"', body) == b"%PDF\r\n--\r\n--c"


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=c"])
def test_forms_without_a_file(kind: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nX\r\n--b--'
    for data in (body, b"", b"--c", b"--c\r\n--c--", body[:-5]):
        with pytest.raises(CallError):
            first_file(kind, data)


@given(st.binary(max_size=300), st.text(max_size=20).filter(str.isprintable))
def test_any_content_comes_through_a_form(content: bytes, name: str) -> None:
    """As aiohttp's client writes forms."""
    form = aiohttp.FormData()
    form.add_field("other", "text")
    form.add_field("file", b"%PDF" + content, filename=name or "a.pdf", content_type="application/pdf")
    writer: Any = form()
    body = b"".join(
        b"--" + writer._boundary + b"\r\n" + part._binary_headers + part._value + b"\r\n" for part, _, _ in writer._parts
    )
    assert first_file(writer.content_type, body + b"--" + writer._boundary + b"--\r\n") == b"%PDF" + content


@given(st.text(max_size=100), st.binary(max_size=400))
def test_nothing_but_an_error_of_ours(kind: str, body: bytes) -> None:
    try:
        first_file(f"multipart/form-data; boundary={kind}", body)
    except CallError as error:
        assert error.reason == "INVALID_ARGUMENT"  # noqa: PT017


async def test_a_file_arrives_as_it_was_sent() -> None:
    core = StubCore({"CheckCertificateFile": Reply(UNCHANGED, {"ratelimit": '"file-checks";r=1;t=1'})})
    content = bytes(range(256)) * 9000  # more than other routes take
    async with gateway(core, GatewayOptions(max_body_bytes=1000)) as http:
        answer = await http("POST", CHECK, data=content, headers=PDF)
    assert (core.last.request.data, core.last.request.content_type) == (content, "application/pdf")
    assert (answer.status, answer.json["result"]) == (200, "FILE_RESULT_UNCHANGED")
    assert answer.headers["RateLimit"] == '"file-checks";r=1;t=1'


async def test_a_form_gets_a_page() -> None:
    core = StubCore({"CheckCertificateFile": UNCHANGED})
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-\xff\0\r\n--b--\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    async with gateway(core) as http:
        page = await http("POST", CHECK, data=body, headers={**BROWSER, **form})
        answer = await http("POST", CHECK, data=body, headers=form)
    assert core.last.request.data == b"%PDF-\xff\0"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"genuine and unchanged" in page.body
    assert page.headers["Vary"] == answer.headers["Vary"] == "Accept"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in policy
    assert answer.json["result"] == "FILE_RESULT_UNCHANGED"


@pytest.mark.parametrize(
    ("headers", "data", "status", "words"),
    [
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--", 400, b"No file was sent"),
        ({"Content-Type": "application/json"}, b"{}", 415, b"This is no PDF"),
        ({"Content-Type": "application/pdf"}, bytes(6_000_000), 413, b"too large"),
        ({"Content-Type": "application/pdf", "Content-Encoding": "gzip"}, b"x", 415, b"This is no PDF"),
    ],
)
async def test_what_is_no_file(headers: dict[str, str], data: bytes, status: int, words: bytes) -> None:
    core = StubCore()
    async with gateway(core) as http:
        answer = await http("POST", CHECK, data=data, headers=headers)
        page = await http("POST", CHECK, data=data, headers={**BROWSER, **headers})
    assert (answer.status, page.status) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert words in page.body
    assert core.calls == []


async def test_the_first_page_and_where_it_leads() -> None:
    async with gateway(StubCore()) as http:
        page = await http("GET", CHECK, headers=BROWSER)
        moved = await http("GET", f"{CHECK}?number=+sf-1%2F..%2F%0d%0aX:y+", headers=BROWSER, allow_redirects=False)
        long = await http("GET", f"{CHECK}?number={'1' * 5000}", headers=BROWSER, allow_redirects=False)
    assert page.status == long.status == 200
    assert b"Verify a certificate" in page.body
    assert (moved.status, moved.headers["Location"]) == (303, "sf-1%2F..%2F%0D%0AX%3Ay/verify")


async def test_answers_that_may_be_kept() -> None:
    core = StubCore({"GetSigningKeys": pb.JsonWebKeySet(keys=[pb.JsonWebKey(kty="RSA", kid="k")])})
    async with gateway(core) as http:
        keys = await http("GET", "/.well-known/jwks.json")
    assert keys.headers["Cache-Control"] == "public, max-age=300"
    assert keys.json == {"keys": [{"kty": "RSA", "kid": "k", "use": "", "alg": "", "n": "", "e": ""}]}


SNAPSHOT = pb.CertificateSnapshot(student_name=EVIL, course_title=EVIL, instructor_name=EVIL, score_percent=1)
SAID = pb.VerifyCertificateResponse(
    valid=True, snapshot=SNAPSHOT, certificate_id=EVIL, replaced_by=EVIL, key_id=EVIL, badge_url=EVIL,
    issuer=pb.Issuer(name=EVIL, url=EVIL, keys_url=EVIL),
)  # fmt: skip
PAGES = {
    "a certificate": certificate_page(SAID),
    "a revoked one": certificate_page(pb.VerifyCertificateResponse(snapshot=SNAPSHOT, certificate_id=EVIL, replaced_by=EVIL)),
    "a file": file_page(pb.CheckCertificateFileResponse(result=CHANGED, snapshot=SNAPSHOT, certificate_id=EVIL, detail=EVIL)),
    "a stranger's file": file_page(pb.CheckCertificateFileResponse(certificate_id=EVIL, detail=EVIL)),
    "a number": refusal_page(404, EVIL),
    "the first": start_page(),
    **{f"refused with {status}": refusal_page(status, None) for status in (400, 413, 415, 429, 499, 503)},
}


@pytest.mark.parametrize("name", PAGES)
def test_everything_is_escaped_and_every_field_has_a_label(name: str) -> None:
    page = PAGES[name]
    assert "<script" not in page
    assert "\u202e" not in page
    tags = Tags(page).seen
    assert not any(key.startswith("on") or key == "style" for _, attributes in tags for key in attributes)
    labelled = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    assert {attributes.get("id") for tag, attributes in tags if tag == "input"} == labelled
    assert [tag for tag, _ in tags].count("h1") == 1
    assert ("html", {"lang": "en"}) in tags


@pytest.mark.parametrize("result", pb.FileResult.values())
def test_every_result_has_a_page(result: pb.FileResult.ValueType) -> None:
    text = file_page(pb.CheckCertificateFileResponse(result=result, detail="In a sentence."))
    assert "In a sentence." in text


async def test_a_number_that_does_not_fit_together_is_told_from_one_nobody_has() -> None:
    errors = {
        "a typing error": CallError.build(code_pb2.INVALID_ARGUMENT, "CERTIFICATE_ID_MALFORMED", ""),
        "nobody's": CallError.build(code_pb2.NOT_FOUND, "NOT_FOUND", ""),
    }
    pages = {}
    for name, error in errors.items():
        async with gateway(StubCore({"VerifyCertificate": error})) as http:
            pages[name] = (await http("GET", "/certificates/SF-1/verify", headers=BROWSER)).body
    assert b"typing errors" in pages["a typing error"]
    assert b"well formed, but we never issued it" in pages["nobody's"]
