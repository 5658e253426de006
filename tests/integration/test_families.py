"""Linking as a service on a real database: codes used once, limits that hold, ends from both sides."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from core.call import Caller
from core.db import Transaction
from core.errors import FailedPrecondition, InvalidArgument, NotFound
from core.families import rules
from core.times import to_timestamp
from skillforge.v1 import families_pb2
from skillforge.v1.families_pb2 import (
    CreateLinkCodeRequest,
    LinkChildRequest,
    LinkCode,
    ListChildrenRequest,
    ListParentsRequest,
    UnlinkChildRequest,
    UnlinkParentRequest,
)
from tests.support.classroom import refused
from tests.support.families import code_of, link, set_standing, text
from tests.support.school import School


@pytest.fixture
async def parent(school: School) -> Caller:
    return await school.person("PARENT")


@pytest.fixture
async def child(school: School) -> Caller:
    return await school.person()


async def invalid(school: School, parent: Caller, code: str) -> None:
    found = await refused(InvalidArgument, "LINK_CODE_INVALID", school.run(LinkChildRequest(code=code), parent))
    assert found == ["code link_code"]


# Codes


async def test_a_code_links_once(school: School, parent: Caller, child: Caller) -> None:
    code: LinkCode = await school.run(CreateLinkCodeRequest(), child)
    assert code.expire_time == to_timestamp(school.now + timedelta(minutes=15))
    linked = await school.run(LinkChildRequest(code=f" {code.code.lower()} "), parent)
    assert school.status == 201
    assert (linked.child_id, linked.child_name) == (text(child), child.display_name)
    assert (linked.parent_id, linked.parent_name) == (text(parent), parent.display_name)
    assert linked.create_time == to_timestamp(school.now)
    assert list((await school.run(ListChildrenRequest(), parent)).children) == [linked]
    assert list((await school.run(ListParentsRequest(), child)).parents) == [linked]
    await invalid(school, parent, code.code)
    await invalid(school, await school.person("PARENT"), code.code)
    assert await school.value("SELECT COUNT(*) FROM link_codes WHERE child_id = %s", child.user_id) == 0


async def test_wrong_old_replaced_and_malformed_codes_are_refused_alike(school: School, parent: Caller, child: Caller) -> None:
    first = await code_of(school, child)
    second = await code_of(school, child)
    for code in (first, "0000-0000", "?", "ABCD-EFGU", "x" * 40):
        await invalid(school, parent, code)
    school.later(minutes=15)
    await invalid(school, parent, second)
    third = await code_of(school, child)
    school.later(minutes=14, seconds=59)
    assert (await school.run(LinkChildRequest(code=third), parent)).child_id == text(child)


@pytest.mark.parametrize("standing", [("INSTRUCTOR", "ACTIVE"), ("STUDENT", "SUSPENDED"), ("STUDENT", "DELETED")])
async def test_the_code_of_who_is_no_active_student_any_more(
    school: School, parent: Caller, child: Caller, standing: tuple[str, str]
) -> None:
    code = await code_of(school, child)
    await set_standing(school, child, *standing)
    await invalid(school, parent, code)


async def test_a_code_is_kept_as_a_hash_alone(school: School, child: Caller) -> None:
    code = await code_of(school, child)
    [row] = await school.db.fetch_all("SELECT code_hash, child_id FROM link_codes WHERE child_id = %s", (child.user_id,))
    plain = rules.read_code(code)
    assert plain is not None
    assert row[0] == rules.code_hash(b"secret of the tests", plain)
    audited = await school.value("SELECT after_state FROM audit_events WHERE target_id = %s ORDER BY id DESC", text(child))
    assert code not in audited
    assert plain not in audited


async def test_who_is_linked_already_gets_the_link_again(school: School, parent: Caller, child: Caller) -> None:
    linked = await link(school, parent, child)
    code = await code_of(school, child)
    assert await school.run(LinkChildRequest(code=code), parent) == linked
    assert school.status == 200
    other = await school.person("PARENT")
    assert (await school.run(LinkChildRequest(code=code), other)).parent_id == text(other)


async def test_of_twenty_parents_with_one_code_one_is_linked(school: School, child: Caller) -> None:
    parents = [await school.person("PARENT") for _ in range(20)]
    code = await code_of(school, child)
    answers = await asyncio.gather(*(school.run(LinkChildRequest(code=code), item) for item in parents), return_exceptions=True)
    kinds = Counter(answer.reason if isinstance(answer, InvalidArgument) else type(answer).__name__ for answer in answers)
    assert kinds == {"FamilyLink": 1, "LINK_CODE_INVALID": 19}
    assert len((await school.run(ListParentsRequest(), child)).parents) == 1


async def test_codes_made_at_once_leave_one(school: School, parent: Caller, child: Caller) -> None:
    codes = await asyncio.gather(*(code_of(school, child) for _ in range(10)))
    assert len(set(codes)) == 10
    answers = [
        await asyncio.gather(school.run(LinkChildRequest(code=code), await school.person("PARENT")), return_exceptions=True)
        for code in codes
    ]
    assert sum(isinstance(answer, families_pb2.FamilyLink) for [answer] in answers) == 1


# Limits


async def test_a_child_has_at_most_ten_parents(school: School, child: Caller) -> None:
    for _ in range(rules.MAX_PARENTS):
        await link(school, await school.person("PARENT"), child)
    parents = list((await school.run(ListParentsRequest(), child)).parents)
    assert len({item.parent_id for item in parents}) == rules.MAX_PARENTS
    code = await code_of(school, child)
    newcomer = await school.person("PARENT")
    await refused(FailedPrecondition, "LIMIT_REACHED", school.run(LinkChildRequest(code=code), newcomer))
    await school.run(UnlinkParentRequest(parent_id=parents[4].parent_id), child)
    assert (await school.run(LinkChildRequest(code=code), newcomer)).parent_id == text(newcomer)


async def test_a_parent_has_at_most_twenty_children(school: School, parent: Caller) -> None:
    children = [await school.person() for _ in range(rules.MAX_CHILDREN + 5)]
    codes = [await code_of(school, child) for child in children]
    answers = await asyncio.gather(*(school.run(LinkChildRequest(code=code), parent) for code in codes), return_exceptions=True)
    linked = {answer.child_id for answer in answers if isinstance(answer, families_pb2.FamilyLink)}
    assert len(linked) == rules.MAX_CHILDREN
    assert [answer.reason for answer in answers if isinstance(answer, FailedPrecondition)] == ["LIMIT_REACHED"] * 5
    seen, token = [], ""
    for size in itertools.chain([7, 1], itertools.repeat(5)):
        page = await school.run(ListChildrenRequest(page_size=size, page_token=token), parent)
        seen += [item.child_id for item in page.children]
        token = page.next_page_token
        if not token:
            break
    assert (len(seen), set(seen)) == (rules.MAX_CHILDREN, linked)
    await school.run(UnlinkChildRequest(child_id=seen[3]), parent)
    left_over = next(code for child, code in zip(children, codes, strict=True) if text(child) not in linked)
    assert (await school.run(LinkChildRequest(code=left_over), parent)).parent_id == text(parent)


# Ends


async def test_both_end_the_link_at_once(school: School, parent: Caller, child: Caller) -> None:
    await link(school, parent, child)
    ends: list[Callable[[], Awaitable[Any]]] = [
        lambda: school.run(UnlinkChildRequest(child_id=text(child)), parent),
        lambda: school.run(UnlinkParentRequest(parent_id=text(parent)), child),
    ]
    answers = await asyncio.gather(*(end() for end in ends * 5), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert all(isinstance(answer, NotFound) for answer in answers if isinstance(answer, BaseException))
    actions = "SELECT COUNT(*) FROM audit_events WHERE action = 'family.unlink' AND target_id = %s"
    assert await school.value(actions, text(child)) == 1


async def test_links_are_in_the_audit_log(school: School, parent: Caller, child: Caller) -> None:
    await link(school, parent, child)
    await school.run(UnlinkParentRequest(parent_id=text(parent)), child)
    sql = "SELECT actor_id, action, before_state, after_state FROM audit_events WHERE target_id = %s ORDER BY id"
    code, linked, unlinked = await school.db.fetch_all(sql, (text(child),))
    assert code[:2] == (child.user_id, "family.code")
    assert linked == (parent.user_id, "family.link", "{}", f'{{"parentId":"{text(parent)}"}}')
    assert unlinked == (child.user_id, "family.unlink", f'{{"parentId":"{text(parent)}"}}', "{}")


async def test_an_erased_account_has_no_family(school: School, parent: Caller, child: Caller) -> None:
    await link(school, parent, child)
    await code_of(school, child)
    for person in (parent, child):
        await school.db.transact(lambda tx, person=person: school.families.forget(tx, person.user_id))  # type: ignore[misc]
    assert await school.value("SELECT COUNT(*) FROM link_codes WHERE child_id = %s", child.user_id) == 0
    assert list((await school.run(ListChildrenRequest(), parent)).children) == []


@pytest.mark.parametrize("who", ["parent", "child"])
async def test_who_is_erased_while_being_linked_has_no_family(school: School, who: str) -> None:
    for _ in range(10):
        parent, child = await school.person("PARENT"), await school.person()
        code, gone = await code_of(school, child), parent if who == "parent" else child

        async def close(tx: Transaction, gone: Caller = gone) -> None:
            await tx.execute("UPDATE users SET status = 3 WHERE id = %s", (gone.user_id,))
            await school.families.forget(tx, gone.user_id)

        answers = await asyncio.gather(
            school.run(LinkChildRequest(code=code), parent), school.db.transact(close), return_exceptions=True
        )
        assert isinstance(answers[0], families_pb2.FamilyLink | InvalidArgument)
        assert answers[1] is None
        links = "SELECT COUNT(*) FROM family_links WHERE parent_id = %s OR child_id = %s"
        assert await school.value(links, parent.user_id, child.user_id) == 0
