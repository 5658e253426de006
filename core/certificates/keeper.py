"""The process that reads PDFs from outside: it keeps what reading takes in memory, and forks a child for each file.

A child may use so much memory and so many seconds of CPU, write no file and start no process; what it found comes back
through a pipe, and what it held is gone with it.

Frames on input and output: four bytes of length, then the content. First comes a frame of the trusted keys' thumbprints,
then one a file; each file is answered by one frame, the findings as JSON. It ends when its input ends, as it does when
the parent is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import struct
import sys
from collections.abc import Collection
from typing import BinaryIO, Final, NoReturn

from core.certificates.inspection import TOO_COMPLEX, Findings, inspect

LENGTH: Final = struct.Struct(">I")
CPU_SECONDS = 3
WALL_SECONDS = 6
MEMORY_BYTES = 768 * 1024 * 1024  # address space, what the keeper itself has included
NICENESS = 10  # a check yields to requests
_MAX_ANSWER = 64 * 1024
_LIMITS = (
    (resource.RLIMIT_CPU, CPU_SECONDS),
    (resource.RLIMIT_AS, MEMORY_BYTES),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NPROC, 0),
)


def keep() -> None:
    """Read files until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its keepers itself
    import pyhanko.pdf_utils.reader
    import pyhanko.sign.validation.pdf_embedded  # noqa: F401

    # Only now: on a busy machine a start that yields takes longer than anybody waits for it.
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    first = _read_frame(source)
    trusted = frozenset(json.loads(first)) if first is not None else frozenset()
    while (pdf := _read_frame(source)) is not None:
        answer = _inspect_apart(pdf, trusted)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _read_frame(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = source.read(length)
    return content if len(content) == length else None


def _inspect_apart(pdf: bytes, trusted: Collection[str]) -> bytes:
    """The findings of a child that may not outlive its limits, as JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(pdf, trusted, writing)
    os.close(writing)
    answer = _read_pipe(reading)
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    # A child that ran into its limits said nothing, or not all.
    return answer if answer.endswith(b"]") else json.dumps(Findings(TOO_COMPLEX)).encode()


def _read_pipe(reading: int) -> bytes:
    answer = b""
    while len(answer) < _MAX_ANSWER and select.select([reading], [], [], WALL_SECONDS)[0]:
        piece = os.read(reading, _MAX_ANSWER)
        if not piece:
            break
        answer += piece
    return answer


def _be_child(pdf: bytes, trusted: Collection[str], writing: int) -> NoReturn:
    """Look at the file and end."""
    try:
        for limit, value in _LIMITS:
            resource.setrlimit(limit, (value, value))
        signal.alarm(WALL_SECONDS)
        os.write(writing, json.dumps(inspect(pdf, trusted)).encode())
    finally:
        os._exit(0)


if __name__ == "__main__":
    keep()
