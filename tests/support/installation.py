"""What `skillforge serve`, `core` and `gateway` need around them as processes: the fakes' process, a database, settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.settings import RATES
from tests.support.processes import Running, fetch, free_port, is_ready
from tests.support.sockets import ORIGIN

GENEROUS = "1000000/60"


@dataclass
class Installation:
    """The settings of a production start, with the fakes in the place of Clerk and the payment provider."""

    folder: Path
    port: int
    grpc_port: int
    fakes_url: str
    settings: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sign_in(self, email: str, role: str) -> str:
        """The token of somebody at the fake Clerk, who has an account here now."""
        body = {"email": email, "displayName": email.partition("@")[0], "role": role}
        status, answer = fetch(f"{self.fakes_url}/dev/sign-in", body=body)
        assert status == 200, answer
        token = str(orjson.loads(answer)["token"])
        assert self.call("POST", "/auth/sync-user", token, {})["role"] == f"ROLE_{role}"
        return token

    def call(self, verb: str, path: str, token: str, body: object = None) -> Any:
        """The JSON answer of a call that succeeds."""
        status, answer = fetch(self.url + path, token, body, verb)
        assert 200 <= status < 300, (verb, path, status, answer)
        return orjson.loads(answer) if answer else None

    def course(self, token: str, lectures: int = 1, price: int = 0) -> Any:
        """A published course."""
        money = {"amountMinor": price, "currency": "USD"}
        course = self.call("POST", "/courses", token, {"title": "Processes", "description": "D", "price": money})
        module = self.call("POST", f"/courses/{course['id']}/modules", token, {"title": "M"})
        for number in range(lectures):
            lecture = {"title": f"L{number}", "notes": "N", "video": {"url": "https://v.example.com/1", "durationSeconds": 900}}
            self.call("POST", f"/modules/{module['id']}/lectures", token, lecture)
        return self.call("POST", f"/courses/{course['id']}/publish", token, {})


@contextmanager
def installed(folder: Path, database_url: str, redis_url: str) -> Iterator[Installation]:
    """The fakes run, and everything is set."""
    port, fakes_port = free_port(), free_port()
    webhook = f"http://127.0.0.1:{port}/payments/webhook"
    with Running(
        folder / "fakes.log", "fakes", "--port", fakes_port, "--webhook-url", webhook, "--data-dir", folder / "fakes"
    ) as fakes:
        fakes.wait_until(lambda: "PAYMENT_WEBHOOK_SECRETS=" in fakes.said)
        told = [line.strip().removeprefix("export ").partition("=") for line in fakes.said.splitlines() if "export " in line]
        limits = dict.fromkeys((f"RATE_LIMIT_{name}" for name in RATES), GENEROUS)
        settings = {
            **limits,
            **{name: value for name, _, value in told},
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "DATABASE_POOL_SIZE": "6",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "GATEWAY_TOKEN": "a token of the tests",
            "METRICS_TOKEN": "a token of the tests for scrapes",
        }
        yield Installation(folder, port, free_port(), f"http://127.0.0.1:{fakes_port}", settings)


def serving(installation: Installation, stack: ExitStack, *ports: int) -> list[tuple[str, Running]]:
    """A server at each port, all started at once; their addresses and processes."""
    settings = {**installation.settings, "ALLOWED_ORIGINS": ORIGIN}
    started = []
    for port in ports:
        arguments = ("--port", port, "--grpc-port", free_port(), "--workers", 1)
        running = Running(installation.folder / f"serve-{port}.log", "serve", *arguments, settings=settings)
        started.append((f"http://127.0.0.1:{port}", stack.enter_context(running)))
    for url, running in started:
        running.wait_until(lambda url=url: is_ready(url))  # type: ignore[misc]
    return started


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Files of a certificate for 127.0.0.1 and localhost, signed by itself, and of its key; valid for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return paths
