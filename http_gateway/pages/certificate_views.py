"""The certificate pages as HTML: a certificate and its state, a file that was checked, and where to begin.

Every value is escaped here. Links are relative: the pages are `…/certificates/verify` and `…/certificates/{id}/verify`.
"""

from __future__ import annotations

import unicodedata
from html import escape
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from google.protobuf.timestamp_pb2 import Timestamp

from http_gateway.pages.certificate_style import CERTIFICATE_STYLE
from http_gateway.pages.layout import facts, page
from skillforge.v1 import certificates_pb2

_SHOWN = 60  # characters of what somebody typed
_HIDDEN = frozenset({"Cc", "Cs"})
_STEERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ICONS = {
    "good": '<path d="M7.5 12.4l3 3 6-6.6"/>',
    "bad": '<path d="M8.5 8.5l7 7m0-7l-7 7"/>',
    "note": '<path d="M12 7.5v5.5m0 3.4v.1"/>',
}
_FOOTER = (
    "<footer><p>This page is the issuer's own record. Compare the name and the course with the document in your hand, and "
    "the address of this page with the issuer's.</p></footer>"
)
_REASONS = {
    certificates_pb2.REVOKE_REASON_ISSUED_IN_ERROR: "It was issued in error",
    certificates_pb2.REVOKE_REASON_MISCONDUCT: "Academic misconduct",
    certificates_pb2.REVOKE_REASON_HOLDER_REQUEST: "Its holder asked for it",
    certificates_pb2.REVOKE_REASON_SUPERSEDED: "It was replaced by another",
}


class State(NamedTuple):
    """The coloured box on top: `kind` is good, bad or note."""

    kind: str
    heading: str
    sentence: str


_REFUSALS = {
    HTTPStatus.NOT_FOUND: State("bad", "No such certificate", "The number is well formed, but we never issued it."),
    HTTPStatus.TOO_MANY_REQUESTS: State("note", "Too many checks", "Please wait a moment, then try again."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: State("note", "This file is too large", "A certificate's file has at most 5 MiB."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: State("note", "This is no PDF", "Please choose the PDF of a certificate."),
}
_TYPING = State(
    "note",
    "This is not a certificate number",
    "Please check it for typing errors: a number is SF- and 27 letters and digits, of which the last fits the others.",
)
_NO_FILE = State("note", "No file was sent", "Please choose the PDF of a certificate first.")
_FAILURE = State("note", "We cannot check right now", "Please try again in a few minutes.")
_FILE_STATES = {
    certificates_pb2.FILE_RESULT_UNCHANGED: ("good", "This file is genuine and unchanged"),
    certificates_pb2.FILE_RESULT_CHANGED: ("bad", "This file was changed"),
    certificates_pb2.FILE_RESULT_NOT_OURS: ("bad", "This file was not issued by us"),
    certificates_pb2.FILE_RESULT_REVOKED: ("bad", "This file is genuine, but no longer in force"),
    certificates_pb2.FILE_RESULT_UNREADABLE: ("note", "This file cannot be checked"),
    certificates_pb2.FILE_RESULT_KEY_NOT_TRUSTED: ("note", "This file's signature is trusted no more"),
}


def certificate_page(said: certificates_pb2.VerifyCertificateResponse) -> str:
    """The page for a certificate that exists."""
    issuer, keys = said.issuer, said.issuer.keys_url
    rows = [
        ("Issued by", f"{issuer.name} ({urlsplit(issuer.url).netloc})" if issuer.url else issuer.name),
        ("Signature key", said.key_id.rpartition("/")[2]),
    ]
    links = f'<p class="fine"><a href="{escape(keys)}">Public keys</a>' if keys else '<p class="fine">'
    if said.valid and said.badge_url:
        links += ' · <a href="badge" type="application/vc+jwt">Open Badges credential</a> for a digital wallet'
    return _page(
        "Valid certificate" if said.valid else "Revoked certificate",
        _state(_standing(said)),
        _replacement(said.replaced_by, "../"),
        _diploma(said.snapshot, said.certificate_id, valid=said.valid),
        _details(said),
        f'<section class="card" aria-label="Issuer"><h2>Who stands behind it</h2>{facts(rows)}{links}</p></section>',
        _upload("../verify"),
    )


def file_page(said: certificates_pb2.CheckCertificateFileResponse) -> str:
    """The page for a file that was checked."""
    kind, heading = _FILE_STATES.get(said.result, ("note", "This file cannot be checked"))
    parts = [_state(State(kind, heading, said.detail)), _replacement(said.replaced_by, "")]
    link = f'<p class="more"><a href="{quote(said.certificate_id)}/verify">Our record of this certificate</a></p>'
    if said.HasField("snapshot"):
        valid = said.status == certificates_pb2.CERTIFICATE_STATUS_VALID
        if said.result == certificates_pb2.FILE_RESULT_CHANGED:
            parts.append("<h2>What we issued says</h2>")
        parts += [_diploma(said.snapshot, said.certificate_id, valid=valid), _details(said, link)]
    elif said.certificate_id:
        named = facts([("It names", said.certificate_id)])
        parts.append(f'<section class="card" aria-label="Certificate">{named}{link}</section>')
    return _page(heading, *parts, _upload("verify", "Check another file"))


def start_page() -> str:
    """Where somebody begins who has a number or a file."""
    heading = '<h1>Verify a certificate</h1><p class="fine">With the number that is printed on it, or with its PDF.</p>'
    return _page("Verify a certificate", f'<section class="card">{heading}</section>', _number("verify"), _upload("verify"))


def refusal_page(status: int, typed: str | None) -> str:
    """The page for what was refused; `typed` is the number that was asked for, None where a file was sent."""
    if status == HTTPStatus.BAD_REQUEST:
        state = _TYPING if typed is not None else _NO_FILE
    else:
        state = _REFUSALS.get(HTTPStatus(status), _FAILURE) if status != 499 else _FAILURE
    if typed is None:
        return _page(state.heading, _state(state), _upload("verify"))
    given = facts([("Number given", typed[:_SHOWN])])
    shown = f'<section class="card" aria-label="Number">{given}</section>'
    return _page(state.heading, _state(state), shown, _number("../verify", typed[:_SHOWN]), _upload("../verify"))


def _page(title: str, *parts: str) -> str:
    content = "".join(filter(None, (*parts, _FOOTER)))
    return page(title, _visible(content), style=CERTIFICATE_STYLE)


def _state(state: State) -> str:
    icon = (
        '<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round"><circle cx="12" cy="12" r="10"/>{_ICONS[state.kind]}</svg>'
    )
    words = f"<div><h1>{escape(state.heading)}</h1><p>{escape(state.sentence)}</p></div>"
    return f'<div class="state {state.kind}" role="status">{icon}{words}</div>'


def _standing(said: certificates_pb2.VerifyCertificateResponse) -> State:
    if said.valid:
        return State("good", "This certificate is valid", f"It was issued by {said.issuer.name or 'us'} and is in force.")
    when = f" on {_date(said.revoke_time)}" if said.HasField("revoke_time") else ""
    if said.revoke_reason == certificates_pb2.REVOKE_REASON_SUPERSEDED:
        return State("note", "This certificate was replaced", f"Another one was issued in its place{when}. Look at that one.")
    return State("bad", "This certificate was revoked", f"It was issued, but taken back{when}. It proves nothing.")


def _diploma(snapshot: certificates_pb2.CertificateSnapshot, certificate_id: str, *, valid: bool) -> str:
    stamp = "" if valid else '<p class="stamp">Not in force</p>'
    name, title = escape(snapshot.student_name), escape(snapshot.course_title)
    return (
        f'<section class="card diploma{"" if valid else " void"}" aria-label="Certificate">{stamp}<p>This certifies that</p>'
        f'<p class="name" dir="auto">{name}</p><hr class="rule"><p>has completed the course</p>'
        f'<p class="title" dir="auto">{title}</p><p class="number">{escape(certificate_id)}</p></section>'
    )


def _details(said: Any, more: str = "") -> str:
    """The facts of a verified certificate, or of a file's."""
    snapshot = said.snapshot
    rows = [
        ("Instructor", snapshot.instructor_name),
        ("Final score", f"{snapshot.score_percent:g} %"),
        ("Completed", _date(snapshot.complete_time) if snapshot.HasField("complete_time") else ""),
        ("Issued", _date(said.issue_time) if said.HasField("issue_time") else ""),
        ("Revoked", _date(said.revoke_time) if said.HasField("revoke_time") else ""),
        ("Reason", _REASONS.get(said.revoke_reason, "")),
    ]
    return f'<section class="card" aria-label="Details">{facts(rows)}{more}</section>'


def _replacement(replaced_by: str, up: str) -> str:
    if not replaced_by:
        return ""
    return (
        '<section class="card" aria-label="Replacement"><h2>It was issued anew</h2>'
        f'<p class="number">{escape(replaced_by)}</p>'
        f'<p class="more"><a class="button" href="{up}{quote(replaced_by)}/verify">See the one that counts</a></p></section>'
    )


def _upload(action: str, heading: str = "Do you have the PDF?") -> str:
    return (
        f'<section class="card upload" aria-labelledby="upload"><h2 id="upload">{escape(heading)}</h2>'
        f'<form method="post" action="{action}" enctype="multipart/form-data"><div>'
        '<label for="file">PDF file, up to 5 MiB</label>'
        '<input id="file" name="file" type="file" accept="application/pdf,.pdf" required></div>'
        "<button>Check the file</button></form>"
        '<p class="fine">We compare it with what we issued, byte by byte, and check its digital signature. '
        "The file is not kept.</p></section>"
    )


def _number(action: str, typed: str = "") -> str:
    return (
        f'<section class="card" aria-labelledby="lookup"><h2 id="lookup">Look up a number</h2><form action="{action}"><div>'
        '<label for="number">Certificate number</label><input id="number" name="number" required maxlength="60" '
        f'autocomplete="off" autocapitalize="characters" spellcheck="false" placeholder="SF-…" value="{escape(typed)}"></div>'
        "<button>Look it up</button></form></section>"
    )


def _date(time: Timestamp) -> str:
    moment: Any = time.ToDatetime()
    return f"{moment.day} {moment:%B} {moment.year} (UTC)"


def _visible(text: str) -> str:
    """The text without control and direction-changing characters, which could make it read as something else."""
    return "".join(char for char in text if unicodedata.category(char) not in _HIDDEN and char not in _STEERING)
