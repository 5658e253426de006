"""TURN credentials, against the formula of coturn's documentation."""

from __future__ import annotations

import subprocess

from core.calls import turn


def test_the_credential_is_what_openssl_makes_of_it() -> None:
    username, credential = turn.credentials("north", "11111111-2222-3333-4444-555555555555", 1_900_000_000)
    assert username == "1900000000:11111111-2222-3333-4444-555555555555"
    command = "openssl dgst -sha1 -hmac north -binary | openssl base64"
    made = subprocess.run(["/bin/sh", "-c", command], input=username.encode(), capture_output=True, check=True, timeout=10)
    assert made.stdout.decode().strip() == credential
