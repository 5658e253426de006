"""What a course may cost, when it may be published and how its outline may change."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import Violation
from core.courses import rules
from core.courses.rules import LectureContent, ModuleContent


def places(violations: list[Violation]) -> list[tuple[str, str]]:
    return [(item.field, item.rule) for item in violations]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (0, "", []),
        (0, "EUR", []),
        (4900, "USD", []),
        (1, "JPY", []),
        (4900, "", [("price.currency", "required")]),
        (4900, "XYZ", [("price.currency", "iso4217")]),
        (0, "XYZ", [("price.currency", "iso4217")]),
        (100, "BGN", [("price.currency", "iso4217")]),
    ],
)
def test_a_price_needs_a_currency_in_use(amount: int, currency: str, expected: list[tuple[str, str]]) -> None:
    assert places(rules.price_violations(amount, currency)) == expected


def test_currencies_are_codes() -> None:
    assert len(rules.CURRENCIES) > 140
    assert all(re.fullmatch("[A-Z]{3}", code) for code in rules.CURRENCIES)
    assert rules.DEFAULT_CURRENCY in rules.CURRENCIES


def test_tags_stay_in_order_each_once() -> None:
    assert rules.tidy_tags(["Python", "web", "python", "cafe\u0301", "café", "STRASSE", "straße"]) == [
        "Python",
        "web",
        "café",
        "STRASSE",
    ]


GOOD = LectureContent("Hello", has_content=True, question_count=None)


def test_a_whole_course_may_be_published() -> None:
    module = ModuleContent("One", [GOOD, GOOD._replace(question_count=3)])
    assert rules.publish_violations("About it", [module], None) == []
    assert rules.publish_violations("About it", [module], 5) == []


def test_everything_missing_is_said_at_once() -> None:
    modules = [
        ModuleContent("One", [GOOD, GOOD._replace(has_content=False, question_count=0)]),
        ModuleContent("Two", []),
    ]
    assert places(rules.publish_violations(" \n", modules, 0)) == [
        ("description", "required"),
        ("modules[0].lectures[1]", "content"),
        ("modules[0].lectures[1].quizId", "questions"),
        ("modules[1].lectures", "required"),
        ("examId", "questions"),
    ]
    assert places(rules.publish_violations("", [], None)) == [("description", "required"), ("modules", "required")]


outlines = st.lists(st.integers(0, 5), max_size=6).map(
    lambda sizes: [(f"m{place}", [f"l{place}-{index}" for index in range(size)]) for place, size in enumerate(sizes)]
)


@given(outlines, st.randoms(use_true_random=False))
def test_every_permutation_is_taken(present: list[tuple[str, list[str]]], chance: random.Random) -> None:
    modules = [module_id for module_id, _ in present]
    lectures = [lecture_id for _, ids in present for lecture_id in ids]
    chance.shuffle(modules)
    chance.shuffle(lectures)
    wanted: list[tuple[str, list[str]]] = [(module_id, []) for module_id in modules]
    for lecture_id in lectures:
        chance.choice(wanted)[1].append(lecture_id)
    assert rules.outline_violations(present, wanted) == []


def test_what_is_no_permutation_is_listed() -> None:
    present = [("m1", ["a", "b"]), ("m2", ["c"])]
    wanted = [("m1", ["a", "x"]), ("m1", ["a"]), ("m3", [])]
    assert places(rules.outline_violations(present, wanted)) == [
        ("modules[1].moduleId", "repeated"),
        ("modules[2].moduleId", "extra"),
        ("modules", "missing"),
        ("modules[0].lectureIds[1]", "extra"),
        ("modules[1].lectureIds[0]", "repeated"),
        ("modules", "missing"),
        ("modules", "missing"),
    ]
