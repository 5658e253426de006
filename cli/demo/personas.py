"""Whom of the demo school the console suggests to sign in as: one a role, each with something of their own to look at, and a
friend to talk with."""

from __future__ import annotations

from cli.demo.people import load_people
from fakes.clerk import Persona

# By a person's key: what to try as them.
_TRY = {
    "sam": "Has finished a course and begun another. Buy a third with a test card, pass its exam, take the certificate home.",
    "nora": "Sam's friend. Open her in a second tab or window, to chat and to call each other.",
    "ada": "Teaches three courses. Look at the gradebook and at where students give up, or write a new course.",
    "anders": "Sam's father. Sees Sam's progress, results and certificates, and can link another child with a code.",
    "admin": "Runs the school. Find people, refund a payment, read the audit log, see the whole school in figures.",
}


def demo_personas() -> tuple[Persona, ...]:
    """The suggested people, in the order of the console."""
    by_key = {person.key: person for person in load_people()}
    return tuple(Persona(by_key[key].email, by_key[key].name, by_key[key].role, about) for key, about in _TRY.items())
