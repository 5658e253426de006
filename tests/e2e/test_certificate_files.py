"""Certificates as files: made once, signed, in parts, revalidated, and a maker that dies harms one request."""

from __future__ import annotations

import base64
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import image, needs_scanner, picture, scanned
from tests.support.graduates import Graduate, graduate
from tests.support.pdf_text import text_of
from tests.support.polling import eventually
from tests.support.processes import freeze
from tests.support.world import Person, World

LOOK = {
    "accentColor": "#14532d",
    "logo": base64.b64encode(image()).decode(),
    "signatureName": "Dr. Jane Doe",
    "signatureTitle": "Dean",
    "subtitle": "Autumn term",
}


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR", "Ольга Петрова")


@pytest.fixture(scope="module")
async def course(world: World, teacher: Person) -> Any:
    course = await world.course(teacher, lectures=1, exam=False)
    status, _, answer = await world.request("PUT", f"/courses/{course.id}/certificate-template", person=teacher, json=LOOK)
    assert (status, answer["signatureName"]) == (200, "Dr. Jane Doe")
    return course


@pytest.fixture(scope="module")
async def graduated(world: World, course: Any) -> Graduate:
    return await graduate(world, course, "محمد Ångström")


def path_of(graduated: Graduate) -> str:
    return f"/certificates/{graduated.certificate.id}/download"


@needs_scanner
async def test_a_graduate_gets_what_was_earned(world: World, graduated: Graduate, tmp_path: Path) -> None:
    status, headers, pdf = await world.request("GET", path_of(graduated), person=graduated.person)
    assert (status, headers["content-type"], headers["accept-ranges"]) == (200, "application/pdf", "bytes")
    for said in ("Dr. Jane Doe", "Dean", "Autumn term", "taught by Ольга Петрова", "Ångström", "محمد"):
        assert said in text_of(pdf)
    assert b"/ETSI.CAdES.detached" in pdf
    assert scanned(picture(pdf, tmp_path)) == graduated.certificate.verify_url


@pytest.mark.parametrize("door", ["rest", "remote"])
async def test_parts_and_revalidation(world: World, graduated: Graduate, door: str) -> None:
    url = world.url if door == "rest" else world.remote_url
    person, path = graduated.person, path_of(graduated)
    status, headers, pdf = await world.request("GET", path, person=person, url=url)
    assert status == 200
    tag = headers["etag"]
    status, headers, body = await world.request("GET", path, person=person, url=url, headers={"If-None-Match": tag})
    assert (status, headers["etag"], body) == (304, tag, b"")
    status, headers, body = await world.request(
        "GET", path, person=person, url=url, headers={"Range": "bytes=0-99", "If-Range": tag}
    )
    assert (status, headers["content-range"], body) == (206, f"bytes 0-99/{len(pdf)}", pdf[:100])
    status, _, body = await world.request("GET", path, person=person, url=url, headers={"Range": "bytes=0-99", "If-Range": '"x"'})
    assert (status, body) == (200, pdf)
    status, headers, body = await world.request("GET", path, person=person, url=url, headers={"Range": f"bytes={len(pdf)}-"})
    assert (status, headers["content-range"], body["reason"]) == (416, f"bytes */{len(pdf)}", "RANGE_NOT_SATISFIABLE")


async def test_a_specimen_is_not_signed(world: World, teacher: Person, course: Any) -> None:
    path = f"/courses/{course.id}/certificate-template/preview"
    status, headers, pdf = await world.request("GET", path, person=teacher)
    assert (status, headers["content-disposition"]) == (200, 'inline; filename="certificate-specimen.pdf"')
    assert b"/ETSI.CAdES.detached" not in pdf
    if shutil.which("pdftotext"):
        assert "Alexandra Example" in text_of(pdf)


async def test_bad_logos_say_why(world: World, teacher: Person, course: Any) -> None:
    path = f"/courses/{course.id}/certificate-template"
    svg = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>').decode()
    status, _, answer = await world.request("PUT", path, person=teacher, json={**LOOK, "logo": svg})
    assert (status, answer["reason"], answer["violations"][0]["field"]) == (400, "LOGO_INVALID", "logo")
    assert "SVG" in answer["violations"][0]["description"]
    too_large = base64.b64encode(bytes(524289)).decode()
    status, _, answer = await world.request("PUT", path, person=teacher, json={**LOOK, "logo": too_large})
    assert (status, answer["reason"]) == (400, "INVALID_ARGUMENT")
    status, _, answer = await world.request("PUT", path, person=teacher, json={**LOOK, "accentColor": "red;}body{"})
    assert (status, answer["reason"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.slow
async def test_a_killed_maker_is_one_request_s_trouble(world: World, course: Any) -> None:
    """SIGKILL while it renders: that request is told to try again, others don't notice, the next one gets its file."""
    new = await graduate(world, course)
    before = {child.pid for child in multiprocessing.active_children()}
    assert before, "the makers of certificates are this process's children"
    renderer: Any = world.core.resources.renderer
    killed, submit = [], renderer._submit

    def kill_then_submit(pool: Any, *work: Any) -> Any:
        for process in list(pool._processes.values()):
            killed.append(process.pid)
            freeze(process.pid)  # so that the work is certainly not done yet
        future = submit(pool, *work)
        for process in list(pool._processes.values()):
            os.kill(process.pid, signal.SIGKILL)
        return future

    renderer._submit = kill_then_submit
    try:
        status, headers, answer = await world.request("GET", path_of(new), person=new.person)
    finally:
        renderer._submit = submit
    assert killed
    assert (status, answer["reason"]) == (503, "UNAVAILABLE")
    assert "retry-after" in headers
    assert (await world.request("GET", "/auth/me", person=new.person))[0] == 200

    async def downloaded() -> bool:
        return (await world.request("GET", path_of(new), person=new.person))[0] == 200

    await eventually(downloaded)
