"""What is known of a person, as the lists of an export: it spans the features' tables on purpose.

tests/integration/test_personal_data.py compares it with the schema: a new column that names a person must be added
here, or be excused there.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final, NamedTuple

from skillforge.v1 import calls_pb2, certificates_pb2, courses_pb2, enrollments_pb2, identity_pb2, payments_pb2, quizzes_pb2


class Kind(Enum):
    """How a column's value is written; enums of the contract are given themselves."""

    ID = auto()
    PLAIN = auto()
    FLAG = auto()
    TIME = auto()
    JSON = auto()
    ANSWERS = auto()
    QUESTIONS = auto()
    STRETCHES = auto()


class Column(NamedTuple):
    """A field of an exported row: its name, where its value comes from and what kind that is (an enum: its type)."""

    name: str
    source: str
    kind: Any = Kind.PLAIN


class Section(NamedTuple):
    """A list of the export: `source` finds the person's rows by one parameter, `keys` tell them apart in an order an
    index has, `batch` are read at once."""

    name: str
    source: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    batch: int = 200


_COURSE_ID: Final = Column("courseId", "t.course_id", Kind.ID)
_ID: Final = Column("id", "t.id", Kind.ID)


def _times(*names: str) -> tuple[Column, ...]:
    """Columns such as `create_time` as `createTime`."""
    return tuple(Column(f"{name}Time", f"t.{name}_time", Kind.TIME) for name in names)


def _plain(**sources: str) -> tuple[Column, ...]:
    return tuple(Column(name, f"t.{source}") for name, source in sources.items())


ACCOUNT: Final = Section(
    "account",
    "users t WHERE t.id = %s",
    (
        _ID,
        *_plain(clerkId="clerk_id", email="email", displayName="display_name", imageUrl="image_url"),
        Column("role", "t.role", identity_pb2.Role),
        Column("status", "t.status", identity_pb2.UserStatus),
        *_times("create", "update"),
    ),
    ("t.id",),
)

_LEARNING: Final = (
    Section(
        "enrollments",
        "enrollments t JOIN courses c ON c.id = t.course_id WHERE t.student_id = %s",
        (
            _COURSE_ID,
            Column("courseTitle", "c.title"),
            Column("status", "t.status", enrollments_pb2.EnrollmentStatus),
            *_times("create"),
            # 1970 stands for none.
            Column("lastActivityTime", "IF(t.last_activity_time > '1970-01-02', t.last_activity_time, NULL)", Kind.TIME),
            *_times("complete"),
        ),
        ("t.course_id",),
    ),
    Section(
        "entitlements",
        "entitlements t WHERE t.student_id = %s",
        (_COURSE_ID, Column("sourceKind", "t.source_kind"), Column("sourceId", "t.source_id", Kind.ID), *_times("grant", "end")),
        ("t.course_id", "t.source_kind", "t.source_id"),
    ),
    Section(
        "lectureProgress",
        "lecture_progress t WHERE t.student_id = %s",
        (
            _COURSE_ID,
            Column("lectureId", "t.lecture_id", Kind.ID),
            *_times("complete"),
            *_plain(positionSeconds="position_seconds", watchedSeconds="watched_seconds"),
            Column("watched", "t.watched", Kind.STRETCHES),
            *_times("update"),
        ),
        ("t.course_id", "t.lecture_id"),
    ),
    Section(
        "quizResults",
        "quiz_results t WHERE t.student_id = %s",
        (
            _COURSE_ID,
            Column("quizId", "t.quiz_id", Kind.ID),
            *_plain(bestPercent="best_percent"),
            Column("passed", "t.passed", Kind.FLAG),
            *_plain(attempts="attempts"),
            *_times("update"),
        ),
        ("t.course_id", "t.quiz_id"),
    ),
    Section(
        "attempts",
        "attempts t WHERE t.student_id = %s",
        (
            _ID,
            Column("quizId", "t.quiz_id", Kind.ID),
            _COURSE_ID,
            *_plain(number="number"),
            Column("status", "t.status", quizzes_pb2.AttemptStatus),
            *_times("start"),
            Column("deadline", "t.deadline", Kind.TIME),
            *_times("submit"),
            *_plain(pointsEarned="points_earned", pointsPossible="points_possible", percent="percent"),
            Column("passed", "t.passed", Kind.FLAG),
            Column("answers", "t.answers", Kind.ANSWERS),
        ),
        ("t.quiz_id", "t.number"),
        batch=10,
    ),
)

_STANDING: Final = (
    Section(
        "payments",
        "payments t WHERE t.student_id = %s",
        (
            _ID,
            _COURSE_ID,
            *_plain(amountMinor="amount_minor", refundedMinor="refunded_minor", currency="currency"),
            Column("status", "t.status", payments_pb2.PaymentStatus),
            *_plain(provider="provider", providerReference="provider_reference", checkoutUrl="checkout_url"),
            *_plain(listPriceMinor="list_price_minor", couponCode="coupon_code"),
            *_times("create", "update", "expire", "pay"),
        ),
        ("t.id",),
    ),
    Section(
        "paymentLedger",
        "payment_ledger t JOIN payments p ON p.id = t.payment_id LEFT JOIN refund_orders o ON o.refund_id = t.refund_id"
        " WHERE p.student_id = %s",
        (
            Column("paymentId", "t.payment_id", Kind.ID),
            Column("refundId", "IF(t.kind = 1, NULL, t.refund_id)", Kind.ID),
            Column("kind", "ELT(t.kind, 'CHARGE', 'REFUND_ORDERED', 'REFUND_MADE', 'REFUND_RELEASED')"),
            *_plain(amountMinor="amount_minor", currency="currency"),
            Column("reason", "COALESCE(o.reason, '')"),
            *_times("entry"),
        ),
        ("t.payment_id", "t.refund_id", "t.kind"),
    ),
    Section(
        "couponUses",
        "coupon_students t JOIN coupons c ON c.id = t.coupon_id WHERE t.student_id = %s",
        (Column("couponId", "t.coupon_id", Kind.ID), Column("code", "c.code"), *_plain(uses="uses")),
        ("t.coupon_id",),
    ),
    Section(
        "certificates",
        "certificates t WHERE t.student_id = %s",
        (
            Column("id", "t.id"),
            _COURSE_ID,
            *_plain(studentName="student_name", courseTitle="course_title", instructorName="instructor_name"),
            *_plain(scorePercent="score_percent"),
            *_times("complete"),
            Column("status", "t.status", certificates_pb2.CertificateStatus),
            *_times("issue", "revoke"),
            Column("revokeReason", "t.revoke_reason", certificates_pb2.RevokeReason),
            *_plain(revokeNote="revoke_note", replacedBy="replaced_by"),
        ),
        ("t.course_id", "t.id"),
    ),
    *(
        Section(
            "familyLinks",
            f"family_links t WHERE t.{own} = %s",
            (Column("parentId", "t.parent_id", Kind.ID), Column("childId", "t.child_id", Kind.ID), *_times("create")),
            (f"t.{other}",),
        )
        for own, other in (("parent_id", "child_id"), ("child_id", "parent_id"))
    ),
    *(
        Section(
            "friends",
            f"friendships t WHERE t.{own}_id = %s",
            (
                # Whose address a request was sent to stays unknown to the one who sent it.
                Column("userId", f"IF(t.by_email AND t.state = {asked}, NULL, t.{other}_id)", Kind.ID),
                Column("state", f"ELT(t.state + 1, 'none', '{low}', '{high}', 'friends')"),
                Column("blocked", f"t.{own}_blocks", Kind.FLAG),
                *_times("change"),
            ),
            (f"t.{other}_id",),
        )
        for own, other, asked, low, high in (("low", "high", 1, "asked", "askedMe"), ("high", "low", 2, "askedMe", "asked"))
    ),
    *(
        Section(
            "conversations",
            f"conversations t WHERE t.{own}_id = %s",
            (
                Column("userId", f"t.{other}_id", Kind.ID),
                Column("deliveredSeq", f"t.{own}_delivered"),
                Column("readSeq", f"t.{own}_read"),
            ),
            (f"t.{other}_id",),
        )
        for own, other in (("low", "high"), ("high", "low"))
    ),
    Section(
        "messages",
        "messages t WHERE t.sender_id = %s",
        (
            _ID,
            Column("to", "IF(t.sender_id = t.low_id, t.high_id, t.low_id)", Kind.ID),
            *_plain(seq="seq", body="body"),
            *_times("send"),
        ),
        ("t.client_message_id",),
        batch=100,
    ),
    *(
        Section(
            "calls",
            f"calls t WHERE t.{own}_id = %s",
            (
                _ID,
                Column("callerId", "t.caller_id", Kind.ID),
                Column("calleeId", "t.callee_id", Kind.ID),
                Column("media", "t.media", calls_pb2.CallMedia),
                *_times("start", "answer", "end"),
                Column("reason", "t.reason", calls_pb2.CallEndReason),
                Column("missed", "t.missed", Kind.FLAG),
            ),
            ("t.id",),
        )
        for own in ("caller", "callee")
    ),
    Section(
        "signOuts",
        "revoked_sessions t WHERE t.user_id = %s",
        (*_plain(sessionId="session_id"), *_times("revoke")),
        ("t.session_id",),
    ),
    Section(
        "auditEvents",
        "audit_events t WHERE t.actor_id = %s",
        (
            _ID,
            *_plain(action="action", targetType="target_type", targetId="target_id"),
            Column("before", "t.before_state", Kind.JSON),
            Column("after", "t.after_state", Kind.JSON),
            *_plain(requestId="request_id"),
            *_times("create"),
        ),
        ("t.create_time", "t.id"),
    ),
)

_LOOK: Final = {
    "accentColor": "accent_color",
    "signatureName": "signature_name",
    "signatureTitle": "signature_title",
    "subtitle": "subtitle",
}
_OWN_COURSES: Final = "JOIN courses c ON c.id = t.course_id WHERE c.instructor_id = %s"
_TEACHING: Final = (
    Section(
        "courses",
        "courses t WHERE t.instructor_id = %s",
        (
            _ID,
            *_plain(title="title", description="description", priceMinor="price_minor", currency="currency"),
            Column("level", "t.level", courses_pb2.CourseLevel),
            *_plain(language="language"),
            Column("status", "t.status", courses_pb2.CourseStatus),
            *_times("create", "update", "publish"),
        ),
        ("t.id",),
        batch=20,
    ),
    Section("courseTags", f"course_tags t {_OWN_COURSES}", (_COURSE_ID, *_plain(tag="tag")), ("t.course_id", "t.tag")),
    Section(
        "modules",
        f"modules t {_OWN_COURSES}",
        (_ID, _COURSE_ID, *_plain(title="title", position="position")),
        ("t.course_id", "t.id"),
    ),
    Section(
        "lectures",
        f"lectures t {_OWN_COURSES}",
        (
            _ID,
            Column("moduleId", "t.module_id", Kind.ID),
            _COURSE_ID,
            *_plain(title="title", position="position", videoUrl="video_url", durationSeconds="duration_seconds", notes="notes"),
            Column("preview", "t.preview", Kind.FLAG),
            *_times("create", "update"),
        ),
        ("t.course_id", "t.id"),
        batch=5,
    ),
    Section(
        "quizzes",
        f"quizzes t JOIN quiz_versions v ON v.quiz_id = t.id AND v.version = t.version {_OWN_COURSES}",
        (
            _ID,
            _COURSE_ID,
            Column("lectureId", "t.lecture_id", Kind.ID),
            *_plain(title="title", passPercent="pass_percent"),
            *_plain(timeLimitSeconds="time_limit_seconds", maxAttempts="max_attempts"),
            Column("shuffle", "t.shuffle", Kind.FLAG),
            Column("questions", "v.questions", Kind.QUESTIONS),
        ),
        ("t.course_id", "t.id"),
        batch=5,
    ),
    Section(
        "certificateTemplates",
        f"certificate_templates t JOIN certificate_template_versions v ON v.id = t.template_id {_OWN_COURSES}",
        (
            _COURSE_ID,
            *(Column(name, f"v.{source}") for name, source in _LOOK.items()),
            *_times("update"),
        ),
        ("t.course_id",),
    ),
)

_SELLING: Final = Section(
    "coupons",
    "coupons t WHERE t.instructor_id = %s",
    (
        _ID,
        *_plain(code="code"),
        _COURSE_ID,
        *_plain(percent="percent", amountOffMinor="amount_off_minor", currency="currency"),
        *_plain(maxUses="max_uses", maxUsesPerStudent="max_uses_per_student", uses="uses"),
        *_times("start", "expire", "disable", "create"),
    ),
    ("t.id",),
)

# In the order of the document; sections of one name follow each other and make one list.
SECTIONS: Final = (*_LEARNING, *_STANDING, *_TEACHING, _SELLING)
