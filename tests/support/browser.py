"""A real browser for the tests: headless Chromium, one a pytest worker; a visitor is a person with a profile of their own.

A test fails when a page of its visitors logged an error, threw, or could not load something; `forgive` what is meant.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

DESKTOP = (1280, 800)
PHONE = (360, 740)
TIMEOUT_SECONDS = 10.0
_NAMES = ("chromium", "chromium-browser", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium")
_ARGUMENTS = (
    "--no-sandbox",  # tests may run as root, and see pages of ours alone
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",  # a camera and a microphone, which a visitor may be allowed to use
    "--allow-loopback-in-peer-connection",  # calls work on a machine without a network, too
)
_SERIOUS = ("serious", "critical")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Chromium, until the end; a second or so to start."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    assert path is not None, "There is no Chromium: `make test` installs it."
    expect.set_options(timeout=1000 * TIMEOUT_SECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Somebody at a browser: one profile (cookies, storage), one page, what went wrong in it."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.faults: list[str] = []
        self._forgiven: list[str] = []
        context.on("console", self._logged)
        context.on("weberror", lambda error: self.faults.append(f"threw: {error.error}"))
        context.on("requestfailed", self._failed)

    def forgive(self, text: str) -> None:
        """Faults that contain the text are meant, such as "status of 410"."""
        self._forgiven.append(text)

    def check(self) -> None:
        """Fails with all that went wrong."""
        bad = [fault for fault in self.faults if not any(text in fault for text in self._forgiven)]
        assert not bad, "the browser complains:\n" + "\n".join(bad)

    async def shot(self, path: Path) -> None:
        """A picture of the whole page, for people to look at."""
        await self.page.screenshot(path=path, full_page=True)

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _failed(self, request: Request) -> None:
        # A page that is left takes its unfinished requests along.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.method} {request.url}: {request.failure}")


class Visits:
    """Makes the visitors of one test: two of them are two people."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._visitors: list[Visitor] = []

    async def __call__(
        self, *, size: tuple[int, int] = DESKTOP, dark: bool = False, script: bool = True, media: bool = False, **options: Any
    ) -> Visitor:
        """A new visitor. `media`: may use the (fake) camera and microphone; `options` are Playwright's for a context."""
        context = await self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            is_mobile=size[0] < 600,
            has_touch=size[0] < 600,
            permissions=["camera", "microphone"] if media else [],
            locale="en-GB",
            timezone_id="Europe/Stockholm",
            **options,
        )
        context.set_default_timeout(1000 * TIMEOUT_SECONDS)
        visitor = Visitor(context, await context.new_page())
        self._visitors.append(visitor)
        return visitor

    async def close(self) -> None:
        """Closes their pages; fails with what went wrong in them."""
        for visitor in self._visitors:
            await visitor.context.close()
        for visitor in self._visitors:
            visitor.check()


async def inaccessible(page: Page, *rules: str) -> list[str]:
    """What axe-core finds serious or worse on the page, contrast and all, or by these rules alone: "rule: element"."""
    if not await page.evaluate("'axe' in globalThis"):
        axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
        await page.evaluate(axe)  # by the debugger, so that the page's policy stays as it is
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = await page.evaluate("(options) => axe.run(options)", options)
    return [
        f"{rule['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in _SERIOUS
        for node in rule["nodes"]
    ]


async def overflows(page: Page) -> bool:
    """Whether the page is wider than the window, so that one must scroll sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
