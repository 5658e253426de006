"""The fake checkout's pages and forms over plain HTTP: escaping, headers, and forms that only their own page can send."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.manual_clock import ManualClock
from tests.support.merchant import CONFIRM, DECLINED, LATE, PAYS, Api, Merchant, open_api, open_merchant

HTML = {"Accept": "text/html"}


class Page(NamedTuple):
    """What a browser got; `cookie` is the header that gives it back."""

    status: int
    text: str
    headers: dict[str, str]
    cookie: dict[str, str]

    @property
    def heading(self) -> str:
        """Its first heading, without markup."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text)
        return re.sub(r"<[^>]*>", "", found[1]) if found else ""

    def token(self, action: str = "") -> str:
        """The token of its form, or of the one with this action."""
        found = re.search(rf'action="[^"]*{action}"[^>]*>\s*<input type="hidden" name="token" value="(\w+)"', self.text)
        return found[1] if found else ""


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    async with open_merchant() as taker:
        yield taker


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def api(tmp_path: Path, merchant: Merchant, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(tmp_path, merchant, clock) as opened:
        yield opened


async def get(api: Api, url: str, cookie: dict[str, str] | None = None) -> Page:
    async with api.http.get(url, headers={**HTML, **(cookie or {})}) as response:
        cookies = {name: morsel.value for name, morsel in response.cookies.items()}
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else cookie or {}
        return Page(response.status, await response.text(), dict(response.headers), header)


async def send(api: Api, url: str, fields: dict[str, str], headers: dict[str, str]) -> Page:
    async with api.http.post(url, data=fields, headers={**HTML, **headers}, allow_redirects=False) as response:
        return Page(response.status, await response.text(), dict(response.headers), {})


async def test_the_page_is_safe(api: Api) -> None:
    title = 'Distributed <Systems> & "more"\u202e\u0007'
    page = await get(api, (await api.session(description=title))["url"])
    assert page.heading == "Distributed &lt;Systems&gt; &amp; &quot;more&quot;"
    assert "<Systems>" not in page.text
    assert "This is a fake payment provider" in page.text
    assert "Pay 19.99 USD" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", page.text), "nothing is inline"
    loaded = re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for path in set(loaded):
        assert path.startswith("/fake-pay/assets/"), "nothing comes from elsewhere"
        async with api.http.get(api.world.url + path) as response:
            assert response.status == 200
            assert "immutable" in response.headers["Cache-Control"]
    assert (await get(api, f"{api.world.url}/fake-pay/assets/../payments.py")).status == 404


async def test_the_visitor_s_cookie(api: Api) -> None:
    url = (await api.session())["url"]
    page = await get(api, url)
    assert {"HttpOnly", "SameSite=Lax", "Path=/fake-pay/"} <= set(page.headers["Set-Cookie"].split("; "))
    assert "Set-Cookie" not in (await get(api, url, page.cookie)).headers
    assert (await get(api, url, {"Cookie": "fake_pay_visitor=<b>"})).cookie != {"Cookie": "fake_pay_visitor=<b>"}
    api.world.payments.public_url = "https://pay.example"
    assert "Secure" in (await get(api, url)).headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize("forgery", ["no token", "no cookie", "another's cookie", "another form's token", "from another site"])
async def test_forged_forms_do_nothing(api: Api, forgery: str) -> None:
    url = (await api.session())["url"]
    page = await get(api, url)
    fields, headers = {"card": PAYS, "token": page.token()}, {**page.cookie, "Sec-Fetch-Site": "same-origin"}
    match forgery:
        case "no token":
            del fields["token"]
        case "no cookie":
            del headers["Cookie"]
        case "another's cookie":
            headers |= (await get(api, url)).cookie
        case "another form's token":
            other = await api.session("key-2")
            fields["token"] = (await get(api, other["url"], page.cookie)).token()
        case "from another site":
            headers["Sec-Fetch-Site"] = "cross-site"
    refused = await send(api, url, fields, headers)
    assert (refused.status, refused.heading) == (403, "Please load the page again")
    assert not api.world.payments.webhooks.log
    fields["token"] = page.token()
    paid = await send(api, url, fields, {**page.cookie, "Sec-Fetch-Site": "same-origin"})
    assert (paid.status, paid.headers["Location"]) == (303, url.removeprefix(api.world.url) + "/result")


async def test_a_form_sent_twice_pays_once(api: Api, merchant: Merchant) -> None:
    url = (await api.session())["url"]
    page = await get(api, url)
    for _ in range(2):
        sent = await send(api, url, {"card": PAYS, "token": page.token()}, page.cookie)
        assert sent.status == 303
    assert (await get(api, url + "/result")).heading == "Paid"
    assert (await get(api, url)).heading == "This is paid already"
    assert "https://shop.example/paid?a=1&amp;b=2" in (await get(api, url)).text
    assert len(await merchant.wait(1)) == len(api.world.payments.webhooks.log) == 1


async def test_every_page_leads_to_where_the_payment_is(api: Api, clock: ManualClock) -> None:
    url = (await api.session())["url"]
    path = url.removeprefix(api.world.url)
    page = await get(api, url)

    async def lands(address: str) -> str:
        async with api.http.get(address, headers=HTML) as response:
            return response.url.path

    assert await lands(url + "/result") == await lands(url + "/confirm") == path
    declined = await send(api, url, {"number": DECLINED, "card": PAYS, "token": page.token()}, page.cookie)
    assert declined.headers["Location"] == path, "what is typed counts"
    assert "The card was declined." in (await get(api, url)).text
    await send(api, url, {"card": CONFIRM, "token": page.token()}, page.cookie)
    assert await lands(url + "/confirm") == await lands(url + "/result") == path + "/confirm"
    assert await lands(url) == path, "another card can be taken"
    await send(api, url, {"card": LATE, "token": page.token()}, page.cookie)
    assert await lands(url) == await lands(url + "/confirm") == path + "/result"
    assert "data-poll" in (await get(api, url)).text
    clock.advance(5)
    assert (await get(api, url + "/result")).heading == "Paid"


async def test_the_confirmation_s_form(api: Api) -> None:
    url = (await api.session())["url"]
    page = await get(api, url)
    await send(api, url, {"card": CONFIRM, "token": page.token()}, page.cookie)
    bank = await get(api, url + "/confirm", page.cookie)
    forged = await send(api, url + "/confirm", {"decision": "confirm", "token": page.token()}, page.cookie)
    assert forged.status == 403, "the token of one form is not that of another"
    await send(api, url + "/confirm", {"decision": "deny", "token": bank.token()}, page.cookie)
    assert "You denied the payment." in (await get(api, url)).text


async def test_an_expired_checkout(api: Api, clock: ManualClock) -> None:
    url = (await api.session())["url"]
    page = await get(api, url)
    clock.advance(601)
    sent = await send(api, url, {"card": PAYS, "token": page.token()}, page.cookie)
    assert (sent.status, sent.headers["Location"]) == (303, url.removeprefix(api.world.url))
    for rest in ("", "/confirm", "/result"):
        expired = await get(api, url + rest)
        assert (expired.status, expired.heading) == (410, "This checkout has expired")
        assert "https://shop.example/cancelled" in expired.text


async def test_what_a_form_cannot_be(api: Api) -> None:
    url = (await api.session())["url"]
    page = await get(api, url)
    wrong = await send(api, url, {"number": "5555 5555 5555 4444", "token": page.token()}, page.cookie)
    assert wrong.status == 400
    assert 'aria-invalid="true"' in wrong.text
    assert "5555" not in wrong.text
    assert (await send(api, url, {str(number): "x" for number in range(11)}, page.cookie)).status == 400
    assert (await send(api, url, {"number": "4" * 70_000}, page.cookie)).status == 413
    async with api.http.post(url, data=b"card", headers={"Content-Type": "text/plain"}) as response:
        assert (response.status, response.content_type) == (415, "application/problem+json")
    assert (await send(api, url + "/result", {}, {})).status == 405
    assert (await get(api, url + "/nothing")).heading == "There is no such page"


async def test_sending_a_webhook_again_needs_its_form(api: Api, merchant: Merchant) -> None:
    await api.paid()
    await merchant.wait(1)
    log = f"{api.world.url}/fake-pay/deliveries"
    while not (page := await get(api, log + "?paymentId=0193-payment")).token("/send"):
        pass
    action = f"{log}/{api.world.payments.webhooks.log[0].id}/send"
    assert (await send(api, action, {"token": "x"}, page.cookie)).status == 403
    sent = await send(api, action, {"token": page.token("/send"), "only": "1"}, page.cookie)
    assert sent.status == 303
    assert "?paymentId=0193-payment#whd_" in sent.headers["Location"]
    assert len(await merchant.wait(2)) == 2
