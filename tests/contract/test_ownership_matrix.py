"""Every RPC × every role × own, another's and nobody's: who may do what to whose things, generated from the descriptors.

What a request points at is filled in by its fields' names; what must come back stands in the tables below, which follow
the access column of the API's documentation. A method that is in none of them fails. Where another's thing is refused
as not there, the answer must not differ from that for a thing that is not there.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from contract.methods import Method, load_methods
from skillforge.options.v1 import options_pb2 as options
from skillforge.v1 import certificates_pb2, identity_pb2
from tests.support.doors import Door, Outcome
from tests.support.polling import eventually
from tests.support.sides import COURSE_PARTS, Side, Things, new_side, nothing
from tests.support.signing import signing_key
from tests.support.world import World, exam_content

METHODS = {method.name: method for method in load_methods()}
ROLES = {
    "ADMIN": options.ACCESS_ADMIN,
    "INSTRUCTOR": options.ACCESS_INSTRUCTOR,
    "STUDENT": options.ACCESS_STUDENT,
    "PARENT": options.ACCESS_PARENT,
}
VISITOR = "VISITOR"

OK, NOWHERE, NOT_ENROLLED = "OK", "NOT_FOUND", "NOT_ENROLLED"


class Cells(NamedTuple):
    """The reasons of the answers (OK: none) for one's own, another's and nobody's thing."""

    own: str
    other: str
    none: str


MINE = Cells(OK, NOWHERE, NOWHERE)
ALL_THERE_IS = Cells(OK, OK, NOWHERE)
ANYTHING = Cells(OK, OK, OK)
ENROLLED = Cells(OK, NOT_ENROLLED, NOWHERE)

Rule = dict[str, Cells]
# Courses and what is in them: the instructor's own, all for admins.
AUTHORS: Rule = {"INSTRUCTOR": MINE, "ADMIN": ALL_THERE_IS}
# Enrolled students, parents of one, the instructor.
LECTURES: Rule = {"INSTRUCTOR": ENROLLED, "STUDENT": ENROLLED, "PARENT": ENROLLED, "ADMIN": ALL_THERE_IS}
# The student, a linked parent, the course's instructor, admins.
RESULTS: Rule = {"INSTRUCTOR": MINE, "STUDENT": MINE, "PARENT": MINE, "ADMIN": ALL_THERE_IS}
CHILDREN: Rule = {"PARENT": MINE}
ADMINS: Rule = {"ADMIN": ALL_THERE_IS}
EVERYBODY: Rule = dict.fromkeys((*ROLES, VISITOR), ALL_THERE_IS)
# Without a thing to point at: one's own, or everybody's.
NO_THING: Rule = dict.fromkeys((*ROLES, VISITOR), ANYTHING)
# A signature lets in, which none of these calls has.
SIGNED: Rule = dict.fromkeys((*ROLES, VISITOR), Cells(*["SIGNATURE_INVALID"] * 3))
# Who may write to the student: the teacher. To nobody's id the answer is a stranger's.
_STRANGER = "MAY_NOT_WRITE"
CHAT: Rule = {
    **dict.fromkeys(ROLES, Cells(*[_STRANGER] * 3)),
    "INSTRUCTOR": Cells(OK, _STRANGER, _STRANGER),
    "STUDENT": Cells("INVALID_ARGUMENT", _STRANGER, _STRANGER),
}

# The lectures' notes are too short to draft questions from, which only those hear who may.
_SHORT = "TEXT_TOO_SHORT"

RULES: list[tuple[Rule, str]] = [
    (AUTHORS, "UpdateCourse DeleteCourse PublishCourse UnpublishCourse UpdateOutline CreateModule UpdateModule DeleteModule"),
    (AUTHORS, "CreateLecture UpdateLecture DeleteLecture PutLectureQuiz DeleteLectureQuiz PutExam DeleteExam"),
    (AUTHORS, "ListCourseStudents ListGrades ExportGrades GetCourseAnalytics"),
    (LECTURES | {VISITOR: Cells("TOKEN_MISSING", "TOKEN_MISSING", NOWHERE)}, "GetLecture"),
    (LECTURES, "GetLectureQuiz GetExam GetQuiz Summarize StreamSummary"),
    ({"INSTRUCTOR": Cells(_SHORT, NOWHERE, NOWHERE), "ADMIN": Cells(_SHORT, _SHORT, NOWHERE)}, "DraftQuiz StreamQuizDraft"),
    ({"STUDENT": ENROLLED}, "StartAttempt MarkLecture GenerateCertificate"),
    ({"STUDENT": MINE}, "SaveAnswers SubmitAttempt UnlinkParent"),
    (RESULTS, "GetAttempt GetCourseProgress DownloadCertificate GiveFeedback StreamFeedback"),
    (RESULTS | {"STUDENT": ENROLLED, "INSTRUCTOR": ENROLLED}, "ListAttempts"),
    ({"STUDENT": ALL_THERE_IS, "ADMIN": ALL_THERE_IS}, "EnrollInCourse CreatePayment"),
    ({"STUDENT": MINE, "ADMIN": ALL_THERE_IS}, "GetPayment"),
    ({"ADMIN": Cells("PAYMENT_NOT_REFUNDABLE", "PAYMENT_NOT_REFUNDABLE", NOWHERE)}, "RefundPayment"),
    (AUTHORS, "CreateCoupon GetCoupon DeleteCoupon"),
    ({"INSTRUCTOR": ANYTHING, "ADMIN": ANYTHING}, "ListCoupons"),
    ({"STUDENT": MINE, "ADMIN": ANYTHING}, "ListPayments"),
    (CHILDREN, "UnlinkChild ListChildProgress ListChildCertificates ListChildAttempts"),
    ({"PARENT": Cells(OK, OK, "LINK_CODE_INVALID")}, "LinkChild"),
    (EVERYBODY, "GetCourse VerifyCertificate GetBadge GetBadgeStatus"),
    (NO_THING, "CheckCertificateFile GetIssuer GetSigningKeys GetSigningKey"),
    (AUTHORS, "RevokeCertificate ReissueCertificate"),
    (AUTHORS, "GetCertificateTemplate PutCertificateTemplate DeleteCertificateTemplate PreviewCertificate"),
    (ADMINS, "GetUser UpdateUser"),
    (NO_THING, "ListCourses CreateCourse ListEnrollments ListCertificates CreateLinkCode ListChildren ListParents"),
    (NO_THING, "SyncUser GetMe SignOut ExportMyData ListUsers ListAuditEvents GetOverview"),
    (NO_THING | {"INSTRUCTOR": Cells(*["COURSES_WITH_STUDENTS"] * 3)}, "EraseMe"),
    ({**dict.fromkeys(ROLES, ALL_THERE_IS), "STUDENT": Cells("INVALID_ARGUMENT", OK, NOWHERE)}, "RequestFriend BlockUser"),
    ({**dict.fromkeys(ROLES, ALL_THERE_IS), "STUDENT": Cells(NOWHERE, OK, NOWHERE)}, "UnblockUser"),
    (dict.fromkeys(ROLES, Cells(*[NOWHERE] * 3)), "AcceptFriend DeclineFriend RemoveFriend"),
    (NO_THING, "ListFriends ListFriendRequests"),
    (CHAT, "SendMessage SetTyping"),
    (dict.fromkeys(ROLES, Cells(*[NOWHERE] * 3)), "MarkRead MarkDelivered"),
    (dict.fromkeys(ROLES, ANYTHING), "ListMessages ListConversations"),
    (NO_THING, "ListCalls GetIceServers"),
    (dict.fromkeys(ROLES, Cells(*["NOT_CONNECTED"] * 3)), "Invite Accept Reject Hangup Signal ReportConnected"),
    (NO_THING, "CreateTicket StreamEvents Pong WatchPresence"),
    (dict.fromkeys((*ROLES, VISITOR), Cells(*["TOKEN_INVALID"] * 3)), "Connect"),
    (dict.fromkeys(ROLES, Cells(*["NOT_CONNECTED"] * 3)), "RefreshConnection"),
    (SIGNED, "ReceiveClerkWebhook ReceivePaymentWebhook"),
]
EXPECTED: dict[str, Rule] = {name: rule for rule, names in RULES for name in names.split()}

# One's own thing together with another's student, who must be no other than nobody.
STRANGERS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("GetCourseProgress", "GiveFeedback", "StreamFeedback"), dict.fromkeys(ROLES, NOWHERE)),
    "ListAttempts": {"INSTRUCTOR": OK, "STUDENT": "NOT_ALLOWED", "PARENT": NOWHERE, "ADMIN": OK},
    "EnrollInCourse": {"STUDENT": "NOT_ALLOWED"},
}

# What a request needs besides the ids, so that nothing but the ids decides.
FILL: dict[str, Callable[[Any, Things], object]] = {
    **dict.fromkeys(
        ("CreateCourse", "UpdateCourse", "CreateModule", "UpdateModule", "CreateLecture", "UpdateLecture"),
        lambda request, things: setattr(request, "title", "Another"),
    ),
    **dict.fromkeys(("PutLectureQuiz", "PutExam"), lambda request, things: request.MergeFrom(type(request)(**exam_content()))),
    "UpdateOutline": lambda request, things: request.modules.extend(things.outline),
    "PublishCourse": lambda request, things: setattr(request, "course_id", things.draft_course_id),
    "CreatePayment": lambda request, things: setattr(request, "course_id", things.paid_course_id),
    "CreateCoupon": lambda request, things: request.MergeFrom(type(request)(code=f"NEW-{uuid.uuid4()}", percent=10)),
    "RefundPayment": lambda request, things: setattr(request, "reason", "Not what was promised"),
    "LinkChild": lambda request, things: setattr(request, "code", things.code),
    "UpdateUser": lambda request, things: setattr(request, "status", identity_pb2.USER_STATUS_ACTIVE),
    "CheckCertificateFile": lambda request, things: request.MergeFrom(HttpBody(content_type="application/pdf", data=b"%PDF-")),
    "GetSigningKey": lambda request, things: setattr(request, "key_id", signing_key().kid),
    "RevokeCertificate": lambda request, things: setattr(request, "reason", certificates_pb2.REVOKE_REASON_OTHER),
    "Connect": lambda request, things: request.MergeFrom(type(request)(token="x", device_id="d", tab_id="t")),
    "RefreshConnection": lambda request, things: setattr(request, "token", "x"),
    "Invite": lambda request, things: request.MergeFrom(type(request)(to=str(uuid.uuid4()), media="CALL_MEDIA_AUDIO")),
    **dict.fromkeys(
        ("Accept", "Reject", "Hangup", "Signal", "ReportConnected"),
        lambda request, things: setattr(request, "call_id", str(uuid.uuid4())),
    ),
    "SendMessage": lambda request, things: request.MergeFrom(
        type(request)(to=things.ids["user_id"], client_message_id=str(uuid.uuid4()), body="Hello")
    ),
    "SetTyping": lambda request, things: setattr(request, "to", things.ids["user_id"]),
    **dict.fromkeys(("MarkRead", "MarkDelivered"), lambda request, things: setattr(request, "seq", 1)),
    "EraseMe": lambda request, things: setattr(request, "confirm", "ERASE"),
}


def request_for(method: Method, role: str, things: Things) -> Message:
    """A request that points at these things."""
    request = method.request_type()
    for field in request.DESCRIPTOR.fields:
        if field.name in things.ids:
            setattr(request, field.name, things.ids[field.name])
    if (method.name, role) == ("EnrollInCourse", "STUDENT"):
        request.ClearField("student_id")
    if method.name in FILL:
        FILL[method.name](request, things)
    return request


def expected(method: Method, role: str) -> Cells:
    """What must come back. Roles are as the method declares them; the rest is in the tables."""
    open_to_all = method.access & {options.ACCESS_PUBLIC, options.ACCESS_SIGNED}
    if role == VISITOR and not open_to_all:
        return Cells(*["TOKEN_MISSING"] * 3)
    if not (open_to_all or method.access & {options.ACCESS_ANY, options.ACCESS_TOKEN, ROLES.get(role)}):
        return Cells(*["ROLE_NOT_ALLOWED"] * 3)
    assert role in EXPECTED[method.name], f"{method.name} is declared for {role}, but nothing is expected"
    return EXPECTED[method.name][role]


def points(method: Method) -> bool:
    """Whether its requests name things."""
    return bool({*nothing().ids, "code", "to"} & set(method.request_type.DESCRIPTOR.fields_by_name))


def is_read(method: Method) -> bool:
    """Whether it leaves all as it is; what the assistant answers is not saved."""
    return (bool(method.routes) and method.routes[0].verb == "GET") or method.limit == options.LIMIT_AI


def answer(outcome: Outcome) -> tuple[str, str, str, list[str]]:
    return outcome.code, outcome.reason, outcome.detail, outcome.fields


def reason(outcome: Outcome) -> str:
    return OK if outcome.ok else outcome.reason


@pytest.fixture(scope="module")
async def here(world: World) -> Side:
    return await with_file(world, await new_side(world))


@pytest.fixture(scope="module")
async def there(world: World) -> Side:
    return await with_file(world, await new_side(world))


async def with_file(world: World, side: Side) -> Side:
    """The certificate's file is made, which on a busy machine may take longer than a call waits: a download must depend on
    nothing but whose it is."""
    request = certificates_pb2.DownloadCertificateRequest(certificate_id=side.things.ids["certificate_id"])
    student = side.people["STUDENT"]
    await eventually(
        lambda: world.rest.call("DownloadCertificate", request, student.token), lambda outcome: outcome.ok, seconds=50
    )
    return side


async def ask(door: Door, name: str, request: Message, role: str, side: Side) -> Outcome:
    """Call as one of the side's people."""
    return await door.call(name, request, "" if role == VISITOR else side.people[role].token)


def test_every_method_is_expected_to_do_something() -> None:
    assert EXPECTED.keys() == METHODS.keys()
    several = {name for name, method in METHODS.items() if _names_a_student_and_more(method)}
    assert several == STRANGERS.keys()


def _names_a_student_and_more(method: Method) -> bool:
    names = set(method.request_type.DESCRIPTOR.fields_by_name)
    return "student_id" in names and bool(names & set(COURSE_PARTS))


@pytest.mark.parametrize("role", [*ROLES, VISITOR])
@pytest.mark.parametrize("name", METHODS)
async def test_own_other_s_and_nobody_s(world: World, here: Side, there: Side, name: str, role: str) -> None:
    method, want = METHODS[name], expected(METHODS[name], role)
    changes = not is_read(method) and OK in want
    own = await new_side(world) if changes else here
    other = await new_side(world) if changes and want.other == OK and points(method) else there
    # What a call changes can't be asked for twice.
    once = changes or not method.routes
    for door in [world.doors["grpc"]] if once else [world.doors["grpc"], world.doors["rest"]]:

        async def pointing_at(things: Things, door: Door = door) -> Outcome:
            return await ask(door, name, request_for(method, role, things), role, own)

        if points(method):
            await check_refusals(pointing_at, method, role, want, other)
        mine = await pointing_at(own.things)
        assert reason(mine) == want.own, mine
        if mine.ok and role != "ADMIN":
            shown = mine.message.SerializeToString()
            assert [secret for secret in other.private if secret.encode() in shown] == []


async def check_refusals(
    pointing_at: Callable[[Things], Awaitable[Outcome]], method: Method, role: str, want: Cells, other: Side
) -> None:
    """What comes back for another's and for nobody's things."""
    none = await pointing_at(nothing())
    assert reason(none) == want.none, none
    if role != "ADMIN" and set(COURSE_PARTS) & set(method.request_type.DESCRIPTOR.fields_by_name):
        # Another's draft is as little there as nothing.
        assert answer(await pointing_at(other.draft)) == answer(none)
    theirs = await pointing_at(other.things)
    assert reason(theirs) == want.other, theirs
    if want.other == want.none != OK:
        assert answer(theirs) == answer(none)


@pytest.mark.parametrize("door", ["grpc", "rest"])
@pytest.mark.parametrize(("name", "role"), [(name, role) for name, roles in STRANGERS.items() for role in roles])
async def test_own_thing_with_another_s_student(world: World, here: Side, there: Side, name: str, role: str, door: str) -> None:
    answers = []
    for things in (there.things, nothing()):
        request = request_for(METHODS[name], role, here.things)
        request.student_id = things.ids["student_id"]  # type: ignore[attr-defined]
        answers.append(await ask(world.doors[door], name, request, role, here))
    assert [reason(item) for item in answers] == [STRANGERS[name][role]] * 2
    assert answer(answers[0]) == answer(answers[1])
