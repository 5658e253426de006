"""A certificate to render, and the tools that look at what comes out."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from core.certificates.pdf import CertificateDocument

NUMBER = "SF-7ZK3M9QW2X8VB4NT6YHRJC5PDEG"
VERIFY = f"https://learn.example.com/certificates/{NUMBER}/verify"
DOCUMENT = CertificateDocument(
    certificate_id=NUMBER,
    student_name="Åsa Ångström",
    course_title="Distributed Systems in Practice",
    instructor_name="Ольга Петрова",
    score_percent=97.5,
    completed_on=date(2026, 11, 20),
    issued_on=date(2026, 11, 22),
    verify_url=VERIFY,
)
needs_pdftotext = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
needs_scanner = pytest.mark.skipif(
    not (shutil.which("zbarimg") and shutil.which("pdftoppm")), reason="zbar-tools and poppler-utils are not installed"
)


def picture(data: bytes, folder: Path, dots_per_inch: int = 100) -> Path:
    """The page as an image."""
    (folder / "c.pdf").write_bytes(data)
    command = ["pdftoppm", "-png", "-r", str(dots_per_inch), "-singlefile", "c.pdf", "c"]
    subprocess.run(command, cwd=folder, timeout=30, check=True)
    return folder / "c.png"


def scanned(image: Path) -> str:
    """What the QR code on an image says."""
    command = ["zbarimg", "--quiet", "--raw", str(image)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def image(kind: str = "PNG", size: tuple[int, int] = (300, 80), mode: str = "RGB", **options: object) -> bytes:
    """An image file."""
    out = BytesIO()
    Image.new(mode, size, "navy").save(out, kind, **options)
    return out.getvalue()
