"""What grants change."""

from __future__ import annotations

from core.enrollments.rules import PAYMENT, Grant, plan_grants


def grant(student: bytes, course: bytes, source: bytes = b"1") -> Grant:
    return Grant(student, course, PAYMENT, source)


def test_new_ended_and_active_enrollments_are_told_apart() -> None:
    grants = [grant(b"s2", b"c1"), grant(b"s1", b"c1"), grant(b"s1", b"c2"), grant(b"s3", b"c2")]
    plan = plan_grants(grants, {(b"s1", b"c2"): False, (b"s3", b"c2"): True})
    assert plan.new == [(b"s1", b"c1"), (b"s2", b"c1")]
    assert plan.ended == [(b"s1", b"c2")]
    assert plan.rises == {2: [b"c1"], 1: [b"c2"]}


def test_two_reasons_make_one_enrollment() -> None:
    plan = plan_grants([grant(b"s1", b"c1", b"1"), grant(b"s1", b"c1", b"2")], {})
    assert plan.new == [(b"s1", b"c1")]
    assert plan.rises == {1: [b"c1"]}
