"""A fake payment provider: hosted checkout, test cards, refunds, signed webhooks. No money moves, and every page says so.

Its API, for the merchant's key:
`POST /fake-pay/v1/checkout-sessions` makes a session, whose `url` is the page the payer is sent to;
`POST /fake-pay/v1/refunds` gives money back; `GET /fake-pay/v1/payments/{paymentId}` tells how a payment stands.

For people: `/fake-pay/checkout/...` and the log of webhooks, `/fake-pay/deliveries`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from aiohttp import web

from fakes.checkout import CARDS, Card, Outcome, RefundOrder, Session
from fakes.clock import Clock, SystemClock
from fakes.forms import Forms
from fakes.ledger import Ledger, Memory, Payment, Stage
from fakes.pages.checkout import checkout_page, confirm_page
from fakes.pages.deliveries import deliveries_page
from fakes.pages.layout import DELIVERIES_PATH, asset_response
from fakes.pages.outcomes import expired_page, fault_page, result_page
from fakes.web import Mode, Outage, Problem, has_bearer, json_response, read_json, require_method
from fakes.webhooks import Delivery, QueueFull, WebhookSender

API_PATH = "/fake-pay/v1/"
CHECKOUT_PATH = "/fake-pay/checkout/"
MAX_KEY = 255  # characters of an idempotency key


class PaymentsFake:
    """The fake; `start()` it before use. Settings come by arguments alone.

    A session's id holds the session itself, so a restart loses no checkout. What was paid and refunded, and the webhooks
    still to be delivered, live in this process alone; paying again after a restart repeats the same events.
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
        clock: Clock | None = None,
    ) -> None:
        """`public_url` is where payers find this fake; the first of `webhook_secrets` signs; delays are in seconds."""
        self.api_key = api_key
        self.public_url = public_url
        self.outage = Outage()  # of the merchant's API; the checkout pages stay up
        self.webhooks = WebhookSender(
            webhook_url,
            webhook_secrets[0],
            clock or SystemClock(),
            max_attempts=max_attempts,
            first_delay=first_delay,
            max_delay=max_delay,
            max_waiting=max_waiting,
        )
        self.ledger = Ledger(self.webhooks, late_seconds)
        self._forms = Forms()
        self._session_secret = hashlib.sha256(b"checkout session:" + api_key.encode()).digest()
        self._tokens: Memory[str] = Memory()  # idempotency key -> session id

    async def close(self) -> None:
        """Stops the deliveries and answers those who wait in a silent outage."""
        if self.outage.mode is Mode.SILENT:
            self.outage.mode = Mode.DOWN
        await self.webhooks.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except Problem as problem:
            if "text/html" in request.headers.get("Accept", "") and not request.path.startswith(API_PATH):
                return fault_page(problem, request.path)
            return problem.response()

    async def _route(self, request: web.BaseRequest) -> web.Response:
        path = request.path
        if path.startswith(API_PATH):
            return await self._api(request, path.removeprefix(API_PATH))
        if path == DELIVERIES_PATH or path.startswith(DELIVERIES_PATH + "/"):
            return await self._deliveries(request)
        if path.startswith(CHECKOUT_PATH):
            token, _, rest = path.removeprefix(CHECKOUT_PATH).partition("/")
            session = Session.from_token(token, self._session_secret)
            return await self._checkout(request, rest, self.ledger.payment(token, session))
        if (asset := asset_response(path)) is not None:
            require_method(request, "GET")
            return asset
        raise Problem(404, "There is no such page in the fake payment provider.")

    # The merchant's API.

    async def _api(self, request: web.BaseRequest, rest: str) -> web.Response:
        name, _, argument = rest.partition("/")
        if (name, bool(argument)) not in (("checkout-sessions", False), ("refunds", False), ("payments", True)):
            raise Problem(404, "There is no such method in the fake payment provider.")
        require_method(request, "GET" if name == "payments" else "POST")
        await self.outage.check()
        if not has_bearer(request, self.api_key):
            raise Problem(401, "The API key is missing or wrong.")
        if name == "payments":
            return self._find(argument)
        key = request.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= MAX_KEY:
            raise Problem(400, f"Send an Idempotency-Key of 1 to {MAX_KEY} characters.")
        return await (self._create(request, key) if name == "checkout-sessions" else self._refund(request, key))

    async def _create(self, request: web.BaseRequest, key: str) -> web.Response:
        """A checkout session. The same Idempotency-Key gives the same one; with another body it is refused (409)."""
        session = Session.parse(await read_json(request), key)
        token = session.token(self._session_secret)
        if self._tokens.get(key, token) != token:
            raise Problem(409, "This Idempotency-Key was used for another checkout session.", code="idempotency_mismatch")
        self._tokens.remember(key, token)
        self.ledger.payment(token, session)
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

    async def _refund(self, request: web.BaseRequest, key: str) -> web.Response:
        """A refund: 201, and 200 for the same one again."""
        refund, new = self.ledger.refund(RefundOrder.parse(await read_json(request)), key)
        return json_response(refund.summary(self.ledger.now()), 201 if new else 200)

    def _find(self, payment_id: str) -> web.Response:
        payment = self.ledger.find(payment_id)
        if payment is None:
            raise Problem(404, "There is no such payment. This fake forgets its payments when it stops.", code="payment_unknown")
        return json_response(payment.summary(self.ledger.now()))

    # The payer's pages.

    async def _checkout(self, request: web.BaseRequest, rest: str, payment: Payment) -> web.Response:
        if rest not in ("", "confirm", "result"):
            raise Problem(404, "There is no such page in the fake payment provider.")
        if rest == "result":
            require_method(request, "GET")
        require_method(request, "GET", "POST")
        if request.method == "GET":
            return self._show(request, rest, payment)
        # A browser lets another site send a form, but JSON only where we allow it, and we don't.
        if request.content_type == "application/json":
            self._act(rest, payment, await read_json(request))
            return self._standing(payment)
        fields = await self._forms.read(request)
        try:
            self._act(rest, payment, fields)
        except Problem as problem:
            if problem.code == "no_test_card":
                return self._ask(request, payment, problem.detail)
            if problem.code != "expired":
                raise
        return _redirect(_place(payment, self.ledger.now()))

    def _act(self, rest: str, payment: Payment, fields: Mapping[str, object]) -> None:
        """Does what a form or a program asks for; nothing for a payment that is done already. Raises Problem."""
        stage = payment.stage(self.ledger.now())
        if stage is Stage.EXPIRED:
            raise Problem(410, "This checkout has expired. Start again.", code="expired")
        if stage in (Stage.PAID, Stage.PROCESSING):
            return
        if not rest:
            self.ledger.charge(payment, _card(fields))
        elif fields.get("decision") not in ("confirm", "deny"):
            raise Problem(400, 'Send the decision "confirm" or "deny".')
        elif stage is Stage.UNCONFIRMED:
            self.ledger.confirm(payment, fields["decision"] == "confirm")

    def _show(self, request: web.BaseRequest, rest: str, payment: Payment) -> web.Response:
        """The page asked for, or the way to the one that fits how far the payment is."""
        now = self.ledger.now()
        stage = payment.stage(now)
        if stage is Stage.EXPIRED:
            return expired_page(payment)
        if stage is Stage.PAID and rest != "confirm":
            return result_page(payment, now, again=not rest)
        if stage is Stage.PROCESSING and rest == "result":
            return result_page(payment, now)
        if stage is Stage.UNCONFIRMED and rest == "confirm":
            visitor = self._forms.visitor(request)
            page = confirm_page(payment, request.path, self._forms.token(visitor, request.path))
            return self._remember(request, page, visitor)
        if stage is Stage.PROCESSING or rest:
            return _redirect(_place(payment, now))
        return self._ask(request, payment)

    def _ask(self, request: web.BaseRequest, payment: Payment, fault: str = "") -> web.Response:
        visitor = self._forms.visitor(request)
        page = checkout_page(payment, request.path, self._forms.token(visitor, request.path), fault)
        return self._remember(request, page, visitor)

    def _remember(self, request: web.BaseRequest, page: web.Response, visitor: str) -> web.Response:
        return self._forms.remember(request, page, visitor, secure=self.public_url.startswith("https:"))

    def _standing(self, payment: Payment) -> web.Response:
        """What a program that paid is told."""
        now = self.ledger.now()
        stage = payment.stage(now)
        outcome = _OUTCOMES.get(stage, Outcome.FAILED)
        message = payment.refusal if outcome is Outcome.FAILED or payment.card is None else payment.card.message
        body = {"status": outcome.value, "message": message, "successUrl": payment.session.success_url, "fake": True}
        if stage is Stage.UNCONFIRMED:
            body["confirmUrl"] = self.public_url + _place(payment, now)
        return json_response(body)

    # The log of webhooks.

    async def _deliveries(self, request: web.BaseRequest) -> web.Response:
        delivery_id, _, verb = request.path.removeprefix(DELIVERIES_PATH).removeprefix("/").partition("/")
        if verb == "send" and (delivery := self.webhooks.find(delivery_id)) is not None:
            return await self._send_again(request, delivery)
        if delivery_id or verb:
            raise Problem(404, "There is no such delivery, or it is forgotten.")
        require_method(request, "GET")
        payment_id = request.query.get("paymentId", "")
        log = [item for item in self.webhooks.log if payment_id in ("", item.payment_id)]
        if "application/json" in request.headers.get("Accept", ""):
            return json_response({"deliveries": [item.summary() for item in log]})
        visitor = self._forms.visitor(request)
        page = deliveries_page(
            log, payment_id, lambda action: self._forms.token(visitor, action), self.webhooks.max_attempts
        )  # fmt: skip
        return self._remember(request, page, visitor)

    async def _send_again(self, request: web.BaseRequest, delivery: Delivery) -> web.Response:
        require_method(request, "POST")
        wants_json = request.content_type == "application/json"
        fields = await read_json(request) if wants_json else await self._forms.read(request)
        try:
            self.webhooks.repeat(delivery)
        except QueueFull:
            raise Problem(503, "Too many webhooks wait to be delivered. Try again later.") from None
        if wants_json:
            return json_response(delivery.summary(), 202)
        shown = f"?paymentId={quote(delivery.payment_id)}" if fields.get("only") else ""
        return _redirect(f"{DELIVERIES_PATH}{shown}#{delivery.id}")


_OUTCOMES = {
    Stage.PAID: Outcome.SUCCEEDED,
    Stage.PROCESSING: Outcome.PROCESSING,
    Stage.UNCONFIRMED: Outcome.UNCONFIRMED,
}


def _place(payment: Payment, now: float) -> str:
    """The path of the page that fits how far a payment is."""
    rest = {Stage.UNCONFIRMED: "/confirm", Stage.PAID: "/result", Stage.PROCESSING: "/result"}.get(payment.stage(now), "")
    return f"{CHECKOUT_PATH}{payment.token}{rest}"


def _card(fields: Mapping[str, object]) -> Card:
    """The test card that was typed (`number`), else the one chosen (`card`). Raises Problem, which never repeats a number."""
    given = fields.get("number") or fields.get("card")
    number = re.sub(r"[\s-]", "", given) if isinstance(given, str) else ""
    if (card := CARDS.get(number)) is None:
        cards = {card.number: card.label for card in CARDS.values()}
        detail = "This is not a test card. Never send a real one." if given else "Choose a test card, or type its number."
        raise Problem(400, detail, code="no_test_card", testCards=cards)
    return card


def _redirect(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
