"""Settings: defaults, and every fault at once, a line each."""

from __future__ import annotations

import contextlib
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from core.assistant.engines.choice import choose_engine
from core.assistant.engines.language_model import LanguageModelEngine
from core.assistant.extractive.engine import ExtractiveEngine
from core.certificates.keys import public_part
from core.settings import Rate, Settings, SettingsError, load_door_settings, load_settings, read_settings
from fakes.keys import SigningKey
from tests.support.signing import signing_key, signing_pem

NEEDED = {
    "DATABASE_URL": "mysql://ada:p4ssw0rd@db.example.com/skillforge",
    "REDIS_URL": "redis://redis.example.com:6379/0",
    "CLERK_SECRET_KEY": "sk_live_abcdefgh",
    "CERTIFICATE_SIGNING_KEY": signing_pem(),
}
KEY = SigningKey.generate()


def faults(**changes: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_settings({**NEEDED, **changes})
    assert str(caught.value) == "\n".join(caught.value.faults)
    assert not any("\n" in fault for fault in caught.value.faults)
    return caught.value.faults


def fault(**changes: str) -> str:
    [found] = faults(**changes)
    return found


def settings(**changes: str) -> Settings:
    return read_settings({**NEEDED, **changes})


def test_four_are_needed_and_the_rest_has_defaults() -> None:
    found = settings()
    assert (found.database_url, found.redis_url, found.clerk_secret_key) == tuple(NEEDED.values())[:3]
    assert found.certificate_signing_key.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert (found.database_pool_size, found.clerk_api_url, found.public_url) == (
        16,
        "https://api.clerk.com",
        "http://localhost:8080",
    )
    assert (found.clerk_issuer, found.clerk_authorized_parties, found.clerk_webhook_key, found.grpc_tls) == (
        "",
        frozenset(),
        None,
        None,
    )
    assert (found.payment_provider, found.payment_webhook_secrets) == ("none", ())
    assert (found.rates["IP"], found.rates["PAYMENTS"]) == (Rate(1200, 60), Rate(20, 60))
    assert (found.door.allowed_origins, found.door.trusted_proxy_hops) == ((), 0)
    assert (found.door.log_format, found.door.log_level) == ("text", "INFO")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"DATABASE_POOL_SIZE": "many", "LOG_FORMAT": "xml", "RATE_LIMIT_IP": "fast", "PUBLIC_URL": "localhost"})
    names = [line.split()[0].rstrip(":") for line in caught.value.faults]
    assert sorted(names) == sorted([*NEEDED, "DATABASE_POOL_SIZE", "LOG_FORMAT", "RATE_LIMIT_IP", "PUBLIC_URL"])
    assert "DATABASE_URL is not set; for example mysql://user:password@host:3306/skillforge" in caught.value.faults


@pytest.mark.parametrize(
    "url", ["db.example.com", "postgres://ada:p4ssw0rd@db/skillforge", "mysql://ada:p4ssw0rd@db:x/skillforge", "mysql://ada:p4ssw0rd@db/"]
)  # fmt: skip
def test_database_addresses(url: str) -> None:
    found = fault(DATABASE_URL=url)
    assert found.startswith("DATABASE_URL: ")
    assert "p4ssw0rd" not in found


@pytest.mark.parametrize(
    "url", ["redis.example.com", "http://:p4ssw0rd@redis", "redis://:p4ssw0rd@h:port/0", "redis://[::1/0", "redis://a,:1"]
)
def test_redis_addresses(url: str) -> None:
    found = fault(REDIS_URL=url)
    assert found.startswith("REDIS_URL: ")
    assert "p4ssw0rd" not in found


@pytest.mark.parametrize(
    "url", ["rediss://h", "unix:///run/redis.sock", "redis://a:1,b:2,c:3", "redis://ada:p4ssw0rd@[::1]:6379/1"]
)
def test_redis_addresses_that_are_good(url: str) -> None:
    assert settings(REDIS_URL=url).redis_url == url


@pytest.mark.parametrize("value", ["0", "-1", "501", "1.5", "²", "16 17", "1_0"])
def test_whole_numbers(value: str) -> None:
    assert fault(DATABASE_POOL_SIZE=value) == f"DATABASE_POOL_SIZE must be a whole number from 1 to 500, not {value!r}"
    assert settings(DATABASE_POOL_SIZE=" 8 ").database_pool_size == 8


@pytest.mark.parametrize(
    "value", ["600", "/", "0/60", "600/0", "600/60/1", "-1/60", "6 00/60", "²/60", "1/86401", "9" * 10 + "/1", "1/s"]
)
def test_rates(value: str) -> None:
    assert fault(RATE_LIMIT_USER=value) == f"RATE_LIMIT_USER must read CALLS/SECONDS, such as 600/60, not {value!r}"
    assert settings(RATE_LIMIT_USER="5/86400").rates["USER"] == Rate(5, 86400)


@pytest.mark.parametrize("name", ["CLERK_API_URL", "CLERK_ISSUER", "PUBLIC_URL", "FAKE_PAYMENTS_URL"])
@pytest.mark.parametrize(
    "value", ["example.com", "ftp://example.com", "https://", "https:///path", "http://[::1", "http://h:99999"]
)
def test_urls(name: str, value: str) -> None:
    assert fault(**{name: value}) == f"{name} must be an http or https URL, not {value!r}"


def test_a_slash_at_the_end_of_a_url_is_dropped() -> None:
    found = settings(PUBLIC_URL="https://school.example.com/", CLERK_ISSUER="https://clerk.example.com/")
    assert (found.public_url, found.clerk_issuer) == ("https://school.example.com", "https://clerk.example.com")


def test_lists_of_origins() -> None:
    found = settings(
        ALLOWED_ORIGINS=" https://a.example.com , http://localhost:3000/,", CLERK_AUTHORIZED_PARTIES="https://a.example.com/"
    )
    assert found.door.allowed_origins == ("https://a.example.com", "http://localhost:3000")
    assert found.clerk_authorized_parties == {"https://a.example.com"}
    assert settings(ALLOWED_ORIGINS="*").door.allowed_origins == ("*",)


@pytest.mark.parametrize("value", ["example.com", "https://a.example.com/app", "https://a.example.com b", "https://"])
def test_what_is_no_origin_would_never_match(value: str) -> None:
    assert "must list origins such as" in fault(ALLOWED_ORIGINS=f"https://good.example.com,{value}")
    assert "must list origins such as" in fault(CLERK_AUTHORIZED_PARTIES=value)


def test_a_key_as_text_or_as_a_path(tmp_path: Path) -> None:
    path = tmp_path / "clerk.pem"
    path.write_text(KEY.public_pem)
    one_line = KEY.public_pem.replace("\n", "\\n")
    for value in (KEY.public_pem, one_line, str(path)):
        assert settings(CLERK_JWT_KEY=value).clerk_jwt_key.strip() == KEY.public_pem.strip()


def test_what_is_no_key_is_never_repeated(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    private_half = KEY.pem.decode().splitlines()[1]
    assert fault(CLERK_JWT_KEY=str(empty)) == "CLERK_JWT_KEY names a file that holds no PEM"
    assert "neither a PEM nor a file" in fault(CLERK_JWT_KEY=str(tmp_path))
    for value in (private_half, private_half * 100, "/nowhere/clerk.pem", "nul\0"):
        found = fault(CLERK_JWT_KEY=value)
        assert found.startswith("CLERK_JWT_KEY is neither a PEM nor a file that can be read")
        assert value not in found
    for pem in (KEY.pem.decode(), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"):
        assert fault(CLERK_JWT_KEY=pem) == "CLERK_JWT_KEY must be an RSA public key as PEM, as Clerk's dashboard shows it"


def certificate(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "core.example.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def private(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def test_a_certificate_and_its_key_go_together() -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pair = settings(GRPC_TLS_CERT=certificate(key), GRPC_TLS_KEY=private(key)).grpc_tls
    assert pair is not None
    assert (pair[0].strip(), pair[1].strip()) == (certificate_bytes(pair[0]), private(key).strip().encode())
    assert fault(GRPC_TLS_CERT=certificate(key)) == "GRPC_TLS_CERT and GRPC_TLS_KEY go together; one of them is not set"
    assert fault(GRPC_TLS_KEY=private(key)) == "GRPC_TLS_CERT and GRPC_TLS_KEY go together; one of them is not set"
    for wrong in (private(other), private(key, b"password"), certificate(key)):
        assert "must be a PEM certificate, and GRPC_TLS_KEY its private key" in fault(
            GRPC_TLS_CERT=certificate(key), GRPC_TLS_KEY=wrong
        )
    assert "neither a PEM nor a file" in fault(GRPC_TLS_CERT=certificate(key), GRPC_TLS_KEY="/nowhere/key.pem")


def certificate_bytes(chain: bytes) -> bytes:
    return x509.load_pem_x509_certificate(chain).public_bytes(serialization.Encoding.PEM).strip()


def test_the_webhook_secret() -> None:
    assert settings(CLERK_WEBHOOK_SIGNING_SECRET="whsec_c2VjcmV0").clerk_webhook_key == b"secret"
    found = fault(CLERK_WEBHOOK_SIGNING_SECRET="whsec_not base64")
    assert found == "CLERK_WEBHOOK_SIGNING_SECRET must be `whsec_` followed by base64"


def test_a_payment_provider_needs_its_settings() -> None:
    assert fault(PAYMENT_PROVIDER="bank") == "PAYMENT_PROVIDER must be one of 'none', 'fake', 'stripe', not 'bank'"
    assert [line.split()[0] for line in faults(PAYMENT_PROVIDER="fake")] == ["FAKE_PAYMENTS_URL", "PAYMENT_WEBHOOK_SECRETS"]
    found = settings(PAYMENT_PROVIDER="fake", FAKE_PAYMENTS_URL="http://127.0.0.1:9000", PAYMENT_WEBHOOK_SECRETS="new, old")
    assert found.payment_webhook_secrets == ("new", "old")


def test_stripe_needs_its_settings() -> None:
    needed = ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS"]
    assert [line.split()[0] for line in faults(PAYMENT_PROVIDER="stripe")] == needed
    assert fault(STRIPE_SECRET_KEY="sk_test_1").startswith("STRIPE_WEBHOOK_SECRETS")
    assert fault(STRIPE_WEBHOOK_SECRETS="whsec_1").startswith("STRIPE_SECRET_KEY")
    found = settings(STRIPE_SECRET_KEY="sk_test_1", STRIPE_WEBHOOK_SECRETS="whsec_new, whsec_old")
    assert (found.payment_provider, found.stripe_webhook_secrets) == ("none", ("whsec_new", "whsec_old"))
    assert found.stripe_api_url == "https://api.stripe.com"
    assert fault(STRIPE_API_URL="ftp://stripe").startswith("STRIPE_API_URL")


def test_a_language_model_needs_its_settings() -> None:
    usual = settings().ai
    assert (usual.base_url, usual.api_key, usual.model, usual.daily_budget) == ("https://api.openai.com/v1", "", "", 100)
    assert fault(AI_API_KEY="sk-1").startswith("AI_MODEL is not set")
    assert fault(AI_MODEL="some-model").startswith("AI_API_KEY is not set")
    assert fault(AI_BASE_URL="localhost:11434").startswith("AI_BASE_URL must be an http or https URL")
    assert fault(AI_DAILY_BUDGET="0").startswith("AI_DAILY_BUDGET must be a whole number from 1")
    found = settings(AI_API_KEY="sk-1", AI_MODEL="m", AI_BASE_URL="http://localhost:11434/v1/", AI_DAILY_BUDGET="7").ai
    assert (found.base_url, found.api_key, found.model, found.daily_budget) == ("http://localhost:11434/v1", "sk-1", "m", 7)
    assert isinstance(choose_engine(usual), ExtractiveEngine)
    assert isinstance(choose_engine(found), LanguageModelEngine)


def test_the_font_folder(tmp_path: Path) -> None:
    assert settings(FONT_FOLDER=str(tmp_path)).font_folder == str(tmp_path)
    assert fault(FONT_FOLDER="/nowhere") == "FONT_FOLDER must be a folder, not '/nowhere'"


def test_page_tokens_have_a_key_of_their_own() -> None:
    keys = {settings().secret_key, settings(SECRET_KEY="x").secret_key, settings(CLERK_SECRET_KEY="sk_live_other").secret_key}
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
    assert settings(SECRET_KEY="x", CLERK_SECRET_KEY="sk_live_other").secret_key == settings(SECRET_KEY="x").secret_key


SECRETS = {
    "DATABASE_URL": "mysql://ada:Secret1@db.example.com/skillforge",
    "REDIS_URL": "redis://:Secret2@redis.example.com",
    "CLERK_SECRET_KEY": "sk_live_Secret3",
    "PAYMENT_WEBHOOK_SECRETS": "Secret4",
    "FAKE_PAYMENTS_KEY": "Secret5",
    "GATEWAY_TOKEN": "Secret6",
    "SECRET_KEY": "Secret7",
    "STRIPE_SECRET_KEY": "sk_live_Secret8",
    "STRIPE_WEBHOOK_SECRETS": "whsec_Secret9",
    "AI_API_KEY": "sk-Secret10",
    "AI_MODEL": "some-model",
}


def test_secrets_never_appear_in_a_repr() -> None:
    found = settings(**SECRETS)
    for text in (repr(found), str(found), f"{found}", repr(found.door), repr(found.ai), repr([found]), repr((found.door,))):
        assert "Secret" not in text


def test_settings_travel_to_a_spawned_worker() -> None:
    found = settings(**SECRETS)
    assert pickle.loads(pickle.dumps(found)) == found


def test_the_environment_wins_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("LOG_FORMAT", "  ")  # blank is not set
    found = load_settings({"LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json", "GATEWAY_TOKEN": "token"})
    assert (found.door.log_level, found.door.log_format, found.door.gateway_token) == ("ERROR", "json", "token")


def test_a_door_needs_nothing_of_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NEEDED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRUSTED_PROXY_HOPS", "2")
    assert load_door_settings().trusted_proxy_hops == 2
    monkeypatch.setenv("TRUSTED_PROXY_HOPS", "eleven")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(SettingsError) as caught:
        load_door_settings()
    assert len(caught.value.faults) == 2


NAMES = [
    *NEEDED, "DATABASE_POOL_SIZE", "CLERK_API_URL", "CLERK_JWT_KEY", "CLERK_ISSUER", "CLERK_AUTHORIZED_PARTIES",
    "CLERK_WEBHOOK_SIGNING_SECRET", "PUBLIC_URL", "PAYMENT_PROVIDER", "RATE_LIMIT_IP", "GRPC_TLS_CERT", "GRPC_TLS_KEY",
    "ALLOWED_ORIGINS", "FONT_FOLDER", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS", "STRIPE_API_URL",
    "TURN_URLS", "TURN_SECRET", "METRICS_ADDRESS", "OTEL_EXPORTER_OTLP_ENDPOINT",
]  # fmt: skip


@how(deadline=None, max_examples=30)
@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30) | st.text(":/[]@.,0123456789ahtp", max_size=30)))
def test_any_text_is_a_setting_or_a_fault(values: dict[str, str]) -> None:
    with contextlib.suppress(SettingsError):
        settings(**values)


def test_turn_servers() -> None:
    urls = "stun:stun.example.com, turn:turn.example.com:3478?transport=udp,turns:[2001:db8::1]:5349"
    found = settings(TURN_URLS=urls, TURN_SECRET="north")
    assert (len(found.turn_urls), found.turn_secret) == (3, "north")
    assert settings(TURN_URLS="stun:stun.example.com").turn_secret == settings().turn_secret == ""
    assert "TURN_SECRET is not set" in fault(TURN_URLS="turn:turn.example.com")
    for wrong in ("turn.example.com", "https://turn.example.com", "turn:a?transport=sctp", "stun:a?transport=udp"):
        assert "TURN_URLS must list servers" in fault(TURN_URLS=wrong, TURN_SECRET="north")


def test_signing_keys(tmp_path: Path) -> None:
    pem = signing_pem(1).replace("\\n", "\n")
    path, retired = tmp_path / "key.pem", public_part(pem.encode())
    path.write_text(pem)
    found = settings(CERTIFICATE_SIGNING_KEY=str(path), CERTIFICATE_RETIRED_KEYS=retired.decode())
    assert (found.certificate_signing_key, found.certificate_retired_keys) == (pem.encode(), retired.strip())
    assert "make-signing-key" in fault(CERTIFICATE_SIGNING_KEY="")
    for wrong in ({"CERTIFICATE_SIGNING_KEY": retired.decode()}, {"CERTIFICATE_RETIRED_KEYS": pem}):
        told = fault(**wrong)
        assert told.startswith(f"{next(iter(wrong))}: ")
        assert pem.splitlines()[1] not in told
    key = signing_key(1).private_key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    old = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2021, 1, 1)).sign(key, hashes.SHA256())
    path.write_bytes(pem.encode() + old.public_bytes(serialization.Encoding.PEM))
    told = fault(CERTIFICATE_SIGNING_KEY=str(path))
    assert told == "CERTIFICATE_SIGNING_KEY: the certificate expired on 2021-01-01 00:00 UTC; renew it"


def test_where_figures_and_traces_go() -> None:
    assert (settings().door.metrics_address, settings().door.otlp_endpoint) == (None, "")
    assert settings(METRICS_ADDRESS="127.0.0.1:9464").door.metrics_address == ("127.0.0.1", 9464)
    assert settings(METRICS_ADDRESS="[::1]:9464").door.metrics_address == ("::1", 9464)
    for wrong in ("9464", ":9464", "localhost", "localhost:x", "localhost:65536", "http://localhost:9464/"):
        assert "METRICS_ADDRESS must be an address" in fault(METRICS_ADDRESS=wrong)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT must be" in fault(OTEL_EXPORTER_OTLP_ENDPOINT="localhost:4318")
