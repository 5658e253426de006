"""Composition: settings → resources → services → dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from contract.methods import Method, load_methods
from core.analytics.rebuild import rebuild_due
from core.analytics.recounts import Recounts
from core.analytics.service import AnalyticsService
from core.audit.service import AuditService
from core.background import every
from core.certificates.render import PdfRenderer
from core.certificates.service import CertificatesService
from core.courses import indexing
from core.courses.catalog import CourseCatalog
from core.courses.service import CoursesService
from core.creations import repeats
from core.db import Database, Migrator
from core.enrollments.service import EnrollmentsService
from core.families.service import FamiliesService
from core.identity.clerk import Clerk
from core.identity.keys import JwksKeys, KeySource, PemKey
from core.identity.service import IdentityService
from core.identity.sessions import Sessions
from core.identity.tokens import TokenVerifier
from core.outbox import Outbox
from core.pages import Pages
from core.payments.providers import PaymentProvider
from core.payments.providers.fake import FakeProvider
from core.payments.service import PaymentsService
from core.progress.service import ProgressService
from core.quizzes.service import QuizzesService
from core.redis import Invalidations, Redis
from core.rpc.dispatcher import Dispatcher
from core.rpc.idempotency import IdempotencyStore
from core.rpc.limits import Policy, RateLimiter
from core.rpc.quotas import Quotas
from core.settings import Rate, Settings
from core.times import Clock, utc_now
from skillforge.options.v1 import options_pb2

SWEEP_SECONDS = 30.0
SWEEP_ROWS = 500
SWEEP_ACCOUNTS = 20
SWEEP_AT_CLERK = 20
SEARCH_FILL_SECONDS = 600.0
# How soon a course's students are counted anew after a deletion, how many batches a round takes, and how many rows
# of days that no report shows any more a sweep drops.
RECOUNT_SECONDS = 2.0
RECOUNT_BATCHES = 50
MERGE_SECONDS = 600.0
DROPPED_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Resources:
    """What services stand on: connections to the outside, made once a process."""

    db: Database
    redis: Redis
    invalidations: Invalidations
    outbox: Outbox
    clerk: Clerk
    sessions: Sessions
    renderer: PdfRenderer
    provider: PaymentProvider | None
    pages: Pages


@dataclass(frozen=True, slots=True)
class Services:
    """One a feature; each implements the proto service of its name."""

    identity: IdentityService
    courses: CoursesService
    quizzes: QuizzesService
    enrollments: EnrollmentsService
    payments: PaymentsService
    progress: ProgressService
    certificates: CertificatesService
    families: FamiliesService
    analytics: AnalyticsService
    audit: AuditService

    def by_name(self) -> dict[str, object]:
        """Each service by its proto service's name."""
        return {f"skillforge.v1.{item.name.capitalize()}Service": getattr(self, item.name) for item in fields(self)}


class Core:
    """The domain of one process: its dispatcher, its readiness and its end."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.methods: tuple[Method, ...] = load_methods()
        self.resources = _resources(settings)
        services = _services(settings, self.resources, clock)
        self.identity, self._payments, self._quizzes = services.identity, services.payments, services.quizzes
        self.identity.on_renamed = indexing.renamed
        self.identity.leaving = (services.courses.leave, services.families.forget)
        self._recounts = Recounts(self.resources.db, clock)
        self._clock = clock
        self._background: list[asyncio.Task[None]] = []
        self.dispatcher = Dispatcher(
            self.methods,
            services.by_name(),
            authenticator=self.resources.sessions,
            quotas=_quotas(settings, self.resources.redis),
            idempotency=IdempotencyStore(self.resources.redis),
            clock=clock,
        )

    async def start(self) -> None:
        """Connect, and start the background work. MySQL or Redis may still be away: calls answer 503 until they are there."""
        await self.resources.db.start()
        await self.resources.invalidations.start()
        await self.resources.outbox.start()
        self.resources.renderer.warm()
        sweeps = {
            "expiry of payments": self._expire_payments,
            "grading of overdue attempts": self._grade_overdue,
            "dropping of old days of activity": self._drop_activity,
            "finishing of erasures": self._finish_erasures,
            "deletion of erased users at Clerk": self._delete_at_clerk,
            "dropping of old sign-outs": self._drop_sign_outs,
            "dropping of old idempotency keys": self._drop_creations,
        }
        self._background = [asyncio.create_task(every(SWEEP_SECONDS, name, sweep)) for name, sweep in sweeps.items()]
        fill = every(SEARCH_FILL_SECONDS, "filling of the search index", lambda: indexing.fill(self.resources.db), first=0)
        recount = every(RECOUNT_SECONDS, "counting of students", lambda: self._recounts.sweep(RECOUNT_BATCHES))
        merge = every(MERGE_SECONDS, "merging of past days' counts", self._recounts.merge, first=RECOUNT_SECONDS)
        rebuild = every(MERGE_SECONDS, "rebuilding of analytics", lambda: rebuild_due(self.resources.db, self._clock), first=0)
        self._background += [asyncio.create_task(work) for work in (fill, recount, merge, rebuild)]

    async def close(self) -> None:
        """Stop the background work and close every connection."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        resources = self.resources
        await resources.outbox.close()
        await resources.invalidations.close()
        await resources.sessions.close()
        await resources.renderer.close()
        await resources.clerk.close()
        if resources.provider is not None:
            await resources.provider.close()
        await resources.redis.close()
        await resources.db.close()

    async def readiness(self) -> Mapping[str, str]:
        """Each part this process needs → "ok" or what is wrong with it."""
        mysql, redis = await asyncio.gather(self._check_mysql(), self._check_redis())
        return {**mysql, "redis": redis}

    async def _check_mysql(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(2.0):
                pending = await Migrator(self.resources.db).pending()
        except Exception as error:
            return {"mysql": _why(error), "migrations": "unknown"}
        return {"mysql": "ok", "migrations": f"pending: {', '.join(pending)}" if pending else "ok"}

    async def _check_redis(self) -> str:
        try:
            async with asyncio.timeout(2.0):
                await self.resources.redis.ping()
        except Exception as error:
            return _why(error)
        return "ok"

    async def _expire_payments(self) -> None:
        await self._payments.expire_overdue(self._clock(), SWEEP_ROWS)

    async def _drop_activity(self) -> None:
        await self._recounts.forget(DROPPED_ROWS)

    async def _grade_overdue(self) -> None:
        await self._quizzes.grade_overdue(SWEEP_ROWS)

    async def _finish_erasures(self) -> None:
        await self.identity.finish_erasures(self._clock(), SWEEP_ACCOUNTS)

    async def _delete_at_clerk(self) -> None:
        await self.identity.delete_at_clerk(self._clock(), SWEEP_AT_CLERK)

    async def _drop_sign_outs(self) -> None:
        await self.identity.drop_sign_outs(self._clock(), DROPPED_ROWS)

    async def _drop_creations(self) -> None:
        await repeats.forget(self.resources.db, self._clock(), DROPPED_ROWS)


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _resources(settings: Settings) -> Resources:
    db = Database(settings.database_url, size=settings.database_pool_size)
    redis = Redis(settings.redis_url)
    invalidations = Invalidations(redis)
    clerk = Clerk(settings.clerk_api_url, settings.clerk_secret_key)
    keys: KeySource = PemKey(settings.clerk_jwt_key) if settings.clerk_jwt_key else JwksKeys(clerk)
    verifier = TokenVerifier(keys, issuer=settings.clerk_issuer, authorized_parties=settings.clerk_authorized_parties)
    return Resources(
        db=db,
        redis=redis,
        invalidations=invalidations,
        outbox=Outbox(db, redis),
        clerk=clerk,
        sessions=Sessions(db, redis, invalidations, verifier),
        renderer=PdfRenderer(font_dir=Path(settings.font_folder) if settings.font_folder else None),
        provider=_provider(settings),
        pages=Pages(settings.secret_key),
    )


def _provider(settings: Settings) -> PaymentProvider | None:
    if settings.payment_provider == "fake":
        return FakeProvider(settings.fake_payments_url, settings.fake_payments_key)
    return None


def _services(settings: Settings, resources: Resources, clock: Clock) -> Services:
    db, outbox, pages = resources.db, resources.outbox, resources.pages
    catalog = CourseCatalog(db, resources.invalidations)
    enrollments = EnrollmentsService(db, catalog, outbox, pages)
    progress = ProgressService(db, catalog, outbox, pages)
    certificates = CertificatesService(db, catalog, progress, outbox, pages, resources.renderer, settings.public_url)
    progress.on_complete = certificates.issue
    payments = PaymentsService(
        db, catalog, enrollments, outbox, pages,
        resources.provider, settings.payment_webhook_secrets, clock, settings.public_url,
    )  # fmt: skip
    quizzes = QuizzesService(db, catalog, progress, pages, clock)
    return Services(
        identity=IdentityService(db, resources.sessions, resources.clerk, pages, webhook_key=settings.clerk_webhook_key),
        courses=CoursesService(db, catalog, pages),
        quizzes=quizzes,
        enrollments=enrollments,
        payments=payments,
        progress=progress,
        certificates=certificates,
        families=FamiliesService(db, progress, certificates, quizzes, pages, settings.secret_key),
        analytics=AnalyticsService(db, catalog),
        audit=AuditService(db, pages),
    )


def _quotas(settings: Settings, redis: Redis) -> Quotas:
    def policy(name: str, rate: Rate) -> Policy:
        return Policy(name=name, limit=rate.limit, window_seconds=rate.seconds, burst=rate.limit)

    return Quotas(
        RateLimiter(redis),
        per_ip=policy("ip", settings.rate_ip),
        per_user=policy("user", settings.rate_user),
        classes={
            options_pb2.LIMIT_PAYMENTS: policy("payments", settings.rate_payments),
            options_pb2.LIMIT_CERTIFICATES: policy("certificates", settings.rate_certificates),
            options_pb2.LIMIT_AI: policy("ai", settings.rate_ai),
            options_pb2.LIMIT_AUTH: policy("auth", settings.rate_auth),
            options_pb2.LIMIT_GUESSES: policy("guesses", settings.rate_guesses),
            options_pb2.LIMIT_PERSONAL_DATA: policy("personal-data", settings.rate_personal_data),
        },
    )
