"""The pages that ask: for a card, and for the bank's confirmation."""

from __future__ import annotations

from html import escape

from aiohttp import web

from fakes.checkout import CARDS, Card, Outcome, Session
from fakes.forms import FIELD
from fakes.ledger import Payment
from fakes.pages.layout import alert, moment, page, visible

_NOTES = {Outcome.FAILED: "refused", Outcome.UNCONFIRMED: "asks", Outcome.PROCESSING: "waits", Outcome.SUCCEEDED: "pays"}


def checkout_page(payment: Payment, action: str, token: str, fault: str = "") -> web.Response:
    """The page that asks for a card. `fault`: what is wrong with the one sent, else the latest refusal is told."""
    session = payment.session
    if fault:
        title, notice = "Check the card number", ""
    elif payment.refusal:
        title, notice = "Not paid", alert(payment.refusal, "You have not been charged. Try another card.")
    else:
        title, notice = f"Pay {session.price}", ""
    content = (
        f'<div class="columns">\n{summary(session)}\n<section class="panel" aria-labelledby="how">\n{notice}'
        f'<h2 id="how">Pay with a test card</h2>\n<form method="post" action="{escape(action)}" data-busy="Paying …">\n'
        f'<input type="hidden" name="{FIELD}" value="{token}">\n{_number_field(fault)}\n{_choices(unchosen=bool(fault))}\n'
        f'<button type="submit" class="main">Pay {escape(session.price)}</button>\n</form>\n'
        f'<p class="after"><a href="{escape(session.cancel_url)}">Cancel and go back</a></p>\n</section>\n</div>'
    )
    return page(title, content, 400 if fault else 200)


def confirm_page(payment: Payment, action: str, token: str) -> web.Response:
    """The bank's page, as with 3-D Secure: the payer confirms or denies."""
    session, card = payment.session, payment.card
    assert card is not None
    content = (
        '<section class="panel narrow" aria-labelledby="what">\n<p class="bank">Fake Bank</p>\n'
        '<h1 id="what">Do you want to pay this?</h1>\n'
        "<p>Your bank wants to be sure that it is you. A real one would send a code or ask in its app.</p>\n"
        f"{facts([('For', visible(session.description)), ('Amount', escape(session.price)), ('Card', ending(card))])}\n"
        f'<form method="post" action="{escape(action)}" data-busy="One moment …">\n'
        f'<input type="hidden" name="{FIELD}" value="{token}">\n<div class="pair">'
        '<button type="submit" class="main" name="decision" value="confirm">Confirm the payment</button>'
        '<button type="submit" class="plain" name="decision" value="deny">Deny it</button></div>\n</form>\n</section>'
    )
    return page("Confirm the payment", content)


def summary(session: Session) -> str:
    """What is paid, how much, and until when."""
    figure, _, currency = session.price.rpartition(" ")
    return (
        '<section class="summary" aria-labelledby="what">\n<p class="eyebrow">You are paying for</p>\n'
        f'<h1 id="what">{visible(session.description or "Something without a name")}</h1>\n'
        f'<p class="price">{escape(figure)} <span>{escape(currency)}</span></p>\n'
        f'<p class="soft">This page is open until {moment(session.expires_at)}.</p>\n</section>'
    )


def facts(rows: list[tuple[str, str]]) -> str:
    """A list of names (text) and values (HTML)."""
    lines = "\n".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"<dl>\n{lines}\n</dl>"


def ending(card: Card) -> str:
    """A card as receipts name it."""
    return f"Test card ending in {card.number[-4:]}"


def _number_field(fault: str) -> str:
    wrong = f'<p class="wrong" id="fault">{escape(fault)}</p>' if fault else ""
    state = ' aria-invalid="true" aria-describedby="fault hint" autofocus' if fault else ' aria-describedby="hint"'
    return (
        f'<div class="field"><label for="number">Card number</label>{wrong}\n'
        f'<input id="number" name="number" inputmode="numeric" autocomplete="off" spellcheck="false" maxlength="25" '
        f'placeholder="{next(iter(CARDS.values())).printed}"{state}>\n'
        '<p class="soft" id="hint">Choose a test card below, or type its number.</p></div>'
    )


def _choices(*, unchosen: bool) -> str:
    chosen = None if unchosen else next(iter(CARDS))
    lines = "\n".join(
        f'<label class="choice {_NOTES[card.outcome]}"><input type="radio" name="card" value="{card.number}"'
        f'{" checked" if card.number == chosen else ""}><span class="number">{card.printed}</span> '
        f'<span class="does">{escape(card.label)}</span></label>'
        for card in CARDS.values()
    )
    return f'<fieldset><legend>Test cards</legend>\n<div class="choices">\n{lines}\n</div></fieldset>'
