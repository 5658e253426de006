"""Take the pictures of the README anew from a running demo school: the console in Chromium, a certificate by pdftoppm.

`pictures.py` starts `skillforge up` in a folder of its own, waits for the demo school, and writes docs/pictures/*.png.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
PORT, GRPC_PORT = 18777, 15777
URL = f"http://localhost:{PORT}"
SIZE: ViewportSize = {"width": 1200, "height": 780}
READY_SECONDS = 180.0


@contextmanager
def school(folder: Path) -> Iterator[None]:
    """A service with the demo school, until the end."""
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "up",
        "--data-dir",
        str(folder),
        "--port",
        str(PORT),
        "--grpc-port",
        str(GRPC_PORT),
    ]
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "NO_COLOR": "1"})
    try:
        until = time.monotonic() + READY_SECONDS
        while "The demo school is open" not in (folder / "up.log").read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit((folder / "up.log").read_text(errors="replace"))
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(30)


async def certificate_picture(folder: Path) -> None:
    """The student's certificate as it comes from the service, page one as a picture."""
    async with aiohttp.ClientSession(URL, timeout=aiohttp.ClientTimeout(30)) as client:
        async with client.get("/dev/personas") as answer:
            person = next(found for found in (await answer.json())["personas"] if found["role"] == "STUDENT")
        async with client.post("/dev/sign-in", json={name: person[name] for name in ("email", "displayName", "role")}) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        async with client.get("/certificates", headers=headers) as answer:
            certificate = (await answer.json())["certificates"][0]
        async with client.get(f"/certificates/{certificate['id']}/download", headers=headers) as answer:
            (folder / "certificate.pdf").write_bytes(await answer.read())
    command = ["pdftoppm", "-png", "-r", "70", "-singlefile", str(folder / "certificate.pdf"), str(PICTURES / "certificate")]
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise SystemExit("pdftoppm failed")


async def signed_in(browser: Browser, name: str, **options: Any) -> Page:
    """The console as one of the personas sees it."""
    context = await browser.new_context(viewport=SIZE, locale="en-GB", timezone_id="Europe/Stockholm", **options)
    page = await context.new_page()
    await page.goto(URL)
    await page.get_by_role("button", name=name).click()
    await page.get_by_role("navigation").first.wait_for()
    await page.wait_for_load_state("networkidle")
    return page


async def console_pictures() -> None:
    """What people see: a student's course, an instructor's gradebook in the dark."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = await signed_in(browser, "Sam Ångström")
        await page.screenshot(path=PICTURES / "console.png")
        page = await signed_in(browser, "Ada Lovelace", color_scheme="dark")
        await page.screenshot(path=PICTURES / "teaching.png")
        await browser.close()


def main() -> None:
    """Take them all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, school(Path(folder)):
        asyncio.run(certificate_picture(Path(folder)))
        asyncio.run(console_pictures())
    for picture in sorted(PICTURES.iterdir()):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
