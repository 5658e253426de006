"""People at the console in a browser, signed in by their tokens, at whichever address the test gives them."""

from __future__ import annotations

from typing import Literal

from playwright.async_api import Locator, Page, expect

from tests.support.browser import Visitor, inaccessible, overflows
from tests.support.polling import eventually

# What differs between the looks is colours: one of them is held to every rule.
_LOOKS: dict[Literal["light", "dark"], tuple[str, ...]] = {"dark": (), "light": ("color-contrast",)}
# Nothing is on its way from one colour to another any more: a busy browser takes more than two frames for that.
_PAINTED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  await frame();
  while (document.getAnimations().some((item) => item instanceof CSSTransition)) await frame();
}"""
# What has come in of the call's media, asked of the page's own module.
_TRAFFIC = """async () => {
  const { live } = await import(document.querySelector('script[type=module]').src.replace('app.js', 'live.js'));
  const report = [...(await live.call.link.pc.getStats()).values()].filter((item) => item.type === 'inbound-rtp');
  const sum = (kind, field) => report.filter((item) => item.kind === kind).reduce((total, item) => total + item[field], 0);
  return { video: sum('video', 'bytesReceived'), audio: sum('audio', 'bytesReceived'), frames: sum('video', 'framesDecoded') };
}"""


class Seat:
    """Somebody at the console."""

    def __init__(self, visitor: Visitor, url: str) -> None:
        self.visitor = visitor
        self.url = url

    @property
    def page(self) -> Page:
        return self.visitor.page

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    async def open(self, path: str, heading: str = "") -> None:
        """Go to a page of the console, such as "/friends", and wait for its heading."""
        await self.page.goto(f"{self.url}/#{path}")
        if heading:
            await expect(self.page.get_by_role("heading", level=1, name=heading)).to_be_visible()

    async def press(self, name: str, within: Locator | None = None) -> None:
        """Press the button of this very name."""
        await (within or self.page).get_by_role("button", name=name, exact=True).click()

    async def sees(self, text: str) -> None:
        """Wait until a text is there to be seen."""
        await expect(self.page.get_by_text(text).first).to_be_visible()

    async def check(self) -> None:
        """The page hinders nobody, in both looks, and fits its window."""
        await expect(self.page.get_by_role("main")).not_to_have_attribute("aria-busy", "true")
        for look, rules in _LOOKS.items():
            await self.page.emulate_media(color_scheme=look, reduced_motion="reduce")
            await self.page.evaluate(_PAINTED)
            found = await inaccessible(self.page, *rules)
            assert not found, f"{self.page.url}, {look}:\n" + "\n".join(found)
        assert not await overflows(self.page), f"{self.page.url} is wider than its window"

    async def flow(self, seconds: float = 20.0) -> None:
        """Wait until more of the other side's picture and sound has come in."""
        first = await self.page.evaluate(_TRAFFIC)
        await eventually(
            lambda: self.page.evaluate(_TRAFFIC), lambda now: all(now[name] > first[name] for name in first), seconds
        )


async def seat(visitor: Visitor, url: str, token: str) -> Seat:
    """Sign in by the form for tokens, as somebody with an account does."""
    page = visitor.page
    await page.goto(f"{url}/#/welcome")
    field = page.get_by_label("Session token")
    await expect(page.get_by_text("Sign in with a session token")).to_be_visible()
    if not await field.is_visible():
        await page.get_by_text("Sign in with a session token").click()
    await field.fill(token)
    await field.locator("xpath=ancestor::form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    return Seat(visitor, url)
