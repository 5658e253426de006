"""Forms that only their own page can send: each carries a token bound to the visitor's cookie and the form's address.

(OWASP's signed double-submit cookie.) The secret dies with the process, so a page from before must be loaded again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qs

from aiohttp import web

from fakes.web import Problem, read_body

COOKIE = "fake_pay_visitor"
COOKIE_PATH = "/fake-pay/"
FIELD = "token"
MAX_FIELDS = 10
_VISITOR = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class Forms:
    """Makes the tokens and reads the forms."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def visitor(self, request: web.BaseRequest) -> str:
        """Whose page it is: the visitor of the cookie, or a new one."""
        given = request.cookies.get(COOKIE, "")
        return given if _VISITOR.fullmatch(given) else secrets.token_urlsafe(16)

    def token(self, visitor: str, action: str) -> str:
        """What the form with this path as its `action` must carry."""
        return hmac.new(self._secret, f"{visitor} {action}".encode(), hashlib.sha256).hexdigest()

    def remember(self, request: web.BaseRequest, response: web.Response, visitor: str, *, secure: bool) -> web.Response:
        """Gives the visitor their cookie, unless they have it."""
        if request.cookies.get(COOKIE) != visitor:
            # Lax: whoever comes here from the merchant's site is still the same visitor.
            response.set_cookie(COOKIE, visitor, path=COOKIE_PATH, httponly=True, samesite="Lax", secure=secure)
        return response

    async def read(self, request: web.BaseRequest) -> dict[str, str]:
        """The fields of a form that came from our own page. Raises Problem."""
        if request.content_type != "application/x-www-form-urlencoded":
            raise Problem(415, "Send a form or application/json.")
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Problem(403, "This form was sent from another site. Nothing was done.", code="form_stale")
        body = (await read_body(request)).decode("utf-8", "replace")
        try:
            fields = {name: values[0] for name, values in parse_qs(body, max_num_fields=MAX_FIELDS).items()}
        except ValueError:
            raise Problem(400, f"A form here has at most {MAX_FIELDS} fields.") from None
        expected = self.token(request.cookies.get(COOKIE, ""), request.path)
        if not hmac.compare_digest(fields.pop(FIELD, "").encode(), expected.encode()):
            detail = "This form is out of date, or your browser keeps no cookies. Nothing was done."
            raise Problem(403, detail, code="form_stale")
        return fields
