"""Log lines: JSON for machines, words for people, and no secrets in either."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.logs import JsonFormatter, PeopleFormatter, configure_logs, strike_secrets
from fakes.keys import SigningKey
from telemetry.request_ids import CURRENT_ID

TOKEN = SigningKey.generate().sign({"sub": "user_1"})
SECRETS = {
    "a token": f"refused {TOKEN}",
    "an unsigned token": "eyJhbGciOiJub25lIn0.e30.",
    "a header": "{'Authorization': 'Bearer abc.def'}",
    "a database address": "cannot connect to mysql://ada:abc.def@db.example.com/skillforge",
    "Clerk's key": "sk_live_abcdefghijkl",
    "a webhook secret": "whsec_abc/def+ghi=",
}


def record(message: str, /, *arguments: object, error: BaseException | None = None, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("skillforge.test", logging.WARNING, __file__, 1, message, arguments, None)
    if error is not None:
        made.exc_info = (type(error), error, error.__traceback__)
    if fields:
        made.fields = fields
    return made


def raised(message: str) -> BaseException:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter().format(made)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_line_is_one_json_object() -> None:
    line = as_json(record("%s took %d ms", "GetCourse", 7, method="/x/GetCourse", milliseconds=7.25, request_id="req-1"))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING", "logger": "skillforge.test", "message": "GetCourse took 7 ms",
        "method": "/x/GetCourse", "milliseconds": 7.25, "request_id": "req-1",
    }  # fmt: skip


def test_a_traceback_stays_on_the_line() -> None:
    line = as_json(record("broken", error=raised("two\nlines")))
    assert "ValueError: two\nlines" in line["traceback"]
    assert "in raised" in line["traceback"]


def test_a_field_replaces_nothing_of_the_record_s_own() -> None:
    line = as_json(record("said", message="forged", level="DEBUG", code="OK"))
    assert (line["message"], line["level"], line["code"]) == ("said", "WARNING", "OK")


@given(
    st.text(), st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text() | st.binary(), st.lists), max_size=4)
)
def test_any_message_and_fields_make_a_line(message: str, fields: dict[str, Any]) -> None:
    made = record(message.replace("%", "%%"))
    made.fields = fields
    assert as_json(made)["logger"] == "skillforge.test"


def test_what_json_has_no_words_for() -> None:
    line = as_json(record("a lone \ud800 surrogate", huge=2**70, kind=ValueError))
    assert (line["message"], line["huge"], line["kind"]) == ("a lone \ud800 surrogate", 2**70, "<class 'ValueError'>")


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("formatter", [JsonFormatter(), PeopleFormatter()], ids=["json", "people"])
def test_secrets_are_struck_out_wherever_they_stand(formatter: logging.Formatter, text: str) -> None:
    for made in (record(text), record("%s", text), record("broken", error=raised(text)), record("x", request_id=text)):
        line = formatter.format(made)
        assert "[secret]" in line
        for part in (TOKEN, "abc", "e30"):
            assert part not in line
        if isinstance(formatter, JsonFormatter):
            json.loads(line)


@given(st.text(), st.text())
def test_striking_out_never_breaks_a_line(before: str, after: str) -> None:
    text = f'{before} "Bearer {after}" mysql://{before}@{after} {before}@example.com'
    as_json(record("x", text=text))
    as_json(record("x", text=text, huge=2**70))  # which the quick writer cannot write


@given(st.sampled_from(["", " ", "\n", "\x01", "\\", '"', "é", "<", "\ud800", "x="]), st.sampled_from(["ada", "a.b+c"]))
def test_addresses_are_struck_out(before: str, name: str) -> None:
    line = as_json(record(f"{before}{name}@mail.example.com>", note=[f"{before}{name}@example.com"]))
    assert "example.com" not in repr(line)
    assert "[address]" in line["message"]
    assert "[address]" in line["note"][0]


def test_a_line_of_a_call_has_its_ids() -> None:
    token = CURRENT_ID.set("call-1")
    try:
        assert as_json(record("Clerk failed"))["request_id"] == "call-1"
        assert as_json(record("GetCourse OK", request_id="call-2"))["request_id"] == "call-2"
        assert "trace_id" not in as_json(record("not traced"))
        assert PeopleFormatter().format(record("Clerk failed")) == "Clerk failed request_id=call-1"
    finally:
        CURRENT_ID.reset(token)
    assert "request_id" not in as_json(record("nobody's"))


@pytest.mark.parametrize("text", ["GetCourse OK", "task_sk_x", "https://example.com/a?b=c@d", "ada@localhost", "Bearer"])
def test_the_rest_stays(text: str) -> None:
    assert strike_secrets(text) == text


def test_people_see_how_long_and_which_request() -> None:
    line = PeopleFormatter().format(record("GetCourse OK", milliseconds=7.25, request_id="req-1", method="/x"))
    assert line == "GetCourse OK milliseconds=7.25 request_id=req-1"
    assert PeopleFormatter().format(record("ready")) == "ready"
    assert "ValueError: no" in PeopleFormatter().format(record("broken", error=raised("no")))


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    kept, level = list(logger.handlers), logger.level
    for handler in kept:
        logger.removeHandler(handler)
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    for handler in kept:
        logger.addHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_everything_goes_to_standard_error_from_the_level_on(
    root: logging.Logger, log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(log_format, "INFO")
    [handler] = root.handlers
    if isinstance(handler, logging.StreamHandler):
        handler.setStream(sys.stderr)
    logging.getLogger("skillforge.test").debug("too quiet")
    logging.getLogger("skillforge.test").info("loud [enough]", extra={"fields": {"request_id": "req-1"}})
    logging.getLogger("aiohttp.access").info("noise")
    out, err = capsys.readouterr()
    assert out == ""
    assert "loud [enough]" in err
    assert "req-1" in err
    assert "too quiet" not in err
    assert "noise" not in err
