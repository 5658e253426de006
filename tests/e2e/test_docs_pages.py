"""The documentation's pages in a real browser, and as programs get them."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate
from playwright.async_api import expect

from contract.methods import load_methods
from http_gateway.openapi.document import build_document
from http_gateway.pages.docs import docs_page, realtime_page
from tests.support.browser import DESKTOP, PHONE, Visits, inaccessible, overflows
from tests.support.world import World

PATHS = ("/openapi.json", "/docs", "/docs/realtime")


@pytest.mark.parametrize("path", PATHS)
async def test_it_is_kept_and_compressed(world: World, path: str) -> None:
    status, headers, _ = await world.request("GET", path, headers={"Accept-Encoding": "identity"})
    assert (status, headers["cache-control"]) == (200, "no-cache")
    again = {"Accept-Encoding": "identity", "If-None-Match": headers["etag"]}
    assert (await world.request("GET", path, headers=again))[0] == 304
    async with world.session.get(world.url + path, headers={"Accept-Encoding": "gzip, br"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["ETag"] != headers["etag"]
        assert "Accept-Encoding" in response.headers.getall("Vary")
        assert len(await response.read()) == int(headers["content-length"])


async def test_every_gateway_serves_the_same_valid_document(world: World) -> None:
    status, headers, document = await world.request("GET", "/openapi.json")
    assert (status, headers["content-type"]) == (200, "application/json")
    validate(document)
    assert {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/ws", "/.well-known/jwks.json"} <= document[
        "paths"
    ].keys()
    assert (await world.request("GET", "/openapi.json", url=world.remote_url))[2] == document


async def test_the_page_without_script(world: World, visit: Visits) -> None:
    visitor = await visit(script=False)
    page = visitor.page
    await page.goto(f"{world.url}/docs#createCourse")
    await expect(page.locator("#createCourse")).to_be_visible()
    await expect(page.locator("#createCourse")).to_contain_text("admins and instructors")
    await page.goto(f"{world.url}/docs#frame-chat.send")
    await expect(page.locator("[id='frame-chat.send']")).to_contain_text("Writes a message")
    await page.get_by_role("link", name="guide", exact=True).click()
    await expect(page.get_by_role("heading", name="Realtime for client authors")).to_be_visible()
    await expect(page.locator("#the-javascript-client")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
async def test_it_is_accessible_and_fits(visit: Visits, size: tuple[int, int], dark: bool) -> None:
    """A part of the page, for a look at all of it takes half a minute."""
    methods = [method for method in load_methods() if method.name in ("CreateCourse", "ListCourses", "SendMessage")]
    page = (await visit(size=size, dark=dark)).page
    reference = docs_page(build_document(methods, (), ("/healthz",)), methods)
    for html in (reference, realtime_page()) if dark else (reference,):
        await page.set_content(html.replace("<details", "<details open"))
        assert await inaccessible(page) == []
        assert not await overflows(page)


async def test_a_search_and_a_trial(world: World, visit: Visits) -> None:
    teacher = await world.person("INSTRUCTOR")
    page = (await visit()).page
    await page.goto(f"{world.url}/docs")
    await page.get_by_label("Search").fill("draft owned")
    await expect(page.locator(".op:visible")).to_have_count(1)
    await page.get_by_label("Token for trials").fill(teacher.token)
    await page.locator("summary", has_text="Creates a draft owned").click()
    trial = page.locator("#createCourse .trial")
    await trial.get_by_role("button", name="Send").click()
    await expect(trial.locator("pre")).to_contain_text("201 Created")
    await expect(trial.locator("pre")).to_contain_text('"status": "COURSE_STATUS_DRAFT"')
