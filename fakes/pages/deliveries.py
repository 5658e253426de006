"""The log of webhooks: what was sent, what the merchant answered, what is tried next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from urllib.parse import quote

import orjson
from aiohttp import web

from fakes.forms import FIELD
from fakes.pages.layout import DELIVERIES_PATH, moment, page, visible
from fakes.webhooks import DELIVERED, LOG_LENGTH, WAITING, Attempt, Delivery

SHOWN = 50
_LOOKS = {DELIVERED: "good", WAITING: "note"}


def send_path(delivery: Delivery) -> str:
    """Where a form asks for a delivery to be sent again."""
    return f"{DELIVERIES_PATH}/{delivery.id}/send"


def deliveries_page(log: Sequence[Delivery], payment_id: str, token: Callable[[str], str], max_attempts: int) -> web.Response:
    """The newest deliveries of a payment, or of all. `token` makes the token of the form with this action."""
    shown = log[:SHOWN]
    about = f"of the payment <code>{escape(payment_id)}</code>" if payment_id else "of all payments"
    everything = f' <a href="{DELIVERIES_PATH}">Show all</a>' if payment_id else ""
    items = "\n".join(_item(delivery, token, only=bool(payment_id)) for delivery in shown)
    listed = f'<ol class="deliveries">\n{items}\n</ol>' if items else '<p class="panel">Nothing was sent yet.</p>'
    content = (
        f"<h1>Webhook deliveries</h1>\n<p>The newest {SHOWN} {about}, newest first.{everything}</p>\n{listed}\n"
        f'<p class="soft">A webhook is repeated, ever more slowly, until the answer is a 2xx; after {max_attempts} attempts it '
        "is given up. Order is kept among the webhooks of one charge, not between charges and refunds. "
        f"The latest {LOG_LENGTH} are remembered until this process stops. Programs get this page as JSON.</p>"
    )
    state = " ".join(f"{delivery.id}:{delivery.state}:{len(delivery.attempts)}" for delivery in shown)
    poll = any(delivery.state == WAITING for delivery in shown)
    return page("Webhook deliveries", content, state=state, poll=poll, wide=True)


def _item(delivery: Delivery, token: Callable[[str], str], *, only: bool) -> str:
    event = delivery.event
    attempts = "\n".join(_attempt(attempt) for attempt in delivery.attempts)
    tried = f'<ol class="attempts">\n{attempts}\n</ol>\n' if attempts else ""
    upcoming = f" Next try {moment(delivery.next_time)}." if delivery.next_time is not None else ""
    body = orjson.dumps(event, option=orjson.OPT_INDENT_2).decode()
    return (
        f'<li class="panel" id="{delivery.id}">\n<div class="line"><h2><code>{escape(event["type"])}</code></h2> '
        f'<p class="pill {_LOOKS.get(delivery.state, "bad")}">{delivery.state}</p></div>\n'
        f'<p class="soft">Payment <a href="{DELIVERIES_PATH}?paymentId={quote(delivery.payment_id)}">'
        f"<code>{escape(delivery.payment_id)}</code></a>, event <code>{escape(event['id'])}</code></p>\n"
        f"<p>{_count(delivery)}{upcoming}</p>\n{tried}"
        f'<div class="line foot"><details><summary>What is sent</summary><pre>{escape(body)}</pre></details>\n'
        f"{_button(delivery, token, only=only) if delivery.repeatable else ''}</div>\n</li>"
    )


def _count(delivery: Delivery) -> str:
    count = len(delivery.attempts)
    return {0: "Not tried yet.", 1: "Tried once."}.get(count, f"Tried {count} times.")


def _attempt(attempt: Attempt) -> str:
    look = "good" if attempt.taken else "bad"
    detail = f' <span class="detail">{visible(attempt.detail)}</span>' if attempt.detail else ""
    return (
        f'<li>{moment(attempt.time)}: <strong class="{look}">{escape(attempt.answer)}</strong> '
        f"in {1000 * attempt.seconds:.0f} ms{detail}</li>"
    )


def _button(delivery: Delivery, token: Callable[[str], str], *, only: bool) -> str:
    action, label = send_path(delivery), "Send now" if delivery.state == WAITING else "Send again"
    what = f"{label}: {delivery.event['type']}, event {delivery.event['id']}"
    stay = '<input type="hidden" name="only" value="1">' if only else ""
    return (
        f'<form method="post" action="{action}"><input type="hidden" name="{FIELD}" value="{token(action)}">{stay}'
        f'<button type="submit" class="plain" aria-label="{escape(what)}">{label}</button></form>'
    )
