"""The house rules import-linter cannot express, checked on every Python file of ours."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"contract", "core", "http_gateway", "ws_signaling", "telemetry", "cli", "fakes"}
FUNCTION_LINES = 70
FILE_LINES = 400
SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+(IGNORE\s+)?INTO\s|REPLACE\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|(CREATE|ALTER|DROP|TRUNCATE)\s+TABLE\s|WITH\s+(RECURSIVE\s+)?\w+\s+AS\s*\()"
)

# A rule takes a file's path below the root and its source and yields what breaks it, "line: what".
Rule = Callable[[PurePosixPath, str], Iterable[str]]
# Every rule reads the same files.
parsed = cache(ast.parse)


def files_are_short(path: PurePosixPath, source: str) -> Iterator[str]:
    lines = len(source.splitlines())
    if lines > FILE_LINES:
        yield f"1: {lines} lines; {FILE_LINES} is the limit"


def functions_fit_a_screen(path: PurePosixPath, source: str) -> Iterator[str]:
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.lineno}: {node.name} has {lines} lines; {FUNCTION_LINES} is the limit"


def sql_stands_in_queries(path: PurePosixPath, source: str) -> Iterator[str]:
    """Tests and benchmarks may look into the database themselves."""
    if path.parts[0] not in ROOMS or path.name == "queries.py" or path.parts[:2] == ("core", "db"):
        return
    tree = parsed(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and SQL.match(node.value)
        ):
            yield f"{node.lineno}: SQL belongs in queries.py or core/db"


def environment_is_read_in_settings(path: PurePosixPath, source: str) -> Iterator[str]:
    if path.parts[0] not in ROOMS or path.name == "settings.py":
        return
    names = {"environ", "environb", "getenv", "getenvb"}
    for node in ast.walk(parsed(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in names:
                yield f"{node.lineno}: the environment is read in settings.py alone"
            case ast.ImportFrom(module="os", names=imported) if names & {item.name for item in imported}:
                yield f"{node.lineno}: the environment is read in settings.py alone"


def queries_are_their_feature_s_own(path: PurePosixPath, source: str) -> Iterator[str]:
    if path.parts[0] not in ROOMS:
        return
    for line, module in imported_modules(path, source):
        parts = module.split(".")
        if parts[0] == "core" and "queries" in parts[1:]:
            owner = tuple(parts[: parts.index("queries")])
            if path.parts[: len(owner)] != owner:
                yield f"{line}: the queries of {'.'.join(owner)} are its own; ask its service"


def imported_modules(path: PurePosixPath, source: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every module, or name in a module, the file imports."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.parts[: len(path.parts) - node.level] if node.level else ()
            base = [*package, *([node.module] if node.module else [])]
            yield from ((node.lineno, ".".join([*base, name.name])) for name in node.names)


RULES: list[Rule] = [
    files_are_short,
    functions_fit_a_screen,
    sql_stands_in_queries,
    environment_is_read_in_settings,
    queries_are_their_feature_s_own,
]


def our_files() -> list[PurePosixPath]:
    """Every Python file git tracks or would track; in a copy without git, every one outside of hidden folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    if listed.returncode == 0:
        names = set(listed.stdout.split("\0")) - {""}
    else:
        names = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py")}
    paths = sorted(PurePosixPath(name) for name in names)
    hidden = [path for path in paths if path.parts[0].startswith(".") or path.parts[0] == "generated"]
    return [path for path in paths if path not in hidden and (ROOT / path).is_file()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds_everywhere(rule: Rule) -> None:
    files = our_files()
    assert PurePosixPath("tests/unit/test_house_rules.py") in files
    broken = [f"{path}:{fault}" for path in files for fault in rule(path, (ROOT / path).read_text())]
    assert not broken, "\n" + "\n".join(broken)


LONG_FUNCTION = "async def long():\n" + "    pass\n" * FUNCTION_LINES
BAD = [
    (files_are_short, "core/app.py", "\n" * (FILE_LINES + 1)),
    (functions_fit_a_screen, "tests/unit/test_x.py", LONG_FUNCTION),
    (sql_stands_in_queries, "core/courses/service.py", "run('SELECT id FROM course')"),
    (sql_stands_in_queries, "cli/main.py", "run(f'''\n  update {x}''', 'UPDATE user SET role = 1')"),
    (sql_stands_in_queries, "core/courses/service.py", "run(f'DELETE FROM {table}')"),
    (environment_is_read_in_settings, "core/app.py", "import os\nos.environ['X']"),
    (environment_is_read_in_settings, "cli/main.py", "import os\nos.getenv('X')"),
    (environment_is_read_in_settings, "fakes/clerk.py", "from os import environ"),
    (queries_are_their_feature_s_own, "core/payments/service.py", "from core.courses import queries"),
    (queries_are_their_feature_s_own, "core/payments/service.py", "from core.courses.queries import find"),
    (queries_are_their_feature_s_own, "core/payments/service.py", "from ..courses import queries"),
    (queries_are_their_feature_s_own, "cli/main.py", "import core.courses.queries as q"),
]
GOOD = [
    (files_are_short, "core/app.py", "\n" * FILE_LINES),
    (functions_fit_a_screen, "core/app.py", LONG_FUNCTION.removesuffix("    pass\n")),
    (sql_stands_in_queries, "core/courses/queries.py", "run('SELECT id FROM course')"),
    (sql_stands_in_queries, "core/db/migrate.py", "run('CREATE TABLE x (id INT)')"),
    (sql_stands_in_queries, "core/courses/service.py", "'''SELECT is named in a docstring.'''\nsay('Select a course', 'UPDATE')"),
    (environment_is_read_in_settings, "core/settings.py", "import os\nos.environ['X']"),
    (environment_is_read_in_settings, "tests/conftest.py", "import os\nos.environ['X']"),
    (queries_are_their_feature_s_own, "core/courses/service.py", "from core.courses import queries\nfrom . import queries"),
    (queries_are_their_feature_s_own, "core/payments/service.py", "from core.courses import service"),
]


@pytest.mark.parametrize(("rule", "path", "source"), BAD)
def test_rule_finds(rule: Rule, path: str, source: str) -> None:
    assert [*rule(PurePosixPath(path), source)]


@pytest.mark.parametrize(("rule", "path", "source"), GOOD)
def test_rule_allows(rule: Rule, path: str, source: str) -> None:
    assert [*rule(PurePosixPath(path), source)] == []
