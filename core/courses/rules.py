"""Pure decisions about courses: prices, tags, what may be published, what an outline may become."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from contract.errors import Violation

MAX_MODULES = 100
MAX_LECTURES = 500
DEFAULT_CURRENCY = "USD"

# The active currencies of ISO 4217 (list one, without funds, metals and test codes).
_CODES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())


def price_violations(amount_minor: int, currency: str) -> list[Violation]:
    """What is wrong with a price. A free one needs no currency."""
    if not currency and not amount_minor:
        return []
    if not currency:
        return [Violation("price.currency", "required", "must name the currency of the amount")]
    if currency not in CURRENCIES:
        return [Violation("price.currency", "iso4217", "must be an active ISO 4217 code, such as USD")]
    return []


def tidy_tags(tags: Iterable[str]) -> list[str]:
    """The tags in their order, each once: compared after NFC and without case, the first spelling stays."""
    kept: dict[str, str] = {}
    for tag in tags:
        tag = unicodedata.normalize("NFC", tag)
        kept.setdefault(tag.casefold(), tag)
    return list(kept.values())


class LectureContent(NamedTuple):
    """What publishing asks about a lecture; `question_count` is None without a quiz."""

    title: str
    has_content: bool
    question_count: int | None


class ModuleContent(NamedTuple):
    """What publishing asks about a module."""

    title: str
    lectures: Sequence[LectureContent]


def publish_violations(description: str, modules: Sequence[ModuleContent], exam_question_count: int | None) -> list[Violation]:
    """Everything a course still lacks, each with its place in the outline. None: it may be published."""
    found = []
    if not description.strip():
        found.append(Violation("description", "required", "Write a description."))
    if not modules:
        found.append(Violation("modules", "required", "Add a module with a lecture."))
    for number, module in enumerate(modules):
        place = f"modules[{number}].lectures"
        if not module.lectures:
            found.append(Violation(place, "required", f"Add a lecture to the module “{module.title}”, or delete it."))
        for index, lecture in enumerate(module.lectures):
            if not lecture.has_content:
                found.append(Violation(f"{place}[{index}]", "content", f"Give the lecture “{lecture.title}” a video or notes."))
            if lecture.question_count == 0:
                found.append(
                    Violation(f"{place}[{index}].quizId", "questions", f"Add a question to the quiz of “{lecture.title}”.")
                )
    if exam_question_count == 0:
        found.append(Violation("examId", "questions", "Add a question to the final exam, or delete it."))
    return found


# Modules in order, each with its lectures in order; ids in any hashable form.
Order = Sequence[tuple[str, Sequence[str]]]


def outline_violations(present: Order, wanted: Order) -> list[Violation]:
    """What keeps `wanted` from being a permutation of `present`: modules and lectures missing, unknown or repeated.

    Lectures may change their module.
    """
    modules = [(f"modules[{place}].moduleId", module_id) for place, (module_id, _) in enumerate(wanted)]
    lectures = [
        (f"modules[{place}].lectureIds[{index}]", lecture_id)
        for place, (_, lecture_ids) in enumerate(wanted)
        for index, lecture_id in enumerate(lecture_ids)
    ]
    return [
        *_differences("module", [module_id for module_id, _ in present], modules),
        *_differences("lecture", [lecture_id for _, ids in present for lecture_id in ids], lectures),
    ]


def _differences(what: str, present: Sequence[str], wanted: Sequence[tuple[str, str]]) -> list[Violation]:
    known = set(present)
    seen: Counter[str] = Counter()
    found = []
    for place, item in wanted:
        seen[item] += 1
        if item not in known:
            found.append(Violation(place, "extra", f"is no {what} of this course: {item}"))
        elif seen[item] > 1:
            found.append(Violation(place, "repeated", f"names the {what} {item} again"))
    found += [Violation("modules", "missing", f"lacks the {what} {item}") for item in present if not seen[item]]
    return found
