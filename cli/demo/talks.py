"""Friendships of the demo school, and what its people write to each other."""

from __future__ import annotations

from collections.abc import Mapping

from cli.demo.client import Caller

# Who asked whom, by their keys; the last request waits for its answer.
FRIENDS = (("sam", "nora"), ("nora", "carlos"), ("li", "mei"))
WAITING = ("mei", "sam")
# From, to, and what is written, in this order; friends, and students with their teacher.
MESSAGES = (
    ("nora", "sam", "Did you finish “Thinking in algorithms”?"),
    ("sam", "nora", "Yes! The exam was harder than I thought."),
    ("sam", "nora", "Which course do you take next?"),
    ("nora", "sam", "“How the web works”. Shall we do it together? We could call each other after each lecture."),
    ("sam", "ada", "Why must a list be sorted for binary search?"),
    ("ada", "sam", "Because “higher” only rules out half of the list if everything below really is lower."),
)


async def talk(callers: Mapping[str, Caller], ids: Mapping[str, str]) -> None:
    """Make the friendships and write the messages that are missing, by callers and ids under people's keys."""
    for one, other in FRIENDS:
        if await _ask(callers[one], ids[other]):
            await callers[other].call("AcceptFriend", user_id=ids[one])
    await _ask(callers[WAITING[0]], ids[WAITING[1]])
    for number, (sender, receiver, body) in enumerate(MESSAGES, 1):
        # The id makes a repeat the same message.
        await callers[sender].call("SendMessage", to=ids[receiver], client_message_id=f"demo-{number}", body=body)


async def _ask(caller: Caller, user_id: str) -> bool:
    """Ask for a friendship; False: there is one."""
    listed = await caller.call("ListFriends", page_size=100)
    if any(friend.person.id == user_id for friend in listed.friends):
        return False
    await caller.call("RequestFriend", user_id=user_id)
    return True
