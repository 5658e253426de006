"""The pages that tell: how a payment went, that there is nothing to pay, that a request was refused."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from aiohttp import web

from fakes.ledger import Payment, Stage
from fakes.pages.checkout import ending, facts
from fakes.pages.layout import DELIVERIES_PATH, moment, page, visible
from fakes.web import Problem

_DONE, _NOW, _LATER = "done", "now", "later"
_SAID = {_DONE: "done", _NOW: "in progress", _LATER: "to come"}


def result_page(payment: Payment, now: float, *, again: bool = False) -> web.Response:
    """A payment that is paid or being processed. `again`: somebody came to pay once more."""
    paid = payment.stage(now) is Stage.PAID
    if not paid:
        title, text = "Your payment is being processed", "This takes a few seconds. You can wait here, or go on already."
    elif again:
        title, text = "This is paid already", "You need not pay again, and were not charged again."
    else:
        title, text = "Paid", "Thank you. The payment succeeded."
    mark = '<span class="tick" aria-hidden="true"></span>' if paid else '<span class="spinner" aria-hidden="true"></span>'
    told = payment.told
    steps = [
        (_DONE, "Card accepted"),
        (_DONE if paid else _NOW, "Money received"),
        (_DONE if told else _NOW if paid else _LATER, "School told (by a webhook)"),
    ]
    content = (
        f'<section class="panel narrow" aria-labelledby="how">\n{mark}\n<h1 id="how">{title}</h1>\n<p>{text}</p>\n'
        f"{_steps(steps)}\n{_receipt(payment, now)}\n"
        f'<p><a class="main" href="{escape(payment.session.success_url)}">Back to the course</a></p>\n'
        f"{'' if told else _check_again()}"
        f'<p class="after"><a href="{DELIVERIES_PATH}?paymentId={quote(payment.session.payment_id)}">Webhooks of this payment'
        "</a></p>\n</section>"
    )
    return page(title, content, state=f"{payment.stage(now).value} {told}", poll=not told)


def expired_page(payment: Payment) -> web.Response:
    """The time to pay is over."""
    content = (
        '<section class="panel narrow" aria-labelledby="how">\n<span class="clock" aria-hidden="true"></span>\n'
        '<h1 id="how">This checkout has expired</h1>\n'
        f"<p>You have not been charged. It was open until {moment(payment.session.expires_at)}.</p>\n"
        f'<p><a class="main" href="{escape(payment.session.cancel_url)}">Go back and start again</a></p>\n</section>'
    )
    return page("This checkout has expired", content, 410)


def fault_page(problem: Problem, path: str) -> web.Response:
    """A refused request, for people; the page can be loaded anew from here."""
    heading = {
        403: "Please load the page again", 404: "There is no such page", 503: "Please try again in a moment",
    }.get(problem.status, "This did not work")  # fmt: skip
    link = "" if problem.status in (404, 405) else f'<p><a class="main" href="{escape(path)}">Load the page again</a></p>\n'
    content = (
        f'<section class="panel narrow" aria-labelledby="how">\n<h1 id="how">{heading}</h1>\n'
        f"<p>{escape(problem.detail)}</p>\n{link}</section>"
    )
    return page(heading, content, problem.status)


def _steps(steps: list[tuple[str, str]]) -> str:
    lines = "\n".join(
        f'<li class="{state}">{escape(text)}<span class="unseen">: {_SAID[state]}</span></li>' for state, text in steps
    )
    return f'<ol class="steps">\n{lines}\n</ol>'


def _receipt(payment: Payment, now: float) -> str:
    session = payment.session
    assert payment.card is not None
    assert payment.paid_time is not None
    rows = [
        ("For", visible(session.description)),
        ("Amount", escape(session.price)),
        ("Card", ending(payment.card)),
        ("Payment", f"<code>{escape(session.payment_id)}</code>"),
    ]
    if payment.paid_time <= now:
        rows.append(("Paid", moment(payment.paid_time)))
    return facts(rows)


def _check_again() -> str:
    """For browsers without script; with it the page does this by itself."""
    return '<p class="after noscript"><a href="">Check again</a></p>\n'
