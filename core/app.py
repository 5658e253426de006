"""Composition: settings → resources → services → dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from contract.methods import Method, load_methods
from core.analytics.rebuild import rebuild_due
from core.analytics.recounts import Recounts
from core.analytics.service import AnalyticsService
from core.assistant.answers import Answers
from core.assistant.budget import Budget
from core.assistant.engines.choice import choose_engine
from core.assistant.service import AssistantService
from core.audit.service import AuditService
from core.background import every
from core.calls.service import CallsService
from core.certificates.inspector import PdfInspector
from core.certificates.keys import SigningKeys, read_keys
from core.certificates.render import PdfRenderer
from core.certificates.service import CertificatesService
from core.chat.service import ChatService
from core.courses import indexing
from core.courses.catalog import CourseCatalog
from core.courses.service import CoursesService
from core.creations import repeats
from core.db import Database
from core.enrollments.service import EnrollmentsService
from core.families.service import FamiliesService
from core.figures import figures, shared_figures
from core.friends.service import FriendsService
from core.identity.clerk import Clerk
from core.identity.connections import Credentials
from core.identity.keys import JwksKeys, KeySource, PemKey
from core.identity.service import IdentityService
from core.identity.sessions import Sessions
from core.identity.tokens import TokenVerifier
from core.outbox import Outbox
from core.pages import Pages
from core.payments.coupons.service import CouponsService
from core.payments.providers import PaymentProvider, Providers
from core.payments.providers.fake import FakeProvider
from core.payments.reconciliation.rules import Finding
from core.payments.reconciliation.service import Reconciliation
from core.payments.service import PaymentsService
from core.progress.service import ProgressService
from core.quizzes.service import QuizzesService
from core.readiness import readiness
from core.realtime.connections import Connections
from core.realtime.publisher import Publisher
from core.realtime.service import RealtimeService
from core.redis import Invalidations, Redis
from core.redis.traced import TracedRedis
from core.rpc.dispatcher import Dispatcher
from core.rpc.idempotency import IdempotencyStore
from core.rpc.limits import Policy, RateLimiter
from core.rpc.quotas import Quotas
from core.settings import Settings
from core.times import Clock, utc_now
from skillforge.options.v1 import options_pb2
from telemetry import tracing
from telemetry.figures import Figure

SWEEP_SECONDS = 30.0
SWEEP_ROWS = 500
SWEEP_ACCOUNTS = 20
SWEEP_REFUNDS = 50
SWEEP_AT_CLERK = 20
SEARCH_FILL_SECONDS = 600.0
# How soon a course's students are counted anew after a deletion, how many batches a round takes, and how many rows
# of days that no report shows any more a sweep drops.
RECOUNT_SECONDS = 2.0
RECOUNT_BATCHES = 50
MERGE_SECONDS = 600.0
DROPPED_ROWS = 20_000

# How soon a call's deadline is noticed.
CALLS_SECONDS = 1.0
# How long a start waits to hear of other processes' changes; longer only when Redis is away.
HEARING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What services stand on: connections to the outside, made once a process."""

    db: Database
    redis: Redis
    invalidations: Invalidations
    outbox: Outbox
    clerk: Clerk
    sessions: Sessions
    publisher: Publisher
    connections: Connections
    renderer: PdfRenderer
    inspector: PdfInspector
    signing_keys: SigningKeys
    providers: Providers
    pages: Pages
    answers: Answers


@dataclass(frozen=True, slots=True)
class Services:
    """One a feature; each implements the proto service of its name."""

    identity: IdentityService
    courses: CoursesService
    quizzes: QuizzesService
    enrollments: EnrollmentsService
    payments: PaymentsService
    coupons: CouponsService
    progress: ProgressService
    certificates: CertificatesService
    families: FamiliesService
    friends: FriendsService
    chat: ChatService
    calls: CallsService
    realtime: RealtimeService
    analytics: AnalyticsService
    assistant: AssistantService
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
        self.identity, self._payments, self._quizzes, self._chat = (
            services.identity, services.payments, services.quizzes, services.chat,
        )  # fmt: skip
        self._enrollments = services.enrollments
        self.identity.on_renamed = indexing.renamed
        services.realtime.friends = services.friends.friends_among
        self.calls = services.calls
        services.realtime.greet = self.calls.greet
        services.friends.on_parted += (self.calls.parted, self.resources.connections.parted)
        self._enrollments.on_ended = self.calls.access_ended
        self.identity.on_barred = self.calls.barred
        self.identity.leaving = (services.courses.leave, services.families.forget, services.friends.forget)
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
        await self.resources.connections.start()
        self.resources.renderer.warm()
        # The doors come next, and building them keeps this process too busy to hear Redis in time.
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARING_SECONDS):
                await self.resources.invalidations.wait_hearing()
        sweeps = {
            "expiry of payments": self._expire_payments,
            "completing of refunds": self._complete_refunds,
            "grading of overdue attempts": self._grade_overdue,
            "dropping of old days of activity": self._drop_activity,
            "finishing of erasures": self._finish_erasures,
            "closing of calls": self._close_calls,
            "deletion of erased users at Clerk": self._delete_at_clerk,
            "dropping of old sign-outs": self._drop_sign_outs,
            "dropping of old idempotency keys": self._drop_creations,
        }
        self._background = [asyncio.create_task(every(SWEEP_SECONDS, name, sweep)) for name, sweep in sweeps.items()]
        fill = every(SEARCH_FILL_SECONDS, "filling of the search index", lambda: indexing.fill(self.resources.db), first=0)
        recount = every(RECOUNT_SECONDS, "counting of students", lambda: self._recounts.sweep(RECOUNT_BATCHES))
        merge = every(MERGE_SECONDS, "merging of past days' counts", self._recounts.merge, first=RECOUNT_SECONDS)
        rebuild = every(MERGE_SECONDS, "rebuilding of analytics", lambda: rebuild_due(self.resources.db, self._clock), first=0)
        watch = every(CALLS_SECONDS, "looking at calls", self.calls.watch.round)
        self._background += [asyncio.create_task(work) for work in (fill, recount, merge, rebuild, watch)]

    async def close(self) -> None:
        """Stop the background work and close every connection."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        resources = self.resources
        await resources.connections.close_all()
        await self._chat.close()
        await resources.outbox.close()
        await resources.invalidations.close()
        await resources.sessions.close()
        await resources.renderer.close()
        await resources.inspector.close()
        await resources.clerk.close()
        await resources.providers.close()
        await resources.answers.close()
        await resources.redis.close()
        await resources.db.close()

    def reconciliation(
        self, *, dry_run: bool, found: Callable[[Finding], None], progress: Callable[[int], None]
    ) -> Reconciliation:
        """One comparison of all payments with access and providers."""
        resources = self.resources
        return Reconciliation(
            resources.db, self._enrollments, self._payments, resources.providers, self._clock,
            dry_run=dry_run, found=found, progress=progress,
        )  # fmt: skip

    async def readiness(self) -> Mapping[str, str]:
        """Each part this process needs → "ok", or what is wrong with it and what to do."""
        return await readiness(self.resources.db, self.resources.redis)

    def figures(self) -> Iterable[Figure]:
        """What this process counts, beside its calls."""
        return figures(self.resources)

    async def shared_figures(self) -> Iterable[Figure]:
        """What the database tells of all processes. Raises Unavailable."""
        return await shared_figures(self.resources)

    async def _expire_payments(self) -> None:
        await self._payments.expire_overdue(self._clock(), SWEEP_ROWS)

    async def _complete_refunds(self) -> None:
        await self._payments.complete_refunds(self._clock(), SWEEP_REFUNDS)

    async def _drop_activity(self) -> None:
        await self._recounts.forget(DROPPED_ROWS)

    async def _grade_overdue(self) -> None:
        await self._quizzes.grade_overdue(SWEEP_ROWS)

    async def _close_calls(self) -> None:
        await self.calls.watch.sweep(self._clock(), SWEEP_ROWS)

    async def _finish_erasures(self) -> None:
        await self.identity.finish_erasures(self._clock(), SWEEP_ACCOUNTS)

    async def _delete_at_clerk(self) -> None:
        await self.identity.delete_at_clerk(self._clock(), SWEEP_AT_CLERK)

    async def _drop_sign_outs(self) -> None:
        await self.identity.drop_sign_outs(self._clock(), DROPPED_ROWS)

    async def _drop_creations(self) -> None:
        await repeats.forget(self.resources.db, self._clock(), DROPPED_ROWS)


def _resources(settings: Settings) -> Resources:
    db = Database(settings.database_url, size=settings.database_pool_size)
    redis = Redis(settings.redis_url) if tracing.spans() is None else TracedRedis(settings.redis_url)
    invalidations = Invalidations(redis)
    clerk = Clerk(settings.clerk_api_url, settings.clerk_secret_key)
    keys: KeySource = PemKey(settings.clerk_jwt_key) if settings.clerk_jwt_key else JwksKeys(clerk)
    verifier = TokenVerifier(keys, issuer=settings.clerk_issuer, authorized_parties=settings.clerk_authorized_parties)
    sessions = Sessions(db, redis, invalidations, verifier, Credentials(settings.secret_key))
    publisher = Publisher(redis)
    signing_keys = read_keys(settings.certificate_signing_key, settings.certificate_retired_keys)
    return Resources(
        db=db,
        redis=redis,
        invalidations=invalidations,
        outbox=Outbox(db, redis),
        clerk=clerk,
        sessions=sessions,
        publisher=publisher,
        connections=Connections(redis, sessions, publisher),
        renderer=PdfRenderer(
            font_dir=Path(settings.font_folder) if settings.font_folder else None, signing_pem=settings.certificate_signing_key
        ),
        inspector=PdfInspector(key.kid for key in signing_keys.trusted),
        signing_keys=signing_keys,
        providers=_providers(settings),
        pages=Pages(settings.secret_key),
        answers=Answers(redis, choose_engine(settings.ai), Budget(redis, settings.ai.daily_budget)),
    )


def _providers(settings: Settings) -> Providers:
    """Whoever has secrets here is listened to; one of them opens new payments."""
    configured: list[PaymentProvider] = []
    if settings.payment_webhook_secrets:
        fake = FakeProvider(settings.fake_payments_url, settings.fake_payments_key, settings.payment_webhook_secrets)
        configured.append(fake)
    if settings.stripe_secret_key:
        # Imported where it is used: the library takes half a second and 20 MB.
        from core.payments.providers.stripe import StripeProvider

        configured.append(StripeProvider(settings.stripe_secret_key, settings.stripe_webhook_secrets, settings.stripe_api_url))
    return Providers(configured, "" if settings.payment_provider == "none" else settings.payment_provider)


def _services(settings: Settings, resources: Resources, clock: Clock) -> Services:
    db, outbox, pages = resources.db, resources.outbox, resources.pages
    catalog = CourseCatalog(db, resources.invalidations)
    enrollments = EnrollmentsService(db, catalog, outbox, pages)
    progress = ProgressService(db, catalog, outbox, pages)
    certificates = CertificatesService(
        db, catalog, progress, outbox, pages,
        resources.renderer, resources.inspector, resources.signing_keys, settings.public_url,
    )  # fmt: skip
    progress.on_complete = certificates.issue
    payments = PaymentsService(
        db, catalog, enrollments, outbox, pages, resources.providers, clock, settings.public_url,
    )  # fmt: skip
    friends = FriendsService(db, outbox, pages)
    calls = CallsService(
        db, resources.redis, friends, resources.publisher, resources.connections.presence, pages,
        ice_urls=settings.turn_urls, turn_secret=settings.turn_secret,
    )  # fmt: skip
    quizzes = QuizzesService(db, catalog, progress, pages, clock)
    courses = CoursesService(db, catalog, pages)
    return Services(
        identity=IdentityService(db, resources.sessions, resources.clerk, pages, webhook_key=settings.clerk_webhook_key),
        courses=courses,
        quizzes=quizzes,
        enrollments=enrollments,
        payments=payments,
        coupons=CouponsService(db, catalog, pages, clock),
        progress=progress,
        certificates=certificates,
        families=FamiliesService(db, progress, certificates, quizzes, pages, settings.secret_key),
        friends=friends,
        chat=ChatService(db, friends, outbox, resources.publisher, pages),
        calls=calls,
        realtime=RealtimeService(resources.redis, resources.sessions, resources.connections),
        analytics=AnalyticsService(db, catalog),
        assistant=AssistantService(courses, progress, catalog, resources.answers),
        audit=AuditService(db, pages),
    )


def _quotas(settings: Settings, redis: Redis) -> Quotas:
    def policy(name: str) -> Policy:
        rate = settings.rates[name]
        return Policy(name.lower().replace("_", "-"), rate.limit, window_seconds=rate.seconds, burst=rate.limit)

    limits = {number: name.removeprefix("LIMIT_") for name, number in options_pb2.Limit.items() if number}
    return Quotas(
        RateLimiter(redis),
        per_ip=policy("IP"),
        per_user=policy("USER"),
        frames=policy("FRAMES"),
        classes={number: policy(name) for number, name in limits.items()},
    )
