"""Who asks for what: tokens for both sides, and the ids that both databases share."""

from __future__ import annotations

import hashlib
import json
import random
import time
from pathlib import Path
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

STUDENTS = range(11, 211)


def uid(name: str) -> str:
    """The id that both seeds give what is called so."""
    digits = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def student_id(number: int) -> bytes:
    """The id of a student in both databases."""
    return UUID(uid(f"u{number}")).bytes


def write_cases(folder: Path) -> tuple[Path, Path]:
    """Write pub.pem, cases.lua (token, course, lecture) and cases.json (those, and the student's number before them)
    into the folder; returns the first two paths."""
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    now = int(time.time())
    chosen = random.Random(1)
    rows = []
    for student in STUDENTS:
        claims = {"sub": f"user_{student}", "sid": f"sess_{student}", "iat": now, "exp": now + 86400, "iss": "peer"}
        token = jwt.encode(claims, key, "RS256")
        for number in range(1, 6):
            course = 1 + (student * 7 + number * 31) % 200
            lecture = f"l{course}-{chosen.randint(1, 4)}-{chosen.randint(1, 5)}"
            rows.append((student, token, uid(f"c{course}"), uid(lecture)))
    pem, cases = folder / "pub.pem", folder / "cases.lua"
    pem.write_bytes(public)
    cases.write_text("return {" + ",\n".join(f'{{"{token}","{course}","{lecture}"}}' for _, token, course, lecture in rows) + "}")
    (folder / "cases.json").write_text(json.dumps(rows))
    return pem, cases
