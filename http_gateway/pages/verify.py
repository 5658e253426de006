"""The page a QR code on a certificate leads to. Programs get the same answer as JSON."""

from __future__ import annotations

import unicodedata
from http import HTTPStatus
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from contract.errors import CallError
from http_gateway.answers import Answer, Response
from http_gateway.handlers import CallHandler
from http_gateway.incoming import Incoming
from http_gateway.outgoing import HTML, prefers_html, problem_answer, simple_answer
from http_gateway.pages.layout import CONTENT_SECURITY_POLICY, banner, facts, page
from http_gateway.path_templates import decode_segment
from http_gateway.problems import problem_for
from skillforge.v1 import certificates_pb2

_CHECK, _CROSS, _QUESTION = "&#10003;", "&#10007;", "?"
_SHOWN_ID = 60  # characters
_FOOTER = (
    "<footer><p>This page is the issuer's own record. Compare the names and the date with the document in your hand, "
    "and the address of this page with the issuer's.</p></footer>"
)
_REFUSALS = {
    HTTPStatus.NOT_FOUND: ("bad", _CROSS, "No such certificate", "We never issued a certificate with this number."),
    HTTPStatus.BAD_REQUEST: (
        "note", _QUESTION, "This is not a certificate number",
        "A number begins with SF- and has 27 letters and digits. Please check it for typing errors.",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: ("note", _QUESTION, "Too many checks", "Please wait a moment, then try again."),
}  # fmt: skip
_FAILURE = ("note", _QUESTION, "We cannot check right now", "Please try again in a few minutes.")


class VerifyPage:
    """Serves the verify route: HTML to whoever prefers it, else what the method's own handler answers."""

    def __init__(self, handler: CallHandler) -> None:
        self._handler = handler

    async def __call__(self, call: Incoming) -> Response:
        as_page = prefers_html(call.headers.get("Accept", ""))
        try:
            reply = await self._handler.invoke(call)
        except CallError as error:
            answer = _refusal(call, error, as_page)
        else:
            answer = _html(call, 200, verify_page(reply.message)) if as_page else self._handler.respond(call, reply)
        answer.add("Vary", "Accept")
        return answer


def _refusal(call: Incoming, error: CallError, as_page: bool) -> Answer:
    problem = problem_for(error, call.request_id)
    if not as_page:
        return problem_answer(problem, call.request_id)
    answer = _html(call, problem.status, refusal_page(problem.status, decode_segment(call.place.segments[1])))
    for name, value in problem.headers.items():
        answer.add(name, value)
    return answer


def _html(call: Incoming, status: int, text: str) -> Answer:
    return simple_answer(status, text.encode(), HTML, call.request_id, CONTENT_SECURITY_POLICY)


def verify_page(message: Message) -> str:
    """The page for a certificate that exists."""
    assert isinstance(message, certificates_pb2.VerifyCertificateResponse)
    snapshot = message.snapshot
    if message.valid:
        head = banner("good", _CHECK, "This certificate is valid", "It was issued by SkillForge and is in force.")
    else:
        when = f" on {_date(message.revoke_time)}" if message.HasField("revoke_time") else ""
        head = banner("bad", _CROSS, "This certificate was revoked", f"It was issued, but taken back{when}. It proves nothing.")
    rows = [
        ("Awarded to", _visible(snapshot.student_name)),
        ("Course", _visible(snapshot.course_title)),
        ("Instructor", _visible(snapshot.instructor_name)),
        ("Final score", f"{snapshot.score_percent:g} %"),
        ("Completed", _date(snapshot.complete_time) if snapshot.HasField("complete_time") else ""),
        ("Issued", _date(message.issue_time) if message.HasField("issue_time") else ""),
        ("Revoked", _date(message.revoke_time) if message.HasField("revoke_time") else ""),
        ("Certificate number", message.certificate_id),
    ]
    title = "Valid certificate" if message.valid else "Revoked certificate"
    return page(title, f'{head}\n<section class="card" aria-label="Certificate">{facts(rows)}</section>\n{_FOOTER}')


def refusal_page(status: int, certificate_id: str) -> str:
    """The page for a number that is unknown or malformed, or that cannot be checked now."""
    kind, mark, heading, sentence = _REFUSALS.get(HTTPStatus(status), _FAILURE) if status != 499 else _FAILURE
    rows = [("Number given", _visible(certificate_id[:_SHOWN_ID]))]
    return page(heading, f'{banner(kind, mark, heading, sentence)}\n<section class="card">{facts(rows)}</section>\n{_FOOTER}')


def _date(time: Timestamp) -> str:
    moment: Any = time.ToDatetime()
    return f"{moment.day} {moment:%B} {moment.year} (UTC)"


def _visible(text: str) -> str:
    """The text without control and direction-changing characters, which could make it read as something else."""
    hidden = {"Cc", "Cs"}
    steering = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return "".join(char for char in text if unicodedata.category(char) not in hidden and char not in steering)
