"""gRPC clients that know nothing of our Python: one with the generated stubs alone, one with reflection alone; health and TLS."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from cli.servers import LocalServers
from contract.methods import load_methods
from skillforge.v1 import courses_pb2, courses_pb2_grpc
from tests.support.installation import self_signed
from tests.support.world import World, running_world

ROOT = Path(__file__).resolve().parents[2]
STUB_CLIENT = """
import sys
import grpc
from skillforge.v1 import courses_pb2, courses_pb2_grpc, identity_pb2, identity_pb2_grpc
address, token = sys.argv[1:]
with grpc.insecure_channel(address) as channel:
    courses, identity = courses_pb2_grpc.CoursesServiceStub(channel), identity_pb2_grpc.IdentityServiceStub(channel)
    me = identity.GetMe(identity_pb2.GetMeRequest(), metadata=[("authorization", f"Bearer {token}")], timeout=10)
    print(me.email)
    try:
        courses.GetCourse(courses_pb2.GetCourseRequest(course_id="x"), timeout=10)
    except grpc.RpcError as error:
        print(error.code().name)
assert not {"contract", "core", "http_gateway", "cli"} & set(sys.modules)
"""


@pytest.mark.slow
async def test_a_client_with_the_stubs_alone(world: World, tmp_path: Path) -> None:
    person = await world.person()
    environment = {"PYTHONPATH": str(ROOT / "generated"), "PATH": ""}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUB_CLIENT, world.grpc_address, person.token,
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    said, complained = await asyncio.wait_for(process.communicate(), 30)
    assert said.decode().split() == [person.user.email, "INVALID_ARGUMENT"], complained.decode()


async def test_a_client_with_reflection_alone(world: World) -> None:
    course = await world.course(await world.person("INSTRUCTOR"))

    def explore() -> tuple[set[str], Any]:
        with grpc.insecure_channel(world.grpc_address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = descriptor_pool.DescriptorPool(database)
            method = pool.FindServiceByName("skillforge.v1.CoursesService").FindMethodByName("GetCourse")
            request_type, reply_type = (message_factory.GetMessageClass(item) for item in (method.input_type, method.output_type))
            call = channel.unary_unary(
                "/skillforge.v1.CoursesService/GetCourse",
                request_serializer=request_type.SerializeToString, response_deserializer=reply_type.FromString,
            )  # fmt: skip
            reply = call(json_format.ParseDict({"courseId": course.id}, request_type()), timeout=10)
            return set(database.get_services()), json_format.MessageToDict(reply)

    services, reply = await asyncio.to_thread(explore)
    assert {method.service for method in load_methods()} <= services
    assert {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= services
    assert (reply["id"], reply["title"], reply["status"]) == (course.id, course.title, "COURSE_STATUS_PUBLISHED")


async def test_health_is_told_for_each_service(world: World) -> None:
    stub = health_pb2_grpc.HealthStub(world.channel)
    for service in ("", *{method.service for method in load_methods()}):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, service
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Check(health_pb2.HealthCheckRequest(service="skillforge.v1.Nothing"), timeout=5)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_is_no_method_is_unimplemented(world: World) -> None:
    call: Any = world.channel.unary_unary("/skillforge.v1.CoursesService/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"", timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_tls(database_url: str, servers: LocalServers, worker_number: int, tmp_path: Path) -> None:
    """Whoever trusts the certificate gets in, whoever does not, or speaks plain text, does not."""
    certificate, key = self_signed(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = self_signed(tmp_path / "other")
    settings = {"GRPC_TLS_CERT": str(certificate), "GRPC_TLS_KEY": str(key)}
    async with running_world(database_url, servers.redis_url(worker_number), **settings) as world:

        async def ask(channel: grpc.aio.Channel) -> grpc.StatusCode:
            async with channel:
                try:
                    await courses_pb2_grpc.CoursesServiceStub(channel).ListCourses(courses_pb2.ListCoursesRequest(), timeout=5)
                except grpc.aio.AioRpcError as error:
                    return error.code()
            return grpc.StatusCode.OK

        def trusting(path: Path) -> grpc.aio.Channel:
            return grpc.aio.secure_channel(world.grpc_address, grpc.ssl_channel_credentials(path.read_bytes()))

        assert await ask(trusting(certificate)) is grpc.StatusCode.OK
        assert await ask(trusting(other)) is grpc.StatusCode.UNAVAILABLE
        assert await ask(grpc.aio.insecure_channel(world.grpc_address)) is grpc.StatusCode.UNAVAILABLE
