"""A fake payment provider: hosted checkout, test cards, signed webhooks. No money moves, and every page says so.

Its API: `POST /fake-pay/v1/checkout-sessions` makes a session, whose `url` is the page the payer is sent to.
"""

from __future__ import annotations

import hashlib
import html
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from fakes.checkout import CARDS, Card, Outcome, Session, checkout_page, result_page
from fakes.web import Mode, Outage, Problem, has_bearer, json_response, page, read_body, read_json, require_method
from fakes.webhooks import Delivery, QueueFull, WebhookSender

API_PATH = "/fake-pay/v1/checkout-sessions"
CHECKOUT_PATH = "/fake-pay/checkout/"
DELIVERIES_PATH = "/fake-pay/deliveries"
MAX_REMEMBERED = 10_000
STALE_SECONDS = 60  # how much older the failure of the out-of-order card is than its success


class Memory(OrderedDict[str, Any]):
    """A dictionary that forgets its oldest entries beyond MAX_REMEMBERED."""

    def remember(self, key: str, value: object) -> None:
        self[key] = value
        if len(self) > MAX_REMEMBERED:
            self.popitem(last=False)


class PaymentsFake:
    """The fake; `start()` it before use. Settings come by arguments alone.

    A session's id holds the session itself, so a restart loses no checkout; only "already paid" is forgotten, and
    paying again repeats the same events.
    """

    prefixes = ("/fake-pay/",)

    def __init__(
        self,
        *,
        api_key: str,
        public_url: str,
        webhook_url: str,
        webhook_secrets: Sequence[str],
        late_seconds: float = 5.0,
        max_attempts: int = 15,
        first_delay: float = 0.5,
        max_delay: float = 60.0,
        max_waiting: int = 1000,
    ) -> None:
        """`public_url` is where payers find this fake; the first of `webhook_secrets` signs; delays are in seconds."""
        self.api_key = api_key
        self.public_url = public_url
        self.late_seconds = late_seconds
        self.outage = Outage()  # of the merchant's API; the checkout pages stay up
        self.webhooks = WebhookSender(
            webhook_url,
            webhook_secrets[0],
            max_attempts=max_attempts,
            first_delay=first_delay,
            max_delay=max_delay,
            max_waiting=max_waiting,
        )
        self._session_secret = hashlib.sha256(b"checkout session:" + api_key.encode()).digest()
        self._tokens = Memory()  # idempotency key -> session id
        self._paid = Memory()  # session id -> when (Unix seconds) its payment succeeded or will

    async def start(self) -> None:
        await self.webhooks.start()

    async def close(self) -> None:
        """Stops the deliveries and answers those who wait in a silent outage."""
        if self.outage.mode is Mode.SILENT:
            self.outage.mode = Mode.DOWN
        await self.webhooks.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except Problem as problem:
            return problem.response()

    async def _route(self, request: web.BaseRequest) -> web.Response:
        path = request.path
        if path == API_PATH:
            require_method(request, "POST")
            await self.outage.check()
            return await self._create(request)
        if path == DELIVERIES_PATH:
            require_method(request, "GET")
            return _deliveries(request, list(self.webhooks.log))
        if path.startswith(CHECKOUT_PATH):
            token, _, rest = path.removeprefix(CHECKOUT_PATH).partition("/")
            session = Session.from_token(token, self._session_secret)
            if rest == "result":
                require_method(request, "GET")
                return result_page(session, self._outcome(token) or Outcome.PROCESSING)
            if not rest:
                require_method(request, "GET", "POST")
                return await self._checkout(request, token, session)
        raise Problem(404, "There is no such page in the fake payment provider.")

    async def _create(self, request: web.BaseRequest) -> web.Response:
        """A checkout session. The same Idempotency-Key gives the same one; with another body it is refused (409)."""
        if not has_bearer(request, self.api_key):
            raise Problem(401, "The API key is missing or wrong.")
        key = request.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= 255:
            raise Problem(400, "Send an Idempotency-Key of 1 to 255 characters.")
        session = Session.parse(await read_json(request), key)
        token = session.token(self._session_secret)
        if self._tokens.get(key, token) != token:
            raise Problem(409, "This Idempotency-Key was used for another checkout session.")
        self._tokens.remember(key, token)
        return json_response(
            {
                "id": token,
                "url": f"{self.public_url}{CHECKOUT_PATH}{token}",
                "expiresAt": session.expires_at,
                "paymentId": session.payment_id,
                "amountMinor": session.amount_minor,
                "currency": session.currency,
                "status": "open",
                "fake": True,
            }
        )

    def _outcome(self, token: str) -> Outcome | None:
        """How a paid session stands; None while it is open."""
        paid: float | None = self._paid.get(token)
        if paid is None:
            return None
        return Outcome.SUCCEEDED if paid <= time.time() else Outcome.PROCESSING

    async def _checkout(self, request: web.BaseRequest, token: str, session: Session) -> web.Response:
        done = self._outcome(token)
        expired = done is None and session.expires_at <= time.time()
        if request.method == "GET":
            if expired:
                return page("Expired (fake)", "<h1>This checkout has expired</h1><p>Go back and start again.</p>", 410)
            return result_page(session, done) if done else checkout_page(session, request.path)
        wants_json = request.content_type == "application/json"
        number = await _card_number(request)
        if done is not None:
            return self._answer(wants_json, request.path, session, done, "This checkout is done already.")
        if expired:
            raise Problem(410, "This checkout has expired. Start again.", code="expired")
        if (card := CARDS.get(number)) is None:
            cards = {card.number: card.label for card in CARDS.values()}
            raise Problem(400, "This is not a test card. Never send a real one.", testCards=cards)
        self._charge(token, session, card)
        return self._answer(wants_json, request.path, session, card.outcome, card.message)

    def _charge(self, token: str, session: Session, card: Card) -> None:
        """Lets the card do what it does, and tells the merchant. A refused card leaves the checkout open."""
        now = int(time.time())
        delay = self.late_seconds if card.late else 0.0
        paid = card.outcome is not Outcome.FAILED
        events = [session.event("payment.succeeded" if paid else "payment.failed", token, now)]
        if card.twice:
            events *= 2
        if card.stale_failure:
            events.append(session.event("payment.failed", token, now - STALE_SECONDS))
        try:
            self.webhooks.send(events, delay)
        except QueueFull:
            raise Problem(503, "Too many webhooks wait to be delivered. Try again later.") from None
        if paid:
            self._paid.remember(token, time.time() + delay)

    def _answer(self, wants_json: bool, path: str, session: Session, outcome: Outcome, message: str) -> web.Response:
        if wants_json:
            body = {"status": outcome.value, "message": message, "successUrl": session.success_url, "fake": True}
            return json_response(body)
        if outcome is Outcome.FAILED:
            return checkout_page(session, path, message, 402)
        return web.Response(status=303, headers={"Location": f"{path}/result"})


async def _card_number(request: web.BaseRequest) -> str:
    """The card of a form or a JSON body, without spaces. Raises Problem."""
    if request.content_type == "application/json":
        number = (await read_json(request)).get("card")
    elif request.content_type == "application/x-www-form-urlencoded":
        form = parse_qs((await read_body(request)).decode("utf-8", "replace"), max_num_fields=10)
        number = form.get("card", [""])[0]
    else:
        raise Problem(415, "Send a form or application/json.")
    if not isinstance(number, str):
        raise Problem(400, 'Send {"card": "4242424242424242"}.')
    return number.replace(" ", "")


def _deliveries(request: web.BaseRequest, log: list[Delivery]) -> web.Response:
    """What was delivered lately, newest first, as a page or, where it is asked for, as JSON."""
    summaries = [delivery.summary() for delivery in log]
    if "application/json" in request.headers.get("Accept", ""):
        return json_response({"deliveries": summaries})
    columns = ("eventId", "type", "paymentId", "state", "attempts")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Event", "Type", "Payment", "State", "Answers"))
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(summary[column]))}</td>" for column in columns) + "</tr>"
        for summary in summaries
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else "<p>None yet.</p>"
    return page("Webhook deliveries (fake)", f"<h1>Webhook deliveries</h1>{table}", wide=True)


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
