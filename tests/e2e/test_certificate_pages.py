"""The pages of verification in a browser: each state on a phone and a desk, and the forms without any script."""

from __future__ import annotations

import pytest
from playwright.async_api import FilePayload, expect

from skillforge.v1 import certificates_pb2 as pb
from tests.support.browser import DESKTOP, PHONE, Visits, inaccessible, overflows
from tests.support.graduates import Graduate, graduate, pdf_of
from tests.support.world import Person, World


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR", "李小龍")


@pytest.fixture(scope="module")
async def in_force(world: World, teacher: Person) -> Graduate:
    return await graduate(world, await world.course(teacher, exam=False, lectures=1), "Amélie Sørensen-Okonkwo")


@pytest.fixture(scope="module")
async def addresses(world: World, teacher: Person, in_force: Graduate) -> dict[str, str]:
    """The page of a certificate in each state, and of numbers that are none, by the heading each has."""
    course = await world.course(teacher, exam=False, lectures=1)
    revoked, replaced = await graduate(world, course, "ليلى حداد"), await graduate(world, course, "Gu Wen")
    reason = pb.REVOKE_REASON_MISCONDUCT
    taken = pb.RevokeCertificateRequest(certificate_id=revoked.certificate.id, reason=reason, note="Not for the public")
    await world.call("RevokeCertificate", taken, teacher)
    await world.call("ReissueCertificate", pb.ReissueCertificateRequest(certificate_id=replaced.certificate.id), teacher)
    return {
        "This certificate is valid": in_force.certificate.verify_url,
        "This certificate was revoked": revoked.certificate.verify_url,
        "This certificate was replaced": replaced.certificate.verify_url,
        "No such certificate": f"{world.url}/certificates/SF-{'0' * 27}/verify",
        "This is not a certificate number": f"{world.url}/certificates/SF-1/verify",
        "Verify a certificate": f"{world.url}/certificates/verify",
    }


@pytest.mark.slow
@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (DESKTOP, False), (PHONE, True)], ids=["phone", "desk", "dark"])
async def test_every_state_can_be_read_by_everybody(
    visit: Visits, addresses: dict[str, str], size: tuple[int, int], dark: bool
) -> None:
    visitor = await visit(size=size, dark=dark)
    visitor.forgive("status of 40")
    for heading, address in addresses.items():
        await visitor.page.goto(address)
        await expect(visitor.page.locator("h1")).to_have_text(heading)
        assert not await overflows(visitor.page), heading
        assert await inaccessible(visitor.page) == [], heading
        assert "Not for the public" not in await visitor.page.content()


@pytest.mark.slow
async def test_a_file_is_checked_without_a_script(visit: Visits, world: World, in_force: Graduate) -> None:
    pdf = await pdf_of(world, in_force)
    page = (await visit(size=PHONE, script=False)).page
    await page.goto(in_force.certificate.verify_url)
    changed = pdf.replace(b"/Producer", b"/producer", 1)
    for content, heading in ((pdf, "This file is genuine and unchanged"), (changed, "This file was changed")):
        await page.set_input_files("#file", FilePayload(name="mine.pdf", mimeType="application/pdf", buffer=content))
        await page.get_by_role("button", name="Check the file").click()
        await expect(page.locator("h1")).to_have_text(heading)
        await expect(page.locator(".diploma")).to_contain_text("Amélie Sørensen-Okonkwo")
    await page.get_by_role("link", name="Our record").click()
    await expect(page.locator("h1")).to_have_text("This certificate is valid")


@pytest.mark.slow
async def test_a_number_is_looked_up_and_a_replacement_followed(visit: Visits, addresses: dict[str, str]) -> None:
    page = (await visit(script=False)).page
    await page.goto(addresses["Verify a certificate"])
    typed = addresses["This certificate was replaced"].split("/")[-2].lower().replace("sf-", "sf - ")
    await page.get_by_label("Certificate number").fill(typed)
    await page.get_by_role("button", name="Look it up").click()
    await expect(page.locator("h1")).to_have_text("This certificate was replaced")
    await page.get_by_role("link", name="See the one that counts").click()
    await expect(page.locator("h1")).to_have_text("This certificate is valid")
    await expect(page.locator(".diploma")).to_contain_text("Gu Wen")
