"""A whole SkillForge in the test's process, over real MariaDB and Redis, with the fakes of the outside world.

One core; the gRPC port; a gateway on the dispatcher and another on a remote client; the fakes on a port of their own.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from cli.addresses import listen
from cli.up import migrate
from cli.worker import Addresses, running_core, running_gateway, running_grpc, running_remote_client
from core.app import Core
from core.settings import RATES, Settings, read_settings
from fakes.server import CLERK_SECRET_KEY, PAYMENTS_API_KEY, WEBHOOK_SECRET, FakeWorld
from skillforge.v1 import courses_pb2, identity_pb2, quizzes_pb2
from telemetry.metrics import Metrics
from tests.support.doors import Door, GrpcDoor, RestDoor
from tests.support.signing import signing_pem

GATEWAY_TOKEN = "a token of the tests"
METRICS_TOKEN = "a token of the tests for scrapes"
CLERK_WEBHOOK_SECRET = "whsec_c2tpbGxmb3JnZSB0ZXN0cyBzaWduIHRoaXM="
HOST = "127.0.0.1"
_numbers = itertools.count(1)


@dataclass
class Person:
    """Somebody signed in, with an account."""

    token: str
    user: identity_pb2.User

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class World:
    """Use `running_world`."""

    def __init__(self, core: Core, settings: Settings, fakes: FakeWorld, url: str, remote_url: str, grpc_address: str) -> None:
        self.core = core
        self.settings = settings
        self.fakes = fakes
        self.url = url
        self.remote_url = remote_url
        self.grpc_address = grpc_address
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self.channel = grpc.aio.insecure_channel(grpc_address)
        self.doors: dict[str, Door] = {
            "grpc": GrpcDoor(self.channel),
            "rest": RestDoor(self.session, url),
            "remote": RestDoor(self.session, remote_url),
        }
        self.rest = self.doors["rest"]

    async def close(self) -> None:
        await self.session.close()
        await self.channel.close()

    async def person(self, role: str = "STUDENT", name: str = "") -> Person:
        """A new person with an account in the role ("ADMIN", "INSTRUCTOR", "STUDENT", "PARENT")."""
        number = next(_numbers)
        email = f"{role.lower()}.{number}@example.com"
        _, token = await self.fakes.clerk.sign_in(email, name or f"{role.title()} No{number}", role)
        outcome = await self.rest.call("SyncUser", identity_pb2.SyncUserRequest(), token)
        assert outcome.ok, outcome
        return Person(token, outcome.message)

    async def call(self, name: str, request: Any, person: Person | None = None, **metadata: str) -> Any:
        """Call through REST and return the message; fails the test on an error."""
        outcome = await self.rest.call(name, request, person.token if person else "", **metadata)
        assert outcome.ok, f"{name}: {outcome}"
        return outcome.message

    async def request(
        self, verb: str, path: str, *, person: Person | None = None, url: str = "", **options: Any
    ) -> tuple[int, dict[str, str], Any]:
        """A raw HTTP exchange: status, lower-case headers, the JSON or the bytes."""
        headers = {**(person.headers if person else {}), **options.pop("headers", {})}
        async with self.session.request(verb, (url or self.url) + path, headers=headers, **options) as response:
            answer: Any = await response.read()
            if response.content_type.endswith("json") and answer:
                answer = await response.json(content_type=None)
            return response.status, {key.lower(): value for key, value in response.headers.items()}, answer

    async def course(self, teacher: Person, *, price: int = 0, lectures: int = 2, exam: bool = True, publish: bool = True) -> Any:
        """A course with one module, its lectures and an exam of one question (the answer is 42)."""
        draft = courses_pb2.CreateCourseRequest(title="Answers", description="All of them.")
        draft.price.amount_minor, draft.price.currency = price, "USD"
        course = await self.call("CreateCourse", draft, teacher)
        module = await self.call("CreateModule", courses_pb2.CreateModuleRequest(course_id=course.id, title="One"), teacher)
        for number in range(1, lectures + 1):
            request = courses_pb2.CreateLectureRequest(module_id=module.id, title=f"Lecture {number}", notes="Read this.")
            request.video.url, request.video.duration_seconds = "https://videos.example.com/1.mp4", 100
            await self.call("CreateLecture", request, teacher)
        if exam:
            await self.call("PutExam", quizzes_pb2.PutExamRequest(course_id=course.id, **exam_content()), teacher)
        if publish:
            return await self.call("PublishCourse", courses_pb2.PublishCourseRequest(course_id=course.id), teacher)
        return await self.call("GetCourse", courses_pb2.GetCourseRequest(course_id=course.id), teacher)


def exam_content(max_attempts: int = 0) -> dict[str, Any]:
    """An exam of one question, whose answer is 42."""
    question = quizzes_pb2.Question(id="q1", prompt="What is it?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC, points=1)
    question.answer_key.number = 42
    return {"title": "Exam", "pass_percent": 50, "max_attempts": max_attempts, "questions": [question]}


def right_answers() -> list[quizzes_pb2.Answer]:
    return [quizzes_pb2.Answer(question_id="q1", number=42)]


def world_settings(database_url: str, redis_url: str, fakes: FakeWorld, url: str, **more: str) -> Settings:
    """Settings of a test's world; generous limits unless a test sets its own."""
    generous = "1000000/60"
    values = {
        **{f"RATE_LIMIT_{name}": generous for name in RATES},
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATABASE_POOL_SIZE": "8",
        "CLERK_SECRET_KEY": CLERK_SECRET_KEY,
        "CERTIFICATE_SIGNING_KEY": signing_pem(),
        "CLERK_API_URL": fakes.url,
        "CLERK_ISSUER": fakes.url,
        "CLERK_WEBHOOK_SIGNING_SECRET": CLERK_WEBHOOK_SECRET,
        "PUBLIC_URL": url,
        "ALLOWED_ORIGINS": "https://app.example.com",
        "GATEWAY_TOKEN": GATEWAY_TOKEN,
        "METRICS_TOKEN": METRICS_TOKEN,
        "PAYMENT_PROVIDER": "fake",
        "PAYMENT_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "FAKE_PAYMENTS_URL": fakes.url,
        "FAKE_PAYMENTS_KEY": PAYMENTS_API_KEY,
        **more,
    }
    return read_settings(values)


@asynccontextmanager
async def running_world(database_url: str, redis_url: str, **more: str) -> AsyncIterator[World]:
    """A world on a database and a Redis; `more` are settings by their environment names."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        listener, remote_listener = (listen(HOST, 0, reuse_port=False) for _ in range(2))
        url, remote_url = (f"http://{HOST}:{item.getsockname()[1]}" for item in (listener, remote_listener))
        fakes = FakeWorld(Path(folder), webhook_url=f"{url}/payments/webhook", first_delay=0.05, max_delay=0.5, late_seconds=0.2)
        await fakes.listen()
        stack.push_async_callback(fakes.close)
        settings = world_settings(database_url, redis_url, fakes, url, **more)
        await migrate(settings)
        metrics, remote_metrics = Metrics(), Metrics()
        core = await stack.enter_async_context(running_core(settings, metrics))
        grpc_port = await stack.enter_async_context(running_grpc(core, settings, Addresses(HOST, 0, 0), metrics))
        client = await stack.enter_async_context(running_remote_client(f"{HOST}:{grpc_port}", settings.door))
        mounted = dict.fromkeys(fakes.prefixes, fakes.handle)
        await stack.enter_async_context(
            running_gateway(core.dispatcher, settings.door, listener, core.readiness, mounted, metrics)
        )
        await stack.enter_async_context(
            running_gateway(client, settings.door, remote_listener, core.readiness, metrics=remote_metrics)
        )
        world = World(core, settings, fakes, url, remote_url, f"{HOST}:{grpc_port}")
        stack.push_async_callback(world.close)
        yield world
