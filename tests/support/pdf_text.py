"""What a PDF says."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from io import BytesIO

import pypdf


def text_of(data: bytes) -> str:
    """The text of a PDF: composed, without presentation forms and direction marks."""
    text = unicodedata.normalize("NFKC", _with_pdftotext(data) if shutil.which("pdftotext") else _with_pypdf(data))
    return re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", text)


def _with_pdftotext(data: bytes) -> str:
    ran = subprocess.run(["pdftotext", "-layout", "-", "-"], input=data, capture_output=True, timeout=20, check=True)
    return ran.stdout.decode()


def _with_pypdf(data: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(data)).pages)
