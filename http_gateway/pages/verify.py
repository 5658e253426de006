"""The pages a QR code on a certificate leads to, and those for its file. Programs get the same answers as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote

from contract.errors import CallError
from http_gateway.answers import Answer, Response
from http_gateway.handlers import CallHandler
from http_gateway.incoming import Incoming
from http_gateway.outgoing import HTML, add_metadata, prefers_html, problem_answer, simple_answer
from http_gateway.pages.certificate_style import CERTIFICATE_STYLE
from http_gateway.pages.certificate_views import certificate_page, file_page, refusal_page, start_page
from http_gateway.pages.layout import policy
from http_gateway.path_templates import decode_segment
from http_gateway.problems import problem_for

VERIFY = "/skillforge.v1.CertificatesService/VerifyCertificate"
CHECK_FILE = "/skillforge.v1.CertificatesService/CheckCertificateFile"
START_PATH = "/certificates/verify"
_POLICY = policy(CERTIFICATE_STYLE, form_action="'self'")


class CertificatePage:
    """Serves a route of verification: HTML to whoever prefers it, else what the method's own handler answers.

    `view` makes the page of a reply's message; `names`: the path names the certificate.
    """

    def __init__(self, handler: CallHandler, view: Callable[[Any], str], *, names: bool) -> None:
        self._handler = handler
        self._view = view
        self._names = names

    async def __call__(self, call: Incoming) -> Response:
        as_page = prefers_html(call.headers.get("Accept", ""))
        try:
            reply = await self._handler.invoke(call)
        except CallError as error:
            answer = self._refusal(call, error, as_page)
        else:
            answer = _html(call, 200, self._view(reply.message)) if as_page else self._handler.respond(call, reply)
            if as_page:
                add_metadata(answer, reply.metadata)
        answer.add("Vary", "Accept")
        return answer

    def _refusal(self, call: Incoming, error: CallError, as_page: bool) -> Answer:
        problem = problem_for(error, call.request_id)
        if as_page:
            typed = decode_segment(call.place.segments[1]) if self._names else None
            answer = _html(call, problem.status, refusal_page(problem.status, typed))
            for name, value in problem.headers.items():
                answer.add(name, value)
        else:
            answer = problem_answer(problem, call.request_id)
        answer.close = not call.request.content.is_eof()  # what is left of the body is not worth reading
        return answer


def verify_page(handler: CallHandler) -> CertificatePage:
    """Serves what a certificate's number stands for."""
    return CertificatePage(handler, certificate_page, names=True)


def check_page(handler: CallHandler) -> CertificatePage:
    """Serves what became of a file."""
    return CertificatePage(handler, file_page, names=False)


async def start(call: Incoming) -> Answer:
    """Where somebody begins who has a number or a file; a number that was typed leads on to its page."""
    typed = parse_qs(call.place.query, max_num_fields=10).get("number", [""])[0].strip() if len(call.place.query) < 1000 else ""
    if not typed:
        return _html(call, 200, start_page())
    answer = simple_answer(303, b"", "", call.request_id)
    answer.add("Location", f"{quote(typed, safe='')}/verify")
    return answer


def _html(call: Incoming, status: int, text: str) -> Answer:
    return simple_answer(status, text.encode(), HTML, call.request_id, _POLICY)
