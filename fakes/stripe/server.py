"""The fake's HTTP: the API below /v1, and a checkout page for people below /c/pay."""

from __future__ import annotations

import asyncio
import html
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web

from fakes.stripe.params import read_refund, read_session
from fakes.stripe.shop import API_VERSION, MAX_PAGE, Cause, Shop
from fakes.stripe.webhooks import Sender
from fakes.stripe.wire import FAULT_ERRORS, Answer, ApiError, Fault, Keys, new_id, read_form
from fakes.web import Problem, has_bearer, read_body

SECRET_KEY = "sk_test_fake_stripe_for_development_only"
WEBHOOK_SECRET = "whsec_fake_stripe_for_development_only"
HANG_SECONDS = 600.0
ENDLESS_BYTES = 4 * 1024 * 1024
SHUTDOWN_SECONDS = 1.0
ELSEWHERE = "/elsewhere"  # where a redirect leads: nothing is there
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

# Does a request: its parameters, and the request as a cause.
Work = Callable[[dict[str, Any], Cause], dict[str, Any]]


class StripeFake:
    """`listen()`, then `url` is where it is. `shop` is what payers and time do; `webhooks` what was sent."""

    def __init__(
        self,
        *,
        secret_key: str = SECRET_KEY,
        webhook_url: str = "",
        webhook_secrets: Sequence[str] = (WEBHOOK_SECRET,),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.secret_key = secret_key
        self.webhooks = Sender(webhook_url, webhook_secrets)
        self.shop = Shop(self.webhooks.emit, now)
        self.url = ""
        # What goes wrong: with the next requests, one each, and with all of them.
        self.faults: deque[Fault] = deque(maxlen=100)
        self.broken: Fault | None = None
        self.slow_seconds = 0.05
        self.requests: deque[tuple[str, str, dict[str, Any]]] = deque(maxlen=1000)
        self._now = now
        self._keys = Keys()
        self._awake = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve on a TCP port (0: any free one)."""
        self._runner = web.ServerRunner(web.Server(self.handle, access_log=None), shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop serving and sending; those who wait in silence are let go."""
        self._awake.set()
        await self.webhooks.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request."""
        if request.path.startswith("/c/pay/"):
            return await self._page(request, request.path.removeprefix("/c/pay/"))
        cause = Cause(new_id("req"), request.headers.get("Idempotency-Key", ""))
        fault = None if request.path == ELSEWHERE else self.faults.popleft() if self.faults else self.broken
        try:
            answer, replayed = await self._answer(request, cause, fault)
        except ApiError as error:
            answer, replayed = Answer(error.status, error.body), False
        except Problem as problem:
            answer, replayed = Answer(problem.status, ApiError(problem.status, problem.detail).body), False
        body = orjson.dumps(answer.body)
        response = _strange(fault, body) or web.Response(body=body, status=answer.status)
        response.headers.update({"Request-Id": cause.request_id, "Stripe-Version": API_VERSION, "Stripe-Fake": "true"})
        response.headers.setdefault("Content-Type", "application/json")
        if cause.key:
            response.headers["Idempotency-Key"] = cause.key
        if replayed:
            response.headers["Idempotent-Replayed"] = "true"
        if fault is Fault.CUT and request.transport is not None:
            request.transport.abort()
        return response

    async def _answer(self, request: web.BaseRequest, cause: Cause, fault: Fault | None) -> tuple[Answer, bool]:
        """The answer, and whether it was given before. Raises ApiError, Problem."""
        body = (await read_body(request)).decode("utf-8", "replace")
        if fault is Fault.SILENT:
            await self._wait(HANG_SECONDS)
        if fault in FAULT_ERRORS and fault is not Fault.FAILED:
            raise FAULT_ERRORS[fault].error()
        if not has_bearer(request, self.secret_key):
            raise ApiError(401, "Invalid API Key provided.")
        params = read_form(body if request.method == "POST" else request.query_string)
        self.requests.append((request.method, request.path, params))
        work = self._work(request.method, request.path)
        if request.method == "GET" or not cause.key:
            return await self._do(work, params, cause, fault), False
        if len(cause.key) > 255:
            raise ApiError(400, "Idempotency keys have up to 255 characters.")
        known = self._keys.begin(cause.key, request.path, params)
        if known is not None:
            return known, True
        answer: Answer | None = None
        try:
            answer = await self._do(work, params, cause, fault)
        finally:
            # Parameters that are refused leave the key free, as nothing was begun.
            self._keys.end(cause.key, answer)
        return answer, False

    async def _do(self, work: Work, params: dict[str, Any], cause: Cause, fault: Fault | None) -> Answer:
        if fault is Fault.SLOW:
            await self._wait(self.slow_seconds)
        answer = Answer(200, work(params, cause))
        return FAULT_ERRORS[fault] if fault is Fault.FAILED else answer

    def _work(self, method: str, path: str) -> Work:
        """What a route does. Raises ApiError (404)."""
        parts = path.strip("/").split("/")
        match method, parts:
            case "POST", ["v1", "checkout", "sessions"]:
                return lambda params, _: self.shop.create_session(read_session(params, self._now()), self.url).json()
            case "GET", ["v1", "checkout", "sessions", session_id]:
                return lambda params, _: self.shop.session(session_id).json("payment_intent" in params.get("expand", []))
            case "POST", ["v1", "checkout", "sessions", session_id, "expire"]:
                return lambda _, cause: self.shop.expire(session_id, cause).json()
            case "POST", ["v1", "refunds"]:
                return lambda params, cause: self.shop.create_refund(read_refund(params), cause).json()
            case "GET", ["v1", "refunds"]:
                return lambda params, _: self._list_refunds(params)
        raise ApiError(404, f"Unrecognized request URL ({method}: {path}). This fake knows checkout sessions and refunds.")

    def _list_refunds(self, params: dict[str, Any]) -> dict[str, Any]:
        limit = params.get("limit", "10")
        if not limit.isdigit() or not 1 <= int(limit) <= MAX_PAGE:
            raise ApiError(400, f"Limits are 1 to {MAX_PAGE}.", param="limit")
        intent_id = str(params.get("payment_intent", ""))
        refunds, more = self.shop.list_refunds(intent_id, int(limit), str(params.get("starting_after", "")))
        return {"object": "list", "url": "/v1/refunds", "has_more": more, "data": [refund.json() for refund in refunds]}

    async def _wait(self, seconds: float) -> None:
        """Until so many seconds have passed, or the fake is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _page(self, request: web.BaseRequest, session_id: str) -> web.Response:
        """The checkout as a person sees it: one button for each way it can go."""
        try:
            session = self.shop.session(session_id)
            if request.method == "POST":
                await self._press(request, session_id)
        except (ApiError, Problem) as error:
            return _html(f"<p>{html.escape(str(error))}</p>", error.status)
        if request.method == "POST" and session.status == "complete":
            return web.Response(status=303, headers={"Location": session.order.success_url})
        if session.status != "open":
            return _html(f"<p>This checkout is {session.status}.</p>")
        buttons = {"pay": "Pay", "decline": "The card is declined", "late": "Pay later"}
        shown = "".join(f'<p><button name="outcome" value="{name}">{text}</button></p>' for name, text in buttons.items())
        price = f"{session.order.amount} ({session.order.currency}, smallest unit)"
        return _html(f'<h1>{html.escape(session.order.name)}</h1><p>{price}</p><form method="post">{shown}</form>')

    async def _press(self, request: web.BaseRequest, session_id: str) -> None:
        """One of the buttons. Raises ApiError, Problem."""
        form = read_form((await read_body(request)).decode("utf-8", "replace"))
        ways = {"pay": self.shop.pay, "decline": self.shop.decline, "late": self.shop.pay_late}
        way = ways.get(str(form.get("outcome")))
        if way is None:
            raise ApiError(400, "Choose one of the buttons.")
        way(session_id)


def _strange(fault: Fault | None, body: bytes) -> web.Response | None:
    """The answers that are none of an API, or not quite: `body` is the right one."""
    match fault:
        case Fault.GARBAGE:
            return web.Response(body=b"\xff\x00 not JSON", content_type="application/json")
        case Fault.STRANGE:
            return web.Response(body=b'{"object": "list", "data": "none", "id": 5}', content_type="application/json")
        case Fault.HTML:
            return web.Response(text="<html>Bad Gateway</html>", status=502, content_type="text/html")
        case Fault.ENDLESS:
            return web.Response(body=body.ljust(ENDLESS_BYTES), content_type="application/json")
        case Fault.REDIRECT:
            return web.Response(status=307, headers={"Location": ELSEWHERE})
    return None


def _html(body: str, status: int = 200) -> web.Response:
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Checkout (fake Stripe)</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f'<body><p role="note"><strong>FAKE STRIPE: no money moves</strong></p><main>{body}</main></body></html>'
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=PAGE_HEADERS)
