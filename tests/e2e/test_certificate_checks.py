"""Certificates checked from outside, through every door: files whole, changed, cut, signed by others; badges and keys."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.api.httpbody_pb2 import HttpBody
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openbadgeslib.ob3.verifier import OB3VerificationError, OB3Verifier
from pypdf import PdfReader

from cli.servers import LocalServers
from core.certificates.verification import MAX_FILE_BYTES
from skillforge.v1 import certificates_pb2 as pb
from tests.support import pdfs
from tests.support.doors import Outcome
from tests.support.graduates import Graduate, graduate, pdf_of
from tests.support.signing import signing_key, signing_pem
from tests.support.world import Person, World, running_world

UNCHANGED, CHANGED, NOT_OURS = pb.FILE_RESULT_UNCHANGED, pb.FILE_RESULT_CHANGED, pb.FILE_RESULT_NOT_OURS
GONE, UNREADABLE = pb.FILE_RESULT_REVOKED, pb.FILE_RESULT_UNREADABLE
CHECK = "/certificates/verify"
PDF = {"Content-Type": "application/pdf"}
BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def graduated(world: World, teacher: Person) -> Graduate:
    return await graduate(world, await world.course(teacher, exam=False, lectures=1), "Ada Lovelace")


@pytest.fixture(scope="module")
async def pdf(world: World, graduated: Graduate) -> bytes:
    return await pdf_of(world, graduated)


async def another(world: World, teacher: Person) -> tuple[Graduate, bytes]:
    """A certificate whose state a test may change, and its file."""
    made = await graduate(world, await world.course(teacher, exam=False, lectures=1), "Grace Hopper")
    return made, await pdf_of(world, made)


async def check(world: World, data: bytes, door: str = "rest") -> Outcome:
    return await world.doors[door].call("CheckCertificateFile", HttpBody(content_type="application/pdf", data=data))


async def checked(world: World, data: bytes) -> pb.CheckCertificateFileResponse:
    outcome = await check(world, data)
    assert outcome.ok, outcome
    return outcome.message  # type: ignore[no-any-return]


async def by_thread(work: Any, *arguments: Any) -> bytes:
    return bytes(await asyncio.to_thread(work, *arguments))


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_the_file_that_was_issued(world: World, graduated: Graduate, pdf: bytes, door: str) -> None:
    outcome = await check(world, pdf, door)
    assert outcome.ok, outcome
    said = outcome.message
    assert (said.result, said.signature_valid, said.signature_count) == (UNCHANGED, True, 1)
    assert (said.certificate_id, said.snapshot) == (graduated.certificate.id, graduated.certificate.snapshot)
    assert said.status == pb.CERTIFICATE_STATUS_VALID
    assert said.verify_url == graduated.certificate.verify_url
    assert said.key_id == f"{world.url}/certificates/keys/{signing_key().kid}"


async def test_a_file_with_something_added(world: World, graduated: Graduate, pdf: bytes) -> None:
    """What we signed is still whole in it, so it says which certificate it was."""
    for changed in (await by_thread(pdfs.appended, pdf), await by_thread(pdfs.signed, pdf, signing_key(1))):
        said = await checked(world, changed)
        assert (said.result, said.signature_valid) == (CHANGED, True)
        assert (said.certificate_id, said.snapshot) == (graduated.certificate.id, graduated.certificate.snapshot)
    assert said.signature_count == 2


async def test_a_file_that_was_edited(world: World, graduated: Graduate, pdf: bytes) -> None:
    place = len(pdf) // 3
    said = await checked(world, pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :])
    assert said.result in (CHANGED, UNREADABLE)
    title = pdf.index(b"/Producer")
    said = await checked(world, pdf[: title + 1] + b"p" + pdf[title + 2 :])
    assert (said.result, said.signature_valid) == (CHANGED, False)
    assert said.certificate_id == graduated.certificate.id


async def test_what_is_made_from_it_without_our_signature(world: World, graduated: Graduate, pdf: bytes) -> None:
    plain = await by_thread(pdfs.rewritten, pdf)
    for stranger in (plain, await by_thread(pdfs.signed, plain, signing_key(1)), await by_thread(pdfs.blank_pdf)):
        said = await checked(world, stranger)
        assert (said.result, said.signature_valid, said.key_id) == (NOT_OURS, False, "")
        assert not said.HasField("snapshot")


async def test_several_in_one(world: World, teacher: Person, pdf: bytes) -> None:
    _, other = await another(world, teacher)
    said = await checked(world, await by_thread(pdfs.merged, pdf, other))
    assert said.result in (NOT_OURS, CHANGED)
    assert not said.signature_valid
    said = await checked(world, pdf + other)
    assert said.result in (CHANGED, UNREADABLE)


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "no PDF"), (b"hello", "no PDF"), (b"%PDF-1.4 hello", "damaged")], ids=["none", "text", "stump"]
)
async def test_what_is_no_pdf(world: World, content: bytes, words: str) -> None:
    said = await checked(world, content)
    assert (said.result, said.certificate_id) == (UNREADABLE, "")
    assert words in said.detail


async def test_a_file_cut_off_or_encrypted(world: World, pdf: bytes) -> None:
    for end in (1, 100, len(pdf) // 2, len(pdf) - 600):
        said = await checked(world, pdf[:-end])
        assert said.result in (UNREADABLE, CHANGED, NOT_OURS)
        assert not said.signature_valid or end == 1
    said = await checked(world, await by_thread(pdfs.encrypted, pdf))
    assert (said.result, said.signature_valid) == (UNREADABLE, False)
    assert "encrypted" in said.detail


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_the_largest_file(world: World, door: str) -> None:
    assert (await check(world, b"%PDF-" + bytes(MAX_FILE_BYTES - 5), door)).ok
    outcome = await check(world, b"%PDF-" + bytes(MAX_FILE_BYTES - 4), door)
    assert (outcome.code, outcome.reason) == ("INVALID_ARGUMENT", "BODY_TOO_LARGE")
    assert outcome.status in (0, 413)
    if door != "grpc":
        assert (await check(world, bytes(MAX_FILE_BYTES + 100_000), door)).status == 413


MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["set", "insert", "delete", "copy"]), st.floats(0, 1), st.floats(0, 1), st.binary(max_size=12)),
    min_size=1, max_size=4,
)  # fmt: skip


def mutated(pdf: bytes, steps: list[tuple[str, float, float, bytes]]) -> bytes:
    for kind, at, until, content in steps:
        start, end = sorted((int(at * len(pdf)), int(until * len(pdf))))
        end = min(end, start + 400)
        if kind == "set":
            pdf = pdf[:start] + content + pdf[start + len(content) :]
        elif kind == "insert":
            pdf = pdf[:start] + content + pdf[start:]
        elif kind == "delete":
            pdf = pdf[:start] + pdf[end:]
        else:
            pdf = pdf[:end] + pdf[start:end] + pdf[end:]
    return pdf


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MUTATIONS)
async def test_only_the_same_bytes_are_unchanged(world: World, pdf: bytes, steps: list[tuple[str, float, float, bytes]]) -> None:
    changed = mutated(pdf, steps)
    said = await checked(world, changed)
    assert (said.result == UNCHANGED) == (changed == pdf)
    assert said.detail


@pytest.mark.slow
async def test_bombs_harm_nobody(world: World, pdf: bytes) -> None:
    """While one is looked at others are answered, and the next file is checked as ever."""
    bomb = (await asyncio.to_thread(pdfs.bombs))["2^56 fields"]
    checking = asyncio.create_task(checked(world, bomb))
    await asyncio.sleep(0)
    for _ in range(20):
        assert (await world.request("GET", "/courses"))[0] == 200
    assert (await checking).result == UNREADABLE
    assert (await checked(world, pdf)).result == UNCHANGED


async def test_the_form_works_without_a_script(world: World, graduated: Graduate, pdf: bytes) -> None:
    boundary = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
    head = b'Content-Disposition: form-data; name="file"; filename="certificate.pdf"\r\nContent-Type: application/pdf'
    body = b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + pdf + b"\r\n--" + boundary + b"--\r\n"
    headers = {**BROWSER, "Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    status, told, page = await world.request("POST", CHECK, data=body, headers=headers)
    assert (status, told["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"genuine and unchanged" in page
    assert graduated.certificate.snapshot.student_name.encode() in page


async def test_revoked_then_issued_anew(world: World, teacher: Person) -> None:
    """What a file, a number, a badge and their pages say at each step."""
    made, pdf = await another(world, teacher)
    old = made.certificate
    badge = (await world.call("GetBadge", pb.GetBadgeRequest(certificate_id=old.id))).data.decode()
    reason = pb.REVOKE_REASON_ISSUED_IN_ERROR
    revoked = await world.call("RevokeCertificate", pb.RevokeCertificateRequest(certificate_id=old.id, reason=reason), teacher)
    said = await checked(world, pdf)
    assert (said.result, said.signature_valid, said.revoke_reason) == (GONE, True, reason)
    assert said.revoke_time == revoked.revoke_time
    page = (await world.request("GET", f"/certificates/{old.id}/verify", headers=BROWSER))[2]
    assert b"was revoked" in page
    assert b"issued in error" in page
    status, _, problem = await world.request("GET", f"/certificates/{old.id}/badge")
    assert (status, problem["reason"]) == (400, "CERTIFICATE_REVOKED")
    with pytest.raises(OB3VerificationError, match="revocation"):
        await oracle(world, badge)

    new = await world.call("ReissueCertificate", pb.ReissueCertificateRequest(certificate_id=old.id), teacher)
    said = await checked(world, pdf)
    assert (said.result, said.replaced_by) == (GONE, new.id)
    page = (await world.request("GET", f"/certificates/{old.id}/verify", headers=BROWSER))[2]
    assert f'href="../{new.id}/verify"'.encode() in page
    new_pdf = await pdf_of(world, Graduate(made.person, new))
    assert (await checked(world, new_pdf)).result == UNCHANGED
    with pytest.raises(OB3VerificationError, match="revocation"):
        await oracle(world, badge)


async def test_a_file_is_known_after_its_student_was_erased(world: World, teacher: Person) -> None:
    made, pdf = await another(world, teacher)
    await world.request("POST", "/users/me/erase", person=made.person, json={"confirm": "ERASE"})
    said = await checked(world, pdf)
    assert (said.result, said.certificate_id) == (UNCHANGED, made.certificate.id)
    assert said.snapshot.student_name != "Grace Hopper"


async def keys_of(world: World) -> dict[str, Any]:
    status, headers, key_set = await world.request("GET", "/.well-known/jwks.json")
    assert (status, headers["cache-control"]) == (200, "public, max-age=300")
    return key_set  # type: ignore[no-any-return]


async def oracle(world: World, badge: str) -> Any:
    """What openbadgeslib says of a badge by the keys and the status list that are served. It takes badge and list to be of
    one key, which they are not once the key has changed: PyJWT checks the list."""
    keys = jwt.PyJWKSet.from_dict(await keys_of(world))
    key: Any = keys[jwt.get_unverified_header(badge)["kid"]].key
    url = jwt.decode(badge, options={"verify_signature": False})["credentialStatus"]["statusListCredential"]
    async with world.session.get(url) as response:
        status_list = await response.read()
        assert response.content_type == "application/vc+jwt"
    jwt.decode(status_list, keys[jwt.get_unverified_header(status_list)["kid"]], algorithms=["RS256"])
    verifier = OB3Verifier(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return verifier.verify(badge, check_status=True, verify_status_list=False, download=lambda asked: {url: status_list}[asked])


async def test_a_badge_verifies_by_what_is_served(world: World, graduated: Graduate) -> None:
    status, headers, badge = await world.request("GET", f"/certificates/{graduated.certificate.id}/badge")
    assert (status, headers["content-type"]) == (200, "application/vc+jwt")
    assert (await world.request("GET", f"/certificates/{graduated.certificate.id.lower()}/badge"))[2] == badge
    found = await oracle(world, badge.decode())
    assert found.achievement.name == graduated.certificate.snapshot.course_title
    client = jwt.PyJWKClient(f"{world.url}/.well-known/jwks.json")  # as people do it by hand
    key = await asyncio.to_thread(client.get_signing_key_from_jwt, badge.decode())
    assert jwt.decode(badge, key, algorithms=["RS256"])["id"] == graduated.certificate.verify_url.replace("/verify", "/badge")
    kid = jwt.get_unverified_header(badge.decode())["kid"]
    async with world.session.get(kid) as response:  # as Open Badges wants it, the id of a key is where it is
        one = await response.json()
    assert (one["kid"], one["kty"], one["use"], one["alg"]) == (kid, "RSA", "sig", "RS256")
    assert one in (await keys_of(world))["keys"]
    issuer = jwt.decode(badge.decode(), options={"verify_signature": False})["issuer"]
    async with world.session.get(issuer["id"]) as response:
        profile = await response.json(content_type="application/ld+json")
    assert {key: profile[key] for key in issuer} == issuer
    assert (await world.request("GET", "/certificates/keys/nobody-s"))[0] == 404


@pytest.mark.slow
async def test_a_new_key_leaves_old_signatures_valid(
    database_url: str, servers: LocalServers, worker_number: int, world: World, graduated: Graduate, pdf: bytes
) -> None:
    """The same database, another key; the first is retired. Then it is trusted no more."""
    old_badge = (await world.call("GetBadge", pb.GetBadgeRequest(certificate_id=graduated.certificate.id))).data.decode()
    redis_url = servers.redis_url(60 + worker_number)
    retired = signing_key().certificate.public_bytes(Encoding.PEM).decode()
    rotated = {"CERTIFICATE_SIGNING_KEY": signing_pem(1), "CERTIFICATE_RETIRED_KEYS": retired, "PUBLIC_URL": world.url}
    async with running_world(database_url, redis_url, **rotated) as later:
        kids = [key["kid"].rpartition("/")[2] for key in (await keys_of(later))["keys"]]
        assert kids == [signing_key(1).kid, signing_key().kid]
        assert (await checked(later, pdf)).result == UNCHANGED
        assert (await oracle(later, old_badge)).achievement.name == graduated.certificate.snapshot.course_title
        new_badge = (await later.call("GetBadge", pb.GetBadgeRequest(certificate_id=graduated.certificate.id))).data.decode()
        assert new_badge.split(".")[1] == old_badge.split(".")[1]
        assert jwt.get_unverified_header(new_badge)["kid"].endswith(signing_key(1).kid)
        assert (await oracle(later, new_badge)).achievement.name
    async with running_world(database_url, redis_url, CERTIFICATE_SIGNING_KEY=signing_pem(1)) as later:
        said = await checked(later, pdf)
        assert (said.result, said.signature_valid) == (pb.FILE_RESULT_KEY_NOT_TRUSTED, False)


async def test_what_the_number_says(world: World, graduated: Graduate, pdf: bytes) -> None:
    request = pb.VerifyCertificateRequest(certificate_id=graduated.certificate.id)
    for door in world.doors.values():
        said = (await door.call("VerifyCertificate", request)).message
        assert (said.valid, said.snapshot) == (True, graduated.certificate.snapshot)
        assert said.key_id == f"{world.url}/certificates/keys/{signing_key().kid}"
        assert (said.issuer.name, said.issuer.keys_url) == ("SkillForge", f"{world.url}/.well-known/jwks.json")
        assert said.badge_url == f"{world.url}/certificates/{graduated.certificate.id}/badge"
    mistyped = graduated.certificate.id[:-2] + ("00" if not graduated.certificate.id.endswith("0") else "11")
    outcomes = [await world.request("GET", f"/certificates/{number}/verify") for number in (mistyped, "SF-" + "0" * 27)]
    assert [(status, problem["reason"]) for status, _, problem in outcomes] == [
        (400, "CERTIFICATE_ID_MALFORMED"),
        (404, "NOT_FOUND"),
    ]


async def test_the_pdf_names_its_certificate(graduated: Graduate, pdf: bytes) -> None:
    """By which a changed copy is recognized."""
    assert graduated.certificate.id in str(PdfReader(io.BytesIO(pdf)).metadata)
