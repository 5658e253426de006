"""The PDF's signature, as pyHanko's own command and its library judge it."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pypdf
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from core.certificates.pdf import render_pdf
from core.certificates.signing import FIELD, REASON, sign_pdf
from tests.support.certificates import DOCUMENT, NUMBER
from tests.support.signing import signing_key, signing_pem

PEM = signing_pem().replace("\\n", "\n").encode()


@pytest.fixture(scope="module")
def signed() -> bytes:
    return sign_pdf(render_pdf(DOCUMENT), PEM)


def judged(data: bytes, folder: Path, key: int = 0) -> str:
    """What `pyhanko sign validate` says when it trusts one of our certificates."""
    pdf, certificate = folder / "signed.pdf", folder / "certificate.pem"
    pdf.write_bytes(data)
    certificate.write_bytes(signing_key(key).certificate.public_bytes(Encoding.PEM))
    command = [str(Path(sys.executable).with_name("pyhanko")), "sign", "validate", "--trust", str(certificate), "--trust-replace"]
    ran = subprocess.run([*command, "--pretty-print", str(pdf)], capture_output=True, text=True, timeout=50, check=False)
    return ran.stdout + ran.stderr


@pytest.mark.slow
def test_pyhanko_s_command_calls_it_valid(signed: bytes, tmp_path: Path) -> None:
    said = judged(signed, tmp_path)
    assert "The signature is cryptographically sound." in said
    assert "The signer's certificate is trusted." in said
    assert "The signature covers the entire file." in said
    assert "The signature is judged VALID." in said


@pytest.mark.slow
@pytest.mark.parametrize("how", ["edited", "another key"])
def test_pyhanko_s_command_finds_a_forgery(signed: bytes, tmp_path: Path, how: str) -> None:
    data, key = (signed.replace(NUMBER.encode(), NUMBER[:-1].encode() + b"X"), 0) if how == "edited" else (signed, 1)
    said = judged(data, tmp_path, key)
    assert "The signature is judged INVALID." in said
    assert ("CRYPTOGRAPHICALLY UNSOUND" in said.upper()) == (how == "edited")


def test_it_says_who_why_and_that_nothing_may_change(signed: bytes) -> None:
    reader = pypdf.PdfReader(BytesIO(signed))
    fields = reader.get_fields() or {}
    signature = fields[FIELD]["/V"]
    assert (signature["/Name"], signature["/Reason"]) == ("SkillForge", REASON)
    assert signature["/SubFilter"] == "/ETSI.CAdES.detached"
    assert "/M" in signature
    permissions = reader.root_object["/Perms"]["/DocMDP"]["/Reference"][0]["/TransformParams"]  # type: ignore[index]
    assert permissions["/P"] == 1
    assert signed.startswith(render_pdf(DOCUMENT)), "the signature is added behind the page"
    assert signing_key().certificate.public_bytes(Encoding.DER).hex().encode() in signed.lower()
    private = signing_key().private_key.private_numbers().d.to_bytes(256, "big")
    assert private not in signed
    assert private.hex().encode() not in signed.lower()
