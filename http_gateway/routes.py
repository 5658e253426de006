"""The route table: a trie of path segments built from the methods' HTTP bindings.

A literal segment wins over `*`, and `*` over `**`; where the winner does not serve the verb, the next match that
does is taken. Two bindings of the same verb and shape stop the start-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from http_gateway.path_templates import ONE, REST, Template, Variable, decode_segment

Target = TypeVar("Target")
_ANY_VERB = "*"


class RouteError(Exception):
    """The bindings cannot make a table; lists every fault found."""


class Entry(NamedTuple, Generic[Target]):
    """One binding: what is served under a template, and the name it has in messages to people."""

    verb: str
    template: Template
    target: Target
    name: str


class Match(NamedTuple, Generic[Target]):
    """A route found, with its path variables still to be read from the raw `segments`."""

    target: Target
    variables: tuple[Variable, ...]
    segments: list[str]


class NoRoute(NamedTuple):
    """No route for this verb; `allowed` is empty where the path itself is unknown."""

    allowed: tuple[str, ...]


_Leaf = dict[str, Entry[Target]]  # by verb


class _Node(Generic[Target]):
    __slots__ = ("leaves", "literals", "one", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[Target]] = {}
        self.one: _Node[Target] | None = None
        self.rest: _Node[Target] | None = None
        # By the template's verb suffix ("" for none), then by HTTP verb.
        self.leaves: dict[str, _Leaf[Target]] = {}


class RouteTable(Generic[Target]):
    """Finds what serves a verb and a raw (still percent-encoded) path."""

    def __init__(self, entries: Iterable[Entry[Target]]) -> None:
        """Raises RouteError listing every pair of bindings that only differ in their variables' names."""
        self._root: _Node[Target] = _Node()
        self._suffixes: set[str] = set()
        faults = [fault for entry in entries for fault in self._add(entry)]
        if faults:
            raise RouteError("; ".join(faults))

    def _add(self, entry: Entry[Target]) -> Iterator[str]:
        node = self._root
        for segment in entry.template.segments:
            if segment == ONE:
                node.one = node.one or _Node()
                node = node.one
            elif segment == REST:
                node.rest = node.rest or _Node()
                node = node.rest
            else:
                node = node.literals.setdefault(segment, _Node())
        leaf = node.leaves.setdefault(entry.template.verb, {})
        if entry.verb in leaf:
            yield f"{entry.name} and {leaf[entry.verb].name} both serve {entry.verb} with the same shape of path"
        leaf[entry.verb] = entry
        if entry.template.verb:
            self._suffixes.add(entry.template.verb)

    def find(self, verb: str, path: str) -> Match[Target] | NoRoute:
        """The best route for `verb` (HEAD finds GET's); raises UnicodeDecodeError for a path that is no UTF-8."""
        segments = path.split("/")
        del segments[0]
        entry = self._straight(verb, segments) if "%" not in path and not self._suffixes else None
        if entry is not None:
            return Match(entry.target, entry.template.variables, segments)
        served = "GET" if verb == "HEAD" else verb
        allowed: set[str] = set()
        for suffix, parts in self._readings(segments):
            for leaf in self._leaves(self._root, parts, 0, suffix):
                entry = leaf.get(served) or leaf.get(_ANY_VERB)
                if entry is not None:
                    return Match(entry.target, entry.template.variables, parts)
                allowed |= leaf.keys()
        return NoRoute(_allow(allowed))

    def _straight(self, verb: str, segments: list[str]) -> Entry[Target] | None:
        """The route found by taking the best branch at each segment, which is nearly always the right one; None
        says nothing."""
        node = self._root
        for segment in segments:
            below = node.literals.get(segment) or (node.one if segment else None)
            if below is None:
                return None
            node = below
        leaf = node.leaves.get("")
        return leaf.get(verb) if leaf is not None else None

    def _readings(self, segments: list[str]) -> Iterator[tuple[str, list[str]]]:
        """The path with its last segment's `:suffix` taken off, where some template has it; then as it stands."""
        if self._suffixes and segments and ":" in segments[-1]:
            last, _, suffix = segments[-1].rpartition(":")
            if suffix in self._suffixes and last:
                yield suffix, [*segments[:-1], last]
        yield "", segments

    def _leaves(self, node: _Node[Target], segments: list[str], index: int, suffix: str) -> Iterator[_Leaf[Target]]:
        """What matches from `index` on, the best first."""
        if index == len(segments):
            if suffix in node.leaves:
                yield node.leaves[suffix]
        else:
            segment = segments[index]
            literal = node.literals.get(segment if "%" not in segment else decode_segment(segment))
            if literal is not None:
                yield from self._leaves(literal, segments, index + 1, suffix)
            if node.one is not None and segment:
                yield from self._leaves(node.one, segments, index + 1, suffix)
        if node.rest is not None and suffix in node.rest.leaves:
            yield node.rest.leaves[suffix]


def _allow(verbs: set[str]) -> tuple[str, ...]:
    if not verbs:
        return ()
    return tuple(sorted(verbs | {"OPTIONS"} | ({"HEAD"} if "GET" in verbs else set())))
